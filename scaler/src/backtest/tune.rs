//! The same history under many settings, and which of them nothing beats.
//!
//! Owns how a range of values is written, the Pareto front of instance-hours against minutes short, and which of its points
//! is recommended.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use super::figures::Figures;
use super::run::{Assumptions, GroupHistory, Span, Yardstick};
use crate::config::variant::Variant;
use crate::config::{Config, Fleet, GroupSelector, InstanceSeries};
use crate::decide::policy::Direction;
use crate::units::Period;

/// The most combinations that are tried.
pub const MOST: usize = 20_000;
/// What is saved must be more than this share to be worth a change.
const WORTH: f64 = 0.005;

/// A key, and the values that it is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The key, as in `jvb.stress.scale_out.when`.
    pub key: String,
    /// At least one.
    pub values: Vec<String>,
}

impl FromStr for Axis {
    type Err = String;

    /// `KEY=FROM..TO/STEP`, or `KEY=VALUE,VALUE…`. Numbers may have one unit, as in `5m..20m/5m`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, values) = text
            .split_once('=')
            .filter(|(key, values)| key.contains('.') && !values.is_empty())
            .ok_or("write FLEET.POLICY.KEY=FROM..TO/STEP, as in jvb.stress.scale_out.when=0.4..0.8/0.05")?;
        let values = match values.split_once("..") {
            Some((from, rest)) => {
                let (to, step) = rest.split_once('/').ok_or("a range needs a step, as in 0.4..0.8/0.05")?;
                range(from, to, step)?
            }
            None => values.split(',').map(|value| value.trim().to_owned()).collect(),
        };
        Ok(Self { key: key.to_owned(), values })
    }
}

fn range(from: &str, to: &str, step: &str) -> Result<Vec<String>, String> {
    let number = |text: &str| -> Option<(f64, String)> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || ".-".contains(c))).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        Some((digits.parse().ok().filter(|number: &f64| number.is_finite())?, unit.to_owned()))
    };
    let unreadable =
        || format!("{from}..{to}/{step} is no range; write for example 0.4..0.8/0.05 or 5m..20m/5m");
    let (Some((from, unit)), Some((to, unit_of_to)), Some((step, unit_of_step))) =
        (number(from), number(to), number(step))
    else {
        return Err(unreadable());
    };
    if unit != unit_of_to || unit != unit_of_step {
        return Err(format!("write the three numbers of {} in one unit", unreadable()));
    }
    if step <= 0.0 || to < from {
        return Err(
            "a range goes upwards: the step is above 0, and the end is not before the beginning".to_owned()
        );
    }
    // The last value counts although a sum of steps may miss it by a hair.
    let count = ((to - from) / step + 1e-9).floor();
    if count >= MOST as f64 {
        return Err(format!("a range has at most {MOST} values"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most MOST")]
    let count = count as usize;
    let value = |place: usize| ((from + step * place as f64) * 1e9).round() / 1e9;
    Ok((0..=count).map(|place| format!("{}{unit}", value(place))).collect())
}

/// Settings: the value of each key, in the order of the axes.
pub type Settings = Vec<(String, String)>;

/// What came of some settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The values, by key, as the file would have them. Empty for the configuration as it is.
    pub set: BTreeMap<String, String>,
    /// Hours of instances, of all groups that the keys concern.
    pub instance_hours: f64,
    /// Minutes short, of the same groups.
    pub minutes_short: f64,
    /// Whether the file has these values already.
    pub present: bool,
}

/// The answer of a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tuned {
    /// What nothing beats in both respects, cheapest first.
    pub front: Vec<Point>,
    /// The configuration as it is.
    pub present: Point,
    /// What to change, and what that saves; `None` where nothing is better.
    pub recommended: Option<Recommended>,
    /// How many combinations were tried.
    pub tried: usize,
    /// How many `check` would refuse.
    pub refused: usize,
    /// How many were left when it was interrupted.
    pub left: usize,
}

/// Settings that are better than the present ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommended {
    /// The values, by key, as the file would have them.
    pub set: BTreeMap<String, String>,
    /// What they save.
    pub saves: Saved,
}

/// A difference to the present configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Saved {
    /// Fewer hours of instances.
    pub instance_hours: f64,
    /// Fewer minutes short.
    pub minutes_short: f64,
}

/// Axes that cannot be searched.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// There are more combinations than can be tried.
    #[error("try {0} combinations: at most {MOST} are tried; widen a step")]
    TooMany(usize),
    /// A key leads nowhere.
    #[error("set {key}: {what}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// No combination is a configuration; the mistakes of the first one.
    #[error("find a combination that check accepts; with {settings}: {problems}")]
    AllRefused {
        /// The first combination.
        settings: String,
        /// Its mistakes.
        problems: String,
    },
    /// A key changes what is read from Prometheus.
    #[error(
        "tune {0}: it changes what is read from Prometheus; write a second configuration and compare with --against"
    )]
    OtherHistory(String),
}

/// What is searched in.
pub struct Search<'a> {
    /// The configuration file.
    pub variant: &'a Variant,
    /// The configuration as it is.
    pub present: &'a Config,
    /// The groups, each with the place of its fleet in the configuration.
    pub groups: &'a [(usize, &'a GroupHistory)],
    /// What is replayed.
    pub span: Span,
    /// What is assumed.
    pub assumptions: Assumptions,
}

/// What a worker made of a combination.
enum Tried {
    Refused(String),
    OtherHistory,
    Point(Point),
    Left,
}

/// What a configuration reads from Prometheus.
fn reads(config: &Config) -> Vec<(&[String], Vec<Period>, &GroupSelector, &InstanceSeries)> {
    let reads =
        |fleet: &'_ Fleet| -> Vec<Period> { fleet.policy.policies.iter().map(|it| it.period).collect() };
    let of = |fleet| (fleet, reads(fleet));
    config
        .fleets
        .iter()
        .map(of)
        .map(|(fleet, periods)| (&*fleet.expressions, periods, &fleet.asg, &fleet.instances))
        .collect()
}

impl Search<'_> {
    /// Tries every combination on all cores, until `stop`. `progress` is told how many are done, and of how many.
    pub fn run(
        &self,
        axes: &[Axis],
        stop: &AtomicBool,
        progress: impl Fn(u64, u64) + Sync,
    ) -> Result<Tuned, TuneError> {
        let count = axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
        let count = count.unwrap_or(usize::MAX);
        if count > MOST {
            return Err(TuneError::TooMany(count));
        }
        self.check_keys(axes)?;
        if let Some((_, twice)) =
            axes.iter().enumerate().find(|(place, axis)| axes[..*place].iter().any(|it| it.key == axis.key))
        {
            let what = "it is given twice; write all its values into one --tune".to_owned();
            return Err(TuneError::Key { key: twice.key.clone(), what });
        }
        // Only fleets that a key names can differ.
        let is_named = |place: usize, axis: &Axis| {
            axis.key.split('.').next() == Some(self.present.fleets[place].name.as_str())
        };
        if let Some(axis) =
            axes.iter().find(|axis| !self.groups.iter().any(|(place, _)| is_named(*place, axis)))
        {
            let what = "no group of its fleet is replayed".to_owned();
            return Err(TuneError::Key { key: axis.key.clone(), what });
        }
        let groups = self.groups.iter().filter(|(place, _)| axes.iter().any(|axis| is_named(*place, axis)));
        let groups: Vec<_> = groups.copied().collect();
        let present = self.point(self.present, &groups, BTreeMap::new());
        let combinations: Vec<Settings> = (0..count).map(|number| combination(axes, number)).collect();
        let done = AtomicUsize::new(0);
        let tried: Vec<Tried> = combinations
            .par_iter()
            .map(|settings| {
                if stop.load(Ordering::Relaxed) {
                    return Tried::Left;
                }
                let tried = self.attempt(settings, &groups);
                progress(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, count as u64);
                tried
            })
            .collect();
        let mut points = Vec::new();
        let (mut refused, mut left, mut first) = (0, 0, None);
        for (tried, settings) in tried.into_iter().zip(&combinations) {
            match tried {
                Tried::Point(point) => points.push(point),
                Tried::Left => left += 1,
                Tried::OtherHistory => {
                    let keys: Vec<_> = axes.iter().map(|axis| axis.key.as_str()).collect();
                    return Err(TuneError::OtherHistory(keys.join(", ")));
                }
                Tried::Refused(problems) => {
                    refused += 1;
                    first.get_or_insert((settings, problems));
                }
            }
        }
        if let (true, 0, Some((settings, problems))) = (points.is_empty(), left, first) {
            let settings: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
            return Err(TuneError::AllRefused { settings: settings.join(", "), problems });
        }
        let tried = points.len();
        let front = front(points);
        let is_measured = |(place, _): &(usize, &GroupHistory)| {
            self.present.fleets[*place]
                .policy
                .policies
                .iter()
                .any(|policy| policy.rule(Direction::Out).is_some())
        };
        let recommended = if groups.iter().any(is_measured) { recommend(&front, &present) } else { None };
        Ok(Tuned { front, present, recommended, tried, refused, left })
    }

    /// Whether each key leads somewhere.
    fn check_keys(&self, axes: &[Axis]) -> Result<(), TuneError> {
        for Axis { key, values } in axes {
            let value = values.first().map(String::as_str).unwrap_or_default();
            self.variant
                .clone()
                .set(key, value)
                .map_err(|error| TuneError::Key { key: key.clone(), what: error.to_string() })?;
        }
        Ok(())
    }

    fn attempt(&self, settings: &Settings, groups: &[(usize, &GroupHistory)]) -> Tried {
        let mut variant = self.variant.clone();
        let mut set = BTreeMap::new();
        for (key, value) in settings {
            match variant.set(key, value) {
                Ok(written) => set.insert(key.clone(), written),
                Err(error) => return Tried::Refused(error.to_string()),
            };
        }
        match variant.config() {
            Ok(config) if reads(&config) != reads(self.present) => Tried::OtherHistory,
            Ok(config) => Tried::Point(self.point(&config, groups, set)),
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Tried::Refused(problems.join("; "))
            }
        }
    }

    /// What came of a configuration, of these groups.
    fn point(
        &self,
        config: &Config,
        groups: &[(usize, &GroupHistory)],
        set: BTreeMap<String, String>,
    ) -> Point {
        let simulated = |(place, group): &(usize, &GroupHistory)| {
            let yardstick = Yardstick::new(&self.present.fleets[*place], group);
            let outcome = group.replay(&config.fleets[*place], yardstick, self.span, self.assumptions);
            outcome.map(|outcome| outcome.simulated)
        };
        let figures: Vec<Figures> = groups.iter().filter_map(simulated).collect();
        let sum = Figures::sum(&figures);
        let present = set.iter().all(|(key, value)| self.variant.get(key) == Some(value));
        Point { set, instance_hours: sum.instance_hours, minutes_short: sum.minutes_short, present }
    }
}

/// The combination of a number: its digits, the last axis first.
fn combination(axes: &[Axis], mut number: usize) -> Settings {
    let digit = |axis: &Axis| {
        let value = axis.values[number % axis.values.len()].clone();
        number /= axis.values.len();
        (axis.key.clone(), value)
    };
    let mut settings: Settings = axes.iter().rev().map(digit).collect();
    settings.reverse();
    settings
}

/// Whether one point is at least as good in both respects, and better in one.
fn beats(one: &Point, other: &Point) -> bool {
    let no_worse = one.instance_hours <= other.instance_hours && one.minutes_short <= other.minutes_short;
    no_worse && (one.instance_hours < other.instance_hours || one.minutes_short < other.minutes_short)
}

/// The points that none beats, cheapest first; of several with the same figures the present one, else the first.
fn front(mut points: Vec<Point>) -> Vec<Point> {
    let order = |one: &Point, other: &Point| {
        let hours = one.instance_hours.total_cmp(&other.instance_hours);
        hours.then(one.minutes_short.total_cmp(&other.minutes_short)).then(other.present.cmp(&one.present))
    };
    points.sort_by(order);
    let mut front: Vec<Point> = Vec::new();
    for point in points {
        if front.last().is_none_or(|last| point.minutes_short < last.minutes_short) {
            front.push(point);
        }
    }
    front
}

/// The cheapest point that lacks no more than the present configuration does; where none is cheaper, the one that lacks
/// least and costs no more.
fn recommend(front: &[Point], present: &Point) -> Option<Recommended> {
    let cheaper = front.iter().find(|point| point.minutes_short <= present.minutes_short);
    let cheaper = cheaper.filter(|point| point.instance_hours < present.instance_hours * (1.0 - WORTH));
    let better = front.iter().rev().find(|point| point.instance_hours <= present.instance_hours);
    let better = better.filter(|point| point.minutes_short < present.minutes_short * (1.0 - WORTH));
    let point = cheaper.or(better).filter(|point| beats(point, present))?;
    let saves = Saved {
        instance_hours: present.instance_hours - point.instance_hours,
        minutes_short: present.minutes_short - point.minutes_short,
    };
    Some(Recommended { set: point.set.clone(), saves })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("jvb.stress.scale_out.when=0.1..0.3/0.1", &["0.1", "0.2", "0.3"]; "fractions")]
    #[test_case("jvb.stress.scale_out.cooldown=5m..15m/5m", &["5m", "10m", "15m"]; "a unit")]
    #[test_case("jvb.victims.order=oldest,newest", &["oldest", "newest"]; "words")]
    #[test_case("jvb.capacity.min=2..3/5", &["2"]; "a step beyond the end")]
    fn values_of_a_key_are_listed(text: &str, values: &[&str]) {
        assert_eq!(text.parse::<Axis>().expect("an axis").values, values);
    }

    #[test_case("jvb=1"; "no key")]
    #[test_case("jvb.warmup"; "no value")]
    #[test_case("jvb.warmup=1m..3m"; "no step")]
    #[test_case("jvb.warmup=1m..300s/1m"; "two units")]
    #[test_case("jvb.warmup=3m..1m/1m"; "downwards")]
    #[test_case("jvb.warmup=1..2/0"; "a step of nothing")]
    #[test_case("jvb.warmup=0..1e9/1"; "an exponent")]
    fn other_texts_are_refused(text: &str) {
        assert!(text.parse::<Axis>().is_err());
    }

    #[test]
    fn every_combination_comes_once_with_the_last_key_fastest() {
        let axes = ["a.x=1,2", "a.y=3,4,5"].map(|text| text.parse::<Axis>().expect("an axis"));
        let all: Vec<_> = (0..6)
            .map(|number| combination(&axes, number).into_iter().map(|(_, value)| value).collect::<String>())
            .collect();
        assert_eq!(all, ["13", "14", "15", "23", "24", "25"]);
    }

    fn point(hours: u8, short: u8, present: bool) -> Point {
        Point { set: BTreeMap::new(), instance_hours: hours.into(), minutes_short: short.into(), present }
    }

    #[test]
    fn what_lacks_no_more_and_costs_less_is_recommended() {
        let front = [point(10, 90, false), point(20, 30, false), point(30, 5, false)];
        let saves =
            |present| recommend(&front, &present).map(|it| (it.saves.instance_hours, it.saves.minutes_short));
        assert_eq!(saves(point(40, 30, true)), Some((20.0, 0.0)), "cheaper");
        assert_eq!(saves(point(40, 4, true)), None, "nothing lacks so little");
        assert_eq!(saves(point(20, 40, true)), Some((0.0, 10.0)), "better for the same");
        assert_eq!(saves(point(20, 30, true)), None, "the same");
    }

    proptest! {
        #[test]
        fn nothing_beats_a_point_of_the_front(figures in proptest::collection::vec((0_u8..20, 0_u8..20, any::<bool>()), 1..60)) {
            let points: Vec<_> = figures.into_iter().map(|(hours, short, present)| point(hours, short, present)).collect();
            let front = front(points.clone());
            prop_assert!(!front.is_empty());
            for kept in &front {
                prop_assert!(!points.iter().any(|point| beats(point, kept)));
            }
            for point in &points {
                prop_assert!(front.iter().any(|kept| beats(kept, point) || (kept.instance_hours, kept.minutes_short) == (point.instance_hours, point.minutes_short)));
            }
        }
    }
}
