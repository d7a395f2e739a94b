//! Groups, views and facts for the tests of this folder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::facts::{Ages, Answers, Facts, GroupFacts};
use super::view::GroupView;
use crate::config::schedule::InForce;
use crate::decide::observation::{Bounds, Group, Observation};
use crate::observe::questions::{Grid, Ill};
use crate::telemetry::GroupRef;
use crate::units::{FleetName, GroupName, Period, Region, Time};

/// A group of the fleet "jvb".
pub(super) fn group_ref(region: &str, name: &str) -> GroupRef {
    let (region, name) = (Region::new(region), GroupName::new(name));
    GroupRef { fleet: FleetName::new("jvb"), region, name }
}

/// The view of a group without policies, schedules and addresses.
pub(super) fn view(region: &str, group: Group) -> GroupView {
    let schedule = Bounds::default();
    GroupView {
        group: group_ref(region, "group"),
        observation: Observation { windows: Vec::new(), group, schedule, may_recycle: false },
        asked: BTreeMap::new(),
        pause: None,
        in_force: InForce::default(),
        lacking_since: None,
        addresses: HashMap::new(),
    }
}

/// The facts of an evaluation in which nothing else was found.
pub(super) fn facts(at: Time, groups: Vec<GroupFacts>) -> Facts {
    let tick = Period::try_new(Duration::from_mins(1)).expect("a minute");
    Facts {
        grid: Grid { at, delay: Duration::ZERO, tick },
        again: false,
        region: Region::new("r"),
        named: None,
        regions: 1,
        unseen: BTreeSet::new(),
        problems: Vec::new(),
        groups,
        elsewhere: Vec::new(),
        answers: Arc::new(Answers {
            windows: Vec::new(),
            reports: Ok(HashMap::new()),
            ill: Ok(Ill::default()),
        }),
        ages: Ages { new: Vec::new(), launched: HashMap::new(), reported: Ok(HashMap::new()) },
        detached: BTreeMap::new(),
        activities: BTreeMap::new(),
        hooks: BTreeMap::new(),
        shared: BTreeSet::new(),
        readings: BTreeMap::new(),
        looked: Instant::now(),
    }
}

/// What Prometheus answered, to be changed.
pub(super) fn answers(facts: &mut Facts) -> &mut Answers {
    Arc::get_mut(&mut facts.answers).expect("nothing shares it")
}
