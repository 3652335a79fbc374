//! The two clocks of log-in: the wall clock for what tokens claim, the monotonic one for how long ago
//! something happened here. Tests put their own in.

use std::fmt;
use std::time::Instant;

use time::OffsetDateTime;

/// Where the time comes from.
pub(super) trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock; it may be set back.
    fn now(&self) -> OffsetDateTime;

    /// The monotonic clock.
    fn instant(&self) -> Instant;
}

/// The system's clocks.
#[derive(Debug)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    /// Clocks that a test moves.
    #[derive(Debug)]
    pub(in crate::auth) struct TestClock(Mutex<(OffsetDateTime, Instant)>);

    impl TestClock {
        pub(in crate::auth) fn new() -> Self {
            Self(Mutex::new((OffsetDateTime::now_utc(), Instant::now())))
        }

        /// Both clocks go on.
        pub(in crate::auth) fn advance(&self, by: Duration) {
            let mut clocks = self.0.lock().unwrap();
            clocks.0 += by;
            clocks.1 += by;
        }

        /// Somebody sets the wall clock.
        pub(in crate::auth) fn set_wall(&self, to: OffsetDateTime) {
            self.0.lock().unwrap().0 = to;
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> OffsetDateTime {
            self.0.lock().unwrap().0
        }

        fn instant(&self) -> Instant {
            self.0.lock().unwrap().1
        }
    }
}
