//! Scenarios for the whole decision.

use std::path::Path;
use std::time::Duration;

use test_case::test_case;

use super::*;
use crate::decide::decision::{Action, Reason, Stay};
use crate::decide::observation::{
    Bounds, Drain, DrainState, LaunchFailures, Lifecycle, Live, Looks, Purpose, Reading, Refresh, Reported,
    Series,
};
use crate::decide::policy::{
    Adjustment, Amount, Comparison, Component, Direction, Measures, Missing, Operator, Policy, Rule, Rules,
    Step, TargetRule, VictimOrder, Victims, Window,
};
use crate::units::{Capacity, Percent, Period, PolicyName};

mod drains;
mod hooks;
mod limits;
mod orders;
mod properties;
mod protections;
mod reasons;
mod recycle;
mod replace;
mod stays;
mod victims;

const NOW: Time = Time::from_unix(1_000_000_020);
const LONG_AGO: Time = Time::from_unix(999_000_000);
const EMPTY: Reading = Reading::Answered { empty: true, draining: true, closing: false };
const EMPTY_CLOSING: Reading = Reading::Answered { empty: true, draining: true, closing: true };
const IN_USE: Reading = Reading::Answered { empty: false, draining: true, closing: false };
const OBLIVIOUS: Reading = Reading::Answered { empty: true, draining: false, closing: false };

fn capacity(n: u32) -> Capacity {
    Capacity::try_new(n).expect("a capacity")
}

fn count(n: u32) -> Adjustment {
    Adjustment::By(Amount::Count(capacity(n)))
}

fn rule(operator: Operator, threshold: f64, n: u16, cooldown: u64) -> Rule {
    Rule {
        when: Comparison::try_new(operator, threshold).expect("finite"),
        window: Window::try_new(n, n).expect("a window"),
        missing: Missing::Hold,
        adjustment: count(1),
        cooldown: Duration::from_secs(cooldown),
    }
}

/// Load above 100 for three minutes adds one, below 40 for three minutes removes one.
fn load_policy(name: &str) -> Policy {
    Policy {
        name: PolicyName::new(name),
        period: Period::try_new(Duration::from_mins(1)).expect("a minute"),
        measures: Measures::Load,
        rules: Rules::Threshold {
            scale_out: Some(rule(Operator::GreaterOrEqual, 100.0, 3, 300)),
            scale_in: Some(rule(Operator::LessOrEqual, 40.0, 3, 600)),
        },
    }
}

/// The rule of the first policy.
fn rule_of(fleet: &mut FleetPolicy, direction: Direction) -> &mut Rule {
    match (&mut fleet.policies[0].rules, direction) {
        (Rules::Threshold { scale_out: Some(rule), .. }, Direction::Out)
        | (Rules::Threshold { scale_in: Some(rule), .. }, Direction::In) => rule,
        _ => panic!("it has no such rule"),
    }
}

fn bridges() -> FleetPolicy {
    FleetPolicy {
        component: Component::Jvb,
        min: None,
        max: None,
        warmup: Duration::from_mins(3),
        min_reporting: Percent::try_new(80.0).expect("a share"),
        policies: vec![load_policy("load")],
        victims: Victims {
            order: VictimOrder::LeastLoaded,
            min_age: Duration::ZERO,
            idle_for: Duration::ZERO,
            only_idle: false,
        },
        max_in_flight: Amount::Share(Percent::try_new(50.0).expect("a share")),
        drain_limit: None,
        serves_hooks: true,
        replace: None,
        protect_busy: false,
        recycle: None,
    }
}

fn jibris() -> FleetPolicy {
    let mut policy = load_policy("pool");
    policy.measures = Measures::Idle;
    policy.rules = Rules::Threshold {
        scale_out: Some(rule(Operator::Less, 2.0, 3, 180)),
        scale_in: Some(rule(Operator::Greater, 3.0, 3, 600)),
    };
    FleetPolicy { component: Component::Jibri, policies: vec![policy], ..bridges() }
}

fn series(points: &[Option<f64>]) -> Series {
    let period = Period::try_new(Duration::from_mins(1)).expect("a minute");
    Series { end: NOW.floor(period), period, points: points.to_vec(), fresh: true, answered: true }
}

fn steady(value: f64) -> Series {
    series(&[Some(value); 5])
}

fn instance(index: u32) -> Instance {
    let zone = ["a", "b"][index as usize % 2];
    Instance {
        in_service_since: Some(LONG_AGO),
        reported: Reported {
            up: true,
            healthy: Some(true),
            load: Some(f64::from(index)),
            expired: false,
            draining: Some(false),
            idle_for: None,
            ambiguous: false,
        },
        ..Instance::unknown(InstanceId::new(&format!("i-{index}")), zone, Lifecycle::InService)
    }
}

/// A group of `n` bridges that have been in service for long, with loads 0, 1, 2, …
fn seen(n: u32, window: Series) -> Observation {
    Observation {
        windows: vec![window],
        group: Group::at_rest((capacity(1), capacity(10)), capacity(n), (0..n).map(instance).collect()),
        schedule: Bounds::default(),
        may_recycle: false,
    }
}

fn drain(state: DrainState) -> Drain {
    Drain { state, ..Drain::begun(Purpose::ScaleIn, NOW.before(Duration::from_mins(1))) }
}

fn drain_for(purpose: Purpose, state: DrainState) -> Drain {
    Drain { purpose, ..drain(state) }
}

fn draining(instance: &mut Instance, state: DrainState, previous: Option<Reading>, latest: Option<Reading>) {
    instance.drain = Some(drain(state));
    instance.drains_for = Duration::from_mins(1);
    instance.live = live(previous, latest);
}

/// [`seen`] with a steady value, and its first instance draining.
fn one_drains(
    n: u32,
    value: f64,
    state: DrainState,
    previous: Option<Reading>,
    latest: Option<Reading>,
) -> Observation {
    let mut observation = seen(n, steady(value));
    draining(&mut observation.group.instances[0], state, previous, latest);
    observation
}

/// Two answers, `drain.settle` apart.
fn live(previous: Option<Reading>, latest: Option<Reading>) -> Live {
    Live { latest, looks: if previous == latest { Looks::Two } else { Looks::One } }
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    decision.blocked.iter().map(Reason::as_str).collect()
}

fn words(decision: &Decision) -> Vec<String> {
    decision.effects.iter().flatten().map(ToString::to_string).collect()
}

/// The steps of the decision.
fn steps(fleet: &FleetPolicy, observation: &Observation) -> Vec<String> {
    words(&decide(fleet, observation, NOW))
}

#[track_caller]
fn assert_held(decision: &Decision, expected: &[&str]) {
    assert_eq!((decision.action, &reasons(decision)[..]), (Action::Hold, expected));
}

#[test]
fn an_alarm_adds_one_and_starts_the_cooldown() {
    let decision = decide(&bridges(), &seen(3, steady(120.0)), NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(4)));
    assert_eq!(words(&decision), ["set desired capacity from 3 to 4", "tag the scale-out"]);
}

#[test]
fn the_cooldown_is_read_from_the_tags() {
    let mut observation = seen(3, steady(120.0));
    observation.group.scaled_out = Some(NOW.before(Duration::from_secs(299)));
    assert_held(&decide(&bridges(), &observation, NOW), &["cooldown"]);
    observation.group.scaled_out = Some(NOW.before(Duration::from_mins(5)));
    assert_eq!(decide(&bridges(), &observation, NOW).action, Action::ScaleOut);
}

#[test]
fn a_cooldown_and_a_pause_that_lie_ahead_count_from_now() {
    let ahead = NOW.after(Duration::from_hours(1));
    let mut observation = seen(3, steady(120.0));
    observation.group.scaled_out = Some(ahead);
    observation.group.launch_failures =
        Some(LaunchFailures { count: 1, last: ahead, message: "no capacity".to_owned() });
    let ends: Vec<_> = decide(&bridges(), &observation, NOW).blocked.iter().map(Reason::until).collect();
    assert_eq!(ends, [1, 5].map(|minutes| Some(NOW.after(Duration::from_mins(minutes)))));
}

#[test]
fn between_its_own_points_a_policy_starts_nothing() {
    let mut observation = seen(3, steady(120.0));
    observation.windows[0].fresh = false;
    assert_held(&decide(&bridges(), &observation, NOW), &["between_points"]);
}

#[test]
fn adjustments_do_not_add_up_while_instances_boot() {
    let mut observation = seen(3, steady(120.0));
    observation.group.desired = capacity(4);
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!((decision.action, decision.current.warming), (Action::Hold, capacity(1)));
    assert_eq!(reasons(&decision), ["warming"]);
    // Two more bridges are lost: one is ready, and the others boot.
    observation.group.instances[1].lifecycle = Lifecycle::Pending;
    observation.group.instances[2].in_service_since = Some(NOW.before(Duration::from_secs(179)));
    let mut fleet = bridges();
    rule_of(&mut fleet, Direction::Out).adjustment = count(4);
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleOut, capacity(5)));
}

#[test]
fn with_launch_suspended_nothing_is_raised() {
    let mut observation = seen(3, steady(120.0));
    observation.group.launch_suspended = true;
    let decision = decide(&bridges(), &observation, NOW);
    assert_eq!((words(&decision).len(), reasons(&decision)), (0, vec!["launch_suspended"]));
}

#[test]
fn the_least_loaded_bridge_is_tagged_and_then_asked_to_drain() {
    let decision = decide(&bridges(), &seen(4, steady(10.0)), NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleIn, capacity(3)));
    assert_eq!(words(&decision), ["tag the scale-in", "tag i-0 as draining (scale-in)", "ask i-0 to drain"]);
}

/// A change of the group that holds back a scale-in.
type Spoil = fn(&mut FleetPolicy, &mut Observation);

#[test_case(|_, seen| seen.group.scaled_in = Some(NOW.before(Duration::from_secs(599))), "cooldown"; "own cooldown")]
#[test_case(|_, seen| seen.group.scaled_out = Some(NOW.before(Duration::from_secs(299))), "cooldown"; "other cooldown")]
#[test_case(|fleet, _| fleet.min = Some(capacity(4)), "minimum"; "at the minimum")]
#[test_case(|_, seen| seen.group.terminate_suspended = true, "terminate_suspended"; "terminate suspended")]
#[test_case(|_, seen| seen.group.instance_refresh = Refresh::InProgress, "instance_refresh"; "an instance refresh")]
#[test_case(|_, seen| seen.group.instance_refresh = Refresh::Unknown, "instance_refresh"; "perhaps an instance refresh")]
#[test_case(|fleet, _| fleet.victims.min_age = Duration::from_hours(24 * 365), "no_victim"; "all too young")]
#[test_case(|_, seen| seen.group.instances[3].in_service_since = Some(NOW), "warming"; "one warms up")]
#[test_case(|_, seen| seen.group.instances[3].in_service_since = None, "warming"; "one of unknown age")]
#[test_case(|_, seen| seen.group.instances[3].lifecycle = Lifecycle::Pending, "warming"; "one boots")]
#[test_case(|_, seen| seen.group.desired = capacity(5), "warming"; "one is not launched yet")]
#[test_case(|_, seen| seen.group.instances.push(instance(4)), "converging"; "one too many")]
#[test_case(|_, seen| seen.group.instances[3].reported.up = false, "data_quality"; "one of four does not report")]
#[test_case(|_, seen| seen.windows[0] = steady(39.9), "forecast"; "the rest could not carry the load")]
fn a_scale_in_is_blocked(spoil: Spoil, reason: &str) {
    let mut fleet = bridges();
    let mut observation = seen(4, steady(10.0));
    if reason == "forecast" {
        rule_of(&mut fleet, Direction::Out).when =
            Comparison::try_new(Operator::GreaterOrEqual, 45.0).expect("finite");
    }
    spoil(&mut fleet, &mut observation);
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!((decision.action, reasons(&decision)), (Action::Hold, vec![reason]));
    assert_eq!(words(&decision), Vec::<String>::new());
}

#[test]
fn a_bridge_that_an_operator_drains_is_no_victim_and_carries_no_load() {
    let mut fleet = bridges();
    rule_of(&mut fleet, Direction::Out).when =
        Comparison::try_new(Operator::GreaterOrEqual, 50.0).expect("finite");
    // The load of four fits on three (36 × 4 ÷ 3 = 48); that of three does not fit on two (54).
    let mut observation = seen(4, steady(36.0));
    assert_eq!(steps(&fleet, &observation)[1], "tag i-0 as draining (scale-in)");
    observation.group.instances[0].reported.draining = Some(true);
    assert_held(&decide(&fleet, &observation, NOW), &["forecast"]);
    observation.windows[0] = steady(10.0);
    assert_eq!(steps(&fleet, &observation)[1], "tag i-1 as draining (scale-in)");
}

#[test]
fn the_last_serving_bridge_stays() {
    let mut observation = seen(2, steady(1.0));
    observation.group.min = Capacity::ZERO;
    observation.group.instances[1].reported.healthy = Some(false);
    let decision = decide(&bridges(), &observation, NOW);
    assert_held(&decision, &["last_serving"]);
    assert_eq!(decision.blocked, [Reason::LastServing { by_hand: Vec::new() }]);
    // One that somebody drains explains it.
    observation.group.instances[1].reported.draining = Some(true);
    let by_hand = vec![InstanceId::new("i-1")];
    assert_eq!(decide(&bridges(), &observation, NOW).blocked, [Reason::LastServing { by_hand }]);
}

#[test]
fn the_drain_budget_holds() {
    let observation = one_drains(4, 1.0, DrainState::Draining, None, Some(IN_USE));
    let mut fleet = bridges();
    fleet.max_in_flight = Amount::Count(capacity(1));
    assert_held(&decide(&fleet, &observation, NOW), &["drain_budget"]);
}

#[test]
fn a_policy_without_data_keeps_capacity() {
    let mut fleet = bridges();
    fleet.policies.push(load_policy("other"));
    let mut observation = seen(4, steady(1.0));
    observation.windows.push(series(&[None; 5]));
    assert_held(&decide(&fleet, &observation, NOW), &["unknown"]);
    // Another policy may still scale out.
    observation.windows[0] = steady(120.0);
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::ScaleOut);
}

#[test]
fn a_policy_that_only_scales_out_has_no_say_in_a_scale_in() {
    let mut fleet = bridges();
    let scale_out = Some(rule(Operator::GreaterOrEqual, 100.0, 3, 300));
    let rules = Rules::Threshold { scale_out, scale_in: None };
    fleet.policies.push(Policy { rules, ..load_policy("peak") });
    let mut observation = seen(4, steady(1.0));
    observation.windows.push(steady(50.0));
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::ScaleIn);
    observation.windows[1] = steady(150.0);
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::ScaleOut);
}

#[test]
fn without_the_newest_point_there_is_no_forecast() {
    let mut fleet = bridges();
    let scale_out = Some(rule(Operator::GreaterOrEqual, 100.0, 3, 300));
    fleet
        .policies
        .push(Policy { rules: Rules::Threshold { scale_out, scale_in: None }, ..load_policy("peak") });
    let mut observation = seen(4, steady(1.0));
    observation.windows.push(series(&[Some(99.0), Some(99.0), Some(99.0), Some(99.0), None]));
    assert_held(&decide(&fleet, &observation, NOW), &["no_forecast"]);
}

#[test]
fn an_alarm_without_a_step_for_its_value_holds() {
    let mut fleet = bridges();
    let step = Step { from: Some(0.0), to: Some(10.0), amount: Amount::Count(capacity(1)) };
    rule_of(&mut fleet, Direction::Out).adjustment = Adjustment::Steps(vec![step]);
    assert_held(&decide(&fleet, &seen(4, steady(120.0)), NOW), &["no_step"]);
    assert_eq!(decide(&fleet, &seen(4, steady(105.0)), NOW).action, Action::ScaleOut);
}

/// A policy whose value is the wanted capacity: up at once, down after three periods.
fn desired_fleet() -> FleetPolicy {
    let target_rule =
        |periods, cooldown| Some(TargetRule { periods, cooldown: Duration::from_secs(cooldown) });
    let rules = Rules::Desired { scale_out: target_rule(1, 60), scale_in: target_rule(3, 60) };
    let policy = Policy { measures: Measures::Other, rules, ..load_policy("demand") };
    FleetPolicy { policies: vec![policy], ..bridges() }
}

#[test_case(&[Some(4.0), Some(4.0), Some(6.2)], Action::ScaleOut, 7; "up to the newest, rounded up")]
#[test_case(&[Some(9.0), Some(9.0), None], Action::Hold, 4; "nothing is known now")]
#[test_case(&[Some(2.0), Some(3.0), Some(1.0)], Action::ScaleIn, 3; "down to the largest")]
#[test_case(&[Some(2.0), None, Some(1.0)], Action::Hold, 4; "a hole stops the way down")]
#[test_case(&[Some(2.0), Some(5.0), Some(1.0)], Action::Hold, 4; "more was wanted within the window")]
fn a_wanted_capacity_is_followed(points: &[Option<f64>], action: Action, desired: u32) {
    let decision = decide(&desired_fleet(), &seen(4, series(points)), NOW);
    assert_eq!((decision.action, decision.desired), (action, capacity(desired)));
}

fn alert_fleet() -> FleetPolicy {
    let rule = Rule { missing: Missing::NotBreaching, ..rule(Operator::GreaterOrEqual, 1.0, 2, 300) };
    let rules = Rules::Alert { direction: Direction::Out, rule };
    let mut fleet = bridges();
    fleet.policies.push(Policy { measures: Measures::Other, rules, ..load_policy("page") });
    fleet
}

#[test]
fn an_alert_acts_while_it_fires_and_is_silent_otherwise() {
    let mut observation = seen(4, steady(60.0));
    observation.windows.push(series(&[None, None, None, Some(1.0), Some(1.0)]));
    assert_eq!(decide(&alert_fleet(), &observation, NOW).action, Action::ScaleOut);
    observation.windows[1] = series(&[None; 5]);
    observation.windows[0] = steady(1.0);
    assert_eq!(decide(&alert_fleet(), &observation, NOW).action, Action::ScaleIn);
    // Whether it fires could not be read.
    observation.windows[1].answered = false;
    assert_held(&decide(&alert_fleet(), &observation, NOW), &["unknown"]);
}

#[test_case(VictimOrder::Oldest, "i-3"; "oldest")]
#[test_case(VictimOrder::Newest, "i-1"; "newest")]
fn age_decides_where_it_is_the_order(order: VictimOrder, expected: &str) {
    let mut observation = seen(4, steady(1.0));
    for (instance, hours) in observation.group.instances.iter_mut().zip([3, 2, 5, 9]) {
        instance.in_service_since = Some(NOW.before(Duration::from_hours(hours)));
    }
    let mut fleet = bridges();
    fleet.victims.order = order;
    assert_eq!(steps(&fleet, &observation)[1], format!("tag {expected} as draining (scale-in)"));
}

#[test]
fn one_that_does_not_report_is_no_victim() {
    let mut observation = seen(6, steady(1.0));
    observation.group.instances[0].reported.up = false;
    assert_eq!(steps(&bridges(), &observation)[1], "tag i-1 as draining (scale-in)");
}

#[test]
fn busy_instances_are_protected_and_free_ones_are_not() {
    let fleet = FleetPolicy { protect_busy: true, ..bridges() };
    let mut observation = seen(4, steady(60.0));
    observation.group.instances[0].protected = true;
    observation.group.instances[1].protected = true;
    observation.group.instances[3].reported = Reported::default();
    let expected = ["protect i-2 from scale-in by AWS", "end the protection of i-0"];
    assert_eq!(steps(&fleet, &observation), expected);
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
    assert_eq!(steps(&fleet, &observation)[0], "set desired capacity from 4 to 6");
    observation.group.launch_failures = failed(40, 29);
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::Hold);
    observation.group.launch_failures = failed(40, 30);
    assert_eq!(decide(&fleet, &observation, NOW).action, Action::ScaleOut);
}

#[test]
fn a_sentence_says_what_and_why() {
    let fleet = bridges();
    let mut observation = seen(4, steady(10.0));
    observation.group.scaled_in = Some(NOW.before(Duration::from_secs(1)));
    draining(&mut observation.group.instances[1], DrainState::Draining, None, Some(IN_USE));
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(
        decision.sentence(&fleet),
        "hold at 3: load calls for a scale-in (<= 40 in 3 of 3 periods); the cooldown of load allows no scale-in until \
         2001-09-09T01:56:59Z, after the last scale-in; i-1 draining for 60 s (scale-in): it is still in use"
    );
}

/// The `use` lines are what keeps the heart free of clocks, sockets and clouds.
#[test]
fn decide_imports_only_std_and_units() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide");
    for entry in std::fs::read_dir(folder).expect("the folder of this module") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in code.lines() {
            let line = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let imported = line.strip_prefix("use ").or_else(|| line.strip_prefix("extern crate "));
            if let Some(imported) = imported {
                let allowed = ["std::", "super::", "crate::units", "crate::decide"];
                let sibling = imported.split("::").next().unwrap_or_default();
                let is_sibling = Path::new(folder).join(format!("{sibling}.rs")).is_file();
                let is_allowed = allowed.iter().any(|prefix| imported.starts_with(prefix));
                assert!(is_allowed || is_sibling, "{} imports {imported}", path.display());
            }
            for foreign in
                ["tokio::", "reqwest::", "axum::", "aws_", "tracing::", "jiff::", "::now()", "serde"]
            {
                assert!(
                    !line.contains(foreign) || line.starts_with("//"),
                    "{} uses {foreign}: {line}",
                    path.display()
                );
            }
        }
    }
}
