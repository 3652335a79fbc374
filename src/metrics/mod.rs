//! Counters and gauges, typed, one place. A leaf: everybody may count, nobody reads but `admin`.
//!
//! In: [`ClusterMetrics`] hands out counters that were looked up once, so that counting on the data path is
//! one relaxed atomic. What is rare (log-ins, refusals, SCIM writes, fetches) is looked up by its label.
//! Out: the text of [`Metrics::openmetrics`] or [`Metrics::prometheus`].
//!
//! Names follow the conventions of Prometheus: `cqlgate_` first, base units (`_seconds`, `_bytes`), counters
//! end in `_total`, and an age is a time stamp that the reader subtracts from now.

mod cluster;
mod labels;
mod requests;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use cluster::ClusterFamilies;
pub use cluster::ClusterMetrics;
use labels::{BuildLabels, EventLabels, IdentityLabels, IdentityOutcome, KindLabels, ScimLabels};
pub use requests::{Opcode, Requests, Statement, Verdict};

/// A gauge in seconds since the Unix epoch.
pub type Timestamp = Gauge<f64, AtomicU64>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    clusters: Mutex<BTreeMap<String, Arc<ClusterMetrics>>>,
    cluster_families: ClusterFamilies,

    /// Time from a directory transaction's begin to the end of its COMMIT (fsync included).
    pub commit_seconds: Histogram,
    /// Writes that shared one commit.
    pub commit_writes: Histogram,
    /// The directory's commit number that is published.
    pub directory_seq: Gauge,
    scim: Family<ScimLabels, Counter>,
    last_push: Family<IdentityLabels, Timestamp>,

    revocations: Family<KindLabels, Counter>,
    /// Time from publishing a commit to the last acknowledgement of the sessions that lost something.
    pub revocation_ack_seconds: Histogram,

    audit_events: Family<EventLabels, Counter>,
    /// Events that wait to be written.
    pub audit_queue: Gauge,
    /// Times that a session had to wait because the audit queue was full.
    pub audit_waits: Counter,
    /// Writes of the audit file that failed; each is tried again.
    pub audit_write_errors: Counter,

    key_fetches: Family<IdentityOutcome, Counter>,
    keys_fetched: Family<IdentityLabels, Timestamp>,

    /// Panics that were caught at a task's edge. Must stay 0.
    pub panics: Counter,
}

impl Metrics {
    /// Registers everything; one a process (tests make their own).
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("cqlgate");
        let cluster_families = ClusterFamilies::register(&mut registry);

        let build: Family<BuildLabels, Gauge> = Family::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "The running version; always 1", build);
        let start = Timestamp::default();
        set_now(&start);
        registry.register("start_time_seconds", "When the process started, seconds since the epoch", start);

        let metrics = Self {
            clusters: Mutex::default(),
            cluster_families,
            commit_seconds: histogram(
                &mut registry,
                "directory_commit_seconds",
                "Time of one directory transaction, COMMIT and fsync included",
                &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0],
            ),
            commit_writes: histogram(
                &mut registry,
                "directory_commit_writes",
                "SCIM writes that shared one directory transaction",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
            ),
            directory_seq: plain(
                &mut registry,
                "directory_sequence",
                "The directory commit that is published",
            ),
            scim: plain(&mut registry, "scim_requests", "SCIM requests, by resource, method and status"),
            last_push: plain(
                &mut registry,
                "scim_last_write_timestamp_seconds",
                "When an identity provider last wrote something, seconds since the epoch",
            ),
            revocations: plain(
                &mut registry,
                "revocations",
                "Sessions that lost something, by how it ended: acknowledged (they closed, or go on), or shut by force",
            ),
            revocation_ack_seconds: histogram(
                &mut registry,
                "revocation_acknowledge_seconds",
                "Time from publishing a commit to the last acknowledgement of the sessions it concerns",
                &[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
            ),
            audit_events: plain(&mut registry, "audit_events", "Audit events written, by kind and verdict"),
            audit_queue: plain(&mut registry, "audit_queue_events", "Audit events that wait to be written"),
            audit_waits: plain(
                &mut registry,
                "audit_waits",
                "Times that a session waited because the audit queue was full",
            ),
            audit_write_errors: plain(
                &mut registry,
                "audit_write_errors",
                "Writes of the audit file that failed; each is tried again",
            ),
            key_fetches: plain(
                &mut registry,
                "identity_key_fetches",
                "Fetches of an identity provider's key set, by outcome",
            ),
            keys_fetched: plain(
                &mut registry,
                "identity_keys_timestamp_seconds",
                "When an identity provider's keys were last fetched, seconds since the epoch",
            ),
            panics: plain(&mut registry, "panics", "Panics caught at a task's edge; must stay 0"),
            registry,
        };
        Arc::new(metrics)
    }

    /// The counters of one cluster. The same name gives the same counters.
    pub fn cluster(&self, name: &str) -> Arc<ClusterMetrics> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clusters.get(name) {
            return Arc::clone(known);
        }
        let made = Arc::new(self.cluster_families.resolve(name));
        clusters.insert(name.to_owned(), Arc::clone(&made));
        made
    }

    /// One SCIM request: `resource` as in the path (`Users`, `Groups`, `other`), the method, the status that
    /// was answered.
    pub fn scim_request(&self, identity: &str, resource: &'static str, method: &'static str, status: u16) {
        let labels = ScimLabels { identity: identity.to_owned(), resource, method, status };
        self.scim.get_or_create(&labels).inc();
    }

    /// An identity provider wrote something now.
    pub fn scim_written(&self, identity: &str) {
        set_now(&self.last_push.get_or_create(&IdentityLabels { identity: identity.to_owned() }));
    }

    /// A session that lost something: `acknowledged` (it closed, or goes on under what is left), `shut` (too late).
    pub fn revocation(&self, kind: &'static str) {
        self.revocations.get_or_create(&KindLabels { kind }).inc();
    }

    /// One fetch of a key set: `ok`, or what went wrong in one `snake_case` word. `ok` also sets the time.
    pub fn key_fetch(&self, identity: &str, outcome: &'static str) {
        let identity = identity.to_owned();
        if outcome == "ok" {
            set_now(&self.keys_fetched.get_or_create(&IdentityLabels { identity: identity.clone() }));
        }
        self.key_fetches.get_or_create(&IdentityOutcome { identity, outcome }).inc();
    }

    /// One audit event was written.
    pub(crate) fn audit_event(&self, event: &'static str, verdict: &'static str) {
        self.audit_events.get_or_create(&EventLabels { event, verdict }).inc();
    }
}

/// A gauge that counts something for as long as it is held: dropped, also by a panic, it counts down.
#[derive(Debug)]
pub struct Held(Gauge);

impl Held {
    /// Counts up now, and down when dropped.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Sets a time stamp to now.
pub fn set_now(timestamp: &Timestamp) {
    // Before 1970 there was no gateway: such a clock shows as 0.
    timestamp.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64());
}

fn plain<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn histogram(registry: &mut Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let metric = Histogram::new(buckets.iter().copied());
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod tests;
