//! Writing whole envelopes of the gateway's own.

use super::header::{HEADER_LENGTH, Header};
use super::opcode::Opcode;
use super::version::Version;

/// Builds one envelope: the header's place is kept, the body is appended, [`Writer::finish`] fills in the
/// length. Strings and counts longer than their prefix allows are cut at the longest that it does: what is
/// written here is ours and short.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    version: u8,
    flags: u8,
    stream: i16,
    opcode: Opcode,
}

impl Writer {
    /// A response.
    pub fn response(version: Version, stream: i16, opcode: Opcode) -> Self {
        Self::new(version.response_byte(), stream, opcode)
    }

    /// A request.
    pub fn request(version: Version, stream: i16, opcode: Opcode) -> Self {
        Self::new(version.request_byte(), stream, opcode)
    }

    fn new(version: u8, stream: i16, opcode: Opcode) -> Self {
        Self { bytes: vec![0; HEADER_LENGTH], version, flags: 0, stream, opcode }
    }

    /// Sets header flags; what they announce has to be written by the caller.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// `[byte]`.
    #[must_use]
    pub fn byte(mut self, value: u8) -> Self {
        self.bytes.push(value);
        self
    }

    /// `[short]`.
    #[must_use]
    pub fn short(mut self, value: u16) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// `[int]`.
    #[must_use]
    pub fn int(mut self, value: i32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// `[long]`.
    #[must_use]
    pub fn long(mut self, value: i64) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// `[string]`, cut at a character boundary if it is longer than 65,535 bytes.
    #[must_use]
    pub fn string(self, value: &str) -> Self {
        let cut = value.floor_char_boundary(usize::from(u16::MAX));
        let value = value.get(..cut).unwrap_or_default();
        self.short(u16::try_from(value.len()).unwrap_or(u16::MAX)).raw(value.as_bytes())
    }

    /// `[long string]`.
    #[must_use]
    pub fn long_string(self, value: &str) -> Self {
        self.int(i32::try_from(value.len()).unwrap_or(i32::MAX)).raw(value.as_bytes())
    }

    /// `[bytes]`; `None` is null.
    #[must_use]
    pub fn bytes(self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.int(-1),
            Some(value) => self.int(i32::try_from(value.len()).unwrap_or(i32::MAX)).raw(value),
        }
    }

    /// `[short bytes]`.
    #[must_use]
    pub fn short_bytes(self, value: &[u8]) -> Self {
        self.short(u16::try_from(value.len()).unwrap_or(u16::MAX)).raw(value)
    }

    /// `[string list]`.
    #[must_use]
    pub fn string_list(mut self, values: &[&str]) -> Self {
        self = self.short(u16::try_from(values.len()).unwrap_or(u16::MAX));
        for value in values {
            self = self.string(value);
        }
        self
    }

    /// `[string map]`.
    #[must_use]
    pub fn string_map(mut self, pairs: &[(&str, &str)]) -> Self {
        self = self.short(u16::try_from(pairs.len()).unwrap_or(u16::MAX));
        for (key, value) in pairs {
            self = self.string(key).string(value);
        }
        self
    }

    /// The whole envelope.
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() - HEADER_LENGTH;
        let header = Header::encode(self.version, self.flags, self.stream, self.opcode.byte(), length);
        if let Some(head) = self.bytes.first_chunk_mut::<HEADER_LENGTH>() {
            *head = header;
        }
        self.bytes
    }
}
