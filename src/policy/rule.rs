//! What one line of a policy says, resolved and checked: the form that everything behind the parser uses.

use std::fmt;
use std::sync::Arc;

use cqlgate_protocol::cql::{Permission, is_system_keyspace};

use super::lexer::At;
use super::pattern::Name;
use crate::directory::state::{PinKind, PinName};

/// GRANT or DENY of some permissions on a resource to somebody.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) effect: Effect,
    pub(super) permissions: Permissions,
    pub(super) scope: Scope,
    pub(super) grantee: Grantee,
    pub(super) file: Arc<str>,
    /// Where the statement begins.
    pub(super) at: At,
    /// Where its resource begins.
    pub(super) scope_at: At,
    /// Where its grantee begins.
    pub(super) grantee_at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Grant,
    Deny,
}

/// A resource of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    AllKeyspaces,
    Keyspace(Name),
    AllTables(Name),
    Table { keyspace: Name, table: Name },
}

/// Whom a rule reaches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grantee {
    /// Everybody who may log in to the cluster, or those of one identity.
    Everyone { identity: Option<Arc<str>> },
    /// A user or group by the name that is pinned to a SCIM id.
    Named(PinName),
    /// A configured workload.
    Service { identity: Arc<str>, name: Arc<str> },
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Permissions(u16);

impl Permissions {
    /// All that apply to data resources; CREATE does not apply to a table.
    pub(super) fn applicable(scope: &Scope) -> Self {
        let table = matches!(scope, Scope::Table { .. });
        Permission::ALL
            .into_iter()
            .filter(|p| match p {
                Permission::Create => !table,
                Permission::Describe | Permission::Execute => false,
                _ => true,
            })
            .collect()
    }

    pub(super) fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    pub(super) fn add(&mut self, permission: Permission) {
        self.0 |= bit(permission);
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |p| self.has(*p))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut set = Self::default();
        permissions.into_iter().for_each(|p| set.add(p));
        set
    }
}

fn bit(permission: Permission) -> u16 {
    1 << permission as u16
}

impl Scope {
    /// Is it `other`, or one of its parents, for every name that `other` may mean?
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AllKeyspaces, _) => true,
            (Self::Keyspace(a), Self::Keyspace(b) | Self::AllTables(b) | Self::Table { keyspace: b, .. })
            | (Self::AllTables(a), Self::AllTables(b) | Self::Table { keyspace: b, .. }) => a.covers(b),
            (Self::Table { keyspace: a, table: s }, Self::Table { keyspace: b, table: t }) => {
                a.covers(b) && s.covers(t)
            }
            _ => false,
        }
    }

    /// The keyspace's name, if there is one.
    pub(super) fn keyspace(&self) -> Option<&Name> {
        match self {
            Self::AllKeyspaces => None,
            Self::Keyspace(k) | Self::AllTables(k) | Self::Table { keyspace: k, .. } => Some(k),
        }
    }
}

impl Grantee {
    /// Does a rule for it reach everybody whom a rule for `other` reaches?
    pub(super) fn covers(&self, other: &Self) -> bool {
        match self {
            Self::Everyone { identity: None } => true,
            Self::Everyone { identity: Some(identity) } => other.identity() == Some(identity),
            _ => self == other,
        }
    }

    fn identity(&self) -> Option<&Arc<str>> {
        match self {
            Self::Everyone { identity } => identity.as_ref(),
            Self::Named(pin) => Some(&pin.identity),
            Self::Service { identity, .. } => Some(identity),
        }
    }
}

/// As a policy writes it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllKeyspaces => f.write_str("ALL KEYSPACES"),
            Self::Keyspace(k) => write!(f, "KEYSPACE \"{}\"", k.as_str()),
            Self::AllTables(k) => write!(f, "ALL TABLES IN KEYSPACE \"{}\"", k.as_str()),
            Self::Table { keyspace, table } => {
                write!(f, "TABLE \"{}\".\"{}\"", keyspace.as_str(), table.as_str())
            }
        }
    }
}

/// As a policy writes it, quotes and control characters escaped.
impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone { identity: None } => f.write_str("EVERYONE"),
            Self::Everyone { identity: Some(identity) } => write!(f, "EVERYONE OF {identity:?}"),
            Self::Named(PinName { identity, kind: PinKind::User, name }) => {
                write!(f, "USER {name:?} OF {identity:?}")
            }
            Self::Named(PinName { identity, kind: PinKind::Group, name }) => {
                write!(f, "GROUP {name:?} OF {identity:?}")
            }
            Self::Service { identity, name } => write!(f, "SERVICE {name:?} OF {identity:?}"),
        }
    }
}

/// Cassandra's own keyspaces, also those of the release after 5.0. A GRANT reaches them only by their exact
/// name.
pub(super) fn is_system(keyspace: &str) -> bool {
    const LATER: [&str; 2] = ["system_cluster_metadata", "system_accord"];
    is_system_keyspace(keyspace) || LATER.iter().any(|name| name.eq_ignore_ascii_case(keyspace))
}
