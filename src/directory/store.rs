//! What a durable store of the directory has to do, and the records it keeps.
//!
//! In: the records of a group of writes. Out: a sequence number, once they are durable; the whole state
//! at start.

use std::sync::Arc;

use time::OffsetDateTime;

use super::state::{Group, Id, PinName, State, User};

/// One row's worth of change. Records of one commit apply in their order.
#[derive(Clone, Debug)]
pub enum Record {
    /// A user is new or changed.
    PutUser(Arc<str>, Arc<User>),
    /// A user is gone, with all memberships.
    DeleteUser(Arc<str>, Id),
    /// A group is new, or changed in anything but its members.
    PutGroup(Arc<str>, Arc<Group>),
    /// A group is gone, with all memberships.
    DeleteGroup(Arc<str>, Id),
    /// A user (second) became a member of a group (first).
    AddMember(Id, Id),
    /// A user (second) is no member of a group (first) any more.
    RemoveMember(Id, Id),
    /// A name of a policy belongs to an id from now on.
    Pin(PinName, Id),
    /// No policy uses the name any more.
    Unpin(PinName),
    /// When an identity provider last wrote.
    Pushed(Arc<str>, OffsetDateTime),
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or reading or writing failed.
    #[error("{0}")]
    Io(String),
    /// What is stored cannot be right.
    #[error("{0}")]
    Corrupt(String),
    /// Somebody else has written since; [`Store::follow`] tells what.
    #[error("commit {expected} was to follow, but the store is at {found}")]
    Diverged {
        /// The commit that the writer knows.
        expected: u64,
        /// The commit that the store holds.
        found: u64,
    },
}

/// A durable, ordered log of commits with the state that they add up to.
pub trait Store: Send + 'static {
    /// Makes `records` durable as the commit that follows `after`, all or nothing, and returns its
    /// sequence number. After an error the outcome is unknown until [`Self::follow`] has told.
    fn append(&mut self, after: u64, records: &[Record]) -> Result<u64, StoreError>;

    /// The state of the newest commit.
    fn load(&mut self) -> Result<State, StoreError>;

    /// The state of the newest commit if it is newer than `seq`: written by another replica, or by an
    /// [`Self::append`] whose success could not be reported.
    fn follow(&mut self, seq: u64) -> Result<Option<State>, StoreError>;
}
