//! One kept HTTP/1.1 connection, plain or TLS, made anew when the server closed it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::trouble::{During, Result, Trouble};

/// Where it leads, and the connection if there is one.
#[derive(Clone, Debug)]
pub(super) struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: String,
    port: u16,
    authority: String,
    tls: Option<Arc<ClientConfig>>,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Connection {
    /// Where a URL leads, and its path.
    pub(super) fn new(url: &str, roots: RootCertStore) -> Result<(Self, String)> {
        let uri: Uri = url.parse().during(format!("reading the SCIM address {url}"))?;
        let authority = uri.authority().ok_or_else(|| Trouble::new(format!("no host in {url}")))?;
        let is_tls = uri.scheme_str() == Some("https");
        let tls = if is_tls {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .during("setting up TLS")?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Some(Arc::new(config))
        } else {
            None
        };
        let inner = Inner {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.to_string(),
            tls,
            open: Mutex::new(None),
        };
        Ok((Self(Arc::new(inner)), uri.path().trim_end_matches('/').to_owned()))
    }

    /// `host:port`, as in the URL.
    pub(super) fn authority(&self) -> &str {
        &self.0.authority
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<(u16, HeaderMap, Bytes)> {
        let mut open = self.0.open.lock().await;
        // A server that closed an idle connection has not seen the next request: it goes over a new one.
        let mut kept = open.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.0.connect().await?,
        };
        let response = sender.send_request(request).await.during("sending a SCIM request")?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.during("reading a SCIM answer")?.to_bytes();
        *open = Some(sender);
        Ok((head.status.as_u16(), head.headers, body))
    }
}

impl Inner {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let address = (self.host.as_str(), self.port);
        let stream =
            TcpStream::connect(address).await.during(format!("connecting to SCIM at {}", self.authority))?;
        stream.set_nodelay(true).during("setting up a SCIM connection")?;
        match &self.tls {
            None => handshake(stream).await,
            Some(config) => {
                let name = ServerName::try_from(self.host.clone()).during("naming the SCIM server")?;
                let stream = TlsConnector::from(config.clone()).connect(name, stream).await;
                handshake(stream.during("TLS with the SCIM server")?).await
            }
        }
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.during("opening a SCIM connection")?;
    // Its errors reach whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}
