//! `cqlgate scim-token new NAME`: a bearer token for an identity provider's SCIM client.
//!
//! In: the identity's name, random numbers. Out: the token, once, and the hash that the configuration
//! keeps. The token is in no file, no log and no argument.

use std::io::{self, Write};
use std::process::ExitCode;

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Marks the token for scanners that look for secrets where they do not belong.
const PREFIX: &str = "cqlgate_scim_";

/// Prints a new token of 256 random bits, and its hash line.
pub(super) fn new(name: &str, out: &mut impl Write, err: &mut impl Write) -> io::Result<ExitCode> {
    let mut bytes = [0_u8; 32];
    if rand::fill(&mut bytes).is_err() {
        writeln!(err, "cqlgate: the system gives no random numbers")?;
        return Ok(ExitCode::from(super::CANNOT_START));
    }
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    writeln!(out, "# The SCIM bearer token of {name:?}, for the identity provider. It is shown only now:")?;
    writeln!(out, "{token}")?;
    writeln!(
        out,
        "# In its [[identity]] section of the configuration (beside others, while they are replaced):"
    )?;
    writeln!(out, "scim_token_hashes = [\"{}\"]", hash(&token))?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// `sha256:` and the hash of the token's text in lower-case hex.
fn hash(token: &str) -> String {
    let mut text = String::from("sha256:");
    for byte in digest::digest(&digest::SHA256, token.as_bytes()).as_ref() {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256_of_the_text() {
        assert_eq!(hash("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn each_token_is_new_and_its_hash_line_is_configuration() {
        let print = || {
            let mut out = Vec::new();
            new("acme", &mut out, &mut io::sink()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (one, two) = (print(), print());
        let token = |text: &str| text.lines().find(|l| l.starts_with(PREFIX)).unwrap().to_owned();
        assert_ne!(token(&one), token(&two));
        assert_eq!(token(&one).len(), PREFIX.len() + 43, "256 bits");
        let line: toml::Table = toml::from_str(one.lines().last().unwrap()).unwrap();
        assert_eq!(line["scim_token_hashes"][0].as_str().unwrap(), hash(&token(&one)));
    }
}
