//! Reads sets and their machines.
//!
//! Owns which calls that takes: one for the sets of a resource group, and one for the machines of each set.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::answers::{Machine, Set};
use super::arm::Resource;
use super::memory::{Listed, Member, Memory};
use super::sets::Sets;
use super::tags;
use crate::cloud::{Activity, ActivityKind, ActivityOutcome, CloudError, GroupDescription};
use crate::config::Groups;
use crate::units::{Capacity, GroupName, InstanceId, Region, Time};

/// How many sets are read at a time. Azure allows some tens of lists at once.
const AT_ONCE: usize = 8;
/// Up to how many names are asked for one by one; more are looked for in the list of the resource group.
const FEW: usize = 3;
/// A machine whose creation lies further back has long been in service. Of a younger one the first report tells better
/// since when.
const BOOTED: Duration = Duration::from_mins(15);
/// What a set suspends that must not be scaled.
const SUSPENDED: [&str; 2] = ["Launch", "Terminate"];

const SET: &str = "virtualMachineScaleSets";

/// A typed part of an answer.
pub(super) fn typed<T: DeserializeOwned>(call: &'static str, item: Value) -> Result<T, CloudError> {
    serde_json::from_value(item).map_err(|error| CloudError::Unreachable {
        call,
        message: format!("the answer is not understood: {error}"),
    })
}

/// One set; `None` if there is none.
pub(super) async fn set(
    sets: &Sets,
    call: &'static str,
    region: &Region,
    name: &str,
) -> Result<Option<Set>, CloudError> {
    let found = sets.arm.get(call, Resource::Compute(region.as_str(), &[SET, name], "")).await?;
    found.map(|item| typed(call, item)).transpose()
}

/// The sets that `groups` selects, with the names by which the configuration knows them.
pub(super) async fn selected(
    sets: &Sets,
    call: &'static str,
    region: &Region,
    groups: &Groups,
) -> Result<Vec<(GroupName, Set)>, CloudError> {
    if let Groups::Names(names) = groups
        && names.len() <= FEW
    {
        let mut found = Vec::new();
        for name in names {
            found.extend(set(sets, call, region, name.as_str()).await?.map(|set| (name.clone(), set)));
        }
        return Ok(found);
    }
    let all = sets.arm.list(call, Resource::Compute(region.as_str(), &[SET], "")).await?;
    let all = all.into_iter().map(|item| typed::<Set>(call, item)).collect::<Result<Vec<_>, _>>()?;
    let named = |set: Set| match groups {
        Groups::Names(names) => {
            let name = names.iter().find(|name| name.as_str().eq_ignore_ascii_case(&set.name))?;
            Some((name.clone(), set))
        }
        Groups::Tags(tags) => {
            let own = set.tags.as_ref();
            let has = |(key, value): &(String, String)| {
                own.is_some_and(|own| own.iter().any(|(k, v)| k.eq_ignore_ascii_case(key) && v == value))
            };
            tags.iter().all(has).then(|| (GroupName::new(&set.name), set))
        }
    };
    Ok(all.into_iter().filter_map(named).collect())
}

/// The machines of a set, in every state.
pub(super) async fn machines(
    sets: &Sets,
    call: &'static str,
    region: &Region,
    set: &Set,
) -> Result<Vec<Machine>, CloudError> {
    let group = region.as_str();
    let all = if set.is_flexible() {
        let filter = format!("'virtualMachineScaleSet/id' eq '{}'", sets.arm.set_id(group, &set.name));
        let query = format!("&$filter={filter}&$expand=instanceView");
        sets.arm.list(call, Resource::Compute(group, &["virtualMachines"], &query)).await?
    } else {
        let rest = [SET, &set.name, "virtualMachines"];
        sets.arm.list(call, Resource::Compute(group, &rest, "&$expand=instanceView")).await?
    };
    all.into_iter().map(|item| typed(call, item)).collect()
}

/// One machine of a set as it is now; `None` if it is gone.
pub(super) async fn machine(
    sets: &Sets,
    call: &'static str,
    (region, set): (&Region, &Set),
    number: &str,
) -> Result<Option<Machine>, CloudError> {
    let group = region.as_str();
    let found = if set.is_flexible() {
        sets.arm.get(call, Resource::Compute(group, &["virtualMachines", number], "")).await?
    } else {
        sets.arm.get(call, Resource::Compute(group, &[SET, &set.name, "virtualMachines", number], "")).await?
    };
    found.map(|item| typed(call, item)).transpose()
}

/// The sets that `groups` selects, with their machines.
pub(super) async fn describe(
    sets: &Sets,
    call: &'static str,
    region: &Region,
    groups: &Groups,
) -> Result<Vec<GroupDescription>, CloudError> {
    let selected = selected(sets, call, region, groups).await?;
    let described = selected.into_iter().map(|(name, set)| async move {
        let machines = machines(sets, call, region, &set).await?;
        let now = (sets.now(), Instant::now());
        sets.remember(region, &name, |memory| described(memory, call, (&name, &set), &machines, now))
    });
    let described: Vec<_> = stream::iter(described).buffered(AT_ONCE).try_collect().await?;
    Ok(described.into_iter().flatten().collect())
}

/// A set as the scaler sees it; `None` if it has no capacity, without which it cannot be scaled.
fn described(
    memory: &mut Memory,
    call: &'static str,
    (name, set): (&GroupName, &Set),
    machines: &[Machine],
    (at, now): (Time, Instant),
) -> Result<Option<GroupDescription>, CloudError> {
    let Some(read) = set.sku.as_ref().and_then(|sku| sku.capacity) else { return Ok(None) };
    memory.tidy(now);
    let lives = |machine: &&Machine| machine.lives() && !memory.is_deleted(&machine.properties.vm_id);
    let living = machines.iter().filter(lives).count();
    // Surplus machines come and go where Azure creates more than it was asked for.
    let living = if set.overprovisions() { 0 } else { u32::try_from(living).unwrap_or(u32::MAX) };
    let desired = memory.believe(read, living, now).map_err(|doubt| CloudError::Refused {
        call,
        code: "DoubtfulCapacity".to_owned(),
        message: format!("{name}: {doubt}"),
    })?;
    let listed: Vec<_> = machines.iter().filter(|it| !memory.is_deleted(&it.properties.vm_id)).collect();
    let stands = |machine: &&&Machine| machine.lifecycle() == "Standby" && machine.failure().is_none();
    let failed = listed.iter().filter(|machine| machine.failure().is_some());
    let listed = Listed {
        all: u32::try_from(listed.len()).unwrap_or(u32::MAX),
        standing: u32::try_from(listed.iter().filter(stands).count()).unwrap_or(u32::MAX),
        failed: failed.map(|machine| machine.properties.vm_id.as_str()).collect(),
    };
    let desired = memory.filled(desired, &listed, now);
    let mut instances: Vec<_> = machines.iter().map(|machine| machine.describe(set)).collect();
    for (instance, machine) in instances.iter_mut().zip(machines) {
        if memory.is_deleted(&machine.properties.vm_id) {
            "Terminating".clone_into(&mut instance.lifecycle);
        }
    }
    let unique: HashMap<InstanceId, String> =
        machines.iter().map(|it| (InstanceId::new(&it.name), it.properties.vm_id.clone())).collect();
    let member = |machine: &Machine| Member {
        number: machine.number().to_owned(),
        vm_id: machine.properties.vm_id.clone(),
    };
    memory.members = machines.iter().map(|it| (InstanceId::new(&it.name), member(it))).collect();
    memory.launches = machines.iter().filter_map(|machine| launch(machine, at)).collect();
    let mut shown = set.tags.clone().unwrap_or_default();
    memory.overlay(&mut shown, now);
    let tags = tags::read(&shown, &unique);
    (memory.drains, memory.stale) = (tags.drains, tags.stale);
    memory.tags = shown.into_iter().collect();
    let is_suspended = set.overprovisions() || set.is_deleted();
    Ok(Some(GroupDescription {
        name: name.clone(),
        // Azure has no bounds: those of the configuration apply.
        min: Capacity::ZERO,
        max: Capacity::saturating(i64::MAX),
        desired: Capacity::saturating(desired.into()),
        is_weighted: false,
        suspended: SUSPENDED.iter().filter(|_| is_suspended).map(|it| (*it).to_owned()).collect(),
        // Automatic repairs would, but they skip protected instances, and `check --online` asks to turn them off.
        replaces_unhealthy: false,
        zones: set.zones(),
        instances,
        most_drains: tags::most_drains(&tags.read),
        tags: tags.read,
    }))
}

/// That a machine was created, or was not, as of `at`.
fn launch(machine: &Machine, at: Time) -> Option<Activity> {
    let kind = ActivityKind::Launch(Some(InstanceId::new(&machine.name)));
    if let Some(failure) = machine.failure() {
        let ended = failure.at.unwrap_or(at);
        return Some(Activity {
            kind,
            ended: Some(ended),
            outcome: ActivityOutcome::Failed,
            message: failure.message,
        });
    }
    let created = machine.created().filter(|created| at.since(*created) >= BOOTED)?;
    let message = String::new();
    Some(Activity { kind, ended: Some(created), outcome: ActivityOutcome::Successful, message })
}
