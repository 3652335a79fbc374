//! Reading the schema tables and `system.local` over the control connection.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cqlgate_protocol::wire::WireError;
use cqlgate_protocol::wire::response::ColumnType;

use super::client::{Client, ClientError, Table};
use super::schema::{Keyspace, Keyspaces, Parts};

/// Readings of the whole schema that are tried until none was overtaken by a change.
const ATTEMPTS: usize = 3;

/// The row of `system.local`, as its node has it: raw values with their types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalRow {
    columns: Vec<(String, ColumnType, Option<Vec<u8>>)>,
}

impl LocalRow {
    /// Name, type and value of each column, in the node's order; a null is `None`.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &ColumnType, Option<&[u8]>)> {
        self.columns.iter().map(|(name, ty, value)| (name.as_str(), ty, value.as_deref()))
    }

    /// The value of a column; `None` if it is null or there is no such column.
    pub fn get(&self, column: &str) -> Option<&[u8]> {
        self.columns().find(|(name, ..)| *name == column)?.2
    }

    /// The text of a column.
    pub fn text(&self, column: &str) -> Option<&str> {
        std::str::from_utf8(self.get(column)?).ok()
    }
}

/// Which tables the nodes have: they differ between releases.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Release {
    /// `system_schema.column_masks` (5.0).
    masks: bool,
    /// `system.peers_v2`, and virtual tables (4.0).
    peers_v2: bool,
}

/// Reads the row of `system.local`.
pub(super) async fn local(client: &Client) -> Result<LocalRow, ClientError> {
    let table = client.query("SELECT * FROM system.local WHERE key = 'local'", &[]).await?;
    let row = table.rows.into_iter().next().ok_or_else(|| missing("the row of system.local"))?;
    let columns = table.columns.into_iter().zip(row).map(|((name, ty), value)| (name, ty, value)).collect();
    Ok(LocalRow { columns })
}

/// Reads the whole schema; what changes while it is read is told by events that are looked at afterwards.
pub(super) async fn everything(client: &Client) -> Result<(Keyspaces, Release), ClientError> {
    let mut before = own_version(client).await?;
    for _ in 1..ATTEMPTS {
        let read = everything_once(client).await?;
        let after = own_version(client).await?;
        if before == after {
            return Ok(read);
        }
        before = after;
    }
    everything_once(client).await
}

async fn everything_once(client: &Client) -> Result<(Keyspaces, Release), ClientError> {
    let mut parts: HashMap<String, Parts> = HashMap::new();
    let mut release = Release::default();
    for row in &client.query("SELECT keyspace_name FROM system_schema.keyspaces", &[]).await?.rows {
        parts.entry(text(row, 0)?.to_owned()).or_default();
    }
    for source in &SOURCES {
        let Some(table) = source.read(client, None, release).await? else { continue };
        for row in &table.rows {
            let keyspace = text(row, 0)?;
            if source.table == TABLES {
                release.note(keyspace, text(row, 1)?);
            }
            (source.put)(parts.entry(keyspace.to_owned()).or_default(), row)?;
        }
    }
    let keyspaces = parts.into_iter().map(|(name, parts)| (name, Arc::new(Keyspace::build(parts)))).collect();
    Ok((keyspaces, release))
}

/// Reads one keyspace; `None` if there is none of that name. All its tables are asked for at once: somebody
/// waits.
pub(super) async fn keyspace(
    client: &Client,
    release: Release,
    name: &str,
) -> Result<Option<Keyspace>, ClientError> {
    let key = name.as_bytes();
    let [tables, views, masks, functions, aggregates, indexes, virtual_tables] = &SOURCES;
    let exists = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let exists_key = [key];
    let read = |source: &'static Source| source.read(client, Some(key), release);
    let (exists, rows) = tokio::join!(client.query(exists, &exists_key), async {
        tokio::try_join!(
            read(tables),
            read(views),
            read(masks),
            read(functions),
            read(aggregates),
            read(indexes),
            read(virtual_tables),
        )
    });
    let rows = <[Option<Table>; 7]>::from(rows?);
    let mut exists = !exists?.rows.is_empty();
    let mut parts = Parts::default();
    for (source, table) in SOURCES.iter().zip(rows) {
        for row in table.iter().flat_map(|table| &table.rows) {
            (source.put)(&mut parts, row)?;
            // Virtual keyspaces are in no other table.
            exists |= source.since == Since::VirtualTables;
        }
    }
    Ok(exists.then(|| Keyspace::build(parts)))
}

/// A schema table, and where its rows go.
struct Source {
    table: &'static str,
    /// `keyspace_name` first.
    columns: &'static str,
    since: Since,
    put: fn(&mut Parts, &Row) -> Result<(), ClientError>,
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

type Row = [Option<Vec<u8>>];

const TABLES: &str = "system_schema.tables";

/// `system_schema.tables` is the first: it tells which of the others are there.
static SOURCES: [Source; 7] = [
    Source {
        table: TABLES,
        columns: "keyspace_name, table_name",
        since: Since::Always,
        put: |parts, row| {
            parts.tables.push(text(row, 1)?.to_owned());
            Ok(())
        },
    },
    Source {
        table: "system_schema.views",
        columns: "keyspace_name, view_name, base_table_name",
        since: Since::Always,
        put: |parts, row| {
            parts.views.push((text(row, 1)?.to_owned(), text(row, 2)?.to_owned()));
            Ok(())
        },
    },
    Source {
        table: "system_schema.column_masks",
        columns: "keyspace_name, table_name",
        since: Since::Masks,
        put: |parts, row| {
            parts.masked.push(text(row, 1)?.to_owned());
            Ok(())
        },
    },
    Source {
        table: "system_schema.functions",
        columns: "keyspace_name, function_name",
        since: Since::Always,
        put: |parts, row| {
            parts.functions.push(text(row, 1)?.to_owned());
            Ok(())
        },
    },
    Source {
        table: "system_schema.aggregates",
        columns: "keyspace_name, aggregate_name",
        since: Since::Always,
        put: |parts, row| {
            parts.functions.push(text(row, 1)?.to_owned());
            Ok(())
        },
    },
    Source {
        table: "system_schema.indexes",
        columns: "keyspace_name, index_name, table_name",
        since: Since::Always,
        put: |parts, row| {
            parts.indexes.push((text(row, 1)?.to_owned(), text(row, 2)?.to_owned()));
            Ok(())
        },
    },
    Source {
        table: "system_virtual_schema.tables",
        columns: "keyspace_name, table_name",
        since: Since::VirtualTables,
        put: |parts, row| {
            parts.tables.push(text(row, 1)?.to_owned());
            Ok(())
        },
    },
];

impl Source {
    /// Its rows, of one keyspace or of all; `None` if the nodes are of a release without it.
    async fn read(
        &self,
        client: &Client,
        keyspace: Option<&[u8]>,
        release: Release,
    ) -> Result<Option<Table>, ClientError> {
        let there = match self.since {
            Since::Always => true,
            // With peers_v2 came virtual tables.
            Since::VirtualTables => release.peers_v2,
            Since::Masks => release.masks,
        };
        if !there {
            return Ok(None);
        }
        let query = format!("SELECT {} FROM {}", self.columns, self.table);
        match keyspace {
            None => client.query(&query, &[]).await,
            Some(name) => client.query(&(query + " WHERE keyspace_name = ?"), &[name]).await,
        }
        .map(Some)
    }
}

impl Release {
    fn note(&mut self, keyspace: &str, table: &str) {
        match (keyspace, table) {
            ("system_schema", "column_masks") => self.masks = true,
            ("system", "peers_v2") => self.peers_v2 = true,
            _ => {}
        }
    }
}

/// Do all nodes that are up have one schema version? Those in `down` are left out, and so are rows that do
/// not say one (a node that is joining).
pub(super) async fn agreed(
    client: &Client,
    release: Release,
    down: &HashSet<SocketAddr>,
) -> Result<bool, ClientError> {
    let own = own_version(client).await?;
    let query = if release.peers_v2 {
        "SELECT schema_version, native_address, native_port FROM system.peers_v2"
    } else {
        "SELECT schema_version, rpc_address FROM system.peers"
    };
    let peers: Table = client.query(query, &[]).await?;
    Ok(peers.rows.iter().all(|row| {
        let value = |n: usize| row.get(n).and_then(Option::as_deref);
        value(0).is_none_or(|version| version == own) || is_down(value(1), value(2), down)
    }))
}

fn is_down(address: Option<&[u8]>, port: Option<&[u8]>, down: &HashSet<SocketAddr>) -> bool {
    let Some(address) = address.and_then(ip) else { return false };
    let port = port.and_then(|port| port.try_into().ok()).map(i32::from_be_bytes);
    down.iter().any(|node| node.ip() == address && port.is_none_or(|port| i32::from(node.port()) == port))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

async fn own_version(client: &Client) -> Result<Vec<u8>, ClientError> {
    let table = client.query("SELECT schema_version FROM system.local WHERE key = 'local'", &[]).await?;
    let value = table.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
    value.ok_or_else(|| missing("the node's schema version"))
}

fn text(row: &Row, column: usize) -> Result<&str, ClientError> {
    let bytes = row.get(column).and_then(Option::as_deref).ok_or_else(|| missing("a name"))?;
    std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8("a name in the schema").into())
}

fn missing(what: &'static str) -> ClientError {
    WireError::Invalid(format!("{what} is missing")).into()
}
