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
