//! Effects: the closed set of what can be done to a group, with their words.
//!
//! The executor carries them out.

use std::fmt;

use super::observation::Drain;
use super::policy::Direction;
use crate::units::{Capacity, InstanceId};

/// One thing to do to a group. Repeating it is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Raise the desired capacity, if it still is `from`.
    SetDesired {
        /// What it was when the decision was made.
        from: Capacity,
        /// What it becomes; more than `from`.
        to: Capacity,
    },
    /// Start the cooldown of a direction: a tag with the time.
    MarkScaled(Direction),
    /// Write the state of a drain: a tag.
    MarkDrain(InstanceId, Drain),
    /// Remove the tag of a drain.
    ClearDrain(InstanceId),
    /// Ask the component to take no new work. This is reversible.
    StartDrain(InstanceId),
    /// Ask the component to take new work again.
    StopDrain(InstanceId),
    /// Make the final, irreversible request, and write into the drain's tag whether it was accepted.
    Close(InstanceId, Drain),
    /// Read the component, and go on only if nothing would be lost.
    ConfirmEmpty(InstanceId),
    /// End the instance, on a condition that is checked right before.
    Remove(InstanceId, Removal, Condition),
    /// Extend the time for which its hook holds an instance.
    Heartbeat(InstanceId),
    /// Protect instances from being chosen by AWS; at most [`PROTECTED_AT_ONCE`].
    Protect(Vec<InstanceId>),
    /// End the protection of instances; at most [`PROTECTED_AT_ONCE`].
    Unprotect(Vec<InstanceId>),
    /// Write that the group is raised to a desired capacity to recycle instances: a tag, written before.
    MarkRecycling(Capacity),
    /// Remove the tag of recycling: the surplus instance is gone, or is wanted by now.
    EndRecycling,
}

/// How many instances one effect protects. Source: the API reference of SetInstanceProtection.
pub const PROTECTED_AT_ONCE: usize = 50;

/// How an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is terminated, and the desired capacity lowered by one.
    Terminate,
    /// AWS puts another one in its place: at once if its component still runs, else at the next health check.
    Replace,
    /// AWS ends it already, and the hook that holds it is completed.
    LetGo,
}

/// The condition under which an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A last look finds it empty or gone.
    Empty,
    /// None: its drain has taken longer than `drain.timeout`, and `on_timeout` ends it whatever it carries.
    Overdue,
}

impl Effect {
    /// The label in the status and in metrics.
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

    /// The instance that it concerns, if it concerns exactly one.
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
            Self::ConfirmEmpty(id) => write!(f, "check that {id} is empty"),
            Self::Remove(id, removal, condition) => {
                match removal {
                    Removal::Terminate => write!(f, "terminate {id}, lowering desired capacity")?,
                    Removal::Replace => write!(f, "have AWS replace {id}")?,
                    Removal::LetGo => write!(f, "complete the hook of {id}")?,
                }
                match condition {
                    Condition::Empty => Ok(()),
                    Condition::Overdue => {
                        f.write_str(", whatever it carries: its drain took longer than drain.timeout")
                    }
                }
            }
            Self::Heartbeat(id) => write!(f, "send a heartbeat to the hook of {id}"),
            Self::Protect(ids) => write!(f, "protect {} from scale-in by AWS", listed(ids)),
            Self::Unprotect(ids) => write!(f, "end the protection of {}", listed(ids)),
            Self::MarkRecycling(desired) => write!(f, "tag the raise to {desired} for recycling"),
            Self::EndRecycling => f.write_str("remove the tag of recycling"),
        }
    }
}

/// Ids for a text.
pub(super) fn listed(ids: &[InstanceId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
