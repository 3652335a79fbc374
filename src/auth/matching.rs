//! From verified claims to a [`Principal`]: a configured service, or exactly one active person.
//!
//! In: claims, and the directory at this moment. Out: who it is, or why it is nobody. One rule, no
//! fall-back chain, byte for byte.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::LoginError;
use super::rules::is_name;
use super::token_error::Shown;
use crate::config::model;
use crate::directory::{self, Namespace, User};
use crate::principal::{Person, Principal, Service};

/// How the tokens of one identity name people and services.
#[derive(Debug)]
pub(super) struct Matching {
    identity: Arc<str>,
    claim: Arc<str>,
    attribute: Attribute,
    services: Vec<ServiceRule>,
}

#[derive(Debug)]
struct ServiceRule {
    name: Arc<str>,
    claims: Vec<(String, String)>,
}

/// The SCIM attribute that a claim must equal.
#[derive(Clone, Copy, Debug)]
enum Attribute {
    ExternalId,
    UserName,
    Id,
}

/// What a token says of who it is: small, and the same each time the token is shown.
#[derive(Clone, Debug)]
pub(super) struct Named {
    services: Vec<Arc<str>>,
    person: Option<Arc<str>>,
}

/// How a principal was found, to find it again in another state of the directory.
#[derive(Clone, Debug)]
pub(super) struct FoundBy {
    pub(super) matching: Arc<Matching>,
    pub(super) named: Named,
}

impl FoundBy {
    /// Who it is now.
    pub(super) fn again(&self, directory: &directory::State) -> Result<Principal, LoginError> {
        self.matching.principal(&self.named, directory)
    }
}

impl Named {
    /// The value of the claim that names a person.
    pub(super) fn person(&self) -> Option<&Arc<str>> {
        self.person.as_ref()
    }
}

impl Matching {
    /// The matching of an identity; the name of the SCIM attribute if there is no such one to match by.
    pub(super) fn new(identity: &model::Identity, services: &[model::Service]) -> Result<Self, String> {
        let attribute = match identity.subject.scim.as_str() {
            "externalId" => Attribute::ExternalId,
            "userName" => Attribute::UserName,
            "id" => Attribute::Id,
            other => return Err(other.into()),
        };
        let services = services.iter().filter(|s| s.identity == identity.name).map(|s| ServiceRule {
            name: s.name.as_str().into(),
            claims: s.claims.iter().map(|(claim, value)| (claim.clone(), value.clone())).collect(),
        });
        Ok(Self {
            identity: identity.name.as_str().into(),
            claim: identity.subject.claim.as_str().into(),
            attribute,
            services: services.collect(),
        })
    }

    /// Reads the names out of verified claims.
    pub(super) fn names(&self, claims: &Map<String, Value>) -> Named {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        let fits = |rule: &&ServiceRule| rule.claims.iter().all(|(c, v)| text(c) == Some(v.as_str()));
        Named {
            services: self.services.iter().filter(fits).map(|rule| Arc::clone(&rule.name)).collect(),
            person: text(&self.claim).filter(|t| is_name(t)).map(Arc::from),
        }
    }

    /// Who it is, today.
    ///
    /// A token that fits a service and also names somebody in the directory is refused: either the service's
    /// claims are too wide, and everybody of that kind would get the service's rights, or the provider pushed
    /// an account for a workload. Both are for the operator to put right, and to guess would be wrong for one.
    pub(super) fn principal(&self, named: &Named, state: &directory::State) -> Result<Principal, LoginError> {
        let found = match (&named.person, state.namespace(&self.identity)) {
            (Some(value), Some(namespace)) => self.find(namespace, value),
            _ => Vec::new(),
        };
        match named.services.as_slice() {
            [] => self.person(named, &found),
            [service] => match found.first() {
                None => Ok(Principal::Service(Service {
                    identity: Arc::clone(&self.identity),
                    name: Arc::clone(service),
                })),
                Some(user) => Err(LoginError::ServiceAndUser {
                    identity: Arc::clone(&self.identity),
                    service: Arc::clone(service),
                    user: Arc::clone(&user.user_name),
                }),
            },
            several => Err(LoginError::AmbiguousService(several.to_vec())),
        }
    }

    fn person(&self, named: &Named, found: &[Arc<User>]) -> Result<Principal, LoginError> {
        let identity = Arc::clone(&self.identity);
        let attribute = self.attribute.name();
        let Some(value) = &named.person else {
            return Err(LoginError::NoSubject { identity, claim: Arc::clone(&self.claim) });
        };
        match found {
            [] => Err(LoginError::UnknownUser { identity, attribute, value: Shown::new(value) }),
            [user] if user.active => Ok(Principal::Person(Person {
                identity,
                id: Arc::clone(&user.id),
                user_name: Arc::clone(&user.user_name),
            })),
            [user] => Err(LoginError::InactiveUser {
                identity,
                id: Arc::clone(&user.id),
                user: Arc::clone(&user.user_name),
            }),
            several => Err(LoginError::AmbiguousUser {
                identity,
                attribute,
                value: Shown::new(value),
                count: several.len(),
            }),
        }
    }

    /// Everybody, active or not, whose attribute is this value, byte for byte (the index of user names is
    /// without case).
    fn find(&self, namespace: &Namespace, value: &str) -> Vec<Arc<User>> {
        let by_id = |id: &directory::state::Id| namespace.users.get(id).cloned();
        match self.attribute {
            Attribute::Id => namespace.users.get(value).cloned().into_iter().collect(),
            Attribute::ExternalId => {
                let ids = namespace.users_by_external_id.get(value).into_iter().flat_map(|ids| ids.iter());
                ids.filter_map(by_id).filter(|u| u.external_id.as_deref() == Some(value)).collect()
            }
            Attribute::UserName => {
                let user = namespace.user_named(value).filter(|u| *u.user_name == *value);
                user.cloned().into_iter().collect()
            }
        }
    }
}

impl Attribute {
    fn name(self) -> &'static str {
        match self {
            Self::ExternalId => "externalId",
            Self::UserName => "userName",
            Self::Id => "id",
        }
    }
}
