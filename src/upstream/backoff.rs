//! How long to wait before something is tried again.

use std::time::Duration;

/// Doubles from try to try between two bounds.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// It worked: start again at the first step.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// It failed: wait this long.
    pub(super) fn failed(&mut self) -> Duration {
        let wait = jittered(self.next);
        self.next = self.next.saturating_mul(2).min(self.longest);
        wait
    }
}

/// Three to five quarters of `duration`, so that what happens at once does not happen at once again.
pub(super) fn jittered(duration: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random numbers, no jitter: nothing depends on it for safety.
    let sixteen =
        if aws_lc_rs::rand::fill(&mut random).is_ok() { u16::from_be_bytes(random) } else { 0x8000 };
    duration.mul_f64(0.75 + f64::from(sixteen) / 131_072.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_bound_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for base in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.failed();
            let base = Duration::from_millis(base);
            assert!(wait >= base * 3 / 4 && wait <= base * 5 / 4, "{wait:?} for {base:?}");
        }
        backoff.reset();
        assert!(backoff.failed() <= Duration::from_millis(125));
    }
}
