//! When an alarm calls a scaling policy: its threshold and window, or in words what an alert must say.

use super::model::{Source, Words};
use super::raw::{Alarm, Dimension, MetricQuery};
use crate::decide::policy::{Comparison, Operator};

/// The state of an alarm whose actions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Alarm,
    Ok,
    InsufficientData,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Alarm, Self::Ok, Self::InsufficientData];

    /// The actions of `alarm` in this state.
    pub(super) fn actions(self, alarm: &Alarm) -> &[String] {
        match self {
            Self::Alarm => &alarm.alarm_actions,
            Self::Ok => &alarm.ok_actions,
            Self::InsufficientData => &alarm.insufficient_data_actions,
        }
    }

    /// The alarm in this state, in words.
    pub(super) fn of(self, alarm: &str) -> String {
        match self {
            Self::Alarm => format!("The alarm \"{alarm}\""),
            Self::Ok => format!("The alarm \"{alarm}\" while it is OK"),
            Self::InsufficientData => format!("The alarm \"{alarm}\" while it has no data"),
        }
    }
}

/// What a missing datapoint counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    Unknown,
    Breach,
    NoBreach,
    /// The alarm stays in its state.
    Ignored,
}

/// When a policy is called.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    Threshold {
        source: Source,
        when: Comparison,
        periods: u32,
        breaching: u32,
        gap: Gap,
        remarks: Vec<String>,
    },
    /// A condition that is no comparison of a metric with a number.
    Alert { words: Words, remarks: Vec<String> },
}

/// When `alarm` is in `state`; the error says why that cannot be told.
pub(super) fn trigger(alarm: &Alarm, state: State) -> Result<Trigger, String> {
    let mut remarks = Vec::new();
    let unknown = alarm.unknown();
    if !unknown.is_empty() {
        let keys = unknown.join(", ");
        remarks.push(format!(
            "The alarm has keys that this program does not know ({keys}): find out what they change."
        ));
    }
    if alarm.extended_statistic.is_some()
        && alarm.evaluate_low_sample_count_percentile.as_deref() == Some("ignore")
    {
        remarks.push(
            "CloudWatch did not judge the percentile of too few samples (EvaluateLowSampleCountPercentile: ignore). \
             Here it is judged: let the PromQL give nothing then, for example by `and on (asg) COUNT > 10`."
                .to_owned(),
        );
    }
    let words = condition(alarm);
    if state == State::InsufficientData {
        let choice = format!(
            "the name of an alert that fires while the alarm \"{}\" would have no data",
            alarm.alarm_name
        );
        return Ok(Trigger::Alert { words: Words { choice, ..words }, remarks });
    }
    let negate = |operator| match operator {
        Operator::Less => Operator::GreaterOrEqual,
        Operator::LessOrEqual => Operator::Greater,
        Operator::Greater => Operator::LessOrEqual,
        Operator::GreaterOrEqual => Operator::Less,
    };
    let operator = match alarm.comparison_operator.as_deref() {
        Some("GreaterThanOrEqualToThreshold") => Operator::GreaterOrEqual,
        Some("GreaterThanThreshold") => Operator::Greater,
        Some("LessThanThreshold") => Operator::Less,
        Some("LessThanOrEqualToThreshold") => Operator::LessOrEqual,
        _ => return Ok(Trigger::Alert { words: alert(alarm, state, words), remarks }),
    };
    let operator = if state == State::Ok { negate(operator) } else { operator };
    let when = alarm.threshold.and_then(|threshold| Comparison::try_new(operator, threshold));
    let (Some(when), Some(periods), Some(source)) = (when, alarm.evaluation_periods, source(alarm)) else {
        return Ok(Trigger::Alert { words: alert(alarm, state, words), remarks });
    };
    let breaching = alarm.datapoints_to_alarm.unwrap_or(periods).clamp(1, periods.max(1));
    // An alarm is OK while fewer than M of N breach.
    let breaching = if state == State::Ok { periods.saturating_sub(breaching) + 1 } else { breaching };
    let gap = match (alarm.treat_missing_data.as_deref(), state) {
        (None | Some("missing"), _) => Gap::Unknown,
        (Some("notBreaching"), State::Ok) | (Some("breaching"), State::Alarm) => Gap::Breach,
        (Some("notBreaching" | "breaching"), _) => Gap::NoBreach,
        (Some("ignore"), _) => Gap::Ignored,
        (Some(other), _) => return Err(format!("its TreatMissingData {other} is unknown")),
    };
    if alarm.metrics.iter().any(|query| query.expression.is_some()) {
        remarks.push("It is metric math; write it as one PromQL expression, or record it.".to_owned());
    }
    Ok(Trigger::Threshold { source, when, periods, breaching, gap, remarks })
}

fn alert(alarm: &Alarm, state: State, words: Words) -> Words {
    let while_ = if state == State::Ok { "would be OK" } else { "would be in alarm" };
    let choice = format!("the name of an alert that fires while the alarm \"{}\" {while_}", alarm.alarm_name);
    Words { choice, ..words }
}

/// What `alarm` looks at, as details for a person; the choice is left empty.
fn condition(alarm: &Alarm) -> Words {
    let mut details = Vec::new();
    if let Some((query, pending)) = alarm.promql() {
        details.push(format!("It is PromQL already: expr: {query}, for: {pending}s"));
    }
    if let Some(source) = source(alarm) {
        details.push(format!("CloudWatch: {} over {} s", source.metric, source.period));
        details.extend(source.details);
    }
    let threshold =
        alarm.threshold.map_or_else(|| "a band that AWS learns".to_owned(), |number| number.to_string());
    if let (Some(operator), Some(periods)) = (&alarm.comparison_operator, alarm.evaluation_periods) {
        let breaching = alarm.datapoints_to_alarm.unwrap_or(periods);
        details.push(format!("{operator} {threshold}, in {breaching} of {periods} periods"));
    }
    Words { choice: String::new(), details }
}

fn dimensions(dimensions: &[Dimension]) -> impl Iterator<Item = String> {
    dimensions.iter().map(|it| format!("{} = {}", it.name, it.value))
}

/// The metric of an alarm, or its metric math.
fn source(alarm: &Alarm) -> Option<Source> {
    let statistic = alarm.statistic.as_ref().or(alarm.extended_statistic.as_ref());
    if let (Some(name), Some(period)) = (&alarm.metric_name, alarm.period) {
        let namespace = alarm.namespace.as_deref().unwrap_or_default();
        let metric = format!("{namespace} {name}, {}", statistic.map_or("", String::as_str));
        let unit = alarm.unit.iter().map(|unit| format!("only samples in {unit}"));
        let details = dimensions(&alarm.dimensions).chain(unit).collect();
        // An instance has a series of its own, and with another statistic it is no average.
        let of_group = matches!(alarm.dimensions.as_slice(), [one] if one.name == "AutoScalingGroupName");
        let is_load = namespace == "AWS/EC2" && of_group && statistic.is_some_and(|it| it == "Average");
        return Some(Source { metric, details, period, is_load });
    }
    let returned = alarm.metrics.iter().find(|query| query.return_data != Some(false))?;
    let period =
        |query: &MetricQuery| query.metric_stat.as_ref().and_then(|stat| stat.period).or(query.period);
    let period = period(returned).or_else(|| alarm.metrics.iter().find_map(period))?;
    Some(Source { metric: term(returned), details: terms(&alarm.metrics), period, is_load: false })
}

fn term(query: &MetricQuery) -> String {
    match (&query.expression, &query.metric_stat) {
        (Some(expression), _) => expression.clone(),
        (None, Some(stat)) => format!("{} {}, {}", stat.metric.namespace, stat.metric.metric_name, stat.stat),
        (None, None) => "nothing".to_owned(),
    }
}

/// The terms of metric math, each with its dimensions.
pub(super) fn terms(queries: &[MetricQuery]) -> Vec<String> {
    let line = |query: &MetricQuery| {
        let stat = query.metric_stat.as_ref();
        let own = stat.map(|stat| {
            let period = stat.period.map(|period| format!("over {period} s"));
            let unit = stat.unit.as_ref().map(|unit| format!("only samples in {unit}"));
            dimensions(&stat.metric.dimensions).chain(period).chain(unit).collect::<Vec<_>>()
        });
        let own = own.filter(|own| !own.is_empty()).map(|own| format!(" ({})", own.join(", ")));
        format!("{} = {}{}", query.id, term(query), own.unwrap_or_default())
    };
    queries.iter().map(line).collect()
}
