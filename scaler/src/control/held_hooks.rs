//! What hooks hold where AWS cannot be read. A hook does not wait until it can: when its time is over AWS ends what it
//! held, with whoever is on it. All else needs a look first; a heartbeat only puts off, and of an instance that is not
//! held any more AWS refuses it.
//!
//! Owns what was last seen of groups with such instances. A scaler that begins while AWS cannot be read, or reads its
//! configuration anew or comes to lead then, knows of none.

use std::collections::{HashMap, HashSet};

use futures::future::join_all;

use super::execute::{self, Done};
use super::gather::GroupView;
use super::{Deps, World};
use crate::decide;
use crate::decide::observation::Lifecycle;
use crate::decide::policy::FleetPolicy;
use crate::telemetry::GroupRef;
use crate::units::{Capacity, InstanceId, Region, Time};

/// Groups in which hooks held instances when they were seen last.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<GroupRef, GroupView>);

impl Held {
    /// Forgets groups, unless they are in a region that cannot be read.
    pub(super) fn forget(&mut self, unseen: &HashSet<Region>) {
        self.0.retain(|group, _| unseen.contains(&group.region));
    }

    /// Keeps what was seen, if a hook that is known holds anything.
    pub(super) fn note(&mut self, view: GroupView) {
        let group = &view.observation.group;
        if group.hook.is_some() && group.instances.iter().any(|it| it.lifecycle == Lifecycle::Held) {
            self.0.insert(view.group.clone(), view);
        } else {
            self.0.remove(&view.group);
        }
    }

    /// Has the hooks of groups in regions that cannot be read go on holding, and tells how long they will. `heartbeats`
    /// says when they were last told.
    pub(super) async fn hold_on<W: World>(
        &mut self,
        (fleet, deps): (&FleetPolicy, &Deps<W>),
        unseen: &HashSet<Region>,
        heartbeats: &HashMap<InstanceId, Time>,
        at: Time,
    ) -> Vec<(GroupRef, Done)> {
        let hidden = self.0.iter_mut().filter(|(group, _)| unseen.contains(&group.region));
        let holding = hidden.map(|(group, view)| async move {
            let seen = &mut view.observation.group;
            for instance in &mut seen.instances {
                instance.heartbeat = heartbeats.get(&instance.id).copied();
            }
            deps.telemetry.held_unseen(group, seen, at);
            let effects = decide::heartbeats(fleet, seen, at);
            let done = execute::perform(deps, view, effects, Capacity::ZERO, at).await;
            // What AWS says is not held has gone.
            let gone = |id: &InstanceId| done.overtaken.iter().any(|effect| effect.instance() == Some(id));
            view.observation.group.instances.retain(|it| !gone(&it.id));
            (group.clone(), done)
        });
        join_all(holding).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schedule::InForce;
    use crate::decide::observation::{Bounds, Group, Hook, Instance, Observation};
    use crate::units::{FleetName, GroupName};
    use std::time::Duration;

    fn view(region: &str, lifecycle: Lifecycle, is_known: bool) -> GroupView {
        let group = GroupRef {
            fleet: FleetName::new("fleet"),
            region: Region::new(region),
            name: GroupName::new("group"),
        };
        let instances = vec![Instance::unknown(InstanceId::new("i-0"), "a", lifecycle)];
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        let hook = is_known.then(|| Hook { name: "drain".to_owned(), heartbeat: minute, limit: day });
        let group_seen =
            Group { hook, ..Group::at_rest((Capacity::ONE, Capacity::of(4)), Capacity::ONE, instances) };
        GroupView {
            group,
            observation: Observation {
                windows: Vec::new(),
                group: group_seen,
                schedule: Bounds::default(),
                may_recycle: false,
            },
            pause: None,
            in_force: InForce::default(),
            lacking_since: None,
            addresses: HashMap::new(),
        }
    }

    fn regions(held: &Held) -> Vec<&str> {
        let mut regions: Vec<_> = held.0.keys().map(|group| group.region.as_str()).collect();
        regions.sort_unstable();
        regions
    }

    #[test]
    fn what_a_known_hook_holds_is_kept_until_it_is_seen_otherwise() {
        let mut held = Held::default();
        held.note(view("a", Lifecycle::Held, true));
        held.note(view("b", Lifecycle::Held, false));
        held.note(view("c", Lifecycle::InService, true));
        assert_eq!(regions(&held), ["a"]);
        held.note(view("a", Lifecycle::InService, true));
        assert!(regions(&held).is_empty());
    }

    #[test]
    fn what_can_be_seen_is_not_remembered() {
        let mut held = Held::default();
        held.note(view("a", Lifecycle::Held, true));
        held.note(view("b", Lifecycle::Held, true));
        held.forget(&HashSet::from([Region::new("b")]));
        assert_eq!(regions(&held), ["b"]);
        held.forget(&HashSet::new());
        assert!(regions(&held).is_empty());
    }
}
