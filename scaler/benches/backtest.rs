//! How fast history is replayed. `cargo bench -p jitsi-scaler --bench backtest` prints ticks per second, and the most memory
//! that was in use; queries are not part of it.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use jitsi_scaler::backtest::column::Column;
use jitsi_scaler::backtest::run::{Assumptions, GroupHistory, Span, Yardstick};
use jitsi_scaler::backtest::tune::{Axis, Search};
use jitsi_scaler::config::variant::Variant;
use jitsi_scaler::config::{self, Config};
use jitsi_scaler::units::{GroupName, Period, Region, Time};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Monday, 2026-11-02.
const START: Time = Time::from_unix(1_793_577_600);

const CONFIG: &str = "
prometheus: {url: 'http://127.0.0.1:9090'}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [a]}
    capacity: {min: 2, max: 40}
    warmup: 3m
    policies:
      - name: stress
        expr: stress
        measures: load
        scale_out: {when: '> 0.6', periods: 3, add: 1, cooldown: 3m}
        scale_in: {when: '< 0.3', periods: 10, remove: 1, cooldown: 10m}
      - name: packets
        expr: packets
        measures: load
        scale_out: {when: '> 50e3', periods: 10, add: 1, cooldown: 3m}
        scale_in: {when: '< 20e3', periods: 10, remove: 1, cooldown: 10m}
    drain: {via: 'http://{private_ip}:8080'}
";

fn main() {
    divan::main();
}

fn config() -> Config {
    config::parse(CONFIG, Path::new("")).expect("a valid configuration")
}

fn span(days: u64) -> Span {
    Span { from: START, to: START.after(Duration::from_hours(24 * days)) }
}

/// A group of some ten bridges that was scaled by hand twice a day.
fn history(days: u64) -> GroupHistory {
    let minute = Period::try_new(Duration::from_mins(1)).expect("a period");
    let minutes = 0..=days * 24 * 60;
    let hour = |minute: u64| (minute as f64 / 60.0) % 24.0;
    let load =
        move |minute: u64| 1.5 + 8.0 * (((hour(minute) - 6.0) / 12.0) * std::f64::consts::PI).sin().max(0.0);
    let served = move |minute: u64| if (7.0..20.0).contains(&hour(minute)) { 16.0 } else { 6.0 };
    let column = |value: &dyn Fn(u64) -> f64| {
        Column::new(START, minute).with(minutes.clone().map(|it| Some(value(it))))
    };
    GroupHistory {
        name: GroupName::new("a"),
        region: Some(Region::new("us-east-1")),
        series: vec![
            column(&|minute| load(minute) / served(minute)),
            column(&|minute| load(minute) / served(minute) * 70e3),
        ],
        serving: column(&|minute| served(minute)),
        // As from Prometheus.
        reporting: Some(column(&|minute| served(minute))),
        desired: Some(column(&|minute| served(minute))),
        bounds: None,
    }
}

fn replay(config: &Config, history: &GroupHistory, days: u64) -> f64 {
    let fleet = &config.fleets[0];
    let outcome = history.replay(fleet, Yardstick::new(fleet, history), span(days), Assumptions::default());
    outcome.expect("history suffices").simulated.instance_hours
}

/// Ninety days of minutes of one group with two policies, on one core.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn ninety_days(bencher: Bencher<'_, '_>) {
    let (config, history) = (config(), history(90));
    bencher
        .counter(ItemsCount::new(90_usize * 24 * 60))
        .bench(|| replay(&config, divan::black_box(&history), 90));
}

/// A thousand combinations over a week of one group, on all cores.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn thousand_combinations(bencher: Bencher<'_, '_>) {
    let folder = std::env::temp_dir().join(format!("jitsi-scaler-bench-{}.yml", std::process::id()));
    std::fs::write(&folder, CONFIG).expect("a file");
    let variant = Variant::load(&folder).expect("a configuration");
    std::fs::remove_file(&folder).expect("the file of before");
    let config = variant.config().expect("a valid configuration");
    let history = history(7);
    let axes: Vec<Axis> = [
        "jvb.stress.scale_out.when=0.41..0.6/0.01",
        "jvb.stress.scale_in.when=0.1..0.28/0.02",
        "jvb.stress.scale_in.cooldown=5m,10m,15m,20m,30m",
    ]
    .map(|axis| axis.parse().expect("an axis"))
    .into();
    let groups = [(0, &history)];
    let search = Search {
        variant: &variant,
        present: &config,
        groups: &groups,
        span: span(7),
        assumptions: Assumptions::default(),
    };
    bencher.counter(ItemsCount::new(1_000_usize * 7 * 24 * 60)).bench(|| {
        let tuned = search.run(&axes, &AtomicBool::new(false), |_, _| {}).expect("an answer");
        assert_eq!(tuned.tried + tuned.refused, 1_000);
        tuned.front.len()
    });
}

/// A week of a thousand groups, on all cores.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn thousand_groups(bencher: Bencher<'_, '_>) {
    let (config, history) = (config(), history(7));
    let groups = vec![history; 1_000];
    bencher
        .counter(ItemsCount::new(1_000_usize * 7 * 24 * 60))
        .bench(|| groups.par_iter().map(|group| replay(&config, group, 7)).sum::<f64>());
}
