//! How many decisions per second one core makes for a group with two policies of ten points.
//! `cargo bench -p jitsi-scaler` prints them as items per second.

use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use jitsi_scaler::decide::decide;
use jitsi_scaler::decide::observation::{Bounds, Group, Instance, Lifecycle, Observation, Reported, Series};
use jitsi_scaler::decide::policy::{
    Adjustment, Amount, Comparison, Component, FleetPolicy, Measures, Missing, Operator, Policy, Rule, Rules,
    VictimOrder, Victims, Window,
};
use jitsi_scaler::units::{Capacity, InstanceId, Percent, Period, PolicyName, Time};

/// A grid point.
const NOW: Time = Time::from_unix(1_000_000_020);

/// The periods of every policy.
const PERIODS: u16 = 10;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn capacity(n: u32) -> Capacity {
    Capacity::try_new(n).expect("a capacity")
}

fn minute() -> Period {
    Period::try_new(Duration::from_mins(1)).expect("a minute")
}

fn rule(operator: Operator, threshold: f64) -> Rule {
    Rule {
        when: Comparison::try_new(operator, threshold).expect("finite"),
        window: Window::try_new(PERIODS, PERIODS).expect("a window"),
        missing: Missing::Hold,
        adjustment: Adjustment::By(Amount::Count(Capacity::ONE)),
        cooldown: Duration::from_mins(5),
    }
}

/// More than 100 for ten minutes adds one, less than 40 for ten minutes removes one.
fn policy(name: &str) -> Policy {
    Policy {
        name: PolicyName::new(name),
        period: minute(),
        measures: Measures::Load,
        rules: Rules::Threshold {
            scale_out: Some(rule(Operator::GreaterOrEqual, 100.0)),
            scale_in: Some(rule(Operator::LessOrEqual, 40.0)),
        },
    }
}

fn fleet() -> FleetPolicy {
    FleetPolicy {
        component: Component::Jvb,
        min: None,
        max: None,
        warmup: Duration::from_mins(3),
        min_reporting: Percent::try_new(80.0).expect("a share"),
        policies: vec![policy("network-out"), policy("stress")],
        victims: Victims {
            order: VictimOrder::LeastLoaded,
            min_age: Duration::ZERO,
            idle_for: Duration::ZERO,
            only_idle: false,
        },
        max_in_flight: Amount::Count(Capacity::ONE),
        drain_limit: None,
        serves_hooks: true,
        replace: None,
        protect_busy: false,
        recycle: None,
    }
}

fn instance(number: u32) -> Instance {
    let id = InstanceId::new(&format!("i-{number:017x}"));
    let zone = ["us-east-1a", "us-east-1b"][number as usize % 2];
    Instance {
        in_service_since: Some(Time::from_unix(999_000_000)),
        reported: Reported {
            up: true,
            healthy: Some(true),
            load: Some(f64::from(number)),
            expired: false,
            draining: Some(false),
            idle_for: None,
            ambiguous: false,
        },
        ..Instance::unknown(id, zone, Lifecycle::InService)
    }
}

/// A group of bridges with this value at every point of both windows, the room for gaps included.
fn seen(bridges: u32, value: f64) -> Observation {
    let points = vec![Some(value); policy("any").range()];
    let window = Series { end: NOW.floor(minute()), period: minute(), points, fresh: true, answered: true };
    Observation {
        windows: vec![window.clone(), window],
        group: Group::at_rest(
            (capacity(1), capacity(500)),
            capacity(bridges),
            (0..bridges).map(instance).collect(),
        ),
        schedule: Bounds::default(),
        may_recycle: false,
    }
}

fn decided(bencher: Bencher<'_, '_>, bridges: u32, value: f64) {
    let (fleet, observation) = (fleet(), seen(bridges, value));
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| decide(divan::black_box(&fleet), divan::black_box(&observation), NOW));
}

/// There is nothing to do, as at nearly every tick.
#[divan::bench(args = [4, 100], sample_size = 1000)]
fn hold(bencher: Bencher<'_, '_>, bridges: u32) {
    decided(bencher, bridges, 70.0);
}

/// Both policies are in alarm.
#[divan::bench(args = [4, 100], sample_size = 1000)]
fn scale_out(bencher: Bencher<'_, '_>, bridges: u32) {
    decided(bencher, bridges, 120.0);
}

/// Both policies want one less, and a victim is chosen.
#[divan::bench(args = [4, 100], sample_size = 1000)]
fn scale_in(bencher: Bencher<'_, '_>, bridges: u32) {
    decided(bencher, bridges, 20.0);
}
