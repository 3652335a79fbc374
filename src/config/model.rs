//! What `cqlgate.toml` may say. Every key, its meaning and its default; unknown keys are refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where people and groups are kept.
    pub directory: Directory,
    /// The identity providers, at least one.
    #[serde(default)]
    pub identity: Vec<Identity>,
    /// Workloads without a SCIM user.
    #[serde(default)]
    pub service: Vec<Service>,
    /// The clusters, at least one, a CQL listener each.
    #[serde(default)]
    pub cluster: Vec<Cluster>,
    /// The SCIM listener.
    pub scim: Listener,
    /// The admin listener.
    pub admin: Listener,
    /// The audit log.
    pub audit: Audit,
    /// The file, as it was named.
    #[serde(skip)]
    pub file: std::sync::Arc<str>,
    /// Its text, for findings that come later.
    #[serde(skip)]
    pub text: std::sync::Arc<str>,
    /// The folder of the file, which relative paths are relative to.
    #[serde(skip)]
    pub folder: PathBuf,
    /// What the file says that its author should look at.
    #[serde(skip)]
    pub warnings: Vec<super::diagnostic::Diagnostic>,
}

/// `[directory]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// The folder of the SQLite files; made if it is missing (its parent must exist).
    pub path: PathBuf,
}

/// `[[identity]]`: one identity provider, a namespace of users and groups of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The name that policies (`OF "name"`) and clusters use.
    pub name: String,
    /// The `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// Accepted `aud` values; a token must name one of them, and nothing else.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// Which claim names the person, and which SCIM attribute it must equal.
    #[serde(default)]
    pub subject: Subject,
    /// The key set's address, if it is not to be found by discovery.
    pub jwks_url: Option<String>,
    /// Trust anchors (PEM) for the provider's https, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Accepted `typ` header values, compared without case and without `application/`; `""` accepts tokens
    /// without `typ`, as some providers make them.
    #[serde(default = "default_token_types")]
    pub token_types: Vec<String>,
    /// The longest life (`exp - iat`) that is accepted, in seconds.
    #[serde(default = "default_token_lifetime")]
    pub max_token_lifetime: u64,
    /// Accepted values of `azp` (or `client_id`); empty: not looked at.
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// `sha256:<hex>` of each SCIM bearer token of this provider; several at once allow rotation.
    #[serde(default)]
    pub scim_token_hashes: Vec<String>,
}

/// `subject = { claim = "sub", scim = "externalId" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The claim, a string.
    #[serde(default = "default_claim")]
    pub claim: String,
    /// The SCIM attribute that must equal it: `externalId`, `userName` or `id`.
    #[serde(default = "default_scim_attribute")]
    pub scim: String,
}

/// `[[service]]`: a workload, known by its issuer and claims.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The name that policies use: `TO SERVICE "loader"`.
    pub name: String,
    /// The `[[identity]]` whose issuer signs its tokens.
    pub identity: String,
    /// Claims that must be there with exactly these values, at least one.
    pub claims: std::collections::BTreeMap<String, String>,
}

/// `[[cluster]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "keys of a file, each on its own")]
pub struct Cluster {
    /// The cluster's name in logs, metrics and on the status page.
    pub name: String,
    /// Where drivers connect.
    pub listen: SocketAddr,
    /// Nodes to start from, `host:port`.
    pub contact_points: Vec<String>,
    /// The service account.
    pub username: String,
    /// The file that holds its password (one line).
    pub password_file: PathBuf,
    /// Policy files, relative to the configuration file; `*` stands for any part of a file name.
    pub policies: Vec<String>,
    /// `enforce`, or `observe`: forward what policy would refuse, and record it.
    #[serde(default)]
    pub mode: Mode,
    /// The identities whose people and services may log in here; empty: all.
    #[serde(default)]
    pub identities: Vec<String>,
    /// What ends a session: its `token`'s expiry, or only the `directory`.
    #[serde(default)]
    pub session_end: SessionEnd,
    /// The address that `system.local` shows, if it is not the one the client dialled.
    pub advertise: Option<SocketAddr>,
    /// TLS of the listener.
    pub tls: Option<ServerTls>,
    /// Allow a listener without TLS that is not on loopback.
    #[serde(default)]
    pub plaintext: bool,
    /// TLS towards the nodes.
    pub upstream_tls: Option<ClientTls>,
    /// Allow nodes without TLS that are not on loopback.
    #[serde(default)]
    pub upstream_plaintext: bool,
    /// Show a person only the keyspaces that they hold a permission on, in DESCRIBE and `system_schema`.
    #[serde(default)]
    pub hide_schema: bool,
    /// Refuse what does not exist in the words of what is not the caller's, so that a stranger learns no
    /// names.
    #[serde(default)]
    pub strict_names: bool,
    /// Connections kept logged in and ready for the next session.
    #[serde(default = "default_warm")]
    pub warm_connections: usize,
    /// Limits that operators may change.
    #[serde(default)]
    pub limits: Limits,
}

/// Limits of one cluster that an operator may change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Nesting of selectors (`f(f(..))`): a node's parser is exponential in it.
    pub selector_depth: usize,
    /// Arithmetic operators in one value: exponential in a node, too.
    pub value_operators: usize,
    /// Children of one batch.
    pub batch_children: usize,
    /// Bytes of the name of what a statement makes: names become names of files, and a long one ends a node.
    pub name: usize,
    /// Sessions at once.
    pub sessions: usize,
}

/// `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What policy does not permit is refused.
    #[default]
    Enforce,
    /// What policy does not permit is forwarded and recorded.
    Observe,
}

/// `session_end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionEnd {
    /// Token expiry ends a session, after what is in flight has been answered.
    #[default]
    Token,
    /// The session lives until SCIM ends it, 12 hours at the most.
    Directory,
}

/// TLS of a listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// If given, clients must show a certificate signed by one of these (PEM).
    pub client_ca_file: Option<PathBuf>,
}

/// TLS towards nodes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Trust anchors, PEM.
    pub ca_file: PathBuf,
    /// Client certificate chain, PEM (with `key_file`).
    pub cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_file: Option<PathBuf>,
    /// The name that certificates must show, if it is not the contact point's.
    pub server_name: Option<String>,
}

/// `[scim]` and `[admin]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Where it listens.
    pub listen: SocketAddr,
    /// TLS of the listener.
    pub tls: Option<ServerTls>,
    /// Allow a listener without TLS that is not on loopback.
    #[serde(default)]
    pub plaintext: bool,
    /// The address that clients use, for `meta.location` (SCIM): `https://gate.example`.
    pub public_url: Option<String>,
}

/// `[audit]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The file, one JSON object a line, appended to.
    pub file: PathBuf,
    /// `count`: permitted data statements are counted; `all`: each is a line.
    #[serde(default)]
    pub data: AuditData,
}

/// `audit.data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditData {
    /// Permitted SELECT, INSERT, UPDATE, DELETE and BATCH are counted.
    #[default]
    Count,
    /// Each of them is a line.
    All,
}

impl Default for Subject {
    fn default() -> Self {
        Self { claim: default_claim(), scim: default_scim_attribute() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            selector_depth: 10,
            value_operators: 10,
            batch_children: super::limits::BATCH_CHILDREN,
            name: 222,
            sessions: 100_000,
        }
    }
}

fn default_algorithms() -> Vec<String> {
    ["RS256", "PS256", "ES256", "ES384", "EdDSA"].map(String::from).to_vec()
}

fn default_token_types() -> Vec<String> {
    ["at+jwt", "JWT"].map(String::from).to_vec()
}

fn default_token_lifetime() -> u64 {
    super::limits::TOKEN_LIFE.as_secs()
}

fn default_claim() -> String {
    "sub".into()
}

fn default_scim_attribute() -> String {
    "externalId".into()
}

fn default_warm() -> usize {
    4
}
