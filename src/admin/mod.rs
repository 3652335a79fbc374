//! The admin listener: is the gateway alive and ready, its metrics, and a read-only status page.
//!
//! In: a [`StatusSource`] and the process's metrics. Out: an axum router; who accepts connections and does
//! TLS hands them to it. There is no log-in yet, so it answers to loopback names only, and to GET and HEAD
//! only: see [`guard`].

mod guard;
mod view;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};

use crate::config::limits::STATUS_FILTER;
use crate::metrics::Metrics;
use crate::status::Status;

/// Where the page gets what it shows.
pub trait StatusSource: Send + Sync + 'static {
    /// Everything, as it is now.
    fn status(&self) -> Status;

    /// May drivers be sent here? If not: each reason, as a sentence for an operator.
    fn ready(&self) -> Result<(), Vec<String>>;
}

#[derive(Clone)]
struct Admin {
    source: Arc<dyn StatusSource>,
    metrics: Arc<Metrics>,
}

/// The routes of the admin listener.
pub fn router(source: Arc<dyn StatusSource>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/status", get(status))
        .route("/metrics", get(exposition))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/status.css", asset("text/css; charset=utf-8", include_str!("assets/status.css")))
        .route("/status.js", asset("text/javascript; charset=utf-8", include_str!("assets/status.js")))
        .route("/icon.svg", asset("image/svg+xml", include_str!("assets/icon.svg")))
        .fallback(|| async { (StatusCode::NOT_FOUND, "No such page. The status page is at /\n") })
        .layer(middleware::from_fn(guard::guard))
        .with_state(Admin { source, metrics })
}

#[derive(Deserialize)]
struct Find {
    /// Shows only the sessions and refusals that contain this.
    #[serde(default)]
    q: String,
}

async fn page(State(admin): State<Admin>, Query(find): Query<Find>) -> Response {
    if find.q.len() > STATUS_FILTER {
        return (StatusCode::BAD_REQUEST, "That is too long to look for.\n").into_response();
    }
    let page = view::Page::new(&admin.source.status(), admin.source.ready().err(), &find.q);
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the status page could not be made");
            (StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made; see the log.\n").into_response()
        }
    }
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    Json(admin.source.status())
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// What has to change first.
    not_ready: Vec<String>,
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    match admin.source.ready() {
        Ok(()) => (StatusCode::OK, Json(Readiness { ready: true, not_ready: Vec::new() })),
        Err(not_ready) => (StatusCode::SERVICE_UNAVAILABLE, Json(Readiness { ready: false, not_ready })),
    }
}

async fn exposition(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let (text, kind) = if accepts.into_iter().any(|a| a.contains("application/openmetrics-text")) {
        (admin.metrics.openmetrics(), Metrics::OPENMETRICS)
    } else {
        (admin.metrics.prometheus(), Metrics::PROMETHEUS)
    };
    match text {
        Ok(text) => ([(CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn asset<S: Clone + Send + Sync + 'static>(kind: &'static str, text: &'static str) -> MethodRouter<S> {
    get(move || async move { ([(CONTENT_TYPE, kind)], text) })
}

#[cfg(test)]
mod tests;
