//! What is wrong in a file that an operator wrote, where, and what to write instead.
//!
//! In: findings of the configuration and of the policy files. Out: lines as compilers write them, which
//! editors and people know how to follow.

use std::fmt;
use std::sync::Arc;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, but probably does not do what its author meant.
    Warning,
}

/// One finding. Displayed as `file:line:column: error: message; help`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file, as the operator named it.
    pub file: Arc<str>,
    /// From 1; 1 too if the file as a whole is meant.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is wrong. Text taken from the file stands in it escaped.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place in a file.
    pub fn error(file: &Arc<str>, at: (u32, u32), message: impl Into<String>) -> Self {
        Self::new(Severity::Error, file, at, message.into())
    }

    /// A warning at a place in a file.
    pub fn warning(file: &Arc<str>, at: (u32, u32), message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, file, at, message.into())
    }

    /// The same finding with what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Is the file refused because of it?
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(severity: Severity, file: &Arc<str>, (line, column): (u32, u32), message: String) -> Self {
        Self { severity, file: Arc::clone(file), line, column, message, help: None }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}:{}: {severity}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// The line and column (from 1, in characters) of a byte offset.
pub fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let from_one = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    (from_one(line), from_one(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compilers() {
        let finding = Diagnostic::error(&"a.cql".into(), (3, 7), "no such word \"GRNT\"").help("write GRANT");
        assert_eq!(finding.to_string(), "a.cql:3:7: error: no such word \"GRNT\"; write GRANT");
    }

    #[test]
    fn places_count_characters_and_survive_any_offset() {
        assert_eq!(place("ab\nçd", 0), (1, 1));
        assert_eq!(place("ab\nçd", 5), (2, 2));
        assert_eq!(place("ab\nçd", 4), (2, 3), "inside a character: the end of the text");
        assert_eq!(place("ab", 99), (1, 3));
    }
}
