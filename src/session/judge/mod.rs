//! The judge of one session: what each request is, and whether this principal may make it, now.
//!
//! In: whole envelopes of the client. Out: a [`Verdict`] each. It holds what verdicts depend on (grants,
//! schema, keyspace in force) and takes over newer ones only between two envelopes.

mod shown;
mod verdict;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cqlgate_protocol::cql::{Role, Unseen};
use cqlgate_protocol::wire::request::{self, Batch, Child, Execute, Options, Query, Register};
use cqlgate_protocol::wire::{ErrorCode, Flags, Header, Opcode, Version, WireError, response};

use super::Context;
use super::facts::Facts;
use super::handshake::{opcode, protocol_error};
use super::id_hash::IdHash;
use super::inflight::{Kind as Awaited, Preparing};
use super::permits::{Permits, Stamp};
use super::registry::Place;
use super::statements::{Classified, Outcome, Route};
use crate::audit::{self, Event, Who};
use crate::auth::Authenticated;
use crate::config::limits;
use crate::directory::State;
use crate::metrics::{Opcode as Counted, Statement as CountedStatement, Verdict as Count};
use crate::policy::{Grants, Permit};
use crate::principal::Principal;
use crate::upstream::{FoundIdentity, Prepared, SchemaSnapshot};

/// What is done with an envelope.
pub(super) enum Verdict {
    /// It goes to the node; its answer is looked at as `awaited` says.
    Forward { permit: Permit, awaited: Awaited, preparing: Option<Preparing> },
    /// The gateway answers it.
    Answer(Vec<u8>),
    /// The client wants events; the rest is [`Verdict::Answer`].
    Register(Register, Vec<u8>),
    /// Something has to be found out first; then it is judged again.
    Wait(Wait),
}

/// What has to be found out before an envelope can be judged.
pub(super) enum Wait {
    /// Is there such a name?
    LookUp(Unseen),
    /// What does this prepared id mean?
    Find([u8; 16]),
    /// Is this role a superuser?
    Role(String),
    /// Which role is this identity bound to?
    Identity(String),
    /// What does a node say of the cluster?
    DescribeCluster,
    /// Room in the audit queue.
    Record(Box<Event>),
}

/// Somebody is no longer who they were at log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revoked;

/// What was found out for the envelope that is being judged, so that nothing is asked twice.
#[derive(Default)]
struct Tried {
    names: Vec<Unseen>,
    ids: Vec<[u8; 16]>,
    /// The event that waited for room has been recorded, under this reference.
    recorded: Option<(audit::Verdict, Option<String>)>,
    /// What was asked of the cluster about roles and identities.
    facts: Facts,
    /// What a node said to DESCRIBE CLUSTER.
    cluster: DescribedCluster,
}

/// What a node says of its cluster.
#[derive(Default)]
enum DescribedCluster {
    #[default]
    NotAsked,
    /// No node answered.
    Silent,
    /// Name, partitioner, snitch.
    Told([String; 3]),
}

/// Names or ids that are looked up for one envelope: more are not waited for.
const TRIES: usize = 8;

pub(super) struct Judge<'s> {
    context: &'s Context,
    place: &'s Place,
    authenticated: Authenticated,
    who: Arc<Who>,
    driver: Arc<str>,
    client: SocketAddr,
    pub(super) version: Version,
    /// The address that `system.local` shows.
    advertised: SocketAddr,
    stamp: Stamp,
    grants: Grants,
    schema: Arc<SchemaSnapshot>,
    /// The keyspace in force; it comes from `Set_keyspace` only.
    pub(super) keyspace: Option<Arc<str>>,
    prepared: HashMap<[u8; 16], Arc<Classified>, IdHash>,
    /// Bytes of the texts in it.
    prepared_bytes: usize,
    /// The verdicts on them.
    permits: Permits,
    tried: Tried,
    /// The schema could not be read for so long that no verdict may be built on it.
    stale: bool,
}

impl<'s> Judge<'s> {
    pub(super) fn new(
        context: &'s Context,
        place: &'s Place,
        authenticated: Authenticated,
        driver: Arc<str>,
        version: Version,
        client: SocketAddr,
        advertised: SocketAddr,
    ) -> Result<Self, Revoked> {
        let revision = place.handle.revision();
        let directory = context.directory.snapshot();
        check_still_known(&authenticated, &directory)?;
        let policy = context.policies.current();
        let grants = policy.grants_for(authenticated.principal(), &directory);
        let schema = context.upstream.schema();
        let stamp = Stamp { revision, policy: policy.generation(), schema: schema.generation() };
        place.handle.acknowledge(revision);
        Ok(Self {
            context,
            place,
            who: super::audit::who(&authenticated),
            authenticated,
            driver,
            client,
            version,
            advertised,
            stamp,
            grants,
            schema,
            keyspace: None,
            prepared: HashMap::default(),
            prepared_bytes: 0,
            permits: Permits::default(),
            tried: Tried::default(),
            stale: context.upstream.stale(),
        })
    }

    /// Looks at the clock, once for all that is judged now.
    pub(super) fn look(&mut self) {
        self.stale = self.context.upstream.stale();
    }

    /// Has anything that verdicts depend on moved?
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        self.stamp
            == Stamp {
                revision: self.place.handle.revision(),
                policy: self.context.policies.generation(),
                schema: self.context.upstream.schema_generation(),
            }
    }

    /// Takes over the newest directory, policy and schema. The caller has no bytes left that were permitted
    /// under the old ones, or judges them again; then it acknowledges.
    pub(super) fn refresh(&mut self) -> Result<u64, Revoked> {
        // Read first: a commit after this raises it again.
        let revision = self.place.handle.revision();
        let policy = self.context.policies.current();
        let schema = self.context.upstream.schema();
        let stamp = Stamp { revision, policy: policy.generation(), schema: schema.generation() };
        if revision != self.stamp.revision || stamp.policy != self.stamp.policy {
            let directory = self.context.directory.snapshot();
            check_still_known(&self.authenticated, &directory)?;
            self.grants = policy.grants_for(self.authenticated.principal(), &directory);
        }
        self.schema = schema;
        self.stamp = stamp;
        Ok(revision)
    }

    /// The envelope that was judged is gone from the buffer: what was found out for it is forgotten.
    #[inline]
    pub(super) fn consumed(&mut self) {
        let tried = &self.tried;
        if !tried.names.is_empty()
            || !tried.ids.is_empty()
            || tried.recorded.is_some()
            || !tried.facts.is_empty()
            || !matches!(tried.cluster, DescribedCluster::NotAsked)
        {
            self.tried = Tried::default();
        }
    }

    /// What [`Wait::Role`] came to.
    pub(super) fn learned_role(&mut self, name: String, role: Role) {
        self.tried.facts.roles.push((name, role));
    }

    /// What [`Wait::Identity`] came to.
    pub(super) fn learned_identity(&mut self, name: String, identity: FoundIdentity) {
        self.tried.facts.identities.push((name, identity));
    }

    /// What [`Wait::DescribeCluster`] came to.
    pub(super) fn learned_cluster(&mut self, cluster: Option<[String; 3]>) {
        self.tried.cluster = cluster.map_or(DescribedCluster::Silent, DescribedCluster::Told);
    }

    /// The principal, for what is kept under its name.
    pub(super) fn principal(&self) -> &Principal {
        self.authenticated.principal()
    }

    /// May this keyspace be shown to the caller, where keyspaces are hidden?
    pub(super) fn sees(&self, keyspace: &str) -> bool {
        !self.context.config.hide_schema || self.grants.reaches_keyspace(keyspace)
    }

    /// The event that [`Wait::Record`] asked room for was recorded.
    pub(super) fn recorded(&mut self, verdict: audit::Verdict, reference: Option<String>) {
        self.tried.recorded = Some((verdict, reference));
    }

    /// The fast lane of EXECUTE: the permit that this session holds for the id, if it was given under all that
    /// is in force now. `None`: to be judged.
    #[inline]
    pub(super) fn remembered(&self, header: &Header, body: &[u8]) -> Option<Permit> {
        let is_plain = header.version == self.version.request_byte()
            && header.opcode == Opcode::Execute.byte()
            && header.flags.0 == 0;
        if !is_plain || self.stale || self.context.audit.wants_data() {
            return None;
        }
        let id = Execute::parse(self.version, body).ok()?.id;
        let (permit, counted) = self.permits.get(<&[u8; 16]>::try_from(id).ok()?, self.stamp)?;
        self.place.handle.requests.fetch_add(1, Ordering::Relaxed);
        self.context.metrics.requests.count(Counted::Execute, counted, Count::Permitted);
        Some(permit)
    }

    /// Judges one whole envelope. Its stream id was checked, its length too.
    #[inline]
    pub(super) fn judge(&mut self, header: &Header, body: &[u8]) -> Verdict {
        let stream = header.stream;
        let refuse = |text: &str| Verdict::Answer(protocol_error(self.version, stream, text));
        let opcode = match opcode(header) {
            Ok(opcode) => opcode,
            Err(text) => return refuse(&text),
        };
        if header.flags.has(Flags::COMPRESSED) {
            return refuse("Received a compressed frame, but no compression was agreed on");
        }
        let message = match request::message(self.version, header.flags, body) {
            Ok(message) => message,
            Err(error) => return refuse(&error.to_string()),
        };
        self.place.handle.requests.fetch_add(1, Ordering::Relaxed);
        let judged = match opcode {
            Opcode::Execute => self.execute(stream, message),
            Opcode::Query => self.query(stream, message),
            Opcode::Prepare => self.prepare(stream, message),
            Opcode::Batch => self.batch(stream, message),
            Opcode::Options => request::options(message).map(|()| {
                let cql_version = self.context.upstream.cql_version();
                Verdict::Answer(response::supported(self.version, stream, &cql_version))
            }),
            Opcode::Register => Register::parse(self.version, message)
                .map(|register| Verdict::Register(register, response::ready(self.version, stream))),
            Opcode::Startup => Err(WireError::Invalid(
                "Unexpected message STARTUP, the connection is already initialized".into(),
            )),
            // A node would log the connection in as somebody else.
            other => Err(WireError::Invalid(format!(
                "Unexpected message {}, the connection is already authenticated",
                other.as_str()
            ))),
        };
        judged
            .unwrap_or_else(|error| Verdict::Answer(protocol_error(self.version, stream, &error.to_string())))
    }

    #[inline]
    fn execute(&mut self, stream: i16, message: &[u8]) -> Result<Verdict, WireError> {
        let execute = Execute::parse(self.version, message)?;
        let Ok(id) = <[u8; 16]>::try_from(execute.id) else {
            return Ok(Verdict::Answer(response::unprepared(self.version, stream, execute.id)));
        };
        match self.known(&id) {
            Ok(classified) => {
                let from = From { stream, opcode: Counted::Execute, options: Some(execute.options) };
                let verdict = self.statement(&classified, &from);
                if let Verdict::Forward { permit, awaited: Awaited::Plain, .. } = verdict
                    && classified.is_data()
                    // Whose trace it is, or which keyspace is shown, depends on the values.
                    && classified.route == Route::Node
                    && !permit.is_observed()
                {
                    self.permits.hold(id, self.stamp, permit, classified.counted());
                }
                Ok(verdict)
            }
            Err(Unknown::Find) => Ok(Verdict::Wait(Wait::Find(id))),
            Err(Unknown::Nobody) => {
                self.context.metrics.requests.count(
                    Counted::Execute,
                    CountedStatement::None,
                    Count::Answered,
                );
                Ok(Verdict::Answer(response::unprepared(self.version, stream, &id)))
            }
        }
    }

    /// What a prepared id means under the schema of now.
    fn known(&mut self, id: &[u8; 16]) -> Result<Arc<Classified>, Unknown> {
        if let Some(classified) = self.prepared.get_mut(id) {
            if classified.schema != self.schema.generation() {
                let (text, keyspace) = (&classified.text, classified.keyspace.as_deref());
                *classified = self.context.statements.classify(text, keyspace, &self.schema);
            }
            return Ok(Arc::clone(classified));
        }
        match self.context.upstream.prepared().get(id) {
            Some(prepared) => Ok(self.keep(&prepared)),
            None if self.tried.ids.contains(id) || self.tried.ids.len() >= TRIES => Err(Unknown::Nobody),
            None => {
                self.tried.ids.push(*id);
                Err(Unknown::Find)
            }
        }
    }

    /// Keeps a prepared statement as one of this session's own.
    pub(super) fn keep(&mut self, prepared: &Prepared) -> Arc<Classified> {
        let classified =
            self.context.statements.classify(&prepared.text, prepared.keyspace.as_deref(), &self.schema);
        let size = classified.text.len();
        if self.prepared.len() >= limits::SESSION_PREPARED
            || self.prepared_bytes + size > limits::SESSION_PREPARED_BYTES
        {
            // What is still used comes back from the process's own map at its next EXECUTE.
            self.prepared.clear();
            self.permits.clear();
            self.prepared_bytes = 0;
        }
        self.permits.forget(&prepared.id);
        if self.prepared.insert(prepared.id, Arc::clone(&classified)).is_none() {
            self.prepared_bytes += size;
        }
        classified
    }

    fn query(&mut self, stream: i16, message: &[u8]) -> Result<Verdict, WireError> {
        let query = Query::parse(self.version, message)?;
        let keyspace = query.options.keyspace.or(self.keyspace.as_deref());
        let classified = self.context.statements.classify(query.text, keyspace, &self.schema);
        let from = From { stream, opcode: Counted::Query, options: Some(query.options) };
        Ok(self.statement(&classified, &from))
    }

    fn prepare(&mut self, stream: i16, message: &[u8]) -> Result<Verdict, WireError> {
        let text = request::prepare(message)?;
        let classified = self.context.statements.classify(text, self.keyspace.as_deref(), &self.schema);
        let from = From { stream, opcode: Counted::Prepare, options: None };
        Ok(self.statement(&classified, &from))
    }

    fn batch(&mut self, stream: i16, message: &[u8]) -> Result<Verdict, WireError> {
        let batch = Batch::parse(self.version, message)?;
        let most = self.context.statements.limits().batch_children;
        if batch.len() > most {
            let text = format!(
                "A batch of {} statements exceeds the limit of {most} (limits.batch_children)",
                batch.len()
            );
            return Ok(Verdict::Answer(response::error(self.version, stream, ErrorCode::Invalid, &text)));
        }
        let keyspace: Option<Arc<str>> = match batch.keyspace {
            Some(keyspace) => Some(keyspace.into()),
            None => self.keyspace.clone(),
        };
        let mut children = Vec::with_capacity(batch.len());
        for child in batch.children() {
            let classified = match child {
                Child::Text(text) => {
                    self.context.statements.classify(text, keyspace.as_deref(), &self.schema)
                }
                Child::Prepared(bytes) => match <[u8; 16]>::try_from(bytes).map(|id| (id, self.known(&id))) {
                    Ok((_, Ok(classified))) => classified,
                    Ok((id, Err(Unknown::Find))) => return Ok(Verdict::Wait(Wait::Find(id))),
                    Ok((_, Err(Unknown::Nobody))) | Err(_) => {
                        return Ok(Verdict::Answer(response::unprepared(self.version, stream, bytes)));
                    }
                },
            };
            if !matches!(classified.outcome, Outcome::NotCql(_)) && !classified.is_batch_child() {
                let text =
                    "Invalid statement in batch: only UPDATE, INSERT and DELETE statements are allowed.";
                return Ok(Verdict::Answer(response::error(self.version, stream, ErrorCode::Invalid, text)));
            }
            children.push(self.context.statements.in_batch(classified, &self.schema));
        }
        let whole = Arc::new(Classified::batch(&children, keyspace, self.schema.generation()));
        Ok(self.statement(&whole, &From { stream, opcode: Counted::Batch, options: None }))
    }

    /// An id that a node gave was not booked for this text.
    pub(super) fn unbooked_event(&self, text: &Arc<str>, reason: String) -> Event {
        Event { text: Some(Arc::clone(text)), ..self.end_event(reason) }
    }

    /// The event of a session that the gateway ends.
    pub(super) fn end_event(&self, reason: String) -> Event {
        Event {
            cluster: Some(Arc::clone(&self.context.name)),
            session: Some(self.place.handle.id),
            client: Some(self.client),
            who: Some(Arc::clone(&self.who)),
            driver: Some(Arc::clone(&self.driver)),
            reason: Some(reason),
            ..Event::new(audit::Kind::SessionEnd, audit::Verdict::Refused)
        }
    }

    pub(super) fn token_expires(&self) -> time::OffsetDateTime {
        self.authenticated.token().expires_at
    }
}

/// Where a statement came from.
struct From<'a> {
    stream: i16,
    opcode: Counted,
    /// What came with it; `None` for PREPARE and BATCH.
    options: Option<Options<'a>>,
}

enum Unknown {
    Find,
    Nobody,
}

/// Is this principal still who it was at log-in? A service is; a person must be there, be active, and be
/// what the token named.
fn check_still_known(authenticated: &Authenticated, directory: &State) -> Result<(), Revoked> {
    if authenticated.still_holds(directory) { Ok(()) } else { Err(Revoked) }
}
