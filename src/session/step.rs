//! What a session waits for before it can look at the next envelope, and how sessions end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cqlgate_protocol::cql::Role;
use cqlgate_protocol::wire::response::SchemaChange;
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::Context;
use super::judge::Wait;
use crate::audit;
use crate::config::limits;
use crate::upstream::FoundIdentity;

/// Something to wait for; boxed, because it happens seldom.
pub(super) type Step<'s, T> = Pin<Box<dyn Future<Output = T> + Send + 's>>;

/// What a wait came to.
pub(super) enum Done {
    /// A name or an id was looked up; the envelope is judged again.
    LookedUp,
    /// What a role of Cassandra's is.
    Role(String, Role),
    /// What an identity is bound to.
    Identity(String, FoundIdentity),
    /// Name, partitioner and snitch of the cluster; `None`: it cannot be asked.
    Cluster(Option<[String; 3]>),
    /// An audit event found room; it is not recorded again for this envelope.
    Recorded(audit::Verdict, Option<String>),
    /// Memory for an envelope of this length.
    Budget(OwnedSemaphorePermit, usize),
    /// The process is at its end.
    Closed,
}

/// Waits for what an envelope needs to be judged.
pub(super) fn wait(context: &Context, wait: Wait) -> Step<'_, Done> {
    Box::pin(async move {
        match wait {
            Wait::LookUp(name) => {
                // Whether it is there is seen in the schema when the envelope is judged again.
                let _ = context.upstream.look_up_name(&name.into()).await;
                Done::LookedUp
            }
            Wait::Find(id) => {
                let _ = context.upstream.prepared().find(&id).await;
                Done::LookedUp
            }
            Wait::Role(name) => {
                let role = context.upstream.look_up_role(&name).await;
                Done::Role(name, role)
            }
            Wait::Identity(name) => {
                let identity = context.upstream.look_up_identity(&name).await;
                Done::Identity(name, identity)
            }
            Wait::DescribeCluster => Done::Cluster(context.upstream.describe_cluster().await),
            Wait::Record(event) => {
                let (verdict, reference) = (event.verdict, event.reference.clone());
                context.audit.record(*event).await;
                Done::Recorded(verdict, reference)
            }
        }
    })
}

/// Waits for memory for an envelope of `whole` bytes.
pub(super) fn budget(context: &Context, whole: usize) -> Step<'_, Done> {
    let kib = u32::try_from(whole.div_ceil(1024)).unwrap_or(u32::MAX);
    let budget = Arc::clone(&context.budget);
    Box::pin(async move {
        match budget.acquire_many_owned(kib).await {
            Ok(permit) => Done::Budget(permit, whole),
            Err(_) => Done::Closed,
        }
    })
}

/// Waits until the schema cache has a change and the nodes agree on it; then its answer may go.
pub(super) fn hold(
    context: &Context,
    change: SchemaChange,
    stream: i16,
    answer: Vec<u8>,
) -> Step<'_, (i16, Vec<u8>)> {
    Box::pin(async move {
        context.upstream.await_schema(&change).await;
        (stream, answer)
    })
}

/// Waits until the audit log has an event; then the answer that it is about may go.
pub(super) fn recorded(
    context: &Context,
    event: audit::Event,
    stream: i16,
    answer: Vec<u8>,
) -> Step<'_, (i16, Vec<u8>)> {
    Box::pin(async move {
        context.audit.record(event).await;
        (stream, answer)
    })
}

type Events = broadcast::Receiver<SchemaChange>;

/// Waits for the next change of the schema; one that was missed is made up for by the next.
pub(super) fn event(mut events: Events) -> Step<'static, (Events, Option<SchemaChange>)> {
    Box::pin(async move {
        match events.recv().await {
            Ok(change) => (events, Some(change)),
            Err(broadcast::error::RecvError::Lagged(_)) => (events, None),
            // The sender lives as long as the cluster does.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    })
}

/// Why a session ended. For the log and the metric; a client reads what its protocol says, or nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("closed by the client")]
    ClientClosed,
    #[error("the client's connection failed: {0}")]
    Client(std::io::Error),
    #[error("the node closed its connection")]
    NodeClosed,
    #[error("the node's connection failed: {0}")]
    Node(std::io::Error),
    #[error("the node broke the protocol: {0}")]
    NodeProtocol(String),
    #[error("the client broke the protocol: {0}")]
    Protocol(String),
    #[error("no connection to a node within {} s", limits::LEASE.as_secs())]
    NoLease,
    #[error("the directory says that this is no longer an active person with this token's subject")]
    Revoked,
    #[error("the token expired")]
    TokenExpired,
    #[error("the session reached its longest life")]
    LifeOver,
    #[error("a request was cut off: it had left in part when it was no longer permitted")]
    CutOff,
    #[error("a large request was not whole within {} s", limits::LARGE_REQUEST.as_secs())]
    Incomplete,
    #[error("a write made no progress for {} s", limits::WRITE_STALL.as_secs())]
    Stalled,
    #[error("the gateway is shutting down")]
    Shutdown,
}

impl End {
    /// The metric's label.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::Client(_) => "client_error",
            Self::NodeClosed => "node_closed",
            Self::Node(_) => "node_error",
            Self::NodeProtocol(_) => "node_protocol",
            Self::Protocol(_) => "client_protocol",
            Self::NoLease => "no_lease",
            Self::Revoked => "revoked",
            Self::TokenExpired => "token_expired",
            Self::LifeOver => "life_over",
            Self::CutOff => "cut_off",
            Self::Incomplete => "incomplete",
            Self::Stalled => "stalled",
            Self::Shutdown => "shutdown",
        }
    }

    /// Did the gateway decide it, so that the audit log says so?
    pub(super) fn is_decided(&self) -> bool {
        matches!(self, Self::Revoked | Self::CutOff | Self::TokenExpired | Self::LifeOver)
    }
}
