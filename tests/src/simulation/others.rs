//! Somebody else: operators and AWS itself, who change what the scaler looks after. What they cut is not ours.

use jitsi_scaler::cloud::{ActivityKind, tags};
use rand::RngExt as _;

use super::cloud::{Lifecycle, Taker};
use super::component::{Drainer, Process};
use super::setting::Kind;
use super::world::{Event, HOUR, MINUTE, World};

/// From the notice of a Spot interruption to its end. Source: the EC2 user guide.
const SPOT: i64 = 2 * MINUTE;

/// Likewise in Azure. Source: the guide on Spot virtual machines.
const AZURE_SPOT: i64 = MINUTE / 2;

/// What they do. Some of it is ended again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    SetDesired(usize),
    Protect(usize),
    Unprotect(usize),
    Drain(usize),
    Undrain(usize),
    Terminate(usize),
    EndHost(usize),
    Suspend(usize, &'static str),
    Narrow(usize),
    Refresh(usize),
    Rebalance(usize),
    Spot(usize),
    Standby(usize),
    Detach(usize),
}

impl World {
    pub(super) fn deed(&mut self) {
        if self.is_calm() {
            return;
        }
        let next = self.next_after(if self.setting.large { 50 * MINUTE } else { 110 * MINUTE });
        self.schedule(next, Event::Deed);
        if self.setting.large && self.luck.random_bool(0.7) {
            self.judge.figures.deeds += 1;
            self.raise_to_maximum();
            return;
        }
        let group = self.luck.random_range(0..self.groups.len());
        let Some(instance) = self.anyone(group) else { return };
        let deed = match self.luck.random_range(0..22) {
            0 | 1 => Deed::SetDesired(group),
            2 => Deed::Protect(instance),
            3 => Deed::Unprotect(instance),
            4 | 14 | 15 => Deed::Drain(instance),
            5 => Deed::Undrain(instance),
            6 => Deed::Terminate(instance),
            7 => Deed::Suspend(group, ["Launch", "Terminate"][self.luck.random_range(0..2)]),
            8 => Deed::Narrow(group),
            9 => Deed::Refresh(group),
            10 | 11 => Deed::Rebalance(group),
            12 => Deed::EndHost(instance),
            16..=18 => Deed::Standby(instance),
            19 => Deed::Detach(self.drained(group).unwrap_or(instance)),
            20 | 21 => Deed::Standby(self.drained(group).unwrap_or(instance)),
            _ => Deed::Spot(instance),
        };
        self.judge.figures.deeds += 1;
        self.timeline.tell(self.now, None, &[80, group as u64, instance as u64], || {
            format!("somebody else: {deed:?} ({}, {})", self.groups[group].name, self.instances[instance].id)
        });
        self.perform(deed);
    }

    /// A large group begins with all that it can have, and with tags of others.
    pub(super) fn crowd(&mut self) {
        self.raise_to_maximum();
        let others = (0..20).map(|number| (format!("team-{number}"), "others".to_owned()));
        self.groups[0].tags.extend(others);
    }

    /// Somebody raises the large group for an event that does not come.
    fn raise_to_maximum(&mut self) {
        let it = &mut self.groups[0];
        it.desired = it.max;
        self.timeline.tell(self.now, Some(0), &[81], || "somebody else raises it to its maximum".to_owned());
    }

    // long: an arm for each deed
    fn perform(&mut self, deed: Deed) {
        let until = self.now + self.luck.random_range(10 * MINUTE..6 * HOUR);
        match deed {
            Deed::SetDesired(group) => {
                let change = self.luck.random_range(-2..=3);
                if self.azure.is_some() {
                    return self.patched(group, change);
                }
                let it = &mut self.groups[group];
                it.desired = it.desired.saturating_add_signed(change).clamp(it.min, it.max);
            }
            Deed::Protect(instance) => self.instances[instance].protected = true,
            Deed::Unprotect(instance) => self.instances[instance].protected = false,
            Deed::Drain(instance) => {
                let now = self.now;
                let it = &mut self.instances[instance];
                if it.kind == Kind::Bridge && it.process == Process::Running && it.drain.is_none() {
                    it.drain = Some((Drainer::Operator, now));
                    self.schedule(until, Event::DeedEnds(deed));
                }
            }
            Deed::Undrain(instance) => self.instances[instance].drain = None,
            Deed::Terminate(instance) => self.terminate(instance, Taker::Operator),
            // In the console of EC2, where no hook is asked.
            Deed::EndHost(instance) => self.end_host(instance, Taker::Operator),
            // Without rebalancing by capacity, Auto Scaling learns of it when it is over; no hook holds it back.
            Deed::Spot(instance) => {
                let notice = if self.azure.is_some() { AZURE_SPOT } else { SPOT };
                self.schedule(self.now + notice, Event::SpotEnds(instance));
            }
            // Azure has no such thing.
            Deed::Suspend(..) | Deed::Narrow(_) if self.azure.is_some() => {}
            Deed::Suspend(group, process) => {
                if !self.groups[group].suspended.contains(&process) {
                    self.groups[group].suspended.push(process);
                    self.schedule(until, Event::DeedEnds(deed));
                }
            }
            Deed::Narrow(group) => {
                let raise = self.luck.random_bool(0.5);
                let it = &mut self.groups[group];
                let (min, max) = it.own;
                (it.min, it.max) = if raise { (min + 2, max) } else { (min, max - 2) };
                it.desired = it.desired.clamp(it.min, it.max);
                self.schedule(until, Event::DeedEnds(deed));
            }
            Deed::Refresh(group) => {
                self.groups[group].refreshing = true;
                self.schedule(until, Event::DeedEnds(deed));
                // One that is protected it waits for. Source: `ScaleInProtectedInstances` of RefreshPreferences.
                let members = self.groups[group].members.iter().copied();
                let oldest = members.filter(|&it| !self.instances[it].protected).min();
                match oldest {
                    // A rolling upgrade replaces the disk.
                    Some(oldest) if self.azure.is_some() => self.restarted(oldest, self.now),
                    Some(oldest) => self.terminate(oldest, Taker::Aws),
                    None => {}
                }
            }
            Deed::Rebalance(group) => {
                // Azure creates the other one first.
                if self.azure.is_some() {
                    self.launch(group);
                }
                self.choose_and_terminate(group);
            }
            Deed::Standby(instance) => {
                if self.takes_aside(instance, Lifecycle::Standby) {
                    // Who stops a machine in Azure stops what runs on it.
                    if self.azure.is_some() {
                        self.restarted(instance, until);
                    }
                    self.schedule(until, Event::DeedEnds(deed));
                }
            }
            Deed::Detach(instance) => {
                if self.takes_aside(instance, Lifecycle::Detached) {
                    let group = self.instances[instance].group;
                    self.groups[group].members.retain(|&member| member != instance);
                    self.prometheus.vanishing.push(instance);
                    let id = self.instances[instance].id.clone();
                    self.note_activity(group, ActivityKind::Detach(id));
                }
            }
        }
    }

    /// The component of an instance ends, and comes up again some time after `at`.
    fn restarted(&mut self, instance: usize, at: i64) {
        if self.instances[instance].is_alive() {
            let after = at - self.now + self.restart();
            self.process_ends(instance, Some(after));
        }
    }

    /// An instance of a group that the scaler drains.
    fn drained(&self, group: usize) -> Option<usize> {
        let members = self.groups[group].members.iter().copied();
        members.into_iter().find(|&it| self.instances[it].drained_since.is_some())
    }

    /// Takes an instance out of service; the desired capacity may go down with it.
    fn takes_aside(&mut self, instance: usize, to: Lifecycle) -> bool {
        let lowers = self.luck.random_bool(0.5);
        let it = &mut self.instances[instance];
        if it.lifecycle != Lifecycle::InService {
            return false;
        }
        it.lifecycle = to;
        let group = &mut self.groups[it.group];
        if lowers && self.azure.is_none() && group.desired > group.min {
            group.desired -= 1;
        }
        true
    }

    /// Brings an instance back into service. AWS raises the desired capacity for it, which may then be too much.
    fn leaves_standby(&mut self, instance: usize) {
        let is_azure = self.azure.is_some();
        let it = &mut self.instances[instance];
        if it.lifecycle == Lifecycle::Standby {
            it.lifecycle = Lifecycle::InService;
            // A machine that Azure took back is started again, as is one that somebody stopped.
            if it.process == Process::Gone || (is_azure && it.process == Process::Restarting) {
                it.process = Process::Booting;
                let (at, life) = (self.now + MINUTE, it.life);
                self.schedule(at, Event::ComponentUp(instance, life));
            }
            let it = &self.instances[instance];
            let group = &mut self.groups[it.group];
            group.desired = (group.desired + 1).min(group.max);
            self.tell(instance, 14, |_| "is back in service".to_owned());
        }
    }

    pub(super) fn deed_ends(&mut self, deed: Deed) {
        match deed {
            Deed::Drain(instance) => {
                let it = &mut self.instances[instance];
                it.drain = it.drain.filter(|(by, _)| *by != Drainer::Operator);
            }
            Deed::Suspend(group, process) => self.groups[group].suspended.retain(|it| *it != process),
            Deed::Narrow(group) => {
                let it = &mut self.groups[group];
                (it.min, it.max) = it.own;
            }
            Deed::Refresh(group) => self.groups[group].refreshing = false,
            Deed::Standby(instance) => self.leaves_standby(instance),
            _ => {}
        }
    }

    /// When the calm hours begin, everybody tidies up.
    pub(super) fn end_deeds(&mut self) {
        for group in 0..self.groups.len() {
            self.deed_ends(Deed::Suspend(group, "Launch"));
            self.deed_ends(Deed::Suspend(group, "Terminate"));
            self.deed_ends(Deed::Narrow(group));
            self.deed_ends(Deed::Refresh(group));
        }
        for group in &mut self.groups {
            group.tags.remove(tags::PAUSED);
        }
        for instance in 0..self.instances.len() {
            self.deed_ends(Deed::Drain(instance));
            self.deed_ends(Deed::Standby(instance));
        }
    }
}
