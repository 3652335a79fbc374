//! Statements written anew: one blank between two tokens, reserved words in capitals, names in quotes.
//!
//! Shared by the tests here, the fuzz target of statements and the comparison with Cassandra's parsers.

use cqlgate_protocol::cql::keyword::{Class, Release};
use cqlgate_protocol::cql::lexer::{TokenKind, next_token};
use cqlgate_protocol::cql::statement::{Category, Modification, Term};
use cqlgate_protocol::cql::{Kind, Limits, Statement, parse};

/// The tokens of a text, written anew; `None` if a part of it is no token.
pub(super) fn printed(text: &str, release: Release, quotes_names: bool) -> Option<String> {
    let mut printed = String::new();
    let mut position = 0;
    loop {
        let token = next_token(text, position);
        let slice = &text[token.start..token.end];
        if !printed.is_empty() && token.kind != TokenKind::End {
            printed.push(' ');
        }
        let plain = match token.kind {
            TokenKind::Keyword(keyword) => keyword.since() > release,
            kind => kind == TokenKind::Ident,
        };
        match token.kind {
            TokenKind::End => return Some(printed),
            TokenKind::Bad(_) => return None,
            _ if plain && quotes_names => printed.extend(["\"", &slice.to_ascii_lowercase(), "\""]),
            // Others may be names of functions, which keep their case.
            TokenKind::Keyword(keyword) if keyword.class() == Class::Reserved => {
                printed.push_str(&slice.to_ascii_uppercase());
            }
            _ => printed.push_str(slice),
        }
        position = token.end;
    }
}

/// Reads a text, writes it anew and reads that; both must be the same.
pub(super) fn check(text: &str, limits: &Limits) {
    let Ok(statement) = parse(text, limits) else { return };
    // The names of users, identities and languages are never quoted.
    let quotes = statement.kind().category() != Category::Other && statement.kind() != Kind::CreateFunction;
    for quotes_names in [false, quotes] {
        let again = printed(text, limits.release, quotes_names).expect("what was read has no bad token");
        match parse(&again, limits) {
            Ok(other) => {
                let release = limits.release;
                assert_eq!(meaning(&other, release), meaning(&statement, release), "{text:?} as {again:?}");
            }
            // Quotes and blanks may make a text longer than a text may be.
            Err(_) if again.len() > limits.text => {}
            Err(error) => panic!("{text:?} was read, {again:?} is not: {error}"),
        }
    }
}

/// What a statement says, without where it says it.
fn meaning(statement: &Statement<'_>, release: Release) -> String {
    let markers: Vec<_> = statement.bind_markers().collect();
    let named = (statement.called_functions(), statement.restricted_columns());
    let of = |change: &Modification<'_>| format!("{:?} {}", change.table, change.conditional);
    let details = match statement {
        Statement::Select(select) => {
            let selectors: Vec<_> = select
                .selectors()
                .map(|selector| format!("{} AS {:?}", written(selector.text, release), selector.alias))
                .collect();
            let restrictions: Vec<_> = select
                .restrictions()
                .map(|r| format!("{:?} {:?} {}", r.subject, r.operator, value(&r.value, release)))
                .collect();
            format!(
                "{:?} {} {} {selectors:?} {restrictions:?} {:?} {:?}",
                select.table,
                select.json,
                select.distinct,
                [
                    select.allow_filtering,
                    select.has_group_by,
                    select.has_order_by,
                    select.has_per_partition_limit
                ],
                select.limit(),
            )
        }
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => of(change),
        Statement::Batch(batch) => batch.children.iter().map(of).collect::<Vec<_>>().join(", "),
        other => format!("{other:?}"),
    };
    format!("{} {details} {markers:?} {named:?}", statement.kind())
}

fn value(term: &Term<'_>, release: Release) -> String {
    match term {
        Term::Other(text) => written(text, release),
        Term::List(terms) => terms.clone().map(|term| value(&term, release)).collect::<Vec<_>>().join(", "),
        other => format!("{other:?}"),
    }
}

/// A part of a text, written in one way however it is written.
fn written(text: &str, release: Release) -> String {
    // Quoted and plain names are told apart by nothing but their quotes, if they are in lower case.
    printed(text, release, true).unwrap_or_default().replace('"', "")
}
