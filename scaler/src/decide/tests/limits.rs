//! What minimum, maximum and the unit of capacity do.

use test_case::test_case;

use super::*;

#[test]
fn a_wish_beyond_the_maximum_goes_to_the_maximum() {
    let mut fleet = bridges();
    rule_of(&mut fleet, Direction::Out).adjustment = count(5);
    fleet.max = Some(capacity(6));
    let decision = decide(&fleet, &seen(3, steady(120.0)), NOW);
    assert_eq!((decision.desired, reasons(&decision)), (capacity(6), vec!["maximum"]));
    assert_held(&decide(&fleet, &seen(6, steady(120.0)), NOW), &["maximum"]);
}

#[test]
fn below_its_minimum_a_group_is_raised_whatever_the_policies_say() {
    let mut fleet = bridges();
    fleet.min = Some(capacity(5));
    let mut observation = seen(3, series(&[]));
    observation.group.scaled_out = Some(NOW);
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(5)));
}

/// Nine minutes after the last scale-in, with a maximum of 2.
#[test_case(steady(70.0), &[]; "a policy that wants no change")]
#[test_case(series(&[None; 5]), &["unknown"]; "a policy without data")]
#[test_case(steady(0.0), &["cooldown"]; "a cooldown")]
#[test_case(steady(500.0), &["maximum"]; "a policy that wants more")]
fn above_its_maximum_a_group_is_drained_whatever_the_policies_say(window: Series, expected: &[&str]) {
    let mut fleet = bridges();
    fleet.max = Some(capacity(2));
    fleet.policies[0].measures = Measures::Other;
    rule_of(&mut fleet, Direction::In).adjustment = count(2);
    let mut observation = seen(3, window);
    observation.group.scaled_in = Some(NOW.before(Duration::from_mins(9)));
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleIn, capacity(2)));
    assert_eq!(reasons(&decision), expected);
    assert!(decision.sentence(&fleet).contains("the group is above its maximum of 2"));
    // Its capacity is that of the instances that do not drain.
    draining(&mut observation.group.instances[0], DrainState::Draining, None, Some(IN_USE));
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::Hold);
}

#[test_case(|_, seen| seen.group.instances[3].in_service_since = Some(NOW), "warming"; "one warms up")]
#[test_case(|_, seen| seen.group.terminate_suspended = true, "terminate_suspended"; "terminate suspended")]
#[test_case(|_, seen| seen.group.instance_refresh = Refresh::InProgress, "instance_refresh"; "an instance refresh")]
#[test_case(|_, seen| seen.group.instances[3].reported.up = false, "data_quality"; "one of four does not report")]
#[test_case(|fleet, _| fleet.max_in_flight = Amount::Count(Capacity::ZERO), "drain_budget"; "no drain is allowed")]
#[test_case(|_, seen| seen.windows[0] = steady(80.0), "forecast"; "the rest could not carry the load")]
#[test_case(|_, seen| seen.windows[0] = series(&[Some(70.0), None]), "no_forecast"; "the newest datapoint is missing")]
fn above_its_maximum_a_group_keeps_its_protections(spoil: Spoil, reason: &str) {
    let mut fleet = bridges();
    fleet.max = Some(capacity(2));
    let mut observation = seen(4, steady(45.0));
    spoil(&mut fleet, &mut observation);
    assert_held(&decide(&fleet, &observation, NOW), &[reason]);
}

#[test_case(steady(120.0); "more is wanted")]
#[test_case(steady(10.0); "less is wanted")]
#[test_case(series(&[]); "below its minimum")]
fn a_weighted_group_is_held(window: Series) {
    let fleet = FleetPolicy {
        replace: Some(replace::replace()),
        recycle: Some(Duration::from_hours(1)),
        max: Some(capacity(30)),
        ..bridges()
    };
    let mut observation = seen(4, window);
    let group = &mut observation.group;
    // Four instances of eight units each.
    (group.is_weighted, group.min, group.max, group.desired) =
        (true, capacity(33), capacity(40), capacity(32));
    group.instances[2].ill = true;
    draining(&mut group.instances[3], DrainState::Draining, Some(EMPTY), Some(EMPTY));
    observation.may_recycle = true;
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.action, reasons(&decision)), (Action::Hold, vec!["weighted_capacity"]));
    assert_eq!((decision.current.ready, decision.current.warming), (capacity(3), Capacity::ZERO));
    // The drain under way goes on.
    let expected = ["tag i-3 as asked (scale-in)", "ask i-3 to shut down gracefully"];
    assert_eq!(words(&decision)[..2], expected);
}

#[test]
fn a_schedule_is_a_floor_and_its_end_does_not_lower_capacity() {
    let mut observation = seen(4, steady(60.0));
    observation.schedule.min = Some(capacity(6));
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(6)));
    observation.schedule = Bounds::default();
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::Hold, capacity(4)));
}
