//! Replacement of ill instances.

use test_case::test_case;

use super::*;
use crate::decide::policy::Replace;

pub(super) fn replace() -> Replace {
    Replace { periods: 5, max_in_flight: capacity(1), max_share: Percent::try_new(34.0).expect("a share") }
}

#[test_case(Component::Jvb, &["tag i-1 as draining (replace)", "ask i-1 to drain"]; "a bridge")]
#[test_case(Component::Jibri, &["tag i-1 as draining (replace)"]; "a jibri has to answer first")]
fn an_ill_instance_is_replaced_one_at_a_time(component: Component, expected: &[&str]) {
    let base = if component == Component::Jvb { bridges() } else { jibris() };
    let fleet = FleetPolicy { replace: Some(replace()), ..base };
    let mut observation = seen(6, steady(if component == Component::Jvb { 60.0 } else { 2.5 }));
    for ill in [1, 4] {
        observation.group.instances[ill].ill = true;
    }
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(decision.action, Action::Hold);
    assert_eq!(words(&decision), expected);
    // The second one waits until the first is replaced.
    observation.group.instances[1].drain = Some(drain_for(Purpose::Replace, DrainState::Draining));
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(reasons(&decision), ["replace_budget"]);
    // It is no longer ready, and still counts as capacity.
    assert_eq!((decision.current.capacity, decision.current.replaced), (capacity(6), capacity(1)));
}

#[test]
fn an_ill_bridge_is_replaced_once_it_is_empty_and_desired_stays() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(4, steady(60.0));
    let instance = &mut observation.group.instances[0];
    instance.ill = true;
    instance.drain = Some(drain_for(Purpose::Replace, DrainState::Draining));
    instance.live = live(Some(EMPTY), Some(EMPTY));
    let expected = ["tag i-0 as asked (replace)", "ask i-0 to shut down gracefully"];
    assert_eq!(steps(&fleet, &observation), expected);
    let instance = &mut observation.group.instances[0];
    instance.drain = Some(drain_for(Purpose::Replace, DrainState::Closed));
    instance.live = live(None, Some(EMPTY_CLOSING));
    assert_eq!(steps(&fleet, &observation), ["have AWS replace i-0"]);
}

#[test]
fn an_ill_bridge_waits_for_silent_ones_while_people_may_join_it() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let ill = |state, latest, other: fn(&mut Instance)| {
        let mut observation = seen(2, steady(60.0));
        let [first, second] = &mut observation.group.instances[..] else { panic!("two bridges") };
        (first.ill, first.looks_ill) = (true, true);
        first.drain = Some(drain_for(Purpose::Replace, state));
        first.live = live(Some(latest), Some(latest));
        other(second);
        decide(&fleet, &observation, NOW)
    };
    let unclosable = |other| ill(DrainState::Unclosable, EMPTY, other);
    let replaced = ["have AWS replace i-0"];
    let silent = |it: &mut Instance| it.reported = Reported::default();
    let waits = unclosable(silent);
    assert_eq!((words(&waits), waits.waiting[0].held_back), (Vec::<String>::new(), true));
    assert_eq!(words(&unclosable(|_| ())), replaced);
    // A group in which all are ill must recover.
    assert_eq!(words(&unclosable(|it| (it.reported, it.looks_ill) = (Reported::default(), true))), replaced);
    // It is not asked to shut down first: for a minute, it would be the one bridge that Jicofo can use.
    let all_ill = |it: &mut Instance| (it.reported, it.looks_ill) = (Reported::default(), true);
    assert_eq!(words(&ill(DrainState::Draining, EMPTY, all_ill)), replaced);
    // One that takes no new people may leave.
    assert_eq!(words(&ill(DrainState::Closed, EMPTY_CLOSING, silent)), replaced);
    assert_eq!(words(&ill(DrainState::Closed, Reading::Refused, silent)), replaced);
}

#[test]
fn replacing_leaves_a_bridge_that_serves_after_all_steps_of_a_decision() {
    let fleet =
        FleetPolicy { replace: Some(Replace { max_in_flight: capacity(2), ..replace() }), ..bridges() };
    // The policies drain the other one.
    let mut observation = seen(2, steady(10.0));
    observation.group.instances[1].ill = true;
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), ["tag the scale-in", "tag i-0 as draining (scale-in)", "ask i-0 to drain"]);
    assert_eq!(reasons(&decision), ["last_serving"]);
    // An operator drains all but two, which are ill.
    let mut observation = seen(6, steady(60.0));
    for (index, instance) in observation.group.instances.iter_mut().enumerate() {
        instance.ill = index < 2;
        instance.reported.draining = Some(index >= 2);
    }
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (replace)", "ask i-0 to drain"]);
    assert_eq!(reasons(&decision), ["last_serving"]);
}

#[test]
fn a_recovered_bridge_goes_on_serving_where_no_other_does() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(2, steady(60.0));
    let [first, second] = &mut observation.group.instances[..] else { panic!("two bridges") };
    first.drain = Some(drain_for(Purpose::Replace, DrainState::Draining));
    first.live = live(Some(IN_USE), Some(IN_USE));
    // An operator drains the other one.
    second.reported.draining = Some(true);
    let taken_back = [
        "tag i-0 as returning (replace)",
        "ask i-0 to end its drain",
        "remove the drain tag of i-0",
        "tag the scale-out",
    ];
    assert_eq!(steps(&fleet, &observation), taken_back);
    let waits = |change: fn(&mut Observation)| {
        let mut observation = observation.clone();
        change(&mut observation);
        steps(&fleet, &observation).is_empty()
    };
    assert!(waits(|it| it.group.instances[0].looks_ill = true), "it is still ill");
    assert!(waits(|it| it.group.instances[0].reported.up = false), "its health is unknown");
    assert!(waits(|it| it.group.instances[1].reported.draining = Some(false)), "the other one serves");
    assert!(waits(|it| it.group.instances[0].live.latest = Some(Reading::Unknown)), "it does not answer");
}

#[test]
fn when_much_of_a_group_looks_ill_nothing_is_replaced() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(6, steady(60.0));
    for ill in 0..3 {
        observation.group.instances[ill].ill = true;
    }
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["mostly_ill"]));
}

#[test]
fn an_instance_that_looks_ill_counts_before_it_is_found_ill() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(6, steady(60.0));
    observation.group.instances[0].ill = true;
    for ill in 0..3 {
        observation.group.instances[ill].looks_ill = true;
    }
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["mostly_ill"]));

    observation.group.instances[2].looks_ill = false;
    assert_eq!(steps(&fleet, &observation), ["tag i-0 as draining (replace)", "ask i-0 to drain"]);
}

#[test]
fn a_group_of_expired_jibris_at_its_maximum_gets_free_ones_again() {
    let fleet = FleetPolicy { replace: Some(replace()), max: Some(capacity(3)), ..jibris() };
    let mut observation = seen(3, steady(0.0));
    for instance in &mut observation.group.instances {
        (instance.ill, instance.reported.expired, instance.reported.load) = (true, true, Some(0.0));
    }
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (replace)"]);
    assert_eq!(reasons(&decision), ["maximum"]);
    // Others that look ill all at once are still doubted.
    for instance in &mut observation.group.instances[..2] {
        instance.reported.expired = false;
    }
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), ["tag i-2 as draining (replace)"]);
    assert_eq!(reasons(&decision), ["maximum", "mostly_ill"]);
}
