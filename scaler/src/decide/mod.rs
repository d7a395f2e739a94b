//! The heart: what was seen → what is to be done, and why.
//!
//! One synchronous function of its arguments. The service, `plan` and the simulation call this same one. Invariants,
//! each held by a test: imports nothing but std and this crate's units; no clock, no logging, no I/O; desired capacity
//! is only ever raised, and lowered one drained instance at a time; nothing that was not seen can scale in.

use std::time::Duration;

use crate::units::{Capacity, InstanceId, Time};

pub mod alarm;
pub mod capacity;
pub mod decision;
mod drain;
mod effect;
pub mod observation;
pub mod policy;
mod scale_in;
mod upkeep;

#[cfg(test)]
mod tests;

use alarm::{Target, Verdict};
use capacity::Limits;
use decision::{Action, Block, Decision, Effect, Figures, Outcome};
use observation::{Bounds, Group, Instance, Lifecycle, Observation, Purpose, Refresh, Series};
use policy::{Component, Direction, FleetPolicy, Measures, Policy, Rules};

/// Decides for one group. `observation.windows` has one series per policy, in the same order; one that is missing is
/// taken for a policy without data.
pub fn decide(fleet: &FleetPolicy, observation: &Observation, now: Time) -> Decision {
    let group = &observation.group;
    let figures = figures(fleet, observation, now);
    let mut blocked = Vec::new();
    let policies: Vec<Outcome> = fleet
        .policies
        .iter()
        .enumerate()
        .map(|(index, policy)| outcome(policy, observation.windows.get(index), &figures, index, &mut blocked))
        .collect();
    let wish = policies.iter().filter_map(|outcome| outcome.wish).max().unwrap_or(figures.capacity);
    let mut decision = Decision {
        action: Action::Hold,
        current: figures,
        desired: figures.capacity,
        policies,
        blocked,
        waiting: Vec::new(),
        causes: Vec::new(),
        effects: Vec::new(),
    };
    tell_failing_launches(group, &mut decision, now);

    if wish > figures.capacity || figures.capacity < figures.limits.min {
        scale_out(fleet, group, &mut decision, now);
    } else if wish < figures.capacity {
        scale_in(fleet, observation, &mut decision, wish, now);
    }
    upkeep::recycle(fleet, observation, &mut decision, now);
    upkeep::replace(fleet, group, &mut decision, now);
    upkeep::advance_drains(fleet, group, &mut decision, now);
    upkeep::protect(fleet, group, &mut decision);
    decision
}

/// The instance that a scale-in would take first now, if any may go.
#[must_use]
pub fn next_victim<'a>(fleet: &FleetPolicy, group: &'a Group, now: Time) -> Option<&'a InstanceId> {
    scale_in::first(fleet, group, now)
}

/// What is done for a group that cannot be seen, of which `group` was seen last: nothing but that its hook holds on to
/// what it held.
#[must_use]
pub fn hold_on(fleet: &FleetPolicy, group: &Group, now: Time) -> Vec<Vec<Effect>> {
    upkeep::hold_on(fleet, group, now)
}

/// Whether an instance counts as ready: in service, past the warm-up, and nobody's to take away.
#[must_use]
pub fn is_ready(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    scale_in::is_ready(fleet, instance, now)
}

fn figures(fleet: &FleetPolicy, observation: &Observation, now: Time) -> Figures {
    let group = &observation.group;
    let configured = Bounds { min: fleet.min, max: fleet.max };
    let mut ready = 0;
    let mut reporting = 0;
    let mut draining = 0;
    let mut replaced = 0;
    let mut in_service_or_pending = 0;
    for instance in &group.instances {
        if !matches!(instance.lifecycle, Lifecycle::Pending | Lifecycle::InService) {
            continue;
        }
        in_service_or_pending += 1;
        let purpose = instance.drain.map(|drain| drain.purpose);
        if !instance.healthy || purpose == Some(Purpose::Replace) {
            // Another one comes in its place, and desired stays.
            replaced += 1;
        } else if purpose.is_some() {
            draining += 1;
        } else if scale_in::is_ready(fleet, instance, now) {
            ready += 1;
            reporting += usize::from(instance.reported.up);
        }
    }
    let not_launched = (group.desired.get() as usize).saturating_sub(in_service_or_pending);
    let warming = in_service_or_pending - ready - draining - replaced + not_launched;
    let draining = Capacity::of(draining);
    Figures {
        desired: group.desired,
        ready: Capacity::of(ready),
        reporting: Capacity::of(reporting),
        warming: Capacity::of(warming),
        draining,
        replaced: Capacity::of(replaced),
        limits: Limits::of((group.min, group.max), configured, observation.schedule),
        capacity: group.desired.minus(draining),
    }
}

fn outcome(
    policy: &Policy,
    series: Option<&Series>,
    figures: &Figures,
    index: usize,
    blocked: &mut Vec<Block>,
) -> Outcome {
    let unknown = |blocked: &mut Vec<Block>| {
        blocked.push(Block::Unknown { policy: index });
        let verdict = |direction| policy.acts(direction).then_some(Verdict::Unknown);
        Outcome {
            scale_out: verdict(Direction::Out),
            scale_in: verdict(Direction::In),
            wish: Some(figures.capacity),
        }
    };
    let Some(series) = series else { return unknown(blocked) };
    // An alert that nobody could ask for may well fire.
    if matches!(policy.rules, Rules::Alert { .. }) && !series.answered {
        return unknown(blocked);
    }
    let value = series.newest_real();
    let out = wish_out((policy, index), series, value, figures, blocked);
    let in_ = wish_in((policy, index), series, value, figures, blocked);
    let wish = match (out, in_) {
        (Some(out), _) if out.verdict == Verdict::Alarm && series.fresh => {
            Some(out.wish.max(figures.capacity))
        }
        (Some(out), _) if out.verdict == Verdict::Alarm => {
            blocked.push(Block::BetweenPoints { policy: index });
            Some(figures.capacity)
        }
        (Some(Target { verdict: Verdict::Unknown, .. }), _)
        | (_, Some(Target { verdict: Verdict::Unknown, .. })) => {
            blocked.push(Block::Unknown { policy: index });
            Some(figures.capacity)
        }
        (_, Some(in_)) => Some(in_.wish.min(figures.capacity)),
        (_, None) => None,
    };
    let verdict = |target: Option<Target>| target.map(|target| target.verdict);
    Outcome { scale_out: verdict(out), scale_in: verdict(in_), wish }
}

fn wish_out(
    (policy, index): (&Policy, usize),
    series: &Series,
    value: Option<f64>,
    figures: &Figures,
    blocked: &mut Vec<Block>,
) -> Option<Target> {
    if let Some(target_rule) = policy.target_rule(Direction::Out) {
        return Some(alarm::target_out(target_rule, series, figures.capacity));
    }
    let rule = policy.rule(Direction::Out)?;
    let verdict = alarm::scale_out(rule, series);
    if verdict != Verdict::Alarm {
        return Some(Target { verdict, wish: figures.capacity });
    }
    // While instances boot, what they will bring is already on its way: adjustments start from what is ready and never
    // add up.
    let booting = figures.warming > Capacity::ZERO;
    let base = if booting { figures.ready } else { figures.capacity };
    let Some(wish) = capacity::raised(rule, base, value) else {
        blocked.push(Block::NoStep { policy: index });
        return Some(Target { verdict, wish: figures.capacity });
    };
    let warming = Block::Warming(figures.warming);
    if booting && wish <= figures.capacity && !blocked.contains(&warming) {
        blocked.push(warming);
    }
    Some(Target { verdict, wish })
}

fn wish_in(
    (policy, index): (&Policy, usize),
    series: &Series,
    value: Option<f64>,
    figures: &Figures,
    blocked: &mut Vec<Block>,
) -> Option<Target> {
    if let Some(target_rule) = policy.target_rule(Direction::In) {
        return Some(alarm::target_in(target_rule, series, figures.capacity));
    }
    let rule = policy.rule(Direction::In)?;
    let verdict = alarm::scale_in(rule, series);
    let mut wish = figures.capacity;
    if verdict == Verdict::Alarm {
        match capacity::lowered(rule, figures.capacity, value) {
            Some(lowered) => wish = lowered,
            None => blocked.push(Block::NoStep { policy: index }),
        }
    }
    Some(Target { verdict, wish })
}

/// Raises capacity: to the largest wish that no cooldown holds back, and to the minimum in any case. Drains are
/// cancelled before anything is launched.
fn scale_out(fleet: &FleetPolicy, group: &Group, decision: &mut Decision, now: Time) {
    let figures = decision.current;
    let mut wish = figures.capacity;
    for (index, (policy, outcome)) in fleet.policies.iter().zip(&decision.policies).enumerate() {
        let (Some(cooldown), Some(wished)) = (policy.cooldown(Direction::Out), outcome.wish) else {
            continue;
        };
        if wished <= figures.capacity {
            continue;
        }
        match still_cooling(group.scaled_out, cooldown, now) {
            Some(until) => decision.blocked.push(Block::Cooldown {
                policy: index,
                after: Direction::Out,
                direction: Direction::Out,
                until,
            }),
            None => wish = wish.max(wished),
        }
    }
    wish = wish.max(figures.limits.min);
    if wish > figures.limits.max {
        decision.blocked.push(Block::Maximum);
        wish = figures.limits.max;
    }
    let wanted = wish.minus(figures.capacity);
    if wanted == Capacity::ZERO {
        return;
    }

    let mut reversible: Vec<_> = group
        .instances
        .iter()
        .filter_map(|it| Some((&it.id, drain::reversible(fleet.component, it)?)))
        .collect();
    // The drain that began last has probably lost the least.
    reversible.sort_by(|(a_id, a), (b_id, b)| b.since.cmp(&a.since).then_with(|| a_id.cmp(b_id)));
    reversible.truncate(wanted.get() as usize);
    let returned = Capacity::of(reversible.len());

    let mut launched = wanted.minus(returned);
    let room = figures.limits.max.minus(figures.desired);
    if launched > room {
        // Instances that drain fill the group up to its maximum.
        if !decision.blocked.contains(&Block::Maximum) {
            decision.blocked.push(Block::Maximum);
        }
        launched = room;
    }
    if launched > Capacity::ZERO && group.launch_suspended {
        decision.blocked.push(Block::LaunchSuspended);
        launched = Capacity::ZERO;
    }
    if decision.blocked.iter().any(|block| matches!(block, Block::LaunchFailing { .. })) {
        launched = Capacity::ZERO;
    }
    if returned.plus(launched) == Capacity::ZERO {
        return;
    }

    decision.action = Action::ScaleOut;
    decision.desired = figures.capacity.plus(returned).plus(launched);
    decision.effects.extend(reversible.iter().map(|(id, drain)| drain::cancel(id, *drain)));
    if launched > Capacity::ZERO {
        let to = figures.desired.plus(launched);
        let raise = Effect::SetDesired { from: figures.desired, to };
        decision.effects.push(vec![raise, Effect::MarkScaled(Direction::Out)]);
    }
}

/// Begins drains towards `wish`, which every policy wishes for or less. A caller that has not asked for instance
/// refreshes ([`Refresh::NotAsked`]) asks before it acts on this, and decides again.
fn scale_in(
    fleet: &FleetPolicy,
    observation: &Observation,
    decision: &mut Decision,
    wish: Capacity,
    now: Time,
) {
    let figures = decision.current;
    let group = &observation.group;
    let before = decision.blocked.len();
    for (index, policy) in fleet.policies.iter().enumerate() {
        for (last, after) in [(group.scaled_in, Direction::In), (group.scaled_out, Direction::Out)] {
            let Some(cooldown) = policy.cooldown(after) else { continue };
            if let Some(until) = still_cooling(last, cooldown, now) {
                let direction = Direction::In;
                decision.blocked.push(Block::Cooldown { policy: index, after, direction, until });
            }
        }
    }
    let lowest = wish.max(figures.limits.min);
    if lowest >= figures.capacity {
        decision.blocked.push(Block::Minimum);
    }
    obstacles(fleet, group, decision);
    if decision.blocked.len() > before {
        return;
    }
    let serving = scale_in::serving(fleet, group, now);
    let mut wanted = figures.capacity.minus(lowest);
    if fleet.component == Component::Jvb {
        // Without a serving bridge Jicofo reports its whole shard unhealthy.
        wanted = wanted.min(serving.minus(Capacity::ONE));
        if wanted == Capacity::ZERO {
            decision.blocked.push(Block::LastServing);
            return;
        }
    }
    for (index, policy) in fleet.policies.iter().enumerate() {
        let value = observation.windows.get(index).and_then(Series::last);
        let foresees = policy.measures != Measures::Other && policy.rule(Direction::Out).is_some();
        if foresees && value.is_none() {
            decision.blocked.push(Block::NoForecast { policy: index });
            return;
        }
        let bearable = capacity::bearable(policy, value, serving, wanted);
        if bearable < wanted {
            decision.blocked.push(Block::Forecast { policy: index });
            wanted = bearable;
        }
    }
    if wanted == Capacity::ZERO {
        return;
    }
    let victims = scale_in::victims(fleet, group, &figures, wanted, now, &mut decision.blocked);
    if victims.is_empty() {
        return;
    }
    decision.action = Action::ScaleIn;
    decision.desired = figures.capacity.minus(Capacity::of(victims.len()));
    let mut effects = vec![Effect::MarkScaled(Direction::In)];
    for id in victims {
        effects.extend(drain::begin(fleet.component, id, Purpose::ScaleIn, now));
    }
    decision.effects.push(effects);
}

/// What keeps any instance from being taken out now, whatever for.
fn obstacles(fleet: &FleetPolicy, group: &Group, decision: &mut Decision) {
    let figures = decision.current;
    if group.terminate_suspended {
        decision.blocked.push(Block::TerminateSuspended);
    }
    match group.instance_refresh {
        Refresh::None | Refresh::NotAsked => {}
        Refresh::InProgress => decision.blocked.push(Block::InstanceRefresh { known: true }),
        Refresh::Unknown => decision.blocked.push(Block::InstanceRefresh { known: false }),
    }
    if figures.warming > Capacity::ZERO {
        decision.blocked.push(Block::Warming(figures.warming));
    }
    let holds = figures.ready.plus(figures.draining).plus(figures.warming).plus(figures.replaced);
    if holds > figures.desired {
        decision.blocked.push(Block::Converging { holds, desired: figures.desired });
    }
    let share = |part: Capacity, whole: Capacity| f64::from(part.get()) * 100.0 / f64::from(whole.get());
    // With nothing ready the share is not a number, which no comparison accepts.
    let enough = share(figures.reporting, figures.ready) >= fleet.min_reporting.get();
    if !enough {
        let (reporting, ready) = (figures.reporting, figures.ready);
        decision.blocked.push(Block::DataQuality { reporting, ready });
    }
}

/// The first pause after a launch that failed; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause: capacity that AWS lacks comes back unannounced.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// Says that AWS fails to launch what it was asked for, and until when no more is asked for. AWS goes on trying by
/// itself; desired capacity is never lowered because of it.
fn tell_failing_launches(group: &Group, decision: &mut Decision, now: Time) {
    let Some(failures) = &group.launch_failures else { return };
    let doublings = failures.count.saturating_sub(1).min(8);
    let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    let until = failures.last.after(pause);
    if now < until {
        let (count, message) = (failures.count, failures.message.clone());
        decision.blocked.push(Block::LaunchFailing { count, until, message });
    }
}

/// Until when a cooldown that began at `last` holds, if it still does.
fn still_cooling(last: Option<Time>, cooldown: Duration, now: Time) -> Option<Time> {
    last.map(|last| last.after(cooldown)).filter(|&until| now < until)
}
