//! Ill instances are drained and replaced, a few at a time.

use super::decision::Cause;
use super::drain;
use super::observation::{Instance, Lifecycle, Purpose};
use super::policy::{Amount, Component};
use super::reasons::Reason;
use super::step::{Input, Step};
use super::victims::{is_serving, serving};
use crate::units::Capacity;

/// Begins the replacement of ill instances. If much of a group looks ill at once, the measurement is probably wrong.
/// That check counts the instances that look ill now: a wrong measurement does not show everywhere at the same moment,
/// and the first instances would be replaced before the others have looked ill for long enough.
pub(super) fn step(input: &Input<'_>) -> Step {
    let (fleet, group) = (input.fleet, input.group);
    let Some(replace) = fleet.replace else { return Step::default() };
    let in_service = || group.instances.iter().filter(|it| it.lifecycle == Lifecycle::InService);
    let begun = |it: &&Instance| it.drain.is_some_and(|drain| drain.purpose == Purpose::Replace);
    let (of, ill) = (in_service().count(), in_service().filter(|it| it.ill || it.looks_ill).count());
    let mut candidates: Vec<&Instance> = in_service()
        .filter(|it| it.ill && it.healthy && it.drain.is_none() && !it.reported.ambiguous)
        .filter(|it| it.in_service_since.is_some_and(|since| input.now.since(since) >= fleet.warmup))
        .collect();
    if candidates.is_empty() {
        return Step::default();
    }
    if ill > Amount::Share(replace.max_share).resolve(Capacity::of(of)).get() as usize {
        return Step::hold(vec![Reason::MostlyIll { ill, of }]);
    }
    let leaving = group.instances.iter().filter(|it| begun(it) || !it.healthy).count();
    let room = replace.max_in_flight.minus(Capacity::of(leaving).plus(input.figures.warming));
    if room == Capacity::ZERO {
        return Step::hold(vec![Reason::ReplaceBudget { ill: candidates.len() }]);
    }
    let serving = serving(fleet, group, input.now);
    // The oldest first; the order must not depend on that in which AWS lists them.
    candidates.sort_by(|a, b| (a.in_service_since, &a.id).cmp(&(b.in_service_since, &b.id)));
    let mut step = Step::default();
    for instance in candidates.into_iter().take(room.get() as usize) {
        let serves = fleet.component == Component::Jvb && is_serving(fleet, instance, input.now);
        if serves && serving <= Capacity::ONE {
            step.reasons.push(Reason::LastServing);
            break;
        }
        step.causes.push(Cause::Ill(instance.id.clone()));
        step.effects.push(drain::begin(fleet.component, &instance.id, Purpose::Replace, input.now));
    }
    step
}
