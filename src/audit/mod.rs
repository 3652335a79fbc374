//! The audit log: who did what, one JSON line each, in a bounded queue.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

/// One line of the audit log. Never holds a token or a bound value.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// What happened.
    pub event: Kind,
    /// The cluster's configured name, where one is concerned.
    pub cluster: Option<Arc<str>>,
    /// The session, unique in this process.
    pub session: Option<u64>,
    /// Where from.
    pub client: Option<SocketAddr>,
    /// Who.
    pub who: Option<Arc<Who>>,
    /// Driver name and version, as the client says.
    pub driver: Option<Arc<str>>,
    /// The statement's kind: SELECT, UPDATE, CREATE_TABLE, ..
    pub statement: Option<&'static str>,
    /// Its text, EXECUTE resolved; passwords are blanked.
    pub text: Option<Arc<str>>,
    /// The keyspace in use.
    pub keyspace: Option<Arc<str>>,
    /// What it needed: `SELECT <table k.t>`.
    pub resources: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, for the operator.
    pub reason: Option<String>,
    /// The deciding rule: `file:line`.
    pub rule: Option<String>,
    /// The group it came through.
    pub group: Option<Arc<str>>,
    /// The reference that the client was told.
    pub reference: Option<String>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A log-in, taken or refused.
    Login,
    /// A session's end that the gateway decided: revoked, expired.
    SessionEnd,
    /// A data statement: SELECT, INSERT, UPDATE, DELETE, BATCH.
    Data,
    /// A definition: CREATE, DROP, TRUNCATE.
    Ddl,
    /// Anything else that was judged.
    Other,
    /// A SCIM write.
    Scim,
    /// A policy reload.
    Policy,
}

/// The verdict of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Permitted, forwarded, done.
    Permitted,
    /// Refused.
    Refused,
    /// Policy refuses, the cluster only observes.
    Observed,
}

/// Who an event is about.
#[derive(Clone, Debug, Serialize)]
pub struct Who {
    /// `person` or `service`.
    pub kind: &'static str,
    /// The identity's configured name.
    pub identity: Arc<str>,
    /// The SCIM id (persons).
    pub scim_id: Option<Arc<str>>,
    /// `userName`, or the service's name.
    pub name: Arc<str>,
    /// The token's issuer.
    pub issuer: Arc<str>,
    /// The token's subject.
    pub subject: Arc<str>,
    /// The token's id: `jti`, or part of its hash.
    pub token_id: Arc<str>,
}
