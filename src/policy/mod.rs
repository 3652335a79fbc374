//! Group policies: grants in Cassandra's words, compiled, and the only place where a [`Permit`] is made.
//!
//! In: policy files, a directory snapshot, a principal, the needs of a statement. Out: a decision.
//!
//! ```text
//! files ── lexer ── parser ── rules ── validate ── PolicySet ┐
//!                                      principal, directory ─┴─ grants_for ── Grants ┐
//!                                                             needs of a statement ──┴─ decide ── Decision
//! ```
//!
//! The rules of the game: what no GRANT reaches is refused; a DENY beats every GRANT; the order of rules,
//! lines and files means nothing. A GRANT on a resource holds for what it contains; so does a DENY, and a
//! DENY of DROP also holds for what contains its resource: a keyspace its tables and functions.

mod account;
pub mod decide;
#[cfg(test)]
mod differential;
mod files;
pub mod grants;
mod lexer;
mod mbean;
#[cfg(test)]
mod naive;
mod names;
mod parser;
mod pattern;
mod rule;
mod set;
#[cfg(test)]
mod tests;
mod tree;
mod validate;
mod watch;

pub use decide::{Decision, Denial, Permit, RuleId, decide, decide_naming};
pub use grants::{Explanation, Grants};
pub use set::{PolicySet, PolicySource};
pub use validate::Catalogue;
pub use watch::{Policies, Reload};
