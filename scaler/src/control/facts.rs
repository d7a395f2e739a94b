//! What one evaluation of a region was answered by the cloud, Prometheus and the components.
//!
//! Owns the answers as they came. An error stays an error here: `assemble` says what it means.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::cloud::{Activity, ActivityKind, ActivityOutcome, GroupDescription, MOST_ACTIVITIES, tags};
use crate::decide::observation::{Drain, Hook, Lifecycle, Reading};
use crate::decide::policy::FleetPolicy;
use crate::observe::QueryError;
use crate::observe::questions::{Grid, Ill, InstanceReport, Windows};
use crate::telemetry::GroupRef;
use crate::units::{GroupName, InstanceId, Region, Time};

/// The answers to everything that one evaluation of the groups in a region asked.
#[derive(Debug)]
pub(super) struct Facts {
    /// When all of it was asked for, as a point on the fleet's grid.
    pub(super) grid: Grid,
    /// Whether the point was evaluated before, by this process or by the one that ran before it.
    pub(super) again: bool,
    /// The region of the evaluation.
    pub(super) region: Region,
    /// The groups that the evaluation is about; `None` for every group of the region.
    pub(super) named: Option<BTreeSet<GroupRef>>,
    /// How many regions the fleet has.
    pub(super) regions: usize,
    /// The regions that could not be read, and the others of which too little is known.
    pub(super) unseen: BTreeSet<Region>,
    /// What went wrong while groups were described, in words for a person.
    pub(super) problems: Vec<String>,
    /// Every group of the region that the cloud described, in its order.
    pub(super) groups: Vec<GroupFacts>,
    /// The groups that the fleet has in regions that this evaluation is not about, as last seen.
    pub(super) elsewhere: Vec<GroupName>,
    /// What Prometheus answered, for the whole fleet.
    pub(super) answers: Arc<Answers>,
    /// How old the new instances are.
    pub(super) ages: Ages,
    /// Whether instances of which a group only has a drain tag were detached from it. Absent where AWS did not tell.
    pub(super) detached: BTreeMap<InstanceId, bool>,
    /// The activities of groups that lack instances, newest first.
    pub(super) activities: BTreeMap<GroupRef, Vec<Activity>>,
    /// The hooks of groups in which one holds an instance, where they were read anew.
    pub(super) hooks: BTreeMap<GroupRef, Vec<Hook>>,
    /// The instances whose labels lead to the same address: it is unknown which of them answers there.
    pub(super) shared: BTreeSet<InstanceId>,
    /// What the components that drain answered. A component without an address, or without an answer, is absent.
    pub(super) readings: BTreeMap<InstanceId, Reading>,
    /// When they were asked, by a clock that nothing sets.
    pub(super) looked: Instant,
}

/// What Prometheus knows of instances.
pub(super) type Reports = Result<HashMap<InstanceId, InstanceReport>, QueryError>;

/// What Prometheus answered.
#[derive(Debug)]
pub(super) struct Answers {
    /// One answer per policy, in their order.
    pub(super) windows: Vec<Result<Windows, QueryError>>,
    /// What is known of instances; also of those in other fleets.
    pub(super) reports: Reports,
    /// The instances that `replace_unhealthy` names.
    pub(super) ill: Result<Ill, QueryError>,
}

/// One group as the cloud described it.
#[derive(Debug)]
pub(super) struct GroupFacts {
    pub(super) group: GroupRef,
    pub(super) description: GroupDescription,
    /// What our tags in the description say.
    pub(super) tags: tags::Memory,
}

/// What was found out about the age of instances in service that were not known before.
#[derive(Debug)]
pub(super) struct Ages {
    /// These instances, in the order of the description.
    pub(super) new: Vec<InstanceId>,
    /// When AWS finished launching instances, from the activities of those groups that were asked for them.
    pub(super) launched: HashMap<InstanceId, Time>,
    /// Since when instances have reported. Empty without new instances.
    pub(super) reported: Result<HashMap<InstanceId, Time>, QueryError>,
}

impl Facts {
    /// When everything was asked for, as a point on the fleet's grid.
    pub(super) fn at(&self) -> Time {
        self.grid.at
    }

    /// Whether the region could be read.
    pub(super) fn is_seen(&self) -> bool {
        !self.unseen.contains(&self.region)
    }

    /// The groups that the evaluation is about.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &GroupFacts> {
        let wanted = |group: &GroupRef| self.named.as_ref().is_none_or(|named| named.contains(group));
        self.groups.iter().filter(move |facts| wanted(&facts.group))
    }

    /// The queries that failed, each under the name of what lacks data now.
    pub(super) fn failures<'a>(&'a self, policy: &'a FleetPolicy) -> Vec<(&'a str, QueryError)> {
        let Answers { windows, reports, ill } = &*self.answers;
        let windows = policy.policies.iter().zip(windows);
        let windows = windows.map(|(policy, answer)| (policy.name.as_str(), answer.as_ref().err()));
        let others = [
            ("instances", reports.as_ref().err()),
            ("replace_unhealthy", ill.as_ref().err()),
            ("first reports", self.ages.reported.as_ref().err()),
        ];
        windows.chain(others).filter_map(|(what, error)| Some((what, error?.clone()))).collect()
    }
}

impl GroupFacts {
    /// A group whose tags are read as of `at`.
    pub(super) fn new(group: GroupRef, description: GroupDescription, at: Time) -> Self {
        let tags = tags::Memory::read(&description.tags, at);
        Self { group, description, tags }
    }

    /// Whether the group holds fewer instances than desired. A capacity that does not count instances does not tell.
    pub(super) fn lacks_instances(&self) -> bool {
        let counts = |state: &str| matches!(lifecycle(state), Lifecycle::Pending | Lifecycle::InService);
        let have = self.description.instances.iter().filter(|it| counts(&it.lifecycle)).count();
        !self.description.is_weighted && have < self.description.desired.get() as usize
    }

    /// The drain tags of instances that the group does not hold.
    pub(super) fn orphaned_drains(&self) -> impl Iterator<Item = (&InstanceId, Drain)> {
        let holds = |id: &InstanceId| self.description.instances.iter().any(|it| it.id == *id);
        self.tags.drains.iter().filter(move |(id, _)| !holds(id)).map(|(id, drain)| (id, *drain))
    }

    /// The drains that were ordered of instances that the group does not hold any more.
    pub(super) fn orphaned_orders(&self) -> impl Iterator<Item = (&InstanceId, Drain)> {
        let holds = |id: &InstanceId| self.description.instances.iter().any(|it| it.id == *id);
        self.tags.ordered.iter().filter(move |(id, _)| !holds(id)).map(|(id, drain)| (id, *drain))
    }

    /// Whether a hook holds one of its instances.
    pub(super) fn has_held(&self) -> bool {
        self.description.instances.iter().any(|it| lifecycle(&it.lifecycle) == Lifecycle::Held)
    }
}

/// Whether an instance that left its group was detached, by the activities of the group since its drain began. `None` if
/// they do not reach back that far.
pub(super) fn was_detached(id: &InstanceId, activities: &[Activity]) -> Option<bool> {
    let departures = activities.iter().filter(|activity| activity.outcome != ActivityOutcome::Failed);
    let mut departures = departures.filter_map(|activity| match &activity.kind {
        ActivityKind::Detach(left) => Some((left, true)),
        ActivityKind::Terminate(left) => Some((left, false)),
        _ => None,
    });
    let known = departures.find(|(left, _)| *left == id).map(|(_, detached)| detached);
    // AWS keeps them for weeks.
    known.or((activities.len() < MOST_ACTIVITIES).then_some(false))
}

/// The part of AWS' lifecycle states that decisions depend on.
pub(super) fn lifecycle(state: &str) -> Lifecycle {
    match state {
        "InService" => Lifecycle::InService,
        "Pending" | "Pending:Wait" | "Pending:Proceed" => Lifecycle::Pending,
        "Terminating:Wait" => Lifecycle::Held,
        terminating if terminating.starts_with("Terminat") => Lifecycle::Terminating,
        // Standby, detached and warmed instances, and states that AWS may add.
        _ => Lifecycle::Aside,
    }
}

/// The instance that was launched, and when.
pub(super) fn launch(activity: &Activity) -> Option<(InstanceId, Time)> {
    match (&activity.kind, activity.outcome) {
        (ActivityKind::Launch(Some(id)), ActivityOutcome::Successful) => Some((id.clone(), activity.ended?)),
        _ => None,
    }
}
