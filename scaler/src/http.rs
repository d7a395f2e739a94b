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

/// The routes: `/`, `/api/v1/status` and the metrics at `telemetry_path`.
pub fn router(served: Served, telemetry_path: &str) -> Router {
    let home = landing::page(
        "jitsi-scaler",
        "Scales groups of Jitsi Videobridges and Jibris by what Prometheus says.",
        &[
            Link { href: "/api/v1/status", text: "Status: what was decided last, and why" },
            Link { href: telemetry_path, text: "Metrics" },
        ],
    );
    Router::new()
        .route("/", get(move || std::future::ready(home.clone())))
        .route("/api/v1/status", get(status))
        .route(telemetry_path, get(metrics))
        .with_state(served)
}

async fn status(State(served): State<Served>) -> Response {
    let status = served.status.borrow().clone();
    Json(status).into_response()
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    exposition::respond(&headers, |format| exposition::encode_registry(&served.registry, format))
}
