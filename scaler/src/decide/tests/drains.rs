//! Drains: how they advance, what cancels them, and what ends them.

use test_case::test_case;

use super::*;
use crate::decide::policy::{DrainLimit, OnTimeout};

#[test]
fn drains_are_cancelled_before_anything_is_launched() {
    let decision = decide(&bridges(), &one_drains(4, 120.0, DrainState::Draining, None, Some(IN_USE)), NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(4)));
    assert_eq!(
        words(&decision),
        [
            "tag i-0 as returning (scale-in)",
            "ask i-0 to end its drain",
            "remove the drain tag of i-0",
            "tag the scale-out"
        ]
    );
}

#[test_case(None; "not asked")]
#[test_case(Some(Reading::Unknown); "silent")]
#[test_case(Some(Reading::Refused); "refusing")]
fn a_drain_that_cannot_be_reached_is_not_counted_on(latest: Option<Reading>) {
    let observation = one_drains(4, 120.0, DrainState::Draining, None, latest);
    assert_eq!(steps(&bridges(), &observation), ["set desired capacity from 4 to 5", "tag the scale-out"]);
}

#[test]
fn a_drain_of_an_instance_that_several_series_name_is_not_counted_on() {
    let mut observation = one_drains(4, 120.0, DrainState::Draining, None, Some(IN_USE));
    observation.group.instances[0].reported.ambiguous = true;
    assert_eq!(steps(&bridges(), &observation), ["set desired capacity from 4 to 5", "tag the scale-out"]);
}

#[test]
fn the_drain_that_began_last_is_cancelled_first() {
    let mut observation = seen(5, steady(120.0));
    for (index, since) in [(1, 100), (3, 50), (4, 200)] {
        draining(&mut observation.group.instances[index], DrainState::Draining, None, Some(IN_USE));
        observation.group.instances[index].drain =
            Some(Drain { since: NOW.before(Duration::from_secs(since)), ..drain(DrainState::Draining) });
    }
    assert_eq!(steps(&bridges(), &observation)[0], "tag i-3 as returning (scale-in)");
}

#[test]
fn cancelled_drains_do_not_pass_the_maximum() {
    let observation = one_drains(4, 120.0, DrainState::Draining, None, Some(IN_USE));
    let fleet = FleetPolicy { max: Some(capacity(3)), ..bridges() };
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::Hold, capacity(3)));
    assert_eq!(reasons(&decision), ["maximum"]);
}

#[test]
fn with_terminate_suspended_a_drain_stops_before_its_last_step() {
    let mut observation = one_drains(4, 60.0, DrainState::Draining, Some(EMPTY), Some(EMPTY));
    observation.group.terminate_suspended = true;
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert!(decision.waiting[0].held_back);
}

#[test]
fn the_last_bridge_that_serves_is_not_closed_although_it_drains() {
    let mut observation = one_drains(2, 60.0, DrainState::Draining, Some(EMPTY), Some(EMPTY));
    // The other one is ill: the drain is cancelled.
    observation.group.instances[1].reported.healthy = Some(false);
    assert_eq!(steps(&bridges(), &observation)[0], "tag i-0 as returning (scale-in)");
    // The health of the other one is unknown: the drain waits.
    observation.group.instances[1].reported = Reported::default();
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert!(decision.waiting[0].held_back);
}

#[test]
fn a_bridge_that_was_restarted_is_not_drained_again_while_no_other_serves() {
    let mut observation = one_drains(2, 60.0, DrainState::Closed, None, Some(OBLIVIOUS));
    assert_eq!(steps(&bridges(), &observation), ["tag i-0 as draining (scale-in)", "ask i-0 to drain"]);
    observation.group.instances[1].reported = Reported::default();
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert!(decision.waiting[0].held_back);
}

#[test]
fn a_drain_past_its_final_request_is_not_cancelled() {
    let decision =
        decide(&bridges(), &one_drains(4, 120.0, DrainState::Closed, None, Some(EMPTY_CLOSING)), NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(4)));
    assert_eq!(words(&decision)[0], "set desired capacity from 4 to 5");
}

#[test_case(DrainState::Draining, None, Some(OBLIVIOUS),
    &["tag i-0 as draining (scale-in)", "ask i-0 to drain"]; "the request was lost")]
#[test_case(DrainState::Draining, Some(EMPTY), Some(IN_USE), &[]; "still in use")]
#[test_case(DrainState::Draining, None, Some(EMPTY), &[]; "empty once")]
#[test_case(DrainState::Draining, Some(OBLIVIOUS), Some(EMPTY), &[]; "empty before the drain does not count")]
#[test_case(DrainState::Draining, Some(Reading::Unknown), Some(EMPTY), &[]; "empty, unknown before")]
#[test_case(DrainState::Draining, Some(EMPTY), Some(EMPTY),
    &["tag i-0 as asked (scale-in)", "ask i-0 to shut down gracefully"]; "empty twice")]
#[test_case(DrainState::Draining, Some(EMPTY), Some(Reading::Refused), &[]; "refused without a request is unknown")]
#[test_case(DrainState::Draining, Some(EMPTY), Some(EMPTY_CLOSING), &["tag i-0 as closed (scale-in)"]; "closed, tag lost")]
#[test_case(DrainState::Closed, None, Some(EMPTY_CLOSING),
    &["terminate i-0, lowering desired capacity"]; "closed and empty")]
#[test_case(DrainState::Closed, None, Some(Reading::Refused), &[]; "exited, seen once")]
#[test_case(DrainState::Asked, Some(EMPTY), Some(IN_USE), &[]; "asked, and in use again")]
#[test_case(DrainState::Asked, Some(IN_USE), Some(EMPTY_CLOSING), &["tag i-0 as closed (scale-in)"]; "asked, and it is closing")]
#[test_case(DrainState::Unclosable, Some(EMPTY), Some(OBLIVIOUS),
    &["tag i-0 as draining (scale-in)", "ask i-0 to drain"]; "not closable, and restarted")]
#[test_case(DrainState::Closed, Some(Reading::Refused), Some(Reading::Refused),
    &["terminate i-0, lowering desired capacity"]; "exited")]
#[test_case(DrainState::Closed, Some(EMPTY), Some(Reading::Unknown), &[]; "closed but silent")]
#[test_case(DrainState::Closed, Some(EMPTY), Some(OBLIVIOUS), &["tag i-0 as draining (scale-in)", "ask i-0 to drain"]; "restarted")]
#[test_case(DrainState::Unclosable, Some(EMPTY), Some(EMPTY),
    &["terminate i-0, lowering desired capacity"]; "it has no final request")]
#[test_case(DrainState::Returning, None, Some(IN_USE), &["ask i-0 to end its drain", "remove the drain tag of i-0", "tag the scale-out"]; "return half done")]
fn a_bridge_drains_step_by_step(
    state: DrainState,
    previous: Option<Reading>,
    latest: Option<Reading>,
    expected: &[&str],
) {
    let decision = decide(&bridges(), &one_drains(4, 60.0, state, previous, latest), NOW);
    assert_eq!(words(&decision), expected);
    assert_eq!(decision.waiting.is_empty(), expected.iter().any(|step| step.starts_with("terminate")));
}

const IDLE: Reading = Reading::Answered { empty: true, draining: false, closing: false };

const BUSY: Reading = Reading::Answered { empty: false, draining: false, closing: false };

#[test_case(DrainState::Draining, None, Some(IDLE),
    &["check that i-0 is empty", "tag i-0 as asked (scale-in)", "ask i-0 to shut down gracefully"]; "the request was lost")]
#[test_case(DrainState::Draining, None, Some(BUSY), &["remove the drain tag of i-0"]; "in use before it was asked")]
#[test_case(DrainState::Asked, None, Some(IDLE), &["ask i-0 to shut down gracefully"]; "asked, and still there")]
#[test_case(DrainState::Asked, None, Some(BUSY), &["ask i-0 to shut down gracefully"]; "asked, and recording")]
#[test_case(DrainState::Asked, Some(Reading::Unknown), Some(Reading::Refused), &[]; "asked, and gone once")]
#[test_case(DrainState::Asked, Some(Reading::Refused), Some(Reading::Refused),
    &["terminate i-0, lowering desired capacity"]; "gone, and its answer with it")]
#[test_case(DrainState::Draining, Some(Reading::Refused), Some(Reading::Refused), &[]; "refused without a request")]
#[test_case(DrainState::Closed, Some(IDLE), Some(BUSY), &[]; "a recording began meanwhile")]
#[test_case(DrainState::Closed, Some(BUSY), Some(IDLE), &[]; "idle once")]
#[test_case(DrainState::Closed, Some(IDLE), Some(Reading::Unknown), &[]; "silent")]
#[test_case(DrainState::Closed, Some(IDLE), Some(IDLE),
    &["ask i-0 to shut down gracefully", "terminate i-0, lowering desired capacity"]; "idle twice although asked to exit")]
#[test_case(DrainState::Closed, Some(BUSY), Some(Reading::Refused), &[]; "gone once")]
#[test_case(DrainState::Closed, Some(Reading::Refused), Some(Reading::Refused),
    &["terminate i-0, lowering desired capacity"]; "gone")]
fn a_jibri_drains_step_by_step(
    state: DrainState,
    previous: Option<Reading>,
    latest: Option<Reading>,
    expected: &[&str],
) {
    let observation = one_drains(4, 2.5, state, previous, latest);
    assert_eq!(steps(&jibris(), &observation), expected);
}

#[test]
fn leftovers_of_a_crash_are_cleared() {
    let mut observation = one_drains(4, 60.0, DrainState::Closed, None, None);
    observation.group.instances[0].lifecycle = Lifecycle::Gone;
    observation.group.desired = capacity(3);
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), ["remove the drain tag of i-0"]);
    assert_eq!(decision.waiting, []);
    // Several components ran on it: only its own hook, if any, depends on that.
    observation.group.instances[0].reported.ambiguous = true;
    assert_eq!(steps(&bridges(), &observation), ["remove the drain tag of i-0"]);
    // One that AWS terminates keeps its tag: a hook may hold it before it is gone.
    observation.group.instances[0].lifecycle = Lifecycle::Terminating;
    assert_eq!(steps(&bridges(), &observation), Vec::<String>::new());
}

#[test_case(Component::Jvb, Lifecycle::Aside, DrainState::Closed, false; "a bridge in standby")]
#[test_case(Component::Jibri, Lifecycle::Aside, DrainState::Closed, false; "a jibri in standby")]
#[test_case(Component::Jibri, Lifecycle::Pending, DrainState::Asked, false; "a jibri that comes back")]
#[test_case(Component::Jibri, Lifecycle::Aside, DrainState::Draining, true; "a jibri that was not asked")]
#[test_case(Component::Jibri, Lifecycle::Detached, DrainState::Closed, true; "a jibri that was detached")]
fn one_that_has_exited_as_asked_keeps_its_tag_while_it_may_return(
    component: Component,
    lifecycle: Lifecycle,
    state: DrainState,
    is_over: bool,
) {
    let (fleet, value) = if component == Component::Jvb { (bridges(), 60.0) } else { (jibris(), 2.5) };
    let mut observation = one_drains(4, value, state, Some(Reading::Refused), Some(Reading::Refused));
    observation.group.instances[0].lifecycle = lifecycle;
    observation.group.desired = capacity(3);
    let expected: &[&str] = if is_over { &["remove the drain tag of i-0"] } else { &[] };
    assert_eq!(steps(&fleet, &observation), expected);
    if !is_over {
        (observation.group.instances[0].lifecycle, observation.group.desired) =
            (Lifecycle::InService, capacity(4));
        assert_eq!(steps(&fleet, &observation), ["terminate i-0, lowering desired capacity"]);
    }
}

#[test_case(Lifecycle::Aside, IN_USE, &["ask i-0 to end its drain", "remove the drain tag of i-0"]; "in standby")]
#[test_case(Lifecycle::Detached, IN_USE, &["ask i-0 to end its drain", "remove the drain tag of i-0"]; "detached")]
#[test_case(Lifecycle::Aside, OBLIVIOUS, &["remove the drain tag of i-0"]; "restarted")]
#[test_case(Lifecycle::Aside, Reading::Refused, &["remove the drain tag of i-0"]; "its process has ended")]
#[test_case(Lifecycle::Aside, EMPTY_CLOSING, &[]; "it exits by itself")]
#[test_case(Lifecycle::Aside, Reading::Unknown, &[]; "silent")]
#[test_case(Lifecycle::Detached, Reading::Unknown, &[]; "detached and silent")]
fn a_bridge_that_leaves_its_group_is_given_back(lifecycle: Lifecycle, latest: Reading, expected: &[&str]) {
    let mut observation = one_drains(4, 60.0, DrainState::Draining, None, Some(latest));
    observation.group.instances[0].lifecycle = lifecycle;
    observation.group.desired = capacity(3);
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), expected);
    // An alert tells of one that does not answer.
    assert_eq!(
        decision.waiting[0].is_unreachable(),
        latest == Reading::Unknown || latest == Reading::Refused
    );
}

#[test]
fn looks_that_come_too_early_confirm_nothing() {
    let decided = |state, latest, looks| {
        let mut observation = one_drains(4, 60.0, state, None, Some(latest));
        observation.group.instances[0].live.looks = looks;
        steps(&bridges(), &observation)
    };
    for (state, latest) in [(DrainState::Draining, EMPTY), (DrainState::Closed, Reading::Refused)] {
        assert_eq!(decided(state, latest, Looks::TooEarly), Vec::<String>::new());
        assert_eq!(decided(state, latest, Looks::One), Vec::<String>::new());
        assert!(!decided(state, latest, Looks::Two).is_empty());
    }
    // Jicofo hears late that the bridge leaves.
    assert_eq!(decided(DrainState::Closed, EMPTY_CLOSING, Looks::TooEarly), Vec::<String>::new());
    assert_eq!(
        decided(DrainState::Closed, EMPTY_CLOSING, Looks::One),
        ["terminate i-0, lowering desired capacity"]
    );
}

#[test_case(OnTimeout::Wait, &[]; "wait")]
#[test_case(OnTimeout::Undrain,
    &["tag i-0 as returning (scale-in)", "ask i-0 to end its drain", "remove the drain tag of i-0", "tag the scale-out"]; "undrain")]
#[test_case(OnTimeout::Terminate,
    &["terminate i-0, lowering desired capacity, whatever it carries: its drain took longer than drain.timeout"]; "terminate")]
fn an_overdue_drain_ends_as_on_timeout_says(then: OnTimeout, expected: &[&str]) {
    let fleet =
        FleetPolicy { drain_limit: Some(DrainLimit { timeout: Duration::from_mins(1), then }), ..bridges() };
    let observation = one_drains(4, 60.0, DrainState::Draining, Some(IN_USE), Some(IN_USE));
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(words(&decision), expected);
    assert!(decision.waiting.iter().all(|drain| drain.overdue));
    // A process that has not seen all of it does not know which clock was wrong.
    let mut early = observation.clone();
    early.group.instances[0].drains_for = Duration::from_secs(59);
    let expected = if then == OnTimeout::Terminate { &[] } else { expected };
    assert_eq!(words(&decide(&fleet, &early, NOW)), expected);
    let patient =
        FleetPolicy { drain_limit: Some(DrainLimit { timeout: Duration::from_mins(2), then }), ..bridges() };
    assert_eq!(words(&decide(&patient, &observation, NOW)), Vec::<String>::new());
}

#[test]
fn an_instance_that_no_hook_holds_any_more_is_not_ended_as_overdue() {
    let limit = DrainLimit { timeout: Duration::from_mins(1), then: OnTimeout::Terminate };
    let fleet = FleetPolicy { drain_limit: Some(limit), ..bridges() };
    let mut observation = one_drains(4, 60.0, DrainState::Draining, Some(IN_USE), Some(IN_USE));
    observation.group.instances[0].drain = Some(drain_for(Purpose::Hook, DrainState::Draining));
    assert_eq!(steps(&fleet, &observation), ["ask i-0 to end its drain", "remove the drain tag of i-0"]);
}
