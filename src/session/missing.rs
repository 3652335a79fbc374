//! DROP and ALTER of what is not there: Cassandra asks for no permission and does nothing.
//!
//! The node decides and acts later than the gateway, and what is made between the two would be dropped without
//! a verdict. So the gateway gives the node's answer itself, and nothing is forwarded.

use cqlgate_protocol::cql::keyword::Keyword;
use cqlgate_protocol::cql::lexer::{TokenKind, next_token};
use cqlgate_protocol::cql::statement::{Definition, DropFunction};
use cqlgate_protocol::cql::{Limits, Statement};

/// What a node says to a statement of which the name does not exist: nothing, if it says IF EXISTS. `None`: it is
/// no such statement.
pub(super) fn answer(text: &str, keyspace: Option<&str>, limits: &Limits) -> Option<Result<(), String>> {
    let statement = cqlgate_protocol::cql::parse(text, limits).ok()?;
    let Statement::Definition(definition) = &statement else { return None };
    let within = |of: Option<&str>| of.or(keyspace).unwrap_or_default().to_owned();
    let told = match definition {
        // With the quotation mark that Cassandra has there.
        Definition::DropIndex(of) => {
            format!("Index '{}.{}' doesn't exist'", within(of.keyspace.as_deref()), of.name)
        }
        Definition::AlterView(of) | Definition::DropView(of) => {
            format!("Materialized view '{}.{}' doesn't exist", within(of.keyspace.as_deref()), of.name)
        }
        Definition::DropFunction(of) => routine("Function", of, within),
        Definition::DropAggregate(of) => routine("Aggregate", of, within),
        _ => return None,
    };
    Some(if says_if_exists(text) { Ok(()) } else { Err(told) })
}

fn routine(word: &str, of: &DropFunction<'_>, within: impl Fn(Option<&str>) -> String) -> String {
    let keyspace = within(of.function.keyspace.as_deref());
    let arguments = of.arguments.as_ref().map_or_else(String::new, |list| format!("({})", list.join(", ")));
    format!("{word} '{keyspace}.{}{arguments}' doesn't exist", of.function.name)
}

/// Whether IF stands behind the words that say what is dropped: no name can be called so.
fn says_if_exists(text: &str) -> bool {
    /// `DROP MATERIALIZED VIEW IF`
    const WORDS: usize = 4;
    let mut at = 0;
    for _ in 0..WORDS {
        let token = next_token(text, at);
        if token.kind == TokenKind::Keyword(Keyword::If) {
            return true;
        }
        at = token.end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_as_a_node_tells_it() {
        let told = |text: &str| answer(text, Some("o2"), &Limits::default());
        for (text, expected) in [
            ("DROP INDEX o1.nosuch", "Index 'o1.nosuch' doesn't exist'"),
            ("DROP INDEX ix_v", "Index 'o2.ix_v' doesn't exist'"),
            ("DROP MATERIALIZED VIEW o1.v", "Materialized view 'o1.v' doesn't exist"),
            ("ALTER MATERIALIZED VIEW v WITH comment = ''", "Materialized view 'o2.v' doesn't exist"),
            ("DROP FUNCTION o1.f1(double)", "Function 'o1.f1(double)' doesn't exist"),
            ("DROP FUNCTION f1", "Function 'o2.f1' doesn't exist"),
            ("DROP AGGREGATE f1", "Aggregate 'o2.f1' doesn't exist"),
        ] {
            assert_eq!(told(text), Some(Err(expected.to_owned())), "{text}");
        }
        for text in [
            "DROP INDEX IF EXISTS o1.nosuch",
            "DROP /* x */ MATERIALIZED VIEW if exists v",
            "drop function IF EXISTS f(int)",
        ] {
            assert_eq!(told(text), Some(Ok(())), "{text}");
        }
        for text in ["DROP TABLE IF EXISTS t", "SELECT a FROM t", "no cql"] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
