//! The directory as an immutable value: persistent maps, so that a commit shares what it did not change.

use std::sync::Arc;

use rpds::{HashTrieMapSync, HashTrieSetSync};
use time::OffsetDateTime;

/// A SCIM id: made by us, never reassigned.
pub type Id = Arc<str>;

/// A person (RFC 7643, 4.1).
#[derive(Clone, Debug)]
pub struct User {
    /// The SCIM id.
    pub id: Id,
    /// `externalId`, compared byte for byte.
    pub external_id: Option<Arc<str>>,
    /// `userName` as sent; unique without regard to case.
    pub user_name: Arc<str>,
    /// `active`; absent means true.
    pub active: bool,
    /// Every other attribute, as sent.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// `meta.created`.
    pub created: OffsetDateTime,
    /// `meta.lastModified`.
    pub last_modified: OffsetDateTime,
    /// The commit that last changed what this person may be permitted: `active`, names, attributes, memberships.
    pub epoch: u64,
}

/// A group (RFC 7643, 4.2). Members are users of the same namespace.
#[derive(Clone, Debug)]
pub struct Group {
    /// The SCIM id.
    pub id: Id,
    /// `externalId`.
    pub external_id: Option<Arc<str>>,
    /// `displayName` as sent; unique without regard to case.
    pub display_name: Arc<str>,
    /// Ids of the members.
    pub members: HashTrieSetSync<Id>,
    /// Every other attribute, as sent.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// `meta.created`.
    pub created: OffsetDateTime,
    /// `meta.lastModified`.
    pub last_modified: OffsetDateTime,
}

/// The users and groups of one identity provider.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Users by id.
    pub users: HashTrieMapSync<Id, Arc<User>>,
    /// Groups by id.
    pub groups: HashTrieMapSync<Id, Arc<Group>>,
    /// Ids of users by `externalId`, byte for byte; more than one is possible and refused at log-in.
    pub users_by_external_id: HashTrieMapSync<Arc<str>, HashTrieSetSync<Id>>,
    /// Id of a user by `userName`, folded.
    pub users_by_name: HashTrieMapSync<Arc<str>, Id>,
    /// Id of a group by `displayName`, folded.
    pub groups_by_name: HashTrieMapSync<Arc<str>, Id>,
    /// The groups that a user is a member of.
    pub groups_of: HashTrieMapSync<Id, HashTrieSetSync<Id>>,
    /// When this provider last wrote something.
    pub last_push: Option<OffsetDateTime>,
}

/// What a policy may call by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PinKind {
    /// `USER "userName"`.
    User,
    /// `GROUP "displayName"`.
    Group,
}

/// A name in a policy; the first id that it matched is pinned to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinName {
    /// The identity whose namespace is meant.
    pub identity: Arc<str>,
    /// User or group.
    pub kind: PinKind,
    /// The name, byte for byte.
    pub name: Arc<str>,
}

/// The whole directory after one commit.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The commit.
    pub seq: u64,
    /// By identity name.
    pub namespaces: HashTrieMapSync<Arc<str>, Namespace>,
    /// The SCIM id that each name of a policy matched first.
    pub pins: HashTrieMapSync<PinName, Id>,
}

impl State {
    /// The namespace of an identity; an unknown one is empty.
    pub fn namespace(&self, identity: &str) -> Option<&Namespace> {
        self.namespaces.get(identity)
    }

    /// A user by identity and SCIM id.
    pub fn user(&self, identity: &str, id: &str) -> Option<&Arc<User>> {
        self.namespace(identity)?.users.get(id)
    }
}
