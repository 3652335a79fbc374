//! Roles, users and identities.

use std::cell::Cell;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::cursor::{Cursor, Parsed, and_list, comma_list, keyword, symbol, token};
use super::keyspace::{if_exists, if_not_exists};
use super::names::any_name;
use super::properties::map;
use super::term::string_literal;
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// The name of a role: a name or a string.
pub(crate) fn role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if input.at(Symbol::Question) {
        return input.refuse("Bind variables cannot be used for role names");
    }
    alt((string_literal.map(drop), any_name)).parse(input)
}

/// The name of a user or an identity: a word or a string, no keyword and nothing in double quotes.
fn user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    match input.kind() {
        TokenKind::Ident | TokenKind::String => Ok((input.next(), ())),
        TokenKind::Quoted => input.refuse("Quoted strings are not supported for user names and identities"),
        _ => input.fail(),
    }
}

/// Behind `CREATE ROLE`.
pub(crate) fn create_role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    (if_not_exists, role, opt(preceded(keyword(Keyword::With), cut(options)))).map(drop).parse(input)
}

/// Behind `ALTER ROLE`.
pub(crate) fn alter_role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    (if_exists, role, opt(preceded(keyword(Keyword::With), cut(options)))).map(drop).parse(input)
}

/// Behind `DROP ROLE`.
pub(crate) fn drop_role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    preceded(if_exists, role).parse(input)
}

/// Behind `CREATE USER`.
pub(crate) fn create_user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    (if_not_exists, user, user_options).map(drop).parse(input)
}

/// Behind `ALTER USER`.
pub(crate) fn alter_user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    (if_exists, user, user_options).map(drop).parse(input)
}

/// Behind `DROP USER`.
pub(crate) fn drop_user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    preceded(if_exists, user).parse(input)
}

fn user_options<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let password = (opt(keyword(Keyword::Hashed)), keyword(Keyword::Password), string_literal);
    let (rest, _) = opt(preceded(keyword(Keyword::With), cut(password))).parse(input)?;
    opt(alt((keyword(Keyword::Superuser), keyword(Keyword::NoSuperuser)))).map(drop).parse(rest)
}

/// Behind `ADD IDENTITY`.
pub(crate) fn add_identity<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    (if_not_exists, user, keyword(Keyword::To), keyword(Keyword::Role), user).map(drop).parse(input)
}

/// Behind `DROP IDENTITY`.
pub(crate) fn drop_identity<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    preceded(if_exists, user).parse(input)
}

/// Options joined by AND; Cassandra refuses some of them twice, and a password in two forms.
fn options<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    const PASSWORD: u8 = 1;
    const HASHED: u8 = 2;
    const OPTIONS: u8 = 4;
    const SUPERUSER: u8 = 8;
    const LOGIN: u8 = 16;

    let seen = Cell::new(0_u8);
    let once = |start: Cursor<'a, 'c>, bit: u8| {
        let before = seen.get();
        seen.set(before | bit);
        if before & bit != 0 {
            start.refuse::<()>("Multiple definition for property").map(drop)
        } else if seen.get() & (PASSWORD | HASHED) == PASSWORD | HASHED {
            start.refuse::<()>("Options 'password' and 'hashed password' are mutually exclusive").map(drop)
        } else {
            Ok(())
        }
    };
    let option = |start: Cursor<'a, 'c>| {
        let TokenKind::Keyword(word) = start.kind() else { return start.fail() };
        let rest = start.next();
        let string = preceded(symbol(Symbol::Equal), string_literal).map(drop);
        let boolean = preceded(symbol(Symbol::Equal), token(TokenKind::Boolean)).map(drop);
        match word {
            Keyword::Password => {
                once(start, PASSWORD)?;
                { string }.parse(rest)
            }
            Keyword::Hashed => {
                once(start, HASHED)?;
                preceded(keyword(Keyword::Password), string).parse(rest)
            }
            Keyword::Options => {
                once(start, OPTIONS)?;
                preceded(symbol(Symbol::Equal), map).parse(rest)
            }
            Keyword::Superuser => {
                once(start, SUPERUSER)?;
                { boolean }.parse(rest)
            }
            Keyword::Login => {
                once(start, LOGIN)?;
                { boolean }.parse(rest)
            }
            Keyword::Access => access(rest),
            _ => start.fail(),
        }
    };
    and_list(option).map(drop).parse(input)
}

/// Behind `ACCESS`: to data centres, or from networks.
fn access<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let places = |direction, places| {
        let all = pair(keyword(Keyword::All), keyword(places)).map(drop);
        let listed =
            delimited(symbol(Symbol::BraceOpen), comma_list(string_literal), symbol(Symbol::BraceClose));
        preceded(keyword(direction), alt((all, preceded(keyword(places), listed).map(drop))))
    };
    alt((places(Keyword::To, Keyword::Datacenters), places(Keyword::From, Keyword::Cidrs))).parse(input)
}
