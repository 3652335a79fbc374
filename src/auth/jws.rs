//! The compact form of a signed token (RFC 7515, section 7.1), taken apart and not yet believed.
//!
//! In: text of a stranger. Out: a [`Jws`]: header, claims, signing input and signature, or the first rule
//! that was broken. Exactly one spelling of each token is accepted, so that its hash can stand for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json;
use super::token_error::{Part, Shown, TokenError};
use crate::config::limits;

/// A signature algorithm (RFC 7518, section 3; RFC 8037). There is no `none` and nothing symmetric: a key
/// set is public, so a shared secret in it is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// By its name in `alg`, case included.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// The name in `alg`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The header members that count.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// `typ`, lower case, without `application/`.
    pub(super) token_type: Option<String>,
}

/// A token in its parts.
pub(super) struct Jws<'a> {
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
    pub(super) signing_input: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// Header members that would change what is signed, how, or by whose key. A token of an access profile has
/// none of them; `x5t` and unknown members say nothing that we use and are ignored (RFC 7515, section 4).
const REFUSED_MEMBERS: [&str; 9] = ["crit", "b64", "zip", "cty", "enc", "jwk", "jku", "x5u", "x5c"];

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > limits::TOKEN {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            let encrypted = token.split('.').count() == 5;
            return Err(if encrypted { TokenError::Encrypted } else { TokenError::Parts });
        };
        if header.is_empty() || payload.is_empty() {
            return Err(TokenError::Parts);
        }
        if signature.is_empty() {
            return Err(TokenError::Unsigned);
        }
        let header = Header::parse(header)?;
        let claims = object(Part::Payload, payload)?;
        let signing_input = token.rsplit_once('.').map_or("", |(input, _)| input).as_bytes();
        let signature = decode(Part::Signature, signature)?;
        Ok(Self { header, claims, signing_input, signature })
    }
}

impl Header {
    fn parse(encoded: &str) -> Result<Self, TokenError> {
        let members = object(Part::Header, encoded)?;
        if let Some(name) = REFUSED_MEMBERS.into_iter().find(|name| members.contains_key(*name)) {
            return Err(TokenError::HeaderMember(name));
        }
        let algorithm = text(&members, "alg")?.ok_or(TokenError::NoAlgorithm)?;
        let algorithm =
            Algorithm::named(algorithm).ok_or_else(|| TokenError::Algorithm(Shown::new(algorithm)))?;
        let key_id = text(&members, "kid")?.map(String::from);
        if key_id.as_ref().is_some_and(|id| id.len() > limits::KEY_ID) {
            return Err(TokenError::KeyIdTooLong);
        }
        let token_type = text(&members, "typ")?.map(normal_type);
        Ok(Self { algorithm, key_id, token_type })
    }
}

/// `typ` as it is compared: media types have no case, and `application/` may be left out (RFC 7515, 4.1.9).
pub(super) fn normal_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map_or(name.clone(), String::from)
}

fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<Option<&'m str>, TokenError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::HeaderType(name)),
    }
}

fn object(part: Part, encoded: &str) -> Result<Map<String, Value>, TokenError> {
    json::object(&decode(part, encoded)?, limits::JSON_DEPTH).map_err(|error| TokenError::Json(part, error))
}

/// Strict: no padding, no other alphabet, no white space, no stray bits in the last character.
fn decode(part: Part, encoded: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Base64(part))
}
