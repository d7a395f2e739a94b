//! Alarms and scaling policies → fleets of a configuration, with remarks for the person who completes it.

use std::collections::BTreeMap;

use super::raw::{Alarm, Answers, MetricQuery, ScalingPolicy, StepAdjustment, TargetTracking};
use crate::decide::policy::{Comparison, Direction, Operator};

/// All that was translated, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) fleets: Vec<ImportedFleet>,
    /// What belongs to no fleet, and why.
    pub(super) remarks: Vec<String>,
}

/// One Auto Scaling group.
#[derive(Debug)]
pub(super) struct ImportedFleet {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) region: Option<String>,
    pub(super) is_jibri: bool,
    pub(super) warmup: Option<u64>,
    pub(super) policies: Vec<ImportedPolicy>,
    /// What of this group is not translated, and why.
    pub(super) remarks: Vec<String>,
}

/// A pair of alarms on one value, or a single alarm.
#[derive(Debug)]
pub(super) struct ImportedPolicy {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) scale_out: Option<ImportedRule>,
    pub(super) scale_in: Option<ImportedRule>,
}

/// The value of an alarm; alarms with the same value can share a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Namespace, name and statistic of the metric, for people.
    pub(super) metric: String,
    /// Its dimensions, or the terms of metric math.
    pub(super) details: Vec<String>,
    pub(super) period: u32,
}

/// One direction.
#[derive(Debug)]
pub(super) struct ImportedRule {
    pub(super) alarm: String,
    pub(super) when: Comparison,
    pub(super) periods: u32,
    pub(super) breaching: Option<u32>,
    pub(super) missing: Option<&'static str>,
    /// The lines of YAML that say what to add, remove or set.
    pub(super) change: Vec<String>,
    pub(super) cooldown: Option<u64>,
    pub(super) remarks: Vec<String>,
}

pub(super) fn convert(answers: &Answers) -> Imported {
    let mut imported = Imported::default();
    let mut groups: BTreeMap<(&str, Option<&str>), Vec<&ScalingPolicy>> = BTreeMap::new();
    for policy in answers.policies() {
        groups.entry((&policy.auto_scaling_group_name, region(&policy.arn))).or_default().push(policy);
    }
    for (&(group, region), policies) in &groups {
        let is_alone = groups.keys().filter(|(other, _)| *other == group).count() == 1;
        let name = match region {
            Some(region) if !is_alone => format!("{group}-{region}"),
            _ => group.to_owned(),
        };
        imported.fleets.push(fleet(name, group, region, policies, answers.alarms()));
    }
    imported.remarks = answers.alarms().iter().filter_map(|alarm| without_policy(alarm, answers)).collect();
    imported
}

/// The region in an ARN.
fn region(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

fn fleet(
    name: String,
    group: &str,
    region: Option<&str>,
    policies: &[&ScalingPolicy],
    alarms: &[Alarm],
) -> ImportedFleet {
    let mut fleet = ImportedFleet {
        name,
        group: group.to_owned(),
        region: region.map(str::to_owned),
        is_jibri: group.to_lowercase().contains("jibri"),
        warmup: policies.iter().filter_map(|policy| policy.estimated_instance_warmup).max(),
        policies: Vec::new(),
        remarks: Vec::new(),
    };
    for policy in policies {
        let name = &policy.policy_name;
        if let Some(why) = never(policy) {
            fleet.remarks.push(format!("The scaling policy \"{name}\" is not translated: {why}"));
            continue;
        }
        let mut is_used = false;
        for alarm in alarms.iter().filter(|alarm| alarm.alarm_actions.contains(&policy.arn)) {
            is_used = true;
            let alarm_name = &alarm.alarm_name;
            match translate(alarm, policy) {
                Ok((direction, source, rule)) => add(&mut fleet.policies, direction, source, rule),
                Err(why) => fleet.remarks.push(format!(
                    "The alarm \"{alarm_name}\" with the scaling policy \"{name}\" is not translated: {why}"
                )),
            }
        }
        if !is_used {
            fleet.remarks.push(format!(
                "No alarm in the files uses the scaling policy \"{name}\"; an alarm of another region or account may use \
                 it, or a person."
            ));
        }
    }
    fleet
}

/// Why a scaling policy has no translation, independent of its alarms.
fn never(policy: &ScalingPolicy) -> Option<String> {
    if !policy.enabled {
        return Some("it is disabled.".to_owned());
    }
    match policy.policy_type.as_str() {
        "SimpleScaling" | "StepScaling" | "" => None,
        "TargetTrackingScaling" => Some(target_tracking(policy.target_tracking_configuration.as_ref())),
        "PredictiveScaling" => Some(
            "AWS learns its forecast by itself. Write a policy with `desired`, for example of \
             asg:jvb_wanted:forecast or asg:jibri_wanted:forecast of alerts/rules/recording.yml, beside one that \
             reads the present."
                .to_owned(),
        ),
        other => Some(format!("its type {other} is unknown.")),
    }
}

/// Target tracking is a controller, not a threshold; the text suggests what comes near.
fn target_tracking(tracking: Option<&TargetTracking>) -> String {
    let Some(tracking) = tracking else {
        return "it is target tracking, which has no equivalent here, and its target is not in the file."
            .to_owned();
    };
    let target = tracking.target_value;
    let metric = tracking.predefined_metric_specification.as_ref();
    let metric = metric.or(tracking.customized_metric_specification.as_ref());
    let metric = metric.map_or_else(
        || "metric math".to_owned(),
        |metric| {
            let words = [&metric.predefined_metric_type, &metric.namespace, &metric.metric_name];
            words.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
        },
    );
    let scale_in = if tracking.disable_scale_in {
        " It never scales in, so leave `scale_in` out."
    } else {
        " Its scale-in alarm needs 15 minutes below 90 % of the target."
    };
    format!(
        "it is target tracking ({metric} at {target}), which computes a capacity and has no equivalent among thresholds. \
         Nearest is a policy with `desired: ceil(SUM / {target})`, where SUM is PromQL for the group's total of that \
         metric, with scale_out: {{periods: 3}} and scale_in: {{periods: 15}}.{scale_in}"
    )
}

fn translate(alarm: &Alarm, policy: &ScalingPolicy) -> Result<(Direction, Source, ImportedRule), String> {
    if !alarm.actions_enabled {
        return Err("the actions of the alarm are disabled.".to_owned());
    }
    let operator = match alarm.comparison_operator.as_str() {
        "GreaterThanOrEqualToThreshold" => Operator::GreaterOrEqual,
        "GreaterThanThreshold" => Operator::Greater,
        "LessThanThreshold" => Operator::Less,
        "LessThanOrEqualToThreshold" => Operator::LessOrEqual,
        other => {
            return Err(format!(
                "{other} compares with a band that AWS learns; record the band in Prometheus and write a threshold on \
                 the distance from it."
            ));
        }
    };
    let when = alarm.threshold.and_then(|threshold| Comparison::try_new(operator, threshold));
    let when = when.ok_or("it has no fixed threshold.")?;
    let mut remarks = Vec::new();
    let (direction, change) = change(policy, when, &mut remarks)?;
    let mut remark = |text: &str| remarks.push(text.to_owned());
    let missing = match (alarm.treat_missing_data.as_deref(), direction) {
        (None | Some("missing"), _) => None,
        (Some("notBreaching"), _) => Some("not_breaching"),
        (Some("breaching"), Direction::Out) => Some("breaching"),
        (Some("breaching"), Direction::In) => {
            remark(
                "In CloudWatch, missing data counted as a breach (TreatMissingData: breaching). Here missing data never \
                 removes an instance, so the policy holds.",
            );
            None
        }
        (Some("ignore"), _) => {
            remark(
                "CloudWatch kept the state of the alarm while data was missing (TreatMissingData: ignore). This scaler \
                 keeps no state; `hold` is nearest: without data nothing changes.",
            );
            None
        }
        (Some(other), _) => return Err(format!("its TreatMissingData {other} is unknown.")),
    };
    for (list, state) in [(&alarm.ok_actions, "OK"), (&alarm.insufficient_data_actions, "INSUFFICIENT_DATA")]
    {
        if list.iter().any(|action| action.contains(":scalingPolicy:")) {
            remark(&format!(
                "CloudWatch also used a scaling policy when the alarm went to {state}, which has no equivalent here."
            ));
        }
    }
    if alarm.metrics.iter().any(|query| query.expression.is_some()) {
        remark("It is metric math; write it as one PromQL expression, or record it.");
    }
    let cooldown = match policy.policy_type.as_str() {
        // Step scaling has a warm-up and no cooldown; this scaler has both.
        "StepScaling" => Some(0),
        _ => policy.cooldown,
    };
    let rule = ImportedRule {
        alarm: alarm.alarm_name.clone(),
        when,
        periods: alarm.evaluation_periods,
        breaching: alarm.datapoints_to_alarm.filter(|breaching| *breaching != alarm.evaluation_periods),
        missing,
        change,
        cooldown,
        remarks,
    };
    Ok((direction, source(alarm)?, rule))
}

/// The direction of a scaling policy, and the lines of YAML for what it changes.
fn change(
    policy: &ScalingPolicy,
    when: Comparison,
    remarks: &mut Vec<String>,
) -> Result<(Direction, Vec<String>), String> {
    let kind = policy.adjustment_type.as_deref().unwrap_or("ChangeInCapacity");
    if let Some(least) = policy.min_adjustment_magnitude.filter(|least| *least > 1) {
        remarks.push(format!("AWS changed at least {least} at a time (MinAdjustmentMagnitude); a percentage here changes at least 1."));
    }
    let suffix = match kind {
        "ChangeInCapacity" => "",
        "PercentChangeInCapacity" => "%",
        "ExactCapacity" => {
            let capacity = policy.scaling_adjustment.ok_or(
                "its steps set exact capacities, and steps here add or remove; write a policy with `set` for each.",
            )?;
            remarks.push(format!(
                "An exact capacity has no direction. Choose one: scale_out with `set` only raises to {capacity}, scale_in \
                 only lowers to it."
            ));
            let direction = if when.is_above() { Direction::Out } else { Direction::In };
            return Ok((direction, vec![format!("set: {capacity}")]));
        }
        other => return Err(format!("its adjustment type {other} is unknown.")),
    };
    let amounts: Vec<i64> = match policy.scaling_adjustment {
        Some(single) if policy.step_adjustments.is_empty() => vec![single],
        _ => policy.step_adjustments.iter().map(|step| step.scaling_adjustment).collect(),
    };
    let direction = match (amounts.iter().any(|by| *by > 0), amounts.iter().any(|by| *by < 0)) {
        (true, false) => Direction::Out,
        (false, true) => Direction::In,
        (true, true) => return Err("its steps add and remove; write a rule for each direction.".to_owned()),
        (false, false) => return Err("it changes nothing.".to_owned()),
    };
    let verb = if direction == Direction::Out { "add" } else { "remove" };
    let mut by = |amount: i64| {
        let amount = amount.unsigned_abs();
        if suffix == "%" && direction == Direction::In && amount > 100 {
            remarks.push(format!("At most 100% can be removed, so this is 100% instead of {amount}%."));
            return "remove: 100%".to_owned();
        }
        format!("{verb}: {amount}{suffix}")
    };
    if policy.step_adjustments.is_empty() {
        return Ok((direction, vec![by(amounts[0])]));
    }
    let mut steps: Vec<&StepAdjustment> = policy.step_adjustments.iter().collect();
    let bound = |step: &StepAdjustment| step.metric_interval_lower_bound.unwrap_or(f64::NEG_INFINITY);
    steps.sort_by(|a, b| bound(a).total_cmp(&bound(b)));
    let bound = |key, bound: Option<f64>| bound.map_or_else(String::new, |bound| format!("{key}: {bound}, "));
    let steps = steps.into_iter().map(|step| {
        let from = bound("from", step.metric_interval_lower_bound);
        let to = bound("to", step.metric_interval_upper_bound);
        format!("  - {{{from}{to}{}}}", by(step.scaling_adjustment))
    });
    Ok((direction, std::iter::once("steps:".to_owned()).chain(steps).collect()))
}

fn source(alarm: &Alarm) -> Result<Source, String> {
    let statistic = alarm.statistic.as_ref().or(alarm.extended_statistic.as_ref());
    if let (Some(name), Some(period)) = (&alarm.metric_name, alarm.period) {
        let namespace = alarm.namespace.as_deref().unwrap_or_default();
        let metric = format!("{namespace} {name}, {}", statistic.map_or("", String::as_str));
        let details = alarm.dimensions.iter().map(|it| format!("{} = {}", it.name, it.value)).collect();
        return Ok(Source { metric, details, period });
    }
    let returned = alarm.metrics.iter().find(|query| query.return_data != Some(false));
    let returned = returned.ok_or("it names neither a metric nor metric math.")?;
    let period = |query: &MetricQuery| query.metric_stat.as_ref().map(|stat| stat.period).or(query.period);
    let period =
        period(returned).or_else(|| alarm.metrics.iter().find_map(period)).ok_or("it has no period.")?;
    let words = |query: &MetricQuery| match (&query.expression, &query.metric_stat) {
        (Some(expression), _) => expression.clone(),
        (None, Some(stat)) => format!("{} {}, {}", stat.metric.namespace, stat.metric.metric_name, stat.stat),
        (None, None) => "nothing".to_owned(),
    };
    let details = alarm.metrics.iter().map(|query| format!("{} = {}", query.id, words(query))).collect();
    Ok(Source { metric: words(returned), details, period })
}

/// Two alarms on one value become one policy, unless one value would call for both directions.
fn add(policies: &mut Vec<ImportedPolicy>, direction: Direction, source: Source, mut rule: ImportedRule) {
    let partner = policies.iter_mut().find(|policy| {
        let (own, other) = match direction {
            Direction::Out => (&policy.scale_out, &policy.scale_in),
            Direction::In => (&policy.scale_in, &policy.scale_out),
        };
        let is_apart = |other: &ImportedRule| other.when.overlap(rule.when).is_none();
        policy.source == source && own.is_none() && other.as_ref().is_some_and(is_apart)
    });
    if let Some(policy) = partner {
        match direction {
            // The scale-out alarm gives the name.
            Direction::Out => {
                policy.name.clone_from(&rule.alarm);
                policy.scale_out = Some(rule);
            }
            Direction::In => policy.scale_in = Some(rule),
        }
        return;
    }
    let meets = |other: &ImportedRule| other.when.overlap(rule.when).is_some();
    let rules =
        |policy: &ImportedPolicy| [&policy.scale_out, &policy.scale_in].into_iter().flatten().any(meets);
    if policies.iter().any(|policy| policy.source == source && rules(policy)) {
        rule.remarks.push(
            "Another rule acts on some of the same values. Here scale-out wins; in CloudWatch the two took turns."
                .to_owned(),
        );
    }
    let name = unique(policies, &rule.alarm);
    let (scale_out, scale_in) = match direction {
        Direction::Out => (Some(rule), None),
        Direction::In => (None, Some(rule)),
    };
    policies.push(ImportedPolicy { name, source, scale_out, scale_in });
}

fn unique(policies: &[ImportedPolicy], name: &str) -> String {
    let taken = |name: &str| policies.iter().any(|policy| policy.name == name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

/// The remark on an alarm that uses no scaling policy of the files.
fn without_policy(alarm: &Alarm, answers: &Answers) -> Option<String> {
    let known = |action: &String| answers.policies().iter().any(|policy| policy.arn == *action);
    if alarm.alarm_actions.iter().any(known) {
        return None;
    }
    let name = &alarm.alarm_name;
    Some(match alarm.alarm_actions.iter().find(|action| action.contains(":scalingPolicy:")) {
        Some(arn) => format!(
            "The alarm \"{name}\" uses {arn}, which is in none of the files: add the answer of `aws autoscaling \
             describe-policies` of its region."
        ),
        None => format!(
            "The alarm \"{name}\" uses no scaling policy. If it notifies people, replace it by an alert of Prometheus: see alerts/."
        ),
    })
}
