//! The service behind its lock, with the clock: what every task of the simulator shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::Effect;
use super::service::Service;

/// Unix seconds, now.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator's one clock; the core takes the time as an argument"
)]
fn unix_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The state that all tasks of the simulator share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    service: Arc<Mutex<Service>>,
    /// The receiver of effects; none without a Jitsi simulator.
    link: Option<UnboundedSender<Effect>>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Shared {
    pub(super) fn new(service: Service, link: Option<UnboundedSender<Effect>>) -> Self {
        Self {
            service: Arc::new(Mutex::new(service)),
            link,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Works on the service at the present time, and sends its effects to the Jitsi simulator.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Service, f64) -> T) -> T {
        // A panic in one test's assertion must not poison the simulator for others.
        let mut service: MutexGuard<'_, Service> =
            self.service.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut service, unix_now());
        for effect in service.cloud.take_effects() {
            if let Some(link) = &self.link {
                // The receiver ends only when the simulator stops.
                let _ = link.send(effect);
            }
        }
        done
    }
}
