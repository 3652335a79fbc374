//! Certificates for the TLS tests, made in memory.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::cql::Peer;
use crate::trouble::{During, Result};

/// An authority that signs leaves.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate.
    pub cert: String,
    /// The key, PKCS#8.
    pub key: String,
}

impl Authority {
    /// A new authority of this name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().during("making a key")?;
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key).during("signing an authority")? })
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A leaf for these names: DNS names and IP addresses.
    pub fn leaf(&self, names: &[&str]) -> Result<Leaf> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).during("naming a leaf")?;
        let key = KeyPair::generate().during("making a key")?;
        let cert = params.signed_by(&key, &self.issuer).during("signing a leaf")?;
        Ok(Leaf { cert: cert.pem(), key: key.serialize_pem() })
    }

    /// The configuration of a client that trusts this authority, with a certificate of its own if given.
    pub fn client(&self, own: Option<&Leaf>) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).during("trusting an authority")?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .during("TLS versions")?
            .with_root_certificates(roots);
        Ok(Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let cert = CertificateDer::from_pem_slice(leaf.cert.as_bytes()).during("a certificate")?;
                let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).during("a key")?;
                builder.with_client_auth_cert(vec![cert], key).during("a client certificate")?
            }
        }))
    }
}

/// Connects a [`Peer`] over TLS, expecting the certificate to show `name`.
pub async fn connect(addr: std::net::SocketAddr, name: &str, client: Arc<ClientConfig>) -> Result<Peer> {
    let tcp = TcpStream::connect(addr).await.during(format!("connecting to {addr}"))?;
    tcp.set_nodelay(true).during("TCP_NODELAY")?;
    let name = ServerName::try_from(name.to_owned()).during("a server name")?;
    let tls =
        tokio_rustls::TlsConnector::from(client).connect(name, tcp).await.during("the TLS handshake")?;
    Ok(Peer::over(tls))
}
