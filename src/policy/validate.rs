//! What a policy says that its author probably did not mean.
//!
//! In: parsed rules, and what the directory and the schema know. Out: warnings. A GRANT that a DENY covers
//! is no error on purpose: `DENY ALL ON ALL KEYSPACES TO EVERYONE` in an emergency must be taken at once.

use cqlgate_protocol::cql::Permission;

use super::pattern::Name;
use super::rule::{Effect, Grantee, Permissions, Rule, Scope, is_system};
use super::set::PolicySet;
use crate::config::diagnostic::Diagnostic;
use crate::directory::State;
use crate::directory::state::{PinKind, PinName};

/// What a cluster's schema knows; the schema cache implements it.
pub trait Catalogue {
    /// Is there a keyspace of this (internal) name?
    fn has_keyspace(&self, keyspace: &str) -> bool;
    /// Is there a table or view of these (internal) names?
    fn has_table(&self, keyspace: &str, table: &str) -> bool;
}

/// What can be said from the files alone.
pub(super) fn warnings(rules: &[Rule]) -> Vec<Diagnostic> {
    let denies: Vec<&Rule> = rules.iter().filter(|r| r.effect == Effect::Deny).collect();
    let mut found = Vec::new();
    for rule in rules.iter().filter(|r| r.effect == Effect::Grant) {
        found.extend(covered(rule, &denies));
        found.extend(system_pattern(rule));
    }
    found
}

/// A GRANT of which DENYs leave nothing.
fn covered(grant: &Rule, denies: &[&Rule]) -> Option<Diagnostic> {
    let covers = |deny: &&&Rule| deny.scope.covers(&grant.scope) && deny.grantee.covers(&grant.grantee);
    let mut left = grant.permissions;
    let mut by = Vec::new();
    for deny in denies.iter().filter(covers) {
        let rest = left.without(deny.permissions);
        if rest != left {
            by.push(format!("{}:{}", deny.file, deny.at.0));
            left = rest;
        }
    }
    left.is_empty().then(|| {
        let message = format!("nothing of this GRANT is left: DENY at {} covers it", by.join(" and "));
        Diagnostic::warning(&grant.file, grant.at, message)
            .help("DENY wins, in any order; delete one of them")
    })
}

/// A pattern that looks as if it were meant for Cassandra's own keyspaces, which it never reaches.
fn system_pattern(grant: &Rule) -> Option<Diagnostic> {
    let meant = match &grant.scope {
        Scope::Table { keyspace: Name::Exact(k), table: Name::Pattern(_) } => is_system(k),
        scope => {
            matches!(scope.keyspace(), Some(Name::Pattern(p)) if p.to_ascii_lowercase().starts_with("system"))
        }
    };
    meant.then(|| {
        Diagnostic::warning(
            &grant.file,
            grant.scope_at,
            "a pattern grants nothing in Cassandra's own keyspaces",
        )
        .help("name the keyspace, or the table, exactly")
    })
}

impl PolicySet {
    /// Names of users and groups that the directory does not have, or has pinned elsewhere.
    pub fn check_directory(&self, directory: &State) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for rule in self.all() {
            let Grantee::Named(pin) = &rule.grantee else { continue };
            if !seen.insert(pin) {
                continue;
            }
            if let Some((message, help)) = about_name(pin, directory) {
                found.push(Diagnostic::warning(&rule.file, rule.grantee_at, message).help(help));
            }
            if found.len() >= crate::config::limits::POLICY_FINDINGS {
                break;
            }
        }
        found
    }

    /// Keyspaces and tables that are named exactly and do not exist.
    pub fn check_schema(&self, schema: &dyn Catalogue) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for rule in self.all() {
            let missing = match &rule.scope {
                Scope::Keyspace(Name::Exact(k))
                | Scope::AllTables(Name::Exact(k))
                | Scope::Table { keyspace: Name::Exact(k), .. }
                    if !schema.has_keyspace(k) =>
                {
                    Some(format!("there is no keyspace {k:?}"))
                }
                Scope::Table { keyspace: Name::Exact(k), table: Name::Exact(t) }
                    if !schema.has_table(k, t) =>
                {
                    Some(format!("there is no table {k:?}.{t:?}"))
                }
                _ => None,
            };
            if let Some(message) = missing {
                let help = "the rule stands for when there is one; names without quotes are lower case";
                found.push(Diagnostic::warning(&rule.file, rule.scope_at, message).help(help));
            }
            if found.len() >= crate::config::limits::POLICY_FINDINGS {
                break;
            }
        }
        found
    }

    /// What the service account must hold in Cassandra for these rules to work: each resource of a GRANT
    /// with its permissions, as statements of CQL to `role`. Patterns need more than one resource and are
    /// asked for on ALL KEYSPACES. AUTHORIZE and the permissions on masked columns are left out: no statement
    /// that needs them is forwarded yet.
    pub fn account_grants(&self, role: &str) -> Vec<String> {
        let mut wanted: Vec<(Scope, Permissions)> = Vec::new();
        for rule in self.all().iter().filter(|r| r.effect == Effect::Grant) {
            let scope = without_patterns(&rule.scope);
            match wanted.iter_mut().find(|(s, _)| *s == scope) {
                Some((_, permissions)) => rule.permissions.iter().for_each(|p| permissions.add(p)),
                None => wanted.push((scope, rule.permissions)),
            }
        }
        let mut lines = Vec::new();
        for (scope, permissions) in &wanted {
            let mut left = *permissions;
            for (wider, held) in wanted.iter().filter(|(s, _)| s != scope && s.covers(scope)) {
                // Cassandra does not let a grant on ALL KEYSPACES reach its own keyspaces.
                if *wider == Scope::AllKeyspaces && scope.keyspace().is_some_and(|k| is_system(k.as_str())) {
                    continue;
                }
                left = left.without(*held);
            }
            let role = role.replace('"', "\"\"");
            lines.extend(
                left.iter()
                    .filter(|p| used(*p))
                    .map(|permission| format!("GRANT {permission} ON {scope} TO \"{role}\";")),
            );
        }
        lines
    }
}

fn used(permission: Permission) -> bool {
    !matches!(permission, Permission::Authorize | Permission::Unmask | Permission::SelectMasked)
}

fn without_patterns(scope: &Scope) -> Scope {
    match scope {
        Scope::Table { keyspace: Name::Exact(k), table: Name::Pattern(_) } => {
            Scope::AllTables(Name::Exact(k.clone()))
        }
        scope if matches!(scope.keyspace(), Some(Name::Pattern(_))) => Scope::AllKeyspaces,
        scope => scope.clone(),
    }
}

/// What the directory says about a name of a rule, if something is odd.
fn about_name(pin: &PinName, directory: &State) -> Option<(String, &'static str)> {
    let word = match pin.kind {
        PinKind::User => "user",
        PinKind::Group => "group",
    };
    let namespace = directory.namespace(&pin.identity);
    let current = |id: &str| {
        let namespace = namespace?;
        match pin.kind {
            PinKind::User => namespace.users.get(id).map(|u| &u.user_name),
            PinKind::Group => namespace.groups.get(id).map(|g| &g.display_name),
        }
    };
    let holder = namespace.and_then(|n| match pin.kind {
        PinKind::User => n.user_named(&pin.name).map(|u| &u.user_name),
        PinKind::Group => n.group_named(&pin.name).map(|g| &g.display_name),
    });
    match (directory.pins.get(pin), holder) {
        (None, None) => Some((
            format!("identity {:?} has pushed no {word} {:?}", pin.identity, pin.name),
            "assign it to cqlgate at the identity provider; until then nobody is reached",
        )),
        (None, Some(name)) if *name != pin.name => Some((
            format!("identity {:?} has no {word} {:?}, but {name:?}", pin.identity, pin.name),
            "names are compared exactly: write it as the identity provider does",
        )),
        // The pin is about to be written.
        (None, Some(_)) => None,
        (Some(id), _) => match current(id) {
            Some(name) if *name == pin.name => None,
            now => {
                let now = now.map_or_else(|| "is gone".to_owned(), |name| format!("is now called {name:?}"));
                Some((
                    format!(
                        "the name {:?} is pinned to the {word} with SCIM id {id}, which {now}: a GRANT to it reaches nobody",
                        pin.name
                    ),
                    "write the new name; a name that was used before is not handed on",
                ))
            }
        },
    }
}
