//! Reads the instances that a decision would drain, before it does.
//!
//! It only asks. Whether an answer lets an instance leave is for `decide` to say.

use futures::future::join_all;

use super::deps::{Deps, World};
use super::view::GroupView;
use crate::decide::decision::{Decision, Effect};
use crate::decide::observation::{Lifecycle, Live, Looks, Purpose, Reading};
use crate::units::InstanceId;

/// The instances whose drain a decision begins by choice, and that were not read at this evaluation.
pub(super) fn unread(view: &GroupView, decision: &Decision) -> Vec<InstanceId> {
    let begun = decision.effects.iter().flatten().filter_map(|effect| match effect {
        Effect::MarkDrain(id, drain) if matches!(drain.purpose, Purpose::ScaleIn | Purpose::Recycle) => {
            Some(id)
        }
        _ => None,
    });
    let instances = &view.observation.group.instances;
    let is_unread = |id: &&InstanceId| {
        instances.iter().any(|it| it.id == **id && it.drain.is_none() && it.live.latest.is_none())
    };
    begun.filter(is_unread).cloned().collect()
}

/// The instances in service whose drain an operator ordered.
pub(super) fn ordered(view: &GroupView) -> Vec<InstanceId> {
    let instances = view.observation.group.instances.iter();
    let ordered = instances.filter(|it| it.ordered.is_some() && it.lifecycle == Lifecycle::InService);
    ordered.map(|it| it.id.clone()).collect()
}

/// Whether a decision raises the group, so that old instances can be recycled.
pub(super) fn makes_room(decision: &Decision) -> bool {
    decision.effects.iter().flatten().any(|effect| matches!(effect, Effect::MarkRecycling(_)))
}

/// Reads instances, all at once. One without an address or an answer may carry anything.
pub(super) async fn read<W: World>(deps: &Deps<W>, view: &mut GroupView, ids: Vec<InstanceId>) {
    let GroupView { group, addresses, observation, .. } = view;
    let readings = join_all(ids.iter().map(async |id| {
        let answer = deps.components.read(addresses.get(id)?).await;
        answer.inspect_err(|error| deps.telemetry.instance_unseen(group, id.as_str(), error)).ok()
    }));
    for (id, reading) in ids.iter().zip(readings.await) {
        if let Some(instance) = observation.group.instances.iter_mut().find(|it| it.id == *id) {
            let latest = Some(reading.unwrap_or(Reading::Unknown));
            instance.live = Live { latest, looks: Looks::TooEarly };
        }
    }
}
