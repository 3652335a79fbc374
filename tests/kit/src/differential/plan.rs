//! Which grants each statement is run with, and who holds them: one principal for each set of grants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::corpus::Corpus;
use super::grant::Grant;
use crate::trouble::Result;

/// Somebody: a role of the node, and a person of the same name.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The name.
    pub name: String,
    /// What is held.
    pub grants: BTreeSet<Grant>,
    /// Superuser at the node; nobody is that through the gateway.
    pub superuser: bool,
}

/// One run of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Its place in the corpus.
    pub case: usize,
    /// Who runs it.
    pub principal: usize,
    /// What is to be seen at the node.
    pub expected: Expected,
}

/// What the corpus says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expected {
    /// All that is needed is granted: the case's own error, or none.
    Granted,
    /// Something is missing.
    Missing,
    /// Nobody has said: the grants were drawn.
    Unknown,
}

/// Everything that will be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who there is.
    pub principals: Vec<Principal>,
    /// The runs, in the order of the corpus.
    pub turns: Vec<Turn>,
}

impl Plan {
    /// For each case: exactly what it needs, that without one of them each, and so many runs with grants drawn
    /// from all that the corpus speaks of. A thorough plan also grants on the resources above.
    pub fn new(corpus: &Corpus, drawn: usize, thorough: bool, seed: u64) -> Result<Self> {
        let mut plan = Planner::default();
        let mut all = BTreeSet::new();
        for (case, of) in corpus.cases.iter().enumerate() {
            let needed = of.grants()?;
            all.extend(needed.iter().cloned());
            let superuser = of.is_for_superusers();
            plan.turn(case, needed.iter().cloned().collect(), superuser, Expected::Granted);
            let other: BTreeSet<_> = of.other_grants()?.into_iter().collect();
            plan.turn(case, other, superuser, Expected::Granted);
            if thorough {
                // A system keyspace is out of the reach of a grant on all keyspaces.
                plan.turn(case, needed.iter().map(Grant::on_root).collect(), superuser, Expected::Unknown);
                let above = needed.iter().map(|grant| grant.lifted().unwrap_or_else(|| grant.clone()));
                plan.turn(case, above.collect(), superuser, Expected::Unknown);
            }
            if superuser {
                plan.turn(case, needed.iter().cloned().collect(), false, Expected::Missing);
            }
            for missing in 0..needed.len() {
                let rest = needed.iter().enumerate().filter(|(at, _)| *at != missing);
                plan.turn(case, rest.map(|(_, grant)| grant.clone()).collect(), false, Expected::Missing);
            }
        }
        let all: Vec<_> = all.into_iter().collect();
        let mut draw = Draw(seed);
        for _ in 0..drawn {
            let case = draw.below(corpus.cases.len());
            let Some(of) = corpus.cases.get(case) else { continue };
            let mut grants = BTreeSet::new();
            for grant in of.grants()? {
                match draw.below(8) {
                    0..=3 => grants.insert(grant),
                    4 => grants.insert(grant.lifted().unwrap_or(grant)),
                    5 => grants.insert(grant.on_root()),
                    _ => false,
                };
            }
            for _ in 0..draw.below(4) {
                let grant = all.get(draw.below(all.len())).cloned();
                grants.extend(grant.map(|grant| if draw.below(3) == 0 { grant.on_root() } else { grant }));
            }
            plan.turn(case, grants, false, Expected::Unknown);
        }
        Ok(plan.done())
    }

    /// The grants of all principals as policy.
    pub fn policy(&self) -> String {
        let mut text = String::new();
        for principal in &self.principals {
            for grant in &principal.grants {
                let grant = grant.to_string().replace("$me", &principal.name);
                let _ = writeln!(text, "GRANT {grant} TO USER \"{}\";", principal.name);
            }
        }
        text
    }
}

#[derive(Default)]
struct Planner {
    known: BTreeMap<(BTreeSet<Grant>, bool), usize>,
    turns: BTreeMap<(usize, usize), Expected>,
}

impl Planner {
    /// The first who says what to expect of a run is right.
    fn turn(&mut self, case: usize, grants: BTreeSet<Grant>, superuser: bool, expected: Expected) {
        let next = self.known.len();
        let principal = *self.known.entry((grants, superuser)).or_insert(next);
        self.turns.entry((case, principal)).or_insert(expected);
    }

    fn done(self) -> Plan {
        let mut principals: Vec<_> = self.known.into_iter().collect();
        principals.sort_by_key(|(_, at)| *at);
        let principals = principals
            .into_iter()
            .map(|((grants, superuser), at)| Principal { name: format!("p{at}"), grants, superuser })
            .collect();
        let turns = self.turns.into_iter();
        let turns = turns.map(|((case, principal), expected)| Turn { case, principal, expected }).collect();
        Plan { principals, turns }
    }
}

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &str = r#"{"statement":"SELECT * FROM k.t","needs":["SELECT ON TABLE k.t"]}
{"statement":"UPDATE k.t ..","needs":["MODIFY ON TABLE k.t","SELECT ON TABLE k.t"]}
{"statement":"DROP ROLE $me","needs":["SUPERUSER"]}"#;

    #[test]
    fn each_case_runs_with_all_and_with_all_but_one() {
        let corpus = Corpus::parse(CORPUS).unwrap();
        let plan = Plan::new(&corpus, 1, true, 1).unwrap();
        let of = |case: usize| plan.turns.iter().filter(|turn| turn.case == case).collect::<Vec<_>>();
        // All, on all keyspaces, on all tables of the keyspace, nothing.
        assert!(of(0).len() >= 4);
        assert_eq!(of(0).iter().filter(|turn| turn.expected == Expected::Missing).count(), 1);
        assert_eq!(of(1).iter().filter(|turn| turn.expected == Expected::Missing).count(), 2);
        assert!(of(2).len() >= 2);
        // One principal for one set: the SELECT alone is held by one.
        let holders = plan
            .principals
            .iter()
            .filter(|principal| principal.grants.iter().map(ToString::to_string).eq(["SELECT ON TABLE k.t"]));
        assert_eq!(holders.count(), 1);
        assert!(plan.policy().contains("GRANT SELECT ON TABLE k.t TO USER \"p0\";\n"));
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        let corpus = Corpus::parse(CORPUS).unwrap();
        let drawn = |seed| Plan::new(&corpus, 50, false, seed).unwrap().policy();
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }
}
