//! Column types: native ones, collections, tuples, vectors, user types, classes.

use std::borrow::Cow;

use nom::Parser;
use nom::combinator::verify;
use nom::sequence::{delimited, preceded, terminated};

use super::cursor::{Context, Cursor, Parsed};
use super::limits::Limits;
use super::names::{fold, unquote, user_type};
use super::parsers::{comma_list, symbol, token};
use super::term::string;
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
        _ => user_type.map(drop).parse(input)?,
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
    let single = rest.previous_end() == input.end();
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

/// The type of an argument or of a state, in canonical form.
pub(crate) fn argument_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, String> {
    let (rest, ()) = any_type(input)?;
    Ok((rest, canonical(input, rest.previous_end())))
}

/// A type as Cassandra's schema tables write it, in the one form in which types are compared here:
/// `frozen<..>` left out (functions take everything frozen), `varchar` as `text`, names of native types in
/// lower case, one space behind a comma, user types without their keyspace (there is no other than that of
/// what uses them) and quoted only where they must be, classes of native types by the type's name. `None`
/// for what is no type.
///
/// `frozen<map<varchar, int>>` is `map<text, int>`, `k.Address` is `address`, `'Int32Type'` is `int`; a class
/// that is no native type's stays in its quotes: what it is, only a node knows.
pub fn canonical_type(text: &str) -> Option<String> {
    let context = Context::new(text, Limits::default());
    let cursor = Cursor::new(&context, 0, 0);
    let (rest, ()) = any_type(cursor).ok()?;
    if rest.kind() != TokenKind::End {
        return None;
    }
    Some(canonical(cursor, rest.start()))
}

/// The same of the type whose tokens stand from a cursor up to a byte.
fn canonical(from: Cursor<'_, '_>, end: usize) -> String {
    let (mut out, mut cursor, mut frozen, mut depth) = (String::new(), from, Vec::new(), 0_usize);
    while cursor.start() < end && cursor.kind() != TokenKind::End {
        let opens = cursor.next().at(Symbol::Less);
        match cursor.kind() {
            TokenKind::Keyword(Keyword::Frozen) if opens => {
                depth += 1;
                frozen.push(depth);
                cursor = cursor.next();
            }
            TokenKind::Symbol(Symbol::Less) => {
                depth += 1;
                out.push('<');
            }
            TokenKind::Symbol(Symbol::Greater) => {
                if frozen.last() == Some(&depth) {
                    frozen.pop();
                } else {
                    out.push('>');
                }
                depth = depth.saturating_sub(1);
            }
            TokenKind::Symbol(Symbol::Comma) => out.push_str(", "),
            TokenKind::Symbol(Symbol::Dot) => {}
            _ if cursor.next().at(Symbol::Dot) => {}
            TokenKind::Keyword(Keyword::Varchar) => out.push_str("text"),
            TokenKind::Quoted => out.push_str(&quoted_where_needed(cursor.slice())),
            TokenKind::String => out.push_str(&class(cursor.slice())),
            _ => out.push_str(&fold(cursor.slice())),
        }
        cursor = cursor.next();
    }
    out
}

/// A quoted name as the schema tables write it: words need no quotes unless they are reserved.
fn quoted_where_needed(token: &str) -> Cow<'_, str> {
    let name = unquote(token, '"');
    let reserved = Keyword::lookup(name.as_bytes()).is_some_and(|word| word.class() == Class::Reserved);
    let word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if word && !reserved { name } else { Cow::Borrowed(token) }
}

/// A class by the name of the native type that it implements, if it does.
fn class(token: &str) -> Cow<'_, str> {
    let class = string(token);
    let native = match class.strip_prefix("org.apache.cassandra.db.marshal.").unwrap_or(&class) {
        "AsciiType" => "ascii",
        "LongType" => "bigint",
        "BytesType" => "blob",
        "BooleanType" => "boolean",
        "CounterColumnType" => "counter",
        "SimpleDateType" => "date",
        "DecimalType" => "decimal",
        "DoubleType" => "double",
        "DurationType" => "duration",
        "FloatType" => "float",
        "InetAddressType" => "inet",
        "Int32Type" => "int",
        "ShortType" => "smallint",
        "UTF8Type" => "text",
        "TimeType" => "time",
        "TimestampType" => "timestamp",
        "TimeUUIDType" => "timeuuid",
        "ByteType" => "tinyint",
        "UUIDType" => "uuid",
        "IntegerType" => "varint",
        _ => return Cow::Owned(format!("'{}'", class.replace('\'', "''"))),
    };
    Cow::Borrowed(native)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_native_types_are_those_types() {
        for (class, native) in [
            ("AsciiType", "ascii"),
            ("LongType", "bigint"),
            ("BytesType", "blob"),
            ("BooleanType", "boolean"),
            ("CounterColumnType", "counter"),
            ("SimpleDateType", "date"),
            ("DecimalType", "decimal"),
            ("DoubleType", "double"),
            ("DurationType", "duration"),
            ("FloatType", "float"),
            ("InetAddressType", "inet"),
            ("Int32Type", "int"),
            ("ShortType", "smallint"),
            ("UTF8Type", "text"),
            ("TimeType", "time"),
            ("TimestampType", "timestamp"),
            ("TimeUUIDType", "timeuuid"),
            ("ByteType", "tinyint"),
            ("UUIDType", "uuid"),
            ("IntegerType", "varint"),
        ] {
            assert_eq!(canonical_type(&format!("'{class}'")).as_deref(), Some(native));
            let whole = format!("'org.apache.cassandra.db.marshal.{class}'");
            assert_eq!(canonical_type(&whole).as_deref(), Some(native));
        }
    }

    #[test]
    fn types_have_one_form() {
        for (text, form) in [
            ("int", "int"),
            ("VARCHAR", "text"),
            ("frozen<map<varchar,INT>>", "map<text, int>"),
            ("map<text, frozen<list<frozen<addr>>>>", "map<text, list<addr>>"),
            ("frozen<tuple<int, frozen<\"My T\">>>", "tuple<int, \"My T\">"),
            ("vector<float, 3>", "vector<float, 3>"),
            ("k.Addr", "addr"),
            ("\"k\".\"addr\"", "addr"),
            ("list<frozen<\"K\" . \"My T\">>", "list<\"My T\">"),
            ("\"table\"", "\"table\""),
            ("\"a\"\"b\"", "\"a\"\"b\""),
            ("key", "key"),
            ("'org.apache.cassandra.db.marshal.Int32Type'", "int"),
            ("map<$$UTF8Type$$, 'LongType'>", "map<text, bigint>"),
            ("'ListType(Int32Type)'", "'ListType(Int32Type)'"),
            ("$$it's$$", "'it''s'"),
            ("frozen", "frozen"),
            ("frozen<map<list<int>, u>>", "map<list<int>, u>"),
            ("map<frozen<list<int>>, frozen<map<int, frozen<u>>>>", "map<list<int>, map<int, u>>"),
            ("tuple<frozen<u>, vector<frozen<v>, 7>>", "tuple<u, vector<v, 7>>"),
            ("\"a_1\"", "a_1"),
            ("\"1a\"", "\"1a\""),
            ("\"a-b\"", "\"a-b\""),
        ] {
            assert_eq!(canonical_type(text).as_deref(), Some(form), "{text}");
        }
        for text in ["", "int int", "list<", "list<int", "1", "frozen<list<int>"] {
            assert_eq!(canonical_type(text), None, "{text}");
        }
    }
}
