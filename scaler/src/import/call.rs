//! One call of a scaling policy by an alarm → a policy, and the policies of two alarms on one value → one.

use std::collections::BTreeSet;

use super::change;
use super::model::{
    Adjustment, Choice, Cooldown, ImportedFleet, ImportedPolicy, ImportedRule, ImportedStep, Subject, Words,
    free_name,
};
use super::raw::StepAdjustment;
use super::trigger::{Gap, Trigger};
use crate::decide::policy::{Comparison, Direction, Operator};

/// One alarm in one state that calls one policy.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) alarm: &'a str,
    /// The alarm and its state in words.
    pub(super) caller: String,
    pub(super) trigger: Trigger,
    pub(super) cooldown: Cooldown,
    pub(super) remarks: Vec<String>,
}

impl Call<'_> {
    /// The policy with the one rule that this call makes.
    pub(super) fn policy(
        &self,
        fleet: &ImportedFleet,
        direction: Option<Direction>,
        adjustment: Adjustment,
    ) -> Result<ImportedPolicy, String> {
        let mut rule = ImportedRule {
            direction,
            caller: self.caller.clone(),
            when: None,
            window: None,
            missing: None,
            change: None,
            cooldown: self.cooldown,
            remarks: self.remarks.clone(),
        };
        let subject = match &self.trigger {
            Trigger::Threshold { source, when, periods, breaching, gap, remarks } => {
                rule.remarks.extend(remarks.iter().cloned());
                rule.missing = missing(*gap, direction, &mut rule.remarks);
                rule.when = Some(*when);
                rule.window = Some((*periods, *breaching));
                rule.change = Some(match adjustment {
                    Adjustment::Steps(steps) => {
                        Adjustment::Steps(change::without_gaps(&steps, when.is_above())?)
                    }
                    other => other,
                });
                rule.remarks.extend(other_group(&source.details, &fleet.group));
                Subject::Metric(source.clone())
            }
            Trigger::Alert { words, remarks } => {
                rule.remarks.extend(remarks.iter().cloned());
                rule.change = Some(match adjustment {
                    Adjustment::Steps(steps) => {
                        let words = |step: &ImportedStep| match &step.by {
                            Choice::Made(by) | Choice::Open(by) => by.clone(),
                        };
                        let by: BTreeSet<String> = steps.iter().map(words).collect();
                        let by = by.into_iter().collect::<Vec<_>>().join(" or ");
                        Adjustment::By(Choice::Open(format!(
                            "{by}: AWS chose by the distance from the threshold"
                        )))
                    }
                    other => other,
                });
                Subject::Alert(words.clone())
            }
        };
        let name = free_name(self.alarm, |name| fleet.has_policy(name));
        Ok(ImportedPolicy { name, subject, rules: vec![rule] })
    }

    /// A capacity for each distance is the wanted capacity itself.
    pub(super) fn exact_steps(
        &self,
        fleet: &ImportedFleet,
        steps: &[StepAdjustment],
    ) -> Result<ImportedPolicy, String> {
        let Trigger::Threshold { source, when, periods, .. } = &self.trigger else {
            return Err("its steps set exact capacities".to_owned());
        };
        let at = |bound: Option<f64>| bound.map(|bound| when.threshold() + bound);
        let step = |step: &StepAdjustment| {
            let from = at(step.metric_interval_lower_bound).map(|from| format!(" from {from}"));
            let to = at(step.metric_interval_upper_bound).map(|to| format!(" to {to}"));
            format!("{}{}{}", step.scaling_adjustment, from.unwrap_or_default(), to.unwrap_or_default())
        };
        let steps = steps.iter().map(step).collect::<Vec<_>>().join("; ");
        let words = Words {
            choice: format!(
                "PromQL whose value is the capacity by {}: {steps}; nothing unless {when}",
                source.metric
            ),
            details: source.details.clone(),
        };
        let rule = |direction| ImportedRule {
            direction: Some(direction),
            caller: self.caller.clone(),
            when: None,
            window: Some((*periods, *periods)),
            missing: None,
            change: None,
            cooldown: self.cooldown,
            remarks: self.remarks.clone(),
        };
        let name = free_name(self.alarm, |name| fleet.has_policy(name));
        Ok(ImportedPolicy {
            name,
            subject: Subject::Desired(words),
            rules: [Direction::Out, Direction::In].map(rule).into(),
        })
    }

    /// Narrows the threshold to the values for which `steps` add anything, and gives the steps by their distance from that: a
    /// policy that adds nothing while it is in alarm would hold back scale-ins. The error says why that cannot be.
    pub(super) fn narrow(&mut self, steps: &[ImportedStep]) -> Result<Vec<ImportedStep>, String> {
        let Trigger::Threshold { when, .. } = &mut self.trigger else {
            return Err("its steps add and remove".to_owned());
        };
        let adds = |step: &ImportedStep| !step.is_nothing();
        let first = steps.iter().position(adds).unwrap_or(0);
        let last = steps.iter().rposition(adds).unwrap_or(0);
        let adding = &steps[first..=last];
        let (from, to) = (adding[0].from, adding[adding.len() - 1].to);
        let (end, shift, operator) = if when.is_above() {
            (to, from.filter(|from| *from > 0.0), Operator::GreaterOrEqual)
        } else {
            (from, to.filter(|to| *to < 0.0), Operator::LessOrEqual)
        };
        if end.is_some() {
            // The comparison would point the other way, and the bounds of the steps would belong to other steps.
            let at = |bound: Option<f64>| bound.map(|bound| when.threshold() + bound);
            let words = |step: &ImportedStep| {
                let (Choice::Made(by) | Choice::Open(by)) = &step.by;
                let from = at(step.from).map(|from| format!(" from {from}"));
                let to = at(step.to).map(|to| format!(" to {to}"));
                format!("{by}{}{}", from.unwrap_or_default(), to.unwrap_or_default())
            };
            let steps = adding.iter().map(words).collect::<Vec<_>>().join("; ");
            return Err(format!("it adds {steps}, and removes beyond that, which one rule here cannot"));
        }
        let Some(shift) = shift else { return Ok(adding.to_vec()) };
        *when = Comparison::try_new(operator, when.threshold() + shift).ok_or("its steps reach too far")?;
        let moved = |bound: Option<f64>| bound.map(|bound| bound - shift);
        let step = |step: &ImportedStep| ImportedStep {
            from: moved(step.from),
            to: moved(step.to),
            by: step.by.clone(),
        };
        Ok(adding.iter().map(step).collect())
    }
}

fn missing(
    gap: Gap,
    direction: Option<Direction>,
    remarks: &mut Vec<String>,
) -> Option<Choice<&'static str>> {
    match (gap, direction) {
        (Gap::Unknown, _) => None,
        (Gap::NoBreach, _) => Some(Choice::Made("not_breaching")),
        (Gap::Breach, Some(Direction::Out)) => Some(Choice::Made("breaching")),
        (Gap::Breach, None) => Some(Choice::Open("breaching for scale_out, hold for scale_in".to_owned())),
        (Gap::Breach, Some(Direction::In)) => {
            remarks.push(
                "In CloudWatch missing data counted as a breach. Here missing data never removes an instance, so the policy \
                 holds."
                    .to_owned(),
            );
            None
        }
        (Gap::Ignored, _) => {
            remarks.push(
                "CloudWatch kept the state of the alarm while data was missing (TreatMissingData: ignore). This scaler keeps \
                 no state; `hold` is nearest: without data nothing changes."
                    .to_owned(),
            );
            None
        }
    }
}

/// A remark where the metric is another group's.
fn other_group(details: &[String], group: &str) -> Option<String> {
    let other = details.iter().find_map(|detail| detail.strip_prefix("AutoScalingGroupName = "))?;
    (other != group).then(|| {
        format!("The metric is that of the group {other}; the PromQL must give its value to this group, for example by label_replace.")
    })
}

/// Two alarms on one value become one policy, unless one value would call for both directions.
pub(super) fn merge(policies: &mut Vec<ImportedPolicy>, mut more: ImportedPolicy) {
    let rule = more.rules[0].clone();
    let meets = |other: &ImportedRule| other.when.zip(rule.when).is_some_and(|(a, b)| a.overlap(b).is_some());
    let is_partner = |policy: &ImportedPolicy| {
        let [other] = policy.rules.as_slice() else { return false };
        let both = other.direction.zip(rule.direction);
        policy.subject == more.subject && both.is_some_and(|(a, b)| a != b) && !meets(other)
    };
    if matches!(more.subject, Subject::Metric(_))
        && let Some(policy) = policies.iter_mut().find(|policy| is_partner(policy))
    {
        // The scale-out alarm gives the name, and comes first.
        if rule.direction == Some(Direction::Out) {
            policy.name.clone_from(&more.name);
            policy.rules.insert(0, rule);
        } else {
            policy.rules.push(rule);
        }
        return;
    }
    let is_opposite = |other: &ImportedRule| {
        other.direction.zip(rule.direction).is_some_and(|(a, b)| a != b) && meets(other)
    };
    if policies.iter().any(|policy| policy.subject == more.subject && policy.rules.iter().any(is_opposite)) {
        more.rules[0].remarks.push(
            "Another rule acts on some of the same values in the other direction. Here scale-out wins; in CloudWatch the two \
             took turns."
                .to_owned(),
        );
    }
    let taken = |name: &str| policies.iter().any(|policy| policy.name == name);
    more.name = free_name(&more.name, taken);
    policies.push(more);
}
