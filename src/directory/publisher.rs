//! The one writer: evaluates writes one after the other, commits them in groups, publishes each commit,
//! and answers a write only when sessions have acknowledged what it changed.
//!
//! In: writes from any task, through one bounded queue. Out: new snapshots, in the order of commits.

use std::collections::{BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::draft::{Draft, Evaluated};
use super::state::{Id, PinName, State};
use super::store::{Store, StoreError};
use super::{Change, Shared, WriteError, Written};
use crate::config::limits;

/// A write on its way through the publisher.
pub(super) trait Job: Send {
    /// Evaluates the write on the newest state, possibly more than once; true: keep what it drafted.
    fn evaluate(&mut self, draft: &mut Draft) -> bool;
    /// Tells the caller. `Err`: the store did not take it.
    fn answer(self: Box<Self>, outcome: Result<Arc<State>, Arc<str>>);
}

/// What the publisher is asked.
pub(super) enum Message {
    /// A write.
    Write(Box<dyn Job>),
    /// The names that policies use, from now on.
    Watch(HashSet<PinName>, oneshot::Sender<Result<(), Arc<str>>>),
}

/// A closure with its caller's waiting end.
pub(super) struct Task<F, T, E> {
    pub(super) evaluate: F,
    pub(super) verdict: Option<Result<T, E>>,
    pub(super) caller: oneshot::Sender<Result<Written<T>, WriteError<E>>>,
}

impl<F, T, E> Job for Task<F, T, E>
where
    F: FnMut(&mut Draft) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn evaluate(&mut self, draft: &mut Draft) -> bool {
        self.verdict = None;
        let verdict = (self.evaluate)(draft);
        let keep = verdict.is_ok();
        self.verdict = Some(verdict);
        keep
    }

    fn answer(self: Box<Self>, outcome: Result<Arc<State>, Arc<str>>) {
        let answer = match (outcome, self.verdict) {
            (Ok(state), Some(Ok(value))) => Ok(Written { value, state }),
            (Ok(_), Some(Err(refusal))) => Err(WriteError::Refused(refusal)),
            (Err(reason), _) => Err(WriteError::Unavailable(reason)),
            (Ok(_), None) => Err(WriteError::Failed),
        };
        // A caller that has gone away wants no answer.
        drop(self.caller.send(answer));
    }
}

/// A commit whose acknowledgements are being waited for, with those who wait for them.
struct Announcement {
    acknowledgements: Vec<JoinHandle<bool>>,
    jobs: Vec<Box<dyn Job>>,
    state: Arc<State>,
}

/// The writer's own state, on its own thread: disk and evaluation never hold up the data path.
pub(super) struct Publisher<S> {
    store: S,
    shared: Arc<Shared>,
    watched: Arc<HashSet<PinName>>,
    runtime: tokio::runtime::Handle,
    announcements: mpsc::UnboundedSender<Announcement>,
    /// A commit failed, and whether it is durable nevertheless is not known yet.
    in_doubt: bool,
}

/// A state that is in force, and the acknowledgements that it is enforced.
struct Published {
    state: Arc<State>,
    acknowledgements: Vec<JoinHandle<bool>>,
}

impl<S: Store> Publisher<S> {
    pub(super) fn new(store: S, shared: Arc<Shared>, runtime: tokio::runtime::Handle) -> Self {
        let (announcements, queue) = mpsc::unbounded_channel();
        runtime.spawn(announce(queue));
        // Names with a pin are watched until the policies have said which names they use.
        let watched = shared.current.load().pins.keys().cloned().collect();
        Self { store, shared, watched: Arc::new(watched), runtime, announcements, in_doubt: false }
    }

    /// Runs until every [`super::Directory`] is gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(first) = queue.blocking_recv() {
            let mut next = Some(first);
            while let Some(message) = next.take() {
                let mut jobs = Vec::new();
                match message {
                    Message::Write(job) => jobs.push(job),
                    Message::Watch(names, caller) => {
                        drop(caller.send(self.watch(names)));
                        continue;
                    }
                }
                while jobs.len() < limits::SCIM_GROUP_COMMIT {
                    match queue.try_recv() {
                        Ok(Message::Write(job)) => jobs.push(job),
                        Ok(watch) => {
                            next = Some(watch);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                self.commit_group(jobs);
            }
        }
    }

    /// Commits writes together; if the store does not take them together, each by itself.
    fn commit_group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let error = match self.commit(&mut jobs) {
            Ok(Published { state, acknowledgements }) => {
                let announcement = Announcement { acknowledgements, jobs, state };
                if let Err(lost) = self.announcements.send(announcement) {
                    // The runtime is shutting down: durable, but nobody can say that it is enforced.
                    refuse(lost.0.jobs, &Arc::from("shutting down"));
                }
                return;
            }
            Err(error) => error,
        };
        if jobs.len() == 1 {
            refuse(jobs, &error);
            return;
        }
        for job in jobs {
            self.commit_group(vec![job]);
        }
    }

    fn commit(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Result<Published, Arc<str>> {
        self.settle_doubt()?;
        let old = self.shared.current.load_full();
        let mut next = Evaluated {
            state: State { seq: old.seq + 1, ..State::clone(&old) },
            records: Vec::new(),
            touched: BTreeSet::new(),
        };
        let now = OffsetDateTime::now_utc();
        jobs.retain_mut(|job| {
            let mut draft = Draft::new(next.state.clone(), now, self.watched.clone());
            match catch_unwind(AssertUnwindSafe(|| job.evaluate(&mut draft))) {
                Ok(true) => {
                    let drafted = draft.finish();
                    next.state = drafted.state;
                    next.records.extend(drafted.records);
                    next.touched.extend(drafted.touched);
                    true
                }
                Ok(false) => true,
                Err(_) => {
                    // Its caller hears `WriteError::Failed`, because the waiting end is dropped.
                    tracing::error!("a directory write panicked; nothing of it was kept");
                    false
                }
            }
        });
        let writes = jobs.len();
        self.append_and_publish(old, next, writes)
    }

    fn watch(&mut self, names: HashSet<PinName>) -> Result<(), Arc<str>> {
        self.settle_doubt()?;
        let names = Arc::new(names);
        let old = self.shared.current.load_full();
        let state = State { seq: old.seq + 1, ..State::clone(&old) };
        let mut draft = Draft::new(state, OffsetDateTime::now_utc(), names.clone());
        draft.watch(&names);
        let published = self.append_and_publish(old, draft.finish(), 0)?;
        self.watched = names;
        let mut enforced = true;
        for acknowledgement in published.acknowledgements {
            enforced &= matches!(self.runtime.block_on(acknowledgement), Ok(true));
        }
        if enforced { Ok(()) } else { Err(Arc::from("not enforced")) }
    }

    /// COMMIT, publish, tell subscribers. Writes that changed nothing make no commit.
    fn append_and_publish(
        &mut self,
        old: Arc<State>,
        next: Evaluated,
        writes: usize,
    ) -> Result<Published, Arc<str>> {
        if next.records.is_empty() {
            return Ok(Published { state: old, acknowledgements: Vec::new() });
        }
        let began = Instant::now();
        if let Err(error) = self.store.append(old.seq, &next.records) {
            return Err(self.failed(&error));
        }
        let committed_at = Instant::now();
        if let Some(metrics) = &*self.shared.metrics.load() {
            metrics.commit_seconds.observe(committed_at.duration_since(began).as_secs_f64());
            metrics.directory_seq.set(i64::try_from(next.state.seq).unwrap_or(i64::MAX));
            if writes > 0 {
                metrics.commit_writes.observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
            }
        }
        self.shared.degraded.store(None);
        let new = Arc::new(next.state);
        self.shared.current.store(new.clone());
        let people: Vec<_> = next.touched.into_iter().collect();
        let acknowledgements = self.tell(&Change { old, new: new.clone(), people, committed_at });
        Ok(Published { state: new, acknowledgements })
    }

    fn tell(&self, change: &Change) -> Vec<JoinHandle<bool>> {
        if change.people.is_empty() {
            return Vec::new();
        }
        let subscribers = self.shared.subscribers.load();
        let tell = |subscriber: &Arc<dyn super::Subscriber>| {
            let change = change.clone();
            // A subscriber that panics must not take the writer with it.
            match catch_unwind(AssertUnwindSafe(|| subscriber.published(change))) {
                Ok(acknowledged) => self.runtime.spawn(async move {
                    acknowledged.await;
                    true
                }),
                Err(_) => self.runtime.spawn(async { false }),
            }
        };
        subscribers.iter().map(tell).collect()
    }

    fn failed(&mut self, error: &StoreError) -> Arc<str> {
        self.in_doubt = true;
        let reason: Arc<str> = error.to_string().into();
        tracing::error!(%error, "the directory could not be written; the last state stays in force");
        self.shared.degraded.store(Some(Arc::new(reason.clone())));
        reason
    }

    /// After a failed commit: what does the store hold now? Adopts it if it is newer than what is
    /// published.
    fn settle_doubt(&mut self) -> Result<(), Arc<str>> {
        if !self.in_doubt {
            return Ok(());
        }
        let old = self.shared.current.load_full();
        match self.store.follow(old.seq) {
            Ok(None) => {}
            Ok(Some(state)) => {
                let people = everybody(&old).chain(everybody(&state)).collect::<BTreeSet<_>>();
                let new = Arc::new(state);
                self.shared.current.store(new.clone());
                let change =
                    Change { old, new, people: people.into_iter().collect(), committed_at: Instant::now() };
                // Answers keep their order, so one that repeats what was in doubt waits for these, too.
                let acknowledgements = self.tell(&change);
                let state = change.new;
                drop(self.announcements.send(Announcement { acknowledgements, jobs: Vec::new(), state }));
            }
            Err(error) => return Err(self.failed(&error)),
        }
        self.in_doubt = false;
        Ok(())
    }
}

fn everybody(state: &State) -> impl Iterator<Item = (Arc<str>, Id)> {
    state
        .namespaces
        .iter()
        .flat_map(|(identity, namespace)| namespace.users.keys().map(|id| (identity.clone(), id.clone())))
}

fn refuse(jobs: Vec<Box<dyn Job>>, reason: &Arc<str>) {
    for job in jobs {
        job.answer(Err(reason.clone()));
    }
}

/// Answers in the order of commits: an answer says that this write *and all before it* are enforced, so a
/// repeated write that changes nothing does not overtake the one that did.
async fn announce(mut queue: mpsc::UnboundedReceiver<Announcement>) {
    while let Some(announcement) = queue.recv().await {
        let mut enforced = true;
        for acknowledgement in announcement.acknowledgements {
            enforced &= matches!(acknowledgement.await, Ok(true));
        }
        if enforced {
            for job in announcement.jobs {
                job.answer(Ok(announcement.state.clone()));
            }
        } else {
            tracing::error!("a subscriber of the directory panicked; its writes are answered as failed");
            refuse(announcement.jobs, &Arc::from("not enforced"));
        }
    }
}
