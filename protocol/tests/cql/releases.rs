//! What each release knows: words that are keywords there, and syntax that came with it.

use cqlgate_protocol::cql::statement::{LimitKind, Note};
use cqlgate_protocol::cql::{Limits, ParseError, Release, parse};

fn limits(release: Release) -> Limits {
    Limits { release, ..Limits::default() }
}

#[test]
fn syntax_is_read_from_the_release_on_that_has_it() {
    for (text, since) in [
        ("ALTER KEYSPACE IF EXISTS k WITH a = 1", Release::V4_1),
        ("ALTER TABLE IF EXISTS k.t DROP a", Release::V4_1),
        ("ALTER TABLE k.t ADD IF NOT EXISTS a int", Release::V4_1),
        ("ALTER TABLE k.t DROP IF EXISTS a", Release::V4_1),
        ("ALTER TABLE k.t RENAME IF EXISTS a TO b", Release::V4_1),
        ("ALTER TYPE IF EXISTS k.u ADD a int", Release::V4_1),
        ("ALTER TYPE k.u ADD IF NOT EXISTS a int", Release::V4_1),
        ("ALTER TYPE k.u RENAME IF EXISTS a TO b", Release::V4_1),
        ("ALTER MATERIALIZED VIEW IF EXISTS k.v WITH a = 1", Release::V4_1),
        ("ALTER ROLE IF EXISTS r", Release::V4_1),
        ("ALTER USER IF EXISTS u", Release::V4_1),
        ("CREATE ROLE r WITH HASHED PASSWORD = 'x'", Release::V4_1),
        ("CREATE USER u WITH HASHED PASSWORD 'x'", Release::V4_1),
        ("GRANT SELECT, MODIFY ON k.t TO r", Release::V4_1),
        ("REVOKE SELECT ON ALL TABLES IN KEYSPACE k FROM r", Release::V4_1),
        ("LIST SELECT, MODIFY", Release::V4_1),
        ("UPDATE t SET a = CAST(1 AS int) WHERE k = 1", Release::V4_1),
        ("UPDATE t SET a = 1 WHERE k = 1 IF a CONTAINS 1", Release::V4_1),
        ("SELECT a FROM t GROUP BY f(a, 1)", Release::V4_1),
        ("ADD IDENTITY 'i' TO ROLE 'r'", Release::V5_0),
        ("DROP IDENTITY 'i'", Release::V5_0),
        ("CREATE TABLE t (k int PRIMARY KEY, a int MASKED WITH DEFAULT)", Release::V5_0),
        ("ALTER TABLE t ALTER a DROP MASKED", Release::V5_0),
        ("GRANT UNMASK ON t TO r", Release::V5_0),
        ("LIST SELECT_MASKED", Release::V5_0),
        ("CREATE ROLE r WITH ACCESS FROM ALL CIDRS", Release::V5_0),
        ("CREATE TABLE t (k int PRIMARY KEY, a vector<float, 3>)", Release::V5_0),
        ("SELECT a FROM t ORDER BY a ANN OF [1.0] LIMIT 1", Release::V5_0),
        ("SELECT ttl(a[0]), writetime(b.c) FROM t", Release::V5_0),
    ] {
        for release in Release::ALL {
            match parse(text, &limits(release)) {
                Ok(_) => assert!(release >= since, "{text} is read as {release}"),
                Err(ParseError::Syntax(error)) => {
                    assert!(release < since, "{text} is not read as {release}: {error}");
                    let Some(Note::Later { release: first, .. }) = error.note else { panic!("{error}") };
                    assert_eq!(first, since, "{text}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_limit_is_not_about_the_release() {
    let deep = format!("SELECT {}a{} FROM t", "(".repeat(20), ")".repeat(20));
    for release in Release::ALL {
        let outcome = parse(&deep, &limits(release));
        assert!(matches!(outcome, Err(ParseError::Limit { limit: LimitKind::SelectorDepth, .. })));
    }
}
