//! The verdict on a classified statement: looked up, decided, shown or refused, counted and recorded.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cqlgate_protocol::cql::{Kind, Limits, Need, ParseError, Refusal, Unseen};
use cqlgate_protocol::wire::{ErrorCode, response};

use super::shown::Shows;
use super::{From, Judge, TRIES, Verdict, Wait};
use crate::audit::{self, Event};
use crate::metrics::{Opcode as Counted, Verdict as Count};
use crate::policy::{self, Decision, Denial, Permit, RuleId};
use crate::session::inflight::{Kind as Awaited, Preparing};
use crate::session::missing;
use crate::session::statements::{Classified, Outcome, Route};

impl Judge<'_> {
    /// Judges a classified statement.
    pub(super) fn statement(&mut self, classified: &Arc<Classified>, from: &From<'_>) -> Verdict {
        let classified = match self.known_now(classified) {
            Ok(classified) => classified,
            Err(wait) => return Verdict::Wait(wait),
        };
        let (needs, named, then) = match &classified.outcome {
            Outcome::Needs { unseen: Some(unseen), .. } if self.may_look_up(unseen) => {
                return Verdict::Wait(self.look_up(unseen.clone()));
            }
            Outcome::Needs { needs, named, refusal, .. } => (needs, named, refusal),
            Outcome::NotCql(error) => {
                return self.refuse(&classified, from, error.code(), &error.to_string(), None);
            }
            Outcome::Refused(refusal) => return self.refused(&classified, from, refusal),
        };
        if let Route::Local(table) = classified.route {
            self.count(&classified, from, Count::Answered);
            return Verdict::Answer(self.local(table, &classified, from));
        }
        if self.stale {
            let text = "The gateway's view of the schema is stale: it cannot reach the cluster";
            return Verdict::Answer(response::error(self.version, from.stream, ErrorCode::Overloaded, text));
        }
        if needs.is_empty()
            && let Some((text, denial)) = self.not_theirs(&classified)
        {
            return self.refuse(&classified, from, ErrorCode::Unauthorized.code(), &text, Some(denial));
        }
        let (permit, observed) = match policy::decide_naming(&self.grants, needs, named) {
            Decision::Permitted(permit) => (permit, None),
            Decision::Observed(permit, denial) => (permit, Some(denial)),
            Decision::Refused(denial) => return self.denied(&classified, from, needs, named, denial),
        };
        if let Some(refusal) = then {
            return self.refused(&classified, from, refusal);
        }
        if needs.is_empty()
            && let Outcome::Needs { unseen: Some(_), .. } = &classified.outcome
        {
            return self.missing(&classified, from, permit);
        }
        match self.shows(&classified, from) {
            Shows::Forward(awaited) => self.permitted(&classified, from, permit, observed, awaited),
            Shows::Instead(verdict) => verdict,
            Shows::Refused(code, text) => self.refuse(&classified, from, code.code(), &text, None),
        }
    }

    /// The statement as it is to be judged: under the session's keyspace if its names take that, and with what
    /// had to be asked of the cluster.
    fn known_now(&mut self, classified: &Arc<Classified>) -> Result<Arc<Classified>, Wait> {
        let mut classified = Arc::clone(classified);
        let statements = &self.context.statements;
        if classified.in_session_keyspace && classified.keyspace.as_deref() != self.keyspace.as_deref() {
            classified = statements.classify(&classified.text, self.keyspace.as_deref(), &self.schema);
        }
        let asks = |outcome: &Outcome| {
            matches!(outcome, Outcome::Refused(Refusal::AskRole(_) | Refusal::AskIdentity(_)))
        };
        if !asks(&classified.outcome) {
            return Ok(classified);
        }
        let keyspace = classified.keyspace.as_deref();
        let facts = &self.tried.facts;
        classified = statements.classify_knowing(&classified.text, keyspace, &self.schema, facts);
        // What asks without end is refused: AskRole and AskIdentity say that it cannot be known.
        match &classified.outcome {
            Outcome::Refused(Refusal::AskRole(role)) if facts.len() < TRIES => Err(Wait::Role(role.clone())),
            Outcome::Refused(Refusal::AskIdentity(identity)) if facts.len() < TRIES => {
                Err(Wait::Identity(identity.clone()))
            }
            _ => Ok(classified),
        }
    }

    /// A statement that goes no further whoever asks. A name that the cache does not know is looked up once.
    fn refused(&mut self, classified: &Arc<Classified>, from: &From<'_>, refusal: &Refusal) -> Verdict {
        if let Some(unseen) = refusal.unseen() {
            if let Some((text, denial)) = self.not_theirs(classified) {
                let code = ErrorCode::Unauthorized.code();
                return self.refuse(classified, from, code, &text, Some(denial));
            }
            if self.may_look_up(&unseen) {
                return Verdict::Wait(self.look_up(unseen));
            }
        }
        self.refuse(classified, from, refusal.code(), &refusal.to_string(), None)
    }

    fn limits(&self) -> Limits {
        Limits { release: self.schema.release(), ..*self.context.statements.limits() }
    }

    /// What it names is not there, so it needs nothing. The gateway says so itself: by the time that a node acts,
    /// it may be there.
    fn missing(&mut self, classified: &Arc<Classified>, from: &From<'_>, permit: Permit) -> Verdict {
        if from.opcode == Counted::Prepare {
            return self.permitted(classified, from, permit, None, Awaited::Plain);
        }
        let reason = Some("what it names does not exist: answered here".to_owned());
        let event = self.event(classified, audit::Verdict::Permitted, permit.rule(), reason, None);
        if let Err(wait) = self.record(event) {
            return wait;
        }
        let told = missing::answer(&classified.text, classified.keyspace.as_deref(), &self.limits());
        let answer = match told {
            Some(Ok(())) => response::void(self.version, from.stream),
            Some(Err(text)) => response::error(self.version, from.stream, ErrorCode::Invalid, &text),
            None => {
                let text = "What this statement names does not exist";
                response::error(self.version, from.stream, ErrorCode::Invalid, text)
            }
        };
        self.count(classified, from, Count::Answered);
        Verdict::Answer(answer)
    }

    /// Was this name not looked up for this request yet, and not too many others?
    fn may_look_up(&self, unseen: &Unseen) -> bool {
        !self.tried.names.contains(unseen) && self.tried.names.len() < TRIES
    }

    fn look_up(&mut self, unseen: Unseen) -> Wait {
        self.tried.names.push(unseen.clone());
        Wait::LookUp(unseen)
    }

    /// What policy refuses. In Cassandra a column that does not exist is told before that.
    fn denied(
        &mut self,
        classified: &Arc<Classified>,
        from: &From<'_>,
        needs: &[Need<'static>],
        named: &[Need<'static>],
        denial: Denial,
    ) -> Verdict {
        let code = ErrorCode::Unauthorized.code();
        if let Some((text, _)) = self.not_theirs(classified) {
            return self.refuse(classified, from, code, &text, Some(denial));
        }
        if let Some(refusal) = self.unknown_column(classified) {
            return self.refused(classified, from, &refusal);
        }
        let text = denial.message(self.who.name.as_ref(), needs.iter().chain(named));
        self.refuse(classified, from, code, &text, Some(denial))
    }

    fn unknown_column(&self, classified: &Classified) -> Option<Refusal> {
        // The text of a BATCH is put together for people.
        if classified.is_frame {
            return None;
        }
        let limits = self.limits();
        let statement = cqlgate_protocol::cql::parse(&classified.text, &limits).ok()?;
        cqlgate_protocol::cql::unknown_column(&statement, classified.keyspace.as_deref(), &*self.schema)
    }

    /// With `strict_names`: the refusal of what the statement names, in the words that it would have if it
    /// were there.
    fn not_theirs(&self, classified: &Classified) -> Option<(String, Denial)> {
        if !self.context.config.strict_names {
            return None;
        }
        let name = self.who.name.as_ref();
        classified.subjects.iter().find_map(|need| {
            match policy::decide(&self.grants, std::slice::from_ref(need)) {
                Decision::Refused(denial) => Some((need.refusal(name).to_string(), denial)),
                Decision::Permitted(_) | Decision::Observed(..) => None,
            }
        })
    }

    pub(super) fn permitted(
        &mut self,
        classified: &Arc<Classified>,
        from: &From<'_>,
        permit: Permit,
        observed: Option<Denial>,
        awaited: Awaited,
    ) -> Verdict {
        let executes = from.opcode != Counted::Prepare;
        let verdict = if observed.is_some() { audit::Verdict::Observed } else { audit::Verdict::Permitted };
        let is_line = match classified.route {
            _ if observed.is_some() => true,
            _ if !executes => false,
            // Definitions and what changes roles are always worth a line.
            Route::Ddl | Route::Access => true,
            _ if classified.is_access() => true,
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
        Verdict::Forward { permit, awaited, preparing: None }
    }

    /// Refuses a statement: an event, a count, an ERROR on its stream. What is merely invalid (an unknown
    /// name) is no refusal and makes no event.
    pub(super) fn refuse(
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

    pub(super) fn count(&self, classified: &Classified, from: &From<'_>, verdict: Count) {
        self.context.metrics.requests.count(from.opcode, classified.counted(), verdict);
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
}

fn refusal_kind(classified: &Classified) -> &'static str {
    match &classified.outcome {
        Outcome::NotCql(ParseError::Limit { .. }) => "limit",
        Outcome::NotCql(ParseError::Syntax(_)) => "syntax",
        Outcome::Refused(_) => "rule",
        Outcome::Needs { .. } => "policy",
    }
}
