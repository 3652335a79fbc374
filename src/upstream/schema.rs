//! What is known of a cluster's schema: immutable snapshots, each with a generation of its own.
//!
//! Only what judging a statement needs is kept. Everything is in persistent maps, so that a snapshot shares
//! with the one before it whatever has not changed: one table of 100,000 is patched without a look at the
//! others.

use std::sync::Arc;

use cqlgate_protocol::cql::{Column, Function, Identity, Relation, RelationKind, Release, Role, Schema};
use rpds::HashTrieMapSync;

/// The schema at one moment. Names are internal names.
#[derive(Clone, Debug, Default)]
pub struct SchemaSnapshot {
    generation: u64,
    release: Release,
    keyspaces: Keyspaces,
}

/// Things by their names.
pub(super) type ByName<V> = HashTrieMapSync<Arc<str>, V>;

/// Keyspaces by name.
pub(super) type Keyspaces = ByName<Arc<Keyspace>>;

/// What is in one keyspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keyspace {
    /// Of virtual tables: fixed in the node.
    pub(super) is_virtual: bool,
    /// Tables and materialized views: they share one space of names.
    pub(super) relations: ByName<Arc<Stored>>,
    /// Functions and aggregates by name, sorted by their arguments.
    pub(super) functions: ByName<Arc<[Function]>>,
    /// The table of each index.
    pub(super) indexes: ByName<Arc<str>>,
    /// User types.
    pub(super) types: ByName<Arc<[Field]>>,
}

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) kind: StoredKind,
    /// Sorted by name.
    pub(super) columns: Box<[Column]>,
    /// The indexes on it, sorted.
    pub(super) indexes: Box<[Arc<str>]>,
    /// Whether it has a mask of its own.
    pub(super) masked: bool,
}

/// Which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredKind {
    /// With its views, sorted.
    Table { views: Box<[String]> },
    /// With its base.
    View { base: Arc<str> },
}

/// A field of a user type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    /// In canonical form.
    pub(super) cql_type: Arc<str>,
}

impl SchemaSnapshot {
    pub(super) const fn new(generation: u64, release: Release, keyspaces: Keyspaces) -> Self {
        Self { generation, release, keyspaces }
    }

    /// The same on nodes of a release.
    #[cfg(test)]
    pub(crate) fn of(self, release: Release) -> Self {
        Self { release, ..self }
    }

    /// Grows by one with every change; 0 as long as the schema has not been read at all.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The release of the node that the schema was read from: it decides what is a keyword. The newest that
    /// is known as long as the node did not say.
    pub const fn release(&self) -> Release {
        self.release
    }

    /// Tables and views, system ones too.
    pub fn tables(&self) -> usize {
        self.keyspaces.values().map(|keyspace| keyspace.relations.size()).sum()
    }

    pub(super) const fn keyspaces(&self) -> &Keyspaces {
        &self.keyspaces
    }

    /// Whether there is such a user type.
    pub(super) fn has_type(&self, keyspace: &str, name: &str) -> bool {
        self.keyspaces.get(keyspace).is_some_and(|keyspace| keyspace.types.contains_key(name))
    }
}

impl Schema for SchemaSnapshot {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        self.keyspaces.contains_key(keyspace)
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        let keyspace = self.keyspaces.get(keyspace)?;
        let stored = keyspace.relations.get(name)?;
        let (kind, masked) = match &stored.kind {
            StoredKind::Table { views } => (RelationKind::Table { views }, stored.masked),
            StoredKind::View { base } => {
                // A view of a masked table is masked, whatever is said of itself.
                let base_masked = keyspace.relations.get(base).is_none_or(|base| base.masked);
                (RelationKind::View { base }, stored.masked || base_masked)
            }
        };
        Some(Relation { kind, columns: &stored.columns, masked })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        let keyspace = self.keyspaces.get(keyspace);
        keyspace.and_then(|keyspace| keyspace.functions.get(name)).map_or(&[], |functions| &**functions)
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        self.keyspaces.get(keyspace)?.indexes.get(index).map(|table| &**table)
    }

    fn field_type(&self, keyspace: &str, user_type: &str, field: &str) -> Option<&str> {
        let fields = self.keyspaces.get(keyspace)?.types.get(user_type)?;
        fields.iter().find(|of| &*of.name == field).map(|of| &*of.cql_type)
    }

    /// No event tells of roles, so none is kept: [`super::Cluster::look_up_role`].
    fn role(&self, _: &str) -> Role {
        Role::NotAsked
    }

    /// As with roles: [`super::Cluster::look_up_identity`].
    fn identity(&self, _: &str) -> Identity<'_> {
        Identity::NotAsked
    }

    /// Known to [`super::Cluster::own_role`].
    fn own_role(&self) -> Option<&str> {
        None
    }

    fn release(&self) -> Release {
        self.release
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::{KEYSPACE, draft};
    use super::*;

    #[test]
    fn rows_are_put_together() {
        let (keyspaces, _) = draft().build(&Keyspaces::new_sync());
        let schema = SchemaSnapshot::new(3, Release::V4_1, keyspaces);
        assert!(schema.has_keyspace("k") && !schema.has_keyspace("K"));
        let relation = schema.relation("k", "t").unwrap();
        assert_eq!(relation.kind, RelationKind::Table { views: &["v".into(), "w".into()] });
        assert!(!relation.masked);
        let columns: Vec<_> =
            relation.columns.iter().map(|c| (&*c.name, &*c.cql_type, c.is_key, c.is_masked)).collect();
        assert_eq!(
            columns,
            [
                ("a", "int", true, false),
                ("b", "map<text, list<addr>>", false, false),
                ("z", "text", true, false)
            ]
        );
        let masked = schema.relation("k", "u").unwrap();
        assert!(masked.masked && masked.column("s").is_some_and(|c| c.is_masked && !c.is_key));
        assert!(masked.column("a").is_some_and(|c| !c.is_masked));
        let view = schema.relation("k", "x").unwrap();
        assert_eq!(view.kind, RelationKind::View { base: "u" });
        assert!(view.masked, "a view of a masked table");
        assert!(schema.relation("k", "y").is_none() && schema.relation("l", "t").is_none());
        assert!(schema.relation("k", "half").is_none(), "columns without a table");
        let functions = schema.functions("k", "f");
        let arguments: Vec<_> = functions.iter().map(|f| f.arguments.join(" ")).collect();
        assert_eq!(arguments, ["", "text list<int>"]);
        assert!(functions.iter().all(|f| f.aggregate.is_none() && &*f.returns == "int"));
        let aggregate = schema.functions("k", "sum")[0].aggregate.clone().unwrap();
        assert_eq!((&*aggregate.state_function, &*aggregate.state_type), ("f", "text"));
        assert_eq!(aggregate.final_function.as_deref(), Some("g"));
        assert!(schema.functions("k", "g").is_empty());
        assert_eq!((schema.index_table("k", "i"), schema.index_table("k", "j")), (Some("t"), None));
        assert_eq!(schema.field_type("k", "addr", "street"), Some("text"));
        assert_eq!(schema.field_type("k", "addr", "town").or(schema.field_type("k", "ad", "street")), None);
        assert!(schema.has_type("k", "addr") && !schema.has_type("k", "ad"));
        assert!(schema.relation("virtual", "t").unwrap().column("a").unwrap().is_key);
        assert_eq!((schema.tables(), schema.generation(), schema.release()), (6, 3, Release::V4_1));
        assert_eq!(schema.keyspaces().get(KEYSPACE).unwrap().relations.size(), 5);
    }
}
