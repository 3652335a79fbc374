//! INSERT, UPDATE and DELETE.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};
use smallvec::SmallVec;

use super::called::Calls;
use super::cursor::{Cursor, Parsed};
use super::names::{TableName, any_column, column_node, field_name, is_name, same_name, starts_call, table};
use super::parsers::{behind_plain_items, comma_list, keyword, symbol};
use super::relation::{columns, conditions, element, used, where_clause};
use super::term::{integer, is_plain, marker, string_literal, value_node, value_nodes};
use super::tree::{NodeId, Place, Use};
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, TokenKind};

/// An INSERT, UPDATE or DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modification<'a> {
    pub(crate) text: &'a str,
    /// The table that is changed.
    pub table: TableName<'a>,
    /// There is an IF: what is there is read before it is changed.
    pub conditional: bool,
    pub(crate) calls: Calls,
    pub(crate) release: Release,
    pub(crate) markers: usize,
}

impl<'a> Modification<'a> {
    fn new(start: &Cursor<'a, '_>, end: &Cursor<'a, '_>, table: TableName<'a>, conditional: bool) -> Self {
        let (calls, release) = (start.context.calls.take(), start.context.limits.release);
        start.finish();
        Self { text: start.text(), table, conditional, calls, release, markers: end.markers() }
    }
}

pub(crate) fn insert<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Modification<'a>> {
    let (rest, _) = pair(keyword(Keyword::Insert), cut(keyword(Keyword::Into))).parse(input)?;
    let (rest, table) = cut(table).parse(rest)?;
    let parenthesised = |rest: Cursor<'a, 'c>| {
        let (rest, names) = columns(rest)?;
        let (rest, ()) = keyword(Keyword::Values)(rest)?;
        let (rest, values) =
            delimited(symbol(Symbol::ParenOpen), value_nodes, symbol(Symbol::ParenClose)).parse(rest)?;
        used(&rest, Place::Insert, names, NodeId::NONE, values);
        Ok((rest, ()))
    };
    let json = |rest: Cursor<'a, 'c>| {
        let (rest, ()) = alt((string_literal.map(drop), marker.map(drop))).parse(rest)?;
        let default = alt((keyword(Keyword::Null), keyword(Keyword::Unset)));
        opt(preceded(keyword(Keyword::Default), cut(default))).map(drop).parse(rest)
    };
    let (rest, ()) = if rest.is(Keyword::Json) {
        rest.draft(|row| row.json = true);
        cut(json).parse(rest.next())?
    } else {
        cut(parenthesised).parse(rest)?
    };
    let (rest, conditional) =
        if rest.is(Keyword::If) { cut(if_not_exists).parse(rest)? } else { (rest, false) };
    let (rest, ()) = if rest.is(Keyword::Using) { using(rest)? } else { (rest, ()) };
    Ok((rest, Modification::new(&input, &rest, table, conditional)))
}

pub(crate) fn update<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Modification<'a>> {
    let (rest, ()) = keyword(Keyword::Update)(input)?;
    let (rest, table) = cut(table).parse(rest)?;
    let (rest, ()) = if rest.is(Keyword::Using) { using(rest)? } else { (rest, ()) };
    let (rest, ()) = cut(keyword(Keyword::Set)).parse(rest)?;
    let (rest, ()) = cut(assignments).parse(rest)?;
    let (rest, conditional) = where_and_if(rest)?;
    Ok((rest, Modification::new(&input, &rest, table, conditional)))
}

pub(crate) fn delete<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Modification<'a>> {
    let (rest, ()) = keyword(Keyword::Delete)(input)?;
    let (rest, ()) = if rest.is(Keyword::From) {
        (rest, ())
    } else {
        cut(comma_list(deletion)).parse(behind_plain_items(rest, is_name))?
    };
    let (rest, ()) = cut(keyword(Keyword::From)).parse(rest)?;
    let (rest, table) = cut(table).parse(rest)?;
    let rest = if rest.is(Keyword::Using) {
        let timestamp = preceded(keyword(Keyword::Timestamp), integer);
        cut(timestamp).parse(rest.next())?.0
    } else {
        rest
    };
    let (rest, conditional) = where_and_if(rest)?;
    Ok((rest, Modification::new(&input, &rest, table, conditional)))
}

/// `IF NOT EXISTS`: true.
fn if_not_exists<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    let (rest, ()) = keyword(Keyword::If)(input)?;
    let (rest, ()) = keyword(Keyword::Not)(rest)?;
    let (rest, ()) = keyword(Keyword::Exists)(rest)?;
    rest.draft(|row| row.if_exists = true);
    Ok((rest, true))
}

/// The WHERE clause that must be there, and whether an IF follows.
fn where_and_if<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    let (rest, ()) = cut(keyword(Keyword::Where)).parse(input)?;
    let (rest, ()) = cut(where_clause).parse(rest)?;
    if !rest.is(Keyword::If) {
        return Ok((rest, false));
    }
    cut(conditions).map(|()| true).parse(rest.next())
}

/// `USING TIMESTAMP 1 AND TTL 2`.
pub(crate) fn using<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (mut rest, ()) = keyword(Keyword::Using)(input)?;
    loop {
        let value =
            if rest.is(Keyword::Timestamp) { rest.next() } else { cut(keyword(Keyword::Ttl)).parse(rest)?.0 };
        rest = cut(integer).parse(value)?.0;
        if !rest.is(Keyword::And) {
            return Ok((rest, ()));
        }
        rest = rest.next();
    }
}

/// What a DELETE removes of a row: a column, an element, a field.
fn deletion<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, columns) = column_node(input)?;
    let (mut key, mut field) = (NodeId::NONE, None);
    let rest = match rest.kind() {
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let (rest, found) = cut(element).parse(rest)?;
            key = found;
            rest
        }
        TokenKind::Symbol(Symbol::Dot) => {
            let (rest, found) = cut(field_name).parse(rest.next())?;
            field = found;
            rest
        }
        _ => rest,
    };
    input.draft(|row| {
        row.uses.push(Use { place: Place::Delete, columns, key, field, values: NodeId::NONE });
    });
    Ok((rest, ()))
}

/// How an assignment changes its column; Cassandra refuses some pairs of them as it parses.
#[derive(Clone, Copy)]
enum Change<'a, 'c> {
    /// The whole column: goes with no other change of it.
    Whole,
    /// A field of a user type, which is named there: goes with other fields.
    Field(Cursor<'a, 'c>),
    /// Elements: go with each other.
    Part,
}

/// An assignment that was read: its column is named there.
#[derive(Clone, Copy)]
struct Assigned<'a, 'c> {
    column: Cursor<'a, 'c>,
    change: Change<'a, 'c>,
}

impl<'a: 'c, 'c> Assigned<'a, 'c> {
    fn goes_with(&self, later: &Self) -> bool {
        if !same_name(&self.column, &later.column) {
            return true;
        }
        match (self.change, later.change) {
            (Change::Whole, _) | (_, Change::Whole) => false,
            (Change::Field(one), Change::Field(other)) => !same_name(&one, &other),
            _ => true,
        }
    }
}

/// So many assignments are compared with each other; the node compares them all.
const COMPARED: usize = 16;

fn assignments<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let mut seen: SmallVec<[Assigned<'a, 'c>; COMPARED]> = SmallVec::new();
    let mut start = input;
    loop {
        let (rest, assigned) = match plain_assignment(start) {
            Some(found) => found,
            None => cut(assignment).parse(start)?,
        };
        if !seen.iter().all(|earlier| earlier.goes_with(&assigned)) {
            return start.refuse("Multiple incompatible setting of a column");
        }
        if seen.len() < COMPARED {
            seen.push(assigned);
        }
        if !rest.at(Symbol::Comma) {
            return Ok((rest, ()));
        }
        start = rest.next();
    }
}

/// `column = value` and nothing around them, if nothing is recorded: what most assignments are.
fn plain_assignment<'a: 'c, 'c>(column: Cursor<'a, 'c>) -> Option<(Cursor<'a, 'c>, Assigned<'a, 'c>)> {
    let equal = column.next();
    if column.context.records() || !is_name(column.kind()) || !equal.at(Symbol::Equal) {
        return None;
    }
    let value = equal.next();
    let rest = value.next();
    if !is_plain(value.kind()) || !(rest.at(Symbol::Comma) || rest.is(Keyword::Where)) {
        return None;
    }
    let rest = if value.at(Symbol::Question) { rest.behind_marker() } else { rest };
    Some((rest, Assigned { column, change: Change::Whole }))
}

fn assignment<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Assigned<'a, 'c>> {
    let (rest, columns) = column_node(input)?;
    let (mut key, mut field) = (NodeId::NONE, None);
    let (rest, (change, values)) = match rest.kind() {
        TokenKind::Symbol(Symbol::Equal) => whole(rest.next(), &input)?,
        TokenKind::Symbol(Symbol::PlusEqual | Symbol::MinusEqual) => {
            value_node.map(|node| (Change::Part, node)).parse(rest.next())?
        }
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let (rest, found) = element(rest)?;
            key = found;
            preceded(symbol(Symbol::Equal), value_node).map(|node| (Change::Part, node)).parse(rest)?
        }
        TokenKind::Symbol(Symbol::Dot) => {
            let named = rest.next();
            let (rest, found) = field_name(named)?;
            field = found;
            preceded(symbol(Symbol::Equal), value_node)
                .map(|node| (Change::Field(named), node))
                .parse(rest)?
        }
        _ => return rest.fail(),
    };
    input.draft(|row| row.uses.push(Use { place: Place::Set, columns, key, field, values }));
    Ok((rest, Assigned { column: input, change }))
}

/// Behind `column =`: a value, a value + the column, the column + or - a value. Returns the value's node.
fn whole<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
    target: &Cursor<'a, 'c>,
) -> Parsed<'a, 'c, (Change<'a, 'c>, NodeId)> {
    let same = |at: &Cursor<'a, 'c>| {
        if same_name(at, target) {
            Ok(())
        } else {
            at.refuse::<()>("Only expressions of the form X = X +<value> are supported.").map(drop)
        }
    };
    if let Ok((rest, ())) = any_column(input)
        && !starts_call(&input)
    {
        match rest.kind() {
            TokenKind::Symbol(Symbol::Plus | Symbol::Minus) => {
                same(&input)?;
                return value_node.map(|node| (Change::Part, node)).parse(rest.next());
            }
            // `n -3` is a name and the integer -3.
            TokenKind::Integer => {
                same(&input)?;
                return Ok((rest.next(), (Change::Part, NodeId::NONE)));
            }
            _ => {}
        }
    }
    let (rest, node) = value_node(input)?;
    if !rest.at(Symbol::Plus) {
        return Ok((rest, (Change::Whole, node)));
    }
    let operand = rest.next();
    let (rest, ()) = any_column(operand)?;
    same(&operand)?;
    Ok((rest, (Change::Part, node)))
}
