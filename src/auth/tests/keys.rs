//! Key sets over time, and providers that misbehave.

use std::sync::Arc;
use std::time::Duration;

use cqlgate_testkit::issuer::{Algorithm, Issuer, Key, Serve, sasl_plain};
use serde_json::json;
use tokio::sync::oneshot;

use super::bench::{Bench, authenticator, directory, identity, loopback, timing, user};
use crate::auth::clock::tests::TestClock;
use crate::auth::{Authenticator, ClientResponse, LoginError, TokenError};
use crate::config::limits;

/// Runs the background refresh beside `work`, and sees it stop.
async fn while_running(auth: &Authenticator, work: impl Future<Output = ()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let run = auth.run(async move { drop(stopped.await) });
    let work = async move {
        work.await;
        drop(stop);
    };
    tokio::join!(run, work);
}

#[tokio::test]
async fn rotation_unknown_kid() {
    let bench = Bench::start().await;
    let old = bench.token().sign();
    assert!(bench.login(&old).await.is_ok());
    bench.issuer.rotate(Algorithm::Es256);
    // Right after a fetch, and on the first try.
    assert!(bench.login(&bench.token().sign()).await.is_ok());
    assert!(bench.login(&old).await.is_ok(), "the old key is still published");
    assert_eq!(bench.issuer.key_requests(), 2);
}

#[tokio::test]
async fn kid_flood() {
    let bench = Bench::start().await;
    assert!(bench.login(&bench.token().sign()).await.is_ok());
    for number in 0..1000 {
        let token = bench.token().kid(&format!("random-{number}")).sign_with(|_, _| vec![1; 64]);
        assert!(matches!(bench.fault(&token).await, TokenError::UnknownKey(..)));
    }
    assert_eq!(bench.issuer.key_requests(), 2);
    bench.clock.advance(limits::JWKS_REFETCH_FLOOR);
    bench.fault(&bench.token().kid("random").sign()).await;
    assert_eq!(bench.issuer.key_requests(), 3);
}

#[tokio::test]
async fn many_logins_at_once_make_one_fetch() {
    let bench = Arc::new(Bench::start().await);
    let token = bench.token().sign();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (bench, token) = (Arc::clone(&bench), token.clone());
            tokio::spawn(async move { bench.login(&token).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!((bench.issuer.discovery_requests(), bench.issuer.key_requests()), (1, 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_fetch() {
    let bench = Bench::start().await;
    bench.issuer.serve_keys(Serve::Stall);
    let token = bench.token().sign();
    tokio::select! {
        biased;
        asked = bench.issuer.wait_for_key_requests(1) => assert!(asked),
        _ = bench.login(&token) => panic!("no keys yet"),
    }
    bench.issuer.serve_keys(Serve::Normal);
    // The next one waits for the fetch under way, learns that it failed, and does not start another at once.
    let refusal = bench.refusal(&token).await;
    assert!(matches!(refusal, LoginError::KeysUnavailable { .. }), "{refusal}");
    assert_eq!(bench.issuer.key_requests(), 1);
    bench.clock.advance(limits::JWKS_RETRY);
    assert!(bench.login(&token).await.is_ok());
}

#[tokio::test]
async fn key_removed_and_cache_hit_after_key_removed_from_jwks() {
    let bench = Bench::start().await;
    let old = bench.token().sign();
    assert!(bench.login(&old).await.is_ok());
    bench.issuer.rotate(Algorithm::Es256);
    bench.issuer.remove_key("key-1");
    assert!(bench.login(&old).await.is_ok(), "nobody has told us yet");
    assert!(bench.login(&bench.token().sign()).await.is_ok());
    assert!(matches!(bench.fault(&old).await, TokenError::UnknownKey(..)));
}

#[tokio::test]
async fn a_key_under_an_old_kid_ends_what_the_old_key_signed() {
    let bench = Bench::start().await;
    let old = bench.token().sign();
    assert!(bench.login(&old).await.is_ok());
    bench.issuer.remove_key("key-1");
    bench.issuer.publish(Arc::new(Key::generate(Algorithm::Es256, "key-1")));
    bench.fault(&bench.token().kid("other").sign()).await;
    assert!(matches!(bench.fault(&old).await, TokenError::Signature));
}

#[tokio::test]
async fn rotation_without_kids() {
    let bench = Bench::start().await;
    let publish = |key: &Key| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        bench.issuer.serve_keys(Serve::Json(json!({"keys": [jwk]})));
    };
    for algorithm in [Algorithm::Es256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = Arc::new(Key::generate(algorithm, "nameless"));
        publish(&key);
        let token = bench.token().key(key).without_header("kid").sign();
        assert!(bench.login(&token).await.is_ok(), "{algorithm}");
        bench.clock.advance(limits::JWKS_REFETCH_FLOOR);
    }
    let forged = bench.token().without_header("kid").header("alg", "EdDSA").sign();
    for _ in 0..100 {
        assert!(matches!(bench.fault(&forged).await, TokenError::Signature));
    }
    assert_eq!(bench.issuer.key_requests(), 4);
}

#[tokio::test]
async fn dup_kid_same_type_and_dup_kid_diff_kty() {
    let bench = Bench::start().await;
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es256] {
        let twin = Arc::new(Key::generate(algorithm, "key-1"));
        bench.issuer.publish(Arc::clone(&twin));
        assert!(bench.login(&bench.token().sign()).await.is_ok());
        bench.clock.advance(limits::JWKS_REFETCH_FLOOR);
        bench.fault(&bench.token().kid("other").sign()).await;
        assert!(bench.login(&bench.token().key(twin).sign()).await.is_ok());
    }
    // Three of one type; with five, none counts any more.
    for _ in 0..2 {
        bench.issuer.publish(Arc::new(Key::generate(Algorithm::Es256, "key-1")));
    }
    bench.clock.advance(limits::JWKS_REFETCH_FLOOR);
    bench.fault(&bench.token().kid("other").sign()).await;
    assert!(matches!(bench.fault(&bench.token().sign()).await, TokenError::UnknownKey(..)));
    assert!(bench.auth.health()[0].left_out.iter().any(|l| l.contains("5 keys have this id")));
}

#[tokio::test]
async fn idp_down_at_boot() {
    let bench = Bench::start().await;
    bench.issuer.serve_discovery(Serve::Status(503));
    assert!(!bench.auth.ready());
    let token = bench.token().sign();
    let refusal = bench.refusal(&token).await;
    assert!(matches!(refusal, LoginError::KeysUnavailable { .. }), "{refusal}");
    assert_eq!(refusal.client_response(), ClientResponse::Close);
    assert!(refusal.to_string().contains("status 503"), "{refusal}");
    let health = &bench.auth.health()[0];
    assert!(!health.healthy && health.detail.contains("status 503") && health.keys_fetched.is_none());
    // Up again; but no stampede within a second.
    bench.issuer.serve_discovery(Serve::Normal);
    assert!(matches!(bench.refusal(&token).await, LoginError::KeysUnavailable { .. }));
    assert_eq!(bench.issuer.discovery_requests(), 1);
    bench.clock.advance(limits::JWKS_RETRY);
    assert!(bench.login(&token).await.is_ok());
    let health = &bench.auth.health()[0];
    assert!(bench.auth.ready() && health.healthy && health.detail.is_empty());
    assert_eq!(health.key_ids, ["key-1"]);
}

#[tokio::test]
async fn nothing_listening_is_no_fault_of_the_client() {
    let Bench { issuer, auth, state, .. } = Bench::start().await;
    let token = issuer.token("alice").sign();
    drop(issuer);
    let refusal = auth.login(&sasl_plain("token", &token), &[], &state).await.unwrap_err();
    assert_eq!(refusal.client_response(), ClientResponse::Close, "{refusal}");
    assert_eq!(refusal.kind(), "keys_unavailable");
}

/// Whatever the provider serves, keys that were good stay in force, and a token with an unknown key hears
/// "come again".
#[tokio::test]
async fn bad_answers_change_nothing() {
    let bench = Bench::start().await;
    let token = bench.token().lifetime(Duration::from_hours(1)).sign();
    assert!(bench.login(&token).await.is_ok());
    let evil = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    let oct = json!({"keys": [{"kty": "oct", "k": "AAAA"}]});
    let ten_thousand: Vec<_> = (0..10_000).map(|_| json!({"kty": "XX"})).collect();
    let jwk = Key::generate(Algorithm::Es256, "many").jwk();
    let many: Vec<_> = (0..101)
        .map(|number| {
            let mut jwk = jwk.clone();
            jwk["kid"] = json!(format!("many-{number}"));
            jwk
        })
        .collect();
    for (name, serve, reason) in [
        ("redirect_302_to_internal", Serve::Redirect(evil.keys_url()), "status 302"),
        ("slow_loris_jwks", Serve::Stall, "no answer within"),
        ("huge_body_jwks", Serve::Oversized(limits::IDP_BODY + 1), "longer than 262144"),
        ("html_200", Serve::Html("<html>log in</html>".into()), "not JSON"),
        ("500_then_ok", Serve::Status(500), "status 500"),
        ("no_content", Serve::Status(204), "status 204"),
        ("empty_keys_array", Serve::Json(json!({"keys": []})), "no usable key"),
        ("only_unusable_keys", Serve::Json(oct), "symmetric"),
        ("10k_keys_jwks", Serve::Json(json!({ "keys": ten_thousand })), "no usable key"),
        ("101_usable_keys", Serve::Json(json!({ "keys": many })), "101 usable keys"),
        ("no_keys_member", Serve::Json(json!({"error": "x"})), "no array \"keys\""),
        ("keys_no_array", Serve::Json(json!({"keys": {}})), "no array \"keys\""),
        ("array", Serve::Json(json!([])), "not a JSON object"),
    ] {
        bench.issuer.serve_keys(serve);
        bench.clock.advance(limits::JWKS_REFETCH_FLOOR);
        let refusal = bench.refusal(&bench.token().kid("unknown").sign()).await;
        assert!(refusal.to_string().contains(reason), "{name}: {refusal}");
        assert_eq!(refusal.client_response(), ClientResponse::Close, "{name}");
        assert!(bench.login(&token).await.is_ok(), "{name}: what was verified stays so");
        let another = bench.token().lifetime(Duration::from_hours(1)).sign();
        assert!(bench.login(&another).await.is_ok(), "{name}: the keys stay in force");
        assert!(bench.auth.ready() && bench.auth.health()[0].detail.contains(reason), "{name}");
    }
    assert_eq!((evil.key_requests(), evil.discovery_requests()), (0, 0));
    bench.issuer.serve_keys(Serve::Normal);
    bench.clock.advance(limits::JWKS_REFETCH_FLOOR);
    assert!(matches!(bench.fault(&bench.token().kid("unknown").sign()).await, TokenError::UnknownKey(..)));
}

#[tokio::test]
async fn bad_discovery_documents_give_no_keys() {
    let bench = Bench::start().await;
    let with = |name: &str, value: serde_json::Value| {
        let mut document = bench.issuer.discovery();
        document[name] = value;
        Serve::Json(document)
    };
    let url = bench.issuer.url();
    for (name, serve, reason) in [
        (
            "discovery_issuer_mismatch",
            with("issuer", json!("https://evil.example")),
            "of issuer \"https://evil.example\"",
        ),
        ("discovery_issuer_slash", with("issuer", json!(format!("{url}/"))), "of issuer"),
        ("jwks_uri_http", with("jwks_uri", json!("http://evil.example/keys")), "not https"),
        (
            "jwks_uri_link_local",
            with("jwks_uri", json!("http://169.254.169.254/latest")),
            "no identity provider",
        ),
        ("jwks_uri_file", with("jwks_uri", json!("file:///etc/passwd")), "not a URL"),
        ("jwks_uri_missing", with("jwks_uri", json!(null)), "jwks_url"),
        ("discovery_redirect", Serve::Redirect(bench.issuer.keys_url()), "status 302"),
        ("discovery_html", Serve::Html("<html>".into()), "not JSON"),
        ("discovery_array", Serve::Json(json!([])), "not a JSON object"),
    ] {
        bench.issuer.serve_discovery(serve);
        bench.clock.advance(limits::JWKS_RETRY);
        let refusal = bench.refusal(&bench.token().sign()).await;
        assert!(refusal.to_string().contains(reason), "{name}: {refusal}");
        assert_eq!(refusal.client_response(), ClientResponse::Close, "{name}");
    }
    assert_eq!(bench.issuer.key_requests(), 0);
}

#[tokio::test]
async fn adfs_style_issuer_path() {
    let issuer = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    let mut adfs = identity("acme", "https://adfs.acme.example/adfs/services/trust");
    adfs.jwks_url = Some(issuer.keys_url());
    let auth = authenticator(&[adfs], &[], &Arc::new(TestClock::new()));
    let token = issuer.token("alice").claim("iss", "https://adfs.acme.example/adfs/services/trust").sign();
    let state = directory("acme", &[user("1", "alice")]);
    assert!(auth.login(&sasl_plain("token", &token), &[], &state).await.is_ok());
    assert_eq!((issuer.discovery_requests(), issuer.key_requests()), (0, 1));
}

#[tokio::test]
async fn idp_down_6h_and_longer_than_max_stale() {
    let bench = Bench::start().await;
    assert!(bench.login(&bench.token().sign()).await.is_ok());
    bench.issuer.serve_keys(Serve::Status(503));
    bench.clock.advance(Duration::from_hours(6));
    let now = crate::auth::clock::Clock::now(&*bench.clock).unix_timestamp();
    assert!(bench.login(&bench.token().issued_at(now).sign()).await.is_ok());
    bench.clock.advance(limits::JWKS_MAX_STALE.saturating_sub(Duration::from_hours(6)));
    let remembered = bench.token().issued_at(now + 18 * 3600).sign();
    assert!(bench.login(&remembered).await.is_ok(), "to the second");
    bench.clock.advance(Duration::from_secs(1));
    for token in [remembered, bench.token().issued_at(now + 18 * 3600).sign()] {
        let refusal = bench.refusal(&token).await;
        assert!(matches!(refusal, LoginError::KeysUnavailable { .. }), "{refusal}");
    }
    assert!(!bench.auth.ready() && !bench.auth.health()[0].healthy);
}

#[tokio::test]
async fn the_background_fetches_before_anybody_logs_in_and_survives_failures() {
    let issuer = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    issuer.serve_keys(Serve::Status(500));
    let short = Duration::from_millis(5);
    let timing = crate::auth::keys::Timing { refresh: short, retry: short, floor: 2 * short, ..timing() };
    let clock = Arc::new(TestClock::new());
    let auth = Authenticator::with(&[identity("acme", issuer.url())], &[], clock, timing).unwrap();
    while_running(&auth, async {
        assert!(issuer.wait_for_key_requests(3).await);
        assert!(!auth.ready());
        issuer.serve_keys(Serve::Normal);
        // The answer to one request is in force when the next one comes.
        let seen = issuer.key_requests();
        assert!(issuer.wait_for_key_requests(seen + 3).await);
        assert!(auth.ready());
    })
    .await;
}

#[tokio::test]
async fn two_issuers_one_slow() {
    let slow = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    let good = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    slow.serve_discovery(Serve::Stall);
    let identities = [identity("slow", slow.url()), identity("acme", good.url())];
    let auth = authenticator(&identities, &[], &Arc::new(TestClock::new()));
    let state = directory("acme", &[user("1", "alice")]);
    while_running(&auth, async {
        let token = sasl_plain("token", &good.token("alice").sign());
        let login = auth.login(&token, &[], &state);
        assert!(tokio::time::timeout(timing().fetch / 2, login).await.unwrap().is_ok());
        let health: Vec<_> = auth.health().iter().map(|h| h.healthy).collect();
        assert_eq!((health, auth.ready()), (vec![false, true], true));
    })
    .await;
}

#[tokio::test]
async fn a_second_login_costs_no_signature_and_a_collision_is_none() {
    let bench = Bench::start().await;
    // cache_collision: the same jti, another subject.
    let alice = bench.token().claim("jti", "same");
    let bob = bench.issuer.token("bob").claim("jti", "same");
    for _ in 0..2 {
        assert_eq!(bench.login(&alice.sign()).await.unwrap().principal().name(), "alice");
        assert_eq!(bench.login(&bob.sign()).await.unwrap().principal().name(), "bob");
    }
    assert_eq!(bench.issuer.key_requests(), 1);
}
