//! Nothing gets past: every trick of the corpus, by every message, in every keyspace, with a service account
//! that may do everything; what must not come out and what must not change are looked at on the node itself.

use std::fmt::Write as _;

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cql::{Body, Cql, Envelope, Peer, Reader, flag, opcode};
use cqlgate_testkit::gateway::Settings;

use crate::world::World;

const TRICKS: &str = include_str!("corpus/tricks.txt");
/// What stands in each row that must not come out.
const MARK: &str = "s3cret-4711";

const SCHEMA: &[&str] = &[
    "CREATE TABLE $ks.open (k int PRIMARY KEY, v text, m map<text, int>)",
    "CREATE TABLE $ks.hidden (k int PRIMARY KEY, v text)",
    "CREATE TABLE $ks.tables (k int PRIMARY KEY, v text)",
    "CREATE INDEX hidden_v ON $ks.hidden (v)",
    "CREATE TABLE $ks.masked (k int PRIMARY KEY, v text, w text MASKED WITH mask_default())",
    "CREATE TABLE $ks.keyed (k int, c text MASKED WITH mask_default(), s int static, PRIMARY KEY (k, c))",
    "CREATE TABLE $ks.base (k int PRIMARY KEY, v text)",
    "CREATE MATERIALIZED VIEW $ks.by_base AS SELECT * FROM $ks.base WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)",
    "CREATE MATERIALIZED VIEW $ks.by_hidden AS SELECT * FROM $ks.hidden WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)",
    "CREATE FUNCTION $ks.f (x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'",
    "CREATE FUNCTION $ks.g (x text) CALLED ON NULL INPUT RETURNS text LANGUAGE java AS 'return x;'",
    "CREATE FUNCTION $ks.now () CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return 1;'",
    "CREATE FUNCTION $ks.abs (x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'",
    "CREATE FUNCTION $ks.sf (s int, x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'",
    "CREATE AGGREGATE $ks.total (int) SFUNC sf STYPE int",
    "CREATE KEYSPACE $ks_other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "CREATE TABLE $ks_other.open (k int PRIMARY KEY, v text, m map<text, int>)",
    "CREATE TABLE $ks_other.reach (k int PRIMARY KEY)",
    "CREATE FUNCTION $ks_other.max (x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'",
    "INSERT INTO $ks.open (k, v, m) VALUES (1, 'seen', {'a': 1})",
    "INSERT INTO $ks.hidden (k, v) VALUES (1, 's3cret-4711')",
    "INSERT INTO $ks.tables (k, v) VALUES (1, 's3cret-4711')",
    "INSERT INTO $ks.masked (k, v, w) VALUES (1, 'a', 's3cret-4711')",
    "INSERT INTO $ks.keyed (k, c, s) VALUES (1, 's3cret-4711', 5)",
    "INSERT INTO $ks.base (k, v) VALUES (1, 's3cret-4711')",
    "INSERT INTO $ks_other.open (k, v) VALUES (1, 's3cret-4711')",
    "CREATE ROLE $ks_victim",
    "ADD IDENTITY 'spiffe://$ks_victim' TO ROLE '$ks_victim'",
];

const POLICY: &str = "
    GRANT SELECT, MODIFY ON TABLE $ks.open TO USER \"alice\";
    GRANT SELECT, MODIFY ON TABLE $ks.masked TO USER \"alice\";
    GRANT SELECT, MODIFY ON TABLE $ks.keyed TO USER \"alice\";
    GRANT SELECT, MODIFY ON TABLE $ks.base TO USER \"alice\";
    GRANT SELECT ON TABLE $ks.by_hidden TO USER \"alice\";
    GRANT SELECT ON TABLE $ks_other.reach TO USER \"alice\";
";

async fn world(hint: &str) -> World {
    let world = World::with(hint, SCHEMA, POLICY, |settings| Settings {
        username: "cassandra".into(),
        password: "cassandra".into(),
        ..settings
    })
    .await;
    world.person("alice").await;
    world
}

/// The tricks, with what their lines could not hold.
fn tricks(keyspace: &str) -> Vec<String> {
    let lines = TRICKS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names = [
        ("$ks", keyspace.to_owned()),
        ("$other", format!("{keyspace}_other")),
        ("$victim", format!("{keyspace}_victim")),
        ("$service", "cassandra".to_owned()),
        ("⏎", "\r".to_owned()),
        ("␤", "\n".to_owned()),
    ];
    lines
        .map(|line| {
            let mut text = line.to_owned();
            for (word, stands_for) in &names {
                text = text.replace(word, stands_for);
            }
            while let Some((before, rest)) = text.split_once("\\u{") {
                let (code, after) = rest.split_once('}').unwrap();
                let character = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
                text = format!("{before}{character}{after}");
            }
            text
        })
        .collect()
}

fn batch(child: Body, keyspace: Option<&str>) -> Body {
    let body = Body::new().byte(0).short(1).raw(Vec::from(child));
    match keyspace {
        None => body.short(1).byte(0),
        Some(keyspace) => body.short(1).byte(0x80).string(keyspace),
    }
}

/// Each way in which a text can be sent. `id`: as whoever prepared it directly at the node calls it.
fn requests(text: &str, id: Option<&[u8]>, keyspace: Option<&str>) -> Vec<(&'static str, u8, Body)> {
    let query = match keyspace {
        None => Body::query(text),
        Some(keyspace) => Body::new().long_string(text).short(1).byte(0x80).string(keyspace),
    };
    let child = Body::new().byte(0).long_string(text).short(0);
    let mut ways = vec![
        ("QUERY", opcode::QUERY, query),
        ("PREPARE", opcode::PREPARE, Body::new().long_string(text)),
        ("BATCH of the text", opcode::BATCH, batch(child, keyspace)),
    ];
    if let Some(id) = id {
        ways.push(("EXECUTE", opcode::EXECUTE, Body::execute(id, &[])));
        let child = Body::new().byte(1).short_bytes(id).short(0);
        ways.push(("BATCH of the id", opcode::BATCH, batch(child, keyspace)));
    }
    ways
}

/// Everything that must stay as it is, as one text.
async fn fingerprint(node: &Cassandra, keyspace: &str) -> String {
    let mut root = node.superuser().await.unwrap();
    let mut all = String::new();
    let mut look = async |text: String| {
        let rows = root.rows(&text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let lossy = |value: &Option<Vec<u8>>| value.as_deref().map(String::from_utf8_lossy).map(String::from);
        let rows: Vec<Vec<_>> = rows.rows.iter().map(|row| row.iter().map(lossy).collect()).collect();
        let _ = writeln!(all, "{text}: {rows:?}");
    };
    for table in ["hidden", "tables", "by_hidden", "base", "masked"] {
        look(format!("SELECT * FROM {keyspace}.{table}")).await;
    }
    look(format!("SELECT * FROM {keyspace}_other.open")).await;
    for keyspace in [keyspace.to_owned(), format!("{keyspace}_other"), "intruder".into()] {
        for table in
            ["keyspaces", "tables", "columns", "views", "indexes", "types", "functions", "aggregates"]
        {
            look(format!("SELECT * FROM system_schema.{table} WHERE keyspace_name = '{keyspace}'")).await;
        }
        look(format!("SELECT * FROM system_schema.column_masks WHERE keyspace_name = '{keyspace}'")).await;
    }
    for role in ["intruder".into(), format!("{keyspace}_victim"), "cassandra".into()] {
        for table in ["roles", "role_permissions"] {
            // What a superuser makes in other tests is granted to it: only whether its role changed counts.
            if role != "cassandra" || table == "roles" {
                look(format!("SELECT * FROM system_auth.{table} WHERE role = '{role}'")).await;
            }
        }
    }
    for identity in [format!("spiffe://{keyspace}_victim"), "spiffe://intruder".into()] {
        look(format!("SELECT * FROM system_auth.identity_to_role WHERE identity = '{identity}'")).await;
    }
    all
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn no_trick_passes() {
    let world = world("bypass").await;
    let keyspace = world.keyspace.clone();
    let other = format!("{keyspace}_other");
    let before = fingerprint(world.node, &keyspace).await;
    let (mut passed, mut sent) = (Vec::new(), 0);
    for used in [None, Some(&keyspace), Some(&other)] {
        let mut root = world.node.superuser().await.unwrap();
        let mut alice = world.connect("alice").await;
        if let Some(used) = used {
            root.query(&format!("USE {used}")).await.unwrap();
            alice.query(&format!("USE {used}")).await.unwrap();
        }
        for text in tricks(&keyspace) {
            let id = root.prepare(&text).await.ok().map(|prepared| prepared.id);
            // A keyspace of the request's own matters where it is another than the session's.
            let with_keyspace = [None, Some(keyspace.as_str()), Some(other.as_str())]
                .into_iter()
                .filter(|asked| asked.is_none() || *asked != used.map(String::as_str))
                .map(|asked| (asked, requests(&text, id.as_deref(), asked)));
            for (asked, ways) in with_keyspace {
                for (way, opcode, body) in ways {
                    if asked.is_some() && !matches!(way, "QUERY" | "BATCH of the text") {
                        continue;
                    }
                    sent += 1;
                    let answer = alice.peer().ask(&Envelope::request(7, opcode, body)).await;
                    let answer = answer.unwrap_or_else(|error| panic!("{way} {text}: {error}"));
                    let mut is_refused = is_refusal(&answer);
                    if way == "PREPARE" && !is_refused {
                        // What names nothing that exists needs nothing to be prepared; it comes to nothing.
                        let prepared = alice.prepare(&text).await.unwrap();
                        let execute = Envelope::request(8, opcode::EXECUTE, Body::execute(&prepared.id, &[]));
                        is_refused = is_refusal(&alice.peer().ask(&execute).await.unwrap());
                    }
                    if !is_refused || contains(&answer.body, MARK) {
                        passed.push(format!(
                            "{way} with USE {used:?}, keyspace {asked:?}: {text}: {answer:x?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(passed.is_empty(), "{} of {sent} passed:\n{}", passed.len(), passed.join("\n"));
    assert_eq!(fingerprint(world.node, &keyspace).await, before);
    println!("{sent} requests, none passed");
    // The same ways serve what is permitted: it is not that nothing does.
    let mut alice = world.connect("alice").await;
    alice.query(&format!("USE {keyspace}")).await.unwrap();
    for text in ["INSERT INTO open (k, v) VALUES (1, 'seen')", "DELETE FROM open WHERE k = 99"] {
        let id = alice.prepare(text).await.unwrap().id;
        for (way, opcode, body) in requests(text, Some(&id), None) {
            let answer = alice.peer().ask(&Envelope::request(7, opcode, body)).await.unwrap();
            assert_eq!(answer.opcode, opcode::RESULT, "{way} {text}: {answer:x?}");
        }
    }
    assert_eq!(alice.rows("SELECT v FROM open").await.unwrap().texts("v"), ["seen"]);
}

/// An ERROR, and none of a server that did not know what to do.
fn is_refusal(answer: &Envelope) -> bool {
    answer.opcode == opcode::ERROR && Reader::new(&answer.body).int().unwrap_or_default() != 0
}

/// The code of a refusal; 0 if it was served.
fn code(answer: &Envelope) -> i32 {
    if answer.opcode == opcode::ERROR { Reader::new(&answer.body).int().unwrap() } else { 0 }
}

#[tokio::test]
async fn a_prepared_statement_keeps_its_keyspace_and_its_owner_nothing() {
    let world = world("bypassids").await;
    let (keyspace, other) = (world.keyspace.clone(), format!("{}_other", world.keyspace));
    let mut root = world.node.superuser().await.unwrap();
    let mut alice = world.connect("alice").await;
    let select = "SELECT v FROM open";
    alice.query(&format!("USE {keyspace}")).await.unwrap();
    let mine = alice.prepare(select).await.unwrap();
    root.query(&format!("USE {other}")).await.unwrap();
    let theirs = root.prepare(select).await.unwrap();
    assert_ne!(mine.id, theirs.id);
    alice.query(&format!("USE {other}")).await.unwrap();
    // Prepared there, it reads there, wherever the session is and whatever the request says.
    for body in
        [Body::execute(&mine.id, &[]), Body::new().short_bytes(&mine.id).short(1).byte(0x80).string(&other)]
    {
        let answer = alice.peer().ask(&Envelope::request(1, opcode::EXECUTE, body)).await.unwrap();
        assert!(contains(&answer.body, "seen") && !contains(&answer.body, MARK), "{answer:x?}");
    }
    for used in [&other, &keyspace] {
        alice.query(&format!("USE {used}")).await.unwrap();
        for keyspace in [None, Some(&keyspace), Some(&other)] {
            let body = match keyspace {
                None => Body::execute(&theirs.id, &[]),
                Some(keyspace) => Body::new().short_bytes(&theirs.id).short(1).byte(0x80).string(keyspace),
            };
            let answer = alice.peer().ask(&Envelope::request(1, opcode::EXECUTE, body)).await.unwrap();
            assert!([0x2100, 0x2500].contains(&code(&answer)), "{answer:x?}");
        }
    }
}

#[tokio::test]
async fn the_envelope_smuggles_nothing() {
    let world = world("bypassframes").await;
    let (keyspace, token) = (world.keyspace.clone(), world.token("alice"));
    let hidden = format!("SELECT v FROM {keyspace}.hidden");
    let open = format!("SELECT v FROM {keyspace}.open");
    let payload = |pairs: &[(&str, &str)], text: &str| {
        let mut body = Body::new().short(u16::try_from(pairs.len()).unwrap());
        for (key, value) in pairs {
            body = body.string(key).bytes(value.as_bytes());
        }
        Envelope::request(1, opcode::QUERY, body.raw(Vec::from(Body::query(text))))
            .flags(flag::CUSTOM_PAYLOAD)
    };
    let trailing = |text: &str, more: &str| {
        Envelope::request(1, opcode::QUERY, Body::query(text).raw(Vec::from(Body::query(more))))
    };
    let hostile = [
        // Who reads the body without the payload before it reads another text.
        payload(&[("x", &open)], &hidden),
        payload(&[(&open, "x")], &hidden),
        payload(&[], &hidden),
        // "Run this as": a word of one vendor's servers.
        payload(&[("ProxyExecute", "cassandra")], &hidden),
        // Bytes behind a message are nobody's.
        trailing(&hidden, &open),
        Envelope::request(1, opcode::QUERY, Body::query(&hidden)).flags(flag::TRACING),
        Envelope::request(1, opcode::QUERY, Body::query(&hidden)).flags(flag::WARNING),
        Envelope::request(1, opcode::QUERY, Body::query(&hidden)).flags(flag::COMPRESSION),
        Envelope::request(1, opcode::QUERY, Body::query(&hidden)).flags(flag::USE_BETA),
        // Logs in again: a node would make the connection somebody else's.
        Envelope::request(1, opcode::AUTH_RESPONSE, Body::plain("cassandra", "cassandra")),
        Envelope::request(1, opcode::STARTUP, Body::startup()),
        // The first protocol's way to log in, and others' opcodes.
        Envelope::request(
            1,
            0x04,
            Body::new().string_map(&[("username", "cassandra"), ("password", "cassandra")]),
        ),
        Envelope::request(1, 0xFF, Body::query(&hidden)),
    ];
    for (at, envelope) in hostile.iter().enumerate() {
        let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
        peer.log_in(4, "token", &token).await.unwrap().unwrap();
        peer.envelope(envelope).await.unwrap();
        // Refused, or the door is closed.
        let Ok(Some(answer)) = peer.next().await else { continue };
        assert_eq!(answer.opcode, opcode::ERROR, "{at}: {answer:x?}");
        assert!(!contains(&answer.body, MARK), "{at}: {answer:x?}");
        // And whoever it was is still nobody more.
        if peer.envelope(&Envelope::request(2, opcode::QUERY, Body::query(&hidden))).await.is_ok()
            && let Ok(Some(answer)) = peer.next().await
        {
            assert_eq!(code(&answer), 0x2100, "{at}: {answer:x?}");
        }
    }
    // A payload changes nothing about what is permitted, either.
    let mut alice = world.connect("alice").await;
    let answer = alice.peer().ask(&payload(&[("x", &hidden)], &open)).await.unwrap();
    assert!(contains(&answer.body, "seen") && !contains(&answer.body, MARK), "{answer:x?}");
}

#[tokio::test]
async fn a_condition_that_is_not_met_shows_no_masked_key() {
    let world = world("maskedkey").await;
    // A node answers a batch with the keys of the rows that it looked at, in clear.
    let text = world.cql("UPDATE $ks.keyed SET s = 6 WHERE k = 1 IF s = 0");
    let child = |id: Option<&[u8]>| match id {
        Some(id) => Body::new().byte(1).short_bytes(id).short(0),
        None => Body::new().byte(0).long_string(&text).short(0),
    };
    let asked = |id: Option<&[u8]>| Envelope::request(7, opcode::BATCH, batch(child(id), None));
    let mut root = world.node.superuser().await.unwrap();
    let shown = root.peer().ask(&asked(None)).await.unwrap();
    assert!(contains(&shown.body, "s3cret-4711"), "{shown:?}");

    let mut alice = world.connect("alice").await;
    let id = alice.prepare(&text).await.unwrap().id;
    for id in [None, Some(&*id)] {
        let answer = alice.peer().ask(&asked(id)).await.unwrap();
        assert_eq!(code(&answer), 0x2100, "{answer:?}");
        let refusal = world.cql("no UNMASK permission on <table $ks.keyed>");
        assert!(contains(&answer.body, &refusal), "{:?}", String::from_utf8_lossy(&answer.body));
    }
    // Alone, and in a batch without a condition, nothing is shown.
    let alone = alice.peer().ask(&Envelope::request(8, opcode::QUERY, Body::query(&text))).await.unwrap();
    assert_eq!(alone.opcode, opcode::RESULT, "{alone:?}");
    assert!(!contains(&alone.body, "s3cret-4711"), "{alone:?}");
    let plain = world.cql("UPDATE $ks.keyed SET s = 5 WHERE k = 1");
    let child = Body::new().byte(0).long_string(&plain).short(0);
    let done = alice.peer().ask(&Envelope::request(9, opcode::BATCH, batch(child, None))).await.unwrap();
    assert_eq!(done.opcode, opcode::RESULT, "{done:?}");
}

#[tokio::test]
async fn an_unqualified_grant_is_not_what_the_request_says() {
    // A node resolves the table of a GRANT from the session's keyspace, never from the request's own: whoever
    // may grant on one table must not grant on another.
    let policy = format!("{POLICY}    GRANT AUTHORIZE ON TABLE $ks.open TO USER \"alice\";\n");
    let world = World::with("bypassgrant", SCHEMA, &policy, |settings| Settings {
        username: "cassandra".into(),
        password: "cassandra".into(),
        ..settings
    })
    .await;
    world.person("alice").await;
    let (keyspace, other) = (world.keyspace.clone(), format!("{}_other", world.keyspace));
    let before = fingerprint(world.node, &keyspace).await;
    let grant = format!("GRANT SELECT ON open TO {keyspace}_victim");
    let mut alice: Cql = world.connect("alice").await;
    alice.query(&format!("USE {other}")).await.unwrap();
    let body = Body::new().long_string(&grant).short(1).byte(0x80).string(&keyspace);
    let answer = alice.peer().ask(&Envelope::request(1, opcode::QUERY, body)).await.unwrap();
    assert_eq!(answer.opcode, opcode::ERROR, "{answer:x?}");
    // Prepared in one keyspace and executed in another: the session's at EXECUTE counts.
    alice.query(&format!("USE {keyspace}")).await.unwrap();
    if let Ok(prepared) = alice.prepare(&grant).await {
        alice.query(&format!("USE {other}")).await.unwrap();
        let answer = alice.execute(&prepared, &[]).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(fingerprint(world.node, &keyspace).await, before);
}
