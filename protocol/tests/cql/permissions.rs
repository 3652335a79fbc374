//! Statements that were run as a plain role, and exactly the permissions that Cassandra asked for.

use cqlgate_protocol::cql::statement::Category;
use cqlgate_protocol::cql::{Limits, Need, ParseError, Permission, Refusal, needs, parse};
use serde_json::Value;

use crate::corpus::is_unordered;
use crate::fixture::Fixture;
use crate::{lines, path, with_types};

/// Permission and resource as the rows write them.
fn told(need: &Value) -> String {
    format!("{} {}", need[0].as_str().unwrap(), with_types(need[1].as_str().unwrap()))
}

/// The same of a need.
fn found(need: &Need<'_>) -> String {
    let either = need.or.map_or(String::new(), |other| format!("{other}|"));
    format!("{either}{} {}", need.permission, path(&need.resource))
}

/// Rows in which cqlgate asks for more than Cassandra, each with its reason.
const STRICTER: [(&str, &str, &str); 4] = [
    ("ALTER ROLE sup WITH LOGIN = false", "ALTER roles/sup", "a superuser is not changed by others"),
    (
        "ALTER ROLE oracle_u WITH HASHED PASSWORD = \
         '$2a$10$JSJEMFm6GeaW9XxT5JIheuEtPvat6i7uKbnTcxX3c1wshIIsGyUtG'",
        "ALTER roles/oracle_u",
        "nobody is a role of Cassandra's here, so no role is one's own",
    ),
    ("ALTER ROLE oracle_u", "ALTER roles/oracle_u", "the same"),
    ("LIST ALL OF oracle_u", "DESCRIBE roles/oracle_u", "the same"),
];

/// Calls in positions that Cassandra forgets to check: elements and slices of a selection, and the element
/// that an UPDATE sets.
const FORGOTTEN: [&str; 8] = [
    "m[o1.f1('k')]",
    "l[o1.f1(0)]",
    "st[o1.f1('a')..]",
    "m['a'..o1.f1('b')]",
    "m[o1.f1('a')]",
    "st[o1.f1(",
    " m[f1(",
    " l[f1(",
];

/// Whether a need of a statement on rows is cqlgate's own: a function that Cassandra forgets, a masked column
/// that is shown.
pub(crate) fn is_own(text: &str, need: &str) -> bool {
    need.starts_with("UNMASK ")
        || (need.starts_with("EXECUTE ") && FORGOTTEN.iter().any(|position| text.contains(position)))
}

#[test]
fn statements_need_exactly_what_cassandra_asks_for() {
    let fixture = Fixture::new();
    let (mut same, mut stricter, mut invalid) = (0, 0, 0);
    for row in lines(include_str!("../data/permissions.jsonl")) {
        let text = row["statement"].as_str().unwrap();
        let error = row["error"].as_str().unwrap_or_default();
        let mut told: Vec<_> = row["needs"].as_array().into_iter().flatten().map(told).collect();
        let statement = match parse(text, &Limits::default()) {
            Ok(statement) => statement,
            Err(ParseError::Syntax(refusal)) => {
                assert!(error.starts_with("0x2000"), "{text}: {refusal}, but Cassandra: {error:?}");
                continue;
            }
            Err(other) => panic!("{text}: {other}"),
        };
        match needs(&statement, row["keyspace"].as_str(), &fixture) {
            Ok(all) => {
                let mut found: Vec<_> = all.needs.iter().map(found).collect();
                match all.refusal {
                    Some(refusal @ Refusal::Superuser(_)) => {
                        found.push("SUPERUSER ".to_owned());
                        assert_eq!(refusal.code(), 0x2100);
                    }
                    Some(refusal) => {
                        assert_eq!(told, ["NOBODY "], "{text}");
                        assert_eq!(error, format!("{:#06x} {refusal}", refusal.code()), "{text}");
                        same += 1;
                        continue;
                    }
                    None => {}
                }
                if let Some((_, need, _)) = STRICTER.iter().find(|(row, ..)| *row == text) {
                    assert_eq!(found.first().map(String::as_str), Some(*need), "{text}");
                    assert_ne!(found, told, "{text}");
                    stricter += 1;
                    continue;
                }
                if is_unordered(&statement) {
                    found.sort();
                    told.sort();
                }
                let rows = statement.kind().category() == Category::Data;
                let count = found.len();
                found.retain(|need| told.contains(need) || !(rows && is_own(text, need)));
                stricter += usize::from(found.len() < count);
                if told.is_empty() && error.starts_with("0x2200") && rows {
                    // INVALID for reasons that lie in columns and types; the node says so.
                    invalid += 1;
                } else {
                    assert_eq!(found, told, "{text}");
                    same += 1;
                }
            }
            Err(Refusal::Superuser(_)) => {
                assert_eq!(told, ["SUPERUSER "], "{text}");
                same += 1;
            }
            Err(refusal) => {
                assert_eq!(error, format!("{:#06x} {refusal}", refusal.code()), "{text}");
                same += 1;
            }
        }
    }
    assert!(same > 130, "{same} same, {stricter} stricter, {invalid}");
}

#[test]
fn a_need_says_why() {
    let fixture = Fixture::new();
    let statement = parse("UPDATE o1.base SET x = 1 WHERE id = 1 IF EXISTS", &Limits::default()).unwrap();
    let found = needs(&statement, None, &fixture).unwrap().needs;
    assert_eq!(found.len(), 4);
    assert_eq!(found[0].permission, Permission::Modify);
    assert!(found.iter().all(|need| !need.why.is_empty()));
}
