//! SASL PLAIN (RFC 4616) as Cassandra reads it, with a token for a password.
//!
//! In: the token of an `AUTH_RESPONSE`. Out: [`Credentials`] that borrow from it.

use std::fmt;

/// What a driver sent: `[authzid] NUL authcid NUL passwd`.
///
/// The authorization id is ignored, as Cassandra does: nobody acts for somebody else here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    username: &'a str,
    token: &'a str,
}

/// The message was not SASL PLAIN with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Not exactly two NULs: a part is missing, or the username or the token contains one.
    #[error("not SASL PLAIN: username or password is missing or contains NUL")]
    Format,
    /// The username or the token is not UTF-8.
    #[error("not SASL PLAIN: username or password is not UTF-8")]
    Utf8,
    /// No password.
    #[error("no token: the password is empty")]
    Empty,
    /// The token is longer than [`crate::config::limits::TOKEN`].
    #[error("the password is longer than {} bytes", crate::config::limits::TOKEN)]
    TooLong,
    /// The username is longer than [`crate::config::limits::SUBJECT`].
    #[error("the username is longer than {} bytes", crate::config::limits::SUBJECT)]
    UsernameTooLong,
    /// The password starts with `Bearer `, the prefix of HTTP.
    #[error("the password starts with \"Bearer \": it has to be the token alone")]
    Bearer,
}

impl<'a> Credentials<'a> {
    /// Splits a message. An empty username is allowed (some tools cannot be told one), an empty password
    /// is not.
    pub fn parse(message: &'a [u8]) -> Result<Self, CredentialsError> {
        let mut parts = message.split(|&b| b == 0);
        let (Some(_), Some(username), Some(token), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CredentialsError::Format);
        };
        if token.len() > crate::config::limits::TOKEN {
            return Err(CredentialsError::TooLong);
        }
        if username.len() > crate::config::limits::SUBJECT {
            return Err(CredentialsError::UsernameTooLong);
        }
        let username = std::str::from_utf8(username).map_err(|_| CredentialsError::Utf8)?;
        let token = std::str::from_utf8(token).map_err(|_| CredentialsError::Utf8)?;
        if token.is_empty() {
            return Err(CredentialsError::Empty);
        }
        if token.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("bearer ")) {
            return Err(CredentialsError::Bearer);
        }
        Ok(Self { username, token })
    }

    /// The username as sent; possibly empty.
    pub fn username(&self) -> &'a str {
        self.username
    }

    /// The password: a token, not yet verified. A secret.
    pub fn token(&self) -> &'a str {
        self.token
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_the_password_and_the_one_before_it_the_username() {
        for message in ["\0token\0eyJ.a.b", "someone else\0token\0eyJ.a.b"] {
            let credentials = Credentials::parse(message.as_bytes()).unwrap();
            assert_eq!((credentials.username(), credentials.token()), ("token", "eyJ.a.b"));
        }
        assert_eq!(Credentials::parse(b"\0\0eyJ").unwrap().username(), "");
    }

    #[test]
    fn nul_inside_password() {
        for message in ["\0token\0eyJ\0x", "\0token\0eyJ\0", "\0to\0ken\0eyJ", "a\0b\0c\0d"] {
            assert_eq!(Credentials::parse(message.as_bytes()), Err(CredentialsError::Format), "{message:?}");
        }
    }

    #[test]
    fn missing_parts_are_refused() {
        for message in ["", "eyJ", "token\0eyJ"] {
            assert_eq!(Credentials::parse(message.as_bytes()), Err(CredentialsError::Format), "{message:?}");
        }
        assert_eq!(Credentials::parse(b"\0token\0"), Err(CredentialsError::Empty));
        assert_eq!(Credentials::parse(b"\0\0"), Err(CredentialsError::Empty));
    }

    #[test]
    fn bad_text_and_long_text_are_refused() {
        assert_eq!(Credentials::parse(b"\0token\0\xff"), Err(CredentialsError::Utf8));
        assert_eq!(Credentials::parse(b"\0\xff\0eyJ"), Err(CredentialsError::Utf8));
        let long = format!("\0token\0{}", "x".repeat(crate::config::limits::TOKEN + 1));
        assert_eq!(Credentials::parse(long.as_bytes()), Err(CredentialsError::TooLong));
        let long = format!("\0{}\0x", "x".repeat(crate::config::limits::SUBJECT + 1));
        assert_eq!(Credentials::parse(long.as_bytes()), Err(CredentialsError::UsernameTooLong));
    }

    #[test]
    fn bearer_prefix() {
        assert_eq!(Credentials::parse(b"\0token\0Bearer eyJ"), Err(CredentialsError::Bearer));
        assert_eq!(Credentials::parse(b"\0token\0bearer eyJ"), Err(CredentialsError::Bearer));
    }

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let credentials = Credentials::parse(b"\0token\0secret").unwrap();
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
