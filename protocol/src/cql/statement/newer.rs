//! What a refusal says of statements that some Cassandra knows: that they are of a later release.
//!
//! Nothing here changes what is refused, only what is said about it.

use super::cursor::Context;
use super::error::{Note, ParseError};
use super::limits::Limits;
use super::run;
use crate::cql::keyword::Release;
use crate::cql::lexer::{Token, TokenKind, next_token};

/// Statements of releases after 5.0, by their first two words.
const STATEMENTS: [(&str, &str, &str); 7] = [
    ("BEGIN", "TRANSACTION", "BEGIN TRANSACTION"),
    ("COMMIT", "TRANSACTION", "COMMIT TRANSACTION"),
    ("LIST", "SUPERUSERS", "LIST SUPERUSERS"),
    ("COMMENT", "ON", "COMMENT ON"),
    ("SECURITY", "LABEL", "SECURITY LABEL"),
    ("CREATE", "GENERATED", "CREATE GENERATED ROLE"),
    ("LET", "", "LET"),
];

/// Clauses of releases after 5.0: statements that may have them by their first words, the word at which an
/// older grammar stops, and the one behind it.
const CLAUSES: [(&str, &str, &str, &str); 7] = [
    ("CREATE", "LIKE", "", "CREATE TABLE .. LIKE"),
    ("", "BETWEEN", "", "BETWEEN"),
    ("", "NOT", "IN", "NOT IN"),
    ("", "NOT", "CONTAINS", "NOT CONTAINS"),
    ("", "NOT", "LIKE", "NOT LIKE"),
    ("", "GENERATED", "PASSWORD", "GENERATED PASSWORD"),
    ("", "CHECK", "", "a CHECK constraint"),
];

/// What of releases after 5.0 a text asks for that is no CQL at byte `at`.
pub(super) fn after_5_0(text: &str, at: usize) -> Option<&'static str> {
    let is = |token: Token, word: &str| {
        word.is_empty()
            || (matches!(token.kind, TokenKind::Ident | TokenKind::Keyword(_))
                && text.get(token.start..token.end).is_some_and(|found| found.eq_ignore_ascii_case(word)))
    };
    let first = next_token(text, 0);
    let second = next_token(text, first.end);
    let stopped = next_token(text, at);
    let behind = next_token(text, stopped.end);
    let statement = STATEMENTS.iter().find(|(one, two, _)| is(first, one) && is(second, two));
    if let Some((.., name)) = statement {
        return Some(name);
    }
    let clause =
        CLAUSES.iter().find(|(of, word, next, _)| is(first, of) && is(stopped, word) && is(behind, next));
    clause.map(|(.., name)| *name)
}

/// `error`, with what a later release than the cluster's would make of the text.
pub(super) fn noted(error: ParseError, text: &str, limits: &Limits) -> ParseError {
    let ParseError::Syntax(mut error) = error else { return error };
    if error.note.is_none() {
        let later =
            Release::ALL.into_iter().filter(|release| *release > limits.release).find_map(|release| {
                let statement = run(&Context::new(text, Limits { release, ..*limits })).ok()?;
                Some(Note::Later { release, kind: statement.kind() })
            });
        let unknown = (limits.release == Release::Later).then_some(Note::ClusterIsLater);
        error.note = later.or(unknown);
    }
    ParseError::Syntax(error)
}
