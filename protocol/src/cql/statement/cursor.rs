//! The grammar's input: a place in a text with the token that stands there, and what the grammar keeps
//! track of on its way. Copied freely, so a parser that fails leaves nothing behind.
//!
//! Parsers hand a [`Cursor`] on and back at every step, so it is small: half a cache line. Texts are shorter
//! than 4 GiB for that, and levels of nesting fewer than 256.

use std::cell::{Cell, RefCell};

use nom::IResult;
use nom::error::ErrorKind;

use super::called::Calls;
use super::limits::{LimitKind, Limits};
use super::names::Name;
use super::tree::{Node, NodeId, Row, Tree};
use crate::cql::keyword::{Keyword, Release};
use crate::cql::lexer::{Symbol, TokenKind, scan};

/// So long may a text be that a place in it is kept in four bytes.
pub(super) const LONGEST_TEXT: usize = u32::MAX as usize - 1;

/// A level is kept in a byte.
pub(super) const MOST_LEVELS: usize = u8::MAX as usize;

/// So many tokens are kept: the grammar looks a few tokens ahead and then goes there. A power of two.
const KEPT: usize = 16;

/// So many are cut at once, and not many more bytes than that; the last ones before them stay.
const CUT_AT_ONCE: (usize, usize) = (KEPT * 3 / 4, 256);

/// A token that was cut, and from where: behind the token before it.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// From where it was cut, and its first byte.
    start: Pair,
    end: u32,
    kind: TokenKind,
}

impl Cut {
    /// No text is so long.
    const NOTHING: Self = Self { start: Pair::new(u32::MAX, 0), end: 0, kind: TokenKind::End };
}

/// What one run of the grammar shares.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) text: &'a str,
    pub(crate) limits: Limits,
    /// Functions called by the statement that is being read.
    pub(crate) calls: Cell<Calls>,
    /// Names of bind markers in order, if somebody asked for them.
    pub(crate) markers: Option<RefCell<Vec<Option<Name<'a>>>>>,
    /// The expressions and columns of the statement, if somebody asked for them.
    pub(crate) tree: Option<RefCell<Tree<'a>>>,
    /// Function calls read so far, those of abandoned readings too.
    called: Cell<usize>,
    /// Tokens that were cut, one behind the other; a cursor knows the place of its own.
    kept: [Cell<Cut>; KEPT],
    /// How far the text was cut. Who goes back behind that does not need runs: the tokens were there once.
    frontier: Cell<u32>,
    /// Steps from token to token: the measure of work.
    #[cfg(test)]
    pub(crate) steps: Cell<u64>,
    /// Tokens cut, some of them more than once, and the bytes that were looked at for them.
    #[cfg(test)]
    pub(crate) cuts: Cell<(u64, usize)>,
}

impl<'a> Context<'a> {
    /// For a text of at most [`LONGEST_TEXT`] bytes.
    pub(crate) fn new(text: &'a str, limits: Limits) -> Self {
        // None is longer: what a client sends is measured before it is read, and no type of a schema is so long.
        let text = if text.len() > LONGEST_TEXT { "" } else { text };
        Self {
            text,
            limits,
            calls: Cell::default(),
            markers: None,
            tree: None,
            called: Cell::new(0),
            kept: [const { Cell::new(Cut::NOTHING) }; KEPT],
            frontier: Cell::new(0),
            #[cfg(test)]
            steps: Cell::new(0),
            #[cfg(test)]
            cuts: Cell::new((0, 0)),
        }
    }

    pub(crate) fn recording(text: &'a str, limits: Limits) -> Self {
        Self { tree: Some(RefCell::default()), ..Self::new(text, limits) }
    }

    pub(crate) fn collecting_markers(text: &'a str, limits: Limits) -> Self {
        Self { markers: Some(RefCell::default()), ..Self::new(text, limits) }
    }

    /// Whether somebody asked for what the statement holds, and not only for what it is.
    pub(crate) fn records(&self) -> bool {
        self.tree.is_some() || self.markers.is_some()
    }

    /// The token at or behind a byte, which is kept at a place, or will be.
    fn token(&self, from: u32, place: u8) -> Cut {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        let kept = self.kept.get(usize::from(place) % KEPT).map_or(Cut::NOTHING, Cell::get);
        if kept.start.one() == from { kept } else { self.cut(from, place) }
    }

    /// Cuts tokens from a byte on and keeps them; returns the first.
    #[inline(never)]
    fn cut(&self, from: u32, place: u8) -> Cut {
        let (most, bytes) = CUT_AT_ONCE;
        let most = if from < self.frontier.get() { 1 } else { most };
        let (text, mut next) = (self.text.as_bytes(), from as usize);
        let last = next + bytes;
        for place in (usize::from(place)..).take(most) {
            let token = scan(text, next);
            #[cfg(test)]
            {
                let (cuts, looked) = self.cuts.get();
                self.cuts.set((cuts + 1, looked + token.end - next));
            }
            // What is no keyword yet in the cluster's release is a plain word there.
            let kind = match token.kind {
                TokenKind::Keyword(keyword) if keyword.since() > self.limits.release => TokenKind::Ident,
                kind => kind,
            };
            let start = Pair::new(narrow(next), narrow(token.start));
            let cut = Cut { start, end: narrow(token.end), kind };
            if let Some(kept) = self.kept.get(place % KEPT) {
                kept.set(cut);
            }
            next = token.end;
            if next > last || matches!(kind, TokenKind::End | TokenKind::Bad(_)) {
                break;
            }
        }
        self.frontier.set(self.frontier.get().max(narrow(next)));
        self.kept.get(usize::from(place) % KEPT).map_or(Cut::NOTHING, Cell::get)
    }
}

/// A place in a text that is no longer than [`LONGEST_TEXT`].
#[expect(clippy::cast_possible_truncation, reason = "no place in such a text is so far")]
fn narrow(place: usize) -> u32 {
    place as u32
}

/// A place in a text.
///
/// Parsers copy it at every step. Two numbers in a word are moved at once, where a compiler moves fields one by
/// one: that was a fifth of all instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a, 'c> {
    pub(crate) context: &'c Context<'a>,
    /// Where the token before this one ended, and the first byte of this one.
    start: Pair,
    /// The byte behind the token, and the bind markers before it.
    end: Pair,
    levels: Levels,
    kind: TokenKind,
}

const _: () = assert!(size_of::<Cursor<'_, '_>>() == 32, "half a cache line");

/// Two numbers in a word.
#[derive(Clone, Copy, Debug)]
struct Pair(u64);

impl Pair {
    const fn new(one: u32, other: u32) -> Self {
        Self((one as u64) << 32 | other as u64)
    }

    fn one(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the half that is meant")]
    fn other(self) -> u32 {
        self.0 as u32
    }
}

/// Four small numbers in a word: see [`Level`].
#[derive(Clone, Copy, Debug, Default)]
struct Levels(u32);

/// What [`Levels`] counts, by the bit at which it starts.
#[derive(Clone, Copy)]
enum Level {
    /// Where the token is kept.
    Place = 0,
    /// Levels of the value, relation or type that this place is in.
    Value = 8,
    /// Levels of the selector that this place is in.
    Selector = 16,
    /// Operators of the value that this place is in, or behind.
    Operators = 24,
}

impl Levels {
    #[expect(clippy::cast_possible_truncation, reason = "the byte that is meant")]
    fn get(self, level: Level) -> u8 {
        (self.0 >> level as u32) as u8
    }

    fn with(self, level: Level, number: u8) -> Self {
        Self(self.0 & !(0xFF << level as u32) | u32::from(number) << level as u32)
    }

    /// One more, if `bound` allows it.
    fn one_more(self, level: Level, bound: usize) -> Option<Self> {
        let more = self.get(level).checked_add(1).filter(|more| usize::from(*more) <= bound)?;
        Some(self.with(level, more))
    }
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
    at: u32,
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
    fn new(at: u32, reason: Reason, words: &'static str) -> Self {
        Self { at, reason, words, limit: LimitKind::Text, bound: 0 }
    }

    /// Where the text ends and something was missing.
    pub(crate) fn at_end(text: &str) -> Self {
        Self::new(narrow(text.len()), Reason::NoViable, "")
    }

    /// Where, in bytes of the text.
    pub(crate) fn at(&self) -> usize {
        self.at as usize
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

impl<'a: 'c, 'c> Cursor<'a, 'c> {
    /// At the first token at or behind a byte, behind so many bind markers.
    pub(crate) fn new(context: &'c Context<'a>, position: usize, markers: usize) -> Self {
        let token = context.token(narrow(position), 0);
        Self::at_token(context, token, narrow(markers), Levels::default())
    }

    fn at_token(context: &'c Context<'a>, token: Cut, markers: u32, levels: Levels) -> Self {
        Self { context, start: token.start, end: Pair::new(token.end, markers), levels, kind: token.kind }
    }

    /// The text that it is a place in.
    pub(crate) fn text(&self) -> &'a str {
        self.context.text
    }

    /// What the token is.
    pub(crate) fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The token's first byte.
    pub(crate) fn start(&self) -> usize {
        self.start.other() as usize
    }

    /// The byte behind the token's last.
    pub(crate) fn end(&self) -> usize {
        self.end.one() as usize
    }

    /// Where the token before it ended.
    pub(crate) fn previous_end(&self) -> usize {
        self.start.one() as usize
    }

    /// Bind markers before this place.
    pub(crate) fn markers(&self) -> usize {
        self.end.other() as usize
    }

    /// The token's own text.
    pub(crate) fn slice(&self) -> &'a str {
        self.text().get(self.start()..self.end()).unwrap_or_default()
    }

    /// The place behind this token.
    pub(crate) fn next(&self) -> Self {
        let place = self.levels.get(Level::Place).wrapping_add(1);
        let token = self.context.token(self.end.one(), place);
        Self::at_token(self.context, token, self.end.other(), self.levels.with(Level::Place, place))
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
        Fail::new(self.start.other(), Reason::NoViable, "")
    }

    /// The failure of a parser that has no alternative here.
    pub(crate) fn fail<O>(&self) -> Parsed<'a, 'c, O> {
        Err(self.no_viable().soft())
    }

    pub(crate) fn refuse<O>(&self, words: &'static str) -> Parsed<'a, 'c, O> {
        Err(Fail::new(self.start.other(), Reason::Refused, words).hard())
    }

    pub(crate) fn exceeds(&self, limit: LimitKind, bound: usize) -> nom::Err<Fail> {
        Fail { limit, bound, ..Fail::new(self.start.other(), Reason::Limit, "") }.hard()
    }

    /// The failure of a parser that takes nothing but one thing here, called `words`.
    pub(crate) fn expected<O>(&self, reason: Reason, words: &'static str) -> Parsed<'a, 'c, O> {
        Err(Fail::new(self.start.other(), reason, words).soft())
    }

    /// One level deeper in a value, a relation or a type.
    pub(crate) fn deeper(self) -> Result<Self, nom::Err<Fail>> {
        self.within(Level::Value, LimitKind::ValueDepth, self.context.limits.value_depth)
    }

    /// One level deeper in a selector.
    pub(crate) fn deeper_selector(self) -> Result<Self, nom::Err<Fail>> {
        self.within(Level::Selector, LimitKind::SelectorDepth, self.context.limits.selector_depth)
    }

    /// Behind an operator of a value, if one more is within the limit.
    pub(crate) fn behind_operator(&self) -> Result<Self, nom::Err<Fail>> {
        let bound = self.context.limits.value_operators;
        Ok(self.within(Level::Operators, LimitKind::ValueOperators, bound)?.next())
    }

    fn within(self, level: Level, limit: LimitKind, bound: usize) -> Result<Self, nom::Err<Fail>> {
        let bound = bound.min(MOST_LEVELS);
        match self.levels.one_more(level, bound) {
            Some(levels) => Ok(Self { levels, ..self }),
            None => Err(self.exceeds(limit, bound)),
        }
    }

    /// At the same place, where a value of its own begins.
    pub(crate) fn without_operators(self) -> Self {
        Self { levels: self.levels.with(Level::Operators, 0), ..self }
    }

    /// Behind one more bind marker.
    pub(crate) fn behind_marker(self) -> Self {
        Self { end: Pair::new(self.end.one(), self.end.other().saturating_add(1)), ..self }
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
        calls.note(self.start());
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
        let levels = self.levels.with(Level::Value, outer.levels.get(Level::Value));
        Self { levels: levels.with(Level::Selector, outer.levels.get(Level::Selector)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cql::lexer::next_token;

    fn agrees(cursor: &Cursor<'_, '_>, text: &str) {
        let token = next_token(text, cursor.previous_end());
        assert_eq!(
            (cursor.kind(), cursor.start(), cursor.end()),
            (token.kind, token.start, token.end),
            "{text:?}"
        );
        assert_eq!(Some(cursor.slice()), text.get(token.start..token.end));
    }

    proptest! {
        #[test]
        fn each_place_has_the_token_of_the_text(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "a ", "SELECT ", "'a string' ", "1 ", "( ", ", ", "-- x\n", ".. ", "\u{1f600} ", "\"Q\" ", "-5 ",
            ]), 0..200),
            back in proptest::collection::vec(0..200_usize, 0..40),
        ) {
            let text = parts.concat();
            let context = Context::new(&text, Limits::default());
            let mut places = vec![Cursor::new(&context, 0, 0)];
            while !matches!(places[places.len() - 1].kind(), TokenKind::End | TokenKind::Bad(_)) {
                places.push(places[places.len() - 1].next());
            }
            // Whoever goes back and on again comes by the same tokens.
            for place in back {
                let mut cursor = places[place % places.len()];
                for _ in 0..3 {
                    agrees(&cursor, &text);
                    cursor = cursor.next();
                }
            }
        }
    }

    #[test]
    fn tokens_are_cut_in_runs_that_end_with_the_text_and_behind_long_ones() {
        let cuts = |text: &str, steps| {
            let context = Context::new(text, Limits::default());
            (0..steps).fold(Cursor::new(&context, 0, 0), |cursor, _| cursor.next());
            context.cuts.get().0
        };
        let (most, bytes) = CUT_AT_ONCE;
        let most = most as u64;
        assert_eq!(cuts("a b c", 0), 4, "the end is a token, too, and the last");
        assert_eq!(cuts("a ' b c", 0), 2, "nothing stands behind what is none");
        let words = "a ".repeat(100);
        assert_eq!(cuts(&words, 0), most);
        assert_eq!(cuts(&words, CUT_AT_ONCE.0 - 1), most);
        assert_eq!(cuts(&words, CUT_AT_ONCE.0), 2 * most);
        let long = |bytes: usize| format!("'{}' ", "x".repeat(bytes - 2)).repeat(30);
        assert_eq!(cuts(&long(bytes), 0), 2, "one is not beyond the bound");
        assert_eq!(cuts(&long(bytes + 1), 0), 1);
        assert_eq!(cuts(&long(bytes + 1), 4), 5, "wherever a run begins");
        // Who goes back has a token cut for each step.
        let context = Context::new(&words, Limits::default());
        let start = Cursor::new(&context, 0, 0);
        (0..100).fold(start, |cursor, _| cursor.next());
        let (before, _) = context.cuts.get();
        start.next().next();
        assert_eq!(context.cuts.get().0, before + 2);
    }

    #[test]
    fn what_is_no_keyword_in_a_release_is_a_word() {
        let kind = |release| {
            let context = Context::new("vector", Limits { release, ..Limits::default() });
            Cursor::new(&context, 0, 0).kind()
        };
        assert_eq!(kind(Release::V4_1), TokenKind::Ident);
        assert_eq!(kind(Release::V5_0), TokenKind::Keyword(Keyword::Vector));
    }

    #[test]
    fn levels_end_where_their_bound_is_and_are_counted_apart() {
        let context =
            Context::new("a a", Limits { selector_depth: 2, value_depth: 1000, ..Limits::default() });
        let start = Cursor::new(&context, 0, 0);
        let two = start.deeper_selector().unwrap().deeper_selector().unwrap();
        assert!(
            matches!(two.deeper_selector(), Err(nom::Err::Failure(fail)) if fail.limit == LimitKind::SelectorDepth)
        );
        // A level is kept in a byte, whatever the limit.
        let deepest = (0..255).fold(two, |cursor, _| cursor.deeper().unwrap());
        assert!(
            matches!(deepest.deeper(), Err(nom::Err::Failure(fail)) if fail.limit == LimitKind::ValueDepth)
        );
        let back = deepest.next().level_of(&start);
        assert!((0..255).try_fold(back, |cursor, _| cursor.deeper()).is_ok());
        assert!(back.deeper_selector().unwrap().deeper_selector().is_ok());
        assert_eq!((back.start(), back.previous_end(), back.slice()), (2, 1, "a"));
    }
}
