//! Instances that a hook holds.

use test_case::test_case;

use super::*;
use crate::decide::observation::Hook;

pub(super) fn hook() -> Hook {
    Hook { name: "drain".to_owned(), heartbeat: Duration::from_mins(30), limit: Duration::from_hours(48) }
}

#[test]
fn the_limit_of_a_hook_counts_from_when_it_began_to_hold() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(IN_USE), Some(IN_USE)), Some(DrainState::Draining));
    let waiting = |observation: &Observation| decide(&fleet, observation, NOW).waiting.remove(0);
    let unknown = waiting(&observation);
    assert_eq!(unknown.held_for, unknown.age, "unknown, so since its drain began");
    observation.group.instances[0].held_since = Some(NOW.before(Duration::from_secs(20)));
    let known = waiting(&observation);
    assert_eq!((known.age, known.held_for), (unknown.age, Duration::from_secs(20)));
    assert!(known.share_of_limit() < unknown.share_of_limit());
}

/// A group whose first instance AWS terminates, held by its hook.
fn held(
    component: Component,
    answers: (Option<Reading>, Option<Reading>),
    state: Option<DrainState>,
) -> (FleetPolicy, Observation) {
    let (fleet, value) = match component {
        Component::Jvb => (bridges(), 60.0),
        Component::Jibri => (jibris(), 2.5),
    };
    let mut observation = seen(4, steady(value));
    let group = &mut observation.group;
    (group.desired, group.hook) = (capacity(3), Some(hook()));
    let instance = &mut group.instances[0];
    instance.lifecycle = Lifecycle::Held;
    instance.heartbeat = Some(Duration::from_mins(9));
    instance.drain = state.map(|state| drain_for(Purpose::Hook, state));
    instance.live = live(answers.0, answers.1);
    (fleet, observation)
}

#[test_case(Component::Jvb, None, (None, None), &["tag i-0 as draining (hook)", "ask i-0 to drain"]; "a bridge is drained")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(IN_USE), Some(IN_USE)), &[]; "a bridge in use is waited for")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(EMPTY), Some(EMPTY)),
    &["tag i-0 as asked (hook)", "ask i-0 to shut down gracefully"]; "an empty bridge is asked to exit")]
#[test_case(Component::Jvb, Some(DrainState::Closed), (None, Some(EMPTY_CLOSING)),
    &["complete the hook of i-0"]; "a bridge that exits is released")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(Reading::Refused), Some(Reading::Refused)), &[]; "a bridge that refuses before its final request is unknown")]
#[test_case(Component::Jibri, None, (None, None), &["tag i-0 as draining (hook)"]; "a jibri has to answer first")]
#[test_case(Component::Jibri, Some(DrainState::Draining), (None, Some(Reading::Answered { empty: false, draining: false, closing: false })),
    &["tag i-0 as asked (hook)", "ask i-0 to shut down gracefully"]; "a jibri that records is asked to exit when it is done")]
#[test_case(Component::Jibri, Some(DrainState::Closed), (Some(Reading::Refused), Some(Reading::Refused)),
    &["complete the hook of i-0"]; "a jibri that has exited is released")]
fn an_instance_that_a_hook_holds_is_drained_and_released(
    component: Component,
    state: Option<DrainState>,
    answers: (Option<Reading>, Option<Reading>),
    expected: &[&str],
) {
    let (fleet, observation) = held(component, answers, state);
    assert_eq!(steps(&fleet, &observation), expected);
}

#[test]
fn a_group_that_cannot_be_seen_gets_heartbeats_only() {
    let (mut fleet, mut observation) = held(Component::Jvb, (None, None), None);
    let sent = |fleet: &FleetPolicy, observation: &Observation| -> Vec<String> {
        heartbeats(fleet, &observation.group).iter().flatten().map(ToString::to_string).collect()
    };
    assert!(
        sent(&fleet, &observation).is_empty(),
        "the last heartbeat was nine minutes ago, and the timeout is thirty"
    );
    observation.group.instances[0].heartbeat = Some(Duration::from_mins(10));
    assert_eq!(sent(&fleet, &observation), ["send a heartbeat to the hook of i-0"]);
    fleet.serves_hooks = false;
    assert!(sent(&fleet, &observation).is_empty(), "hooks are not served, and the drain is not the scaler's");
    observation.group.instances[0].drain = Some(drain_for(Purpose::Hook, DrainState::Draining));
    assert_eq!(sent(&fleet, &observation).len(), 1, "the scaler began its drain");
    observation.group.hook = None;
    assert!(sent(&fleet, &observation).is_empty(), "it is not known which hook holds it");
}

#[test]
fn heartbeats_are_sent_well_before_each_timeout() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(IN_USE), Some(IN_USE)), Some(DrainState::Draining));
    let heartbeat = ["send a heartbeat to the hook of i-0"];
    observation.group.instances[0].heartbeat = Some(Duration::from_mins(10));
    assert_eq!(steps(&fleet, &observation), heartbeat);
    // After a start it is not known when the last one was sent.
    observation.group.instances[0].heartbeat = None;
    assert_eq!(steps(&fleet, &observation), heartbeat);
    // An unknown hook gets no heartbeat.
    observation.group.hook = None;
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["hook_unknown"]));
}

#[test]
fn a_released_instance_gets_a_heartbeat_in_case_the_release_fails() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(EMPTY), Some(EMPTY)), Some(DrainState::Unclosable));
    observation.group.instances[0].heartbeat = Some(Duration::from_mins(10));
    let expected = ["send a heartbeat to the hook of i-0", "complete the hook of i-0"];
    assert_eq!(steps(&fleet, &observation), expected);
}

#[test]
fn the_only_serving_bridge_serves_on_while_its_hook_holds_it() {
    let (fleet, mut observation) = held(Component::Jvb, (None, None), None);
    for other in &mut observation.group.instances[1..] {
        other.lifecycle = Lifecycle::Pending;
    }
    let decision = decide(&fleet, &observation, NOW);
    // The tag keeps since when; the bridge is not asked to drain.
    assert_eq!(words(&decision), ["tag i-0 as draining (hook)"]);
    assert!(decision.waiting[0].held_back);
    let mut later = observation.clone();
    later.group.instances[0].drain = Some(drain_for(Purpose::Hook, DrainState::Draining));
    later.group.instances[0].live = live(None, Some(OBLIVIOUS));
    let decision = decide(&fleet, &later, NOW);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert!(decision.waiting[0].held_back);
    (observation.group.min, observation.group.desired) = (Capacity::ZERO, Capacity::ZERO);
    assert_eq!(steps(&fleet, &observation), ["tag i-0 as draining (hook)", "ask i-0 to drain"]);
}

#[test]
fn a_drain_near_the_limit_of_its_hook_is_reported() {
    let (fleet, mut observation) = held(Component::Jvb, (None, Some(IN_USE)), Some(DrainState::Draining));
    let begun = Drain {
        since: NOW.before(Duration::from_hours(40)),
        ..drain_for(Purpose::Hook, DrainState::Draining)
    };
    observation.group.instances[0].drain = Some(begun);
    let decision = decide(&fleet, &observation, NOW);
    assert!((decision.waiting[0].share_of_limit() - 40.0 / 48.0).abs() < 1e-9);
    let sentence = decision.sentence(&fleet);
    assert!(sentence.contains("its hook ends after 172800 s"), "{sentence}");
}
