//! Plain HTTP requests to what listens on loopback.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::trouble::{During, Result, Trouble};

const LIMIT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// GET.
pub async fn get(url: &str) -> Result<Response> {
    send("GET", url, &[], Bytes::new()).await
}

/// One request over a connection of its own.
pub async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Response> {
    let method = Method::from_bytes(method.as_bytes()).during("a method")?;
    let uri: Uri = url.parse().during(url)?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path).header("Host", &authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).during("a request")?;
    let exchange = async {
        let tcp = TcpStream::connect(&authority).await.during(url)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.during(url)?;
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.during(url)?.into_parts();
        let body = body.collect().await.during(url)?.to_bytes();
        connection.abort();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    };
    let done = tokio::time::timeout(LIMIT, exchange).await;
    done.map_err(|_| Trouble::new(format!("{url} gave no answer within {LIMIT:?}")))?
}
