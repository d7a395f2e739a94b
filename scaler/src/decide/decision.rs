//! The answer: what to do, in which order, and every reason for it.
//!
//! A decision carries facts, not texts: its sentence is written on request.

use std::time::Duration;

use super::alarm::Verdict;
use super::capacity::Limits;
pub use super::effect::{Condition, Effect, PROTECTED_AT_ONCE, Removal};
use super::observation::{Drain, DrainState, Group, Instance, Lifecycle, Purpose, Reading};
use super::policy::{Direction, FleetPolicy, Rules};
pub use super::reasons::Reason;
pub use super::stays::Stay;
use crate::units::{Capacity, InstanceId, Time};

/// What is decided for one group at one tick.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The direction taken.
    pub action: Action,
    /// The figures that it rests on.
    pub current: Figures,
    /// The capacity wanted after it; instances that drain are not counted.
    pub desired: Capacity,
    /// One per policy, in the fleet's order.
    pub policies: Vec<Outcome>,
    /// What kept the decision from going further, each reason once.
    pub blocked: Vec<Reason>,
    /// What each drain under way waits for.
    pub waiting: Vec<Waiting>,
    /// Why something happens that no policy calls for.
    pub causes: Vec<Cause>,
    /// What to do. The sequences are independent of each other; the first effect that fails ends its sequence.
    pub effects: Vec<Vec<Effect>>,
}

jitsi_web::words! {
    /// The direction of a decision.
    pub enum Action {
        /// Capacity stays.
        Hold = "hold",
        /// Capacity is added.
        ScaleOut = "scale_out",
        /// Instances are chosen to be drained and removed.
        ScaleIn = "scale_in",
    }
}

/// A group in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The group's desired capacity, drains included.
    pub desired: Capacity,
    /// In service, past the warm-up, and not drained by the scaler.
    pub ready: Capacity,
    /// How many of these have a fresh `up` of 1 in Prometheus.
    pub reporting: Capacity,
    /// Pending, in service for less than the warm-up, or not launched yet.
    pub warming: Capacity,
    /// Drained by the scaler, and still part of the desired capacity.
    pub draining: Capacity,
    /// Unhealthy, ill or drained by an operator, and part of the desired capacity: another instance comes in their place, or
    /// is wanted there.
    pub replaced: Capacity,
    /// Drained by an operator, and to stay in the group. They are part of the desired capacity.
    pub kept: Capacity,
    /// The bounds in force.
    pub limits: Limits,
    /// What adjustments start from: `desired` less `draining` and `kept`.
    pub capacity: Capacity,
}

/// What one policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict of its scale-out, if it has one.
    pub scale_out: Option<Verdict>,
    /// The verdict of its scale-in, if it has one.
    pub scale_in: Option<Verdict>,
    /// The capacity that it wants; `None` for a policy that only scales out and has no reason to, which has no say in a
    /// scale-in.
    pub wish: Option<Capacity>,
}

/// A reason to act that does not come from a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An ill instance is replaced.
    Ill(InstanceId),
    /// The group is raised by one before its oldest instances leave.
    RoomToRecycle,
    /// An old instance leaves.
    Old(InstanceId),
    /// The drain of an instance begins as an operator ordered.
    Ordered(InstanceId),
    /// No old instance is left, and the group is lowered to the size that it had before recycling.
    Surplus(InstanceId),
}

impl Cause {
    /// A clause for a person.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Ill(id) => format!("{id} is ill and is replaced"),
            Self::RoomToRecycle => "one more is launched before the oldest are recycled".to_owned(),
            Self::Old(id) => format!("{id} is old and is recycled"),
            Self::Ordered(id) => format!("{id} is drained as an operator ordered"),
            Self::Surplus(id) => format!("recycling is over, and {id} is the one too many"),
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
    /// The newest reading of the component.
    pub latest: Option<Reading>,
    /// Whether its next step is due, and the state of the group holds it back.
    pub held_back: bool,
    /// Whether it takes longer than `drain.timeout`.
    pub overdue: bool,
    /// How long a hook has held the instance. Where the start was not seen, the longer time since the drain began.
    pub held_for: Duration,
    /// The time limit of the hook that holds the instance.
    pub limit: Option<Duration>,
}

/// The part of a hook's time limit that has passed; 1 is all of it.
#[must_use]
pub fn share_of_limit(held_for: Duration, limit: Duration) -> f64 {
    held_for.as_secs_f64() / limit.as_secs_f64().max(1.0)
}

/// From this part of a hook's time limit on, people are warned that it runs out.
pub const NEAR_LIMIT: f64 = 0.8;

impl Waiting {
    /// A drain that nothing holds back, and that is not overdue.
    pub(super) fn of(group: &Group, instance: &Instance, drain: Drain, now: Time) -> Self {
        let is_held = instance.lifecycle == Lifecycle::Held;
        Self {
            instance: instance.id.clone(),
            drain,
            age: now.since(drain.since),
            latest: instance.live.latest,
            held_back: false,
            overdue: false,
            // The drain may have begun long before AWS took the instance.
            held_for: now.since(instance.held_since.unwrap_or(drain.since)),
            limit: group.hook.as_ref().filter(|_| is_held).map(|hook| hook.limit),
        }
    }

    /// A clause for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let Drain { state, purpose, by_operator, .. } = self.drain;
        let (instance, age) = (&self.instance, self.age.as_secs());
        let who = if by_operator { ", by an operator" } else { "" };
        let mut text = format!(
            "{instance} {} for {age} s ({}{who}): {}",
            state.as_str(),
            purpose.as_str(),
            self.waits_for()
        );
        if self.overdue {
            text.push_str(", longer than drain.timeout");
        }
        if let Some(limit) = self.limit
            && self.share_of_limit() >= NEAR_LIMIT
        {
            text.push_str(&format!(", and its hook ends after {} s", limit.as_secs()));
        }
        text
    }

    /// Whether the component does not say what it carries.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let refuses = self.latest == Some(Reading::Refused)
            && !matches!(self.drain.state, DrainState::Asked | DrainState::Closed);
        refuses || self.latest == Some(Reading::Unknown)
    }

    /// The part of its hook's time limit that has passed: 1 is all of it; 0 where no hook holds it.
    #[must_use]
    pub fn share_of_limit(&self) -> f64 {
        self.limit.map_or(0.0, |limit| share_of_limit(self.held_for, limit))
    }

    /// What it waits for.
    #[must_use]
    pub fn waits_for(&self) -> &'static str {
        match (self.latest, self.drain.state) {
            (_, DrainState::Ordered) => "it serves until it may be drained",
            _ if self.held_back => {
                "no other bridge serves, its hook is not known, or the process Terminate is suspended"
            }
            (None, _) => "it was not looked at yet",
            (Some(Reading::Unknown), _) => "it does not answer, so it may carry anything",
            (Some(Reading::Refused), DrainState::Asked | DrainState::Closed) => {
                "it has exited; a second look must confirm that"
            }
            (Some(Reading::Answered { .. }), state)
                if self.drain.purpose == Purpose::Keep && state != DrainState::Returning =>
            {
                "an operator gives it back"
            }
            (Some(Reading::Refused), _) => "it refuses connections although it was not asked to exit",
            (Some(Reading::Answered { empty: true, closing: true, .. }), _) => {
                "it is empty and shuts down; Jicofo must hear of that first"
            }
            (Some(Reading::Answered { empty: true, .. }), _) => {
                "it is empty; a second look must confirm that"
            }
            (Some(Reading::Answered { empty: false, .. }), _) => "it is still in use",
        }
    }
}

impl Decision {
    /// Nothing is done, yet.
    pub(super) fn hold(current: Figures, policies: Vec<Outcome>) -> Self {
        Self {
            action: Action::Hold,
            current,
            desired: current.capacity,
            policies,
            blocked: Vec::new(),
            waiting: Vec::new(),
            causes: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// One sentence for a person: what is done, and why.
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
        if self.current.capacity > self.current.limits.max {
            clauses.push(format!("the group is above its maximum of {}", self.current.limits.max));
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
                        format!("{name} has wanted {wish} for at least {} periods", target_rule.periods)
                    }
                    (_, None, None) => continue,
                });
            }
        }
        clauses.extend(self.causes.iter().map(Cause::text));
        clauses.extend(self.blocked.iter().map(|reason| reason.text(fleet)));
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
