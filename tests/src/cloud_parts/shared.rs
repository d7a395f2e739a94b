//! The service behind its lock, with the clock: what every task of the simulator shares.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Cuts, Effect, GroupKey, Landlord};

/// Unix seconds, now.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator's one clock; the core takes the time as an argument"
)]
fn unix_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The core of a simulator, with what surrounds it except sockets.
pub(crate) trait Core: Debug + Send + 'static {
    /// Why an instance ends.
    type Cause: Copy + Debug + Send + Sync;

    /// Advances the time.
    fn step(&mut self, now: f64);

    /// The effects on other systems, oldest first. Returns each effect once.
    fn take_effects(&mut self) -> Vec<Effect<Self::Cause>>;

    /// Records the address of an instance, from the Jitsi simulator.
    fn set_private_ip(&mut self, group: &GroupKey, instance: &str, address: String);

    /// Records the load of an instance at its shutdown, from the Jitsi simulator.
    fn record_cuts(&mut self, cause: Self::Cause, cuts: Cuts);
}

/// The state that all tasks of the simulator share.
#[derive(Debug)]
pub(crate) struct Shared<S: Core> {
    service: Arc<Mutex<S>>,
    /// The receiver of effects; none without a Jitsi simulator.
    link: Option<UnboundedSender<Effect<S::Cause>>>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl<S: Core> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            link: self.link.clone(),
            stop: self.stop.clone(),
            tasks: self.tasks.clone(),
        }
    }
}

impl<S: Core> Shared<S> {
    pub(crate) fn new(service: S, link: Option<UnboundedSender<Effect<S::Cause>>>) -> Self {
        Self {
            service: Arc::new(Mutex::new(service)),
            link,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Works on the service at the present time, and sends its effects to the Jitsi simulator.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut S, f64) -> T) -> T {
        // A panic in one test's assertion must not poison the simulator for others.
        let mut service: MutexGuard<'_, S> = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut service, unix_now());
        for effect in service.take_effects() {
            if let Some(link) = &self.link {
                // The receiver ends only when the simulator stops.
                let _ = link.send(effect);
            }
        }
        done
    }

    /// Ticks until the simulator is stopped.
    pub(crate) async fn tick(self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.with(S::step);
        }
    }
}

impl<S: Core> Landlord for Shared<S> {
    type Cause = S::Cause;

    fn launched(&self, group: &GroupKey, instance: &str, address: String) {
        self.with(|service, _| service.set_private_ip(group, instance, address));
    }

    fn stopped(&self, cause: S::Cause, cuts: Cuts) {
        self.with(|service, _| service.record_cuts(cause, cuts));
    }
}
