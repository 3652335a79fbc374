//! CREATE, ALTER, DROP and TRUNCATE of tables.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Cursor, Parsed};
use super::keyspace::{alter_if_exists, alter_if_not_exists, if_exists, if_not_exists};
use super::names::{Name, TableName, any_column, any_name, function, new_column, new_table, table};
use super::parsers::{and_list, behind_commas, comma_list, keyword, symbol, token};
use super::properties::{and_properties, properties, property};
use super::term::value;
use super::types::any_type;
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// `TRUNCATE [TABLE] t`.
pub(crate) fn truncate<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let head = pair(keyword(Keyword::Truncate), opt(keyword(Keyword::ColumnFamily)));
    preceded(head, cut(table)).parse(input)
}

/// Behind `CREATE TABLE`.
pub(crate) fn create<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, table) = preceded(if_not_exists, new_table).parse(input)?;
    let slots = behind_commas(|input| opt(column_or_key).parse(input));
    let (rest, _) =
        delimited(symbol(Symbol::ParenOpen), pair(column_or_key, slots), symbol(Symbol::ParenClose))
            .parse(rest)?;
    let (rest, _) = opt(preceded(keyword(Keyword::With), cut(and_properties(table_property)))).parse(rest)?;
    Ok((rest, table))
}

/// Behind `DROP TABLE`.
pub(crate) fn drop<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    preceded(if_exists, table).parse(input)
}

fn column_or_key<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if input.is(Keyword::Primary) {
        return cut(primary_key).parse(input);
    }
    let (rest, ()) = new_column(input)?;
    let (rest, ()) = cut(any_type).parse(rest)?;
    let (rest, _) = opt(keyword(Keyword::Static)).parse(rest)?;
    let (rest, _) = opt(mask).parse(rest)?;
    opt(pair(keyword(Keyword::Primary), cut(keyword(Keyword::Key)))).map(std::mem::drop).parse(rest)
}

/// `PRIMARY KEY ((a, b), c)`.
pub(crate) fn primary_key<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let composite = delimited(symbol(Symbol::ParenOpen), comma_list(any_name), symbol(Symbol::ParenClose));
    let partition = alt((any_name, composite));
    let clustering = behind_commas(any_name);
    let inside =
        delimited(symbol(Symbol::ParenOpen), pair(partition, clustering), symbol(Symbol::ParenClose));
    preceded((keyword(Keyword::Primary), keyword(Keyword::Key)), inside).map(std::mem::drop).parse(input)
}

/// `MASKED WITH f(..)` or `MASKED WITH DEFAULT`.
fn mask<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = pair(keyword(Keyword::Masked), cut(keyword(Keyword::With))).parse(input)?;
    if rest.is(Keyword::Default) && !rest.next().at(Symbol::ParenOpen) && !rest.next().at(Symbol::Dot) {
        return Ok((rest.next(), ()));
    }
    let arguments = delimited(symbol(Symbol::ParenOpen), opt(comma_list(value)), symbol(Symbol::ParenClose));
    cut(pair(function, arguments)).map(std::mem::drop).parse(rest)
}

/// A property of a table or view: also COMPACT STORAGE and CLUSTERING ORDER.
pub(crate) fn table_property<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Option<Name<'a>>> {
    let next = input.next();
    if input.is(Keyword::Compact) && next.is(Keyword::Storage) {
        return Ok((next.next(), None));
    }
    if input.is(Keyword::Clustering) && next.is(Keyword::Order) {
        return cut(preceded(keyword(Keyword::By), ordered_columns)).map(|()| None).parse(next.next());
    }
    property.map(Some).parse(input)
}

fn ordered_columns<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let order = |input| pair(any_name, alt((keyword(Keyword::Asc), keyword(Keyword::Desc)))).parse(input);
    delimited(symbol(Symbol::ParenOpen), comma_list(order), symbol(Symbol::ParenClose)).parse(input)
}

/// Behind `ALTER TABLE`.
pub(crate) fn alter<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, table) = preceded(alter_if_exists, table).parse(input)?;
    let (rest, ()) = match rest.kind() {
        TokenKind::Keyword(Keyword::Alter) => alter_column(rest.next())?,
        TokenKind::Keyword(Keyword::Add) => add_columns(rest.next())?,
        TokenKind::Keyword(Keyword::Drop) => drop_columns(rest.next())?,
        TokenKind::Keyword(Keyword::Rename) => rename_columns(rest.next())?,
        TokenKind::Keyword(Keyword::With) => properties(rest.next())?,
        _ => return rest.fail(),
    };
    Ok((rest, table))
}

fn alter_column<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, conditional) = alter_if_exists(input)?;
    let (rest, ()) = any_column(rest)?;
    if rest.is(Keyword::Type) && !conditional {
        return any_type(rest.next());
    }
    if rest.is(Keyword::Drop) {
        return keyword(Keyword::Masked)(rest.next());
    }
    mask(rest)
}

fn add_columns<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let column = |input| (new_column, any_type, opt(keyword(Keyword::Static)), opt(mask)).parse(input);
    let (rest, _) = alter_if_not_exists(input)?;
    if rest.at(Symbol::ParenOpen) {
        return delimited(symbol(Symbol::ParenOpen), comma_list(column), symbol(Symbol::ParenClose))
            .parse(rest);
    }
    column.map(std::mem::drop).parse(rest)
}

fn drop_columns<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if input.is(Keyword::Compact) && input.next().is(Keyword::Storage) {
        return Ok((input.next().next(), ()));
    }
    let (rest, _) = alter_if_exists(input)?;
    let several = delimited(symbol(Symbol::ParenOpen), comma_list(any_name), symbol(Symbol::ParenClose));
    let (rest, ()) = alt((any_name, several)).parse(rest)?;
    let timestamp = (keyword(Keyword::Timestamp), token(TokenKind::Integer));
    opt(preceded(keyword(Keyword::Using), cut(timestamp))).map(std::mem::drop).parse(rest)
}

fn rename_columns<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, _) = alter_if_exists(input)?;
    renames(rest)
}

/// `a TO b AND c TO d`.
pub(crate) fn renames<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let rename = |input| (any_name, keyword(Keyword::To), new_column).parse(input);
    and_list(rename)(input)
}
