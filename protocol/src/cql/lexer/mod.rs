//! The lexer: one token at a time out of a text, exactly as Cassandra 5.0 cuts it.
//!
//! In: a text and a position. Out: the next token with its span, without allocation. Comments and blanks
//! are passed over. What Cassandra's lexer refuses is a token too ([`TokenKind::Bad`]), which no grammar
//! accepts.

mod number;
mod token;

use number::{is_iso_duration, iso_alternative, number, uuid};
pub use token::{Bad, Symbol, Token, TokenKind};

use super::keyword::{Keyword, WordHash, folded};

/// The first token at or behind byte `position` of `text`; behind the end it is [`TokenKind::End`].
pub fn next_token(text: &str, position: usize) -> Token {
    scan(text.as_bytes(), position)
}

/// The same, for the loop of the one who cuts many: a call would cost as much as a short token.
#[expect(clippy::inline_always, reason = "measured")]
#[inline(always)]
pub(super) fn scan(bytes: &[u8], position: usize) -> Token {
    let mut start = position;
    loop {
        let Some(&first) = bytes.get(start) else { return Token { kind: TokenKind::End, start, end: start } };
        if matches!(first, b' ' | b'\t' | b'\n' | b'\r') {
            start += 1;
            continue;
        }
        if folded(first).is_ascii_lowercase() {
            let (kind, end) = word(bytes, start);
            return Token { kind, start, end };
        }
        if let Some(symbol) = SINGLE.get(usize::from(first)).copied().flatten() {
            return Token { kind: TokenKind::Symbol(symbol), start, end: start + 1 };
        }
        if first.is_ascii_digit() {
            let (kind, end) = number(bytes, start);
            return Token { kind, start, end };
        }
        // Most statements have one, in the name of their table.
        if first == b'.' && bytes.get(start + 1) != Some(&b'.') {
            return Token { kind: TokenKind::Symbol(Symbol::Dot), start, end: start + 1 };
        }
        match uncommon(bytes, start) {
            Ok(token) => return token,
            Err(behind) => start = behind,
        }
    }
}

/// For each byte that is a symbol and no beginning of anything longer, that symbol.
static SINGLE: [Option<Symbol>; 256] = single();

#[expect(clippy::indexing_slicing, reason = "it runs when it is compiled, and fails there")]
const fn single() -> [Option<Symbol>; 256] {
    use Symbol as S;
    let symbols = [
        S::ParenOpen,
        S::ParenClose,
        S::BracketOpen,
        S::BracketClose,
        S::BraceOpen,
        S::BraceClose,
        S::Comma,
        S::Semicolon,
        S::Colon,
        S::Question,
        S::Star,
        S::Percent,
        S::Equal,
    ];
    let (mut all, mut at) = ([None; 256], 0);
    while at < symbols.len() {
        all[symbols[at].as_str().as_bytes()[0] as usize] = Some(symbols[at]);
        at += 1;
    }
    all
}

/// A token that is no word, no number without a sign and no symbol of one byte; `Err` is where a comment ends that starts here.
#[inline(never)]
fn uncommon(bytes: &[u8], start: usize) -> Result<Token, usize> {
    let rest = bytes.get(start..).unwrap_or_default();
    let comment = match rest {
        // Either line end ends the comment, and there must be one; it is a blank itself.
        [b'-', b'-', body @ ..] | [b'/', b'/', body @ ..] => {
            body.iter().position(|&b| b == b'\n' || b == b'\r').map(|length| 2 + length)
        }
        [b'/', b'*', body @ ..] => body.windows(2).position(|two| two == b"*/").map(|length| 2 + length + 2),
        _ => {
            let (kind, length) = cut(rest);
            return Ok(Token { kind, start, end: start + length });
        }
    };
    match comment {
        Some(length) => Err(start + length),
        None => Ok(Token { kind: TokenKind::Bad(Bad::Unterminated), start, end: bytes.len() }),
    }
}

const BAD: TokenKind = TokenKind::Bad(Bad::Character);

/// The token that `rest` starts with, which is no word and no number without a sign, and its length.
fn cut(rest: &[u8]) -> (TokenKind, usize) {
    let Some(&first) = rest.first() else { return (TokenKind::End, 0) };
    let second = rest.get(1).copied();
    match first {
        b'\'' => quoted(rest, b'\'', TokenKind::String),
        b'"' if second == Some(b'"') && rest.get(2) != Some(&b'"') => (TokenKind::EmptyQuoted, 2),
        b'"' => quoted(rest, b'"', TokenKind::Quoted),
        b'$' if second == Some(b'$') => {
            let body = rest.get(2..).unwrap_or_default();
            match body.windows(2).position(|two| two == b"$$") {
                Some(length) => (TokenKind::String, length + 4),
                None => (TokenKind::Bad(Bad::Unterminated), rest.len()),
            }
        }
        b'$' => (BAD, 1),
        b'-' => minus(rest),
        _ => symbol(first, second),
    }
}

/// The symbols that may be two bytes long, or one.
fn symbol(first: u8, second: Option<u8>) -> (TokenKind, usize) {
    use Symbol as S;
    let one = |symbol| (TokenKind::Symbol(symbol), 1);
    let two = |symbol| (TokenKind::Symbol(symbol), 2);
    match (first, second) {
        (b'+', Some(b'=')) => two(S::PlusEqual),
        (b'+', _) => one(S::Plus),
        (b'/', _) => one(S::Slash),
        (b'<', Some(b'=')) => two(S::LessEqual),
        (b'<', _) => one(S::Less),
        (b'>', Some(b'=')) => two(S::GreaterEqual),
        (b'>', _) => one(S::Greater),
        (b'!', Some(b'=')) => two(S::NotEqual),
        (b'!', _) => (BAD, 1),
        (b'.', Some(b'.')) => two(S::Range),
        _ => (BAD, 0),
    }
}

/// `'...'` and `"..."`: the mark doubled is one mark, nothing else escapes.
fn quoted(rest: &[u8], mark: u8, kind: TokenKind) -> (TokenKind, usize) {
    let mut position = 1;
    loop {
        let body = rest.get(position..).unwrap_or_default();
        let Some(length) = body.iter().position(|&b| b == mark) else {
            return (TokenKind::Bad(Bad::Unterminated), rest.len());
        };
        position += length + 1;
        if rest.get(position) != Some(&mark) {
            return (kind, position);
        }
        position += 1;
    }
}

/// A minus sign: of a number, of `-NaN`, `-Infinity` and ISO durations (it commits to them), or alone.
fn minus(rest: &[u8]) -> (TokenKind, usize) {
    let constant = |word: &[u8], kind| {
        let body = rest.get(1..).unwrap_or_default();
        let same = body.iter().zip(word).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        if same == word.len() { (kind, 1 + same) } else { (BAD, 1 + same) }
    };
    match rest.get(1) {
        Some(b'0'..=b'9') => number(rest, 0),
        Some(b'n' | b'N') => constant(b"nan", TokenKind::NegativeNan),
        Some(b'i' | b'I') => constant(b"infinity", TokenKind::NegativeInfinity),
        Some(b'P') => {
            let body = rest.get(1..).unwrap_or_default();
            if let Some(outcome) = iso_alternative(body) {
                return outcome.map_or_else(|at| (BAD, 1 + at), |end| (TokenKind::Duration, 1 + end));
            }
            // Refused where Cassandra might still cut a duration out of a longer word.
            let length = body.iter().take_while(|byte| folded(**byte) != 0).count();
            if is_iso_duration(body.get(..length).unwrap_or_default()) {
                (TokenKind::Duration, 1 + length)
            } else {
                (BAD, 1 + length)
            }
        }
        Some(b'=') => (TokenKind::Symbol(Symbol::MinusEqual), 2),
        _ => (TokenKind::Symbol(Symbol::Minus), 1),
    }
}

/// A word from byte `start` on: keyword, identifier, and what looks like one but is not. Returns its end, too.
#[expect(clippy::inline_always, reason = "measured")]
#[inline(always)]
fn word(bytes: &[u8], start: usize) -> (TokenKind, usize) {
    let (mut end, mut hash) = (start, WordHash::default());
    while let Some(&byte) = bytes.get(end) {
        match folded(byte) {
            0 => break,
            folded => (end, hash) = (end + 1, hash.with(folded)),
        }
    }
    // No keyword is the beginning of anything else.
    if let Some(keyword) = Keyword::hashed(bytes, start, end, hash) {
        return (TokenKind::Keyword(keyword), end);
    }
    let odd = match (end - start, bytes.get(start)) {
        (_, Some(b'P')) | (4, Some(b't' | b'T' | b'e')) | (5, Some(b'f' | b'F')) => true,
        (8, _) => bytes.get(end) == Some(&b'-'),
        _ => false,
    };
    if odd { odd_word(bytes, start, end) } else { (TokenKind::Ident, end) }
}

/// A word that may be a UUID, a duration, a constant or `expr(`.
#[inline(never)]
fn odd_word(bytes: &[u8], start: usize, end: usize) -> (TokenKind, usize) {
    let rest = bytes.get(start..).unwrap_or_default();
    let word = bytes.get(start..end).unwrap_or_default();
    if word.len() == 8 && rest.get(8) == Some(&b'-') && word.iter().all(u8::is_ascii_hexdigit) {
        // Eight hex digits and a minus sign can only go on as a UUID.
        return match uuid(rest) {
            36 => (TokenKind::Uuid, start + 36),
            stuck => (BAD, start + stuck),
        };
    }
    if word.first() == Some(&b'P') {
        if let Some(outcome) = iso_alternative(rest) {
            return outcome.map_or_else(|at| (BAD, start + at), |to| (TokenKind::Duration, start + to));
        }
        if is_iso_duration(word) {
            return (TokenKind::Duration, end);
        }
    }
    if word == b"expr" && rest.get(4) == Some(&b'(') {
        return (TokenKind::Expr, end + 1);
    }
    if word.eq_ignore_ascii_case(b"true") || word.eq_ignore_ascii_case(b"false") {
        return (TokenKind::Boolean, end);
    }
    (TokenKind::Ident, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text in a short notation.
    fn tokens(text: &str) -> Vec<(String, &str)> {
        let mut position = 0;
        let mut out = Vec::new();
        loop {
            let token = next_token(text, position);
            if token.kind == TokenKind::End {
                return out;
            }
            let name = match token.kind {
                TokenKind::Keyword(k) => String::from_utf8(k.as_bytes().to_vec()).unwrap(),
                TokenKind::Symbol(_) => "sym".into(),
                other => format!("{other:?}"),
            };
            out.push((name, text.get(token.start..token.end).unwrap_or("?")));
            if matches!(token.kind, TokenKind::Bad(_)) {
                return out;
            }
            assert!(token.end > position);
            position = token.end;
        }
    }

    fn one(text: &str) -> String {
        let all = tokens(text);
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        all.into_iter().next().unwrap().0
    }

    fn bad(text: &str) {
        let all = tokens(text);
        assert!(all.iter().any(|(kind, _)| kind.starts_with("Bad")), "{text}: {all:?}");
    }

    #[test]
    fn numbers() {
        for (text, kind) in [
            ("1", "Integer"),
            ("-1", "Integer"),
            ("1.", "Float"),
            ("1.5e5", "Float"),
            ("12.345", "Float"),
            ("123.25e-12", "Float"),
            ("1e+5", "Float"),
            ("1.e5", "Float"),
            ("1e345678", "Float"),
            ("0x", "Hex"),
            ("0X1f", "Hex"),
            ("1h30m", "Duration"),
            ("-1h", "Duration"),
            ("1µs", "Duration"),
            ("1MO", "Duration"),
            ("P1Y", "Duration"),
            ("1d", "Duration"),
            ("P1Y2M3DT4H5M6S", "Duration"),
            ("-PT1H", "Duration"),
            ("P1W", "Duration"),
            ("P1y", "Ident"),
            ("P2012-01-01T00:00:00", "Duration"),
            ("P1YT", "Ident"),
            ("PT", "Ident"),
            ("PW", "Ident"),
            ("PY", "Ident"),
            ("PTH", "Ident"),
            ("PT1Y", "Ident"),
            ("PT1", "Ident"),
            ("PT1M", "Duration"),
            ("PT1S", "Duration"),
            ("PT1H1S", "Duration"),
            ("-P2012-01-01T00:00:00", "Duration"),
            ("faced", "Ident"),
            ("fabcd", "Ident"),
            ("tree", "Ident"),
            ("exprs", "Ident"),
            ("deadbeef", "Ident"),
            ("12345678", "Integer"),
            ("550e8400-e29b-41d4-a716-446655440000", "Uuid"),
            ("abcdefab-abcd-abcd-abcd-abcdefabcdef", "Uuid"),
            ("-nan", "NegativeNan"),
            ("-InfiNity", "NegativeInfinity"),
            ("True", "Boolean"),
            ("NaN", "NAN"),
        ] {
            assert_eq!(one(text), kind, "{text}");
        }
        for text in [
            "1AND",
            "1ALLOW",
            "1DESC",
            "1b",
            "1e",
            "1.5e",
            "1h30",
            "1UPDATE",
            "1NOT",
            "1234567a",
            "1234567a ",
            "12345678-12",
            "abcdefab-a",
            "a-name",
            "-inf",
            "-P",
            "-P1y",
            "P2012-x",
            "0b1",
            "1234567e-x",
            "1Ea",
        ] {
            bad(text);
        }
    }

    #[test]
    fn glued_words_split_where_cassandra_splits() {
        for (text, parts) in [
            ("1LIMIT", vec!["1", "LIMIT"]),
            ("1hAND", vec!["1h", "AND"]),
            ("1.5AND", vec!["1.5", "AND"]),
            ("0x1DELETE", vec!["0x1DE", "LETE"]),
            ("1SET", vec!["1S", "ET"]),
            ("1..2", vec!["1", "..", "2"]),
            ("1...2", vec!["1.", "..", "2"]),
            ("-0x1", vec!["-0", "x1"]),
            ("-nanx", vec!["-nan", "x"]),
            ("a-1", vec!["a", "-1"]),
            ("12345678a", vec!["12345678", "a"]),
            ("1e5.5", vec!["1e5", ".", "5"]),
            ("550e8400-e29b-41d4-a716-446655440000AND", vec!["550e8400-e29b-41d4-a716-446655440000", "AND"]),
            ("'a''b'$$c$$", vec!["'a''b'", "$$c$$"]),
            ("a-k", vec!["a", "-", "k"]),
            ("n-=1", vec!["n", "-=", "1"]),
            ("expr(a", vec!["expr(", "a"]),
            ("fabcd ab-1", vec!["fabcd", "ab", "-1"]),
            ("notahexa-1", vec!["notahexa", "-1"]),
            ("k -- c\n,", vec!["k", ","]),
            ("EXPR(", vec!["EXPR", "("]),
            ("a/**/b", vec!["a", "b"]),
        ] {
            assert_eq!(tokens(text).iter().map(|t| t.1).collect::<Vec<_>>(), parts, "{text}");
        }
    }

    #[test]
    fn where_no_token_is_the_character_that_is_to_blame_is_known() {
        use Bad::{Character, Unterminated};
        for (text, why, end) in [
            ("$x", Character, 1),
            ("$", Character, 1),
            ("$$x", Unterminated, 3),
            ("!x", Character, 1),
            ("#", Character, 0),
            ("-inf ", Character, 4),
            ("-nx", Character, 2),
            ("-P1y", Character, 4),
            ("-P2012-x", Character, 7),
            ("P2012-x", Character, 6),
            ("abcdefab-a", Character, 10),
            ("1\u{b5}x", Character, 3),
            ("1\u{b5}", Character, 3),
            ("1.5e+", Character, 5),
            ("12345678-12", Character, 11),
            ("'x", Unterminated, 2),
            ("/* x", Unterminated, 4),
            ("-- x", Unterminated, 4),
        ] {
            for before in ["", " ", "\t\n  "] {
                let token = next_token(&format!("{before}{text}"), 0);
                let expected =
                    Token { kind: TokenKind::Bad(why), start: before.len(), end: before.len() + end };
                assert_eq!(token, expected, "{before:?}{text}");
            }
        }
        for text in ["550e8400-e29b-41d4-a716-446655440000", "P2012-01-01T00:00:00", "P1Y", "expr(", "false"]
        {
            let token = next_token(&format!("  {text} "), 0);
            assert_eq!((token.start, token.end), (2, 2 + text.len()), "{text}: {token:?}");
        }
    }

    #[test]
    fn strings_names_and_their_ends() {
        for text in ["''", "'it''s'", "'a\\'", "'\n;--'", "$$$$", "$$$a$$", "$$a'b$$"] {
            assert_eq!(one(text), "String", "{text}");
        }
        for text in ["\"a\"\"b\"", "\"\"\"\"", "\" \"", "\"a.b\"", "\"\"\"a\""] {
            assert_eq!(one(text), "Quoted", "{text}");
        }
        assert_eq!(one("\"\""), "EmptyQuoted");
        for text in ["'", "'''", "\"", "\"\"\"", "$", "$$", "$$$", "$$$$$", "$$a$$$", "$x$", "$1"] {
            bad(text);
        }
    }

    #[test]
    fn comments_and_blanks() {
        for text in
            ["--\nx", "//\rx", "/**/x", "/***/x", "/*/ */x", "/* /* */x", " \t\r\nx", "-- \u{85}\u{2028}\nx"]
        {
            assert_eq!(one(text), "Ident", "{text:?}");
        }
        for text in [
            "x--",
            "x --c",
            "x //",
            "/*",
            "/*/",
            "/* x",
            "x\u{a0}",
            "\u{feff}x",
            "x\0",
            "x\x0b",
            "x\x0c",
            "x\x1a",
        ] {
            bad(text);
        }
    }

    #[test]
    fn words_are_ascii() {
        for text in ["_a", "\u{212a}EY", "\u{17f}elect", "\u{ff11}", "#", "@", "~", "!", "`a`", "\\"] {
            bad(text);
        }
        assert_eq!(one("sElEcT"), "SELECT");
        assert_eq!(one("TABLE"), "COLUMNFAMILY");
        assert_eq!(one("a1_B"), "Ident");
    }
}
