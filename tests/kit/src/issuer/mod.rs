//! An OIDC issuer on loopback that can sign anything, also wrong things, and whose discovery and key
//! endpoints can misbehave.
//!
//! In: what a test wants to be true. Out: tokens, and HTTP that a gateway is pointed at.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use cqlgate_testkit::issuer::{Algorithm, Issuer, Serve, sasl_plain};
//!
//! let issuer = Issuer::start().await?;                    // one RS256 key, kid "key-1"
//! println!("issuer = {:?}", issuer.url());                // goes into [[identity]]
//! let token = issuer.token("alice").audience("cassandra").lifetime(Duration::from_secs(60)).sign();
//! let auth_response = sasl_plain("token", &token);
//!
//! let forged = issuer.token("alice").unsigned();          // alg: none
//! let rotated = issuer.rotate(Algorithm::Es256);          // signs from now on; the old key stays published
//! issuer.remove_key("key-1");                             // old tokens verify no more
//! issuer.serve_keys(Serve::Status(500));                  // ... and the provider has a bad day
//! # drop((forged, rotated)); Ok(())
//! # }
//! ```
#![allow(clippy::expect_used, reason = "a test issuer without random numbers or keys is a failed test")]

mod keys;
mod tls;
mod token;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::certs::Leaf;
use tls::TlsListener;

pub use keys::{Algorithm, Key, encode};
pub use token::{TokenBuilder, now, sasl_plain};

/// What an endpoint answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Serve {
    /// What it should.
    #[default]
    Normal,
    /// This JSON instead, status 200.
    Json(Value),
    /// This text as an HTML page, status 200: a captive portal.
    Html(String),
    /// This status and an empty body.
    Status(u16),
    /// 302 to this address.
    Redirect(String),
    /// A body of this many bytes, in pieces, without `Content-Length`.
    Oversized(usize),
    /// The first byte of the answer's body, and then never another one.
    Stall,
}

/// The running issuer; dropping it stops it.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    discovery_requests: watch::Sender<u64>,
    key_requests: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    url: String,
    keys: Vec<Arc<Key>>,
    signing: Arc<Key>,
    made: u32,
    extra: Vec<Value>,
    discovery: Serve,
    jwks: Serve,
}

impl Issuer {
    /// Starts one on a free loopback port with one RS256 key, `key-1`.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one on this address; port 0 takes a free one.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, Algorithm::Rs256).await
    }

    /// Starts one on this address whose first key, `key-1`, is for this algorithm.
    pub async fn start_with(address: SocketAddr, algorithm: Algorithm) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self::serve(url, algorithm, |router| async move { axum::serve(listener, router).await }))
    }

    /// Starts one on a free loopback port over TLS, with this certificate; its URL has the address in it, so
    /// a good certificate names `127.0.0.1`.
    pub async fn start_tls(leaf: &Leaf, algorithm: Algorithm) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://{}", listener.local_addr()?);
        let listener = TlsListener::new(listener, leaf)?;
        Ok(Self::serve(url, algorithm, |router| async move { axum::serve(listener, router).await }))
    }

    fn serve<F>(url: String, algorithm: Algorithm, serve: impl FnOnce(Router) -> F) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let key = Arc::new(Key::generate(algorithm, "key-1"));
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                url: url.clone(),
                keys: vec![Arc::clone(&key)],
                signing: key,
                made: 1,
                extra: Vec::new(),
                discovery: Serve::Normal,
                jwks: Serve::Normal,
            }),
            discovery_requests: watch::Sender::new(0),
            key_requests: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(jwks))
            .with_state(Arc::clone(&shared));
        Self { url, shared, server: tokio::spawn(serve(router)) }
    }

    /// The issuer identifier: `iss` of its tokens, `issuer` of its discovery document.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key set's address.
    pub fn keys_url(&self) -> String {
        format!("{}/keys", self.url)
    }

    /// A token about `subject`, to be signed with the current key.
    pub fn token(&self, subject: &str) -> TokenBuilder {
        TokenBuilder::new(&self.url, subject, self.key())
    }

    /// The key that signs at present.
    pub fn key(&self) -> Arc<Key> {
        Arc::clone(&self.shared.inner().signing)
    }

    /// Publishes one more key, which does not sign by itself: `token(..).key(..)`.
    pub fn add_key(&self, algorithm: Algorithm) -> Arc<Key> {
        let mut inner = self.shared.inner();
        inner.made += 1;
        let key = Arc::new(Key::generate(algorithm, &format!("key-{}", inner.made)));
        inner.keys.push(Arc::clone(&key));
        key
    }

    /// Publishes a new key and signs with it from now on; the old ones stay published.
    pub fn rotate(&self, algorithm: Algorithm) -> Arc<Key> {
        let key = self.add_key(algorithm);
        self.shared.inner().signing = Arc::clone(&key);
        key
    }

    /// Publishes a key that was made elsewhere, under its own id.
    pub fn publish(&self, key: Arc<Key>) {
        self.shared.inner().keys.push(key);
    }

    /// Publishes this JWK as it is, whatever it is.
    pub fn publish_jwk(&self, jwk: Value) {
        self.shared.inner().extra.push(jwk);
    }

    /// Publishes the keys with this id no more; false if there was none.
    pub fn remove_key(&self, kid: &str) -> bool {
        let mut inner = self.shared.inner();
        let before = inner.keys.len();
        inner.keys.retain(|k| k.kid() != kid);
        before != inner.keys.len()
    }

    /// The key set as [`Serve::Normal`] publishes it.
    pub fn jwks(&self) -> Value {
        self.shared.inner().jwks()
    }

    /// The discovery document as [`Serve::Normal`] publishes it.
    pub fn discovery(&self) -> Value {
        self.shared.inner().document()
    }

    /// What the key endpoint answers from now on.
    pub fn serve_keys(&self, serve: Serve) {
        self.shared.inner().jwks = serve;
    }

    /// What the discovery endpoint answers from now on.
    pub fn serve_discovery(&self, serve: Serve) {
        self.shared.inner().discovery = serve;
    }

    /// How often the key set was asked for.
    pub fn key_requests(&self) -> u64 {
        *self.shared.key_requests.borrow()
    }

    /// How often the discovery document was asked for.
    pub fn discovery_requests(&self) -> u64 {
        *self.shared.discovery_requests.borrow()
    }

    /// Waits until the key set was asked for `count` times in all; false after ten seconds.
    pub async fn wait_for_key_requests(&self, count: u64) -> bool {
        let mut requests = self.shared.key_requests.subscribe();
        let reached = requests.wait_for(|n| *n >= count);
        matches!(tokio::time::timeout(Duration::from_secs(10), reached).await, Ok(Ok(_)))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn jwks(&self) -> Value {
        let keys = self.keys.iter().map(|k| k.jwk()).chain(self.extra.iter().cloned());
        json!({"keys": keys.collect::<Vec<_>>()})
    }

    fn document(&self) -> Value {
        json!({
            "issuer": self.url,
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "jwks_uri": format!("{}/keys", self.url),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        })
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    shared.discovery_requests.send_modify(|n| *n += 1);
    let (serve, document) = {
        let inner = shared.inner();
        (inner.discovery.clone(), inner.document())
    };
    answer(serve, document)
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    shared.key_requests.send_modify(|n| *n += 1);
    let (serve, keys) = {
        let inner = shared.inner();
        (inner.jwks.clone(), inner.jwks())
    };
    answer(serve, keys)
}

fn answer(serve: Serve, normal: Value) -> Response {
    match serve {
        Serve::Normal => axum::Json(normal).into_response(),
        Serve::Json(value) => axum::Json(value).into_response(),
        Serve::Html(text) => ([(header::CONTENT_TYPE, "text/html")], text).into_response(),
        Serve::Status(code) => StatusCode::from_u16(code).expect("a status code").into_response(),
        Serve::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Serve::Oversized(size) => pieces(size, false),
        Serve::Stall => pieces(1, true),
    }
}

/// A body of spaces in pieces of at most 16 KiB; then its end, or nothing for ever.
fn pieces(size: usize, stall: bool) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut left = size;
        while left > 0 {
            let piece = left.min(16 * 1024);
            left -= piece;
            if sender.send(Bytes::from(vec![b' '; piece])).await.is_err() {
                return;
            }
        }
        if stall {
            sender.closed().await;
        }
    });
    Response::new(Body::new(Pieces(receiver)))
}

struct Pieces(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|p| Ok(hyper::body::Frame::data(p))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_have_sensible_defaults_and_every_algorithm_signs() {
        let issuer = Issuer::start().await.unwrap();
        for algorithm in Algorithm::ALL {
            let key = issuer.add_key(algorithm);
            let token = issuer.token("alice").key(key).sign();
            assert_eq!(token.split('.').count(), 3);
        }
        let claims: Value = serde_json::from_str(&issuer.token("alice").claims_json()).unwrap();
        assert_eq!(claims["iss"], issuer.url());
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
        assert_eq!(issuer.jwks()["keys"].as_array().unwrap().len(), 6);
    }

    #[tokio::test]
    async fn removed_keys_are_published_no_more() {
        let issuer = Issuer::start().await.unwrap();
        issuer.rotate(Algorithm::EdDsa);
        assert!(issuer.remove_key("key-1"));
        assert!(!issuer.remove_key("key-1"));
        assert_eq!(issuer.jwks()["keys"][0]["kid"], "key-2");
        assert_eq!(issuer.key().kid(), "key-2");
    }
}
