//! `cqlgate serve`: the process, from its parts to its end.
//!
//! In: a checked configuration. Out: a running gateway, until it is told to stop; or why it cannot start.

use thiserror::Error;

use crate::config::Config;
use crate::config::diagnostic::Diagnostic;
use crate::policy::{Policies, PolicySource};

/// Why the gateway cannot start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A policy is wrong; there is no last good one at the start.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Diagnostic>),
    /// The parts are not joined in this build.
    #[error("this build checks configurations and policies; it does not serve yet")]
    Unjoined,
}

/// Runs the gateway until it is told to stop.
pub fn run(config: Config) -> Result<(), ServeError> {
    for cluster in &config.cluster {
        let source = PolicySource::new(&config.folder, &config, cluster);
        Policies::open(&cluster.name, source).map_err(ServeError::Policy)?;
    }
    Err(ServeError::Unjoined)
}
