//! Which attributes an answer shows: `attributes` and `excludedAttributes` (RFC 7644, 3.9).

use serde_json::{Map, Value};

use super::error::ScimError;
use crate::directory::filter::{AttributePath, Path};
use crate::directory::schema::Kind;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Projection {
    only: Option<Vec<AttributePath>>,
    without: Vec<AttributePath>,
}

impl Projection {
    /// Reads the two lists of names. `attributes` and `excludedAttributes` exclude each other.
    pub(super) fn new<'a>(
        kind: Kind,
        only: impl Iterator<Item = &'a str>,
        without: impl Iterator<Item = &'a str>,
    ) -> Result<Self, ScimError> {
        let only = paths(kind, only)?;
        let without = paths(kind, without)?;
        if !only.is_empty() && !without.is_empty() {
            return Err(ScimError::value("attributes and excludedAttributes exclude each other"));
        }
        Ok(Self { only: if only.is_empty() { None } else { Some(only) }, without })
    }

    /// Did the client name attributes?
    pub(super) fn names_attributes(&self) -> bool {
        self.only.is_some()
    }

    /// May a core attribute be in the answer? If not, it need not be built.
    pub(super) fn wants(&self, name: &str) -> bool {
        let about = |path: &AttributePath| path.extension.is_none() && path.name.eq_ignore_ascii_case(name);
        match &self.only {
            Some(only) => only.iter().any(about),
            None => !self.without.iter().any(|path| about(path) && path.sub.is_none()),
        }
    }

    /// Leaves what was asked for; `id` and `schemas` always stay.
    pub(super) fn apply(&self, mut resource: Map<String, Value>) -> Map<String, Value> {
        if let Some(only) = &self.only {
            let mut shown = Map::new();
            for name in ["id", "schemas"] {
                shown.extend(resource.get_key_value(name).map(|(name, value)| (name.clone(), value.clone())));
            }
            for path in only {
                copy(&resource, &mut shown, path);
            }
            return shown;
        }
        for path in &self.without {
            if path.extension.is_none() && matches!(path.name.as_str(), "id" | "schemas") {
                continue;
            }
            remove(&mut resource, path);
        }
        resource
    }
}

/// Names that are no attribute paths at all are refused; names that nobody knows show nothing.
fn paths<'a>(kind: Kind, names: impl Iterator<Item = &'a str>) -> Result<Vec<AttributePath>, ScimError> {
    let mut paths = Vec::new();
    for name in names.map(str::trim).filter(|name| !name.is_empty()) {
        // The core schema's URN means all of its attributes.
        if name.eq_ignore_ascii_case(kind.core().urn) {
            continue;
        }
        let Ok(Path { attribute, filter: None }) = Path::parse(name, kind) else {
            let name: String = name.chars().take(200).collect();
            return Err(ScimError::value(format!("{name:?} is no attribute")));
        };
        paths.push(attribute);
    }
    Ok(paths)
}

fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<(&'a String, &'a Value)> {
    object.get_key_value(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, path: &AttributePath) {
    if let Some(extension) = &path.extension {
        let Some((urn, Value::Object(container))) = find(from, &extension.urn) else { return };
        if path.name.is_empty() {
            to.insert(urn.clone(), Value::Object(container.clone()));
            return;
        }
        let mut shown = match to.remove(urn) {
            Some(Value::Object(shown)) => shown,
            _ => Map::new(),
        };
        copy(container, &mut shown, &AttributePath { extension: None, ..path.clone() });
        if !shown.is_empty() {
            to.insert(urn.clone(), Value::Object(shown));
        }
        return;
    }
    let Some((name, value)) = find(from, &path.name) else { return };
    let Some(sub) = &path.sub else {
        to.insert(name.clone(), value.clone());
        return;
    };
    let shown = match (value, to.remove(name)) {
        (Value::Object(object), shown) => {
            let mut shown = match shown {
                Some(Value::Object(shown)) => shown,
                _ => Map::new(),
            };
            shown.extend(find(object, sub).map(|(name, value)| (name.clone(), value.clone())));
            Value::Object(shown)
        }
        (Value::Array(elements), shown) => {
            let mut shown = match shown {
                Some(Value::Array(shown)) => shown,
                _ => vec![Value::Object(Map::new()); elements.len()],
            };
            for (shown, element) in shown.iter_mut().zip(elements) {
                if let (Value::Object(shown), Value::Object(element)) = (shown, element) {
                    shown.extend(find(element, sub).map(|(name, value)| (name.clone(), value.clone())));
                }
            }
            Value::Array(shown)
        }
        _ => return,
    };
    to.insert(name.clone(), shown);
}

fn remove(from: &mut Map<String, Value>, path: &AttributePath) {
    let Some(name) = find(from, path.extension.as_ref().map_or(&path.name, |extension| &extension.urn))
        .map(|(name, _)| name.clone())
    else {
        return;
    };
    if path.extension.is_some() && !path.name.is_empty() {
        if let Some(Value::Object(container)) = from.get_mut(&name) {
            remove(container, &AttributePath { extension: None, ..path.clone() });
        }
        return;
    }
    let Some(sub) = &path.sub else {
        from.remove(&name);
        return;
    };
    let strip = |object: &mut Map<String, Value>| {
        if let Some(name) = find(object, sub).map(|(name, _)| name.clone()) {
            object.remove(&name);
        }
    };
    match from.get_mut(&name) {
        Some(Value::Object(object)) => strip(object),
        Some(Value::Array(elements)) => elements.iter_mut().filter_map(Value::as_object_mut).for_each(strip),
        _ => {}
    }
}
