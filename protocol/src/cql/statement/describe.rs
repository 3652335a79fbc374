//! DESCRIBE, which Cassandra answers itself since 4.0.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{pair, preceded};

use super::cursor::{Cursor, Parsed};
use super::names::{FunctionName, Name, TableName, function, is_name, keyspace, name, table, user_type};
use super::parsers::{keyword, symbol};
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// `DESCRIBE what [WITH INTERNALS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describe<'a> {
    /// What is described.
    pub what: Described<'a>,
    /// Whether it says WITH INTERNALS.
    pub internals: bool,
}

/// What DESCRIBE describes. Names without a keyspace take the session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Described<'a> {
    /// `CLUSTER`.
    Cluster,
    /// `[FULL] SCHEMA`.
    Schema {
        /// Whether system keyspaces are meant too.
        full: bool,
    },
    /// `KEYSPACES`.
    Keyspaces,
    /// `TABLES`: the names of those in the session's keyspace, or in all.
    Tables,
    /// `TYPES`: the same of types.
    Types,
    /// `FUNCTIONS`: the same of functions.
    Functions,
    /// `AGGREGATES`: the same of aggregates.
    Aggregates,
    /// `[ONLY] KEYSPACE [k]`.
    Keyspace {
        /// The keyspace; without a name it is the session's.
        name: Option<Name<'a>>,
        /// Whether what lies in it is left out.
        only: bool,
    },
    /// `TABLE t`.
    Table(TableName<'a>),
    /// `INDEX i`.
    Index(TableName<'a>),
    /// `MATERIALIZED VIEW v`.
    View(TableName<'a>),
    /// `TYPE u`.
    Type(TableName<'a>),
    /// `FUNCTION f`: every overload.
    Function(FunctionName<'a>),
    /// `AGGREGATE a`: every overload.
    Aggregate(FunctionName<'a>),
    /// A keyspace, or whatever is called so in the session's keyspace; or in the keyspace that it names.
    Anything(TableName<'a>),
}

impl Describe<'_> {
    /// Whether what it describes depends on the session's keyspace.
    pub(crate) const fn is_unqualified(&self) -> bool {
        match &self.what {
            Described::Cluster | Described::Schema { .. } | Described::Keyspaces => false,
            Described::Tables | Described::Types | Described::Functions | Described::Aggregates => true,
            Described::Keyspace { name, .. } => name.is_none(),
            Described::Table(name)
            | Described::Index(name)
            | Described::View(name)
            | Described::Type(name)
            | Described::Anything(name) => name.keyspace.is_none(),
            Described::Function(name) | Described::Aggregate(name) => name.keyspace.is_none(),
        }
    }
}

/// Behind `DESCRIBE` or `DESC`.
pub(crate) fn describe<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Describe<'a>> {
    let (rest, what) = described(input)?;
    let internals = pair(keyword(Keyword::With), cut(keyword(Keyword::Internals)));
    let (rest, internals) = opt(internals).map(|found| found.is_some()).parse(rest)?;
    Ok((rest, Describe { what, internals }))
}

fn described<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Described<'a>> {
    let TokenKind::Keyword(word) = input.kind() else { return anything(input) };
    let next = input.next();
    // TYPE, FUNCTION and AGGREGATE are names too, of something that ends or goes on with a dot.
    let names_one = is_name(next.kind()) || next.is(Keyword::Token);
    match word {
        Keyword::Cluster => Ok((next, Described::Cluster)),
        Keyword::Schema => Ok((next, Described::Schema { full: false })),
        Keyword::Keyspaces => Ok((next, Described::Keyspaces)),
        Keyword::ColumnFamilies => Ok((next, Described::Tables)),
        Keyword::Types => Ok((next, Described::Types)),
        Keyword::Functions => Ok((next, Described::Functions)),
        Keyword::Aggregates => Ok((next, Described::Aggregates)),
        Keyword::Full => keyword(Keyword::Schema).map(|()| Described::Schema { full: true }).parse(next),
        Keyword::Only if next.is(Keyword::Keyspace) => one_keyspace(next.next(), true),
        Keyword::Keyspace => one_keyspace(next, false),
        Keyword::ColumnFamily => table.map(Described::Table).parse(next),
        Keyword::Index => table.map(Described::Index).parse(next),
        Keyword::Materialized => preceded(keyword(Keyword::View), table).map(Described::View).parse(next),
        Keyword::Type if names_one => user_type.map(Described::Type).parse(next),
        Keyword::Function if names_one => function.map(Described::Function).parse(next),
        Keyword::Aggregate if names_one => function.map(Described::Aggregate).parse(next),
        _ => anything(input),
    }
}

fn one_keyspace<'a: 'c, 'c>(input: Cursor<'a, 'c>, only: bool) -> Parsed<'a, 'c, Described<'a>> {
    if is_name(input.kind()) || input.at(Symbol::Question) {
        return keyspace.map(|name| Described::Keyspace { name: Some(name), only }).parse(input);
    }
    Ok((input, Described::Keyspace { name: None, only }))
}

/// Whatever is called so, in its keyspace or not.
fn anything<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Described<'a>> {
    let (rest, first) = name(input)?;
    let (rest, second) = opt(preceded(symbol(Symbol::Dot), cut(name))).parse(rest)?;
    let named = match second {
        Some(second) => TableName { keyspace: Some(first), name: second },
        None => TableName { keyspace: None, name: first },
    };
    Ok((rest, Described::Anything(named)))
}
