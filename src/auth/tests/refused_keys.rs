//! Algorithms and keys: who may sign what.

use std::sync::Arc;

use aws_lc_rs::hmac;
use cqlgate_testkit::issuer::{Algorithm, Issuer, Key, encode};
use serde_json::{Value, json};

use super::bench::{Bench, identity, loopback};
use crate::auth::TokenError;
use crate::auth::key_set::KeySet;

/// A token "signed" with HMAC under a secret that everybody knows.
fn hs256(bench: &Bench, secret: &[u8]) -> String {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    bench.token().header("alg", "HS256").sign_with(|_, m| hmac::sign(&secret, m).as_ref().to_vec())
}

/// Changes a good signature.
fn bent(bench: &Bench, bend: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    bench.token().sign_with(|key, message| bend(key.sign(message)))
}

fn member(jwk: &Value, name: &str) -> String {
    jwk[name].as_str().unwrap().to_owned()
}

/// `Ecdsa-Sig-Value` (RFC 3279) of `r || s`.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let mut value = vec![0];
        value.extend_from_slice(half);
        [&[2, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
    };
    let (r, s) = signature.split_at(32);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

/// Little-endian `a + b`; the last carry is lost.
fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let digits = a.iter().zip(b).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        u8::try_from(sum & 0xff).unwrap()
    });
    digits.collect()
}

/// The order of P-256, big endian.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The order of Ed25519's subgroup, little endian.
const ED25519_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2).unwrap(), 16).unwrap()).collect()
}

refused! {
    alg_none: |b: &Bench| [
        format!("{}AA", b.token().unsigned()),
        b.token().header("alg", "none").sign(),
        b.token().unsigned(),
    ], (TokenError::Algorithm(_) | TokenError::Unsigned);
    alg_none_in_other_case: |b: &Bench| ["nOnE", "None", "NONE", "es256", "", "ES256 "].map(|alg| b.token().header("alg", alg).sign()), (TokenError::Algorithm(_));
    alg_missing: |b: &Bench| [b.token().without_header("alg").sign()], (TokenError::NoAlgorithm);
    alg_array: |b: &Bench| [json!(["ES256"]), Value::Null, json!(256)].map(|alg| b.token().header("alg", alg).sign()), (TokenError::HeaderType("alg"));
    hs256_key_confusion: |b: &Bench| {
        let jwk = b.issuer.key().jwk();
        let (x, y) = (member(&jwk, "x"), member(&jwk, "y"));
        [hs256(b, x.as_bytes()), hs256(b, format!("{x}{y}").as_bytes()), hs256(b, jwk.to_string().as_bytes())]
    }, (TokenError::Algorithm(_));
    hs256_empty_key: |b: &Bench| [hs256(b, b"")], (TokenError::Algorithm(_));
    alg_es256_header_rs256: |b: &Bench| [b.token().header("alg", "RS256").sign()], (TokenError::UnknownKey(_, "RS256"));
    es256_der_sig: |b: &Bench| [bent(b, |s| der(&s))], (TokenError::Signature);
    es256_zero_sig: |b: &Bench| [bent(b, |_| vec![0; 64]), bent(b, |s| [&s[..32], &[0; 32]].concat()), bent(b, |s| [&[0; 32], &s[32..]].concat())], (TokenError::Signature);
    es256_order_sig: |b: &Bench| { let n = unhex(P256_ORDER); [bent(b, move |_| [n.clone(), n].concat())] }, (TokenError::Signature);
    es256_short_sig: |b: &Bench| [bent(b, |s| s[..63].to_vec()), bent(b, |s| [s.as_slice(), &[0]].concat()), bent(b, |s| [&[0], s.as_slice()].concat()), bent(b, |_| vec![1])], (TokenError::Signature);
    jwk_embedded: |b: &Bench| {
        let own = Arc::new(Key::generate(Algorithm::Es256, "mine"));
        let jwk = own.jwk();
        [b.token().key(own).header("jwk", jwk).sign()]
    }, (TokenError::HeaderMember("jwk"));
    jwk_embedded_goodkid: |b: &Bench| {
        let own = Arc::new(Key::generate(Algorithm::Es256, "key-1"));
        let jwk = own.jwk();
        [b.token().key(Arc::clone(&own)).header("jwk", jwk).sign(), b.token().header("jwk", b.issuer.key().jwk()).sign()]
    }, (TokenError::HeaderMember("jwk"));
    x5c_embedded: |b: &Bench| [b.token().header("x5c", json!(["MIIB"])).sign()], (TokenError::HeaderMember("x5c"));
    crit_unknown: |b: &Bench| [json!(["x"]), json!([]), json!(["b64"]), json!(["alg"]), json!(["exp"]), Value::Null].map(|crit| b.token().header("crit", crit).sign()), (TokenError::HeaderMember("crit"));
    kid_unknown: |b: &Bench| [b.token().kid("key-9").sign(), b.token().kid("").sign()], (TokenError::UnknownKey(..));
    kid_path_and_sql: |b: &Bench| ["../../dev/null", "' OR 1=1 --", "key-1\0", "KEY-1", "key-1 "].map(|kid| b.token().kid(kid).sign()), (TokenError::UnknownKey(..));
    kid_4kib: |b: &Bench| [b.token().kid(&"x".repeat(4096)).sign()], (TokenError::KeyIdTooLong);
    kid_number: |b: &Bench| [json!(1), Value::Null, json!(["key-1"])].map(|kid| b.token().header("kid", kid).sign()), (TokenError::HeaderType("kid"));
    kid_wrongkey: |b: &Bench| {
        let other = b.issuer.add_key(Algorithm::Es256);
        [b.token().key(other).kid("key-1").sign()]
    }, (TokenError::Signature);
}

#[tokio::test]
async fn every_algorithm_verifies() {
    let bench = Bench::start().await;
    for algorithm in Algorithm::ALL {
        let key = bench.issuer.add_key(algorithm);
        bench.clock.advance(crate::config::limits::JWKS_REFETCH_FLOOR);
        let who = bench.login(&bench.token().key(key).sign()).await;
        assert!(who.is_ok(), "{algorithm}: {}", who.unwrap_err());
    }
}

#[tokio::test]
async fn alg_not_in_issuer_allow_list() {
    let bench = Bench::with(|i| i.algorithms = vec!["RS256".into(), "ES384".into()], &[]).await;
    assert!(matches!(bench.fault(&bench.token().sign()).await, TokenError::AlgorithmNotAllowed("ES256")));
    let key = bench.issuer.add_key(Algorithm::Es384);
    assert!(bench.login(&bench.token().key(key).sign()).await.is_ok());
}

#[tokio::test]
async fn rsa_keys_verify_only_what_they_are_for() {
    let bench = Bench::start().await;
    let key = bench.issuer.add_key(Algorithm::Rs256);
    let token = bench.token().key(Arc::clone(&key));
    assert!(bench.login(&token.sign()).await.is_ok());
    // alg_rs512_on_key_alg_RS256, and PS256 on it
    for (alg, fault) in [("RS512", "algorithm"), ("PS256", "unknown_key")] {
        let forged = token.clone().header("alg", alg).sign_as(Algorithm::Ps256);
        assert_eq!(bench.fault(&forged).await.kind(), fault, "{alg}");
    }
    // ps256_header_rs256_sig, on a key that may do both
    let mut both = key.jwk();
    both.as_object_mut().unwrap().remove("alg");
    both["kid"] = json!("both");
    bench.issuer.publish_jwk(both);
    bench.clock.advance(crate::config::limits::JWKS_REFETCH_FLOOR);
    let token = token.kid("both").header("alg", "PS256");
    assert!(bench.login(&token.sign_as(Algorithm::Ps256)).await.is_ok());
    assert!(matches!(bench.fault(&token.sign_as(Algorithm::Rs256)).await, TokenError::Signature));
    let token = token.header("alg", "RS256");
    assert!(bench.login(&token.sign_as(Algorithm::Rs256)).await.is_ok());
    assert!(matches!(bench.fault(&token.sign_as(Algorithm::Ps256)).await, TokenError::Signature));
    // hs256_pem_confusion, hs256_der_confusion, hs256_n_confusion: HMAC does not exist here, whatever the secret
    assert!(matches!(
        bench.fault(&hs256(&bench, member(&key.jwk(), "n").as_bytes())).await,
        TokenError::Algorithm(_)
    ));
}

#[tokio::test]
async fn es256_high_s_is_another_spelling_of_a_good_signature() {
    let bench = Bench::start().await;
    let order: Vec<u8> = unhex(P256_ORDER).into_iter().rev().collect();
    let token = bent(&bench, |signature| {
        let (r, s) = signature.split_at(32);
        // n - s = n + !s + 1
        let negated: Vec<u8> = s.iter().rev().map(|b| !b).collect();
        let one = [&[1][..], &[0; 31]].concat();
        let other: Vec<u8> = add(&add(&order, &negated), &one).into_iter().rev().collect();
        [r, &other].concat()
    });
    assert!(bench.login(&token).await.is_ok());
}

#[tokio::test]
async fn eddsa_noncanonical_s() {
    let bench = Bench::start().await;
    let key = bench.issuer.add_key(Algorithm::EdDsa);
    let token = bench.token().key(key);
    assert!(bench.login(&token.sign()).await.is_ok());
    let bent = token.sign_with(|key, message| {
        let signature = key.sign(message);
        let (r, s) = signature.split_at(32);
        [r, &add(s, &unhex(ED25519_ORDER))].concat()
    });
    assert!(matches!(bench.fault(&bent).await, TokenError::Signature));
}

#[tokio::test]
async fn kid_missing() {
    let bench = Bench::start().await;
    let token = bench.token().without_header("kid").sign();
    assert!(bench.login(&token).await.is_ok(), "one key for the algorithm: it can only be that one");
    bench.issuer.add_key(Algorithm::Es256);
    bench.clock.advance(crate::config::limits::JWKS_REFETCH_FLOOR);
    let unknown = bench.token().kid("key-9").sign();
    assert!(matches!(bench.fault(&unknown).await, TokenError::UnknownKey(..)));
    assert!(matches!(bench.fault(&token).await, TokenError::NoKeyId(2)));
}

#[tokio::test]
async fn jku_evil_and_x5u_evil_are_not_fetched() {
    let bench = Bench::start().await;
    let evil = Issuer::start_with(loopback(), Algorithm::Es256).await.unwrap();
    for member in ["jku", "x5u"] {
        let token = bench.token().key(evil.key()).header(member, evil.keys_url());
        assert!(matches!(bench.fault(&token.sign()).await, TokenError::HeaderMember("jku" | "x5u")));
    }
    assert_eq!((evil.key_requests(), evil.discovery_requests()), (0, 0));
}

#[test]
fn http_issuer_and_other_bad_addresses_are_refused_when_configured() {
    for issuer in [
        "http://login.acme.example",
        "https://user@login.acme.example",
        "https://login.acme.example/#x",
        "https://login.acme.example/?tenant=x",
        "https://login.acme.example/{tenantid}/v2.0",
        "https://169.254.169.254/",
        "http://169.254.169.254/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://0.0.0.0/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "login.acme.example",
        "",
    ] {
        let built = crate::auth::Authenticator::new(&[identity("acme", issuer)], &[]);
        assert!(built.is_err(), "{issuer}");
    }
    for issuer in [
        "https://login.acme.example/realms/x",
        "http://127.0.0.1:8280/realms/x",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        assert!(crate::auth::Authenticator::new(&[identity("acme", issuer)], &[]).is_ok(), "{issuer}");
    }
}

/// A key set of this entry and a good one: the good one stays, and this one is left out for this reason.
fn dropped(entry: &Value) -> String {
    let good = Key::generate(Algorithm::Es256, "good").jwk();
    let set = KeySet::parse(json!({"keys": [entry, good]}).to_string().as_bytes()).unwrap();
    assert_eq!(set.ids(), ["good"]);
    assert_eq!(set.dropped().len(), 1, "{:?}", set.dropped());
    set.dropped()[0].clone()
}

/// A key with members set (or, with null, taken away).
fn jwk(algorithm: Algorithm, members: &Value) -> Value {
    let mut jwk = Key::generate(algorithm, "bad").jwk();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(name);
        } else {
            jwk[name] = value.clone();
        }
    }
    jwk
}

#[test]
fn keys_that_may_not_verify_are_left_out_and_the_others_work() {
    use Algorithm::{EdDsa, Es256, Es384};
    let modulus = |bytes: usize| {
        let mut n = vec![0xff; bytes];
        n[1] = 0x5a;
        encode(n)
    };
    let rsa = |n: &str, e: &[u8]| json!({"kty": "RSA", "kid": "bad", "use": "sig", "n": n, "e": encode(e)});
    let e = [1, 0, 1];
    let other = Key::generate(Es256, "x").jwk();
    let mut oversized = vec![1];
    oversized.extend([0xff; 1024]);
    for (name, entry, reason) in [
        ("jwk_use_enc", jwk(Es256, &json!({"use": "enc"})), "\"use\""),
        (
            "jwk_use_null",
            {
                let mut k = jwk(Es256, &json!({}));
                k["use"] = Value::Null;
                k
            },
            "\"use\"",
        ),
        ("jwk_use_enc_of_keycloak", jwk(Es256, &json!({"use": "enc", "alg": "RSA-OAEP"})), "\"use\""),
        ("jwk_use_other", jwk(Es256, &json!({"use": "SIG"})), "\"use\""),
        ("jwk_key_ops_sign_only", jwk(Es256, &json!({"key_ops": ["sign"]})), "\"key_ops\""),
        ("jwk_key_ops_no_array", jwk(Es256, &json!({"key_ops": "verify"})), "\"key_ops\""),
        ("jwk_oct_in_jwks", json!({"kty": "oct", "kid": "bad", "k": "c2VjcmV0"}), "symmetric"),
        ("jwk_private_members_present", jwk(Es256, &json!({"d": "AAAA"})), "private"),
        (
            "jwk_private_members_of_rsa",
            {
                let mut k = rsa(&modulus(256), &e);
                k["qi"] = json!("AA");
                k
            },
            "private",
        ),
        ("weak_rsa1024", rsa(&modulus(128), &e), "2048"),
        ("weak_rsa2040", rsa(&modulus(255), &e), "2048"),
        ("rsa_8193_bits", rsa(&encode(oversized), &e), "8192"),
        ("rsa_e_1", rsa(&modulus(256), &[1]), "\"e\""),
        ("rsa_e_3", rsa(&modulus(256), &[3]), "\"e\""),
        ("rsa_e_even", rsa(&modulus(256), &[1, 0, 0]), "\"e\""),
        ("rsa_e_empty", rsa(&modulus(256), &[]), "\"e\""),
        ("rsa_e_leading_zero", rsa(&modulus(256), &[0, 1, 0, 1]), "\"e\""),
        ("rsa_e_huge", rsa(&modulus(256), &[0xff; 40]), "\"e\""),
        ("rsa_n_even", rsa(&encode([vec![0xff; 255], vec![0xfe]].concat()), &e), "odd"),
        ("rsa_n_leading_zero", rsa(&encode([vec![0], vec![0xff; 256]].concat()), &e), "minimal"),
        ("rsa_n_empty", rsa("", &e), "empty"),
        ("rsa_n_padded", rsa(&format!("{}=", modulus(256)), &e), "base64url"),
        ("ec_point_not_on_curve", jwk(Es256, &json!({"x": other["x"]})), "point"),
        ("ec_point_at_infinity", jwk(Es256, &json!({"x": encode([0; 32]), "y": encode([0; 32])})), "point"),
        ("ec_x_short_coordinate", jwk(Es256, &json!({"x": encode([1; 31])})), "length"),
        ("ec_y_missing", jwk(Es256, &json!({"y": null})), "\"y\""),
        ("ec_curve_of_another_size", jwk(Es384, &json!({"crv": "P-256", "alg": "ES256"})), "length"),
        ("ec_curve_unknown", jwk(Es256, &json!({"crv": "secp256k1"})), "curve"),
        ("eddsa_x25519", jwk(EdDsa, &json!({"crv": "X25519"})), "curve"),
        ("eddsa_short", jwk(EdDsa, &json!({"x": encode([9; 31])})), "Ed25519"),
        ("jwk_alg_of_another_type", jwk(Es256, &json!({"alg": "RS256"})), "\"alg\""),
        ("jwk_alg_not_ours", jwk(Es256, &json!({"alg": "ES512"})), "algorithm"),
        ("jwk_alg_for_encryption", jwk(Es256, &json!({"alg": "RSA-OAEP"})), "not known"),
        ("jwk_alg_unknown", jwk(Es256, &json!({"alg": "XX"})), "not known"),
        ("unknown_kty_key_in_set", json!({"kty": "AKP", "kid": "bad"}), "not known"),
        ("malformed_one_key", json!({"kid": "bad"}), "not known"),
        ("malformed_no_object", json!("key"), "not an object"),
        ("jwk_kid_number", jwk(Es256, &json!({"kid": 1})), "not known"),
        ("jwk_kid_4KiB", jwk(Es256, &json!({"kid": "x".repeat(4096)})), "too long"),
    ] {
        let said = dropped(&entry);
        assert!(said.contains(reason), "{name}: {said}");
    }
}

#[test]
fn eddsa_small_order_key() {
    for (low, middle, high) in
        [(0, 0, 0), (1, 0, 0), (0, 0, 0x80), (0xec, 0xff, 0x7f), (0xed, 0xff, 0x7f), (0xee, 0xff, 0xff)]
    {
        let mut x = [middle; 32];
        (x[0], x[31]) = (low, high);
        assert!(dropped(&jwk(Algorithm::EdDsa, &json!({"x": encode(x)}))).contains("small order"));
    }
    for x in [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ] {
        assert!(dropped(&jwk(Algorithm::EdDsa, &json!({"x": encode(unhex(x))}))).contains("small order"));
    }
}
