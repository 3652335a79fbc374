//! The compiled decider against the naive one, on random policies, directories, principals and either
//! statements in random schemas or random needs.
//!
//! `CQLGATE_POLICY_CASES` sets how many (100,000 by default).

mod dice;
mod statements;

use std::sync::Arc;

use cqlgate_protocol::cql::{Limits, Need, needs, parse as parse_statement};

use self::dice::{Dice, IDENTITIES};
use self::statements::RandomSchema;
use super::naive;
use super::parser::{World, parse};
use super::rule::Rule;
use super::{Decision, Grants, PolicySet, decide_naming};
use crate::config::model::Mode;

fn verdict(grants: &Grants, needs: &[Need<'_>], named: &[Need<'_>]) -> Result<(), (usize, bool)> {
    match decide_naming(grants, needs, named) {
        Decision::Permitted(_) => Ok(()),
        Decision::Refused(denial) => Err((denial.need, denial.rule.is_some())),
        Decision::Observed(..) => panic!("nothing observes here"),
    }
}

fn compile(rules: Vec<Rule>) -> PolicySet {
    let identities = IDENTITIES.map(Arc::from).to_vec();
    PolicySet::index(Mode::Enforce, identities, rules, 1, Vec::new())
}

#[test]
fn the_compiled_decider_says_what_the_naive_one_says() {
    let cases: usize = std::env::var("CQLGATE_POLICY_CASES").map_or(100_000, |n| n.parse().unwrap());
    let mut dice = Dice::new(std::env::var("CQLGATE_POLICY_SEED").ok());
    let world =
        World { identities: IDENTITIES.map(Arc::from).to_vec(), services: vec![("acme".into(), "s".into())] };
    let limits = Limits::default();
    let (mut judged, mut permitted, mut denied) = (0, 0, 0);
    let (mut statements, mut unparsed, mut refused) = (0, 0, 0);
    while judged < cases {
        let lines: Vec<String> = (0..dice.below(40)).map(|_| dice::rule(&mut dice)).collect();
        let (rules, findings) = parse(&"f".into(), &lines.concat(), &world);
        assert!(findings.is_empty(), "{findings:?}");
        let directory = dice::directory(&mut dice);
        let schema = RandomSchema::new(&mut dice);
        let set = compile(rules.clone());
        let mut reversed = rules.clone();
        reversed.reverse();
        let turned = compile(reversed);
        for _ in 0..4 {
            let who = dice::principal(&mut dice);
            let grants = set.grants_for(&who, &directory);
            let other_order = turned.grants_for(&who, &directory);
            let mut compare = |about: &str, needs: &[Need<'_>], named: &[Need<'_>]| {
                let got = verdict(&grants, needs, named);
                let want = naive::judge(&rules, &IDENTITIES, &directory, &who, needs, named);
                assert_eq!(got, want, "{about}\n{lines:#?}\n{directory:#?}\n{who}\n{needs:#?}\n{named:#?}");
                assert_eq!(
                    verdict(&other_order, needs, named),
                    want,
                    "the order of rules mattered: {lines:#?}"
                );
                judged += 1;
                permitted += usize::from(got.is_ok());
                denied += usize::from(matches!(got, Err((_, true))));
            };
            for _ in 0..4 {
                let needs: Vec<_> = (0..=dice.below(2)).map(|_| dice::need(&mut dice)).collect();
                let named: Vec<_> = (0..dice.below(2)).map(|_| dice::need(&mut dice)).collect();
                compare("random needs", &needs, &named);
            }
            for _ in 0..8 {
                let text = statements::statement(&mut dice);
                let keyspace = (!dice.one_in(4)).then(|| dice.of(&["a", "ab", "b"]));
                let Ok(statement) = parse_statement(&text, &limits) else {
                    unparsed += 1;
                    continue;
                };
                match needs(&statement, keyspace, &schema) {
                    Ok(found) => {
                        statements += 1;
                        compare(&text, &found.needs, &found.named);
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    println!(
        "{judged} judged ({statements} of them statements), {permitted} permitted, {denied} refused by a DENY, \
         0 differences; besides, {refused} statements were refused before policy, {unparsed} did not parse"
    );
    assert!(
        permitted * 50 > judged && denied * 50 > judged,
        "{permitted} and {denied} of {judged}: dull dice"
    );
    assert!(statements * 3 > judged, "{statements} of {judged}: few statements");
    assert!(unparsed * 50 < judged, "{unparsed} statements do not parse");
}
