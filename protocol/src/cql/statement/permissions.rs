//! GRANT, REVOKE and LIST.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{pair, preceded};

use super::cursor::{Cursor, Parsed, keyword};
use super::kind::Kind;
use super::names::{function, is_name, keyspace, table};
use super::objects::signature;
use super::roles::role;
use super::term::string_literal;
use crate::cql::keyword::Keyword;
use crate::cql::lexer::{Symbol, TokenKind};
use crate::cql::permission::Permission;

/// Behind `GRANT`.
pub(crate) fn grant<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Kind> {
    of_roles_or_permissions(input, Keyword::To).map(|(rest, ())| (rest, Kind::Grant))
}

/// Behind `REVOKE`.
pub(crate) fn revoke<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Kind> {
    of_roles_or_permissions(input, Keyword::From).map(|(rest, ())| (rest, Kind::Revoke))
}

fn of_roles_or_permissions<'a: 'c, 'c>(input: Cursor<'a, 'c>, link: Keyword) -> Parsed<'a, 'c, ()> {
    // A role may be called like a permission; the word behind it tells.
    if input.next().is(link) {
        return (role, keyword(link), role).map(drop).parse(input);
    }
    let (rest, permissions) = permissions(input)?;
    let start = preceded(keyword(Keyword::On), |input| Ok((input, input))).parse(rest)?.1;
    let (rest, kind) = resource(start)?;
    if !permissions.iter().any(|permission| kind.allows(permission)) {
        return start.refuse("Resource type does not support any of the requested permissions");
    }
    preceded(keyword(link), cut(role)).parse(rest)
}

/// Behind `LIST`.
pub(crate) fn list<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Kind> {
    let of_role = |input| opt(preceded(keyword(Keyword::Of), cut(role))).map(drop).parse(input);
    let recursion = |input| opt(keyword(Keyword::NoRecursive)).map(drop).parse(input);
    match input.kind() {
        TokenKind::Keyword(Keyword::Users) => Ok((input.next(), Kind::ListRoles)),
        TokenKind::Keyword(Keyword::Roles) => {
            pair(of_role, recursion).map(|_| Kind::ListRoles).parse(input.next())
        }
        _ => {
            let (rest, _) = permissions(input)?;
            let (rest, _) = opt(preceded(keyword(Keyword::On), cut(resource))).parse(rest)?;
            pair(of_role, recursion).map(|_| Kind::ListPermissions).parse(rest)
        }
    }
}

/// A set of permissions, one bit each.
#[derive(Clone, Copy)]
struct Permissions(u16);

impl Permissions {
    fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |&permission| self.0 & bit(permission) != 0)
    }
}

const fn bit(permission: Permission) -> u16 {
    1 << permission as u16
}

/// `ALL [PERMISSIONS]`, or permissions separated by commas.
fn permissions<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Permissions> {
    if input.is(Keyword::All) {
        let (rest, _) = opt(keyword(Keyword::Permissions)).parse(input.next())?;
        return Ok((rest, Permissions(u16::MAX)));
    }
    let one = |input| nom::sequence::terminated(permission, opt(keyword(Keyword::Permission))).parse(input);
    let (mut rest, first) = one(input)?;
    let mut all = bit(first);
    while rest.at(Symbol::Comma) {
        let (behind, more) = cut(one).parse(rest.next())?;
        all |= bit(more);
        rest = behind;
    }
    Ok((rest, Permissions(all)))
}

fn permission<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Permission> {
    let TokenKind::Keyword(word) = input.kind() else { return input.fail() };
    let permission = match word {
        Keyword::Create => Permission::Create,
        Keyword::Alter => Permission::Alter,
        Keyword::Drop => Permission::Drop,
        Keyword::Select => Permission::Select,
        Keyword::Modify => Permission::Modify,
        Keyword::Authorize => Permission::Authorize,
        Keyword::Describe => Permission::Describe,
        Keyword::Execute => Permission::Execute,
        Keyword::Unmask => Permission::Unmask,
        Keyword::SelectMasked => Permission::SelectMasked,
        _ => return input.fail(),
    };
    Ok((input.next(), permission))
}

/// What kind of resource is named: it decides which permissions make sense.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ResourceKind {
    Keyspaces,
    Table,
    Roles,
    Role,
    Functions,
    Function,
    Beans,
}

impl ResourceKind {
    fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            P::Create => matches!(self, Self::Keyspaces | Self::Roles | Self::Functions),
            P::Alter | P::Drop => self != Self::Beans,
            P::Authorize => true,
            P::Select | P::Modify => matches!(self, Self::Keyspaces | Self::Table | Self::Beans),
            P::Unmask | P::SelectMasked => matches!(self, Self::Keyspaces | Self::Table),
            P::Describe => matches!(self, Self::Roles | Self::Role | Self::Beans),
            P::Execute => matches!(self, Self::Functions | Self::Function | Self::Beans),
        }
    }
}

/// What permissions are held on. Words that are no keyword here name a table.
fn resource<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ResourceKind> {
    let next = input.next();
    let in_keyspace =
        |input| (keyword(Keyword::In), keyword(Keyword::Keyspace), keyspace).map(drop).parse(input);
    match (input.kind(), next.kind()) {
        (TokenKind::Keyword(Keyword::All), TokenKind::Keyword(what)) if what != Keyword::To => match what {
            Keyword::Keyspaces => Ok((next.next(), ResourceKind::Keyspaces)),
            Keyword::ColumnFamilies => in_keyspace.map(|()| ResourceKind::Keyspaces).parse(next.next()),
            Keyword::Roles => Ok((next.next(), ResourceKind::Roles)),
            Keyword::Functions => opt(in_keyspace).map(|_| ResourceKind::Functions).parse(next.next()),
            Keyword::Mbeans => Ok((next.next(), ResourceKind::Beans)),
            _ => table.map(|_| ResourceKind::Table).parse(input),
        },
        (TokenKind::Keyword(Keyword::Keyspace), _) => {
            cut(keyspace).map(|_| ResourceKind::Keyspaces).parse(next)
        }
        (TokenKind::Keyword(Keyword::ColumnFamily), _) => cut(table).map(|_| ResourceKind::Table).parse(next),
        (TokenKind::Keyword(Keyword::Role), behind) if is_name(behind) || behind == TokenKind::String => {
            cut(role).map(|()| ResourceKind::Role).parse(next)
        }
        (TokenKind::Keyword(Keyword::Role), TokenKind::Symbol(Symbol::Question)) => {
            role(next).map(|(rest, ())| (rest, ResourceKind::Role))
        }
        (TokenKind::Keyword(Keyword::Function), behind)
            if is_name(behind) || behind == TokenKind::Keyword(Keyword::Token) =>
        {
            let (rest, name) = function(next)?;
            if name.keyspace.is_none() {
                return next
                    .refuse("In this context function name must be explictly qualified by a keyspace");
            }
            cut(signature).map(|()| ResourceKind::Function).parse(rest)
        }
        (TokenKind::Keyword(word @ (Keyword::Mbean | Keyword::Mbeans)), TokenKind::String) => {
            let (rest, name) = string_literal(next)?;
            let pattern = name.contains(['*', '?']);
            if !name.contains(':') || name == "*:*" || (word == Keyword::Mbeans && !pattern) {
                return next.refuse("not a valid JMX object name");
            }
            Ok((rest, ResourceKind::Beans))
        }
        _ => table.map(|_| ResourceKind::Table).parse(input),
    }
}
