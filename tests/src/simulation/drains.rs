//! The judge of drains that begin, and of what may not begin at all: while a group is paused, or during a refresh.
//!
//! Owns the same kind of verdicts as `judge`: from what Prometheus and AWS really told the scaler, and from the world.

use jitsi_scaler::cloud::tags;
use jitsi_scaler::decide::observation::DrainState;
use jitsi_scaler::units::Time;

use super::cloud::Lifecycle;
use super::component::Drainer;
use super::judge::ONE_EVALUATION;
use super::orders::{packed, told};
use super::world::{SECOND, World};

impl World {
    /// A tag of several drains is about to be written or removed: each that it gains is judged as if it had a tag of its
    /// own, and none that it loses may still drain.
    pub(super) fn judge_pack(&mut self, scaler: usize, group: usize, key: &str, value: Option<&str>) {
        let mut after = self.groups[group].tags.clone();
        let before = packed(&after);
        match value {
            Some(value) => drop(after.insert(key.to_owned(), value.to_owned())),
            None => drop(after.remove(key)),
        }
        let (after, singles) = (packed(&after), &self.groups[group].tags);
        let lost = before.keys().filter(|id| !after.contains_key(*id));
        let lost: Vec<_> = lost.map(tags::drain_key).filter(|key| !singles.contains_key(key)).collect();
        for (id, drain) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
            self.judge_tag(scaler, group, &tags::drain_key(id), &tags::drain_value(*drain, None));
        }
        for instance in lost.iter().filter_map(|key| self.drain_of(key)).collect::<Vec<_>>() {
            let it = &self.instances[instance];
            let by_scaler = it.drain.is_some_and(|(by, _)| by == Drainer::Scaler);
            if it.lifecycle == Lifecycle::InService && it.is_alive() && by_scaler {
                self.judge.tally.stuck += 1;
                let what = format!("{} drains, and {key} = {value:?} forgets that", it.id);
                self.violated(group, what);
            }
        }
    }

    /// A tag is about to be written: does it begin a drain, and may it?
    pub(super) fn judge_tag(&mut self, scaler: usize, group: usize, key: &str, value: &str) {
        let Some(instance) = self.drain_of(key) else { return };
        let lifecycle = self.instances[instance].lifecycle;
        // A second scaler may be at the end of a drain that the first one has just ended.
        let is_over = matches!(lifecycle, Lifecycle::Terminating | Lifecycle::Terminated);
        let was_ordered = self.tag_of(instance).is_some_and(|drain| drain.state == DrainState::Ordered);
        if (self.is_tagged(instance) && !was_ordered) || is_over {
            return;
        }
        // What takes a drain back begins none: a slower scaler may write so once more when the tag is gone already.
        let mut words = value.split(' ');
        // An order begins none either.
        if matches!(words.clone().nth(1), Some("returning" | "ordered")) {
            return;
        }
        let since = words.next().and_then(Time::parse).map_or(0, |since| since.unix() * SECOND);
        let purpose = words.nth(1).unwrap_or_default();
        let longest = ONE_EVALUATION + self.tempo_length();
        if self.recent_clocks(scaler).into_iter().all(|now| (now - since).abs() > longest) {
            // It goes on with one that the other has taken back meanwhile; from nowhere it cannot come.
            if self.now - self.instances[instance].untagged > longest {
                self.judge.tally.unseen_scale_ins += 1;
                self.violated(group, format!("a drain goes on ({key} = {value}) that never began"));
            }
            return;
        }
        if lifecycle == Lifecycle::InService && purpose != "hook" {
            self.judge_victim(instance, key, purpose);
        }
        if told(key, value).is_some_and(|drain| drain.by_operator) && lifecycle == Lifecycle::InService {
            self.judge_ordered(scaler, group, key, purpose);
            return;
        }
        match (purpose, lifecycle) {
            ("hook", Lifecycle::TerminatingWait) => {}
            ("hook", _) => {
                self.judge.tally.unseen_scale_ins += 1;
                self.violated(group, format!("a drain began ({key}) as if a hook held it"));
            }
            (_, Lifecycle::TerminatingWait) => {}
            ("replace", _) => self.judge_replaces(scaler, group, instance),
            ("recycle", _) => {
                self.judge_lowers(scaler, group, key, true);
            }
            _ => {
                // Above its maximum a group shrinks whatever the policies say.
                let draining = self.judge_lowers(scaler, group, key, false);
                let ceiling = self.least_max(scaler, self.groups[group].fleet);
                let is_above = self
                    .judge
                    .care
                    .seen(scaler, group)
                    .is_some_and(|seen| seen.desired + 1 > ceiling.min(seen.max) + draining);
                self.judge.figures.drains += 1;
                if !is_above {
                    self.judge_windows(scaler, group, key);
                }
                self.judge_refresh(scaler, group, key);
            }
        }
    }

    /// A drain begins that an operator ordered: no policy and no cooldown need call for it, and the limits hold.
    fn judge_ordered(&mut self, scaler: usize, group: usize, key: &str, purpose: &str) {
        match purpose {
            "scale-in" => {
                self.judge_lowers(scaler, group, key, false);
                self.judge_refresh(scaler, group, key);
            }
            "replace" => self.judge_refresh(scaler, group, key),
            "keep" if self.is_bridges(group) => {}
            _ => {
                self.judge.tally.unseen_scale_ins += 1;
                self.violated(group, format!("a drain began ({key}) that no operator can order"));
            }
        }
    }

    /// What the clock of a scaler shows, and what it would show without its newest step.
    pub(super) fn recent_clocks(&self, scaler: usize) -> [i64; 2] {
        let clock = self.clocks[scaler];
        let now = self.clock(scaler);
        [now, now - clock.off + clock.before]
    }

    /// An instance in service is to be drained: it must be one that can be seen empty, all of it.
    fn judge_victim(&mut self, instance: usize, key: &str, purpose: &str) {
        let it = &self.instances[instance];
        let group = it.group;
        let what = match (it.twin, it.unreadable) {
            (Some(_), _) => "carries a second Jibri",
            (_, true) if purpose != "replace" => "never says whether it is empty",
            _ if self.setting.weighted == Some(group) => "counts for several in its group",
            _ => return,
        };
        self.judge.tally.unseen_scale_ins += 1;
        self.violated(group, format!("a drain began ({key}) of an instance that {what}"));
    }

    /// The largest capacity that the configuration allows a fleet, by the clocks of a scaler around now.
    pub(super) fn ceiling(&self, scaler: usize, fleet: usize) -> u32 {
        self.maxima(scaler, fleet).into_iter().max().unwrap_or(0)
    }

    /// Likewise the least.
    fn least_max(&self, scaler: usize, fleet: usize) -> u32 {
        self.maxima(scaler, fleet).into_iter().min().unwrap_or(0)
    }

    fn maxima(&self, scaler: usize, fleet: usize) -> [u32; 4] {
        let [now, before] = self.recent_clocks(scaler);
        let earlier = ONE_EVALUATION + self.tempo_length();
        [now, before, now - earlier, before - earlier].map(|at| self.setting.max(fleet, at))
    }

    /// A scale-in begins: no instance refresh may be in progress, as far as the scaler was told.
    fn judge_refresh(&mut self, scaler: usize, group: usize, key: &str) {
        let told = self.judge.unrefreshed(scaler, group);
        if told.is_none_or(|at| self.now - at > ONE_EVALUATION) {
            self.judge.tally.unseen_scale_ins += 1;
            let what = format!("a drain began ({key}) although a refresh may be in progress");
            self.violated(group, what);
        }
    }

    /// Whether a scaler has seen the group paused.
    pub(super) fn saw_pause(&self, scaler: usize, group: usize) -> bool {
        let looked = self.judge.care.seen(scaler, group).is_some_and(|seen| seen.paused);
        looked || self.judge.seen(scaler, group).is_some_and(|seen| seen.paused)
    }

    /// A change of a group or of a component in it: none may come that was sent after the scaler `saw` the group paused.
    /// Where the pause has just ended, another look may have shown it once more.
    pub(super) fn judge_pause(&mut self, saw: bool, group: usize, what: &str) {
        if saw && self.groups[group].tags.contains_key(tags::PAUSED) {
            self.judge.tally.limits_broken += 1;
            self.violated(group, format!("{what} although the group is paused"));
        }
    }

    /// Whether the windows of all policies let a drain begin.
    fn judge_windows(&mut self, scaler: usize, group: usize, key: &str) {
        let (clocks, tick) = (self.recent_clocks(scaler), self.tempo_length());
        let policies = &self.setting.config.fleets[self.groups[group].fleet].policy.policies;
        let unseen = policies.iter().enumerate().find(|(slot, policy)| {
            !self.judge.answer(scaler, group, *slot).speaks_for_less(policy, clocks, tick)
        });
        if let Some((slot, policy)) = unseen {
            let answer = self.judge.answer(scaler, group, slot);
            let what = format!("a drain began ({key}) although {} said only {answer:?}", policy.name);
            self.judge.tally.unseen_scale_ins += 1;
            self.violated(group, what);
        }
    }
}
