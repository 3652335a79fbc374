//! The test kit keeps its own promises: a real node, a keyspace for each test, nothing left behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cassandra::{Options, SERVICE_ROLE, Tls};
use cqlgate_testkit::certs::{self, Authority};
use cqlgate_testkit::cql::{Body, Cql, CqlError, Envelope, Peer, opcode};
use cqlgate_testkit::faulty::{Action, Faulty, Way};
use cqlgate_testkit::process::Process;
use cqlgate_testkit::python::{Driver, LogIn, Python};
use cqlgate_testkit::scratch::Scratch;

#[tokio::test]
async fn a_keyspace_of_its_own_for_each_test() {
    let node = Cassandra::shared().await;
    let (one, two) = (node.keyspace("kit").await, node.keyspace("kit").await);
    assert_ne!(one, two);
    let mut cql = node.superuser().await.unwrap();
    for keyspace in [&one, &two] {
        cql.query(&format!("CREATE TABLE {keyspace}.t (k int PRIMARY KEY, v text)")).await.unwrap();
    }
    cql.query(&format!("INSERT INTO {one}.t (k, v) VALUES (1, 'a')")).await.unwrap();
    let select = cql.prepare(&format!("SELECT v FROM {one}.t WHERE k = ?")).await.unwrap();
    let rows = cql.execute(&select, &[Some(&1_i32.to_be_bytes())]).await.unwrap().rows();
    assert_eq!(rows.texts("v"), ["a"]);
    assert!(cql.rows(&format!("SELECT v FROM {two}.t")).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn the_service_account_can_work_and_is_no_superuser() {
    let node = Cassandra::shared().await;
    let keyspace = node.keyspace("service").await;
    let (name, password) = node.service_account().await;
    assert_eq!(name, SERVICE_ROLE);
    let mut cql = Cql::connect(node.addr(), name, &password).await.unwrap();
    for statement in [
        format!("CREATE TABLE {keyspace}.t (k int PRIMARY KEY, v int)"),
        format!("INSERT INTO {keyspace}.t (k, v) VALUES (1, 1)"),
        format!("SELECT * FROM {keyspace}.t"),
        format!("TRUNCATE {keyspace}.t"),
        "SELECT prepared_id, logged_keyspace, query_string FROM system.prepared_statements".into(),
        "SELECT * FROM system_schema.tables".into(),
        "SELECT * FROM system.local".into(),
        "SELECT * FROM system.peers_v2".into(),
        format!("DROP TABLE {keyspace}.t"),
        format!("DROP KEYSPACE {keyspace}"),
    ] {
        cql.query(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    for statement in [
        "CREATE ROLE intruder WITH SUPERUSER = true",
        "SELECT * FROM system_auth.role_permissions",
        "SELECT * FROM system_views.clients",
    ] {
        match cql.query(statement).await {
            Err(CqlError::Server { code: 0x2100, .. }) => {}
            other => panic!("{statement}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let node = Cassandra::shared().await;
    let trouble = Cql::connect(node.addr(), "cassandra", "wrong").await.unwrap_err();
    assert!(trouble.to_string().starts_with("0x0100"), "{trouble}");
}

#[tokio::test]
async fn the_python_driver_and_cqlsh_work() {
    let (node, python) = (Cassandra::shared().await, Python::shared().await);
    let script = "import sys\nfrom cassandra.cluster import Cluster\nfrom cassandra.auth import PlainTextAuthProvider\n\
         c = Cluster([sys.argv[1]], auth_provider=PlainTextAuthProvider('cassandra', input()))\n\
         print(c.connect().execute('SELECT cluster_name FROM system.local').one()[0])\nc.shutdown()";
    let ip = node.addr().ip().to_string();
    let printed = python.text(script).args([&ip]).input("cassandra\n").ok().await.unwrap();
    assert_eq!(printed.trim(), "cqlgate-test");

    let args = ["-u", "cassandra", "-p", "cassandra", "-e", "SHOW HOST", &ip];
    let printed = python.cqlsh().args(args).ok().await.unwrap();
    assert!(printed.contains("Connected to cqlgate-test"), "{printed}");
}

/// Owns a node, or a stand-in that ends less willingly, until it is killed itself.
async fn own(what: &str) {
    if what == "node" {
        let node = Cassandra::start(Options::default()).await.unwrap();
        println!("owning {} {}", node.process().pid(), node.folder().display());
        std::future::pending::<()>().await;
    } else {
        let scratch = Scratch::new("stubborn").unwrap();
        let mut shell = Command::new("sh");
        // Takes no TERM, and writes in its folder as long as it lives.
        shell.args(["-c", "trap '' TERM; while :; do echo x >\"$0/noise\"; done"]).arg(scratch.path());
        let process = Process::spawn("stubborn", &scratch, Duration::from_millis(300), &shell).unwrap();
        println!("owning {} {}", process.pid(), scratch.path().display());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn nothing_survives_a_killed_owner() {
    // This very test, run again as a process of its own, is the owner that gets killed.
    if let Ok(what) = std::env::var("CQLGATE_TESTKIT_OWN") {
        return own(&what).await;
    }
    for what in ["stubborn", "node"] {
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kit::nothing_survives_a_killed_owner", "--nocapture", "--test-threads=1"])
            .env("CQLGATE_TESTKIT_OWN", what)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = std::io::BufReader::new(owner.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            use std::io::BufRead;
            // The test runner's own words may stand before it on the line.
            let line = stdout.lines().map_while(Result::ok).find(|line| line.contains("owning ")).unwrap();
            line.split_once("owning ").unwrap().1.to_owned()
        });
        let line = tokio::time::timeout(Duration::from_mins(4), line).await.unwrap().unwrap();
        let (pid, folder) = line.split_once(' ').unwrap();
        let (pid, folder) = (Path::new("/proc").join(pid), Path::new(folder));
        assert!(pid.exists() && folder.exists(), "{line}");

        owner.kill().unwrap(); // SIGKILL: it cannot clean up after itself
        owner.wait().unwrap();

        // The folder goes last, when its process is gone; nobody tells us, so this looks until it is so.
        let deadline = Instant::now() + Duration::from_secs(30);
        while folder.exists() {
            assert!(Instant::now() < deadline, "{} is still there", folder.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!pid.exists(), "{what} outlived its folder");
    }
}

#[tokio::test]
async fn a_process_is_told_apart_alive_and_ended() {
    let scratch = Scratch::new("told").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo one; echo two >&2; exit 7"]);
    let process = Process::spawn("told", &scratch, Duration::ZERO, &shell).unwrap();
    assert_eq!(process.ended(Duration::from_secs(10)).await.unwrap(), 7);
    let limit = Duration::from_secs(10);
    let (_, next) = process.wait_for_line(0, limit, "one", |line| line == "one").await.unwrap();
    process.wait_for_line(next, limit, "two", |line| line == "two").await.unwrap();
    let trouble = process.wait_for_line(0, limit, "three", |line| line == "three").await.unwrap_err();
    assert!(trouble.to_string().starts_with("told ended before three"), "{trouble}");
}

#[tokio::test]
async fn the_driver_does_as_it_is_told() {
    let (node, python) = (Cassandra::shared().await, Python::shared().await);
    let keyspace = node.keyspace("driver").await;
    let log_in = |password| LogIn::new(node.addr(), "cassandra", password);
    let mut driver = Driver::connect(python, &log_in("cassandra")).await.unwrap();
    driver.execute(&format!("CREATE TABLE {keyspace}.t (k int PRIMARY KEY, v text)")).await.unwrap();
    driver.prepare("put", &format!("INSERT INTO {keyspace}.t (k, v) VALUES (?, ?)")).await.unwrap();
    driver.bound("put", serde_json::json!([1, "one"])).await.unwrap();
    let table = driver.execute(&format!("SELECT * FROM {keyspace}.t")).await.unwrap();
    assert_eq!(
        (table.columns, table.rows),
        (vec!["k".into(), "v".into()], vec![vec![1.into(), "one".into()]])
    );
    assert_eq!(driver.execute("SELECT * FROM nowhere.t").await.unwrap_err().kind, "InvalidRequest");
    assert_eq!(driver.connections().await.unwrap(), 2);
    let failure = Driver::connect(python, &log_in("wrong")).await.unwrap_err();
    assert_eq!(failure.kind, "AuthenticationFailed", "{failure}");
}

#[tokio::test]
async fn a_fault_happens_where_it_is_planned() {
    let node = Cassandra::shared().await;
    let faulty = Faulty::start(node.addr()).await.unwrap();
    let mut cql = Cql::connect(faulty.addr(), "cassandra", "cassandra").await.unwrap();
    let query = Envelope::request(9, opcode::QUERY, Body::query("SELECT key FROM system.local"));
    let limit = Duration::from_secs(20);
    let is_result = |way, opcode| way == Way::Response && opcode == opcode::RESULT;

    // Byte by byte, and all of it all the same.
    faulty.plan(|_| Action::Dribble);
    assert_eq!(cql.rows("SELECT key FROM system.local").await.unwrap().texts("key"), ["local"]);

    // Held back until it is released.
    faulty.plan(
        move |seen| if is_result(seen.way, seen.envelope.opcode) { Action::Stall } else { Action::Forward },
    );
    cql.peer().envelope(&query).await.unwrap();
    faulty.wait_for(limit, |seen| seen.way == Way::Response && seen.envelope.stream == 9).await.unwrap();
    faulty.plan(|_| Action::Forward);
    faulty.release();
    assert_eq!(cql.peer().answer().await.unwrap().opcode, opcode::RESULT);

    // Another answer than the node's, and none from the node.
    let other = Envelope::request(9, opcode::READY, []).version(0x84);
    let bytes = other.encode();
    faulty.plan(move |seen| match seen.way {
        Way::Request => Action::Answer(bytes.clone()),
        Way::Response => Action::Forward,
    });
    assert_eq!(cql.peer().ask(&query).await.unwrap(), other);

    // Cut within an envelope.
    faulty.plan(
        move |seen| if is_result(seen.way, seen.envelope.opcode) { Action::Cut(12) } else { Action::Forward },
    );
    let trouble = cql.peer().ask(&query).await.unwrap_err();
    assert!(trouble.to_string().contains("12 bytes into an envelope"), "{trouble}");

    faulty.refuse(true);
    Peer::connect(faulty.addr()).await.unwrap().closed(limit).await.unwrap();
}

#[tokio::test]
async fn a_node_with_tls() {
    let authority = Authority::new("kit").unwrap();
    // The node's address is chosen when it starts; the name is what a client of this test asks for.
    let leaf = authority.leaf(&["node.test"]).unwrap();
    let tls = Tls {
        key_and_chain: format!("{}{}{}", leaf.key, leaf.cert, authority.pem()),
        ca: authority.pem(),
        require_client_auth: false,
    };
    let node = Cassandra::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap();
    let client = authority.client(None).unwrap();
    let peer = certs::connect(node.addr(), "node.test", client.clone()).await.unwrap();
    let mut cql = Cql::log_in(peer, 4, "cassandra", "cassandra").await.unwrap();
    assert_eq!(cql.rows("SELECT key FROM system.local").await.unwrap().texts("key"), ["local"]);
    certs::connect(node.addr(), "another.test", client).await.unwrap_err();
    node.stop().await.unwrap();
}
