//! Waiting in tests: for a condition, never for a time.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks: short enough not to be felt, long enough not to be a load.
const PAUSE: Duration = Duration::from_millis(10);

/// The condition did not come true in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the condition did not hold within {0:?}")]
pub struct TimedOut(pub Duration);

/// Asks until the answer is true, for as long as `timeout`.
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
