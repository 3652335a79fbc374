//! What a request says before its body is looked at: which endpoint, which parameters, which base URL;
//! and its body, within limits.

use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::LengthLimitError;
use serde_json::Value;

use super::BASE_PATH;
use super::error::ScimError;
use super::json;
use crate::config::limits;
use crate::directory::schema::Kind;

/// An endpoint of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `/`: users and groups.
    Root,
    /// `/Users`, `/Groups`.
    Collection(Kind),
    /// `/.search`, `/Users/.search`, `/Groups/.search`: over these kinds.
    Search(&'static [Kind]),
    /// `/Users/{id}`, `/Groups/{id}`.
    Resource(Kind, String),
    /// `/ServiceProviderConfig`.
    ServiceProviderConfig,
    /// `/ResourceTypes`, or one by its name.
    ResourceTypes(Option<String>),
    /// `/Schemas`, or one by its URN.
    Schemas(Option<String>),
    /// `/Me`: known, not supported.
    Me,
}

impl Endpoint {
    /// Reads the path of a URL.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(BASE_PATH)?;
        if rest.is_empty() || rest == "/" {
            return Some(Self::Root);
        }
        let rest = rest.strip_prefix('/')?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (endpoint, id) = match rest.split_once('/') {
            Some((endpoint, id)) => (endpoint, Some(decode(id)?)),
            None => (rest, None),
        };
        if id.as_ref().is_some_and(|id| id.is_empty() || id.contains('/')) {
            return None;
        }
        let kind = match endpoint {
            "Users" => Some(Kind::User),
            "Groups" => Some(Kind::Group),
            _ => None,
        };
        Some(match (endpoint, kind, id) {
            (_, Some(kind), None) => Self::Collection(kind),
            (_, Some(Kind::User), Some(id)) if id == ".search" => Self::Search(&[Kind::User]),
            (_, Some(Kind::Group), Some(id)) if id == ".search" => Self::Search(&[Kind::Group]),
            (".search", _, None) => Self::Search(&[Kind::User, Kind::Group]),
            (_, Some(kind), Some(id)) => Self::Resource(kind, id),
            ("ServiceProviderConfig", _, None) => Self::ServiceProviderConfig,
            ("ResourceTypes", _, id) => Self::ResourceTypes(id),
            ("Schemas", _, id) => Self::Schemas(id),
            ("Me", _, None) => Self::Me,
            _ => return None,
        })
    }
}

/// Percent-decoding (RFC 3986, 2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|d| d.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// The parameters of a URL; `+` and `%20` are spaces.
pub(super) fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, ScimError> {
    Query::try_from_uri(uri)
        .map(|Query(parameters)| parameters)
        .map_err(|_| ScimError::syntax("the query of the URL cannot be read"))
}

/// `https://host/scim/v2`, from the configuration or from what the client dialled.
pub(super) fn base(
    headers: &HeaderMap,
    uri: &Uri,
    public_url: Option<&str>,
    tls: bool,
) -> Result<String, ScimError> {
    if let Some(url) = public_url {
        return Ok(format!("{url}{BASE_PATH}"));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or(uri.authority().map(axum::http::uri::Authority::as_str));
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    match host {
        Some(host) if !host.is_empty() && host.len() <= 255 && host.chars().all(allowed) => {
            Ok(format!("{}://{host}{BASE_PATH}", if tls { "https" } else { "http" }))
        }
        _ => Err(ScimError::new(StatusCode::BAD_REQUEST, "the Host header is missing or no host")),
    }
}

/// Reads a JSON body of at most `limit` bytes.
pub(super) async fn body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Value, ScimError> {
    check_content_type(headers)?;
    let too_large =
        || ScimError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"));
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(limits::SCIM_BODY_TIME, to_bytes(body, limit)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_length(&error) => return Err(too_large()),
        Ok(Err(_)) => return Err(ScimError::new(StatusCode::BAD_REQUEST, "the body ended early")),
        Err(_) => return Err(ScimError::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    let parsed = tokio::task::spawn_blocking(move || json::parse(&bytes)).await;
    match parsed {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(problem)) => {
            Err(ScimError::syntax(format!("the body is no JSON that is taken here: {problem}")))
        }
        Err(_) => Err(ScimError::new(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read")),
    }
}

fn is_length(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// `application/scim+json` or `application/json`, UTF-8; absent: taken for it.
fn check_content_type(headers: &HeaderMap) -> Result<(), ScimError> {
    let wrong =
        || ScimError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type has to be application/scim+json");
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let mut parts = value.to_str().map_err(|_| wrong())?.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let known =
        ["application/scim+json", "application/json"].iter().any(|known| known.eq_ignore_ascii_case(kind));
    let utf8 = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if known && utf8 { Ok(()) } else { Err(wrong()) }
}
