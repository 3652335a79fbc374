//! Rows of the schema tables, put together to keyspaces.
//!
//! In: rows, in any order, each from a table that the caller names. Out: [`Keyspaces`] that share with earlier
//! ones whatever has not changed, and among each other the texts of types and the names of columns.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cqlgate_protocol::cql::{Aggregate, Column, Function, canonical_type};
use cqlgate_protocol::wire::WireError;

use super::schema::{ByName, Field, Keyspace, Keyspaces, Stored, StoredKind};
use super::values::{Row, optional_text, text, text_list};

/// Texts that many tables have in common, each kept once.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    texts: HashSet<Arc<str>>,
    /// Canonical forms of types as the schema tables write them.
    types: HashMap<Box<str>, Arc<str>>,
}

impl Interner {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    fn cql_type(&mut self, written: &str) -> Arc<str> {
        if let Some(known) = self.types.get(written) {
            return Arc::clone(known);
        }
        // What cannot be read is like no type that a statement can write.
        let canonical = canonical_type(written).unwrap_or_else(|| written.to_owned());
        let canonical = self.text(&canonical);
        self.types.insert(written.into(), Arc::clone(&canonical));
        canonical
    }

    /// Forgets what nobody uses any more.
    pub(super) fn prune(&mut self) {
        // Read anew when they are met again: there are few.
        self.types.clear();
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }
}

/// Rows that have been read so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    interner: Interner,
    keyspaces: HashMap<Arc<str>, KeyspaceDraft>,
}

#[derive(Debug, Default)]
struct KeyspaceDraft {
    is_virtual: bool,
    relations: HashMap<Arc<str>, RelationDraft>,
    functions: HashMap<Arc<str>, Vec<Function>>,
    types: HashMap<Arc<str>, Arc<[Field]>>,
}

#[derive(Debug, Default)]
struct RelationDraft {
    /// `None`: rows that belong to it were read, but not its own. It has come or gone in between.
    is: Option<Is>,
    columns: Vec<Column>,
    masked: Vec<Arc<str>>,
    indexes: Vec<Arc<str>>,
}

#[derive(Debug)]
enum Is {
    Table,
    View { base: Arc<str> },
}

/// Rows of one of the schema tables go into a draft by one of these. `keyspace_name` is first in each row.
impl Draft {
    pub(super) fn new(interner: Interner) -> Self {
        Self { interner, keyspaces: HashMap::new() }
    }

    pub(super) fn keyspace(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        self.of(row).map(drop)
    }

    pub(super) fn virtual_keyspace(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        self.of(row)?.is_virtual = true;
        Ok(())
    }

    /// `table_name`.
    pub(super) fn table(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        self.relation(row)?.is = Some(Is::Table);
        Ok(())
    }

    /// `view_name, base_table_name`.
    pub(super) fn view(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        let base = text(row, 2)?.into();
        self.relation(row)?.is = Some(Is::View { base });
        Ok(())
    }

    /// `table_name, column_name, kind, type`.
    pub(super) fn column(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        let name = self.interner.text(text(row, 2)?);
        let cql_type = self.interner.cql_type(text(row, 4)?);
        let is_key = matches!(text(row, 3)?, "partition_key" | "clustering");
        self.relation(row)?.columns.push(Column { name, cql_type, is_key, is_masked: false });
        Ok(())
    }

    /// `table_name, column_name`.
    pub(super) fn mask(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        let name = self.interner.text(text(row, 2)?);
        self.relation(row)?.masked.push(name);
        Ok(())
    }

    /// `table_name, index_name`.
    pub(super) fn index(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        let name = text(row, 2)?.into();
        self.relation(row)?.indexes.push(name);
        Ok(())
    }

    /// `function_name, argument_types, return_type`.
    pub(super) fn function(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        self.overload(row, None)
    }

    /// `aggregate_name, argument_types, return_type, state_func, state_type, final_func`.
    pub(super) fn aggregate(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        let aggregate = Aggregate {
            state_function: text(row, 4)?.into(),
            state_type: (&*self.interner.cql_type(text(row, 5)?)).into(),
            final_function: optional_text(row, 6)?.map(Into::into),
        };
        self.overload(row, Some(aggregate))
    }

    fn overload(&mut self, row: &Row<'_>, aggregate: Option<Aggregate>) -> Result<(), WireError> {
        let arguments = text_list(row, 2)?;
        let arguments = arguments.into_iter().map(|of| (&*self.interner.cql_type(of)).into()).collect();
        let returns = (&*self.interner.cql_type(text(row, 3)?)).into();
        let overloads = self.of(row)?.functions.entry(text(row, 1)?.into()).or_default();
        overloads.push(Function { arguments, returns, aggregate });
        Ok(())
    }

    /// `type_name, field_names, field_types`.
    pub(super) fn user_type(&mut self, row: &Row<'_>) -> Result<(), WireError> {
        let (names, types) = (text_list(row, 2)?, text_list(row, 3)?);
        if names.len() != types.len() {
            return Err(WireError::Invalid("a user type with more names than types, or less".into()));
        }
        let fields = names.iter().zip(types);
        let fields: Vec<_> = fields
            .map(|(name, of)| Field { name: self.interner.text(name), cql_type: self.interner.cql_type(of) })
            .collect();
        self.of(row)?.types.insert(text(row, 1)?.into(), fields.into());
        Ok(())
    }

    fn of(&mut self, row: &Row<'_>) -> Result<&mut KeyspaceDraft, WireError> {
        Ok(self.keyspaces.entry(text(row, 0)?.into()).or_default())
    }

    fn relation(&mut self, row: &Row<'_>) -> Result<&mut RelationDraft, WireError> {
        Ok(self.of(row)?.relations.entry(text(row, 1)?.into()).or_default())
    }

    /// Everything that was read, sharing with `before` what is the same there. Drops what rows of parts of a
    /// table say whose own row was not there.
    pub(super) fn build(self, before: &Keyspaces) -> (Keyspaces, Interner) {
        let mut keyspaces = Keyspaces::new_sync();
        for (name, draft) in self.keyspaces {
            let before = before.get(&name);
            let built = draft.build(before.map(|before| &**before));
            let shared = before.filter(|before| ***before == built).cloned();
            keyspaces.insert_mut(name, shared.unwrap_or_else(|| Arc::new(built)));
        }
        (keyspaces, self.interner)
    }

    /// What was read of one keyspace.
    pub(super) fn build_one(mut self, name: &str, before: Option<&Keyspace>) -> (Keyspace, Interner) {
        let draft = self.keyspaces.remove(name).unwrap_or_default();
        (draft.build(before), self.interner)
    }
}

impl KeyspaceDraft {
    fn build(self, before: Option<&Keyspace>) -> Keyspace {
        let mut views: HashMap<Arc<str>, Vec<String>> = HashMap::new();
        for (name, draft) in &self.relations {
            if let Some(Is::View { base }) = &draft.is {
                views.entry(Arc::clone(base)).or_default().push((**name).to_owned());
            }
        }
        let mut keyspace = Keyspace { is_virtual: self.is_virtual, ..Keyspace::default() };
        for (name, draft) in self.relations {
            let kind = match draft.is {
                None => continue,
                Some(Is::View { ref base }) => StoredKind::View { base: Arc::clone(base) },
                Some(Is::Table) => {
                    let mut views = views.remove(&name).unwrap_or_default();
                    views.sort_unstable();
                    StoredKind::Table { views: views.into() }
                }
            };
            let stored = draft.build(kind);
            for index in &stored.indexes {
                keyspace.indexes.insert_mut(Arc::clone(index), Arc::clone(&name));
            }
            let before = before.and_then(|before| before.relations.get(&name));
            let shared = before.filter(|before| ***before == stored).cloned();
            keyspace.relations.insert_mut(name, shared.unwrap_or_else(|| Arc::new(stored)));
        }
        for (name, mut overloads) in self.functions {
            overloads.sort_by(|a, b| a.arguments.cmp(&b.arguments));
            keyspace.functions.insert_mut(name, overloads.into());
        }
        keyspace.types = self.types.into_iter().collect::<ByName<_>>();
        keyspace
    }
}

impl RelationDraft {
    fn build(self, kind: StoredKind) -> Stored {
        let Self { mut columns, masked, mut indexes, .. } = self;
        columns.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        indexes.sort_unstable();
        for column in &mut columns {
            column.is_masked = masked.contains(&column.name);
        }
        // A node leaves the row of a mask behind when its column is dropped.
        let masked = columns.iter().any(|column| column.is_masked);
        Stored { kind, columns: columns.into(), indexes: indexes.into(), masked }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::values::collection;
    use super::*;

    pub(in super::super) const KEYSPACE: &str = "k";

    /// Puts a row of texts.
    pub(in super::super) fn put(
        draft: &mut Draft,
        by: fn(&mut Draft, &Row<'_>) -> Result<(), WireError>,
        values: &[&str],
    ) {
        let row: Vec<_> = values.iter().map(|value| Some(value.as_bytes())).collect();
        by(draft, &row).unwrap();
    }

    fn put_function(draft: &mut Draft, name: &str, arguments: &[&str], aggregate: Option<[&str; 3]>) {
        let arguments = collection(arguments);
        let mut row = vec![Some(KEYSPACE.as_bytes()), Some(name.as_bytes()), Some(&*arguments), Some(b"int")];
        match aggregate {
            Some(of) => {
                row.extend(of.iter().map(|value| Some(value.as_bytes())));
                draft.aggregate(&row).unwrap();
            }
            None => draft.function(&row).unwrap(),
        }
    }

    /// A keyspace with some of everything, a virtual one, and rows that belong to nothing.
    pub(in super::super) fn draft() -> Draft {
        let mut draft = Draft::default();
        let k = KEYSPACE;
        put(&mut draft, Draft::keyspace, &[k]);
        // The index before its table: rows come in any order.
        put(&mut draft, Draft::index, &[k, "t", "i"]);
        for table in ["t", "u"] {
            put(&mut draft, Draft::table, &[k, table]);
        }
        for [view, base] in [["w", "t"], ["v", "t"], ["x", "u"]] {
            put(&mut draft, Draft::view, &[k, view, base]);
        }
        put(&mut draft, Draft::column, &[k, "t", "z", "clustering", "varchar"]);
        put(&mut draft, Draft::column, &[k, "t", "a", "partition_key", "int"]);
        put(&mut draft, Draft::column, &[k, "t", "b", "regular", "map<varchar, frozen<list<frozen<addr>>>>"]);
        put(&mut draft, Draft::column, &[k, "u", "a", "partition_key", "int"]);
        put(&mut draft, Draft::column, &[k, "u", "s", "static", "text"]);
        put(&mut draft, Draft::column, &[k, "half", "a", "partition_key", "int"]);
        put(&mut draft, Draft::mask, &[k, "u", "s"]);
        put(&mut draft, Draft::mask, &[k, "t", "dropped"]);
        put_function(&mut draft, "f", &["varchar", "frozen<list<int>>"], None);
        put_function(&mut draft, "f", &[], None);
        put_function(&mut draft, "sum", &["int"], Some(["f", "varchar", "g"]));
        let (names, types) = (collection(&["street", "zip"]), collection(&["varchar", "int"]));
        draft
            .user_type(&[Some(k.as_bytes()), Some(b"addr"), Some(names.as_slice()), Some(types.as_slice())])
            .unwrap();
        put(&mut draft, Draft::virtual_keyspace, &["virtual"]);
        put(&mut draft, Draft::table, &["virtual", "t"]);
        put(&mut draft, Draft::column, &["virtual", "t", "a", "partition_key", "int"]);
        draft
    }

    #[test]
    fn what_is_the_same_is_shared() {
        let (before, _) = draft().build(&Keyspaces::new_sync());
        let mut changed = draft();
        put(&mut changed, Draft::mask, &[KEYSPACE, "t", "b"]);
        let (after, _) = changed.build(&before);
        let share = |keyspace: &str| Arc::ptr_eq(&before[keyspace], &after[keyspace]);
        assert!(share("virtual") && !share(KEYSPACE));
        let share =
            |table: &str| Arc::ptr_eq(&before[KEYSPACE].relations[table], &after[KEYSPACE].relations[table]);
        assert!(share("u") && share("v") && !share("t"));
    }

    #[test]
    fn texts_are_kept_once_and_as_long_as_somebody_has_them() {
        let mut interner = Interner::default();
        let (int, text) = (interner.cql_type("INT"), interner.cql_type("varchar"));
        assert!(Arc::ptr_eq(&text, &interner.cql_type("text")) && Arc::ptr_eq(&int, &interner.text("int")));
        assert_eq!(&*interner.cql_type("<no type"), "<no type");
        drop(text);
        interner.prune();
        assert!(interner.texts.len() == 1 && Arc::ptr_eq(&int, &interner.cql_type("int")));
    }

    #[test]
    fn rows_that_are_not_whole_are_refused() {
        let mut draft = Draft::default();
        assert!(draft.table(&[Some(b"k")]).is_err() && draft.table(&[None, Some(b"t")]).is_err());
        assert!(draft.view(&[Some(b"k"), Some(b"v"), None]).is_err());
        let (one, none) = (collection(&["a"]), collection(&[]));
        let row = [Some(&b"k"[..]), Some(&b"t"[..]), Some(&one[..]), Some(&none[..])];
        assert!(draft.user_type(&row).is_err());
        assert!(draft.function(&row[..3]).is_err());
    }
}
