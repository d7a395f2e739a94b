//! The routes of the service.
//!
//! Owns which path leads where, and content types. It shows the state that the loops have published; pages also ask
//! Prometheus for the past. Requests that change something go to the loop of a fleet as a command.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jitsi_web::exposition;
use serde::Deserialize;
use serde_json::json;

mod change;
mod forms;
mod notifications;
mod orders;
mod page;
mod pages;
mod past;
mod pause;
mod served;
mod webhook;

pub use past::Past;
pub use served::Served;
use served::{DECISIONS, DESCRIPTION, FLEETS, STATUS, WEBHOOK};

/// The metrics cannot have the path of another route.
#[derive(Debug, thiserror::Error)]
#[error(
    "serve metrics at {0}, as --web.telemetry-path asks: the path is taken; choose another, such as /metrics"
)]
pub struct PathTaken(String);

/// The routes: the status page, the API and the metrics at `telemetry_path`.
pub fn router(served: Served, telemetry_path: &str) -> Result<Router, PathTaken> {
    if telemetry_path.starts_with("/api/v1/") || telemetry_path.starts_with(FLEETS) {
        return Err(PathTaken(telemetry_path.to_owned()));
    }
    // Relative, as all links of the pages: a proxy may serve them below a path of its own.
    let metrics_link: Arc<str> = telemetry_path.trim_start_matches('/').into();
    let at_home = move |State(served): State<Served>, Query(asked): Query<page::Asked>| {
        pages::home(served, asked, Arc::clone(&metrics_link))
    };
    Ok(Router::new()
        .route("/", get(at_home))
        .route("/fleets/{fleet}/{asg}", get(pages::group))
        .route("/fleets/{fleet}/{asg}/{action}", post(forms::submit))
        .route(STATUS, get(status))
        .route(DECISIONS, get(decisions))
        .route(DESCRIPTION, get(describe))
        .route(WEBHOOK, post(webhook::receive))
        .route("/api/v1/fleets/{fleet}/{asg}/pause", post(pause::pause))
        .route("/api/v1/fleets/{fleet}/{asg}/resume", post(pause::resume))
        .route("/api/v1/fleets/{fleet}/{asg}/instances/{id}/drain", post(orders::drain))
        .route("/api/v1/fleets/{fleet}/{asg}/instances/{id}/undrain", post(orders::undrain))
        .route(telemetry_path, get(metrics))
        .with_state(served))
}

async fn status(State(served): State<Served>) -> Response {
    Json(&served.board().status).into_response()
}

/// A filter of decisions; a key that is absent matches all.
#[derive(Debug, Deserialize)]
struct Asked {
    fleet: Option<String>,
    asg: Option<String>,
    region: Option<String>,
    limit: Option<usize>,
}

async fn decisions(State(served): State<Served>, Query(asked): Query<Asked>) -> Response {
    let board = served.board();
    let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
    let groups = board.status.groups.iter().filter(|group| {
        is(&asked.fleet, &group.fleet) && is(&asked.asg, &group.asg) && is(&asked.region, &group.region)
    });
    let groups: Vec<_> = groups
        .map(|group| {
            let kept = board.journal.of(&group.fleet, &group.region, &group.asg);
            let kept: Vec<_> = kept.take(asked.limit.unwrap_or(usize::MAX)).map(AsRef::as_ref).collect();
            json!({"fleet": group.fleet, "asg": group.asg, "region": group.region, "decisions": kept})
        })
        .collect();
    Json(json!({"groups": groups})).into_response()
}

async fn describe() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/yaml")], include_str!("../../openapi.yml"))
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    exposition::respond(&headers, |format| exposition::encode_registry(&served.registry, format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_taken_is_refused() {
        let error = PathTaken(STATUS.to_owned());
        insta::assert_snapshot!(format!("failed to {error}"), @"failed to serve metrics at /api/v1/status, as --web.telemetry-path asks: the path is taken; choose another, such as /metrics");
    }
}
