//! What the loop publishes, and what it can be asked to do between two grid points.
//!
//! Owns the way into a fleet's loop: a bounded queue, and no other. A command is a hint or an operator's wish for pace;
//! none of them says what capacity shall be.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::cloud::CloudError;
use crate::leader::Standing;
use crate::report::journal::Journal;
use crate::report::{LeaderReport, Status};
use crate::telemetry::GroupRef;
use crate::units::{FleetName, Time};

/// How many commands of a fleet may wait while it is being evaluated. Wakes are merged when they are read; more than a
/// few pauses at a time are nobody's.
const WAITING: usize = 64;

/// What a fleet can be asked for.
#[derive(Debug)]
pub(super) enum Command {
    /// To look at these groups without waiting for the next grid point.
    Wake(BTreeSet<GroupRef>),
    /// To pause a group until a moment, for a reason; `None` resumes it.
    Pause { group: GroupRef, pause: Option<(Time, String)>, done: oneshot::Sender<Result<(), CloudError>> },
}

/// A fleet's loop as those see it who ask it for something.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    /// The fleet.
    pub fleet: FleetName,
    /// Whether it changes nothing.
    pub dry_run: bool,
    /// The label that carries a group's name.
    pub label: String,
    /// The label that carries a group's region, if there is one.
    pub region_label: Option<String>,
}

/// A fleet's queue is full, or its loop has ended: it may be asked again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ask the fleet: it is busy or just reloading; try again in some seconds")]
pub struct Busy;

impl<T> From<TrySendError<T>> for Busy {
    fn from(_: TrySendError<T>) -> Self {
        Self
    }
}

impl Handle {
    /// A handle, and the end at which its commands come out.
    pub(super) fn new(
        fleet: &FleetName,
        dry_run: bool,
        (label, region_label): (&str, Option<&str>),
    ) -> (Self, mpsc::Receiver<Command>) {
        let (commands, queue) = mpsc::channel(WAITING);
        let (label, region_label) = (label.to_owned(), region_label.map(str::to_owned));
        (Self { commands, fleet: fleet.clone(), dry_run, label, region_label }, queue)
    }

    /// A handle that nobody listens to but the test.
    #[cfg(test)]
    pub(crate) fn for_tests(
        fleet: &FleetName,
        labels: (&str, Option<&str>),
    ) -> (Self, Box<dyn std::any::Any>) {
        let (handle, queue) = Self::new(fleet, false, labels);
        (handle, Box::new(queue))
    }

    /// Has these groups looked at soon.
    pub fn wake(&self, groups: BTreeSet<GroupRef>) -> Result<(), Busy> {
        Ok(self.commands.try_send(Command::Wake(groups))?)
    }

    /// Pauses a group, or resumes it; what is given back tells once that is done.
    pub fn pause(
        &self,
        group: GroupRef,
        pause: Option<(Time, String)>,
    ) -> Result<oneshot::Receiver<Result<(), CloudError>>, Busy> {
        let (done, answer) = oneshot::channel();
        self.commands.try_send(Command::Pause { group, pause, done })?;
        Ok(answer)
    }
}

/// What the loop publishes.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The newest decisions.
    pub status: Status,
    /// Those before them that differed.
    pub journal: Journal,
    /// Who is asked for something, by fleet.
    pub handles: BTreeMap<String, Handle>,
}

/// Keeps who leads on the board, for as long as there is an election. `lease` and `identity` are what this scaler stands
/// for, and as whom.
pub async fn show_leader(
    mut standing: watch::Receiver<Standing>,
    (lease, identity): (String, String),
    publish: watch::Sender<Board>,
) {
    loop {
        let (until, holder) = {
            let standing = standing.borrow_and_update();
            let until = standing.until().filter(|until| Instant::now() < *until);
            (until, standing.holder().map(str::to_owned))
        };
        let (lease, identity) = (lease.clone(), identity.clone());
        let report = Some(LeaderReport { lease, identity, leading: until.is_some(), holder });
        publish.send_if_modified(|board| {
            let changed = board.status.leader != report;
            board.status.leader = report;
            changed
        });
        let over = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return },
            () = over => {}
        }
    }
}

impl Board {
    /// Nothing is decided yet under a new configuration. What was decided before stays in the journal.
    pub fn begin_anew(&mut self) {
        self.status = Status { leader: self.status.leader.take(), ..Status::default() };
        self.handles.clear();
    }
}
