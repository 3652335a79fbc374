//! From the node to the client: passed on by their headers, few of them looked into.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Cx, Poll};

use cqlgate_protocol::wire::response::{self, Response, ResultBody, SchemaChange};
use cqlgate_protocol::wire::{ErrorCode, Flags, Header, WireError};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::{Barrier, Relay};
use crate::config::limits;
use crate::session::inflight::Kind as Awaited;
use crate::session::outbound::Next;
use crate::session::step::{self, End};

/// Bytes of a tracing id.
const TRACING_ID: usize = 16;

/// What a GRANT or REVOKE that went to the node is answered with besides.
const ROLES_ONLY: &str = "This changes roles and permissions inside Cassandra only: what people may do through \
     cqlgate is decided by its policy files and the identity provider's groups.";

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

impl Relay<'_> {
    pub(super) fn poll_read_node(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        let Some(node) = &mut self.node else { return Ok(false) };
        if self.quiet.node || !self.outbound.has_room() {
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
            Poll::Pending => {
                self.quiet.node = true;
                Ok(false)
            }
        }
    }

    /// From header to header: what passes is not looked into.
    pub(super) fn hop(&mut self) -> Result<(), End> {
        while let Next::Envelope(header) = self.outbound.next() {
            let wrong = |what: &str| End::NodeProtocol(format!("{what}: {header:?}"));
            let body = usize::try_from(header.length).map_err(|_| wrong("negative length"))?;
            if header.version != self.version().response_byte() {
                return Err(wrong("another version"));
            }
            if header.flags.has(Flags::TRACING) && !self.note_trace(&header, body) {
                return Ok(());
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

    /// Notes whose trace an answer names. False: its id is not there yet.
    fn note_trace(&mut self, header: &Header, length: usize) -> bool {
        let Some(start) = self.outbound.whole(length.min(TRACING_ID)) else { return false };
        if let Some(id) = response::tracing_id(header, start) {
            self.context.traces.made(id, self.judge.principal());
        }
        true
    }

    /// Looks into an answer that has to be seen whole. False: it is not whole yet.
    fn inspect(&mut self, awaited: Awaited, header: &Header, length: usize) -> Result<bool, End> {
        let Some(body) = self.outbound.whole(length) else { return Ok(false) };
        if let Awaited::Access | Awaited::Rows(_) = awaited {
            self.rewrite(awaited, header, length)?;
            return Ok(true);
        }
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

    /// Passes on an answer in another form.
    fn rewrite(&mut self, awaited: Awaited, header: &Header, length: usize) -> Result<(), End> {
        self.inflight.end(header.stream);
        let answer = self.outbound.take(length);
        let rewritten = match awaited {
            Awaited::Rows(column) => {
                let seen = |keyspace: Option<&[u8]>| {
                    keyspace
                        .and_then(|keyspace| std::str::from_utf8(keyspace).ok())
                        .is_some_and(|keyspace| self.judge.sees(keyspace))
                };
                response::retain_rows(&answer, column.into(), seen)
            }
            _ => response::with_warning(&answer, ROLES_ONLY),
        };
        let answer = rewritten.map_err(|error| End::NodeProtocol(format!("{error}: {header:?}")))?;
        self.outbound.answer(&answer);
        Ok(())
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
                let answer = response::error(self.judge.version, stream, ErrorCode::Invalid, &text);
                // Its stream stays taken until the refusal is recorded.
                self.inflight.begin(stream, Awaited::Ddl);
                let event = self.judge.unbooked_event(&asked.text, reason);
                self.held.push(step::recorded(self.context, event, stream, answer));
            }
        }
        Ok(())
    }

    pub(super) fn poll_answer(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        let polled = self.outbound.poll_write(cx, &mut self.client);
        let sent = self.outbound.take_sent();
        if sent > 0 {
            self.context.metrics.bytes_sent.inc_by(sent as u64);
        }
        let moved = match polled {
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
}
