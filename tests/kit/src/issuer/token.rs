//! Tokens of the test issuer: good by default, wrong in any way on request.
//!
//! In: claims and header members, or raw text instead of either. Out: the compact form (RFC 7515, section 7.1).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::keys::{Algorithm, Key, encode};

/// A token that is being put together; [`TokenBuilder::sign`] makes it.
///
/// Without further words it is an access token as RFC 9068 describes it: header `alg`, `kid` and
/// `typ: at+jwt`; claims `iss`, `sub`, `aud: "cassandra"`, `iat` now, `exp` in five minutes, a fresh `jti`.
#[derive(Clone, Debug)]
pub struct TokenBuilder {
    key: Arc<Key>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<Vec<u8>>,
    raw_payload: Option<Vec<u8>>,
}

impl TokenBuilder {
    /// A token of `issuer` about `subject`, signed with `key`.
    pub fn new(issuer: &str, subject: &str, key: Arc<Key>) -> Self {
        let now = now();
        let claims = json!({
            "iss": issuer, "sub": subject, "aud": "cassandra", "iat": now, "exp": now + 300, "jti": fresh_id(),
        });
        let header = json!({"alg": key.algorithm().name(), "kid": key.kid(), "typ": "at+jwt"});
        Self { key, header: object(header), claims: object(claims), raw_header: None, raw_payload: None }
    }

    /// `aud`, one value.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// `exp` this long after `iat`.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        let issued = self.claims.get("iat").and_then(Value::as_i64).unwrap_or_else(now);
        self.claim("exp", issued.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)))
    }

    /// `iat`, in Unix seconds; `exp` moves to five minutes after it.
    #[must_use]
    pub fn issued_at(self, unix: i64) -> Self {
        self.claim("iat", unix).claim("exp", unix.saturating_add(300))
    }

    /// `exp`, in Unix seconds.
    #[must_use]
    pub fn expires_at(self, unix: i64) -> Self {
        self.claim("exp", unix)
    }

    /// Any claim with any value.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Any header member with any value; the signature is still made with the builder's key.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Leaves a header member out.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Another key; `alg` and `kid` follow it.
    #[must_use]
    pub fn key(mut self, key: Arc<Key>) -> Self {
        self.header.insert("alg".into(), json!(key.algorithm().name()));
        self.header.insert("kid".into(), json!(key.kid()));
        self.key = key;
        self
    }

    /// A wrong or unknown `kid`; the key stays.
    #[must_use]
    pub fn kid(self, kid: &str) -> Self {
        self.header("kid", kid)
    }

    /// These bytes in place of the header's JSON.
    #[must_use]
    pub fn raw_header(mut self, header: impl AsRef<[u8]>) -> Self {
        self.raw_header = Some(header.as_ref().to_vec());
        self
    }

    /// These bytes in place of the claims' JSON.
    #[must_use]
    pub fn raw_payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.raw_payload = Some(payload.as_ref().to_vec());
        self
    }

    /// The claims so far, to be bent and given back by [`TokenBuilder::raw_payload`].
    pub fn claims_json(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The header so far, to be bent and given back by [`TokenBuilder::raw_header`].
    pub fn header_json(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The token, signed with the key's own algorithm whatever the header says.
    pub fn sign(&self) -> String {
        self.sign_with(Key::sign)
    }

    /// The token, signed with another algorithm of the same (RSA) key.
    pub fn sign_as(&self, algorithm: Algorithm) -> String {
        self.sign_with(|key, message| key.sign_as(algorithm, message))
    }

    /// The token with `alg: none` and an empty signature.
    pub fn unsigned(&self) -> String {
        self.clone().header("alg", "none").sign_with(|_, _| Vec::new())
    }

    /// The token with whatever signature the function makes of the signing input.
    pub fn sign_with(&self, signature: impl FnOnce(&Key, &[u8]) -> Vec<u8>) -> String {
        let header = self.raw_header.clone().unwrap_or_else(|| self.header_json().into_bytes());
        let payload = self.raw_payload.clone().unwrap_or_else(|| self.claims_json().into_bytes());
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(signature(&self.key, input.as_bytes()));
        format!("{input}.{signature}")
    }
}

/// SASL PLAIN as drivers send it in `AUTH_RESPONSE`: no authzid, this username, the token as the password.
pub fn sasl_plain(username: &str, token: &str) -> Vec<u8> {
    format!("\0{username}\0{token}").into_bytes()
}

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// 16 random bytes, as text.
pub(super) fn fresh_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    encode(bytes)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
