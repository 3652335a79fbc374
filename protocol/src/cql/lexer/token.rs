//! What the lexer cuts.

use crate::cql::keyword::Keyword;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The end of the text.
    End,
    /// A word that is no keyword.
    Ident,
    /// A name in double quotes, at least one character.
    Quoted,
    /// `""`.
    EmptyQuoted,
    /// A keyword.
    Keyword(Keyword),
    /// `'...'` or `$$...$$`.
    String,
    /// Digits, perhaps with a minus sign.
    Integer,
    /// A decimal number.
    Float,
    /// `TRUE` or `FALSE`.
    Boolean,
    /// A duration such as `1h30m` or `P1Y`.
    Duration,
    /// A UUID.
    Uuid,
    /// `0x..`.
    Hex,
    /// `-NaN`.
    NegativeNan,
    /// `-Infinity`.
    NegativeInfinity,
    /// A symbol.
    Symbol(Symbol),
    /// `expr(`, one token of its own.
    Expr,
    /// What Cassandra's lexer refuses; the span ends where it gave up.
    Bad(Bad),
}

/// Why a text cannot be cut into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// No token starts with, or goes on with, the character at the end of the span.
    Character,
    /// A string, a quoted name or a comment that does not end.
    Unterminated,
}

/// The symbols of CQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the symbol it is called after")]
pub enum Symbol {
    ParenOpen,
    ParenClose,
    BracketOpen,
    BracketClose,
    BraceOpen,
    BraceClose,
    Comma,
    Semicolon,
    Colon,
    Question,
    Star,
    Plus,
    PlusEqual,
    Minus,
    MinusEqual,
    Slash,
    Percent,
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    NotEqual,
    Dot,
    Range,
}

impl Symbol {
    /// The symbol as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParenOpen => "(",
            Self::ParenClose => ")",
            Self::BracketOpen => "[",
            Self::BracketClose => "]",
            Self::BraceOpen => "{",
            Self::BraceClose => "}",
            Self::Comma => ",",
            Self::Semicolon => ";",
            Self::Colon => ":",
            Self::Question => "?",
            Self::Star => "*",
            Self::Plus => "+",
            Self::PlusEqual => "+=",
            Self::Minus => "-",
            Self::MinusEqual => "-=",
            Self::Slash => "/",
            Self::Percent => "%",
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::NotEqual => "!=",
            Self::Dot => ".",
            Self::Range => "..",
        }
    }
}

/// A token and where it stands, in bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}
