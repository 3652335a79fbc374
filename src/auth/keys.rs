//! The keys of one issuer over time: found by discovery, renewed in the background, asked for anew when a
//! token names a key that is not there yet.
//!
//! In: the provider's documents. Out: the [`Adopted`] key set in force. A fetch that fails, or brings
//! nothing usable, changes nothing; a set that could not be renewed for [`limits::JWKS_MAX_STALE`] is used no
//! more. Only one fetch of an issuer runs at a time, and whoever waits for it shares its outcome.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use openidconnect::core::CoreProviderMetadata;
use openidconnect::url::Url;
use serde_json::Value;
use time::OffsetDateTime;

use super::clock::Clock;
use super::fetch::{self, AddressError, FetchError, Fetcher};
use super::json::{self, JsonError};
use super::key_set::{KeySet, KeySetError};
use crate::config::limits;
use crate::metrics::Metrics;

/// Why a key set could not be renewed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// Discovery document or key set took longer than [`limits::IDP_FETCH`] together.
    #[error("no answer within {} s", limits::IDP_FETCH.as_secs())]
    Deadline,
    /// A document could not be fetched.
    #[error("{0}: {1}")]
    Fetch(String, #[source] FetchError),
    /// The discovery document is not one unambiguous JSON object.
    #[error("the discovery document is {0}")]
    Json(#[from] JsonError),
    /// The discovery document lacks something; `jwks_url` in the configuration does without it.
    #[error("the discovery document: {0} (jwks_url can be set instead)")]
    Metadata(String),
    /// It is another issuer's (`OpenID` Connect Discovery, 4.3).
    #[error("the discovery document is of issuer {0:?}")]
    Issuer(String),
    /// Its `jwks_uri` is not an address that keys are fetched from.
    #[error("jwks_uri {0}")]
    Address(#[from] AddressError),
    /// The key set is of no use.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

impl KeysError {
    /// A label for metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Deadline => "timeout",
            Self::Fetch(..) => "fetch",
            Self::Json(_) | Self::Metadata(_) | Self::Issuer(_) | Self::Address(_) => "discovery",
            Self::KeySet(_) => "key_set",
        }
    }
}

/// How long things take; tests shorten it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) fetch: Duration,
    pub(super) refresh: Duration,
    pub(super) retry: Duration,
    pub(super) floor: Duration,
    pub(super) max_stale: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            fetch: limits::IDP_FETCH,
            refresh: limits::JWKS_REFRESH,
            retry: limits::JWKS_RETRY,
            floor: limits::JWKS_REFETCH_FLOOR,
            max_stale: limits::JWKS_MAX_STALE,
        }
    }
}

/// Where the key set is.
#[derive(Debug)]
pub(super) enum Source {
    /// To be found in this discovery document of this issuer.
    Discovery { document: Url, issuer: String },
    /// Configured.
    Direct(Url),
}

/// A key set in force.
#[derive(Clone, Debug)]
pub(super) struct Adopted {
    pub(super) set: Arc<KeySet>,
    /// Changes whenever the keys do; what was verified under another one counts no more.
    pub(super) generation: u64,
    pub(super) fetched: OffsetDateTime,
    fetched_at: Instant,
}

/// What a log-in misses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// Keys at all.
    Any,
    /// A key that the set in force does not have.
    Newer,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    source: Source,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    timing: Timing,
    adopted: ArcSwapOption<Adopted>,
    /// Fetches that have begun; a waiter sees by it that somebody else's served.
    begun: AtomicU64,
    /// Held while fetching.
    flight: tokio::sync::Mutex<Flight>,
    failure: Mutex<Option<String>>,
    /// Where fetches are counted, and under which identity.
    counted: OnceLock<(Arc<str>, Arc<Metrics>)>,
}

#[derive(Debug, Default)]
struct Flight {
    last: Option<Instant>,
    /// The last fetch for an unknown key: a fetch for another reason does not delay the next rotation.
    last_newer: Option<Instant>,
}

impl IssuerKeys {
    pub(super) fn new(source: Source, fetcher: Fetcher, clock: Arc<dyn Clock>, timing: Timing) -> Self {
        Self {
            source,
            fetcher,
            clock,
            timing,
            adopted: ArcSwapOption::empty(),
            begun: AtomicU64::new(0),
            flight: tokio::sync::Mutex::default(),
            failure: Mutex::new(Some("no keys fetched yet".into())),
            counted: OnceLock::new(),
        }
    }

    /// Counts the fetches from now on, as those of `identity`.
    pub(super) fn count_in(&self, identity: &Arc<str>, metrics: &Arc<Metrics>) {
        // Said a second time, it stays with the first.
        let _ = self.counted.set((Arc::clone(identity), Arc::clone(metrics)));
    }

    /// The set in force, if there is one that is not too old.
    pub(super) fn usable(&self) -> Option<Arc<Adopted>> {
        let adopted = self.adopted.load_full()?;
        let age = self.clock.instant().saturating_duration_since(adopted.fetched_at);
        (age <= self.timing.max_stale).then_some(adopted)
    }

    /// The set in force, however old; for people.
    pub(super) fn last(&self) -> Option<Arc<Adopted>> {
        self.adopted.load_full()
    }

    /// What went wrong the last time; nothing if it went well.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the provider because a token needs a key that is not there, unless that was done a moment ago:
    /// then, and if it fails, nothing changes. Returns when there is an outcome to look at.
    pub(super) async fn demand(self: &Arc<Self>, wanted: Wanted) {
        let seen = self.begun.load(Ordering::Acquire);
        let keys = Arc::clone(self);
        // A task of its own: a client that hangs up must not take the fetch of the others with it.
        let flight = tokio::spawn(async move {
            let mut flight = keys.flight.lock().await;
            // A fetch that began after the question has answered it.
            if keys.begun.load(Ordering::Acquire) != seen {
                return;
            }
            let now = keys.clock.instant();
            let within = |last: Option<Instant>, floor| {
                last.is_some_and(|last| now.saturating_duration_since(last) < floor)
            };
            let needless = match wanted {
                Wanted::Any => keys.usable().is_some() || within(flight.last, keys.timing.retry),
                Wanted::Newer => within(flight.last_newer, keys.timing.floor),
            };
            if !needless {
                if matches!(wanted, Wanted::Newer) {
                    flight.last_newer = Some(now);
                }
                keys.renew(&mut flight).await;
            }
        });
        // The task has no way to panic; if the runtime stops it, the caller finds no keys.
        drop(flight.await);
    }

    /// Renews the keys again and again; ends only by being dropped.
    pub(super) async fn keep_fresh(&self) {
        let mut wait = self.timing.retry;
        loop {
            let went_well = self.renew(&mut *self.flight.lock().await).await;
            if went_well {
                wait = self.timing.retry;
                tokio::time::sleep(self.timing.refresh).await;
            } else {
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(self.timing.floor);
            }
        }
    }

    async fn renew(&self, flight: &mut Flight) -> bool {
        self.begun.fetch_add(1, Ordering::AcqRel);
        flight.last = Some(self.clock.instant());
        let fetched = tokio::time::timeout(self.timing.fetch, self.fetch()).await;
        let outcome = fetched.unwrap_or(Err(KeysError::Deadline)).map(|set| self.adopt(set));
        if let Some((identity, metrics)) = self.counted.get() {
            metrics.key_fetch(identity, outcome.as_ref().map_or_else(KeysError::kind, |()| "ok"));
        }
        let failure = outcome.as_ref().err().map(ToString::to_string);
        if let Some(reason) = &failure {
            tracing::warn!(source = %self.source, reason, "the keys of an identity provider could not be renewed");
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        outcome.is_ok()
    }

    async fn fetch(&self) -> Result<KeySet, KeysError> {
        let url = match &self.source {
            Source::Direct(url) => url.clone(),
            Source::Discovery { document, issuer } => {
                discovered(&self.get(document).await?, issuer, document.scheme())?
            }
        };
        Ok(KeySet::parse(&self.get(&url).await?)?)
    }

    async fn get(&self, url: &Url) -> Result<bytes::Bytes, KeysError> {
        self.fetcher.get(url).await.map_err(|error| KeysError::Fetch(url.to_string(), error))
    }

    /// Only called while `flight` is held.
    fn adopt(&self, set: KeySet) {
        let last = self.adopted.load_full();
        let (set, generation) = match &last {
            Some(last) if last.set.same(&set) => (Arc::new(set), last.generation),
            Some(last) => (Arc::new(set), last.generation.saturating_add(1)),
            None => (Arc::new(set), 1),
        };
        if last.is_none_or(|last| last.generation != generation) {
            tracing::info!(source = %self.source, keys = ?set.ids(), left_out = ?set.dropped(), "new signing keys");
        }
        let (fetched, fetched_at) = (self.clock.now(), self.clock.instant());
        self.adopted.store(Some(Arc::new(Adopted { set, generation, fetched, fetched_at })));
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discovery { document, .. } => document.fmt(f),
            Self::Direct(url) => url.fmt(f),
        }
    }
}

/// The address of the key set, from a discovery document.
fn discovered(document: &[u8], issuer: &str, scheme: &str) -> Result<Url, KeysError> {
    let members = json::object(document, limits::JSON_DEPTH)?;
    let metadata: CoreProviderMetadata = serde_json::from_value(Value::Object(members))
        .map_err(|error| KeysError::Metadata(error.to_string()))?;
    if metadata.issuer().as_str() != issuer {
        return Err(KeysError::Issuer(metadata.issuer().to_string()));
    }
    let url = fetch::address(metadata.jwks_uri().as_str())?;
    if scheme == "https" && url.scheme() != "https" {
        return Err(KeysError::Address(AddressError::Scheme));
    }
    Ok(url)
}
