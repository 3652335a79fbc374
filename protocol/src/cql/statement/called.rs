//! Where a statement calls functions.

use super::limits::Limits;
use super::names::{FunctionName, function_at};
use crate::cql::keyword::Release;

/// Where a statement calls functions: enough to look at the names again without keeping them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Where the names of the first ones start.
    at: [u32; Self::KEPT],
    count: u32,
}

impl Calls {
    /// So many are kept with their places.
    const KEPT: usize = 6;

    pub(super) fn note(&mut self, at: usize) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(free) = self.at.get_mut(self.count as usize) {
            *free = at;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Whether none is called.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Which they are, read again from the text.
    pub(crate) fn functions<'a>(&self, text: &'a str, release: Release) -> CalledFunctions<'_, 'a> {
        CalledFunctions { calls: self, text, release }
    }
}

/// The functions that a statement calls, each read when it is looked at.
pub(crate) struct CalledFunctions<'l, 'a> {
    calls: &'l Calls,
    text: &'a str,
    release: Release,
}

impl<'a> CalledFunctions<'_, 'a> {
    /// Whether something holds of all of them. Of what is not kept nothing holds.
    pub(crate) fn all(&self, holds: impl Fn(&FunctionName<'a>) -> bool) -> bool {
        let limits = Limits::unlimited(self.release);
        let read = |at: &u32| function_at(self.text, *at as usize, limits);
        let kept = self.calls.at.get(..self.calls.count as usize);
        kept.is_some_and(|kept| kept.iter().all(|at| read(at).is_some_and(|function| holds(&function))))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::{Statement, parse};
    use super::*;

    #[test]
    fn the_first_calls_are_read_again_where_they_stand() {
        let called = |text: &str| {
            let Ok(Statement::Select(select)) = parse(text, &Limits::default()) else { panic!("{text}") };
            let seen = RefCell::new(Vec::new());
            let all = select.calls.functions(text, Release::V5_0).all(|function| {
                seen.borrow_mut().push(function.name.to_string());
                true
            });
            (all, seen.into_inner())
        };
        assert_eq!(called("SELECT a FROM t"), (true, vec![]));
        assert_eq!(
            called("SELECT now(), k.F(g(1)) FROM t"),
            (true, vec!["now".to_owned(), "f".into(), "g".into()])
        );
        let many = format!("SELECT {} FROM t", ["f(1)"; Calls::KEPT + 1].join(", "));
        assert!(!called(&many).0, "of what is not kept nothing holds");
    }
}
