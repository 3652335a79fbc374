//! Bearer tokens of identity providers: only their hashes are known here, and one belongs to one identity.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};

use super::ConfigError;

/// Shorter ones could be guessed; `cqlgate scim-token new` makes longer ones.
const SHORTEST: usize = 16;
/// A header longer than this is no token of ours.
const LONGEST: usize = 4096;

/// `sha256:<hex>` of a bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; digest::SHA256_OUTPUT_LEN]);

impl TokenHash {
    /// Reads `sha256:` and 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    /// The first 16 hex digits: enough to tell tokens apart in an audit log, nothing to log in with.
    pub fn short(&self) -> String {
        self.to_string().chars().skip("sha256:".len()).take(16).collect()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}..)", self.short())
    }
}

/// A new token with 256 random bits, and its hash for the configuration.
pub fn create() -> Result<(String, TokenHash), aws_lc_rs::error::Unspecified> {
    use base64::Engine;
    let mut bits = [0; 32];
    aws_lc_rs::rand::fill(&mut bits)?;
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits);
    let hash = TokenHash::of(&token);
    Ok((token, hash))
}

/// Which identity provider speaks.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    pub(super) identity: Arc<str>,
    /// The first digits of its token's hash.
    pub(super) token_id: Arc<str>,
}

/// All tokens.
#[derive(Debug)]
pub(super) struct Tokens(Vec<(TokenHash, Provider)>);

impl Tokens {
    pub(super) fn new(identities: &[crate::config::model::Identity]) -> Result<Self, ConfigError> {
        let mut tokens: Vec<(TokenHash, Provider)> = Vec::new();
        for identity in identities {
            for text in &identity.scim_token_hashes {
                let hash = TokenHash::parse(text)
                    .ok_or_else(|| ConfigError::Hash { identity: identity.name.clone() })?;
                if tokens
                    .iter()
                    .any(|(known, provider)| *known == hash && *provider.identity != *identity.name)
                {
                    return Err(ConfigError::SharedToken { identity: identity.name.clone() });
                }
                let provider =
                    Provider { identity: identity.name.as_str().into(), token_id: hash.short().into() };
                tokens.push((hash, provider));
            }
        }
        Ok(Self(tokens))
    }

    /// Whose token the value of an `Authorization` header is. Looks at every hash, whatever matches.
    pub(super) fn provider(&self, authorization: &[u8]) -> Option<&Provider> {
        let text = std::str::from_utf8(authorization).ok()?;
        let (scheme, token) = text.split_once(' ')?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || !(SHORTEST..=LONGEST).contains(&token.len()) {
            return None;
        }
        let hash = TokenHash::of(token);
        let mut found = None;
        for (known, provider) in &self.0 {
            if constant_time::verify_slices_are_equal(&known.0, &hash.0).is_ok() {
                found = Some(provider);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let (token, hash) = create().unwrap();
        assert_eq!(TokenHash::of(&token), hash);
        assert!((SHORTEST..=LONGEST).contains(&token.len()));
        assert_eq!(TokenHash::parse(&hash.to_string()), Some(hash.clone()));
        assert_eq!(
            TokenHash::of("abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(!format!("{hash:?}").contains(&hash.to_string()));
        for bad in [
            "",
            "sha256:",
            "md5:00",
            &"0".repeat(64),
            &format!("sha256:{}", "0g".repeat(32)),
            &format!("sha256:{}", "é".repeat(32)),
            &format!("sha256:{}", "+1".repeat(32)),
        ] {
            assert_eq!(TokenHash::parse(bad), None, "{bad}");
        }
    }
}
