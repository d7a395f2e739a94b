//! The past of a fleet's groups, from Prometheus or from files.
//!
//! Owns which groups history has, and what is read of each. What is missing stays missing.

pub mod files;

use std::collections::BTreeMap;
use std::time::Duration;

use super::column::Column;
use super::run::{GroupHistory, Span};
use crate::config::{Fleet, Groups};
use crate::observe::past::{self, Stretch};
use crate::observe::questions::Windows;
use crate::observe::{Metrics, QueryError};
use crate::units::{Capacity, GroupName, Period, Region, Time};

/// How much is asked for at once; the grids of long periods are never finer than a server's own limit of 11,000 points.
const AT_ONCE: Duration = Duration::from_hours(24);
/// The most points of a series that a query asks for.
const MOST_POINTS: u32 = 10_000;
/// A query for no more points than these is not cut in two again.
const FEW_POINTS: u64 = 60;

/// The name and the region of a group.
type Key = (GroupName, Option<Region>);

/// What is known of a group so far.
struct Draft {
    series: Vec<Column>,
    reporting: Column,
    draining: Column,
    desired: Column,
    bounds: (Option<f64>, Option<f64>),
}

/// The groups of a fleet, as far as they were read.
struct Reading<'a, W> {
    fleet: &'a Fleet,
    is_wanted: W,
    span: Span,
    tick: Period,
    drafts: BTreeMap<Key, Draft>,
}

/// Reads the past of the wanted groups of `fleet`. After each query, `progress` gets the number of queries that are done and
/// the number of all queries. Fails at the first query without a usable answer.
pub async fn read<W: Fn(&GroupName) -> bool>(
    client: &impl Metrics,
    fleet: &Fleet,
    is_wanted: W,
    span: Span,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<GroupHistory>, QueryError> {
    let Some(tick) = fleet.policy.smallest_period() else { return Ok(Vec::new()) };
    // Windows are full at the first moment.
    let windows = fleet
        .policy
        .policies
        .iter()
        .map(|policy| policy.period.duration() * u32::try_from(policy.range()).unwrap_or(u32::MAX));
    let from = span.from.before(windows.max().unwrap_or_default());
    let span = Span { from, ..span };
    let mut reading = Reading { fleet, is_wanted, span, tick, drafts: BTreeMap::new() };
    reading.add_named();

    let stretches = stretches(span, tick);
    let queries = fleet.policy.policies.len() as u64 + 5;
    let total = stretches.len() as u64 * queries;
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(done, total);
    };
    for &stretch in &stretches {
        for (place, (policy, expr)) in fleet.policy.policies.iter().zip(&fleet.expressions).enumerate() {
            let expr = past::policy(expr, policy);
            let put = |draft: &mut Draft, at, value| draft.series[place].set(at, value);
            reading.fill(client, &expr, policy.period, stretch, put).await?;
            step();
        }
        let expr = past::reporting(fleet, tick);
        reading.fill(client, &expr, tick, stretch, |draft, at, value| draft.reporting.set(at, value)).await?;
        step();
        if let Some(expr) = past::draining(fleet, tick) {
            let put = |draft: &mut Draft, at, value| draft.draining.set(at, value);
            reading.fill(client, &expr, tick, stretch, put).await?;
        }
        step();
        let (desired, min, max) =
            (past::own(fleet, "desired"), past::own(fleet, "min"), past::own(fleet, "max"));
        reading
            .fill(client, &desired, tick, stretch, |draft, at, value| draft.desired.set(at, value))
            .await?;
        step();
        // A schedule only raises the minimum that the scaler reports, or lowers the maximum.
        let lowest = |draft: &mut Draft, _, value: f64| {
            draft.bounds.0 = Some(draft.bounds.0.map_or(value, |least| least.min(value)));
        };
        reading.fill(client, &min, tick, stretch, lowest).await?;
        step();
        let highest = |draft: &mut Draft, _, value: f64| {
            draft.bounds.1 = Some(draft.bounds.1.map_or(value, |most| most.max(value)));
        };
        reading.fill(client, &max, tick, stretch, highest).await?;
        step();
    }
    // A scaler reports its own groups only; a series may name those of other fleets too.
    let reports = |draft: &Draft| draft.desired.known().next().is_some();
    if !reading.is_named() && reading.drafts.values().any(reports) {
        reading.drafts.retain(|_, draft| reports(draft));
    }
    Ok(reading.drafts.into_iter().map(|(key, draft)| draft.finish(key)).collect())
}

/// The span in pieces that one query can ask for.
fn stretches(span: Span, tick: Period) -> Vec<Stretch> {
    let length = AT_ONCE.min(tick.duration() * MOST_POINTS).max(tick.duration());
    let mut stretches = Vec::new();
    let mut start = span.from;
    while start <= span.to {
        let end = start.after(length).before(Duration::from_secs(1)).min(span.to);
        stretches.push(Stretch { start, end });
        start = end.after(Duration::from_secs(1));
    }
    stretches
}

impl<W: Fn(&GroupName) -> bool> Reading<'_, W> {
    /// Adds the groups that the configuration names.
    fn add_named(&mut self) {
        let asg = &self.fleet.asg;
        let Groups::Names(names) = &asg.groups else { return };
        // Where series have no label for the region, groups of one name in two regions are one in history too.
        let told_apart =
            if asg.region_label.is_some() { asg.regions.len() } else { asg.regions.len().min(1) };
        for name in names {
            for region in &asg.regions[..told_apart] {
                self.add((name.clone(), Some(region.clone())));
            }
            if asg.regions.is_empty() {
                self.add((name.clone(), None));
            }
        }
    }

    fn add(&mut self, key: Key) {
        if !(self.is_wanted)(&key.0) {
            return;
        }
        let Self { fleet, span, tick, .. } = *self;
        let column = |period| Column::until(span.from, span.to, period);
        self.drafts.entry(key).or_insert_with(|| Draft {
            series: fleet.policy.policies.iter().map(|policy| column(policy.period)).collect(),
            reporting: column(tick),
            draining: column(tick),
            desired: column(tick),
            bounds: (None, None),
        });
    }

    fn is_named(&self) -> bool {
        matches!(self.fleet.asg.groups, Groups::Names(_))
    }

    /// The key of a group by the labels of a series, unless it is in a region that the fleet does not have.
    fn key(&self, name: &str, region: Option<&str>) -> Option<Key> {
        let region = match (region, self.fleet.asg.regions.as_slice()) {
            (Some(region), []) => Some(Region::new(region)),
            (Some(region), own) => Some(own.iter().find(|own| own.as_str() == region)?.clone()),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        Some((GroupName::new(name), region))
    }

    /// Asks for a query's values, and puts each at its place.
    async fn fill(
        &mut self,
        client: &impl Metrics,
        expr: &str,
        period: Period,
        stretch: Stretch,
        mut put: impl FnMut(&mut Draft, Time, f64),
    ) -> Result<(), QueryError> {
        let floor = |at: Time| at.floor(period);
        let second = Duration::from_secs(1);
        let first = floor(stretch.start.before(second)).after(period.duration());
        let whole = Stretch { start: first, end: floor(stretch.end) };
        let mut open = vec![whole];
        while let Some(Stretch { start, end }) = open.pop() {
            if start > end {
                continue;
            }
            let points = end.since(start).as_secs() / period.duration().as_secs();
            match past::read(client, self.fleet, expr, period, Stretch { start, end }).await {
                Ok(windows) => self.put(&windows, start, period, &mut put),
                Err(QueryError::TooLarge { .. } | QueryError::Timeout(_)) if points > FEW_POINTS => {
                    let middle = start.after(end.since(start) / 2).floor(period);
                    open.push(Stretch { start: middle.after(period.duration()), end });
                    open.push(Stretch { start, end: middle });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        windows: &Windows,
        start: Time,
        period: Period,
        put: &mut impl FnMut(&mut Draft, Time, f64),
    ) {
        if !self.is_named() {
            let found: Vec<Key> =
                windows.named().filter_map(|(name, region)| self.key(name, region)).collect();
            for key in found {
                self.add(key);
            }
        }
        // As live: of the fleet's groups, wanted or not.
        let is_alone = matches!(&self.fleet.asg.groups, Groups::Names(names) if names.len() == 1);
        let alone = is_alone && self.drafts.len() == 1;
        let nowhere = Region::new("");
        for ((name, region), draft) in &mut self.drafts {
            let series = windows.of(name, region.as_ref().unwrap_or(&nowhere), alone);
            let mut at = start;
            for value in series.points {
                if let Some(value) = value {
                    put(draft, at, value);
                }
                at = at.after(period.duration());
            }
        }
    }
}

impl Draft {
    fn finish(self, (name, region): Key) -> GroupHistory {
        #[expect(clippy::cast_possible_truncation, reason = "a count of instances")]
        let capacity = |count: f64| Capacity::saturating(count as i64);
        GroupHistory {
            name,
            region,
            series: self.series,
            serving: self.reporting.less(&self.draining),
            reporting: Some(self.reporting),
            desired: Some(self.desired).filter(|column| column.known().next().is_some()),
            bounds: self.bounds.0.zip(self.bounds.1).map(|(min, max)| (capacity(min), capacity(max))),
        }
    }
}

#[cfg(test)]
mod tests;
