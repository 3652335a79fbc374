//! What a SCIM client hears when something is wrong (RFC 7644, 3.12).

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::directory::Conflict;
use crate::directory::filter::FilterError;

/// The schema of error bodies.
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// `scimType`: the detail of a 400 or 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScimType {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
}

impl ScimType {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(super) struct ScimError {
    pub(super) status: StatusCode,
    pub(super) scim_type: Option<ScimType>,
    /// For the client: what is wrong, and what would be right.
    pub(super) detail: String,
    /// The methods that a 405 has to name.
    pub(super) allow: Option<&'static str>,
}

impl ScimError {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into(), allow: None }
    }

    pub(super) fn bad(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { scim_type: Some(scim_type), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    pub(super) fn value(detail: impl Into<String>) -> Self {
        Self::bad(ScimType::InvalidValue, detail)
    }

    pub(super) fn syntax(detail: impl Into<String>) -> Self {
        Self::bad(ScimType::InvalidSyntax, detail)
    }

    pub(super) fn mutability(detail: impl Into<String>) -> Self {
        Self::bad(ScimType::Mutability, detail)
    }

    pub(super) fn filter(error: &FilterError) -> Self {
        Self::bad(ScimType::InvalidFilter, format!("filter: {error}"))
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut body = json!({"schemas": [ERROR], "status": self.status.as_str(), "detail": self.detail});
        if let (Some(scim_type), Some(object)) = (self.scim_type, body.as_object_mut()) {
            object.insert("scimType".into(), scim_type.as_str().into());
        }
        let mut response = super::respond::json(self.status, &body);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Bearer realm=\"cqlgate SCIM\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl From<Conflict> for ScimError {
    fn from(conflict: Conflict) -> Self {
        let taken = |detail: &str| Self {
            scim_type: Some(ScimType::Uniqueness),
            ..Self::new(StatusCode::CONFLICT, detail)
        };
        match &conflict {
            Conflict::UserNameTaken => taken("another user has this userName; case does not count"),
            Conflict::DisplayNameTaken => taken("another group has this displayName; case does not count"),
            Conflict::UnknownMember(_) => {
                Self::value(format!("members: {conflict}; users have to be pushed before their memberships"))
            }
            Conflict::UnknownIdentity => Self::new(StatusCode::SERVICE_UNAVAILABLE, conflict.to_string()),
        }
    }
}
