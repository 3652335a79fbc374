//! From the client to the node: judged, and written a run at a time.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context as Cx, Poll};

use cqlgate_protocol::wire::request::Register;
use cqlgate_protocol::wire::{ErrorCode, HEADER_LENGTH, Header, response};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::Instant;

use super::{Barrier, FAREWELL, Relay};
use crate::audit;
use crate::config::limits;
use crate::session::handshake::protocol_error;
use crate::session::inflight::Kind as Awaited;
use crate::session::judge::Verdict;
use crate::session::step::{self, End};
use crate::upstream::LeaseError;

impl Relay<'_> {
    /// Judges whole envelopes behind the run until one has to wait.
    pub(super) fn judge_buffered(&mut self) -> bool {
        let mut moved = false;
        let idle = self.inflight.is_empty() && self.inbound.run.is_empty();
        if self.barrier == Barrier::WaitsForIdle && idle {
            self.barrier = Barrier::Open;
        }
        while self.may_judge() && !self.inbound.discarding() {
            let at = self.inbound.run.len();
            let Some(header) = self.inbound.buffer.get(at..).and_then(Header::parse) else { break };
            // What is dropped as it comes is counted from the end of the run, so the run leaves first.
            if !self.inbound.run.is_empty() && !self.is_well_framed(&header) {
                break;
            }
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
            if let Some(permit) = self.judge.remembered(&envelope.header, envelope.body) {
                self.inflight.begin(header.stream, Awaited::Plain);
                self.inbound.run.push(length, permit);
                self.judge.consumed();
                continue;
            }
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
            && self.inflight.preparing_bytes() < limits::SESSION_PREPARED_BYTES
    }

    fn answer_request(&mut self, at: usize, length: usize, answer: &[u8]) {
        self.outbound.answer(answer);
        self.inbound.remove(at, length);
        self.judge.consumed();
    }

    fn is_well_framed(&self, header: &Header) -> bool {
        header.known_version() == Some(self.version()) && header.body_length(limits::ENVELOPE).is_some()
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
    pub(super) fn poll_forward(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
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
            self.acknowledge();
        }
        Ok(())
    }

    pub(super) fn poll_read_client(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        if self.quiet.client || self.farewell.is_some() || self.draining.is_some() || !self.inbound.has_room()
        {
            return Ok(false);
        }
        self.inbound.reserve();
        // Cancel-safe: what was read is in the buffer, what was not is still in the socket.
        let read = pin!(self.client.read_buf(&mut self.inbound.buffer));
        match read.poll(cx) {
            Poll::Ready(Ok(0)) => Err(End::ClientClosed),
            Poll::Ready(Ok(n)) => {
                self.context.metrics.bytes_received.inc_by(n as u64);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(End::Client(error)),
            Poll::Pending => {
                self.quiet.client = true;
                Ok(false)
            }
        }
    }
}
