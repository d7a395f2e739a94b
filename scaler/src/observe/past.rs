//! The queries for what groups read and had in the past.
//!
//! Owns the PromQL for counts of instances. A group that an answer does not name is unknown there, never empty.

use super::metrics::{Metrics, QueryError};
use super::questions::{self, Windows};
use crate::config::Fleet;
use crate::decide::observation::Series;
use crate::decide::policy::{Component, Policy};
use crate::units::{Period, Time};

/// A time with both of its ends, on a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first point.
    pub start: Time,
    /// Its last point.
    pub end: Time,
}

/// The values of a query in all groups of a fleet.
pub async fn read(
    client: &impl Metrics,
    fleet: &Fleet,
    expr: &str,
    period: Period,
    Stretch { start, end }: Stretch,
) -> Result<Windows, QueryError> {
    let answer = client.range(expr, start, end, period).await?;
    let gaps = end.since(start).as_secs() / period.duration().as_secs();
    let points = vec![None; usize::try_from(gaps).unwrap_or(usize::MAX).saturating_add(1)];
    Ok(Windows::new(answer, fleet, Series { end, period, points, fresh: false, answered: true }))
}

/// The query of a policy, as an evaluation asks it.
#[must_use]
pub fn policy(expr: &str, policy: &Policy) -> String {
    questions::fresh_only(expr, policy.period)
}

/// How many instances report, by group.
#[must_use]
pub fn reporting(fleet: &Fleet, tick: Period) -> String {
    format!("count by ({}) ({} > 0)", labels(fleet), questions::reporting(&fleet.instances, tick))
}

/// How many of these drain. `None` for Jibris, which do not say so.
#[must_use]
pub fn draining(fleet: &Fleet, tick: Period) -> Option<String> {
    let id = &fleet.instances.id_label;
    let up = questions::reporting(&fleet.instances, tick);
    Some(format!("count by ({}) ({up} > 0 and on ({id}) {} > 0)", labels(fleet), drain_flags(fleet)?))
}

/// A number that the scaler itself reported of a group: `desired`, `min` or `max`.
#[must_use]
pub fn own(fleet: &Fleet, state: &str) -> String {
    let series = format!(r#"jitsi_scaler_group_instances{{fleet="{}",state="{state}"}}"#, fleet.name);
    let renamed = |series: String, label: &str, from: &str| {
        if label == from {
            series
        } else {
            format!(r#"label_replace({series}, "{label}", "$1", "{from}", "(.*)")"#)
        }
    };
    let series = renamed(series, &fleet.asg.label, "asg");
    let series = match &fleet.asg.region_label {
        Some(label) => renamed(series, label, "region"),
        None => series,
    };
    format!("max by ({}) ({series})", labels(fleet))
}

fn labels(fleet: &Fleet) -> String {
    let region = fleet.asg.region_label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
    format!("{}{region}", fleet.asg.label)
}

/// The series that say that a bridge takes no new work.
fn drain_flags(fleet: &Fleet) -> Option<String> {
    let names = r#"__name__=~"jvb_draining|jvb_graceful_shutdown|jvb_shutting_down""#;
    (fleet.policy.component == Component::Jvb).then(|| questions::selector(&fleet.instances, names))
}
