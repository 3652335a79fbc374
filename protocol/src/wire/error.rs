//! What can be wrong with bytes, and the error codes of the protocol.

use std::fmt;

/// Why bytes were refused. The text is Cassandra's where Cassandra has one: drivers show it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A field ends past the end of the body, or its length is negative where it may not be.
    NotEnoughBytes(&'static str),
    /// Bytes after the last field of a message.
    TrailingBytes(usize),
    /// Text that is not UTF-8.
    NotUtf8(&'static str),
    /// A consistency level that does not exist.
    UnknownConsistency(u16),
    /// A page size of 0.
    PageSizeZero,
    /// A value's length below -2 (v4), or otherwise impossible.
    InvalidValueLength(i32),
    /// Any other rule of the protocol that a message breaks.
    Invalid(String),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnoughBytes(what) => write!(f, "Not enough bytes to read {what}"),
            Self::TrailingBytes(n) => write!(f, "{n} unexpected bytes after the last field of the message"),
            Self::NotUtf8(what) => write!(f, "Cannot decode {what} as UTF8"),
            Self::UnknownConsistency(code) => write!(f, "Unknown code {code} for a consistency level"),
            Self::PageSizeZero => f.write_str("The page size cannot be 0"),
            Self::InvalidValueLength(n) => write!(f, "Invalid ByteBuf length {n}"),
            Self::Invalid(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for WireError {}

/// Error codes (spec section 9) that the gateway sends or looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ErrorCode {
    /// Something unexpected on our side.
    Server = 0x0000,
    /// The client broke the protocol.
    Protocol = 0x000A,
    /// Bad credentials.
    BadCredentials = 0x0100,
    /// Overloaded: drivers try elsewhere or hand it to the application.
    Overloaded = 0x1001,
    /// The text is no CQL.
    Syntax = 0x2000,
    /// The principal may not.
    Unauthorized = 0x2100,
    /// CQL, but not valid.
    Invalid = 0x2200,
    /// Invalid because of some configuration issue.
    Config = 0x2300,
    /// The prepared statement is not known; the id follows.
    Unprepared = 0x2500,
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }
}
