//! One entry of `policies:`.
//!
//! Owns the words of threshold, alert and desired policies, and the checks of one against itself.

use std::time::Duration;

use promql_parser::parser::Expr;
use promql_parser::parser::value::ValueType;

use super::meaning::{self, Judgement, Meaning};
use super::yaml::{Found, Section};
use super::{GroupSelector, Groups, is_metric_name};
use crate::decide::observation::Bounds;
use crate::decide::policy::{
    Adjustment, Amount, Comparison, Direction, Measures, Missing, Operator, Policy, Rule, Rules, Step,
    TargetRule, Window,
};
use crate::units::{Capacity, Percent, Period, PolicyName};

/// As an Auto Scaling group's own default cooldown.
const DEFAULT_COOLDOWN: Duration = Duration::from_mins(5);
/// As CloudWatch's usual period.
const DEFAULT_PERIOD: Duration = Duration::from_mins(1);

/// The number of periods that an alert must fire for, and a wanted capacity be asked for, where nothing is said.
const DEFAULT_PERIODS: u16 = 1;
/// What a number of periods outside its bounds is told.
const TOO_MANY: &str = "must be from 1 to 5000, so that the window fits into one answer of Prometheus";
/// A cooldown above this outlasts a morning's rise of load.
const LONG_COOLDOWN: Duration = Duration::from_hours(12);

/// Where a policy's values come from.
enum Source {
    /// PromQL whose values are compared.
    Expression(String),
    /// PromQL whose value is the wanted capacity.
    Desired(String),
    /// PromQL that is 1 while an alert fires.
    Alert(String),
}

/// Reads a policy and its PromQL; `others` are those that stand above it in the fleet, whose groups `selector` names and
/// whose capacity is within `limits`.
pub(super) fn read(
    mut section: Section<'_>,
    others: &[Policy],
    selector: Option<&GroupSelector>,
    limits: Bounds,
) -> Option<(Policy, String)> {
    let name = section.required_text("name", "stress").map(|found| {
        if others.iter().any(|other| other.name.as_str() == found.value) {
            found.wrong(format!("another policy of this fleet is called \"{}\" already", found.value));
        }
        PolicyName::new(&found.value)
    });
    let says_expr = section.has("expr");
    let source = read_source(&mut section, selector);
    let measures = section.text("measures").and_then(|found| {
        if !matches!(source, None | Some(Source::Expression(_))) {
            found.wrong("belongs to `expr`; there is nothing to foresee of an alert or of a wanted capacity");
        }
        found.convert(|text| match text.as_str() {
            "load" => Ok(Measures::Load),
            "idle" => Ok(Measures::Idle),
            "other" => Ok(Measures::Other),
            other => Err(format!("must be load, idle or other, not \"{other}\"")),
        })
    });
    let measures = measures.map_or(Measures::Other, |found| found.value);
    let period = match section.duration("period") {
        Some(found) => found
            .convert(|length| {
                Period::try_new(length).ok_or_else(|| {
                    "must be whole seconds, at least 1s and at most 1d; the default is 60s".to_owned()
                })
            })
            .map(|found| found.value),
        None => Period::try_new(DEFAULT_PERIOD),
    };
    if !section.has("scale_out") && !section.has("scale_in") {
        section.missing("scale_out", "has neither `scale_out` nor `scale_in`; without one it does nothing");
    }
    let (expression, rules) = match source {
        Some(Source::Desired(expression)) => {
            let scale_out = section.section("scale_out").and_then(read_target_rule);
            let scale_in = section.section("scale_in").and_then(read_target_rule);
            (Some(expression), Some(Rules::Desired { scale_out, scale_in }))
        }
        Some(Source::Alert(expression)) => (Some(expression), read_alert(&mut section)),
        Some(Source::Expression(expression)) => {
            let parsed = promql_parser::parser::parse(&expression).ok();
            let meaning = parsed.as_ref().and_then(Meaning::of);
            (Some(expression), Some(read_thresholds(&mut section, measures, meaning.as_ref())))
        }
        // What is wrong with the rules is told all the same, where it is known what they must be.
        None if says_expr => (None, Some(read_thresholds(&mut section, measures, None))),
        None => {
            section.ignore("scale_out");
            section.ignore("scale_in");
            (None, None)
        }
    };
    if let Some(rules) = &rules {
        judge_capacities(&section, rules, limits);
    }
    section.finish();
    let policy = Policy { name: name?, period: period?, measures, rules: rules? };
    Some((policy, expression?))
}

fn read_source(section: &mut Section<'_>, selector: Option<&GroupSelector>) -> Option<Source> {
    let given = ["expr", "desired", "alert"].into_iter().filter(|key| section.has(key)).count();
    let promql = |found: Found<'_, String>| {
        let found = found.convert(|text| promql(&text).map(|parsed| (text, parsed)))?;
        judge_series(&found, selector);
        Some(found.value.0)
    };
    let expr = section.text("expr").and_then(promql).map(Source::Expression);
    let desired = section.text("desired").and_then(promql).map(Source::Desired);
    let alert = section.text("alert").and_then(|found| {
        let found = found.convert(|name| {
            if is_metric_name(&name) {
                Ok(name)
            } else {
                Err(format!("\"{name}\" is not the name of an alert"))
            }
        })?;
        let label = selector.map_or("asg", |selector| selector.label.as_str());
        let region = selector.and_then(|selector| selector.region_label.as_ref());
        let by = region.map_or_else(|| label.to_owned(), |region| format!("{label}, {region}"));
        let name = found.value;
        // An alert has as many series as it has label sets; the group is what is asked for.
        Some(Source::Alert(format!("max by ({by}) (ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}})")))
    });
    match given {
        1 => expr.or(desired).or(alert),
        0 => {
            section.wrong(
                "needs one of `expr`, `desired` or `alert`; write for example `expr: asg:jvb_stress:avg`",
            );
            None
        }
        _ => {
            section.wrong("has several of `expr`, `desired` and `alert`; write a policy for each");
            None
        }
    }
}

/// Whether `text` is PromQL that gives a number for each series.
pub(super) fn promql(text: &str) -> Result<Expr, String> {
    let parsed = promql_parser::parser::parse(text)
        .map_err(|error| format!("is not valid PromQL: {}", error.trim().replace('\n', "; ")))?;
    match parsed.value_type() {
        ValueType::Vector | ValueType::Scalar => Ok(parsed),
        other => Err(format!("gives a {other}, and must give an instant vector with one series per group")),
    }
}

/// Says of an expression what no group can make use of, as far as its text shows it.
fn judge_series(found: &Found<'_, (String, Expr)>, selector: Option<&GroupSelector>) {
    let parsed = &found.value.1;
    if let Some(counter) = Meaning::bare_counter(parsed) {
        found.wrong(format!(
            "{counter} is a counter and only grows while its process runs; write for example rate({counter}[2m])"
        ));
    }
    let Some(GroupSelector { groups, regions, label, region_label, .. }) = selector else { return };
    if let Some(region) = region_label.as_ref().filter(|region| meaning::loses(parsed, region))
        && !meaning::loses(parsed, label)
    {
        found.wrong(format!(
            "gives series without the label `{region}` that `asg.region_label` promises; write for example \
             avg by ({label}, {region}) (…)"
        ));
    }
    if !meaning::loses(parsed, label) {
        return;
    }
    // Whether the groups that are named exist is not known here: a lone one needs no label.
    let is_one = matches!(groups, Groups::Names(names) if names.len() == 1) && regions.len() < 2;
    if !is_one {
        found.odd(format!(
            "gives series without the label `{label}`, which are of use only while the fleet is a single group; write \
             for example avg by ({label}) (…)"
        ));
    }
}

fn read_thresholds(section: &mut Section<'_>, measures: Measures, meaning: Option<&Meaning>) -> Rules {
    let mut read = |key, direction| {
        section.section(key).and_then(|rule| read_rule(rule, direction == Direction::Out, meaning))
    };
    let (scale_out, scale_in) = (read("scale_out", Direction::Out), read("scale_in", Direction::In));
    if let (Some(out), Some(in_)) = (&scale_out, &scale_in)
        && let Some(value) = out.when.overlap(in_.when)
    {
        section.wrong(format!(
            "the value {value} satisfies both scale_out ({}) and scale_in ({}); move them apart",
            out.when, in_.when
        ));
    }
    // What is measured says which way its rules must look.
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
            section.wrong(format!(
                "`{key}` ({}) looks the wrong way: with what `measures` says it must be {word} a threshold; write {sign}",
                rule.when
            ));
        }
    }
    Rules::Threshold { scale_out, scale_in }
}

/// The rule of an alert: it fires or not, so that there is nothing to compare and nothing to be missing.
fn read_alert(section: &mut Section<'_>) -> Option<Rules> {
    let mut read = |key, direction| -> Option<Option<Rules>> {
        let mut rule = section.section(key)?;
        let is_out = direction == Direction::Out;
        let periods = read_periods(&mut rule);
        let adjustment = read_adjustment(&mut rule, is_out);
        let cooldown = read_cooldown(&mut rule);
        rule.finish();
        let rule = Rule {
            when: Comparison::try_new(Operator::GreaterOrEqual, 1.0)?,
            window: Window::try_new(periods?, periods?)?,
            missing: Missing::NotBreaching,
            adjustment: adjustment?,
            cooldown,
        };
        if matches!(rule.adjustment, Adjustment::Steps(_)) {
            section.wrong(
                "an alert has no distance from a threshold; write `add`, `remove` or `set`, not `steps`",
            );
            return Some(None);
        }
        Some(Some(Rules::Alert { direction, rule }))
    };
    let (out, in_) = (read("scale_out", Direction::Out), read("scale_in", Direction::In));
    if out.is_some() && in_.is_some() {
        section.wrong("one alert cannot call for both directions; write a policy for each");
        return None;
    }
    out.or(in_).flatten()
}

fn read_cooldown(section: &mut Section<'_>) -> Duration {
    section.duration("cooldown").map_or(DEFAULT_COOLDOWN, |found| {
        found.whole_seconds();
        found.odd_above(LONG_COOLDOWN, "for so long nothing follows the load");
        found.value
    })
}

fn read_target_rule(mut section: Section<'_>) -> Option<TargetRule> {
    let periods = read_periods(&mut section);
    let cooldown = read_cooldown(&mut section);
    section.finish();
    Some(TargetRule { periods: periods?, cooldown })
}

/// `periods`, which may be left out.
fn read_periods(section: &mut Section<'_>) -> Option<u16> {
    if !section.has("periods") {
        // Known here all the same.
        section.ignore("periods");
        return Some(DEFAULT_PERIODS);
    }
    let found = section.text("periods")?.convert(|text| {
        let periods = points(&text)?;
        if (1..=5_000).contains(&periods) { Ok(periods) } else { Err(TOO_MANY.to_owned()) }
    })?;
    Some(found.value)
}

fn read_rule(mut section: Section<'_>, is_out: bool, meaning: Option<&Meaning>) -> Option<Rule> {
    let example = if is_out { "\">= 0.6\"" } else { "\"<= 0.2\"" };
    let when =
        section.required_text("when", example).and_then(|found| found.convert(|text| comparison(&text)));
    let direction = if is_out { Direction::Out } else { Direction::In };
    if let (Some(found), Some(meaning)) = (&when, meaning) {
        match meaning.judge(found.value, direction) {
            Some(Judgement::Wrong(text)) => found.wrong(text),
            Some(Judgement::Odd(text)) => found.odd(text),
            None => {}
        }
    }
    let periods =
        section.required_text("periods", "10").and_then(|found| found.convert(|text| points(&text)));
    let breaching = section.text("breaching").and_then(|found| found.convert(|text| points(&text)));
    let window = periods.and_then(|periods| {
        let n = periods.value;
        let m = breaching.as_ref().map_or(n, |found| found.value);
        periods
            .convert(|_| {
                Window::try_new(n, m).ok_or_else(|| {
                    if m > n {
                        format!("`breaching` is {m}, more than the {n} periods that there are")
                    } else {
                        TOO_MANY.to_owned()
                    }
                })
            })
            .map(|found| found.value)
    });
    let missing = section.text("missing").and_then(|found| {
        found.convert(|text| match text.as_str() {
            "hold" => Ok(Missing::Hold),
            "breaching" if is_out => Ok(Missing::Breaching),
            "breaching" => {
                Err("must not be breaching here: what was not seen must never remove an instance; write hold"
                    .to_owned())
            }
            "not_breaching" => Ok(Missing::NotBreaching),
            other => Err(format!("must be hold, breaching or not_breaching, not \"{other}\"")),
        })
    });
    let adjustment = read_adjustment(&mut section, is_out);
    if let (Some(Adjustment::Steps(steps)), Some(when)) = (&adjustment, &when)
        && let Some(text) = uncovered(steps, when.value)
    {
        section.wrong(text);
    }
    let cooldown = read_cooldown(&mut section);
    section.finish();
    Some(Rule {
        when: when?.value,
        window: window?,
        missing: missing.map_or(Missing::Hold, |found| found.value),
        adjustment: adjustment?,
        cooldown,
    })
}

fn read_adjustment(section: &mut Section<'_>, is_out: bool) -> Option<Adjustment> {
    let (verb, other) = if is_out { ("add", "remove") } else { ("remove", "add") };
    if section.has(other)
        && let Some(found) = section.text(other)
    {
        found.wrong(format!("does not belong here; write `{verb}`"));
        for key in [verb, "steps", "set"] {
            section.ignore(key);
        }
        return None;
    }
    let given = [verb, "steps", "set"].into_iter().filter(|key| section.has(key)).count();
    if given != 1 {
        section.wrong(format!(
            "needs exactly one of `{verb}`, `steps` or `set`, and has {given}; write for example `{verb}: 1`"
        ));
    }
    let by = section.text(verb).and_then(|found| {
        found.convert(|text| match amount(&text)? {
            Amount::Count(Capacity::ZERO) => Err("must change something; 0 is allowed in a step".to_owned()),
            Amount::Share(share) if share.get() <= 0.0 => {
                Err("must change something; 0 is allowed in a step".to_owned())
            }
            amount if !is_out => possible(amount).map(Adjustment::By),
            amount => Ok(Adjustment::By(amount)),
        })
    });
    let set = section.text("set").and_then(|found| found.convert(|text| whole(&text).map(Adjustment::Set)));
    let steps = if section.has("steps") {
        read_steps(section, is_out, verb)
    } else {
        // Known here all the same.
        section.ignore("steps");
        None
    };
    by.map(|found| found.value).or(set.map(|found| found.value)).or(steps).filter(|_| given == 1)
}

/// Says of the capacities that rules set or add whether the fleet can have them.
fn judge_capacities(section: &Section<'_>, rules: &Rules, Bounds { min, max }: Bounds) {
    let of = |direction| match (rules, direction) {
        (Rules::Threshold { scale_out, .. }, Direction::Out) => scale_out.as_ref(),
        (Rules::Threshold { scale_in, .. }, Direction::In) => scale_in.as_ref(),
        (Rules::Alert { direction: own, rule }, _) if *own == direction => Some(rule),
        _ => None,
    };
    match of(Direction::Out).map(|rule| &rule.adjustment) {
        Some(Adjustment::Set(to)) if min.is_some_and(|min| *to <= min) => section.wrong(format!(
            "`scale_out` sets {to}, which `capacity.min` has the fleet hold anyway; set more, or lower the minimum"
        )),
        Some(Adjustment::Set(to)) if max.is_some_and(|max| *to > max) => {
            section.odd(format!("`scale_out` sets {to}, and `capacity.max` lets the fleet have less"));
        }
        Some(Adjustment::By(Amount::Count(by))) if max.is_some_and(|max| *by > max) => {
            section.odd(format!("`scale_out` adds {by} at once, more than `capacity.max` lets the fleet have"));
        }
        _ => {}
    }
    match of(Direction::In).map(|rule| &rule.adjustment) {
        Some(Adjustment::Set(to)) if max.is_some_and(|max| *to >= max) => section.wrong(format!(
            "`scale_in` sets {to}, and `capacity.max` never lets the fleet have more; set less, or raise the maximum"
        )),
        Some(Adjustment::Set(to)) if min.is_some_and(|min| *to < min) => {
            section.odd(format!("`scale_in` sets {to}, and `capacity.min` has the fleet hold more"));
        }
        _ => {}
    }
}

/// No more than all can be removed.
fn possible(amount: Amount) -> Result<Amount, String> {
    match amount {
        Amount::Share(share) if share.get() > 100.0 => {
            Err(format!("cannot remove {share} of a group; write 100% at most"))
        }
        amount => Ok(amount),
    }
}

fn read_steps(section: &mut Section<'_>, is_out: bool, verb: &'static str) -> Option<Adjustment> {
    let mut steps = Vec::new();
    let mut complete = true;
    for mut entry in section.sections("steps") {
        let mut bound = |key| {
            entry.text(key).and_then(|found| {
                found.convert(|text| match text.trim().parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(number),
                    _ => Err(format!("must be a number, not \"{text}\"")),
                })
            })
        };
        let (from, to) = (bound("from").map(|found| found.value), bound("to").map(|found| found.value));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            entry.wrong(format!("`from` {from} must be below `to` {to}"));
            complete = false;
        }
        let amount = entry.required_text(verb, "1").and_then(|found| {
            found.convert(|text| {
                amount(&text).and_then(|amount| if is_out { Ok(amount) } else { possible(amount) })
            })
        });
        match amount {
            Some(amount) => steps.push(Step { from, to, amount: amount.value }),
            None => complete = false,
        }
        entry.finish();
    }
    if !complete {
        return None;
    }
    if steps.is_empty() {
        section.wrong("`steps` must be a list of at least one step");
        return None;
    }
    steps.sort_by(|a, b| a.from.unwrap_or(f64::NEG_INFINITY).total_cmp(&b.from.unwrap_or(f64::NEG_INFINITY)));
    for pair in steps.windows(2) {
        let [lower, upper] = pair else { continue };
        let (end, start) = (lower.to.unwrap_or(f64::INFINITY), upper.from.unwrap_or(f64::NEG_INFINITY));
        if end > start {
            section.wrong(format!(
                "two steps overlap between {start} and {end}; let one end where the next begins"
            ));
            return None;
        }
        if end < start {
            section.wrong(format!(
                "the steps leave a gap between {end} and {start}; let one end where the next begins"
            ));
            return None;
        }
    }
    Some(Adjustment::Steps(steps))
}

/// What keeps the steps of a rule from covering every value that breaches.
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

/// A comparison such as `>= 750e6`.
fn comparison(text: &str) -> Result<Comparison, String> {
    let trimmed = text.trim();
    let operators = [
        (">=", Operator::GreaterOrEqual),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        ("<", Operator::Less),
    ];
    operators
        .into_iter()
        .find_map(|(sign, operator)| trimmed.strip_prefix(sign).map(|number| (operator, number)))
        .and_then(|(operator, number)| Some((operator, number.trim().parse().ok()?)))
        .and_then(|(operator, threshold)| Comparison::try_new(operator, threshold))
        .ok_or_else(|| format!("must be <, <=, > or >= and a number, such as \">= 750e6\", not \"{text}\""))
}

/// A count such as `1`, or a share such as `25%`.
pub(super) fn amount(text: &str) -> Result<Amount, String> {
    match text.strip_suffix('%') {
        Some(number) => {
            number.trim().parse().ok().and_then(Percent::try_new).map(Amount::Share).ok_or_else(|| {
                format!("must be a number of instances such as 1, or a share such as 25%, not \"{text}\"")
            })
        }
        None => whole(text).map(Amount::Count).map_err(|_| {
            format!("must be a number of instances such as 1, or a share such as 25%, not \"{text}\"")
        }),
    }
}

/// A number of instances.
pub(super) fn whole(text: &str) -> Result<Capacity, String> {
    text.trim().parse().ok().and_then(Capacity::try_new).ok_or_else(|| {
        format!("must be a whole number of instances from 0 to {}, not \"{text}\"", Capacity::LARGEST)
    })
}

/// A number of periods.
fn points(text: &str) -> Result<u16, String> {
    text.trim().parse().map_err(|_| format!("must be a whole number from 1 to 5000, not \"{text}\""))
}
