//! Answers one request: who asks, what, on which resource.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::error::ScimError;
use super::list::{self, Query, resource};
use super::members::{self, Members};
use super::patch::{Patch, Target};
use super::project::Projection;
use super::request::{self, Endpoint};
use super::resource::{self as json, render};
use super::token::{Provider, Tokens};
use super::{ConfigError, Options, discovery, record, respond, values};
use crate::audit::Audit;
use crate::config::limits;
use crate::directory::schema::Kind;
use crate::directory::{Directory, Draft, Group, Id, MemberChange, WriteError, Written};
use crate::metrics::Metrics;

/// The server.
pub(super) struct Service {
    directory: Directory,
    tokens: Tokens,
    public_url: Option<String>,
    tls: bool,
    audit: Audit,
    metrics: Arc<Metrics>,
    requests: Semaphore,
}

/// What is known of a request once it may be worked on.
struct Asked {
    provider: Provider,
    method: Method,
    endpoint: Endpoint,
    parameters: Vec<(String, String)>,
    headers: HeaderMap,
    base: String,
    client: Option<SocketAddr>,
}

type Answer = Result<Response<Body>, ScimError>;

impl Service {
    pub(super) fn new(directory: Directory, options: Options<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            directory,
            tokens: Tokens::new(options.identities)?,
            public_url: options.public_url.map(|url| url.trim_end_matches('/').to_owned()),
            tls: options.tls,
            audit: options.audit,
            metrics: options.metrics,
            requests: Semaphore::new(limits::SCIM_REQUESTS),
        })
    }
}

/// The handler of every path.
pub(super) async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    match service.handle(request).await {
        Ok(response) => response,
        Err(error) => error.response(),
    }
}

impl Service {
    async fn handle(&self, request: Request) -> Answer {
        let (head, body) = request.into_parts();
        let endpoint = Endpoint::parse(head.uri.path());
        let base = || request::base(&head.headers, &head.uri, self.public_url.as_deref(), self.tls);
        // RFC 7643, 5: how to log in is told to those who have not.
        if endpoint == Some(Endpoint::ServiceProviderConfig) && head.method == Method::GET {
            return Ok(respond::json(StatusCode::OK, &discovery::service_provider_config(&base()?)));
        }
        let provider = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| self.tokens.provider(value.as_bytes()))
            .cloned()
            .ok_or_else(|| {
                ScimError::new(
                    StatusCode::UNAUTHORIZED,
                    "a valid bearer token of an identity provider is needed",
                )
            })?;
        let endpoint = endpoint.ok_or_else(|| ScimError::not_found("this endpoint was"))?;
        let asked = Asked {
            provider,
            base: base()?,
            parameters: request::parameters(&head.uri)?,
            method: head.method,
            client: head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address),
            endpoint,
            headers: head.headers,
        };
        // The semaphore is never closed, so there is always a permit to wait for.
        let _working = self.requests.acquire().await;
        match &asked.endpoint {
            Endpoint::Collection(kind) => match asked.method {
                Method::GET => self.list(&asked, Query::from_url(&asked.parameters, *kind)?, *kind).await,
                Method::POST => self.create(&asked, *kind, body).await,
                _ => Err(not_allowed(&asked.method, "GET, POST")),
            },
            Endpoint::Search(kind) => match asked.method {
                Method::POST => {
                    let body = request::body(&asked.headers, body, limits::SCIM_USER_BODY).await?;
                    self.list(&asked, Query::from_body(&body, *kind)?, *kind).await
                }
                _ => Err(not_allowed(&asked.method, "POST")),
            },
            Endpoint::Resource(kind, id) => match asked.method {
                Method::GET => self.read(&asked, *kind, id).await,
                Method::PUT => self.replace(&asked, *kind, id, body).await,
                Method::PATCH => self.patch(&asked, *kind, id, body).await,
                Method::DELETE => self.delete(&asked, *kind, id).await,
                _ => Err(not_allowed(&asked.method, "GET, PUT, PATCH, DELETE")),
            },
            _ if asked.method != Method::GET => Err(not_allowed(&asked.method, "GET")),
            discovery => discover(&asked, discovery),
        }
    }

    async fn list(&self, asked: &Asked, query: Query, kind: Kind) -> Answer {
        let (state, identity) = (self.directory.snapshot(), asked.provider.identity.clone());
        let base = asked.base.clone();
        blocking(move || {
            let namespace = state.namespace(&identity).ok_or_else(no_namespace)?;
            Ok(respond::json(StatusCode::OK, &query.run(kind, namespace, &base)))
        })
        .await
    }

    async fn read(&self, asked: &Asked, kind: Kind, id: &str) -> Answer {
        let projection = list::projection(&asked.parameters, kind)?;
        let (state, identity) = (self.directory.snapshot(), asked.provider.identity.clone());
        let (base, id) = (asked.base.clone(), id.to_owned());
        blocking(move || {
            let namespace = state.namespace(&identity).ok_or_else(no_namespace)?;
            let found = resource(kind, namespace, &id).ok_or_else(|| missing(kind, &id))?;
            let mut response = respond::json(StatusCode::OK, &render(found, &base, &projection));
            locate(&mut response, kind, &id, &base);
            Ok(response)
        })
        .await
    }

    async fn create(&self, asked: &Asked, kind: Kind, body: Body) -> Answer {
        let projection = list::projection(&asked.parameters, kind)?;
        let body = request::body(&asked.headers, body, body_limit(kind)).await?;
        let (document, members) = values::document(body, kind)?;
        let added = members.as_ref().map_or(Ok(Vec::new()), members::ids)?;
        let id = json::new_id();
        let identity = asked.provider.identity.clone();
        let written = self
            .directory
            .write({
                let id = id.clone();
                move |draft: &mut Draft| match kind {
                    Kind::User => {
                        let user = json::user(document.clone(), id.clone(), None)?;
                        let summary = record::user(None, Some(&user));
                        draft.put_user(&identity, user)?;
                        Ok(summary)
                    }
                    Kind::Group => {
                        let group = json::group(document.clone(), id.clone(), None)?;
                        let members = MemberChange { added: added.clone(), removed: Vec::new() };
                        let summary =
                            record::group(None, Some(&group), &members, draft.namespace(&identity)?);
                        draft.put_group(&identity, group, &members)?;
                        Ok(summary)
                    }
                }
            })
            .await;
        self.answer_write(asked, StatusCode::CREATED, kind, &id, projection, written).await
    }

    async fn replace(&self, asked: &Asked, kind: Kind, id: &str, body: Body) -> Answer {
        let projection = list::projection(&asked.parameters, kind)?;
        let body = request::body(&asked.headers, body, body_limit(kind)).await?;
        let (document, members) = values::document(body, kind)?;
        let wanted = members.as_ref().map_or(Ok(Vec::new()), members::ids)?;
        let identity = asked.provider.identity.clone();
        let id: Id = id.into();
        let written = self
            .directory
            .write({
                let id = id.clone();
                move |draft: &mut Draft| {
                    let namespace = draft.namespace(&identity)?;
                    let mut document = document.clone();
                    match kind {
                        Kind::User => {
                            let before =
                                namespace.users.get(&id).cloned().ok_or_else(|| missing(kind, &id))?;
                            keep_external_id(&mut document, before.external_id.as_deref());
                            let user = json::user(document, before.id.clone(), Some(&before))?;
                            let summary = record::user(Some(&before), Some(&user));
                            draft.put_user(&identity, user)?;
                            Ok(summary)
                        }
                        Kind::Group => {
                            let before =
                                namespace.groups.get(&id).cloned().ok_or_else(|| missing(kind, &id))?;
                            keep_external_id(&mut document, before.external_id.as_deref());
                            let group = json::group(document, before.id.clone(), Some(&before))?;
                            let mut members = Members::new(before.members.clone());
                            members.replace(wanted.clone());
                            put_group(draft, &identity, &before, group, &members)
                        }
                    }
                }
            })
            .await;
        self.answer_write(asked, StatusCode::OK, kind, &id, projection, written).await
    }

    async fn patch(&self, asked: &Asked, kind: Kind, id: &str, body: Body) -> Answer {
        let projection = list::projection(&asked.parameters, kind)?;
        let body = request::body(&asked.headers, body, body_limit(kind)).await?;
        let patch = Patch::parse(body, kind)?;
        let identity = asked.provider.identity.clone();
        let id: Id = id.into();
        let written = self
            .directory
            .write({
                let id = id.clone();
                move |draft: &mut Draft| {
                    // A handle of its own: maps are shared, not copied.
                    let namespace = draft.namespace(&identity)?.clone();
                    match kind {
                        Kind::User => {
                            let before = namespace.users.get(&id).ok_or_else(|| missing(kind, &id))?;
                            let mut document = json::document_of_user(before);
                            patch.apply(&mut Target {
                                document: &mut document,
                                members: None,
                                namespace: &namespace,
                            })?;
                            let user = json::user(document, before.id.clone(), Some(before))?;
                            let summary = record::user(Some(before), Some(&user));
                            draft.put_user(&identity, user)?;
                            Ok(summary)
                        }
                        Kind::Group => {
                            let before = namespace.groups.get(&id).ok_or_else(|| missing(kind, &id))?;
                            let mut document = json::document_of_group(before);
                            let mut members = Members::new(before.members.clone());
                            patch.apply(&mut Target {
                                document: &mut document,
                                members: Some(&mut members),
                                namespace: &namespace,
                            })?;
                            let group = json::group(document, before.id.clone(), Some(before))?;
                            put_group(draft, &identity, before, group, &members)
                        }
                    }
                }
            })
            .await;
        self.answer_write(asked, StatusCode::OK, kind, &id, projection, written).await
    }

    async fn delete(&self, asked: &Asked, kind: Kind, id: &str) -> Answer {
        let identity = asked.provider.identity.clone();
        let id: Id = id.into();
        let written = self
            .directory
            .write({
                let id = id.clone();
                move |draft: &mut Draft| {
                    let namespace = draft.namespace(&identity)?;
                    let summary = match kind {
                        Kind::User => namespace.users.get(&id).map(|user| record::user(Some(user), None)),
                        Kind::Group => namespace.groups.get(&id).map(|group| {
                            record::group(Some(group), None, &MemberChange::default(), namespace)
                        }),
                    };
                    match kind {
                        Kind::User => draft.delete_user(&identity, &id)?,
                        Kind::Group => draft.delete_group(&identity, &id)?,
                    };
                    summary.ok_or_else(|| missing(kind, &id))
                }
            })
            .await;
        self.recorded(asked, kind, &id, written).await?;
        Ok(respond::nothing())
    }

    /// Puts a write on record, whatever became of it.
    async fn recorded(
        &self,
        asked: &Asked,
        kind: Kind,
        id: &str,
        written: Result<Written<String>, WriteError<ScimError>>,
    ) -> Result<Written<String>, ScimError> {
        let written = written.map_err(refusal);
        let outcome = written.as_ref().map(|written| written.value.as_str());
        let event = record::event(&asked.provider, asked.client, &asked.method, (kind, id), outcome);
        self.audit.record(event).await;
        written
    }

    /// The answer to a write that is durable and enforced, or to one that was refused.
    async fn answer_write(
        &self,
        asked: &Asked,
        status: StatusCode,
        kind: Kind,
        id: &Id,
        projection: Projection,
        written: Result<Written<String>, WriteError<ScimError>>,
    ) -> Answer {
        let written = self.recorded(asked, kind, id, written).await?;
        let (identity, base, id) = (asked.provider.identity.clone(), asked.base.clone(), id.clone());
        let minimal = asked
            .headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case("return=minimal"));
        let is_patch = asked.method == Method::PATCH;
        blocking(move || {
            let namespace = written.state.namespace(&identity).ok_or_else(no_namespace)?;
            let found = resource(kind, namespace, &id);
            let large = namespace
                .groups
                .get(&id)
                .is_some_and(|group| group.members.size() > limits::SCIM_PATCH_BODY_MEMBERS);
            // RFC 7644, 3.5.2: 200 with the resource if attributes were asked for.
            let bare = is_patch && !projection.names_attributes() && (minimal || large);
            let mut response = match found {
                Some(found) if !bare => respond::json(status, &render(found, &base, &projection)),
                _ => respond::nothing(),
            };
            locate(&mut response, kind, &id, &base);
            Ok(response)
        })
        .await
    }
}

fn discover(asked: &Asked, endpoint: &Endpoint) -> Answer {
    if asked.parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        // RFC 7644, 4.
        return Err(ScimError::new(StatusCode::FORBIDDEN, "this endpoint takes no filter"));
    }
    let base = asked.base.as_str();
    let found = match endpoint {
        Endpoint::ResourceTypes(None) => Some(discovery::resource_types(base)),
        Endpoint::ResourceTypes(Some(name)) => discovery::resource_type_named(name, base),
        Endpoint::Schemas(None) => Some(discovery::schemas(base)),
        Endpoint::Schemas(Some(urn)) => discovery::schema_named(urn, base),
        Endpoint::ServiceProviderConfig => Some(discovery::service_provider_config(base)),
        _ => {
            return Err(ScimError::new(
                StatusCode::NOT_IMPLEMENTED,
                "/Me is not supported: a token is a provider's",
            ));
        }
    };
    let found: Value = found.ok_or_else(|| ScimError::not_found("this was"))?;
    Ok(respond::json(StatusCode::OK, &found))
}

fn put_group(
    draft: &mut Draft,
    identity: &Arc<str>,
    before: &Group,
    group: Group,
    members: &Members,
) -> Result<String, ScimError> {
    let change = members.change();
    let summary = record::group(Some(before), Some(&group), &change, draft.namespace(identity)?);
    draft.put_group(identity, group, &change)?;
    Ok(summary)
}

/// Work that may take more than a moment, off the threads that carry frames.
async fn blocking(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(_) => Err(ScimError::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made")),
    }
}

fn body_limit(kind: Kind) -> usize {
    match kind {
        Kind::User => limits::SCIM_USER_BODY,
        Kind::Group => limits::SCIM_GROUP_BODY,
    }
}

/// A PUT that leaves `externalId` out keeps it: a connector was seen to forget it on a mere rename, and the
/// link to the person's log-in would be lost.
fn keep_external_id(document: &mut values::Document, before: Option<&str>) {
    if let (false, Some(before)) = (document.contains_key("externalId"), before) {
        document.insert("externalId".to_owned(), Value::String(before.to_owned()));
    }
}

fn locate(response: &mut Response<Body>, kind: Kind, id: &str, base: &str) {
    if let Ok(location) = HeaderValue::from_str(&json::location(kind, id, base)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

fn refusal(error: WriteError<ScimError>) -> ScimError {
    match error {
        WriteError::Refused(refusal) => refusal,
        // What the disk says is for the operator's log, not for the client.
        WriteError::Unavailable(_) => {
            ScimError::new(StatusCode::SERVICE_UNAVAILABLE, "the directory cannot be written at the moment")
        }
        WriteError::Failed => {
            ScimError::new(StatusCode::SERVICE_UNAVAILABLE, "the directory's writer failed")
        }
    }
}

fn missing(kind: Kind, id: &str) -> ScimError {
    let id: String = id.chars().take(100).collect();
    ScimError::not_found(&format!("{} {id:?}", kind.name()))
}

fn no_namespace() -> ScimError {
    ScimError::new(StatusCode::SERVICE_UNAVAILABLE, "this identity has no directory")
}

fn not_allowed(method: &Method, allowed: &str) -> ScimError {
    ScimError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not allowed here; allowed: {allowed}"),
    )
}
