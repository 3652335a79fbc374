//! Requests, as a client writes them: what the gateway itself asks of nodes.

use md5::{Digest as _, Md5};

use super::opcode::Opcode;
use super::version::Version;
use super::write::Writer;

/// A consistency level (spec section 3), as far as the gateway's own queries need one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Consistency {
    /// One replica: for tables that live on each node itself.
    One = 0x0001,
    /// A quorum of the local data centre.
    LocalQuorum = 0x0006,
}

/// A query of the gateway's own.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The consistency level.
    pub consistency: Consistency,
    /// Values for the `?` markers, in order.
    pub values: &'a [&'a [u8]],
    /// Rows of a page.
    pub page_size: i32,
    /// Where the page starts, from the last page's answer.
    pub paging_state: Option<&'a [u8]>,
}

impl Query<'_> {
    fn write(&self, writer: Writer) -> Writer {
        let has_values = u8::from(!self.values.is_empty());
        let flags = has_values | 0x04 | if self.paging_state.is_some() { 0x08 } else { 0 };
        let mut writer = writer.short(self.consistency as u16).byte(flags);
        if has_values != 0 {
            writer = writer.short(u16::try_from(self.values.len()).unwrap_or(u16::MAX));
            for value in self.values {
                writer = writer.bytes(Some(value));
            }
        }
        writer = writer.int(self.page_size);
        if let Some(state) = self.paging_state {
            writer = writer.bytes(Some(state));
        }
        writer
    }
}

/// OPTIONS: what does the node support, or is it still there.
pub fn options(version: Version, stream: i16) -> Vec<u8> {
    Writer::request(version, stream, Opcode::Options).finish()
}

/// STARTUP with these options; `CQL_VERSION` must be among them.
pub fn startup(version: Version, stream: i16, options: &[(&str, &str)]) -> Vec<u8> {
    Writer::request(version, stream, Opcode::Startup).string_map(options).finish()
}

/// `AUTH_RESPONSE` with the initial response of SASL PLAIN (RFC 4616), without an authorization identity.
pub fn auth_plain(version: Version, stream: i16, username: &str, password: &str) -> Vec<u8> {
    let length = username.len() + password.len() + 2;
    Writer::request(version, stream, Opcode::AuthResponse)
        .int(i32::try_from(length).unwrap_or(i32::MAX))
        .byte(0)
        .raw(username.as_bytes())
        .byte(0)
        .raw(password.as_bytes())
        .finish()
}

/// REGISTER for these kinds of events.
pub fn register(version: Version, stream: i16, events: &[&str]) -> Vec<u8> {
    Writer::request(version, stream, Opcode::Register).string_list(events).finish()
}

/// QUERY.
pub fn query(version: Version, stream: i16, text: &str, query: &Query<'_>) -> Vec<u8> {
    query.write(Writer::request(version, stream, Opcode::Query).long_string(text)).finish()
}

/// PREPARE.
pub fn prepare(version: Version, stream: i16, text: &str) -> Vec<u8> {
    Writer::request(version, stream, Opcode::Prepare).long_string(text).finish()
}

/// EXECUTE.
pub fn execute(version: Version, stream: i16, id: &[u8], query: &Query<'_>) -> Vec<u8> {
    query.write(Writer::request(version, stream, Opcode::Execute).short_bytes(id)).finish()
}

/// The id that Cassandra gives a statement: MD5 of the text, or of the keyspace in force and the text
/// right behind it where the text does not qualify every name. A name for a text, not a protection.
pub fn prepared_id(keyspace: Option<&str>, text: &str) -> [u8; 16] {
    let mut digest = Md5::new();
    digest.update(keyspace.unwrap_or_default().as_bytes());
    digest.update(text.as_bytes());
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{HEADER_LENGTH, Header, Reader};

    #[test]
    fn a_query_with_everything() {
        let bytes = query(
            Version::V4,
            9,
            "SELECT 1",
            &Query {
                consistency: Consistency::One,
                values: &[b"a", b""],
                page_size: 100,
                paging_state: Some(b"p"),
            },
        );
        let header = Header::parse(&bytes).unwrap();
        assert_eq!((header.version, header.stream, header.opcode), (4, 9, 7));
        let mut reader = Reader::new(&bytes[HEADER_LENGTH..]);
        assert_eq!(reader.long_string(), Ok("SELECT 1"));
        assert_eq!((reader.short(), reader.byte(), reader.short()), (Ok(1), Ok(0x0D), Ok(2)));
        assert_eq!((reader.bytes(), reader.bytes()), (Ok(Some(&b"a"[..])), Ok(Some(&b""[..]))));
        assert_eq!((reader.int(), reader.bytes()), (Ok(100), Ok(Some(&b"p"[..]))));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn an_execute_without_values() {
        let of =
            Query { consistency: Consistency::LocalQuorum, values: &[], page_size: 7, paging_state: None };
        let bytes = execute(Version::V3, 0, &[5; 16], &of);
        let mut reader = Reader::new(&bytes[HEADER_LENGTH..]);
        assert_eq!(reader.short_bytes(), Ok(&[5; 16][..]));
        assert_eq!((reader.short(), reader.byte(), reader.int()), (Ok(6), Ok(0x04), Ok(7)));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn plain_is_nul_user_nul_password() {
        let bytes = auth_plain(Version::V4, 0, "u", "pw");
        assert_eq!(&bytes[HEADER_LENGTH..], b"\0\0\0\x05\0u\0pw");
    }

    #[test]
    fn ids_are_md5_of_keyspace_and_text() {
        // RFC 1321, appendix A.5: MD5 of "abc".
        let abc =
            [0x90, 0x01, 0x50, 0x98, 0x3C, 0xD2, 0x4F, 0xB0, 0xD6, 0x96, 0x3F, 0x7D, 0x28, 0xE1, 0x7F, 0x72];
        assert_eq!(prepared_id(None, "abc"), abc);
        assert_eq!(prepared_id(Some("a"), "bc"), abc);
    }
}
