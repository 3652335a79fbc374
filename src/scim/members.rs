//! The members of a group while a request changes them: a difference to what is there, so that adding one
//! member to a large group costs what it costs in a small one.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::HashTrieSetSync;
use serde_json::{Value, json};

use super::error::ScimError;
use crate::directory::filter::{Filter, Literal, Operator};
use crate::directory::{Id, MemberChange};

/// Members as they were, who joins and who leaves.
#[derive(Clone, Debug)]
pub(super) struct Members {
    before: HashTrieSetSync<Id>,
    joining: BTreeSet<Id>,
    leaving: BTreeSet<Id>,
}

impl Members {
    pub(super) fn new(before: HashTrieSetSync<Id>) -> Self {
        Self { before, joining: BTreeSet::new(), leaving: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, id: Id) {
        if !self.leaving.remove(&id) && !self.before.contains(&id) {
            self.joining.insert(id);
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        if !self.joining.remove(id)
            && let Some(id) = self.before.get(id)
        {
            self.leaving.insert(id.clone());
        }
    }

    pub(super) fn clear(&mut self) {
        self.joining.clear();
        self.leaving = self.before.iter().cloned().collect();
    }

    pub(super) fn replace(&mut self, ids: Vec<Id>) {
        self.clear();
        for id in ids {
            self.add(id);
        }
    }

    /// Removes the members that a filter on `value` and `type` matches.
    pub(super) fn remove_matching(&mut self, filter: &Filter) {
        if let Some(ids) = named(filter) {
            for id in ids {
                self.remove(&id);
            }
            return;
        }
        let matches = |id: &&Id| filter.matches_element(&json!({"value": &***id, "type": "User"}));
        let stays = |id: &&Id| !self.leaving.contains(*id);
        let matching: Vec<Id> =
            self.before.iter().filter(stays).chain(&self.joining).filter(matches).cloned().collect();
        for id in matching {
            self.remove(&id);
        }
    }

    pub(super) fn change(&self) -> MemberChange {
        MemberChange {
            added: self.joining.iter().cloned().collect(),
            removed: self.leaving.iter().cloned().collect(),
        }
    }
}

/// The ids that `value eq "x"`, or several of them joined by `or`, names.
fn named(filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Compare(path, Operator::Eq, Literal::Text { compared, .. }) if path.name == "value" => {
            Some(vec![compared.clone()])
        }
        Filter::Or(any) => {
            let ids: Option<Vec<Vec<String>>> = any.iter().map(named).collect();
            Some(ids?.concat())
        }
        _ => None,
    }
}

/// Reads members as a request sends them: objects with the user's id as `value`. What else they hold
/// (`$ref`, `display`) says nothing new.
pub(super) fn ids(value: &Value) -> Result<Vec<Id>, ScimError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(elements) => elements.iter().map(id).collect(),
        Value::Object(_) => Ok(vec![id(value)?]),
        _ => Err(ScimError::value("members has to be an array of objects with a \"value\"")),
    }
}

fn id(element: &Value) -> Result<Id, ScimError> {
    let object = element
        .as_object()
        .ok_or_else(|| ScimError::value("each of members has to be an object with a \"value\""))?;
    let get = |wanted: &str| {
        object.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    match get("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.is_empty() || kind.eq_ignore_ascii_case("User") => {}
        Some(_) => {
            return Err(ScimError::value(
                "members: only users can be members; groups in groups are not supported",
            ));
        }
    }
    match get("value") {
        Some(Value::String(id)) if !id.is_empty() => Ok(Arc::from(id.as_str())),
        _ => Err(ScimError::value("members: each needs a \"value\", the SCIM id of a user")),
    }
}
