//! What the running gateway tells the status page and `/readyz`.

use std::sync::Arc;

use cqlgate_protocol::cql::{RelationKind, Schema as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin::StatusSource;
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::config::Config;
use crate::config::model::Mode;
use crate::directory::Directory;
use crate::policy::Catalogue;
use crate::session::{Context, Registry};
use crate::status::{ClusterStatus, IdentityStatus, Status};
use crate::upstream::SchemaSnapshot;

/// Every part that has something to say.
pub(super) struct Source {
    started: OffsetDateTime,
    identities: Vec<(String, String)>,
    clusters: Vec<Arc<Context>>,
    directory: Directory,
    authenticator: Arc<Authenticator>,
    audit: Audit,
    registry: Arc<Registry>,
}

/// The schema as policies want to know it. It stands here because neither side knows the other.
struct Known<'a>(&'a SchemaSnapshot);

impl Catalogue for Known<'_> {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        self.0.has_keyspace(keyspace)
    }

    fn has_table(&self, keyspace: &str, table: &str) -> bool {
        self.0.relation(keyspace, table).is_some()
    }

    fn base_of(&self, keyspace: &str, view: &str) -> Option<&str> {
        match self.0.relation(keyspace, view)?.kind {
            RelationKind::View { base } => Some(base),
            RelationKind::Table { .. } => None,
        }
    }

    fn functions(&self, keyspace: &str, name: &str) -> Vec<String> {
        self.0.functions(keyspace, name).iter().map(|function| function.arguments.join(", ")).collect()
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

impl Source {
    pub(super) fn new(
        config: &Config,
        clusters: Vec<Arc<Context>>,
        directory: &Directory,
        authenticator: &Arc<Authenticator>,
        audit: &Audit,
        registry: &Arc<Registry>,
    ) -> Self {
        Self {
            started: OffsetDateTime::now_utc(),
            identities: config.identity.iter().map(|i| (i.name.clone(), i.issuer.clone())).collect(),
            clusters,
            directory: directory.clone(),
            authenticator: Arc::clone(authenticator),
            audit: audit.clone(),
            registry: Arc::clone(registry),
        }
    }

    fn cluster(&self, context: &Context) -> ClusterStatus {
        let health = context.upstream.health();
        let mut status = ClusterStatus {
            name: context.name.to_string(),
            listen: context.config.listen.to_string(),
            mode: match context.config.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            }
            .to_owned(),
            healthy: health.healthy,
            detail: health.detail,
            release: health.release,
            tables: health.tables,
            warm: health.warm,
            ..ClusterStatus::default()
        };
        let directory = self.directory.snapshot();
        let schema = context.upstream.schema();
        let known = Known(&schema);
        let catalogue = health.healthy.then_some(&known as &dyn Catalogue);
        context.policies.describe(&directory, catalogue, &mut status);
        status
    }

    fn identity(&self, name: &str, issuer: &str) -> IdentityStatus {
        let mut status =
            IdentityStatus { name: name.to_owned(), issuer: issuer.to_owned(), ..IdentityStatus::default() };
        if let Some(health) = self.authenticator.health().into_iter().find(|h| *h.identity == *name) {
            status.healthy = health.healthy;
            status.keys_fetched = health.keys_fetched.map(rfc3339).unwrap_or_default();
            status.detail = if health.detail.is_empty() {
                format!("keys {}", health.key_ids.join(", "))
            } else {
                health.detail
            };
        }
        let directory = self.directory.snapshot();
        if let Some(space) = directory.namespace(name) {
            status.last_push = space.last_push.map(rfc3339).unwrap_or_default();
            status.users = space.users.size();
            status.active_users = space.users.values().filter(|user| user.active).count();
            status.groups = space.groups.size();
        }
        status
    }
}

impl StatusSource for Source {
    fn status(&self) -> Status {
        Status {
            now: rfc3339(OffsetDateTime::now_utc()),
            started: rfc3339(self.started),
            version: env!("CARGO_PKG_VERSION"),
            clusters: self.clusters.iter().map(|context| self.cluster(context)).collect(),
            identities: self.identities.iter().map(|(name, issuer)| self.identity(name, issuer)).collect(),
            sessions: self.registry.status(&self.directory.snapshot()),
            refusals: self.audit.recent_refusals(),
        }
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        let mut reasons = Vec::new();
        for context in &self.clusters {
            let health = context.upstream.health();
            if !health.healthy {
                reasons.push(format!("cluster {}: {}", context.name, health.detail));
            }
        }
        if !self.authenticator.ready() {
            reasons.push("no identity provider has keys that tokens can be verified with".into());
        }
        if let Some(reason) = self.directory.degraded() {
            reasons.push(format!("directory: {reason}"));
        }
        if let Some(reason) = self.audit.trouble() {
            reasons.push(format!("audit log: {reason}"));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}
