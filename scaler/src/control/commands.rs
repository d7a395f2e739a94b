//! What a fleet's loops can be asked to do between two grid points.
//!
//! Owns the only way into a loop: a bounded queue. A command asks for an early look, for a pause or for the drain of an
//! instance; no command sets capacity.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::orders::{Accepted, Order, OrderError};
use super::pulse::Pulse;
use crate::cloud::CloudError;
use crate::cloud::tags::Asked;
use crate::report::Trigger;
use crate::telemetry::GroupRef;
use crate::units::{FleetName, Period, Region, Time};

/// How many commands may wait while a fleet is evaluated. Wakes are merged when they are read, and operators pause few
/// groups at a time.
const WAITING: usize = 64;

/// What a fleet can be asked for.
#[derive(Debug)]
pub(super) enum Command {
    /// Look at these groups without waiting for the next grid point.
    Wake(BTreeSet<GroupRef>),
    /// Pause a group until a moment; without one, resume it.
    Pause {
        group: GroupRef,
        until: Option<Time>,
        asked: Asked,
        done: oneshot::Sender<Result<(), CloudError>>,
    },
    /// Drain an instance of a group, or end its drain.
    Order { group: GroupRef, order: Order, done: oneshot::Sender<Result<Accepted, OrderError>> },
}

/// The groups to look at before the next grid point.
#[derive(Debug)]
pub(super) struct Wakes {
    pub(super) groups: BTreeSet<GroupRef>,
    pub(super) trigger: Trigger,
    pub(super) not_before: Instant,
}

impl Default for Wakes {
    fn default() -> Self {
        Self { groups: BTreeSet::new(), trigger: Trigger::Webhook, not_before: Instant::now() }
    }
}

/// The way to ask a fleet's loop for something.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The loop of each region: its queue, and when it was last evaluated.
    loops: BTreeMap<Region, (mpsc::Sender<Command>, Pulse)>,
    /// The fleet.
    pub fleet: FleetName,
    /// Whether it changes nothing.
    pub dry_run: bool,
    /// The label that carries a group's name.
    pub label: String,
    /// The label that carries a group's region, if there is one.
    pub region_label: Option<String>,
}

/// A fleet's queue is full, or its loop has ended. The request may be repeated later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ask the fleet: it is busy or just reloading; try again in some seconds")]
pub struct Busy;

impl<T> From<TrySendError<T>> for Busy {
    fn from(_: TrySendError<T>) -> Self {
        Self
    }
}

impl Handle {
    /// A handle, and for each region the queue from which its commands are received and the pulse that it beats.
    pub(super) fn new<'a>(
        fleet: &FleetName,
        dry_run: bool,
        (label, region_label): (&str, Option<&str>),
        tick: Period,
        regions: impl Iterator<Item = &'a Region>,
    ) -> (Self, Vec<(mpsc::Receiver<Command>, Pulse)>) {
        let (loops, ends) = regions
            .map(|region| {
                let (commands, queue) = mpsc::channel(WAITING);
                let pulse = Pulse::new(tick);
                ((region.clone(), (commands, pulse.clone())), (queue, pulse))
            })
            .unzip();
        let (label, region_label) = (label.to_owned(), region_label.map(str::to_owned));
        (Self { loops, fleet: fleet.clone(), dry_run, label, region_label }, ends)
    }

    /// A handle whose commands only the test receives.
    #[cfg(test)]
    pub(crate) fn for_tests(
        fleet: &FleetName,
        labels: (&str, Option<&str>),
    ) -> (Self, Box<dyn std::any::Any>) {
        let minute = Period::try_new(std::time::Duration::from_mins(1)).expect("a minute");
        let regions = ["us-east-1", "eu-west-1"].map(Region::new);
        let (handle, queues) = Self::new(fleet, false, labels, minute, regions.iter());
        (handle, Box::new(queues))
    }

    /// When each of its regions was last evaluated.
    pub fn pulses(&self) -> impl Iterator<Item = &Pulse> {
        self.loops.values().map(|(_, pulse)| pulse)
    }

    /// Asks for an early look at these groups.
    pub fn wake(&self, groups: BTreeSet<GroupRef>) -> Result<(), Busy> {
        let mut by_region: BTreeMap<Region, BTreeSet<GroupRef>> = BTreeMap::new();
        for group in groups {
            by_region.entry(group.region.clone()).or_default().insert(group);
        }
        // One region that is busy keeps no other one from being woken.
        let sent: Vec<_> =
            by_region.into_iter().map(|(region, groups)| self.send(&region, Command::Wake(groups))).collect();
        sent.into_iter().collect()
    }

    /// Pauses a group until a moment; without one, resumes it. The receiver yields the outcome once that is done.
    pub fn pause(
        &self,
        group: GroupRef,
        until: Option<Time>,
        asked: Asked,
    ) -> Result<oneshot::Receiver<Result<(), CloudError>>, Busy> {
        let (done, answer) = oneshot::channel();
        self.send(&group.region.clone(), Command::Pause { group, until, asked, done })?;
        Ok(answer)
    }

    /// Orders the drain of an instance, or its end. The receiver yields the outcome once the order is noted or refused.
    pub fn order(
        &self,
        group: GroupRef,
        order: Order,
    ) -> Result<oneshot::Receiver<Result<Accepted, OrderError>>, Busy> {
        let (done, answer) = oneshot::channel();
        self.send(&group.region.clone(), Command::Order { group, order, done })?;
        Ok(answer)
    }

    fn send(&self, region: &Region, command: Command) -> Result<(), Busy> {
        Ok(self.loops.get(region).ok_or(Busy)?.0.try_send(command)?)
    }
}
