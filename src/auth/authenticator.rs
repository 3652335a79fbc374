//! Who somebody is, from what their driver sent.
//!
//! In: an `AUTH_RESPONSE`, the identities that the cluster accepts, the directory. Out: [`Authenticated`] or
//! [`LoginError`]. Tokens that verified are remembered by their SHA-256, so that a pool of connections costs
//! one signature check; what is remembered counts only under the key set it was verified with, and its
//! times and its person are looked at each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::clock::{Clock, SystemClock};
use super::error::LoginError;
use super::issuer::{AuthError, Issuer, IssuerHealth, check_services};
use super::jws::Jws;
use super::keys::Timing;
use super::matching::{FoundBy, Named};
use super::rules::Times;
use super::sasl::Credentials;
use super::token_error::{Shown, TokenError};
use super::{Authenticated, TokenFacts};
use crate::config::limits;
use crate::config::model::{Identity, Service};
use crate::directory;
use crate::metrics::Metrics;
use crate::principal::Principal;

/// Log-in for all configured identities. Shared by all sessions.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    by_issuer: HashMap<String, usize>,
    remembered: moka::sync::Cache<[u8; 32], Arc<Remembered>>,
    clock: Arc<dyn Clock>,
}

/// A token that verified.
#[derive(Debug)]
struct Remembered {
    issuer: usize,
    generation: u64,
    times: Times,
    named: Named,
    /// `sub`.
    subject: Arc<str>,
    token_id: Arc<str>,
    issued_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    /// For the cache alone: how long it may stay.
    left: Duration,
}

impl Authenticator {
    /// Checks the identities and services. Nothing is fetched before [`Authenticator::run`] or the first
    /// log-in.
    pub fn new(identities: &[Identity], services: &[Service]) -> Result<Self, AuthError> {
        Self::with(identities, services, Arc::new(SystemClock), Timing::default())
    }

    pub(super) fn with(
        identities: &[Identity],
        services: &[Service],
        clock: Arc<dyn Clock>,
        timing: Timing,
    ) -> Result<Self, AuthError> {
        if identities.is_empty() {
            return Err(AuthError::NoIdentity);
        }
        check_services(identities, services)?;
        let mut by_issuer = HashMap::new();
        let mut issuers: Vec<Issuer> = Vec::new();
        for (index, identity) in identities.iter().enumerate() {
            if issuers.iter().any(|i| *i.name == *identity.name) {
                return Err(AuthError::Twice("name", identity.name.clone()));
            }
            if by_issuer.insert(identity.issuer.clone(), index).is_some() {
                return Err(AuthError::Twice("issuer", identity.issuer.clone()));
            }
            issuers.push(Issuer::new(identity, services, &clock, timing)?);
        }
        let remembered =
            moka::sync::Cache::builder().max_capacity(limits::TOKEN_CACHE).expire_after(UntilExpiry).build();
        Ok(Self { issuers, by_issuer, remembered, clock })
    }

    /// Counts the fetches of keys from now on.
    pub fn count_in(&self, metrics: &Arc<Metrics>) {
        for issuer in &self.issuers {
            issuer.keys.count_in(&issuer.name, metrics);
        }
    }

    /// Keeps the keys of all issuers fresh until `shutdown` is done. Issuers do not wait for each other.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        for issuer in &self.issuers {
            let keys = Arc::clone(&issuer.keys);
            tasks.spawn(async move { keys.keep_fresh().await });
        }
        shutdown.await;
        tasks.shutdown().await;
    }

    /// Who this is. `identities` are the names of those that the cluster accepts; empty means all.
    ///
    /// May take as long as one fetch of keys ([`limits::IDP_FETCH`]) if a key is missing; else some tens of
    /// microseconds for the signature, or a few for a token seen before.
    pub async fn login(
        &self,
        sasl: &[u8],
        identities: &[String],
        directory: &directory::State,
    ) -> Result<Authenticated, LoginError> {
        let credentials = Credentials::parse(sasl)?;
        let verified = self.verified(credentials.token(), identities).await?;
        let issuer = self.issuers.get(verified.issuer).ok_or_else(|| unconfigured(""))?;
        let principal = issuer.matching.principal(&verified.named, directory)?;
        let subject = match (&principal, verified.named.person()) {
            (Principal::Person(_), Some(value)) => value,
            _ => &verified.subject,
        };
        let username = credentials.username();
        let known = ["", "token", subject, &verified.subject, principal.name()];
        if !known.contains(&username) {
            let name = principal.name().into();
            return Err(LoginError::Username { username: Shown::new(username), name });
        }
        let token = TokenFacts {
            issuer: Arc::clone(&issuer.url),
            subject: Arc::clone(subject),
            id: Arc::clone(&verified.token_id),
            issued_at: verified.issued_at,
            expires_at: verified.expires_at,
        };
        let found_by = FoundBy { matching: Arc::clone(&issuer.matching), named: verified.named.clone() };
        Ok(Authenticated { principal, token, found_by })
    }

    /// How each issuer's keys are.
    pub fn health(&self) -> Vec<IssuerHealth> {
        self.issuers.iter().map(Issuer::health).collect()
    }

    /// Can somebody log in? One issuer with keys is enough: that another one is down must not take away the
    /// gateway from those who do not need it. [`Authenticator::health`] tells which.
    pub fn ready(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.keys.usable().is_some())
    }

    async fn verified(&self, token: &str, identities: &[String]) -> Result<Arc<Remembered>, LoginError> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(known) = self.remembered.get(&key)
            && let Some(issuer) = self.issuers.get(known.issuer)
            && issuer.keys.usable().is_some_and(|adopted| adopted.generation == known.generation)
        {
            issuer.accepted_by(identities)?;
            issuer.rules.check_times(known.times, self.now()).map_err(|error| issuer.refuse(error))?;
            return Ok(known);
        }
        let verified = Arc::new(self.verify(token, identities, &key).await?);
        self.remembered.insert(key, Arc::clone(&verified));
        Ok(verified)
    }

    async fn verify(
        &self,
        token: &str,
        identities: &[String],
        hash: &[u8; 32],
    ) -> Result<Remembered, LoginError> {
        let jws = Jws::parse(token).map_err(|error| LoginError::Token { identity: None, error })?;
        let claimed = match jws.claims.get("iss") {
            Some(serde_json::Value::String(issuer)) => issuer,
            Some(_) => return Err(LoginError::Token { identity: None, error: TokenError::ClaimType("iss") }),
            None => return Err(LoginError::Token { identity: None, error: TokenError::NoIssuer }),
        };
        let index = *self.by_issuer.get(claimed).ok_or_else(|| unconfigured(claimed))?;
        let issuer = self.issuers.get(index).ok_or_else(|| unconfigured(claimed))?;
        issuer.accepted_by(identities)?;
        issuer.rules.check_header(&jws.header).map_err(|error| issuer.refuse(error))?;
        let adopted = issuer.verify_signature(&jws).await?;
        let accepted =
            issuer.rules.check_claims(&jws.claims, self.now()).map_err(|error| issuer.refuse(error))?;
        let instant = |unix| {
            // In range: the rules have looked.
            OffsetDateTime::from_unix_timestamp(unix).map_err(|_| issuer.refuse(TokenError::ClaimType("exp")))
        };
        let left = accepted.times.expires_at.saturating_sub(self.now());
        Ok(Remembered {
            issuer: index,
            generation: adopted.generation,
            times: accepted.times,
            named: issuer.matching.names(&jws.claims),
            subject: accepted.subject.into(),
            token_id: accepted.token_id.unwrap_or_else(|| hex(hash.first_chunk::<8>())).into(),
            issued_at: instant(accepted.times.issued_at)?,
            expires_at: instant(accepted.times.expires_at)?,
            left: Duration::from_secs(left.unsigned_abs()),
        })
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_timestamp()
    }
}

fn unconfigured(issuer: &str) -> LoginError {
    LoginError::Token { identity: None, error: TokenError::Issuer(Shown::new(issuer)) }
}

fn hex(bytes: Option<&[u8; 8]>) -> String {
    bytes.map(|b| format!("{:016x}", u64::from_be_bytes(*b))).unwrap_or_default()
}

/// Forgets a token when it expires. That is only to save room: the times are checked at each use.
struct UntilExpiry;

impl moka::Expiry<[u8; 32], Arc<Remembered>> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], value: &Arc<Remembered>, _: Instant) -> Option<Duration> {
        Some(value.left)
    }
}
