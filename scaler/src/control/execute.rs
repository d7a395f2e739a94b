//! Performs what was decided, step by step, making no choices.
//!
//! Owns the second look before a change that cannot be taken back, because AWS has no compare-and-set: a step whose
//! ground has shifted is left to the next evaluation.

use futures::future::join_all;
use tokio::sync::Mutex;

use super::gather::{GroupView, only};
use super::{Deps, World};
use crate::cloud::{CloudError, GroupDescription, ScalingGroups as _, tags};
use crate::decide::decision::{Care, Effect, Removal};
use crate::decide::observation::{Drain, DrainState, Reading, Recycling};
use crate::decide::policy::Direction;
use crate::jitsi::{Address, Closing, Components as _, JitsiError};
use crate::telemetry::chain;
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
    /// Not a failure: the world has moved on.
    #[error("{0}")]
    Overtaken(String),
}

impl From<CloudError> for StepError {
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::NotLeading(_) => Self::Overtaken(LED_BY_ANOTHER.to_owned()),
            error => Self::Cloud(error),
        }
    }
}

impl From<JitsiError> for StepError {
    fn from(error: JitsiError) -> Self {
        match error {
            JitsiError::NotLeading(_) => Self::Overtaken(LED_BY_ANOTHER.to_owned()),
            error => Self::Component(error),
        }
    }
}

/// What has overtaken a scaler whose lease is over.
const LED_BY_ANOTHER: &str = "this scaler does not lead any more";

/// What was done that the next evaluation should know of. Of the cooldowns the tags tell too, unless writing them
/// failed; of a heartbeat nobody else does, and one more is sent when it is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) scaled_out: bool,
    pub(super) scaled_in: bool,
    pub(super) heartbeats: Vec<InstanceId>,
    /// What the world had overtaken.
    pub(super) overtaken: Vec<Effect>,
    /// What went wrong, for a person; what the world overtook is not among it.
    pub(super) failed: Vec<(Effect, String)>,
}

/// Performs the sequences of a decision side by side, each until its first step that fails. No instance is terminated that
/// would leave less desired than `floor`.
pub(super) async fn perform<W: World>(
    deps: &Deps<W>,
    view: &GroupView,
    sequences: Vec<Vec<Effect>>,
    floor: Capacity,
    at: Time,
) -> Done {
    // Changes of capacity look first and then write; two of them must not interleave.
    let capacity = Mutex::new(());
    let executor = Executor { deps, view, at, floor, capacity: &capacity };
    let performed = join_all(sequences.iter().map(|sequence| executor.sequence(sequence))).await;
    let mut done = Done::default();
    for (sequence, (count, error)) in sequences.iter().zip(performed) {
        for effect in &sequence[..count] {
            match effect {
                Effect::SetDesired { .. } | Effect::StopDrain(_) => done.scaled_out = true,
                Effect::MarkScaled(Direction::In) => done.scaled_in = true,
                Effect::Heartbeat(id) => done.heartbeats.push(id.clone()),
                _ => {}
            }
        }
        match (sequence.get(count).cloned(), error) {
            (Some(effect), Some(error)) => done.failed.push((effect, error)),
            (Some(effect), None) => done.overtaken.push(effect),
            (None, _) => {}
        }
    }
    done
}

/// That a hook holds an instance no more is no failure: it was told to let it go, or its time was over. Where the
/// instance waits all the same, another hook holds it.
fn let_go_already(error: CloudError) -> StepError {
    if error.is_not_held() {
        return StepError::Overtaken("its hook does not hold it any more; another one may".to_owned());
    }
    error.into()
}

struct Executor<'a, W: World> {
    deps: &'a Deps<W>,
    view: &'a GroupView,
    at: Time,
    floor: Capacity,
    capacity: &'a Mutex<()>,
}

impl<W: World> Executor<'_, W> {
    /// Gives how many steps were performed, and what the next one failed with.
    async fn sequence(&self, sequence: &[Effect]) -> (usize, Option<String>) {
        let telemetry = &self.deps.telemetry;
        for (done, effect) in sequence.iter().enumerate() {
            match self.step(effect).await {
                Ok(()) => telemetry.performed(&self.view.group, effect, false),
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
        (sequence.len(), None)
    }

    async fn step(&self, effect: &Effect) -> Result<(), StepError> {
        let group = &self.view.group;
        let cloud = &self.deps.cloud;
        let components = &self.deps.components;
        match effect {
            Effect::SetDesired { from, to } => {
                let _one_at_a_time = self.capacity.lock().await;
                let now = self.look_again().await?;
                if now.desired != *from {
                    let why = format!("desired capacity was {from} and is {} now", now.desired);
                    return Err(StepError::Overtaken(why));
                }
                if *to > now.max {
                    return Err(StepError::Overtaken(format!("the maximum is {} now", now.max)));
                }
                let set = cloud.set_desired(&group.region, &group.name, *to).await;
                if let Err(error) = set {
                    // What got no answer may have been done all the same, and then its cooldown must begin.
                    let answered =
                        !matches!(error, CloudError::Timeout { .. } | CloudError::Unreachable { .. });
                    if answered || self.look_again().await?.desired != *to {
                        return Err(error.into());
                    }
                }
            }
            Effect::MarkScaled(direction) => {
                let key = match direction {
                    Direction::Out => tags::SCALED_OUT,
                    Direction::In => tags::SCALED_IN,
                };
                cloud.tag(&group.region, &group.name, key, &self.at.to_string()).await?;
            }
            Effect::MarkDrain(id, drain) => {
                if drain.since == self.at {
                    self.first_to_drain(id).await?;
                }
                self.mark(id, *drain).await?;
            }
            Effect::ClearDrain(id) => {
                cloud.untag(&group.region, &group.name, &tags::drain_key(id)).await?;
            }
            Effect::StartDrain(id) => components.start_drain(self.address(id)?).await?,
            Effect::StopDrain(id) => components.stop_drain(self.address(id)?).await?,
            Effect::Close(id, drain) => {
                let state = match components.close(self.address(id)?).await? {
                    Closing::Accepted => DrainState::Closed,
                    Closing::Unavailable => DrainState::Unclosable,
                };
                self.mark(id, drain.at(state)).await?;
            }
            Effect::ConfirmEmpty(id) => {
                self.confirm_empty(id).await?;
            }
            Effect::Remove(id, removal, care) => {
                let _one_at_a_time = self.capacity.lock().await;
                let now = self.look_again().await?;
                let lifecycle = now.instances.iter().find(|it| it.id == *id).map(|it| it.lifecycle.as_str());
                match (removal, lifecycle) {
                    (Removal::LetGo, Some("Terminating:Wait"))
                    | (Removal::Terminate | Removal::Replace, Some("InService")) => {}
                    (_, Some(other)) => return Err(StepError::Overtaken(format!("it is {other} now"))),
                    (_, None) => {
                        return Err(StepError::Overtaken("its group does not hold it any more".to_owned()));
                    }
                }
                // Somebody may have lowered it since; the next evaluation raises it first.
                if *removal == Removal::Terminate && now.desired <= now.min.max(self.floor) {
                    let why = format!("desired capacity {} is at the minimum", now.desired);
                    return Err(StepError::Overtaken(why));
                }
                // Nothing comes between this look and the call.
                let last = match care {
                    Care::Empty => self.confirm_gone_or_empty(id).await?,
                    Care::Overdue => Reading::Unknown,
                };
                match removal {
                    Removal::Terminate => cloud.terminate_and_decrement(&group.region, id).await?,
                    // AWS gets to the ill in its own time, in which somebody could join a bridge that still runs.
                    Removal::Replace if matches!(last, Reading::Answered { .. }) => {
                        cloud.terminate_and_replace(&group.region, id).await?;
                    }
                    Removal::Replace => cloud.set_unhealthy(&group.region, id).await?,
                    Removal::LetGo => {
                        let completed = cloud.complete(&group.region, &group.name, self.hook()?, id).await;
                        completed.map_err(let_go_already)?;
                    }
                }
            }
            Effect::Heartbeat(id) => {
                let beaten = cloud.heartbeat(&group.region, &group.name, self.hook()?, id).await;
                beaten.map_err(let_go_already)?;
            }
            Effect::Protect(ids) => cloud.protect(&group.region, &group.name, ids, true).await?,
            Effect::Unprotect(ids) => cloud.protect(&group.region, &group.name, ids, false).await?,
            Effect::MarkRecycling(desired) => {
                let value = tags::recycling_value(Recycling { since: self.at, desired: *desired });
                cloud.tag(&group.region, &group.name, tags::RECYCLING, &value).await?;
            }
            Effect::EndRecycling => cloud.untag(&group.region, &group.name, tags::RECYCLING).await?,
        }
        Ok(())
    }

    async fn mark(&self, id: &InstanceId, drain: Drain) -> Result<(), CloudError> {
        let group = &self.view.group;
        let (key, value) = (tags::drain_key(id), tags::drain_value(drain));
        self.deps.cloud.tag(&group.region, &group.name, &key, &value).await
    }

    /// Whether nobody else has begun to drain the instance by now: what they have written must not be taken back.
    async fn first_to_drain(&self, id: &InstanceId) -> Result<(), StepError> {
        let key = tags::drain_key(id);
        if self.look_again().await?.tags.iter().any(|(tag, _)| *tag == key) {
            return Err(StepError::Overtaken("another scaler drains it already".to_owned()));
        }
        Ok(())
    }

    fn hook(&self) -> Result<&str, StepError> {
        let hook = self.view.observation.group.hook.as_ref();
        hook.map(|hook| hook.name.as_str())
            .ok_or_else(|| StepError::Overtaken("the hook is not known any more".to_owned()))
    }

    async fn look_again(&self) -> Result<GroupDescription, StepError> {
        let group = &self.view.group;
        let found = self.deps.cloud.describe(&group.region, &only(group)).await?;
        let found = found
            .into_iter()
            .find(|it| it.name == group.name)
            .ok_or_else(|| StepError::Overtaken("the group is gone".to_owned()))?;
        if tags::pause(&found.tags).is_some_and(|pause| pause.holds(self.at)) {
            return Err(StepError::Overtaken("the group is paused now".to_owned()));
        }
        Ok(found)
    }

    /// Looks for the last time. A Jibri that answers may have been restarted since it was asked to exit, however long
    /// that took, and be about to begin a recording: it is asked again first, and takes nothing new from then on. Gives
    /// what was seen last.
    async fn confirm_gone_or_empty(&self, id: &InstanceId) -> Result<Reading, StepError> {
        let reading = self.confirm_empty(id).await?;
        let address = self.address(id)?;
        if !matches!(reading, Reading::Answered { .. }) || address.tells_draining() {
            return Ok(reading);
        }
        let asked = self.deps.components.close(address).await;
        let last = self.confirm_empty(id).await?;
        // One that was on its way out is gone by now, and could not be asked.
        if last != Reading::Refused {
            asked?;
        }
        Ok(last)
    }

    /// Asks the component whether anything would be lost with it; gives what it said.
    async fn confirm_empty(&self, id: &InstanceId) -> Result<Reading, StepError> {
        let instances = &self.view.observation.group.instances;
        let drain = instances.iter().find(|it| it.id == *id).and_then(|it| it.drain);
        // It was asked to exit at an earlier evaluation, after it had answered.
        let asked = drain.is_some_and(|it| matches!(it.state, DrainState::Asked | DrainState::Closed));
        let address = self.address(id)?;
        let reading = self.deps.components.read(address).await?;
        let why = match reading {
            Reading::Answered { empty: true, draining, .. } if draining || !address.tells_draining() => {
                return Ok(reading);
            }
            Reading::Refused if asked => return Ok(reading),
            Reading::Answered { empty: true, .. } => "it takes new work again",
            Reading::Answered { empty: false, .. } => "somebody came back to it",
            Reading::Refused | Reading::Unknown => "it cannot be asked any more",
        };
        Err(StepError::Overtaken(why.to_owned()))
    }

    fn address(&self, id: &InstanceId) -> Result<&Address, StepError> {
        self.view.addresses.get(id).ok_or_else(|| StepError::NoAddress(id.clone()))
    }
}

#[cfg(test)]
mod tests;
