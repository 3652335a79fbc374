//! Tokens cut roughly, and changed by chance.

use super::notation::Grammar;
use super::random::Random;

/// Cuts a text into tokens as anybody would, comments left out: good enough to change them.
pub fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ' ' | '\t' | '\n' | '\r' => first.len_utf8(),
            '-' | '/' if rest.starts_with("--") || rest.starts_with("//") => {
                rest.find(['\n', '\r']).map_or(rest.len(), |end| end + 1)
            }
            '/' if rest.starts_with("/*") => closed(rest, 2, "*/"),
            '$' if rest.starts_with("$$") => closed(rest, 2, "$$"),
            '\'' | '"' => {
                let mark = if first == '"' { "\"" } else { "'" };
                let mut end = closed(rest, 1, mark);
                while rest.get(end..).is_some_and(|behind| behind.starts_with(mark)) {
                    end = closed(rest, end + 1, mark);
                }
                end
            }
            'A'..='Z' | 'a'..='z' | '_' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            '0'..='9' => number(rest),
            '-' if rest.get(1..2).is_some_and(|digit| digit.starts_with(|c: char| c.is_ascii_digit())) => {
                1 + number(rest.get(1..).unwrap_or_default())
            }
            _ if ["<=", ">=", "!=", "+=", "-=", ".."].iter().any(|two| rest.starts_with(two)) => 2,
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let hidden = token.starts_with([' ', '\t', '\n', '\r'])
            || (token.len() > 1 && ["--", "//", "/*"].iter().any(|open| token.starts_with(open)));
        if !hidden {
            tokens.push(token.to_owned());
        }
        rest = behind;
    }
    tokens
}

fn closed(rest: &str, from: usize, mark: &str) -> usize {
    let end = rest.get(from..).and_then(|body| body.find(mark));
    end.map_or(rest.len(), |end| from + end + mark.len())
}

/// A number, a UUID, a duration: whatever goes on with letters, digits and minus signs between digits.
fn number(rest: &str) -> usize {
    if let Some(uuid) = rest.get(..36)
        && uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    {
        return 36;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(rest.len());
    rest.find("..").map_or(end, |range| range.min(end))
}

/// Characters that a lexer may trip over.
const CHARACTERS: &[char] = &[
    '\0',
    '\u{b}',
    '\u{c}',
    '\u{1a}',
    '\u{7f}',
    '\u{85}',
    '\u{a0}',
    '\u{200b}',
    '\u{2028}',
    '\u{feff}',
    '\u{3000}',
    '\u{fffd}',
    '\u{212a}',
    '\u{17f}',
    '\u{b5}',
    '\u{3bc}',
    '\u{1f600}',
    '#',
    '@',
    '!',
    '~',
    '^',
    '&',
    '|',
    '`',
    '\\',
    '_',
    '$',
    ';',
    '\'',
    '"',
    '.',
    '-',
    '/',
    '*',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '<',
    '>',
    ',',
    ':',
    '?',
    '=',
    '+',
    '%',
    '0',
    'e',
    'x',
    'P',
    '\n',
    '\r',
];

/// Symbols and literals for any place.
const PIECES: &[&str] = &[
    ";",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    ",",
    ":",
    "?",
    "=",
    "!=",
    "+",
    "-",
    "*",
    "/",
    "%",
    ".",
    "..",
    "+=",
    "-=",
    ":m",
    "''",
    "'x'",
    "$$",
    "$$z$$",
    "\"\"",
    "\"q\"",
    "0",
    "1",
    "-1",
    "1.5",
    "1e",
    "1h",
    "0x",
    "0xab",
    "1d2",
    "12345678-",
    "abcdefab-",
    "P1Y",
    "PT",
    "P",
    "-P1D",
    "true",
    "expr(",
    "expr",
    "system",
    "a",
    "k.t",
    "--\n",
    "/**/",
    "-nan",
    "-i",
    "1..2",
    "1...2",
    "1.e5",
    "- -",
    "1us",
    "1\u{b5}s",
    "550e8400-e29b-41d4-a716-446655440000",
];

/// `tokens`, changed in one way or another.
pub fn mutated(tokens: &[String], others: &[String], grammar: &Grammar, random: &mut Random) -> Vec<String> {
    let mut all = tokens.to_vec();
    let at = random.below(all.len());
    let fresh = fresh(others, grammar, random);
    match random.below(14) {
        0 => {
            all.drain(at..(at + 1).min(all.len()));
        }
        1 => {
            let again: Vec<_> = all.get(at).cloned().into_iter().collect();
            all.splice(at..at, again);
        }
        2 => {
            let other = random.below(all.len());
            if at < all.len() && other < all.len() {
                all.swap(at, other);
            }
        }
        3 | 4 => all.splice(at..at, fresh).for_each(drop),
        5..=7 => all.splice(at..(at + 1).min(all.len()), fresh).for_each(drop),
        // A run is left out, or doubled.
        8 => {
            let end = (at + 1 + random.below(5)).min(all.len());
            all.drain(at.min(end)..end);
        }
        9 => {
            let end = (at + 1 + random.below(5)).min(all.len());
            let run = all.get(at..end).unwrap_or_default().to_vec();
            all.splice(at..at, run);
        }
        // The end of another statement.
        10 => {
            all.truncate(at);
            all.extend_from_slice(others.get(random.below(others.len())..).unwrap_or_default());
        }
        // Brackets around one token, several deep, now and then nearly as deep as may be.
        11 => {
            let (open, close) = *random.pick(&BRACKETS).unwrap_or(&("(", ")"));
            let levels = 1 + if random.once_in(8) { random.below(10) } else { random.below(4) };
            let close = vec![close.to_owned(); levels];
            all.splice((at + 1).min(all.len())..(at + 1).min(all.len()), close);
            all.splice(at..at, vec![open.to_owned(); levels]);
        }
        // A word quoted, or a quoted word not; a character changed within a token.
        12 => {
            if let Some(token) = all.get_mut(at) {
                *token = match token.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
                    Some(inner) => inner.to_owned(),
                    None => format!("\"{token}\""),
                };
            }
        }
        _ => {
            if let Some(token) = all.get_mut(at) {
                let place = random.below(token.chars().count() + 1);
                let mut characters: Vec<_> = token.chars().collect();
                if random.once_in(2) && place < characters.len() {
                    characters.remove(place);
                }
                characters.splice(place..place, random.pick(CHARACTERS).copied());
                *token = characters.into_iter().collect();
            }
        }
    }
    all
}

const BRACKETS: [(&str, &str); 5] = [("(", ")"), ("[", "]"), ("{", "}"), ("f(", ")"), ("(int)", "")];

/// Characters of numbers, durations, UUIDs, and of what stops them.
const OF_NUMBERS: &[&str] = &[
    "0", "1", "7", "12", "1234", "00000000", "a", "b", "c", "d", "e", "f", "E", "x", "X", "h", "m", "s", "y",
    "w", "n", "u", "ms", "us", "ns", "mo", "MO", "Y", "M", "D", "H", "S", "W", "P", "T", "PT", ".", "..",
    "-", "+", "_", "\u{b5}s", "\u{3bc}s", "LIMIT", "AND", "nan", "NaN", "infinity", "-n", "-i", "-P", "true",
    "'", "\"", "$", "$$", "--", "/", "*",
];

/// Something that looks like a number, and may or may not be one.
fn number_like(random: &mut Random) -> String {
    (0..=random.below(7)).filter_map(|_| random.pick(OF_NUMBERS)).copied().collect()
}

/// Something for one place: a keyword, a name, a piece, a token of elsewhere.
fn fresh(others: &[String], grammar: &Grammar, random: &mut Random) -> Vec<String> {
    match random.below(7) {
        6 => vec![number_like(random)],
        0 | 1 => grammar.sentence("@keyword", random),
        2 => grammar.sentence("name", random),
        3 => grammar.sentence(if random.once_in(2) { "value" } else { "constant" }, random),
        4 => random.pick(others).cloned().into_iter().collect(),
        _ => random.pick(PIECES).map(|piece| (*piece).to_owned()).into_iter().collect(),
    }
}
