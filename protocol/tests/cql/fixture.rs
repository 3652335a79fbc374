//! The schema that the statements of the tables and of the corpus were run on: tables, views, indexes, functions, roles.

use std::collections::BTreeMap;

use cqlgate_protocol::cql::{Aggregate, Column, Function, Identity, Relation, RelationKind, Role, Schema};

/// What a column is besides its type.
const KEY: u8 = 1;
const MASKED: u8 = 2;

/// A column as the tables below write it: name, type, [`KEY`] and [`MASKED`].
type Row = (&'static str, &'static str, u8);

const TABLES: &[(&str, &str, &[Row])] = &[
    (
        "o1",
        "t",
        &[
            ("pk", "int", KEY),
            ("ck", "int", KEY),
            ("v", "text", 0),
            ("s", "int", 0),
            ("l", "list<int>", 0),
            ("st", "set<text>", 0),
            ("m", "map<text, int>", 0),
            ("a", "addr", 0),
            ("tu", "tuple<int, text>", 0),
        ],
    ),
    ("o1", "p", &[("id", "int", KEY), ("v", "text", 0), ("n", "int", 0), ("ts", "timestamp", 0)]),
    ("o1", "cnt", &[("id", "int", KEY), ("c", "counter", 0)]),
    ("o1", "vec", &[("id", "int", KEY), ("e", "vector<float, 3>", 0)]),
    ("o1", "base", &[("id", "int", KEY), ("x", "int", 0), ("v", "text", 0)]),
    ("o1", "by_x", &[("x", "int", KEY), ("id", "int", KEY), ("v", "text", 0)]),
    ("o1", "by_v", &[("v", "text", KEY), ("id", "int", KEY)]),
    ("o1", "ix", &[("id", "int", KEY), ("v", "text", 0), ("w", "text", 0)]),
    (
        "o1",
        "mask",
        &[("id", "int", KEY), ("ssn", "text", MASKED), ("name", "text", 0), ("u", "text", MASKED)],
    ),
    ("o1", "mpk", &[("k", "text", KEY | MASKED), ("c", "int", KEY), ("v", "int", 0)]),
    ("o1", "mvec", &[("id", "int", KEY), ("e", "vector<float, 3>", MASKED)]),
    ("o1", "mb2", &[("id", "int", KEY), ("x", "int", 0), ("ssn", "text", MASKED)]),
    ("o1", "mb2_id", &[("id", "int", KEY), ("x", "int", KEY)]),
    ("o1", "udt", &[("id", "int", KEY), ("u", "addr", 0)]),
    ("o2", "t", &[("id", "int", KEY), ("v", "text", 0)]),
    ("Mixed", "Tab", &[("id", "int", KEY), ("Val", "text", 0)]),
    (
        "o1",
        "tables",
        &[
            ("id", "int", KEY),
            ("json", "int", 0),
            ("distinct", "int", 0),
            ("count", "int", 0),
            ("from", "int", 0),
        ],
    ),
    ("o1", "roles", &[("id", "int", KEY), ("v", "int", 0)]),
    ("o1", "expr_t", &[("id", "int", KEY), ("v", "text", 0)]),
    ("o1", "both", &[("id", "int", KEY), ("x", "int", 0), ("w", "text", 0)]),
    ("o1", "mb", &[("id", "int", KEY), ("x", "int", 0), ("ssn", "text", MASKED)]),
    ("o1", "mb_x", &[("x", "int", KEY), ("id", "int", KEY), ("ssn", "text", MASKED)]),
    ("o2", "base2", &[("id", "int", KEY), ("x", "int", 0)]),
    ("o2", "v2", &[("x", "int", KEY), ("id", "int", KEY)]),
];

/// Keyspace, table, view.
const VIEWS: &[(&str, &str, &str)] = &[
    ("o1", "base", "by_v"),
    ("o1", "base", "by_x"),
    ("o1", "mb", "mb_x"),
    ("o1", "mb2", "mb2_id"),
    ("o2", "base2", "v2"),
];

/// Keyspace, name, arguments, result.
const FUNCTIONS: &[(&str, &str, &[&str], &str)] = &[
    ("o1", "f1", &["int"], "int"),
    ("o1", "f1", &["text"], "text"),
    ("o1", "abs", &["int"], "int"),
    ("o1", "abs", &["text"], "text"),
    ("o1", "now", &[], "int"),
    ("o1", "sf", &["int", "int"], "int"),
    ("o1", "fin", &["int"], "int"),
    ("o1", "mymask", &["text"], "text"),
    ("o1", "vf", &["int"], "vector<float, 3>"),
    ("o1", "ff", &["double"], "float"),
    ("o1", "cat", &["text", "text"], "text"),
    ("o1", "gonef", &["int"], "int"),
    ("o1", "over", &["int", "int"], "int"),
    ("o1", "over", &["bigint", "bigint"], "bigint"),
    ("o2", "g", &["int"], "int"),
    ("o2", "max", &["int"], "int"),
    ("o2", "f1", &["int"], "int"),
    ("o2", "num", &[], "int"),
];

/// The schema that the statements were run on.
pub(crate) struct Fixture {
    columns: BTreeMap<String, Vec<Column>>,
    functions: BTreeMap<String, Vec<Function>>,
    views: BTreeMap<String, Vec<String>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let column = |&(name, cql_type, flags): &Row| Column {
            name: name.into(),
            cql_type: cql_type.into(),
            is_key: flags & KEY != 0,
            is_masked: flags & MASKED != 0,
        };
        let columns = TABLES.iter().map(|(keyspace, table, rows)| {
            let mut columns: Vec<_> = rows.iter().map(column).collect();
            columns.sort_by(|a, b| a.name.cmp(&b.name));
            (format!("{keyspace}.{table}"), columns)
        });
        let mut functions: BTreeMap<_, Vec<Function>> = BTreeMap::new();
        for &(keyspace, name, arguments, returns) in FUNCTIONS {
            functions.entry(format!("{keyspace}.{name}")).or_default().push(Function {
                arguments: arguments.iter().map(|&a| a.into()).collect(),
                returns: returns.into(),
                aggregate: None,
            });
        }
        for (name, final_function) in [("o1.ag", Some("fin".into())), ("o1.plain", None), ("o1.gonea", None)]
        {
            let state_function = "sf".into();
            let aggregate = Aggregate { state_function, state_type: "int".into(), final_function };
            let (arguments, returns) = (Box::new(["int".into()]), "int".into());
            let function = Function { arguments, returns, aggregate: Some(aggregate) };
            functions.insert(name.to_owned(), vec![function]);
        }
        let views = VIEWS.iter().fold(BTreeMap::<_, Vec<_>>::new(), |mut all, (keyspace, base, view)| {
            all.entry(format!("{keyspace}.{base}")).or_default().push((*view).to_owned());
            all
        });
        Self { columns: columns.collect(), functions, views }
    }
}

impl Schema for Fixture {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        keyspace.starts_with("system") || ["o1", "o2", "Mixed"].contains(&keyspace)
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        if keyspace.starts_with("system") {
            let kind = RelationKind::Table { views: &[] };
            return Some(Relation { kind, columns: &[], masked: false });
        }
        let path = format!("{keyspace}.{name}");
        let view = VIEWS.iter().find(|(k, _, view)| (*k, *view) == (keyspace, name));
        let kind = match view {
            Some((_, base, _)) => RelationKind::View { base },
            None => RelationKind::Table { views: self.views.get(&path).map_or(&[], Vec::as_slice) },
        };
        let columns = self.columns.get(&path)?;
        Some(Relation { kind, columns, masked: columns.iter().any(|column| column.is_masked) })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        self.functions.get(&format!("{keyspace}.{name}")).map_or(&[], Vec::as_slice)
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        match (keyspace, index) {
            ("o1", "ix_v" | "ix_w") => Some("ix"),
            ("o1", "vec_ann") => Some("vec"),
            _ => None,
        }
    }

    fn field_type(&self, keyspace: &str, user_type: &str, field: &str) -> Option<&str> {
        match (keyspace, user_type, field) {
            ("o1", "addr", "street") => Some("text"),
            ("o1", "addr", "zip") => Some("int"),
            _ => None,
        }
    }

    fn role(&self, role: &str) -> Role {
        match role {
            "r1" | "r2" | "r3" | "oracle_u" => Role::Plain,
            "sup" | "cassandra" => Role::Superuser,
            _ => Role::Missing,
        }
    }

    fn identity(&self, identity: &str) -> Identity<'_> {
        match identity {
            "spiffe://x/r1" => Identity::Bound("r1"),
            "spiffe://x/sup" => Identity::Bound("sup"),
            "spiffe://x/gone" => Identity::Bound("r2"),
            _ => Identity::Unbound,
        }
    }

    fn own_role(&self) -> Option<&str> {
        Some("gateway")
    }
}
