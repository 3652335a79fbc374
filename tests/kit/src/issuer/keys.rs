//! Signing keys of the test issuer, one type for all algorithms.
//!
//! In: an algorithm. Out: signatures over any bytes, and the public key as a JWK (RFC 7517, RFC 7518 section 6).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A signature algorithm of RFC 7518 (`EdDSA`: RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// RSA PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// The name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A private key with its id. RSA keys have 2048 bits; making one takes a moment, so reuse them.
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

impl Key {
    /// A new random key.
    ///
    /// # Panics
    /// When the random source fails.
    pub fn generate(algorithm: Algorithm, kid: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")))
            }
            Algorithm::Es256 => Pair::Ec(Box::new(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key"),
            )),
            Algorithm::Es384 => Pair::Ec(Box::new(
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a P-384 key"),
            )),
            Algorithm::EdDsa => Pair::Ed(Box::new(Ed25519KeyPair::generate().expect("an Ed25519 key"))),
        };
        Self { kid: kid.into(), algorithm, pair }
    }

    /// Its id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm it was made for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A signature over `message` with the key's own algorithm.
    ///
    /// # Panics
    /// When the random source fails.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_as(self.algorithm, message)
    }

    /// A signature with another algorithm of the same key type (an RSA key signs RS256 and PS256; every
    /// other key only knows its own, and `algorithm` is not looked at).
    ///
    /// # Panics
    /// When the random source fails.
    pub fn sign_as(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).expect("an RSA signature");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect("an ECDSA signature").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as a JWK with `kid`, `use: sig` and `alg`.
    ///
    /// # Panics
    /// Never for keys of this type.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = rsa_components(pair.public_key().as_ref()).expect("PKCS#1 of our own key");
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref(); // 0x04, x, y
                let (x, y) = point.get(1..).and_then(|p| p.split_at_checked(p.len() / 2)).expect("a point");
                let curve = if self.algorithm == Algorithm::Es384 { "P-384" } else { "P-256" };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        };
        if let Some(members) = jwk.as_object_mut() {
            let common = [("kid", self.kid.as_str()), ("use", "sig"), ("alg", self.algorithm.name())];
            members.extend(common.map(|(name, value)| (name.to_owned(), json!(value))));
        }
        jwk
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Base64url without padding (RFC 7515, appendix C).
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017, A.1.1), without leading zeros.
fn rsa_components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = der_value(der, 0x30)?;
    let (n, rest) = der_value(sequence, 0x02)?;
    let (e, _) = der_value(rest, 0x02)?;
    Some((n.strip_prefix(&[0]).unwrap_or(n), e.strip_prefix(&[0]).unwrap_or(e)))
}

/// The value of one DER element with this tag, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&short, mut rest) = rest.split_first()?;
    let mut length = usize::from(short);
    if short & 0x80 != 0 {
        let (digits, after) = rest.split_at_checked(usize::from(short & 0x7f))?;
        length = digits.iter().fold(0, |n, &d| n << 8 | usize::from(d));
        rest = after;
    }
    if first == tag { rest.split_at_checked(length) } else { None }
}
