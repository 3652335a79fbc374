//! Statement text that may be shown: passwords are blanked, as Cassandra's own audit log does it.
//!
//! Cassandra blanks the literal after PASSWORD in statements that it understands, and cuts everything
//! after the first `password` in those that it does not. So does this.

use std::borrow::Cow;

/// What stands for a password.
const STARS: &str = "*******";
const WORD: &str = "password";

/// The text of a statement that was understood, with the literal after each PASSWORD word blanked:
/// `PASSWORD = 'x'`, `HASHED PASSWORD = $$x$$`, `PASSWORD 'x'`. Where a role statement has something else
/// there, or a literal does not end, everything after the first `password` is cut.
pub fn blank(text: &str) -> Cow<'_, str> {
    if find_word(text).is_none() {
        return Cow::Borrowed(text);
    }
    match literals(text) {
        Some(ranges) if ranges.is_empty() => Cow::Borrowed(text),
        Some(ranges) => {
            let mut shown = String::with_capacity(text.len());
            let mut from = 0;
            for (start, end) in ranges {
                shown.push_str(text.get(from..start).unwrap_or_default());
                shown.push_str(STARS);
                from = end;
            }
            shown.push_str(text.get(from..).unwrap_or_default());
            Cow::Owned(shown)
        }
        None => blank_unparsed(text),
    }
}

/// Text that is no statement, or was not understood as one: everything after the first `password` is cut,
/// wherever that word stands.
pub fn blank_unparsed(text: &str) -> Cow<'_, str> {
    let Some(at) = find_word(text) else { return Cow::Borrowed(text) };
    let kept = text.get(..at + WORD.len()).unwrap_or_default();
    if kept.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(format!("{kept} {STARS}")) }
}

/// Characters that change how the text around them looks, or end a line, without being seen.
pub fn is_treacherous(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'                  // C0, DEL, C1
        | '\u{ad}' | '\u{61c}' | '\u{180e}'                // soft hyphen, Arabic letter mark, Mongolian separator
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' // zero width, marks, separators, embeddings
        | '\u{2060}'..='\u{206f}' | '\u{feff}'             // joiners, isolates, byte order mark
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}') // annotations, tags
}

/// The largest index up to `at` at which the text can be split.
pub fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Where `password` first stands, in any case.
fn find_word(text: &str) -> Option<usize> {
    let word = WORD.as_bytes();
    // Both letters are ASCII, so the index is a character's boundary.
    text.as_bytes().windows(word.len()).position(|w| w.eq_ignore_ascii_case(word))
}

/// A token of CQL, as far as passwords are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Literal { start: usize, end: usize },
    Equals,
    End,
    Other,
}

/// The ranges of the literals to blank; `None` if the text is not what it claims to be.
fn literals(text: &str) -> Option<Vec<(usize, usize)>> {
    let tokens: Vec<Token<'_>> = Tokens { text, at: 0 }.collect::<Option<_>>()?;
    let word = |i: usize| match tokens.get(i) {
        Some(Token::Word(w)) => Some(*w),
        _ => None,
    };
    let is = |i: usize, any: &[&str]| word(i).is_some_and(|w| any.iter().any(|a| w.eq_ignore_ascii_case(a)));
    let role = is(0, &["CREATE", "ALTER"]) && is(1, &["ROLE", "USER", "GENERATED"]);
    // One statement: nothing behind its end.
    if let Some(end) = tokens.iter().position(|t| *t == Token::End)
        && !is(0, &["BEGIN"])
        && tokens.get(end..)?.iter().any(|t| *t != Token::End)
    {
        return None;
    }
    let mut ranges = Vec::new();
    for i in 0..tokens.len() {
        if !is(i, &[WORD]) {
            continue;
        }
        let value = if tokens.get(i + 1) == Some(&Token::Equals) { i + 2 } else { i + 1 };
        match tokens.get(value) {
            Some(&Token::Literal { start, end }) => ranges.push((start, end)),
            // A role may be called `password`: then WITH follows, or the statement ends, or IF NOT EXISTS
            // stood before. `GENERATED PASSWORD` has no literal. Everything else is no role statement.
            None | Some(Token::End) if role && value == i + 1 => {}
            _ if role && is(i + 1, &["WITH", "AND"]) => {}
            _ if role => return None,
            // A column called `password`.
            _ => {}
        }
    }
    Some(ranges)
}

/// Splits CQL; an item of `None` is a literal, a quoted name or a comment that does not end.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Option<Token<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.at;
            let rest = self.text.get(start..)?;
            let first = rest.chars().next()?;
            if first.is_whitespace() {
                self.at += first.len_utf8();
            } else if rest.starts_with("--") || rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                match rest.get(2..).and_then(|r| r.find("*/")) {
                    Some(end) => self.at += end + 4,
                    None => return Some(None),
                }
            } else if rest.starts_with("$$") {
                let Some(end) = rest.get(2..).and_then(|r| r.find("$$")) else { return Some(None) };
                self.at += end + 4;
                return Some(Some(Token::Literal { start, end: self.at }));
            } else if first == '\'' || first == '"' {
                let Some(length) = quoted(rest, first) else { return Some(None) };
                self.at += length;
                let token = Token::Literal { start, end: self.at };
                return Some(Some(if first == '\'' { token } else { Token::Other }));
            } else if first.is_alphanumeric() || first == '_' {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                self.at += end;
                return Some(rest.get(..end).map(Token::Word));
            } else {
                self.at += first.len_utf8();
                return Some(Some(match first {
                    '=' => Token::Equals,
                    ';' => Token::End,
                    _ => Token::Other,
                }));
            }
        }
    }
}

/// The length of a quoted text, in which the quote is doubled to stand for itself.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut from = 1;
    loop {
        let end = from + text.get(from..)?.find(quote)? + 1;
        if !text.get(end..)?.starts_with(quote) {
            return Some(end);
        }
        from = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_blanked_and_nothing_else() {
        let table = [
            ("SELECT * FROM k.t", "SELECT * FROM k.t"),
            (
                "CREATE ROLE a WITH PASSWORD = 's3cret' AND LOGIN = true",
                "CREATE ROLE a WITH PASSWORD = ******* AND LOGIN = true",
            ),
            ("alter user a with password 's3cret'", "alter user a with password *******"),
            ("ALTER ROLE a WITH HASHED PASSWORD='s3cret'", "ALTER ROLE a WITH HASHED PASSWORD=*******"),
            ("CREATE ROLE a WITH PASSWORD = $$s3'cret$$", "CREATE ROLE a WITH PASSWORD = *******"),
            ("CREATE ROLE a WITH PASSWORD = 's3''cret' ;", "CREATE ROLE a WITH PASSWORD = ******* ;"),
            (
                "CREATE ROLE a WITH PASSWORD/* x */=--y\n's3cret'",
                "CREATE ROLE a WITH PASSWORD/* x */=--y\n*******",
            ),
            ("CREATE ROLE password WITH PASSWORD = 's3cret'", "CREATE ROLE password WITH PASSWORD = *******"),
            (
                "CREATE ROLE a WITH GENERATED PASSWORD AND LOGIN = true",
                "CREATE ROLE a WITH GENERATED PASSWORD AND LOGIN = true",
            ),
            ("CREATE ROLE a WITH GENERATED PASSWORD;", "CREATE ROLE a WITH GENERATED PASSWORD;"),
            // A table's column of that name: the literal goes all the same.
            (
                "UPDATE k.t SET password = 's3cret' WHERE id = 1",
                "UPDATE k.t SET password = ******* WHERE id = 1",
            ),
            ("SELECT password, id FROM k.t", "SELECT password, id FROM k.t"),
            // Not understood: everything after the first `password` goes.
            ("CREATE ROLE a WITH PASSWORD = 's3cret", "CREATE ROLE a WITH PASSWORD *******"),
            ("CREATE ROLE a WITH PASSWORD = $$s3cret", "CREATE ROLE a WITH PASSWORD *******"),
            ("CREATE ROLE a WITH PASSWORD = \"s3cret\"", "CREATE ROLE a WITH PASSWORD *******"),
            ("CREATE ROLE a WITH PASSWORD = s3cret", "CREATE ROLE a WITH PASSWORD *******"),
            ("CREATE ROLE a WITH PASSWORD : 's3cret'", "CREATE ROLE a WITH PASSWORD *******"),
            ("CREATE ROLE a WITH PASSWORD == 's3cret'", "CREATE ROLE a WITH PASSWORD *******"),
            ("SELECT password FROM t; ALTER ROLE a WITH x 's3cret'", "SELECT password *******"),
            ("CREATE ROLE a WITH PASSWORD = /* 's3cret'", "CREATE ROLE a WITH PASSWORD *******"),
        ];
        for (text, shown) in table {
            assert_eq!(blank(text), shown, "{text}");
            assert!(!blank(text).contains("cret"), "{text}");
        }
    }

    #[test]
    fn text_that_was_not_understood_is_cut_at_the_first_password() {
        assert_eq!(
            blank_unparsed("CREAT ROLE a WITH PassWord 's3cret'"),
            "CREAT ROLE a WITH PassWord *******"
        );
        assert_eq!(blank_unparsed("/* password */ x 's3cret'"), "/* password *******");
        assert_eq!(blank_unparsed("my_password"), "my_password");
        assert_eq!(blank_unparsed("SELEC 1"), "SELEC 1");
        assert_eq!(blank_unparsed("é PASSWORDé"), "é PASSWORD *******");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown_without_a_panic(text in ".*", at in 0usize..64) {
            let _ = blank(&text);
            let _ = blank(&format!("CREATE ROLE {text} PASSWORD = {text}"));
            let end = floor_char_boundary(&text, at);
            proptest::prop_assert!(text.is_char_boundary(end) && end <= at.min(text.len()));
        }

        #[test]
        fn a_password_never_shows(secret in "[A-Z0-9]{12}", quote in "'|\\$\\$", tail in "[ a-z;'\"$/*-]{0,12}") {
            let text = format!("ALTER ROLE a WITH LOGIN = true AND PASSWORD = {quote}{secret}{quote}{tail}");
            proptest::prop_assert!(!blank(&text).contains(&secret));
            proptest::prop_assert!(!blank_unparsed(&text).contains(&secret));
        }
    }
}
