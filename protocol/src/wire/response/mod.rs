//! Responses: read as a client reads them (what nodes answer), built as a server answers (what the gateway
//! says itself).
//!
//! ```text
//! node    ── header, body ──> Response ──> Rows, SchemaChange, ErrorBody, ...
//! gateway ── builders     ──> whole envelopes for the client
//! ```
//!
//! What nodes send is not trusted to be well-formed: counts allocate nothing, types nest to a bound, and a
//! body that ends early is an error.

mod build;
mod edit;
mod event;
mod rows;
mod types;

pub use build::{
    PASSWORD_AUTHENTICATOR, Prepared, RowSet, auth_success, authenticate, error, prepared, raw_error, ready,
    rows, schema_change_event, schema_change_result, set_keyspace, status_event, supported, unprepared, void,
};
pub use edit::{retain_rows, with_warning};
pub use event::{Change, Event, SchemaChange, Target};
pub use rows::{Column, RowIter, Rows};
pub use types::ColumnType;

use super::error::{ErrorCode, WireError};
use super::header::{Flags, Header};
use super::opcode::Opcode;
use super::read::Reader;

/// A response's message, borrowed from its body.
#[derive(Debug)]
pub enum Response<'a> {
    /// ERROR.
    Error(ErrorBody<'a>),
    /// READY.
    Ready,
    /// AUTHENTICATE: the class of the authenticator.
    Authenticate(&'a str),
    /// SUPPORTED: options and their values.
    Supported(Vec<(&'a str, Vec<&'a str>)>),
    /// RESULT.
    Result(ResultBody<'a>),
    /// EVENT.
    Event(Event),
    /// `AUTH_CHALLENGE`: the server's token.
    AuthChallenge(Option<&'a [u8]>),
    /// `AUTH_SUCCESS`: the server's last token; null from a password authenticator.
    AuthSuccess(Option<&'a [u8]>),
}

/// ERROR (spec section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    /// The code; nodes know more codes than [`ErrorCode`].
    pub code: u32,
    /// The text for people.
    pub message: &'a str,
    /// What follows for this code, not decoded.
    pub extra: &'a [u8],
}

impl<'a> ErrorBody<'a> {
    /// Is it this error?
    pub const fn is(&self, code: ErrorCode) -> bool {
        self.code == code.code()
    }

    /// The id that an UNPREPARED error names.
    pub fn unprepared_id(&self) -> Option<&'a [u8]> {
        if !self.is(ErrorCode::Unprepared) {
            return None;
        }
        Reader::new(self.extra).short_bytes().ok()
    }
}

/// RESULT (spec section 4.2.5).
#[derive(Debug)]
pub enum ResultBody<'a> {
    /// Nothing to say.
    Void,
    /// Rows.
    Rows(Rows<'a>),
    /// `USE` succeeded; the keyspace's internal name.
    SetKeyspace(&'a str),
    /// PREPARE succeeded; the metadata behind the id is not decoded.
    Prepared {
        /// The id.
        id: &'a [u8],
    },
    /// A DDL statement succeeded.
    SchemaChange(SchemaChange),
}

/// The kind of a RESULT, which is all that a proxy has to know of most of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// 1.
    Void,
    /// 2.
    Rows,
    /// 3.
    SetKeyspace,
    /// 4.
    Prepared,
    /// 5.
    SchemaChange,
}

impl ResultKind {
    /// The kind of the RESULT whose header has `flags` and whose body starts with `body`; the body may be
    /// cut behind the kind.
    pub fn of(flags: Flags, body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        skip_prefix(flags, &mut reader)?;
        Self::read(&mut reader)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match reader.int()? {
            1 => Self::Void,
            2 => Self::Rows,
            3 => Self::SetKeyspace,
            4 => Self::Prepared,
            5 => Self::SchemaChange,
            other => return Err(WireError::Invalid(format!("unknown kind {other} of a RESULT"))),
        })
    }
}

impl<'a> ResultBody<'a> {
    /// The RESULT of a response; `None` if it is something else, such as an ERROR.
    pub fn of_response(header: &Header, body: &'a [u8]) -> Result<Option<Self>, WireError> {
        if header.opcode != Opcode::Result.byte() {
            return Ok(None);
        }
        match Response::parse(header, body)? {
            Response::Result(result) => Ok(Some(result)),
            _ => Ok(None),
        }
    }
}

/// The id of the trace that a node made of the request, if it made one; `body` may be cut behind it.
pub fn tracing_id(header: &Header, body: &[u8]) -> Option<[u8; 16]> {
    if !header.flags.has(Flags::TRACING) {
        return None;
    }
    body.first_chunk().copied()
}

impl<'a> Response<'a> {
    /// Reads the message of a response. Tracing id, warnings and custom payload are passed over.
    pub fn parse(header: &Header, body: &'a [u8]) -> Result<Self, WireError> {
        if !header.is_response() {
            return Err(WireError::Invalid("a request where a response was expected".into()));
        }
        let opcode = Opcode::from_byte(header.opcode)
            .ok_or_else(|| WireError::Invalid(format!("unknown opcode {}", header.opcode)))?;
        let mut reader = Reader::new(body);
        skip_prefix(header.flags, &mut reader)?;
        let response = match opcode {
            Opcode::Error => return Ok(Self::Error(read_error(reader)?)),
            Opcode::Ready => Self::Ready,
            Opcode::Authenticate => Self::Authenticate(reader.string()?),
            Opcode::Supported => Self::Supported(read_supported(&mut reader)?),
            Opcode::Result => Self::Result(match ResultKind::read(&mut reader)? {
                ResultKind::Void => ResultBody::Void,
                ResultKind::Rows => return Ok(Self::Result(ResultBody::Rows(Rows::read(reader)?))),
                ResultKind::SetKeyspace => ResultBody::SetKeyspace(reader.string()?),
                ResultKind::Prepared => {
                    return Ok(Self::Result(ResultBody::Prepared { id: reader.short_bytes()? }));
                }
                ResultKind::SchemaChange => ResultBody::SchemaChange(SchemaChange::read(&mut reader)?),
            }),
            Opcode::Event => Self::Event(Event::read(&mut reader)?),
            Opcode::AuthChallenge => Self::AuthChallenge(reader.bytes()?),
            Opcode::AuthSuccess => Self::AuthSuccess(reader.bytes()?),
            other => {
                return Err(WireError::Invalid(format!("{} is no response", other.as_str())));
            }
        };
        reader.end()?;
        Ok(response)
    }
}

/// What may stand before the message: tracing id, warnings, custom payload, in this order (as a server
/// writes them).
fn skip_prefix(flags: Flags, reader: &mut Reader<'_>) -> Result<(), WireError> {
    if flags.has(Flags::COMPRESSED) {
        return Err(WireError::Invalid("a compressed response, but no compression was agreed".into()));
    }
    if flags.has(Flags::TRACING) {
        reader.raw(16)?;
    }
    if flags.has(Flags::WARNING) {
        reader.string_list(|_| ())?;
    }
    if flags.has(Flags::CUSTOM_PAYLOAD) {
        reader.bytes_map(|_, _| ())?;
    }
    Ok(())
}

fn read_error(mut reader: Reader<'_>) -> Result<ErrorBody<'_>, WireError> {
    let code = u32::from_be_bytes(reader.int()?.to_be_bytes());
    let message = reader.string()?;
    Ok(ErrorBody { code, message, extra: reader.rest() })
}

fn read_supported<'a>(reader: &mut Reader<'a>) -> Result<Vec<(&'a str, Vec<&'a str>)>, WireError> {
    let count = reader.short()?;
    let mut options = Vec::new();
    for _ in 0..count {
        let key = reader.string()?;
        let mut values = Vec::new();
        reader.string_list(|value| values.push(value))?;
        options.push((key, values));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{HEADER_LENGTH, Version, Writer};

    fn parse(envelope: &[u8]) -> Result<Response<'_>, WireError> {
        let header = Header::parse(envelope).unwrap();
        assert_eq!(usize::try_from(header.length).unwrap(), envelope.len() - HEADER_LENGTH);
        Response::parse(&header, &envelope[HEADER_LENGTH..])
    }

    #[test]
    fn what_is_built_is_read_back() {
        let bytes = error(Version::V4, 7, ErrorCode::Unauthorized, "no");
        assert_eq!(bytes[0], 0x84);
        let Response::Error(body) = parse(&bytes).unwrap() else { panic!() };
        assert!(body.is(ErrorCode::Unauthorized) && body.message == "no" && body.extra.is_empty());
        assert_eq!(body.unprepared_id(), None);

        let bytes = unprepared(Version::V3, 7, &[9; 16]);
        let Response::Error(body) = parse(&bytes).unwrap() else { panic!() };
        assert_eq!(body.unprepared_id(), Some(&[9; 16][..]));

        assert!(matches!(parse(&ready(Version::V4, 0)).unwrap(), Response::Ready));
        assert!(matches!(parse(&auth_success(Version::V4, 0)).unwrap(), Response::AuthSuccess(None)));
        assert!(matches!(parse(&void(Version::V4, 0)).unwrap(), Response::Result(ResultBody::Void)));
        let bytes = authenticate(Version::V4, 0);
        assert!(matches!(parse(&bytes).unwrap(), Response::Authenticate(PASSWORD_AUTHENTICATOR)));
        let bytes = set_keyspace(Version::V4, 3, "Ks");
        assert!(matches!(parse(&bytes).unwrap(), Response::Result(ResultBody::SetKeyspace("Ks"))));
        let bytes = supported(Version::V4, 0, "3.4.7");
        let Response::Supported(options) = parse(&bytes).unwrap() else { panic!() };
        assert_eq!(
            options,
            [
                ("CQL_VERSION", vec!["3.4.7"]),
                ("COMPRESSION", vec![]),
                ("PROTOCOL_VERSIONS", vec!["3/v3", "4/v4"])
            ]
        );
    }

    #[test]
    fn prefixes_are_passed_over() {
        let flags = Flags::TRACING | Flags::WARNING | Flags::CUSTOM_PAYLOAD;
        let bytes = Writer::response(Version::V4, 1, Opcode::Result)
            .flags(flags)
            .raw(&[1; 16])
            .string_list(&["beware"])
            .short(1)
            .string("key")
            .bytes(None)
            .int(3)
            .string("ks")
            .finish();
        assert!(matches!(parse(&bytes).unwrap(), Response::Result(ResultBody::SetKeyspace("ks"))));
        assert_eq!(ResultKind::of(Flags(flags), &bytes[HEADER_LENGTH..]).unwrap(), ResultKind::SetKeyspace);
    }

    #[test]
    fn what_must_be_refused() {
        let compressed = Writer::response(Version::V4, 1, Opcode::Ready).flags(Flags::COMPRESSED).finish();
        assert!(parse(&compressed).is_err());
        assert!(parse(&Writer::response(Version::V4, 1, Opcode::Query).finish()).is_err());
        assert!(parse(&Writer::request(Version::V4, 1, Opcode::Ready).finish()).is_err());
        assert!(parse(&Writer::response(Version::V4, 1, Opcode::Ready).byte(0).finish()).is_err());
        assert!(parse(&Writer::response(Version::V4, 1, Opcode::Result).int(6).finish()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_can_panic(flags in 0u8..16, opcode in 0u8..18, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let header = Header { version: 0x84, flags: Flags(flags & !1), stream: 0, opcode, length: 0 };
            if let Ok(Response::Result(ResultBody::Rows(rows))) = Response::parse(&header, &body) {
                for row in &rows {
                    if row.is_err() { break; }
                }
            }
        }

        #[test]
        fn rows_with_any_start_do_not_panic(body in prop::collection::vec(0u8..6, 0..300)) {
            let header = Header { version: 0x84, flags: Flags(0), stream: 0, opcode: 8, length: 0 };
            let mut whole = vec![0, 0, 0, 2];
            whole.extend(body);
            if let Ok(Response::Result(ResultBody::Rows(rows))) = Response::parse(&header, &whole) {
                for row in &rows {
                    if row.is_err() { break; }
                }
            }
        }
    }
}
