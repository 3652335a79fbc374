//! Values: literals, bind markers, collections, function calls, casts, arithmetic.

use std::borrow::Cow;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded, terminated};

use super::cursor::{Context, Cursor, Fail, Parsed};
use super::limits::Limits;
use super::names::{FunctionName, Name, any_name, call, is_name, name, starts_call, unquote};
use super::parsers::{behind_plain_items, comma_nodes, if_read, keyword, symbol, token};
use super::tree::{Node, NodeId};
use super::types::{any_type, native_type};
use crate::cql::keyword::{Keyword, Release};
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
    release: Release,
}

/// Where a value stands and what it is at first sight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Bind markers before it.
    markers: usize,
    shape: Shape,
    /// What was recorded of it.
    pub(crate) node: NodeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Token(TokenKind),
    Bind,
    List,
    Other,
}

impl Value {
    fn new(from: &Cursor<'_, '_>, to: &Cursor<'_, '_>, shape: Shape, node: NodeId) -> Self {
        Self { start: from.start(), end: to.previous_end(), markers: from.markers(), shape, node }
    }

    /// The value as others see it.
    pub(crate) fn term<'a>(&self, text: &'a str, release: Release) -> Term<'a> {
        let slice = text.get(self.start..self.end).unwrap_or_default();
        match self.shape {
            Shape::Token(TokenKind::String) => Term::String(string(slice)),
            Shape::Token(TokenKind::Integer) => Term::Integer(slice),
            Shape::Token(TokenKind::Uuid) => Term::Uuid(slice),
            Shape::Token(TokenKind::Boolean) => Term::Boolean(slice.eq_ignore_ascii_case("true")),
            Shape::Token(TokenKind::Keyword(Keyword::Null)) => Term::Null,
            Shape::Bind => {
                let context = Context::new(text, Limits::unlimited(release));
                let cursor = Cursor::new(&context, self.start, self.markers);
                let name =
                    if cursor.at(Symbol::Colon) { name(cursor.next()).ok().map(|(_, n)| n) } else { None };
                Term::Bind { index: self.markers, name }
            }
            Shape::List => {
                Term::List(Terms { text, position: self.start + 1, markers: self.markers, release })
            }
            Shape::Token(_) | Shape::Other => Term::Other(slice),
        }
    }
}

impl<'a> Iterator for Terms<'a> {
    type Item = Term<'a>;

    fn next(&mut self) -> Option<Term<'a>> {
        let context = Context::new(self.text, Limits::unlimited(self.release));
        let cursor = Cursor::new(&context, self.position, self.markers);
        let (rest, value) = value(cursor).ok()?;
        self.markers = rest.markers();
        // Behind the last value stands the closing parenthesis, where no value starts.
        self.position = if rest.at(Symbol::Comma) { rest.end() } else { rest.start() };
        Some(value.term(self.text, self.release))
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
    let rest = match input.kind() {
        TokenKind::Symbol(Symbol::Question) => input.next(),
        TokenKind::Symbol(Symbol::Colon) => any_name(input.next())?.0,
        _ => return input.fail(),
    };
    if let Some(names) = &input.context.markers {
        let name = if input.at(Symbol::Colon) { Some(name(input.next())?.1) } else { None };
        // What an abandoned reading left behind goes first.
        let mut names = names.borrow_mut();
        names.truncate(input.markers());
        names.push(name);
    }
    let rest = rest.behind_marker();
    let node = input.record(|| Node::Marker);
    Ok((rest, Value::new(&input, &rest, Shape::Bind, node)))
}

/// Where only an integer or a marker may stand: LIMIT, TTL, TIMESTAMP.
pub(crate) fn integer<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    if input.kind() == TokenKind::Integer {
        let rest = input.next();
        return Ok((rest, Value::new(&input, &rest, Shape::Token(TokenKind::Integer), NodeId::NONE)));
    }
    marker(input)
}

/// A whole value. Its operators are counted from zero.
pub(crate) fn value<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    // What most values are: one token, and nothing joined to it.
    if is_plain(input.kind()) {
        let rest = input.next();
        if !is_operator(rest.kind()) {
            return if input.at(Symbol::Question) { marker(input) } else { Ok(literal(input, rest)) };
        }
    }
    term(input.without_operators())
}

/// A value that may be part of another: sums of products.
fn term<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let (mut rest, first) = factor(input)?;
    let (mut shape, mut last) = (first.shape, first.node);
    loop {
        let operator = match rest.kind() {
            TokenKind::Symbol(Symbol::Plus) if precedes_column(&rest) => break,
            kind if is_operator(kind) => rest.behind_operator()?,
            _ => break,
        };
        let (behind, operand) = cut(factor).parse(operator)?;
        rest.link(last, operand.node);
        (rest, last, shape) = (behind, operand.node, Shape::Other);
    }
    let node = if last == first.node { last } else { input.record(|| Node::Arithmetic(first.node)) };
    Ok((rest, Value::new(&input, &rest, shape, node)))
}

/// A constant of one token, and what stands behind it.
fn literal<'a: 'c, 'c>(input: Cursor<'a, 'c>, rest: Cursor<'a, 'c>) -> (Cursor<'a, 'c>, Value) {
    let kind = input.kind();
    let node = input.record(|| Node::Literal(kind, input.slice()));
    (rest, Value::new(&input, &rest, Shape::Token(kind), node))
}

/// Whether a token joins two operands.
pub(super) fn is_operator(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Symbol(Symbol::Plus | Symbol::Minus | Symbol::Star | Symbol::Slash | Symbol::Percent)
    )
}

/// Whether the `+` here adds a column: `SET l = [1] + l` is no arithmetic.
fn precedes_column(plus: &Cursor<'_, '_>) -> bool {
    let operand = plus.next();
    operand.kind() == TokenKind::EmptyQuoted
        || (is_name(operand.kind()) && !starts_call(&operand) && !starts_cast(&operand))
}

fn starts_cast(input: &Cursor<'_, '_>) -> bool {
    // Since 4.1; only selections had it before.
    input.is(Keyword::Cast) && input.knows(Release::V4_1) && input.next().at(Symbol::ParenOpen)
}

/// An operand, perhaps negated.
fn factor<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    if input.at(Symbol::Minus) {
        let (rest, operand) = cut(simple).parse(input.behind_operator()?)?;
        let node = input.record(|| Node::Arithmetic(operand.node));
        return Ok((rest, Value::new(&input, &rest, Shape::Other, node)));
    }
    simple(input)
}

fn simple<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let other = |rest: Cursor<'a, 'c>, node| {
        let rest = rest.level_of(&input);
        Ok((rest, Value::new(&input, &rest, Shape::Other, node)))
    };
    match input.kind() {
        TokenKind::Keyword(Keyword::Null) => {
            let rest = input.next();
            let node = input.record(|| Node::Null);
            Ok((rest, Value::new(&input, &rest, Shape::Token(input.kind()), node)))
        }
        kind if is_constant(kind) => {
            let (rest, _) = constant(input)?;
            Ok(literal(input, rest))
        }
        TokenKind::Symbol(Symbol::Question | Symbol::Colon) => marker(input),
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let (rest, first) = delimited_list(input.deeper()?.next(), Symbol::BracketClose)?;
            other(rest, input.record(|| Node::List(first)))
        }
        TokenKind::Symbol(Symbol::BraceOpen) => {
            let (rest, first) = braces(input.deeper()?.next())?;
            other(rest, input.record(|| Node::Braces(first)))
        }
        TokenKind::Symbol(Symbol::ParenOpen) => {
            let inner = input.deeper()?;
            if let Some(operand) = cast_operand(inner)? {
                let (rest, value) = cut(simple).parse(operand)?;
                return other(rest, typed(&input, &operand, value.node));
            }
            let (rest, first) =
                delimited(symbol(Symbol::ParenOpen), comma_nodes(term_node), symbol(Symbol::ParenClose))
                    .parse(inner)?;
            other(rest, input.record(|| Node::Tuple(first)))
        }
        _ if starts_cast(&input) => {
            let (inner, ()) = symbol(Symbol::ParenOpen)(input.deeper()?.next())?;
            let (rest, (value, ())) = pair(simple, keyword(Keyword::As)).parse(inner)?;
            let cql_type = rest.slice();
            let (rest, _) = pair(native_type, symbol(Symbol::ParenClose)).parse(rest)?;
            other(rest, input.record(|| Node::Typed { cql_type, operand: value.node }))
        }
        _ if starts_call(&input) => {
            let (inner, name) = call(input.deeper()?)?;
            let (rest, arguments) = delimited_list(inner, Symbol::ParenClose)?;
            other(rest, called(&input, name, arguments))
        }
        _ => input.fail(),
    }
}

fn term_node<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    term.map(|value| value.node).parse(input)
}

/// A whole value as a node.
pub(crate) fn value_node<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    value.map(|value| value.node).parse(input)
}

/// Whole values behind commas; the first of them.
pub(crate) fn value_nodes<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    comma_nodes(value_node)(behind_plain_items(input, is_plain))
}

/// Whether a token is a value that needs no second look.
pub(super) fn is_plain(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::String | TokenKind::Integer | TokenKind::Symbol(Symbol::Question))
}

/// Keeps what a type in parentheses is put before.
pub(crate) fn typed<'a: 'c, 'c>(open: &Cursor<'a, 'c>, operand: &Cursor<'a, 'c>, node: NodeId) -> NodeId {
    // The closing parenthesis is the token before the operand.
    let cql_type = open.text().get(open.end()..operand.previous_end().saturating_sub(1)).unwrap_or_default();
    open.record(|| Node::Typed { cql_type, operand: node })
}

/// Keeps a call.
pub(crate) fn called<'a: 'c, 'c>(
    at: &Cursor<'a, 'c>,
    function: Option<FunctionName<'a>>,
    arguments: NodeId,
) -> NodeId {
    function.map_or(NodeId::NONE, |function| at.record(|| Node::Call { function, arguments }))
}

/// Values up to a closing symbol, perhaps none; the first of them.
fn delimited_list<'a: 'c, 'c>(inner: Cursor<'a, 'c>, close: Symbol) -> Parsed<'a, 'c, NodeId> {
    if inner.at(close) {
        return Ok((inner.next(), NodeId::NONE));
    }
    terminated(comma_nodes(term_node), symbol(close)).parse(inner)
}

/// What stands between braces: a set, a map or the fields of a user type. Returns the first of the values.
fn braces<'a: 'c, 'c>(inner: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    if inner.at(Symbol::BraceClose) {
        return Ok((inner.next(), NodeId::NONE));
    }
    let close = symbol(Symbol::BraceClose);
    if is_name(inner.kind()) && inner.next().at(Symbol::Colon) {
        let field = |input| preceded(pair(any_name, symbol(Symbol::Colon)), term_node).parse(input);
        return terminated(comma_nodes(field), close).parse(inner);
    }
    let entry = |input: Cursor<'a, 'c>| {
        let (rest, key) = terminated(term_node, symbol(Symbol::Colon)).parse(input)?;
        let (rest, value) = term_node(rest)?;
        rest.link(key, value);
        Ok((rest, input.record(|| Node::Tuple(key))))
    };
    let (behind, first) = term(inner)?;
    if behind.at(Symbol::Colon) {
        let (rest, value) = term_node(behind.next())?;
        rest.link(first.node, value);
        let head = inner.record(|| Node::Tuple(first.node));
        let (rest, more) = opt(preceded(symbol(Symbol::Comma), cut(comma_nodes(entry)))).parse(rest)?;
        rest.link(head, more.unwrap_or(NodeId::NONE));
        return close.map(|()| head).parse(rest);
    }
    let (rest, more) = opt(preceded(symbol(Symbol::Comma), cut(comma_nodes(term_node)))).parse(behind)?;
    rest.link(first.node, more.unwrap_or(NodeId::NONE));
    close.map(|()| first.node).parse(rest)
}

/// Behind `(type)`, if that and then a value stands here. A colon behind it belongs to a map.
fn cast_operand<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Result<Option<Cursor<'a, 'c>>, nom::Err<Fail>> {
    let Some(operand) = parenthesised_type(input)? else { return Ok(None) };
    let starts = match operand.kind() {
        // A string may be a key as well as a class; then what follows its colon is a value, or no value is.
        TokenKind::Symbol(Symbol::Colon) if input.next().kind() == TokenKind::String => {
            let name = operand.next();
            is_name(name.kind()) && !name.next().at(Symbol::ParenOpen) && !name.next().at(Symbol::Dot)
        }
        TokenKind::Symbol(
            Symbol::Colon | Symbol::Question | Symbol::BracketOpen | Symbol::BraceOpen | Symbol::ParenOpen,
        )
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
    let (rest, first) =
        delimited(symbol(Symbol::ParenOpen), value_nodes, symbol(Symbol::ParenClose)).parse(inner)?;
    let rest = rest.level_of(&input);
    let node = input.record(|| Node::Tuple(first));
    Ok((rest, Value::new(&input, &rest, Shape::Other, node)))
}

/// What IN takes for one column: a marker, or values in parentheses, perhaps none.
pub(crate) fn in_values<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    let list = |input: Cursor<'a, 'c>| {
        let (inner, ()) = symbol(Symbol::ParenOpen)(input)?;
        let (rest, first) =
            if inner.at(Symbol::ParenClose) { (inner, NodeId::NONE) } else { value_nodes(inner)? };
        let (rest, ()) = symbol(Symbol::ParenClose)(rest)?;
        let node = input.record(|| Node::Tuple(first));
        Ok((rest, Value::new(&input, &rest, Shape::List, node)))
    };
    alt((marker, list)).parse(input)
}

/// What IN takes for several columns: a marker, or tuples or markers in parentheses, perhaps none.
pub(crate) fn in_tuples<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Value> {
    if !input.at(Symbol::ParenOpen) {
        return marker(input);
    }
    let inner = input.next();
    let (rest, first) = match inner.kind() {
        TokenKind::Symbol(Symbol::ParenClose) => (inner, NodeId::NONE),
        TokenKind::Symbol(Symbol::ParenOpen) => {
            comma_nodes(|input| tuple.map(|value| value.node).parse(input))(inner)?
        }
        _ => comma_nodes(|input| marker.map(|value| value.node).parse(input))(inner)?,
    };
    let (rest, ()) = symbol(Symbol::ParenClose)(rest)?;
    let node = input.record(|| Node::Tuple(first));
    Ok((rest, Value::new(&input, &rest, Shape::List, node)))
}

/// A string literal and what it says.
pub(crate) fn string_literal<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Cow<'a, str>> {
    token(TokenKind::String).map(string).parse(input)
}
