//! The four writes. Each runs inside the directory's writer, on the newest state, so that what a PATCH read
//! is what it changes.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::error::ScimError;
use super::members::{self, Members};
use super::patch::{Patch, Target};
use super::resource as json;
use super::service::{Asked, missing};
use super::values::{self, Document};
use super::{record, request};
use crate::config::limits;
use crate::directory::schema::Kind;
use crate::directory::{Directory, Draft, Group, Id, MemberChange, State, WriteError};

/// A write that is durable and enforced.
pub(super) struct Done {
    pub(super) status: StatusCode,
    pub(super) id: Id,
    /// The state that holds it.
    pub(super) state: Arc<State>,
    /// What changed, for the audit log.
    pub(super) summary: String,
}

/// POST, PUT, PATCH and DELETE. `id`: of the resource, if it is not to be created.
pub(super) async fn write(
    directory: &Directory,
    asked: &Asked,
    kind: Kind,
    id: Option<&str>,
    body: Body,
) -> Result<Done, ScimError> {
    let identity = asked.provider.identity.clone();
    let body = async || request::body(&asked.headers, body, body_limit(kind)).await;
    let (status, id, evaluate) = match (&asked.method, id) {
        (&Method::POST, _) => {
            let id = json::new_id();
            (StatusCode::CREATED, id.clone(), create(identity, kind, id, body().await?)?)
        }
        (&Method::PUT, Some(id)) => {
            let id = Id::from(id);
            (StatusCode::OK, id.clone(), replace(identity, kind, id, body().await?)?)
        }
        (&Method::PATCH, Some(id)) => {
            let id = Id::from(id);
            (StatusCode::OK, id.clone(), patch(identity, kind, id, body().await?)?)
        }
        (_, id) => {
            let id = Id::from(id.unwrap_or_default());
            (StatusCode::NO_CONTENT, id.clone(), delete(identity, kind, id))
        }
    };
    let written = directory.write(evaluate).await.map_err(refusal)?;
    Ok(Done { status, id, state: written.state, summary: written.value })
}

/// A write, ready to be evaluated; returns what changed.
type Evaluate = Box<dyn FnMut(&mut Draft) -> Result<String, ScimError> + Send>;

fn create(identity: Arc<str>, kind: Kind, id: Id, body: Value) -> Result<Evaluate, ScimError> {
    let (document, members) = values::document(body, kind)?;
    let added = members.as_ref().map_or(Ok(Vec::new()), members::ids)?;
    let members = MemberChange { added, removed: Vec::new() };
    Ok(Box::new(move |draft| match kind {
        Kind::User => {
            let user = json::user(document.clone(), id.clone(), None)?;
            let summary = record::user(None, Some(&user));
            draft.put_user(&identity, user)?;
            Ok(summary)
        }
        Kind::Group => {
            let group = json::group(document.clone(), id.clone(), None)?;
            let summary = record::group(None, Some(&group), &members, draft.namespace(&identity)?);
            draft.put_group(&identity, group, &members)?;
            Ok(summary)
        }
    }))
}

fn replace(identity: Arc<str>, kind: Kind, id: Id, body: Value) -> Result<Evaluate, ScimError> {
    let (document, members) = values::document(body, kind)?;
    let wanted = members.as_ref().map_or(Ok(Vec::new()), members::ids)?;
    Ok(Box::new(move |draft| {
        edit(draft, &identity, kind, &id, |edited| {
            let mut document = document.clone();
            // A PUT that leaves `externalId` out keeps it: a connector was seen to forget it on a mere
            // rename, and the link to the person's log-in would be lost.
            if let (false, Some(kept)) =
                (document.contains_key("externalId"), edited.document.remove("externalId"))
            {
                document.insert("externalId".to_owned(), kept);
            }
            *edited.document = document;
            if let Some(members) = &mut edited.members {
                members.replace(wanted.clone());
            }
            Ok(())
        })
    }))
}

fn patch(identity: Arc<str>, kind: Kind, id: Id, body: Value) -> Result<Evaluate, ScimError> {
    let patch = Patch::parse(body, kind)?;
    Ok(Box::new(move |draft| edit(draft, &identity, kind, &id, |edited| patch.apply(edited))))
}

fn delete(identity: Arc<str>, kind: Kind, id: Id) -> Evaluate {
    Box::new(move |draft| {
        let namespace = draft.namespace(&identity)?;
        let summary = match kind {
            Kind::User => namespace.users.get(&id).map(|user| record::user(Some(user), None)),
            Kind::Group => {
                let nobody = MemberChange::default();
                namespace.groups.get(&id).map(|group| record::group(Some(group), None, &nobody, namespace))
            }
        };
        match kind {
            Kind::User => draft.delete_user(&identity, &id)?,
            Kind::Group => draft.delete_group(&identity, &id)?,
        };
        summary.ok_or_else(|| missing(kind, &id))
    })
}

/// Changes a resource that exists by way of its document.
fn edit(
    draft: &mut Draft,
    identity: &Arc<str>,
    kind: Kind,
    id: &str,
    change: impl FnOnce(&mut Target<'_>) -> Result<(), ScimError>,
) -> Result<String, ScimError> {
    // A handle of its own: maps are shared, not copied.
    let namespace = draft.namespace(identity)?.clone();
    let mut document: Document;
    match kind {
        Kind::User => {
            let before = namespace.users.get(id).ok_or_else(|| missing(kind, id))?;
            document = json::document_of_user(before);
            change(&mut Target { document: &mut document, members: None })?;
            let user = json::user(document, before.id.clone(), Some(before))?;
            let summary = record::user(Some(before), Some(&user));
            draft.put_user(identity, user)?;
            Ok(summary)
        }
        Kind::Group => {
            let before: &Group = namespace.groups.get(id).ok_or_else(|| missing(kind, id))?;
            document = json::document_of_group(before);
            let mut members = Members::new(before.members.clone());
            change(&mut Target { document: &mut document, members: Some(&mut members) })?;
            let group = json::group(document, before.id.clone(), Some(before))?;
            let change = members.change();
            let summary = record::group(Some(before), Some(&group), &change, &namespace);
            draft.put_group(identity, group, &change)?;
            Ok(summary)
        }
    }
}

fn body_limit(kind: Kind) -> usize {
    match kind {
        Kind::User => limits::SCIM_USER_BODY,
        Kind::Group => limits::SCIM_GROUP_BODY,
    }
}

fn refusal(error: WriteError<ScimError>) -> ScimError {
    match error {
        WriteError::Refused(refusal) => refusal,
        // What the disk says is for the operator's log, not for the client.
        WriteError::Unavailable(_) | WriteError::Failed => ScimError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the directory cannot be written at the moment; try again",
        ),
    }
}
