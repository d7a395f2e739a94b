//! What each policy wants: its window → a verdict per direction, and a capacity.

use super::alarm::{self, Target, Verdict};
use super::capacity;
use super::decision::{Figures, Outcome};
use super::observation::Series;
use super::policy::{Direction, Policy, Rules};
use super::reasons::Reason;
use super::step::Input;
use crate::units::Capacity;

/// The outcome of every policy in the fleet's order, and why some want no more than they do.
pub(super) fn judge(input: &Input<'_>) -> (Vec<Outcome>, Vec<Reason>) {
    let mut reasons = Vec::new();
    let outcomes = input.fleet.policies.iter().enumerate().map(|(index, policy)| {
        let (outcome, why) = outcome(policy, index, input.observation.windows.get(index), &input.figures);
        reasons.extend(why);
        outcome
    });
    (outcomes.collect(), reasons)
}

fn outcome(
    policy: &Policy,
    index: usize,
    series: Option<&Series>,
    figures: &Figures,
) -> (Outcome, Vec<Reason>) {
    // An alert may well fire where its query failed.
    let is_known = |series: &&Series| series.answered || !matches!(policy.rules, Rules::Alert { .. });
    let Some(series) = series.filter(is_known) else {
        let verdict = |direction| policy.acts(direction).then_some(Verdict::Unknown);
        let outcome = Outcome {
            scale_out: verdict(Direction::Out),
            scale_in: verdict(Direction::In),
            wish: Some(figures.capacity),
        };
        return (outcome, vec![Reason::Unknown { policy: index }]);
    };
    let (out, no_more) = wish_out(policy, index, series, figures).unzip();
    let (in_, no_less) = wish_in(policy, index, series, figures).unzip();
    let (wish, reason) = match (out, in_) {
        (Some(out), _) if out.verdict == Verdict::Alarm && series.fresh => {
            (Some(out.wish.max(figures.capacity)), None)
        }
        (Some(out), _) if out.verdict == Verdict::Alarm => {
            (Some(figures.capacity), Some(Reason::BetweenPoints { policy: index }))
        }
        (Some(Target { verdict: Verdict::Unknown, .. }), _)
        | (_, Some(Target { verdict: Verdict::Unknown, .. })) => {
            (Some(figures.capacity), Some(Reason::Unknown { policy: index }))
        }
        (_, Some(in_)) => (Some(in_.wish.min(figures.capacity)), None),
        (_, None) => (None, None),
    };
    let verdict = |target: Option<Target>| target.map(|target| target.verdict);
    let outcome = Outcome { scale_out: verdict(out), scale_in: verdict(in_), wish };
    let reasons = [no_more.flatten(), no_less.flatten(), reason];
    (outcome, reasons.into_iter().flatten().collect())
}

/// What the scale-out of a policy wants, and why it is no more; `None` where the policy has none.
fn wish_out(
    policy: &Policy,
    index: usize,
    series: &Series,
    figures: &Figures,
) -> Option<(Target, Option<Reason>)> {
    if let Some(target_rule) = policy.target_rule(Direction::Out) {
        return Some((alarm::target_out(target_rule, series, figures.capacity), None));
    }
    let rule = policy.rule(Direction::Out)?;
    let verdict = alarm::scale_out(rule, series);
    let stay = Target { verdict, wish: figures.capacity };
    if verdict != Verdict::Alarm {
        return Some((stay, None));
    }
    // Instances that boot will bring their share. Adjustments start from what is ready meanwhile, so they never add up.
    let booting = figures.warming > Capacity::ZERO;
    let base = if booting { figures.ready } else { figures.capacity };
    let Some(wish) = capacity::raised(rule, base, series.newest_real()) else {
        return Some((stay, Some(Reason::NoStep { policy: index })));
    };
    let is_coming = booting && wish <= figures.capacity;
    Some((Target { verdict, wish }, is_coming.then_some(Reason::Warming(figures.warming))))
}

/// As [`wish_out`], for the scale-in of a policy.
fn wish_in(
    policy: &Policy,
    index: usize,
    series: &Series,
    figures: &Figures,
) -> Option<(Target, Option<Reason>)> {
    if let Some(target_rule) = policy.target_rule(Direction::In) {
        return Some((alarm::target_in(target_rule, series, figures.capacity), None));
    }
    let rule = policy.rule(Direction::In)?;
    let verdict = alarm::scale_in(rule, series);
    let stay = Target { verdict, wish: figures.capacity };
    if verdict != Verdict::Alarm {
        return Some((stay, None));
    }
    match capacity::lowered(rule, figures.capacity, series.newest_real()) {
        Some(wish) => Some((Target { verdict, wish }, None)),
        None => Some((stay, Some(Reason::NoStep { policy: index }))),
    }
}
