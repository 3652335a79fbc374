//! What is known of a cluster's schema: immutable snapshots, each with a generation of its own.
//!
//! Only what judging a statement needs is kept: which keyspaces, tables, views and functions there are,
//! which view belongs to which table, which index to which table, and what is masked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cqlgate_protocol::cql::{Function, Identity, Relation, RelationKind, Release, Role, Schema};
use cqlgate_protocol::wire::response::{Change, SchemaChange, Target};

/// The schema at one moment. Names are internal names.
#[derive(Debug, Default)]
pub struct SchemaSnapshot {
    generation: u64,
    keyspaces: Keyspaces,
    release: Release,
}

/// Keyspaces by name.
pub(super) type Keyspaces = HashMap<String, Arc<Keyspace>>;

/// What is in one keyspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keyspace {
    /// Tables, virtual ones too.
    pub(super) tables: BTreeMap<String, Table>,
    /// Materialized views.
    pub(super) views: BTreeMap<String, View>,
    /// Functions and aggregates by name.
    pub(super) functions: BTreeMap<String, Vec<Function>>,
    /// The table of each index.
    pub(super) indexes: BTreeMap<String, String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) views: Vec<String>,
    pub(super) masked: bool,
}

/// A view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) base: String,
    pub(super) masked: bool,
}

impl SchemaSnapshot {
    pub(super) fn new(generation: u64, keyspaces: Keyspaces) -> Self {
        Self { generation, keyspaces, release: Release::default() }
    }

    /// The same on nodes of a release.
    pub(crate) fn of(self, release: Release) -> Self {
        Self { release, ..self }
    }

    /// The release of the node that it was read from: it decides what is a keyword.
    pub const fn release(&self) -> Release {
        self.release
    }

    /// Grows by one with every change; 0 as long as the schema has not been read at all.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Tables and views, system ones too.
    pub fn tables(&self) -> usize {
        self.keyspaces.values().map(|keyspace| keyspace.tables.len() + keyspace.views.len()).sum()
    }

    pub(super) const fn keyspaces(&self) -> &Keyspaces {
        &self.keyspaces
    }
}

impl Schema for SchemaSnapshot {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        self.keyspaces.contains_key(keyspace)
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        let keyspace = self.keyspaces.get(keyspace)?;
        if let Some(table) = keyspace.tables.get(name) {
            let kind = RelationKind::Table { views: &table.views };
            return Some(Relation { kind, columns: &[], masked: table.masked });
        }
        let view = keyspace.views.get(name)?;
        Some(Relation { kind: RelationKind::View { base: &view.base }, columns: &[], masked: view.masked })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        self.keyspaces
            .get(keyspace)
            .and_then(|keyspace| keyspace.functions.get(name))
            .map_or(&[], Vec::as_slice)
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        self.keyspaces.get(keyspace)?.indexes.get(index).map(String::as_str)
    }

    fn field_type(&self, _: &str, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn role(&self, _: &str) -> Role {
        Role::NotAsked
    }

    fn identity(&self, _: &str) -> Identity<'_> {
        Identity::NotAsked
    }

    fn own_role(&self) -> Option<&str> {
        None
    }

    fn release(&self) -> Release {
        self.release
    }
}

/// Rows of the schema tables, as (name, ...) within one keyspace.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) tables: Vec<String>,
    /// View, base.
    pub(super) views: Vec<(String, String)>,
    /// Tables and views with a masked column.
    pub(super) masked: Vec<String>,
    pub(super) functions: Vec<String>,
    /// Index, table.
    pub(super) indexes: Vec<(String, String)>,
}

impl Keyspace {
    /// Puts the rows together. A view of a masked table is masked, whatever is said of itself.
    pub(super) fn build(parts: Parts) -> Self {
        let mut tables: BTreeMap<String, Table> =
            parts.tables.into_iter().map(|name| (name, Table::default())).collect();
        let masked: BTreeSet<String> = parts.masked.into_iter().collect();
        let mut views = BTreeMap::new();
        for (name, base) in parts.views {
            if let Some(table) = tables.get_mut(&base) {
                table.views.push(name.clone());
            }
            let masked = masked.contains(&name) || masked.contains(&base);
            views.insert(name, View { base, masked });
        }
        for (name, table) in &mut tables {
            table.masked = masked.contains(name);
            table.views.sort_unstable();
        }
        Self {
            tables,
            views,
            functions: parts.functions.into_iter().map(|name| (name, vec![unknown()])).collect(),
            indexes: parts.indexes.into_iter().collect(),
        }
    }
}

fn unknown() -> Function {
    Function { arguments: Box::default(), returns: "blob".into(), aggregate: None }
}

/// What changed between two readings, as events would have told it.
pub(super) fn differences(old: &Keyspaces, new: &Keyspaces) -> Vec<SchemaChange> {
    let change =
        |change, keyspace: &str, target| SchemaChange { change, keyspace: keyspace.to_owned(), target };
    let mut changes = Vec::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changes.push(change(Change::Dropped, name, Target::Keyspace));
    }
    for (name, after) in new {
        let Some(before) = old.get(name) else {
            changes.push(change(Change::Created, name, Target::Keyspace));
            changes.extend(
                relations(after).map(|(table, _)| change(Change::Created, name, Target::Table(table.into()))),
            );
            continue;
        };
        if before == after {
            continue;
        }
        let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (relations(before).collect(), relations(after).collect());
        for table in before.keys().filter(|table| !after.contains_key(*table)) {
            changes.push(change(Change::Dropped, name, Target::Table((*table).into())));
        }
        for (table, of) in &after {
            match before.get(table) {
                None => changes.push(change(Change::Created, name, Target::Table((*table).into()))),
                Some(was) if was != of => {
                    changes.push(change(Change::Updated, name, Target::Table((*table).into())));
                }
                Some(_) => {}
            }
        }
    }
    changes
}

#[derive(PartialEq, Eq)]
enum Described<'a> {
    Table(&'a Table),
    View(&'a View),
}

fn relations(keyspace: &Keyspace) -> impl Iterator<Item = (&str, Described<'_>)> {
    let tables = keyspace.tables.iter().map(|(name, table)| (name.as_str(), Described::Table(table)));
    tables.chain(keyspace.views.iter().map(|(name, view)| (name.as_str(), Described::View(view))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyspace() -> Keyspace {
        Keyspace::build(Parts {
            tables: vec!["t".into(), "u".into()],
            views: vec![("w".into(), "t".into()), ("v".into(), "t".into()), ("x".into(), "u".into())],
            masked: vec!["u".into()],
            functions: vec!["f".into(), "f".into()],
            indexes: vec![("i".into(), "t".into())],
        })
    }

    #[test]
    fn rows_are_put_together() {
        let schema = SchemaSnapshot::new(3, [("k".to_owned(), Arc::new(keyspace()))].into());
        assert!(schema.has_keyspace("k") && !schema.has_keyspace("K"));
        let relation = schema.relation("k", "t").unwrap();
        assert_eq!(relation.kind, RelationKind::Table { views: &["v".into(), "w".into()] });
        assert!(!relation.masked);
        let relation = schema.relation("k", "x").unwrap();
        assert_eq!(relation.kind, RelationKind::View { base: "u" });
        assert!(relation.masked, "a view of a masked table");
        assert!(schema.relation("k", "y").is_none() && schema.relation("l", "t").is_none());
        assert!(!schema.functions("k", "f").is_empty() && schema.functions("k", "g").is_empty());
        assert_eq!((schema.index_table("k", "i"), schema.index_table("k", "j")), (Some("t"), None));
        assert_eq!((schema.tables(), schema.generation()), (5, 3));
    }

    #[test]
    fn differences_are_told_as_events_tell_them() {
        let old: Keyspaces =
            [("k".to_owned(), Arc::new(keyspace())), ("gone".to_owned(), Arc::new(Keyspace::default()))]
                .into();
        let mut changed = keyspace();
        changed.tables.remove("u");
        changed.tables.get_mut("t").unwrap().masked = true;
        changed.tables.insert("n".into(), Table::default());
        let new: Keyspaces =
            [("k".to_owned(), Arc::new(changed)), ("come".to_owned(), Arc::new(Keyspace::default()))].into();
        let mut told: Vec<String> = differences(&old, &new)
            .into_iter()
            .map(|c| format!("{} {} {:?}", c.change.as_str(), c.keyspace, c.target))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                "CREATED come Keyspace",
                "CREATED k Table(\"n\")",
                "DROPPED gone Keyspace",
                "DROPPED k Table(\"u\")",
                "UPDATED k Table(\"t\")",
            ]
        );
        assert!(differences(&new, &new).is_empty());
    }
}
