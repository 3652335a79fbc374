//! Policy files: taken while the gateway runs, never half, never wrong, and names are not handed on.

use std::time::Duration;

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use serde_json::Value;

use crate::world::{World, refusal};

const TABLE: &[&str] = &["CREATE TABLE $ks.t (k int PRIMARY KEY, v text)"];
const LIMIT: Duration = Duration::from_secs(20);

/// Waits until the cluster's part of the status is as it should be.
async fn status(world: &World, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let status = world.gateway.admin("/api/status").await.unwrap().json()["clusters"][0].clone();
        if is_it(&status) {
            return status;
        }
        assert!(tokio::time::Instant::now() < deadline, "no {what}: {status}");
        // The page is asked; it tells nobody.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn warnings(status: &Value) -> String {
    status["policy_warnings"].to_string()
}

async fn sample(world: &World, name: &str) -> Option<u64> {
    let text = world.gateway.admin("/metrics").await.unwrap().text();
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_changed_file_is_taken_on_open_connections_and_a_bad_one_is_not() {
    let readers = "GRANT SELECT ON KEYSPACE $ks TO GROUP \"team\";\n";
    let world = World::new("reload", TABLE, readers).await;
    let alice = world.person("alice").await;
    let team = world.group("team", &[&alice]).await;
    let mut connection = world.connect("alice").await;
    let select = world.cql("SELECT k FROM $ks.t");
    let insert = world.cql("INSERT INTO $ks.t (k) VALUES (1)");
    connection.rows(&select).await.unwrap();
    assert_eq!(refusal(connection.query(&insert).await).0, 0x2100);

    let writers = format!("{readers}GRANT MODIFY ON TABLE $ks.t TO GROUP \"team\";\n");
    world.gateway.write_policy(&world.cql(&writers)).unwrap();
    let now = status(&world, "second policy", |s| s["policy_generation"] == 2).await;
    assert_eq!((&now["policy_rules"], &now["policy_stale"]), (&2.into(), &false.into()));
    connection.query(&insert).await.unwrap();
    let prepared = connection.prepare(&insert).await.unwrap();
    connection.execute(&prepared, &[]).await.unwrap();

    // DENY wins wherever it stands, also over what was prepared before.
    let denied = format!("DENY MODIFY ON KEYSPACE $ks TO EVERYONE;\n{writers}");
    world.gateway.write_policy(&world.cql(&denied)).unwrap();
    let now = status(&world, "third policy", |s| s["policy_generation"] == 3).await;
    assert!(
        warnings(&now).contains("policies/main.cql:3:1: warning: nothing of this GRANT is left"),
        "{now}"
    );
    let (code, text) = refusal(connection.execute(&prepared, &[]).await);
    assert_eq!(code, 0x2100, "{text}");
    assert_eq!(refusal(connection.query(&insert).await).0, 0x2100);
    connection.rows(&select).await.unwrap();
    let line = world.gateway.audit_line("the DENY", |l| l["rule"] == "policies/main.cql:1").await.unwrap();
    assert_eq!(line["verdict"], "refused", "{line}");

    // What is wrong on disk changes nothing, and says so where people look.
    let finding = "policies/main.cql:2:7: error: there is no permission \"EVERYTHING\"";
    world.gateway.write_policy("GRANT ALL ON ALL KEYSPACES TO EVERYONE;\nGRANT EVERYTHING;\n").unwrap();
    let now = status(&world, "refused policy", |s| s["policy_stale"] == true).await;
    assert_eq!((&now["policy_generation"], &now["policy_rules"]), (&3.into(), &3.into()));
    assert!(warnings(&now).contains(&finding.replace('"', "\\\"")), "{now}");
    let process = world.gateway.process();
    process.wait_for_line(0, LIMIT, "the finding", |line| line.contains(finding)).await.unwrap();
    process
        .wait_for_line(0, LIMIT, "what is in force", |line| line.contains("the last good one stays"))
        .await
        .unwrap();
    assert!(world.gateway.admin("/").await.unwrap().text().contains("policies/main.cql:2:7"));
    assert_eq!(refusal(connection.query(&insert).await).0, 0x2100);
    connection.rows(&select).await.unwrap();
    assert_eq!(sample(&world, "cqlgate_policy_generation{").await, Some(3));
    assert_eq!(
        sample(&world, "cqlgate_policy_reloads_total{cluster=\"main\",outcome=\"failed\"}").await,
        Some(1)
    );

    // And back.
    world.gateway.write_policy(&world.cql(&writers)).unwrap();
    status(&world, "fourth policy", |s| s["policy_generation"] == 4 && s["policy_stale"] == false).await;
    connection.query(&insert).await.unwrap();
    assert_eq!(sample(&world, "cqlgate_policy_rules{").await, Some(2));

    // Another group of the same name is another group.
    let deleted = world.gateway.scim("DELETE", &format!("/Groups/{team}"), None).await.unwrap();
    assert_eq!(deleted.status, 204);
    assert_eq!(refusal(connection.query(&insert).await).0, 0x2100);
    world.group("team", &[&alice]).await;
    assert_eq!(refusal(connection.query(&insert).await).0, 0x2100, "a name is not handed on");
    assert_eq!(refusal(world.connect("alice").await.query(&select).await).0, 0x2100);
    let now = status(&world, "warning", |s| warnings(s).contains("is pinned to the group")).await;
    assert!(
        warnings(&now).contains(&format!("with SCIM id {team}, which is gone: a GRANT to it reaches nobody")),
        "{now}"
    );
}

#[tokio::test]
async fn a_bad_file_at_start_is_no_start() {
    let (node, issuer) = (Cassandra::shared().await, Issuer::start().await.unwrap());
    let settings = Settings::for_node(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), node)
        .await
        .policy("GRANT SELECT ON KEYSPACE k TO EVERYONE;\n  GRNT SELECT ON KEYSPACE k TO EVERYONE;\n");
    let gateway = Gateway::launch(settings).unwrap();
    assert_eq!(gateway.process().ended(LIMIT).await.unwrap(), 2);
    let said = "policies/main.cql:2:3: error: ";
    gateway.process().wait_for_line(0, LIMIT, said, |line| line.contains(said)).await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_observes_forwards_and_records() {
    let policy =
        "GRANT SELECT ON KEYSPACE $ks TO USER \"alice\";\nDENY MODIFY ON KEYSPACE $ks TO EVERYONE;\n";
    let world = World::with("observe", TABLE, policy, |settings| Settings {
        cluster_extra: "mode = \"observe\"".into(),
        ..settings
    })
    .await;
    let alice = world.person("alice").await;
    let mut connection = world.connect("alice").await;
    connection.query(&world.cql("INSERT INTO $ks.t (k, v) VALUES (1, 'a')")).await.unwrap();
    assert_eq!(connection.rows(&world.cql("SELECT v FROM $ks.t")).await.unwrap().texts("v"), ["a"]);
    let line = world.gateway.audit_line("what was observed", |l| l["verdict"] == "observed").await.unwrap();
    assert_eq!(
        (&line["rule"], &line["who"]["scim_id"]),
        (&"policies/main.cql:2".into(), &alice.into()),
        "{line}"
    );
    let now = world.gateway.admin("/api/status").await.unwrap().json();
    assert_eq!(now["clusters"][0]["mode"], "observe");
    assert_eq!(now["refusals"][0]["verdict"], "observed", "{now}");
    let text = world.gateway.admin("/metrics").await.unwrap().text();
    let observed = "cqlgate_requests_total{cluster=\"main\",opcode=\"QUERY\",statement=\"UPDATE\",verdict=\"observed\"} 1";
    assert!(text.to_lowercase().contains(&observed.to_lowercase()), "{text}");

    // Observing is about policy: somebody who was removed is out, and what Cassandra keeps for superusers is
    // not forwarded.
    assert_eq!(refusal(connection.query("CREATE ROLE r WITH SUPERUSER = true").await).0, 0x2100);
    world
        .gateway
        .scim("DELETE", &format!("/Users/{}", line["who"]["scim_id"].as_str().unwrap()), None)
        .await
        .unwrap();
    connection.peer().closed(LIMIT).await.unwrap();
}
