//! People and groups: what identity providers pushed, durable in a store, in memory for everybody who reads.
//!
//! In: writes of `scim`. Out: immutable [`State`] snapshots, one a commit.

mod names;
pub mod state;

pub use names::fold;
pub use state::{Group, Namespace, State, User};
