//! The steps of what is to be done, with their words.
//!
//! Owns the closed set of them. What each does to the world is the executor's.

use std::fmt;

use super::observation::Drain;
use super::policy::Direction;
use crate::units::{Capacity, InstanceId};

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
    MarkDrain(InstanceId, Drain),
    /// Forget a drain: the tag goes.
    ClearDrain(InstanceId),
    /// Ask the component to take nothing new; reversible.
    StartDrain(InstanceId),
    /// Ask the component to take new work again.
    StopDrain(InstanceId),
    /// Make the final, irreversible request, and write into the tag of the drain whether it was accepted.
    Close(InstanceId, Drain),
    /// Look now, and go on only if nothing would be lost.
    ConfirmEmpty(InstanceId),
    /// Look once more, and if nothing would be lost still, have the instance end.
    Remove(InstanceId, Removal, Care),
    /// Have its hook hold an instance for longer.
    Heartbeat(InstanceId),
    /// Protect instances from being chosen by AWS; at most [`PROTECTED_AT_ONCE`].
    Protect(Vec<InstanceId>),
    /// End the protection of instances; at most [`PROTECTED_AT_ONCE`].
    Unprotect(Vec<InstanceId>),
    /// Write that the group is about to be raised to a desired capacity to recycle instances: a tag.
    MarkRecycling(Capacity),
    /// The one by which the group was raised is gone, or has become part of it: the tag goes.
    EndRecycling,
}

/// How many instances one effect protects. Source: the API reference of SetInstanceProtection.
pub const PROTECTED_AT_ONCE: usize = 50;

/// How an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is terminated, and the desired capacity lowered by one.
    Terminate,
    /// AWS puts another one in its place: at once where something still runs on it, else when it next looks for the ill.
    Replace,
    /// AWS takes it already; the hook that holds it lets it go.
    LetGo,
}

/// What is looked at right before an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// That nothing would be lost.
    Empty,
    /// Nothing: the operator's limit for drains has passed, and says so.
    Overdue,
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
            Self::Close(..) => "close",
            Self::ConfirmEmpty(_) => "confirm_empty",
            Self::Remove(_, Removal::Terminate, _) => "terminate",
            Self::Remove(_, Removal::Replace, _) => "replace",
            Self::Remove(_, Removal::LetGo, _) => "let_go",
            Self::Heartbeat(_) => "heartbeat",
            Self::Protect(_) => "protect",
            Self::Unprotect(_) => "unprotect",
            Self::MarkRecycling(_) => "mark_recycling",
            Self::EndRecycling => "end_recycling",
        }
    }

    /// The instance that it concerns, if it concerns one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::SetDesired { .. }
            | Self::MarkScaled(_)
            | Self::Protect(_)
            | Self::Unprotect(_)
            | Self::MarkRecycling(_)
            | Self::EndRecycling => None,
            Self::MarkDrain(id, _)
            | Self::ClearDrain(id)
            | Self::StartDrain(id)
            | Self::StopDrain(id)
            | Self::Close(id, _)
            | Self::ConfirmEmpty(id)
            | Self::Remove(id, ..)
            | Self::Heartbeat(id) => Some(id),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetDesired { from, to } => write!(f, "set desired capacity from {from} to {to}"),
            Self::MarkScaled(direction) => write!(f, "tag the {direction}"),
            Self::MarkDrain(id, drain) => {
                write!(f, "tag {id} as {} ({})", drain.state.as_str(), drain.purpose.as_str())
            }
            Self::ClearDrain(id) => write!(f, "remove the drain tag of {id}"),
            Self::StartDrain(id) => write!(f, "ask {id} to drain"),
            Self::StopDrain(id) => write!(f, "ask {id} to end its drain"),
            Self::Close(id, _) => write!(f, "ask {id} to shut down gracefully"),
            Self::ConfirmEmpty(id) => write!(f, "look whether {id} is empty"),
            Self::Remove(id, removal, care) => {
                match removal {
                    Removal::Terminate => write!(f, "terminate {id}, lowering desired capacity")?,
                    Removal::Replace => write!(f, "have AWS replace {id}")?,
                    Removal::LetGo => write!(f, "have its hook let {id} go")?,
                }
                match care {
                    Care::Empty => Ok(()),
                    Care::Overdue => {
                        f.write_str(", whatever it carries: its drain took longer than drain.timeout")
                    }
                }
            }
            Self::Heartbeat(id) => write!(f, "have its hook hold {id} for longer"),
            Self::Protect(ids) => write!(f, "protect {} from scale-in by AWS", listed(ids)),
            Self::Unprotect(ids) => write!(f, "end the protection of {}", listed(ids)),
            Self::MarkRecycling(desired) => write!(f, "tag a raise to {desired} for recycling"),
            Self::EndRecycling => f.write_str("remove the tag of recycling"),
        }
    }
}

fn listed(ids: &[InstanceId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
