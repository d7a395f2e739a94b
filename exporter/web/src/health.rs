//! `/-/healthy` and `/-/ready`. Healthy is that the process answers; ready is what [`Readiness`]
//! says.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

/// What `/-/ready` answers: 200, or 503 with the reason. Clones are handles of the same state.
#[derive(Clone, Debug)]
pub struct Readiness {
    state: Arc<watch::Sender<Result<(), &'static str>>>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(Ok(()))) }
    }

    /// Ready from now on.
    pub fn set_ready(&self) {
        self.state.send_modify(|state| *state = Ok(()));
    }

    /// Not ready from now on, and why: a text that fits after "not ready: ".
    pub fn set_unready(&self, reason: &'static str) {
        self.state.send_modify(|state| *state = Err(reason));
    }

    /// Whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ok()
    }
}

pub(crate) fn routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/-/healthy", get(async || "healthy\n"))
        .route("/-/ready", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let state = *readiness.state.borrow();
    match state {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}
