//! Metrics and logs of drains, hooks, failing launches and ill instances.

use std::time::Duration;

use super::metrics::{FleetLabels, GroupRef, Telemetry, whole};
use crate::decide::decision::{Decision, NEAR_LIMIT, share_of_limit};
use crate::decide::observation::{Group, Instance, Lifecycle};
use crate::units::{InstanceId, Time};

impl Telemetry {
    /// Sets the gauges of a group as of an evaluation, and logs why it acts without a policy.
    pub fn kept_up(
        &self,
        group: &GroupRef,
        seen: &Group,
        decision: &Decision,
        lacking_since: Option<Time>,
        now: Time,
    ) {
        let gauges = &self.metrics;
        let labels = group.labels();
        let drains = &decision.waiting;
        let held = drains.iter().filter_map(|drain| Some((&drain.instance, drain.held_for, drain.limit?)));
        self.held(group, held);
        let oldest = drains.iter().map(|drain| drain.age).max().unwrap_or_default();
        let lacking = lacking_since.map(|since| now.since(since)).unwrap_or_default();
        for (gauge, value) in [
            (&gauges.oldest_drain_seconds, whole(oldest.as_secs())),
            (&gauges.drains_overdue, whole(drains.iter().filter(|drain| drain.overdue).count())),
            (&gauges.drains_unreachable, whole(drains.iter().filter(|drain| drain.is_unreachable()).count())),
            (&gauges.launch_failing, seen.launch_failures.as_ref().map_or(0, |it| i64::from(it.count))),
            (&gauges.unreached_seconds, whole(lacking.as_secs())),
            (&gauges.ill_instances, whole(seen.instances.iter().filter(|it| it.ill).count())),
        ] {
            gauge.set(labels.clone(), value);
        }
        for cause in &decision.causes {
            of_group!(info, group, cause = cause.text(), "upkeep");
        }
    }

    /// A drain has ended with the removal of its instance, after the time `took`.
    pub fn drained(&self, group: &GroupRef, took: Duration) {
        let labels = FleetLabels { fleet: group.fleet.clone() };
        self.metrics.drain_duration_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Sets the gauge of the hook's limit for a group that cannot be seen, and that was seen last as `seen`.
    pub fn held_unseen(&self, group: &GroupRef, seen: &Group, now: Time) {
        let Some(hook) = &seen.hook else { return };
        let held = seen.instances.iter().filter(|it| it.lifecycle == Lifecycle::Held);
        let since = |it: &Instance| it.held_since.or(it.drain.map(|drain| drain.since));
        self.held(group, held.filter_map(|it| Some((&it.id, now.since(since(it)?), hook.limit))));
    }

    /// Reports for how long a hook has held instances, as a part of its time limit.
    fn held<'i>(&self, group: &GroupRef, held: impl Iterator<Item = (&'i InstanceId, Duration, Duration)>) {
        let mut most = 0.0_f64;
        for (instance, held_for, limit) in held {
            let share = share_of_limit(held_for, limit);
            most = most.max(share);
            if share >= NEAR_LIMIT {
                of_group!(
                    error, group, %instance, ?held_for, ?limit,
                    "the time limit of the hook that holds the instance ends soon, and with it the instance, whatever it carries; end its conferences or recordings by hand if they may not be cut"
                );
            }
        }
        self.metrics.hook_limit_ratio.set(group.labels(), most);
    }

    /// Reports that the hooks of a group, one of which holds an instance, could not be read.
    pub fn hooks_unseen(&self, group: &GroupRef, error: &dyn std::error::Error) {
        let text = "failed to read the lifecycle hooks; instances that they hold get no heartbeat until they can be read";
        self.unseen_of(group, "hooks", text, error);
    }
}
