//! Statements on roles, users, identities and permissions: what is kept of them.
//!
//! Passwords are read and thrown away: no part of a statement holds one.

use std::borrow::Cow;

use super::kind::Kind;
use super::names::{Name, TableName};
use super::permissions::Permissions;
use crate::cql::permission::Permission;
use crate::cql::resource::Resource;

/// A statement on roles or permissions. The USER forms are those of the roles they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// `CREATE ROLE` and `CREATE USER`.
    CreateRole {
        /// The role.
        role: Name<'a>,
        /// What is said of it.
        options: RoleOptions,
    },
    /// `ALTER ROLE` and `ALTER USER`.
    AlterRole {
        /// The role.
        role: Name<'a>,
        /// What is said of it.
        options: RoleOptions,
    },
    /// `DROP ROLE` and `DROP USER`.
    DropRole {
        /// The role.
        role: Name<'a>,
    },
    /// `GRANT role TO to`.
    GrantRole {
        /// The role that is granted.
        role: Name<'a>,
        /// Who gets it.
        to: Name<'a>,
    },
    /// `REVOKE role FROM from`.
    RevokeRole {
        /// The role that is revoked.
        role: Name<'a>,
        /// Who loses it.
        from: Name<'a>,
    },
    /// `GRANT permissions ON resource TO role`.
    Grant(Grant<'a>),
    /// `REVOKE permissions ON resource FROM role`.
    Revoke(Grant<'a>),
    /// `LIST ROLES`.
    ListRoles {
        /// Whose roles, if it says so.
        of: Option<Name<'a>>,
        /// Whether roles of roles are meant too: there is no NORECURSIVE.
        recursive: bool,
    },
    /// `LIST USERS`.
    ListUsers,
    /// `LIST permissions`.
    ListPermissions {
        /// Which ones; `None` for ALL.
        permissions: Option<Permissions>,
        /// On what, if it says so.
        on: Option<NamedResource<'a>>,
        /// Whose, if it says so.
        of: Option<Name<'a>>,
        /// Whether those of roles of the role are meant too: there is no NORECURSIVE.
        recursive: bool,
    },
    /// `ADD IDENTITY i TO ROLE r`.
    AddIdentity {
        /// The identity.
        identity: Name<'a>,
        /// The role it is bound to.
        role: Name<'a>,
    },
    /// `DROP IDENTITY i`.
    DropIdentity {
        /// The identity.
        identity: Name<'a>,
    },
}

/// What a GRANT or a REVOKE of permissions says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Which permissions; `None` for ALL.
    pub permissions: Option<Permissions>,
    /// On what.
    pub on: NamedResource<'a>,
    /// The role that gets or loses them.
    pub role: Name<'a>,
}

/// A resource as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedResource<'a> {
    /// A table or view. Without a keyspace it takes the session's.
    Table(TableName<'a>),
    /// Anything else; all of these name their keyspace.
    Other(Resource<'a>),
}

impl NamedResource<'_> {
    /// The permissions that can be held on it, in Cassandra's order.
    pub const fn applicable(&self) -> &'static [Permission] {
        match self {
            Self::Table(_) => {
                Resource::Table { keyspace: Cow::Borrowed(""), table: Cow::Borrowed("") }.applicable()
            }
            Self::Other(resource) => resource.applicable(),
        }
    }

    /// Whether it takes the session's keyspace.
    pub const fn is_unqualified(&self) -> bool {
        matches!(self, Self::Table(TableName { keyspace: None, .. }))
    }
}

/// Which options CREATE ROLE or ALTER ROLE gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleOptions {
    /// `SUPERUSER = ..`.
    pub superuser: Option<bool>,
    /// `LOGIN = ..`.
    pub login: Option<bool>,
    /// The form of the password that is given, if one is.
    pub password: Option<PasswordForm>,
    /// Whether `OPTIONS = {..}` is given.
    pub options: bool,
    /// Whether `ACCESS TO .. DATACENTERS` is given.
    pub datacenters: bool,
    /// Whether `ACCESS FROM .. CIDRS` is given.
    pub cidrs: bool,
}

/// How a password is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordForm {
    /// `PASSWORD`.
    Clear,
    /// `HASHED PASSWORD` (4.1).
    Hashed,
}

impl Access<'_> {
    /// The kind of the statement.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::CreateRole { .. } => Kind::CreateRole,
            Self::AlterRole { .. } => Kind::AlterRole,
            Self::DropRole { .. } => Kind::DropRole,
            Self::GrantRole { .. } | Self::Grant(_) => Kind::Grant,
            Self::RevokeRole { .. } | Self::Revoke(_) => Kind::Revoke,
            Self::ListRoles { .. } | Self::ListUsers => Kind::ListRoles,
            Self::ListPermissions { .. } => Kind::ListPermissions,
            Self::AddIdentity { .. } => Kind::CreateIdentity,
            Self::DropIdentity { .. } => Kind::DropIdentity,
        }
    }

    /// Whether a name in it takes the session's keyspace.
    pub(crate) fn is_unqualified(&self) -> bool {
        match self {
            Self::Grant(grant) | Self::Revoke(grant) => grant.on.is_unqualified(),
            Self::ListPermissions { on, .. } => on.as_ref().is_some_and(NamedResource::is_unqualified),
            _ => false,
        }
    }
}
