//! Series that are written down, a simulated group, and the decisions in between, tick after tick.
//!
//! Owns the closed loop: what a policy would have read with another number of instances. Source: the definition of
//! `measures`, of which this is the inverse.

use std::time::Duration;

use super::column::Column;
use super::model::Model;
use crate::config::Fleet;
use crate::config::schedule::InForce;
use crate::config::test_file::SimulatedGroup;
use crate::decide::decide;
use crate::decide::decision::Decision;
use crate::decide::observation::{Observation, Series};
use crate::decide::policy::{Measures, Policy, Rules};
use crate::units::{Period, Time};

/// What a group is replayed with.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// When it begins: a multiple of the smallest period.
    pub start: Time,
    /// How far behind now windows end.
    pub delay: Duration,
    /// One per policy of the fleet, in their order. Values from before the start fill the first windows.
    pub series: &'a [Column],
    /// How many instances served when the values were measured.
    pub had: Had<'a>,
}

/// How many instances served when values were measured.
#[derive(Clone, Copy, Debug)]
pub enum Had<'a> {
    /// It does not matter: values are replayed as they are, whatever the group becomes.
    Any,
    /// Always as many.
    Always(usize),
    /// As many as are written down.
    Counted(&'a Column),
}

/// How many points a count of instances may be old: one scrape that fails is no other capacity.
const OLD_COUNT: usize = 2;

impl Had<'_> {
    /// How many served at a moment; `None` where that is not known.
    #[must_use]
    pub fn at(self, at: Time) -> Option<f64> {
        match self {
            Self::Any => None,
            Self::Always(count) => Some(count as f64),
            Self::Counted(column) => column.latest(at, OLD_COUNT),
        }
    }
}

/// A group under a configuration.
#[derive(Debug)]
pub struct Replay<'a> {
    fleet: &'a Fleet,
    script: Script<'a>,
    tick: Period,
    elapsed: Duration,
    model: Model,
    /// How many instances took new work at each tick so far.
    served: Column,
    /// What each policy has read.
    read: Vec<Read>,
}

/// The window of a policy.
#[derive(Debug)]
struct Read {
    /// The moment of the newest point.
    end: Time,
    /// Whether the newest point came at this tick.
    fresh: bool,
    points: Vec<Option<f64>>,
}

/// One tick: what was seen, and what was decided.
#[derive(Debug)]
pub struct Moment {
    /// After the start.
    pub elapsed: Duration,
    /// The time.
    pub at: Time,
    /// How many instances take new work.
    pub serving: usize,
    /// What was seen.
    pub observation: Observation,
    /// The schedules in force.
    pub in_force: InForce,
    /// What was decided.
    pub decision: Decision,
}

impl<'a> Replay<'a> {
    /// Replays `script` for a group of `fleet`. `None` for a fleet without policies.
    #[must_use]
    pub fn new(fleet: &'a Fleet, script: Script<'a>, setting: SimulatedGroup) -> Option<Self> {
        let tick = fleet.policy.smallest_period()?;
        let model = Model::new(setting, script.start, tick.duration());
        let window = |policy: &Policy| {
            let newest = script.start.before(script.delay).floor(policy.period);
            let length = u32::try_from(policy.range()).unwrap_or(u32::MAX);
            let end = newest.before(policy.period.duration() * length);
            Read { end, fresh: false, points: vec![None; policy.range()] }
        };
        let read = fleet.policy.policies.iter().map(window).collect();
        let served = Column::new(script.start, tick);
        Some(Self { fleet, script, tick, elapsed: Duration::ZERO, model, served, read })
    }

    /// The distance of ticks.
    #[must_use]
    pub fn tick(&self) -> Period {
        self.tick
    }

    /// How many instances took new work at each tick so far.
    #[must_use]
    pub fn served(&self) -> &Column {
        &self.served
    }

    /// Decides at the present tick.
    pub fn decide(&mut self) -> Moment {
        let Self { fleet, elapsed, .. } = *self;
        let at = self.script.start.after(elapsed);
        let group = self.model.observe(&fleet.policy, at);
        let serving = self.model.serving(fleet.policy.component, at);
        self.served.set(at, serving as f64);
        self.measure(at);
        let in_force = InForce::at(&fleet.schedules, at);
        let observation = Observation {
            windows: fleet.policy.policies.iter().zip(&self.read).map(Read::series).collect(),
            group,
            schedule: in_force.bounds,
            may_recycle: fleet.recycle.as_ref().is_some_and(|window| window.is_open(at)),
        };
        let decision = decide(&fleet.policy, &observation, at);
        Moment { elapsed, at, serving, observation, in_force, decision }
    }

    /// Carries out what was decided, and goes on to the next tick.
    pub fn carry_out(&mut self, moment: &Moment) {
        self.model.carry_out(&moment.decision, moment.at);
        self.elapsed += self.tick.duration();
    }

    /// Reads the points that the present tick sees first.
    fn measure(&mut self, at: Time) {
        let Script { series, had, delay, .. } = self.script;
        for ((policy, column), read) in self.fleet.policy.policies.iter().zip(series).zip(&mut self.read) {
            let end = at.before(delay).floor(policy.period);
            read.fresh = read.end < end;
            while read.end < end {
                read.end = read.end.after(policy.period.duration());
                let served = self.served.latest(read.end, 0);
                let value = column.at(read.end).and_then(|value| match (had, served) {
                    // Before the start the group was what it was.
                    (Had::Any, _) | (_, None) => Some(value),
                    (_, Some(serving)) => with_capacity(policy, value, had.at(read.end), serving),
                });
                if !read.points.is_empty() {
                    read.points.remove(0);
                    read.points.push(value);
                }
            }
        }
    }
}

impl Read {
    fn series((policy, read): (&Policy, &Self)) -> Series {
        Series {
            end: read.end,
            period: policy.period,
            points: read.points.clone(),
            fresh: read.fresh,
            answered: true,
        }
    }
}

/// What a policy would have read with `serving` instances, where it read `value` with `had`. Unknown if `had` is, or if
/// no instance serves, because then no instance measures a load.
#[must_use]
pub fn with_capacity(policy: &Policy, value: f64, had: Option<f64>, serving: f64) -> Option<f64> {
    if !is_closed(policy) {
        return Some(value);
    }
    let had = had?;
    let value = match policy.measures {
        Measures::Load => value * had / serving,
        Measures::Idle => value + serving - had,
        Measures::Other => value,
    };
    Some(value).filter(|value| value.is_finite())
}

/// Whether what a policy reads depends on the capacity in a known way.
#[must_use]
pub fn is_closed(policy: &Policy) -> bool {
    policy.measures != Measures::Other && matches!(policy.rules, Rules::Threshold { .. })
}
