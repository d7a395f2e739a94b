//! The file of `jitsi-scaler test`: scripted series and groups, and the expected decisions.
//!
//! Owns its keys and promtool's notation for values. Runs nothing.

use std::path::Path;
use std::time::Duration;

use jitsi_web::document::{self, Dialect, Field, Problems, Wait};

use super::model::{ConfigError, Fleet};
use super::parse::{not_empty, whole};
use super::raw::{RawExpectation, RawGroup, RawInstance, RawTest, RawTestFile, Sections, Text};
use super::{file, prometheus};
use crate::decide::alarm::Verdict;
use crate::decide::decision::Action;
use crate::decide::policy::Direction;
use crate::units::{Capacity, Time};

/// How long the instances at the start have been in service, by default.
const OLD: Duration = Duration::from_hours(24 * 30);
/// How long an instance takes to become ready, by default.
const DEFAULT_BOOT: Duration = Duration::from_mins(2);
/// The most values of a series: a month of minutes.
const MOST_VALUES: usize = 50_000;

/// A valid test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// The fleets that are tested.
    pub fleets: Vec<Fleet>,
    /// At least one.
    pub tests: Vec<PolicyTest>,
}

/// A group, the values that its policies see, and the expected decisions.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// A sentence.
    pub name: String,
    /// Its fleet's place in the file's fleets.
    pub fleet: usize,
    /// The name of the group, for texts.
    pub asg: String,
    /// When it begins: a multiple of every period.
    pub start: Time,
    /// The group at the start.
    pub group: SimulatedGroup,
    /// One per policy of the fleet, in their order: a value per period from the start on.
    pub series: Vec<Vec<Option<f64>>>,
    /// Whether the values follow the group's capacity by `measures`, and are those of its capacity at the start.
    pub closed_loop: bool,
    /// At least one, in the order of time.
    pub expectations: Vec<Expectation>,
}

/// A simulated group at its start, and how long things take in it.
#[derive(Clone, Debug)]
pub struct SimulatedGroup {
    /// Its minimum.
    pub min: Capacity,
    /// Its maximum.
    pub max: Capacity,
    /// Its desired capacity, which it has at the start.
    pub desired: Capacity,
    /// How long a new instance takes to become ready.
    pub boot: Lengths,
    /// Whether the warm-up of a new instance begins halfway through its boot, when AWS calls it in service, and not so that
    /// it is over with the boot.
    pub warms_from_half: bool,
    /// How long an instance takes to become empty once its drain begins; a free one is empty at once. With zero every one
    /// is gone as soon as its drain begins.
    pub drain: Lengths,
    /// Whether nothing is launched.
    pub launch_suspended: bool,
    /// Whether nothing may be terminated.
    pub terminate_suspended: bool,
    /// For how long launches fail, counted from the start.
    pub launches_fail_for: Duration,
    /// The first of its instances; the others are idle and old.
    pub instances: Vec<SimulatedInstance>,
    /// What is launched later, but for its age.
    pub launched: SimulatedInstance,
}

/// How long something takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Usually.
    pub usual: Duration,
    /// When it was seen to begin, and how long it took then; in the order of time.
    pub seen: Vec<(Time, Duration)>,
}

/// How far from a beginning that was seen another one may be to take as long.
const SAME_TIME: Duration = Duration::from_mins(10);

impl Lengths {
    /// Always as long.
    #[must_use]
    pub fn always(usual: Duration) -> Self {
        Self { usual, seen: Vec::new() }
    }

    /// How long what begins at `at` takes: as long as what was seen to begin about then.
    #[must_use]
    pub fn at(&self, at: Time) -> Duration {
        let distance = |seen: Time| seen.since(at).max(at.since(seen));
        let after = self.seen.partition_point(|(seen, _)| *seen < at);
        let near = self.seen[after.saturating_sub(1)..self.seen.len().min(after + 1)].iter();
        let near =
            near.filter(|(seen, _)| distance(*seen) <= SAME_TIME).min_by_key(|(seen, _)| distance(*seen));
        near.map_or(self.usual, |(_, length)| *length)
    }
}

/// A simulated instance at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedInstance {
    /// Participants of a bridge, 1 for a busy Jibri: a value per evaluation, of which the last one stays. `None` is
    /// unknown.
    pub load: Vec<Option<f64>>,
    /// How long it has been in service at the start.
    pub age: Duration,
    /// How long a Jibri has been idle at the start.
    pub idle_for: Duration,
    /// Whether Prometheus knows of it.
    pub reports: bool,
    /// Whether `replace_unhealthy` finds it ill.
    pub ill: bool,
    /// Whether AWS terminates it, and a hook holds it.
    pub held: bool,
}

impl Default for SimulatedInstance {
    fn default() -> Self {
        Self { load: vec![Some(0.0)], age: OLD, idle_for: OLD, reports: true, ill: false, held: false }
    }
}

/// The expected decision at a time. Only the parts that are stated are checked.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its line in the file.
    pub line: u64,
    /// After the start; a grid point of the fleet.
    pub at: Duration,
    /// The action that is decided.
    pub action: Option<Action>,
    /// The capacity wanted after it.
    pub desired: Option<Capacity>,
    /// Verdicts, by the policy's place in the fleet.
    pub alarms: Vec<(usize, Option<Verdict>, Option<Verdict>)>,
    /// The instances whose drain begins, in any order.
    pub victims: Option<Vec<String>>,
    /// The words of all effects, in any order.
    pub effects: Option<Vec<String>>,
    /// The words of all reasons that hold it back, in any order.
    pub blocked: Option<Vec<String>>,
    /// How many instances drain, those included whose drain begins.
    pub drains: Option<usize>,
}

/// Reads and validates the file at `path`, and the configuration that it names.
pub fn load(path: &Path) -> Result<TestFile, ConfigError> {
    parse(&file::text(path)?, path)
}

/// Validates the text of the file at `path`, and the configuration that it names.
pub(super) fn parse(text: &str, path: &Path) -> Result<TestFile, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let problems = Problems::default();
    let raw: Field<RawTestFile> = document::read(text, Dialect::Strict, &problems);
    let mut file = None;
    if let Some((at, raw)) = raw.open() {
        let fleets = match (raw.config.is_absent(), raw.fleets.is_absent()) {
            (false, true) => {
                let config = raw.config.take().map(|config| file::load(&folder.join(config)));
                config.transpose()?.map(|config| config.fleets)
            }
            (true, false) => prometheus::unasked()
                .and_then(|unasked| file::fleets(raw.fleets, &unasked, folder, &problems)),
            (is_neither, _) => {
                let text = if is_neither {
                    "names no fleets; write for example `config: scaler.yml`, or `fleets:` as in a configuration"
                } else {
                    "write either `config` or `fleets`, not both"
                };
                at.wrong(&problems, text);
                None
            }
        };
        let tests = not_empty(raw.tests, &problems, ("tests", "test"));
        // Without fleets every test would be wrong for that alone.
        file = fleets.zip(tests.take()).map(|(fleets, raw)| {
            let tests = raw.into_iter().filter_map(|test| read(test, &fleets, &problems)).collect();
            TestFile { fleets, tests }
        });
    }
    match (file, problems.into_sorted().0) {
        (Some(file), wrong) if wrong.is_empty() => Ok(file),
        (_, problems) => Err(ConfigError::Invalid { path: path.to_owned(), problems }),
    }
}

fn read(raw: Field<RawTest>, fleets: &[Fleet], problems: &Problems) -> Option<PolicyTest> {
    let (at, raw) = raw.open()?;
    let name = raw.name.required(problems, "nine breaching minutes do nothing");
    let known: Vec<_> = fleets.iter().map(|fleet| fleet.name.as_str()).collect();
    let known = known.join(", ");
    let place = raw.fleet.convert(problems, |name| {
        let place = fleets.iter().position(|fleet| fleet.name.as_str() == name);
        place.ok_or_else(|| format!("there is no fleet \"{name}\"; there are {known}"))
    });
    let place = if let [_] = fleets {
        place.or(0)
    } else {
        place.required_because(problems, format!("`fleet` is missing; there are {known}")).take()
    };
    let start = raw.start.convert(problems, |text| {
        let start = Time::parse(&text).filter(|at| at.unix() % 60 == 0);
        start.ok_or_else(|| format!("must be a whole minute such as 2026-11-20T07:00:00Z, not \"{text}\""))
    });
    // Every period that divides a day meets this midnight.
    let start = start.or(Time::from_unix(946_684_800));
    let instances = raw.instances.take().unwrap_or_default();
    let instances = instances.into_iter().filter_map(|raw| instance(raw.take()?, problems)).collect();
    let group = raw.group.required(problems, "{desired: 3, min: 2, max: 10}");
    let group = group.take().and_then(|raw| simulated(raw, instances, problems));
    let asg = raw.asg.or("test".to_owned())?;

    let fleet = fleets.get(place?)?;
    let policies = &fleet.policy.policies;
    let mut series = vec![Vec::new(); policies.len()];
    for (name, values) in raw.series.take().unwrap_or_default() {
        let Some(place) = policies.iter().position(|policy| policy.name.as_str() == name) else {
            let known: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
            values
                .place()
                .wrong(problems, format!("there is no such policy; there are {}", known.join(", ")));
            continue;
        };
        series[place] = values.convert(problems, |values| expand(&values)).take().unwrap_or_default();
    }
    let tick = fleet.policy.smallest_period()?.duration();
    let expect = raw.expect.take().unwrap_or_default();
    if expect.is_empty() {
        at.wrong(
            problems,
            "`expect` is missing or empty; write for example `expect: [{at: 12m, action: scale_out}]`",
        );
    }
    let expectations = expect.into_iter().filter_map(|raw| expectation(raw, fleet, tick, problems));
    let mut expectations: Vec<Expectation> = expectations.collect();
    expectations.sort_by_key(|expectation| expectation.at);
    let closed_loop = raw.closed_loop.or(false)?;
    Some(PolicyTest {
        name: name.take()?,
        closed_loop,
        fleet: place?,
        asg,
        start: start?,
        group: group?,
        series,
        expectations,
    })
}

fn simulated(
    raw: RawGroup,
    instances: Vec<SimulatedInstance>,
    problems: &Problems,
) -> Option<SimulatedGroup> {
    let number = |raw: Text, example| raw.required(problems, example).convert(problems, |text| whole(&text));
    let (min, max) = (number(raw.min, "2").take(), number(raw.max, "10").take());
    let desired = number(raw.desired, "3").convert(problems, |desired| match (min, max) {
        (Some(min), Some(max)) if !(min <= desired && desired <= max) => {
            Err(format!("must be from min {min} to max {max}"))
        }
        // What a hook holds is no longer part of it.
        _ if instances.iter().filter(|it| !it.held).count() > desired.get() as usize => {
            Err(format!("is less than the {} instances that are described", instances.len()))
        }
        _ => Ok(desired),
    });
    let Wait(boot) = raw.boot.or(Wait(DEFAULT_BOOT))?;
    let (Wait(drain), Wait(launches_fail_for)) =
        (raw.drain.or(Wait(Duration::ZERO))?, raw.launches_fail_for.or(Wait(Duration::ZERO))?);
    let suspended = raw.suspended.take().unwrap_or_default().into_iter();
    let processes = [("Launch", Direction::Out), ("Terminate", Direction::In)];
    let suspended: Vec<_> =
        suspended.filter_map(|process| process.one_of(problems, &processes).take()).collect();
    Some(SimulatedGroup {
        min: min?,
        max: max?,
        desired: desired.take()?,
        boot: Lengths::always(boot),
        warms_from_half: false,
        drain: Lengths::always(drain),
        launch_suspended: suspended.contains(&Direction::Out),
        terminate_suspended: suspended.contains(&Direction::In),
        launches_fail_for,
        instances,
        launched: SimulatedInstance::default(),
    })
}

fn instance(raw: RawInstance, problems: &Problems) -> Option<SimulatedInstance> {
    let load = raw.load.convert(problems, |text| {
        let loads = expand(&text)?;
        let is_valid = !loads.is_empty() && loads.iter().flatten().all(|load| *load >= 0.0);
        is_valid
            .then_some(loads)
            .ok_or_else(|| format!("must be numbers that are not negative, not \"{text}\""))
    });
    let default = SimulatedInstance::default();
    let (Wait(age), Wait(idle_for)) =
        (raw.age.or(Wait(default.age))?, raw.idle_for.or(Wait(default.idle_for))?);
    Some(SimulatedInstance {
        load: load.or(default.load)?,
        age,
        idle_for,
        reports: raw.reports.or(true)?,
        ill: raw.ill.or(false)?,
        held: raw.held.or(false)?,
    })
}

fn expectation(
    raw: Field<RawExpectation>,
    fleet: &Fleet,
    tick: Duration,
    problems: &Problems,
) -> Option<Expectation> {
    let (place, raw) = raw.open()?;
    let at = raw.at.required(problems, "12m").convert(problems, |Wait(at)| {
        let on_grid = at.subsec_nanos() == 0 && at.as_secs().is_multiple_of(tick.as_secs());
        if on_grid {
            Ok(at)
        } else {
            Err(format!("must be a multiple of {} s, the fleet's period", tick.as_secs()))
        }
    });
    let action = raw.action.one_of(problems, &Action::WORDS).take();
    let desired = raw.desired.convert(problems, |text| whole(&text)).take();
    let mut alarms = Vec::new();
    for (name, verdicts) in raw.alarms.take().unwrap_or_default() {
        let Some((place, raw)) = verdicts.open() else { continue };
        let [out, in_] =
            [raw.scale_out, raw.scale_in].map(|verdict| verdict.one_of(problems, &Verdict::WORDS).take());
        match fleet.policy.policies.iter().position(|policy| policy.name.as_str() == name) {
            Some(policy) => alarms.push((policy, out, in_)),
            None => place.wrong(problems, "there is no such policy in the fleet"),
        }
    }
    let words = |raw: Sections<String>| -> Option<Vec<String>> {
        raw.take().map(|words| words.into_iter().filter_map(Field::take).collect())
    };
    let drains = raw.drains.convert(problems, |text| whole(&text)).take();
    Some(Expectation {
        line: place.line,
        at: at.take()?,
        action,
        desired,
        alarms,
        victims: words(raw.victims),
        effects: words(raw.effects),
        blocked: words(raw.blocked),
        drains: drains.map(|drains| drains.get() as usize),
    })
}

/// Values in promtool's notation: `1`, `1x4` (five times 1), `1+2x3` (1 3 5 7), `1-2x3`, `_` (missing), `_x3` (three
/// missing ones), `stale`.
fn expand(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let (what, times) = match word.rsplit_once('x') {
            Some((what, times)) => {
                let times = times.parse::<usize>().ok().filter(|times| *times <= MOST_VALUES);
                (what, Some(times.ok_or_else(|| format!("\"{word}\" has no valid number of repetitions"))?))
            }
            None => (word, None),
        };
        if what == "_" || what == "stale" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let unreadable = || format!("\"{word}\" is not a value; write for example 5, 5x3, 5+1x3 or _");
        let (first, step) = if times.is_some() {
            split_step(what).ok_or_else(unreadable)?
        } else {
            (what.parse().map_err(|_| unreadable())?, 0.0)
        };
        values.extend((0..=times.unwrap_or(0)).map(|index| Some(first + step * index as f64)));
        if values.len() > MOST_VALUES {
            return Err(format!("has more than {MOST_VALUES} values"));
        }
    }
    // As Prometheus would give them.
    Ok(values.into_iter().map(|value| value.filter(|value: &f64| value.is_finite())).collect())
}

/// `5`, `5+1` or `5-1`; a sign behind an `e` belongs to the exponent.
fn split_step(text: &str) -> Option<(f64, f64)> {
    if let Ok(value) = text.parse() {
        return Some((value, 0.0));
    }
    let signs =
        text.char_indices().skip(1).filter(|(at, c)| "+-".contains(*c) && !text[..*at].ends_with(['e', 'E']));
    let (at, _) = signs.last()?;
    Some((text[..at].parse().ok()?, text[at..].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("700e6x2 750e6x1", &[Some(700e6), Some(700e6), Some(700e6), Some(750e6), Some(750e6)]; "repeated")]
    #[test_case("1+2x3", &[Some(1.0), Some(3.0), Some(5.0), Some(7.0)]; "rising")]
    #[test_case("1-2x2", &[Some(1.0), Some(-1.0), Some(-3.0)]; "falling")]
    #[test_case("-2+1e-1x1", &[Some(-2.0), Some(-1.9)]; "signs and exponents")]
    #[test_case("1 _ _x2 stale 2", &[Some(1.0), None, None, None, None, Some(2.0)]; "missing")]
    #[test_case("NaN +Inf", &[None, None]; "not finite")]
    fn values_are_written_as_for_promtool(text: &str, expected: &[Option<f64>]) {
        assert_eq!(expand(text).expect("values"), expected);
    }

    #[test_case("five"; "a word")]
    #[test_case("1x"; "no number")]
    #[test_case("1x99999999"; "too many")]
    #[test_case("1+x2"; "no step")]
    fn other_texts_are_refused(text: &str) {
        assert!(expand(text).is_err());
    }
}
