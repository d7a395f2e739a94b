//! Observations and decisions, in the shape that `plan --output json` prints and `/api/v1/status` serves.
//!
//! Owns field names, which are a contract: more may be added, none renamed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cloud::tags::{Asked, Pause};
use crate::config::schedule::InForce;
use crate::decide::alarm::Verdict;
use crate::decide::decision::{Decision, Effect, Figures, Waiting};
use crate::decide::observation::{Group, LaunchFailures, Observation};
use crate::decide::policy::FleetPolicy;
use crate::decide::{drained_by_hand, next_victim, standing};
use crate::telemetry::{Cooldowns, GroupRef};
use crate::units::{Capacity, FleetName, GroupName, InstanceId, Period, Region, Time};

mod blocked;
pub mod chart;
mod follow;
mod instances;
pub mod journal;
mod leader;
mod named;
mod order;
mod policies;
#[cfg(test)]
pub(crate) mod sample;
mod since;
mod zones;

pub use blocked::{Blocked, StayReport};
pub use instances::{InstanceReport, InstanceState};
pub use leader::{LeaderReport, ShardReport};
pub use named::Named;
pub use order::OrderReport;
pub use policies::{Datapoint, PolicyReport, RuleReport};
pub use since::{Onset, none_in, silent_in};
pub use zones::ZoneReport;

/// Everything that was decided at one time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The newest evaluation, RFC 3339; absent before the first.
    pub time: Option<String>,
    /// One per group, in the order of fleet, region and name.
    pub groups: Vec<GroupStatus>,
    /// Problems of the last evaluation of each fleet.
    pub problems: Vec<FleetProblem>,
    /// The leader; `null` without a lease, where this scaler always acts.
    pub leader: Option<LeaderReport>,
}

/// A problem of a fleet.
#[derive(Clone, Debug, Serialize)]
pub struct FleetProblem {
    /// The fleet.
    pub fleet: String,
    /// A sentence for a person.
    pub text: String,
}

/// One group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupStatus {
    /// The fleet that it belongs to.
    pub fleet: String,
    /// The group's name.
    pub asg: String,
    /// Its region.
    pub region: String,
    /// What runs on its instances: `jvb` or `jibri`.
    pub component: &'static str,
    /// When it was evaluated, RFC 3339.
    pub time: String,
    /// When it is evaluated next, RFC 3339.
    pub next_evaluation: String,
    /// Why it was evaluated: `grid`, `webhook`, `operator` or `drain`.
    pub trigger: &'static str,
    /// `hold`, `scale_out` or `scale_in`.
    pub action: &'static str,
    /// Whether decisions are only reported.
    pub dry_run: bool,
    /// The pause, if any, that blocks the effects.
    pub paused: Option<Paused>,
    /// The group's capacity, in instances.
    pub current: Current,
    /// The capacity that the decision rests on, which its record keeps.
    #[serde(skip)]
    pub seen: Current,
    /// The capacity that the decision wants, in instances that do not drain.
    pub desired: u32,
    /// The schedules in force.
    pub schedule: Scheduled,
    /// The configured policies.
    pub policies: Named<PolicyReport>,
    /// When the cooldown of each direction ends, RFC 3339.
    pub cooldowns: ByDirection<String>,
    /// Verdicts by policy.
    pub alarms: Named<Alarms>,
    /// Datapoints by policy, oldest first.
    pub windows: Named<Vec<Datapoint>>,
    /// The capacity that each policy wants; a policy that wants none is left out.
    pub wishes: Named<u32>,
    /// What limited the decision.
    pub blocked: Vec<Blocked>,
    /// Drains under way.
    pub drains: Vec<DrainReport>,
    /// The instances that somebody drains at their own interface. The scaler leaves them alone.
    pub drained_by_hand: Vec<String>,
    /// The instance that a scale-in would drain first, if one may go.
    pub next_victim: Option<String>,
    /// The steps, in order. While the group is paused, and in a dry run, they are not performed.
    pub effects: Vec<EffectReport>,
    /// The instances by availability zone, sorted by name; zones without instances too.
    pub zones: Vec<ZoneReport>,
    /// The instances, sorted by zone and id.
    pub instances: Vec<InstanceReport>,
    /// Since when each reason of `blocked` has held, instances of a zone have not reported ([`silent_in`]), or a zone has
    /// had no instance ([`none_in`]).
    pub since: BTreeMap<String, Onset>,
    /// Consecutive failed launches, if any.
    pub launch_failures: Option<FailedLaunches>,
    /// The newest failed steps since the scaler was started, oldest first.
    pub failed_steps: Vec<FailedStep>,
    /// One sentence for a person.
    pub text: String,
}

/// The input of [`GroupStatus::new`].
#[derive(Clone, Copy, Debug)]
pub struct StatusInput<'a> {
    /// The group.
    pub group: &'a GroupRef,
    /// The policy of its fleet.
    pub policy: &'a FleetPolicy,
    /// The observation.
    pub observation: &'a Observation,
    /// The schedules.
    pub in_force: &'a InForce,
    /// The decision.
    pub decision: &'a Decision,
    /// Who ordered drains.
    pub asked: &'a BTreeMap<InstanceId, Asked>,
    /// The pause in force.
    pub pause: Option<&'a Pause>,
    /// The time of the evaluation.
    pub at: Time,
    /// The time between evaluations.
    pub tick: Period,
    /// Why it was evaluated.
    pub trigger: Trigger,
    /// Whether decisions are only reported.
    pub dry_run: bool,
}

jitsi_web::words! {
    /// What triggered an evaluation.
    #[derive(Default)]
    pub enum Trigger {
        /// A grid point of the fleet.
        #[default]
        Grid = "grid",
        /// An alert that named the group.
        Webhook = "webhook",
        /// A pause or its end.
        Operator = "operator",
        /// A bridge that was asked to exit: its end can be confirmed.
        Drain = "drain",
    }
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Paused {
    /// When it ends, RFC 3339; `null` if the tag cannot be understood, and the pause lasts until the tag is removed.
    pub until: Option<String>,
    /// Who paused the group; absent if the tag does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the operator's words.
    pub reason: String,
}

impl Paused {
    /// A pause as it is reported.
    pub(crate) fn new(until: Option<Time>, Asked { by, reason }: &Asked) -> Self {
        let by = Some(by).filter(|by| !by.is_empty()).cloned();
        Self { until: until.map(|until| until.to_string()), by, reason: reason.clone() }
    }
}

/// A value for each direction; a direction without one is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ByDirection<T> {
    /// Upwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_out: Option<T>,
    /// Downwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<T>,
}

/// The verdicts of a policy: `ok`, `alarm` or `unknown`.
pub type Alarms = ByDirection<&'static str>;

/// Consecutive launches that failed in AWS.
#[derive(Clone, Debug, Serialize)]
pub struct FailedLaunches {
    /// How many.
    pub count: u32,
    /// When the newest ended, RFC 3339.
    pub last: String,
    /// The message of AWS.
    pub message: String,
}

impl FailedLaunches {
    fn new(failures: &LaunchFailures) -> Self {
        Self { count: failures.count, last: failures.last.to_string(), message: failures.message.clone() }
    }
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedStep {
    /// When it was decided, RFC 3339.
    pub time: String,
    /// A word of a closed set.
    pub effect: &'static str,
    /// The instance that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The step, as a clause for a person.
    pub text: String,
    /// The error, as a clause after "failed to".
    pub error: String,
}

/// Schedules in force.
#[derive(Clone, Debug, Serialize)]
pub struct Scheduled {
    /// Their names.
    pub names: Vec<String>,
    /// Their largest floor.
    pub min: Option<u32>,
    /// Their smallest ceiling.
    pub max: Option<u32>,
    /// When a schedule next begins or ends, RFC 3339.
    pub next_change: Option<String>,
}

impl Scheduled {
    fn new(in_force: &InForce) -> Self {
        Self {
            names: in_force.names.clone(),
            min: in_force.bounds.min.map(Capacity::get),
            max: in_force.bounds.max.map(Capacity::get),
            next_change: in_force.next_change.map(|at| at.to_string()),
        }
    }
}

/// The capacity of a group, in instances.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Current {
    /// The desired capacity in AWS, draining instances included.
    pub desired: u32,
    /// In service, past the warm-up, not draining.
    pub ready: u32,
    /// Ready, and reporting to Prometheus.
    pub reporting: u32,
    /// Booting or warming up.
    pub warming: u32,
    /// Drained by the scaler.
    pub draining: u32,
    /// Drained by an operator, and to stay in the group.
    pub kept: u32,
    /// The minimum in force.
    pub min: u32,
    /// The maximum in force.
    pub max: u32,
}

impl Current {
    fn new(figures: Figures) -> Self {
        Self {
            desired: figures.desired.get(),
            ready: figures.ready.get(),
            reporting: figures.reporting.get(),
            warming: figures.warming.get(),
            draining: figures.draining.get(),
            kept: figures.kept.get(),
            min: figures.limits.min.get(),
            max: figures.limits.max.get(),
        }
    }
}

/// A drain under way.
#[derive(Clone, Debug, Serialize)]
pub struct DrainReport {
    /// The instance.
    pub instance: String,
    /// `ordered`, `draining`, `asked`, `closed`, `unclosable` or `returning`.
    pub state: &'static str,
    /// `scale-in`, `recycle`, `replace`, `keep` or `hook`.
    pub purpose: &'static str,
    /// The operator who ordered it, or its end; absent if the scaler chose the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began, RFC 3339.
    pub since: String,
    /// Seconds since then.
    pub age_seconds: u64,
    /// What the drain waits for.
    pub waits_for: &'static str,
    /// Whether it takes longer than `drain.timeout`.
    pub overdue: bool,
    /// For how many seconds at most a hook holds the instance; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
    /// The drain, as a clause for a person.
    pub text: String,
}

impl DrainReport {
    fn new(waiting: &Waiting, asked: &BTreeMap<InstanceId, Asked>) -> Self {
        let asked = asked.get(&waiting.instance).filter(|_| waiting.drain.by_operator);
        Self {
            by: asked.map(|it| it.by.clone()),
            reason: asked.map(|it| it.reason.clone()).filter(|reason| !reason.is_empty()),
            instance: waiting.instance.to_string(),
            state: waiting.drain.state.as_str(),
            purpose: waiting.drain.purpose.as_str(),
            since: waiting.drain.since.to_string(),
            age_seconds: waiting.age.as_secs(),
            waits_for: waiting.waits_for(),
            overdue: waiting.overdue,
            limit_seconds: waiting.limit.map(|limit| limit.as_secs()),
            text: waiting.text(),
        }
    }
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct EffectReport {
    /// A word of a closed set.
    pub effect: &'static str,
    /// The instance that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// A clause for a person.
    pub text: String,
}

impl EffectReport {
    fn new(effect: &Effect) -> Self {
        Self {
            effect: effect.as_str(),
            instance: effect.instance().map(ToString::to_string),
            text: effect.to_string(),
        }
    }
}

impl Status {
    /// The status as text for a person.
    #[must_use]
    pub fn paragraphs(&self) -> String {
        let mut text: String = self.groups.iter().map(|group| group.paragraph() + "\n").collect();
        for problem in &self.problems {
            text.push_str(&format!("{}: {}\n", problem.fleet, problem.text));
        }
        text
    }
}

/// A number for a person: without decimals from a thousand on, else with three at most.
fn short(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number for a person, with a letter for thousands, millions and so on.
#[must_use]
pub fn humane(value: f64) -> String {
    let letters = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")];
    match letters.into_iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, letter)) => short(value / size.min(if size < 1e5 { 1e3 } else { size })) + letter,
        None => short(value),
    }
}

fn by_hand(group: &Group) -> Vec<String> {
    drained_by_hand(group).iter().map(ToString::to_string).collect()
}

/// The cooldowns that last at `at`.
fn cooldowns(policy: &FleetPolicy, observation: &Observation, at: Time) -> ByDirection<String> {
    let cooldowns = Cooldowns::of(policy, &observation.group);
    let still = |until: Option<Time>| until.filter(|&until| at < until).map(|until| until.to_string());
    ByDirection { scale_out: still(cooldowns.scale_out), scale_in: still(cooldowns.scale_in) }
}

impl GroupStatus {
    /// The status after one decision.
    #[must_use]
    pub fn new(input: &StatusInput<'_>) -> Self {
        let &StatusInput { group, policy, observation, decision, at, .. } = input;
        let named = || policy.policies.iter().map(|policy| policy.name.clone());
        let word = |verdict: Option<Verdict>| verdict.map(Verdict::as_str);
        let alarms = named()
            .zip(&decision.policies)
            .map(|(name, outcome)| {
                (name, Alarms { scale_out: word(outcome.scale_out), scale_in: word(outcome.scale_in) })
            })
            .collect();
        let windows = named()
            .zip(&observation.windows)
            .zip(&policy.policies)
            .map(|((name, series), policy)| {
                (name, policies::datapoints(policy, series, decision.current.capacity))
            })
            .collect();
        let wishes = named()
            .zip(&decision.policies)
            .filter_map(|(name, outcome)| Some((name, outcome.wish?.get())))
            .collect();
        Self {
            fleet: group.fleet.to_string(),
            asg: group.name.to_string(),
            region: group.region.to_string(),
            component: policy.component.as_str(),
            time: at.to_string(),
            next_evaluation: at.after(input.tick.duration()).to_string(),
            trigger: input.trigger.as_str(),
            action: decision.action.as_str(),
            dry_run: input.dry_run,
            paused: input.pause.map(|pause| Paused::new(pause.until, &pause.asked)),
            current: Current::new(decision.current),
            seen: Current::new(decision.current),
            desired: decision.desired.get(),
            schedule: Scheduled::new(input.in_force),
            policies: named().zip(policy.policies.iter().map(PolicyReport::new)).collect(),
            cooldowns: cooldowns(policy, observation, at),
            alarms,
            windows,
            wishes,
            blocked: decision.blocked.iter().map(|reason| Blocked::new(reason, policy)).collect(),
            drains: decision.waiting.iter().map(|it| DrainReport::new(it, input.asked)).collect(),
            drained_by_hand: by_hand(&observation.group),
            next_victim: next_victim(policy, &observation.group, at).map(ToString::to_string),
            effects: decision.effects.iter().flatten().map(EffectReport::new).collect(),
            zones: ZoneReport::all(policy, &observation.group, at),
            instances: InstanceReport::all(policy, &observation.group, at),
            since: BTreeMap::new(),
            launch_failures: observation.group.launch_failures.as_ref().map(FailedLaunches::new),
            failed_steps: Vec::new(),
            text: decision.sentence(policy),
        }
    }

    /// Shows the group as it is after the steps of the decision, which itself stays as it was made.
    pub fn act(
        &mut self,
        policy: &FleetPolicy,
        after: &Observation,
        asked: &BTreeMap<InstanceId, Asked>,
        at: Time,
    ) {
        let (figures, drains) = standing(policy, after, at);
        self.current = Current::new(figures);
        self.drains = drains.iter().map(|it| DrainReport::new(it, asked)).collect();
        self.drained_by_hand = by_hand(&after.group);
        self.cooldowns = cooldowns(policy, after, at);
        self.zones = ZoneReport::all(policy, &after.group, at);
        self.instances = InstanceReport::all(policy, &after.group, at);
        self.next_victim = next_victim(policy, &after.group, at).map(ToString::to_string);
    }

    /// What names the group.
    #[must_use]
    pub fn group_ref(&self) -> GroupRef {
        let (region, name) = (Region::new(&self.region), GroupName::new(&self.asg));
        GroupRef { fleet: FleetName::new(&self.fleet), region, name }
    }

    /// A paragraph for a person: the sentence, the windows, the drains and the steps.
    #[must_use]
    pub fn paragraph(&self) -> String {
        let mut text = format!("{} / {} in {}\n  {}\n", self.fleet, self.asg, self.region, self.text);
        let c = &self.current;
        text.push_str(&format!(
            "  capacity: desired {}, ready {}, warming {}, draining {}, bounds {} to {}\n",
            c.desired, c.ready, c.warming, c.draining, c.min, c.max
        ));
        if !self.schedule.names.is_empty() || self.schedule.next_change.is_some() {
            let holds = match self.schedule.names.as_slice() {
                [] => "none in force".to_owned(),
                names => format!("{} in force", names.join(", ")),
            };
            let next = self.schedule.next_change.as_deref().unwrap_or("not within a week");
            text.push_str(&format!("  schedules: {holds}; next change {next}\n"));
        }
        for (name, points) in self.windows.iter() {
            let strip: Vec<String> =
                points.iter().map(|point| point.value.map_or_else(|| "_".to_owned(), short)).collect();
            let alarms = self.alarms.get(name);
            let verdict = |word: Option<&'static str>| word.unwrap_or("-");
            text.push_str(&format!(
                "  {name}: scale-out {}, scale-in {}, wants {}; datapoints, oldest first, _ is missing: {}\n",
                verdict(alarms.and_then(|alarms| alarms.scale_out)),
                verdict(alarms.and_then(|alarms| alarms.scale_in)),
                self.wishes.get(name).map_or_else(|| "-".to_owned(), ToString::to_string),
                strip.join(" ")
            ));
        }
        for drain in &self.drains {
            text.push_str(&format!("  drain: {}\n", drain.text));
        }
        if !self.drained_by_hand.is_empty() {
            text.push_str(&format!("  drained by hand: {}\n", self.drained_by_hand.join(", ")));
        }
        for stay in self.blocked.iter().flat_map(|block| &block.instances) {
            text.push_str(&format!("  stays: {} is {}\n", stay.instance, stay.text));
        }
        if let Some(instance) = &self.next_victim {
            text.push_str(&format!("  a scale-in would drain {instance} first\n"));
        }
        for effect in &self.effects {
            text.push_str(&format!("  would: {}\n", effect.text));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod described;

    #[test]
    fn numbers_are_shortened_for_people() {
        let shortened = [750_000_000.0, 0.576_000_000_1, 2.0, 0.0, -0.25].map(short);
        assert_eq!(shortened, ["750000000", "0.576", "2", "0", "-0.25"]);
        let said = [812_345_678.0, 12_500.0, 9_999.0, -3e9, 0.25, 2e15].map(humane);
        assert_eq!(said, ["812.346 M", "12.5 k", "9999", "-3 G", "0.25", "2000 T"]);
    }
}
