//! Texts made to hide what they do, or to hang who reads them.

use cqlgate_protocol::cql::statement::LimitKind;
use cqlgate_protocol::cql::{Limits, ParseError, Statement, needs, parse, unknown_column};
use proptest::prelude::*;

use crate::fixture::Fixture;
use crate::printer;
use crate::{bytes, lines};

fn refused(text: &str) {
    let outcome = parse(text, &Limits::default());
    assert!(matches!(outcome, Err(ParseError::Syntax(_))), "{text:?}: {outcome:?}");
}

fn table(text: &str) -> String {
    let statement = parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let table = statement.table().unwrap_or_else(|| panic!("{text:?}"));
    format!("{} {}.{}", statement.kind(), table.keyspace.as_deref().unwrap_or("-"), table.name)
}

#[test]
fn a_text_is_one_statement() {
    for text in [
        "",
        " ",
        ";",
        ";SELECT * FROM k.t",
        "SELECT * FROM k.t; DROP TABLE k.t",
        "SELECT * FROM k.t DROP TABLE k.t",
        "SELECT * FROM k.t;; SELECT * FROM k.u",
        "SELECT * FROM k.t -- comment without an end",
        "SELECT * FROM k.t; --",
        "SELECT * FROM k.t /* open",
        "SELECT * FROM k.t /*/",
        "SELECT * FROM k.t\0",
        "SELECT * FROM k.t;\0",
        "SELECT * FROM k.t\u{1a}",
        "SELECT\u{a0}* FROM k.t",
        "\u{feff}SELECT * FROM k.t",
        "SELECT * FROM k.t\u{2028}",
        "SELECT * FROM k.t WHERE a = 'x\\' OR b = 'y'",
        "SELECT * FROM k.t, k.u",
        "SELECT * FROM k.t UNION SELECT * FROM k.u",
        "SELECT * FROM (SELECT * FROM k.t)",
        "INSERT INTO k.t (a) VALUES ((SELECT a FROM k.u))",
        "BEGIN BATCH SELECT * FROM k.t APPLY BATCH",
        "BEGIN BATCH DROP TABLE k.t APPLY BATCH",
        "BEGIN BATCH APPLY BATCH; DROP TABLE k.t",
        "BEGIN BATCH BEGIN BATCH APPLY BATCH APPLY BATCH",
        "SELECT * FROM ?",
        "SELECT * FROM :t",
        "SELECT * FROM 'k'.t",
        "USE 'k'",
        "DROP SCHEMA k",
        "\u{212a}EYSPACE",
        "\u{17f}ELECT * FROM k.t",
        "SELECT * FROM k.t WHERE a = $x$ y $x$",
        "SELECT * FROM a.b.c",
        "SELECT * FROM k.t WHERE k=1AND c=2",
    ] {
        refused(text);
    }
}

#[test]
fn comments_strings_and_names_hide_nothing() {
    for (text, told) in [
        ("SELECT * FROM k/**/./*x*/t;;;", "SELECT k.t"),
        ("SELECT--\n*FROM k.t", "SELECT k.t"),
        ("-- SELECT * FROM k.a\rDROP TABLE k.t", "DROP_TABLE k.t"),
        ("// x\u{2028} SELECT\nTRUNCATE k.t", "TRUNCATE k.t"),
        ("/* /* */ DROP TABLE k.t", "DROP_TABLE k.t"),
        ("/*! SELECT */ DROP TABLE k.t", "DROP_TABLE k.t"),
        ("SELECT $$ FROM k.a $$ FROM k.t", "SELECT k.t"),
        ("SELECT ' FROM k.a -- ' FROM k.t", "SELECT k.t"),
        ("SELECT '/*' FROM k.t WHERE a = '*/'", "SELECT k.t"),
        ("SELECT \" FROM k.a;\" FROM k.t", "SELECT k.t"),
        ("SELECT \"a\"\" FROM k.a \" FROM k.t", "SELECT k.t"),
        ("sElEcT * fRoM SYSTEM . \"local\"", "SELECT system.local"),
        ("SELECT * FROM \"SYSTEM\".local", "SELECT SYSTEM.local"),
        ("INSERT INTO k.t JSON '{\"a\": \"; DROP TABLE k.u\"}'", "UPDATE k.t"),
        ("INSERT INTO k.t JSON $$'; DROP TABLE k.u; --$$", "UPDATE k.t"),
        ("DELETE FROM json WHERE a = 1", "DELETE -.json"),
        ("INSERT INTO json JSON '{}'", "UPDATE -.json"),
        ("SELECT json FROM key.ttl", "SELECT key.ttl"),
        ("UPDATE k.t SET a = $$ WHERE k = 1; $$ WHERE k = 2", "UPDATE k.t"),
    ] {
        assert_eq!(table(text), told, "{text:?}");
    }
}

#[test]
fn what_would_hang_a_node_is_refused_by_its_limit() {
    let deep = |open: &str, middle: &str, close: &str, levels: usize| {
        format!("SELECT {}{middle}{} FROM k.t", open.repeat(levels), close.repeat(levels))
    };
    let exceeds = |text: &str| match parse(text, &Limits::default()) {
        Err(ParseError::Limit { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("f(", ")"),
        ("-(", ")"),
        ("(int)", ""),
        ("- ", ""),
        ("(int)(", ")"),
        ("CAST(", " AS int)"),
    ] {
        assert!(parse(&deep(open, "a", close, 5), &Limits::default()).is_ok(), "{open}");
        for levels in [11, 24, 3_000, 40_000] {
            assert_eq!(exceeds(&deep(open, "a", close, levels)), LimitKind::SelectorDepth, "{open} {levels}");
        }
    }
    let chain =
        |operator: &str, count: usize| format!("UPDATE k.t SET a = 1{} WHERE k = 1", operator.repeat(count));
    for operator in ["+1", "*1", " - 1", "/1", "%1"] {
        assert!(parse(&chain(operator, 10), &Limits::default()).is_ok());
        for count in [11, 24, 100_000] {
            assert_eq!(exceeds(&chain(operator, count)), LimitKind::ValueOperators);
        }
    }
    let values = |open: &str, close: &str, levels: usize| {
        format!("SELECT a FROM k.t WHERE a = {}1{}", open.repeat(levels), close.repeat(levels))
    };
    for (open, close) in
        [("[", "]"), ("(", ")"), ("{", "}"), ("f(", ")"), ("(int)", ""), ("{1:", "}"), ("CAST(", " AS int)")]
    {
        assert!(parse(&values(open, close, 60), &Limits::default()).is_ok(), "{open}");
        for levels in [65, 3_000, 40_000] {
            assert_eq!(exceeds(&values(open, close, levels)), LimitKind::ValueDepth, "{open} {levels}");
        }
    }
    let nested = format!("SELECT a FROM k.t WHERE {}a = 1{}", "(".repeat(3_000), ")".repeat(3_000));
    assert_eq!(exceeds(&nested), LimitKind::ValueDepth);
    let types = format!(
        "CREATE TABLE k.t (k int PRIMARY KEY, a {}int{})",
        "frozen<list<".repeat(20_000),
        ">>".repeat(20_000)
    );
    assert_eq!(exceeds(&types), LimitKind::ValueDepth);
    let batch = format!("BEGIN BATCH {} APPLY BATCH", "DELETE FROM k.t WHERE k = 1 ".repeat(1_001));
    assert_eq!(exceeds(&batch), LimitKind::BatchChildren);
    assert_eq!(exceeds(&" ".repeat(1024 * 1024 + 1)), LimitKind::Text);
}

#[test]
fn flat_texts_may_be_long() {
    for text in [
        format!("SELECT a FROM k.t WHERE k IN ({}1)", "1,".repeat(40_000)),
        format!("SELECT {}a FROM k.t", "a,".repeat(60_000)),
        format!("SELECT a FROM k.t WHERE {}a = 1", "a = 1 AND ".repeat(40_000)),
        format!("SELECT a FROM k.t{}", ";".repeat(40_000)),
        format!("SELECT {}a FROM k.t", "a+".repeat(60_000)),
        format!("SELECT a FROM k.t WHERE k = '{}'", "x;--".repeat(100_000)),
    ] {
        assert!(parse(&text, &Limits::default()).is_ok());
    }
}

#[test]
fn calls_and_columns_of_long_texts_are_judged() {
    for (head, repeated, tail) in [
        ("SELECT f1(a", ".b", ") FROM t"),
        ("SELECT f1(a", "[1]", ") FROM t"),
        ("SELECT f1(m", "['a'..'b']", ") FROM t"),
        ("SELECT f1(ck)", ", f1(ck)", " FROM t"),
        ("SELECT f1(ck", ", ck", ") FROM t"),
        ("SELECT f1(ck", " + ck", ") FROM t"),
        ("SELECT abs(ck)", ", abs(ck)", " FROM t"),
        ("SELECT ck, ", "[f1(ck)], ", "ck FROM t"),
        ("UPDATE t SET v = f1('a'), m = {'a': 1", ", 'a': f1(1)", "} WHERE pk = 1"),
        ("SELECT ck FROM t WHERE pk IN (f1(1)", ", f1(1)", ")"),
        (
            "BEGIN BATCH UPDATE t SET v = f1('a') ",
            "WHERE pk = 1 UPDATE t SET v = f1('a') ",
            "WHERE pk = 1 APPLY BATCH",
        ),
        ("SELECT ssn", ", ssn", " FROM mask"),
        ("SELECT id FROM mask WHERE ssn = 'a'", " AND ssn = 'a'", ""),
    ] {
        let text = format!("{head}{}{tail}", repeated.repeat(20_000));
        let limits = Limits { batch_children: usize::MAX, calls: usize::MAX, ..Limits::default() };
        let statement = parse(&text, &limits).unwrap();
        let fixture = Fixture::new();
        let found = needs(&statement, Some("o1"), &fixture).unwrap();
        assert!((2..6).contains(&found.needs.len()), "{head}{repeated}{tail}: {:?}", found.needs.len());
        let _ = unknown_column(&statement, Some("o1"), &fixture);
    }
}

/// Everything that can be asked of a statement.
fn exercise(text: &str) {
    let Ok(statement) = parse(text, &Limits::default()) else { return };
    let _ = (statement.kind(), statement.table(), statement.is_fully_qualified(), statement.use_keyspace());
    assert_eq!(statement.bind_markers().count(), statement.bind_marker_count(), "{text:?}");
    if let Statement::Select(select) = &statement {
        let most = text.len();
        assert!(select.selectors().take(most + 1).count() <= most);
        assert!(select.restrictions().take(most + 1).count() <= most);
        let _ = select.limit();
    }
    let _ = needs(&statement, Some("o1"), &Fixture::new());
    // What is read does not depend on blanks or comments between tokens, nor on what ends a text.
    assert_eq!(parse(&format!("/*x*/{text};"), &Limits::default()).map(|s| s.kind()), Ok(statement.kind()));
    printer::check(text, &Limits::default());
}

fn samples() -> Vec<String> {
    lines(include_str!("../data/texts.jsonl"))
        .filter_map(|row| String::from_utf8(bytes(row["hex"].as_str().unwrap())).ok())
        .collect()
}

#[test]
fn what_is_written_anew_is_read_the_same() {
    for text in samples() {
        printer::check(&text, &Limits::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        exercise(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        exercise(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn words_in_any_order(words in proptest::collection::vec(proptest::sample::select(vec![
        "SELECT", "FROM", "k", ".", "t", "(", ")", ",", "*", "WHERE", "a", "=", "1", "'x'", "?", ":b", "AND", "IN",
        "INSERT", "INTO", "VALUES", "JSON", "UPDATE", "SET", "DELETE", "BEGIN", "BATCH", "APPLY", "IF", "EXISTS",
        "+", "-", "[", "]", "{", "}", ":", "..", "DISTINCT", "AS", "int", "f(", "token(", "expr(", "$$z$$", ";",
        "LIMIT", "USING", "TTL", "CREATE", "TABLE", "PRIMARY", "KEY", "GRANT", "ON", "TO", "LIST", "DESC",
    ]), 0..40)) {
        exercise(&words.join(" "));
    }

    #[test]
    fn mutations_of_real_texts(
        index in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        insert in proptest::sample::select(vec!["", " ", "'", "\"", "$$", "--", "/*", "*/", ";", "(", ")", "\r", "\0", ":", "-", "1", "e"]),
    ) {
        let samples = samples();
        let text = index.get(&samples);
        let tail = other.get(&samples);
        let characters: Vec<char> = text.chars().collect();
        let at = if characters.is_empty() { 0 } else { cut.index(characters.len()) };
        let head: String = characters[..at].iter().collect();
        let rest: String = characters[at..].iter().collect();
        exercise(&format!("{head}{insert}{rest}"));
        exercise(&format!("{head}{insert}{}", rest.chars().skip(1).collect::<String>()));
        exercise(&format!("{head}{insert}{tail}"));
    }
}
