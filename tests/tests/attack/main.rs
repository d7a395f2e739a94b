//! Attacks on both built programs, on loopback: what comes from outside neither stops them nor slows them down.
//!
//! Each attack runs alone for a few seconds, then all that can run together do. `ATTACK_MINUTES` makes both longer. Every
//! load has a bound in connections, bytes and time, and ends with the test.

mod around;
mod clients;
mod hostile;
mod load;
mod scene;
mod watch;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use tokio::time::Instant;

use crate::load::Tally;
use crate::scene::{PERIOD, Scene};

/// The slowest answer of `/-/healthy` that is accepted. A debug build is some ten times slower, and shares its cores with
/// this process, Prometheus and whatever else a test machine does; it is to find what hangs.
const HEALTHY: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
/// The largest distance of two evaluations that is accepted, in periods; of debug builds for the same reason.
const APART: f64 = if cfg!(debug_assertions) { 3.0 } else { 1.5 };
/// The same while AWS does not answer, for evaluations that could not read the groups: a call is given up after 15 s.
const APART_WITHOUT_AWS: f64 = APART + 3.0;
/// While answers of Prometheus are large: a debug build takes seconds to read one of 60 MB.
const APART_WITH_LARGE_ANSWERS: f64 = if cfg!(debug_assertions) { 6.0 } else { APART };
/// The most resident memory that is accepted, in bytes.
const SCALER: u64 = 128 << 20;
const EXPORTER: u64 = 64 << 20;
/// The most that both may log in a minute, in bytes.
const LOGGED: usize = 8 << 20;
/// The time to end while everything hangs. Kubernetes kills after 30 s.
const ENDING: Duration = Duration::from_secs(25);

type Run = for<'s> fn(&'s Scene, Instant) -> LocalBoxFuture<'s, Tally>;

struct Attack {
    name: &'static str,
    run: Run,
    /// Its share of the time.
    share: f64,
    /// Whether it runs beside others: one that needs the whole allowance, or takes the files that others use, does not.
    together: bool,
    apart: f64,
}

macro_rules! attacks {
    ($($name:literal $run:path, $share:literal, $together:literal, $apart:expr;)+) => {
        [$(Attack {
            name: $name,
            run: |scene, until| $run(scene, until).boxed_local(),
            share: $share,
            together: $together,
            apart: $apart,
        }),+]
    };
}

fn attacks() -> Vec<Attack> {
    attacks! {
        "notifications of 60,000 alerts" clients::large_notifications, 2.0, true, APART;
        "notifications of nothing" clients::vain_notifications, 1.0, false, APART;
        "slow bodies to the scaler" clients::slow_bodies_scaler, 3.0, true, APART;
        "slow bodies to the exporter" clients::slow_bodies_exporter, 3.0, true, APART;
        "slow heads, idle connections" clients::slow_heads, 2.0, true, APART;
        "hanging probes" clients::hanging_probes, 3.0, true, APART;
        "failing targets" clients::failing_targets, 4.0, true, APART;
        "targets with hostile answers" clients::hostile_targets, 3.0, true, APART;
        "targets of clouds' credentials" clients::forbidden_targets, 0.5, true, APART;
        "odd and oversized requests" clients::odd_requests, 2.0, true, APART;
        "pages of other sites" clients::foreign_pages, 0.5, true, APART;
        "guessed passwords" clients::passwords, 1.0, true, APART;
        "a hostile Prometheus" around::hostile_prometheus, 6.0, true, APART_WITH_LARGE_ANSWERS;
        "a hostile AWS" around::hostile_aws, 6.0, false, APART_WITHOUT_AWS;
        "reloads and signals" around::reloads, 1.0, true, APART;
        "64 files, 200 idle clients" around::few_files, 2.0, false, APART;
        "no file may grow" around::full_files, 1.0, false, APART;
    }
    .into()
}

/// The lines of the report, and what broke a bound.
#[derive(Debug, Default)]
struct Report {
    text: String,
    broken: Vec<String>,
}

impl Report {
    fn add(&mut self, scene: &Scene, name: &str, apart: f64, tally: &Tally) -> Result<()> {
        let watches = &scene.watches;
        let mut slowest = Duration::ZERO;
        let mut latest = 0.0_f64;
        let mut largest = Vec::new();
        for (what, watch, most) in [
            ("scaler", &watches.scaler, SCALER),
            ("exporter", &watches.exporter, EXPORTER),
            ("scaler with users", &watches.guarded_scaler, SCALER),
            ("exporter with users", &watches.guarded_exporter, EXPORTER),
        ] {
            let (seen, memory) = watch.report()?;
            slowest = slowest.max(seen.slowest);
            let seen_apart = if apart < APART_WITHOUT_AWS { seen.apart } else { seen.tries_apart };
            let periods = seen_apart.as_secs_f64() / PERIOD.as_secs_f64();
            latest = latest.max(periods);
            largest.push(memory);
            if seen.failed > 0 {
                self.broken.push(format!(
                    "{name}: {what}: {} looks at /-/healthy failed: {}",
                    seen.failed, seen.failure
                ));
            }
            if seen.slowest > HEALTHY {
                self.broken.push(format!("{name}: {what}: /-/healthy took {:.1?}", seen.slowest));
            }
            if periods > apart {
                self.broken.push(format!("{name}: {what}: evaluations {periods:.2} periods apart"));
            }
            if memory > most {
                self.broken.push(format!("{name}: {what}: {} MB resident", memory >> 20));
            }
        }
        self.broken.extend(tally.wrong.iter().take(5).map(|wrong| format!("{name}: {wrong}")));
        let memory: Vec<String> = largest.iter().take(2).map(|bytes| format!("{:>3}", bytes >> 20)).collect();
        let line = format!(
            "{name:<32} {:>7} {:>8.2} s {latest:>9.2} {:>16}   {}\n",
            tally.sent,
            slowest.as_secs_f64(),
            memory.join(" / "),
            tally.shown()
        );
        // At once, so that a test that hangs has said where.
        std::io::stderr().write_all(line.as_bytes())?;
        self.text.push_str(&line);
        Ok(())
    }
}

/// The time of a unit of an attack's share: all together take two minutes by default.
fn unit(attacks: &[Attack]) -> Result<(Duration, Duration)> {
    let minutes = match std::env::var("ATTACK_MINUTES") {
        Ok(text) => text
            .parse::<f64>()
            .ok()
            .filter(|it| (0.5..=600.0).contains(it))
            .context("ATTACK_MINUTES: write 0.5 to 600")?,
        Err(_) => 1.8,
    };
    let shares: f64 = attacks.iter().map(|attack| attack.share).sum();
    let alone = Duration::from_secs_f64(minutes * 60.0 * 0.75);
    Ok((alone.div_f64(shares), alone / 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "its bounds need a machine without other work: tests/attack.sh runs it"]
async fn nothing_from_outside_stops_or_slows_the_programs() -> Result<()> {
    let attacks = attacks();
    let (unit, together) = unit(&attacks)?;
    let start = Instant::now();
    let scene = Scene::start().await?;
    let mut report = Report::default();
    writeln!(
        std::io::stderr(),
        "{:<32} {:>7} {:>10} {:>9} {:>16}   answers",
        "attack",
        "sent",
        "/-/healthy",
        "periods",
        "scaler/exp., MB"
    )?;
    report.add(&scene, "nothing", APART, &Tally::default())?;
    for attack in &attacks {
        let tally = (attack.run)(&scene, Instant::now() + unit.mul_f64(attack.share)).await;
        report.add(&scene, attack.name, attack.apart, &tally)?;
    }
    let until = Instant::now() + together;
    let runs = attacks.iter().filter(|attack| attack.together).map(|attack| (attack.run)(&scene, until));
    let mut all = Tally::default();
    for tally in join_all(runs).await {
        all.add(tally);
    }
    report.add(&scene, "those that can, together", APART, &all)?;
    scene.works().await.context("after all attacks")?;
    report.add(&scene, "nothing any more", APART, &Tally::default())?;
    let minutes = usize::try_from(start.elapsed().as_secs().div_ceil(60))?;
    let logged = scene.logged();
    if logged > LOGGED * minutes {
        report.broken.push(format!("{} MB of log in {minutes} minutes", logged >> 20));
    }
    let ended = scene.stop_scaler().await?;
    if ended > ENDING {
        report.broken.push(format!("the scaler took {ended:.1?} to end"));
    }
    let mut broken = String::new();
    for line in &report.broken {
        writeln!(broken, "- {line}")?;
    }
    ensure!(report.broken.is_empty(), "{}\nbroken:\n{broken}", report.text);
    Ok(())
}
