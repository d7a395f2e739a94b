//! A simulated Auto Scaling group that carries out decisions.
//!
//! Owns what becomes of an effect: launches boot, drains take their time, tags are kept. It decides nothing, and nothing in
//! it fails but the launches that it was told to fail.

use std::time::Duration;

use crate::config::test_file::{Lengths, SimulatedGroup, SimulatedInstance};
use crate::decide::decision::{Decision, Effect, Removal};
use crate::decide::observation::{
    Drain, DrainState, Group, Hook, Instance, LaunchFailures, Lifecycle, Live, Looks, Purpose, Reading,
    Recycling, Reported,
};
use crate::decide::policy::{Component, Direction, FleetPolicy};
use crate::units::{Capacity, InstanceId, Time};

/// The hook that holds instances.
const HOOK: &str = "drain";
/// How long it holds an instance without a heartbeat, and at most: AWS' default and its limit.
const HOOK_HEARTBEAT: Duration = Duration::from_hours(1);
const HOOK_LIMIT: Duration = Duration::from_hours(48);

/// A simulated group.
#[derive(Clone, Debug)]
pub struct Model {
    pace: Pace,
    setting: SimulatedGroup,
    desired: Capacity,
    simulated: Vec<Simulated>,
    launched: usize,
    scaled_out: Option<Time>,
    scaled_in: Option<Time>,
    recycling: Option<Recycling>,
    failures: Option<LaunchFailures>,
}

/// The times of a group.
#[derive(Clone, Debug)]
struct Pace {
    start: Time,
    /// The distance of evaluations.
    tick: Duration,
    /// How long an instance takes to become empty once its drain begins.
    drain: Lengths,
    /// Whether warm-ups begin halfway through boots, and do not end with them.
    warms_from_half: bool,
}

impl Pace {
    /// The place of a moment in values per evaluation.
    fn place(&self, now: Time) -> usize {
        usize::try_from(now.since(self.start).as_secs() / self.tick.as_secs().max(1)).unwrap_or(usize::MAX)
    }
}

/// An instance.
#[derive(Clone, Debug)]
struct Simulated {
    id: InstanceId,
    /// When it became ready, or will.
    ready: Time,
    /// When it came into the group.
    launched: Time,
    member: SimulatedInstance,
    drain: Option<Drain>,
    /// What its component answered last.
    looked: Option<Reading>,
    is_protected: bool,
    heartbeat: Option<Time>,
}

impl Model {
    /// The group at `start`, which is evaluated every `tick`.
    #[must_use]
    pub fn new(setting: SimulatedGroup, start: Time, tick: Duration) -> Self {
        let desired = setting.desired;
        let mut model = Self {
            pace: Pace {
                start,
                tick,
                drain: setting.drain.clone(),
                warms_from_half: setting.warms_from_half,
            },
            setting: SimulatedGroup { instances: Vec::new(), ..setting },
            desired,
            simulated: Vec::new(),
            launched: 0,
            scaled_out: None,
            scaled_in: None,
            recycling: None,
            failures: None,
        };
        let held = setting.instances.iter().filter(|member| member.held).count();
        let others = std::iter::repeat_with(SimulatedInstance::default);
        // What a hook holds is no longer part of the desired capacity.
        for member in setting.instances.into_iter().chain(others).take(desired.get() as usize + held) {
            let since = start.before(member.age);
            model.add(member, since, since);
        }
        model
    }

    fn add(&mut self, member: SimulatedInstance, launched: Time, ready: Time) {
        let id = InstanceId::new(&format!("i-{:04}", self.launched));
        self.launched += 1;
        let (drain, looked, is_protected, heartbeat) = (None, None, false, None);
        self.simulated.push(Simulated {
            id,
            ready,
            launched,
            member,
            drain,
            looked,
            is_protected,
            heartbeat,
        });
    }

    /// How many instances take new work at `now`. A Jibri does until it is asked to exit.
    #[must_use]
    pub fn serving(&self, component: Component, now: Time) -> usize {
        let takes_work = |drain: Drain| component == Component::Jibri && drain.state == DrainState::Draining;
        let serves = |it: &&Simulated| !it.member.held && it.drain.is_none_or(takes_work) && it.ready <= now;
        self.simulated.iter().filter(serves).count()
    }

    /// Lets AWS do what is due at `now`, and describes the group.
    pub fn observe(&mut self, policy: &FleetPolicy, now: Time) -> Group {
        self.launch(now);
        let pace = &self.pace;
        let instances: Vec<_> = self.simulated.iter_mut().map(|it| it.observe(policy, pace, now)).collect();
        let has_held = instances.iter().any(|it| it.lifecycle == Lifecycle::Held);
        let hook = Hook { name: HOOK.to_owned(), heartbeat: HOOK_HEARTBEAT, limit: HOOK_LIMIT };
        Group {
            launch_suspended: self.setting.launch_suspended,
            terminate_suspended: self.setting.terminate_suspended,
            scaled_out: self.scaled_out,
            scaled_in: self.scaled_in,
            recycling: self.recycling,
            hook: Some(hook).filter(|_| has_held),
            launch_failures: self.failures.clone(),
            ..Group::at_rest((self.setting.min, self.setting.max), self.desired, instances)
        }
    }

    fn launches_fail(&self, now: Time) -> bool {
        now < self.pace.start.after(self.setting.launches_fail_for)
    }

    /// Launches what the group lacks.
    fn launch(&mut self, now: Time) {
        let has = self.simulated.iter().filter(|it| !it.member.held).count();
        let lacking = (self.desired.get() as usize).saturating_sub(has);
        if lacking == 0 || self.setting.launch_suspended {
            return;
        }
        if self.launches_fail(now) {
            let count = self.failures.as_ref().map_or(0, |failures| failures.count) + 1;
            let message = "the model was told to fail launches".to_owned();
            self.failures = Some(LaunchFailures { count, last: now, message });
            return;
        }
        self.failures = None;
        for _ in 0..lacking {
            let launched = self.setting.launched.clone();
            let member = SimulatedInstance { age: Duration::ZERO, idle_for: Duration::ZERO, ..launched };
            self.add(member, now, now.after(self.setting.boot.at(now)));
        }
    }

    /// Carries out a decision.
    pub fn carry_out(&mut self, decision: &Decision, now: Time) {
        for sequence in &decision.effects {
            for effect in sequence {
                if !self.perform(effect, now) {
                    break;
                }
            }
        }
        // A launch that fails is tried again, and counted, when the group is seen next.
        if !self.launches_fail(now) {
            self.launch(now);
        }
    }

    /// Whether the sequence of the effect goes on.
    fn perform(&mut self, effect: &Effect, now: Time) -> bool {
        let at_once = self.pace.drain == Lengths::always(Duration::ZERO);
        match effect {
            Effect::SetDesired { to, .. } => self.desired = *to,
            Effect::MarkScaled(Direction::Out) => self.scaled_out = Some(now),
            Effect::MarkScaled(Direction::In) => self.scaled_in = Some(now),
            Effect::MarkRecycling(desired) => {
                self.recycling = Some(Recycling { since: now, desired: *desired });
            }
            Effect::EndRecycling => self.recycling = None,
            Effect::MarkDrain(id, Drain { state, purpose, .. })
                if at_once && *state != DrainState::Returning =>
            {
                let removal = match purpose {
                    Purpose::ScaleIn | Purpose::Recycle => Removal::Terminate,
                    Purpose::Replace => Removal::Replace,
                    Purpose::Hook => Removal::LetGo,
                    // A model has no operators.
                    Purpose::Keep => return true,
                };
                self.remove(id, removal);
                return false;
            }
            Effect::MarkDrain(id, drain) | Effect::Close(id, drain) => {
                let closes = matches!(effect, Effect::Close(..));
                let state = if closes { DrainState::Closed } else { drain.state };
                self.change(id, |it| it.drain = Some(drain.at(state)));
            }
            Effect::ClearDrain(id) => self.change(id, |it| (it.drain, it.looked) = (None, None)),
            Effect::ConfirmEmpty(id) => {
                let found = self.simulated.iter().find(|it| it.id == *id);
                return found.is_some_and(|it| it.is_empty(&self.pace, now));
            }
            Effect::Remove(id, removal, _) => self.remove(id, *removal),
            Effect::Heartbeat(id) => self.change(id, |it| it.heartbeat = Some(now)),
            Effect::Protect(ids) => ids.iter().for_each(|id| self.change(id, |it| it.is_protected = true)),
            Effect::Unprotect(ids) => ids.iter().for_each(|id| self.change(id, |it| it.is_protected = false)),
            // The tag written before it says so already.
            Effect::StartDrain(_) | Effect::StopDrain(_) => {}
        }
        true
    }

    fn change(&mut self, id: &InstanceId, change: impl FnOnce(&mut Simulated)) {
        if let Some(simulated) = self.simulated.iter_mut().find(|it| it.id == *id) {
            change(simulated);
        }
    }

    fn remove(&mut self, id: &InstanceId, removal: Removal) {
        let before = self.simulated.len();
        self.simulated.retain(|it| it.id != *id);
        if removal == Removal::Terminate {
            self.desired = self.desired.minus(Capacity::of(before - self.simulated.len()));
        }
    }
}

impl Simulated {
    /// What AWS, Prometheus and its component say of the instance.
    fn observe(&mut self, policy: &FleetPolicy, pace: &Pace, now: Time) -> Instance {
        let lifecycle = if self.member.held {
            Lifecycle::Held
        } else if now < self.ready {
            Lifecycle::Pending
        } else {
            Lifecycle::InService
        };
        let is_running = lifecycle != Lifecycle::Pending;
        let reported = Reported {
            up: true,
            healthy: Some(!self.member.ill),
            load: self.load(pace, now),
            expired: false,
            draining: (policy.component == Component::Jvb).then_some(self.drain.is_some()),
            idle_for: self.idle_for(pace, now),
            ambiguous: false,
        };
        Instance {
            in_service_since: (lifecycle == Lifecycle::InService)
                .then(|| self.in_service_since(policy, pace)),
            reported: if is_running && self.member.reports { reported } else { Reported::default() },
            ill: self.member.ill,
            looks_ill: self.member.ill,
            drain: self.drain,
            drains_for: self.drain.map(|drain| now.since(drain.since)).unwrap_or_default(),
            held_since: self.member.held.then_some(pace.start),
            heartbeat: self.heartbeat.map(|at| now.since(at)),
            protected: self.is_protected,
            live: self.look(policy.component, pace, now),
            ..Instance::unknown(self.id.clone(), "a", lifecycle)
        }
    }

    fn in_service_since(&self, policy: &FleetPolicy, pace: &Pace) -> Time {
        match self.ready.since(self.launched) {
            Duration::ZERO => self.ready,
            boot if pace.warms_from_half => self.ready.before(boot / 2),
            _ => self.ready.before(policy.warmup),
        }
    }

    fn load(&self, pace: &Pace, now: Time) -> Option<f64> {
        let values = &self.member.load;
        values.get(pace.place(now)).or(values.last()).copied().flatten()
    }

    /// How long it has been free; `None` while it is not.
    fn idle_for(&self, pace: &Pace, now: Time) -> Option<Duration> {
        let values = &self.member.load;
        let index = pace.place(now).min(values.len().saturating_sub(1));
        let busy = values[..=index].iter().rposition(|load| *load != Some(0.0));
        let since_start = now.since(pace.start.max(self.launched));
        match busy {
            Some(busy) if busy == index => None,
            Some(busy) => {
                let ticks = u32::try_from(busy + 1).unwrap_or(u32::MAX);
                Some(since_start.saturating_sub(pace.tick.saturating_mul(ticks)))
            }
            None => Some(self.member.idle_for + since_start),
        }
    }

    fn is_empty(&self, pace: &Pace, now: Time) -> bool {
        let is_free = self.load(pace, now) == Some(0.0);
        is_free || self.drain.is_some_and(|it| now.since(it.since) >= pace.drain.at(it.since))
    }

    /// What its component answers while it drains. A Jibri exits as soon as it may, a bridge a while later.
    fn look(&mut self, component: Component, pace: &Pace, now: Time) -> Live {
        let Some(Drain { state, .. }) = self.drain else { return Live::default() };
        let is_closed = state == DrainState::Closed;
        let empty = self.is_empty(pace, now);
        let reading = match component {
            Component::Jibri if is_closed && empty => Reading::Refused,
            Component::Jibri => Reading::Answered { empty, draining: false, closing: false },
            Component::Jvb => Reading::Answered { empty, draining: true, closing: is_closed },
        };
        // What follows the final request is not waited for until the next tick.
        let looks = if is_closed || self.looked == Some(reading) { Looks::Two } else { Looks::One };
        self.looked = Some(reading);
        Live { latest: Some(reading), looks }
    }
}
