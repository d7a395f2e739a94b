//! Target tracking and predictive scaling, which compute a capacity, → policies that ask for one.

use super::model::{Cooldown, ImportedFleet, ImportedPolicy, ImportedRule, Subject, Words, free_name};
use super::raw::{ScalingPolicy, TrackedMetric};
use super::trigger::terms;
use crate::decide::policy::Direction;

/// Target tracking computes a capacity; the policy that comes near asks for one.
pub(super) fn target_tracking(fleet: &ImportedFleet, policy: &ScalingPolicy) -> ImportedPolicy {
    let tracking = policy.target_tracking_configuration.as_ref();
    let metric = tracking.and_then(|tracking| {
        tracking
            .predefined_metric_specification
            .as_ref()
            .or(tracking.customized_metric_specification.as_ref())
    });
    let (metric, details) = metric.map_or_else(|| ("an unknown metric".to_owned(), Vec::new()), tracked);
    let target = tracking.map_or_else(|| "TARGET".to_owned(), |tracking| tracking.target_value.to_string());
    let words = Words {
        choice: format!("ceil(SUM / {target}), where SUM is PromQL for the group's total of {metric}"),
        details,
    };
    let never_in = tracking.is_some_and(|tracking| tracking.disable_scale_in);
    let directions: &[Direction] =
        if never_in { &[Direction::Out] } else { &[Direction::Out, Direction::In] };
    // AWS' own alarms: three minutes above the target, fifteen below nine tenths of it.
    let rule = |direction: &Direction| ImportedRule {
        direction: Some(*direction),
        caller: format!("The target tracking \"{}\" of {metric} at {target}", policy.policy_name),
        when: None,
        window: Some(if *direction == Direction::Out { (3, 3) } else { (15, 15) }),
        missing: None,
        change: None,
        cooldown: Cooldown::None,
        remarks: Vec::new(),
    };
    ImportedPolicy {
        name: free_name(&policy.policy_name, |name| fleet.has_policy(name)),
        subject: Subject::Desired(words),
        rules: directions.iter().map(rule).collect(),
    }
}

/// A tracked metric in words, and its dimensions or terms.
fn tracked(metric: &TrackedMetric) -> (String, Vec<String>) {
    let words = [&metric.predefined_metric_type, &metric.namespace, &metric.metric_name, &metric.statistic];
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    let returned = metric.metrics.iter().find(|query| query.return_data != Some(false));
    let math = returned.and_then(|query| query.expression.clone());
    let name = match (words.is_empty(), math) {
        (false, _) => words.join(" "),
        (true, Some(expression)) => expression,
        (true, None) => "metric math".to_owned(),
    };
    let dimensions = metric.dimensions.iter().map(|it| format!("{} = {}", it.name, it.value));
    let label = metric.resource_label.iter().map(|label| format!("of {label}"));
    (name, dimensions.chain(label).chain(terms(&metric.metrics)).collect())
}

/// Predictive scaling only ever raises.
pub(super) fn predictive(fleet: &mut ImportedFleet, policy: &ScalingPolicy) {
    let name = &policy.policy_name;
    let mode = policy.predictive_scaling_configuration.as_ref().and_then(|it| it.mode.as_deref());
    if mode != Some("ForecastAndScale") {
        fleet
            .remarks
            .push(format!("The predictive scaling \"{name}\" only forecasts (its mode): it does nothing."));
        return;
    }
    let words = Words {
        choice: "a recorded forecast of the capacity, such as asg:jvb_wanted:forecast of alerts/rules"
            .to_owned(),
        details: Vec::new(),
    };
    let rule = ImportedRule {
        direction: Some(Direction::Out),
        caller: format!(
            "The predictive scaling \"{name}\", whose forecast AWS learns by itself and which only raises"
        ),
        when: None,
        window: Some((1, 1)),
        missing: None,
        change: None,
        cooldown: Cooldown::None,
        remarks: Vec::new(),
    };
    let name = free_name(name, |name| fleet.has_policy(name));
    fleet.policies.push(ImportedPolicy { name, subject: Subject::Desired(words), rules: vec![rule] });
}
