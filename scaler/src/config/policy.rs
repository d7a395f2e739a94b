//! One entry of `policies:`.
//!
//! Owns the words of a threshold policy and the checks of one against itself.

use std::time::Duration;

use super::yaml::Section;
use crate::decide::policy::{
    Adjustment, Amount, Comparison, Measures, Missing, Operator, Policy, Rule, Step, Window,
};
use crate::units::{Capacity, Percent, Period, PolicyName};

/// As an Auto Scaling group's own default cooldown.
const DEFAULT_COOLDOWN: Duration = Duration::from_mins(5);
/// As CloudWatch's usual period.
const DEFAULT_PERIOD: Duration = Duration::from_mins(1);

/// Reads a policy and its PromQL; `others` are those that stand above it in the fleet.
pub(super) fn read(mut section: Section<'_>, others: &[Policy]) -> Option<(Policy, String)> {
    let name = section.required_text("name", "stress").map(|found| {
        if others.iter().any(|other| other.name.as_str() == found.value) {
            found.wrong(format!("another policy of this fleet is called \"{}\" already", found.value));
        }
        PolicyName::new(&found.value)
    });
    let expr = section.required_text("expr", "asg:jvb_stress:avg");
    let measures = section.text("measures").and_then(|found| {
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
        section.wrong("has neither `scale_out` nor `scale_in`; without one it does nothing");
    }
    let out = section.section("scale_out").and_then(|rule| read_rule(rule, true));
    let in_ = section.section("scale_in").and_then(|rule| read_rule(rule, false));
    if let (Some(out), Some(in_)) = (&out, &in_)
        && let Some(value) = out.when.overlap(in_.when)
    {
        section.wrong(format!(
            "the value {value} satisfies both scale_out ({}) and scale_in ({}); move them apart",
            out.when, in_.when
        ));
    }
    section.finish();
    let policy = Policy { name: name?, period: period?, measures, scale_out: out, scale_in: in_ };
    Some((policy, expr?.value))
}

fn read_rule(mut section: Section<'_>, is_out: bool) -> Option<Rule> {
    let example = if is_out { "\">= 0.6\"" } else { "\"<= 0.2\"" };
    let when =
        section.required_text("when", example).and_then(|found| found.convert(|text| comparison(&text)));
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
                        "must be from 1 to 5000".to_owned()
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
    let cooldown = section.duration("cooldown").map_or(DEFAULT_COOLDOWN, |found| found.value);
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
        section.wrong(format!("needs exactly one of `{verb}`, `steps` or `set`, and has {given}"));
    }
    let by = section.text(verb).and_then(|found| {
        found.convert(|text| match amount(&text)? {
            Amount::Count(Capacity::ZERO) => Err("must change something; 0 is allowed in a step".to_owned()),
            amount => Ok(Adjustment::By(amount)),
        })
    });
    let set = section.text("set").and_then(|found| found.convert(|text| whole(&text).map(Adjustment::Set)));
    let steps = if section.has("steps") { read_steps(section, verb) } else { None };
    by.map(|found| found.value).or(set.map(|found| found.value)).or(steps).filter(|_| given == 1)
}

fn read_steps(section: &mut Section<'_>, verb: &'static str) -> Option<Adjustment> {
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
        let amount = entry.required_text(verb, "1").and_then(|found| found.convert(|text| amount(&text)));
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
