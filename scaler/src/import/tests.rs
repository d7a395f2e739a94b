use std::path::Path;

use serde_json::{Value, json};
use test_case::test_case;

use super::{ImportError, configuration, read};
use crate::config;
use crate::decide::policy::{Adjustment, Amount, Missing, Rule, Rules};

const OUT: &str =
    "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/prod-jvb:policyName/out";
const IN: &str =
    "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:2:autoScalingGroupName/prod-jvb:policyName/in";

fn merged(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn alarm(name: &str, operator: &str, threshold: f64, action: &str, more: Value) -> Value {
    let alarm = json!({
        "AlarmName": name,
        "AlarmArn": format!("arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"),
        "ActionsEnabled": true,
        "OKActions": [],
        "AlarmActions": [action],
        "InsufficientDataActions": [],
        "StateValue": "OK",
        "MetricName": "NetworkOut",
        "Namespace": "AWS/EC2",
        "Statistic": "Average",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "prod-jvb"}],
        "Period": 60,
        "EvaluationPeriods": 10,
        "Threshold": threshold,
        "ComparisonOperator": operator,
    });
    merged(alarm, more)
}

fn policy(name: &str, arn: &str, by: i64, more: Value) -> Value {
    let policy = json!({
        "AutoScalingGroupName": "prod-jvb",
        "PolicyName": name,
        "PolicyARN": arn,
        "PolicyType": "SimpleScaling",
        "AdjustmentType": "ChangeInCapacity",
        "ScalingAdjustment": by,
        "Cooldown": 300,
        "Enabled": true,
        "Alarms": [],
    });
    merged(policy, more)
}

fn text(alarms: &[Value], policies: &[Value]) -> String {
    let json = json!({"MetricAlarms": alarms, "ScalingPolicies": policies});
    configuration(&read(Path::new("both.json"), &json.to_string()).expect("read"))
}

/// The configuration once a person has chosen the PromQL.
fn filled(text: &str) -> config::Config {
    let line = |line: &str| match line.split_once("expr: ") {
        Some((indent, placeholder)) if placeholder.contains("<PromQL") => {
            format!("{indent}expr: chosen:by:hand")
        }
        _ => line.to_owned(),
    };
    let text: String = text.lines().map(|it| line(it) + "\n").collect();
    config::parse(&text, std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

/// The two directions of the one policy of the one fleet.
fn rules(text: &str) -> (Option<Rule>, Option<Rule>) {
    let config = filled(text);
    let [fleet] = config.fleets.as_slice() else { panic!("one fleet: {text}") };
    let [policy] = fleet.policy.policies.as_slice() else { panic!("one policy: {text}") };
    match policy.rules.clone() {
        Rules::Threshold { scale_out, scale_in } => (scale_out, scale_in),
        other => panic!("{other:?}"),
    }
}

fn pair() -> String {
    text(
        &[
            // Less comes before more, as AWS sorts by name.
            alarm("jvb-idle", "LessThanOrEqualToThreshold", 375e6, IN, json!({})),
            alarm(
                "jvb-loaded",
                "GreaterThanOrEqualToThreshold",
                750e6,
                OUT,
                json!({"DatapointsToAlarm": 8, "TreatMissingData": "notBreaching"}),
            ),
        ],
        &[policy("in", IN, -1, json!({"Cooldown": 600})), policy("out", OUT, 2, json!({}))],
    )
}

#[test]
fn two_alarms_on_one_value_become_one_policy() {
    let config = filled(&pair());
    let fleet = &config.fleets[0];
    assert_eq!((config.fleets.len(), fleet.policy.policies.len()), (1, 1));
    assert_eq!(fleet.name.as_str(), "prod-jvb");
    assert!(fleet.dry_run, "nothing acts before a person has looked");
    assert_eq!(fleet.policy.policies[0].name.as_str(), "jvb-loaded");
    let (out, in_) = rules(&pair());
    let (out, in_) = (out.expect("out"), in_.expect("in"));
    assert_eq!(
        (out.when.to_string(), in_.when.to_string()),
        (">= 750000000".to_owned(), "<= 375000000".to_owned())
    );
    assert_eq!((out.window.periods(), out.window.breaching(), in_.window.breaching()), (10, 8, 10));
    assert_eq!((out.missing, in_.missing), (Missing::NotBreaching, Missing::Hold));
    assert_eq!((out.cooldown.as_secs(), in_.cooldown.as_secs()), (300, 600));
    assert!(matches!(out.adjustment, Adjustment::By(Amount::Count(by)) if by.get() == 2));
}

#[test]
fn what_is_written_is_refused_until_the_promql_is_chosen() {
    let problems = config::parse(&pair(), std::path::Path::new("")).expect_err("a placeholder is no PromQL");
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("is not valid PromQL"), "{texts:?}");
}

#[test]
fn what_a_person_reads() {
    insta::assert_snapshot!(pair());
}

#[test]
fn steps_keep_their_bounds_and_have_no_cooldown() {
    let steps = json!({
        "PolicyType": "StepScaling", "AdjustmentType": "PercentChangeInCapacity", "ScalingAdjustment": null,
        "Cooldown": null, "EstimatedInstanceWarmup": 240, "MinAdjustmentMagnitude": 2,
        "StepAdjustments": [
            {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 30},
            {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 10},
        ],
    });
    let text = text(
        &[alarm(
            "hot",
            "GreaterThanThreshold",
            60.0,
            OUT,
            json!({"Period": 10, "TreatMissingData": "breaching"}),
        )],
        &[policy("out", OUT, 0, steps)],
    );
    assert!(text.contains("MinAdjustmentMagnitude"), "{text}");
    assert_eq!(filled(&text).fleets[0].policy.warmup.as_secs(), 240);
    assert_eq!(filled(&text).fleets[0].policy.policies[0].period.duration().as_secs(), 10);
    let rule = rules(&text).0.expect("out");
    assert_eq!((rule.missing, rule.cooldown.as_secs()), (Missing::Breaching, 0));
    let Adjustment::Steps(steps) = rule.adjustment else { panic!("steps") };
    let bounds: Vec<_> = steps.iter().map(|step| (step.from, step.to, step.amount.to_string())).collect();
    assert_eq!(bounds, [(Some(0.0), Some(20.0), "10%".to_owned()), (Some(20.0), None, "30%".to_owned())]);
}

#[test]
fn steps_below_the_threshold_remove() {
    let steps = json!({
        "PolicyType": "StepScaling", "ScalingAdjustment": null,
        "StepAdjustments": [
            {"MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -3},
            {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1},
        ],
    });
    let text =
        text(&[alarm("cold", "LessThanThreshold", 40.0, IN, json!({}))], &[policy("in", IN, 0, steps)]);
    let rule = rules(&text).1.expect("in");
    let Adjustment::Steps(steps) = rule.adjustment else { panic!("steps") };
    let bounds: Vec<_> = steps.iter().map(|step| (step.from, step.to, step.amount.to_string())).collect();
    assert_eq!(bounds, [(None, Some(-10.0), "3".to_owned()), (Some(-10.0), Some(0.0), "1".to_owned())]);
}

#[test_case("breaching", "TreatMissingData: breaching"; "a breach")]
#[test_case("ignore", "TreatMissingData: ignore"; "the state as it was")]
fn a_scale_in_on_missing_data_holds_and_says_so(treat: &str, expected: &str) {
    let alarms = [alarm("low", "LessThanThreshold", 1.0, IN, json!({"TreatMissingData": treat}))];
    let text = text(&alarms, &[policy("in", IN, -1, json!({}))]);
    assert_eq!(rules(&text).1.expect("in").missing, Missing::Hold);
    assert!(text.contains(expected), "{text}");
}

#[test]
fn an_exact_capacity_is_set() {
    let exact = json!({"AdjustmentType": "ExactCapacity"});
    let text = text(
        &[alarm("full", "GreaterThanThreshold", 90.0, OUT, json!({}))],
        &[policy("out", OUT, 12, exact)],
    );
    let rule = rules(&text).0.expect("out");
    assert!(matches!(rule.adjustment, Adjustment::Set(capacity) if capacity.get() == 12));
    assert!(text.contains("has no direction"), "{text}");
}

#[test]
fn alarms_that_one_value_satisfies_stand_apart() {
    let text = text(
        &[
            alarm("high", "GreaterThanThreshold", 50.0, OUT, json!({})),
            alarm("low", "LessThanThreshold", 60.0, IN, json!({})),
        ],
        &[policy("in", IN, -1, json!({})), policy("out", OUT, 1, json!({}))],
    );
    assert_eq!(filled(&text).fleets[0].policy.policies.len(), 2);
    assert!(text.contains("acts on some of the same values"), "{text}");
}

#[test]
fn alarms_with_different_periods_stand_apart() {
    let text = text(
        &[
            alarm("high", "GreaterThanThreshold", 60.0, OUT, json!({})),
            alarm("low", "LessThanThreshold", 40.0, IN, json!({"Period": 300})),
        ],
        &[policy("in", IN, -1, json!({})), policy("out", OUT, 1, json!({}))],
    );
    assert_eq!(filled(&text).fleets[0].policy.policies.len(), 2);
}

#[test]
fn metric_math_is_quoted() {
    let math = json!({
        "MetricName": null, "Namespace": null, "Period": null, "Statistic": null,
        "Metrics": [
            {"Id": "e1", "Expression": "m1 / m2", "ReturnData": true},
            {"Id": "m1", "ReturnData": false, "MetricStat": {"Period": 120, "Stat": "Sum",
                "Metric": {"Namespace": "Video", "MetricName": "Stress", "Dimensions": []}}},
        ],
    });
    let text =
        text(&[alarm("math", "GreaterThanThreshold", 2.0, OUT, math)], &[policy("out", OUT, 1, json!({}))]);
    assert_eq!(filled(&text).fleets[0].policy.policies[0].period.duration().as_secs(), 120);
    assert!(text.contains("m1 = Video Stress, Sum") && text.contains("m1 / m2"), "{text}");
}

#[test_case(json!({"PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": {"TargetValue": 60.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}}), json!({}), "ceil(SUM / 60)"; "target tracking")]
#[test_case(json!({"PolicyType": "PredictiveScaling"}), json!({}), "asg:jvb_wanted:forecast"; "predictive scaling")]
#[test_case(json!({"Enabled": false}), json!({}), "is disabled"; "a policy that is disabled")]
#[test_case(json!({}), json!({"ActionsEnabled": false}), "actions of the alarm are disabled"; "an alarm that is disabled")]
#[test_case(json!({}), json!({"ComparisonOperator": "GreaterThanUpperThreshold", "ThresholdMetricId": "ad1"}), "a band that AWS learns"; "anomaly detection")]
#[test_case(json!({"ScalingAdjustment": 0}), json!({}), "changes nothing"; "an adjustment of nothing")]
#[test_case(json!({"PolicyType": "StepScaling", "ScalingAdjustment": null, "StepAdjustments": [
    {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}, {"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1}]}),
    json!({}), "add and remove"; "steps in both directions")]
fn a_policy_without_equivalent_is_a_remark(changed: Value, alarmed: Value, expected: &str) {
    let text =
        text(&[alarm("a", "GreaterThanThreshold", 1.0, OUT, alarmed)], &[policy("out", OUT, 1, changed)]);
    let joined = text.replace("\n# ", " ");
    assert!(joined.contains(expected), "{text}");
    assert!(text.contains("fleets: []"), "{text}");
}

#[test]
fn a_policy_that_is_not_translated_is_a_remark_on_its_fleet() {
    let tracking =
        "arn:aws:autoscaling:us-east-1:1:scalingPolicy:3:autoScalingGroupName/prod-jvb:policyName/track";
    let text = text(
        &[
            alarm("high", "GreaterThanThreshold", 60.0, OUT, json!({})),
            alarm("mail", "GreaterThanThreshold", 60.0, "arn:aws:sns:us-east-1:1:mail", json!({})),
            alarm("lost", "GreaterThanThreshold", 60.0, IN, json!({})),
        ],
        &[
            policy("out", OUT, 1, json!({})),
            policy("track", tracking, 0, json!({"PolicyType": "TargetTrackingScaling"})),
        ],
    );
    assert_eq!(filled(&text).fleets[0].policy.policies.len(), 1);
    for expected in ["\"track\" is not translated", "\"mail\" uses no scaling policy", "in none of the files"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn groups_of_one_name_in_two_regions_are_two_fleets() {
    let elsewhere = OUT.replace("us-east-1", "eu-west-1");
    let text = text(
        &[
            alarm("high", "GreaterThanThreshold", 60.0, OUT, json!({})),
            alarm("high", "GreaterThanThreshold", 60.0, &elsewhere, json!({})),
        ],
        &[policy("out", OUT, 1, json!({})), policy("out", &elsewhere, 1, json!({}))],
    );
    let config = filled(&text);
    let names: Vec<&str> = config.fleets.iter().map(|fleet| fleet.name.as_str()).collect();
    assert_eq!(names, ["prod-jvb-eu-west-1", "prod-jvb-us-east-1"]);
}

#[test]
fn a_name_cannot_leave_its_place() {
    let name = "high\"\nfleets: # }";
    let text = text(
        &[alarm(name, "GreaterThanThreshold", 60.0, OUT, json!({}))],
        &[policy("out", OUT, 1, json!({}))],
    );
    assert_eq!(filled(&text).fleets[0].policy.policies[0].name.as_str(), name);
}

#[test_case("{}", "find MetricAlarms or ScalingPolicies"; "JSON of something else")]
#[test_case("fleets:", "understand"; "no JSON")]
fn the_error_of_another_file_says_what_to_save(text: &str, expected: &str) {
    let error: ImportError = read(Path::new("x.json"), text).expect_err("not for us");
    assert!(error.to_string().contains(expected) && error.to_string().contains("describe-"), "{error}");
}
