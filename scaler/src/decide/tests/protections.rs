//! Protections one at a time: each case differs by one circumstance from one in which the instance would leave.

use test_case::test_case;

use super::*;
use crate::decide::observation::Recycling;
use crate::decide::policy::{DrainLimit, OnTimeout, Replace};

/// A circumstance.
type Change = fn(&mut FleetPolicy, &mut Observation);

fn with(mut fleet: FleetPolicy, mut observation: Observation, change: Change) -> Decision {
    change(&mut fleet, &mut observation);
    decide(&fleet, &observation, NOW)
}

fn only(observation: &mut Observation) -> &mut Instance {
    &mut observation.group.instances[0]
}

#[test_case(|_| (), Some("i-0"); "otherwise")]
#[test_case(|it| it.lifecycle = Lifecycle::Held, None; "a hook holds it")]
#[test_case(|it| it.lifecycle = Lifecycle::Aside, None; "it was set aside")]
#[test_case(|it| it.healthy = false, None; "AWS replaces it")]
#[test_case(|it| it.drain = Some(drain(DrainState::Draining)), None; "it drains")]
#[test_case(|it| it.in_service_since = Some(NOW.before(Duration::from_secs(179))), None; "it warms up")]
#[test_case(|it| it.in_service_since = None, None; "its age is unknown")]
#[test_case(|it| it.reported.up = false, None; "it does not report")]
#[test_case(|it| it.reported.draining = Some(true), None; "an operator drains it")]
#[test_case(|it| it.reported.load = None, None; "its load is unknown")]
#[test_case(|it| it.reported.load = Some(9.0), Some("i-0"); "it is in use, and will be waited for")]
#[test_case(|it| it.ill = true, None; "it is to be replaced")]
fn a_bridge_may_be_chosen(change: fn(&mut Instance), expected: Option<&str>) {
    let mut observation = seen(1, steady(10.0));
    change(only(&mut observation));
    let victim = next_victim(&bridges(), &observation.group, NOW);
    assert_eq!(victim.map(InstanceId::as_str), expected);
}

/// `only_idle` is `victims.only_idle`.
#[test_case(false, false, Some("i-0"); "in use, and will be waited for")]
#[test_case(true, false, None; "in use")]
#[test_case(true, true, Some("i-0"); "empty")]
fn a_bridge_that_was_read_may_be_chosen(only_idle: bool, empty: bool, expected: Option<&str>) {
    let mut observation = seen(1, steady(10.0));
    let latest = Some(Reading::Answered { empty, draining: false, closing: false });
    only(&mut observation).live = Live { latest, ..Live::default() };
    let mut fleet = bridges();
    fleet.victims.only_idle = only_idle;
    let victim = next_victim(&fleet, &observation.group, NOW);
    assert_eq!(victim.map(InstanceId::as_str), expected);
}

#[test_case(|_| (), Some("i-0"); "otherwise")]
#[test_case(|it| it.reported.load = Some(1.0), None; "it records")]
#[test_case(|it| it.reported.load = None, None; "its state is unknown")]
#[test_case(|it| it.reported.idle_for = Some(Duration::from_secs(599)), None; "it was busy lately")]
#[test_case(|it| it.reported.idle_for = None, None; "its idle time is unknown")]
fn a_jibri_may_be_chosen(change: fn(&mut Instance), expected: Option<&str>) {
    let mut observation = seen(1, steady(10.0));
    only(&mut observation).reported.idle_for = Some(Duration::from_mins(10));
    change(only(&mut observation));
    let mut fleet = jibris();
    fleet.victims.idle_for = Duration::from_mins(10);
    let victim = next_victim(&fleet, &observation.group, NOW);
    assert_eq!(victim.map(InstanceId::as_str), expected);
}

/// How many bridges begin to drain when thirty of a hundred are one too many each.
#[test_case(|fleet, _| fleet.max_in_flight = Amount::Count(capacity(100)), 30; "as many as are wanted")]
#[test_case(|fleet, _| fleet.max_in_flight = Amount::Count(capacity(7)), 7; "as many as may drain at once")]
#[test_case(|fleet, seen| {
    fleet.max_in_flight = Amount::Count(capacity(7));
    draining(&mut seen.group.instances[0], DrainState::Draining, None, Some(IN_USE));
}, 6; "beside one that drains")]
#[test_case(|fleet, seen| {
    fleet.max_in_flight = Amount::Count(capacity(100));
    rule_of(fleet, Direction::In).adjustment = count(90);
    seen.group.most_drains = capacity(40);
}, 40; "as many as a group has tags for")]
#[test_case(|fleet, _| fleet.min_reporting = Percent::try_new(100.0).expect("a share"), 30; "all of which report")]
fn a_scale_in_begins_as_many_drains_as_it_may(change: Change, expected: usize) {
    let mut fleet = bridges();
    rule_of(&mut fleet, Direction::In).adjustment = count(30);
    let mut observation = seen(100, steady(1.0));
    observation.group.max = capacity(200);
    let decision = with(fleet, observation, change);
    let begun = words(&decision).iter().filter(|step| step.ends_with("to drain")).count();
    assert_eq!((decision.action, begun), (Action::ScaleIn, expected));
}

#[test]
fn a_scale_in_leaves_one_bridge_that_serves() {
    let mut fleet = bridges();
    fleet.policies[0].measures = Measures::Other;
    fleet.max_in_flight = Amount::Count(capacity(9));
    rule_of(&mut fleet, Direction::In).adjustment = count(3);
    let mut observation = seen(3, steady(1.0));
    (observation.group.min, observation.group.desired) = (Capacity::ZERO, capacity(3));
    assert_eq!(decide(&fleet, &observation, NOW).desired, capacity(1));
}

#[test]
fn among_equals_the_lowest_id_leaves_first_however_they_are_listed() {
    let mut observation = seen(4, steady(10.0));
    for instance in &mut observation.group.instances {
        instance.reported.load = Some(0.0);
        "a".clone_into(&mut instance.zone);
    }
    observation.group.instances.reverse();
    let victim = next_victim(&bridges(), &observation.group, NOW);
    assert_eq!(victim.map(InstanceId::as_str), Some("i-0"));
}

#[test]
fn where_none_is_ready_none_reports() {
    let mut observation = seen(4, steady(10.0));
    observation.group.instances.iter_mut().for_each(|it| it.healthy = false);
    let mut fleet = jibris();
    fleet.policies = bridges().policies;
    assert_eq!(reasons(&decide(&fleet, &observation, NOW)), ["data_quality"]);
}

#[test]
fn no_more_drains_are_cancelled_than_instances_are_wanted() {
    let mut observation = seen(6, steady(120.0));
    for instance in &mut observation.group.instances[..3] {
        draining(instance, DrainState::Draining, None, Some(IN_USE));
    }
    let decision = decide(&bridges(), &observation, NOW);
    let returned = words(&decision).iter().filter(|step| step.ends_with("to end its drain")).count();
    assert_eq!((decision.action, returned, decision.desired), (Action::ScaleOut, 1, capacity(4)));
}

#[test]
fn down_to_its_maximum_a_group_is_drained_without_the_policies_that_wait() {
    let fleet =
        FleetPolicy { max: Some(capacity(4)), max_in_flight: Amount::Count(capacity(9)), ..bridges() };
    let mut observation = seen(6, steady(1.0));
    observation.group.scaled_in = Some(NOW.before(Duration::from_mins(1)));
    let decision = with(fleet, observation, |fleet, _| rule_of(fleet, Direction::In).adjustment = count(4));
    assert_eq!((decision.action, decision.desired), (Action::ScaleIn, capacity(4)));
}

#[test]
fn an_expired_jibri_takes_no_share_of_the_load() {
    let fleet = FleetPolicy { component: Component::Jibri, ..bridges() };
    let mut observation = seen(4, steady(36.0));
    observation.group.instances.iter_mut().for_each(|it| it.reported.load = Some(0.0));
    // That of four fits on three (36 × 4 ÷ 3 = 48); that of three does not fit on two (54).
    let wide: Change = |fleet, _| {
        rule_of(fleet, Direction::Out).when =
            Comparison::try_new(Operator::GreaterOrEqual, 50.0).expect("finite");
    };
    assert_eq!(with(fleet.clone(), observation.clone(), wide).action, Action::ScaleIn);
    only(&mut observation).reported.expired = true;
    assert_held(&with(fleet, observation, wide), &["forecast"]);
}

#[test]
fn a_second_instance_is_not_recycled_before_the_first_is_gone() {
    let (fleet, mut observation) = raised();
    let first = only(&mut observation);
    draining(first, DrainState::Draining, None, Some(IN_USE));
    first.drain = Some(drain_for(Purpose::Recycle, DrainState::Draining));
    observation.group.instances[1].reported.load = Some(0.0);
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), Vec::new()));
}

#[test]
fn a_cooldown_holds_back_only_the_policy_that_has_it() {
    let mut fleet = bridges();
    fleet.policies.push(load_policy("other"));
    rule_of(&mut fleet, Direction::Out).cooldown = Duration::ZERO;
    let mut observation = seen(3, steady(60.0));
    observation.windows.push(steady(120.0));
    observation.group.scaled_out = Some(NOW.before(Duration::from_mins(1)));
    assert_held(&decide(&fleet, &observation, NOW), &["cooldown"]);
    observation.windows.reverse();
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::ScaleOut);
}

#[test]
fn while_it_is_unknown_whether_more_is_wanted_nothing_leaves() {
    let target_rule = |periods| Some(TargetRule { periods, cooldown: Duration::ZERO });
    let rules = Rules::Desired { scale_out: target_rule(3), scale_in: target_rule(1) };
    let policy = Policy { measures: Measures::Other, rules, ..load_policy("demand") };
    let fleet = FleetPolicy { policies: vec![policy], ..bridges() };
    let window = |gap| series(&[Some(2.0), gap, Some(2.0)]);
    assert_eq!(decide(&fleet, &seen(4, window(Some(2.0))), NOW).action, Action::ScaleIn);
    assert_held(&decide(&fleet, &seen(4, window(None)), NOW), &["unknown"]);
}

/// Otherwise a policy would take another one beside it, below the minimum.
#[test]
fn an_unhealthy_bridge_that_leaves_is_lacking_where_the_cloud_replaces_nothing() {
    let mut seen = seen(3, steady(60.0));
    seen.group.instances[1].healthy = false;
    let counted = |seen: &Observation| {
        let figures = decide(&bridges(), seen, NOW).current;
        (figures.replaced, figures.draining, figures.capacity)
    };
    for replaces in [true, false] {
        seen.group.replaces_unhealthy = replaces;
        seen.group.instances[1].drain = None;
        assert_eq!(counted(&seen), (capacity(1), capacity(0), capacity(3)), "{replaces}");
        seen.group.instances[1].drain = Some(drain(DrainState::Draining));
        let expected = if replaces { (1, 0, 3) } else { (0, 1, 2) };
        assert_eq!(
            counted(&seen),
            (capacity(expected.0), capacity(expected.1), capacity(expected.2)),
            "{replaces}"
        );
    }
}

/// Six bridges of which the second is ill.
#[test_case(|_, _| (), true; "otherwise")]
#[test_case(|_, seen| seen.group.instances[1].reported.ambiguous = true, false; "several series carry its id")]
#[test_case(|fleet, seen| {
    fleet.replace = Some(Replace { max_in_flight: capacity(9), ..replace::replace() });
    seen.group.instances[1].healthy = false;
}, false; "the cloud replaces it")]
#[test_case(|_, seen| {
    seen.group.replaces_unhealthy = false;
    seen.group.instances[1].healthy = false;
}, true; "the cloud finds it unhealthy and replaces nothing")]
#[test_case(|_, seen| seen.group.instances[1].drain = Some(drain(DrainState::Draining)), false; "it leaves already")]
#[test_case(|_, seen| seen.group.instances[1].in_service_since = Some(NOW.before(Duration::from_secs(179))), false; "it warms up")]
#[test_case(|_, seen| seen.group.instances[1].in_service_since = None, false; "its age is unknown")]
#[test_case(|_, seen| seen.group.instances[4].healthy = false, false; "the cloud replaces another one")]
#[test_case(|_, seen| seen.group.instances[4].in_service_since = Some(NOW), false; "another one warms up")]
#[test_case(|_, seen| seen.group.instances[4].lifecycle = Lifecycle::Pending, false; "another one boots")]
#[test_case(|_, seen| for it in &mut seen.group.instances { it.reported.healthy = Some(it.ill) }, false; "no other one serves")]
fn an_ill_bridge_is_replaced(change: Change, expected: bool) {
    let fleet = FleetPolicy { replace: Some(replace::replace()), ..bridges() };
    let mut observation = seen(6, steady(60.0));
    observation.group.instances[1].ill = true;
    let words = words(&with(fleet, observation, change));
    assert_eq!(words.iter().any(|step| step == "tag i-1 as draining (replace)"), expected, "{words:?}");
}

#[test]
fn the_oldest_ill_instance_is_replaced_first_however_they_are_listed() {
    let fleet = FleetPolicy { replace: Some(replace::replace()), ..bridges() };
    let mut observation = seen(6, steady(60.0));
    observation.group.instances[2].in_service_since = Some(LONG_AGO.before(Duration::from_secs(1)));
    for ill in [1, 2] {
        observation.group.instances[ill].ill = true;
    }
    assert_eq!(steps(&fleet, &observation)[0], "tag i-2 as draining (replace)");
    observation.group.instances[2].in_service_since = Some(LONG_AGO);
    observation.group.instances.reverse();
    assert_eq!(steps(&fleet, &observation)[0], "tag i-1 as draining (replace)");
}

/// A group that was raised to five, of which the first bridge is idle and old.
fn raised() -> (FleetPolicy, Observation) {
    let mut observation = seen(5, steady(60.0));
    observation.may_recycle = true;
    observation.group.recycling = Some(Recycling { since: NOW, desired: capacity(5) });
    (FleetPolicy { recycle: Some(Duration::from_hours(24)), ..bridges() }, observation)
}

#[test_case(|_, _| (), true; "otherwise")]
#[test_case(|_, seen| only(seen).reported.load = Some(1.0), false; "it is in use")]
#[test_case(|_, seen| only(seen).reported.up = false, false; "it does not report")]
#[test_case(|_, seen| only(seen).reported.draining = Some(true), false; "an operator drains it")]
#[test_case(|_, seen| seen.group.terminate_suspended = true, false; "terminate is suspended")]
#[test_case(|_, seen| seen.group.instance_refresh = Refresh::InProgress, false; "an instance refresh")]
#[test_case(|_, seen| seen.group.instances[4].in_service_since = Some(NOW), false; "the surplus warms up")]
#[test_case(|_, seen| draining(&mut seen.group.instances[3], DrainState::Draining, None, Some(IN_USE)), false; "another one drains")]
#[test_case(|fleet, _| fleet.min = Some(capacity(5)), false; "the group is at its minimum")]
#[test_case(|_, seen| for it in &mut seen.group.instances[1..] { it.reported.healthy = Some(false) }, false; "no other one serves")]
fn an_old_bridge_is_recycled(change: Change, expected: bool) {
    let (fleet, observation) = raised();
    let words = words(&with(fleet, observation, change));
    assert_eq!(words.iter().any(|step| step == "tag i-0 as draining (recycle)"), expected, "{words:?}");
}

#[test_case(|_, _| (), true; "otherwise")]
#[test_case(|_, seen| only(seen).in_service_since = Some(NOW.before(Duration::from_hours(23))), false; "it is not old")]
#[test_case(|_, seen| seen.may_recycle = false, false; "not at this hour")]
#[test_case(|_, seen| seen.group.launch_suspended = true, false; "launch is suspended")]
#[test_case(|_, seen| seen.group.launch_failures = Some(LaunchFailures {
    count: 1,
    last: NOW.before(Duration::from_hours(1)),
    message: String::new(),
}), false; "launches fail")]
#[test_case(|_, seen| seen.windows = vec![steady(10.0)], false; "a policy scales in")]
fn a_group_is_raised_to_recycle(change: Change, expected: bool) {
    let (fleet, mut observation) = raised();
    observation.group.recycling = None;
    let words = words(&with(fleet, observation, change));
    assert_eq!(words.iter().any(|step| step == "tag the raise to 6 for recycling"), expected, "{words:?}");
}

#[test]
fn a_scale_in_ends_recycling() {
    let (fleet, mut observation) = raised();
    observation.windows = vec![steady(10.0)];
    let words = steps(&fleet, &observation);
    assert!(words.contains(&"remove the tag of recycling".to_owned()), "{words:?}");
}

#[test_case(|it| it.reported.up = false; "it does not report")]
#[test_case(|it| it.reported.load = None; "its load is unknown")]
#[test_case(|it| it.lifecycle = Lifecycle::Pending; "it is not in service")]
fn protection_stays_as_it_is(change: fn(&mut Instance)) {
    let fleet = FleetPolicy { protect_busy: true, ..bridges() };
    for (load, protected) in [(0.0, true), (3.0, false)] {
        let mut observation = seen(1, steady(60.0));
        let instance = only(&mut observation);
        (instance.reported.load, instance.protected) = (Some(load), protected);
        change(instance);
        assert_eq!(steps(&fleet, &observation), Vec::<String>::new());
    }
}

#[test]
fn no_more_instances_are_protected_at_once_than_aws_accepts() {
    let fleet = FleetPolicy { protect_busy: true, ..bridges() };
    let mut observation = seen(120, steady(60.0));
    observation.group.max = capacity(200);
    let decision = decide(&fleet, &observation, NOW);
    let counts = decision.effects.iter().map(|sequence| match &sequence[..] {
        [Effect::Protect(ids)] => ids.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [50, 50, 19]);
}

/// Four bridges that are short of one; the drain of the first could be cancelled.
#[test_case(|_, _| (), true; "otherwise")]
#[test_case(|_, seen| only(seen).live.latest = Some(EMPTY_CLOSING), false; "it exits by itself")]
#[test_case(|_, seen| {
    only(seen).drain = Some(drain(DrainState::Asked));
    only(seen).live.looks = Looks::TooEarly;
}, false; "it was asked to exit just now")]
#[test_case(|_, seen| only(seen).drain = Some(drain(DrainState::Asked)), true; "the request to exit did not reach it")]
#[test_case(|_, seen| only(seen).drain = Some(drain(DrainState::Closed)), false; "it accepted the request to exit")]
#[test_case(|_, seen| only(seen).drain = Some(drain_for(Purpose::Replace, DrainState::Draining)), false; "it is to be replaced")]
#[test_case(|_, seen| only(seen).healthy = false, false; "AWS replaces it")]
#[test_case(|_, seen| {
    only(seen).lifecycle = Lifecycle::Held;
    seen.group.hook = Some(hooks::hook());
}, false; "a hook holds it")]
fn a_drain_is_cancelled(change: Change, expected: bool) {
    let observation = one_drains(4, 120.0, DrainState::Draining, Some(EMPTY), Some(EMPTY));
    let words = words(&with(bridges(), observation, change));
    assert_eq!(words.iter().any(|step| step == "ask i-0 to end its drain"), expected, "{words:?}");
    // A drain that is cancelled goes no further.
    assert!(!expected || !words.iter().any(|step| step.contains("shut down")), "{words:?}");
}

/// A group of which the first instance has been seen empty twice, and would end.
#[test_case(Component::Jvb, Purpose::ScaleIn, |_, _| (), true; "otherwise")]
#[test_case(Component::Jvb, Purpose::Replace, |_, _| (), true; "a replacement")]
#[test_case(Component::Jvb, Purpose::ScaleIn, |_, seen| seen.group.terminate_suspended = true, false; "terminate is suspended")]
#[test_case(Component::Jvb, Purpose::Replace, |_, seen| seen.group.terminate_suspended = true, false; "a replacement while terminate is suspended")]
#[test_case(Component::Jvb, Purpose::ScaleIn, silence, false; "it is the last that serves")]
#[test_case(Component::Jvb, Purpose::Replace, silence, false; "a replacement of the last that serves")]
#[test_case(Component::Jibri, Purpose::ScaleIn, silence, true; "jibris need no others")]
#[test_case(Component::Jvb, Purpose::Hook, |_, seen| only(seen).lifecycle = Lifecycle::Held, false; "it is unknown which hook holds it")]
#[test_case(Component::Jvb, Purpose::ScaleIn, |_, seen| only(seen).live.latest = Some(IN_USE), false; "it is in use again")]
#[test_case(Component::Jibri, Purpose::ScaleIn, |_, seen| {
    only(seen).live.latest = Some(Reading::Answered { empty: false, draining: false, closing: false });
}, false; "a jibri that was restarted records")]
fn an_empty_instance_ends(component: Component, purpose: Purpose, change: Change, expected: bool) {
    let mut observation = seen(4, steady(60.0));
    let (state, reading) = match component {
        Component::Jvb => (DrainState::Unclosable, EMPTY),
        Component::Jibri => (DrainState::Closed, Reading::Refused),
    };
    draining(only(&mut observation), state, Some(reading), Some(reading));
    only(&mut observation).drain = Some(drain_for(purpose, state));
    let decision = with(FleetPolicy { component, ..bridges() }, observation, change);
    let ends = decision.effects.iter().flatten().any(|effect| matches!(effect, Effect::Remove(..)));
    assert_eq!(ends, expected, "{:?}", words(&decision));
}

/// No other instance is known to serve.
fn silence(_: &mut FleetPolicy, seen: &mut Observation) {
    seen.group.instances[1..].iter_mut().for_each(|it| it.reported = Reported::default());
}

#[test]
fn the_last_serving_bridge_does_not_end_because_its_drain_takes_too_long() {
    let limit = DrainLimit { timeout: Duration::from_mins(1), then: OnTimeout::Terminate };
    let fleet = FleetPolicy { drain_limit: Some(limit), ..bridges() };
    let observation = one_drains(4, 60.0, DrainState::Draining, Some(IN_USE), Some(IN_USE));
    assert_eq!(steps(&fleet, &observation).len(), 1);
    assert!(words(&with(fleet, observation, silence)).is_empty());
}

#[test]
fn an_instance_that_exits_stays_while_it_is_in_use() {
    let closing = Reading::Answered { empty: false, draining: true, closing: true };
    let observation = one_drains(4, 60.0, DrainState::Closed, Some(closing), Some(closing));
    assert!(steps(&bridges(), &observation).is_empty());
}

#[test]
fn hooks_that_are_not_served_hold_for_someone_else() {
    let mut observation = seen(4, steady(60.0));
    (observation.group.desired, observation.group.hook) = (capacity(3), Some(hooks::hook()));
    only(&mut observation).lifecycle = Lifecycle::Held;
    let fleet = FleetPolicy { serves_hooks: false, ..bridges() };
    assert!(steps(&fleet, &observation).is_empty());
}

#[test]
fn no_more_free_jibris_leave_than_the_next_scale_out_allows() {
    let mut fleet = jibris();
    fleet.max_in_flight = Amount::Count(capacity(9));
    rule_of(&mut fleet, Direction::In).adjustment = count(3);
    let mut observation = seen(4, steady(4.0));
    observation.group.instances.iter_mut().for_each(|it| it.reported.load = Some(0.0));
    // With one free Jibri the policy would scale out again.
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.desired, reasons(&decision)), (capacity(2), vec!["forecast"]));
}
