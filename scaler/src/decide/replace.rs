//! Ill instances are drained and replaced, a few at a time.

use super::decision::Cause;
use super::drain;
use super::effect::Effect;
use super::observation::{Instance, Lifecycle, Purpose};
use super::policy::{Amount, Component};
use super::reasons::Reason;
use super::stays::by_hand;
use super::step::{Input, Proposal};
use super::victims::is_serving;
use crate::units::Capacity;

/// Begins the replacement of ill instances. If much of a group looks ill at once, the measurement is probably wrong.
/// That check counts the instances that look ill now: a wrong measurement does not show everywhere at the same moment,
/// and the first instances would be replaced before the others have looked ill for long enough. It does not concern
/// expired Jibris, which say themselves that they are of no use. An instance that an effect in `planned` concerns already
/// is left to that.
pub(super) fn step(input: &Input<'_>, planned: &[Vec<Effect>]) -> Proposal {
    let (fleet, group) = (input.fleet, input.group);
    let Some(replace) = fleet.replace else { return Proposal::default() };
    let in_service = || group.instances.iter().filter(|it| it.lifecycle == Lifecycle::InService);
    let begun = |it: &&Instance| it.drain.is_some_and(|drain| drain.purpose == Purpose::Replace);
    let looks_ill = |it: &&Instance| (it.ill || it.looks_ill) && !it.reported.expired;
    let (of, ill) = (in_service().count(), in_service().filter(looks_ill).count());
    let is_replaced = |it: &Instance| !it.healthy && group.replaces_unhealthy;
    let is_planned = |it: &Instance| planned.iter().flatten().any(|effect| effect.instance() == Some(&it.id));
    let mut candidates: Vec<&Instance> = in_service()
        .filter(|it| it.ill && !is_replaced(it) && it.drain.is_none() && it.ordered.is_none())
        .filter(|it| !it.reported.ambiguous && !is_planned(it))
        .filter(|it| it.in_service_since.is_some_and(|since| input.now.since(since) >= fleet.warmup))
        .collect();
    let mut proposal = Proposal::default();
    let is_doubtful = ill > Amount::Share(replace.max_share).resolve(Capacity::of(of)).get() as usize;
    if is_doubtful && candidates.iter().any(looks_ill) {
        candidates.retain(|it| it.reported.expired);
        proposal.reasons.push(Reason::MostlyIll { ill, of });
    }
    if candidates.is_empty() {
        return proposal;
    }
    let leaving = group.instances.iter().filter(|it| begun(it) || is_replaced(it)).count();
    let room = replace.max_in_flight.minus(Capacity::of(leaving).plus(input.figures.warming));
    if room == Capacity::ZERO {
        proposal.reasons.push(Reason::ReplaceBudget { ill: candidates.len() });
        return proposal;
    }
    // The bridges that go on serving after the other steps of this decision.
    let stays = |it: &&Instance| is_serving(fleet, it, input.now) && !is_planned(it);
    let mut serving = group.instances.iter().filter(stays).count();
    // The oldest first; the order must not depend on that in which AWS lists them.
    candidates.sort_by(|a, b| (a.in_service_since, &a.id).cmp(&(b.in_service_since, &b.id)));
    for instance in candidates.into_iter().take(room.get() as usize) {
        let serves = fleet.component == Component::Jvb && is_serving(fleet, instance, input.now);
        if serves && serving <= 1 {
            proposal.reasons.push(Reason::LastServing { by_hand: by_hand(group) });
            break;
        }
        serving -= usize::from(serves);
        proposal.causes.push(Cause::Ill(instance.id.clone()));
        proposal.effects.push(drain::begin(fleet.component, &instance.id, Purpose::Replace, input.now));
    }
    proposal
}
