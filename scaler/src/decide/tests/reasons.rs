//! Every reason to hold, with its label and its words.

use std::collections::BTreeSet;

use test_case::test_case;

use super::*;

fn launch_failing(count: u32) -> Reason {
    Reason::LaunchFailing { count, until: NOW, message: "no capacity".to_owned() }
}

#[test]
fn every_reason_has_its_label_and_its_words() {
    let four = capacity(4);
    let paused = |until| Reason::Paused { until, reason: "new image".to_owned() };
    let cooldown =
        Reason::Cooldown { policy: 0, after: Direction::Out, direction: Direction::In, until: NOW };
    let known = [
        (paused(Some(NOW)), "the group is paused until 2001-09-09T01:47:00Z: new image"),
        (paused(None), "the group is paused until its tag jitsi-scaler/paused is removed: new image"),
        (
            cooldown,
            "the cooldown of load allows no scale-in until 2001-09-09T01:47:00Z, after the last scale-out",
        ),
        (Reason::BetweenPoints { policy: 0 }, "load starts no scale-out between two of its own datapoints"),
        (Reason::Unknown { policy: 0 }, "load has no data"),
        (
            Reason::WeightedCapacity,
            "the group's capacity counts weights, vCPUs or memory instead of instances",
        ),
        (Reason::Maximum, "the maximum is reached"),
        (Reason::Minimum, "the minimum is reached"),
        (Reason::LaunchSuspended, "the group's process Launch is suspended"),
        (Reason::TerminateSuspended, "the group's process Terminate is suspended"),
        (Reason::InstanceRefresh { known: true }, "an instance refresh is in progress"),
        (
            Reason::InstanceRefresh { known: false },
            "it is not known whether an instance refresh is in progress",
        ),
        (Reason::Warming(four), "4 still booting or warming up"),
        (
            Reason::Converging { holds: capacity(5), desired: four },
            "the group still holds 5 instances, and its desired capacity is 4",
        ),
        (Reason::DrainBudget { in_flight: four, most: four }, "drains under way: 4 of at most 4"),
        (
            Reason::DataQuality { reporting: capacity(3), ready: four },
            "only 3 of 4 ready instances report, less than 80%",
        ),
        (Reason::Forecast { policy: 0 }, "with fewer instances load would scale out again"),
        (
            Reason::NoForecast { policy: 0 },
            "the newest datapoint of load is missing, so its value with fewer instances cannot be foreseen",
        ),
        (Reason::NoStep { policy: 0 }, "no step of load covers its value"),
        (Reason::LastServing, "the last serving bridge stays"),
        (Reason::NoVictim, "no instance may be removed: all are too young, busy or not reporting"),
        (
            Reason::AmbiguousInstance(vec![InstanceId::new("i-0"), InstanceId::new("i-1")]),
            "several series of the component carry the id of i-0, i-1, so it is unknown what the instance does; run \
             one component per instance",
        ),
        (
            Reason::Unreadable(vec![InstanceId::new("i-0")]),
            "i-0 would be next to leave, and does not say whether it is in use; on a bridge set \
             videobridge.apis.rest.enabled = true, and check drain.via",
        ),
        (
            launch_failing(1),
            "AWS failed a launch, and no more are requested until 2001-09-09T01:47:00Z: no capacity",
        ),
        (
            launch_failing(3),
            "AWS failed 3 launches, and no more are requested until 2001-09-09T01:47:00Z: no capacity",
        ),
        (
            Reason::MostlyIll { ill: 3, of: 4 },
            "3 of 4 instances look ill at once, more than replace_unhealthy.max_share: the measurement may be \
             wrong, so nothing is replaced",
        ),
        (Reason::ReplaceBudget { ill: 2 }, "2 ill and waiting for earlier replacements to boot and warm up"),
        (Reason::HookUnknown, "an unknown hook holds instances; name it by lifecycle_hook"),
        (Reason::RecycleWaits, "old instances wait for a quiet moment to be recycled"),
    ];
    for (reason, text) in &known {
        assert_eq!(reason.text(&bridges()), *text);
    }
    let labels: BTreeSet<_> = known.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(labels, Reason::LABELS.into());
    let ends: BTreeSet<_> = known
        .iter()
        .filter(|(reason, _)| reason.until().is_some())
        .map(|(reason, _)| reason.as_str())
        .collect();
    assert_eq!(ends, ["cooldown", "launch_failing", "paused"].into());
}

#[test]
fn a_reason_that_several_steps_give_appears_once() {
    let mut fleet = bridges();
    fleet.recycle = Some(Duration::from_hours(24));
    let mut observation = seen(4, steady(10.0));
    observation.may_recycle = true;
    observation.group.terminate_suspended = true;
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(reasons(&decision), ["terminate_suspended", "recycle_waits"]);
}

/// What a scale-in chooses after `read` has been answered by the instance that would leave first.
fn chosen_after(fleet: &FleetPolicy, value: f64, read: Reading) -> (Vec<String>, Vec<&'static str>) {
    let mut observation = seen(4, steady(value));
    for instance in &mut observation.group.instances {
        instance.reported.load = Some(0.0);
    }
    observation.group.instances[0].live.latest = Some(read);
    let decision = decide(fleet, &observation, NOW);
    (words(&decision).into_iter().skip(1).take(1).collect(), reasons(&decision))
}

#[test_case(OBLIVIOUS, "i-0", &[]; "it answers")]
#[test_case(Reading::Answered { empty: false, draining: false, closing: false }, "i-0", &[]; "in use")]
#[test_case(EMPTY, "i-1", &[]; "an operator drains it")]
#[test_case(Reading::Unknown, "i-1", &["unreadable"]; "it does not say what it carries")]
#[test_case(Reading::Refused, "i-1", &["unreadable"]; "it refuses")]
fn a_bridge_is_read_before_it_is_drained(read: Reading, chosen: &str, expected: &[&str]) {
    let (words, reasons) = chosen_after(&bridges(), 10.0, read);
    assert_eq!(words, [format!("tag {chosen} as draining (scale-in)")]);
    assert_eq!(reasons, expected);
}

#[test_case(Reading::Answered { empty: true, draining: false, closing: false }, "i-0", &[]; "idle")]
#[test_case(Reading::Answered { empty: false, draining: false, closing: false }, "i-1", &[]; "a recording has begun")]
#[test_case(Reading::Unknown, "i-1", &["unreadable"]; "silent")]
fn a_jibri_is_read_before_it_is_drained(read: Reading, chosen: &str, expected: &[&str]) {
    let (words, reasons) = chosen_after(&jibris(), 5.0, read);
    assert_eq!(words, [format!("check that {chosen} is empty")]);
    assert_eq!(reasons, expected);
}

#[test]
fn an_instance_that_several_series_name_is_neither_drained_nor_replaced_nor_released() {
    let fleet = FleetPolicy { replace: Some(replace::replace()), ..jibris() };
    let mut observation = seen(4, steady(5.0));
    for instance in &mut observation.group.instances {
        instance.reported.load = Some(0.0);
    }
    observation.group.instances[0].reported.ambiguous = true;
    let chosen = |observation: &Observation| words(&decide(&fleet, observation, NOW))[1].clone();
    assert_eq!(chosen(&observation), "check that i-1 is empty");
    assert_eq!(reasons(&decide(&fleet, &observation, NOW)), ["ambiguous_instance"]);
    observation.group.instances[0].ill = true;
    assert_eq!(chosen(&observation), "check that i-1 is empty");
    // A drain that is under way goes no further.
    let quiet = |observation: &mut Observation| observation.windows = vec![steady(2.5)];
    quiet(&mut observation);
    let gone = Some(Reading::Refused);
    draining(&mut observation.group.instances[0], DrainState::Closed, gone, gone);
    assert_eq!(words(&decide(&fleet, &observation, NOW)), Vec::<String>::new());
    // A hook goes on holding it.
    let group = &mut observation.group;
    (group.desired, group.hook) = (capacity(3), Some(hooks::hook()));
    group.instances[0].lifecycle = Lifecycle::Held;
    assert_eq!(words(&decide(&fleet, &observation, NOW)), ["send a heartbeat to the hook of i-0"]);
    observation.group.instances[0].reported.ambiguous = false;
    assert_eq!(words(&decide(&fleet, &observation, NOW))[1], "complete the hook of i-0");
}
