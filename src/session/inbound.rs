//! The bytes of the client that are not forwarded yet.
//!
//! ```text
//!   buffer: [ run: permitted, partly written | envelope being judged | more, not looked at ]
//! ```

use bytes::{Buf as _, BytesMut};
use cqlgate_protocol::wire::{HEADER_LENGTH, Header};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::run::Run;
use crate::config::limits;

#[derive(Debug, Default)]
pub(super) struct Inbound {
    pub buffer: BytesMut,
    pub run: Run,
    /// Bytes of an envelope that is too long, still to come and to be dropped.
    discard: usize,
    /// Memory for an envelope above [`limits::SESSION_BUFFER`].
    budget: Option<(OwnedSemaphorePermit, usize, Instant)>,
}

/// A whole envelope in the buffer.
pub(super) struct Envelope<'b> {
    pub header: Header,
    pub body: &'b [u8],
    pub length: usize,
}

impl Inbound {
    /// The envelope at `at`, if its whole length is there. The length was checked before it was let in.
    pub(super) fn envelope(&self, at: usize) -> Option<Envelope<'_>> {
        let bytes = self.buffer.get(at..)?;
        let header = Header::parse(bytes)?;
        let length = HEADER_LENGTH + header.body_length(limits::ENVELOPE)?;
        Some(Envelope { header, body: bytes.get(HEADER_LENGTH..length)?, length })
    }

    /// May more be read? Beyond the session's own buffer only with memory from the budget.
    pub(super) fn has_room(&self) -> bool {
        let most = self.budget.as_ref().map_or(limits::SESSION_BUFFER, |(_, whole, _)| *whole);
        self.buffer.len() < most
    }

    pub(super) fn has_budget(&self, whole: usize) -> bool {
        whole <= limits::SESSION_BUFFER || self.budget.as_ref().is_some_and(|(_, most, _)| *most >= whole)
    }

    pub(super) fn set_budget(&mut self, permit: OwnedSemaphorePermit, whole: usize) {
        self.budget = Some((permit, whole + self.run.len(), Instant::now()));
    }

    /// Since when memory of the budget is held for an envelope that is not whole yet.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let (_, _, since) = self.budget.as_ref()?;
        self.envelope(self.run.len()).is_none().then_some(*since)
    }

    /// Space to read into, grown as bytes come and never by what a header declares.
    pub(super) fn reserve(&mut self) {
        if self.buffer.capacity() - self.buffer.len() < 1024 {
            self.buffer.reserve(if self.buffer.is_empty() { 8 * 1024 } else { 16 * 1024 });
        }
    }

    /// Takes an envelope out that goes nowhere. What stands behind it moves up.
    pub(super) fn remove(&mut self, at: usize, length: usize) {
        if at == 0 {
            self.buffer.advance(length.min(self.buffer.len()));
        } else if let Some(rest) = self.buffer.get_mut(at..) {
            let kept = rest.len().saturating_sub(length);
            if kept > 0 {
                rest.copy_within(length.., 0);
            }
            self.buffer.truncate(at + kept);
        }
        self.shrink();
    }

    /// Drops an envelope that is too long, as far as it is there; the rest is dropped when it comes.
    pub(super) fn discard(&mut self, at: usize, length: usize) {
        let here = self.buffer.len().saturating_sub(at).min(length);
        self.remove(at, here);
        self.discard = length - here;
    }

    /// Drops what has come of an envelope that is too long. True while more of it is to come.
    pub(super) fn discarding(&mut self) -> bool {
        if self.discard > 0 {
            let at = self.run.len();
            let here = self.buffer.len().saturating_sub(at).min(self.discard);
            self.remove(at, here);
            self.discard -= here;
        }
        self.discard > 0
    }

    /// `n` bytes of the run have left.
    pub(super) fn wrote(&mut self, n: usize) {
        if self.run.wrote(n) {
            self.buffer.advance(self.run.len());
            self.run.clear();
            self.shrink();
        }
    }

    /// Gives back what a large envelope took.
    fn shrink(&mut self) {
        if self.budget.is_some() && self.buffer.len() <= limits::SESSION_BUFFER {
            self.budget = None;
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(stream: i16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Header::encode(4, 0, stream, 7, body.len()).to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn an_envelope_is_taken_out_of_the_middle() {
        let (a, b, c) = (envelope(1, b"aa"), envelope(2, b"bbb"), envelope(3, b"c"));
        let mut inbound = Inbound::default();
        inbound.buffer.extend_from_slice(&[a.clone(), b.clone(), c.clone()].concat());
        inbound.remove(a.len(), b.len());
        assert_eq!(inbound.buffer[..], [a.clone(), c.clone()].concat()[..]);
        inbound.remove(0, a.len());
        assert_eq!(inbound.buffer[..], c[..]);
        inbound.remove(0, c.len());
        assert!(inbound.buffer.is_empty());
    }

    #[test]
    fn a_cut_envelope_is_not_there_yet() {
        let whole = envelope(1, b"body");
        for cut in 0..whole.len() {
            let mut inbound = Inbound::default();
            inbound.buffer.extend_from_slice(&whole[..cut]);
            assert!(inbound.envelope(0).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_too_long_is_dropped_as_it_comes() {
        let next = envelope(2, b"x");
        let mut inbound = Inbound::default();
        inbound.buffer.extend_from_slice(&[0; 10]);
        inbound.discard(0, 15);
        assert!(inbound.buffer.is_empty() && inbound.discarding());
        inbound.buffer.extend_from_slice(&[0; 5]);
        inbound.buffer.extend_from_slice(&next);
        assert!(!inbound.discarding());
        assert_eq!(inbound.buffer[..], next[..]);
    }
}
