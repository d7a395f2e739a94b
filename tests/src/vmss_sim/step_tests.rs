//! The core over time, without sockets.

use super::model::{
    Cause, End, Eviction, LaunchFailures, Meeting, Orchestration, Protection, Provisioning, SetKey, Timing,
    Unverified,
};
use super::spec::SetSpec;
use super::state::{Cloud, SetChange};

const TIMING: Timing = Timing { launch: 10.0, boot: 10.0, delete: 10.0 };

struct World {
    cloud: Cloud,
    key: SetKey,
    now: f64,
}

impl World {
    /// A set at rest.
    fn new(spec: &SetSpec) -> Self {
        let (mut cloud, key) = (Cloud::new(1, TIMING), SetKey::new("rg", "jvb"));
        cloud.put_set(&key, spec, 0.0).expect("a good set");
        let mut world = Self { cloud, key, now: 0.0 };
        world.wait(30.0);
        world
    }

    fn wait(&mut self, seconds: f64) {
        for _ in 0..10 {
            self.now += seconds / 10.0;
            self.cloud.step(self.now);
        }
    }

    fn scale(&mut self, to: u32) -> Result<String, String> {
        let change = SetChange { capacity: Some(to), ..SetChange::default() };
        let begun = self.cloud.update(&self.key, change, self.now).map_err(|error| error.code)?;
        Ok(begun.expect("an operation"))
    }

    fn delete(&mut self, id: &str) -> Result<String, String> {
        self.cloud.delete(&self.key, &[id.to_owned()], self.now).map_err(|error| error.code)
    }

    fn end(&self, operation: &str) -> Option<Result<(), String>> {
        let end = self.cloud.operation(operation).expect("an operation").end.clone()?;
        Some(match end {
            End::Succeeded => Ok(()),
            End::Failed(error) | End::Canceled(error) => {
                Err(error.detail.map_or(error.code, |(code, _)| code))
            }
        })
    }

    fn capacity(&self) -> u32 {
        self.cloud.sets().get(&self.key).expect("a set").capacity
    }

    fn ids(&self) -> Vec<String> {
        let set = self.cloud.sets().get(&self.key).expect("a set");
        set.instances.iter().map(|instance| instance.id.clone()).collect()
    }

    fn vm_id(&self, id: &str) -> String {
        let set = self.cloud.sets().get(&self.key).expect("a set");
        set.instance(id).expect("an instance").vm_id.clone()
    }

    fn ended(&self, cause: Cause) -> u64 {
        self.cloud.counters().by_cause.get(cause.as_str()).map_or(0, |of| of.terminated)
    }
}

fn sized(capacity: u32, unverified: Unverified) -> SetSpec {
    SetSpec { capacity: Some(capacity), unverified, ..SetSpec::default() }
}

#[test]
fn a_delete_lowers_the_capacity_and_its_id_comes_back_with_another_machine() {
    let mut world = World::new(&sized(3, Unverified::default()));
    let before = world.vm_id("1");
    let delete = world.delete("1").expect("accepted");
    assert_eq!((world.end(&delete), world.capacity()), (None, 3), "accepted is not done");
    world.wait(12.0);
    assert_eq!((world.end(&delete), world.capacity(), world.ids().len()), (Some(Ok(())), 2, 2));
    let grow = world.scale(3).expect("accepted");
    world.wait(12.0);
    assert_eq!(world.end(&grow), Some(Ok(())));
    assert!(world.ids().contains(&"1".to_owned()) && world.vm_id("1") != before);
}

#[test]
fn a_later_change_meets_a_delete_in_one_of_three_ways() {
    for (meeting, kept, outcome) in [
        (Meeting::Conflict, 2, Some(Ok(()))),
        (Meeting::Preempt, 4, Some(Err("OperationPreempted".to_owned()))),
        (Meeting::Both, 3, Some(Ok(()))),
    ] {
        let mut world = World::new(&sized(3, Unverified { meeting, ..Unverified::default() }));
        let delete = world.delete("0").expect("accepted");
        world.wait(2.0);
        let grow = world.scale(4);
        assert_eq!(grow.is_err(), meeting == Meeting::Conflict, "{meeting:?}: {grow:?}");
        world.wait(30.0);
        assert_eq!(world.end(&delete), outcome, "{meeting:?}");
        assert_eq!(world.ids().len(), kept, "{meeting:?}");
    }
}

#[test]
fn a_capacity_below_the_present_one_takes_instances_of_azures_choice() {
    let mut world = World::new(&sized(4, Unverified::default()));
    for id in ["2", "3"] {
        let protection = Protection { protect_from_scale_in: true, ..Protection::default() };
        world.cloud.protect(&world.key.clone(), id, protection, false, world.now).expect("an instance");
    }
    world.scale(2).expect("accepted");
    world.wait(12.0);
    assert_eq!((world.ids(), world.ended(Cause::Victim)), (vec!["2".to_owned(), "3".to_owned()], 2));
}

#[test]
fn a_launch_that_fails_leaves_a_machine_without_power_or_nothing() {
    for listed in [true, false] {
        let unverified =
            Unverified { failure_stays_listed: listed, failure_lowers: !listed, ..Unverified::default() };
        let mut world = World::new(&sized(1, unverified));
        let failures = LaunchFailures { left: 1, ..LaunchFailures::default() };
        world.cloud.fail_launches(&world.key.clone(), failures).expect("a set");
        let grow = world.scale(2).expect("accepted");
        world.wait(12.0);
        assert_eq!(world.end(&grow), Some(Err("AllocationFailed".to_owned())));
        let set = world.cloud.sets().get(&world.key).expect("a set");
        let failed = set.instances.iter().filter(|it| it.provisioning == Provisioning::Failed).count();
        assert_eq!((failed, world.capacity()), (usize::from(listed), if listed { 2 } else { 1 }));
        assert!(set.instances.iter().all(|it| it.power.is_some() || it.failure.is_some()));
    }
}

#[test]
fn a_quota_refuses_the_whole_step_now_or_later() {
    for at_once in [true, false] {
        let unverified = Unverified { quota_at_once: at_once, ..Unverified::default() };
        let mut world = World::new(&SetSpec { quota: Some(3), ..sized(2, unverified) });
        match world.scale(5) {
            Err(code) => assert!(at_once && code == "OperationNotAllowed", "{code}"),
            Ok(operation) => {
                world.wait(12.0);
                assert!(!at_once);
                assert_eq!(world.end(&operation), Some(Err("OperationNotAllowed".to_owned())));
            }
        }
        assert_eq!((world.capacity(), world.ids().len()), (2, 2));
    }
}

#[test]
fn overprovisioned_instances_appear_and_vanish() {
    let mut world = World::new(&SetSpec { overprovision: true, ..sized(0, Unverified::default()) });
    world.scale(4).expect("accepted");
    world.wait(5.0);
    assert_eq!((world.ids().len(), world.capacity()), (5, 4));
    world.wait(20.0);
    assert_eq!((world.ids().len(), world.capacity(), world.ended(Cause::Overprovisioned)), (4, 4, 1));
}

#[test]
fn an_evicted_instance_stays_deallocated_or_takes_its_capacity_along() {
    for (eviction, left) in [(Eviction::Deallocate, 2), (Eviction::Delete, 1)] {
        let mut world = World::new(&SetSpec { spot: Some(eviction), ..sized(2, Unverified::default()) });
        world.cloud.evict(&world.key.clone(), "1").expect("a Spot set");
        assert_eq!((world.ids().len(), world.capacity()), (left, u32::try_from(left).expect("few")));
        assert_eq!(world.ended(Cause::Evicted), 1);
    }
}

#[test]
fn a_machine_of_a_flexible_set_that_is_deleted_beside_it_leaves_the_capacity() {
    let spec = SetSpec { orchestration: Orchestration::Flexible, ..sized(3, Unverified::default()) };
    let mut world = World::new(&spec);
    let id = world.ids()[0].clone();
    assert_eq!(id.len(), "jvb_".len() + 8);
    world.cloud.lose(&world.key.clone(), &id).expect("an instance");
    assert_eq!((world.ids().len(), world.capacity()), (2, 3));
    world.scale(4).expect("accepted");
    world.wait(12.0);
    assert_eq!(world.ids().len(), 3, "only the difference of the capacities is added");
}

#[test]
fn no_instance_id_at_all_is_refused_and_a_gone_one_too() {
    let mut world = World::new(&sized(1, Unverified::default()));
    let none = world.cloud.delete(&world.key.clone(), &[], world.now).map_err(|error| error.code);
    assert_eq!(none, Err("InvalidParameter".to_owned()));
    assert_eq!(world.delete("7"), Err("InstanceIdsListInstanceIdNotActiveVM".to_owned()));
}

#[test]
fn the_core_knows_no_socket_no_task_and_no_clock() {
    for (name, source) in [
        ("error", include_str!("error.rs")),
        ("model", include_str!("model.rs")),
        ("spec", include_str!("spec.rs")),
        ("state", include_str!("state.rs")),
        ("step", include_str!("step.rs")),
        ("tags", include_str!("tags.rs")),
    ] {
        for forbidden in ["tokio", "axum", "reqwest", "tracing::", "std::time", "std::net", "Timestamp::now"]
        {
            assert!(!source.contains(forbidden), "{name}.rs mentions {forbidden}");
        }
    }
}
