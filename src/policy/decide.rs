//! The verdict on one statement, and the only place where a [`Permit`] is made.
//!
//! In: what a principal may do ([`Grants`]), what the statement needs. Out: a decision that names the rule
//! behind it. No allocation, no lock, no clock.

use cqlgate_protocol::cql::Need;

use super::grants::Grants;
use crate::config::model::Mode;

/// The proof that a request was judged and may be forwarded. Only [`decide`] and [`decide_naming`] make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The rule that decided the first need, if the statement needed anything.
    rule: Option<RuleId>,
    /// Policy refuses; the cluster only observes.
    observed: bool,
}

impl Permit {
    /// The rule that decided the first need; `None` where nothing needed to be permitted.
    pub fn rule(self) -> Option<RuleId> {
        self.rule
    }

    /// Would policy refuse what is forwarded, were it enforced? Then it is recorded, each time.
    pub fn is_observed(self) -> bool {
        self.observed
    }
}

/// A rule of one policy generation, for [`Grants::explain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Why a statement is not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which of the needs failed first; the named resources of [`decide_naming`] count on behind the needs.
    pub need: usize,
    /// The DENY that refused it; `None`: no GRANT reaches it. Where one of two permissions would have done, a
    /// DENY of either.
    pub rule: Option<RuleId>,
}

impl Denial {
    /// What Cassandra says to a role that lacks the permission. `judged` is what was judged, in the same
    /// order: the needs, and the named resources behind them.
    pub fn message<'a, 'n: 'a>(&self, user: &str, judged: impl IntoIterator<Item = &'a Need<'n>>) -> String {
        match judged.into_iter().nth(self.need) {
            Some(need) => need.refusal(user).to_string(),
            None => {
                format!("User {user} does not have sufficient privileges to perform the requested operation")
            }
        }
    }
}

/// What [`decide`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every need is granted.
    Permitted(Permit),
    /// Policy would refuse, but the cluster only observes: forward, and record the denial.
    Observed(Permit, Denial),
    /// Refused.
    Refused(Denial),
}

/// Judges what a statement needs: every need must be granted and none denied.
pub fn decide(grants: &Grants, needs: &[Need<'_>]) -> Decision {
    decide_naming(grants, needs, &[])
}

/// Judges a statement that names resources it needs no GRANT on (a view that is read by its base, the
/// keyspace that CREATE KEYSPACE makes): a DENY reaches them all the same.
pub fn decide_naming(grants: &Grants, needs: &[Need<'_>], named: &[Need<'_>]) -> Decision {
    match judge(grants, needs, named) {
        Ok(permit) => Decision::Permitted(permit),
        Err(denial) => match grants.mode() {
            Mode::Enforce => Decision::Refused(denial),
            Mode::Observe => Decision::Observed(Permit { rule: denial.rule, observed: true }, denial),
        },
    }
}

fn judge(grants: &Grants, needs: &[Need<'_>], named: &[Need<'_>]) -> Result<Permit, Denial> {
    let mut first = None;
    for (index, need) in needs.iter().enumerate() {
        let rule = grants.judge(need).map_err(|rule| Denial { need: index, rule })?;
        first.get_or_insert(rule);
    }
    for (index, need) in named.iter().enumerate() {
        if let Some(rule) = grants.denied(need) {
            return Err(Denial { need: needs.len() + index, rule: Some(rule) });
        }
    }
    Ok(Permit { rule: first, observed: false })
}
