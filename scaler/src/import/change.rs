//! What a scaling policy changes: so many more or fewer, a capacity, or either by steps.

use super::model::{Adjustment, Choice, Cooldown, ImportedStep};
use super::raw::{ScalingPolicy, StepAdjustment};
use crate::decide::policy::Direction;
use crate::units::{Capacity, Percent};

/// The change of a simple or a step policy.
#[derive(Clone, Debug)]
pub(super) enum Change {
    By {
        direction: Direction,
        adjustment: Adjustment,
        /// The same with the least change that AWS makes, where that is more than the smallest one here.
        at_least: Option<Adjustment>,
    },
    /// A capacity, in whichever direction it lies.
    Exact(i64),
    /// A capacity for each distance from the threshold.
    ExactSteps(Vec<StepAdjustment>),
    /// Steps of which some add and some remove.
    Mixed(Vec<StepAdjustment>),
    Nothing,
}

/// The change that `policy` makes; the error says why that cannot be told.
pub(super) fn change(policy: &ScalingPolicy, remarks: &mut Vec<String>) -> Result<Change, String> {
    let mut steps = policy.step_adjustments.clone();
    let bound = |step: &StepAdjustment| step.metric_interval_lower_bound.unwrap_or(f64::NEG_INFINITY);
    steps.sort_by(|a, b| bound(a).total_cmp(&bound(b)));
    let kind = policy.adjustment_type.as_deref().unwrap_or("ChangeInCapacity");
    if !["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"].contains(&kind) {
        return Err(format!("its adjustment type {kind} is unknown"));
    }
    if kind == "ExactCapacity" {
        return match policy.scaling_adjustment {
            Some(capacity) if steps.is_empty() => Ok(Change::Exact(capacity)),
            _ if steps.is_empty() => Err("it names no capacity".to_owned()),
            _ => Ok(Change::ExactSteps(steps)),
        };
    }
    let amounts: Vec<i64> = match policy.scaling_adjustment {
        Some(single) if steps.is_empty() => vec![single],
        _ => steps.iter().map(|step| step.scaling_adjustment).collect(),
    };
    let direction = match (amounts.iter().any(|by| *by > 0), amounts.iter().any(|by| *by < 0)) {
        (true, false) => Direction::Out,
        (false, true) => Direction::In,
        (true, true) => return Ok(Change::Mixed(steps)),
        (false, false) => return Ok(Change::Nothing),
    };
    let adjustment = if steps.is_empty() {
        Adjustment::By(amount(policy, direction, amounts[0], remarks))
    } else {
        Adjustment::Steps(one_way(policy, direction, &steps, remarks))
    };
    let at_least = least(policy, direction, remarks).map(|least| match &adjustment {
        Adjustment::Steps(steps) => {
            let raised = |step: &ImportedStep| {
                let by = if step.is_nothing() { step.by.clone() } else { Choice::Made(least.to_string()) };
                ImportedStep { by, ..step.clone() }
            };
            Adjustment::Steps(steps.iter().map(raised).collect())
        }
        _ => Adjustment::By(Choice::Made(least.to_string())),
    });
    Ok(Change::By { direction, adjustment, at_least })
}

/// How long the policy waits after it acted.
pub(super) fn cooldown(policy: &ScalingPolicy) -> Cooldown {
    // Step scaling has a warm-up and no cooldown; this scaler has both.
    match (policy.policy_type.as_str(), policy.cooldown) {
        ("StepScaling", _) => Cooldown::None,
        (_, Some(seconds)) => Cooldown::Own(seconds),
        (_, None) => Cooldown::Group,
    }
}

/// The least change of a policy by percent, if a second rule must make it.
fn least(policy: &ScalingPolicy, direction: Direction, remarks: &mut Vec<String>) -> Option<i64> {
    let least = policy.min_adjustment_magnitude.or(policy.min_adjustment_step).filter(|least| *least > 1)?;
    if policy.adjustment_type.as_deref() != Some("PercentChangeInCapacity") {
        return None;
    }
    let is_out = direction == Direction::Out;
    remarks.push(if is_out {
        format!(
            "AWS added at least {least} at a time (MinAdjustmentMagnitude): a second policy does. The largest wanted capacity \
             wins."
        )
    } else {
        format!(
            "AWS removed at least {least} at a time (MinAdjustmentMagnitude). A percentage here removes at least 1, so this \
             is slower where the percentage is less than {least}."
        )
    });
    is_out.then_some(least)
}

/// An amount in `direction`; one in the other direction changes nothing.
fn amount(
    policy: &ScalingPolicy,
    direction: Direction,
    by: i64,
    remarks: &mut Vec<String>,
) -> Choice<String> {
    let is_percent = policy.adjustment_type.as_deref() == Some("PercentChangeInCapacity");
    let suffix = if is_percent { "%" } else { "" };
    let is_other = (direction == Direction::Out) != (by > 0);
    let amount = if is_other { 0 } else { by.unsigned_abs() };
    if is_percent && direction == Direction::In && amount > 100 {
        remarks.push(format!("At most 100% can be removed, so this is 100% instead of {amount}%."));
        return Choice::Made("100%".to_owned());
    }
    let number = u32::try_from(amount).ok();
    let fits = if is_percent {
        number.and_then(|number| Percent::try_new(number.into())).is_some()
    } else {
        number.and_then(Capacity::try_new).is_some()
    };
    if fits { Choice::Made(format!("{amount}{suffix}")) } else { Choice::Open(format!("AWS: {by}{suffix}")) }
}

/// The steps in one direction: those of the other direction change nothing.
fn one_way(
    policy: &ScalingPolicy,
    direction: Direction,
    steps: &[StepAdjustment],
    remarks: &mut Vec<String>,
) -> Vec<ImportedStep> {
    let step = |step: &StepAdjustment| ImportedStep {
        from: step.metric_interval_lower_bound,
        to: step.metric_interval_upper_bound,
        by: amount(policy, direction, step.scaling_adjustment, remarks),
    };
    steps.iter().map(step).collect()
}

/// The steps without gaps and without ends, as AWS acts: it changes nothing where there is no step. `is_above` says on which
/// side of the threshold values breach. The error is that two steps overlap or one is upside down.
pub(super) fn without_gaps(steps: &[ImportedStep], is_above: bool) -> Result<Vec<ImportedStep>, String> {
    let mut whole: Vec<ImportedStep> = Vec::new();
    for step in steps {
        if step.from.zip(step.to).is_some_and(|(from, to)| from >= to) {
            return Err("one of its steps ends before it begins".to_owned());
        }
        let last = whole.last().map(|last| last.to);
        match (last, step.from) {
            (None, Some(from)) if is_above && from > 0.0 => {
                whole.push(ImportedStep::nothing(Some(0.0), Some(from)));
            }
            (None, Some(from)) if !is_above => whole.push(ImportedStep::nothing(None, Some(from))),
            (Some(Some(end)), Some(from)) if end < from => {
                whole.push(ImportedStep::nothing(Some(end), Some(from)));
            }
            (Some(None), _) | (Some(_), None) => return Err("its steps overlap".to_owned()),
            (Some(Some(end)), Some(from)) if end > from => return Err("its steps overlap".to_owned()),
            _ => {}
        }
        whole.push(step.clone());
    }
    match whole.last().map(|last| last.to) {
        Some(Some(to)) if is_above => whole.push(ImportedStep::nothing(Some(to), None)),
        Some(Some(to)) if to < 0.0 => whole.push(ImportedStep::nothing(Some(to), Some(0.0))),
        _ => {}
    }
    whole.dedup_by(|later, earlier| {
        let are_one = later.is_nothing() && earlier.is_nothing();
        if are_one {
            earlier.to = later.to;
        }
        are_one
    });
    Ok(whole)
}

/// The two halves of steps that add and remove: each direction alone, in which the steps of the other change nothing.
pub(super) fn halves(
    policy: &ScalingPolicy,
    steps: &[StepAdjustment],
    remarks: &mut Vec<String>,
) -> [Vec<ImportedStep>; 2] {
    [Direction::Out, Direction::In].map(|direction| one_way(policy, direction, steps, remarks))
}
