//! The 9-byte header of v3 and v4 (spec section 2).

use super::version::Version;

/// Bytes of a header.
pub const HEADER_LENGTH: usize = 9;

/// The flags byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The body is compressed.
    pub const COMPRESSED: u8 = 0x01;
    /// A request: trace it. A response: a tracing id comes first.
    pub const TRACING: u8 = 0x02;
    /// A custom payload comes first (v4).
    pub const CUSTOM_PAYLOAD: u8 = 0x04;
    /// A response: warnings come first (v4).
    pub const WARNING: u8 = 0x08;

    /// Is this flag set?
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// A header as it stands on the wire: nothing is judged here but its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first byte: version, and 0x80 in a response.
    pub version: u8,
    /// Flags.
    pub flags: Flags,
    /// The stream id; negative ones are the server's.
    pub stream: i16,
    /// The opcode's byte.
    pub opcode: u8,
    /// The declared length of the body; negative on hostile input.
    pub length: i32,
}

impl Header {
    /// Reads the header that `bytes` starts with; `None` if there are fewer than [`HEADER_LENGTH`] bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEADER_LENGTH] = bytes.first_chunk()?;
        let &[version, flags, s0, s1, opcode, l0, l1, l2, l3] = head;
        Some(Self {
            version,
            flags: Flags(flags),
            stream: i16::from_be_bytes([s0, s1]),
            opcode,
            length: i32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    /// The length of the body if it is not negative and at most `limit`.
    #[inline]
    pub fn body_length(&self, limit: usize) -> Option<usize> {
        usize::try_from(self.length).ok().filter(|length| *length <= limit)
    }

    /// Is it a response?
    pub const fn is_response(&self) -> bool {
        self.version & 0x80 != 0
    }

    /// The bytes of a header. A body longer than `i32::MAX` cannot be written and is cut to it; callers
    /// build bodies of their own that are far smaller.
    pub fn encode(version: u8, flags: u8, stream: i16, opcode: u8, length: usize) -> [u8; HEADER_LENGTH] {
        let [s0, s1] = stream.to_be_bytes();
        let [l0, l1, l2, l3] = i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes();
        [version, flags, s0, s1, opcode, l0, l1, l2, l3]
    }

    /// The version of a header that is spoken here.
    pub const fn known_version(&self) -> Option<Version> {
        Version::from_byte(self.version)
    }
}
