//! When a region of a fleet was last evaluated. A supervisor restarts a process whose loops hang.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::units::Period;

/// How many periods an evaluation may be late.
const LATE: u32 = 3;
/// How long an evaluation may take with all timeouts of AWS and Prometheus, however short the period is.
const SLOWEST: Duration = Duration::from_mins(5);

/// When a region of a fleet was last evaluated. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse {
    start: Instant,
    /// When the last evaluation ended.
    last: Arc<watch::Sender<Option<Instant>>>,
    bound: Duration,
}

impl Pulse {
    /// The pulse of a region that is about to be evaluated for the first time, and then after each `tick`.
    pub(super) fn new(tick: Period) -> Self {
        let bound = (tick.duration() * LATE).max(SLOWEST);
        Self { start: Instant::now(), last: Arc::default(), bound }
    }

    /// Notes an evaluation.
    pub(crate) fn beat(&self) {
        self.last.send_replace(Some(Instant::now()));
    }

    /// Waits for the first evaluation to end.
    pub async fn first(&self) {
        // It cannot fail: this is the sender.
        let _ = self.last.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the first evaluation has ended.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.last.borrow().is_some()
    }

    /// How long ago the last evaluation was, if it is overdue at `now`.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Option<Duration> {
        let last = self.last.borrow().unwrap_or(self.start);
        Some(now.duration_since(last)).filter(|ago| *ago > self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pulse_is_overdue_after_three_periods_and_no_sooner_than_an_evaluation_may_take() {
        for (period, bound) in [(1, 300), (60, 300), (200, 600)] {
            let pulse = Pulse::new(Period::try_new(Duration::from_secs(period)).expect("a period"));
            tokio::time::advance(Duration::from_secs(100)).await;
            pulse.beat();
            let overdue = |seconds| pulse.overdue(Instant::now() + Duration::from_secs(seconds)).is_some();
            assert_eq!((overdue(bound), overdue(bound + 1)), (false, true));
        }
    }
}
