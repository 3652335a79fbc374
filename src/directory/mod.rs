//! People and groups: what identity providers pushed, durable in a store, in memory for everybody who reads.
//!
//! In: writes of `scim`, the names that policies use. Out: immutable [`State`] snapshots, one a commit,
//! and a [`Change`] for every commit that moves somebody's rights.
//!
//! The order of a write: evaluated on the newest state; COMMIT, on the disk; published; every
//! [`Subscriber`] acknowledged; only then the caller has its answer.

mod draft;
pub mod filter;
mod names;
mod publisher;
pub mod schema;
mod sqlite;
pub mod state;
pub mod store;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot};

pub use draft::{Conflict, Draft, MemberChange};
pub use names::fold;
pub use state::{Group, Id, Namespace, PinKind, PinName, State, User};

use publisher::{Message, Publisher, Task};
use sqlite::Sqlite;
use store::Store;

use crate::config::limits;
use crate::metrics::Metrics;

/// The directory. Clones are handles to the same one; the last to go ends the writer.
#[derive(Clone)]
pub struct Directory {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Message>,
}

/// What handles and the writer share.
struct Shared {
    current: ArcSwap<State>,
    subscribers: ArcSwap<Vec<Arc<dyn Subscriber>>>,
    degraded: ArcSwapOption<Arc<str>>,
    metrics: ArcSwapOption<Metrics>,
}

/// A commit that moved somebody's rights.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state before.
    pub old: Arc<State>,
    /// The state that is in force now: [`Directory::snapshot`] gives it, or a newer one.
    pub new: Arc<State>,
    /// Identity and id of each user whose epoch moved, or who is gone.
    pub people: Vec<(Arc<str>, Id)>,
    /// When the commit was durable.
    pub committed_at: Instant,
}

/// Somebody who has to act on a change before it may be called done.
pub trait Subscriber: Send + Sync + 'static {
    /// The future ends when every open session that the change affects writes no more under the old
    /// state, or was shut; the implementer bounds how long that takes. Called in the order of commits;
    /// futures of several commits may run at once. No write is answered before it.
    fn published(&self, change: Change) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A write that is durable and enforced.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// What the write returned.
    pub value: T,
    /// The state that holds it.
    pub state: Arc<State>,
}

/// Why a write was not done.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The write itself said no. Nothing was changed.
    #[error("{0}")]
    Refused(E),
    /// The store did not take it (disk full, for one), or nobody could say that it is enforced. Try again
    /// later.
    #[error("the directory cannot be written at the moment: {0}")]
    Unavailable(Arc<str>),
    /// The writer failed on it, or is gone.
    #[error("the directory's writer failed")]
    Failed,
}

/// Why the directory cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Reading or writing failed.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
    /// Another gateway has it open.
    #[error("{path}: another cqlgate uses this folder", path = .0.display())]
    InUse(PathBuf),
    /// The file is no directory of cqlgate.
    #[error(
        "{path} was not made by cqlgate; move it away, or name another folder in [directory] path",
        path = .0.display()
    )]
    Foreign(PathBuf),
    /// The file was made by another version.
    #[error("{path} has version {version}, which this cqlgate does not know; use the cqlgate that wrote it", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({detail}); put back a copy of it, or move it away and let the identity providers push anew",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Not called from within a tokio runtime.
    #[error("the directory needs a tokio runtime")]
    NoRuntime,
    /// The store did not take a write, or the writer is gone.
    #[error("the directory cannot be written at the moment: {0}")]
    Unavailable(Arc<str>),
}

impl Directory {
    /// Opens the directory in the folder `path` (made if it is missing) with the namespaces of
    /// `identities`, and starts its writer. Reads all of it, so it takes a moment; call it from within a
    /// tokio runtime.
    pub fn open(path: &Path, identities: &[String]) -> Result<Self, DirectoryError> {
        let store = Sqlite::open(path, identities)?;
        Self::with_store(store).map_err(|error| match error {
            DirectoryError::Damaged { detail, .. } => {
                DirectoryError::Damaged { path: path.join("directory.sqlite3"), detail }
            }
            other => other,
        })
    }

    fn with_store(mut store: impl Store) -> Result<Self, DirectoryError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| DirectoryError::NoRuntime)?;
        let state = store
            .load()
            .map_err(|error| DirectoryError::Damaged { path: PathBuf::new(), detail: error.to_string() })?;
        let shared = Arc::new(Shared {
            current: ArcSwap::from_pointee(state),
            subscribers: ArcSwap::from_pointee(Vec::new()),
            degraded: ArcSwapOption::empty(),
            metrics: ArcSwapOption::empty(),
        });
        let (queue, messages) = mpsc::channel(limits::SCIM_QUEUE);
        let publisher = Publisher::new(store, shared.clone(), runtime);
        std::thread::Builder::new()
            .name("directory".into())
            .spawn(move || publisher.run(messages))
            .map_err(|error| DirectoryError::Io { path: PathBuf::from("directory thread"), error })?;
        Ok(Self { shared, queue })
    }

    /// The newest published state.
    pub fn snapshot(&self) -> Arc<State> {
        self.shared.current.load_full()
    }

    /// Adds somebody who has to acknowledge changes from now on.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.shared.subscribers.rcu(move |known| {
            let mut all = Vec::clone(known);
            all.push(subscriber.clone());
            all
        });
    }

    /// Why the last write failed, if it did: reads go on from the last state.
    pub fn degraded(&self) -> Option<Arc<str>> {
        self.shared.degraded.load_full().map(|reason| Arc::clone(&*reason))
    }

    /// Counts commits there from now on.
    pub fn measure(&self, metrics: Arc<Metrics>) {
        self.shared.metrics.store(Some(metrics));
    }

    /// Runs `evaluate` on the newest state, alone and in order, and waits until what it drafted is
    /// durable and enforced. An `Err` of it changes nothing. It may run more than once, each time on a
    /// fresh draft, and must not block.
    pub async fn write<T, E, F>(&self, evaluate: F) -> Result<Written<T>, WriteError<E>>
    where
        F: FnMut(&mut Draft) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let task = Task { evaluate, verdict: None, caller };
        self.queue.send(Message::Write(Box::new(task))).await.map_err(|_| WriteError::Failed)?;
        answer.await.unwrap_or(Err(WriteError::Failed))
    }

    /// Tells the names that policies use, all of them. A name that somebody has now, or has first later,
    /// is pinned to their id for good; the pin of a name that is not among `names` is forgotten. Ends when
    /// that is durable and enforced.
    pub async fn watch_names(&self, names: Vec<PinName>) -> Result<(), DirectoryError> {
        let (caller, answer) = oneshot::channel();
        let gone = || DirectoryError::Unavailable("the writer is gone".into());
        let names = names.into_iter().collect();
        self.queue.send(Message::Watch(names, caller)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(DirectoryError::Unavailable)
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("seq", &self.snapshot().seq).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
