//! From the JSON of a request to the form that is kept: names as the schemas write them, values of the
//! right type, nothing that only the server may say.
//!
//! In: an object as sent. Out: a [`Document`]: `userName` or `displayName`, `externalId`, `active` and all
//! other attributes; or what is wrong.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::error::{ScimError, ScimType};
use crate::config::limits;
use crate::directory::schema::{Attribute, Kind, Mutability, Schema, Type};

/// A resource in the form that is kept and edited.
pub(super) type Document = Map<String, Value>;

/// Reads the body of POST or PUT. Members are taken out and returned as sent.
pub(super) fn document(body: Value, kind: Kind) -> Result<(Document, Option<Value>), ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::syntax("the body has to be a JSON object"));
    };
    let mut document = Document::new();
    let mut members = None;
    let mut schemas = false;
    for (name, value) in body {
        if name.eq_ignore_ascii_case("schemas") {
            schemas = has_core_schema(&value, kind)?;
        } else if kind == Kind::Group && name.eq_ignore_ascii_case("members") {
            members = Some(value).filter(|value| !value.is_null());
        } else if !is_ignored(&name, kind) {
            insert(&mut document, &name, value, kind)?;
        }
    }
    if !schemas {
        return Err(ScimError::syntax(format!("\"schemas\" has to contain \"{}\"", kind.core().urn)));
    }
    Ok((document, members))
}

/// Puts one attribute or extension, named as in a request, into a document. `null` leaves it out.
pub(super) fn insert(document: &mut Document, name: &str, value: Value, kind: Kind) -> Result<(), ScimError> {
    if let Some(schema) = kind.extensions().iter().find(|schema| schema.urn.eq_ignore_ascii_case(name)) {
        if let Some(container) = extension(schema, value)? {
            document.insert(schema.urn.to_owned(), container);
        }
    } else if let Some(attribute) = kind.attribute(name) {
        if let Some(value) = coerce(attribute, value)? {
            document.insert(attribute.name.to_owned(), value);
        }
    } else if let Some(value) = without_nulls(value) {
        check_name(name)?;
        document.insert(name.to_owned(), value);
    }
    Ok(())
}

/// What the server alone says, and what it never keeps: ignored in values (RFC 7644, 3.3, 3.5.1).
pub(super) fn is_ignored(name: &str, kind: Kind) -> bool {
    let ignored: &[&str] = match kind {
        Kind::User => &["id", "meta", "schemas", "groups", "password"],
        Kind::Group => &["id", "meta", "schemas"],
    };
    ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(name))
}

fn has_core_schema(value: &Value, kind: Kind) -> Result<bool, ScimError> {
    let wrong = || ScimError::syntax("\"schemas\" has to be an array of schema URNs");
    let mut found = false;
    for schema in value.as_array().ok_or_else(wrong)? {
        found |= schema.as_str().ok_or_else(wrong)?.eq_ignore_ascii_case(kind.core().urn);
    }
    Ok(found)
}

/// The attributes of an extension, or `None` if there are none.
pub(super) fn extension(schema: &Schema, value: Value) -> Result<Option<Value>, ScimError> {
    let sent = match value {
        Value::Object(sent) => sent,
        Value::Null => return Ok(None),
        _ => return Err(ScimError::value(format!("{} has to be an object", schema.urn))),
    };
    let mut container = Map::new();
    for (name, value) in sent {
        if let Some(attribute) = schema.attribute(&name) {
            if let Some(value) = coerce(attribute, value)? {
                container.insert(attribute.name.to_owned(), value);
            }
        } else {
            check_name(&name)?;
            container.extend(without_nulls(value).map(|value| (name, value)));
        }
    }
    Ok(if container.is_empty() { None } else { Some(Value::Object(container)) })
}

/// A value of an attribute in the form that is kept; `None`: no value.
pub(super) fn coerce(attribute: &Attribute, value: Value) -> Result<Option<Value>, ScimError> {
    if !attribute.multi {
        return single(attribute, value);
    }
    let elements = match value {
        Value::Null => return Ok(None),
        Value::Array(elements) => elements,
        one @ Value::Object(_) => vec![one],
        _ => return Err(wrong_type(attribute, "an array")),
    };
    if elements.len() > limits::SCIM_VALUES {
        let detail = format!("{} has more than {} values", attribute.name, limits::SCIM_VALUES);
        return Err(ScimError::bad(ScimType::TooMany, detail));
    }
    let mut kept: Vec<Value> = Vec::new();
    for element in elements {
        if let Some(element) = single(attribute, element)?
            && !kept.contains(&element)
        {
            kept.push(element);
        }
    }
    if kept.iter().filter(|element| is_primary(element)).count() > 1 {
        return Err(ScimError::value(format!("{} has more than one primary value", attribute.name)));
    }
    Ok(if kept.is_empty() { None } else { Some(Value::Array(kept)) })
}

/// A single value, or an element of a multi-valued attribute.
pub(super) fn single(attribute: &Attribute, value: Value) -> Result<Option<Value>, ScimError> {
    let value = match (attribute.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Type::Boolean, value) => Value::Bool(boolean(attribute, &value)?),
        (Type::Complex, Value::Object(sent)) => return complex(attribute, sent),
        // Some providers send the manager's id alone.
        (Type::Complex, Value::String(id)) if attribute.name == "manager" => {
            if id.is_empty() {
                return Ok(None);
            }
            Value::Object(Map::from_iter([("value".to_owned(), Value::String(id))]))
        }
        (Type::Complex, _) => return Err(wrong_type(attribute, "an object")),
        (Type::Binary, Value::String(text)) if !is_base64(&text) => {
            return Err(wrong_type(attribute, "base64"));
        }
        (_, value @ Value::String(_)) => value,
        _ => return Err(wrong_type(attribute, "a string")),
    };
    Ok(Some(value))
}

fn complex(attribute: &Attribute, sent: Map<String, Value>) -> Result<Option<Value>, ScimError> {
    let mut kept = Map::new();
    for (name, value) in sent {
        match attribute.sub_attribute(&name) {
            Some(sub) if sub.mutability == Mutability::ReadOnly => {}
            Some(sub) => {
                if let Some(value) = single(sub, value)? {
                    kept.insert(sub.name.to_owned(), value);
                }
            }
            None => {
                check_name(&name)?;
                kept.extend(without_nulls(value).map(|value| (name, value)));
            }
        }
    }
    Ok(if kept.is_empty() { None } else { Some(Value::Object(kept)) })
}

fn boolean(attribute: &Attribute, value: &Value) -> Result<bool, ScimError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(wrong_type(attribute, "true or false")),
    }
}

/// Is this the primary element?
pub(super) fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

fn is_base64(text: &str) -> bool {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&base64::alphabet::STANDARD, &base64::alphabet::URL_SAFE]
        .into_iter()
        .any(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).is_ok())
}

fn wrong_type(attribute: &Attribute, right: &str) -> ScimError {
    ScimError::value(format!("{} has to be {right}", attribute.name))
}

/// Names that no schema knows are kept, but they have to be names.
fn check_name(name: &str) -> Result<(), ScimError> {
    if name.is_empty() || name.len() > limits::SCIM_NAME || name.chars().any(char::is_control) {
        return Err(ScimError::syntax("an attribute's name is empty, too long, or has control characters"));
    }
    Ok(())
}

/// `null` is no value (RFC 7643, 2.5), wherever it stands.
pub(super) fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(elements) => {
            Some(Value::Array(elements.into_iter().filter_map(without_nulls).collect()))
        }
        Value::Object(object) => Some(Value::Object(
            object.into_iter().filter_map(|(name, value)| Some((name, without_nulls(value)?))).collect(),
        )),
        other => Some(other),
    }
}

/// Takes a required name out of a document.
pub(super) fn take_name(document: &mut Document, name: &str) -> Result<std::sync::Arc<str>, ScimError> {
    match document.remove(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => bounded(name, &text),
        _ => Err(ScimError::value(format!("{name} is required"))),
    }
}

/// Takes `externalId` out of a document.
pub(super) fn take_external_id(document: &mut Document) -> Result<Option<std::sync::Arc<str>>, ScimError> {
    match document.remove("externalId") {
        Some(Value::String(text)) if !text.is_empty() => bounded("externalId", &text).map(Some),
        _ => Ok(None),
    }
}

fn bounded(name: &str, text: &str) -> Result<std::sync::Arc<str>, ScimError> {
    if text.len() > limits::SCIM_NAME {
        return Err(ScimError::value(format!("{name} is longer than {} bytes", limits::SCIM_NAME)));
    }
    if text.chars().any(char::is_control) {
        return Err(ScimError::value(format!("{name} has control characters")));
    }
    Ok(text.into())
}
