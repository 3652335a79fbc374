//! `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7644, 4): what is there, and nothing else.

use serde_json::{Value, json};

use crate::config::limits;
use crate::directory::schema::{
    Attribute, ENTERPRISE, GROUP, Kind, Mutability, Returned, Schema, Type, USER,
};

/// The schema of lists.
pub(super) const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// `/ServiceProviderConfig`.
pub(super) fn service_provider_config(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        // One client sends as many operations in a PATCH as it may send in a bulk request.
        "bulk": {"supported": false, "maxOperations": 1000, "maxPayloadSize": limits::SCIM_USER_BODY},
        "filter": {"supported": true, "maxResults": limits::SCIM_PAGE},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": false},
        "pagination": {
            "cursor": false,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": limits::SCIM_PAGE,
            "maxPageSize": limits::SCIM_PAGE,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of the identity provider, made with cqlgate scim-token",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// `/ResourceTypes`.
pub(super) fn resource_types(base: &str) -> Value {
    list(&[Kind::User, Kind::Group].map(|kind| resource_type(kind, base)))
}

/// `/ResourceTypes/{name}`.
pub(super) fn resource_type_named(name: &str, base: &str) -> Option<Value> {
    let kind = [Kind::User, Kind::Group].into_iter().find(|kind| kind.name() == name)?;
    Some(resource_type(kind, base))
}

fn resource_type(kind: Kind, base: &str) -> Value {
    let extensions: Vec<Value> =
        kind.extensions().iter().map(|schema| json!({"schema": schema.urn, "required": false})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.name(),
        "name": kind.name(),
        "endpoint": kind.endpoint(),
        "description": kind.core().about,
        "schema": kind.core().urn,
        "schemaExtensions": extensions,
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base}/ResourceTypes/{}", kind.name()),
        },
    })
}

/// `/Schemas`.
pub(super) fn schemas(base: &str) -> Value {
    list(&[&USER, &ENTERPRISE, &GROUP].map(|known| schema(known, base)))
}

/// `/Schemas/{urn}`.
pub(super) fn schema_named(urn: &str, base: &str) -> Option<Value> {
    let known = [&USER, &ENTERPRISE, &GROUP].into_iter().find(|known| known.urn.eq_ignore_ascii_case(urn))?;
    Some(schema(known, base))
}

fn schema(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.about,
        "attributes": schema.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.urn)},
    })
}

fn attribute(attribute: &Attribute) -> Value {
    let mut shown = json!({
        "name": attribute.name,
        "type": match attribute.kind {
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::DateTime => "dateTime",
            Type::Reference => "reference",
            Type::Binary => "binary",
            Type::Complex => "complex",
        },
        "multiValued": attribute.multi,
        "description": attribute.about,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": match attribute.mutability {
            Mutability::ReadOnly => "readOnly",
            Mutability::ReadWrite => "readWrite",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        },
        "returned": match attribute.returned {
            Returned::Always => "always",
            Returned::Never => "never",
            Returned::Default => "default",
        },
        "uniqueness": if attribute.unique { "server" } else { "none" },
    });
    if let Some(object) = shown.as_object_mut() {
        if !attribute.references.is_empty() {
            object.insert("referenceTypes".into(), json!(attribute.references));
        }
        if !attribute.canonical.is_empty() {
            object.insert("canonicalValues".into(), json!(attribute.canonical));
        }
        if !attribute.sub.is_empty() {
            let sub: Vec<Value> = attribute.sub.iter().map(self::attribute).collect();
            object.insert("subAttributes".into(), sub.into());
        }
    }
    shown
}

fn list(resources: &[Value]) -> Value {
    json!({
        "schemas": [LIST],
        "totalResults": resources.len(),
        "itemsPerPage": resources.len(),
        "startIndex": 1,
        "Resources": resources,
    })
}
