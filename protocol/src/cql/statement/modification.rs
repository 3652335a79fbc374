//! INSERT, UPDATE and DELETE.

use std::borrow::Cow;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Calls, Cursor, Parsed, and_list, comma_list, comma_nodes, keyword, symbol};
use super::names::{Name, TableName, column, column_node, field_name, name, starts_call, table};
use super::relation::{columns, conditions, element, used, where_clause};
use super::term::{integer, marker, string_literal, value_node};
use super::tree::{Node, NodeId, Place, Use};
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
        Self { text: start.text, table, conditional, calls, release, markers: end.markers }
    }
}

pub(crate) fn insert<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Modification<'a>> {
    let (rest, _) = pair(keyword(Keyword::Insert), cut(keyword(Keyword::Into))).parse(input)?;
    let (rest, table) = cut(table).parse(rest)?;
    let parenthesised = |rest: Cursor<'a, 'c>| {
        let (rest, names) = columns(rest)?;
        let (rest, ()) = keyword(Keyword::Values)(rest)?;
        let (rest, values) =
            delimited(symbol(Symbol::ParenOpen), comma_nodes(value_node), symbol(Symbol::ParenClose))
                .parse(rest)?;
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
    let (rest, conditional) = if_not_exists(rest)?;
    let (rest, _) = opt(using).parse(rest)?;
    Ok((rest, Modification::new(&input, &rest, table, conditional)))
}

pub(crate) fn update<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Modification<'a>> {
    let (rest, ()) = keyword(Keyword::Update)(input)?;
    let (rest, table) = cut(table).parse(rest)?;
    let (rest, _) = opt(using).parse(rest)?;
    let (rest, ()) = cut(keyword(Keyword::Set)).parse(rest)?;
    let (rest, ()) = cut(assignments).parse(rest)?;
    let (rest, conditional) = where_and_if(rest)?;
    Ok((rest, Modification::new(&input, &rest, table, conditional)))
}

pub(crate) fn delete<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Modification<'a>> {
    let (rest, ()) = keyword(Keyword::Delete)(input)?;
    let (rest, _) = if rest.is(Keyword::From) { (rest, 0) } else { cut(comma_list(deletion)).parse(rest)? };
    let (rest, ()) = cut(keyword(Keyword::From)).parse(rest)?;
    let (rest, table) = cut(table).parse(rest)?;
    let timestamp = (keyword(Keyword::Timestamp), integer);
    let (rest, _) = opt(preceded(keyword(Keyword::Using), cut(timestamp))).parse(rest)?;
    let (rest, conditional) = where_and_if(rest)?;
    Ok((rest, Modification::new(&input, &rest, table, conditional)))
}

fn if_not_exists<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    let not_exists = pair(keyword(Keyword::Not), keyword(Keyword::Exists));
    let (rest, found) = opt(preceded(keyword(Keyword::If), cut(not_exists))).parse(input)?;
    if found.is_some() {
        rest.draft(|row| row.if_exists = true);
    }
    Ok((rest, found.is_some()))
}

/// The WHERE clause that must be there, and whether an IF follows.
fn where_and_if<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    let (rest, ()) = cut(preceded(keyword(Keyword::Where), where_clause)).parse(input)?;
    opt(preceded(keyword(Keyword::If), cut(conditions))).map(|found| found.is_some()).parse(rest)
}

/// `USING TIMESTAMP 1 AND TTL 2`.
pub(crate) fn using<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let option =
        |input| pair(alt((keyword(Keyword::Timestamp), keyword(Keyword::Ttl))), integer).parse(input);
    preceded(keyword(Keyword::Using), cut(and_list(option))).map(drop).parse(input)
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
#[derive(Clone, PartialEq, Eq)]
enum Change<'a> {
    /// The whole column: goes with no other change of it.
    Whole,
    /// A field of a user type: goes with other fields.
    Field(Name<'a>),
    /// Elements: go with each other.
    Part,
}

impl Change<'_> {
    fn goes_with(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Whole, _) | (_, Self::Whole) => false,
            (Self::Field(one), Self::Field(other)) => one != other,
            _ => true,
        }
    }
}

/// So many assignments are compared with each other; the node compares them all.
const COMPARED: usize = 16;

fn assignments<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let mut seen: [Option<(Name<'a>, Change<'a>)>; COMPARED] = [const { None }; COMPARED];
    let mut rest = input;
    for place in 0.. {
        let start = rest;
        let (behind, (column, change)) = cut(assignment).parse(start)?;
        rest = behind;
        let clash =
            seen.iter().flatten().any(|(other, earlier)| *other == column && !earlier.goes_with(&change));
        if clash {
            return start.refuse("Multiple incompatible setting of a column");
        }
        if let Some(free) = seen.get_mut(place) {
            *free = Some((column, change));
        }
        if !rest.at(Symbol::Comma) {
            break;
        }
        rest = rest.next();
    }
    Ok((rest, ()))
}

fn assignment<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, (Name<'a>, Change<'a>)> {
    let (rest, target) = column(input)?;
    let columns = input.record(|| Node::Column(target.clone()));
    let (mut key, mut field) = (NodeId::NONE, None);
    let (rest, (change, values)) = match rest.kind() {
        TokenKind::Symbol(Symbol::Equal) => whole(rest.next(), &target)?,
        TokenKind::Symbol(Symbol::PlusEqual | Symbol::MinusEqual) => {
            value_node.map(|node| (Change::Part, node)).parse(rest.next())?
        }
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let (rest, found) = element(rest)?;
            key = found;
            preceded(symbol(Symbol::Equal), value_node).map(|node| (Change::Part, node)).parse(rest)?
        }
        TokenKind::Symbol(Symbol::Dot) => {
            let (rest, found) = name(rest.next())?;
            field = Some(found.clone());
            let (rest, node) = preceded(symbol(Symbol::Equal), value_node).parse(rest)?;
            (rest, (Change::Field(found), node))
        }
        _ => return rest.fail(),
    };
    input.draft(|row| row.uses.push(Use { place: Place::Set, columns, key, field, values }));
    Ok((rest, (target, change)))
}

/// Behind `column =`: a value, a value + the column, the column + or - a value. Returns the value's node.
fn whole<'a: 'c, 'c>(input: Cursor<'a, 'c>, target: &Name<'a>) -> Parsed<'a, 'c, (Change<'a>, NodeId)> {
    let same = |at: &Cursor<'a, 'c>, column: &Cow<'a, str>| {
        if column == target {
            Ok(())
        } else {
            at.refuse::<()>("Only expressions of the form X = X +<value> are supported.").map(drop)
        }
    };
    if !starts_call(&input)
        && let Ok((rest, operand)) = column(input)
    {
        match rest.kind() {
            TokenKind::Symbol(Symbol::Plus | Symbol::Minus) => {
                same(&input, &operand)?;
                return value_node.map(|node| (Change::Part, node)).parse(rest.next());
            }
            // `n -3` is a name and the integer -3.
            TokenKind::Integer => {
                same(&input, &operand)?;
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
    let (rest, added) = column(operand)?;
    same(&operand, &added)?;
    Ok((rest, (Change::Part, node)))
}
