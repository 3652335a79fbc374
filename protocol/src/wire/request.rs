//! Requests, as a server reads them: every field checked, borrowed from the body, nothing allocated.
//!
//! Where the specification and the server differ, the server is followed: it reads a keyspace under flag
//! 0x80 in v3 and v4 too, so a reader that did not would see another statement than the node does.

use super::error::WireError;
use super::header::Flags;
use super::read::{Reader, Value};
use super::version::Version;

/// Bits of the options' flags byte (spec section 4.1.4).
mod flag {
    pub(super) const VALUES: u8 = 0x01;
    pub(super) const PAGE_SIZE: u8 = 0x04;
    pub(super) const PAGING_STATE: u8 = 0x08;
    pub(super) const SERIAL_CONSISTENCY: u8 = 0x10;
    pub(super) const TIMESTAMP: u8 = 0x20;
    pub(super) const NAMES: u8 = 0x40;
    pub(super) const KEYSPACE: u8 = 0x80;
}

/// The highest consistency level that exists: 0x0B, `NODE_LOCAL`, which a node itself refuses to clients.
const CONSISTENCY_MAX: u16 = 0x0B;

/// The custom payload's key by which some servers let a client act as somebody else.
const PROXY_EXECUTE: &str = "ProxyExecute";

/// The bytes of a request behind a custom payload, if the header announces one (spec section 2.2).
pub fn message(version: Version, flags: Flags, body: &[u8]) -> Result<&[u8], WireError> {
    if !flags.has(Flags::CUSTOM_PAYLOAD) {
        return Ok(body);
    }
    if version < Version::V4 {
        return Err(WireError::Invalid(
            "Received frame with CUSTOM_PAYLOAD flag for native protocol version < 4".into(),
        ));
    }
    let mut reader = Reader::new(body);
    let mut impersonates = false;
    reader.bytes_map(|key, _| impersonates |= key.eq_ignore_ascii_case(PROXY_EXECUTE))?;
    if impersonates {
        return Err(WireError::Invalid("The custom payload key ProxyExecute is not allowed".into()));
    }
    Ok(reader.rest())
}

/// STARTUP (spec section 4.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup<'a> {
    /// `CQL_VERSION`.
    pub cql_version: Option<&'a str>,
    /// `COMPRESSION`.
    pub compression: Option<&'a str>,
    /// `DRIVER_NAME`.
    pub driver_name: Option<&'a str>,
    /// `DRIVER_VERSION`.
    pub driver_version: Option<&'a str>,
}

impl<'a> Startup<'a> {
    /// Reads the body. Keys are compared without case, as the server does; unknown keys are ignored.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let mut startup = Self::default();
        for _ in 0..reader.short()? {
            let (key, value) = (reader.string()?, reader.string()?);
            let slot = if key.eq_ignore_ascii_case("CQL_VERSION") {
                &mut startup.cql_version
            } else if key.eq_ignore_ascii_case("COMPRESSION") {
                &mut startup.compression
            } else if key.eq_ignore_ascii_case("DRIVER_NAME") {
                &mut startup.driver_name
            } else if key.eq_ignore_ascii_case("DRIVER_VERSION") {
                &mut startup.driver_version
            } else {
                continue;
            };
            *slot = Some(value);
        }
        reader.end()?;
        Ok(startup)
    }

    /// The rules for `CQL_VERSION` and `COMPRESSION`; no compression is offered here.
    pub fn check(&self) -> Result<(), WireError> {
        let version = self
            .cql_version
            .ok_or_else(|| WireError::Invalid("Missing value CQL_VERSION in STARTUP message".into()))?;
        let major = version
            .split(['.', '-', '+'])
            .next()
            .filter(|digits| !digits.is_empty() && digits.len() < 6)
            .and_then(|digits| digits.parse::<u32>().ok())
            .ok_or_else(|| WireError::Invalid(format!("Invalid version value: {}", shown(version))))?;
        if major < 3 {
            return Err(WireError::Invalid(format!(
                "CQL version {} is not supported by the binary protocol (supported version are >= 3.0.0)",
                shown(version)
            )));
        }
        match self.compression {
            Some(algorithm) => {
                Err(WireError::Invalid(format!("Unknown compression algorithm: {}", shown(algorithm))))
            }
            None => Ok(()),
        }
    }
}

/// A stranger's word in an answer to them: at most 64 bytes of it.
fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(64)).unwrap_or_default()
}

/// `AUTH_RESPONSE` (spec section 4.1.2): the SASL bytes; null is as good as none.
pub fn auth_response(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new(body);
    let token = reader.bytes()?;
    reader.end()?;
    Ok(token.unwrap_or_default())
}

/// OPTIONS (spec section 4.1.3) has no body.
pub fn options(body: &[u8]) -> Result<(), WireError> {
    Reader::new(body).end()
}

/// The kinds of events that a client may register for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// `SCHEMA_CHANGE`.
    pub schema_change: bool,
    /// `TOPOLOGY_CHANGE`.
    pub topology_change: bool,
    /// `STATUS_CHANGE`.
    pub status_change: bool,
}

impl Register {
    /// REGISTER (spec section 4.1.8). Names are compared without case, as the server does.
    pub fn parse(version: Version, body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let mut register = Self::default();
        let mut wrong = None;
        reader.string_list(|name| {
            if name.eq_ignore_ascii_case("SCHEMA_CHANGE") {
                register.schema_change = true;
            } else if name.eq_ignore_ascii_case("TOPOLOGY_CHANGE") {
                register.topology_change = true;
            } else if name.eq_ignore_ascii_case("STATUS_CHANGE") {
                register.status_change = true;
            } else if name.eq_ignore_ascii_case("TRACE_COMPLETE") {
                // The server knows it from v4 on, and sends it to whoever traced; it is not offered here.
                if version < Version::V4 {
                    wrong = Some(format!("Event TRACE_COMPLETE not valid for protocol version {version}"));
                }
            } else if wrong.is_none() {
                wrong = Some(format!("Invalid value '{}' for Type", shown(name)));
            }
        })?;
        reader.end()?;
        match wrong {
            Some(text) => Err(WireError::Invalid(text)),
            None => Ok(register),
        }
    }
}

/// The values of a request, not yet looked into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    count: u16,
    named: bool,
    unset: bool,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    fn parse(reader: &mut Reader<'a>, version: Version, named: bool) -> Result<Self, WireError> {
        let unset = version >= Version::V4;
        let count = reader.short()?;
        let bytes = reader.rest();
        for _ in 0..count {
            if named {
                reader.string()?;
            }
            reader.value(unset)?;
        }
        Ok(Self { count, named, unset, bytes })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Are there none?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each value with its name, if they are named.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&'a str>, Value<'a>)> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        let (named, unset) = (self.named, self.unset);
        (0..self.count).map_while(move |_| {
            let name = if named { Some(reader.string().ok()?) } else { None };
            Some((name, reader.value(unset).ok()?))
        })
    }
}

/// What follows the text or the id in QUERY and EXECUTE, and the children in BATCH (spec section 4.1.4).
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The bound values.
    pub values: Values<'a>,
    /// Flag 0x02: leave the metadata out of the rows.
    pub skip_metadata: bool,
    /// The page size; `None` or negative: no paging.
    pub page_size: Option<i32>,
    /// Where the next page starts.
    pub paging_state: Option<&'a [u8]>,
    /// The per-request keyspace, an internal name (case kept).
    pub keyspace: Option<&'a str>,
}

impl<'a> Options<'a> {
    #[inline]
    fn parse(reader: &mut Reader<'a>, version: Version) -> Result<Self, WireError> {
        consistency(reader)?;
        let flags = reader.byte()?;
        let mut options = Self { skip_metadata: flags & 0x02 != 0, ..Self::default() };
        if flags & flag::VALUES != 0 {
            options.values = Values::parse(reader, version, flags & flag::NAMES != 0)?;
        }
        options.rest(reader, flags)?;
        Ok(options)
    }

    #[inline]
    fn rest(&mut self, reader: &mut Reader<'a>, flags: u8) -> Result<(), WireError> {
        if flags & flag::PAGE_SIZE != 0 {
            match reader.int()? {
                0 => return Err(WireError::PageSizeZero),
                size => self.page_size = Some(size),
            }
        }
        if flags & flag::PAGING_STATE != 0 {
            self.paging_state = reader.bytes()?;
        }
        if flags & flag::SERIAL_CONSISTENCY != 0 {
            consistency(reader)?;
        }
        if flags & flag::TIMESTAMP != 0 {
            reader.long()?;
        }
        if flags & flag::KEYSPACE != 0 {
            self.keyspace = Some(reader.string()?);
        }
        Ok(())
    }
}

#[inline]
fn consistency(reader: &mut Reader<'_>) -> Result<(), WireError> {
    match reader.short()? {
        level if level <= CONSISTENCY_MAX => Ok(()),
        level => Err(WireError::UnknownConsistency(level)),
    }
}

/// QUERY (spec section 4.1.4).
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The statement.
    pub text: &'a str,
    /// The rest.
    pub options: Options<'a>,
}

impl<'a> Query<'a> {
    /// Reads the message behind a custom payload.
    pub fn parse(version: Version, message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let text = reader.long_string()?;
        let options = Options::parse(&mut reader, version)?;
        reader.end()?;
        Ok(Self { text, options })
    }
}

/// PREPARE (spec section 4.1.5): the text.
pub fn prepare(message: &[u8]) -> Result<&str, WireError> {
    let mut reader = Reader::new(message);
    let text = reader.long_string()?;
    reader.end()?;
    Ok(text)
}

/// EXECUTE (spec section 4.1.6).
#[derive(Clone, Copy, Debug)]
pub struct Execute<'a> {
    /// The prepared id; 16 bytes where a node made it.
    pub id: &'a [u8],
    /// The rest; a keyspace in it is read and ignored by the server.
    pub options: Options<'a>,
}

impl<'a> Execute<'a> {
    /// Reads the message behind a custom payload.
    #[inline]
    pub fn parse(version: Version, message: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message);
        let id = reader.short_bytes()?;
        let options = Options::parse(&mut reader, version)?;
        reader.end()?;
        Ok(Self { id, options })
    }
}

/// A child of a BATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child<'a> {
    /// A statement as text.
    Text(&'a str),
    /// A prepared id.
    Prepared(&'a [u8]),
}

/// BATCH (spec section 4.1.7).
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    count: u16,
    children: &'a [u8],
    unset: bool,
    /// The one keyspace of all text children; it stands behind them.
    pub keyspace: Option<&'a str>,
}

impl<'a> Batch<'a> {
    /// Reads the message behind a custom payload, to its end: the keyspace of the children stands there.
    pub fn parse(version: Version, message: &'a [u8]) -> Result<Self, WireError> {
        let unset = version >= Version::V4;
        let mut reader = Reader::new(message);
        let kind = reader.byte()?;
        if kind > 2 {
            return Err(WireError::Invalid(format!("Invalid BATCH message type {kind}")));
        }
        let count = reader.short()?;
        let children = reader.rest();
        for _ in 0..count {
            child(&mut reader, unset)?;
        }
        let mut options = Options::default();
        consistency(&mut reader)?;
        let flags = reader.byte()?;
        if flags & flag::VALUES != 0 {
            return Err(WireError::Invalid("A BATCH has no values of its own".into()));
        }
        options.rest(&mut reader, flags)?;
        reader.end()?;
        Ok(Self { count, children, unset, keyspace: options.keyspace })
    }

    /// How many children there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Are there none?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The children, in order.
    pub fn children(&self) -> impl Iterator<Item = Child<'a>> + use<'a> {
        let (mut reader, unset) = (Reader::new(self.children), self.unset);
        (0..self.count).map_while(move |_| child(&mut reader, unset).ok())
    }
}

fn child<'a>(reader: &mut Reader<'a>, unset: bool) -> Result<Child<'a>, WireError> {
    let child = match reader.byte()? {
        0 => Child::Text(reader.long_string()?),
        1 => Child::Prepared(reader.short_bytes()?),
        kind => {
            return Err(WireError::Invalid(format!(
                "Invalid query kind in BATCH messages. Must be 0 or 1 but got {kind}"
            )));
        }
    };
    for _ in 0..reader.short()? {
        reader.value(unset)?;
    }
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query_body(text: &str, flags: u8, tail: &[u8]) -> Vec<u8> {
        let mut body = i32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        body.extend_from_slice(text.as_bytes());
        body.extend_from_slice(&[0, 1, flags]);
        body.extend_from_slice(tail);
        body
    }

    #[test]
    fn a_query_with_every_option() {
        let mut tail = vec![0, 2, 0, 1, b'a', 0, 0, 0, 1, 7, 0, 1, b'b', 0xFF, 0xFF, 0xFF, 0xFE];
        tail.extend_from_slice(&5000_i32.to_be_bytes());
        tail.extend_from_slice(&[0, 0, 0, 2, 9, 9]);
        tail.extend_from_slice(&[0, 8]);
        tail.extend_from_slice(&1_i64.to_be_bytes());
        tail.extend_from_slice(&[0, 2, b'k', b's']);
        let body = query_body("SELECT", 0xFD, &tail);
        let query = Query::parse(Version::V4, &body).unwrap();
        assert_eq!(query.text, "SELECT");
        assert_eq!(query.options.keyspace, Some("ks"));
        assert_eq!(query.options.page_size, Some(5000));
        assert_eq!(query.options.paging_state, Some(&[9, 9][..]));
        let values: Vec<_> = query.options.values.iter().collect();
        assert_eq!(values, vec![(Some("a"), Value::Bytes(&[7])), (Some("b"), Value::Unset)]);
    }

    #[test]
    fn the_keyspace_flag_is_read_in_v3_too() {
        let body = query_body("x", 0x80, &[0, 1, b'k']);
        assert_eq!(Query::parse(Version::V3, &body).unwrap().options.keyspace, Some("k"));
    }

    #[test]
    fn what_must_be_refused() {
        let whole = query_body("SELECT 1", 0x05, &[0, 1, 0, 0, 0, 1, 5, 0, 0, 0, 9]);
        assert!(Query::parse(Version::V4, &whole).is_ok());
        for cut in 0..whole.len() {
            assert!(Query::parse(Version::V4, &whole[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(Query::parse(Version::V4, &longer).unwrap_err(), WireError::TrailingBytes(1));
        let zero = query_body("x", 0x04, &[0, 0, 0, 0]);
        assert_eq!(Query::parse(Version::V4, &zero).unwrap_err(), WireError::PageSizeZero);
        for length in [-1_i32, i32::MIN, i32::MAX] {
            assert!(Query::parse(Version::V4, &length.to_be_bytes()).is_err());
        }
        let mut level = query_body("x", 0, &[]);
        level[5..7].copy_from_slice(&[0, 0xFF]);
        assert_eq!(Query::parse(Version::V4, &level).unwrap_err(), WireError::UnknownConsistency(0xFF));
        let value = query_body("x", 0x01, &[0, 1, 0xFF, 0xFF, 0xFF, 0xFD]);
        assert_eq!(Query::parse(Version::V4, &value).unwrap_err(), WireError::InvalidValueLength(-3));
        assert!(Query::parse(Version::V3, &value).is_ok(), "any negative length is null in v3");
    }

    #[test]
    fn a_batch_is_read_to_its_end() {
        let mut body =
            vec![1, 0, 2, 0, 0, 0, 0, 1, b'q', 0, 0, 1, 0, 2, 0xAA, 0xBB, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
        body.extend_from_slice(&[0, 1, 0x80, 0, 1, b'k']);
        let batch = Batch::parse(Version::V3, &body).unwrap();
        assert_eq!(batch.keyspace, Some("k"));
        let children: Vec<_> = batch.children().collect();
        assert_eq!(children, vec![Child::Text("q"), Child::Prepared(&[0xAA, 0xBB])]);
        for cut in 0..body.len() {
            assert!(Batch::parse(Version::V3, &body[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(
            Batch::parse(Version::V4, &[9, 0, 0, 0, 1, 0]).unwrap_err().to_string(),
            "Invalid BATCH message type 9"
        );
        assert!(Batch::parse(Version::V4, &[0, 0, 0, 0, 1, 0]).unwrap().is_empty());
        assert!(Batch::parse(Version::V4, &[0, 0, 0, 0, 1, 1, 0, 0]).is_err(), "values of its own");
        assert!(Batch::parse(Version::V4, &[0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 0]).is_err(), "kind 2");
    }

    #[test]
    fn custom_payloads() {
        let payload = [0, 1, 0, 1, b'k', 0, 0, 0, 1, 1, 0xEE];
        let flags = Flags(Flags::CUSTOM_PAYLOAD);
        assert_eq!(message(Version::V4, flags, &payload).unwrap(), &[0xEE]);
        assert_eq!(message(Version::V4, Flags(0), &payload).unwrap(), &payload);
        assert!(message(Version::V3, flags, &payload).is_err());
        let mut proxy = vec![0, 1, 0, 12];
        proxy.extend_from_slice(b"proxyexecute");
        proxy.extend_from_slice(&[0, 0, 0, 1, b'x']);
        assert!(message(Version::V4, flags, &proxy).is_err());
    }

    fn startup(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut body = u16::try_from(pairs.len()).unwrap().to_be_bytes().to_vec();
        for text in pairs.iter().flat_map(|(k, v)| [k, v]) {
            body.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        body
    }

    #[test]
    fn startup_rules() {
        let check = |pairs: &[(&str, &str)]| {
            let body = startup(pairs);
            Startup::parse(&body).and_then(|s| s.check()).map_err(|e| e.to_string())
        };
        assert_eq!(check(&[("cql_version", "3.0.0")]), Ok(()));
        assert_eq!(check(&[("CQL_VERSION", "99.0.0"), ("SESSION_ID", "x")]), Ok(()));
        assert_eq!(check(&[]).unwrap_err(), "Missing value CQL_VERSION in STARTUP message");
        assert_eq!(check(&[("CQL_VERSION", "x")]).unwrap_err(), "Invalid version value: x");
        assert!(check(&[("CQL_VERSION", "2.0.0")]).unwrap_err().starts_with("CQL version 2.0.0 is not"));
        assert_eq!(
            check(&[("CQL_VERSION", "3.4.7"), ("COMPRESSION", "lz4")]).unwrap_err(),
            "Unknown compression algorithm: lz4"
        );
    }

    #[test]
    fn register_rules() {
        let list = |names: &[&str]| {
            let mut body = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
            for name in names {
                body.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
                body.extend_from_slice(name.as_bytes());
            }
            body
        };
        assert!(Register::parse(Version::V4, &list(&["schema_change"])).unwrap().schema_change);
        assert_eq!(Register::parse(Version::V4, &list(&[])), Ok(Register::default()));
        assert_eq!(
            Register::parse(Version::V4, &list(&["NOPE"])).unwrap_err().to_string(),
            "Invalid value 'NOPE' for Type"
        );
        assert!(Register::parse(Version::V3, &list(&["TRACE_COMPLETE"])).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200), flags: u8) {
            for version in [Version::V3, Version::V4] {
                let _ = message(version, Flags(flags), &body);
                let _ = Query::parse(version, &body).map(|q| q.options.values.iter().count());
                let _ = Execute::parse(version, &body).map(|e| e.options.values.iter().count());
                if let Ok(batch) = Batch::parse(version, &body) {
                    prop_assert_eq!(batch.children().count(), batch.len());
                }
                let _ = Register::parse(version, &body);
            }
            let _ = prepare(&body);
            let _ = auth_response(&body);
            let _ = Startup::parse(&body).map(|s| s.check());
        }
    }
}
