//! The questions that the scaler asks Prometheus, recognised by their text and answered from its samples.
//!
//! Owns as much of PromQL as the scaler writes and the configuration of the simulation uses. A text that it does not
//! know ends the run: an answer that is guessed would prove nothing.

use std::sync::Arc;
use std::time::Duration;

use jitsi_scaler::observe::Metrics;
use jitsi_scaler::observe::rules::Rules;
use jitsi_scaler::observe::{Labelled, Labels, QueryError};
use jitsi_scaler::units::{Period, Time};
use rand::RngExt as _;

use super::calls::{Fate, call};
use super::component::Instance;
use super::prometheus::{Found, LOOKBACK};
use super::setting::Kind;
use super::world::{SECOND, Shared, World};

/// A range of a subquery in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    range: i64,
    step: i64,
}

/// A question that was understood. `age` is how old a sample may be, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// What the rules record of every group.
    Aggregate { kind: Kind, slot: usize, plus: f64, age: i64 },
    /// Which instances are up.
    Up { kind: Kind, age: i64 },
    /// What is known of each of them.
    States { kind: Kind, age: i64 },
    /// Which of them are ill.
    Ill { kind: Kind, age: i64 },
    /// When each Jibri was last not available.
    LastBusy(Steps),
    /// When each Jibri first told whether it is.
    FirstTold(Steps),
    /// When each instance was first up.
    FirstUp(Kind, Steps),
}

/// The recorded series, with what they are of.
const RECORDED: [(&str, Kind, usize); 3] = [
    ("asg:jvb_stress:avg", Kind::Bridge, 0),
    ("asg:jibri_available:sum", Kind::Jibri, 0),
    ("asg:jibri_busy:sum", Kind::Jibri, 1),
];

fn steps(text: &str) -> Option<Steps> {
    let (range, step) = text.strip_prefix('[')?.strip_suffix("])")?.split_once(':')?;
    let seconds = |text: &str| text.strip_suffix('s')?.parse().ok();
    Some(Steps { range: seconds(range)?, step: seconds(step)? })
}

/// Understands an expression.
fn parse(expr: &str) -> Option<Question> {
    let jibris = "{__name__=~\"jibri_available\"}";
    if let Some(rest) = expr.strip_prefix("max_over_time(timestamp(") {
        return Some(Question::LastBusy(steps(rest.strip_prefix(jibris)?.strip_prefix(" == 0)")?)?));
    }
    if let Some(rest) = expr.strip_prefix("min_over_time(timestamp(") {
        if let Some(rest) = rest.strip_prefix(jibris) {
            return Some(Question::FirstTold(steps(rest.strip_prefix(')')?)?));
        }
        let (kind, rest) = match rest.strip_prefix("jvb_up > 0)") {
            Some(rest) => (Kind::Bridge, rest),
            None => (Kind::Jibri, rest.strip_prefix("jibri_up > 0)")?),
        };
        return Some(Question::FirstUp(kind, steps(rest)?));
    }
    // As the scaler asks for what is fresh.
    let (plain, age) = match expr.split_once(" and last_over_time(") {
        Some((plain, again)) => {
            let range = again.strip_prefix(plain)?.strip_prefix('[')?.strip_suffix("s])")?;
            (plain, range.parse::<i64>().ok()?.min(LOOKBACK))
        }
        None => (expr, LOOKBACK),
    };
    let (series, plus) = match plain.split_once(" + ") {
        Some((series, plus)) => (series, plus.parse().ok()?),
        None => (plain, 0.0),
    };
    if let Some(&(_, kind, slot)) = RECORDED.iter().find(|(name, ..)| *name == series) {
        return Some(Question::Aggregate { kind, slot, plus, age });
    }
    match plain {
        "jvb_up" => Some(Question::Up { kind: Kind::Bridge, age }),
        "jibri_up" => Some(Question::Up { kind: Kind::Jibri, age }),
        "jvb_healthy == 0" => Some(Question::Ill { kind: Kind::Bridge, age }),
        "jibri_healthy == 0" => Some(Question::Ill { kind: Kind::Jibri, age }),
        _ if plain.starts_with("{__name__=~\"jvb_") => Some(Question::States { kind: Kind::Bridge, age }),
        _ if plain.starts_with("{__name__=~\"jibri_") => Some(Question::States { kind: Kind::Jibri, age }),
        _ => None,
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

/// The labels of the series of an instance, with `more`. A second Jibri on its host differs in one that the scaler does not
/// know.
fn labels_of(it: &Instance, twin: bool, more: &[(&str, &str)]) -> Labels {
    let own = [("instance_id", it.id.as_str()), ("jibri", if twin { "second" } else { "first" })];
    own.iter().chain(more).copied().collect()
}

impl World {
    /// Until when samples are visible, in seconds.
    fn visible(&self) -> i64 {
        (self.now - self.faults.lateness(self.now)) / SECOND
    }

    /// The series of a component: the instance of each, and whether it is of the second Jibri of its host.
    fn known(&self, kind: Kind) -> impl Iterator<Item = (&Instance, bool)> {
        let known = self.prometheus.known.iter().map(|&it| &self.instances[it]);
        let known = known.filter(move |it| it.kind == kind);
        known.flat_map(|it| it.twin.map(|_| (it, true)).into_iter().chain([(it, false)]))
    }

    /// What was found of an instance as of `at`.
    fn found(&self, it: &Instance, twin: bool, at: i64, age: i64) -> Option<Found> {
        let sample = it.history.newest(at.min(self.visible()))?;
        let found = sample.of(twin);
        (at - sample.at < age && found != Found::Nothing).then_some(found)
    }

    fn understood(&mut self, expr: &str) -> Question {
        if let Some(question) = self.questions.get(expr) {
            return *question;
        }
        let question = parse(expr).unwrap_or_else(|| panic!("the simulation does not understand `{expr}`"));
        self.questions.insert(expr.to_owned(), question);
        question
    }

    fn instant(&mut self, expr: &str, at: i64) -> Vec<Labelled> {
        let question = self.understood(expr);
        let mut answer = Vec::new();
        let mut add = |labels, value: f64| answer.push(Labelled { labels, points: vec![(at as f64, value)] });
        match question {
            Question::Up { kind, age } => {
                for (it, twin) in self.known(kind) {
                    let Some(found) = self.found(it, twin, at, age) else { continue };
                    let up = f64::from(u8::from(matches!(found, Found::Up { .. })));
                    add(labels_of(it, twin, &[("private_ip", &it.address)]), up);
                }
            }
            Question::States { kind, age } => {
                for (it, twin) in self.known(kind) {
                    let Some(Found::Up { load, healthy, draining, closing, .. }) =
                        self.found(it, twin, at, age)
                    else {
                        continue;
                    };
                    let (load, healthy) = (f64::from(load), f64::from(u8::from(healthy)));
                    let mut say = |name: &str, value| add(labels_of(it, twin, &[("__name__", name)]), value);
                    match kind {
                        Kind::Bridge => {
                            say("jvb_local_endpoints", load);
                            say("jvb_healthy", healthy);
                            say("jvb_draining", f64::from(u8::from(draining)));
                            if closing {
                                say("jvb_graceful_shutdown", 1.0);
                            }
                        }
                        Kind::Jibri => {
                            say("jibri_available", 1.0 - load);
                            say("jibri_healthy", healthy);
                        }
                    }
                }
            }
            Question::LastBusy(steps) => {
                self.each(Kind::Jibri, steps, at, true, &mut add, |found, _, step| {
                    matches!(found, Found::Up { load, .. } if load > 0.0).then_some(step)
                });
            }
            Question::FirstTold(steps) => {
                self.each(Kind::Jibri, steps, at, false, &mut add, |found, then, _| {
                    matches!(found, Found::Up { .. }).then_some(then)
                });
            }
            Question::FirstUp(kind, steps) => {
                self.each(kind, steps, at, false, &mut add, |found, _, step| {
                    matches!(found, Found::Up { .. }).then_some(step)
                });
            }
            Question::Aggregate { .. } | Question::Ill { .. } => panic!("`{expr}` at one moment"),
        }
        answer
    }

    /// A subquery over the series of every instance, from its newest or its oldest step on: the first that `tell`
    /// gives. It is told what was found, when that was sampled, and the step.
    fn each(
        &self,
        kind: Kind,
        steps: Steps,
        at: i64,
        newest_first: bool,
        add: &mut impl FnMut(Labels, f64),
        tell: impl Fn(Found, i64, i64) -> Option<i64>,
    ) {
        // Steps are whole multiples, as in Prometheus; the range is open at its beginning.
        let last = at - at.rem_euclid(steps.step);
        let count = (last - (at - steps.range) - 1).div_euclid(steps.step) + 1;
        let visible = self.visible();
        for (it, twin) in self.known(kind) {
            let samples = &it.history.samples;
            // Steps come in order, so that each sample is passed at most once.
            let mut place = if newest_first { samples.len() } else { 0 };
            let told = (0..count).find_map(|index| {
                let back = if newest_first { index } else { count - 1 - index };
                let step = last - back * steps.step;
                let until = step.min(visible);
                while place > 0 && samples[place - 1].at > until {
                    place -= 1;
                }
                while place < samples.len() && samples[place].at <= until {
                    place += 1;
                }
                let sample = samples[place.checked_sub(1)?];
                if step - sample.at >= LOOKBACK {
                    return None;
                }
                tell(sample.of(twin), sample.at, step)
            });
            if let Some(told) = told {
                add(labels_of(it, twin, &[]), told as f64);
            }
        }
    }

    fn range(&mut self, scaler: usize, expr: &str, start: i64, end: i64, step: i64) -> Vec<Labelled> {
        let question = self.understood(expr);
        let visible = self.visible();
        let grid = || (start..=end).step_by(usize::try_from(step).unwrap_or(1));
        match question {
            Question::Aggregate { kind, slot, plus, age } => {
                let mut answer = Vec::new();
                for (index, group) in self.groups.iter().enumerate().filter(|(_, it)| it.kind == kind) {
                    let series = &group.aggregates.series[slot];
                    let points: Vec<_> = grid()
                        .filter_map(|at| Some((at as f64, series.value(at, visible, age)? + plus)))
                        .collect();
                    self.judge.answered(scaler, index, slot, end, step, &points);
                    if !points.is_empty() {
                        answer.push(Labelled { labels: labels(&[("asg", group.name.as_str())]), points });
                    }
                }
                answer
            }
            Question::Ill { kind, age } => {
                let ill = |it: &Instance, at| {
                    let found = self.found(it, false, at, age);
                    matches!(found, Some(Found::Up { healthy: false, .. })).then_some((at as f64, 0.0))
                };
                let of = |it: &Instance| Labelled {
                    labels: labels_of(it, false, &[]),
                    points: grid().filter_map(|at| ill(it, at)).collect(),
                };
                let ill: Vec<_> = self
                    .known(kind)
                    .filter(|(_, twin)| !twin)
                    .map(|(it, _)| of(it))
                    .filter(|it| !it.points.is_empty())
                    .collect();
                self.judge.told_ill(scaler, kind, end, &ill);
                ill
            }
            _ => panic!("`{expr}` over a range"),
        }
    }

    fn query_fate(&mut self, scaler: usize, expr: &str) -> Fate<QueryError> {
        match self.understood(expr) {
            Question::Aggregate { kind, slot, .. } => self.judge.unanswered(scaler, kind, slot),
            Question::Ill { kind, .. } => self.judge.told_ill(scaler, kind, 0, &[]),
            _ => {}
        }
        let now = self.now;
        let mut fate = Fate { before: self.luck.random_range(3..40), after: 0, failure: None, done: false };
        let (silent, warns) = (self.faults.prometheus_is_silent(now), self.faults.prometheus_warns(now));
        if self.faults.prometheus_is_down(now) {
            let (expr, body) = (expr.to_owned(), "Bad Gateway".to_owned());
            fate.failure = Some(QueryError::Foreign { expr, status: 502, body, remedy: "start it" });
        } else if silent > 0.0 && self.luck.random_bool(silent) {
            fate.failure = Some(QueryError::Timeout(10.0));
            fate.after = 10 * SECOND;
        } else if warns > 0.0 && self.luck.random_bool(warns) {
            let warnings = "a store is missing".to_owned();
            fate.failure = Some(QueryError::Partial { expr: expr.to_owned(), warnings });
        }
        fate
    }
}

/// Prometheus, as one scaler reaches it.
#[derive(Clone, Debug)]
pub(super) struct Queries {
    pub(super) shared: Shared,
    pub(super) scaler: usize,
}

impl Metrics for Queries {
    async fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> Result<Vec<Labelled>, QueryError> {
        let scaler = self.scaler;
        let fate = |world: &mut World| world.query_fate(scaler, expr);
        call(&self.shared, scaler, false, fate, |world| {
            Ok(world.range(scaler, expr, start.unix(), end.unix(), step.seconds()))
        })
        .await
    }

    /// This Prometheus does not say, as some that speak its API do not.
    async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
        None
    }

    async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
        let fate = |world: &mut World| world.query_fate(self.scaler, expr);
        call(&self.shared, self.scaler, false, fate, |world| Ok(world.instant(expr, at.unix()))).await
    }
}
