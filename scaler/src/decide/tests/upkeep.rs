//! Hooks, replacements, recycling, protection, failing launches and drains that take too long.

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
fn how_near_the_limit_of_its_hook_is_counts_from_when_that_began_to_hold() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(IN_USE), Some(IN_USE)), Some(DrainState::Draining));
    let told = |observation: &Observation| decide(&fleet, observation, NOW).waiting.remove(0);
    let unknown = told(&observation);
    assert_eq!(unknown.held_for, unknown.age, "while nobody knows, since its drain began");
    observation.group.instances[0].held_since = Some(NOW.before(Duration::from_secs(20)));
    let known = told(&observation);
    assert_eq!((known.age, known.held_for), (unknown.age, Duration::from_secs(20)));
    assert!(known.share_of_limit() < unknown.share_of_limit());
}

/// A group whose first instance AWS takes, held by its hook.
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
    &["tag i-0 as asked (hook)", "ask i-0 to shut down gracefully", "have its hook let i-0 go"]; "an empty bridge goes")]
#[test_case(Component::Jvb, Some(DrainState::Draining), (Some(Reading::Refused), Some(Reading::Refused)), &[]; "a bridge that refuses unasked is unknown")]
#[test_case(Component::Jibri, None, (None, None), &["tag i-0 as draining (hook)"]; "a jibri has to answer first")]
#[test_case(Component::Jibri, Some(DrainState::Draining), (None, Some(Reading::Answered { empty: false, draining: false, closing: false })),
    &["tag i-0 as asked (hook)", "ask i-0 to shut down gracefully"]; "a jibri that records is asked to exit when it is done")]
#[test_case(Component::Jibri, Some(DrainState::Closed), (Some(Reading::Refused), Some(Reading::Refused)),
    &["have its hook let i-0 go"]; "a jibri that has exited goes")]
fn what_a_hook_holds_is_drained_and_let_go(
    component: Component,
    state: Option<DrainState>,
    live: (Option<Reading>, Option<Reading>),
    expected: &[&str],
) {
    let (fleet, observation) = held(component, live, state);
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
}

#[test]
fn of_a_group_that_cannot_be_seen_only_what_its_hook_holds_is_held_on() {
    let (mut fleet, mut observation) = held(Component::Jvb, (None, None), None);
    let ago = |minutes| Some(NOW.before(Duration::from_mins(minutes)));
    let told = |fleet: &FleetPolicy, observation: &Observation| -> Vec<String> {
        hold_on(fleet, &observation.group, NOW).iter().flatten().map(ToString::to_string).collect()
    };
    assert!(told(&fleet, &observation).is_empty(), "it was told nine minutes ago, and holds for thirty");
    observation.group.instances[0].heartbeat = ago(10);
    assert_eq!(told(&fleet, &observation), ["have its hook hold i-0 for longer"]);
    fleet.serves_hooks = false;
    assert!(told(&fleet, &observation).is_empty(), "it is nobody's of ours");
    observation.group.instances[0].drain = Some(as_drain(Purpose::Hook, DrainState::Draining));
    assert_eq!(told(&fleet, &observation).len(), 1, "its drain was begun by us");
    observation.group.hook = None;
    assert!(told(&fleet, &observation).is_empty(), "nobody knows which hook holds it");
}

#[test]
fn heartbeats_are_sent_well_before_each_timeout() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(IN_USE), Some(IN_USE)), Some(DrainState::Draining));
    let heartbeat = ["have its hook hold i-0 for longer"];
    observation.group.instances[0].heartbeat = Some(NOW.before(Duration::from_mins(10)));
    assert_eq!(words(&decide(&fleet, &observation, NOW)), heartbeat);
    // After a start nobody knows when the last one was sent.
    observation.group.instances[0].heartbeat = None;
    assert_eq!(words(&decide(&fleet, &observation, NOW)), heartbeat);
    // A hook that nobody knows cannot be told anything.
    observation.group.hook = None;
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["hook_unknown"]));
}

#[test]
fn what_is_let_go_is_held_on_too_in_case_that_fails() {
    let (fleet, mut observation) =
        held(Component::Jvb, (Some(EMPTY), Some(EMPTY)), Some(DrainState::Unclosable));
    observation.group.instances[0].heartbeat = Some(NOW.before(Duration::from_mins(10)));
    let expected = ["have its hook hold i-0 for longer", "have its hook let i-0 go"];
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
}

#[test]
fn the_only_serving_bridge_serves_on_while_its_hook_holds_it() {
    let (fleet, mut observation) = held(Component::Jvb, (None, None), None);
    for other in &mut observation.group.instances[1..] {
        other.lifecycle = Lifecycle::Pending;
    }
    let decision = decide(&fleet, &observation, NOW);
    // The tag tells since when; the bridge is not asked anything.
    assert_eq!(words(&decision), ["tag i-0 as draining (hook)"]);
    assert!(decision.waiting[0].held);
    let mut later = observation.clone();
    later.group.instances[0].drain = Some(as_drain(Purpose::Hook, DrainState::Draining));
    later.group.instances[0].live = Live { previous: None, latest: Some(OBLIVIOUS) };
    let decision = decide(&fleet, &later, NOW);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert!(decision.waiting[0].held);
    (observation.group.min, observation.group.desired) = (Capacity::ZERO, Capacity::ZERO);
    assert_eq!(words(&decide(&fleet, &observation, NOW)), ["tag i-0 as draining (hook)", "ask i-0 to drain"]);
}

#[test]
fn the_share_of_a_hooks_time_is_told() {
    let (fleet, mut observation) = held(Component::Jvb, (None, Some(IN_USE)), Some(DrainState::Draining));
    let begun = Drain {
        since: NOW.before(Duration::from_hours(40)),
        ..as_drain(Purpose::Hook, DrainState::Draining)
    };
    observation.group.instances[0].drain = Some(begun);
    let decision = decide(&fleet, &observation, NOW);
    assert!((decision.waiting[0].share_of_limit() - 40.0 / 48.0).abs() < 1e-9);
    assert!(
        decision.sentence(&fleet).contains("its hook lets it go after 172800 s"),
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
    // It is no longer ready, and yet another one need not be launched for it.
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
fn an_ill_bridge_waits_for_silent_ones_while_somebody_may_join_it() {
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
    assert_eq!((words(&waits), waits.waiting[0].held), (Vec::<String>::new(), true));
    assert_eq!(words(&unclosable(|_| ())), goes);
    // A group in which all are ill must recover.
    assert_eq!(words(&unclosable(|it| (it.reported, it.looks_ill) = (Reported::default(), true))), goes);
    // One that takes nobody any more may go.
    assert_eq!(words(&ill(DrainState::Closed, EMPTY_CLOSING, silent)), goes);
    assert_eq!(words(&ill(DrainState::Closed, Reading::Refused, silent)), goes);
}

#[test]
fn a_bridge_that_is_well_again_serves_on_where_nobody_else_does() {
    let fleet = FleetPolicy { replace: Some(replace()), ..bridges() };
    let mut observation = seen(2, steady(60.0));
    let [first, second] = &mut observation.group.instances[..] else { panic!("two bridges") };
    first.drain = Some(as_drain(Purpose::Replace, DrainState::Draining));
    first.live = Live { previous: Some(IN_USE), latest: Some(IN_USE) };
    // Somebody else drains the other one.
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
    assert!(waits(|it| it.group.instances[0].looks_ill = true), "it is ill still");
    assert!(waits(|it| it.group.instances[0].reported.up = false), "nobody knows how it is");
    assert!(waits(|it| it.group.instances[1].reported.draining = Some(false)), "the other one serves");
    assert!(waits(|it| it.group.instances[0].live.latest = Some(Reading::Unknown)), "it cannot be asked");
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
fn whoever_looks_ill_now_counts_before_it_has_for_long_enough() {
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
fn recycling_raises_by_one_and_then_takes_the_oldest_idle_one() {
    let mut observation = night();
    let decision = decide(&recycling(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(5)));
    assert_eq!(words(&decision), ["tag a raise to 5 for recycling", "set desired capacity from 4 to 5"]);

    observation.group.recycling = Some(Recycling { since: NOW, desired: capacity(5) });
    observation.group.desired = capacity(5);
    assert_eq!(reasons(&decide(&recycling(), &observation, NOW)), ["warming", "recycle_waits"]);
    observation.group.instances.push(instance(9));
    observation.group.instances[4].in_service_since = Some(NOW.before(Duration::from_mins(5)));
    let decision = decide(&recycling(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleIn, capacity(4)));
    assert_eq!(words(&decision), ["tag i-0 as draining (recycle)", "ask i-0 to drain"]);

    // It is gone, and the tag goes; then the next one has its turn.
    observation.group.instances.remove(0);
    observation.group.desired = capacity(4);
    assert_eq!(words(&decide(&recycling(), &observation, NOW)), ["remove the tag of recycling"]);
}

#[test]
fn when_the_night_is_over_the_one_too_many_goes() {
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
fn what_a_policy_wants_ends_recycling() {
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
fn what_is_busy_is_protected_and_what_is_free_is_not() {
    let fleet = FleetPolicy { protect_busy: true, ..bridges() };
    let mut observation = seen(4, steady(60.0));
    observation.group.instances[0].protected = true;
    observation.group.instances[1].protected = true;
    observation.group.instances[3].reported = Reported::default();
    let expected = ["protect i-2 from scale-in by AWS", "end the protection of i-0"];
    assert_eq!(words(&decide(&fleet, &observation, NOW)), expected);
}

#[test]
fn while_launches_fail_no_more_are_asked_for() {
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
fn a_drain_that_takes_too_long_is_the_operators_choice(then: OnTimeout, expected: &[&str]) {
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
fn what_no_hook_holds_any_more_is_not_ended_for_the_time_that_it_was_held() {
    let limit = DrainLimit { timeout: Duration::from_mins(1), then: OnTimeout::Terminate };
    let fleet = FleetPolicy { drain_limit: Some(limit), ..bridges() };
    let mut observation = seen(4, steady(60.0));
    draining(&mut observation.group.instances[0], DrainState::Draining, Some(IN_USE), Some(IN_USE));
    observation.group.instances[0].drain = Some(as_drain(Purpose::Hook, DrainState::Draining));
    assert_eq!(words(&decide(&fleet, &observation, NOW)), ["remove the drain tag of i-0"]);
}
