//! The behaviour of a group over time: launches, hooks, health, victims.
//!
//! `Group::step` performs what is due at the given time; it never waits. Effects on other systems go to the ledger.

use super::ledger::{Effect, Ledger};
use super::model::{
    ActionResult, Activity, ActivityStatus, Cause, Group, Instance, Lifecycle, Process, Transition, Wait,
};
use crate::cloud_parts::time::to_second;

/// The number of activities that a group keeps. The service keeps six weeks of them; a page has a hundred, and no test
/// reads more than a few pages.
const ACTIVITIES_KEPT: usize = 1_000;

impl Group {
    pub(super) fn step(&mut self, now: f64, ledger: &mut Ledger) {
        self.expire_waits(now, ledger);
        self.advance(now, ledger);
        self.replace_unhealthy(now, ledger);
        self.replace_aged(now, ledger);
        self.launch_missing(now, ledger);
        self.terminate_surplus(now, ledger);
    }

    /// Ends expired lifecycle actions, with the default result of their hook.
    fn expire_waits(&mut self, now: f64, ledger: &mut Ledger) {
        let due: Vec<(String, Wait)> = self
            .instances
            .iter()
            .flat_map(|instance| instance.waits.iter().map(|wait| (instance.id.clone(), wait.clone())))
            .filter(|(_, wait)| now >= wait.deadline.min(wait.global_deadline))
            .collect();
        for (instance, wait) in due {
            let result = self.hooks.get(&wait.hook).map_or(ActionResult::Abandon, |hook| hook.default_result);
            self.end_wait(&instance, &wait, result, "Heartbeat Timeout", now, ledger);
        }
    }

    /// Ends one lifecycle action. The next step applies its result to the instance.
    pub(super) fn end_wait(
        &mut self,
        instance: &str,
        wait: &Wait,
        result: ActionResult,
        why: &str,
        now: f64,
        ledger: &mut Ledger,
    ) {
        let Some(at) = self.instances.iter().position(|other| other.id == instance) else { return };
        let held = &mut self.instances[at];
        held.waits.retain(|other| other.token != wait.token);
        if result == ActionResult::Continue {
            return;
        }
        held.waits.clear();
        if held.state.is_leaving() {
            return;
        }
        let message = format!(
            "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {} was \
             abandoned: {why}",
            wait.token
        );
        self.finish_activity(self.instances[at].activity, ActivityStatus::Cancelled, Some(message), now);
        let cause = format!(
            "At {} an instance was taken out of service in response to a launch failure.",
            to_second(now)
        );
        self.begin_termination(at, Cause::LaunchAbandoned, cause, Hooks::Skip, now, ledger);
    }

    /// Moves each instance to its next state when that is due.
    fn advance(&mut self, now: f64, ledger: &mut Ledger) {
        for at in (0..self.instances.len()).rev() {
            let instance = &self.instances[at];
            let elapsed = now - instance.since;
            match instance.state {
                Lifecycle::Pending if elapsed >= self.timing.launch => self.after_launch(at, now, ledger),
                Lifecycle::PendingWait if instance.waits.is_empty() => {
                    self.enter(at, Lifecycle::PendingProceed, now);
                }
                Lifecycle::PendingProceed => self.begin_service(at, now),
                Lifecycle::Terminating if !instance.waits.is_empty() => {
                    self.enter(at, Lifecycle::TerminatingWait, now);
                    let activity = self.instances[at].activity;
                    self.update_activity(activity, ActivityStatus::MidLifecycleAction, 60);
                }
                Lifecycle::Terminating if !instance.stopped => self.proceed(at, now, ledger),
                Lifecycle::TerminatingWait if instance.waits.is_empty() => self.proceed(at, now, ledger),
                Lifecycle::Terminating | Lifecycle::TerminatingProceed
                    if elapsed >= self.timing.terminate =>
                {
                    let gone = self.instances.remove(at);
                    self.finish_activity(gone.activity, ActivityStatus::Successful, None, now);
                    ledger.counters.gone += 1;
                }
                _ => {}
            }
        }
    }

    fn after_launch(&mut self, at: usize, now: f64, ledger: &mut Ledger) {
        let waits = self.waits_for(Transition::Launching, now, ledger);
        if waits.is_empty() {
            return self.begin_service(at, now);
        }
        self.instances[at].waits = waits;
        self.enter(at, Lifecycle::PendingWait, now);
        self.update_activity(self.instances[at].activity, ActivityStatus::MidLifecycleAction, 60);
    }

    fn begin_service(&mut self, at: usize, now: f64) {
        self.enter(at, Lifecycle::InService, now);
        self.instances[at].in_service = Some(now);
        self.finish_activity(self.instances[at].activity, ActivityStatus::Successful, None, now);
    }

    /// No hook holds the instance any longer: shuts it down.
    fn proceed(&mut self, at: usize, now: f64, ledger: &mut Ledger) {
        self.enter(at, Lifecycle::TerminatingProceed, now);
        self.update_activity(self.instances[at].activity, ActivityStatus::InProgress, 90);
        self.shut_down(at, ledger);
    }

    fn enter(&mut self, at: usize, state: Lifecycle, now: f64) {
        self.instances[at].state = state;
        self.instances[at].since = now;
    }

    fn waits_for(&self, transition: Transition, now: f64, ledger: &mut Ledger) -> Vec<Wait> {
        let wait = |(name, hook): (&String, &super::model::Hook)| Wait {
            hook: name.clone(),
            token: ledger.ids.uuid(),
            deadline: now + f64::from(hook.heartbeat_timeout),
            global_deadline: now + f64::from(hook.global_timeout()),
        };
        self.hooks.iter().filter(|(_, hook)| hook.transition == transition).map(wait).collect()
    }

    fn replace_unhealthy(&mut self, now: f64, ledger: &mut Ledger) {
        if self.is_suspended(Process::ReplaceUnhealthy) || self.is_suspended(Process::Terminate) {
            return;
        }
        while let Some(at) = self
            .instances
            .iter()
            .position(|instance| !instance.healthy && instance.state == Lifecycle::InService)
        {
            let cause = format!(
                "At {} an instance was taken out of service in response to a user health-check.",
                to_second(now)
            );
            self.begin_termination(at, Cause::Unhealthy, cause, Hooks::Run, now, ledger);
        }
    }

    /// Replaces instances older than the group permits, one at a time.
    fn replace_aged(&mut self, now: f64, ledger: &mut Ledger) {
        let lifetime = self.settings.max_instance_lifetime;
        let settled = self.instances.iter().all(|instance| instance.state == Lifecycle::InService);
        if lifetime == 0 || !settled || self.is_suspended(Process::Terminate) {
            return;
        }
        if let Some(at) =
            self.instances.iter().position(|instance| now - instance.launched > f64::from(lifetime))
        {
            let cause = format!(
                "At {} an instance was taken out of service in response to its maximum lifetime.",
                to_second(now)
            );
            self.begin_termination(at, Cause::Lifetime, cause, Hooks::Run, now, ledger);
        }
    }

    fn launch_missing(&mut self, now: f64, ledger: &mut Ledger) {
        if self.deleting || self.is_suspended(Process::Launch) || now < self.launch_after {
            return;
        }
        while self.active() < self.wanted() {
            let zone = self.emptiest_zone();
            if self.launch_failures.left > 0 {
                self.launch_failures.left -= 1;
                self.fail_launch(zone, now, ledger);
                return;
            }
            self.launch(zone, now, ledger);
        }
    }

    fn wanted(&self) -> usize {
        let instances = self.settings.desired.div_ceil(self.weight.unwrap_or(1).max(1));
        usize::try_from(instances).unwrap_or(usize::MAX)
    }

    fn emptiest_zone(&self) -> String {
        let here = |zone: &String| {
            self.instances.iter().filter(|other| other.zone == *zone && !other.state.is_leaving()).count()
        };
        self.settings.zones.iter().min_by_key(|zone| here(zone)).cloned().unwrap_or_default()
    }

    fn launch(&mut self, zone: String, now: f64, ledger: &mut Ledger) {
        let id = ledger.ids.instance(&self.key);
        let activity = self.open_activity(
            format!("Launching a new EC2 instance: {id}"),
            self.launch_cause(now),
            zone.clone(),
            now,
            ledger,
        );
        self.update_activity(activity, ActivityStatus::PreInService, 30);
        ledger.counters.launched += 1;
        ledger.effects.push(Effect::Launched {
            group: self.key.clone(),
            instance: id.clone(),
            component: self.component,
            zone: zone.clone(),
            boot_seconds: self.timing.boot,
        });
        self.instances.push(Instance {
            id,
            zone,
            state: Lifecycle::Pending,
            since: now,
            healthy: true,
            protected: self.settings.new_instances_protected,
            launched: now,
            in_service: None,
            private_ip: None,
            waits: Vec::new(),
            cause: None,
            stopped: false,
            activity,
        });
    }

    fn fail_launch(&mut self, zone: String, now: f64, ledger: &mut Ledger) {
        self.launch_after = now + self.timing.launch_retry;
        ledger.counters.launch_failures += 1;
        let message =
            self.launch_failures.message.clone().unwrap_or_else(|| self.insufficient_capacity(&zone));
        let activity = self.open_activity(
            format!("Launching a new EC2 instance.  Status Reason: {message}"),
            self.launch_cause(now),
            zone,
            now,
            ledger,
        );
        self.finish_activity(activity, ActivityStatus::Failed, Some(message), now);
    }

    fn insufficient_capacity(&self, zone: &str) -> String {
        let kind = &self.settings.instance_type;
        let others: Vec<&str> =
            self.settings.zones.iter().map(String::as_str).filter(|other| *other != zone).collect();
        format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you requested \
             ({zone}). Our system will be working on provisioning additional capacity. You can currently get \
             {kind} capacity by not specifying an Availability Zone in your request or choosing {}. \
             Launching EC2 instance failed.",
            others.join(", ")
        )
    }

    fn launch_cause(&self, now: f64) -> String {
        let active = self.active();
        format!(
            "{}At {} an instance was started in response to a difference between desired and actual \
             capacity, increasing the capacity from {active} to {}.",
            self.request_prefix(),
            to_second(now),
            active + 1
        )
    }

    fn request_prefix(&self) -> String {
        self.request.as_deref().map(|request| format!("{request}  ")).unwrap_or_default()
    }

    /// Desired capacity is below the number of instances: the service chooses a victim.
    fn terminate_surplus(&mut self, now: f64, ledger: &mut Ledger) {
        if self.active() <= self.wanted() {
            self.told_protected = false;
            if self.active() == self.wanted() {
                self.request = None;
            }
            return;
        }
        if self.is_suspended(Process::Terminate) {
            return;
        }
        while self.active() > self.wanted() {
            let Some(at) = self.victim() else { return self.tell_protected(now, ledger) };
            let active = self.active();
            let cause = format!(
                "{}At {when} an instance was taken out of service in response to a difference between \
                 desired and actual capacity, shrinking the capacity from {active} to {}.  At {when} \
                 instance {} was selected for termination.",
                self.request_prefix(),
                active - 1,
                self.instances[at].id,
                when = to_second(now),
            );
            self.begin_termination(at, Cause::Victim, cause, Hooks::Run, now, ledger);
        }
    }

    /// From the fullest zone that has an unprotected instance, the oldest.
    fn victim(&self) -> Option<usize> {
        let in_zone = |zone: &str| {
            self.instances.iter().filter(|other| other.zone == zone && !other.state.is_leaving()).count()
        };
        self.instances
            .iter()
            .enumerate()
            .filter(|(_, instance)| instance.state == Lifecycle::InService && !instance.protected)
            .min_by_key(|(at, instance)| (std::cmp::Reverse(in_zone(&instance.zone)), *at))
            .map(|(at, _)| at)
    }

    /// Records once that protection keeps the group above its desired capacity.
    fn tell_protected(&mut self, now: f64, ledger: &mut Ledger) {
        let all_serve = self.instances.iter().all(|instance| instance.state == Lifecycle::InService);
        if self.told_protected || !all_serve {
            return;
        }
        self.told_protected = true;
        let message = "Could not scale to desired capacity because all remaining instances are protected \
                       from scale in.";
        let cause = format!("{}At {} no instance could be selected.", self.request_prefix(), to_second(now));
        let activity =
            self.open_activity("Terminating EC2 instances".into(), cause, String::new(), now, ledger);
        self.finish_activity(activity, ActivityStatus::Failed, Some(message.into()), now);
    }

    /// Terminates an instance. A terminating hook holds it first; without one it is shut down at once.
    pub(super) fn begin_termination(
        &mut self,
        at: usize,
        cause: Cause,
        text: String,
        hooks: Hooks,
        now: f64,
        ledger: &mut Ledger,
    ) -> u64 {
        if matches!(self.instances[at].state, Lifecycle::Pending | Lifecycle::PendingWait)
            && cause != Cause::LaunchAbandoned
        {
            self.finish_activity(self.instances[at].activity, ActivityStatus::Cancelled, None, now);
        }
        let waits = match hooks {
            Hooks::Run => self.waits_for(Transition::Terminating, now, ledger),
            Hooks::Skip => Vec::new(),
        };
        let (id, zone) = (self.instances[at].id.clone(), self.instances[at].zone.clone());
        let activity = self.open_activity(format!("Terminating EC2 instance: {id}"), text, zone, now, ledger);
        ledger.counters.terminated(cause);
        self.enter(at, Lifecycle::Terminating, now);
        let instance = &mut self.instances[at];
        instance.cause = Some(cause);
        instance.activity = activity;
        instance.waits = waits;
        if instance.waits.is_empty() {
            self.shut_down(at, ledger);
        }
        activity
    }

    /// Announces that the instance stops now. Repeating it is harmless.
    pub(super) fn shut_down(&mut self, at: usize, ledger: &mut Ledger) {
        let instance = &mut self.instances[at];
        if !std::mem::replace(&mut instance.stopped, true) {
            ledger.effects.push(Effect::Stopped {
                group: self.key.clone(),
                instance: instance.id.clone(),
                component: self.component,
                cause: instance.cause.unwrap_or(Cause::Aws),
            });
        }
    }

    fn open_activity(
        &mut self,
        description: String,
        cause: String,
        zone: String,
        now: f64,
        ledger: &mut Ledger,
    ) -> u64 {
        let id = ledger.ids.uuid();
        let sequence = ledger.ids.sequence();
        if self.activities.len() >= ACTIVITIES_KEPT {
            self.activities.pop_front();
        }
        self.activities.push_back(Activity {
            sequence,
            id,
            description,
            cause,
            start: now,
            end: None,
            status: ActivityStatus::InProgress,
            message: None,
            progress: 0,
            zone,
        });
        sequence
    }

    fn update_activity(&mut self, sequence: u64, status: ActivityStatus, progress: u8) {
        if let Some(activity) = self.activities.iter_mut().rev().find(|other| other.sequence == sequence) {
            activity.status = status;
            activity.progress = progress;
        }
    }

    fn finish_activity(&mut self, sequence: u64, status: ActivityStatus, message: Option<String>, now: f64) {
        self.last_activity_end = Some(now);
        if let Some(activity) = self.activities.iter_mut().rev().find(|other| other.sequence == sequence) {
            if let (Some(message), false) = (&message, activity.description.contains("Status Reason")) {
                activity.description = format!("{}.  Status Reason: {message}", activity.description);
            }
            activity.status = status;
            activity.progress = 100;
            activity.message = message;
            activity.end = Some(now);
        }
    }
}

/// Whether terminating hooks hold the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hooks {
    /// They hold it.
    Run,
    /// They do not: the launch was abandoned, the group is deleted by force, or the host was lost.
    Skip,
}
