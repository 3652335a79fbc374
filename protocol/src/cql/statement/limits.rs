//! Bounds of what is parsed, and which of them a text exceeds.

use crate::cql::keyword::Release;

/// Bounds of what is parsed; exceeding one is an error of its own, [`super::ParseError::Limit`]. Levels and operators
/// are counted up to 255, and no text of 4 GiB is read, whatever stands here.
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

impl Limits {
    /// Limits that nothing exceeds that was within others, to read again what was read within limits on a release.
    pub(crate) const fn unlimited(release: Release) -> Self {
        Self {
            release,
            text: usize::MAX,
            selector_depth: usize::MAX,
            value_operators: usize::MAX,
            value_depth: usize::MAX,
            batch_children: usize::MAX,
            name: usize::MAX,
            calls: usize::MAX,
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
