//! The upkeep of a fleet: drains that take too long, unhealthy instances, and old ones.

use std::time::Duration;

use jitsi_web::document::{Field, Problems, Wait};

use super::parse::{not_zero, periods, share, whole};
use super::promql;
use super::raw::{RawRecycle, RawReplace, Text};
use super::schedule::DailyWindow;
use crate::decide::policy::{Component, DrainLimit, OnTimeout, Replace};
use crate::units::{Capacity, Percent};

/// The share of a group, in percent, that may look unhealthy before the measurement itself is doubted.
const DEFAULT_MAX_SHARE: f64 = 34.0;
/// A group would replace younger instances every night.
const SHORTEST_AGE: Duration = Duration::from_hours(1);

/// Reads `timeout` and `on_timeout` of `drain`.
pub(super) fn drain_limit(
    timeout: Field<Wait>,
    then: Text,
    component: Option<Component>,
    problems: &Problems,
) -> Option<DrainLimit> {
    if timeout.is_absent() {
        then.refuse(
            problems,
            "takes effect after `timeout`, which is missing; write for example `timeout: 12h`",
        );
    }
    let timeout = not_zero(timeout, problems, "leave it out to wait as long as it takes");
    let then = then.one_of(problems, &OnTimeout::WORDS).check(
        problems,
        |then| *then != OnTimeout::Undrain || component != Some(Component::Jibri),
        "undrain is for jvb: a Jibri's graceful shutdown cannot be cancelled; write wait or terminate",
    );
    let then = then.or(OnTimeout::Wait)?;
    timeout.take().map(|Wait(timeout)| DrainLimit { timeout, then })
}

/// Reads `replace_unhealthy`; gives its PromQL beside it.
pub(super) fn replace(raw: RawReplace, problems: &Problems) -> Option<(Replace, String)> {
    let expr = raw.expr.required(problems, "\"jibri_healthy == 0\"").convert(problems, |text| {
        if promql::chooses(&promql::parse(&text)?) {
            return Ok(text);
        }
        Err(format!(
            "must select only unhealthy instances, such as \"jibri_healthy == 0\"; \"{text}\" selects all"
        ))
    });
    let periods = raw.periods.required(problems, "5").convert(problems, |text| periods(&text));
    let max_in_flight = raw.max_in_flight.convert(problems, |text| whole(&text)).check(
        problems,
        |count| *count > Capacity::ZERO,
        "must allow at least one; leave replace_unhealthy out to replace nothing",
    );
    let max_share = raw.max_share.convert(problems, |text| share(&text)).check(
        problems,
        |share| share.get() > 0.0,
        "must be above 0%",
    );
    let max_share = Percent::try_new(DEFAULT_MAX_SHARE).and_then(|default| max_share.or(default));
    let replace = Replace {
        periods: periods.take()?,
        max_in_flight: max_in_flight.or(Capacity::ONE)?,
        max_share: max_share?,
    };
    Some((replace, expr.take()?))
}

/// Reads `recycle`: from which age on, and when.
pub(super) fn recycle(raw: RawRecycle, problems: &Problems) -> Option<(Duration, DailyWindow)> {
    let max_age = raw.max_age.required(problems, "7d").check(
        problems,
        |Wait(age)| *age >= SHORTEST_AGE,
        "must be at least 1h, or every instance would be replaced over and over",
    );
    let window = DailyWindow::read(raw.days, raw.from, raw.to, raw.timezone, problems);
    Some((max_age.take()?.0, window?))
}
