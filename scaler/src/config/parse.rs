//! What texts of a configuration mean: quantities, comparisons, addresses. Each error says what to write instead.

use std::time::Duration;

use jitsi_web::document::{Field, Place, Problems, Wait};
use url::Url;

use super::raw::{Sections, Text};
use crate::decide::observation::Bounds;
use crate::decide::policy::{Amount, Comparison, Operator};
use crate::units::{Capacity, Percent, Region};

/// The most periods of a window: with its margin, one answer of Prometheus holds their points.
pub(crate) const MOST_PERIODS: u16 = 5_000;

/// A comparison such as `>= 750e6`.
pub(super) fn comparison(text: &str) -> Result<Comparison, String> {
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
        .ok_or_else(|| {
            let remedy = match percentage(trimmed) {
                Some((sign, number)) => {
                    format!("; for {number}% of a ratio write \"{sign} {}\"", number / 100.0)
                }
                None => String::new(),
            };
            format!("must be <, <=, > or >= and a number, such as \">= 750e6\", not \"{text}\"{remedy}")
        })
}

/// The sign and the number of a comparison such as `>= 60%`.
fn percentage(text: &str) -> Option<(&str, f64)> {
    let (sign, number) = text.strip_suffix('%')?.split_at(text.find(|c| !"<>=".contains(c))?);
    Some((sign, number.trim().parse().ok()?))
}

/// A count such as `1`, or a share such as `25%`.
pub(super) fn amount(text: &str) -> Result<Amount, String> {
    let amount = match text.strip_suffix('%') {
        Some(number) => number.trim().parse().ok().and_then(Percent::try_new).map(Amount::Share),
        None => whole(text).map(Amount::Count).ok(),
    };
    amount.ok_or_else(|| {
        format!("must be a number of instances such as 1, or a share such as 25%, not \"{text}\"")
    })
}

/// A number of instances.
pub(super) fn whole(text: &str) -> Result<Capacity, String> {
    text.trim().parse().ok().and_then(Capacity::try_new).ok_or_else(|| {
        format!("must be a whole number of instances from 0 to {}, not \"{text}\"", Capacity::LARGEST)
    })
}

/// A number of periods.
pub(super) fn periods(text: &str) -> Result<u16, String> {
    let periods = text.trim().parse().ok().filter(|periods| (1..=MOST_PERIODS).contains(periods));
    periods.ok_or_else(|| {
        format!(
            "must be a whole number from 1 to {MOST_PERIODS} (one answer of Prometheus holds no more), not \"{text}\""
        )
    })
}

/// A share such as `80%`, at most the whole.
pub(super) fn share(text: &str) -> Result<Percent, String> {
    text.strip_suffix('%')
        .and_then(|number| Percent::try_new(number.trim().parse().ok()?))
        .filter(|share| share.get() <= 100.0)
        .ok_or_else(|| format!("must be a percentage from 0% to 100%, not \"{text}\""))
}

/// A finite number.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("must be a number, not \"{text}\""))
}

/// An absolute HTTP address.
pub(super) fn address(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(url),
        Err(url::ParseError::InvalidPort) => Err(format!("has no valid port: \"{text}\"")),
        _ => Err(format!("must be an address that begins with http:// or https://, not \"{text}\"")),
    }
}

/// The name of a region: words and a number, as in ap-southeast-2.
pub(super) fn region(text: &str) -> Result<Region, String> {
    let mut parts: Vec<&str> = text.split('-').collect();
    let number = parts.pop().unwrap_or_default();
    let word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    let valid = parts.len() >= 2
        && parts.iter().all(word)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit());
    if valid { Ok(Region::new(text)) } else { Err(format!("\"{text}\" is not a region such as us-east-1")) }
}

/// Whether `text` is the name of a region.
pub(crate) fn is_region(text: &str) -> bool {
    region(text).is_ok()
}

/// Refuses a fraction of a second where nothing is timed that finely: it is a slip of the unit.
pub(super) fn whole_seconds(raw: Field<Wait>, problems: &Problems) -> Field<Wait> {
    raw.check(
        problems,
        |wait| wait.0.subsec_nanos() == 0,
        "must be whole seconds; for minutes write m, not ms",
    )
}

/// Refuses a list that is missing or empty; `entry` is the word for one of its entries.
pub(super) fn not_empty<T>(raw: Sections<T>, problems: &Problems, (key, entry): (&str, &str)) -> Sections<T> {
    let raw = raw.required_because(problems, format!("`{key}` is missing; at least one {entry} is needed"));
    raw.check(problems, |entries| !entries.is_empty(), &format!("is empty; write at least one {entry}"))
}

/// Refuses no time at all.
pub(super) fn not_zero(raw: Field<Wait>, problems: &Problems, remedy: &str) -> Field<Wait> {
    raw.check(problems, |wait| !wait.0.is_zero(), &format!("must be longer than 0s; {remedy}"))
}

/// Warns of a duration that is hardly intended, and of its consequence.
pub(super) fn warn_above(raw: &Field<Wait>, problems: &Problems, longest: Duration, consequence: &str) {
    if raw.get().is_some_and(|wait| wait.0 > longest) {
        let hours = longest.as_secs() / 3600;
        let longest = match longest.as_secs() {
            seconds if seconds < 3600 => format!("{}m", seconds / 60),
            _ if hours > 12 => format!("{}d", hours / 24),
            _ => format!("{hours}h"),
        };
        raw.place().warn(problems, format!("is longer than {longest}: {consequence}"));
    }
}

/// Refuses a name that is taken; `what` says of what.
pub(super) fn unique(raw: Text, problems: &Problems, what: &str, is_taken: impl Fn(&str) -> bool) -> Text {
    raw.convert(problems, |name| {
        if is_taken(&name) {
            return Err(format!("another {what} is called \"{name}\" already; choose another name"));
        }
        Ok(name)
    })
}

/// Reads a minimum and a maximum, and refuses a minimum above its maximum.
pub(super) fn bounds(at: &Place, min: Text, max: Text, problems: &Problems) -> Bounds {
    let bound = |raw: Text| raw.convert(problems, |text| whole(&text)).take();
    let (min, max) = (bound(min), bound(max));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        at.wrong(
            problems,
            format!("the minimum {min} is above the maximum {max}; lower it, or raise the maximum"),
        );
    }
    Bounds { min, max }
}
