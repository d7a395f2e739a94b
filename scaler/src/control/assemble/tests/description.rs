//! What the description of a group, its tags and the configuration say.

use test_case::test_case;

use super::*;
use crate::decide::observation::Bounds;
use crate::units::Capacity;

/// The view of the one group in these facts.
fn seen(fleet: &Fleet, facts: &Facts) -> Observation {
    assemble(fleet, facts, &Ledger::default()).views.remove(0).observation
}

#[test_case(&[], (false, false); "none")]
#[test_case(&["Launch"], (true, false); "launch")]
#[test_case(&["AZRebalance", "Terminate"], (false, true); "terminate and another one")]
fn suspended_processes(suspended: &[&str], expected: (bool, bool)) {
    let mut facts = one(NOW, &[], &[]);
    facts.groups[0].description.suspended = suspended.iter().map(|it| (*it).to_owned()).collect();
    let group = seen(&fleet("", ""), &facts).group;
    assert_eq!((group.launch_suspended, group.terminate_suspended), expected);
    assert_eq!(group.instance_refresh, Refresh::NotAsked, "only before a scale-in");
}

#[test]
fn what_aws_says_of_an_instance() {
    let mut facts = one(NOW, &["InService", "InService", "InService"], &[]);
    facts.groups[0].description.instances[0].healthy = false;
    facts.groups[0].description.instances[1].protected = true;
    let instances = seen(&fleet("", ""), &facts).group.instances;
    let flags: Vec<_> = instances.iter().map(|it| (it.healthy, it.protected)).collect();
    assert_eq!(flags, [(false, false), (true, true), (true, false)]);
}

#[test]
fn tags_begin_the_cooldowns_of_a_scaler_that_has_just_started() {
    let tags = [
        ("jitsi-scaler/scaled-out", "2001-09-09T01:30:00Z"),
        ("jitsi-scaler/scaled-in", "2001-09-09T01:20:00Z"),
        ("jitsi-scaler/recycling", "2001-09-09T01:10:00Z 3"),
    ];
    let group = seen(&fleet("", ""), &one(NOW, &[], &tags)).group;
    let texts = [group.scaled_out, group.scaled_in].map(|at| at.map(|at| at.to_string()));
    assert_eq!(texts, ["2001-09-09T01:30:00Z", "2001-09-09T01:20:00Z"].map(|at| Some(at.to_owned())));
    assert_eq!(group.recycling.map(|it| it.desired), Some(Capacity::of(3)));
}

#[test]
fn schedules_and_the_hours_of_recycling_hold_at_the_time_of_the_evaluation() {
    let keys = "    schedules: [{name: s, from: '01:00', to: '02:00', timezone: UTC, min: 2, max: 5}]
    recycle: {max_age: 7d, from: '01:00', to: '02:00', timezone: UTC}
";
    let bounds = Bounds { min: Some(Capacity::of(2)), max: Some(Capacity::of(5)) };
    // Grid points at 01:47 and 02:47.
    for (at, expected) in [(NOW, (bounds, true)), (NOW.after(MINUTE * 60), (Bounds::default(), false))] {
        let observation = seen(&fleet(keys, ""), &one(at, &[], &[]));
        assert_eq!((observation.schedule, observation.may_recycle), expected);
    }
}

#[test]
fn hooks_that_were_read_before_the_clock_was_set_back_are_read_again() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let (group, ahead) = (group_ref("r", "a"), NOW.after(MINUTE * 60));
    let hook = Hook { name: "drain".to_owned(), heartbeat: MINUTE, limit: MINUTE };
    let mut facts = one(ahead, &["Terminating:Wait"], &[]);
    facts.hooks = [(group.clone(), vec![hook])].into();
    evaluate(&fleet, &facts, &mut ledger);
    assert!(ledger.knows_hooks(&group, ahead));
    evaluate(&fleet, &one(NOW, &["Terminating:Wait"], &[]), &mut ledger);
    assert!(!ledger.knows_hooks(&group, NOW));
}

#[test_case("Pending:Wait", Lifecycle::Pending)]
#[test_case("InService", Lifecycle::InService)]
#[test_case("Terminating:Wait", Lifecycle::Held)]
#[test_case("Terminating", Lifecycle::Terminating)]
#[test_case("Terminating:Proceed", Lifecycle::Terminating)]
#[test_case("Terminated", Lifecycle::Terminating)]
#[test_case("Standby", Lifecycle::Aside)]
#[test_case("Warmed:Running", Lifecycle::Aside)]
#[test_case("Invented", Lifecycle::Aside)]
fn lifecycles(state: &str, expected: Lifecycle) {
    let views = evaluate(&fleet("", ""), &one(NOW, &[state], &[]), &mut Ledger::default());
    assert_eq!(instance(&views, 0).lifecycle, expected);
}

#[test_case("", &["drain"], "Terminating:Wait", Some("drain"); "the only one")]
#[test_case("", &["drain", "other"], "Terminating:Wait", None; "one of two")]
#[test_case("    lifecycle_hook: other", &["drain", "other"], "Terminating:Wait", Some("other"); "the named one")]
#[test_case("    lifecycle_hook: gone", &["drain"], "Terminating:Wait", None; "a name that does not exist")]
#[test_case("", &["drain"], "InService", None; "nothing is held")]
fn a_hook_is_served(keys: &str, hooks: &[&str], state: &str, expected: Option<&str>) {
    let (fleet, mut ledger) = (fleet(keys, ""), Ledger::default());
    let hook = |name: &&str| Hook { name: (*name).to_owned(), heartbeat: MINUTE, limit: MINUTE };
    let mut read = one(NOW, &[state], &[]);
    read.hooks = [(group_ref("r", "a"), hooks.iter().map(hook).collect())].into();
    let again = one(NOW.after(MINUTE), &[state], &[]);
    for facts in [read, again] {
        let views = evaluate(&fleet, &facts, &mut ledger);
        assert_eq!(views[0].observation.group.hook.as_ref().map(|hook| hook.name.as_str()), expected);
    }
    let known = |minutes: u32| ledger.knows_hooks(&group_ref("r", "a"), NOW.after(MINUTE * minutes));
    assert_eq!((known(9), known(10)), (true, false));
}

#[test]
fn tags_tell_of_drains_cooldowns_and_pauses() {
    let tags = [
        DRAINING,
        ("jitsi-scaler/drain/i-8", "2001-09-09T01:40:00Z closed hook"),
        ("jitsi-scaler/drain/i-7", "2001-09-09T01:40:00Z closed hook"),
        ("jitsi-scaler/scaled-out", "2001-09-09T01:30:00Z"),
        ("jitsi-scaler/paused", "2001-09-09T02:30:00Z lunch"),
    ];
    let views = evaluate(&fleet("", ""), &one(NOW, &["InService"], &tags), &mut Ledger::default());
    let time = |text: &str| Time::parse(text).expect("a time");
    let drain = Drain::begun(Purpose::ScaleIn, time("2001-09-09T01:40:00Z"));
    let seen = &views[0].observation.group;
    assert_eq!(seen.instances[0].drain, Some(drain));
    let orphans = seen.instances[1..].iter().map(|it| (it.id.clone(), it.lifecycle));
    assert_eq!(orphans.collect::<Vec<_>>(), [(id(8), Lifecycle::Detached), (id(7), Lifecycle::Detached)]);
    assert_eq!((seen.scaled_out, seen.scaled_in), (Some(time("2001-09-09T01:30:00Z")), None));
    assert_eq!((seen.launch_suspended, seen.terminate_suspended), (true, false));
    assert_eq!(views[0].pause.as_ref().map(|pause| pause.asked.reason.as_str()), Some("lunch"));
}
