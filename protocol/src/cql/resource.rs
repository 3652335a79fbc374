//! Permissions and resources in Cassandra's own terms and order.

use std::borrow::Cow;
use std::fmt;

/// A permission, in the order of Cassandra's own enumeration (`org.apache.cassandra.auth.Permission`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Create keyspaces, tables, functions or roles.
    Create,
    /// Change the definition of a resource.
    Alter,
    /// Drop a resource.
    Drop,
    /// Read rows.
    Select,
    /// Write, delete or truncate rows.
    Modify,
    /// Grant and revoke permissions on a resource.
    Authorize,
    /// List roles and their permissions.
    Describe,
    /// Call a function.
    Execute,
    /// See masked columns in clear (5.0).
    Unmask,
    /// Restrict masked columns in a WHERE clause (5.0).
    SelectMasked,
}

impl Permission {
    /// Every permission, in Cassandra's order.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::Alter,
        Self::Drop,
        Self::Select,
        Self::Modify,
        Self::Authorize,
        Self::Describe,
        Self::Execute,
        Self::Unmask,
        Self::SelectMasked,
    ];

    /// The word as CQL and Cassandra's messages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Alter => "ALTER",
            Self::Drop => "DROP",
            Self::Select => "SELECT",
            Self::Modify => "MODIFY",
            Self::Authorize => "AUTHORIZE",
            Self::Describe => "DESCRIBE",
            Self::Execute => "EXECUTE",
            Self::Unmask => "UNMASK",
            Self::SelectMasked => "SELECT_MASKED",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A resource that permissions are held on. Names are internal names: folded if they were written
/// unquoted, kept as they are if quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource<'a> {
    /// `ALL KEYSPACES`, the root.
    AllKeyspaces,
    /// `KEYSPACE k`.
    Keyspace(Cow<'a, str>),
    /// `ALL TABLES IN KEYSPACE k` (4.1 and later).
    AllTables(Cow<'a, str>),
    /// `TABLE k.t` (views too).
    Table {
        /// The keyspace.
        keyspace: Cow<'a, str>,
        /// The table or view.
        table: Cow<'a, str>,
    },
}

impl Resource<'_> {
    /// The same resource, owning its names.
    pub fn into_owned(self) -> Resource<'static> {
        match self {
            Self::AllKeyspaces => Resource::AllKeyspaces,
            Self::Keyspace(k) => Resource::Keyspace(Cow::Owned(k.into_owned())),
            Self::AllTables(k) => Resource::AllTables(Cow::Owned(k.into_owned())),
            Self::Table { keyspace, table } => Resource::Table {
                keyspace: Cow::Owned(keyspace.into_owned()),
                table: Cow::Owned(table.into_owned()),
            },
        }
    }

    /// The keyspace that the resource lies in or is, if it is not the root.
    pub fn keyspace(&self) -> Option<&str> {
        match self {
            Self::AllKeyspaces => None,
            Self::Keyspace(k) | Self::AllTables(k) | Self::Table { keyspace: k, .. } => Some(k),
        }
    }
}

impl<'a> Resource<'a> {
    /// The resources on which the same permission would do as well, nearest first: a table's are all
    /// tables of its keyspace, the keyspace, all keyspaces. A grant on all keyspaces does not reach into a
    /// system keyspace (CVE-2025-23015).
    pub fn parents(&self) -> impl Iterator<Item = Resource<'a>> + use<'a> {
        let tables = match self {
            Self::Table { keyspace, .. } => Some(Self::AllTables(keyspace.clone())),
            _ => None,
        };
        let keyspace = match self {
            Self::Table { keyspace, .. } | Self::AllTables(keyspace) => {
                Some(Self::Keyspace(keyspace.clone()))
            }
            _ => None,
        };
        let root = self
            .keyspace()
            .is_some_and(|keyspace| !is_system_keyspace(keyspace))
            .then_some(Self::AllKeyspaces);
        [tables, keyspace, root].into_iter().flatten()
    }
}

/// Keyspaces that every node has for itself; nobody changes their tables' definitions.
const LOCAL_SYSTEM: [&str; 4] = ["system", "system_schema", "system_views", "system_virtual_schema"];
/// Keyspaces that the nodes share.
const REPLICATED_SYSTEM: [&str; 3] = ["system_auth", "system_traces", "system_distributed"];

/// Whether a keyspace is one of Cassandra's own. As there, case does not matter.
pub fn is_system_keyspace(keyspace: &str) -> bool {
    is_local_system_keyspace(keyspace)
        || REPLICATED_SYSTEM.iter().any(|name| name.eq_ignore_ascii_case(keyspace))
}

/// Whether a keyspace is one that every node has for itself.
pub(crate) fn is_local_system_keyspace(keyspace: &str) -> bool {
    LOCAL_SYSTEM.iter().any(|name| name.eq_ignore_ascii_case(keyspace))
}

/// Whether everybody who is logged in may read a system table: exactly 21 tables.
pub fn is_readable_by_all(keyspace: &str, table: &str) -> bool {
    match keyspace {
        "system" => matches!(table, "local" | "peers" | "peers_v2" | "size_estimates" | "table_estimates"),
        "system_schema" => matches!(
            table,
            "aggregates"
                | "column_masks"
                | "columns"
                | "dropped_columns"
                | "functions"
                | "indexes"
                | "keyspaces"
                | "tables"
                | "triggers"
                | "types"
                | "views"
        ),
        "system_traces" => matches!(table, "sessions" | "events"),
        "system_virtual_schema" => matches!(table, "keyspaces" | "tables" | "columns"),
        _ => false,
    }
}

/// As Cassandra's refusals name it: `<table k.t>`, `<all tables in k>`, `<keyspace k>`, `<all keyspaces>`.
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllKeyspaces => f.write_str("<all keyspaces>"),
            Self::Keyspace(k) => write!(f, "<keyspace {k}>"),
            Self::AllTables(k) => write!(f, "<all tables in {k}>"),
            Self::Table { keyspace, table } => write!(f, "<table {keyspace}.{table}>"),
        }
    }
}

/// One thing that must be permitted for a statement to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// The permission.
    pub permission: Permission,
    /// On what.
    pub resource: Resource<'a>,
    /// Why the statement needs it, for people: "reads the table", "a conditional write reads".
    pub why: &'static str,
}

impl Need<'_> {
    /// The same need, owning its names.
    pub fn into_owned(self) -> Need<'static> {
        Need { permission: self.permission, resource: self.resource.into_owned(), why: self.why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_lead_to_the_root_but_not_out_of_a_system_keyspace() {
        let table = |keyspace| Resource::Table { keyspace, table: Cow::Borrowed("t") };
        let names = |resource: &Resource<'_>| resource.parents().map(|r| r.to_string()).collect::<Vec<_>>();
        assert_eq!(
            names(&table(Cow::Borrowed("k"))),
            ["<all tables in k>", "<keyspace k>", "<all keyspaces>"]
        );
        assert_eq!(names(&Resource::AllTables(Cow::Borrowed("k"))), ["<keyspace k>", "<all keyspaces>"]);
        assert_eq!(names(&Resource::Keyspace(Cow::Borrowed("k"))), ["<all keyspaces>"]);
        assert!(names(&Resource::AllKeyspaces).is_empty());
        for system in ["system", "system_auth", "SYSTEM", "system_views"] {
            assert!(
                names(&table(Cow::Borrowed(system))).iter().all(|name| name != "<all keyspaces>"),
                "{system}"
            );
        }
        assert!(!is_system_keyspace("system_mine"));
    }
}
