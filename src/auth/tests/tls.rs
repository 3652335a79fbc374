//! Keys over https: only from whom the trust anchors vouch for.

use std::path::PathBuf;
use std::sync::Arc;

use cqlgate_testkit::certs::Authority;
use cqlgate_testkit::issuer::{Algorithm, Issuer, Serve, sasl_plain};
use serde_json::json;

use super::bench::{authenticator, directory, identity, user};
use crate::auth::clock::tests::TestClock;
use crate::auth::{AuthError, Authenticator, ClientResponse, LoginError};

/// A file that is gone with the test.
struct Pem(PathBuf);

impl Pem {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cqlgate-auth-{}.pem", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn login(issuer: &Issuer, ca: Option<&Pem>) -> Result<(), LoginError> {
    let mut acme = identity("acme", issuer.url());
    acme.ca_file = ca.map(|pem| pem.0.clone());
    let auth = authenticator(&[acme], &[], &Arc::new(TestClock::new()));
    let sasl = sasl_plain("token", &issuer.token("alice").sign());
    auth.login(&sasl, &[], &directory("acme", &[user("1", "alice")])).await.map(drop)
}

fn unavailable(refusal: &LoginError, reason: &str) {
    assert!(refusal.to_string().contains(reason), "{refusal}");
    assert_eq!(refusal.client_response(), ClientResponse::Close);
}

#[tokio::test]
async fn tls_private_ca() {
    let authority = Authority::new("acme").unwrap();
    let issuer = Issuer::start_tls(&authority.leaf(&["127.0.0.1"]).unwrap(), Algorithm::Es256).await.unwrap();
    login(&issuer, Some(&Pem::new(&authority.pem()))).await.unwrap();
}

#[tokio::test]
async fn tls_bad_cert() {
    let authority = Authority::new("acme").unwrap();
    let trusted = Pem::new(&authority.pem());
    let issuer = Issuer::start_tls(&authority.leaf(&["127.0.0.1"]).unwrap(), Algorithm::Es256).await.unwrap();
    // Not signed by a trust anchor of the system, nor by another private one.
    unavailable(&login(&issuer, None).await.unwrap_err(), "certificate");
    let other = Pem::new(&Authority::new("evil").unwrap().pem());
    unavailable(&login(&issuer, Some(&other)).await.unwrap_err(), "certificate");
    // Signed well, for another name.
    let leaf = authority.leaf(&["login.acme.example", "127.0.0.2"]).unwrap();
    let issuer = Issuer::start_tls(&leaf, Algorithm::Es256).await.unwrap();
    unavailable(&login(&issuer, Some(&trusted)).await.unwrap_err(), "certificate");
    assert_eq!((issuer.discovery_requests(), issuer.key_requests()), (0, 0));
}

#[tokio::test]
async fn jwks_uri_http_of_an_https_issuer() {
    let authority = Authority::new("acme").unwrap();
    let issuer = Issuer::start_tls(&authority.leaf(&["127.0.0.1"]).unwrap(), Algorithm::Es256).await.unwrap();
    let plain = Issuer::start().await.unwrap();
    let mut document = issuer.discovery();
    document["jwks_uri"] = json!(plain.keys_url());
    issuer.serve_discovery(Serve::Json(document));
    unavailable(&login(&issuer, Some(&Pem::new(&authority.pem()))).await.unwrap_err(), "not https");
    assert_eq!(plain.key_requests(), 0);
}

#[test]
fn a_ca_file_without_a_certificate_is_refused_when_configured() {
    let key = Authority::new("acme").unwrap().leaf(&["x"]).unwrap().key;
    for text in ["", "no PEM", &key, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let file = Pem::new(text);
        let mut acme = identity("acme", "https://login.acme.example");
        acme.ca_file = Some(file.0.clone());
        let error = Authenticator::new(&[acme], &[]).unwrap_err();
        assert!(matches!(error, AuthError::Trust(..)), "{text}: {error}");
    }
    let mut acme = identity("acme", "https://login.acme.example");
    acme.ca_file = Some("/nonexistent/ca.pem".into());
    assert!(matches!(Authenticator::new(&[acme], &[]), Err(AuthError::Trust(..))));
}
