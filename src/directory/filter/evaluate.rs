//! Judges a filter on a user or a group, without building its JSON.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{AttributePath, Filter, Literal, Operator};
use crate::directory::schema::{Kind, Type};
use crate::directory::{Group, Id, Namespace, User, fold};

/// What a filter is judged on.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// A user, and where it lives.
    User(&'a User, &'a Namespace),
    /// A group, and where it lives.
    Group(&'a Group, &'a Namespace),
}

/// One value of an attribute.
#[derive(Clone, Copy)]
enum Item<'a> {
    Text(&'a str),
    Boolean(bool),
    Instant(OffsetDateTime),
    Json(&'a Value),
}

impl Filter {
    /// Does it match?
    pub fn matches(&self, resource: Resource<'_>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches(resource)),
            Self::Or(any) => any.iter().any(|one| one.matches(resource)),
            Self::Not(inner) => !inner.matches(resource),
            Self::Present(path) => resource.any(path, &mut |item| is_present(item, path.sub.as_deref())),
            Self::Compare(path, operator, literal) => resource.compare(path, *operator, literal),
            Self::Element(path, inner) => {
                resource.elements(path, &mut |element| inner.matches_element(element))
            }
        }
    }

    /// Does one element of a multi-valued attribute match? The paths of the filter are sub-attributes.
    pub fn matches_element(&self, element: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches_element(element)),
            Self::Or(any) => any.iter().any(|one| one.matches_element(element)),
            Self::Not(inner) => !inner.matches_element(element),
            Self::Present(path) => element_value(element, &path.name).is_some_and(is_present_json),
            Self::Compare(path, operator, literal) => {
                let found = element_value(element, &path.name).filter(|value| is_present_json(value));
                compare_found(found.map(Item::Json).into_iter(), path, *operator, literal)
            }
            Self::Element(..) => false,
        }
    }

    /// Ids of all that can match, if an index knows: the filter, or a term of its conjunction, asks for one
    /// value of an indexed attribute. Each still has to be judged.
    pub fn candidates(&self, kind: Kind, namespace: &Namespace) -> Option<Vec<Id>> {
        match self {
            Self::And(all) => all.iter().find_map(|one| one.candidates(kind, namespace)),
            Self::Compare(path, Operator::Eq, Literal::Text { compared, .. }) if path.extension.is_none() => {
                indexed(kind, path, compared, namespace)
            }
            _ => None,
        }
    }
}

fn indexed(kind: Kind, path: &AttributePath, text: &str, namespace: &Namespace) -> Option<Vec<Id>> {
    let one = |id: Option<&Id>| Some(id.cloned().into_iter().collect());
    match (kind, path.name.as_str(), path.sub.as_deref()) {
        (Kind::User, "id", None) => one(namespace.users.get_key_value(text).map(|(id, _)| id)),
        (Kind::Group, "id", None) => one(namespace.groups.get_key_value(text).map(|(id, _)| id)),
        (Kind::User, "userName", None) => one(namespace.users_by_name.get(text)),
        (Kind::Group, "displayName", None) => one(namespace.groups_by_name.get(text)),
        (Kind::User, "externalId", None) => {
            Some(namespace.users_by_external_id.get(text).into_iter().flatten().cloned().collect())
        }
        (Kind::Group, "externalId", None) => {
            Some(namespace.groups_by_external_id.get(text).into_iter().flatten().cloned().collect())
        }
        (Kind::Group, "members", None | Some("value")) => {
            Some(namespace.groups_of.get(text).into_iter().flatten().cloned().collect())
        }
        (Kind::User, "groups", None | Some("value")) => {
            // The index is folded as the literal is; ids are lower-case as we make them.
            namespace.groups.get(text).map(|group| group.members.iter().cloned().collect())
        }
        _ => None,
    }
}

impl<'a> Resource<'a> {
    fn attributes(self) -> &'a Map<String, Value> {
        match self {
            Self::User(user, _) => &user.attributes,
            Self::Group(group, _) => &group.attributes,
        }
    }

    fn compare(self, path: &AttributePath, operator: Operator, literal: &Literal) -> bool {
        if let (
            Self::Group(group, _),
            Operator::Eq,
            Literal::Text { compared: id, .. },
            "members",
            None | Some("value"),
        ) = (self, operator, literal, path.name.as_str(), path.sub.as_deref())
        {
            return group.members.contains(id.as_str());
        }
        let mut none = true;
        let matched = self.any(path, &mut |item| {
            if !is_present(item, None) {
                return false;
            }
            none = false;
            compare(item, path, operator, literal)
        });
        matched || (none && compare_nothing(operator, literal))
    }

    /// Is `test` true for one of the attribute's values?
    fn any(self, path: &AttributePath, test: &mut dyn FnMut(Item<'a>) -> bool) -> bool {
        let sub = path.sub.as_deref();
        if let Some(extension) = &path.extension {
            let container = self.attributes().get(&extension.urn);
            let value =
                if path.name.is_empty() { container } else { container.and_then(|c| c.get(&path.name)) };
            return value.is_some_and(|value| any_json(value, sub, test));
        }
        let text = |text: Option<&'a str>, test: &mut dyn FnMut(Item<'a>) -> bool| {
            sub.is_none() && text.is_some_and(|text| test(Item::Text(text)))
        };
        match (self, path.name.as_str()) {
            (Self::User(user, _), "id") => text(Some(&user.id), test),
            (Self::Group(group, _), "id") => text(Some(&group.id), test),
            (Self::User(user, _), "externalId") => text(user.external_id.as_deref(), test),
            (Self::Group(group, _), "externalId") => text(group.external_id.as_deref(), test),
            (Self::User(user, _), "userName") => text(Some(&user.user_name), test),
            (Self::Group(group, _), "displayName") => text(Some(&group.display_name), test),
            (Self::User(user, _), "active") => sub.is_none() && test(Item::Boolean(user.active)),
            (_, "meta") => self.any_meta(sub, test),
            (_, "schemas") => {
                let core = match self {
                    Self::User(..) => Kind::User,
                    Self::Group(..) => Kind::Group,
                };
                text(Some(core.core().urn), test)
                    || core.extensions().iter().any(|schema| {
                        self.attributes().contains_key(schema.urn) && text(Some(schema.urn), test)
                    })
            }
            (Self::Group(group, _), "members") => group.members.iter().any(|id| match sub {
                None | Some("value") => test(Item::Text(id)),
                Some("type") => test(Item::Text("User")),
                Some(_) => false,
            }),
            (Self::User(user, namespace), "groups") => {
                namespace.groups_of_user(&user.id).any(|group| match sub {
                    None | Some("value") => test(Item::Text(&group.id)),
                    Some("display") => test(Item::Text(&group.display_name)),
                    Some("type") => test(Item::Text("direct")),
                    Some(_) => false,
                })
            }
            (_, name) => self.attributes().get(name).is_some_and(|value| any_json(value, sub, test)),
        }
    }

    fn any_meta(self, sub: Option<&str>, test: &mut dyn FnMut(Item<'a>) -> bool) -> bool {
        let (created, last_modified, name) = match self {
            Self::User(user, _) => (user.created, user.last_modified, Kind::User.name()),
            Self::Group(group, _) => (group.created, group.last_modified, Kind::Group.name()),
        };
        match sub {
            None | Some("created") => test(Item::Instant(created)),
            Some("lastModified") => test(Item::Instant(last_modified)),
            Some("resourceType") => test(Item::Text(name)),
            Some(_) => false,
        }
    }

    /// Is `test` true for one of the attribute's elements?
    fn elements(self, path: &AttributePath, test: &mut dyn FnMut(&Value) -> bool) -> bool {
        match (self, path.name.as_str(), &path.extension) {
            (Self::Group(group, _), "members", None) => {
                group.members.iter().any(|id| test(&serde_json::json!({"value": &**id, "type": "User"})))
            }
            (Self::User(user, namespace), "groups", None) => {
                namespace.groups_of_user(&user.id).any(|group| {
                    test(&serde_json::json!({
                        "value": &*group.id, "display": &*group.display_name, "type": "direct"
                    }))
                })
            }
            (_, name, extension) => {
                let container = match extension {
                    Some(extension) => self.attributes().get(&extension.urn).and_then(Value::as_object),
                    None => Some(self.attributes()),
                };
                match container.and_then(|container| container.get(name)) {
                    Some(Value::Array(elements)) => elements.iter().any(test),
                    _ => false,
                }
            }
        }
    }
}

fn any_json<'a>(value: &'a Value, sub: Option<&str>, test: &mut dyn FnMut(Item<'a>) -> bool) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(|element| any_json(element, sub, test)),
        Value::Object(object) => match sub {
            Some(sub) => object.get(sub).is_some_and(|value| any_json(value, None, test)),
            None => test(Item::Json(value)),
        },
        _ => sub.is_none() && test(Item::Json(value)),
    }
}

/// A sub-attribute of an element; an element that is no object is its own `value`.
fn element_value<'a>(element: &'a Value, name: &str) -> Option<&'a Value> {
    match element {
        Value::Object(object) => object.get(name),
        other if name == "value" => Some(other),
        _ => None,
    }
}

fn is_present(item: Item<'_>, _sub: Option<&str>) -> bool {
    match item {
        Item::Text(text) => !text.is_empty(),
        Item::Json(value) => is_present_json(value),
        Item::Boolean(_) | Item::Instant(_) => true,
    }
}

fn is_present_json(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_present_json),
        Value::Object(object) => object.values().any(is_present_json),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare_found<'a>(
    items: impl Iterator<Item = Item<'a>>,
    path: &AttributePath,
    operator: Operator,
    literal: &Literal,
) -> bool {
    let mut none = true;
    for item in items {
        none = false;
        if compare(item, path, operator, literal) {
            return true;
        }
    }
    none && compare_nothing(operator, literal)
}

/// How an attribute without a value compares.
fn compare_nothing(operator: Operator, literal: &Literal) -> bool {
    match operator {
        Operator::Eq => *literal == Literal::Null,
        Operator::Ne => *literal != Literal::Null,
        _ => false,
    }
}

fn compare(item: Item<'_>, path: &AttributePath, operator: Operator, literal: &Literal) -> bool {
    let ordered = |order: Option<std::cmp::Ordering>| {
        order.is_some_and(|order| match operator {
            Operator::Eq => order.is_eq(),
            Operator::Ne => order.is_ne(),
            Operator::Gt => order.is_gt(),
            Operator::Ge => order.is_ge(),
            Operator::Lt => order.is_lt(),
            Operator::Le => order.is_le(),
            Operator::Co | Operator::Sw | Operator::Ew => false,
        })
    };
    let attribute = path.compared();
    match (item, literal) {
        (_, Literal::Null) => operator == Operator::Ne,
        // An attribute with sub-attributes compares by its `value`.
        (Item::Json(Value::Object(object)), _) => match object.get("value") {
            Some(value) if !value.is_object() => compare(Item::Json(value), path, operator, literal),
            _ => operator == Operator::Ne,
        },
        (Item::Json(Value::String(text)), _) => compare(Item::Text(text), path, operator, literal),
        (Item::Json(Value::Bool(boolean)), _) => compare(Item::Boolean(*boolean), path, operator, literal),
        (Item::Json(Value::Number(number)), Literal::Number(other)) => {
            ordered(number.as_f64().and_then(|number| number.partial_cmp(other)))
        }
        (Item::Text(text), Literal::Text { compared: other, .. }) => {
            let exact = attribute.is_some_and(|attribute| attribute.case_exact);
            let folded;
            let text = if exact {
                text
            } else {
                folded = fold(text);
                &folded
            };
            match operator {
                Operator::Co => text.contains(other.as_str()),
                Operator::Sw => text.starts_with(other.as_str()),
                Operator::Ew => text.ends_with(other.as_str()),
                _ => ordered(Some(text.cmp(other.as_str()))),
            }
        }
        (Item::Text(text), Literal::Instant(other))
            if attribute.is_some_and(|a| a.kind == Type::DateTime) =>
        {
            let parsed = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
            ordered(parsed.ok().map(|instant| instant.cmp(other)))
        }
        (Item::Boolean(boolean), Literal::Boolean(other)) => ordered(Some(boolean.cmp(other))),
        (Item::Instant(instant), Literal::Instant(other)) => ordered(Some(instant.cmp(other))),
        // Values of different types are not equal, and have no order.
        _ => operator == Operator::Ne,
    }
}
