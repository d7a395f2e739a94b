//! Valid YAML with values that make no sense is refused or warned of; sensible values are left alone.

use insta::assert_snapshot;
use test_case::test_case;

use super::{GROUPS, OUT, parse, problems, warnings, with};

/// A valid policy with one rule, whose threshold may be wrong.
fn rule(expr: &str, direction: &str, when: &str) -> String {
    let verb = if direction == "scale_out" { "add" } else { "remove" };
    with(GROUPS, &format!("expr: '{expr}'\n        {direction}: {{when: \"{when}\", periods: 3, {verb}: 1}}"))
}

#[test]
fn units_that_cannot_be_right_are_refused() {
    let out = |expr: &str, when: &str| problems(&rule(expr, "scale_out", when));
    let in_ = |expr: &str, when: &str| problems(&rule(expr, "scale_in", when));
    assert_snapshot!(in_("avg by (asg) (jvb_stress_ratio)", "<= 20"), @"line 11: fleets[0].policies[0].scale_in.when: is always true: jvb_stress_ratio is a ratio; for 20% write 0.2");
    assert_snapshot!(out("avg by (asg) (jvb_overall_loss_ratio)", "> 5"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: jvb_overall_loss_ratio is a ratio; for 5% write 0.05");
    assert_snapshot!(out("asg:jibri_available:sum", "< 0"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: asg:jibri_available:sum is never negative");
    assert_snapshot!(in_("asg:jibri_available:sum", ">= 0"), @"line 11: fleets[0].policies[0].scale_in.when: is always true: asg:jibri_available:sum is never negative");
    assert_snapshot!(out("avg by (asg) (jvb_bytes_sent_total)", "> 1e12"), @"line 10: fleets[0].policies[0].expr: jvb_bytes_sent_total is a counter and only grows while its process runs; write for example rate(jvb_bytes_sent_total[2m])");
    assert_snapshot!(out("sum by (asg) (jvb_bytes_sent_total)", "> 1e12"), @"line 10: fleets[0].policies[0].expr: jvb_bytes_sent_total is a counter and only grows while its process runs; write for example rate(jvb_bytes_sent_total[2m])");
}

#[test_case("asg:jvb_stress:avg", "scale_out", ">= 0.6"; "stress")]
#[test_case("asg:jvb_stress:avg", "scale_in", "<= 0"; "no stress at all")]
#[test_case("100 * asg:jvb_stress:avg", "scale_out", ">= 60"; "stress in percent")]
#[test_case("sum by (asg) (jvb_stress_ratio)", "scale_out", ">= 60"; "the stress of a hundred bridges")]
#[test_case("asg:jvb_stress:avg / asg:jvb_bridges:count", "scale_out", ">= 60"; "a quotient of two series")]
#[test_case("avg by (asg) (my_stress)", "scale_out", ">= 60"; "a series of one's own")]
#[test_case("asg:jvb_participants_total", "scale_out", ">= 100"; "a sum of the operator's own")]
#[test_case("asg:jvb_load_ratio", "scale_out", ">= 50"; "a ratio of the operator's own")]
#[test_case("asg:jvb_balance", "scale_out", "< 0"; "a difference of the operator's own")]
#[test_case("asg:jvb_network_out_bytes:avg1m", "scale_out", ">= 750e6"; "traffic")]
#[test_case("asg:jvb_network_out_bytes:avg1m", "scale_in", "<= 50000"; "hardly any traffic")]
#[test_case("avg by (asg) (jvb_outgoing_bits_per_second) / 5e9", "scale_out", ">= 0.7"; "a share of the bandwidth")]
#[test_case("avg by (asg) (jvb_outgoing_bits_per_second) / 1e6", "scale_out", ">= 100"; "in megabits")]
#[test_case("avg by (asg) (increase(jvb_bytes_sent_total[1m]))", "scale_out", ">= 750e6"; "in bytes per minute")]
#[test_case("asg:jibri_available:sum", "scale_out", "< 2"; "free Jibris")]
#[test_case("asg:jibri_available:sum", "scale_in", "> 3"; "too many free Jibris")]
#[test_case("avg by (asg) (jibri_available)", "scale_out", "<= 0.2"; "the share of free Jibris")]
#[test_case("avg by (asg) (jvb_rtt_seconds)", "scale_out", "> 0.2"; "a round trip")]
#[test_case("jvb_stress_ratio > bool 0.5", "scale_out", "> 0"; "a comparison as a number")]
fn sensible_thresholds_are_left_alone(expr: &str, direction: &str, when: &str) {
    assert_eq!(warnings(&rule(expr, direction, when)), "");
}

#[test]
fn odd_values_are_accepted_with_a_warning() {
    let out = |expr: &str, when: &str| warnings(&rule(expr, "scale_out", when));
    assert_snapshot!(out("asg:jibri_available:sum", ">= 0"), @"line 11: fleets[0].policies[0].scale_out.when: is always true: asg:jibri_available:sum is never negative");
    let fleet = "asg: {names: [a]}\n    warmup: 3h\n    min_reporting: 0.8%\n    victims: {min_age: 30d}";
    let cooldown = r#"scale_out: {when: ">= 5", periods: 3, add: 1, cooldown: 5d}"#;
    assert_snapshot!(warnings(&with(fleet, &format!("expr: x\n        {cooldown}"))), @"
    line 7: fleets[0].warmup: is longer than 1h: nothing scales in while an instance warms up; a Jibri boots in 3m
    line 8: fleets[0].min_reporting: 0.8% lets a scale-in rest on what a minority reports; the default is 80%
    line 9: fleets[0].victims.min_age: is longer than 7d: a younger instance never leaves
    line 14: fleets[0].policies[0].scale_out.cooldown: is longer than 12h: for that long nothing follows the load
    ");
    let late = with(GROUPS, &format!("expr: x\n        {OUT}")).replace("9090\"", "9090\", delay: 1h");
    assert_snapshot!(warnings(&late), @"line 2: prometheus.delay: is longer than 15m: every decision comes that much later");
    let jibri = r#"
prometheus: {url: "http://127.0.0.1:9090"}
fleets:
  - name: jibri
    component: jibri
    asg: {names: [a]}
    victims: {idle_for: 2d}
    policies: [{name: p, expr: x, scale_out: {when: "< 3", periods: 3, add: 1}}]
"#;
    assert_snapshot!(warnings(jibri), @"line 7: fleets[0].victims.idle_for: is longer than 1d: a Jibri that was busy more recently never leaves");
}

#[test]
fn a_fraction_of_a_second_is_a_slip_of_the_unit() {
    let cooldown = r#"scale_out: {when: ">= 5", periods: 3, add: 1, cooldown: 300ms}"#;
    let fleet = "asg: {names: [a]}\n    warmup: 1500ms";
    assert_snapshot!(problems(&with(fleet, &format!("expr: x\n        {cooldown}"))), @"
    line 7: fleets[0].warmup: must be whole seconds; for minutes write m, not ms
    line 12: fleets[0].policies[0].scale_out.cooldown: must be whole seconds; for minutes write m, not ms
    ");
}

#[test]
fn one_answer_of_prometheus_holds_a_window() {
    let periods = |periods: &str| {
        let rule = format!(r#"scale_out: {{when: ">= 5", periods: {periods}, add: 1}}"#);
        problems(&with(GROUPS, &format!("expr: x\n        {rule}")))
    };
    assert_snapshot!(periods("11001"), @r#"line 11: fleets[0].policies[0].scale_out.periods: must be a whole number from 1 to 5000 (one answer of Prometheus holds no more), not "11001""#);
    assert_snapshot!(periods("0"), @r#"line 11: fleets[0].policies[0].scale_out.periods: must be a whole number from 1 to 5000 (one answer of Prometheus holds no more), not "0""#);
    assert_snapshot!(problems(&with(GROUPS, "desired: 'x'\n        scale_out: {periods: 5001}")), @r#"line 11: fleets[0].policies[0].scale_out.periods: must be a whole number from 1 to 5000 (one answer of Prometheus holds no more), not "5001""#);
    let rule = r#"scale_out: {when: ">= 5", periods: 5000, add: 1}"#;
    let config = parse(&with(GROUPS, &format!("expr: x\n        {rule}"))).expect("the longest");
    assert!(config.fleets[0].policy.policies[0].range() <= 11_000);
}

#[test]
fn capacities_that_cannot_be_are_refused() {
    let fleet = "asg: {names: [a]}\n    capacity: {min: 4, max: 20}";
    let refused = |rule: &str| problems(&with(fleet, &format!("expr: x\n        {rule}")));
    let odd = |rule: &str| warnings(&with(fleet, &format!("expr: x\n        {rule}")));
    assert_snapshot!(refused(r#"scale_out: {when: "> 5", periods: 3, set: 4}"#), @"line 10: fleets[0].policies[0]: `scale_out` sets 4, but `capacity.min` already holds that many; set more, or lower the minimum");
    assert_snapshot!(refused(r#"scale_in: {when: "< 5", periods: 3, set: 20}"#), @"line 10: fleets[0].policies[0]: `scale_in` sets 20, and `capacity.max` never lets the fleet have more; set less, or raise the maximum");
    assert_snapshot!(refused(r#"scale_in: {when: "< 5", periods: 3, remove: 150%}"#), @"line 12: fleets[0].policies[0].scale_in.remove: cannot remove 150% of a group; write 100% at most");
    assert_snapshot!(refused(r#"scale_in: {when: "< 5", periods: 3, remove: 0%}"#), @"line 12: fleets[0].policies[0].scale_in.remove: must change something; 0 is allowed in a step");
    assert_snapshot!(refused(r#"scale_in: {when: "< 5", periods: 3, steps: [{to: 0, remove: 200%}]}"#), @"line 12: fleets[0].policies[0].scale_in.steps[0].remove: cannot remove 200% of a group; write 100% at most");
    assert_snapshot!(odd(r#"scale_out: {when: "> 5", periods: 3, set: 30}"#), @"line 10: fleets[0].policies[0]: `scale_out` sets 30, and `capacity.max` lets the fleet have less");
    assert_snapshot!(odd(r#"scale_out: {when: "> 5", periods: 3, add: 30}"#), @"line 10: fleets[0].policies[0]: `scale_out` adds 30 at once, more than `capacity.max` lets the fleet have");
    assert_snapshot!(odd(r#"scale_in: {when: "< 5", periods: 3, set: 2}"#), @"line 10: fleets[0].policies[0]: `scale_in` sets 2, and `capacity.min` has the fleet hold more");
    let schedule = |bounds: &str| {
        let entry = format!("{{name: s, from: '07:00', to: '19:00', timezone: UTC, {bounds}}}");
        problems(&with(&format!("{fleet}\n    schedules: [{entry}]"), &format!("expr: x\n        {OUT}")))
    };
    assert_snapshot!(schedule("min: 30"), @"line 8: fleets[0].schedules[0]: the minimum 30 is above `capacity.max`, 20, and can never be reached; lower it, or raise the other");
    assert_snapshot!(schedule("max: 2"), @"line 8: fleets[0].schedules[0]: the maximum 2 is below `capacity.min`, 4; lower that minimum, and raise it by schedules");
    assert_snapshot!(problems(&with("asg: {names: [a]}\n    capacity: {min: 200000}", &format!("expr: x\n        {OUT}"))), @r#"line 7: fleets[0].capacity.min: must be a whole number of instances from 0 to 100000, not "200000""#);
}

#[test]
fn series_must_carry_the_labels_of_groups() {
    let expr = |groups: &str, expr: &str| with(groups, &format!("expr: '{expr}'\n        {OUT}"));
    let two = "asg: {names: [a, b], region_label: region}";
    assert_snapshot!(warnings(&expr(two, "avg(x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which can be used only while the fleet is a single group; write for example avg by (asg) (…)");
    assert_snapshot!(warnings(&expr(two, "2 * max by (zone) (x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which can be used only while the fleet is a single group; write for example avg by (asg) (…)");
    assert_snapshot!(problems(&expr(two, "avg by (asg) (x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `region` that `asg.region_label` names; write for example avg by (asg, region) (…)");
    assert_snapshot!(warnings(&expr("asg: {names: [a, b]}", "sum without (asg) (x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which can be used only while the fleet is a single group; write for example avg by (asg) (…)");
    assert_snapshot!(warnings(&expr("asg: {tags: {fleet: jvb}}", "avg(x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which can be used only while the fleet is a single group; write for example avg by (asg) (…)");
    for left_alone in ["avg by (asg, region) (x)", "topk(1, x)", "x / on (asg) y", "sum without (zone) (x)"] {
        assert_eq!(warnings(&expr(two, left_alone)), "", "{left_alone}");
    }
    assert_eq!(warnings(&expr(GROUPS, "avg(x)")), "", "a lone group needs no label");
}
