//! `jitsi-scaler test`: scripted series → the same [`decide`] → verdicts.
//!
//! Owns a simulated group that carries out decisions at once, and the comparison with what was expected.

use std::path::Path;
use std::time::Duration;

use crate::config::schedule::InForce;
use crate::config::test_file::{Expectation, PolicyTest, SimulatedInstance, TestFile};
use crate::config::{ConfigError, Fleet, test_file};
use crate::decide::decide;
use crate::decide::decision::{Decision, Effect};
use crate::decide::observation::{Group, Instance, Lifecycle, Observation, Reported, Series};
use crate::decide::policy::{Component, Direction, Policy};
use crate::report::{GroupStatus, StatusInput, Trigger};
use crate::telemetry::GroupRef;
use crate::units::{Capacity, GroupName, InstanceId, Region, Time};

/// How the tests of a file ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// A line per test, and the differences of those that failed.
    pub text: String,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
}

/// Runs every test of the file at `path`.
pub fn run(path: &Path) -> Result<Outcome, ConfigError> {
    let file = test_file::load(path)?;
    let mut outcome = Outcome { text: format!("{}\n", path.display()), ..Outcome::default() };
    for test in &file.tests {
        match run_one(&file, test) {
            None => {
                outcome.passed += 1;
                outcome.text.push_str(&format!("  ok    {}\n", test.name));
            }
            Some(why) => {
                outcome.failed += 1;
                outcome.text.push_str(&format!("  FAIL  {}\n", test.name));
                outcome.text.extend(why.lines().map(|line| format!("        {line}\n")));
            }
        }
    }
    Ok(outcome)
}

/// The differences at the first time that is not as expected; `None` where there is none.
fn run_one(file: &TestFile, test: &PolicyTest) -> Option<String> {
    let fleet = &file.fleets[test.fleet];
    let tick = fleet.policy.smallest_period()?;
    let mut group = Simulated::new(test);
    let last = test.expectations.last()?.at;
    let mut elapsed = Duration::ZERO;
    let mut expectations = test.expectations.iter().peekable();
    while elapsed <= last {
        let now = test.start.after(elapsed);
        let in_force = InForce::at(&fleet.schedules, now);
        let observation = Observation {
            windows: windows(fleet, test, elapsed),
            group: group.seen(fleet, now),
            schedule: in_force.bounds,
            may_recycle: fleet.recycle.as_ref().is_some_and(|window| window.is_open(now)),
        };
        let decision = decide(&fleet.policy, &observation, now);
        while let Some(expectation) = expectations.next_if(|expectation| expectation.at == elapsed) {
            let differences = differences(fleet, expectation, &decision);
            if !differences.is_empty() {
                let region = fleet.asg.regions.first().cloned().unwrap_or_else(|| Region::new("test"));
                let group = GroupRef { fleet: fleet.name.clone(), region, name: GroupName::new(&test.asg) };
                let input = StatusInput {
                    group: &group,
                    policy: &fleet.policy,
                    observation: &observation,
                    in_force: &in_force,
                    decision: &decision,
                    pause: None,
                    at: now,
                    tick,
                    trigger: Trigger::Grid,
                    dry_run: true,
                };
                let at = humantime::format_duration(elapsed);
                let line = expectation.line;
                let paragraph = GroupStatus::new(&input).paragraph();
                return Some(format!("at {at} (line {line}): {}\n{paragraph}", differences.join("; ")));
            }
        }
        group.apply(&decision, now);
        elapsed += tick.duration();
    }
    None
}

fn differences(fleet: &Fleet, expected: &Expectation, decision: &Decision) -> Vec<String> {
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
    differences
}

fn windows(fleet: &Fleet, test: &PolicyTest, elapsed: Duration) -> Vec<Series> {
    let window = |(policy, values): (&Policy, &Vec<Option<f64>>)| {
        let period = policy.period.duration().as_secs();
        let newest = elapsed.as_secs() / period;
        let count = policy.range() as u64;
        let value = |back: u64| {
            let index = usize::try_from(newest.checked_sub(back)?).ok()?;
            values.get(index).copied().flatten()
        };
        Series {
            end: test.start.after(Duration::from_secs(newest * period)),
            period: policy.period,
            points: (0..count).rev().map(value).collect(),
            fresh: elapsed.as_secs().is_multiple_of(period),
            answered: true,
        }
    };
    fleet.policy.policies.iter().zip(&test.series).map(window).collect()
}

/// A group that carries out decisions at once.
struct Simulated<'a> {
    test: &'a PolicyTest,
    desired: Capacity,
    instances: Vec<(InstanceId, Origin)>,
    launched: usize,
    scaled_out: Option<Time>,
    scaled_in: Option<Time>,
}

/// The origin of an instance.
#[derive(Clone, Copy)]
enum Origin {
    Start(SimulatedInstance),
    Launch(Time),
}

impl<'a> Simulated<'a> {
    fn new(test: &'a PolicyTest) -> Self {
        let described = test.group.instances.iter().copied();
        let origins = described.chain(std::iter::repeat(SimulatedInstance::default())).map(Origin::Start);
        let count = test.group.desired.get() as usize;
        let instances = origins.take(count).enumerate().map(|(index, origin)| (id(index), origin)).collect();
        Self {
            test,
            desired: test.group.desired,
            instances,
            launched: count,
            scaled_out: None,
            scaled_in: None,
        }
    }

    fn seen(&self, fleet: &Fleet, now: Time) -> Group {
        let instance = |(id, origin): &(InstanceId, Origin)| {
            let (lifecycle, since, simulated) = match origin {
                Origin::Start(simulated) => {
                    (Lifecycle::InService, self.test.start.before(simulated.age), *simulated)
                }
                Origin::Launch(at) => {
                    let ready = at.after(self.test.group.boot);
                    let state = if now < ready { Lifecycle::Pending } else { Lifecycle::InService };
                    (
                        state,
                        ready.before(fleet.policy.warmup),
                        SimulatedInstance { load: 0.0, age: Duration::ZERO, idle_for: Duration::ZERO },
                    )
                }
            };
            let up = lifecycle == Lifecycle::InService;
            let reported = Reported {
                up,
                healthy: Some(true),
                load: Some(simulated.load),
                expired: false,
                draining: (fleet.policy.component == Component::Jvb).then_some(false),
                idle_for: Some(simulated.idle_for + now.since(self.test.start)),
                ambiguous: false,
            };
            Instance {
                in_service_since: up.then_some(since),
                reported: if up { reported } else { Reported::default() },
                ..Instance::unknown(id.clone(), "a", lifecycle)
            }
        };
        let instances = self.instances.iter().map(instance).collect();
        let bounds = (self.test.group.min, self.test.group.max);
        Group {
            scaled_out: self.scaled_out,
            scaled_in: self.scaled_in,
            ..Group::at_rest(bounds, self.desired, instances)
        }
    }

    /// Carries out a decision: launches boot, and a drain is over at once.
    fn apply(&mut self, decision: &Decision, now: Time) {
        for effect in decision.effects.iter().flatten() {
            match effect {
                Effect::SetDesired { to, .. } => {
                    self.desired = *to;
                    while self.instances.len() < to.get() as usize {
                        self.instances.push((id(self.launched), Origin::Launch(now)));
                        self.launched += 1;
                    }
                }
                Effect::MarkScaled(Direction::Out) => self.scaled_out = Some(now),
                Effect::MarkScaled(Direction::In) => self.scaled_in = Some(now),
                Effect::MarkDrain(gone, _) => {
                    let before = self.instances.len();
                    self.instances.retain(|(id, _)| id != gone);
                    self.desired = self.desired.minus(Capacity::of(before - self.instances.len()));
                }
                _ => {}
            }
        }
    }
}

fn id(index: usize) -> InstanceId {
    InstanceId::new(&format!("i-{index:04}"))
}
