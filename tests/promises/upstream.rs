//! The upstream side keeps what it promises to sessions: leases that are logged in, a schema that follows
//! what others do to it, ids that mean what they say, and recovery after every fault.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cqlgate::config::{limits, model};
use cqlgate::metrics::Metrics;
use cqlgate::upstream::{Cluster, Lease, LocalRow, Secret};
use cqlgate_protocol::cql::{RelationKind, Schema as _};
use cqlgate_protocol::wire::client::{self, Consistency, Query};
use cqlgate_protocol::wire::response::{Change, SchemaChange, Target};
use cqlgate_protocol::wire::{HEADER_LENGTH, Header, Opcode, Version};
use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cassandra::{Options, Tls};
use cqlgate_testkit::certs::Authority;
use cqlgate_testkit::cql::CqlError;
use cqlgate_testkit::faulty::{Action, Faulty, Way};
use cqlgate_testkit::scratch::Scratch;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// For everything that takes a node and a busy machine their time.
const SOON: Duration = Duration::from_secs(30);

fn config(node: SocketAddr, username: &str) -> model::Cluster {
    toml::from_str(&format!(
        "name = \"test\"\nlisten = \"127.0.0.1:0\"\ncontact_points = [\"{node}\"]\nusername = \"{username}\"\n\
         password_file = \"/nonexistent\"\npolicies = []\nwarm_connections = 2\n"
    ))
    .unwrap()
}

/// A cluster on the node, through `at` instead of its own address if that is given.
async fn cluster(node: &Cassandra, at: Option<SocketAddr>) -> Arc<Cluster> {
    let (username, password) = node.service_account().await;
    let config = config(at.unwrap_or(node.addr()), username);
    let cluster = Cluster::start(&config, Secret::new(&password), Metrics::new().cluster("test")).unwrap();
    until("healthy", || cluster.health().healthy).await;
    cluster
}

/// Waits until something is so that nobody sends an event for.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = timeout(SOON, async {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while !is_so() {
            look.tick().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never {what}"));
}

/// Waits for a schema in which something is so; how long that took.
async fn schema_until(cluster: &Cluster, what: &str, is_so: impl Fn(&Cluster) -> bool) -> Duration {
    let begin = Instant::now();
    let mut generations = cluster.schema_watch();
    let waited = timeout(SOON, async {
        while !is_so(cluster) {
            generations.changed().await.unwrap();
        }
    });
    waited.await.unwrap_or_else(|_| panic!("the schema cache never saw: {what}"));
    begin.elapsed()
}

async fn ask(lease: &mut Lease, request: &[u8]) -> (Header, Vec<u8>) {
    lease.write_all(request).await.unwrap();
    let mut head = [0; HEADER_LENGTH];
    timeout(SOON, lease.read_exact(&mut head)).await.unwrap().unwrap();
    let header = Header::parse(&head).unwrap();
    let mut body = vec![0; usize::try_from(header.length).unwrap()];
    lease.read_exact(&mut body).await.unwrap();
    (header, body)
}

async fn select(lease: &mut Lease, version: Version) -> Header {
    let query = Query { consistency: Consistency::One, values: &[], page_size: 10, paging_state: None };
    let text = "SELECT cluster_name FROM system.local";
    ask(lease, &client::query(version, 5, text, &query)).await.0
}

#[tokio::test]
async fn a_lease_is_logged_in_and_comes_back() {
    let node = Cassandra::shared().await;
    let cluster = cluster(node, None).await;
    for version in [Version::V4, Version::V3] {
        let mut lease = cluster.lease(version).await.unwrap();
        let header = select(&mut lease, version).await;
        assert_eq!((header.version, header.opcode, header.stream), (version.response_byte(), 8, 5));
        lease.release_clean();
        let mut lease = cluster.lease(version).await.unwrap();
        assert_eq!(select(&mut lease, version).await.opcode, Opcode::Result.byte());
    }
    // v4 and, after its first use, v3.
    until("four warm connections", || cluster.health().warm == 4).await;
    let health = cluster.health();
    assert!(health.healthy && health.release.starts_with("5.0."), "{health:?}");
    // What is wrong with the account is said after the first lease at the latest: it is asked for at once.
    assert!(health.tables > 50 && !health.detail.contains("superuser"), "{health:?}");
    assert!(!health.detail.contains("prepared_statements"), "{health:?}");
    assert_eq!(cluster.cql_version().as_str(), "3.4.7");
}

#[tokio::test]
async fn the_schema_follows_what_others_do() {
    let node = Cassandra::shared().await;
    let cluster = cluster(node, None).await;
    let k = node.keyspace("schema").await;
    let mut other = node.superuser().await.unwrap();
    let mut slowest = Duration::ZERO;
    let mut do_and_see = async |statement: String, is_so: &dyn Fn(&Cluster) -> bool| {
        if let Err(CqlError::Server { message, .. }) = other.query(&statement).await {
            panic!("{statement}: {message}");
        }
        slowest = slowest.max(schema_until(&cluster, &statement, is_so).await);
    };
    let table = |cluster: &Cluster, name: &str| {
        cluster.schema().relation(&k, name).map(|relation| {
            let kind = match relation.kind {
                RelationKind::Table { views } => format!("table with {views:?}"),
                RelationKind::View { base } => format!("view of {base}"),
            };
            (kind, relation.masked)
        })
    };
    let plain = || Some((r"table with []".to_owned(), false));
    do_and_see(format!("CREATE TABLE {k}.t (a int PRIMARY KEY, b int)"), &|c| table(c, "t") == plain()).await;
    do_and_see(
        format!(
            "CREATE MATERIALIZED VIEW {k}.v AS SELECT a, b FROM {k}.t WHERE a IS NOT NULL AND b IS NOT NULL \
             PRIMARY KEY (b, a)"
        ),
        &|c| {
            table(c, "v") == Some(("view of t".into(), false))
                && table(c, "t") == Some((r#"table with ["v"]"#.into(), false))
        },
    )
    .await;
    do_and_see(format!("DROP MATERIALIZED VIEW {k}.v"), &|c| {
        table(c, "v").is_none() && table(c, "t") == plain()
    })
    .await;
    do_and_see(format!("ALTER TABLE {k}.t ALTER b MASKED WITH DEFAULT"), &|c| {
        table(c, "t") == Some(("table with []".into(), true))
    })
    .await;
    do_and_see(format!("ALTER TABLE {k}.t ALTER b DROP MASKED"), &|c| table(c, "t") == plain()).await;
    do_and_see(format!("CREATE INDEX i ON {k}.t (b)"), &|c| c.schema().index_table(&k, "i") == Some("t"))
        .await;
    do_and_see(format!("DROP INDEX {k}.i"), &|c| c.schema().index_table(&k, "i").is_none()).await;
    do_and_see(
        format!(
            "CREATE FUNCTION {k}.f (x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'"
        ),
        &|c| c.schema().functions(&k, "f").len() == 1,
    )
    .await;
    do_and_see(format!("DROP FUNCTION {k}.f"), &|c| !c.schema().functions(&k, "f").len() == 1).await;
    do_and_see(format!(r#"CREATE TABLE {k}."T" (a int PRIMARY KEY)"#), &|c| table(c, "T") == plain()).await;
    do_and_see(format!("DROP TABLE {k}.t"), &|c| table(c, "t").is_none() && table(c, "T") == plain()).await;
    do_and_see(format!("DROP KEYSPACE {k}"), &|c| !c.schema().has_keyspace(&k)).await;
    println!("a change by somebody else was seen after {slowest:?} at the latest");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let schema = cluster.schema();
    assert!(schema.relation("system_views", "clients").is_some(), "virtual tables");
    assert!(schema.relation("system", "local").is_some() && schema.has_keyspace("system_auth"));
    assert_eq!(schema.generation(), cluster.schema_generation());
}

#[tokio::test]
async fn a_ddl_answer_waits_for_the_cache_and_events_are_told() {
    let node = Cassandra::shared().await;
    let cluster = cluster(node, None).await;
    let k = node.keyspace("ddl").await;
    let mut events = cluster.schema_events();
    node.run(&[&format!("CREATE TABLE {k}.t (a int PRIMARY KEY)")]).await.unwrap();
    let change =
        SchemaChange { change: Change::Created, keyspace: k.clone(), target: Target::Table("t".into()) };
    let begin = Instant::now();
    assert!(cluster.await_schema(&change).await);
    println!("agreement and cache after {:?}", begin.elapsed());
    assert!(cluster.schema().relation(&k, "t").is_some());
    let told = timeout(SOON, async {
        // Other tests of this process change the schema, too.
        loop {
            let told = events.recv().await.unwrap();
            if told == change {
                return told;
            }
        }
    });
    assert_eq!(told.await.unwrap(), change);
    let version = |row: &LocalRow| row.get("schema_version").map(<[u8]>::to_vec);
    assert!(version(&cluster.local_row()).is_some());
}

#[tokio::test]
async fn a_name_that_the_cache_does_not_know_is_looked_up() {
    let node = Cassandra::shared().await;
    // A relay that swallows every event: the cache learns nothing by itself.
    let relay = Faulty::start(node.addr()).await.unwrap();
    relay.plan(|seen| match seen.way {
        Way::Response if seen.envelope.opcode == Opcode::Event.byte() => Action::Drop,
        _ => Action::Forward,
    });
    let cluster = cluster(node, Some(relay.addr())).await;
    let k = node.keyspace("lookup").await;
    assert!(!cluster.look_up(&k, "nope").await);
    node.run(&[&format!("CREATE TABLE {k}.t (a int PRIMARY KEY)")]).await.unwrap();
    assert!(cluster.schema().relation(&k, "t").is_none());
    // One look-up has 200 ms, which a machine that runs every test at once may need more than once.
    let found = async {
        let mut again = tokio::time::interval(Duration::from_millis(100));
        while !cluster.look_up(&k, "t").await {
            again.tick().await;
        }
    };
    timeout(SOON, found).await.expect("found");
    assert!(cluster.schema().relation(&k, "t").is_some());
    // Names that nobody has reach the node at a bounded rate, and together.
    let (before, begin) = (relay.seen().len(), Instant::now());
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let (cluster, k) = (cluster.clone(), k.clone());
        asking.spawn(async move { cluster.look_up(&k, &format!("n{n}")).await });
    }
    assert!(asking.join_all().await.iter().all(|found| !found));
    let queries = relay.seen().len() - before;
    println!("2000 unknown names: {queries} envelopes in {:?}", begin.elapsed());
    // A reading is nine questions and nine answers.
    let most = 18 * u64::from(limits::LOOKUPS_PER_SECOND) * (2 + begin.elapsed().as_secs());
    assert!(queries as u64 <= most, "{queries} envelopes, at most {most} are allowed");
}

#[tokio::test]
async fn prepared_ids_are_found_on_the_node() {
    let node = Cassandra::shared().await;
    let k = node.keyspace("prepared").await;
    node.run(&[&format!("CREATE TABLE {k}.t (a int PRIMARY KEY)")]).await.unwrap();
    let mut other = node.superuser().await.unwrap();
    let early = format!("SELECT a FROM {k}.t WHERE a = 1");
    let early_id = other.prepare(&early).await.unwrap().id;
    let cluster = cluster(node, None).await;
    let id = |id: &[u8]| <[u8; 16]>::try_from(id).unwrap();
    // Prepared before the gateway came: refilled.
    until("refilled", || cluster.prepared().get(&id(&early_id)).is_some()).await;
    // Prepared behind its back, with and without a keyspace in force.
    let late = format!("SELECT a FROM {k}.t WHERE a = 2");
    let late_id = other.prepare(&late).await.unwrap().id;
    let found = cluster.prepared().find(&id(&late_id)).await.unwrap();
    assert_eq!((&*found.text, &found.keyspace), (&*late, &None));
    other.query(&format!("USE {k}")).await.unwrap();
    let unqualified_id = other.prepare("SELECT a FROM t WHERE a = 3").await.unwrap().id;
    let found = cluster.prepared().find(&id(&unqualified_id)).await.unwrap();
    assert_eq!((&*found.text, found.keyspace.as_deref()), ("SELECT a FROM t WHERE a = 3", Some(&*k)));
    assert_eq!(cluster.prepared().find(&[7; 16]).await, None);
}

#[tokio::test]
async fn every_fault_is_recovered_from() {
    let node = Cassandra::shared().await;
    let relay = Faulty::start(node.addr()).await.unwrap();
    let cluster = cluster(node, Some(relay.addr())).await;
    let k = node.keyspace("fault").await;
    until("warm", || cluster.health().warm == 2).await;
    // The node goes away, the schema changes, the node comes back.
    relay.refuse(true);
    relay.cut();
    until("unhealthy", || !cluster.health().healthy).await;
    assert!(cluster.lease(Version::V4).await.is_err());
    assert!(!cluster.health().detail.is_empty());
    let mut events = cluster.schema_events();
    node.run(&[&format!("CREATE TABLE {k}.t (a int PRIMARY KEY)")]).await.unwrap();
    assert!(!cluster.look_up(&k, "t").await);
    relay.refuse(false);
    until("healthy again", || cluster.health().healthy).await;
    assert!(cluster.schema().relation(&k, "t").is_some(), "what was missed is read");
    let missed =
        SchemaChange { change: Change::Created, keyspace: k.clone(), target: Target::Table("t".into()) };
    timeout(SOON, async { while events.recv().await.unwrap() != missed {} }).await.expect("and told");
    let mut lease = timeout(SOON, async {
        loop {
            if let Ok(lease) = cluster.lease(Version::V4).await {
                return lease;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(select(&mut lease, Version::V4).await.opcode, Opcode::Result.byte());
    // Answers that are no answers.
    relay.plan(|seen| match seen.way {
        Way::Response if seen.envelope.opcode == Opcode::Result.byte() => {
            Action::Replace(vec![0x84, 0, 0, 0, 8, 0, 0, 0, 4, 0xFF, 0xFF, 0xFF, 0xFF])
        }
        _ => Action::Forward,
    });
    relay.cut();
    until("unhealthy", || !cluster.health().healthy).await;
    relay.plan(|_| Action::Forward);
    until("healthy again", || cluster.health().healthy).await;
}

#[tokio::test]
async fn a_node_that_falls_silent_is_noticed() {
    let node = Cassandra::shared().await;
    let relay = Faulty::start(node.addr()).await.unwrap();
    let cluster = cluster(node, Some(relay.addr())).await;
    // Nothing is closed: only nothing comes any more.
    relay.plan(|seen| match seen.way {
        Way::Response => Action::Drop,
        Way::Request => Action::Forward,
    });
    until("unhealthy", || !cluster.health().healthy).await;
    relay.plan(|_| Action::Forward);
    until("healthy again", || cluster.health().healthy).await;
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_tried_in_a_loop() {
    let node = Cassandra::shared().await;
    let relay = Faulty::start(node.addr()).await.unwrap();
    let config = config(relay.addr(), "cassandra");
    let wrong = Secret::new("not the password");
    let cluster = Cluster::start(&config, wrong, Metrics::new().cluster("test")).unwrap();
    until("said", || cluster.health().detail.contains("refuses the service account")).await;
    assert!(!cluster.health().healthy && cluster.stale());
    assert!(cluster.lease(Version::V4).await.is_err());
    let tries =
        relay.seen().iter().filter(|seen| seen.envelope.opcode == Opcode::AuthResponse.byte()).count();
    assert!(tries <= 2, "{tries} log-ins");
    assert!(!cluster.health().detail.contains("not the password"));
}

#[tokio::test]
async fn tls_to_the_node() {
    let authority = Authority::new("upstream").unwrap();
    let leaf = authority.leaf(&["node.test"]).unwrap();
    let tls = Tls {
        key_and_chain: format!("{}{}{}", leaf.key, leaf.cert, authority.pem()),
        ca: authority.pem(),
        require_client_auth: true,
    };
    let node = Cassandra::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap();
    let files = Scratch::new("upstream-tls").unwrap();
    let own = authority.leaf(&["gateway.test"]).unwrap();
    let ca = files.write("ca.pem", authority.pem()).unwrap();
    let other_ca = files.write("other.pem", Authority::new("other").unwrap().pem()).unwrap();
    let cert = files.write("cert.pem", &own.cert).unwrap();
    let key = files.write("key.pem", &own.key).unwrap();
    let start = |ca: &Path, with_certificate: bool, name: &str| {
        let mut config = config(node.addr(), "cassandra");
        config.upstream_tls = Some(model::ClientTls {
            ca_file: ca.to_owned(),
            cert_file: with_certificate.then(|| cert.clone()),
            key_file: with_certificate.then(|| key.clone()),
            server_name: Some(name.to_owned()),
        });
        Cluster::start(&config, Secret::new("cassandra"), Metrics::new().cluster("test"))
    };
    let cluster = start(&ca, true, "node.test").unwrap();
    until("healthy", || cluster.health().healthy).await;
    let mut lease = cluster.lease(Version::V4).await.unwrap();
    assert_eq!(select(&mut lease, Version::V4).await.opcode, Opcode::Result.byte());
    lease.release_clean();
    until("told of the superuser", || cluster.health().detail.contains("superuser")).await;
    for (ca, with_certificate, name) in
        [(&other_ca, true, "node.test"), (&ca, true, "another.test"), (&ca, false, "node.test")]
    {
        let cluster = start(ca, with_certificate, name).unwrap();
        cluster.lease(Version::V4).await.unwrap_err();
        assert!(!cluster.health().healthy);
    }
    assert!(start(Path::new("/nonexistent"), true, "node.test").is_err());
    assert!(start(&key, true, "node.test").is_err(), "a key is no trust anchor");
    assert!(start(&ca, true, "no name").is_err());
    node.stop().await.unwrap();
}
