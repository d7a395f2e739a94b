//! `--web.max-requests`: a bound on the requests for metrics that are served at the same time, as
//! Prometheus' own exporters have. Health routes are never held back by it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::telemetry::{Refusal, Telemetry};

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    path: Arc<str>,
    max: usize,
    free: Arc<Semaphore>,
    telemetry: Telemetry,
}

impl Limit {
    /// Bounds `path` to `max` requests at a time; 0 is no bound.
    pub(crate) fn new(path: &str, max: usize, telemetry: Telemetry) -> Self {
        let permits = if max == 0 { Semaphore::MAX_PERMITS } else { max.min(Semaphore::MAX_PERMITS) };
        Self { path: path.into(), max, free: Arc::new(Semaphore::new(permits)), telemetry }
    }
}

pub(crate) async fn limit(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    if request.uri().path() != &*limit.path {
        return next.run(request).await;
    }
    if let Ok(_held_while_it_runs) = limit.free.try_acquire() {
        return next.run(request).await;
    }
    limit.telemetry.refused(Refusal::MaxRequests);
    let text = format!("limit of {} concurrent requests reached, try again later\n", limit.max);
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
