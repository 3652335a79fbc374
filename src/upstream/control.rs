//! The control connection: one for each cluster, tried again for ever, keeping the schema cache current.
//!
//! ```text
//! connect ─> REGISTER ─> read everything ─> publish ─┐
//!    ^                                               v
//!    │      ┌─ event SCHEMA_CHANGE ─> read its keyspace ─> publish ─> tell who waits
//!    │      ├─ event STATUS_CHANGE ─> who is down
//!    │      ├─ somebody asks for a keyspace ─> read it ─> publish ─> tell them
//!    │      ├─ every SCHEMA_RECONCILE: read everything
//!    └──────┴─ every CONTROL_HEARTBEAT: OPTIONS; no answer, or any failure: from the start
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cqlgate_protocol::wire::Version;
use cqlgate_protocol::wire::response::{Event, SchemaChange};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::backoff::{Backoff, jittered};
use super::client::{Client, ClientError};
use super::connect::{ConnectError, Connector};
use super::read::{self, Release};
use super::schema::{Keyspaces, differences};
use super::shared::{Link, Shared, Told};
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

/// Somebody wants a keyspace read now.
pub(super) struct Refresh {
    pub(super) keyspace: String,
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
    let mut control =
        Control { client: client.clone(), shared: shared.clone(), release: Release::default(), down };
    let waiting = drain(refreshes);
    control.reconcile().await?;
    for refresh in waiting {
        // Whoever gave up does not hear it.
        let _ = refresh.done.send(());
    }
    let link = Link::Up {
        client: client.clone(),
        peer,
        asked_for_password,
        release: control.release,
        down: control.down.clone(),
    };
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
    release: Release,
    /// Nodes that were said to be down.
    down: Arc<Mutex<HashSet<SocketAddr>>>,
}

/// What came in and is answered together: the keyspaces to read, with who waits for them and what to tell.
#[derive(Default)]
struct Batch {
    keyspaces: BTreeMap<String, Vec<oneshot::Sender<()>>>,
    changes: Vec<SchemaChange>,
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
                        batch.keyspaces.entry(refresh.keyspace).or_default().push(refresh.done);
                    }
                }
                _ = heartbeat.tick() => {
                    self.client.options(limits::CONTROL_HEARTBEAT_ANSWER).await?;
                }
                _ = reconcile.tick() => self.reconcile().await?,
            }
            self.answer(batch).await?;
        }
    }

    fn note(&self, event: Event, batch: &mut Batch) {
        match event {
            Event::Schema(change) => {
                batch.keyspaces.entry(change.keyspace.clone()).or_default();
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
    async fn answer(&self, batch: Batch) -> Result<(), ControlError> {
        if batch.keyspaces.is_empty() {
            return Ok(());
        }
        if batch.keyspaces.len() > limits::CONTROL_KEYSPACES {
            let (keyspaces, _) = self.read_everything().await?;
            self.shared.publish(keyspaces);
        } else {
            let mut keyspaces: Keyspaces = self.shared.snapshot().keyspaces().clone();
            for name in batch.keyspaces.keys() {
                let read = read::keyspace(&self.client, self.release, name).await;
                match self.counted(read)? {
                    Some(keyspace) => keyspaces.insert(name.clone(), Arc::new(keyspace)),
                    None => keyspaces.remove(name),
                };
            }
            self.shared.publish(keyspaces);
        }
        // The node's schema version has moved with it.
        let local = read::local(&self.client).await;
        self.shared.publish_local(self.counted(local)?);
        for waiting in batch.keyspaces.into_values().flatten() {
            // Whoever gave up does not hear it.
            let _ = waiting.send(());
        }
        if !batch.changes.is_empty() {
            self.shared.tell(Told { changes: batch.changes }).await;
        }
        Ok(())
    }

    /// Reads everything, so that the cache is right whatever was missed; tells what had been missed.
    async fn reconcile(&mut self) -> Result<(), ControlError> {
        let local = read::local(&self.client).await;
        let local = self.counted(local)?;
        let (keyspaces, release) = self.read_everything().await?;
        self.release = release;
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

    async fn read_everything(&self) -> Result<(Keyspaces, Release), ControlError> {
        let read = read::everything(&self.client).await;
        Ok(self.counted(read)?)
    }

    fn counted<T>(&self, read: Result<T, ClientError>) -> Result<T, ClientError> {
        self.shared.metrics().schema_refresh(if read.is_ok() { "ok" } else { "failed" });
        read
    }
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
