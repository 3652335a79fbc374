//! `system.local`, `system.peers` and `system.peers_v2`: the gateway's own tables.
//!
//! Drivers learn from them where to connect, so they show the gateway as the only node. The gateway
//! evaluates SELECTs on them itself: rewriting a node's rows by column name would leak through an alias or a
//! prepared statement without metadata. What it cannot evaluate is 0x2200: several drivers give up on 0x2100
//! here, but fall back on 0x2200.

mod evaluate;
mod fixed;
mod restricted;
mod tables;
mod value;

use std::net::SocketAddr;

use cqlgate_protocol::cql::Statement;
use cqlgate_protocol::wire::client::prepared_id;
use cqlgate_protocol::wire::request::Options;
use cqlgate_protocol::wire::response::{self, RowSet};
use cqlgate_protocol::wire::{ErrorCode, Version};

use super::statements::Classified;
use crate::upstream::LocalRow;
use evaluate::Selected;
use evaluate::bound;
pub(super) use fixed::Fixed;
pub(super) use restricted::{restricted_to, restricts};
pub(super) use tables::LocalTable;

/// What the tables are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The node's own `system.local`: its names, versions and tokens.
    pub row: &'a LocalRow,
    /// The address that the client reaches this gateway by.
    pub advertised: SocketAddr,
}

/// Why a SELECT on one of these tables is not answered. Told as 0x2200.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error("Undefined column name {column} in table system.{table}")]
    UndefinedColumn { column: String, table: &'static str },
    #[error("The gateway answers system.{table} itself and cannot evaluate {what} there")]
    Unsupported { table: &'static str, what: String },
    #[error("Invalid amount of bind variables")]
    BindVariables,
    #[error("Invalid value for {0}")]
    InvalidValue(String),
    #[error("LIMIT must be strictly positive")]
    Limit,
}

/// Answers a SELECT, with what was bound to it.
pub(super) fn answer(
    table: LocalTable,
    text: &str,
    view: &View<'_>,
    options: &Options<'_>,
    version: Version,
    stream: i16,
) -> Vec<u8> {
    let answered = with_selected(table, text, view, |selected| {
        let rows = selected.rows(&options.values)?;
        let columns = selected.columns();
        let set = RowSet { keyspace: "system", table: table.name(), columns: &columns };
        Ok(response::rows(version, stream, &set, &rows, !options.skip_metadata))
    });
    answered.unwrap_or_else(|error| invalid(version, stream, &error))
}

/// Answers a PREPARE; the id has to be booked.
pub(super) fn prepare(
    table: LocalTable,
    classified: &Classified,
    view: &View<'_>,
    version: Version,
    stream: i16,
) -> (Vec<u8>, Option<[u8; 16]>) {
    let keyspace = if classified.qualified { None } else { classified.keyspace.as_deref() };
    let id = prepared_id(keyspace, &classified.text);
    let answered = with_selected(table, &classified.text, view, |selected| {
        let (markers, partition_key) = selected.markers()?;
        let markers: Vec<_> = markers.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
        let columns = selected.columns();
        let set = RowSet { keyspace: "system", table: table.name(), columns: &columns };
        let prepared = response::Prepared {
            id: &id,
            markers: RowSet { columns: &markers, ..set },
            partition_key: &partition_key,
            result: set,
        };
        Ok(response::prepared(version, stream, &prepared))
    });
    match answered {
        Ok(answer) => (answer, Some(id)),
        Err(error) => (invalid(version, stream, &error), None),
    }
}

fn invalid(version: Version, stream: i16, error: &LocalError) -> Vec<u8> {
    response::error(version, stream, ErrorCode::Invalid, &error.to_string())
}

fn with_selected<T>(
    table: LocalTable,
    text: &str,
    view: &View<'_>,
    then: impl FnOnce(Selected<'_>) -> Result<T, LocalError>,
) -> Result<T, LocalError> {
    // The text was classified as a SELECT before; the default limits are the widest.
    let limits = cqlgate_protocol::cql::Limits::default();
    match cqlgate_protocol::cql::parse(text, &limits) {
        Ok(statement @ Statement::Select(_)) => {
            let markers = statement.bind_marker_count();
            let Statement::Select(select) = statement else { return Err(LocalError::BindVariables) };
            let contents = table.contents(view);
            then(Selected::new(table, &select, markers, &contents)?)
        }
        _ => Err(LocalError::Unsupported { table: table.name(), what: "this text".into() }),
    }
}
