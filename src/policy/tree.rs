//! The rules of one effect on one kind of resource, for look-ups along the hierarchy.
//!
//! ```text
//! ALL KEYSPACES    KEYSPACE k             ALL TABLES IN KEYSPACE k    TABLE k.t
//! ALL FUNCTIONS    ALL FUNCTIONS IN ..                                FUNCTION k.f(int)
//! ALL ROLES        ROLE r
//! root             space                  all of the space            leaf
//! ```
//!
//! In: rules' permissions on places; then a permission and a place that a statement needs. Out: the rule that
//! stands on the place or above it, or below it for DROP.

use cqlgate_protocol::cql::{Permission, Resource};

use super::names::Names;
use super::pattern::Name;
use super::rule::{Permissions, Scope};

/// The four hierarchies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Functions,
    Roles,
    Mbeans,
}

/// Where something stands in its hierarchy; `N` is what names it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a, N> {
    Root,
    Space(N),
    All(N),
    /// `arguments` are a function's; tables have none.
    Leaf {
        space: N,
        name: N,
        arguments: &'a str,
    },
}

/// Where a resource that a statement needs stands; `None` for a kind that policies do not know.
#[inline]
pub(super) fn place_of<'a>(resource: &'a Resource<'_>) -> Option<(Kind, Place<'a, &'a str>)> {
    Some(match resource {
        Resource::AllKeyspaces => (Kind::Data, Place::Root),
        Resource::Keyspace(k) => (Kind::Data, Place::Space(k)),
        Resource::AllTables(k) => (Kind::Data, Place::All(k)),
        Resource::Table { keyspace, table } => {
            (Kind::Data, Place::Leaf { space: keyspace, name: table, arguments: "" })
        }
        Resource::AllFunctions => (Kind::Functions, Place::Root),
        Resource::FunctionsIn(k) => (Kind::Functions, Place::Space(k)),
        Resource::Function { keyspace, name, arguments } => {
            (Kind::Functions, Place::Leaf { space: keyspace, name, arguments })
        }
        Resource::AllRoles => (Kind::Roles, Place::Root),
        Resource::Role(r) => (Kind::Roles, Place::Space(r)),
        Resource::AllMbeans => (Kind::Mbeans, Place::Root),
        Resource::Mbean(m) => (Kind::Mbeans, Place::Space(m)),
        _ => return None,
    })
}

/// Where a rule's resource stands. `MBeans` have names of their own kind: [`super::mbean`].
pub(super) fn place_of_rule(scope: &Scope) -> (Kind, Option<Place<'_, &Name>>) {
    match scope {
        Scope::AllKeyspaces => (Kind::Data, Some(Place::Root)),
        Scope::Keyspace(k) => (Kind::Data, Some(Place::Space(k))),
        Scope::AllTables(k) => (Kind::Data, Some(Place::All(k))),
        Scope::Table { keyspace, table } => {
            (Kind::Data, Some(Place::Leaf { space: keyspace, name: table, arguments: "" }))
        }
        Scope::AllFunctions => (Kind::Functions, Some(Place::Root)),
        Scope::FunctionsIn(k) => (Kind::Functions, Some(Place::Space(k))),
        Scope::Function { keyspace, name, arguments } => {
            (Kind::Functions, Some(Place::Leaf { space: keyspace, name, arguments }))
        }
        Scope::AllRoles => (Kind::Roles, Some(Place::Root)),
        Scope::Role(r) => (Kind::Roles, Some(Place::Space(r))),
        Scope::AllMbeans => (Kind::Mbeans, Some(Place::Root)),
        Scope::Mbean(_) => (Kind::Mbeans, None),
    }
}

/// The rules of one effect on one kind of resource.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// What any rule of it says: a look-up of anything else ends here.
    any: Permissions,
    root: Cell,
    spaces: Names<Space>,
    /// The first rule for DROP on anything below the root.
    drop_below: Option<u32>,
}

/// What stands on one keyspace or role, or on those of one pattern.
#[derive(Debug, Default)]
struct Space {
    itself: Cell,
    all: Cell,
    /// By name, then by arguments.
    leaves: Names<Vec<(Box<str>, Cell)>>,
    /// The first rule for DROP on a table or function of it.
    drop_in_leaves: Option<u32>,
}

/// The permissions that stand on one resource, and the first rule for each.
#[derive(Debug, Default)]
pub(super) struct Cell {
    permissions: Permissions,
    rules: [u32; Permission::ALL.len()],
}

impl Cell {
    pub(super) fn add(&mut self, permissions: Permissions, rule: u32) {
        for permission in permissions.without(self.permissions).iter() {
            self.permissions.add(permission);
            if let Some(slot) = self.rules.get_mut(permission as usize) {
                *slot = rule;
            }
        }
    }

    pub(super) fn get(&self, permission: Permission) -> Option<u32> {
        if self.permissions.has(permission) { self.rules.get(permission as usize).copied() } else { None }
    }
}

impl Tree {
    /// Adds a rule; the first that is added is the one that is told.
    pub(super) fn add(&mut self, place: Place<'_, &Name>, permissions: Permissions, rule: u32) {
        permissions.iter().for_each(|permission| self.any.add(permission));
        let drops = permissions.has(Permission::Drop);
        let (Place::Space(space) | Place::All(space) | Place::Leaf { space, .. }) = place else {
            self.root.add(permissions, rule);
            return;
        };
        if drops {
            self.drop_below.get_or_insert(rule);
        }
        let space = self.spaces.entry(space);
        match place {
            Place::Root => {}
            Place::Space(_) => space.itself.add(permissions, rule),
            Place::All(_) => space.all.add(permissions, rule),
            Place::Leaf { name, arguments, .. } => {
                if drops {
                    space.drop_in_leaves.get_or_insert(rule);
                }
                let overloads = space.leaves.entry(name);
                let index = overloads.iter().position(|(a, _)| **a == *arguments).unwrap_or_else(|| {
                    overloads.push((arguments.into(), Cell::default()));
                    overloads.len() - 1
                });
                if let Some((_, cell)) = overloads.get_mut(index) {
                    cell.add(permissions, rule);
                }
            }
        }
    }

    /// The most exact rule on a place or above it. With `exact_only`, rules on the root and on patterns count
    /// for nothing.
    pub(super) fn upwards(
        &self,
        permission: Permission,
        place: Place<'_, &str>,
        exact_only: bool,
    ) -> Option<u32> {
        if !self.any.has(permission) {
            return None;
        }
        let (Place::Space(space) | Place::All(space) | Place::Leaf { space, .. }) = place else {
            return self.root.get(permission);
        };
        let found = self.spaces.exact(space).and_then(|s| s.upwards(permission, place, exact_only));
        if found.is_some() || exact_only {
            return found;
        }
        self.spaces
            .matching(space)
            .find_map(|s| s.upwards(permission, place, false))
            .or_else(|| self.root.get(permission))
    }

    /// Does a rule on a leaf of the space, exact or a pattern, hold a permission that `wanted` takes? It sees the
    /// leaf's name and arguments, of a pattern nothing.
    pub(super) fn has_leaf(
        &self,
        space: &str,
        wanted: impl Fn(Permission, Option<(&str, &str)>) -> bool,
    ) -> bool {
        let leaves = self.spaces.all(space).flat_map(|space| space.leaves.iter());
        let mut cells = leaves.flat_map(|(name, overloads)| {
            overloads.iter().map(move |(arguments, cell)| (name.map(|name| (name, &**arguments)), cell))
        });
        cells.any(|(leaf, cell)| cell.permissions.iter().any(|permission| wanted(permission, leaf)))
    }

    /// The rule for DROP on something below a place.
    pub(super) fn drop_below(&self, place: Place<'_, &str>) -> Option<u32> {
        match place {
            Place::Root => self.drop_below,
            Place::Space(k) => {
                self.spaces.all(k).find_map(|s| s.all.get(Permission::Drop).or(s.drop_in_leaves))
            }
            Place::All(k) => self.spaces.all(k).find_map(|s| s.drop_in_leaves),
            Place::Leaf { .. } => None,
        }
    }

    /// The rule for DROP on a place, above it or below it.
    pub(super) fn drop_around(&self, place: Place<'_, &str>) -> Option<u32> {
        self.upwards(Permission::Drop, place, false).or_else(|| self.drop_below(place))
    }
}

impl Space {
    fn upwards(&self, permission: Permission, place: Place<'_, &str>, exact_only: bool) -> Option<u32> {
        let leaf = match place {
            Place::Leaf { name, arguments, .. } => self.leaf(permission, name, arguments, exact_only),
            _ => None,
        };
        let all = || match place {
            Place::Leaf { .. } | Place::All(_) => self.all.get(permission),
            _ => None,
        };
        leaf.or_else(all).or_else(|| self.itself.get(permission))
    }

    fn leaf(&self, permission: Permission, name: &str, arguments: &str, exact_only: bool) -> Option<u32> {
        let of = |overloads: &Vec<(Box<str>, Cell)>| {
            overloads.iter().find(|(a, _)| **a == *arguments).and_then(|(_, cell)| cell.get(permission))
        };
        let found = self.leaves.exact(name).and_then(of);
        if found.is_some() || exact_only {
            return found;
        }
        self.leaves.matching(name).find_map(of)
    }
}
