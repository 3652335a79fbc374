//! The corpus that is run on a real node: what each of its statements needs, against what the node asked for.

use cqlgate_protocol::cql::statement::{Access, Category, Definition};
use cqlgate_protocol::cql::{Limits, Need, ParseError, Refusal, Resource, Statement, needs, parse};
use serde_json::Value;

use crate::fixture::Fixture;
use crate::permissions::is_own;
use crate::texts::audited;
use crate::{lines, with_types};

/// The corpus says `$me` for the role that runs it. Nobody is a role of Cassandra's through the gateway, so
/// what Cassandra grants a role on itself it does not grant here.
const ME: &str = "oracle_u";

/// Statements of which cqlgate says something else than the node, and what.
const OTHERWISE: &[(&str, &[&str], &str)] = &[
    ("ALTER ROLE sup WITH LOGIN = false", &["ALTER ON ROLE sup", "SUPERUSER"], SUPER),
    ("ALTER ROLE sup WITH PASSWORD = 'z'", &["ALTER ON ROLE sup", "SUPERUSER"], SUPER),
    ("GRANT sup TO r1", &["AUTHORIZE ON ROLE sup", "SUPERUSER"], SUPER),
    ("REVOKE sup FROM r1", &["AUTHORIZE ON ROLE sup", "SUPERUSER"], SUPER),
    ("GRANT AUTHORIZE ON ROLE sup TO r2", &["AUTHORIZE ON ROLE sup", "SUPERUSER"], SUPER),
    (
        "ALTER ROLE oracle_u WITH HASHED PASSWORD = \
         '$2a$10$JSJEMFm6GeaW9XxT5JIheuEtPvat6i7uKbnTcxX3c1wshIIsGyUtG'",
        &["ALTER ON ROLE oracle_u"],
        OWN,
    ),
    ("ALTER ROLE oracle_u WITH SUPERUSER = true", &["SUPERUSER"], OWN),
    ("ALTER ROLE oracle_u", &["ALTER ON ROLE oracle_u"], OWN),
    ("ALTER ROLE oracle_u WITH PASSWORD = 'secret'", &["ALTER ON ROLE oracle_u"], OWN),
    ("ALTER USER oracle_u WITH PASSWORD 'secret'", &["ALTER ON ROLE oracle_u"], OWN),
    ("ALTER ROLE oracle_u WITH LOGIN = true", &["ALTER ON ROLE oracle_u"], OWN),
    ("ALTER ROLE oracle_u WITH OPTIONS = {'a': 'b'}", &["ALTER ON ROLE oracle_u"], OWN),
    (
        "SELECT prepared_id FROM system.prepared_statements LIMIT 1",
        &[],
        "drivers look there for what they must prepare again; the texts there are for nobody else",
    ),
    ("LIST ROLES OF oracle_u", &["DESCRIBE ON ALL ROLES"], OWN),
    ("LIST ALL OF oracle_u", &["DESCRIBE ON ROLE oracle_u"], OWN),
    ("CREATE TABLE o1.n (id int, v text)", &["CREATE ON ALL TABLES IN KEYSPACE o1"], INVALID),
    (
        "CREATE MATERIALIZED VIEW o2.nv AS SELECT * FROM o1.p WHERE n IS NOT NULL AND id IS NOT NULL \
         PRIMARY KEY (n, id)",
        &["ALTER ON TABLE o2.p", "ALTER ON TABLE o1.p"],
        INVALID,
    ),
    (
        "CREATE AGGREGATE nosuchks.na(int) SFUNC sf STYPE int",
        &["CREATE ON ALL FUNCTIONS IN KEYSPACE nosuchks", "EXECUTE ON FUNCTION nosuchks.sf(int, int)"],
        INVALID,
    ),
    (
        "GRANT EXECUTE ON FUNCTION o1.nosuch(int) TO r2",
        &["AUTHORIZE ON FUNCTION o1.nosuch(int)", "EXECUTE ON FUNCTION o1.nosuch(int)"],
        INVALID,
    ),
    ("LIST ROLES OF nosuch", &["DESCRIBE ON ALL ROLES"], INVALID),
    ("LIST ALL OF nosuch", &["DESCRIBE ON ROLE nosuch"], INVALID),
    ("LIST ALL ON o1.nosuch OF r1", &["DESCRIBE ON ROLE r1"], INVALID),
    ("LIST ALL PERMISSIONS ON nosuchks.t", &["DESCRIBE ON ALL ROLES"], INVALID),
];
const SUPER: &str = "a role with superuser status is not changed, granted or revoked by others";
const OWN: &str = "nobody is a role of Cassandra's through the gateway, so no role is one's own";
const INVALID: &str = "the node finds it invalid before it asks for permissions; here they come first";

fn name(name: &str) -> String {
    let word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if word { name.to_owned() } else { format!("\"{name}\"") }
}

/// A resource as policies and the corpus write it.
pub(crate) fn words(resource: &Resource<'_>) -> String {
    match resource {
        Resource::AllKeyspaces => "ALL KEYSPACES".to_owned(),
        Resource::Keyspace(k) => format!("KEYSPACE {}", name(k)),
        Resource::AllTables(k) => format!("ALL TABLES IN KEYSPACE {}", name(k)),
        Resource::Table { keyspace, table } => format!("TABLE {}.{}", name(keyspace), name(table)),
        Resource::AllFunctions => "ALL FUNCTIONS".to_owned(),
        Resource::FunctionsIn(k) => format!("ALL FUNCTIONS IN KEYSPACE {}", name(k)),
        Resource::Function { keyspace, name: function, arguments } => {
            format!("FUNCTION {}.{}({arguments})", name(keyspace), name(function))
        }
        Resource::AllRoles => "ALL ROLES".to_owned(),
        Resource::Role(role) => format!("ROLE {}", name(role)),
        Resource::AllMbeans => "ALL MBEANS".to_owned(),
        Resource::Mbean(bean) => format!("MBEAN '{bean}'"),
        other => panic!("{other}"),
    }
}

fn found(need: &Need<'_>) -> String {
    let either = need.or.map(|other| format!("{other}|")).unwrap_or_default();
    format!("{either}{} ON {}", need.permission, words(&need.resource))
}

/// Whether the node checks the needs behind the first in no order worth the name.
pub(crate) fn is_unordered(statement: &Statement<'_>) -> bool {
    matches!(
        statement,
        Statement::Access(Access::Grant(_) | Access::Revoke(_))
            | Statement::Definition(Definition::DropFunction(_) | Definition::DropAggregate(_))
    )
}

/// What a statement needs, with a line for what is kept for superusers or nobody; and what is said to
/// everybody.
fn judged(statement: &Statement<'_>, keyspace: Option<&str>, fixture: &Fixture) -> (Vec<String>, String) {
    let said = |refusal: &Refusal| format!("{:#06x} {refusal}", refusal.code());
    let (mut all, refusal) = match needs(statement, keyspace, fixture) {
        Ok(found_needs) => (found_needs.needs.iter().map(found).collect::<Vec<_>>(), found_needs.refusal),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    match &refusal {
        Some(Refusal::Superuser(_)) => all.push("SUPERUSER".to_owned()),
        Some(Refusal::SystemKeyspace(_) | Refusal::SystemResource(..) | Refusal::SystemGrant) => {
            all = vec!["NOBODY".to_owned()];
        }
        _ => {}
    }
    (all, refusal.as_ref().map(said).unwrap_or_default())
}

#[test]
fn the_corpus_needs_what_the_node_asked_for() {
    let fixture = Fixture::new();
    let (mut wrong, mut same, mut otherwise, mut audits, mut invalid) = (Vec::new(), 0, 0, 0, 0);
    for row in lines(include_str!("../../../tests/promises/corpus/statements.jsonl")) {
        let Some(text) = row["statement"].as_str() else { continue };
        let text = text.replace("$me", ME).replace("$n int", "1 int").replace("$n text", "1 text");
        let error = row["error"].as_str().unwrap_or_default();
        let statement = match parse(&text, &Limits::default()) {
            Ok(statement) => statement,
            Err(ref refusal @ ParseError::Syntax(_))
                if error.starts_with(&format!("{:#06x}", refusal.code())) =>
            {
                continue;
            }
            Err(other) => {
                wrong.push(format!("{text}: {other}, the node: {error}"));
                continue;
            }
        };
        if let Some(audit) = row["audit"].as_array().filter(|audit| audit[0] == statement.kind().as_str()) {
            let (keyspace, scope) = audited(&statement, row["keyspace"].as_str());
            let told = |at: usize| audit.get(at).and_then(Value::as_str).map(with_types);
            if told(1) != keyspace || told(2) != scope {
                wrong.push(format!("{text}: audited {audit:?}, here {keyspace:?} {scope:?}"));
            }
            audits += 1;
        }
        let told = |need: &Value| need.as_str().unwrap().replace("$me", ME).replace("someone", ME);
        let mut told: Vec<_> = row["needs"].as_array().into_iter().flatten().map(told).collect();
        let (mut found, said) = judged(&statement, row["keyspace"].as_str(), &fixture);
        let rows = statement.kind().category() == Category::Data;
        found.retain(|need| told.contains(need) || !(rows && is_own(&text, need)));
        if is_unordered(&statement) {
            told.sort();
            found.sort();
        }
        if let Some((_, needs, _)) = OTHERWISE.iter().find(|(other, ..)| *other == text) {
            assert_eq!(found, *needs, "{text}");
            assert_ne!(found, told, "{text}");
            otherwise += 1;
        } else if found == told || (said.starts_with("0x2200") && error == said) {
            same += 1;
        } else if rows && told.is_empty() && error.starts_with("0x2200") {
            // Invalid for reasons that lie in columns and types.
            invalid += 1;
        } else {
            wrong.push(format!("{text}\n    node {told:?} {error}\n    here {found:?} {said}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(otherwise, OTHERWISE.len());
    assert!(same > 600 && audits > 600, "{same} same, {audits} audited, {invalid} invalid");
}
