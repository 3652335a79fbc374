//! What every answer of the admin listener has in common: who may ask, and what a browser may do with it.

use axum::extract::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Own styles, own script, own requests; nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Refuses what is not a GET or HEAD for a loopback name, and sets the headers of every answer.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = if !is_local(request.uri(), request.headers()) {
        // A page of a stranger can make its own name resolve to 127.0.0.1 and then read what is here; the
        // name gives it away.
        (
            StatusCode::FORBIDDEN,
            "This listener answers to loopback names only: use http://localhost or http://127.0.0.1\n",
        )
            .into_response()
    } else if matches!(*request.method(), Method::GET | Method::HEAD) {
        next.run(request).await
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")], "Nothing can be changed here.\n")
            .into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Exactly one Host, and it is `localhost` or a loopback address; so is the name in the request line, if
/// there is one.
fn is_local(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|h| h.parse::<Authority>().ok()) else { return false };
    is_loopback(&host) && uri.authority().is_none_or(is_loopback)
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    if authority.as_str().contains('@') {
        return false;
    }
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return v6.parse::<std::net::Ipv6Addr>().is_ok_and(|a| a.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_local() {
        let local = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
            is_local(&Uri::from_static("/"), &headers)
        };
        for host in ["localhost", "LOCALHOST:8481", "127.0.0.1:8481", "127.9.9.9", "[::1]", "[::1]:8481"] {
            assert!(local(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:8481",
            "localhost@evil.example",
            "evil@localhost",
            "10.0.0.1",
            "[2001:db8::1]",
            "0.0.0.0",
            "2130706433",
            "",
            "localhost, evil.example",
        ] {
            assert!(!local(host), "{host}");
        }
    }

    #[test]
    fn no_host_two_hosts_or_a_foreign_request_line_are_not_local() {
        let mut headers = HeaderMap::new();
        assert!(!is_local(&Uri::from_static("/"), &headers));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(!is_local(&Uri::from_static("http://evil.example/"), &headers));
        assert!(is_local(&Uri::from_static("http://127.0.0.1/"), &headers));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(!is_local(&Uri::from_static("/"), &headers));
    }
}
