//! What every test here needs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cqlgate_testkit::issuer::{Algorithm, Issuer, TokenBuilder, sasl_plain};
use time::OffsetDateTime;

use crate::auth::clock::tests::TestClock;
use crate::auth::keys::Timing;
use crate::auth::{Authenticated, Authenticator, LoginError, TokenError};
use crate::config::model;
use crate::directory::{Namespace, State, User};

/// An issuer, an authenticator that knows it as `acme`, and a directory with alice and bob.
pub(super) struct Bench {
    pub(super) issuer: Issuer,
    pub(super) auth: Authenticator,
    pub(super) clock: Arc<TestClock>,
    pub(super) state: State,
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::with(|_| (), &[]).await
    }

    /// With another configuration of the identity, and services.
    pub(super) async fn with(change: impl FnOnce(&mut model::Identity), services: &[model::Service]) -> Self {
        let issuer = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
        let mut acme = identity("acme", issuer.url());
        change(&mut acme);
        let clock = Arc::new(TestClock::new());
        let auth = authenticator(&[acme], services, &clock);
        let state = directory("acme", &[user("1", "alice"), user("2", "bob")]);
        Self { issuer, auth, clock, state }
    }

    pub(super) fn token(&self) -> TokenBuilder {
        self.issuer.token("alice")
    }

    pub(super) async fn login(&self, token: &str) -> Result<Authenticated, LoginError> {
        self.login_as("token", token).await
    }

    pub(super) async fn login_as(&self, username: &str, token: &str) -> Result<Authenticated, LoginError> {
        self.auth.login(&sasl_plain(username, token), &[], &self.state).await
    }

    /// Logs in with a token that must be refused, and says by which rule.
    pub(super) async fn refusal(&self, token: &str) -> LoginError {
        match self.login(token).await {
            Ok(who) => panic!("accepted as {}: {token}", who.principal()),
            Err(error) => error,
        }
    }

    /// The broken rule of a token that must be refused for a fault of its own.
    pub(super) async fn fault(&self, token: &str) -> TokenError {
        match self.refusal(token).await {
            LoginError::Token { error, .. } => error,
            other => panic!("refused, but not for the token's fault: {other}"),
        }
    }
}

/// No waiting between fetches, and a fetch that hangs is given up soon.
pub(super) fn timing() -> Timing {
    Timing { fetch: Duration::from_millis(500), ..Timing::default() }
}

pub(super) fn authenticator(
    identities: &[model::Identity],
    services: &[model::Service],
    clock: &Arc<TestClock>,
) -> Authenticator {
    let clock = Arc::clone(clock);
    Authenticator::with(identities, services, clock, timing()).unwrap()
}

/// An identity with the defaults of the configuration file.
pub(super) fn identity(name: &str, issuer: &str) -> model::Identity {
    let text = format!("name = {name:?}\nissuer = {issuer:?}\naudiences = [\"cassandra\"]");
    toml::from_str(&text).unwrap()
}

pub(super) fn service(name: &str, claims: &[(&str, &str)]) -> model::Service {
    let claims: BTreeMap<_, _> = claims.iter().map(|(c, v)| ((*c).into(), (*v).into())).collect();
    model::Service { name: name.into(), identity: "acme".into(), claims }
}

/// A user whose `externalId` and `userName` are the same.
pub(super) fn user(id: &str, name: &str) -> User {
    let now = OffsetDateTime::now_utc();
    User {
        id: id.into(),
        external_id: Some(name.into()),
        user_name: name.into(),
        active: true,
        attributes: Arc::default(),
        created: now,
        last_modified: now,
        epoch: 1,
    }
}

pub(super) fn directory(identity: &str, users: &[User]) -> State {
    let mut namespace = Namespace::default();
    for user in users {
        namespace.insert_user(Arc::new(user.clone()));
    }
    let mut state = State::default();
    state.namespaces.insert_mut(identity.into(), namespace);
    state
}

/// A free port. (Keys of these benches are ES256, because RSA keys take long to make.)
pub(super) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
