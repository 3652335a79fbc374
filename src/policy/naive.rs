//! The decider once more, as plainly as the rules can be said: no index, no compiled form, nothing shared
//! with the real one but the parsed rules. The tests hold the two against each other.

use cqlgate_protocol::cql::{Need, Permission, Resource};

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
    for (i, need) in needs.iter().chain(named).enumerate() {
        let of = |effect: Effect| {
            rules.iter().any(|r| {
                r.effect == effect
                    && reaches(r, identities, directory, who)
                    && r.permissions.has(need.permission)
                    && match effect {
                        Effect::Grant => grant_covers(&r.scope, &need.resource),
                        Effect::Deny => deny_covers(&r.scope, need),
                    }
            })
        };
        if of(Effect::Deny) && accepted(identities, directory, who) {
            return Err((i, true));
        }
        if i < needs.len() && !of(Effect::Grant) {
            return Err((i, false));
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

/// The keyspace and table of a resource; `Some("*")`-free names, `None` where the level has none.
fn parts<'a>(resource: &'a Resource<'_>) -> (u8, &'a str, &'a str) {
    match resource {
        Resource::AllKeyspaces => (0, "", ""),
        Resource::Keyspace(k) => (1, k, ""),
        Resource::AllTables(k) => (2, k, ""),
        Resource::Table { keyspace, table } => (3, keyspace, table),
        _ => panic!("no such resource yet"),
    }
}

fn scope_parts(scope: &Scope) -> (u8, &str, &str) {
    match scope {
        Scope::AllKeyspaces => (0, "", ""),
        Scope::Keyspace(k) => (1, k.as_str(), ""),
        Scope::AllTables(k) => (2, k.as_str(), ""),
        Scope::Table { keyspace, table } => (3, keyspace.as_str(), table.as_str()),
    }
}

/// Is the rule's resource the needed one, or a parent of it?
fn at_or_above(scope: &Scope, resource: &Resource<'_>) -> bool {
    let ((level, k, t), (of, rk, rt)) = (scope_parts(scope), parts(resource));
    level <= of && (level < 1 || like(k, rk)) && (level < 3 || like(t, rt))
}

fn grant_covers(scope: &Scope, resource: &Resource<'_>) -> bool {
    let (level, k, t) = scope_parts(scope);
    let system = parts(resource).1.starts_with("system");
    at_or_above(scope, resource) && !(system && (level == 0 || k.contains('*') || t.contains('*')))
}

fn deny_covers(scope: &Scope, need: &Need<'_>) -> bool {
    let ((level, k, _), (of, rk, _)) = (scope_parts(scope), parts(&need.resource));
    let contained = level > of && (of == 0 || like(k, rk));
    at_or_above(scope, &need.resource) || (need.permission == Permission::Drop && contained)
}

fn like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).any(|i| tail.get(i..).is_some_and(|t| like(rest, t)))),
    }
}
