//! One write, being evaluated: what it makes of the newest state, and the records that say so durably.
//!
//! In: changes as SCIM understands them. Out: the next state, its records, and whose rights may have
//! moved.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use super::state::{Group, Id, Namespace, PinKind, PinName, State, User};
use super::store::Record;

/// The newest state, and what a write makes of it. Nothing of it counts before it is committed.
#[derive(Clone, Debug)]
pub struct Draft {
    state: State,
    now: OffsetDateTime,
    watched: Arc<HashSet<PinName>>,
    records: Vec<Record>,
    touched: BTreeSet<(Arc<str>, Id)>,
}

/// What writes make of the state, before their commit.
pub(super) struct Evaluated {
    pub(super) state: State,
    pub(super) records: Vec<Record>,
    /// Whose rights may have moved.
    pub(super) touched: BTreeSet<(Arc<str>, Id)>,
}

/// Who joins and who leaves a group. Who is in both joins.
#[derive(Clone, Debug, Default)]
pub struct MemberChange {
    /// Ids of users that shall be members.
    pub added: Vec<Id>,
    /// Ids of users that shall not be members.
    pub removed: Vec<Id>,
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// No such identity is configured.
    #[error("no identity of that name is configured")]
    UnknownIdentity,
    /// Another user has this `userName` (case does not count).
    #[error("another user has this userName")]
    UserNameTaken,
    /// Another group has this `displayName` (case does not count).
    #[error("another group has this displayName")]
    DisplayNameTaken,
    /// A member is no user of this identity provider.
    #[error("{0:?} is no user of this identity provider")]
    UnknownMember(Id),
}

impl Draft {
    pub(super) fn new(state: State, now: OffsetDateTime, watched: Arc<HashSet<PinName>>) -> Self {
        let now = now.replace_nanosecond(now.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(now);
        Self { state, now, watched, records: Vec::new(), touched: BTreeSet::new() }
    }

    /// The state with what this draft has changed so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The users and groups of an identity, with what this draft has changed so far.
    pub fn namespace(&self, identity: &str) -> Result<&Namespace, Conflict> {
        self.state.namespace(identity).ok_or(Conflict::UnknownIdentity)
    }

    /// The instant of this write, in whole milliseconds.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Creates a user, or replaces the one with the same id. `created`, `last_modified` and `epoch` are
    /// set here. False: there was nothing to change, and nothing was.
    pub fn put_user(&mut self, identity: &Arc<str>, mut user: User) -> Result<bool, Conflict> {
        let namespace = self.namespace(identity)?;
        if namespace.user_named(&user.user_name).is_some_and(|holder| holder.id != user.id) {
            return Err(Conflict::UserNameTaken);
        }
        let old = namespace.users.get(&user.id).cloned();
        if let Some(old) = &old {
            if same_user(old, &user) {
                return Ok(false);
            }
            user.created = old.created;
            user.last_modified = self.after(old.last_modified);
        } else {
            user.created = self.now;
            user.last_modified = self.now;
        }
        user.epoch = self.state.seq;
        let renamed = old.is_none_or(|old| old.user_name != user.user_name);
        let (id, name) = (user.id.clone(), user.user_name.clone());
        let user = Arc::new(user);
        self.records.push(Record::PutUser(identity.clone(), user.clone()));
        self.touched.insert((identity.clone(), id.clone()));
        self.change(identity, |namespace| namespace.insert_user(user));
        if renamed {
            self.pin(identity, PinKind::User, &name, &id);
        }
        self.pushed(identity);
        Ok(true)
    }

    /// Deletes a user and all memberships. False: there is no such user.
    pub fn delete_user(&mut self, identity: &Arc<str>, id: &str) -> Result<bool, Conflict> {
        let Some(user) = self.namespace(identity)?.users.get(id).cloned() else { return Ok(false) };
        let groups: Vec<Arc<Group>> = self.namespace(identity)?.groups_of_user(id).cloned().collect();
        self.records.push(Record::DeleteUser(identity.clone(), user.id.clone()));
        self.touched.insert((identity.clone(), user.id.clone()));
        self.change(identity, |namespace| namespace.remove_user(id));
        for group in groups {
            self.modified(identity, &group.id);
        }
        self.pushed(identity);
        Ok(true)
    }

    /// Creates a group, or changes the one with the same id. Its members come only from `members`, what
    /// `group` holds of them does not count. False: there was nothing to change, and nothing was.
    pub fn put_group(
        &mut self,
        identity: &Arc<str>,
        mut group: Group,
        members: &MemberChange,
    ) -> Result<bool, Conflict> {
        let namespace = self.namespace(identity)?;
        if namespace.group_named(&group.display_name).is_some_and(|holder| holder.id != group.id) {
            return Err(Conflict::DisplayNameTaken);
        }
        if let Some(stranger) = members.added.iter().find(|id| !namespace.users.contains_key(*id)) {
            return Err(Conflict::UnknownMember(stranger.clone()));
        }
        let old = namespace.groups.get(&group.id).cloned();
        let is_member = |id: &Id| old.as_ref().is_some_and(|old| old.members.contains(id));
        let mut joining: BTreeSet<Id> = members.added.iter().cloned().collect();
        let leaving: BTreeSet<Id> =
            members.removed.iter().filter(|id| is_member(id) && !joining.contains(*id)).cloned().collect();
        joining.retain(|id| !is_member(id));

        let mut renamed = true;
        if let Some(old) = &old {
            if leaving.is_empty() && joining.is_empty() && same_group(old, &group) {
                return Ok(false);
            }
            group.created = old.created;
            group.last_modified = self.after(old.last_modified);
            group.members = old.members.clone();
            renamed = old.display_name != group.display_name;
        } else {
            group.created = self.now;
            group.last_modified = self.now;
            group.members = rpds::HashTrieSetSync::new_sync();
        }
        let (id, name) = (group.id.clone(), group.display_name.clone());
        let staying = group.members.clone();
        let group = Arc::new(group);
        self.records.push(Record::PutGroup(identity.clone(), group.clone()));
        self.records.extend(leaving.iter().map(|user| Record::RemoveMember(id.clone(), user.clone())));
        self.records.extend(joining.iter().map(|user| Record::AddMember(id.clone(), user.clone())));
        self.change(identity, |namespace| {
            namespace.insert_group(group);
            for user in &leaving {
                namespace.remove_member(&id, user);
            }
            for user in &joining {
                namespace.add_member(&id, user);
            }
        });
        self.touch(identity, leaving.iter().chain(&joining));
        if renamed {
            self.touch(identity, &staying);
            self.pin(identity, PinKind::Group, &name, &id);
        }
        self.pushed(identity);
        Ok(true)
    }

    /// Deletes a group. False: there is no such group.
    pub fn delete_group(&mut self, identity: &Arc<str>, id: &str) -> Result<bool, Conflict> {
        let Some(group) = self.namespace(identity)?.groups.get(id).cloned() else { return Ok(false) };
        self.records.push(Record::DeleteGroup(identity.clone(), group.id.clone()));
        self.change(identity, |namespace| namespace.remove_group(id));
        self.touch(identity, &group.members);
        self.pushed(identity);
        Ok(true)
    }

    /// Makes `names` the set of names that policies use: forgets the pins of all others, pins those that
    /// somebody has by now.
    pub(super) fn watch(&mut self, names: &Arc<HashSet<PinName>>) {
        let forgotten: Vec<PinName> =
            self.state.pins.keys().filter(|pin| !names.contains(pin)).cloned().collect();
        for pin in forgotten {
            self.state.pins.remove_mut(&pin);
            self.records.push(Record::Unpin(pin));
        }
        self.watched = names.clone();
        for name in names.iter() {
            let Some(namespace) = self.state.namespace(&name.identity) else { continue };
            let holder = match name.kind {
                PinKind::User => namespace
                    .user_named(&name.name)
                    .filter(|user| user.user_name == name.name)
                    .map(|user| &user.id),
                PinKind::Group => namespace
                    .group_named(&name.name)
                    .filter(|group| group.display_name == name.name)
                    .map(|group| &group.id),
            };
            if let Some(id) = holder.cloned() {
                self.pin(&name.identity, name.kind, &name.name, &id);
            }
        }
    }

    pub(super) fn finish(self) -> Evaluated {
        Evaluated { state: self.state, records: self.records, touched: self.touched }
    }

    /// The instant of a change to something that was last changed `before`: later in any case, so that
    /// `lastModified` tells versions apart.
    fn after(&self, before: OffsetDateTime) -> OffsetDateTime {
        self.now.max(before.saturating_add(Duration::MILLISECOND))
    }

    fn change(&mut self, identity: &Arc<str>, apply: impl FnOnce(&mut Namespace)) {
        if let Some(namespace) = self.state.namespaces.get_mut(identity) {
            apply(namespace);
        }
    }

    /// A group lost a deleted member: its `lastModified` moves.
    fn modified(&mut self, identity: &Arc<str>, id: &Id) {
        let Some(mut group) = self.state.namespace(identity).and_then(|n| n.groups.get(id)).cloned() else {
            return;
        };
        let last_modified = self.after(group.last_modified);
        Arc::make_mut(&mut group).last_modified = last_modified;
        self.records.push(Record::PutGroup(identity.clone(), group.clone()));
        self.change(identity, |namespace| namespace.insert_group(group));
    }

    /// These users may be permitted something else now.
    fn touch<'a>(&mut self, identity: &Arc<str>, users: impl IntoIterator<Item = &'a Id>) {
        let seq = self.state.seq;
        let Some(namespace) = self.state.namespaces.get_mut(identity) else { return };
        for id in users {
            if let Some(user) = namespace.users.get_mut(id) {
                Arc::make_mut(user).epoch = seq;
            }
            self.touched.insert((identity.clone(), id.clone()));
        }
    }

    /// Gives `name` to `id` for good, if a policy uses it and nobody had it before.
    fn pin(&mut self, identity: &Arc<str>, kind: PinKind, name: &Arc<str>, id: &Id) {
        let pin = PinName { identity: identity.clone(), kind, name: name.clone() };
        if !self.watched.contains(&pin) || self.state.pins.contains_key(&pin) {
            return;
        }
        self.state.pins.insert_mut(pin.clone(), id.clone());
        self.records.push(Record::Pin(pin, id.clone()));
        match kind {
            PinKind::User => self.touch(identity, [id]),
            PinKind::Group => {
                let members =
                    self.state.namespace(identity).and_then(|n| n.groups.get(id)).map(|g| g.members.clone());
                self.touch(identity, members.iter().flatten());
            }
        }
    }

    fn pushed(&mut self, identity: &Arc<str>) {
        let now = self.now;
        self.change(identity, |namespace| namespace.last_push = Some(now));
        self.records.push(Record::Pushed(identity.clone(), now));
    }
}

fn same_user(old: &User, new: &User) -> bool {
    old.external_id == new.external_id
        && old.user_name == new.user_name
        && old.active == new.active
        && old.attributes == new.attributes
}

fn same_group(old: &Group, new: &Group) -> bool {
    old.external_id == new.external_id
        && old.display_name == new.display_name
        && old.attributes == new.attributes
}
