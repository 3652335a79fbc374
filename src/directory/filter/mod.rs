//! SCIM filters (RFC 7644, 3.4.2.2): parsed and checked once, then judged on users and groups.
//!
//! In: the text of a filter or of a PATCH path. Out: a [`Filter`] that says which resources match.

mod evaluate;
mod lexer;
mod parse;

use time::OffsetDateTime;

use super::schema::{Attribute, Kind, Schema};

pub use evaluate::Resource;

/// What is wrong with a filter or path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at character {at})")]
pub struct FilterError {
    /// The problem, for the client.
    pub problem: String,
    /// Where, in characters from 1.
    pub at: usize,
}

/// A filter.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of them match.
    And(Vec<Filter>),
    /// One of them matches.
    Or(Vec<Filter>),
    /// It does not match.
    Not(Box<Filter>),
    /// A value compares as said.
    Compare(AttributePath, Operator, Literal),
    /// There is a value.
    Present(AttributePath),
    /// One element of a multi-valued attribute matches all by itself; paths in it are sub-attributes.
    Element(AttributePath, Box<Filter>),
}

/// An attribute that a filter or path names, resolved as far as the schemas know it.
#[derive(Clone, Debug)]
pub struct AttributePath {
    /// The extension's schema, or `None` for core and common attributes.
    pub extension: Option<Extension>,
    /// The name: as the schema has it, else as written. Empty: the whole extension.
    pub name: String,
    /// The sub-attribute's name, likewise.
    pub sub: Option<String>,
    /// The attribute, if a schema knows it.
    pub attribute: Option<&'static Attribute>,
    /// The sub-attribute, if a schema knows it.
    pub sub_attribute: Option<&'static Attribute>,
}

/// The extension that a path leads into.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its URN: as the schema has it, else as written.
    pub urn: String,
    /// The schema, if we know it.
    pub schema: Option<&'static Schema>,
}

impl AttributePath {
    /// The attribute whose values are compared: the sub-attribute, the attribute, or its `value`.
    pub fn compared(&self) -> Option<&'static Attribute> {
        match (self.sub_attribute, &self.sub, self.attribute) {
            (Some(sub), ..) => Some(sub),
            (None, Some(_), _) => None,
            (None, None, Some(attribute)) if attribute.multi && !attribute.sub.is_empty() => {
                attribute.sub_attribute("value")
            }
            (None, None, attribute) => attribute,
        }
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal, or no value.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// What is compared with, in the form in which it is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// No value.
    Null,
    /// A boolean.
    Boolean(bool),
    /// Text.
    Text {
        /// As it is compared: folded where case does not count.
        compared: String,
        /// As it was written.
        written: String,
    },
    /// A number.
    Number(f64),
    /// An instant.
    Instant(OffsetDateTime),
}

/// The target of a PATCH operation (RFC 7644, 3.5.2): `PATH = attrPath / valuePath [subAttr]`.
#[derive(Clone, Debug)]
pub struct Path {
    /// The attribute; its `sub` is the one after the filter, if there is a filter.
    pub attribute: AttributePath,
    /// Which elements are meant; paths in it are sub-attributes.
    pub filter: Option<Filter>,
}

impl Filter {
    /// Parses and checks a filter on resources of `kind`.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, FilterError> {
        parse::filter(text, kind)
    }

    /// Does every attribute that the filter names pass `test`?
    pub fn all_paths(&self, test: &impl Fn(&AttributePath) -> bool) -> bool {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().all(|filter| filter.all_paths(test)),
            Self::Not(filter) => filter.all_paths(test),
            Self::Compare(path, ..) | Self::Present(path) => test(path),
            Self::Element(path, filter) => test(path) && filter.all_paths(test),
        }
    }

    /// The terms of a filter that is nothing but `attribute eq value`, joined by `and`; else `None`.
    pub fn equalities(&self) -> Option<Vec<(&AttributePath, &Literal)>> {
        match self {
            Self::Compare(path, Operator::Eq, value) => Some(vec![(path, value)]),
            Self::And(all) => {
                let mut terms = Vec::new();
                for one in all {
                    terms.extend(one.equalities()?);
                }
                Some(terms)
            }
            _ => None,
        }
    }
}

impl Path {
    /// Parses the `path` of a PATCH operation on a resource of `kind`.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, FilterError> {
        parse::path(text, kind)
    }
}

#[cfg(test)]
mod tests;
