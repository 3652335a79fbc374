//! `BEGIN BATCH .. APPLY BATCH` as one text.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};

use super::cursor::{Cursor, Parsed};
use super::limits::LimitKind;
use super::modification::{Modification, delete, insert, update, using};
use super::parsers::keyword;
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::Symbol;

/// A batch in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    pub(crate) text: &'a str,
    /// The statements in order, each with its own table.
    pub children: Vec<Modification<'a>>,
    pub(crate) release: Release,
    pub(crate) markers: usize,
}

pub(crate) fn batch<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Batch<'a>> {
    let (rest, ()) = keyword(Keyword::Begin)(input)?;
    let (rest, _) = opt(alt((keyword(Keyword::Unlogged), keyword(Keyword::Counter)))).parse(rest)?;
    let (rest, ()) = cut(keyword(Keyword::Batch)).parse(rest)?;
    let (mut rest, _) = opt(using).parse(rest)?;
    let mut children = Vec::new();
    let bound = input.context.limits.batch_children;
    while rest.is(Keyword::Insert) || rest.is(Keyword::Update) || rest.is(Keyword::Delete) {
        if children.len() >= bound {
            return Err(rest.exceeds(LimitKind::BatchChildren, bound));
        }
        let (behind, child) = cut(alt((insert, update, delete))).parse(rest)?;
        children.push(child);
        rest = if behind.at(Symbol::Semicolon) { behind.next() } else { behind };
    }
    let (rest, _) = cut((keyword(Keyword::Apply), keyword(Keyword::Batch))).parse(rest)?;
    let release = input.context.limits.release;
    Ok((rest, Batch { text: input.text(), children, release, markers: rest.markers() }))
}
