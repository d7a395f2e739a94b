//! One entry of `policies:`.
//!
//! Owns the keys of threshold, alert and desired policies, and the checks of one against itself.

use std::time::Duration;

use jitsi_web::document::{Field, Place, Problems, Wait};
use promql_parser::parser::Expr;

use super::model::{GroupSelector, Groups};
use super::parse::{amount, comparison, number, periods, unique, warn_above, whole, whole_seconds};
use super::promql::{self, Foregone};
use super::raw::{RawPolicy, RawRule, RawStep, Sections, Text};
use crate::decide::observation::Bounds;
use crate::decide::policy::{
    Adjustment, Amount, Comparison, Direction, Measures, Missing, Operator, Policy, Rule, Rules, Step,
    TargetRule, Window,
};
use crate::units::{Capacity, Period, PolicyName};

/// As an Auto Scaling group's own default cooldown.
const DEFAULT_COOLDOWN: Duration = Duration::from_mins(5);
/// As CloudWatch's usual period.
const DEFAULT_PERIOD: Duration = Duration::from_mins(1);
/// How many periods an alert must fire, or a capacity be wanted, by default.
const DEFAULT_PERIODS: u16 = 1;
/// A cooldown above this outlasts a morning's rise of load.
const LONG_COOLDOWN: Duration = Duration::from_hours(12);

/// Reads a policy and its PromQL; `others` are those above it in the fleet, whose groups `selector` names and whose
/// capacity is within `limits`.
pub(super) fn read(
    raw: Field<RawPolicy>,
    others: &[Policy],
    selector: Option<&GroupSelector>,
    limits: Bounds,
    problems: &Problems,
) -> Option<(Policy, String)> {
    let (at, raw) = raw.open()?;
    let name = raw.name.required(problems, "stress");
    let is_taken = |name: &str| others.iter().any(|other| other.name.as_str() == name);
    let name = unique(name, problems, "policy of this fleet", is_taken);
    let period = raw.period.convert(problems, |Wait(length)| {
        Period::try_new(length)
            .ok_or_else(|| "must be whole seconds, at least 1s and at most 1d; the default is 60s".to_owned())
    });
    let period = Period::try_new(DEFAULT_PERIOD).and_then(|default| period.or(default));
    if raw.scale_out.is_absent() && raw.scale_in.is_absent() {
        at.wrong(problems, "has neither `scale_out` nor `scale_in`; without one it does nothing");
    }
    let (has_expr, has_desired) = (!raw.expr.is_absent(), !raw.desired.is_absent());
    if !has_expr {
        raw.measures.refuse(problems, "belongs to `expr` only; leave it out");
    }
    let measures = raw.measures.one_of(problems, &Measures::WORDS).take().unwrap_or(Measures::Other);
    let kinds = [has_expr, has_desired, !raw.alert.is_absent()].iter().filter(|given| **given).count();
    if kinds != 1 {
        let text = if kinds == 0 {
            "needs one of `expr`, `desired` or `alert`; write for example `expr: asg:jvb_stress:avg`"
        } else {
            "has several of `expr`, `desired` and `alert`; write a policy for each"
        };
        at.wrong(problems, text);
        // Whatever kind was meant, a rule with a threshold can be judged.
        let has_threshold = |rule: &Field<RawRule>| rule.get().is_some_and(|rule| !rule.when.is_absent());
        if has_threshold(&raw.scale_out) || has_threshold(&raw.scale_in) {
            let _ = thresholds(&at, [raw.scale_out, raw.scale_in], measures, None, problems);
        }
        return None;
    }
    let (expression, rules) = if has_expr {
        let parsed = expression(raw.expr, selector, problems);
        let expr = parsed.as_ref().map(|(_, expr)| expr);
        let rules = thresholds(&at, [raw.scale_out, raw.scale_in], measures, expr, problems);
        (parsed.map(|(text, _)| text), Some(rules))
    } else if has_desired {
        let expression = expression(raw.desired, selector, problems).map(|(text, _)| text);
        let [scale_out, scale_in] = [raw.scale_out, raw.scale_in].map(|rule| target_rule(rule, problems));
        (expression, Some(Rules::Desired { scale_out, scale_in }))
    } else {
        let rules = alert(&at, raw.scale_out, raw.scale_in, problems);
        (alert_expression(raw.alert, selector, problems), rules)
    };
    if let Some(rules) = &rules {
        judge_capacities(&at, rules, limits, problems);
    }
    let policy = Policy { name: PolicyName::new(&name.take()?), period: period?, measures, rules: rules? };
    Some((policy, expression?))
}

/// PromQL as it is written and as it is parsed. Notes results that no group could use, as far as the text shows them.
fn expression(raw: Text, selector: Option<&GroupSelector>, problems: &Problems) -> Option<(String, Expr)> {
    let (at, (text, expr)) =
        raw.convert(problems, |text| promql::parse(&text).map(|expr| (text, expr))).open()?;
    if let Some(counter) = promql::counter(&expr) {
        let text = format!(
            "{counter} is a counter and only grows while its process runs; write for example rate({counter}[2m])"
        );
        at.wrong(problems, text);
    }
    if promql::filters(&expr) {
        let text = "is a comparison, which leaves out the points that do not pass: they count as missing; leave it out, and \
                    compare with `when`";
        at.warn(problems, text);
    }
    if let Some(selector @ GroupSelector { groups, regions, label, region_label, .. }) = selector {
        let loses_label = promql::loses(&expr, label);
        if let Some(region) = region_label.as_ref().filter(|region| promql::loses(&expr, region))
            && !loses_label
        {
            let text = format!(
                "gives series without the label `{region}` that `{}` names; write for example avg by ({label}, {region}) (…)",
                selector.keys()[3]
            );
            at.wrong(problems, text);
        }
        // Whether the named groups exist is unknown here; a single one needs no label.
        let is_one = matches!(groups, Groups::Names(names) if names.len() == 1) && regions.len() < 2;
        if loses_label && !is_one {
            let text = format!(
                "gives series without the label `{label}`, which can be used only while the fleet is a single group; \
                 write for example avg by ({label}) (…)"
            );
            at.warn(problems, text);
        }
    }
    Some((text, expr))
}

/// PromQL that is 1 for each group for which the alert fires.
fn alert_expression(raw: Text, selector: Option<&GroupSelector>, problems: &Problems) -> Option<String> {
    let name = raw.convert(problems, |name| {
        if promql::is_metric_name(&name) {
            Ok(name)
        } else {
            Err(format!("\"{name}\" is not the name of an alert"))
        }
    });
    let name = name.take()?;
    let label = selector.map_or("asg", |selector| selector.label.as_str());
    let region = selector.and_then(|selector| selector.region_label.as_ref());
    let by = region.map_or_else(|| label.to_owned(), |region| format!("{label}, {region}"));
    // An alert has a series for each of its label sets; the question is which groups it fires for.
    Some(format!("max by ({by}) (ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}})"))
}

fn thresholds(
    at: &Place,
    [scale_out, scale_in]: [Field<RawRule>; 2],
    measures: Measures,
    expr: Option<&Expr>,
    problems: &Problems,
) -> Rules {
    let scale_out = threshold(scale_out, Direction::Out, expr, problems);
    let scale_in = threshold(scale_in, Direction::In, expr, problems);
    if let (Some(out), Some(in_)) = (&scale_out, &scale_in)
        && let Some(value) = out.when.overlap(in_.when)
    {
        let text = format!(
            "the value {value} satisfies both scale_out ({}) and scale_in ({}), so the group would never come to rest; move the thresholds apart",
            out.when, in_.when
        );
        at.wrong(problems, text);
    }
    // The kind of value decides on which side of a threshold it calls for more.
    let out_above = match measures {
        Measures::Load => Some(true),
        Measures::Idle => Some(false),
        Measures::Other => None,
    };
    for (rule, key, above) in
        [(&scale_out, "scale_out", out_above), (&scale_in, "scale_in", out_above.map(|above| !above))]
    {
        if let (Some(rule), Some(above)) = (rule, above)
            && rule.when.is_above() != above
        {
            let (word, sign) = if above { ("above", ">= or >") } else { ("below", "<= or <") };
            let text = format!(
                "`{key}` ({}) points the wrong way: with what `measures` says, it must be {word} a threshold; write {sign}",
                rule.when
            );
            at.wrong(problems, text);
        }
    }
    Rules::Threshold { scale_out, scale_in }
}

fn threshold(
    raw: Field<RawRule>,
    direction: Direction,
    expr: Option<&Expr>,
    problems: &Problems,
) -> Option<Rule> {
    let (at, raw) = raw.open()?;
    let is_out = direction == Direction::Out;
    let example = if is_out { "\">= 0.6\"" } else { "\"<= 0.2\"" };
    let when = raw.when.required(problems, example).convert(problems, |text| comparison(&text));
    match when.get().zip(expr).and_then(|(comparison, expr)| promql::foregone(expr, *comparison)) {
        // One more at any value ends at the maximum, and may be intended; one less at any value is not.
        Some(Foregone::AlwaysTrue(text)) if is_out => when.place().warn(problems, text),
        Some(Foregone::AlwaysTrue(text) | Foregone::NeverTrue(text)) => when.place().wrong(problems, text),
        None => {}
    }
    let n = raw.periods.required(problems, "10").convert(problems, |text| periods(&text)).take();
    let m = raw.breaching.convert(problems, |text| match (periods(&text)?, n) {
        (m, Some(n)) if m > n => Err(format!("is {m}, more than the {n} periods of the window")),
        (m, _) => Ok(m),
    });
    let missing = raw.missing.one_of(problems, &Missing::WORDS).check(
        problems,
        |missing| is_out || *missing != Missing::Breaching,
        "must not be breaching here: missing data must never remove an instance; write hold",
    );
    let adjustment = adjustment(&at, [raw.add, raw.remove, raw.set], raw.steps, direction, problems);
    if let (Some(Adjustment::Steps(steps)), Some(when)) = (&adjustment, when.get())
        && let Some(text) = uncovered(steps, *when)
    {
        at.wrong(problems, text);
    }
    let cooldown = cooldown(raw.cooldown, problems);
    Some(Rule {
        when: when.take()?,
        window: Window::try_new(n?, m.or(n?)?)?,
        missing: missing.or(Missing::Hold)?,
        adjustment: adjustment?,
        cooldown,
    })
}

/// The rule of an alert: it fires or not, so that there is nothing to compare and nothing to be missing.
fn alert(at: &Place, out: Field<RawRule>, in_: Field<RawRule>, problems: &Problems) -> Option<Rules> {
    let (direction, raw) = match (out.is_absent(), in_.is_absent()) {
        // A direction that is still an open choice counts as both.
        (false, false) if out.is_wrong() || in_.is_wrong() => return None,
        (false, false) => {
            at.wrong(problems, "one alert cannot call for both directions; write a policy for each");
            return None;
        }
        (false, true) => (Direction::Out, out),
        (true, _) => (Direction::In, in_),
    };
    let (at, raw) = raw.open()?;
    refuse_threshold(&raw, "an alert fires or not: there is nothing to compare; leave this out", problems);
    raw.steps
        .refuse(problems, "an alert has no distance from a threshold; use `add`, `remove` or `set` instead");
    let periods = raw.periods.convert(problems, |text| periods(&text)).or(DEFAULT_PERIODS);
    let has_steps = !raw.steps.is_absent();
    let adjustment = adjustment(&at, [raw.add, raw.remove, raw.set], raw.steps, direction, problems);
    let cooldown = cooldown(raw.cooldown, problems);
    let rule = Rule {
        when: Comparison::try_new(Operator::GreaterOrEqual, 1.0)?,
        window: Window::try_new(periods?, periods?)?,
        missing: Missing::NotBreaching,
        adjustment: adjustment.filter(|_| !has_steps)?,
        cooldown,
    };
    Some(Rules::Alert { direction, rule })
}

fn target_rule(raw: Field<RawRule>, problems: &Problems) -> Option<TargetRule> {
    let (_, raw) = raw.open()?;
    let text = "`desired` gives the capacity itself; leave this out";
    refuse_threshold(&raw, text, problems);
    for change in [raw.add, raw.remove, raw.set] {
        change.refuse(problems, text);
    }
    raw.steps.refuse(problems, text);
    let periods = raw.periods.convert(problems, |text| periods(&text)).or(DEFAULT_PERIODS);
    let cooldown = cooldown(raw.cooldown, problems);
    Some(TargetRule { periods: periods?, cooldown })
}

/// Notes the keys that only a threshold has.
fn refuse_threshold(raw: &RawRule, text: &str, problems: &Problems) {
    for key in [&raw.when, &raw.breaching, &raw.missing] {
        key.refuse(problems, text);
    }
}

fn cooldown(raw: Field<Wait>, problems: &Problems) -> Duration {
    let cooldown = whole_seconds(raw, problems);
    warn_above(&cooldown, problems, LONG_COOLDOWN, "for that long nothing follows the load");
    cooldown.take().map_or(DEFAULT_COOLDOWN, |Wait(cooldown)| cooldown)
}

/// Reads the change of a rule; `add`, `remove` and `set` come in this order.
fn adjustment(
    at: &Place,
    [add, remove, set]: [Text; 3],
    steps: Sections<RawStep>,
    direction: Direction,
    problems: &Problems,
) -> Option<Adjustment> {
    let (verb, by, other) = match direction {
        Direction::Out => ("add", add, remove),
        Direction::In => ("remove", remove, add),
    };
    if !other.is_absent() {
        other.refuse(problems, format!("does not belong here; write `{verb}`"));
        return None;
    }
    let given =
        [!by.is_absent(), !set.is_absent(), !steps.is_absent()].iter().filter(|given| **given).count();
    if given != 1 {
        let text = format!(
            "needs exactly one of `{verb}`, `steps` or `set`, and has {given}; write for example `{verb}: 1`"
        );
        at.wrong(problems, text);
    }
    let by = change(by, direction, problems).check(
        problems,
        |by| {
            !matches!(by, Amount::Count(Capacity::ZERO))
                && !matches!(by, Amount::Share(share) if share.get() <= 0.0)
        },
        "must change something; 0 is allowed in a step",
    );
    let by = by.take().map(Adjustment::By);
    let set = set.convert(problems, |text| whole(&text)).take().map(Adjustment::Set);
    let steps = steps.open().and_then(|(list, entries)| {
        let steps = read_steps(&list, entries, verb, direction, problems)?;
        join(at, steps, problems).map(Adjustment::Steps)
    });
    by.or(set).or(steps).filter(|_| given == 1)
}

/// A count or a share; no more than all can be removed.
fn change(raw: Text, direction: Direction, problems: &Problems) -> Field<Amount> {
    raw.convert(problems, |text| match amount(&text)? {
        Amount::Share(share) if direction == Direction::In && share.get() > 100.0 => {
            Err(format!("cannot remove {share} of a group; write 100% at most"))
        }
        amount => Ok(amount),
    })
}

/// Notes capacities that rules set or add and that the fleet cannot have.
fn judge_capacities(at: &Place, rules: &Rules, Bounds { min, max }: Bounds, problems: &Problems) {
    let of = |direction| match (rules, direction) {
        (Rules::Threshold { scale_out, .. }, Direction::Out) => scale_out.as_ref(),
        (Rules::Threshold { scale_in, .. }, Direction::In) => scale_in.as_ref(),
        (Rules::Alert { direction: own, rule }, _) if *own == direction => Some(rule),
        _ => None,
    };
    match of(Direction::Out).map(|rule| &rule.adjustment) {
        Some(Adjustment::Set(to)) if min.is_some_and(|min| *to <= min) => at.wrong(problems, format!(
            "`scale_out` sets {to}, but `capacity.min` already holds that many; set more, or lower the minimum"
        )),
        Some(Adjustment::Set(to)) if max.is_some_and(|max| *to > max) => {
            at.warn(problems, format!("`scale_out` sets {to}, and `capacity.max` lets the fleet have less"));
        }
        Some(Adjustment::By(Amount::Count(by))) if max.is_some_and(|max| *by > max) => {
            at.warn(problems, format!("`scale_out` adds {by} at once, more than `capacity.max` lets the fleet have"));
        }
        _ => {}
    }
    match of(Direction::In).map(|rule| &rule.adjustment) {
        Some(Adjustment::Set(to)) if max.is_some_and(|max| *to >= max) => at.wrong(problems, format!(
            "`scale_in` sets {to}, and `capacity.max` never lets the fleet have more; set less, or raise the maximum"
        )),
        Some(Adjustment::Set(to)) if min.is_some_and(|min| *to < min) => {
            at.warn(problems, format!("`scale_in` sets {to}, and `capacity.min` has the fleet hold more"));
        }
        _ => {}
    }
}

fn read_steps(
    list: &Place,
    entries: Vec<Field<RawStep>>,
    verb: &str,
    direction: Direction,
    problems: &Problems,
) -> Option<Vec<Step>> {
    if entries.is_empty() {
        list.wrong(problems, "must be a list of at least one step");
    }
    let count = entries.len();
    let read = |entry: Field<RawStep>| {
        let (at, raw) = entry.open()?;
        let bound = |raw: Text| raw.convert(problems, |text| number(&text));
        let (from, to) = (bound(raw.from), bound(raw.to));
        let is_readable = !from.is_wrong() && !to.is_wrong();
        let (from, to) = (from.take(), to.take());
        let is_ordered = from.zip(to).is_none_or(|(from, to)| from < to);
        if let (Some(from), Some(to), false) = (from, to, is_ordered) {
            at.wrong(problems, format!("`from` {from} must be below `to` {to}; swap them"));
        }
        let (amount, other) =
            if direction == Direction::Out { (raw.add, raw.remove) } else { (raw.remove, raw.add) };
        other.refuse(problems, format!("does not belong here; write `{verb}`"));
        let amount = if other.is_absent() { amount.required(problems, "1") } else { amount };
        let amount = change(amount, direction, problems).take()?;
        (is_readable && is_ordered).then_some(Step { from, to, amount })
    };
    let steps: Vec<Step> = entries.into_iter().filter_map(read).collect();
    (steps.len() == count && count > 0).then_some(steps)
}

/// The steps in their order; none where they overlap or leave a gap.
fn join(at: &Place, mut steps: Vec<Step>, problems: &Problems) -> Option<Vec<Step>> {
    steps.sort_by(|a, b| a.from.unwrap_or(f64::NEG_INFINITY).total_cmp(&b.from.unwrap_or(f64::NEG_INFINITY)));
    for pair in steps.windows(2) {
        let [lower, upper] = pair else { continue };
        let (end, start) = (lower.to.unwrap_or(f64::INFINITY), upper.from.unwrap_or(f64::NEG_INFINITY));
        let wrong = if end > start {
            format!("two steps overlap between the distances {start} and {end} from the threshold")
        } else if end < start {
            format!("the steps leave a gap between the distances {end} and {start} from the threshold")
        } else {
            continue;
        };
        at.wrong(problems, format!("{wrong}; let one end where the next begins"));
        return None;
    }
    Some(steps)
}

/// Why the steps of a rule do not cover every value that breaches, if so.
fn uncovered(steps: &[Step], when: Comparison) -> Option<String> {
    let (first, last) = (steps.first()?, steps.last()?);
    if when.is_above() {
        if let Some(from) = first.from.filter(|from| *from > 0.0) {
            return Some(format!("the steps begin {from} above the threshold; let the first one begin at 0"));
        }
        return last.to.map(|to| {
            format!("no step is for values more than {to} above the threshold; leave out the last `to`")
        });
    }
    if let Some(to) = last.to.filter(|to| *to < 0.0) {
        return Some(format!("the steps end {} below the threshold; let the uppermost one end at 0", -to));
    }
    first.from.map(|from| {
        format!("no step is for values more than {} below the threshold; leave out the lowest `from`", -from)
    })
}
