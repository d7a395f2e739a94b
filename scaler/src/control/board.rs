//! What the loops publish: the newest decisions, those before them, and the way to ask a fleet for something.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::Arc;

use futures::future::select_all;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::commands::Handle;
use crate::leader::{Leadership, Standing};
use crate::report::journal::Journal;
use crate::report::{FleetProblem, GroupStatus, LeaderReport, ShardReport, Status};
use crate::shards::Shard;
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
    /// Starts a new configuration of a shard, under which nothing is decided yet. Earlier decisions stay in the journal.
    pub fn begin_anew(&mut self, shard: Shard) {
        self.handles.retain(|fleet, _| !shard.has(fleet));
        self.status.groups.retain(|group| !shard.has(&group.fleet));
        self.status.problems.retain(|problem| !shard.has(&problem.fleet));
        if self.handles.is_empty() {
            self.status.time = None;
        }
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

/// Keeps the leader on the board for as long as there is an election. `base` is what the first lease says, and `places` what
/// those of the shards say, if there are any. `lease` and `identity` are the name of the first lease and the one under which
/// this scaler stands for it.
pub async fn show_leader(
    mut base: Leadership,
    mut places: Vec<Leadership>,
    (lease, identity): (String, String),
    publish: watch::Sender<Arc<Board>>,
) {
    loop {
        let standing = base.standing();
        let shards: Vec<_> = places.iter().map(Leadership::standing).collect();
        let report = |(shard, standing): (usize, &Standing)| ShardReport {
            shard,
            leading: standing.until().is_some(),
            holder: standing.holder().map(str::to_owned),
        };
        let shown: Vec<_> = shards.iter().enumerate().map(report).collect();
        let leading =
            if shown.is_empty() { standing.until().is_some() } else { shown.iter().any(|it| it.leading) };
        let (lease, identity) = (lease.clone(), identity.clone());
        let holder = standing.holder().map(str::to_owned);
        let report = Some(LeaderReport { lease, identity, leading, holder, shards: shown });
        publish.send_if_modified(|board| {
            let changed = board.status.leader != report;
            if changed {
                Arc::make_mut(board).status.leader = report;
            }
            changed
        });
        let until = shards.iter().chain([&standing]).filter_map(Standing::until).min();
        let over = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        };
        let changes = std::iter::once(&mut base).chain(&mut places).map(|it| Box::pin(it.changed()));
        tokio::select! {
            _ = select_all(changes) => {}
            () = over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::shards::Shards;
    use crate::units::FleetName;

    #[test]
    fn a_shard_that_begins_anew_leaves_the_others_as_they_are() {
        let fleets = ["jvb", "jibri"];
        let handle = |fleet| Handle::for_tests(&FleetName::new(fleet), ("asg", None)).0;
        let group = |fleet: &str| GroupStatus { fleet: fleet.to_owned(), ..sample::group() };
        let problem = |fleet: &str| FleetProblem { fleet: fleet.to_owned(), text: "no group".to_owned() };
        let mut board = Board {
            handles: fleets.map(|fleet| (fleet.to_owned(), handle(fleet))).into(),
            ..Board::default()
        };
        board.status.time = Some("now".to_owned());
        board.status.groups = fleets.map(group).into();
        board.status.problems = fleets.map(problem).into();
        let shards = Shards::try_new(8).expect("a number");
        let left = |board: &Board| -> Vec<String> {
            let Status { groups, problems, .. } = &board.status;
            let groups = groups.iter().map(|it| it.fleet.clone());
            let problems = problems.iter().map(|it| it.fleet.clone());
            groups.chain(problems).chain(board.handles.keys().cloned()).collect()
        };
        board.begin_anew(shards.of("jvb"));
        assert_eq!((left(&board), board.status.time.is_some()), (vec!["jibri".to_owned(); 3], true));
        board.begin_anew(shards.of("jibri"));
        assert_eq!((left(&board), board.status.time.is_some()), (Vec::new(), false));
    }
}
