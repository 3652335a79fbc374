//! What one principal may do, compiled: only the rules that reach it, by kind of resource and by name.
//!
//! In: the rules that reach a principal. Out: for a need the rule that grants or denies it. A look-up walks
//! from the resource to its parents ([`super::tree`]); it neither allocates nor locks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cqlgate_protocol::cql::{Need, Permission, Resource};

use super::decide::RuleId;
use super::mbean;
use super::rule::{Effect, Rule, Scope, is_system};
use super::tree::{Cell, Kind, Tree, place_of, place_of_rule};
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
    pub(crate) fn nobody(generation: u64) -> Self {
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

    /// Does a GRANT against which no DENY stands reach a keyspace or something in it? Cassandra's own keyspaces
    /// are no secret.
    pub fn reaches_keyspace(&self, keyspace: &str) -> bool {
        let name = || Cow::Borrowed(keyspace);
        let holds = |permission, resource: &Resource<'_>| self.judge_one(permission, resource).is_ok();
        let wide = [Resource::AllTables(name()), Resource::Keyspace(name()), Resource::FunctionsIn(name())];
        let undenied = |permission, resource: &Resource<'_>| self.deny.denied(permission, resource).is_none();
        let [tables, _, functions] = &wide;
        is_system(keyspace)
            || Permission::ALL.iter().any(|permission| wide.iter().any(|at| holds(*permission, at)))
            || self.allow.data.has_leaf(keyspace, |permission, leaf| match leaf {
                Some((table, _)) => {
                    holds(permission, &Resource::Table { keyspace: name(), table: table.into() })
                }
                None => undenied(permission, tables),
            })
            || self.allow.functions.has_leaf(keyspace, |permission, leaf| match leaf {
                Some((function, arguments)) => {
                    let (name, arguments) = (function.into(), arguments.into());
                    holds(
                        permission,
                        &Resource::Function { keyspace: Cow::Borrowed(keyspace), name, arguments },
                    )
                }
                None => undenied(permission, functions),
            })
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// The rule by which a need is met; or the DENY that stands against it, if one does. Where one of two
    /// permissions will do, each for itself has to be granted and not denied.
    pub(super) fn judge(&self, need: &Need<'_>) -> Result<RuleId, Option<RuleId>> {
        self.judge_one(need.permission, &need.resource).or_else(|denied| match need.or {
            None => Err(denied),
            Some(or) => self.judge_one(or, &need.resource).map_err(|other| denied.or(other)),
        })
    }

    /// The DENY that stands against a need, of each permission that would do.
    pub(super) fn denied(&self, need: &Need<'_>) -> Option<RuleId> {
        let rule = self.deny.denied(need.permission, &need.resource)?;
        if let Some(or) = need.or {
            self.deny.denied(or, &need.resource)?;
        }
        Some(RuleId(rule))
    }

    #[inline]
    fn judge_one(&self, permission: Permission, resource: &Resource<'_>) -> Result<RuleId, Option<RuleId>> {
        if let Some(rule) = self.deny.denied(permission, resource) {
            return Err(Some(RuleId(rule)));
        }
        self.allow.granted(permission, resource).map(RuleId).ok_or(None)
    }
}

/// The rules of one effect.
#[derive(Debug, Default)]
struct Side {
    data: Tree,
    functions: Tree,
    roles: Tree,
    mbeans: Tree,
    /// What stands on `MBeans` by their names, in the order of the rules.
    mbeans_named: Vec<(Box<str>, Cell)>,
}

impl Side {
    fn add(&mut self, rule: &Rule, id: u32) {
        if let Scope::Mbean(name) = &rule.scope {
            let mut cell = Cell::default();
            cell.add(rule.permissions, id);
            self.mbeans_named.push((name.clone(), cell));
        }
        if let (kind, Some(place)) = place_of_rule(&rule.scope) {
            self.tree_mut(kind).add(place, rule.permissions, id);
        }
    }

    fn tree_mut(&mut self, kind: Kind) -> &mut Tree {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Functions => &mut self.functions,
            Kind::Roles => &mut self.roles,
            Kind::Mbeans => &mut self.mbeans,
        }
    }

    fn tree(&self, kind: Kind) -> &Tree {
        match kind {
            Kind::Data => &self.data,
            Kind::Functions => &self.functions,
            Kind::Roles => &self.roles,
            Kind::Mbeans => &self.mbeans,
        }
    }

    /// Takes the rules as GRANTs: on the resource or one of its parents. Data in a keyspace of Cassandra's
    /// own is reached by exact names only, and an `MBean` by its name as it is written.
    #[inline]
    fn granted(&self, permission: Permission, resource: &Resource<'_>) -> Option<u32> {
        let (kind, place) = place_of(resource)?;
        let by_name = match resource {
            Resource::Mbean(name) => self.mbean(permission, |rule| *rule == **name),
            _ => None,
        };
        let exact_only = resource.keyspace().is_some_and(is_system);
        by_name.or_else(|| self.tree(kind).upwards(permission, place, exact_only))
    }

    /// Takes them as DENYs: on the resource or one of its parents; a DROP is also denied by what the resource
    /// contains. A keyspace contains its functions.
    #[inline]
    fn denied(&self, permission: Permission, resource: &Resource<'_>) -> Option<u32> {
        let (kind, place) = place_of(resource)?;
        let found = match resource {
            Resource::Mbean(name) => self.mbean(permission, |rule| mbean::means(rule, name)),
            _ => None,
        };
        let found = found.or_else(|| self.tree(kind).upwards(permission, place, false));
        if found.is_some() || permission != Permission::Drop {
            return found;
        }
        let functions = || match resource {
            Resource::AllKeyspaces | Resource::Keyspace(_) => self.functions.drop_around(place),
            _ => None,
        };
        self.tree(kind).drop_below(place).or_else(functions)
    }

    fn mbean(&self, permission: Permission, is_meant: impl Fn(&str) -> bool) -> Option<u32> {
        self.mbeans_named.iter().find_map(|(name, cell)| cell.get(permission).filter(|_| is_meant(name)))
    }
}
