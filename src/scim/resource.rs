//! Between the directory's users and groups and their JSON.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::error::ScimError;
use super::project::Projection;
use super::values::{self, Document};
use crate::directory::filter::Resource;
use crate::directory::schema::Kind;
use crate::directory::{Group, Id, Namespace, User};

/// A new SCIM id: made in the order of time, never reassigned.
pub(super) fn new_id() -> Id {
    uuid::Uuid::now_v7().to_string().into()
}

/// What a document is before its first request.
pub(super) fn document_of_user(user: &User) -> Document {
    let mut document = Document::clone(&user.attributes);
    document.insert("userName".into(), Value::String(user.user_name.to_string()));
    document.insert("active".into(), Value::Bool(user.active));
    document.extend(external(user.external_id.as_deref()));
    document
}

/// What a group's document is; its members are kept apart.
pub(super) fn document_of_group(group: &Group) -> Document {
    let mut document = Document::clone(&group.attributes);
    document.insert("displayName".into(), Value::String(group.display_name.to_string()));
    document.extend(external(group.external_id.as_deref()));
    document
}

fn external(id: Option<&str>) -> Option<(String, Value)> {
    id.map(|id| ("externalId".to_owned(), Value::String(id.to_owned())))
}

/// Checks a document and makes it a user. `before`: the user that a PUT or PATCH replaces.
pub(super) fn user(mut document: Document, id: Id, before: Option<&User>) -> Result<User, ScimError> {
    let user_name = values::take_name(&mut document, "userName")?;
    let external_id = values::take_external_id(&mut document)?;
    // Nobody who was disabled gets back in because a PUT leaves `active` out.
    let active = match document.remove("active") {
        Some(Value::Bool(active)) => active,
        _ => before.is_none_or(|before| before.active),
    };
    Ok(User {
        id,
        external_id,
        user_name,
        active,
        attributes: shared(document, before.map(|before| &before.attributes)),
        created: OffsetDateTime::UNIX_EPOCH,
        last_modified: OffsetDateTime::UNIX_EPOCH,
        epoch: 0,
    })
}

/// Checks a document and makes it a group, without members.
pub(super) fn group(mut document: Document, id: Id, before: Option<&Group>) -> Result<Group, ScimError> {
    let display_name = values::take_name(&mut document, "displayName")?;
    let external_id = values::take_external_id(&mut document)?;
    Ok(Group {
        id,
        external_id,
        display_name,
        members: rpds::HashTrieSetSync::new_sync(),
        attributes: shared(document, before.map(|before| &before.attributes)),
        created: OffsetDateTime::UNIX_EPOCH,
        last_modified: OffsetDateTime::UNIX_EPOCH,
    })
}

fn shared(document: Document, before: Option<&Arc<Document>>) -> Arc<Document> {
    match before {
        Some(before) if **before == document => before.clone(),
        _ => Arc::new(document),
    }
}

/// The JSON of a resource, as far as it was asked for.
pub(super) fn render(resource: Resource<'_>, base: &str, projection: &Projection) -> Value {
    let (kind, mut shown, id, external_id, created, last_modified) = match resource {
        Resource::User(user, namespace) => {
            let mut shown = Map::clone(&user.attributes);
            shown.insert("userName".into(), Value::String(user.user_name.to_string()));
            shown.insert("active".into(), Value::Bool(user.active));
            if projection.wants("groups") {
                let groups = groups(user, namespace, base);
                if !groups.is_empty() {
                    shown.insert("groups".into(), Value::Array(groups));
                }
            }
            (Kind::User, shown, &user.id, &user.external_id, user.created, user.last_modified)
        }
        Resource::Group(group, _) => {
            let mut shown = Map::clone(&group.attributes);
            shown.insert("displayName".into(), Value::String(group.display_name.to_string()));
            if projection.wants("members") {
                shown.insert("members".into(), Value::Array(members(group, base)));
            }
            (Kind::Group, shown, &group.id, &group.external_id, group.created, group.last_modified)
        }
    };
    let mut schemas = vec![Value::String(kind.core().urn.to_owned())];
    let is_extension = |name: &&String| name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
    schemas.extend(shown.keys().filter(is_extension).cloned().map(Value::String));
    shown.insert("schemas".into(), Value::Array(schemas));
    shown.insert("id".into(), Value::String(id.to_string()));
    shown.extend(external(external_id.as_deref()));
    shown.insert(
        "meta".into(),
        json!({
            "resourceType": kind.name(),
            "created": timestamp(created),
            "lastModified": timestamp(last_modified),
            "location": location(kind, id, base),
        }),
    );
    Value::Object(projection.apply(shown))
}

/// Where a resource is.
pub(super) fn location(kind: Kind, id: &str, base: &str) -> String {
    format!("{base}{}/{id}", kind.endpoint())
}

fn groups(user: &User, namespace: &Namespace, base: &str) -> Vec<Value> {
    let mut groups: Vec<&Arc<Group>> = namespace.groups_of_user(&user.id).collect();
    groups.sort_by(|one, other| one.id.cmp(&other.id));
    let shown = |group: &&Arc<Group>| {
        json!({
            "value": &*group.id,
            "$ref": location(Kind::Group, &group.id, base),
            "display": &*group.display_name,
            "type": "direct",
        })
    };
    groups.iter().map(shown).collect()
}

fn members(group: &Group, base: &str) -> Vec<Value> {
    let mut ids: Vec<&Id> = group.members.iter().collect();
    ids.sort();
    let shown = |id: &&Id| json!({"value": &***id, "$ref": location(Kind::User, id, base), "type": "User"});
    ids.iter().map(shown).collect()
}

/// RFC 3339 with the milliseconds that are kept.
fn timestamp(at: OffsetDateTime) -> String {
    let milliseconds =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.format(&milliseconds).or_else(|_| at.format(&Rfc3339)).unwrap_or_default()
}
