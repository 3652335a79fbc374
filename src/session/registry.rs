//! The open sessions of the process: who is connected, and how a commit of the directory reaches them.
//!
//! In: sessions come and go; commits of the directory. Out: sessions that have acknowledged, or are gone.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::auth::Authenticated;
use crate::config::limits;
use crate::directory::{Change, State, Subscriber};
use crate::metrics::Metrics;
use crate::principal::Principal;
use crate::status::SessionStatus;

/// What the registry knows of one open session, and by what it reaches it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) id: u64,
    cluster: Arc<str>,
    who: Authenticated,
    client: SocketAddr,
    driver: Arc<str>,
    since: OffsetDateTime,
    /// Counts the commits that concern this session's person. The session compares it before each write.
    revision: AtomicU64,
    /// The revision that the session has taken over: it writes no more under an older one.
    acknowledged: AtomicU64,
    closed: AtomicBool,
    /// Wakes the session.
    changed: Notify,
    /// Wakes whoever waits for the session.
    answered: Notify,
    abort: Mutex<Option<AbortHandle>>,
    pub(super) requests: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Handle {
    /// The newest revision; one atomic load.
    #[inline]
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The session has taken over `revision`: nothing is written under an older one from here on.
    pub(super) fn acknowledge(&self, revision: u64) {
        self.acknowledged.store(revision, Ordering::Release);
        self.answered.notify_waiters();
    }

    /// Resolves when something concerns this session.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.answered.notify_waiters();
    }

    /// Waits until the session has acknowledged `revision` or is closed.
    async fn settled(&self, revision: u64) {
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            // Registered before the check, so that an answer between the two is not missed.
            answered.as_mut().enable();
            if self.closed.load(Ordering::Acquire) || self.acknowledged.load(Ordering::Acquire) >= revision {
                return;
            }
            answered.await;
        }
    }

    /// Ends the session's task from outside; its sockets close with it.
    fn abort(&self) {
        if let Some(abort) = lock(&self.abort).take() {
            abort.abort();
        }
    }
}

/// A session's place in the registry; dropping it takes the session off.
#[derive(Debug)]
pub(super) struct Place {
    registry: Arc<Registry>,
    pub(super) handle: Arc<Handle>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&self.handle.id);
        self.handle.close();
    }
}

/// All open sessions.
#[derive(Debug)]
pub struct Registry {
    sessions: Mutex<HashMap<u64, Arc<Handle>>>,
    next: AtomicU64,
    metrics: Arc<Metrics>,
}

/// A poisoned lock is as good as any: what it guards is never left half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// No sessions yet.
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { sessions: Mutex::default(), next: AtomicU64::new(1), metrics })
    }

    /// A new session's number, for what is logged before it has a place.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives a session its place. It must look at the directory *after* this: a commit from now on reaches
    /// it, one before has been published.
    pub(super) fn enter(
        self: &Arc<Self>,
        id: u64,
        cluster: Arc<str>,
        who: Authenticated,
        client: SocketAddr,
        driver: Arc<str>,
        abort: Option<AbortHandle>,
    ) -> Place {
        let handle = Arc::new(Handle {
            id,
            cluster,
            who,
            client,
            driver,
            since: OffsetDateTime::now_utc(),
            revision: AtomicU64::new(1),
            acknowledged: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            changed: Notify::new(),
            answered: Notify::new(),
            abort: Mutex::new(abort),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        lock(&self.sessions).insert(id, Arc::clone(&handle));
        Place { registry: Arc::clone(self), handle }
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Is none open?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn handles(&self, keep: impl Fn(&Handle) -> bool) -> Vec<Arc<Handle>> {
        lock(&self.sessions).values().filter(|handle| keep(handle)).map(Arc::clone).collect()
    }

    /// The open sessions, for the status page.
    pub fn status(&self, directory: &State) -> Vec<SessionStatus> {
        let mut sessions: Vec<_> =
            self.handles(|_| true).iter().map(|handle| session_status(handle, directory)).collect();
        sessions.sort_by_key(|session| session.id);
        sessions
    }

    /// Has every session look at directory and policy anew, without waiting for it.
    pub fn refresh_all(&self) {
        for handle in self.handles(|_| true) {
            handle.revision.fetch_add(1, Ordering::AcqRel);
            handle.changed.notify_one();
        }
    }

    /// Tells the sessions of these people, and waits until each has acknowledged or is gone.
    async fn revoke(&self, people: &[(Arc<str>, Arc<str>)]) {
        let concerned = self.handles(|handle| match handle.who.principal() {
            Principal::Person(person) => {
                people.iter().any(|(identity, id)| *identity == person.identity && *id == person.id)
            }
            Principal::Service(_) => false,
        });
        if concerned.is_empty() {
            return;
        }
        let started = Instant::now();
        let told: Vec<_> = concerned
            .into_iter()
            .map(|handle| {
                let revision = handle.revision.fetch_add(1, Ordering::AcqRel) + 1;
                handle.changed.notify_one();
                (handle, revision)
            })
            .collect();
        let deadline = started + limits::REVOCATION;
        for (handle, revision) in told {
            if tokio::time::timeout_at(deadline, handle.settled(revision)).await.is_err() {
                tracing::error!(
                    session = handle.id,
                    "session did not acknowledge a revocation in time: shut"
                );
                self.metrics.revocation("shut");
                handle.abort();
            } else {
                self.metrics.revocation("acknowledged");
            }
        }
        self.metrics.revocation_ack_seconds.observe(started.elapsed().as_secs_f64());
    }
}

fn session_status(handle: &Handle, directory: &State) -> SessionStatus {
    let principal = handle.who.principal();
    let (kind, groups) = match principal {
        Principal::Service(_) => ("service", Vec::new()),
        Principal::Person(person) => {
            let mut groups: Vec<String> = directory
                .namespace(&person.identity)
                .map(|space| space.groups_of_user(&person.id).map(|g| g.display_name.to_string()).collect())
                .unwrap_or_default();
            groups.sort();
            ("person", groups)
        }
    };
    let rfc3339 = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    SessionStatus {
        id: handle.id,
        cluster: handle.cluster.to_string(),
        name: principal.name().to_owned(),
        kind,
        identity: principal.identity().to_string(),
        client: handle.client,
        since: rfc3339(handle.since),
        token_expires: rfc3339(handle.who.token().expires_at),
        groups,
        driver: handle.driver.to_string(),
        requests: handle.requests.load(Ordering::Relaxed),
        refused: handle.refused.load(Ordering::Relaxed),
    }
}

/// The directory's way to the sessions; it outlives neither.
#[derive(Debug)]
pub struct Revoker(pub Arc<Registry>);

impl Subscriber for Revoker {
    fn published(&self, change: Change) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let registry = Arc::clone(&self.0);
        Box::pin(async move { registry.revoke(&change.people).await })
    }
}
