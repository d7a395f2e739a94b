//! Performs a decision step by step. Makes no choices.
//!
//! Owns the look before a step that cannot be undone, because a cloud has no compare-and-set. A step that no longer
//! applies is left to the next evaluation.

use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::deps::{Deps, World};
use super::view::{GroupView, only};
use crate::cloud::{Change, CloudError, GroupDescription, tags};
use crate::decide::decision::{Condition, Effect, Removal};
use crate::decide::observation::{Drain, DrainState, Reading, Recycling};
use crate::decide::policy::Direction;
use crate::jitsi::{Address, JitsiError, Reply, Request};
use crate::telemetry::{GroupRef, chain};
use crate::units::{Capacity, InstanceId, Time};

/// Why a step was not performed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Cloud(CloudError),
    #[error(transparent)]
    Component(JitsiError),
    #[error(
        "find the address of {0}: prometheus has no series for it, or the series lacks a label of drain.via"
    )]
    NoAddress(InstanceId),
    #[error(
        "end the drain of {0}: it answers the request with 404, and that it drains; check what is between, or restart its \
         component"
    )]
    Drains(InstanceId),
    /// Not a failure: the step no longer applies.
    #[error("{0}")]
    Overtaken(String),
}

impl StepError {
    fn overtaken(why: impl Into<String>) -> Self {
        Self::Overtaken(why.into())
    }
}

impl From<CloudError> for StepError {
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::NotLeading(_) => Self::overtaken(NOT_LEADING),
            // It was released, or the hook's time was over. If it still waits, another hook holds it.
            CloudError::NotHeld(_) => Self::overtaken("its hook does not hold it any more; another one may"),
            error @ CloudError::Unsettled => Self::overtaken(format!("failed to {error}")),
            error => Self::Cloud(error),
        }
    }
}

impl From<JitsiError> for StepError {
    fn from(error: JitsiError) -> Self {
        match error {
            JitsiError::NotLeading(_) => Self::overtaken(NOT_LEADING),
            error => Self::Component(error),
        }
    }
}

/// For how long a decision begins drains. Of very many, or where answers are slow, the next decision begins the others.
const BEGINS_DRAINS: Duration = Duration::from_mins(2);
/// Why a scaler without the lease performs nothing.
const NOT_LEADING: &str = "this scaler does not lead any more";

/// The results that the next evaluation depends on. The tags have the cooldowns too, unless writing them failed. Only
/// this has the heartbeats; if it is lost, one heartbeat more is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) scaled_out: bool,
    pub(super) scaled_in: bool,
    /// A step of a scale-out failed or no longer applied.
    pub(super) lacks_scale_out: bool,
    pub(super) heartbeats: Vec<InstanceId>,
    /// The instances whose hooks were completed.
    pub(super) released: Vec<InstanceId>,
    /// The steps that were performed. A final request has the drain that its reply led to.
    pub(super) performed: Vec<Effect>,
    /// The instances whose component accepted a request to drain or to exit.
    pub(super) accepted: Vec<InstanceId>,
    /// Those of them that were asked to exit.
    pub(super) closed: Vec<InstanceId>,
    /// The instances that were terminated. A hook may hold them now.
    pub(super) terminated: Vec<InstanceId>,
    /// The steps that no longer applied.
    pub(super) overtaken: Vec<Effect>,
    /// The steps that failed, each with its error for a person.
    pub(super) failed: Vec<(Effect, String)>,
}

/// Performs the sequences of a decision side by side, each until its first step that fails. No termination lowers the
/// desired capacity below `floor`.
pub(super) async fn perform<W: World>(
    deps: &Deps<W>,
    view: &GroupView,
    sequences: Vec<Vec<Effect>>,
    floor: Capacity,
    at: Time,
) -> Done {
    let executor = Executor { deps, view, at, floor, began: Instant::now(), capacity: Mutex::new(()) };
    let performed = join_all(sequences.iter().map(|sequence| executor.sequence(sequence))).await;
    let mut done = Done::default();
    for (sequence, (performed, error)) in sequences.iter().zip(performed) {
        let starts_cooldown = sequence.contains(&Effect::MarkScaled(Direction::Out));
        for effect in &performed {
            match effect {
                // A raise to recycle starts none: a scaler that is started anew would not know of it.
                Effect::SetDesired { .. } | Effect::StopDrain(_) => done.scaled_out |= starts_cooldown,
                Effect::MarkScaled(Direction::In) => done.scaled_in = true,
                Effect::Heartbeat(id) => done.heartbeats.push(id.clone()),
                Effect::Remove(id, Removal::LetGo, _) => done.released.push(id.clone()),
                Effect::Remove(id, ..) => done.terminated.push(id.clone()),
                Effect::StartDrain(id) => done.accepted.push(id.clone()),
                Effect::Close(id, _) => {
                    done.accepted.push(id.clone());
                    done.closed.push(id.clone());
                }
                _ => {}
            }
        }
        let next = sequence.get(performed.len());
        done.performed.extend(performed);
        let Some(effect) = next else { continue };
        // The tag of the cooldown comes last: without it the scale-out is made all the same.
        done.lacks_scale_out |= starts_cooldown && !matches!(effect, Effect::MarkScaled(_));
        match (effect, error) {
            (effect, Some(error)) => done.failed.push((effect.clone(), error)),
            (effect, None) => done.overtaken.push(effect.clone()),
        }
    }
    done
}

struct Executor<'a, W: World> {
    deps: &'a Deps<W>,
    view: &'a GroupView,
    at: Time,
    floor: Capacity,
    began: Instant,
    /// A change of capacity looks and then writes; two of them must not interleave.
    capacity: Mutex<()>,
}

impl<W: World> Executor<'_, W> {
    /// The steps that were performed, and the error of the next one; `None` if it no longer applied.
    async fn sequence(&self, sequence: &[Effect]) -> (Vec<Effect>, Option<String>) {
        let telemetry = &self.deps.telemetry;
        let mut done = Vec::new();
        for effect in sequence {
            match self.step(effect).await {
                Ok(performed) => {
                    telemetry.performed(&self.view.group, effect, false);
                    done.push(performed);
                }
                Err(StepError::Overtaken(why)) => {
                    telemetry.overtaken(&self.view.group, effect, &why);
                    return (done, None);
                }
                Err(error) => {
                    telemetry.failed(&self.view.group, effect, &error);
                    return (done, Some(chain(&error)));
                }
            }
        }
        (done, None)
    }

    /// Performs a step. Returns it; a final request with the drain that its reply led to.
    async fn step(&self, effect: &Effect) -> Result<Effect, StepError> {
        match effect {
            Effect::SetDesired { from, to } => self.set_desired(*from, *to).await,
            Effect::MarkScaled(direction) => {
                let key = match direction {
                    Direction::Out => tags::SCALED_OUT,
                    Direction::In => tags::SCALED_IN,
                };
                self.change(Change::Tag { key, value: &self.at.to_string() }).await
            }
            Effect::MarkDrain(id, drain) => {
                if self.drain(id).is_none() {
                    self.confirm_first_to_drain(id).await?;
                }
                self.keep_drain(id, Some(*drain)).await
            }
            Effect::ClearDrain(id) => self.keep_drain(id, None).await,
            Effect::StartDrain(id) => self.request(id, Request::StartDrain).await.map(drop),
            Effect::StopDrain(id) => match self.request(id, Request::StopDrain).await? {
                Reply::Accepted => Ok(()),
                // A bridge without the request is not in drain mode either, unless something hides the request.
                Reply::Unavailable => match self.deps.components.read(self.address(id)?).await? {
                    Reading::Answered { draining: true, .. } => Err(StepError::Drains(id.clone())),
                    _ => Ok(()),
                },
            },
            Effect::Close(id, drain) => {
                let state = match self.request(id, Request::Close).await? {
                    Reply::Accepted => DrainState::Closed,
                    Reply::Unavailable => DrainState::Unclosable,
                };
                let drain = drain.at(state);
                self.keep_drain(id, Some(drain)).await?;
                return Ok(Effect::Close(id.clone(), drain));
            }
            Effect::ConfirmEmpty(id) => self.confirm_empty(id).await.map(drop),
            Effect::Remove(id, removal, condition) => {
                self.remove(id, *removal, *condition).await?;
                if let Some(drain) = self.drain(id) {
                    self.deps.telemetry.drained(&self.view.group, self.at.since(drain.since));
                }
                Ok(())
            }
            Effect::Heartbeat(id) => {
                self.change(Change::Heartbeat { hook: self.hook()?, instance: id }).await
            }
            Effect::Protect(ids) => {
                self.change(Change::SetProtection { instances: ids, protected: true }).await
            }
            Effect::Unprotect(ids) => {
                self.change(Change::SetProtection { instances: ids, protected: false }).await
            }
            Effect::MarkRecycling(desired) => {
                let value = tags::recycling_value(Recycling { since: self.at, desired: *desired });
                self.change(Change::Tag { key: tags::RECYCLING, value: &value }).await
            }
            Effect::EndRecycling => self.change(Change::Untag { key: tags::RECYCLING }).await,
        }?;
        Ok(effect.clone())
    }

    async fn change(&self, change: Change<'_>) -> Result<(), StepError> {
        let group = &self.view.group;
        Ok(self.deps.cloud.apply(&group.region, &group.name, change).await?)
    }

    async fn request(&self, id: &InstanceId, request: Request) -> Result<Reply, StepError> {
        Ok(self.deps.components.request(self.address(id)?, request).await?)
    }

    async fn keep_drain(&self, id: &InstanceId, drain: Option<Drain>) -> Result<(), StepError> {
        let GroupRef { region, name, .. } = &self.view.group;
        let drain = drain.map(|drain| (drain, self.view.asked.get(id)));
        Ok(self.deps.cloud.keep_drain((region, name), id, drain).await?)
    }

    async fn set_desired(&self, from: Capacity, to: Capacity) -> Result<(), StepError> {
        let _alone = self.alone().await;
        let group = self.describe().await?;
        if group.desired != from {
            let why = format!("desired capacity was {from} and is {} now", group.desired);
            return Err(StepError::Overtaken(why));
        }
        if to > group.max {
            return Err(StepError::Overtaken(format!("the maximum is {} now", group.max)));
        }
        match self.change(Change::SetDesired(to)).await {
            // A change without an answer may have been made, and then its cooldown must start.
            Err(StepError::Cloud(CloudError::Timeout(_) | CloudError::Unreachable { .. }))
                if self.describe().await?.desired == to =>
            {
                Ok(())
            }
            changed => changed,
        }
    }

    async fn remove(&self, id: &InstanceId, removal: Removal, condition: Condition) -> Result<(), StepError> {
        let _alone = self.alone().await;
        let group = self.describe().await?;
        let lifecycle = group.instances.iter().find(|it| it.id == *id).map(|it| it.lifecycle.as_str());
        match (removal, lifecycle) {
            (Removal::LetGo, Some("Terminating:Wait"))
            | (Removal::Terminate | Removal::Replace, Some("InService")) => {}
            (_, Some(other)) => return Err(StepError::Overtaken(format!("it is {other} now"))),
            (_, None) => return Err(StepError::overtaken("its group does not hold it any more")),
        }
        // Someone else may have lowered it since the decision; the next evaluation raises it first.
        if removal == Removal::Terminate && group.desired <= group.min.max(self.floor) {
            let why = format!("desired capacity {} is at the minimum", group.desired);
            return Err(StepError::Overtaken(why));
        }
        // Nothing comes between this look and the change.
        let last = match condition {
            Condition::Empty => self.confirm_gone_or_empty(id).await?,
            Condition::Overdue => Reading::Unknown,
        };
        self.change(match removal {
            Removal::Terminate => Change::TerminateAndDecrement(id),
            // The cloud may take minutes to replace an unhealthy instance: people could join a bridge that still runs.
            Removal::Replace if matches!(last, Reading::Answered { .. }) => Change::TerminateAndReplace(id),
            Removal::Replace => Change::SetUnhealthy(id),
            Removal::LetGo => Change::Complete { hook: self.hook()?, instance: id },
        })
        .await
    }

    async fn alone(&self) -> MutexGuard<'_, ()> {
        self.capacity.lock().await
    }

    /// Fails if another scaler drains the instance already: its tag must not be overwritten. A drain that was ordered must
    /// still be, and may begin during a pause.
    async fn confirm_first_to_drain(&self, id: &InstanceId) -> Result<(), StepError> {
        if self.began.elapsed() > BEGINS_DRAINS {
            let why = "its decision follows from what was seen two minutes ago; the next one continues";
            return Err(StepError::overtaken(why));
        }
        let is_ordered =
            self.view.observation.group.instances.iter().any(|it| it.id == *id && it.ordered.is_some());
        let found = if is_ordered { self.describe_paused_too().await? } else { self.describe().await? };
        let tags = tags::Memory::read(&found.tags, self.at);
        if tags.drains.iter().any(|(drained, _)| drained == id) {
            return Err(StepError::overtaken("another scaler drains it already"));
        }
        if tags.ordered.iter().any(|(ordered, _)| ordered == id) != is_ordered {
            return Err(StepError::overtaken("the order of its drain has changed"));
        }
        Ok(())
    }

    fn hook(&self) -> Result<&str, StepError> {
        let hook = self.view.observation.group.hook.as_ref();
        hook.map(|hook| hook.name.as_str())
            .ok_or_else(|| StepError::overtaken("the hook is not known any more"))
    }

    /// The group as it is now. Fails if it is paused.
    async fn describe(&self) -> Result<GroupDescription, StepError> {
        let found = self.describe_paused_too().await?;
        if tags::pause(&found.tags).is_some_and(|pause| pause.holds(self.at)) {
            return Err(StepError::overtaken("the group is paused now"));
        }
        Ok(found)
    }

    async fn describe_paused_too(&self) -> Result<GroupDescription, StepError> {
        let group = &self.view.group;
        let found = self.deps.cloud.describe(&group.region, &only(group)).await?;
        let found = found.into_iter().find(|it| it.name == group.name);
        found.ok_or_else(|| StepError::overtaken("the group is gone"))
    }

    /// The last look before an instance ends: fails unless the component is gone or empty. A Jibri that answers may have
    /// restarted since its final request, and a recording could start on it: it gets the request again, after which it
    /// accepts no more.
    async fn confirm_gone_or_empty(&self, id: &InstanceId) -> Result<Reading, StepError> {
        let reading = self.confirm_empty(id).await?;
        if !matches!(reading, Reading::Answered { .. }) || self.address(id)?.shows_draining() {
            return Ok(reading);
        }
        let requested = self.request(id, Request::Close).await;
        let last = self.confirm_empty(id).await?;
        // A component that exits meanwhile need not have accepted the request.
        if last != Reading::Refused {
            requested?;
        }
        Ok(last)
    }

    /// A look: fails unless the component is empty and accepts nothing new, or is gone as requested.
    async fn confirm_empty(&self, id: &InstanceId) -> Result<Reading, StepError> {
        // At an earlier evaluation it answered and then got the final request.
        let asked =
            self.drain(id).is_some_and(|it| matches!(it.state, DrainState::Asked | DrainState::Closed));
        let address = self.address(id)?;
        let reading = self.deps.components.read(address).await?;
        let why = match reading {
            Reading::Answered { empty: true, draining, .. } if draining || !address.shows_draining() => {
                return Ok(reading);
            }
            Reading::Refused if asked => return Ok(reading),
            Reading::Answered { empty: true, .. } => "it accepts new work again",
            Reading::Answered { empty: false, .. } => "it is in use again",
            Reading::Refused | Reading::Unknown => "its state cannot be read any more",
        };
        Err(StepError::overtaken(why))
    }

    /// The drain of an instance when the decision was made.
    fn drain(&self, id: &InstanceId) -> Option<Drain> {
        self.view.observation.group.instances.iter().find(|it| it.id == *id)?.drain
    }

    fn address(&self, id: &InstanceId) -> Result<&Address, StepError> {
        self.view.addresses.get(id).ok_or_else(|| StepError::NoAddress(id.clone()))
    }
}

#[cfg(test)]
mod tests;
