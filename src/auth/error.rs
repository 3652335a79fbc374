//! What comes of a log-in that failed: one text for the client, one label for the metric, one line for the
//! operator.

use std::sync::Arc;

use super::sasl::CredentialsError;
use super::token_error::{Shown, TokenError};

/// Why somebody could not log in. `Display` is for the operator's log and the audit trail: it names the rule
/// and the values that broke it, never the token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The `AUTH_RESPONSE` was not SASL PLAIN with a password.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The token broke a rule.
    #[error("token refused: {error}{}", of(identity.as_ref()))]
    Token {
        /// Whose issuer the token names, if it is a configured one.
        identity: Option<Arc<str>>,
        /// The rule.
        #[source]
        error: TokenError,
    },
    /// There are no usable keys of the issuer, or the one the token names may be too new and the provider
    /// does not answer.
    #[error("no keys to verify the token with, of identity {identity:?}: {reason}")]
    KeysUnavailable {
        /// Whose keys.
        identity: Arc<str>,
        /// What the last fetch failed of.
        reason: String,
    },
    /// This cluster does not accept the identity.
    #[error("identity {0:?} is not among the cluster's identities")]
    IdentityNotAccepted(Arc<str>),
    /// The claim that has to name the person is missing, no string, or not fit to be a name.
    #[error(
        "claim {claim:?}, which has to name the person, is missing or no acceptable text, of identity {identity:?}"
    )]
    NoSubject {
        /// The identity.
        identity: Arc<str>,
        /// The configured claim.
        claim: Arc<str>,
    },
    /// Nobody in the directory has this value.
    #[error("no user with {attribute} {value} in identity {identity:?}, and no service with these claims")]
    UnknownUser {
        /// The identity.
        identity: Arc<str>,
        /// The configured SCIM attribute.
        attribute: &'static str,
        /// The claim's value.
        value: Shown,
    },
    /// More than one person has it.
    #[error("{count} users with {attribute} {value} in identity {identity:?}: it has to be exactly one")]
    AmbiguousUser {
        /// The identity.
        identity: Arc<str>,
        /// The configured SCIM attribute.
        attribute: &'static str,
        /// The claim's value.
        value: Shown,
        /// How many.
        count: usize,
    },
    /// The person is there with `active: false`.
    #[error("user {user:?} (SCIM id {id:?}) of identity {identity:?} is not active")]
    InactiveUser {
        /// The identity.
        identity: Arc<str>,
        /// The SCIM id.
        id: Arc<str>,
        /// The `userName`.
        user: Arc<str>,
    },
    /// The claims fit more than one service.
    #[error("the token's claims fit the services {0:?}: their claims have to tell them apart")]
    AmbiguousService(Vec<Arc<str>>),
    /// The claims fit a service, and name a person.
    #[error(
        "the token's claims fit service {service:?} and name user {user:?} of identity {identity:?}: give the service claims that no person has"
    )]
    ServiceAndUser {
        /// The identity.
        identity: Arc<str>,
        /// The service.
        service: Arc<str>,
        /// The `userName`.
        user: Arc<str>,
    },
    /// The username is neither `token`, nor empty, nor one of the principal's names.
    #[error("username {username} is not the token's: it may be \"token\", empty, the subject, or {name:?}")]
    Username {
        /// As sent.
        username: Shown,
        /// The `userName`, or the service's name.
        name: Arc<str>,
    },
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientResponse {
    /// ERROR 0x0100 (bad credentials) with this text.
    BadCredentials(String),
    /// Something of ours is down: close the connection without an ERROR, so that drivers try again later or
    /// elsewhere.
    Close,
}

impl LoginError {
    /// What the client hears: nothing that would help to guess, except that a token which was right in
    /// everything else has expired.
    pub fn client_response(&self) -> ClientResponse {
        match self {
            Self::KeysUnavailable { .. } => ClientResponse::Close,
            Self::Token { error: TokenError::Expired(_), .. } => {
                ClientResponse::BadCredentials("token expired: get a new one and connect again".into())
            }
            _ => ClientResponse::BadCredentials("Provided username and/or password are incorrect".into()),
        }
    }

    /// A label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Credentials(_) => "credentials",
            Self::Token { error, .. } => error.kind(),
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::IdentityNotAccepted(_) => "identity",
            Self::NoSubject { .. } => "claim",
            Self::UnknownUser { .. } => "unknown_user",
            Self::AmbiguousUser { .. } | Self::AmbiguousService(_) | Self::ServiceAndUser { .. } => {
                "ambiguous"
            }
            Self::InactiveUser { .. } => "inactive_user",
            Self::Username { .. } => "username",
        }
    }
}

fn of(identity: Option<&Arc<str>>) -> String {
    identity.map(|name| format!(", of identity {name:?}")).unwrap_or_default()
}
