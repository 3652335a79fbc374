//! Random statements, and random schemas for them to be judged in.

use std::collections::BTreeMap;

use cqlgate_protocol::cql::{Aggregate, Column, Function, Identity, Relation, RelationKind, Role, Schema};

use super::dice::{BEANS, Dice, FUNCTIONS, KEYSPACES};

/// A keyspace and what it holds.
type Named = (&'static str, &'static str);

/// One of Cassandra's schemas, as random as its statements.
pub(super) struct RandomSchema {
    /// By keyspace and table: its columns, and its views.
    tables: BTreeMap<Named, (Vec<Column>, Vec<String>)>,
    /// By keyspace and function.
    functions: BTreeMap<Named, Vec<Function>>,
    /// Roles that are superusers.
    superusers: bool,
}

fn column(name: &str, cql_type: &str, is_masked: bool) -> Column {
    Column { name: name.into(), cql_type: cql_type.into(), is_key: name == "k", is_masked }
}

impl RandomSchema {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let (mut tables, mut functions) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        for keyspace in KEYSPACES {
            for table in ["t", "tu", "u"] {
                let masked = dice.one_in(4);
                let columns =
                    vec![column("c", "int", false), column("k", "int", false), column("m", "text", masked)];
                let views = if table == "t" && dice.one_in(2) { vec!["v".to_owned()] } else { Vec::new() };
                if !dice.one_in(12) {
                    tables.insert((keyspace, table), (columns, views));
                }
            }
            for (name, arguments) in FUNCTIONS {
                let arguments: Box<[Box<str>]> =
                    arguments.split(", ").filter(|a| !a.is_empty()).map(Box::from).collect();
                let aggregate = (name == "fg").then(|| Aggregate {
                    state_function: "f".into(),
                    state_type: "int".into(),
                    final_function: Some("g".into()),
                });
                if !dice.one_in(3) {
                    let function = Function { arguments, returns: "int".into(), aggregate };
                    functions.entry((keyspace, name)).or_default().push(function);
                }
            }
        }
        Self { tables, functions, superusers: dice.one_in(4) }
    }
}

impl Schema for RandomSchema {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        KEYSPACES.contains(&keyspace)
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        let table = if name == "v" { "t" } else { name };
        let (_, (columns, views)) = self.tables.iter().find(|((k, t), _)| *k == keyspace && *t == table)?;
        let kind = match name {
            "v" if views.is_empty() => return None,
            "v" => RelationKind::View { base: "t" },
            _ => RelationKind::Table { views },
        };
        Some(Relation { kind, columns, masked: columns.iter().any(|c| c.is_masked) })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        let found = self.functions.iter().find(|((k, f), _)| *k == keyspace && *f == name);
        found.map_or(&[], |(_, overloads)| overloads)
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        (index == "i" && self.relation(keyspace, "t").is_some()).then_some("t")
    }

    fn field_type(&self, _: &str, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn role(&self, role: &str) -> Role {
        match role {
            "ra" if self.superusers => Role::Superuser,
            "r" | "R 2" | "ra" => Role::Plain,
            _ => Role::Missing,
        }
    }

    fn identity(&self, identity: &str) -> Identity<'_> {
        if identity == "spiffe://r" { Identity::Bound("r") } else { Identity::Unbound }
    }

    fn own_role(&self) -> Option<&str> {
        Some("gateway")
    }
}

/// A statement: mostly on rows, the rest of every kind.
pub(super) fn statement(dice: &mut Dice) -> String {
    let table = |dice: &mut Dice| {
        let table = dice.of(&["t", "t", "tu", "u", "v"]);
        match dice.below(4) {
            0 => table.to_owned(),
            _ => format!("{}.{table}", dice.of(&["a", "ab", "b", "b", "system_auth"])),
        }
    };
    let of = table(dice);
    match dice.below(12) {
        0..=3 => select(dice, &of),
        4..=6 => change(dice, &of),
        7 => {
            let children: Vec<String> = (0..dice.below(4))
                .map(|_| {
                    let of = table(dice);
                    change(dice, &of)
                })
                .collect();
            format!("BEGIN BATCH {} APPLY BATCH", children.join("; "))
        }
        8 | 9 => definition(dice, &of),
        _ => of_roles(dice),
    }
}

fn select(dice: &mut Dice, table: &str) -> String {
    let what = dice.of(&[
        "*",
        "k, c",
        "JSON k",
        "DISTINCT k",
        "count(*)",
        "max(c)",
        "f(c)",
        "f(m)",
        "a.f(c)",
        "g()",
        "fg(c, m)",
        "now()",
        "CAST(c AS text)",
        "m AS shown",
    ]);
    let which =
        dice.of(&["", "", " WHERE k = 1", " WHERE m = 'x' ALLOW FILTERING", " WHERE k = f(1)", " LIMIT 3"]);
    format!("SELECT {what} FROM {table}{which}")
}

fn change(dice: &mut Dice, table: &str) -> String {
    let condition = dice.of(&["", "", " IF EXISTS", " IF c = 1", " IF m = 'x'"]);
    match dice.below(5) {
        0 => format!("INSERT INTO {table} (k, c) VALUES (1, f(2))"),
        1 => format!("INSERT INTO {table} (k, c) VALUES (1, 2){}", dice.of(&["", " IF NOT EXISTS"])),
        2 => format!("UPDATE {table} SET c = 1 WHERE k = 1{condition}"),
        3 => format!("DELETE FROM {table} WHERE k = 1{condition}"),
        _ => format!("DELETE c FROM {table} USING TIMESTAMP 1 WHERE k = 1"),
    }
}

fn definition(dice: &mut Dice, table: &str) -> String {
    let k = dice.of(&KEYSPACES);
    let (name, arguments) = FUNCTIONS[dice.below(FUNCTIONS.len())];
    let create = dice.of(&["CREATE", "CREATE OR REPLACE"]);
    match dice.below(20) {
        0 => format!("TRUNCATE {table}"),
        1 => format!("USE {k}"),
        2 => format!(
            "CREATE KEYSPACE {k} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        ),
        3 => format!("ALTER KEYSPACE {k} WITH durable_writes = true"),
        4 | 5 => format!("DROP KEYSPACE {k}"),
        6 => format!("CREATE TABLE {table} (k int PRIMARY KEY, c int)"),
        7 => format!("ALTER TABLE {table} ADD x int"),
        8 => format!("DROP TABLE {table}"),
        9 => format!("CREATE TYPE {k}.addr (street text)"),
        10 => format!("DROP TYPE {k}.addr"),
        11 => format!("CREATE INDEX ON {table} (c)"),
        12 => format!("DROP INDEX {k}.i"),
        13 => format!("DROP MATERIALIZED VIEW {k}.v"),
        14 => format!(
            "CREATE MATERIALIZED VIEW {k}.v2 AS SELECT * FROM {table} WHERE k IS NOT NULL PRIMARY KEY (k)"
        ),
        15 => format!(
            "{create} FUNCTION {k}.f (x int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x;'"
        ),
        16 => format!("{create} AGGREGATE {k}.fg (int) SFUNC f STYPE int FINALFUNC g"),
        17 => format!("DROP FUNCTION {k}.{name}({arguments})"),
        18 => format!("DROP FUNCTION {k}.{name}"),
        _ => "DESCRIBE KEYSPACES".to_owned(),
    }
}

fn of_roles(dice: &mut Dice) -> String {
    let (r, g) = (dice.of(&["r", "ra", "\"R 2\"", "missing"]), dice.of(&["r", "ra", "'R 2'"]));
    let k = dice.of(&KEYSPACES);
    let (permission, resource) = match dice.below(8) {
        0 => ("SELECT", format!("KEYSPACE {k}")),
        1 => ("ALL", format!("{k}.t")),
        2 => ("DROP", "ALL KEYSPACES".to_owned()),
        3 => ("EXECUTE", format!("ALL FUNCTIONS IN KEYSPACE {k}")),
        4 => ("EXECUTE", format!("FUNCTION {k}.f(int)")),
        5 => ("DESCRIBE", "ALL ROLES".to_owned()),
        6 => ("ALTER", format!("ROLE {r}")),
        _ => ("SELECT", format!("MBEAN '{}'", dice.of(&BEANS))),
    };
    match dice.below(12) {
        0 => format!("CREATE ROLE {r} WITH LOGIN = true"),
        1 => format!("ALTER ROLE {r} WITH PASSWORD = 'x'"),
        2 => format!("DROP ROLE {r}"),
        3 => format!("GRANT {r} TO {g}"),
        4 => format!("REVOKE {r} FROM {g}"),
        5 | 6 => format!("GRANT {permission} ON {resource} TO {g}"),
        7 => format!("REVOKE {permission} ON {resource} FROM {g}"),
        8 => format!("LIST {permission} ON {resource} OF {g}"),
        9 => "LIST ALL PERMISSIONS".to_owned(),
        10 => dice.of(&["LIST ROLES", "LIST ROLES OF r", "LIST USERS"]).to_owned(),
        _ => dice.of(&["ADD IDENTITY 'spiffe://r' TO ROLE 'r'", "DROP IDENTITY 'spiffe://r'"]).to_owned(),
    }
}
