//! What can be read from a statement besides its kind and table.

use std::borrow::Cow;

use cqlgate_protocol::cql::statement::{Operator, Select, Selection, SelectorExpr, Subject, Term};
use cqlgate_protocol::cql::{Limits, Release, Statement, parse};

fn read(text: &str) -> Statement<'_> {
    parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn select(text: &str) -> Select<'_> {
    match read(text) {
        Statement::Select(select) => select,
        other => panic!("{other:?}"),
    }
}

#[test]
fn selections() {
    let select = select(
        "SELECT key, \"Key\" AS K, COUNT(*), token(a, B) as \"T\", ttl(a), a.b, 1 + n, k.f() FROM system.local",
    );
    assert_eq!(select.selection, Selection::List);
    let all: Vec<_> = select.selectors().collect();
    assert_eq!(all.len(), 8);
    assert_eq!(all[0].expr, SelectorExpr::Column("key".into()));
    assert_eq!(all[0].alias, None);
    assert_eq!(all[1].expr, SelectorExpr::Column("Key".into()));
    assert_eq!(all[1].alias.as_deref(), Some("k"));
    assert_eq!(all[1].text, "\"Key\"");
    assert_eq!(all[2].expr, SelectorExpr::CountAll);
    let SelectorExpr::Function { function, arguments } = &all[3].expr else { panic!("{:?}", all[3]) };
    assert_eq!((function.keyspace.as_deref(), function.name.as_ref()), (None, "token"));
    let arguments: Vec<_> = arguments.clone().collect();
    assert_eq!(arguments, [SelectorExpr::Column("a".into()), SelectorExpr::Column("b".into())]);
    assert_eq!(all[3].alias.as_deref(), Some("T"));
    for other in &all[4..7] {
        assert_eq!(other.expr, SelectorExpr::Other, "{}", other.text);
    }
    assert_eq!(all[6].text, "1 + n");
    let SelectorExpr::Function { function, arguments } = &all[7].expr else { panic!("{:?}", all[7]) };
    assert_eq!(function.keyspace.as_deref(), Some("k"));
    assert_eq!(arguments.clone().count(), 0);
}

#[test]
fn keywords_as_names_of_functions_keep_their_case() {
    // Cassandra folds words, but not these: FROZEN(a) calls another function than frozen(a) does.
    let called = |text: &str, release| {
        let text = format!("SELECT {text}(a) FROM t");
        let limits = Limits { release, ..Limits::default() };
        let Ok(Statement::Select(select)) = parse(&text, &limits) else { panic!("{text}") };
        let Some(SelectorExpr::Function { function, .. }) = select.selectors().next().map(|s| s.expr) else {
            panic!("{text}")
        };
        function.name.into_owned()
    };
    for (text, name) in [
        ("FROZEN", "FROZEN"),
        ("Ks.Trigger", "Trigger"),
        ("k.values", "values"),
        ("HASHED", "HASHED"),
        ("F", "f"),
        ("\"F\"", "F"),
        ("INT", "int"),
        ("k.Timestamp", "timestamp"),
        ("TOKEN", "token"),
        ("COUNT", "count"),
    ] {
        assert_eq!(called(text, Release::V5_0), name, "{text}");
    }
    // Before it was a keyword, it was a word like any other.
    assert_eq!(called("HASHED", Release::V4_0), "hashed");
    assert_eq!(called("Vector", Release::V4_1), "vector");
}

#[test]
fn stars_and_modifiers() {
    let star = select("SELECT JSON DISTINCT * FROM k.t PER PARTITION LIMIT 1 LIMIT 10 ALLOW FILTERING");
    assert!(star.json && star.distinct && star.allow_filtering && star.has_per_partition_limit);
    assert!(!star.has_group_by && !star.has_order_by);
    assert_eq!(star.selection, Selection::Star);
    assert_eq!(star.selectors().count(), 0);
    assert_eq!(star.limit(), Some(Term::Integer("10")));
    for (text, json, distinct, columns) in [
        ("SELECT json FROM t", false, false, vec!["json"]),
        ("SELECT json, distinct FROM t", false, false, vec!["json", "distinct"]),
        ("SELECT JSON json FROM t", true, false, vec!["json"]),
        ("SELECT DISTINCT distinct FROM t", false, true, vec!["distinct"]),
        ("SELECT JSON as FROM t", true, false, vec!["as"]),
        ("SELECT JSON DISTINCT k FROM t", true, true, vec!["k"]),
        ("SELECT json AS x FROM t", false, false, vec!["json"]),
        ("SELECT distinct as x, b FROM t", false, false, vec!["distinct", "b"]),
    ] {
        let select = select(text);
        assert_eq!((select.json, select.distinct), (json, distinct), "{text}");
        let read: Vec<_> = select
            .selectors()
            .map(|s| match s.expr {
                SelectorExpr::Column(name) => name.into_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read, columns, "{text}");
    }
}

#[test]
fn restrictions() {
    let select = select(
        "SELECT ? FROM t WHERE key = 'it''s' AND \"B\" IN (1, ?, :X) AND (c = -7) AND d != null \
         AND (e, f) = (1, 2) AND token(g) > :h AND i = 550e8400-e29b-41d4-a716-446655440000 AND j IN ? \
         AND k = $$a$$ AND l = [1] AND m[1] = 2 AND n = true LIMIT ?",
    );
    let all: Vec<_> = select.restrictions().collect();
    assert_eq!(all.len(), 12);
    assert_eq!(all[0].subject, Subject::Column("key".into()));
    assert_eq!((all[0].operator, &all[0].value), (Operator::Equal, &Term::String(Cow::Borrowed("it's"))));
    assert_eq!(all[1].subject, Subject::Column("B".into()));
    let Term::List(list) = &all[1].value else { panic!() };
    let list: Vec<_> = list.clone().collect();
    assert_eq!(
        list,
        [
            Term::Integer("1"),
            Term::Bind { index: 1, name: None },
            Term::Bind { index: 2, name: Some("x".into()) }
        ]
    );
    assert_eq!((&all[2].subject, &all[2].value), (&Subject::Column("c".into()), &Term::Integer("-7")));
    assert_eq!((all[3].operator, &all[3].value), (Operator::NotEqual, &Term::Null));
    assert_eq!(all[4].subject, Subject::Other);
    assert_eq!(all[5].subject, Subject::Other);
    assert_eq!(all[5].value, Term::Bind { index: 3, name: Some("h".into()) });
    assert_eq!(all[6].value, Term::Uuid("550e8400-e29b-41d4-a716-446655440000"));
    assert_eq!((all[7].operator, &all[7].value), (Operator::In, &Term::Bind { index: 4, name: None }));
    assert_eq!(all[8].value, Term::String("a".into()));
    assert_eq!(all[9].value, Term::Other("[1]"));
    assert_eq!(all[10].subject, Subject::Other);
    assert_eq!(all[11].value, Term::Boolean(true));
    assert_eq!(select.limit(), Some(Term::Bind { index: 5, name: None }));
}

#[test]
fn markers_in_order() {
    let names = |text| read(text).bind_markers().map(|name| name.map(Cow::into_owned)).collect::<Vec<_>>();
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(
        names("INSERT INTO t (a, b) VALUES (?, :B) USING TTL :\"T\" AND TIMESTAMP ?"),
        [None, some("b"), some("T"), None]
    );
    assert_eq!(
        names("UPDATE t SET u = {x: :x, y: ?}, m[?] = {?: :v} WHERE k IN ? IF a = :a"),
        [some("x"), None, None, None, some("v"), None, some("a")]
    );
    assert_eq!(names("BEGIN BATCH USING TIMESTAMP ? DELETE a[?] FROM t WHERE k = :k APPLY BATCH").len(), 3);
    assert_eq!(names("SELECT json[?..?] FROM t"), [None, None]);
    assert_eq!(names("USE k").len(), 0);
    assert_eq!(read("SELECT a FROM t WHERE k = ?").bind_marker_count(), 1);
}

#[test]
fn names_and_qualification() {
    for (text, keyspace, table, qualified) in [
        ("SELECT * FROM Ks.Tbl", Some("ks"), "tbl", true),
        ("TRUNCATE \"Ks\".\"T\"\"b\"", Some("Ks"), "T\"b", true),
        ("TRUNCATE TABLE t", None, "t", false),
        ("INSERT INTO a . b JSON '{}'", Some("a"), "b", true),
        ("DELETE FROM \"a.b\" WHERE k = 1", None, "a.b", false),
        ("DROP COLUMNFAMILY IF EXISTS k.KEYSPACES", Some("k"), "keyspaces", false),
    ] {
        let statement = read(text);
        let name = statement.table().unwrap();
        assert_eq!((name.keyspace.as_deref(), name.name.as_ref()), (keyspace, table), "{text}");
        assert_eq!(statement.is_fully_qualified(), qualified, "{text}");
    }
    let mixed = "BEGIN BATCH INSERT INTO k.t (a) VALUES (1) DELETE FROM t WHERE a = 1 APPLY BATCH";
    assert!(!read(mixed).is_fully_qualified());
    assert_eq!(read("USE \"K\"").use_keyspace(), Some("K"));
    // A node knows no other qualified statements than those on rows.
    for text in ["DROP KEYSPACE k", "USE k", "GRANT SELECT ON k.t TO r", "DESC TABLE k.t"] {
        assert!(!read(text).is_fully_qualified(), "{text}");
    }
}
