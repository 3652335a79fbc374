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

/// What a client asks of a list.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) filter: Option<Filter>,
    pub(super) start_index: usize,
    pub(super) count: usize,
    pub(super) projection: Projection,
}

impl Query {
    /// Reads the parameters of a URL. Names that nobody knows are ignored: providers add flags of their own.
    pub(super) fn from_url(parameters: &[(String, String)], kind: Kind) -> Result<Self, ScimError> {
        let get = |wanted: &str| {
            parameters
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
        };
        Self::new(
            kind,
            get("filter").filter(|filter| !filter.trim().is_empty()),
            get("startIndex").filter(|number| !number.is_empty()),
            get("count").filter(|number| !number.is_empty()),
            projection(parameters, kind)?,
        )
    }

    /// Reads the body of `.search`.
    pub(super) fn from_body(body: &Value, kind: Kind) -> Result<Self, ScimError> {
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
        let projection = Projection::new(
            kind,
            names("attributes")?.into_iter(),
            names("excludedAttributes")?.into_iter(),
        )?;
        let (filter, start_index, count) = (text("filter")?, text("startIndex")?, text("count")?);
        Self::new(kind, filter.as_deref(), start_index.as_deref(), count.as_deref(), projection)
    }

    fn new(
        kind: Kind,
        filter: Option<&str>,
        start_index: Option<&str>,
        count: Option<&str>,
        projection: Projection,
    ) -> Result<Self, ScimError> {
        let filter = filter.map(|text| Filter::parse(text, kind)).transpose();
        Ok(Self {
            filter: filter.map_err(|error| ScimError::filter(&error))?,
            start_index: number("startIndex", start_index)?
                .map_or(1, |n| usize::try_from(n).unwrap_or(0).max(1)),
            count: number("count", count)?
                .map_or(limits::SCIM_PAGE, |n| usize::try_from(n).unwrap_or(0))
                .min(limits::SCIM_PAGE),
            projection,
        })
    }

    /// The answer.
    pub(super) fn run(&self, kind: Kind, namespace: &Namespace, base: &str) -> Value {
        let (total, page) = self.page(kind, namespace);
        let resources: Vec<Value> = page
            .iter()
            .filter_map(|id| resource(kind, namespace, id))
            .map(|resource| render(resource, base, &self.projection))
            .collect();
        json!({
            "schemas": [LIST],
            "totalResults": total,
            "itemsPerPage": resources.len(),
            "startIndex": self.start_index,
            "Resources": resources,
        })
    }

    /// How many match, and the ids of one page of them, in the order in which they were created.
    fn page(&self, kind: Kind, namespace: &Namespace) -> (usize, Vec<Id>) {
        let order = match kind {
            Kind::User => &namespace.user_order,
            Kind::Group => &namespace.group_order,
        };
        let Some(filter) = &self.filter else {
            let page = order.iter().skip(self.start_index - 1).take(self.count).cloned().collect();
            return (order.size(), page);
        };
        let matches =
            |id: &Id| resource(kind, namespace, id).is_some_and(|resource| filter.matches(resource));
        let mut total = 0;
        let mut page = Vec::new();
        let mut take = |id: &Id| {
            if matches(id) {
                total += 1;
                if total >= self.start_index && page.len() < self.count {
                    page.push(id.clone());
                }
            }
        };
        if let Some(mut candidates) = filter.candidates(kind, namespace) {
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
