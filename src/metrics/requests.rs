//! Requests by opcode, statement and verdict: a dense table of atomics, so that one request costs one
//! relaxed addition and no look-up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::labels::RequestLabels;

/// An enumeration whose values are label values.
macro_rules! label_values {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

label_values! {
    /// How a request came.
    Opcode {
        /// QUERY.
        Query => "query",
        /// PREPARE.
        Prepare => "prepare",
        /// EXECUTE.
        Execute => "execute",
        /// BATCH.
        Batch => "batch",
        /// REGISTER.
        Register => "register",
        /// OPTIONS.
        Options => "options",
        /// Any other, or an unknown one.
        Other => "other",
    }
}

label_values! {
    /// What it asked for.
    Statement {
        /// SELECT.
        Select => "select",
        /// INSERT.
        Insert => "insert",
        /// UPDATE.
        Update => "update",
        /// DELETE.
        Delete => "delete",
        /// BATCH, as opcode or as text.
        Batch => "batch",
        /// TRUNCATE.
        Truncate => "truncate",
        /// USE.
        Use => "use",
        /// CREATE of anything but roles.
        Create => "create",
        /// ALTER of anything but roles.
        Alter => "alter",
        /// DROP of anything but roles.
        Drop => "drop",
        /// Roles, permissions, identities.
        Access => "access",
        /// DESCRIBE and LIST.
        Describe => "describe",
        /// It has no statement, or none that was understood.
        None => "none",
    }
}

label_values! {
    /// What became of it.
    Verdict {
        /// Forwarded to a node.
        Permitted => "permitted",
        /// Policy would refuse, the cluster only observes: forwarded.
        Observed => "observed",
        /// Refused by policy (0x2100).
        Refused => "refused",
        /// Answered by the gateway itself: its own tables, OPTIONS, REGISTER, UNPREPARED.
        Answered => "answered",
        /// Neither forwarded nor a question of policy: broken, too large, unknown name, overload.
        Failed => "failed",
    }
}

/// The requests of one cluster.
#[derive(Debug)]
pub struct Requests {
    cluster: String,
    counts: Box<[AtomicU64]>,
}

impl Requests {
    pub(super) fn new(cluster: &str) -> Self {
        let cells = Opcode::ALL.len() * Statement::ALL.len() * Verdict::ALL.len();
        Self { cluster: cluster.to_owned(), counts: (0..cells).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts one request.
    #[inline]
    pub fn count(&self, opcode: Opcode, statement: Statement, verdict: Verdict) {
        self.count_many(opcode, statement, verdict, 1);
    }

    /// Counts `n` alike requests at once: a session may keep its own tally for a run of frames.
    #[inline]
    pub fn count_many(&self, opcode: Opcode, statement: Statement, verdict: Verdict, n: u64) {
        if let Some(cell) = self.counts.get(cell(opcode, statement, verdict)) {
            cell.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub fn get(&self, opcode: Opcode, statement: Statement, verdict: Verdict) -> u64 {
        self.counts.get(cell(opcode, statement, verdict)).map_or(0, |c| c.load(Ordering::Relaxed))
    }
}

#[inline]
fn cell(opcode: Opcode, statement: Statement, verdict: Verdict) -> usize {
    (opcode as usize * Statement::ALL.len() + statement as usize) * Verdict::ALL.len() + verdict as usize
}

/// All clusters' tables, for a scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct AllRequests(Arc<Mutex<Vec<Arc<Requests>>>>);

impl AllRequests {
    pub(super) fn add(&self, requests: Arc<Requests>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(requests);
    }
}

impl Collector for AllRequests {
    /// Combinations that never occurred are left out: most of them cannot.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "requests",
            "Requests of clients, by opcode, statement and verdict",
            None,
            MetricType::Counter,
        )?;
        for requests in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for &opcode in Opcode::ALL {
                for &statement in Statement::ALL {
                    for &verdict in Verdict::ALL {
                        let count = requests.get(opcode, statement, verdict);
                        if count == 0 {
                            continue;
                        }
                        let labels = RequestLabels {
                            cluster: requests.cluster.clone(),
                            opcode: opcode.as_str(),
                            statement: statement.as_str(),
                            verdict: verdict.as_str(),
                        };
                        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}
