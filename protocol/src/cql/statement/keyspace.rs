//! USE, and CREATE, ALTER and DROP of keyspaces.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{pair, preceded};

use super::cursor::{Cursor, Parsed};
use super::names::{Name, keyspace, new_keyspace};
use super::parsers::keyword;
use super::properties::properties;
use crate::cql::keyword::{Keyword, Release};

/// `IF EXISTS`, or nothing.
pub(crate) fn if_exists<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    opt(pair(keyword(Keyword::If), cut(keyword(Keyword::Exists)))).map(|found| found.is_some()).parse(input)
}

/// `IF EXISTS` in an ALTER, which knows it since 4.1.
pub(crate) fn alter_if_exists<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    if input.knows(Release::V4_1) { if_exists(input) } else { Ok((input, false)) }
}

/// `IF NOT EXISTS` in an ALTER, which knows it since 4.1.
pub(crate) fn alter_if_not_exists<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    if input.knows(Release::V4_1) { if_not_exists(input) } else { Ok((input, false)) }
}

/// `IF NOT EXISTS`, or nothing.
pub(crate) fn if_not_exists<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, bool> {
    let not_exists = pair(keyword(Keyword::Not), keyword(Keyword::Exists));
    opt(pair(keyword(Keyword::If), cut(not_exists))).map(|found| found.is_some()).parse(input)
}

/// `USE k`.
pub(crate) fn use_statement<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    preceded(keyword(Keyword::Use), cut(keyspace)).parse(input)
}

/// Behind `CREATE KEYSPACE`.
pub(crate) fn create<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let (rest, keyspace) = preceded(if_not_exists, new_keyspace).parse(input)?;
    let (rest, ()) = preceded(keyword(Keyword::With), properties).parse(rest)?;
    Ok((rest, keyspace))
}

/// Behind `ALTER KEYSPACE`.
pub(crate) fn alter<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let (rest, keyspace) = preceded(alter_if_exists, keyspace).parse(input)?;
    let (rest, ()) = preceded(keyword(Keyword::With), properties).parse(rest)?;
    Ok((rest, keyspace))
}

/// Behind `DROP KEYSPACE`.
pub(crate) fn drop<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    preceded(if_exists, keyspace).parse(input)
}
