//! `cqlgate scim-token new NAME`: a bearer token for an identity provider's SCIM client.
//!
//! In: the identity's name, random numbers. Out: the token, once, and the hash that the configuration
//! keeps. The token is in no file, no log and no argument.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::scim;

/// Prints a new token of 256 random bits, and its hash line.
pub(super) fn new(name: &str, out: &mut impl Write, err: &mut impl Write) -> io::Result<ExitCode> {
    let Ok((token, hash)) = scim::create_token() else {
        writeln!(err, "cqlgate: the system gives no random numbers")?;
        return Ok(ExitCode::from(super::CANNOT_START));
    };
    writeln!(out, "# The SCIM bearer token of {name:?}, for the identity provider. It is shown only now:")?;
    writeln!(out, "{token}")?;
    writeln!(
        out,
        "# In its [[identity]] section of the configuration (beside others, while they are replaced):"
    )?;
    writeln!(out, "scim_token_hashes = [\"{hash}\"]")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_new_and_its_hash_line_is_configuration() {
        let print = || {
            let mut out = Vec::new();
            new("acme", &mut out, &mut io::sink()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (one, two) = (print(), print());
        let token = |text: &str| text.lines().nth(1).unwrap().to_owned();
        assert_ne!(token(&one), token(&two));
        assert_eq!(token(&one).len(), 43, "256 bits");
        let line: toml::Table = toml::from_str(one.lines().last().unwrap()).unwrap();
        let hash = line["scim_token_hashes"][0].as_str().unwrap();
        assert_eq!(hash, scim::TokenHash::of(&token(&one)).to_string());
    }
}
