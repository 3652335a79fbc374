//! Runs: neighbouring envelopes that were all permitted, written to the node at once.

use crate::policy::Permit;

/// The permitted bytes at the front of a session's request buffer. Only [`Run::push`] makes it longer, and
/// it takes the [`Permit`] that judged the envelope, so that an unjudged forward does not compile.
#[derive(Debug, Default)]
pub(super) struct Run {
    bytes: usize,
    written: usize,
}

impl Run {
    /// Adds the envelope that stands right behind the run.
    pub(super) fn push(&mut self, envelope: usize, _permit: Permit) {
        self.bytes += envelope;
    }

    /// Permitted bytes from the front of the buffer, written ones included.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What is still to be written of `buffer`.
    pub(super) fn unwritten<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer.get(self.written..self.bytes).unwrap_or_default()
    }

    /// Bytes of the run that have left.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// `n` more bytes have left. True when that was the last of them: the run is over.
    pub(super) fn wrote(&mut self, n: usize) -> bool {
        self.written += n;
        self.written >= self.bytes
    }

    /// Forgets the run: what it held was written whole, or has to be judged again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Starts again with an envelope of which `written` bytes have left already and which was judged again.
    pub(super) fn resume(envelope: usize, written: usize, permit: Permit) -> Self {
        let mut run = Self { bytes: 0, written };
        run.push(envelope, permit);
        run
    }
}
