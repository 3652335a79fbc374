//! The thread that turns events into lines and lines into a file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::brief;
use super::file::AuditFile;
use super::queue::Queued;
use super::{Event, Shared, Verdict, line};
use crate::config::limits::{AUDIT_CLOSE, RECENT_REFUSALS};
use crate::status::RefusalStatus;

/// Between two tries of a failing file.
const RETRY: Duration = Duration::from_millis(250);
/// Between two log lines about it.
const NAG: Duration = Duration::from_secs(10);
/// Lines are handed to the system in pieces of about this size.
const CHUNK: usize = 256 * 1024;

pub(super) struct Writer {
    file: AuditFile,
    shared: Arc<Shared>,
    /// Distinguishes the ids of this process from those of others that write the same file.
    run: String,
    next: u64,
}

impl Writer {
    pub(super) fn new(file: AuditFile, run: String, shared: Arc<Shared>) -> Self {
        Self { file, shared, run, next: 1 }
    }

    pub(super) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        let mut spare = VecDeque::with_capacity(crate::config::limits::AUDIT_QUEUE);
        loop {
            let mut work = self.shared.queue.take(std::mem::take(&mut spare));
            if work.reopen {
                self.reopen();
            }
            for Queued { at, event } in work.events.drain(..) {
                self.format(at, &event);
                if self.file.buffer().len() >= CHUNK && !self.write() {
                    return;
                }
            }
            if !self.write() {
                return;
            }
            if !work.flushes.is_empty() || work.closed {
                self.sync();
            }
            for waiter in work.flushes.drain(..) {
                // Who no longer waits need not be told.
                let _ = waiter.send(());
            }
            if work.closed {
                return;
            }
            spare = work.events;
        }
    }

    fn format(&mut self, at: std::time::SystemTime, event: &Event) {
        let id = format!("{}-{}", self.run, self.next);
        self.next += 1;
        self.shared.metrics.audit_event(event.event.as_str(), event.verdict.as_str());
        if let Err(error) = line::append(self.file.buffer(), at, &id, event) {
            // An event holds nothing but strings and numbers, which JSON can always say.
            tracing::error!(%error, id, "an audit event could not be written as JSON");
        }
        if event.verdict != Verdict::Permitted {
            self.shared.recent.push(refusal(at, event));
        }
    }

    /// Writes until the file has taken everything. `false`: the process ends, and the file still fails.
    fn write(&mut self) -> bool {
        let mut failing: Option<(Instant, Instant)> = None;
        loop {
            let Err(error) = self.file.write() else {
                if failing.is_some() {
                    self.shared.recent.set_trouble(None);
                    tracing::info!(file = %self.file.path().display(), "the audit file is written again");
                }
                return true;
            };
            self.shared.recent.set_trouble(Some(error.to_string()));
            self.shared.metrics.audit_write_errors.inc();
            let now = Instant::now();
            let (since, told) = failing.unwrap_or((now, now));
            if failing.is_none() || now.duration_since(told) >= NAG {
                tracing::error!(
                    file = %self.file.path().display(), %error,
                    "the audit file cannot be written: sessions wait until it can"
                );
                failing = Some((since, now));
            }
            let pressing = self.shared.queue.pressing(RETRY);
            if pressing.reopen {
                self.reopen();
            }
            if pressing.closed {
                if now.duration_since(since) >= AUDIT_CLOSE {
                    tracing::error!(%error, bytes = self.file.buffer().len(), "audit lines are lost");
                    return false;
                }
                // `pressing` no longer waits once the queue is closed.
                std::thread::sleep(RETRY);
            }
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.file.sync() {
            self.shared.metrics.audit_write_errors.inc();
            tracing::error!(file = %self.file.path().display(), %error, "the audit file cannot be synced");
        }
    }

    fn reopen(&mut self) {
        match self.file.reopen() {
            Ok(()) => tracing::info!(file = %self.file.path().display(), "audit file opened anew"),
            Err(error) => {
                self.shared.metrics.audit_write_errors.inc();
                tracing::error!(
                    file = %self.file.path().display(), %error,
                    "the audit file cannot be opened anew: the old one is used on"
                );
            }
        }
    }
}

/// However the writer ends, nobody waits for it any more.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.queue.end();
    }
}

fn refusal(at: std::time::SystemTime, event: &Event) -> RefusalStatus {
    let brief = |text: Option<&str>| text.map(|t| brief(t).into_owned()).unwrap_or_default();
    let who = event.who.as_deref();
    let what = line::shown_text(event).map(|(text, _)| text.into_owned());
    RefusalStatus {
        at: line::rfc3339(at),
        event: event.event.as_str(),
        verdict: event.verdict.as_str(),
        cluster: brief(event.cluster.as_deref()),
        name: brief(who.map(|w| &*w.name)),
        identity: brief(who.map(|w| &*w.identity)),
        client: event.client.map(|c| c.to_string()).unwrap_or_default(),
        what: what.unwrap_or_else(|| event.event.as_str().to_owned()),
        reason: brief(event.reason.as_deref()),
        rule: brief(event.rule.as_deref()),
        reference: brief(event.reference.as_deref()),
    }
}

/// What the status page may ask while the writer is at work.
#[derive(Debug, Default)]
pub(super) struct Recent {
    refusals: Mutex<VecDeque<RefusalStatus>>,
    trouble: Mutex<Option<String>>,
}

impl Recent {
    fn push(&self, refusal: RefusalStatus) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= RECENT_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(refusal);
    }

    pub(super) fn newest_first(&self) -> Vec<RefusalStatus> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.iter().rev().cloned().collect()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
