//! Texts that a Cassandra 5.0.8 was asked, and what it made of them: each must be read as the same kind of
//! statement on the same table, or be refused where Cassandra refuses it as no CQL.

use cqlgate_protocol::cql::statement::{
    Access, CreateTrigger, Definition, DropTrigger, FunctionName, Grant, LimitKind, NamedResource, TableName,
};
use cqlgate_protocol::cql::{Limits, ParseError, Resource, Statement, parse};

use crate::{bytes, lines, path};

/// Texts that Cassandra reads and cqlgate refuses, each with its reason.
const REFUSED_ON_PURPOSE: [(&str, &str); 3] = [
    ("SELECT [[[[[[[[[[[[[[a]]]]]]]]]]]]]] FROM lx.t", "14 levels: a node's time grows by 1.8 with each"),
    ("SELECT max(max(max(max(max(max(max(max(max(max(max(max(max(max(a)))))))))))))) FROM lx.t", "the same"),
    ("SELECT -(-(-(-(-(-(-(-(-(-(-(-(-(-(a)))))))))))))) FROM lx.t", "the same"),
];

#[test]
fn texts_are_read_as_cassandra_reads_them() {
    let mut wrong = Vec::new();
    let (mut read, mut refused) = (0, 0);
    for row in lines(include_str!("../data/texts.jsonl")) {
        let bytes = bytes(row["hex"].as_str().unwrap());
        let Ok(text) = std::str::from_utf8(&bytes) else {
            assert_eq!(row["utf8"], false);
            continue;
        };
        assert_ne!(row["utf8"], false, "{text}");
        let outcome = parse(text, &Limits::default());
        let kind = outcome.as_ref().ok().map(|statement| statement.kind().as_str());
        if kind != row["kind"].as_str() {
            // A node takes longer names than are good for it.
            let long = matches!(outcome, Err(ParseError::Limit { limit: LimitKind::Name, .. }));
            let on_purpose =
                kind.is_none() && (long || REFUSED_ON_PURPOSE.iter().any(|(other, _)| *other == text));
            if !on_purpose {
                wrong.push(format!("{text:?}: Cassandra {}, here {outcome:?}", row["kind"]));
            }
            continue;
        }
        match outcome {
            Err(error) => {
                refused += 1;
                assert!(matches!(error, ParseError::Syntax(_)), "{text:?}: {error}");
            }
            Ok(statement) => {
                read += 1;
                if let Some(told) = row["audit"].as_array() {
                    let (keyspace, scope) = audited(&statement, row["keyspace"].as_str());
                    let cut = told[1].as_str().is_some_and(|scope| scope.contains(".."));
                    if cut {
                        continue;
                    }
                    if told[0].as_str() != keyspace.as_deref() || told[1].as_str() != scope.as_deref() {
                        wrong.push(format!("{text:?}: audited {told:?}, here {keyspace:?} {scope:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{read} read, {refused} refused, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read > 500 && refused > 500, "{read} read, {refused} refused");
}

/// What Cassandra's audit log would say of a statement: keyspace and name.
pub(crate) fn audited(statement: &Statement<'_>, session: Option<&str>) -> (Option<String>, Option<String>) {
    let some = |name: &str| Some(name.to_owned());
    let table =
        |table: &TableName<'_>| (table.keyspace.as_deref().or(session).map(str::to_owned), some(&table.name));
    let function = |function: &FunctionName<'_>| {
        (function.keyspace.as_deref().or(session).map(str::to_owned), some(&function.name))
    };
    match statement {
        Statement::Definition(definition) => match definition {
            Definition::CreateKeyspace(keyspace)
            | Definition::AlterKeyspace(keyspace)
            | Definition::DropKeyspace(keyspace) => (some(keyspace), None),
            Definition::CreateType(name)
            | Definition::AlterType(name)
            | Definition::DropType(name)
            | Definition::DropIndex(name) => table(name),
            // Named after the index.
            Definition::CreateIndex(index) => (table(&index.table).0, index.name.as_deref().and_then(some)),
            Definition::CreateFunction(create) => function(&create.function),
            Definition::CreateAggregate(create) => function(&create.function.function),
            Definition::DropFunction(drop) | Definition::DropAggregate(drop) => function(&drop.function),
            Definition::CreateTrigger(CreateTrigger { name, table: on, .. })
            | Definition::DropTrigger(DropTrigger { name, table: on }) => (table(on).0, some(name)),
            _ => statement.table().map_or((None, None), table),
        },
        Statement::Use(keyspace) => (some(keyspace), None),
        Statement::Access(Access::Grant(Grant { on, .. }) | Access::Revoke(Grant { on, .. })) => {
            let on = match on {
                NamedResource::Table(name) => {
                    let (keyspace, name) = table(name);
                    Resource::Table { keyspace: keyspace.unwrap().into(), table: name.unwrap().into() }
                }
                NamedResource::Other(resource) => resource.clone(),
            };
            let name = path(&on);
            let parent = match &on {
                Resource::Table { keyspace, .. } => format!("data/{keyspace}/*"),
                _ => name.rsplit_once('/').map_or(name.as_str(), |(parent, _)| parent).to_owned(),
            };
            (Some(parent), Some(name))
        }
        _ => match statement.table() {
            Some(name) => table(name),
            None => (session.map(str::to_owned), None),
        },
    }
}

/// One text for each place where a name may stand; `@` is the word.
const PLACES: [(&str, &str); 35] = [
    ("alias", "SELECT a AS @ FROM lx.t"),
    ("bind", "SELECT a FROM lx.t WHERE k = :@"),
    ("col_type", "CREATE TABLE lx.n (k int PRIMARY KEY, a @)"),
    ("create_col", "CREATE TABLE lx.n (@ int PRIMARY KEY)"),
    ("del_col", "DELETE @ FROM lx.t WHERE k = 1"),
    ("desc_table", "DESC TABLE @"),
    ("describe", "DESC @"),
    ("drop_table", "DROP TABLE @"),
    ("field", "SELECT u.@ FROM lx.t"),
    ("function", "SELECT @(a) FROM lx.t"),
    ("function_ks", "SELECT lx.@(a) FROM lx.t"),
    ("grant_table", "GRANT SELECT ON @ TO r1"),
    ("group_col", "SELECT a FROM lx.t GROUP BY @"),
    ("identity", "ADD IDENTITY @ TO ROLE 'r1'"),
    ("index", "CREATE INDEX @ ON lx.t (a)"),
    ("insert_col", "INSERT INTO lx.t (@) VALUES (1)"),
    ("insert_table", "INSERT INTO @ (a) VALUES (1)"),
    ("keyspace", "SELECT a FROM @.t"),
    ("language", "CREATE FUNCTION lx.f (a int) CALLED ON NULL INPUT RETURNS int LANGUAGE @ AS 'x'"),
    ("order_col", "SELECT a FROM lx.t WHERE k = 1 ORDER BY @"),
    ("prop_name", "ALTER TABLE lx.t WITH @ = 1"),
    ("prop_value", "ALTER TABLE lx.t WITH comment = @"),
    ("role", "DROP ROLE @"),
    ("sel_col", "SELECT @ FROM lx.t"),
    ("sel_col2", "SELECT a, @ FROM lx.t"),
    ("set_col", "UPDATE lx.t SET @ = 1 WHERE k = 1"),
    ("table", "SELECT a FROM lx.@"),
    ("table_unq", "SELECT a FROM @"),
    ("trigger", "DROP TRIGGER @ ON lx.t"),
    ("truncate", "TRUNCATE @"),
    ("type", "CREATE TYPE @ (a int)"),
    ("update_table", "UPDATE @ SET a = 1 WHERE k = 1"),
    ("use", "USE @"),
    ("user", "CREATE USER @"),
    ("where_col", "SELECT a FROM lx.t WHERE @ = 1"),
];

#[test]
fn words_are_names_where_cassandra_takes_them_for_names() {
    let mut wrong = Vec::new();
    for row in lines(include_str!("../data/words.jsonl")) {
        let word = row["word"].as_str().unwrap();
        let refused: Vec<_> =
            row["refused"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        for (place, text) in PLACES {
            // Cassandra's parser is done with a property's name before its meaning is refused.
            if place == "prop_name" {
                continue;
            }
            let text = text.replace('@', word);
            let outcome = parse(&text, &Limits::default());
            if outcome.is_err() != refused.contains(&place) {
                wrong.push(format!("{place}: {text}: {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
