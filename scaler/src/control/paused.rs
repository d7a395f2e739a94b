//! A pause of a group, and what is still done meanwhile.
//!
//! A pause stops policies, and every step that cannot be undone. What a hook holds goes on being held, and drains that an
//! operator ordered begin and are cancelled as ordered: a person who asks for that during a pause wants it.

use super::deps::{Deps, World};
use super::view::GroupView;
use crate::cloud::tags::{self, Asked};
use crate::cloud::{Change, CloudError};
use crate::decide::decision::{Effect, Removal};
use crate::decide::observation::DrainState;
use crate::telemetry::GroupRef;
use crate::units::{InstanceId, Time};

/// Pauses a group until a time; without one, resumes it.
pub(super) async fn set<W: World>(
    deps: &Deps<W>,
    group: &GroupRef,
    (until, asked): (Option<Time>, &Asked),
) -> Result<(), CloudError> {
    let Deps { cloud, telemetry, .. } = deps;
    let (region, name) = (&group.region, &group.name);
    let key = tags::PAUSED;
    let value = until.map(|until| tags::paused_value(until, asked));
    let change = value.as_deref().map_or(Change::Untag { key }, |value| Change::Tag { key, value });
    let done = cloud.apply(region, name, change).await;
    let Asked { by, reason } = asked;
    match &done {
        Ok(()) => telemetry.pause_set(group, until, (by, reason)),
        Err(error) => telemetry.pause_failed(group, by, error),
    }
    done
}

/// The effects that are still performed. An instance that its hook was about to release is held for as long as the pause
/// lasts.
pub(super) fn left(effects: Vec<Vec<Effect>>, view: &GroupView) -> Vec<Vec<Effect>> {
    let (ordered, others): (Vec<_>, Vec<_>) = effects.into_iter().partition(|it| is_ordered(it, view));
    let held = others.into_iter().flatten().filter_map(|effect| match effect {
        Effect::Heartbeat(id) | Effect::Remove(id, Removal::LetGo, _) => Some(vec![Effect::Heartbeat(id)]),
        _ => None,
    });
    // No policy acts, so no cooldown begins.
    let ordered = ordered.into_iter().map(|mut sequence| {
        sequence.retain(|effect| !matches!(effect, Effect::MarkScaled(_)));
        sequence
    });
    held.chain(ordered).collect()
}

/// Whether a sequence begins or cancels a drain as an operator ordered, and can be undone as a whole.
fn is_ordered(sequence: &[Effect], view: &GroupView) -> bool {
    let by_operator = |id: &InstanceId| {
        let instance = view.observation.group.instances.iter().find(|it| it.id == *id);
        instance.and_then(|it| it.drain.or(it.ordered)).is_some_and(|drain| drain.by_operator)
    };
    sequence.iter().all(|effect| match effect {
        Effect::MarkDrain(id, drain) => {
            let is_final = matches!(drain.state, DrainState::Asked | DrainState::Closed);
            drain.by_operator && !is_final && by_operator(id)
        }
        Effect::StartDrain(id) | Effect::StopDrain(id) | Effect::ClearDrain(id) => by_operator(id),
        Effect::MarkScaled(_) => true,
        _ => false,
    }) && sequence.iter().any(|effect| effect.instance().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::stage;
    use crate::decide::decision::Condition;
    use crate::decide::observation::{Drain, Group, Instance, Lifecycle, Purpose};
    use crate::decide::policy::Direction;
    use crate::units::Capacity;

    fn id(number: u8) -> InstanceId {
        InstanceId::new(&format!("i-{number}"))
    }

    fn drain(by_operator: bool) -> Drain {
        Drain { by_operator, ..Drain::begun(Purpose::Keep, Time::from_unix(0)) }
    }

    /// Of the instances 0 and 1, the scaler drains the first and an operator the second.
    fn view() -> GroupView {
        let instances = (0..4).map(|number| Instance {
            drain: (number < 2).then(|| drain(number == 1)),
            ..Instance::unknown(id(number), "a", Lifecycle::InService)
        });
        let instances = instances.collect();
        stage::view("a", Group::at_rest((Capacity::ONE, Capacity::of(9)), Capacity::of(4), instances))
    }

    fn left(effects: Vec<Vec<Effect>>) -> Vec<Vec<Effect>> {
        super::left(effects, &view())
    }

    #[test]
    fn a_paused_group_is_only_kept_from_losing_what_a_hook_holds() {
        let effects = vec![
            vec![
                Effect::SetDesired { from: Capacity::of(1), to: Capacity::of(2) },
                Effect::MarkScaled(Direction::Out),
            ],
            vec![Effect::Heartbeat(id(1))],
            vec![Effect::ConfirmEmpty(id(2)), Effect::Remove(id(2), Removal::LetGo, Condition::Empty)],
            vec![Effect::Remove(id(3), Removal::Terminate, Condition::Empty)],
            vec![Effect::MarkDrain(id(0), drain(false)), Effect::StartDrain(id(0))],
            vec![Effect::StopDrain(id(0)), Effect::ClearDrain(id(0)), Effect::MarkScaled(Direction::Out)],
            vec![Effect::MarkScaled(Direction::In)],
        ];
        assert_eq!(left(effects), [vec![Effect::Heartbeat(id(1))], vec![Effect::Heartbeat(id(2))]]);
    }

    #[test]
    fn an_operator_drains_and_undrains_during_a_pause_but_nothing_ends() {
        let asked = drain(true).at(DrainState::Asked);
        let effects = vec![
            vec![Effect::MarkDrain(id(1), drain(true)), Effect::StartDrain(id(1))],
            vec![Effect::StopDrain(id(1)), Effect::ClearDrain(id(1)), Effect::MarkScaled(Direction::Out)],
            vec![Effect::MarkDrain(id(1), asked), Effect::Close(id(1), drain(true))],
            vec![Effect::MarkDrain(id(1), drain(true).at(DrainState::Closed))],
            vec![Effect::Remove(id(1), Removal::Replace, Condition::Empty)],
        ];
        let expected = [
            vec![Effect::MarkDrain(id(1), drain(true)), Effect::StartDrain(id(1))],
            vec![Effect::StopDrain(id(1)), Effect::ClearDrain(id(1))],
        ];
        assert_eq!(left(effects), expected);
    }
}
