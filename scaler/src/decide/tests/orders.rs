//! Drains that operators order.

use test_case::test_case;

use super::*;
use crate::decide::policy::{DrainLimit, OnTimeout};

fn order(purpose: Purpose) -> Drain {
    Drain { by_operator: true, ..drain_for(purpose, DrainState::Ordered) }
}

fn by_operator(purpose: Purpose, state: DrainState) -> Drain {
    Drain { by_operator: true, ..drain_for(purpose, state) }
}

/// [`seen`] with a steady value; the first instance has an order and was read.
fn ordered(n: u32, value: f64, purpose: Purpose) -> Observation {
    let mut observation = seen(n, steady(value));
    observation.group.instances[0].ordered = Some(order(purpose));
    observation.group.instances[0].live = Live { latest: Some(OBLIVIOUS), looks: Looks::TooEarly };
    observation
}

/// [`seen`] with a steady value; the first instance drains as an operator ordered.
fn drained(n: u32, value: f64, purpose: Purpose, state: DrainState, latest: Reading) -> Observation {
    let mut observation = seen(n, steady(value));
    draining(&mut observation.group.instances[0], state, Some(latest), Some(latest));
    observation.group.instances[0].drain = Some(by_operator(purpose, state));
    observation
}

#[test_case(Purpose::Replace, "replace"; "replace")]
#[test_case(Purpose::ScaleIn, "scale-in"; "shrink")]
#[test_case(Purpose::Keep, "keep"; "keep")]
fn an_ordered_drain_waits_for_no_cooldown_and_no_policy(purpose: Purpose, word: &str) {
    let mut observation = ordered(4, 70.0, purpose);
    observation.group.scaled_in = Some(NOW);
    observation.group.instances[3].in_service_since = Some(NOW);
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), [format!("tag i-0 as draining ({word})"), "ask i-0 to drain".to_owned()]);
    assert!(decision.sentence(&bridges()).contains("i-0 is drained as an operator ordered"));
}

/// A change that holds back an ordered drain, and the reason of the decision, if it has one of its own.
#[test_case(|seen| seen.group.instances[1].reported.draining = Some(true), Some("last_serving"); "no other bridge serves")]
#[test_case(|seen| seen.group.instances[1].reported.up = false, Some("last_serving"); "the other is not known to serve")]
#[test_case(|seen| seen.group.terminate_suspended = true, Some("terminate_suspended"); "terminate is suspended")]
#[test_case(|seen| seen.group.instance_refresh = Refresh::InProgress, Some("instance_refresh"); "an instance refresh")]
#[test_case(|seen| seen.group.instance_refresh = Refresh::Unknown, Some("instance_refresh"); "perhaps an instance refresh")]
#[test_case(|seen| seen.group.is_weighted = true, Some("weighted_capacity"); "weights")]
#[test_case(|seen| seen.group.instances[0].live.latest = Some(Reading::Unknown), Some("unreadable"); "it does not answer")]
#[test_case(|seen| seen.group.instances[0].live = Live::default(), None; "it was not read")]
#[test_case(|seen| seen.group.instances[0].reported.ambiguous = true, Some("ambiguous_instance"); "two on one host")]
#[test_case(|seen| seen.group.instances[0].lifecycle = Lifecycle::Aside, None; "it is in standby")]
fn an_ordered_drain_waits(spoil: fn(&mut Observation), reason: Option<&str>) {
    let mut observation = ordered(2, 70.0, Purpose::Replace);
    spoil(&mut observation);
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), [""; 0]);
    assert!(reason.is_none_or(|reason| reasons(&decision).contains(&reason)), "{:?}", decision.blocked);
    let waits: Vec<_> = decision.waiting.iter().map(|it| it.drain.state).collect();
    assert_eq!(waits, [DrainState::Ordered]);
}

#[test]
fn what_is_kept_needs_neither_terminations_nor_the_end_of_a_refresh() {
    let mut observation = ordered(2, 70.0, Purpose::Keep);
    observation.group.terminate_suspended = true;
    observation.group.instance_refresh = Refresh::InProgress;
    assert_eq!(steps(&bridges(), &observation), ["tag i-0 as draining (keep)", "ask i-0 to drain"]);
}

#[test]
fn a_group_shrinks_no_further_than_to_its_minimum() {
    let mut observation = ordered(3, 70.0, Purpose::ScaleIn);
    observation.group.min = capacity(3);
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!((words(&decision), reasons(&decision)), (Vec::new(), vec!["minimum"]));
    // Of two orders at once only one is left to do then.
    observation.group.min = capacity(2);
    observation.group.instances[1].ordered = Some(order(Purpose::ScaleIn));
    observation.group.instances[1].live = observation.group.instances[0].live;
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (scale-in)", "ask i-0 to drain"]);
    assert_eq!(reasons(&decision), ["minimum"]);
}

#[test]
fn all_bridges_at_once_are_drained_one_after_the_other() {
    let mut observation = ordered(2, 70.0, Purpose::Replace);
    observation.group.instances[1].ordered = Some(order(Purpose::Replace));
    observation.group.instances[1].live = observation.group.instances[0].live;
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!(words(&decision), ["tag i-0 as draining (replace)", "ask i-0 to drain"]);
    assert_eq!(reasons(&decision), ["last_serving"]);
    // Once the first drains, the second is the last one.
    let begun = by_operator(Purpose::Replace, DrainState::Draining);
    (observation.group.instances[0].ordered, observation.group.instances[0].drain) = (None, Some(begun));
    observation.group.instances[0].live = live(Some(IN_USE), Some(IN_USE));
    assert_eq!(steps(&bridges(), &observation), [""; 0]);
}

#[test]
fn a_scale_in_counts_the_drain_that_begins_before_it_and_leaves_it_alone() {
    // Two of three may go at most; the operator's is one of them.
    let mut fleet = bridges();
    fleet.max_in_flight = Amount::Count(capacity(2));
    rule_of(&mut fleet, Direction::In).adjustment = count(2);
    let decision = decide(&fleet, &ordered(3, 1.0, Purpose::ScaleIn), NOW);
    let expected = [
        "tag i-0 as draining (scale-in)",
        "ask i-0 to drain",
        "tag the scale-in",
        "tag i-1 as draining (scale-in)",
        "ask i-1 to drain",
    ];
    assert_eq!(words(&decision), expected);
    assert_eq!(decision.desired, capacity(1));
    // While it waits, a scale-in takes another one.
    let mut observation = ordered(3, 1.0, Purpose::Keep);
    observation.group.instances[0].live = Live::default();
    assert_eq!(steps(&bridges(), &observation)[1], "tag i-1 as draining (scale-in)");
}

#[test]
fn an_order_whose_instance_has_left_is_forgotten() {
    let mut observation = ordered(3, 70.0, Purpose::Keep);
    observation.group.instances[0].lifecycle = Lifecycle::Detached;
    observation.group.desired = capacity(2);
    assert_eq!(steps(&bridges(), &observation), ["remove the drain tag of i-0"]);
}

#[test_case(Purpose::Replace, "have AWS replace i-0"; "replace")]
#[test_case(Purpose::ScaleIn, "terminate i-0, lowering desired capacity"; "shrink")]
fn a_bridge_ends_as_the_operator_ordered(purpose: Purpose, end: &str) {
    let step = |state, latest| steps(&bridges(), &drained(3, 70.0, purpose, state, latest));
    assert_eq!(step(DrainState::Draining, IN_USE), [""; 0]);
    let asked =
        [format!("tag i-0 as asked ({})", purpose.as_str()), "ask i-0 to shut down gracefully".to_owned()];
    assert_eq!(step(DrainState::Draining, EMPTY), asked);
    assert_eq!(step(DrainState::Closed, EMPTY_CLOSING), [end]);
}

#[test]
fn no_bridge_ends_by_an_order_while_no_other_serves() {
    for purpose in [Purpose::Replace, Purpose::ScaleIn] {
        for (state, latest) in [(DrainState::Draining, EMPTY), (DrainState::Closed, EMPTY_CLOSING)] {
            let mut observation = drained(2, 70.0, purpose, state, latest);
            observation.group.instances[1].reported.healthy = Some(false);
            observation.group.instances[1].ill = true;
            observation.group.instances[1].looks_ill = true;
            let decision = decide(&bridges(), &observation, NOW);
            assert_eq!((words(&decision).len(), decision.waiting[0].held_back), (0, true), "{purpose:?}");
        }
    }
}

#[test]
fn what_is_kept_is_not_ended_and_drains_again_after_a_restart() {
    let kept = |latest| drained(3, 70.0, Purpose::Keep, DrainState::Draining, latest);
    let decision = decide(&bridges(), &kept(EMPTY), NOW);
    assert_eq!(words(&decision), [""; 0]);
    assert_eq!(decision.waiting[0].waits_for(), "an operator gives it back");
    let again = ["tag i-0 as draining (keep)", "ask i-0 to drain"];
    assert_eq!(steps(&bridges(), &kept(OBLIVIOUS)), again);
    // In standby it stays as it is; detached it is given back.
    for (lifecycle, expected) in [
        (Lifecycle::Aside, &[][..]),
        (Lifecycle::Detached, &["ask i-0 to end its drain", "remove the drain tag of i-0"]),
    ] {
        let mut observation = kept(EMPTY);
        observation.group.instances[0].lifecycle = lifecycle;
        observation.group.desired = capacity(2);
        assert_eq!(steps(&bridges(), &observation), expected);
    }
}

#[test]
fn what_is_kept_is_not_counted_as_capacity() {
    let decision = decide(&bridges(), &drained(3, 70.0, Purpose::Keep, DrainState::Draining, EMPTY), NOW);
    let figures = decision.current;
    assert_eq!((figures.kept, figures.ready, figures.draining), (capacity(1), capacity(2), capacity(0)));
    assert_eq!((figures.desired, figures.capacity), (capacity(3), capacity(2)));
    let mut at_minimum = drained(3, 70.0, Purpose::Keep, DrainState::Draining, EMPTY);
    at_minimum.group.min = capacity(3);
    assert_eq!(steps(&bridges(), &at_minimum)[0], "set desired capacity from 3 to 4");
}

#[test_case(Purpose::Replace)]
#[test_case(Purpose::ScaleIn)]
#[test_case(Purpose::Keep)]
fn a_scale_out_leaves_an_ordered_drain_alone(purpose: Purpose) {
    let observation = drained(3, 120.0, purpose, DrainState::Draining, IN_USE);
    let steps = steps(&bridges(), &observation);
    assert_eq!(steps, ["set desired capacity from 3 to 4", "tag the scale-out"]);
}

#[test_case(OnTimeout::Undrain)]
#[test_case(OnTimeout::Terminate)]
fn no_limit_ends_an_ordered_drain(then: OnTimeout) {
    let mut fleet = bridges();
    fleet.drain_limit = Some(DrainLimit { timeout: Duration::from_secs(30), then });
    for purpose in [Purpose::Replace, Purpose::ScaleIn, Purpose::Keep] {
        let decision = decide(&fleet, &drained(3, 70.0, purpose, DrainState::Draining, IN_USE), NOW);
        assert_eq!(words(&decision), [""; 0]);
        assert_eq!(decision.waiting[0].overdue, purpose != Purpose::Keep);
    }
}

#[test_case(Purpose::ScaleIn)]
#[test_case(Purpose::Keep)]
fn what_an_operator_gives_back_returns(purpose: Purpose) {
    let mut fleet = bridges();
    fleet.drain_limit = Some(DrainLimit { timeout: Duration::from_secs(30), then: OnTimeout::Terminate });
    let returned = steps(&fleet, &drained(3, 70.0, purpose, DrainState::Returning, IN_USE));
    assert_eq!(returned, ["ask i-0 to end its drain", "remove the drain tag of i-0", "tag the scale-out"]);
    // It has been asked to exit after all, so it does not return.
    let closing = steps(&fleet, &drained(3, 70.0, Purpose::ScaleIn, DrainState::Returning, EMPTY_CLOSING));
    assert_eq!(closing, ["tag i-0 as closed (scale-in)"]);
}

#[test]
fn a_jibri_that_an_operator_drains_finishes_what_it_records() {
    for purpose in [Purpose::Replace, Purpose::ScaleIn] {
        let observation = ordered(5, 2.5, purpose);
        let word = purpose.as_str();
        assert_eq!(steps(&jibris(), &observation), [format!("tag i-0 as draining ({word})")]);
        let records = Reading::Answered { empty: false, draining: false, closing: false };
        let asked = steps(&jibris(), &drained(5, 2.5, purpose, DrainState::Draining, records));
        assert_eq!(
            asked,
            [format!("tag i-0 as asked ({word})"), "ask i-0 to shut down gracefully".to_owned()]
        );
        assert_eq!(steps(&jibris(), &drained(5, 2.5, purpose, DrainState::Closed, records)), [""; 0]);
        let end = steps(&jibris(), &drained(5, 2.5, purpose, DrainState::Closed, Reading::Refused));
        assert_eq!(end.len(), 1);
    }
}

#[test]
fn an_ill_bridge_with_an_order_is_not_replaced_twice() {
    let mut fleet = bridges();
    fleet.replace = Some(replace::replace());
    let mut observation = ordered(5, 70.0, Purpose::Keep);
    observation.group.instances[0].live = Live::default();
    observation.group.instances[0].ill = true;
    observation.group.instances[0].looks_ill = true;
    assert_eq!(steps(&fleet, &observation), [""; 0]);
}
