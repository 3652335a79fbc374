//! The configuration file and every limit of the process.

pub mod limits;
pub mod model;

pub use model::Config;
