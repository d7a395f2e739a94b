//! Recycling of old instances.

use super::*;
use crate::decide::observation::Recycling;

fn recycling() -> FleetPolicy {
    FleetPolicy { recycle: Some(Duration::from_hours(24)), ..bridges() }
}

/// Four bridges of which the first is idle and old; in the window.
fn night() -> Observation {
    let mut observation = seen(4, steady(60.0));
    observation.may_recycle = true;
    for instance in &mut observation.group.instances[1..] {
        instance.in_service_since = Some(NOW.before(Duration::from_hours(2)));
    }
    observation
}

#[test]
fn recycling_raises_by_one_and_then_drains_the_oldest_idle_instance() {
    let mut observation = night();
    let decision = decide(&recycling(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(5)));
    assert_eq!(words(&decision), ["tag the raise to 5 for recycling", "set desired capacity from 4 to 5"]);

    observation.group.recycling = Some(Recycling { since: NOW, desired: capacity(5) });
    observation.group.desired = capacity(5);
    assert_eq!(reasons(&decide(&recycling(), &observation, NOW)), ["warming", "recycle_waits"]);
    observation.group.instances.push(instance(9));
    observation.group.instances[4].in_service_since = Some(NOW.before(Duration::from_mins(5)));
    let decision = decide(&recycling(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleIn, capacity(4)));
    assert_eq!(words(&decision), ["tag i-0 as draining (recycle)", "ask i-0 to drain"]);

    // It is gone, so the tag is removed before the next one follows.
    observation.group.instances.remove(0);
    observation.group.desired = capacity(4);
    assert_eq!(steps(&recycling(), &observation), ["remove the tag of recycling"]);
}

#[test]
fn when_the_night_is_over_the_surplus_instance_leaves() {
    let mut observation = night();
    observation.may_recycle = false;
    assert_eq!(steps(&recycling(), &observation), Vec::<String>::new());
    observation.group.recycling = Some(Recycling { since: NOW, desired: capacity(4) });
    let decision = decide(&recycling(), &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (recycle)", "ask i-0 to drain"]);
    let sentence = decision.sentence(&recycling());
    assert!(sentence.contains("the one too many"), "{sentence}");
}

#[test]
fn a_scale_out_ends_recycling() {
    let mut observation = night();
    observation.group.recycling = Some(Recycling { since: NOW, desired: capacity(4) });
    observation.windows = vec![steady(120.0)];
    let decision = decide(&recycling(), &observation, NOW);
    assert!(words(&decision).contains(&"remove the tag of recycling".to_owned()), "{:?}", words(&decision));
    assert_eq!(decision.desired, capacity(5));
}

#[test]
fn recycling_does_not_pass_the_maximum() {
    let fleet = FleetPolicy { max: Some(capacity(4)), ..recycling() };
    let decision = decide(&fleet, &night(), NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["maximum"]));
}
