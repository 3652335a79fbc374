//! Requests as identity providers were seen to send them, with their membership semantics: what a removal
//! removes is never a matter of leniency.

use super::*;

/// Three users and a group of two of them.
async fn team(server: &Server) -> (String, [String; 3]) {
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let bob = server.acme.create_user("bob", "2").await.unwrap();
    let carol = server.acme.create_user("carol", "3").await.unwrap();
    let group = server.acme.create_group("team", &[&alice, &bob]).await.unwrap();
    (group, [alice, bob, carol])
}

#[tokio::test]
async fn entra_looks_up_creates_and_changes() {
    let server = Server::start().await;
    let probe = server
        .acme
        .get("/Users?aadOptscim062020&filter=userName%20eq%20%22c0ffee00-0000-4000-8000-000000000000%22")
        .await
        .unwrap();
    assert_eq!((probe.status, &probe.body["totalResults"]), (200, &json!(0)));
    assert_eq!(probe.body["Resources"], json!([]));

    let created = server
        .acme
        .post(
            "/Users",
            &json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
                "externalId": "jyoung", "userName": "Test_User", "active": "True",
                "emails": [{"primary": "true", "type": "work", "value": "t@acme.example"}],
                "meta": {"resourceType": "User"}, "name": {"formatted": "T U"}, "roles": []}),
        )
        .await
        .unwrap();
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(
        (&created.body["active"], &created.body["emails"][0]["primary"]),
        (&json!(true), &json!(true))
    );
    for filter in [
        "externalId+eq+jyoung",
        "userName%20eq%20%22TEST_user%22",
        "userName+EQ+%22test_user%22",
        "emails%5Btype+eq+%22work%22%5D.value+eq+%22t%40acme.example%22",
    ] {
        let found = server.acme.get(&format!("/Users?filter={filter}")).await.unwrap();
        assert_eq!(found.body["totalResults"], 1, "{filter}");
        assert_eq!(found.body["Resources"][0]["id"], created.body["id"]);
    }

    let group = server
        .acme
        .post(
            "/Groups",
            &json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
                "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
                "externalId": "8aa1a0c0", "displayName": "Team", "meta": {"resourceType": "Group"}}),
        )
        .await
        .unwrap();
    assert_eq!(
        (group.status, &group.body["schemas"]),
        (201, &json!(["urn:ietf:params:scim:schemas:core:2.0:Group"]))
    );
    let found =
        server.acme.get("/Groups?excludedAttributes=members&filter=displayName+eq+%22team%22").await.unwrap();
    assert_eq!(found.body["totalResults"], 1);
    assert_eq!(found.body["Resources"][0].get("members"), None);
}

#[tokio::test]
async fn a_removal_removes_who_is_listed_and_nobody_else() {
    for operation in [
        // Entra's default dialect.
        |id: &str| json!({"op": "Remove", "path": "members", "value": [{"$ref": null, "value": id}]}),
        // Entra with its flag, Okta.
        |id: &str| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")}),
        // One object instead of a list.
        |id: &str| json!({"op": "remove", "path": "members", "value": {"value": id}}),
        // Spelled in full.
        |id: &str| json!({"op": "remove", "path": format!("urn:ietf:params:scim:schemas:core:2.0:Group:members[value eq \"{id}\" and type eq \"User\"]")}),
    ] {
        let server = Server::start().await;
        let (group, [alice, bob, carol]) = team(&server).await;
        let path = format!("/Groups/{group}");
        let answer = server.acme.patch(&path, &json!([operation(&alice)])).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(server.members(&group), sorted([&bob]), "{}", operation(&alice));
        // Somebody who is no member: nothing happens, and nothing is called modified.
        let before = server.acme.get(&path).await.unwrap().body;
        let answer = server.acme.patch(&path, &json!([operation(&carol)])).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, before));
    }
}

#[tokio::test]
async fn members_are_emptied_only_by_who_says_so() {
    let server = Server::start().await;
    let (group, [alice, bob, carol]) = team(&server).await;
    let path = format!("/Groups/{group}");
    let patch = async |operation: Value| server.acme.patch(&path, &json!([operation])).await.unwrap();

    let unclear = patch(json!({"op": "remove", "path": "members", "value": []})).await;
    assert_eq!((unclear.status, unclear.scim_type()), (400, Some("invalidValue")));
    for refused in [
        json!({"op": "remove", "path": "members", "value": [{"display": "alice"}]}),
        json!({"op": "remove", "path": "members", "value": "x"}),
        json!({"op": "remove", "path": "members", "value": [alice]}),
        json!({"op": "add", "path": "members", "value": [{"value": "00000000-0000-4000-8000-000000000000"}]}),
        json!({"op": "add", "path": "members", "value": [{"value": carol, "type": "Group"}]}),
        json!({"op": "add", "path": "members", "value": [{"value": group}]}),
        json!({"op": "add", "path": "members"}),
        json!({"op": "replace", "path": format!("members[value eq \"{alice}\"].value"), "value": carol}),
        json!({"op": "replace", "path": format!("members[value eq \"{alice}\"]"), "value": {"value": carol}}),
        // Filters that we could not judge: better a refusal than a removal that does not happen.
        json!({"op": "remove", "path": "members[display eq \"alice\"]"}),
        json!({"op": "remove", "path": "members[$ref co \"Users\"]"}),
    ] {
        let answer = patch(refused.clone()).await;
        assert_eq!(answer.status, 400, "{refused}");
        assert_eq!(server.members(&group), sorted([&alice, &bob]), "{refused}");
    }

    patch(json!({"op": "replace", "path": "members", "value": [{"value": carol}, {"value": carol}]})).await;
    assert_eq!(server.members(&group), sorted([&carol]));
    patch(json!({"op": "add", "path": "members", "value": [{"value": alice, "display": "x@y"}]})).await;
    assert_eq!(server.members(&group), sorted([&alice, &carol]));
    patch(json!({"op": "remove", "path": "members"})).await;
    assert_eq!(server.members(&group), Vec::<String>::new());
    patch(
        json!({"op": "replace", "value": {"id": group, "displayName": "team2", "members": [{"value": bob}]}}),
    )
    .await;
    assert_eq!(server.members(&group), sorted([&bob]));
    patch(json!({"op": "replace", "value": {"members": [], "id": group, "displayName": "team2"}})).await;
    assert_eq!(server.members(&group), Vec::<String>::new());
    patch(json!({"op": "add", "value": {"members": [{"value": bob}]}})).await;
    patch(json!({"op": "replace", "path": "members", "value": []})).await;
    assert_eq!(server.members(&group), Vec::<String>::new());
}

#[tokio::test]
async fn several_operations_of_one_request_hold_together() {
    let server = Server::start().await;
    let (group, [alice, bob, carol]) = team(&server).await;
    let path = format!("/Groups/{group}");
    // Okta: out and in, in one request.
    let swap = json!([
        {"op": "remove", "path": format!("members[value eq \"{alice}\"]")},
        {"op": "add", "path": "members", "value": [{"value": carol, "display": "carol"}]}
    ]);
    server.acme.patch(&path, &swap).await.unwrap().success().unwrap();
    assert_eq!(server.members(&group), sorted([&bob, &carol]));
    // authentik: an operation a member.
    let each = json!([
        {"op": "add", "path": "members", "value": [{"value": alice}]},
        {"op": "add", "path": "members", "value": [{"value": bob}]}
    ]);
    server.acme.patch(&path, &each).await.unwrap().success().unwrap();
    assert_eq!(server.members(&group), sorted([&alice, &bob, &carol]));
    // One bad operation: none of them.
    let half = json!([
        {"op": "remove", "path": "members"},
        {"op": "add", "path": "members", "value": [{"value": "nobody"}]}
    ]);
    assert_eq!(server.acme.patch(&path, &half).await.unwrap().status, 400);
    assert_eq!(server.members(&group), sorted([&alice, &bob, &carol]));
    let half = json!([{"op": "remove", "path": "members"}, {"op": "replace", "path": "id", "value": "x"}]);
    assert_eq!(server.acme.patch(&path, &half).await.unwrap().scim_type(), Some("mutability"));
    assert_eq!(server.members(&group), sorted([&alice, &bob, &carol]));
}

#[tokio::test]
async fn a_put_of_what_was_read_changes_nothing() {
    let server = Server::start().await;
    let (group, [alice, ..]) = team(&server).await;
    for path in [format!("/Users/{alice}"), format!("/Groups/{group}")] {
        let mut read = server.acme.get(&path).await.unwrap().body;
        let seq = server.directory.snapshot().seq;
        let written = server.acme.put(&path, &read).await.unwrap();
        assert_eq!((written.status, &written.body), (200, &read), "also lastModified");
        assert_eq!(server.directory.snapshot().seq, seq);
        read["title"] = json!("x");
        let written = server.acme.put(&path, &read).await.unwrap().body;
        assert_ne!(written["meta"]["lastModified"], read["meta"]["lastModified"]);
    }
}

#[tokio::test]
async fn nobody_comes_back_by_an_omission() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let path = format!("/Users/{alice}");
    server.acme.patch_active(&alice, false).await.unwrap();
    let put = server.acme.put(&path, &user("alice")).await.unwrap();
    assert_eq!((put.status, &put.body["active"]), (200, &json!(false)));
    let mut full = user("alice");
    full["active"] = json!("true");
    assert_eq!(server.acme.put(&path, &full).await.unwrap().body["active"], true);
}

#[tokio::test]
async fn the_answer_to_a_patch_is_as_the_client_wants_it() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let path = format!("/Users/{alice}");
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "x"}]})
    .to_string();
    let minimal = server
        .acme
        .raw(
            hyper::Method::PATCH,
            &path,
            &[("content-type", "application/json"), ("prefer", "return=minimal")],
            body.clone(),
        )
        .await
        .unwrap();
    assert_eq!((minimal.status, minimal.body), (204, Value::Null));
    let asked = server
        .acme
        .raw(
            hyper::Method::PATCH,
            &format!("{path}?attributes=userName"),
            &[("prefer", "return=minimal")],
            body,
        )
        .await
        .unwrap();
    assert_eq!(asked.status, 200, "attributes were asked for");
    assert_eq!(asked.body, json!({"schemas": asked.body["schemas"], "id": alice, "userName": "alice"}));
}
