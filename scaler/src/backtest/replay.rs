//! Series that are written down, a simulated group, and the decisions in between, tick after tick.
//!
//! Owns the closed loop: what a policy would have read with another number of instances. Source: the definition of
//! `measures`, of which this is the inverse.

use std::time::Duration;

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
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// When it begins: a multiple of every period.
    pub start: Time,
    /// One per policy of the fleet, in their order: a value per period from the start on. Beyond them there is none.
    pub series: &'a [Vec<Option<f64>>],
    /// How many instances served when the values were measured, per tick; the last one stays. Without it the values are
    /// replayed as they are, whatever the group becomes.
    pub had: Option<&'a [Option<usize>]>,
}

/// A group under a configuration.
#[derive(Debug)]
pub struct Replay<'a> {
    fleet: &'a Fleet,
    script: Script<'a>,
    tick: Period,
    elapsed: Duration,
    model: Model,
    /// What each policy has read so far.
    read: Vec<Vec<Option<f64>>>,
}

/// One tick: what was seen, and what was decided.
#[derive(Debug)]
pub struct Moment {
    /// After the start.
    pub elapsed: Duration,
    /// The time.
    pub at: Time,
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
        let read = vec![Vec::new(); fleet.policy.policies.len()];
        Some(Self { fleet, script, tick, elapsed: Duration::ZERO, model, read })
    }

    /// The distance of ticks.
    #[must_use]
    pub fn tick(&self) -> Period {
        self.tick
    }

    /// Decides at the present tick.
    pub fn decide(&mut self) -> Moment {
        let Self { fleet, elapsed, .. } = *self;
        let at = self.script.start.after(elapsed);
        let group = self.model.observe(&fleet.policy, at);
        self.measure(at);
        let in_force = InForce::at(&fleet.schedules, at);
        let observation = Observation {
            windows: fleet.policy.policies.iter().zip(&self.read).map(|it| self.window(it)).collect(),
            group,
            schedule: in_force.bounds,
            may_recycle: fleet.recycle.as_ref().is_some_and(|window| window.is_open(at)),
        };
        let decision = decide(&fleet.policy, &observation, at);
        Moment { elapsed, at, observation, in_force, decision }
    }

    /// Carries out what was decided, and goes on to the next tick.
    pub fn carry_out(&mut self, moment: &Moment) {
        self.model.carry_out(&moment.decision, moment.at);
        self.elapsed += self.tick.duration();
    }

    /// Reads the values of the present tick.
    fn measure(&mut self, at: Time) {
        let place =
            usize::try_from(self.elapsed.as_secs() / self.tick.duration().as_secs()).unwrap_or(usize::MAX);
        let serving = self.model.serving(at);
        let had = self.script.had.map(|had| had.get(place).or(had.last()).copied().flatten());
        let policies = self.fleet.policy.policies.iter().zip(self.script.series).zip(&mut self.read);
        for ((policy, values), read) in policies {
            if !self.elapsed.as_secs().is_multiple_of(policy.period.duration().as_secs()) {
                continue;
            }
            let value = values.get(read.len()).copied().flatten();
            read.push(match had {
                Some(had) => value.and_then(|value| with_capacity(policy, value, had, serving)),
                None => value,
            });
        }
    }

    fn window(&self, (policy, read): (&Policy, &Vec<Option<f64>>)) -> Series {
        let period = policy.period.duration().as_secs();
        let count = policy.range();
        let known = &read[read.len().saturating_sub(count)..];
        let missing = std::iter::repeat_n(None, count - known.len());
        Series {
            end: self.script.start.after(Duration::from_secs(self.elapsed.as_secs() / period * period)),
            period: policy.period,
            points: missing.chain(known.iter().copied()).collect(),
            fresh: self.elapsed.as_secs().is_multiple_of(period),
            answered: true,
        }
    }
}

/// What a policy would have read with `serving` instances, where it read `value` with `had`. Unknown if `had` is, or if
/// nobody serves: then nobody measures a load.
fn with_capacity(policy: &Policy, value: f64, had: Option<usize>, serving: usize) -> Option<f64> {
    if !is_closed(policy) {
        return Some(value);
    }
    let (had, serving) = (had? as f64, serving as f64);
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
