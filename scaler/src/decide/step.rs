//! What the steps of a decision have in common: what each of them reads, and what it adds.
//!
//! Owns the merge of the steps into one decision, which is the one place where repeated reasons become one.

use super::decision::{Action, Cause, Decision, Figures, Waiting};
use super::effect::Effect;
use super::observation::{Group, Observation};
use super::policy::{Direction, FleetPolicy};
use super::reasons::Reason;
use crate::units::{Capacity, Time};

/// What every step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) fleet: &'a FleetPolicy,
    pub(super) observation: &'a Observation,
    pub(super) group: &'a Group,
    /// The group in numbers.
    pub(super) figures: Figures,
    pub(super) now: Time,
}

impl Input<'_> {
    /// The cooldown that the policy at a place started with its last action in direction `after`, if it still holds
    /// back actions in `direction`.
    pub(super) fn cooldown(&self, policy: usize, after: Direction, direction: Direction) -> Option<Reason> {
        let last = match after {
            Direction::Out => self.group.scaled_out,
            Direction::In => self.group.scaled_in,
        };
        // A time ahead, from before the clock was set back, counts as now.
        let until = last?.min(self.now).after(self.fleet.policies.get(policy)?.cooldown(after)?);
        (self.now < until).then_some(Reason::Cooldown { policy, after, direction, until })
    }
}

/// What one step proposes to add to a decision.
#[derive(Debug, Default)]
pub(super) struct Proposal {
    /// The direction taken, with the capacity wanted after it; `None` leaves both.
    pub(super) action: Option<(Action, Capacity)>,
    pub(super) reasons: Vec<Reason>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) causes: Vec<Cause>,
    pub(super) effects: Vec<Vec<Effect>>,
}

impl Proposal {
    /// Does nothing, for these reasons.
    pub(super) fn hold(reasons: Vec<Reason>) -> Self {
        Self { reasons, ..Self::default() }
    }

    /// Does what another part of the same step does, too.
    pub(super) fn extend(&mut self, other: Self) {
        self.action = other.action.or(self.action);
        self.reasons.extend(other.reasons);
        self.waiting.extend(other.waiting);
        self.causes.extend(other.causes);
        self.effects.extend(other.effects);
    }
}

impl Decision {
    /// Adds what a step proposes. A reason that was given before keeps its first place.
    pub(super) fn add(&mut self, proposal: Proposal) {
        if let Some((action, desired)) = proposal.action {
            (self.action, self.desired) = (action, desired);
        }
        for reason in proposal.reasons {
            if !self.blocked.contains(&reason) {
                self.blocked.push(reason);
            }
        }
        self.waiting.extend(proposal.waiting);
        self.causes.extend(proposal.causes);
        self.effects.extend(proposal.effects);
    }
}

/// How many instances a check allows, and the reasons for which they are not more.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) count: Capacity,
    pub(super) reasons: Vec<Reason>,
}

impl Room {
    /// Room for `count`, before any check.
    pub(super) fn of(count: Capacity) -> Self {
        Self { count, reasons: Vec::new() }
    }

    /// Leaves room for at most `most`. The reason counts where that is less than before.
    pub(super) fn limit(&mut self, most: Capacity, reason: impl FnOnce() -> Reason) {
        if most < self.count {
            self.count = most;
            self.reasons.push(reason());
        }
    }

    /// Leaves no room, and adds the reason in any case.
    pub(super) fn close(mut self, reason: Reason) -> Self {
        self.count = Capacity::ZERO;
        self.reasons.push(reason);
        self
    }
}
