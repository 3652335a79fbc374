//! Statements that were run as a plain role, and exactly the permissions that Cassandra asked for.

use cqlgate_protocol::cql::{Limits, Need, ParseError, Permission, Refusal, Resource, needs, parse};

use crate::fixture::Fixture;
use crate::lines;

fn name(need: &Need<'_>) -> (String, String) {
    let resource = match &need.resource {
        Resource::AllKeyspaces => "data".to_owned(),
        Resource::Keyspace(keyspace) => format!("data/{keyspace}"),
        Resource::AllTables(keyspace) => format!("data/{keyspace}/*"),
        Resource::Table { keyspace, table } => format!("data/{keyspace}/{table}"),
        other => panic!("{other}"),
    };
    (need.permission.as_str().to_owned(), resource)
}

#[test]
fn statements_need_exactly_what_cassandra_asks_for() {
    let fixture = Fixture::new();
    let (mut same, mut stricter, mut unjudged, mut invalid) = (0, 0, 0, 0);
    for row in lines(include_str!("../data/permissions.jsonl")) {
        let text = row["statement"].as_str().unwrap();
        let error = row["error"].as_str().unwrap_or_default();
        let told: Vec<(String, String)> = row["needs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|need| (need[0].as_str().unwrap().to_owned(), need[1].as_str().unwrap().to_owned()))
            .collect();
        let statement = match parse(text, &Limits::default()) {
            Ok(statement) => statement,
            Err(ParseError::Syntax(refusal)) => {
                assert!(error.starts_with("0x2000"), "{text}: {refusal}, but Cassandra: {error:?}");
                continue;
            }
            Err(other) => panic!("{text}: {other}"),
        };
        let kind = statement.kind();
        match needs(&statement, row["keyspace"].as_str(), &fixture) {
            Ok(found) => {
                let found: Vec<_> = found.needs.iter().map(name).collect();
                if told.is_empty() && error.starts_with("0x2200") {
                    // INVALID for reasons that lie in columns and types; the node says so.
                    invalid += 1;
                } else {
                    assert_eq!(found, told, "{text}");
                    same += 1;
                }
            }
            Err(Refusal::NotJudged(_)) => {
                assert!(!kind.is_judged(), "{text}");
                unjudged += 1;
            }
            Err(refusal @ (Refusal::Function { .. } | Refusal::Masked { .. })) => {
                assert_eq!(refusal.code(), 0x2100);
                let function = text.contains("o1.") || text.contains("o2.") || text.contains("f1(");
                let shadowed = text.contains("abs(") || text.contains("now(") || text.contains("g(");
                assert!(function || shadowed, "{text}: {refusal}");
                stricter += 1;
            }
            Err(refusal) => {
                assert_eq!(error, format!("{:#06x} {refusal}", refusal.code()), "{text}");
                same += 1;
            }
        }
    }
    assert!(same > 60 && unjudged > 60, "{same} same, {stricter} refused for now, {unjudged}, {invalid}");
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
