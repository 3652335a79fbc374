//! Reading the schema tables over the control connection: all of them, one keyspace, or one part of one.
//!
//! What changes while it is read is told by events, and read again then.

use std::sync::{Mutex, PoisonError};

use cqlgate_protocol::wire::WireError;

use super::client::{Client, ClientError};
use super::draft::{Draft, Interner};
use super::patch::Part;
use super::schema::{Keyspace, StoredKind};
use super::values::{Row, text};

/// Which tables the nodes have: they differ between releases, and what a release lacks is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// `system_schema.column_masks` (5.0).
    masks: bool,
    /// `system.peers_v2`, and virtual tables (4.0).
    pub(super) peers_v2: bool,
}

/// Finds out what the node has.
pub(super) async fn offers(client: &Client) -> Result<Offers, ClientError> {
    let has = async |keyspace: &str, table: &str| {
        let query = "SELECT keyspace_name, table_name FROM system_schema.tables \
                     WHERE keyspace_name = ? AND table_name = ?";
        let mut found = false;
        let each = |row: &Row<'_>| {
            found |= text(row, 0)? == keyspace && text(row, 1)? == table;
            Ok(())
        };
        client.each_row(query, &[keyspace.as_bytes(), table.as_bytes()], each).await?;
        Ok::<_, ClientError>(found)
    };
    let (masks, peers_v2) =
        tokio::try_join!(has("system_schema", "column_masks"), has("system", "peers_v2"))?;
    Ok(Offers { masks, peers_v2 })
}

/// A schema table, and where its rows go.
struct Source {
    table: &'static str,
    /// `keyspace_name` first.
    columns: &'static str,
    since: Since,
    put: fn(&mut Draft, &Row<'_>) -> Result<(), WireError>,
}

/// The release that a schema table came with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Every release that is spoken to has it.
    Always,
    /// 4.0.
    VirtualTables,
    /// 5.0.
    Masks,
}

const fn source(
    table: &'static str,
    columns: &'static str,
    since: Since,
    put: fn(&mut Draft, &Row<'_>) -> Result<(), WireError>,
) -> Source {
    Source { table, columns, since, put }
}

static KEYSPACES: Source = source("system_schema.keyspaces", "keyspace_name", Since::Always, Draft::keyspace);
static TABLES: Source =
    source("system_schema.tables", "keyspace_name, table_name", Since::Always, Draft::table);
static VIEWS: Source =
    source("system_schema.views", "keyspace_name, view_name, base_table_name", Since::Always, Draft::view);
static COLUMNS: Source = source(
    "system_schema.columns",
    "keyspace_name, table_name, column_name, kind, type",
    Since::Always,
    Draft::column,
);
static MASKS: Source =
    source("system_schema.column_masks", "keyspace_name, table_name, column_name", Since::Masks, Draft::mask);
static INDEXES: Source =
    source("system_schema.indexes", "keyspace_name, table_name, index_name", Since::Always, Draft::index);
static FUNCTIONS: Source = source(
    "system_schema.functions",
    "keyspace_name, function_name, argument_types, return_type",
    Since::Always,
    Draft::function,
);
static AGGREGATES: Source = source(
    "system_schema.aggregates",
    "keyspace_name, aggregate_name, argument_types, return_type, state_func, state_type, final_func",
    Since::Always,
    Draft::aggregate,
);
static TYPES: Source = source(
    "system_schema.types",
    "keyspace_name, type_name, field_names, field_types",
    Since::Always,
    Draft::user_type,
);
static VIRTUAL_KEYSPACES: Source =
    source("system_virtual_schema.keyspaces", "keyspace_name", Since::VirtualTables, Draft::virtual_keyspace);
static VIRTUAL_TABLES: Source =
    source("system_virtual_schema.tables", "keyspace_name, table_name", Since::VirtualTables, Draft::table);
static VIRTUAL_COLUMNS: Source = source(
    "system_virtual_schema.columns",
    "keyspace_name, table_name, column_name, kind, type",
    Since::VirtualTables,
    Draft::column,
);

/// One reading: rows of many queries at once go into one draft.
pub(super) struct Reading<'a> {
    client: &'a Client,
    offers: Offers,
    draft: Mutex<Draft>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(client: &'a Client, offers: Offers, interner: Interner) -> Self {
        Self { client, offers, draft: Mutex::new(Draft::new(interner)) }
    }

    /// Everything.
    pub(super) async fn everything(self) -> Result<Draft, ClientError> {
        tokio::try_join!(
            self.rows(&KEYSPACES, "", &[]),
            self.rows(&VIRTUAL_KEYSPACES, "", &[]),
            self.content("", &[]),
        )?;
        Ok(self.draft())
    }

    /// One keyspace, which exists.
    pub(super) async fn keyspace(self, name: &str) -> Result<Draft, ClientError> {
        let key: &[&[u8]] = &[name.as_bytes()];
        tokio::try_join!(
            self.rows(&KEYSPACES, OF_KEYSPACE, key),
            self.rows(&VIRTUAL_KEYSPACES, OF_KEYSPACE, key),
            self.content(OF_KEYSPACE, key),
        )?;
        Ok(self.draft())
    }

    /// All that is in keyspaces: in all of them, or in the one that is asked for.
    async fn content(&self, only: &str, key: &[&[u8]]) -> Result<(), ClientError> {
        tokio::try_join!(
            self.rows(&TABLES, only, key),
            self.rows(&VIEWS, only, key),
            self.rows(&COLUMNS, only, key),
            self.rows(&MASKS, only, key),
            self.rows(&INDEXES, only, key),
            self.rows(&FUNCTIONS, only, key),
            self.rows(&AGGREGATES, only, key),
            self.rows(&TYPES, only, key),
            self.rows(&VIRTUAL_TABLES, only, key),
            self.rows(&VIRTUAL_COLUMNS, only, key),
        )?;
        Ok(())
    }

    /// One table or view, which two queries tell if there is none.
    async fn relation(&self, keyspace: &str, name: &str) -> Result<(), ClientError> {
        let key: &[&[u8]] = &[keyspace.as_bytes(), name.as_bytes()];
        let only = " WHERE keyspace_name = ? AND table_name = ?";
        let (tables, views) = tokio::try_join!(
            self.rows(&TABLES, only, key),
            self.rows(&VIEWS, " WHERE keyspace_name = ? AND view_name = ?", key),
        )?;
        if tables + views > 0 {
            tokio::try_join!(
                self.rows(&COLUMNS, only, key),
                self.rows(&MASKS, only, key),
                self.rows(&INDEXES, only, key),
            )?;
        }
        Ok(())
    }

    /// The rows of one query, put where they belong; how many.
    async fn rows(&self, source: &Source, only: &str, key: &[&[u8]]) -> Result<usize, ClientError> {
        let put =
            |row: &Row<'_>| (source.put)(&mut self.draft.lock().unwrap_or_else(PoisonError::into_inner), row);
        rows(self.client, self.offers, source, only, key, put).await
    }

    fn draft(self) -> Draft {
        self.draft.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

const OF_KEYSPACE: &str = " WHERE keyspace_name = ?";

/// Is there a keyspace of that name?
pub(super) async fn exists(client: &Client, offers: Offers, name: &str) -> Result<bool, ClientError> {
    let key: &[&[u8]] = &[name.as_bytes()];
    let count = |source: &'static Source| rows(client, offers, source, OF_KEYSPACE, key, |_| Ok(()));
    let (real, of_virtual_tables) = tokio::try_join!(count(&KEYSPACES), count(&VIRTUAL_KEYSPACES))?;
    Ok(real + of_virtual_tables > 0)
}

/// Shows the rows of a schema table, those that `only` says; none of a table that the release lacks. Returns
/// how many there are.
async fn rows(
    client: &Client,
    offers: Offers,
    source: &Source,
    only: &str,
    key: &[&[u8]],
    mut each: impl FnMut(&Row<'_>) -> Result<(), WireError> + Send,
) -> Result<usize, ClientError> {
    let there = match source.since {
        Since::Always => true,
        // With peers_v2 came virtual tables.
        Since::VirtualTables => offers.peers_v2,
        Since::Masks => offers.masks,
    };
    let mut count = 0;
    if there {
        let query = format!("SELECT {} FROM {}{only}", source.columns, source.table);
        let each = |row: &Row<'_>| {
            count += 1;
            each(row)
        };
        client.each_row(&query, key, each).await?;
    }
    Ok(count)
}

/// Reads one part of a keyspace of which more is known, and patches that. Returns whether that changed
/// anything. Neither [`Part::Existence`] nor [`Part::Whole`] are parts in this sense: nothing is done.
pub(super) async fn patch(
    client: &Client,
    offers: Offers,
    interner: &mut Interner,
    (name, keyspace): (&str, &mut Keyspace),
    part: &Part,
) -> Result<bool, ClientError> {
    let key: &[&[u8]] = match part {
        Part::Existence | Part::Whole => return Ok(false),
        Part::Relation(relation) => {
            return patch_relation(client, offers, interner, (name, keyspace), relation).await;
        }
        Part::Index(index) => {
            let mut changed = false;
            for table in index_tables(client, name, index, keyspace).await? {
                changed |= patch_relation(client, offers, interner, (name, &mut *keyspace), &table).await?;
            }
            return Ok(changed);
        }
        Part::Function(of) | Part::Type(of) => &[name.as_bytes(), of.as_bytes()],
    };
    let reading = Reading::new(client, offers, std::mem::take(interner));
    if matches!(part, Part::Function(_)) {
        tokio::try_join!(
            reading.rows(&FUNCTIONS, " WHERE keyspace_name = ? AND function_name = ?", key),
            reading.rows(&AGGREGATES, " WHERE keyspace_name = ? AND aggregate_name = ?", key),
        )?;
    } else {
        reading.rows(&TYPES, " WHERE keyspace_name = ? AND type_name = ?", key).await?;
    }
    let fresh;
    (fresh, *interner) = reading.draft().build_one(name, None);
    Ok(match part {
        Part::Function(of) => keyspace.patch_functions(of, &fresh),
        Part::Type(of) => keyspace.patch_type(of, &fresh),
        _ => false,
    })
}

async fn patch_relation(
    client: &Client,
    offers: Offers,
    interner: &mut Interner,
    (name, keyspace): (&str, &mut Keyspace),
    relation: &str,
) -> Result<bool, ClientError> {
    let reading = Reading::new(client, offers, std::mem::take(interner));
    reading.relation(name, relation).await?;
    let fresh;
    (fresh, *interner) = reading.draft().build_one(name, Some(keyspace));
    let mut changed = false;
    if let Some(StoredKind::View { base }) = fresh.relations.get(relation).map(|of| &of.kind)
        && !keyspace.relations.contains_key(base)
    {
        // Its event is still to come; the view belongs to it all the same.
        let reading = Reading::new(client, offers, std::mem::take(interner));
        reading.relation(name, base).await?;
        let fresh_base;
        (fresh_base, *interner) = reading.draft().build_one(name, None);
        changed |= keyspace.patch_relation(base, &fresh_base);
    }
    changed |= keyspace.patch_relation(relation, &fresh);
    Ok(changed)
}

/// The tables that an index is on, or was as far as is known.
async fn index_tables(
    client: &Client,
    name: &str,
    index: &str,
    keyspace: &Keyspace,
) -> Result<Vec<String>, ClientError> {
    // The table stands before the index in the key: the node goes through the indexes of the keyspace.
    let query = "SELECT table_name FROM system_schema.indexes \
                 WHERE keyspace_name = ? AND index_name = ? ALLOW FILTERING";
    let mut tables: Vec<String> =
        keyspace.indexes.get(index).map(|table| (**table).to_owned()).into_iter().collect();
    let each = |row: &Row<'_>| {
        let table = text(row, 0)?;
        if !tables.iter().any(|known| known == table) {
            tables.push(table.to_owned());
        }
        Ok(())
    };
    client.each_row(query, &[name.as_bytes(), index.as_bytes()], each).await?;
    Ok(tables)
}
