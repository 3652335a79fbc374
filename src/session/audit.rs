//! What a session tells the audit log.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Context;
use crate::audit::{Event, Kind, Verdict, Who};
use crate::auth::Authenticated;
use crate::principal::Principal;

/// Who somebody is, for every event of their session.
pub(super) fn who(authenticated: &Authenticated) -> Arc<Who> {
    let token = authenticated.token();
    let (kind, scim_id, name) = match authenticated.principal() {
        Principal::Person(person) => ("person", Some(Arc::clone(&person.id)), &person.user_name),
        Principal::Service(service) => ("service", None, &service.name),
    };
    Arc::new(Who {
        kind,
        identity: Arc::clone(authenticated.principal().identity()),
        scim_id,
        name: Arc::clone(name),
        issuer: Arc::clone(&token.issuer),
        subject: Arc::clone(&token.subject),
        token_id: Arc::clone(&token.id),
    })
}

fn login_event(
    context: &Context,
    session: u64,
    client: SocketAddr,
    driver: &Arc<str>,
    verdict: Verdict,
) -> Event {
    Event {
        cluster: Some(Arc::clone(&context.name)),
        session: Some(session),
        client: Some(client),
        driver: Some(Arc::clone(driver)),
        ..Event::new(Kind::Login, verdict)
    }
}

/// A log-in.
pub(super) fn login(
    context: &Context,
    session: u64,
    client: SocketAddr,
    driver: &Arc<str>,
    authenticated: &Authenticated,
) -> Event {
    Event {
        who: Some(who(authenticated)),
        ..login_event(context, session, client, driver, Verdict::Permitted)
    }
}

/// A refused log-in; `reason` is for the operator.
pub(super) fn login_refused(
    context: &Context,
    session: u64,
    client: SocketAddr,
    driver: &Arc<str>,
    reason: String,
    reference: String,
) -> Event {
    Event {
        reason: Some(reason),
        reference: Some(reference),
        ..login_event(context, session, client, driver, Verdict::Refused)
    }
}
