//! The grammar's input: a place in a text with the token that stands there, and what the grammar keeps
//! track of on its way. Copied freely, so a parser that fails leaves nothing behind.

use std::cell::{Cell, RefCell};

use nom::error::ErrorKind;
use nom::{IResult, Input, Needed, Parser};

use super::names::{FunctionName, Name, function_at};
use super::tree::{Node, NodeId, Row, Tree};
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, Token, TokenKind, next_token};

/// Bounds of what is parsed; exceeding one is an error of its own, [`super::ParseError::Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The release of the cluster that reads the text after us: it decides what is a keyword.
    pub release: Release,
    /// Bytes of a text.
    pub text: usize,
    /// Levels of `(`, `[`, `{`, `f(`, `-` and `(type)` in one selector. Cassandra's parser tries both
    /// readings at every level, so its time grows by 1.8 with each: 24 levels hang a node for 10 s.
    pub selector_depth: usize,
    /// Arithmetic operators in one value. Cassandra tries every split for every overload, so its time
    /// grows by 1.8 with each: 24 operators hang a node for 20 s.
    pub value_operators: usize,
    /// Levels of nesting in a value, a relation or a type. Cassandra's own parser overflows its stack at
    /// about 140.
    pub value_depth: usize,
    /// Statements between `BEGIN BATCH` and `APPLY BATCH`.
    pub batch_children: usize,
    /// Bytes of the name of a keyspace, table, view, index, type, function or trigger that is made. Names
    /// of tables and indexes become names of files, which hold 255 bytes: an index with a name of 500 ended
    /// a node. An index of a class of its own may have [`INDEX_MARGIN`] bytes less.
    pub name: usize,
    /// Function calls in a text. Which overload each one means takes some hundred bytes of memory to find out.
    pub calls: usize,
}

/// What the files of an index with a class of its own have in their names beside the name of the index, and
/// those of a table have not: what they hold, and of which index format they are.
pub const INDEX_MARGIN: usize = 40;

/// The longest names there are, of roles and columns: their length is written in two bytes.
pub(crate) const LONGEST_NAME: usize = 65_535;

impl Default for Limits {
    fn default() -> Self {
        Self {
            release: Release::default(),
            text: 1024 * 1024,
            selector_depth: 10,
            value_operators: 10,
            value_depth: 64,
            batch_children: 1000,
            name: 222,
            calls: 5_000,
        }
    }
}

/// Which of the [`Limits`] a text exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// [`Limits::text`].
    Text,
    /// [`Limits::selector_depth`].
    SelectorDepth,
    /// [`Limits::value_operators`].
    ValueOperators,
    /// [`Limits::value_depth`].
    ValueDepth,
    /// [`Limits::batch_children`].
    BatchChildren,
    /// [`Limits::name`], or the 65,535 bytes of any name.
    Name,
    /// [`Limits::calls`].
    Calls,
}

impl LimitKind {
    /// The limit in words, for an error message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "bytes of text",
            Self::SelectorDepth => "levels of nesting in a selector",
            Self::ValueOperators => "arithmetic operators in one value",
            Self::ValueDepth => "levels of nesting in a value",
            Self::BatchChildren => "statements in a batch",
            Self::Name => "bytes in this name",
            Self::Calls => "function calls in one text",
        }
    }
}

/// What one run of the grammar shares.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) limits: Limits,
    /// Functions called by the statement that is being read.
    pub(crate) calls: Cell<Calls>,
    /// Names of bind markers in order, if somebody asked for them.
    pub(crate) markers: Option<RefCell<Vec<Option<Name<'a>>>>>,
    /// The expressions and columns of the statement, if somebody asked for them.
    pub(crate) tree: Option<RefCell<Tree<'a>>>,
    /// Tokens cut: the measure of work.
    pub(crate) steps: Cell<u64>,
    /// Function calls read so far, those of abandoned readings too.
    pub(crate) called: Cell<usize>,
}

/// Where a statement calls functions: enough to look at the names again without keeping them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Where the names of the first ones start.
    at: [u32; Self::KEPT],
    count: u32,
}

impl Calls {
    /// So many are kept with their places.
    const KEPT: usize = 6;

    fn note(&mut self, at: usize) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(free) = self.at.get_mut(self.count as usize) {
            *free = at;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Whether none is called.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Which they are, read again from the text.
    pub(crate) fn functions<'a>(&self, text: &'a str, release: Release) -> CalledFunctions<'_, 'a> {
        CalledFunctions { calls: self, text, release }
    }
}

/// The functions that a statement calls, each read when it is looked at.
pub(crate) struct CalledFunctions<'l, 'a> {
    calls: &'l Calls,
    text: &'a str,
    release: Release,
}

impl<'a> CalledFunctions<'_, 'a> {
    /// Whether something holds of all of them. Of what is not kept nothing holds.
    pub(crate) fn all(&self, holds: impl Fn(&FunctionName<'a>) -> bool) -> bool {
        let limits = Limits::unlimited(self.release);
        let read = |at: &u32| function_at(self.text, *at as usize, limits);
        let kept = self.calls.at.get(..self.calls.count as usize);
        kept.is_some_and(|kept| kept.iter().all(|at| read(at).is_some_and(|function| holds(&function))))
    }
}

impl Context<'_> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            calls: Cell::default(),
            markers: None,
            tree: None,
            steps: Cell::new(0),
            called: Cell::new(0),
        }
    }

    pub(crate) fn recording(limits: Limits) -> Self {
        Self { tree: Some(RefCell::default()), ..Self::new(limits) }
    }

    pub(crate) fn collecting_markers(limits: Limits) -> Self {
        Self { markers: Some(RefCell::default()), ..Self::new(limits) }
    }
}

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a, 'c> {
    pub(crate) context: &'c Context<'a>,
    pub(crate) text: &'a str,
    /// The token that stands here.
    pub(crate) token: Token,
    /// Where the token before it ended.
    pub(crate) previous_end: usize,
    /// Bind markers before this place.
    pub(crate) markers: usize,
    /// Levels of the value, relation or type that this place is in.
    pub(crate) depth: usize,
    /// Levels of the selector that this place is in.
    pub(crate) selector_depth: usize,
    /// Operators of the value that this place is in.
    pub(crate) operators: usize,
}

/// What the parsers of the grammar return.
pub(crate) type Parsed<'a, 'c, O> = IResult<Cursor<'a, 'c>, O, Fail>;

/// Why a parser did not accept.
///
/// Plain fields and no payloads in enums within enums, on purpose: with those, rustc 1.95 (and a nightly of
/// 1.97) at opt-level 2 and 3 lost bytes of the cursor in parsers that return it beside this, and
/// `SELECT a.b FROM t` crashed. Run the tests with `--release` too when this or [`Cursor`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fail {
    /// Where, in bytes of the text.
    pub(crate) at: usize,
    pub(crate) reason: Reason,
    /// What was expected, or the words of a refusal.
    pub(crate) words: &'static str,
    /// Which limit is exceeded, if one is.
    pub(crate) limit: LimitKind,
    /// The bound of that limit.
    pub(crate) bound: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing the grammar knows continues like this.
    NoViable,
    /// Only this keyword could stand here.
    ExpectedKeyword,
    /// Only this symbol could stand here.
    ExpectedSymbol,
    /// Only the end could stand here.
    ExpectedEnd,
    /// Cassandra's grammar reads it and refuses it in these words.
    Refused,
    /// It goes beyond a limit.
    Limit,
}

impl Fail {
    pub(crate) const fn new(at: usize, reason: Reason, words: &'static str) -> Self {
        Self { at, reason, words, limit: LimitKind::Text, bound: 0 }
    }

    /// As an error that lets alternatives be tried.
    pub(crate) fn soft(self) -> nom::Err<Self> {
        nom::Err::Error(self)
    }

    /// As an error that ends the parse.
    pub(crate) fn hard(self) -> nom::Err<Self> {
        nom::Err::Failure(self)
    }
}

impl<'a: 'c, 'c> nom::error::ParseError<Cursor<'a, 'c>> for Fail {
    fn from_error_kind(input: Cursor<'a, 'c>, _: ErrorKind) -> Self {
        input.no_viable()
    }

    fn append(_: Cursor<'a, 'c>, _: ErrorKind, other: Self) -> Self {
        other
    }

    fn or(self, other: Self) -> Self {
        if other.at >= self.at { other } else { self }
    }
}

/// The next token as the release of `context` has it: what is no keyword there yet is a plain word.
fn cut_token(context: &Context<'_>, text: &str, position: usize) -> Token {
    let token = next_token(text, position);
    match token.kind {
        TokenKind::Keyword(keyword) if keyword.since() > context.limits.release => {
            Token { kind: TokenKind::Ident, ..token }
        }
        _ => token,
    }
}

impl<'a: 'c, 'c> Cursor<'a, 'c> {
    pub(crate) fn new(context: &'c Context<'a>, text: &'a str, position: usize, markers: usize) -> Self {
        context.steps.set(context.steps.get() + 1);
        Self {
            context,
            text,
            token: cut_token(context, text, position),
            previous_end: position,
            markers,
            depth: 0,
            selector_depth: 0,
            operators: 0,
        }
    }

    pub(crate) fn kind(&self) -> TokenKind {
        self.token.kind
    }

    /// The token's own text.
    pub(crate) fn slice(&self) -> &'a str {
        self.text.get(self.token.start..self.token.end).unwrap_or_default()
    }

    /// The place behind this token.
    pub(crate) fn next(&self) -> Self {
        self.context.steps.set(self.context.steps.get() + 1);
        Self {
            token: cut_token(self.context, self.text, self.token.end),
            previous_end: self.token.end,
            ..*self
        }
    }

    pub(crate) fn is(&self, keyword: Keyword) -> bool {
        self.kind() == TokenKind::Keyword(keyword)
    }

    /// Whether what came with `release` is known to the cluster.
    pub(crate) fn knows(&self, release: Release) -> bool {
        self.context.limits.release >= release
    }

    pub(crate) fn at(&self, symbol: Symbol) -> bool {
        self.kind() == TokenKind::Symbol(symbol)
    }

    pub(crate) fn no_viable(&self) -> Fail {
        Fail::new(self.token.start, Reason::NoViable, "")
    }

    /// The failure of a parser that has no alternative here.
    pub(crate) fn fail<O>(&self) -> Parsed<'a, 'c, O> {
        Err(self.no_viable().soft())
    }

    pub(crate) fn refuse<O>(&self, words: &'static str) -> Parsed<'a, 'c, O> {
        Err(Fail::new(self.token.start, Reason::Refused, words).hard())
    }

    pub(crate) fn exceeds(&self, limit: LimitKind, bound: usize) -> nom::Err<Fail> {
        Fail { limit, bound, ..Fail::new(self.token.start, Reason::Limit, "") }.hard()
    }

    /// One level deeper in a value, a relation or a type.
    pub(crate) fn deeper(mut self) -> Result<Self, nom::Err<Fail>> {
        self.depth += 1;
        let bound = self.context.limits.value_depth;
        if self.depth > bound { Err(self.exceeds(LimitKind::ValueDepth, bound)) } else { Ok(self) }
    }

    /// One level deeper in a selector.
    pub(crate) fn deeper_selector(mut self) -> Result<Self, nom::Err<Fail>> {
        self.selector_depth += 1;
        let bound = self.context.limits.selector_depth;
        if self.selector_depth > bound {
            Err(self.exceeds(LimitKind::SelectorDepth, bound))
        } else {
            Ok(self)
        }
    }

    /// Notes that the name of a called function starts here.
    pub(crate) fn note_call(&self) -> Result<(), nom::Err<Fail>> {
        let called = self.context.called.get() + 1;
        self.context.called.set(called);
        let bound = self.context.limits.calls;
        if called > bound {
            return Err(self.exceeds(LimitKind::Calls, bound));
        }
        let mut calls = self.context.calls.get();
        calls.note(self.token.start);
        self.context.calls.set(calls);
        Ok(())
    }

    /// Keeps a node, if somebody asked for them.
    pub(crate) fn record(&self, node: impl FnOnce() -> Node<'a>) -> NodeId {
        match &self.context.tree {
            Some(tree) => tree.borrow_mut().push(node()),
            None => NodeId::NONE,
        }
    }

    /// Makes `next` the successor of `node`.
    pub(crate) fn link(&self, node: NodeId, next: NodeId) {
        if let Some(tree) = &self.context.tree {
            tree.borrow_mut().link(node, next);
        }
    }

    /// Notes something about the statement that is being read, if somebody asked for it.
    pub(crate) fn draft(&self, note: impl FnOnce(&mut Row<'a>)) {
        if let Some(tree) = &self.context.tree {
            note(tree.borrow_mut().draft());
        }
    }

    /// Ends the statement that is being recorded.
    pub(crate) fn finish(&self) {
        if let Some(tree) = &self.context.tree {
            tree.borrow_mut().finish();
        }
    }

    /// Back on the level of `outer`.
    pub(crate) fn level_of(self, outer: &Self) -> Self {
        Self { depth: outer.depth, selector_depth: outer.selector_depth, ..self }
    }
}

/// Indices are bytes from the start of the token that stands here; elements are tokens.
impl<'a: 'c, 'c> Input for Cursor<'a, 'c> {
    type Item = Token;
    type Iter = Tokens<'a, 'c>;
    type IterIndices = TokenIndices<'a, 'c>;

    fn input_len(&self) -> usize {
        self.text.len().saturating_sub(self.token.start)
    }

    fn take(&self, index: usize) -> Self {
        let text = self.text.get(..self.token.start + index).unwrap_or(self.text);
        Self { text, token: cut_token(self.context, text, self.token.start), ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        Self { token: cut_token(self.context, self.text, self.token.start + index), ..*self }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.iter_indices().find(|(_, token)| predicate(*token)).map(|(index, _)| index)
    }

    fn iter_elements(&self) -> Self::Iter {
        Tokens(*self)
    }

    fn iter_indices(&self) -> Self::IterIndices {
        TokenIndices { start: self.token.start, tokens: Tokens(*self) }
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        let mut cursor = *self;
        for _ in 0..count {
            if cursor.kind() == TokenKind::End {
                return Err(Needed::Unknown);
            }
            cursor = cursor.next();
        }
        Ok(cursor.token.start - self.token.start)
    }
}

/// The tokens from a place on.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a, 'c>(Cursor<'a, 'c>);

impl Iterator for Tokens<'_, '_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let token = self.0.token;
        if matches!(token.kind, TokenKind::End | TokenKind::Bad(_)) {
            return None;
        }
        self.0 = self.0.next();
        Some(token)
    }
}

/// The tokens from a place on, each with its distance in bytes.
#[derive(Clone, Debug)]
pub(crate) struct TokenIndices<'a, 'c> {
    start: usize,
    tokens: Tokens<'a, 'c>,
}

impl Iterator for TokenIndices<'_, '_> {
    type Item = (usize, Token);

    fn next(&mut self) -> Option<(usize, Token)> {
        self.tokens.next().map(|token| (token.start - self.start, token))
    }
}

/// An attempt that may fail; only a limit it exceeds is an error.
pub(crate) fn if_read<O>(attempt: Result<O, nom::Err<Fail>>) -> Result<Option<O>, nom::Err<Fail>> {
    match attempt {
        Ok(found) => Ok(Some(found)),
        Err(nom::Err::Failure(fail)) if fail.reason == Reason::Limit => Err(fail.hard()),
        Err(_) => Ok(None),
    }
}

/// Accepts a keyword.
pub(crate) fn keyword<'a: 'c, 'c>(wanted: Keyword) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> + Copy {
    move |input: Cursor<'a, 'c>| {
        if input.is(wanted) {
            return Ok((input.next(), ()));
        }
        Err(Fail::new(input.token.start, Reason::ExpectedKeyword, wanted.as_str()).soft())
    }
}

/// Accepts a symbol.
pub(crate) fn symbol<'a: 'c, 'c>(wanted: Symbol) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, ()> + Copy {
    move |input: Cursor<'a, 'c>| {
        if input.at(wanted) {
            return Ok((input.next(), ()));
        }
        Err(Fail::new(input.token.start, Reason::ExpectedSymbol, wanted.as_str()).soft())
    }
}

/// Accepts a token of one kind and returns its text.
pub(crate) fn token<'a: 'c, 'c>(
    wanted: TokenKind,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, &'a str> + Copy {
    move |input: Cursor<'a, 'c>| {
        if input.kind() == wanted { Ok((input.next(), input.slice())) } else { input.fail() }
    }
}

/// One item, and more behind commas; nothing is kept.
pub(crate) fn comma_list<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, usize> {
    repeated(move |input: Cursor<'a, 'c>| input.at(Symbol::Comma), item)
}

/// One item, and more behind commas; returns the first of their nodes.
pub(crate) fn comma_nodes<'a: 'c, 'c>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, NodeId> {
    move |input| {
        let (mut rest, first) = item(input)?;
        let mut last = first;
        while rest.at(Symbol::Comma) {
            let (behind, next) = nom::combinator::cut(&item).parse(rest.next())?;
            rest.link(last, next);
            (rest, last) = (behind, next);
        }
        Ok((rest, first))
    }
}

/// One item, and more behind AND; nothing is kept.
pub(crate) fn and_list<'a: 'c, 'c, O>(
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, usize> {
    repeated(move |input: Cursor<'a, 'c>| input.is(Keyword::And), item)
}

/// One item, and more behind tokens that separate; returns how many. An item must follow a separator.
fn repeated<'a: 'c, 'c, O>(
    separates: impl Fn(Cursor<'a, 'c>) -> bool,
    item: impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, O>,
) -> impl Fn(Cursor<'a, 'c>) -> Parsed<'a, 'c, usize> {
    move |input| {
        let (mut rest, _) = item(input)?;
        let mut count = 1;
        while separates(rest) {
            let (behind, _) = nom::combinator::cut(&item).parse(rest.next())?;
            rest = behind;
            count += 1;
        }
        Ok((rest, count))
    }
}
