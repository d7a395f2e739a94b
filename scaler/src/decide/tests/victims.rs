//! Which instances are chosen to leave.

use super::*;

#[test]
fn a_free_jibri_is_looked_at_tagged_and_then_asked_to_shut_down() {
    let mut observation = seen(5, steady(4.0));
    for (index, instance) in observation.group.instances.iter_mut().enumerate() {
        instance.reported.load = Some(if index == 0 { 1.0 } else { 0.0 });
        instance.reported.idle_for = Some(Duration::from_secs(60 * index as u64));
    }
    let mut fleet = jibris();
    fleet.victims = Victims {
        order: VictimOrder::LongestIdle,
        min_age: Duration::ZERO,
        idle_for: Duration::from_mins(2),
        only_idle: false,
    };
    let decision = decide(&fleet, &observation, NOW);
    assert_eq!(
        words(&decision),
        [
            "tag the scale-in",
            // No tag before it has answered: a second scaler that lags behind would overwrite the tag of the first.
            "check that i-4 is empty",
            "tag i-4 as asked (scale-in)",
            "ask i-4 to shut down gracefully"
        ]
    );
    for instance in &mut observation.group.instances {
        instance.reported.load = Some(1.0);
    }
    assert_held(&decide(&fleet, &observation, NOW), &["no_victim"]);
}

/// Five Jibris in a group whose ceiling is three: as many have expired as are too many, and two are free, which are just
/// enough.
#[test]
fn an_expired_jibri_leaves_no_fewer_free_ones() {
    let mut observation = seen(5, steady(2.0));
    observation.schedule.max = Some(capacity(3));
    for (number, instance) in observation.group.instances.iter_mut().enumerate() {
        instance.reported.load = Some(0.0);
        instance.reported.expired = number > 2;
    }
    let decision = decide(&jibris(), &observation, NOW);
    assert_eq!((decision.action, decision.desired), (Action::ScaleIn, capacity(3)));
    // Those that are free stay.
    observation.schedule.max = Some(capacity(2));
    let decision = decide(&jibris(), &observation, NOW);
    assert_eq!((decision.desired, reasons(&decision)), (capacity(3), vec!["forecast"]));
}

/// Five idle Jibris, of which the last has expired just now and is to be replaced.
#[test]
fn an_expired_jibri_goes_first_however_long_it_has_been_idle() {
    let mut observation = seen(5, steady(5.0));
    for instance in &mut observation.group.instances {
        (instance.reported.load, instance.reported.idle_for) = (Some(0.0), Some(Duration::from_mins(9)));
    }
    let last = &mut observation.group.instances[4];
    (last.ill, last.reported.expired, last.reported.idle_for) = (true, true, None);
    for order in
        [VictimOrder::LongestIdle, VictimOrder::Oldest, VictimOrder::Newest, VictimOrder::LeastLoaded]
    {
        let mut fleet = FleetPolicy { replace: Some(replace::replace()), ..jibris() };
        (fleet.victims.order, fleet.victims.idle_for) = (order, Duration::from_mins(5));
        let decision = decide(&fleet, &observation, NOW);
        let expected = [
            "tag the scale-in",
            "check that i-4 is empty",
            "tag i-4 as asked (scale-in)",
            "ask i-4 to shut down gracefully",
        ];
        assert_eq!(words(&decision), expected, "it is not replaced as well");
    }
}

#[test]
fn with_only_idle_a_bridge_in_use_stays() {
    let mut observation = seen(4, steady(10.0));
    let mut fleet = bridges();
    fleet.victims.only_idle = true;
    fleet.victims.order = VictimOrder::Oldest;
    for (index, instance) in (0_u8..).zip(&mut observation.group.instances) {
        instance.in_service_since = Some(NOW.before(Duration::from_hours(9 - u64::from(index))));
        instance.reported.load = Some(f64::from(u8::from(index < 2)));
    }
    assert_eq!(
        steps(&fleet, &observation),
        ["tag the scale-in", "tag i-2 as draining (scale-in)", "ask i-2 to drain"]
    );
    for load in [Some(1.0), None] {
        for instance in &mut observation.group.instances {
            instance.reported.load = load;
        }
        let decision = decide(&fleet, &observation, NOW);
        assert_eq!((decision.action, reasons(&decision)), (Action::Hold, vec!["no_victim"]));
    }
}

#[test]
fn among_equals_the_fullest_zone_loses_one_first() {
    let mut observation = seen(5, steady(1.0));
    let zones = ["b", "a", "a", "b", "a"];
    for (instance, zone) in observation.group.instances.iter_mut().zip(zones) {
        instance.reported.load = Some(0.0);
        zone.clone_into(&mut instance.zone);
    }
    // All that stay count, not only those that may go.
    observation.group.instances[1].in_service_since = Some(NOW.before(Duration::from_mins(30)));
    let mut fleet = bridges();
    fleet.victims.min_age = Duration::from_hours(1);
    rule_of(&mut fleet, Direction::In).adjustment = count(2);
    let decision = decide(&fleet, &observation, NOW);
    let chosen: Vec<_> = decision
        .effects
        .iter()
        .flatten()
        .filter_map(|effect| match effect {
            Effect::StartDrain(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    // Zone a holds three; after one of them both hold two, and the lower id decides.
    assert_eq!(chosen, ["i-2", "i-0"]);
}
