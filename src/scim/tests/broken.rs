//! Requests that have to be refused, with the status and `scimType` that say why. Never a 500.

use hyper::Method;

use super::*;
use crate::config::limits;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

#[tokio::test]
async fn bodies_of_post_and_put() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let nested = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let long = "x".repeat(limits::SCIM_NAME + 1);
    for (body, scim_type) in [
        ("", "invalidSyntax"),
        ("{", "invalidSyntax"),
        ("[]", "invalidSyntax"),
        ("null", "invalidSyntax"),
        ("\"x\"", "invalidSyntax"),
        ("{}", "invalidSyntax"),
        ("{\"userName\":\"x\"}", "invalidSyntax"),
        ("{\"schemas\":[],\"userName\":\"x\"}", "invalidSyntax"),
        ("{\"schemas\":\"U\",\"userName\":\"x\"}", "invalidSyntax"),
        ("{\"schemas\":[7],\"userName\":\"x\"}", "invalidSyntax"),
        (
            "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:Group\"],\"userName\":\"x\"}",
            "invalidSyntax",
        ),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"username\":\"y\"}", "invalidSyntax"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"userName\":\"y\"}", "invalidSyntax"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"x\":NESTED}", "invalidSyntax"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\"} trailing", "invalidSyntax"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"a\\u0000b\":1}", "invalidSyntax"),
        ("{\"schemas\":[\"U\"]}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":null}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"  \"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":7}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":[\"x\"]}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"a\\nb\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"a\\u0000\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"LONG\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"externalId\":7}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"externalId\":\"LONG\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"active\":\"yes\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"active\":1}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"name\":\"A\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"name\":{\"givenName\":{}}}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"emails\":\"a@x\"}", "invalidValue"),
        ("{\"schemas\":[\"U\"],\"userName\":\"x\",\"emails\":[\"a@x\"]}", "invalidValue"),
        (
            "{\"schemas\":[\"U\"],\"userName\":\"x\",\"emails\":[{\"value\":\"a\",\"primary\":true},{\"value\":\"b\",\"primary\":true}]}",
            "invalidValue",
        ),
        (
            "{\"schemas\":[\"U\"],\"userName\":\"x\",\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":7}",
            "invalidValue",
        ),
    ] {
        let body =
            body.replace("\"U\"", &format!("\"{USER}\"")).replace("LONG", &long).replace("NESTED", &nested);
        for (method, path) in [(Method::POST, "/Users".to_owned()), (Method::PUT, format!("/Users/{alice}"))]
        {
            let answer = server.acme.raw(method.clone(), &path, &[], body.clone()).await.unwrap();
            assert_eq!(
                (answer.status, answer.scim_type()),
                (400, Some(scim_type)),
                "{method} {body:.90}: {}",
                answer.body
            );
            assert_eq!(answer.body["status"], "400");
            assert_eq!(answer.headers["content-type"], "application/scim+json");
        }
    }
    let state = server.directory.snapshot();
    assert_eq!(state.namespace("acme").unwrap().users.size(), 1);
    let refused =
        server.acme.raw(Method::POST, "/Users", &[], &b"{\"schemas\":[\"\xff\"]}"[..]).await.unwrap();
    assert_eq!(refused.scim_type(), Some("invalidSyntax"));
}

#[tokio::test]
async fn groups_with_impossible_members() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let foreign = server.beta.create_user("mallory", "1").await.unwrap();
    for members in [
        json!("x"),
        json!([alice]),
        json!([{}]),
        json!([{"value": ""}]),
        json!([{"value": 7}]),
        json!([{"value": "nobody"}]),
        json!([{"value": foreign}]),
        json!([{"value": alice, "type": "Group"}]),
        json!([{"value": alice}, {"value": "../Users"}]),
    ] {
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "g", "members": members});
        let answer = server.acme.post("/Groups", &group).await.unwrap();
        assert_eq!((answer.status, answer.scim_type()), (400, Some("invalidValue")), "{group}");
        assert!(!answer.body.to_string().contains("mallory"));
    }
    assert_eq!(server.directory.snapshot().namespace("acme").unwrap().groups.size(), 0);
}

#[tokio::test]
async fn names_that_are_taken() {
    let server = Server::start().await;
    server.acme.create_user("alice", "1").await.unwrap();
    let bob = server.acme.create_user("bob", "2").await.unwrap();
    server.acme.create_group("Team", &[]).await.unwrap();
    let other = server.acme.create_group("other", &[]).await.unwrap();
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "TEAM"});
    let rename = json!([{"op": "replace", "path": "displayName", "value": "team"}]);
    for answer in [
        server.acme.post("/Users", &user("ALICE")).await.unwrap(),
        server.acme.put(&format!("/Users/{bob}"), &user("Alice")).await.unwrap(),
        server
            .acme
            .patch(&format!("/Users/{bob}"), &json!([{"op": "replace", "value": {"userName": "aLice"}}]))
            .await
            .unwrap(),
        server.acme.post("/Groups", &group).await.unwrap(),
        server.acme.put(&format!("/Groups/{other}"), &group).await.unwrap(),
        server.acme.patch(&format!("/Groups/{other}"), &rename).await.unwrap(),
    ] {
        assert_eq!((answer.status, answer.scim_type()), (409, Some("uniqueness")));
    }
}

#[tokio::test]
async fn who_may_ask() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let group = server.acme.create_group("team", &[&alice]).await.unwrap();
    let basic = ("authorization", "Basic YWNtZTphY21l");
    let lower = format!("bearer {ACME_TOKEN}");
    for (header, path) in [
        (("authorization", "Bearer wrong-token-000000000"), "/Users"),
        (("authorization", "Bearer "), "/Users"),
        (("authorization", "Bearer"), "/Users"),
        (("authorization", "acme-token-0123456789"), "/Users"),
        (("authorization", "Bearer acme-token-0123456789x"), "/Users"),
        (("authorization", "Bearer acme-token-012345678"), "/nowhere"),
        (basic, "/Users/.search"),
        (basic, "/Schemas"),
        (basic, "/Me"),
        (basic, "/Bulk"),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = server.acme.raw(method, path, &[header], "{}").await.unwrap();
            assert_eq!((answer.status, &answer.body["status"]), (401, &json!("401")), "{header:?}");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
            assert!(!answer.body["detail"].as_str().unwrap().is_empty());
        }
    }
    assert_eq!(
        server.acme.raw(Method::GET, "/Users", &[("authorization", &lower)], "").await.unwrap().status,
        200
    );
    let public = server.acme.raw(Method::GET, "/ServiceProviderConfig", &[basic], "").await.unwrap();
    assert_eq!(public.status, 200, "how to log in is no secret");

    // Another provider's token sees nothing of these, and may name nothing of them.
    let beta = &server.beta;
    assert_eq!(beta.get("/Users").await.unwrap().body["totalResults"], 0);
    for path in [format!("/Users/{alice}"), format!("/Groups/{group}")] {
        assert_eq!(beta.get(&path).await.unwrap().status, 404);
        assert_eq!(beta.delete(&path).await.unwrap().status, 404);
        let patch = beta
            .patch(&path, &json!([{"op": "replace", "path": "displayName", "value": "mine"}]))
            .await
            .unwrap();
        assert_eq!(patch.status, 404);
    }
    assert_eq!(
        beta.get(&format!("/Users?filter=id+eq+%22{alice}%22")).await.unwrap().body["totalResults"],
        0
    );
    assert_eq!(beta.create_user("alice", "1").await.map(|_| ()).ok(), Some(()), "names are theirs, too");
    assert_eq!(server.members(&group), [alice]);
}

#[tokio::test]
async fn paths_methods_and_headers() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    for (method, path, status) in [
        (Method::GET, "/nowhere".to_owned(), 404),
        (Method::GET, "/Users/nobody".into(), 404),
        (Method::GET, format!("/Groups/{alice}"), 404),
        (Method::GET, "/Users/../Users".into(), 404),
        (Method::GET, format!("/Users/{alice}/x"), 404),
        (Method::GET, format!("/Users/%2e%2e%2fUsers%2f{alice}"), 404),
        (Method::GET, "/Users/%ff".into(), 404),
        (Method::GET, "/Users/%zz".into(), 404),
        (Method::GET, "/users".into(), 404),
        (Method::POST, "/Bulk".into(), 404),
        (Method::GET, "/Me".into(), 501),
        (Method::POST, "/Me".into(), 405),
        (Method::DELETE, "/Users".into(), 405),
        (Method::PATCH, "/Groups".into(), 405),
        (Method::POST, format!("/Users/{alice}"), 405),
        (Method::GET, "/Users/.search".into(), 405),
        (Method::HEAD, "/Users".into(), 405),
        (Method::POST, "/ServiceProviderConfig".into(), 405),
        (Method::PUT, "/Schemas".into(), 405),
        (Method::DELETE, "/ResourceTypes".into(), 405),
        (Method::GET, "/Schemas/urn:unknown".into(), 404),
        (Method::GET, "/ResourceTypes/Device".into(), 404),
        (Method::GET, "/Schemas?filter=id+eq+%22x%22".into(), 403),
    ] {
        let answer = server.acme.raw(method.clone(), &path, &[], "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        if method != Method::HEAD {
            assert_eq!(answer.body["status"], status.to_string(), "{method} {path}");
            assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        }
        if status == 405 {
            assert!(answer.headers.contains_key("allow"));
        }
    }
    let body = user("bob").to_string();
    for (content_type, status) in [
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("application/json; charset=latin1", 415),
        ("application/json;charset=utf-8", 201),
    ] {
        let answer = server
            .acme
            .raw(Method::POST, "/Users", &[("content-type", content_type)], body.clone())
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{content_type}");
    }
    for host in ["evil\"quote", "a b", "host/path", ""] {
        let answer = server.acme.raw(Method::GET, "/Users", &[("host", host)], "").await.unwrap();
        assert_eq!(answer.status, 400, "{host}");
    }
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let server = Server::start().await;
    let mut large = user("large");
    large["title"] = json!("x".repeat(limits::SCIM_USER_BODY));
    let answer = server.acme.post("/Users", &large).await.unwrap();
    assert_eq!((answer.status, &answer.body["status"]), (413, &json!("413")));
    assert_eq!(server.acme.get("/Users").await.unwrap().body["totalResults"], 0);
}

#[tokio::test]
async fn queries_that_are_refused() {
    let server = Server::start().await;
    server.acme.create_user("alice", "1").await.unwrap();
    for (query, scim_type) in [
        ("filter=userName+eq", "invalidFilter"),
        ("filter=userName+like+%22x%22", "invalidFilter"),
        ("filter=active+gt+true", "invalidFilter"),
        ("filter=%22", "invalidFilter"),
        ("startIndex=one", "invalidValue"),
        ("count=1.5", "invalidValue"),
        ("count=99999999999999999999", "invalidValue"),
        ("attributes=userName&excludedAttributes=name", "invalidValue"),
        ("attributes=a%20b", "invalidValue"),
        ("attributes=emails%5Btype+pr%5D", "invalidValue"),
    ] {
        let answer = server.acme.get(&format!("/Users?{query}")).await.unwrap();
        assert_eq!((answer.status, answer.scim_type()), (400, Some(scim_type)), "{query}");
    }
    let search = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    for body in [
        json!([]),
        json!({}),
        json!({"schemas": [search], "filter": 7}),
        json!({"schemas": [search], "filter": {}}),
        json!({"schemas": [search], "count": "x"}),
        json!({"schemas": [search], "count": []}),
        json!({"schemas": [search], "attributes": [7]}),
    ] {
        assert_eq!(server.acme.post("/Users/.search", &body).await.unwrap().status, 400, "{body}");
    }
}
