//! Reading `system.local`, and whether the nodes agree on the schema, over the control connection.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use cqlgate_protocol::wire::response::ColumnType;

use super::client::{Client, ClientError, Table};
use super::tables::Offers;
use super::values::missing;

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

/// Reads the row of `system.local`.
pub(super) async fn local(client: &Client) -> Result<LocalRow, ClientError> {
    let table = client.query("SELECT * FROM system.local WHERE key = 'local'", &[]).await?;
    let row = table.rows.into_iter().next().ok_or_else(|| missing("the row of system.local"))?;
    let columns = table.columns.into_iter().zip(row).map(|((name, ty), value)| (name, ty, value)).collect();
    Ok(LocalRow { columns })
}

/// Do all nodes that are up have one schema version? Those in `down` are left out, and so are rows that do
/// not say one (a node that is joining).
pub(super) async fn agreed(
    client: &Client,
    offers: Offers,
    down: &HashSet<SocketAddr>,
) -> Result<bool, ClientError> {
    let own = own_version(client).await?;
    let query = if offers.peers_v2 {
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

/// The version of the schema that the node has: a digest of all of it.
pub(super) async fn own_version(client: &Client) -> Result<Vec<u8>, ClientError> {
    let table = client.query("SELECT schema_version FROM system.local WHERE key = 'local'", &[]).await?;
    let value = table.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
    Ok(value.ok_or_else(|| missing("the node's schema version"))?)
}
