//! The permits that a session holds for its prepared statements: the fast lane of EXECUTE.
//!
//! In: an id, and what is in force now. Out: the permit that was given under just that, or none; then the
//! statement is judged anew. Nobody has to be told when directory, policy or schema move: what was given under
//! another [`Stamp`] does not count. Only what an id means is not in the stamp, so whoever gives it a meaning
//! forgets what was held.

use std::collections::HashMap;

use super::id_hash::IdHash;
use crate::metrics::Statement;
use crate::policy::Permit;

/// What verdicts were made under; a verdict under another stamp is no verdict any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which change of the principal.
    pub revision: u64,
    /// Which generation of the policy.
    pub policy: u64,
    /// Which generation of the schema.
    pub schema: u64,
}

/// Permits by prepared id. Its owner bounds it: it holds ids that the session keeps, and is cleared with them.
#[derive(Debug, Default)]
pub struct Permits {
    by_id: HashMap<[u8; 16], Held, IdHash>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    stamp: Stamp,
    permit: Permit,
    counted: Statement,
}

impl Permits {
    /// Holds a permit, and what the statement is counted as.
    pub fn hold(&mut self, id: [u8; 16], stamp: Stamp, permit: Permit, counted: Statement) {
        self.by_id.insert(id, Held { stamp, permit, counted });
    }

    /// The permit for an id, if it was given under `stamp`.
    #[inline]
    pub fn get(&self, id: &[u8; 16], stamp: Stamp) -> Option<(Permit, Statement)> {
        let held = self.by_id.get(id).filter(|held| held.stamp == stamp)?;
        Some((held.permit, held.counted))
    }

    /// Holds none for an id that is given a new meaning.
    pub fn forget(&mut self, id: &[u8; 16]) {
        self.by_id.remove(id);
    }

    /// Holds nothing any more.
    pub fn clear(&mut self) {
        self.by_id.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Decision, Grants, decide};

    fn permit() -> Permit {
        match decide(&Grants::nobody(1), &[]) {
            Decision::Permitted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_permit_holds_under_what_it_was_given_under_and_under_nothing_else() {
        let given = Stamp { revision: 1, policy: 2, schema: 3 };
        let mut permits = Permits::default();
        permits.hold([7; 16], given, permit(), Statement::Select);
        assert_eq!(permits.get(&[7; 16], given), Some((permit(), Statement::Select)));
        assert_eq!(permits.get(&[8; 16], given), None);
        for other in
            [Stamp { revision: 2, ..given }, Stamp { policy: 3, ..given }, Stamp { schema: 2, ..given }]
        {
            assert_eq!(permits.get(&[7; 16], other), None, "{other:?}");
        }
        // Given anew, it holds under the new.
        let later = Stamp { policy: 9, ..given };
        permits.hold([7; 16], later, permit(), Statement::Select);
        assert_eq!(permits.get(&[7; 16], given), None);
        assert!(permits.get(&[7; 16], later).is_some());
        permits.forget(&[7; 16]);
        assert_eq!(permits.get(&[7; 16], later), None);
        permits.hold([7; 16], later, permit(), Statement::Select);
        permits.clear();
        assert_eq!(permits.get(&[7; 16], later), None);
    }
}
