//! CQL statements: lexed and parsed as Cassandra does it, and what each of them needs to be permitted.

pub mod resource;

pub use resource::{Need, Permission, Resource};
