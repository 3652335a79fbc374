//! The audit log: who did what, one JSON line each.
//!
//! In: an [`Event`] for each log-in, refusal, definition and whatever else must be on record, before the
//! request it is about is forwarded or answered. Out: lines in a file, and the latest refusals for the
//! status page. Between them is a bounded queue: when it is full, because the disk is slow or gone, sessions
//! wait. Nothing is dropped.
//!
//! What the caller pays is a lock and a move; texts are blanked, cut and written by a thread of its own.

mod event;
mod file;
mod line;
mod queue;
pub mod text;
mod writer;

use std::sync::Arc;
use std::thread::JoinHandle;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

pub use event::{Event, Kind, Verdict, Who};

use crate::config::model::{self, AuditData};
use crate::metrics::Metrics;
use crate::status::RefusalStatus;
use file::AuditFile;
use queue::Queue;
use writer::{Recent, Writer};

/// Why the audit log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened or made.
    #[error("cannot open the audit file {path}: {source}")]
    Open {
        /// As configured.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The writer thread could not be started.
    #[error("cannot start the audit writer: {0}")]
    Thread(std::io::Error),
    /// The system gives no random numbers.
    #[error("no random numbers for event ids")]
    Random,
}

/// The handle that everybody records with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    recent: Recent,
    data: AuditData,
    metrics: Arc<Metrics>,
}

/// Keeps the writer running; dropped, it writes what is queued and ends it.
#[derive(Debug)]
pub struct AuditGuard {
    audit: Audit,
    thread: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the file (made 0600 if it is missing, appended to) and starts the writer.
    pub fn start(config: &model::Audit, metrics: Arc<Metrics>) -> Result<(Self, AuditGuard), AuditError> {
        let file = AuditFile::open(&config.file)
            .map_err(|source| AuditError::Open { path: config.file.clone(), source })?;
        let run = random_name().ok_or(AuditError::Random)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(metrics.audit_queue.clone()),
            recent: Recent::default(),
            data: config.data,
            metrics,
        });
        let writer = Writer::new(file, run, Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run())
            .map_err(AuditError::Thread)?;
        let audit = Self { shared };
        Ok((audit.clone(), AuditGuard { audit, thread: Some(thread) }))
    }

    /// Does the configuration want a line for each permitted data statement? If not, count it and do not
    /// make an event.
    pub fn wants_data(&self) -> bool {
        self.shared.data == AuditData::All
    }

    /// Records an event if there is room. A full queue gives it back: [`Self::record`] it, and read
    /// nothing more from the client meanwhile.
    pub fn try_record(&self, event: Event) -> Result<(), Box<Event>> {
        self.shared.queue.try_push(event)
    }

    /// Records an event, waiting for room as long as it takes. Dropped before it is done, it has recorded
    /// nothing: what the event is about must not happen then.
    pub async fn record(&self, event: Event) {
        let Err(mut event) = self.try_record(event) else { return };
        self.shared.metrics.audit_waits.inc();
        loop {
            let room = self.shared.queue.room();
            tokio::pin!(room);
            // Registered before the second try, so that room made between the two is not missed.
            room.as_mut().enable();
            match self.try_record(*event) {
                Ok(()) => return,
                Err(back) => event = back,
            }
            room.await;
        }
    }

    /// Waits until all that was recorded before is written and synced to the disk.
    pub async fn flush(&self) {
        // A writer that is gone has written all it could: there is nothing left to wait for.
        let _ = self.shared.queue.flush().await;
    }

    /// Opens the file anew before the next line: the way to rotate it is to move it away, then call this.
    pub fn reopen(&self) {
        self.shared.queue.reopen();
    }

    /// The latest refusals, newest first.
    pub fn recent_refusals(&self) -> Vec<RefusalStatus> {
        self.shared.recent.newest_first()
    }

    /// Events that wait to be written.
    pub fn queued(&self) -> usize {
        self.shared.queue.len()
    }

    /// Why the file cannot be written right now, if it cannot. Not ready, while this is so.
    pub fn trouble(&self) -> Option<String> {
        self.shared.recent.trouble()
    }
}

impl Drop for AuditGuard {
    fn drop(&mut self) {
        self.audit.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was reported by the panic hook; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// A short name that a client is told and an operator finds in the log: 8 letters and digits (40 random
/// bits) that nobody mistakes for each other when they are read out (base32 of Crockford).
pub fn reference() -> String {
    // aws-lc's generator is seeded once and cannot fail later; a name without randomness is still a name.
    random_name().unwrap_or_else(|| "00000000".into())
}

fn random_name() -> Option<String> {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().filter_map(|b| ALPHABET.get(usize::from(b % 32))).map(|&c| char::from(c)).collect())
}

#[cfg(test)]
mod tests;
