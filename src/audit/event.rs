//! What an audit event holds.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::text::floor_char_boundary;
use crate::config::limits::{AUDIT_NAME, AUDIT_RESOURCES};

/// One line of the audit log. Never holds a token or a bound value.
///
/// The writer adds the time, an id, blanks passwords in `text` and cuts it. What does not apply is `None`
/// and left out of the line: `Event { client: Some(address), ..Event::new(Kind::Login, Verdict::Refused) }`.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// What happened.
    pub event: Kind,
    /// The verdict.
    pub verdict: Verdict,
    /// The cluster's configured name, where one is concerned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub cluster: Option<Arc<str>>,
    /// The session, unique in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// Where from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<SocketAddr>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Arc<Who>>,
    /// Driver name and version, as the client says.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub driver: Option<Arc<str>>,
    /// The statement's kind: SELECT, UPDATE, `CREATE_TABLE`, .. `None` for text that was not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<&'static str>,
    /// Its text as the client sent it, EXECUTE resolved; the writer blanks passwords.
    #[serde(skip)]
    pub text: Option<Arc<str>>,
    /// The keyspace in use.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub keyspace: Option<Arc<str>>,
    /// What it needed: `SELECT <table k.t>`.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "some")]
    pub resources: Vec<String>,
    /// Why, for the operator.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub reason: Option<String>,
    /// The deciding rule: `file:line`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub rule: Option<String>,
    /// The group it came through.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub group: Option<Arc<str>>,
    /// The reference that the client was told.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub reference: Option<String>,
}

impl Event {
    /// An event of which only kind and verdict are known.
    pub fn new(event: Kind, verdict: Verdict) -> Self {
        Self {
            event,
            verdict,
            cluster: None,
            session: None,
            client: None,
            who: None,
            driver: None,
            statement: None,
            text: None,
            keyspace: None,
            resources: Vec::new(),
            reason: None,
            rule: None,
            group: None,
            reference: None,
        }
    }
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

impl Kind {
    /// As the line and the metric's label write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SessionEnd => "session_end",
            Self::Data => "data",
            Self::Ddl => "ddl",
            Self::Other => "other",
            Self::Scim => "scim",
            Self::Policy => "policy",
        }
    }
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

impl Verdict {
    /// As the line and the metric's label write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Refused => "refused",
            Self::Observed => "observed",
        }
    }
}

/// Who an event is about.
#[derive(Clone, Debug, Serialize)]
pub struct Who {
    /// `person` or `service`.
    pub kind: &'static str,
    /// The identity's configured name.
    #[serde(serialize_with = "name")]
    pub identity: Arc<str>,
    /// The SCIM id (persons).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe")]
    pub scim_id: Option<Arc<str>>,
    /// `userName`, or the service's name.
    #[serde(serialize_with = "name")]
    pub name: Arc<str>,
    /// The token's issuer.
    #[serde(serialize_with = "name")]
    pub issuer: Arc<str>,
    /// The token's subject.
    #[serde(serialize_with = "name")]
    pub subject: Arc<str>,
    /// The token's id: `jti`, or part of its hash.
    #[serde(serialize_with = "name")]
    pub token_id: Arc<str>,
}

/// A name as it is shown: what is too long is cut and ends in `…`.
pub(super) fn brief(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= AUDIT_NAME {
        return text.into();
    }
    format!("{}…", text.get(..floor_char_boundary(text, AUDIT_NAME)).unwrap_or_default()).into()
}

fn name<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&brief(text))
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn maybe<T: AsRef<str>, S: Serializer>(text: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => to.serialize_str(&brief(text.as_ref())),
        None => to.serialize_none(),
    }
}

fn some<S: Serializer>(texts: &[String], to: S) -> Result<S::Ok, S::Error> {
    let more = texts.len().saturating_sub(AUDIT_RESOURCES);
    let rest = (more > 0).then(|| format!("and {more} more"));
    to.collect_seq(texts.iter().take(AUDIT_RESOURCES).map(|t| brief(t)).chain(rest.map(Into::into)))
}
