//! Drains under way: each is taken one step further, cancelled or ended.
//!
//! Owns what depends on the rest of the group. The steps of a single drain are [`super::drain`]'s.

use super::decision::Waiting;
use super::effect::{Condition, Effect};
use super::observation::{Drain, Group, Instance, Lifecycle, Purpose, Reading};
use super::policy::{Component, OnTimeout};
use super::step::{Input, Proposal};
use super::victims::serving;
use super::{drain, hooks, orders};
use crate::units::Capacity;

/// Takes every drain under way one step further, and clears what a crash left behind. An instance that an effect in
/// `planned` concerns already is left to that; one whose id several series carry only goes on being held by its hook.
pub(super) fn step(input: &Input<'_>, planned: &[Vec<Effect>]) -> Proposal {
    let group = input.group;
    let others = Others::of(input);
    let mut proposal = Proposal::default();
    for instance in &group.instances {
        let is_planned = || planned.iter().flatten().any(|it| it.instance() == Some(&instance.id));
        if instance.reported.ambiguous && instance.lifecycle != Lifecycle::Gone {
            proposal.extend(hooks::hold(input, instance));
            continue;
        }
        match instance.drain {
            None if instance.lifecycle == Lifecycle::Held && input.fleet.serves_hooks => {
                proposal.extend(hooks::begin(input, instance, others.none_serves));
            }
            Some(drain) if !is_planned() => proposal.extend(advance(input, instance, drain, others)),
            _ => {}
        }
    }
    proposal.reasons.extend(hooks::unknown(input));
    proposal
}

/// The drains under way, those that end next too, and those that were ordered.
pub(super) fn standing(input: &Input<'_>) -> Vec<Waiting> {
    let mut waiting = orders::waiting(input.group, input.now);
    waiting.extend(step(input, &[]).waiting);
    for instance in &input.group.instances {
        let is_told = waiting.iter().any(|it| it.instance == instance.id);
        let is_leaving = matches!(instance.lifecycle, Lifecycle::Terminating | Lifecycle::Gone);
        if let Some(drain) = instance.drain.filter(|_| !is_told && !is_leaving) {
            waiting.push(Waiting::of(input.group, instance, drain, input.now));
        }
    }
    waiting
}

/// What the bridges of a group that do not drain are able to take over. Jibris need no others.
#[derive(Clone, Copy)]
struct Others {
    /// No bridge is known to serve.
    none_serves: bool,
    /// None serves, although some report: they are ill.
    all_ill: bool,
}

impl Others {
    fn of(input: &Input<'_>) -> Self {
        let serving = || serving(input.fleet, input.group, input.now);
        let none_serves = input.fleet.component == Component::Jvb && serving() == Capacity::ZERO;
        Self { none_serves, all_ill: none_serves && input.figures.reporting > Capacity::ZERO }
    }
}

fn advance(input: &Input<'_>, instance: &Instance, drain: Drain, others: Others) -> Proposal {
    let (fleet, group, now) = (input.fleet, input.group, input.now);
    let is_held = instance.lifecycle == Lifecycle::Held;
    let must_stay = must_stay(group, instance, drain, others);
    let mut effects = drain::advance(fleet.component, instance, drain);
    let begins = effects.iter().any(|it| matches!(it, Effect::StartDrain(_)));
    let held_back = (drain::is_final(&effects) || (begins && others.none_serves)) && must_stay;
    if held_back {
        effects.clear();
    } else if others.none_serves && effects.iter().any(|it| matches!(it, Effect::Close(..))) {
        // While it shuts down, it would be the one bridge that Jicofo can use, for a minute.
        effects = drain::end(instance, drain.purpose, Condition::Empty);
    }
    let is_late = |timeout| drain.purpose != Purpose::Keep && now.since(drain.since) >= timeout;
    let limit = fleet.drain_limit.filter(|limit| is_late(limit.timeout));
    let on_timeout = limit.map(|limit| limit.then);
    // The clock that wrote the tag, or the one of this host, may be wrong; what ends a call counts the time that passed.
    let has_lasted = limit.is_some_and(|limit| instance.drains_for >= limit.timeout);
    let reversible = drain::reversible(fleet.component, instance);
    match (on_timeout, reversible) {
        (Some(OnTimeout::Undrain), Some(drain)) => effects = drain::cancel(&instance.id, drain),
        (Some(OnTimeout::Terminate), _) if has_lasted && !must_stay && is_leaving(instance, drain) => {
            effects = drain::end(instance, drain.purpose, Condition::Overdue);
        }
        (_, Some(drain)) if others.all_ill => effects = drain::cancel(&instance.id, drain),
        // People go on coming to it while no other bridge serves, so it would never be empty.
        _ if others.none_serves => {
            if let Some(drain) = drain::recovered(fleet.component, instance) {
                effects = drain::cancel(&instance.id, drain);
            }
        }
        _ => {}
    }
    let ends = effects.iter().any(|it| matches!(it, Effect::Remove(..)));
    // An instance that ends needs a heartbeat, too: if its removal fails, the hook must go on holding it.
    let heartbeat = is_held.then(|| hooks::heartbeat(group, instance)).flatten();
    let waits = !ends && !matches!(instance.lifecycle, Lifecycle::Terminating | Lifecycle::Gone);
    let waiting = waits.then(|| Waiting {
        held_back,
        overdue: on_timeout.is_some(),
        ..Waiting::of(group, instance, drain, now)
    });
    Proposal {
        waiting: waiting.into_iter().collect(),
        effects: heartbeat.into_iter().chain((!effects.is_empty()).then_some(effects)).collect(),
        ..Proposal::default()
    }
}

/// Whether the last step of a drain must wait: while AWS would not terminate, and while no other bridge is known to
/// serve. An ill bridge waits for others only while people may come to it.
fn must_stay(group: &Group, instance: &Instance, drain: Drain, others: Others) -> bool {
    let is_alone = others.none_serves;
    match (instance.lifecycle, drain.purpose) {
        // AWS takes it in any case, and with a desired capacity of 0 no bridge needs to serve.
        (Lifecycle::Held, _) => group.hook.is_none() || (is_alone && group.desired > Capacity::ZERO),
        (_, Purpose::Replace) if !drain.by_operator => {
            group.terminate_suspended || (is_alone && may_be_joined(group, instance))
        }
        _ => group.terminate_suspended || is_alone,
    }
}

/// Whether an instance leaves in any case. One in service that was drained because AWS would take it is still wanted.
fn is_leaving(instance: &Instance, drain: Drain) -> bool {
    match instance.lifecycle {
        Lifecycle::Held => true,
        // What an operator drains is waited for.
        Lifecycle::InService => drain.purpose != Purpose::Hook && !drain.by_operator,
        _ => false,
    }
}

/// Whether people may still come to a bridge that drains: it accepts them, and Jicofo has no other choice while the
/// others in service are silent. Others that look ill are not waited for, or a group of them would never recover.
fn may_be_joined(group: &Group, instance: &Instance) -> bool {
    let accepts = matches!(instance.live.latest, Some(Reading::Answered { closing: false, .. }));
    let may_recover =
        |it: &Instance| it.lifecycle == Lifecycle::InService && it.healthy && !it.ill && !it.looks_ill;
    accepts && group.instances.iter().any(|it| it.id != instance.id && may_recover(it))
}
