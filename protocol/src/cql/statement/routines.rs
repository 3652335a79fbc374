//! Functions and aggregates.

use std::cell::RefCell;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Cursor, Parsed};
use super::definition::{CreateAggregate, CreateFunction, DropFunction};
use super::keyspace::{if_exists, if_not_exists};
use super::names::{FunctionName, any_name, bare_function, function, new_function};
use super::parsers::{comma_list, keyword, symbol, token};
use super::term::{string_literal, value};
use super::types::{any_type, argument_type};
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// `OR REPLACE`, or nothing.
pub(crate) fn or_replace<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    opt(pair(keyword(Keyword::Or), cut(keyword(Keyword::Replace)))).map(|found| found.is_some()).parse(input)
}

/// Types in parentheses, perhaps none; each stands where `slot` finds it.
fn listed<'a: 'c, 'c>(
    slot: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, String>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, Vec<String>> {
    move |input| {
        let all = RefCell::new(Vec::new());
        let keep = |input: Cursor<'a, 'c>| {
            let (rest, one) = slot(input)?;
            all.borrow_mut().push(one);
            Ok((rest, ()))
        };
        let (rest, _) =
            delimited(symbol(Symbol::ParenOpen), opt(comma_list(keep)), symbol(Symbol::ParenClose))
                .parse(input)?;
        Ok((rest, all.into_inner()))
    }
}

/// The types that tell one overload from the others: `(int, text)`.
pub(crate) fn signature<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Vec<String>> {
    listed(argument_type)(input)
}

/// What CREATE FUNCTION and CREATE AGGREGATE begin with.
fn created<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, (bool, FunctionName<'a>)> {
    pair(if_not_exists, new_function).parse(input)
}

/// Behind `CREATE [OR REPLACE] FUNCTION`.
pub(crate) fn create_function<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
    or_replace: bool,
) -> Parsed<'a, 'c, CreateFunction<'a>> {
    let (rest, (if_not_exists, function)) = created(input)?;
    let named = |input| preceded(any_name, argument_type).parse(input);
    let (rest, arguments) = listed(named)(rest)?;
    let returns_null = pair(keyword(Keyword::Returns), keyword(Keyword::Null)).map(drop);
    let (rest, ()) = alt((returns_null, keyword(Keyword::Called))).parse(rest)?;
    let (rest, _) = (keyword(Keyword::On), keyword(Keyword::Null), keyword(Keyword::Input)).parse(rest)?;
    let (rest, ()) = preceded(keyword(Keyword::Returns), any_type).parse(rest)?;
    let language = preceded(keyword(Keyword::Language), token(TokenKind::Ident));
    let (rest, _) = (language, keyword(Keyword::As), string_literal).parse(rest)?;
    Ok((rest, CreateFunction { or_replace, if_not_exists, function, arguments }))
}

/// Behind `CREATE [OR REPLACE] AGGREGATE`.
pub(crate) fn create_aggregate<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
    or_replace: bool,
) -> Parsed<'a, 'c, CreateAggregate<'a>> {
    let (rest, (if_not_exists, function)) = created(input)?;
    let (rest, arguments) = signature(rest)?;
    let (rest, state_function) = preceded(keyword(Keyword::SFunc), bare_function).parse(rest)?;
    let (rest, state_type) = preceded(keyword(Keyword::SType), argument_type).parse(rest)?;
    let (rest, final_function) =
        opt(preceded(keyword(Keyword::FinalFunc), cut(bare_function))).parse(rest)?;
    let (rest, _) = opt(preceded(keyword(Keyword::InitCond), cut(value))).parse(rest)?;
    let function = CreateFunction { or_replace, if_not_exists, function, arguments };
    Ok((rest, CreateAggregate { function, state_function, state_type, final_function }))
}

/// Behind `DROP FUNCTION` and `DROP AGGREGATE`.
pub(crate) fn drop_function<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, DropFunction<'a>> {
    let (rest, function) = preceded(if_exists, function).parse(input)?;
    let (rest, arguments) =
        if rest.at(Symbol::ParenOpen) { signature.map(Some).parse(rest)? } else { (rest, None) };
    Ok((rest, DropFunction { function, arguments }))
}
