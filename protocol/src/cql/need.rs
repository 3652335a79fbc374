//! What must be permitted for a statement to run, with the reason, and what is said if it is not.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::permission::Permission;
use super::refusal::Refusal;
use super::resource::Resource;

/// One thing that must be permitted for a statement to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// The permission.
    pub permission: Permission,
    /// Another permission on the same resource that does as well.
    pub or: Option<Permission>,
    /// On what.
    pub resource: Resource<'a>,
    /// What Cassandra says where it is missing.
    pub words: Words<'a>,
    /// Why the statement needs it, for people: "reads the table", "a conditional write reads".
    pub why: &'static str,
}

/// What Cassandra says to a role that lacks a permission (0x2100).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words<'a> {
    /// `User u has no P permission on <R> or any of its parents`
    Missing,
    /// `User u does not have sufficient privileges to perform the requested operation`: roles and
    /// identities.
    Privileges,
    /// `User u has no UNMASK nor SELECT_MASKED permission on table k.t, cannot query masked columns [c, d]`
    MaskedColumns(Cow<'a, str>),
    /// `You are not authorized to view everyone's permissions`
    PermissionsOfAll,
    /// `You are not authorized to view r's permissions`
    PermissionsOf(Cow<'a, str>),
    /// `You are not authorized to view roles granted to r ` (with the space).
    RolesOf(Cow<'a, str>),
}

impl<'a> Need<'a> {
    /// A need that is refused in the usual words.
    pub const fn new(permission: Permission, resource: Resource<'a>, why: &'static str) -> Self {
        Self { permission, or: None, resource, words: Words::Missing, why }
    }

    /// The same, refused in other words.
    #[must_use]
    pub fn saying(self, words: Words<'a>) -> Self {
        Self { words, ..self }
    }

    /// The same need, owning its names.
    pub fn into_owned(self) -> Need<'static> {
        let owned = |name: Cow<'a, str>| Cow::Owned(name.into_owned());
        Need {
            permission: self.permission,
            or: self.or,
            resource: self.resource.into_owned(),
            words: match self.words {
                Words::Missing => Words::Missing,
                Words::Privileges => Words::Privileges,
                Words::MaskedColumns(columns) => Words::MaskedColumns(owned(columns)),
                Words::PermissionsOfAll => Words::PermissionsOfAll,
                Words::PermissionsOf(role) => Words::PermissionsOf(owned(role)),
                Words::RolesOf(role) => Words::RolesOf(owned(role)),
            },
            why: self.why,
        }
    }

    /// What Cassandra says to `user`, who lacks the permission.
    pub fn refusal<'s>(&'s self, user: &'s str) -> impl fmt::Display + use<'s, 'a> {
        Missing { need: self, user }
    }
}

struct Missing<'s, 'a> {
    need: &'s Need<'a>,
    user: &'s str,
}

impl fmt::Display for Missing<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { need: Need { permission, resource, words, .. }, user } = self;
        match (words, resource) {
            (Words::MaskedColumns(columns), Resource::Table { keyspace, table }) => write!(
                f,
                "User {user} has no UNMASK nor SELECT_MASKED permission on table {keyspace}.{table}, \
                 cannot query masked columns [{columns}]"
            ),
            (Words::Missing | Words::MaskedColumns(_), resource) => {
                write!(f, "User {user} has no {permission} permission on {resource} or any of its parents")
            }
            (Words::Privileges, _) => {
                write!(
                    f,
                    "User {user} does not have sufficient privileges to perform the requested operation"
                )
            }
            (Words::PermissionsOfAll, _) => {
                f.write_str("You are not authorized to view everyone's permissions")
            }
            (Words::PermissionsOf(role), _) => {
                write!(f, "You are not authorized to view {role}'s permissions")
            }
            (Words::RolesOf(role), _) => {
                write!(f, "You are not authorized to view roles granted to {role} ")
            }
        }
    }
}

/// Needs in the order in which Cassandra checks them. Common statements have one or two.
pub type NeedList<'a> = SmallVec<[Need<'a>; 2]>;

/// All that decides whether a statement may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs<'a> {
    /// Each must be permitted; Cassandra checks them in this order.
    pub needs: NeedList<'a>,
    /// What the statement names besides (a view that is read by its base, a keyspace that is made): nobody
    /// needs a permission on it, but whoever is denied this there is refused.
    pub named: SmallVec<[Need<'a>; 1]>,
    /// What is said to everybody who has the needs, because nobody may do it through the gateway.
    pub refusal: Option<Refusal>,
    /// A name that the schema does not know, and without which less is needed: Cassandra asks for nothing where
    /// what is dropped is not there. Worth one look-up, since it may have been made a moment ago.
    pub unseen: Option<Unseen>,
}

/// A name that the schema does not know. Names are internal names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unseen {
    /// A keyspace.
    Keyspace(String),
    /// A table or view.
    Table {
        /// Its keyspace.
        keyspace: String,
        /// Its name.
        table: String,
    },
    /// A column of a table or view that is known.
    Column {
        /// The keyspace of its table.
        keyspace: String,
        /// The table.
        table: String,
        /// Its name.
        column: String,
    },
    /// A function or aggregate, with any arguments.
    Function {
        /// Its keyspace.
        keyspace: String,
        /// Its name.
        name: String,
    },
    /// An index.
    Index {
        /// Its keyspace.
        keyspace: String,
        /// Its name.
        name: String,
    },
}

impl<'a> Needs<'a> {
    /// One need.
    pub fn one(need: Need<'a>) -> Self {
        Self { needs: SmallVec::from_iter([need]), ..Self::default() }
    }

    /// Adds a need, unless it is among the first already: batches repeat themselves.
    pub fn add(&mut self, need: Need<'a>) {
        /// So many are compared with later ones.
        const COMPARED: usize = 32;
        if !self.needs.iter().take(COMPARED).any(|other| *other == need) {
            self.needs.push(need);
        }
    }
}
