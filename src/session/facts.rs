//! What was asked of the cluster for one statement.
//!
//! Roles and identities change without an event, so what a statement about them needs is asked for each time
//! and believed for that statement only.

use cqlgate_protocol::cql::{Function, Identity, Relation, Release, Role, Schema};

use crate::upstream::{FoundIdentity, SchemaSnapshot};

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub roles: Vec<(String, Role)>,
    pub identities: Vec<(String, FoundIdentity)>,
}

impl Facts {
    /// How much was asked.
    pub(super) fn len(&self) -> usize {
        self.roles.len() + self.identities.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The schema cache, and what was asked besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'s> {
    pub schema: &'s SchemaSnapshot,
    pub facts: &'s Facts,
    pub own_role: &'s str,
}

impl Schema for Known<'_> {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        self.schema.has_keyspace(keyspace)
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        self.schema.relation(keyspace, name)
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        self.schema.functions(keyspace, name)
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        self.schema.index_table(keyspace, index)
    }

    fn field_type(&self, keyspace: &str, user_type: &str, field: &str) -> Option<&str> {
        self.schema.field_type(keyspace, user_type, field)
    }

    fn role(&self, role: &str) -> Role {
        let found = self.facts.roles.iter().find(|(name, _)| name == role);
        found.map_or(Role::NotAsked, |(_, found)| *found)
    }

    fn identity(&self, identity: &str) -> Identity<'_> {
        match self.facts.identities.iter().find(|(name, _)| name == identity) {
            None => Identity::NotAsked,
            Some((_, FoundIdentity::Unreadable)) => Identity::Unreadable,
            Some((_, FoundIdentity::Unbound)) => Identity::Unbound,
            Some((_, FoundIdentity::Bound(role))) => Identity::Bound(role),
        }
    }

    fn own_role(&self) -> Option<&str> {
        Some(self.own_role)
    }

    fn release(&self) -> Release {
        self.schema.release()
    }
}
