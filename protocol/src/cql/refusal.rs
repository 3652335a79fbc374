//! Why a statement is refused whoever asks, in Cassandra's words where Cassandra has some.

use std::fmt;

use super::need::Unseen;
use super::permission::Permission;
use super::resource::Resource;

/// Why a statement is refused before any policy is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A name lacks its keyspace, and none is in use.
    NoKeyspace,
    /// The keyspace does not exist.
    UnknownKeyspace(String),
    /// The table does not exist.
    UnknownTable {
        /// Its keyspace, which exists.
        keyspace: String,
        /// The table.
        table: String,
    },
    /// The column does not exist.
    UnknownColumn {
        /// The keyspace of its table.
        keyspace: String,
        /// The table, which exists.
        table: String,
        /// The column.
        column: String,
    },
    /// No function of that name exists, native or not.
    UnknownFunction {
        /// Where it could have been.
        keyspace: String,
        /// The function as the statement names it.
        name: String,
        /// It is called in a value, not in a selection: a node words it differently.
        in_value: bool,
    },
    /// Nobody changes the definition of what is in this keyspace.
    SystemKeyspace(String),
    /// Nobody does this to a system keyspace that the nodes share.
    SystemResource(Permission, Resource<'static>),
    /// Nobody is granted this on a system keyspace.
    SystemGrant,
    /// Nobody makes functions in a keyspace that every node has for itself: INVALID there.
    SystemFunction(String),
    /// Cassandra keeps this for superusers, whom nobody is through the gateway. Its own words.
    Superuser(&'static str),
    /// It changes the role that the gateway itself logs in with.
    OwnRole(String),
    /// Whether a role is a superuser cannot be known: the gateway's account may not read `system_auth`.
    RolesUnreadable,
    /// It must be known first what this role is; never told to a client.
    AskRole(String),
    /// It must be known first which role this identity is bound to; never told to a client.
    AskIdentity(String),
}

impl Refusal {
    /// The code of the ERROR frame: 0x2000 (syntax), 0x2100 (unauthorized) or 0x2200 (invalid).
    pub const fn code(&self) -> u32 {
        match self {
            Self::SystemKeyspace(_)
            | Self::SystemResource(..)
            | Self::SystemGrant
            | Self::Superuser(_)
            | Self::OwnRole(_)
            | Self::RolesUnreadable
            | Self::AskRole(_)
            | Self::AskIdentity(_) => 0x2100,
            Self::NoKeyspace
            | Self::UnknownKeyspace(_)
            | Self::UnknownTable { .. }
            | Self::UnknownColumn { .. }
            | Self::UnknownFunction { .. }
            | Self::SystemFunction(_) => 0x2200,
        }
    }

    /// The name that the schema did not know, if that is why: worth one look-up before it is believed.
    pub fn unseen(&self) -> Option<Unseen> {
        Some(match self.clone() {
            Self::UnknownKeyspace(keyspace) => Unseen::Keyspace(keyspace),
            Self::UnknownTable { keyspace, table } => Unseen::Table { keyspace, table },
            Self::UnknownColumn { keyspace, table, column } => Unseen::Column { keyspace, table, column },
            Self::UnknownFunction { keyspace, name, .. } => {
                // The statement may have named it with its keyspace.
                let bare = name.strip_prefix(&*keyspace).and_then(|name| name.strip_prefix('.'));
                Unseen::Function { name: bare.unwrap_or(&name).to_owned(), keyspace }
            }
            _ => return None,
        })
    }
}

/// What the client reads, in Cassandra's words where Cassandra has some.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeyspace => f.write_str(
                "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename",
            ),
            Self::UnknownKeyspace(keyspace) => write!(f, "keyspace {keyspace} does not exist"),
            Self::UnknownTable { table, .. } => write!(f, "table {table} does not exist"),
            Self::SystemKeyspace(keyspace) => write!(f, "{keyspace} keyspace is not user-modifiable."),
            Self::SystemResource(permission, resource) => write!(f, "Cannot {permission} {resource}"),
            Self::UnknownColumn { keyspace, table, column } => {
                write!(f, "Undefined column name {column} in table {keyspace}.{table}")
            }
            Self::UnknownFunction { name, in_value: false, .. } => write!(f, "Unknown function '{name}'"),
            Self::UnknownFunction { name, in_value: true, .. } => write!(f, "Unknown function {name} called"),
            Self::SystemGrant => f.write_str(
                "Granting permissions on system keyspaces is strictly limited, this operation is not permitted",
            ),
            Self::SystemFunction(keyspace) => {
                write!(f, "System keyspace '{keyspace}' is not user-modifiable")
            }
            Self::Superuser(words) => {
                write!(f, "{words} (nobody is one through cqlgate: connect to Cassandra directly)")
            }
            Self::OwnRole(role) => write!(
                f,
                "cqlgate's own role {role} is not changed through cqlgate: connect to Cassandra directly"
            ),
            Self::RolesUnreadable | Self::AskRole(_) | Self::AskIdentity(_) => f.write_str(
                "cqlgate cannot tell whether this concerns a superuser: its account needs SELECT on \
                 system_auth.roles, role_members and identity_to_role",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_not_known_is_looked_up() {
        let (keyspace, table, column) = ("k".to_owned(), "t".to_owned(), "c".to_owned());
        let function = |name: &str| Refusal::UnknownFunction {
            keyspace: "k".to_owned(),
            name: name.to_owned(),
            in_value: false,
        };
        let meant = Unseen::Function { keyspace: keyspace.clone(), name: "f".to_owned() };
        for (refusal, unseen) in [
            (Refusal::UnknownKeyspace(keyspace.clone()), Some(Unseen::Keyspace(keyspace.clone()))),
            (
                Refusal::UnknownTable { keyspace: keyspace.clone(), table: table.clone() },
                Some(Unseen::Table { keyspace: keyspace.clone(), table: table.clone() }),
            ),
            (
                Refusal::UnknownColumn {
                    keyspace: keyspace.clone(),
                    table: table.clone(),
                    column: column.clone(),
                },
                Some(Unseen::Column { keyspace, table, column }),
            ),
            (function("k.f"), Some(meant.clone())),
            (function("f"), Some(meant)),
            // Nothing that is looked up would change these.
            (Refusal::NoKeyspace, None),
            (Refusal::SystemGrant, None),
        ] {
            assert_eq!(refusal.unseen(), unseen, "{refusal}");
        }
    }
}
