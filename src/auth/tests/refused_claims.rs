//! Claims: each broken in each way.

use std::time::Duration;

use cqlgate_testkit::issuer::{Algorithm, Issuer, TokenBuilder, sasl_plain};
use serde_json::{Value, json};

use super::bench::{Bench, authenticator, identity, loopback};
use crate::auth::clock::Clock as _;
use crate::auth::{ClientResponse, LoginError, TokenError};

/// One token for each value of a claim.
fn each<const N: usize>(bench: &Bench, claim: &str, values: [Value; N]) -> [String; N] {
    values.map(|value| bench.token().claim(claim, value).sign())
}

fn now(bench: &Bench) -> i64 {
    bench.clock.now().unix_timestamp()
}

/// A token with these times, relative to the bench's clock.
fn times(bench: &Bench, issued: i64, expires: i64) -> TokenBuilder {
    let now = now(bench);
    bench.token().issued_at(now + issued).expires_at(now + expires)
}

refused! {
    iss_missing: |b: &Bench| [b.token().without("iss").sign()], (TokenError::NoIssuer);
    iss_slash: |b: &Bench| [b.token().claim("iss", format!("{}/", b.issuer.url())).sign()], (TokenError::Issuer(_));
    iss_case: |b: &Bench| [b.token().claim("iss", b.issuer.url().to_uppercase()).sign()], (TokenError::Issuer(_));
    iss_port443: |b: &Bench| [b.token().claim("iss", "https://127.0.0.1:443").sign()], (TokenError::Issuer(_));
    iss_array: |b: &Bench| { let u = b.issuer.url(); each(b, "iss", [json!([u]), json!(["https://evil.example", u]), Value::Null, json!(1)]) }, (TokenError::ClaimType("iss"));
    iss_unconfigured: |b: &Bench| each(b, "iss", [json!("https://evil.example"), json!("")]), (TokenError::Issuer(_));
    iss_http_scheme: |b: &Bench| [b.token().claim("iss", b.issuer.url().replace("http:", "https:")).sign()], (TokenError::Issuer(_));
    iss_path: |b: &Bench| [b.token().claim("iss", format!("{}/realm", b.issuer.url())).sign()], (TokenError::Issuer(_));
    aud_missing: |b: &Bench| [b.token().without("aud").sign()], (TokenError::Missing("aud"));
    aud_other: |b: &Bench| each(b, "aud", [json!("account"), json!(["account"])]), (TokenError::Audience(_));
    aud_prefix_and_case: |b: &Bench| each(b, "aud", ["cass", "cassandra2", "Cassandra", "cassandra ", ""].map(Value::from)), (TokenError::Audience(_));
    aud_empty_array: |b: &Bench| each(b, "aud", [json!([])]), (TokenError::ClaimType("aud"));
    aud_array_of_numbers: |b: &Bench| each(b, "aud", [json!([1]), json!(["cassandra", 1]), json!([["cassandra"]]), json!({"cassandra": 1}), json!(1)]), (TokenError::ClaimType("aud"));
    aud_null: |b: &Bench| each(b, "aud", [Value::Null, json!([null])]), (TokenError::ClaimType("aud"));
    aud_array_extra: |b: &Bench| each(b, "aud", [json!(["cassandra", "account"]), json!(["account", "cassandra"])]), (TokenError::Audience(_));
    aud_array_extra_azp_other: |b: &Bench| [b.token().claim("aud", json!(["cassandra", "account"])).claim("azp", "account").sign()], (TokenError::Audience(_));
    exp_missing: |b: &Bench| [b.token().without("exp").sign()], (TokenError::Missing("exp"));
    exp_past: |b: &Bench| [times(b, -10, -1).sign(), times(b, -3600, -1800).sign()], (TokenError::Expired(_));
    exp_edge: |b: &Bench| [times(b, -10, 0).sign()], (TokenError::Expired(0));
    exp_string: |b: &Bench| each(b, "exp", [json!("4102444800"), Value::Null, json!([4_102_444_800_i64]), json!(true)]), (TokenError::ClaimType("exp"));
    exp_neg: |b: &Bench| each(b, "exp", [json!(-1), json!(i64::MIN)]), (TokenError::ClaimType("exp"));
    exp_huge: |b: &Bench| {
        let claims = b.token().without("exp").claims_json();
        let with = |text: &str| b.token().raw_payload(claims.replacen('{', &format!("{{\"exp\":{text},"), 1)).sign();
        [with("1e30"), with("1000000000000000000000000000000"), with("253402300800"), with("9223372036854775807"), with("18446744073709551615")]
    }, (TokenError::ClaimType("exp"));
    exp_float: |b: &Bench| { let now = now(b); let float = |n: i64| json!(f64::from(i32::try_from(n).unwrap()) + 60.5); each(b, "exp", [float(now)]) }, (TokenError::ClaimType("exp"));
    exp_too_far: |b: &Bench| [times(b, 0, 24 * 3600 + 1).sign()], (TokenError::Life(86_401, 86_400));
    nbf_future: |b: &Bench| { let now = now(b); each(b, "nbf", [json!(now + 31), json!(now + 3600)]) }, (TokenError::Future("nbf", _));
    nbf_string: |b: &Bench| each(b, "nbf", [json!("0"), Value::Null, json!(-1), json!(1.5)]), (TokenError::ClaimType("nbf"));
    iat_future: |b: &Bench| [times(b, 31, 300).sign()], (TokenError::Future("iat", 31));
    iat_missing: |b: &Bench| [b.token().without("iat").sign()], (TokenError::Missing("iat"));
    iat_string: |b: &Bench| each(b, "iat", [json!("0"), Value::Null, json!(-1), json!(1.5)]), (TokenError::ClaimType("iat"));
    iat_too_old: |b: &Bench| [times(b, -24 * 3600, 1).sign()], (TokenError::Life(..));
    exp_before_iat: |b: &Bench| [times(b, 20, 10).sign(), times(b, 10, 10).sign(), times(b, -10, -20).sign()], (TokenError::Order);
    sub_missing: |b: &Bench| [b.token().without("sub").sign()], (TokenError::Missing("sub"));
    sub_empty: |b: &Bench| each(b, "sub", [json!("")]), (TokenError::Text("sub"));
    sub_number: |b: &Bench| each(b, "sub", [json!(1), Value::Null, json!(["alice"])]), (TokenError::ClaimType("sub"));
    sub_4kib: |b: &Bench| each(b, "sub", [json!("x".repeat(4096)), json!("x".repeat(256)), json!("ä".repeat(128))]), (TokenError::Text("sub"));
    sub_with_nul_newline_bidi: |b: &Bench| each(b, "sub", ["alice\0", "alice\n", "\u{1b}[2Jalice", "\u{202e}ecila", "a\u{2066}", "a\u{2028}", "a\u{feff}", "a\u{85}"].map(Value::from)), (TokenError::Text("sub"));
    jti_unfit: |b: &Bench| each(b, "jti", ["", "a\nb"].map(Value::from)), (TokenError::Text("jti"));
    jti_number: |b: &Bench| each(b, "jti", [json!(1), Value::Null]), (TokenError::ClaimType("jti"));
    typ_logout: |b: &Bench| [b.token().header("typ", "logout+jwt").sign()], (TokenError::Type(_));
    typ_secevent: |b: &Bench| [b.token().header("typ", "secevent+jwt").sign(), b.token().header("typ", "application/secevent+jwt").sign()], (TokenError::Type(_));
    typ_dpop: |b: &Bench| [b.token().header("typ", "dpop+jwt").sign()], (TokenError::Type(_));
    typ_missing: |b: &Bench| [b.token().without_header("typ").sign()], (TokenError::NoType);
    typ_empty: |b: &Bench| [b.token().header("typ", "").sign(), b.token().header("typ", "application/").sign()], (TokenError::Type(_));
    typ_claim_id: |b: &Bench| each(b, "typ", ["ID", "Logout", "bearer", "DPoP", ""].map(Value::from)), (TokenError::Kind("typ", _));
    refresh_token_jwt: |b: &Bench| {
        let offline = b.token().claim("typ", "Offline").without("exp");
        [b.token().claim("typ", "Refresh").sign(), offline.sign()]
    }, (TokenError::Kind("typ", _));
    typ_claim_of_the_wrong_type: |b: &Bench| each(b, "typ", [Value::Null, json!(["Bearer"])]), (TokenError::ClaimType("typ"));
    token_use_id: |b: &Bench| each(b, "token_use", [json!("id")]), (TokenError::Kind("token_use", _));
    id_token_used_as_access_token: |b: &Bench| [
        b.token().header("typ", "JWT").claim("nonce", "n").sign(),
        b.token().header("typ", "JWT").claim("at_hash", "h").sign(),
        b.token().header("typ", "JWT").claim("c_hash", Value::Null).sign(),
    ], (TokenError::Claim("nonce" | "at_hash" | "c_hash"));
    events_claim_present: |b: &Bench| each(b, "events", [json!({}), Value::Null]), (TokenError::Claim("events"));
    cnf_present_unproven: |b: &Bench| each(b, "cnf", [json!({"x5t#S256": "x"}), json!({"jkt": "x"}), Value::Null]), (TokenError::Claim("cnf"));
    act_chain_present: |b: &Bench| each(b, "act", [json!({"sub": "bob"})]), (TokenError::Claim("act"));
}

#[tokio::test]
async fn the_edges_of_the_times_are_accepted() {
    let bench = Bench::start().await;
    let now = now(&bench);
    for token in [
        times(&bench, -10, 1),
        times(&bench, 30, 60),
        times(&bench, 0, 24 * 3600),
        bench.token().claim("nbf", now + 30),
        bench.token().claim("nbf", 0),
    ] {
        bench.login(&token.sign()).await.unwrap();
    }
}

#[tokio::test]
async fn audiences_in_any_form_and_order_are_accepted_if_all_are_ours() {
    let bench = Bench::with(|i| i.audiences = vec!["cassandra".into(), "gate".into()], &[]).await;
    for audience in [json!("gate"), json!(["cassandra"]), json!(["gate", "cassandra"])] {
        assert!(bench.login(&bench.token().claim("aud", audience).sign()).await.is_ok());
    }
}

#[tokio::test]
async fn azp_other() {
    let bench = Bench::with(|i| i.authorized_parties = vec!["cli".into()], &[]).await;
    let good = [
        bench.token().claim("azp", "cli"),
        bench.token().claim("client_id", "cli"),
        bench.token().claim("azp", "cli").claim("client_id", "cli"),
    ];
    for token in good {
        assert!(bench.login(&token.sign()).await.is_ok());
    }
    let other = [
        bench.token().claim("azp", "other"),
        bench.token().claim("client_id", "CLI"),
        bench.token().claim("azp", "cli").claim("client_id", "other"),
        bench.token().claim("azp", "other").claim("client_id", "cli"),
    ];
    for token in other {
        assert!(matches!(bench.fault(&token.sign()).await, TokenError::Party(..)));
    }
    assert!(matches!(bench.fault(&bench.token().sign()).await, TokenError::NoParty));
    let null = bench.token().claim("azp", Value::Null).claim("client_id", "cli").sign();
    assert!(matches!(bench.fault(&null).await, TokenError::ClaimType("azp")));
}

#[tokio::test]
async fn token_types_are_compared_without_case_and_application() {
    let bench = Bench::start().await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt", "JWT", "jwt"] {
        assert!(bench.login(&bench.token().header("typ", typ).sign()).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn typ_id_token_where_access_expected() {
    let bench = Bench::with(|i| i.token_types = vec!["at+jwt".into()], &[]).await;
    assert!(matches!(bench.fault(&bench.token().header("typ", "JWT").sign()).await, TokenError::Type(_)));
}

#[tokio::test]
async fn an_empty_token_type_admits_tokens_without_typ() {
    let bench = Bench::with(|i| i.token_types = vec!["at+jwt".into(), String::new()], &[]).await;
    assert!(bench.login(&bench.token().without_header("typ").sign()).await.is_ok());
    assert!(matches!(bench.fault(&bench.token().header("typ", "JWT").sign()).await, TokenError::Type(_)));
}

#[tokio::test]
async fn keycloaks_access_token_is_accepted() {
    let bench = Bench::start().await;
    let token = bench
        .token()
        .header("typ", "JWT")
        .claim("typ", "Bearer")
        .claim("azp", "cqlgate-cli")
        .claim("sid", "UqS8")
        .claim("acr", "1")
        .claim("resource_access", json!({"account": {"roles": ["manage-account"]}}))
        .claim("groups", json!(["/analysts"]));
    assert!(bench.login(&token.sign()).await.is_ok());
}

#[tokio::test]
async fn only_an_otherwise_good_token_is_told_that_it_expired() {
    let bench = Bench::start().await;
    let expired = times(&bench, -100, -1);
    let told = ClientResponse::BadCredentials("token expired: get a new one and connect again".into());
    assert_eq!(bench.refusal(&expired.sign()).await.client_response(), told);
    let text = "Provided username and/or password are incorrect";
    let generic = ClientResponse::BadCredentials(text.into());
    let forged = expired.sign_with(|_, _| vec![1; 64]);
    for token in [forged, expired.audience("other").sign()] {
        assert_eq!(bench.refusal(&token).await.client_response(), generic);
    }
}

#[tokio::test]
async fn kid_same_in_two_issuers() {
    let bench = Bench::start().await;
    let other = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    let identities = [identity("acme", bench.issuer.url()), identity("other", other.url())];
    let auth = authenticator(&identities, &[], &bench.clock);
    assert_eq!(bench.issuer.key().kid(), other.key().kid());
    let crossed = other.token("alice").claim("iss", bench.issuer.url()).sign();
    let refusal = auth.login(&sasl_plain("token", &crossed), &[], &bench.state).await.unwrap_err();
    assert!(matches!(refusal, LoginError::Token { error: TokenError::Signature, .. }), "{refusal}");
    // Each identity has a namespace of its own: "alice" of the other one is nobody.
    let own = other.token("alice").sign();
    let refusal = auth.login(&sasl_plain("token", &own), &[], &bench.state).await.unwrap_err();
    assert!(matches!(refusal, LoginError::UnknownUser { .. }), "{refusal}");
}

#[tokio::test]
async fn cache_hit_after_expiry() {
    let bench = Bench::start().await;
    let token = times(&bench, 0, 60).sign();
    assert!(bench.login(&token).await.is_ok());
    bench.clock.advance(Duration::from_secs(59));
    assert!(bench.login(&token).await.is_ok());
    bench.clock.advance(Duration::from_secs(1));
    assert!(matches!(bench.fault(&token).await, TokenError::Expired(0)));
}

#[tokio::test]
async fn clock_jump_back() {
    let bench = Bench::start().await;
    let token = bench.token().sign();
    assert!(bench.login(&token).await.is_ok());
    bench.clock.set_wall(bench.clock.now() - Duration::from_hours(1));
    assert!(matches!(bench.fault(&token).await, TokenError::Future("iat", _)));
    // Keys age by the other clock.
    assert!(bench.auth.ready());
}
