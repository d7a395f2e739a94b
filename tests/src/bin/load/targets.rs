//! Thousands of targets, each probed once per interval: memory of the exporter, and how much longer a probe takes than
//! its upstream. After each probe it requests the same target without the exporter; the difference is the exporter's
//! share. Both open a connection, because the exporter keeps none as long as an interval.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jitsi_tests::harness::Exporter;
use tokio::time::Instant;

use super::client::{Connection, Request};
use super::figures::{Sorted, processor, resident};
use super::nginx::Nginx;
use super::say::say;

/// Connections to the exporter. Each waits for one answer at a time, and mostly sleeps.
const CONNECTIONS: usize = 16;

/// The targets, their interval, and the length of the measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) targets: u32,
    pub(crate) interval: Duration,
    pub(crate) length: Duration,
}

pub(crate) async fn run(folder: &Path, plan: Plan) -> anyhow::Result<()> {
    let nginx = Nginx::start(folder, plan.targets).await?;
    let exporter = Exporter::start(folder, &[]).await?;
    let measured = measure(&nginx, &exporter, plan).await;
    nginx.stop().await?;
    measured
}

async fn measure(nginx: &Nginx, exporter: &Exporter, plan: Plan) -> anyhow::Result<()> {
    let Plan { targets, interval, length } = plan;
    let id = exporter.process.id().context("it runs")?;
    say(&format!(
        "targets: {targets}, each probed every {} s, for {} s; {:.1} MB before the first probe",
        interval.as_secs_f64(),
        length.as_secs_f64(),
        resident(id)?
    ))?;
    let (start, before) = (Instant::now(), processor(id)?);
    let probing =
        Arc::new(Probing { exporter: exporter.address, targets: nginx.addresses.clone(), plan, start });
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let probing = probing.clone();
            tokio::task::spawn_blocking(move || probing.probe(number))
        })
        .collect();
    let mut most: f64 = 0.0;
    for part in 1..=100_u32 {
        tokio::time::sleep_until(start + length * part / 100).await;
        let now = resident(id)?;
        most = most.max(now);
        if [10, 50, 100].contains(&part) {
            say(&format!("targets: {now:.1} MB after {part} % of the time"))?;
        }
    }
    let mut all = Vec::new();
    for thread in threads {
        all.extend(thread.await??);
    }
    let (probes, used) = (all.len(), processor(id)? - before);
    let of = |figure: fn(&Took) -> f64| Sorted::new(all.iter().map(figure).collect());
    say(&format!(
        "targets: at most {most:.1} MB, the goal is less than 40; {probes} probes, {:.0} µs of processor time each",
        used / probes as f64 * 1e6
    ))?;
    say(&format!("targets: upstream asked directly: {}", of(|took| took.direct).millis()))?;
    say(&format!("targets: probes:                  {}", of(|took| took.probe).millis()))?;
    say(&format!(
        "targets: overhead (probe − upstream): {}; the goal is p99 below 5 ms",
        of(|took| took.probe - took.direct).millis()
    ))
}

/// The shared state of the probing threads.
#[derive(Debug)]
struct Probing {
    exporter: SocketAddr,
    targets: Vec<SocketAddr>,
    plan: Plan,
    start: Instant,
}

/// The seconds of a probe, and of its upstream right after it.
#[derive(Clone, Copy, Debug)]
struct Took {
    probe: f64,
    direct: f64,
}

impl Probing {
    /// Probes every `CONNECTIONS`th target, each at its own place in the interval, as Prometheus spreads its scrapes.
    fn probe(&self, number: usize) -> anyhow::Result<Vec<Took>> {
        let Plan { interval, length, .. } = self.plan;
        let mut connection = Connection::open(self.exporter)?;
        let mut took = Vec::new();
        let rounds = u32::try_from(length.as_nanos() / interval.as_nanos())?.max(1);
        for round in 0..rounds {
            for target in (number..self.targets.len()).step_by(CONNECTIONS) {
                let place = interval.mul_f64(target as f64 / self.targets.len() as f64);
                let due = self.start + interval * round + place;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let target = self.targets[target];
                let (probe, statistics) = (Request::probe(target, true), Request::statistics(target));
                let start = Instant::now();
                connection.ask(&probe)?;
                let probed = Instant::now();
                Connection::open(target)?.ask(&statistics)?;
                let direct = probed.elapsed().as_secs_f64();
                took.push(Took { probe: (probed - start).as_secs_f64(), direct });
            }
        }
        Ok(took)
    }
}
