//! What may never happen, counted.
//!
//! Owns the verdicts, from the world's own knowledge: what an instance carried when our call ended it, what Prometheus
//! really answered before a drain began, and what is not in order when all faults have been over for hours. What
//! others cut (AWS, an operator, a crash) is not ours.

use std::fmt;

use jitsi_scaler::cloud::{GroupDescription, tags};
use jitsi_scaler::decide::policy::{Direction, Policy};
use jitsi_scaler::units::Time;

use super::care;
use super::cloud::{Lifecycle, Taker};
use super::component::{Drainer, Job, Process};
use super::orders::packed;
use super::setting::Kind;
use super::world::{Event, HOUR, MINUTE, SECOND, World};

/// For how long too little capacity is borne once faults are over: windows, a boot and the warm-up, with room for what
/// arrives meanwhile.
const SHORT: i64 = 45 * MINUTE;
/// For how long too much capacity is borne: the windows and cooldowns of several scale-ins.
const EXCESS: i64 = 150 * MINUTE;
/// For how long a group at rest may stay above its maximum.
const ABOVE: i64 = 60 * MINUTE;
/// For how long what is empty may go on draining.
const DRAINING: i64 = 12 * HOUR;
/// How old an answer of Prometheus may be to have been what a drain rests on.
pub(super) const ONE_EVALUATION: i64 = 3 * MINUTE;

/// What may never happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recordings or uploads that a call of ours ended.
    pub recordings_cut: u32,
    /// People on bridges that a call of ours ended.
    pub people_dropped: u32,
    /// Desired capacities set outside the limits, or lowered.
    pub limits_broken: u32,
    /// Drains begun although no window said so.
    pub unseen_scale_ins: u32,
    /// What did not come to an end although nothing was in its way any more.
    pub stuck: u32,
}

impl Tally {
    /// Whether nothing happened that may not.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a recording was cut, or somebody dropped.
    #[must_use]
    pub fn has_cuts(&self) -> bool {
        self.recordings_cut > 0 || self.people_dropped > 0
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.recordings_cut += other.recordings_cut;
        self.people_dropped += other.people_dropped;
        self.limits_broken += other.limits_broken;
        self.unseen_scale_ins += other.unseen_scale_ins;
        self.stuck += other.stuck;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recordings_cut, people_dropped, limits_broken, unseen_scale_ins, stuck } = self;
        write!(
            f,
            "recordings cut {recordings_cut}, people dropped {people_dropped}, limits broken {limits_broken}, unseen \
             scale-ins {unseen_scale_ins}, stuck {stuck}"
        )
    }
}

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// How much of everything there was: a run without drains or faults proves nothing.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Figures {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Figures {
            /// Adds those of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }
        }

        impl fmt::Display for Figures {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(write!(f, "{} {}, ", stringify!($name).replace('_', " "), self.$name)?;)+
                Ok(())
            }
        }
    };
}

figures! {
    /// Evaluations of a fleet.
    evaluations,
    /// Calls that the scalers made.
    calls,
    /// Times that we raised a group.
    raised,
    /// Drains that we began.
    drains,
    /// Instances that we terminated.
    terminations,
    /// Hooks that we completed.
    completions,
    /// Instances that a hook held, whoever took them.
    hooks_held,
    /// Heartbeats that hooks heard.
    heartbeats,
    /// Hooks that let go of what was in use because no heartbeat could get through.
    hooks_unheard,
    /// Hooks that let go of what was in use because the longest time was over.
    hook_limits,
    /// Instances that we had replaced.
    replacements,
    /// Instances that we began to recycle.
    recycles,
    /// Times that we changed the protection of an instance.
    protections,
    /// Instances in use that ended because `drain.timeout` says so.
    cut_overdue,
    /// Instances that AWS launched.
    launches,
    /// Conferences.
    conferences,
    /// Recordings.
    recordings,
    /// Conferences and recordings that found nobody to take them.
    turned_away,
    /// Changes that were refused because another one was under way.
    conflicts,
    /// Deletes that a later change displaced.
    displaced,
    /// Instances in use that others ended.
    cut_by_others,
    /// Times that a stale look had us lower a group that somebody else had just raised.
    lowered_unawares,
    /// Troubles and mishaps.
    faults,
    /// Times that a scaler was killed.
    kills,
    /// Webhooks that woke a fleet.
    wakes,
    /// Pauses that an operator began.
    pauses,
    /// Drains that an operator ordered, and their ends.
    orders,
    /// What somebody else did.
    deeds,
    /// Writes of tags that hold several drains.
    packed,
    /// Such writes that left 150 drains or more in the tags of a group.
    crowded,
}

/// The first thing that may not happen.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) at: i64,
    pub(super) group: usize,
    pub(super) what: String,
}

/// What a scaler saw of a group when it looked last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) desired: u32,
    /// Whether it was paused, by the clock of the scaler.
    pub(super) paused: bool,
}

impl Seen {
    /// What `told` shows by the clock of the scaler, and by the same without its newest step.
    pub(super) fn of(told: &GroupDescription, clocks: [i64; 2]) -> Self {
        let pause = tags::pause(&told.tags);
        let holds = |now: i64| pause.as_ref().is_some_and(|pause| pause.holds(Time::from_unix(now / SECOND)));
        let paused = clocks.into_iter().all(holds);
        Self { min: told.min.get(), max: told.max.get(), desired: told.desired.get(), paused }
    }
}

/// What Prometheus answered a scaler for one window.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    end: i64,
    step: i64,
    points: Vec<(f64, f64)>,
}

/// The judge.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) tally: Tally,
    pub(super) figures: Figures,
    pub(super) first: Option<Violation>,
    seen: [[Option<Seen>; 4]; 2],
    /// When a scaler was last told that no instance refresh of a group was in progress.
    unrefreshed: [[Option<i64>; 4]; 2],
    answers: [[[Answer; 2]; 4]; 2],
    short: [Option<i64>; 4],
    excess: [Option<i64>; 4],
    above: [Option<i64>; 4],
    pub(super) care: care::Memory,
}

impl Judge {
    /// What a scaler was told of a group.
    pub(super) fn saw(&mut self, scaler: usize, group: usize, seen: Seen) {
        self.seen[scaler][group] = Some(seen);
    }

    /// What a scaler was told at `at` of the instance refreshes of a group; `None` before it has an answer.
    pub(super) fn told_refresh(&mut self, scaler: usize, group: usize, at: i64, refreshing: Option<bool>) {
        self.unrefreshed[scaler][group] = (refreshing == Some(false)).then_some(at);
    }

    /// When a scaler was last told that no instance refresh of a group was in progress.
    pub(super) fn unrefreshed(&self, scaler: usize, group: usize) -> Option<i64> {
        self.unrefreshed[scaler][group]
    }

    /// What Prometheus last answered for the window of a policy.
    pub(super) fn answer(&self, scaler: usize, group: usize, slot: usize) -> &Answer {
        &self.answers[scaler][group][slot]
    }

    /// What a scaler saw last.
    pub(super) fn seen(&self, scaler: usize, group: usize) -> Option<Seen> {
        self.seen[scaler][group]
    }

    /// A window was asked for; until it is answered nothing was seen.
    pub(super) fn unanswered(&mut self, scaler: usize, kind: Kind, slot: usize) {
        let groups = if kind == Kind::Bridge { 0..2 } else { 2..4 };
        for group in groups {
            self.answers[scaler][group][slot].points.clear();
        }
    }

    /// A window was answered.
    pub(super) fn answered(
        &mut self,
        scaler: usize,
        group: usize,
        slot: usize,
        end: i64,
        step: i64,
        points: &[(f64, f64)],
    ) {
        let answer = &mut self.answers[scaler][group][slot];
        (answer.end, answer.step) = (end, step);
        answer.points.clear();
        answer.points.extend_from_slice(points);
    }
}

impl Answer {
    /// The values of the newest `count` points of the grid, newest first.
    fn newest(&self, count: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        (0..count).map(|back| {
            let at = self.end - i64::try_from(back).unwrap_or(i64::MAX) * self.step;
            self.points.iter().find(|(then, _)| (then - at as f64).abs() < 0.5).map(|(_, value)| *value)
        })
    }

    /// Whether it lets `policy` wish for less.
    pub(super) fn speaks_for_less(&self, policy: &Policy, clocks: [i64; 2], tick: i64) -> bool {
        let stale = |now| now - self.end * SECOND > ONE_EVALUATION + tick + self.step * SECOND;
        if clocks.into_iter().all(stale) {
            return false;
        }
        if let Some(rule) = policy.rule(Direction::In) {
            let newest: Vec<_> = self.newest(rule.window.periods()).collect();
            let breaches = newest.iter().flatten().filter(|&&value| rule.when.holds(value)).count();
            return newest.first().copied().flatten().is_some() && breaches >= rule.window.breaching();
        }
        match policy.target_rule(Direction::In) {
            Some(rule) => self.newest(usize::from(rule.periods)).all(|point| point.is_some()),
            // It has no say in a scale-in.
            None => true,
        }
    }
}

impl World {
    pub(super) fn violated(&mut self, group: usize, what: String) {
        self.timeline.tell(self.now, Some(group), &[90], || format!("VIOLATION: {what}"));
        if self.judge.first.is_none() {
            self.judge.first = Some(Violation { at: self.now, group, what });
        }
    }

    /// An instance ends, or is beyond help from now on: what it carries is cut.
    pub(super) fn judge_end(&mut self, instance: usize) {
        let it = &self.instances[instance];
        if it.counted || !it.carries() {
            return;
        }
        let (group, kind, people, id) = (it.group, it.kind, it.people, it.id.clone());
        // What comes once the end of the host was asked for, no look shows before: a supervisor starts the component again, or
        // every other bridge fails, and Jicofo takes one that drains.
        let others_failed = self.all_crashed[it.group];
        let is_late = it.ending.is_some_and(|ending| {
            let ending = it.end_sent.map_or(ending, |sent| sent.min(ending));
            it.started > ending || (others_failed > ending && it.people > 0 && it.busy_since > ending)
        });
        let ours = it.taken_by == Some(Taker::Scaler) && !is_late;
        let what = match kind {
            Kind::Bridge => format!("{people} people were dropped with {id}"),
            Kind::Jibri => format!("a recording was cut with {id}"),
        };
        self.instances[instance].counted = true;
        if !ours {
            self.judge.figures.cut_by_others += 1;
            return;
        }
        if self.is_overdue(instance) {
            self.judge.figures.cut_overdue += 1;
            return;
        }
        match kind {
            Kind::Bridge => self.judge.tally.people_dropped += people,
            Kind::Jibri => self.judge.tally.recordings_cut += 1,
        }
        self.violated(group, what);
    }

    /// A desired capacity is about to be set.
    pub(super) fn judge_desired(&mut self, scaler: usize, group: usize, to: u32) {
        self.judge.figures.raised += 1;
        let it = &self.groups[group];
        let present = self.capacity(group, Some(scaler));
        if self.setting.weighted == Some(group) {
            self.judge.tally.limits_broken += 1;
            self.violated(group, format!("desired set to {to} where it counts weights"));
            return;
        }
        let (min, _) = self.setting.bounds[it.fleet];
        let max = self.ceiling(scaler, it.fleet);
        let Some(seen) = self.judge.seen[scaler][group] else { return };
        let floor = min.clamp(seen.min, seen.max.max(seen.min));
        let ceiling = max.clamp(seen.min, seen.max.max(seen.min));
        if to < floor || to > ceiling.max(floor) || to < seen.desired {
            self.judge.tally.limits_broken += 1;
            let what = format!("desired set to {to} within {floor} and {ceiling}, having seen {seen:?}");
            self.violated(group, what);
        } else if to < present {
            self.judge.figures.lowered_unawares += 1;
        }
    }

    /// Looks around every minute of the calm hours for what does not come to an end.
    pub(super) fn inspect(&mut self) {
        self.schedule(self.now + MINUTE, Event::Inspect);
        if self.now < self.calm + HOUR {
            return;
        }
        for group in 0..self.groups.len() {
            self.inspect_protection(group);
            if self.setting.weighted == Some(group) {
                continue;
            }
            let (short, excess, above) =
                if self.is_bridges(group) { self.bridges_needed(group) } else { self.jibris_needed(group) };
            let now = self.now;
            let lasts = |since: &mut Option<i64>, is: bool| {
                *since = is.then(|| since.unwrap_or(now));
                since.map_or(0, |since| now - since)
            };
            let short = lasts(&mut self.judge.short[group], short);
            let excess = lasts(&mut self.judge.excess[group], excess);
            let above = lasts(&mut self.judge.above[group], above);
            let lengths = [
                (short, SHORT, "too little capacity"),
                (excess, EXCESS, "too much capacity"),
                (above, ABOVE, "more capacity than its maximum"),
            ];
            for (length, most, words) in lengths {
                // Once, when the time is over.
                if (most..most + MINUTE).contains(&length) {
                    self.judge.tally.stuck += 1;
                    let what = format!("{words} for {} minutes", length / MINUTE);
                    self.violated(group, what);
                }
            }
        }
    }

    /// Whether nothing goes on in a group that would lower it. A group that holds more than it is asked to is waited
    /// for: somebody else lowered it while everything in it was protected, and AWS takes nothing.
    fn is_at_rest(&self, group: usize) -> bool {
        let it = &self.groups[group];
        let held = it.members.iter().filter(|&&it| self.instances[it].lifecycle.is_held()).count();
        let drains = it.tags.keys().any(|key| tags::is_drain(key));
        !drains && held <= self.capacity(group, None) as usize
    }

    /// Whether a group of bridges has too few of them, too many, or more than its maximum.
    fn bridges_needed(&self, group: usize) -> (bool, bool, bool) {
        let it = &self.groups[group];
        let (min, _) = self.setting.bounds[it.fleet];
        let max = self.setting.max(it.fleet, self.now);
        let serves = |member: &&usize| {
            let it = &self.instances[**member];
            let runs = it.lifecycle == Lifecycle::InService && it.process == Process::Running;
            runs && it.healthy && it.drain.is_none() && !it.graceful
        };
        let serving: Vec<_> = it.members.iter().filter(serves).collect();
        let people: u32 = serving.iter().map(|&&member| self.instances[member].people).sum();
        let count = u32::try_from(serving.len()).unwrap_or(u32::MAX);
        let stress = f64::from(people) / self.setting.bearable / f64::from(count);
        let desired = self.capacity(group, None);
        let full = desired >= max.min(it.max);
        let short = !full && (count == 0 || stress >= 0.6);
        let excess = count > min.max(it.min) && stress <= 0.3;
        // Not where the others would be too few.
        let above = desired > max
            && count > 1
            && f64::from(people) < 0.57 * self.setting.bearable * f64::from(count - 1);
        let may_shrink =
            self.is_at_rest(group) && !it.members.iter().any(|&it| self.instances[it].unreadable);
        (short, excess && may_shrink, above && may_shrink)
    }

    /// Likewise of Jibris.
    fn jibris_needed(&self, group: usize) -> (bool, bool, bool) {
        let it = &self.groups[group];
        let (min, _) = self.setting.bounds[it.fleet];
        let max = self.setting.max(it.fleet, self.now);
        let runs = |member: &&usize| {
            let it = &self.instances[**member];
            it.lifecycle == Lifecycle::InService
                && it.process == Process::Running
                && it.healthy
                && !it.graceful
        };
        let running: Vec<_> = it.members.iter().filter(runs).collect();
        let idle = running.iter().filter(|&&&it| self.instances[it].job == Job::Idle).count();
        let busy = running.len() - idle;
        let twins = running.iter().filter_map(|&&it| self.instances[it].twin);
        let (twins, idle_twins) = (twins.clone().count(), twins.filter(|it| it.job == Job::Idle).count());
        let desired = self.capacity(group, None);
        let full = desired >= max.min(it.max);
        let short = !full && idle + idle_twins < 2;
        let fewest = usize::try_from(min.max(it.min)).unwrap_or(usize::MAX);
        let spare = running.len() > fewest && running.len() > busy + 3 && idle > 3;
        let above = desired > max && idle >= 3;
        let may_shrink = self.is_at_rest(group) && twins == 0;
        (short, spare && may_shrink, above && may_shrink)
    }

    /// Looks at the end of a stretch for what was left behind.
    pub(super) fn judge_rest(&mut self) {
        let mut found = Vec::new();
        for (group, it) in self.groups.iter().enumerate() {
            // The window for it has been closed for hours.
            let may_end = it.members.iter().all(|&it| !self.instances[it].unreadable);
            if may_end && it.tags.contains_key("jitsi-scaler/recycling") {
                found.push((group, "the one more that was to recycle others never goes".to_owned()));
            }
            let packed = packed(&it.tags);
            for instance in self.instances.iter().filter(|it| it.group == group) {
                let id = &instance.id;
                let tagged = it.tags.contains_key(&tags::drain_key(id)) || packed.contains_key(id);
                let quiet = if instance.carries() { 0 } else { self.now - instance.empty_since };
                let serves = instance.lifecycle == Lifecycle::InService;
                let detached = instance.lifecycle == Lifecycle::Detached;
                // What cannot be seen empty stays until its hook lets go of it.
                let unseen = instance.unreadable || instance.twin.is_some();
                let ours = instance
                    .drain
                    .is_some_and(|(by, since)| by == Drainer::Scaler && self.now - since > HOUR);
                let what = if instance.lifecycle == Lifecycle::Terminated {
                    (tagged && self.now - instance.gone > 10 * MINUTE)
                        .then_some("is gone, and its tag is not")
                } else if tagged && serves && !unseen && quiet > DRAINING {
                    Some("is drained, empty, and never goes")
                } else if (serves || detached) && !tagged && ours {
                    Some("is left in drain mode by us, and no tag says so")
                } else if serves && !tagged && instance.process == Process::Exited && quiet > HOUR {
                    Some("has exited as it was asked to, and was forgotten")
                } else if instance.lifecycle == Lifecycle::TerminatingWait
                    && instance.process != Process::Gone
                    && !unseen
                    && quiet > HOUR
                {
                    Some("is empty, and the hook that holds it is never completed")
                } else {
                    None
                };
                if let Some(what) = what {
                    found.push((group, format!("{} {what}", instance.id)));
                }
            }
        }
        for (group, what) in found {
            self.judge.tally.stuck += 1;
            self.violated(group, what);
        }
    }
}
