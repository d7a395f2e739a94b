//! A group as one evaluation sees it: what `decide` judges, and what performing its effects needs beside that.

use std::collections::{BTreeMap, HashMap};

use crate::cloud::tags;
use crate::config::Groups;
use crate::config::schedule::InForce;
use crate::decide::observation::{Lifecycle, Observation};
use crate::jitsi::Address;
use crate::telemetry::GroupRef;
use crate::units::{InstanceId, Time};

/// A group as one evaluation sees it.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) group: GroupRef,
    pub(super) observation: Observation,
    /// Who ordered drains in it.
    pub(super) asked: BTreeMap<InstanceId, tags::Asked>,
    /// The pause that is in force.
    pub(super) pause: Option<tags::Pause>,
    /// The schedules behind its bounds.
    pub(super) in_force: InForce,
    /// Since when it has held fewer instances than desired, as far as this process knows.
    pub(super) lacking_since: Option<Time>,
    /// Where its instances are reached. An instance is absent if its series is unknown or lacks a label.
    pub(super) addresses: HashMap<InstanceId, Address>,
}

impl GroupView {
    /// Whether a hook that is known holds one of its instances.
    pub(super) fn has_held(&self) -> bool {
        let group = &self.observation.group;
        group.hook.is_some() && group.instances.iter().any(|it| it.lifecycle == Lifecycle::Held)
    }
}

/// Selects one group alone.
pub(super) fn only(group: &GroupRef) -> Groups {
    Groups::Names(vec![group.name.clone()])
}
