//! Policy text to words, each with its place. CQL's own lexical rules, as far as grants need them.
//!
//! In: the text of one file. Out: tokens, or findings. Total: any text gives one or the other.

use crate::config::diagnostic::Diagnostic;
use std::sync::Arc;

/// Line and column, from 1.
pub(super) type At = (u32, u32);

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or an unquoted name, as written.
    Word(String),
    /// `"quoted"`, with `""` read as `"`.
    Quoted(String),
    /// `'text'`, with `''` read as `'`.
    Text(String),
    /// `,` `.` `;` `*` or another single character.
    Symbol(char),
}

/// The tokens of a text with their places, and the place of its end.
pub(super) struct Tokens {
    pub(super) tokens: Vec<(Token, At)>,
    pub(super) end: At,
}

struct Cursor<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    at: At,
}

impl Cursor<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        let (line, column) = self.at;
        self.at = match c {
            '\n' => (line.saturating_add(1), 1),
            // CQL ends a line at a lone carriage return too.
            '\r' if self.rest.peek() != Some(&'\n') => (line.saturating_add(1), 1),
            _ => (line, column.saturating_add(1)),
        };
        Some(c)
    }
}

/// Splits `text` into tokens.
pub(super) fn lex(file: &Arc<str>, text: &str) -> Result<Tokens, Vec<Diagnostic>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cursor = Cursor { rest: text.chars().peekable(), at: (1, 1) };
    let mut tokens = Vec::new();
    let mut findings = Vec::new();
    loop {
        let at = cursor.at;
        let Some(c) = cursor.next() else { break };
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '-' if cursor.peek() == Some('-') => comment_line(&mut cursor, file, &mut findings),
            '/' if cursor.peek() == Some('/') => comment_line(&mut cursor, file, &mut findings),
            '/' if cursor.peek() == Some('*') => {
                cursor.next();
                if !comment_block(&mut cursor, file, &mut findings) {
                    findings.push(
                        Diagnostic::error(file, at, "this comment does not end").help("close it with */"),
                    );
                }
            }
            '"' | '\'' => match quoted(&mut cursor, c, file, &mut findings) {
                Some(name) if c == '"' => tokens.push((Token::Quoted(name), at)),
                Some(name) => tokens.push((Token::Text(name), at)),
                None => findings.push(
                    Diagnostic::error(file, at, "this quote does not end").help(format!("close it with {c}")),
                ),
            },
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = cursor.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    word.push(c);
                    cursor.next();
                }
                tokens.push((Token::Word(word), at));
            }
            c if deceives(c) => findings.push(deceiving(file, at, c)),
            c => tokens.push((Token::Symbol(c), at)),
        }
    }
    if findings.is_empty() { Ok(Tokens { tokens, end: cursor.at }) } else { Err(findings) }
}

fn comment_line(cursor: &mut Cursor<'_>, file: &Arc<str>, findings: &mut Vec<Diagnostic>) {
    while let Some(c) = cursor.peek().filter(|c| !matches!(c, '\n' | '\r')) {
        if deceives(c) {
            findings.push(deceiving(file, cursor.at, c));
        }
        cursor.next();
    }
}

fn comment_block(cursor: &mut Cursor<'_>, file: &Arc<str>, findings: &mut Vec<Diagnostic>) -> bool {
    loop {
        let at = cursor.at;
        match cursor.next() {
            None => return false,
            Some('*') if cursor.peek() == Some('/') => {
                cursor.next();
                return true;
            }
            Some(c) if deceives(c) => findings.push(deceiving(file, at, c)),
            Some(_) => {}
        }
    }
}

fn quoted(
    cursor: &mut Cursor<'_>,
    quote: char,
    file: &Arc<str>,
    findings: &mut Vec<Diagnostic>,
) -> Option<String> {
    let mut text = String::new();
    loop {
        let at = cursor.at;
        let c = cursor.next()?;
        if c == quote {
            if cursor.peek() != Some(quote) {
                return Some(text);
            }
            cursor.next();
        } else if deceives(c) {
            findings.push(deceiving(file, at, c));
        }
        text.push(c);
    }
}

/// Control characters, and those that make a reviewer see another text than the one that is judged by.
fn deceives(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn deceiving(file: &Arc<str>, at: At, c: char) -> Diagnostic {
    Diagnostic::error(file, at, format!("the invisible character U+{:04X}", u32::from(c)))
        .help("delete it: a policy must read as it is judged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(&"f".into(), text)
            .unwrap_or_else(|f| panic!("{f:?}"))
            .tokens
            .into_iter()
            .map(|(t, _)| t)
            .collect()
    }

    fn findings(text: &str) -> Vec<String> {
        lex(&"f".into(), text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_quotes_symbols_and_all_three_comments() {
        assert_eq!(
            tokens("\u{feff}Grant -- x ;\n\"a\"\"b\" // y\r/* ; * */ 'it''s', k.t;"),
            [
                Token::Word("Grant".into()),
                Token::Quoted("a\"b".into()),
                Token::Text("it's".into()),
                Token::Symbol(','),
                Token::Word("k".into()),
                Token::Symbol('.'),
                Token::Word("t".into()),
                Token::Symbol(';'),
            ]
        );
    }

    #[test]
    fn a_mark_that_begins_no_comment_stands_for_itself() {
        let marks = |text: &str| tokens(text).iter().filter(|t| matches!(t, Token::Symbol(_))).count();
        assert_eq!((marks("a - b"), marks("a / b"), marks("a * / b"), marks("-/a")), (1, 1, 2, 2));
        assert_eq!(tokens("/ k"), [Token::Symbol('/'), Token::Word("k".into())]);
    }

    #[test]
    fn places_follow_every_kind_of_line_end() {
        let lexed = lex(&"f".into(), "a\r\nb\rc\n  d").unwrap_or_else(|f| panic!("{f:?}"));
        let places: Vec<_> = lexed.tokens.iter().map(|(_, at)| *at).collect();
        assert_eq!(places, [(1, 1), (2, 1), (3, 1), (4, 3)]);
        assert_eq!(lexed.end, (4, 4));
    }

    #[test]
    fn what_does_not_end_is_an_error_at_its_beginning() {
        assert_eq!(findings("x \"abc"), ["f:1:3: error: this quote does not end; close it with \""]);
        assert_eq!(findings("x\n /* abc"), ["f:2:2: error: this comment does not end; close it with */"]);
        assert_eq!(findings("/*/"), ["f:1:1: error: this comment does not end; close it with */"]);
    }

    #[test]
    fn invisible_characters_are_refused_wherever_they_stand() {
        for text in ["\u{202e}", "-- \u{2066}", "/* \u{200b} */", "\"a\u{0}\"", "'\u{7f}'"] {
            assert_eq!(findings(text).len(), 1, "{text:?}");
        }
    }
}
