//! The policy of one cluster as an immutable value, and the way from it to a principal's [`Grants`].
//!
//! In: policy files, once per reload; a principal and a snapshot of the directory, once per log-in and
//! whenever either moves. Out: [`Grants`], the names to pin, findings.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, PolicyFile};
use super::grants::Grants;
use super::parser::{World, parse};
use super::rule::{Effect, Grantee, Rule};
use super::validate;
use crate::config::diagnostic::Diagnostic;
use crate::config::limits;
use crate::config::model::{Cluster, Config, Mode};
use crate::directory::State;
use crate::directory::state::{PinKind, PinName};
use crate::principal::{Person, Principal};

/// Where a cluster's policy comes from and what it may refer to.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The folder that the patterns are relative to.
    pub(super) base: PathBuf,
    /// File patterns, as configured.
    pub(super) patterns: Vec<String>,
    /// What a refusal does.
    pub(super) mode: Mode,
    pub(super) world: World,
}

/// The compiled policy of one cluster: immutable, one a reload.
#[derive(Debug)]
pub struct PolicySet {
    generation: u64,
    mode: Mode,
    identities: Vec<Arc<str>>,
    rules: Arc<[Rule]>,
    /// The rules for everybody, or for everybody of an identity.
    everyone: Vec<u32>,
    /// The rules of each user, group and service that is named.
    by_grantee: HashMap<Grantee, Vec<u32>>,
    /// The named users and groups that a DENY stands for.
    denied: Vec<PinName>,
    warnings: Vec<Diagnostic>,
}

impl PolicySource {
    /// The source of `cluster`, of the configuration file that lies in `base`.
    pub fn new(base: &Path, config: &Config, cluster: &Cluster) -> Self {
        let accepted = |name: &String| cluster.identities.is_empty() || cluster.identities.contains(name);
        let identities: Vec<Arc<str>> = config
            .identity
            .iter()
            .map(|i| &i.name)
            .filter(|n| accepted(n))
            .map(|n| n.as_str().into())
            .collect();
        let services = config.service.iter().filter(|s| accepted(&s.identity));
        let services = services.map(|s| (s.identity.as_str().into(), s.name.as_str().into())).collect();
        Self {
            base: base.to_owned(),
            patterns: cluster.policies.clone(),
            mode: cluster.mode,
            world: World { identities, services },
        }
    }
}

impl PolicySet {
    /// Reads, parses and checks the files of `source`. Warnings stay with the set; one error refuses it.
    pub fn load(source: &PolicySource, generation: u64) -> Result<Self, Vec<Diagnostic>> {
        Self::compile(source, &files::read(&source.base, &source.patterns)?, generation)
    }

    /// Parses and checks files that were read before.
    pub(super) fn compile(
        source: &PolicySource,
        files: &[PolicyFile],
        generation: u64,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (mut rules, mut findings) = (Vec::new(), Vec::new());
        for file in files {
            let (more, wrong) = parse(&file.name, &file.text, &source.world);
            rules.extend(more);
            findings.extend(wrong);
            findings.truncate(limits::POLICY_FINDINGS);
            if rules.len() > limits::POLICY_RULES {
                findings.push(
                    Diagnostic::error(
                        &file.name,
                        (1, 1),
                        format!("more than {} rules", limits::POLICY_RULES),
                    )
                    .help("grant to groups instead of single users, or use patterns"),
                );
                break;
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let mut warnings = validate::warnings(&rules);
        warnings.truncate(limits::POLICY_FINDINGS);
        Ok(Self::index(source.mode, source.world.identities.clone(), rules, generation, warnings))
    }

    pub(super) fn index(
        mode: Mode,
        identities: Vec<Arc<str>>,
        rules: Vec<Rule>,
        generation: u64,
        warnings: Vec<Diagnostic>,
    ) -> Self {
        let mut everyone = Vec::new();
        let mut by_grantee: HashMap<Grantee, Vec<u32>> = HashMap::new();
        let mut denied = Vec::new();
        for (id, rule) in (0_u32..).zip(&rules) {
            if matches!(rule.grantee, Grantee::Everyone { .. }) {
                everyone.push(id);
                continue;
            }
            by_grantee.entry(rule.grantee.clone()).or_default().push(id);
            if let (Effect::Deny, Grantee::Named(pin)) = (rule.effect, &rule.grantee) {
                denied.push(pin.clone());
            }
        }
        denied.sort_unstable();
        denied.dedup();
        Self { generation, mode, identities, rules: rules.into(), everyone, by_grantee, denied, warnings }
    }

    /// Counts up with each reload.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many rules it has.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// What its author should look at.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The names that the directory has to pin: each user and group that is named, once.
    pub fn pin_names(&self) -> Vec<PinName> {
        let mut names: Vec<_> = self
            .by_grantee
            .keys()
            .filter_map(|grantee| match grantee {
                Grantee::Named(pin) => Some(pin.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names
    }

    pub(super) fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// What `principal` may do: its groups are read from `directory` now, so build it anew when the
    /// principal's epoch moves. Who is not active, not there or not of the cluster's identities may
    /// nothing, whatever the mode.
    pub fn grants_for(&self, principal: &Principal, directory: &State) -> Grants {
        let identity = principal.identity();
        if !self.identities.contains(identity) {
            return Grants::nobody(self.generation);
        }
        let mut reaching = Vec::new();
        match principal {
            Principal::Service(service) => {
                let grantee = Grantee::Service {
                    identity: Arc::clone(&service.identity),
                    name: Arc::clone(&service.name),
                };
                self.take(&grantee, None, |_| true, &mut reaching);
            }
            Principal::Person(person) => {
                if self.reach_person(person, directory, &mut reaching).is_none() {
                    return Grants::nobody(self.generation);
                }
            }
        }
        for &id in &self.everyone {
            let grantee = self.rules.get(id as usize).map(|rule| &rule.grantee);
            if let Some(Grantee::Everyone { identity: only }) = grantee
                && only.as_ref().is_none_or(|only| only == identity)
            {
                reaching.push((id, None));
            }
        }
        Grants::compile(self.mode, self.generation, Arc::clone(&self.rules), &reaching)
    }

    /// The rules that reach a person by name or through a group; `None` if there is no such active person.
    fn reach_person(
        &self,
        person: &Person,
        directory: &State,
        reaching: &mut Vec<(u32, Option<Arc<str>>)>,
    ) -> Option<()> {
        let namespace = directory.namespace(&person.identity)?;
        let user = namespace.users.get(&person.id).filter(|user| user.active)?;
        let member_of = namespace.groups_of.get(&person.id);
        let groups =
            member_of.into_iter().flat_map(|ids| ids.iter()).filter_map(|id| namespace.groups.get(id));
        let named = |kind, name: &Arc<str>| PinName {
            identity: Arc::clone(&person.identity),
            kind,
            name: Arc::clone(name),
        };
        // By the names that they have now: a DENY always, a GRANT only if the name is pinned to this id.
        let mut by_name = |pin: PinName, id: &Arc<str>, group: Option<&Arc<str>>| {
            let pinned = directory.pins.get(&pin) == Some(id);
            let grantee = Grantee::Named(pin);
            self.take(&grantee, group, |effect| pinned || effect == Effect::Deny, reaching);
        };
        by_name(named(PinKind::User, &user.user_name), &user.id, None);
        for group in groups {
            by_name(named(PinKind::Group, &group.display_name), &group.id, Some(&group.display_name));
        }
        // By the ids that the names of DENYs are pinned to, whatever these are called now.
        for pin in self.denied.iter().filter(|pin| pin.identity == person.identity) {
            let Some(id) = directory.pins.get(pin) else { continue };
            let (reached, group) = match pin.kind {
                PinKind::User => (*id == person.id, None),
                PinKind::Group => (
                    member_of.is_some_and(|ids| ids.contains(id)),
                    namespace.groups.get(id).map(|g| &g.display_name),
                ),
            };
            if reached {
                self.take(&Grantee::Named(pin.clone()), group, |effect| effect == Effect::Deny, reaching);
            }
        }
        Some(())
    }

    /// Adds the rules of a grantee whose effect `applies`.
    fn take(
        &self,
        grantee: &Grantee,
        group: Option<&Arc<str>>,
        applies: impl Fn(Effect) -> bool,
        reaching: &mut Vec<(u32, Option<Arc<str>>)>,
    ) {
        for &id in self.by_grantee.get(grantee).into_iter().flatten() {
            if self.rules.get(id as usize).is_some_and(|rule| applies(rule.effect)) {
                reaching.push((id, group.cloned()));
            }
        }
    }
}
