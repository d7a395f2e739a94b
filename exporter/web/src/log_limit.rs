//! A limit on the lines of a log about one kind of event, so that a client that causes many fills no disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::rate::{Bucket, Rate};

/// How many lines are written at once, and then one a second.
const RATE: Rate = Rate { interval: Duration::from_secs(1), burst: 50 };

/// Counts the lines of one kind.
#[derive(Debug)]
pub struct LogLimit {
    bucket: Bucket,
    left_out: AtomicU64,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { bucket: Bucket::new(RATE, Instant::now()), left_out: AtomicU64::new(0) }
    }
}

impl LogLimit {
    /// Whether a line is written at `now`: how many were left out since the last one, or `None` if it is left out, too.
    pub fn line(&self, now: Instant) -> Option<u64> {
        if self.bucket.take(now) {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_were_left_out_before() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        assert_eq!((0..60).filter_map(|_| limit.line(start)).collect::<Vec<_>>(), [0; 50]);
        let later = start + Duration::from_secs(2);
        assert_eq!([limit.line(later), limit.line(later), limit.line(later)], [Some(10), Some(0), None]);
    }
}
