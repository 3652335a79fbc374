//! What SELECT asks for: columns, functions, arithmetic, literals; also the groups of GROUP BY.
//!
//! Cassandra reads a parenthesis here as a type hint if a type and an operand can be made of it, and as
//! grouping otherwise, by trying. One look ahead decides the same without trying twice.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Context, Cursor, Fail, Limits, Parsed, comma_list, keyword, symbol};
use super::names::{FunctionName, Name, any_name, call, function, is_name, name, starts_call};
use super::term::{constant, marker, parenthesised_type, value};
use super::types::native_type;
use crate::cql::keyword::Keyword;
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
}

/// The entries of a selection, read one at a time.
#[derive(Clone, Debug)]
pub struct Selectors<'a> {
    pub(super) text: &'a str,
    pub(super) position: Option<usize>,
}

/// Where an expression stands and what it is at first sight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expression {
    start: usize,
    end: usize,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Column,
    CountAll,
    Call,
    Other,
}

impl Expression {
    fn expr<'a>(&self, text: &'a str) -> SelectorExpr<'a> {
        let context = Context::new(Limits::unlimited());
        let cursor = Cursor::new(&context, text, self.start, 0);
        match self.shape {
            Shape::Column => name(cursor).map_or(SelectorExpr::Other, |(_, name)| SelectorExpr::Column(name)),
            Shape::CountAll => SelectorExpr::CountAll,
            Shape::Call => function(cursor).map_or(SelectorExpr::Other, |(rest, function)| {
                SelectorExpr::Function { function, arguments: Arguments { text, position: rest.token.end } }
            }),
            Shape::Other => SelectorExpr::Other,
        }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = SelectorExpr<'a>;

    fn next(&mut self) -> Option<SelectorExpr<'a>> {
        let context = Context::new(Limits::unlimited());
        let (rest, expression) = expression(Cursor::new(&context, self.text, self.position, 0)).ok()?;
        self.position = if rest.at(Symbol::Comma) { rest.token.end } else { rest.token.start };
        Some(expression.expr(self.text))
    }
}

impl<'a> Iterator for Selectors<'a> {
    type Item = Selector<'a>;

    fn next(&mut self) -> Option<Selector<'a>> {
        let context = Context::new(Limits::unlimited());
        let cursor = Cursor::new(&context, self.text, self.position?, 0);
        let (rest, (expression, alias)) = selector_and(name).parse(cursor).ok()?;
        self.position = rest.at(Symbol::Comma).then_some(rest.token.end);
        Some(Selector {
            expr: expression.expr(self.text),
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
        return Ok((input.next(), true));
    }
    comma_list(|input| selector_and(any_name).parse(input)).map(|_| false).parse(input)
}

/// A whole expression: groups joined by operators.
pub(crate) fn expression<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Expression> {
    let (mut rest, mut shape) = group(input)?;
    while let TokenKind::Symbol(
        Symbol::Plus | Symbol::Minus | Symbol::Star | Symbol::Slash | Symbol::Percent,
    ) = rest.kind()
    {
        rest = cut(group).parse(rest.next())?.0;
        shape = Shape::Other;
    }
    Ok((rest, Expression { start: input.token.start, end: rest.previous_end, shape }))
}

/// An operand: negated, or with fields and elements behind it.
fn group<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Shape> {
    if input.at(Symbol::Minus) {
        let (rest, _) = cut(group).parse(input.deeper_selector()?.next())?;
        return Ok((rest.level_of(&input), Shape::Other));
    }
    let (rest, shape) = operand(input)?;
    let (rest, count) = many0_count(modifier).parse(rest)?;
    Ok((rest, if count == 0 { shape } else { Shape::Other }))
}

/// `.field`, `[element]`, `[from..to]`.
fn modifier<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    match input.kind() {
        TokenKind::Symbol(Symbol::Dot) => cut(any_name).parse(input.next()),
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let inner = input.next();
            let (rest, ()) = if inner.at(Symbol::Range) {
                value.map(drop).parse(inner.next())?
            } else {
                let (rest, _) = cut(value).parse(inner)?;
                if rest.at(Symbol::Range) { opt(value).map(drop).parse(rest.next())? } else { (rest, ()) }
            };
            cut(symbol(Symbol::BracketClose)).parse(rest)
        }
        _ => input.fail(),
    }
}

fn operand<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Shape> {
    let opens = input.next().at(Symbol::ParenOpen);
    let outer = input;
    let back = |(rest, ()): (Cursor<'a, 'c>, ())| Ok((rest.level_of(&outer), Shape::Other));
    match input.kind() {
        TokenKind::Symbol(Symbol::ParenOpen) => {
            let inner = input.deeper_selector()?;
            if let Some(operand) = hinted(inner)? {
                return back(hint_operand(operand)?);
            }
            back(enclosed(Symbol::ParenOpen, comma_list(expression), Symbol::ParenClose).parse(inner)?)
        }
        TokenKind::Symbol(Symbol::BracketOpen) => {
            let inner = input.deeper_selector()?;
            back(
                enclosed(Symbol::BracketOpen, opt(comma_list(expression)), Symbol::BracketClose)
                    .parse(inner)?,
            )
        }
        TokenKind::Symbol(Symbol::BraceOpen) => {
            let inner = input.deeper_selector()?;
            back(enclosed(Symbol::BraceOpen, opt(braces), Symbol::BraceClose).parse(inner)?)
        }
        TokenKind::Symbol(Symbol::Question | Symbol::Colon) => marker.map(|_| Shape::Other).parse(input),
        TokenKind::Keyword(Keyword::Null) => Ok((input.next(), Shape::Other)),
        TokenKind::Keyword(Keyword::Count) if opens && input.next().next().at(Symbol::Star) => {
            let behind = input.next().next().next();
            symbol(Symbol::ParenClose).map(|()| Shape::CountAll).parse(behind)
        }
        TokenKind::Keyword(Keyword::WriteTime | Keyword::MaxWriteTime | Keyword::Ttl) if opens => {
            let inner = input.deeper_selector()?.next();
            let inside = pair(any_name, many0_count(modifier));
            back(enclosed(Symbol::ParenOpen, cut(inside), Symbol::ParenClose).parse(inner)?)
        }
        TokenKind::Keyword(Keyword::Cast) if opens => {
            let inner = input.deeper_selector()?.next();
            let inside = (expression, keyword(Keyword::As), native_type);
            back(enclosed(Symbol::ParenOpen, cut(inside), Symbol::ParenClose).parse(inner)?)
        }
        _ if starts_call(&input) => {
            let (inner, _) = call(input.deeper_selector()?)?;
            let (rest, _) =
                pair(opt(comma_list(expression)), cut(symbol(Symbol::ParenClose))).parse(inner)?;
            Ok((rest.level_of(&input), Shape::Call))
        }
        kind if is_name(kind) => Ok((input.next(), Shape::Column)),
        _ => constant.map(|_| Shape::Other).parse(input),
    }
}

fn enclosed<'a: 'c, 'c, O>(
    open: Symbol,
    inside: impl Parser<Cursor<'a, 'c>, Output = O, Error = Fail>,
    close: Symbol,
) -> impl Parser<Cursor<'a, 'c>, Output = (), Error = Fail> {
    delimited(symbol(open), inside, cut(symbol(close))).map(drop)
}

/// Inside braces: a set, a map or a user type.
fn braces<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (behind, _) = expression(input)?;
    let map = behind.at(Symbol::Colon);
    let colon_value = preceded(symbol(Symbol::Colon), expression);
    let entry = |input| {
        if map {
            pair(expression, preceded(symbol(Symbol::Colon), expression)).map(drop).parse(input)
        } else {
            expression.map(drop).parse(input)
        }
    };
    let (rest, _) = opt(colon_value).parse(behind)?;
    opt(preceded(symbol(Symbol::Comma), cut(comma_list(entry)))).map(drop).parse(rest)
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
fn hint_operand<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if !input.at(Symbol::BracketOpen) {
        return operand.map(drop).parse(input);
    }
    let inner = input.next();
    let (rest, _) = opt(comma_list(expression)).parse(inner)?;
    let rest = if rest.at(Symbol::Range) { opt(expression).parse(rest.next())?.0 } else { rest };
    cut(symbol(Symbol::BracketClose)).parse(rest)
}
