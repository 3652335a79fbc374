use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::config::limits::STATUS_ROWS;
use crate::status::{ClusterStatus, IdentityStatus, RefusalStatus, SessionStatus};

struct Fixed(fn() -> Status, Result<(), Vec<String>>);

impl StatusSource for Fixed {
    fn status(&self) -> Status {
        (self.0)()
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        self.1.clone()
    }
}

const NOW: &str = "2026-11-23T22:00:00Z";

fn empty() -> Status {
    Status { now: NOW.into(), started: "2026-11-23T20:00:00Z".into(), version: "1.2.3", ..Status::default() }
}

fn refusal(text: &str) -> RefusalStatus {
    let text = text.to_owned();
    RefusalStatus {
        at: "2026-11-23T21:59:30Z".into(),
        event: "data",
        verdict: "refused",
        cluster: text.clone(),
        name: text.clone(),
        identity: text.clone(),
        client: text.clone(),
        what: text.clone(),
        reason: text.clone(),
        rule: text.clone(),
        reference: text,
    }
}

fn session(id: u64, name: &str) -> SessionStatus {
    SessionStatus {
        id,
        cluster: "main".into(),
        name: name.into(),
        kind: "person",
        identity: "acme".into(),
        client: "127.0.0.1:50000".parse().unwrap(),
        since: "2026-11-23T21:00:00Z".into(),
        token_expires: "2026-11-23T22:30:00Z".into(),
        groups: vec![name.into()],
        driver: name.into(),
        requests: 12_345,
        refused: 1,
    }
}

fn full_of(text: &str) -> Status {
    Status {
        clusters: vec![ClusterStatus {
            name: text.into(),
            listen: text.into(),
            mode: text.into(),
            detail: text.into(),
            release: text.into(),
            policy_warnings: vec![text.into()],
            policy_loaded: text.into(),
            ..ClusterStatus::default()
        }],
        identities: vec![IdentityStatus {
            name: text.into(),
            issuer: text.into(),
            detail: text.into(),
            keys_fetched: text.into(),
            last_push: text.into(),
            ..IdentityStatus::default()
        }],
        sessions: vec![session(1, text)],
        refusals: vec![refusal(text)],
        ..empty()
    }
}

fn admin(status: fn() -> Status, ready: Result<(), Vec<String>>) -> Router {
    router(Arc::new(Fixed(status, ready)), Metrics::new())
}

async fn ask(router: Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router.oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

fn to(path: &str) -> Request<Body> {
    Request::get(path).header("host", "localhost:8481").body(Body::empty()).unwrap()
}

fn render(status: &Status) -> String {
    view::Page::new(status, None, "").render().unwrap()
}

#[tokio::test]
async fn liveness_and_readiness_are_two_questions() {
    let not = || Err(vec!["cluster main: no node answers".to_owned()]);
    let (status, _, body) = ask(admin(empty, not()), to("/livez")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "alive\n"));
    let (status, _, body) = ask(admin(empty, not()), to("/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, r#"{"ready":false,"not_ready":["cluster main: no node answers"]}"#);
    let (status, _, body) = ask(admin(empty, Ok(())), to("/readyz")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"ready":true,"not_ready":[]}"#));
}

#[tokio::test]
async fn only_get_and_head_of_loopback_names() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        for path in ["/", "/metrics", "/nowhere"] {
            let mut request = to(path);
            *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
            let (status, headers, _) = ask(admin(empty, Ok(())), request).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(headers["allow"], "GET, HEAD");
        }
    }
    let mut head = to("/");
    *head.method_mut() = Method::HEAD;
    let (status, _, body) = ask(admin(empty, Ok(())), head).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));

    let rebound = Request::get("/api/status").header("host", "evil.example").body(Body::empty()).unwrap();
    let (status, _, body) = ask(admin(empty, Ok(())), rebound).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("loopback names only"), "{body}");
    let (status, ..) = ask(admin(empty, Ok(())), to("/nowhere")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_may_not_do() {
    for path in ["/", "/status.css", "/status.js", "/icon.svg", "/api/status", "/metrics", "/nowhere"] {
        let (_, headers, _) = ask(admin(empty, Ok(())), to(path)).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(headers.contains_key("content-type"), "{path}");
    }
}

#[tokio::test]
async fn metrics_come_in_the_format_that_was_asked_for() {
    let (_, headers, body) = ask(admin(empty, Ok(())), to("/metrics")).await;
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(!body.contains("# EOF"));
    let mut request = to("/metrics");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    request.headers_mut().insert(ACCEPT, accept.parse().unwrap());
    let (_, headers, body) = ask(admin(empty, Ok(())), request).await;
    assert_eq!(headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_json_has_what_the_page_has() {
    let (_, headers, body) = ask(admin(|| full_of("x"), Ok(())), to("/api/status")).await;
    assert_eq!(headers["content-type"], "application/json");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["sessions"][0]["groups"][0], "x");
    assert_eq!(json["refusals"][0]["reason"], "x");
}

#[test]
fn empty_places_say_what_to_do_next() {
    let html = render(&empty());
    for words in [
        "No cluster is configured.",
        "No identity provider is configured.",
        "Nobody is connected.",
        "Nothing has been refused since the start.",
    ] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn hostile_text_is_escaped_in_every_place() {
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;</bdi></title>{{ 7 * 7 }}";
    let html = render(&full_of(hostile));
    let ours = render(&full_of("name"));
    let tags = |html: &str| {
        html.split('<')
            .skip(1)
            .map(|t| t.split([' ', '>']).next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(tags(&html), tags(&ours), "the elements are ours, whatever the names hold");
    assert!(!html.contains("onerror=alert(2)>\""), "attributes end where we end them");
    assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"), "{html}");
    assert!(html.contains("{{ 7 * 7 }}"), "templates are not evaluated twice");
}

#[test]
fn names_that_turn_the_text_around_are_spelled_out_and_isolated() {
    let html = render(&full_of("bob\u{202e}nimda\u{2066}\u{0}\u{1b}[2J"));
    assert!(!html.chars().any(|c| c != '\n' && crate::audit::text::is_treacherous(c)));
    assert!(html.contains("<bdi class=\"n\">bob⟨U+202E⟩nimda⟨U+2066⟩⟨U+0000⟩⟨U+001B⟩[2J</bdi>"), "{html}");
}

#[test]
fn long_names_are_cut_and_the_page_stays_small() {
    let html = render(&full_of(&"Ω".repeat(10_000)));
    assert!(html.contains('…'));
    assert!(html.len() < 200_000, "{} bytes", html.len());
}

#[test]
fn many_sessions_are_counted_and_the_newest_shown() {
    let many = Status { sessions: (0..4_000).map(|n| session(n, "alice")).collect(), ..empty() };
    let html = render(&many);
    assert!(html.contains(&format!("newest {STATUS_ROWS} of 4,000")));
    assert_eq!(html.matches("<tr>").count(), STATUS_ROWS + 1);
}

#[tokio::test]
async fn a_name_can_be_found() {
    let two = || Status { sessions: vec![session(1, "Alice"), session(2, "Bob")], ..empty() };
    let (_, _, html) = ask(admin(two, Ok(())), to("/?q=aLIce")).await;
    assert!(html.contains("Alice") && !html.contains("Bob") && html.contains("1 of 2"));
    let (_, _, html) = ask(admin(two, Ok(())), to("/?q=%22%3E%3Cscript%3E")).await;
    assert!(html.contains("No session matches.") && !html.contains("\"><script>"));
    let (status, ..) = ask(admin(two, Ok(())), to(&format!("/?q={}", "x".repeat(300)))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[test]
fn what_is_wrong_stands_at_the_top() {
    let page = view::Page::new(&empty(), Some(vec!["identity acme: no keys".into()]), "");
    let html = page.render().unwrap();
    assert!(html.contains("<title>Not ready · cqlgate</title>"));
    assert!(html.contains("identity acme: no keys"));
    let html = render(&full_of("x"));
    assert!(html.contains("Ready, 2 things to look at"), "{html}");
}
