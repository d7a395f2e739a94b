//! What was seen and decided, in the shape that `plan --output json` prints and `/api/v1/status` serves.
//!
//! Owns field names, which are a contract: more may be added, nothing renamed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cloud::tags::Pause;
use crate::config::schedule::InForce;
use crate::decide::alarm::Verdict;
use crate::decide::decision::{Decision, Waiting};
use crate::decide::next_victim;
use crate::decide::observation::{LaunchFailures, Observation};
use crate::decide::policy::FleetPolicy;
use crate::telemetry::{Cooldowns, GroupRef};
use crate::units::{Capacity, Period, Time};

pub mod journal;
mod policies;
#[cfg(test)]
pub(crate) mod sample;
mod zones;

pub use policies::{Datapoint, PolicyReport, RuleReport};
pub use zones::ZoneReport;

/// Everything that was decided at one time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The newest evaluation, RFC 3339; absent before the first.
    pub time: Option<String>,
    /// One per group, in the order of fleet, region and name.
    pub groups: Vec<GroupStatus>,
    /// What went wrong at the last evaluation of each fleet.
    pub problems: Vec<FleetProblem>,
    /// Who acts; `null` where there is no lease, and this scaler always does.
    pub leader: Option<LeaderReport>,
}

/// Who acts of several scalers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaderReport {
    /// The lease, as `NAMESPACE/NAME`.
    pub lease: String,
    /// The scaler that was asked.
    pub identity: String,
    /// Whether it is the one that acts.
    pub leading: bool,
    /// Who holds the lease, as last seen; `null` where nobody does.
    pub holder: Option<String>,
}

impl LeaderReport {
    /// Who acts, in a sentence for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { lease, identity, leading, holder } = self;
        match holder {
            _ if *leading => format!("This scaler, {identity}, leads by the lease {lease}."),
            None => format!("Nobody leads: the lease {lease} has no holder. This scaler is {identity}."),
            Some(holder) if holder == identity => {
                format!(
                    "This scaler, {identity}, holds the lease {lease}, and leads soon if it can renew it."
                )
            }
            Some(holder) => format!(
                "{holder} leads by the lease {lease}, and has the decisions. This scaler, {identity}, stands by."
            ),
        }
    }
}

/// Something that went wrong for a fleet.
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
    /// When it was evaluated, RFC 3339.
    pub time: String,
    /// When it is evaluated next, RFC 3339.
    pub next_evaluation: String,
    /// Why it was evaluated: `grid`, `webhook` or `operator`.
    pub trigger: &'static str,
    /// `hold`, `scale_out` or `scale_in`.
    pub action: &'static str,
    /// Whether nothing is changed, only told.
    pub dry_run: bool,
    /// The pause that keeps the effects from being performed, if there is one.
    pub paused: Option<Paused>,
    /// The group in instances.
    pub current: Current,
    /// The capacity wanted after it, in instances that do not drain.
    pub desired: u32,
    /// The schedules that hold.
    pub schedule: Scheduled,
    /// The policies as they are configured.
    pub policies: BTreeMap<String, PolicyReport>,
    /// Until when each direction waits after an action, where one does.
    pub cooldowns: Waits,
    /// Verdicts by policy.
    pub alarms: BTreeMap<String, Alarms>,
    /// Datapoints by policy, oldest first.
    pub windows: BTreeMap<String, Vec<Datapoint>>,
    /// The capacity that each policy wishes for; a policy that only scales out and has no reason to is left out.
    pub wishes: BTreeMap<String, u32>,
    /// What kept the decision from going further.
    pub blocked: Vec<Blocked>,
    /// Drains under way.
    pub drains: Vec<DrainReport>,
    /// The instance that a scale-in would take first, if any may go.
    pub next_victim: Option<String>,
    /// What is done, in order; while the group is paused and in a dry run, what would be.
    pub effects: Vec<EffectReport>,
    /// The instances by availability zone, zones without any among them, in the order of their names.
    pub zones: Vec<ZoneReport>,
    /// The launches that AWS failed in a row, if it does.
    pub launch_failures: Option<FailedLaunches>,
    /// The newest steps that failed since the scaler was started, oldest first.
    pub failed_steps: Vec<FailedStep>,
    /// One sentence for a person.
    pub text: String,
}

/// Everything that a status is made of.
#[derive(Clone, Copy, Debug)]
pub struct StatusInput<'a> {
    /// The group.
    pub group: &'a GroupRef,
    /// What its fleet wants.
    pub policy: &'a FleetPolicy,
    /// What was seen.
    pub observation: &'a Observation,
    /// The schedules.
    pub in_force: &'a InForce,
    /// What was decided.
    pub decision: &'a Decision,
    /// The pause that holds.
    pub pause: Option<&'a Pause>,
    /// When.
    pub at: Time,
    /// The distance of evaluations.
    pub tick: Period,
    /// Why it was evaluated.
    pub trigger: Trigger,
    /// Whether nothing is changed, only told.
    pub dry_run: bool,
}

/// What an evaluation was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// A grid point of the fleet.
    #[default]
    Grid,
    /// An alert that named the group.
    Webhook,
    /// A pause or its end.
    Operator,
}

impl Trigger {
    /// The word for it in the status and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Webhook => "webhook",
            Self::Operator => "operator",
        }
    }
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Until when, RFC 3339; `null` where the tag cannot be understood, which holds until it is removed.
    pub until: Option<String>,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Moments by direction, RFC 3339; absent where nothing waits.
#[derive(Clone, Debug, Serialize)]
pub struct Waits {
    /// Upwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_out: Option<String>,
    /// Downwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<String>,
}

/// Launches that AWS failed in a row.
#[derive(Clone, Debug, Serialize)]
pub struct FailedLaunches {
    /// How many.
    pub count: u32,
    /// When the newest ended, RFC 3339.
    pub last: String,
    /// What AWS says of it.
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
    /// A clause for a person: what was to be done.
    pub text: String,
    /// A clause for a person: what it failed to.
    pub error: String,
}

/// The schedules that hold.
#[derive(Clone, Debug, Serialize)]
pub struct Scheduled {
    /// Their names.
    pub names: Vec<String>,
    /// Their largest floor.
    pub min: Option<u32>,
    /// Their smallest ceiling.
    pub max: Option<u32>,
    /// When one begins or ends next, RFC 3339.
    pub next_change: Option<String>,
}

/// A group in instances.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Current {
    /// What AWS is asked to hold, drains included.
    pub desired: u32,
    /// In service, past the warm-up, not draining.
    pub ready: u32,
    /// Ready, and reporting to Prometheus.
    pub reporting: u32,
    /// Booting or warming up.
    pub warming: u32,
    /// Drained by the scaler.
    pub draining: u32,
    /// The minimum in force.
    pub min: u32,
    /// The maximum in force.
    pub max: u32,
}

/// The verdicts of a policy: `ok`, `alarm` or `unknown`; absent for a direction that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Alarms {
    /// Upwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_out: Option<&'static str>,
    /// Downwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<&'static str>,
}

/// An obstacle.
#[derive(Clone, Debug, Serialize)]
pub struct Blocked {
    /// A word of a closed set.
    pub reason: &'static str,
    /// A clause for a person.
    pub text: String,
    /// Until when, RFC 3339, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A drain under way.
#[derive(Clone, Debug, Serialize)]
pub struct DrainReport {
    /// The instance.
    pub instance: String,
    /// `draining`, `asked`, `closed`, `unclosable` or `returning`.
    pub state: &'static str,
    /// `scale-in`, `recycle`, `replace` or `hook`.
    pub purpose: &'static str,
    /// When it began, RFC 3339.
    pub since: String,
    /// Seconds since then.
    pub age_seconds: u64,
    /// What it waits for.
    pub waits_for: &'static str,
    /// Whether it takes longer than `drain.timeout`.
    pub overdue: bool,
    /// Where a hook holds the instance: for how many seconds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
    /// All of it as a clause for a person.
    pub text: String,
}

impl DrainReport {
    fn new(waiting: &Waiting) -> Self {
        Self {
            instance: waiting.instance.to_string(),
            state: waiting.drain.state.as_str(),
            purpose: waiting.drain.purpose.as_str(),
            since: waiting.drain.since.to_string(),
            age_seconds: waiting.age.as_secs(),
            waits_for: waiting.said(),
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

impl Status {
    /// All of it for a person.
    #[must_use]
    pub fn paragraphs(&self) -> String {
        let mut text: String = self.groups.iter().map(|group| group.paragraph() + "\n").collect();
        for problem in &self.problems {
            text.push_str(&format!("{}: {}\n", problem.fleet, problem.text));
        }
        text
    }
}

/// A number with as many digits as a person compares: whole above a thousand, else three after the point at most.
fn short(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number as a person says it: with the letter for thousands, millions and so on.
#[must_use]
pub fn humane(value: f64) -> String {
    let letters = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")];
    match letters.into_iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, letter)) => short(value / size.min(if size < 1e5 { 1e3 } else { size })) + letter,
        None => short(value),
    }
}

impl GroupStatus {
    /// Puts one decision into words.
    #[must_use]
    pub fn new(told: &StatusInput<'_>) -> Self {
        let &StatusInput {
            group,
            policy,
            observation,
            in_force,
            decision,
            pause,
            at,
            tick,
            trigger,
            dry_run,
        } = told;
        let figures = decision.current;
        let named = || policy.policies.iter().map(|policy| policy.name.to_string());
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
            .map(|((name, series), policy)| (name, policies::datapoints(policy, series, figures.capacity)))
            .collect();
        let cooldowns = Cooldowns::of(policy, &observation.group);
        let still = |until: Option<Time>| until.filter(|&until| at < until).map(|until| until.to_string());
        let wishes = named()
            .zip(&decision.policies)
            .filter_map(|(name, outcome)| Some((name, outcome.wish?.get())))
            .collect();
        Self {
            fleet: group.fleet.to_string(),
            asg: group.name.to_string(),
            region: group.region.to_string(),
            time: at.to_string(),
            next_evaluation: at.after(tick.duration()).to_string(),
            trigger: trigger.as_str(),
            action: decision.action.as_str(),
            dry_run,
            paused: pause.map(|pause| Paused {
                until: pause.until.map(|until| until.to_string()),
                reason: pause.reason.clone(),
            }),
            current: Current {
                desired: figures.desired.get(),
                ready: figures.ready.get(),
                reporting: figures.reporting.get(),
                warming: figures.warming.get(),
                draining: figures.draining.get(),
                min: figures.limits.min.get(),
                max: figures.limits.max.get(),
            },
            desired: decision.desired.get(),
            schedule: Scheduled {
                names: in_force.names.clone(),
                min: in_force.bounds.min.map(Capacity::get),
                max: in_force.bounds.max.map(Capacity::get),
                next_change: in_force.next_change.map(|at| at.to_string()),
            },
            policies: named().zip(policy.policies.iter().map(PolicyReport::new)).collect(),
            cooldowns: Waits { scale_out: still(cooldowns.scale_out), scale_in: still(cooldowns.scale_in) },
            alarms,
            windows,
            wishes,
            blocked: decision
                .blocked
                .iter()
                .map(|block| Blocked {
                    reason: block.as_str(),
                    text: block.text(policy),
                    until: block.until().map(|until| until.to_string()),
                })
                .collect(),
            drains: decision.waiting.iter().map(DrainReport::new).collect(),
            next_victim: next_victim(policy, &observation.group, at).map(ToString::to_string),
            effects: decision
                .effects
                .iter()
                .flatten()
                .map(|effect| EffectReport {
                    effect: effect.as_str(),
                    instance: effect.instance().map(ToString::to_string),
                    text: effect.to_string(),
                })
                .collect(),
            zones: ZoneReport::all(policy, &observation.group, at),
            launch_failures: observation.group.launch_failures.as_ref().map(FailedLaunches::new),
            failed_steps: Vec::new(),
            text: decision.sentence(policy),
        }
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
                [] => "none holds".to_owned(),
                names => format!("{} holds", names.join(", ")),
            };
            let next = self.schedule.next_change.as_deref().unwrap_or("not within a week");
            text.push_str(&format!("  schedules: {holds}; next change {next}\n"));
        }
        for (name, points) in &self.windows {
            let strip: Vec<String> =
                points.iter().map(|point| point.value.map_or_else(|| "_".to_owned(), short)).collect();
            let alarms = self.alarms.get(name);
            let verdict = |word: Option<&'static str>| word.unwrap_or("-");
            text.push_str(&format!(
                "  {name}: scale-out {}, scale-in {}, wish {}; datapoints, oldest first, _ is missing: {}\n",
                verdict(alarms.and_then(|alarms| alarms.scale_out)),
                verdict(alarms.and_then(|alarms| alarms.scale_in)),
                self.wishes.get(name).map_or_else(|| "-".to_owned(), ToString::to_string),
                strip.join(" ")
            ));
        }
        for drain in &self.drains {
            text.push_str(&format!("  drain: {}\n", drain.text));
        }
        if let Some(instance) = &self.next_victim {
            text.push_str(&format!("  a scale-in would take {instance} first\n"));
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

    #[test]
    fn numbers_are_shortened_for_people() {
        let shortened = [750_000_000.0, 0.576_000_000_1, 2.0, 0.0, -0.25].map(short);
        assert_eq!(shortened, ["750000000", "0.576", "2", "0", "-0.25"]);
        let said = [812_345_678.0, 12_500.0, 9_999.0, -3e9, 0.25, 2e15].map(humane);
        assert_eq!(said, ["812.346 M", "12.5 k", "9999", "-3 G", "0.25", "2000 T"]);
    }
}
