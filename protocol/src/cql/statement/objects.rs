//! Indexes, materialized views, user types and triggers.

use std::cell::Cell;

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Cursor, Parsed};
use super::definition::{CreateIndex, CreateTrigger, CreateView, DropTrigger};
use super::keyspace::{alter_if_exists, alter_if_not_exists, if_exists, if_not_exists};
use super::limits::INDEX_MARGIN;
use super::names::{
    Name, TableName, any_name, column, index, is_name, name, new_column, new_index, new_table, new_trigger,
    new_type, table, user_type, within,
};
use super::parsers::{behind_commas, comma_list, keyword, symbol};
use super::properties::{and_properties, properties};
use super::relation::where_clause;
use super::selector::selectors;
use super::table::{primary_key, renames, table_property};
use super::term::string_literal;
use super::types::any_type;
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// Behind `CREATE [CUSTOM] INDEX`.
pub(crate) fn create_index<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
    custom: bool,
) -> Parsed<'a, 'c, CreateIndex<'a>> {
    let (rest, _) = if_not_exists(input)?;
    let (rest, name) = if rest.is(Keyword::On) { (rest, None) } else { new_index.map(Some).parse(rest)? };
    let (rest, table) = preceded(keyword(Keyword::On), table).parse(rest)?;
    let longest = Cell::new(0);
    let target = |input: Cursor<'a, 'c>| {
        let (rest, column) = index_target(input)?;
        longest.set(longest.get().max(column.len()));
        Ok((rest, ()))
    };
    let targets = opt(comma_list(target));
    let (rest, _) = delimited(symbol(Symbol::ParenOpen), targets, symbol(Symbol::ParenClose)).parse(rest)?;
    let (rest, class) = opt(preceded(keyword(Keyword::Using), cut(string_literal))).parse(rest)?;
    // Without a name a node calls it `table_column_idx`.
    let named = table.name.len() + longest.get() + "__idx".len();
    let bytes = name.as_ref().map_or(named, |name| name.len());
    let margin = if class.is_some() { INDEX_MARGIN } else { 0 };
    within(&input, bytes, input.context.limits.name.saturating_sub(margin))?;
    let (rest, _) = opt(preceded(keyword(Keyword::With), cut(properties))).parse(rest)?;
    Ok((rest, CreateIndex { name, table, class, custom }))
}

/// A column, or its keys, values, entries or all of it.
fn index_target<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let wraps = matches!(
        input.kind(),
        TokenKind::Keyword(Keyword::Values | Keyword::Keys | Keyword::Entries | Keyword::Full)
    );
    if wraps && input.next().at(Symbol::ParenOpen) {
        return delimited(symbol(Symbol::ParenOpen), column, symbol(Symbol::ParenClose)).parse(input.next());
    }
    column(input)
}

/// Behind `DROP INDEX`.
pub(crate) fn drop_index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    preceded(if_exists, index).parse(input)
}

/// Behind `CREATE MATERIALIZED VIEW`.
pub(crate) fn create_view<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, CreateView<'a>> {
    let (rest, view) = preceded(if_not_exists, new_table).parse(input)?;
    let (rest, _) = preceded((keyword(Keyword::As), keyword(Keyword::Select)), selectors).parse(rest)?;
    let (rest, base) = preceded(keyword(Keyword::From), table).parse(rest)?;
    let (rest, _) = opt(preceded(keyword(Keyword::Where), cut(where_clause))).parse(rest)?;
    let (rest, ()) = primary_key(rest)?;
    let property = |input: Cursor<'a, 'c>| {
        if input.is(Keyword::Compact) && input.next().is(Keyword::Storage) {
            return input.refuse("COMPACT STORAGE tables are not allowed starting with version 4.0");
        }
        table_property(input)
    };
    let (rest, _) = opt(preceded(keyword(Keyword::With), cut(and_properties(property)))).parse(rest)?;
    Ok((rest, CreateView { view, base }))
}

/// Behind `ALTER MATERIALIZED VIEW`.
pub(crate) fn alter_view<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, view) = preceded(alter_if_exists, table).parse(input)?;
    let (rest, ()) = preceded(keyword(Keyword::With), properties).parse(rest)?;
    Ok((rest, view))
}

/// Behind `DROP MATERIALIZED VIEW`.
pub(crate) fn drop_view<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    preceded(if_exists, table).parse(input)
}

/// Behind `CREATE TYPE`.
pub(crate) fn create_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let field = |input| pair(new_column, any_type).parse(input);
    let (rest, user_type) = preceded(if_not_exists, new_type).parse(input)?;
    // As in CREATE TABLE, slots behind a comma may be empty.
    let slots = behind_commas(optional(field));
    let (rest, _) =
        delimited(symbol(Symbol::ParenOpen), pair(field, slots), symbol(Symbol::ParenClose)).parse(rest)?;
    Ok((rest, user_type))
}

/// An item of which nothing but a name can be the beginning: there or not, but whole.
fn optional<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    move |input| if is_name(input.kind()) { cut(&item).map(drop).parse(input) } else { Ok((input, ())) }
}

/// Behind `ALTER TYPE`.
pub(crate) fn alter_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, user_type) = preceded(alter_if_exists, user_type).parse(input)?;
    let (rest, ()) = match rest.kind() {
        TokenKind::Keyword(Keyword::Alter) => {
            (any_name, keyword(Keyword::Type), any_type).map(drop).parse(rest.next())
        }
        TokenKind::Keyword(Keyword::Add) => {
            (alter_if_not_exists, new_column, any_type).map(drop).parse(rest.next())
        }
        TokenKind::Keyword(Keyword::Rename) => preceded(alter_if_exists, renames).parse(rest.next()),
        _ => rest.fail(),
    }?;
    Ok((rest, user_type))
}

/// Behind `DROP TYPE`.
pub(crate) fn drop_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    preceded(if_exists, user_type).parse(input)
}

/// Behind `CREATE TRIGGER`.
pub(crate) fn create_trigger<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, CreateTrigger<'a>> {
    let (rest, (_, name, (), table)) =
        (if_not_exists, new_trigger, keyword(Keyword::On), table).parse(input)?;
    let (rest, class) = preceded(keyword(Keyword::Using), string_literal).parse(rest)?;
    Ok((rest, CreateTrigger { name, table, class }))
}

/// Behind `DROP TRIGGER`.
pub(crate) fn drop_trigger<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, DropTrigger<'a>> {
    let (rest, (_, name, (), table)) = (if_exists, name, keyword(Keyword::On), table).parse(input)?;
    Ok((rest, DropTrigger { name, table }))
}
