//! What is counted per cluster.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{ClusterDirection, ClusterLabels, ClusterOutcome, ClusterReason};
use super::requests::{AllRequests, Requests};
use super::{Timestamp, plain};

type ByCluster<M> = Family<ClusterLabels, M>;

/// The counters of one cluster, looked up once.
#[derive(Debug)]
pub struct ClusterMetrics {
    cluster: String,
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections open now; count with [`super::Held`].
    pub connections_open: Gauge,
    /// Of these, the ones that have not logged in yet.
    pub connections_unauthenticated: Gauge,
    /// Sessions that are logged in now.
    pub sessions_open: Gauge,
    /// Bytes read from clients.
    pub bytes_received: Counter,
    /// Bytes written to clients.
    pub bytes_sent: Counter,
    /// Requests by opcode, statement and verdict.
    pub requests: Arc<Requests>,
    /// Leases held now.
    pub leases_held: Gauge,
    /// Leases taken.
    pub leases_taken: Counter,
    /// Leases that had to be waited for, because no warm connection was there.
    pub leases_waited: Counter,
    /// Leases that never came within the limit.
    pub leases_timed_out: Counter,
    /// Leases that went back as good as new.
    pub leases_returned: Counter,
    /// Leases that were closed after use.
    pub leases_closed: Counter,
    /// Upstream connections that are logged in and wait.
    pub warm_connections: Gauge,
    /// Prepared ids in the process-wide map.
    pub prepared_ids: Gauge,
    /// Tables and views in the schema cache.
    pub schema_tables: Gauge,
    /// When the schema cache was last known to be right; set with [`super::set_now`].
    pub schema_timestamp: Timestamp,
    /// The policy's generation.
    pub policy_generation: Gauge,
    /// Rules of the policy in force.
    pub policy_rules: Gauge,
    /// When the policy in force was loaded.
    pub policy_timestamp: Timestamp,
    families: ClusterFamilies,
}

impl ClusterMetrics {
    /// The cluster's configured name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// A log-in: `ok`, or why not in one `snake_case` word (`expired`, `unknown_subject`, ..).
    pub fn login(&self, outcome: &'static str) {
        self.families.logins.get_or_create(&self.outcome(outcome)).inc();
    }

    /// A connection that was turned away at the door: `unauthenticated_limit`, `address_limit`, ..
    pub fn connection_rejected(&self, reason: &'static str) {
        self.families.rejected.get_or_create(&self.reason(reason)).inc();
    }

    /// A refused request, by reason in one `snake_case` word (`no_grant`, `deny`, `unclassified`, ..).
    pub fn refusal(&self, reason: &'static str) {
        self.families.refusals.get_or_create(&self.reason(reason)).inc();
    }

    /// A session's end, by reason (`client`, `revoked`, `token_expired`, `upstream`, `protocol_error`, ..).
    pub fn session_end(&self, reason: &'static str) {
        self.families.session_ends.get_or_create(&self.reason(reason)).inc();
    }

    /// An attempt to connect and log in to a node: `ok`, or what went wrong in one `snake_case` word.
    pub fn upstream_connect(&self, outcome: &'static str) {
        self.families.upstream_connects.get_or_create(&self.outcome(outcome)).inc();
    }

    /// A reading of the schema: `ok`, or what went wrong in one `snake_case` word.
    pub fn schema_refresh(&self, outcome: &'static str) {
        self.families.schema_refreshes.get_or_create(&self.outcome(outcome)).inc();
    }

    /// A policy reload: `ok`, or `failed` (the last good one stays).
    pub fn policy_reload(&self, outcome: &'static str) {
        self.families.policy_reloads.get_or_create(&self.outcome(outcome)).inc();
    }

    fn outcome(&self, outcome: &'static str) -> ClusterOutcome {
        ClusterOutcome { cluster: self.cluster.clone(), outcome }
    }

    fn reason(&self, reason: &'static str) -> ClusterReason {
        ClusterReason { cluster: self.cluster.clone(), reason }
    }
}

/// The families that [`ClusterMetrics`] are resolved from.
#[derive(Clone, Debug)]
pub(super) struct ClusterFamilies {
    accepted: ByCluster<Counter>,
    open: ByCluster<Gauge>,
    unauthenticated: ByCluster<Gauge>,
    rejected: Family<ClusterReason, Counter>,
    sessions: ByCluster<Gauge>,
    session_ends: Family<ClusterReason, Counter>,
    logins: Family<ClusterOutcome, Counter>,
    bytes: Family<ClusterDirection, Counter>,
    requests: AllRequests,
    refusals: Family<ClusterReason, Counter>,
    leases_held: ByCluster<Gauge>,
    leases: Family<ClusterOutcome, Counter>,
    upstream_connects: Family<ClusterOutcome, Counter>,
    warm: ByCluster<Gauge>,
    prepared: ByCluster<Gauge>,
    schema_tables: ByCluster<Gauge>,
    schema_timestamp: ByCluster<Timestamp>,
    schema_refreshes: Family<ClusterOutcome, Counter>,
    policy_generation: ByCluster<Gauge>,
    policy_rules: ByCluster<Gauge>,
    policy_timestamp: ByCluster<Timestamp>,
    policy_reloads: Family<ClusterOutcome, Counter>,
}

impl ClusterFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        let requests = AllRequests::default();
        r.register_collector(Box::new(requests.clone()));
        Self {
            accepted: plain(r, "connections_accepted", "Client connections accepted"),
            open: plain(r, "connections_open", "Client connections open now"),
            unauthenticated: plain(
                r,
                "connections_unauthenticated",
                "Client connections open now that have not logged in",
            ),
            rejected: plain(r, "connections_rejected", "Client connections turned away, by reason"),
            sessions: plain(r, "sessions_open", "Sessions that are logged in now"),
            session_ends: plain(r, "session_ends", "Sessions that ended, by reason"),
            logins: plain(r, "logins", "Log-ins, by outcome"),
            bytes: plain(r, "client_bytes", "Bytes read from (received) and written to (sent) clients"),
            requests,
            refusals: plain(r, "refusals", "Refused requests, by reason"),
            leases_held: plain(r, "leases_held", "Upstream connections leased to sessions now"),
            leases: plain(r, "leases", "Leases of upstream connections, by what happened to them"),
            upstream_connects: plain(r, "upstream_connects", "Connects and log-ins to nodes, by outcome"),
            warm: plain(r, "warm_connections", "Upstream connections that are logged in and wait"),
            prepared: plain(r, "prepared_ids", "Prepared ids that the process knows"),
            schema_tables: plain(r, "schema_tables", "Tables and views in the schema cache"),
            schema_timestamp: plain(
                r,
                "schema_timestamp_seconds",
                "When the schema cache was last known to be right, seconds since the epoch",
            ),
            schema_refreshes: plain(r, "schema_refreshes", "Readings of the schema, by outcome"),
            policy_generation: plain(r, "policy_generation", "The generation of the policy in force"),
            policy_rules: plain(r, "policy_rules", "Rules of the policy in force"),
            policy_timestamp: plain(
                r,
                "policy_timestamp_seconds",
                "When the policy in force was loaded, seconds since the epoch",
            ),
            policy_reloads: plain(r, "policy_reloads", "Policy reloads, by outcome"),
        }
    }

    pub(super) fn resolve(&self, name: &str) -> ClusterMetrics {
        let labels = ClusterLabels { cluster: name.to_owned() };
        let bytes = |direction| {
            self.bytes.get_or_create_owned(&ClusterDirection { cluster: name.to_owned(), direction })
        };
        let leases =
            |outcome| self.leases.get_or_create_owned(&ClusterOutcome { cluster: name.to_owned(), outcome });
        let requests = Arc::new(Requests::new(name));
        self.requests.add(Arc::clone(&requests));
        ClusterMetrics {
            cluster: name.to_owned(),
            connections_accepted: self.accepted.get_or_create_owned(&labels),
            connections_open: self.open.get_or_create_owned(&labels),
            connections_unauthenticated: self.unauthenticated.get_or_create_owned(&labels),
            sessions_open: self.sessions.get_or_create_owned(&labels),
            bytes_received: bytes("received"),
            bytes_sent: bytes("sent"),
            requests,
            leases_held: self.leases_held.get_or_create_owned(&labels),
            leases_taken: leases("taken"),
            leases_waited: leases("waited"),
            leases_timed_out: leases("timed_out"),
            leases_returned: leases("returned"),
            leases_closed: leases("closed"),
            warm_connections: self.warm.get_or_create_owned(&labels),
            prepared_ids: self.prepared.get_or_create_owned(&labels),
            schema_tables: self.schema_tables.get_or_create_owned(&labels),
            schema_timestamp: self.schema_timestamp.get_or_create_owned(&labels),
            policy_generation: self.policy_generation.get_or_create_owned(&labels),
            policy_rules: self.policy_rules.get_or_create_owned(&labels),
            policy_timestamp: self.policy_timestamp.get_or_create_owned(&labels),
            families: self.clone(),
        }
    }
}
