//! A node that answers at once and always the same: enough of protocol version 4 for a gateway to log in,
//! read a schema and prepare; after that, one fixed answer to an EXECUTE or QUERY.
//!
//! One thread a connection. Everything that has come is answered in one write, and in steady state
//! nothing is allocated.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use cqlgate_protocol::wire::request::{self, Execute, Query};
use cqlgate_protocol::wire::response::{self, ColumnType, Prepared, RowSet};
use cqlgate_protocol::wire::{ErrorCode, HEADER_LENGTH, Header, Opcode, Version};
use cqlgate_testkit::Result;
use cqlgate_testkit::trouble::During as _;

use crate::statements::{KEYSPACE, READ, ROW, TABLE, id};

/// Bytes of requests that a connection holds at most.
const BUFFER: usize = 256 * 1024;

/// The columns of `system.local` that it has; those with text.
const LOCAL: [(&str, &str); 7] = [
    ("key", "local"),
    ("cluster_name", "stub"),
    ("cql_version", "3.4.7"),
    ("data_center", "dc1"),
    ("partitioner", "org.apache.cassandra.dht.Murmur3Partitioner"),
    ("rack", "rack1"),
    ("release_version", "5.0.9"),
];

/// Starts a node on a free port of loopback; it runs until the process ends.
pub fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").during("listening as a stub")?;
    let address = listener.local_addr().during("listening as a stub")?;
    std::thread::Builder::new()
        .name("stub".into())
        .spawn(move || {
            for tcp in listener.incoming().flatten() {
                std::thread::spawn(move || serve(tcp));
            }
        })
        .during("starting the stub's thread")?;
    Ok(address)
}

/// Serves one connection to its end; one that breaks the protocol is closed.
fn serve(mut tcp: TcpStream) {
    let _ = tcp.set_nodelay(true);
    let answers = Answers::new();
    let mut input = vec![0; BUFFER];
    let mut output = Vec::with_capacity(BUFFER);
    let mut filled = 0;
    loop {
        let Some(space) = input.get_mut(filled..).filter(|space| !space.is_empty()) else { return };
        match tcp.read(space) {
            Ok(0) | Err(_) => return,
            Ok(n) => filled += n,
        }
        let mut at = 0;
        while let Some(rest) = input.get(at..filled)
            && let Some(header) = Header::parse(rest)
        {
            let Some(length) = header.body_length(BUFFER) else { return };
            let Some(body) = rest.get(HEADER_LENGTH..HEADER_LENGTH + length) else { break };
            if answers.answer(&header, body, &mut output).is_none() {
                return;
            }
            at += HEADER_LENGTH + length;
        }
        input.copy_within(at..filled, 0);
        filled -= at;
        if tcp.write_all(&output).is_err() {
            return;
        }
        output.clear();
    }
}

/// The two answers that are made once.
struct Answers {
    read: [u8; 16],
    row: Vec<u8>,
    void: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let columns = [("value", &ColumnType::BLOB)];
        let set = RowSet { keyspace: KEYSPACE, table: TABLE, columns: &columns };
        let row = response::rows(Version::V4, 0, &set, &[vec![Some([7; ROW])]], false);
        Self { read: id(READ), row, void: response::void(Version::V4, 0) }
    }

    /// Appends the answer to one request; `None` if it cannot be read.
    fn answer(&self, header: &Header, body: &[u8], output: &mut Vec<u8>) -> Option<()> {
        let version = header.known_version()?;
        let stream = header.stream;
        let message = request::message(version, header.flags, body).ok()?;
        let made = match Opcode::from_byte(header.opcode)? {
            Opcode::Execute => {
                let id = Execute::parse(version, message).ok()?.id;
                self.fixed(id == self.read, header, output);
                return Some(());
            }
            Opcode::Query => {
                let text = Query::parse(version, message).ok()?.text;
                let Some(answer) = system(version, stream, text) else {
                    self.fixed(text.starts_with("SELECT"), header, output);
                    return Some(());
                };
                answer
            }
            Opcode::Prepare => prepared(version, stream, request::prepare(message).ok()?),
            Opcode::Options => response::supported(version, stream, "3.4.7"),
            Opcode::Startup => response::authenticate(version, stream),
            Opcode::AuthResponse => response::auth_success(version, stream),
            Opcode::Register => response::ready(version, stream),
            _ => response::error(version, stream, ErrorCode::Protocol, "not known to the stub"),
        };
        output.extend_from_slice(&made);
        Some(())
    }

    fn fixed(&self, read: bool, header: &Header, output: &mut Vec<u8>) {
        let start = output.len();
        output.extend_from_slice(if read { &self.row } else { &self.void });
        if let Some(stream) = output.get_mut(start + 2..start + 4) {
            stream.copy_from_slice(&header.stream.to_be_bytes());
        }
    }
}

fn prepared(version: Version, stream: i16, text: &str) -> Vec<u8> {
    let set = |columns| RowSet { keyspace: KEYSPACE, table: TABLE, columns };
    let (value, key) = (("value", &ColumnType::BLOB), ("id", &ColumnType::INT));
    let (read, write) = ([key], [value, key]);
    let of = if text.starts_with("SELECT") {
        Prepared { id: &id(text), markers: set(&read), partition_key: &[0], result: set(&write[..1]) }
    } else {
        Prepared { id: &id(text), markers: set(&write), partition_key: &[1], result: set(&[]) }
    };
    response::prepared(version, stream, &of)
}

/// What is asked of the system tables: one keyspace with one table, and nothing else in it.
fn system(version: Version, stream: i16, text: &str) -> Option<Vec<u8>> {
    let table = text.split_once(" FROM ")?.1.split(' ').next()?;
    if !table.starts_with("system") {
        return None;
    }
    let rows = |columns: &[(&str, &ColumnType)], rows: &[Vec<Option<&[u8]>>]| {
        let (keyspace, table) = table.split_once('.').unwrap_or((table, ""));
        response::rows(version, stream, &RowSet { keyspace, table, columns }, rows, true)
    };
    let (varchar, uuid) = (&ColumnType::VARCHAR, &ColumnType::UUID);
    Some(match table {
        "system.local" if text.contains('*') => {
            let mut columns: Vec<_> = LOCAL.iter().map(|(name, _)| (*name, varchar)).collect();
            let mut row: Vec<_> = LOCAL.iter().map(|(_, value)| Some(value.as_bytes())).collect();
            for name in ["host_id", "schema_version"] {
                columns.push((name, uuid));
                row.push(Some(&[1; 16]));
            }
            rows(&columns, &[row])
        }
        "system.local" => rows(&[("schema_version", uuid)], &[vec![Some(&[1; 16])]]),
        "system_schema.keyspaces" => rows(&[("keyspace_name", varchar)], &[vec![Some(KEYSPACE.as_bytes())]]),
        "system_schema.tables" => rows(
            &[("keyspace_name", varchar), ("table_name", varchar)],
            &[vec![Some(KEYSPACE.as_bytes()), Some(TABLE.as_bytes())]],
        ),
        "system_schema.columns" => rows(
            &["keyspace_name", "table_name", "column_name", "kind", "type"].map(|name| (name, varchar)),
            &[["id", "partition_key", "int"], ["value", "regular", "blob"]].map(|column| {
                let names = [KEYSPACE, TABLE].into_iter().chain(column);
                names.map(|name| Some(name.as_bytes())).collect()
            }),
        ),
        // Views, masks, functions, roles, peers, prepared statements: none.
        _ => rows(&[("keyspace_name", varchar), ("table_name", varchar), ("name", varchar)], &[]),
    })
}
