//! What systemd is told. Without systemd nothing is told, and nothing changes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};

use crate::workers::Workers;

/// It serves, or serves again.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// It reads its configuration; [`ready`] ends it.
pub(crate) fn reloading() {
    // With Type=notify-reload the time tells one reload from another.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// It ends.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

/// Tells systemd that it is alive, twice in each period of its watchdog, as long as `app` answers: each time a request
/// goes through the queue of every worker and the routes, as a client's would.
pub(crate) async fn watchdog(app: Router, workers: Arc<Workers>) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else { return };
    let mut beat = time::interval(period / 2);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if time::timeout(period / 4, all_answer(&workers, &app)).await == Ok(true) {
            notify(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("no answer to a request of its own: systemd is not told that it is alive");
        }
    }
}

async fn all_answer(workers: &Workers, app: &Router) -> bool {
    // All are asked before one is waited for: that one is slow says nothing of the others.
    let asked: Vec<_> = workers.runtimes().map(|worker| worker.spawn(answers(app.clone()))).collect();
    for answer in asked {
        if !answer.await.unwrap_or(false) {
            return false;
        }
    }
    true
}

async fn answers(app: Router) -> bool {
    let request = Request::get("/-/healthy").body(Body::empty()).expect("a request");
    match TowerToHyperService::new(app).call(request).await {
        Ok(response) => response.status().is_success(),
        Err(never) => match never {},
    }
}
