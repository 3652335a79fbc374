//! One envelope of protocol v3 or v4 ("frame" in those specifications, section 2).

/// Request and response opcodes (section 2.4).
pub mod opcode {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const ERROR: u8 = 0x00;
    pub const STARTUP: u8 = 0x01;
    pub const READY: u8 = 0x02;
    pub const AUTHENTICATE: u8 = 0x03;
    pub const OPTIONS: u8 = 0x05;
    pub const SUPPORTED: u8 = 0x06;
    pub const QUERY: u8 = 0x07;
    pub const RESULT: u8 = 0x08;
    pub const PREPARE: u8 = 0x09;
    pub const EXECUTE: u8 = 0x0A;
    pub const REGISTER: u8 = 0x0B;
    pub const EVENT: u8 = 0x0C;
    pub const BATCH: u8 = 0x0D;
    pub const AUTH_CHALLENGE: u8 = 0x0E;
    pub const AUTH_RESPONSE: u8 = 0x0F;
    pub const AUTH_SUCCESS: u8 = 0x10;
}

/// Header flags (section 2.2).
pub mod flag {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const COMPRESSION: u8 = 0x01;
    pub const TRACING: u8 = 0x02;
    pub const CUSTOM_PAYLOAD: u8 = 0x04;
    pub const WARNING: u8 = 0x08;
    pub const USE_BETA: u8 = 0x10;
}

/// One envelope; every field may hold what no honest peer would put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The version byte, direction bit included.
    pub version: u8,
    /// Header flags.
    pub flags: u8,
    /// The stream id.
    pub stream: i16,
    /// The opcode.
    pub opcode: u8,
    /// The body.
    pub body: Vec<u8>,
}

impl Envelope {
    /// A v4 request without flags.
    pub fn request(stream: i16, opcode: u8, body: impl Into<Vec<u8>>) -> Self {
        Self { version: 4, flags: 0, stream, opcode, body: body.into() }
    }

    /// The same with another version byte.
    #[must_use]
    pub fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// The same with these flags.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// Header and body.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with_length(i32::try_from(self.body.len()).unwrap_or(i32::MAX))
    }

    /// Header and body, with a length field that says something else.
    pub fn encode_with_length(&self, length: i32) -> Vec<u8> {
        let mut bytes = vec![self.version, self.flags];
        bytes.extend(self.stream.to_be_bytes());
        bytes.push(self.opcode);
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// Takes the first envelope out of `buffer`, if all of it is there.
    pub fn split_off(buffer: &mut Vec<u8>) -> Option<Self> {
        let length: [u8; 4] = buffer.get(5..9)?.try_into().ok()?;
        let whole = 9 + usize::try_from(u32::from_be_bytes(length)).ok()?;
        if buffer.len() < whole {
            return None;
        }
        let bytes: Vec<u8> = buffer.drain(..whole).collect();
        let [version, flags, s1, s2, opcode, _, _, _, _, body @ ..] = bytes.as_slice() else { return None };
        Some(Self {
            version: *version,
            flags: *flags,
            stream: i16::from_be_bytes([*s1, *s2]),
            opcode: *opcode,
            body: body.to_vec(),
        })
    }
}
