//! Masked columns, the ids of prepared statements, and columns that a table does not have.

use cqlgate_protocol::cql::{Limits, Words, child_needs, needs, parse, unknown_column};

use crate::fixture::Fixture;
use crate::path;

/// What a statement needs, each as `SELECT data/o1/t`.
fn asked(text: &str) -> Vec<String> {
    let fixture = Fixture::new();
    let statement = parse(text, &Limits::default()).unwrap();
    let found = needs(&statement, Some("o1"), &fixture).unwrap();
    found.needs.iter().map(|need| format!("{} {}", need.permission, path(&need.resource))).collect()
}

#[test]
fn a_masked_column_is_shown_to_whoever_may_see_it() {
    let shows = "UNMASK data/o1/mask";
    for (text, shown) in [
        ("SELECT * FROM mask", true),
        ("SELECT JSON * FROM mask", true),
        ("SELECT id, name FROM mask", false),
        ("SELECT ssn FROM mask", true),
        ("SELECT ssn AS name FROM mask", true),
        ("SELECT name AS ssn FROM mask", false),
        ("SELECT JSON name, u FROM mask", true),
        ("SELECT count(*) FROM mask", false),
        ("SELECT count(1) FROM mask", false),
        ("SELECT count(ssn) FROM mask", true),
        ("SELECT max(ssn), id FROM mask", true),
        ("SELECT CAST(ssn AS ascii) FROM mask", true),
        ("SELECT (text) ssn FROM mask", true),
        ("SELECT [(ssn)] FROM mask", true),
        ("SELECT {id: ssn}, (id, 1) FROM mask", true),
        ("SELECT toJson(mask_null(ssn)) FROM mask", true),
        ("SELECT id + -ssn FROM mask", true),
        ("SELECT ssn[1], u.x FROM mask", true),
        ("SELECT ssn[1..2] FROM mask", true),
        // A type's place, but a slice follows: to a node it is the column.
        ("SELECT (ssn)[1..2] FROM mask", true),
        ("SELECT (ssn)['a'..] FROM mask", true),
        ("SELECT (ssn)[..'z'] FROM mask", true),
        ("SELECT (\"ssn\")['a'..'b'] FROM mask", true),
        ("SELECT (text)(ssn)['a'..'b'] FROM mask", true),
        ("SELECT id, [(u.x)['a'..'b']] FROM mask", true),
        ("SELECT (name)['a'..'b'] FROM mask", false),
        ("SELECT writetime(ssn), ttl(u) FROM mask", false),
        ("SELECT \"ssn\" FROM o1.\"mask\"", true),
        ("SELECT SSN FROM mask", true),
        ("SELECT \"SSN\" FROM mask", false),
        ("SELECT name FROM mask GROUP BY id ORDER BY id", false),
    ] {
        assert_eq!(asked(text).iter().any(|need| need == shows), shown, "{text}");
    }
    assert_eq!(asked("SELECT ssn FROM mb_x"), ["SELECT data/o1/mb", "UNMASK data/o1/mb_x"]);
    assert_eq!(asked("SELECT x FROM mb_x"), ["SELECT data/o1/mb"]);
    // A view of a masked table, without the masked column.
    assert_eq!(asked("SELECT * FROM mb2_id"), ["SELECT data/o1/mb2"]);
}

#[test]
fn a_masked_column_is_restricted_by_whoever_may_ask_for_it() {
    let fixture = Fixture::new();
    for (text, columns) in [
        ("SELECT id FROM o1.mask WHERE ssn = '1' ALLOW FILTERING", "ssn"),
        ("SELECT id FROM o1.mask WHERE ssn = '1' AND u = 'x' AND id = 1 ALLOW FILTERING", "u, ssn"),
        ("SELECT id FROM o1.mask WHERE (((u = 'x'))) AND ssn LIKE 'a' ALLOW FILTERING", "u, ssn"),
        ("SELECT id FROM o1.mask WHERE ssn IN ('a', 'b') AND ssn > 'a' ALLOW FILTERING", "ssn"),
        ("SELECT id FROM o1.mask WHERE u CONTAINS 'a' ALLOW FILTERING", "u"),
        ("SELECT id FROM o1.mask WHERE u['a'] = 'b' ALLOW FILTERING", "u"),
        ("SELECT c FROM o1.mpk WHERE k = 'a'", "k"),
        ("SELECT c FROM o1.mpk WHERE token(k) > 5", "k"),
        ("SELECT c FROM o1.mpk WHERE (k, c) = ('a', 1)", "k"),
        ("SELECT c FROM o1.mpk WHERE (c, k) IN ((1, 'a'), (2, 'b'))", "k"),
        // Which column an index is on the text does not say.
        ("SELECT id FROM o1.mask WHERE expr(i, 'x')", "u, ssn"),
        // ANN OF restricts the column that it sorts by.
        ("SELECT id FROM o1.mvec ORDER BY e ANN OF [1, 2, 3] LIMIT 1", "e"),
        ("SELECT x FROM o1.mb_x WHERE ssn = 'a' ALLOW FILTERING", "ssn"),
    ] {
        let statement = parse(text, &Limits::default()).unwrap();
        let found = needs(&statement, None, &fixture).unwrap();
        let (table, word) = text.split_once("FROM o1.").unwrap().1.split_once(' ').unwrap();
        assert!(word.starts_with("WHERE") || word.starts_with("ORDER BY"));
        assert_eq!(found.needs.len(), 2, "{text}");
        assert_eq!(
            found.needs[1].refusal("u").to_string(),
            format!(
                "User u has no UNMASK nor SELECT_MASKED permission on table o1.{table}, cannot query masked \
                 columns [{columns}]"
            ),
            "{text}"
        );
        assert_eq!(found.needs[1].words, Words::MaskedColumns(columns.into()));
    }
    for text in [
        "SELECT id FROM mask WHERE id = 1",
        "SELECT c, v FROM mpk WHERE c = 1 AND v = 2",
        "SELECT id FROM mvec ORDER BY e",
        "SELECT x FROM mb2_id WHERE expr(i, 'x')",
    ] {
        assert_eq!(asked(text).len(), 1, "{text}");
    }
}

#[test]
fn a_conditional_write_may_show_a_masked_column() {
    for (text, shown) in [
        ("INSERT INTO mask (id, name) VALUES (1, 'x') IF NOT EXISTS", true),
        ("INSERT INTO mask JSON '{\"id\": 1}' IF NOT EXISTS", true),
        ("INSERT INTO mask (id, ssn) VALUES (1, 'x')", false),
        ("UPDATE mask SET name = 'x' WHERE id = 1 IF EXISTS", true),
        ("DELETE name FROM mask WHERE id = 1 IF EXISTS", true),
        ("DELETE FROM mask WHERE id = 1 IF ssn = 'x'", true),
        ("UPDATE mask SET ssn = 'x' WHERE id = 1 IF name = 'x'", false),
        ("UPDATE mask SET ssn = 'x' WHERE id = 1 IF name = 'x' AND u IN ('a', 'b')", true),
        ("UPDATE mask SET ssn = 'x' WHERE id = 1 IF u[1] = 'x'", true),
        ("UPDATE mask SET ssn = 'x' WHERE id = 1 IF u.f = 'x'", true),
        ("UPDATE mask SET ssn = 'x' WHERE id = 1", false),
        ("UPDATE mpk SET v = 1 WHERE k = 'a' AND c = 1 IF v = 2", false),
        ("BEGIN BATCH UPDATE mpk SET v = 1 WHERE k = 'a' AND c = 1 IF v = 2 APPLY BATCH", true),
        ("BEGIN BATCH UPDATE mpk SET v = 1 WHERE k = 'a' AND c = 1 APPLY BATCH", false),
        // The answer shows keys and the columns of the conditions, not the masked column.
        ("BEGIN BATCH UPDATE mask SET ssn = 'x' WHERE id = 1 IF name = 'x' APPLY BATCH", false),
        (
            "BEGIN BATCH DELETE FROM p WHERE id = 1 IF n = 1 UPDATE mask SET name = '' WHERE id = 1 APPLY BATCH",
            false,
        ),
        (
            "BEGIN BATCH DELETE FROM p WHERE id = 1 UPDATE mask SET name = '' WHERE id = 1 IF u = '' APPLY BATCH",
            true,
        ),
    ] {
        let found = asked(text);
        assert_eq!(found.iter().any(|need| need.starts_with("UNMASK data/o1/m")), shown, "{text}: {found:?}");
        assert_eq!(found.iter().any(|need| need.starts_with("SELECT")), text.contains(" IF "), "{text}");
    }
}

#[test]
fn a_child_of_a_batch_message_shows_what_it_does_in_a_batch_of_one_text() {
    let fixture = Fixture::new();
    for child in [
        "UPDATE mpk SET v = 1 WHERE k = 'a' AND c = 1 IF v = 2",
        "UPDATE mpk SET v = 1 WHERE k = 'a' AND c = 1",
        "DELETE FROM mpk WHERE k = 'a' AND c = 1 IF EXISTS",
        "INSERT INTO mask (id, name) VALUES (1, 'x') IF NOT EXISTS",
        "UPDATE mask SET ssn = 'x' WHERE id = 1 IF name = 'x'",
        "UPDATE p SET n = f1(1) WHERE id = 1 IF n = 1",
    ] {
        let batch = format!("BEGIN BATCH {child} APPLY BATCH");
        let (child, batch) =
            (parse(child, &Limits::default()).unwrap(), parse(&batch, &Limits::default()).unwrap());
        assert_eq!(
            child_needs(&child, Some("o1"), &fixture).unwrap(),
            needs(&batch, Some("o1"), &fixture).unwrap(),
            "{batch:?}"
        );
    }
    let select = parse("SELECT * FROM mask", &Limits::default()).unwrap();
    assert_eq!(child_needs(&select, Some("o1"), &fixture), needs(&select, Some("o1"), &fixture));
}

#[test]
fn everybody_reads_which_ids_are_prepared_and_nothing_else_of_them() {
    let table = "system.prepared_statements";
    for free in [
        "SELECT prepared_id FROM system.prepared_statements",
        "SELECT PREPARED_ID, \"prepared_id\" AS x FROM system.prepared_statements",
        "SELECT prepared_id FROM system.prepared_statements WHERE prepared_id = 0x00",
        "SELECT prepared_id FROM system.prepared_statements WHERE prepared_id IN (?, ?) LIMIT 1",
    ] {
        assert!(asked(free).is_empty(), "{free}");
    }
    // Tables of that name elsewhere, and others beside it.
    for other in ["system.batches", "system_views.prepared_statements"] {
        assert_eq!(asked(&format!("SELECT prepared_id FROM {other}")).len(), 1, "{other}");
    }
    for what in [
        "*",
        "query_string",
        "prepared_id, query_string",
        "JSON prepared_id",
        "count(*)",
        "blobAsText(prepared_id)",
        "CAST(prepared_id AS blob)",
        "(blob) prepared_id",
        "prepared_id[1]",
        "writetime(query_string)",
        "1, prepared_id",
    ] {
        assert_eq!(asked(&format!("SELECT {what} FROM {table}")).len(), 1, "{what}");
    }
    for how in [
        "WHERE query_string = 'x' ALLOW FILTERING",
        "WHERE prepared_id = 0x00 AND logged_keyspace = 'k' ALLOW FILTERING",
        "WHERE token(prepared_id, query_string) > 1",
        "WHERE prepared_id = text_as_blob('x')",
        "WHERE prepared_id[query_string(1)] = 1",
        "WHERE expr(i, 'x')",
        "GROUP BY query_string",
        "ORDER BY query_string",
    ] {
        let text = format!("SELECT prepared_id FROM {table} {how}");
        let fixture = Fixture::new();
        let statement = parse(&text, &Limits::default()).unwrap();
        assert!(needs(&statement, None, &fixture).map_or(true, |found| found.needs.len() == 1), "{text}");
    }
}

#[test]
fn a_column_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let said = |text: &str| {
        let statement = parse(text, &Limits::default()).unwrap();
        unknown_column(&statement, Some("o1"), &fixture).map(|refusal| refusal.to_string())
    };
    for (text, column) in [
        ("SELECT q, n FROM p", "q"),
        ("SELECT n, max(q), r FROM p", "q"),
        ("SELECT CAST(q AS text) FROM p", "q"),
        ("SELECT writetime(q) FROM p", "q"),
        ("SELECT n + q FROM p", "q"),
        ("SELECT {n: q} FROM p", "q"),
        ("SELECT \"N\" FROM p", "\"N\""),
        ("SELECT \"select\" FROM p", "\"select\""),
        ("SELECT q FROM p WHERE r = 1", "q"),
        ("SELECT n FROM p WHERE r = 1", "r"),
        ("SELECT n FROM p WHERE (id, r) = (1, 2)", "r"),
        ("SELECT n FROM p WHERE token(r) = 1", "r"),
        ("SELECT n FROM p GROUP BY n ORDER BY r", "r"),
        ("INSERT INTO p (id, r) VALUES (1, 2)", "r"),
        ("UPDATE p SET n = 1, r = 2 WHERE id = 1", "r"),
        ("UPDATE p SET r[1] = 2 WHERE id = 1", "r"),
        ("UPDATE p SET n = 1 WHERE q = 1 IF r = 2", "r"),
        ("DELETE r FROM p WHERE id = 1", "r"),
        ("BEGIN BATCH DELETE n FROM p WHERE id = 1 DELETE r FROM p WHERE id = 1 APPLY BATCH", "r"),
    ] {
        assert_eq!(said(text), Some(format!("Undefined column name {column} in table o1.p")), "{text}");
    }
    for text in [
        "SELECT * FROM p",
        "SELECT n, count(*), f1(n), now() AS q FROM p WHERE id = 1",
        "SELECT (addr) {street: v, zip: n} FROM p",
        "INSERT INTO p JSON '{\"q\": 1}'",
        "UPDATE p SET n = 1 WHERE id = 1 IF EXISTS",
        "SELECT q FROM nosuch",
        "SELECT q FROM system.local",
        "DROP TABLE p",
    ] {
        assert_eq!(said(text), None, "{text}");
    }
}
