use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::super::{
    fault::Faults,
    instance::{Block, InstanceSpec},
    load::{Load, Profile},
    payload::statistics,
    settings::{Lengths, Settings},
    status::{Status, status},
};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A world of settled instances, one second old.
fn world(instances: &[(&str, ComponentKind)]) -> World {
    let mut world = World::new(Settings::compressed(), Block(20), jiff::Timestamp::UNIX_EPOCH);
    for (id, component) in instances {
        let spec = serde_json::from_value::<InstanceSpec>(json!({"component": component}));
        world.launch(Duration::ZERO, id, spec.expect("a spec")).expect("it launches");
    }
    world.advance(SECOND);
    world
}

fn record(world: &mut World, lasts: Duration) {
    let id = world.place_conference(world.now, "b-1", 3, 60.0).expect("the bridge takes it");
    world.record_conference(id, PlannedRecording { after: Duration::ZERO, lasts, upload: 2 * SECOND });
}

fn state_of(world: &World, id: &str) -> String {
    let Status { instances, .. } = status(world);
    let found = instances.into_values().flatten().find(|instance| instance.id == id);
    found.map_or_else(|| "gone".to_owned(), |instance| instance.state)
}

const ONE_BRIDGE_TWO_JIBRIS: [(&str, ComponentKind); 3] =
    [("b-1", ComponentKind::Jvb), ("r-1", ComponentKind::Jibri), ("r-2", ComponentKind::Jibri)];

#[test]
fn a_recording_just_before_the_shutdown_is_finished_with_its_upload() {
    let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
    record(&mut world, 3 * SECOND);
    world.shut_jibri_down(world.now, "r-1").expect("it runs");
    for (millis, expected) in
        [(3_000, "recording"), (5_000, "uploading"), (6_050, "exiting"), (7_000, "exited")]
    {
        world.advance(Duration::from_millis(millis));
        assert_eq!(state_of(&world, "r-1"), expected, "after {millis} ms");
    }
    assert_eq!((world.totals.recordings.completed, world.totals.recordings.cut), (1, 0));
}

#[test]
fn a_recording_just_after_the_shutdown_goes_to_another_jibri() {
    let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
    world.shut_jibri_down(world.now, "r-1").expect("it runs");
    record(&mut world, 3 * SECOND);
    assert_eq!(state_of(&world, "r-2"), "recording");
    // Its ports are closed, and Jicofo still takes it for an idle one.
    world.advance(world.now + world.settings.jibri_close_delay);
    assert_eq!(state_of(&world, "r-1"), "exiting");
    assert!(world.focus.available_jibris().count() == 1 && statistics(&world, "r-1").is_err());
    record(&mut world, 3 * SECOND);
    assert_eq!((world.totals.recordings.started, world.totals.recordings.refused), (1, 1));
    world.advance(world.now + world.settings.jibri_exit_delay + world.settings.presence_delay);
    assert_eq!((state_of(&world, "r-1").as_str(), world.focus.jibri_count()), ("exited", 1));
}

#[test]
fn recordings_go_to_the_jibri_that_was_unused_for_longest() {
    let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
    for (jibri, other) in [("r-1", "r-2"), ("r-2", "r-1"), ("r-1", "r-2")] {
        record(&mut world, SECOND);
        assert_eq!(
            (state_of(&world, jibri).as_str(), state_of(&world, other).as_str()),
            ("recording", "idle")
        );
        world.advance(world.now + 4 * SECOND);
    }
}

#[test]
fn the_calls_of_a_bridge_that_exits_regardless_are_moved() {
    let bridges = [("b-1", ComponentKind::Jvb), ("b-2", ComponentKind::Jvb), ("f-1", ComponentKind::Jicofo)];
    let mut world = world(&bridges);
    world.place_conference(SECOND, "b-1", 5, 60.0).expect("the bridge takes it");
    world.shut_bridge_down(SECOND, "b-1", false).expect("it runs");
    world.advance(2 * SECOND);
    let of = |id: &str| statistics(&world, id).expect("it runs");
    assert_eq!((&of("b-1")["local_endpoints"], &of("b-2")["local_endpoints"]), (&json!(0), &json!(5)));
    assert_eq!(of("f-1")["bridge_failures"]["participants_moved"], 5);
    let cut = world.terminate(2 * SECOND, "b-1").expect("it is there");
    assert_eq!(cut, Cut::default());
    assert_eq!(world.terminate(2 * SECOND, "b-2").expect("it is there").cut_participants, 5);
}

#[test]
fn a_world_whose_jicofos_are_down_takes_no_calls() {
    let mut world = world(&[("b-1", ComponentKind::Jvb), ("f-1", ComponentKind::Jicofo)]);
    let die = Faults { die: true, ..Faults::default() };
    world.set_faults(SECOND, "f-1", die).expect("it is there");
    let profile = Profile::Steady { conferences_per_minute: 60.0, duration_seconds: Some(60.0) };
    world.set_load(SECOND, &Load { profile, ..Load::default() }, 1).expect("a good load");
    world.advance(120 * SECOND);
    assert_eq!(world.totals.conferences.started, 0);
    assert!(world.totals.conferences.refused > 30);
}

/// Whatever is done to it, everything that began goes on or has met exactly one fate.
#[test]
fn nothing_is_lost_from_the_books() {
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
        let profile = Profile::Steady { conferences_per_minute: 120.0, duration_seconds: None };
        let lengths = Some(Lengths { recorded_share: 0.5, ..Lengths::default() });
        world.set_load(SECOND, &Load { profile, lengths, seed: None }, seed).expect("a good load");
        let mut ids: Vec<String> = ONE_BRIDGE_TWO_JIBRIS.map(|(id, _)| id.to_owned()).into();
        for step in 0..400 {
            let now = world.now + Duration::from_millis(rng.random_range(0..700));
            let id = ids[rng.random_range(0..ids.len())].clone();
            // Most of these are refused by most instances, which must not matter either.
            match rng.random_range(0..9) {
                0 => drop(world.terminate(now, &id)),
                1 => drop(world.set_drain(now, &id, rng.random())),
                2 => drop(world.shut_bridge_down(now, &id, rng.random_bool(0.8))),
                3 => drop(world.shut_jibri_down(now, &id)),
                4 => {
                    let (people_vanish, die) = (rng.random(), rng.random());
                    drop(world.set_faults(now, &id, Faults { people_vanish, die, ..Faults::default() }));
                }
                5 => drop(world.stop_recording(now, &id)),
                6 => drop(world.end_conferences(now, &id)),
                _ => {
                    let component = if rng.random() { ComponentKind::Jvb } else { ComponentKind::Jibri };
                    let spec = json!({"component": component, "boot_seconds": 0.5});
                    ids.push(format!("n-{step}"));
                    let spec = serde_json::from_value(spec).expect("a spec");
                    world.launch(now, &format!("n-{step}"), spec).expect("it launches");
                }
            }
            let now = status(&world);
            for (tally, what) in [(now.conferences, "conferences"), (now.recordings, "recordings")] {
                let ended = tally.completed + tally.cut + tally.lost;
                assert_eq!(tally.started, ended + tally.active as u64, "{what}, seed {seed}, step {step}");
            }
            let on_bridges: u32 = now.instances.values().flatten().map(|i| i.participants).sum();
            assert_eq!(now.participants.active, u64::from(on_bridges), "seed {seed}, step {step}");
        }
        assert!(world.totals.conferences.cut > 0 && world.totals.recordings.completed > 0, "seed {seed}");
    }
}

/// A world with the delays of real components.
fn real_time(instances: &[(&str, ComponentKind)]) -> World {
    let mut world = world(instances);
    world.settings = Settings::default();
    world.advance(11 * SECOND);
    world
}

fn call(world: &mut World, participants: u32) {
    let (at, lasts) = (Duration::ZERO, 600 * SECOND);
    world.arrive(Arrival { at, participants, lasts, changes: Vec::new(), recording: None });
}

fn people(world: &World, id: &str) -> u32 {
    let Status { instances, .. } = status(world);
    instances.into_values().flatten().filter(|it| it.id == id).map(|it| it.participants).sum()
}

const TWO_BRIDGES: [(&str, ComponentKind); 3] =
    [("b-1", ComponentKind::Jvb), ("b-2", ComponentKind::Jvb), ("f-1", ComponentKind::Jicofo)];

#[test]
fn jicofo_hears_of_a_drain_with_the_next_presence() {
    let mut world = real_time(&TWO_BRIDGES);
    // It is the more stressed one.
    world.place_conference(world.now, "b-2", 10, 600.0).expect("the bridge takes it");
    world.advance(world.now + 6 * SECOND);
    world.set_drain(world.now, "b-1", true).expect("it runs");
    call(&mut world, 4);
    assert_eq!(people(&world, "b-1"), 4, "Jicofo does not know yet");
    world.advance(world.now + Duration::from_millis(5_200));
    call(&mut world, 5);
    assert_eq!((people(&world, "b-1"), people(&world, "b-2")), (4, 15));
}

#[test]
fn a_bridge_takes_calls_while_it_shuts_down_until_jicofo_hears_of_it() {
    for others in [1, 0] {
        let mut world = real_time(if others == 1 { &TWO_BRIDGES } else { &[TWO_BRIDGES[0], TWO_BRIDGES[2]] });
        if others == 1 {
            world.place_conference(world.now, "b-2", 10, 600.0).expect("the bridge takes it");
            world.advance(world.now + 6 * SECOND);
        }
        world.shut_bridge_down(world.now, "b-1", true).expect("it runs");
        call(&mut world, 4);
        assert_eq!((state_of(&world, "b-1").as_str(), people(&world, "b-1")), ("shutting_down", 4));

        world.advance(world.now + Duration::from_millis(5_200));
        assert_eq!(people(&world, "b-1"), 0);
        // It is still counted as operational.
        let stats = statistics(&world, "f-1").expect("it runs");
        assert_eq!(stats["bridge_selector"]["operational_bridge_count"], 1 + others);
        assert_eq!(stats["bridge_failures"], json!({"participants_moved": 4, "bridges_removed": 0}));
        assert_eq!(stats["healthy"], others == 1);
        assert_eq!(world.totals.participants.lost, if others == 1 { 0 } else { 4 }, "no bridge, no call");
    }
}

#[test]
fn a_bridge_that_shuts_down_exits_after_a_minute_whatever_it_carries() {
    let mut world = real_time(&TWO_BRIDGES);
    world.shut_bridge_down(world.now, "b-1", true).expect("it runs");
    let asked = world.now;
    world.advance(asked + 30 * SECOND);
    world.set_drain(world.now, "b-1", false).expect("it runs");
    world.place_conference(world.now, "b-1", 3, 600.0).expect("the bridge takes it");
    world.advance(asked + 59 * SECOND);
    let stats = statistics(&world, "b-1").expect("it runs");
    assert_eq!((&stats["graceful_shutdown"], &stats["shutting_down"]), (&json!(true), &json!(true)));
    assert_eq!(stats["local_endpoints"], 3);
    world.advance(asked + 60 * SECOND);
    assert_eq!((state_of(&world, "b-1").as_str(), world.totals.participants.lost), ("exited", 3));
}

#[test]
fn people_who_vanish_hold_a_bridge_until_their_endpoints_expire() {
    let mut world = real_time(&TWO_BRIDGES);
    let vanish = Faults { people_vanish: true, ..Faults::default() };
    world.set_faults(world.now, "b-1", vanish).expect("it runs");
    world.place_conference(world.now, "b-1", 3, 10.0).expect("the bridge takes it");
    world.shut_bridge_down(world.now, "b-1", true).expect("it runs");
    let end = world.now + 10 * SECOND;
    for (second, endpoints, state) in
        [(0, 3, "graceful_shutdown"), (119, 3, "graceful_shutdown"), (120, 0, "shutting_down")]
    {
        world.advance(end + second * SECOND);
        assert_eq!(statistics(&world, "b-1").expect("it runs")["local_endpoints"], endpoints, "{second}");
        assert_eq!((state_of(&world, "b-1").as_str(), people(&world, "b-1")), (state, 0), "{second}");
    }
    assert_eq!(world.totals.conferences.completed, 1);
}

#[test]
fn other_work_on_the_host_is_stress() {
    let mut world = real_time(&TWO_BRIDGES);
    let busy = Faults { other_load: 1.1, ..Faults::default() };
    world.set_faults(world.now, "b-1", busy).expect("it runs");
    assert_eq!(statistics(&world, "b-1").expect("it runs")["stress_level"], 1.1);
    world.advance(world.now + 6 * SECOND);
    call(&mut world, 4);
    assert_eq!((people(&world, "b-1"), people(&world, "b-2")), (0, 4));
}

#[test]
fn a_jibri_whose_chrome_is_broken_looks_free_and_records_nothing() {
    let mut world = real_time(&[
        ("f-1", ComponentKind::Jicofo),
        ("b-1", ComponentKind::Jvb),
        ("r-1", ComponentKind::Jibri),
    ]);
    let broken = Faults { broken_chrome: true, ..Faults::default() };
    world.set_faults(world.now, "r-1", broken).expect("it runs");
    world.advance(world.now + SECOND);
    record(&mut world, 3 * SECOND);
    let stats = statistics(&world, "f-1").expect("it runs");
    assert_eq!(
        (&stats["jibri_detector"]["available"], &stats["jibri"]["total_recording_failures"]),
        (&json!(1), &json!(1))
    );
    let health = statistics(&world, "r-1").expect("it runs");
    assert_eq!(
        (&health["status"]["busyStatus"], &health["status"]["health"]["healthStatus"]),
        (&json!("IDLE"), &json!("HEALTHY"))
    );
    assert_eq!((world.totals.recordings.started, world.totals.recordings.refused), (0, 1));
}
