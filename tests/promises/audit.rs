//! The audit log: every log-in, refusal and definition as one line that says all there is to say.

use std::collections::BTreeSet;

use cqlgate_testkit::gateway::Settings;
use serde_json::{Value, json};

use crate::world::{World, refusal};

const POLICY: &str = "GRANT SELECT, MODIFY, CREATE, DROP ON KEYSPACE $ks TO GROUP \"team\";
GRANT SELECT ON KEYSPACE $ks TO USER \"bob\";
DENY MODIFY ON TABLE $ks.closed TO EVERYONE;
";
const TABLES: &[&str] = &[
    "CREATE TABLE $ks.t (k int PRIMARY KEY, v text)",
    "CREATE TABLE $ks.closed (k int PRIMARY KEY, v text)",
];
/// A bound value that would be seen.
const BOUND: &str = "not-to-be-seen-4711";

fn fields(line: &Value) -> BTreeSet<&str> {
    line.as_object().unwrap().keys().map(String::as_str).collect()
}

/// `who` of a line, as it must be for a person of the test's directory.
fn who(world: &World, name: &str, scim_id: &str, token_id: &str) -> Value {
    json!({ "kind": "person", "identity": "acme", "scim_id": scim_id, "name": name,
        "issuer": world.issuer.url(), "subject": format!("{name}-sub"), "token_id": token_id })
}

async fn sample(world: &World, start: &str) -> u64 {
    let text = world.gateway.admin("/metrics").await.unwrap().text();
    let line = text.lines().find(|line| line.to_lowercase().starts_with(&start.to_lowercase()));
    let line = line.unwrap_or_else(|| panic!("no {start} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn log_ins_refusals_and_definitions_are_lines() {
    let world = World::new("audit", TABLES, POLICY).await;
    let (alice_id, bob_id) = (world.person("alice").await, world.person("bob").await);
    world.group("team", &[&alice_id]).await;
    let token = world.issuer.token("alice-sub").claim("jti", "jti-of-alice").sign();
    let addr = world.gateway.cql_addr();
    let mut alice = cqlgate_testkit::cql::Cql::connect(addr, "alice", &token).await.unwrap();
    let alice_at = alice.peer().local_addr().unwrap().to_string();
    let whole = who(&world, "alice", &alice_id, "jti-of-alice");

    // The log-in.
    let line = world.gateway.audit_line("Alice", |l| l["who"]["name"] == "alice").await.unwrap();
    assert_eq!(
        fields(&line),
        BTreeSet::from(["time", "id", "event", "verdict", "cluster", "session", "client", "who", "driver"])
    );
    assert_eq!((&line["event"], &line["verdict"]), (&json!("login"), &json!("permitted")));
    assert_eq!((&line["who"], &line["client"]), (&whole, &json!(alice_at)));
    assert_eq!((&line["cluster"], &line["driver"]), (&json!("main"), &json!("cqlgate test kit")));
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");

    // A definition, with the rule that permits it and the group it came through.
    let create = world.cql("CREATE TABLE $ks.made (k int PRIMARY KEY)");
    alice.query(&create).await.unwrap();
    let line = world.gateway.audit_line("CREATE", |l| l["statement"] == "CREATE_TABLE").await.unwrap();
    assert_eq!((&line["event"], &line["verdict"]), (&json!("ddl"), &json!("permitted")));
    assert_eq!((&line["text"], &line["who"]), (&json!(create), &whole));
    assert_eq!(line["resources"], json!([world.cql("CREATE <all tables in $ks>")]), "{line}");
    assert_eq!((&line["rule"], &line["group"]), (&json!("policies/main.cql:1"), &json!("team")));
    assert_eq!(line["client"], alice_at);
    let drop = world.cql("DROP TABLE $ks.made");
    alice.query(&drop).await.unwrap();
    world.gateway.audit_line("DROP", |l| l["text"] == drop.as_str()).await.unwrap();
    let truncate = world.cql("TRUNCATE $ks.t");
    alice.query(&truncate).await.unwrap();
    world.gateway.audit_line("TRUNCATE", |l| l["text"] == truncate.as_str()).await.unwrap();

    // Data statements are counted, whichever way they come.
    let insert = world.cql("INSERT INTO $ks.t (k, v) VALUES (?, ?)");
    let prepared = alice.prepare(&insert).await.unwrap();
    let values = [Some(&[0, 0, 0, 1][..]), Some(BOUND.as_bytes())];
    alice.execute(&prepared, &values).await.unwrap();
    alice.execute(&prepared, &values).await.unwrap();
    alice.rows(&world.cql("SELECT v FROM $ks.t")).await.unwrap();

    // A refusal without any rule, of an EXECUTE: its CQL stands there, and the reference that was told.
    let mut bob = world.connect("bob").await;
    let (_, told) = refusal(bob.execute(&prepared, &values).await);
    let reference = told.trim_end_matches(']').rsplit_once("[ref ").unwrap().1.to_owned();
    let line = world.gateway.audit_line("Bob's", |l| l["reference"] == reference.as_str()).await.unwrap();
    assert_eq!((&line["event"], &line["verdict"]), (&json!("data"), &json!("refused")));
    assert_eq!((&line["text"], &line["statement"]), (&json!(insert), &json!("UPDATE")));
    assert_eq!(line["resources"], json!([world.cql("MODIFY <table $ks.t>")]));
    assert_eq!((&line["who"]["scim_id"], line.get("rule")), (&json!(bob_id), None));
    assert!(told.starts_with(line["reason"].as_str().unwrap()), "{line}");

    // One by a DENY, with its place.
    let (_, told) = refusal(alice.query(&world.cql("DELETE FROM $ks.closed WHERE k = 1")).await);
    assert!(told.starts_with("User alice has no MODIFY permission on <table "), "{told}");
    let line = world.gateway.audit_line("the DENY", |l| l["rule"] == "policies/main.cql:3").await.unwrap();
    assert_eq!((&line["verdict"], &line["statement"]), (&json!("refused"), &json!("DELETE")), "{line}");

    // A role, and what is no CQL; a password in it is blanked.
    refusal(alice.query("CREATE ROLE r WITH PASSWORD = 'hush-hush'").await);
    let line = world.gateway.audit_line("the role", |l| l["statement"] == "CREATE_ROLE").await.unwrap();
    assert!(!line.to_string().contains("hush-hush"), "{line}");
    refusal(alice.query("SELEKT 1").await);
    world.gateway.audit_line("no CQL", |l| l["text"] == "SELEKT 1").await.unwrap();

    // The whole file.
    let lines = world.gateway.audit().unwrap();
    assert!(lines.iter().all(|l| l["event"] != "data" || l["verdict"] == "refused"), "data is only counted");
    assert!(lines.iter().any(|l| l["event"] == "scim"), "SCIM writes are there");
    let ids: BTreeSet<_> = lines.iter().map(|l| l["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), lines.len(), "ids are unique");
    assert!(lines.iter().map(|l| l["time"].as_str().unwrap()).is_sorted(), "in order");
    let file = std::fs::read_to_string(world.gateway.folder().join("audit.jsonl")).unwrap();
    assert!(!file.contains(BOUND), "a bound value is in the audit file");
    assert!(!world.gateway.process().printed().join("\n").contains(BOUND), "a bound value is in the log");

    // And in figures.
    let requests = |opcode: &str, statement: &str, verdict: &str| {
        format!(
            "cqlgate_requests_total{{cluster=\"main\",opcode=\"{opcode}\",statement=\"{statement}\",verdict=\"{verdict}\"}}"
        )
    };
    assert_eq!(sample(&world, &requests("execute", "update", "permitted")).await, 2);
    assert_eq!(sample(&world, &requests("execute", "update", "refused")).await, 1);
    assert_eq!(sample(&world, &requests("query", "select", "permitted")).await, 1);
    assert_eq!(sample(&world, "cqlgate_logins_total{cluster=\"main\",outcome=\"ok\"}").await, 2);
    assert_eq!(sample(&world, "cqlgate_sessions_open{cluster=\"main\"}").await, 2);
    assert!(
        sample(&world, "cqlgate_client_bytes_total{cluster=\"main\",direction=\"received\"}").await > 500
    );
    assert!(sample(&world, "cqlgate_client_bytes_total{cluster=\"main\",direction=\"sent\"}").await > 500);
    assert_eq!(
        sample(&world, "cqlgate_identity_key_fetches_total{identity=\"acme\",outcome=\"ok\"}").await,
        1
    );
    assert_eq!(sample(&world, "cqlgate_panics_total").await, 0);
    world
        .patch(&format!("/Users/{bob_id}"), json!({ "op": "replace", "path": "active", "value": false }))
        .await;
    assert_eq!(sample(&world, "cqlgate_revocations_total{kind=").await, 1);
    let is_end = |l: &Value| l["event"] == "session_end" && l["who"]["name"] == "bob";
    world.gateway.audit_line("Bob's end", is_end).await.unwrap();
}

#[tokio::test]
async fn data_statements_are_lines_when_asked_for() {
    let world = World::with("auditall", TABLES, POLICY, |settings| Settings {
        audit_extra: "data = \"all\"".into(),
        ..settings
    })
    .await;
    let alice = world.person("alice").await;
    world.group("team", &[&alice]).await;
    let mut alice = world.connect("alice").await;
    let insert = world.cql("INSERT INTO $ks.t (k, v) VALUES (?, ?)");
    let prepared = alice.prepare(&insert).await.unwrap();
    for _ in 0..3 {
        alice.execute(&prepared, &[Some(&[0, 0, 0, 1]), Some(BOUND.as_bytes())]).await.unwrap();
    }
    let select = world.cql("SELECT v FROM $ks.t");
    assert_eq!(alice.rows(&select).await.unwrap().texts("v"), [BOUND]);
    world.gateway.audit_line("the last", |l| l["text"] == select.as_str()).await.unwrap();
    let lines = world.gateway.audit().unwrap();
    let data: Vec<_> = lines.iter().filter(|l| l["event"] == "data").collect();
    let texts: Vec<_> = data.iter().map(|l| l["text"].as_str().unwrap()).collect();
    assert_eq!(texts, [&insert, &insert, &insert, &select], "one line each, in order, PREPARE none");
    assert!(data.iter().all(|l| l["verdict"] == "permitted" && l["rule"] == "policies/main.cql:1"));
    let file = std::fs::read_to_string(world.gateway.folder().join("audit.jsonl")).unwrap();
    assert!(!file.contains(BOUND), "a bound value is in the audit file");
}
