//! More capacity: drains are cancelled before anything is launched.

use std::time::Duration;

use super::decision::{Action, Outcome};
use super::drain;
use super::effect::Effect;
use super::observation::Group;
use super::policy::Direction;
use super::reasons::Reason;
use super::step::{Input, Proposal, Room};
use crate::units::{Capacity, Time};

/// The first pause after a launch that failed; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause, because AWS does not announce when it has capacity again.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// Raises capacity to the largest wish that no cooldown holds back, and to the minimum in any case.
pub(super) fn step(input: &Input<'_>, policies: &[Outcome]) -> Proposal {
    let (group, figures) = (input.group, input.figures);
    let mut wish = figures.capacity;
    let mut reasons = Vec::new();
    for (index, outcome) in policies.iter().enumerate() {
        let Some(wanted) = outcome.wish.filter(|&wanted| wanted > figures.capacity) else { continue };
        match input.cooldown(index, Direction::Out, Direction::Out) {
            Some(reason) => reasons.push(reason),
            None => wish = wish.max(wanted),
        }
    }
    let mut target = Room { count: wish.max(figures.limits.min), reasons };
    target.limit(figures.limits.max, || Reason::Maximum);
    let mut reasons = target.reasons;
    let wanted = target.count.minus(figures.capacity);
    if wanted == Capacity::ZERO {
        return Proposal::hold(reasons);
    }

    let mut reversible: Vec<_> = group
        .instances
        .iter()
        .filter_map(|it| Some((&it.id, drain::reversible(input.fleet.component, it)?)))
        .collect();
    // The drain that began last has probably lost the least.
    reversible.sort_by(|(a_id, a), (b_id, b)| b.since.cmp(&a.since).then_with(|| a_id.cmp(b_id)));
    reversible.truncate(wanted.get() as usize);
    let returned = Capacity::of(reversible.len());
    let launches = launches(input, wanted.minus(returned));
    reasons.extend(launches.reasons);
    let added = returned.plus(launches.count);
    if added == Capacity::ZERO {
        return Proposal::hold(reasons);
    }

    let mut effects: Vec<_> = reversible.iter().map(|(id, drain)| drain::cancel(id, *drain)).collect();
    if launches.count > Capacity::ZERO {
        let to = figures.desired.plus(launches.count);
        let raise = Effect::SetDesired { from: figures.desired, to };
        effects.push(vec![raise, Effect::MarkScaled(Direction::Out)]);
    }
    let action = Some((Action::ScaleOut, figures.capacity.plus(added)));
    Proposal { action, reasons, effects, ..Proposal::default() }
}

/// How many of `wanted` instances may be launched.
fn launches(input: &Input<'_>, wanted: Capacity) -> Room {
    let mut room = Room::of(wanted);
    // Instances that drain fill the group up to its maximum.
    room.limit(input.figures.limits.max.minus(input.figures.desired), || Reason::Maximum);
    if input.group.launch_suspended {
        room.limit(Capacity::ZERO, || Reason::LaunchSuspended);
    }
    if let Some(reason) = failing_launches(input.group, input.now) {
        room.limit(Capacity::ZERO, || reason);
    }
    room
}

/// That AWS fails to launch what was requested, while no more is requested because of it. AWS goes on trying by itself;
/// desired capacity is never lowered because of it.
pub(super) fn failing_launches(group: &Group, now: Time) -> Option<Reason> {
    let failures = group.launch_failures.as_ref()?;
    let doublings = failures.count.saturating_sub(1).min(8);
    let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    let until = failures.last.min(now).after(pause);
    (now < until).then(|| Reason::LaunchFailing {
        count: failures.count,
        until,
        message: failures.message.clone(),
    })
}
