//! Which overload a call comes to, where that follows from what stands in it or what it is given to; and in which
//! order calls are asked for.

use std::collections::BTreeMap;

use cqlgate_protocol::cql::{
    Column, Function, Identity, Limits, Permission, Relation, RelationKind, Resource, Role, Schema, needs,
    parse,
};

/// One table, `k.t`, and the functions of `k`.
struct Functions {
    columns: Vec<Column>,
    functions: BTreeMap<&'static str, Vec<Function>>,
}

impl Functions {
    /// Each function as its name, what it takes and what it returns.
    fn new(functions: &[(&'static str, &[&str], &str)]) -> Self {
        // Sorted by name.
        let columns = [
            ("c", "counter"),
            ("d", "timestamp"),
            ("id", "int"),
            ("l", "list<text>"),
            ("m", "map<text, int>"),
            ("n", "int"),
            ("s", "set<text>"),
            ("u", "addr"),
            ("v", "text"),
            ("ve", "vector<int, 3>"),
        ];
        let columns = columns.map(|(name, cql_type)| Column {
            name: name.into(),
            cql_type: cql_type.into(),
            is_key: name == "id",
            is_masked: false,
        });
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for (name, arguments, returns) in functions {
            all.entry(*name).or_default().push(Function {
                arguments: arguments.iter().map(|&argument| argument.into()).collect(),
                returns: (*returns).into(),
                aggregate: None,
            });
        }
        Self { columns: columns.into(), functions: all }
    }

    /// The functions that a statement needs, as `f(int)`, in order.
    fn asked(&self, text: &str) -> Vec<String> {
        let statement = parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = needs(&statement, Some("k"), self).unwrap_or_else(|error| panic!("{text}: {error}"));
        let executes = found.needs.iter().filter(|need| need.permission == Permission::Execute);
        let name = |resource: &Resource<'_>| match resource {
            Resource::Function { name, arguments, .. } => format!("{name}({arguments})"),
            other => panic!("{text}: {other}"),
        };
        executes.map(|need| name(&need.resource)).collect()
    }
}

impl Schema for Functions {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        keyspace == "k"
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        let kind = RelationKind::Table { views: &[] };
        ((keyspace, name) == ("k", "t")).then_some(Relation { kind, columns: &self.columns, masked: false })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        let found = self.functions.get(name).filter(|_| keyspace == "k");
        found.map_or(&[], Vec::as_slice)
    }

    fn index_table(&self, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn field_type(&self, _: &str, user_type: &str, field: &str) -> Option<&str> {
        match (user_type, field) {
            ("addr", "street") => Some("text"),
            ("addr", "zip") => Some("int"),
            _ => None,
        }
    }

    fn role(&self, _: &str) -> Role {
        Role::NotAsked
    }

    fn identity(&self, _: &str) -> Identity<'_> {
        Identity::NotAsked
    }

    fn own_role(&self) -> Option<&str> {
        None
    }
}

#[test]
fn what_a_native_function_returns_chooses_the_overload() {
    let types = ["int", "bigint", "text", "blob", "uuid", "timeuuid", "date", "time", "timestamp"];
    let overloads: Vec<_> =
        types.iter().map(|cql_type| ("f", std::slice::from_ref(cql_type), "int")).collect();
    let schema = Functions::new(&overloads);
    for (call, returns) in [
        ("now()", "timeuuid"),
        ("uuid()", "uuid"),
        ("current_date()", "date"),
        ("currentDate()", "date"),
        ("current_time()", "time"),
        ("current_timestamp()", "timestamp"),
        ("unixTimestampOf(now())", "bigint"),
        ("dateOf(now())", "timestamp"),
        ("minTimeuuid(d)", "timeuuid"),
        ("max_timeuuid(d)", "timeuuid"),
        ("toDate(d)", "date"),
        ("to_timestamp(now())", "timestamp"),
        ("to_unix_timestamp(d)", "bigint"),
        ("toUnixTimestamp(now())", "bigint"),
        ("floor(d, 1h)", "timestamp"),
        ("floor(current_date(), 1d)", "date"),
        ("\"countRows\"()", "bigint"),
        ("count(*)", "bigint"),
        ("count(1)", "bigint"),
        ("system.count(1)", "bigint"),
        ("text_as_blob(v)", "blob"),
    ] {
        assert_eq!(schema.asked(&format!("SELECT f({call}) FROM t")), [format!("f({returns})")], "{call}");
    }
}

#[test]
fn a_users_count_is_not_the_number_of_rows() {
    let schema = Functions::new(&[("count", &["int"], "int")]);
    assert_eq!(schema.asked("SELECT k.count(1) FROM t"), ["count(int)"]);
    assert!(schema.asked("SELECT count(1), system.count(1) FROM t").is_empty());
}

#[test]
fn what_a_value_is_given_to_chooses_the_overload() {
    let schema = Functions::new(&[("f", &["int"], "int"), ("f", &["text"], "text")]);
    let both = &["f(int)", "f(text)"][..];
    for (text, asked) in [
        ("SELECT f(u.zip) FROM t", &["f(int)"][..]),
        ("SELECT f(u.street) FROM t", &["f(text)"]),
        ("SELECT f(l[0]) FROM t", &["f(text)"]),
        ("SELECT f(m['x']) FROM t", &["f(int)"]),
        ("SELECT f(ve[0]) FROM t", &["f(int)"]),
        ("UPDATE t SET n = f(?) WHERE id = 1", &["f(int)"]),
        ("UPDATE t SET u.zip = f(?) WHERE id = 1", &["f(int)"]),
        ("UPDATE t SET u.street = f(?) WHERE id = 1", &["f(text)"]),
        ("UPDATE t SET m['x'] = f(?) WHERE id = 1", &["f(int)"]),
        ("UPDATE t SET m[f(?)] = 1 WHERE id = 1", &["f(text)"]),
        ("UPDATE t SET l[f(?)] = 'x' WHERE id = 1", &["f(int)"]),
        ("DELETE m[f(?)] FROM t WHERE id = 1", &["f(text)"]),
        ("DELETE l[f(?)] FROM t WHERE id = 1", &["f(int)"]),
        // What is removed from a set is an element of it.
        ("DELETE s[f(?)] FROM t WHERE id = 1", &["f(text)"]),
        // Nothing is known of this column, and it may be any collection.
        ("DELETE nosuch[f(?)] FROM t WHERE id = 1", both),
    ] {
        assert_eq!(schema.asked(text), asked, "{text}");
    }
}

#[test]
fn what_is_taken_from_a_collection_may_have_another_type() {
    let schema = Functions::new(&[("f", &["int"], "map<text, int>"), ("f", &["text"], "set<text>")]);
    let both = ["f(int)", "f(text)"];
    for text in ["UPDATE t SET m = m - f(?) WHERE id = 1", "UPDATE t SET m = m + f(?) WHERE id = 1"] {
        assert_eq!(schema.asked(text), both, "{text}");
    }
}

#[test]
fn arguments_are_counted_where_a_value_fits_all() {
    let schema = Functions::new(&[("f", &["int"], "int"), ("f", &["int", "int"], "int")]);
    assert_eq!(schema.asked("SELECT f(NULL) FROM t"), ["f(int)"]);
    assert_eq!(schema.asked("SELECT f(NULL, NULL) FROM t"), ["f(int, int)"]);
}

#[test]
fn a_result_that_may_not_fit_wins_over_none() {
    // Which `g` runs is for the node to say; with the second one, `f(1)` must return text.
    let schema = Functions::new(&[
        ("g", &["int"], "int"),
        ("g", &["text"], "int"),
        ("f", &["int"], "int"),
        ("f", &["bigint"], "text"),
    ]);
    let asked = schema.asked("UPDATE t SET n = g(f(1)) WHERE id = 1");
    for function in ["g(int)", "g(text)", "f(int)", "f(bigint)"] {
        assert!(asked.iter().any(|one| one == function), "{function} is not in {asked:?}");
    }
}

#[test]
fn calls_are_asked_for_in_the_order_of_a_node() {
    let schema = Functions::new(&[("f", &["int"], "int"), ("g", &["int"], "int"), ("h", &["int"], "int")]);
    for (text, asked) in [
        // A selection: a function before its arguments.
        ("SELECT f(g(n)), h(n) FROM t", ["f(int)", "g(int)", "h(int)"]),
        // Values: behind them, those of the key first.
        ("SELECT n FROM t WHERE n = h(1) AND id = f(g(1)) ALLOW FILTERING", ["g(int)", "f(int)", "h(int)"]),
        ("INSERT INTO t (n, id) VALUES (h(1), f(g(1)))", ["g(int)", "f(int)", "h(int)"]),
        ("UPDATE t SET n = h(1) WHERE id = f(g(1))", ["g(int)", "f(int)", "h(int)"]),
        ("DELETE FROM t WHERE id = f(1) IF n = g(h(1))", ["f(int)", "h(int)", "g(int)"]),
        ("UPDATE t SET m['x'] = h(1), n = f(1) WHERE id = g(1)", ["g(int)", "h(int)", "f(int)"]),
        ("SELECT n FROM t GROUP BY floor(f(g(id))), h(id)", ["f(int)", "g(int)", "h(int)"]),
    ] {
        assert_eq!(schema.asked(text), asked, "{text}");
    }
}

#[test]
fn tables_that_everybody_reads_need_not_be_known() {
    let schema = Functions::new(&[]);
    for text in ["SELECT * FROM system.local", "SELECT peer FROM system.peers WHERE peer = ?"] {
        let statement = parse(text, &Limits::default()).unwrap();
        assert!(needs(&statement, None, &schema).unwrap().needs.is_empty(), "{text}");
    }
    let statement = parse("SELECT * FROM system.batches", &Limits::default()).unwrap();
    assert!(needs(&statement, None, &schema).is_err());
}
