//! Reading the protocol's primitive types (spec section 3) from a body, borrowed, without allocation.
//!
//! The fixed-width and length-prefixed parsers are nom's; [`Reader`] is the cursor over a body that
//! requests and responses are read with, and the place where a failure gets its name.

use nom::IResult;
use nom::Parser as _;
use nom::bytes::complete::take;
use nom::number::complete::{be_i16, be_i32, be_i64, be_u8, be_u16};

use super::error::WireError;

const STRING: &str = "an UTF8 serialized string preceded by its 2 bytes length";
const LONG_STRING: &str = "an UTF8 serialized string preceded by its 4 bytes length";
const BYTES: &str = "a byte array preceded by its 4 bytes length";
const SHORT_BYTES: &str = "a byte array preceded by its 2 bytes length";

/// A `[value]`: `[bytes]`, null, or unset (v4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Bytes of a value; empty is a value, too.
    Bytes(&'a [u8]),
    /// Length -1 (any negative length in v3).
    Null,
    /// Length -2 (v4).
    Unset,
}

/// A cursor over a message body.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

impl<'a> Reader<'a> {
    /// Starts at the first byte of `body`.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn run<T>(
        &mut self,
        parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
        what: &'static str,
    ) -> Result<T, WireError> {
        let (rest, value) = parser(self.rest).map_err(|_| WireError::NotEnoughBytes(what))?;
        self.rest = rest;
        Ok(value)
    }

    /// `[byte]`.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, WireError> {
        self.run(be_u8, "a byte")
    }

    /// `[short]`, unsigned.
    #[inline]
    pub fn short(&mut self) -> Result<u16, WireError> {
        self.run(be_u16, "a short")
    }

    /// A signed short, as in a header.
    #[inline]
    pub fn signed_short(&mut self) -> Result<i16, WireError> {
        self.run(be_i16, "a short")
    }

    /// `[int]`.
    #[inline]
    pub fn int(&mut self) -> Result<i32, WireError> {
        self.run(be_i32, "an int")
    }

    /// `[long]`.
    #[inline]
    pub fn long(&mut self) -> Result<i64, WireError> {
        self.run(be_i64, "a long")
    }

    /// `n` raw bytes.
    #[inline]
    pub fn raw(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        self.run(|i| take(n).parse(i), "a field of fixed length")
    }

    /// `[string]`.
    pub fn string(&mut self) -> Result<&'a str, WireError> {
        let n = self.run(be_u16, STRING)?;
        let bytes = self.run(|i| take(n).parse(i), STRING)?;
        std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8("string"))
    }

    /// `[long string]`: a statement's text.
    pub fn long_string(&mut self) -> Result<&'a str, WireError> {
        let n = self.run(be_i32, LONG_STRING)?;
        let n = usize::try_from(n).map_err(|_| WireError::NotEnoughBytes(LONG_STRING))?;
        let bytes = self.run(|i| take(n).parse(i), LONG_STRING)?;
        std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8("the statement's text"))
    }

    /// `[bytes]`: `None` is null.
    pub fn bytes(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        let n = self.run(be_i32, BYTES)?;
        match usize::try_from(n) {
            Ok(n) => Ok(Some(self.run(|i| take(n).parse(i), BYTES)?)),
            Err(_) => Ok(None),
        }
    }

    /// `[short bytes]`: a prepared id.
    #[inline]
    pub fn short_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.run(be_u16, SHORT_BYTES)?;
        self.run(|i| take(n).parse(i), SHORT_BYTES)
    }

    /// `[value]`; `unset` says whether -2 means unset (v4) or, as every negative length in v3, null.
    #[inline]
    pub fn value(&mut self, unset: bool) -> Result<Value<'a>, WireError> {
        let n = self.run(be_i32, BYTES)?;
        match usize::try_from(n) {
            Ok(n) => Ok(Value::Bytes(self.run(|i| take(n).parse(i), BYTES)?)),
            Err(_) if n == -1 || !unset => Ok(Value::Null),
            Err(_) if n == -2 => Ok(Value::Unset),
            Err(_) => Err(WireError::InvalidValueLength(n)),
        }
    }

    /// `[string list]`, each string handed to `each`.
    pub fn string_list(&mut self, mut each: impl FnMut(&'a str)) -> Result<(), WireError> {
        let n = self.short()?;
        for _ in 0..n {
            each(self.string()?);
        }
        Ok(())
    }

    /// `[bytes map]`, as in a custom payload, each pair handed to `each`.
    pub fn bytes_map(&mut self, mut each: impl FnMut(&'a str, Option<&'a [u8]>)) -> Result<(), WireError> {
        let n = self.short()?;
        for _ in 0..n {
            let key = self.string()?;
            each(key, self.bytes()?);
        }
        Ok(())
    }

    /// The message must be over: trailing bytes are refused.
    #[inline]
    pub fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::TrailingBytes(self.rest.len())) }
    }
}
