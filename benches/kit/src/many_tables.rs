//! A node with one keyspace of many tables: enough of protocol version 4 for a gateway to read its schema, in
//! pages, and one table of it again after a change.
//!
//! Rows are made when they are asked for, so that the memory of the process is what is measured.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cqlgate_protocol::wire::request::{self, Options, Query};
use cqlgate_protocol::wire::response::{self, ColumnType, RowSet};
use cqlgate_protocol::wire::{ErrorCode, HEADER_LENGTH, Header, Opcode, Reader, Version, Writer};
use cqlgate_testkit::Result;
use cqlgate_testkit::trouble::During as _;

/// The keyspace.
pub const KEYSPACE: &str = "many";
/// Columns of each table.
pub const COLUMNS: usize = 8;
/// The table whose columns change.
pub const CHANGED: usize = 7;

const TYPES: [&str; 12] = [
    "text",
    "int",
    "bigint",
    "timestamp",
    "boolean",
    "decimal",
    "uuid",
    "blob",
    "set<text>",
    "map<text, frozen<list<int>>>",
    "frozen<tuple<int, text>>",
    "frozen<address>",
];

/// The name of a table.
pub fn table(n: usize) -> String {
    format!("table_{n:06}")
}

/// How often [`CHANGED`] has been altered: it has a column more every other time.
pub type Alterations = Arc<AtomicUsize>;

/// Starts a node with this many tables on a free port of loopback; it runs until the process ends.
pub fn start(tables: usize, alterations: Alterations) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").during("listening as a node with many tables")?;
    let address = listener.local_addr().during("listening as a node with many tables")?;
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let node = Node { tables, alterations: Arc::clone(&alterations) };
            std::thread::spawn(move || node.serve(tcp));
        }
    });
    Ok(address)
}

struct Node {
    tables: usize,
    alterations: Alterations,
}

impl Node {
    /// Serves one connection to its end; what cannot be read ends it.
    fn serve(&self, mut tcp: TcpStream) {
        let _ = tcp.set_nodelay(true);
        let mut head = [0; HEADER_LENGTH];
        while tcp.read_exact(&mut head).is_ok() {
            let Some(header) = Header::parse(&head) else { return };
            let mut body = vec![0; header.body_length(64 * 1024).unwrap_or_default()];
            if tcp.read_exact(&mut body).is_err() {
                return;
            }
            let Some(answer) = self.answer(&header, &body) else { return };
            if tcp.write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn answer(&self, header: &Header, body: &[u8]) -> Option<Vec<u8>> {
        let (version, stream) = (header.known_version()?, header.stream);
        let message = request::message(version, header.flags, body).ok()?;
        Some(match Opcode::from_byte(header.opcode)? {
            Opcode::Query => {
                let query = Query::parse(version, message).ok()?;
                self.rows(version, stream, query.text, &query.options, message)?
            }
            Opcode::Options => response::supported(version, stream, "3.4.7"),
            Opcode::Startup => response::authenticate(version, stream),
            Opcode::AuthResponse => response::auth_success(version, stream),
            Opcode::Register => response::ready(version, stream),
            _ => response::error(version, stream, ErrorCode::Protocol, "not known to the stub"),
        })
    }

    fn rows(
        &self,
        version: Version,
        stream: i16,
        text: &str,
        options: &Options<'_>,
        message: &[u8],
    ) -> Option<Vec<u8>> {
        let from = text.split_once(" FROM ")?.1.split(' ').next()?;
        if from == "system.local" {
            let columns = [("schema_version", &ColumnType::UUID), ("release_version", &ColumnType::VARCHAR)];
            let version_of_schema = [u8::try_from(self.alterations.load(Ordering::Relaxed) % 251).ok()?; 16];
            let row = vec![Some(version_of_schema.to_vec()), Some(b"5.0.9".to_vec())];
            let set = RowSet { keyspace: "system", table: "local", columns: &columns };
            return Some(response::rows(version, stream, &set, &[row], true));
        }
        // The value behind the keyspace's, if a table is asked for by its name.
        let wanted = wanted(text, message);
        let (first, past) = match wanted.as_deref().map(|name| name.strip_prefix("table_")?.parse().ok()) {
            None => (0, self.tables),
            Some(Some(n)) if n < self.tables => (n, n + 1),
            Some(_) => (0, 0),
        };
        let a_table = match from {
            "system_schema.keyspaces" => return Some(page(version, stream, from, &[row(&[KEYSPACE])], None)),
            "system_schema.tables" => 1,
            "system_schema.columns" => COLUMNS,
            _ => 0,
        };
        let size = usize::try_from(options.page_size?).ok()?;
        let start = match options.paging_state {
            Some(state) => usize::try_from(u64::from_be_bytes(state.try_into().ok()?)).ok()?,
            None => first * a_table,
        };
        let end = (past * a_table).min(start + size);
        let rows: Vec<_> = match a_table {
            1 => (start..end).map(|n| row(&[KEYSPACE, &table(n)])).collect(),
            0 => Vec::new(),
            _ => (start..end).filter_map(|n| self.column(n / a_table, n % a_table)).collect(),
        };
        let next = (end < past * a_table).then_some(end as u64);
        Some(page(version, stream, from, &rows, next))
    }

    /// A column: two keys, some names that every table has, some that few have.
    fn column(&self, of: usize, n: usize) -> Option<Vec<u8>> {
        let is_there = of != CHANGED || n < COLUMNS - 1 || self.alterations.load(Ordering::Relaxed) % 2 == 1;
        let name = match n {
            0 => "id".to_owned(),
            1 => "at".to_owned(),
            2..=4 => format!("common_{n}"),
            _ => format!("column_{n}_{}", of % 1000),
        };
        let kind = ["partition_key", "clustering"].get(n).unwrap_or(&"regular");
        let cql_type = TYPES.get((of + n) % TYPES.len())?;
        is_there.then(|| row(&[KEYSPACE, &table(of), &name, kind, cql_type]))
    }
}

/// The second value of a query for one table or view.
fn wanted(text: &str, message: &[u8]) -> Option<String> {
    if !text.contains("AND table_name = ?") && !text.contains("AND view_name = ?") {
        return None;
    }
    let mut reader = Reader::new(message);
    reader.long_string().ok()?;
    // Consistency, flags, the number of values, the keyspace.
    let _ = (reader.short().ok()?, reader.byte().ok()?, reader.short().ok()?, reader.bytes().ok()?);
    String::from_utf8(reader.bytes().ok()??.to_vec()).ok()
}

fn row(values: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend(u32::try_from(value.len()).unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

/// RESULT Rows with text columns, as many as the schema table in question has, and where the next page starts.
fn page(version: Version, stream: i16, from: &str, rows: &[Vec<u8>], next: Option<u64>) -> Vec<u8> {
    let width = match from {
        "system_schema.keyspaces" => 1,
        "system_schema.tables" => 2,
        _ => 5,
    };
    let more = if next.is_some() { 0x02 } else { 0 };
    let mut writer = Writer::response(version, stream, Opcode::Result).int(2).int(0x01 | more).int(width);
    if let Some(next) = next {
        writer = writer.bytes(Some(&next.to_be_bytes()));
    }
    writer = writer.string("system_schema").string(from);
    for name in ["a", "b", "c", "d", "e"].iter().take(usize::try_from(width).unwrap_or_default()) {
        writer = writer.string(name).short(0x0D);
    }
    writer = writer.int(i32::try_from(rows.len()).unwrap_or_default());
    for row in rows {
        writer = writer.raw(row);
    }
    writer.finish()
}
