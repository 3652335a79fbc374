//! The decider once more, as plainly as the rules can be said: no index, no compiled form, nothing shared
//! with the real one but the parsed rules. The tests hold the two against each other.

use cqlgate_protocol::cql::{Need, Permission, Resource};

use super::pattern::Name;
use super::rule::{Effect, Grantee, Rule, Scope};
use crate::directory::State;
use crate::directory::state::PinKind;
use crate::principal::Principal;

/// Which need fails first, and whether a DENY did it; `Ok` if all are permitted.
pub(super) fn judge(
    rules: &[Rule],
    identities: &[&str],
    directory: &State,
    who: &Principal,
    needs: &[Need<'_>],
    named: &[Need<'_>],
) -> Result<(), (usize, bool)> {
    if !accepted(identities, directory, who) {
        return if needs.is_empty() { Ok(()) } else { Err((0, false)) };
    }
    for (i, need) in needs.iter().chain(named).enumerate() {
        let of = |effect: Effect, permission: Permission| {
            rules.iter().any(|r| {
                r.effect == effect
                    && reaches(r, identities, directory, who)
                    && r.permissions.has(permission)
                    && match effect {
                        Effect::Grant => grant_covers(&r.scope, &need.resource),
                        Effect::Deny => deny_covers(&r.scope, permission, &need.resource),
                    }
            })
        };
        let either: Vec<Permission> = [Some(need.permission), need.or].into_iter().flatten().collect();
        let denied = |p: &Permission| of(Effect::Deny, *p);
        if i >= needs.len() {
            if either.iter().all(denied) {
                return Err((i, true));
            }
        } else if !either.iter().any(|p| !denied(p) && of(Effect::Grant, *p)) {
            return Err((i, either.iter().any(denied)));
        }
    }
    Ok(())
}

fn accepted(identities: &[&str], directory: &State, who: &Principal) -> bool {
    identities.iter().any(|i| **i == **who.identity())
        && match who {
            Principal::Service(_) => true,
            Principal::Person(p) => directory.user(&p.identity, &p.id).is_some_and(|u| u.active),
        }
}

fn reaches(rule: &Rule, identities: &[&str], directory: &State, who: &Principal) -> bool {
    if !accepted(identities, directory, who) {
        return false;
    }
    match (&rule.grantee, who) {
        (Grantee::Everyone { identity }, who) => {
            identity.is_none() || identity.as_ref() == Some(who.identity())
        }
        (Grantee::Service { identity, name }, Principal::Service(s)) => {
            *identity == s.identity && *name == s.name
        }
        (Grantee::Named(pin), Principal::Person(person)) => {
            if pin.identity != person.identity {
                return false;
            }
            let Some(namespace) = directory.namespace(&pin.identity) else { return false };
            // Everything that the person is: id and present name.
            let mut is: Vec<(&str, &str)> = Vec::new();
            if pin.kind == PinKind::User {
                is.extend(namespace.users.get(&person.id).map(|u| (&*u.id, &*u.user_name)));
            } else {
                let groups = namespace.groups.values().filter(|g| g.members.contains(&person.id));
                is.extend(groups.map(|g| (&*g.id, &*g.display_name)));
            }
            let pinned = |id: &str| directory.pins.get(pin).is_some_and(|p| **p == *id);
            is.iter().any(|&(id, name)| match rule.effect {
                Effect::Grant => pinned(id) && *name == *pin.name,
                Effect::Deny => pinned(id) || *name == *pin.name,
            })
        }
        _ => false,
    }
}

/// Is the rule's resource this very one?
fn is(scope: &Scope, resource: &Resource<'_>) -> bool {
    match (scope, resource) {
        (Scope::AllKeyspaces, Resource::AllKeyspaces)
        | (Scope::AllFunctions, Resource::AllFunctions)
        | (Scope::AllRoles, Resource::AllRoles)
        | (Scope::AllMbeans, Resource::AllMbeans) => true,
        (Scope::Keyspace(a), Resource::Keyspace(b))
        | (Scope::AllTables(a), Resource::AllTables(b))
        | (Scope::FunctionsIn(a), Resource::FunctionsIn(b))
        | (Scope::Role(a), Resource::Role(b)) => meant(a, b),
        (Scope::Table { keyspace, table }, Resource::Table { keyspace: k, table: t }) => {
            meant(keyspace, k) && meant(table, t)
        }
        (
            Scope::Function { keyspace, name, arguments },
            Resource::Function { keyspace: k, name: f, arguments: a },
        ) => meant(keyspace, k) && meant(name, f) && **arguments == **a,
        (Scope::Mbean(a), Resource::Mbean(b)) => **a == **b,
        _ => false,
    }
}

/// The resource and everything that it lies in.
fn chain<'a>(resource: &Resource<'a>) -> Vec<Resource<'a>> {
    let mut all = vec![resource.clone()];
    all.extend(resource.parents());
    if resource.keyspace().is_some() {
        all.push(Resource::AllKeyspaces);
    }
    all
}

fn grant_covers(scope: &Scope, resource: &Resource<'_>) -> bool {
    let wide = match scope {
        Scope::AllKeyspaces | Scope::Keyspace(Name::Pattern(_)) | Scope::AllTables(Name::Pattern(_)) => true,
        Scope::Table { keyspace, table } => [keyspace, table].iter().any(|n| n.as_str().contains('*')),
        _ => false,
    };
    let system = resource.keyspace().is_some_and(|k| k.starts_with("system"));
    !(system && wide) && chain(resource).iter().any(|r| is(scope, r))
}

fn deny_covers(scope: &Scope, permission: Permission, resource: &Resource<'_>) -> bool {
    let bean = match (scope, resource) {
        (Scope::Mbean(a), Resource::Mbean(b)) => like(a, b),
        _ => false,
    };
    let contained = match (scope, resource) {
        (Scope::AllKeyspaces, Resource::AllKeyspaces)
        | (Scope::AllFunctions, Resource::AllKeyspaces | Resource::Keyspace(_))
        | (Scope::FunctionsIn(_) | Scope::Function { .. }, Resource::AllFunctions)
        | (Scope::Role(_), Resource::AllRoles) => true,
        (s, Resource::AllKeyspaces) => s.keyspace().is_some(),
        (s, Resource::Keyspace(k)) => s.keyspace().is_some_and(|n| meant(n, k)),
        (s @ Scope::Table { .. }, Resource::AllTables(k))
        | (s @ Scope::Function { .. }, Resource::FunctionsIn(k)) => s.keyspace().is_some_and(|n| meant(n, k)),
        _ => false,
    };
    bean || chain(resource).iter().any(|r| is(scope, r)) || (permission == Permission::Drop && contained)
}

fn meant(name: &Name, is: &str) -> bool {
    match name {
        Name::Exact(text) => **text == *is,
        Name::Pattern(text) => like(text, is),
    }
}

fn like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|i| tail.get(i..).is_some_and(|t| like(rest, t)))),
    }
}
