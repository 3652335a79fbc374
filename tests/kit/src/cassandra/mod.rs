//! A real Cassandra 5.0 node: fetched once, started in about ten seconds, gone with its owner.

mod fetch;
mod node;
mod parser;
mod service;

pub use node::{Cassandra, Options, Tls};
pub use parser::{Read, Reading, readings};
pub use service::{SERVICE_GRANTS, SERVICE_ROLE};

/// The release that the tests run on.
pub const RELEASE: &str = "5.0.9";

/// The folder of its jars, for [`crate::place::is_made`].
pub fn folder_name() -> String {
    folder_of(RELEASE)
}

fn folder_of(release: &str) -> String {
    format!("cassandra-{release}")
}
