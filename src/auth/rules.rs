//! What one identity provider's tokens must claim.
//!
//! In: verified-signature claims, the time. Out: the claims that are kept ([`Accepted`]), or the first rule
//! that was broken; expiry is looked at last, so that "expired" means that nothing else was wrong.

use serde_json::{Map, Value};

use super::jws::{Algorithm, Header, normal_type};
use super::token_error::{Shown, TokenError};
use crate::config::limits;
use crate::config::model::Identity;

/// The rules of one `[[identity]]`.
#[derive(Debug)]
pub(super) struct Rules {
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    types: Vec<String>,
    parties: Vec<String>,
    max_life: i64,
}

/// What is kept of accepted claims.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) subject: String,
    pub(super) token_id: Option<String>,
    pub(super) times: Times,
}

/// The times of a token, Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) issued_at: i64,
    pub(super) not_before: Option<i64>,
    pub(super) expires_at: i64,
}

/// Claims that mark another kind of token, or bind it to something that is not proven on this wire:
/// ID tokens (`OpenID` Connect Core, 2 and 3.1.3.6), security events (RFC 8417), proof of possession
/// (RFC 7800), delegation (RFC 8693).
const REFUSED_CLAIMS: [&str; 6] = ["nonce", "at_hash", "c_hash", "events", "cnf", "act"];

/// 9999-12-31T23:59:59Z, the last instant that RFC 3339 can write.
const LAST_INSTANT: i64 = 253_402_300_799;

impl Rules {
    /// The rules of an identity, or the name of the algorithm that does not exist.
    pub(super) fn new(identity: &Identity) -> Result<Self, String> {
        let algorithm = |name: &String| Algorithm::named(name).ok_or_else(|| name.clone());
        Ok(Self {
            audiences: identity.audiences.clone(),
            algorithms: identity.algorithms.iter().map(algorithm).collect::<Result<_, _>>()?,
            types: identity.token_types.iter().map(|t| normal_type(t)).collect(),
            parties: identity.authorized_parties.clone(),
            max_life: i64::try_from(identity.max_token_lifetime).unwrap_or(i64::MAX),
        })
    }

    /// What can be said of the header before a key is looked for.
    pub(super) fn check_header(&self, header: &Header) -> Result<(), TokenError> {
        if !self.algorithms.contains(&header.algorithm) {
            return Err(TokenError::AlgorithmNotAllowed(header.algorithm.name()));
        }
        let found = header.token_type.as_deref().unwrap_or_default();
        match &header.token_type {
            _ if self.types.iter().any(|t| t == found) => Ok(()),
            Some(other) => Err(TokenError::Type(Shown::new(other))),
            None => Err(TokenError::NoType),
        }
    }

    /// The claims, once the signature has verified; `now` in Unix seconds.
    pub(super) fn check_claims(&self, claims: &Map<String, Value>, now: i64) -> Result<Accepted, TokenError> {
        if let Some(name) = REFUSED_CLAIMS.into_iter().find(|name| claims.contains_key(*name)) {
            return Err(TokenError::Claim(name));
        }
        // Keycloak tells its kinds of tokens apart by a claim, Cognito too; the headers are the same.
        for (claim, access) in [("typ", "Bearer"), ("token_use", "access")] {
            if let Some(kind) = text(claims, claim)?
                && kind != access
            {
                return Err(TokenError::Kind(claim, Shown::new(kind)));
            }
        }
        self.check_audience(claims)?;
        self.check_party(claims)?;
        let subject = name(claims, "sub")?.ok_or(TokenError::Missing("sub"))?.to_owned();
        let token_id = name(claims, "jti")?.map(String::from);
        let times = Times {
            issued_at: seconds(claims, "iat")?.ok_or(TokenError::Missing("iat"))?,
            not_before: seconds(claims, "nbf")?,
            expires_at: seconds(claims, "exp")?.ok_or(TokenError::Missing("exp"))?,
        };
        self.check_times(times, now)?;
        Ok(Accepted { subject, token_id, times })
    }

    /// Also of a remembered token: time passes, and clocks are set back.
    pub(super) fn check_times(&self, times: Times, now: i64) -> Result<(), TokenError> {
        let leeway = i64::try_from(limits::CLOCK_LEEWAY.as_secs()).unwrap_or(0);
        let not_before = times.not_before.map(|t| ("nbf", t));
        for (claim, time) in [Some(("iat", times.issued_at)), not_before].into_iter().flatten() {
            if time > now.saturating_add(leeway) {
                return Err(TokenError::Future(claim, time.saturating_sub(now)));
            }
        }
        let life = times.expires_at.saturating_sub(times.issued_at);
        if life <= 0 {
            return Err(TokenError::Order);
        }
        if life > self.max_life {
            return Err(TokenError::Life(life, self.max_life));
        }
        if times.expires_at <= now {
            return Err(TokenError::Expired(now.saturating_sub(times.expires_at)));
        }
        Ok(())
    }

    /// Every audience of the token is one of ours: a token that is also meant for somebody else could have
    /// come from there.
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let values = match claims.get("aud") {
            None => return Err(TokenError::Missing("aud")),
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            Some(Value::Array(many)) if !many.is_empty() => many.as_slice(),
            Some(_) => return Err(TokenError::ClaimType("aud")),
        };
        for value in values {
            let audience = value.as_str().ok_or(TokenError::ClaimType("aud"))?;
            if !self.audiences.iter().any(|a| a == audience) {
                return Err(TokenError::Audience(Shown::new(audience)));
            }
        }
        Ok(())
    }

    fn check_party(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        if self.parties.is_empty() {
            return Ok(());
        }
        let mut named = false;
        for claim in ["azp", "client_id"] {
            if let Some(party) = text(claims, claim)? {
                named = true;
                if !self.parties.iter().any(|p| p == party) {
                    return Err(TokenError::Party(claim, Shown::new(party)));
                }
            }
        }
        if named { Ok(()) } else { Err(TokenError::NoParty) }
    }
}

/// May this name somebody? Not empty, not too long, nothing that tears a log line or hides in it.
pub(super) fn is_name(text: &str) -> bool {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    !text.is_empty() && text.len() <= limits::SUBJECT && !text.chars().any(hidden)
}

fn name<'c>(claims: &'c Map<String, Value>, claim: &'static str) -> Result<Option<&'c str>, TokenError> {
    match text(claims, claim)? {
        Some(text) if !is_name(text) => Err(TokenError::Text(claim)),
        text => Ok(text),
    }
}

fn text<'c>(claims: &'c Map<String, Value>, claim: &'static str) -> Result<Option<&'c str>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::ClaimType(claim)),
    }
}

/// A `NumericDate` (RFC 7519, section 2): a whole, positive number of seconds. Fractions are allowed there
/// but used by nobody we know of, and each way of rounding them is wrong for one of the three claims.
fn seconds(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<i64>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(time @ 0..=LAST_INSTANT) => Ok(Some(time)),
            _ => Err(TokenError::ClaimType(claim)),
        },
    }
}
