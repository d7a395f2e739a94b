//! `--web.max-requests`: a bound on the requests for metrics that are served at the same time, as
//! Prometheus' own exporters have. Health routes are never held back by it.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
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

    /// The answer of `next`, or a refusal.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        if request.uri().path() != &*self.path {
            return next(request).await;
        }
        if let Ok(_held_while_it_runs) = self.free.try_acquire() {
            return next(request).await;
        }
        self.telemetry.refused(Refusal::MaxRequests);
        let text = format!("limit of {} concurrent requests reached, try again later\n", self.max);
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
