//! The status page in a real browser: nothing hostile runs, nothing is asked of anybody else, it fits.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Html;
use axum::routing::get;
use cqlgate::admin::{StatusSource, router};
use cqlgate::metrics::Metrics;
use cqlgate::status::{ClusterStatus, IdentityStatus, RefusalStatus, SessionStatus, Status};
use fantoccini::Locator;
use tokio::net::TcpListener;

use crate::browser::{Browser, Look};

const WIDE: Look = Look { size: (1200, 1900), dark: false };
const NARROW: Look = Look { size: (400, 3400), dark: false };

/// What the page shows; a test may change it.
struct Stage(Mutex<(Status, Result<(), Vec<String>>)>);

impl StatusSource for Stage {
    fn status(&self) -> Status {
        self.0.lock().unwrap().0.clone()
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        self.0.lock().unwrap().1.clone()
    }
}

/// Serves the admin routes on loopback, and `/control`: a page with the same policy that breaks it.
async fn serve(status: Status, ready: Result<(), Vec<String>>) -> (SocketAddr, Arc<Stage>) {
    let stage = Arc::new(Stage(Mutex::new((status, ready))));
    let admin = router(Arc::clone(&stage) as Arc<dyn StatusSource>, Metrics::new());
    let control = get(|| async {
        let policy = HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'",
        );
        let page = "<!doctype html><script>window.ran = 1</script><img src=http://elsewhere.example/x>";
        ([(CONTENT_SECURITY_POLICY, policy)], Html(page))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/control", control).merge(admin);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (address, stage)
}

/// A day in the life of an operator: two clusters, two providers, people at work, things refused.
fn day() -> Status {
    let cluster = |name: &str, listen: &str| ClusterStatus {
        name: name.into(),
        listen: listen.into(),
        mode: "enforce".into(),
        healthy: true,
        detail: "3 nodes, contact point 10.20.0.11:9042".into(),
        release: "5.0.9".into(),
        tables: 214,
        warm: 4,
        policy_generation: 17,
        policy_loaded: "2026-11-23T21:42:10Z".into(),
        policy_rules: 86,
        ..ClusterStatus::default()
    };
    let clusters = vec![
        ClusterStatus {
            policy_warnings: vec![
                "policies/orders.cql:41:46: no identity provider has pushed a group \"orders-emea\"".into(),
                "policies/bi.cql:12:29: table bi.daily_old does not exist".into(),
            ],
            ..cluster("main", "10.20.0.5:9042")
        },
        ClusterStatus {
            mode: "observe".into(),
            policy_generation: 3,
            policy_stale: true,
            policy_rules: 12,
            tables: 1_048,
            policy_warnings: vec![
                "policies/staging.cql:7:1: expected GRANT or DENY, found \"GRNT\"; the last good policy is in force".into(),
            ],
            ..cluster("staging", "10.20.0.5:9142")
        },
    ];
    let identities = vec![
        IdentityStatus {
            name: "acme".into(),
            issuer: "https://login.acme.example/oauth2/default".into(),
            healthy: true,
            detail: "2 keys: k-2026-10, k-2026-11".into(),
            keys_fetched: "2026-11-23T21:58:02Z".into(),
            last_push: "2026-11-23T21:59:41Z".into(),
            users: 12_480,
            active_users: 11_902,
            groups: 318,
        },
        IdentityStatus {
            name: "ci".into(),
            issuer: "https://token.actions.example".into(),
            healthy: false,
            detail: "keys could not be renewed for 26 min: connection refused; the ones from before are still used".into(),
            keys_fetched: "2026-11-23T21:33:20Z".into(),
            ..IdentityStatus::default()
        },
    ];
    let session = |id: u64, name: &str, groups: &[&str]| SessionStatus {
        id,
        cluster: "main".into(),
        name: name.into(),
        kind: "person",
        identity: "acme".into(),
        client: SocketAddr::from(([10, 8, 1, u8::try_from(id).unwrap()], 51_012)),
        since: "2026-11-23T21:17:44Z".into(),
        token_expires: "2026-11-23T22:17:40Z".into(),
        groups: groups.iter().map(|&g| g.to_owned()).collect(),
        driver: "DataStax Python Driver 3.29.2".into(),
        requests: 48_211,
        refused: 0,
    };
    let sessions = vec![
        session(4, "alice@acme.example", &["orders-team", "everyone"]),
        SessionStatus { refused: 3, requests: 912, ..session(5, "bob@acme.example", &["analysts"]) },
        SessionStatus {
            kind: "service",
            driver: "Apache Cassandra Java Driver 4.19.0".into(),
            requests: 2_840_113,
            since: "2026-11-22T09:00:12Z".into(),
            client: "[2001:db8:20::7]:40122".parse().unwrap(),
            ..session(6, "nightly-loader", &[])
        },
        session(
            7,
            "dorothea.von-hohenberg@acme.example",
            &[
                "dba",
                "on-call",
                "platform",
                "eu-west",
                "change-board",
                "people-leads",
                "everyone",
                "vpn-users",
            ],
        ),
    ];
    let refusal =
        |at: &str, name: &str, what: &str, reason: &str, rule: &str, reference: &str| RefusalStatus {
            at: at.into(),
            event: "data",
            verdict: "refused",
            cluster: "main".into(),
            name: name.into(),
            identity: "acme".into(),
            client: "10.8.1.5:51012".into(),
            what: what.into(),
            reason: reason.into(),
            rule: rule.into(),
            reference: reference.into(),
        };
    let refusals = vec![
        refusal(
            "2026-11-23T21:59:48.120Z",
            "bob@acme.example",
            "INSERT INTO orders.by_customer (customer, day, id, total) VALUES (?, ?, ?, ?)",
            "bob@acme.example has no MODIFY on <table orders.by_customer>: no GRANT reaches it",
            "",
            "7Q2MD4KX",
        ),
        refusal(
            "2026-11-23T21:58:31.002Z",
            "dorothea.von-hohenberg@acme.example",
            "DROP TABLE hr.salaries",
            "DROP on <table hr.salaries> is denied to EVERYONE",
            "policies/base.cql:4",
            "0WJ3T9ZC",
        ),
        RefusalStatus {
            event: "login",
            what: "login".into(),
            cluster: "main".into(),
            client: "10.8.7.90:49200".into(),
            ..refusal(
                "2026-11-23T21:52:09.611Z",
                "",
                "",
                "the token's audience is \"billing\", this gateway accepts \"cassandra\"",
                "",
                "PK5N81VE",
            )
        },
        RefusalStatus {
            verdict: "observed",
            cluster: "staging".into(),
            ..refusal(
                "2026-11-23T20:03:55.940Z",
                "alice@acme.example",
                "SELECT name, salary FROM hr.salaries WHERE department = 'People'",
                "alice@acme.example has no SELECT on <table hr.salaries>: no GRANT reaches it",
                "",
                "",
            )
        },
    ];
    Status {
        now: "2026-11-23T22:00:00Z".into(),
        started: "2026-11-20T08:12:00Z".into(),
        version: "0.1.0",
        clusters,
        identities,
        sessions,
        refusals,
    }
}

/// Names that want to be markup, scripts, other addresses, other directions, or the whole page.
fn hostile() -> Status {
    let names = [
        "<script>window.ran = 1</script>",
        "<img src=x onerror='window.ran = 1'>",
        "\"><svg onload=window.ran=1>",
        "<style>@import url(http://elsewhere.example/x.css)</style>",
        "<meta http-equiv=refresh content='0;url=http://elsewhere.example/'>",
        "</bdi></td></tr></table></section><h1>cqlgate says all is well</h1>",
        "\u{202e}gpj.exe\u{2066} admin",
        "javascript:window.ran=1",
        "line one\nline two\r\u{1b}[2J",
        "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}\u{30c}\u{30d}",
    ]
    .map(String::from);
    let long = "W".repeat(10_240);
    let mut status = day();
    let (session, refusal) = (status.sessions[0].clone(), status.refusals[0].clone());
    status.sessions.clear();
    status.refusals.clear();
    for (id, name) in names.into_iter().chain([long]).enumerate() {
        status.clusters[0].policy_warnings.push(name.clone());
        status.sessions.push(SessionStatus {
            id: id as u64,
            name: name.clone(),
            groups: vec![name.clone(); 7],
            driver: name.clone(),
            ..session.clone()
        });
        status.refusals.push(RefusalStatus {
            name: name.clone(),
            what: name.clone(),
            reason: name.clone(),
            rule: name.clone(),
            ..refusal.clone()
        });
        status.clusters[1].name = name.clone();
        status.clusters[1].detail = name.clone();
        status.identities[1].name = name.clone();
        status.identities[1].issuer = name;
    }
    status
}

/// Nothing ran, nothing was stopped, nobody else was asked, and nothing sticks out.
async fn is_sound(browser: &Browser, address: SocketAddr) {
    assert_eq!(browser.eval("window.ran ?? 'nothing'").await, "nothing");
    assert_eq!(browser.violations().await, Vec::<serde_json::Value>::new());
    let own = format!("http://{address}/");
    let loaded = browser.loaded().await;
    assert!(loaded.iter().any(|l| l.ends_with("/status.css")), "{loaded:?}");
    assert!(loaded.iter().all(|l| l.starts_with(&own)), "{loaded:?}");
    assert_eq!(browser.eval("document.scripts.length").await, 1);
    assert_eq!(browser.eval("document.querySelectorAll('h1').length").await, 1);
    let overhang = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.eval(overhang).await, 0, "something is wider than the window");
}

#[tokio::test]
async fn it_fits_wide_and_narrow_light_and_dark() {
    let (address, _) = serve(day(), Ok(())).await;
    for (name, look) in [
        ("status-1200.png", WIDE),
        ("status-1200-dark.png", Look { dark: true, ..WIDE }),
        ("status-400.png", NARROW),
        ("status-400-dark.png", Look { dark: true, ..NARROW }),
    ] {
        let browser = Browser::open(look).await;
        browser.client.goto(&format!("http://{address}/")).await.unwrap();
        browser.client.wait().for_element(Locator::Css("#pause:not([hidden])")).await.unwrap();
        is_sound(&browser, address).await;
        let width = browser.eval("window.innerWidth").await;
        assert_eq!(width, look.size.0);
        let dark = browser.eval("matchMedia('(prefers-color-scheme: dark)').matches").await;
        assert_eq!(dark, look.dark);
        let text = browser.client.find(Locator::Css("main")).await.unwrap().text().await.unwrap();
        for words in ["bob@acme.example", "observes only", "policies/base.cql:4", "7Q2MD4KX", "42 min ago"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        browser.picture(name).await;
        browser.close().await;
    }
}

#[tokio::test]
async fn an_empty_page_says_what_to_do_next() {
    let empty = Status { clusters: day().clusters, sessions: Vec::new(), refusals: Vec::new(), ..day() };
    let not_ready = vec![
        "cluster main: no contact point answers (10.20.0.11:9042: connection refused)".to_owned(),
        "identity acme: no keys yet; https://login.acme.example answers 503".into(),
    ];
    let (address, stage) = serve(Status { identities: Vec::new(), ..empty }, Err(not_ready)).await;
    let browser = Browser::open(WIDE).await;
    browser.client.goto(&format!("http://{address}/")).await.unwrap();
    let text = browser.client.find(Locator::Css("main")).await.unwrap().text().await.unwrap();
    for words in [
        "Drivers must not be sent here yet",
        "no contact point answers",
        "Nobody is connected.",
        "10.20.0.5:9042",
        "No identity provider is configured.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    is_sound(&browser, address).await;
    browser.picture("status-empty.png").await;

    // What changes comes by itself, and what somebody opened stays open.
    browser.client.find(Locator::Css("#warnings-1 summary")).await.unwrap().click().await.unwrap();
    *stage.0.lock().unwrap() = (day(), Ok(()));
    browser
        .client
        .wait()
        .at_most(Duration::from_secs(20))
        .for_element(Locator::Css("#sessions table"))
        .await
        .unwrap();
    assert_eq!(browser.eval("document.querySelector('#warnings-1').open").await, true);
    assert!(browser.client.title().await.unwrap().starts_with("Ready, 2 things"));
    is_sound(&browser, address).await;
    browser.close().await;
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let (address, _) = serve(hostile(), Err(vec!["<script>window.ran = 1</script>".into()])).await;
    for (name, look) in [
        ("status-hostile-1200.png", Look { size: (1200, 3000), dark: false }),
        ("status-hostile-400.png", NARROW),
    ] {
        let browser = Browser::open(look).await;
        browser
            .client
            .goto(&format!("http://{address}/?q=%22%3E%3Cscript%3Ewindow.ran=1%3C/script%3E"))
            .await
            .unwrap();
        is_sound(&browser, address).await;
        browser.client.goto(&format!("http://{address}/")).await.unwrap();
        is_sound(&browser, address).await;
        assert_eq!(
            browser
                .eval("document.querySelectorAll('main img, main svg, main style, main meta').length")
                .await,
            0
        );
        let text = browser.client.find(Locator::Css("#sessions")).await.unwrap().text().await.unwrap();
        assert!(text.contains("⟨U+202E⟩gpj.exe⟨U+2066⟩ admin"), "{text}");
        assert!(text.contains("<script>window.ran = 1</script>"), "{text}");
        browser.picture(name).await;
        browser.close().await;
    }
}

#[tokio::test]
async fn the_browser_would_report_what_the_policy_stops() {
    let (address, _) = serve(day(), Ok(())).await;
    let browser = Browser::open(WIDE).await;
    browser.client.goto(&format!("http://{address}/control")).await.unwrap();
    let stopped = browser.violations().await;
    assert_eq!(stopped.len(), 2, "an inline script and a picture from elsewhere: {stopped:?}");
    assert_eq!(browser.eval("window.ran ?? 'nothing'").await, "nothing");
    browser.close().await;
}
