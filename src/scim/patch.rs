//! PATCH (RFC 7644, 3.5.2): reads the operations once, applies them in their order, all or nothing.
//!
//! What identity providers send beyond the RFC is understood here: operations in capitals, `remove` with a
//! list of values, keys with dots or URNs where there is no path, that object inside an array, empty
//! strings that clear, and a filter that matches nothing but says what the new element is.

use serde_json::{Map, Value};

use super::error::{ScimError, ScimType};
use super::members::{self, Members};
use super::values::{self, Document};
use crate::config::limits;
use crate::directory::filter::{AttributePath, Filter, Literal, Path};
use crate::directory::schema::{Attribute, Kind, Mutability};

/// The schema of a PATCH body.
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

#[derive(Debug)]
struct Operation {
    op: Op,
    path: Option<Path>,
    value: Option<Value>,
}

/// The operations of one request.
#[derive(Debug)]
pub(super) struct Patch {
    kind: Kind,
    operations: Vec<Operation>,
}

/// What is edited.
pub(super) struct Target<'a> {
    pub(super) document: &'a mut Document,
    /// The members, of a group.
    pub(super) members: Option<&'a mut Members>,
}

impl Patch {
    /// Reads a body.
    pub(super) fn parse(body: Value, kind: Kind) -> Result<Self, ScimError> {
        let Value::Object(body) = body else {
            return Err(ScimError::syntax("the body has to be a JSON object"));
        };
        let mut schemas = false;
        let mut operations = None;
        for (name, value) in body {
            if name.eq_ignore_ascii_case("schemas") {
                let urns = value.as_array().map(Vec::as_slice).unwrap_or_default();
                schemas =
                    urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH)));
            } else if name.eq_ignore_ascii_case("Operations") {
                operations = Some(value);
            }
        }
        if !schemas {
            return Err(ScimError::syntax(format!("\"schemas\" has to contain \"{PATCH}\"")));
        }
        let Some(Value::Array(operations)) = operations else {
            return Err(ScimError::syntax("\"Operations\" has to be an array"));
        };
        if operations.is_empty() {
            return Err(ScimError::syntax("\"Operations\" is empty"));
        }
        if operations.len() > limits::SCIM_OPERATIONS {
            let detail = format!("more than {} operations", limits::SCIM_OPERATIONS);
            return Err(ScimError::bad(ScimType::TooMany, detail));
        }
        let operations =
            operations.into_iter().map(|sent| operation(sent, kind)).collect::<Result<_, _>>()?;
        Ok(Self { kind, operations })
    }

    /// Applies all operations. After an error the target is half done: throw it away.
    pub(super) fn apply(&self, target: &mut Target<'_>) -> Result<(), ScimError> {
        for operation in &self.operations {
            match &operation.path {
                Some(path) => self.at_path(target, operation.op, path, operation.value.as_ref(), true)?,
                None => self.without_path(target, operation.op, operation.value.as_ref())?,
            }
        }
        Ok(())
    }

    /// The value is an object of attributes.
    fn without_path(&self, target: &mut Target<'_>, op: Op, value: Option<&Value>) -> Result<(), ScimError> {
        let object = match value {
            Some(Value::Object(object)) => object,
            Some(Value::Array(one)) => match one.as_slice() {
                [Value::Object(object)] => object,
                _ => return Err(no_object()),
            },
            _ => return Err(no_object()),
        };
        for (name, value) in object {
            if values::is_ignored(name, self.kind) {
                continue;
            }
            let path = Path::parse(name, self.kind).map_err(|error| invalid_path(name, &error.problem))?;
            let known = path.attribute.attribute.is_some() || path.attribute.extension.is_some();
            if known {
                self.at_path(target, op, &path, Some(value), false)?;
            } else if path.attribute.sub.is_none() && path.filter.is_none() {
                // As in POST: what no schema knows is kept as sent.
                target.document.remove(name);
                values::insert(target.document, name, value.clone(), self.kind)?;
            } else {
                return Err(invalid_path(name, "no schema knows this attribute"));
            }
        }
        Ok(())
    }

    fn at_path(
        &self,
        target: &mut Target<'_>,
        op: Op,
        path: &Path,
        value: Option<&Value>,
        explicit: bool,
    ) -> Result<(), ScimError> {
        let attribute = &path.attribute;
        if attribute.extension.is_none() {
            if attribute.name == "members" && self.kind == Kind::Group {
                return at_members(target, op, path, value);
            }
            if values::is_ignored(&attribute.name, self.kind) {
                // A password is discarded wherever it is sent.
                return if explicit && attribute.name != "password" {
                    Err(ScimError::mutability(format!("{} is read-only", attribute.name)))
                } else {
                    Ok(())
                };
            }
        }
        if op != Op::Remove && value.is_none() {
            return Err(ScimError::value("\"value\" is missing"));
        }
        let edit = Edit { op, path, value };
        match &attribute.extension {
            None => edit.apply(target.document),
            Some(extension) => {
                let mut container = match target.document.remove(&extension.urn) {
                    Some(Value::Object(container)) => container,
                    _ => Map::new(),
                };
                if attribute.name.is_empty() {
                    self.whole_extension(&mut container, op, &extension.urn, value)?;
                } else {
                    edit.apply(&mut container)?;
                }
                if !container.is_empty() {
                    target.document.insert(extension.urn.clone(), Value::Object(container));
                }
                Ok(())
            }
        }
    }

    /// The path, or the key, is the URN of an extension.
    fn whole_extension(
        &self,
        container: &mut Document,
        op: Op,
        urn: &str,
        value: Option<&Value>,
    ) -> Result<(), ScimError> {
        match (op, value) {
            (Op::Remove, _) | (_, Some(Value::Null)) => container.clear(),
            (_, Some(Value::Object(sent))) => {
                for (name, value) in sent {
                    let full = format!("{urn}:{name}");
                    let path =
                        Path::parse(&full, self.kind).map_err(|error| invalid_path(&full, &error.problem))?;
                    Edit { op, path: &path, value: Some(value) }.apply(container)?;
                }
            }
            _ => return Err(ScimError::value(format!("{urn} has to be an object"))),
        }
        Ok(())
    }
}

fn operation(sent: Value, kind: Kind) -> Result<Operation, ScimError> {
    let Value::Object(sent) = sent else {
        return Err(ScimError::syntax("each operation has to be an object"));
    };
    let (mut op, mut path, mut value) = (None, None, None);
    for (name, member) in sent {
        match name.to_ascii_lowercase().as_str() {
            "op" => op = Some(member),
            "path" => path = Some(member),
            "value" => value = Some(member),
            _ => {}
        }
    }
    let op = match op.as_ref().and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        Some("add") => Op::Add,
        Some("remove") => Op::Remove,
        Some("replace") => Op::Replace,
        _ => return Err(ScimError::syntax("\"op\" has to be add, remove or replace")),
    };
    let path = match path {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            let path = Path::parse(&text, kind).map_err(|error| invalid_path(&text, &error.to_string()))?;
            check_filter(&path).map_err(|problem| invalid_path(&text, problem))?;
            Some(path)
        }
        Some(_) => return Err(ScimError::bad(ScimType::InvalidPath, "\"path\" has to be a string")),
    };
    if path.is_none() && op == Op::Remove {
        return Err(ScimError::bad(ScimType::NoTarget, "remove needs a \"path\""));
    }
    Ok(Operation { op, path, value })
}

/// A filter that cannot match would be a change that silently does not happen.
fn check_filter(path: &Path) -> Result<(), &'static str> {
    let Some(filter) = &path.filter else { return Ok(()) };
    let is_members = path.attribute.name == "members";
    let known = |name: &AttributePath| {
        name.attribute.is_some() && (!is_members || matches!(name.name.as_str(), "value" | "type"))
    };
    match (filter.all_paths(&known), is_members) {
        (true, _) => Ok(()),
        (false, true) => Err("members are told apart by value"),
        (false, false) => Err("the filter names a sub-attribute that no schema knows"),
    }
}

fn invalid_path(path: &str, problem: &str) -> ScimError {
    let path: String = path.chars().take(200).collect();
    ScimError::bad(ScimType::InvalidPath, format!("path {path:?}: {problem}"))
}

fn no_object() -> ScimError {
    ScimError::value("without a \"path\" the \"value\" has to be an object of attributes")
}

fn at_members(target: &mut Target<'_>, op: Op, path: &Path, value: Option<&Value>) -> Result<(), ScimError> {
    let Some(members) = target.members.as_deref_mut() else { return Err(no_object()) };
    if path.attribute.sub.is_some() {
        return Err(ScimError::mutability(
            "the sub-attributes of members do not change; remove and add members",
        ));
    }
    match (op, &path.filter, value) {
        (Op::Remove, Some(filter), _) => members.remove_matching(filter),
        (Op::Remove, None, None | Some(Value::Null)) => members.clear(),
        (Op::Remove, None, Some(value)) => {
            let ids = members::ids(value)?;
            if ids.is_empty() {
                // Nobody, or everybody? The request does not say.
                return Err(ScimError::value(
                    "remove: an empty list of members; leave out \"value\" to remove all",
                ));
            }
            for id in ids {
                members.remove(&id);
            }
        }
        (_, _, None) => return Err(ScimError::value("members: \"value\" is missing")),
        (Op::Add, None, Some(value)) => members::ids(value)?.into_iter().for_each(|id| members.add(id)),
        (Op::Replace, None, Some(value)) => members.replace(members::ids(value)?),
        (_, Some(_), Some(_)) => {
            return Err(ScimError::mutability("a member does not change; remove and add members"));
        }
    }
    Ok(())
}

/// One operation on one attribute of an object of attributes.
struct Edit<'a> {
    op: Op,
    path: &'a Path,
    value: Option<&'a Value>,
}

impl Edit<'_> {
    fn apply(&self, container: &mut Document) -> Result<(), ScimError> {
        let path = &self.path.attribute;
        let Some(attribute) = path.attribute else { return self.apply_unknown(container) };
        if attribute.mutability == Mutability::ReadOnly {
            return Err(ScimError::mutability(format!("{} is read-only", attribute.name)));
        }
        let sub = match (&path.sub, path.sub_attribute) {
            (None, _) => None,
            (Some(_), Some(sub)) if sub.mutability == Mutability::ReadOnly => {
                return Err(ScimError::mutability(format!("{}.{} is read-only", attribute.name, sub.name)));
            }
            (Some(_), Some(sub)) => Some(sub),
            (Some(name), None) => {
                return Err(invalid_path(name, &format!("{} has no such sub-attribute", attribute.name)));
            }
        };
        match (&self.path.filter, sub) {
            (None, None) => self.whole(container, attribute),
            (None, Some(sub)) if !attribute.multi => {
                let mut object = match container.remove(attribute.name) {
                    Some(Value::Object(object)) => object,
                    _ => Map::new(),
                };
                self.set_sub(&mut object, sub)?;
                if !object.is_empty() {
                    container.insert(attribute.name.to_owned(), Value::Object(object));
                }
                Ok(())
            }
            (filter, sub) => self.elements(container, attribute, filter.as_ref(), sub),
        }
    }

    /// Does the operation take the value away?
    fn clears(&self) -> bool {
        self.op == Op::Remove
            || match self.value {
                None | Some(Value::Null) => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(_) => false,
            }
    }

    fn sent(&self) -> Value {
        self.value.cloned().unwrap_or(Value::Null)
    }

    /// An attribute that only its own extension may know.
    fn apply_unknown(&self, container: &mut Document) -> Result<(), ScimError> {
        let path = &self.path.attribute;
        if path.extension.is_none() || path.sub.is_some() || self.path.filter.is_some() {
            return Err(invalid_path(&path.name, "no schema knows this attribute"));
        }
        container.remove(&path.name);
        if !self.clears()
            && let Some(value) = values::without_nulls(self.sent())
        {
            container.insert(path.name.clone(), value);
        }
        Ok(())
    }

    /// The whole attribute.
    fn whole(&self, container: &mut Document, attribute: &'static Attribute) -> Result<(), ScimError> {
        if self.clears() {
            if attribute.required {
                return Err(match self.op {
                    Op::Remove => ScimError::mutability(format!("{} is required", attribute.name)),
                    _ => ScimError::value(format!("{} is required", attribute.name)),
                });
            }
            if attribute.name == "active" {
                // Without a value it would count as true: nobody gets back in by an omission.
                return Err(ScimError::value("active has to be true or false"));
            }
            let listed = self.value.filter(|_| attribute.multi).and_then(Value::as_array);
            match (listed, container.get_mut(attribute.name)) {
                (Some(listed), Some(Value::Array(kept))) if !listed.is_empty() => {
                    kept.retain(|element| !listed.iter().any(|listed| is_listed(element, listed)));
                    if kept.is_empty() {
                        container.remove(attribute.name);
                    }
                }
                _ => {
                    container.remove(attribute.name);
                }
            }
            return Ok(());
        }
        if attribute.multi {
            let fresh = values::coerce(attribute, self.sent())?;
            let kept = match (self.op, container.remove(attribute.name)) {
                (Op::Add, Some(Value::Array(kept))) => kept,
                _ => Vec::new(),
            };
            let fresh = match fresh {
                Some(Value::Array(fresh)) => fresh,
                _ => Vec::new(),
            };
            return store(container, attribute, append(kept, fresh));
        }
        if attribute.sub.is_empty() {
            container.extend(
                values::coerce(attribute, self.sent())?.map(|value| (attribute.name.to_owned(), value)),
            );
            return Ok(());
        }
        self.merge(container, attribute)
    }

    /// Sub-attributes that were sent replace those there are, the others stay (RFC 7644, 3.5.2.3).
    fn merge(&self, container: &mut Document, attribute: &'static Attribute) -> Result<(), ScimError> {
        let mut object = match container.remove(attribute.name) {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        };
        if let Some(Value::Object(sent)) = self.value {
            for (name, value) in sent {
                if value.is_null() || value.as_str() == Some("") {
                    object.remove(attribute.sub_attribute(name).map_or(name.as_str(), |sub| sub.name));
                }
            }
        }
        if let Some(Value::Object(fresh)) = values::coerce(attribute, self.sent())? {
            object.extend(fresh.into_iter().filter(|(_, value)| value.as_str() != Some("")));
        }
        if !object.is_empty() {
            container.insert(attribute.name.to_owned(), Value::Object(object));
        }
        Ok(())
    }

    fn set_sub(&self, object: &mut Document, sub: &'static Attribute) -> Result<(), ScimError> {
        object.remove(sub.name);
        if !self.clears() {
            object.extend(values::single(sub, self.sent())?.map(|value| (sub.name.to_owned(), value)));
        }
        Ok(())
    }

    /// Elements of a multi-valued attribute: those that the filter matches, or all.
    fn elements(
        &self,
        container: &mut Document,
        attribute: &'static Attribute,
        filter: Option<&Filter>,
        sub: Option<&'static Attribute>,
    ) -> Result<(), ScimError> {
        let elements = match container.remove(attribute.name) {
            Some(Value::Array(elements)) => elements,
            _ => Vec::new(),
        };
        let (mut fresh, mut kept) = (Vec::new(), Vec::new());
        let mut places = Vec::new();
        for element in elements {
            if filter.is_none_or(|filter| filter.matches_element(&element)) {
                places.push(kept.len() + fresh.len());
                fresh.push(element);
            } else {
                kept.push(element);
            }
        }
        if fresh.is_empty() && self.op != Op::Remove && !(sub.is_some() && self.clears()) {
            fresh.push(self.described(attribute, filter, sub)?);
            places.push(kept.len());
        }
        let mut edited = Vec::new();
        for (place, element) in places.into_iter().zip(fresh) {
            let mut object = match element {
                Value::Object(object) => object,
                other => Map::from_iter([("value".to_owned(), other)]),
            };
            match sub {
                Some(sub) => self.set_sub(&mut object, sub)?,
                None if self.op == Op::Remove => object.clear(),
                None => {
                    let sent = values::single(attribute, self.sent())?;
                    if self.op == Op::Replace {
                        object.clear();
                    }
                    if let Some(Value::Object(sent)) = sent {
                        object.extend(sent);
                    }
                }
            }
            if !object.is_empty() {
                edited.push((place, Value::Object(object)));
            }
        }
        let makes_primary = |(_, element): &&(usize, Value)| values::is_primary(element);
        match edited.iter().filter(makes_primary).count() {
            0 => {}
            1 => demote(&mut kept),
            _ => return Err(ScimError::value(format!("{} has more than one primary value", attribute.name))),
        }
        for (place, element) in edited {
            kept.insert(place.min(kept.len()), element);
        }
        store(container, attribute, kept)
    }

    /// A new element that the filter matches, where none did: `emails[type eq "work"].value`.
    fn described(
        &self,
        attribute: &'static Attribute,
        filter: Option<&Filter>,
        sub: Option<&'static Attribute>,
    ) -> Result<Value, ScimError> {
        let no_target =
            || ScimError::bad(ScimType::NoTarget, format!("no value of {} matches the path", attribute.name));
        let mut object = Map::new();
        let Some(filter) = filter else { return Ok(Value::Object(object)) };
        if sub.is_none() && self.op == Op::Replace {
            return Err(no_target());
        }
        for (path, literal) in filter.equalities().ok_or_else(no_target)? {
            let value = match literal {
                Literal::Text { written, .. } => Value::String(written.clone()),
                Literal::Boolean(value) => Value::Bool(*value),
                Literal::Null | Literal::Number(_) | Literal::Instant(_) => return Err(no_target()),
            };
            if path.attribute.is_none() || object.insert(path.name.clone(), value).is_some() {
                return Err(no_target());
            }
        }
        Ok(Value::Object(object))
    }
}

fn is_listed(element: &Value, listed: &Value) -> bool {
    let value = |of: &Value| match of {
        Value::Object(object) => object.get("value").cloned(),
        other => Some(other.clone()),
    };
    match (value(element), value(listed)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => element == listed,
        _ => false,
    }
}

/// Adds what is not there yet; a new primary value takes the place of the old one (RFC 7644, 3.5.2).
fn append(mut kept: Vec<Value>, fresh: Vec<Value>) -> Vec<Value> {
    let fresh: Vec<Value> = fresh.into_iter().filter(|element| !kept.contains(element)).collect();
    if fresh.iter().any(values::is_primary) {
        demote(&mut kept);
    }
    kept.extend(fresh);
    kept
}

fn demote(elements: &mut [Value]) {
    for element in elements {
        if values::is_primary(element)
            && let Some(object) = element.as_object_mut()
        {
            object.insert("primary".to_owned(), Value::Bool(false));
        }
    }
}

fn store(container: &mut Document, attribute: &Attribute, elements: Vec<Value>) -> Result<(), ScimError> {
    if elements.len() > limits::SCIM_VALUES {
        let detail = format!("{} has more than {} values", attribute.name, limits::SCIM_VALUES);
        return Err(ScimError::bad(ScimType::TooMany, detail));
    }
    if elements.is_empty() {
        container.remove(attribute.name);
    } else {
        container.insert(attribute.name.to_owned(), Value::Array(elements));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
