//! The whole way through: a token, a pushed group, a judged frame, a real node.

use serde_json::json;

use crate::world::{World, refusal};

const POLICY: &str = "
    GRANT SELECT, MODIFY ON KEYSPACE $ks TO GROUP \"orders-team\";
    GRANT SELECT ON KEYSPACE $ks TO GROUP \"analysts\";
    GRANT CREATE, DROP ON KEYSPACE $ks TO GROUP \"orders-team\";
";

const ORDERS: &[&str] = &["CREATE TABLE $ks.orders (id int PRIMARY KEY, item text)"];

#[tokio::test]
async fn a_group_reads_and_writes_another_only_reads() {
    let world = World::new("whole", ORDERS, POLICY).await;
    let alice = world.person("alice").await;
    let bob = world.person("bob").await;
    world.group("orders-team", &[&alice]).await;
    world.group("analysts", &[&bob]).await;
    let (mut alice, mut bob) = (world.connect("alice").await, world.connect("bob").await);
    let insert = world.cql("INSERT INTO $ks.orders (id, item) VALUES (1, 'tea')");
    let select = world.cql("SELECT item FROM $ks.orders WHERE id = 1");
    alice.query(&insert).await.unwrap();
    assert_eq!(bob.rows(&select).await.unwrap().texts("item"), ["tea"]);
    let (code, text) = refusal(bob.query(&insert).await);
    assert_eq!(code, 0x2100);
    let words =
        world.cql("User bob has no MODIFY permission on <table $ks.orders> or any of its parents [ref ");
    assert!(text.starts_with(&words), "{text}");
    assert_eq!(bob.rows(&select).await.unwrap().texts("item"), ["tea"], "the connection lives on");
}

#[tokio::test]
async fn a_lost_group_changes_the_next_execute() {
    let world = World::new("lost", ORDERS, POLICY).await;
    let alice = world.person("alice").await;
    let group = world.group("orders-team", &[&alice]).await;
    let mut connection = world.connect("alice").await;
    let insert =
        connection.prepare(&world.cql("INSERT INTO $ks.orders (id, item) VALUES (?, 'tea')")).await.unwrap();
    let one = 1_i32.to_be_bytes();
    connection.execute(&insert, &[Some(&one)]).await.unwrap();
    let path = format!("/Groups/{group}");
    let filter = format!("members[value eq \"{alice}\"]");
    world.patch(&path, json!({ "op": "remove", "path": filter })).await;
    let (code, text) = refusal(connection.execute(&insert, &[Some(&one)]).await);
    assert_eq!(code, 0x2100, "{text}");
    world.patch(&path, json!({ "op": "add", "path": "members", "value": [{ "value": alice }] })).await;
    connection.execute(&insert, &[Some(&one)]).await.unwrap();
}

#[tokio::test]
async fn a_removed_person_is_cut_off() {
    let world = World::new("removed", &[], POLICY).await;
    let bob = world.person("bob").await;
    world.group("analysts", &[&bob]).await;
    let mut idle = world.connect("bob").await;
    let mut busy = world.connect("bob").await;
    busy.rows("SELECT key FROM system.local").await.unwrap();
    world.patch(&format!("/Users/{bob}"), json!({ "op": "replace", "value": { "active": false } })).await;
    // The answer above means that nothing more is forwarded; the sockets are closed with it.
    let limit = std::time::Duration::from_secs(1);
    idle.peer().closed(limit).await.unwrap();
    busy.peer().closed(limit).await.unwrap();
}
