//! The routes of the service.
//!
//! Owns paths and content types. What it shows is what the loop has published; it asks nobody.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jitsi_web::exposition;
use jitsi_web::landing::{self, Link};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::report::Status;

/// What the routes serve.
#[derive(Clone, Debug)]
pub struct Served {
    /// The scaler's own metrics.
    pub registry: Arc<Registry>,
    /// The newest decisions.
    pub status: watch::Receiver<Status>,
}

/// Where the newest decisions are.
const STATUS: &str = "/api/v1/status";

/// The metrics cannot have the path of something else.
#[derive(Debug, thiserror::Error)]
#[error(
    "serve metrics at {0}, as --web.telemetry-path asks: the path is taken; choose another, such as /metrics"
)]
pub struct PathTaken(String);

/// The routes: `/`, `/api/v1/status` and the metrics at `telemetry_path`.
pub fn router(served: Served, telemetry_path: &str) -> Result<Router, PathTaken> {
    if telemetry_path == STATUS {
        return Err(PathTaken(telemetry_path.to_owned()));
    }
    let home = landing::page(
        "jitsi-scaler",
        "Scales groups of Jitsi Videobridges and Jibris by what Prometheus says.",
        &[
            Link { href: STATUS, text: "Status: what was decided last, and why" },
            Link { href: telemetry_path, text: "Metrics" },
        ],
    );
    Ok(Router::new()
        .route("/", get(move || std::future::ready(home.clone())))
        .route(STATUS, get(status))
        .route(telemetry_path, get(metrics))
        .with_state(served))
}

async fn status(State(served): State<Served>) -> Response {
    let status = served.status.borrow().clone();
    Json(status).into_response()
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
