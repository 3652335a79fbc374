//! Who made which trace: a trace shows the text and the values of a request, so only its maker reads it.
//!
//! In: the tracing ids of answers that pass. Out: whether a SELECT on `system_traces` asks for traces of the
//! caller's own and nothing else.

use std::time::Duration;

use cqlgate_protocol::wire::request::Options;
use moka::sync::Cache;

use super::local;
use crate::config::limits;
use crate::principal::Principal;

/// The traces of one cluster's sessions, by their ids; bounded, the oldest out first.
#[derive(Debug)]
pub struct Traces {
    made_by: Cache<[u8; 16], Principal>,
}

/// As long as Cassandra keeps a trace unless it is told otherwise.
const KEPT: Duration = Duration::from_hours(24);

impl Default for Traces {
    fn default() -> Self {
        Self { made_by: Cache::builder().max_capacity(limits::TRACES).time_to_live(KEPT).build() }
    }
}

impl Traces {
    /// A node answered with this tracing id.
    pub(super) fn made(&self, id: [u8; 16], by: &Principal) {
        self.made_by.insert(id, by.clone());
    }

    /// Does a SELECT read only traces that this principal made? `session_id` must be restricted to them.
    pub(super) fn are_own(&self, text: &str, options: &Options<'_>, principal: &Principal) -> bool {
        let wanted = local::restricted_to(text, "session_id", options).unwrap_or_default();
        let is_own = |id: &Vec<u8>| {
            <[u8; 16]>::try_from(&**id).is_ok_and(|id| self.made_by.get(&id).as_ref() == Some(principal))
        };
        !wanted.is_empty() && wanted.iter().all(is_own)
    }
}
