//! Why a token is not believed: for the operator's log, never for the client.

use std::fmt;

use super::json::JsonError;

/// The first rule that a token broke.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`crate::config::limits::TOKEN`].
    #[error("the token is longer than {} bytes", crate::config::limits::TOKEN)]
    TooLong,
    /// Not three parts, or one of the first two is empty.
    #[error("not a signed token: it needs three parts")]
    Parts,
    /// Five parts.
    #[error("the token is encrypted (JWE)")]
    Encrypted,
    /// The third part is empty.
    #[error("the token has no signature")]
    Unsigned,
    /// Not base64url, or padded, or with stray bits at its end.
    #[error("{0}: not strict base64url")]
    Base64(Part),
    /// Not an object of JSON that means one thing only.
    #[error("{0}: {1}")]
    Json(Part, #[source] JsonError),
    /// A header member that is never accepted.
    #[error("header: member \"{0}\" is not accepted")]
    HeaderMember(&'static str),
    /// A header member is no string.
    #[error("header: \"{0}\" is not a string")]
    HeaderType(&'static str),
    /// No `alg`.
    #[error("header: no \"alg\"")]
    NoAlgorithm,
    /// An algorithm that does not exist here (`none`, HMAC, ...).
    #[error("header: algorithm {0} is not accepted")]
    Algorithm(Shown),
    /// An algorithm that this identity does not allow.
    #[error("header: algorithm {0} is not among the identity's algorithms")]
    AlgorithmNotAllowed(&'static str),
    /// `kid` is longer than [`crate::config::limits::KEY_ID`].
    #[error("header: \"kid\" is longer than {} bytes", crate::config::limits::KEY_ID)]
    KeyIdTooLong,
    /// No `kid`, and the provider has not exactly one key for the algorithm.
    #[error("header: no \"kid\", and the provider has {0} keys for the algorithm")]
    NoKeyId(usize),
    /// The provider publishes no such key for this algorithm.
    #[error("the provider publishes no key {0} for {1}")]
    UnknownKey(Shown, &'static str),
    /// The signature is not one of the key over header and payload.
    #[error("the signature does not verify")]
    Signature,
    /// Header `typ` is none of the configured ones.
    #[error("header: type {0} is not among the identity's token_types")]
    Type(Shown),
    /// No header `typ`, and the identity does not accept that.
    #[error("header: no \"typ\" (token_types of the identity may hold \"\" to accept that)")]
    NoType,
    /// `iss` is not there.
    #[error("claim \"iss\" is missing")]
    NoIssuer,
    /// No identity has this issuer.
    #[error("issuer {0} is not configured")]
    Issuer(Shown),
    /// A claim that must be there is not.
    #[error("claim \"{0}\" is missing")]
    Missing(&'static str),
    /// A claim has the wrong JSON type.
    #[error("claim \"{0}\" has the wrong type")]
    ClaimType(&'static str),
    /// A claim that an access token does not have: it is of another kind, or bound to something unproven.
    #[error("claim \"{0}\" is not accepted")]
    Claim(&'static str),
    /// Keycloak's claim `typ`, or Cognito's `token_use`, names another kind of token.
    #[error("claim \"{0}\" says {1}: not an access token")]
    Kind(&'static str, Shown),
    /// An audience that is not configured.
    #[error("audience {0} is not among the identity's audiences")]
    Audience(Shown),
    /// `azp` or `client_id` is not allowed.
    #[error("claim \"{0}\" is {1}, which is not among the identity's authorized_parties")]
    Party(&'static str, Shown),
    /// The identity wants `azp` or `client_id`, and neither is there.
    #[error("claims \"azp\" and \"client_id\" are missing, and the identity has authorized_parties")]
    NoParty,
    /// A subject that is empty, too long, or has control characters in it.
    #[error("claim \"{0}\" is empty, longer than {max} bytes or has control characters", max = crate::config::limits::SUBJECT)]
    Text(&'static str),
    /// `nbf` or `iat` is in the future.
    #[error("claim \"{0}\" is {1} s in the future")]
    Future(&'static str, i64),
    /// `exp` is not after `iat`.
    #[error("claim \"exp\" is not after \"iat\"")]
    Order,
    /// `exp - iat` is more than the identity allows.
    #[error("the token lives {0} s, the identity's max_token_lifetime is {1} s")]
    Life(i64, i64),
    /// `exp` has passed. Everything else about the token was right.
    #[error("expired {0} s ago")]
    Expired(i64),
}

impl TokenError {
    /// A label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLong
            | Self::Parts
            | Self::Encrypted
            | Self::Base64(_)
            | Self::Json(..)
            | Self::HeaderMember(_)
            | Self::HeaderType(_)
            | Self::KeyIdTooLong => "malformed",
            Self::Unsigned | Self::NoAlgorithm | Self::Algorithm(_) | Self::AlgorithmNotAllowed(_) => {
                "algorithm"
            }
            Self::NoKeyId(_) | Self::UnknownKey(..) => "unknown_key",
            Self::Signature => "signature",
            Self::Type(_) | Self::NoType | Self::Claim(_) | Self::Kind(..) => "token_type",
            Self::NoIssuer | Self::Issuer(_) => "issuer",
            Self::Audience(_) | Self::Party(..) | Self::NoParty => "audience",
            Self::Missing(_) | Self::ClaimType(_) | Self::Text(_) => "claim",
            Self::Future(..) | Self::Order | Self::Life(..) => "time",
            Self::Expired(_) => "expired",
        }
    }
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Payload,
    /// The third.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// A value out of a token, fit for a log line: quoted, control and invisible characters escaped, cut at 128
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Of a claim or header value.
    pub fn new(value: &str) -> Self {
        let mut shown: String = value.chars().take(128).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_values_are_cut_and_escaped() {
        assert_eq!(Shown::new("a\n\u{202e}\"b").to_string(), r#""a\n\u{202e}\"b""#);
        assert_eq!(Shown::new(&"ä".repeat(1000)).to_string().chars().count(), 128 + 3);
    }
}
