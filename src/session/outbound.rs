//! The bytes that go to the client: answers of the node, passed on by their headers, and the gateway's own,
//! between whole envelopes of them.
//!
//! ```text
//!   buffer: [ ready: may go | envelope that has to be seen whole first ]     pass: bytes of the last ready
//!   own:    [ whole envelopes of the gateway ]                               envelope that are still to come
//! ```

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use cqlgate_protocol::wire::{HEADER_LENGTH, Header};
use tokio::io::AsyncWrite;

/// Bytes of the node that a session holds at most, but for an answer that has to be seen whole.
const RESPONSE_BUFFER: usize = 64 * 1024;

/// Answers of the gateway's own that wait; then no further request is looked at.
const OWN_BUFFER: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbound {
    pub buffer: BytesMut,
    /// Bytes from the front of the buffer that may go.
    ready: usize,
    /// Bytes of an envelope that passes which the node has not sent yet.
    pass: usize,
    /// Bytes of an envelope that are still to be written before the client is between two envelopes.
    mid: usize,
    /// Answers of the gateway's own.
    own: BytesMut,
    /// An envelope has to be seen whole and is this long.
    wanted: usize,
    /// What was written may still stand in the buffer of TLS.
    unflushed: bool,
    /// Bytes that the client took since [`Outbound::take_sent`].
    sent: usize,
}

/// The next envelope of the node.
pub(super) enum Next {
    /// Nothing to decide.
    None,
    /// This header: say [`Outbound::let_pass`], [`Outbound::whole`] or [`Outbound::take`].
    Envelope(Header),
}

impl Outbound {
    /// Appends an answer of the gateway's own.
    pub(super) fn answer(&mut self, envelope: &[u8]) {
        self.own.extend_from_slice(envelope);
    }

    pub(super) fn is_full(&self) -> bool {
        self.own.len() >= OWN_BUFFER
    }

    /// Bytes that the client took since this was asked last.
    pub(super) fn take_sent(&mut self) -> usize {
        std::mem::take(&mut self.sent)
    }

    /// Is there nothing that could be written now?
    pub(super) fn is_flushed(&self) -> bool {
        self.own.is_empty() && self.ready == 0 && self.mid == 0 && !self.unflushed
    }

    /// Has the node said nothing that was not passed on?
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.pass == 0
    }

    /// May more be read from the node? Answers that are written anew wait among the gateway's own, so these
    /// count, too; but an envelope that passes has to come to its end before they can go.
    pub(super) fn has_room(&self) -> bool {
        (!self.is_full() || self.pass > 0)
            && self.buffer.len() < RESPONSE_BUFFER.max(self.ready + self.wanted)
    }

    pub(super) fn reserve(&mut self) {
        if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(16 * 1024);
        }
    }

    /// Lets pass what belongs to an envelope that passes; then the next header.
    #[inline]
    pub(super) fn next(&mut self) -> Next {
        let here = (self.buffer.len() - self.ready).min(self.pass);
        self.ready += here;
        self.pass -= here;
        if self.pass > 0 {
            return Next::None;
        }
        match self.buffer.get(self.ready..).and_then(Header::parse) {
            Some(header) => Next::Envelope(header),
            None => Next::None,
        }
    }

    /// The envelope of `next` passes unseen.
    #[inline]
    pub(super) fn let_pass(&mut self, body: usize) {
        self.pass = HEADER_LENGTH + body;
        self.wanted = 0;
    }

    /// The body of the envelope of `next`, if it is whole; else it is waited for.
    pub(super) fn whole(&mut self, body: usize) -> Option<&[u8]> {
        let start = self.ready + HEADER_LENGTH;
        if self.buffer.len() < start + body {
            self.wanted = HEADER_LENGTH + body;
            return None;
        }
        self.wanted = 0;
        self.buffer.get(start..start + body)
    }

    /// Takes the whole envelope of `next` out.
    pub(super) fn take(&mut self, body: usize) -> Vec<u8> {
        let (start, length) = (self.ready, HEADER_LENGTH + body);
        let Some(rest) = self.buffer.get_mut(start..) else { return Vec::new() };
        let taken = rest.get(..length).unwrap_or_default().to_vec();
        let kept = rest.len().saturating_sub(length);
        if kept > 0 {
            rest.copy_within(length.., 0);
        }
        self.buffer.truncate(start + kept);
        taken
    }

    /// Writes what may go. `Ready(true)`: something was written.
    pub(super) fn poll_write<W>(&mut self, cx: &mut Context<'_>, client: &mut W) -> Poll<io::Result<bool>>
    where
        W: AsyncWrite + Unpin,
    {
        let mut wrote = false;
        loop {
            let polled = if self.mid == 0 && !self.own.is_empty() {
                Pin::new(&mut *client).poll_write(cx, &self.own).map_ok(|n| {
                    self.own.advance(n);
                    if self.own.is_empty() && self.own.capacity() > RESPONSE_BUFFER {
                        self.own = BytesMut::new();
                    }
                    n
                })
            } else if self.ready > 0 {
                let most = if self.own.is_empty() { self.ready } else { self.ready.min(self.mid) };
                let bytes = self.buffer.get(..most).unwrap_or_default();
                match Pin::new(&mut *client).poll_write(cx, bytes) {
                    Poll::Ready(Ok(n)) => {
                        self.advance(n);
                        Poll::Ready(Ok(n))
                    }
                    other => other,
                }
            } else {
                break;
            };
            match polled {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    wrote = true;
                    self.unflushed = true;
                    self.sent += n;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if wrote => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match Pin::new(client).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if wrote => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(wrote))
    }

    /// `n` ready bytes have been written: where does the client stand between envelopes?
    fn advance(&mut self, n: usize) {
        self.mid = if n <= self.mid {
            self.mid - n
        } else if n == self.ready {
            self.pass
        } else {
            let mut boundary = self.mid;
            while boundary < n {
                let header = self.buffer.get(boundary..).and_then(Header::parse);
                // Every ready envelope had its header read.
                let body = header.and_then(|header| usize::try_from(header.length).ok()).unwrap_or_default();
                boundary += HEADER_LENGTH + body;
            }
            boundary - n
        };
        self.buffer.advance(n);
        self.ready -= n;
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * RESPONSE_BUFFER {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;

    fn envelope(stream: i16, length: usize) -> Vec<u8> {
        let mut bytes = Header::encode(0x84, 0, stream, 8, length).to_vec();
        bytes.resize(HEADER_LENGTH + length, u8::try_from(stream & 0x7F).unwrap());
        bytes
    }

    /// A client that takes a few bytes at a time.
    struct Slow {
        taken: Vec<u8>,
        steps: std::vec::IntoIter<usize>,
        /// Flushes that are not done at once.
        unflushed: usize,
    }

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            match self.steps.next() {
                Some(0) | None => Poll::Pending,
                Some(n) => {
                    let n = n.min(buf.len());
                    self.taken.extend_from_slice(&buf[..n]);
                    Poll::Ready(Ok(n))
                }
            }
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.unflushed.checked_sub(1) {
                None => Poll::Ready(Ok(())),
                Some(left) => {
                    self.unflushed = left;
                    Poll::Pending
                }
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        /// However the bytes come and go, the client reads whole envelopes, each once, the node's in order.
        #[test]
        fn own_answers_go_between_whole_envelopes(
            lengths in proptest::collection::vec(0_usize..300, 1..20),
            chunk in 1_usize..200,
            steps in proptest::collection::vec(0_usize..100, 0..400),
            every in 1_usize..6,
        ) {
            let node: Vec<u8> = lengths.iter().enumerate()
                .flat_map(|(i, n)| envelope(i16::try_from(i).unwrap(), *n)).collect();
            let mut outbound = Outbound::default();
            let mut slow = Slow { taken: Vec::new(), steps: steps.into_iter(), unflushed: 0 };
            let mut cx = Context::from_waker(Waker::noop());
            let mut own = 0_i16;
            let mut pump = |outbound: &mut Outbound, slow: &mut Slow| {
                while let Next::Envelope(header) = outbound.next() {
                    outbound.let_pass(usize::try_from(header.length).unwrap());
                }
                let _ = outbound.poll_write(&mut cx, slow);
            };
            for (i, bytes) in node.chunks(chunk).enumerate() {
                outbound.buffer.extend_from_slice(bytes);
                if i % every == 0 {
                    own += 1;
                    outbound.answer(&envelope(1000 + own, 3));
                }
                pump(&mut outbound, &mut slow);
            }
            slow.steps = vec![usize::MAX; 100].into_iter();
            pump(&mut outbound, &mut slow);
            prop_assert!(outbound.is_flushed() && outbound.is_empty());
            let (mut rest, mut seen, mut seen_own) = (&slow.taken[..], Vec::new(), 0);
            while !rest.is_empty() {
                let header = Header::parse(rest).unwrap();
                let length = HEADER_LENGTH + usize::try_from(header.length).unwrap();
                prop_assert_eq!(&rest[..length], &envelope(header.stream, length - HEADER_LENGTH)[..]);
                if header.stream < 1000 { seen.push(header.stream) } else { seen_own += 1 }
                rest = &rest[length..];
            }
            prop_assert_eq!(seen, (0..i16::try_from(lengths.len()).unwrap()).collect::<Vec<_>>());
            prop_assert_eq!(seen_own, own);
        }
    }

    #[test]
    fn what_tls_holds_back_is_flushed_later() {
        let mut outbound = Outbound::default();
        outbound.answer(&envelope(1, 10));
        let mut slow = Slow { taken: Vec::new(), steps: vec![usize::MAX].into_iter(), unflushed: 2 };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(outbound.poll_write(&mut cx, &mut slow), Poll::Ready(Ok(true))));
        assert!(!outbound.is_flushed(), "written, but not out");
        assert!(outbound.poll_write(&mut cx, &mut slow).is_pending());
        assert!(matches!(outbound.poll_write(&mut cx, &mut slow), Poll::Ready(Ok(false))));
        assert!(outbound.is_flushed());
    }

    #[test]
    fn answers_written_anew_leave_no_room_but_for_the_envelope_that_passes() {
        let mut outbound = Outbound::default();
        assert!(outbound.has_room());
        outbound.answer(&envelope(1, OWN_BUFFER));
        assert!(!outbound.has_room(), "the node is read no further while the client takes nothing");

        let passing = envelope(2, 100);
        outbound.buffer.extend_from_slice(&passing[..20]);
        let Next::Envelope(_) = outbound.next() else { panic!() };
        outbound.let_pass(100);
        assert!(matches!(outbound.next(), Next::None));
        assert!(outbound.has_room(), "its end is needed before anything else can go");
        outbound.buffer.extend_from_slice(&passing[20..]);
        assert!(matches!(outbound.next(), Next::None));
        assert!(!outbound.has_room());
    }

    #[test]
    fn an_envelope_is_taken_out() {
        let (a, b, c) = (envelope(1, 5), envelope(2, 7), envelope(3, 1));
        let mut outbound = Outbound::default();
        outbound.buffer.extend_from_slice(&[&a[..], &b[..], &c[..4]].concat());
        let Next::Envelope(header) = outbound.next() else { panic!() };
        assert_eq!(header.stream, 1);
        outbound.let_pass(5);
        let Next::Envelope(header) = outbound.next() else { panic!() };
        assert_eq!(header.stream, 2);
        assert_eq!(outbound.whole(7), Some(&b[9..]));
        assert_eq!(outbound.take(7), b);
        assert!(matches!(outbound.next(), Next::None));
        outbound.buffer.extend_from_slice(&c[4..]);
        assert!(matches!(outbound.next(), Next::Envelope(header) if header.stream == 3));
    }
}
