//! One corpus of statements, run as one role directly at a node and as the person of the same name, with the
//! same grants as policy, through the gateway: verdict, code and text must agree.
//!
//! In: a node of its own, a schema, a [`Corpus`], a list of [`Intended`] differences. Out: a [`Report`] that
//! names every other difference. Grant sets are made by [`plan`], written into the node's own tables by
//! [`direct`], and into a policy by [`Plan::policy`]; [`oracle`] compares what Cassandra's audit log recorded
//! with what the gateway's says.

mod corpus;
mod direct;
mod grant;
mod intended;
mod oracle;
mod plan;
mod run;

pub use corpus::{Case, Corpus};
pub use direct::Direct;
pub use grant::Grant;
pub use intended::{Intended, Outcome};
pub use plan::{Plan, Principal};
pub use run::{Report, Through, run};
