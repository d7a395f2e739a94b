//! The properties that every call of the scaler shares: it takes time, it may fail, and its caller may die in it.
//!
//! Owns the waiting in virtual time. A process that is killed never gets an answer again: what was done before stays
//! done.

use std::future::pending;

use tokio::time::sleep;

use super::world::{Shared, World, length};

/// The course of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate<E> {
    /// How long it takes until it is done, in milliseconds.
    pub(super) before: i64,
    /// How long its answer takes, in milliseconds.
    pub(super) after: i64,
    /// Why it fails, if it does.
    pub(super) failure: Option<E>,
    /// Whether it is done although it fails.
    pub(super) done: bool,
}

impl World {
    /// Notes a call of a scaler, and whether the scaler survives it.
    fn passes(&mut self, scaler: usize, writes: bool) -> bool {
        let process = &mut self.processes[scaler];
        if let Some(left) = process.dies_in.filter(|_| writes || !process.dies_writing) {
            process.dies_in = left.checked_sub(1);
            if left == 0 {
                process.dead = true;
                process.killed.notify_one();
                self.timeline
                    .tell(self.now, None, &[20, scaler as u64], || format!("scaler {scaler} is killed"));
            }
        }
        let dead = self.processes[scaler].dead;
        if dead {
            self.excuse(|_| true);
        }
        !dead
    }
}

/// Makes a call, which `writes` or only reads: `fate` is asked when it leaves, `act` when it arrives.
pub(super) async fn call<T, E: Send>(
    shared: &Shared,
    scaler: usize,
    writes: bool,
    fate: impl FnOnce(&mut World) -> Fate<E> + Send,
    act: impl FnOnce(&mut World) -> Result<T, E> + Send,
) -> Result<T, E> {
    let fate = {
        let mut world = shared.lock();
        world.judge.figures.calls += 1;
        world.passes(scaler, writes).then(|| fate(&mut world))
    };
    let Some(fate) = fate else { return pending().await };
    if fate.before > 0 {
        sleep(length(fate.before)).await;
    }
    let (answer, lives) = {
        let mut world = shared.lock();
        let answer = match fate.failure {
            Some(error) => {
                if fate.done {
                    // The answer is lost.
                    let _ = act(&mut world);
                }
                Err(error)
            }
            None => act(&mut world),
        };
        // Half of the deaths come after a call has done its work, and before its answer arrives.
        let lives = world.passes(scaler, writes);
        (answer, lives)
    };
    if !lives {
        return pending().await;
    }
    if fate.after > 0 {
        sleep(length(fate.after)).await;
    }
    answer
}
