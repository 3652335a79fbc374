//! Permissions in Cassandra's own terms and order.

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
