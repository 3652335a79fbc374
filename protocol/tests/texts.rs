//! Texts that a Cassandra 5.0.8 was asked, and what it made of them: each must be read as the same kind of
//! statement on the same table, or be refused where Cassandra refuses it as no CQL.

use cqlgate_protocol::cql::{Limits, ParseError, Statement, parse};
use serde_json::Value;

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Texts that Cassandra reads and cqlgate refuses, each with its reason.
const REFUSED_ON_PURPOSE: [(&str, &str); 3] = [
    ("SELECT [[[[[[[[[[[[[[a]]]]]]]]]]]]]] FROM lx.t", "14 levels: a node's time grows by 1.8 with each"),
    ("SELECT max(max(max(max(max(max(max(max(max(max(max(max(max(max(a)))))))))))))) FROM lx.t", "the same"),
    ("SELECT -(-(-(-(-(-(-(-(-(-(-(-(-(-(a)))))))))))))) FROM lx.t", "the same"),
];

#[test]
fn texts_are_read_as_cassandra_reads_them() {
    let mut wrong = Vec::new();
    let (mut read, mut refused) = (0, 0);
    for row in lines(include_str!("data/texts.jsonl")) {
        let bytes = bytes(row["hex"].as_str().unwrap());
        let Ok(text) = std::str::from_utf8(&bytes) else {
            assert_eq!(row["utf8"], false);
            continue;
        };
        assert_ne!(row["utf8"], false, "{text}");
        let outcome = parse(text, &Limits::default());
        let kind = outcome.as_ref().ok().map(|statement| statement.kind().as_str());
        if kind != row["kind"].as_str() && judged(row["kind"].as_str()) {
            let on_purpose = kind.is_none() && REFUSED_ON_PURPOSE.iter().any(|(other, _)| *other == text);
            if !on_purpose {
                wrong.push(format!("{text:?}: Cassandra {}, here {outcome:?}", row["kind"]));
            }
            continue;
        }
        match outcome {
            Err(error) => {
                refused += 1;
                assert!(matches!(error, ParseError::Syntax(_)), "{text:?}: {error}");
            }
            Ok(statement) => {
                read += 1;
                if let Some(told) = row["audit"].as_array().filter(|_| statement.kind().is_judged()) {
                    let (keyspace, scope) = named(&statement, row["keyspace"].as_str());
                    let cut = told[1].as_str().is_some_and(|scope| scope.contains(".."));
                    if cut {
                        continue;
                    }
                    if told[0].as_str() != keyspace.as_deref() || told[1].as_str() != scope.as_deref() {
                        wrong.push(format!("{text:?}: audited {told:?}, here {keyspace:?} {scope:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{read} read, {refused} refused, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read > 500 && refused > 500, "{read} read, {refused} refused");
}

fn judged(kind: Option<&str>) -> bool {
    let definitions =
        ["CREATE_TABLE", "DROP_TABLE", "CREATE_KEYSPACE", "DROP_KEYSPACE", "USE_KEYSPACE", "TRUNCATE"];
    kind.is_none_or(|kind| {
        definitions.contains(&kind) || ["SELECT", "UPDATE", "DELETE", "BATCH"].contains(&kind)
    })
}

/// What Cassandra's audit log would say of a statement: keyspace and table.
fn named(statement: &Statement<'_>, session: Option<&str>) -> (Option<String>, Option<String>) {
    if let Some(table) = statement.table() {
        let keyspace = table.keyspace.as_deref().or(session);
        return (keyspace.map(str::to_owned), Some(table.name.clone().into_owned()));
    }
    match statement {
        Statement::Use(keyspace)
        | Statement::CreateKeyspace(keyspace)
        | Statement::DropKeyspace(keyspace) => (Some(keyspace.clone().into_owned()), None),
        _ => (session.map(str::to_owned), None),
    }
}
