//! Fetching a document from an identity provider, with everything bounded.
//!
//! In: an address that [`address`] has let through. Out: the body of a 200, at most
//! [`limits::IDP_BODY`] bytes. No redirect is followed, no proxy and no cookie is used, nothing is
//! decompressed, and no connection is kept.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONTENT_ENCODING};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, HttpInfo};
use hyper_util::rt::TokioExecutor;
use openidconnect::url::{Host, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::limits;

/// An address that nothing will be fetched from.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("not a URL")]
    Url,
    /// Neither https, nor http on a loopback address.
    #[error("not https (http is for loopback addresses only)")]
    Scheme,
    /// A username, password or fragment in it.
    #[error("has a username, password or fragment")]
    Parts,
    /// A link-local, unspecified or multicast address: cloud metadata services live there.
    #[error("names an address that no identity provider has")]
    Host,
}

/// The trust anchors could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read as PEM certificates.
    #[error("ca_file: {0}")]
    File(String),
    /// It holds no certificate that can be a trust anchor.
    #[error("ca_file: no certificate in {0}")]
    Empty(String),
    /// The TLS library refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// No connection, or it broke: name resolution, TCP, TLS, HTTP.
    #[error("{0}")]
    Connection(String),
    /// Something other than 200; a redirect is not followed.
    #[error("status {0}")]
    Status(StatusCode),
    /// More than [`limits::IDP_BODY`] bytes.
    #[error("the answer is longer than {} bytes", limits::IDP_BODY)]
    TooLong,
    /// A compressed answer, which was not asked for.
    #[error("the answer is compressed")]
    Encoded,
    /// A plain http connection that ended somewhere else than on loopback.
    #[error("the name is not a loopback address, http is refused")]
    NotLoopback,
}

/// Checks an address of an identity provider. `localhost` may be plain http; where it really led is looked
/// at after connecting.
pub(super) fn address(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::Url)?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(AddressError::Parts);
    }
    let host = url.host().ok_or(AddressError::Url)?;
    let literal: Option<IpAddr> = match host {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.to_ipv4_mapped().map_or(ip.into(), IpAddr::from)),
        Host::Domain(_) => None,
    };
    let odd = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast(),
    };
    if literal.is_some_and(odd) {
        return Err(AddressError::Host);
    }
    let loopback = literal.map_or(url.host_str() == Some("localhost"), |ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(AddressError::Scheme),
    }
}

/// A client for one identity provider.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetcher {
    /// Trusts the certificates of `ca_file`, or those of the system.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let certificates = match ca_file {
            Some(file) => read_pem(file)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let (added, _) = roots.add_parsable_certificates(certificates);
        // A system without trust anchors is good enough for a provider on loopback; https fails, and says so.
        if let (0, Some(file)) = (added, ca_file) {
            return Err(TrustError::Empty(file.display().to_string()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector.wrap_connector(tcp));
        Ok(Self { client })
    }

    /// The body at `url`. The caller sets the deadline.
    pub(super) async fn get(&self, url: &Url) -> Result<Bytes, FetchError> {
        let request = Request::get(url.as_str())
            .header(ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| FetchError::Connection(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| connection(&error))?;
        let info = response.extensions().get::<HttpInfo>();
        if url.scheme() == "http" && !info.is_some_and(|i| i.remote_addr().ip().is_loopback()) {
            return Err(FetchError::NotLoopback);
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        if response.headers().contains_key(CONTENT_ENCODING) {
            return Err(FetchError::Encoded);
        }
        match Limited::new(response.into_body(), limits::IDP_BODY).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong),
            Err(error) => Err(connection(error.as_ref())),
        }
    }
}

fn read_pem(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let failed = |error: &dyn std::fmt::Display| TrustError::File(format!("{}: {error}", file.display()));
    let text = std::fs::read(file).map_err(|error| failed(&error))?;
    CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| failed(&error))
}

/// The innermost reason is the one that helps: "connection refused", "certificate expired".
fn connection(error: &(dyn std::error::Error + 'static)) -> FetchError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    FetchError::Connection(text)
}
