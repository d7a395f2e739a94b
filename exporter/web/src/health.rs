//! `/-/healthy` and `/-/ready`. The process is healthy if it answers, unless it knows better; [`Readiness`] says whether it is
//! ready.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use tokio::sync::watch;

/// The state that `/-/ready` reports: status 200, or 503 with the reason. Clones share the state.
#[derive(Clone, Debug)]
pub struct Readiness {
    state: Arc<watch::Sender<Result<(), &'static str>>>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(Ok(()))) }
    }

    /// Reports ready from now on.
    pub fn set_ready(&self) {
        self.state.send_modify(|state| *state = Ok(()));
    }

    /// Reports not ready from now on. `reason` fits after "not ready: ".
    pub fn set_unready(&self, reason: &'static str) {
        self.state.send_modify(|state| *state = Err(reason));
    }

    /// Whether the program is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ok()
    }
}

/// Why the process is unhealthy, in words that fit after "unhealthy: ".
pub(crate) type Ailment = Arc<dyn Fn() -> Option<String> + Send + Sync>;

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";

/// Whether a request asks a health route. The answer reveals only the state of the process.
pub(crate) fn is_asked_by<B>(request: &Request<B>) -> bool {
    request.method().is_safe() && [HEALTHY, READY].contains(&request.uri().path())
}

pub(crate) fn routes(readiness: Readiness, ailment: Ailment) -> Router {
    let healthy = move || {
        std::future::ready(match ailment() {
            None => (StatusCode::OK, "healthy\n".to_owned()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("unhealthy: {reason}\n")),
        })
    };
    Router::new().route(HEALTHY, get(healthy)).route(READY, get(ready)).with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let state = *readiness.state.borrow();
    match state {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}
