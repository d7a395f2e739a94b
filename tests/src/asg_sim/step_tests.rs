//! The core over time, without sockets or clocks: the time is a number that the test moves.

use super::error::ErrorCode;
use super::ledger::{Cuts, Effect};
use super::model::{
    ActionResult, ActivityStatus, Cause, Component, Group, GroupKey, Lifecycle, Process, Timing, Transition,
};
use super::spec::{GroupSpec, HookSpec};
use super::state::{ActionOf, Cloud};
use super::writes::TagWrite;

const REGION: &str = "us-east-1";
const NAME: &str = "prod-jvb";

/// A cloud with one group, and the time.
struct World {
    cloud: Cloud,
    now: f64,
}

impl World {
    /// The group's launches take ten seconds, its terminations five.
    fn new(spec: &GroupSpec) -> Self {
        let timing = Timing { launch: 10.0, boot: 3.0, terminate: 5.0, launch_retry: 30.0 };
        let mut cloud = Cloud::new(1, timing);
        let now = 1_700_000_000.0;
        cloud.put_group(&key(), spec, now).expect("a good group");
        Self { cloud, now }
    }

    /// The same, after its first instances have entered service.
    fn settled(spec: &GroupSpec) -> Self {
        let mut world = Self::new(spec);
        world.pass(12);
        let _ = world.cloud.take_effects();
        world
    }

    /// Advances the time by seconds, one at a time.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.cloud.step(self.now);
            self.now += 1.0;
        }
    }

    fn group(&self) -> &Group {
        self.cloud.groups().get(REGION, NAME).expect("the group is there")
    }

    fn id(&self, at: usize) -> String {
        self.group().instances[at].id.clone()
    }

    fn state(&self, id: &str) -> Option<Lifecycle> {
        self.group().instance(id).map(|instance| instance.state)
    }

    fn terminate(&mut self, id: &str, decrement: bool) -> Result<(), ErrorCode> {
        self.cloud.terminate(REGION, id, decrement, self.now).map(drop).map_err(|error| error.code)
    }

    fn stopped(&mut self) -> Vec<(String, Cause)> {
        let stopped = |effect| match effect {
            Effect::Stopped { instance, cause, .. } => Some((instance, cause)),
            Effect::Launched { .. } => None,
        };
        self.cloud.take_effects().into_iter().filter_map(stopped).collect()
    }
}

fn key() -> GroupKey {
    GroupKey::new(REGION, NAME)
}

fn sized(desired: u32) -> GroupSpec {
    GroupSpec {
        min: 1,
        max: Some(8),
        desired: Some(desired),
        component: Some(Component::Jvb),
        ..GroupSpec::default()
    }
}

fn hooked(desired: u32, transition: Transition, heartbeat_timeout: u32) -> GroupSpec {
    let default_result = ActionResult::Abandon;
    let hook = HookSpec { name: "drain".into(), transition, heartbeat_timeout, default_result };
    GroupSpec { hooks: vec![hook], ..sized(desired) }
}

#[test]
fn launches_are_spread_over_the_zones_and_told_once() {
    let mut world = World::new(&sized(6));
    world.pass(1);
    assert!(world.group().instances.iter().all(|instance| instance.state == Lifecycle::Pending));
    let mut zones: Vec<_> = world.group().instances.iter().map(|one| one.zone.as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1b", "us-east-1c", "us-east-1c"]);
    assert_eq!(world.cloud.take_effects().len(), 6);
    world.pass(9);
    assert_eq!(world.state(&world.id(0)), Some(Lifecycle::Pending), "nine seconds are not ten");
    world.pass(1);
    assert_eq!(world.state(&world.id(0)), Some(Lifecycle::InService));
    assert!(world.cloud.take_effects().is_empty());
    assert_eq!(world.cloud.counters().launched, 6);
}

#[test]
fn the_same_seed_gives_the_same_instances() {
    let (one, two) = (World::settled(&sized(4)), World::settled(&sized(4)));
    assert_eq!(one.id(3), two.id(3));
}

#[test]
fn desired_is_held_to_the_bounds() {
    let mut world = World::settled(&sized(2));
    let above = world.cloud.set_desired(&key(), 9, false, world.now).expect_err("above the maximum");
    assert_eq!(above.code, ErrorCode::ValidationError);
    assert_eq!(
        above.message,
        "New SetDesiredCapacity value 9 is above max value 8 for the AutoScalingGroup."
    );
    let below = world.cloud.set_desired(&key(), 0, false, world.now).expect_err("below the minimum");
    assert!(below.message.contains("below min value 1"));
    assert_eq!(world.group().settings.desired, 2);
}

#[test]
fn a_cooldown_blocks_only_those_who_honor_it() {
    let mut world = World::settled(&GroupSpec { default_cooldown: Some(60), ..sized(2) });
    let blocked = world.cloud.set_desired(&key(), 3, true, world.now).expect_err("within the cooldown");
    assert_eq!(blocked.code, ErrorCode::ScalingActivityInProgress);
    world.cloud.set_desired(&key(), 3, false, world.now).expect("no cooldown honored");
    world.pass(80);
    world.cloud.set_desired(&key(), 4, true, world.now).expect("the cooldown is over");
}

#[test]
fn terminating_with_decrement_shrinks_and_stops_at_once() {
    let mut world = World::settled(&sized(2));
    let id = world.id(1);
    world.terminate(&id, true).expect("above the minimum");
    assert_eq!(world.stopped(), [(id.clone(), Cause::Api)]);
    assert_eq!(world.group().settings.desired, 1);
    assert_eq!(world.state(&id), Some(Lifecycle::Terminating));
    assert_eq!(world.terminate(&id, true), Err(ErrorCode::ScalingActivityInProgress), "not twice");
    world.pass(6);
    assert_eq!(world.group().instances.len(), 1);
    assert_eq!(world.terminate(&world.id(0), true), Err(ErrorCode::ValidationError), "at the minimum");
    assert_eq!(world.terminate("i-0", true), Err(ErrorCode::ValidationError), "unknown");
    assert_eq!(world.cloud.counters().terminated_by_api, 1);
    assert_eq!(world.cloud.counters().terminated_by_aws, 0);
}

#[test]
fn terminating_without_decrement_replaces_even_what_is_protected() {
    let mut world = World::settled(&GroupSpec { new_instances_protected: true, ..sized(1) });
    let id = world.id(0);
    world.terminate(&id, false).expect("protection does not stop it");
    world.pass(20);
    assert_eq!(world.group().instances.len(), 1);
    assert_ne!(world.id(0), id);
    assert_eq!(world.cloud.counters().launched, 2);
}

#[test]
fn lowering_desired_lets_aws_choose_from_the_fullest_zone_the_oldest_unprotected() {
    let mut world = World::settled(&sized(4));
    // Zone a has two: the first and the fourth.
    world.cloud.set_protection(&key(), &[world.id(0)], true).expect("serving");
    let fourth = world.id(3);
    world.cloud.set_desired(&key(), 3, false, world.now).expect("within the bounds");
    world.pass(1);
    assert_eq!(world.stopped(), [(fourth, Cause::Victim)]);
    assert_eq!(world.cloud.counters().victims_of_aws, 1);
}

#[test]
fn when_all_are_protected_nothing_goes_and_the_activities_say_so_once() {
    let mut world = World::settled(&GroupSpec { new_instances_protected: true, ..sized(3) });
    world.cloud.set_desired(&key(), 1, false, world.now).expect("within the bounds");
    world.pass(10);
    assert_eq!(world.group().active(), 3);
    let failed: Vec<_> =
        world.group().activities.iter().filter(|one| one.status == ActivityStatus::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].message.as_deref().is_some_and(|text| text.contains("protected from scale in")));
    let ids = [world.id(0), world.id(1)];
    world.cloud.set_protection(&key(), &ids, false).expect("serving");
    world.pass(10);
    assert_eq!(world.group().active(), 1);
}

#[test]
fn a_terminating_hook_holds_until_it_is_completed() {
    let mut world = World::settled(&hooked(2, Transition::Terminating, 30));
    let id = world.id(0);
    world.terminate(&id, false).expect("serving");
    world.pass(1);
    assert_eq!(world.state(&id), Some(Lifecycle::TerminatingWait));
    world.pass(1);
    assert_eq!(world.group().active(), 2, "the replacement does not wait for the hook");
    for _ in 0..4 {
        world.pass(20);
        world.cloud.heartbeat(&key(), "drain", ActionOf::Instance(&id), world.now).expect("held");
    }
    assert_eq!(world.state(&id), Some(Lifecycle::TerminatingWait), "heartbeats restart the timeout");
    assert!(world.stopped().is_empty());
    let result = ActionResult::Continue;
    world.cloud.complete(&key(), "drain", ActionOf::Instance(&id), result, world.now).expect("held");
    world.pass(1);
    assert_eq!(world.state(&id), Some(Lifecycle::TerminatingProceed));
    assert_eq!(world.stopped(), [(id.clone(), Cause::Api)]);
    world.pass(6);
    assert_eq!(world.state(&id), None);
    let late = world.cloud.complete(&key(), "drain", ActionOf::Instance(&id), result, world.now);
    assert!(late.expect_err("gone").message.starts_with("No active Lifecycle Action found"));
}

#[test]
fn a_hook_gives_up_when_no_heartbeat_comes() {
    let mut world = World::settled(&hooked(2, Transition::Terminating, 30));
    let id = world.id(0);
    world.terminate(&id, true).expect("above the minimum");
    world.pass(30);
    assert_eq!(world.state(&id), Some(Lifecycle::TerminatingWait));
    world.pass(2);
    assert_eq!(world.stopped(), [(id, Cause::Api)]);
}

#[test]
fn heartbeats_hold_no_longer_than_a_hundred_timeouts() {
    let mut world = World::settled(&hooked(2, Transition::Terminating, 2));
    let id = world.id(0);
    world.terminate(&id, true).expect("above the minimum");
    let mut beats = 0;
    while world.cloud.heartbeat(&key(), "drain", ActionOf::Instance(&id), world.now).is_ok() {
        beats += 1;
        world.pass(1);
    }
    assert!((199..=202).contains(&beats), "{beats}");
    assert_eq!(world.stopped().len(), 1);
}

#[test]
fn a_launching_hook_holds_and_abandoning_it_replaces_the_instance() {
    let mut world = World::new(&hooked(1, Transition::Launching, 300));
    world.pass(12);
    let id = world.id(0);
    assert_eq!(world.state(&id), Some(Lifecycle::PendingWait));
    let token = world.group().instances[0].waits[0].token.clone();
    let action = ActionOf::Token(&token);
    world.cloud.complete(&key(), "drain", action, ActionResult::Abandon, world.now).expect("held");
    world.pass(12);
    assert_eq!(world.state(&id), None);
    let second = world.id(0);
    let action = ActionOf::Instance(&second);
    world.cloud.complete(&key(), "drain", action, ActionResult::Continue, world.now).expect("held");
    world.pass(3);
    assert_eq!(world.state(&second), Some(Lifecycle::InService));
    let cancelled = world.group().activities.iter().find(|one| one.status == ActivityStatus::Cancelled);
    assert!(cancelled.is_some_and(|one| one.description.contains(&token)));
}

#[test]
fn what_is_unhealthy_is_replaced_and_desired_stays() {
    let mut world = World::settled(&GroupSpec { health_check_grace_period: 60, ..sized(2) });
    let id = world.id(0);
    world.cloud.set_health(REGION, &id, false, true, world.now).expect("known");
    assert!(world.group().instances[0].healthy, "in its grace period a respectful call changes nothing");
    world.cloud.set_health(REGION, &id, false, false, world.now).expect("known");
    world.pass(20);
    assert_eq!(world.state(&id), None);
    assert_eq!((world.group().active(), world.group().settings.desired), (2, 2));
    assert_eq!(world.stopped(), [(id, Cause::Unhealthy)]);
}

#[test]
fn suspended_processes_do_nothing() {
    let mut world = World::settled(&sized(2));
    let all = [Process::Launch, Process::Terminate, Process::ReplaceUnhealthy];
    world.cloud.suspend(&key(), &all, world.now).expect("the group is there");
    world.cloud.set_health(REGION, &world.id(0), false, false, world.now).expect("known");
    world.cloud.set_desired(&key(), 4, false, world.now).expect("within the bounds");
    world.pass(20);
    assert_eq!(world.group().instances.len(), 2);
    world.cloud.set_desired(&key(), 1, false, world.now).expect("within the bounds");
    world.pass(20);
    assert_eq!(world.group().instances.len(), 2);
    world.cloud.resume(&key(), &[]).expect("the group is there");
    world.pass(20);
    assert_eq!(world.group().instances.len(), 1);
}

#[test]
fn launches_that_fail_are_activities_and_are_tried_again() {
    let mut world = World::settled(&sized(1));
    let failures = super::model::LaunchFailures { left: 2, message: None };
    world.cloud.fail_launches(&key(), failures).expect("the group is there");
    world.cloud.set_desired(&key(), 2, false, world.now).expect("within the bounds");
    world.pass(59);
    assert_eq!(world.group().active(), 1);
    let failed = world.group().activities.back().expect("an activity");
    assert_eq!(failed.status, ActivityStatus::Failed);
    assert!(failed.message.as_deref().is_some_and(|text| text.contains("sufficient c5.xlarge capacity")));
    assert_eq!(world.cloud.counters().launch_failures, 2);
    world.pass(3);
    assert_eq!(world.group().active(), 2);
}

#[test]
fn a_lost_host_stops_at_once_in_spite_of_a_hook() {
    let mut world = World::settled(&hooked(2, Transition::Terminating, 30));
    let (soft, hard) = (world.id(0), world.id(1));
    world.cloud.terminate_by_aws(&key(), &soft, false, world.now).expect("known");
    world.cloud.terminate_by_aws(&key(), &hard, true, world.now).expect("known");
    assert_eq!(world.stopped(), [(hard, Cause::Aws)]);
    world.pass(2);
    assert_eq!(world.state(&soft), Some(Lifecycle::TerminatingWait));
    world.cloud.terminate_by_aws(&key(), &soft, true, world.now).expect("known");
    world.pass(2);
    assert_eq!(world.stopped(), [(soft, Cause::Aws)], "told once");
    assert_eq!(world.cloud.counters().terminated_by_aws, 2);
}

#[test]
fn an_instance_that_is_too_old_is_replaced_one_at_a_time() {
    let mut world = World::settled(&GroupSpec { max_instance_lifetime: 100, ..sized(2) });
    world.pass(90);
    assert_eq!(world.cloud.counters().by_cause["lifetime"].terminated, 1);
    world.pass(30);
    assert_eq!(world.cloud.counters().by_cause["lifetime"].terminated, 2);
}

#[test]
fn cuts_are_counted_by_cause() {
    let mut world = World::settled(&sized(1));
    world.cloud.record_cuts(Cause::Victim, Cuts { recordings: 1, conferences: 2, participants: 9 });
    world.cloud.record_cuts(Cause::Api, Cuts { recordings: 1, ..Cuts::default() });
    let counters = world.cloud.counters();
    assert_eq!((counters.cut_recordings, counters.cut_conferences, counters.cut_participants), (2, 2, 9));
    assert_eq!(counters.by_cause["api"].cut_recordings, 1);
    assert_eq!(counters.by_cause["victim"].cut_participants, 9);
}

#[test]
fn tags_are_written_all_or_none() {
    let mut world = World::settled(&sized(1));
    let tag = |key: String, value: String| TagWrite {
        group: NAME.into(),
        key,
        tag: super::model::Tag { value, propagate: false },
    };
    let good =
        || tag("jitsi-scaler/drain/i-0123456789abcdef0".into(), "2026-01-01T00:00:00Z draining".into());
    for bad in [tag("k".repeat(129), String::new()), tag("k".into(), "v".repeat(257))] {
        let refused = world.cloud.put_tags(REGION, vec![good(), bad]).expect_err("too long");
        assert_eq!(refused.code, ErrorCode::ValidationError);
    }
    let many = (0..50).map(|n| tag(format!("key-{n}"), String::new())).chain([good()]).collect();
    assert_eq!(world.cloud.put_tags(REGION, many).expect_err("too many").code, ErrorCode::LimitExceeded);
    assert!(world.group().tags.is_empty());
    world.cloud.put_tags(REGION, vec![good()]).expect("a good tag");
    assert_eq!(world.group().tags.len(), 1);
}

#[test]
fn a_refused_replacement_of_a_group_changes_nothing() {
    let mut world = World::settled(&sized(2));
    let tags = (0..51).map(|n| (format!("key-{n}"), String::new())).collect();
    let refused = world.cloud.put_group(&key(), &GroupSpec { tags, ..sized(5) }, world.now);
    assert_eq!(refused.expect_err("too many tags").code, ErrorCode::LimitExceeded);
    assert_eq!(world.group().settings.desired, 2);
}

#[test]
fn a_group_is_deleted_by_force_or_when_it_is_empty() {
    let mut world = World::settled(&hooked(2, Transition::Terminating, 30));
    let refused = world.cloud.delete_group(&key(), false, world.now).expect_err("it has instances");
    assert_eq!(refused.code, ErrorCode::ResourceInUse);
    world.cloud.delete_group(&key(), true, world.now).expect("by force");
    assert_eq!(world.stopped().len(), 2, "no hook holds them");
    world.pass(7);
    assert!(world.cloud.groups().get(REGION, NAME).is_err());
}

/// The simulation drives the core in virtual time: the core must not wait, listen or read a clock.
#[test]
fn the_core_knows_no_socket_no_task_and_no_clock() {
    for (name, source) in [
        ("error", include_str!("error.rs")),
        ("ids", include_str!("../cloud_parts/ids.rs")),
        ("ledger", include_str!("ledger.rs")),
        ("model", include_str!("model.rs")),
        ("spec", include_str!("spec.rs")),
        ("state", include_str!("state.rs")),
        ("step", include_str!("step.rs")),
        ("time", include_str!("../cloud_parts/time.rs")),
        ("writes", include_str!("writes.rs")),
    ] {
        for forbidden in ["tokio", "axum", "reqwest", "tracing::", "std::time", "std::net", "Timestamp::now"]
        {
            assert!(!source.contains(forbidden), "{name}.rs mentions {forbidden}");
        }
    }
}
