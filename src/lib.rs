//! cqlgate: an identity-aware proxy for Apache Cassandra.
//!
//! The modules stand in the order in which a request meets them; `docs/walk-of-a-request.md` walks
//! through them with one.

pub mod config;

pub mod accept;
pub mod tls;

pub mod auth;
pub mod principal;

pub mod session;

pub mod policy;

pub mod upstream;

pub mod directory;
pub mod scim;

pub mod admin;
pub mod audit;
pub mod metrics;
pub mod status;

pub mod cli;
