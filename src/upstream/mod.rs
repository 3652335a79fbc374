//! The upstream side: everything that speaks to a cluster's nodes with the service account.
//!
//! ```text
//! session ── lease() ────────> pool ─────> connections, one for one session, bytes untouched
//! session <─ schema(), .. ──── shared <─── control connection: schema, events, system.local
//! session ── prepared() ─────> what each prepared id means
//! ```
//!
//! A [`Cluster`] is one `[[cluster]]`. Nothing here knows sessions, people or policies.

mod backoff;
mod client;
mod connect;
mod control;
mod describe;
mod draft;
mod envelope;
mod lookup;
mod patch;
mod pool;
mod prepared;
mod read;
mod roles;
mod schema;
mod secret;
mod shared;
mod stream;
#[cfg(test)]
mod stub;
mod tables;
mod tls;
mod values;

use std::sync::Arc;

use cqlgate_protocol::cql::Role;
use cqlgate_protocol::wire::Version;
use cqlgate_protocol::wire::response::SchemaChange;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::config::model;
use crate::metrics::ClusterMetrics;
use connect::Connector;
use pool::Pool;
use shared::Shared;

pub use client::ClientError;
pub use connect::{ConnectError, ConnectReason, UpstreamError};
pub use cqlgate_protocol::wire::client::prepared_id;
pub use envelope::EnvelopeError;
pub use patch::LookUp;
pub use pool::{Lease, LeaseError};
pub use prepared::{BookError, Prepared, PreparedIds};
pub use read::LocalRow;
pub use roles::FoundIdentity;
pub use schema::SchemaSnapshot;
pub use secret::{Secret, SecretError};
pub use shared::Health;
pub use stream::Stream;
pub use tls::TlsError;

/// One cluster, as the rest of the process sees it. Dropping the last handle closes what nobody holds.
pub struct Cluster {
    warm: usize,
    v3: Pool,
    v4: Pool,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Cluster {
    /// Checks the configuration and starts connecting in the background. A cluster that is down is no
    /// error: it is tried again until it is there. Must be called inside a runtime.
    pub fn start(
        of: &model::Cluster,
        password: Secret,
        metrics: Arc<ClusterMetrics>,
    ) -> Result<Arc<Self>, UpstreamError> {
        let connector = Arc::new(Connector::new(of, password)?);
        let v3 = Pool::new(connector.clone(), Version::V3, metrics.clone());
        let v4 = Pool::new(connector.clone(), Version::V4, metrics.clone());
        let (shared, ends) = Shared::new(&of.name, &of.username, metrics);
        let tasks = [
            tokio::spawn(control::run(connector, shared.clone(), ends.refreshes)),
            tokio::spawn(shared::announce(shared.clone(), ends.told)),
        ];
        v4.keep_warm(of.warm_connections);
        Ok(Arc::new(Self { warm: of.warm_connections, v3, v4, shared, tasks }))
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// A connection of its own for one session, from the warm stock or fresh. The caller bounds the wait by
    /// [`crate::config::limits::LEASE`]. The first lease of v3 makes a warm stock of v3, too.
    pub async fn lease(&self, version: Version) -> Result<Lease, LeaseError> {
        match version {
            Version::V4 => self.v4.lease().await,
            Version::V3 => {
                self.v3.keep_warm(self.warm);
                self.v3.lease().await
            }
        }
    }

    /// The schema as it is known now; generation 0 knows nothing.
    pub fn schema(&self) -> Arc<SchemaSnapshot> {
        self.shared.snapshot()
    }

    /// The generation of [`Cluster::schema`]: one atomic load.
    pub fn schema_generation(&self) -> u64 {
        self.shared.generation()
    }

    /// Wakes at each new generation of the schema.
    pub fn schema_watch(&self) -> watch::Receiver<u64> {
        self.shared.generations()
    }

    /// Looks for a table or view that [`Cluster::schema`] does not know: [`Cluster::look_up_name`]. With an
    /// empty `table` it looks for the keyspace.
    pub async fn look_up(&self, keyspace: &str, table: &str) -> bool {
        let keyspace = keyspace.to_owned();
        self.look_up_name(&if table.is_empty() {
            LookUp::Keyspace(keyspace)
        } else {
            LookUp::Table { keyspace, table: table.to_owned() }
        })
        .await
    }

    /// Looks for a name that [`Cluster::schema`] does not know, on the node: that name is read, and no more
    /// (of a new keyspace, everything), once for all who ask at the same moment. `false`: there is none, or it
    /// could not be found out within [`crate::config::limits::NAME_LOOKUP`] or without asking more often than
    /// [`crate::config::limits::LOOKUPS_PER_SECOND`]; that there is none is believed for
    /// [`crate::config::limits::LOOKUP_NEGATIVE`], or until an event tells of it. What is found is in the next
    /// [`Cluster::schema`].
    pub async fn look_up_name(&self, what: &LookUp) -> bool {
        self.shared.look_up(what).await
    }

    /// Asks the cluster for a role, anew each time: a superuser is who is one, or was granted one.
    /// [`Role::Unreadable`] if it could not be found out within [`crate::config::limits::ROLE_LOOKUP`], or the
    /// service account lacks SELECT on `system_auth.roles`; never [`Role::NotAsked`].
    pub async fn look_up_role(&self, role: &str) -> Role {
        self.shared.roles().role(role).await
    }

    /// Asks the cluster which role an identity is bound to, anew each time and within the same bound.
    pub async fn look_up_identity(&self, identity: &str) -> FoundIdentity {
        self.shared.roles().identity(identity).await
    }

    /// The role that the gateway logs in with.
    pub fn own_role(&self) -> &str {
        self.shared.username()
    }

    /// Waits until the nodes agree on the schema and the cache has it, for the answer to a DDL statement.
    /// `false`: that was not so within [`crate::config::limits::SCHEMA_AGREEMENT`].
    pub async fn await_schema(&self, after: &SchemaChange) -> bool {
        self.shared.await_schema(after).await
    }

    /// Changes of the schema, each told when the cache has it and the nodes agree.
    pub fn schema_events(&self) -> broadcast::Receiver<SchemaChange> {
        self.shared.events()
    }

    /// The node's own row of `system.local`; empty before the first connection.
    pub fn local_row(&self) -> Arc<LocalRow> {
        self.shared.local()
    }

    /// The version of CQL that the nodes speak, for SUPPORTED.
    pub fn cql_version(&self) -> Arc<String> {
        self.shared.cql_version()
    }

    /// Has the schema not been read for longer than [`crate::config::limits::SCHEMA_STALE`], or never? Then
    /// no verdict may be built on it.
    pub fn stale(&self) -> bool {
        self.shared.is_stale()
    }

    /// How the cluster is.
    pub fn health(&self) -> Health {
        let problem = self.v4.failure().or_else(|| self.v3.failure()).map(|failure| failure.to_string());
        self.shared.health(self.v4.warm() + self.v3.warm(), problem)
    }

    /// What prepared ids mean.
    pub fn prepared(&self) -> &PreparedIds {
        self.shared.prepared()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let good = stub::cluster("127.0.0.1:9042".parse().unwrap(), 1);
        let refused = |change: fn(&mut model::Cluster), password: &str| {
            let mut of = good.clone();
            change(&mut of);
            Connector::new(&of, Secret::new(password)).err().map(|error| error.to_string())
        };
        assert_eq!(refused(|_| (), "pw"), None);
        for (change, password, says) in [
            ((|of| of.contact_points.clear()) as fn(&mut model::Cluster), "pw", "contact_points is empty"),
            (|of| of.contact_points = vec!["node".into()], "pw", "'node' is not"),
            (|of| of.contact_points = vec!["10.0.0.1:9042".into()], "pw", "in clear"),
            (|of| of.contact_points = vec!["[2001:db8::1]:9042".into()], "pw", "in clear"),
            (|_| (), "", "empty or holds a NUL"),
            (|_| (), "a\0b", "empty or holds a NUL"),
            (|of| of.username = "a\0b".into(), "pw", "empty or holds a NUL"),
        ] {
            let error = refused(change, password).expect(says);
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(
            refused(
                |of| {
                    of.contact_points = vec!["10.0.0.1:9042".into()];
                    of.upstream_plaintext = true;
                },
                "pw"
            ),
            None
        );
    }
}
