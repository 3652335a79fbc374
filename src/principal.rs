//! Who a session acts for.

use std::fmt;
use std::sync::Arc;

/// A person of a directory, or a configured workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// An active SCIM user.
    Person(Person),
    /// A `SERVICE` of the configuration, known by issuer and claims; it has no SCIM user.
    Service(Service),
}

/// A SCIM user, as a session knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The `[[identity]]` whose namespace holds the user.
    pub identity: Arc<str>,
    /// The SCIM id: never reassigned, so it is the key.
    pub id: Arc<str>,
    /// The `userName` at log-in, for people to read; never a key.
    pub user_name: Arc<str>,
}

/// A configured workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// The `[[identity]]` whose issuer signs its tokens.
    pub identity: Arc<str>,
    /// The name that policies use.
    pub name: Arc<str>,
}

impl Principal {
    /// The identity that the principal belongs to.
    pub fn identity(&self) -> &Arc<str> {
        match self {
            Self::Person(p) => &p.identity,
            Self::Service(s) => &s.identity,
        }
    }

    /// The name that refusals show, as Cassandra shows a role: the `userName`, or the service's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(p) => &p.user_name,
            Self::Service(s) => &s.name,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(p) => write!(f, "USER {:?} OF {:?}", p.user_name, p.identity),
            Self::Service(s) => write!(f, "SERVICE {:?} OF {:?}", s.name, s.identity),
        }
    }
}
