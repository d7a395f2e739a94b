//! What every call of the scaler has in common: it takes its time, it may fail, and its caller may die in it.
//!
//! Owns the waiting in virtual time. A process that is killed never gets an answer again: what was done before stays
//! done.

use std::future::{Future, pending, poll_fn};
use std::task::Poll;

use super::world::{Shared, World};

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate<E> {
    /// How long it takes until it is done, in milliseconds.
    pub(super) before: i64,
    /// How long its answer takes.
    pub(super) after: i64,
    /// Why it fails, if it does.
    pub(super) failure: Option<E>,
    /// Whether it is done although it fails.
    pub(super) done: bool,
}

impl World {
    /// Notes a call of a scaler, and whether that dies of it.
    fn passes(&mut self, scaler: usize, writes: bool) -> bool {
        let process = &mut self.processes[scaler];
        if let Some(left) = process.dies_in.filter(|_| writes || !process.dies_writing) {
            process.dies_in = left.checked_sub(1);
            if left == 0 {
                process.dead = true;
                self.timeline
                    .tell(self.now, None, &[20, scaler as u64], || format!("scaler {scaler} is killed"));
            }
        }
        let dead = process.dead;
        if dead {
            self.excuse(|_| true);
        }
        !dead
    }
}

/// Waits until `at` in virtual time.
fn until(shared: &Shared, at: i64) -> impl Future<Output = ()> + Send + '_ {
    poll_fn(move |context| {
        let mut world = shared.lock();
        if world.now >= at {
            return Poll::Ready(());
        }
        world.timers.push((at, context.waker().clone()));
        Poll::Pending
    })
}

/// Makes a call, which `writes` or only reads: `fate` is asked when it leaves, `act` when it arrives.
pub(super) async fn call<T, E: Send>(
    shared: &Shared,
    scaler: usize,
    writes: bool,
    fate: impl FnOnce(&mut World) -> Fate<E> + Send,
    act: impl FnOnce(&mut World) -> Result<T, E> + Send,
) -> Result<T, E> {
    let (fate, left) = {
        let mut world = shared.lock();
        world.judge.figures.calls += 1;
        if world.passes(scaler, writes) {
            let fate = fate(&mut world);
            let left = world.now;
            (Some(fate), left)
        } else {
            (None, 0)
        }
    };
    let Some(fate) = fate else { return pending().await };
    if fate.before > 0 {
        until(shared, left + fate.before).await;
    }
    let (answer, lives) = {
        let mut world = shared.lock();
        let answer = match fate.failure {
            Some(error) => {
                if fate.done {
                    // Whatever it would have said is lost.
                    let _ = act(&mut world);
                }
                Err(error)
            }
            None => act(&mut world),
        };
        // Half of the deaths come after a call has done its work, and before anybody heard of it.
        let lives = world.passes(scaler, writes);
        (answer, lives)
    };
    if !lives {
        return pending().await;
    }
    if fate.after > 0 {
        until(shared, left + fate.before + fate.after).await;
    }
    answer
}
