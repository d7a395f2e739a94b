//! M of N over a window with holes: datapoints → [`Verdict`].
//!
//! Owns the evaluation of CloudWatch (Amazon CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing
//! data"), stated exactly, and its stricter form for scale-in. It has no memory: the same points give the same verdict.

use super::capacity;
use super::observation::Series;
use super::policy::{Missing, Rule, TargetRule};
use crate::units::Capacity;

jitsi_web::words! {
    /// What a window says about one direction of a policy.
    pub enum Verdict {
        /// Enough is known, and no action is due.
        Ok = "ok",
        /// The rule breaches for long enough.
        Alarm = "alarm",
        /// Nothing is known.
        Unknown = "unknown",
    }
}

/// The verdict of `rule` for scale-out over the newest points of `series`.
#[must_use]
pub fn scale_out(rule: &Rule, series: &Series) -> Verdict {
    let needed = rule.window.breaching();
    let periods = rule.window.periods();
    let seen = Seen::of(rule, series);
    if seen.real == 0 {
        return match rule.missing {
            Missing::Hold => Verdict::Unknown,
            Missing::Breaching => Verdict::Alarm,
            Missing::NotBreaching => Verdict::Ok,
        };
    }
    let filled = match rule.missing {
        Missing::Breaching => periods.saturating_sub(seen.real),
        Missing::Hold | Missing::NotBreaching => 0,
    };
    // With data too young or too thin for N points, breaches that reach back M points are not premature.
    let old_enough = rule.missing == Missing::Hold
        && seen.real < periods
        && seen.breaches_in_range == seen.real_in_range
        && seen.oldest >= needed;
    if seen.breaches + filled >= needed || old_enough { Verdict::Alarm } else { Verdict::Ok }
}

/// The verdict of `rule` for scale-in: as [`scale_out`], but on real points only. An alarm needs M real breaching
/// points among the newest N of the grid, and a real newest point.
#[must_use]
pub fn scale_in(rule: &Rule, series: &Series) -> Verdict {
    let verdict = scale_out(rule, series);
    if verdict != Verdict::Alarm {
        return verdict;
    }
    let breaches =
        series.newest(rule.window.periods()).flatten().filter(|&value| rule.when.holds(value)).count();
    if breaches >= rule.window.breaching() && series.last().is_some() { Verdict::Alarm } else { Verdict::Ok }
}

/// What one direction of a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Alarm where it wants a change.
    pub verdict: Verdict,
    /// The capacity that it wants; the present one unless in alarm.
    pub wish: Capacity,
}

/// The scale-out of a series of wanted capacities: to the smallest of the newest N points, if that is above `capacity`.
/// A missing point stops it.
#[must_use]
pub fn target_out(target_rule: TargetRule, series: &Series, capacity: Capacity) -> Target {
    target(target_rule, series, capacity, Iterator::min, |wish| wish > capacity)
}

/// The scale-in of a series of wanted capacities: to the largest of the newest N points, if that is below `capacity`.
/// A missing point stops it.
#[must_use]
pub fn target_in(target_rule: TargetRule, series: &Series, capacity: Capacity) -> Target {
    target(target_rule, series, capacity, Iterator::max, |wish| wish < capacity)
}

fn target(
    target_rule: TargetRule,
    series: &Series,
    capacity: Capacity,
    choose: impl FnOnce(std::vec::IntoIter<Capacity>) -> Option<Capacity>,
    is_change: impl FnOnce(Capacity) -> bool,
) -> Target {
    let wanted: Option<Vec<Capacity>> =
        series.newest(usize::from(target_rule.periods)).map(|point| point.map(capacity::wanted)).collect();
    match wanted.and_then(|wanted| choose(wanted.into_iter())) {
        Some(wish) if is_change(wish) => Target { verdict: Verdict::Alarm, wish },
        Some(_) => Target { verdict: Verdict::Ok, wish: capacity },
        None => Target { verdict: Verdict::Unknown, wish: capacity },
    }
}

/// What an evaluation range holds.
struct Seen {
    /// Real points that count: at most the newest N.
    real: usize,
    /// Breaches among those.
    breaches: usize,
    /// Real points in the whole range.
    real_in_range: usize,
    /// Breaches in the whole range.
    breaches_in_range: usize,
    /// How many points back the oldest real one is; the newest grid point is one back.
    oldest: usize,
}

impl Seen {
    fn of(rule: &Rule, series: &Series) -> Self {
        let mut seen = Self { real: 0, breaches: 0, real_in_range: 0, breaches_in_range: 0, oldest: 0 };
        for (index, point) in series.newest(rule.window.range()).rev().enumerate() {
            let Some(value) = point else { continue };
            let breach = usize::from(rule.when.holds(value));
            seen.real_in_range += 1;
            seen.breaches_in_range += breach;
            seen.oldest = index + 1;
            if seen.real < rule.window.periods() {
                seen.real += 1;
                seen.breaches += breach;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_case::test_case;

    use super::*;
    use crate::decide::policy::{Adjustment, Amount, Comparison, Operator, Window};
    use crate::units::{Capacity, Period, Time};

    /// A rule "≥ 1", and a strip where `x` breaches, `0` does not and `-` is missing.
    fn case(strip: &str, n: u16, m: u16, missing: Missing) -> (Rule, Series) {
        let rule = Rule {
            when: Comparison::try_new(Operator::GreaterOrEqual, 1.0).expect("finite"),
            window: Window::try_new(n, m).expect("a window"),
            missing,
            adjustment: Adjustment::By(Amount::Count(Capacity::try_new(1).expect("one"))),
            cooldown: Duration::ZERO,
        };
        let points = strip
            .chars()
            .map(|mark| match mark {
                'x' => Some(1.0),
                '0' => Some(0.0),
                _ => None,
            })
            .collect();
        let period = Period::try_new(Duration::from_mins(1)).expect("a minute");
        (rule, Series { end: Time::from_unix(0), period, points, fresh: true, answered: true })
    }

    // The range of N = 3 is five points, as in the tables of the CloudWatch User Guide.
    #[test_case("0-x-x", 3, Missing::Hold, Verdict::Ok; "three real points, one fine")]
    #[test_case("0xx-x", 3, Missing::Hold, Verdict::Alarm; "three real breaches beside a gap")]
    #[test_case("----0", 3, Missing::Hold, Verdict::Ok; "one fine point")]
    #[test_case("-----", 3, Missing::Hold, Verdict::Unknown; "nothing, hold")]
    #[test_case("-----", 3, Missing::Breaching, Verdict::Alarm; "nothing, breaching")]
    #[test_case("-----", 3, Missing::NotBreaching, Verdict::Ok; "nothing, not breaching")]
    #[test_case("--x--", 3, Missing::Hold, Verdict::Alarm; "one breach, old enough")]
    #[test_case("---x-", 3, Missing::Hold, Verdict::Ok; "one breach, premature")]
    #[test_case("----x", 3, Missing::Hold, Verdict::Ok; "one breach just now, premature")]
    #[test_case("--x--", 3, Missing::Breaching, Verdict::Alarm; "one breach and two filled")]
    #[test_case("----0", 3, Missing::Breaching, Verdict::Ok; "one fine and two filled")]
    #[test_case("--x--", 3, Missing::NotBreaching, Verdict::Ok; "one breach among fine ones")]
    #[test_case("xx--x", 3, Missing::NotBreaching, Verdict::Alarm; "three real breaches, far apart")]
    #[test_case("0----", 3, Missing::Hold, Verdict::Ok; "one old fine point")]
    #[test_case("00xxx", 3, Missing::Hold, Verdict::Alarm; "older points than N do not count")]
    fn all_of_n(strip: &str, n: u16, missing: Missing, expected: Verdict) {
        let (rule, series) = case(strip, n, n, missing);
        assert_eq!(scale_out(&rule, &series), expected);
    }

    #[test_case("0-x-x", Missing::Hold, Verdict::Alarm; "two of three")]
    #[test_case("00x0x", Missing::Hold, Verdict::Alarm; "two of the newest three")]
    #[test_case("0-x--", Missing::Hold, Verdict::Ok; "one breach, one fine")]
    #[test_case("0-x--", Missing::Breaching, Verdict::Alarm; "one breach, one filled")]
    #[test_case("----x", Missing::Hold, Verdict::Ok; "one breach, premature")]
    #[test_case("---x-", Missing::Hold, Verdict::Alarm; "one breach, two points old")]
    #[test_case("xx000", Missing::Hold, Verdict::Ok; "breaches that have passed")]
    fn two_of_three(strip: &str, missing: Missing, expected: Verdict) {
        let (rule, series) = case(strip, 3, 2, missing);
        assert_eq!(scale_out(&rule, &series), expected);
    }

    #[test_case("0xxxxxxxxx", 10, Verdict::Ok; "nine of ten")]
    #[test_case("xxxxxxxxxx", 10, Verdict::Alarm; "ten of ten")]
    #[test_case("xxxxx0xxxxxxxxx", 10, Verdict::Ok; "a dip starts again")]
    fn a_long_window(strip: &str, n: u16, expected: Verdict) {
        let (rule, series) = case(strip, n, n, Missing::Hold);
        assert_eq!(scale_out(&rule, &series), expected);
    }

    /// The verdicts of all modes in the order hold, breaching, not breaching, as letters.
    fn letters(judge: fn(&Rule, &Series) -> Verdict, strip: &str) -> String {
        let modes = [Missing::Hold, Missing::Breaching, Missing::NotBreaching];
        let verdicts = modes.map(|missing| {
            let (rule, series) = case(strip, 3, 3, missing);
            judge(&rule, &series).as_str().chars().next().expect("a word")
        });
        verdicts.into_iter().collect()
    }

    /// Three of three, in a range of five points that all breach but for a gap. Worked out by hand from the rules: with
    /// three real points the newest three count; with fewer, `breaching` and `not_breaching` fill up, and `hold` needs
    /// a real point that is three points old.
    #[test_case("-xxxx", "aaa", "aaa")]
    #[test_case("x-xxx", "aaa", "aaa")]
    #[test_case("xx-xx", "aaa", "ooo")]
    #[test_case("xxx-x", "aaa", "ooo")]
    #[test_case("xxxx-", "aaa", "ooo")]
    #[test_case("--xxx", "aaa", "aaa")]
    #[test_case("x--xx", "aaa", "ooo"; "as when Prometheus was restarted in between")]
    #[test_case("xx--x", "aaa", "ooo")]
    #[test_case("xxx--", "aaa", "ooo")]
    #[test_case("---xx", "oao", "ooo")]
    #[test_case("x---x", "aao", "ooo")]
    #[test_case("xx---", "aao", "ooo")]
    #[test_case("----x", "oao", "ooo")]
    #[test_case("x----", "aao", "ooo")]
    #[test_case("-----", "uao", "uoo")]
    fn every_position_of_a_gap_in_every_mode(strip: &str, out: &str, in_: &str) {
        assert_eq!((letters(scale_out, strip).as_str(), letters(scale_in, strip).as_str()), (out, in_));
    }

    #[test_case("xxxxx", 3, 3, Missing::Hold, Verdict::Alarm; "seen throughout")]
    #[test_case("xxx--", 3, 3, Missing::Hold, Verdict::Ok; "the newest points are missing")]
    #[test_case("xx-xx", 3, 3, Missing::Hold, Verdict::Ok; "three real breaches, only two in the newest three")]
    #[test_case("xx-xx", 3, 2, Missing::Hold, Verdict::Alarm; "two of the newest three")]
    #[test_case("xxxx-", 3, 2, Missing::Hold, Verdict::Ok; "the newest point is missing")]
    #[test_case("--x--", 3, 3, Missing::Hold, Verdict::Ok; "one old breach is never enough")]
    #[test_case("-----", 3, 3, Missing::Hold, Verdict::Unknown; "nothing is unknown")]
    #[test_case("-----", 3, 3, Missing::NotBreaching, Verdict::Ok; "nothing counts as fine")]
    fn scale_in_needs_real_points(strip: &str, n: u16, m: u16, missing: Missing, expected: Verdict) {
        let (rule, series) = case(strip, n, m, missing);
        assert_eq!(scale_in(&rule, &series), expected);
    }
}
