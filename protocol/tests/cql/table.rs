//! `docs/statements.md`: what each kind of statement needs, written from what the code says.
//!
//! With `CQLGATE_RENEW_DOCS` set, the test writes the page; without, it fails where the page differs.

use std::fmt::Write as _;

use cqlgate_protocol::cql::{Limits, Need, needs, parse};

use crate::corpus::words;
use crate::fixture::Fixture;

const HEAD: &str = "# Statements and the permissions they need

This page is written by a test from what the code says (`CQLGATE_RENEW_DOCS=1 cargo test -p cqlgate-protocol
--test cql the_page`), so it cannot be out of date. Every statement of the corpus that is run on a real
Cassandra 5.0 is judged by the same code: `tests/promises/corpus/`.

All needs of a statement must be permitted; they are checked in this order, and the first that is missing is the
one that is named. A permission does as well on anything that the resource lies in: a table's on all tables of
its keyspace, the keyspace, all keyspaces; a function's on all functions of its keyspace, all functions; a
role's on all roles. Only a permission on all keyspaces does not reach into Cassandra's own ones. *Nobody* and
*superusers* are refused through the gateway whatever they hold: nobody is a superuser here, so connect to
Cassandra directly. Besides a need, a statement may *name* something: no permission on that is needed, but
whoever is denied it there is refused.

The examples use the schema of `tests/promises/corpus/schema.cql`: keyspaces `o1` and `o2`; `o1.base` has the
views `by_x` and `by_v`; `o1.mask.ssn` is masked; `o1.f1`, `o1.abs`, `o1.now` and `o2.g` are functions of users,
two of them called like native ones; `o1.ag` is an aggregate of `sf` and `fin`; `sup` is a superuser; `gateway`
is the role that cqlgate itself logs in with. A name without a keyspace is in `o1`.
";

/// Heading, and what is judged under it.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "Reading",
        &[
            "SELECT * FROM o1.p",
            "SELECT JSON id FROM p WHERE id = 1",
            "SELECT * FROM o1.by_x",
            "SELECT o1.f1(n) FROM o1.p",
            "SELECT f1(v) FROM o1.p",
            "SELECT abs(n) FROM o1.p",
            "SELECT now() FROM o2.t",
            "SELECT system.now() FROM o1.p",
            "SELECT o1.ag(n) FROM o1.p",
            "SELECT id FROM o1.p WHERE n = o1.f1(1) ALLOW FILTERING",
            "SELECT m[o1.f1('a')] FROM o1.t",
            "SELECT name FROM o1.mask",
            "SELECT ssn FROM o1.mask",
            "SELECT id FROM o1.mask WHERE ssn = '1' ALLOW FILTERING",
            "SELECT id FROM o1.mb_x WHERE ssn = '1' ALLOW FILTERING",
            "SELECT * FROM o1.nosuch",
            "SELECT * FROM system.local",
            "SELECT * FROM system_schema.tables",
            "SELECT * FROM system_traces.sessions",
            "SELECT * FROM system_auth.roles",
            "SELECT * FROM system_views.clients",
            "SELECT prepared_id FROM system.prepared_statements",
            "SELECT * FROM system.prepared_statements",
            "USE o1",
        ],
    ),
    (
        "Writing",
        &[
            "INSERT INTO o1.p (id, v) VALUES (1, 'a')",
            "INSERT INTO o1.p JSON '{\"id\": 1}'",
            "INSERT INTO o1.p (id) VALUES (1) IF NOT EXISTS",
            "INSERT INTO o1.base (id, x) VALUES (1, 2)",
            "INSERT INTO o1.by_x (x, id) VALUES (1, 2)",
            "INSERT INTO system.local (key) VALUES ('x')",
            "UPDATE o1.p SET v = 'a' WHERE id = 1",
            "UPDATE o1.p SET v = 'a' WHERE id = 1 IF n = 1",
            "UPDATE o1.p SET n = o1.f1(1) WHERE id = 1",
            "UPDATE o1.t SET m[o1.f1('a')] = 1 WHERE pk = 1 AND ck = 1",
            "UPDATE o1.cnt SET c = c + 1 WHERE id = 1",
            "UPDATE o1.mask SET name = 'a' WHERE id = 1 IF ssn = '1'",
            "DELETE FROM o1.p WHERE id = 1",
            "DELETE FROM o1.base WHERE id = 1 IF EXISTS",
            "BEGIN BATCH INSERT INTO o1.p (id) VALUES (1) DELETE FROM o2.t WHERE id = 1 APPLY BATCH",
            "BEGIN BATCH APPLY BATCH",
            "TRUNCATE o1.base",
            "TRUNCATE o1.by_x",
        ],
    ),
    (
        "Keyspaces, tables, types",
        &[
            "CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}",
            "ALTER KEYSPACE o1 WITH durable_writes = true",
            "ALTER KEYSPACE system_auth WITH durable_writes = true",
            "ALTER KEYSPACE system WITH durable_writes = true",
            "DROP KEYSPACE o1",
            "CREATE TABLE o1.n (id int PRIMARY KEY, s text MASKED WITH DEFAULT)",
            "CREATE TABLE system_auth.n (id int PRIMARY KEY)",
            "ALTER TABLE o1.p ADD z int",
            "DROP TABLE o1.p",
            "DROP TABLE IF EXISTS o1.nosuch",
            "CREATE TYPE o1.u (a int)",
            "ALTER TYPE o1.addr ADD z int",
            "DROP TYPE o1.addr",
        ],
    ),
    (
        "Indexes, views, triggers",
        &[
            "CREATE INDEX i ON o1.p (v)",
            "CREATE CUSTOM INDEX i ON o1.p (v) USING 'StorageAttachedIndex'",
            "CREATE INDEX i ON system_auth.roles (is_superuser)",
            "DROP INDEX o1.ix_v",
            "DROP INDEX IF EXISTS o1.nosuch",
            "CREATE MATERIALIZED VIEW o1.n AS SELECT * FROM p WHERE n IS NOT NULL AND id IS NOT NULL \
             PRIMARY KEY (n, id)",
            "ALTER MATERIALIZED VIEW o1.by_x WITH comment = 'x'",
            "DROP MATERIALIZED VIEW o1.by_x",
            "DROP MATERIALIZED VIEW IF EXISTS o1.nosuch",
            "CREATE TRIGGER tr ON o1.p USING 'org.example.Trigger'",
            "DROP TRIGGER tr ON o1.p",
        ],
    ),
    (
        "Functions and aggregates",
        &[
            "CREATE FUNCTION o1.n(a int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a;'",
            "CREATE OR REPLACE FUNCTION o1.n(a int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a;'",
            "CREATE OR REPLACE FUNCTION o1.f1(a int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a;'",
            "CREATE FUNCTION system.n(a int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return a;'",
            "CREATE AGGREGATE o1.n(int) SFUNC sf STYPE int FINALFUNC fin",
            "CREATE OR REPLACE AGGREGATE o1.ag(int) SFUNC sf STYPE int",
            "DROP FUNCTION o1.f1(text)",
            "DROP FUNCTION o1.f1",
            "DROP FUNCTION IF EXISTS o1.nosuch",
            "DROP AGGREGATE o1.ag",
        ],
    ),
    (
        "Roles and identities",
        &[
            "CREATE ROLE r WITH PASSWORD = 'x' AND LOGIN = true",
            "CREATE ROLE r WITH SUPERUSER = true",
            "CREATE USER u WITH PASSWORD 'x'",
            "ALTER ROLE r1 WITH PASSWORD = 'x'",
            "ALTER ROLE sup WITH PASSWORD = 'x'",
            "ALTER ROLE gateway WITH PASSWORD = 'x'",
            "ALTER ROLE r1 WITH SUPERUSER = false",
            "ALTER ROLE r1 WITH ACCESS TO DATACENTERS {'dc1'}",
            "ALTER ROLE r1 WITH ACCESS FROM ALL CIDRS",
            "DROP ROLE r1",
            "DROP ROLE sup",
            "GRANT r1 TO r2",
            "GRANT sup TO r2",
            "REVOKE r3 FROM r1",
            "LIST ROLES",
            "LIST ROLES OF r1",
            "LIST USERS",
            "ADD IDENTITY 'spiffe://x/n' TO ROLE 'r1'",
            "ADD IDENTITY 'spiffe://x/n' TO ROLE 'sup'",
            "DROP IDENTITY 'spiffe://x/r1'",
            "DROP IDENTITY 'spiffe://x/nosuch'",
        ],
    ),
    (
        "Permissions of Cassandra's roles",
        &[
            "GRANT SELECT ON o1.p TO r1",
            "GRANT ALL ON KEYSPACE o1 TO r1",
            "GRANT EXECUTE ON FUNCTION o1.f1(int) TO r1",
            "GRANT ALTER ON ROLE r2 TO r1",
            "GRANT SELECT ON system_auth.roles TO r1",
            "GRANT MODIFY ON system_auth.roles TO r1",
            "GRANT SELECT ON o1.p TO gateway",
            "REVOKE SELECT, MODIFY ON o1.p FROM r1",
            "REVOKE ALL ON KEYSPACE system FROM r1",
            "LIST ALL PERMISSIONS",
            "LIST ALL PERMISSIONS ON o1.p OF r1",
        ],
    ),
    (
        "Descriptions",
        &[
            "DESCRIBE CLUSTER",
            "DESCRIBE KEYSPACES",
            "DESCRIBE FULL SCHEMA",
            "DESCRIBE TABLE o1.p",
            "DESCRIBE FUNCTION o1.f1",
        ],
    ),
];

fn written(need: &Need<'_>) -> String {
    let either = need.or.map(|other| format!("{other} or ")).unwrap_or_default();
    format!("{either}{} ON {}", need.permission, words(&need.resource))
}

/// What is needed, and why: a line of each for every need.
fn judged(text: &str, fixture: &Fixture) -> (String, String) {
    let statement = parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut lines = Vec::new();
    let refusal = match needs(&statement, Some("o1"), fixture) {
        Ok(all) => {
            lines.extend(all.needs.iter().map(|need| (written(need), need.why.to_owned())));
            lines.extend(all.named.iter().map(|need| (format!("({})", written(need)), need.why.to_owned())));
            all.refusal
        }
        Err(refusal) => Some(refusal),
    };
    let refused = refusal.is_some();
    lines.extend(refusal.map(|refusal| {
        let whom = match refusal.code() {
            0x2200 => "invalid",
            _ if format!("{refusal:?}").starts_with("Superuser") => "*superusers*",
            _ => "*nobody*",
        };
        // What stands in brackets is the same behind each.
        let said = refusal.to_string();
        let said = said.split(" (nobody is one").next().unwrap().replace('<', "&lt;");
        (whom.to_owned(), format!("“{said}”"))
    }));
    if lines.iter().all(|(need, _)| need.starts_with('(')) && !refused {
        lines.insert(0, ("nothing".to_owned(), "anybody may".to_owned()));
    }
    let (all, why): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    (all.join("<br>"), why.join("<br>"))
}

#[test]
fn the_page_says_what_the_code_says() {
    let fixture = Fixture::new();
    let (mut page, mut rows) = (HEAD.to_owned(), 0);
    for (heading, statements) in SECTIONS {
        write!(page, "\n## {heading}\n\n| Statement | Needs | Why |\n|---|---|---|\n").unwrap();
        for text in *statements {
            let (all, why) = judged(text, &fixture);
            writeln!(page, "| `{text}` | {all} | {why} |").unwrap();
            rows += 1;
        }
    }
    assert!((80..=130).contains(&rows), "{rows} rows");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/statements.md");
    if std::env::var_os("CQLGATE_RENEW_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let differs = page.lines().zip(there.lines()).find(|(page, there)| page != there);
    assert!(
        page == there,
        "docs/statements.md is out of date, first at {differs:?}; CQLGATE_RENEW_DOCS=1 renews it"
    );
}
