//! Hashing of prepared ids, once for each EXECUTE: half of what the standard hasher would cost there.
//!
//! An id is an MD5, so its bytes are well mixed unless somebody chose the text for its id. The key makes that
//! a guess; whoever guessed right slows down a map of [`crate::config::limits::SESSION_PREPARED`] entries
//! that is their own session's.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes [`IdHasher`]s with a random key.
#[derive(Clone, Debug)]
pub(super) struct IdHash {
    key: u64,
}

impl Default for IdHash {
    fn default() -> Self {
        Self { key: RandomState::new().hash_one(0) }
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    #[inline]
    fn build_hasher(&self) -> IdHasher {
        IdHasher { state: self.key }
    }
}

/// Folds eight bytes at a time into its state by a multiplication to 128 bits.
#[derive(Clone, Debug)]
pub(super) struct IdHasher {
    state: u64,
}

/// The golden ratio's digits, odd: every bit of the word reaches the upper half.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for IdHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let mixed = self.state ^ word;
        let upper = (u128::from(mixed) * u128::from(MULTIPLIER)) >> 64;
        self.state = mixed.wrapping_mul(MULTIPLIER) ^ u64::try_from(upper).unwrap_or_default();
    }

    /// The length of what follows: every id has the same.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_that_differ_in_one_bit_hash_apart_and_each_map_in_its_own_way() {
        let (one, other) = (IdHash::default(), IdHash::default());
        let ids = (0..128).map(|bit| (1_u128 << bit).to_le_bytes());
        let hashes: HashSet<u64> = ids.clone().map(|id| one.hash_one(id)).collect();
        assert_eq!(hashes.len(), 128);
        // The map takes its bucket from the lower bits and its tag from the upper seven.
        assert!(hashes.iter().map(|hash| hash & 0xFFF).collect::<HashSet<_>>().len() > 100);
        assert!(ids.clone().any(|id| one.hash_one(id) != other.hash_one(id)));
    }
}
