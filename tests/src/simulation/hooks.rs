//! Terminating hooks as AWS runs them: what they hold, for how long, and what ends that.
//!
//! Owns the hold. Its default result is of no account: ABANDON and CONTINUE both end the instance. Sources: the API
//! reference of PutLifecycleHook and RecordLifecycleActionHeartbeat, and the user guide on terminating hooks.

use super::cloud::{Lifecycle, Taker};
use super::component::Process;
use super::setting::Hook;
use super::world::{Event, World};

/// An instance that its hook holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    /// When it is let go at the latest, whatever anybody says.
    pub(super) limit: i64,
    /// How often it was renewed.
    renewal: u32,
    /// When that was last.
    pub(super) renewed: i64,
    /// How often a scaler has since seen that it is held, at a time when it should have been renewed.
    pub(super) seen: u32,
    /// When that was first.
    pub(super) first_seen: i64,
    /// Whether anything has since failed that a heartbeat needs: the call, the look at the hook, or the scaler.
    pub(super) excused: bool,
}

/// The part of a heartbeat's time after which the next one is due. Source: the README.
const DUE: i64 = 3;

impl World {
    /// The hook of the group of an instance.
    pub(super) fn hook_of(&self, instance: usize) -> Option<Hook> {
        self.groups[self.instances[instance].group].hook
    }

    /// Takes an instance out; a hook may hold it for a while.
    pub(super) fn terminate(&mut self, instance: usize, taker: Taker) {
        if self.azure.is_some() {
            return self.delete(instance, taker, None);
        }
        let it = &mut self.instances[instance];
        if !it.lifecycle.is_held() {
            return;
        }
        it.taken_by = Some(taker);
        self.tell(instance, 13, |_| format!("is terminated by {taker:?}"));
        match self.hook_of(instance).filter(|_| self.instances[instance].lifecycle == Lifecycle::InService) {
            Some(hook) => self.hold(instance, hook),
            None => self.switch_off(instance),
        }
    }

    fn hold(&mut self, instance: usize, hook: Hook) {
        let now = self.now;
        let it = &mut self.instances[instance];
        it.lifecycle = Lifecycle::TerminatingWait;
        it.hold = Some(Hold {
            limit: now + hook.limit,
            renewal: 0,
            renewed: now,
            seen: 0,
            first_seen: 0,
            excused: false,
        });
        self.judge.figures.hooks_held += 1;
        self.schedule(now + hook.heartbeat, Event::HookExpires(instance, 0));
    }

    /// Somebody ends the machine itself. Auto Scaling learns of it afterwards, and a hook holds what is left.
    pub(super) fn end_host(&mut self, instance: usize, taker: Taker) {
        if self.instances[instance].process == Process::Gone {
            return;
        }
        self.instances[instance].taken_by = Some(taker);
        self.judge_end(instance);
        self.lose_host(instance);
        match self.instances[instance].lifecycle {
            Lifecycle::TerminatingWait => {}
            Lifecycle::InService if self.hook_of(instance).is_some() => self.terminate(instance, taker),
            _ => self.host_gone(instance),
        }
    }

    pub(super) fn hook_expires(&mut self, instance: usize, renewal: u32) {
        let it = &self.instances[instance];
        let Some(hold) = it.hold.filter(|hold| hold.renewal == renewal) else { return };
        if it.lifecycle != Lifecycle::TerminatingWait {
            return;
        }
        self.judge_expiry(instance, hold);
        self.switch_off(instance);
    }

    /// A heartbeat of a hook: whether it holds the instance at all.
    pub(super) fn heartbeat(&mut self, instance: usize) -> bool {
        let now = self.now;
        let hook = self.hook_of(instance);
        let it = &mut self.instances[instance];
        let (Some(hook), Some(hold), Lifecycle::TerminatingWait) = (hook, &mut it.hold, it.lifecycle) else {
            return false;
        };
        *hold = Hold { renewal: hold.renewal + 1, renewed: now, seen: 0, excused: false, ..*hold };
        let (renewal, limit) = (hold.renewal, hold.limit);
        self.judge.figures.heartbeats += 1;
        self.schedule((now + hook.heartbeat).min(limit), Event::HookExpires(instance, renewal));
        true
    }

    /// A scaler looks at a group and is told what is held.
    pub(super) fn seen_held(&mut self, group: usize) {
        let (now, Some(hook)) = (self.now, self.groups[group].hook) else { return };
        for &member in &self.groups[group].members {
            let it = &mut self.instances[member];
            if let (Some(hold), Lifecycle::TerminatingWait) = (&mut it.hold, it.lifecycle)
                && now - hold.renewed >= hook.heartbeat / DUE
            {
                if hold.seen == 0 {
                    hold.first_seen = now;
                }
                hold.seen += 1;
            }
        }
    }

    /// Something failed that a heartbeat of these instances needs.
    pub(super) fn excuse(&mut self, concerned: impl Fn(usize) -> bool) {
        for (index, it) in self.instances.iter_mut().enumerate() {
            if let (Some(hold), Lifecycle::TerminatingWait) = (&mut it.hold, it.lifecycle)
                && concerned(index)
            {
                hold.excused = true;
            }
        }
    }
}
