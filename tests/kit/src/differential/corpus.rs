//! The corpus: one statement a line, with what a node asked of a plain role that ran it.

use serde::Deserialize;

use super::grant::Grant;
use crate::trouble::{During, Result};

/// One statement.
///
/// In every text `$me` stands for the role that runs it and `$n` for a number that was not used before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The keyspace in use.
    pub keyspace: Option<String>,
    /// The statement.
    pub statement: String,
    /// What a superuser does before each run; harmless when done already.
    #[serde(default)]
    pub setup: Vec<String>,
    /// What a superuser does after each run that changed something.
    #[serde(default)]
    pub undo: Vec<String>,
    /// What must be granted, in the order in which a node asks: `SELECT ON TABLE k.t`, either of two as
    /// `UNMASK|SELECT_MASKED ON TABLE k.t`, `SUPERUSER`, and `NOBODY` when superusers are refused too.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What comes of it with all of that: code and text, in which `*` stands for any text; empty if it is served.
    #[serde(default)]
    pub error: String,
    /// Type, keyspace and scope in the node's audit log, as far as it has them.
    #[serde(default)]
    pub audit: Vec<String>,
}

/// All statements.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// In the order of their lines.
    pub cases: Vec<Case>,
}

impl Corpus {
    /// Reads JSON lines.
    pub fn parse(text: &str) -> Result<Self> {
        let cases: Result<Vec<Case>> =
            text.lines().map(|line| serde_json::from_str(line).during(line)).collect();
        Ok(Self { cases: cases? })
    }
}

impl Case {
    /// Is a superuser needed, or would not even that do?
    pub fn is_for_superusers(&self) -> bool {
        self.needs.iter().any(|need| need == "SUPERUSER" || need == "NOBODY")
    }

    /// The grants that it needs, each time the first of several that would do.
    pub fn grants(&self) -> Result<Vec<Grant>> {
        self.choose(|alternatives| alternatives.split('|').next())
    }

    /// The same with the last of several that would do.
    pub fn other_grants(&self) -> Result<Vec<Grant>> {
        self.choose(|alternatives| alternatives.split('|').next_back())
    }

    fn choose(&self, which: impl Fn(&str) -> Option<&str>) -> Result<Vec<Grant>> {
        let grants = self.needs.iter().filter(|need| need.contains(" ON "));
        grants
            .map(|need| {
                let mut grant = Grant::parse(need)?;
                grant.permission = which(&grant.permission).unwrap_or_default().to_owned();
                Ok(grant)
            })
            .collect()
    }

    /// Its first word, in upper case; empty if it starts with none.
    pub fn verb(&self) -> String {
        let word: String = self.statement.chars().take_while(char::is_ascii_alphabetic).collect();
        word.to_ascii_uppercase()
    }

    /// Does it read or write rows? Those are prepared, too.
    pub fn is_data(&self) -> bool {
        matches!(self.verb().as_str(), "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "BEGIN")
    }

    /// May it leave something behind that the next run would see: definitions, roles, grants?
    pub fn changes(&self) -> bool {
        matches!(self.verb().as_str(), "CREATE" | "ALTER" | "DROP" | "GRANT" | "REVOKE" | "ADD")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_case() {
        let line = r#"{"statement":"select 1","needs":["UNMASK|SELECT_MASKED ON TABLE k.t","SUPERUSER"]}"#;
        let corpus = Corpus::parse(line).unwrap();
        let case = &corpus.cases[0];
        assert_eq!((case.verb().as_str(), case.is_data(), case.changes()), ("SELECT", true, false));
        assert_eq!(case.grants().unwrap()[0].to_string(), "UNMASK ON TABLE k.t");
        assert_eq!(case.other_grants().unwrap()[0].to_string(), "SELECT_MASKED ON TABLE k.t");
        assert!(case.is_for_superusers());
        assert!(Corpus::parse(r#"{"statement":"x","typo":1}"#).is_err());
    }
}
