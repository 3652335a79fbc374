//! Column types: native ones, collections, tuples, vectors, user types, classes.

use nom::Parser;
use nom::combinator::verify;
use nom::sequence::{delimited, preceded, terminated};

use super::cursor::{Cursor, Parsed, comma_list, symbol, token};
use super::names::user_type;
use crate::cql::keyword::{Class, Keyword};
use crate::cql::lexer::{Symbol, TokenKind};

/// A type such as `int`, `map<text, frozen<list<int>>>`, `k.address` or `'Int32Type'`.
pub(crate) fn any_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let inner = input.deeper()?;
    let parameters = input.next().at(Symbol::Less);
    let (rest, ()) = match input.kind() {
        TokenKind::String => (input.next(), ()),
        TokenKind::Keyword(keyword)
            if keyword.class() == Class::NativeType && !input.next().at(Symbol::Dot) =>
        {
            (input.next(), ())
        }
        TokenKind::Keyword(Keyword::List | Keyword::Set) if parameters => {
            angled(any_type).parse(inner.next())?
        }
        TokenKind::Keyword(Keyword::Frozen) if parameters => angled(freezable).parse(inner.next())?,
        TokenKind::Keyword(Keyword::Map) if parameters => {
            angled((any_type, symbol(Symbol::Comma), any_type)).parse(inner.next())?
        }
        TokenKind::Keyword(Keyword::Tuple) if parameters => {
            angled(comma_list(any_type)).parse(inner.next())?
        }
        TokenKind::Keyword(Keyword::Vector) if parameters => {
            let integer = verify(token(TokenKind::Integer), |digits: &str| digits.parse::<i32>().is_ok());
            let dimension = preceded(symbol(Symbol::Comma), integer);
            angled(terminated(any_type, dimension)).parse(inner.next())?
        }
        _ => user_type(input)?,
    };
    Ok((rest.level_of(&input), ()))
}

fn angled<'a: 'c, 'c, O>(
    inner: impl Parser<Cursor<'a, 'c>, Output = O, Error = super::cursor::Fail>,
) -> impl Parser<Cursor<'a, 'c>, Output = (), Error = super::cursor::Fail> {
    delimited(symbol(Symbol::Less), inner, symbol(Symbol::Greater)).map(drop)
}

/// A type that `frozen<..>` takes: no native one and no class.
fn freezable<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, ()) = any_type(input)?;
    let single = rest.previous_end == input.token.end;
    if single && (input.kind() == TokenKind::String || native_type(input).is_ok()) {
        return input.refuse("frozen<> is only allowed on collections, tuples, and user-defined types");
    }
    Ok((rest, ()))
}

/// A native type, as CAST takes it.
pub(crate) fn native_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    match input.kind() {
        TokenKind::Keyword(keyword) if keyword.class() == Class::NativeType => Ok((input.next(), ())),
        _ => input.fail(),
    }
}
