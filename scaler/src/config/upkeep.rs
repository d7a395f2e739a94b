//! What a fleet says of its upkeep: drains that take too long, instances that are ill, and instances that are old.

use std::time::Duration;

use promql_parser::parser::Expr;

use super::policy::{promql, whole};
use super::schedule::DailyWindow;
use super::yaml::Section;
use crate::decide::policy::{Component, DrainLimit, OnTimeout, Replace};
use crate::units::{Capacity, Percent};

/// How many ill instances are replaced at a time.
const DEFAULT_REPLACED_AT_ONCE: i64 = 1;
/// The share of a group that may look ill before the measuring is taken to be.
const DEFAULT_MAX_SHARE: f64 = 34.0;
/// An instance that is younger than this would be replaced every night.
const SHORTEST_AGE: Duration = Duration::from_hours(1);

/// Reads `timeout` and `on_timeout` of `drain`.
pub(super) fn drain_limit(section: &mut Section<'_>, component: Component) -> Option<DrainLimit> {
    let timeout = section.duration("timeout").map(|found| {
        if found.value.is_zero() {
            found.wrong("must be longer than nothing; leave it out to wait for as long as it takes");
        }
        found.value
    });
    let then = section.text("on_timeout").and_then(|found| {
        if timeout.is_none() {
            found.wrong("says what happens after `timeout`, which is missing; write for example `timeout: 12h`");
        }
        found.convert(|text| match text.as_str() {
            "wait" => Ok(OnTimeout::Wait),
            "undrain" if component == Component::Jvb => Ok(OnTimeout::Undrain),
            "undrain" => {
                Err("is for jvb: a Jibri that was asked to shut down cannot be called back; write wait or terminate"
                    .to_owned())
            }
            "terminate" => Ok(OnTimeout::Terminate),
            other => Err(format!("must be wait, undrain (jvb) or terminate, not \"{other}\"")),
        })
    });
    let then = then.map_or(OnTimeout::Wait, |found| found.value);
    timeout.map(|timeout| DrainLimit { timeout, then })
}

/// What a fleet says of its upkeep, beside its drains.
pub(super) struct Upkeep {
    pub(super) replace: Option<Replace>,
    pub(super) replace_expr: Option<String>,
    pub(super) max_age: Option<Duration>,
    pub(super) recycle: Option<DailyWindow>,
    pub(super) protect_busy: bool,
    pub(super) lifecycle_hook: Option<String>,
}

/// Reads it from the section of a fleet.
pub(super) fn read(section: &mut Section<'_>) -> Upkeep {
    let (replace, replace_expr) = section.section("replace_unhealthy").and_then(self::replace).unzip();
    let (max_age, recycle) = section.section("recycle").and_then(self::recycle).unzip();
    let protect_busy = section.flag("protect_busy").unwrap_or(false);
    let lifecycle_hook = section.text("lifecycle_hook").map(|found| {
        if found.value.is_empty() {
            found.wrong("must not be empty; leave it out to serve the only terminating hook of a group");
        }
        found.value
    });
    Upkeep { replace, replace_expr, max_age, recycle, protect_busy, lifecycle_hook }
}

/// Reads `replace_unhealthy`; gives its PromQL beside it.
fn replace(mut section: Section<'_>) -> Option<(Replace, String)> {
    let expr = section.required_text("expr", "\"jibri_healthy == 0\"").and_then(|found| {
        found.convert(|text| {
            if !chooses(&promql(&text)?) {
                return Err(format!(
                    "must name only instances that are ill, such as \"jibri_healthy == 0\"; \"{text}\" names all"
                ));
            }
            Ok(text)
        })
    });
    let periods = section.required_text("periods", "5").and_then(|found| {
        found.convert(|text| {
            text.trim()
                .parse::<u16>()
                .ok()
                .filter(|periods| (1..=5_000).contains(periods))
                .ok_or_else(|| format!("must be a whole number from 1 to 5000, not \"{text}\""))
        })
    });
    let max_in_flight =
        section.text("max_in_flight").map_or(Some(Capacity::saturating(DEFAULT_REPLACED_AT_ONCE)), |found| {
            let found = found.convert(|text| match whole(&text)? {
                Capacity::ZERO => {
                    Err("must allow at least one; leave replace_unhealthy out to replace nothing".to_owned())
                }
                count => Ok(count),
            });
            found.map(|found| found.value)
        });
    let max_share = section.text("max_share").map_or(Percent::try_new(DEFAULT_MAX_SHARE), |found| {
        let found = found.convert(|text| {
            text.strip_suffix('%')
                .and_then(|number| Percent::try_new(number.trim().parse().ok()?))
                .filter(|share| share.get() > 0.0 && share.get() <= 100.0)
                .ok_or_else(|| format!("must be a percentage above 0% and up to 100%, not \"{text}\""))
        });
        found.map(|found| found.value)
    });
    section.finish();
    let replace = Replace { periods: periods?.value, max_in_flight: max_in_flight?, max_share: max_share? };
    Some((replace, expr?.value))
}

/// Whether an expression leaves instances out that are well, as far as its text shows it. Matchers of labels do not:
/// they tell the well of one group from those of another; those of an alert that fires do.
fn chooses(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => chooses(&inner.expr),
        Expr::Unary(inner) => chooses(&inner.expr),
        Expr::Aggregate(inner) => chooses(&inner.expr),
        Expr::Subquery(inner) => chooses(&inner.expr),
        Expr::Call(call) => {
            call.func.name.starts_with("absent") || call.args.args.iter().any(|it| chooses(it))
        }
        Expr::Binary(binary) => match binary.op.to_string().as_str() {
            "and" | "unless" => true,
            "or" => chooses(&binary.lhs) && chooses(&binary.rhs),
            _ if binary.op.is_comparison_operator() && !binary.return_bool() => true,
            _ => chooses(&binary.lhs) || chooses(&binary.rhs),
        },
        Expr::VectorSelector(selector) => selector.name.as_deref() == Some("ALERTS"),
        _ => false,
    }
}

/// Reads `recycle`.
fn recycle(mut section: Section<'_>) -> Option<(Duration, DailyWindow)> {
    if !section.has("max_age") {
        section.missing("max_age", "`max_age` is missing; write for example `max_age: 7d`");
    }
    let max_age = section.duration("max_age").map(|found| {
        if found.value < SHORTEST_AGE {
            found.wrong("must be at least 1h, or every instance would be replaced over and over");
        }
        found.value
    });
    let window = DailyWindow::read(&mut section);
    section.finish();
    Some((max_age?, window?))
}
