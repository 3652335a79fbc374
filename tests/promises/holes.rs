//! Three things that were measured to be holes when they are done the obvious way: what a prepared id
//! means, which keyspace is in force, and whose answer is on a stream.

use std::time::{Duration, Instant};

use cqlgate_testkit::cql::{Body, Cql, Envelope, Peer, Prepared, Reader, opcode};

use crate::world::{World, refusal};

const SCHEMA: &[&str] = &[
    "CREATE TABLE $ks.t (k int PRIMARY KEY, v text)",
    "CREATE TABLE $ks.hidden (k int PRIMARY KEY, v text)",
];
const POLICY: &str = "GRANT SELECT, MODIFY ON TABLE $ks.t TO GROUP \"team\";";

#[tokio::test]
async fn an_id_means_its_text_whoever_prepared_it() {
    let world = World::new("ids", SCHEMA, POLICY).await;
    let alice = world.person("alice").await;
    world.group("team", &[&alice]).await;
    let mut root = world.node.superuser().await.unwrap();
    let mine = root.prepare(&world.cql("SELECT v FROM $ks.t")).await.unwrap();
    let not_mine = root.prepare(&world.cql("SELECT v FROM $ks.hidden")).await.unwrap();
    let mut connection = world.connect("alice").await;
    // Neither was prepared through the gateway: it looks them up on the node.
    assert_eq!(known(&mut connection, &mine).await, 0);
    assert_eq!(known(&mut connection, &not_mine).await, 0x2100);
    // Prepared in another keyspace: the id stands for the table there.
    root.query(&world.cql("USE $ks")).await.unwrap();
    let unqualified = root.prepare("SELECT v FROM hidden").await.unwrap();
    assert_eq!(known(&mut connection, &unqualified).await, 0x2100);
}

/// What an EXECUTE comes to, 0 if it is served. A node that is slow to say what an id means makes the
/// gateway answer UNPREPARED; then it is asked again.
async fn known(connection: &mut Cql, prepared: &Prepared) -> u32 {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match connection.execute(prepared, &[]).await {
            Ok(_) => return 0,
            Err(error) if error.code() == Some(0x2500) && Instant::now() < until => {
                tokio::task::yield_now().await;
            }
            Err(error) => return error.code().unwrap(),
        }
    }
}

#[tokio::test]
async fn the_audit_log_says_what_an_execute_ran() {
    let world = World::new("resolved", SCHEMA, POLICY).await;
    let alice = world.person("alice").await;
    world.group("team", &[&alice]).await;
    let text = world.cql("SELECT v FROM $ks.hidden /* by id */");
    let id = world.node.superuser().await.unwrap().prepare(&text).await.unwrap();
    let mut connection = world.connect("alice").await;
    assert_eq!(known(&mut connection, &id).await, 0x2100);
    let (_, message) = refusal(connection.execute(&id, &[]).await);
    let reference = message.rsplit_once("[ref ").unwrap().1.trim_end_matches(']').to_owned();
    let line = world
        .gateway
        .audit_line("the refusal", |line| line["reference"].as_str() == Some(&reference))
        .await
        .unwrap();
    assert_eq!(line["text"].as_str(), Some(&*text));
    assert_eq!(line["verdict"], "refused");
    assert_eq!(line["who"]["name"], "alice");
}

/// USE is a barrier on both sides: of many unqualified SELECTs around it each reads the keyspace that the
/// order of the requests says.
#[tokio::test]
async fn nothing_overtakes_a_use() {
    let world = World::new("usebarrier", SCHEMA, POLICY).await;
    let other = world.node.keyspace("other").await;
    world.node.run(&[&format!("CREATE TABLE {other}.t (k int PRIMARY KEY, v text)")]).await.unwrap();
    let (here, there) = (world.keyspace.clone(), other);
    let mut root = world.node.superuser().await.unwrap();
    root.query(&format!("INSERT INTO {here}.t (k, v) VALUES (1, 'here')")).await.unwrap();
    root.query(&format!("INSERT INTO {there}.t (k, v) VALUES (1, 'there')")).await.unwrap();
    let alice = world.person("alice").await;
    world.group("team", &[&alice]).await;
    let policy = format!("{} GRANT SELECT ON TABLE {there}.t TO GROUP \"team\";", world.cql(POLICY));
    world.gateway.write_policy(&policy).unwrap();
    let mut connection = world.connect("alice").await;
    let until = Instant::now() + Duration::from_secs(20);
    while connection.query(&format!("SELECT v FROM {there}.t")).await.is_err() {
        assert!(Instant::now() < until, "the new policy never came into force");
        tokio::task::yield_now().await;
    }
    connection.query(&format!("USE {here}")).await.unwrap();
    let prepared_use = connection.prepare(&format!("USE {here}")).await.unwrap();
    let select =
        |stream| Envelope::request(stream, opcode::QUERY, Body::query("SELECT v FROM t WHERE k = 1"));
    let peer = connection.peer();
    for _ in 0..20 {
        // 20 SELECTs, USE there, 20 SELECTs, prepared USE here: one write.
        let mut bytes = Vec::new();
        for stream in 0..20 {
            bytes.extend(select(stream).encode());
        }
        bytes.extend(Envelope::request(20, opcode::QUERY, Body::query(&format!("USE {there}"))).encode());
        for stream in 21..41 {
            bytes.extend(select(stream).encode());
        }
        bytes.extend(Envelope::request(41, opcode::EXECUTE, Body::execute(&prepared_use.id, &[])).encode());
        peer.send(&bytes).await.unwrap();
        for _ in 0..42 {
            let answer = peer.answer().await.unwrap();
            assert_eq!(answer.opcode, opcode::RESULT, "{answer:?}");
            let value = match answer.stream {
                0..=19 => &b"here"[..],
                21..=40 => b"there",
                _ => continue,
            };
            assert!(answer.body.ends_with(value), "stream {}: {:?}", answer.stream, answer.body);
        }
    }
}

#[tokio::test]
async fn a_per_request_keyspace_is_the_one_that_is_judged() {
    let world = World::new("perrequest", SCHEMA, POLICY).await;
    let alice = world.person("alice").await;
    world.group("team", &[&alice]).await;
    for version in [3, 4] {
        let mut connection = world.connect("alice").await;
        drop(connection.peer().finish().await);
        let mut peer = Peer::connect(world.gateway.cql_addr()).await.unwrap();
        peer.log_in(version, "token", &world.token("alice")).await.unwrap();
        let ask = |text: &str, keyspace: &str| {
            let body = Body::new().long_string(text).short(1).byte(0x80).string(keyspace);
            Envelope::request(1, opcode::QUERY, body).version(version)
        };
        let permitted = peer.ask(&ask("SELECT v FROM t", &world.keyspace)).await.unwrap();
        assert_eq!(permitted.opcode, opcode::RESULT, "{permitted:?}");
        let refused = peer.ask(&ask("SELECT v FROM hidden", &world.keyspace)).await.unwrap();
        assert_eq!(Reader::new(&refused.body).int().unwrap(), 0x2100);
        let roles = peer.ask(&ask("SELECT * FROM roles", "system_auth")).await.unwrap();
        assert_eq!(Reader::new(&roles.body).int().unwrap(), 0x2100);
    }
}
