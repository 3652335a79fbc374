//! The relay: one client, one leased connection to a node, both directions in one task.
//!
//! Each time the task wakes it does, until nothing moves any more: take over what changed (directory,
//! policy, schema), judge what has come, write the run to the node, read the client, read the node, write
//! the client. A write to the node is preceded by a look at what verdicts depend on: bytes that were
//! permitted under an older state and have not left are judged again.

mod answers;
mod requests;

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};

use cqlgate_protocol::wire::Version;
use cqlgate_protocol::wire::response::{self, SchemaChange};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::broadcast;
use tokio::time::{Instant, Sleep};

use crate::config::limits;
use crate::config::model::SessionEnd;
use crate::session::Context;
use crate::session::handshake::Welcome;
use crate::session::inbound::Inbound;
use crate::session::inflight::{InFlight, Kind as Awaited};
use crate::session::judge::{Judge, Revoked, Verdict};
use crate::session::outbound::Outbound;
use crate::session::registry::Place;
use crate::session::run::Run;
use crate::session::step::{self, Done, End, Step};
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

/// Who had nothing to read in this turn of the task. The poll that found it so wakes the task when there is
/// something, so asking again before that would only cost.
#[derive(Default)]
struct Quiet {
    client: bool,
    node: bool,
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
    /// A revision that is acknowledged as soon as nothing older is left to leave.
    owed: Option<u64>,
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
    quiet: Quiet,
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
            owed: None,
            held: Vec::new(),
            events: None,
            farewell: None,
            life: (ends, is_token),
            draining: None,
            stalled: None,
            timer: Box::pin(tokio::time::sleep_until(ends)),
            quiet: Quiet::default(),
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
        self.quiet = Quiet::default();
        self.poll_timer(cx, false)?;
        loop {
            self.take_over()?;
            let mut moved = self.poll_steps(cx)?;
            moved |= self.judge_buffered();
            moved |= self.poll_forward(cx)?;
            moved |= self.poll_read_client(cx)?;
            moved |= self.poll_read_node(cx)?;
            moved |= self.poll_answer(cx)?;
            moved |= self.poll_timer(cx, true)?;
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
        // What an envelope behind the run waits for is found out anew, and a write that made no progress is
        // another one now.
        self.step = None;
        self.judge.consumed();
        self.stalled = None;
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
            let Some((length, permit)) = judged else { return Err(End::CutOff) };
            self.inbound.run = Run::resume(length, written - gone, permit);
            self.judge.consumed();
        }
        // What TLS still holds was written under the old state: it leaves first.
        self.owed = Some(revision);
        self.acknowledge();
        Ok(())
    }

    fn acknowledge(&mut self) {
        if !self.unflushed
            && let Some(revision) = self.owed.take()
        {
            self.place.handle.acknowledge(revision);
        }
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
                Done::Role(name, role) => self.judge.learned_role(name, role),
                Done::Identity(name, identity) => self.judge.learned_identity(name, identity),
                Done::Cluster(cluster) => self.judge.learned_cluster(cluster),
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
        moved |= !self.held.is_empty() && self.poll_held(cx);
        if let Some(event) = &mut self.events
            && let Poll::Ready((events, change)) = event.as_mut().poll(cx)
        {
            self.events = Some(step::event(events));
            if let Some(change) = change
                && !self.outbound.is_full()
                && self.judge.sees(&change.keyspace)
            {
                self.outbound.answer(&response::schema_change_event(self.judge.version, &change));
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Lets go the answers that the schema cache has caught up with.
    fn poll_held(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut released = Vec::new();
        self.held.retain_mut(|held| match held.as_mut().poll(cx) {
            Poll::Ready(answer) => {
                released.push(answer);
                false
            }
            Poll::Pending => true,
        });
        let moved = !released.is_empty();
        for (stream, answer) in released {
            self.inflight.end(stream);
            self.outbound.answer(&answer);
        }
        moved
    }

    // === Time ===

    fn expired(&self) -> End {
        if self.life.1 { End::TokenExpired } else { End::LifeOver }
    }

    /// `again`: it was asked in this turn already, and is asked again only if it waits for another moment.
    fn poll_timer(&mut self, cx: &mut Cx<'_>, again: bool) -> Result<bool, End> {
        let mut next = match (self.draining, &self.farewell) {
            (_, Some((_, until))) => *until,
            (Some(since), None) => since + limits::DRAIN,
            (None, None) => self.life.0,
        };
        if let Some(since) = self.stalled {
            next = next.min(since + limits::WRITE_STALL);
        }
        let whole_by = self.inbound.waits_since().map(|since| since + limits::LARGE_REQUEST);
        if let Some(until) = whole_by {
            next = next.min(until);
        }
        if self.timer.deadline() != next {
            self.timer.as_mut().reset(next);
        } else if again {
            return Ok(false);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        let now = Instant::now();
        if self.stalled.is_some_and(|since| now >= since + limits::WRITE_STALL) {
            return Err(End::Stalled);
        }
        if whole_by.is_some_and(|until| now >= until) {
            return Err(End::Incomplete);
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
