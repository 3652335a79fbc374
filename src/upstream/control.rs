//! The control connection: one for each cluster, tried again for ever, keeping the schema cache current.
//!
//! ```text
//! connect ─> REGISTER ─> read everything ─> publish ─┐
//!    ^                                               v
//!    │      ┌─ event SCHEMA_CHANGE ─> read what it names ─> publish ─> tell who waits
//!    │      ├─ event STATUS_CHANGE ─> who is down
//!    │      ├─ somebody asks for a name ─> read it ─> publish ─> tell them
//!    │      ├─ every SCHEMA_RECONCILE: read everything, beside all this, if it may have changed
//!    └──────┴─ every CONTROL_HEARTBEAT: OPTIONS; no answer, or any failure: from the start
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cqlgate_protocol::wire::Version;
use cqlgate_protocol::wire::response::{Event, SchemaChange};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::backoff::{Backoff, jittered};
use super::client::{Client, ClientError};
use super::connect::{ConnectError, Connector};
use super::draft::{Draft, Interner};
use super::patch::{Part, differences};
use super::read;
use super::schema::{Keyspace, Keyspaces};
use super::shared::{Link, Shared, Told};
use super::tables::{self, Offers, Reading};
use crate::config::limits;

/// Why a control connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// It could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node does not speak v4.
    #[error("the node does not offer protocol version 4, but {0}")]
    Version(String),
    /// It closed, or sent something that is no answer.
    #[error("the control connection ended")]
    Ended,
}

/// Somebody wants a part of a keyspace read now.
pub(super) struct Refresh {
    pub(super) keyspace: String,
    pub(super) part: Part,
    /// The schema is known to have changed there.
    pub(super) changed: bool,
    pub(super) done: oneshot::Sender<()>,
}

/// Connects, serves, and starts again, until the cluster is dropped.
pub(super) async fn run(
    connector: Arc<Connector>,
    shared: Arc<Shared>,
    mut refreshes: mpsc::Receiver<Refresh>,
) {
    let mut backoff = Backoff::new(limits::UPSTREAM_BACKOFF_FIRST, limits::UPSTREAM_BACKOFF_LONGEST);
    loop {
        let Err(error) = serve(&connector, &shared, &mut refreshes, &mut backoff).await;
        shared.disconnected(&error.to_string());
        tracing::warn!(cluster = shared.name(), %error, "no control connection");
        let refused = matches!(&error, ControlError::Connect(error) if error.is_refusal());
        let wait = if refused { jittered(limits::UPSTREAM_REFUSED_PAUSE * 2) } else { backoff.failed() };
        shared.metrics().upstream_connect(if refused { "refused" } else { "failed" });
        sleep(wait).await;
    }
}

/// One control connection, from connecting to its end.
async fn serve(
    connector: &Connector,
    shared: &Arc<Shared>,
    refreshes: &mut mpsc::Receiver<Refresh>,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, ControlError> {
    let connected = connector.connect(Version::V4).await?;
    let (peer, asked_for_password) = (connected.peer, connected.asked_for_password);
    let (client, events) = Client::new(connected.stream);
    let cql_version = supports(&client).await?;
    // Before anything is read, so that no change falls between.
    client.register(&["SCHEMA_CHANGE", "STATUS_CHANGE", "TOPOLOGY_CHANGE"]).await?;
    let down = Arc::new(Mutex::new(HashSet::new()));
    let offers = tables::offers(&client).await?;
    let mut control = Control {
        client: client.clone(),
        shared: shared.clone(),
        offers,
        interner: Interner::default(),
        down,
        complete: None,
        reconciling: JoinSet::new(),
        meanwhile: Wanted::new(),
    };
    let waiting = drain(refreshes);
    let read = control.everything().await;
    control.reconciled(read).await?;
    for refresh in waiting {
        // Whoever gave up does not hear it.
        let _ = refresh.done.send(());
    }
    let link =
        Link::Up { client: client.clone(), peer, asked_for_password, offers, down: control.down.clone() };
    shared.connected(link, cql_version);
    shared.metrics().upstream_connect("ok");
    backoff.reset();
    tracing::info!(cluster = shared.name(), %peer, "control connection");
    let refill = tokio::spawn(refill(client, shared.clone()));
    let ended = control.follow(events, refreshes).await;
    refill.abort();
    ended
}

/// The refreshes that wait now; a reading of everything that starts after this answers them.
fn drain(refreshes: &mut mpsc::Receiver<Refresh>) -> Vec<Refresh> {
    let mut waiting = Vec::new();
    while let Ok(refresh) = refreshes.try_recv() {
        waiting.push(refresh);
    }
    waiting
}

/// Does the node offer v4? Returns the version of CQL that it speaks.
async fn supports(client: &Client) -> Result<String, ControlError> {
    let options: HashMap<String, Vec<String>> =
        client.options(limits::CONTROL_QUERY).await?.into_iter().collect();
    if let Some(versions) = options.get("PROTOCOL_VERSIONS")
        && !versions.iter().any(|version| version.starts_with("4/"))
    {
        return Err(ControlError::Version(versions.join(", ")));
    }
    let cql = options.get("CQL_VERSION").and_then(|versions| versions.first());
    Ok(cql.cloned().unwrap_or_else(|| "3.4.0".to_owned()))
}

/// What is learnt from a node beside its schema: the statements that are prepared there, and whether the
/// service account may more than it should.
async fn refill(client: Client, shared: Arc<Shared>) {
    let role: &[&[u8]] = &[shared.username().as_bytes()];
    // Only a superuser, or somebody who was given it, may read this: a refusal is good news.
    let query = "SELECT is_superuser FROM system_auth.roles WHERE role = ?";
    let superuser = client.query(query, role).await.is_ok_and(|table| {
        table.rows.first().and_then(|row| row.first()).is_some_and(|value| value.as_deref() == Some(&[1]))
    });
    shared.note_superuser(superuser);
    match shared.prepared().refill(&client).await {
        Ok(booked) => tracing::debug!(cluster = shared.name(), booked, "prepared statements of the node"),
        Err(error) => {
            shared.note_prepared(Some(error.to_string()));
            tracing::warn!(
                cluster = shared.name(),
                %error,
                "system.prepared_statements cannot be read: drivers will have to prepare again; \
                 GRANT SELECT ON system.prepared_statements TO the service account"
            );
            return;
        }
    }
    shared.note_prepared(None);
}

/// One connection's state.
struct Control {
    client: Client,
    shared: Arc<Shared>,
    offers: Offers,
    interner: Interner,
    /// Nodes that were said to be down.
    down: Arc<Mutex<HashSet<SocketAddr>>>,
    /// The node's schema version, if the cache was read as a whole at that version and nothing has happened
    /// since.
    complete: Option<Vec<u8>>,
    /// A reading of everything that goes on beside the rest: it takes seconds where there are many tables.
    reconciling: JoinSet<Result<Everything, ClientError>>,
    /// What was read while that goes on, to be read again on top of it.
    meanwhile: Wanted,
}

/// A reading of everything.
struct Everything {
    draft: Draft,
    /// The node's schema version, if it was the same before and after.
    version: Option<Vec<u8>>,
}

/// Parts to be read, by keyspace.
type Wanted = BTreeMap<String, BTreeSet<Part>>;

/// What came in and is answered together: what to read, with who waits for it and what to tell.
#[derive(Default)]
struct Batch {
    wanted: Wanted,
    waiting: Vec<oneshot::Sender<()>>,
    changes: Vec<SchemaChange>,
    /// The schema is known to have changed.
    changed: bool,
}

impl Batch {
    fn want(&mut self, keyspace: String, part: Part) {
        self.wanted.entry(keyspace).or_default().insert(part);
    }
}

impl Control {
    async fn follow(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        refreshes: &mut mpsc::Receiver<Refresh>,
    ) -> Result<std::convert::Infallible, ControlError> {
        let mut heartbeat = ticks(limits::CONTROL_HEARTBEAT);
        let mut reconcile = ticks(jittered(limits::SCHEMA_RECONCILE));
        loop {
            let mut batch = Batch::default();
            tokio::select! {
                event = events.recv() => {
                    self.note(event.ok_or(ControlError::Ended)?, &mut batch);
                    while let Ok(event) = events.try_recv() {
                        self.note(event, &mut batch);
                    }
                }
                refresh = refreshes.recv() => {
                    // The cluster is gone when this ends, and this task with it.
                    let refresh = refresh.ok_or(ControlError::Ended)?;
                    for refresh in std::iter::once(refresh).chain(drain(refreshes)) {
                        batch.changed |= refresh.changed;
                        batch.want(refresh.keyspace, refresh.part);
                        batch.waiting.push(refresh.done);
                    }
                }
                _ = heartbeat.tick() => {
                    self.client.options(limits::CONTROL_HEARTBEAT_ANSWER).await?;
                }
                _ = reconcile.tick() => self.reconcile().await?,
                Some(read) = self.reconciling.join_next(), if !self.reconciling.is_empty() => {
                    let read = read.map_err(|_| ControlError::Ended)?;
                    self.reconciled(read).await?;
                }
            }
            self.answer(batch).await?;
        }
    }

    fn note(&self, event: Event, batch: &mut Batch) {
        match event {
            Event::Schema(change) => {
                batch.want(change.keyspace.clone(), Part::of(&change));
                batch.changed = true;
                batch.changes.push(change);
            }
            Event::Status { up, node } => {
                let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
                if up {
                    down.remove(&node);
                } else {
                    down.insert(node);
                }
            }
            // A node that is gone has no row among the peers, one that is new is up.
            Event::Topology { node, .. } => {
                self.down.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
            }
        }
    }

    /// Reads what a batch asks for, publishes it, and tells who waits.
    async fn answer(&mut self, batch: Batch) -> Result<(), ControlError> {
        if batch.wanted.is_empty() {
            return Ok(());
        }
        if batch.wanted.len() > limits::CONTROL_KEYSPACES {
            self.reconciling = JoinSet::new();
            self.meanwhile.clear();
            let read = self.everything().await;
            let keyspaces = self.adopt(read).await?;
            self.shared.publish(keyspaces);
        } else {
            let mut keyspaces = self.shared.snapshot().keyspaces().clone();
            self.read_parts(&mut keyspaces, &batch.wanted).await?;
            self.shared.publish(keyspaces);
            if !self.reconciling.is_empty() {
                for (keyspace, parts) in batch.wanted {
                    self.meanwhile.entry(keyspace).or_default().extend(parts);
                }
            }
        }
        if batch.changed {
            self.complete = None;
            // The node's schema version has moved with it.
            let local = read::local(&self.client).await;
            self.shared.publish_local(self.counted(local)?);
        }
        for waiting in batch.waiting {
            // Whoever gave up does not hear it.
            let _ = waiting.send(());
        }
        if !batch.changes.is_empty() {
            self.shared.tell(Told { changes: batch.changes }).await;
        }
        Ok(())
    }

    /// Reads parts of keyspaces again and puts them in the place of the old ones.
    async fn read_parts(&mut self, keyspaces: &mut Keyspaces, wanted: &Wanted) -> Result<(), ControlError> {
        for (name, parts) in wanted {
            let read = self.read_parts_of(keyspaces, name, parts).await;
            self.counted(read)?;
        }
        Ok(())
    }

    async fn read_parts_of(
        &mut self,
        keyspaces: &mut Keyspaces,
        name: &str,
        parts: &BTreeSet<Part>,
    ) -> Result<(), ClientError> {
        let known = keyspaces.get(name).cloned();
        let is_whole = known.as_ref().is_none_or(|known| {
            let most = known.relations.size() / limits::CONTROL_TABLES_A_PART;
            parts.contains(&Part::Whole) || parts.len() > most.max(limits::CONTROL_PARTS)
        });
        if (is_whole || parts.contains(&Part::Existence))
            && !tables::exists(&self.client, self.offers, name).await?
        {
            keyspaces.remove_mut(name);
            return Ok(());
        }
        match known {
            // Only another release of the node has other ones.
            Some(known) if known.is_virtual => {}
            Some(known) if !is_whole => {
                let mut keyspace = Keyspace::clone(&known);
                let mut changed = false;
                for part in parts {
                    let keyspace = (name, &mut keyspace);
                    changed |=
                        tables::patch(&self.client, self.offers, &mut self.interner, keyspace, part).await?;
                }
                if changed {
                    keyspaces.insert_mut(name.into(), Arc::new(keyspace));
                }
            }
            known => {
                let reading = Reading::new(&self.client, self.offers, std::mem::take(&mut self.interner));
                let draft = reading.keyspace(name).await?;
                let before = known.clone();
                let own_name = name.to_owned();
                // It may hold 100,000 tables.
                let built = spawn_blocking(move || draft.build_one(&own_name, before.as_deref())).await;
                let (keyspace, interner) = built.map_err(|_| ClientError::Closed("building".into()))?;
                self.interner = interner;
                if known.as_deref() != Some(&keyspace) {
                    keyspaces.insert_mut(name.into(), Arc::new(keyspace));
                }
            }
        }
        Ok(())
    }

    /// Makes sure of the cache, whatever was missed: reads everything beside what else there is to do, unless
    /// nothing has happened since that was done last.
    async fn reconcile(&mut self) -> Result<(), ControlError> {
        if !self.reconciling.is_empty() {
            return Ok(());
        }
        let version = read::own_version(&self.client).await;
        let version = self.counted(version)?;
        if self.complete.as_ref() == Some(&version) {
            self.shared.reconciled();
        } else {
            self.meanwhile.clear();
            let (client, offers, interner) = (self.client.clone(), self.offers, self.interner.clone());
            self.reconciling.spawn(everything(client, offers, interner));
        }
        Ok(())
    }

    /// Takes over a reading of everything; tells what had been missed.
    async fn reconciled(&mut self, read: Result<Everything, ClientError>) -> Result<(), ControlError> {
        let local = read::local(&self.client).await;
        let local = self.counted(local)?;
        let keyspaces = self.adopt(read).await?;
        let before = self.shared.snapshot();
        let changes =
            if before.generation() == 0 { Vec::new() } else { differences(before.keyspaces(), &keyspaces) };
        self.shared.publish_local(local);
        self.shared.publish(keyspaces);
        self.shared.reconciled();
        if !changes.is_empty() {
            self.shared.tell(Told { changes }).await;
        }
        Ok(())
    }

    async fn everything(&self) -> Result<Everything, ClientError> {
        everything(self.client.clone(), self.offers, self.interner.clone()).await
    }

    /// What was read, and on top of it what was read meanwhile.
    async fn adopt(&mut self, read: Result<Everything, ClientError>) -> Result<Keyspaces, ControlError> {
        let Everything { draft, version } = self.counted(read)?;
        let before = self.shared.snapshot();
        // 100,000 tables take a thread for a while.
        let built = spawn_blocking(move || draft.build(before.keyspaces())).await;
        let (mut keyspaces, interner) = built.map_err(|_| ControlError::Ended)?;
        self.interner = interner;
        self.interner.prune();
        let meanwhile = std::mem::take(&mut self.meanwhile);
        self.complete = version.filter(|_| meanwhile.is_empty());
        self.read_parts(&mut keyspaces, &meanwhile).await?;
        Ok(keyspaces)
    }

    fn counted<T>(&self, read: Result<T, ClientError>) -> Result<T, ClientError> {
        self.shared.metrics().schema_refresh(if read.is_ok() { "ok" } else { "failed" });
        read
    }
}

async fn everything(client: Client, offers: Offers, interner: Interner) -> Result<Everything, ClientError> {
    let before = read::own_version(&client).await?;
    let draft = Reading::new(&client, offers, interner).everything().await?;
    let after = read::own_version(&client).await?;
    Ok(Everything { draft, version: (before == after).then_some(after) })
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use cqlgate_protocol::wire::{Opcode, Writer};

    use super::super::Cluster;
    use super::super::secret::Secret;
    use super::super::stub::{Does, Stub, cluster};
    use super::*;
    use crate::metrics::Metrics;

    const SOON: Duration = Duration::from_secs(20);

    async fn detail_until(cluster: &Cluster, says: &str) {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let said = tokio::time::timeout(SOON, async {
            while !cluster.health().detail.contains(says) {
                look.tick().await;
            }
        });
        said.await.unwrap_or_else(|_| panic!("never said '{says}', but {:?}", cluster.health()));
    }

    fn start(stub: &Stub) -> Arc<Cluster> {
        let metrics = Metrics::new().cluster("stub");
        Cluster::start(&cluster(stub.address, 0), Secret::new("pw"), metrics).unwrap()
    }

    #[tokio::test]
    async fn a_node_that_does_not_offer_v4() {
        let stub = Stub::start(|asked| match asked.opcode {
            Opcode::Options => Does::Say(
                Writer::response(asked.version, asked.stream, Opcode::Supported)
                    .short(1)
                    .string("PROTOCOL_VERSIONS")
                    .string_list(&["5/v5", "6/v6-beta"])
                    .finish(),
            ),
            _ => Does::AsANode,
        })
        .await;
        let cluster = start(&stub);
        detail_until(&cluster, "does not offer protocol version 4, but 5/v5, 6/v6-beta").await;
        assert!(!cluster.health().healthy && cluster.stale() && cluster.schema().generation() == 0);
    }

    #[tokio::test]
    async fn a_node_that_closes_instead_of_answering() {
        let stub = Stub::start(|asked| match asked.opcode {
            Opcode::Query => Does::Cut,
            _ => Does::AsANode,
        })
        .await;
        let cluster = start(&stub);
        detail_until(&cluster, "is gone").await;
        // It is tried again, and leases do not depend on it.
        tokio::time::timeout(SOON, stub.log_ins(2)).await.unwrap();
        assert!(cluster.lease(Version::V4).await.is_ok());
        assert!(!cluster.look_up("k", "t").await);
    }
}
