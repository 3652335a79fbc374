//! What went wrong in the kit, as one text that a person can act on.

use std::fmt;

/// A text for a person: its first line says what is wrong and what to do about it.
#[derive(Clone)]
pub struct Trouble(String);

/// What the kit's functions return.
pub type Result<T, E = Trouble> = std::result::Result<T, E>;

impl Trouble {
    /// Trouble with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The same text, so that `unwrap` in a test shows it as it was meant.
impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

/// Says what was being done when something failed.
pub trait During<T> {
    /// `what` failed, because ..
    fn during(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> During<T> for std::result::Result<T, E> {
    fn during(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Trouble(format!("{what}: {e}")))
    }
}

/// Ends the test with the trouble's text.
///
/// # Panics
/// When there is trouble: a test that cannot have its parts fails, it is never skipped.
#[expect(clippy::panic, reason = "the one place where the kit ends a test that lacks a part")]
pub(crate) fn or_fail<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(trouble) => panic!("{trouble}"),
    }
}
