//! Group policies: grants in Cassandra's words, compiled, and the only place where a [`Permit`] is made.
//!
//! In: policy files, a directory snapshot, a principal, the needs of a statement. Out: a decision.

use std::sync::Arc;

use cqlgate_protocol::cql::Need;

use crate::config::model::Mode;
use crate::directory::State;
use crate::principal::Principal;

/// The proof that a request was judged and may be forwarded. Only [`decide`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The rule that decided the first need, if the statement needed anything.
    rule: Option<RuleId>,
}

impl Permit {
    /// The rule that decided the first need; `None` where nothing needed to be permitted.
    pub fn rule(self) -> Option<RuleId> {
        self.rule
    }
}

/// A rule of one policy generation, for [`Grants::explain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(pub u32);

/// Where a deciding rule stands, and how it reached the principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The policy file, as configured.
    pub file: Arc<str>,
    /// The line in it, from 1.
    pub line: u32,
    /// The group that the rule came through, if it did.
    pub group: Option<Arc<str>>,
}

/// Why a statement is not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which of the needs failed first.
    pub need: usize,
    /// The DENY that refused it; `None`: no GRANT reaches it.
    pub rule: Option<RuleId>,
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

/// The compiled policy of one cluster: immutable, one a reload.
#[derive(Debug)]
pub struct PolicySet {
    generation: u64,
    mode: Mode,
}

/// What one principal may do under one policy generation and one state of the directory.
#[derive(Debug)]
pub struct Grants {
    mode: Mode,
}

impl PolicySet {
    /// Counts up with each reload.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What `principal` may do: its groups are read from `directory` now, so build it anew when the
    /// principal's epoch moves.
    pub fn grants_for(&self, _principal: &Principal, _directory: &State) -> Grants {
        Grants { mode: self.mode }
    }
}

impl Grants {
    /// Where a rule stands and how it reached the principal.
    pub fn explain(&self, _rule: RuleId) -> Option<Explanation> {
        None
    }
}

/// Judges what a statement needs: every need must be granted and none denied.
pub fn decide(grants: &Grants, needs: &[Need<'_>]) -> Decision {
    if needs.is_empty() {
        return Decision::Permitted(Permit { rule: None });
    }
    let denial = Denial { need: 0, rule: None };
    match grants.mode {
        Mode::Enforce => Decision::Refused(denial),
        Mode::Observe => Decision::Observed(Permit { rule: None }, denial),
    }
}
