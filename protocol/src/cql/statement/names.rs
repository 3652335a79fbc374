//! Names: what may stand where a keyspace, a table, a column or a function is called by its name.

use std::borrow::Cow;

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::terminated;

use super::cursor::{Context, Cursor, Fail, Parsed};
use super::limits::{LONGEST_NAME, LimitKind, Limits};
use super::parsers::symbol;
use super::tree::{Node, NodeId};
use crate::cql::keyword::{Class, Keyword};
use crate::cql::lexer::{Symbol, TokenKind};

/// An internal name: folded to lower case if it was written unquoted, kept as it is if quoted.
pub type Name<'a> = Cow<'a, str>;

/// A table, view, index or user type as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName<'a> {
    /// The keyspace, if the statement names it.
    pub keyspace: Option<Name<'a>>,
    /// The table, or what else it is.
    pub name: Name<'a>,
}

/// A function as a statement calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionName<'a> {
    /// The keyspace, if the statement names it.
    pub keyspace: Option<Name<'a>>,
    /// The function.
    pub name: Name<'a>,
}

/// Folds an unquoted word as Cassandra does: words are ASCII.
pub(crate) fn fold(word: &str) -> Name<'_> {
    if word.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Borrowed(word)
    }
}

/// What a quoted token stands for: the marks removed, doubled ones made one.
pub(crate) fn unquote(token: &str, mark: char) -> Cow<'_, str> {
    let inner = token.strip_prefix(mark).and_then(|t| t.strip_suffix(mark)).unwrap_or_default();
    if inner.contains(mark) {
        let double: String = [mark, mark].iter().collect();
        let single: String = [mark].iter().collect();
        Cow::Owned(inner.replace(&double, &single))
    } else {
        Cow::Borrowed(inner)
    }
}

/// Whether a token is a name.
pub(crate) fn is_name(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Ident | TokenKind::Quoted => true,
        TokenKind::Keyword(keyword) => keyword.class() != Class::Reserved,
        _ => false,
    }
}

/// A name: a word, a quoted name or an unreserved keyword.
pub(crate) fn name<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let name = match input.kind() {
        TokenKind::Quoted => unquote(input.slice(), '"'),
        kind if is_name(kind) => fold(input.slice()),
        _ => return input.fail(),
    };
    Ok((input.next(), name))
}

/// The same, where nobody needs what it says.
pub(crate) fn any_name<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if is_name(input.kind()) { Ok((input.next(), ())) } else { input.fail() }
}

/// A column that exists already: a name, or `""` for the nameless column of old tables.
pub(crate) fn column<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    if input.kind() == TokenKind::EmptyQuoted {
        return Ok((input.next(), Cow::Borrowed("")));
    }
    name(input)
}

/// The same, where nobody needs what it says.
pub(crate) fn any_column<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    if input.kind() == TokenKind::EmptyQuoted { Ok((input.next(), ())) } else { any_name(input) }
}

/// Whether the tokens at two places are one name, of columns that exist or of fields. Only the tokens are looked
/// at: they may stand far behind, where a step would cut anew what was read long ago.
pub(crate) fn same_name(one: &Cursor<'_, '_>, other: &Cursor<'_, '_>) -> bool {
    let is_quoted =
        |place: &Cursor<'_, '_>| matches!(place.kind(), TokenKind::Quoted | TokenKind::EmptyQuoted);
    let quoted = (is_quoted(one), is_quoted(other));
    if quoted.0 == quoted.1 && one.end() - one.start() != other.end() - other.start() {
        return false;
    }
    let (a, b) = (one.slice(), other.slice());
    match quoted {
        // A name is quoted in one way only.
        (true, true) => a == b,
        (false, false) => a.eq_ignore_ascii_case(b),
        (true, false) => is_word(a, b),
        (false, true) => is_word(b, a),
    }
}

/// Whether a quoted token is the name that a word is.
fn is_word(quoted: &str, word: &str) -> bool {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    inner.len() == word.len()
        && inner.bytes().zip(word.bytes()).all(|(inner, word)| inner == word.to_ascii_lowercase())
}

fn not_bound<'a: 'c, 'c>(input: Cursor<'a, 'c>, words: &'static str) -> Parsed<'a, 'c, ()> {
    if input.at(Symbol::Question) { input.refuse(words) } else { Ok((input, ())) }
}

/// The name of a keyspace.
pub(crate) fn keyspace<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    not_bound(input, "Bind variables cannot be used for keyspace names")?;
    name(input)
}

fn qualified<'a: 'c, 'c>(
    input: Cursor<'a, 'c>,
    unbound: &'static str,
) -> Parsed<'a, 'c, (Option<Name<'a>>, Name<'a>)> {
    if input.at(Symbol::Question) {
        let keyspace = input.next().at(Symbol::Dot);
        return input.refuse(if keyspace {
            "Bind variables cannot be used for keyspace names"
        } else {
            unbound
        });
    }
    let (rest, first) = name(input)?;
    if !rest.at(Symbol::Dot) {
        return Ok((rest, (None, first)));
    }
    let (rest, ()) = not_bound(rest.next(), unbound)?;
    let (rest, name) = name(rest)?;
    Ok((rest, (Some(first), name)))
}

/// A table or view, perhaps with its keyspace.
pub(crate) fn table<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, (keyspace, name)) = qualified(input, "Bind variables cannot be used for table names")?;
    Ok((rest, TableName { keyspace, name }))
}

/// An index, perhaps with its keyspace.
pub(crate) fn index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, (keyspace, name)) = qualified(input, "Bind variables cannot be used for index names")?;
    Ok((rest, TableName { keyspace, name }))
}

/// A name of so many bytes, where no more than `bound` are good for a node.
pub(crate) fn within(input: &Cursor<'_, '_>, bytes: usize, bound: usize) -> Result<(), nom::Err<Fail>> {
    if bytes > bound { Err(input.exceeds(LimitKind::Name, bound)) } else { Ok(()) }
}

/// The keyspace that a statement makes.
pub(crate) fn new_keyspace<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let (rest, name) = keyspace(input)?;
    within(&input, name.len(), input.context.limits.name)?;
    Ok((rest, name))
}

/// The table or view that a statement makes.
pub(crate) fn new_table<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, table) = table(input)?;
    within(&input, table.name.len(), input.context.limits.name)?;
    Ok((rest, table))
}

/// The user type that a statement makes.
pub(crate) fn new_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, user_type) = user_type(input)?;
    within(&input, user_type.name.len(), input.context.limits.name)?;
    Ok((rest, user_type))
}

/// The function that a statement makes.
pub(crate) fn new_function<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, FunctionName<'a>> {
    let (rest, function) = function(input)?;
    within(&input, function.name.len(), input.context.limits.name)?;
    Ok((rest, function))
}

/// The trigger that a statement makes.
pub(crate) fn new_trigger<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    let (rest, name) = name(input)?;
    within(&input, name.len(), input.context.limits.name)?;
    Ok((rest, name))
}

/// An index without a keyspace.
pub(crate) fn bare_index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    new_index.map(drop).parse(input)
}

/// The index that a statement makes; it takes no keyspace.
pub(crate) fn new_index<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    not_bound(input, "Bind variables cannot be used for index names")?;
    name(input)
}

/// A column or field that a statement makes.
pub(crate) fn new_column<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> {
    let (rest, ()) = any_name(input)?;
    within(&input, input.slice().len(), LONGEST_NAME)?;
    Ok((rest, ()))
}

/// Whether a token may be the name of a function, once its keyspace is given or left out.
fn is_function_name(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Ident | TokenKind::Quoted | TokenKind::Keyword(Keyword::Token | Keyword::Count) => true,
        TokenKind::Keyword(keyword) => matches!(keyword.class(), Class::Basic | Class::NativeType),
        _ => false,
    }
}

/// A function's name without its keyspace.
pub(crate) fn bare_function<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Name<'a>> {
    if !is_function_name(input.kind()) {
        return input.fail();
    }
    let name = match input.kind() {
        TokenKind::Quoted => unquote(input.slice(), '"'),
        // Cassandra folds words, but of keywords only TOKEN, COUNT and native types.
        TokenKind::Keyword(keyword) if keyword.class() == Class::Basic => Cow::Borrowed(input.slice()),
        _ => fold(input.slice()),
    };
    Ok((input.next(), name))
}

/// A function, perhaps with its keyspace.
pub(crate) fn function<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, FunctionName<'a>> {
    let (rest, keyspace) = opt(terminated(keyspace, symbol(Symbol::Dot))).parse(input)?;
    let (rest, name) = bare_function(rest)?;
    Ok((rest, FunctionName { keyspace, name }))
}

/// A function of which a call starts here: its name and an opening parenthesis. The call is noted. Its name is
/// returned only if nodes are recorded.
pub(crate) fn call<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Option<FunctionName<'a>>> {
    let (rest, name) = if input.context.tree.is_some() {
        function.map(Some).parse(input)?
    } else {
        let qualified = input.next().at(Symbol::Dot) && is_name(input.kind());
        let name = if qualified { input.next().next() } else { input };
        if !is_function_name(name.kind()) {
            return input.fail();
        }
        (name.next(), None)
    };
    let (rest, ()) = symbol(Symbol::ParenOpen)(rest)?;
    input.note_call()?;
    Ok((rest, name))
}

/// The call whose function was noted at a byte of a text, read again.
pub(crate) fn function_at(text: &str, at: usize, limits: Limits) -> Option<FunctionName<'_>> {
    let context = Context::new(text, limits);
    function(Cursor::new(&context, at, 0)).ok().map(|(_, name)| name)
}

/// A column as a node.
pub(crate) fn column_node<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    if input.context.tree.is_none() {
        return any_column.map(|()| NodeId::NONE).parse(input);
    }
    let (rest, name) = column(input)?;
    Ok((rest, input.record(|| Node::Column(name))))
}

/// A field, if nodes are recorded.
pub(crate) fn field_name<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Option<Name<'a>>> {
    if input.context.tree.is_none() {
        return any_name.map(|()| None).parse(input);
    }
    name.map(Some).parse(input)
}

/// A user type, perhaps with its keyspace: no native type, no special word.
pub(crate) fn user_type<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, TableName<'a>> {
    let (rest, keyspace) = opt(terminated(name, symbol(Symbol::Dot))).parse(input)?;
    let reserved = ["byte", "complex", "enum", "date", "interval", "macaddr", "bitstring"];
    match rest.kind() {
        TokenKind::Ident if reserved.contains(&rest.slice()) => {
            return rest.refuse("Invalid (reserved) user type name");
        }
        TokenKind::Ident | TokenKind::Quoted | TokenKind::Keyword(Keyword::Key) => {}
        TokenKind::Keyword(keyword) if keyword.class() == Class::Basic => {}
        _ => return rest.fail(),
    }
    let (rest, name) = name(rest)?;
    Ok((rest, TableName { keyspace, name }))
}

/// Whether a call of a function starts here: `name(` or `keyspace.name(`.
pub(crate) fn starts_call(input: &Cursor<'_, '_>) -> bool {
    let open =
        |cursor: &Cursor<'_, '_>| is_function_name(cursor.kind()) && cursor.next().at(Symbol::ParenOpen);
    open(input) || (is_name(input.kind()) && input.next().at(Symbol::Dot) && open(&input.next().next()))
}
