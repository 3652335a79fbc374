//! What a policy says that its author probably did not mean.
//!
//! In: parsed rules, and what the directory and the schema know. Out: warnings. A GRANT that a DENY covers
//! is no error on purpose: `DENY ALL ON ALL KEYSPACES TO EVERYONE` in an emergency must be taken at once.

use cqlgate_protocol::cql::Permission;

use super::pattern::Name;
use super::rule::{Effect, Grantee, Rule, Scope, is_system};
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
    /// The table that a view is made of; `None` if there is no such view.
    fn base_of(&self, keyspace: &str, view: &str) -> Option<&str>;
    /// The functions and aggregates of that name: of each the types of its arguments in canonical form,
    /// joined by `, `.
    fn functions(&self, keyspace: &str, name: &str) -> Vec<String>;
}

/// What can be said from the files alone.
pub(super) fn warnings(rules: &[Rule]) -> Vec<Diagnostic> {
    let denies: Vec<&Rule> = rules.iter().filter(|r| r.effect == Effect::Deny).collect();
    let mut found = Vec::new();
    for rule in rules.iter().filter(|r| r.effect == Effect::Grant) {
        found.extend(covered(rule, &denies));
        found.extend(system_pattern(rule));
        found.extend(impossible(rule));
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
            let keyspace = scope.keyspace().filter(|_| scope.is_data());
            matches!(keyspace, Some(Name::Pattern(p)) if p.to_ascii_lowercase().starts_with("system"))
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

/// A GRANT of nothing but what Cassandra lets nobody do in its own keyspaces.
fn impossible(grant: &Rule) -> Option<Diagnostic> {
    let possible = grant.scope.possible();
    let left = grant.permissions.without(grant.permissions.without(possible));
    left.is_empty().then(|| {
        let takes: Vec<_> = possible.iter().map(Permission::as_str).collect();
        let message = format!("Cassandra lets nobody do this on {}", grant.scope);
        Diagnostic::warning(&grant.file, grant.at, message).help(format!("it takes {}", takes.join(", ")))
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

    /// Keyspaces, tables and functions that are named exactly and do not exist, and GRANTs on views that
    /// Cassandra decides by the view's base.
    pub fn check_schema(&self, schema: &dyn Catalogue) -> Vec<Diagnostic> {
        let about = |rule: &Rule| {
            let (message, help) = missing(&rule.scope, schema).or_else(|| of_a_view(rule, schema))?;
            Some(Diagnostic::warning(&rule.file, rule.scope_at, message).help(help))
        };
        self.all().iter().filter_map(about).take(crate::config::limits::POLICY_FINDINGS).collect()
    }
}

/// What a rule names that is not there.
fn missing(scope: &Scope, schema: &dyn Catalogue) -> Option<(String, String)> {
    let help = "the rule stands for when there is one; names without quotes are lower case".to_owned();
    if let Some(Name::Exact(k)) = scope.keyspace()
        && !schema.has_keyspace(k)
    {
        return Some((format!("there is no keyspace {k:?}"), help));
    }
    match scope {
        Scope::Table { keyspace: Name::Exact(k), table: Name::Exact(t) } if !schema.has_table(k, t) => {
            Some((format!("there is no table {k:?}.{t:?}"), help))
        }
        Scope::Function { keyspace: Name::Exact(k), name: Name::Exact(f), arguments } => {
            let overloads = schema.functions(k, f);
            if overloads.iter().any(|found| **found == **arguments) {
                return None;
            }
            let help = match overloads.as_slice() {
                [] => help,
                found => {
                    let forms: Vec<_> = found.iter().map(|a| format!("{f}({a})")).collect();
                    format!("there is {}; write the types of one", forms.join(", "))
                }
            };
            Some((format!("there is no function {k:?}.{f:?}({arguments})"), help))
        }
        _ => None,
    }
}

/// A GRANT that says nothing about a view but what Cassandra asks of its base.
fn of_a_view(rule: &Rule, schema: &dyn Catalogue) -> Option<(String, String)> {
    let Scope::Table { keyspace: Name::Exact(k), table: Name::Exact(v) } = &rule.scope else { return None };
    let of_the_base = [Permission::Select, Permission::Alter, Permission::Drop].into_iter().collect();
    if rule.effect == Effect::Deny || !rule.permissions.without(of_the_base).is_empty() {
        return None;
    }
    let base = schema.base_of(k, v)?;
    Some((
        format!("{k:?}.{v:?} is a view: this GRANT permits nothing"),
        format!("grant SELECT on its base {k:?}.{base:?} to read it, ALTER to change or drop it"),
    ))
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
