//! Every reason to hold, with its label and its words.

use std::collections::BTreeSet;

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
