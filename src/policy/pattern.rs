//! Names of keyspaces, tables, functions and roles in rules: exact, or with `*` for any part.

use std::fmt;

/// A name of a rule, in internal form (folded if it was written without quotes).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// This name.
    Exact(Box<str>),
    /// Every name that the text matches, `*` standing for any number of characters.
    Pattern(Box<str>),
}

impl Name {
    /// Reads the text between quotes.
    pub(super) fn quoted(text: &str) -> Self {
        if text.contains('*') { Self::Pattern(text.into()) } else { Self::Exact(text.into()) }
    }

    /// The text, as a policy writes it between quotes.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Pattern(text) => text,
        }
    }

    /// Is `name` meant?
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *name,
            Self::Pattern(text) => matches(text.as_bytes(), name.as_bytes()),
        }
    }

    /// Does it mean every name that `other` means? The `*` of `other` can only be met by a `*` of ours,
    /// so matching the other's text answers it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Exact(_), Self::Pattern(_)) => false,
            (Self::Pattern(_), _) => self.matches(other.as_str()),
        }
    }
}

/// As CQL quotes it.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_str().replace('"', "\"\""))
    }
}

/// Walks both texts once, going back only to the last `*`: at most pattern length times name length.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&x) if x == c => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    p = after;
                    n = taken + 1;
                    star = Some((after, n));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&b| b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("team_*", "team_", true),
            ("team_*", "team_a", true),
            ("team_*", "Team_a", false),
            ("*_log", "a_log_log", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyyd", false),
            ("a**b", "ab", true),
            ("*a", "aab", false),
        ] {
            assert_eq!(Name::quoted(pattern).matches(name), expected, "{pattern} {name}");
        }
        assert!(!Name::quoted("team").matches("team_a"));
    }

    #[test]
    fn covering_is_never_claimed_wrongly() {
        let names = ["a", "aa", "ab", "b*", "*", "a*", "*a", "a*b", "a*b*", "**", "ba"];
        let words = ["", "a", "b", "aa", "ab", "ba", "aab", "aba", "bab", "abb", "bb"];
        for x in names.map(Name::quoted) {
            for y in names.map(Name::quoted) {
                if x.covers(&y) {
                    assert!(words.iter().all(|w| !y.matches(w) || x.matches(w)), "{x:?} {y:?}");
                }
            }
        }
        assert!(Name::quoted("a*").covers(&Name::quoted("ab*")));
    }
}
