//! The routes of the service.
//!
//! Owns paths and content types. What it shows is what the loop has published; it asks nobody, and what it is asked for
//! goes to the loop of a fleet as a command.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jitsi_web::exposition;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::control::{Board, Clock};
use crate::report::LeaderReport;
use crate::telemetry::Telemetry;
use crate::units::Time;

mod page;
mod pause;
mod webhook;

/// What the routes serve.
#[derive(Clone)]
pub struct Served {
    /// The scaler's own metrics.
    pub registry: Arc<Registry>,
    /// The newest decisions, and who is asked for something.
    pub board: watch::Receiver<Board>,
    /// The time of day.
    pub clock: Clock,
    /// Whether everybody who comes through has proved who he is, at this moment.
    pub authenticates: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where requests are told.
    pub telemetry: Telemetry,
    /// What alerts have said before.
    ears: Arc<webhook::Ears>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Served {
    /// Everything that is served.
    pub fn new(
        registry: Registry,
        board: watch::Receiver<Board>,
        clock: Clock,
        authenticates: impl Fn() -> bool + Send + Sync + 'static,
        telemetry: Telemetry,
    ) -> Self {
        let (registry, authenticates) = (Arc::new(registry), Arc::new(authenticates));
        Self { registry, board, clock, authenticates, telemetry, ears: Arc::default() }
    }

    /// Who leads, where that is not this scaler.
    fn stands_by(&self) -> Option<String> {
        let board = self.board.borrow();
        board.status.leader.as_ref().filter(|leader| !leader.leading).map(LeaderReport::text)
    }

    fn now(&self) -> Time {
        Time::from_unix(i64::try_from((self.clock)().as_secs()).unwrap_or(i64::MAX))
    }
}

/// Where the newest decisions are.
const STATUS: &str = "/api/v1/status";
/// Where those before them are.
const DECISIONS: &str = "/api/v1/decisions";
/// Where all of this is described.
const DESCRIPTION: &str = "/api/v1/openapi.yml";
/// Where Alertmanager sends its notifications.
const WEBHOOK: &str = "/api/v1/alertmanager";
/// What the paths of groups begin with.
const FLEETS: &str = "/fleets/";

/// The metrics cannot have the path of something else.
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
    let at_home = move |State(served): State<Served>| std::future::ready(home(&served, &metrics_link));
    Ok(Router::new()
        .route("/", get(at_home))
        .route("/fleets/{fleet}/{asg}", get(group))
        .route(STATUS, get(status))
        .route(DECISIONS, get(decisions))
        .route(DESCRIPTION, get(describe))
        .route(WEBHOOK, post(webhook::receive))
        .route("/api/v1/fleets/{fleet}/{asg}/pause", post(pause::pause))
        .route("/api/v1/fleets/{fleet}/{asg}/resume", post(pause::resume))
        .route(telemetry_path, get(metrics))
        .with_state(served))
}

/// Which region, where several have a group of one name.
#[derive(Debug, Default, Deserialize)]
struct Where {
    region: Option<String>,
}

/// A page, with what it may load: its own style and script, and nothing else.
fn html(status: StatusCode, page: maud::Markup) -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, page::CONTENT_POLICY.as_str()),
        (CACHE_CONTROL, "no-store"),
        (axum::http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (axum::http::header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, Html(page.into_string())).into_response()
}

fn home(served: &Served, metrics: &str) -> Response {
    html(StatusCode::OK, page::home(&served.board.borrow(), served.now(), metrics))
}

async fn group(
    State(served): State<Served>,
    Path((fleet, asg)): Path<(String, String)>,
    Query(place): Query<Where>,
) -> Response {
    let board = served.board.borrow();
    match page::group(&board, (&fleet, &asg, place.region.as_deref()), served.now()) {
        Some(page) => html(StatusCode::OK, page),
        None => html(StatusCode::NOT_FOUND, page::no_group(&board, (&fleet, &asg), served.now())),
    }
}

async fn status(State(served): State<Served>) -> Response {
    Json(&served.board.borrow().status).into_response()
}

/// Which decisions are asked for; what is left out stands for all.
#[derive(Debug, Deserialize)]
struct Asked {
    fleet: Option<String>,
    asg: Option<String>,
    region: Option<String>,
    limit: Option<usize>,
}

async fn decisions(State(served): State<Served>, Query(asked): Query<Asked>) -> Response {
    let board = served.board.borrow();
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

/// Whoever is asked to try again later shall not come to the same replica again for sure: a new connection goes to any.
fn elsewhere(status: StatusCode) -> Option<[(HeaderName, &'static str); 1]> {
    (status == StatusCode::SERVICE_UNAVAILABLE).then_some([(CONNECTION, "close")])
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
