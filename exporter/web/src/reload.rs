//! Reloads the configuration at SIGHUP and `POST /-/reload`.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::time::Instant;

use crate::active_config::ActiveConfig;
use crate::reload_status::{ReloadStatus, WEB};
use crate::systemd;

/// The least time from the beginning of one reload to that of the next: a reload builds every client anew, and anybody who
/// reaches the port may ask for one where no users are configured.
const APART: Duration = Duration::from_secs(1);

type BoxError = Box<dyn Error + Send + Sync>;
type Reloading = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type Handler = Arc<dyn Fn() -> Reloading + Send + Sync>;

/// Reloads every part of the configuration: the web configuration, and the parts that a program registers with
/// [`Self::add`]. Clones share the parts.
#[derive(Clone)]
pub struct Reloads {
    web: Arc<ActiveConfig>,
    status: Arc<ReloadStatus>,
    handlers: Arc<Mutex<Vec<(&'static str, Handler)>>>,
    last: Arc<tokio::sync::Mutex<Option<Last>>>,
}

/// The last reload.
struct Last {
    began: Instant,
    outcome: Result<(), ReloadError>,
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloads").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Parts that could not be reloaded. Their previous versions stay in force.
#[derive(Clone, Debug, thiserror::Error)]
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
    pub(crate) fn new(web: Arc<ActiveConfig>, status: Arc<ReloadStatus>) -> Self {
        Self { web, status, handlers: Arc::default(), last: Arc::default() }
    }

    /// Registers a part. `part` is its name and fits after "the", as in "configuration". `reload` puts the new version in
    /// force, or keeps the old one and returns why.
    pub fn add<F, R, E>(&self, part: &'static str, reload: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let handler: Handler = Arc::new(move || {
            let reloading = reload();
            Box::pin(async move { reloading.await.map_err(Into::into) })
        });
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).push((part, handler));
    }

    /// Reloads every part, also after one of them has failed. Reloads begin a second apart; one answers all who asked before
    /// it began.
    /// Fails if a part could not be reloaded; the error names each of them.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(last) = &*last {
            if last.began > asked {
                return last.outcome.clone();
            }
            tokio::time::sleep_until(last.began + APART).await;
        }
        let began = Instant::now();
        let outcome = self.reload_parts().await;
        *last = Some(Last { began, outcome: outcome.clone() });
        outcome
    }

    async fn reload_parts(&self) -> Result<(), ReloadError> {
        systemd::reloading();
        let mut parts = Vec::new();
        // It reports to `status` itself, as it does when a request finds the file changed.
        if let Err(error) = self.web.reload() {
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

    /// Reports that a part noticed a change of its files, and what became of it: the new version is in force, or `outcome`
    /// says why it is not.
    pub fn noticed(&self, part: &'static str, outcome: Result<(), &(dyn Error + 'static)>) {
        match outcome {
            Ok(()) => self.status.reloaded(part),
            Err(error) => self.status.refused(part, &chain(error)),
        }
    }

    pub(crate) fn route(self) -> Router {
        Router::new().route("/-/reload", post(answer)).with_state(self)
    }
}

async fn answer(State(reloads): State<Reloads>) -> (StatusCode, String) {
    match reloads.reload().await {
        Ok(()) => (StatusCode::OK, "reloaded\n".to_owned()),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to {error}\nthe previous one stays in force\n"),
        ),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    fn counted() -> (Reloads, Arc<AtomicU32>) {
        let status = Arc::new(ReloadStatus::new());
        let web = ActiveConfig::start(None, status.clone()).expect("no file");
        let reloads = Reloads::new(Arc::new(web), status);
        let count = Arc::new(AtomicU32::default());
        let counting = count.clone();
        reloads.add("part", move || {
            let number = counting.fetch_add(1, Ordering::Relaxed) + 1;
            async move { if number.is_multiple_of(2) { Err(format!("failure {number}")) } else { Ok(()) } }
        });
        (reloads, count)
    }

    #[tokio::test(start_paused = true)]
    async fn one_reload_answers_all_who_asked_before_it_began() {
        let (reloads, count) = counted();
        let start = Instant::now();
        let answers = join_all((0..20).map(|_| reloads.reload())).await;
        assert_eq!((count.load(Ordering::Relaxed), start.elapsed()), (2, APART));
        let texts: Vec<_> = answers.into_iter().map(|it| it.map_err(|error| error.to_string())).collect();
        assert_eq!(texts[0], Ok(()));
        assert_eq!(texts[1..], vec![Err("reload the part: failure 2".to_owned()); 19]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_after_a_reload_began_gets_a_reload_of_its_own_a_second_later() {
        let (reloads, count) = counted();
        let start = Instant::now();
        reloads.reload().await.expect("the first");
        tokio::time::advance(Duration::from_millis(400)).await;
        reloads.reload().await.expect_err("the second");
        assert_eq!((count.load(Ordering::Relaxed), start.elapsed()), (2, APART));
        tokio::time::advance(Duration::from_secs(5)).await;
        reloads.reload().await.expect("the third");
        assert_eq!((count.load(Ordering::Relaxed), start.elapsed()), (3, APART + Duration::from_secs(5)));
    }
}
