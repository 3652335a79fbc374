//! The bounded queue between everybody who records and the one writer.
//!
//! A lock and a move on the way in; the writer takes everything at once. A writer that has just been busy
//! naps and looks again by itself, so that a busy recorder does not pay a system call per event to wake it;
//! only a writer that has been idle for a while sleeps until it is woken.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use super::Event;
use crate::config::limits::{AUDIT_QUEUE, AUDIT_QUEUE_TEXT};

/// How long a busy writer looks away: the most that a line is late.
const NAP: Duration = Duration::from_millis(1);
/// Naps without an event, after which the writer sleeps.
const NAPS: u32 = 20;

/// An event and when it was recorded.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) at: SystemTime,
    pub(super) event: Event,
}

#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    room: Notify,
    depth: Gauge,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Queued>,
    text_bytes: usize,
    flushes: Vec<oneshot::Sender<()>>,
    reopen: bool,
    life: Life,
    asleep: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Open,
    /// Nothing goes in any more; what is in is still written.
    Closed,
    /// The writer is gone.
    Ended,
}

/// What the writer is to do next.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Events, oldest first.
    pub(super) events: VecDeque<Queued>,
    /// To be told when these events are on disk.
    pub(super) flushes: Vec<oneshot::Sender<()>>,
    /// Open the file anew first.
    pub(super) reopen: bool,
    /// This is the last work.
    pub(super) closed: bool,
}

impl Queue {
    pub(super) fn new(depth: Gauge) -> Self {
        let inner = Inner { events: VecDeque::with_capacity(AUDIT_QUEUE), ..Inner::default() };
        Self { inner: Mutex::new(inner), wake: Condvar::new(), room: Notify::new(), depth }
    }

    pub(super) fn try_push(&self, event: Event) -> Result<(), Box<Event>> {
        let at = SystemTime::now();
        let text = event.text.as_ref().map_or(0, |t| t.len());
        let mut inner = self.lock();
        // A closed queue is a full one for ever: what can no longer be recorded must not happen.
        let full = inner.life != Life::Open
            || inner.events.len() >= AUDIT_QUEUE
            || (inner.text_bytes + text > AUDIT_QUEUE_TEXT && !inner.events.is_empty());
        if full {
            drop(inner);
            return Err(Box::new(event));
        }
        inner.events.push_back(Queued { at, event });
        inner.text_bytes += text;
        let wake = inner.asleep;
        inner.asleep = false;
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Completes when the writer has made room after this was asked for.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Completes when all that is queued now is on disk, or the writer is gone.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, waiter) = oneshot::channel();
        let mut inner = self.lock();
        if inner.life != Life::Ended {
            inner.flushes.push(done);
        }
        self.rouse(inner);
        waiter
    }

    pub(super) fn reopen(&self) {
        let mut inner = self.lock();
        inner.reopen = true;
        self.rouse(inner);
    }

    pub(super) fn close(&self) {
        let mut inner = self.lock();
        if inner.life == Life::Open {
            inner.life = Life::Closed;
        }
        self.rouse(inner);
    }

    /// The writer is gone: nothing goes in any more, and nobody waits for it.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.life = Life::Ended;
        inner.flushes.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().events.len()
    }

    /// Is there a reason for a writer in trouble to stop waiting for its next try?
    pub(super) fn pressing(&self, wait: Duration) -> Pressing {
        let inner = self.lock();
        let quiet = |i: &mut Inner| !i.reopen && i.life == Life::Open;
        let (mut inner, _) =
            self.wake.wait_timeout_while(inner, wait, quiet).unwrap_or_else(PoisonError::into_inner);
        Pressing { reopen: std::mem::take(&mut inner.reopen), closed: inner.life != Life::Open }
    }

    /// The next work, waited for. `spare` is an emptied buffer to swap in, so that none is allocated.
    pub(super) fn take(&self, spare: VecDeque<Queued>) -> Work {
        let mut inner = self.lock();
        let mut naps = 0;
        loop {
            self.depth.set(i64::try_from(inner.events.len()).unwrap_or(i64::MAX));
            let idle = inner.events.is_empty()
                && inner.flushes.is_empty()
                && !inner.reopen
                && inner.life == Life::Open;
            if !idle {
                break;
            }
            if naps < NAPS {
                naps += 1;
                inner = self.wake.wait_timeout(inner, NAP).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                inner.asleep = true;
                inner = self.wake.wait_while(inner, |i| i.asleep).unwrap_or_else(PoisonError::into_inner);
                naps = 0;
            }
        }
        let work = Work {
            events: std::mem::replace(&mut inner.events, spare),
            flushes: std::mem::take(&mut inner.flushes),
            reopen: std::mem::take(&mut inner.reopen),
            closed: inner.life != Life::Open,
        };
        inner.text_bytes = 0;
        drop(inner);
        self.room.notify_waiters();
        work
    }

    fn rouse(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.asleep = false;
        drop(inner);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing below can panic half-way through a change, so a poisoned queue is still a queue.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Queue::pressing`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressing {
    pub(super) reopen: bool,
    pub(super) closed: bool,
}
