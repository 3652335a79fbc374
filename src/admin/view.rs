//! From the plain values of [`Status`] to what the template says.

use askama::Template;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::words::{Shown, When, number, plural, span};
use crate::config::limits::STATUS_ROWS;
use crate::status::{ClusterStatus, IdentityStatus, RefusalStatus, SessionStatus, Status};

/// Groups of a session that are shown at once; the others are a click away.
const GROUPS: usize = 5;
/// Groups, warnings and reasons that are shown at all; `/api/status` has the others.
const DETAILS: usize = 100;

/// How something is. The template says it in words, shape and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Good,
    Attention,
    Bad,
}

impl Health {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Attention => "attention",
            Self::Bad => "bad",
        }
    }
}

/// The page.
#[derive(Template)]
#[template(path = "status.html")]
pub(super) struct Page {
    health: Health,
    headline: String,
    reasons: Vec<Shown>,
    version: &'static str,
    now: Option<When>,
    uptime: String,
    clusters: Vec<Cluster>,
    clusters_summary: String,
    identities: Vec<Identity>,
    identities_summary: String,
    sessions: Vec<Session>,
    sessions_summary: String,
    refusals: Vec<Refusal>,
    refusals_summary: String,
    /// Where a driver would connect, for who sees an empty list.
    listen: Option<Shown>,
    find: String,
    any_sessions: bool,
    any_refusals: bool,
}

struct Cluster {
    name: Shown,
    health: Health,
    state: &'static str,
    observes: bool,
    listen: Shown,
    release: Shown,
    detail: Shown,
    tables: String,
    warm: String,
    generation: String,
    rules: String,
    loaded: Option<When>,
    stale: bool,
    warnings: Vec<Shown>,
    warnings_summary: String,
    more_warnings: usize,
}

struct Identity {
    name: Shown,
    issuer: Shown,
    health: Health,
    state: &'static str,
    detail: Shown,
    keys: Option<When>,
    push: Option<When>,
    users: String,
    active: String,
    groups: String,
}

struct Session {
    name: Shown,
    service: bool,
    identity: Shown,
    cluster: Shown,
    client: String,
    driver: Shown,
    since: Option<When>,
    expires: Option<When>,
    groups: Vec<Shown>,
    more_groups: Vec<Shown>,
    untold_groups: usize,
    requests: String,
    refused: String,
    any_refused: bool,
}

struct Refusal {
    at: Option<When>,
    observed: bool,
    login: bool,
    name: Shown,
    identity: Shown,
    client: Shown,
    cluster: Shown,
    what: Shown,
    reason: Shown,
    rule: Shown,
    reference: Shown,
}

impl Page {
    /// `not_ready`: why drivers must not be sent here. `find`: shows only what contains it.
    pub(super) fn new(status: &Status, not_ready: Option<Vec<String>>, find: &str) -> Self {
        let now = OffsetDateTime::parse(&status.now, &Rfc3339).ok();
        let started = OffsetDateTime::parse(&status.started, &Rfc3339).ok();
        let clusters: Vec<_> = status.clusters.iter().map(|c| cluster(c, now)).collect();
        let identities: Vec<_> = status.identities.iter().map(|i| identity(i, now)).collect();
        let attention = clusters.iter().filter(|c| c.health != Health::Good).count()
            + identities.iter().filter(|i| i.health != Health::Good).count();
        let (health, headline) = match (&not_ready, attention) {
            (Some(_), _) => (Health::Bad, "Not ready".to_owned()),
            (None, 0) => (Health::Good, "Ready".to_owned()),
            (None, n) => {
                (Health::Attention, format!("Ready, {}", plural(n, "thing to look at", "things to look at")))
            }
        };

        let needle = find.trim().to_lowercase();
        let mut found: Vec<_> = status.sessions.iter().filter(|s| session_has(s, &needle)).collect();
        // Numbers count up, so the newest is the highest.
        found.sort_by_key(|s| std::cmp::Reverse(s.id));
        let sessions: Vec<_> = found.iter().take(STATUS_ROWS).map(|s| session(s, now)).collect();
        let refused: Vec<_> = status.refusals.iter().filter(|r| refusal_has(r, &needle)).collect();

        Self {
            health,
            headline,
            reasons: not_ready.unwrap_or_default().iter().take(DETAILS).map(|r| Shown::text(r)).collect(),
            version: status.version,
            now: When::new(&status.now, now),
            uptime: now.zip(started).map(|(now, started)| span(now - started)).unwrap_or_default(),
            clusters_summary: healthy(clusters.iter().map(|c| c.health)),
            identities_summary: healthy(identities.iter().map(|i| i.health)),
            clusters,
            identities,
            sessions_summary: bounded(sessions.len(), found.len(), status.sessions.len()),
            sessions,
            refusals_summary: bounded(refused.len(), refused.len(), status.refusals.len()),
            refusals: refused.into_iter().map(|r| refusal(r, now)).collect(),
            listen: status.clusters.first().map(|c| Shown::name(&c.listen)),
            find: find.trim().to_owned(),
            any_sessions: !status.sessions.is_empty(),
            any_refusals: !status.refusals.is_empty(),
        }
    }
}

/// `3 healthy`, `2 of 3 healthy`.
fn healthy(all: impl ExactSizeIterator<Item = Health>) -> String {
    let count = all.len();
    let good = all.filter(|h| *h == Health::Good).count();
    match (count, good) {
        (0, _) => String::new(),
        (n, g) if n == g => format!("{n} healthy"),
        (n, g) => format!("{g} of {n} healthy"),
    }
}

/// How many there are, how many match, how many are shown.
fn bounded(shown: usize, found: usize, all: usize) -> String {
    let number = |n: usize| number(n as u64);
    match () {
        () if shown < found && found < all => {
            format!("newest {} of {} found, {} in all", number(shown), number(found), number(all))
        }
        () if shown < found => format!("newest {} of {}", number(shown), number(all)),
        () if found < all => format!("{} of {}", number(found), number(all)),
        () => number(all),
    }
}

fn cluster(c: &ClusterStatus, now: Option<OffsetDateTime>) -> Cluster {
    let observes = c.mode == "observe";
    let (health, state) = match (c.healthy, c.policy_stale) {
        (false, _) => (Health::Bad, "Not healthy"),
        (true, true) => (Health::Attention, "Old policy"),
        (true, false) => (Health::Good, "Healthy"),
    };
    Cluster {
        name: Shown::name(&c.name),
        health,
        state,
        observes,
        listen: Shown::name(&c.listen),
        release: Shown::name(&c.release),
        detail: Shown::text(&c.detail),
        tables: number(c.tables as u64),
        warm: number(c.warm as u64),
        generation: number(c.policy_generation),
        rules: plural(c.policy_rules, "rule", "rules"),
        loaded: When::new(&c.policy_loaded, now),
        stale: c.policy_stale,
        warnings: c.policy_warnings.iter().take(DETAILS).map(|w| Shown::text(w)).collect(),
        warnings_summary: plural(c.policy_warnings.len(), "warning", "warnings"),
        more_warnings: c.policy_warnings.len().saturating_sub(DETAILS),
    }
}

fn identity(i: &IdentityStatus, now: Option<OffsetDateTime>) -> Identity {
    let (health, state) = match (i.healthy, i.last_push.is_empty()) {
        (false, _) => (Health::Bad, "Not healthy"),
        (true, true) => (Health::Attention, "Nobody pushed yet"),
        (true, false) => (Health::Good, "Healthy"),
    };
    Identity {
        name: Shown::name(&i.name),
        issuer: Shown::name(&i.issuer),
        health,
        state,
        detail: Shown::text(&i.detail),
        keys: When::new(&i.keys_fetched, now),
        push: When::new(&i.last_push, now),
        users: number(i.users as u64),
        active: number(i.active_users as u64),
        groups: number(i.groups as u64),
    }
}

fn session(s: &SessionStatus, now: Option<OffsetDateTime>) -> Session {
    let mut groups: Vec<_> = s.groups.iter().take(DETAILS).map(|g| Shown::name(g)).collect();
    let more_groups = groups.split_off(groups.len().min(GROUPS));
    Session {
        name: Shown::name(&s.name),
        service: s.kind == "service",
        identity: Shown::name(&s.identity),
        cluster: Shown::name(&s.cluster),
        client: s.client.to_string(),
        driver: Shown::name(&s.driver),
        since: When::new(&s.since, now),
        expires: When::new(&s.token_expires, now),
        groups,
        more_groups,
        untold_groups: s.groups.len().saturating_sub(DETAILS),
        requests: number(s.requests),
        refused: number(s.refused),
        any_refused: s.refused > 0,
    }
}

fn refusal(r: &RefusalStatus, now: Option<OffsetDateTime>) -> Refusal {
    Refusal {
        at: When::new(&r.at, now),
        observed: r.verdict == "observed",
        login: r.event == "login",
        name: Shown::name(&r.name),
        identity: Shown::name(&r.identity),
        client: Shown::name(&r.client),
        cluster: Shown::name(&r.cluster),
        what: Shown::text(&r.what),
        reason: Shown::text(&r.reason),
        rule: Shown::name(&r.rule),
        reference: Shown::name(&r.reference),
    }
}

fn session_has(s: &SessionStatus, needle: &str) -> bool {
    has(needle, [&s.name, &s.identity, &s.cluster, &s.driver, &s.client.to_string()])
        || has(needle, s.groups.iter())
}

fn refusal_has(r: &RefusalStatus, needle: &str) -> bool {
    has(needle, [&r.name, &r.identity, &r.cluster, &r.client, &r.what, &r.reason, &r.rule, &r.reference])
}

fn has<'a>(needle: &str, texts: impl IntoIterator<Item = &'a String>) -> bool {
    needle.is_empty() || texts.into_iter().any(|t| t.to_lowercase().contains(needle))
}
