//! `rate_limit`: one token bucket for all requests, as in exporter-toolkit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One token per interval, and how many tokens the bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

/// A token bucket, full at first.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, state: Mutex::new(State { tokens: f64::from(rate.burst), at: now }) }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a token, and returns whether there was one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(state.at).as_secs_f64() / self.rate.interval.as_secs_f64();
        state.tokens = (state.tokens + gained).min(f64::from(self.rate.burst));
        state.at = state.at.max(now);
        let takes = state.tokens >= 1.0;
        if takes {
            state.tokens -= 1.0;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_each_interval() {
        let start = Instant::now();
        let bucket = Bucket::new(Rate { interval: Duration::from_secs(2), burst: 3 }, start);
        let takes = |after: f64| bucket.take(start + Duration::from_secs_f64(after));
        assert_eq!([0.0, 0.0, 0.0, 0.0].map(takes), [true, true, true, false]);
        assert_eq!([1.0, 1.9, 2.0, 2.1, 4.0].map(takes), [false, false, true, false, true]);
        assert_eq!([1000.0, 1000.0, 1000.0, 1000.0].map(takes), [true, true, true, false]);
    }

    #[test]
    fn a_clock_that_goes_back_adds_no_token() {
        let start = Instant::now() + Duration::from_secs(10);
        let bucket = Bucket::new(Rate { interval: Duration::from_secs(1), burst: 1 }, start);
        assert!(bucket.take(start));
        assert!(!bucket.take(start - Duration::from_secs(5)));
        assert!(!bucket.take(start));
    }
}
