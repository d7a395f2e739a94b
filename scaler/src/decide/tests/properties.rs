//! Properties that hold for any input.

use proptest::prelude::*;

use super::*;
use crate::decide::decision::{Condition, Removal};

fn any_point() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![1 => Just(None), 3 => (0.0..200.0f64).prop_map(Some)]
}

fn any_reading() -> impl Strategy<Value = Option<Reading>> {
    prop_oneof![
        Just(None),
        Just(Some(Reading::Unknown)),
        Just(Some(Reading::Refused)),
        (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(empty, draining, closing)| Some(Reading::Answered { empty, draining, closing })),
    ]
}

fn any_instance(index: u32) -> impl Strategy<Value = Instance> {
    let states = prop_oneof![
        Just(DrainState::Draining),
        Just(DrainState::Asked),
        Just(DrainState::Closed),
        Just(DrainState::Unclosable),
        Just(DrainState::Returning)
    ];
    let lifecycle = prop_oneof![
        6 => Just(Lifecycle::InService),
        1 => Just(Lifecycle::Pending),
        1 => Just(Lifecycle::Terminating),
        1 => Just(Lifecycle::Held),
    ];
    let purposes = prop_oneof![
        3 => Just(Purpose::ScaleIn),
        1 => Just(Purpose::Recycle),
        1 => Just(Purpose::Replace),
        1 => Just(Purpose::Hook)
    ];
    (
        lifecycle,
        0..2000u64,
        proptest::option::weighted(0.3, (states, purposes)),
        any_reading(),
        any_reading(),
        (any::<bool>(), proptest::bool::weighted(0.1), any::<bool>()),
    )
        .prop_map(move |(lifecycle, age, drain, previous, latest, (up, ill, protected))| {
            let mut it = instance(index);
            it.lifecycle = lifecycle;
            it.in_service_since = Some(NOW.before(Duration::from_secs(age)));
            it.reported.up = up;
            (it.ill, it.protected) = (ill, protected);
            it.drain = drain.map(|(state, purpose)| Drain { state, ..Drain::begun(purpose, LONG_AGO) });
            it.live = live(previous, latest);
            it
        })
}

/// Points that are mostly alike, so that there are alarms.
fn any_window() -> impl Strategy<Value = Vec<Option<f64>>> {
    let mostly =
        |value: f64| proptest::collection::vec(prop_oneof![8 => Just(Some(value)), 1 => any_point()], 3..6);
    prop_oneof![
        proptest::collection::vec(any_point(), 0..6),
        (0.0..40.0f64).prop_flat_map(mostly),
        (100.0..200.0f64).prop_flat_map(mostly),
    ]
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let ill = (0..8u32).map(any_instance).collect::<Vec<_>>();
    let well = (0..8u32).map(|index| Just(instance(index)).boxed()).collect::<Vec<_>>();
    let instances = prop_oneof![1 => ill, 1 => well];
    let tag =
        || proptest::option::weighted(0.2, (0..900u64).prop_map(|ago| NOW.before(Duration::from_secs(ago))));
    let bound = || proptest::option::weighted(0.2, (0..8u32).prop_map(capacity));
    let schedule = (bound(), bound()).prop_map(|(min, max)| Bounds { min, max });
    (instances, 1..9usize, 0..3u32, 0..4u32, 0..8u32, any_window(), tag(), tag(), schedule).prop_map(
        |(mut instances, keep, off, min, more, points, scaled_out, scaled_in, schedule)| {
            instances.truncate(keep);
            let mut observation = seen(1, series(&points));
            let desired = u32::try_from(keep).expect("few").saturating_add(off / 2);
            let group = &mut observation.group;
            group.instances = instances;
            group.min = capacity(min);
            group.max = capacity(min + more);
            group.desired = capacity(desired.clamp(min, min + more));
            group.scaled_out = scaled_out;
            group.scaled_in = scaled_in;
            group.hook = Some(hooks::hook());
            observation.schedule = schedule;
            observation.may_recycle = keep % 2 == 0;
            observation
        },
    )
}

fn any_fleet() -> impl Strategy<Value = FleetPolicy> {
    let bound = || proptest::option::weighted(0.3, (0..8u32).prop_map(capacity));
    (prop_oneof![Just(bridges()), Just(jibris())], bound(), bound()).prop_map(|(fleet, min, max)| {
        FleetPolicy {
            min,
            max,
            replace: Some(replace::replace()),
            protect_busy: true,
            recycle: Some(Duration::from_secs(1000)),
            ..fleet
        }
    })
}

proptest! {
    #[test]
    fn desired_is_only_raised_and_stays_within_limits(fleet in any_fleet(), observation in any_observation()) {
        let decision = decide(&fleet, &observation, NOW);
        for effect in decision.effects.iter().flatten() {
            if let Effect::SetDesired { from, to } = effect {
                prop_assert_eq!(*from, observation.group.desired);
                prop_assert!(to > from && *to <= observation.group.max);
            }
        }
        let Figures { capacity, limits, .. } = decision.current;
        prop_assert!(decision.desired <= capacity.max(limits.max));
        prop_assert!(decision.desired >= capacity.min(limits.min));
    }

    #[test]
    fn no_scale_in_begins_on_a_missing_point(fleet in any_fleet(), observation in any_observation()) {
        let decision = decide(&fleet, &observation, NOW);
        let begins = |effect: &Effect| {
            matches!(effect, Effect::MarkDrain(_, Drain { since: NOW, purpose: Purpose::ScaleIn, .. }))
        };
        if decision.effects.iter().flatten().any(begins) {
            let Figures { capacity, limits, .. } = decision.current;
            // A forecast needs one point; a policy that wants less needs all of them.
            let needed = if capacity > limits.max { 1 } else { 3 };
            prop_assert!(observation.windows[0].newest(needed).all(|point| point.is_some()));
            prop_assert!(decision.desired >= decision.current.limits.min);
        }
    }

    #[test]
    fn nothing_is_terminated_unless_it_was_asked_to_go_and_seen_empty(
        fleet in any_fleet(),
        observation in any_observation(),
    ) {
        let decision = decide(&fleet, &observation, NOW);
        for sequence in &decision.effects {
            for (place, effect) in sequence.iter().enumerate() {
                let Effect::Remove(id, removal, condition) = effect else { continue };
                prop_assert_eq!(*condition, Condition::Empty);
                let it = observation.group.instances.iter().find(|it| it.id == *id).expect("of this group");
                let state = it.drain.expect("a drain of the scaler").state;
                let exited = it.live.latest == Some(Reading::Refused) && it.live.looks == Looks::Two;
                let empty = it.live.latest.is_some_and(Reading::is_empty);
                let asked_now = sequence[..place].iter().any(|it| matches!(it, Effect::Close(asked, _) if asked == id));
                prop_assert_eq!(*removal == Removal::LetGo, it.lifecycle == Lifecycle::Held);
                prop_assert!(exited || empty);
                prop_assert!(it.live.looks == Looks::Two || (state == DrainState::Closed && it.live.looks == Looks::One));
                prop_assert!(!exited || matches!(state, DrainState::Asked | DrainState::Closed));
                prop_assert!(asked_now || matches!(state, DrainState::Asked | DrainState::Closed | DrainState::Unclosable));
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_answer(fleet in any_fleet(), observation in any_observation()) {
        prop_assert_eq!(decide(&fleet, &observation, NOW), decide(&fleet, &observation.clone(), NOW));
    }

    #[test]
    fn more_load_never_wants_less(observation in any_observation(), more in 0.0..100.0f64) {
        let fleet = bridges();
        let lower = decide(&fleet, &observation, NOW).desired;
        let mut higher = observation;
        for point in higher.windows[0].points.iter_mut().flatten() {
            *point += more;
        }
        prop_assert!(decide(&fleet, &higher, NOW).desired >= lower);
    }
}
