//! Why an instance stays: each reason with its words, and which comes first.

use test_case::test_case;

use super::*;
use crate::decide::stays::stays;

/// A change of an instance and its fleet that keeps the instance in its group.
type Keep = fn(&mut FleetPolicy, &mut Instance);

/// Why the first instance may not go, in words, after `keep`.
fn said(mut fleet: FleetPolicy, keep: Keep) -> (&'static str, String) {
    let mut instance =
        Instance { in_service_since: Some(NOW.before(Duration::from_hours(1))), ..instance(0) };
    keep(&mut fleet, &mut instance);
    let stay = stays(&fleet, &instance, NOW).expect("a reason to stay");
    (stay.as_str(), stay.text())
}

#[test_case(|_, it| it.lifecycle = Lifecycle::Aside, "not_in_service", "not in service"; "in standby")]
#[test_case(|_, it| it.healthy = false, "unhealthy", "unhealthy to the cloud"; "unhealthy")]
#[test_case(|_, it| it.drain = Some(drain(DrainState::Draining)), "draining", "draining already"; "draining")]
#[test_case(|fleet, _| fleet.warmup = Duration::from_hours(2), "warming", "warming up until 2001-09-09T02:47:00Z"; "warming up")]
#[test_case(|_, it| it.in_service_since = None, "warming", "warming up"; "of unknown age")]
#[test_case(|fleet, _| fleet.victims.min_age = Duration::from_mins(61), "too_young", "too young until 2001-09-09T01:48:00Z"; "too young")]
#[test_case(|_, it| it.reported.ambiguous = true, "ambiguous", "named by several series"; "ambiguous")]
#[test_case(|_, it| it.reported.up = false, "silent", "not reporting"; "silent")]
#[test_case(|_, it| it.reported.draining = Some(true), "drained_by_hand", "drained by hand"; "drained by hand")]
#[test_case(|_, it| it.live.latest = Some(EMPTY), "drained_by_hand", "drained by hand"; "drained by hand by its own answer")]
#[test_case(|_, it| it.ill = true, "ill", "ill and to be replaced"; "ill")]
#[test_case(|_, it| it.reported.load = None, "unknown_load", "of unknown load"; "of unknown load")]
#[test_case(|_, it| it.live.latest = Some(Reading::Unknown), "unreadable", "unreadable"; "unreadable")]
fn a_bridge_stays(keep: Keep, label: &str, words: &str) {
    assert_eq!(said(bridges(), keep), (label, words.to_owned()));
}

#[test_case(|it| it.reported.load = Some(1.0), "busy with 1 person"; "one")]
#[test_case(|it| it.reported.load = Some(12.0), "busy with 12 people"; "twelve")]
#[test_case(|it| it.live.latest = Some(Reading::Answered { empty: false, draining: false, closing: false }), "busy"; "by its own answer")]
fn with_only_idle_a_bridge_in_use_says_how_many_it_carries(keep: fn(&mut Instance), words: &str) {
    let mut fleet = bridges();
    fleet.victims.only_idle = true;
    let mut instance = instance(0);
    keep(&mut instance);
    let stay = stays(&fleet, &instance, NOW).expect("a reason to stay");
    assert_eq!((stay.as_str(), stay.text().as_str()), ("busy", words));
}

#[test_case(|_, it| it.reported.load = Some(1.0), "records", "recording"; "recording")]
#[test_case(
    |_, it| {
        it.reported.idle_for = Some(Duration::from_hours(1));
        it.live.latest = Some(Reading::Answered { empty: false, draining: false, closing: false });
    },
    "records",
    "recording";
    "recording by its own answer"
)]
#[test_case(|_, it| it.reported.idle_for = None, "barely_idle", "not idle for long enough"; "idle for an unknown time")]
#[test_case(
    |_, it| it.reported.idle_for = Some(Duration::from_mins(4)),
    "barely_idle",
    "not idle for long enough until 2001-09-09T01:48:00Z";
    "barely idle"
)]
fn a_jibri_stays(keep: Keep, label: &str, words: &str) {
    let mut fleet = jibris();
    fleet.victims.idle_for = Duration::from_mins(5);
    assert_eq!(said(fleet, keep), (label, words.to_owned()));
}

#[test]
fn the_first_reason_is_the_one_that_is_said() {
    let keep: Keep = |fleet, it| {
        fleet.victims.min_age = Duration::from_hours(2);
        (it.reported.up, it.ill) = (false, true);
    };
    assert_eq!(said(bridges(), keep).0, "too_young");
}

#[test]
fn a_scale_in_without_a_victim_says_for_each_instance_why() {
    let mut observation = seen(4, steady(10.0));
    let mut fleet = bridges();
    (fleet.victims.only_idle, fleet.min_reporting) = (true, Percent::try_new(50.0).expect("a share"));
    let instances = &mut observation.group.instances;
    instances[0].reported.draining = Some(true);
    instances[3].reported.up = false;
    // AWS is ending this one, so the reason leaves it out.
    instances.push(Instance { lifecycle: Lifecycle::Terminating, ..instance(4) });
    let decision = decide(&fleet, &observation, NOW);
    let [reason] = &decision.blocked[..] else { panic!("one reason: {decision:?}") };
    let lines: String = reason.stays().iter().map(|(id, stay)| format!("{id}: {}\n", stay.text())).collect();
    insta::assert_snapshot!(lines, @"
    i-0: drained by hand
    i-1: busy with 1 person
    i-2: busy with 2 people
    i-3: not reporting
    ");
    let text = reason.text(&fleet);
    assert_eq!(text, "no instance may be removed: 2 busy, 1 drained by hand, 1 not reporting");
}

#[test]
fn only_what_drains_in_service_without_a_tag_is_drained_by_hand() {
    let mut group = seen(5, steady(10.0)).group;
    for instance in &mut group.instances[1..4] {
        instance.reported.draining = Some(true);
    }
    group.instances[2].drain = Some(drain(DrainState::Draining));
    group.instances[3].lifecycle = Lifecycle::Held;
    group.instances[4].live.latest = Some(EMPTY);
    assert_eq!(drained_by_hand(&group), [InstanceId::new("i-1"), InstanceId::new("i-4")]);
}

#[test]
fn a_drain_that_has_just_begun_is_standing_and_so_is_one_that_ends_next() {
    let mut observation = seen(5, steady(50.0));
    let instances = &mut observation.group.instances;
    (instances[0].drain, instances[0].live.latest) = (Some(drain(DrainState::Draining)), Some(IN_USE));
    draining(&mut instances[1], DrainState::Closed, Some(EMPTY_CLOSING), Some(EMPTY_CLOSING));
    instances[2].drain = Some(drain(DrainState::Draining));
    instances[3].lifecycle = Lifecycle::Terminating;
    instances[3].drain = Some(drain(DrainState::Closed));
    let (figures, drains) = standing(&bridges(), &observation, NOW);
    let mut told: Vec<_> = drains.iter().map(|it| (it.instance.as_str(), it.waits_for())).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("i-0", "it is still in use"),
            ("i-1", "it is empty and shuts down; Jicofo must hear of that first"),
            ("i-2", "it was not looked at yet"),
        ]
    );
    assert_eq!(figures.draining, capacity(3));
}
