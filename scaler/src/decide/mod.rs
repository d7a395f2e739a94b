//! The heart: what was seen → what to do, and why.
//!
//! One synchronous function of its arguments, called by the service, by `plan` and by the simulation. Invariants, each
//! held by a test: it imports nothing but std and this crate's units; it has no clock, no logging and no I/O; it only
//! ever raises desired capacity, and lowers it one drained instance at a time; missing data never scales in.

use crate::units::{InstanceId, Time};

pub mod alarm;
pub mod capacity;
pub mod decision;
mod drain;
mod effect;
mod figures;
mod hooks;
pub mod observation;
mod orders;
pub mod policy;
mod protect;
mod reasons;
mod recycle;
mod replace;
mod scale_in;
mod scale_out;
mod stays;
mod step;
mod under_way;
mod victims;
mod wishes;

#[cfg(test)]
mod tests;

use decision::{Decision, Effect, Figures, Waiting};
use figures::figures;
use observation::{Group, Instance, Observation};
use policy::FleetPolicy;
use reasons::Reason;
use stays::Stay;
use step::{Input, Proposal};

/// Decides for one group. `observation.windows` has one series per policy, in the same order; a policy without a series
/// counts as one without data.
pub fn decide(fleet: &FleetPolicy, observation: &Observation, now: Time) -> Decision {
    // Orders of people come first: whatever follows counts the drains that begin now as begun.
    let (group, orders) = orders::step(fleet, &observation.group, observation.schedule, now);
    let group = &*group;
    let figures = figures(fleet, group, observation.schedule, now);
    let input = Input { fleet, observation, group, figures, now };

    // Policies: the window of each gives a verdict and the capacity that it wants. The largest wish wins.
    let (policies, reasons) = wishes::judge(&input);
    let wish = policies.iter().filter_map(|outcome| outcome.wish).max().unwrap_or(figures.capacity);
    let mut decision = Decision::hold(figures, policies);
    decision.add(orders);
    if group.is_weighted {
        // In numbers of instances this capacity means nothing, so nothing changes it.
        decision.add(Proposal::hold(vec![Reason::WeightedCapacity]));
    } else {
        decision.add(Proposal::hold(reasons));
        // Launches that fail are reported even where no more are wanted.
        decision.add(Proposal::hold(scale_out::failing_launches(group, now).into_iter().collect()));
        // Instances whose state is unknown are reported too; they cannot be drained.
        decision.add(Proposal::hold(victims::unclear(group)));
        // Scale out where any policy wants more or the minimum is not met; drains are cancelled before instances are
        // launched. Scale in where every policy that has a say wants less, and above the maximum in any case; the
        // chosen instances begin to drain.
        let is_above = figures.capacity > figures.limits.max;
        decision.add(if figures.capacity < figures.limits.min || (wish > figures.capacity && !is_above) {
            scale_out::step(&input, &decision.policies)
        } else if wish < figures.capacity || is_above {
            scale_in::step(&input, wish)
        } else {
            Proposal::default()
        });
        // Recycle old instances, if no policy changes capacity now.
        decision.add(recycle::step(&input, decision.action));
        // Replace ill instances.
        decision.add(replace::step(&input, &decision.effects));
    }
    // Take the drains under way further, except those that the steps above cancel, and begin those of instances that
    // a hook holds.
    decision.add(under_way::step(&input, &decision.effects));
    // Protect busy instances from scale-in by AWS.
    decision.add(protect::step(&input));
    decision
}

/// A group as it stands, whatever is decided about it: in numbers, and its drains.
#[must_use]
pub fn standing(fleet: &FleetPolicy, observation: &Observation, now: Time) -> (Figures, Vec<Waiting>) {
    let group = &observation.group;
    let figures = figures(fleet, group, observation.schedule, now);
    (figures, under_way::standing(&Input { fleet, observation, group, figures, now }))
}

/// The instance that a scale-in would take first now, if any may leave.
#[must_use]
pub fn next_victim<'a>(fleet: &FleetPolicy, group: &'a Group, now: Time) -> Option<&'a InstanceId> {
    victims::first(fleet, group, now)
}

/// The instances that somebody drains at their own interface.
#[must_use]
pub fn drained_by_hand(group: &Group) -> Vec<InstanceId> {
    stays::by_hand(group)
}

/// Why a scale-in may not choose an instance; `None` if it may.
#[must_use]
pub fn stay(fleet: &FleetPolicy, instance: &Instance, now: Time) -> Option<Stay> {
    stays::stays(fleet, instance, now)
}

/// The instances that a scale-in may choose among, whatever else holds it back.
#[must_use]
pub fn candidates(fleet: &FleetPolicy, group: &Group, now: Time) -> Vec<InstanceId> {
    group.instances.iter().filter(|it| victims::is_eligible(fleet, it, now)).map(|it| it.id.clone()).collect()
}

/// The heartbeats that are due for the instances that a hook holds: all that is done for a group between two evaluations,
/// and while it cannot be seen. `group` was seen last.
#[must_use]
pub fn heartbeats(fleet: &FleetPolicy, group: &Group) -> Vec<Vec<Effect>> {
    hooks::heartbeats(fleet, group)
}

/// Whether an instance counts as ready: in service, past the warm-up, and neither drained by the scaler nor about to be
/// replaced by AWS.
#[must_use]
pub fn is_ready(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    stays::is_ready(fleet, instance, now)
}
