//! GRANT, REVOKE and LIST.

use std::fmt;

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::{preceded, terminated};

use super::access::{Access, Grant, NamedResource};
use super::cursor::{Cursor, Parsed};
use super::error::UNQUALIFIED_FUNCTION;
use super::names::{Name, function, is_name, keyspace, table};
use super::parsers::keyword;
use super::roles::role;
use super::routines::signature;
use super::term::string_literal;
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, TokenKind};
use crate::cql::permission::Permission;
use crate::cql::resource::Resource;

/// Behind `GRANT`.
pub(crate) fn grant<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, granted) = of_role_or_permissions(input, Keyword::To)?;
    Ok((
        rest,
        match granted {
            Granted::Role { role, whose } => Access::GrantRole { role, to: whose },
            Granted::Permissions(grant) => Access::Grant(grant),
        },
    ))
}

/// Behind `REVOKE`.
pub(crate) fn revoke<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let (rest, granted) = of_role_or_permissions(input, Keyword::From)?;
    Ok((
        rest,
        match granted {
            Granted::Role { role, whose } => Access::RevokeRole { role, from: whose },
            Granted::Permissions(grant) => Access::Revoke(grant),
        },
    ))
}

enum Granted<'a> {
    Role { role: Name<'a>, whose: Name<'a> },
    Permissions(Grant<'a>),
}

fn of_role_or_permissions<'a: 'c, 'c>(input: Cursor<'a, 'c>, link: Keyword) -> Parsed<'a, 'c, Granted<'a>> {
    // A role may be called like a permission; the word behind it tells.
    if input.next().is(link) {
        let (rest, granted) = terminated(role, keyword(link)).parse(input)?;
        let (rest, whose) = role(rest)?;
        return Ok((rest, Granted::Role { role: granted, whose }));
    }
    let (rest, permissions) = permissions(input)?;
    let (start, ()) = keyword(Keyword::On)(rest)?;
    let (rest, on) = resource(start)?;
    if permissions.is_some_and(|permissions| !on.applicable().iter().any(|one| permissions.contains(*one))) {
        return start.refuse(unsupported(&on));
    }
    let (rest, role) = preceded(keyword(link), cut(role)).parse(rest)?;
    Ok((rest, Granted::Permissions(Grant { permissions, on, role })))
}

/// What Cassandra says where a resource has none of the permissions.
const fn unsupported(on: &NamedResource<'_>) -> &'static str {
    match on {
        NamedResource::Other(Resource::AllRoles | Resource::Role(_)) => {
            "Resource type RoleResource does not support any of the requested permissions"
        }
        NamedResource::Other(
            Resource::AllFunctions | Resource::FunctionsIn(_) | Resource::Function { .. },
        ) => "Resource type FunctionResource does not support any of the requested permissions",
        NamedResource::Other(Resource::AllMbeans | Resource::Mbean(_)) => {
            "Resource type JMXResource does not support any of the requested permissions"
        }
        NamedResource::Table(_) | NamedResource::Other(_) => {
            "Resource type DataResource does not support any of the requested permissions"
        }
    }
}

/// Behind `LIST`.
pub(crate) fn list<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Access<'a>> {
    let of_role = |input| opt(preceded(keyword(Keyword::Of), cut(role))).parse(input);
    let recursion = |input| opt(keyword(Keyword::NoRecursive)).map(|found| found.is_none()).parse(input);
    match input.kind() {
        TokenKind::Keyword(Keyword::Users) => Ok((input.next(), Access::ListUsers)),
        TokenKind::Keyword(Keyword::Roles) => {
            let (rest, of) = of_role(input.next())?;
            let (rest, recursive) = recursion(rest)?;
            Ok((rest, Access::ListRoles { of, recursive }))
        }
        _ => {
            let (rest, permissions) = permissions(input)?;
            let (rest, on) = opt(preceded(keyword(Keyword::On), cut(resource))).parse(rest)?;
            let (rest, of) = of_role(rest)?;
            let (rest, recursive) = recursion(rest)?;
            Ok((rest, Access::ListPermissions { permissions, on, of, recursive }))
        }
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u16);

impl Permissions {
    /// Whether a permission is among them.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// The permissions in Cassandra's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |&permission| self.contains(permission))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

const fn bit(permission: Permission) -> u16 {
    1 << permission as u16
}

/// `ALL [PERMISSIONS]`, or permissions separated by commas.
fn permissions<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Option<Permissions>> {
    if input.is(Keyword::All) {
        let (rest, _) = opt(keyword(Keyword::Permissions)).parse(input.next())?;
        return Ok((rest, None));
    }
    let one = |input| terminated(permission, opt(keyword(Keyword::Permission))).parse(input);
    let (mut rest, first) = one(input)?;
    let mut all = bit(first);
    // Several at once since 4.1.
    while rest.at(Symbol::Comma) && rest.knows(Release::V4_1) {
        let (behind, more) = cut(one).parse(rest.next())?;
        all |= bit(more);
        rest = behind;
    }
    Ok((rest, Some(Permissions(all))))
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

/// What permissions are held on. Words that are no keyword here name a table.
fn resource<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NamedResource<'a>> {
    let next = input.next();
    let in_keyspace =
        |input| preceded((keyword(Keyword::In), keyword(Keyword::Keyspace)), keyspace).parse(input);
    let (rest, resource) = match (input.kind(), next.kind()) {
        (TokenKind::Keyword(Keyword::All), TokenKind::Keyword(what)) => match what {
            Keyword::Keyspaces => (next.next(), Resource::AllKeyspaces),
            Keyword::ColumnFamilies if input.knows(Release::V4_1) => {
                in_keyspace.map(Resource::AllTables).parse(next.next())?
            }
            Keyword::Roles => (next.next(), Resource::AllRoles),
            Keyword::Functions => opt(in_keyspace)
                .map(|keyspace| keyspace.map_or(Resource::AllFunctions, Resource::FunctionsIn))
                .parse(next.next())?,
            Keyword::Mbeans => (next.next(), Resource::AllMbeans),
            _ => return table.map(NamedResource::Table).parse(input),
        },
        (TokenKind::Keyword(Keyword::Keyspace), _) => cut(keyspace).map(Resource::Keyspace).parse(next)?,
        (TokenKind::Keyword(Keyword::ColumnFamily), _) => {
            return cut(table).map(NamedResource::Table).parse(next);
        }
        (TokenKind::Keyword(Keyword::Role), behind)
            if is_name(behind)
                || behind == TokenKind::String
                || behind == TokenKind::Symbol(Symbol::Question) =>
        {
            cut(role).map(Resource::Role).parse(next)?
        }
        (TokenKind::Keyword(Keyword::Function), behind)
            if is_name(behind) || behind == TokenKind::Keyword(Keyword::Token) =>
        {
            let (rest, function) = function(next)?;
            let Some(keyspace) = function.keyspace else {
                return next.refuse(UNQUALIFIED_FUNCTION);
            };
            let (rest, types) = cut(signature).parse(rest)?;
            let arguments = types.join(", ").into();
            (rest, Resource::Function { keyspace, name: function.name, arguments })
        }
        (TokenKind::Keyword(word @ (Keyword::Mbean | Keyword::Mbeans)), TokenKind::String) => {
            let (rest, name) = string_literal(next)?;
            let pattern = name.contains(['*', '?']);
            if !name.contains(':') || name == "*:*" || (word == Keyword::Mbeans && !pattern) {
                return next.refuse("not a valid JMX object name");
            }
            (rest, Resource::Mbean(name))
        }
        _ => return table.map(NamedResource::Table).parse(input),
    };
    Ok((rest, NamedResource::Other(resource)))
}
