//! The model of Virtual Machine Scale Sets: sets, their instances, and operations.
//!
//! Types only. `step` has their behaviour over time, `state` the operations of callers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ArmError;
pub use crate::cloud_parts::link::Component;

/// Where a set is: its resource group and its name, which Azure compares without case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SetKey {
    /// The resource group, in lower case.
    pub group: String,
    /// The name, in lower case.
    pub name: String,
}

impl SetKey {
    /// The set `name` of a resource group.
    #[must_use]
    pub fn new(group: &str, name: &str) -> Self {
        Self { group: group.to_lowercase(), name: name.to_lowercase() }
    }
}

/// How a set holds its instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orchestration {
    /// Instances of the set, with decimal ids.
    #[default]
    Uniform,
    /// Ordinary virtual machines that belong to the set.
    Flexible,
}

/// What becomes of a Spot instance that Azure evicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Eviction {
    /// It stays in the set, deallocated, and counts.
    #[default]
    Deallocate,
    /// It is deleted, which lowers the capacity.
    Delete,
}

/// What a change does that meets another one of the same set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meeting {
    /// It is refused: 409.
    #[default]
    Conflict,
    /// It is accepted, and the operation in progress ends as preempted; deletions that have not ended are not done.
    Preempt,
    /// Both are done.
    Both,
}

/// Where no source says what Azure does, each of these chooses one of the possible behaviours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Unverified {
    /// What a change does that meets another one.
    pub meeting: Meeting,
    /// Whether a delete lowers the capacity when it is accepted, instead of when the instance is gone.
    pub delete_lowers_at_once: bool,
    /// Whether `/delete` lowers the capacity of a flexible set.
    pub flexible_delete_lowers: bool,
    /// Whether a decimal id is used again.
    pub reuses_ids: bool,
    /// Whether a failed launch takes its part of the capacity back.
    pub failure_lowers: bool,
    /// Whether a failed launch leaves an instance in the list.
    pub failure_stays_listed: bool,
    /// Whether a lowered capacity spares what is protected from scale-in.
    pub lowering_spares_protected: bool,
    /// Whether a refusal for want of quota comes with the first answer, instead of with the operation.
    pub quota_at_once: bool,
    /// Whether a write of tags changes the etag of the set.
    pub tags_change_etag: bool,
    /// Whether the list names what is being deleted by an empty id.
    pub deleting_without_id: bool,
    /// Whether lists write the resource group in capitals.
    pub lists_in_capitals: bool,
}

impl Default for Unverified {
    fn default() -> Self {
        Self {
            meeting: Meeting::Conflict,
            delete_lowers_at_once: false,
            flexible_delete_lowers: true,
            reuses_ids: true,
            failure_lowers: false,
            failure_stays_listed: true,
            lowering_spares_protected: true,
            quota_at_once: false,
            tags_change_etag: false,
            deleting_without_id: true,
            lists_in_capitals: true,
        }
    }
}

/// The last operation on a resource, as Azure shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Provisioning {
    /// It comes into being.
    Creating,
    /// It changes.
    Updating,
    /// The last operation succeeded.
    Succeeded,
    /// The last operation failed.
    Failed,
    /// It goes.
    Deleting,
}

impl Provisioning {
    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
        }
    }
}

/// The power state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It boots.
    Starting,
    /// It runs.
    Running,
    /// It is shut down.
    Stopping,
    /// Azure has taken its host back.
    Deallocated,
}

impl Power {
    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Deallocated => "deallocated",
        }
    }
}

/// Why an instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A caller named it in a delete.
    Delete,
    /// The capacity was lowered, and Azure chose it.
    Victim,
    /// It was one more than asked for, by overprovisioning.
    Overprovisioned,
    /// Azure evicted a Spot instance.
    Evicted,
    /// Azure lost its host, or an operator ended it beside the set.
    Outside,
    /// A caller had its disk replaced.
    Reimaged,
    /// The whole set was deleted.
    SetDeleted,
}

impl Cause {
    /// The key of the counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Victim => "victim",
            Self::Overprovisioned => "overprovisioned",
            Self::Evicted => "evicted",
            Self::Outside => "outside",
            Self::Reimaged => "reimaged",
            Self::SetDeleted => "set_deleted",
        }
    }
}

/// What an instance is protected from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Protection {
    /// From scale-in.
    pub protect_from_scale_in: bool,
    /// From every action on the set, scale-in included.
    pub protect_from_scale_set_actions: bool,
}

impl Protection {
    /// Whether scale-in spares it.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.protect_from_scale_in || self.protect_from_scale_set_actions
    }
}

/// An instance of a set.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other, as in Azure")]
pub struct Instance {
    /// A decimal number, or the machine's name in a flexible set.
    pub id: String,
    /// The machine's name.
    pub name: String,
    /// A GUID that is never used again.
    pub vm_id: String,
    /// The zone, as in `1`.
    pub zone: String,
    /// Its last operation.
    pub provisioning: Provisioning,
    /// Its power state; none while it is created, and where its creation failed.
    pub power: Option<Power>,
    /// Why its creation failed.
    pub failure: Option<String>,
    /// What it is protected from.
    pub protection: Protection,
    /// Whether a write of the whole instance took it out of the set's model.
    pub detached_from_model: bool,
    /// Its health; none without an extension or a probe.
    pub healthy: Option<bool>,
    /// When it was created (Unix seconds).
    pub created: f64,
    /// Since when its last operation goes on.
    pub since: f64,
    /// Its address, once the Jitsi simulator has reported it.
    pub private_ip: Option<String>,
    /// Whether it is one more than asked for.
    pub surplus: bool,
    /// Why it ends, if it does.
    pub cause: Option<Cause>,
    /// Whether it is shut down; everything that it carried is then lost.
    pub stopped: bool,
    /// Whether its end lowers the capacity.
    #[serde(skip)]
    pub(super) lowers: bool,
}

impl Instance {
    /// Whether it is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.provisioning == Provisioning::Deleting
    }
}

/// How long things take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// From the creation of an instance until it runs.
    pub launch: f64,
    /// From the creation until its component answers; passed to the Jitsi simulator.
    pub boot: f64,
    /// From a delete until the instance is gone.
    pub delete: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { launch: 0.2, boot: 0.5, delete: 0.2 }
    }
}

/// Launches that will fail.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LaunchFailures {
    /// The remaining number.
    pub left: u32,
    /// The code, as in `ZonalAllocationFailed` (`AllocationFailed`).
    pub code: Option<String>,
    /// The message, if not the code's own.
    pub message: Option<String>,
}

/// A scale set.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other, as in Azure")]
pub struct Set {
    /// The resource group, as it was written.
    pub group: String,
    /// The name, as it was written.
    pub name: String,
    /// The location, as in `westeurope`.
    pub location: String,
    /// Its zones.
    pub zones: Vec<String>,
    /// What runs on its instances; none keeps them out of the Jitsi simulator.
    pub component: Option<Component>,
    /// How it holds its instances.
    pub orchestration: Orchestration,
    /// `sku.capacity`.
    pub capacity: u32,
    /// Whether launches make more than asked for, and delete the excess. Only of uniform sets.
    pub overprovision: bool,
    /// What becomes of evicted instances, if they are Spot.
    pub spot: Option<Eviction>,
    /// `Manual`, `Automatic` or `Rolling`.
    pub upgrade_mode: String,
    /// Whether operating systems are upgraded by themselves.
    pub automatic_os_upgrade: bool,
    /// Whether ill instances are repaired by themselves.
    pub automatic_repairs: bool,
    /// Whether its instances say how they are.
    pub has_health: bool,
    /// The most instances that the quota allows.
    pub quota: Option<u32>,
    /// The code of a rolling upgrade, as in `RollingForward`; none if there never was one.
    pub rolling_upgrade: Option<String>,
    /// Its timing.
    pub timing: Timing,
    /// Which behaviours it shows where no source says.
    pub unverified: Unverified,
    /// Its tags, by key.
    pub tags: BTreeMap<String, String>,
    /// Its instances, oldest first.
    pub instances: Vec<Instance>,
    /// Launches that will fail.
    pub failures: LaunchFailures,
    /// Whether the newest operation on it failed.
    pub failed: bool,
    /// Whether the set itself is being deleted.
    pub deleting: bool,
    /// Incremented at every change; the etag.
    pub version: u64,
    /// Instances created so far.
    pub(super) created: u32,
}

impl Set {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> SetKey {
        SetKey::new(&self.group, &self.name)
    }

    /// Its instance with this id, compared without case.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id.eq_ignore_ascii_case(id))
    }

    /// Its etag.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Work {
    /// Creates instances, by the `vmId` of each.
    Create(Vec<String>),
    /// Deletes instances, likewise.
    Delete(Vec<String>),
    /// Anything that ends by itself.
    Other,
}

/// The end of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Succeeded,
    Failed(ArmError),
    Canceled(ArmError),
}

/// An asynchronous operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) set: SetKey,
    pub(super) work: Work,
    pub(super) began: f64,
    /// Why it will fail, if it will.
    pub(super) error: Option<ArmError>,
    pub(super) end: Option<End>,
}
