//! What the gateway answers itself, as whole envelopes.

use std::net::{IpAddr, SocketAddr};

use super::event::SchemaChange;
use super::types::ColumnType;
use crate::wire::error::ErrorCode;
use crate::wire::opcode::Opcode;
use crate::wire::version::Version;
use crate::wire::write::Writer;

/// The authenticator that is announced: several drivers compare it with a list.
pub const PASSWORD_AUTHENTICATOR: &str = "org.apache.cassandra.auth.PasswordAuthenticator";

/// ERROR without further fields: every code of [`ErrorCode`] but `Unprepared`, for which there is
/// [`unprepared`].
pub fn error(version: Version, stream: i16, code: ErrorCode, message: &str) -> Vec<u8> {
    raw_error(version, stream, code.code(), message)
}

/// ERROR with any code that has no further fields, such as one that a statement's check has named.
pub fn raw_error(version: Version, stream: i16, code: u32, message: &str) -> Vec<u8> {
    error_start(version, stream, code, message).finish()
}

fn error_start(version: Version, stream: i16, code: u32, message: &str) -> Writer {
    Writer::response(version, stream, Opcode::Error).raw(&code.to_be_bytes()).string(message)
}

/// UNPREPARED: the driver prepares the statement again and repeats its request. The text is Cassandra's.
pub fn unprepared(version: Version, stream: i16, id: &[u8]) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(id.len().min(64) * 2);
    for byte in id.iter().take(64) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let message = format!(
        "Prepared query with ID {hex} not found (either the query was not prepared on this host (maybe the host \
         has been restarted?) or you have prepared too many queries and it has been evicted from the internal \
         cache)"
    );
    error_start(version, stream, ErrorCode::Unprepared.code(), &message).short_bytes(id).finish()
}

/// SUPPORTED: the versions spoken here, no compression (the key must be there), and the CQL version that
/// the nodes speak.
pub fn supported(version: Version, stream: i16, cql_version: &str) -> Vec<u8> {
    Writer::response(version, stream, Opcode::Supported)
        .short(3)
        .string("CQL_VERSION")
        .string_list(&[cql_version])
        .string("COMPRESSION")
        .string_list(&[])
        .string("PROTOCOL_VERSIONS")
        .string_list(&Version::SUPPORTED)
        .finish()
}

/// READY.
pub fn ready(version: Version, stream: i16) -> Vec<u8> {
    Writer::response(version, stream, Opcode::Ready).finish()
}

/// AUTHENTICATE with [`PASSWORD_AUTHENTICATOR`].
pub fn authenticate(version: Version, stream: i16) -> Vec<u8> {
    Writer::response(version, stream, Opcode::Authenticate).string(PASSWORD_AUTHENTICATOR).finish()
}

/// `AUTH_SUCCESS` with a null token, as a password authenticator sends it.
pub fn auth_success(version: Version, stream: i16) -> Vec<u8> {
    Writer::response(version, stream, Opcode::AuthSuccess).bytes(None).finish()
}

/// RESULT Void.
pub fn void(version: Version, stream: i16) -> Vec<u8> {
    Writer::response(version, stream, Opcode::Result).int(1).finish()
}

/// RESULT `Set_keyspace` with the keyspace's internal name.
pub fn set_keyspace(version: Version, stream: i16, keyspace: &str) -> Vec<u8> {
    Writer::response(version, stream, Opcode::Result).int(3).string(keyspace).finish()
}

/// RESULT `Schema_change`.
pub fn schema_change_result(version: Version, stream: i16, change: &SchemaChange) -> Vec<u8> {
    change.write(Writer::response(version, stream, Opcode::Result).int(5)).finish()
}

/// EVENT `SCHEMA_CHANGE`.
pub fn schema_change_event(version: Version, change: &SchemaChange) -> Vec<u8> {
    change.write(Writer::response(version, -1, Opcode::Event).string("SCHEMA_CHANGE")).finish()
}

/// EVENT `STATUS_CHANGE` of a node (or a gateway) at `node`.
pub fn status_event(version: Version, up: bool, node: SocketAddr) -> Vec<u8> {
    let writer = Writer::response(version, -1, Opcode::Event).string("STATUS_CHANGE").string(if up {
        "UP"
    } else {
        "DOWN"
    });
    let writer = match node.ip() {
        IpAddr::V4(address) => writer.byte(4).raw(&address.octets()),
        IpAddr::V6(address) => writer.byte(16).raw(&address.octets()),
    };
    writer.int(i32::from(node.port())).finish()
}

/// The description of rows that all come from one table.
#[derive(Clone, Copy, Debug)]
pub struct RowSet<'a> {
    /// The table's keyspace.
    pub keyspace: &'a str,
    /// The table.
    pub table: &'a str,
    /// Names (or aliases) and types.
    pub columns: &'a [(&'a str, &'a ColumnType)],
}

impl RowSet<'_> {
    fn write_columns(&self, mut writer: Writer) -> Writer {
        if self.columns.is_empty() {
            return writer;
        }
        writer = writer.string(self.keyspace).string(self.table);
        for (name, ty) in self.columns {
            writer = ty.write(writer.string(name));
        }
        writer
    }

    /// `Global_tables_spec` stands only where a column follows.
    fn flags(&self) -> i32 {
        i32::from(!self.columns.is_empty())
    }

    fn width(&self) -> i32 {
        i32::try_from(self.columns.len()).unwrap_or(i32::MAX)
    }
}

/// RESULT Rows, one page that is the last. Each row must have a value for each column, `None` being null.
/// `metadata` is false if the request set `Skip_metadata`.
pub fn rows<V: AsRef<[u8]>>(
    version: Version,
    stream: i16,
    set: &RowSet<'_>,
    rows: &[Vec<Option<V>>],
    metadata: bool,
) -> Vec<u8> {
    let writer = Writer::response(version, stream, Opcode::Result).int(2);
    let writer = if metadata {
        set.write_columns(writer.int(set.flags()).int(set.width()))
    } else {
        writer.int(0x04).int(set.width())
    };
    let mut writer = writer.int(i32::try_from(rows.len()).unwrap_or(i32::MAX));
    for value in rows.iter().flatten() {
        writer = writer.bytes(value.as_ref().map(AsRef::as_ref));
    }
    writer.finish()
}

/// What RESULT Prepared says of a statement.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    /// The id.
    pub id: &'a [u8],
    /// The bind markers.
    pub markers: RowSet<'a>,
    /// Which markers, in order, make the partition key; empty if they do not (v4).
    pub partition_key: &'a [u16],
    /// The columns that EXECUTE will return.
    pub result: RowSet<'a>,
}

/// RESULT Prepared.
pub fn prepared(version: Version, stream: i16, of: &Prepared<'_>) -> Vec<u8> {
    let mut writer = Writer::response(version, stream, Opcode::Result)
        .int(4)
        .short_bytes(of.id)
        .int(of.markers.flags())
        .int(of.markers.width());
    if version >= Version::V4 {
        writer = writer.int(i32::try_from(of.partition_key.len()).unwrap_or(i32::MAX));
        for index in of.partition_key {
            writer = writer.short(*index);
        }
    }
    writer = of.markers.write_columns(writer);
    // A statement that returns no rows says so by No_metadata.
    let flags = if of.result.columns.is_empty() { 0x04 } else { 0x01 };
    of.result.write_columns(writer.int(flags).int(of.result.width())).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HEADER_LENGTH;
    use crate::wire::read::Reader;

    #[test]
    fn prepared_of_v3_has_no_partition_key() {
        let empty = RowSet { keyspace: "system", table: "local", columns: &[] };
        let markers = RowSet { columns: &[("key", &ColumnType::VARCHAR)], ..empty };
        let result = RowSet { columns: &[("host_id", &ColumnType::UUID)], ..empty };
        let of = Prepared { id: &[1; 16], markers, partition_key: &[0], result };
        for version in [Version::V3, Version::V4] {
            let bytes = prepared(version, 2, &of);
            let mut reader = Reader::new(&bytes[HEADER_LENGTH..]);
            assert_eq!(reader.int(), Ok(4));
            assert_eq!(reader.short_bytes(), Ok(&[1; 16][..]));
            assert_eq!((reader.int(), reader.int()), (Ok(1), Ok(1)));
            if version == Version::V4 {
                assert_eq!((reader.int(), reader.short()), (Ok(1), Ok(0)));
            }
            assert_eq!((reader.string(), reader.string()), (Ok("system"), Ok("local")));
            assert_eq!((reader.string(), reader.short()), (Ok("key"), Ok(0x0D)));
            assert_eq!((reader.int(), reader.int()), (Ok(1), Ok(1)));
            assert_eq!((reader.string(), reader.string()), (Ok("system"), Ok("local")));
            assert_eq!((reader.string(), reader.short()), (Ok("host_id"), Ok(0x0C)));
            assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn prepared_without_markers_or_result() {
        let empty = RowSet { keyspace: "k", table: "t", columns: &[] };
        let bytes = prepared(
            Version::V4,
            2,
            &Prepared { id: &[1; 16], markers: empty, partition_key: &[], result: empty },
        );
        let mut reader = Reader::new(&bytes[HEADER_LENGTH + 4 + 18..]);
        assert_eq!((reader.int(), reader.int(), reader.int()), (Ok(0), Ok(0), Ok(0)));
        assert_eq!((reader.int(), reader.int()), (Ok(4), Ok(0)));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn unprepared_says_what_cassandra_says() {
        let bytes = unprepared(Version::V4, 1, &[0xAB; 16]);
        let mut reader = Reader::new(&bytes[HEADER_LENGTH..]);
        assert_eq!(reader.int(), Ok(0x2500));
        let message = reader.string().unwrap();
        assert!(
            message.starts_with("Prepared query with ID abababab") && message.contains(" not found (either")
        );
        assert_eq!(reader.short_bytes(), Ok(&[0xAB; 16][..]));
    }
}
