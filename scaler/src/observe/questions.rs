//! The queries that a fleet sends to Prometheus at an evaluation, and what the answers say of each group and instance.
//!
//! Owns the PromQL that the scaler writes itself. Freshness is asked for in PromQL, because a series that vanished
//! without a stale marker (a Prometheus that was down) would otherwise keep its last value for five minutes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::join_all;

use super::labels::{Labels, differing};
use super::metrics::{Labelled, QueryError};
use super::{metrics::Metrics, rules};
use crate::config::{Fleet, InstanceSeries};
use crate::decide::observation::{Reported, Series};
use crate::decide::policy::{Component, Direction, FleetPolicy, Policy, VictimOrder};
use crate::units::{GroupName, InstanceId, Period, Region, Time};

/// How far back the idle time of Jibris is looked for, beyond what `idle_for` asks.
const IDLE_HORIZON: Duration = Duration::from_hours(1);
/// The finest grid on which history is sampled, as points over its whole length.
const HISTORY_POINTS: u64 = 240;

/// The windows of one policy, as one query gave them for the whole fleet.
#[derive(Debug)]
pub struct Windows {
    /// The grid of the points.
    template: Series,
    by_group: HashMap<(String, Option<String>), Vec<Option<f64>>>,
    /// A series without the group's label.
    unlabelled: Option<Vec<Option<f64>>>,
    /// Series of a group that has another: it is unknown which series is meant.
    ambiguous: Vec<Ambiguous>,
    expects_region: bool,
}

/// A series beside the first one of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// The group; `None` where the series has no label that names one.
    pub group: Option<String>,
    /// The names of the labels in which it differs from the first.
    pub differs: Vec<String>,
}

impl Windows {
    /// Sorts the series of an answer by group. `template` is the window of the query, without a point in it.
    pub(crate) fn new(answer: Vec<Labelled>, fleet: &Fleet, template: Series) -> Self {
        let mut windows = Self {
            expects_region: fleet.asg.region_label.is_some(),
            template: Series { answered: true, ..template },
            by_group: HashMap::new(),
            unlabelled: None,
            ambiguous: Vec::new(),
        };
        let alone = answer.len() == 1;
        let mut first: HashMap<(String, Option<String>), Labels> = HashMap::new();
        for series in answer {
            let points = on_grid(&series.points, &windows.template);
            let region = fleet.asg.region_label.as_deref().and_then(|label| series.label(label));
            match series.label(&fleet.asg.label) {
                Some(group) => {
                    let key = (group.to_owned(), region.map(str::to_owned));
                    if let Some(first) = first.get(&key) {
                        let differs = differing(&[first, &series.labels]).into_iter().map(str::to_owned);
                        let differs = differs.collect();
                        windows.ambiguous.push(Ambiguous { group: Some(group.to_owned()), differs });
                    } else {
                        first.insert(key.clone(), series.labels.clone());
                        windows.by_group.insert(key, points);
                    }
                }
                None if alone => windows.unlabelled = Some(points),
                None => windows.ambiguous.push(Ambiguous { group: None, differs: Vec::new() }),
            }
        }
        let Self { by_group, ambiguous, .. } = &mut windows;
        let names: HashSet<&str> = ambiguous.iter().filter_map(|it| it.group.as_deref()).collect();
        by_group.retain(|(group, _), _| !names.contains(group.as_str()));
        windows
    }

    /// The window of a group. `alone`: the fleet has no other group, so a series without the label belongs to this one.
    #[must_use]
    pub fn of(&self, group: &GroupName, region: &Region, alone: bool) -> Series {
        let region = self.expects_region.then(|| region.as_str().to_owned());
        let own = self.by_group.get(&(group.as_str().to_owned(), region));
        let points = own.or(self.unlabelled.as_ref().filter(|_| alone));
        match points {
            Some(points) => Series { points: points.clone(), ..self.template.clone() },
            None => self.template.clone(),
        }
    }

    /// The window of a group whose series is unknown.
    #[must_use]
    pub fn without_points(&self) -> Series {
        self.template.clone()
    }

    /// Series of groups that several series of the answer name.
    #[must_use]
    pub fn ambiguous(&self) -> &[Ambiguous] {
        &self.ambiguous
    }

    /// Groups that the answer names, with their regions where the fleet has a label for these.
    pub fn named(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.by_group.keys().map(|(name, region)| (name.as_str(), region.as_deref()))
    }
}

/// When a fleet is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Now.
    pub at: Time,
    /// How far behind now windows end.
    pub delay: Duration,
    /// The distance of evaluations.
    pub tick: Period,
}

impl Grid {
    /// The newest point of a policy with this period at an evaluation at `at`.
    #[must_use]
    pub fn end(&self, at: Time, period: Period) -> Time {
        at.before(self.delay).floor(period)
    }
}

/// The window of a policy at an evaluation whose query was not answered: every point is missing. Whether its newest point
/// is still to be judged is not known here.
#[must_use]
pub fn without_answer(policy: &Policy, grid: &Grid) -> Series {
    Series {
        end: grid.end(grid.at, policy.period),
        period: policy.period,
        points: vec![None; policy.range()],
        fresh: false,
        answered: false,
    }
}

/// Asks for the windows of every policy in all groups of the fleet, in the order of the policies. One request has all
/// policies of one period that read a series as it is. Any other expression has a request of its own: it may cost much, or
/// yield a scalar.
pub async fn windows(client: &impl Metrics, fleet: &Fleet, grid: &Grid) -> Vec<Result<Windows, QueryError>> {
    let policies: Vec<_> = fleet.policy.policies.iter().zip(&fleet.expressions).collect();
    let is_plain = |index: usize| crate::config::is_selector(policies[index].1.trim());
    let mut requests: Vec<Vec<usize>> = Vec::new();
    for (index, (policy, _)) in policies.iter().enumerate() {
        let goes_with =
            |others: &&mut Vec<usize>| is_plain(others[0]) && policies[others[0]].0.period == policy.period;
        match requests.iter_mut().find(goes_with).filter(|_| is_plain(index)) {
            Some(others) => others.push(index),
            None => requests.push(vec![index]),
        }
    }
    let asked = join_all(requests.into_iter().map(|members| {
        let policies = &policies;
        async move {
            let period = policies[members[0]].0.period;
            let end = grid.end(grid.at, period);
            let starts = members.iter().map(|index| start(&without_answer(policies[*index].0, grid)));
            let exprs: Vec<_> = members.iter().map(|index| fresh_only(policies[*index].1, period)).collect();
            let exprs: Vec<&str> = exprs.iter().map(String::as_str).collect();
            let answers = client.ranges(&exprs, starts.min().unwrap_or(end), end, period).await;
            members.into_iter().zip(answers).collect::<Vec<_>>()
        }
    }));
    let needs_rules = policies.iter().any(|(_, expr)| rules::behind(expr).is_some());
    // Fleets that tick together share an answer; one of the last tick would be too old.
    let rules = async { if needs_rules { client.rules(grid.tick.duration() / 2).await } else { None } };
    let (answers, rules) = futures::join!(asked, rules);
    let mut answers: Vec<_> = answers.into_iter().flatten().collect();
    answers.sort_by_key(|(index, _)| *index);
    let window = |(index, answer): (usize, Result<Vec<Labelled>, QueryError>)| {
        let (policy, expr) = policies[index];
        let answer = answer?;
        let behind = rules::behind(expr).zip(rules.as_ref());
        let trouble =
            behind.and_then(|((gives, name), rules)| Some((name, rules.trouble(gives, name, grid.at)?)));
        match trouble {
            Some((name, trouble)) => Err(QueryError::Rule { name: name.to_owned(), trouble }),
            None => Ok(Windows::new(answer, fleet, without_answer(policy, grid))),
        }
    };
    answers.into_iter().map(window).collect()
}

/// The moment of the oldest point of a window.
fn start(window: &Series) -> Time {
    let gaps = window.points.len().saturating_sub(1);
    window.end.before(window.period.duration() * u32::try_from(gaps).unwrap_or(u32::MAX))
}

/// Puts points at their places on the grid of a window; a place without a point stays missing.
fn on_grid(points: &[(f64, f64)], window: &Series) -> Vec<Option<f64>> {
    let start = start(window);
    let mut grid = window.points.clone();
    for &(at, value) in points {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit by far")]
        let offset = at.round() as i64 - start.unix();
        let index = usize::try_from(offset / window.period.seconds()).ok();
        if let Some(slot) = index.and_then(|index| grid.get_mut(index))
            && offset % window.period.seconds() == 0
        {
            *slot = Some(value);
        }
    }
    grid
}

/// `expr`, and where it is no more than the selector of a series, only as far as that has samples of the last two
/// periods.
pub(super) fn fresh_only(expr: &str, period: Period) -> String {
    let selector = expr.trim();
    if crate::config::is_selector(selector) { fresh(selector, period) } else { expr.to_owned() }
}

/// The query for the instances of a fleet that report now.
#[must_use]
pub fn reporting(series: &InstanceSeries, tick: Period) -> String {
    fresh(&series.series, tick)
}

fn fresh(selector: &str, period: Period) -> String {
    format!("{selector} and last_over_time({selector}[{}s])", 2 * period.seconds())
}

/// An instance as its series describe it.
#[derive(Clone, Debug, Default)]
pub struct InstanceReport {
    /// What is reported of its component.
    pub reported: Reported,
    /// The labels of its series, to build its address from.
    pub labels: Labels,
}

/// Asks what Prometheus knows of every instance of the fleet.
pub async fn reports(
    client: &impl Metrics,
    fleet: &Fleet,
    at: Time,
    tick: Period,
) -> Result<HashMap<InstanceId, InstanceReport>, QueryError> {
    let series = &fleet.instances;
    let states = match fleet.policy.component {
        Component::Jvb => {
            r#"__name__=~"jvb_local_endpoints|jvb_healthy|jvb_draining|jvb_graceful_shutdown|jvb_shutting_down""#
        }
        // Of the states of a Jibri, the one that `jibri_available` does not tell.
        Component::Jibri => r#"__name__=~"jibri_available|jibri_healthy|jibri_status",status!~"idle|busy""#,
    };
    let mut queries = vec![fresh(&series.series, tick), fresh(&selector(series, states), tick)];
    if needs_idle_time(&fleet.policy) {
        queries.extend(idle_times(fleet, tick));
    }
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let mut answers = client.instants(&queries, at).await?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let (up, states) = (next(), next());

    let mut seen: HashMap<InstanceId, InstanceReport> = HashMap::new();
    for (id, value, sample) in by_instance(up, series) {
        let ambiguous = seen.contains_key(&id);
        let reported = Reported { up: value > 0.0, ambiguous, ..Reported::default() };
        seen.insert(id, InstanceReport { reported, labels: sample.labels });
    }
    let mut named = HashSet::new();
    for (id, value, sample) in by_instance(states, series) {
        // Only of instances that the operator's own series names.
        let Some(InstanceReport { reported, .. }) = seen.get_mut(&id) else { continue };
        let on = value > 0.0;
        let name = sample.label("__name__").unwrap_or_default();
        reported.ambiguous |= !named.insert((id, name.to_owned()));
        match name {
            "jvb_local_endpoints" => reported.load = Some(value),
            "jibri_available" => reported.load = Some(f64::from(u8::from(!on))),
            "jvb_healthy" | "jibri_healthy" => reported.healthy = Some(on),
            "jibri_status" => reported.expired = on,
            _ => reported.draining = Some(reported.draining.unwrap_or(false) || on),
        }
    }
    for InstanceReport { reported, .. } in seen.values_mut().filter(|it| it.reported.expired) {
        // It is not available, and carries nothing all the same.
        reported.load = Some(0.0);
    }
    // The later of the two counts: when it was busy overwrites when it first reported.
    for (id, since, _) in answers.flat_map(|answer| by_instance(answer, series)) {
        if let Some(seen) = seen.get_mut(&id) {
            seen.reported.idle_for = Some(at.since(moment(since)));
        }
    }
    Ok(seen)
}

fn needs_idle_time(policy: &FleetPolicy) -> bool {
    policy.component == Component::Jibri
        && (policy.victims.order == VictimOrder::LongestIdle || !policy.victims.idle_for.is_zero())
        && policy.policies.iter().any(|policy| policy.acts(Direction::In))
}

/// The queries for how long each Jibri has been free: for as long as it has reported, or since it was last seen otherwise.
fn idle_times(fleet: &Fleet, tick: Period) -> [String; 2] {
    let available = selector(&fleet.instances, r#"__name__=~"jibri_available""#);
    let history = history(fleet.policy.victims.idle_for + IDLE_HORIZON, tick);
    [
        format!("min_over_time(timestamp({available}){history})"),
        format!("max_over_time(timestamp({available} == 0){history})"),
    ]
}

/// Since when each instance has reported, as far back as `horizon`: its age where AWS does not tell it.
pub async fn first_reports(
    client: &impl Metrics,
    fleet: &Fleet,
    horizon: Duration,
    at: Time,
    tick: Period,
) -> Result<HashMap<InstanceId, Time>, QueryError> {
    let series = &fleet.instances;
    let expr = format!("min_over_time(timestamp({} > 0){})", series.series, history(horizon, tick));
    let answer = client.instant(&expr, at).await?;
    Ok(by_instance(answer, series).map(|(id, since, _)| (id, moment(since))).collect())
}

/// The samples that name an instance and have a value, with both.
fn by_instance(
    answer: Vec<Labelled>,
    series: &InstanceSeries,
) -> impl Iterator<Item = (InstanceId, f64, Labelled)> {
    let named =
        |sample: Labelled| Some((InstanceId::new(sample.label(&series.id_label)?), sample.last()?, sample));
    answer.into_iter().filter_map(named)
}

/// The instances that `replace_unhealthy` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ill {
    /// At each of the points that were asked for.
    pub always: HashSet<InstanceId>,
    /// At the newest of them, at least.
    pub now: HashSet<InstanceId>,
}

/// The instances that `expr` had a series for at the newest `periods` points. An instance without a series is not ill,
/// and one that lacks a point is not ill at all of them.
pub async fn ill(
    client: &impl Metrics,
    fleet: &Fleet,
    expr: &str,
    periods: u16,
    at: Time,
    tick: Period,
) -> Result<Ill, QueryError> {
    let start = at.before(tick.duration() * u32::from(periods.saturating_sub(1)));
    let answer = client.range(&fresh_only(expr, tick), start, at, tick).await?;
    let mut ill = Ill::default();
    for series in &answer {
        let Some(id) = series.label(&fleet.instances.id_label).map(InstanceId::new) else { continue };
        if series.points.len() >= usize::from(periods) {
            ill.always.insert(id.clone());
        }
        if series.points.iter().any(|&(then, _)| moment(then.round()) == at) {
            ill.now.insert(id);
        }
    }
    Ok(ill)
}

/// A subquery range over `length`.
fn history(length: Duration, tick: Period) -> String {
    let step = (length.as_secs() / HISTORY_POINTS).max(tick.duration().as_secs());
    format!("[{}s:{step}s]", length.as_secs().max(step))
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit by far")]
fn moment(unix: f64) -> Time {
    Time::from_unix(unix as i64)
}

/// The selector of the fleet's instances with its metric name replaced by other matchers.
pub(super) fn selector(series: &InstanceSeries, others: &str) -> String {
    let matchers =
        series.series.split_once('{').map_or("", |(_, rest)| rest.trim_end().trim_end_matches('}'));
    let separator = if matchers.trim().is_empty() { "" } else { "," };
    format!("{{{others}{separator}{matchers}}}")
}

#[cfg(test)]
mod tests;
