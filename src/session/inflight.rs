//! Which stream ids are in flight, and what their answers have to be looked at for.
//!
//! Two requests on one stream id had their answers swapped by a node in 143 of 400 pairs, so an id that is
//! still in flight is refused: otherwise the answer to a permitted PREPARE could be booked for another.

use std::collections::HashMap;
use std::sync::Arc;

/// What is done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Passed on, unseen.
    Plain,
    /// A PREPARE: the id is booked.
    Prepare,
    /// A USE: the keyspace in force comes from it, and nothing behind it goes before it.
    Use,
    /// A definition: held back until the schema cache has it.
    Ddl,
    /// A GRANT or REVOKE: the answer gets a warning.
    Access,
    /// Rows of which only those pass whose value in this column is a keyspace that the caller sees.
    Rows(u8),
}

/// Where the codes of [`Kind::Rows`] start.
const ROWS: u8 = 16;

impl Kind {
    /// The last column that [`Kind::Rows`] can name.
    pub(super) const LAST_COLUMN: u8 = u8::MAX - ROWS;

    /// One byte, not 0.
    const fn code(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Prepare => 2,
            Self::Use => 3,
            Self::Ddl => 4,
            Self::Access => 5,
            Self::Rows(column) => column.saturating_add(ROWS),
        }
    }

    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Plain,
            2 => Self::Prepare,
            3 => Self::Use,
            4 => Self::Ddl,
            5 => Self::Access,
            ROWS.. => Self::Rows(code - ROWS),
            _ => return None,
        })
    }
}

/// What a PREPARE in flight asked for.
#[derive(Clone, Debug)]
pub(super) struct Preparing {
    /// The text.
    pub text: Arc<str>,
    /// The keyspace in force.
    pub keyspace: Option<Arc<str>>,
}

/// Why a stream id is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    #[error("Invalid stream id {0}: negative ids are the server's")]
    Negative(i16),
    #[error("Invalid stream id {0}: a request with this id is still in flight")]
    InFlight(i16),
}

/// The stream ids of one session. One byte an id, up to the highest that was used.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    kinds: Vec<u8>,
    count: usize,
    preparing: HashMap<i16, Preparing>,
    /// Bytes of the texts in it.
    preparing_bytes: usize,
}

impl InFlight {
    /// How many requests are in flight.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of the texts that are being prepared.
    pub(super) fn preparing_bytes(&self) -> usize {
        self.preparing_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// May a request with this id come now?
    pub(super) fn check(&self, stream: i16) -> Result<(), StreamError> {
        let index = usize::try_from(stream).map_err(|_| StreamError::Negative(stream))?;
        match self.kinds.get(index) {
            Some(0) | None => Ok(()),
            Some(_) => Err(StreamError::InFlight(stream)),
        }
    }

    /// Books a request that goes to the node; the id was checked.
    pub(super) fn begin(&mut self, stream: i16, kind: Kind) {
        let Ok(index) = usize::try_from(stream) else { return };
        if index >= self.kinds.len() {
            // Rounded up, so that a driver that counts its ids up does not make one allocation each.
            self.kinds.resize((index + 1).next_multiple_of(128), 0);
        }
        if let Some(slot) = self.kinds.get_mut(index) {
            if *slot == 0 {
                self.count += 1;
            }
            *slot = kind.code();
        }
    }

    /// Books a PREPARE.
    pub(super) fn begin_prepare(&mut self, stream: i16, preparing: Preparing) {
        self.begin(stream, Kind::Prepare);
        self.preparing_bytes += preparing.text.len();
        self.preparing.insert(stream, preparing);
    }

    /// What the answer on this id has to be looked at for; `None`: nothing is in flight there.
    #[inline]
    pub(super) fn kind(&self, stream: i16) -> Option<Kind> {
        Kind::of(*self.kinds.get(usize::try_from(stream).ok()?)?)
    }

    /// The answer came (or the request never left).
    #[inline]
    pub(super) fn end(&mut self, stream: i16) -> Option<Preparing> {
        let slot = self.kinds.get_mut(usize::try_from(stream).ok()?)?;
        if *slot != 0 {
            self.count -= 1;
        }
        let kind = std::mem::take(slot);
        if kind != Kind::Prepare.code() {
            return None;
        }
        let preparing = self.preparing.remove(&stream)?;
        self.preparing_bytes -= preparing.text.len();
        Some(preparing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_flight_is_refused_until_its_answer_came() {
        let mut ids = InFlight::default();
        assert_eq!(ids.check(-1), Err(StreamError::Negative(-1)));
        assert_eq!(ids.check(i16::MIN), Err(StreamError::Negative(i16::MIN)));
        assert_eq!(ids.check(i16::MAX), Ok(()));
        ids.begin(i16::MAX, Kind::Plain);
        assert_eq!(ids.check(i16::MAX), Err(StreamError::InFlight(i16::MAX)));
        assert_eq!((ids.len(), ids.kind(i16::MAX)), (1, Some(Kind::Plain)));
        assert!(ids.end(i16::MAX).is_none());
        assert!(ids.is_empty());
        assert_eq!(ids.check(i16::MAX), Ok(()));
        assert!(ids.end(7).is_none(), "an answer nobody waits for changes nothing");
        assert_eq!(ids.len(), 0);
    }

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let rows = (0..=Kind::LAST_COLUMN).map(Kind::Rows);
        let kinds = [Kind::Plain, Kind::Prepare, Kind::Use, Kind::Ddl, Kind::Access].into_iter().chain(rows);
        for kind in kinds {
            assert_eq!(Kind::of(kind.code()), Some(kind));
        }
        assert_eq!(Kind::of(0), None);
    }

    #[test]
    fn a_prepare_keeps_what_it_asked_for() {
        let mut ids = InFlight::default();
        ids.begin_prepare(3, Preparing { text: "SELECT".into(), keyspace: None });
        assert_eq!(ids.kind(3), Some(Kind::Prepare));
        assert_eq!(&*ids.end(3).unwrap().text, "SELECT");
        assert_eq!(ids.kind(3), None);
    }
}
