//! Places for connections, of which there are so many. Who comes when all are taken gets that of
//! the connection that has waited longest for a request: thousands of silent ones keep nobody out.
//! One with a request under way is not among those that are chosen from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a connection may take to go.
const GOING: Duration = Duration::from_secs(1);

/// All places. Clones are handles of the same.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Idle>>,
    /// A connection has become idle while somebody may be waiting.
    has_idle: Arc<Notify>,
}

/// Connections without a request, by how long they have been so.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

/// A place that is taken.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    /// Its number among the idle, while it is one of them.
    number: Mutex<Option<u64>>,
    given_up: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), idle: Arc::default(), has_idle: Arc::default() }
    }

    /// A free place, or that of the connection that has been idle longest; it is idle itself.
    pub(crate) async fn take(&self) -> Place {
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            let oldest = self.idle().waiting.pop_first();
            if let Some((_, oldest)) = oldest {
                oldest.cancel();
                // One whose thread hangs cannot go: another one will.
                if let Ok(permit) = timeout(GOING, self.acquire()).await {
                    break permit;
                }
                continue;
            }
            tokio::select! {
                permit = self.acquire() => break permit,
                () = self.has_idle.notified() => {}
            }
        };
        let given_up = CancellationToken::new();
        let place = Place { places: self.clone(), number: Mutex::default(), given_up, _permit: permit };
        place.set_idle();
        place
    }

    async fn acquire(&self) -> OwnedSemaphorePermit {
        self.free.clone().acquire_owned().await.expect("it is never closed")
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Ends once the place is another's.
    pub(crate) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }

    /// A request is under way.
    pub(crate) fn set_busy(&self) {
        if let Some(number) = self.number().take() {
            self.places.idle().waiting.remove(&number);
        }
    }

    /// It waits for a request.
    pub(crate) fn set_idle(&self) {
        let mut idle = self.places.idle();
        let number = idle.next;
        idle.next += 1;
        idle.waiting.insert(number, self.given_up.clone());
        drop(idle);
        *self.number() = Some(number);
        self.places.has_idle.notify_one();
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set_busy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn who_waited_longest_goes_first() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        // A request makes the second the one that has waited longest.
        first.set_busy();
        first.set_idle();
        let third = tokio::spawn({
            let places = places.clone();
            async move { places.take().await }
        });
        second.given_up().await;
        assert!(!first.given_up.is_cancelled());
        drop(second);
        let third = third.await.expect("a place");
        let fourth = tokio::spawn(async move { places.take().await });
        first.given_up().await;
        drop(first);
        fourth.await.expect("a place");
        assert!(!third.given_up.is_cancelled());
    }

    #[tokio::test]
    async fn in_the_place_of_one_that_does_not_go_another_one_does() {
        let places = Places::new(2);
        let (hangs, second) = (places.take().await, places.take().await);
        let third = tokio::spawn(async move { places.take().await });
        hangs.given_up().await;
        second.given_up().await;
        drop(second);
        third.await.expect("a place");
    }

    #[tokio::test]
    async fn a_request_under_way_is_not_cut() {
        let places = Places::new(1);
        let busy = places.take().await;
        busy.set_busy();
        let other = tokio::spawn(async move { places.take().await });
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!other.is_finished() && !busy.given_up.is_cancelled());
        // It has its answer, and waits for the next request: now there is somebody to make room for.
        busy.set_idle();
        busy.given_up().await;
        drop(busy);
        other.await.expect("a place");
    }

    #[tokio::test]
    async fn what_is_free_is_taken_first() {
        let places = Places::new(2);
        let first = places.take().await;
        let second = places.take().await;
        drop(second);
        let _third = places.take().await;
        assert!(!first.given_up.is_cancelled());
    }
}
