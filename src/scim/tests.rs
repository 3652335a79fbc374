//! The server over HTTP on loopback, as identity providers use it.

mod broken;
mod dialects;
mod plain;

use std::future::IntoFuture;
use std::path::PathBuf;

use cqlgate_testkit::pusher::Pusher;
use serde_json::{Value, json};

use super::*;
use crate::audit::AuditGuard;
use crate::config::model;
use crate::metrics::Metrics;

const ACME_TOKEN: &str = "acme-token-0123456789";
const BETA_TOKEN: &str = "beta-token-0123456789";

/// A server with two identities, and clients for both.
struct Server {
    acme: Pusher,
    beta: Pusher,
    directory: Directory,
    audit: Audit,
    audit_file: PathBuf,
    _audit: AuditGuard,
    folder: PathBuf,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(public_url: Option<&str>) -> Self {
        let folder = std::env::temp_dir().join(format!("cqlgate-scim-{}", uuid::Uuid::new_v4()));
        let directory = Directory::open(&folder, &["acme".into(), "beta".into()]).unwrap();
        let audit_file = folder.join("audit.jsonl");
        let (audit, guard) = Audit::start(
            &model::Audit { file: audit_file.clone(), data: model::AuditData::Count },
            Metrics::new(),
        )
        .unwrap();
        let identities = [identity("acme", ACME_TOKEN), identity("beta", BETA_TOKEN)];
        let options = Options {
            identities: &identities,
            public_url,
            tls: false,
            audit: audit.clone(),
            metrics: Metrics::new(),
        };
        let router = router(directory.clone(), options).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{BASE_PATH}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        let acme = Pusher::new(&url, ACME_TOKEN).unwrap();
        let beta = acme.with_token(BETA_TOKEN);
        Self { acme, beta, directory, audit, audit_file, _audit: guard, folder }
    }

    /// The members of a group, by the directory.
    fn members(&self, group: &str) -> Vec<String> {
        let state = self.directory.snapshot();
        let group = state.namespace("acme").unwrap().groups.get(group).unwrap().clone();
        let mut members: Vec<String> = group.members.iter().map(ToString::to_string).collect();
        members.sort();
        members
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn identity(name: &str, token: &str) -> Identity {
    toml::from_str(&format!(
        "name = {name:?}\nissuer = \"https://{name}.example\"\naudiences = [\"cassandra\"]\nscim_token_hashes = [\"{}\"]",
        TokenHash::of(token)
    ))
    .unwrap()
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids = ids.map(Clone::clone).to_vec();
    ids.sort();
    ids
}

fn user(name: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name})
}
