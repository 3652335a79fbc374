use super::*;

/// Everything that has a label is counted once, so that it shows.
fn used() -> Arc<Metrics> {
    let metrics = Metrics::new();
    let cluster = metrics.cluster("main");
    cluster.login("ok");
    cluster.connection_rejected("address_limit");
    cluster.refusal("no_grant");
    cluster.session_end("client");
    cluster.upstream_connect("ok");
    cluster.schema_refresh("ok");
    cluster.policy_reload("ok");
    cluster.requests.count(Opcode::Execute, Statement::Select, Verdict::Permitted);
    cluster.requests.count_many(Opcode::Execute, Statement::Select, Verdict::Permitted, 2);
    metrics.scim_request("acme", "Users", "POST", 201);
    metrics.scim_written("acme");
    metrics.revocation("acknowledged");
    metrics.key_fetch("acme", "ok");
    metrics.audit_event("login", "permitted");
    metrics.commit_seconds.observe(0.003);
    metrics
}

fn value(text: &str, series: &str) -> f64 {
    let line =
        text.lines().find_map(|l| l.strip_prefix(series)).unwrap_or_else(|| panic!("{series}\n{text}"));
    line.trim().parse().unwrap()
}

/// What Prometheus's own lint asks of names and descriptions.
#[test]
fn names_follow_the_conventions() {
    let text = used().prometheus().unwrap();
    let mut described = BTreeMap::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.len() > 10, "{name} has no help text");
            assert!(described.insert(name.to_owned(), String::new()).is_none(), "{name} twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            described.get_mut(name).unwrap().push_str(kind);
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|s| name.strip_suffix(s).filter(|n| described.contains_key(*n)))
                .unwrap_or(name);
            assert!(described.contains_key(family), "{name} is not described");
        }
    }
    for (name, kind) in described {
        assert!(name.starts_with("cqlgate_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        for unit in ["milli", "micro", "nano", "minutes", "hours", "_ms", "kilobytes", "percent"] {
            assert!(!name.contains(unit), "{name}: not a base unit");
        }
        assert!(!name.ends_with("_count") && !name.ends_with("_sum") && !name.ends_with("_bucket"), "{name}");
        assert!(
            !name.contains("counter") && !name.contains("gauge") && !name.contains("histogram"),
            "{name}"
        );
    }
}

#[test]
fn what_is_counted_shows_in_both_formats() {
    let metrics = used();
    for text in [metrics.prometheus().unwrap(), metrics.openmetrics().unwrap()] {
        let series = "cqlgate_requests_total{cluster=\"main\",opcode=\"execute\",statement=\"select\",verdict=\"permitted\"}";
        assert!((value(&text, series) - 3.0).abs() < f64::EPSILON);
        assert!(
            (value(&text, "cqlgate_logins_total{cluster=\"main\",outcome=\"ok\"}") - 1.0).abs()
                < f64::EPSILON
        );
        assert!((value(&text, "cqlgate_directory_commit_seconds_count") - 1.0).abs() < f64::EPSILON);
        assert!(value(&text, "cqlgate_identity_keys_timestamp_seconds{identity=\"acme\"}") > 1.7e9);
    }
}

#[test]
fn a_cluster_is_counted_in_one_place() {
    let metrics = Metrics::new();
    metrics.cluster("main").bytes_sent.inc_by(5);
    metrics.cluster("main").bytes_sent.inc_by(5);
    assert_eq!(metrics.cluster("main").bytes_sent.get(), 10);
    assert_eq!(metrics.cluster("other").bytes_sent.get(), 0);
    assert_eq!(metrics.prometheus().unwrap().matches("direction=\"sent\"").count(), 2);
}

#[test]
fn what_is_held_is_counted_down_also_by_a_panic() {
    let metrics = Metrics::new();
    let open = metrics.cluster("main").connections_open.clone();
    let held = Held::new(&open);
    assert_eq!(open.get(), 1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = held;
        panic!("as a session might");
    }));
    assert!(caught.is_err());
    assert_eq!(open.get(), 0);
}

#[test]
fn every_request_has_a_cell_of_its_own() {
    let requests = Requests::new("main");
    for &opcode in Opcode::ALL {
        for &statement in Statement::ALL {
            for &verdict in Verdict::ALL {
                assert_eq!(requests.get(opcode, statement, verdict), 0);
                requests.count(opcode, statement, verdict);
                assert_eq!(requests.get(opcode, statement, verdict), 1);
            }
        }
    }
}

#[test]
fn a_hostile_name_ends_no_line_and_no_label() {
    let metrics = Metrics::new();
    metrics.cluster("a\"} 1\nevil{x=\"\\").connections_accepted.inc();
    let text = metrics.prometheus().unwrap();
    assert!(
        text.contains(r#"cqlgate_connections_accepted_total{cluster="a\"} 1\nevil{x=\"\\"} 1"#),
        "{text}"
    );
}
