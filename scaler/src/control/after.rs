//! A group after the steps of an evaluation: as it was seen, with what was done since.
//!
//! Owns what each step makes of a group. Only reports read the result: the next evaluation looks again.

use super::execute::Done;
use crate::decide::decision::{Effect, Removal};
use crate::decide::observation::{Group, Instance, Lifecycle, Looks, Reading, Recycling};
use crate::units::{Capacity, InstanceId, Time};

/// Makes `group`, as an evaluation at `at` saw it, what it is after the steps that were performed.
pub(super) fn apply(group: &mut Group, done: &Done, at: Time) {
    for effect in &done.performed {
        step(group, effect, at);
    }
    // A cooldown starts even if its tag could not be written.
    group.scaled_out = if done.scaled_out { Some(at) } else { group.scaled_out };
    group.scaled_in = if done.scaled_in { Some(at) } else { group.scaled_in };
}

fn step(group: &mut Group, effect: &Effect, at: Time) {
    match effect {
        Effect::SetDesired { to, .. } => group.desired = *to,
        Effect::MarkDrain(id, drain) => {
            change(group, id, |it| (it.drain, it.ordered) = (Some(*drain), None));
        }
        Effect::ClearDrain(id) => {
            change(group, id, |it| (it.drain, it.ordered) = (None, None));
            // The group held no more of it than the tag.
            let is_left =
                |it: &Instance| it.id == *id && matches!(it.lifecycle, Lifecycle::Detached | Lifecycle::Gone);
            group.instances.retain(|it| !is_left(it));
        }
        Effect::StartDrain(id) => change(group, id, |it| takes_new_work(it, false)),
        Effect::StopDrain(id) => change(group, id, |it| takes_new_work(it, true)),
        Effect::Close(id, drain) => change(group, id, |it| {
            it.drain = Some(*drain);
            it.live.looks = Looks::TooEarly;
        }),
        Effect::Remove(id, removal, _) => {
            change(group, id, |it| it.lifecycle = Lifecycle::Terminating);
            if *removal == Removal::Terminate {
                group.desired = group.desired.minus(Capacity::ONE);
            }
        }
        Effect::Protect(ids) => ids.iter().for_each(|id| change(group, id, |it| it.protected = true)),
        Effect::Unprotect(ids) => ids.iter().for_each(|id| change(group, id, |it| it.protected = false)),
        Effect::MarkRecycling(desired) => {
            group.recycling = Some(Recycling { since: at, desired: *desired });
        }
        Effect::EndRecycling => group.recycling = None,
        Effect::MarkScaled(_) | Effect::ConfirmEmpty(_) | Effect::Heartbeat(_) => {}
    }
}

fn change(group: &mut Group, id: &InstanceId, how: impl FnOnce(&mut Instance)) {
    if let Some(instance) = group.instances.iter_mut().find(|it| it.id == *id) {
        how(instance);
    }
}

/// Notes the request that was accepted. No look has confirmed it yet.
fn takes_new_work(instance: &mut Instance, takes: bool) {
    instance.reported.draining = Some(!takes);
    instance.live.looks = Looks::TooEarly;
    if let Some(Reading::Answered { draining, .. }) = &mut instance.live.latest {
        *draining = !takes;
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::decide::decision::Condition;
    use crate::decide::observation::{Drain, DrainState, Live, Purpose};
    use crate::decide::policy::Direction;

    const AT: Time = Time::from_unix(1_000_000_000);

    fn id(number: u32) -> InstanceId {
        InstanceId::new(&format!("i-{number}"))
    }

    fn drain(state: DrainState) -> Drain {
        Drain { state, ..Drain::begun(Purpose::ScaleIn, AT) }
    }

    /// Three bridges, the first of which was read; the last has left, and its tag is there.
    fn seen() -> Group {
        let lifecycle = |number| if number == 2 { Lifecycle::Detached } else { Lifecycle::InService };
        let mut instances: Vec<_> =
            (0..3).map(|number| Instance::unknown(id(number), "a", lifecycle(number))).collect();
        let latest = Some(Reading::Answered { empty: true, draining: false, closing: false });
        instances[0].live = Live { latest, looks: Looks::Two };
        instances[2].drain = Some(drain(DrainState::Draining));
        Group::at_rest((Capacity::ONE, Capacity::of(9)), Capacity::of(2), instances)
    }

    fn after(performed: &[Effect]) -> Group {
        let mut group = seen();
        apply(&mut group, &Done { performed: performed.to_vec(), ..Done::default() }, AT);
        group
    }

    #[test]
    fn a_drain_that_began_is_shown_as_one() {
        let first =
            &after(&[Effect::MarkDrain(id(0), drain(DrainState::Draining)), Effect::StartDrain(id(0))])
                .instances[0];
        assert_eq!(first.drain, Some(drain(DrainState::Draining)));
        assert_eq!((first.reported.draining, first.live.looks), (Some(true), Looks::TooEarly));
        assert!(matches!(first.live.latest, Some(Reading::Answered { draining: true, .. })));
    }

    #[test]
    fn a_drain_that_was_cancelled_is_not_shown_as_one_of_an_operator() {
        let mut group = after(&[
            Effect::MarkDrain(id(0), drain(DrainState::Returning)),
            Effect::StopDrain(id(0)),
            Effect::ClearDrain(id(0)),
        ]);
        let first = group.instances.swap_remove(0);
        assert_eq!((first.drain, first.reported.draining), (None, Some(false)));
        assert!(matches!(first.live.latest, Some(Reading::Answered { draining: false, .. })));
    }

    #[test]
    fn a_tag_that_was_the_last_trace_leaves_none() {
        let ids: Vec<_> = after(&[Effect::ClearDrain(id(2))]).instances.into_iter().map(|it| it.id).collect();
        assert_eq!(ids, [id(0), id(1)]);
    }

    #[test]
    fn a_final_request_has_the_state_that_its_reply_gave_it() {
        let group = after(&[Effect::Close(id(0), drain(DrainState::Unclosable))]);
        let first = &group.instances[0];
        assert_eq!((first.drain, first.live.looks), (Some(drain(DrainState::Unclosable)), Looks::TooEarly));
    }

    #[test_case(Removal::Terminate, 1; "terminated")]
    #[test_case(Removal::Replace, 2; "replaced")]
    #[test_case(Removal::LetGo, 2; "let go")]
    fn what_was_removed_leaves(removal: Removal, desired: u32) {
        let group = after(&[Effect::Remove(id(1), removal, Condition::Empty)]);
        assert_eq!(
            (group.instances[1].lifecycle, group.desired),
            (Lifecycle::Terminating, Capacity::of(desired as usize))
        );
    }

    #[test]
    fn a_raise_and_its_cooldown_are_shown() {
        let raised = Effect::SetDesired { from: Capacity::of(2), to: Capacity::of(3) };
        let performed = vec![raised, Effect::MarkScaled(Direction::Out)];
        let mut group = seen();
        apply(&mut group, &Done { performed, scaled_out: true, ..Done::default() }, AT);
        assert_eq!((group.desired, group.scaled_out, group.scaled_in), (Capacity::of(3), Some(AT), None));
    }

    #[test]
    fn what_was_not_performed_changes_nothing() {
        assert_eq!(after(&[]), seen());
    }
}
