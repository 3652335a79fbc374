//! What SELECT asks for: columns, functions, arithmetic, literals; also the groups of GROUP BY.
//!
//! Cassandra reads a parenthesis here as a type hint if a type and an operand can be made of it, and as
//! grouping otherwise, by trying. One look ahead decides the same without trying twice.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Context, Cursor, Fail, Parsed};
use super::limits::Limits;
use super::names::{
    FunctionName, Name, any_name, call, column_node, field_name, function, is_name, name, starts_call,
};
use super::parsers::{behind_plain_items, comma_nodes, keyword, symbol};
use super::term::{called, constant, is_operator, marker, parenthesised_type, typed, value_node};
use super::tree::{Node, NodeId};
use super::types::native_type;
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, TokenKind};

/// One entry of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector<'a> {
    /// What is selected.
    pub expr: SelectorExpr<'a>,
    /// The name it is given with AS.
    pub alias: Option<Name<'a>>,
    /// What is selected, as written, without the alias.
    pub text: &'a str,
}

/// What is selected, as far as somebody who does not know the schema can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectorExpr<'a> {
    /// A column.
    Column(Name<'a>),
    /// `count(*)`.
    CountAll,
    /// A function call and nothing around it.
    Function {
        /// The function.
        function: FunctionName<'a>,
        /// What it is called with.
        arguments: Arguments<'a>,
    },
    /// `WRITETIME(c)` and the like, casts, arithmetic, literals, fields, elements.
    Other,
}

/// The arguments of a function in a selection, read one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    text: &'a str,
    position: usize,
    release: Release,
}

/// The entries of a selection, read one at a time.
#[derive(Clone, Debug)]
pub struct Selectors<'a> {
    pub(super) text: &'a str,
    pub(super) position: Option<usize>,
    pub(super) release: Release,
}

/// Where an expression stands and what it is at first sight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expression {
    start: usize,
    end: usize,
    shape: Shape,
    /// What was recorded of it.
    pub(crate) node: NodeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Column,
    CountAll,
    Call,
    Other,
}

impl Expression {
    fn new(from: &Cursor<'_, '_>, to: &Cursor<'_, '_>, shape: Shape, node: NodeId) -> Self {
        Self { start: from.start(), end: to.previous_end(), shape, node }
    }

    fn expr<'a>(&self, text: &'a str, release: Release) -> SelectorExpr<'a> {
        let context = Context::new(text, Limits::unlimited(release));
        let cursor = Cursor::new(&context, self.start, 0);
        match self.shape {
            Shape::Column => name(cursor).map_or(SelectorExpr::Other, |(_, name)| SelectorExpr::Column(name)),
            Shape::CountAll => SelectorExpr::CountAll,
            Shape::Call => function(cursor).map_or(SelectorExpr::Other, |(rest, function)| {
                let arguments = Arguments { text, position: rest.end(), release };
                SelectorExpr::Function { function, arguments }
            }),
            Shape::Other => SelectorExpr::Other,
        }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = SelectorExpr<'a>;

    fn next(&mut self) -> Option<SelectorExpr<'a>> {
        let context = Context::new(self.text, Limits::unlimited(self.release));
        let (rest, expression) = expression(Cursor::new(&context, self.position, 0)).ok()?;
        self.position = if rest.at(Symbol::Comma) { rest.end() } else { rest.start() };
        Some(expression.expr(self.text, self.release))
    }
}

impl<'a> Iterator for Selectors<'a> {
    type Item = Selector<'a>;

    fn next(&mut self) -> Option<Selector<'a>> {
        let context = Context::new(self.text, Limits::unlimited(self.release));
        let cursor = Cursor::new(&context, self.position?, 0);
        let (rest, (expression, alias)) = selector_and(name).parse(cursor).ok()?;
        self.position = rest.at(Symbol::Comma).then_some(rest.end());
        Some(Selector {
            expr: expression.expr(self.text, self.release),
            alias,
            text: self.text.get(expression.start..expression.end).unwrap_or_default(),
        })
    }
}

/// One entry: an expression and perhaps its alias.
fn selector_and<'a: 'c, 'c, O>(
    alias: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Parser<Cursor<'a, 'c>, Output = (Expression, Option<O>), Error = Fail> {
    pair(expression, opt(preceded(keyword(Keyword::As), cut(alias))))
}

/// The list of a selection, or `*`. True for the star.
pub(crate) fn selectors<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    if input.at(Symbol::Star) {
        input.draft(|row| row.star = true);
        return Ok((input.next(), true));
    }
    let entry = |input| selector_and(any_name).map(|(expression, _)| expression.node).parse(input);
    let (rest, first) = comma_nodes(entry)(behind_plain_items(input, is_name))?;
    input.draft(|row| row.selected = first);
    Ok((rest, false))
}

/// A whole expression: groups joined by operators.
pub(crate) fn expression<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Expression> {
    // What most selections hold: columns and nothing around them.
    if is_name(input.kind()) && !continues(input.next().kind()) {
        let (rest, node) = column_node(input)?;
        return Ok((rest, Expression::new(&input, &rest, Shape::Column, node)));
    }
    let (mut rest, (mut shape, first)) = group(input)?;
    let mut last = first;
    while is_operator(rest.kind()) {
        let (behind, (_, node)) = cut(group).parse(rest.next())?;
        rest.link(last, node);
        (rest, last, shape) = (behind, node, Shape::Other);
    }
    let node = if last == first { first } else { input.record(|| Node::Arithmetic(first)) };
    Ok((rest, Expression::new(&input, &rest, shape, node)))
}

/// Whether a token behind a name makes more of it than a column.
fn continues(next: TokenKind) -> bool {
    is_operator(next)
        || matches!(next, TokenKind::Symbol(Symbol::ParenOpen | Symbol::Dot | Symbol::BracketOpen))
}

/// A whole expression as a node.
pub(crate) fn expression_node<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    expression.map(|expression| expression.node).parse(input)
}

/// An operand: negated, or with fields and elements behind it.
fn group<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, (Shape, NodeId)> {
    if input.at(Symbol::Minus) {
        let (rest, (_, node)) = cut(group).parse(input.deeper_selector()?.next())?;
        return Ok((rest.level_of(&input), (Shape::Other, input.record(|| Node::Arithmetic(node)))));
    }
    let (rest, (shape, node)) = operand(input)?;
    let (rest, modified) = modifiers(rest, node)?;
    Ok((rest, (modified.map_or(shape, |_| Shape::Other), modified.unwrap_or(node))))
}

/// Fields and elements behind what `node` is; `None` if there are none.
fn modifiers<'a: 'c, 'c>(input: Cursor<'a, 'c>, node: NodeId) -> Parsed<'a, 'c, Option<NodeId>> {
    let (mut rest, mut found) = (input, None);
    while rest.at(Symbol::Dot) || rest.at(Symbol::BracketOpen) {
        let (behind, modified) = modifier(rest, found.unwrap_or(node))?;
        (rest, found) = (behind, Some(modified));
    }
    Ok((rest, found))
}

/// `.field`, `[element]`, `[from..to]`.
fn modifier<'a: 'c, 'c>(input: Cursor<'a, 'c>, of: NodeId) -> Parsed<'a, 'c, NodeId> {
    if input.at(Symbol::Dot) {
        let (rest, field) = cut(field_name).parse(input.next())?;
        let node = field.map_or(NodeId::NONE, |field| input.record(|| Node::Field { of, field }));
        return Ok((rest, node));
    }
    let inner = input.next();
    let (rest, node) = if inner.at(Symbol::Range) {
        let (rest, bounds) = value_node(inner.next())?;
        (rest, input.record(|| Node::Slice { of, bounds }))
    } else {
        let (rest, key) = cut(value_node).parse(inner)?;
        if rest.at(Symbol::Range) {
            let (rest, end) = opt(value_node).parse(rest.next())?;
            rest.link(key, end.unwrap_or(NodeId::NONE));
            (rest, input.record(|| Node::Slice { of, bounds: key }))
        } else {
            (rest, input.record(|| Node::Element { of, key }))
        }
    };
    cut(symbol(Symbol::BracketClose)).map(|()| node).parse(rest)
}

fn operand<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, (Shape, NodeId)> {
    let opens = input.next().at(Symbol::ParenOpen);
    let back = |rest: Cursor<'a, 'c>, node| Ok((rest.level_of(&input), (Shape::Other, node)));
    match input.kind() {
        TokenKind::Symbol(Symbol::ParenOpen) => {
            let inner = input.deeper_selector()?;
            if let Some(operand) = hinted(inner)? {
                let (rest, node) = hint_operand(operand)?;
                return back(rest, typed(&input, &operand, node));
            }
            let list = comma_nodes(expression_node);
            let (rest, first) = enclosed(Symbol::ParenOpen, list, Symbol::ParenClose).parse(inner)?;
            back(rest, grouped(&input, first))
        }
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let list = opt(comma_nodes(expression_node));
            let (rest, first) =
                enclosed(Symbol::BracketOpen, list, Symbol::BracketClose).parse(input.deeper_selector()?)?;
            back(rest, input.record(|| Node::List(first.unwrap_or(NodeId::NONE))))
        }
        TokenKind::Symbol(Symbol::BraceOpen) => {
            let inner = input.deeper_selector()?;
            let (rest, first) = enclosed(Symbol::BraceOpen, opt(braces), Symbol::BraceClose).parse(inner)?;
            back(rest, input.record(|| Node::Braces(first.unwrap_or(NodeId::NONE))))
        }
        TokenKind::Symbol(Symbol::Question | Symbol::Colon) => {
            marker.map(|value| (Shape::Other, value.node)).parse(input)
        }
        TokenKind::Keyword(Keyword::Null) => Ok((input.next(), (Shape::Other, input.record(|| Node::Null)))),
        TokenKind::Keyword(Keyword::Count) if opens && input.next().next().at(Symbol::Star) => {
            let (rest, ()) = symbol(Symbol::ParenClose)(input.next().next().next())?;
            Ok((rest, (Shape::CountAll, input.record(|| Node::CountAll))))
        }
        TokenKind::Keyword(Keyword::WriteTime | Keyword::MaxWriteTime | Keyword::Ttl) if opens => {
            let inside = |input| {
                let (rest, node) = plain_column(input)?;
                // Of fields and elements since 5.0.
                if !rest.knows(Release::V5_0) {
                    return Ok((rest, node));
                }
                modifiers(rest, node).map(|(rest, modified)| (rest, modified.unwrap_or(node)))
            };
            let inner = input.deeper_selector()?.next();
            let (rest, of) = enclosed(Symbol::ParenOpen, cut(inside), Symbol::ParenClose).parse(inner)?;
            back(rest, input.record(|| Node::Attribute(of)))
        }
        TokenKind::Keyword(Keyword::Cast) if opens => {
            let inside = |input| {
                let (rest, operand) = expression_node(input)?;
                let (rest, ()) = keyword(Keyword::As)(rest)?;
                let cql_type = rest.slice();
                let (rest, ()) = native_type(rest)?;
                Ok((rest, rest.record(|| Node::Typed { cql_type, operand })))
            };
            let inner = input.deeper_selector()?.next();
            let (rest, node) = enclosed(Symbol::ParenOpen, cut(inside), Symbol::ParenClose).parse(inner)?;
            back(rest, node)
        }
        _ if starts_call(&input) => {
            let (inner, name) = call(input.deeper_selector()?)?;
            let (rest, (arguments, ())) =
                pair(opt(comma_nodes(expression_node)), cut(symbol(Symbol::ParenClose))).parse(inner)?;
            let node = called(&input, name, arguments.unwrap_or(NodeId::NONE));
            Ok((rest.level_of(&input), (Shape::Call, node)))
        }
        kind if is_name(kind) => plain_column.map(|node| (Shape::Column, node)).parse(input),
        _ => {
            let (rest, kind) = constant(input)?;
            Ok((rest, (Shape::Other, input.record(|| Node::Literal(kind, input.slice())))))
        }
    }
}

/// A column of a selection; the nameless one has no place there.
fn plain_column<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    if is_name(input.kind()) { column_node(input) } else { input.fail() }
}

/// What parentheses hold: one expression is itself, several are a tuple.
fn grouped<'a: 'c, 'c>(input: &Cursor<'a, 'c>, first: NodeId) -> NodeId {
    let Some(tree) = &input.context.tree else { return NodeId::NONE };
    let several = tree.borrow().list(first).nth(1).is_some();
    if several { input.record(|| Node::Tuple(first)) } else { first }
}

fn enclosed<'a: 'c, 'c, O>(
    open: Symbol,
    inside: impl Parser<Cursor<'a, 'c>, Output = O, Error = Fail>,
    close: Symbol,
) -> impl Parser<Cursor<'a, 'c>, Output = O, Error = Fail> {
    delimited(symbol(open), inside, cut(symbol(close)))
}

/// Inside braces: a set, a map or a user type. Returns the first of what it holds.
fn braces<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    let (behind, key) = expression_node(input)?;
    let map = behind.at(Symbol::Colon);
    let entry = |input| {
        let (rest, key) = expression_node(input)?;
        if map { map_value(&input, rest, key) } else { Ok((rest, key)) }
    };
    let (rest, first) = if map { map_value(&input, behind, key)? } else { (behind, key) };
    let (rest, more) = opt(preceded(symbol(Symbol::Comma), cut(comma_nodes(entry)))).parse(rest)?;
    rest.link(first, more.unwrap_or(NodeId::NONE));
    Ok((rest, first))
}

/// Behind the key of a map's entry, or a field's name.
fn map_value<'a: 'c, 'c>(
    start: &Cursor<'a, 'c>,
    behind: Cursor<'a, 'c>,
    key: NodeId,
) -> Parsed<'a, 'c, NodeId> {
    let (rest, value) = preceded(symbol(Symbol::Colon), expression_node).parse(behind)?;
    rest.link(key, value);
    Ok((rest, start.record(|| Node::Tuple(key))))
}

/// Behind `(type)`, if that and then an operand stands here.
fn hinted<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Result<Option<Cursor<'a, 'c>>, nom::Err<Fail>> {
    let Some(operand) = parenthesised_type(input)? else { return Ok(None) };
    let next = operand.next();
    let starts = match operand.kind() {
        // `(a) AS x` names a group, `(a) PER PARTITION ..` ends it.
        TokenKind::Keyword(Keyword::As) => !is_name(next.kind()),
        TokenKind::Keyword(Keyword::Per) => !next.is(Keyword::Partition),
        TokenKind::Symbol(Symbol::Colon) => is_name(next.kind()),
        TokenKind::Symbol(Symbol::Question | Symbol::BracketOpen | Symbol::BraceOpen | Symbol::ParenOpen)
        | TokenKind::Keyword(Keyword::Null) => true,
        kind => is_name(kind) || constant(operand).is_ok() || starts_call(&operand),
    };
    Ok(starts.then_some(operand))
}

/// The operand of a type hint. A bracket here may be a list, or an element of what was no hint after all:
/// what either allows is read.
fn hint_operand<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    if !input.at(Symbol::BracketOpen) {
        return operand.map(|(_, node)| node).parse(input);
    }
    let inner = input.next();
    let (rest, first) = opt(comma_nodes(expression_node)).parse(inner)?;
    let (rest, end) =
        if rest.at(Symbol::Range) { opt(expression_node).parse(rest.next())? } else { (rest, None) };
    let list = input.record(|| Node::List(first.unwrap_or(NodeId::NONE)));
    if rest.previous_end() == inner.end() && inner.at(Symbol::Range) && end.is_none() {
        return rest.fail();
    }
    let node = match end {
        None => list,
        Some(end) => {
            rest.link(list, end);
            input.record(|| Node::Tuple(list))
        }
    };
    cut(symbol(Symbol::BracketClose)).map(|()| node).parse(rest)
}
