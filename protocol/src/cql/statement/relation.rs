//! WHERE clauses and the conditions behind IF.

use nom::Parser;
use nom::combinator::{cut, value as constant};
use nom::sequence::{delimited, pair};

use super::cursor::{Context, Cursor, Parsed};
use super::limits::Limits;
use super::names::{Name, any_column, bare_index, column, column_node, field_name, is_name};
use super::parsers::{and_list, behind_plain_items, comma_nodes, keyword, symbol};
use super::term::{
    Term, Value, in_tuples, in_values, is_operator, is_plain, marker, tuple, value, value_node,
};
use super::tree::{NodeId, Place, Use};
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, TokenKind};

/// One restriction of a WHERE clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction<'a> {
    /// What is restricted.
    pub subject: Subject<'a>,
    /// How it relates to the value.
    pub operator: Operator,
    /// The value; of `IN (..)` a [`Term::List`].
    pub value: Term<'a>,
}

/// What a restriction restricts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// One column.
    Column(Name<'a>),
    /// An element, several columns, a token, an index expression.
    Other,
}

/// The operators of restrictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the operator it is called after")]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Like,
    Contains,
    ContainsKey,
    IsNotNull,
    Index,
}

/// The restrictions of a WHERE clause, read one at a time.
#[derive(Clone, Debug)]
pub struct Restrictions<'a> {
    pub(super) text: &'a str,
    pub(super) position: Option<usize>,
    pub(super) markers: usize,
    pub(super) release: Release,
}

/// Where a relation's parts stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relation {
    /// The column's token, if it is about one column.
    column: Option<usize>,
    operator: Operator,
    value: Option<Value>,
}

impl Relation {
    fn node(&self) -> NodeId {
        self.value.map_or(NodeId::NONE, |value| value.node)
    }
}

impl<'a> Iterator for Restrictions<'a> {
    type Item = Restriction<'a>;

    fn next(&mut self) -> Option<Restriction<'a>> {
        let context = Context::new(self.text, Limits::unlimited(self.release));
        let cursor = Cursor::new(&context, self.position?, self.markers);
        let (rest, relation) = relation_or_index(cursor).ok()?;
        self.markers = rest.markers();
        self.position = rest.is(Keyword::And).then_some(rest.end());
        let subject = relation
            .column
            .and_then(|start| column(Cursor::new(&context, start, 0)).ok())
            .map_or(Subject::Other, |(_, name)| Subject::Column(name));
        let value = relation.value.map_or(Term::Null, |value| value.term(self.text, self.release));
        Some(Restriction { subject, operator: relation.operator, value })
    }
}

/// Relations joined by AND.
pub(crate) fn where_clause<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    and_list(plain_or(|input| relation_or_index.map(drop).parse(input)))(input)
}

/// What most relations and conditions are, without a parser; anything else with one.
fn plain_or<'a: 'c, 'c>(
    parser: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    move |input| match behind_plain_comparison(&input) {
        Some(rest) => Ok((rest, ())),
        None => parser(input),
    }
}

/// Behind a column compared with a value and nothing around them, if nothing is recorded.
fn behind_plain_comparison<'a: 'c, 'c>(column: &Cursor<'a, 'c>) -> Option<Cursor<'a, 'c>> {
    if column.context.records() || !is_name(column.kind()) {
        return None;
    }
    let operator = column.next();
    operator_of(operator.kind())?;
    let value = operator.next();
    let rest = value.next();
    let plain = is_plain(value.kind()) && !is_operator(rest.kind());
    plain.then(|| if value.at(Symbol::Question) { rest.behind_marker() } else { rest })
}

fn relation_or_index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Relation> {
    if input.kind() != TokenKind::Expr {
        return relation(input);
    }
    let (rest, ()) = cut(bare_index).parse(input.next())?;
    let (rest, value) = delimited(symbol(Symbol::Comma), value, symbol(Symbol::ParenClose)).parse(rest)?;
    used(&input, Place::WhereIndex, NodeId::NONE, NodeId::NONE, value.node);
    Ok((rest, Relation { column: None, operator: Operator::Index, value: Some(value) }))
}

/// Notes that a part of the statement names columns.
pub(crate) fn used(input: &Cursor<'_, '_>, place: Place, columns: NodeId, key: NodeId, values: NodeId) {
    input.draft(|row| row.uses.push(Use { place, columns, key, field: None, values }));
}

fn relation<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Relation> {
    if input.is(Keyword::Token) {
        let (rest, names) = columns(input.next())?;
        let (rest, relation) = compared(rest, None)?;
        used(&input, Place::WhereToken, names, NodeId::NONE, relation.node());
        return Ok((rest, relation));
    }
    if !input.at(Symbol::ParenOpen) {
        return of_column(input);
    }
    // `(a)` and `(a, b` begin a list of columns, anything else a relation in parentheses.
    let inner = input.next();
    let listed =
        any_column(inner).is_ok_and(|(behind, ())| behind.at(Symbol::Comma) || behind.at(Symbol::ParenClose));
    if listed {
        let (rest, names) = columns(input)?;
        let (rest, relation) = of_columns(rest)?;
        used(&input, Place::WhereTuple, names, NodeId::NONE, relation.node());
        return Ok((rest, relation));
    }
    let (rest, inside) = relation(input.deeper()?.next())?;
    let (rest, ()) = symbol(Symbol::ParenClose)(rest)?;
    Ok((rest.level_of(&input), inside))
}

/// Columns in parentheses; the first of them.
pub(crate) fn columns<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    delimited(symbol(Symbol::ParenOpen), column_nodes, symbol(Symbol::ParenClose)).parse(input)
}

fn column_nodes<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    comma_nodes(column_node)(behind_plain_items(input, is_name))
}

/// An element of a collection: its key.
pub(crate) fn element<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    delimited(symbol(Symbol::BracketOpen), value_node, symbol(Symbol::BracketClose)).parse(input)
}

fn of_columns<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Relation> {
    if input.is(Keyword::In) {
        let (rest, value) = cut(in_tuples).parse(input.next())?;
        return Ok((rest, Relation { column: None, operator: Operator::In, value: Some(value) }));
    }
    let (rest, operator) = comparison(input)?;
    let (rest, value) = if rest.at(Symbol::ParenOpen) { tuple(rest)? } else { cut(marker).parse(rest)? };
    Ok((rest, Relation { column: None, operator, value: Some(value) }))
}

fn of_column<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Relation> {
    let start = Some(input.start());
    let (rest, name) = column_node(input)?;
    let with = |operator, value| Relation { column: start, operator, value };
    let mut key = NodeId::NONE;
    let (rest, relation) = match rest.kind() {
        TokenKind::Keyword(Keyword::Like) => {
            cut(value).map(|v| with(Operator::Like, Some(v))).parse(rest.next())
        }
        TokenKind::Keyword(Keyword::Is) => {
            let null = pair(keyword(Keyword::Not), keyword(Keyword::Null));
            constant(with(Operator::IsNotNull, None), cut(null)).parse(rest.next())
        }
        TokenKind::Keyword(Keyword::In) => {
            cut(in_values).map(|v| with(Operator::In, Some(v))).parse(rest.next())
        }
        TokenKind::Keyword(Keyword::Contains) => {
            let (rest, operator) = contains(rest)?;
            cut(value).map(|v| with(operator, Some(v))).parse(rest)
        }
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let (rest, found) = element(rest)?;
            key = found;
            compared(rest, None)
        }
        _ => compared(rest, start),
    }?;
    used(&input, Place::Where(relation.operator), name, key, relation.node());
    Ok((rest, relation))
}

/// `CONTAINS` or `CONTAINS KEY`; the word KEY may also start a function's name.
fn contains<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Operator> {
    let (rest, ()) = keyword(Keyword::Contains)(input)?;
    if rest.is(Keyword::Key) && !rest.next().at(Symbol::Dot) {
        return Ok((rest.next(), Operator::ContainsKey));
    }
    Ok((rest, Operator::Contains))
}

fn compared<'a: 'c, 'c>(input: Cursor<'a, 'c>, column: Option<usize>) -> Parsed<'a, 'c, Relation> {
    let (rest, operator) = comparison(input)?;
    cut(value).map(|value| Relation { column, operator, value: Some(value) }).parse(rest)
}

fn comparison<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Operator> {
    match operator_of(input.kind()) {
        Some(operator) => Ok((input.next(), operator)),
        None => input.fail(),
    }
}

/// The comparison that a symbol stands for.
fn operator_of(kind: TokenKind) -> Option<Operator> {
    Some(match kind {
        TokenKind::Symbol(Symbol::Equal) => Operator::Equal,
        TokenKind::Symbol(Symbol::NotEqual) => Operator::NotEqual,
        TokenKind::Symbol(Symbol::Less) => Operator::Less,
        TokenKind::Symbol(Symbol::LessEqual) => Operator::LessOrEqual,
        TokenKind::Symbol(Symbol::Greater) => Operator::Greater,
        TokenKind::Symbol(Symbol::GreaterEqual) => Operator::GreaterOrEqual,
        _ => return None,
    })
}

/// What may stand behind IF of an UPDATE or DELETE: EXISTS, or conditions joined by AND.
pub(crate) fn conditions<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    // A column may be called `exists` too; then something that compares it follows.
    if input.is(Keyword::Exists) && !continues_condition(&input.next()) {
        input.draft(|row| row.if_exists = true);
        return Ok((input.next(), ()));
    }
    and_list(plain_or(condition))(input)
}

fn continues_condition(input: &Cursor<'_, '_>) -> bool {
    comparison(*input).is_ok()
        || input.is(Keyword::In)
        || input.is(Keyword::Contains)
        || input.at(Symbol::BracketOpen)
        || input.at(Symbol::Dot)
}

fn condition<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, columns) = column_node(input)?;
    let (mut key, mut field) = (NodeId::NONE, None);
    let (rest, operator, values) = if rest.is(Keyword::Contains) && rest.knows(Release::V4_1) {
        let (rest, operator) = contains(rest)?;
        let (rest, value) = cut(value_node).parse(rest)?;
        (rest, operator, value)
    } else {
        let rest = match rest.kind() {
            TokenKind::Symbol(Symbol::BracketOpen) => {
                let (rest, found) = element(rest)?;
                key = found;
                rest
            }
            TokenKind::Symbol(Symbol::Dot) => {
                let (rest, found) = field_name(rest.next())?;
                field = found;
                rest
            }
            _ => rest,
        };
        if rest.is(Keyword::In) {
            let (rest, value) = cut(in_values).parse(rest.next())?;
            (rest, Operator::In, value.node)
        } else {
            let (rest, relation) = compared(rest, None)?;
            (rest, relation.operator, relation.node())
        }
    };
    input.draft(|row| row.uses.push(Use { place: Place::If(operator), columns, key, field, values }));
    Ok((rest, ()))
}
