//! SELECT.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{pair, preceded};

use super::called::Calls;
use super::cursor::{Cursor, Parsed};
use super::names::{TableName, column_node, is_name, table};
use super::parsers::{comma_list, comma_nodes, if_read, keyword};
use super::relation::{Restrictions, used, where_clause};
use super::selector::{Selectors, expression_node, selectors};
use super::term::{Term, Value, integer, value_node};
use super::tree::{NodeId, Place};
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, TokenKind};

/// A SELECT. What it holds besides its table is read again from the text when somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "clauses that are there or not, each on its own")]
pub struct Select<'a> {
    pub(crate) text: &'a str,
    /// The table or view that is read.
    pub table: TableName<'a>,
    /// `SELECT JSON`.
    pub json: bool,
    /// `SELECT DISTINCT`.
    pub distinct: bool,
    /// What is selected.
    pub selection: Selection,
    /// `ALLOW FILTERING`.
    pub allow_filtering: bool,
    /// There is a GROUP BY clause.
    pub has_group_by: bool,
    /// There is an ORDER BY clause.
    pub has_order_by: bool,
    /// There is a PER PARTITION LIMIT clause.
    pub has_per_partition_limit: bool,
    limit: Option<Term<'a>>,
    selectors_at: usize,
    /// Where the WHERE clause starts, and how many markers stand before it.
    where_at: Option<(usize, usize)>,
    pub(crate) calls: Calls,
    pub(crate) release: Release,
    pub(crate) markers: usize,
}

/// What a SELECT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// `*`.
    Star,
    /// The entries that [`Select::selectors`] reads.
    List,
}

impl<'a> Select<'a> {
    /// The entries of the selection in order; none for `*`.
    pub fn selectors(&self) -> Selectors<'a> {
        let position = (self.selection == Selection::List).then_some(self.selectors_at);
        Selectors { text: self.text, position, release: self.release }
    }

    /// The restrictions of the WHERE clause in order.
    pub fn restrictions(&self) -> Restrictions<'a> {
        let (position, markers) = self.where_at.map_or((None, 0), |(at, markers)| (Some(at), markers));
        Restrictions { text: self.text, position, markers, release: self.release }
    }

    /// The value of the LIMIT clause: an integer or a marker.
    pub fn limit(&self) -> Option<Term<'a>> {
        self.limit.clone()
    }
}

/// JSON, DISTINCT, and the selection behind them.
#[derive(Clone, Copy)]
struct Clause {
    json: bool,
    distinct: bool,
    star: bool,
    /// Where the selection starts.
    at: usize,
}

pub(crate) fn select<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Select<'a>> {
    let (rest, ()) = keyword(Keyword::Select)(input)?;
    let (rest, clause) = json_clause(rest)?;
    let (rest, ()) = cut(keyword(Keyword::From)).parse(rest)?;
    let (rest, table) = cut(table).parse(rest)?;
    let mut where_at = None;
    let rest = if rest.is(Keyword::Where) {
        let start = rest.next();
        where_at = Some((start.start(), start.markers()));
        cut(where_clause).parse(start)?.0
    } else {
        rest
    };
    let (rest, clauses) = clauses(rest)?;
    let select = Select {
        text: input.text(),
        table,
        json: clause.json,
        distinct: clause.distinct,
        selection: if clause.star { Selection::Star } else { Selection::List },
        allow_filtering: clauses.filtering,
        has_group_by: clauses.group,
        has_order_by: clauses.order,
        has_per_partition_limit: clauses.per_partition,
        limit: clauses.limit.map(|value| value.term(input.text(), input.context.limits.release)),
        selectors_at: clause.at,
        where_at,
        calls: input.context.calls.take(),
        release: input.context.limits.release,
        markers: rest.markers(),
    };
    input.finish();
    Ok((rest, select))
}

/// What stands behind the WHERE clause.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "clauses that are there or not, each on its own")]
struct Clauses {
    group: bool,
    order: bool,
    per_partition: bool,
    limit: Option<Value>,
    filtering: bool,
}

fn clauses<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Clauses> {
    let (mut rest, mut found) = (input, Clauses::default());
    if !matches!(input.kind(), TokenKind::Keyword(_)) {
        return Ok((rest, found));
    }
    if rest.is(Keyword::Group) && rest.next().is(Keyword::By) {
        let (behind, values) = cut(comma_nodes(group)).parse(rest.next().next())?;
        used(&rest, Place::GroupBy, NodeId::NONE, NodeId::NONE, values);
        (rest, found.group) = (behind, true);
    }
    if rest.is(Keyword::Order) && rest.next().is(Keyword::By) {
        (rest, found.order) = (cut(comma_list(ordering)).parse(rest.next().next())?.0, true);
    }
    if rest.is(Keyword::Per) {
        let limit = (keyword(Keyword::Per), keyword(Keyword::Partition), keyword(Keyword::Limit));
        let (behind, limit) = opt(preceded(limit, cut(integer))).parse(rest)?;
        (rest, found.per_partition) = (behind, limit.is_some());
    }
    if rest.is(Keyword::Limit) {
        let (behind, limit) = cut(integer).parse(rest.next())?;
        (rest, found.limit) = (behind, Some(limit));
    }
    if rest.is(Keyword::Allow) {
        (rest, found.filtering) = (cut(keyword(Keyword::Filtering)).parse(rest.next())?.0, true);
    }
    Ok((rest, found))
}

/// `JSON` is also a column's name; Cassandra takes it as the modifier if a selection follows.
fn json_clause<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Clause> {
    if input.is(Keyword::Json)
        && modifies(&input.next())
        && let Some((rest, clause)) = if_read(distinct_clause(input.next()))?
    {
        return Ok((rest, Clause { json: true, ..clause }));
    }
    distinct_clause(input)
}

/// The same for `DISTINCT`.
fn distinct_clause<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Clause> {
    let clause = |start: Cursor<'a, 'c>, distinct| {
        cut(selectors).map(|star| Clause { json: false, distinct, star, at: start.start() }).parse(start)
    };
    if input.is(Keyword::Distinct)
        && modifies(&input.next())
        && let Some(found) = if_read(clause(input.next(), true))?
    {
        return Ok(found);
    }
    clause(input, false)
}

/// Whether a word that could be a modifier or a column is the modifier, by what follows it.
fn modifies(next: &Cursor<'_, '_>) -> bool {
    // `json AS x FROM` is a column with an alias, `JSON as FROM` a column called `as`. Where no selection follows
    // at all, the word is a column: reading it fails at once.
    let behind = next.next().next();
    let has_alias = next.is(Keyword::As)
        && is_name(next.next().kind())
        && (behind.is(Keyword::From) || behind.at(Symbol::Comma));
    !has_alias
}

/// What rows are grouped by: columns alone before 4.1.
fn group<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    if input.knows(Release::V4_1) { expression_node(input) } else { column_node(input) }
}

/// A column, perhaps compared with a vector, and a direction.
fn ordering<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let near = preceded(pair(keyword(Keyword::Ann), keyword(Keyword::Of)), cut(value_node));
    let (rest, (column, near)) = pair(column_node, opt(near)).parse(input)?;
    used(&input, Place::OrderBy, column, NodeId::NONE, near.unwrap_or(NodeId::NONE));
    let direction = rest.is(Keyword::Asc) || rest.is(Keyword::Desc);
    Ok((if direction { rest.next() } else { rest }, ()))
}
