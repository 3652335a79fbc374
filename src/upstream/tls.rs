//! TLS towards nodes: trust anchors and an optional client certificate, from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::config::model::ClientTls;

/// Why TLS towards the nodes cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is no PEM.
    #[error("upstream_tls: cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("upstream_tls: {0} holds no certificate")]
    Empty(PathBuf),
    /// `cert_file` without `key_file`, or the other way round.
    #[error("upstream_tls: cert_file and key_file belong together: give both or none")]
    Half,
    /// `server_name`, or a contact point's host, is no name that a certificate could show.
    #[error("upstream_tls: '{0}' is no host name or address that a certificate can show")]
    Name(String),
    /// The certificates or the key do not work.
    #[error("upstream_tls: {0}")]
    Rustls(#[from] rustls::Error),
}

/// TLS towards the nodes of one cluster.
#[derive(Clone)]
pub(super) struct NodeTls {
    pub(super) connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl NodeTls {
    /// Reads the files.
    pub(super) fn load(of: &ClientTls) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&of.ca_file)? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match (&of.cert_file, &of.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => {
                let read = |source| TlsError::File { path: key.clone(), source };
                let key = PrivateKeyDer::from_pem_file(key).map_err(read)?;
                builder.with_client_auth_cert(certificates(chain)?, key)?
            }
            _ => return Err(TlsError::Half),
        };
        let server_name = of.server_name.as_deref().map(name).transpose()?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// The name that the certificate of the node at `host` must show.
    pub(super) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        self.server_name.clone().map_or_else(|| name(host), Ok)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::File { path: path.to_owned(), source };
    let all: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}

fn name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))
}
