//! Kinds of statements, in the names of Cassandra's audit log.

use std::fmt;

/// The kind of a statement, by the type that Cassandra's audit log gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the audit type it is called after")]
pub enum Kind {
    Select,
    /// UPDATE, and INSERT: Cassandra's audit log has one type for both.
    Update,
    Delete,
    Batch,
    Truncate,
    UseKeyspace,
    CreateKeyspace,
    AlterKeyspace,
    DropKeyspace,
    CreateTable,
    AlterTable,
    DropTable,
    CreateIndex,
    DropIndex,
    CreateView,
    AlterView,
    DropView,
    CreateType,
    AlterType,
    DropType,
    CreateFunction,
    DropFunction,
    CreateAggregate,
    DropAggregate,
    CreateTrigger,
    DropTrigger,
    CreateRole,
    AlterRole,
    DropRole,
    ListRoles,
    Grant,
    Revoke,
    ListPermissions,
    CreateIdentity,
    DropIdentity,
    Describe,
}

/// What a statement is about, in the large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Reads and writes rows.
    Data,
    /// Changes the schema, or truncates a table.
    Ddl,
    /// Sets the session's keyspace.
    Use,
    /// Roles, permissions, descriptions.
    Other,
}

impl Kind {
    /// The audit type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Batch => "BATCH",
            Self::Truncate => "TRUNCATE",
            Self::UseKeyspace => "USE_KEYSPACE",
            Self::CreateKeyspace => "CREATE_KEYSPACE",
            Self::AlterKeyspace => "ALTER_KEYSPACE",
            Self::DropKeyspace => "DROP_KEYSPACE",
            Self::CreateTable => "CREATE_TABLE",
            Self::AlterTable => "ALTER_TABLE",
            Self::DropTable => "DROP_TABLE",
            Self::CreateIndex => "CREATE_INDEX",
            Self::DropIndex => "DROP_INDEX",
            Self::CreateView => "CREATE_VIEW",
            Self::AlterView => "ALTER_VIEW",
            Self::DropView => "DROP_VIEW",
            Self::CreateType => "CREATE_TYPE",
            Self::AlterType => "ALTER_TYPE",
            Self::DropType => "DROP_TYPE",
            Self::CreateFunction => "CREATE_FUNCTION",
            Self::DropFunction => "DROP_FUNCTION",
            Self::CreateAggregate => "CREATE_AGGREGATE",
            Self::DropAggregate => "DROP_AGGREGATE",
            Self::CreateTrigger => "CREATE_TRIGGER",
            Self::DropTrigger => "DROP_TRIGGER",
            Self::CreateRole => "CREATE_ROLE",
            Self::AlterRole => "ALTER_ROLE",
            Self::DropRole => "DROP_ROLE",
            Self::ListRoles => "LIST_ROLES",
            Self::Grant => "GRANT",
            Self::Revoke => "REVOKE",
            Self::ListPermissions => "LIST_PERMISSIONS",
            Self::CreateIdentity => "CREATE_IDENTITY",
            Self::DropIdentity => "DROP_IDENTITY",
            Self::Describe => "DESCRIBE",
        }
    }

    /// What the statement is about.
    pub const fn category(self) -> Category {
        match self {
            Self::Select | Self::Update | Self::Delete | Self::Batch => Category::Data,
            Self::UseKeyspace => Category::Use,
            Self::CreateRole
            | Self::AlterRole
            | Self::DropRole
            | Self::ListRoles
            | Self::Grant
            | Self::Revoke
            | Self::ListPermissions
            | Self::CreateIdentity
            | Self::DropIdentity
            | Self::Describe => Category::Other,
            _ => Category::Ddl,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
