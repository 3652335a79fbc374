//! What the grant language takes and what it says to the rest.

use proptest::prelude::*;

use super::*;

fn world(identities: &[&str]) -> World {
    World {
        identities: identities.iter().map(|i| Arc::from(*i)).collect(),
        services: vec![("acme".into(), "loader".into())],
    }
}

fn read(text: &str, identities: &[&str]) -> Result<Vec<Rule>, Vec<String>> {
    let (rules, findings) = parse(&"f.cql".into(), text, &world(identities));
    if findings.is_empty() { Ok(rules) } else { Err(findings.iter().map(ToString::to_string).collect()) }
}

fn words(rule: &Rule) -> String {
    let permissions: Vec<_> = rule.permissions.iter().map(|p| p.to_string()).collect();
    format!("{:?} {} ON {} TO {}", rule.effect, permissions.join(", "), rule.scope, rule.grantee)
}

#[test]
fn every_form_of_a_rule() {
    let text = r#"
        GRANT SELECT, MODIFY ON KEYSPACE Orders TO GROUP "orders-team";
        grant select permission on all tables in keyspace bi to group "analysts" of "acme";
        GRANT SELECT ON TABLE hr.Salaries TO USER "Alice ""A"" B";
        GRANT ALL ON ALL KEYSPACES TO GROUP "dba"; -- everything
        DENY DROP, ALTER ON ALL KEYSPACES TO EVERYONE;; // not here
        GRANT MODIFY ON KEYSPACE "team_*" TO SERVICE "loader";
        GRANT ALL PERMISSIONS ON "K".t TO EVERYONE OF "acme"; /* bare name */
        GRANT SELECT ON keyspace.all TO EVERYONE;
    "#;
    let rules = read(text, &["acme"]).unwrap_or_else(|f| panic!("{f:#?}"));
    let of_table = "ALTER, DROP, SELECT, MODIFY, AUTHORIZE, UNMASK, SELECT_MASKED";
    assert_eq!(
        rules.iter().map(words).collect::<Vec<_>>(),
        [
            r#"Grant SELECT, MODIFY ON KEYSPACE "orders" TO GROUP "orders-team" OF "acme""#.to_owned(),
            r#"Grant SELECT ON ALL TABLES IN KEYSPACE "bi" TO GROUP "analysts" OF "acme""#.to_owned(),
            r#"Grant SELECT ON TABLE "hr"."salaries" TO USER "Alice \"A\" B" OF "acme""#.to_owned(),
            format!(r#"Grant CREATE, {of_table} ON ALL KEYSPACES TO GROUP "dba" OF "acme""#),
            "Deny ALTER, DROP ON ALL KEYSPACES TO EVERYONE".to_owned(),
            r#"Grant MODIFY ON KEYSPACE "team_*" TO SERVICE "loader" OF "acme""#.to_owned(),
            format!(r#"Grant {of_table} ON TABLE "K"."t" TO EVERYONE OF "acme""#),
            r#"Grant SELECT ON TABLE "keyspace"."all" TO EVERYONE"#.to_owned(),
        ]
    );
    assert_eq!(rules[0].at, (2, 9));
    assert_eq!(rules[0].scope_at, (2, 33));
    assert_eq!(rules[0].grantee_at, (2, 52));
}

#[test]
fn functions_roles_and_mbeans_in_every_form() {
    for (on, said) in [
        ("ALL FUNCTIONS", "CREATE, ALTER, DROP, AUTHORIZE, EXECUTE ON ALL FUNCTIONS"),
        (
            "all functions in keyspace \"a*\"",
            "CREATE, ALTER, DROP, AUTHORIZE, EXECUTE ON ALL FUNCTIONS IN KEYSPACE \"a*\"",
        ),
        (
            "FUNCTION K.F(Int, VARCHAR , frozen<map<text,int>>, 'X')",
            "ALTER, DROP, AUTHORIZE, EXECUTE ON FUNCTION \"k\".\"f\"(int, text, map<text, int>, 'X')",
        ),
        ("FUNCTION \"K*\".\"f*\"()", "ALTER, DROP, AUTHORIZE, EXECUTE ON FUNCTION \"K*\".\"f*\"()"),
        // A user type is of the function's own keyspace, named or not, quoted or not.
        (
            "FUNCTION k.f(addr, K.addr, \"k\".\"addr\", list<k.\"My\">, tuple<int,text>, \"A \"\" b\", \"table\")",
            "ALTER, DROP, AUTHORIZE, EXECUTE ON FUNCTION \"k\".\"f\"(addr, addr, addr, list<\"My\">, tuple<int, text>, \"A \"\" b\", \"table\")",
        ),
        (
            "FUNCTION k.token(vector<float, 3>)",
            "ALTER, DROP, AUTHORIZE, EXECUTE ON FUNCTION \"k\".\"token\"(vector<float, 3>)",
        ),
        ("FUNCTION k.Values(int)", "ALTER, DROP, AUTHORIZE, EXECUTE ON FUNCTION \"k\".\"Values\"(int)"),
        ("FUNCTION k.Text(int)", "ALTER, DROP, AUTHORIZE, EXECUTE ON FUNCTION \"k\".\"text\"(int)"),
        ("ALL ROLES", "CREATE, ALTER, DROP, AUTHORIZE, DESCRIBE ON ALL ROLES"),
        ("ROLE Analyst", "ALTER, DROP, AUTHORIZE, DESCRIBE ON ROLE \"analyst\""),
        ("ROLE \"A \"\" b@c\"", "ALTER, DROP, AUTHORIZE, DESCRIBE ON ROLE \"A \"\" b@c\""),
        ("ROLE \"team_*\"", "ALTER, DROP, AUTHORIZE, DESCRIBE ON ROLE \"team_*\""),
        ("ROLE 'It''s *'", "ALTER, DROP, AUTHORIZE, DESCRIBE ON ROLE 'It''s *'"),
        ("ROLE 'X'", "ALTER, DROP, AUTHORIZE, DESCRIBE ON ROLE \"X\""),
        ("ALL MBEANS", "SELECT, MODIFY, AUTHORIZE, DESCRIBE, EXECUTE ON ALL MBEANS"),
        ("MBEAN 'd:a=1'", "SELECT, MODIFY, AUTHORIZE, DESCRIBE, EXECUTE ON MBEAN 'd:a=1'"),
        ("MBEANS 'd:*'", "SELECT, MODIFY, AUTHORIZE, DESCRIBE, EXECUTE ON MBEANS 'd:*'"),
        // These words name tables, too.
        (
            "role.function",
            "ALTER, DROP, SELECT, MODIFY, AUTHORIZE, UNMASK, SELECT_MASKED ON TABLE \"role\".\"function\"",
        ),
    ] {
        let rules =
            read(&format!("GRANT ALL ON {on} TO EVERYONE;"), &["acme"]).unwrap_or_else(|f| panic!("{f:#?}"));
        assert_eq!(words(&rules[0]), format!("Grant {said} TO EVERYONE"), "{on}");
        // What is printed reads as what it was printed from.
        let again = format!("GRANT ALL ON {} TO EVERYONE;", rules[0].scope);
        assert_eq!(read(&again, &["acme"]).unwrap_or_else(|f| panic!("{f:#?}"))[0].scope, rules[0].scope);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
    for (text, expected) in [
        ("GRNT", "1:1: error: \"GRNT\" is not expected here; a statement begins with GRANT or DENY"),
        (
            "REVOKE ALL ON k.t TO EVERYONE;",
            "1:1: error: a policy has no REVOKE; delete the GRANT, or write a DENY",
        ),
        ("GRANT READ ON k.t TO EVERYONE;", "1:7: error: there is no permission \"READ\"; write SELECT"),
        (
            "GRANT INSERT ON k.t TO EVERYONE;",
            "1:7: error: there is no permission \"INSERT\"; write MODIFY: INSERT, UPDATE, DELETE and TRUNCATE need it",
        ),
        (
            "GRANT SELECT,\n CREATE ON k.t TO EVERYONE;",
            "2:2: error: CREATE does not apply to TABLE \"k\".\"t\"; CREATE belongs to ALL TABLES IN KEYSPACE, KEYSPACE or ALL KEYSPACES",
        ),
        (
            "GRANT EXECUTE ON ALL KEYSPACES TO EVERYONE;",
            "1:7: error: EXECUTE does not apply to ALL KEYSPACES; EXECUTE belongs to FUNCTION k.f(int), ALL FUNCTIONS IN KEYSPACE or ALL FUNCTIONS",
        ),
        (
            "GRANT SELECT ON ALL ROLES TO EVERYONE;",
            "1:7: error: SELECT does not apply to ALL ROLES; to it apply CREATE, ALTER, DROP, AUTHORIZE, DESCRIBE",
        ),
        (
            "GRANT EXECUTE ON ROLE r TO EVERYONE;",
            "1:7: error: EXECUTE does not apply to ROLE \"r\"; to it apply ALTER, DROP, AUTHORIZE, DESCRIBE",
        ),
        (
            "GRANT DESCRIBE ON ALL FUNCTIONS TO EVERYONE;",
            "1:7: error: DESCRIBE does not apply to ALL FUNCTIONS; to it apply CREATE, ALTER, DROP, AUTHORIZE, EXECUTE",
        ),
        (
            "GRANT DESCRIBE ON KEYSPACE k TO EVERYONE;",
            "1:7: error: DESCRIBE does not apply to KEYSPACE \"k\"; DESCRIBE belongs to ROLE or ALL ROLES; DESCRIBE statements need no permission",
        ),
        (
            "GRANT CREATE ON FUNCTION k.f() TO EVERYONE;",
            "1:7: error: CREATE does not apply to FUNCTION \"k\".\"f\"(); CREATE belongs to ALL FUNCTIONS IN KEYSPACE or ALL FUNCTIONS",
        ),
        (
            "GRANT CREATE ON ROLE r TO EVERYONE;",
            "1:7: error: CREATE does not apply to ROLE \"r\"; CREATE belongs to ALL ROLES",
        ),
        (
            "GRANT DROP ON MBEAN 'd:a=1' TO EVERYONE;",
            "1:7: error: DROP does not apply to MBEAN 'd:a=1'; to it apply SELECT, MODIFY, AUTHORIZE, DESCRIBE, EXECUTE",
        ),
        (
            "GRANT EXECUTE ON FUNCTION k.f TO EVERYONE;",
            "1:31: error: \"TO\" is not expected here; write the types of its arguments: FUNCTION k.f(int, text), or () if it has none",
        ),
        (
            "GRANT EXECUTE ON FUNCTION k.f(int int) TO EVERYONE;",
            "1:31: error: \"int int\" is no type; write the types of its arguments: FUNCTION k.f(int, text), or () if it has none",
        ),
        (
            "GRANT EXECUTE ON FUNCTION k.f(k.k.addr) TO EVERYONE;",
            "1:31: error: \"k . k . addr\" is no type; write the types of its arguments: FUNCTION k.f(int, text), or () if it has none",
        ),
        (
            "GRANT EXECUTE ON FUNCTION k.f(int, ) TO EVERYONE;",
            "1:36: error: ')' is not expected here; write the types of its arguments: FUNCTION k.f(int, text), or () if it has none",
        ),
        (
            "GRANT EXECUTE ON FUNCTION k.f(int;",
            "1:34: error: ';' is not expected here; write the types of its arguments: FUNCTION k.f(int, text), or () if it has none",
        ),
        (
            "GRANT EXECUTE ON FUNCTION f(int) TO EVERYONE;",
            "1:28: error: '(' is not expected here; name a function with its keyspace: FUNCTION k.f(int, text)",
        ),
        (
            "GRANT EXECUTE ON AGGREGATE k.f(int) TO EVERYONE;",
            "1:18: error: an aggregate is a function here; write FUNCTION k.f(int)",
        ),
        (
            "GRANT EXECUTE ON ALL FUNCTIONS IN k TO EVERYONE;",
            "1:35: error: \"k\" is not expected here; write ALL FUNCTIONS IN KEYSPACE k",
        ),
        (
            "GRANT ALL ON ALL ROLE TO EVERYONE;",
            "1:18: error: \"ROLE\" is not expected here; write ALL KEYSPACES, ALL TABLES IN KEYSPACE k, ALL FUNCTIONS, ALL FUNCTIONS IN KEYSPACE k, ALL ROLES or ALL MBEANS",
        ),
        (
            "GRANT ALL ON ROLE '' TO EVERYONE;",
            "1:19: error: a role's name has 1 to 4096 characters; write the name of a role",
        ),
        (
            "GRANT ALL ON MBEAN x TO EVERYONE;",
            "1:20: error: \"x\" is not expected here; write the MBean's name in single quotes: MBEAN 'domain:key=value'",
        ),
        (
            "GRANT ALL ON MBEANS '*' TO EVERYONE;",
            "1:21: error: this is no name of an MBean; write it as JMX does: 'org.apache.cassandra.db:type=Tables,*', or write ALL MBEANS",
        ),
        (
            "GRANT SELECT ON t TO EVERYONE;",
            "1:19: error: \"TO\" is not expected here; name a table with its keyspace: TABLE k.t",
        ),
        (
            "GRANT SELECT ON KEYSPACE team_* TO EVERYONE;",
            "1:26: error: a * outside quotes; put the pattern in double quotes: \"team_*\"",
        ),
        (
            "GRANT SELECT ON KEYSPACE * TO EVERYONE;",
            "1:26: error: a * outside quotes; put a pattern in double quotes: \"team_*\"",
        ),
        (
            "GRANT SELECT ON KEYSPACE 1k TO EVERYONE;",
            "1:26: error: \"1k\" is not expected here; write the name of a keyspace; in double quotes if it needs them",
        ),
        (
            "GRANT ALTER ON ROLE \"\" TO EVERYONE;",
            "1:21: error: the name \"\" is not expected here; write the name of a role; in double quotes if it needs them",
        ),
        (
            "GRANT SELECT ON KEYSPACE \"my-app\" TO EVERYONE;",
            "1:26: error: a keyspace cannot be called \"my-app\"; names have letters, digits and _ (and * in a pattern)",
        ),
        (
            "GRANT dba TO alice;",
            "1:7: error: there is no permission \"dba\"; write CREATE, ALTER, DROP, SELECT, MODIFY, AUTHORIZE, DESCRIBE, EXECUTE, UNMASK, SELECT_MASKED or ALL",
        ),
        (
            "GRANT ALL TO GROUP \"x\";",
            "1:11: error: roles are not granted here: who is in a group comes from the identity provider; write GRANT <permissions> ON <resource> TO GROUP \"name\"",
        ),
        (
            "GRANT SELECT ON k.t TO dba;",
            "1:24: error: \"dba\" is not expected here; write GROUP \"name\", USER \"name\", SERVICE \"name\" or EVERYONE",
        ),
        (
            "GRANT SELECT ON k.t TO GROUP dba;",
            "1:30: error: a name without double quotes; write GROUP \"dba\": names of people are compared exactly",
        ),
        (
            "GRANT SELECT ON k.t TO GROUP \"\";",
            "1:30: error: the name \"\" is not expected here; write GROUP and a name in double quotes",
        ),
        (
            "GRANT SELECT ON k.t TO USERS WHERE 'active eq true';",
            "1:24: error: USERS WHERE is not supported yet; write TO GROUP \"name\" or TO USER \"name\"",
        ),
        (
            "GRANT SELECT ON k.t TO SERVICE \"x\";",
            "1:24: error: no [[service]] \"x\" of identity \"acme\" is configured; there is SERVICE \"loader\" OF \"acme\"",
        ),
        (
            "GRANT SELECT ON k.t TO GROUP \"x\" OF \"other\";",
            "1:37: error: the cluster has no identity \"other\"; write OF \"acme\"",
        ),
        ("GRANT SELECT ON k.t TO EVERYONE", "1:32: error: the file ends here; end the statement with ;"),
    ] {
        assert_eq!(read(text, &["acme"]).unwrap_err(), [format!("f.cql:{expected}")], "{text}");
    }
}

#[test]
fn names_and_types_may_be_as_long_as_is_allowed_and_no_longer() {
    // 4096 characters of types, or one more.
    let types = |last: &str| format!("{}bigint, {last}", "int, ".repeat(817));
    for (longest, too_long, message) in [
        (
            format!("KEYSPACE {}", "k".repeat(222)),
            format!("KEYSPACE {}", "k".repeat(223)),
            "a name is longer than 222 characters; shorten it",
        ),
        (
            format!("k.\"{}\"", "t".repeat(222)),
            format!("k.\"{}\"", "t".repeat(223)),
            "a name is longer than 222 characters; shorten it",
        ),
        (
            format!("ROLE {}", "r".repeat(4096)),
            format!("ROLE {}", "r".repeat(4097)),
            "a name is longer than 4096 characters; shorten it",
        ),
        (
            format!("ROLE '{}'", "r".repeat(4096)),
            format!("ROLE '{}'", "r".repeat(4097)),
            "a role's name has 1 to 4096 characters; write the name of a role",
        ),
        (
            format!("MBEAN '{}'", "m:".repeat(2048)),
            format!("MBEAN '{}:'", "m:".repeat(2048)),
            "this is no name of an MBean; write it as JMX does: 'org.apache.cassandra.db:type=Tables,*', or write ALL MBEANS",
        ),
        (
            format!("FUNCTION k.f({})", types("int")),
            format!("FUNCTION k.f({})", types("text")),
            "the types are longer than 4096 characters; shorten them",
        ),
    ] {
        let read = |on: &str| read(&format!("GRANT ALL ON {on} TO EVERYONE;"), &["acme"]);
        assert!(read(&longest).is_ok(), "{longest}");
        let findings = read(&too_long).unwrap_err();
        assert!(findings.len() == 1 && findings[0].ends_with(&format!(" error: {message}")), "{findings:?}");
    }
}

#[test]
fn several_findings_of_one_file() {
    let text = "GRANT X ON k.t TO EVERYONE;\nGRANT SELECT ON k.t TO EVERYONE;\nDENY Y ON k.t TO EVERYONE;";
    let findings = read(text, &["acme"]).unwrap_err();
    assert_eq!(findings.len(), 2);
    assert!(findings[0].starts_with("f.cql:1:7: ") && findings[1].starts_with("f.cql:3:6: "));
}

#[test]
fn of_may_be_left_out_only_where_it_is_clear() {
    let text = "GRANT SELECT ON k.t TO GROUP \"x\";";
    assert_eq!(
        read(text, &["acme", "b"]).unwrap_err(),
        [
            r#"f.cql:1:24: error: which identity is meant? The cluster has several; write GROUP "x" OF "acme" or OF "b""#
        ]
    );
    // EVERYONE leaves nothing open: a DENY must not stop at an identity that comes later.
    assert!(read("DENY DROP ON ALL KEYSPACES TO EVERYONE;", &["acme", "b"]).is_ok());
}

/// The rules that a page shows: of its blocks of SQL those lines that end in a grantee of ours.
fn shown(page: &str) -> String {
    let mut within = false;
    let mut rules = String::new();
    for line in page.lines() {
        within = if line.starts_with("```") { line == "```sql" } else { within };
        if within && [" GROUP ", " USER ", " SERVICE ", " EVERYONE"].iter().any(|word| line.contains(word)) {
            rules.push_str(line);
            rules.push('\n');
        }
    }
    rules
}

#[test]
fn what_the_pages_show_is_a_policy() {
    for (page, at_least) in
        [(include_str!("../../../README.md"), 5), (include_str!("../../../docs/policy.md"), 9)]
    {
        let rules = read(&shown(page), &["acme"]).unwrap_or_else(|f| panic!("{f:#?}"));
        assert!(rules.len() >= at_least, "{rules:#?}");
    }
}

#[test]
fn the_page_says_which_permissions_apply_to_what() {
    let page = include_str!("../../../docs/policy.md");
    for on in ["ALL KEYSPACES", "ALL FUNCTIONS", "FUNCTION k.f(int, text)", "ALL ROLES", "ALL MBEANS"] {
        let rules = read(&format!("GRANT ALL ON {on} TO EVERYONE;"), &["acme"]).unwrap();
        let all: Vec<_> = rules[0].permissions.iter().map(Permission::as_str).collect();
        let line = page.lines().find(|line| line.starts_with(&format!("| `{on}`"))).unwrap();
        assert!(line.contains(&format!("| {} |", all.join(" "))), "{line}");
    }
}

proptest! {
    #[test]
    fn any_text_is_rules_or_findings(text in any::<String>()) {
        let (rules, findings) = parse(&"f".into(), &text, &world(&["acme"]));
        prop_assert!(rules.len() + findings.len() <= text.len() + 1);
    }

    #[test]
    fn any_words_are_rules_or_findings(words in proptest::collection::vec(
        prop::sample::select(vec![
            "GRANT", "DENY", "ALL", "PERMISSIONS", "SELECT", "MODIFY", ",", "ON", "KEYSPACE", "KEYSPACES",
            "TABLES", "IN", "TABLE", "k", ".", "t", "*", "\"a*\"", "TO", "GROUP", "USER", "SERVICE", "EVERYONE",
            "FUNCTION", "FUNCTIONS", "ROLE", "ROLES", "MBEAN", "MBEANS", "(", ")", "<", ">", "int", "f", "'d:a=1'",
            "EXECUTE", "DESCRIBE", "OF", "\"acme\"", "\"loader\"", ";", "--\n", "/*", "*/", "'", "USERS WHERE",
        ]), 0..40))
    {
        let text = words.join(" ");
        let (_, findings) = parse(&"f".into(), &text, &world(&["acme"]));
        for finding in findings {
            prop_assert!(finding.is_error() && finding.help.is_some(), "{finding}");
        }
    }
}
