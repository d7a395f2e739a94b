//! The behaviour of a set over time: creations, deletions, overprovisioning.
//!
//! `Set::step` performs what is due at the given time; it never waits. Effects on other systems go to the ledger.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::{Cause, Instance, Operation, Orchestration, Power, Protection, Provisioning, Set, Work};
use crate::cloud_parts::ids::Ids;
use crate::cloud_parts::link::{self, CauseCounters, Cuts, GroupKey};

/// An event for other systems.
pub type Effect = link::Effect<Cause>;

/// How many more instances than asked for overprovisioning creates, in percent, at least one.
const SURPLUS: u32 = 20;

/// The counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Instances created.
    pub created: u64,
    /// Creations that failed.
    pub launch_failures: u64,
    /// Instances that have gone.
    pub gone: u64,
    /// Recordings cut, whatever the cause.
    pub cut_recordings: u64,
    /// Conferences cut, whatever the cause.
    pub cut_conferences: u64,
    /// Participants who lost their conference, whatever the cause.
    pub cut_participants: u64,
    /// The ends of instances by cause.
    pub by_cause: BTreeMap<&'static str, CauseCounters>,
}

/// The ledger that all sets write to.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) ids: Ids,
    pub(super) counters: Counters,
    pub(super) effects: Vec<Effect>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { ids: Ids::new(seed), counters: Counters::default(), effects: Vec::new() }
    }

    pub(super) fn cut(&mut self, cause: Cause, cuts: Cuts) {
        self.counters.by_cause.entry(cause.as_str()).or_default().cut(cuts);
        self.counters.cut_recordings += cuts.recordings;
        self.counters.cut_conferences += cuts.conferences;
        self.counters.cut_participants += cuts.participants;
    }
}

impl Set {
    fn place(&self) -> GroupKey {
        GroupKey::new(&self.location, &self.name)
    }

    pub(super) fn step(&mut self, now: f64, ledger: &mut Ledger) {
        for at in (0..self.instances.len()).rev() {
            let elapsed = now - self.instances[at].since;
            let is_stopped = self.instances[at].stopped;
            match self.instances[at].provisioning {
                Provisioning::Creating if elapsed >= self.timing.launch => self.created(at, ledger),
                Provisioning::Creating if elapsed >= self.timing.launch / 2.0 => {
                    let instance = &mut self.instances[at];
                    instance.power = instance.failure.is_none().then_some(Power::Starting);
                }
                Provisioning::Updating if elapsed >= self.timing.launch => {
                    self.instances[at].provisioning = Provisioning::Succeeded;
                }
                Provisioning::Deleting if elapsed >= self.timing.delete => {
                    self.shut_down(at, ledger);
                    self.gone(at, ledger);
                }
                // Until then a later operation can still displace the delete.
                Provisioning::Deleting if elapsed >= self.timing.delete / 2.0 && !is_stopped => {
                    self.shut_down(at, ledger);
                }
                _ => {}
            }
        }
        if self.instances.iter().all(|instance| instance.provisioning != Provisioning::Creating) {
            while let Some(at) = self.instances.iter().position(|it| it.surplus && !it.is_leaving()) {
                self.end(at, Cause::Overprovisioned, false, now, ledger);
            }
        }
    }

    fn created(&mut self, at: usize, ledger: &mut Ledger) {
        let lowers = self.unverified.failure_lowers;
        let instance = &mut self.instances[at];
        if instance.failure.is_none() {
            instance.provisioning = Provisioning::Succeeded;
            instance.power = Some(Power::Running);
            instance.healthy = self.has_health.then_some(true);
            return;
        }
        instance.provisioning = Provisioning::Failed;
        ledger.counters.launch_failures += 1;
        self.capacity -= u32::from(lowers && self.capacity > 0);
        if !self.unverified.failure_stays_listed {
            self.instances.remove(at);
        }
    }

    /// The zone with the fewest instances.
    fn emptiest_zone(&self) -> String {
        let here =
            |zone: &String| self.instances.iter().filter(|it| it.zone == *zone && !it.is_leaving()).count();
        self.zones.iter().min_by_key(|zone| here(zone)).cloned().unwrap_or_default()
    }

    /// Creates instances. Returns the `vmId` of each, and the code and message of those that will fail.
    pub(super) fn create(
        &mut self,
        count: u32,
        now: f64,
        ledger: &mut Ledger,
    ) -> (Vec<String>, Option<(String, String)>) {
        let extra = if self.overprovision && self.orchestration == Orchestration::Uniform {
            (count * SURPLUS).div_ceil(100)
        } else {
            0
        };
        let (mut made, mut failure) = (Vec::new(), None);
        for number in 0..count + extra {
            let fails = self.failures.left > 0;
            self.failures.left -= u32::from(fails);
            let code =
                fails.then(|| self.failures.code.clone().unwrap_or_else(|| "AllocationFailed".to_owned()));
            if let Some(code) = &code {
                let usual = "Allocation failed. We do not have sufficient capacity for the requested VM size in this \
                             region.";
                let message = self.failures.message.clone().unwrap_or_else(|| usual.to_owned());
                failure = Some((code.clone(), message));
            }
            made.push(self.launch(code, number >= count, now, ledger));
        }
        (made, failure)
    }

    fn launch(&mut self, failure: Option<String>, surplus: bool, now: f64, ledger: &mut Ledger) -> String {
        let vm_id = ledger.ids.uuid();
        self.created += 1;
        let id = match self.orchestration {
            Orchestration::Uniform if self.unverified.reuses_ids => {
                let is_free = |id: &u32| self.instance(&id.to_string()).is_none();
                (0..=self.created).find(is_free).unwrap_or_default().to_string()
            }
            Orchestration::Uniform => (self.created - 1).to_string(),
            Orchestration::Flexible => format!("{}_{}", self.name, &vm_id[..8]),
        };
        let name = match self.orchestration {
            Orchestration::Uniform => format!("{}_{id}", self.name),
            Orchestration::Flexible => id.clone(),
        };
        let zone = self.emptiest_zone();
        if failure.is_none() {
            ledger.counters.created += 1;
            ledger.effects.push(Effect::Launched {
                group: self.place(),
                instance: name.clone(),
                component: self.component,
                zone: format!("{}-{zone}", self.location),
                boot_seconds: self.timing.boot,
            });
        }
        self.instances.push(Instance {
            id,
            name,
            vm_id: vm_id.clone(),
            zone,
            provisioning: Provisioning::Creating,
            power: None,
            stopped: failure.is_some(),
            failure,
            protection: Protection::default(),
            detached_from_model: false,
            healthy: None,
            created: now,
            since: now,
            private_ip: None,
            surplus,
            cause: None,
            lowers: false,
        });
        vm_id
    }

    /// Begins the end of an instance.
    pub(super) fn end(&mut self, at: usize, cause: Cause, lowers: bool, now: f64, ledger: &mut Ledger) {
        let at_once = self.unverified.delete_lowers_at_once && lowers;
        self.capacity -= u32::from(at_once && self.capacity > 0);
        let instance = &mut self.instances[at];
        instance.provisioning = Provisioning::Deleting;
        instance.power = instance.power.map(|_| Power::Stopping);
        instance.cause = Some(cause);
        instance.lowers = lowers && !at_once;
        instance.since = now;
        ledger.counters.by_cause.entry(cause.as_str()).or_default().terminated += 1;
    }

    /// Takes the end of an instance back, unless it is shut down already.
    pub(super) fn keep(&mut self, vm_id: &str) {
        let at_once = self.unverified.delete_lowers_at_once;
        let Some(instance) = self.instances.iter_mut().find(|it| it.vm_id == vm_id && !it.stopped) else {
            return;
        };
        if instance.is_leaving() {
            instance.provisioning = Provisioning::Succeeded;
            instance.power = Some(Power::Running);
            instance.cause = None;
            self.capacity += u32::from(at_once && !instance.lowers);
        }
    }

    /// Announces that an instance stops now. Repeating it is harmless.
    pub(super) fn shut_down(&mut self, at: usize, ledger: &mut Ledger) {
        let place = self.place();
        let instance = &mut self.instances[at];
        if !std::mem::replace(&mut instance.stopped, true) {
            ledger.effects.push(Effect::Stopped {
                group: place,
                instance: instance.name.clone(),
                component: self.component,
                cause: instance.cause.unwrap_or(Cause::Outside),
            });
        }
    }

    /// Replaces the disk of an instance: what it carried is lost, and its component starts again.
    pub(super) fn reimage(&mut self, at: usize, now: f64, ledger: &mut Ledger) {
        let place = self.place();
        let instance = &mut self.instances[at];
        instance.provisioning = Provisioning::Updating;
        instance.since = now;
        let (name, zone) = (instance.name.clone(), instance.zone.clone());
        let cause = Cause::Reimaged;
        ledger.counters.by_cause.entry(cause.as_str()).or_default().terminated += 1;
        let component = self.component;
        ledger.effects.extend([
            Effect::Stopped { group: place.clone(), instance: name.clone(), component, cause },
            Effect::Launched {
                group: place,
                instance: name,
                component,
                zone: format!("{}-{zone}", self.location),
                boot_seconds: self.timing.boot,
            },
        ]);
    }

    pub(super) fn gone(&mut self, at: usize, ledger: &mut Ledger) {
        let gone = self.instances.remove(at);
        self.capacity -= u32::from(gone.lowers && self.capacity > 0);
        ledger.counters.gone += 1;
    }

    /// Azure's choice of an instance to delete: from the fullest zone, the highest id.
    pub(super) fn victim(&self) -> Option<usize> {
        let in_zone =
            |zone: &str| self.instances.iter().filter(|it| it.zone == zone && !it.is_leaving()).count();
        let spared = |it: &Instance| self.unverified.lowering_spares_protected && it.protection.is_any();
        self.instances
            .iter()
            .enumerate()
            .filter(|(_, it)| !it.is_leaving() && !spared(it))
            .max_by_key(|(at, it)| (in_zone(&it.zone), *at))
            .map(|(at, _)| at)
    }

    /// Whether nothing of an operation is still to be done.
    pub(super) fn has_done(&self, operation: &Operation, now: f64) -> bool {
        let find = |vm_id: &String| self.instances.iter().find(|it| it.vm_id == *vm_id);
        match &operation.work {
            Work::Create(made) => made
                .iter()
                .filter_map(find)
                .all(|it| it.provisioning != Provisioning::Creating && (!it.surplus || !it.is_leaving())),
            Work::Delete(named) => named.iter().all(|vm_id| find(vm_id).is_none()),
            Work::Other => now - operation.began >= self.timing.launch / 4.0,
        }
    }
}
