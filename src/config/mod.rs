//! The configuration file and every limit of the process.
//!
//! In: `cqlgate.toml`. Out: a checked [`Config`], or findings with file, line, column and what to write.

mod check;
pub mod diagnostic;
pub mod limits;
mod load;
pub mod model;

pub use load::{ConfigError, Step};
pub use model::Config;
