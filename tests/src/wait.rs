//! Waiting in tests: for a condition, never for a time.

use std::time::Duration;

use tokio::time::Instant;

/// The interval of polls: too short to delay tests, too long to cause load.
const PAUSE: Duration = Duration::from_millis(10);

/// The condition did not come true in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the condition did not hold within {0:?}")]
pub struct TimedOut(pub Duration);

/// Polls until the answer is true, for at most `timeout`.
pub async fn wait_until(timeout: Duration, mut condition: impl AsyncFnMut() -> bool) -> Result<(), TimedOut> {
    let deadline = Instant::now() + timeout;
    while !condition().await {
        if Instant::now() >= deadline {
            return Err(TimedOut(timeout));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
