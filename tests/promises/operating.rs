//! What operators are told: policies that change, a provider that is down, TLS, observing, stopping.

use std::time::{Duration, Instant};

use cqlgate_testkit::certs::{self, Authority};
use cqlgate_testkit::cql::{Cql, Peer, opcode};
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::{Algorithm, Issuer, Serve};
use cqlgate_testkit::python::{Driver, LogIn, Python};
use cqlgate_testkit::{Cassandra, http};

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
async fn an_edit_of_a_policy_is_in_force_and_a_bad_one_is_not() {
    let world = World::new("edit", TABLE, "GRANT SELECT ON KEYSPACE $ks TO GROUP \"readers\";").await;
    let alice = world.person("alice").await;
    world.group("readers", &[&alice]).await;
    let mut cql = world.connect("alice").await;
    let (select, insert) =
        (world.cql("SELECT * FROM $ks.t"), world.cql("INSERT INTO $ks.t (k, v) VALUES (1, 1)"));
    cql.query(&select).await.unwrap();
    assert_eq!(refusal(cql.query(&insert).await).0, 0x2100);

    // The same connection, under the new policy.
    let more = world.cql("GRANT SELECT, MODIFY ON KEYSPACE $ks TO GROUP \"readers\";\n");
    world.gateway.write_policy(&more).unwrap();
    until("the grant is in force", async || cql.query(&insert).await.is_ok()).await;

    world.gateway.write_policy(&format!("{more}GRANT SELEKT ON KEYSPACE k TO EVERYONE;\n")).unwrap();
    let place = "main.cql:2:7";
    until("the status page names the bad line", async || {
        world.gateway.admin("/").await.unwrap().text().contains(place)
    })
    .await;
    cql.query(&insert).await.unwrap();
    let status = world.gateway.admin("/api/status").await.unwrap().json();
    assert_eq!(status["clusters"][0]["policy_stale"], true, "{status}");

    world.gateway.write_policy(&world.cql("DENY MODIFY ON KEYSPACE $ks TO EVERYONE;\n")).unwrap();
    until("the next good one is in force", async || cql.query(&insert).await.is_err()).await;
    assert_eq!(refusal(cql.query(&select).await).0, 0x2100);
}

#[tokio::test]
async fn a_bad_policy_at_the_start_is_no_start() {
    let node = Cassandra::shared().await;
    let issuer = Issuer::start().await.unwrap();
    let settings = Settings::for_node(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), node).await;
    let gateway = Gateway::launch(settings.policy("GRANT SELECT ON KEYSPACE k TO\n")).unwrap();
    assert_eq!(gateway.process().ended(SOON).await.unwrap(), 2);
    assert!(gateway.process().tail(20).contains("main.cql:"), "{}", gateway.process().tail(20));
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
async fn tls_on_the_listeners() {
    let authority = Authority::new("tls").unwrap();
    let stranger = Authority::new("stranger").unwrap();
    let leaf = authority.leaf(&["gate.test", "127.0.0.1"]).unwrap();
    let folder = cqlgate_testkit::scratch::Scratch::new("tls").unwrap();
    let cert = folder.write("cert.pem", &leaf.cert).unwrap();
    let key = folder.write("key.pem", &leaf.key).unwrap();
    let ca = folder.write("ca.pem", authority.pem()).unwrap();
    let server = format!("cert_file = {cert:?}, key_file = {key:?}");
    let world = World::with("tls", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;", |mut settings| {
        settings.cluster_extra = format!("tls = {{ {server}, client_ca_file = {ca:?} }}\n");
        settings
    })
    .await;
    world.person("alice").await;
    let addr = world.gateway.cql_addr();

    let own = authority.leaf(&["alice.test"]).unwrap();
    let client = authority.client(Some(&own)).unwrap();
    let peer = certs::connect(addr, "gate.test", client).await.unwrap();
    let mut cql = Cql::log_in(peer, 4, "token", &world.token("alice")).await.unwrap();
    cql.query(&world.cql("SELECT * FROM $ks.t")).await.unwrap();

    // Without a certificate, or with a stranger's: no word of CQL. TLS 1.3 says so after the handshake.
    let other = stranger.leaf(&["alice.test"]).unwrap();
    for own in [None, Some(&other)] {
        let client = authority.client(own).unwrap();
        if let Ok(mut peer) = certs::connect(addr, "gate.test", client).await {
            peer.log_in(4, "token", &world.token("alice")).await.unwrap_err();
        }
    }
    // Nor in clear.
    let mut peer = Peer::connect(addr).await.unwrap();
    let answer = peer.log_in(4, "token", &world.token("alice")).await;
    assert!(!matches!(&answer, Ok(Some(envelope)) if envelope.opcode == opcode::AUTH_SUCCESS), "{answer:?}");
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
async fn observing_forwards_and_records_what_policy_would_refuse() {
    let world = World::with("observe", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;", |mut settings| {
        settings.cluster_extra = "mode = \"observe\"\n".into();
        settings
    })
    .await;
    world.person("alice").await;
    let mut cql = world.connect("alice").await;
    let insert = world.cql("INSERT INTO $ks.t (k, v) VALUES (1, 1)");
    cql.query(&insert).await.unwrap();
    let line = world.gateway.audit_line("the insert", |line| line["text"] == insert.as_str()).await.unwrap();
    assert_eq!(line["verdict"], "observed", "{line}");
    // What is not judged by policy stays refused.
    let (code, _) = refusal(cql.query("CREATE ROLE intruder").await);
    assert_eq!(code, 0x2100);
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
    let world = World::new("traces", TABLE, "GRANT SELECT ON KEYSPACE $ks TO EVERYONE;").await;
    world.person("alice").await;
    let mut cql = world.connect("alice").await;
    let traces = "SELECT session_id FROM system_traces.sessions";
    cql.query(traces).await.unwrap();
    world.gateway.write_policy("DENY SELECT ON KEYSPACE system_traces TO EVERYONE;\n").unwrap();
    until("traces are denied", async || cql.query(traces).await.is_err()).await;
    assert_eq!(refusal(cql.query(traces).await).0, 0x2100);
}
