//! What must be known of a cluster to say what a statement needs. Names are internal names.

use std::sync::Arc;

use super::keyword::Release;

/// What is known of a cluster. Whoever implements it answers from memory; what has to be asked for first is
/// answered by [`Role::NotAsked`] and [`Identity::NotAsked`].
pub trait Schema {
    /// Whether a keyspace exists.
    fn has_keyspace(&self, keyspace: &str) -> bool;
    /// A table or view.
    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>>;
    /// The functions and aggregates of that name, whatever their arguments.
    fn functions(&self, keyspace: &str, name: &str) -> &[Function];
    /// The table that an index is on, in the index's keyspace.
    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str>;
    /// The type of a field of a user type, in canonical form.
    fn field_type(&self, keyspace: &str, user_type: &str, field: &str) -> Option<&str>;
    /// A role of Cassandra's.
    fn role(&self, role: &str) -> Role;
    /// What an identity of `system_auth.identity_to_role` is bound to.
    fn identity(&self, identity: &str) -> Identity<'_>;
    /// The role that the gateway itself logs in with.
    fn own_role(&self) -> Option<&str>;
    /// The release of the cluster: older ones lack a level of resources and some permissions.
    fn release(&self) -> Release {
        Release::default()
    }
}

/// A table or a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'s> {
    /// Which of them.
    pub kind: RelationKind<'s>,
    /// Its columns, sorted by name.
    pub columns: &'s [Column],
    /// Whether any of its columns is masked.
    pub masked: bool,
}

impl<'s> Relation<'s> {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&'s Column> {
        let columns = self.columns;
        columns.binary_search_by(|column| (*column.name).cmp(name)).ok().and_then(|at| columns.get(at))
    }
}

/// A table with its views, or a view with its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind<'s> {
    /// A table.
    Table {
        /// The views on it, all in its keyspace.
        views: &'s [String],
    },
    /// A materialized view.
    View {
        /// The table it is made of, in the same keyspace.
        base: &'s str,
    },
}

/// A column of a table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// Its type in canonical form ([`crate::cql::canonical_type`]).
    pub cql_type: Arc<str>,
    /// Whether it is part of the primary key.
    pub is_key: bool,
    /// Whether it is shown masked to whoever lacks UNMASK.
    pub is_masked: bool,
}

/// A function or an aggregate: one overload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The types of its arguments in canonical form.
    pub arguments: Box<[Box<str>]>,
    /// The type it returns, in canonical form.
    pub returns: Box<str>,
    /// What it is made of, if it is an aggregate.
    pub aggregate: Option<Aggregate>,
}

/// The functions of an aggregate, in its own keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Called with the state and the arguments.
    pub state_function: Box<str>,
    /// The type of the state, in canonical form.
    pub state_type: Box<str>,
    /// Called with the state at the end.
    pub final_function: Option<Box<str>>,
}

/// What is known of a role of Cassandra's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody has asked yet: [`crate::cql::Refusal::AskRole`].
    NotAsked,
    /// It was asked for, and the gateway's account may not know.
    Unreadable,
    /// There is no such role.
    Missing,
    /// A role without superuser status, its own or through roles granted to it.
    Plain,
    /// A superuser, by itself or through a role granted to it.
    Superuser,
}

/// What an identity is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'s> {
    /// Nobody has asked yet: [`crate::cql::Refusal::AskIdentity`].
    NotAsked,
    /// It was asked for, and the gateway's account may not know.
    Unreadable,
    /// To no role.
    Unbound,
    /// To this role.
    Bound(&'s str),
}
