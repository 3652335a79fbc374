//! What the control task writes and everybody reads: the schema, the node's own row, how the link is.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use cqlgate_protocol::cql::Release;
use cqlgate_protocol::wire::response::SchemaChange;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::client::{Client, ClientError};
use super::control::Refresh;
use super::lookup::Guard;
use super::patch::{LookUp, Part, is_same};
use super::prepared::PreparedIds;
use super::read::{self, LocalRow};
use super::roles::Roles;
use super::schema::{Keyspaces, SchemaSnapshot};
use super::tables::Offers;
use crate::config::limits;
use crate::metrics::{ClusterMetrics, set_now};

/// Changes that the cache has; they are told to clients when the nodes agree.
pub(super) struct Told {
    pub(super) changes: Vec<SchemaChange>,
}

/// The shared state of one cluster.
pub(super) struct Shared {
    name: Arc<str>,
    username: Arc<str>,
    metrics: Arc<ClusterMetrics>,
    schema: ArcSwap<SchemaSnapshot>,
    /// The generation of `schema`, cheaper to read.
    generation: AtomicU64,
    generations: watch::Sender<u64>,
    local: ArcSwap<LocalRow>,
    cql_version: ArcSwap<String>,
    link: ArcSwap<Link>,
    /// The control connection's client, as long as there is one.
    client: Arc<ArcSwapOption<Client>>,
    reconciled: Mutex<Option<Instant>>,
    events: broadcast::Sender<SchemaChange>,
    told: mpsc::Sender<Told>,
    refreshes: mpsc::Sender<Refresh>,
    names: Guard<LookUp>,
    roles: Roles,
    prepared: PreparedIds,
    prepared_problem: ArcSwapOption<String>,
    superuser: ArcSwap<bool>,
}

/// The control connection at this moment.
pub(super) enum Link {
    /// There is none, and why.
    Down(String),
    /// There is one.
    Up {
        client: Client,
        peer: SocketAddr,
        asked_for_password: bool,
        offers: Offers,
        down: Arc<Mutex<HashSet<SocketAddr>>>,
    },
}

/// A cluster's health, for the status page and for log-ins.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Is the control connection up and the schema cache fresh?
    pub healthy: bool,
    /// What is wrong, or what is known.
    pub detail: String,
    /// Cassandra's release, or empty.
    pub release: String,
    /// Tables and views that the schema cache knows.
    pub tables: usize,
    /// Warm upstream connections.
    pub warm: usize,
}

/// Both ends of what flows between the parts of one cluster.
pub(super) struct Ends {
    pub(super) told: mpsc::Receiver<Told>,
    pub(super) refreshes: mpsc::Receiver<Refresh>,
}

impl Shared {
    pub(super) fn new(name: &str, username: &str, metrics: Arc<ClusterMetrics>) -> (Arc<Self>, Ends) {
        let (told, receive_told) = mpsc::channel(limits::CONTROL_EVENTS);
        let (refreshes, receive_refreshes) = mpsc::channel(limits::CONTROL_EVENTS);
        let client: Arc<ArcSwapOption<Client>> = Arc::default();
        let username: Arc<str> = username.into();
        let shared = Arc::new(Self {
            name: name.into(),
            roles: Roles::new(username.clone(), client.clone()),
            username,
            metrics,
            schema: ArcSwap::default(),
            generation: AtomicU64::new(0),
            generations: watch::Sender::new(0),
            local: ArcSwap::default(),
            cql_version: ArcSwap::from_pointee("3.4.0".to_owned()),
            link: ArcSwap::from_pointee(Link::Down("connecting".into())),
            client: client.clone(),
            reconciled: Mutex::new(None),
            events: broadcast::Sender::new(limits::SCHEMA_EVENTS),
            told,
            refreshes,
            names: Guard::new(limits::LOOKUPS_PER_SECOND, limits::LOOKUP_NEGATIVE),
            prepared: PreparedIds::new(client),
            prepared_problem: ArcSwapOption::default(),
            superuser: ArcSwap::default(),
        });
        (shared, Ends { told: receive_told, refreshes: receive_refreshes })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn username(&self) -> &str {
        &self.username
    }

    pub(super) fn metrics(&self) -> &ClusterMetrics {
        &self.metrics
    }

    pub(super) const fn roles(&self) -> &Roles {
        &self.roles
    }

    pub(super) const fn prepared(&self) -> &PreparedIds {
        &self.prepared
    }

    pub(super) fn snapshot(&self) -> Arc<SchemaSnapshot> {
        self.schema.load_full()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<SchemaChange> {
        self.events.subscribe()
    }

    pub(super) fn local(&self) -> Arc<LocalRow> {
        self.local.load_full()
    }

    pub(super) fn cql_version(&self) -> Arc<String> {
        self.cql_version.load_full()
    }

    // === Written by the control task only ===

    /// Publishes a reading, if it says anything new. It shares with the snapshot what has not changed; the
    /// node's own row was published before it.
    pub(super) fn publish(&self, keyspaces: Keyspaces) {
        let before = self.schema.load();
        let release = self.local.load().text("release_version").and_then(Release::of_version);
        let release = release.unwrap_or_default();
        if before.generation() != 0 && before.release() == release && is_same(before.keyspaces(), &keyspaces)
        {
            return;
        }
        let next = SchemaSnapshot::new(before.generation() + 1, release, keyspaces);
        let generation = next.generation();
        self.metrics.schema_tables.set(i64::try_from(next.tables()).unwrap_or(i64::MAX));
        self.schema.store(Arc::new(next));
        self.generation.store(generation, Ordering::Release);
        self.generations.send_replace(generation);
    }

    pub(super) fn publish_local(&self, row: LocalRow) {
        if **self.local.load() != row {
            self.local.store(Arc::new(row));
        }
    }

    pub(super) fn reconciled(&self) {
        *self.reconciled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        set_now(&self.metrics.schema_timestamp);
    }

    pub(super) fn connected(&self, link: Link, cql_version: String) {
        if let Link::Up { client, .. } = &link {
            self.client.store(Some(Arc::new(client.clone())));
        }
        self.cql_version.store(Arc::new(cql_version));
        self.link.store(Arc::new(link));
    }

    pub(super) fn disconnected(&self, reason: &str) {
        self.client.store(None);
        self.link.store(Arc::new(Link::Down(reason.to_owned())));
    }

    pub(super) fn note_prepared(&self, problem: Option<String>) {
        self.prepared_problem.store(problem.map(Arc::new));
        self.metrics.prepared_ids.set(i64::try_from(self.prepared.len()).unwrap_or(i64::MAX));
    }

    pub(super) fn note_superuser(&self, superuser: bool) {
        self.superuser.store(Arc::new(superuser));
    }

    /// Hands changes to [`announce`].
    pub(super) async fn tell(&self, told: Told) {
        // The announcer lives as long as the control task does.
        let _ = self.told.send(told).await;
    }

    // === Asked by sessions ===

    /// The control connection's client, as long as there is one.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client.load_full()
    }

    /// Could the cache not be made sure for longer than [`limits::SCHEMA_STALE`]?
    pub(super) fn is_stale(&self) -> bool {
        let reconciled = *self.reconciled.lock().unwrap_or_else(PoisonError::into_inner);
        reconciled.is_none_or(|at| at.elapsed() > limits::SCHEMA_STALE)
    }

    /// See [`super::Cluster::look_up_name`].
    pub(super) async fn look_up(&self, what: &LookUp) -> bool {
        let known = || what.is_in(&self.schema.load());
        if known() {
            return true;
        }
        if self.client.load().is_none() || !self.names.admits(what) {
            return false;
        }
        let refresh = self.refresh(what.keyspace(), what.part(), false);
        let refreshed = timeout(limits::NAME_LOOKUP, refresh).await == Ok(true);
        let known = known();
        if refreshed && !known {
            self.names.not_there(what.clone());
        }
        known
    }

    /// See [`super::Cluster::await_schema`].
    pub(super) async fn await_schema(&self, after: &SchemaChange) -> bool {
        let deadline = Instant::now() + limits::SCHEMA_AGREEMENT;
        // What is left of the time is for the reading: the cache must have it even if the nodes do not
        // come to agree.
        let agreed = timeout(limits::SCHEMA_AGREEMENT * 8 / 10, self.agreement()).await.is_ok();
        let refreshed = timeout_at(deadline, self.refresh(&after.keyspace, Part::of(after), true)).await;
        agreed && refreshed == Ok(true)
    }

    /// Has a part of a keyspace read anew.
    async fn refresh(&self, keyspace: &str, part: Part, changed: bool) -> bool {
        let (done, wait) = oneshot::channel();
        let refresh = Refresh { keyspace: keyspace.to_owned(), part, changed, done };
        self.refreshes.send(refresh).await.is_ok() && wait.await.is_ok()
    }

    /// Returns when all nodes that are up have one schema version. Callers bound it.
    pub(super) async fn agreement(&self) {
        let mut pause = Duration::from_millis(20);
        loop {
            match self.agreed_now().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(cluster = self.name(), %error, "schema agreement"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    async fn agreed_now(&self) -> Result<bool, ClientError> {
        let link = self.link.load_full();
        match &*link {
            Link::Down(_) => Ok(false),
            Link::Up { client, offers, down, .. } => {
                let down = down.lock().unwrap_or_else(PoisonError::into_inner).clone();
                read::agreed(client, *offers, &down).await
            }
        }
    }

    /// `warm` and `pool_problem` are the pools' part.
    pub(super) fn health(&self, warm: usize, pool_problem: Option<String>) -> Health {
        let local = self.local.load();
        let release = local.text("release_version").unwrap_or_default().to_owned();
        let stale = self.is_stale();
        let mut notes = Vec::new();
        let up = match &**self.link.load() {
            Link::Down(reason) => {
                notes.push(reason.clone());
                false
            }
            Link::Up { peer, asked_for_password, .. } => {
                notes.push(format!("control connection to {peer}, Cassandra {release}"));
                if !asked_for_password {
                    notes.push("the node asks for no password: set its authenticator".into());
                }
                if **self.superuser.load() {
                    notes.push("the service account is a superuser: give it only what it needs".into());
                }
                if let Some(problem) = self.prepared_problem.load_full() {
                    notes.push(format!("system.prepared_statements cannot be read: {problem}"));
                }
                true
            }
        };
        if stale {
            notes.push("the schema could not be read for too long".into());
        }
        notes.extend(pool_problem.map(|problem| format!("no new connections: {problem}")));
        self.metrics.prepared_ids.set(i64::try_from(self.prepared.len()).unwrap_or(i64::MAX));
        Health {
            healthy: up && !stale,
            detail: notes.join("; "),
            release,
            tables: self.schema.load().tables(),
            warm,
        }
    }
}

/// Tells clients of changes that the cache has, as soon as the nodes agree, or after
/// [`limits::SCHEMA_AGREEMENT`] all the same.
pub(super) async fn announce(shared: Arc<Shared>, mut told: mpsc::Receiver<Told>) {
    let mut batch = Vec::new();
    while told.recv_many(&mut batch, limits::CONTROL_EVENTS).await > 0 {
        if timeout(limits::SCHEMA_AGREEMENT, shared.agreement()).await.is_err() {
            tracing::warn!(cluster = shared.name(), "the nodes do not agree on the schema");
        }
        for change in batch.drain(..).flat_map(|told| told.changes) {
            // Nobody may be listening.
            let _ = shared.events.send(change);
        }
    }
}
