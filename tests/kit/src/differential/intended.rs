//! What comes of a statement, and the list of differences that are meant.

use std::fmt;

use serde::Deserialize;

use crate::cql::CqlError;
use crate::trouble::{During, Result};

/// What comes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was served.
    Served,
    /// An ERROR.
    Refused {
        /// Its code.
        code: u32,
        /// Its text, without the gateway's reference.
        text: String,
    },
}

impl Outcome {
    /// Of an answer. A trouble that is no answer stays one.
    pub fn of<T>(answer: Result<T, CqlError>) -> Result<Self> {
        match answer {
            Ok(_) => Ok(Self::Served),
            // A node changes the password of a role once in five seconds: after all checks.
            Err(CqlError::Server { code: 0x1001, message }) if message.starts_with("Password for role ") => {
                Ok(Self::Served)
            }
            Err(CqlError::Server { code, message }) => {
                let text = match message.rsplit_once(" [ref ") {
                    Some((text, reference)) if reference.ends_with(']') => text.to_owned(),
                    _ => message,
                };
                Ok(Self::Refused { code, text })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Is it a refusal for want of a permission?
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { code: 0x2100, .. })
    }
}

/// `served`, or `0x2100 User ..`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => f.write_str("served"),
            Self::Refused { code, text } => write!(f, "{code:#06x} {text}"),
        }
    }
}

/// A difference that is meant. In its patterns `*` stands for any text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intended {
    /// Its name.
    pub name: String,
    /// Why, in one sentence.
    pub reason: String,
    /// What the node says.
    pub direct: String,
    /// What the gateway says.
    pub gateway: String,
    /// The statements that it is about; all of them if left out.
    pub statements: Option<Vec<String>>,
    /// Chance decides whether it is seen.
    #[serde(default)]
    pub rare: bool,
    /// What it does not cover, of what the node says.
    #[serde(default)]
    pub except: Vec<String>,
}

impl Intended {
    /// Reads JSON lines.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        text.lines().map(|line| serde_json::from_str(line).during(line)).collect()
    }

    /// Does it explain this difference?
    pub fn explains(&self, statement: &str, direct: &Outcome, gateway: &Outcome) -> bool {
        let is_about = self.statements.as_ref().is_none_or(|patterns| {
            patterns.iter().any(|pattern| matches(&pattern.to_lowercase(), &statement.to_lowercase()))
        });
        let direct = direct.to_string();
        is_about
            && matches(&self.direct, &direct)
            && !self.except.iter().any(|pattern| matches(pattern, &direct))
            && matches(&self.gateway, &gateway.to_string())
    }
}

/// Does `text` match a pattern in which `*` stands for any text?
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars() {
        for (pattern, text, is) in [
            ("served", "served", true),
            ("served", "served too", false),
            ("0x2100 *", "0x2100 User", true),
            ("*a*b*", "xaxbx", true),
            ("*a*b", "xbxa", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn a_reference_is_no_part_of_a_text() {
        let refused = |message: &str| {
            Outcome::of::<()>(Err(CqlError::Server { code: 0x2100, message: message.into() })).unwrap()
        };
        assert_eq!(refused("User a has no [ref 12ab]"), refused("User a has no"));
        assert!(refused("x").is_unauthorized());
        assert_eq!(Outcome::of::<()>(Ok(())).unwrap().to_string(), "served");
    }
}
