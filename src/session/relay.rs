//! The relay: one client, one leased connection to a node, both directions in one task.
//!
//! Each time the task wakes it does, until nothing moves any more: take over what changed (directory,
//! policy, schema), judge what has come, write the run to the node, read the client, read the node, write
//! the client. A write to the node is preceded by a look at what verdicts depend on: bytes that were
//! permitted under an older state and have not left are judged again.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Cx, Poll};

use cqlgate_protocol::wire::request::Register;
use cqlgate_protocol::wire::response::{self, Response, ResultBody, SchemaChange};
use cqlgate_protocol::wire::{ErrorCode, HEADER_LENGTH, Header, Version, WireError};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::sync::broadcast;
use tokio::time::{Instant, Sleep};

use super::Context;
use super::handshake::{Welcome, protocol_error};
use super::inbound::Inbound;
use super::inflight::{InFlight, Kind as Awaited};
use super::judge::{Judge, Revoked, Verdict};
use super::outbound::{Next, Outbound};
use super::registry::Place;
use super::run::Run;
use super::step::{self, Done, End, Step};
use crate::audit;
use crate::config::limits;
use crate::config::model::SessionEnd;
use crate::tls::ClientStream;
use crate::upstream::{Lease, LeaseError};

/// How long a client that broke the protocol may take to read why.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(5);

/// Relays until the session ends.
pub(super) async fn run(
    context: &Context,
    client: ClientStream,
    welcome: Welcome,
    peer: SocketAddr,
    place: &Place,
) -> End {
    let advertised = match context.config.advertise {
        Some(advertised) => advertised,
        None => match client.local_addr() {
            Ok(local) => local,
            Err(error) => return End::Client(error),
        },
    };
    let judge = Judge::new(context, place, welcome.who, welcome.driver, welcome.version, peer, advertised);
    let Ok(judge) = judge else { return End::Revoked };
    let mut relay = Relay::new(context, place, client, judge);
    relay.inbound.buffer = welcome.rest;
    let end = loop {
        tokio::select! {
            biased;
            // The relay looks at what changed before it does anything else.
            () = place.handle.changed() => {}
            end = std::future::poll_fn(|cx| relay.poll(cx)) => break end,
        }
    };
    relay.finish(end).await
}

/// USE is a barrier on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    /// No USE is on its way.
    Open,
    /// One waits until nothing is in flight; nothing behind it is looked at.
    WaitsForIdle,
    /// One is on its way: nothing behind it goes before its answer.
    InFlight,
}

/// What an answer that is looked into says.
enum Seen {
    Prepared(Option<[u8; 16]>),
    Keyspace(Arc<str>),
    Change(SchemaChange),
    Other,
}

impl Seen {
    fn read(header: &Header, body: &[u8]) -> Result<Self, WireError> {
        Ok(match Response::parse(header, body)? {
            Response::Result(ResultBody::Prepared { id }) => Self::Prepared(id.try_into().ok()),
            Response::Result(ResultBody::SetKeyspace(keyspace)) => Self::Keyspace(keyspace.into()),
            Response::Result(ResultBody::SchemaChange(change)) => Self::Change(change),
            _ => Self::Other,
        })
    }
}

struct Relay<'s> {
    context: &'s Context,
    place: &'s Place,
    client: ClientStream,
    node: Option<Lease>,
    leasing: Option<Step<'s, Result<Lease, LeaseError>>>,
    judge: Judge<'s>,
    inbound: Inbound,
    outbound: Outbound,
    inflight: InFlight,
    /// The envelope behind the run waits for this.
    step: Option<Step<'s, Done>>,
    /// How far a USE is.
    barrier: Barrier,
    /// A USE went over this lease: it is not as good as new any more.
    used: bool,
    /// Bytes for the node may still stand in the buffer of TLS.
    unflushed: bool,
    /// Answers that wait for the schema cache.
    held: Vec<Step<'s, (i16, Vec<u8>)>>,
    events: Option<Step<'static, (broadcast::Receiver<SchemaChange>, Option<SchemaChange>)>>,
    /// Ends the session when what it says is written.
    farewell: Option<(End, Instant)>,
    /// Until when the session lives, and why it ends then.
    life: (Instant, bool),
    /// Since when what is in flight is only waited for.
    draining: Option<Instant>,
    /// A write to the client or the node has made no progress since.
    stalled: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<'s> Relay<'s> {
    fn new(context: &'s Context, place: &'s Place, client: ClientStream, judge: Judge<'s>) -> Self {
        let longest = limits::SESSION_LIFE;
        let (life, is_token) = match context.config.session_end {
            SessionEnd::Directory => (longest, false),
            SessionEnd::Token => {
                let left = judge.token_expires() - time::OffsetDateTime::now_utc();
                let left = std::time::Duration::try_from(left).unwrap_or_default();
                // A little early, each a little differently: a pool must not come back all at once.
                let early = left.mul_f64(0.1 * random_fraction()).min(limits::EXPIRY_JITTER);
                (longest.min(left.saturating_sub(early)), left < longest)
            }
        };
        let ends = Instant::now() + life;
        Self {
            context,
            place,
            client,
            node: None,
            leasing: None,
            judge,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            inflight: InFlight::default(),
            step: None,
            barrier: Barrier::Open,
            used: false,
            unflushed: false,
            held: Vec::new(),
            events: None,
            farewell: None,
            life: (ends, is_token),
            draining: None,
            stalled: None,
            timer: Box::pin(tokio::time::sleep_until(ends)),
        }
    }

    fn version(&self) -> Version {
        self.judge.version
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<End> {
        match self.pump(cx) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    /// Moves what can be moved; `Ok`: everything waits for something that will wake the task.
    fn pump(&mut self, cx: &mut Cx<'_>) -> Result<(), End> {
        self.judge.look();
        loop {
            self.take_over()?;
            let mut moved = self.poll_steps(cx)?;
            moved |= self.judge_buffered();
            moved |= self.poll_forward(cx)?;
            moved |= self.poll_read_client(cx)?;
            moved |= self.poll_read_node(cx)?;
            moved |= self.poll_answer(cx)?;
            moved |= self.poll_timer(cx)?;
            if !moved {
                return Ok(());
            }
        }
    }

    // === What verdicts depend on has changed ===

    fn take_over(&mut self) -> Result<(), End> {
        if self.judge.is_current() {
            return Ok(());
        }
        // Whole envelopes that have left are done; whole ones that have not are judged again; one that
        // has left in part cannot be called back, so it has to be permitted still.
        let (end, written) = (self.inbound.run.len(), self.inbound.run.written());
        let (mut at, mut started) = (0, None);
        while at < end {
            let Some(envelope) = self.inbound.envelope(at) else { break };
            let (stream, length) = (envelope.header.stream, envelope.length);
            if at < written && written < at + length {
                started = Some(at);
            } else if at >= written {
                if self.inflight.kind(stream) == Some(Awaited::Use) {
                    self.barrier = Barrier::Open;
                }
                self.inflight.end(stream);
            }
            at += length;
        }
        let gone = started.unwrap_or(written);
        self.inbound.run.clear();
        self.inbound.remove(0, gone);
        let revision = self.judge.refresh().map_err(|Revoked| End::Revoked)?;
        if started.is_some() {
            let judged = match self.inbound.envelope(0) {
                Some(envelope) => match self.judge.judge(&envelope.header, envelope.body) {
                    Verdict::Forward { permit, .. } => Some((envelope.length, permit)),
                    _ => None,
                },
                None => None,
            };
            let Some((length, permit)) = judged else { return Err(End::Revoked) };
            self.inbound.run = Run::resume(length, written - gone, permit);
            self.judge.consumed();
        }
        self.place.handle.acknowledge(revision);
        Ok(())
    }

    // === Waiting for something outside ===

    fn poll_steps(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        let mut moved = false;
        if let Some(step) = &mut self.step
            && let Poll::Ready(done) = step.as_mut().poll(cx)
        {
            self.step = None;
            moved = true;
            match done {
                Done::LookedUp => {}
                Done::Recorded(verdict, reference) => self.judge.recorded(verdict, reference),
                Done::Budget(permit, whole) => self.inbound.set_budget(permit, whole),
                Done::Closed => return Err(End::Shutdown),
            }
        }
        if let Some(leasing) = &mut self.leasing
            && let Poll::Ready(lease) = leasing.as_mut().poll(cx)
        {
            self.leasing = None;
            moved = true;
            match lease {
                Ok(lease) => self.node = Some(lease),
                Err(error) => {
                    tracing::warn!(session = self.place.handle.id, %error, "no lease");
                    return Err(End::NoLease);
                }
            }
        }
        let mut released = Vec::new();
        self.held.retain_mut(|held| match held.as_mut().poll(cx) {
            Poll::Ready(answer) => {
                released.push(answer);
                false
            }
            Poll::Pending => true,
        });
        for (stream, answer) in released {
            self.inflight.end(stream);
            self.outbound.answer(&answer);
            moved = true;
        }
        if let Some(event) = &mut self.events
            && let Poll::Ready((events, change)) = event.as_mut().poll(cx)
        {
            self.events = Some(step::event(events));
            if let Some(change) = change
                && !self.outbound.is_full()
            {
                self.outbound.answer(&response::schema_change_event(self.judge.version, &change));
            }
            moved = true;
        }
        Ok(moved)
    }

    // === Requests ===

    /// Judges whole envelopes behind the run until one has to wait.
    fn judge_buffered(&mut self) -> bool {
        let mut moved = false;
        let idle = self.inflight.is_empty() && self.inbound.run.is_empty();
        if self.barrier == Barrier::WaitsForIdle && idle {
            self.barrier = Barrier::Open;
        }
        while self.may_judge() && !self.inbound.discarding() {
            let at = self.inbound.run.len();
            let Some(header) = self.inbound.buffer.get(at..).and_then(Header::parse) else { break };
            if !self.check_framing(&header, at) {
                moved = true;
                continue;
            }
            let Some(envelope) = self.inbound.envelope(at) else {
                let whole = HEADER_LENGTH + header.body_length(limits::ENVELOPE).unwrap_or_default();
                if !self.inbound.has_budget(whole) {
                    self.step = Some(step::budget(self.context, whole));
                    moved = true;
                }
                break;
            };
            if let Err(error) = self.inflight.check(header.stream) {
                let answer = protocol_error(self.judge.version, header.stream, &error.to_string());
                self.say_farewell(&answer, error.to_string());
                return true;
            }
            let length = envelope.length;
            moved = true;
            match self.judge.judge(&envelope.header, envelope.body) {
                Verdict::Forward { awaited: Awaited::Use, .. } if !self.inflight.is_empty() => {
                    // Nothing of the session may be in flight when the keyspace changes. Judged again then,
                    // but recorded once.
                    self.judge.recorded(audit::Verdict::Permitted, None);
                    self.barrier = Barrier::WaitsForIdle;
                    break;
                }
                Verdict::Forward { permit, awaited, preparing } => {
                    match preparing {
                        Some(preparing) => self.inflight.begin_prepare(header.stream, preparing),
                        None => self.inflight.begin(header.stream, awaited),
                    }
                    if awaited == Awaited::Use {
                        self.barrier = Barrier::InFlight;
                    }
                    self.inbound.run.push(length, permit);
                    self.judge.consumed();
                }
                Verdict::Answer(answer) => self.answer_request(at, length, &answer),
                Verdict::Register(register, answer) => {
                    self.register(register);
                    self.answer_request(at, length, &answer);
                }
                Verdict::Wait(wait) => self.step = Some(step::wait(self.context, wait)),
            }
        }
        moved
    }

    fn may_judge(&self) -> bool {
        self.step.is_none()
            && self.barrier == Barrier::Open
            && self.farewell.is_none()
            && self.draining.is_none()
            && !self.outbound.is_full()
            && self.inflight.len() < limits::IN_FLIGHT
    }

    fn answer_request(&mut self, at: usize, length: usize, answer: &[u8]) {
        self.outbound.answer(answer);
        self.inbound.remove(at, length);
        self.judge.consumed();
    }

    /// Can the bytes at `at` be read as an envelope of this connection? False: they were dealt with.
    fn check_framing(&mut self, header: &Header, at: usize) -> bool {
        let version = self.version();
        if header.known_version() != Some(version) {
            let got = match header.known_version() {
                Some(other) => other.to_string(),
                None => (header.version & 0x7F).to_string(),
            };
            let text = format!(
                "Invalid message version. Got {got} but previous messages on this connection had version {version}"
            );
            let answer = protocol_error(version, header.stream, &text);
            match header.body_length(limits::ENVELOPE) {
                Some(length) if header.known_version().is_some() => {
                    self.outbound.answer(&answer);
                    self.inbound.discard(at, HEADER_LENGTH + length);
                }
                // Its header may be of another length: nothing behind it can be trusted.
                _ => self.say_farewell(&answer, text),
            }
            return false;
        }
        if header.body_length(limits::ENVELOPE).is_some() {
            return true;
        }
        if let Ok(length) = usize::try_from(header.length) {
            let most = limits::ENVELOPE;
            let text = format!("Request is too big: length {length} exceeds maximum allowed length {most}.");
            self.outbound.answer(&response::error(version, header.stream, ErrorCode::Invalid, &text));
            self.inbound.discard(at, HEADER_LENGTH + length);
        } else {
            let text = format!("Invalid value for envelope header body length field: {}", header.length);
            self.say_farewell(&protocol_error(version, header.stream, &text), text);
        }
        false
    }

    fn say_farewell(&mut self, answer: &[u8], reason: String) {
        self.outbound.answer(answer);
        self.farewell = Some((End::Protocol(reason), Instant::now() + FAREWELL));
    }

    fn register(&mut self, register: Register) {
        // Nodes come and go behind the gateway; its own address does not, so there is nothing to tell of
        // topology and status.
        if register.schema_change && self.events.is_none() {
            self.events = Some(step::event(self.context.upstream.schema_events()));
        }
    }

    /// Writes the run to the node, over a lease that is taken now if there is none.
    fn poll_forward(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        if self.inbound.run.is_empty() {
            return self.poll_flush_node(cx).map(|()| false);
        }
        let Some(node) = &mut self.node else {
            if self.leasing.is_some() {
                return Ok(false);
            }
            let lease = self.context.upstream.lease(self.judge.version);
            self.leasing = Some(Box::pin(async move {
                match tokio::time::timeout(limits::LEASE, lease).await {
                    Ok(lease) => lease,
                    Err(_) => Err(LeaseError::TimedOut),
                }
            }));
            return Ok(true);
        };
        // The last look before the bytes leave.
        if !self.judge.is_current() {
            return Ok(true);
        }
        let bytes = self.inbound.run.unwritten(&self.inbound.buffer);
        match Pin::new(node.stream()).poll_write(cx, bytes) {
            Poll::Ready(Ok(0)) => Err(End::NodeClosed),
            Poll::Ready(Ok(n)) => {
                self.stalled = None;
                self.inbound.wrote(n);
                self.unflushed = true;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(End::Node(error)),
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
                Ok(false)
            }
        }
    }

    /// What was written may still stand in the buffer of TLS.
    fn poll_flush_node(&mut self, cx: &mut Cx<'_>) -> Result<(), End> {
        if self.unflushed
            && let Some(node) = &mut self.node
        {
            self.unflushed = Pin::new(node.stream()).poll_flush(cx).map_err(End::Node)?.is_pending();
        }
        Ok(())
    }

    fn poll_read_client(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        if self.farewell.is_some() || self.draining.is_some() || !self.inbound.has_room() {
            return Ok(false);
        }
        self.inbound.reserve();
        // Cancel-safe: what was read is in the buffer, what was not is still in the socket.
        let read = pin!(self.client.read_buf(&mut self.inbound.buffer));
        match read.poll(cx) {
            Poll::Ready(Ok(0)) => Err(End::ClientClosed),
            Poll::Ready(Ok(_)) => Ok(true),
            Poll::Ready(Err(error)) => Err(End::Client(error)),
            Poll::Pending => Ok(false),
        }
    }

    // === Answers ===

    fn poll_read_node(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        let Some(node) = &mut self.node else { return Ok(false) };
        if !self.outbound.has_room() {
            return Ok(false);
        }
        self.outbound.reserve();
        let read = pin!(node.stream().read_buf(&mut self.outbound.buffer));
        match read.poll(cx) {
            Poll::Ready(Ok(0)) => Err(End::NodeClosed),
            Poll::Ready(Ok(_)) => {
                self.hop()?;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(End::Node(error)),
            Poll::Pending => Ok(false),
        }
    }

    /// From header to header: what passes is not looked into.
    fn hop(&mut self) -> Result<(), End> {
        while let Next::Envelope(header) = self.outbound.next() {
            let wrong = |what: &str| End::NodeProtocol(format!("{what}: {header:?}"));
            let body = usize::try_from(header.length).map_err(|_| wrong("negative length"))?;
            if header.version != self.version().response_byte() {
                return Err(wrong("another version"));
            }
            match self.inflight.kind(header.stream) {
                None => return Err(wrong("an answer to no request")),
                Some(Awaited::Plain) => {
                    self.inflight.end(header.stream);
                    self.outbound.let_pass(body);
                }
                Some(_) if body > limits::ENVELOPE => return Err(wrong("too long to be seen whole")),
                Some(awaited) => {
                    if !self.inspect(awaited, &header, body)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks into an answer that has to be seen whole. False: it is not whole yet.
    fn inspect(&mut self, awaited: Awaited, header: &Header, length: usize) -> Result<bool, End> {
        let Some(body) = self.outbound.whole(length) else { return Ok(false) };
        let seen =
            Seen::read(header, body).map_err(|error| End::NodeProtocol(format!("{error}: {header:?}")))?;
        let stream = header.stream;
        match (awaited, seen) {
            (Awaited::Prepare, Seen::Prepared(id)) => self.prepared(stream, length, id)?,
            (Awaited::Use, seen) => {
                if let Seen::Keyspace(keyspace) = seen {
                    self.judge.keyspace = Some(keyspace);
                }
                self.used = true;
                self.barrier = Barrier::Open;
                self.inflight.end(stream);
                self.outbound.let_pass(length);
            }
            (Awaited::Ddl, Seen::Change(change)) => {
                let answer = self.outbound.take(length);
                self.held.push(step::hold(self.context, change, stream, answer));
            }
            _ => {
                self.inflight.end(stream);
                self.outbound.let_pass(length);
            }
        }
        Ok(true)
    }

    /// Books a prepared id; one that cannot be vouched for does not reach the client.
    fn prepared(&mut self, stream: i16, length: usize, id: Option<[u8; 16]>) -> Result<(), End> {
        let Some(asked) = self.inflight.end(stream) else {
            return Err(End::NodeProtocol("PREPARED for no PREPARE".into()));
        };
        let ids = self.context.upstream.prepared();
        let booked = match id {
            Some(id) => ids.book(id, &asked.text, asked.keyspace.as_ref()).map_err(|e| e.to_string()),
            None => Err("its id is not an MD5".into()),
        };
        match booked {
            Ok(prepared) => {
                self.judge.keep(&prepared);
                self.outbound.let_pass(length);
            }
            Err(reason) => {
                tracing::error!(session = self.place.handle.id, %reason, "a prepared id was not booked");
                self.context.metrics.refusal("prepared_id");
                self.outbound.take(length);
                let text = format!("The gateway cannot vouch for this prepared statement: {reason}");
                self.outbound.answer(&response::error(self.judge.version, stream, ErrorCode::Invalid, &text));
            }
        }
        Ok(())
    }

    fn poll_answer(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        let moved = match self.outbound.poll_write(cx, &mut self.client) {
            Poll::Ready(Ok(moved)) => {
                if moved {
                    self.stalled = None;
                    // An answer that waited behind others may be whole in the buffer.
                    self.hop()?;
                }
                moved
            }
            Poll::Ready(Err(error)) => return Err(End::Client(error)),
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
                false
            }
        };
        if self.outbound.is_flushed()
            && let Some((end, _)) = self.farewell.take()
        {
            return Err(end);
        }
        let idle = self.inflight.is_empty() && self.inbound.run.is_empty() && self.outbound.is_flushed();
        if self.draining.is_some() && idle {
            return Err(self.expired());
        }
        Ok(moved)
    }

    // === Time ===

    fn expired(&self) -> End {
        if self.life.1 { End::TokenExpired } else { End::LifeOver }
    }

    fn poll_timer(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        let mut next = match (self.draining, &self.farewell) {
            (_, Some((_, until))) => *until,
            (Some(since), None) => since + limits::DRAIN,
            (None, None) => self.life.0,
        };
        if let Some(since) = self.stalled {
            next = next.min(since + limits::WRITE_STALL);
        }
        if self.timer.deadline() != next {
            self.timer.as_mut().reset(next);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        let now = Instant::now();
        if self.stalled.is_some_and(|since| now >= since + limits::WRITE_STALL) {
            return Err(End::Stalled);
        }
        if let Some((end, _)) = self.farewell.take() {
            return Err(end);
        }
        if self.draining.is_some() {
            return Err(self.expired());
        }
        self.draining = Some(now);
        Ok(true)
    }

    // === The end ===

    async fn finish(mut self, end: End) -> End {
        if end.is_decided() {
            self.context.audit.record(self.judge.end_event(end.to_string())).await;
        }
        let as_good_as_new = matches!(end, End::ClientClosed | End::TokenExpired | End::LifeOver)
            && !self.used
            && !self.unflushed
            && self.inflight.is_empty()
            && self.inbound.run.is_empty()
            && self.outbound.is_empty();
        if let Some(node) = self.node.take()
            && as_good_as_new
        {
            node.release_clean();
        }
        // Somebody who was removed gets nothing more; everybody else a proper end.
        if !matches!(end, End::Revoked) {
            let _ = tokio::time::timeout(FAREWELL, self.client.shutdown()).await;
        }
        end
    }
}

/// A number from 0 to 1, for spreading things in time.
fn random_fraction() -> f64 {
    let mut bytes = [0; 2];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}
