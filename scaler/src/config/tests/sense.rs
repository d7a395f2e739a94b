//! Sensible values are left alone; `refused` and `warned` have those that make no sense.

use test_case::test_case;

use super::{GROUPS, OUT, parse, warnings, with};

/// A valid policy with one rule, whose threshold may be wrong.
fn rule(expr: &str, direction: &str, when: &str) -> String {
    let verb = if direction == "scale_out" { "add" } else { "remove" };
    with(GROUPS, &format!("expr: '{expr}'\n        {direction}: {{when: \"{when}\", periods: 3, {verb}: 1}}"))
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
fn one_answer_of_prometheus_holds_the_longest_window() {
    let rule = r#"scale_out: {when: ">= 5", periods: 5000, add: 1}"#;
    let config = parse(&with(GROUPS, &format!("expr: x\n        {rule}"))).expect("the longest");
    assert!(config.fleets[0].policy.policies[0].range() <= 11_000);
}

#[test]
fn expressions_that_keep_the_labels_of_groups_are_left_alone() {
    let expr = |groups: &str, expr: &str| with(groups, &format!("expr: '{expr}'\n        {OUT}"));
    let two = "asg: {names: [a, b], region_label: region}";
    for left_alone in ["avg by (asg, region) (x)", "topk(1, x)", "x / on (asg) y", "sum without (zone) (x)"] {
        assert_eq!(warnings(&expr(two, left_alone)), "", "{left_alone}");
    }
    assert_eq!(warnings(&expr(GROUPS, "avg(x)")), "", "a lone group needs no label");
}

#[test]
fn an_expression_that_compares_by_itself_is_a_warning() {
    let told = warnings(&rule("(asg:jvb_stress:avg > 0.6)", "scale_out", ">= 0.6"));
    let expected =
        "is a comparison, which leaves out the points that do not pass: they count as missing; leave it out";
    assert!(told.contains(expected), "{told}");
}
