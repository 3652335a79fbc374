//! The grammar, the comparisons, and the filters that have to be refused.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::directory::{Group, Namespace, User};

/// Alice (of `team`) and her group.
fn world() -> Namespace {
    let mut namespace = Namespace::default();
    let attributes = json!({
        "name": {"givenName": "Alice", "familyName": "Smith"},
        "emails": [
            {"value": "alice@acme.example", "type": "work", "primary": true},
            {"value": "alice@home.example", "type": "home"}
        ],
        "roles": [{"value": "admin"}],
        "nickName": "",
        "custom": "Thing",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
            {"department": "People", "manager": {"value": "M-1"}},
        "urn:acme:1.0:Badge": {"color": "Red"}
    });
    namespace.insert_user(Arc::new(User {
        id: "u-1".into(),
        external_id: Some("Ext-1".into()),
        user_name: "Alice".into(),
        active: true,
        attributes: Arc::new(attributes.as_object().unwrap().clone()),
        created: datetime!(2026-01-31 08:00 UTC),
        last_modified: datetime!(2026-02-01 08:00 UTC),
        epoch: 1,
    }));
    namespace.insert_group(Arc::new(Group {
        id: "g-1".into(),
        external_id: None,
        display_name: "Team \"A\"".into(),
        members: rpds::HashTrieSetSync::new_sync().insert("u-1".into()),
        attributes: Arc::default(),
        created: datetime!(2026-01-31 08:00 UTC),
        last_modified: datetime!(2026-01-31 08:00 UTC),
    }));
    namespace
}

fn user_matches(text: &str) -> bool {
    let namespace = world();
    let filter = Filter::parse(text, Kind::User).unwrap_or_else(|error| panic!("{text}: {error}"));
    let user = namespace.users.get("u-1").unwrap();
    let matches = filter.matches(Resource::User(user, &namespace));
    if let Some(candidates) = filter.candidates(Kind::User, &namespace) {
        assert!(!matches || candidates.contains(&user.id), "the index has to know {text}");
    }
    matches
}

fn group_matches(text: &str) -> bool {
    let namespace = world();
    let filter = Filter::parse(text, Kind::Group).unwrap_or_else(|error| panic!("{text}: {error}"));
    let group = namespace.groups.get("g-1").unwrap();
    let matches = filter.matches(Resource::Group(group, &namespace));
    if let Some(candidates) = filter.candidates(Kind::Group, &namespace) {
        assert!(!matches || candidates.contains(&group.id), "the index has to know {text}");
    }
    matches
}

#[test]
fn what_matches_alice() {
    for text in [
        r#"userName eq "alice""#,
        r#"USERNAME EQ "ALICE""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "alice""#,
        r#"externalId eq "Ext-1""#,
        "externalId eq Ext-1",
        r#"id eq "u-1""#,
        r#"userName sw "al" and active eq true"#,
        r#"active eq "True""#,
        "active eq True",
        "not (active eq false)",
        r#"name.familyName co "MIT""#,
        r#"name.familyName ew "th""#,
        r#"emails.value eq "alice@home.example""#,
        r#"emails eq "alice@acme.example""#,
        r#"emails[type eq "work" and value ew "@acme.example"]"#,
        r#"emails[type eq "work"].value eq "alice@acme.example""#,
        r#"emails[not (type eq "work")]"#,
        "emails[primary eq true]",
        // Across two elements, when not within brackets.
        r#"emails.type eq "home" and emails.primary eq true"#,
        r#"roles.value eq "ADMIN""#,
        "roles pr",
        "emails.type pr",
        "not (nickName pr)",
        "not (title pr)",
        "title eq null",
        "userName ne null",
        r#"title ne "x""#,
        r#"userName ne "bob""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "people""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "M-1""#,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr",
        r#"urn:acme:1.0:Badge:color eq "red""#,
        r#"custom eq "thing""#,
        r#"meta.created eq "2026-01-31T09:00:00+01:00""#,
        r#"meta.lastModified gt "2026-01-31T08:00:00Z""#,
        r#"meta.lastModified ge "2026-02-01T08:00:00.000Z""#,
        r#"meta.resourceType eq "User""#,
        r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
        r#"groups.value eq "g-1""#,
        r#"groups.display eq "team \"a\"""#,
        r#"groups[display sw "team"]"#,
        r#"userName eq "bob" or userName eq "alice" and active eq true"#,
        r#"(userName eq "bob" or userName eq "alice") and (active eq true)"#,
        r#"userName eq "alice" and not(userName eq "bob")"#,
        r#"userName gt "aaa" and userName lt "b" and userName le "ALICE""#,
        r#"userName eq "\u0041lice""#,
        "\tuserName   eq\n\"alice\" ",
    ] {
        assert!(user_matches(text), "{text}");
    }
}

#[test]
fn what_does_not_match_alice() {
    for text in [
        r#"userName eq "alic""#,
        r#"externalId eq "ext-1""#,
        r#"id eq "U-1""#,
        "active eq false",
        r#"emails[type eq "home" and primary eq true]"#,
        r#"emails[type eq "work"].value eq "alice@home.example""#,
        "nickName pr",
        "title pr",
        r#"title eq "x""#,
        "userName eq null",
        "phoneNumbers pr",
        r#"phoneNumbers[type eq "work"]"#,
        r#"meta.created lt "2026-01-31T08:00:00Z""#,
        r#"groups.value eq "g-2""#,
        r#"schemas eq "urn:other""#,
        r#"unknown eq "x""#,
        "unknown pr",
        r#"userName.first eq "alice""#,
        r#"userName eq "bob" or userName eq "alice" and active eq false"#,
        r#"(userName eq "bob" or userName eq "alice") and active eq false"#,
        "custom gt 5",
    ] {
        assert!(!user_matches(text), "{text}");
    }
}

#[test]
fn groups_are_found_by_name_and_member() {
    assert!(group_matches(r#"displayName eq "team \"a\"""#));
    assert!(group_matches(r#"members eq "u-1""#));
    assert!(group_matches(r#"id eq "g-1" and members eq "u-1""#));
    assert!(group_matches(r#"members.value eq "u-1""#));
    assert!(group_matches(r#"members[value eq "u-1"]"#));
    assert!(group_matches(r#"members[value eq "u-1" and type eq "user"]"#));
    assert!(group_matches("members pr"));
    assert!(group_matches("not (externalId pr)"));
    assert!(!group_matches(r#"members eq "U-1""#));
    assert!(!group_matches(r#"members[value eq "u-2"]"#));
}

#[test]
fn filters_that_are_refused() {
    let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
    let very_deep = "not (".repeat(3000);
    let long = format!("userName eq \"{}\"", "x".repeat(20_000));
    for (text, problem) in [
        ("", "expected an attribute"),
        ("userName", "expected an operator"),
        ("userName eq", "expected a value"),
        (r#"userName like "x""#, "is no operator"),
        (r#"userName eq "x" and"#, "expected an attribute"),
        (r#"userName eq "x" userName"#, "expected the end"),
        (r#"userName eq "x"#, "no end"),
        (r#"userName eq "\x""#, "no JSON string"),
        (r#"userName eq "\ud800""#, "no JSON string"),
        ("(userName pr", "closing parenthesis"),
        ("userName pr)", "expected the end"),
        ("not userName pr", "no operator"),
        ("emails[type pr", "closing bracket"),
        ("emails[]", "expected an attribute"),
        ("userName[value pr]", "multi-valued"),
        ("emails.value[type pr]", "multi-valued"),
        ("emails[type[value pr]]", "expected an operator"),
        ("active gt true", "only eq and ne"),
        (r#"active co "t""#, "only eq and ne"),
        (r#"active eq "maybe""#, "is a boolean"),
        (r#"meta.created co "2026""#, "is an instant"),
        (r#"meta.created gt "yesterday""#, "no instant"),
        ("userName co null", "only eq and ne"),
        (r#"name eq "x""#, "sub-attributes"),
        (r#""userName" eq "x""#, "expected an attribute"),
        (r#"user/../Name eq "x""#, "is no attribute"),
        (r#"1userName eq "x""#, "is no attribute"),
        (r#"userName. eq "x""#, "is no attribute"),
        (r#"a.b.c eq "x""#, "is no attribute"),
        (r#"foo:bar eq "x""#, "is no attribute"),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User eq "x""#, "is no attribute"),
        (deep.as_str(), "nested deeper"),
        (very_deep.as_str(), "nested deeper"),
        (long.as_str(), "longer than"),
    ] {
        let error = Filter::parse(text, Kind::User).expect_err(text);
        assert!(error.problem.contains(problem), "{text:.60}: {error}");
    }
    assert_eq!(Filter::parse("é é", Kind::User).unwrap_err().at, 1);
    assert_eq!(Filter::parse(r#"userName eq "é" x"#, Kind::User).unwrap_err().at, 17);
}

#[test]
fn paths_of_patch() {
    let path = |text: &str| Path::parse(text, Kind::User).unwrap();
    assert_eq!(path("USERNAME").attribute.name, "userName");
    assert_eq!(path("name.GivenName").attribute.sub.as_deref(), Some("givenName"));
    let work = path(r#"emails[type eq "work"].value"#);
    assert_eq!((work.attribute.name.as_str(), work.attribute.sub.as_deref()), ("emails", Some("value")));
    assert!(work.filter.is_some());
    let manager = path("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager");
    assert_eq!(manager.attribute.name, "manager");
    assert!(manager.attribute.attribute.is_some());
    let whole = path("urn:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User");
    assert!(whole.attribute.name.is_empty());
    assert_eq!(
        whole.attribute.extension.unwrap().urn,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    );
    assert_eq!(path("members[value eq \"x\"]").attribute.attribute.map(|a| a.name), None, "not of users");
    for text in [
        "",
        "a b",
        "emails[",
        r#"emails[type eq "x"]]"#,
        r#"emails[type eq "x"].a.b"#,
        r#"emails[type eq "x"]value"#,
        "userName eq \"x\"",
        "\"x\"",
        "emails[type eq \"x\"].",
        "/userName",
    ] {
        assert!(Path::parse(text, Kind::User).is_err(), "{text}");
    }
}

proptest! {
    /// Nothing that a stranger writes ends the process or takes long.
    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,200}") {
        let _ = Filter::parse(&text, Kind::User);
        let _ = Path::parse(&text, Kind::Group);
    }

    /// The same, with text that is almost a filter.
    #[test]
    fn any_tokens_are_parsed_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "userName", "emails", "emails.value", "eq", "pr", "and", "or", "not", "(", ")", "[", "]", "\"x\"",
                "true", "null", "1.5e3", ".value", "urn:a:b:c", "meta.created", "co", "$ref", "\"", "\\",
            ]),
            0..40,
        )
    ) {
        let namespace = world();
        let text = words.join(" ");
        if let Ok(filter) = Filter::parse(&text, Kind::User) {
            let user = namespace.users.get("u-1").unwrap();
            let matches = filter.matches(Resource::User(user, &namespace));
            // An index never hides a match.
            if let Some(candidates) = filter.candidates(Kind::User, &namespace) {
                prop_assert!(!matches || candidates.contains(&user.id));
            }
        }
    }
}
