//! Resources that permissions are held on, in Cassandra's own terms.

use std::borrow::Cow;
use std::fmt;

use super::permission::Permission;

/// A resource that permissions are held on. Names are internal names: folded if they were written
/// unquoted, kept as they are if quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource<'a> {
    /// `ALL KEYSPACES`, the root of what holds data.
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
    /// `ALL FUNCTIONS`, the root of functions and aggregates.
    AllFunctions,
    /// `ALL FUNCTIONS IN KEYSPACE k`.
    FunctionsIn(Cow<'a, str>),
    /// `FUNCTION k.f(int, text)` (aggregates too).
    Function {
        /// The keyspace.
        keyspace: Cow<'a, str>,
        /// The function.
        name: Cow<'a, str>,
        /// The types of its arguments in their canonical form ([`crate::cql::canonical_type`]), joined by
        /// `, `.
        arguments: Cow<'a, str>,
    },
    /// `ALL ROLES`, the root of roles.
    AllRoles,
    /// `ROLE r`.
    Role(Cow<'a, str>),
    /// `ALL MBEANS`, the root of what JMX shows.
    AllMbeans,
    /// `MBEAN 'domain:name=..'`, perhaps a pattern.
    Mbean(Cow<'a, str>),
}

fn owned(name: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(name.into_owned())
}

impl Resource<'_> {
    /// The same resource, owning its names.
    pub fn into_owned(self) -> Resource<'static> {
        match self {
            Self::AllKeyspaces => Resource::AllKeyspaces,
            Self::Keyspace(k) => Resource::Keyspace(owned(k)),
            Self::AllTables(k) => Resource::AllTables(owned(k)),
            Self::Table { keyspace, table } => {
                Resource::Table { keyspace: owned(keyspace), table: owned(table) }
            }
            Self::AllFunctions => Resource::AllFunctions,
            Self::FunctionsIn(k) => Resource::FunctionsIn(owned(k)),
            Self::Function { keyspace, name, arguments } => Resource::Function {
                keyspace: owned(keyspace),
                name: owned(name),
                arguments: owned(arguments),
            },
            Self::AllRoles => Resource::AllRoles,
            Self::Role(role) => Resource::Role(owned(role)),
            Self::AllMbeans => Resource::AllMbeans,
            Self::Mbean(name) => Resource::Mbean(owned(name)),
        }
    }

    /// The keyspace that a resource of data lies in or is; `None` for the root and what holds no data.
    pub fn keyspace(&self) -> Option<&str> {
        match self {
            Self::Keyspace(k) | Self::AllTables(k) | Self::Table { keyspace: k, .. } => Some(k),
            _ => None,
        }
    }

    /// The permissions that can be held on it, in Cassandra's order (`IResource.applicablePermissions`).
    pub const fn applicable(&self) -> &'static [Permission] {
        use Permission::{
            Alter, Authorize, Create, Describe, Drop, Execute, Modify, Select, SelectMasked, Unmask,
        };
        match self {
            Self::AllKeyspaces | Self::Keyspace(_) | Self::AllTables(_) => {
                &[Create, Alter, Drop, Select, Modify, Authorize, Unmask, SelectMasked]
            }
            Self::Table { .. } => &[Alter, Drop, Select, Modify, Authorize, Unmask, SelectMasked],
            Self::AllFunctions | Self::FunctionsIn(_) => &[Create, Alter, Drop, Authorize, Execute],
            Self::Function { .. } => &[Alter, Drop, Authorize, Execute],
            Self::AllRoles => &[Create, Alter, Drop, Authorize, Describe],
            Self::Role(_) => &[Alter, Drop, Authorize, Describe],
            Self::AllMbeans | Self::Mbean(_) => &[Select, Modify, Authorize, Describe, Execute],
        }
    }
}

impl<'a> Resource<'a> {
    /// The resources on which the same permission would do as well, nearest first: a table's are all
    /// tables of its keyspace, the keyspace, all keyspaces. A grant on all keyspaces does not reach into a
    /// system keyspace (CVE-2025-23015).
    pub fn parents(&self) -> impl Iterator<Item = Resource<'a>> + use<'a> {
        let (near, middle, root) = match self {
            Self::AllKeyspaces | Self::AllFunctions | Self::AllRoles | Self::AllMbeans => (None, None, None),
            Self::Keyspace(k) => (None, None, data_root(k)),
            Self::AllTables(k) => (None, Some(Self::Keyspace(k.clone())), data_root(k)),
            Self::Table { keyspace: k, .. } => {
                (Some(Self::AllTables(k.clone())), Some(Self::Keyspace(k.clone())), data_root(k))
            }
            Self::FunctionsIn(_) => (None, None, Some(Self::AllFunctions)),
            Self::Function { keyspace: k, .. } => {
                (None, Some(Self::FunctionsIn(k.clone())), Some(Self::AllFunctions))
            }
            Self::Role(_) => (None, None, Some(Self::AllRoles)),
            Self::Mbean(_) => (None, None, Some(Self::AllMbeans)),
        };
        [near, middle, root].into_iter().flatten()
    }
}

fn data_root<'a>(keyspace: &str) -> Option<Resource<'a>> {
    (!is_system_keyspace(keyspace)).then_some(Resource::AllKeyspaces)
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

/// As Cassandra's refusals name it: `<table k.t>`, `<all tables in k>`, `<function k.f(int, text)>`.
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllKeyspaces => f.write_str("<all keyspaces>"),
            Self::Keyspace(k) => write!(f, "<keyspace {k}>"),
            Self::AllTables(k) => write!(f, "<all tables in {k}>"),
            Self::Table { keyspace, table } => write!(f, "<table {keyspace}.{table}>"),
            Self::AllFunctions => f.write_str("<all functions>"),
            Self::FunctionsIn(k) => write!(f, "<all functions in {k}>"),
            Self::Function { keyspace, name, arguments } => {
                write!(f, "<function {keyspace}.{name}({arguments})>")
            }
            Self::AllRoles => f.write_str("<all roles>"),
            Self::Role(role) => write!(f, "<role {role}>"),
            Self::AllMbeans => f.write_str("<all mbeans>"),
            Self::Mbean(name) => write!(f, "<mbean {name}>"),
        }
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
