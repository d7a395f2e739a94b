//! What hooks hold where AWS cannot be read. A hook does not wait until it can: when its time is over AWS ends what it
//! held, with whoever is on it. All else needs a look first; a heartbeat only puts off, and of an instance that is not
//! held any more AWS refuses it.
//!
//! Owns what was last seen of groups with such instances. A scaler that starts while AWS cannot be read knows of none.

use std::collections::{HashMap, HashSet};

use futures::future::join_all;

use super::execute::{self, Done};
use super::gather::Sight;
use super::{Surroundings, World};
use crate::decide;
use crate::decide::observation::Lifecycle;
use crate::decide::policy::FleetPolicy;
use crate::telemetry::GroupRef;
use crate::units::{Capacity, InstanceId, Region, Time};

/// Groups in which hooks held instances when they were seen last.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<GroupRef, Sight>);

impl Held {
    /// Forgets groups, unless they are in a region that cannot be read.
    pub(super) fn forget(&mut self, unseen: &HashSet<Region>) {
        self.0.retain(|group, _| unseen.contains(&group.region));
    }

    /// Keeps what was seen, if a hook that is known holds anything.
    pub(super) fn note(&mut self, sight: Sight) {
        let group = &sight.observation.group;
        if group.hook.is_some() && group.instances.iter().any(|it| it.lifecycle == Lifecycle::Held) {
            self.0.insert(sight.group.clone(), sight);
        } else {
            self.0.remove(&sight.group);
        }
    }

    /// Has the hooks of groups in regions that cannot be read go on holding. `heartbeats` says when they were last told.
    pub(super) async fn hold_on<W: World>(
        &mut self,
        (fleet, around): (&FleetPolicy, &Surroundings<W>),
        unseen: &HashSet<Region>,
        heartbeats: &HashMap<InstanceId, Time>,
        at: Time,
    ) -> Vec<(GroupRef, Done)> {
        let hidden = self.0.iter_mut().filter(|(group, _)| unseen.contains(&group.region));
        let holding = hidden.map(|(group, sight)| async move {
            for instance in &mut sight.observation.group.instances {
                instance.heartbeat = heartbeats.get(&instance.id).copied().or(instance.heartbeat);
            }
            let effects = decide::hold_on(fleet, &sight.observation.group, at);
            (group.clone(), execute::perform(around, sight, effects, Capacity::ZERO, at).await)
        });
        join_all(holding).await
    }
}
