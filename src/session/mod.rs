//! A client's connection from its first byte to its last.
//!
//! ```text
//!   accept ── handshake ── relay ─┬─ requests: judge ── run ──> node        (lease, taken at the first run)
//!                                 └─ responses: hop  <───────── node
//! ```
//!
//! In: an accepted stream. Out: judged bytes to a node, answers to the client, audit events. One task owns
//! both directions; nothing is shared but snapshots.

mod audit;
mod facts;
mod handshake;
mod id_hash;
mod inbound;
mod inflight;
mod judge;
mod local;
mod missing;
mod outbound;
mod permits;
pub mod registry;
mod relay;
mod run;
mod shown;
mod statements;
mod step;
mod subjects;
mod traces;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tracing::{debug, info};

use crate::accept::Unauthenticated;
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::config::{limits, model};
use crate::directory::Directory;
use crate::metrics::{ClusterMetrics, Held};
use crate::policy::Policies;
use crate::tls::ClientStream;
use crate::upstream;
pub use permits::{Permits, Stamp};
pub use registry::{Registry, Revoker};
pub use statements::StatementCache;
pub use traces::Traces;

/// What every session of one cluster shares.
pub struct Context {
    /// The cluster's configured name.
    pub name: Arc<str>,
    /// Its part of the configuration.
    pub config: model::Cluster,
    /// Verifies tokens.
    pub authenticator: Arc<Authenticator>,
    /// People and groups.
    pub directory: Directory,
    /// The policies in force.
    pub policies: Arc<Policies>,
    /// The nodes.
    pub upstream: Arc<upstream::Cluster>,
    /// The audit log.
    pub audit: Audit,
    /// The open sessions.
    pub registry: Arc<Registry>,
    /// Classified texts, shared by all sessions.
    pub statements: StatementCache,
    /// Memory for large requests, in KiB, shared by the whole process.
    pub budget: Arc<Semaphore>,
    /// Whose traces there are.
    pub traces: Traces,
    /// Counters.
    pub metrics: Arc<ClusterMetrics>,
}

/// Serves one connection to its end. `waiting` is its place among those who have not logged in.
pub async fn serve(
    context: Arc<Context>,
    mut stream: ClientStream,
    client: SocketAddr,
    waiting: Unauthenticated,
    abort: AbortHandle,
) {
    let id = context.registry.number();
    let handshake = handshake::run(&context, &mut stream, id, client);
    let welcome = match tokio::time::timeout(limits::HANDSHAKE, handshake).await {
        Ok(Ok(welcome)) => welcome,
        Ok(Err(end)) => {
            debug!(session = id, %client, reason = %end, "connection ended before log-in");
            return;
        }
        Err(_) => {
            debug!(session = id, %client, "connection ended before log-in: it took too long");
            return;
        }
    };
    drop(waiting);
    let place = context.registry.enter(
        id,
        Arc::clone(&context.name),
        welcome.who.clone(),
        client,
        Arc::clone(&welcome.driver),
        Some(abort),
    );
    let _open = Held::new(&context.metrics.sessions_open);
    info!(session = id, %client, who = %welcome.who.principal(), driver = %welcome.driver, "logged in");
    let end = relay::run(&context, stream, welcome, client, &place).await;
    context.metrics.session_end(end.kind());
    info!(session = id, %client, reason = %end, "session ended");
}
