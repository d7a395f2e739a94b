//! Hooks, replacements, recycling, protection, failing launches and overdue drains.

use test_case::test_case;

use super::*;
use crate::decide::observation::{Hook, LaunchFailures, Recycling};
use crate::decide::policy::{DrainLimit, OnTimeout, Replace};

pub(super) fn hook() -> Hook {
    Hook { name: "drain".to_owned(), heartbeat: Duration::from_mins(30), limit: Duration::from_hours(48) }
}

pub(super) fn replace() -> Replace {
    Replace { periods: 5, max_in_flight: capacity(1), max_share: Percent::try_new(34.0).expect("a share") }
}

fn as_drain(purpose: Purpose, state: DrainState) -> Drain {
    Drain { purpose, ..super::drain(state) }
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
    live: (Option<Reading>, Option<Reading>),
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
    instance.heartbeat = Some(NOW.before(Duration::from_mins(9)));
    instance.drain = state.map(|state| as_drain(Purpose::Hook, state));
    instance.live = Live { previous: live.0, latest: live.1 };
    (fleet, observation)
}

#[test_case(Component::Jvb, None, (None, None), &["tag i-0 as draining (hook)", "ask i-0 to drain"]; "a bridge is drained")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(IN_USE), Some(IN_USE)), &[]; "a bridge in use is waited for")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(EMPTY), Some(EMPTY)),
    &["tag i-0 as asked (hook)", "ask i-0 to shut down gracefully", "complete the hook of i-0"]; "an empty bridge goes")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(Reading::Refused), Some(Reading::Refused)), &[]; "a bridge that refuses before its final request is unknown")]
#[test_case(Component::Jibri, None, (None, None), &["tag i-0 as draining (hook)"]; "a jibri has to answer first")]
#[test_case(Component::Jibri, Some(DrainState::Draining), (None, Some(Reading::Answered { empty: false, draining: false, closing: false })),
    &["tag i-0 as asked (hook)", "ask i-0 to shut down gracefully"]; "a jibri that records is asked to exit when it is done")]
#[test_case(Component::Jibri, Some(DrainState::Closed), (Some(Reading::Refused), Some(Reading::Refused)),
    &["complete the hook of i-0"]; "a jibri that has exited goes")]
fn an_instance_that_a_hook_holds_is_drained_and_released(
    component: Component,
    state: Option<DrainState>,
    live: (Option<Reading>, Option<Reading>),
    expected: &[&str],
) {
    let (fleet, observation) = held(component, live, state);
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
}

#[test]
fn a_group_that_cannot_be_seen_gets_heartbeats_only() {
    let (mut fleet, mut observation) = held(Component::Jvb, (None, None), None);
    let ago = |minutes| Some(NOW.before(Duration::from_mins(minutes)));
    let sent = |fleet: &FleetPolicy, observation: &Observation| -> Vec<String> {
        heartbeats(fleet, &observation.group, NOW).iter().flatten().map(ToString::to_string).collect()
    };
    assert!(
        sent(&fleet, &observation).is_empty(),
        "the last heartbeat was nine minutes ago, and the timeout is thirty"
    );
    observation.group.instances[0].heartbeat = ago(10);
    assert_eq!(sent(&fleet, &observation), ["send a heartbeat to the hook of i-0"]);
    fleet.serves_hooks = false;
    assert!(sent(&fleet, &observation).is_empty(), "hooks are not served, and the drain is not the scaler's");
    observation.group.instances[0].drain = Some(as_drain(Purpose::Hook, DrainState::Draining));
    assert_eq!(sent(&fleet, &observation).len(), 1, "the scaler began its drain");
    observation.group.hook = None;
    assert!(sent(&fleet, &observation).is_empty(), "it is not known which hook holds it");
}

#[test]
fn heartbeats_are_sent_well_before_each_timeout() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(IN_USE), Some(IN_USE)), Some(DrainState::Draining));
    let heartbeat = ["send a heartbeat to the hook of i-0"];
    observation.group.instances[0].heartbeat = Some(NOW.before(Duration::from_mins(10)));
    assert_eq!(words(&decide(&fleet, &observation, NOW)), heartbeat);
    // After a start it is not known when the last one was sent.
    observation.group.instances[0].heartbeat = None;
    assert_eq!(words(&decide(&fleet, &observation, NOW)), heartbeat);
    // An unknown hook gets no heartbeat.
    observation.group.hook = None;
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["hook_unknown"]));
}

#[test]
fn a_released_instance_gets_a_heartbeat_in_case_the_release_fails() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(EMPTY), Some(EMPTY)), Some(DrainState::Unclosable));
    observation.group.instances[0].heartbeat = Some(NOW.before(Duration::from_mins(10)));
    let expected = ["send a heartbeat to the hook of i-0", "complete the hook of i-0"];
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
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
    later.group.instances[0].drain = Some(as_drain(Purpose::Hook, DrainState::Draining));
    later.group.instances[0].live = Live { previous: None, latest: Some(OBLIVIOUS) };
    let decision = decide(&fleet, &later, NOW);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert!(decision.waiting[0].held_back);
    (observation.group.min, observation.group.desired) = (Capacity::ZERO, Capacity::ZERO);
    assert_eq!(words(&decide(&fleet, &observation, NOW)), ["tag i-0 as draining (hook)", "ask i-0 to drain"]);
}

#[test]
fn a_drain_near_the_limit_of_its_hook_is_reported() {
    let (fleet, mut observation) = held(Component::Jvb, (None, Some(IN_USE)), Some(DrainState::Draining));
    let begun = Drain {
        since: NOW.before(Duration::from_hours(40)),
        ..as_drain(Purpose::Hook, DrainState::Draining)
    };
    observation.group.instances[0].drain = Some(begun);
    let decision = decide(&fleet, &observation, NOW);
    assert!((decision.waiting[0].share_of_limit() - 40.0 / 48.0).abs() < 1e-9);
    assert!(
        decision.sentence(&fleet).contains("its hook ends after 172800 s"),
        "{}",
        decision.sentence(&fleet)
    );
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
    assert_eq!(
        (decision.action, words(&decision)),
        (Action::Hold, expected.iter().map(|it| (*it).to_owned()).collect())
    );
    // The second one waits until the first is replaced.
    observation.group.instances[1].drain = Some(as_drain(Purpose::Replace, DrainState::Draining));
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(reasons(&decision), ["replace_budget"]);
    // It is no longer ready, and still counts as capacity.
    assert_eq!((decision.current.capacity, decision.current.replaced), (capacity(6), capacity(1)));
}

#[test]
fn an_ill_bridge_goes_once_it_is_empty_and_desired_stays() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(4, steady(60.0));
    let instance = &mut observation.group.instances[0];
    instance.ill = true;
    instance.drain = Some(as_drain(Purpose::Replace, DrainState::Draining));
    instance.live = Live { previous: Some(EMPTY), latest: Some(EMPTY) };
    let expected = ["tag i-0 as asked (replace)", "ask i-0 to shut down gracefully", "have AWS replace i-0"];
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
}

#[test]
fn an_ill_bridge_waits_for_silent_ones_while_people_may_join_it() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let ill = |state, latest, other: fn(&mut Instance)| {
        let mut observation = seen(2, steady(60.0));
        let [first, second] = &mut observation.group.instances[..] else { panic!("two bridges") };
        (first.ill, first.looks_ill) = (true, true);
        first.drain = Some(as_drain(Purpose::Replace, state));
        first.live = Live { previous: Some(latest), latest: Some(latest) };
        other(second);
        decide(&fleet, &observation, NOW)
    };
    let unclosable = |other| ill(DrainState::Unclosable, EMPTY, other);
    let goes = ["have AWS replace i-0"];
    let silent = |it: &mut Instance| it.reported = Reported::default();
    let waits = unclosable(silent);
    assert_eq!((words(&waits), waits.waiting[0].held_back), (Vec::<String>::new(), true));
    assert_eq!(words(&unclosable(|_| ())), goes);
    // A group in which all are ill must recover.
    assert_eq!(words(&unclosable(|it| (it.reported, it.looks_ill) = (Reported::default(), true))), goes);
    // One that takes no new people may leave.
    assert_eq!(words(&ill(DrainState::Closed, EMPTY_CLOSING, silent)), goes);
    assert_eq!(words(&ill(DrainState::Closed, Reading::Refused, silent)), goes);
}

#[test]
fn a_recovered_bridge_goes_on_serving_where_no_other_does() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(2, steady(60.0));
    let [first, second] = &mut observation.group.instances[..] else { panic!("two bridges") };
    first.drain = Some(as_drain(Purpose::Replace, DrainState::Draining));
    first.live = Live { previous: Some(IN_USE), latest: Some(IN_USE) };
    // An operator drains the other one.
    second.reported.draining = Some(true);
    let taken_back = [
        "tag i-0 as returning (replace)",
        "ask i-0 to end its drain",
        "remove the drain tag of i-0",
        "tag the scale-out",
    ];
    assert_eq!(words(&decide(&fleet, &observation, NOW)), taken_back);
    let waits = |change: fn(&mut Observation)| {
        let mut observation = observation.clone();
        change(&mut observation);
        words(&decide(&fleet, &observation, NOW)).is_empty()
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
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (replace)", "ask i-0 to drain"]);
}

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
    assert_eq!(words(&decide(&recycling(), &observation, NOW)), ["remove the tag of recycling"]);
}

#[test]
fn when_the_night_is_over_the_surplus_instance_leaves() {
    let mut observation = night();
    observation.may_recycle = false;
    assert_eq!(words(&decide(&recycling(), &observation, NOW)), Vec::<String>::new());
    observation.group.recycling = Some(Recycling { since: NOW, desired: capacity(4) });
    let decision = decide(&recycling(), &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (recycle)", "ask i-0 to drain"]);
    assert!(
        decision.sentence(&recycling()).contains("the one too many"),
        "{}",
        decision.sentence(&recycling())
    );
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

#[test]
fn busy_instances_are_protected_and_free_ones_are_not() {
    let fleet = FleetPolicy { protect_busy: true, ..bridges() };
    let mut observation = seen(4, steady(60.0));
    observation.group.instances[0].protected = true;
    observation.group.instances[1].protected = true;
    observation.group.instances[3].reported = Reported::default();
    let expected = ["protect i-2 from scale-in by AWS", "end the protection of i-0"];
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
}

#[test]
fn while_launches_fail_no_more_are_requested() {
    let mut observation = seen(3, steady(120.0));
    observation.group.desired = capacity(4);
    let failed = |count, ago| {
        Some(LaunchFailures {
            count,
            last: NOW.before(Duration::from_mins(ago)),
            message: "no capacity".to_owned(),
        })
    };
    observation.windows = vec![steady(150.0)];
    let fleet = FleetPolicy { min: Some(capacity(6)), ..bridges() };
    observation.group.launch_failures = failed(3, 3);
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), decision.action), (Vec::new(), Action::Hold));
    assert!(decision.sentence(&fleet).contains("AWS failed 3 launches"), "{}", decision.sentence(&fleet));
    // The pause doubles with each failure: four minutes after the third.
    observation.group.launch_failures = failed(3, 4);
    assert_eq!(words(&decide(&fleet, &observation, NOW))[0], "set desired capacity from 4 to 6");
    observation.group.launch_failures = failed(40, 29);
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::Hold);
    observation.group.launch_failures = failed(40, 30);
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::ScaleOut);
}

#[test_case(OnTimeout::Wait, &[]; "wait")]
#[test_case(OnTimeout::Undrain,
    &["tag i-0 as returning (scale-in)", "ask i-0 to end its drain", "remove the drain tag of i-0", "tag the scale-out"]; "undrain")]
#[test_case(OnTimeout::Terminate,
    &["terminate i-0, lowering desired capacity, whatever it carries: its drain took longer than drain.timeout"]; "terminate")]
fn an_overdue_drain_ends_as_on_timeout_says(then: OnTimeout, expected: &[&str]) {
    let fleet =
        FleetPolicy { drain_limit: Some(DrainLimit { timeout: Duration::from_mins(1), then }), ..bridges() };
    let mut observation = seen(4, steady(60.0));
    draining(&mut observation.group.instances[0], DrainState::Draining, Some(IN_USE), Some(IN_USE));
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), expected);
    assert!(decision.waiting.iter().all(|drain| drain.overdue));
    let patient =
        FleetPolicy { drain_limit: Some(DrainLimit { timeout: Duration::from_mins(2), then }), ..bridges() };
    assert_eq!(words(&decide(&patient, &observation, NOW)), Vec::<String>::new());
}

#[test]
fn an_instance_that_no_hook_holds_any_more_is_not_ended_as_overdue() {
    let limit = DrainLimit { timeout: Duration::from_mins(1), then: OnTimeout::Terminate };
    let fleet = FleetPolicy { drain_limit: Some(limit), ..bridges() };
    let mut observation = seen(4, steady(60.0));
    draining(&mut observation.group.instances[0], DrainState::Draining, Some(IN_USE), Some(IN_USE));
    observation.group.instances[0].drain = Some(as_drain(Purpose::Hook, DrainState::Draining));
    assert_eq!(words(&decide(&fleet, &observation, NOW)), ["remove the drain tag of i-0"]);
}
