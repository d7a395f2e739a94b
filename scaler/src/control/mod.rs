//! The loops: wait → ask → assemble → decide → perform → publish.
//!
//! Owns which loops there are: one for each fleet in each of its regions, so that neither a slow fleet nor a region that
//! answers late or never delays another one. [`regional`] has the loop, and [`fleetwide`] what the regions of a fleet share.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::cloud::CloudError;
use crate::cloud::client::LONGEST;
use crate::config::Fleet;
use crate::leader::Lead;
use crate::report::{FleetProblem, GroupStatus};
use crate::units::{Period, Time};

mod after;
mod ask;
mod assemble;
mod before_drain;
mod board;
mod claims;
mod commands;
mod deps;
mod execute;
mod facts;
mod fleetwide;
mod held_hooks;
mod ledger;
mod looks;
mod orders;
mod paused;
mod pulse;
mod regional;
mod release;
#[cfg(test)]
mod stage;
mod view;

pub use board::{Board, show_leader};
pub use claims::{Claims, Overlap, check_apart};
pub use commands::{Busy, Handle};
pub use deps::{Clock, Deps, World};
pub use orders::{Accepted, Order, OrderError, Then, Wanted};
pub use pulse::Pulse;
pub use regional::WAKES_APART;
pub use release::Released;

use fleetwide::Fleetwide;
use regional::Regional;

/// A fleet under control.
#[derive(Debug)]
pub struct Controller<W: World> {
    fleet: Arc<Fleet>,
    deps: Arc<Deps<W>>,
    fleetwide: Arc<Fleetwide<W>>,
    /// The distance of grid points.
    tick: Period,
    regions: Vec<Regional<W>>,
}

impl<W: World> Controller<W> {
    /// A controller that has seen nothing yet. `None` for a fleet without policies, which no valid configuration has.
    pub fn new(fleet: Fleet, deps: Deps<W>) -> Option<Self> {
        let tick = fleet.policy.smallest_period()?;
        deps.telemetry.fleet_known(&fleet.name);
        let (fleet, deps) = (Arc::new(fleet), Arc::new(deps));
        let fleetwide = Arc::new(Fleetwide::new(Arc::clone(&fleet), Arc::clone(&deps), tick));
        let new = |region| Regional::new((&fleet, &deps), &fleetwide, region, tick);
        let regions = deps.regions.iter().map(new).collect();
        Some(Self { fleet, deps, fleetwide, tick, regions })
    }

    /// Observes and decides as of the newest grid point at `now`, and changes nothing. Returns also what went wrong.
    pub async fn plan(&mut self, now: Time) -> (Vec<GroupStatus>, Vec<FleetProblem>) {
        let at = now.floor(self.tick);
        let planned = join_all(self.regions.iter_mut().map(|region| region.plan(at, LONGEST))).await;
        (planned.into_iter().flatten().collect(), self.fleetwide.problems())
    }

    /// Gives every group of the fleet back; without `does`, only says what that means. What could not be read comes second.
    pub async fn release(&mut self, now: Time, does: bool) -> (Vec<Released>, Vec<String>) {
        let at = now.floor(self.tick);
        let released = self.regions.iter_mut().map(|region| region.release(at, does, LONGEST));
        let released = join_all(released).await.into_iter().flatten().collect();
        (released, self.fleetwide.failures())
    }

    /// The scaler's tags on every group of the fleet, and how long it takes until a service that runs changes those of a
    /// drain.
    pub async fn tags(&self) -> Result<(Vec<(String, String)>, Duration), CloudError> {
        Ok((release::tags_of(&self.deps, &self.fleet.asg.groups).await?, self.tick.duration()))
    }
}

/// Runs each fleet in each of its regions as a task of its own until `stop`, and returns once all have finished their
/// current evaluation.
/// `clock` is the time since 1970: the service has the system's, each scaler of a simulation its own. When the lead is
/// lost, evaluations are aborted. If a task panics, which is a defect of this program, the others are stopped as well, so
/// that a supervisor restarts the process.
pub async fn run<W: World>(
    controllers: Vec<Controller<W>>,
    clock: impl Fn() -> Duration + Clone + Send + 'static,
    publish: &watch::Sender<Arc<Board>>,
    lead: &Lead,
    stop: &CancellationToken,
) -> Result<(), JoinError> {
    if controllers.is_empty() {
        // A shard may have no fleet.
        tokio::select! {
            () = lead.lost() => {}
            () = stop.cancelled() => {}
        }
        return Ok(());
    }
    let (mut handles, mut loops) = (BTreeMap::new(), Vec::new());
    for controller in controllers {
        let Fleet { name, dry_run, asg, .. } = &*controller.fleet;
        let labels = (asg.label.as_str(), asg.region_label.as_deref());
        let regions = controller.regions.iter().map(Regional::region);
        let (handle, ends) = Handle::new(name, *dry_run, labels, controller.tick, regions);
        handles.insert(name.to_string(), handle);
        loops.extend(controller.regions.into_iter().zip(ends));
    }
    // All at once: who waits for the handles waits for all of them.
    publish.send_modify(|board| Arc::make_mut(board).handles.extend(handles));
    let mut tasks = JoinSet::new();
    for (region, (commands, pulse)) in loops {
        tasks.spawn(region.run(clock.clone(), publish.clone(), commands, stop.clone(), pulse));
    }
    let mut lost = pin!(lead.lost());
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            biased;
            () = &mut lost => {
                tasks.shutdown().await;
                return outcome;
            }
            ended = tasks.join_next() => {
                let Some(ended) = ended else { return outcome };
                if ended.is_err() {
                    stop.cancel();
                }
                outcome = outcome.and(ended);
            }
        }
    }
}

#[cfg(test)]
mod apart_tests;
