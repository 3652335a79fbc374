//! The authority on CQL: what comes of a statement through the gateway is what comes of it on Cassandra, for
//! each statement of a corpus, with all that it needs, without each of it, and with grants that were drawn.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cqlgate_testkit::differential::{Corpus, Direct, Intended, Plan, Report, Through, run};
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use serde_json::json;

const STATEMENTS: &str = include_str!("corpus/statements.jsonl");
const SCHEMA: &str = include_str!("corpus/schema.cql");
const INTENDED: &str = include_str!("corpus/intended.jsonl");

/// Who runs the clock, and the clock.
const KEEPER: &str = "keeper";
const CLOCK: &str = "ALTER TABLE o2.clock WITH comment = '$n'";

/// Runs with drawn grants that every run of the tests makes.
const DRAWN: usize = 150;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What is not as it should be, as a table; empty if all is.
fn findings(report: &Report, intended: &[Intended]) -> String {
    let mut text = String::new();
    for (title, found) in [
        ("cqlgate and Cassandra differ", &report.differences),
        ("the node does not do what the corpus says", &report.surprises),
        ("the audit logs differ", &report.misread),
    ] {
        if !found.is_empty() {
            let _ = writeln!(text, "== {title}: {}", found.len());
            for line in found {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    for entry in intended.iter().filter(|entry| !entry.rare && !report.explained.contains_key(&entry.name)) {
        let _ = writeln!(text, "== intended but never seen: {}", entry.name);
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_codes_and_texts_are_cassandras() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("CQLGATE_DIFFERENTIAL_SEED").unwrap_or(now);
    // So many runs with drawn grants. If somebody asked for a number, then also with grants on the resources
    // above, and as prepared statements.
    let asked = number("CQLGATE_DIFFERENTIAL_CASES").map(|n| usize::try_from(n).unwrap());
    let corpus = Corpus::parse(STATEMENTS).unwrap();
    let plan = Plan::new(&corpus, asked.unwrap_or(DRAWN), asked.is_some(), seed).unwrap();
    let intended = Intended::parse(INTENDED).unwrap();

    let mut direct = Direct::start(SCHEMA).await.unwrap();
    let issuer = Issuer::start().await.unwrap();
    let clock = format!("GRANT ALTER ON TABLE o2.clock TO USER \"{KEEPER}\";\n");
    let settings = Settings {
        audit_extra: "data = \"all\"".into(),
        ..Settings::new(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), &direct.node.addr(), Direct::account())
    };
    let settings = settings.policy(clock + &plan.policy());
    let gateway = Gateway::start(settings).await.unwrap();
    let names: Vec<_> =
        plan.principals.iter().map(|principal| principal.name.as_str()).chain([KEEPER]).collect();
    for some in names.chunks(4) {
        let push = async |at: usize| {
            let Some(name) = some.get(at) else { return };
            let body = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": name, "externalId": format!("{name}-sub"), "active": true,
            });
            assert_eq!(gateway.scim("POST", "/Users", Some(&body)).await.unwrap().status, 201, "{name}");
        };
        tokio::join!(push(0), push(1), push(2), push(3));
    }
    let token = |name: &str| {
        issuer.token(&format!("{name}-sub")).audience("cassandra").lifetime(Duration::from_hours(1)).sign()
    };
    let through =
        Through { gateway: &gateway, token: &token, prepared: asked.is_some(), keeper: KEEPER, clock: CLOCK };
    let report = run(&corpus, &plan, &intended, &mut direct, through).await.unwrap();

    println!(
        "seed {seed}: {} statements, {} sets of grants, {} runs: {} served by both, {} refused by both in the \
         same words, intended differences {:?}; {} audit lines compared",
        corpus.cases.len(),
        plan.principals.len(),
        report.runs,
        report.agreed[0],
        report.agreed[1],
        report.explained,
        report.compared
    );
    let findings = findings(&report, &intended);
    assert!(findings.is_empty(), "seed {seed}\n{findings}");
    assert!(corpus.cases.len() >= 400 && report.compared > 400, "{} compared", report.compared);
}
