//! What shows the cluster itself: nobody sees more of it than they may, and nobody is told that a GRANT
//! inside Cassandra is policy.

use std::fmt::Write as _;

use cqlgate_testkit::cql::{Body, Cql, CqlError, Envelope, Prepared, flag, opcode};

use crate::world::{World, refusal};

const SCHEMA: &[&str] = &[
    "CREATE TABLE $ks.t (k int PRIMARY KEY, v text)",
    "CREATE TABLE $ks.base (k int PRIMARY KEY, v int)",
    "CREATE MATERIALIZED VIEW $ks.by_v AS SELECT * FROM $ks.base WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)",
    "CREATE INDEX base_v ON $ks.base (v)",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn raw(connection: &mut Cql, flags: u8, query: &str) -> Envelope {
    let request = Envelope::request(3, opcode::QUERY, Body::query(query)).flags(flags);
    connection.peer().ask(&request).await.unwrap()
}

#[tokio::test]
async fn the_cluster_is_described_without_its_nodes() {
    let policy = "GRANT SELECT ON TABLE $ks.t TO EVERYONE;";
    let world = World::new("cluster", SCHEMA, policy).await;
    world.person("alice").await;
    let mut root = world.node.superuser().await.unwrap();
    root.query(&world.cql("USE $ks")).await.unwrap();
    // With a keyspace in use a node says who owns what.
    let nodes = root.rows("DESCRIBE CLUSTER").await.unwrap();
    assert_eq!(nodes.columns.len(), 4, "{:?}", nodes.columns);
    let mut connection = world.connect("alice").await;
    for used in [false, true] {
        if used {
            connection.query(&world.cql("USE $ks")).await.unwrap();
        }
        for form in ["DESCRIBE CLUSTER", "desc cluster with internals;"] {
            let rows = connection.rows(form).await.unwrap();
            let names: Vec<_> = rows.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, ["cluster", "partitioner", "snitch"], "{form}");
            for column in names {
                assert_eq!(rows.texts(column), nodes.texts(column), "{form}");
            }
            let prepared = connection.prepare(form).await.unwrap();
            let executed = connection.execute(&prepared, &[]).await.unwrap().rows();
            assert_eq!(executed.rows, rows.rows, "{form}");
        }
    }
    // Everything else is described as a node does it.
    let tables = connection.rows("DESCRIBE TABLES").await.unwrap();
    assert!(
        tables.texts("name").contains(&"by_v".to_owned()) || tables.texts("name").contains(&"t".to_owned())
    );
    let table = connection.rows("DESCRIBE TABLE t").await.unwrap();
    assert!(table.texts("create_statement")[0].starts_with(&format!("CREATE TABLE {}.t", world.keyspace)));
}

#[tokio::test]
async fn roles_are_listed_to_whoever_may_see_them_all() {
    let policy = "GRANT DESCRIBE ON ALL ROLES TO GROUP \"auditors\"; GRANT DESCRIBE ON ROLE cassandra TO USER \"alice\";";
    let world = World::new("roles", &[], policy).await;
    world.person("alice").await;
    let bob = world.person("bob").await;
    world.group("auditors", &[&bob]).await;
    let mut alice = world.connect("alice").await;
    for (form, columns) in [("LIST ROLES", 5), ("LIST USERS", 3), ("LIST ROLES NORECURSIVE", 5)] {
        let rows = alice.rows(form).await.unwrap();
        assert_eq!((rows.columns.len(), rows.rows.len()), (columns, 0), "{form}");
        let prepared = alice.prepare(form).await.unwrap();
        assert!(alice.execute(&prepared, &[]).await.unwrap().rows().rows.is_empty(), "{form}");
    }
    let (code, message) = refusal(alice.query("LIST ROLES OF cassandra").await);
    assert_eq!(code, 0x2100);
    assert!(
        message.starts_with("You are not authorized to view roles granted to cassandra  [ref "),
        "{message}"
    );
    let (_, message) = refusal(alice.query("LIST ALL PERMISSIONS").await);
    assert!(message.starts_with("You are not authorized to view everyone's permissions [ref "), "{message}");
    alice.query("LIST ALL PERMISSIONS OF cassandra").await.unwrap();
    let mut bob = world.connect("bob").await;
    assert!(bob.rows("LIST ROLES").await.unwrap().texts("role").contains(&"cassandra".to_owned()));
    bob.query("LIST ALL PERMISSIONS").await.unwrap();
}

#[tokio::test]
async fn a_grant_inside_cassandra_is_answered_with_a_warning() {
    let policy = "GRANT ALL ON TABLE $ks.t TO USER \"alice\"; GRANT ALL ON ALL ROLES TO USER \"alice\";";
    let world = World::new("warned", SCHEMA, policy).await;
    world.person("alice").await;
    let mut alice = world.connect("alice").await;
    let role = format!("role_{}", world.keyspace);
    alice.query(&format!("CREATE ROLE {role}")).await.unwrap();
    for statement in [
        format!("GRANT SELECT ON {}.t TO {role}", world.keyspace),
        format!("REVOKE SELECT ON {}.t FROM {role}", world.keyspace),
    ] {
        let answer = raw(&mut alice, 0, &statement).await;
        assert_eq!((answer.opcode, answer.flags), (opcode::RESULT, flag::WARNING), "{statement}: {answer:?}");
        assert!(text(&answer.body).contains("inside Cassandra only"), "{statement}");
        let prepared: Prepared = alice.prepare(&statement).await.unwrap();
        let execute = Envelope::request(4, opcode::EXECUTE, Body::execute(&prepared.id, &[]));
        let answer = alice.peer().ask(&execute).await.unwrap();
        assert!(text(&answer.body).contains("inside Cassandra only"), "{statement}");
    }
    // An error has none.
    let answer = raw(&mut alice, 0, &format!("GRANT SELECT ON {}.t TO nobody_at_all", world.keyspace)).await;
    assert_eq!((answer.opcode, answer.flags & flag::WARNING), (opcode::ERROR, 0));
    alice.query(&format!("DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn superusers_and_the_gateways_own_role_are_out_of_reach() {
    let policy = "GRANT ALL ON ALL ROLES TO USER \"alice\"; GRANT ALL ON TABLE $ks.t TO USER \"alice\";";
    let world = World::new("supers", SCHEMA, policy).await;
    world.person("alice").await;
    let mut root = world.node.superuser().await.unwrap();
    let ks = &world.keyspace;
    for statement in [
        format!("CREATE ROLE sup_{ks} WITH SUPERUSER = true"),
        format!("CREATE ROLE member_{ks}"),
        format!("CREATE ROLE plain_{ks}"),
        format!("GRANT sup_{ks} TO member_{ks}"),
        format!("ADD IDENTITY 'spiffe://{ks}/sup' TO ROLE 'sup_{ks}'"),
    ] {
        root.query(&statement).await.unwrap();
    }
    let (own, _) = world.node.service_account().await;
    let mut alice = world.connect("alice").await;
    let mut wrong = String::new();
    for (statement, expected) in [
        (format!("ALTER ROLE sup_{ks} WITH PASSWORD = 'x'"), 0x2100),
        (format!("ALTER ROLE member_{ks} WITH PASSWORD = 'x'"), 0x2100),
        (format!("ALTER USER sup_{ks} WITH PASSWORD 'x'"), 0x2100),
        (format!("GRANT sup_{ks} TO plain_{ks}"), 0x2100),
        (format!("GRANT member_{ks} TO plain_{ks}"), 0x2100),
        (format!("REVOKE sup_{ks} FROM member_{ks}"), 0x2100),
        (format!("DROP ROLE sup_{ks}"), 0x2100),
        (format!("ADD IDENTITY 'spiffe://{ks}/x' TO ROLE 'sup_{ks}'"), 0x2100),
        (format!("DROP IDENTITY 'spiffe://{ks}/sup'"), 0x2100),
        (format!("CREATE ROLE more_{ks} WITH SUPERUSER = true"), 0x2100),
        (format!("ALTER ROLE plain_{ks} WITH SUPERUSER = true"), 0x2100),
        (format!("ALTER ROLE {own} WITH PASSWORD = 'x'"), 0x2100),
        (format!("DROP ROLE {own}"), 0x2100),
        (format!("GRANT ALTER ON ROLE sup_{ks} TO plain_{ks}"), 0x2100),
        (format!("GRANT ALTER ON ROLE plain_{ks} TO plain_{ks}"), 0),
        (format!("GRANT plain_{ks} TO {own}"), 0x2100),
        (format!("GRANT SELECT ON {ks}.t TO {own}"), 0x2100),
        (format!("CREATE TRIGGER x ON {ks}.t USING 'y'"), 0x2100),
        (format!("ALTER ROLE plain_{ks} WITH LOGIN = true"), 0),
        (format!("ADD IDENTITY 'spiffe://{ks}/p' TO ROLE 'plain_{ks}'"), 0),
        (format!("DROP IDENTITY 'spiffe://{ks}/p'"), 0),
        (format!("DROP ROLE plain_{ks}"), 0),
    ] {
        let code = match alice.query(&statement).await {
            Ok(_) => 0,
            Err(CqlError::Server { code, .. }) => code,
            Err(error) => panic!("{statement}: {error}"),
        };
        if code != expected {
            let _ = writeln!(wrong, "{statement}: {code:#x}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    for statement in [format!("DROP ROLE sup_{ks}"), format!("DROP ROLE member_{ks}")] {
        root.query(&statement).await.unwrap();
    }
}

#[tokio::test]
async fn with_hide_schema_only_ones_own_keyspaces_are_shown() {
    let policy = "GRANT SELECT ON TABLE $ks.t TO USER \"alice\";";
    let world = World::with("hidden", SCHEMA, policy, |mut settings| {
        settings.cluster_extra = "hide_schema = true".into();
        settings
    })
    .await;
    world.person("alice").await;
    world.person("bob").await;
    let mut alice = world.connect("alice").await;
    let mut bob = world.connect("bob").await;
    let ks = &world.keyspace;
    for query in [
        "DESCRIBE KEYSPACES",
        "DESCRIBE TABLES",
        "DESCRIBE SCHEMA",
        "SELECT * FROM system_schema.tables",
        "SELECT table_name, keyspace_name FROM system_schema.tables",
        "SELECT * FROM system_schema.keyspaces",
        "SELECT DISTINCT keyspace_name FROM system_schema.columns",
    ] {
        let mine = alice.rows(query).await.unwrap();
        assert!(mine.texts("keyspace_name").contains(ks), "{query}");
        let theirs = bob.rows(query).await.unwrap();
        assert!(!theirs.texts("keyspace_name").contains(ks), "{query}");
        let prepared = bob.prepare(query).await.unwrap();
        let theirs = bob.execute(&prepared, &[]).await.unwrap().rows();
        assert!(!theirs.texts("keyspace_name").contains(ks), "{query}, executed");
    }
    for query in ["DESCRIBE KEYSPACE $ks", "DESCRIBE TABLE $ks.t", "DESCRIBE $ks.t", "DESCRIBE $ks"] {
        let query = world.cql(query);
        alice.query(&query).await.unwrap();
        let (code, message) = refusal(bob.query(&query).await);
        let (_, unknown) = refusal(bob.query(&query.replace(ks.as_str(), "nosuch")).await);
        assert_eq!(code, 0x2200, "{query}");
        let without =
            |text: &str| text.split(" [ref").next().unwrap_or_default().replace(ks.as_str(), "nosuch");
        assert_eq!(without(&message), without(&unknown), "{query}");
    }
    // As drivers ask for one keyspace.
    let one = "SELECT durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?";
    for (person, code) in [(&mut alice, 0), (&mut bob, 0x2200)] {
        let prepared = person.prepare(one).await.unwrap();
        let told = person.execute(&prepared, &[Some(ks.as_bytes())]).await;
        assert_eq!(told.err().and_then(|error| error.code()).unwrap_or_default(), code);
        // What was let through for one keyspace says nothing of another.
        assert_eq!(refusal(person.execute(&prepared, &[Some(b"nosuch")]).await).0, 0x2200);
    }
    assert_eq!(refusal(bob.query("SELECT range_start FROM system.size_estimates").await).0, 0x2200);
    // What cannot be told apart is not shown to anybody.
    for query in [
        "SELECT count(*) FROM system_schema.tables",
        "SELECT JSON * FROM system_schema.tables",
        "SELECT table_name FROM system_schema.tables",
        "SELECT max(keyspace_name) FROM system_schema.tables",
        "SELECT keyspace_name, count(*) FROM system_schema.tables",
    ] {
        assert_eq!(refusal(alice.query(query).await).0, 0x2200, "{query}");
    }
}

#[tokio::test]
async fn with_strict_names_a_stranger_learns_no_name() {
    let policy = "GRANT SELECT ON KEYSPACE $ks TO USER \"alice\";";
    let world = World::with("strict", SCHEMA, policy, |mut settings| {
        settings.cluster_extra = "strict_names = true".into();
        settings
    })
    .await;
    world.person("alice").await;
    world.person("bob").await;
    let mut alice = world.connect("alice").await;
    let mut bob = world.connect("bob").await;
    for (there, missing) in [
        ("SELECT * FROM $ks.t", "SELECT * FROM $ks.nosuch"),
        ("SELECT * FROM $ks.by_v", "SELECT * FROM $ks.nosuch"),
        ("SELECT nosuch FROM $ks.t", "SELECT nosuch FROM $ks.nosuch"),
        ("SELECT * FROM $ks.t", "SELECT * FROM nosuchks.nosuch"),
        ("INSERT INTO $ks.t (k) VALUES (1)", "INSERT INTO $ks.nosuch (k) VALUES (1)"),
        (
            "UPDATE $ks.base SET v = 1 WHERE k = 1 IF EXISTS",
            "UPDATE $ks.nosuch SET v = 1 WHERE k = 1 IF EXISTS",
        ),
        (
            "BEGIN BATCH DELETE FROM $ks.t WHERE k = 1; APPLY BATCH",
            "BEGIN BATCH DELETE FROM $ks.nosuch WHERE k = 1; APPLY BATCH",
        ),
        ("TRUNCATE $ks.t", "TRUNCATE $ks.nosuch"),
        ("DROP TABLE $ks.t", "DROP TABLE $ks.nosuch"),
        ("DROP INDEX $ks.base_v", "DROP INDEX $ks.nosuch"),
        ("DROP MATERIALIZED VIEW $ks.by_v", "DROP MATERIALIZED VIEW $ks.nosuch"),
    ] {
        let words = |(code, message): (u32, String)| {
            assert_eq!(code, 0x2100, "{there}: {message}");
            let text = message.split(" [ref").next().unwrap_or_default().to_owned();
            let text = text.replace("nosuchks", &world.keyspace);
            ["by_v", "base", ".t>"].iter().fold(text, |text, name| {
                text.replace(name, if *name == ".t>" { ".nosuch>" } else { "nosuch" })
            })
        };
        let there_told = words(refusal(bob.query(&world.cql(there)).await));
        let missing_told = words(refusal(bob.query(&world.cql(missing)).await));
        assert_eq!(there_told, missing_told, "{there}");
    }
    // Whoever may read is told the truth.
    let (code, message) = refusal(alice.query(&world.cql("SELECT * FROM $ks.nosuch")).await);
    assert_eq!((code, message.as_str()), (0x2200, "table nosuch does not exist"));
    alice.query(&world.cql("SELECT * FROM $ks.t")).await.unwrap();
}

#[tokio::test]
async fn a_trace_is_read_by_whoever_made_it() {
    let policy = "GRANT SELECT ON TABLE $ks.t TO EVERYONE; GRANT SELECT ON TABLE system_traces.sessions TO USER \"carol\";";
    let world = World::new("traces", SCHEMA, policy).await;
    for name in ["alice", "bob", "carol"] {
        world.person(name).await;
    }
    let mut alice = world.connect("alice").await;
    let answer = raw(&mut alice, flag::TRACING, &world.cql("SELECT * FROM $ks.t WHERE k = 1")).await;
    assert_eq!((answer.opcode, answer.flags & flag::TRACING), (opcode::RESULT, flag::TRACING));
    let id: [u8; 16] = answer.body[..16].try_into().unwrap();
    let uuid = uuid::Uuid::from_bytes(id).to_string();
    let mut bob = world.connect("bob").await;
    let mut carol = world.connect("carol").await;
    // Another of her sessions, too.
    let mut again = world.connect("alice").await;
    for table in ["sessions", "events"] {
        let query = format!("SELECT * FROM system_traces.{table} WHERE session_id = {uuid}");
        alice.query(&query).await.unwrap();
        again.query(&query).await.unwrap();
        let (code, message) = refusal(bob.query(&query).await);
        assert_eq!(code, 0x2100);
        let expected = format!(
            "User bob has no SELECT permission on <table system_traces.{table}> or any of its parents"
        );
        assert!(message.starts_with(&expected), "{message}");
        let bound = format!("SELECT * FROM system_traces.{table} WHERE session_id = ?");
        let prepared = alice.prepare(&bound).await.unwrap();
        for _ in 0..2 {
            alice.execute(&prepared, &[Some(&id)]).await.unwrap();
            assert_eq!(refusal(alice.execute(&prepared, &[Some(&[7; 16])]).await).0, 0x2100);
            assert_eq!(refusal(bob.execute(&prepared, &[Some(&id)]).await).0, 0x2100);
        }
        for all in [
            format!("SELECT * FROM system_traces.{table}"),
            format!(
                "SELECT * FROM system_traces.{table} WHERE session_id IN ({uuid}, 00000000-0000-1000-8000-000000000000)"
            ),
        ] {
            assert_eq!(refusal(alice.query(&all).await).0, 0x2100, "{all}");
        }
    }
    carol.query("SELECT * FROM system_traces.sessions").await.unwrap();
    assert_eq!(refusal(carol.query("SELECT * FROM system_traces.events").await).0, 0x2100);
}

#[tokio::test]
async fn of_prepared_statements_everybody_sees_the_ids_only() {
    let world =
        World::new("ids_only", SCHEMA, "GRANT SELECT ON TABLE system.prepared_statements TO USER \"carol\";")
            .await;
    world.person("alice").await;
    world.person("carol").await;
    let mut alice = world.connect("alice").await;
    alice.query("SELECT prepared_id FROM system.prepared_statements").await.unwrap();
    for query in [
        "SELECT * FROM system.prepared_statements",
        "SELECT query_string FROM system.prepared_statements",
        "SELECT prepared_id, query_string AS prepared_id FROM system.prepared_statements",
        "SELECT JSON prepared_id, logged_keyspace FROM system.prepared_statements",
        "SELECT prepared_id FROM system.prepared_statements WHERE query_string = 'x' ALLOW FILTERING",
        "SELECT prepared_id, min(query_string) FROM system.prepared_statements",
    ] {
        assert_eq!(refusal(alice.query(query).await).0, 0x2100, "{query}");
    }
    world.connect("carol").await.query("SELECT query_string FROM system.prepared_statements").await.unwrap();
}
