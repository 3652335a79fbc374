//! The upstream side: everything that speaks to a cluster's nodes with the service account.
//!
//! A session comes in for a [`Lease`] of a connection that is logged in already; bytes flow through it
//! untouched.

mod backoff;
mod connect;
mod envelope;
mod pool;
mod secret;
mod stream;
#[cfg(test)]
mod stub;
mod tls;

use std::sync::Arc;

use cqlgate_protocol::wire::Version;

use crate::config::model;
use connect::Connector;
use pool::Pool;

pub use connect::{ConnectError, ConnectReason, UpstreamError};
pub use envelope::EnvelopeError;
pub use pool::{Lease, LeaseError};
pub use secret::{Secret, SecretError};
pub use stream::Stream;
pub use tls::TlsError;

/// One cluster, as the rest of the process sees it.
pub struct Cluster {
    name: Arc<str>,
    warm: usize,
    v3: Pool,
    v4: Pool,
}

impl Cluster {
    /// Checks the configuration and starts connecting in the background. A cluster that is down is no
    /// error: it is tried again until it is there. Must be called inside a runtime.
    pub fn start(of: &model::Cluster, password: Secret) -> Result<Arc<Self>, UpstreamError> {
        let connector = Arc::new(Connector::new(of, password)?);
        let v3 = Pool::new(connector.clone(), Version::V3);
        let v4 = Pool::new(connector, Version::V4);
        v4.keep_warm(of.warm_connections);
        Ok(Arc::new(Self { name: of.name.as_str().into(), warm: of.warm_connections, v3, v4 }))
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection of its own for one session, from the warm stock or fresh. The caller bounds the wait by
    /// [`crate::config::limits::LEASE`]. The first lease of v3 makes a warm stock of v3, too.
    pub async fn lease(&self, version: Version) -> Result<Lease, LeaseError> {
        match version {
            Version::V4 => self.v4.lease().await,
            Version::V3 => {
                self.v3.keep_warm(self.warm);
                self.v3.lease().await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let good = stub::cluster("127.0.0.1:9042".parse().unwrap(), 1);
        let refused = |change: fn(&mut model::Cluster), password: &str| {
            let mut of = good.clone();
            change(&mut of);
            Connector::new(&of, Secret::new(password)).err().map(|error| error.to_string())
        };
        assert_eq!(refused(|_| (), "pw"), None);
        for (change, password, says) in [
            ((|of| of.contact_points.clear()) as fn(&mut model::Cluster), "pw", "contact_points is empty"),
            (|of| of.contact_points = vec!["node".into()], "pw", "'node' is not"),
            (|of| of.contact_points = vec!["10.0.0.1:9042".into()], "pw", "in clear"),
            (|of| of.contact_points = vec!["[2001:db8::1]:9042".into()], "pw", "in clear"),
            (|_| (), "", "empty or holds a NUL"),
            (|_| (), "a\0b", "empty or holds a NUL"),
            (|of| of.username = "a\0b".into(), "pw", "empty or holds a NUL"),
        ] {
            let error = refused(change, password).expect(says);
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(
            refused(
                |of| {
                    of.contact_points = vec!["10.0.0.1:9042".into()];
                    of.upstream_plaintext = true;
                },
                "pw"
            ),
            None
        );
    }
}
