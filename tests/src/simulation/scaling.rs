//! The calls of the scaler to Auto Scaling.
//!
//! Owns the refusals of AWS with their texts, and how calls fail. The groups themselves are in `cloud`; what Azure does
//! with the same calls is in `azure`.

use std::collections::BTreeMap;

use jitsi_scaler::cloud::{
    ACTIVITIES, Activity, Call, Change, CloudError, GroupDescription, MOST_ACTIVITIES, Permitted,
    ScalingGroups, aws, packs, tags,
};
use jitsi_scaler::config::Groups;
use jitsi_scaler::decide::decision::PROTECTED_AT_ONCE;
use jitsi_scaler::decide::observation::{DrainState, Hook};
use jitsi_scaler::units::{GroupName, InstanceId, Region, Time};
use rand::RngExt as _;

use super::Check;
use super::calls::{Fate, call};
use super::cloud::{Lifecycle, Taker};
use super::judge::Seen;
use super::orders::{packed, told};
use super::setting::{self, HOOK};
use super::world::{SECOND, Shared, World};

/// So many drains at once count as a crowd.
const CROWD: usize = 150;

/// Auto Scaling, as one scaler reaches it.
#[derive(Clone, Debug)]
pub(super) struct Aws {
    pub(super) shared: Shared,
    pub(super) scaler: usize,
    /// A missing protection: its call succeeds without being made.
    pub(super) without: Option<Check>,
}

pub(super) fn refused(call: &'static str, code: &str, message: &str) -> CloudError {
    CloudError::Refused { call, code: code.to_owned(), message: message.to_owned() }
}

impl World {
    fn cloud_fate(&mut self, call: &'static str) -> Fate<CloudError> {
        let now = self.now;
        let slow = self.faults.cloud_is_slow(now);
        let before = self.luck.random_range(20..120);
        let before = if slow { before + self.luck.random_range(0..5 * SECOND) } else { before };
        let mut fate = Fate { before, after: 0, failure: None, done: false };
        let throttled = self.faults.throttles(now);
        let failing = self.faults.cloud_fails(now);
        let unheard = self.faults.cloud_goes_unheard(now);
        if throttled > 0.0 && self.luck.random_bool(throttled) {
            fate.failure = Some(CloudError::Throttled(call));
        } else if failing > 0.0 && self.luck.random_bool(failing) {
            fate.failure = Some(match self.luck.random_range(0..3) {
                0 => CloudError::Unreachable { call, message: "connection reset".to_owned() },
                1 => CloudError::Timeout(call),
                _ => refused(call, "InternalFailure", "The request processing has failed"),
            });
        } else if unheard > 0.0 && self.luck.random_bool(unheard) {
            fate.failure = Some(CloudError::Timeout(call));
            fate.done = true;
        }
        if matches!(fate.failure, Some(CloudError::Timeout(_))) {
            fate.after = 10 * SECOND;
        }
        fate
    }

    pub(super) fn group_named(&self, name: &GroupName) -> Option<usize> {
        self.groups.iter().position(|group| group.name == *name)
    }

    /// The instance of an id, as long as a group holds it.
    pub(super) fn member(&self, call: &'static str, id: &InstanceId) -> Result<usize, CloudError> {
        let index = id.as_str().strip_prefix("i-").and_then(|hex| usize::from_str_radix(hex, 16).ok());
        index
            .filter(|&index| {
                self.instances
                    .get(index)
                    .is_some_and(|it| !matches!(it.lifecycle, Lifecycle::Terminated | Lifecycle::Detached))
            })
            .ok_or_else(|| {
                refused(call, "ValidationError", "Instance Id not found - No managed instance found")
            })
    }

    /// Notes the result of a change.
    pub(super) fn asked(
        &mut self,
        scaler: usize,
        group: Option<usize>,
        mark: u64,
        answer: &Result<(), CloudError>,
        what: impl FnOnce() -> String,
    ) {
        let marks = [mark, scaler as u64, u64::from(answer.is_ok())];
        self.timeline.tell(self.now, group, &marks, || {
            let came = answer.as_ref().err().map(|error| format!(": {error}")).unwrap_or_default();
            format!("scaler {scaler} {}{came}", what())
        });
    }

    fn set_desired(&mut self, scaler: usize, name: &GroupName, to: u32) -> Result<(), CloudError> {
        let call = "SetDesiredCapacity";
        let group =
            self.group_named(name).ok_or_else(|| refused(call, "ValidationError", "no such group"))?;
        self.judge_desired(scaler, group, to);
        let it = &mut self.groups[group];
        let answer = if (it.min..=it.max).contains(&to) {
            it.desired = to;
            Ok(())
        } else {
            Err(refused(call, "ValidationError", "new desired capacity is outside of the group's bounds"))
        };
        self.asked(scaler, Some(group), 30, &answer, || format!("sets desired to {to}"));
        answer
    }

    fn terminate_and_decrement(&mut self, scaler: usize, id: &InstanceId) -> Result<(), CloudError> {
        let call = "TerminateInstanceInAutoScalingGroup";
        let instance = self.member(call, id)?;
        let group = self.instances[instance].group;
        if self.instances[instance].lifecycle.is_held() {
            self.judge_floor(scaler, group);
        }
        let it = &self.groups[group];
        let answer = if it.desired <= it.min {
            Err(refused(call, "ValidationError", "terminating would take the group below its minimum"))
        } else if !self.instances[instance].lifecycle.is_held() {
            Err(refused(call, "ScalingActivityInProgress", "the instance is being terminated"))
        } else {
            self.groups[group].desired -= 1;
            self.judge.figures.terminations += 1;
            Ok(())
        };
        self.asked(scaler, Some(group), 31, &answer, || format!("terminates {id} with decrement"));
        if answer.is_ok() {
            self.terminate(instance, Taker::Scaler);
        }
        answer
    }

    fn terminate_and_replace(&mut self, scaler: usize, id: &InstanceId) -> Result<(), CloudError> {
        let call = "TerminateInstanceInAutoScalingGroup";
        let instance = self.member(call, id)?;
        let group = self.instances[instance].group;
        let answer = if self.instances[instance].lifecycle.is_held() {
            self.judge.figures.replacements += 1;
            Ok(())
        } else {
            Err(refused(call, "ScalingActivityInProgress", "the instance is being terminated"))
        };
        self.asked(scaler, Some(group), 38, &answer, || format!("terminates {id} without decrement"));
        if answer.is_ok() {
            self.terminate(instance, Taker::Scaler);
        }
        answer
    }

    fn set_unhealthy(&mut self, scaler: usize, id: &InstanceId) -> Result<(), CloudError> {
        let instance = self.member("SetInstanceHealth", id)?;
        let it = &mut self.instances[instance];
        let (group, serves) = (it.group, it.lifecycle == Lifecycle::InService && !it.unhealthy);
        it.unhealthy = true;
        it.taken_by = it.taken_by.or(Some(Taker::Scaler));
        self.judge.figures.replacements += u64::from(serves);
        self.asked(scaler, Some(group), 32, &Ok(()), || format!("calls {id} unhealthy"));
        Ok(())
    }

    fn protect(&mut self, scaler: usize, ids: &[InstanceId], protected: bool) -> Result<(), CloudError> {
        let call = "SetInstanceProtection";
        if ids.len() > PROTECTED_AT_ONCE {
            return Err(refused(call, "ValidationError", "more than 50 instances"));
        }
        let found = ids.iter().map(|id| self.member(call, id)).collect::<Result<Vec<_>, _>>()?;
        if found.iter().any(|&it| self.instances[it].lifecycle != Lifecycle::InService) {
            return Err(refused(call, "ValidationError", "an instance is not in InService"));
        }
        let group = found.first().map(|&it| self.instances[it].group);
        for &it in &found {
            self.instances[it].protected = protected;
        }
        self.judge.figures.protections += found.len() as u64;
        self.asked(scaler, group, 33, &Ok(()), || format!("sets the protection of {ids:?} to {protected}"));
        Ok(())
    }

    fn record_heartbeat(&mut self, scaler: usize, id: &InstanceId) -> Result<(), CloudError> {
        let call = "RecordLifecycleActionHeartbeat";
        let instance = self.member(call, id)?;
        let group = self.instances[instance].group;
        let answer = if self.heartbeat(instance) { Ok(()) } else { Err(CloudError::NotHeld(call)) };
        self.asked(scaler, Some(group), 34, &answer, || format!("sends a heartbeat for {id}"));
        answer
    }

    fn complete(&mut self, scaler: usize, id: &InstanceId) -> Result<(), CloudError> {
        let call = "CompleteLifecycleAction";
        let instance = self.member(call, id)?;
        let it = &mut self.instances[instance];
        let group = it.group;
        let answer = if it.lifecycle == Lifecycle::TerminatingWait {
            it.taken_by = Some(Taker::Scaler);
            Ok(())
        } else {
            Err(CloudError::NotHeld(call))
        };
        self.asked(scaler, Some(group), 35, &answer, || format!("completes the hook of {id}"));
        if answer.is_ok() {
            self.judge.figures.completions += 1;
            self.switch_off(instance);
        }
        answer
    }

    fn tag(&mut self, scaler: usize, name: &GroupName, key: &str, value: &str) -> Result<(), CloudError> {
        let call = "CreateOrUpdateTags";
        let group =
            self.group_named(name).ok_or_else(|| refused(call, "ValidationError", "no such group"))?;
        assert!(key.len() <= 128 && value.len() <= 256, "a tag that AWS would refuse: {key} {value}");
        if packs::is_pack(key) {
            let is_allowed = |it: char| it.is_ascii_alphanumeric() || " _.:/=+-@".contains(it);
            assert!(value.chars().all(is_allowed), "a tag that AWS would refuse: {key} {value}");
            self.judge_pack(scaler, group, key, Some(value));
        } else {
            self.judge_tag(scaler, group, key, value);
        }
        let tags = &mut self.groups[group].tags;
        let answer = if tags.len() < 50 || tags.contains_key(key) {
            let before = tags.insert(key.to_owned(), value.to_owned());
            if packs::is_pack(key) {
                self.repacked(group, &before.unwrap_or_default(), value);
            } else if told(key, value).is_none_or(|drain| drain.state != DrainState::Ordered) {
                self.tagged(key);
            }
            Ok(())
        } else {
            // A new process may be shown less than there is.
            if !self.faults.cloud_is_stale(self.now) {
                self.judge.tally.limits_broken += 1;
                self.violated(group, format!("{key} would be the 51st tag"));
            }
            Err(refused(call, "LimitExceeded", "a group has fifty tags"))
        };
        self.asked(scaler, Some(group), 36, &answer, || format!("tags {key} = {value}"));
        answer
    }

    /// The instance of a drain tag.
    pub(super) fn drain_of(&self, key: &str) -> Option<usize> {
        let id = key.strip_prefix("jitsi-scaler/drain/i-")?;
        usize::from_str_radix(id, 16).ok().filter(|&it| it < self.instances.len())
    }

    /// Whether a pause leaves a change alone.
    fn takes_no_step(&self, change: Change<'_>) -> bool {
        match change {
            Change::Heartbeat { .. } => true,
            Change::Tag { key, .. } | Change::Untag { key } if key == tags::PAUSED => true,
            // Another place for the same drain takes it no further.
            Change::Tag { key, value } if packs::is_pack(key) => {
                let tags = BTreeMap::from([(key.to_owned(), value.to_owned())]);
                packed(&tags).iter().all(|(id, drain)| {
                    let instance = self.drain_of(&tags::drain_key(id));
                    instance.and_then(|it| self.tag_of(it)) == Some(*drain)
                })
            }
            // What an operator orders is reversible until the instance is asked to exit. An order on a drain that has come
            // further takes it no further.
            Change::Tag { key, value } => told(key, value).is_some_and(|drain| {
                let before = self.drain_of(key).and_then(|it| self.tag_of(it));
                let is_reversible = !matches!(drain.state, DrainState::Asked | DrainState::Closed);
                let is_as_before = before.is_some_and(|before| before.state == drain.state);
                drain.by_operator && (is_reversible || is_as_before)
            }),
            Change::Untag { key } => {
                self.drain_of(key).and_then(|it| self.tag_of(it)).is_none_or(|drain| drain.by_operator)
            }
            _ => false,
        }
    }

    fn tagged(&mut self, key: &str) {
        if let Some(instance) = self.drain_of(key) {
            let now = self.now;
            self.instances[instance].drained_since.get_or_insert(now);
        }
    }

    fn untagged(&mut self, key: &str) {
        if let Some(instance) = self.drain_of(key).filter(|&it| !self.is_tagged(it)) {
            self.instances[instance].drained_since = None;
            self.instances[instance].untagged = self.now;
        }
    }

    /// Whether a tag of its group holds the drain of an instance.
    pub(super) fn is_tagged(&self, instance: usize) -> bool {
        let it = &self.instances[instance];
        let tags = &self.groups[it.group].tags;
        tags.contains_key(&tags::drain_key(&it.id)) || packed(tags).contains_key(&it.id)
    }

    /// A tag of several drains has another value.
    fn repacked(&mut self, group: usize, before: &str, after: &str) {
        let drains =
            |value: &str| packed(&BTreeMap::from([("jitsi-scaler/drains/0".to_owned(), value.to_owned())]));
        for id in drains(after).keys() {
            self.tagged(&tags::drain_key(id));
        }
        for id in drains(before).keys() {
            self.untagged(&tags::drain_key(id));
        }
        self.judge.figures.packed += 1;
        let tags = &self.groups[group].tags;
        let is_single = |key: &&String| tags::is_drain(key) && !packs::is_pack(key);
        if packed(tags).len() + tags.keys().filter(is_single).count() >= CROWD {
            self.judge.figures.crowded += 1;
        }
    }

    fn untag(&mut self, scaler: usize, name: &GroupName, key: &str) {
        if let Some(group) = self.group_named(name) {
            if packs::is_pack(key) {
                self.judge_pack(scaler, group, key, None);
            }
            let before = self.groups[group].tags.remove(key);
            if packs::is_pack(key) {
                self.repacked(group, &before.unwrap_or_default(), "");
            } else {
                self.untagged(key);
            }
            self.asked(scaler, Some(group), 37, &Ok(()), || format!("removes the tag {key}"));
        }
    }

    fn describe(&mut self, scaler: usize, groups: &Groups) -> Vec<GroupDescription> {
        let Groups::Names(names) = groups else { panic!("the fleets of the simulation name their groups") };
        let mut described = Vec::with_capacity(names.len());
        for name in names {
            let Some(group) = self.group_named(name) else { continue };
            let now = self.now;
            // A recent change may not show yet.
            let stale = self.faults.cloud_is_stale(now) && self.luck.random_bool(0.5);
            let before = if stale { self.groups[group].before.clone() } else { None };
            let seen = before.unwrap_or_else(|| self.described(group, Some(scaler)));
            described.push(seen);
        }
        described
    }
}

impl World {
    /// Notes the groups that a scaler has seen; a lost answer shows none.
    fn saw(&mut self, scaler: usize, described: &[GroupDescription]) {
        for seen in described {
            let Some(group) = self.group_named(&seen.name) else { continue };
            let told = seen;
            let seen = Seen::of(told, self.recent_clocks(scaler));
            self.judge.saw(scaler, group, seen);
            // Only the describe at the start of an evaluation, which its decision rests on, is of all groups.
            if described.len() > 1 {
                self.judge.looked(scaler, group, told, seen);
                if told.instances.iter().any(|it| it.lifecycle == "Terminating:Wait") {
                    self.seen_held(group);
                }
            }
        }
    }
}

impl Aws {
    async fn make<T: Send>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut World) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        let writes = !name.starts_with("Describe");
        call(&self.shared, self.scaler, writes, |world| world.cloud_fate(name), act).await
    }
}

impl ScalingGroups for Aws {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        aws::Aws::operation(call)
    }

    fn packs_drains(&self) -> bool {
        self.shared.lock().azure.is_none()
    }

    async fn describe(&self, _: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        if matches!(groups, Groups::Names(names) if names.len() > 1) {
            self.shared.lock().judge.figures.evaluations += 1;
        }
        let described =
            self.make("DescribeAutoScalingGroups", |world| Ok(world.describe(self.scaler, groups))).await;
        let mut described = described?;
        self.shared.lock().saw(self.scaler, &described);
        for group in &mut described {
            match self.without {
                Some(Check::Pause) => group.tags.retain(|(key, _)| key != tags::PAUSED),
                Some(Check::Weighted) => group.is_weighted = false,
                _ => {}
            }
        }
        Ok(described)
    }

    async fn activities(
        &self,
        _: &Region,
        group: &GroupName,
        since: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        self.make("DescribeScalingActivities", |world| {
            let Some(group) = world.group_named(group) else { return Ok(Vec::new()) };
            let activities = &world.groups[group].activities;
            let is_later = |it: &&Activity| since.is_some_and(|since| it.ended.is_none_or(|at| at >= since));
            let later = activities.iter().take_while(is_later).count();
            Ok(activities.iter().take(later.clamp(ACTIVITIES, MOST_ACTIVITIES)).cloned().collect())
        })
        .await
    }

    async fn hooks(&self, _: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        let hooks = self.make("DescribeLifecycleHooks", |world| {
            let hook = world.group_named(group).and_then(|it| world.groups[it].hook);
            let length = |it: i64| std::time::Duration::from_millis(it.unsigned_abs());
            let described = |it: setting::Hook| Hook {
                name: HOOK.to_owned(),
                heartbeat: length(it.heartbeat),
                limit: length(it.limit),
            };
            Ok(hook.map(described).into_iter().collect())
        });
        let hooks = hooks.await;
        if hooks.is_err() {
            let mut world = self.shared.lock();
            let of = world.group_named(group);
            let members = of.map(|it| world.groups[it].members.clone()).unwrap_or_default();
            world.excuse(|it| members.contains(&it));
        }
        hooks
    }

    async fn refreshing(&self, _: &Region, group: &GroupName) -> Result<bool, CloudError> {
        let refreshing = self.make("DescribeInstanceRefreshes", |world| {
            Ok(world.group_named(group).is_some_and(|it| world.groups[it].refreshing))
        });
        let refreshing = refreshing.await;
        let mut world = self.shared.lock();
        if let Some(group) = world.group_named(group) {
            let (now, told) = (world.now, refreshing.as_ref().ok().copied());
            world.judge.told_refresh(self.scaler, group, now, told);
        }
        if self.without == Some(Check::Refresh) {
            return Ok(false);
        }
        refreshing
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        let (name, change) = (permitted.group(), permitted.change());
        match (self.without, change) {
            (Some(Check::ProtectBusy), Change::SetProtection { .. })
            | (Some(Check::Heartbeat), Change::Heartbeat { .. }) => return Ok(()),
            _ => {}
        }
        let scaler = self.scaler;
        let call = aws::Aws::operation(Call::Apply(change));
        // A request may be long on its way.
        let (saw, sent) = {
            let world = self.shared.lock();
            (world.group_named(name).is_some_and(|group| world.saw_pause(scaler, group)), world.now)
        };
        let applied = self.make(call, |world| {
            if !world.takes_no_step(change)
                && let Some(group) = world.group_named(name)
            {
                world.judge_pause(saw, group, call);
            }
            let is_azure = world.azure.is_some();
            let outcome = match change {
                Change::SetDesired(desired) if is_azure => world.raise(scaler, name, desired.get()),
                Change::TerminateAndDecrement(id) if is_azure => world.delete_named(scaler, id, false),
                Change::TerminateAndReplace(id) | Change::SetUnhealthy(id) if is_azure => {
                    world.delete_named(scaler, id, true)
                }
                Change::SetDesired(desired) => world.set_desired(scaler, name, desired.get()),
                Change::TerminateAndDecrement(id) => world.terminate_and_decrement(scaler, id),
                Change::TerminateAndReplace(id) => world.terminate_and_replace(scaler, id),
                Change::SetUnhealthy(id) => world.set_unhealthy(scaler, id),
                Change::SetProtection { instances, protected } => world.protect(scaler, instances, protected),
                Change::Heartbeat { instance, .. } => world.record_heartbeat(scaler, instance),
                Change::Complete { instance, .. } => world.complete(scaler, instance),
                Change::Tag { key, value } => world.tag(scaler, name, key, value),
                Change::Untag { key } => {
                    world.untag(scaler, name, key);
                    Ok(())
                }
            };
            let ended = match change {
                Change::TerminateAndDecrement(id)
                | Change::TerminateAndReplace(id)
                | Change::SetUnhealthy(id) => world.member(call, id).ok(),
                _ => None,
            };
            if let (Ok(()), Some(instance)) = (&outcome, ended) {
                world.instances[instance].end_sent = Some(sent);
            }
            outcome
        });
        let applied = applied.await;
        if let (Err(_), Change::Heartbeat { instance, .. }) = (&applied, change) {
            let mut world = self.shared.lock();
            if let Ok(failed) = world.member(call, instance) {
                world.excuse(|it| it == failed);
            }
        }
        applied
    }
}
