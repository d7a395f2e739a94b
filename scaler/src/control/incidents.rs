//! What is only looked at when something is the matter: instances that a hook holds, launches that do not come, and what
//! is ill.
//!
//! Owns when AWS is asked about these; a quiet tick asks for none of it.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;

use super::gather::{Memory, lifecycle};
use super::{Deps, World};
use crate::cloud::{Activity, ActivityKind, ActivityOutcome, GroupDescription};
use crate::config::Fleet;
use crate::decide::observation::{Hook, LaunchFailures, Lifecycle};
use crate::observe::questions::Ill;
use crate::telemetry::GroupRef;
use crate::units::Time;

/// For how long the hooks of a group are taken to be what they were.
const HOOKS_KNOWN: Duration = Duration::from_mins(10);

/// What is the matter with the groups of a fleet.
#[derive(Debug)]
pub(super) struct Incidents {
    /// Instances that were seen to be ill.
    pub(super) ill: Ill,
    /// Groups for which AWS fails to launch.
    pub(super) launch_failures: HashMap<GroupRef, LaunchFailures>,
    /// The hook of each group that has an instance held.
    pub(super) hooks: HashMap<GroupRef, Hook>,
}

/// The launches that failed in a row, for groups that lack instances and did so at the last evaluation already, or may
/// have: a process that has just begun does not know.
pub(super) async fn failing_launches<W: World>(
    deps: &Deps<W>,
    memory: &mut Memory,
    described: &[(GroupRef, GroupDescription)],
    at: Time,
) -> HashMap<GroupRef, LaunchFailures> {
    let lacking = described.iter().filter(|(_, it)| lacks(it)).map(|(group, _)| {
        let since = memory.lacking.get(group).copied().unwrap_or(at);
        (group.clone(), since)
    });
    let lacking: HashMap<GroupRef, Time> = lacking.collect();
    // In the order of the description: a simulation replays what happens in one order.
    let asked = described
        .iter()
        .map(|(group, _)| group)
        .filter(|group| lacking.contains_key(*group))
        .filter(|group| memory.lacking.contains_key(*group) || memory.evaluated.is_none())
        .map(|group| async move { (group, deps.cloud.activities(&group.region, &group.name).await) });
    let mut found = HashMap::new();
    for (group, answer) in join_all(asked).await {
        match answer {
            Ok(activities) => found.extend(in_a_row(&activities).map(|failures| (group.clone(), failures))),
            Err(error) => deps.telemetry.activities_unseen(group, &error),
        }
    }
    memory.lacking = lacking;
    found
}

/// Whether a group holds fewer instances than it is asked to.
fn lacks(description: &GroupDescription) -> bool {
    let counts = |state: &str| matches!(lifecycle(state), Lifecycle::Pending | Lifecycle::InService);
    let held = description.instances.iter().filter(|it| counts(&it.lifecycle)).count();
    held < description.desired.get() as usize
}

/// The launches that failed since the last one that did not; `activities` come newest first.
fn in_a_row(activities: &[Activity]) -> Option<LaunchFailures> {
    let ended = activities.iter().filter_map(|activity| {
        let is_launch = matches!(activity.kind, ActivityKind::Launch(_));
        (is_launch && activity.outcome != ActivityOutcome::UnderWay).then_some((activity, activity.ended?))
    });
    let failed: Vec<_> =
        ended.take_while(|(activity, _)| activity.outcome == ActivityOutcome::Failed).collect();
    let (newest, last) = *failed.first()?;
    let count = u32::try_from(failed.len()).unwrap_or(u32::MAX);
    Some(LaunchFailures { count, last, message: newest.message.clone() })
}

/// The hook to serve of each group that has an instance held: the one that the configuration names, or the only one.
pub(super) async fn hooks<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    memory: &mut Memory,
    described: &[(GroupRef, GroupDescription)],
    at: Time,
) -> HashMap<GroupRef, Hook> {
    let has_held =
        |it: &GroupDescription| it.instances.iter().any(|it| lifecycle(&it.lifecycle) == Lifecycle::Held);
    let afflicted: Vec<&GroupRef> =
        described.iter().filter(|(_, it)| has_held(it)).map(|(group, _)| group).collect();
    let known =
        |group: &GroupRef| memory.hooks.get(group).is_some_and(|(_, read)| at.since(*read) < HOOKS_KNOWN);
    let asked: Vec<_> = afflicted.iter().copied().filter(|group| !known(group)).collect();
    let asked = asked
        .into_iter()
        .map(|group| async move { (group, deps.cloud.hooks(&group.region, &group.name).await) });
    for (group, answer) in join_all(asked).await {
        match answer {
            Ok(hooks) => {
                memory.hooks.insert(group.clone(), (hooks, at));
            }
            // What was known of it still serves best.
            Err(error) => deps.telemetry.hooks_unseen(group, &error),
        }
    }
    let served = |group: &GroupRef| {
        let (hooks, _) = memory.hooks.get(group)?;
        match (&fleet.lifecycle_hook, hooks.as_slice()) {
            (Some(name), hooks) => hooks.iter().find(|hook| hook.name == *name),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    };
    afflicted.into_iter().filter_map(|group| Some((group.clone(), served(group)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_since_the_last_success() {
        let launch = |outcome, minute: i64, message: &str| Activity {
            kind: ActivityKind::Launch(None),
            ended: (outcome != ActivityOutcome::UnderWay).then(|| Time::from_unix(minute * 60)),
            outcome,
            message: message.to_owned(),
        };
        let other =
            Activity { kind: ActivityKind::Other, ..launch(ActivityOutcome::Failed, 9, "not a launch") };
        let (failed, well, going) =
            (ActivityOutcome::Failed, ActivityOutcome::Successful, ActivityOutcome::UnderWay);
        let activities = [
            launch(going, 0, ""),
            other.clone(),
            launch(failed, 8, "no capacity"),
            launch(failed, 7, "limit"),
            launch(well, 6, ""),
            launch(failed, 5, "long ago"),
        ];
        let expected =
            LaunchFailures { count: 2, last: Time::from_unix(480), message: "no capacity".to_owned() };
        assert_eq!(in_a_row(&activities), Some(expected));
        assert_eq!(in_a_row(&activities[3..][1..]), None);
        assert_eq!(in_a_row(&[other]), None);
    }
}
