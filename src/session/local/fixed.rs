//! Answers that are no tables: DESCRIBE CLUSTER, and LIST ROLES for whoever sees no role.

use cqlgate_protocol::wire::client::prepared_id;
use cqlgate_protocol::wire::request::Options;
use cqlgate_protocol::wire::response::{self, ColumnType, RowSet};
use cqlgate_protocol::wire::{ErrorCode, Version};

use crate::session::statements::Classified;

/// A result that the gateway makes: what it looks like, and its rows.
pub(in crate::session) struct Fixed {
    keyspace: &'static str,
    table: &'static str,
    columns: Vec<(&'static str, ColumnType)>,
    rows: Vec<Vec<Option<Vec<u8>>>>,
}

impl Fixed {
    /// DESCRIBE CLUSTER with what a node said of it: its name, partitioner and snitch, and never which nodes
    /// own what.
    pub(in crate::session) fn cluster(cluster: [String; 3]) -> Self {
        let text = ColumnType::VARCHAR;
        Self {
            keyspace: "system",
            table: "describe",
            columns: vec![("cluster", text.clone()), ("partitioner", text.clone()), ("snitch", text)],
            rows: vec![cluster.map(|value| Some(value.into_bytes())).into()],
        }
    }

    /// LIST ROLES as a role without roles sees it: nobody through the gateway is a role of Cassandra's.
    pub(in crate::session) fn no_roles() -> Self {
        let text = ColumnType::VARCHAR;
        Self {
            keyspace: "system_auth",
            table: "roles",
            columns: vec![
                ("role", text.clone()),
                ("super", ColumnType::BOOLEAN),
                ("login", ColumnType::BOOLEAN),
                ("options", ColumnType::map_of(text.clone(), text.clone())),
                ("datacenters", text),
            ],
            rows: Vec::new(),
        }
    }

    /// LIST USERS, the same.
    pub(in crate::session) fn no_users() -> Self {
        let text = ColumnType::VARCHAR;
        Self {
            keyspace: "system_auth",
            table: "users",
            columns: vec![("name", text.clone()), ("super", ColumnType::BOOLEAN), ("datacenters", text)],
            rows: Vec::new(),
        }
    }

    fn with_set<T>(&self, then: impl FnOnce(&RowSet<'_>) -> T) -> T {
        let columns: Vec<_> = self.columns.iter().map(|(name, ty)| (*name, ty)).collect();
        then(&RowSet { keyspace: self.keyspace, table: self.table, columns: &columns })
    }

    /// The answer to QUERY and EXECUTE.
    pub(in crate::session) fn answer(&self, version: Version, stream: i16, options: &Options<'_>) -> Vec<u8> {
        if !options.values.is_empty() {
            let text = "Invalid amount of bind variables";
            return response::error(version, stream, ErrorCode::Invalid, text);
        }
        self.with_set(|set| response::rows(version, stream, set, &self.rows, !options.skip_metadata))
    }

    /// The answer to PREPARE; the id has to be booked.
    pub(in crate::session) fn prepare(
        &self,
        classified: &Classified,
        version: Version,
        stream: i16,
    ) -> (Vec<u8>, [u8; 16]) {
        let keyspace = if classified.qualified { None } else { classified.keyspace.as_deref() };
        let id = prepared_id(keyspace, &classified.text);
        let answer = self.with_set(|set| {
            let prepared = response::Prepared {
                id: &id,
                markers: RowSet { columns: &[], ..*set },
                partition_key: &[],
                result: *set,
            };
            response::prepared(version, stream, &prepared)
        });
        (answer, id)
    }
}
