//! Keeps hooks holding their instances between two evaluations, also in regions that cannot be read. A hook does not wait
//! for a region to return, or for the next grid point: when its time is over AWS terminates what it held, with everyone on
//! it. Any other change needs a look first; a heartbeat only postpones, and AWS refuses it for an instance that is not held
//! any more.
//!
//! Knows only groups that this process has seen. One that starts, reloads or begins to lead during an outage knows none.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::deps::{Deps, World};
use super::execute;
use super::ledger::Ledger;
use crate::decide;
use crate::decide::policy::FleetPolicy;
use crate::units::{Capacity, Time};

/// How often heartbeats are looked for during the timeout of a hook: twice for each that `decide` sends.
const ROUNDS: u32 = 6;

/// The time between two looks for heartbeats that are due, where a hook holds an instance for `hold` without one.
pub(super) fn distance(hold: Duration) -> Duration {
    hold / ROUNDS
}

/// Sends the heartbeats that are due. Reports how long the hooks will still hold if their region cannot be read.
pub(super) async fn hold_on<W: World>(policy: &FleetPolicy, deps: &Deps<W>, ledger: &mut Ledger, at: Time) {
    let is_unseen = ledger.is_unseen();
    let holding = ledger.held(Instant::now()).map(|(view, seen)| async move {
        if is_unseen {
            deps.telemetry.held_unseen(&view.group, &seen, at);
        }
        let effects = decide::heartbeats(policy, &seen);
        (view.group.clone(), execute::perform(deps, view, effects, Capacity::ZERO, at).await)
    });
    for (group, done) in join_all(holding).await {
        ledger.note_done(&group, done, at);
    }
}
