//! What stands behind WITH of a definition.

use std::cell::RefCell;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, separated_pair};

use super::cursor::{Cursor, Parsed};
use super::names::{Name, is_name, name};
use super::parsers::{and_list, comma_list, symbol};
use super::term::constant;
use crate::cql::lexer::{Symbol, TokenKind};

/// `name = value` joined by AND.
pub(crate) fn properties<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    and_properties(|input| property.map(Some).parse(input)).parse(input)
}

/// One property, and its name: its value is a constant, an unreserved word or a map of constants.
pub(crate) fn property<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let value = cut(alt((constant.map(drop), word, map)));
    separated_pair(name, symbol(Symbol::Equal), value).map(|(name, ())| name).parse(input)
}

/// So many properties are compared with each other; the node compares them all.
const COMPARED: usize = 16;

/// Items joined by AND, of which no two may set the same property.
pub(crate) fn and_properties<'a: 'c, 'c>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, Option<Name<'a>>>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    move |input| {
        let seen: RefCell<Vec<Name<'a>>> = RefCell::default();
        let unseen = |input: Cursor<'a, 'c>| {
            let (rest, name) = item(input)?;
            let mut seen = seen.borrow_mut();
            if name.as_ref().is_some_and(|name| seen.contains(name)) {
                return input.refuse("Multiple definition for property");
            }
            if seen.len() < COMPARED {
                seen.extend(name);
            }
            Ok((rest, ()))
        };
        and_list(unseen)(input)
    }
}

fn word<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    match input.kind() {
        TokenKind::Keyword(_) if is_name(input.kind()) => Ok((input.next(), ())),
        _ => input.fail(),
    }
}

/// A map of constants.
pub(crate) fn map<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let entry = |input| separated_pair(constant, symbol(Symbol::Colon), constant).parse(input);
    delimited(symbol(Symbol::BraceOpen), opt(comma_list(entry)), symbol(Symbol::BraceClose))
        .map(drop)
        .parse(input)
}
