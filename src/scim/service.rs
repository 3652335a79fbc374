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
use super::request::{self, Endpoint};
use super::resource::{location, render};
use super::token::{Provider, Tokens};
use super::write::{Done, write};
use super::{ConfigError, Options, discovery, record, respond};
use crate::audit::Audit;
use crate::config::limits;
use crate::directory::Directory;
use crate::directory::schema::Kind;
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
pub(super) struct Asked {
    pub(super) provider: Provider,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    endpoint: Endpoint,
    parameters: Vec<(String, String)>,
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
    let authorization = request.headers().get(header::AUTHORIZATION);
    let provider = authorization.and_then(|value| service.tokens.provider(value.as_bytes())).cloned();
    let identity = provider.as_ref().map(|provider| provider.identity.clone());
    let method = method_name(request.method());
    let endpoint = Endpoint::parse(request.uri().path());
    let resource = match &endpoint {
        Some(Endpoint::Collection(Kind::User) | Endpoint::Resource(Kind::User, _)) => "Users",
        Some(Endpoint::Collection(Kind::Group) | Endpoint::Resource(Kind::Group, _)) => "Groups",
        _ => "other",
    };
    let response = match service.handle(provider, endpoint, request).await {
        Ok(response) => response,
        Err(error) => error.response(),
    };
    let identity = identity.unwrap_or_default();
    service.metrics.scim_request(&identity, resource, method, response.status().as_u16());
    response
}

impl Service {
    async fn handle(
        &self,
        provider: Option<Provider>,
        endpoint: Option<Endpoint>,
        request: Request,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let base = || request::base(&head.headers, &head.uri, self.public_url.as_deref(), self.tls);
        // RFC 7643, 5: how to log in is told to those who have not.
        if endpoint == Some(Endpoint::ServiceProviderConfig)
            && head.method == Method::GET
            && provider.is_none()
        {
            return Ok(respond::json(StatusCode::OK, &discovery::service_provider_config(&base()?)));
        }
        let provider = provider.ok_or_else(|| {
            ScimError::new(StatusCode::UNAUTHORIZED, "a valid bearer token of an identity provider is needed")
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
                Method::GET => self.list(&asked, Query::from_url(&asked.parameters, &[*kind])?).await,
                Method::POST => self.write(&asked, *kind, None, body).await,
                _ => Err(not_allowed(&asked.method, "GET, POST")),
            },
            Endpoint::Root => match asked.method {
                Method::GET => {
                    self.list(&asked, Query::from_url(&asked.parameters, &[Kind::User, Kind::Group])?).await
                }
                _ => Err(not_allowed(&asked.method, "GET")),
            },
            Endpoint::Search(kinds) => match asked.method {
                Method::POST => {
                    let body = request::body(&asked.headers, body, limits::SCIM_USER_BODY).await?;
                    self.list(&asked, Query::from_body(&body, kinds)?).await
                }
                _ => Err(not_allowed(&asked.method, "POST")),
            },
            Endpoint::Resource(kind, id) => match asked.method {
                Method::GET => self.read(&asked, *kind, id).await,
                Method::PUT | Method::PATCH | Method::DELETE => {
                    self.write(&asked, *kind, Some(id), body).await
                }
                _ => Err(not_allowed(&asked.method, "GET, PUT, PATCH, DELETE")),
            },
            _ if asked.method != Method::GET => Err(not_allowed(&asked.method, "GET")),
            discovery => discover(&asked, discovery),
        }
    }

    async fn list(&self, asked: &Asked, query: Query) -> Answer {
        let (state, identity) = (self.directory.snapshot(), asked.provider.identity.clone());
        let base = asked.base.clone();
        blocking(move || {
            let namespace = state.namespace(&identity).ok_or_else(no_namespace)?;
            Ok(respond::json(StatusCode::OK, &query.run(namespace, &base)))
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

    /// Writes, puts it on record whatever became of it, answers.
    async fn write(&self, asked: &Asked, kind: Kind, id: Option<&str>, body: Body) -> Answer {
        // Before the write: who cannot be told what came of it must not have done it.
        let projection = list::projection(&asked.parameters, kind)?;
        let written = write(&self.directory, asked, kind, id, body).await;
        let about = written.as_ref().map_or(id.unwrap_or_default(), |done| &done.id);
        let outcome = written.as_ref().map(|done| done.summary.as_str());
        let method = method_name(&asked.method);
        let event = record::event(&asked.provider, asked.client, method, (kind, about), outcome);
        self.audit.record(event).await;
        let Done { status, id, state, .. } = written?;
        self.metrics.scim_written(&asked.provider.identity);
        if status == StatusCode::NO_CONTENT {
            return Ok(respond::nothing());
        }

        let (identity, base) = (asked.provider.identity.clone(), asked.base.clone());
        let minimal = prefers_minimal(&asked.headers);
        let is_patch = asked.method == Method::PATCH;
        blocking(move || {
            let namespace = state.namespace(&identity).ok_or_else(no_namespace)?;
            let large = namespace
                .groups
                .get(&id)
                .is_some_and(|group| group.members.size() > limits::SCIM_PATCH_BODY_MEMBERS);
            // RFC 7644, 3.5.2: 200 with the resource if attributes were asked for.
            let bare = is_patch && !projection.names_attributes() && (minimal || large);
            let mut response = match resource(kind, namespace, &id) {
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
            let detail = "/Me is not supported: the token is a provider's, not a person's";
            return Err(ScimError::new(StatusCode::NOT_IMPLEMENTED, detail));
        }
    };
    let found: Value = found.ok_or_else(|| ScimError::not_found("this was"))?;
    Ok(respond::json(StatusCode::OK, &found))
}

/// Work that may take more than a moment, off the threads that carry frames.
async fn blocking(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(_) => Err(ScimError::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made")),
    }
}

/// `Prefer: return=minimal` (RFC 7240).
fn prefers_minimal(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case("return=minimal"))
}

fn locate(response: &mut Response<Body>, kind: Kind, id: &str, base: &str) {
    if let Ok(location) = HeaderValue::from_str(&location(kind, id, base)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

/// 404. The id is the client's own text: it is cut, and quoted.
pub(super) fn missing(kind: Kind, id: &str) -> ScimError {
    let id: String = id.chars().take(100).collect();
    ScimError::not_found(&format!("{} {id:?}", kind.name()))
}

fn no_namespace() -> ScimError {
    ScimError::new(StatusCode::SERVICE_UNAVAILABLE, "this identity has no directory")
}

fn not_allowed(method: &Method, allowed: &'static str) -> ScimError {
    let method = method_name(method);
    let detail = format!("{method} is not allowed here; allowed: {allowed}");
    ScimError { allow: Some(allowed), ..ScimError::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
}

/// A method as metrics and the audit log write it: strangers cannot invent labels.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
