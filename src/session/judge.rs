//! The judge of one session: what each request is, and whether this principal may make it, now.
//!
//! In: whole envelopes of the client. Out: a [`Verdict`] each. It holds what verdicts depend on (grants,
//! schema, keyspace in force) and takes over newer ones only between two envelopes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cqlgate_protocol::cql::{Kind, ParseError, Refusal};
use cqlgate_protocol::wire::request::{self, Batch, Child, Execute, Options, Query, Register};
use cqlgate_protocol::wire::{ErrorCode, Flags, Header, Opcode, Version, WireError, response};

use super::Context;
use super::handshake::{opcode, protocol_error};
use super::id_hash::IdHash;
use super::inflight::{Kind as Awaited, Preparing};
use super::local::{self, LocalTable};
use super::registry::Place;
use super::statements::{Classified, Outcome, Route};
use crate::audit::{self, Event, Who};
use crate::auth::Authenticated;
use crate::config::limits;
use crate::directory::State;
use crate::metrics::{Opcode as Counted, Statement as CountedStatement, Verdict as Count};
use crate::policy::{self, Decision, Denial, Grants, Permit, RuleId};
use crate::upstream::{Prepared, SchemaSnapshot};

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
    /// Is there such a table?
    LookUp { keyspace: String, table: String },
    /// What does this prepared id mean?
    Find([u8; 16]),
    /// Room in the audit queue.
    Record(Box<Event>),
}

/// Somebody is no longer who they were at log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revoked;

/// What verdicts were made under; a verdict under another stamp is no verdict any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    revision: u64,
    policy: u64,
    schema: u64,
}

/// A prepared statement as this session uses it.
struct Slot {
    classified: Arc<Classified>,
    /// The verdict, while its stamp is the session's: the fast lane of EXECUTE.
    permitted: Option<(Stamp, Permit)>,
}

/// What was found out for the envelope that is being judged, so that nothing is asked twice.
#[derive(Default)]
struct Tried {
    names: Vec<(String, String)>,
    ids: Vec<[u8; 16]>,
    /// The event that waited for room has been recorded, under this reference.
    recorded: Option<(audit::Verdict, Option<String>)>,
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
    prepared: HashMap<[u8; 16], Slot, IdHash>,
    /// Bytes of the texts in it.
    prepared_bytes: usize,
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
        if !self.tried.names.is_empty() || !self.tried.ids.is_empty() || self.tried.recorded.is_some() {
            self.tried = Tried::default();
        }
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
        let slot = self.prepared.get(<&[u8; 16]>::try_from(id).ok()?)?;
        let (_, permit) = slot.permitted.filter(|(stamp, _)| *stamp == self.stamp)?;
        self.place.handle.requests.fetch_add(1, Ordering::Relaxed);
        let counted = slot.classified.counted();
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
                    && !permit.is_observed()
                    && let Some(slot) = self.prepared.get_mut(&id)
                {
                    slot.permitted = Some((self.stamp, permit));
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
        if let Some(slot) = self.prepared.get_mut(id) {
            if slot.classified.schema != self.schema.generation() {
                let (text, keyspace) = (&slot.classified.text, slot.classified.keyspace.as_deref());
                slot.classified = self.context.statements.classify(text, keyspace, &self.schema);
                slot.permitted = None;
            }
            return Ok(Arc::clone(&slot.classified));
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
            self.prepared_bytes = 0;
        }
        let slot = Slot { classified: Arc::clone(&classified), permitted: None };
        if self.prepared.insert(prepared.id, slot).is_none() {
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
            children.push(classified);
        }
        let whole = Arc::new(Classified::batch(&children, keyspace, self.schema.generation()));
        Ok(self.statement(&whole, &From { stream, opcode: Counted::Batch, options: None }))
    }

    /// Judges a classified statement.
    fn statement(&mut self, classified: &Arc<Classified>, from: &From<'_>) -> Verdict {
        let (needs, named) = match &classified.outcome {
            Outcome::Needs { needs, named } => (needs, named),
            Outcome::NotCql(error) => {
                return self.refuse(classified, from, error.code(), &error.to_string(), None);
            }
            Outcome::Refused(refusal) => {
                if let Some((keyspace, table)) = unknown_name(refusal) {
                    let name = (keyspace.to_owned(), table.to_owned());
                    if !self.tried.names.contains(&name) && self.tried.names.len() < TRIES {
                        self.tried.names.push(name);
                        return Verdict::Wait(Wait::LookUp {
                            keyspace: keyspace.to_owned(),
                            table: table.to_owned(),
                        });
                    }
                }
                return self.refuse(classified, from, refusal.code(), &refusal.to_string(), None);
            }
        };
        if let Route::Local(table) = classified.route {
            self.count(classified, from, Count::Answered);
            return Verdict::Answer(self.local(table, classified, from));
        }
        if self.stale {
            let text = "The gateway's view of the schema is stale: it cannot reach the cluster";
            return Verdict::Answer(response::error(self.version, from.stream, ErrorCode::Overloaded, text));
        }
        match policy::decide_naming(&self.grants, needs, named) {
            Decision::Permitted(permit) => self.permitted(classified, from, permit, None),
            Decision::Observed(permit, denial) => self.permitted(classified, from, permit, Some(denial)),
            Decision::Refused(denial) => {
                let text = denial.message(self.who.name.as_ref(), needs.iter().chain(named));
                self.refuse(classified, from, ErrorCode::Unauthorized.code(), &text, Some(denial))
            }
        }
    }

    fn permitted(
        &mut self,
        classified: &Arc<Classified>,
        from: &From<'_>,
        permit: Permit,
        observed: Option<Denial>,
    ) -> Verdict {
        let executes = from.opcode != Counted::Prepare;
        let verdict = if observed.is_some() { audit::Verdict::Observed } else { audit::Verdict::Permitted };
        let is_line = match classified.route {
            _ if observed.is_some() => true,
            _ if !executes => false,
            Route::Ddl => true,
            _ if classified.is_data() => self.context.audit.wants_data(),
            _ => self.context.audit.wants_data() || classified.is_definition(),
        };
        if is_line {
            let rule = observed.as_ref().map_or_else(|| permit.rule(), |denial| denial.rule);
            let reason = observed.map(|_| "policy refuses, the cluster only observes".to_owned());
            let event = self.event(classified, verdict, rule, reason, None);
            if let Err(wait) = self.record(event) {
                return wait;
            }
        }
        self.count(
            classified,
            from,
            if verdict == audit::Verdict::Observed { Count::Observed } else { Count::Permitted },
        );
        if !executes {
            let preparing =
                Preparing { text: Arc::clone(&classified.text), keyspace: classified.keyspace.clone() };
            return Verdict::Forward { permit, awaited: Awaited::Prepare, preparing: Some(preparing) };
        }
        let awaited = match classified.route {
            Route::Use => Awaited::Use,
            Route::Ddl => Awaited::Ddl,
            Route::Node | Route::Local(_) => Awaited::Plain,
        };
        Verdict::Forward { permit, awaited, preparing: None }
    }

    /// Refuses a statement: an event, a count, an ERROR on its stream. What is merely invalid (an unknown
    /// name) is no refusal and makes no event.
    fn refuse(
        &mut self,
        classified: &Arc<Classified>,
        from: &From<'_>,
        code: u32,
        text: &str,
        denial: Option<Denial>,
    ) -> Verdict {
        if code == ErrorCode::Invalid.code() && !matches!(classified.outcome, Outcome::NotCql(_)) {
            self.count(classified, from, Count::Failed);
            return Verdict::Answer(response::raw_error(self.version, from.stream, code, text));
        }
        let reference = match &self.tried.recorded {
            Some((audit::Verdict::Refused, Some(reference))) => reference.clone(),
            _ => audit::reference(),
        };
        let rule = denial.and_then(|denial| denial.rule);
        let reason = match rule {
            Some(_) => format!("{text} (a DENY refuses it)"),
            None => text.to_owned(),
        };
        let event =
            self.event(classified, audit::Verdict::Refused, rule, Some(reason), Some(reference.clone()));
        if let Err(wait) = self.record(event) {
            return wait;
        }
        self.place.handle.refused.fetch_add(1, Ordering::Relaxed);
        self.count(classified, from, Count::Refused);
        self.context.metrics.refusal(refusal_kind(classified));
        let text = format!("{text} [ref {reference}]");
        Verdict::Answer(response::raw_error(self.version, from.stream, code, &text))
    }

    fn count(&self, classified: &Classified, from: &From<'_>, verdict: Count) {
        self.context.metrics.requests.count(from.opcode, classified.counted(), verdict);
    }

    fn local(&self, table: LocalTable, classified: &Classified, from: &From<'_>) -> Vec<u8> {
        let row = self.context.upstream.local_row();
        let view = local::View { row: &row, advertised: self.advertised };
        if let Some(options) = &from.options {
            return local::answer(table, &classified.text, &view, options, self.version, from.stream);
        }
        let (answer, id) = local::prepare(table, classified, &view, self.version, from.stream);
        if let Some(id) = id {
            // Booked like any other; an id that stands for another text already is refused there.
            let ids = self.context.upstream.prepared();
            if let Err(error) = ids.book(id, &classified.text, classified.keyspace.as_ref()) {
                return response::error(self.version, from.stream, ErrorCode::Invalid, &error.to_string());
            }
        }
        answer
    }

    fn record(&mut self, event: Event) -> Result<(), Verdict> {
        if self.tried.recorded.as_ref().is_some_and(|(verdict, _)| *verdict == event.verdict) {
            return Ok(());
        }
        self.context.audit.try_record(event).map_err(|event| Verdict::Wait(Wait::Record(event)))
    }

    fn event(
        &self,
        classified: &Classified,
        verdict: audit::Verdict,
        rule: Option<RuleId>,
        reason: Option<String>,
        reference: Option<String>,
    ) -> Event {
        let explained = rule.and_then(|rule| self.grants.explain(rule));
        let resources = match &classified.outcome {
            Outcome::Needs { needs, .. } => {
                needs.iter().map(|need| format!("{} {}", need.permission, need.resource)).collect()
            }
            _ => Vec::new(),
        };
        Event {
            cluster: Some(Arc::clone(&self.context.name)),
            session: Some(self.place.handle.id),
            client: Some(self.client),
            who: Some(Arc::clone(&self.who)),
            driver: Some(Arc::clone(&self.driver)),
            statement: classified.kind.map(Kind::as_str),
            text: Some(Arc::clone(&classified.text)),
            keyspace: classified.keyspace.clone(),
            resources,
            reason,
            rule: explained.as_ref().map(|rule| format!("{}:{}", rule.file, rule.line)),
            group: explained.and_then(|rule| rule.group),
            reference,
            ..Event::new(classified.event_kind(), verdict)
        }
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

/// The name that the schema did not know, the table empty if it is the keyspace.
fn unknown_name(refusal: &Refusal) -> Option<(&str, &str)> {
    match refusal {
        Refusal::UnknownKeyspace(keyspace) => Some((keyspace, "")),
        Refusal::UnknownTable { keyspace, table } => Some((keyspace, table)),
        _ => None,
    }
}

fn refusal_kind(classified: &Classified) -> &'static str {
    match &classified.outcome {
        Outcome::NotCql(ParseError::Limit { .. }) => "limit",
        Outcome::NotCql(ParseError::Syntax(_)) => "syntax",
        Outcome::Refused(_) => "not_judged",
        Outcome::Needs { .. } => "policy",
    }
}

/// Is this principal still who it was at log-in? A service is; a person must be there, be active, and be
/// what the token named.
fn check_still_known(authenticated: &Authenticated, directory: &State) -> Result<(), Revoked> {
    if authenticated.still_holds(directory) { Ok(()) } else { Err(Revoked) }
}
