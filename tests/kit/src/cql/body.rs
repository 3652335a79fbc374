//! Bodies: a builder for requests, a reader for responses (section 3, notations).

use crate::trouble::{Result, Trouble};

/// Builds a body field by field.
#[derive(Clone, Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// `[byte]`.
    #[must_use]
    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// `[short]`.
    #[must_use]
    pub fn short(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// `[int]`.
    #[must_use]
    pub fn int(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// `[long]`.
    #[must_use]
    pub fn long(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// `[string]`.
    #[must_use]
    pub fn string(self, value: &str) -> Self {
        self.short(u16::try_from(value.len()).unwrap_or(u16::MAX)).raw(value)
    }

    /// `[long string]`.
    #[must_use]
    pub fn long_string(self, value: &str) -> Self {
        self.int(i32::try_from(value.len()).unwrap_or(i32::MAX)).raw(value)
    }

    /// `[short bytes]`.
    #[must_use]
    pub fn short_bytes(self, value: &[u8]) -> Self {
        self.short(u16::try_from(value.len()).unwrap_or(u16::MAX)).raw(value)
    }

    /// `[bytes]`.
    #[must_use]
    pub fn bytes(self, value: &[u8]) -> Self {
        self.int(i32::try_from(value.len()).unwrap_or(i32::MAX)).raw(value)
    }

    /// A null `[bytes]`.
    #[must_use]
    pub fn null(self) -> Self {
        self.int(-1)
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

    /// `[string list]`.
    #[must_use]
    pub fn string_list(mut self, items: &[&str]) -> Self {
        self = self.short(u16::try_from(items.len()).unwrap_or(u16::MAX));
        for item in items {
            self = self.string(item);
        }
        self
    }

    /// These bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// STARTUP's body as a driver without compression sends it.
    pub fn startup() -> Self {
        Self::new().string_map(&[("CQL_VERSION", "3.0.0"), ("DRIVER_NAME", "cqlgate test kit")])
    }

    /// `AUTH_RESPONSE`'s body: SASL PLAIN.
    pub fn plain(user: &str, password: &str) -> Self {
        Self::new().bytes(format!("\0{user}\0{password}").as_bytes())
    }

    /// QUERY's body: consistency ONE, no flags.
    pub fn query(text: &str) -> Self {
        Self::new().long_string(text).short(1).byte(0)
    }

    /// EXECUTE's body (v3, v4): consistency ONE, these values.
    pub fn execute(id: &[u8], values: &[Option<&[u8]>]) -> Self {
        Self::new().short_bytes(id).short(1).byte(1).values(values)
    }

    /// A count and as many values.
    #[must_use]
    pub fn values(mut self, values: &[Option<&[u8]>]) -> Self {
        self = self.short(u16::try_from(values.len()).unwrap_or(u16::MAX));
        for value in values {
            self = match value {
                Some(bytes) => self.bytes(bytes),
                None => self.null(),
            };
        }
        self
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.0
    }
}

/// Reads a body field by field.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| Trouble::new(format!("a body ends {} bytes too early", n - self.0.len())))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Trouble::new("a body ends too early"))
    }

    /// `[byte]`.
    pub fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// `[short]`.
    pub fn short(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// `[int]`.
    pub fn int(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A count, as an `[int]`.
    pub fn count(&mut self) -> Result<usize> {
        let n = self.int()?;
        usize::try_from(n).map_err(|_| Trouble::new(format!("a count is {n}")))
    }

    /// `[string]`.
    pub fn string(&mut self) -> Result<String> {
        let n = self.short()?;
        text(self.take(usize::from(n))?)
    }

    /// `[short bytes]`.
    pub fn short_bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.short()?;
        self.take(usize::from(n))
    }

    /// `[bytes]`.
    pub fn bytes(&mut self) -> Result<Option<&'a [u8]>> {
        let n = self.int()?;
        usize::try_from(n).ok().map(|n| self.take(n)).transpose()
    }

    /// `[string list]`.
    pub fn string_list(&mut self) -> Result<Vec<String>> {
        (0..self.short()?).map(|_| self.string()).collect()
    }

    /// `[string multimap]`.
    pub fn string_multimap(&mut self) -> Result<Vec<(String, Vec<String>)>> {
        (0..self.short()?).map(|_| Ok((self.string()?, self.string_list()?))).collect()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Trouble::new("a string is not UTF-8"))
}
