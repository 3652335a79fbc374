//! Structure and encoding: exactly one spelling of each token, JSON that means one thing.

use cqlgate_testkit::issuer::encode;
use serde_json::{Value, json};

use super::bench::Bench;
use crate::auth::{CredentialsError, JsonError, LoginError, Part, TokenError};

/// The good token, and its three parts.
fn parts(bench: &Bench) -> [String; 3] {
    let token = bench.token().sign();
    let parts: Vec<_> = token.split('.').map(String::from).collect();
    parts.try_into().unwrap()
}

/// A properly signed token with this text for its claims.
fn payload(bench: &Bench, text: impl AsRef<[u8]>) -> String {
    bench.token().raw_payload(text).sign()
}

/// The good claims with one more member in front.
fn with_member(bench: &Bench, member: &str) -> String {
    bench.token().claims_json().replacen('{', &format!("{{{member},"), 1)
}

refused! {
    two_parts: |b: &Bench| { let [h, p, _] = parts(b); [format!("{h}.{p}")] }, (TokenError::Parts);
    four_parts: |b: &Bench| { let [h, p, s] = parts(b); [format!("{h}.{p}.{s}."), format!("{h}.{p}.{s}.{s}")] }, (TokenError::Parts);
    jwe_5parts: |b: &Bench| { let [h, p, s] = parts(b); [format!("{h}.{p}.{s}.{s}.{s}"), "....".into()] }, (TokenError::Encrypted);
    empty_sig: |b: &Bench| { let [h, p, _] = parts(b); [format!("{h}.{p}.")] }, (TokenError::Unsigned);
    pad_sig: |b: &Bench| { let [h, p, s] = parts(b); [format!("{h}.{p}.{s}==")] }, (TokenError::Base64(Part::Signature));
    pad_payload: |b: &Bench| { let [h, p, s] = parts(b); [format!("{h}.{p}=.{s}"), format!("{h}.{p}==.{s}")] }, (TokenError::Base64(Part::Payload));
    std_b64_alphabet: |b: &Bench| {
        // 0xfb 0xff gives both characters that the alphabets differ in.
        let token = payload(b, b"{\"x\":\"\xfb\xff\xbf\"}");
        let [h, _, s] = parts(b);
        [token.replace('_', "/").replace('-', "+"), format!("{h}.+/+/.{s}")]
    }, (TokenError::Base64(_));
    sig_trailing_bits: |b: &Bench| {
        // 64 bytes are 85 characters and 2 bits: the last character has 4 bits that say nothing.
        let [h, p, mut s] = parts(b);
        let last = s.pop().unwrap();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let index = alphabet.iter().position(|c| *c == last as u8).unwrap();
        [1, 2, 8, 15].map(|bits| format!("{h}.{p}.{s}{}", char::from(alphabet[index | bits])))
    }, (TokenError::Base64(Part::Signature));
    newline_end: |b: &Bench| { let t = b.token().sign(); [format!("{t}\n"), format!("{t}\r\n"), format!("{t} ")] }, (TokenError::Base64(Part::Signature));
    space_front: |b: &Bench| { let t = b.token().sign(); [format!(" {t}"), format!("\n{t}"), format!("\u{feff}{t}")] }, (TokenError::Base64(Part::Header));
    space_inside: |b: &Bench| { let [h, p, s] = parts(b); [format!("{h}.{p} .{s}"), format!("{h}.\t{p}.{s}")] }, (TokenError::Base64(Part::Payload));
    invalid_utf8_payload: |b: &Bench| [payload(b, b"{\"sub\":\"\xff\"}")], (TokenError::Json(Part::Payload, JsonError::Utf8));
    lone_surrogate: |b: &Bench| [payload(b, with_member(b, r#""x":"\ud800""#))], (TokenError::Json(Part::Payload, JsonError::Syntax(_)));
    payload_bom: |b: &Bench| [payload(b, format!("\u{feff}{}", b.token().claims_json()))], (TokenError::Json(Part::Payload, JsonError::Syntax(_)));
    payload_array: |b: &Bench| [payload(b, format!("[{}]", b.token().claims_json())), payload(b, "\"x\""), payload(b, "null")], (TokenError::Json(Part::Payload, JsonError::NotAnObject));
    payload_trailing_json: |b: &Bench| { let c = b.token().claims_json(); [payload(b, format!("{c}{c}")), payload(b, format!("{c},")), payload(b, format!("{c}\0"))] }, (TokenError::Json(Part::Payload, JsonError::Syntax(_)));
    deep_nest_5000: |b: &Bench| {
        let nest = |open: &str, close: &str| format!("\"x\":{}1{}", open.repeat(2500), close.repeat(2500));
        [payload(b, with_member(b, &nest("[", "]"))), b.token().raw_payload("[".repeat(5000)).sign()]
    }, (TokenError::Json(Part::Payload, JsonError::Depth(_)));
    dup_hdr_alg: |b: &Bench| [b.token().raw_header(b.token().header_json().replacen('{', r#"{"alg":"ES256","#, 1)).sign()], (TokenError::Json(Part::Header, JsonError::Duplicate));
    dup_claim_iss: |b: &Bench| [payload(b, with_member(b, r#""iss":"https://evil.example""#))], (TokenError::Json(Part::Payload, JsonError::Duplicate));
    dup_claim_sub: |b: &Bench| [payload(b, with_member(b, r#""sub":"bob""#)), payload(b, with_member(b, r#""s\u0075b":"bob""#))], (TokenError::Json(Part::Payload, JsonError::Duplicate));
    dup_claim_groups: |b: &Bench| [payload(b, with_member(b, r#""groups":[],"groups":["dba"]"#)), payload(b, with_member(b, r#""x":{"y":{"z":1,"z":1}}"#))], (TokenError::Json(Part::Payload, JsonError::Duplicate));
    json_serialization_jws: |b: &Bench| {
        let [h, p, s] = parts(b);
        [json!({"payload": p, "protected": h, "signature": s}).to_string(), json!({"payload": "a.b.c"}).to_string()]
    }, (TokenError::Parts | TokenError::Base64(_));
    detached_payload: |b: &Bench| { let [h, _, s] = parts(b); [format!("{h}..{s}")] }, (TokenError::Parts);
    header_is_no_json: |b: &Bench| [b.token().raw_header("ES256").sign(), b.token().raw_header("").sign()], (TokenError::Json(Part::Header, _) | TokenError::Parts);
    b64_false: |b: &Bench| [
        b.token().header("b64", false).sign(),
        b.token().header("b64", true).sign(),
        b.token().header("b64", false).header("crit", json!(["b64"])).sign(),
    ], (TokenError::HeaderMember("b64" | "crit"));
    zip_def: |b: &Bench| [b.token().header("zip", "DEF").sign()], (TokenError::HeaderMember("zip"));
    nested_jws: |b: &Bench| [b.token().header("cty", "JWT").raw_payload(b.token().sign()).sign()], (TokenError::HeaderMember("cty"));
    enc_in_a_signed_token: |b: &Bench| [b.token().header("enc", "A256GCM").sign()], (TokenError::HeaderMember("enc"));
    header_member_of_the_wrong_type: |b: &Bench| [
        b.token().header("typ", Value::Null).sign(),
        b.token().header("typ", json!(["at+jwt"])).sign(),
    ], (TokenError::HeaderType("typ"));
    signature_of_another_token: |b: &Bench| {
        let [h, p, _] = parts(b);
        let [_, _, other] = parts(b);
        [format!("{h}.{p}.{other}")]
    }, (TokenError::Signature);
    payload_of_another_token: |b: &Bench| {
        let [h, _, s] = parts(b);
        let claims = b.token().claims_json().replace("alice", "bob");
        [format!("{h}.{}.{s}", encode(claims))]
    }, (TokenError::Signature);
}

#[tokio::test]
async fn empty() {
    let bench = Bench::start().await;
    assert!(matches!(bench.refusal("").await, LoginError::Credentials(CredentialsError::Empty)));
}

#[tokio::test]
async fn token_over_16kib_and_one_mib_token() {
    let bench = Bench::start().await;
    for size in [16 * 1024, 1024 * 1024] {
        let token = bench.token().claim("x", "x".repeat(size)).sign();
        assert!(matches!(bench.refusal(&token).await, LoginError::Credentials(CredentialsError::TooLong)));
    }
    // 11 KiB of claims are a large token, and good.
    assert!(bench.login(&bench.token().claim("x", "x".repeat(11 * 1024)).sign()).await.is_ok());
}

#[tokio::test]
async fn refusals_never_show_the_token() {
    let bench = Bench::start().await;
    let token = bench.token().claim("aud", "other").sign();
    let [_, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let refusal = bench.refusal(&token).await;
    for text in [refusal.to_string(), format!("{refusal:?}"), format!("{:?}", refusal.client_response())] {
        assert!(!text.contains(payload) && !text.contains(signature), "{text}");
    }
}
