//! Values by name, where a name of a rule is exact or a pattern.
//!
//! In: names of rules with their values; then names that statements say. Out: the value of the exact name,
//! and those of the patterns that match. A look-up hashes once for the exact name and once for each shape of
//! pattern (how long its fixed beginning and its fixed end are), however many patterns of that shape there
//! are; it does not allocate.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::pattern::Name;

/// Values by name.
#[derive(Debug)]
pub(super) struct Names<T> {
    exact: HashMap<Box<str>, T, BuildHasherDefault<NameHasher>>,
    /// By the hash of what stands before the first and behind the last `*`.
    patterns: HashMap<u64, Vec<(Name, T)>, BuildHasherDefault<NameHasher>>,
    shapes: Vec<Shape>,
}

/// How many bytes of a pattern stand before its first `*`, and how many behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    head: usize,
    tail: usize,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), patterns: HashMap::default(), shapes: Vec::new() }
    }
}

impl<T: Default> Names<T> {
    /// The value of a name, made if it is not there.
    pub(super) fn entry(&mut self, name: &Name) -> &mut T {
        let text = match name {
            Name::Exact(text) => return self.exact.entry(text.clone()).or_default(),
            Name::Pattern(text) => text,
        };
        let shape = Shape {
            head: text.find('*').unwrap_or_default(),
            tail: text.rfind('*').map_or(0, |star| text.len() - star - 1),
        };
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
            // The most fixed first: what it finds is closest to the name.
            self.shapes.sort_by_key(|shape| std::cmp::Reverse(shape.head + shape.tail));
        }
        let alike = self.patterns.entry(shape.hash(text.as_bytes()).unwrap_or_default()).or_default();
        let index = alike.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
            alike.push((name.clone(), T::default()));
            alike.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the index was just found or just pushed")]
        &mut alike[index].1
    }
}

impl<T> Names<T> {
    /// The value of exactly this name.
    pub(super) fn exact(&self, name: &str) -> Option<&T> {
        // Most principals have no rule on most kinds of resources.
        if self.exact.is_empty() { None } else { self.exact.get(name) }
    }

    /// The values of the patterns that match, the most exact ones first.
    pub(super) fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a T> {
        let hashes = self.shapes.iter().filter_map(|shape| shape.hash(name.as_bytes()));
        let alike = hashes.filter_map(|hash| self.patterns.get(&hash)).flatten();
        alike.filter(|(pattern, _)| pattern.matches(name)).map(|(_, value)| value)
    }

    /// Every value, with its name where that is exact.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<&str>, &T)> {
        let exact = self.exact.iter().map(|(name, value)| (Some(&**name), value));
        exact.chain(self.patterns.values().flatten().map(|(_, value)| (None, value)))
    }

    /// The values of the exact name and of the patterns that match.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a T> {
        self.exact(name).into_iter().chain(self.matching(name))
    }
}

impl Shape {
    /// The hash of a name's beginning and end; `None` if it is shorter than both.
    fn hash(self, name: &[u8]) -> Option<u64> {
        let Self { head, tail } = self;
        let behind = name.len().checked_sub(tail)?;
        if behind < head {
            return None;
        }
        let mut hasher = NameHasher::default();
        hasher.write(name.get(..head)?);
        hasher.write_u64(tail as u64);
        hasher.write(name.get(behind..)?);
        Some(hasher.finish())
    }
}

/// Folds eight bytes at a time into its state by a multiplication to 128 bits: a fifth of the standard
/// hasher's cost. It needs no secret, since only those who write policies choose what is kept in the maps.
#[derive(Debug, Default)]
struct NameHasher {
    state: u64,
}

/// The golden ratio's digits, odd: every bit of the word reaches the upper half.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.write_u64(u64::from_le_bytes(last));
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word ^ MULTIPLIER) * u128::from(MULTIPLIER);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (lower, upper) = (product as u64, (product >> 64) as u64);
        self.state = lower ^ upper;
    }

    /// The end of a text; the general way costs a look-up a twentieth more.
    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    fn names(of: &[&str]) -> Names<String> {
        let mut names = Names::<String>::default();
        for text in of {
            (*text).clone_into(names.entry(&Name::quoted(text)));
        }
        names
    }

    #[test]
    fn exact_names_and_the_patterns_that_match_are_found_the_most_exact_first() {
        let names = names(&["*", "team_*", "team_a", "*_log", "team_*_log", "a*a", "te*m*_log", "*x*"]);
        let found = |name: &str| names.all(name).cloned().collect::<Vec<_>>();
        assert_eq!(found("team_a"), ["team_a", "team_*", "*"]);
        assert_eq!(found("team_b_log"), ["team_*_log", "te*m*_log", "team_*", "*_log", "*"]);
        assert_eq!(found("a"), ["*"], "a*a needs two");
        assert_eq!(found("aa"), ["a*a", "*"]);
        assert_eq!(found("xx"), ["*", "*x*"]);
        assert_eq!(names.exact("team_*"), None);
        assert_eq!(found(""), ["*"]);
    }

    #[test]
    fn a_thousand_patterns_of_one_shape_are_one_look_up() {
        let texts: Vec<String> = (100..1100).map(|i| format!("t_{i:04}_*")).collect();
        let names = names(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names.shapes.len(), 1);
        assert!(names.patterns.values().all(|alike| alike.len() == 1), "their hashes differ");
        assert_eq!(names.all("t_0777_x").count(), 1);
        assert_eq!(names.all("t_0099_x").count(), 0);
    }

    #[test]
    fn names_that_differ_in_a_few_characters_spread_over_a_whole_map() {
        // The standard map finds a bucket by the lowest bits, and tells its entries apart by the highest ones.
        let hash = |text: String| BuildHasherDefault::<NameHasher>::default().hash_one(text.as_str());
        let forms: [fn(u32) -> String; 3] =
            [|i| format!("{i:04}"), |i| format!("t_{i:04}_log"), |i| format!("team_of_{i:04}")];
        for form in forms {
            let hashes: Vec<u64> = (0..4096).map(|i| hash(form(i))).collect();
            let distinct =
                |part: fn(u64) -> u64| hashes.iter().map(|h| part(*h)).collect::<HashSet<_>>().len();
            assert_eq!(distinct(|h| h >> 57), 128);
            // Of 4096 random throws 2589 are expected to hit a bucket of their own.
            let buckets = distinct(|h| h & 4095);
            assert!(buckets > 2450, "{buckets}");
        }
        // Where a text ends counts, too.
        let pair =
            |one: &str, other: &str| BuildHasherDefault::<NameHasher>::default().hash_one((one, other));
        assert_ne!(pair("orders", "by_day"), pair("orders_by", "_day"));
        assert_ne!(pair("12345678", "12345678"), pair("1234567812345678", ""));
    }
}
