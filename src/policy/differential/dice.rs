//! Dice, and what they throw: rules, directories, principals, needs.

use std::borrow::Cow;
use std::sync::Arc;

use cqlgate_protocol::cql::{Need, Permission, Resource};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use time::OffsetDateTime;

use crate::directory::State;
use crate::directory::state::{Group, Namespace, PinKind, PinName, User};
use crate::principal::{Person, Principal, Service};

pub(super) const IDENTITIES: [&str; 2] = ["acme", "beta"];
pub(super) const KEYSPACES: [&str; 5] = ["a", "ab", "b", "system", "system_auth"];
pub(super) const TABLES: [&str; 4] = ["t", "tu", "u", "v"];
pub(super) const ROLES: [&str; 4] = ["r", "ra", "R 2", "r*"];
pub(super) const BEANS: [&str; 3] = ["d:a=1", "d:a=2", "e:a=1"];
/// Functions with the types of their arguments.
pub(super) const FUNCTIONS: [(&str, &str); 5] =
    [("f", "int"), ("f", "text"), ("fg", "int, text"), ("g", ""), ("now", "")];
const NAMES: [&str; 3] = ["x", "y", "Z"];

pub(super) struct Dice(TestRng);

impl Dice {
    /// The same throws each time, unless a seed says which.
    pub(super) fn new(seed: Option<String>) -> Self {
        let Some(seed) = seed else { return Self(TestRng::deterministic_rng(RngAlgorithm::ChaCha)) };
        let mut bytes = [0; 32];
        bytes[..seed.len().min(32)].copy_from_slice(&seed.as_bytes()[..seed.len().min(32)]);
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % n as u64).unwrap()
    }

    pub(super) fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// True once in `n` throws.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(super) fn rule(dice: &mut Dice) -> String {
    let effect = if dice.one_in(5) { "DENY" } else { "GRANT" };
    let k = dice.of(&["a", "ab", "\"a*\"", "\"*b\"", "\"*\"", "b", "system", "system_auth", "\"system*\""]);
    let t = dice.of(&["t", "u", "v", "\"t*\"", "\"*u\"", "\"*\""]);
    let f = dice.of(&["f", "g", "now", "\"f*\"", "\"*g\"", "\"*\""]);
    let types = dice.of(&["int", "TEXT", "varchar", "int,text", "Int , Varchar", ""]);
    let role = dice.of(&["r", "RA", "\"R 2\"", "'R 2'", "\"r*\"", "'r*'", "\"*\""]);
    let (permissions, scope): (&[&str], String) = match dice.below(16) {
        0 => (&["EXECUTE", "DROP", "ALL", "CREATE, ALTER"], "ALL FUNCTIONS".into()),
        1 => (&["EXECUTE", "DROP", "ALL", "CREATE, ALTER"], format!("ALL FUNCTIONS IN KEYSPACE {k}")),
        2 | 3 => (&["EXECUTE", "DROP, ALTER", "ALL", "AUTHORIZE"], format!("FUNCTION {k}.{f}({types})")),
        4 => (&["DESCRIBE", "ALTER", "ALL", "CREATE, DROP"], "ALL ROLES".into()),
        5 | 6 => (&["DESCRIBE", "ALTER", "ALL", "AUTHORIZE, DROP"], format!("ROLE {role}")),
        7 => match dice.below(3) {
            0 => (&["AUTHORIZE", "ALL"], "ALL MBEANS".into()),
            1 => (&["AUTHORIZE", "DESCRIBE, EXECUTE"], format!("MBEAN '{}'", dice.of(&BEANS))),
            _ => (&["AUTHORIZE", "ALL"], format!("MBEANS '{}'", dice.of(&["d:*", "*:a=1"]))),
        },
        level => {
            let permissions = &[
                "SELECT",
                "MODIFY",
                "DROP",
                "ALTER, DROP",
                "ALL",
                "SELECT, AUTHORIZE",
                "UNMASK",
                "SELECT_MASKED",
            ];
            let scope = match level {
                8 => "ALL KEYSPACES".to_owned(),
                9 | 10 => format!("KEYSPACE {k}"),
                11 => format!("ALL TABLES IN KEYSPACE {k}"),
                _ => format!("TABLE {k}.{t}"),
            };
            (permissions, scope)
        }
    };
    let permissions = dice.of(permissions);
    let identity = dice.of(&IDENTITIES);
    let name = dice.of(&NAMES);
    let grantee = match dice.below(7) {
        0 => "EVERYONE".to_owned(),
        1 => format!("EVERYONE OF \"{identity}\""),
        2 => "SERVICE \"s\" OF \"acme\"".to_owned(),
        3 | 4 => format!("USER \"{name}\" OF \"{identity}\""),
        _ => format!("GROUP \"{name}\" OF \"{identity}\""),
    };
    format!("{effect} {permissions} ON {scope} TO {grantee};\n")
}

pub(super) fn directory(dice: &mut Dice) -> State {
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

pub(super) fn principal(dice: &mut Dice) -> Principal {
    let identity = dice.of(&["acme", "beta", "acme", "beta", "gamma"]).into();
    if dice.below(6) == 0 {
        return Principal::Service(Service { identity, name: dice.of(&["s", "x"]).into() });
    }
    let id = dice.of(&["u1", "u2", "u1", "u2", "u3"]).into();
    Principal::Person(Person { identity, id, user_name: "x".into() })
}

/// Any permission on any resource, also where it makes no sense.
pub(super) fn need(dice: &mut Dice) -> Need<'static> {
    let keyspace = Cow::Borrowed(dice.of(&KEYSPACES));
    let (name, arguments) = FUNCTIONS[dice.below(FUNCTIONS.len())];
    let resource = match dice.below(16) {
        0 => Resource::AllKeyspaces,
        1 => Resource::AllTables(keyspace),
        2 | 3 => Resource::Keyspace(keyspace),
        4 => Resource::AllFunctions,
        5 => Resource::FunctionsIn(keyspace),
        6 | 7 => Resource::Function { keyspace, name: name.into(), arguments: arguments.into() },
        8 => Resource::AllRoles,
        9 | 10 => Resource::Role(dice.of(&ROLES).into()),
        11 if dice.one_in(3) => Resource::AllMbeans,
        11 => Resource::Mbean(dice.of(&BEANS).into()),
        _ => Resource::Table { keyspace, table: Cow::Borrowed(dice.of(&TABLES)) },
    };
    let applicable = resource.applicable();
    let mut permission = || match dice.below(12) {
        0 => Permission::ALL[dice.below(10)],
        1..=3 => Permission::Drop,
        _ => applicable[dice.below(applicable.len())],
    };
    let (one, other) = (permission(), permission());
    let or = dice.one_in(6).then_some(other);
    Need { or, ..Need::new(one, resource, "random") }
}
