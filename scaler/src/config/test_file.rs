//! The file of `jitsi-scaler test`: scripted series and groups, and what is expected of them.
//!
//! Owns its words and promtool's notation for values. Runs nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::yaml::{self, Found, Problems, Section};
use super::{ConfigError, Fleet, fleet, policy};
use crate::decide::alarm::Verdict;
use crate::decide::decision::Action;
use crate::units::{Capacity, Time};

/// How long the instances that are there from the start have been, where a test does not say.
const OLD: Duration = Duration::from_hours(24 * 30);
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

/// A group, what its policies see, and what is expected.
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
    /// At least one, in the order of time.
    pub expectations: Vec<Expectation>,
}

/// A group that obeys at once.
#[derive(Clone, Debug)]
pub struct SimulatedGroup {
    /// Its minimum.
    pub min: Capacity,
    /// Its maximum.
    pub max: Capacity,
    /// What it is asked to hold, and holds.
    pub desired: Capacity,
    /// How long a new instance takes to become ready.
    pub boot: Duration,
    /// The first of its instances; the others are free and old.
    pub instances: Vec<SimulatedInstance>,
}

/// An instance that is there from the start: ready, reporting and eligible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulatedInstance {
    /// Participants of a bridge; 1 for a Jibri that is not free.
    pub load: f64,
    /// How long it has been in service at the start.
    pub age: Duration,
    /// How long a Jibri has been free at the start.
    pub idle_for: Duration,
}

impl Default for SimulatedInstance {
    fn default() -> Self {
        Self { load: 0.0, age: OLD, idle_for: OLD }
    }
}

/// What is expected at a time. Only what is stated is checked.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its line in the file.
    pub line: u64,
    /// After the start; a grid point of the fleet.
    pub at: Duration,
    /// What is decided.
    pub action: Option<Action>,
    /// The capacity wanted after it.
    pub desired: Option<Capacity>,
    /// Verdicts, by the policy's place in the fleet.
    pub alarms: Vec<(usize, Option<Verdict>, Option<Verdict>)>,
}

/// Reads and validates the file at `path`, and the configuration that it names.
pub fn load(path: &Path) -> Result<TestFile, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Validates the text of the file at `path`, and the configuration that it names.
pub(super) fn parse(text: &str, path: &Path) -> Result<TestFile, ConfigError> {
    let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
    let root = yaml::parse(text).map_err(|problem| invalid(vec![problem]))?;
    let problems = Problems::default();
    let mut root = Section::new(root, "", &problems);

    let mut fleets = Vec::new();
    let named = root.text("config").map(|found| sibling(path, &found.value));
    for section in root.sections("fleets") {
        fleets.extend(fleet::read(section, &fleets));
    }
    match &named {
        Some(config) if fleets.is_empty() => fleets = super::load(config)?.fleets,
        Some(_) => root.wrong("write either `config` or `fleets`, not both"),
        None if fleets.is_empty() && problems.is_empty() => {
            root.wrong(
                "names no fleets; write for example `config: scaler.yml`, or `fleets:` as in a configuration",
            );
        }
        None => {}
    }
    if !root.has("tests") {
        root.missing("tests", "`tests` is missing; at least one test is needed");
    }
    let sections = root.sections("tests");
    let mut tests = Vec::new();
    // Without fleets every test would be wrong for that alone.
    if fleets.is_empty() {
        drop(sections);
    } else {
        tests.extend(sections.into_iter().filter_map(|section| read(section, &fleets)));
    }
    root.finish();
    let (problems, _) = problems.into_sorted();
    if problems.is_empty() { Ok(TestFile { fleets, tests }) } else { Err(invalid(problems)) }
}

fn sibling(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(name)
}

fn read(mut section: Section<'_>, fleets: &[Fleet]) -> Option<PolicyTest> {
    let name = section.required_text("name", "nine breaching minutes do nothing");
    let known = || fleets.iter().map(|fleet| fleet.name.as_str()).collect::<Vec<_>>().join(", ");
    let fleet = match section.text("fleet") {
        Some(found) => found
            .convert(|name| {
                let place = fleets.iter().position(|fleet| fleet.name.as_str() == name);
                place.ok_or_else(|| format!("there is no fleet \"{name}\"; there are {}", known()))
            })
            .map(|found| found.value),
        None if fleets.len() == 1 => Some(0),
        None => {
            section.missing("fleet", format!("`fleet` is missing; there are {}", known()));
            None
        }
    };
    let asg = section.text("asg").map_or_else(|| "test".to_owned(), |found| found.value);
    let start = match section.text("start") {
        Some(found) => found
            .convert(|text| {
                Time::parse(&text).filter(|at| at.unix() % 60 == 0).ok_or_else(|| {
                    format!("must be a whole minute such as 2026-11-20T07:00:00Z, not \"{text}\"")
                })
            })
            .map(|found| found.value),
        // A midnight, which every period that divides a day meets.
        None => Some(Time::from_unix(946_684_800)),
    };
    let instances: Vec<_> = section.sections("instances").into_iter().map(instance).collect();
    if !section.has("group") {
        section
            .missing("group", "`group` is missing; write for example `group: {desired: 3, min: 2, max: 10}`");
    }
    let group = section.section("group").and_then(|group| simulated(group, instances));
    let fleet = fleet?;
    let policies = &fleets.get(fleet)?.policy.policies;
    let mut series = vec![Vec::new(); policies.len()];
    if let Some(found) = section.pairs("series") {
        for (name, values) in &found.value {
            let Some(place) = policies.iter().position(|policy| policy.name.as_str() == name) else {
                let known: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
                found.wrong(format!("there is no policy `{name}`; there are {}", known.join(", ")));
                continue;
            };
            match expand(values) {
                Ok(values) => series[place] = values,
                Err(text) => found.wrong(format!("`{name}`: {text}")),
            }
        }
    }
    let tick = fleets[fleet].policy.smallest_period()?.duration();
    let mut expectations: Vec<Expectation> = Vec::new();
    let sections = section.sections("expect");
    if sections.is_empty() {
        section.wrong(
            "`expect` is missing or empty; write for example `expect: [{at: 12m, action: scale_out}]`",
        );
    }
    for entry in sections {
        expectations.extend(expectation(entry, &fleets[fleet], tick));
    }
    expectations.sort_by_key(|expectation| expectation.at);
    section.finish();
    Some(PolicyTest { name: name?.value, fleet, asg, start: start?, group: group?, series, expectations })
}

fn simulated(mut section: Section<'_>, instances: Vec<SimulatedInstance>) -> Option<SimulatedGroup> {
    let mut number = |key: &'static str, example| {
        section.required_text(key, example).and_then(|found| found.convert(|text| policy::whole(&text)))
    };
    let (desired, min, max) = (number("desired", "3"), number("min", "2"), number("max", "10"));
    let boot = section.duration("boot").map_or(Duration::from_mins(2), |found| found.value);
    if let (Some(desired), Some(min), Some(max)) = (&desired, &min, &max) {
        if !(min.value <= desired.value && desired.value <= max.value) {
            desired.wrong(format!("must lie between min {} and max {}", min.value, max.value));
        }
        if instances.len() > desired.value.get() as usize {
            desired.wrong(format!("is less than the {} instances that are described", instances.len()));
        }
    }
    section.finish();
    Some(SimulatedGroup { min: min?.value, max: max?.value, desired: desired?.value, boot, instances })
}

fn instance(mut section: Section<'_>) -> SimulatedInstance {
    let default = SimulatedInstance::default();
    let load = section.text("load").and_then(|found| {
        found.convert(|text| match text.parse::<f64>() {
            Ok(load) if load.is_finite() && load >= 0.0 => Ok(load),
            _ => Err(format!("must be a number that is not negative, not \"{text}\"")),
        })
    });
    let age = section.duration("age").map_or(default.age, |found| found.value);
    let idle_for = section.duration("idle_for").map_or(default.idle_for, |found| found.value);
    section.finish();
    SimulatedInstance { load: load.map_or(default.load, |found| found.value), age, idle_for }
}

fn expectation(mut section: Section<'_>, fleet: &Fleet, tick: Duration) -> Option<Expectation> {
    if !section.has("at") {
        section.missing("at", "`at` is missing; write for example `at: 12m`");
    }
    let at = section.duration("at");
    let line = section.line();
    let at = at.and_then(|found| {
        found.convert(|at| {
            let on_grid = at.subsec_nanos() == 0 && at.as_secs().is_multiple_of(tick.as_secs());
            if on_grid {
                Ok(at)
            } else {
                Err(format!("must be a multiple of {} s, the fleet's period", tick.as_secs()))
            }
        })
    });
    let action = section.text("action").and_then(|found| {
        found.convert(|text| match text.as_str() {
            "hold" => Ok(Action::Hold),
            "scale_out" => Ok(Action::ScaleOut),
            "scale_in" => Ok(Action::ScaleIn),
            other => Err(format!("must be hold, scale_out or scale_in, not \"{other}\"")),
        })
    });
    let desired = section.text("desired").and_then(|found| found.convert(|text| policy::whole(&text)));
    let mut alarms = Vec::new();
    for (name, mut verdicts) in section.named_sections("alarms") {
        let mut verdict = |key| {
            verdicts.text(key).and_then(|found: Found<'_, String>| {
                found.convert(|text| {
                    let all = [Verdict::Ok, Verdict::Alarm, Verdict::Unknown];
                    let found = all.into_iter().find(|verdict| verdict.as_str() == text);
                    found.ok_or_else(|| format!("must be ok, alarm or unknown, not \"{text}\""))
                })
            })
        };
        let value = |found: Option<Found<'_, Verdict>>| found.map(|found| found.value);
        let (out, in_) = (value(verdict("scale_out")), value(verdict("scale_in")));
        match fleet.policy.policies.iter().position(|policy| policy.name.as_str() == name) {
            Some(place) => alarms.push((place, out, in_)),
            None => verdicts.wrong(format!("there is no policy `{name}` in the fleet")),
        }
        verdicts.finish();
    }
    section.finish();
    let value = |action: Option<Found<'_, Action>>| action.map(|found| found.value);
    Some(Expectation {
        line,
        at: at?.value,
        action: value(action),
        desired: desired.map(|found| found.value),
        alarms,
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
                (what, Some(times.ok_or_else(|| format!("\"{word}\" is repeated by no number"))?))
            }
            None => (word, None),
        };
        if what == "_" || what == "stale" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let unreadable = || format!("\"{word}\" is no value; write for example 5, 5x3, 5+1x3 or _");
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
    fn what_is_no_value_is_told(text: &str) {
        assert!(expand(text).is_err());
    }
}
