//! The core: all groups, the operations of callers, and the passing of time.
//!
//! Synchronous, with the time as an argument: it has no socket, task, clock or log. It collects effects on other
//! systems, which the caller takes and performs.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

use super::error::{ApiError, ErrorCode};
use super::ledger::{Counters, Cuts, Effect, Ledger};
use super::model::{
    ActionResult, Activity, Cause, Group, GroupKey, Hook, Instance, LaunchFailures, Lifecycle, Process,
    Refresh, Settings, Tag, Timing, Wait,
};
use super::spec::{GroupChange, GroupSpec};
use super::step::Hooks;
use super::writes::{TagWrite, check_tags, put_hooks, put_tags};
use crate::cloud_parts::time::to_second;

/// The groups of all regions, read-only. A clone is a cheap snapshot.
#[derive(Debug, Clone, Default)]
pub struct Groups(BTreeMap<GroupKey, Arc<Group>>);

impl Groups {
    /// The group `name` in `region`.
    pub fn get(&self, region: &str, name: &str) -> Result<&Group, ApiError> {
        let group = self.0.get(&GroupKey::new(region, name)).map(Deref::deref);
        group.ok_or_else(|| ApiError::no_such_group(name))
    }

    /// The groups of one region, by name.
    pub fn of_region<'a>(&'a self, region: &'a str) -> impl Iterator<Item = &'a Group> {
        self.all().filter(move |group| group.key.region == region)
    }

    /// Every group, by region and name.
    pub fn all(&self) -> impl Iterator<Item = &Group> {
        self.0.values().map(Deref::deref)
    }

    /// The group of an instance, and the instance.
    #[must_use]
    pub fn instance(&self, region: &str, id: &str) -> Option<(&Group, &Instance)> {
        let mut of_region = self.all().filter(|group| group.key.region == region);
        of_region.find_map(|group| Some((group, group.instance(id)?)))
    }

    fn get_mut(&mut self, key: &GroupKey) -> Result<&mut Group, ApiError> {
        self.0.get_mut(key).map(Arc::make_mut).ok_or_else(|| ApiError::no_such_group(&key.name))
    }
}

/// The name of a lifecycle action: its token, or the instance that it holds.
#[derive(Debug, Clone, Copy)]
pub enum ActionOf<'a> {
    /// The token.
    Token(&'a str),
    /// The instance.
    Instance(&'a str),
}

/// EC2 Auto Scaling, without the network in front of it.
#[derive(Debug, Clone)]
pub struct Cloud {
    groups: Groups,
    usual_timing: Timing,
    ledger: Ledger,
}

impl Cloud {
    /// An empty account. The seed determines all IDs; `timing` applies to groups without their own.
    #[must_use]
    pub fn new(seed: u64, timing: Timing) -> Self {
        Self { groups: Groups::default(), usual_timing: timing, ledger: Ledger::new(seed) }
    }

    /// The groups, read-only.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The counters so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.ledger.counters
    }

    /// The effects on other systems, oldest first. Returns each effect once.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.ledger.effects)
    }

    /// Advances the time to `now`.
    pub fn step(&mut self, now: f64) {
        for group in self.groups.0.values_mut() {
            Arc::make_mut(group).step(now, &mut self.ledger);
        }
        self.groups.0.retain(|_, group| !(group.deleting && group.instances.is_empty()));
    }

    /// CreateAutoScalingGroup.
    pub fn create_group(
        &mut self,
        key: &GroupKey,
        change: GroupChange,
        tags: Vec<TagWrite>,
        hooks: BTreeMap<String, Hook>,
        now: f64,
    ) -> Result<(), ApiError> {
        if self.groups.0.contains_key(key) {
            return Err(ApiError::new(
                ErrorCode::AlreadyExists,
                format!(
                    "AutoScalingGroup by this name already exists - A group with the name {} already exists",
                    key.name
                ),
            ));
        }
        let settings = change.create(&key.region)?;
        let request = format!(
            "At {} a user request created an AutoScalingGroup changing the desired capacity from 0 to {}.",
            to_second(now),
            settings.desired
        );
        let arn = format!(
            "arn:aws:autoscaling:{}:123456789012:autoScalingGroup:{}:autoScalingGroupName/{}",
            key.region,
            self.ledger.ids.uuid(),
            key.name
        );
        let mut group = Group {
            key: key.clone(),
            arn,
            created: now,
            component: None,
            settings,
            timing: self.usual_timing,
            tags: BTreeMap::new(),
            instances: Vec::new(),
            suspended: BTreeMap::new(),
            hooks: BTreeMap::new(),
            activities: VecDeque::new(),
            refreshes: Vec::new(),
            policies: Vec::new(),
            scheduled_actions: Vec::new(),
            warm_pool: false,
            weight: None,
            capacity_type: None,
            launch_failures: LaunchFailures::default(),
            deleting: false,
            launch_after: now,
            last_activity_end: None,
            request: Some(request),
            told_protected: false,
        };
        check_tags(&tags)?;
        put_tags(&mut group, tags)?;
        put_hooks(&mut group, hooks)?;
        self.groups.0.insert(key.clone(), Arc::new(group));
        Ok(())
    }

    /// UpdateAutoScalingGroup.
    pub fn update_group(&mut self, key: &GroupKey, change: GroupChange, now: f64) -> Result<(), ApiError> {
        let group = self.groups.get_mut(key)?;
        let before = group.settings.desired;
        group.settings = change.update(group.settings.clone())?;
        let after = &group.settings;
        if after.desired != before {
            group.request = Some(format!(
                "At {} a user request update of AutoScalingGroup constraints to min: {}, max: {}, desired: \
                 {} changing the desired capacity from {before} to {}.",
                to_second(now),
                after.min,
                after.max,
                after.desired,
                after.desired
            ));
        }
        Ok(())
    }

    /// DeleteAutoScalingGroup. A forced deletion runs no hooks.
    pub fn delete_group(&mut self, key: &GroupKey, force: bool, now: f64) -> Result<(), ApiError> {
        let Self { groups, ledger, .. } = self;
        let group = groups.get_mut(key)?;
        if !force && !group.instances.is_empty() {
            let (code, text) = if group.active() == 0 {
                (
                    ErrorCode::ScalingActivityInProgress,
                    "You cannot delete an AutoScalingGroup while there are scaling activities in progress \
                     for that group.",
                )
            } else {
                (
                    ErrorCode::ResourceInUse,
                    "You cannot delete an AutoScalingGroup while there are instances or pending Spot \
                     instance request(s) still in the group.",
                )
            };
            return Err(ApiError::new(code, text));
        }
        group.deleting = true;
        (group.settings.min, group.settings.desired) = (0, 0);
        for at in 0..group.instances.len() {
            group.instances[at].waits.clear();
            if !group.instances[at].state.is_leaving() {
                let text = format!("At {} a user request deleted the AutoScalingGroup.", to_second(now));
                group.begin_termination(at, Cause::GroupDeleted, text, Hooks::Skip, now, ledger);
            }
        }
        if group.instances.is_empty() {
            groups.0.remove(key);
        }
        Ok(())
    }

    /// Creates the group, or gives an existing one these settings and keeps its instances.
    pub fn put_group(&mut self, key: &GroupKey, spec: &GroupSpec, now: f64) -> Result<(), ApiError> {
        // Works on a copy first, so that a refused replacement changes nothing.
        let mut tried = self.clone();
        if tried.groups.0.contains_key(key) {
            tried.update_group(key, spec.change(), now)?;
        } else {
            tried.create_group(key, spec.change(), Vec::new(), BTreeMap::new(), now)?;
        }
        let timing = spec.timing(self.usual_timing);
        let group = tried.groups.get_mut(key)?;
        group.deleting = false;
        group.component = spec.component;
        group.timing = timing;
        group.policies.clone_from(&spec.policies);
        group.scheduled_actions.clone_from(&spec.scheduled_actions);
        group.warm_pool = spec.warm_pool;
        group.weight = spec.weight;
        group.capacity_type.clone_from(&spec.capacity_type);
        group.suspended = spec.suspended.iter().map(|process| (*process, suspension_reason(now))).collect();
        group.tags.clear();
        let tags: Vec<TagWrite> = spec
            .tags
            .iter()
            .map(|(tag, value)| TagWrite {
                group: key.name.clone(),
                key: tag.clone(),
                tag: Tag { value: value.clone(), propagate: false },
            })
            .collect();
        check_tags(&tags)?;
        put_tags(group, tags)?;
        group.hooks.clear();
        put_hooks(group, spec.hooks.iter().map(|hook| (hook.name.clone(), hook.hook())).collect())?;
        *self = tried;
        Ok(())
    }

    /// SetDesiredCapacity.
    pub fn set_desired(
        &mut self,
        key: &GroupKey,
        desired: u32,
        honor_cooldown: bool,
        now: f64,
    ) -> Result<(), ApiError> {
        let group = self.groups.get_mut(key)?;
        let Settings { min, max, default_cooldown, .. } = group.settings;
        if desired > max {
            return Err(ApiError::invalid(format!(
                "New SetDesiredCapacity value {desired} is above max value {max} for the AutoScalingGroup."
            )));
        }
        if desired < min {
            return Err(ApiError::invalid(format!(
                "New SetDesiredCapacity value {desired} is below min value {min} for the AutoScalingGroup."
            )));
        }
        let busy = group.activities.iter().rev().find(|activity| activity.end.is_none());
        let cooling = group.last_activity_end.is_some_and(|end| now < end + f64::from(default_cooldown));
        if honor_cooldown && (busy.is_some() || cooling) {
            let blocking = busy.or(group.activities.back()).map_or("", |activity| &activity.id);
            return Err(ApiError::new(
                ErrorCode::ScalingActivityInProgress,
                format!("Scaling activity {blocking} is in progress and blocks this action"),
            ));
        }
        let before = std::mem::replace(&mut group.settings.desired, desired);
        if before != desired {
            group.request = Some(format!(
                "At {} a user request explicitly set group desired capacity changing the desired capacity \
                 from {before} to {desired}.",
                to_second(now)
            ));
        }
        Ok(())
    }

    /// TerminateInstanceInAutoScalingGroup: protection, health and suspended processes do not prevent it.
    pub fn terminate(
        &mut self,
        region: &str,
        id: &str,
        decrement: bool,
        now: f64,
    ) -> Result<(GroupKey, Activity), ApiError> {
        let key = self.key_of(region, id)?;
        let Self { groups, ledger, .. } = self;
        let group = groups.get_mut(&key)?;
        let at = position(group, id)?;
        if group.instances[at].state.is_leaving() {
            let busy =
                activity(group, group.instances[at].activity).map_or_else(String::new, |it| it.id.clone());
            return Err(ApiError::new(
                ErrorCode::ScalingActivityInProgress,
                format!("Scaling activity {busy} is in progress and blocks this action"),
            ));
        }
        let Settings { min, desired, .. } = group.settings;
        let when = to_second(now);
        let text = if decrement {
            if desired <= min {
                return Err(ApiError::invalid(format!(
                    "Currently, desiredSize equals minSize ({min}). Terminating instance without \
                     replacement will violate group's min size constraint. Either set \
                     shouldDecrementDesiredCapacity flag to false or lower group's min size."
                )));
            }
            let fewer = desired.saturating_sub(group.weight.unwrap_or(1));
            group.settings.desired = fewer;
            format!(
                "At {when} instance {id} was taken out of service in response to a user request, shrinking \
                 the capacity from {desired} to {fewer}."
            )
        } else {
            format!("At {when} instance {id} was taken out of service in response to a user request.")
        };
        let begun = group.begin_termination(at, Cause::Api, text, Hooks::Run, now, ledger);
        let begun = activity(group, begun).cloned().ok_or(ErrorCode::InternalFailure)?;
        Ok((key, begun))
    }

    /// Makes the instances and activities of a group older.
    pub fn age(&mut self, key: &GroupKey, seconds: f64) -> Result<(), ApiError> {
        let group = self.groups.get_mut(key)?;
        for activity in &mut group.activities {
            activity.start -= seconds;
            activity.end = activity.end.map(|end| end - seconds);
        }
        for instance in &mut group.instances {
            instance.launched -= seconds;
            instance.in_service = instance.in_service.map(|since| since - seconds);
        }
        Ok(())
    }

    /// AWS terminates an instance by itself. `hard` is the loss of the host, which no hook delays.
    pub fn terminate_by_aws(
        &mut self,
        key: &GroupKey,
        id: &str,
        hard: bool,
        now: f64,
    ) -> Result<(), ApiError> {
        let Self { groups, ledger, .. } = self;
        let group = groups.get_mut(key)?;
        let at = position(group, id)?;
        if group.instances[at].state.is_leaving() {
            // No hook holds an instance whose host is lost.
            if hard {
                group.instances[at].waits.clear();
                group.shut_down(at, ledger);
            }
            return Ok(());
        }
        let text = format!(
            "At {} an instance was taken out of service in response to an EC2 health check indicating it has \
             been terminated or stopped.",
            to_second(now)
        );
        let hooks = if hard { Hooks::Skip } else { Hooks::Run };
        group.begin_termination(at, Cause::Aws, text, hooks, now, ledger);
        Ok(())
    }

    /// CreateOrUpdateTags: all of them, or none.
    pub fn put_tags(&mut self, region: &str, writes: Vec<TagWrite>) -> Result<(), ApiError> {
        check_tags(&writes)?;
        let mut by_group: BTreeMap<String, Vec<TagWrite>> = BTreeMap::new();
        for write in writes {
            by_group.entry(write.group.clone()).or_default().push(write);
        }
        // A snapshot to restore: one group's limit must not leave another half written.
        let before = self.groups.clone();
        let written = by_group.into_iter().try_for_each(|(name, writes)| {
            put_tags(self.groups.get_mut(&GroupKey::new(region, name))?, writes)
        });
        if written.is_err() {
            self.groups = before;
        }
        written
    }

    /// DeleteTags. A missing tag is no error.
    pub fn delete_tag(&mut self, region: &str, group: &str, key: &str) -> Result<(), ApiError> {
        self.groups.get_mut(&GroupKey::new(region, group))?.tags.remove(key);
        Ok(())
    }

    /// SetInstanceProtection: all of them, or none.
    pub fn set_protection(&mut self, key: &GroupKey, ids: &[String], protect: bool) -> Result<(), ApiError> {
        let group = self.groups.get_mut(key)?;
        for id in ids {
            let instance = group.instance(id).ok_or_else(|| {
                ApiError::invalid(format!(
                    "The instance {id} is not part of Auto Scaling group {}.",
                    key.name
                ))
            })?;
            if instance.state != Lifecycle::InService {
                return Err(ApiError::invalid(format!(
                    "The instance {id} is not in InService or EnteringStandby or Standby."
                )));
            }
        }
        for instance in group.instances.iter_mut().filter(|instance| ids.contains(&instance.id)) {
            instance.protected = protect;
        }
        Ok(())
    }

    /// SetInstanceHealth. Within the group's grace period a call that respects it changes nothing.
    pub fn set_health(
        &mut self,
        region: &str,
        id: &str,
        healthy: bool,
        respect_grace: bool,
        now: f64,
    ) -> Result<GroupKey, ApiError> {
        let key = self.key_of(region, id)?;
        let group = self.groups.get_mut(&key)?;
        let grace = f64::from(group.settings.health_check_grace);
        let at = position(group, id)?;
        let instance = &mut group.instances[at];
        let in_grace = instance.in_service.is_none_or(|since| now < since + grace);
        if healthy || !(respect_grace && in_grace) {
            instance.healthy = healthy;
        }
        Ok(key)
    }

    /// PutLifecycleHook: creates it, or replaces one of that name.
    pub fn put_hook(&mut self, key: &GroupKey, name: &str, hook: Hook) -> Result<(), ApiError> {
        put_hooks(self.groups.get_mut(key)?, BTreeMap::from([(name.to_owned(), hook)]))
    }

    /// DeleteLifecycleHook: releases the instances that it holds, with the result ABANDON.
    pub fn delete_hook(&mut self, key: &GroupKey, name: &str, now: f64) -> Result<(), ApiError> {
        let Self { groups, ledger, .. } = self;
        let group = groups.get_mut(key)?;
        if group.hooks.remove(name).is_none() {
            return Err(ApiError::invalid(format!("No Lifecycle Hook found with name: {name}")));
        }
        let held: Vec<(String, Wait)> = group
            .instances
            .iter()
            .flat_map(|instance| instance.waits.iter().map(|wait| (instance.id.clone(), wait.clone())))
            .filter(|(_, wait)| wait.hook == name)
            .collect();
        for (instance, wait) in held {
            group.end_wait(&instance, &wait, ActionResult::Abandon, "Lifecycle Hook Deleted", now, ledger);
        }
        Ok(())
    }

    /// RecordLifecycleActionHeartbeat: restarts the timeout, within the hook's total limit.
    pub fn heartbeat(
        &mut self,
        key: &GroupKey,
        hook: &str,
        action: ActionOf<'_>,
        now: f64,
    ) -> Result<String, ApiError> {
        let group = self.groups.get_mut(key)?;
        let (id, wait) = held_by(group, hook, action)?;
        let timeout = f64::from(group.hooks.get(hook).map_or(0, |hook| hook.heartbeat_timeout));
        let at = position(group, &id)?;
        if let Some(held) = group.instances[at].waits.iter_mut().find(|other| other.token == wait.token) {
            held.deadline = now + timeout;
        }
        Ok(id)
    }

    /// CompleteLifecycleAction.
    pub fn complete(
        &mut self,
        key: &GroupKey,
        hook: &str,
        action: ActionOf<'_>,
        result: ActionResult,
        now: f64,
    ) -> Result<String, ApiError> {
        let Self { groups, ledger, .. } = self;
        let group = groups.get_mut(key)?;
        let (id, wait) = held_by(group, hook, action)?;
        let why = "Lifecycle Action Completed with ABANDON Result";
        group.end_wait(&id, &wait, result, why, now, ledger);
        Ok(id)
    }

    /// SuspendProcesses; none named means all.
    pub fn suspend(&mut self, key: &GroupKey, processes: &[Process], now: f64) -> Result<(), ApiError> {
        let group = self.groups.get_mut(key)?;
        for process in all_if_empty(processes) {
            group.suspended.entry(*process).or_insert_with(|| suspension_reason(now));
        }
        Ok(())
    }

    /// ResumeProcesses; none named means all.
    pub fn resume(&mut self, key: &GroupKey, processes: &[Process]) -> Result<(), ApiError> {
        let group = self.groups.get_mut(key)?;
        for process in all_if_empty(processes) {
            group.suspended.remove(process);
        }
        Ok(())
    }

    /// Makes the next launches of a group fail, with this status message or the service's for insufficient capacity.
    pub fn fail_launches(&mut self, key: &GroupKey, failures: LaunchFailures) -> Result<(), ApiError> {
        self.groups.get_mut(key)?.launch_failures = failures;
        Ok(())
    }

    /// Begins or ends an instance refresh, which only DescribeInstanceRefreshes shows.
    pub fn set_refresh(&mut self, key: &GroupKey, in_progress: bool, now: f64) -> Result<(), ApiError> {
        let id = self.ledger.ids.uuid();
        let group = self.groups.get_mut(key)?;
        match (group.refreshes.last_mut().filter(|refresh| refresh.end.is_none()), in_progress) {
            (Some(open), false) => open.end = Some(now),
            (None, true) => group.refreshes.push(Refresh { id, start: now, end: None }),
            (Some(_), true) | (None, false) => {}
        }
        Ok(())
    }

    /// Records the address of an instance, from the Jitsi simulator.
    pub fn set_private_ip(&mut self, key: &GroupKey, id: &str, address: String) {
        if let Ok(group) = self.groups.get_mut(key)
            && let Ok(at) = position(group, id)
        {
            group.instances[at].private_ip = Some(address);
        }
    }

    /// Records the load of an instance at its shutdown, from the Jitsi simulator.
    pub fn record_cuts(&mut self, cause: Cause, cuts: Cuts) {
        self.ledger.counters.cut(cause, cuts);
    }

    fn key_of(&self, region: &str, id: &str) -> Result<GroupKey, ApiError> {
        let (group, _) = self.groups.instance(region, id).ok_or_else(|| ApiError::no_such_instance(id))?;
        Ok(group.key.clone())
    }
}

fn position(group: &Group, id: &str) -> Result<usize, ApiError> {
    let found = group.instances.iter().position(|instance| instance.id == id);
    found.ok_or_else(|| ApiError::no_such_instance(id))
}

fn activity(group: &Group, sequence: u64) -> Option<&Activity> {
    group.activities.iter().rev().find(|activity| activity.sequence == sequence)
}

/// The instance that this lifecycle action holds.
fn held_by(group: &Group, hook: &str, action: ActionOf<'_>) -> Result<(String, Wait), ApiError> {
    let named = |instance: &Instance, wait: &Wait| match action {
        ActionOf::Token(token) => wait.token == token,
        ActionOf::Instance(id) => instance.id == id,
    };
    for instance in &group.instances {
        if let Some(wait) = instance.waits.iter().find(|wait| wait.hook == hook && named(instance, wait)) {
            return Ok((instance.id.clone(), wait.clone()));
        }
    }
    Err(ApiError::invalid(match action {
        ActionOf::Token(token) => format!("No active Lifecycle Action found with token {token}"),
        ActionOf::Instance(id) => format!("No active Lifecycle Action found with instance ID {id}"),
    }))
}

fn all_if_empty(processes: &[Process]) -> &[Process] {
    if processes.is_empty() { &Process::ALL } else { processes }
}

fn suspension_reason(now: f64) -> String {
    format!("User suspended at {}", to_second(now))
}
