//! The answer: what to do, in which order, and every reason for it.
//!
//! Owns the closed sets of actions, effects and obstacles, with their words. Deliberately carries no text of its own
//! making: a sentence is written when somebody asks for it.

use std::time::Duration;

use super::alarm::Verdict;
use super::capacity::Limits;
pub use super::effect::{Care, Effect, PROTECTED_AT_ONCE, Removal};
use super::observation::{Drain, DrainState, Reading};
use super::policy::{Direction, FleetPolicy, Rules};
use crate::units::{Capacity, InstanceId, Time};

/// What is decided for one group at one tick.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The direction taken.
    pub action: Action,
    /// The figures it rests on.
    pub current: Figures,
    /// The capacity wanted after it; instances that drain are not counted.
    pub desired: Capacity,
    /// One per policy, in the fleet's order.
    pub policies: Vec<Outcome>,
    /// What kept the decision from going further.
    pub blocked: Vec<Block>,
    /// What each drain under way waits for.
    pub waiting: Vec<Waiting>,
    /// Why something is done that no policy calls for.
    pub causes: Vec<Cause>,
    /// What to do. The sequences are independent of each other; within one, a step that fails ends it.
    pub effects: Vec<Vec<Effect>>,
}

/// The direction of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Capacity stays.
    Hold,
    /// Capacity is added.
    ScaleOut,
    /// Instances are chosen to be drained and removed.
    ScaleIn,
}

impl Action {
    /// The word for it in the status, in tests and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::ScaleOut => "scale_out",
            Self::ScaleIn => "scale_in",
        }
    }
}

/// A group in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What AWS is asked to hold, drains included.
    pub desired: Capacity,
    /// In service, past the warm-up, not drained by us.
    pub ready: Capacity,
    /// Of these, how many Prometheus has a fresh `up` of 1 for.
    pub reporting: Capacity,
    /// Pending, in service for less than the warm-up, or not launched yet.
    pub warming: Capacity,
    /// Drained by us, still part of desired.
    pub draining: Capacity,
    /// Ill, and another one comes in their place.
    pub replaced: Capacity,
    /// The bounds in force.
    pub limits: Limits,
    /// What adjustments start from: desired less draining.
    pub capacity: Capacity,
}

/// What one policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict of its scale-out, if it has one.
    pub scale_out: Option<Verdict>,
    /// The verdict of its scale-in, if it has one.
    pub scale_in: Option<Verdict>,
    /// The capacity it wishes for; `None` where it only scales out and has no reason to: such a policy has no say in
    /// a scale-in.
    pub wish: Option<Capacity>,
}

/// A reason to act that is not a policy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An instance is ill and is replaced.
    Ill(InstanceId),
    /// The group is raised by one before its oldest instances go.
    RoomToRecycle,
    /// An instance is old and goes.
    Old(InstanceId),
    /// The one by which the group was raised goes, for no other is left to be recycled.
    OneTooMany(InstanceId),
}

impl Cause {
    /// A clause for a person.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Ill(id) => format!("{id} is ill and is replaced"),
            Self::RoomToRecycle => "one more is launched before the oldest go".to_owned(),
            Self::Old(id) => format!("{id} is old and is recycled"),
            Self::OneTooMany(id) => format!("recycling is over, and {id} is the one too many"),
        }
    }
}

/// Something that kept a decision from going further.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// An operator has paused the group: nothing is done, whatever is decided.
    Paused {
        /// Until when; `None` until the pause is taken back.
        until: Option<Time>,
        /// Why, in the operator's words.
        reason: String,
    },
    /// The policy (by its place in the fleet) waits after an action in this direction.
    Cooldown {
        /// Place of the policy in the fleet.
        policy: usize,
        /// Which action it waits after.
        after: Direction,
        /// Which action it waits with.
        direction: Direction,
        /// When it may act again.
        until: Time,
    },
    /// The policy starts no scale-out between two points of its own grid.
    BetweenPoints {
        /// Place of the policy in the fleet.
        policy: usize,
    },
    /// No datapoint of the policy is known.
    Unknown {
        /// Place of the policy in the fleet.
        policy: usize,
    },
    /// More was wished for than the maximum allows.
    Maximum,
    /// Less was wished for than the minimum allows.
    Minimum,
    /// The group's process `Launch` is suspended.
    LaunchSuspended,
    /// The group's process `Terminate` is suspended.
    TerminateSuspended,
    /// An instance refresh replaces instances, or nobody can say whether one does.
    InstanceRefresh {
        /// Whether it was seen.
        known: bool,
    },
    /// Nothing scales in while instances boot or warm up.
    Warming(Capacity),
    /// The group holds more instances than AWS is asked to hold.
    Converging {
        /// How many it holds.
        holds: Capacity,
        /// How many it is asked to hold.
        desired: Capacity,
    },
    /// As many drains are under way as may be.
    DrainBudget {
        /// Drains under way.
        in_flight: Capacity,
        /// How many may be.
        most: Capacity,
    },
    /// Too few of the ready instances report.
    DataQuality {
        /// How many report.
        reporting: Capacity,
        /// How many are ready.
        ready: Capacity,
    },
    /// With fewer instances the policy would scale out again.
    Forecast {
        /// Place of the policy in the fleet.
        policy: usize,
    },
    /// What would follow for the policy cannot be foreseen: its newest datapoint is missing.
    NoForecast {
        /// Place of the policy in the fleet.
        policy: usize,
    },
    /// The policy is in alarm, and none of its steps is for its value.
    NoStep {
        /// Place of the policy in the fleet.
        policy: usize,
    },
    /// The last serving bridge stays.
    LastServing,
    /// No instance may go: too young, not reporting, or busy.
    NoVictim,
    /// AWS fails to launch instances; more are not asked for until then.
    LaunchFailing {
        /// How many launches failed in a row.
        count: u32,
        /// When more may be asked for again.
        until: Time,
        /// What AWS says.
        message: String,
    },
    /// So much of the group looks ill that nothing is replaced.
    MostlyIll {
        /// How many look ill.
        ill: usize,
        /// Of how many in service.
        of: usize,
    },
    /// As many are replaced as may be at a time.
    ReplaceBudget {
        /// How many look ill and wait.
        ill: usize,
    },
    /// Instances are held by a hook that nobody knows: there are several, none, or they cannot be read.
    HookUnknown,
    /// Old instances wait for a quiet moment to be recycled.
    RecycleWaits,
}

impl Block {
    /// Every word that [`Block::as_str`] gives, so that a reason that has passed can be shown as such.
    pub const REASONS: [&'static str; 23] = [
        "paused",
        "cooldown",
        "between_points",
        "unknown",
        "maximum",
        "minimum",
        "launch_suspended",
        "terminate_suspended",
        "instance_refresh",
        "warming",
        "converging",
        "drain_budget",
        "data_quality",
        "forecast",
        "no_forecast",
        "no_step",
        "last_serving",
        "no_victim",
        "launch_failing",
        "mostly_ill",
        "replace_budget",
        "hook_unknown",
        "recycle_waits",
    ];

    /// The word for it in the status and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Paused { .. } => "paused",
            Self::Cooldown { .. } => "cooldown",
            Self::BetweenPoints { .. } => "between_points",
            Self::Unknown { .. } => "unknown",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::LaunchSuspended => "launch_suspended",
            Self::TerminateSuspended => "terminate_suspended",
            Self::InstanceRefresh { .. } => "instance_refresh",
            Self::Warming(_) => "warming",
            Self::Converging { .. } => "converging",
            Self::DrainBudget { .. } => "drain_budget",
            Self::DataQuality { .. } => "data_quality",
            Self::Forecast { .. } => "forecast",
            Self::NoForecast { .. } => "no_forecast",
            Self::NoStep { .. } => "no_step",
            Self::LastServing => "last_serving",
            Self::NoVictim => "no_victim",
            Self::LaunchFailing { .. } => "launch_failing",
            Self::MostlyIll { .. } => "mostly_ill",
            Self::ReplaceBudget { .. } => "replace_budget",
            Self::HookUnknown => "hook_unknown",
            Self::RecycleWaits => "recycle_waits",
        }
    }

    /// Until when it holds, where that is known.
    #[must_use]
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Cooldown { until, .. } | Self::LaunchFailing { until, .. } => Some(*until),
            Self::Paused { until, .. } => *until,
            _ => None,
        }
    }

    /// A clause for a person.
    #[must_use]
    pub fn text(&self, fleet: &FleetPolicy) -> String {
        let name = |policy: &usize| fleet.policies.get(*policy).map_or("?", |policy| policy.name.as_str());
        match self {
            Self::Paused { until: Some(until), reason } => {
                format!("the group is paused until {until}: {reason}")
            }
            Self::Paused { until: None, reason } => {
                format!("the group is paused until its tag jitsi-scaler/paused is removed: {reason}")
            }
            Self::Cooldown { policy, after, direction, until } => {
                format!("{} waits with a {direction} until {until}, after the last {after}", name(policy))
            }
            Self::BetweenPoints { policy } => {
                format!("{} starts no scale-out between two of its own periods", name(policy))
            }
            Self::Unknown { policy } => format!("{} has no data", name(policy)),
            Self::Maximum => "the maximum is reached".to_owned(),
            Self::Minimum => "the minimum is reached".to_owned(),
            Self::LaunchSuspended => "the group's process Launch is suspended".to_owned(),
            Self::TerminateSuspended => "the group's process Terminate is suspended".to_owned(),
            Self::InstanceRefresh { known: true } => "an instance refresh is in progress".to_owned(),
            Self::InstanceRefresh { known: false } => {
                "whether an instance refresh is in progress cannot be seen".to_owned()
            }
            Self::Warming(count) => format!("{count} still boot or warm up"),
            Self::Converging { holds, desired } => {
                format!("the group holds {holds} instances and is on its way to {desired}")
            }
            Self::DrainBudget { in_flight, most } => {
                format!("{in_flight} drains are under way, and at most {most} may be")
            }
            Self::DataQuality { reporting, ready } => format!(
                "only {reporting} of {ready} ready instances report, less than {}",
                fleet.min_reporting
            ),
            Self::Forecast { policy } => {
                format!("with fewer instances {} would scale out again", name(policy))
            }
            Self::NoForecast { policy } => {
                format!(
                    "what would follow for {} cannot be foreseen without its newest datapoint",
                    name(policy)
                )
            }
            Self::NoStep { policy } => format!("no step of {} is for its value", name(policy)),
            Self::LastServing => "the last serving bridge stays".to_owned(),
            Self::NoVictim => "no instance may go: all are too young, busy, or not reporting".to_owned(),
            Self::LaunchFailing { count, until, message } => {
                let times = if *count == 1 { "a launch".to_owned() } else { format!("{count} launches") };
                format!("AWS failed {times}, and no more are asked for until {until}: {message}")
            }
            Self::MostlyIll { ill, of } => format!(
                "{ill} of {of} instances look ill at once, more than replace_unhealthy.max_share: the measuring may be, \
                 and nothing is replaced"
            ),
            Self::ReplaceBudget { ill } => {
                format!("{ill} look ill and wait until what is being replaced or boots is done")
            }
            Self::HookUnknown => {
                "instances are held by a hook that is not known; name it with lifecycle_hook".to_owned()
            }
            Self::RecycleWaits => "old instances wait for a quiet moment to be recycled".to_owned(),
        }
    }
}

/// A drain under way, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The instance.
    pub instance: InstanceId,
    /// The drain, as its tag has it.
    pub drain: Drain,
    /// For how long it has been drained.
    pub age: Duration,
    /// What the component said last.
    pub latest: Option<Reading>,
    /// Whether its next step is due, and held back by the state of the group.
    pub held: bool,
    /// Whether it takes longer than the operator allows.
    pub overdue: bool,
    /// Where a hook holds the instance: for how long it has, and never for less.
    pub held_for: Duration,
    /// Where a hook holds the instance: for how long at most.
    pub limit: Option<Duration>,
}

/// How much of its hook's time is over: 1 is all of it.
#[must_use]
pub fn share_of_limit(held_for: Duration, limit: Duration) -> f64 {
    held_for.as_secs_f64() / limit.as_secs_f64().max(1.0)
}

impl Waiting {
    /// A clause for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let Drain { state, purpose, .. } = self.drain;
        let (instance, age) = (&self.instance, self.age.as_secs());
        let mut text =
            format!("{instance} {} for {age} s ({}): {}", state.as_str(), purpose.as_str(), self.said());
        if self.overdue {
            text.push_str(", longer than drain.timeout");
        }
        if let Some(limit) = self.limit
            && self.share_of_limit() >= NEAR_LIMIT
        {
            text.push_str(&format!(", and its hook lets it go after {} s", limit.as_secs()));
        }
        text
    }

    /// Whether the component cannot be asked what it carries.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let refuses = self.latest == Some(Reading::Refused)
            && !matches!(self.drain.state, DrainState::Asked | DrainState::Closed);
        refuses || self.latest == Some(Reading::Unknown)
    }

    /// How much of its hook's time is over: 1 is all of it; 0 where no hook holds it.
    #[must_use]
    pub fn share_of_limit(&self) -> f64 {
        self.limit.map_or(0.0, |limit| share_of_limit(self.held_for, limit))
    }

    /// What it waits for.
    #[must_use]
    pub fn said(&self) -> &'static str {
        match (self.latest, self.drain.state) {
            _ if self.held => {
                "nothing else serves, its hook is not known, or the process Terminate is suspended"
            }
            (None | Some(Reading::Unknown), _) => "it cannot be asked, so it may carry anything",
            (Some(Reading::Refused), DrainState::Asked | DrainState::Closed) => {
                "it has exited; seen once, to be seen twice"
            }
            (Some(Reading::Refused), _) => "it refuses connections without having been asked to exit",
            (Some(Reading::Answered { empty: true, .. }), _) => "it is empty; seen once, to be seen twice",
            (Some(Reading::Answered { empty: false, .. }), _) => "it is still in use",
        }
    }
}

/// From this share of a hook's time on it is told that the time runs out.
pub const NEAR_LIMIT: f64 = 0.8;

impl Decision {
    /// One sentence for a person: what is done, and because of what.
    #[must_use]
    pub fn sentence(&self, fleet: &FleetPolicy) -> String {
        let mut text = match self.action {
            Action::Hold => format!("hold at {}", self.current.capacity),
            Action::ScaleOut => format!("scale out from {} to {}", self.current.capacity, self.desired),
            Action::ScaleIn => format!("scale in from {} to {}", self.current.capacity, self.desired),
        };
        let mut clauses = Vec::new();
        if self.current.capacity < self.current.limits.min {
            clauses.push(format!("the minimum is {}", self.current.limits.min));
        }
        for (policy, outcome) in fleet.policies.iter().zip(&self.policies) {
            for (verdict, direction) in
                [(outcome.scale_out, Direction::Out), (outcome.scale_in, Direction::In)]
            {
                if verdict != Some(Verdict::Alarm) {
                    continue;
                }
                let name = &policy.name;
                clauses.push(match (&policy.rules, policy.rule(direction), policy.target_rule(direction)) {
                    (Rules::Alert { .. }, _, _) => format!("{name} fires and calls for a {direction}"),
                    (_, Some(rule), _) => {
                        let (of, periods) = (rule.window.breaching(), rule.window.periods());
                        format!("{name} calls for a {direction} ({} in {of} of {periods} periods)", rule.when)
                    }
                    (_, None, Some(target_rule)) => {
                        let wish = outcome.wish.unwrap_or(self.current.capacity);
                        format!("{name} wants {wish}, for {} periods at least", target_rule.periods)
                    }
                    (_, None, None) => continue,
                });
            }
        }
        clauses.extend(self.causes.iter().map(Cause::text));
        clauses.extend(self.blocked.iter().map(|block| block.text(fleet)));
        clauses.extend(self.waiting.iter().map(Waiting::text));
        if clauses.is_empty() && self.action == Action::Hold {
            clauses.push("no policy calls for a change".to_owned());
        }
        if !clauses.is_empty() {
            text.push_str(": ");
            text.push_str(&clauses.join("; "));
        }
        text
    }
}
