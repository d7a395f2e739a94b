//! The calls that change a set.
//!
//! Owns the checks right before each of them, and what follows once Azure has accepted one. A capacity is only raised, a
//! deletion names one machine that was looked at a moment ago, and nothing here deletes a set.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::answers::Set;
use super::arm::{Answer, Resource};
use super::memory::{Member, Memory, NoRaise};
use super::operations::{End, follow};
use super::reading;
use super::sets::Sets;
use super::tags;
use crate::cloud::{Call, Change, CloudError, Permitted};
use crate::units::{Capacity, GroupName, InstanceId, Region};

/// How long a tag may take to be written: what follows it relies on it.
const TAGGED: Duration = Duration::from_secs(10);
/// How often the capacity is read after a deletion until it shows, and how long between.
const LOOKS: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(5);
/// The code of Azure for a set that changed since it was read.
const CHANGED: &str = "PreconditionFailed";
/// Codes of Azure for a machine that is gone.
const GONE: [&str; 3] =
    ["InstanceIdsListInstanceIdNotActiveVM", "ParentResourceNotFound", "ResourceNotFound"];

const SETS: &str = "virtualMachineScaleSets";

/// A set that is being changed, and the name of the call in errors.
#[derive(Clone, Copy)]
struct Target<'a> {
    sets: &'a Arc<Sets>,
    call: &'static str,
    region: &'a Region,
    name: &'a GroupName,
}

/// Makes a change. `name_of` names calls.
pub(super) async fn apply(
    sets: &Arc<Sets>,
    permitted: Permitted<'_>,
    name_of: fn(Call<'_>) -> &'static str,
) -> Result<(), CloudError> {
    let change = permitted.change();
    let (region, name) = (permitted.region(), permitted.group());
    let target = Target { sets, call: name_of(Call::Apply(change)), region, name };
    match change {
        Change::SetDesired(desired) => target.raise(desired.get(), Memory::with_vacant).await,
        Change::TerminateAndDecrement(id) => target.delete(id, None).await,
        // Azure knows no call that has it find an instance unhealthy, and none that replaces one.
        Change::TerminateAndReplace(id) | Change::SetUnhealthy(id) => {
            let raise = name_of(Call::Apply(Change::SetDesired(Capacity::ONE)));
            target.delete(id, Some(raise)).await
        }
        Change::SetProtection { instances, protected } => target.protect(instances, protected).await,
        // Azure has no hooks.
        Change::Heartbeat { .. } | Change::Complete { .. } => Err(CloudError::NotHeld(target.call)),
        Change::Tag { key, value } => target.tag(key, value).await,
        Change::Untag { key } => target.untag(key).await,
    }
}

impl Target<'_> {
    fn refused(&self, code: &str, message: impl Into<String>) -> CloudError {
        CloudError::Refused { call: self.call, code: code.to_owned(), message: message.into() }
    }

    /// The set as it is now, and its capacity.
    async fn set(&self) -> Result<(Set, u32), CloudError> {
        let found = reading::set(self.sets, self.call, self.region, self.name.as_str()).await?;
        let set = found.ok_or_else(|| self.refused("ResourceNotFound", "the set is gone"))?;
        let capacity = set.sku.as_ref().and_then(|sku| sku.capacity);
        Ok((set, capacity.ok_or_else(|| self.refused("NoCapacity", "the set has no capacity"))?))
    }

    /// Raises the capacity, never lowers it. `capacity` gives what to patch for `to`, with what was read. A set that changes
    /// between the look and the patch is looked at once more.
    async fn raise(&self, to: u32, capacity: fn(&Memory, u32, u32) -> u32) -> Result<(), CloudError> {
        match self.raise_once(to, capacity).await {
            Err(CloudError::Refused { code, .. }) if code == CHANGED => self.raise_once(to, capacity).await,
            other => other,
        }
    }

    async fn raise_once(&self, to: u32, capacity: fn(&Memory, u32, u32) -> u32) -> Result<(), CloudError> {
        let (set, read) = self.set().await?;
        let raises = |memory: &mut Memory| {
            let to = capacity(memory, to, read);
            memory.raises(to, read, Instant::now()).map(|()| to)
        };
        let to = match self.sets.remember(self.region, self.name, raises) {
            Ok(to) => to,
            Err(NoRaise::Already(_)) => return Ok(()),
            Err(lower @ NoRaise::Lower { .. }) => return Err(self.refused("NoRaise", lower.to_string())),
        };
        let path = [SETS, self.name.as_str()];
        let resource = Resource::Compute(self.region.as_str(), &path, "");
        let body = json!({"sku": {"capacity": to}});
        let answer =
            self.sets.arm.write(self.call, Method::Patch, resource, set.etag.as_deref(), &body).await;
        if is_sent(&answer) {
            self.sets.remember(self.region, self.name, |memory| memory.raised(to, Instant::now()));
        }
        let answer = answer?;
        let number = self.sets.remember(self.region, self.name, |memory| memory.accepted(self.call));
        self.then(async move |sets, call, region, name| {
            let end = follow(&sets.arm, call, &answer, None).await;
            let at = sets.now();
            sets.remember(&region, &name, |memory| {
                memory.ended(number, Instant::now());
                if let End::Failed(message) = end {
                    memory.not_raised(message, at);
                }
            });
        });
        Ok(())
    }

    /// Deletes a machine, which lowers the capacity by one; with `raise`, the name of that call, it rises again after the
    /// deletion has ended: a patch before that would preempt it.
    async fn delete(&self, id: &InstanceId, raise: Option<&'static str>) -> Result<(), CloudError> {
        let known = self.sets.remember(self.region, self.name, |memory| match memory.running() {
            Some(running) => Err(running),
            None => Ok((memory.members.get(id).cloned(), memory.given())),
        });
        let (member, given) = known.map_err(|running| {
            self.refused(
                "OperationInProgress",
                format!("{running} has not ended; the next evaluation tries again"),
            )
        })?;
        // An empty number would leave the choice to Azure.
        let Some(member) = member.filter(|it| !it.number.is_empty() && !it.vm_id.is_empty()) else {
            return Err(self.refused("InstanceUnknown", format!("no machine is known by the name {id}")));
        };
        let (set, read) = self.set().await?;
        if given.is_some_and(|given| read < given) {
            let text = format!("the capacity is {read} now, less than the decision was made for");
            return Err(self.refused("CapacityChanged", text));
        }
        let number = &member.number;
        let machine = reading::machine(self.sets, self.call, (self.region, &set), number).await?;
        let Some(machine) = machine.filter(|it| it.lifecycle() != "Terminating") else { return Ok(()) };
        if !machine.properties.vm_id.eq_ignore_ascii_case(&member.vm_id) {
            return Err(self.refused("InstanceChanged", format!("{id} is another machine now")));
        }
        let path = [SETS, self.name.as_str(), "delete"];
        let resource = Resource::Compute(self.region.as_str(), &path, "");
        let body = json!({"instanceIds": [number]});
        let answer = self.sets.arm.write(self.call, Method::Post, resource, None, &body).await;
        if is_sent(&answer) {
            self.sets.remember(self.region, self.name, |memory| {
                memory.deleting(&member, read, Instant::now());
                memory.owes(raise.is_some());
            });
        }
        let answer = match answer {
            Err(CloudError::Refused { code, .. }) if GONE.contains(&code.as_str()) => return Ok(()),
            answer => answer?,
        };
        let operation = self.sets.remember(self.region, self.name, |memory| memory.accepted(self.call));
        let id = id.clone();
        self.then(async move |sets, call, region, name| {
            let end = follow(&sets.arm, call, &answer, None).await;
            let is_done = end == End::Succeeded;
            let times = (sets.now(), Instant::now());
            sets.remember(&region, &name, |memory| {
                memory.ended(operation, times.1);
                match end {
                    End::Succeeded => memory.deleted(&id, &member, times),
                    End::Failed(message) => memory.not_deleted(&id, &member, Some(message), times.0),
                    End::Unknown => memory.not_deleted(&id, &member, None, times.0),
                }
            });
            if let Some(call) = raise {
                if is_done {
                    give_back(&Target { sets: &sets, call, region: &region, name: &name }, read).await;
                }
                sets.remember(&region, &name, |memory| memory.owes(false));
            }
        });
        Ok(())
    }

    /// Goes on after the call has returned.
    fn then<F>(&self, act: impl FnOnce(Arc<Sets>, &'static str, Region, GroupName) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let act = act(Arc::clone(self.sets), self.call, self.region.clone(), self.name.clone());
        tokio::spawn(act);
    }

    /// Protects machines from scale-in and from actions on the set, or ends that, one call for each. What Azure throttles
    /// is left to the next evaluation.
    async fn protect(&self, instances: &[InstanceId], protected: bool) -> Result<(), CloudError> {
        let members: Vec<Member> = self.sets.remember(self.region, self.name, |memory| {
            instances.iter().filter_map(|id| memory.members.get(id).cloned()).collect()
        });
        let policy = json!({"protectFromScaleIn": protected, "protectFromScaleSetActions": protected});
        let body = json!({"properties": {"protectionPolicy": policy}});
        for member in members {
            let path = [SETS, self.name.as_str(), "virtualMachines", &member.number];
            let resource = Resource::Compute(self.region.as_str(), &path, "");
            match self.sets.arm.write(self.call, Method::Put, resource, None, &body).await {
                Err(CloudError::Refused { code, .. }) if GONE.contains(&code.as_str()) => {}
                answer => drop(answer?),
            }
        }
        Ok(())
    }

    async fn tag(&self, key: &str, value: &str) -> Result<(), CloudError> {
        let real = self.key(key).ok_or_else(|| {
            self.refused("InstanceUnknown", format!("no machine is known for the tag {key}"))
        })?;
        self.retag("Merge", &real, value).await?;
        let stale = self.sets.remember(self.region, self.name, |memory| std::mem::take(&mut memory.stale));
        for key in stale {
            // It concerns a machine that is gone; if this fails, the next description names it again.
            let _ = self.retag("Delete", &key, "").await;
        }
        Ok(())
    }

    async fn untag(&self, key: &str) -> Result<(), CloudError> {
        let Some(real) = self.key(key) else { return Ok(()) };
        let value = self.sets.remember(self.region, self.name, |memory| memory.tags.get(&real).cloned());
        self.retag("Delete", &real, &value.unwrap_or_default()).await
    }

    /// The key in Azure; `None` for the drain of a machine that is not known.
    fn key(&self, key: &str) -> Option<String> {
        let Some(id) = tags::drained(key) else { return Some(tags::plain(key)) };
        self.sets.remember(self.region, self.name, |memory| {
            let member = memory.members.get(&id).map(|member| tags::drain(&id, &member.vm_id));
            memory.drains.get(&id).cloned().or(member)
        })
    }

    async fn retag(&self, operation: &str, key: &str, value: &str) -> Result<(), CloudError> {
        let body = json!({"operation": operation, "properties": {"tags": {key: value}}});
        let resource = Resource::Tags(self.region.as_str(), self.name.as_str());
        let answer = self.sets.arm.write(self.call, Method::Patch, resource, None, &body).await?;
        match follow(&self.sets.arm, self.call, &answer, Some(TAGGED)).await {
            End::Succeeded => {}
            End::Failed(message) => return Err(self.refused("OperationFailed", message)),
            End::Unknown => return Err(CloudError::Timeout(self.call)),
        }
        let value = (operation == "Merge").then(|| value.to_owned());
        self.sets.remember(self.region, self.name, |memory| {
            match &value {
                Some(value) => drop(memory.tags.insert(key.to_owned(), value.clone())),
                None => drop(memory.tags.remove(key)),
            }
            memory.retagged(key.to_owned(), value, Instant::now());
        });
        Ok(())
    }
}

/// Raises the capacity to what it was before a machine was deleted, if the lease still holds. Where somebody has lowered it
/// further meanwhile, that stays.
async fn give_back(target: &Target<'_>, before: u32) {
    let raise = async {
        let mut read = before;
        for _ in 0..LOOKS {
            read = target.set().await?.1;
            if read < before {
                break;
            }
            // The answer may be older than the deletion.
            sleep(BETWEEN).await;
        }
        if read.saturating_add(1) == before { target.raise(before, |_, to, _| to).await } else { Ok(()) }
    };
    let outcome = target.sets.lead.permit(raise).await.map_err(CloudError::from).flatten();
    if let Err(error) = outcome {
        let (at, message) = (target.sets.now(), format!("failed to {error}"));
        target.sets.remember(target.region, target.name, |memory| memory.not_raised(message, at));
    }
}

/// Whether a change may have been made.
fn is_sent(answer: &Result<Answer, CloudError>) -> bool {
    matches!(answer, Ok(_) | Err(CloudError::Timeout(_) | CloudError::Unreachable { .. }))
}
