//! Roles, grants and definitions: what nobody does through the gateway, what must be found out first, and
//! names that take the keyspace of something else.

use cqlgate_protocol::cql::statement::{Category, LimitKind, Statement};
use cqlgate_protocol::cql::{
    Function, Identity, Limits, ParseError, Relation, Release, Role, Schema, Unseen, needs, parse,
};

use crate::fixture::Fixture;

/// The fixture, where nothing is known of roles: nobody has asked yet, or the account may not know.
struct Unknown(Fixture, Role, Release);

impl Schema for Unknown {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        self.0.has_keyspace(keyspace)
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        self.0.relation(keyspace, name)
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        self.0.functions(keyspace, name)
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        self.0.index_table(keyspace, index)
    }

    fn field_type(&self, keyspace: &str, user_type: &str, field: &str) -> Option<&str> {
        self.0.field_type(keyspace, user_type, field)
    }

    fn role(&self, _: &str) -> Role {
        self.1
    }

    fn identity(&self, _: &str) -> Identity<'_> {
        if self.1 == Role::Unreadable { Identity::Unreadable } else { Identity::NotAsked }
    }

    fn own_role(&self) -> Option<&str> {
        self.0.own_role()
    }

    fn release(&self) -> Release {
        self.2
    }
}

fn read(text: &str) -> Statement<'_> {
    parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The needs, then what is said to everybody; `!` before what comes without any needs.
fn judged(text: &str, keyspace: Option<&str>, schema: &impl Schema) -> String {
    match needs(&read(text), keyspace, schema) {
        Ok(found) => {
            let mut all: Vec<_> =
                found.needs.iter().map(|need| format!("{} {}", need.permission, need.resource)).collect();
            all.extend(found.named.iter().map(|need| format!("({} {})", need.permission, need.resource)));
            all.extend(found.refusal.map(|refusal| format!("{refusal:?}")));
            all.join(", ")
        }
        Err(refusal) => format!("!{refusal:?}"),
    }
}

#[test]
fn superusers_and_the_gateways_own_role_are_not_changed() {
    let fixture = Fixture::new();
    for (text, told) in [
        ("CREATE ROLE r WITH SUPERUSER = false", "CREATE <all roles>"),
        (
            "CREATE ROLE r WITH SUPERUSER = TRUE",
            "CREATE <all roles>, Superuser(\"Only superusers can create a role with superuser status\")",
        ),
        (
            "CREATE USER u SUPERUSER",
            "CREATE <all roles>, Superuser(\"Only superusers can create a role with superuser status\")",
        ),
        (
            "ALTER ROLE r1 WITH PASSWORD = 'x' AND SUPERUSER = false",
            "!Superuser(\"Only superusers are allowed to alter superuser status\")",
        ),
        (
            "ALTER USER r1 NOSUPERUSER",
            "!Superuser(\"Only superusers are allowed to alter superuser status\")",
        ),
        (
            "ALTER ROLE r1 WITH ACCESS TO DATACENTERS {'a'}",
            "!Superuser(\"Only superusers are allowed to alter access to datacenters.\")",
        ),
        (
            "ALTER ROLE r1 WITH LOGIN = true AND ACCESS FROM ALL CIDRS",
            "!Superuser(\"Only superusers are allowed to alter access from CIDR groups.\")",
        ),
        (
            "ALTER USER 'sup' WITH HASHED PASSWORD 'x'",
            "ALTER <role sup>, Superuser(\"Only superusers are allowed to alter a role with superuser status\")",
        ),
        ("ALTER ROLE gateway WITH PASSWORD = 'x'", "ALTER <role gateway>, OwnRole(\"gateway\")"),
        ("ALTER USER gateway WITH PASSWORD 'x'", "ALTER <role gateway>, OwnRole(\"gateway\")"),
        ("DROP ROLE \"gateway\"", "DROP <role gateway>, OwnRole(\"gateway\")"),
        ("DROP USER Gateway", "DROP <role Gateway>"),
        ("GRANT r1 TO gateway", "AUTHORIZE <role r1>, OwnRole(\"gateway\")"),
        ("GRANT gateway TO r1", "AUTHORIZE <role gateway>, OwnRole(\"gateway\")"),
        ("REVOKE r1 FROM 'gateway'", "AUTHORIZE <role r1>, OwnRole(\"gateway\")"),
        (
            "GRANT SELECT ON o1.p TO gateway",
            "AUTHORIZE <table o1.p>, SELECT <table o1.p>, OwnRole(\"gateway\")",
        ),
        (
            "REVOKE SELECT ON o1.p FROM gateway",
            "AUTHORIZE <table o1.p>, SELECT <table o1.p>, OwnRole(\"gateway\")",
        ),
        (
            "GRANT ALTER ON ROLE gateway TO r1",
            "AUTHORIZE <role gateway>, ALTER <role gateway>, OwnRole(\"gateway\")",
        ),
        ("ADD IDENTITY 'x' TO ROLE 'gateway'", "CREATE <all roles>, OwnRole(\"gateway\")"),
        (
            "ADD IDENTITY x TO ROLE sup",
            "CREATE <all roles>, Superuser(\"Only superusers can bind identities to a role with superuser status\")",
        ),
        ("CREATE TRIGGER g ON p USING 'c'", "!NoKeyspace"),
        (
            "CREATE TRIGGER g ON o1.p USING 'c'",
            "!Superuser(\"Only superusers are allowed to perform CREATE TRIGGER queries\")",
        ),
        (
            "DROP TRIGGER g ON o1.p",
            "!Superuser(\"Only superusers are allowed to perfrom DROP TRIGGER queries\")",
        ),
    ] {
        assert_eq!(judged(text, None, &fixture), told, "{text}");
    }
}

#[test]
fn what_is_not_known_of_a_role_is_asked_or_refused() {
    let asked = Unknown(Fixture::new(), Role::NotAsked, Release::V5_0);
    let unreadable = Unknown(Fixture::new(), Role::Unreadable, Release::V5_0);
    for (text, first, role) in [
        ("ALTER ROLE r1 WITH LOGIN = true", "ALTER <role r1>", "r1"),
        ("DROP ROLE r1", "DROP <role r1>", "r1"),
        ("GRANT r1 TO r2", "AUTHORIZE <role r1>", "r1"),
        ("REVOKE r1 FROM r2", "AUTHORIZE <role r1>", "r1"),
        ("ADD IDENTITY 'i' TO ROLE 'r1'", "CREATE <all roles>", "r1"),
    ] {
        assert_eq!(judged(text, None, &asked), format!("!AskRole({role:?})"), "{text}");
        assert_eq!(judged(text, None, &unreadable), format!("{first}, RolesUnreadable"), "{text}");
    }
    assert_eq!(judged("DROP IDENTITY 'i'", None, &asked), "!AskIdentity(\"i\")");
    assert_eq!(judged("DROP IDENTITY 'i'", None, &unreadable), "DROP <all roles>, RolesUnreadable");
    // Nothing has to be known of a role that only gets or loses a permission, or is shown.
    for text in ["GRANT SELECT ON o1.p TO r1", "LIST ROLES OF r1", "CREATE ROLE r1", "DESC TABLE o1.p"] {
        assert!(!judged(text, None, &asked).contains("Ask"), "{text}");
    }
}

#[test]
fn older_releases_have_fewer_resources_and_permissions() {
    let of = |release| Unknown(Fixture::new(), Role::Plain, release);
    for text in ["CREATE TABLE o1.n (k int PRIMARY KEY)", "CREATE TYPE o1.n (k int)"] {
        assert_eq!(judged(text, None, &of(Release::V4_0)), "CREATE <keyspace o1>", "{text}");
        assert_eq!(judged(text, None, &of(Release::V4_1)), "CREATE <all tables in o1>", "{text}");
    }
    assert_eq!(judged("DROP TYPE o1.n", None, &of(Release::V4_0)), "DROP <keyspace o1>");
    // ALTER reaches the replication of such a keyspace, and nothing in it.
    let system = judged("ALTER TYPE system_auth.n ADD a int", None, &of(Release::V4_0));
    assert!(system.starts_with("!SystemResource"), "{system}");
    let all = "GRANT ALL ON o1.p TO r1";
    assert!(!judged(all, None, &of(Release::V4_1)).contains("MASK"));
    assert!(
        judged(all, None, &of(Release::V5_0)).ends_with("UNMASK <table o1.p>, SELECT_MASKED <table o1.p>")
    );
}

#[test]
fn names_take_the_keyspace_that_cassandra_gives_them() {
    let fixture = Fixture::new();
    for (text, told) in [
        (
            "CREATE MATERIALIZED VIEW o1.n AS SELECT * FROM base WHERE x IS NOT NULL PRIMARY KEY (x)",
            "ALTER <table o1.base>, (CREATE <all tables in o1>)",
        ),
        (
            "CREATE MATERIALIZED VIEW n AS SELECT * FROM o1.base WHERE x IS NOT NULL PRIMARY KEY (x)",
            "ALTER <table o2.base>, ALTER <table o1.base>, (CREATE <all tables in o2>)",
        ),
        (
            "CREATE MATERIALIZED VIEW system.n AS SELECT * FROM o1.p WHERE n IS NOT NULL PRIMARY KEY (n)",
            "!SystemKeyspace(\"system\")",
        ),
        ("DROP MATERIALIZED VIEW o1.by_x", "ALTER <table o1.base>, (DROP <table o1.by_x>)"),
        ("DROP MATERIALIZED VIEW v2", "ALTER <table o2.base2>, (DROP <table o2.v2>)"),
        ("DROP MATERIALIZED VIEW by_x", "(DROP <table o2.by_x>)"),
        ("DROP INDEX ix_v", ""),
        ("DROP INDEX o1.ix_v", "ALTER <table o1.ix>"),
        ("CREATE INDEX ON o1.p (v)", "ALTER <table o1.p>"),
        ("DROP FUNCTION g", "DROP <function o2.g(int)>"),
        ("DROP FUNCTION g(text)", ""),
        ("DROP FUNCTION o1.f1('Int32Type')", "DROP <function o1.f1(int)>"),
        ("DROP FUNCTION o1.f1(varchar)", "DROP <function o1.f1(text)>"),
        // A class that only a node knows may be any type.
        ("DROP FUNCTION o1.f1('x.Y')", "DROP <function o1.f1(int)>, DROP <function o1.f1(text)>"),
        (
            "CREATE OR REPLACE FUNCTION o1.f1(a 'x.Y') CALLED ON NULL INPUT RETURNS int LANGUAGE java AS ''",
            "ALTER <function o1.f1(int)>, ALTER <function o1.f1(text)>, CREATE <all functions in o1>",
        ),
        (
            "CREATE OR REPLACE FUNCTION o1.f1(a ' Int32Type') RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java \
             AS $$$$",
            "ALTER <function o1.f1(int)>, ALTER <function o1.f1(text)>, CREATE <all functions in o1>",
        ),
        (
            "CREATE AGGREGATE o1.n(int) SFUNC sf STYPE 'x.Y'",
            "CREATE <all functions in o1>, EXECUTE <function o1.sf('x.Y', int)>, EXECUTE <function o1.sf(int, int)>",
        ),
        (
            "CREATE AGGREGATE n() SFUNC g STYPE int FINALFUNC g",
            "CREATE <all functions in o2>, EXECUTE <function o2.g(int)>, EXECUTE <function o2.g(int)>",
        ),
        (
            "CREATE FUNCTION \"SYSTEM\".f() CALLED ON NULL INPUT RETURNS int LANGUAGE java AS ''",
            "!SystemFunction(\"SYSTEM\")",
        ),
        ("DROP FUNCTION system.now", "!SystemFunction(\"system\")"),
        ("DROP AGGREGATE IF EXISTS system_views.f(int)", "!SystemFunction(\"system_views\")"),
        ("GRANT SELECT ON t TO r1", "AUTHORIZE <table o2.t>, SELECT <table o2.t>"),
        ("GRANT SELECT ON functions TO r1", "AUTHORIZE <table o2.functions>, SELECT <table o2.functions>"),
        ("GRANT SELECT, EXECUTE ON o1.p TO r1", "AUTHORIZE <table o1.p>, SELECT <table o1.p>"),
        ("GRANT DROP ON TYPE TO r1", "AUTHORIZE <table o2.type>, DROP <table o2.type>"),
    ] {
        assert_eq!(judged(text, Some("o2"), &fixture), told, "{text}");
    }
    for text in [
        "GRANT SELECT ON t TO r1",
        "LIST ALL ON t OF r1",
        "DROP INDEX i",
        "DROP FUNCTION f",
        "CREATE TYPE u (a int)",
        "ALTER MATERIALIZED VIEW v WITH comment = ''",
    ] {
        assert_eq!(judged(text, None, &fixture), "!NoKeyspace", "{text}");
    }
}

#[test]
fn system_keyspaces_are_what_they_are_in_any_case() {
    let fixture = Fixture::new();
    for (text, told) in [
        ("GRANT MODIFY ON \"System\".local TO r1", true),
        ("GRANT ALL ON ALL TABLES IN KEYSPACE system_auth TO r1", true),
        ("GRANT AUTHORIZE ON KEYSPACE system_schema TO r1", true),
        ("GRANT SELECT, ALTER ON KEYSPACE system TO r1", false),
        ("GRANT ALL ON KEYSPACE system_views TO r1", false),
        ("GRANT ALL ON ALL KEYSPACES TO r1", false),
        ("REVOKE ALL ON KEYSPACE system FROM r1", false),
    ] {
        assert_eq!(judged(text, None, &fixture).ends_with("SystemGrant"), told, "{text}");
    }
    for text in [
        "CREATE TABLE \"SYSTEM\".n (k int PRIMARY KEY)",
        "ALTER TABLE \"System_Auth\".roles ADD x int",
        "DROP KEYSPACE \"SYSTEM_TRACES\"",
        "DROP TYPE system_auth.x",
        "CREATE INDEX i ON system_views.clients (a)",
        "ALTER KEYSPACE system WITH durable_writes = true",
    ] {
        assert!(judged(text, None, &fixture).starts_with("!System"), "{text}");
    }
}

#[test]
fn what_runs_in_the_sessions_keyspace_is_told() {
    for (text, told) in [
        ("GRANT SELECT ON t TO r", true),
        ("REVOKE SELECT ON TABLE t FROM r", true),
        ("LIST ALL ON t", true),
        ("GRANT SELECT ON k.t TO r", false),
        ("GRANT SELECT ON KEYSPACE k TO r", false),
        ("LIST ALL", false),
        ("GRANT r TO s", false),
        ("DESC t", true),
        ("DESC k.t", false),
        ("DESC TABLES", true),
        ("DESC KEYSPACE", true),
        ("DESC KEYSPACE k", false),
        ("DESCRIBE FULL SCHEMA", false),
        ("DESC FUNCTION f", true),
        ("DESC AGGREGATE k.f", false),
        ("DESC TYPE u", true),
        ("DESC INDEX k.i", false),
        ("DROP TABLE t", false),
        ("SELECT * FROM t", false),
    ] {
        assert_eq!(read(text).takes_session_keyspace(), told, "{text}");
    }
}

#[test]
fn statements_hold_no_passwords() {
    for text in [
        "CREATE ROLE r WITH PASSWORD = 'sEcret' AND LOGIN = true",
        "CREATE ROLE r WITH HASHED PASSWORD = $$sEcret$$ AND OPTIONS = {'a': 'sEcret'}",
        "ALTER ROLE r WITH PASSWORD = 'sEcret'",
        "CREATE USER r WITH PASSWORD 'sEcret'",
        "ALTER USER r WITH HASHED PASSWORD 'sEcret'",
    ] {
        assert!(!format!("{:?}", read(text)).contains("sEcret"), "{text}");
    }
}

#[test]
fn long_names_are_not_made() {
    let long = |bytes: usize| "n".repeat(bytes);
    let outcome = |text: &str| match parse(text, &Limits::default()) {
        Ok(_) => None,
        Err(ParseError::Limit { limit: LimitKind::Name, bound }) => Some(bound),
        Err(other) => panic!("{text}: {other}"),
    };
    for (before, after, bound) in [
        ("CREATE KEYSPACE ", " WITH a = 1", 222),
        ("CREATE TABLE k.", " (k int PRIMARY KEY)", 222),
        ("CREATE TABLE IF NOT EXISTS \"", "\" (k int PRIMARY KEY)", 222),
        ("CREATE TYPE ", " (a int)", 222),
        ("CREATE INDEX ", " ON t (a)", 222),
        ("CREATE INDEX ", " ON t (a) USING 'sai'", 182),
        ("CREATE CUSTOM INDEX ", " ON t (a) USING 'c'", 182),
        ("CREATE MATERIALIZED VIEW ", " AS SELECT * FROM t PRIMARY KEY (a)", 222),
        ("CREATE FUNCTION ", "() CALLED ON NULL INPUT RETURNS int LANGUAGE java AS ''", 222),
        ("CREATE OR REPLACE AGGREGATE ", "() SFUNC f STYPE int", 222),
        ("CREATE TRIGGER ", " ON t USING 'c'", 222),
        ("CREATE ROLE ", "", 65_535),
        ("DROP ROLE '", "'", 65_535),
        ("CREATE TABLE t (", " int PRIMARY KEY)", 65_535),
        ("ALTER TABLE t ADD ", " int", 65_535),
        ("ALTER TYPE t RENAME a TO ", "", 65_535),
    ] {
        let text = |bytes| format!("{before}{}{after}", long(bytes));
        assert_eq!(outcome(&text(bound - 2)), None, "{before}{after}");
        assert_eq!(outcome(&text(bound + 1)), Some(bound), "{before}{after}");
    }
    // The name that an index gets of its table and column.
    assert_eq!(outcome(&format!("CREATE INDEX ON t ({})", long(216))), None);
    assert_eq!(outcome(&format!("CREATE INDEX ON t ({})", long(217))), Some(222));
    assert_eq!(outcome(&format!("CREATE INDEX ON t (a, keys(\"{}\"))", long(500))), Some(222));
    // What exists already may be called as it is.
    for text in ["DROP TABLE ", "DROP INDEX ", "SELECT * FROM ", "TRUNCATE ", "USE "] {
        assert_eq!(outcome(&format!("{text}{}", long(1_000))), None, "{text}");
    }
    let narrow = Limits { name: 10, ..Limits::default() };
    assert!(parse("CREATE TABLE abcdefghij (k int PRIMARY KEY)", &narrow).is_ok());
    let error = parse("CREATE TABLE abcdefghijk (k int PRIMARY KEY)", &narrow).unwrap_err();
    assert_eq!(error.to_string(), "cqlgate reads no more than 10 bytes in this name");
}

#[test]
fn permissions_that_a_resource_has_none_of_are_no_cql() {
    for (text, resource) in [
        ("GRANT EXECUTE ON t TO r", "Data"),
        ("GRANT CREATE, DESCRIBE ON TABLE k.t TO r", "Data"),
        ("GRANT DESCRIBE ON KEYSPACE k TO r", "Data"),
        ("GRANT SELECT ON ALL FUNCTIONS TO r", "Function"),
        ("REVOKE CREATE ON FUNCTION k.f() FROM r", "Function"),
        ("GRANT MODIFY ON ROLE s TO r", "Role"),
        ("GRANT CREATE ON ROLE s TO r", "Role"),
        ("REVOKE ALTER ON ALL MBEANS FROM r", "JMX"),
        ("GRANT UNMASK ON MBEAN 'a:b=c' TO r", "JMX"),
    ] {
        let error = parse(text, &Limits::default()).unwrap_err();
        let told =
            format!("Resource type {resource}Resource does not support any of the requested permissions");
        assert_eq!((error.code(), error.to_string()), (0x2000, told), "{text}");
    }
    let error = parse("LIST EXECUTE ON FUNCTION f() OF r", &Limits::default()).unwrap_err();
    assert_eq!(error.code(), 0x2200);
}

#[test]
fn what_is_dropped_or_replaced_and_not_known_is_looked_up() {
    let fixture = Fixture::new();
    let function = |name: &str| Some(Unseen::Function { keyspace: "o1".to_owned(), name: name.to_owned() });
    let table = |table: &str| Some(Unseen::Table { keyspace: "o1".to_owned(), table: table.to_owned() });
    let java = "CALLED ON NULL INPUT RETURNS int LANGUAGE java AS ''";
    for (text, unseen) in [
        ("DROP INDEX i", Some(Unseen::Index { keyspace: "o1".to_owned(), name: "i".to_owned() })),
        ("DROP INDEX ix_v", None),
        ("DROP MATERIALIZED VIEW v", table("v")),
        ("ALTER MATERIALIZED VIEW v WITH comment = ''", table("v")),
        ("DROP MATERIALIZED VIEW by_x", None),
        ("DROP FUNCTION n", function("n")),
        ("DROP AGGREGATE f1(blob)", function("f1")),
        ("DROP FUNCTION f1", None),
        (&format!("CREATE OR REPLACE FUNCTION f1(a blob) {java}"), function("f1")),
        (&format!("CREATE OR REPLACE FUNCTION f1(a int) {java}"), None),
        // Whatever there is, this makes a new one or nothing.
        (&format!("CREATE FUNCTION n(a int) {java}"), None),
        (&format!("CREATE FUNCTION IF NOT EXISTS f1(a int) {java}"), None),
    ] {
        let found = needs(&read(text), Some("o1"), &fixture).unwrap();
        assert_eq!(found.unseen, unseen, "{text}");
    }
}

#[test]
fn statements_are_about_data_definitions_or_neither() {
    for (text, category) in [
        ("USE k", Category::Use),
        ("SELECT a FROM t", Category::Data),
        ("TRUNCATE t", Category::Ddl),
        ("DROP TABLE t", Category::Ddl),
        ("LIST ROLES", Category::Other),
    ] {
        assert_eq!(read(text).kind().category(), category, "{text}");
    }
}
