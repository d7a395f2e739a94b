//! One evaluation of many groups: its duration by the scaler's own metric, and its requests to Prometheus and AWS.
//! Every group has three bridges and nothing to do, the usual case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::routing::get;
use jitsi_tests::asg_sim::{self, AsgSim, GroupEntry, GroupKey, GroupSpec, GroupView};
use jitsi_tests::harness::{Prometheus, Scaler, ScalerEnvironment};
use jitsi_tests::wait::wait_until;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::figures::{Sorted, own_processor, processor, resident};
use super::say::say;

const REGION: &str = "us-east-1";
const BRIDGES: u32 = 3;
/// The window of each policy, in periods.
const PERIODS: usize = 10;
/// Evaluations until the windows of ten periods are full; in the first, every instance is new.
const WARM_UP: usize = 11;
/// The interval of polls: long enough to cause no load, because the metrics of a thousand groups are long.
const LOOK: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);

/// The size of the measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) fleets: u32,
    pub(crate) groups: u32,
    pub(crate) ticks: usize,
    /// Whether a fleet selects only the series of its own instances.
    pub(crate) narrow: bool,
}

impl Size {
    /// The period of policies, of scrapes and thus of evaluations. The first evaluation of thousands of groups, of which no
    /// instance is known, must end within it.
    fn period(self) -> Duration {
        Duration::from_secs(if self.fleets * self.groups > 1_000 { 30 } else { 10 })
    }
}

/// What a size costs per evaluation of all groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    groups: f64,
    /// Until the last fleet is done: the median in seconds.
    seconds: f64,
    /// Processor time of the scaler in seconds.
    processor: f64,
    /// Resident memory of the scaler in MB.
    memory: f64,
    /// Its own metrics in MB.
    metrics: f64,
}

/// Measures 1, 100, 1,000 and 10,000 groups in turn, and says what each group more costs.
pub(crate) async fn grow(folder: &Path, ticks: usize) -> anyhow::Result<()> {
    let mut costs = Vec::new();
    for (fleets, groups) in [(1, 1), (10, 10), (10, 100), (100, 100)] {
        let folder = folder.join(format!("{fleets}-{groups}"));
        std::fs::create_dir(&folder)?;
        costs.push(run(&folder, Size { fleets, groups, ticks, narrow: true }).await?);
    }
    let [.., first, last] = &costs[..] else { unreachable!("four sizes") };
    say(&format!(
        "tick: 10,000 groups: {:.1} s of wall time, the goal is 10; {:.1} s of the scaler's processor time, the goal is 4; \
         {:.0} MB resident, the goal is 256; {:.1} MB of its own metrics, the goal is 12",
        last.seconds, last.processor, last.memory, last.metrics
    ))?;
    say(&format!("tick: 1,000 groups: {:.0} MB resident, the goal is 60", first.memory))?;
    let each = |of: fn(&Cost) -> f64| (of(last) - of(first)) / (last.groups - first.groups);
    say(&format!(
        "tick: each group more, from 1,000 to 10,000: {:.2} ms of the scaler's processor time, {:.1} kB resident, {:.1} kB of \
         metrics",
        each(|it| it.processor) * 1e3,
        each(|it| it.memory) * 1e3,
        each(|it| it.metrics) * 1e3
    ))
}

/// Measures one size.
// long: one measurement, in its order.
pub(crate) async fn run(folder: &Path, size: Size) -> anyhow::Result<Cost> {
    let asg = start_groups(size).await?;
    let exposed = expose(&asg.groups()).await?;
    let seconds = size.period().as_secs();
    let prometheus = Prometheus::start(
        folder,
        &format!(
            "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}\n\
             scrape_configs: [{{job_name: bench, static_configs: [{{targets: [\"{exposed}\"]}}]}}]\n"
        ),
    )
    .await?;
    let file = folder.join("scaler.yml");
    std::fs::write(&file, config(size, &prometheus.url))?;
    let environment = ScalerEnvironment { aws: asg.url() };
    let scaler = Scaler::start("jitsi-scaler", folder, &file, &environment).await?;
    let total = size.fleets * size.groups;
    say(&format!(
        "tick: {total} groups of {BRIDGES} bridges in {} fleets with two policies of {PERIODS} periods of {seconds} s each; \
         a fleet asks for {}",
        size.fleets,
        if size.narrow { "its own instances" } else { "the instances of all fleets, as by default" }
    ))?;

    let client = reqwest::Client::builder().no_proxy().build()?;
    let metrics =
        Metrics { client, url: format!("http://{}/metrics", scaler.address), period: size.period() };
    let mut before = BTreeMap::new();
    let took = metrics.next(size.fleets, &mut before).await?;
    say(&format!(
        "tick: the first, when no instance is known: {:.0} ms, {}",
        took.max() * 1e3,
        calls(&asg, 1)
    ))?;
    for _ in 1..WARM_UP {
        metrics.next(size.fleets, &mut before).await?;
    }

    asg.clear_calls();
    let ids = [&scaler.process, &prometheus.process].map(|process| process.id().context("it runs"));
    let [scaler_id, prometheus_id] = ids;
    let (scaler_id, prometheus_id) = (scaler_id?, prometheus_id?);
    let own = std::process::id();
    let used = (processor(scaler_id)?, processor(prometheus_id)?, own_processor(own)?);
    let asked = queries(&prometheus).await?;
    let outcomes = metrics.queries().await?;
    let mut slowest = Vec::new();
    for tick in 1..=size.ticks {
        let took = metrics.next(size.fleets, &mut before).await?;
        say(&format!(
            "tick: {tick}: {:.0} ms until the last fleet was done, {:.0} ms for the median one",
            took.max() * 1e3,
            took.median() * 1e3
        ))?;
        slowest.push(took.max());
    }
    let slowest = Sorted::new(slowest);
    let ticks = size.ticks as f64;
    say(&format!(
        "tick: all fleets are done after {:.0} ms (median; at most {:.0}); the goal is less than 1000",
        slowest.median() * 1e3,
        slowest.max() * 1e3
    ))?;
    let spent = (processor(scaler_id)? - used.0) / ticks;
    say(&format!(
        "tick: processor time per evaluation of all: scaler {:.0} ms (with the reading of its metrics), Prometheus {:.0} ms \
         (with a scrape), simulated AWS and exporters with this program {:.0} ms",
        spent * 1e3,
        (processor(prometheus_id)? - used.1) / ticks * 1e3,
        (own_processor(own)? - used.2) / ticks * 1e3
    ))?;
    let (memory, text) = (resident(scaler_id)?, metrics.text().await?);
    say(&format!(
        "tick: resident memory: scaler {memory:.0} MB, Prometheus {:.0} MB; the scaler's metrics have {} lines, {:.1} MB",
        resident(prometheus_id)?,
        text.lines().count(),
        text.len() as f64 / 1e6
    ))?;
    say(&format!("tick: per evaluation of all: {}", calls(&asg, size.ticks)))?;
    let asked = since(&asked, queries(&prometheus).await?, size.ticks);
    say(&format!(
        "tick: per evaluation of all, from Prometheus: {asked} (expected: {} ranges, one for each fleet)",
        size.fleets
    ))?;
    let outcomes = since(&outcomes, metrics.queries().await?, size.ticks);
    say(&format!("tick: per evaluation of all, outcomes of queries: {outcomes}"))?;
    ensure_decided(&format!("http://{}/api/v1/status", scaler.address), total as usize).await?;
    let (seconds, metrics) = (slowest.median(), text.len() as f64 / 1e6);
    Ok(Cost { groups: f64::from(total), seconds, processor: spent, memory, metrics })
}

async fn start_groups(size: Size) -> anyhow::Result<AsgSim> {
    let entry = |fleet: u32, group: u32| GroupEntry {
        key: GroupKey::new(REGION, name(fleet, group)),
        spec: GroupSpec {
            min: 1,
            max: Some(10),
            desired: Some(BRIDGES),
            launch_seconds: Some(0.0),
            ..GroupSpec::default()
        },
    };
    let groups = (0..size.fleets).flat_map(|fleet| (0..size.groups).map(move |group| entry(fleet, group)));
    let asg =
        AsgSim::start(asg_sim::Config { groups: groups.collect(), ..asg_sim::Config::default() }).await?;
    wait_until(PATIENCE, async || {
        let serves = |group: &GroupView| group.instances.iter().filter(|it| it.in_service.is_some()).count();
        asg.groups().iter().all(|group| serves(group) == BRIDGES as usize)
    })
    .await?;
    Ok(asg)
}

fn name(fleet: u32, group: u32) -> String {
    format!("prod-{fleet}-{group}")
}

/// Serves the series of the recording rules and the exporters of all groups.
async fn expose(groups: &[GroupView]) -> anyhow::Result<std::net::SocketAddr> {
    let mut text = String::new();
    for group in groups {
        let name = &group.name;
        let fleet = name.split('-').nth(1).unwrap_or_default();
        for (series, value) in [("asg:jvb_stress:avg", 0.4), ("asg:jvb_network_out_bytes:avg1m", 5e8)] {
            writeln!(text, "{series}{{asg=\"{name}\",fleet=\"{fleet}\"}} {value}")?;
        }
        for instance in &group.instances {
            let id = &instance.id;
            for (series, value) in [
                ("jvb_up", 1),
                ("jvb_healthy", 1),
                ("jvb_local_endpoints", 12),
                ("jvb_draining", 0),
                ("jvb_graceful_shutdown", 0),
                ("jvb_shutting_down", 0),
            ] {
                writeln!(
                    text,
                    "{series}{{asg=\"{name}\",fleet=\"{fleet}\",instance_id=\"{id}\",private_ip=\"127.0.0.1\"}} {value}"
                )?;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/metrics", get(move || std::future::ready(text.clone())));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

fn config(size: Size, prometheus: &str) -> String {
    let mut text = format!("prometheus: {{url: \"{prometheus}\", timeout: 5s}}\nfleets:\n");
    let seconds = size.period().as_secs();
    for fleet in 0..size.fleets {
        let names: Vec<String> = (0..size.groups).map(|group| name(fleet, group)).collect();
        let of = if size.narrow { format!("{{fleet=\"{fleet}\"}}") } else { String::new() };
        text += &format!(
            r#"
  - name: fleet-{fleet}
    component: jvb
    warmup: 1s
    asg: {{regions: [{REGION}], names: [{names}]}}
    policies:
      - name: stress
        expr: 'asg:jvb_stress:avg{{fleet="{fleet}"}}'
        measures: load
        period: {seconds}s
        scale_out: {{when: ">= 0.6", periods: {PERIODS}, add: 1}}
        scale_in: {{when: "<= 0.2", periods: {PERIODS}, remove: 1}}
      - name: network-out
        expr: 'asg:jvb_network_out_bytes:avg1m{{fleet="{fleet}"}}'
        measures: load
        period: {seconds}s
        scale_out: {{when: ">= 750e6", periods: {PERIODS}, add: 1}}
        scale_in: {{when: "<= 375e6", periods: {PERIODS}, remove: 1}}
    instances: {{series: 'jvb_up{of}', id_label: instance_id}}
    drain: {{via: "http://{{private_ip}}:8080"}}
"#,
            names = names.join(", ")
        );
    }
    text
}

/// Whether every group had full windows; without them the figures mean nothing.
async fn ensure_decided(status: &str, groups: usize) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let status: serde_json::Value = client.get(status).send().await?.error_for_status()?.json().await?;
    let is_full = |window: &serde_json::Value| {
        let points = window.as_array().map(Vec::as_slice).unwrap_or_default();
        points.iter().filter(|point| point["value"].is_number()).count() >= PERIODS
    };
    let decided = |group: &&serde_json::Value| {
        let windows = group["windows"].as_object();
        let ready = group["current"]["ready"] == BRIDGES;
        group["action"] == "hold"
            && ready
            && windows.is_some_and(|all| all.len() == 2 && all.values().all(is_full))
    };
    let all = status["groups"].as_array().context("no groups in the status")?;
    let seen = all.iter().filter(decided).count();
    ensure!(
        seen == groups,
        "only {seen} of {groups} groups were decided on with full windows, as {:?}",
        all.first()
    );
    Ok(())
}

struct Metrics {
    client: reqwest::Client,
    url: String,
    period: Duration,
}

impl Metrics {
    async fn text(&self) -> anyhow::Result<String> {
        Ok(self.client.get(&self.url).send().await?.error_for_status()?.text().await?)
    }

    /// Queries so far, by outcome.
    async fn queries(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let text = self.text().await?;
        samples(&text, "jitsi_scaler_prometheus_queries_total{", "outcome")
    }

    /// The evaluations of each fleet so far.
    async fn evaluations(&self) -> anyhow::Result<BTreeMap<String, Evaluations>> {
        let text = self.text().await?;
        let of = |name: &str| {
            samples(&text, &format!("jitsi_scaler_evaluation_duration_seconds_{name}{{"), "fleet")
        };
        let (counts, mut sums) = (of("count")?, of("sum")?);
        let evaluations = counts.into_iter().map(|(fleet, count)| {
            let seconds = sums.remove(&fleet).context("a count without a sum")?;
            Ok((fleet, Evaluations { count, seconds }))
        });
        evaluations.collect()
    }

    /// Waits until every fleet was evaluated once more than at `before`. If a fleet was evaluated twice, an evaluation
    /// took longer than a period or was missed.
    async fn next(&self, fleets: u32, before: &mut BTreeMap<String, Evaluations>) -> anyhow::Result<Sorted> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            sleep(LOOK).await;
            let after = self.evaluations().await?;
            let since = |fleet: &String| before.get(fleet).copied().unwrap_or_default();
            let new: Vec<f64> = after.iter().map(|(fleet, now)| now.count - since(fleet).count).collect();
            if new.len() == fleets as usize && new.iter().all(|new| *new >= 1.0) {
                ensure!(
                    new.iter().all(|new| *new < 2.0),
                    "an evaluation took longer than a period of {:?}: the machine is too busy for this measurement",
                    self.period
                );
                let took = after.iter().map(|(fleet, now)| now.seconds - since(fleet).seconds).collect();
                *before = after;
                return Ok(Sorted::new(took));
            }
            ensure!(Instant::now() < deadline, "no evaluation of all fleets within {PATIENCE:?}");
        }
    }
}

/// The number of evaluations of a fleet, and their duration.
#[derive(Clone, Copy, Debug, Default)]
struct Evaluations {
    count: f64,
    seconds: f64,
}

/// Requests that Prometheus has answered so far, by handler.
async fn queries(prometheus: &Prometheus) -> anyhow::Result<BTreeMap<String, f64>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let text = client.get(format!("{}/metrics", prometheus.url)).send().await?.text().await?;
    let mut found = samples(&text, "prometheus_http_requests_total", "handler")?;
    found.retain(|handler, _| handler.starts_with("/api/"));
    Ok(found)
}

/// The samples of a name, by a label.
fn samples(text: &str, name: &str, label: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some((labels, value)) = line.strip_prefix(name).and_then(|rest| rest.rsplit_once(' ')) else {
            continue;
        };
        let of = labels.split_once(&format!("{label}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        *found.entry(of.context("a label")?.0.to_owned()).or_default() += value.parse::<f64>()?;
    }
    Ok(found)
}

/// The growth of each of these per tick.
fn since(before: &BTreeMap<String, f64>, after: BTreeMap<String, f64>, ticks: usize) -> String {
    let grown =
        after.into_iter().map(|(name, count)| (count - before.get(&name).copied().unwrap_or(0.0), name));
    let grown: Vec<String> = grown
        .filter(|(count, _)| *count > 0.0)
        .map(|(count, name)| format!("{:.1} {name}", count / ticks as f64))
        .collect();
    grown.join(", ")
}

/// The calls of AWS so far, by action and per tick.
fn calls(asg: &AsgSim, ticks: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in asg.calls(false) {
        *counts.entry(call.action).or_default() += 1;
    }
    let per = |count: usize| count as f64 / ticks as f64;
    let counts: Vec<String> =
        counts.iter().map(|(action, count)| format!("{:.1} {action}", per(*count))).collect();
    counts.join(", ")
}
