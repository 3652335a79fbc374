//! What the audit log says of a SCIM write: which provider, which resource, what it was and what it is.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use super::error::ScimError;
use super::token::Provider;
use crate::audit::{Event, Kind as EventKind, Verdict, Who};
use crate::directory::schema::Kind;
use crate::directory::{Group, Id, MemberChange, Namespace, User};

/// Names of members that an event spells out; of more it says how many.
const NAMES: usize = 20;

/// The event of a write.
pub(super) fn event(
    provider: &Provider,
    client: Option<SocketAddr>,
    method: &'static str,
    (kind, id): (Kind, &str),
    outcome: Result<&str, &ScimError>,
) -> Event {
    let (verdict, reason) = match outcome {
        Ok(summary) => (Verdict::Permitted, summary.to_owned()),
        Err(error) => (Verdict::Refused, format!("{} {error}", error.status.as_str())),
    };
    let who = Who {
        kind: "provider",
        identity: provider.identity.clone(),
        scim_id: None,
        name: provider.identity.clone(),
        issuer: "".into(),
        subject: "".into(),
        token_id: provider.token_id.clone(),
    };
    Event {
        client,
        who: Some(Arc::new(who)),
        statement: Some(method),
        resources: vec![format!("{}/{id}", kind.endpoint())],
        reason: Some(reason),
        ..Event::new(EventKind::Scim, verdict)
    }
}

/// What became of a user.
pub(super) fn user(before: Option<&User>, after: Option<&User>) -> String {
    match (before, after) {
        (None, Some(after)) => format!(
            "created user {:?}, externalId {:?}, active {}",
            after.user_name, after.external_id, after.active
        ),
        (Some(before), None) => format!("deleted user {:?}", before.user_name),
        (Some(before), Some(after)) => {
            let mut summary = format!("user {:?}", before.user_name);
            let mut say = |what: &str, old: String, new: String| {
                if old != new {
                    // Writing to a string does not fail.
                    let _ = write!(summary, ", {what} {old} -> {new}");
                }
            };
            say("userName", format!("{:?}", before.user_name), format!("{:?}", after.user_name));
            say("externalId", format!("{:?}", before.external_id), format!("{:?}", after.external_id));
            say("active", before.active.to_string(), after.active.to_string());
            if before.attributes != after.attributes {
                summary.push_str(", other attributes changed");
            }
            summary
        }
        (None, None) => String::new(),
    }
}

/// What became of a group.
pub(super) fn group(
    before: Option<&Group>,
    after: Option<&Group>,
    change: &MemberChange,
    namespace: &Namespace,
) -> String {
    let Some(shown) = before.or(after) else { return String::new() };
    let had = before.map_or(0, |before| before.members.size());
    let mut summary = match (before, after) {
        (None, _) => format!("created group {:?}", shown.display_name),
        (Some(_), None) => return format!("deleted group {:?} with {had} members", shown.display_name),
        (Some(before), Some(after)) if before.display_name != after.display_name => {
            format!("group {:?} -> {:?}", before.display_name, after.display_name)
        }
        _ => format!("group {:?}", shown.display_name),
    };
    let has = had + change.added.len() - change.removed.len().min(had);
    let _ = write!(summary, ", members {had} -> {has}");
    for (what, ids) in [("joined", &change.added), ("left", &change.removed)] {
        if !ids.is_empty() {
            let _ = write!(summary, ", {what}: {}", names(ids, namespace));
        }
    }
    summary
}

fn names(ids: &[Id], namespace: &Namespace) -> String {
    let name = |id: &Id| namespace.users.get(id).map_or_else(|| id.clone(), |user| user.user_name.clone());
    let shown: Vec<String> = ids.iter().take(NAMES).map(|id| format!("{:?}", name(id))).collect();
    let mut text = shown.join(", ");
    if ids.len() > NAMES {
        let _ = write!(text, " and {} more", ids.len() - NAMES);
    }
    text
}
