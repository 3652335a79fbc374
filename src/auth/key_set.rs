//! A provider's key set (RFC 7517), reduced to the keys that may verify a signature.
//!
//! In: the bytes of a JWK set. Out: [`KeySet`]: keys parsed once, ready for each token, and what was left
//! out and why. A key that we cannot or must not use costs nobody the others.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyType};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm};
use serde_json::{Map, Value};

use super::json::{self, JsonError};
use super::jws::Algorithm;
use super::token_error::{Shown, TokenError};
use crate::config::limits;

/// The usable keys of one provider.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<VerificationKey>,
    dropped: Vec<String>,
    fingerprint: Vec<u8>,
}

#[derive(Debug)]
struct VerificationKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

/// The document was no key set that can be adopted.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeySetError {
    /// Not one unambiguous JSON object.
    #[error("the key set is {0}")]
    Json(#[from] JsonError),
    /// No array `keys`.
    #[error("the key set has no array \"keys\"")]
    NoKeys,
    /// Nothing usable in it: never adopted, the last good set stays.
    #[error("the key set has no usable key{0}")]
    Empty(Reasons),
    /// More usable keys than [`limits::JWKS_KEYS`].
    #[error("the key set has {0} usable keys, more than {max}", max = limits::JWKS_KEYS)]
    TooMany(usize),
}

/// Why keys were left out, for people.
#[derive(Debug)]
pub(super) struct Reasons(Vec<String>);

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(5).try_for_each(|reason| write!(f, "; {reason}"))
    }
}

impl KeySet {
    /// Reads a key set.
    pub(super) fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        let mut members = json::object(document, limits::JSON_DEPTH)?;
        let Some(Value::Array(entries)) = members.remove("keys") else {
            return Err(KeySetError::NoKeys);
        };
        let mut keys = Vec::new();
        let mut dropped = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            match read_key(&entry) {
                Ok(read) => keys.extend(read),
                Err(reason) => {
                    let id = entry.get("kid").and_then(Value::as_str);
                    let name =
                        id.map_or_else(|| format!("number {}", index + 1), |id| Shown::new(id).to_string());
                    dropped.push(format!("key {name}: {reason}"));
                }
            }
        }
        drop_crowds(&mut keys, &mut dropped);
        if keys.is_empty() {
            return Err(KeySetError::Empty(Reasons(dropped)));
        }
        if keys.len() > limits::JWKS_KEYS {
            return Err(KeySetError::TooMany(keys.len()));
        }
        let fingerprint = fingerprint(&keys);
        Ok(Self { keys, dropped, fingerprint })
    }

    /// The same keys under the same ids?
    pub(super) fn same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// The ids of the keys, each once.
    pub(super) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.keys.iter().filter_map(|k| k.id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// What was left out, and why.
    pub(super) fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// Verifies a signature with the one key that `algorithm` and `id` name. Without an id there must be
    /// exactly one key for the algorithm.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        let fitting: Vec<_> = self
            .keys
            .iter()
            .filter(|k| k.algorithm == algorithm && (id.is_none() || k.id.as_deref() == id))
            .collect();
        match id {
            None if fitting.len() != 1 => return Err(TokenError::NoKeyId(fitting.len())),
            Some(id) if fitting.is_empty() => {
                return Err(TokenError::UnknownKey(Shown::new(id), algorithm.name()));
            }
            _ => {}
        }
        let verified = fitting.iter().any(|k| k.key.verify_sig(message, signature).is_ok());
        if verified { Ok(()) } else { Err(TokenError::Signature) }
    }
}

/// Members of private keys (RFC 7518, 6.2.2, 6.3.2, 6.4.1): who publishes them has lost the key.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// One entry: the keys it makes (an RSA key without `alg` verifies RS256 and PS256), or why it makes none.
fn read_key(entry: &Value) -> Result<Vec<VerificationKey>, &'static str> {
    let members = entry.as_object().ok_or("not an object")?;
    // First, so that the usual key for encryption is left out for what it is.
    if !members.get("use").is_none_or(|use_| use_ == "sig") {
        return Err("not for signatures (\"use\")");
    }
    let jwk: CoreJsonWebKey =
        serde_json::from_value(entry.clone()).map_err(|_| "its type or algorithm is not known")?;
    if *jwk.key_type() == CoreJsonWebKeyType::Symmetric {
        return Err("symmetric: whoever reads the key set could sign");
    }
    if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return Err("its private part is published");
    }
    if !members.get("key_ops").is_none_or(allows_verify) {
        return Err("not for verifying (\"key_ops\")");
    }
    let id = jwk.key_id().map(|id| id.to_string());
    if id.as_ref().is_some_and(|id| id.len() > limits::KEY_ID) {
        return Err("its \"kid\" is too long");
    }
    let material: Vec<(Algorithm, ParsedPublicKey)> = match jwk.key_type() {
        CoreJsonWebKeyType::RSA => read_rsa(members)?,
        CoreJsonWebKeyType::EllipticCurve => vec![read_ec(members)?],
        CoreJsonWebKeyType::OctetKeyPair => vec![read_ed25519(members)?],
        _ => return Err("its type is not known"),
    };
    let bound = match jwk.signing_alg() {
        JsonWebKeyAlgorithm::Unspecified => None,
        JsonWebKeyAlgorithm::Unsupported => return Err("not for signatures (\"alg\")"),
        // The library knows the name; the entry's own text is what tokens repeat.
        JsonWebKeyAlgorithm::Algorithm(_) => {
            let name = members.get("alg").and_then(Value::as_str).unwrap_or_default();
            Some(Algorithm::named(name).ok_or("its algorithm is not accepted here")?)
        }
    };
    let keys: Vec<_> = material
        .into_iter()
        .filter(|(algorithm, _)| bound.is_none_or(|b| b == *algorithm))
        .map(|(algorithm, key)| VerificationKey { id: id.clone(), algorithm, key })
        .collect();
    if keys.is_empty() { Err("\"alg\" does not fit its type") } else { Ok(keys) }
}

fn allows_verify(operations: &Value) -> bool {
    operations.as_array().is_some_and(|all| all.iter().any(|op| op == "verify"))
}

/// RFC 7518, 6.3.1. FIPS 186-5 asks for an odd exponent above 2^16; the signature check bounds it at 2^33.
fn read_rsa(members: &Map<String, Value>) -> Result<Vec<(Algorithm, ParsedPublicKey)>, &'static str> {
    let n = bytes(members, "n").ok_or("no base64url \"n\"")?;
    let e = bytes(members, "e").ok_or("no base64url \"e\"")?;
    let (Some(&high), Some(&low)) = (n.first(), n.last()) else { return Err("\"n\" is empty") };
    if high == 0 || low % 2 == 0 {
        return Err("\"n\" is not a minimal odd number");
    }
    let bits = n.len().saturating_mul(8).saturating_sub(high.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err("RSA key of less than 2048 or more than 8192 bits");
    }
    let exponent =
        e.iter().fold(0u64, |value, &byte| value.saturating_mul(256).saturating_add(u64::from(byte)));
    if e.first() == Some(&0) || exponent % 2 == 0 || !(65_537..=u64::from(u32::MAX)).contains(&exponent) {
        return Err("\"e\" is not an odd number from 65537 to 2^32");
    }
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    let parsed = |params| components.to_parsed_public_key(params).map_err(|_| "not an RSA key");
    Ok(vec![
        (Algorithm::Rs256, parsed(&RSA_PKCS1_2048_8192_SHA256)?),
        (Algorithm::Ps256, parsed(&RSA_PSS_2048_8192_SHA256)?),
    ])
}

/// RFC 7518, 6.2.1: both coordinates, each exactly as long as the field; the point is checked when parsed.
fn read_ec(members: &Map<String, Value>) -> Result<(Algorithm, ParsedPublicKey), &'static str> {
    let x = bytes(members, "x").ok_or("no base64url \"x\"")?;
    let y = bytes(members, "y").ok_or("no base64url \"y\"")?;
    let (algorithm, verification, size) = match members.get("crv").and_then(Value::as_str) {
        Some("P-256") => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
        Some("P-384") => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err("its curve is not accepted here"),
    };
    if x.len() != size || y.len() != size {
        return Err("a coordinate has the wrong length");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let key = ParsedPublicKey::new(verification, point).map_err(|_| "not a point on its curve")?;
    Ok((algorithm, key))
}

/// RFC 8037, section 2.
fn read_ed25519(members: &Map<String, Value>) -> Result<(Algorithm, ParsedPublicKey), &'static str> {
    if members.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err("its curve is not accepted here");
    }
    let x = bytes(members, "x").ok_or("no base64url \"x\"")?;
    if is_small_order(&x) {
        return Err("a point of small order: everybody could sign");
    }
    let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| "not an Ed25519 key")?;
    Ok((Algorithm::EdDsa, key))
}

/// The y coordinates of the eight points of small order on edwards25519, little endian, the sign bit left
/// out, and those that are the same modulo p = 2^255 - 19: 0, 1, p - 1, p, p + 1, and the two of order 8.
fn is_small_order(key: &[u8]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let Ok(mut y) = <[u8; 32]>::try_from(key) else { return false };
    y[31] &= 0x7f;
    let [low, middle @ .., high] = y;
    let around_zero = low <= 1 && middle == [0; 30] && high == 0;
    let around_p = (0xec..=0xee).contains(&low) && middle == [0xff; 30] && high == 0x7f;
    around_zero || around_p || ORDER_8.contains(&y)
}

/// Strict base64url, as in tokens.
fn bytes(members: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(members.get(name)?.as_str()?).ok()
}

/// A key id may name several keys (providers do that while they rotate); each costs a signature check, so a
/// crowd under one id is left out altogether.
fn drop_crowds(keys: &mut Vec<VerificationKey>, dropped: &mut Vec<String>) {
    let named: Vec<_> = keys.iter().filter_map(|k| k.id.clone().map(|id| (id, k.algorithm))).collect();
    keys.retain(|key| {
        let same = named.iter().filter(|(id, a)| key.id.as_ref() == Some(id) && key.algorithm == *a).count();
        let crowd = same > limits::JWKS_SAME_KID;
        if crowd {
            let id = Shown::new(key.id.as_deref().unwrap_or_default());
            dropped.push(format!("key {id}: {same} keys have this id"));
        }
        !crowd
    });
}

/// The keys without regard to their order, so that a set that only came in another order is the same set.
fn fingerprint(keys: &[VerificationKey]) -> Vec<u8> {
    let mut lines: Vec<_> = keys
        .iter()
        .map(|k| {
            let text = format!("{:?} {} ", k.id, k.algorithm.name());
            digest(&SHA256, &[text.as_bytes(), k.key.as_ref()].concat()).as_ref().to_vec()
        })
        .collect();
    lines.sort_unstable();
    digest(&SHA256, &lines.concat()).as_ref().to_vec()
}
