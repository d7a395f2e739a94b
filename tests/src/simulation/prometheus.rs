//! What Prometheus has scraped and recorded.
//!
//! Owns the samples with their staleness: a failed scrape and a vanished target leave a marker, a Prometheus that was
//! down leaves a gap, and one that was restarted may have lost its newest minutes.

use std::collections::VecDeque;

use rand::RngExt as _;

use super::component::{Job, Process};
use super::setting::Kind;
use super::world::{Event, SECOND, World};

/// For how long samples are kept, in seconds: longer than anything that is asked for.
const KEPT: i64 = 3 * 3600;
/// How old a sample may be to be taken for the present. Source: `--query.lookback-delta`.
pub(super) const LOOKBACK: i64 = 300;

/// What a scrape of an instance found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// A staleness marker: no answer.
    Nothing,
    /// The exporter answered, its component did not.
    Down,
    /// Both did.
    Up { load: f32, stress: f32, healthy: bool, draining: bool, closing: bool },
}

/// One sample of all series of an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// In seconds.
    pub(super) at: i64,
    pub(super) found: Found,
    /// What was found of the second Jibri of the host.
    pub(super) twin: Found,
}

impl Sample {
    /// What was found of the component that the scaler reaches, or of the second one.
    pub(super) fn of(&self, twin: bool) -> Found {
        if twin { self.twin } else { self.found }
    }
}

/// The samples of an instance.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) samples: VecDeque<Sample>,
}

impl History {
    fn push(&mut self, at: i64, found: Found, twin: Found) {
        let nothing = |it: Sample| it.found == Found::Nothing && it.twin == Found::Nothing;
        let sample = Sample { at, found, twin };
        if nothing(sample) && self.samples.back().is_none_or(|it| nothing(*it)) {
            return;
        }
        self.samples.push_back(sample);
        while self.samples.front().is_some_and(|it| at - it.at > KEPT) {
            self.samples.pop_front();
        }
    }

    /// The newest sample that is not later than `at`.
    pub(super) fn newest(&self, at: i64) -> Option<&Sample> {
        // Most questions are about the present.
        let last = self.samples.back()?;
        if last.at <= at {
            return Some(last);
        }
        let after = self.samples.partition_point(|it| it.at <= at);
        self.samples.get(after.checked_sub(1)?)
    }
}

/// A recorded series; NaN is a staleness marker.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    points: VecDeque<(i64, f64)>,
}

impl Series {
    fn push(&mut self, at: i64, value: Option<f64>) {
        self.points.push_back((at, value.unwrap_or(f64::NAN)));
        while self.points.front().is_some_and(|(then, _)| at - then > KEPT) {
            self.points.pop_front();
        }
    }

    /// The value at `at` of what is visible until `visible`, no older than `age`.
    pub(super) fn value(&self, at: i64, visible: i64, age: i64) -> Option<f64> {
        let after = self.points.partition_point(|(then, _)| *then <= at.min(visible));
        let (then, value) = self.points.get(after.checked_sub(1)?)?;
        (at - then < age && value.is_finite()).then_some(*value)
    }
}

/// What the rules record of a group: the stress of bridges, or free and busy Jibris.
#[derive(Clone, Debug, Default)]
pub(super) struct Aggregates {
    pub(super) series: [Series; 2],
}

/// Which instances Prometheus knows of.
#[derive(Clone, Debug, Default)]
pub(super) struct Prometheus {
    /// Those that it has samples of, dead ones included.
    pub(super) known: Vec<usize>,
    /// Those that service discovery does not find any more.
    pub(super) vanishing: Vec<usize>,
}

impl World {
    fn scraped(&self, instance: usize) -> Found {
        let it = &self.instances[instance];
        if it.unreachable > self.now {
            return Found::Nothing;
        }
        match it.process {
            Process::Booting | Process::Gone => Found::Nothing,
            Process::Hung | Process::Restarting | Process::Exited => Found::Down,
            Process::Running => {
                let healthy = it.healthy && !self.faults.looks_ill(instance, self.now);
                let (load, stress) = match it.kind {
                    Kind::Bridge => {
                        let people = f64::from(it.people);
                        (people, people / self.setting.bearable)
                    }
                    Kind::Jibri => (f64::from(u8::from(it.job != Job::Idle || !healthy)), 0.0),
                };
                #[expect(clippy::cast_possible_truncation, reason = "counts of people")]
                let (load, stress) = (load as f32, stress as f32);
                let draining = it.drain.is_some();
                Found::Up { load, stress, healthy, draining, closing: it.graceful }
            }
        }
    }

    fn twin_scraped(&self, instance: usize) -> Found {
        let it = &self.instances[instance];
        let Some(twin) = it.twin.filter(|_| it.unreachable <= self.now && it.process != Process::Booting)
        else {
            return Found::Nothing;
        };
        let load = if twin.job == Job::Idle { 0.0 } else { 1.0 };
        Found::Up { load, stress: 0.0, healthy: true, draining: false, closing: false }
    }

    pub(super) fn scrape(&mut self) {
        let next = self.now + self.setting.scrape * SECOND;
        self.schedule(next, Event::Scrape);
        if self.faults.prometheus_is_down(self.now) {
            // Nobody marks what vanishes meanwhile.
            self.prometheus.vanishing.clear();
            return;
        }
        let at = self.now / SECOND;
        let missing = self.faults.scrapes_missing(self.now);
        for group in 0..self.groups.len() {
            for place in 0..self.groups[group].members.len() {
                let instance = self.groups[group].members[place];
                let mut found = (self.scraped(instance), self.twin_scraped(instance));
                if missing > 0.0 && self.luck.random_bool(missing) {
                    found = (Found::Nothing, Found::Nothing);
                }
                let history = &mut self.instances[instance].history;
                // One that was away for longer than samples are kept is known anew.
                if found != (Found::Nothing, Found::Nothing) && !self.prometheus.known.contains(&instance) {
                    self.prometheus.known.push(instance);
                }
                history.push(at, found.0, found.1);
            }
        }
        for instance in std::mem::take(&mut self.prometheus.vanishing) {
            self.instances[instance].history.push(at, Found::Nothing, Found::Nothing);
        }
        let instances = &self.instances;
        self.prometheus
            .known
            .retain(|&it| instances[it].history.newest(at).is_some_and(|it| at - it.at < KEPT));
        let fails = self.faults.rules_fail(self.now);
        if fails == 0.0 || !self.luck.random_bool(fails) {
            self.record(at);
        }
        self.tape(at);
    }

    /// The recording rules.
    fn record(&mut self, at: i64) {
        let mut sums = [[0.0; 2]; 4];
        let mut counts = [[0_u32; 2]; 4];
        for &instance in &self.prometheus.known {
            let it = &self.instances[instance];
            let Some(sample) = it.history.newest(at).filter(|sample| at - sample.at < LOOKBACK) else {
                continue;
            };
            let (sums, counts) = (&mut sums[it.group], &mut counts[it.group]);
            for found in [sample.found, sample.twin] {
                let Found::Up { load, stress, healthy, draining, closing } = found else { continue };
                match it.kind {
                    Kind::Bridge if healthy && !draining && !closing => {
                        sums[0] += f64::from(stress);
                        counts[0] += 1;
                    }
                    Kind::Bridge => {}
                    Kind::Jibri => {
                        sums[0] += f64::from(1.0 - load);
                        // One that is ill and idle is neither.
                        sums[1] += if healthy { f64::from(load) } else { 0.0 };
                        counts[0] += 1;
                        counts[1] += 1;
                    }
                }
            }
        }
        for (group, it) in self.groups.iter_mut().enumerate() {
            for (slot, series) in it.aggregates.series.iter_mut().enumerate() {
                let (sum, count) = (sums[group][slot], counts[group][slot]);
                let value = match it.kind {
                    Kind::Bridge => sum / f64::from(count),
                    Kind::Jibri => sum,
                };
                series.push(at, (count > 0).then_some(value));
            }
        }
    }

    /// A restart loses what was not yet safe.
    pub(super) fn forget_newest(&mut self, lost: i64) {
        let until = (self.now - lost) / SECOND;
        for &instance in &self.prometheus.known {
            let samples = &mut self.instances[instance].history.samples;
            while samples.back().is_some_and(|it| it.at > until) {
                samples.pop_back();
            }
        }
        // What it has no sample of any more it would get to know a second time.
        let instances = &self.instances;
        self.prometheus.known.retain(|&it| !instances[it].history.samples.is_empty());
        for series in self.groups.iter_mut().flat_map(|it| &mut it.aggregates.series) {
            while series.points.back().is_some_and(|(at, _)| *at > until) {
                series.points.pop_back();
            }
        }
    }
}
