//! Every reason to hold, with its label and its words.

use std::collections::BTreeSet;

use test_case::test_case;

use super::*;

fn launch_failing(count: u32) -> Reason {
    Reason::LaunchFailing { count, until: NOW, message: "no capacity".to_owned() }
}

#[test]
fn every_reason_has_its_label_and_its_words() {
    let (four, at) = (capacity(4), InstanceId::new);
    let paused = |until| Reason::Paused { until, reason: "new image".to_owned() };
    let known = [
        paused(Some(NOW)),
        paused(None),
        Reason::Cooldown { policy: 0, after: Direction::Out, direction: Direction::In, until: NOW },
        Reason::BetweenPoints { policy: 0 },
        Reason::Unknown { policy: 0 },
        Reason::WeightedCapacity,
        Reason::Maximum,
        Reason::Minimum,
        Reason::LaunchSuspended,
        Reason::TerminateSuspended,
        Reason::InstanceRefresh { known: true },
        Reason::InstanceRefresh { known: false },
        Reason::Warming(four),
        Reason::Converging { holds: capacity(5), desired: four },
        Reason::DrainBudget { in_flight: four, most: four },
        Reason::DataQuality { reporting: capacity(3), ready: four },
        Reason::Forecast { policy: 0 },
        Reason::NoForecast { policy: 0 },
        Reason::NoStep { policy: 0 },
        Reason::LastServing { by_hand: Vec::new() },
        Reason::LastServing { by_hand: vec![at("i-0"), at("i-1")] },
        Reason::NoVictim(vec![(at("i-0"), Stay::Silent), (at("i-1"), Stay::Ill), (at("i-2"), Stay::Silent)]),
        Reason::NoVictim(Vec::new()),
        Reason::AmbiguousInstance(vec![at("i-0"), at("i-1")]),
        Reason::Unreadable(vec![at("i-0")]),
        launch_failing(1),
        launch_failing(3),
        Reason::MostlyIll { ill: 3, of: 4 },
        Reason::ReplaceBudget { ill: 2 },
        Reason::HookUnknown,
        Reason::RecycleWaits,
    ];
    let texts: String =
        known.iter().map(|reason| format!("{}: {}\n", reason.as_str(), reason.text(&bridges()))).collect();
    insta::assert_snapshot!(texts, @"
    paused: the group is paused until 2001-09-09T01:47:00Z: new image
    paused: the group is paused until its tag jitsi-scaler/paused is removed: new image
    cooldown: the cooldown of load allows no scale-in until 2001-09-09T01:47:00Z, after the last scale-out
    between_points: load starts no scale-out between two of its own datapoints
    unknown: load has no data
    weighted_capacity: the group's capacity counts weights, vCPUs or memory instead of instances
    maximum: the maximum is reached
    minimum: the minimum is reached
    launch_suspended: the group's process Launch is suspended
    terminate_suspended: the group's process Terminate is suspended
    instance_refresh: an instance refresh is in progress
    instance_refresh: it is not known whether an instance refresh is in progress
    warming: 4 still booting or warming up
    converging: the group still holds 5 instances, and its desired capacity is 4
    drain_budget: drains under way: 4 of at most 4
    data_quality: only 3 of 4 ready instances report, less than 80%
    forecast: with fewer instances load would scale out again
    no_forecast: the newest datapoint of load is missing, so its value with fewer instances cannot be foreseen
    no_step: no step of load covers its value
    last_serving: the last serving bridge stays
    last_serving: the last serving bridge stays (drained by hand: i-0, i-1)
    no_victim: no instance may be removed: 2 not reporting, 1 ill and to be replaced
    no_victim: no instance may be removed: the group has none
    ambiguous_instance: several series of the component carry the id of i-0, i-1, so it is unknown what runs there; run one component per instance
    unreadable: no answer tells the load of i-0, which would leave next; on a bridge set videobridge.apis.rest.enabled = true, and check drain.via
    launch_failing: AWS failed a launch, and no more are requested until 2001-09-09T01:47:00Z: no capacity
    launch_failing: AWS failed 3 launches, and no more are requested until 2001-09-09T01:47:00Z: no capacity
    mostly_ill: 3 of 4 instances look ill at once, more than replace_unhealthy.max_share: the measurement may be wrong, so none of them is replaced
    replace_budget: 2 ill and waiting for earlier replacements to boot and warm up
    hook_unknown: an unknown hook holds instances; name it by lifecycle_hook
    recycle_waits: old instances wait for a quiet moment to be recycled
    ");
    let labels: BTreeSet<_> = known.iter().map(Reason::as_str).collect();
    assert_eq!(labels, Reason::LABELS.into());
    let ends = known.iter().filter(|reason| reason.until().is_some()).map(Reason::as_str);
    assert_eq!(ends.collect::<BTreeSet<_>>(), ["cooldown", "launch_failing", "paused"].into());
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
    assert_eq!(steps(&fleet, &observation), Vec::<String>::new());
    // A hook goes on holding it.
    let group = &mut observation.group;
    (group.desired, group.hook) = (capacity(3), Some(hooks::hook()));
    group.instances[0].lifecycle = Lifecycle::Held;
    assert_eq!(steps(&fleet, &observation), ["send a heartbeat to the hook of i-0"]);
    observation.group.instances[0].reported.ambiguous = false;
    assert_eq!(steps(&fleet, &observation)[1], "complete the hook of i-0");
}
