//! The columns and rows of the gateway's own tables.

use std::net::IpAddr;

use cqlgate_protocol::wire::response::ColumnType;

use super::View;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum LocalTable {
    /// `system.local`.
    Local,
    /// `system.peers`.
    Peers,
    /// `system.peers_v2`.
    PeersV2,
}

/// A table as it stands now: columns in Cassandra's order, and rows of as many values.
#[derive(Debug)]
pub(super) struct Contents {
    pub columns: Vec<(String, ColumnType)>,
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
}

impl LocalTable {
    /// The table of this internal name, of keyspace `system`.
    pub(in crate::session) fn named(name: &str) -> Option<Self> {
        match name {
            "local" => Some(Self::Local),
            "peers" => Some(Self::Peers),
            "peers_v2" => Some(Self::PeersV2),
            _ => None,
        }
    }

    /// The table's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Peers => "peers",
            Self::PeersV2 => "peers_v2",
        }
    }

    /// The one column of its partition key.
    pub(super) const fn partition_key(self) -> &'static str {
        match self {
            Self::Local => "key",
            Self::Peers | Self::PeersV2 => "peer",
        }
    }

    pub(super) fn contents(self, view: &View<'_>) -> Contents {
        match self {
            Self::Local => local(view),
            Self::Peers => Contents { columns: peers(&[]), rows: Vec::new() },
            Self::PeersV2 => Contents {
                columns: peers(&[("native_address", ColumnType::INET), ("native_port", ColumnType::INT)]),
                rows: Vec::new(),
            },
        }
    }
}

/// The node's row, with every address and port replaced by the gateway's, and the gateway's own host id.
fn local(view: &View<'_>) -> Contents {
    let address = match view.advertised.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.octets().to_vec(),
            None => address.octets().to_vec(),
        },
    };
    let port = i32::from(view.advertised.port()).to_be_bytes().to_vec();
    let mut columns = Vec::new();
    let mut row = Vec::new();
    for (name, ty, value) in view.row.columns() {
        let value = match name {
            "rpc_address" | "broadcast_address" | "listen_address" => Some(address.clone()),
            "rpc_port" | "broadcast_port" | "listen_port" => Some(port.clone()),
            "host_id" => Some(host_id(view).to_vec()),
            "native_protocol_version" => Some(b"4".to_vec()),
            _ => value.map(<[u8]>::to_vec),
        };
        columns.push((name.to_owned(), ty.clone()));
        row.push(value);
    }
    Contents { columns, rows: vec![row] }
}

/// The same for every connection to one gateway address, whatever node is behind it, and different for two
/// gateways: drivers join what they know of a node by it.
fn host_id(view: &View<'_>) -> [u8; 16] {
    let cluster =
        view.row.columns().find(|(name, ..)| *name == "cluster_name").and_then(|(_, _, value)| value);
    let mut seed = b"cqlgate host_id\0".to_vec();
    seed.extend_from_slice(cluster.unwrap_or_default());
    seed.push(0);
    seed.extend_from_slice(view.advertised.to_string().as_bytes());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &seed);
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    *uuid::Builder::from_custom_bytes(id).into_uuid().as_bytes()
}

/// Cassandra's columns of `system.peers`, and, where `native` names them, of `system.peers_v2`.
fn peers(native: &[(&str, ColumnType)]) -> Vec<(String, ColumnType)> {
    let v2 = !native.is_empty();
    let mut columns: Vec<(String, ColumnType)> = vec![("peer".into(), ColumnType::INET)];
    if v2 {
        columns.push(("peer_port".into(), ColumnType::INT));
    }
    columns.push(("data_center".into(), ColumnType::VARCHAR));
    columns.push(("host_id".into(), ColumnType::UUID));
    columns.extend(native.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())));
    columns.push(("preferred_ip".into(), ColumnType::INET));
    if v2 {
        columns.push(("preferred_port".into(), ColumnType::INT));
    }
    columns.push(("rack".into(), ColumnType::VARCHAR));
    columns.push(("release_version".into(), ColumnType::VARCHAR));
    if !v2 {
        columns.push(("rpc_address".into(), ColumnType::INET));
    }
    columns.push(("schema_version".into(), ColumnType::UUID));
    columns.push(("tokens".into(), ColumnType::VARCHAR.set_of()));
    columns
}
