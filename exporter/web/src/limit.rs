//! `--web.max-requests`: the maximum number of concurrent requests for metrics, as in Prometheus' own exporters. Each path
//! has a limit of its own, so that requests that hang on one do not close the other. Other routes are not limited.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::telemetry::{Refusal, Telemetry};

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    paths: Vec<(Arc<str>, Arc<Semaphore>)>,
    max: usize,
    telemetry: Telemetry,
}

impl Limit {
    /// A limit of `max` concurrent requests for each path that is added; 0 means no limit.
    pub(crate) fn new(max: usize, telemetry: Telemetry) -> Self {
        Self { paths: Vec::new(), max, telemetry }
    }

    /// Limits `path`.
    pub(crate) fn add(&mut self, path: &str) {
        let permits =
            if self.max == 0 { Semaphore::MAX_PERMITS } else { self.max.min(Semaphore::MAX_PERMITS) };
        self.paths.push((path.into(), Arc::new(Semaphore::new(permits))));
    }

    /// Returns the response of `next`, or a refusal.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let path = request.uri().path();
        let Some((_, free)) = self.paths.iter().find(|(limited, _)| **limited == *path) else {
            return next(request).await;
        };
        if let Ok(_permit) = free.try_acquire() {
            return next(request).await;
        }
        self.telemetry.refused(Refusal::MaxRequests);
        let text = format!("limit of {} concurrent requests reached, try again later\n", self.max);
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
