//! The SCIM 2.0 server (RFC 7643, 7644): what identity providers push becomes the directory.
//!
//! In: HTTP requests with a bearer token that decides the `[[identity]]`. Out: writes to the directory,
//! each answered only when it is durable and enforced; and audit events.

mod discovery;
mod error;
mod json;
mod list;
mod members;
mod patch;
mod project;
mod record;
mod request;
mod resource;
mod respond;
mod service;
mod token;
mod values;
mod write;

use std::sync::Arc;

use axum::Router;

pub use token::{TokenHash, create as create_token};

use crate::audit::Audit;
use crate::config::model::Identity;
use crate::directory::Directory;
use crate::metrics::Metrics;
use service::Service;

/// Where the endpoints are.
pub const BASE_PATH: &str = "/scim/v2";

/// What the server needs to know.
pub struct Options<'a> {
    /// The identity providers, for their tokens.
    pub identities: &'a [Identity],
    /// The address that clients use (`https://gate.example`), for `meta.location`; else the `Host` header
    /// tells.
    pub public_url: Option<&'a str>,
    /// Does the listener speak TLS? For `meta.location`, too.
    pub tls: bool,
    /// Takes an event for each write.
    pub audit: Audit,
    /// Counts requests.
    pub metrics: Arc<Metrics>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A token hash is no `sha256:<64 hex digits>`.
    #[error(
        "identity {identity:?}: scim_token_hashes has to hold \"sha256:\" and 64 hex digits; `cqlgate scim-token new` makes one"
    )]
    Hash {
        /// The identity.
        identity: String,
    },
    /// Two identities have the same token.
    #[error("identity {identity:?}: another identity has the same SCIM token")]
    SharedToken {
        /// The second of them.
        identity: String,
    },
}

/// The endpoints, below [`BASE_PATH`].
pub fn router(directory: Directory, options: Options<'_>) -> Result<Router, ConfigError> {
    let service = Arc::new(Service::new(directory, options)?);
    Ok(Router::new().fallback(service::answer).with_state(service))
}

#[cfg(test)]
mod tests;
