//! Log-in on the wire: who gets in, who does not, and what each of them hears.

use std::sync::Arc;
use std::time::Duration;

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cql::{Body, Cql, CqlError, Envelope, Peer, opcode};
use cqlgate_testkit::faulty::{Action, Faulty, Way};
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::{Algorithm, Issuer, Key, Serve, now};
use serde_json::json;

use crate::world::{World, refusal};

const POLICY: &str = "GRANT SELECT ON KEYSPACE $ks TO USER \"alice\";
    GRANT SELECT ON KEYSPACE $ks TO SERVICE \"loader\";";
const READERS: &str = "GRANT SELECT ON KEYSPACE $ks TO USER \"alice\";";
const TABLE: &[&str] = &["CREATE TABLE $ks.t (k int PRIMARY KEY, v text)"];
const WRONG: &str = "Provided username and/or password are incorrect";
const LIMIT: Duration = Duration::from_secs(20);

async fn log_in(gateway: &Gateway, user: &str, token: &str) -> Result<Cql, CqlError> {
    let peer = Peer::connect(gateway.cql_addr()).await?;
    Cql::log_in(peer, 4, user, token).await
}

/// A log-in that is refused: the client hears `told`, the audit log says `reason`, under one reference.
async fn refused(world: &World, user: &str, token: &str, told: &str, reason: &str) {
    let (code, text) = refusal(log_in(&world.gateway, user, token).await);
    assert_eq!(code, 0x0100, "{reason}: {text}");
    let (words, reference) = text.trim_end_matches(']').split_once(" [ref ").unwrap();
    assert_eq!(words, told, "{reason}");
    let line =
        world.gateway.audit_line("the refused log-in", |line| line["reference"] == reference).await.unwrap();
    assert_eq!((&line["event"], &line["verdict"]), (&json!("login"), &json!("refused")), "{line}");
    assert!(line["reason"].as_str().unwrap().contains(reason), "{reason}: {line}");
    assert!(line["client"].is_string() && line["driver"] == "cqlgate test kit", "{line}");
}

/// Fails if a part of a secret stands in the log or the audit file.
fn kept_secret(gateway: &Gateway, secrets: &[String]) {
    let log = gateway.process().printed().join("\n");
    let audit = std::fs::read_to_string(gateway.folder().join("audit.jsonl")).unwrap();
    assert!(log.len() > 1000 && audit.len() > 1000, "there is something to look through");
    for secret in secrets {
        for part in secret.split('.').skip(1).filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "a token is in the log");
            assert!(!audit.contains(part), "a token is in the audit file");
        }
    }
}

#[tokio::test]
async fn only_the_right_token_lets_in() {
    let world = World::with("login", TABLE, POLICY, |settings| Settings {
        log: "trace".into(),
        ..settings.service("loader", &[("client_id", "loader")])
    })
    .await;
    world.person("alice").await;
    world.person("bob").await;
    let mut tokens = Vec::new();

    // A new key of the provider is taken at once.
    let old = world.token("alice");
    world.issuer.rotate(Algorithm::Es256);
    let new = world.token("alice");
    for token in [&old, &new] {
        let mut alice = log_in(&world.gateway, "alice", token).await.unwrap();
        alice.rows(&world.cql("SELECT k FROM $ks.t")).await.unwrap();
        tokens.push(token.clone());
    }

    // The user name is empty, `token`, the subject, or the person's.
    for user in ["", "token", "alice-sub", "alice"] {
        log_in(&world.gateway, user, &new).await.unwrap();
    }
    for user in ["ALICE", "bob", "alice ", "root"] {
        refused(&world, user, &new, WRONG, "is not the token's").await;
    }

    // A long token is a token.
    let alice = || world.issuer.token("alice-sub").audience("cassandra");
    let long = alice().claim("groups", "g".repeat(9_000)).sign();
    assert!(long.len() > 12 * 1024);
    log_in(&world.gateway, "alice", &long).await.unwrap();
    let too_long = alice().claim("groups", "g".repeat(12_500)).sign();
    assert!(too_long.len() > 16 * 1024);

    let forger = Key::generate(Algorithm::Es256, world.issuer.key().kid());
    let forged = alice().key(Arc::new(forger)).sign();
    let elsewhere = alice().claim("iss", "http://127.0.0.1:1").sign();
    let bent = {
        let (head, signature) = new.rsplit_once('.').unwrap();
        let claims = alice().claim("sub", "bob-sub").claims_json();
        let header = head.split_once('.').unwrap().0;
        format!("{header}.{}.{signature}", cqlgate_testkit::issuer::encode(claims))
    };
    for (token, reason) in [
        (forged, "the signature does not verify"),
        (bent, "the signature does not verify"),
        (alice().unsigned(), "token refused: "),
        (alice().header("alg", "none").sign(), "algorithm \"none\" is not accepted"),
        (alice().header("alg", "HS256").sign(), "algorithm \"HS256\" is not accepted"),
        (alice().audience("another").sign(), "audience \"another\" is not among"),
        (alice().claim("aud", json!(["cassandra", "another"])).sign(), "audience \"another\" is not among"),
        (elsewhere, "issuer \"http://127.0.0.1:1\" is not configured"),
        (alice().issued_at(now() + 600).sign(), "in the future"),
        (alice().header("typ", "id+jwt").sign(), "type \"id+jwt\" is not among"),
        (alice().kid("nobodys").sign(), "publishes no key \"nobodys\""),
        (too_long, "longer than 16384 bytes"),
        ("garbage".into(), "not a signed token"),
        ("a.b.c".into(), "token refused: "),
        (String::new(), "the password is empty"),
        (format!("Bearer {new}"), "starts with \"Bearer \""),
        (world.issuer.token("stranger-sub").sign(), "no user with externalId \"stranger-sub\""),
    ] {
        refused(&world, "token", &token, WRONG, reason).await;
        tokens.push(token);
    }
    let expired = alice().issued_at(now() - 1000).sign();
    let told = "token expired: get a new one and connect again";
    refused(&world, "alice", &expired, told, "expired 7").await;
    // Expired and wrong as well: that it is expired is not told.
    let expired_elsewhere = alice().audience("another").issued_at(now() - 1000).sign();
    refused(&world, "alice", &expired_elsewhere, WRONG, "audience").await;

    // Exactly one active person.
    let twin = |name: &str| {
        json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name,
                "externalId": "twin-sub", "active": true })
    };
    let mut twins = Vec::new();
    for name in ["castor", "pollux"] {
        let made = world.gateway.scim("POST", "/Users", Some(&twin(name))).await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        twins.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    refused(&world, "token", &world.token("twin"), WRONG, "2 users with externalId \"twin-sub\"").await;
    world.gateway.scim("DELETE", &format!("/Users/{}", twins[0]), None).await.unwrap();
    log_in(&world.gateway, "pollux", &world.token("twin")).await.unwrap();
    let path = format!("/Users/{}", twins[1]);
    world.patch(&path, json!({ "op": "replace", "path": "active", "value": false })).await;
    refused(&world, "pollux", &world.token("twin"), WRONG, "is not active").await;

    // A workload has no person: its claims are its name, its GRANTs its own.
    let batch = world.issuer.token("batch").claim("client_id", "loader").sign();
    for user in ["loader", "batch", "token"] {
        let mut loader = log_in(&world.gateway, user, &batch).await.unwrap();
        loader.rows(&world.cql("SELECT k FROM $ks.t")).await.unwrap();
        let (code, text) = refusal(loader.query(&world.cql("INSERT INTO $ks.t (k) VALUES (1)")).await);
        assert_eq!(code, 0x2100);
        assert!(text.starts_with("User loader has no MODIFY permission on "), "{text}");
    }
    let other = world.issuer.token("batch").claim("client_id", "another").sign();
    refused(&world, "token", &other, WRONG, "no service with these claims").await;
    let both = world.issuer.token("alice-sub").claim("client_id", "loader").sign();
    refused(&world, "token", &both, WRONG, "give the service claims that no person has").await;

    tokens.extend([long, expired, batch, both]);
    kept_secret(&world.gateway, &tokens);
    let log = world.gateway.process().printed().join("\n");
    assert!(!log.contains(world.gateway.scim_token()), "the SCIM token is in the log");
}

#[tokio::test]
async fn what_is_down_closes_the_door_without_a_word() {
    let node = Cassandra::shared().await;
    let faulty = Faulty::start(node.addr()).await.unwrap();
    let issuer = Issuer::start().await.unwrap();
    issuer.serve_keys(Serve::Status(500));
    let mut settings = Settings::for_node(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), node).await;
    settings.contact_point = faulty.addr().to_string();
    let gateway = Gateway::launch(settings).unwrap();
    let process = gateway.process();
    process.wait_for_line(0, LIMIT, "listening", |line| line.contains("CQL listener")).await.unwrap();
    let person = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice", "externalId": "alice-sub", "active": true });
    assert_eq!(gateway.scim("POST", "/Users", Some(&person)).await.unwrap().status, 201);
    let token = issuer.token("alice-sub").sign();

    // No keys, and none ever seen: nothing is said of the token, the driver tries again.
    let refused = log_in(&gateway, "alice", &token).await;
    assert!(matches!(refused, Err(CqlError::Closed)), "{refused:?}");
    gateway
        .audit_line("no keys", |l| l["reason"].as_str().is_some_and(|r| r.contains("no keys")))
        .await
        .unwrap();
    assert_eq!(gateway.admin("/readyz").await.unwrap().status, 503);
    issuer.serve_keys(Serve::Normal);
    gateway.ready().await.unwrap();
    log_in(&gateway, "alice", &token).await.unwrap();

    // The keys that were seen last are good while the provider is down.
    issuer.serve_keys(Serve::Status(500));
    log_in(&gateway, "alice", &issuer.token("alice-sub").sign()).await.unwrap();

    // No cluster: the same.
    faulty.refuse(true);
    faulty.cut();
    let down = async {
        while gateway.admin("/readyz").await.unwrap().status == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, down).await.unwrap();
    let refused = log_in(&gateway, "alice", &token).await;
    assert!(matches!(refused, Err(CqlError::Closed)), "{refused:?}");
    faulty.refuse(false);
    gateway.ready().await.unwrap();
    log_in(&gateway, "alice", &token).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_with_its_token_after_what_is_in_flight() {
    let node = Cassandra::shared().await;
    let faulty = Faulty::start(node.addr()).await.unwrap();
    let address = faulty.addr().to_string();
    let world =
        World::with("expiry", TABLE, READERS, |settings| Settings { contact_point: address, ..settings })
            .await;
    world.person("alice").await;
    let expires = now() + 5;
    let token = world.issuer.token("alice-sub").expires_at(expires).sign();
    let mut idle = log_in(&world.gateway, "alice", &token).await.unwrap();
    let mut busy = log_in(&world.gateway, "alice", &token).await.unwrap();
    let is_slow = |stream, way| stream == 77 && way == Way::Response;
    faulty.plan(
        move |seen| {
            if is_slow(seen.envelope.stream, seen.way) { Action::Stall } else { Action::Forward }
        },
    );
    let select = Body::query(&world.cql("SELECT k FROM $ks.t"));
    busy.peer().envelope(&Envelope::request(77, opcode::QUERY, select)).await.unwrap();
    faulty.wait_for(LIMIT, |seen| is_slow(seen.envelope.stream, seen.way)).await.unwrap();

    idle.peer().closed(LIMIT).await.unwrap();
    assert!(now() <= expires + 1, "it outlived its token");
    // What has expired is the token, not the answer: it comes when the node gives it, and then the end.
    let until = u64::try_from(expires - now()).unwrap_or(0);
    tokio::time::sleep(Duration::from_secs(until + 1)).await;
    faulty.release();
    let answer = busy.peer().answer().await.unwrap();
    assert_eq!((answer.stream, answer.opcode), (77, opcode::RESULT));
    assert_eq!(busy.peer().next().await.unwrap(), None);
    for session in [1, 2] {
        let is_it = |line: &serde_json::Value| {
            line["event"] == "session_end"
                && line["reason"] == "the token expired"
                && line["session"] == session
        };
        world.gateway.audit_line("the end of a session", is_it).await.unwrap();
    }
    let (code, text) = refusal(log_in(&world.gateway, "alice", &token).await);
    assert!(code == 0x0100 && text.starts_with("token expired"), "{text}");
}
