//! The simulator's one clock. Everything else gets the time as an argument.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Counts from the start of the simulator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// The time since the simulator started.
    pub(super) fn now(self) -> Duration {
        self.began.elapsed()
    }

    /// When something that is due `at` comes, for timers.
    pub(super) fn instant(self, at: Duration) -> Instant {
        self.began + at
    }
}

/// The time of day, read once when a simulator starts.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
pub(super) fn time_of_day() -> Timestamp {
    Timestamp::now()
}
