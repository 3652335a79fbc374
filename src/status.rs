//! What the status page and its JSON show, as plain values. A leaf: each module fills in its own part.

use std::net::SocketAddr;

use serde::Serialize;

/// Everything the page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// When this was taken, RFC 3339.
    pub now: String,
    /// When the process started, RFC 3339.
    pub started: String,
    /// The version of cqlgate.
    pub version: &'static str,
    /// Clusters and their health.
    pub clusters: Vec<ClusterStatus>,
    /// Identity providers and their health.
    pub identities: Vec<IdentityStatus>,
    /// Open sessions.
    pub sessions: Vec<SessionStatus>,
    /// The latest refusals, newest first.
    pub refusals: Vec<RefusalStatus>,
}

/// One cluster.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClusterStatus {
    /// The configured name.
    pub name: String,
    /// Where drivers connect.
    pub listen: String,
    /// `enforce` or `observe`.
    pub mode: String,
    /// Is the control connection up and the schema cache fresh?
    pub healthy: bool,
    /// What is wrong, or what is known: release, nodes.
    pub detail: String,
    /// Cassandra's release.
    pub release: String,
    /// Tables that the schema cache knows.
    pub tables: usize,
    /// Warm upstream connections.
    pub warm: usize,
    /// The policy's generation.
    pub policy_generation: u64,
    /// When it was loaded, RFC 3339.
    pub policy_loaded: String,
    /// Its rules.
    pub policy_rules: usize,
    /// Warnings and errors: `file:line:column: text`.
    pub policy_warnings: Vec<String>,
    /// The last reload failed; the last good policy is in force.
    pub policy_stale: bool,
}

/// One identity provider.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IdentityStatus {
    /// The configured name.
    pub name: String,
    /// The issuer.
    pub issuer: String,
    /// Are there usable, fresh keys?
    pub healthy: bool,
    /// What is wrong, or the key ids.
    pub detail: String,
    /// When keys were last fetched, RFC 3339, or empty.
    pub keys_fetched: String,
    /// The last SCIM write, RFC 3339, or empty.
    pub last_push: String,
    /// Users, and how many of them are active.
    pub users: usize,
    /// Active users.
    pub active_users: usize,
    /// Groups.
    pub groups: usize,
}

/// One open session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionStatus {
    /// The session's number.
    pub id: u64,
    /// The cluster.
    pub cluster: String,
    /// Who: `userName` or service name.
    pub name: String,
    /// `person` or `service`.
    pub kind: &'static str,
    /// The identity.
    pub identity: String,
    /// Where from.
    pub client: SocketAddr,
    /// Since when, RFC 3339.
    pub since: String,
    /// When the token expires, RFC 3339.
    pub token_expires: String,
    /// The groups it acts through.
    pub groups: Vec<String>,
    /// Driver name and version.
    pub driver: String,
    /// Requests so far.
    pub requests: u64,
    /// Refusals so far.
    pub refused: u64,
}

/// One refusal.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalStatus {
    /// When, RFC 3339.
    pub at: String,
    /// What kind of event: `login`, `data`, `ddl`, ..
    pub event: &'static str,
    /// `refused`, or `observed`: policy would refuse, the cluster only observes.
    pub verdict: &'static str,
    /// The cluster, or empty.
    pub cluster: String,
    /// Who, or empty.
    pub name: String,
    /// Their identity, or empty.
    pub identity: String,
    /// Where from.
    pub client: String,
    /// What was tried.
    pub what: String,
    /// Why it was refused.
    pub reason: String,
    /// The rule that refused it, `file:line`, or empty.
    pub rule: String,
    /// The reference that the client was told.
    pub reference: String,
}
