//! The answer: what to do, in which order, and every reason for it.
//!
//! Owns the closed sets of actions, effects and obstacles, with their words. Deliberately carries no text of its own
//! making: a sentence is written when somebody asks for it.

use std::fmt;
use std::time::Duration;

use super::alarm::Verdict;
use super::capacity::Limits;
use super::observation::{DrainState, Reading};
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

/// Something that kept a decision from going further.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Block {
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
}

impl Block {
    /// Every word that [`Block::as_str`] gives, so that a reason that has passed can be shown as such.
    pub const REASONS: [&'static str; 17] = [
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
    ];

    /// The word for it in the status and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
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
        }
    }

    /// Until when it holds, where that is known.
    #[must_use]
    pub fn until(self) -> Option<Time> {
        match self {
            Self::Cooldown { until, .. } => Some(until),
            _ => None,
        }
    }

    /// A clause for a person.
    #[must_use]
    pub fn text(self, fleet: &FleetPolicy) -> String {
        let name = |policy: usize| fleet.policies.get(policy).map_or("?", |policy| policy.name.as_str());
        match self {
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
        }
    }
}

/// A drain under way, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The instance.
    pub instance: InstanceId,
    /// How far its drain is.
    pub state: DrainState,
    /// For how long it has been in that state.
    pub age: Duration,
    /// What the component said last.
    pub latest: Option<Reading>,
    /// Whether its next step is due, and held back by the state of the group.
    pub held: bool,
}

impl Waiting {
    /// A clause for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let said = match (self.latest, self.state) {
            _ if self.held => "nothing else serves, or the process Terminate is suspended",
            (None | Some(Reading::Unknown), _) => "it cannot be asked, so it may carry anything",
            (Some(Reading::Refused), DrainState::Asked | DrainState::Closed) => {
                "it has exited; seen once, to be seen twice"
            }
            (Some(Reading::Refused), _) => "it refuses connections without having been asked to exit",
            (Some(Reading::Answered { empty: true, .. }), _) => "it is empty; seen once, to be seen twice",
            (Some(Reading::Answered { empty: false, .. }), _) => "it is still in use",
        };
        format!("{} {} for {} s: {said}", self.instance, self.state.as_str(), self.age.as_secs())
    }
}

/// One step of what is to be done to a group. Repeating any of them is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Raise the desired capacity, provided that it still is `from`.
    SetDesired {
        /// What it was when the decision was made.
        from: Capacity,
        /// What it becomes; more than `from`.
        to: Capacity,
    },
    /// Start the cooldown of a direction: a tag with the time.
    MarkScaled(Direction),
    /// Write how far the drain of an instance is: a tag.
    MarkDrain(InstanceId, DrainState),
    /// Forget a drain: the tag goes.
    ClearDrain(InstanceId),
    /// Ask the component to take nothing new; reversible.
    StartDrain(InstanceId),
    /// Ask the component to take new work again.
    StopDrain(InstanceId),
    /// Make the final, irreversible request, and write into the tag whether it was accepted.
    Close(InstanceId),
    /// Look now, and go on only if nothing would be lost.
    ConfirmEmpty(InstanceId),
    /// Look once more, and if nothing would be lost still, terminate the instance and lower the desired capacity by one.
    Terminate(InstanceId),
}

impl Effect {
    /// The word for it in the status and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SetDesired { .. } => "set_desired",
            Self::MarkScaled(_) => "mark_scaled",
            Self::MarkDrain(..) => "mark_drain",
            Self::ClearDrain(_) => "clear_drain",
            Self::StartDrain(_) => "start_drain",
            Self::StopDrain(_) => "stop_drain",
            Self::Close(_) => "close",
            Self::ConfirmEmpty(_) => "confirm_empty",
            Self::Terminate(_) => "terminate",
        }
    }

    /// The instance that it concerns, if it concerns one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::SetDesired { .. } | Self::MarkScaled(_) => None,
            Self::MarkDrain(id, _)
            | Self::ClearDrain(id)
            | Self::StartDrain(id)
            | Self::StopDrain(id)
            | Self::Close(id)
            | Self::ConfirmEmpty(id)
            | Self::Terminate(id) => Some(id),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetDesired { from, to } => write!(f, "set desired capacity from {from} to {to}"),
            Self::MarkScaled(direction) => write!(f, "tag the {direction}"),
            Self::MarkDrain(id, state) => write!(f, "tag {id} as {}", state.as_str()),
            Self::ClearDrain(id) => write!(f, "remove the drain tag of {id}"),
            Self::StartDrain(id) => write!(f, "ask {id} to drain"),
            Self::StopDrain(id) => write!(f, "ask {id} to end its drain"),
            Self::Close(id) => write!(f, "ask {id} to shut down gracefully"),
            Self::ConfirmEmpty(id) => write!(f, "look whether {id} is empty"),
            Self::Terminate(id) => write!(f, "terminate {id}, lowering desired capacity"),
        }
    }
}

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
                clauses.push(match (&policy.rules, policy.rule(direction), policy.pace(direction)) {
                    (Rules::Alert { .. }, _, _) => format!("{name} fires and calls for a {direction}"),
                    (_, Some(rule), _) => {
                        let (of, periods) = (rule.window.breaching(), rule.window.periods());
                        format!("{name} calls for a {direction} ({} in {of} of {periods} periods)", rule.when)
                    }
                    (_, None, Some(pace)) => {
                        let wish = outcome.wish.unwrap_or(self.current.capacity);
                        format!("{name} wants {wish}, for {} periods at least", pace.periods)
                    }
                    (_, None, None) => continue,
                });
            }
        }
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
