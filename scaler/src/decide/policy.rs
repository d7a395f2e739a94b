//! Policies of a fleet, validated when they were loaded.
//!
//! Owns the closed sets of the configuration (`when`, `missing`, `measures`, adjustments, victims). It knows nothing of
//! YAML, and holds no state.

use std::fmt;
use std::time::Duration;

use crate::units::{Capacity, Percent, Period, PolicyName};

/// Everything that decides for the groups of one fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetPolicy {
    /// What runs on the instances.
    pub component: Component,
    /// Narrows the minimum of the group itself.
    pub min: Option<Capacity>,
    /// Narrows the maximum of the group itself.
    pub max: Option<Capacity>,
    /// How long an instance counts as capacity, but not yet as ready, after it came into service.
    pub warmup: Duration,
    /// The share of ready instances that must report before anything scales in.
    pub min_reporting: Percent,
    /// At least one; the largest capacity that any of them wants wins.
    pub policies: Vec<Policy>,
    /// Which instance leaves first.
    pub victims: Victims,
    /// How many drains may be under way at once, as a count or as a share of the group's desired capacity.
    pub max_in_flight: Amount,
    /// What happens to a drain that takes too long; `None` waits without a report.
    pub drain_limit: Option<DrainLimit>,
    /// Whether instances that AWS terminates are drained while a hook holds them.
    pub serves_hooks: bool,
    /// How ill instances are replaced; `None` replaces none.
    pub replace: Option<Replace>,
    /// Whether busy instances, and no others, are protected from scale-in by AWS.
    pub protect_busy: bool,
    /// From which age on instances are recycled.
    pub recycle: Option<Duration>,
}

/// What happens to a drain that takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainLimit {
    /// How long it may take, counted from its beginning.
    pub timeout: Duration,
    /// What happens after that.
    pub then: OnTimeout,
}

jitsi_web::words! {
    /// The action on a drain that takes too long.
    pub enum OnTimeout {
        /// It is reported, and goes on.
        Wait = "wait",
        /// The drain is cancelled, where that is possible.
        Undrain = "undrain",
        /// The instance ends, whatever it carries.
        Terminate = "terminate",
    }
}

/// How ill instances are replaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replace {
    /// N: the instance must have been found ill at each of the newest N points.
    pub periods: u16,
    /// How many are replaced at a time.
    pub max_in_flight: Capacity,
    /// Above this share of ill instances the measurement is taken to be wrong, and nothing is replaced.
    pub max_share: Percent,
}

impl FleetPolicy {
    /// The grid on which the fleet is evaluated: the smallest period of its policies.
    #[must_use]
    pub fn smallest_period(&self) -> Option<Period> {
        self.policies.iter().map(|policy| policy.period).min()
    }
}

jitsi_web::words! {
    /// What runs on the instances of a fleet, which decides how one is drained.
    pub enum Component {
        /// Jitsi Videobridge: drained by its drain mode, which can be cancelled.
        Jvb = "jvb",
        /// Jibri: asked to shut down gracefully, which cannot be cancelled.
        Jibri = "jibri",
    }
}

/// A series, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Unique in its fleet.
    pub name: PolicyName,
    /// The distance of its datapoints.
    pub period: Period,
    /// What the value is, so that the effect of a scale-in can be foreseen.
    pub measures: Measures,
    /// What follows from the values.
    pub rules: Rules,
}

/// What follows from the values of a policy, by direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Rules {
    /// The value is compared with thresholds.
    Threshold {
        /// When and how to add.
        scale_out: Option<Rule>,
        /// When and how to remove.
        scale_in: Option<Rule>,
    },
    /// The value is 1 while an alert fires, and absent while it does not.
    Alert {
        /// The direction in which the alert acts.
        direction: Direction,
        /// How, and for how long it must fire.
        rule: Rule,
    },
    /// The value is the wanted capacity itself.
    Desired {
        /// When to go up to it.
        scale_out: Option<TargetRule>,
        /// When to go down to it.
        scale_in: Option<TargetRule>,
    },
}

/// One direction of a policy whose value is the wanted capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRule {
    /// N: the value must have wanted the change at each of the newest N points.
    pub periods: u16,
    /// The shortest time between two actions in this direction.
    pub cooldown: Duration,
}

/// The direction of a rule or a cooldown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Upwards.
    Out,
    /// Downwards.
    In,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "scale-out",
            Self::In => "scale-in",
        })
    }
}

impl Policy {
    /// How many of the newest points the policy needs: the longer evaluation range of its directions.
    #[must_use]
    pub fn range(&self) -> usize {
        let ranges = [Direction::Out, Direction::In].map(|direction| match &self.rules {
            Rules::Desired { .. } => {
                self.target_rule(direction).map_or(0, |target_rule| usize::from(target_rule.periods))
            }
            _ => self.rule(direction).map_or(0, |rule| rule.window.range()),
        });
        ranges.into_iter().max().unwrap_or(0)
    }

    /// The rule of a direction, where values are compared.
    #[must_use]
    pub fn rule(&self, direction: Direction) -> Option<&Rule> {
        match (&self.rules, direction) {
            (Rules::Threshold { scale_out, .. }, Direction::Out) => scale_out.as_ref(),
            (Rules::Threshold { scale_in, .. }, Direction::In) => scale_in.as_ref(),
            (Rules::Alert { direction: own, rule }, asked) => (*own == asked).then_some(rule),
            (Rules::Desired { .. }, _) => None,
        }
    }

    /// The rule of a direction, where the value is the capacity.
    #[must_use]
    pub fn target_rule(&self, direction: Direction) -> Option<TargetRule> {
        match (&self.rules, direction) {
            (Rules::Desired { scale_out, .. }, Direction::Out) => *scale_out,
            (Rules::Desired { scale_in, .. }, Direction::In) => *scale_in,
            _ => None,
        }
    }

    /// How long the policy waits after an action in a direction; `None` where it does not act that way.
    #[must_use]
    pub fn cooldown(&self, direction: Direction) -> Option<Duration> {
        let target_rule = self.target_rule(direction).map(|target_rule| target_rule.cooldown);
        target_rule.or_else(|| self.rule(direction).map(|rule| rule.cooldown))
    }

    /// Whether the policy acts in a direction.
    #[must_use]
    pub fn acts(&self, direction: Direction) -> bool {
        self.cooldown(direction).is_some()
    }
}

jitsi_web::words! {
    /// What the value of a policy is.
    pub enum Measures {
        /// An average per instance: with k of n instances gone it becomes value × n ÷ (n − k).
        Load = "load",
        /// A count of free instances: with k gone it becomes value − k.
        Idle = "idle",
        /// Anything else: no forecast.
        Other = "other",
    }
}

/// One direction of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What counts as a breach.
    pub when: Comparison,
    /// M breaches of N periods.
    pub window: Window,
    /// What a missing datapoint counts as.
    pub missing: Missing,
    /// How capacity changes.
    pub adjustment: Adjustment,
    /// The shortest time between two actions in this direction.
    pub cooldown: Duration,
}

/// A comparison with a finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    operator: Operator,
    threshold: f64,
}

/// The operator of a [`Comparison`], written between the value and the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// `None` unless `threshold` is finite.
    #[must_use]
    pub fn try_new(operator: Operator, threshold: f64) -> Option<Self> {
        threshold.is_finite().then_some(Self { operator, threshold })
    }

    /// Whether `value` breaches.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self.operator {
            Operator::Less => value < self.threshold,
            Operator::LessOrEqual => value <= self.threshold,
            Operator::Greater => value > self.threshold,
            Operator::GreaterOrEqual => value >= self.threshold,
        }
    }

    /// The number compared with, in the unit of the series.
    #[must_use]
    pub fn threshold(self) -> f64 {
        self.threshold
    }

    /// Whether larger values breach.
    #[must_use]
    pub fn is_above(self) -> bool {
        matches!(self.operator, Operator::Greater | Operator::GreaterOrEqual)
    }

    /// A value that satisfies both comparisons, if there is one.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<f64> {
        let candidates = [self.threshold, other.threshold, f64::midpoint(self.threshold, other.threshold)];
        let beyond =
            [self.threshold + 1.0, self.threshold - 1.0, other.threshold + 1.0, other.threshold - 1.0];
        let far = [f64::MAX, f64::MIN];
        candidates.into_iter().chain(beyond).chain(far).find(|&value| self.holds(value) && other.holds(value))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        };
        write!(f, "{operator} {}", self.threshold)
    }
}

/// M of N: how many of the newest N periods must breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    periods: u16,
    breaching: u16,
}

impl Window {
    /// `None` unless 1 ≤ `breaching` ≤ `periods` ≤ 5,000, which keeps a range within the 11,000 points that
    /// Prometheus gives in one answer.
    #[must_use]
    pub fn try_new(periods: u16, breaching: u16) -> Option<Self> {
        (1 <= breaching && breaching <= periods && periods <= 5_000).then_some(Self { periods, breaching })
    }

    /// N, the periods that count.
    #[must_use]
    pub fn periods(self) -> usize {
        usize::from(self.periods)
    }

    /// M, how many of them must breach.
    #[must_use]
    pub fn breaching(self) -> usize {
        usize::from(self.breaching)
    }

    /// The evaluation range: N + max(⌊N/3⌋, 2) points, so that a few missing ones do not hide N real ones.
    /// CloudWatch looks further back than N in the same way, without saying how far.
    #[must_use]
    pub fn range(self) -> usize {
        self.periods() + (self.periods() / 3).max(2)
    }
}

jitsi_web::words! {
    /// What a missing datapoint counts as (CloudWatch: `TreatMissingData` missing, breaching, notBreaching).
    #[derive(Default)]
    pub enum Missing {
        /// As nothing: without any data the policy is unknown, and capacity stays.
        #[default]
        Hold = "hold",
        /// As a breach. Never for scale-in.
        Breaching = "breaching",
        /// As a point that does not breach.
        NotBreaching = "not_breaching",
    }
}

/// How capacity changes when a rule is in alarm.
#[derive(Clone, Debug, PartialEq)]
pub enum Adjustment {
    /// By an amount, the same for any size of breach: added by `scale_out`, removed by `scale_in`.
    By(Amount),
    /// By an amount that depends on how far the newest value is from the threshold.
    Steps(Vec<Step>),
    /// To an exact capacity.
    Set(Capacity),
}

/// A count or a share of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A number of instances.
    Count(Capacity),
    /// A share of capacity, rounded as AWS does.
    Share(Percent),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

/// One step; its bounds are differences from the threshold, negative below it, `None` without end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The lower bound: inclusive where values breach above the threshold, else exclusive.
    pub from: Option<f64>,
    /// The upper bound: exclusive where values breach above the threshold, else inclusive.
    pub to: Option<f64>,
    /// What is added or removed.
    pub amount: Amount,
}

/// How the instance to leave is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victims {
    /// Which instance leaves first.
    pub order: VictimOrder,
    /// The least time in service of an instance that is chosen.
    pub min_age: Duration,
    /// The least time for which a chosen Jibri has been idle.
    pub idle_for: Duration,
    /// Whether a bridge is chosen only while it reports no participant.
    pub only_idle: bool,
}

jitsi_web::words! {
    /// Which of the eligible instances leaves first; among equals one in the fullest zone, then the one with the lower id.
    pub enum VictimOrder {
        /// The one with the fewest participants.
        LeastLoaded = "least_loaded",
        /// The one in service for the longest time.
        Oldest = "oldest",
        /// The one in service for the shortest time.
        Newest = "newest",
        /// The one that has been free for the longest time.
        LongestIdle = "longest_idle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn comparison(operator: Operator, threshold: f64) -> Comparison {
        Comparison::try_new(operator, threshold).expect("a finite threshold")
    }

    #[test_case(Operator::GreaterOrEqual, 750.0, Operator::LessOrEqual, 375.0, None; "apart")]
    #[test_case(Operator::GreaterOrEqual, 5.0, Operator::LessOrEqual, 5.0, Some(5.0); "meeting in one value")]
    #[test_case(Operator::Greater, 5.0, Operator::Less, 5.0, None; "both exclusive at one value")]
    #[test_case(Operator::Less, 3.0, Operator::Greater, 2.0, Some(2.5); "a gap the wrong way round")]
    #[test_case(Operator::Less, 2.0, Operator::Less, 1.0, Some(0.0); "the same way")]
    #[test_case(Operator::Greater, 1e300, Operator::Greater, 1.0, Some(f64::MAX); "far out")]
    fn overlap_finds_a_value_that_satisfies_both(
        out: Operator,
        out_at: f64,
        in_: Operator,
        in_at: f64,
        overlap: Option<f64>,
    ) {
        assert_eq!(comparison(out, out_at).overlap(comparison(in_, in_at)), overlap);
    }

    #[test]
    fn a_window_is_m_of_n_with_room_for_gaps() {
        let range = |n| Window::try_new(n, n).expect("a window").range();
        assert_eq!((range(1), range(5), range(6), range(10)), (3, 7, 8, 13));
        assert_eq!(Window::try_new(3, 4), None);
        assert_eq!(Window::try_new(0, 0), None);
    }
}
