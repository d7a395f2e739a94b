//! The judge of what is done beside policies: hooks that hold, replacing the ill, recycling the old, protecting the busy,
//! and that no drain takes a group below its minimum.
//!
//! Owns the same kind of verdicts as `judge`: from what AWS and Prometheus really told the scaler, and from the world.

use std::collections::{HashMap, HashSet};

use jitsi_scaler::cloud::{GroupDescription, tags};
use jitsi_scaler::observe::Labelled;
use jitsi_scaler::units::{InstanceId, Time};

use super::cloud::{Lifecycle, Taker};
use super::component::Process;
use super::hooks::Hold;
use super::judge::{Judge, Seen};
use super::setting::{Kind, MOST_ILL, Overdue};
use super::world::{HOUR, MINUTE, World};

/// For how long the protection of an instance may be another one than its load calls for.
const UNPROTECTED: i64 = 12 * MINUTE;
/// How often a scaler must have seen that a heartbeat is due, and not sent it, for its lack to be ours.
const SEEN_ENOUGH: u32 = 2;
/// And for how long: an evaluation that waits for everything that it asks takes almost a minute.
const SEEN_LONG_ENOUGH: i64 = MINUTE;
/// The clocks of scalers, and the way of a call.
const CLOCKS: i64 = MINUTE;

/// What a scaler saw of a group when it looked to decide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    seen: Seen,
    in_service: u32,
    /// Drains towards a lower capacity, with those that were begun since.
    draining: u32,
    /// Instances on their way to be replaced, likewise.
    replacing: u32,
    recycling: bool,
}

/// The ill instances that Prometheus told a scaler of: at how many points, and whether at the newest.
pub(super) type Ill = HashMap<usize, (usize, bool)>;

/// What the judge of upkeep remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    looked: [[Option<Looked>; 4]; 2],
    ill: [[Ill; 2]; 2],
    /// Instances whose protection was found wrong already.
    found: HashSet<usize>,
}

impl Memory {
    /// What a scaler saw of a group when it looked to decide.
    pub(super) fn seen(&self, scaler: usize, group: usize) -> Option<Seen> {
        self.looked[scaler][group].map(|looked| looked.seen)
    }
}

impl Judge {
    /// What a scaler was told of a group when it looked to decide.
    pub(super) fn looked(&mut self, scaler: usize, group: usize, told: &GroupDescription, seen: Seen) {
        let drains: HashMap<_, _> =
            tags::Memory::read(&told.tags, Time::from_unix(0)).drains.into_iter().collect();
        let purpose = |id: &InstanceId| drains.get(id).map(|drain| drain.purpose.as_str());
        let count = |of: &dyn Fn(&str, bool, Option<&str>) -> bool| {
            let is_replaced = |healthy: bool| !healthy && told.replaces_unhealthy;
            let is = told
                .instances
                .iter()
                .filter(|it| of(&it.lifecycle, is_replaced(it.healthy), purpose(&it.id)));
            u32::try_from(is.count()).unwrap_or(u32::MAX)
        };
        self.care.looked[scaler][group] = Some(Looked {
            seen,
            in_service: count(&|lifecycle, _, _| lifecycle == "InService"),
            draining: count(&|lifecycle, is_replaced, purpose| {
                matches!(lifecycle, "InService" | "Pending")
                    && !is_replaced
                    && matches!(purpose, Some("scale-in" | "recycle" | "hook" | "keep"))
            }),
            replacing: count(&|lifecycle, is_replaced, purpose| {
                lifecycle == "InService" && (is_replaced || purpose == Some("replace"))
            }),
            recycling: told.tags.iter().any(|(key, _)| key == "jitsi-scaler/recycling"),
        });
    }

    /// Which instances Prometheus called ill; none until it has answered.
    pub(super) fn told_ill(&mut self, scaler: usize, kind: Kind, end: i64, answer: &[Labelled]) {
        let told = &mut self.care.ill[scaler][usize::from(kind == Kind::Jibri)];
        told.clear();
        for series in answer {
            let id = series.label("instance_id").and_then(|id| id.strip_prefix("i-"));
            let Some(index) = id.and_then(|id| usize::from_str_radix(id, 16).ok()) else { continue };
            let newest = series.points.last().is_some_and(|(at, _)| (at - end as f64).abs() < 0.5);
            told.insert(index, (series.points.len(), newest));
        }
    }
}

impl World {
    /// The least that a group may be lowered to, of what a scaler saw.
    pub(super) fn floor(&self, group: usize, seen: Seen) -> u32 {
        let (min, _) = self.setting.bounds[self.groups[group].fleet];
        min.clamp(seen.min, seen.max.max(seen.min))
    }

    /// A drain begins that lowers the capacity.
    /// Returns how many such drains there are with this one, as far as the scaler saw.
    pub(super) fn judge_lowers(&mut self, scaler: usize, group: usize, key: &str, recycles: bool) -> u32 {
        let Some(mut looked) = self.judge.care.looked[scaler][group] else { return 1 };
        let floor = self.floor(group, looked.seen);
        looked.draining += 1;
        self.judge.care.looked[scaler][group] = Some(looked);
        if looked.seen.desired < floor + looked.draining {
            self.judge.tally.limits_broken += 1;
            self.violated(
                group,
                format!("a drain began ({key}) that goes below {floor}, having seen {looked:?}"),
            );
        }
        if recycles {
            self.judge.figures.recycles += 1;
            if !looked.recycling {
                self.judge.tally.limits_broken += 1;
                self.violated(group, format!("a drain to recycle began ({key}) without the one more"));
            }
        }
        looked.draining
    }

    /// A drain begins that ends in a replacement.
    pub(super) fn judge_replaces(&mut self, scaler: usize, group: usize, instance: usize) {
        let fleet = self.groups[group].fleet;
        let Some(mut looked) = self.judge.care.looked[scaler][group] else { return };
        let told = &self.judge.care.ill[scaler][fleet];
        let points = told.get(&instance).map_or(0, |(points, _)| *points);
        let periods = self.setting.care[fleet].replace.map_or(usize::MAX, usize::from);
        let serves = |it: &usize| {
            let it = &self.instances[*it];
            it.group == group && it.lifecycle == Lifecycle::InService
        };
        let ill = told.iter().filter(|(it, (_, newest))| *newest && serves(it)).count();
        let most = (looked.in_service * MOST_ILL / 100).max(1);
        looked.replacing += 1;
        self.judge.care.looked[scaler][group] = Some(looked);
        let id = self.instances[instance].id.clone();
        if points < periods {
            self.judge.tally.unseen_scale_ins += 1;
            self.violated(
                group,
                format!("{id} is to be replaced, and was ill at {points} of {periods} points"),
            );
        }
        if ill > most as usize || looked.replacing > 1 {
            self.judge.tally.limits_broken += 1;
            let what = format!("{id} is to be replaced, and {ill} look ill, having seen {looked:?}");
            self.violated(group, what);
        }
    }

    /// An instance is about to be terminated with decrement.
    pub(super) fn judge_floor(&mut self, scaler: usize, group: usize) {
        let Some(seen) = self.judge.seen(scaler, group) else { return };
        let floor = self.floor(group, seen);
        let max = self.setting.max(self.groups[group].fleet, self.clock(scaler));
        // Where nothing could be raised first, what is drained goes first.
        if seen.desired <= floor && floor < max.min(seen.max) {
            self.judge.tally.limits_broken += 1;
            self.violated(group, format!("an instance is terminated below {floor}, having seen {seen:?}"));
        }
    }

    /// Whether an operator's limit has an instance end whatever it carries.
    pub(super) fn is_overdue(&self, instance: usize) -> bool {
        let it = &self.instances[instance];
        let limit = self.setting.care[self.groups[it.group].fleet].drain_limit;
        let (Some((after, Overdue::Terminate)), Some(since)) = (limit, it.drained_since) else {
            return false;
        };
        self.now - since >= after - CLOCKS
    }

    /// A hook lets go of an instance: its time is over, or nobody told it to go on. The latter is ours if a scaler has
    /// seen that it should, and nothing was in its way; and so is what the instance takes on while it shuts down.
    pub(super) fn judge_expiry(&mut self, instance: usize, hold: Hold) {
        let now = self.now;
        let it = &mut self.instances[instance];
        let is_over = now >= hold.limit;
        let is_excused = hold.excused || hold.seen < SEEN_ENOUGH || now - hold.first_seen < SEEN_LONG_ENOUGH;
        it.taken_by = Some(if is_over || is_excused { Taker::Aws } else { Taker::Scaler });
        if !it.carries() {
            return;
        }
        if is_over {
            self.judge.figures.hook_limits += 1;
        } else if is_excused {
            self.judge.figures.hooks_unheard += 1;
        } else {
            let (group, id) = (it.group, it.id.clone());
            self.judge.tally.stuck += 1;
            self.violated(group, format!("the hook of {id} expired for want of a heartbeat: {hold:?}"));
        }
    }

    /// Looks for what is in use and not protected, or protected and free.
    pub(super) fn inspect_protection(&mut self, group: usize) {
        if !self.setting.care[self.groups[group].fleet].protect_busy {
            return;
        }
        let (now, calm) = (self.now, self.calm + HOUR);
        let is_wrong = |member: &usize| {
            let it = &self.instances[*member];
            let since = if it.carries() { it.busy_since } else { it.empty_since };
            let since = since.max(calm).max(it.in_service.unwrap_or(now));
            it.lifecycle == Lifecycle::InService
                && it.process == Process::Running
                && it.twin.is_none()
                && now - since > UNPROTECTED
                && it.protected != it.carries()
        };
        let wrong: Vec<usize> = self.groups[group].members.iter().copied().filter(is_wrong).collect();
        for instance in wrong {
            if self.judge.care.found.insert(instance) {
                let it = &self.instances[instance];
                let word =
                    if it.protected { "is free, and protected" } else { "is in use, and not protected" };
                let what = format!("{} {word}", it.id);
                self.judge.tally.stuck += 1;
                self.violated(group, what);
            }
        }
    }
}
