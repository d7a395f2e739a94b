//! What a configuration is told that is well written and makes no sense; and that sensible ones are left alone.

use insta::assert_snapshot;
use test_case::test_case;

use super::{GROUPS, OUT, parse, problems, warnings, with};

/// A policy with one rule, whose judgement is not hindered by anything else.
fn rule(expr: &str, direction: &str, when: &str) -> String {
    let verb = if direction == "scale_out" { "add" } else { "remove" };
    with(GROUPS, &format!("expr: '{expr}'\n        {direction}: {{when: \"{when}\", periods: 3, {verb}: 1}}"))
}

#[test]
fn units_that_cannot_be_right_are_refused() {
    let out = |expr: &str, when: &str| problems(&rule(expr, "scale_out", when));
    let in_ = |expr: &str, when: &str| problems(&rule(expr, "scale_in", when));
    assert_snapshot!(out("asg:jvb_stress:avg", ">= 60"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: asg:jvb_stress:avg is a ratio, 1 at full load; for 60% write 0.6");
    assert_snapshot!(in_("avg by (asg) (jvb_stress_ratio)", "<= 20"), @"line 11: fleets[0].policies[0].scale_in.when: is always true: jvb_stress_ratio is a ratio, 1 at full load; for 20% write 0.2");
    assert_snapshot!(out("100 * avg by (asg) (jvb_stress_ratio)", ">= 6000"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: with jvb_stress_ratio the expression lies between 0 and 1000");
    assert_snapshot!(out("asg:jvb_network_out_bytes:avg1m", ">= 100000"), @"line 11: fleets[0].policies[0].scale_out.when: is 13333 bit/s, less than one person's video; if 100000 kbit/s are meant, write 750000000, which is that in the unit of the expression");
    assert_snapshot!(out("avg by (asg) (rate(jvb_bytes_sent_total[2m]))", ">= 10000"), @"line 11: fleets[0].policies[0].scale_out.when: is 80000 bit/s, less than one person's video; if 10000 kbit/s are meant, write 1250000, which is that in the unit of the expression");
    assert_snapshot!(out("max by (asg) (jvb_outgoing_bits_per_second)", ">= 100e3"), @"line 11: fleets[0].policies[0].scale_out.when: is 100000 bit/s, less than one person's video; if 100000 kbit/s are meant, write 100000000, which is that in the unit of the expression");
    assert_snapshot!(out("avg by (asg) (jvb_overall_loss_ratio)", "> 5"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: jvb_overall_loss_ratio is a ratio from 0 to 1; for 5% write 0.05");
    assert_snapshot!(out("avg by (asg) (avg_over_time(jvb_rtt_seconds[5m]))", "> 200"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: jvb_rtt_seconds is in seconds; for 200 ms write 0.2");
    assert_snapshot!(out("asg:jibri_available:sum", "< 0"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: with asg:jibri_available:sum the expression is never below 0");
    assert_snapshot!(in_("asg:jibri_available:sum", ">= 0"), @"line 11: fleets[0].policies[0].scale_in.when: is always true: with asg:jibri_available:sum the expression is never below 0");
    assert_snapshot!(out("min by (asg) (jibri_available)", "> 1"), @"line 11: fleets[0].policies[0].scale_out.when: can never be true: with jibri_available the expression lies between 0 and 1");
    assert_snapshot!(out("sum by (asg) (jvb_bytes_sent_total)", "> 1e12"), @"line 10: fleets[0].policies[0].expr: jvb_bytes_sent_total is a counter and only grows while its process runs; write for example rate(jvb_bytes_sent_total[2m])");
}

#[test_case("asg:jvb_stress:avg", "scale_out", ">= 0.6"; "stress")]
#[test_case("asg:jvb_stress:avg", "scale_in", "<= 0"; "no stress at all")]
#[test_case("100 * asg:jvb_stress:avg", "scale_out", ">= 60"; "stress in percent")]
#[test_case("sum by (asg) (jvb_stress_ratio)", "scale_out", ">= 60"; "the stress of a hundred bridges")]
#[test_case("asg:jvb_stress:avg / asg:jvb_bridges:count", "scale_out", ">= 60"; "who knows")]
#[test_case("avg by (asg) (my_stress)", "scale_out", ">= 60"; "a series of one's own")]
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
fn what_somebody_can_mean_is_left_alone(expr: &str, direction: &str, when: &str) {
    assert_eq!(warnings(&rule(expr, direction, when)), "");
}

#[test]
fn what_is_odd_is_told_and_let_pass() {
    let out = |expr: &str, when: &str| warnings(&rule(expr, "scale_out", when));
    assert_snapshot!(out("asg:jvb_stress:avg", ">= 2"), @"line 11: fleets[0].policies[0].scale_out.when: adds only when bridges are overloaded: 1 is the full load of a bridge");
    assert_snapshot!(out("asg:jvb_network_out_bytes:avg1m", ">= 10e6"), @"line 11: fleets[0].policies[0].scale_out.when: is 1333333 bit/s, less than one conference takes; check the unit");
    assert_snapshot!(out("asg:jibri_available:sum", ">= 0"), @"line 11: fleets[0].policies[0].scale_out.when: is always true: with asg:jibri_available:sum the expression is never below 0");
    let fleet = "asg: {names: [a]}\n    warmup: 3h\n    min_reporting: 0.8%\n    victims: {min_age: 30d}";
    let cooldown = r#"scale_out: {when: ">= 5", periods: 3, add: 1, cooldown: 5d}"#;
    assert_snapshot!(warnings(&with(fleet, &format!("expr: x\n        {cooldown}"))), @"
    line 7: fleets[0].warmup: is longer than 1h: nothing scales in while an instance warms up; a Jibri boots in 3m
    line 8: fleets[0].min_reporting: 0.8% lets a scale-in rest on what a minority reports; the default is 80%
    line 9: fleets[0].victims.min_age: is longer than 7d: an instance that is younger never goes
    line 14: fleets[0].policies[0].scale_out.cooldown: is longer than 12h: for so long nothing follows the load
    ");
    let late = with(GROUPS, &format!("expr: x\n        {OUT}")).replace("9090\"", "9090\", delay: 1h");
    assert_snapshot!(warnings(&late), @"line 2: prometheus.delay: is longer than 15m: whatever happens is followed that much later");
    let jibri = r#"
prometheus: {url: "http://127.0.0.1:9090"}
fleets:
  - name: jibri
    component: jibri
    asg: {names: [a]}
    victims: {idle_for: 2d}
    policies: [{name: p, expr: x, scale_out: {when: "< 3", periods: 3, add: 1}}]
"#;
    assert_snapshot!(warnings(jibri), @"line 7: fleets[0].victims.idle_for: is longer than 1d: a Jibri that was busy since never goes");
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
fn windows_stay_within_what_one_answer_holds() {
    let periods = |periods: &str| {
        let rule = format!(r#"scale_out: {{when: ">= 5", periods: {periods}, add: 1}}"#);
        problems(&with(GROUPS, &format!("expr: x\n        {rule}")))
    };
    assert_snapshot!(periods("11001"), @"line 11: fleets[0].policies[0].scale_out.periods: must be from 1 to 5000, so that the window fits into one answer of Prometheus");
    assert_snapshot!(periods("0"), @"line 11: fleets[0].policies[0].scale_out.periods: must be from 1 to 5000, so that the window fits into one answer of Prometheus");
    assert_snapshot!(problems(&with(GROUPS, "desired: 'x'\n        scale_out: {periods: 5001}")), @"line 11: fleets[0].policies[0].scale_out.periods: must be from 1 to 5000, so that the window fits into one answer of Prometheus");
    let rule = r#"scale_out: {when: ">= 5", periods: 5000, add: 1}"#;
    let config = parse(&with(GROUPS, &format!("expr: x\n        {rule}"))).expect("the longest");
    assert!(config.fleets[0].policy.policies[0].range() <= 11_000);
}

#[test]
fn capacities_that_cannot_be_are_refused() {
    let fleet = "asg: {names: [a]}\n    capacity: {min: 4, max: 20}";
    let refused = |rule: &str| problems(&with(fleet, &format!("expr: x\n        {rule}")));
    let odd = |rule: &str| warnings(&with(fleet, &format!("expr: x\n        {rule}")));
    assert_snapshot!(refused(r#"scale_out: {when: "> 5", periods: 3, set: 4}"#), @"line 10: fleets[0].policies[0]: `scale_out` sets 4, which `capacity.min` has the fleet hold anyway; set more, or lower the minimum");
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
    assert_snapshot!(schedule("min: 30"), @"line 8: fleets[0].schedules[0]: the minimum 30 is above `capacity.max`, 20, and is never reached; raise the one or lower the other");
    assert_snapshot!(schedule("max: 2"), @"line 8: fleets[0].schedules[0]: the maximum 2 is below `capacity.min`, 4; lower the minimum, and raise it by schedules");
    assert_snapshot!(problems(&with("asg: {names: [a]}\n    capacity: {min: 200000}", &format!("expr: x\n        {OUT}"))), @r#"line 7: fleets[0].capacity.min: must be a whole number of instances from 0 to 100000, not "200000""#);
}

#[test]
fn series_must_be_somebodys() {
    let expr = |groups: &str, expr: &str| with(groups, &format!("expr: '{expr}'\n        {OUT}"));
    let two = "asg: {names: [a, b], region_label: region}";
    assert_snapshot!(warnings(&expr(two, "avg(x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which are of use only while the fleet is a single group; write for example avg by (asg) (…)");
    assert_snapshot!(warnings(&expr(two, "2 * max by (zone) (x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which are of use only while the fleet is a single group; write for example avg by (asg) (…)");
    assert_snapshot!(problems(&expr(two, "avg by (asg) (x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `region` that `asg.region_label` promises; write for example avg by (asg, region) (…)");
    assert_snapshot!(warnings(&expr("asg: {names: [a, b]}", "sum without (asg) (x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which are of use only while the fleet is a single group; write for example avg by (asg) (…)");
    assert_snapshot!(warnings(&expr("asg: {tags: {fleet: jvb}}", "avg(x)")), @"line 10: fleets[0].policies[0].expr: gives series without the label `asg`, which are of use only while the fleet is a single group; write for example avg by (asg) (…)");
    for left_alone in ["avg by (asg, region) (x)", "topk(1, x)", "x / on (asg) y", "sum without (zone) (x)"] {
        assert_eq!(warnings(&expr(two, left_alone)), "", "{left_alone}");
    }
    assert_eq!(warnings(&expr(GROUPS, "avg(x)")), "", "a lone group needs no label");
}

#[test]
fn tags_that_meet_are_refused() {
    let fleets = |one: &str, two: &str| {
        format!(
            r#"
prometheus: {{url: "http://127.0.0.1:9090"}}
fleets:
  - name: one
    component: jvb
    asg: {{regions: [us-east-1], tags: {{{one}}}}}
    policies: [{{name: p, expr: x, scale_out: {{when: "> 3", periods: 3, add: 1}}}}]
  - name: two
    component: jvb
    asg: {{regions: [us-east-1, eu-west-1], tags: {{{two}}}}}
    policies: [{{name: p, expr: x, scale_out: {{when: "> 3", periods: 3, add: 1}}}}]
"#
        )
    };
    assert_snapshot!(problems(&fleets("fleet: jvb", "fleet: jvb, stage: prod")), @r#"line 10: fleets[1].asg.tags: selects groups of the fleet "one" as well; a group has one fleet, so tell them apart by a tag"#);
    assert_eq!(warnings(&fleets("fleet: jvb", "fleet: jibri")), "");
}
