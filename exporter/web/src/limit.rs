//! `--web.max-requests`: the maximum number of concurrent requests for metrics, as in Prometheus' own exporters. Other
//! routes are not limited.

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
    /// Limits `path` to `max` concurrent requests; 0 means no limit.
    pub(crate) fn new(path: &str, max: usize, telemetry: Telemetry) -> Self {
        let permits = if max == 0 { Semaphore::MAX_PERMITS } else { max.min(Semaphore::MAX_PERMITS) };
        Self { path: path.into(), max, free: Arc::new(Semaphore::new(permits)), telemetry }
    }

    /// Returns the response of `next`, or a refusal.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        if request.uri().path() != &*self.path {
            return next(request).await;
        }
        if let Ok(_permit) = self.free.try_acquire() {
            return next(request).await;
        }
        self.telemetry.refused(Refusal::MaxRequests);
        let text = format!("limit of {} concurrent requests reached, try again later\n", self.max);
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
