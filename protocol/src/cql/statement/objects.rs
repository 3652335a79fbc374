//! Indexes, materialized views, user types and triggers.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Cursor, Parsed, comma_list, keyword, symbol};
use super::keyspace::{if_exists, if_not_exists};
use super::names::{any_column, any_name, bare_index, index, is_name, table, user_type};
use super::properties::{and_properties, properties};
use super::relation::where_clause;
use super::selector::selectors;
use super::table::{primary_key, renames, table_property};
use super::term::string_literal;
use super::types::any_type;
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// Behind `CREATE [CUSTOM] INDEX`.
pub(crate) fn create_index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = if_not_exists(input)?;
    let (rest, ()) = if rest.is(Keyword::On) { (rest, ()) } else { bare_index(rest)? };
    let (rest, _) = preceded(keyword(Keyword::On), table).parse(rest)?;
    let targets = opt(comma_list(index_target));
    let (rest, _) = delimited(symbol(Symbol::ParenOpen), targets, symbol(Symbol::ParenClose)).parse(rest)?;
    let (rest, _) = opt(preceded(keyword(Keyword::Using), cut(string_literal))).parse(rest)?;
    opt(preceded(keyword(Keyword::With), cut(properties))).map(drop).parse(rest)
}

/// A column, or its keys, values, entries or all of it.
fn index_target<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let wraps = matches!(
        input.kind(),
        TokenKind::Keyword(Keyword::Values | Keyword::Keys | Keyword::Entries | Keyword::Full)
    );
    if wraps && input.next().at(Symbol::ParenOpen) {
        return delimited(symbol(Symbol::ParenOpen), any_column, symbol(Symbol::ParenClose))
            .parse(input.next());
    }
    any_column(input)
}

/// Behind `DROP INDEX`.
pub(crate) fn drop_index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    preceded(if_exists, index).map(drop).parse(input)
}

/// Behind `CREATE MATERIALIZED VIEW`.
pub(crate) fn create_view<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = preceded(if_not_exists, table).parse(input)?;
    let (rest, _) = preceded((keyword(Keyword::As), keyword(Keyword::Select)), selectors).parse(rest)?;
    let (rest, _) = preceded(keyword(Keyword::From), table).parse(rest)?;
    let (rest, _) = opt(preceded(keyword(Keyword::Where), cut(where_clause))).parse(rest)?;
    let (rest, ()) = primary_key(rest)?;
    let property = |input: Cursor<'a, 'c>| {
        if input.is(Keyword::Compact) && input.next().is(Keyword::Storage) {
            return input.refuse("COMPACT STORAGE tables are not allowed starting with version 4.0");
        }
        table_property(input)
    };
    opt(preceded(keyword(Keyword::With), cut(and_properties(property)))).map(drop).parse(rest)
}

/// Behind `ALTER MATERIALIZED VIEW`.
pub(crate) fn alter_view<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = preceded(if_exists, table).parse(input)?;
    preceded(keyword(Keyword::With), properties).parse(rest)
}

/// Behind `DROP MATERIALIZED VIEW`.
pub(crate) fn drop_view<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    preceded(if_exists, table).map(drop).parse(input)
}

/// Behind `CREATE TYPE`.
pub(crate) fn create_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let field = |input| pair(any_name, any_type).parse(input);
    let (rest, ()) = preceded(if_not_exists, user_type).parse(input)?;
    // As in CREATE TABLE, slots behind a comma may be empty.
    let slots = many0_count(preceded(symbol(Symbol::Comma), optional(field)));
    delimited(symbol(Symbol::ParenOpen), pair(field, slots), symbol(Symbol::ParenClose)).map(drop).parse(rest)
}

/// An item of which nothing but a name can be the beginning: there or not, but whole.
fn optional<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    move |input| if is_name(input.kind()) { cut(&item).map(drop).parse(input) } else { Ok((input, ())) }
}

/// Behind `ALTER TYPE`.
pub(crate) fn alter_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, ()) = preceded(if_exists, user_type).parse(input)?;
    match rest.kind() {
        TokenKind::Keyword(Keyword::Alter) => {
            (any_name, keyword(Keyword::Type), any_type).map(drop).parse(rest.next())
        }
        TokenKind::Keyword(Keyword::Add) => (if_not_exists, any_name, any_type).map(drop).parse(rest.next()),
        TokenKind::Keyword(Keyword::Rename) => preceded(if_exists, renames).parse(rest.next()),
        _ => rest.fail(),
    }
}

/// Behind `DROP TYPE`.
pub(crate) fn drop_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    preceded(if_exists, user_type).parse(input)
}

/// Behind `CREATE TRIGGER`.
pub(crate) fn create_trigger<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = (if_not_exists, any_name, keyword(Keyword::On), table).parse(input)?;
    preceded(keyword(Keyword::Using), string_literal).map(drop).parse(rest)
}

/// Behind `DROP TRIGGER`.
pub(crate) fn drop_trigger<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    (if_exists, any_name, keyword(Keyword::On), table).map(drop).parse(input)
}

/// `OR REPLACE`, or nothing.
pub(crate) fn or_replace<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    opt(pair(keyword(Keyword::Or), cut(keyword(Keyword::Replace)))).map(|found| found.is_some()).parse(input)
}

/// Behind `CREATE [OR REPLACE] FUNCTION`.
pub(crate) fn create_function<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let argument = |input| pair(any_name, any_type).parse(input);
    let (rest, _) = preceded(if_not_exists, super::names::function).parse(input)?;
    let (rest, _) =
        delimited(symbol(Symbol::ParenOpen), opt(comma_list(argument)), symbol(Symbol::ParenClose))
            .parse(rest)?;
    let returns_null = pair(keyword(Keyword::Returns), keyword(Keyword::Null)).map(drop);
    let (rest, ()) = alt((returns_null, keyword(Keyword::Called))).parse(rest)?;
    let (rest, _) = (keyword(Keyword::On), keyword(Keyword::Null), keyword(Keyword::Input)).parse(rest)?;
    let (rest, ()) = preceded(keyword(Keyword::Returns), any_type).parse(rest)?;
    let language = preceded(keyword(Keyword::Language), super::cursor::token(TokenKind::Ident));
    (language, keyword(Keyword::As), string_literal).map(drop).parse(rest)
}

/// Behind `CREATE [OR REPLACE] AGGREGATE`.
pub(crate) fn create_aggregate<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = preceded(if_not_exists, super::names::function).parse(input)?;
    let (rest, ()) = signature(rest)?;
    let (rest, _) = preceded(keyword(Keyword::SFunc), super::names::bare_function).parse(rest)?;
    let (rest, ()) = preceded(keyword(Keyword::SType), any_type).parse(rest)?;
    let (rest, _) =
        opt(preceded(keyword(Keyword::FinalFunc), cut(super::names::bare_function))).parse(rest)?;
    opt(preceded(keyword(Keyword::InitCond), cut(super::term::value))).map(drop).parse(rest)
}

/// Behind `DROP FUNCTION` and `DROP AGGREGATE`.
pub(crate) fn drop_function<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = preceded(if_exists, super::names::function).parse(input)?;
    if rest.at(Symbol::ParenOpen) { signature(rest) } else { Ok((rest, ())) }
}

/// Types in parentheses, perhaps none.
pub(crate) fn signature<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    delimited(symbol(Symbol::ParenOpen), opt(comma_list(any_type)), symbol(Symbol::ParenClose))
        .map(drop)
        .parse(input)
}
