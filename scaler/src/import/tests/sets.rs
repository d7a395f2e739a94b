//! Alarm sets in the forms that Terraform, `CloudFormation` and the console give them, and what must come out of each.

use std::fmt::Write as _;
use std::path::Path;

use test_case::test_case;

use super::{open_choices, translation};
use crate::config::{self, Config};
use crate::decide::policy::{Adjustment, Amount, Direction, Policy, Rule, Rules};

/// A policy that a person writes.
const BY_HAND: &str = "{name: by-hand, alert: Chosen, scale_out: {add: 1}}";

/// What a person could choose for each key; the words of some choices say which.
fn chosen(key: &str, words: &str) -> String {
    match key {
        "expr" => "chosen:value".to_owned(),
        "desired" => "chosen:capacity".to_owned(),
        "alert" => "Chosen".to_owned(),
        "measures" if words.starts_with("load") && words.contains("idle") => "other".to_owned(),
        "measures" => words.split(',').next().unwrap_or_default().to_owned(),
        "fleets" => format!(
            "[{{name: chosen, component: jvb, dry_run: true, asg: {{names: [x]}}, policies: [{BY_HAND}]}}]"
        ),
        "component" => "jvb".to_owned(),
        "cron" => "0 8 24 12 *".to_owned(),
        "duration" => "2h".to_owned(),
        "period" => "20s".to_owned(),
        "periods" => "4320".to_owned(),
        "breaching" => "4000".to_owned(),
        "policies" => format!("[{BY_HAND}]"),
        // The first word is the number.
        _ => words.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// The configuration once a person has made every choice.
fn made(text: &str) -> Config {
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((before, rest)) =
            line.split_once("\"<").filter(|(_, rest)| rest.contains(">\"") && !line.trim().starts_with('#'))
        else {
            lines.push(line.to_owned());
            continue;
        };
        let (words, after) = rest.rsplit_once(">\"").expect("a closed choice");
        let key = before.trim_end().trim_end_matches(':').rsplit([' ', '{']).next().unwrap_or_default();
        match (before.trim(), after) {
            ("-", _) => lines
                .push(format!("{before}{}", BY_HAND.replace("by-hand", &format!("by-hand-{}", lines.len())))),
            // A key.
            ("", ":") if words.starts_with("scale_out or") => lines.push(format!("{before}scale_out:")),
            ("", after) if words.starts_with("min or") => lines.push(format!("{before}min{after}")),
            // An entry that is not understood, at the top of the file.
            ("", _) => {}
            _ if key == "via" => lines.push(format!("{before}\"http://{{private_ip}}:8080\"{after}")),
            _ => lines.push(format!("{before}{}{after}", chosen(key, words))),
        }
    }
    let text = lines.join("\n");
    config::parse(&text, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn amount(amount: Amount) -> String {
    match amount {
        Amount::Count(count) => count.to_string(),
        Amount::Share(share) => share.to_string(),
    }
}

fn rule(rule: &Rule, direction: Direction, has_threshold: bool) -> String {
    let mut text = String::new();
    if has_threshold {
        let (m, n) = (rule.window.breaching(), rule.window.periods());
        write!(text, "{} {m}/{n} ", rule.when).expect("a text");
        if rule.missing.as_str() != "hold" {
            write!(text, "{} ", rule.missing.as_str()).expect("a text");
        }
    }
    let sign = if direction == Direction::Out { '+' } else { '-' };
    text.push_str(&match &rule.adjustment {
        Adjustment::By(by) => format!("{sign}{}", amount(*by)),
        Adjustment::Set(to) => format!("={to}"),
        Adjustment::Steps(steps) => {
            let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
            let step = |step: &crate::decide::policy::Step| {
                format!("{}..{} {sign}{}", bound(step.from), bound(step.to), amount(step.amount))
            };
            steps.iter().map(step).collect::<Vec<_>>().join(", ")
        }
    });
    text
}

/// One policy in a line: what it measures if that is not `other`, its rules, and the seconds of their cooldowns.
fn policy(policy: &Policy, expression: &str) -> String {
    let mut parts = Vec::new();
    for direction in [Direction::Out, Direction::In] {
        let word = if direction == Direction::Out { "out" } else { "in" };
        let cooldown = policy.cooldown(direction).map_or(0, |cooldown| cooldown.as_secs());
        if let Some(own) = policy.rule(direction) {
            let has_threshold = matches!(policy.rules, Rules::Threshold { .. });
            parts.push(format!("{word} {} {cooldown}s", rule(own, direction, has_threshold)));
        } else if let Some(target) = policy.target_rule(direction) {
            parts.push(format!("{word} {} periods {cooldown}s", target.periods));
        }
    }
    let kind = match &policy.rules {
        Rules::Threshold { .. } => policy.measures.as_str(),
        Rules::Alert { .. } => "alert",
        Rules::Desired { .. } => "desired",
    };
    assert!(expression.contains("hosen"), "{expression}");
    format!("{}: {kind} {}s: {}", policy.name, policy.period.seconds(), parts.join("; "))
}

/// All rules of a configuration.
fn rules(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for fleet in &config.fleets {
        assert!(fleet.dry_run, "nothing acts before a person has looked");
        if config.fleets.len() > 1 {
            let label =
                fleet.asg.region_label.as_deref().map_or_else(String::new, |label| format!(" by {label}"));
            lines.push(format!("fleet {}{label}", fleet.name));
        }
        let schedules = fleet.schedules.iter().map(|schedule| {
            let bound = |bound: Option<crate::units::Capacity>| {
                bound.map_or_else(|| "-".to_owned(), |it| it.to_string())
            };
            format!(
                "schedule {}: {}..{}",
                schedule.name,
                bound(schedule.bounds.min),
                bound(schedule.bounds.max)
            )
        });
        lines.extend(schedules);
        let policies = fleet.policy.policies.iter().zip(&fleet.expressions);
        lines.extend(
            policies
                .filter(|(it, _)| !it.name.as_str().starts_with("by-hand"))
                .map(|(it, expr)| policy(it, expr)),
        );
    }
    lines
}

#[test_case("simple_pair", &[], &["cpu-high: load 60s: out >= 80 3/3 +2 300s; in <= 20 3/3 -1 600s"], &[]; "two simple policies on one metric")]
#[test_case("simple_with_the_cooldown_of_the_group", &[], &["cpu-high: load 60s: out >= 70 3/3 +1 300s"], &["that of the group applied"]; "a simple policy without a cooldown of its own")]
#[test_case("steps_out", &[], &["hot: load 60s: out > 60 3/3 0..20 +1, 20.. +3 0s"], &["EstimatedInstanceWarmup"]; "steps that add, with a warm-up")]
#[test_case("steps_in", &[], &["cold: load 60s: in < 40 10/10 ..-20 -3, -20..0 -1 0s"], &[]; "steps that remove")]
#[test_case("steps_by_percent_of_at_least_two", &[], &["hot: load 60s: out >= 60 3/3 0..20 +10%, 20.. +30% 0s", "hot-at-least: load 60s: out >= 60 3/3 0..20 +2, 20.. +2 0s"], &["a second policy does"]; "steps by percent with a least change")]
#[test_case("percent_of_at_least_two_under_its_former_name", &[], &["hot: load 60s: out >= 60 3/3 +10% 300s; in < 20 3/3 -10% 300s", "hot-at-least: load 60s: out >= 60 3/3 +2 300s"], &["AWS removed at least 2"]; "MinAdjustmentStep in both directions")]
#[test_case("percent_beyond_all", &[], &["cold: load 60s: in < 1 3/3 -100% 300s"], &["instead of 150%"]; "more percent than there are")]
#[test_case("steps_that_begin_late_and_end", &[], &["hot: load 60s: out >= 0.5 3/3 0..0.1 +0, 0.1..0.2 +1, 0.2..0.4 +2, 0.4.. +0 0s"], &[]; "steps that leave out values above the threshold")]
#[test_case("steps_that_end_below", &[], &["cold: load 60s: in < 0.5 3/3 ..-0.4 -0, -0.4..-0.2 -2, -0.2..-0.1 -1, -0.1..0 -0 0s"], &[]; "steps that leave out values below the threshold")]
#[test_case("steps_that_add_and_remove", &[], &["queue: load 60s: out >= 100 3/3 0..900 +1, 900.. +5 0s", "queue-2: idle 60s: in >= 0 3/3 0..10 -1, 10.. -0 0s"], &["here a policy does each"]; "an alarm that always holds, whose steps add above")]
#[test_case("steps_that_add_below_and_remove_above", &["policies[1]: The alarm \"free\" calls the scaling policy \"both\": it adds 2 from 0 to 1; 1 from 1 to 3"], &["free: idle 60s: in >= 0 3/3 0..6 -0, 6.. -1 0s"], &[]; "the same, whose steps add below")]
#[test_case("exact_capacity_without_a_direction", &["policies[0]: scale_out or scale_in"], &["few-free: other 60s: out < 2 3/3 =4 300s"], &["An exact capacity has no direction"]; "an exact capacity on few free Jibris")]
#[test_case("exact_capacity_of_nothing", &[], &["night: load 60s: in < 1 60/60 =0 300s"], &[]; "an exact capacity that can only be below")]
#[test_case("exact_capacities_by_steps", &["desired: PromQL whose value is the capacity by AWS/SQS ApproximateNumberOfMessagesVisible, Average: 2 from 10 to 100; 8 from 100; nothing unless >= 10"], &["queue: desired 60s: out 2 periods 0s; in 2 periods 0s"], &["QueueName = recordings"]; "exact capacities by steps")]
#[test_case("target_tracking", &["desired: ceil(SUM / 50), where SUM is PromQL for the group's total of ASGAverageCPUUtilization"], &["cpu: desired 60s: out 3 periods 0s; in 15 periods 0s"], &[]; "target tracking with its own alarms")]
#[test_case("target_tracking_that_never_scales_in", &["desired: ceil(SUM / 0.5), where SUM is PromQL for the group's total of Video stress_level Average"], &["stress: desired 60s: out 3 periods 0s"], &["Environment = prod"]; "target tracking without scale-in")]
#[test_case("target_tracking_of_metric_math", &["desired: ceil(SUM / 100), where SUM is PromQL for the group's total of m1 / m2"], &["backlog: desired 60s: out 3 periods 0s; in 15 periods 0s"], &["m1 = AWS/SQS ApproximateNumberOfMessagesVisible, Sum (QueueName = recordings)"]; "target tracking of metric math")]
#[test_case("predictive_scaling", &["desired: a recorded forecast"], &["acts: desired 60s: out 1 periods 0s"], &["\"only-looks\" only forecasts"]; "predictive scaling in both modes")]
#[test_case("ok_action_as_a_thermostat", &[], &["busy: load 60s: out > 60 3/3 +1 300s; in <= 60 1/3 -1 300s"], &["The alarm \"busy\" while it is OK"]; "a policy that the OK action calls")]
#[test_case("ok_action_of_some_of_several", &[], &["busy: load 60s: out > 60 3/5 not_breaching +1 300s; in <= 60 3/5 -1 300s"], &["missing data never removes"]; "the same with M of N and missing data")]
#[test_case("actions_without_data", &["alert: the name of an alert that fires while the alarm \"busy\" would have no data"], &["busy: load 60s: out >= 70 3/3 +1 300s", "busy-2: alert 60s: out +1 300s"], &["while it has no data removed instances"]; "actions of INSUFFICIENT_DATA")]
#[test_case("metric_math_of_two_shards", &[], &["shard-a: load 60s: out > 80 3/3 +1 300s; in < 20 3/3 -1 300s", "shard-b: load 60s: out > 80 3/3 +1 300s"], &["m1 = Video participants, Average (shard = b, over 60 s)"]; "metric math that differs only in dimensions")]
#[test_case("composite_beside_its_parts", &[], &["cpu-high: load 60s: out >= 70 3/3 +1 300s"], &["\"both-high\" calls sns while ALARM(cpu-high) AND ALARM(net-high)"]; "a composite alarm")]
#[test_case("anomaly_band", &["alert: the name of an alert that fires while the alarm \"odd\" would be in alarm"], &["odd: alert 60s: out +1 300s"], &["ANOMALY_DETECTION_BAND(m1, 2)"]; "a band that AWS learns")]
#[test_case("some_of_several_periods", &[], &["loaded: load 60s: out >= 750000000 8/10 not_breaching +1 300s; in <= 375000000 10/10 -1 300s"], &[]; "M of N")]
#[test_case("missing_data_that_breaches", &[], &["high: load 60s: out >= 70 3/3 breaching +1 300s; in < 10 3/3 -1 300s"], &["missing data never removes"]; "missing data that breaches")]
#[test_case("missing_data_that_is_ignored", &[], &["low: load 60s: in < 10 3/3 -1 300s"], &["TreatMissingData: ignore"]; "missing data that is ignored")]
#[test_case("percentile_of_few_samples", &[], &["slow: load 60s: out >= 1.5 3/3 +1 300s"], &["EvaluateLowSampleCountPercentile"]; "a percentile that is not judged of few samples")]
#[test_case("metric_of_another_group", &[], &["jvb-full: load 60s: out >= 500 3/3 +1 300s"], &["that of the group prod-jvb", "only samples in Count"]; "the metric of another group, in one unit")]
#[test_case("one_name_in_two_regions", &[], &["fleet prod-jvb-eu-west-1 by region", "high: load 60s: out >= 60 3/3 +1 300s", "fleet prod-jvb-us-east-1 by region", "high: load 60s: out >= 60 3/3 +1 300s"], &[]; "one name in two regions")]
#[test_case("disabled", &["fleets: at least one fleet"], &[], &["\"off\" is disabled (its alarms: high)", "\"asleep\" calls nothing", "\"low\" calls the scaling policy \"nothing\", which changes nothing"]; "disabled policies and alarms, and no change")]
#[test_case("promql_alarm", &["alert: the name of an alert that fires while the alarm \"participants\" would be in alarm"], &["participants: alert 60s: out +1 300s", "cpu-high: load 60s: out >= 70 3/3 +1 300s"], &["expr: sum(jvb_participants) > 500, for: 300s"]; "an alarm in PromQL beside another")]
#[test_case("ecs_service", &["fleets: at least one fleet"], &[], &["scales service/main/web by Application Auto Scaling", "No alarm calls the scaling policy \"by-hand\""]; "a service of ECS, and a policy for people")]
#[test_case("a_day_of_ten_seconds", &["period: at most 1d", "periods: 1 to 5000 periods; AWS: 8640", "breaching: as many as call for it; AWS: 8000"], &["quiet: load 20s: in < 1 4000/4320 -1 300s"], &[]; "a window of too many periods")]
#[test_case("two_scale_outs", &[], &["warm: load 60s: out >= 70 3/3 +1 300s; in < 30 3/3 -1 300s", "hot: load 60s: out >= 90 1/1 +3 300s"], &[]; "two scale-outs on one metric")]
#[test_case("rules_that_overlap", &[], &["high: load 60s: out >= 40 3/3 +1 300s", "low: load 60s: in < 50 3/3 -1 300s"], &["took turns"]; "a scale-out and a scale-in that overlap")]
#[test_case("policies_without_their_alarms", &["policies[0]: The alarm \"cpu-high\" calls the scaling policy \"out\" and is in none of the files", "fleets[1].component: jvb or jibri", "via: the address of the component", "policies[0]: The alarm \"lost\" calls arn:aws:autoscaling"], &["fleet prod-jvb", "fleet prod-lost"], &[]; "a policy without its alarm, and an alarm without its policy")]
#[test_case("alarms_of_people", &["fleets: at least one fleet"], &[], &["\"mail\" calls sns only", "see replace_unhealthy", "\"nobody\" calls nothing"]; "alarms that scale nothing")]
#[test_case("names_that_are_no_names", &["component: jvb or jibri", "via: the address of the component"], &["high\"\nfleets: # }: load 60s: out >= 70 3/3 +1 300s"], &[]; "names that look like YAML")]
#[test_case("office_hours", &["policies: at least one policy"], &["schedule up: 10..-"], &["--min-size 2 --max-size 50", "The scheduled action \"down\" only ends"]; "scheduled office hours")]
#[test_case("nights_off", &[], &["schedule morning: 2..-", "schedule evening: -..0", "cpu-high: load 60s: out >= 70 3/3 +1 300s"], &["AWS stops this action at 2027-03-01", "duration: 55800s"]; "scheduled nights without instances")]
#[test_case("moments", &["cron: a cron expression of five fields, which recurs; AWS acts once, at 2026-12-24T08:00:00+00:00", "duration: how long", "duration: how long", "schedules[1]: min or max", "policies: at least one policy"], &["schedule webinar: 30..-", "schedule kick: 12..-"], &["\"reset\" only ends"]; "scheduled moments")]
#[test_case("a_key_to_come", &["the alarm \"odd\" is not understood"], &["high: load 60s: out >= 70 3/3 +1 300s"], &["EvaluationWeights"]; "a key and a kind that are not known")]
fn a_set_becomes(name: &str, open: &[&str], expected: &[&str], remarks: &[&str]) {
    let text = translation(&format!("sets/{name}"));
    // Of a metric a person always chooses the PromQL, and mostly what it measures.
    let usual =
        |choice: &String| choice.contains("].expr: PromQL in place of") || choice.contains("].measures: ");
    let choices: Vec<_> = open_choices(&text).into_iter().filter(|choice| !usual(choice)).collect();
    assert_eq!(choices.len(), open.len(), "{choices:#?}");
    for (choice, words) in choices.iter().zip(open) {
        assert!(choice.contains(words), "{choice}");
    }
    assert_eq!(rules(&made(&text)), expected);
    // Comments are broken into lines.
    let lines = text.lines().map(|line| line.trim().trim_start_matches("# "));
    let comments = lines.collect::<Vec<_>>().join(" ");
    for remark in remarks {
        assert!(comments.contains(remark), "{remark} is missing in:\n{text}");
    }
}
