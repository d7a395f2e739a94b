//! What the loops publish: the newest decisions, those before them, and the way to ask a fleet for something.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::commands::Handle;
use crate::leader::Standing;
use crate::report::journal::Journal;
use crate::report::{FleetProblem, GroupStatus, LeaderReport, Status};
use crate::units::Time;

/// What the loops publish.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The newest decisions.
    pub status: Status,
    /// Those before them that differed.
    pub journal: Journal,
    /// How each fleet is asked for something, by its name.
    pub handles: BTreeMap<String, Handle>,
}

/// What an evaluation of a fleet's groups in a region publishes.
#[derive(Debug)]
pub(super) struct Evaluated<'a> {
    /// The fleet and the region.
    pub(super) place: (&'a str, &'a str),
    pub(super) at: Time,
    /// Whether the region could be read.
    pub(super) is_seen: bool,
    pub(super) statuses: Vec<GroupStatus>,
    /// What is wrong with the fleet, in all of its regions.
    pub(super) problems: Vec<FleetProblem>,
}

impl Board {
    /// Starts a new configuration, under which nothing is decided yet. Earlier decisions stay in the journal.
    pub fn begin_anew(&mut self) {
        self.status = Status { leader: self.status.leader.take(), ..Status::default() };
        self.handles.clear();
    }

    /// Replaces the statuses of a fleet in a region by its newest ones. Where the region could not be read they stay as they
    /// were last seen, with the time of that.
    pub(super) fn replace(&mut self, evaluated: Evaluated<'_>) {
        let Evaluated { place: (fleet, region), at, is_seen, mut statuses, problems } = evaluated;
        let Status { time, groups, problems: shown, .. } = &mut self.status;
        *time = Some(at.to_string());
        let before: HashMap<_, _> = groups
            .iter()
            .filter(|group| group.fleet == fleet && group.region == region)
            .map(|group| (group.asg.as_str(), group))
            .collect();
        for status in &mut statuses {
            let known = before.get(status.asg.as_str()).copied();
            status.follow(known);
        }
        groups.retain(|group| group.fleet != fleet || group.region != region || !is_seen);
        shown.retain(|problem| problem.fleet != fleet);
        shown.extend(problems);
        groups.extend(statuses);
        groups.sort_by(|a, b| (&a.fleet, &a.region, &a.asg).cmp(&(&b.fleet, &b.region, &b.asg)));
        self.journal.retain(fleet, groups);
        for group in groups.iter().filter(|group| group.fleet == fleet && group.region == region) {
            self.journal.note(group);
        }
    }

    /// Replaces the status of one group. A group that is not shown yet waits for the evaluation of its fleet.
    pub(super) fn renew(&mut self, mut status: GroupStatus) {
        self.journal.note(&status);
        let same = |shown: &GroupStatus| {
            (&shown.fleet, &shown.region, &shown.asg) == (&status.fleet, &status.region, &status.asg)
        };
        if let Some(shown) = self.status.groups.iter_mut().find(|shown| same(shown)) {
            status.follow(Some(shown));
            *shown = status;
        }
    }
}

/// Keeps the leader on the board for as long as there is an election. `lease` and `identity` are the lease and the name
/// under which this scaler stands for it.
pub async fn show_leader(
    mut standing: watch::Receiver<Standing>,
    (lease, identity): (String, String),
    publish: watch::Sender<Arc<Board>>,
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
            if changed {
                Arc::make_mut(board).status.leader = report;
            }
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
