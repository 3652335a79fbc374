//! Plain HTTP requests to what listens on loopback.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

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
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).during("a request")?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let exchange = async {
        let response = client.request(request).await.during(url)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.during(url)?.to_bytes();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    };
    let done = tokio::time::timeout(LIMIT, exchange).await;
    done.map_err(|_| Trouble::new(format!("{url} gave no answer within {LIMIT:?}")))?
}
