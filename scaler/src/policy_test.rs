//! `jitsi-scaler test`: scripted series → the same [`decide`](crate::decide::decide) → verdicts.
//!
//! Owns the comparison with what was expected. The group is simulated by [`crate::backtest`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backtest::column::Column;
use crate::backtest::replay::{Had, Moment, Replay, Script};
use crate::config::test_file::{Expectation, PolicyTest, TestFile};
use crate::config::{ConfigError, Fleet, test_file};
use crate::decide::decision::{Effect, Reason};
use crate::decide::policy::Direction;
use crate::report::{GroupStatus, StatusInput, Trigger};
use crate::telemetry::GroupRef;
use crate::units::{GroupName, InstanceId, Region};

/// How the tests of a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The file.
    path: PathBuf,
    /// The name of each test, and the differences where it failed.
    tests: Vec<(String, Option<String>)>,
}

impl Outcome {
    /// How many tests passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.tests.len() - self.failed()
    }

    /// How many tests failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|(_, why)| why.is_some()).count()
    }

    /// A line per test, and the differences of those that failed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.path.display());
        for (name, why) in &self.tests {
            let word = if why.is_some() { "FAIL" } else { "ok  " };
            text.push_str(&format!("  {word}  {name}\n"));
            text.extend(why.iter().flat_map(|why| why.lines()).map(|line| format!("        {line}\n")));
        }
        text
    }
}

/// The outcomes as JUnit's XML, which CI systems show.
#[must_use]
pub fn junit(outcomes: &[Outcome]) -> String {
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let (failed, tests) = (sum(Outcome::failed), sum(|it| it.tests.len()));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{tests}\" failures=\"{failed}\">\n"
    );
    for outcome in outcomes {
        let (file, failed) = (escaped(&outcome.path.display().to_string()), outcome.failed());
        let tests = outcome.tests.len();
        xml.push_str(&format!("  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\">\n"));
        for (name, why) in &outcome.tests {
            let name = escaped(name);
            match why {
                None => xml.push_str(&format!("    <testcase classname=\"{file}\" name=\"{name}\"/>\n")),
                Some(why) => {
                    let message = escaped(why.lines().next().unwrap_or_default());
                    xml.push_str(&format!(
                        "    <testcase classname=\"{file}\" name=\"{name}\">\n      \
                         <failure message=\"{message}\">{}</failure>\n    </testcase>\n",
                        escaped(why.trim_end())
                    ));
                }
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// A text in XML. Control characters have no place there.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    // A string takes every write.
    let _ = maud::Escaper::new(&mut escaped).write_str(text);
    escaped.retain(|c| !c.is_control() || c == '\n');
    escaped
}

/// The test files that `path` names: itself, or those below a folder, whose names end with `.test.yml`.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<_> = path.read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let is_test = entry.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".test.yml"));
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if is_test {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Whether the file at `path`, which is no test file, looks like a configuration.
#[must_use]
pub fn is_configuration(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    has("fleets:") && !has("tests:")
}

/// Runs the tests of the file at `path` that `is_wanted` by name.
pub fn run(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Outcome, ConfigError> {
    let file = test_file::load(path)?;
    let wanted = file.tests.iter().filter(|test| is_wanted(&test.name));
    let tests = wanted.map(|test| (test.name.clone(), run_one(&file, test))).collect();
    Ok(Outcome { path: path.to_owned(), tests })
}

/// The differences at the first time that is not as expected; `None` where there is none.
fn run_one(file: &TestFile, test: &PolicyTest) -> Option<String> {
    let fleet = &file.fleets[test.fleet];
    let had = if test.closed_loop { Had::Always(test.group.desired.get() as usize) } else { Had::Any };
    let columns = fleet.policy.policies.iter().zip(&test.series);
    let series: Vec<_> = columns
        .map(|(policy, values)| Column::new(test.start, policy.period).with(values.iter().copied()))
        .collect();
    let script = Script { start: test.start, delay: Duration::ZERO, series: &series, had };
    let mut replay = Replay::new(fleet, script, test.group.clone())?;
    let last = test.expectations.last()?.at;
    let mut expectations = test.expectations.iter().peekable();
    loop {
        let moment = replay.decide();
        while let Some(expectation) = expectations.next_if(|expectation| expectation.at == moment.elapsed) {
            let differences = differences(fleet, expectation, &moment);
            if !differences.is_empty() {
                let region = fleet.asg.regions.first().cloned().unwrap_or_else(|| Region::new("test"));
                let group = GroupRef { fleet: fleet.name.clone(), region, name: GroupName::new(&test.asg) };
                let input = StatusInput {
                    group: &group,
                    policy: &fleet.policy,
                    observation: &moment.observation,
                    in_force: &moment.in_force,
                    decision: &moment.decision,
                    asked: &BTreeMap::new(),
                    pause: None,
                    at: moment.at,
                    tick: replay.tick(),
                    trigger: Trigger::Grid,
                    dry_run: true,
                };
                let at = humantime::format_duration(moment.elapsed);
                let line = expectation.line;
                let paragraph = GroupStatus::new(&input).paragraph();
                return Some(format!("at {at} (line {line}): {}\n{paragraph}", differences.join("; ")));
            }
        }
        if moment.elapsed >= last {
            return None;
        }
        replay.carry_out(&moment);
    }
}

fn differences(fleet: &Fleet, expected: &Expectation, moment: &Moment) -> Vec<String> {
    let Moment { decision, observation, .. } = moment;
    let mut differences = Vec::new();
    let mut compare = |what: String, expected: Option<String>, was: String| {
        if let Some(expected) = expected.filter(|expected| *expected != was) {
            differences.push(format!("{what} was expected to be {expected} and is {was}"));
        }
    };
    let action = expected.action.map(|action| action.as_str().to_owned());
    compare("the action".to_owned(), action, decision.action.as_str().to_owned());
    let desired = expected.desired.map(|desired| desired.to_string());
    compare("the wanted capacity".to_owned(), desired, decision.desired.to_string());
    for (place, out, in_) in &expected.alarms {
        let (policy, outcome) = (&fleet.policy.policies[*place], decision.policies[*place]);
        for (direction, expected, was) in
            [(Direction::Out, out, outcome.scale_out), (Direction::In, in_, outcome.scale_in)]
        {
            let was = was.map_or("absent", |verdict| verdict.as_str()).to_owned();
            let expected = expected.map(|verdict| verdict.as_str().to_owned());
            compare(format!("the {direction} of {}", policy.name), expected, was);
        }
    }
    let effects = || decision.effects.iter().flatten();
    let is_draining = |id: &InstanceId| {
        observation.group.instances.iter().any(|instance| instance.id == *id && instance.drain.is_some())
    };
    let begun: Vec<&str> = effects()
        .filter_map(|effect| match effect {
            Effect::MarkDrain(id, _) if !is_draining(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let draining = observation.group.instances.iter().filter(|it| it.drain.is_some()).count();
    let words = |words: &Option<Vec<String>>| Some(listed(words.as_ref()?.iter().map(String::as_str)));
    let drains = draining + begun.len();
    compare("the list of victims".to_owned(), words(&expected.victims), listed(begun));
    compare(
        "the list of effects".to_owned(),
        words(&expected.effects),
        listed(effects().map(Effect::as_str)),
    );
    let reasons = listed(decision.blocked.iter().map(Reason::as_str));
    compare("the list of reasons in blocked".to_owned(), words(&expected.blocked), reasons);
    compare("the number of drains".to_owned(), expected.drains.map(|it| it.to_string()), drains.to_string());
    differences
}

/// Words in a text, in the order of the alphabet.
fn listed<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut words: Vec<&str> = words.into_iter().collect();
    words.sort_unstable();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/backtest/tests").join(name)
    }

    #[test]
    fn a_simulated_group_carries_decisions_out() {
        let outcome = run(&fixture("group.test.yml"), |_| true).expect("a valid file");
        assert_eq!(outcome.failed(), 0, "{}", outcome.text());
        assert!(outcome.passed() > 10, "{}", outcome.text());
    }

    #[test]
    fn a_folder_has_the_tests_below_it() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/backtest");
        assert_eq!(
            files(&folder).expect("a folder"),
            [fixture("failing.test.yml"), fixture("group.test.yml")]
        );
    }

    #[test]
    fn what_is_no_test_file_is_told_apart() {
        files(&fixture("absent.test.yml")).expect_err("it does not exist");
        let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
        assert!(is_configuration(&examples.join("8x8.yml")));
        assert!(!is_configuration(&examples.join("8x8.test.yml")));
    }

    #[test]
    fn a_failure_says_what_was_expected_and_why_it_is_not_so() {
        let outcome = run(&fixture("failing.test.yml"), |name| name.contains('<')).expect("a valid file");
        let text = outcome.text();
        let (_, text) = text.split_once('\n').expect("lines");
        insta::assert_snapshot!(text, @r#"
          FAIL  all of it is wrong & told <at once>
                at 1m (line 18): the action was expected to be hold and is scale_in; the wanted capacity was expected to be 3 and is 2; the scale-out of stress was expected to be alarm and is ok; the list of victims was expected to be [i-0001, i-0007] and is [i-0000]; the list of effects was expected to be [] and is [mark_drain, mark_scaled, start_drain]; the list of reasons in blocked was expected to be [minimum] and is []; the number of drains was expected to be 0 and is 1
                jvb / test in test
                  scale in from 3 to 2: stress calls for a scale-in (< 0.2 in 2 of 2 periods)
                  capacity: desired 3, ready 3, warming 0, draining 0, bounds 2 to 10
                  stress: scale-out ok, scale-in alarm, wants 2; datapoints, oldest first, _ is missing: _ _ 0.1 0.1
                  a scale-in would drain i-0000 first
                  would: tag the scale-in
                  would: tag i-0000 as draining (scale-in)
                  would: ask i-0000 to drain
        "#);
        let xml = junit(&[Outcome { path: "a.test.yml".into(), ..outcome }]);
        insta::assert_snapshot!(xml, @r#"
          <?xml version="1.0" encoding="UTF-8"?>
          <testsuites tests="1" failures="1">
            <testsuite name="a.test.yml" tests="1" failures="1">
              <testcase classname="a.test.yml" name="all of it is wrong &amp; told &lt;at once&gt;">
                <failure message="at 1m (line 18): the action was expected to be hold and is scale_in; the wanted capacity was expected to be 3 and is 2; the scale-out of stress was expected to be alarm and is ok; the list of victims was expected to be [i-0001, i-0007] and is [i-0000]; the list of effects was expected to be [] and is [mark_drain, mark_scaled, start_drain]; the list of reasons in blocked was expected to be [minimum] and is []; the number of drains was expected to be 0 and is 1">at 1m (line 18): the action was expected to be hold and is scale_in; the wanted capacity was expected to be 3 and is 2; the scale-out of stress was expected to be alarm and is ok; the list of victims was expected to be [i-0001, i-0007] and is [i-0000]; the list of effects was expected to be [] and is [mark_drain, mark_scaled, start_drain]; the list of reasons in blocked was expected to be [minimum] and is []; the number of drains was expected to be 0 and is 1
          jvb / test in test
            scale in from 3 to 2: stress calls for a scale-in (&lt; 0.2 in 2 of 2 periods)
            capacity: desired 3, ready 3, warming 0, draining 0, bounds 2 to 10
            stress: scale-out ok, scale-in alarm, wants 2; datapoints, oldest first, _ is missing: _ _ 0.1 0.1
            a scale-in would drain i-0000 first
            would: tag the scale-in
            would: tag i-0000 as draining (scale-in)
            would: ask i-0000 to drain</failure>
              </testcase>
            </testsuite>
          </testsuites>
        "#);
    }
}
