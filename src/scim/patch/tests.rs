//! PATCH on documents: the RFC's rules, and the dialects of identity providers.

use serde_json::json;

use super::*;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn alice() -> Value {
    json!({
        "userName": "alice",
        "active": true,
        "externalId": "x-1",
        "name": {"givenName": "Alice", "familyName": "Smith"},
        "emails": [
            {"value": "a@work.example", "type": "work", "primary": true},
            {"value": "a@home.example", "type": "home"}
        ],
        ENTERPRISE: {"department": "People"}
    })
}

fn patched(kind: Kind, before: &Value, operations: &Value) -> Result<Value, ScimError> {
    let body = json!({"schemas": [PATCH], "Operations": operations});
    let patch = Patch::parse(body, kind)?;
    let mut document = before.as_object().unwrap().clone();
    patch.apply(&mut Target { document: &mut document, members: None })?;
    Ok(Value::Object(document))
}

fn patch_alice(operations: &Value) -> Result<Value, ScimError> {
    patched(Kind::User, &alice(), operations)
}

/// Alice after one change: a JSON pointer and what is there then (`null`: nothing).
#[track_caller]
fn check(operations: &Value, pointer: &str, expected: &Value) {
    let after = patch_alice(operations).unwrap_or_else(|error| panic!("{operations}: {error}"));
    assert_eq!(after.pointer(pointer).unwrap_or(&Value::Null), expected, "{operations}");
}

#[test]
fn add_replace_and_remove_with_a_path() {
    check(&json!([{"op": "add", "path": "title", "value": "Dr"}]), "/title", &json!("Dr"));
    check(&json!([{"op": "replace", "path": "title", "value": "Dr"}]), "/title", &json!("Dr"));
    check(&json!([{"op": "replace", "path": "userName", "value": "al"}]), "/userName", &json!("al"));
    check(&json!([{"op": "remove", "path": "externalId"}]), "/externalId", &Value::Null);
    check(&json!([{"op": "remove", "path": "name.givenName"}]), "/name", &json!({"familyName": "Smith"}));
    check(&json!([{"op": "remove", "path": "name"}]), "/name", &Value::Null);
    check(
        &json!([{"op": "replace", "path": "name", "value": {"givenName": "Al"}}]),
        "/name",
        &json!({"givenName": "Al", "familyName": "Smith"}),
    );
    check(&json!([{"op": "add", "path": "name.middleName", "value": "B"}]), "/name/middleName", &json!("B"));
    check(&json!([{"op": "remove", "path": "emails"}]), "/emails", &Value::Null);
    check(
        &json!([{"op": "replace", "path": "emails", "value": [{"value": "n@x"}]}]),
        "/emails",
        &json!([{"value": "n@x"}]),
    );
    check(&json!([{"op": "replace", "path": "emails", "value": []}]), "/emails", &Value::Null);
    check(&json!([{"op": "remove", "path": "emails[type eq \"home\"]"}]), "/emails/1", &Value::Null);
    check(&json!([{"op": "remove", "path": "emails[type eq \"none\"]"}]), "/emails/1/type", &json!("home"));
    check(
        &json!([{"op": "replace", "path": "emails[type eq \"home\"].value", "value": "b@x"}]),
        "/emails/1/value",
        &json!("b@x"),
    );
    check(
        &json!([{"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "b@x"}}]),
        "/emails/1",
        &json!({"value": "b@x"}),
    );
    check(
        &json!([{"op": "add", "path": "emails", "value": [{"value": "c@x"}]}]),
        "/emails/2/value",
        &json!("c@x"),
    );
    check(
        &json!([{"op": "add", "path": "emails", "value": {"value": "c@x"}}]),
        "/emails/2/value",
        &json!("c@x"),
    );
}

#[test]
fn operations_see_what_those_before_them_did() {
    check(
        &json!([
            {"op": "remove", "path": "externalId"},
            {"op": "add", "path": "externalId", "value": "x-2"},
            {"op": "replace", "path": "externalId", "value": "x-3"}
        ]),
        "/externalId",
        &json!("x-3"),
    );
}

#[test]
fn what_is_there_already_is_not_added_again() {
    let same =
        json!([{"op": "add", "path": "emails", "value": [{"type": "home", "value": "a@home.example"}]}]);
    assert_eq!(patch_alice(&same).unwrap(), alice());
}

#[test]
fn a_new_primary_value_takes_the_place_of_the_old_one() {
    for operations in [
        json!([{"op": "add", "path": "emails", "value": [{"value": "n@x", "primary": true}]}]),
        json!([{"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true}]),
        json!([{"op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True"}]),
        json!([{"op": "add", "path": "emails[type eq \"other\"]", "value": {"value": "n@x", "primary": true}}]),
    ] {
        let after = patch_alice(&operations).unwrap();
        let emails = after["emails"].as_array().unwrap();
        assert_eq!(emails[0]["primary"], json!(false), "{operations}");
        assert_eq!(emails.iter().filter(|email| values::is_primary(email)).count(), 1, "{operations}");
    }
    let two = json!([{"op": "replace", "path": "emails.primary", "value": true}]);
    assert_eq!(patch_alice(&two).unwrap_err().scim_type, Some(ScimType::InvalidValue));
}

#[test]
fn dialects_of_entra() {
    let manager = format!("/{ENTERPRISE}/manager/value");
    let path = |attribute: &str| format!("{ENTERPRISE}:{attribute}");
    check(&json!([{"op": "Replace", "path": "active", "value": "False"}]), "/active", &json!(false));
    check(&json!([{"op": "Add", "path": path("manager"), "value": "m-1"}]), &manager, &json!("m-1"));
    check(
        &json!([{"op": "Add", "path": path("manager"), "value": {"value": "m-1"}}]),
        &manager,
        &json!("m-1"),
    );
    check(
        &json!([{"op": "Add", "path": path("manager"), "value": "m-1"}, {"op": "Replace", "path": path("manager"), "value": ""}]),
        &manager,
        &Value::Null,
    );
    check(
        &json!([{"op": "Add", "path": path("manager"), "value": "m-1"}, {"op": "Remove", "path": path("manager")}]),
        &manager,
        &Value::Null,
    );
    check(
        &json!([{"op": "Remove", "path": "emails[type eq \"work\"].value", "value": "other@x"}]),
        "/emails/0",
        &json!({"type": "work", "primary": true}),
    );
    // All of them land in one new element.
    check(
        &json!([
            {"op": "Add", "path": "addresses[type eq \"Work\"].streetAddress", "value": "S"},
            {"op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "L"},
            {"op": "Replace", "path": "addresses[type eq \"work\"].country", "value": "Belize"}
        ]),
        "/addresses",
        &json!([{"type": "Work", "streetAddress": "S", "locality": "L", "country": "Belize"}]),
    );
    check(
        &json!([
            {"op": "Add", "path": "roles[primary eq \"True\"].display", "value": "D"},
            {"op": "Add", "path": "roles[primary eq \"True\"].value", "value": "V"}
        ]),
        "/roles",
        &json!([{"primary": true, "display": "D", "value": "V"}]),
    );
    // One operation without a path, keys with dots and URNs.
    let all = json!([{"op": "replace", "value": {
        "displayName": "B", "name.givenName": "K", path("employeeNumber"): "7", path("manager"): "m-2"
    }}]);
    check(&all, "/name/givenName", &json!("K"));
    check(&all, "/name/familyName", &json!("Smith"));
    check(&all, &format!("/{ENTERPRISE}/employeeNumber"), &json!("7"));
    check(&all, &manager, &json!("m-2"));
    check(&all, &format!("/{ENTERPRISE}/department"), &json!("People"));
}

#[test]
fn dialects_of_the_others() {
    // Okta: no path, the id inside.
    check(&json!([{"op": "replace", "value": {"id": "other", "active": false}}]), "/active", &json!(false));
    check(&json!([{"op": "replace", "value": {"id": "other", "active": false}}]), "/id", &Value::Null);
    // The client library of the Keycloak plugins: the object inside an array, with schemas.
    check(
        &json!([{"op": "replace", "value": [{"schemas": ["urn:x"], "displayName": "Bob B", "active": "false"}]}]),
        "/displayName",
        &json!("Bob B"),
    );
    // An extension as an object, by path and by key.
    let extension = json!({"department": "Sales", "costCenter": null});
    check(
        &json!([{"op": "add", "path": ENTERPRISE, "value": extension}]),
        &format!("/{ENTERPRISE}/department"),
        &json!("Sales"),
    );
    check(
        &json!([{"op": "replace", "value": {ENTERPRISE: extension}}]),
        &format!("/{ENTERPRISE}/department"),
        &json!("Sales"),
    );
    check(&json!([{"op": "remove", "path": ENTERPRISE}]), &format!("/{ENTERPRISE}"), &Value::Null);
    check(
        &json!([{"op": "remove", "path": format!("{ENTERPRISE}:department")}]),
        &format!("/{ENTERPRISE}"),
        &Value::Null,
    );
    // A list of what to remove removes that, not everything.
    check(
        &json!([{"op": "remove", "path": "emails", "value": [{"value": "a@home.example"}]}]),
        "/emails/0/type",
        &json!("work"),
    );
    check(
        &json!([{"op": "remove", "path": "emails", "value": [{"value": "a@home.example"}]}]),
        "/emails/1",
        &Value::Null,
    );
    // null and "" clear.
    check(&json!([{"op": "replace", "path": "externalId", "value": null}]), "/externalId", &Value::Null);
    check(
        &json!([{"op": "replace", "value": {"name": {"givenName": "", "familyName": null}}}]),
        "/name",
        &Value::Null,
    );
    check(
        &json!([{"op": "replace", "value": {"nickName": null, "custom": {"a": [null, 1]}}}]),
        "/custom",
        &json!({"a": [1]}),
    );
    // A password is accepted and discarded.
    check(&json!([{"op": "replace", "path": "password", "value": "secret"}]), "/password", &Value::Null);
    check(&json!([{"op": "replace", "value": {"password": "secret"}}]), "/password", &Value::Null);
    // An extension that only its provider knows.
    check(
        &json!([{"op": "add", "path": "urn:acme:1.0:Badge:color", "value": "red"}]),
        "/urn:acme:1.0:Badge",
        &json!({"color": "red"}),
    );
}

#[test]
fn what_is_refused_says_why() {
    use ScimType::{InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget, TooMany};
    let many = vec![json!({"op": "remove", "path": "title"}); limits::SCIM_OPERATIONS + 1];
    let values: Vec<Value> = (0..=limits::SCIM_VALUES).map(|n| json!({"value": n.to_string()})).collect();
    for (operations, expected) in [
        (json!([]), InvalidSyntax),
        (json!({}), InvalidSyntax),
        (json!(["x"]), InvalidSyntax),
        (json!([{}]), InvalidSyntax),
        (json!([{"op": "move", "path": "title"}]), InvalidSyntax),
        (json!([{"op": 1, "path": "title"}]), InvalidSyntax),
        (json!(many), TooMany),
        (json!([{"op": "remove"}]), NoTarget),
        (json!([{"op": "remove", "path": ""}]), NoTarget),
        (json!([{"op": "replace", "path": "emails[type eq \"other\"]", "value": {"value": "x"}}]), NoTarget),
        (json!([{"op": "replace", "path": "emails[type sw \"o\"].value", "value": "x"}]), NoTarget),
        (
            json!([{"op": "replace", "path": "emails[type eq \"x\" or type eq \"y\"].value", "value": "x"}]),
            NoTarget,
        ),
        (json!([{"op": "replace", "path": "emails[color eq \"x\"].value", "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "path": 7, "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "path": "unknown", "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "path": "name.unknown", "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "path": "userName.first", "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "path": "userName[value eq \"x\"]", "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "path": "emails[type eq", "value": "x"}]), InvalidPath),
        (json!([{"op": "replace", "value": {"unknown.x": "x"}}]), InvalidPath),
        (json!([{"op": "replace", "value": {"__proto__[x]": "x"}}]), InvalidPath),
        (json!([{"op": "replace", "path": "id", "value": "x"}]), Mutability),
        (json!([{"op": "replace", "path": "meta.created", "value": "x"}]), Mutability),
        (json!([{"op": "add", "path": "groups", "value": [{"value": "g"}]}]), Mutability),
        (json!([{"op": "add", "path": "schemas", "value": ["urn:x"]}]), Mutability),
        (json!([{"op": "remove", "path": "userName"}]), Mutability),
        (
            json!([{"op": "add", "path": format!("{ENTERPRISE}:manager.displayName"), "value": "x"}]),
            Mutability,
        ),
        (json!([{"op": "replace", "path": "userName", "value": null}]), InvalidValue),
        (json!([{"op": "replace", "path": "userName", "value": ""}]), InvalidValue),
        (json!([{"op": "replace", "path": "userName", "value": 7}]), InvalidValue),
        (json!([{"op": "replace", "path": "userName", "value": ["x"]}]), InvalidValue),
        (json!([{"op": "replace", "path": "userName"}]), InvalidValue),
        (json!([{"op": "replace", "path": "active", "value": "maybe"}]), InvalidValue),
        (json!([{"op": "replace", "path": "active", "value": 0}]), InvalidValue),
        (json!([{"op": "replace", "path": "active", "value": null}]), InvalidValue),
        (json!([{"op": "replace", "path": "active", "value": ""}]), InvalidValue),
        (json!([{"op": "remove", "path": "active"}]), InvalidValue),
        (json!([{"op": "replace", "path": "name", "value": "Alice"}]), InvalidValue),
        (json!([{"op": "replace", "path": "emails", "value": "a@x"}]), InvalidValue),
        (json!([{"op": "replace", "path": "emails", "value": ["a@x"]}]), InvalidValue),
        (
            json!([{"op": "add", "path": "emails", "value": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}]),
            InvalidValue,
        ),
        (
            json!([{"op": "add", "path": "x509Certificates", "value": [{"value": "not base64!"}]}]),
            InvalidValue,
        ),
        (json!([{"op": "replace", "path": ENTERPRISE, "value": "x"}]), InvalidValue),
        (json!([{"op": "replace", "value": "x"}]), InvalidValue),
        (json!([{"op": "replace"}]), InvalidValue),
        (json!([{"op": "replace", "value": [{}, {}]}]), InvalidValue),
        (json!([{"op": "add", "path": "emails", "value": values}]), TooMany),
    ] {
        let refused = patch_alice(&operations);
        let error = refused.expect_err(&operations.to_string().chars().take(120).collect::<String>());
        assert_eq!(error.scim_type, Some(expected), "{error} {:.120}", operations.to_string());
    }
    for body in [
        json!({"Operations": [{"op": "remove", "path": "title"}]}),
        json!([]),
        json!({"schemas": [PATCH]}),
        json!({"schemas": ["urn:x"], "Operations": []}),
    ] {
        assert_eq!(Patch::parse(body, Kind::User).unwrap_err().scim_type, Some(InvalidSyntax));
    }
}
