//! Why a text is no statement, in the words in which Cassandra says it.

use std::fmt;

use super::cursor::{Fail, Reason};
use super::kind::Kind;
use super::limits::LimitKind;
use super::newer::after_5_0;
use crate::cql::keyword::Release;
use crate::cql::lexer::{Bad, TokenKind, next_token};

/// What is said of a function without a keyspace in GRANT, REVOKE and LIST.
pub(super) const UNQUALIFIED_FUNCTION: &str =
    "In this context function name must be explictly qualified by a keyspace";

/// Why a text was not read as a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is no CQL: 0x2000.
    Syntax(SyntaxError),
    /// It goes beyond what is read here, though a node might read it: 0x2000 too, since a node protects
    /// itself in the same way or should.
    Limit {
        /// Which limit.
        limit: LimitKind,
        /// Its bound.
        bound: usize,
    },
}

/// Where a text stops being CQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Whether Cassandra says where: it does not for what its grammar reads and then refuses.
    pub placed: bool,
    /// The line, from 1; 0 at the end of the text, as Cassandra has it.
    pub line: usize,
    /// The column, from 0, in UTF-16 units; `None` at the end of the text, which Cassandra writes as -1.
    pub column: Option<usize>,
    /// What is wrong there, in Cassandra's words. It may quote the statement's text.
    pub message: String,
    /// What else is known of such a text.
    pub note: Option<Note>,
}

/// What is known of a text that is no CQL for the cluster it goes to, but may be CQL elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The grammar of a later release reads it.
    Later {
        /// The first that does.
        release: Release,
        /// As this kind of statement.
        kind: Kind,
    },
    /// It asks for this, which only releases after 5.0 have.
    AfterLast(&'static str),
    /// The cluster's release is later than any grammar here, so it may be one of its statements.
    ClusterIsLater,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later { release, kind } => {
                write!(f, "Cassandra {release} reads it as {kind}, the release of this cluster does not")
            }
            Self::AfterLast(what) => {
                write!(f, "{what} is newer than Cassandra {}, and cqlgate does not pass it on", Release::LAST)
            }
            Self::ClusterIsLater => write!(
                f,
                "this cluster is newer than Cassandra {}, the last whose CQL cqlgate reads: it may accept what \
                 cqlgate does not understand, so please report it",
                Release::LAST
            ),
        }
    }
}

impl ParseError {
    /// The code of the ERROR frame: 0x2000, but INVALID (0x2200) for the one thing that Cassandra's grammar
    /// finds invalid.
    pub fn code(&self) -> u32 {
        match self {
            Self::Syntax(error) if error.message == UNQUALIFIED_FUNCTION => 0x2200,
            Self::Syntax(_) | Self::Limit { .. } => 0x2000,
        }
    }

    pub(crate) fn new(text: &str, error: &nom::Err<Fail>) -> Self {
        let fail = match error {
            nom::Err::Error(fail) | nom::Err::Failure(fail) => *fail,
            nom::Err::Incomplete(_) => Fail::at_end(text),
        };
        if fail.reason == Reason::Limit {
            return Self::Limit { limit: fail.limit, bound: fail.bound };
        }
        let token = next_token(text, fail.at());
        let message = match (token.kind, fail.reason) {
            (TokenKind::Bad(Bad::Unterminated), _) => {
                "mismatched character '<EOF>' expecting set null".to_owned()
            }
            (TokenKind::Bad(Bad::Character), _) => {
                let (line, column) = place(text, token.end);
                let character = text.get(token.end..).and_then(|rest| rest.chars().next());
                let message = match character {
                    Some(character) => format!("no viable alternative at character '{character}'"),
                    None => "no viable alternative at character '<EOF>'".to_owned(),
                };
                return Self::Syntax(SyntaxError {
                    placed: true,
                    line,
                    column: Some(column),
                    message,
                    note: None,
                });
            }
            (_, Reason::Refused) => fail.words.to_owned(),
            (kind, Reason::ExpectedKeyword) => {
                format!(
                    "mismatched input '{}' expecting K_{}",
                    shown(text, kind, token.start, token.end),
                    fail.words
                )
            }
            (kind, Reason::ExpectedSymbol) => {
                format!(
                    "mismatched input '{}' expecting '{}'",
                    shown(text, kind, token.start, token.end),
                    fail.words
                )
            }
            (kind, Reason::ExpectedEnd) => {
                format!("mismatched input '{}' expecting EOF", shown(text, kind, token.start, token.end))
            }
            (kind, _) => {
                format!("no viable alternative at input '{}'", shown(text, kind, token.start, token.end))
            }
        };
        let note = after_5_0(text, token.start).map(Note::AfterLast);
        let placed = fail.reason != Reason::Refused;
        if token.kind == TokenKind::End {
            return Self::Syntax(SyntaxError { placed, line: 0, column: None, message, note });
        }
        let (line, column) = place(text, token.start);
        Self::Syntax(SyntaxError { placed, line, column: Some(column), message, note })
    }
}

/// A token as an error quotes it, cut if it is long.
fn shown(text: &str, kind: TokenKind, start: usize, end: usize) -> String {
    const LONGEST: usize = 60;
    if kind == TokenKind::End {
        return "<EOF>".to_owned();
    }
    let token = text.get(start..end).unwrap_or_default();
    match token.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", token.get(..cut).unwrap_or_default()),
        None => token.to_owned(),
    }
}

/// Line from 1 and column from 0 of a byte, as Cassandra's lexer counts them.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.encode_utf16().count())
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            _ if !self.placed => f.write_str(&self.message)?,
            Some(column) => write!(f, "line {}:{column} {}", self.line, self.message)?,
            None => write!(f, "line 0:-1 {}", self.message)?,
        }
        self.note.map_or(Ok(()), |note| write!(f, "; {note}"))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::Limit { limit, bound } => {
                write!(f, "cqlgate reads no more than {bound} {}", limit.as_str())
            }
        }
    }
}

impl std::error::Error for ParseError {}
