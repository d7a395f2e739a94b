//! Reloading: at SIGHUP and `POST /-/reload`, and what became of it.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::live::Live;
use crate::{clock, systemd};

/// The part that is always there.
pub(crate) const WEB: &str = "web configuration";

type BoxError = Box<dyn Error + Send + Sync>;
type Reloading = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type Handler = Arc<dyn Fn() -> Reloading + Send + Sync>;

/// Reads configurations again. Clones are handles of the same.
///
/// The web configuration is one of its parts; a program adds its own with [`Self::add`].
#[derive(Clone)]
pub struct Reloads {
    live: Arc<Live>,
    status: Arc<Status>,
    handlers: Arc<Mutex<Vec<(&'static str, Handler)>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloads").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What could not be read again. What was there before is still in force.
#[derive(Debug, thiserror::Error)]
pub struct ReloadError {
    parts: Vec<(&'static str, String)>,
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (part, error)) in self.parts.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}reload the {part}: {error}")?;
        }
        Ok(())
    }
}

impl Reloads {
    pub(crate) fn new(live: Arc<Live>, status: Arc<Status>) -> Self {
        Self { live, status, handlers: Arc::default(), turn: Arc::default() }
    }

    /// Adds a part: `what` fits after "the", as in "configuration"; `reload` puts the new one in
    /// force, or leaves the old one there and says why.
    pub fn add<F, R, E>(&self, what: &'static str, reload: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let handler: Handler = Arc::new(move || {
            let reloading = reload();
            Box::pin(async move { reloading.await.map_err(Into::into) })
        });
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).push((what, handler));
    }

    /// Reads every part again. One that fails does not keep the others from it.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let _one_at_a_time = self.turn.lock().await;
        systemd::reloading();
        let mut parts = Vec::new();
        // It reports itself, because it also does so when a request finds the file changed.
        if let Err(error) = self.live.reload() {
            parts.push((WEB, error.to_string()));
        }
        let handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (part, reload) in handlers {
            match reload().await {
                Ok(()) => self.status.reloaded(part),
                Err(error) => {
                    let error = chain(&*error);
                    self.status.refused(part, &error);
                    parts.push((part, error));
                }
            }
        }
        systemd::ready();
        if parts.is_empty() { Ok(()) } else { Err(ReloadError { parts }) }
    }

    pub(crate) fn route(self) -> Router {
        Router::new().route("/-/reload", post(answer)).with_state(self)
    }
}

async fn answer(State(reloads): State<Reloads>) -> (StatusCode, String) {
    match reloads.reload().await {
        Ok(()) => (StatusCode::OK, "reloaded\n".to_owned()),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to {error}\nthe old one stays in force\n"))
        }
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// How the last reload went, of every part.
#[derive(Debug)]
pub(crate) struct Status {
    successful: Gauge,
    success_time: Gauge<f64, AtomicU64>,
    failing: Mutex<BTreeSet<&'static str>>,
}

impl Status {
    /// Everything was read once, or the program had not started.
    pub(crate) fn new() -> Self {
        let (successful, success_time) = (Gauge::default(), Gauge::default());
        successful.set(1);
        success_time.set(clock::unix_seconds());
        Self { successful, success_time, failing: Mutex::default() }
    }

    pub(crate) fn register(&self, registry: &mut Registry, prefix: &str) {
        registry.register(
            format!("{prefix}_config_last_reload_successful"),
            "Whether the configuration in force is that of the files: 0 after a reload that was refused",
            self.successful.clone(),
        );
        registry.register(
            format!("{prefix}_config_last_reload_success_timestamp_seconds"),
            "Unix time at which the configuration was last read without a mistake",
            self.success_time.clone(),
        );
    }

    pub(crate) fn reloaded(&self, part: &'static str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.remove(part);
        if failing.is_empty() {
            self.successful.set(1);
            self.success_time.set(clock::unix_seconds());
        }
        tracing::info!(part, "reloaded");
    }

    pub(crate) fn refused(&self, part: &'static str, error: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(part);
        self.successful.set(0);
        tracing::error!(part, error, "not reloaded: what was there before stays in force");
    }
}
