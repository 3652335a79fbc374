//! One issuer: its configuration checked, its keys asked, its health told.
//!
//! In: an `[[identity]]` with its services, a token taken apart. Out: the key set that the token's signature
//! verified under, or why it did not.

use std::sync::Arc;

use time::OffsetDateTime;

use super::clock::Clock;
use super::error::LoginError;
use super::fetch::{self, AddressError, Fetcher, TrustError};
use super::jws::Jws;
use super::keys::{Adopted, IssuerKeys, Source, Timing, Wanted};
use super::matching::Matching;
use super::rules::Rules;
use super::token_error::TokenError;
use crate::config::model::{Identity, Service};

/// The configuration cannot be used for log-in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No identity: nobody could ever log in.
    #[error("no [[identity]]: nobody could log in")]
    NoIdentity,
    /// Two identities have the same name or issuer: a token would belong to both.
    #[error("two identities have the {0} {1:?}")]
    Twice(&'static str, String),
    /// An address that keys will not be fetched from.
    #[error("identity {0:?}: {1} {2}")]
    Address(String, &'static str, #[source] AddressError),
    /// A template, or a query in the issuer.
    #[error("identity {0:?}: issuer must name one issuer, without template or query")]
    Issuer(String),
    /// No audience, an empty one, or none of something else that must be there.
    #[error("identity {0:?}: {1} must have at least one entry, none of them empty")]
    Empty(String, &'static str),
    /// An algorithm that is not supported.
    #[error("identity {0:?}: algorithm {1:?} is not one of RS256, PS256, ES256, ES384, EdDSA")]
    Algorithm(String, String),
    /// A SCIM attribute that cannot name a person.
    #[error("identity {0:?}: subject.scim {1:?} is not one of externalId, userName, id")]
    Attribute(String, String),
    /// `subject.claim` is empty.
    #[error("identity {0:?}: subject.claim is empty")]
    Claim(String),
    /// Trust anchors.
    #[error("identity {0:?}: {1}")]
    Trust(String, #[source] TrustError),
    /// A service of an identity that does not exist.
    #[error("service {0:?}: there is no identity {1:?}")]
    ServiceIdentity(String, String),
    /// A service without claims would be everybody.
    #[error("service {0:?}: claims must have at least one entry")]
    ServiceClaims(String),
    /// Two services of one identity have the same name.
    #[error("two services of identity {1:?} have the name {0:?}")]
    ServiceTwice(String, String),
}

/// How an issuer's keys are.
#[derive(Clone, Debug)]
pub struct IssuerHealth {
    /// The identity's name.
    pub identity: Arc<str>,
    /// Its issuer.
    pub issuer: Arc<str>,
    /// Are there keys that tokens can be verified with?
    pub healthy: bool,
    /// Why the keys could not be renewed the last time, for people; empty if they were.
    pub detail: String,
    /// Which of the provider's keys are not used, and why; keys for encryption are normal here.
    pub left_out: Vec<String>,
    /// The ids of the keys in force.
    pub key_ids: Vec<String>,
    /// When they were last fetched.
    pub keys_fetched: Option<OffsetDateTime>,
}

/// One issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) name: Arc<str>,
    pub(super) url: Arc<str>,
    pub(super) rules: Rules,
    pub(super) matching: Arc<Matching>,
    pub(super) keys: Arc<IssuerKeys>,
}

impl Issuer {
    pub(super) fn new(
        identity: &Identity,
        services: &[Service],
        clock: &Arc<dyn Clock>,
        timing: Timing,
    ) -> Result<Self, AuthError> {
        let name = &identity.name;
        let bad_address = |what| move |error| AuthError::Address(name.clone(), what, error);
        let issuer = fetch::address(&identity.issuer).map_err(bad_address("issuer"))?;
        if identity.issuer.contains(['{', '}']) || issuer.query().is_some() {
            return Err(AuthError::Issuer(name.clone()));
        }
        for (what, list) in [("audiences", &identity.audiences), ("algorithms", &identity.algorithms)] {
            if list.is_empty() || list.iter().any(String::is_empty) {
                return Err(AuthError::Empty(name.clone(), what));
            }
        }
        if identity.token_types.is_empty() {
            return Err(AuthError::Empty(name.clone(), "token_types"));
        }
        if identity.subject.claim.is_empty() {
            return Err(AuthError::Claim(name.clone()));
        }
        let source = if let Some(url) = &identity.jwks_url {
            Source::Direct(fetch::address(url).map_err(bad_address("jwks_url"))?)
        } else {
            // OpenID Connect Discovery, section 4.
            let url = format!("{}/.well-known/openid-configuration", identity.issuer.trim_end_matches('/'));
            let document = fetch::address(&url).map_err(bad_address("issuer"))?;
            Source::Discovery { document, issuer: identity.issuer.clone() }
        };
        let fetcher = Fetcher::new(identity.ca_file.as_deref())
            .map_err(|error| AuthError::Trust(name.clone(), error))?;
        Ok(Self {
            name: name.as_str().into(),
            url: identity.issuer.as_str().into(),
            rules: Rules::new(identity).map_err(|other| AuthError::Algorithm(name.clone(), other))?,
            matching: Matching::new(identity, services)
                .map_err(|other| AuthError::Attribute(name.clone(), other))?
                .into(),
            keys: Arc::new(IssuerKeys::new(source, fetcher, Arc::clone(clock), timing)),
        })
    }

    pub(super) fn accepted_by(&self, identities: &[String]) -> Result<(), LoginError> {
        if identities.is_empty() || identities.iter().any(|name| **name == *self.name) {
            Ok(())
        } else {
            Err(LoginError::IdentityNotAccepted(Arc::clone(&self.name)))
        }
    }

    pub(super) fn refuse(&self, error: TokenError) -> LoginError {
        LoginError::Token { identity: Some(Arc::clone(&self.name)), error }
    }

    /// Verifies with the keys in force; if the key is not there, with those that the provider has now.
    pub(super) async fn verify_signature(&self, jws: &Jws<'_>) -> Result<Arc<Adopted>, LoginError> {
        let id = jws.header.key_id.as_deref();
        let attempt = |adopted: Arc<Adopted>| {
            let verdict = adopted.set.verify(jws.header.algorithm, id, jws.signing_input, &jws.signature);
            verdict.map(|()| adopted)
        };
        // A provider whose keys have no ids rotates them without a sign: there, a signature that does not
        // verify is all that can be seen of it.
        let maybe_newer = |error: &TokenError| match error {
            TokenError::UnknownKey(..) | TokenError::NoKeyId(0) => true,
            TokenError::Signature => id.is_none(),
            _ => false,
        };
        match self.keys.usable().map(attempt) {
            Some(Ok(adopted)) => return Ok(adopted),
            Some(Err(error)) if !maybe_newer(&error) => return Err(self.refuse(error)),
            Some(Err(_)) => self.keys.demand(Wanted::Newer).await,
            None => self.keys.demand(Wanted::Any).await,
        }
        match (self.keys.usable().map(attempt), self.keys.failure()) {
            (Some(Ok(adopted)), _) => Ok(adopted),
            // With the provider down, "unknown" may as well mean "new": the client should come again.
            (Some(Err(error)), Some(reason)) if maybe_newer(&error) => Err(self.keys_unavailable(reason)),
            (Some(Err(error)), _) => Err(self.refuse(error)),
            (None, reason) => {
                Err(self.keys_unavailable(reason.unwrap_or_else(|| "the keys are too old".into())))
            }
        }
    }

    fn keys_unavailable(&self, reason: String) -> LoginError {
        LoginError::KeysUnavailable { identity: Arc::clone(&self.name), reason }
    }

    pub(super) fn health(&self) -> IssuerHealth {
        let last = self.keys.last();
        let failure = self.keys.failure();
        IssuerHealth {
            identity: Arc::clone(&self.name),
            issuer: Arc::clone(&self.url),
            healthy: self.keys.usable().is_some(),
            detail: failure.unwrap_or_default(),
            left_out: last.iter().flat_map(|adopted| adopted.set.dropped().to_vec()).collect(),
            key_ids: last.iter().flat_map(|adopted| adopted.set.ids()).collect(),
            keys_fetched: last.map(|adopted| adopted.fetched),
        }
    }
}

pub(super) fn check_services(identities: &[Identity], services: &[Service]) -> Result<(), AuthError> {
    for (index, service) in services.iter().enumerate() {
        if !identities.iter().any(|i| i.name == service.identity) {
            return Err(AuthError::ServiceIdentity(service.name.clone(), service.identity.clone()));
        }
        if service.claims.is_empty() {
            return Err(AuthError::ServiceClaims(service.name.clone()));
        }
        let same = |other: &Service| other.name == service.name && other.identity == service.identity;
        if services.iter().take(index).any(same) {
            return Err(AuthError::ServiceTwice(service.name.clone(), service.identity.clone()));
        }
    }
    Ok(())
}
