//! The functions that a call may come to, and which of them a node may choose.

use std::borrow::Cow;

use super::typing::{Fit, assign};
use crate::cql::schema::Function;

/// One function that a call may come to.
pub(super) struct Candidate<'s> {
    /// The user's function; `None` for a native one.
    pub(super) function: Option<&'s Function>,
    /// What it returns; `None` if that depends on the call.
    pub(super) returns: Option<Cow<'s, str>>,
    /// What it takes; `None` if it takes what it is given.
    pub(super) takes: Option<Vec<Cow<'s, str>>>,
    /// How the arguments fit.
    pub(super) fit: Fit,
}

/// A call and what it may come to.
pub(super) struct Call<'s> {
    /// Where the user functions are.
    pub(super) keyspace: Cow<'s, str>,
    /// The functions.
    pub(super) candidates: Vec<Candidate<'s>>,
}

/// What a call is asked to return.
#[derive(Clone, Copy)]
pub(super) enum Asked<'x> {
    /// It is not known.
    Unknown,
    /// That does not matter.
    Selected,
    /// One of these types.
    OneOf(&'x [&'x str]),
}

impl Candidate<'_> {
    /// How what it returns fits one of some types.
    pub(super) fn returned(&self, types: &[&str]) -> Fit {
        let Some(returns) = self.returns.as_deref() else { return Fit::ANY };
        types.iter().map(|cql_type| assign(cql_type, returns)).reduce(Fit::or).unwrap_or(Fit::ANY)
    }
}

impl<'s> Call<'s> {
    /// The candidates that a node may choose.
    pub(super) fn remaining(&self, asked: Asked<'_>) -> Vec<&Candidate<'s>> {
        let returns = |candidate: &Candidate<'_>| match asked {
            Asked::OneOf(types) => candidate.returned(types),
            Asked::Unknown | Asked::Selected => Fit::ANY,
        };
        let mut remaining: Vec<_> = self.candidates.iter().collect();
        remaining.retain(|candidate| candidate.fit.possible() && returns(candidate).possible());
        // An exact match wins over all others, unless what it returns may count against it.
        let same =
            remaining.iter().map(|candidate| &candidate.returns).is_sorted_by(|one, other| one == other);
        let wins = |candidate: &&Candidate<'_>| {
            candidate.fit == Fit::EXACT
                && match asked {
                    Asked::Selected => true,
                    Asked::OneOf(_) => !returns(candidate).may_not(),
                    Asked::Unknown => candidate.returns.is_some() && same,
                }
        };
        if remaining.iter().any(wins) {
            remaining.retain(|candidate| candidate.fit.may_be_exact());
        }
        remaining
    }
}
