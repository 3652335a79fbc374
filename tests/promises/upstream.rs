//! The upstream side keeps what it promises to sessions: leases that are logged in, a schema that follows
//! what others do to it, ids that mean what they say, and recovery after every fault.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cqlgate::config::{limits, model};
use cqlgate::metrics::Metrics;
use cqlgate::upstream::{Cluster, FoundIdentity, Lease, LocalRow, LookUp, Secret};
use cqlgate_protocol::cql::{RelationKind, Release, Role, Schema as _};
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

use crate::world::World;

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

/// The columns of a table or view, each in a line.
fn columns(cluster: &Cluster, keyspace: &str, table: &str) -> Vec<String> {
    let schema = cluster.schema();
    let Some(relation) = schema.relation(keyspace, table) else { return Vec::new() };
    let line = |column: &cqlgate_protocol::cql::Column| {
        let (key, masked) = (column.is_key, column.is_masked);
        let marks = [(key, " key"), (masked, " masked")].into_iter().filter(|(is, _)| *is);
        format!("{} {}{}", column.name, column.cql_type, marks.map(|(_, mark)| mark).collect::<String>())
    };
    relation.columns.iter().map(line).collect()
}

/// The functions and aggregates of a name, each in a line.
fn functions(cluster: &Cluster, keyspace: &str, name: &str) -> Vec<String> {
    let schema = cluster.schema();
    let lines = schema.functions(keyspace, name).iter().map(|function| {
        let aggregate = function.aggregate.as_ref().map(|of| {
            let last = of.final_function.as_deref().map(|last| format!(" and {last}")).unwrap_or_default();
            format!(" of {}({}){last}", of.state_function, of.state_type)
        });
        let aggregate = aggregate.unwrap_or_default();
        format!("{} -> {}{aggregate}", function.arguments.join(", "), function.returns)
    });
    lines.collect()
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
        &|c| functions(c, &k, "f") == ["int -> int"],
    )
    .await;
    do_and_see(
        format!(
            "CREATE FUNCTION {k}.f (x map<varchar, int>, y text) CALLED ON NULL INPUT RETURNS text \
             LANGUAGE java AS 'return y;'"
        ),
        &|c| functions(c, &k, "f") == ["int -> int", "map<text, int>, text -> text"],
    )
    .await;
    do_and_see(
        format!(
            "CREATE FUNCTION {k}.s (s int, x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java \
             AS 'return x;'"
        ),
        &|c| functions(c, &k, "s").len() == 1,
    )
    .await;
    do_and_see(format!("CREATE AGGREGATE {k}.a (int) SFUNC s STYPE int FINALFUNC f"), &|c| {
        functions(c, &k, "a") == ["int -> int of s(int) and f"]
    })
    .await;
    do_and_see(format!("DROP AGGREGATE {k}.a"), &|c| functions(c, &k, "a").is_empty()).await;
    do_and_see(format!("DROP FUNCTION {k}.f (int)"), &|c| functions(c, &k, "f").len() == 1).await;
    let field = |c: &Cluster, name: &str| c.schema().field_type(&k, "address", name).map(str::to_owned);
    do_and_see(format!("CREATE TYPE {k}.address (street varchar, \"No\" int)"), &|c| {
        field(c, "street").as_deref() == Some("text") && field(c, "No").as_deref() == Some("int")
    })
    .await;
    do_and_see(format!("ALTER TYPE {k}.address ADD zip frozen<list<varchar>>"), &|c| {
        field(c, "zip").as_deref() == Some("list<text>")
    })
    .await;
    do_and_see(format!("ALTER TYPE {k}.address RENAME street TO road"), &|c| {
        field(c, "road").is_some() && field(c, "street").is_none()
    })
    .await;
    do_and_see(format!("ALTER TABLE {k}.t ADD (s set<varchar>, home frozen<address>)"), &|c| {
        columns(c, &k, "t") == ["a int key", "b int", "home address", "s set<text>"]
    })
    .await;
    do_and_see(format!("ALTER TABLE {k}.t ALTER s MASKED WITH DEFAULT"), &|c| {
        columns(c, &k, "t") == ["a int key", "b int", "home address", "s set<text> masked"]
    })
    .await;
    do_and_see(format!("ALTER TABLE {k}.t DROP (s, home)"), &|c| {
        columns(c, &k, "t") == ["a int key", "b int"] && table(c, "t") == plain()
    })
    .await;
    do_and_see(format!("DROP TYPE {k}.address"), &|c| field(c, "zip").is_none()).await;
    do_and_see(format!(r#"CREATE TABLE {k}."T" (a int PRIMARY KEY)"#), &|c| table(c, "T") == plain()).await;
    do_and_see(format!("DROP TABLE {k}.t"), &|c| table(c, "t").is_none() && table(c, "T") == plain()).await;
    do_and_see(format!("DROP KEYSPACE {k}"), &|c| !c.schema().has_keyspace(&k)).await;
    println!("a change by somebody else was seen after {slowest:?} at the latest");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let schema = cluster.schema();
    assert!(schema.relation("system_views", "clients").is_some(), "virtual tables");
    assert!(columns(&cluster, "system_views", "clients").contains(&"port int key".to_owned()));
    assert!(columns(&cluster, "system", "local").contains(&"tokens set<text>".to_owned()));
    assert!(schema.has_keyspace("system_auth") && schema.release() == Release::V5_0);
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
    // Each kind of name, and no more than that is read.
    node.run(&[
        &format!("ALTER TABLE {k}.t ADD b int"),
        &format!("CREATE INDEX i ON {k}.t (b)"),
        &format!("CREATE TYPE {k}.y (a int)"),
        &format!("CREATE FUNCTION {k}.f () CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return 1;'"),
        &format!(
            "CREATE KEYSPACE {k}_2 WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        ),
    ])
    .await
    .unwrap();
    let (keyspace, name) = (|| k.clone(), |name: &str| name.to_owned());
    for what in [
        LookUp::Index { keyspace: keyspace(), name: name("i") },
        LookUp::Column { keyspace: keyspace(), table: name("t"), column: name("b") },
        LookUp::Type { keyspace: keyspace(), name: name("y") },
        LookUp::Function { keyspace: keyspace(), name: name("f") },
        LookUp::Keyspace(format!("{k}_2")),
    ] {
        let found = async {
            let mut again = tokio::time::interval(Duration::from_millis(100));
            while !cluster.look_up_name(&what).await {
                again.tick().await;
            }
        };
        timeout(SOON, found).await.unwrap_or_else(|_| panic!("never found: {what:?}"));
    }
    let schema = cluster.schema();
    assert_eq!((schema.index_table(&k, "i"), columns(&cluster, &k, "t").len()), (Some("t"), 2));
    assert_eq!(schema.field_type(&k, "y", "a"), Some("int"));
    assert_eq!(functions(&cluster, &k, "f"), [" -> int"]);
    assert!(schema.has_keyspace(&format!("{k}_2")) && !schema.has_keyspace(&format!("{k}_3")));
    for nobody in [
        LookUp::Index { keyspace: keyspace(), name: name("nope") },
        LookUp::Column { keyspace: keyspace(), table: name("t"), column: name("nope") },
        LookUp::Type { keyspace: keyspace(), name: name("nope") },
        LookUp::Function { keyspace: format!("{k}_3"), name: name("f") },
        LookUp::Keyspace(format!("{k}_3")),
    ] {
        assert!(!cluster.look_up_name(&nobody).await, "{nobody:?}");
    }
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
    // One is two questions and two answers.
    let most = 4 * u64::from(limits::LOOKUPS_PER_SECOND) * (2 + begin.elapsed().as_secs());
    assert!(queries as u64 <= most, "{queries} envelopes, at most {most} are allowed");
}

/// Whether a cluster's schema is so.
type Is<'a> = &'a dyn Fn(&Cluster) -> bool;

#[tokio::test]
async fn what_is_made_is_known_when_its_answer_comes() {
    let node = Cassandra::shared().await;
    let cluster = cluster(node, None).await;
    let k = node.keyspace("made").await;
    let mut other = node.superuser().await.unwrap();
    let (int, strings) =
        (|| vec!["int".to_owned()], |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect());
    for n in 0..5 {
        let created = |target| (Change::Created, target);
        let table = |change| (change, Target::Table(format!("t{n}")));
        let steps: [(String, (Change, Target), Is<'_>); 8] = [
            (format!("CREATE TYPE {k}.y{n} (a int)"), created(Target::Type(format!("y{n}"))), &|c| {
                c.schema().field_type(&k, &format!("y{n}"), "a").is_some()
            }),
            (
                format!("CREATE TABLE {k}.t{n} (a int PRIMARY KEY, b int, y frozen<y{n}>)"),
                table(Change::Created),
                &|c| {
                    columns(c, &k, &format!("t{n}"))
                        == ["a int key".into(), "b int".into(), format!("y y{n}")]
                },
            ),
            (format!("CREATE INDEX i{n} ON {k}.t{n} (b)"), table(Change::Updated), &|c| {
                c.schema().index_table(&k, &format!("i{n}")).is_some()
            }),
            (
                format!(
                    "CREATE MATERIALIZED VIEW {k}.v{n} AS SELECT a, b FROM {k}.t{n} \
                     WHERE a IS NOT NULL AND b IS NOT NULL PRIMARY KEY (b, a)"
                ),
                created(Target::Table(format!("v{n}"))),
                &|c| {
                    let (schema, view) = (c.schema(), format!("v{n}"));
                    columns(c, &k, &view) == ["a int key", "b int key"]
                        && schema.relation(&k, &format!("t{n}")).unwrap().kind
                            == RelationKind::Table { views: &[view] }
                },
            ),
            (
                format!(
                    "CREATE FUNCTION {k}.f{n} (s int, x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java \
                     AS 'return x;'"
                ),
                created(Target::Function(format!("f{n}"), strings(&["int", "int"]))),
                &|c| functions(c, &k, &format!("f{n}")) == ["int, int -> int"],
            ),
            (
                format!("CREATE AGGREGATE {k}.a{n} (int) SFUNC f{n} STYPE int"),
                created(Target::Aggregate(format!("a{n}"), int())),
                &|c| functions(c, &k, &format!("a{n}")) == [format!("int -> int of f{n}(int)")],
            ),
            (format!("DROP INDEX {k}.i{n}"), table(Change::Updated), &|c| {
                c.schema().index_table(&k, &format!("i{n}")).is_none()
            }),
            (
                format!("DROP MATERIALIZED VIEW {k}.v{n}"),
                (Change::Dropped, Target::Table(format!("v{n}"))),
                &|c| {
                    c.schema().relation(&k, &format!("v{n}")).is_none()
                        && c.schema().relation(&k, &format!("t{n}")).unwrap().kind
                            == RelationKind::Table { views: &[] }
                },
            ),
        ];
        for (statement, (change, target), is_so) in steps {
            other.query(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
            assert!(cluster.await_schema(&SchemaChange { change, keyspace: k.clone(), target }).await);
            assert!(is_so(&cluster), "{statement}");
        }
    }
}

#[tokio::test]
async fn what_one_session_makes_every_other_one_uses_at_once() {
    let policy = "
        GRANT CREATE, ALTER, DROP ON KEYSPACE $ks TO USER \"maker\";
        GRANT CREATE, EXECUTE ON ALL FUNCTIONS IN KEYSPACE $ks TO USER \"maker\";
        GRANT SELECT, MODIFY, ALTER ON TABLE $ks.\"t*\" TO USER \"user\";
        GRANT MODIFY ON TABLE $ks.\"v*\" TO USER \"user\";
        GRANT EXECUTE ON ALL FUNCTIONS IN KEYSPACE $ks TO USER \"user\";
    ";
    let world = World::new("everybody", &[], policy).await;
    let (service, _) = world.node.service_account().await;
    let grant = format!("GRANT CREATE, EXECUTE ON ALL FUNCTIONS IN KEYSPACE {} TO {service}", world.keyspace);
    world.node.run(&[&grant]).await.unwrap();
    for person in ["maker", "user"] {
        world.person(person).await;
    }
    let mut maker = world.connect("maker").await;
    let mut users = [world.connect("user").await, world.connect("user").await];
    for n in 0..20 {
        for (make, uses) in [
            (format!("CREATE TYPE $ks.y{n} (a int)"), None),
            (
                format!("CREATE TABLE $ks.t{n} (a int PRIMARY KEY, b int, y frozen<y{n}>)"),
                Some(format!("INSERT INTO $ks.t{n} (a, b, y) VALUES (1, 2, {{a: 3}})")),
            ),
            (format!("CREATE INDEX i{n} ON $ks.t{n} (b)"), Some(format!("DROP INDEX IF EXISTS $ks.i{n}"))),
            (
                format!(
                    "CREATE MATERIALIZED VIEW $ks.v{n} AS SELECT a, b FROM $ks.t{n} \
                     WHERE a IS NOT NULL AND b IS NOT NULL PRIMARY KEY (b, a)"
                ),
                Some(format!("SELECT a FROM $ks.v{n} WHERE b = 2")),
            ),
            (
                format!(
                    "CREATE FUNCTION $ks.f{n} (s int, x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java \
                     AS 'return x;'"
                ),
                Some(format!("SELECT $ks.f{n}(a, b) FROM $ks.t{n}")),
            ),
            (
                format!("CREATE AGGREGATE $ks.a{n} (int) SFUNC f{n} STYPE int"),
                Some(format!("SELECT $ks.a{n}(b) FROM $ks.t{n}")),
            ),
            (
                format!("ALTER TABLE $ks.t{n} ADD c int"),
                Some(format!("UPDATE $ks.t{n} SET c = 1 WHERE a = 1")),
            ),
        ] {
            let make = world.cql(&make);
            maker.query(&make).await.unwrap_or_else(|error| panic!("{make}: {error}"));
            for uses in uses.iter().map(|uses| world.cql(uses)) {
                for user in &mut users {
                    user.query(&uses).await.unwrap_or_else(|error| panic!("{uses}: {error}"));
                }
            }
        }
    }
}

#[tokio::test]
async fn roles_and_identities_are_looked_up_as_they_are_now() {
    let node = Cassandra::shared().await;
    let k = node.keyspace("roles").await;
    let role = |name: &str| format!("{k}_{name}");
    let (plain, chief, member, limited) = (role("plain"), role("chief"), role("member"), role("limited"));
    node.run(&[
        &format!("CREATE ROLE {plain}"),
        &format!("CREATE ROLE {chief} WITH SUPERUSER = true"),
        &format!("CREATE ROLE {member}"),
        &format!("GRANT {plain} TO {member}"),
        &format!("CREATE ROLE {limited} WITH PASSWORD = 'pw' AND LOGIN = true"),
        &format!("ADD IDENTITY 'spiffe://{k}' TO ROLE '{chief}'"),
    ])
    .await
    .unwrap();
    let start = |username: &str, password: &str| {
        let metrics = Metrics::new().cluster("test");
        Cluster::start(&config(node.addr(), username), Secret::new(password), metrics).unwrap()
    };
    let cluster = start("cassandra", "cassandra");
    until("healthy", || cluster.health().healthy).await;
    assert_eq!(cluster.own_role(), "cassandra");
    for (name, is) in [
        (&plain, Role::Plain),
        (&chief, Role::Superuser),
        (&member, Role::Plain),
        (&role("nobody"), Role::Missing),
        (&"cassandra".to_owned(), Role::Superuser),
    ] {
        assert_eq!(cluster.look_up_role(name).await, is, "{name}");
    }
    node.run(&[&format!("GRANT {chief} TO {plain}")]).await.unwrap();
    assert_eq!(
        cluster.look_up_role(&member).await,
        Role::Superuser,
        "through what it was granted is granted"
    );
    let identity = format!("spiffe://{k}");
    assert_eq!(cluster.look_up_identity(&identity).await, FoundIdentity::Bound(chief.clone()));
    assert_eq!(cluster.look_up_identity("spiffe://nobody").await, FoundIdentity::Unbound);
    node.run(&[&format!("DROP IDENTITY '{identity}'")]).await.unwrap();
    assert_eq!(cluster.look_up_identity(&identity).await, FoundIdentity::Unbound);
    // An account that may read no roles.
    let cluster = start(&limited, "pw");
    until("healthy", || cluster.health().healthy).await;
    assert_eq!(cluster.look_up_role(&plain).await, Role::Unreadable);
    assert_eq!(cluster.look_up_identity(&identity).await, FoundIdentity::Unreadable);
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
