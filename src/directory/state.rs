//! The directory as an immutable value: persistent maps, so that a commit shares what it did not change.

use std::sync::Arc;

use rpds::{HashTrieMapSync, HashTrieSetSync, RedBlackTreeSetSync};
use time::OffsetDateTime;

use super::names::fold;

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
    /// Every other attribute, as sent. Shared, because a change of membership makes a new `User`.
    pub attributes: Arc<serde_json::Map<String, serde_json::Value>>,
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
    pub attributes: Arc<serde_json::Map<String, serde_json::Value>>,
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
    /// Ids of users in the order of lists: ids are made in the order of time.
    pub user_order: RedBlackTreeSetSync<Id>,
    /// Ids of groups in the order of lists.
    pub group_order: RedBlackTreeSetSync<Id>,
    /// Ids of groups by `externalId`, byte for byte.
    pub groups_by_external_id: HashTrieMapSync<Arc<str>, HashTrieSetSync<Id>>,
    /// How many users are active.
    pub active_users: usize,
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

impl Namespace {
    /// A user by `userName`, compared without case.
    pub fn user_named(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(self.users_by_name.get(&*fold(name))?)
    }

    /// A group by `displayName`, compared without case.
    pub fn group_named(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(self.groups_by_name.get(&*fold(name))?)
    }

    /// The groups that a user is a member of, in no order.
    pub fn groups_of_user(&self, id: &str) -> impl Iterator<Item = &Arc<Group>> {
        self.groups_of.get(id).into_iter().flat_map(|ids| ids.iter()).filter_map(|id| self.groups.get(id))
    }

    /// Puts a user in, or in the place of the one with its id, and keeps the indexes. Whether the names
    /// are free is the caller's question.
    pub fn insert_user(&mut self, user: Arc<User>) {
        if let Some(old) = self.users.get(&user.id).cloned() {
            self.unindex_user(&old);
        } else {
            self.user_order.insert_mut(user.id.clone());
        }
        self.users_by_name.insert_mut(fold(&user.user_name), user.id.clone());
        if let Some(external) = &user.external_id {
            add_to(&mut self.users_by_external_id, external, &user.id);
        }
        self.active_users += usize::from(user.active);
        self.users.insert_mut(user.id.clone(), user);
    }

    /// Takes a user out, and out of every group.
    pub fn remove_user(&mut self, id: &str) {
        let Some(user) = self.users.get(id).cloned() else { return };
        let groups: Vec<Id> = self.groups_of.get(id).into_iter().flatten().cloned().collect();
        for group in groups {
            self.remove_member(&group, id);
        }
        self.unindex_user(&user);
        self.user_order.remove_mut(id);
        self.users.remove_mut(id);
    }

    /// Puts a group in, or its attributes in the place of those of the group with its id. The members of
    /// `group` count only if the group is new; [`Self::add_member`] and [`Self::remove_member`] change
    /// them later.
    pub fn insert_group(&mut self, group: Arc<Group>) {
        let mut group = group;
        if let Some(old) = self.groups.get(&group.id).cloned() {
            self.unindex_group(&old);
            if !old.members.ptr_eq(&group.members) {
                Arc::make_mut(&mut group).members = old.members.clone();
            }
        } else {
            self.group_order.insert_mut(group.id.clone());
            for member in &group.members {
                add_to(&mut self.groups_of, member, &group.id);
            }
        }
        self.groups_by_name.insert_mut(fold(&group.display_name), group.id.clone());
        if let Some(external) = &group.external_id {
            add_to(&mut self.groups_by_external_id, external, &group.id);
        }
        self.groups.insert_mut(group.id.clone(), group);
    }

    /// Takes a group out.
    pub fn remove_group(&mut self, id: &str) {
        let Some(group) = self.groups.get(id).cloned() else { return };
        for member in &group.members {
            take_from(&mut self.groups_of, member, id);
        }
        self.unindex_group(&group);
        self.group_order.remove_mut(id);
        self.groups.remove_mut(id);
    }

    /// Makes a user a member; false if it was one, or one of the two does not exist.
    pub fn add_member(&mut self, group: &str, user: &str) -> bool {
        let Some((user, _)) = self.users.get_key_value(user) else { return false };
        let user = user.clone();
        let Some(entry) = self.groups.get_mut(group) else { return false };
        if entry.members.contains(&user) {
            return false;
        }
        let group = entry.id.clone();
        Arc::make_mut(entry).members.insert_mut(user.clone());
        add_to(&mut self.groups_of, &user, &group);
        true
    }

    /// Ends a membership; false if there was none.
    pub fn remove_member(&mut self, group: &str, user: &str) -> bool {
        let Some(entry) = self.groups.get_mut(group) else { return false };
        if !entry.members.contains(user) {
            return false;
        }
        Arc::make_mut(entry).members.remove_mut(user);
        take_from(&mut self.groups_of, user, group);
        true
    }

    fn unindex_user(&mut self, user: &User) {
        self.users_by_name.remove_mut(&*fold(&user.user_name));
        if let Some(external) = &user.external_id {
            take_from(&mut self.users_by_external_id, external, &user.id);
        }
        self.active_users -= usize::from(user.active);
    }

    fn unindex_group(&mut self, group: &Group) {
        self.groups_by_name.remove_mut(&*fold(&group.display_name));
        if let Some(external) = &group.external_id {
            take_from(&mut self.groups_by_external_id, external, &group.id);
        }
    }
}

type Index = HashTrieMapSync<Arc<str>, HashTrieSetSync<Id>>;

fn add_to(index: &mut Index, key: &Arc<str>, id: &Id) {
    if let Some(ids) = index.get_mut(key) {
        ids.insert_mut(id.clone());
    } else {
        index.insert_mut(key.clone(), HashTrieSetSync::new_sync().insert(id.clone()));
    }
}

fn take_from(index: &mut Index, key: &str, id: &str) {
    let Some(ids) = index.get_mut(key) else { return };
    ids.remove_mut(id);
    if ids.is_empty() {
        index.remove_mut(key);
    }
}
