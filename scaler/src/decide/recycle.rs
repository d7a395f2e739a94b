//! Old instances are recycled: the group is raised by one, its oldest idle instance leaves, and so on.

use std::cmp::Reverse;

use super::decision::{Action, Cause};
use super::drain;
use super::effect::Effect;
use super::observation::{Instance, Purpose};
use super::policy::Component;
use super::reasons::Reason;
use super::step::{Input, Proposal};
use super::victims::{is_eligible, obstacles, serving};
use crate::units::Capacity;

/// Takes recycling one step further while old instances are left and its time lasts. Policies come first: what they
/// `decided` ends it or makes it wait.
pub(super) fn step(input: &Input<'_>, decided: Action) -> Proposal {
    let Some(max_age) = input.fleet.recycle else { return Proposal::default() };
    let (group, figures) = (input.group, input.figures);
    let under_way =
        group.instances.iter().any(|it| it.drain.is_some_and(|drain| drain.purpose == Purpose::Recycle));
    let is_raised = group.recycling.is_some_and(|it| figures.desired >= it.desired);
    let is_over = match decided {
        // The surplus instance is gone.
        _ if !is_raised && !under_way => true,
        // All capacity is wanted now, the surplus instance included.
        Action::ScaleOut => true,
        Action::ScaleIn => !under_way,
        Action::Hold => false,
    };
    if group.recycling.is_some() && is_over {
        return Proposal { effects: vec![vec![Effect::EndRecycling]], ..Proposal::default() };
    }
    let may_recycle = input.observation.may_recycle;
    if under_way || decided != Action::Hold || !(is_raised || may_recycle) {
        return Proposal::default();
    }
    let is_idle = |it: &&Instance| is_eligible(input.fleet, it, input.now) && it.reported.load == Some(0.0);
    let age =
        |it: &Instance| it.in_service_since.map_or_else(Default::default, |since| input.now.since(since));
    let oldest = group.instances.iter().filter(is_idle).max_by_key(|it| (age(it), Reverse(&it.id)));
    match oldest {
        Some(oldest) if may_recycle && age(oldest) >= max_age => {
            recycle(input, oldest, is_raised, Cause::Old(oldest.id.clone()))
        }
        Some(oldest) if is_raised => recycle(input, oldest, true, Cause::Surplus(oldest.id.clone())),
        None if is_raised => Proposal::hold(vec![Reason::RecycleWaits]),
        _ => Proposal::default(),
    }
}

/// Raises the group, or where it is raised already drains the instance.
fn recycle(input: &Input<'_>, instance: &Instance, is_raised: bool, cause: Cause) -> Proposal {
    let (fleet, group, figures) = (input.fleet, input.group, input.figures);
    let mut reasons = obstacles(input);
    let is_quiet = reasons.is_empty() && figures.draining == Capacity::ZERO;
    let to = figures.desired.plus(Capacity::ONE);
    if is_quiet && !is_raised && to > figures.limits.max {
        return Proposal::hold(vec![Reason::Maximum]);
    }
    let is_blocked = if is_raised {
        let is_alone = fleet.component == Component::Jvb && serving(fleet, group, input.now) <= Capacity::ONE;
        is_alone || figures.capacity <= figures.limits.min
    } else {
        group.launch_suspended || group.launch_failures.is_some()
    };
    if is_blocked || !is_quiet {
        reasons.push(Reason::RecycleWaits);
        return Proposal::hold(reasons);
    }
    let (action, cause, effects) = if is_raised {
        let effects = drain::begin(fleet.component, &instance.id, Purpose::Recycle, input.now);
        ((Action::ScaleIn, figures.capacity.minus(Capacity::ONE)), cause, effects)
    } else {
        let raise = Effect::SetDesired { from: figures.desired, to };
        let effects = vec![Effect::MarkRecycling(to), raise];
        ((Action::ScaleOut, figures.capacity.plus(Capacity::ONE)), Cause::RoomToRecycle, effects)
    };
    Proposal { action: Some(action), causes: vec![cause], effects: vec![effects], ..Proposal::default() }
}
