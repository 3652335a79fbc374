//! Whatever the bytes are, the verifier answers; and no change to a good token makes another good one.

use std::sync::LazyLock;

use cqlgate_testkit::issuer::{Algorithm, Key, TokenBuilder};
use proptest::prelude::*;

use super::bench::identity;
use crate::auth::Credentials;
use crate::auth::jws::Jws;
use crate::auth::key_set::KeySet;
use crate::auth::rules::Rules;

const ISSUER: &str = "https://login.acme.example";

struct Sample {
    token: String,
    keys: KeySet,
    rules: Rules,
    now: i64,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let key = std::sync::Arc::new(Key::generate(Algorithm::Es256, "key-1"));
    let keys = KeySet::parse(serde_json::json!({"keys": [key.jwk()]}).to_string().as_bytes()).unwrap();
    let token = TokenBuilder::new(ISSUER, "alice", key).sign();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    Sample { token, keys, rules: Rules::new(&identity("acme", ISSUER)).unwrap(), now }
});

/// Everything between the bytes of an `AUTH_RESPONSE` and an accepted token that needs no network.
fn accepted(message: &[u8]) -> bool {
    let sample = &*SAMPLE;
    let Ok(credentials) = Credentials::parse(message) else { return false };
    let Ok(jws) = Jws::parse(credentials.token()) else { return false };
    let id = jws.header.key_id.as_deref();
    sample.rules.check_header(&jws.header).is_ok()
        && sample.keys.verify(jws.header.algorithm, id, jws.signing_input, &jws.signature).is_ok()
        && sample.rules.check_claims(&jws.claims, sample.now).is_ok()
}

/// Claims alone, so that mutations reach the rules behind the signature.
fn claims_accepted(claims: &[u8]) -> bool {
    let Ok(claims) = crate::auth::json::object(claims, 16) else { return false };
    SAMPLE.rules.check_claims(&claims, SAMPLE.now).is_ok()
}

fn message(token: &[u8]) -> Vec<u8> {
    [b"\0token\0", token].concat()
}

#[test]
fn the_sample_is_good() {
    assert!(accepted(&message(SAMPLE.token.as_bytes())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(!accepted(&bytes));
        prop_assert!(!accepted(&message(&bytes)));
        prop_assert!(!claims_accepted(&bytes));
        prop_assert!(KeySet::parse(&bytes).is_err());
    }

    #[test]
    fn arbitrary_parts_are_answered(
        header in "\\{(\"(alg|kid|typ|crit|x)\":(\"[A-Za-z0-9]{0,6}\"|1|null|\\[\\]),?){0,4}\\}",
        payload in "\\{(\"(iss|aud|exp|sub|x)\":(\"[A-Za-z0-9]{0,6}\"|1|null|\\[\\]),?){0,4}\\}",
        signature in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        use cqlgate_testkit::issuer::encode;
        let token = format!("{}.{}.{}", encode(header), encode(&payload), encode(signature));
        prop_assert!(!accepted(&message(token.as_bytes())));
        prop_assert!(!claims_accepted(payload.as_bytes()));
    }

    #[test]
    fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut token = SAMPLE.token.clone().into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(!accepted(&message(&token)));
    }

    #[test]
    fn a_cut_doubled_or_inserted_piece_is_noticed(
        from in any::<prop::sample::Index>(),
        length in 1usize..64,
        piece in prop::option::of(prop::collection::vec(any::<u8>(), 1..8)),
    ) {
        let token = SAMPLE.token.as_bytes();
        let from = from.index(token.len());
        let to = (from + length).min(token.len());
        let cut = [&token[..from], &token[to..]].concat();
        let doubled = [&token[..to], &token[from..]].concat();
        prop_assert!(!accepted(&message(&cut)));
        prop_assert!(!accepted(&message(&doubled)));
        if let Some(piece) = piece {
            let inserted = [&token[..from], &piece, &token[from..]].concat();
            prop_assert!(!accepted(&message(&inserted)));
        }
    }
}
