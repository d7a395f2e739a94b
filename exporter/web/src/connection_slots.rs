//! A fixed number of slots for open connections. When all are taken, a new connection replaces an idle one, so that thousands
//! of them cannot lock other clients out: of the peer that has the most, the one that has been idle longest. A connection
//! is idle until a whole request has come. One with a request in progress is never replaced.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a replaced connection may take to close.
const CLOSING: Duration = Duration::from_secs(1);

/// All slots. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSlots {
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Idle>>,
    /// Wakes a connection that waits for a slot: another one has become idle.
    has_idle: Arc<Notify>,
}

/// Connections without a request, the one that became idle first in front.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    waiting: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

impl Idle {
    /// Removes the connection to replace.
    fn pop(&mut self) -> Option<CancellationToken> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for (peer, _) in self.waiting.values() {
            *counts.entry(*peer).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let (number, _) = self.waiting.iter().find(|(_, (peer, _))| counts[peer] == most)?;
        let number = *number;
        self.waiting.remove(&number).map(|(_, replaced)| replaced)
    }
}

/// A slot that a connection holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: ConnectionSlots,
    peer: IpAddr,
    /// Its key in [`Idle::waiting`] while it is idle.
    number: Mutex<Option<u64>>,
    replaced: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionSlots {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), idle: Arc::default(), has_idle: Arc::default() }
    }

    /// Takes a free slot for a connection of `peer`, or that of an idle connection. The new slot is idle.
    pub(crate) async fn take(&self, peer: IpAddr) -> Slot {
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            let replaced = self.idle().pop();
            if let Some(replaced) = replaced {
                replaced.cancel();
                // A connection whose thread hangs cannot close; the next one is tried then.
                if let Ok(permit) = timeout(CLOSING, self.acquire()).await {
                    break permit;
                }
                continue;
            }
            tokio::select! {
                permit = self.acquire() => break permit,
                () = self.has_idle.notified() => {}
            }
        };
        let replaced = CancellationToken::new();
        let slot = Slot { slots: self.clone(), peer, number: Mutex::default(), replaced, _permit: permit };
        slot.set_idle();
        slot
    }

    async fn acquire(&self) -> OwnedSemaphorePermit {
        self.free.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Waits until another connection takes this slot.
    pub(crate) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }

    /// A request is in progress: the slot cannot be replaced.
    pub(crate) fn set_busy(&self) {
        if let Some(number) = self.number().take() {
            self.slots.idle().waiting.remove(&number);
        }
    }

    /// The connection waits for a request: the slot may be replaced.
    pub(crate) fn set_idle(&self) {
        self.set_busy();
        let mut idle = self.slots.idle();
        let number = idle.next;
        idle.next += 1;
        idle.waiting.insert(number, (self.peer, self.replaced.clone()));
        drop(idle);
        *self.number() = Some(number);
        self.slots.has_idle.notify_one();
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.set_busy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::task::yield_now;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test]
    async fn the_longest_idle_connection_is_replaced_first() {
        let slots = ConnectionSlots::new(2);
        let (first, second) = (slots.take(PEER).await, slots.take(PEER).await);
        // After a request on the first, the second has been idle longest.
        first.set_busy();
        first.set_idle();
        let third = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take(PEER).await }
        });
        second.replaced().await;
        assert!(!first.replaced.is_cancelled());
        drop(second);
        let third = third.await.expect("a slot");
        let fourth = tokio::spawn(async move { slots.take(PEER).await });
        first.replaced().await;
        drop(first);
        fourth.await.expect("a slot");
        assert!(!third.replaced.is_cancelled());
    }

    #[tokio::test]
    async fn a_peer_with_many_connections_replaces_its_own() {
        let slots = ConnectionSlots::new(3);
        let (other, first, _second) =
            (slots.take(OTHER).await, slots.take(PEER).await, slots.take(PEER).await);
        let next = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take(OTHER).await }
        });
        first.replaced().await;
        drop(first);
        next.await.expect("a slot");
        assert!(!other.replaced.is_cancelled());
    }

    #[tokio::test]
    async fn a_connection_that_becomes_idle_twice_is_idle_once() {
        let slots = ConnectionSlots::new(1);
        let slot = slots.take(PEER).await;
        slot.set_idle();
        slot.set_busy();
        assert!(slots.idle().waiting.is_empty());
    }

    #[tokio::test]
    async fn the_next_connection_is_replaced_when_one_does_not_close() {
        let slots = ConnectionSlots::new(2);
        let (hangs, second) = (slots.take(PEER).await, slots.take(PEER).await);
        let third = tokio::spawn(async move { slots.take(PEER).await });
        hangs.replaced().await;
        second.replaced().await;
        drop(second);
        third.await.expect("a slot");
    }

    #[tokio::test]
    async fn a_request_in_progress_is_not_cut() {
        let slots = ConnectionSlots::new(1);
        let busy = slots.take(PEER).await;
        busy.set_busy();
        let other = tokio::spawn(async move { slots.take(PEER).await });
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!other.is_finished() && !busy.replaced.is_cancelled());
        // The answer is sent: from now on the connection may be replaced.
        busy.set_idle();
        busy.replaced().await;
        drop(busy);
        other.await.expect("a slot");
    }

    #[tokio::test]
    async fn a_free_slot_is_taken_first() {
        let slots = ConnectionSlots::new(2);
        let first = slots.take(PEER).await;
        let second = slots.take(PEER).await;
        drop(second);
        let _third = slots.take(PEER).await;
        assert!(!first.replaced.is_cancelled());
    }
}
