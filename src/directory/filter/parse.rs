//! The grammar of filters and PATCH paths, and what the schemas say about them.
//!
//! Beyond the RFC's grammar, because identity providers send it: `emails[type eq "work"].value eq "x"`,
//! values without quotes, booleans as strings, operators in any case.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::lexer::{Token, tokens};
use super::{AttributePath, Extension, Filter, FilterError, Literal, Operator, Path};
use crate::config::limits;
use crate::directory::fold;
use crate::directory::schema::{Attribute, Kind, Type};

pub(super) fn filter(text: &str, kind: Kind) -> Result<Filter, FilterError> {
    let mut parser = Parser::new(text, kind)?;
    let filter = parser.either(Scope::Resource, 0)?;
    parser.end()?;
    Ok(filter)
}

pub(super) fn path(text: &str, kind: Kind) -> Result<Path, FilterError> {
    let mut parser = Parser::new(text, kind)?;
    let (at, word) = parser.word("an attribute")?;
    let mut attribute = resolve(&word, kind).ok_or_else(|| not_a_path(&word, at))?;
    let mut filter = None;
    if parser.take(&Token::OpenElement) {
        filter = Some(parser.element(&attribute, at, 0)?);
        if let Some((at, Token::Word(sub))) = parser.peek() {
            let (at, sub) = (*at, sub.clone());
            parser.at += 1;
            set_sub(&mut attribute, &sub, at)?;
        }
    }
    parser.end()?;
    Ok(Path { attribute, filter })
}

/// Where the names in a filter are looked up.
#[derive(Clone, Copy)]
enum Scope {
    /// Attributes of the resource.
    Resource,
    /// Sub-attributes of this one; `None`: of one that no schema knows.
    Element(Option<&'static Attribute>),
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    kind: Kind,
}

impl Parser {
    fn new(text: &str, kind: Kind) -> Result<Self, FilterError> {
        if text.len() > limits::SCIM_FILTER {
            let problem = format!("longer than {} bytes", limits::SCIM_FILTER);
            return Err(FilterError { problem, at: 1 });
        }
        Ok(Self { tokens: tokens(text)?, at: 0, kind })
    }

    fn peek(&self) -> Option<&(usize, Token)> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is = self.peek().is_some_and(|(_, next)| next == token);
        self.at += usize::from(is);
        is
    }

    /// Takes a keyword, without regard to case.
    fn keyword(&mut self, keyword: &str) -> bool {
        let is = matches!(self.peek(), Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is);
        is
    }

    fn place(&self) -> usize {
        match (self.peek(), self.tokens.last()) {
            (Some((at, _)), _) => *at,
            (None, Some((at, token))) => match token {
                Token::Word(text) | Token::Text(text) => at + text.chars().count(),
                _ => at + 1,
            },
            (None, None) => 1,
        }
    }

    fn expected(&self, what: &str) -> FilterError {
        FilterError { problem: format!("expected {what}"), at: self.place() }
    }

    fn word(&mut self, what: &str) -> Result<(usize, String), FilterError> {
        match self.peek() {
            Some((at, Token::Word(word))) => {
                let found = (*at, word.clone());
                self.at += 1;
                Ok(found)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn end(&self) -> Result<(), FilterError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("the end")) }
    }

    fn either(&mut self, scope: Scope, depth: usize) -> Result<Filter, FilterError> {
        let mut any = vec![self.all(scope, depth)?];
        while self.keyword("or") {
            any.push(self.all(scope, depth)?);
        }
        Ok(join(any, Filter::Or))
    }

    fn all(&mut self, scope: Scope, depth: usize) -> Result<Filter, FilterError> {
        let mut all = vec![self.term(scope, depth)?];
        while self.keyword("and") {
            all.push(self.term(scope, depth)?);
        }
        Ok(join(all, Filter::And))
    }

    fn term(&mut self, scope: Scope, depth: usize) -> Result<Filter, FilterError> {
        if depth > limits::SCIM_FILTER_DEPTH {
            let problem = format!("nested deeper than {}", limits::SCIM_FILTER_DEPTH);
            return Err(FilterError { problem, at: self.place() });
        }
        let negated = matches!(self.tokens.get(self.at + 1), Some((_, Token::Open))) && self.keyword("not");
        if self.take(&Token::Open) {
            let inner = self.either(scope, depth + 1)?;
            if !self.take(&Token::Close) {
                return Err(self.expected("a closing parenthesis"));
            }
            return Ok(if negated { Filter::Not(Box::new(inner)) } else { inner });
        }
        let (at, word) = self.word("an attribute")?;
        let path = match scope {
            Scope::Resource => resolve(&word, self.kind),
            Scope::Element(parent) => resolve_sub(&word, parent),
        }
        .ok_or_else(|| not_a_path(&word, at))?;
        if matches!(scope, Scope::Resource) && self.take(&Token::OpenElement) {
            return self.element_term(path, at, depth);
        }
        self.comparison(path)
    }

    /// What stands between `[` and `]`, which the caller has begun.
    fn element(&mut self, path: &AttributePath, at: usize, depth: usize) -> Result<Filter, FilterError> {
        let single = path.attribute.is_some_and(|attribute| !attribute.multi);
        if single || path.sub.is_some() || path.name.is_empty() {
            return Err(FilterError { problem: "only a multi-valued attribute takes [..]".into(), at });
        }
        let inner = self.either(Scope::Element(path.attribute), depth + 1)?;
        if !self.take(&Token::CloseElement) {
            return Err(self.expected("a closing bracket"));
        }
        Ok(inner)
    }

    /// `emails[..]`, and `emails[..].value eq "x"`, which is no RFC grammar but is sent.
    fn element_term(&mut self, path: AttributePath, at: usize, depth: usize) -> Result<Filter, FilterError> {
        let mut inner = self.element(&path, at, depth)?;
        if let Some((at, Token::Word(word))) = self.peek()
            && let Some(sub) = word.strip_prefix('.')
        {
            let sub = resolve_sub(sub, path.attribute).ok_or_else(|| not_a_path(word, *at))?;
            self.at += 1;
            inner = Filter::And(vec![inner, self.comparison(sub)?]);
        }
        Ok(Filter::Element(path, Box::new(inner)))
    }

    fn comparison(&mut self, path: AttributePath) -> Result<Filter, FilterError> {
        let (at, word) = self.word("an operator")?;
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let operator =
            operator(&word).ok_or_else(|| FilterError { problem: format!("{word:?} is no operator"), at })?;
        let (value_at, literal) = match self.peek() {
            Some((at, Token::Text(text))) => (*at, plain(text.clone())),
            Some((at, Token::Word(word))) => (*at, bare(word)),
            _ => return Err(self.expected("a value")),
        };
        self.at += 1;
        let literal =
            fit(&path, operator, literal).map_err(|problem| FilterError { problem, at: value_at })?;
        Ok(Filter::Compare(path, operator, literal))
    }
}

fn join(mut filters: Vec<Filter>, with: fn(Vec<Filter>) -> Filter) -> Filter {
    match (filters.len(), filters.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            filters.extend(last);
            with(filters)
        }
    }
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word.to_ascii_lowercase().as_str() {
        "eq" => Operator::Eq,
        "ne" => Operator::Ne,
        "co" => Operator::Co,
        "sw" => Operator::Sw,
        "ew" => Operator::Ew,
        "gt" => Operator::Gt,
        "ge" => Operator::Ge,
        "lt" => Operator::Lt,
        "le" => Operator::Le,
        _ => return None,
    })
}

/// A value without quotes: JSON's own words, a number, or text whose quotes were forgotten.
fn bare(word: &str) -> Literal {
    match word.to_ascii_lowercase().as_str() {
        "true" => Literal::Boolean(true),
        "false" => Literal::Boolean(false),
        "null" => Literal::Null,
        _ => match serde_json::from_str::<serde_json::Number>(word).ok().and_then(|number| number.as_f64()) {
            Some(number) => Literal::Number(number),
            None => plain(word.to_owned()),
        },
    }
}

fn plain(text: String) -> Literal {
    Literal::Text { compared: text.clone(), written: text }
}

fn folded(text: String) -> Literal {
    Literal::Text { compared: fold(&text).to_string(), written: text }
}

/// Brings a literal into the form in which it is compared, or says why it cannot be.
fn fit(path: &AttributePath, operator: Operator, literal: Literal) -> Result<Literal, String> {
    use Operator::{Co, Eq, Ew, Ge, Gt, Le, Lt, Ne, Sw};
    if literal == Literal::Null {
        return if matches!(operator, Eq | Ne) {
            Ok(literal)
        } else {
            Err("null takes only eq and ne".into())
        };
    }
    let Some(attribute) = path.compared() else {
        // Nobody knows its type: case does not count (the default of RFC 7643, 2.2).
        return Ok(match literal {
            Literal::Text { written, .. } => folded(written),
            other => other,
        });
    };
    match attribute.kind {
        Type::Boolean => {
            if !matches!(operator, Eq | Ne) {
                return Err(format!("{} is a boolean and takes only eq and ne", attribute.name));
            }
            match literal {
                Literal::Boolean(_) => Ok(literal),
                Literal::Text { written, .. } if written.eq_ignore_ascii_case("true") => {
                    Ok(Literal::Boolean(true))
                }
                Literal::Text { written, .. } if written.eq_ignore_ascii_case("false") => {
                    Ok(Literal::Boolean(false))
                }
                _ => Err(format!("{} is a boolean", attribute.name)),
            }
        }
        Type::DateTime => {
            if matches!(operator, Co | Sw | Ew) {
                return Err(format!("{} is an instant and takes no co, sw, ew", attribute.name));
            }
            let Literal::Text { written: text, .. } = literal else {
                return Err(format!("{} is an instant", attribute.name));
            };
            let instant = OffsetDateTime::parse(&text, &Rfc3339);
            instant
                .map(Literal::Instant)
                .map_err(|_| format!("{text:?} is no instant such as 2026-01-31T08:00:00Z"))
        }
        Type::Complex => Err(format!("{} has sub-attributes; name one of them", attribute.name)),
        Type::Binary if matches!(operator, Gt | Ge | Lt | Le) => {
            Err(format!("{} is binary and has no order", attribute.name))
        }
        Type::String | Type::Reference | Type::Binary => {
            // A number or boolean without quotes is text here: ids of some providers look like numbers.
            let text = match literal {
                Literal::Text { written, .. } => written,
                Literal::Number(number) => number.to_string(),
                Literal::Boolean(boolean) => boolean.to_string(),
                Literal::Null | Literal::Instant(_) => return Err("not comparable".into()),
            };
            Ok(if attribute.case_exact { plain(text) } else { folded(text) })
        }
    }
}

fn not_a_path(word: &str, at: usize) -> FilterError {
    FilterError { problem: format!("{word:?} is no attribute"), at }
}

/// `[URN:]name[.sub]`, or a whole extension's URN.
fn resolve(word: &str, kind: Kind) -> Option<AttributePath> {
    let whole = kind.extensions().iter().copied().find(|schema| schema.urn.eq_ignore_ascii_case(word));
    if let Some(schema) = whole {
        let extension = Extension { urn: schema.urn.into(), schema: Some(schema) };
        return Some(AttributePath {
            extension: Some(extension),
            name: String::new(),
            sub: None,
            attribute: None,
            sub_attribute: None,
        });
    }
    if word.eq_ignore_ascii_case(kind.core().urn) {
        return None;
    }
    let (urn, name) = match word.rsplit_once(':') {
        Some((urn, name)) => (Some(urn), name),
        None => (None, word),
    };
    let (name, sub) = match name.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (name, None),
    };
    if !is_name(name) || !sub.is_none_or(is_name) {
        return None;
    }
    let schema = urn.map(|urn| kind.schema(urn));
    let (extension, attribute) = match (urn, schema) {
        (None, _) => (None, kind.attribute(name)),
        (Some(_), Some(Some(schema))) if schema.urn == kind.core().urn => (None, kind.attribute(name)),
        (Some(_), Some(Some(schema))) => {
            (Some(Extension { urn: schema.urn.into(), schema: Some(schema) }), schema.attribute(name))
        }
        (Some(urn), _) if urn.contains(':') => (Some(Extension { urn: urn.into(), schema: None }), None),
        (Some(_), _) => return None,
    };
    let sub_attribute = sub.and_then(|sub| attribute?.sub_attribute(sub));
    Some(AttributePath {
        extension,
        name: attribute.map_or(name, |attribute| attribute.name).to_owned(),
        sub: sub.map(|sub| sub_attribute.map_or(sub, |known| known.name).to_owned()),
        attribute,
        sub_attribute,
    })
}

fn resolve_sub(word: &str, parent: Option<&'static Attribute>) -> Option<AttributePath> {
    if !is_name(word) {
        return None;
    }
    let attribute = parent.and_then(|parent| parent.sub_attribute(word));
    Some(AttributePath {
        extension: None,
        name: attribute.map_or(word, |attribute| attribute.name).to_owned(),
        sub: None,
        attribute,
        sub_attribute: None,
    })
}

/// The `.sub` that follows a filter in a path.
fn set_sub(path: &mut AttributePath, word: &str, at: usize) -> Result<(), FilterError> {
    let sub = word.strip_prefix('.').filter(|sub| is_name(sub)).ok_or_else(|| not_a_path(word, at))?;
    path.sub_attribute = path.attribute.and_then(|attribute| attribute.sub_attribute(sub));
    path.sub = Some(path.sub_attribute.map_or(sub, |known| known.name).to_owned());
    Ok(())
}

/// `ATTRNAME` of the RFC, and `$ref`.
fn is_name(name: &str) -> bool {
    let name = name.strip_prefix('$').unwrap_or(name);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
