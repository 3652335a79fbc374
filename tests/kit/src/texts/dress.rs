//! Tokens written down: blanks and comments between them, letters in any case.

use super::random::Random;
use super::words::{RESERVED, UNRESERVED};

/// What separates tokens and is not read. A comment to the end of a line must have that end.
const HIDDEN: &[&str] = &[
    "\t",
    "\n",
    "\r",
    "\r\n",
    "  ",
    "/**/",
    "/* */",
    "/*/ */",
    "/***/",
    "/* ; DROP TABLE k.t */",
    "--\n",
    "-- x\r",
    "//\n",
    "// '\r\n",
    "/* \u{85}\u{2028} */",
    "--\u{2028}x\n",
    "/* ' \" $$ */",
    "/*\r\n*/",
    "//*\n",
    "--/*\n",
];

/// The tokens with one blank between two.
pub fn plain(tokens: &[String]) -> String {
    tokens.join(" ")
}

/// The tokens in any dress. Some are glued to each other, which may make others of them.
pub fn dressed(tokens: &[String], random: &mut Random) -> String {
    // Half of the texts are as people write them.
    let wild = random.once_in(2);
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 {
            text.push_str(between(&text, token, wild, random));
        }
        if wild && is_keyword(token) {
            text.extend(token.chars().map(|c| if random.once_in(2) { c.to_ascii_lowercase() } else { c }));
        } else {
            text.push_str(token);
        }
    }
    if random.once_in(4) {
        for _ in 0..random.below(3) {
            text.push(';');
        }
    }
    if wild {
        for _ in 0..random.below(2) {
            text.push_str(random.pick(HIDDEN).copied().unwrap_or_default());
        }
    }
    text
}

fn between(before: &str, token: &str, wild: bool, random: &mut Random) -> &'static str {
    if wild && random.once_in(6) {
        return random.pick(HIDDEN).copied().unwrap_or(" ");
    }
    let symbol = |c: Option<char>| c.is_some_and(|c| !c.is_alphanumeric() && !"_\"'$".contains(c));
    let either = symbol(before.chars().next_back()) || symbol(token.chars().next());
    let glued = if either { random.once_in(2) } else { wild && random.once_in(24) };
    if glued { "" } else { " " }
}

fn is_keyword(token: &str) -> bool {
    RESERVED.contains(&token) || UNRESERVED.contains(&token)
}
