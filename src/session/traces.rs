//! Who made which trace: a trace shows the text and the values of a request, so only its maker reads it.
//!
//! In: the tracing ids of answers that pass. Out: whether a SELECT on `system_traces` asks for traces of the
//! caller's own and nothing else.

use std::time::Duration;

use cqlgate_protocol::cql::statement::{Operator, Statement, Subject, Term};
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
        let wanted = wanted(text, options).unwrap_or_default();
        !wanted.is_empty() && wanted.iter().all(|id| self.made_by.get(id).as_ref() == Some(principal))
    }
}

/// The ids that the WHERE clause restricts `session_id` to; `None` if it does not, or not to single ids.
fn wanted(text: &str, options: &Options<'_>) -> Option<Vec<[u8; 16]>> {
    let statement = cqlgate_protocol::cql::parse(text, &cqlgate_protocol::cql::Limits::default()).ok()?;
    let Statement::Select(select) = statement else { return None };
    let id = |term: &Term<'_>| -> Option<[u8; 16]> {
        match term {
            Term::Uuid(text) => Some(*uuid::Uuid::parse_str(text).ok()?.as_bytes()),
            Term::Bind { index, name } => {
                local::bound(&options.values, *index, name.as_deref())?.try_into().ok()
            }
            _ => None,
        }
    };
    let restriction = select
        .restrictions()
        .find(|restriction| matches!(&restriction.subject, Subject::Column(name) if name == "session_id"))?;
    match (restriction.operator, &restriction.value) {
        (Operator::Equal, term) => Some(vec![id(term)?]),
        (Operator::In, Term::List(terms)) => terms.clone().map(|term| id(&term)).collect(),
        _ => None,
    }
}
