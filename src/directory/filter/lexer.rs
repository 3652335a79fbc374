//! Splits the text of a filter into tokens.

use super::FilterError;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// An attribute path, operator, keyword, number, or a value that lacks its quotes.
    Word(String),
    /// A JSON string.
    Text(String),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenElement,
    /// `]`
    CloseElement,
}

/// Tokens with the place (in characters from 1) where each begins.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut at = 1;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ' ' | '\t' | '\r' | '\n' => 1,
            '(' | ')' | '[' | ']' => {
                tokens.push((at, bracket(first)));
                1
            }
            '"' => {
                let length = string_length(rest)
                    .ok_or_else(|| FilterError { problem: "this string has no end".into(), at })?;
                let value = rest.get(..length).and_then(|json| serde_json::from_str(json).ok());
                let value =
                    value.ok_or_else(|| FilterError { problem: "this is no JSON string".into(), at })?;
                tokens.push((at, Token::Text(value)));
                length
            }
            _ => {
                let length =
                    rest.find([' ', '\t', '\r', '\n', '(', ')', '[', ']', '"']).unwrap_or(rest.len());
                tokens.push((at, Token::Word(rest.get(..length).unwrap_or_default().to_owned())));
                length
            }
        };
        at += rest.get(..length).map_or(0, |taken| taken.chars().count());
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(tokens)
}

fn bracket(c: char) -> Token {
    match c {
        '(' => Token::Open,
        ')' => Token::Close,
        '[' => Token::OpenElement,
        _ => Token::CloseElement,
    }
}

/// The length in bytes of the JSON string at the start of `text`, its quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}
