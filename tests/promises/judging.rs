//! Every statement is judged as Cassandra would, whichever way it comes, and nothing is smuggled past.

use cqlgate_testkit::cql::{Body, Cql, CqlError, opcode};

use crate::world::{World, refusal};

const SCHEMA: &[&str] = &[
    "CREATE TABLE $ks.open (k int PRIMARY KEY, v text)",
    "CREATE TABLE $ks.secret (k int PRIMARY KEY, v text, w text MASKED WITH mask_default())",
    "CREATE TABLE $ks.hidden (k int PRIMARY KEY, v text)",
    "CREATE TABLE $ks.base (k int PRIMARY KEY, v int)",
    "CREATE MATERIALIZED VIEW $ks.by_v AS SELECT * FROM $ks.base WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)",
    "CREATE FUNCTION $ks.f (x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'",
    "INSERT INTO $ks.hidden (k, v) VALUES (1, 'untouched')",
];

/// Alice may do everything with `open`, read `base`, and nothing with `hidden`.
const POLICY: &str = "
    GRANT SELECT, MODIFY ON TABLE $ks.open TO GROUP \"team\";
    GRANT SELECT ON TABLE $ks.base TO GROUP \"team\";
    GRANT SELECT ON TABLE $ks.by_v TO EVERYONE;
    GRANT SELECT, MODIFY ON TABLE $ks.secret TO GROUP \"team\";
    GRANT CREATE ON ALL KEYSPACES TO GROUP \"team\";
    DENY CREATE ON KEYSPACE other TO EVERYONE;
    DENY CREATE ON KEYSPACE $ks TO EVERYONE;
    DENY SELECT ON KEYSPACE system_traces TO EVERYONE;
";

async fn alice(world: &World) -> Cql {
    let id = world.person("alice").await;
    world.group("team", &[&id]).await;
    world.connect("alice").await
}

/// Asks by QUERY, and by PREPARE and EXECUTE; the code of the refusal, 0 if there was none.
async fn codes(connection: &mut Cql, text: &str) -> (u32, u32) {
    let code = |result: Result<_, CqlError>| match result {
        Ok(_) => 0,
        Err(error) => error.code().unwrap_or_else(|| panic!("{text}: {error}")),
    };
    let query = code(connection.query(text).await);
    let prepared = match connection.prepare(text).await {
        Ok(prepared) => code(connection.execute(&prepared, &[]).await),
        Err(error) => error.code().unwrap_or_else(|| panic!("{text}: {error}")),
    };
    (query, prepared)
}

#[tokio::test]
async fn what_is_permitted_passes_and_the_rest_is_refused_in_cassandras_codes() {
    let world = World::new("judging", SCHEMA, POLICY).await;
    let mut connection = alice(&world).await;
    let mut wrong = Vec::new();
    for (text, expected) in [
        // Granted.
        ("SELECT * FROM $ks.open", 0),
        ("INSERT INTO $ks.open (k, v) VALUES (1, 'a')", 0),
        ("UPDATE $ks.open SET v = 'b' WHERE k = 1 IF v = 'a'", 0),
        ("DELETE FROM $ks.open WHERE k = 1", 0),
        ("BEGIN BATCH INSERT INTO $ks.open (k) VALUES (1); DELETE FROM $ks.open WHERE k = 2; APPLY BATCH", 0),
        ("TRUNCATE $ks.open", 0),
        ("SELECT count(*), max(k) FROM $ks.base", 0),
        ("SELECT * FROM $ks.by_v", 0),
        ("SELECT keyspace_name FROM system_schema.keyspaces", 0),
        // Not granted.
        ("SELECT * FROM $ks.hidden", 0x2100),
        ("INSERT INTO $ks.hidden (k) VALUES (1)", 0x2100),
        ("UPDATE $ks.hidden SET v = 'x' WHERE k = 1", 0x2100),
        ("DELETE FROM $ks.hidden WHERE k = 1", 0x2100),
        ("TRUNCATE TABLE $ks.hidden", 0x2100),
        ("INSERT INTO $ks.base (k, v) VALUES (1, 1)", 0x2100),
        (
            "BEGIN BATCH INSERT INTO $ks.open (k) VALUES (1); DELETE FROM $ks.hidden WHERE k = 1; APPLY BATCH",
            0x2100,
        ),
        ("CREATE TABLE $ks.more (k int PRIMARY KEY)", 0x2100),
        ("DROP TABLE $ks.open", 0x2100),
        ("DROP TABLE IF EXISTS $ks.hidden", 0x2100),
        (
            "CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            0x2100,
        ),
        ("DROP KEYSPACE $ks", 0x2100),
        ("SELECT parameters FROM system_traces.sessions", 0x2100),
        ("SELECT * FROM system_auth.roles", 0x2100),
        ("SELECT * FROM system_views.clients", 0x2100),
        ("DROP TABLE system.local", 0x2100),
        // Not judged yet.
        ("SELECT * FROM $ks.secret", 0x2100),
        ("SELECT $ks.f(k) FROM $ks.open", 0x2100),
        ("ALTER TABLE $ks.open ADD x int", 0x2100),
        ("CREATE ROLE r", 0x2100),
        ("GRANT SELECT ON $ks.open TO r", 0x2100),
        ("DESCRIBE TABLES", 0),
        ("LIST ROLES", 0),
        ("CREATE INDEX ON $ks.open (v)", 0x2100),
        // Invalid.
        ("SELECT * FROM $ks.nowhere", 0x2200),
        ("SELECT * FROM no_such_keyspace.t", 0x2200),
        ("SELECT * FROM unqualified", 0x2200),
        // No CQL.
        ("", 0x2000),
        (";", 0x2000),
        ("HELLO", 0x2000),
        ("CREATE SCHEMA x", 0x2000),
        ("SELECT * FROM $ks.open; SELECT * FROM $ks.hidden", 0x2000),
        ("SELECT * FROM $ks.open -- no end", 0x2000),
        ("SELECT * FROM $ks.open\0", 0x2000),
    ] {
        let text = world.cql(text);
        let got = codes(&mut connection, &text).await;
        if got != (expected, expected) {
            wrong.push(format!("{text}: {got:x?} instead of {expected:x}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let rows =
        world.node.superuser().await.unwrap().rows(&world.cql("SELECT v FROM $ks.hidden")).await.unwrap();
    assert_eq!(rows.texts("v"), ["untouched"]);
}

#[tokio::test]
async fn a_table_cannot_be_hidden_in_a_text() {
    let world = World::new("smuggling", SCHEMA, POLICY).await;
    let mut connection = alice(&world).await;
    for text in [
        "SELECT v FROM $ks . /* x */ \"hidden\"",
        "SELECT v FROM $ks.HIDDEN",
        "select/**/v/**/from/**/$ks/**/./**/hidden",
        "-- SELECT v FROM $ks.open\rSELECT v FROM $ks.hidden",
        "// SELECT v FROM $ks.open\nSELECT v FROM $ks.hidden",
        "/* /* */ SELECT v FROM $ks.hidden",
        "SELECT v FROM $ks.hidden WHERE v = $$ FROM $ks.open $$ ALLOW FILTERING",
        "SELECT v AS \"from $ks.open\" FROM $ks.hidden",
        "SELECT JSON v FROM $ks.hidden;;;",
        "UPDATE $ks.hidden SET v = '''; UPDATE $ks.open SET v = ''' WHERE k = 1",
        "BEGIN UNLOGGED BATCH UPDATE $ks.open SET v='a' WHERE k=1 UPDATE $ks.hidden SET v='a' WHERE k=1 APPLY BATCH",
        "INSERT INTO $ks.hidden JSON '{\"k\": 1, \"v\": \"x\"}'",
        "DELETE v FROM $ks.hidden WHERE k = 1 IF EXISTS",
    ] {
        let text = world.cql(text);
        assert_eq!(codes(&mut connection, &text).await, (0x2100, 0x2100), "{text}");
    }
    // What would be read as the other table by somebody who scans for words.
    for text in [
        "SELECT v FROM $ks.open WHERE v = ' FROM $ks.hidden' ALLOW FILTERING",
        "SELECT v /* FROM $ks.hidden */ FROM $ks.open",
        "SELECT v AS \"FROM $ks.hidden\" FROM $ks.open",
    ] {
        let text = world.cql(text);
        assert_eq!(codes(&mut connection, &text).await, (0, 0), "{text}");
    }
    let rows =
        world.node.superuser().await.unwrap().rows(&world.cql("SELECT v FROM $ks.hidden")).await.unwrap();
    assert_eq!(rows.texts("v"), ["untouched"]);
}

#[tokio::test]
async fn every_child_of_a_batch_is_judged() {
    let world = World::new("batches", SCHEMA, POLICY).await;
    let mut connection = alice(&world).await;
    let open = world.cql("INSERT INTO $ks.open (k, v) VALUES (1, 'a')");
    let hidden = world.cql("INSERT INTO $ks.hidden (k, v) VALUES (1, 'changed')");
    let unqualified = "INSERT INTO hidden (k, v) VALUES (1, 'changed')";
    let id = connection.prepare(&open).await.unwrap().id;
    // Prepared by somebody else: any client can compute its id.
    let mut root = world.node.superuser().await.unwrap();
    let foreign = root.prepare(&hidden).await.unwrap().id;
    let text = |text: &str| Body::new().byte(0).long_string(text).short(0);
    let by_id = |id: &[u8]| Body::new().byte(1).short_bytes(id).short(0);
    let batch = |children: &[Body], keyspace: Option<&str>| {
        let mut body = Body::new().byte(0).short(u16::try_from(children.len()).unwrap());
        for child in children {
            body = body.raw(Vec::from(child.clone()));
        }
        match keyspace {
            None => body.short(1).byte(0),
            Some(keyspace) => body.short(1).byte(0x80).string(keyspace),
        }
    };
    connection.ask(opcode::BATCH, batch(&[text(&open), by_id(&id)], None)).await.unwrap();
    connection.ask(opcode::BATCH, batch(&[], None)).await.unwrap();
    let keyspace = world.keyspace.clone();
    let refused = [
        batch(&[text(&open), text(&hidden)], None),
        batch(&[by_id(&id), by_id(&foreign)], None),
        batch(&[text(&open), text(unqualified)], Some(&keyspace)),
    ];
    for body in refused {
        let (code, text) = refusal(connection.ask(opcode::BATCH, body).await);
        assert_eq!(code, 0x2100, "{text}");
    }
    let select = world.cql("SELECT v FROM $ks.open");
    for (body, code) in [
        (batch(&[text(&select)], None), 0x2200),
        (batch(&[text("BEGIN BATCH APPLY BATCH")], None), 0x2200),
        (batch(&[text("nonsense")], None), 0x2000),
        (batch(&[by_id(&[9; 16])], None), 0x2500),
    ] {
        assert_eq!(refusal(connection.ask(opcode::BATCH, body).await).0, code);
    }
    let rows = root.rows(&world.cql("SELECT v FROM $ks.hidden")).await.unwrap();
    assert_eq!(rows.texts("v"), ["untouched"]);
}

#[tokio::test]
async fn definitions_wait_for_the_schema() {
    let policy = "GRANT ALL ON KEYSPACE $ks TO GROUP \"team\";";
    let world = World::new("ddl", &[], policy).await;
    let mut connection = alice(&world).await;
    for round in 0..3 {
        let table = world.cql(&format!("$ks.t{round}"));
        for text in [
            format!("CREATE TABLE {table} (k int PRIMARY KEY)"),
            format!("INSERT INTO {table} (k) VALUES (1)"),
            format!("SELECT * FROM {table}"),
            format!("DROP TABLE {table}"),
        ] {
            connection.query(&text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let (code, text) = refusal(connection.query(&format!("SELECT * FROM {table}")).await);
        assert_eq!(code, 0x2200, "{text}");
    }
}
