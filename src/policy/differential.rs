//! The compiled decider against the naive one, on random policies, directories, principals and needs.
//!
//! `CQLGATE_POLICY_CASES` sets how many (100,000 by default).

use std::borrow::Cow;
use std::sync::Arc;

use cqlgate_protocol::cql::{Need, Permission, Resource};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use time::OffsetDateTime;

use super::naive;
use super::parser::{World, parse};
use super::rule::Rule;
use super::{Decision, Grants, PolicySet, decide_naming};
use crate::config::model::Mode;
use crate::directory::State;
use crate::directory::state::{Group, Namespace, PinKind, PinName, User};
use crate::principal::{Person, Principal, Service};

const IDENTITIES: [&str; 2] = ["acme", "beta"];
const KEYSPACES: [&str; 5] = ["a", "ab", "b", "system", "system_auth"];
const TABLES: [&str; 3] = ["t", "tu", "u"];
const NAMES: [&str; 3] = ["x", "y", "Z"];

struct Dice(TestRng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % n as u64).unwrap()
    }

    fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

fn rule(dice: &mut Dice) -> String {
    let effect = if dice.below(5) == 0 { "DENY" } else { "GRANT" };
    let permission = dice.of(&["SELECT", "MODIFY", "DROP", "ALTER, DROP", "ALL", "SELECT, AUTHORIZE"]);
    let k = dice.of(&["a", "ab", "\"a*\"", "\"*b\"", "\"*\"", "b", "system", "system_auth", "\"system*\""]);
    let t = dice.of(&["t", "u", "\"t*\"", "\"*u\"", "\"*\""]);
    let scope = match dice.below(6) {
        0 => "ALL KEYSPACES".to_owned(),
        1 => format!("KEYSPACE {k}"),
        2 => format!("ALL TABLES IN KEYSPACE {k}"),
        _ => format!("TABLE {k}.{t}"),
    };
    let identity = dice.of(&IDENTITIES);
    let name = dice.of(&NAMES);
    let grantee = match dice.below(7) {
        0 => "EVERYONE".to_owned(),
        1 => format!("EVERYONE OF \"{identity}\""),
        2 => "SERVICE \"s\" OF \"acme\"".to_owned(),
        3 | 4 => format!("USER \"{name}\" OF \"{identity}\""),
        _ => format!("GROUP \"{name}\" OF \"{identity}\""),
    };
    format!("{effect} {permission} ON {scope} TO {grantee};\n")
}

fn directory(dice: &mut Dice) -> State {
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut state = State::default();
    for identity in IDENTITIES {
        let mut namespace = Namespace::default();
        for id in ["u1", "u2"] {
            let user = User {
                id: id.into(),
                external_id: None,
                user_name: dice.of(&NAMES).into(),
                active: dice.below(8) > 0,
                attributes: Arc::default(),
                created: now,
                last_modified: now,
                epoch: 0,
            };
            namespace.users.insert_mut(id.into(), Arc::new(user));
        }
        for id in ["g1", "g2"] {
            let mut group = Group {
                id: id.into(),
                external_id: None,
                display_name: dice.of(&NAMES).into(),
                members: rpds::HashTrieSetSync::default(),
                attributes: Arc::default(),
                created: now,
                last_modified: now,
            };
            for user in ["u1", "u2"] {
                if dice.below(2) == 0 {
                    group.members.insert_mut(user.into());
                    let mut of = namespace.groups_of.get(user).cloned().unwrap_or_default();
                    of.insert_mut(id.into());
                    namespace.groups_of.insert_mut(user.into(), of);
                }
            }
            namespace.groups.insert_mut(id.into(), Arc::new(group));
        }
        for name in NAMES {
            for (kind, ids) in [(PinKind::User, ["u1", "u2"]), (PinKind::Group, ["g1", "g2"])] {
                if dice.below(4) > 0 {
                    let pin = PinName { identity: identity.into(), kind, name: name.into() };
                    state.pins.insert_mut(pin, dice.of(&ids).into());
                }
            }
        }
        state.namespaces.insert_mut(identity.into(), namespace);
    }
    state
}

fn principal(dice: &mut Dice) -> Principal {
    let identity = dice.of(&["acme", "beta", "acme", "beta", "gamma"]).into();
    if dice.below(6) == 0 {
        return Principal::Service(Service { identity, name: dice.of(&["s", "x"]).into() });
    }
    let id = dice.of(&["u1", "u2", "u1", "u2", "u3"]).into();
    Principal::Person(Person { identity, id, user_name: "x".into() })
}

fn need(dice: &mut Dice) -> Need<'static> {
    let keyspace = Cow::Borrowed(dice.of(&KEYSPACES));
    let resource = match dice.below(8) {
        0 => Resource::AllKeyspaces,
        1 => Resource::AllTables(keyspace),
        2 => Resource::Keyspace(keyspace),
        _ => Resource::Table { keyspace, table: Cow::Borrowed(dice.of(&TABLES)) },
    };
    let permissions =
        [Permission::Select, Permission::Modify, Permission::Drop, Permission::Create, Permission::Authorize];
    Need::new(permissions[dice.below(permissions.len())], resource, "random")
}

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
    let mut dice = Dice(TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    if let Ok(seed) = std::env::var("CQLGATE_POLICY_SEED") {
        let mut bytes = [0; 32];
        bytes[..seed.len().min(32)].copy_from_slice(&seed.as_bytes()[..seed.len().min(32)]);
        dice = Dice(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    }
    let world =
        World { identities: IDENTITIES.map(Arc::from).to_vec(), services: vec![("acme".into(), "s".into())] };
    let (mut judged, mut permitted, mut denied) = (0, 0, 0);
    while judged < cases {
        let lines: Vec<String> = (0..dice.below(30)).map(|_| rule(&mut dice)).collect();
        let (rules, findings) = parse(&"f".into(), &lines.concat(), &world);
        assert!(findings.is_empty(), "{findings:?}");
        let directory = directory(&mut dice);
        let set = compile(rules.clone());
        let mut reversed = rules.clone();
        reversed.reverse();
        let turned = compile(reversed);
        for _ in 0..4 {
            let who = principal(&mut dice);
            let grants = set.grants_for(&who, &directory);
            let other_order = turned.grants_for(&who, &directory);
            for _ in 0..8 {
                let needs: Vec<_> = (0..=dice.below(2)).map(|_| need(&mut dice)).collect();
                let named: Vec<_> = (0..dice.below(2)).map(|_| need(&mut dice)).collect();
                let got = verdict(&grants, &needs, &named);
                let want = naive::judge(&rules, &IDENTITIES, &directory, &who, &needs, &named);
                assert_eq!(got, want, "{lines:#?}\n{directory:#?}\n{who}\n{needs:#?}\n{named:#?}");
                assert_eq!(
                    verdict(&other_order, &needs, &named),
                    want,
                    "the order of rules mattered: {lines:#?}"
                );
                judged += 1;
                permitted += usize::from(got.is_ok());
                denied += usize::from(matches!(got, Err((_, true))));
            }
        }
    }
    println!("{judged} judged, {permitted} permitted, {denied} refused by a DENY, 0 differences");
    assert!(
        permitted * 50 > judged && denied * 50 > judged,
        "{permitted} and {denied} of {judged}: dull dice"
    );
}
