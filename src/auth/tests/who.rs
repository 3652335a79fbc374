//! From a token to a principal.

use super::bench::{Bench, directory, identity, service, user};
use crate::auth::{AuthError, Authenticator, ClientResponse, LoginError};
use crate::config::model;
use crate::principal::Principal;

#[tokio::test]
async fn the_subject_is_the_one_active_user_with_that_external_id() {
    let bench = Bench::start().await;
    let who = bench.login(&bench.token().claim("jti", "t-1").sign()).await.unwrap();
    let Principal::Person(person) = who.principal() else { panic!("{}", who.principal()) };
    assert_eq!((&*person.identity, &*person.id, &*person.user_name), ("acme", "1", "alice"));
    assert_eq!((&*who.token().issuer, &*who.token().subject), (bench.issuer.url(), "alice"));
    assert_eq!(&*who.token().id, "t-1");
    assert_eq!((who.token().expires_at - who.token().issued_at).whole_seconds(), 300);
}

#[tokio::test]
async fn a_token_without_jti_is_named_by_its_hash() {
    let bench = Bench::start().await;
    let who = bench.login(&bench.token().without("jti").sign()).await.unwrap();
    assert!(who.token().id.len() == 16 && who.token().id.chars().all(|c| c.is_ascii_hexdigit()));
}

#[tokio::test]
async fn unknown_scim_user_valid_token() {
    let bench = Bench::start().await;
    let refusal = bench.refusal(&bench.issuer.token("mallory").sign()).await;
    assert_eq!(
        refusal.to_string(),
        "no user with externalId \"mallory\" in identity \"acme\", and no service with these claims"
    );
    assert_eq!(refusal.kind(), "unknown_user");
    let text = "Provided username and/or password are incorrect";
    assert_eq!(refusal.client_response(), ClientResponse::BadCredentials(text.into()));
}

#[tokio::test]
async fn an_identity_that_nobody_pushed_to_has_no_users() {
    let mut bench = Bench::start().await;
    bench.state = directory("other", &[user("1", "alice")]);
    assert!(matches!(bench.refusal(&bench.token().sign()).await, LoginError::UnknownUser { .. }));
}

#[tokio::test]
async fn replay_after_user_deactivated_in_scim() {
    let mut bench = Bench::start().await;
    let token = bench.token().sign();
    bench.login(&token).await.unwrap();
    let mut alice = user("1", "alice");
    alice.active = false;
    bench.state = directory("acme", &[alice]);
    assert!(matches!(bench.refusal(&token).await, LoginError::InactiveUser { .. }));
}

#[tokio::test]
async fn two_users_with_one_external_id_are_refused_even_if_one_is_inactive() {
    let mut bench = Bench::start().await;
    let mut second = user("2", "alice2");
    second.external_id = Some("alice".into());
    for active in [true, false] {
        second.active = active;
        bench.state = directory("acme", &[user("1", "alice"), second.clone()]);
        let refusal = bench.refusal(&bench.token().sign()).await;
        assert!(matches!(refusal, LoginError::AmbiguousUser { count: 2, .. }), "{refusal}");
    }
}

#[tokio::test]
async fn unicode_confusable_username() {
    let mut bench = Bench::with(|i| i.subject.scim = "userName".into(), &[]).await;
    bench.state = directory("acme", &[user("1", "alice"), user("2", "Ren\u{e9}")]);
    assert!(bench.login(&bench.token().sign()).await.is_ok());
    assert!(bench.login(&bench.issuer.token("Ren\u{e9}").sign()).await.is_ok());
    for name in ["Alice", "\u{430}lice", "alice ", "Rene\u{301}", "ren\u{e9}"] {
        let refusal = bench.refusal(&bench.issuer.token(name).sign()).await;
        assert!(matches!(refusal, LoginError::UnknownUser { .. }), "{name}: {refusal}");
    }
}

#[tokio::test]
async fn another_claim_can_name_the_person_by_scim_id() {
    let bench = Bench::with(
        |i| {
            i.subject.claim = "oid".into();
            i.subject.scim = "id".into();
        },
        &[],
    )
    .await;
    let who = bench.login(&bench.issuer.token("pairwise").claim("oid", "2").sign()).await.unwrap();
    assert_eq!((who.principal().name(), &*who.token().subject), ("bob", "2"));
}

#[tokio::test]
async fn username_claim_missing_or_null_or_array() {
    let bench = Bench::with(|i| i.subject.claim = "oid".into(), &[]).await;
    let array = serde_json::json!(["alice"]);
    let tokens = [
        bench.token(),
        bench.token().claim("oid", serde_json::Value::Null),
        bench.token().claim("oid", array),
        bench.token().claim("oid", ""),
        bench.token().claim("oid", "ali\u{0}ce"),
        bench.token().claim("oid", "x".repeat(256)),
    ];
    for token in tokens {
        let refusal = bench.refusal(&token.sign()).await;
        assert!(matches!(refusal, LoginError::NoSubject { .. }), "{refusal}");
    }
}

#[tokio::test]
async fn claim_username_vs_sasl_username_mismatch() {
    let mut bench = Bench::start().await;
    let mut alice = user("1", "alice@acme.example");
    alice.external_id = Some("alice".into());
    bench.state = directory("acme", &[alice, user("2", "bob")]);
    let token = bench.token().sign();
    for username in ["", "token", "alice", "alice@acme.example"] {
        assert!(bench.login_as(username, &token).await.is_ok(), "{username}");
    }
    for username in ["bob", "cassandra", "Alice", "TOKEN", "alice "] {
        let refusal = bench.login_as(username, &token).await.unwrap_err();
        assert!(matches!(refusal, LoginError::Username { .. }), "{username}: {refusal}");
    }
}

#[tokio::test]
async fn a_service_is_known_by_all_its_claims() {
    let loader = service("loader", &[("sub", "etl"), ("azp", "etl-job")]);
    let bench = Bench::with(|_| (), &[loader]).await;
    let good = bench.issuer.token("etl").claim("azp", "etl-job");
    for username in ["token", "", "etl", "loader"] {
        let who = bench.login_as(username, &good.sign()).await.unwrap();
        assert_eq!(who.principal().to_string(), "SERVICE \"loader\" OF \"acme\"");
        assert_eq!(&*who.token().subject, "etl");
    }
    let wrong = [
        bench.issuer.token("etl"),
        bench.issuer.token("etl").claim("azp", "ETL-job"),
        bench.issuer.token("etl").claim("azp", "etl-job "),
        bench.issuer.token("etl2").claim("azp", "etl-job"),
    ];
    for token in wrong {
        let refusal = bench.refusal(&token.sign()).await;
        assert!(matches!(refusal, LoginError::UnknownUser { .. }), "{refusal}");
    }
}

#[tokio::test]
async fn claims_that_fit_two_services_are_refused() {
    let both = [service("a", &[("sub", "etl")]), service("b", &[("client", "x")])];
    let bench = Bench::with(|_| (), &both).await;
    assert!(bench.login(&bench.issuer.token("etl").sign()).await.is_ok());
    let refusal = bench.refusal(&bench.issuer.token("etl").claim("client", "x").sign()).await;
    assert!(matches!(refusal, LoginError::AmbiguousService(_)), "{refusal}");
}

#[tokio::test]
async fn a_service_that_is_also_a_person_is_refused_active_or_not() {
    let mut bench = Bench::with(|_| (), &[service("wide", &[("azp", "cli")])]).await;
    let token = bench.token().claim("azp", "cli").sign();
    assert!(matches!(bench.refusal(&token).await, LoginError::ServiceAndUser { .. }));
    let mut alice = user("1", "alice");
    alice.active = false;
    bench.state = directory("acme", &[alice]);
    assert!(matches!(bench.refusal(&token).await, LoginError::ServiceAndUser { .. }));
}

#[tokio::test]
async fn a_cluster_accepts_only_its_identities() {
    let bench = Bench::start().await;
    let sasl = cqlgate_testkit::issuer::sasl_plain("token", &bench.token().sign());
    let login = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let (auth, state, sasl) = (&bench.auth, &bench.state, &sasl);
        async move { auth.login(sasl, &names, state).await }
    };
    // Before and after the token is remembered.
    assert!(matches!(login(&["other"]).await, Err(LoginError::IdentityNotAccepted(_))));
    assert!(login(&["other", "acme"]).await.is_ok());
    assert!(matches!(login(&["other"]).await, Err(LoginError::IdentityNotAccepted(_))));
}

#[test]
fn configurations_that_could_not_tell_people_apart_are_refused() {
    let acme = || identity("acme", "https://login.acme.example");
    let other = || identity("other", "https://login.other.example");
    let refused = |identities: &[model::Identity], services: &[model::Service]| {
        Authenticator::new(identities, services).unwrap_err()
    };
    let changed = |change: fn(&mut model::Identity)| {
        let mut identity = acme();
        change(&mut identity);
        refused(&[identity], &[])
    };
    assert!(matches!(refused(&[], &[]), AuthError::NoIdentity));
    let same_issuer = identity("other", "https://login.acme.example");
    assert!(matches!(refused(&[acme(), same_issuer], &[]), AuthError::Twice("issuer", _)));
    let same_name = identity("acme", "https://login.other.example");
    assert!(matches!(refused(&[acme(), same_name], &[]), AuthError::Twice("name", _)));
    assert!(matches!(changed(|i| i.audiences.clear()), AuthError::Empty(_, "audiences")));
    assert!(matches!(changed(|i| i.audiences.push(String::new())), AuthError::Empty(_, "audiences")));
    assert!(matches!(changed(|i| i.algorithms.clear()), AuthError::Empty(_, "algorithms")));
    assert!(matches!(changed(|i| i.token_types.clear()), AuthError::Empty(_, "token_types")));
    for algorithm in ["none", "HS256", "RS512", "es256"] {
        let mut identity = acme();
        identity.algorithms.push(algorithm.into());
        assert!(matches!(refused(&[identity], &[]), AuthError::Algorithm(..)), "{algorithm}");
    }
    for attribute in ["displayName", "emails", "externalid", ""] {
        let mut identity = acme();
        identity.subject.scim = attribute.into();
        assert!(matches!(refused(&[identity], &[]), AuthError::Attribute(..)), "{attribute}");
    }
    assert!(matches!(changed(|i| i.subject.claim.clear()), AuthError::Claim(_)));
    assert!(matches!(changed(|i| i.jwks_url = Some("http://keys.example".into())), AuthError::Address(..)));
    let loader = || service("loader", &[("sub", "etl")]);
    assert!(matches!(refused(&[other()], &[loader()]), AuthError::ServiceIdentity(..)));
    assert!(matches!(refused(&[acme()], &[loader(), loader()]), AuthError::ServiceTwice(..)));
    assert!(matches!(refused(&[acme()], &[service("all", &[])]), AuthError::ServiceClaims(_)));
}
