//! Changes of a schema: which part of a keyspace is read again for an event or a look-up, how that part is put
//! in the place of the old one, and what changed between two readings.

use std::sync::Arc;

use cqlgate_protocol::cql::Unseen;
use cqlgate_protocol::wire::response::{Change, SchemaChange, Target};

use super::schema::{ByName, Keyspace, Keyspaces, SchemaSnapshot, Stored, StoredKind};

/// A part of a keyspace, as it is read again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Whether there is such a keyspace; if it is new, all of it.
    Existence,
    /// All of it.
    Whole,
    /// A table or view, with its columns, masks and indexes.
    Relation(String),
    /// The functions and aggregates of a name.
    Function(String),
    /// A user type.
    Type(String),
    /// The table that an index is on.
    Index(String),
}

impl Part {
    /// What an event, or the answer to a DDL statement, says has changed.
    pub(super) fn of(change: &SchemaChange) -> Self {
        match &change.target {
            // An ALTER changes nothing that is kept here, a DROP is seen in the existence.
            Target::Keyspace if change.change == Change::Created => Self::Whole,
            Target::Keyspace => Self::Existence,
            Target::Table(name) => Self::Relation(name.clone()),
            Target::Type(name) => Self::Type(name.clone()),
            Target::Function(name, _) | Target::Aggregate(name, _) => Self::Function(name.clone()),
        }
    }
}

impl Keyspace {
    /// Puts what was read of one table or view in the place of what was known of it. `fresh` holds nothing
    /// else; empty if it is gone. A view's base must be known, or read before it. Did that change anything?
    pub(super) fn patch_relation(&mut self, name: &str, fresh: &Self) -> bool {
        let old = self.relations.get(name).cloned();
        let new = fresh.relations.get(name).map(|new| {
            let views = match (&new.kind, old.as_deref().map(|old| &old.kind)) {
                // Its own row says nothing of its views; theirs do, when they come and go.
                (StoredKind::Table { .. }, Some(StoredKind::Table { views })) => views.clone(),
                _ => return Arc::clone(new),
            };
            Arc::new(Stored { kind: StoredKind::Table { views }, ..(**new).clone() })
        });
        if old == new {
            return false;
        }
        if let Some(old) = &old {
            self.unlink(name, old);
        }
        match new {
            Some(new) => {
                if let StoredKind::View { base } = &new.kind {
                    self.change_views(base, |views| {
                        if let Err(at) = views.binary_search_by(|view| view.as_str().cmp(name)) {
                            views.insert(at, name.to_owned());
                        }
                    });
                }
                let name: Arc<str> = name.into();
                for index in &new.indexes {
                    self.indexes.insert_mut(Arc::clone(index), Arc::clone(&name));
                }
                self.relations.insert_mut(name, new);
            }
            None => {
                self.relations.remove_mut(name);
            }
        }
        true
    }

    /// Takes away what others say of a table or view.
    fn unlink(&mut self, name: &str, old: &Stored) {
        for index in &old.indexes {
            // It may be another table's by now.
            if self.indexes.get(index).is_some_and(|table| **table == *name) {
                self.indexes.remove_mut(index);
            }
        }
        if let StoredKind::View { base } = &old.kind {
            self.change_views(base, |views| views.retain(|view| view != name));
        }
    }

    fn change_views(&mut self, base: &str, change: impl FnOnce(&mut Vec<String>)) {
        let Some((key, table)) = self.relations.get_key_value(base) else { return };
        let StoredKind::Table { views } = &table.kind else { return };
        let mut views = views.to_vec();
        change(&mut views);
        let kind = StoredKind::Table { views: views.into() };
        let (key, table) = (Arc::clone(key), Arc::new(Stored { kind, ..(**table).clone() }));
        self.relations.insert_mut(key, table);
    }

    /// The same of the functions of a name.
    pub(super) fn patch_functions(&mut self, name: &str, fresh: &Self) -> bool {
        patch(&mut self.functions, name, &fresh.functions)
    }

    /// The same of a user type.
    pub(super) fn patch_type(&mut self, name: &str, fresh: &Self) -> bool {
        patch(&mut self.types, name, &fresh.types)
    }
}

fn patch<V: Clone + PartialEq>(known: &mut ByName<V>, name: &str, fresh: &ByName<V>) -> bool {
    match fresh.get_key_value(name) {
        Some((_, new)) if known.get(name) == Some(new) => false,
        Some((key, new)) => {
            known.insert_mut(Arc::clone(key), new.clone());
            true
        }
        None => known.remove_mut(name),
    }
}

/// Do both share every keyspace? Readings share with the one before what has not changed, so two that do not
/// share differ.
pub(super) fn is_same(one: &Keyspaces, other: &Keyspaces) -> bool {
    one.size() == other.size()
        && one.iter().all(|(name, keyspace)| other.get(name).is_some_and(|of| Arc::ptr_eq(of, keyspace)))
}

/// What changed between two readings, as events would have told it.
pub(super) fn differences(old: &Keyspaces, new: &Keyspaces) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let mut tell = |change, keyspace: &str, target| {
        changes.push(SchemaChange { change, keyspace: keyspace.to_owned(), target });
    };
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        tell(Change::Dropped, name, Target::Keyspace);
    }
    let nothing = Keyspace::default();
    for (name, after) in new {
        let before = match old.get(name) {
            Some(before) if Arc::ptr_eq(before, after) => continue,
            Some(before) => before,
            None => {
                tell(Change::Created, name, Target::Keyspace);
                &nothing
            }
        };
        let mut tell = |change, target| tell(change, name, target);
        // Types before the tables that use them, functions behind the types of their arguments.
        compare(&before.types, &after.types, |change, of, _| tell(change, Target::Type(of.into())));
        compare(&before.relations, &after.relations, |change, of, _| {
            tell(change, Target::Table(of.into()));
        });
        compare(&before.functions, &after.functions, |change, of, overloads| {
            for function in overloads.iter() {
                let arguments = function.arguments.iter().map(ToString::to_string).collect();
                let target = match function.aggregate {
                    Some(_) => Target::Aggregate(of.into(), arguments),
                    None => Target::Function(of.into(), arguments),
                };
                tell(change, target);
            }
        });
    }
    changes
}

/// Tells of each name with what is, or was, behind it.
fn compare<V: PartialEq>(before: &ByName<V>, after: &ByName<V>, mut tell: impl FnMut(Change, &str, &V)) {
    for (name, was) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        tell(Change::Dropped, name, was);
    }
    for (name, is) in after {
        match before.get(name) {
            None => tell(Change::Created, name, is),
            Some(was) if was != is => tell(Change::Updated, name, is),
            Some(_) => {}
        }
    }
}

/// A name that a statement has and [`SchemaSnapshot`] does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LookUp {
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
    /// A user type.
    Type {
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

impl From<Unseen> for LookUp {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Keyspace(keyspace) => Self::Keyspace(keyspace),
            Unseen::Table { keyspace, table } => Self::Table { keyspace, table },
            Unseen::Column { keyspace, table, column } => Self::Column { keyspace, table, column },
            Unseen::Function { keyspace, name } => Self::Function { keyspace, name },
            Unseen::Index { keyspace, name } => Self::Index { keyspace, name },
        }
    }
}

impl LookUp {
    pub(super) fn keyspace(&self) -> &str {
        match self {
            Self::Keyspace(keyspace)
            | Self::Table { keyspace, .. }
            | Self::Column { keyspace, .. }
            | Self::Function { keyspace, .. }
            | Self::Type { keyspace, .. }
            | Self::Index { keyspace, .. } => keyspace,
        }
    }

    pub(super) fn part(&self) -> Part {
        match self {
            Self::Keyspace(_) => Part::Existence,
            Self::Table { table, .. } | Self::Column { table, .. } => Part::Relation(table.clone()),
            Self::Function { name, .. } => Part::Function(name.clone()),
            Self::Type { name, .. } => Part::Type(name.clone()),
            Self::Index { name, .. } => Part::Index(name.clone()),
        }
    }

    /// Does a snapshot know it?
    pub(super) fn is_in(&self, schema: &SchemaSnapshot) -> bool {
        use cqlgate_protocol::cql::Schema as _;
        match self {
            Self::Keyspace(keyspace) => schema.has_keyspace(keyspace),
            Self::Table { keyspace, table } => schema.relation(keyspace, table).is_some(),
            Self::Column { keyspace, table, column } => {
                schema.relation(keyspace, table).is_some_and(|relation| relation.column(column).is_some())
            }
            Self::Function { keyspace, name } => !schema.functions(keyspace, name).is_empty(),
            Self::Type { keyspace, name } => schema.has_type(keyspace, name),
            Self::Index { keyspace, name } => schema.index_table(keyspace, name).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::Draft;
    use super::super::draft::tests::{KEYSPACE, draft, put};
    use super::*;

    fn keyspaces() -> Keyspaces {
        draft().build(&Keyspaces::new_sync()).0
    }

    /// What was read of one table or view: rows by what takes them.
    fn fresh(table: Option<&str>, view: Option<[&str; 2]>, indexes: &[[&str; 2]]) -> Keyspace {
        let mut draft = Draft::default();
        if let Some(table) = table {
            put(&mut draft, Draft::table, &[KEYSPACE, table]);
        }
        if let Some([view, base]) = view {
            put(&mut draft, Draft::view, &[KEYSPACE, view, base]);
        }
        for [table, index] in indexes {
            put(&mut draft, Draft::index, &[KEYSPACE, table, index]);
        }
        draft.build_one(KEYSPACE, None).0
    }

    fn views(of: &Keyspace, table: &str) -> String {
        match &of.relations[table].kind {
            StoredKind::Table { views } => views.join(" "),
            StoredKind::View { base } => format!("on {base}"),
        }
    }

    #[test]
    fn views_come_and_go_with_their_base() {
        let mut k = (*keyspaces()[KEYSPACE]).clone();
        assert_eq!(views(&k, "t"), "v w");
        // The base is read again: its views stay.
        k.patch_relation("t", &fresh(Some("t"), None, &[]));
        assert_eq!(views(&k, "t"), "v w");
        k.patch_relation("vv", &fresh(None, Some(["vv", "t"]), &[]));
        assert_eq!(views(&k, "t"), "v vv w");
        assert!(!k.patch_relation("vv", &fresh(None, Some(["vv", "t"]), &[])));
        // On another table of late.
        k.patch_relation("v", &fresh(None, Some(["v", "u"]), &[]));
        assert_eq!(
            (views(&k, "t"), views(&k, "u"), views(&k, "v")),
            ("vv w".into(), "v x".into(), "on u".into())
        );
        // A table where a view was.
        k.patch_relation("w", &fresh(Some("w"), None, &[]));
        assert_eq!((views(&k, "t"), views(&k, "w")), ("vv".into(), String::new()));
        k.patch_relation("vv", &fresh(None, None, &[]));
        assert!(views(&k, "t").is_empty() && k.relations.get("vv").is_none());
    }

    #[test]
    fn indexes_come_and_go_with_their_table() {
        let mut k = (*keyspaces()[KEYSPACE]).clone();
        let on = |k: &Keyspace, index: &str| k.indexes.get(index).map(ToString::to_string);
        assert_eq!(on(&k, "i").as_deref(), Some("t"));
        k.patch_relation("t", &fresh(Some("t"), None, &[["t", "j"]]));
        assert_eq!((on(&k, "i"), on(&k, "j").as_deref()), (None, Some("t")));
        // It moves to another table, which is read first, and then the first one is.
        k.patch_relation("u", &fresh(Some("u"), None, &[["u", "j"]]));
        k.patch_relation("t", &fresh(Some("t"), None, &[]));
        assert_eq!(on(&k, "j").as_deref(), Some("u"));
        k.patch_relation("u", &fresh(None, None, &[]));
        assert_eq!(k.indexes.size(), 0);
    }

    #[test]
    fn one_patched_table_leaves_the_others_alone() {
        let before = keyspaces();
        let mut k = (*before[KEYSPACE]).clone();
        assert!(k.patch_relation("t", &fresh(Some("t"), None, &[])));
        let nothing = fresh(None, None, &[]);
        assert!(k.patch_functions("f", &nothing) && !k.patch_functions("f", &nothing));
        assert!(k.patch_type("addr", &nothing) && !k.patch_type("addr", &nothing));
        assert!(Arc::ptr_eq(&k.relations["u"], &before[KEYSPACE].relations["u"]));
        assert!(!Arc::ptr_eq(&k.relations["t"], &before[KEYSPACE].relations["t"]));
        assert!(k.functions.get("f").is_none() && k.functions.get("sum").is_some() && k.types.is_empty());
        assert!(k.patch_functions("f", &before[KEYSPACE]) && !k.patch_functions("f", &before[KEYSPACE]));
        assert!(k.patch_type("addr", &before[KEYSPACE]));
        assert_eq!((&k.functions, &k.types), (&before[KEYSPACE].functions, &before[KEYSPACE].types));
    }

    #[test]
    fn differences_are_told_as_events_tell_them() {
        let old = keyspaces().insert("gone".into(), Arc::default());
        let mut k = (*old[KEYSPACE]).clone();
        k.patch_relation("x", &fresh(None, None, &[]));
        k.patch_relation("n", &fresh(Some("n"), None, &[]));
        k.patch_functions("sum", &fresh(None, None, &[]));
        k.patch_type("addr", &fresh(None, None, &[]));
        let new =
            old.remove("gone").insert(KEYSPACE.into(), Arc::new(k)).insert("come".into(), Arc::default());
        let told = |old, new| {
            let mut told: Vec<String> = differences(old, new)
                .into_iter()
                .map(|c| format!("{} {} {:?}", c.change.as_str(), c.keyspace, c.target))
                .collect();
            told.sort_unstable();
            told
        };
        assert_eq!(
            told(&old, &new),
            [
                "CREATED come Keyspace",
                "CREATED k Table(\"n\")",
                "DROPPED gone Keyspace",
                "DROPPED k Aggregate(\"sum\", [\"int\"])",
                "DROPPED k Table(\"x\")",
                "DROPPED k Type(\"addr\")",
                "UPDATED k Table(\"u\")",
            ]
        );
        assert!(differences(&new, &new).is_empty() && is_same(&new, &new) && !is_same(&old, &new));
        let all = told(&Keyspaces::new_sync(), &keyspaces());
        assert!(all.contains(&"CREATED k Function(\"f\", [\"text\", \"list<int>\"])".to_owned()), "{all:?}");
    }

    #[test]
    fn events_name_what_is_read_again() {
        let of = |change, target| Part::of(&SchemaChange { change, keyspace: "k".into(), target });
        for (part, is) in [
            (of(Change::Created, Target::Keyspace), Part::Whole),
            (of(Change::Updated, Target::Keyspace), Part::Existence),
            (of(Change::Dropped, Target::Keyspace), Part::Existence),
            (of(Change::Dropped, Target::Table("t".into())), Part::Relation("t".into())),
            (of(Change::Updated, Target::Type("t".into())), Part::Type("t".into())),
            (of(Change::Created, Target::Function("f".into(), vec![])), Part::Function("f".into())),
            (of(Change::Created, Target::Aggregate("f".into(), vec![])), Part::Function("f".into())),
        ] {
            assert_eq!(part, is);
        }
    }
}
