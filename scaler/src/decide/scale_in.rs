//! Less capacity: chosen instances begin to drain.

use super::capacity::{self, Limits};
use super::decision::Action;
use super::drain;
use super::effect::Effect;
use super::observation::{Purpose, Series};
use super::policy::{Component, Direction, Measures};
use super::reasons::Reason;
use super::stays::by_hand;
use super::step::{Input, Proposal, Room};
use super::victims;
use crate::units::Capacity;

/// Begins drains towards `wish`, the largest that any policy has, and in any case towards the maximum. A caller that has
/// not read the instance refreshes ([`super::observation::Refresh::NotAsked`]) reads them before it acts on this, and
/// decides again.
pub(super) fn step(input: &Input<'_>, wish: Capacity) -> Proposal {
    let figures = input.figures;
    let Limits { min, max } = figures.limits;
    let is_above = figures.capacity > max;
    // Cooldowns are of policies, and no policy keeps a group above its maximum.
    let mut reasons = if wish < max.min(figures.capacity) { cooldowns(input) } else { Vec::new() };
    reasons.extend((wish > figures.capacity).then_some(Reason::Maximum));
    let lowest = if is_above && !reasons.is_empty() { max } else { wish.min(max).max(min) };
    let mut obstacles: Vec<_> = (lowest >= figures.capacity).then_some(Reason::Minimum).into_iter().collect();
    obstacles.extend(victims::obstacles(input));
    let is_held = !obstacles.is_empty() || !(is_above || reasons.is_empty());
    reasons.extend(obstacles);
    if is_held {
        return Proposal::hold(reasons);
    }
    let room = removable(input, figures.capacity.minus(lowest), reasons);
    if room.count == Capacity::ZERO {
        return Proposal::hold(room.reasons);
    }
    let chosen = match victims::choose(input, room.count) {
        Ok(chosen) => chosen,
        Err(reason) => return Proposal::hold(room.close(reason).reasons),
    };
    let desired = figures.capacity.minus(Capacity::of(chosen.len()));
    let mut effects = vec![Effect::MarkScaled(Direction::In)];
    for id in chosen {
        effects.extend(drain::begin(input.fleet.component, id, Purpose::ScaleIn, input.now));
    }
    Proposal {
        action: Some((Action::ScaleIn, desired)),
        reasons: room.reasons,
        effects: vec![effects],
        ..Proposal::default()
    }
}

/// The cooldowns that hold back a scale-in: those of both directions, of every policy.
fn cooldowns(input: &Input<'_>) -> Vec<Reason> {
    let policies = 0..input.fleet.policies.len();
    policies
        .flat_map(|policy| [Direction::In, Direction::Out].map(|after| (policy, after)))
        .filter_map(|(policy, after)| input.cooldown(policy, after, Direction::In))
        .collect()
}

/// How many of `wanted` instances may go without ending the service or causing the next scale-out.
/// `reasons` say why they are not more already.
fn removable(input: &Input<'_>, wanted: Capacity, reasons: Vec<Reason>) -> Room {
    let fleet = input.fleet;
    let serving = victims::serving(fleet, input.group, input.now);
    let mut room = Room { count: wanted, reasons };
    if fleet.component == Component::Jvb {
        // Without a serving bridge Jicofo reports its whole shard unhealthy.
        room.count = wanted.min(serving.minus(Capacity::ONE));
        if room.count == Capacity::ZERO {
            return room.close(Reason::LastServing { by_hand: by_hand(input.group) });
        }
    }
    let expired = victims::expired(input);
    for (index, policy) in fleet.policies.iter().enumerate() {
        let value = input.observation.windows.get(index).and_then(Series::last);
        let has_forecast = policy.measures != Measures::Other && policy.rule(Direction::Out).is_some();
        if has_forecast && value.is_none() {
            return room.close(Reason::NoForecast { policy: index });
        }
        // Those go first, and leave as many free ones as there were.
        let expired =
            room.count.min(if policy.measures == Measures::Idle { expired } else { Capacity::ZERO });
        let most = capacity::removable(policy, value, serving, room.count.minus(expired)).plus(expired);
        room.limit(most, || Reason::Forecast { policy: index });
    }
    room
}
