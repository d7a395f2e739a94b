//! Scale sets as Azure runs them, in place of Auto Scaling groups.
//!
//! Owns what is different there: nothing brings a set back to its capacity, no hook holds an instance, a delete takes its
//! time and can be displaced by a later change, a creation that fails leaves a machine behind, and nothing is bounded.
//! Where no source says what Azure does, a stretch draws one of the possible behaviours. What the client adds is here too:
//! it counts machines instead of believing the capacity, never patches it downwards, has one change of a set under way,
//! and makes a replacement of a delete and a raise. Sources: the REST API of Microsoft.Compute, and what other
//! autoscalers of Azure went through.

use std::collections::{BTreeMap, BTreeSet};

use jitsi_scaler::cloud::{Activity, ActivityKind, ActivityOutcome, CloudError};
use jitsi_scaler::units::{GroupName, InstanceId, Time};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::cloud::{Lifecycle, Taker};
use super::component::Process;
use super::scaling::refused;
use super::world::{Event, MINUTE, SECOND, World};

/// For how long a creation that failed counts towards the capacity, as one that Azure might still repeat.
const FAILED_COUNTS: i64 = 10 * MINUTE;
/// The most instances that a set can have.
pub(super) const LARGEST: u32 = 1000;

/// What a change does that meets another one of the same set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    /// It is refused.
    Conflict,
    /// It displaces the other one.
    Preempt,
    /// Both are done.
    Both,
}

/// How Azure behaves in a stretch.
#[derive(Clone, Copy, Debug)]
struct Rules {
    meeting: Meeting,
    /// Whether a machine whose creation failed is listed.
    lists_failed: bool,
    /// Whether an evicted Spot machine is deleted instead of deallocated.
    evicts_by_delete: bool,
}

/// What Azure and the clients know beyond what they know of groups.
#[derive(Debug)]
pub(super) struct State {
    rules: Rules,
    /// Deletes that have not ended, each with the scaler that asked for it, as long as that remembers.
    deletes: BTreeMap<usize, Option<usize>>,
    /// Of these, the ones that end in a raise.
    replaced: BTreeSet<usize>,
    /// When creations of a group failed lately.
    failed: [Vec<i64>; 4],
}

impl State {
    pub(super) fn draw(mut luck: ChaCha8Rng) -> Self {
        let meeting = [Meeting::Conflict, Meeting::Preempt, Meeting::Both][luck.random_range(0..3)];
        let rules =
            Rules { meeting, lists_failed: luck.random_bool(0.5), evicts_by_delete: luck.random_bool(0.5) };
        Self { rules, deletes: BTreeMap::new(), replaced: BTreeSet::new(), failed: Default::default() }
    }

    /// The process of a scaler ends, and with it what it remembers: a replacement stays half done.
    pub(super) fn forget(&mut self, scaler: usize) {
        let forgotten = self.deletes.iter_mut().filter(|(_, asked_by)| **asked_by == Some(scaler));
        for (instance, asked_by) in forgotten {
            *asked_by = None;
            self.replaced.remove(instance);
        }
    }
}

impl World {
    /// The capacity of a group that a description gives a scaler.
    pub(super) fn capacity(&self, group: usize, scaler: Option<usize>) -> u32 {
        let Some(azure) = &self.azure else { return self.groups[group].desired };
        let is_of = |instance: &usize| self.instances[*instance].group == group;
        // A delete counts until it has ended, except for the scaler that asked for it; what that replaces counts there too.
        let counts = |(instance, asked_by): &(&usize, &Option<usize>)| {
            is_of(instance)
                && (asked_by.is_none() || **asked_by != scaler || azure.replaced.contains(instance))
        };
        let deletes = azure.deletes.iter().filter(counts).count();
        let failed = azure.failed[group].iter().filter(|at| self.now - **at < FAILED_COUNTS).count();
        let count = self.held(group) + deletes + failed;
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Creates the first instances of each set.
    pub(super) fn create_sets(&mut self) {
        for group in 0..self.groups.len() {
            for _ in 0..self.groups[group].desired {
                self.launch(group);
            }
        }
    }

    /// Whether something is under way that changes the instances of a set.
    fn is_changing(&self, group: usize) -> bool {
        let is_pending = |it: &usize| self.instances[*it].lifecycle == Lifecycle::Pending;
        self.groups[group].members.iter().any(is_pending) || self.deletes_of(group).next().is_some()
    }

    fn deletes_of(&self, group: usize) -> impl Iterator<Item = (usize, Option<usize>)> {
        let deletes = self.azure.iter().flat_map(|azure| &azure.deletes).map(|(it, by)| (*it, *by));
        deletes.filter(move |(it, _)| self.instances[*it].group == group)
    }

    /// A change meets what is under way.
    fn meets(&mut self, call: &'static str, group: usize) -> Result<(), CloudError> {
        let meeting = self.azure.as_ref().map_or(Meeting::Both, |azure| azure.rules.meeting);
        if meeting == Meeting::Both || !self.is_changing(group) {
            return Ok(());
        }
        if meeting == Meeting::Conflict {
            self.judge.figures.conflicts += 1;
            let message = "another write of the set is in progress";
            return Err(refused(call, "ConflictingConcurrentWriteNotAllowed", message));
        }
        let deletes: Vec<usize> = self.deletes_of(group).map(|(instance, _)| instance).collect();
        for instance in deletes {
            self.take_delete_back(instance);
        }
        Ok(())
    }

    /// A delete was displaced before it shut the machine down.
    fn take_delete_back(&mut self, instance: usize) {
        let it = &mut self.instances[instance];
        if it.process == Process::Gone || it.lifecycle != Lifecycle::Terminating {
            return;
        }
        it.lifecycle = if it.in_service.is_some() { Lifecycle::InService } else { Lifecycle::Pending };
        it.taken_by = None;
        (it.ending, it.end_sent) = (None, None);
        if let Some(azure) = &mut self.azure {
            azure.deletes.remove(&instance);
            azure.replaced.remove(&instance);
        }
        self.judge.figures.displaced += 1;
        self.tell(instance, 15, |_| "stays: a later change displaced its delete".to_owned());
    }

    /// Deletes an instance: its machine runs on for a moment, and its place in the set is free some time later.
    pub(super) fn delete(&mut self, instance: usize, taker: Taker, asked_by: Option<usize>) {
        let now = self.now;
        let it = &mut self.instances[instance];
        if !matches!(it.lifecycle, Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby) {
            return;
        }
        it.taken_by = Some(taker);
        it.lifecycle = Lifecycle::Terminating;
        it.ending = Some(now);
        if let Some(azure) = &mut self.azure {
            azure.deletes.insert(instance, asked_by);
        }
        self.tell(instance, 13, |_| format!("is deleted by {taker:?}"));
        let most = if self.luck.random_bool(0.5) { 10 * SECOND } else { 90 * SECOND };
        let at = now + self.luck.random_range(SECOND..most);
        self.schedule(at, Event::MachineStops(instance, now));
    }

    /// The machine of a delete stops, unless that was displaced: what it carries is cut.
    pub(super) fn machine_stops(&mut self, instance: usize, since: i64) {
        if self.instances[instance].ending != Some(since) {
            return;
        }
        self.lose_host(instance);
        let at = self.now + self.luck.random_range(5 * SECOND..3 * MINUTE);
        self.schedule(at, Event::HostGone(instance));
    }

    /// An instance has left its set: a replacement follows, if a scaler still remembers that.
    pub(super) fn deleted(&mut self, instance: usize) {
        let group = self.instances[instance].group;
        let Some(azure) = &mut self.azure else { return };
        azure.deletes.remove(&instance);
        if azure.replaced.remove(&instance) {
            self.launch(group);
        }
    }

    /// A creation fails. The machine may stay in the list, and does not run.
    pub(super) fn creation_fails(&mut self, group: usize) {
        let now = self.now;
        let ended = Some(Time::from_unix(now / SECOND));
        let message = "AllocationFailed: sufficient capacity for the requested VM size is not available";
        let (kind, outcome) = (ActivityKind::Launch(None), ActivityOutcome::Failed);
        self.groups[group].activities.push_front(Activity {
            kind,
            ended,
            outcome,
            message: message.to_owned(),
        });
        self.timeline.tell(now, Some(group), &[10], || "a creation fails".to_owned());
        let Some(azure) = &mut self.azure else { return };
        azure.failed[group].retain(|at| now - at < FAILED_COUNTS);
        azure.failed[group].push(now);
        if azure.rules.lists_failed {
            let instance = self.create(group, 0);
            let it = &mut self.instances[instance];
            it.lifecycle = Lifecycle::Failed;
            it.process = Process::Gone;
        }
    }

    /// Azure takes a Spot machine back.
    pub(super) fn evicted(&mut self, instance: usize) {
        self.instances[instance].taken_by = Some(Taker::Aws);
        self.lose_host(instance);
        let by_delete = self.azure.as_ref().is_some_and(|azure| azure.rules.evicts_by_delete);
        let it = &mut self.instances[instance];
        if by_delete || it.lifecycle == Lifecycle::Terminating {
            self.host_gone(instance);
        } else if it.lifecycle.is_held() {
            it.lifecycle = Lifecycle::Standby;
        }
    }

    /// Somebody patches the capacity: Azure chooses what goes.
    pub(super) fn patched(&mut self, group: usize, change: i32) {
        if self.meets("PATCH", group).is_err() {
            return;
        }
        for _ in 0..change.unsigned_abs() {
            if change > 0 {
                self.launch(group);
            } else {
                self.choose_and_terminate(group);
            }
        }
    }

    /// A scaler raises the capacity. The client reads it first, and sends nothing that would lower it.
    pub(super) fn raise(&mut self, scaler: usize, name: &GroupName, to: u32) -> Result<(), CloudError> {
        let call = "VirtualMachineScaleSets_Update";
        let group = self.group_named(name).ok_or_else(|| refused(call, "ResourceNotFound", "no such set"))?;
        self.judge_desired(scaler, group, to);
        let now = self.capacity(group, Some(scaler));
        let answer = if to < now {
            Err(refused(call, "NoRaise", "the set has more already"))
        } else if to > LARGEST {
            Err(refused(call, "InvalidParameter", "a set has a thousand instances at most"))
        } else {
            self.meets(call, group)
        };
        self.asked(scaler, Some(group), 30, &answer, || format!("raises the capacity to {to}"));
        if answer.is_ok() {
            for _ in self.capacity(group, Some(scaler))..to {
                self.launch(group);
            }
        }
        answer
    }

    /// A scaler deletes an instance, and with `replaces` another one is to come once it is gone.
    pub(super) fn delete_named(
        &mut self,
        scaler: usize,
        id: &InstanceId,
        replaces: bool,
    ) -> Result<(), CloudError> {
        let call = "VirtualMachineScaleSets_DeleteInstances";
        let instance = self.member(call, id)?;
        let group = self.instances[instance].group;
        let is_held = self.instances[instance].lifecycle.is_held();
        if is_held && !replaces {
            self.judge_floor(scaler, group);
        }
        let own = self.deletes_of(group).any(|(_, asked_by)| asked_by == Some(scaler));
        let answer = if own {
            Err(refused(call, "OperationInProgress", "a delete has not ended"))
        } else if is_held {
            self.meets(call, group)
        } else {
            Err(refused(call, "InstanceIdsListInstanceIdNotActiveVM", "the instance is not active"))
        };
        let then = if replaces { " to replace it" } else { "" };
        self.asked(scaler, Some(group), 31, &answer, || format!("deletes {id}{then}"));
        if answer.is_ok() {
            let figures = &mut self.judge.figures;
            *(if replaces { &mut figures.replacements } else { &mut figures.terminations }) += 1;
            self.delete(instance, Taker::Scaler, Some(scaler));
            if replaces && let Some(azure) = &mut self.azure {
                azure.replaced.insert(instance);
            }
        }
        answer
    }
}
