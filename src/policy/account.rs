//! What the gateway's own account must hold in Cassandra for a policy to work.
//!
//! In: the GRANTs of a policy. Out: statements of CQL for a superuser to run. Cassandra judges the account on
//! everything that is forwarded, so it needs what anybody may do through it, and no more.

use cqlgate_protocol::cql::Permission;

use super::pattern::Name;
use super::rule::{Effect, Permissions, Scope, is_system};
use super::set::PolicySet;

/// The tables by which the gateway tells which roles are superusers.
const ROLE_TABLES: [&str; 3] = ["roles", "role_members", "identity_to_role"];

impl PolicySet {
    /// What the service account must hold in Cassandra for these rules to work: each resource of a GRANT
    /// with its permissions, as statements of CQL to `role`. Patterns need more than one resource and are
    /// asked for on what contains all of them. Where statements on roles may be permitted, the gateway
    /// itself reads who is a superuser. What Cassandra grants nobody is left out.
    pub fn account_grants(&self, role: &str) -> Vec<String> {
        let mut wanted: Vec<(Scope, Permissions)> = Vec::new();
        let mut want =
            |scope: Scope, permissions: Permissions| match wanted.iter_mut().find(|(s, _)| *s == scope) {
                Some((_, known)) => permissions.iter().for_each(|p| known.add(p)),
                None => wanted.push((scope, permissions)),
            };
        let mut roles = false;
        for rule in self.all().iter().filter(|rule| rule.effect == Effect::Grant) {
            let possible = rule.scope.possible();
            let permissions = rule.permissions.iter().filter(|p| possible.has(*p)).collect();
            want(without_patterns(&rule.scope), permissions);
            roles |= matches!(rule.scope, Scope::AllRoles | Scope::Role(_));
        }
        for table in ROLE_TABLES.into_iter().filter(|_| roles) {
            let scope = Scope::Table {
                keyspace: Name::Exact("system_auth".into()),
                table: Name::Exact(table.into()),
            };
            want(scope, [Permission::Select].into_iter().collect());
        }
        let role = Name::Exact(role.into());
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
            lines.extend(left.iter().map(|permission| {
                format!("GRANT {permission} ON {scope} TO {role};{}", since(permission, scope))
            }));
        }
        lines
    }
}

/// A comment on what older releases do not know.
fn since(permission: Permission, scope: &Scope) -> &'static str {
    let identities =
        |scope: &Scope| matches!(scope, Scope::Table { table, .. } if table.as_str() == "identity_to_role");
    match permission {
        Permission::Unmask | Permission::SelectMasked => " -- Cassandra 5.0",
        _ if identities(scope) => " -- Cassandra 5.0",
        _ if matches!(scope, Scope::AllTables(_)) => " -- Cassandra 4.1",
        _ => "",
    }
}

/// The narrowest resource that Cassandra has for all that is meant.
fn without_patterns(scope: &Scope) -> Scope {
    match scope {
        Scope::Table { keyspace: Name::Exact(k), table: Name::Pattern(_) } => {
            Scope::AllTables(Name::Exact(k.clone()))
        }
        Scope::Function { keyspace: Name::Exact(k), name: Name::Pattern(_), .. } => {
            Scope::FunctionsIn(Name::Exact(k.clone()))
        }
        Scope::FunctionsIn(Name::Pattern(_)) | Scope::Function { keyspace: Name::Pattern(_), .. } => {
            Scope::AllFunctions
        }
        Scope::Role(Name::Pattern(_)) => Scope::AllRoles,
        scope if matches!(scope.keyspace(), Some(Name::Pattern(_))) => Scope::AllKeyspaces,
        scope => scope.clone(),
    }
}
