//! Notifications to systemd: ready, reloading, stopping and watchdog. Without systemd they do nothing.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};

use crate::worker_threads::WorkerThreads;

/// The server serves, for the first time or after a reload.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it.
pub(crate) fn reloading() {
    // With Type=notify-reload, systemd distinguishes reloads by this time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Shutdown begins.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}

/// Notifies systemd's watchdog twice per period while `app` answers. Each time, a request passes through the queue of
/// every worker thread and the routes, as a request of a client does.
pub(crate) async fn watchdog(app: Router, workers: Arc<WorkerThreads>) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else { return };
    let mut ticks = time::interval(period / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if time::timeout(period / 4, all_respond(&workers, &app)).await == Ok(true) {
            notify(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(
                "no answer to the watchdog's own request: systemd will restart the program unless it recovers"
            );
        }
    }
}

async fn all_respond(workers: &WorkerThreads, app: &Router) -> bool {
    // Start all requests before waiting for one, so that a slow thread does not delay the others' requests.
    let answers: Vec<_> = workers.runtimes().map(|worker| worker.spawn(responds(app.clone()))).collect();
    for answer in answers {
        if !answer.await.unwrap_or(false) {
            return false;
        }
    }
    true
}

async fn responds(app: Router) -> bool {
    let request = Request::get("/-/healthy").body(Body::empty()).expect("a request");
    match TowerToHyperService::new(app).call(request).await {
        Ok(response) => response.status().is_success(),
        Err(never) => match never {},
    }
}
