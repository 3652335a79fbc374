//! What one principal may do, compiled: only the rules that reach it, by keyspace and table.
//!
//! In: the rules that reach a principal. Out: for a (permission, resource) the rule that grants or denies
//! it. A look-up walks from the resource to its parents, hashing names that rules name exactly and trying
//! the patterns one by one; it neither allocates nor locks.

use std::collections::HashMap;
use std::sync::Arc;

use cqlgate_protocol::cql::{Need, Permission, Resource};

use super::decide::RuleId;
use super::pattern::Name;
use super::rule::{Effect, Permissions, Rule, Scope, is_system};
use crate::config::model::Mode;

/// What one principal may do under one policy generation and one state of the directory. Made by
/// [`PolicySet::grants_for`](super::PolicySet::grants_for).
#[derive(Debug)]
pub struct Grants {
    mode: Mode,
    generation: u64,
    rules: Arc<[Rule]>,
    allow: Side,
    deny: Side,
    /// The group that each rule came through, if it did.
    via: HashMap<u32, Arc<str>>,
    groups: Vec<Arc<str>>,
}

/// Where a deciding rule stands, and how it reached the principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The policy file, as configured.
    pub file: Arc<str>,
    /// The line in it, from 1.
    pub line: u32,
    /// The group that the rule came through, if it did.
    pub group: Option<Arc<str>>,
}

impl Grants {
    /// Of somebody who is nobody (any more): nothing is permitted, also where policy is only observed.
    pub(super) fn nobody(generation: u64) -> Self {
        Self::compile(Mode::Enforce, generation, Arc::from([]), &[])
    }

    /// Compiles the rules at `reaching`, each with the group it came through.
    pub(super) fn compile(
        mode: Mode,
        generation: u64,
        rules: Arc<[Rule]>,
        reaching: &[(u32, Option<Arc<str>>)],
    ) -> Self {
        let (mut allow, mut deny) = (Side::default(), Side::default());
        let (mut via, mut groups) = (HashMap::new(), Vec::new());
        let mut reaching: Vec<_> = reaching.iter().collect();
        // Where several rules say the same, the first of the files is named.
        reaching.sort_by_key(|(id, _)| *id);
        for (id, group) in reaching {
            let Some(rule) = rules.get(*id as usize) else { continue };
            if let Some(group) = group {
                via.entry(*id).or_insert_with(|| Arc::clone(group));
                groups.push(Arc::clone(group));
            }
            match rule.effect {
                Effect::Grant => allow.add(rule, *id),
                Effect::Deny => deny.add(rule, *id),
            }
        }
        groups.sort_unstable();
        groups.dedup();
        Self { mode, generation, rules, allow, deny, via, groups }
    }

    /// The policy generation that they were compiled from.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The groups that at least one rule comes through, sorted.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    /// Where a rule stands and how it reached the principal.
    pub fn explain(&self, rule: RuleId) -> Option<Explanation> {
        let found = self.rules.get(rule.0 as usize)?;
        Some(Explanation {
            file: Arc::clone(&found.file),
            line: found.at.0,
            group: self.via.get(&rule.0).cloned(),
        })
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// The GRANT on the resource or one of its parents. What lies in a keyspace of Cassandra's own is
    /// reached by exact names only.
    pub(super) fn granted(&self, need: &Need<'_>) -> Option<RuleId> {
        let exact_only = need.resource.keyspace().is_some_and(is_system);
        self.allow.upwards(need.permission, &need.resource, exact_only).map(RuleId)
    }

    /// The DENY on the resource or one of its parents; a DROP is also denied by what the resource contains.
    pub(super) fn denied(&self, need: &Need<'_>) -> Option<RuleId> {
        let within = || match need.permission {
            Permission::Drop => self.deny.drop_within(&need.resource),
            _ => None,
        };
        self.deny.upwards(need.permission, &need.resource, false).or_else(within).map(RuleId)
    }
}

/// The rules of one effect.
#[derive(Debug, Default)]
struct Side {
    root: Cell,
    keyspaces: HashMap<Box<str>, Keyspace>,
    patterns: Vec<(Name, Keyspace)>,
    /// The first rule for DROP on anything below the root.
    drop_within: Option<u32>,
}

/// What stands on one keyspace, or on those of one pattern.
#[derive(Debug, Default)]
struct Keyspace {
    itself: Cell,
    all_tables: Cell,
    tables: HashMap<Box<str>, Cell>,
    patterns: Vec<(Name, Cell)>,
    /// The first rule for DROP on a table of it.
    drop_in_tables: Option<u32>,
}

/// The permissions that stand on one resource, and the first rule for each.
#[derive(Debug, Default)]
struct Cell {
    permissions: Permissions,
    rules: [u32; Permission::ALL.len()],
}

impl Cell {
    fn add(&mut self, permissions: Permissions, id: u32) {
        for permission in permissions.without(self.permissions).iter() {
            self.permissions.add(permission);
            if let Some(slot) = self.rules.get_mut(permission as usize) {
                *slot = id;
            }
        }
    }

    fn get(&self, permission: Permission) -> Option<u32> {
        if self.permissions.has(permission) { self.rules.get(permission as usize).copied() } else { None }
    }
}

impl Side {
    fn add(&mut self, rule: &Rule, id: u32) {
        let drops = rule.permissions.has(Permission::Drop);
        let permissions = rule.permissions;
        let Some(name) = rule.scope.keyspace() else {
            self.root.add(permissions, id);
            return;
        };
        if drops {
            self.drop_within.get_or_insert(id);
        }
        let keyspace = match name {
            Name::Exact(name) => self.keyspaces.entry(name.clone()).or_default(),
            Name::Pattern(_) => of_pattern(&mut self.patterns, name),
        };
        match &rule.scope {
            Scope::AllKeyspaces => {}
            Scope::Keyspace(_) => keyspace.itself.add(permissions, id),
            Scope::AllTables(_) => keyspace.all_tables.add(permissions, id),
            Scope::Table { table, .. } => {
                if drops {
                    keyspace.drop_in_tables.get_or_insert(id);
                }
                let cell = match table {
                    Name::Exact(table) => keyspace.tables.entry(table.clone()).or_default(),
                    Name::Pattern(_) => of_pattern(&mut keyspace.patterns, table),
                };
                cell.add(permissions, id);
            }
        }
    }

    /// The most exact rule on the resource or one of its parents.
    fn upwards(&self, permission: Permission, resource: &Resource<'_>, exact_only: bool) -> Option<u32> {
        let Some(keyspace) = resource.keyspace() else {
            return self.root.get(permission);
        };
        let found = self.keyspaces.get(keyspace).and_then(|k| k.upwards(permission, resource, exact_only));
        if found.is_some() || exact_only {
            return found;
        }
        self.matching(keyspace)
            .find_map(|k| k.upwards(permission, resource, false))
            .or_else(|| self.root.get(permission))
    }

    /// The rule for DROP on something that the resource contains.
    fn drop_within(&self, resource: &Resource<'_>) -> Option<u32> {
        let Some(keyspace) = resource.keyspace() else { return self.drop_within };
        let exact = self.keyspaces.get(keyspace).and_then(|k| k.drop_within(resource));
        exact.or_else(|| self.matching(keyspace).find_map(|k| k.drop_within(resource)))
    }

    fn matching<'a>(&'a self, keyspace: &'a str) -> impl Iterator<Item = &'a Keyspace> {
        self.patterns.iter().filter(|(name, _)| name.matches(keyspace)).map(|(_, k)| k)
    }
}

impl Keyspace {
    fn upwards(&self, permission: Permission, resource: &Resource<'_>, exact_only: bool) -> Option<u32> {
        let table = match resource {
            Resource::Table { table, .. } => self.table(permission, table, exact_only),
            _ => None,
        };
        let all_tables = || match resource {
            Resource::Table { .. } | Resource::AllTables(_) => self.all_tables.get(permission),
            _ => None,
        };
        table.or_else(all_tables).or_else(|| self.itself.get(permission))
    }

    fn table(&self, permission: Permission, table: &str, exact_only: bool) -> Option<u32> {
        let exact = self.tables.get(table).and_then(|cell| cell.get(permission));
        if exact.is_some() || exact_only {
            return exact;
        }
        self.patterns.iter().find_map(|(name, cell)| cell.get(permission).filter(|_| name.matches(table)))
    }

    fn drop_within(&self, resource: &Resource<'_>) -> Option<u32> {
        match resource {
            Resource::Keyspace(_) => self.all_tables.get(Permission::Drop).or(self.drop_in_tables),
            Resource::AllTables(_) => self.drop_in_tables,
            _ => None,
        }
    }
}

/// The entry of a pattern in a list, made if it is not there.
fn of_pattern<'a, T: Default>(list: &'a mut Vec<(Name, T)>, name: &Name) -> &'a mut T {
    let index = list.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
        list.push((name.clone(), T::default()));
        list.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "the index was just found or just pushed")]
    &mut list[index].1
}
