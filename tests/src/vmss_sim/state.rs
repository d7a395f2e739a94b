//! The core: all sets and operations, what callers do, and the passing of time.
//!
//! Synchronous, with the time as an argument: it has no socket, task, clock or log. It collects effects on other
//! systems, which the caller takes and performs.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::error::ArmError;
use super::model::{
    Cause, End, Eviction, Instance, LaunchFailures, Meeting, Operation, Orchestration, Power, Protection,
    Provisioning, Set, SetKey, Timing, Work,
};
use super::spec::{AutoscaleSetting, SetSpec};
use super::step::{Counters, Effect, Ledger};
use super::tags::{self, TagChange};
use crate::cloud_parts::link::{Cuts, GroupKey};

/// The number of ended operations whose status can still be read.
const OPERATIONS_KEPT: usize = 1_000;

/// The sets, read-only. A clone is a cheap snapshot.
#[derive(Debug, Clone, Default)]
pub struct Sets(BTreeMap<SetKey, Arc<Set>>);

impl Sets {
    /// The set of a key.
    pub fn get(&self, key: &SetKey) -> Result<&Set, ArmError> {
        self.0.get(key).map(Deref::deref).ok_or_else(|| ArmError::no_such_set(&key.group, &key.name))
    }

    /// Every set, by resource group and name.
    pub fn all(&self) -> impl Iterator<Item = &Set> {
        self.0.values().map(Deref::deref)
    }

    fn get_mut(&mut self, key: &SetKey) -> Result<&mut Set, ArmError> {
        let set = self.0.get_mut(key).map(Arc::make_mut);
        set.ok_or_else(|| ArmError::no_such_set(&key.group, &key.name))
    }
}

/// What a caller changes of a set. None keeps a setting.
#[derive(Debug, Clone, Default)]
pub struct SetChange {
    /// `sku.capacity`.
    pub capacity: Option<u32>,
    /// All of its tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// The etag that it must have.
    pub if_match: Option<String>,
}

/// Virtual Machine Scale Sets of one subscription, without the network in front of them.
#[derive(Debug, Clone)]
pub struct Cloud {
    sets: Sets,
    operations: Vec<Operation>,
    autoscale: Vec<AutoscaleSetting>,
    usual_timing: Timing,
    ledger: Ledger,
}

impl Cloud {
    /// An empty subscription. The seed determines all IDs; `timing` applies to sets without their own.
    #[must_use]
    pub fn new(seed: u64, timing: Timing) -> Self {
        Self {
            sets: Sets::default(),
            operations: Vec::new(),
            autoscale: Vec::new(),
            usual_timing: timing,
            ledger: Ledger::new(seed),
        }
    }

    /// The sets, read-only.
    #[must_use]
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The counters so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.ledger.counters
    }

    /// The autoscale settings.
    #[must_use]
    pub fn autoscale(&self) -> &[AutoscaleSetting] {
        &self.autoscale
    }

    /// Replaces the autoscale settings, which only their list shows.
    pub fn set_autoscale(&mut self, settings: Vec<AutoscaleSetting>) {
        self.autoscale = settings;
    }

    /// The effects on other systems, oldest first. Returns each effect once.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.ledger.effects)
    }

    /// Advances the time to `now`.
    pub fn step(&mut self, now: f64) {
        for set in self.sets.0.values_mut() {
            Arc::make_mut(set).step(now, &mut self.ledger);
        }
        for operation in self.operations.iter_mut().filter(|operation| operation.end.is_none()) {
            let Ok(set) = self.sets.get_mut(&operation.set) else {
                operation.end = Some(End::Succeeded);
                continue;
            };
            if set.has_done(operation, now) {
                set.failed = operation.error.is_some();
                set.version += 1;
                operation.end = Some(operation.error.take().map_or(End::Succeeded, End::Failed));
            }
        }
        self.sets.0.retain(|_, set| !(set.deleting && set.instances.is_empty()));
    }

    /// Whether an operation changes the instances of a set.
    #[must_use]
    pub fn is_updating(&self, key: &SetKey) -> bool {
        self.open(key).next().is_some()
    }

    fn open(&self, key: &SetKey) -> impl Iterator<Item = usize> {
        let is_open = |it: &Operation| it.set == *key && it.end.is_none() && it.work != Work::Other;
        self.operations.iter().enumerate().filter(move |(_, it)| is_open(it)).map(|(at, _)| at)
    }

    /// The operation of an id, which is read in any case.
    pub(super) fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id.eq_ignore_ascii_case(id))
    }

    /// Lets a change meet the operations in progress.
    fn meet(&mut self, key: &SetKey) -> Result<(), ArmError> {
        let open: Vec<usize> = self.open(key).collect();
        let set = self.sets.get_mut(key)?;
        match set.unverified.meeting {
            _ if open.is_empty() => {}
            Meeting::Both => {}
            Meeting::Conflict => return Err(ArmError::conflict(&set.name)),
            Meeting::Preempt => {
                for at in open {
                    let operation = &mut self.operations[at];
                    if let Work::Delete(named) = &operation.work {
                        for vm_id in named {
                            set.keep(vm_id);
                        }
                    }
                    operation.end = Some(End::Canceled(ArmError::preempted()));
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, key: &SetKey, work: Work, error: Option<ArmError>, now: f64) -> String {
        let id = self.ledger.ids.uuid();
        if self.operations.len() >= OPERATIONS_KEPT
            && let Some(oldest) = self.operations.iter().position(|it| it.end.is_some())
        {
            self.operations.remove(oldest);
        }
        let operation = Operation { id: id.clone(), set: key.clone(), work, began: now, error, end: None };
        self.operations.push(operation);
        id
    }

    /// Creates a set, or gives an existing one these settings and keeps its instances.
    pub fn put_set(&mut self, key: &SetKey, spec: &SetSpec, now: f64) -> Result<(), ArmError> {
        tags::check(&spec.tags)?;
        let timing = spec.timing(self.usual_timing);
        if let Ok(set) = self.sets.get_mut(key) {
            spec.apply(set, timing);
        } else {
            let set = spec.set(key, timing);
            self.sets.0.insert(key.clone(), Arc::new(set));
        }
        if let Some(capacity) = spec.capacity {
            self.scale(key, capacity, now)?;
        }
        Ok(())
    }

    /// PATCH of a set. Returns the operation that it begins.
    pub fn update(&mut self, key: &SetKey, change: SetChange, now: f64) -> Result<Option<String>, ArmError> {
        let set = self.sets.get(key)?;
        if change.if_match.as_ref().is_some_and(|etag| *etag != "*" && *etag != set.etag()) {
            let message = format!("The condition for the resource '{}' is not met. Etag mismatch.", set.name);
            return Err(ArmError::new(412, "PreconditionFailed", message));
        }
        if let Some(tags) = &change.tags {
            tags::check(tags)?;
        }
        if set.deleting {
            return Err(ArmError::new(
                409,
                "OperationNotAllowed",
                format!(
                    "Operation is not allowed on VM scale set '{}' since it is marked for deletion.",
                    set.name
                ),
            ));
        }
        let operation = match change.capacity {
            Some(capacity) => Some(self.scale(key, capacity, now)?),
            None => None,
        };
        let set = self.sets.get_mut(key)?;
        set.version += 1;
        if let Some(tags) = change.tags {
            set.tags = tags;
        }
        Ok(operation)
    }

    fn scale(&mut self, key: &SetKey, to: u32, now: f64) -> Result<String, ArmError> {
        let set = self.sets.get(key)?;
        let (before, quota, at_once) = (set.capacity, set.quota, set.unverified.quota_at_once);
        let beyond = quota.filter(|quota| to > *quota && to > before);
        if let Some(quota) = beyond {
            let refusal = ArmError::quota(quota, to - before);
            if at_once {
                return Err(refusal);
            }
            self.meet(key)?;
            return Ok(self.begin(key, Work::Other, Some(refusal), now));
        }
        self.meet(key)?;
        let set = self.sets.get_mut(key)?;
        let before = std::mem::replace(&mut set.capacity, to);
        let (work, error) = if to >= before {
            let (made, failure) = set.create(to - before, now, &mut self.ledger);
            let error = failure.map(|detail| ArmError {
                detail: Some(detail),
                ..ArmError::new(
                    409,
                    "ResourceOperationFailure",
                    "The resource operation completed with terminal provisioning state 'Failed'.",
                )
            });
            (Work::Create(made), error)
        } else {
            let mut ended = Vec::new();
            for _ in to..before {
                let Some(at) = set.victim() else { break };
                ended.push(set.instances[at].vm_id.clone());
                set.end(at, Cause::Victim, false, now, &mut self.ledger);
            }
            (Work::Delete(ended), None)
        };
        Ok(self.begin(key, work, error, now))
    }

    /// POST of `/delete`. Protection does not prevent it, and no minimum is enforced.
    pub fn delete(&mut self, key: &SetKey, ids: &[String], now: f64) -> Result<String, ArmError> {
        let set = self.sets.get(key)?;
        if ids.is_empty() {
            return Err(ArmError::invalid("Required parameter 'instanceIds' is missing (null or empty)."));
        }
        let unknown = ids.iter().find(|id| set.instance(id).is_none());
        if let Some(unknown) = unknown {
            return Err(ArmError::no_such_instance(unknown));
        }
        self.meet(key)?;
        let set = self.sets.get_mut(key)?;
        let lowers = set.orchestration == Orchestration::Uniform || set.unverified.flexible_delete_lowers;
        let mut ended = Vec::new();
        for id in ids {
            let named = |it: &Instance| it.id.eq_ignore_ascii_case(id) && !it.is_leaving();
            if let Some(at) = set.instances.iter().position(named) {
                ended.push(set.instances[at].vm_id.clone());
                set.end(at, Cause::Delete, lowers, now, &mut self.ledger);
            }
        }
        set.version += 1;
        Ok(self.begin(key, Work::Delete(ended), None, now))
    }

    /// POST of `/reimage`.
    pub fn reimage(&mut self, key: &SetKey, ids: &[String], now: f64) -> Result<String, ArmError> {
        self.meet(key)?;
        let set = self.sets.get_mut(key)?;
        for id in ids {
            let at = position(set, id)?;
            set.reimage(at, now, &mut self.ledger);
        }
        Ok(self.begin(key, Work::Other, None, now))
    }

    /// DELETE of a set, with all instances.
    pub fn delete_set(&mut self, key: &SetKey, now: f64) -> Result<String, ArmError> {
        let set = self.sets.get_mut(key)?;
        set.deleting = true;
        set.capacity = 0;
        let mut ended = Vec::new();
        for at in 0..set.instances.len() {
            if !set.instances[at].is_leaving() {
                ended.push(set.instances[at].vm_id.clone());
                set.end(at, Cause::SetDeleted, false, now, &mut self.ledger);
            }
        }
        Ok(self.begin(key, Work::Delete(ended), None, now))
    }

    /// PUT or PATCH of an instance. A `whole` instance, with more than the protection, leaves the set's model.
    pub fn protect(
        &mut self,
        key: &SetKey,
        id: &str,
        protection: Protection,
        whole: bool,
        now: f64,
    ) -> Result<String, ArmError> {
        let set = self.sets.get_mut(key)?;
        let at = position(set, id)?;
        let instance = &mut set.instances[at];
        if instance.is_leaving() {
            return Err(ArmError::no_such_instance(id));
        }
        instance.protection = protection;
        instance.detached_from_model |= whole;
        Ok(self.begin(key, Work::Other, None, now))
    }

    /// PATCH of the tags of a set.
    pub fn tag(&mut self, key: &SetKey, change: &TagChange) -> Result<&Set, ArmError> {
        let set = self.sets.get_mut(key)?;
        set.tags = change.applied(&set.tags)?;
        set.version += u64::from(set.unverified.tags_change_etag);
        Ok(set)
    }

    /// Azure evicts a Spot instance, at once.
    pub fn evict(&mut self, key: &SetKey, id: &str) -> Result<(), ArmError> {
        let set = self.sets.get_mut(key)?;
        let at = position(set, id)?;
        let Some(eviction) = set.spot else { return Err(ArmError::invalid("the set is not a Spot set")) };
        self.ledger.counters.by_cause.entry(Cause::Evicted.as_str()).or_default().terminated += 1;
        set.instances[at].cause = Some(Cause::Evicted);
        set.shut_down(at, &mut self.ledger);
        match eviction {
            Eviction::Deallocate => {
                set.instances[at].power = Some(Power::Deallocated);
                set.instances[at].cause = None;
            }
            Eviction::Delete => {
                set.instances[at].lowers = true;
                set.gone(at, &mut self.ledger);
            }
        }
        Ok(())
    }

    /// An instance ends beside its set, at once: somebody deletes the machine, or the host is lost. The capacity stays
    /// in a flexible set.
    pub fn lose(&mut self, key: &SetKey, id: &str) -> Result<(), ArmError> {
        let set = self.sets.get_mut(key)?;
        let at = position(set, id)?;
        self.ledger.counters.by_cause.entry(Cause::Outside.as_str()).or_default().terminated += 1;
        set.instances[at].cause = Some(Cause::Outside);
        set.instances[at].lowers = set.orchestration == Orchestration::Uniform;
        set.shut_down(at, &mut self.ledger);
        set.gone(at, &mut self.ledger);
        Ok(())
    }

    /// Changes a set beside all rules, for a test.
    pub fn with_set(&mut self, key: &SetKey, change: impl FnOnce(&mut Set)) -> Result<(), ArmError> {
        change(self.sets.get_mut(key)?);
        Ok(())
    }

    /// Makes the next creations of a set fail.
    pub fn fail_launches(&mut self, key: &SetKey, failures: LaunchFailures) -> Result<(), ArmError> {
        self.with_set(key, |set| set.failures = failures)
    }

    /// Makes the instances of a set older.
    pub fn age(&mut self, key: &SetKey, seconds: f64) -> Result<(), ArmError> {
        self.with_set(key, |set| set.instances.iter_mut().for_each(|it| it.created -= seconds))
    }

    /// Records the address of an instance, from the Jitsi simulator.
    pub(super) fn set_private_ip(&mut self, place: &GroupKey, name: &str, address: &str) {
        for set in self.sets.0.values_mut().filter(|set| set.name == place.name) {
            for instance in Arc::make_mut(set).instances.iter_mut().filter(|it| it.name == name) {
                instance.private_ip = Some(address.to_owned());
            }
        }
    }

    /// Records the load of an instance at its shutdown, from the Jitsi simulator.
    pub(super) fn record_cuts(&mut self, cause: Cause, cuts: Cuts) {
        self.ledger.cut(cause, cuts);
    }

    /// The last operation on a set, as Azure shows it.
    pub(super) fn provisioning(&self, set: &Set) -> Provisioning {
        if set.deleting {
            Provisioning::Deleting
        } else if self.is_updating(&set.key()) {
            Provisioning::Updating
        } else if set.failed {
            Provisioning::Failed
        } else {
            Provisioning::Succeeded
        }
    }
}

fn position(set: &Set, id: &str) -> Result<usize, ArmError> {
    let found = set.instances.iter().position(|it| it.id.eq_ignore_ascii_case(id));
    found.ok_or_else(|| ArmError::no_such_instance(id))
}
