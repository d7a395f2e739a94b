//! Drains that an operator ordered and that have not begun.
//!
//! An instance serves as before until its drain begins. That waits for no cooldown and no policy, only for what would end the
//! service or the drain badly: another bridge must serve, the component must say what it carries, the minimum must hold,
//! and AWS must be able to end what is to end.

use std::borrow::Cow;

use super::decision::{Cause, Waiting};
use super::drain;
use super::effect::Effect;
use super::figures::figures;
use super::observation::{Bounds, Drain, DrainState, Group, Instance, Lifecycle, Purpose, Reading, Refresh};
use super::policy::{Component, FleetPolicy};
use super::reasons::Reason;
use super::stays::by_hand;
use super::step::Proposal;
use super::victims::is_serving;
use crate::units::Time;

/// Begins the ordered drains that may begin, the oldest order first. Returns the group as if they had begun, too, so that
/// the steps that follow count them.
pub(super) fn step<'a>(
    fleet: &FleetPolicy,
    seen: &'a Group,
    schedule: Bounds,
    now: Time,
) -> (Cow<'a, Group>, Proposal) {
    let mut group = Cow::Borrowed(seen);
    let mut proposal = Proposal::default();
    let mut ordered: Vec<_> = seen.instances.iter().filter_map(|it| Some((it, it.ordered?))).collect();
    ordered.sort_by(|(a, first), (b, second)| (first.since, &a.id).cmp(&(second.since, &b.id)));
    for (instance, order) in ordered {
        let id = &instance.id;
        match instance.lifecycle {
            // Nothing was asked of it, so nothing is to be taken back.
            Lifecycle::Detached | Lifecycle::Gone => {
                proposal.effects.push(vec![Effect::ClearDrain(id.clone())]);
                continue;
            }
            Lifecycle::InService => {}
            _ => continue,
        }
        let reasons = obstacles(fleet, &group, (instance, order), schedule, now);
        // An instance that does not say what it carries is reported by another step.
        let is_read = instance.live.latest.is_some_and(Reading::is_answer);
        if reasons.is_empty() && is_read && !instance.reported.ambiguous {
            let begun = Drain { since: now, state: DrainState::Draining, ..order };
            proposal.causes.push(Cause::Ordered(id.clone()));
            proposal.effects.push(drain::begin_as(fleet.component, id, begun));
            if let Some(begins) = group.to_mut().instances.iter_mut().find(|it| it.id == *id) {
                (begins.drain, begins.ordered) = (Some(begun), None);
            }
        }
        proposal.reasons.extend(reasons);
    }
    proposal.waiting = waiting(&group, now);
    (group, proposal)
}

/// The ordered drains of a group that have not begun.
pub(super) fn waiting(group: &Group, now: Time) -> Vec<Waiting> {
    let waits =
        |it: &&Instance| matches!(it.lifecycle, Lifecycle::Pending | Lifecycle::InService | Lifecycle::Aside);
    let ordered = group.instances.iter().filter(waits).filter_map(|it| Some((it, it.ordered?)));
    ordered.map(|(instance, order)| Waiting::of(group, instance, order, now)).collect()
}

/// Why an ordered drain may not begin in `group`, where those before it have begun.
fn obstacles(
    fleet: &FleetPolicy,
    group: &Group,
    (instance, order): (&Instance, Drain),
    schedule: Bounds,
    now: Time,
) -> Vec<Reason> {
    let figures = figures(fleet, group, schedule, now);
    let ends = order.purpose != Purpose::Keep;
    let others_serve = || group.instances.iter().any(|it| it.id != instance.id && is_serving(fleet, it, now));
    let refresh = match group.instance_refresh {
        Refresh::None | Refresh::NotAsked => None,
        Refresh::InProgress => Some(Reason::InstanceRefresh { known: true }),
        Refresh::Unknown => Some(Reason::InstanceRefresh { known: false }),
    };
    let reasons = [
        group.is_weighted.then_some(Reason::WeightedCapacity),
        (ends && group.terminate_suspended).then_some(Reason::TerminateSuspended),
        refresh.filter(|_| ends),
        (order.purpose == Purpose::ScaleIn && figures.capacity <= figures.limits.min)
            .then_some(Reason::Minimum),
        (fleet.component == Component::Jvb && !others_serve())
            .then(|| Reason::LastServing { by_hand: by_hand(group) }),
    ];
    reasons.into_iter().flatten().collect()
}
