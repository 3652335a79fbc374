//! Log-in: SASL PLAIN with an OIDC token as the password, a strict verifier, and the way from a token to
//! a [`Principal`].
//!
//! In: the bytes of an `AUTH_RESPONSE`, the directory. Out: [`Authenticated`], or a [`LoginError`] that knows
//! what the client may hear. The files in the order a token meets them: `sasl`, `authenticator`, `jws`
//! (with `json`), `issuer`, `keys` (with `key_set` and `fetch`), `rules`, `matching`.

mod authenticator;
mod clock;
mod error;
mod fetch;
mod issuer;
mod json;
mod jws;
mod key_set;
mod keys;
mod matching;
mod rules;
mod sasl;
mod token_error;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::directory::State;
use crate::principal::Principal;
use matching::FoundBy;

pub use authenticator::Authenticator;
pub use error::{ClientResponse, LoginError};
pub use fetch::{AddressError, TrustError};
pub use issuer::{AuthError, IssuerHealth};
pub use json::JsonError;
pub use sasl::{Credentials, CredentialsError};
pub use token_error::{Part, Shown, TokenError};

/// Somebody whose token was verified and who is exactly one active person or one service. Only this
/// module makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    principal: Principal,
    token: TokenFacts,
    /// By which rule, and by what in the token, the principal was found.
    found_by: FoundBy,
}

/// What is kept of a token: never the token.
#[derive(Clone, Debug)]
pub struct TokenFacts {
    /// `iss`.
    pub issuer: Arc<str>,
    /// `sub`, or the claim that named the person.
    pub subject: Arc<str>,
    /// `jti` if it has one, else the first 16 hex digits of the token's SHA-256.
    pub id: Arc<str>,
    /// `iat`.
    pub issued_at: OffsetDateTime,
    /// `exp`.
    pub expires_at: OffsetDateTime,
}

impl Authenticated {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Their token's facts.
    pub fn token(&self) -> &TokenFacts {
        &self.token
    }

    /// Would the token lead to the same person or service in this state of the directory? Not if the person
    /// is gone or inactive, is somebody else's by now, or shares what the token names with another.
    pub fn still_holds(&self, directory: &State) -> bool {
        match (self.found_by.again(directory), &self.principal) {
            (Ok(Principal::Person(now)), Principal::Person(then)) => {
                now.identity == then.identity && now.id == then.id
            }
            (Ok(now), then) => now == *then,
            (Err(_), _) => false,
        }
    }
}
