//! Protocol versions and how a server that knows v3 and v4 answers the others.

use std::fmt;

/// A version that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// v3 (Cassandra 2.1 and later).
    V3,
    /// v4 (Cassandra 2.2 and later), the highest that is offered.
    V4,
}

impl Version {
    /// The highest version that is offered; refusals of other versions are written in it.
    pub const HIGHEST: Self = Self::V4;

    /// The version of a request's first byte, whose highest bit says response and is not looked at.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte & 0x7F {
            3 => Some(Self::V3),
            4 => Some(Self::V4),
            _ => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    /// The first byte of a request.
    pub const fn request_byte(self) -> u8 {
        self.number()
    }

    /// The first byte of a response.
    pub const fn response_byte(self) -> u8 {
        self.number() | 0x80
    }

    /// What drivers look for before they try a lower version: the text is Cassandra's, with this list.
    pub fn unsupported_message(number: u8) -> String {
        format!("Invalid or unsupported protocol version ({number}); supported versions are (3/v3, 4/v4)")
    }

    /// The values of `PROTOCOL_VERSIONS` in SUPPORTED.
    pub const SUPPORTED: [&'static str; 2] = ["3/v3", "4/v4"];
}

/// `3/v3`, as Cassandra writes it.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0}/v{0}", self.number())
    }
}
