//! What operators rely on: a provider that is down, drivers over TLS, stopping, rotating, denying traces.

use std::time::{Duration, Instant};

use cqlgate_testkit::certs::Authority;
use cqlgate_testkit::cql::Peer;
use cqlgate_testkit::http;
use cqlgate_testkit::issuer::{Algorithm, Serve};
use cqlgate_testkit::python::{Driver, LogIn, Python};

use crate::world::{World, refusal};

const SOON: Duration = Duration::from_secs(20);
const TABLE: &[&str] = &["CREATE TABLE $ks.t (k int PRIMARY KEY, v int)"];

/// Asks again until `is_so`; nobody tells a stranger that a file was read.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn without_the_providers_keys_a_log_in_is_closed_and_not_refused() {
    let world =
        World::with("keys", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;", |settings| settings).await;
    world.person("alice").await;
    let mut open = world.connect("alice").await;

    // A key that the gateway cannot have yet, from a provider that does not answer.
    world.issuer.serve_keys(Serve::Status(500));
    world.issuer.serve_discovery(Serve::Status(500));
    world.issuer.rotate(Algorithm::Es256);
    let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
    let answer = peer.log_in(4, "token", &world.token("alice")).await.unwrap();
    assert_eq!(answer, None, "a driver comes back from a closed connection, not from an ERROR");
    open.query(&world.cql("SELECT * FROM $ks.t")).await.unwrap();
}

#[tokio::test]
async fn the_python_driver_over_tls() {
    let authority = Authority::new("python").unwrap();
    let leaf = authority.leaf(&["gate.test"]).unwrap();
    let folder = cqlgate_testkit::scratch::Scratch::new("tls").unwrap();
    let cert = folder.write("cert.pem", &leaf.cert).unwrap();
    let key = folder.write("key.pem", &leaf.key).unwrap();
    let world = World::with("pytls", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;", |mut settings| {
        settings.cluster_extra = format!("tls = {{ cert_file = {cert:?}, key_file = {key:?} }}\n");
        settings
    })
    .await;
    world.person("alice").await;
    let mut log_in = LogIn::new(world.gateway.cql_addr(), "token", &world.token("alice"));
    log_in.ca = Some(folder.write("ca.pem", authority.pem()).unwrap());
    let mut alice = Driver::connect(Python::shared().await, &log_in).await.unwrap();
    alice.execute(&world.cql("SELECT * FROM $ks.t")).await.unwrap();
}

#[tokio::test]
async fn term_ends_it_in_order_and_it_starts_with_what_was_there() {
    let mut world = World::new("term", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;").await;
    world.person("alice").await;
    let mut cql = world.connect("alice").await;
    assert_eq!(world.gateway.terminate().await.unwrap(), 0);
    cql.peer().closed(SOON).await.unwrap();
    assert!(http::get(&world.gateway.admin_url()).await.is_err());

    world.gateway.start_again().await.unwrap();
    world.connect("alice").await.query(&world.cql("SELECT * FROM $ks.t")).await.unwrap();
}

#[tokio::test]
async fn a_hang_up_opens_the_audit_log_anew() {
    let world = World::new("hup", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;").await;
    world.person("alice").await;
    world.connect("alice").await;
    let is_log_in = |line: &serde_json::Value| line["event"] == "login";
    world.gateway.audit_line("the first log-in", is_log_in).await.unwrap();
    let folder = world.gateway.folder();
    std::fs::rename(folder.join("audit.jsonl"), folder.join("audit.1")).unwrap();
    world.gateway.process().signal("HUP").unwrap();
    until("the name is there again", async || folder.join("audit.jsonl").exists()).await;
    world.connect("alice").await;
    world.gateway.audit_line("the second log-in", is_log_in).await.unwrap();
    let old = std::fs::read_to_string(folder.join("audit.1")).unwrap();
    assert_eq!(old.lines().filter(|line| line.contains("\"event\":\"login\"")).count(), 1, "{old}");
}

#[tokio::test]
async fn a_deny_ends_the_reading_of_traces() {
    let world = World::new("traces", TABLE, "GRANT SELECT ON KEYSPACE system_traces TO EVERYONE;").await;
    world.person("alice").await;
    let mut cql = world.connect("alice").await;
    let traces = "SELECT session_id FROM system_traces.sessions";
    cql.query(traces).await.unwrap();
    world.gateway.write_policy("GRANT SELECT ON KEYSPACE system_traces TO EVERYONE;\nDENY SELECT ON KEYSPACE system_traces TO EVERYONE;\n").unwrap();
    until("traces are denied", async || cql.query(traces).await.is_err()).await;
    assert_eq!(refusal(cql.query(traces).await).0, 0x2100);
}
