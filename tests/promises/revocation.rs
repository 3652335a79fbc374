//! When the provider removes a person, their live connections end within milliseconds, and nothing of
//! theirs is forwarded after the answer to the provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cqlgate_testkit::cql::{Cql, CqlError};
use serde_json::json;

use crate::world::World;

const SCHEMA: &[&str] = &["CREATE TABLE $ks.t (k int PRIMARY KEY, v int)"];
const POLICY: &str = "GRANT SELECT, MODIFY ON KEYSPACE $ks TO GROUP \"team\";";
const SOON: Duration = Duration::from_secs(5);

fn active(active: bool) -> serde_json::Value {
    json!({ "op": "replace", "path": "active", "value": active })
}

/// The value below which this part of the sorted values lies.
fn percentile(sorted: &[Duration], part: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = ((sorted.len() - 1) as f64 * part).round() as usize;
    sorted[at]
}

/// 200 times: a person with an idle and a busy connection is made inactive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_revocations() {
    const ROUNDS: usize = 200;
    let world = World::new("revoke", SCHEMA, POLICY).await;
    let bob = world.person("bob").await;
    world.group("team", &[&bob]).await;
    let path = format!("/Users/{bob}");
    let (mut answered, mut ended) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut idle = world.connect("bob").await;
        let busy = world.connect("bob").await;
        let acknowledged = Arc::new(AtomicBool::new(false));
        let insert = world.cql("INSERT INTO $ks.t (k, v) VALUES (1, 1)");
        let load = tokio::spawn(hammer(busy, insert, Arc::clone(&acknowledged)));
        let asked = Instant::now();
        world.patch(&path, active(false)).await;
        acknowledged.store(true, Ordering::Release);
        answered.push(asked.elapsed());
        idle.peer().closed(SOON).await.unwrap();
        ended.push(asked.elapsed());
        let late = load.await.unwrap();
        assert_eq!(late, 0, "requests sent after the provider had its answer were served");
        world.patch(&path, active(true)).await;
    }
    answered.sort();
    ended.sort();
    println!(
        "over {ROUNDS} revocations, from the provider's request: answered (commit, published, acknowledged) \
         p50 {:?} p99 {:?}; the client's end of file p50 {:?} p99 {:?}",
        percentile(&answered, 0.5),
        percentile(&answered, 0.99),
        percentile(&ended, 0.5),
        percentile(&ended, 0.99),
    );
    let metrics = world.gateway.admin("/metrics").await.unwrap().text();
    let of =
        |name: &str| metrics.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>().join("\n");
    println!("{}\n{}", of("cqlgate_revocation"), of("cqlgate_directory_commit_seconds_sum"));
    assert!(!metrics.contains("kind=\"shut\""), "no session had to be shut from outside");
}

/// Writes until the connection ends; how many writes that were begun after the acknowledgement succeeded?
async fn hammer(mut connection: Cql, insert: String, acknowledged: Arc<AtomicBool>) -> usize {
    let mut late = 0;
    loop {
        let began_late = acknowledged.load(Ordering::Acquire);
        match connection.query(&insert).await {
            Ok(_) if began_late => late += 1,
            Ok(_) | Err(CqlError::Server { .. }) => {}
            Err(_) => return late,
        }
    }
}

#[tokio::test]
async fn deleting_and_relinking_end_sessions_and_renaming_does_not() {
    let world = World::new("ends", SCHEMA, POLICY).await;
    let (alice, bob, carol) =
        (world.person("alice").await, world.person("bob").await, world.person("carol").await);
    world.group("team", &[&alice, &bob, &carol]).await;
    let (mut a, mut b, mut c) =
        (world.connect("alice").await, world.connect("bob").await, world.connect("carol").await);
    let select = world.cql("SELECT * FROM $ks.t");
    let deleted = world.gateway.scim("DELETE", &format!("/Users/{bob}"), None).await.unwrap();
    assert_eq!(deleted.status, 204);
    b.peer().closed(SOON).await.unwrap();
    let renamed = json!({ "op": "replace", "path": "userName", "value": "alice.renamed" });
    world.patch(&format!("/Users/{alice}"), renamed).await;
    a.rows(&select).await.unwrap();
    // The token's subject is somebody else's now.
    let relinked = json!({ "op": "replace", "path": "externalId", "value": "another" });
    world.patch(&format!("/Users/{carol}"), relinked).await;
    c.peer().closed(SOON).await.unwrap();
    a.rows(&select).await.unwrap();
}

#[tokio::test]
async fn a_push_about_bob_leaves_alice_alone() {
    let world = World::new("alone", SCHEMA, POLICY).await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let group = world.group("team", &[&alice, &bob]).await;
    let mut connection = world.connect("alice").await;
    let select = world.cql("SELECT * FROM $ks.t");
    connection.rows(&select).await.unwrap();
    for _ in 0..5 {
        world.patch(&format!("/Users/{bob}"), active(false)).await;
        connection.rows(&select).await.unwrap();
        world.patch(&format!("/Users/{bob}"), active(true)).await;
    }
    let remove = json!({ "op": "remove", "path": format!("members[value eq \"{bob}\"]") });
    world.patch(&format!("/Groups/{group}"), remove).await;
    connection.rows(&select).await.unwrap();
}
