//! A group's history, and what a configuration would have done with it.
//!
//! Owns what is assumed of a group that only its series describe, and what is compared.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::column::Column;
use super::figures::{Figures, Meter, Tick};
use super::replay::{Had, Moment, Replay, Script, is_closed, with_capacity};
use crate::config::Fleet;
use crate::config::test_file::{Lengths, SimulatedGroup, SimulatedInstance};
use crate::decide::decision::{Action, Effect};
use crate::decide::policy::{Component, Direction, Measures, Policy, Rules};
use crate::units::{Capacity, GroupName, InstanceId, Period, Region, Time};

/// The length of a drain, where neither `--drain` nor history gives one.
const USUAL_DRAIN: Duration = Duration::from_mins(30);
/// How many evaluations after a bridge is empty its group is seen without it: a second look, the end, and one more.
const LOOKS: u32 = 3;
/// How long the instances at the start have been in service.
const OLD: Duration = Duration::from_hours(24 * 30);

/// What is known of a group's past.
#[derive(Clone, Debug)]
pub struct GroupHistory {
    /// Its name.
    pub name: GroupName,
    /// Its region, where the fleet has one.
    pub region: Option<Region>,
    /// The values of each policy, in the order of the fleet.
    pub series: Vec<Column>,
    /// How many instances served.
    pub serving: Column,
    /// How many instances reported, those that drained included; unknown where only those that served were counted.
    pub reporting: Option<Column>,
    /// Its desired capacity.
    pub desired: Option<Column>,
    /// Its own minimum and maximum.
    pub bounds: Option<(Capacity, Capacity)>,
}

/// What is assumed, whatever history says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assumptions {
    /// How long an instance takes from its launch until it takes work.
    pub boot: Option<Duration>,
    /// How long a bridge takes to become empty.
    pub drain: Option<Duration>,
    /// What an hour of an instance costs.
    pub price: Option<f64>,
}

/// The time that is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: Time,
    /// Its last moment.
    pub to: Time,
}

/// A decision that changed something.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// When.
    pub time: String,
    /// `scale_out` or `scale_in`.
    pub action: &'static str,
    /// The capacity before it.
    pub from: u32,
    /// The capacity wanted after it.
    pub to: u32,
    /// Why.
    pub why: String,
}

/// How many instances served, and how many were wanted, from a moment on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// From when on.
    pub at: Time,
    /// In history.
    pub had: Option<f64>,
    /// In the simulation.
    pub simulated: u32,
    /// What the simulation wanted.
    pub wanted: u32,
}

/// How far the figures can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trust {
    /// The share of the policies' points that history does not have.
    pub missing_ratio: f64,
    /// The same by policy.
    pub missing_by_policy: BTreeMap<String, f64>,
    /// The share of the known time in which simulated and had differ by more than half.
    pub extrapolated_ratio: f64,
    /// The share of the time in which it is unknown how many instances served.
    pub unknown_ratio: f64,
    /// Policies that are replayed as they were, whatever the capacity.
    pub open_loop: Vec<String>,
    /// Whether the group's own minimum and maximum are known.
    pub bounds_known: bool,
    /// Whether a condition for scaling out says when capacity is short; without one it never is.
    pub shortage_known: bool,
}

/// A group under a configuration.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it would have cost and lacked.
    pub simulated: Figures,
    /// How far to trust that.
    pub trust: Trust,
    /// The decisions that changed something.
    pub decisions: Vec<Made>,
    /// The capacity, at each moment at which it changed.
    pub levels: Vec<Level>,
}

/// By which conditions capacity counts as short: those of one configuration, whatever is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Yardstick<'a> {
    fleet: &'a Fleet,
    series: &'a [Column],
    had: Had<'a>,
}

impl<'a> Yardstick<'a> {
    /// The conditions of `fleet`, on the values that its policies have in `history`.
    #[must_use]
    pub fn new(fleet: &'a Fleet, history: &'a GroupHistory) -> Self {
        Self { fleet, series: &history.series, had: Had::Counted(&history.serving) }
    }

    /// Whether a condition says when capacity is short.
    fn is_known(self) -> bool {
        self.fleet.policy.policies.iter().any(|policy| policy.rule(Direction::Out).is_some())
    }

    /// The policies with the newest value of each: as it was, or as the instances that `served` counts would have read it.
    /// Without a known capacity no value that depends on it counts, on either side.
    fn values(self, at: Time, served: Option<&Column>) -> impl Iterator<Item = (&'a Policy, f64)> {
        self.fleet.policy.policies.iter().zip(self.series).filter_map(move |(policy, column)| {
            let point = at.floor(policy.period);
            let (value, had) = (column.at(point)?, self.had.at(point));
            let value = match served {
                None => with_capacity(policy, value, had, had.unwrap_or(0.0))?,
                Some(served) => match served.latest(point, 0)? {
                    // Without an instance, a load exceeds every threshold.
                    0.0 if policy.measures == Measures::Load && value > 0.0 => had.map(|_| f64::INFINITY)?,
                    serving => with_capacity(policy, value, had, serving)?,
                },
            };
            Some((policy, value))
        })
    }

    /// Whether any condition for scaling out holds.
    fn is_short(self, at: Time, served: Option<&Column>) -> bool {
        let compares = |(policy, value): (&Policy, f64)| {
            policy.rule(Direction::Out).is_some_and(|rule| rule.when.holds(value))
        };
        self.values(at, served).any(compares)
    }

    /// How many Jibris are free.
    fn free(self, at: Time, served: Option<&Column>) -> Option<f64> {
        let idle = |(policy, _): &(&Policy, f64)| policy.measures == Measures::Idle;
        let is_jibri = self.fleet.policy.component == Component::Jibri;
        self.values(at, served).filter(|_| is_jibri).find(idle).map(|(_, free)| free)
    }
}

impl GroupHistory {
    /// The first moment of the span at which it is known how many instances served.
    fn begins(&self, span: Span) -> Option<(Time, f64)> {
        self.serving.known().find(|(at, count)| *at >= span.from && *at <= span.to && *count > 0.0)
    }

    /// Whether anything can be replayed, or what is missing.
    pub fn suffices(&self, fleet: &Fleet, span: Span) -> Result<(), String> {
        if self.begins(span).is_none() {
            let series = &fleet.instances.series;
            return Err(format!(
                "how many instances served is not known at any moment ({series}; in files the series instances)"
            ));
        }
        // An alert has values only while it fires.
        let mut policies = fleet.policy.policies.iter().zip(&self.series);
        let is_known = |(policy, column): (&Policy, &Column)| {
            matches!(policy.rules, Rules::Alert { .. }) || column.known().next().is_some()
        };
        if !policies.any(is_known) {
            let names: Vec<_> = fleet.policy.policies.iter().map(|policy| policy.name.as_str()).collect();
            return Err(format!("there is no value of any policy ({})", names.join(", ")));
        }
        Ok(())
    }

    /// What the group cost and lacked as it was. `None` where nothing is known of it.
    #[must_use]
    pub fn had(
        &self,
        yardstick: Yardstick<'_>,
        span: Span,
        tick: Period,
        price: Option<f64>,
    ) -> Option<Figures> {
        let (start, _) = self.begins(span)?;
        let mut meter = Meter::new(tick.duration());
        let mut before = None;
        let mut at = start.floor(tick);
        while at <= span.to {
            let serving = Had::Counted(&self.serving).at(at);
            let wanted = match &self.desired {
                Some(desired) => desired.latest(at, 0),
                // Averages of counts are no changes.
                None => serving.map(f64::round),
            };
            let change = before.zip(wanted).and_then(|(before, wanted): (f64, f64)| match wanted - before {
                0.0 => None,
                more if more > 0.0 => Some(Direction::Out),
                _ => Some(Direction::In),
            });
            before = wanted.or(before);
            let maximum = self.bounds.map(|(_, max)| f64::from(max.get()));
            meter.add(
                at,
                Tick {
                    reporting: self.reporting.as_ref().map_or(serving, |column| Had::Counted(column).at(at)),
                    serving,
                    short: yardstick.is_short(at, None),
                    free: yardstick.free(at, None),
                    at_maximum: wanted.zip(maximum).map(|(wanted, maximum)| wanted >= maximum),
                    change,
                    drains: 0,
                },
            );
            at = at.after(tick.duration());
        }
        let drains = self.drains().map(|drains| u32::try_from(drains.len()).unwrap_or(u32::MAX));
        Some(Figures { drains, ..meter.figures(price) })
    }

    /// What `fleet` would have done with the group. `None` where nothing is known of it.
    #[must_use]
    pub fn replay(
        &self,
        fleet: &Fleet,
        yardstick: Yardstick<'_>,
        span: Span,
        assumptions: Assumptions,
    ) -> Option<Outcome> {
        let (start, first) = self.begins(span)?;
        let tick = fleet.policy.smallest_period()?;
        let start = start.floor(tick);
        let had = Had::Counted(&self.serving);
        let script = Script { start, delay: fleet.prometheus.delay, series: &self.series, had };
        let setting = self.setting(fleet, (start, first), assumptions);
        let mut replay = Replay::new(fleet, script, setting)?;
        let mut meter = Meter::new(tick.duration());
        let (mut decisions, mut levels) = (Vec::new(), Vec::<Level>::new());
        let (mut ticks, mut known, mut apart) = (0_u32, 0_u32, 0_u32);
        loop {
            let moment = replay.decide();
            if moment.at > span.to {
                break;
            }
            let Moment { at, serving, .. } = moment;
            let had = had.at(at);
            ticks += 1;
            known += u32::from(had.is_some());
            apart += u32::from(had.is_some_and(|had| (serving as f64 - had).abs() > had / 2.0));
            meter.add(at, tick_of(&moment, yardstick, (had, replay.served()), self.reporting.is_some()));
            if moment.decision.action != Action::Hold {
                decisions.push(Made {
                    time: at.to_string(),
                    action: moment.decision.action.as_str(),
                    from: moment.decision.current.capacity.get(),
                    to: moment.decision.desired.get(),
                    why: moment.decision.sentence(&fleet.policy),
                });
            }
            let level = Level {
                at,
                had,
                simulated: u32::try_from(serving).unwrap_or(u32::MAX),
                wanted: moment.decision.desired.get(),
            };
            let is_news = |last: &Level| {
                (last.had, last.simulated, last.wanted) != (had, level.simulated, level.wanted)
            };
            if levels.last().is_none_or(is_news) {
                levels.push(level);
            }
            replay.carry_out(&moment);
        }
        let missing_by_policy = self.missing(fleet, Span { from: start, ..span });
        let count = missing_by_policy.len().max(1) as f64;
        Some(Outcome {
            simulated: meter.figures(assumptions.price),
            trust: Trust {
                missing_ratio: missing_by_policy.values().sum::<f64>() / count,
                missing_by_policy,
                extrapolated_ratio: f64::from(apart) / f64::from(known.max(1)),
                unknown_ratio: f64::from(ticks - known) / f64::from(ticks.max(1)),
                open_loop: open_loop(fleet),
                bounds_known: self.bounds.is_some(),
                shortage_known: yardstick.is_known(),
            },
            decisions,
            levels,
        })
    }

    /// The share of points that each policy lacks. An alert lacks none: it has points only while it fires.
    fn missing(&self, fleet: &Fleet, span: Span) -> BTreeMap<String, f64> {
        let policies = fleet.policy.policies.iter().zip(&self.series);
        let share = |(policy, column): (&Policy, &Column)| {
            let first = Column::new(span.from, policy.period).start();
            let expected = span.to.since(first).as_secs() / policy.period.duration().as_secs() + 1;
            let known = column.known().filter(|(at, _)| *at >= first && *at <= span.to).count();
            (policy.name.to_string(), (1.0 - known as f64 / expected as f64).max(0.0))
        };
        policies.filter(|(policy, _)| !matches!(policy.rules, Rules::Alert { .. })).map(share).collect()
    }

    /// The group at the start, where `first` instances serve.
    fn setting(
        &self,
        fleet: &Fleet,
        (start, first): (Time, f64),
        assumptions: Assumptions,
    ) -> SimulatedGroup {
        let policy = &fleet.policy;
        // Those that boot at the start are wanted too.
        let wanted = self.desired.as_ref().and_then(|desired| {
            let drain = self.reporting.as_ref()?.at(start)? - first;
            Some(desired.latest(start, 0)? - drain)
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of instances")]
        let count = wanted.map_or(first, |wanted| wanted.max(first)).round().max(1.0) as usize;
        // The group's own bounds hold. Unknown ones do not limit it.
        let (min, max) = self.bounds.unwrap_or((Capacity::saturating(0), Capacity::saturating(i64::MAX)));
        // A bridge counts as one in use, so that it takes its time to leave.
        let busy = policy.component == Component::Jvb && !policy.victims.only_idle;
        let load = vec![Some(f64::from(u8::from(busy)))];
        let age = |place: usize| match policy.recycle {
            // Evenly spread, so that they do not grow old together.
            Some(most) => most.mul_f64(place as f64 / count.max(1) as f64),
            None => OLD,
        };
        let instance =
            |place| SimulatedInstance { age: age(place), load: load.clone(), ..SimulatedInstance::default() };
        SimulatedGroup {
            min,
            max,
            desired: Capacity::of(count),
            boot: lengths(assumptions.boot, self.boots(), policy.warmup),
            warms_from_half: true,
            drain: lengths(assumptions.drain, self.drains().unwrap_or_default(), USUAL_DRAIN),
            launch_suspended: false,
            terminate_suspended: false,
            launches_fail_for: Duration::ZERO,
            instances: (0..count).map(instance).collect(),
            launched: SimulatedInstance { load: load.clone(), ..SimulatedInstance::default() },
        }
    }

    /// When instances were launched, and how long each took until it reported, if they come up in the order of their launches.
    fn boots(&self) -> Vec<(Time, Duration)> {
        let mut boots = Vec::new();
        let mut launched: VecDeque<Time> = VecDeque::new();
        let mut last: Option<(Time, f64, f64)> = None;
        let reporting = self.reporting.as_ref().unwrap_or(&self.serving);
        for (at, desired) in self.desired.iter().flat_map(Column::known) {
            let Some(reporting) = reporting.latest(at, 0) else { continue };
            let (since, desired_before, before) = last.unwrap_or((at, desired, reporting));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts of instances"
            )]
            let whole = |count: f64| count.max(0.0) as usize;
            // What is taken away and what comes up within the same minute would cancel each other.
            let up = whole(reporting - before + (desired_before - desired).max(0.0)).min(launched.len());
            boots.extend(launched.drain(..up).map(|since| (since, at.since(since))));
            launched.extend(std::iter::repeat_n(since, whole(desired - desired_before)));
            last = Some((at, desired, reporting));
        }
        boots
    }

    /// When drains began, and how long each took if they end in the order of their beginnings. `None` where drains are not
    /// told apart.
    fn drains(&self) -> Option<Vec<(Time, Duration)>> {
        let mut drains = Vec::new();
        let mut open: VecDeque<Time> = VecDeque::new();
        let mut last: Option<(Time, f64)> = None;
        for (at, reporting) in self.reporting.as_ref()?.known() {
            let Some(serving) = self.serving.at(at) else { continue };
            let (since, before) = last.unwrap_or((at, reporting));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts of instances"
            )]
            let (gone, draining) =
                ((before - reporting).max(0.0) as usize, (reporting - serving).max(0.0) as usize);
            // One that goes makes room for another one to begin within the same minute.
            let left = open.len().saturating_sub(gone).min(draining);
            let until_empty =
                |since| at.since(since).saturating_sub(self.serving.period().duration() * LOOKS);
            drains.extend(open.drain(..open.len() - left).map(|since| (since, until_empty(since))));
            open.resize(draining, since);
            last = Some((at, reporting));
        }
        Some(drains)
    }
}

/// By the operator's word, else as seen, else as usual.
fn lengths(said: Option<Duration>, seen: Vec<(Time, Duration)>, usual: Duration) -> Lengths {
    if let Some(said) = said {
        return Lengths::always(said);
    }
    let mut sorted: Vec<_> = seen.iter().map(|(_, length)| *length).collect();
    sorted.sort_unstable();
    Lengths { usual: sorted.get(sorted.len() / 2).copied().unwrap_or(usual), seen }
}

fn tick_of(
    moment: &Moment,
    yardstick: Yardstick<'_>,
    (had, served): (Option<f64>, &Column),
    counts_drains: bool,
) -> Tick {
    let Moment { at, serving, decision, observation, .. } = moment;
    let instances = &observation.group.instances;
    let reports =
        instances.iter().filter(|it| it.reported.up && (counts_drains || it.drain.is_none())).count();
    let drains = |id: &InstanceId| instances.iter().any(|it| it.id == *id && it.drain.is_some());
    let begins = |effect: &&Effect| matches!(effect, Effect::MarkDrain(id, _) if !drains(id));
    Tick {
        reporting: had.map(|_| reports as f64),
        serving: Some(*serving as f64),
        short: yardstick.is_short(*at, Some(served)),
        free: yardstick.free(*at, Some(served)),
        at_maximum: Some(decision.current.desired >= decision.current.limits.max),
        change: match decision.action {
            Action::Hold => None,
            Action::ScaleOut => Some(Direction::Out),
            Action::ScaleIn => Some(Direction::In),
        },
        drains: u32::try_from(decision.effects.iter().flatten().filter(begins).count()).unwrap_or(u32::MAX),
    }
}

/// Policies that are replayed as they were.
fn open_loop(fleet: &Fleet) -> Vec<String> {
    let open = fleet.policy.policies.iter().filter(|policy| !is_closed(policy));
    open.map(|policy| policy.name.to_string()).collect()
}

#[cfg(test)]
mod tests;
