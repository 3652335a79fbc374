//! Values: literals, bind markers, collections, function calls, casts, arithmetic.

use std::borrow::Cow;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded, separated_pair};

use super::cursor::{
    Context, Cursor, Fail, LimitKind, Limits, Parsed, comma_list, if_read, keyword, symbol, token,
};
use super::names::{Name, any_name, call, is_name, name, starts_call, unquote};
use super::types::{any_type, native_type};
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// A value as far as somebody who does not know the schema can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term<'a> {
    /// A string literal, its quotes and doubled quotes resolved.
    String(Cow<'a, str>),
    /// An integer literal, as written.
    Integer(&'a str),
    /// A UUID literal, as written.
    Uuid(&'a str),
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// A bind marker.
    Bind {
        /// Its place among all markers of the statement, from 0.
        index: usize,
        /// Its name, if it has one.
        name: Option<Name<'a>>,
    },
    /// `NULL`.
    Null,
    /// A parenthesised list of values, as IN takes it.
    List(Terms<'a>),
    /// Anything else, as written.
    Other(&'a str),
}

/// The values of a [`Term::List`], read one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    text: &'a str,
    position: usize,
    markers: usize,
}

/// Where a value stands and what it is at first sight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Bind markers before it.
    markers: usize,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Token(TokenKind),
    Bind,
    List,
    Other,
}

impl Value {
    fn new(from: &Cursor<'_, '_>, to: &Cursor<'_, '_>, shape: Shape) -> Self {
        Self { start: from.token.start, end: to.previous_end, markers: from.markers, shape }
    }

    /// The value as others see it.
    pub(crate) fn term<'a>(&self, text: &'a str) -> Term<'a> {
        let slice = text.get(self.start..self.end).unwrap_or_default();
        match self.shape {
            Shape::Token(TokenKind::String) => Term::String(string(slice)),
            Shape::Token(TokenKind::Integer) => Term::Integer(slice),
            Shape::Token(TokenKind::Uuid) => Term::Uuid(slice),
            Shape::Token(TokenKind::Boolean) => Term::Boolean(slice.eq_ignore_ascii_case("true")),
            Shape::Token(TokenKind::Keyword(Keyword::Null)) => Term::Null,
            Shape::Bind => {
                let context = Context::new(Limits::default());
                let cursor = Cursor::new(&context, text, self.start, self.markers);
                let name =
                    if cursor.at(Symbol::Colon) { name(cursor.next()).ok().map(|(_, n)| n) } else { None };
                Term::Bind { index: self.markers, name }
            }
            Shape::List => Term::List(Terms { text, position: self.start + 1, markers: self.markers }),
            Shape::Token(_) | Shape::Other => Term::Other(slice),
        }
    }
}

impl<'a> Iterator for Terms<'a> {
    type Item = Term<'a>;

    fn next(&mut self) -> Option<Term<'a>> {
        let context = Context::new(Limits::unlimited());
        let cursor = Cursor::new(&context, self.text, self.position, self.markers);
        let (rest, value) = value(cursor).ok()?;
        self.markers = rest.markers;
        // Behind the last value stands the closing parenthesis, where no value starts.
        self.position = if rest.at(Symbol::Comma) { rest.token.end } else { rest.token.start };
        Some(value.term(self.text))
    }
}

/// What a string literal says.
pub(crate) fn string(token: &str) -> Cow<'_, str> {
    match token.strip_prefix("$$") {
        Some(body) => Cow::Borrowed(body.strip_suffix("$$").unwrap_or_default()),
        None => unquote(token, '\''),
    }
}

/// A constant: anything but NULL and a marker that is one token. Returns the token's kind.
pub(crate) fn constant<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TokenKind> {
    match input.kind() {
        // Cassandra turns a float into a double as it reads it, and infinity breaks it.
        TokenKind::Float if input.slice().parse::<f64>().map_or(true, f64::is_infinite) => {
            input.refuse("Failed parsing statement: a number is too large")
        }
        kind if is_constant(kind) => Ok((input.next(), kind)),
        _ => input.fail(),
    }
}

fn is_constant(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::String
            | TokenKind::Integer
            | TokenKind::Float
            | TokenKind::Boolean
            | TokenKind::Duration
            | TokenKind::Uuid
            | TokenKind::Hex
            | TokenKind::NegativeNan
            | TokenKind::NegativeInfinity
            | TokenKind::Keyword(Keyword::Nan | Keyword::Infinity)
    )
}

/// A bind marker: `?` or `:name`.
pub(crate) fn marker<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let mut rest = match input.kind() {
        TokenKind::Symbol(Symbol::Question) => input.next(),
        TokenKind::Symbol(Symbol::Colon) => any_name(input.next())?.0,
        _ => return input.fail(),
    };
    if let Some(names) = &input.context.markers {
        let name = if input.at(Symbol::Colon) { Some(name(input.next())?.1) } else { None };
        // What an abandoned reading left behind goes first.
        let mut names = names.borrow_mut();
        names.truncate(input.markers);
        names.push(name);
    }
    rest.markers += 1;
    Ok((rest, Value::new(&input, &rest, Shape::Bind)))
}

/// Where only an integer or a marker may stand: LIMIT, TTL, TIMESTAMP.
pub(crate) fn integer<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    if input.kind() == TokenKind::Integer {
        let rest = input.next();
        return Ok((rest, Value::new(&input, &rest, Shape::Token(TokenKind::Integer))));
    }
    marker(input)
}

/// A whole value. Its operators are counted from zero.
pub(crate) fn value<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let (rest, value) = term(Cursor { operators: 0, ..input })?;
    Ok((Cursor { operators: input.operators, ..rest }, value))
}

/// A value that may be part of another: sums of products.
fn term<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let (mut rest, first) = factor(input)?;
    let mut shape = first.shape;
    loop {
        let operator = match rest.kind() {
            TokenKind::Symbol(Symbol::Plus) if precedes_column(&rest) => break,
            TokenKind::Symbol(
                Symbol::Plus | Symbol::Minus | Symbol::Star | Symbol::Slash | Symbol::Percent,
            ) => counted(rest)?,
            _ => break,
        };
        rest = cut(factor).parse(operator)?.0;
        shape = Shape::Other;
    }
    Ok((rest, Value::new(&input, &rest, shape)))
}

/// Whether the `+` here adds a column: `SET l = [1] + l` is no arithmetic.
fn precedes_column(plus: &Cursor<'_, '_>) -> bool {
    let operand = plus.next();
    operand.kind() == TokenKind::EmptyQuoted
        || (is_name(operand.kind()) && !starts_call(&operand) && !starts_cast(&operand))
}

fn starts_cast(input: &Cursor<'_, '_>) -> bool {
    input.is(Keyword::Cast) && input.next().at(Symbol::ParenOpen)
}

/// Behind an operator, if one more is within the limit.
fn counted<'a: 'c, 'c>(operator: Cursor<'a, 'c>) -> Result<Cursor<'a, 'c>, nom::Err<Fail>> {
    let bound = operator.context.limits.value_operators;
    if operator.operators >= bound {
        return Err(operator.exceeds(LimitKind::ValueOperators, bound));
    }
    Ok(Cursor { operators: operator.operators + 1, ..operator.next() })
}

/// An operand, perhaps negated.
fn factor<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    if input.at(Symbol::Minus) {
        let (rest, _) = cut(simple).parse(counted(input)?)?;
        return Ok((rest, Value::new(&input, &rest, Shape::Other)));
    }
    simple(input)
}

fn simple<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let other = |rest: Cursor<'a, 'c>| {
        let rest = rest.level_of(&input);
        Ok((rest, Value::new(&input, &rest, Shape::Other)))
    };
    match input.kind() {
        TokenKind::Keyword(Keyword::Null) => {
            let rest = input.next();
            Ok((rest, Value::new(&input, &rest, Shape::Token(input.kind()))))
        }
        kind if is_constant(kind) => {
            let (rest, kind) = constant(input)?;
            Ok((rest, Value::new(&input, &rest, Shape::Token(kind))))
        }
        TokenKind::Symbol(Symbol::Question | Symbol::Colon) => marker(input),
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let inner = input.deeper()?.next();
            other(delimited_list(inner, Symbol::BracketClose)?)
        }
        TokenKind::Symbol(Symbol::BraceOpen) => other(braces(input.deeper()?.next())?),
        TokenKind::Symbol(Symbol::ParenOpen) => {
            let inner = input.deeper()?;
            if let Some(operand) = cast_operand(inner)? {
                return other(cut(simple).parse(operand)?.0);
            }
            other(
                delimited(symbol(Symbol::ParenOpen), comma_list(term), symbol(Symbol::ParenClose))
                    .parse(inner)?
                    .0,
            )
        }
        _ if starts_cast(&input) => {
            let inside = (simple, keyword(Keyword::As), native_type);
            let inner = input.deeper()?.next();
            other(delimited(symbol(Symbol::ParenOpen), inside, symbol(Symbol::ParenClose)).parse(inner)?.0)
        }
        _ if starts_call(&input) => {
            let (arguments, _) = call(input.deeper()?)?;
            other(delimited_list(arguments, Symbol::ParenClose)?)
        }
        _ => input.fail(),
    }
}

/// Values up to a closing symbol, perhaps none.
fn delimited_list<'a: 'c, 'c>(
    inner: Cursor<'a, 'c>,
    close: Symbol,
) -> Result<Cursor<'a, 'c>, nom::Err<Fail>> {
    if inner.at(close) {
        return Ok(inner.next());
    }
    let (rest, _) = pair(comma_list(term), symbol(close)).parse(inner)?;
    Ok(rest)
}

/// What stands between braces: a set, a map or the fields of a user type.
fn braces<'a: 'c, 'c>(inner: Cursor<'a, 'c>) -> Result<Cursor<'a, 'c>, nom::Err<Fail>> {
    if inner.at(Symbol::BraceClose) {
        return Ok(inner.next());
    }
    let close = symbol(Symbol::BraceClose);
    if is_name(inner.kind()) && inner.next().at(Symbol::Colon) {
        let field = |input| separated_pair(any_name, symbol(Symbol::Colon), term).parse(input);
        return Ok(pair(comma_list(field), close).parse(inner)?.0);
    }
    let (behind, _) = term(inner)?;
    if behind.at(Symbol::Colon) {
        let entry = |input| separated_pair(term, symbol(Symbol::Colon), term).parse(input);
        let first = preceded(symbol(Symbol::Colon), term);
        let more = opt(preceded(symbol(Symbol::Comma), cut(comma_list(entry))));
        return Ok((first, more, close).parse(behind)?.0);
    }
    let more = opt(preceded(symbol(Symbol::Comma), cut(comma_list(term))));
    Ok(pair(more, close).parse(behind)?.0)
}

/// Behind `(type)`, if that and then a value stands here. A colon behind it belongs to a map.
fn cast_operand<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Result<Option<Cursor<'a, 'c>>, nom::Err<Fail>> {
    let Some(operand) = parenthesised_type(input)? else { return Ok(None) };
    let starts = match operand.kind() {
        TokenKind::Symbol(Symbol::Colon) => input.next().kind() != TokenKind::String,
        TokenKind::Symbol(Symbol::Question | Symbol::BracketOpen | Symbol::BraceOpen | Symbol::ParenOpen)
        | TokenKind::Keyword(Keyword::Null) => true,
        kind => is_constant(kind) || starts_call(&operand) || starts_cast(&operand),
    };
    Ok(starts.then_some(operand))
}

/// Behind `(type)`, if that is what stands here.
pub(crate) fn parenthesised_type<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
) -> Result<Option<Cursor<'a, 'c>>, nom::Err<Fail>> {
    let attempt = delimited(symbol(Symbol::ParenOpen), any_type, symbol(Symbol::ParenClose)).parse(input);
    Ok(if_read(attempt)?.map(|(rest, ())| rest))
}

/// A parenthesised value or several.
pub(crate) fn tuple<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let inner = input.deeper()?;
    let (rest, _) =
        delimited(symbol(Symbol::ParenOpen), comma_list(value), symbol(Symbol::ParenClose)).parse(inner)?;
    let rest = rest.level_of(&input);
    Ok((rest, Value::new(&input, &rest, Shape::Other)))
}

/// What IN takes for one column: a marker, or values in parentheses, perhaps none.
pub(crate) fn in_values<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let list = |input: Cursor<'a, 'c>| {
        let (inner, ()) = symbol(Symbol::ParenOpen)(input)?;
        let (rest, _) = if inner.at(Symbol::ParenClose) { (inner, 0) } else { comma_list(value)(inner)? };
        let (rest, ()) = symbol(Symbol::ParenClose)(rest)?;
        Ok((rest, Value::new(&input, &rest, Shape::List)))
    };
    alt((marker, list)).parse(input)
}

/// What IN takes for several columns: a marker, or tuples or markers in parentheses, perhaps none.
pub(crate) fn in_tuples<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    if !input.at(Symbol::ParenOpen) {
        return marker(input);
    }
    let inner = input.next();
    let (rest, _) = match inner.kind() {
        TokenKind::Symbol(Symbol::ParenClose) => (inner, 0),
        TokenKind::Symbol(Symbol::ParenOpen) => comma_list(tuple)(inner)?,
        _ => comma_list(marker)(inner)?,
    };
    let (rest, ()) = symbol(Symbol::ParenClose)(rest)?;
    Ok((rest, Value::new(&input, &rest, Shape::List)))
}

/// A string literal and what it says.
pub(crate) fn string_literal<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Cow<'a, str>> {
    token(TokenKind::String).map(string).parse(input)
}
