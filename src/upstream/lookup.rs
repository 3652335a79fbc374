//! What keeps look-ups of things that nobody knows from becoming an amplifier: a rate, and a memory for
//! negative answers.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::config::limits;

/// Guards look-ups by `K`.
pub(super) struct Guard<K> {
    negative: Cache<K, ()>,
    /// Look-ups that may go out now, and when that was reckoned.
    allowance: Mutex<(f64, Instant)>,
    per_second: u32,
}

impl<K: Hash + Eq + Send + Sync + 'static> Guard<K> {
    pub(super) fn new(per_second: u32, negative_for: Duration) -> Self {
        let negative =
            Cache::builder().max_capacity(limits::LOOKUP_NEGATIVE_ENTRIES).time_to_live(negative_for).build();
        Self { negative, allowance: Mutex::new((f64::from(per_second), Instant::now())), per_second }
    }

    /// May this be asked of a node now? Not if a node has just said no, nor above the rate.
    pub(super) fn admits(&self, key: &K) -> bool {
        if self.negative.contains_key(key) {
            return false;
        }
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = *allowance;
        let now = Instant::now();
        let rate = f64::from(self.per_second);
        let left = rate.min(left + now.duration_since(at).as_secs_f64() * rate);
        *allowance = (if left >= 1.0 { left - 1.0 } else { left }, now);
        left >= 1.0
    }

    /// A node has just said that there is no such thing.
    pub(super) fn not_there(&self, key: K) {
        self.negative.insert(key, ());
    }

    /// It may have come to be.
    pub(super) fn forget(&self, key: &K) {
        self.negative.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept() {
        let guard = Guard::<u32>::new(50, Duration::from_mins(1));
        let admitted = (0..10_000).filter(|key| guard.admits(key)).count();
        assert!((50..=60).contains(&admitted), "{admitted}");
    }

    #[test]
    fn a_no_is_believed_until_it_is_forgotten() {
        let guard = Guard::new(50, Duration::from_mins(1));
        guard.not_there("a");
        assert!(!guard.admits(&"a") && guard.admits(&"b"));
        guard.forget(&"a");
        assert!(guard.admits(&"a"));
    }

    #[test]
    fn a_no_is_not_believed_for_long() {
        let guard = Guard::new(50, Duration::ZERO);
        guard.not_there("a");
        assert!(guard.admits(&"a"));
    }
}
