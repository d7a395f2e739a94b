//! Auto Scaling groups as AWS runs them.
//!
//! Owns launches, terminations, AWS' own choice of victims, zone rebalancing, the replacement of unhealthy instances, and
//! activities. Lifecycle hooks are in `hooks`. Sources: the EC2 Auto Scaling User Guide and API reference.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use jitsi_scaler::cloud::{
    Activity, ActivityKind, ActivityOutcome, GroupDescription, InstanceDescription, layout,
};
use jitsi_scaler::units::{Capacity, GroupName, InstanceId, Time};
use rand::RngExt as _;

use super::azure::LARGEST;
use super::component::{Instance, Job, Process, Twin};
use super::prometheus::{Aggregates, History};
use super::setting::{Hook, Kind, Setting, ZONES};
use super::world::{Event, MINUTE, SECOND, World};

/// The interval at which AWS reconciles a group, in milliseconds.
const RECONCILE: i64 = 15 * SECOND;
/// The delay before AWS retries a failed launch, in milliseconds.
const RETRY: i64 = MINUTE;
/// The most launches that fail in one attempt.
const FAILURES: usize = 20;

/// How many activities AWS tells of; really those of six weeks.
const KEPT_ACTIVITIES: usize = 10_000;

/// The lifecycle state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Pending,
    InService,
    /// Terminating, and held by a hook.
    TerminatingWait,
    Terminating,
    Terminated,
    /// Taken aside by people.
    Standby,
    /// Taken out of its group by people. It runs on.
    Detached,
    /// Its creation failed; only Azure lists such.
    Failed,
}

impl Lifecycle {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InService => "InService",
            Self::TerminatingWait => "Terminating:Wait",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            // What is part of a set and does not run stands aside.
            Self::Standby | Self::Failed => "Standby",
            Self::Detached => "Detached",
        }
    }

    /// Whether it counts towards the desired capacity.
    pub(super) fn is_held(self) -> bool {
        matches!(self, Self::Pending | Self::InService)
    }
}

/// The cause of a termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taker {
    /// A call of the scaler.
    Scaler,
    Aws,
    Operator,
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: GroupName,
    /// The index of its fleet in the configuration.
    pub(super) fleet: usize,
    pub(super) kind: Kind,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Its bounds as configured, to which an operator's change of them returns.
    pub(super) own: (u32, u32),
    pub(super) desired: u32,
    pub(super) suspended: Vec<&'static str>,
    pub(super) refreshing: bool,
    pub(super) hook: Option<Hook>,
    /// The indices of its instances.
    pub(super) members: Vec<usize>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) activities: VecDeque<Activity>,
    retry_at: i64,
    /// Its state at the last reconciliation, which a stale answer may still show.
    pub(super) before: Option<GroupDescription>,
    /// Its series from the recording rules of Prometheus.
    pub(super) aggregates: Aggregates,
}

impl Group {
    pub(super) fn new(name: &str, fleet: usize, setting: &Setting, is_azure: bool) -> Self {
        let (min, max) = setting.bounds[fleet];
        // The minimum is below the configuration's; the maximum is at least the configuration's.
        let own =
            if is_azure { (0, LARGEST) } else { (min - 1, max + u32::try_from(name.len() % 2).unwrap_or(0)) };
        Self {
            name: GroupName::new(name),
            fleet,
            kind: if fleet == 0 { Kind::Bridge } else { Kind::Jibri },
            min: own.0,
            max: own.1,
            own,
            desired: min + 1,
            suspended: Vec::new(),
            refreshing: false,
            hook: setting.care[fleet].hook,
            members: Vec::new(),
            tags: BTreeMap::new(),
            activities: VecDeque::new(),
            retry_at: 0,
            before: None,
            aggregates: Aggregates::default(),
        }
    }
}

impl World {
    /// How many members count towards the desired capacity.
    pub(super) fn held(&self, group: usize) -> usize {
        let members = &self.groups[group].members;
        members.iter().filter(|&&it| self.instances[it].lifecycle.is_held()).count()
    }

    /// How many members of each zone count towards the desired capacity.
    fn zones(&self, group: usize) -> [usize; ZONES.len()] {
        let mut zones = [0; ZONES.len()];
        for &member in &self.groups[group].members {
            let it = &self.instances[member];
            zones[it.zone] += usize::from(it.lifecycle.is_held());
        }
        zones
    }

    pub(super) fn reconcile(&mut self, group: usize) {
        let next = self.now + RECONCILE;
        self.schedule(next, Event::Reconcile(group));
        if self.faults.cloud_is_stale(self.now) {
            self.groups[group].before = Some(self.described(group, None));
        } else {
            self.groups[group].before = None;
        }
        if self.azure.is_none() {
            self.converge(group);
        }
    }

    /// Replaces unhealthy instances, and launches or terminates instances towards the desired capacity.
    fn converge(&mut self, group: usize) {
        let suspended = |process: &str, it: &Self| it.groups[group].suspended.contains(&process);
        if !suspended("Terminate", self) && !suspended("ReplaceUnhealthy", self) {
            let is_unhealthy = |it: &&usize| {
                let it = &self.instances[**it];
                it.unhealthy && it.lifecycle == Lifecycle::InService
            };
            if let Some(&instance) = self.groups[group].members.iter().find(is_unhealthy) {
                let taker = self.instances[instance].taken_by.unwrap_or(Taker::Aws);
                self.terminate(instance, taker);
            }
        }
        let (held, desired) = (self.held(group), self.groups[group].desired as usize);
        if held < desired && !suspended("Launch", self) && self.now >= self.groups[group].retry_at {
            let mut failures = 0;
            for _ in held..desired {
                self.launch(group);
                failures += usize::from(self.now < self.groups[group].retry_at);
                if failures == FAILURES {
                    break;
                }
            }
        } else if held > desired && !suspended("Terminate", self) {
            for _ in desired..held {
                self.choose_and_terminate(group);
            }
        }
    }

    /// Whether something happens that happens this often, and draws nothing where it never does.
    fn draws(&mut self, share: f64) -> bool {
        share > 0.0 && self.luck.random_bool(share)
    }

    pub(super) fn launch(&mut self, group: usize) {
        let zones = self.zones(group);
        let zone = (0..ZONES.len()).min_by_key(|&zone| zones[zone]).unwrap_or(0);
        if self.faults.has_no_capacity(self.now) {
            if self.azure.is_some() {
                self.creation_fails(group);
                return;
            }
            let at = Time::from_unix(self.now / SECOND);
            let it = &mut self.groups[group];
            it.retry_at = self.now + RETRY;
            it.activities.push_front(Activity {
                kind: ActivityKind::Launch(None),
                ended: Some(at),
                outcome: ActivityOutcome::Failed,
                message:
                    "We currently do not have sufficient c5.xlarge capacity (InsufficientInstanceCapacity)"
                        .to_owned(),
            });
            it.activities.truncate(KEPT_ACTIVITIES);
            self.timeline.tell(self.now, Some(group), &[10], || format!("no capacity in {}", ZONES[zone]));
            return;
        }
        let index = self.create(group, zone);
        let boot = self.luck.random_range(40 * SECOND..150 * SECOND);
        let start = boot + self.luck.random_range(0..90 * SECOND);
        self.schedule(self.now + boot, Event::InService(index));
        self.schedule(self.now + start, Event::ComponentUp(index, 0));
        self.judge.figures.launches += 1;
        self.tell(index, 11, |_| format!("is launched in {}", ZONES[zone]));
    }

    /// An instance comes into being.
    pub(super) fn create(&mut self, group: usize, zone: usize) -> usize {
        let index = self.instances.len();
        let kind = self.groups[group].kind;
        let id = InstanceId::new(&format!("i-{index:017x}"));
        let returns = match kind {
            Kind::Bridge => self.setting.bridges_return,
            Kind::Jibri => self.setting.jibris_return,
        };
        let unreadable = kind == Kind::Bridge && self.draws(self.setting.unreadable);
        let has_twin = group == 3 && self.draws(self.setting.twins);
        let twin = has_twin.then_some(Twin { job: Job::Idle, recording: 0, last_selected: 0 });
        self.instances.push(Instance {
            address: format!("10.0.{}.{}", index / 256, index % 256),
            group,
            kind,
            zone,
            lifecycle: Lifecycle::Pending,
            in_service: None,
            unhealthy: false,
            protected: self.setting.protected,
            taken_by: None,
            hold: None,
            drained_since: None,
            untagged: 0,
            process: Process::Booting,
            life: 0,
            returns,
            healthy: true,
            drain: None,
            graceful: false,
            shutting_down: false,
            heard_closing: false,
            people: 0,
            unreadable,
            twin,
            job: Job::Idle,
            recording: 0,
            joins_after: 5 * SECOND,
            joined: 0,
            last_selected: 0,
            empty_since: self.now,
            busy_since: self.now,
            unreachable: 0,
            gone: 0,
            started: 0,
            ending: None,
            end_sent: None,
            history: History::default(),
            counted: false,
            id,
        });
        self.groups[group].members.push(index);
        index
    }

    pub(super) fn in_service(&mut self, instance: usize) {
        let now = self.now;
        let it = &mut self.instances[instance];
        if it.lifecycle != Lifecycle::Pending {
            return;
        }
        it.lifecycle = Lifecycle::InService;
        it.in_service = Some(now);
        let (group, id) = (it.group, it.id.clone());
        self.note_activity(group, ActivityKind::Launch(Some(id)));
        self.tell(instance, 12, |_| "is in service".to_owned());
    }

    /// An activity succeeds.
    pub(super) fn note_activity(&mut self, group: usize, kind: ActivityKind) {
        let ended = Some(Time::from_unix(self.now / SECOND));
        let activities = &mut self.groups[group].activities;
        let outcome = ActivityOutcome::Successful;
        activities.push_front(Activity { kind, ended, outcome, message: String::new() });
        activities.truncate(KEPT_ACTIVITIES);
    }

    /// AWS' choice of a victim: the oldest unprotected instance in the fullest zone.
    pub(super) fn choose_and_terminate(&mut self, group: usize) -> bool {
        let zones = self.zones(group);
        let members = &self.groups[group].members;
        let candidates = members.iter().copied().filter(|&it| {
            let it = &self.instances[it];
            it.lifecycle.is_held() && !it.protected
        });
        let chosen = candidates.min_by_key(|&it| (Reverse(zones[self.instances[it].zone]), it));
        if let Some(instance) = chosen {
            self.terminate(instance, Taker::Aws);
        }
        chosen.is_some()
    }

    /// The host goes down within seconds, which cuts the calls and recordings on it.
    pub(super) fn switch_off(&mut self, instance: usize) {
        let it = &mut self.instances[instance];
        it.lifecycle = Lifecycle::Terminating;
        it.ending = Some(self.now);
        self.judge_end(instance);
        let at = self.now + self.luck.random_range(SECOND..4 * SECOND);
        self.schedule(at, Event::HostGone(instance));
    }

    /// The description of a group, as a scaler gets it.
    pub(super) fn described(&self, group: usize, scaler: Option<usize>) -> GroupDescription {
        let it = &self.groups[group];
        let tags: Vec<_> = it.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        GroupDescription {
            name: it.name.clone(),
            min: Capacity::saturating(i64::from(it.min)),
            max: Capacity::saturating(i64::from(it.max)),
            desired: Capacity::saturating(i64::from(self.capacity(group, scaler))),
            is_weighted: self.setting.weighted == Some(group),
            suspended: it.suspended.iter().map(|&process| process.to_owned()).collect(),
            replaces_unhealthy: self.azure.is_none()
                && !it.suspended.iter().any(|process| ["ReplaceUnhealthy", "Terminate"].contains(process)),
            zones: Vec::new(),
            instances: it.members.iter().map(|&member| self.described_instance(member)).collect(),
            most_drains: layout::most_drains(&tags),
            tags,
        }
    }

    fn described_instance(&self, instance: usize) -> InstanceDescription {
        let it = &self.instances[instance];
        InstanceDescription {
            id: it.id.clone(),
            zone: ZONES[it.zone].to_owned(),
            lifecycle: it.lifecycle.as_str().to_owned(),
            healthy: !it.unhealthy,
            protected: it.protected,
        }
    }
}
