//! What one line of a policy says, resolved and checked: the form that everything behind the parser uses.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cqlgate_protocol::cql::{Permission, Resource, is_system_keyspace};

use super::lexer::At;
use super::mbean;
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
    Table {
        keyspace: Name,
        table: Name,
    },
    AllFunctions,
    FunctionsIn(Name),
    /// A function or aggregate; the types of its arguments in canonical form, joined by `, `.
    Function {
        keyspace: Name,
        name: Name,
        arguments: Box<str>,
    },
    AllRoles,
    Role(Name),
    AllMbeans,
    /// One, or those of a pattern in JMX's sense.
    Mbean(Box<str>),
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
    /// All that apply to a resource.
    pub(super) fn applicable(scope: &Scope) -> Self {
        scope.stand_in().applicable().iter().copied().collect()
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
            (
                Self::AllKeyspaces,
                Self::AllKeyspaces | Self::Keyspace(_) | Self::AllTables(_) | Self::Table { .. },
            )
            | (Self::AllFunctions, Self::AllFunctions | Self::FunctionsIn(_) | Self::Function { .. })
            | (Self::AllRoles, Self::AllRoles | Self::Role(_))
            | (Self::AllMbeans, Self::AllMbeans | Self::Mbean(_)) => true,
            (Self::Keyspace(a), Self::Keyspace(b) | Self::AllTables(b) | Self::Table { keyspace: b, .. })
            | (Self::AllTables(a), Self::AllTables(b) | Self::Table { keyspace: b, .. })
            | (Self::FunctionsIn(a), Self::FunctionsIn(b) | Self::Function { keyspace: b, .. })
            | (Self::Role(a), Self::Role(b)) => a.covers(b),
            (Self::Table { keyspace: a, table: s }, Self::Table { keyspace: b, table: t }) => {
                a.covers(b) && s.covers(t)
            }
            (
                Self::Function { keyspace: a, name: s, arguments },
                Self::Function { keyspace: b, name: t, arguments: types },
            ) => a.covers(b) && s.covers(t) && arguments == types,
            (Self::Mbean(a), Self::Mbean(b)) => a == b,
            _ => false,
        }
    }

    /// The keyspace's name, if it is data or functions of one.
    pub(super) fn keyspace(&self) -> Option<&Name> {
        match self {
            Self::Keyspace(k)
            | Self::AllTables(k)
            | Self::Table { keyspace: k, .. }
            | Self::FunctionsIn(k)
            | Self::Function { keyspace: k, .. } => Some(k),
            _ => None,
        }
    }

    /// The permissions on it that Cassandra lets anybody use. In its own keyspaces nobody changes definitions,
    /// but for the replication of those that the nodes share; and nobody is granted more there than SELECT
    /// and ALTER, but for virtual tables.
    pub(super) fn possible(&self) -> Permissions {
        let applicable = Permissions::applicable(self);
        let Some(Name::Exact(keyspace)) = self.keyspace().filter(|_| self.is_data()) else {
            return applicable;
        };
        let definitions = [Permission::Create, Permission::Alter, Permission::Drop].into_iter().collect();
        match &*keyspace.to_ascii_lowercase() {
            "system_views" | "system_virtual_schema" => applicable.without(definitions),
            "system_auth" | "system_traces" | "system_distributed" if matches!(self, Self::Keyspace(_)) => {
                [Permission::Select, Permission::Alter].into_iter().collect()
            }
            keyspace if is_system(keyspace) => [Permission::Select].into_iter().collect(),
            _ => applicable,
        }
    }

    /// Does it hold data: is it ALL KEYSPACES or below?
    pub(super) fn is_data(&self) -> bool {
        matches!(self, Self::AllKeyspaces | Self::Keyspace(_) | Self::AllTables(_) | Self::Table { .. })
    }

    /// The resource of the same level, its patterns taken as names.
    fn stand_in(&self) -> Resource<'_> {
        let name = |name: &'_ Name| Cow::Owned(name.as_str().to_owned());
        match self {
            Self::AllKeyspaces => Resource::AllKeyspaces,
            Self::Keyspace(k) => Resource::Keyspace(name(k)),
            Self::AllTables(k) => Resource::AllTables(name(k)),
            Self::Table { keyspace, table } => {
                Resource::Table { keyspace: name(keyspace), table: name(table) }
            }
            Self::AllFunctions => Resource::AllFunctions,
            Self::FunctionsIn(k) => Resource::FunctionsIn(name(k)),
            Self::Function { keyspace, name: f, arguments } => Resource::Function {
                keyspace: name(keyspace),
                name: name(f),
                arguments: Cow::Borrowed(arguments),
            },
            Self::AllRoles => Resource::AllRoles,
            Self::Role(r) => Resource::Role(name(r)),
            Self::AllMbeans => Resource::AllMbeans,
            Self::Mbean(m) => Resource::Mbean(Cow::Borrowed(m)),
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

/// As a policy and Cassandra write it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllKeyspaces => f.write_str("ALL KEYSPACES"),
            Self::Keyspace(k) => write!(f, "KEYSPACE {k}"),
            Self::AllTables(k) => write!(f, "ALL TABLES IN KEYSPACE {k}"),
            Self::Table { keyspace, table } => write!(f, "TABLE {keyspace}.{table}"),
            Self::AllFunctions => f.write_str("ALL FUNCTIONS"),
            Self::FunctionsIn(k) => write!(f, "ALL FUNCTIONS IN KEYSPACE {k}"),
            Self::Function { keyspace, name, arguments } => {
                write!(f, "FUNCTION {keyspace}.{name}({arguments})")
            }
            Self::AllRoles => f.write_str("ALL ROLES"),
            // Between other marks a * is no pattern.
            Self::Role(Name::Exact(r)) if r.contains('*') => write!(f, "ROLE '{}'", r.replace('\'', "''")),
            Self::Role(r) => write!(f, "ROLE {r}"),
            Self::AllMbeans => f.write_str("ALL MBEANS"),
            Self::Mbean(m) => {
                let word = if mbean::is_pattern(m) { "MBEANS" } else { "MBEAN" };
                write!(f, "{word} '{}'", m.replace('\'', "''"))
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
