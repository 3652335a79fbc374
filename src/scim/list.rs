//! Lists: filter, page, answer (RFC 7644, 3.4.2 and 3.4.3).

use serde_json::{Value, json};

use super::discovery::LIST;
use super::error::ScimError;
use super::project::Projection;
use super::resource::render;
use crate::config::limits;
use crate::directory::filter::{Filter, Resource};
use crate::directory::schema::Kind;
use crate::directory::{Id, Namespace};

/// The schema of a `.search` body.
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// What a client asks of a list of users, of groups, or of both.
#[derive(Debug)]
pub(super) struct Query {
    parts: Vec<Part>,
    start_index: usize,
    count: usize,
}

/// What is asked of the resources of one kind.
#[derive(Debug)]
struct Part {
    kind: Kind,
    filter: Option<Filter>,
    projection: Projection,
}

impl Query {
    /// Reads the parameters of a URL. Names that nobody knows are ignored: providers add flags of their own.
    pub(super) fn from_url(parameters: &[(String, String)], kinds: &[Kind]) -> Result<Self, ScimError> {
        let get = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
        };
        let projected = |kind| projection(parameters, kind);
        Self::new(kinds, get("filter"), get("startIndex"), get("count"), projected)
    }

    /// Reads the body of `.search`.
    pub(super) fn from_body(body: &Value, kinds: &[Kind]) -> Result<Self, ScimError> {
        let object = body.as_object().ok_or_else(|| ScimError::syntax("the body has to be a JSON object"))?;
        let get = |wanted: &str| {
            let found = object.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value).filter(|value| !value.is_null())
        };
        let has_schema = get("schemas").and_then(Value::as_array).is_some_and(|urns| {
            urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(SEARCH)))
        });
        if !has_schema {
            return Err(ScimError::syntax(format!("\"schemas\" has to contain \"{SEARCH}\"")));
        }
        let text = |name: &str| match get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(ScimError::value(format!("{name} has the wrong type"))),
        };
        let names = |name: &str| match get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(names)) => names
                .iter()
                .map(|name| name.as_str().ok_or_else(|| ScimError::value("attributes are named by strings")))
                .collect(),
            Some(Value::String(names)) => Ok(names.split(',').collect()),
            Some(_) => Err(ScimError::value(format!("{name} has to be an array of strings"))),
        };
        let (only, without) = (names("attributes")?, names("excludedAttributes")?);
        let projected = |kind| Projection::new(kind, only.iter().copied(), without.iter().copied());
        let (filter, start_index, count) = (text("filter")?, text("startIndex")?, text("count")?);
        Self::new(kinds, filter.as_deref(), start_index.as_deref(), count.as_deref(), projected)
    }

    fn new(
        kinds: &[Kind],
        filter: Option<&str>,
        start_index: Option<&str>,
        count: Option<&str>,
        projected: impl Fn(Kind) -> Result<Projection, ScimError>,
    ) -> Result<Self, ScimError> {
        let part = |kind: &Kind| -> Result<Part, ScimError> {
            let filter = filter.map(|text| Filter::parse(text, *kind)).transpose();
            let filter = filter.map_err(|error| ScimError::filter(&error))?;
            Ok(Part { kind: *kind, filter, projection: projected(*kind)? })
        };
        Ok(Self {
            parts: kinds.iter().map(part).collect::<Result<_, _>>()?,
            start_index: number("startIndex", start_index)?
                .map_or(1, |n| usize::try_from(n).unwrap_or(0).max(1)),
            count: number("count", count)?
                .map_or(limits::SCIM_PAGE, |n| usize::try_from(n).unwrap_or(0))
                .min(limits::SCIM_PAGE),
        })
    }

    /// The answer.
    pub(super) fn run(&self, namespace: &Namespace, base: &str) -> Value {
        let mut total = 0;
        let mut resources = Vec::new();
        for part in &self.parts {
            let skip = (self.start_index - 1).saturating_sub(total);
            let (matching, page) = part.page(namespace, skip, self.count - resources.len());
            total += matching;
            let found = page.iter().filter_map(|id| resource(part.kind, namespace, id));
            resources.extend(found.map(|resource| render(resource, base, &part.projection)));
        }
        json!({
            "schemas": [LIST],
            "totalResults": total,
            "itemsPerPage": resources.len(),
            "startIndex": self.start_index,
            "Resources": resources,
        })
    }
}

impl Part {
    /// How many match, and the ids of `count` of them after `skip`, in the order in which they were created.
    fn page(&self, namespace: &Namespace, skip: usize, count: usize) -> (usize, Vec<Id>) {
        let order = match self.kind {
            Kind::User => &namespace.user_order,
            Kind::Group => &namespace.group_order,
        };
        let Some(filter) = &self.filter else {
            return (order.size(), order.iter().skip(skip).take(count).cloned().collect());
        };
        let mut total = 0;
        let mut page = Vec::new();
        let mut take = |id: &Id| {
            if resource(self.kind, namespace, id).is_some_and(|resource| filter.matches(resource)) {
                total += 1;
                if total > skip && page.len() < count {
                    page.push(id.clone());
                }
            }
        };
        if let Some(mut candidates) = filter.candidates(self.kind, namespace) {
            candidates.sort();
            candidates.iter().for_each(&mut take);
        } else {
            order.iter().for_each(&mut take);
        }
        (total, page)
    }
}

/// The resource of a kind with an id.
pub(super) fn resource<'a>(kind: Kind, namespace: &'a Namespace, id: &str) -> Option<Resource<'a>> {
    match kind {
        Kind::User => namespace.users.get(id).map(|user| Resource::User(user, namespace)),
        Kind::Group => namespace.groups.get(id).map(|group| Resource::Group(group, namespace)),
    }
}

/// `attributes` and `excludedAttributes` of a URL.
pub(super) fn projection(parameters: &[(String, String)], kind: Kind) -> Result<Projection, ScimError> {
    let names = |wanted: &'static str| {
        parameters
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .flat_map(|(_, names)| names.split(','))
    };
    Projection::new(kind, names("attributes"), names("excludedAttributes"))
}

/// A whole number; anything that is none is refused, any that is too small or large is brought into range.
fn number(name: &str, text: Option<&str>) -> Result<Option<i64>, ScimError> {
    let Some(text) = text else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| ScimError::value(format!("{name} has to be a whole number")))
}
