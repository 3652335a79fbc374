//! The service account's password: it can be used, and not be printed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A password file longer than this is not a password file.
const LONGEST: u64 = 64 * 1024;

/// A password. Its `Debug` shows nothing, and there is no `Display`.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// Why a password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read, or is not UTF-8.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is empty, has more than one line, holds a NUL, or is too long.
    #[error("{path} must hold one line with the password, not empty and without NUL")]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

impl Secret {
    /// A password that is already in memory.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The one line of a file; a line end behind it does not belong to it.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let read = |source| SecretError::Read { path: path.to_owned(), source };
        let shape = || SecretError::Shape { path: path.to_owned() };
        if std::fs::metadata(path).map_err(read)?.len() > LONGEST {
            return Err(shape());
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.contains(['\n', '\r', '\0']) {
            return Err(shape());
        }
        Ok(Self::new(line))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> Result<Secret, SecretError> {
        let path = std::env::temp_dir().join(format!("cqlgate-secret-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        let secret = Secret::from_file(&path);
        std::fs::remove_file(&path).unwrap();
        secret
    }

    #[test]
    fn one_line_with_or_without_its_end() {
        for content in [&b"pass word"[..], b"pass word\n", b"pass word\r\n"] {
            assert_eq!(file(content).unwrap().reveal(), "pass word");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for content in [&b""[..], b"\n", b"a\nb\n", b"a\0b", b"\xFF", &vec![b'a'; 70_000]] {
            assert!(file(content).is_err());
        }
        assert!(Secret::from_file(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }
}
