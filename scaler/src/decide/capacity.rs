//! From an alarm to a number: adjustments, rounding, limits, and the forecast before a scale-in.
//!
//! Owns arithmetic only. Rounding follows the EC2 Auto Scaling User Guide, "Scaling adjustment types".

use super::observation::Bounds;
use super::policy::{Adjustment, Amount, Direction, Measures, Policy, Rule, Step};
use crate::units::Capacity;

/// Rounds a change of capacity as AWS does: above 1 down, between 0 and 1 to 1, and towards zero below −1, between −1
/// and 0 to −1.
#[must_use]
pub fn round(change: f64) -> i64 {
    let towards_zero = change.trunc();
    let rounded = if towards_zero == 0.0 && change != 0.0 { change.signum() } else { towards_zero };
    #[expect(clippy::cast_possible_truncation, reason = "clamped to a range that i64 holds exactly")]
    let rounded = rounded.clamp(-1e9, 1e9) as i64;
    rounded
}

impl Amount {
    /// How many instances it is in a group of `base`.
    #[must_use]
    pub fn resolve(self, base: Capacity) -> Capacity {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => Capacity::saturating(round(share.of(base))),
        }
    }
}

/// The capacity that `rule` wants from `base`, when the newest real value is `value`. `None` where no step of the rule
/// covers the value.
#[must_use]
pub fn raised(rule: &Rule, base: Capacity, value: Option<f64>) -> Option<Capacity> {
    match &rule.adjustment {
        Adjustment::By(amount) => Some(base.plus(amount.resolve(base))),
        Adjustment::Set(capacity) => Some(*capacity),
        Adjustment::Steps(steps) => Some(base.plus(step(rule, steps, value)?.resolve(base))),
    }
}

/// As [`raised`], downwards.
#[must_use]
pub fn lowered(rule: &Rule, base: Capacity, value: Option<f64>) -> Option<Capacity> {
    match &rule.adjustment {
        Adjustment::By(amount) => Some(base.minus(amount.resolve(base))),
        Adjustment::Set(capacity) => Some(*capacity),
        Adjustment::Steps(steps) => Some(base.minus(step(rule, steps, value)?.resolve(base))),
    }
}

/// The step for a value. As with AWS, the bound nearer to the threshold belongs to the step: the lower one where values
/// breach above it, the upper one where they breach below.
fn step(rule: &Rule, steps: &[Step], value: Option<f64>) -> Option<Amount> {
    let distance = value? - rule.when.threshold();
    let within = |step: &&Step| {
        if rule.when.is_above() {
            step.from.is_none_or(|from| distance >= from) && step.to.is_none_or(|to| distance < to)
        } else {
            step.from.is_none_or(|from| distance > from) && step.to.is_none_or(|to| distance <= to)
        }
    };
    steps.iter().find(within).map(|step| step.amount)
}

/// How many of `wanted` instances can leave `serving` ones before the value foreseen afterwards meets the `when` of the
/// policy's own scale-out. All of them, where the policy has no such rule or no value.
#[must_use]
pub fn removable(policy: &Policy, value: Option<f64>, serving: Capacity, wanted: Capacity) -> Capacity {
    let (Some(scale_out), Some(value)) = (policy.rule(Direction::Out), value) else { return wanted };
    let foreseen = |gone: u32| match policy.measures {
        Measures::Load if gone >= serving.get() => f64::INFINITY,
        Measures::Load => value * f64::from(serving.get()) / f64::from(serving.get() - gone),
        Measures::Idle => value - f64::from(gone),
        Measures::Other => f64::NAN,
    };
    let most = (1..=wanted.get()).rev().find(|&gone| !scale_out.when.holds(foreseen(gone)));
    Capacity::saturating(i64::from(most.unwrap_or(0)))
}

/// The bounds that hold for a group: its own, narrowed by those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least capacity.
    pub min: Capacity,
    /// The most capacity, never below `min`.
    pub max: Capacity,
}

impl Limits {
    /// The bounds of the configuration and of the schedules in force, brought within those of the group, because AWS
    /// refuses anything outside. A schedule narrows; where the floor of one and the ceiling of another cross, the floor
    /// holds.
    #[must_use]
    pub fn of(group: (Capacity, Capacity), configured: Bounds, schedule: Bounds) -> Self {
        let (group_min, group_max) = group;
        let least = |a: Option<Capacity>, b: Option<Capacity>| a.into_iter().chain(b).min();
        let floor = configured.min.max(schedule.min).unwrap_or(group_min);
        let ceiling = least(configured.max, schedule.max).unwrap_or(group_max).max(floor);
        let max = ceiling.clamp(group_min, group_max.max(group_min));
        let min = floor.clamp(group_min, max);
        Self { min, max }
    }

    /// The lowest desired capacity that a termination may lead to. Where minimum and maximum are equal, the group
    /// cannot be raised first, so an instance that drains leaves before another one comes in its place.
    #[must_use]
    pub fn floor(self) -> Capacity {
        if self.min < self.max { self.min } else { self.min.minus(Capacity::ONE) }
    }
}

/// The capacity that a wanted value stands for: rounded up, but not by the noise of floating point.
#[must_use]
pub fn wanted(value: f64) -> Capacity {
    let up = (value - 1e-6).ceil().clamp(0.0, f64::from(Capacity::LARGEST));
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of capacities")]
    let up = up as i64;
    Capacity::saturating(up)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_case::test_case;

    use super::*;
    use crate::decide::policy::{Comparison, Missing, Operator, Rules, Window};
    use crate::units::{Percent, Period, PolicyName};

    fn capacity(n: u32) -> Capacity {
        Capacity::try_new(n).expect("a capacity")
    }

    fn rule(operator: Operator, threshold: f64, adjustment: Adjustment) -> Rule {
        Rule {
            when: Comparison::try_new(operator, threshold).expect("finite"),
            window: Window::try_new(1, 1).expect("a window"),
            missing: Missing::Hold,
            adjustment,
            cooldown: Duration::ZERO,
        }
    }

    fn share(percent: f64) -> Amount {
        Amount::Share(Percent::try_new(percent).expect("a share"))
    }

    #[test_case(-6.67, -6)]
    #[test_case(-0.58, -1)]
    #[test_case(0.67, 1)]
    #[test_case(12.7, 12)]
    #[test_case(0.0, 0)]
    #[test_case(1.0, 1)]
    #[test_case(-1.0, -1)]
    fn rounding_is_that_of_aws(change: f64, expected: i64) {
        assert_eq!(round(change), expected);
    }

    #[test_case(0.59, None; "below the lowest step")]
    #[test_case(0.6, Some(11); "lower bound inclusive")]
    #[test_case(0.79, Some(11); "within the first")]
    #[test_case(0.8, Some(12); "upper bound exclusive")]
    #[test_case(7.0, Some(12); "without end")]
    fn steps_upwards(value: f64, expected: Option<u32>) {
        let steps = vec![
            Step { from: Some(0.0), to: Some(0.2), amount: Amount::Count(capacity(1)) },
            Step { from: Some(0.2), to: None, amount: share(25.0) },
        ];
        // 0.8 − 0.6 is a hair above 0.2 in floating point, which is the side that the bound calls for.
        let rule = rule(Operator::GreaterOrEqual, 0.6, Adjustment::Steps(steps));
        assert_eq!(raised(&rule, capacity(10), Some(value)), expected.map(capacity));
    }

    #[test_case(50.0, Some(10); "upper bound inclusive, nothing removed")]
    #[test_case(41.0, Some(10); "first step")]
    #[test_case(40.0, Some(9); "second step from its upper bound")]
    #[test_case(30.0, Some(7); "third step from its upper bound")]
    #[test_case(0.0, Some(7); "without end")]
    fn steps_downwards(value: f64, expected: Option<u32>) {
        let steps = vec![
            Step { from: Some(-10.0), to: Some(0.0), amount: share(0.0) },
            Step { from: Some(-20.0), to: Some(-10.0), amount: share(10.0) },
            Step { from: None, to: Some(-20.0), amount: share(30.0) },
        ];
        let rule = rule(Operator::LessOrEqual, 50.0, Adjustment::Steps(steps));
        assert_eq!(lowered(&rule, capacity(10), Some(value)), expected.map(capacity));
    }

    #[test]
    fn without_a_value_no_step_applies() {
        let steps = vec![Step { from: None, to: None, amount: share(10.0) }];
        let rule = rule(Operator::LessOrEqual, 50.0, Adjustment::Steps(steps));
        assert_eq!(lowered(&rule, capacity(10), None), None);
        assert_eq!(raised(&rule, capacity(10), None), None);
    }

    #[test_case(Measures::Load, 300.0, 4, 2, 2; "four at 300 become two at 600")]
    #[test_case(Measures::Load, 400.0, 4, 2, 1; "two at 800 would scale out again, three at 533 would not")]
    #[test_case(Measures::Load, 740.0, 4, 2, 0; "even three would be too few")]
    #[test_case(Measures::Load, 0.0, 2, 2, 1; "the last one is never foreseen away")]
    #[test_case(Measures::Other, 740.0, 4, 2, 2; "no forecast")]
    fn the_effect_of_a_scale_in_is_foreseen(
        measures: Measures,
        value: f64,
        serving: u32,
        wanted: u32,
        expected: u32,
    ) {
        let adjustment = Adjustment::By(Amount::Count(capacity(1)));
        let policy = Policy {
            name: PolicyName::new("p"),
            period: Period::try_new(Duration::from_mins(1)).expect("a minute"),
            measures,
            rules: Rules::Threshold {
                scale_out: Some(rule(Operator::GreaterOrEqual, 750.0, adjustment)),
                scale_in: None,
            },
        };
        assert_eq!(removable(&policy, Some(value), capacity(serving), capacity(wanted)), capacity(expected));
    }

    const NONE: (Option<u32>, Option<u32>) = (None, None);

    #[test_case(NONE, NONE, (2, 10); "the group's own")]
    #[test_case((Some(4), Some(8)), NONE, (4, 8); "narrowed")]
    #[test_case((Some(0), Some(50)), NONE, (2, 10); "never widened")]
    #[test_case((None, Some(1)), NONE, (2, 2); "a maximum below the group's minimum")]
    #[test_case((Some(20), None), NONE, (10, 10); "a minimum above the group's maximum")]
    #[test_case((Some(3), Some(8)), (Some(5), Some(6)), (5, 6); "a schedule narrows further")]
    #[test_case((Some(3), Some(8)), (Some(2), Some(9)), (3, 8); "a schedule does not widen")]
    #[test_case((None, Some(4)), (Some(6), None), (6, 6); "a schedule's floor above the configured ceiling")]
    fn limits_lie_within_those_of_the_group(
        configured: (Option<u32>, Option<u32>),
        schedule: (Option<u32>, Option<u32>),
        expected: (u32, u32),
    ) {
        let bounds = |(min, max): (Option<u32>, Option<u32>)| Bounds {
            min: min.map(capacity),
            max: max.map(capacity),
        };
        let limits = Limits::of((capacity(2), capacity(10)), bounds(configured), bounds(schedule));
        assert_eq!((limits.min.get(), limits.max.get()), expected);
    }

    #[test_case(4.0, 4; "whole")]
    #[test_case(4.2, 5; "a part more is one more")]
    #[test_case(30.000_000_000_000_004, 30; "noise")]
    #[test_case(-3.0, 0; "below nothing")]
    #[test_case(1e300, Capacity::LARGEST; "beyond everything")]
    fn a_wanted_value_is_rounded_up(value: f64, expected: u32) {
        assert_eq!(wanted(value).get(), expected);
    }

    #[test]
    fn a_drain_goes_below_the_minimum_only_where_the_group_cannot_be_raised() {
        let floor =
            |min: usize, max: usize| Limits { min: Capacity::of(min), max: Capacity::of(max) }.floor();
        assert_eq!(
            (floor(2, 5), floor(3, 3), floor(0, 0)),
            (Capacity::of(2), Capacity::of(2), Capacity::ZERO)
        );
    }
}
