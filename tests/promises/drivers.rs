//! The Python driver and cqlsh, unpatched, through the gateway.

use cqlgate_testkit::python::{Driver, LogIn, Python};
use serde_json::{Value, json};

use crate::world::World;

const POLICY: &str = "GRANT SELECT, MODIFY ON KEYSPACE $ks TO USER \"alice\";
GRANT SELECT ON KEYSPACE $ks TO USER \"bob\";
";
const TABLES: &[&str] = &[
    "CREATE TABLE $ks.orders (id int PRIMARY KEY, item text)",
    "CREATE TABLE $ks.many (p int, c int, v text, PRIMARY KEY (p, c))",
];

/// More rows than a page of the driver has.
const MANY: usize = 5_200;

async fn connect(world: &World, name: &str) -> Driver {
    let log_in = LogIn::new(world.gateway.cql_addr(), name, &world.token(name));
    Driver::connect(Python::shared().await, &log_in).await.unwrap()
}

#[tokio::test]
async fn the_python_driver_works() {
    let world = World::new("driver", TABLES, POLICY).await;
    world.person("alice").await;
    world.person("bob").await;
    let mut alice = connect(&world, "alice").await;

    // It came down from 66 to 4 by itself, and knows one host: the gateway.
    assert_eq!(alice.ask(&json!({ "op": "protocol" })).await.unwrap(), 4);
    let hosts = alice.ask(&json!({ "op": "hosts" })).await.unwrap();
    assert_eq!(hosts, json!([world.gateway.cql_addr().to_string()]));
    let tables = alice.ask(&json!({ "op": "tables", "keyspace": world.keyspace })).await.unwrap();
    assert_eq!(tables, json!(["many", "orders"]));

    // Prepared statements, batches, USE.
    alice.prepare("put", &world.cql("INSERT INTO $ks.orders (id, item) VALUES (?, ?)")).await.unwrap();
    alice.bound("put", json!([1, "tea"])).await.unwrap();
    let text = world.cql("INSERT INTO $ks.orders (id, item) VALUES (3, 'milk')");
    let batch =
        json!({ "op": "batch", "items": [{ "name": "put", "params": [2, "coffee"] }, { "cql": text }] });
    alice.ask(&batch).await.unwrap();
    alice.execute(&world.cql("USE $ks")).await.unwrap();
    let mut rows = alice.execute("SELECT id, item FROM orders").await.unwrap().rows;
    rows.sort_by_key(|row| row[0].as_i64());
    let row = |id: i32, item: &str| vec![Value::from(id), Value::from(item)];
    assert_eq!(rows, [row(1, "tea"), row(2, "coffee"), row(3, "milk")]);

    // Several pages, both ways.
    let numbers: Vec<usize> = (0..MANY).collect();
    let mut direct = world.node.superuser().await.unwrap();
    for chunk in numbers.chunks(400) {
        let mut text = String::from("BEGIN UNLOGGED BATCH ");
        for c in chunk {
            text += &world.cql(&format!("INSERT INTO $ks.many (p, c, v) VALUES (1, {c}, 'v'); "));
        }
        direct.query(&(text + "APPLY BATCH")).await.unwrap();
    }
    assert_eq!(alice.execute("SELECT c FROM many").await.unwrap().rows.len(), MANY);
    alice.prepare("all", "SELECT c FROM many WHERE p = ?").await.unwrap();
    assert_eq!(alice.bound("all", json!([1])).await.unwrap().rows.len(), MANY);

    // A refusal is the driver's own `Unauthorized`, and the session lives on.
    let mut bob = connect(&world, "bob").await;
    let connections = bob.connections().await.unwrap();
    let refused = bob.execute(&text).await.unwrap_err();
    assert_eq!(refused.kind, "Unauthorized");
    let words = world.cql("User bob has no MODIFY permission on <table $ks.orders> or any of its parents");
    assert!(refused.message.contains(&words), "{refused}");
    let refused = bob.prepare("put", &text).await.unwrap_err();
    assert_eq!(refused.kind, "Unauthorized");
    assert_eq!(bob.execute(&world.cql("SELECT id FROM $ks.orders")).await.unwrap().rows.len(), 3);
    assert_eq!(bob.connections().await.unwrap(), connections);
    let unknown = bob.execute(&world.cql("SELECT id FROM $ks.nothing")).await.unwrap_err();
    assert_eq!(unknown.kind, "InvalidRequest", "{unknown}");
    let not_cql = bob.execute("SELEKT 1").await.unwrap_err();
    assert_eq!(not_cql.kind, "SyntaxException", "{not_cql}");

    // An expired token.
    let expired = world.issuer.token("bob-sub").issued_at(cqlgate_testkit::issuer::now() - 1000).sign();
    let log_in = LogIn::new(world.gateway.cql_addr(), "bob", &expired);
    let failure = Driver::connect(Python::shared().await, &log_in).await.unwrap_err();
    assert_eq!(failure.kind, "AuthenticationFailed", "{failure}");
    assert!(failure.message.contains("token expired: get a new one and connect again"), "{failure}");
}

#[tokio::test]
async fn cqlsh_works() {
    let world = World::new("cqlsh", TABLES, POLICY).await;
    world.person("bob").await;
    let insert = world.cql("INSERT INTO $ks.orders (id, item) VALUES (1, 'tea')");
    world.node.run(&[&insert]).await.unwrap();
    let (host, port) =
        (world.gateway.cql_addr().ip().to_string(), world.gateway.cql_addr().port().to_string());
    let run = async |token: &str, statement: &str| {
        let args = ["-u", "bob", "-p", token, "-e", statement, &host, &port];
        Python::shared().await.cqlsh().args(args).run().await.unwrap()
    };
    let token = world.token("bob");
    let ran = run(&token, &world.cql("SELECT id, item FROM $ks.orders; SHOW VERSION")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("1 |  tea") && ran.stdout.contains("Cassandra 5.0."), "{ran:?}");
    assert!(ran.stdout.contains("Native protocol v4"), "{ran:?}");

    let ran = run(&token, &insert).await;
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let words =
        world.cql("User bob has no MODIFY permission on <table $ks.orders> or any of its parents [ref ");
    assert!(ran.stderr.contains("Unauthorized") && ran.stderr.contains(&words), "{ran:?}");

    let expired = world.issuer.token("bob-sub").issued_at(cqlgate_testkit::issuer::now() - 1000).sign();
    let ran = run(&expired, "SHOW VERSION").await;
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("token expired: get a new one and connect again"), "{ran:?}");
}
