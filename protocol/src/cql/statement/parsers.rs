//! The small parsers that the grammar is put together from.

use nom::Parser;
use nom::combinator::cut;

use super::cursor::{Cursor, Fail, Parsed, Reason};
use super::tree::NodeId;
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// An attempt that may fail; only a limit it exceeds is an error.
pub(crate) fn if_read<O>(attempt: Result<O, nom::Err<Fail>>) -> Result<Option<O>, nom::Err<Fail>> {
    match attempt {
        Ok(found) => Ok(Some(found)),
        Err(nom::Err::Failure(fail)) if fail.reason == Reason::Limit => Err(fail.hard()),
        Err(_) => Ok(None),
    }
}

/// Accepts a keyword.
pub(crate) fn keyword<'a: 'c, 'c>(wanted: Keyword) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> + Copy {
    move |input: Cursor<'a, 'c>| {
        if input.is(wanted) {
            return Ok((input.next(), ()));
        }
        input.expected(Reason::ExpectedKeyword, wanted.as_str())
    }
}

/// Accepts a symbol.
pub(crate) fn symbol<'a: 'c, 'c>(wanted: Symbol) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> + Copy {
    move |input: Cursor<'a, 'c>| {
        if input.at(wanted) {
            return Ok((input.next(), ()));
        }
        input.expected(Reason::ExpectedSymbol, wanted.as_str())
    }
}

/// Accepts a token of one kind and returns its text.
pub(crate) fn token<'a: 'c, 'c>(
    wanted: TokenKind,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, &'a str> + Copy {
    move |input: Cursor<'a, 'c>| {
        if input.kind() == wanted { Ok((input.next(), input.slice())) } else { input.fail() }
    }
}

/// One item, and more behind commas; nothing is kept.
pub(crate) fn comma_list<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    repeated(move |input: Cursor<'a, 'c>| input.at(Symbol::Comma), item)
}

/// One item, and more behind commas; returns the first of their nodes.
pub(crate) fn comma_nodes<'a: 'c, 'c>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    move |input| {
        let (mut rest, first) = item(input)?;
        let mut last = first;
        while rest.at(Symbol::Comma) {
            let (behind, next) = cut(&item).parse(rest.next())?;
            rest.link(last, next);
            (rest, last) = (behind, next);
        }
        Ok((rest, first))
    }
}

/// Items behind commas, perhaps none; nothing is kept.
pub(crate) fn behind_commas<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    move |input| {
        let mut rest = input;
        while rest.at(Symbol::Comma) {
            rest = cut(&item).parse(rest.next())?.0;
        }
        Ok((rest, ()))
    }
}

/// Behind the first items of a list that are one token and a comma, if nothing is recorded of them: most lists
/// hold nothing else, and need no parser for that. The last item is left to one.
pub(crate) fn behind_plain_items<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
    is_plain: impl Fn(TokenKind) -> bool,
) -> Cursor<'a, 'c> {
    let mut rest = input;
    if input.context.records() {
        return rest;
    }
    while is_plain(rest.kind()) {
        let next = rest.next();
        if !next.at(Symbol::Comma) {
            break;
        }
        let behind = next.next();
        rest = if rest.at(Symbol::Question) { behind.behind_marker() } else { behind };
    }
    rest
}

/// One item, and more behind AND; nothing is kept.
pub(crate) fn and_list<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    repeated(move |input: Cursor<'a, 'c>| input.is(Keyword::And), item)
}

/// One item, and more behind tokens that separate. An item must follow a separator.
fn repeated<'a: 'c, 'c, O>(
    separates: impl Fn(Cursor<'a, 'c>) -> bool,
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    move |input| {
        let (mut rest, _) = item(input)?;
        while separates(rest) {
            rest = cut(&item).parse(rest.next())?.0;
        }
        Ok((rest, ()))
    }
}
