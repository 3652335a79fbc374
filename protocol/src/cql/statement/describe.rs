//! DESCRIBE, which Cassandra answers itself since 4.0.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{pair, preceded};

use super::cursor::{Cursor, Parsed, keyword, symbol};
use super::names::{any_name, function, is_name, keyspace, table, user_type};
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// Behind `DESCRIBE` or `DESC`.
pub(crate) fn describe<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, ()) = described(input)?;
    opt(pair(keyword(Keyword::With), cut(keyword(Keyword::Internals)))).map(drop).parse(rest)
}

fn described<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let TokenKind::Keyword(word) = input.kind() else { return anything(input) };
    let next = input.next();
    // TYPE, FUNCTION and AGGREGATE are names too, of something that ends or goes on with a dot.
    let names_one = is_name(next.kind()) || next.is(Keyword::Token);
    match word {
        Keyword::Cluster
        | Keyword::Schema
        | Keyword::Keyspaces
        | Keyword::ColumnFamilies
        | Keyword::Types
        | Keyword::Functions
        | Keyword::Aggregates => Ok((next, ())),
        Keyword::Full => keyword(Keyword::Schema)(next),
        Keyword::Only if next.is(Keyword::Keyspace) => one_keyspace(next.next()),
        Keyword::Keyspace => one_keyspace(next),
        Keyword::ColumnFamily | Keyword::Index => table.map(drop).parse(next),
        Keyword::Materialized => preceded(keyword(Keyword::View), table).map(drop).parse(next),
        Keyword::Type if names_one => user_type(next),
        Keyword::Function | Keyword::Aggregate if names_one => function.map(drop).parse(next),
        _ => anything(input),
    }
}

fn one_keyspace<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if is_name(input.kind()) || input.at(Symbol::Question) {
        return keyspace.map(drop).parse(input);
    }
    Ok((input, ()))
}

/// Whatever is called so, in its keyspace or not.
fn anything<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    pair(any_name, opt(preceded(symbol(Symbol::Dot), cut(any_name)))).map(drop).parse(input)
}
