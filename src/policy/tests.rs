//! What the grant language promises, one promise a test.

use std::borrow::Cow;
use std::sync::Arc;

use cqlgate_protocol::cql::{Need, Permission, Resource};
use time::OffsetDateTime;

use super::files::PolicyFile;
use super::parser::World;
use super::*;
use crate::config::diagnostic::Diagnostic;
use crate::config::model::Mode;
use crate::directory::State;
use crate::directory::state::{Group, Namespace, PinKind, PinName, User};
use crate::principal::{Person, Principal, Service};

fn set_in(mode: Mode, text: &str) -> PolicySet {
    let world = World {
        identities: vec!["acme".into(), "beta".into()],
        services: vec![("acme".into(), "loader".into())],
    };
    let source = PolicySource { base: ".".into(), patterns: Vec::new(), mode, world };
    let file = PolicyFile { name: "p.cql".into(), text: text.to_owned(), modified: None };
    PolicySet::compile(&source, &[file], 7).unwrap_or_else(|f| panic!("{f:#?}"))
}

fn set(text: &str) -> PolicySet {
    set_in(Mode::Enforce, text)
}

fn user(id: &str, name: &str, active: bool) -> Arc<User> {
    Arc::new(User {
        id: id.into(),
        external_id: None,
        user_name: name.into(),
        active,
        attributes: Arc::default(),
        created: OffsetDateTime::UNIX_EPOCH,
        last_modified: OffsetDateTime::UNIX_EPOCH,
        epoch: 0,
    })
}

fn group(id: &str, name: &str, members: &[&str]) -> Arc<Group> {
    Arc::new(Group {
        id: id.into(),
        external_id: None,
        display_name: name.into(),
        members: members.iter().map(|m| Arc::from(*m)).collect(),
        attributes: Arc::default(),
        created: OffsetDateTime::UNIX_EPOCH,
        last_modified: OffsetDateTime::UNIX_EPOCH,
    })
}

/// Alice (u1) in "team" (g1), Bob (u2) inactive, in the same; names pinned to them.
fn directory() -> State {
    let mut space = Namespace::default();
    space.insert_user(user("u1", "alice", true));
    space.insert_user(user("u2", "bob", false));
    space.insert_group(group("g1", "team", &["u1", "u2"]));
    let mut state = State::default();
    state.namespaces.insert_mut("acme".into(), space);
    for (kind, name, id) in
        [(PinKind::User, "alice", "u1"), (PinKind::User, "bob", "u2"), (PinKind::Group, "team", "g1")]
    {
        pin(&mut state, kind, name, id);
    }
    state
}

fn pin(state: &mut State, kind: PinKind, name: &str, id: &str) {
    state.pins.insert_mut(PinName { identity: "acme".into(), kind, name: name.into() }, id.into());
}

fn change(state: &mut State, change: impl FnOnce(&mut Namespace)) {
    let mut space = state.namespace("acme").unwrap().clone();
    change(&mut space);
    state.namespaces.insert_mut("acme".into(), space);
}

fn person(id: &str) -> Principal {
    Principal::Person(Person { identity: "acme".into(), id: id.into(), user_name: "whoever".into() })
}

fn need(permission: Permission, resource: &'static str) -> Need<'static> {
    let resource = match resource.split_once('.') {
        _ if resource.is_empty() => Resource::AllKeyspaces,
        None => Resource::Keyspace(Cow::Borrowed(resource)),
        Some((k, "*")) => Resource::AllTables(Cow::Borrowed(k)),
        Some((k, t)) => Resource::Table { keyspace: Cow::Borrowed(k), table: Cow::Borrowed(t) },
    };
    Need::new(permission, resource, "a test")
}

fn may(grants: &Grants, permission: Permission, resource: &'static str) -> bool {
    matches!(decide(grants, &[need(permission, resource)]), Decision::Permitted(_))
}

/// Alice's rights on the test's directory.
fn alice(text: &str) -> Grants {
    set(text).grants_for(&person("u1"), &directory())
}

use Permission::{Alter, Authorize, Create, Describe, Drop, Execute, Modify, Select, SelectMasked, Unmask};

#[test]
fn what_no_grant_reaches_is_refused() {
    let grants = alice("GRANT SELECT ON TABLE k.t TO USER \"alice\" OF \"acme\";");
    assert!(may(&grants, Select, "k.t"));
    for (permission, resource) in
        [(Modify, "k.t"), (Select, "k.u"), (Select, "l.t"), (Select, "k"), (Select, "k.*"), (Select, "")]
    {
        assert!(!may(&grants, permission, resource), "{permission} {resource}");
    }
    assert!(!may(&alice(""), Select, "k.t"));
    assert!(matches!(decide(&alice(""), &[]), Decision::Permitted(permit) if permit.rule().is_none()));
}

#[test]
fn a_grant_holds_for_what_its_resource_contains() {
    let of = |resource: &str| alice(&format!("GRANT ALL ON {resource} TO GROUP \"team\" OF \"acme\";"));
    let table = of("k.t");
    assert!(may(&table, Drop, "k.t") && !may(&table, Drop, "k.*") && !may(&table, Drop, "k"));
    let tables = of("ALL TABLES IN KEYSPACE k");
    assert!(may(&tables, Select, "k.t") && may(&tables, Create, "k.*") && !may(&tables, Drop, "k"));
    let keyspace = of("KEYSPACE k");
    assert!(may(&keyspace, Select, "k.t") && may(&keyspace, Drop, "k") && !may(&keyspace, Create, ""));
    let all = of("ALL KEYSPACES");
    assert!(may(&all, Select, "k.t") && may(&all, Create, "") && may(&all, Drop, "x"));
    let pattern = of("KEYSPACE \"k*\"");
    assert!(may(&pattern, Select, "k1.t") && may(&pattern, Drop, "k1") && !may(&pattern, Drop, "l"));
    let pattern = of("TABLE k.\"t*\"");
    assert!(may(&pattern, Select, "k.t1") && !may(&pattern, Select, "k.u"));
}

#[test]
fn a_deny_beats_every_grant_in_any_order() {
    let grant = "GRANT ALL ON ALL KEYSPACES TO USER \"alice\" OF \"acme\";";
    let deny = "DENY MODIFY ON TABLE k.t TO GROUP \"team\" OF \"acme\";";
    for text in [format!("{grant}{deny}"), format!("{deny}{grant}")] {
        let grants = alice(&text);
        assert!(!may(&grants, Modify, "k.t") && may(&grants, Select, "k.t") && may(&grants, Modify, "k.u"));
    }
}

#[test]
fn a_deny_of_drop_holds_for_what_contains_its_resource() {
    let with =
        |deny: &str| alice(&format!("GRANT ALL ON ALL KEYSPACES TO EVERYONE; DENY {deny} TO EVERYONE;"));
    let table = with("DROP ON TABLE k.t");
    assert!(!may(&table, Drop, "k.t") && !may(&table, Drop, "k") && !may(&table, Drop, "k.*"));
    assert!(may(&table, Drop, "k.u") && may(&table, Drop, "l"));
    let tables = with("DROP ON ALL TABLES IN KEYSPACE k");
    assert!(!may(&tables, Drop, "k") && !may(&tables, Drop, "k.u") && may(&tables, Drop, "l.u"));
    let pattern = with("DROP ON TABLE \"k*\".\"*_log\"");
    assert!(!may(&pattern, Drop, "k1") && !may(&pattern, Drop, "k1.a_log") && may(&pattern, Drop, "k1.a"));
    // Only of DROP: a keyspace may be altered though one table of it may not.
    let alter = with("ALTER, SELECT ON TABLE k.t");
    assert!(may(&alter, Alter, "k") && may(&alter, Drop, "k") && !may(&alter, Alter, "k.t"));
}

#[test]
fn cassandras_own_keyspaces_are_granted_by_their_exact_names_and_denied_by_any() {
    let wide = alice(
        "GRANT ALL ON ALL KEYSPACES TO EVERYONE; GRANT ALL ON KEYSPACE \"*\" TO EVERYONE;
         GRANT ALL ON TABLE \"system*\".\"*\" TO EVERYONE; GRANT SELECT ON TABLE system_auth.\"*\" TO EVERYONE;",
    );
    for keyspace in
        ["system.t", "system_auth.roles", "system_views.t", "system_schema.t", "SYSTEM.t", "system"]
    {
        assert!(!may(&wide, Select, keyspace) && !may(&wide, Modify, keyspace), "{keyspace}");
    }
    assert!(may(&wide, Select, "systems.t"), "not one of Cassandra's");
    let exact =
        alice("GRANT SELECT ON KEYSPACE system_views TO EVERYONE; GRANT SELECT ON system.t TO EVERYONE;");
    assert!(may(&exact, Select, "system_views.t") && may(&exact, Select, "system.t"));
    assert!(!may(&exact, Select, "system.u"));
    let exact = "GRANT SELECT ON KEYSPACE system_views TO EVERYONE;";
    for deny in ["ALL KEYSPACES", "KEYSPACE \"sys*\"", "TABLE \"*\".\"*\""] {
        let grants = alice(&format!("{exact} DENY SELECT ON {deny} TO EVERYONE;"));
        assert!(!may(&grants, Select, "system_views.t"), "{deny}");
    }
}

fn may_on(grants: &Grants, permission: Permission, resource: Resource<'static>) -> bool {
    matches!(decide(grants, &[Need::new(permission, resource, "a test")]), Decision::Permitted(_))
}

fn function(keyspace: &'static str, name: &'static str, arguments: &'static str) -> Resource<'static> {
    Resource::Function { keyspace: keyspace.into(), name: name.into(), arguments: arguments.into() }
}

#[test]
fn functions_are_granted_by_signature_keyspace_or_all_also_in_cassandras_own_keyspaces() {
    let of = |on: &str| alice(&format!("GRANT ALL ON {on} TO EVERYONE;"));
    let one = of("FUNCTION k.f(varchar, frozen<list<int>>)");
    assert!(may_on(&one, Execute, function("k", "f", "text, list<int>")));
    for other in [
        function("k", "f", "text"),
        function("k", "f", ""),
        function("k", "g", "text, list<int>"),
        function("l", "f", "text, list<int>"),
        Resource::FunctionsIn("k".into()),
        Resource::AllFunctions,
        Resource::Keyspace("k".into()),
    ] {
        assert!(!may_on(&one, Drop, other.clone()), "{other}");
    }
    let keyspace = of("ALL FUNCTIONS IN KEYSPACE k");
    assert!(may_on(&keyspace, Execute, function("k", "g", "int")));
    assert!(may_on(&keyspace, Create, Resource::FunctionsIn("k".into())));
    assert!(!may_on(&keyspace, Execute, function("l", "g", "int")));
    let all = of("ALL FUNCTIONS");
    assert!(may_on(&all, Execute, function("system_auth", "g", "int")));
    assert!(may_on(&all, Create, Resource::FunctionsIn("x".into())));
    let pattern = of("FUNCTION \"k*\".\"to_*\"(int)");
    assert!(may_on(&pattern, Execute, function("k1", "to_x", "int")));
    assert!(!may_on(&pattern, Execute, function("k1", "to_x", "text")));
    // Data and functions have nothing to do with each other.
    assert!(!may_on(&of("ALL KEYSPACES"), Create, Resource::AllFunctions));
    assert!(!may_on(&all, Create, Resource::AllKeyspaces) && !may(&all, Alter, "k"));
}

#[test]
fn roles_and_mbeans_are_granted_by_name_or_all() {
    let of = |on: &str| alice(&format!("GRANT ALL ON {on} TO EVERYONE;"));
    let role = |name: &'static str| Resource::Role(name.into());
    let bean = |name: &'static str| Resource::Mbean(name.into());
    assert!(may_on(&of("ROLE R"), Describe, role("r")) && !may_on(&of("ROLE R"), Describe, role("R")));
    assert!(!may_on(&of("ROLE r"), Alter, Resource::AllRoles));
    assert!(
        may_on(&of("ROLE \"t_*\""), Alter, role("t_a")) && !may_on(&of("ROLE 't_*'"), Alter, role("t_a"))
    );
    assert!(may_on(&of("ROLE 't_*'"), Alter, role("t_*")));
    assert!(
        may_on(&of("ALL ROLES"), Alter, role("x")) && may_on(&of("ALL ROLES"), Create, Resource::AllRoles)
    );
    assert!(may_on(&of("MBEAN 'd:a=1'"), Authorize, bean("d:a=1")));
    // As in Cassandra, a GRANT on a pattern is a GRANT on that pattern; a DENY is on what it means.
    assert!(may_on(&of("MBEANS 'd:*'"), Authorize, bean("d:*")));
    assert!(!may_on(&of("MBEANS 'd:*'"), Authorize, bean("d:a=1")));
    assert!(may_on(&of("ALL MBEANS"), Authorize, bean("d:a=1")));
    let denied = alice("GRANT ALL ON ALL MBEANS TO EVERYONE; DENY ALL ON MBEANS 'd:a=1,*' TO EVERYONE;");
    assert!(!may_on(&denied, Authorize, bean("d:b=2,a=1")) && may_on(&denied, Authorize, bean("d:b=2")));
}

#[test]
fn a_deny_of_dropping_functions_holds_for_their_keyspace() {
    let with = |deny: &str| {
        alice(&format!(
            "GRANT ALL ON ALL KEYSPACES TO EVERYONE; GRANT ALL ON ALL FUNCTIONS TO EVERYONE;
             GRANT ALL ON ALL ROLES TO EVERYONE; DENY {deny} TO EVERYONE;"
        ))
    };
    let one = with("DROP ON FUNCTION k.f(int)");
    assert!(!may(&one, Drop, "k") && !may(&one, Drop, "") && may(&one, Drop, "l") && may(&one, Drop, "k.t"));
    assert!(!may_on(&one, Drop, function("k", "f", "int")) && may_on(&one, Drop, function("k", "f", "")));
    assert!(
        !may_on(&one, Drop, Resource::FunctionsIn("k".into())) && !may_on(&one, Drop, Resource::AllFunctions)
    );
    assert!(may_on(&one, Drop, Resource::FunctionsIn("l".into())) && may(&one, Alter, "k"));
    for deny in [
        "DROP ON ALL FUNCTIONS IN KEYSPACE \"k*\"",
        "DROP ON FUNCTION \"k*\".\"*\"()",
        "ALL ON ALL FUNCTIONS",
    ] {
        let grants = with(deny);
        assert!(!may(&grants, Drop, "k") && may(&grants, Drop, "k.t") && may(&grants, Alter, "k"), "{deny}");
    }
    let role = with("DROP ON ROLE r");
    assert!(!may_on(&role, Drop, Resource::Role("r".into())) && !may_on(&role, Drop, Resource::AllRoles));
    assert!(may_on(&role, Drop, Resource::Role("s".into())) && may(&role, Drop, "k"));
    // And a DENY on data does not reach functions.
    let data = with("DROP ON KEYSPACE k");
    assert!(may_on(&data, Drop, Resource::FunctionsIn("k".into())));
}

#[test]
fn where_either_permission_will_do_each_must_be_granted_and_not_denied_for_itself() {
    let grants =
        |rules: &str| alice(&format!("{} ON k.t TO EVERYONE;", rules.replace(',', " ON k.t TO EVERYONE;\n")));
    let either = Need { or: Some(Unmask), ..need(SelectMasked, "k.t") };
    let told = |rules: &str| match decide(&grants(rules), std::slice::from_ref(&either)) {
        Decision::Permitted(permit) => Ok(permit.rule().unwrap().0),
        Decision::Refused(denial) => Err(denial.rule.map(|rule| rule.0)),
        Decision::Observed(..) => panic!(),
    };
    for (rules, expected) in [
        ("GRANT SELECT_MASKED", Ok(0)),
        ("GRANT UNMASK", Ok(0)),
        ("GRANT SELECT_MASKED,DENY SELECT_MASKED,GRANT UNMASK", Ok(2)),
        ("GRANT SELECT_MASKED,DENY UNMASK", Ok(0)),
        ("GRANT SELECT_MASKED,DENY SELECT_MASKED", Err(Some(1))),
        ("GRANT UNMASK,DENY UNMASK", Err(Some(1))),
        ("GRANT ALL,DENY UNMASK,DENY SELECT_MASKED", Err(Some(2))),
        ("GRANT SELECT", Err(None)),
    ] {
        assert_eq!(told(rules), expected, "{rules}");
    }
    // Where it is only named, it is refused if nothing is left.
    let named = |rules: &str| {
        matches!(decide_naming(&grants(rules), &[], std::slice::from_ref(&either)), Decision::Permitted(_))
    };
    assert!(named("GRANT SELECT") && named("DENY UNMASK") && !named("DENY UNMASK,DENY SELECT_MASKED"));
}

#[test]
fn grantees_are_exactly_whom_they_name() {
    let text = "GRANT SELECT ON k.everyone TO EVERYONE; GRANT SELECT ON k.acme TO EVERYONE OF \"acme\";
        GRANT SELECT ON k.beta TO EVERYONE OF \"beta\"; GRANT SELECT ON k.alice TO USER \"alice\" OF \"acme\";
        GRANT SELECT ON k.other TO USER \"Alice\" OF \"acme\"; GRANT SELECT ON k.namesake TO USER \"alice\" OF \"beta\";
        GRANT SELECT ON k.team TO GROUP \"team\" OF \"acme\"; GRANT SELECT ON k.loader TO SERVICE \"loader\" OF \"acme\";";
    let policy = set(text);
    let service = |identity: &str, name: &str| {
        Principal::Service(Service { identity: identity.into(), name: name.into() })
    };
    let nobody =
        Principal::Person(Person { identity: "gamma".into(), id: "u1".into(), user_name: "alice".into() });
    for (who, tables) in [
        (person("u1"), &["everyone", "acme", "alice", "team"][..]),
        (person("u2"), &[]), // not active
        (person("u9"), &[]), // deleted
        (service("acme", "loader"), &["everyone", "acme", "loader"]),
        (service("acme", "alice"), &["everyone", "acme"]),
        (service("beta", "loader"), &["everyone", "beta"]),
        (nobody, &[]), // not of the cluster's identities
    ] {
        let grants = policy.grants_for(&who, &directory());
        for table in
            ["k.everyone", "k.acme", "k.beta", "k.alice", "k.other", "k.namesake", "k.team", "k.loader"]
        {
            assert_eq!(
                may(&grants, Select, table),
                tables.contains(&table.trim_start_matches("k.")),
                "{who} {table}"
            );
        }
    }
}

#[test]
fn a_name_that_somebody_else_takes_grants_nothing_and_denies_both() {
    let text = "GRANT ALL ON KEYSPACE a TO USER \"alice\" OF \"acme\"; GRANT ALL ON KEYSPACE b TO GROUP \"team\" OF \"acme\";
        GRANT ALL ON KEYSPACE c TO EVERYONE; DENY ALL ON c.u TO USER \"alice\" OF \"acme\";
        DENY ALL ON c.g TO GROUP \"team\" OF \"acme\";";
    let policy = set(text);
    let mut state = directory();
    // Alice and her group get other names; a newcomer and a new group take the old ones.
    change(&mut state, |space| {
        space.insert_user(user("u1", "alice2", true));
        space.insert_user(user("u3", "alice", true));
        space.insert_group(group("g1", "team2", &["u1"]));
        space.insert_group(group("g3", "team", &["u3"]));
    });
    for who in ["u1", "u3"] {
        let grants = policy.grants_for(&person(who), &state);
        assert!(
            !may(&grants, Select, "a.t") && !may(&grants, Select, "b.t") && may(&grants, Select, "c.t"),
            "{who}"
        );
        assert!(!may(&grants, Select, "c.u") && !may(&grants, Select, "c.g"), "{who}");
    }
    // A name that is not pinned yet grants nothing, and denies at once.
    state = directory();
    state.pins = rpds::HashTrieMapSync::default();
    let grants = policy.grants_for(&person("u1"), &state);
    assert!(!may(&grants, Select, "a.t") && !may(&grants, Select, "b.t") && !may(&grants, Select, "c.u"));
}

#[test]
fn the_first_need_that_fails_is_told_in_cassandras_words() {
    let grants =
        alice("GRANT ALL ON KEYSPACE k TO EVERYONE;\nDENY SELECT ON k.v TO GROUP \"team\" OF \"acme\";");
    let needs = [need(Select, "k.t"), need(Modify, "l.t"), need(Select, "k.v")];
    let Decision::Refused(denial) = decide(&grants, &needs) else { panic!() };
    assert_eq!(denial, Denial { need: 1, rule: None });
    assert_eq!(
        denial.message("alice", &needs),
        "User alice has no MODIFY permission on <table l.t> or any of its parents"
    );
    // A view is read by its base, but a DENY on the view stands.
    let (needs, named) = ([need(Select, "k.t")], [need(Select, "l.v"), need(Select, "k.v")]);
    let Decision::Refused(denial) = decide_naming(&grants, &needs, &named) else { panic!() };
    assert_eq!(denial, Denial { need: 2, rule: Some(RuleId(1)) });
    assert_eq!(
        denial.message("alice", needs.iter().chain(&named)),
        "User alice has no SELECT permission on <table k.v> or any of its parents"
    );
    let why = grants.explain(RuleId(1)).unwrap();
    assert_eq!((&*why.file, why.line, why.group.as_deref()), ("p.cql", 2, Some("team")));
    assert_eq!(grants.explain(RuleId(0)).unwrap().group, None);
    assert_eq!(grants.explain(RuleId(2)), None);
    // A named resource needs no GRANT.
    assert!(matches!(
        decide_naming(&grants, &[need(Select, "k.t")], &[need(Select, "l.v")]),
        Decision::Permitted(_)
    ));
}

#[test]
fn a_permit_names_its_rule_and_grants_their_groups() {
    let grants = alice(
        "GRANT SELECT ON KEYSPACE k TO EVERYONE; GRANT SELECT ON k.t TO GROUP \"team\" OF \"acme\";
         GRANT ALL ON x.y TO GROUP \"other\" OF \"acme\";",
    );
    let Decision::Permitted(permit) = decide(&grants, &[need(Select, "k.t")]) else { panic!() };
    assert_eq!(permit.rule(), Some(RuleId(1)), "the rule closest to the table");
    assert!(!permit.is_observed());
    assert_eq!(grants.groups(), [Arc::from("team")]);
    assert_eq!(grants.generation(), 7);
}

#[test]
fn observing_forwards_what_policy_refuses_but_not_who_is_nobody() {
    let policy = set_in(Mode::Observe, "DENY SELECT ON k.t TO EVERYONE;");
    let grants = policy.grants_for(&person("u1"), &directory());
    let Decision::Observed(permit, denial) = decide(&grants, &[need(Select, "k.t")]) else { panic!() };
    assert_eq!((permit.rule(), denial.rule), (Some(RuleId(0)), Some(RuleId(0))));
    assert!(permit.is_observed(), "what is forwarded is recorded as what policy would refuse");
    for who in ["u2", "u9"] {
        let grants = policy.grants_for(&person(who), &directory());
        assert!(matches!(decide(&grants, &[need(Select, "k.t")]), Decision::Refused(_)), "{who}");
    }
}

#[test]
fn a_keyspace_is_reached_by_what_is_granted_in_it_and_not_denied() {
    for (rules, reached) in [
        ("GRANT SELECT ON ALL KEYSPACES", true),
        ("GRANT DROP ON KEYSPACE k", true),
        ("GRANT SELECT ON KEYSPACE l", false),
        ("GRANT SELECT ON KEYSPACE k, DENY SELECT ON ALL KEYSPACES", false),
        ("GRANT SELECT ON ALL TABLES IN KEYSPACE k", true),
        ("GRANT EXECUTE ON ALL FUNCTIONS IN KEYSPACE k", true),
        ("GRANT SELECT ON k.t", true),
        ("GRANT SELECT ON l.t", false),
        ("GRANT SELECT ON k.t, DENY SELECT ON k.t", false),
        ("GRANT SELECT ON k.t, DENY SELECT ON k.u", true),
        ("GRANT SELECT ON k.t, GRANT MODIFY ON k.t, DENY SELECT ON k.t", true),
        // What a pattern means is not known here: only a DENY on all of it takes it away.
        ("GRANT SELECT ON \"k*\".\"t*\"", true),
        ("GRANT SELECT ON k.\"t*\", DENY SELECT ON k.t", true),
        ("GRANT SELECT ON k.\"t*\", DENY SELECT ON KEYSPACE k", false),
        ("GRANT EXECUTE ON FUNCTION k.f(int)", true),
        ("GRANT EXECUTE ON FUNCTION k.f(int), DENY EXECUTE ON FUNCTION k.f(text)", true),
        ("GRANT EXECUTE ON FUNCTION k.f(int), DENY EXECUTE ON FUNCTION k.\"*\"(int)", false),
        ("GRANT EXECUTE ON FUNCTION k.\"f*\"()", true),
        ("GRANT EXECUTE ON FUNCTION k.\"f*\"(), DENY EXECUTE ON ALL FUNCTIONS", false),
        ("GRANT ALTER ON ROLE k", false),
    ] {
        let text = format!("{} TO EVERYONE;", rules.replace(", ", " TO EVERYONE; "));
        assert_eq!(alice(&text).reaches_keyspace("k"), reached, "{rules}");
    }
    let grants = alice("DENY ALL ON ALL KEYSPACES TO EVERYONE;");
    assert!(!grants.reaches_keyspace("k") && !alice("").reaches_keyspace("k"));
    assert!(grants.reaches_keyspace("system_schema"), "Cassandra's own keyspaces are no secret");
}

#[test]
fn the_names_to_pin_are_each_user_and_group_once() {
    let policy = set("GRANT ALL ON k.t TO GROUP \"b\" OF \"acme\"; DENY ALL ON k.t TO GROUP \"b\" OF \"acme\";
         GRANT ALL ON k.t TO USER \"b\" OF \"beta\"; GRANT ALL ON k.t TO SERVICE \"loader\" OF \"acme\"; GRANT ALL ON k.t TO EVERYONE;");
    let pin =
        |identity: &str, kind, name: &str| PinName { identity: identity.into(), kind, name: name.into() };
    assert_eq!(policy.pin_names(), [pin("acme", PinKind::Group, "b"), pin("beta", PinKind::User, "b")]);
}

fn texts(findings: &[Diagnostic]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn what_its_author_did_not_mean_is_a_warning() {
    let policy = set("GRANT SELECT, MODIFY ON k.t TO USER \"alice\" OF \"acme\";\n\
         DENY SELECT ON KEYSPACE k TO EVERYONE OF \"acme\";\n\
         DENY MODIFY ON TABLE \"*\".\"*\" TO EVERYONE;\n\
         GRANT SELECT ON KEYSPACE \"system*\" TO EVERYONE OF \"beta\";\n\
         GRANT SELECT, ALTER ON k.t TO USER \"alice\" OF \"acme\";\n\
         GRANT SELECT ON k.t TO EVERYONE OF \"beta\";\n\
         GRANT MODIFY, ALTER ON TABLE system_auth.roles TO EVERYONE OF \"beta\";\n\
         GRANT CREATE ON KEYSPACE system_views TO EVERYONE OF \"beta\";\n\
         GRANT ALL ON KEYSPACE system_auth TO EVERYONE OF \"beta\";\n\
         GRANT EXECUTE ON FUNCTION k.f(int) TO USER \"alice\" OF \"acme\";\n\
         DENY EXECUTE ON ALL FUNCTIONS IN KEYSPACE \"k*\" TO EVERYONE;\n\
         GRANT CREATE ON ALL FUNCTIONS IN KEYSPACE \"system*\" TO EVERYONE OF \"beta\";");
    assert_eq!(
        texts(policy.warnings()),
        [
            "p.cql:1:1: warning: nothing of this GRANT is left: DENY at p.cql:2 and p.cql:3 covers it; DENY wins, in any order; delete one of them",
            "p.cql:4:17: warning: a pattern grants nothing in Cassandra's own keyspaces; name the keyspace, or the table, exactly",
            "p.cql:7:1: warning: Cassandra lets nobody do this on TABLE \"system_auth\".\"roles\"; it takes SELECT",
            "p.cql:8:1: warning: Cassandra lets nobody do this on KEYSPACE \"system_views\"; it takes SELECT, MODIFY, AUTHORIZE, UNMASK, SELECT_MASKED",
            "p.cql:10:1: warning: nothing of this GRANT is left: DENY at p.cql:11 covers it; DENY wins, in any order; delete one of them",
        ]
    );
}

#[test]
fn a_grant_is_told_to_be_useless_only_where_a_deny_takes_all_of_it() {
    let (everyone, user) = ("EVERYONE", "USER \"alice\" OF \"acme\"");
    for (grant, deny, useless) in [
        (("FUNCTION k.f(int)", user), ("FUNCTION \"k*\".\"f*\"(int)", everyone), true),
        (("FUNCTION k.f(int)", user), ("FUNCTION k.f(text)", everyone), false),
        (("FUNCTION k.f(int)", user), ("FUNCTION k.g(int)", everyone), false),
        (("FUNCTION k.f(int)", user), ("FUNCTION l.f(int)", everyone), false),
        (("MBEAN 'd:a=1'", user), ("MBEAN 'd:a=1'", everyone), true),
        (("MBEAN 'd:a=1'", user), ("MBEAN 'd:a=2'", everyone), false),
        (("k.t", user), ("k.t", user), true),
        (("k.t", user), ("k.t", "USER \"bob\" OF \"acme\""), false),
        (("k.t", user), ("k.t", "GROUP \"alice\" OF \"acme\""), false),
        (("k.t", user), ("k.t", "EVERYONE OF \"acme\""), true),
        (("k.t", user), ("k.t", "EVERYONE OF \"beta\""), false),
        (("k.t", everyone), ("k.t", user), false),
    ] {
        let policy =
            set(&format!("GRANT ALL ON {} TO {};DENY ALL ON {} TO {};", grant.0, grant.1, deny.0, deny.1));
        let told = texts(policy.warnings());
        assert_eq!(
            told.iter().any(|t| t.contains("nothing of this GRANT is left")),
            useless,
            "{grant:?} {deny:?}"
        );
    }
}

#[test]
fn names_that_the_directory_lacks_or_has_pinned_elsewhere_are_warnings() {
    let policy = set(
        "GRANT ALL ON k.t TO GROUP \"nobody\" OF \"acme\";\nGRANT ALL ON k.t TO GROUP \"Team\" OF \"acme\";\n\
         GRANT ALL ON k.t TO USER \"alice\" OF \"acme\";\nGRANT ALL ON k.t TO USER \"gone\" OF \"acme\";\n\
         GRANT ALL ON k.t TO GROUP \"team\" OF \"acme\"; GRANT ALL ON k.t TO GROUP \"new\" OF \"acme\";",
    );
    let mut state = directory();
    pin(&mut state, PinKind::User, "gone", "u7");
    change(&mut state, |space| {
        space.insert_user(user("u1", "alice2", true));
        // It was pushed, and its name is about to be pinned.
        space.insert_group(group("g2", "new", &[]));
    });
    assert_eq!(
        texts(&policy.check_directory(&state)),
        [
            "p.cql:1:21: warning: identity \"acme\" has pushed no group \"nobody\"; assign it to cqlgate at the identity provider; until then nobody is reached",
            "p.cql:2:21: warning: identity \"acme\" has no group \"Team\", but \"team\"; names are compared exactly: write it as the identity provider does",
            "p.cql:3:21: warning: the name \"alice\" is pinned to the user with SCIM id u1, which is now called \"alice2\": a GRANT to it reaches nobody; write the new name; a name that was used before is not handed on",
            "p.cql:4:21: warning: the name \"gone\" is pinned to the user with SCIM id u7, which is gone: a GRANT to it reaches nobody; write the new name; a name that was used before is not handed on",
        ]
    );
}

#[test]
fn what_the_schema_does_not_have_or_decides_elsewhere_is_a_warning() {
    struct Small;
    impl Catalogue for Small {
        fn has_keyspace(&self, keyspace: &str) -> bool {
            keyspace == "k"
        }
        fn has_table(&self, keyspace: &str, table: &str) -> bool {
            keyspace == "k" && ["t", "v"].contains(&table)
        }
        fn base_of(&self, keyspace: &str, view: &str) -> Option<&str> {
            ((keyspace, view) == ("k", "v")).then_some("t")
        }
        fn functions(&self, keyspace: &str, name: &str) -> Vec<String> {
            if (keyspace, name) == ("k", "f") { vec!["int".into(), "text, int".into()] } else { Vec::new() }
        }
    }
    let policy = set(
        "GRANT SELECT ON k.t TO EVERYONE;\nGRANT SELECT ON \"K\".t TO EVERYONE;\nDENY SELECT ON k.u TO EVERYONE;\n\
         GRANT SELECT ON k.\"u*\" TO EVERYONE; GRANT SELECT ON KEYSPACE \"x*\" TO EVERYONE;\n\
         GRANT SELECT ON k.v TO EVERYONE;\nGRANT SELECT, UNMASK ON k.v TO EVERYONE; DENY SELECT ON k.v TO EVERYONE OF \"acme\";\n\
         GRANT EXECUTE ON FUNCTION k.f(int) TO EVERYONE; GRANT EXECUTE ON FUNCTION k.f(varchar, Int) TO EVERYONE;\n\
         GRANT EXECUTE ON FUNCTION k.f(text) TO EVERYONE;\nGRANT EXECUTE ON FUNCTION k.g() TO EVERYONE;\n\
         GRANT EXECUTE ON ALL FUNCTIONS IN KEYSPACE l TO EVERYONE; GRANT EXECUTE ON FUNCTION k.\"g*\"() TO EVERYONE;",
    );
    assert_eq!(
        texts(&policy.check_schema(&Small)),
        [
            "p.cql:2:17: warning: there is no keyspace \"K\"; the rule stands for when there is one; names without quotes are lower case",
            "p.cql:3:16: warning: there is no table \"k\".\"u\"; the rule stands for when there is one; names without quotes are lower case",
            "p.cql:5:17: warning: \"k\".\"v\" is a view: this GRANT permits nothing; grant SELECT on its base \"k\".\"t\" to read it, ALTER to change or drop it",
            "p.cql:8:18: warning: there is no function \"k\".\"f\"(text); there is f(int), f(text, int); write the types of one",
            "p.cql:9:18: warning: there is no function \"k\".\"g\"(); the rule stands for when there is one; names without quotes are lower case",
            "p.cql:10:18: warning: there is no keyspace \"l\"; the rule stands for when there is one; names without quotes are lower case",
        ]
    );
}

#[test]
fn the_service_account_gets_what_the_rules_grant_and_no_more() {
    let policy = set("GRANT SELECT, MODIFY ON k.t TO EVERYONE; GRANT SELECT ON KEYSPACE k TO EVERYONE;
         GRANT SELECT ON \"team_*\".t TO EVERYONE; GRANT SELECT ON k.\"a*\" TO EVERYONE;
         GRANT SELECT, AUTHORIZE ON KEYSPACE system_views TO EVERYONE; DENY DROP ON ALL KEYSPACES TO EVERYONE;
         GRANT UNMASK ON k.t TO EVERYONE; GRANT ALL ON KEYSPACE system_auth TO EVERYONE;
         GRANT MODIFY ON l.\"a*\" TO EVERYONE;");
    assert_eq!(
        policy.account_grants("gate\"way"),
        [
            "GRANT MODIFY ON TABLE \"k\".\"t\" TO \"gate\"\"way\";",
            "GRANT UNMASK ON TABLE \"k\".\"t\" TO \"gate\"\"way\"; -- Cassandra 5.0",
            "GRANT SELECT ON ALL KEYSPACES TO \"gate\"\"way\";",
            "GRANT SELECT ON KEYSPACE \"system_views\" TO \"gate\"\"way\";",
            "GRANT AUTHORIZE ON KEYSPACE \"system_views\" TO \"gate\"\"way\";",
            "GRANT ALTER ON KEYSPACE \"system_auth\" TO \"gate\"\"way\";",
            "GRANT SELECT ON KEYSPACE \"system_auth\" TO \"gate\"\"way\";",
            "GRANT MODIFY ON ALL TABLES IN KEYSPACE \"l\" TO \"gate\"\"way\"; -- Cassandra 4.1",
        ]
    );
}

#[test]
fn the_service_account_reads_who_is_a_superuser_where_roles_are_granted() {
    let policy = set(
        "GRANT EXECUTE ON FUNCTION k.f(int) TO EVERYONE; GRANT EXECUTE ON FUNCTION l.\"g*\"() TO EVERYONE;
         GRANT ALTER ON ROLE \"t*\" TO EVERYONE; GRANT DROP ON ROLE r TO EVERYONE;
         GRANT AUTHORIZE ON MBEANS 'd:*' TO EVERYONE; GRANT SELECT ON system_auth.roles TO EVERYONE;",
    );
    assert_eq!(
        policy.account_grants("g"),
        [
            "GRANT EXECUTE ON FUNCTION \"k\".\"f\"(int) TO \"g\";",
            "GRANT EXECUTE ON ALL FUNCTIONS IN KEYSPACE \"l\" TO \"g\";",
            "GRANT ALTER ON ALL ROLES TO \"g\";",
            "GRANT DROP ON ROLE \"r\" TO \"g\";",
            "GRANT AUTHORIZE ON MBEANS 'd:*' TO \"g\";",
            "GRANT SELECT ON TABLE \"system_auth\".\"roles\" TO \"g\";",
            "GRANT SELECT ON TABLE \"system_auth\".\"role_members\" TO \"g\";",
            "GRANT SELECT ON TABLE \"system_auth\".\"identity_to_role\" TO \"g\"; -- Cassandra 5.0",
        ]
    );
}
