//! What the RFCs ask for, request by request.

use super::*;

#[tokio::test]
async fn a_user_is_created_read_replaced_patched_and_deleted() {
    let server = Server::start().await;
    let created = server
        .acme
        .post(
            "/Users",
            &json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
                "id": "mine", "userName": "Alice", "externalId": "a-1", "password": "secret",
                "name": {"givenName": "Alice", "familyName": null},
                "emails": [{"value": "alice@acme.example", "type": "work", "primary": true}],
                "groups": [{"value": "stolen"}], "meta": {"created": "2000-01-01T00:00:00Z"},
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"}
            }),
        )
        .await
        .unwrap();
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.body["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "mine");
    assert_eq!(created.headers["content-type"], "application/scim+json");
    assert_eq!(created.headers["location"], created.body["meta"]["location"].as_str().unwrap());
    assert!(created.body["meta"]["location"].as_str().unwrap().ends_with(&format!("/scim/v2/Users/{id}")));
    assert_eq!(created.body["meta"]["created"], created.body["meta"]["lastModified"]);
    assert_eq!(created.body["meta"]["resourceType"], "User");
    assert_eq!(created.body["active"], true, "absent means true");
    assert_eq!(created.body["name"], json!({"givenName": "Alice"}));
    assert_eq!(created.body.get("password"), None);
    assert_eq!(created.body.get("groups"), None);
    assert_eq!(
        created.body["schemas"],
        json!([
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        ])
    );
    let path = format!("/Users/{id}");
    assert_eq!(server.acme.get(&path).await.unwrap().body, created.body);

    let replaced = server.acme.put(&path, &user("Alice2")).await.unwrap();
    assert_eq!((replaced.status, &replaced.body["userName"]), (200, &json!("Alice2")));
    assert_eq!(replaced.body.get("emails"), None, "a PUT clears what it leaves out");
    assert_eq!(replaced.body["externalId"], "a-1", "but not the link to the log-in");

    let patched = server
        .acme
        .patch(&path, &json!([{"op": "replace", "path": "name.givenName", "value": "Al"}]))
        .await
        .unwrap();
    assert_eq!((patched.status, &patched.body["name"]["givenName"]), (200, &json!("Al")));

    server.acme.delete_user(&id).await.unwrap();
    for answer in [
        server.acme.get(&path).await.unwrap(),
        server.acme.delete(&path).await.unwrap(),
        server.acme.put(&path, &user("x")).await.unwrap(),
        server.acme.patch(&path, &json!([{"op": "replace", "path": "active", "value": true}])).await.unwrap(),
    ] {
        assert_eq!((answer.status, &answer.body["status"]), (404, &json!("404")));
        assert_eq!(answer.headers["content-type"], "application/scim+json");
    }
    assert_eq!(
        server.acme.post("/Users", &user("alice2")).await.unwrap().status,
        201,
        "the name is free again"
    );
}

#[tokio::test]
async fn a_group_has_members_and_its_members_have_it() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let bob = server.acme.create_user("bob", "2").await.unwrap();
    let group = server.acme.create_group("team", &[&alice]).await.unwrap();
    let path = format!("/Groups/{group}");
    server.acme.add_member(&group, &bob).await.unwrap();
    let body = server.acme.get(&path).await.unwrap().body;
    assert_eq!(body["members"].as_array().unwrap().len(), 2);
    assert_eq!(body["members"][0]["display"], "alice");
    assert_eq!(body["members"][0]["type"], "User");
    let shown = server.acme.get(&format!("/Users/{bob}")).await.unwrap().body;
    assert_eq!(shown["groups"][0]["value"], group.as_str());
    assert_eq!(shown["groups"][0]["display"], "team");

    server.acme.remove_member(&group, &alice).await.unwrap();
    assert_eq!(server.members(&group), [bob.clone()]);
    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "team", "members": [{"value": alice, "display": "x"}]
    });
    assert_eq!(server.acme.put(&path, &put).await.unwrap().status, 200);
    assert_eq!(server.members(&group), [alice.clone()], "a PUT says who is in, and nobody else is");
    server.acme.delete_user(&alice).await.unwrap();
    assert_eq!(server.members(&group), Vec::<String>::new());
    server.acme.delete_group(&group).await.unwrap();
    assert_eq!(server.acme.get(&path).await.unwrap().status, 404);
}
