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
    assert_eq!(body["members"][0]["type"], "User");
    let shown = server.acme.get(&format!("/Users/{bob}")).await.unwrap().body;
    assert_eq!(shown["groups"][0]["value"], group.as_str());
    assert_eq!(shown["groups"][0]["display"], "team");

    server.acme.remove_member(&group, &alice).await.unwrap();
    assert_eq!(server.members(&group), sorted([&bob]));
    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "team", "members": [{"value": alice, "display": "x"}]
    });
    assert_eq!(server.acme.put(&path, &put).await.unwrap().status, 200);
    assert_eq!(server.members(&group), sorted([&alice]), "a PUT says who is in, and nobody else is");
    server.acme.delete_user(&alice).await.unwrap();
    assert_eq!(server.members(&group), Vec::<String>::new());
    server.acme.delete_group(&group).await.unwrap();
    assert_eq!(server.acme.get(&path).await.unwrap().status, 404);
}

#[tokio::test]
async fn lists_are_paged_in_a_stable_order() {
    let server = Server::start().await;
    let mut created = Vec::new();
    for n in 0..7 {
        created.push(server.acme.create_user(&format!("user-{n}"), "same").await.unwrap());
    }
    let page = async |query: &str| server.acme.get(&format!("/Users?{query}")).await.unwrap().body;
    let ids = |body: &Value| -> Vec<String> {
        body["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = page("").await;
    assert_eq!(ids(&all), created, "in the order in which they were created");
    assert_eq!(
        (&all["totalResults"], &all["itemsPerPage"], &all["startIndex"]),
        (&json!(7), &json!(7), &json!(1))
    );
    for (query, expected, start) in [
        ("startIndex=1&count=3", &created[..3], 1),
        ("startIndex=4&count=3", &created[3..6], 4),
        ("startIndex=7&count=3", &created[6..], 7),
        ("startIndex=8&count=3", &[][..], 8),
        ("startIndex=0&count=2", &created[..2], 1),
        ("startIndex=-5&count=2", &created[..2], 1),
        ("count=0", &[][..], 1),
        ("count=-1", &[][..], 1),
        ("startIndex=2&count=2&filter=externalId+eq+%22same%22", &created[1..3], 2),
        ("startIndex=2&count=2&filter=userName+sw+%22USER%22", &created[1..3], 2),
    ] {
        let body = page(query).await;
        assert_eq!(ids(&body), expected, "{query}");
        assert_eq!((&body["totalResults"], &body["startIndex"]), (&json!(7), &json!(start)), "{query}");
        assert_eq!(body["itemsPerPage"], expected.len());
    }
    let search = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"user\"", "startIndex": "2", "count": 2, "attributes": ["userName"]
    });
    let found = server.acme.post("/Users/.search", &search).await.unwrap();
    assert_eq!((found.status, ids(&found.body)), (200, created[1..3].to_vec()));
    assert_eq!(found.body["Resources"][0].get("externalId"), None);

    // Users and groups together.
    let group = server.acme.create_group("group", &[]).await.unwrap();
    let root = async |query: &str| server.acme.get(&format!("/?{query}")).await.unwrap().body;
    let all = root("startIndex=7&count=5").await;
    assert_eq!((&all["totalResults"], ids(&all)), (&json!(8), vec![created[6].clone(), group.clone()]));
    let one = root("filter=displayName+eq+%22GROUP%22+or+userName+eq+%22user-3%22").await;
    assert_eq!(ids(&one), [created[3].clone(), group.clone()]);
    let found = server.acme.post("/.search", &search).await.unwrap().body;
    assert_eq!((&found["totalResults"], ids(&found)), (&json!(7), created[1..3].to_vec()));
}

#[tokio::test]
async fn answers_show_what_was_asked_for() {
    let server = Server::start().await;
    let mut alice = user("alice");
    alice["name"] = json!({"givenName": "A", "familyName": "B"});
    alice["emails"] = json!([{"value": "a@x", "type": "work"}, {"value": "b@x"}]);
    alice["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] =
        json!({"department": "D", "division": "E"});
    let id = server.acme.post("/Users", &alice).await.unwrap().body["id"].as_str().unwrap().to_owned();
    let get = async |query: &str| server.acme.get(&format!("/Users/{id}?{query}")).await.unwrap().body;
    let only = |mut body: Value| {
        body.as_object_mut().unwrap().remove("schemas");
        assert_eq!(body.as_object_mut().unwrap().remove("id"), Some(json!(id)));
        body
    };
    assert_eq!(only(get("attributes=USERNAME").await), json!({"userName": "alice"}));
    assert_eq!(
        only(get("attributes=name.givenName,name.familyName").await),
        json!({"name": {"givenName": "A", "familyName": "B"}})
    );
    assert_eq!(
        only(get("attributes=emails.value").await),
        json!({"emails": [{"value": "a@x"}, {"value": "b@x"}]})
    );
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    assert_eq!(
        only(get(&format!("attributes={enterprise}:department")).await),
        json!({enterprise: {"department": "D"}})
    );
    assert_eq!(
        only(get(&format!("attributes={enterprise}")).await),
        json!({enterprise: {"department": "D", "division": "E"}})
    );
    assert_eq!(only(get("attributes=password,unknown").await), json!({}));
    let body = get(&format!("excludedAttributes=id,schemas,emails.type,name,{enterprise}:division")).await;
    assert_eq!((&body["id"], &body["userName"]), (&json!(id), &json!("alice")));
    assert_eq!((body.get("name"), &body["emails"][0]), (None, &json!({"value": "a@x"})));
    assert_eq!(body[enterprise], json!({"department": "D"}));
}

#[tokio::test]
async fn discovery_says_what_is_there() {
    let server = Server::start().await;
    let config = server.acme.get("/ServiceProviderConfig").await.unwrap().body;
    assert_eq!((&config["patch"]["supported"], &config["bulk"]["supported"]), (&json!(true), &json!(false)));
    assert_eq!(config["filter"], json!({"supported": true, "maxResults": 500}));
    let types = server.acme.get("/ResourceTypes").await.unwrap().body;
    assert_eq!(types["totalResults"], 2);
    for kind in types["Resources"].as_array().unwrap() {
        let path = format!("/ResourceTypes/{}", kind["id"].as_str().unwrap());
        assert_eq!(&server.acme.get(&path).await.unwrap().body, kind);
        assert_eq!(server.acme.get(kind["endpoint"].as_str().unwrap()).await.unwrap().status, 200);
        let schema = kind["schema"].as_str().unwrap();
        assert_eq!(server.acme.get(&format!("/Schemas/{schema}")).await.unwrap().body["id"], schema);
    }
    let schemas = server.acme.get("/Schemas?count=1").await.unwrap().body;
    assert_eq!(schemas["totalResults"], 3, "paging does not apply here");
    let encoded =
        server.acme.get("/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AGroup").await.unwrap();
    assert_eq!(encoded.body["name"], "Group");
}

#[tokio::test]
async fn locations_follow_the_configuration_or_the_host() {
    let server = Server::start_with(Some("https://gate.example/")).await;
    let answer = server.acme.post("/Users", &user("alice")).await.unwrap();
    let location = answer.headers["location"].to_str().unwrap();
    assert!(location.starts_with("https://gate.example/scim/v2/Users/"), "{location}");
    let server = Server::start().await;
    let id = server.acme.create_user("alice", "1").await.unwrap();
    let path = format!("/Users/{id}");
    let answer =
        server.acme.raw(hyper::Method::GET, &path, &[("host", "gate.example:8480")], "").await.unwrap();
    assert_eq!(answer.body["meta"]["location"], format!("http://gate.example:8480/scim/v2{path}"));
}

#[tokio::test]
async fn every_write_is_on_record() {
    let server = Server::start().await;
    let alice = server.acme.create_user("alice", "1").await.unwrap();
    let group = server.acme.create_group("dba", &[&alice]).await.unwrap();
    server.acme.remove_member(&group, &alice).await.unwrap();
    server.acme.patch_active(&alice, false).await.unwrap();
    server.acme.post("/Users", &user("ALICE")).await.unwrap();
    server.acme.raw(hyper::Method::POST, "/Users", &[], "{").await.unwrap();
    server.acme.delete_user(&alice).await.unwrap();
    server.audit.flush().await;
    let text = std::fs::read_to_string(&server.audit_file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            (text("statement"), text("verdict"), text("reason"))
        })
        .collect();
    assert_eq!(
        said,
        [
            ("POST", "permitted", "created user \"alice\", externalId Some(\"1\"), active true"),
            ("POST", "permitted", "created group \"dba\", members 0 -> 1, joined: \"alice\""),
            ("PATCH", "permitted", "group \"dba\", members 1 -> 0, left: \"alice\""),
            ("PATCH", "permitted", "user \"alice\", active true -> false"),
            ("POST", "refused", "409 another user has this userName; case does not count"),
            ("POST", "refused", lines[5]["reason"].as_str().unwrap()),
            ("DELETE", "permitted", "deleted user \"alice\""),
        ]
    );
    assert_eq!(lines[2]["resources"], json!([format!("/Groups/{group}")]));
    assert_eq!(lines[0]["who"]["identity"], "acme");
    assert_eq!(lines[0]["event"], "scim");
    assert!(!text.contains(ACME_TOKEN));
    let short = TokenHash::of(ACME_TOKEN).short();
    assert_eq!(lines[0]["who"]["token_id"], short.as_str());
}

#[test]
fn configurations_that_are_refused() {
    let tokens = |identities: &[Identity]| token::Tokens::new(identities).map(drop);
    let mut bad = identity("acme", ACME_TOKEN);
    bad.scim_token_hashes.push("sha256:00".into());
    assert!(matches!(tokens(&[bad]), Err(ConfigError::Hash { .. })));
    let shared = [identity("acme", ACME_TOKEN), identity("beta", ACME_TOKEN)];
    assert!(matches!(tokens(&shared), Err(ConfigError::SharedToken { identity }) if identity == "beta"));
    let mut twice = identity("acme", ACME_TOKEN);
    twice.scim_token_hashes.push(TokenHash::of(BETA_TOKEN).to_string());
    assert!(tokens(&[twice]).is_ok(), "two tokens allow rotation");
}
