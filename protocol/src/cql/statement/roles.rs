//! Roles, users and identities. What stands behind PASSWORD is read and not kept.

use std::cell::Cell;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::sequence::{delimited, pair, preceded};

use super::access::{Access, PasswordForm, RoleOptions};
use super::cursor::{Cursor, Fail, Parsed};
use super::keyspace::{alter_if_exists, if_exists, if_not_exists};
use super::limits::LONGEST_NAME;
use super::names::{Name, name, within};
use super::parsers::{and_list, comma_list, keyword, symbol, token};
use super::properties::map;
use super::term::{string, string_literal};
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};

/// The name of a role: a name or a string.
pub(crate) fn role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    if input.at(Symbol::Question) {
        return input.refuse("Bind variables cannot be used for role names");
    }
    let (rest, role) = alt((string_literal, name)).parse(input)?;
    within(&input, role.len(), LONGEST_NAME)?;
    Ok((rest, role))
}

/// The name of a user or an identity: a word or a string, no keyword and nothing in double quotes. Case is
/// kept, in words too.
fn user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let user = match input.kind() {
        TokenKind::Ident => Name::Borrowed(input.slice()),
        TokenKind::String => string(input.slice()),
        TokenKind::Quoted => {
            return input.refuse("Quoted strings are not supported for user names and identities");
        }
        _ => return input.fail(),
    };
    within(&input, user.len(), LONGEST_NAME)?;
    Ok((input.next(), user))
}

/// Behind `CREATE ROLE`.
pub(crate) fn create_role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, role) = preceded(if_not_exists, role).parse(input)?;
    let (rest, options) = with_options(rest)?;
    Ok((rest, Access::CreateRole { role, options }))
}

/// Behind `ALTER ROLE`.
pub(crate) fn alter_role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, role) = preceded(alter_if_exists, role).parse(input)?;
    let (rest, options) = with_options(rest)?;
    Ok((rest, Access::AlterRole { role, options }))
}

/// Behind `DROP ROLE`.
pub(crate) fn drop_role<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    preceded(if_exists, role).map(|role| Access::DropRole { role }).parse(input)
}

/// Behind `CREATE USER`: a role that may log in.
pub(crate) fn create_user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, role) = preceded(if_not_exists, user).parse(input)?;
    let (rest, options) = user_options(rest)?;
    Ok((rest, Access::CreateRole { role, options: RoleOptions { login: Some(true), ..options } }))
}

/// Behind `ALTER USER`.
pub(crate) fn alter_user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, role) = preceded(alter_if_exists, user).parse(input)?;
    let (rest, options) = user_options(rest)?;
    Ok((rest, Access::AlterRole { role, options }))
}

/// Behind `DROP USER`.
pub(crate) fn drop_user<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    preceded(if_exists, user).map(|role| Access::DropRole { role }).parse(input)
}

fn user_options<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, RoleOptions> {
    let form = opt(keyword(Keyword::Hashed)).map(|hashed| match hashed {
        Some(()) => PasswordForm::Hashed,
        None => PasswordForm::Clear,
    });
    let given = (form, keyword(Keyword::Password), string_literal).map(|(form, (), _)| form);
    let (rest, password) = opt(preceded(keyword(Keyword::With), cut(given))).parse(input)?;
    let (rest, superuser) = match rest.kind() {
        TokenKind::Keyword(Keyword::Superuser) => (rest.next(), Some(true)),
        TokenKind::Keyword(Keyword::NoSuperuser) => (rest.next(), Some(false)),
        _ => (rest, None),
    };
    Ok((rest, RoleOptions { superuser, password, ..RoleOptions::default() }))
}

/// Behind `ADD IDENTITY`.
pub(crate) fn add_identity<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, identity) = preceded(if_not_exists, user).parse(input)?;
    let (rest, role) = preceded((keyword(Keyword::To), keyword(Keyword::Role)), user).parse(rest)?;
    Ok((rest, Access::AddIdentity { identity, role }))
}

/// Behind `DROP IDENTITY`.
pub(crate) fn drop_identity<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    preceded(if_exists, user).map(|identity| Access::DropIdentity { identity }).parse(input)
}

fn with_options<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, RoleOptions> {
    opt(preceded(keyword(Keyword::With), cut(options))).map(Option::unwrap_or_default).parse(input)
}

/// What cannot be given twice.
fn once<T>(start: &Cursor<'_, '_>, option: &mut Option<T>, value: T) -> Result<(), nom::Err<Fail>> {
    if option.replace(value).is_some() {
        start.refuse::<()>("Multiple definition for property").map(drop)
    } else {
        Ok(())
    }
}

/// Options joined by AND; Cassandra refuses some of them twice, and a password in two forms.
fn options<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, RoleOptions> {
    let given = Cell::new(RoleOptions::default());
    let option = |start: Cursor<'a, 'c>| {
        let TokenKind::Keyword(word) = start.kind() else { return start.fail() };
        let rest = start.next();
        let string = preceded(symbol(Symbol::Equal), string_literal).map(drop);
        let boolean = preceded(symbol(Symbol::Equal), token(TokenKind::Boolean))
            .map(|word: &str| word.eq_ignore_ascii_case("true"));
        let mut all = given.get();
        let (rest, ()) = match word {
            Keyword::Password => {
                password(&start, &mut all, PasswordForm::Clear)?;
                { string }.parse(rest)?
            }
            Keyword::Hashed => {
                password(&start, &mut all, PasswordForm::Hashed)?;
                preceded(keyword(Keyword::Password), string).parse(rest)?
            }
            Keyword::Options => {
                once(&start, &mut all.options.then_some(()), ())?;
                all.options = true;
                preceded(symbol(Symbol::Equal), map).parse(rest)?
            }
            Keyword::Superuser => {
                let (rest, value) = { boolean }.parse(rest)?;
                once(&start, &mut all.superuser, value)?;
                (rest, ())
            }
            Keyword::Login => {
                let (rest, value) = { boolean }.parse(rest)?;
                once(&start, &mut all.login, value)?;
                (rest, ())
            }
            Keyword::Access if rest.is(Keyword::To) => {
                all.datacenters = true;
                places(rest.next(), Keyword::Datacenters)?
            }
            Keyword::Access => {
                all.cidrs = true;
                preceded(keyword(Keyword::From), |rest| places(rest, Keyword::Cidrs)).parse(rest)?
            }
            _ => return start.fail(),
        };
        given.set(all);
        Ok((rest, ()))
    };
    let (rest, ()) = and_list(option)(input)?;
    Ok((rest, given.get()))
}

fn password(start: &Cursor<'_, '_>, all: &mut RoleOptions, form: PasswordForm) -> Result<(), nom::Err<Fail>> {
    if all.password.is_some_and(|other| other != form) {
        return start
            .refuse::<()>("Options 'password' and 'hashed password' are mutually exclusive")
            .map(drop);
    }
    once(start, &mut all.password, form)
}

/// `ALL DATACENTERS`, or `DATACENTERS {'a', 'b'}`; the same of CIDR groups.
fn places<'a: 'c, 'c>(input: Cursor<'a, 'c>, word: Keyword) -> Parsed<'a, 'c, ()> {
    let all = pair(keyword(Keyword::All), keyword(word)).map(drop);
    let listed = delimited(symbol(Symbol::BraceOpen), comma_list(string_literal), symbol(Symbol::BraceClose));
    alt((all, preceded(keyword(word), listed).map(drop))).parse(input)
}
