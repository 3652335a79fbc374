//! Words that the grammar knows and that are names all the same, where Cassandra lets them be; and what looks alike
//! and is something else.

use cqlgate_protocol::cql::statement::{
    Access, Category, Definition, Described, NamedResource, PasswordForm,
};
use cqlgate_protocol::cql::{Limits, Permission, Release, Resource, Statement, parse};

fn read(text: &str) -> Statement<'_> {
    parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    match parse(text, &Limits::default()) {
        Ok(statement) => panic!("{text}: {statement:?}"),
        Err(error) => error.to_string(),
    }
}

fn access(text: &str) -> Access<'_> {
    match read(text) {
        Statement::Access(access) => access,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn columns_and_properties_are_called_like_clauses() {
    for text in [
        "SELECT a FROM t WHERE exists = 1",
        "UPDATE t SET a = 1 WHERE k = 1 IF exists = f(1)",
        "UPDATE t SET a = 1 WHERE k = 1 IF exists IN (1, 2)",
        "UPDATE t SET a = 1 WHERE k = 1 IF exists CONTAINS 1",
        "UPDATE t SET a = 1 WHERE k = 1 IF exists[1] = 2",
        "UPDATE t SET a = 1 WHERE k = 1 IF exists.f = 2",
        "UPDATE t SET a = 1 WHERE k = 1 IF exists != (int)2 AND b = 1",
        "CREATE INDEX ON t (values)",
        "CREATE INDEX ON t (keys)",
        "CREATE INDEX ON t (values(keys))",
        "CREATE TABLE t (k int PRIMARY KEY) WITH compact = 1",
        "CREATE TABLE t (k int PRIMARY KEY) WITH clustering = 1 AND compact = 2",
        "CREATE TABLE t (k int PRIMARY KEY, s text MASKED WITH DEFAULT)",
        "CREATE TABLE t (k int PRIMARY KEY, s text MASKED WITH default())",
        "CREATE TABLE t (k int PRIMARY KEY, s text MASKED WITH default.f(1))",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM t WHERE a IS NOT NULL PRIMARY KEY (a) WITH compact = 1",
        "ALTER TABLE t DROP compact USING TIMESTAMP 1",
        "ALTER TABLE t DROP compact",
        "ALTER TABLE t DROP COMPACT STORAGE",
        "SELECT ttl + 1, writetime.a, cast + 1, count[1] FROM t",
        "SELECT (a, b) FROM t WHERE (a, b) IN ()",
        "SELECT a FROM t GROUP BY (a) PER PARTITION LIMIT 1",
        "SELECT (int)per, (int)as FROM t",
        "CREATE TABLE t (k int PRIMARY KEY, a list<int>, b map<int, int>, c frozen<u>, d frozen<list<int>>)",
    ] {
        read(text);
    }
    for text in [
        "CREATE TABLE t (k int PRIMARY KEY, b byte)",
        "CREATE TABLE t (k int PRIMARY KEY, b complex)",
        "CREATE TABLE t (k int PRIMARY KEY, b frozen<int>)",
        "CREATE TABLE t (k int PRIMARY KEY, b frozen<'Int32Type'>)",
        "SELECT cast(a AS list) FROM t",
        "SELECT cast(a AS u) FROM t",
        "SELECT (m)[..] FROM t",
        "ALTER TABLE t DROP compact a",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM t PRIMARY KEY (a) WITH COMPACT STORAGE",
    ] {
        refused(text);
    }
}

#[test]
fn elements_and_slices_stand_behind_parentheses() {
    for what in ["(m)[1]", "(m)[]", "(m)[1..]", "(m)[..2]", "(m)[1..2]", "(m)[f(1)..2]", "(m)[1, 2]"] {
        read(&format!("SELECT {what} FROM t"));
    }
}

#[test]
fn modifiers_and_columns_of_their_names_are_told_apart() {
    for (text, json, distinct, first) in [
        ("SELECT JSON a FROM t", true, false, "a"),
        ("SELECT json FROM t", false, false, "json"),
        ("SELECT json, a FROM t", false, false, "json"),
        ("SELECT json.a FROM t", false, false, "json.a"),
        ("SELECT json + 1 FROM t", false, false, "json + 1"),
        ("SELECT json AS x FROM t", false, false, "json"),
        ("SELECT json AS x, b FROM t", false, false, "json"),
        ("SELECT JSON as FROM t", true, false, "as"),
        ("SELECT JSON as AS b FROM t", true, false, "as"),
        ("SELECT JSON DISTINCT k FROM t", true, true, "k"),
        ("SELECT distinct FROM t", false, false, "distinct"),
        ("SELECT distinct(k) FROM t", false, true, "(k)"),
    ] {
        let Statement::Select(select) = read(text) else { panic!("{text}") };
        let selector = select.selectors().next().unwrap();
        assert_eq!((select.json, select.distinct, selector.text), (json, distinct, first), "{text}");
    }
}

#[test]
fn a_class_before_a_value_is_a_hint_and_before_a_colon_a_key() {
    // `('x'):n` in braces: a key and its value, or a value with a hint. What follows the colon tells.
    for (value, markers, called) in [
        ("('Int32Type') :n", 1, 0),
        ("('Int32Type') 1", 0, 0),
        ("{('x'):1}", 0, 0),
        ("{('x'):f(1)}", 0, 1),
        ("{('x'):k.f(1)}", 0, 1),
        ("{('x'):(1)}", 0, 0),
        ("{(int):n}", 1, 0),
        ("(int):n", 1, 0),
    ] {
        let text = format!("SELECT a FROM t WHERE a = {value}");
        let statement = read(&text);
        assert_eq!(statement.bind_marker_count(), markers, "{text}");
        assert_eq!(statement.called_functions().len(), called, "{text}");
    }
}

#[test]
fn an_error_is_told_where_the_reading_that_went_farthest_stopped() {
    for (text, told) in [
        (
            "CREATE TABLE t (a int, b int, PRIMARY KEY ((a b), c))",
            "line 1:46 mismatched input 'b' expecting ')'",
        ),
        ("SELECT a FROM t ORDER a", "line 1:16 mismatched input 'ORDER' expecting EOF"),
        ("SELECT a FROM t GROUP a", "line 1:16 mismatched input 'GROUP' expecting EOF"),
        ("CREATE USER \"u\"", "Quoted strings are not supported for user names and identities"),
        (
            "GRANT EXECUTE ON FUNCTION token(int) TO r",
            "In this context function name must be explictly qualified by a keyspace",
        ),
    ] {
        assert_eq!(refused(text), told, "{text}");
    }
}

#[test]
fn what_is_described_is_a_kind_or_something_of_that_name() {
    let what = |text| match read(text) {
        Statement::Describe(describe) => describe.what,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(what("DESCRIBE FUNCTIONS"), Described::Functions);
    assert_eq!(what("DESCRIBE AGGREGATES"), Described::Aggregates);
    assert_eq!(what("DESCRIBE TYPES"), Described::Types);
    for text in ["DESC function", "DESC aggregate", "DESC type", "DESC function.f", "DESC only"] {
        assert!(matches!(what(text), Described::Anything(_)), "{text}");
    }
    assert!(matches!(what("DESC FUNCTION token"), Described::Function(_)));
    assert!(matches!(what("DESC AGGREGATE k.a"), Described::Aggregate(_)));
}

#[test]
fn users_are_roles_that_log_in() {
    let options = |text| match access(text) {
        Access::CreateRole { options, .. } | Access::AlterRole { options, .. } => options,
        other => panic!("{text}: {other:?}"),
    };
    let user = options("CREATE USER u WITH PASSWORD 'x' SUPERUSER");
    assert_eq!((user.login, user.superuser), (Some(true), Some(true)));
    assert_eq!(user.password, Some(PasswordForm::Clear));
    assert_eq!(options("CREATE USER u").password, None);
    let altered = options("ALTER USER u WITH HASHED PASSWORD 'x' NOSUPERUSER");
    assert_eq!((altered.login, altered.superuser), (None, Some(false)));
    assert_eq!(altered.password, Some(PasswordForm::Hashed));
    assert_eq!(options("CREATE ROLE r WITH PASSWORD = 'x'").password, Some(PasswordForm::Clear));
    for (text, told) in [
        ("CREATE ROLE r WITH PASSWORD = 'a' AND PASSWORD = 'b'", "Multiple definition for property"),
        (
            "ALTER ROLE r WITH PASSWORD = 'a' AND HASHED PASSWORD = 'b'",
            "Options 'password' and 'hashed password' are mutually exclusive",
        ),
    ] {
        assert_eq!(refused(text), told);
    }
}

#[test]
fn permissions_are_a_set_and_what_they_are_on_may_be_called_like_a_kind() {
    let Access::Grant(grant) = access("GRANT MODIFY, SELECT PERMISSION, MODIFY ON t TO r") else { panic!() };
    let permissions = grant.permissions.unwrap();
    assert_eq!(permissions.iter().collect::<Vec<_>>(), [Permission::Select, Permission::Modify]);
    assert_eq!(format!("{permissions:?}"), "{Select, Modify}");
    for text in [
        "GRANT SELECT ON function TO r",
        "GRANT SELECT ON all TO r",
        "GRANT SELECT ON all.t TO r",
        "GRANT SELECT ON roles TO r",
        "GRANT SELECT ON mbeans TO r",
    ] {
        let Access::Grant(grant) = access(text) else { panic!("{text}") };
        assert!(matches!(grant.on, NamedResource::Table(_)), "{text}: {grant:?}");
    }
    for (text, on) in [
        ("GRANT ALL ON ALL KEYSPACES TO r", Resource::AllKeyspaces),
        ("GRANT ALL ON ALL ROLES TO r", Resource::AllRoles),
        ("GRANT ALL ON ALL FUNCTIONS TO r", Resource::AllFunctions),
        ("GRANT ALL ON ALL MBEANS TO r", Resource::AllMbeans),
    ] {
        let Access::Grant(grant) = access(text) else { panic!("{text}") };
        assert_eq!(grant.on, NamedResource::Other(on), "{text}");
    }
}

#[test]
fn types_are_called_like_collections_where_nothing_is_collected() {
    for word in ["list", "map", "tuple", "vector", "frozen", "key"] {
        let text = format!("CREATE TABLE k.t (a int PRIMARY KEY, b {word})");
        assert!(matches!(read(&text), Statement::Definition(Definition::CreateTable(_))), "{text}");
    }
}

#[test]
fn so_many_assignments_and_properties_are_compared_and_the_rest_is_left_to_the_node() {
    let assignments: Vec<_> = (0..16).map(|i| format!("a{i} = 1")).collect();
    let first = assignments.join(", ");
    refused(&format!("UPDATE t SET {first}, a0 = 2 WHERE k = 1"));
    refused(&format!("UPDATE t SET {first}, a15 = 2 WHERE k = 1"));
    read(&format!("UPDATE t SET {first}, z = 1, z = 2 WHERE k = 1"));
    let properties: Vec<_> = (0..16).map(|i| format!("p{i} = 1")).collect();
    let first = properties.join(" AND ");
    refused(&format!("ALTER TABLE t WITH {first} AND p15 = 2"));
    read(&format!("ALTER TABLE t WITH {first} AND z = 1 AND z = 2"));
}

#[test]
fn what_a_statement_calls_and_restricts_is_told_in_order() {
    let text = "BEGIN BATCH UPDATE t SET a = F(1), m[k.g('x')] = 2 WHERE \"K\" = h(?) AND token(a, b) > 3 \
                DELETE a FROM u WHERE c = now() AND (d, e) IN ((1, 2)) APPLY BATCH";
    let statement = read(text);
    let called: Vec<_> = statement
        .called_functions()
        .into_iter()
        .map(|function| (function.keyspace.map(|name| name.to_string()), function.name.to_string()))
        .collect();
    let plain = |name: &str| (None, name.to_owned());
    assert_eq!(called, [plain("f"), (Some("k".to_owned()), "g".to_owned()), plain("h"), plain("now")]);
    assert_eq!(statement.restricted_columns(), ["K", "a", "b", "c", "d", "e"]);
    assert!(read("USE k").called_functions().is_empty());
}

#[test]
fn a_refusal_names_a_release_only_if_that_one_would_read_it() {
    let told = |text, release| parse(text, &Limits { release, ..Limits::default() }).unwrap_err().to_string();
    assert!(told("SELECT a FROM t WHERE v ANN OF [1]", Release::V5_0).find("Cassandra 5.0").is_none());
    assert!(
        told("GRANT SELECT, MODIFY ON t TO r", Release::V4_0).contains("Cassandra 4.1 reads it as GRANT")
    );
}

#[test]
fn every_statement_has_a_category() {
    for (text, category) in [
        ("SELECT a FROM t", Category::Data),
        ("DELETE FROM t WHERE k = 1", Category::Data),
        ("BEGIN BATCH APPLY BATCH", Category::Data),
        ("USE k", Category::Use),
        ("TRUNCATE t", Category::Ddl),
        ("DROP TRIGGER r ON t", Category::Ddl),
        ("GRANT r TO s", Category::Other),
        ("LIST ALL", Category::Other),
        ("DROP IDENTITY 'i'", Category::Other),
        ("DESCRIBE TABLES", Category::Other),
    ] {
        assert_eq!(read(text).kind().category(), category, "{text}");
    }
}
