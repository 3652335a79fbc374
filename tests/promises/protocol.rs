//! The wire: what no honest driver sends gets the protocol's own error, reaches no node, and the process
//! lives on.

use std::time::Duration;

use cqlgate_testkit::cql::{Body, Envelope, Peer, Reader, opcode};

use crate::world::World;

const SOON: Duration = Duration::from_secs(10);

/// The code and text of an ERROR envelope.
fn error(envelope: &Envelope) -> (i32, String) {
    assert_eq!(envelope.opcode, opcode::ERROR, "{envelope:?}");
    let mut reader = Reader::new(&envelope.body);
    (reader.int().unwrap(), reader.string().unwrap())
}

/// Is the connection answered still?
async fn lives(peer: &mut Peer) {
    let answer = peer.ask(&Envelope::request(77, opcode::OPTIONS, [])).await.unwrap();
    assert_eq!((answer.opcode, answer.stream), (opcode::SUPPORTED, 77));
}

fn execute_of(id: &[u8]) -> Envelope {
    Envelope::request(5, opcode::EXECUTE, Body::execute(id, &[]))
}

#[tokio::test]
async fn the_highest_version_is_4() {
    let world = World::new("versions", &[], "").await;
    for (byte, number) in [(0x42, 66), (0x41, 65), (5, 5), (6, 6), (0, 0), (7, 7), (0x47, 71)] {
        let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
        let hello = Envelope::request(3, opcode::OPTIONS, []).version(byte);
        let answer = peer.ask(&hello).await.unwrap();
        assert_eq!((answer.version, answer.flags, answer.stream), (0x84, 0, 0), "version {byte}");
        let text = format!(
            "Invalid or unsupported protocol version ({number}); supported versions are (3/v3, 4/v4)"
        );
        assert_eq!(error(&answer), (0x000A, text));
        lives(&mut peer).await;
    }
    for version in [1_u8, 2] {
        let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
        // version, flags, stream, opcode, length: the header of old was a byte shorter.
        peer.send(&[version, 0, 0, opcode::OPTIONS, 0, 0, 0, 0]).await.unwrap();
        let head = peer.exactly(8).await.unwrap();
        assert_eq!(head[..4], [version | 0x80, 0, 0, opcode::ERROR]);
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let body = peer.exactly(usize::try_from(length).unwrap()).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("Invalid or unsupported protocol version"));
        lives(&mut peer).await;
    }
}

#[tokio::test]
async fn supported_lists_two_versions_and_no_compression() {
    let world = World::new("supported", &[], "").await;
    for version in [3, 4] {
        let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
        let answer = peer.ask(&Envelope::request(1, opcode::OPTIONS, []).version(version)).await.unwrap();
        assert_eq!((answer.opcode, answer.version), (opcode::SUPPORTED, version | 0x80));
        let map = Reader::new(&answer.body).string_multimap().unwrap();
        let of = |key: &str| map.iter().find(|(k, _)| k == key).unwrap().1.clone();
        assert_eq!(of("PROTOCOL_VERSIONS"), ["3/v3", "4/v4"]);
        assert!(of("COMPRESSION").is_empty());
        assert_eq!(of("CQL_VERSION").len(), 1);
        assert_eq!(map.len(), 3);
    }
}

#[tokio::test]
async fn the_handshake_has_an_order() {
    let world = World::new("order", &[], "").await;
    world.person("alice").await;
    let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
    let query = Envelope::request(1, opcode::QUERY, Body::query("SELECT key FROM system.local"));
    let startup = Envelope::request(1, opcode::STARTUP, Body::startup());
    let before = peer.ask(&query).await.unwrap();
    assert_eq!(error(&before), (0x000A, "Unexpected message QUERY, expecting STARTUP or OPTIONS".into()));
    let early = Envelope::request(1, opcode::AUTH_RESPONSE, Body::plain("token", "x"));
    assert!(error(&peer.ask(&early).await.unwrap()).1.contains("expecting STARTUP or OPTIONS"));
    for (map, text) in [
        (&[][..], "Missing value CQL_VERSION in STARTUP message"),
        (&[("CQL_VERSION", "2.0.0")][..], "CQL version 2.0.0 is not supported by the binary protocol"),
        (&[("CQL_VERSION", "3.0.0"), ("COMPRESSION", "lz4")][..], "Unknown compression algorithm: lz4"),
    ] {
        let refused =
            peer.ask(&Envelope::request(1, opcode::STARTUP, Body::new().string_map(map))).await.unwrap();
        assert!(error(&refused).1.starts_with(text), "{refused:?}");
    }
    assert_eq!(peer.ask(&startup).await.unwrap().opcode, opcode::AUTHENTICATE);
    for envelope in [&query, &startup, &Envelope::request(1, opcode::OPTIONS, [])] {
        let (code, text) = error(&peer.ask(envelope).await.unwrap());
        assert_eq!(code, 0x000A);
        assert!(text.ends_with("expecting SASL_RESPONSE"), "{text}");
    }
    let login = Envelope::request(1, opcode::AUTH_RESPONSE, Body::plain("token", &world.token("alice")));
    assert_eq!(peer.ask(&login).await.unwrap().opcode, opcode::AUTH_SUCCESS);
    let again = peer.ask(&startup).await.unwrap();
    assert_eq!(
        error(&again),
        (0x000A, "Unexpected message STARTUP, the connection is already initialized".into())
    );
    let (code, _) = error(&peer.ask(&login).await.unwrap());
    assert_eq!(code, 0x000A, "a node would log the connection in as somebody else");
    lives(&mut peer).await;
}

#[tokio::test]
async fn three_bad_tokens_and_the_door_closes() {
    let world = World::new("attempts", &[], "").await;
    let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
    peer.ask(&Envelope::request(1, opcode::STARTUP, Body::startup())).await.unwrap();
    for _ in 0..3 {
        let bad = Envelope::request(1, opcode::AUTH_RESPONSE, Body::plain("token", "no.such.token"));
        assert_eq!(error(&peer.ask(&bad).await.unwrap()).0, 0x0100);
    }
    peer.closed(SOON).await.unwrap();
}

#[tokio::test]
async fn envelopes_too_long_before_log_in_are_not_waited_for() {
    let world = World::new("prelogin", &[], "").await;
    for length in [-1, i32::MIN, 1 << 20, i32::MAX] {
        let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
        let hello = Envelope::request(1, opcode::STARTUP, []).encode_with_length(length);
        peer.send(&hello).await.unwrap();
        assert_eq!(error(&peer.answer().await.unwrap()).0, 0x000A, "length {length}");
        peer.closed(SOON).await.unwrap();
    }
}

#[tokio::test]
async fn what_would_leave_a_node_deaf_never_reaches_it() {
    let world = World::new("deaf", &["CREATE TABLE $ks.t (k int PRIMARY KEY)"], READ).await;
    let alice = world.person("alice").await;
    world.group("readers", &[&alice]).await;
    let select = world.cql("SELECT k FROM $ks.t");
    let mut connection = world.connect("alice").await;
    connection.rows(&select).await.unwrap();
    let peer = connection.peer();
    let good = Body::query(&select);
    let good: Vec<u8> = good.into();
    for (envelope, says) in [
        (Envelope::request(1, 0x7F, []), "Unknown opcode 127"),
        (Envelope::request(1, 0xFF, []), "Unknown opcode 255"),
        (Envelope::request(1, 0x04, []), "Unsupported message"),
        (Envelope::request(1, opcode::ERROR, []), "Wrong protocol direction"),
        (Envelope::request(1, opcode::QUERY, good.clone()).version(0x84), "Wrong protocol direction"),
        (Envelope::request(1, opcode::QUERY, good.clone()).version(3), "Invalid message version. Got 3/v3"),
        (Envelope::request(1, opcode::QUERY, good.clone()).flags(0x01), "compressed"),
        (Envelope::request(1, opcode::QUERY, [good.clone(), vec![0]].concat()), "1 unexpected bytes"),
        (Envelope::request(1, opcode::OPTIONS, [0]), "1 unexpected bytes"),
        (Envelope::request(1, opcode::QUERY, good[..good.len() - 1].to_vec()), "Not enough bytes"),
        (Envelope::request(1, opcode::QUERY, []), "Not enough bytes"),
        (Envelope::request(1, opcode::QUERY, (-1_i32).to_be_bytes()), "Not enough bytes"),
        (Envelope::request(1, opcode::QUERY, i32::MAX.to_be_bytes()), "Not enough bytes"),
        (Envelope::request(1, opcode::QUERY, [0, 0, 0, 1, 0xFF, 0, 1, 0]), "Cannot decode"),
        (Envelope::request(1, opcode::BATCH, [9, 0, 0, 0, 1, 0]), "Invalid BATCH message type 9"),
        (Envelope::request(1, opcode::REGISTER, Body::new().string_list(&["NOPE"])), "Invalid value 'NOPE'"),
    ] {
        let (code, text) = error(&peer.ask(&envelope).await.unwrap());
        assert_eq!(code, 0x000A, "{envelope:?}: {text}");
        assert!(text.contains(says), "{envelope:?}: {text}");
        lives(peer).await;
    }
    // Not even the connection to the node was touched.
    connection.rows(&select).await.unwrap();
}

const READ: &str = "GRANT SELECT ON KEYSPACE $ks TO GROUP \"readers\";";

#[tokio::test]
async fn stream_ids_are_the_clients_own_and_one_request_each() {
    let world = World::new("streams", &["CREATE TABLE $ks.t (k int PRIMARY KEY)"], READ).await;
    let alice = world.person("alice").await;
    world.group("readers", &[&alice]).await;
    let select = world.cql("SELECT k FROM $ks.t");
    for stream in [-1, i16::MIN] {
        let mut connection = world.connect("alice").await;
        let peer = connection.peer();
        let answer = peer.ask(&Envelope::request(stream, opcode::QUERY, Body::query(&select))).await.unwrap();
        assert_eq!(error(&answer).0, 0x000A);
        peer.closed(SOON).await.unwrap();
    }
    // Two PREPAREs on one id: a node swaps their answers in some of the pairs.
    let mut connection = world.connect("alice").await;
    let peer = connection.peer();
    let prepare = |text: &str| Envelope::request(9, opcode::PREPARE, Body::new().long_string(text)).encode();
    let both = [prepare(&select), prepare(&world.cql("SELECT * FROM $ks.t"))].concat();
    peer.send(&both).await.unwrap();
    let mut codes = Vec::new();
    while let Ok(Some(answer)) = peer.next().await {
        assert_eq!(answer.stream, 9);
        codes.push(if answer.opcode == opcode::ERROR { error(&answer).0 } else { 0 });
    }
    assert!(codes.contains(&0x000A), "{codes:x?}");
    // Every id that there is works.
    let mut connection = world.connect("alice").await;
    for stream in [0, 1, 127, 128, i16::MAX] {
        let query = Envelope::request(stream, opcode::QUERY, Body::query(&select));
        let answer = connection.peer().ask(&query).await.unwrap();
        assert_eq!((answer.opcode, answer.stream), (opcode::RESULT, stream));
    }
}

#[tokio::test]
async fn a_request_that_is_too_big_is_dropped_and_the_next_is_answered() {
    let world = World::new("toobig", &[], "").await;
    world.person("alice").await;
    let mut connection = world.connect("alice").await;
    let peer = connection.peer();
    let length = 17 * 1024 * 1024;
    let mut bytes = Envelope::request(4, opcode::QUERY, []).encode_with_length(length);
    bytes.resize(9 + usize::try_from(length).unwrap(), 0);
    peer.send(&bytes).await.unwrap();
    let (code, text) = error(&peer.answer().await.unwrap());
    assert_eq!(code, 0x2200);
    assert_eq!(text, "Request is too big: length 17825792 exceeds maximum allowed length 16777216.");
    lives(peer).await;
    // Behind a request that is permitted, in one write, in pieces.
    let first =
        Envelope::request(1, opcode::QUERY, Body::query("SELECT * FROM system_schema.tables LIMIT 1"));
    let last = Envelope::request(2, opcode::OPTIONS, []);
    let all = [first.encode(), bytes.clone(), last.encode()].concat();
    for piece in all.chunks(1_000_000) {
        peer.send(piece).await.unwrap();
    }
    let mut seen: Vec<i16> = Vec::new();
    for _ in 0..3 {
        seen.push(peer.answer().await.unwrap().stream);
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 4]);
    peer.send(&Envelope::request(4, opcode::QUERY, []).encode_with_length(-1)).await.unwrap();
    assert_eq!(error(&peer.answer().await.unwrap()).0, 0x000A);
    peer.closed(SOON).await.unwrap();
}

#[tokio::test]
async fn a_request_may_come_in_any_pieces() {
    let world = World::new(
        "pieces",
        &["CREATE TABLE $ks.t (k int PRIMARY KEY, v blob)"],
        "
        GRANT SELECT, MODIFY ON KEYSPACE $ks TO GROUP \"readers\";",
    )
    .await;
    let alice = world.person("alice").await;
    world.group("readers", &[&alice]).await;
    let mut connection = world.connect("alice").await;
    let query = Envelope::request(2, opcode::QUERY, Body::query(&world.cql("SELECT k FROM $ks.t"))).encode();
    connection.peer().dribble(&query).await.unwrap();
    assert_eq!(connection.peer().answer().await.unwrap().opcode, opcode::RESULT);
    // Larger than a session's own buffer, there and back.
    let insert = connection.prepare(&world.cql("INSERT INTO $ks.t (k, v) VALUES (?, ?)")).await.unwrap();
    let value: Vec<u8> = (0..3_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    connection.execute(&insert, &[Some(&1_i32.to_be_bytes()), Some(&value)]).await.unwrap();
    let rows = connection.rows(&world.cql("SELECT v FROM $ks.t WHERE k = 1")).await.unwrap();
    assert_eq!(rows.rows[0][0].as_deref(), Some(&value[..]));
}

#[tokio::test]
async fn an_id_nobody_knows_is_unprepared() {
    let world = World::new("unprepared", &[], "").await;
    world.person("alice").await;
    let mut connection = world.connect("alice").await;
    for id in [&b"abc"[..], &[7; 16], &[]] {
        let answer = connection.peer().ask(&execute_of(id)).await.unwrap();
        let (code, text) = error(&answer);
        assert_eq!(code, 0x2500, "{text}");
        assert!(answer.body.ends_with(id));
    }
    lives(connection.peer()).await;
}
