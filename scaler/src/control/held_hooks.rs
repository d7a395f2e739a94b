//! Keeps hooks holding their instances in regions that cannot be read. A hook does not wait for the region to return:
//! when its time is over AWS terminates what it held, with everyone on it. Any other change needs a look first; a
//! heartbeat only postpones, and AWS refuses it for an instance that is not held any more.
//!
//! Knows only groups that this process has seen. One that starts, reloads or begins to lead during an outage knows none.

use futures::future::join_all;

use super::deps::{Deps, World};
use super::execute;
use super::ledger::Ledger;
use crate::decide;
use crate::decide::policy::FleetPolicy;
use crate::units::{Capacity, Time};

/// Sends the heartbeats that are due in regions that cannot be read, and reports how long their hooks will still hold.
pub(super) async fn hold_on<W: World>(policy: &FleetPolicy, deps: &Deps<W>, ledger: &mut Ledger, at: Time) {
    let holding = ledger.hidden().map(|(view, seen)| async move {
        deps.telemetry.held_unseen(&view.group, &seen, at);
        let effects = decide::heartbeats(policy, &seen, at);
        (view.group.clone(), execute::perform(deps, view, effects, Capacity::ZERO, at).await)
    });
    for (group, done) in join_all(holding).await {
        ledger.note_released(&group, &done.overtaken);
        ledger.note_done(&group, done, at);
    }
}
