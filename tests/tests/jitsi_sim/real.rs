//! What the components answer, held to what real ones answered to the same requests.
//!
//! `real/` has the requests and answers of JVB 2.3 (a29d97d1), Jicofo 1.1 (7ebb13d) and Jibri 8.0 (62369d5): the
//! request after `>`, then status line, content type and body. Of metrics only the TYPE lines are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::jitsi_sim::ComponentKind::{self, Jibri, Jicofo, Jvb};
use jitsi_tests::jitsi_sim::{Faults, Feature, JitsiSim};
use jitsi_tests::wait::wait_until;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{SOON, get_json, post, quick, shut_bridge_down, sim_with};

/// In which state the component is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Unhealthy,
    RestOff,
    Draining,
    /// Two people are on the bridge.
    InUse,
    /// The bridge was asked to shut down, and was empty.
    ShuttingDown,
    /// Jicofo has three people on a bridge.
    WithPeople,
    /// Jicofo has two bridges.
    WithBridges,
    /// Jicofo knows one bridge, which shuts down.
    WithoutServing,
    BrokenChrome,
}
use State::{
    BrokenChrome, Draining, Fresh, InUse, RestOff, ShuttingDown, Unhealthy, WithBridges, WithPeople,
    WithoutServing,
};

const ANSWERS: &[(&str, ComponentKind, State)] = &[
    ("jvb.404", Jvb, Fresh),
    ("jvb.about-health", Jvb, Fresh),
    ("jvb.about-health.unhealthy", Jvb, Unhealthy),
    ("jvb.about-version", Jvb, Fresh),
    ("jvb.colibri-stats.idle", Jvb, Fresh),
    ("jvb.colibri-stats.2endpoints", Jvb, InUse),
    ("jvb.colibri-stats.shutting_down", Jvb, ShuttingDown),
    ("jvb.drain.get", Jvb, Fresh),
    ("jvb.drain.get.on", Jvb, Draining),
    ("jvb.drain.enable", Jvb, Fresh),
    ("jvb.drain.enable.again", Jvb, Draining),
    ("jvb.drain.enable.get405", Jvb, Fresh),
    ("jvb.drain.disable", Jvb, Draining),
    ("jvb.drain.disable.while-shutting-down", Jvb, ShuttingDown),
    ("jvb.metrics.html", Jvb, Fresh),
    ("jvb.metrics.json", Jvb, Fresh),
    ("jvb.metrics.noaccept", Jvb, Fresh),
    ("jvb.metrics.prom3", Jvb, Fresh),
    ("jvb.metrics.text", Jvb, Fresh),
    ("jvb.norest.drain", Jvb, RestOff),
    ("jvb.norest.drain.enable", Jvb, RestOff),
    ("jvb.norest.health", Jvb, RestOff),
    ("jvb.norest.metrics", Jvb, RestOff),
    ("jvb.norest.shutdown", Jvb, RestOff),
    ("jvb.norest.stats.404", Jvb, RestOff),
    ("jvb.shutdown.emptyobject", Jvb, Fresh),
    ("jvb.shutdown.nobody", Jvb, Fresh),
    ("jvb.shutdown.wrongtype", Jvb, Fresh),
    ("jvb.shutdown.graceful", Jvb, Fresh),
    ("jvb.shutdown.graceful.busy", Jvb, InUse),
    ("jvb.shutdown.again", Jvb, ShuttingDown),
    ("jvb.stats.post405", Jvb, Fresh),
    ("jicofo.about-health", Jicofo, WithBridges),
    ("jicofo.about-health.unhealthy", Jicofo, WithoutServing),
    ("jicofo.about-version", Jicofo, Fresh),
    ("jicofo.metrics.html", Jicofo, Fresh),
    ("jicofo.metrics.noaccept", Jicofo, WithBridges),
    ("jicofo.metrics.text", Jicofo, WithBridges),
    ("jicofo.stats", Jicofo, WithBridges),
    ("jicofo.stats.3participants", Jicofo, WithPeople),
    ("jicofo.stats.unhealthy", Jicofo, WithoutServing),
    ("jibri.404", Jibri, Fresh),
    ("jibri.gracefulshutdown", Jibri, Fresh),
    ("jibri.health.idle", Jibri, Fresh),
    ("jibri.health.after-error", Jibri, BrokenChrome),
    ("jibri.internal.get405", Jibri, Fresh),
    ("jibri.startservice.empty", Jibri, Fresh),
    ("jibri.startservice.file", Jibri, BrokenChrome),
];

/// A request and the answer of a real component to it.
#[derive(Debug)]
struct Exchange {
    /// Method and path.
    request: String,
    headers: String,
    body: String,
    answer: Answer,
}

#[derive(Debug)]
struct Answer {
    status: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().unwrap_or_default().trim_end().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        };
        Self { status, headers: lines.filter_map(header).collect(), body: body.trim_end().to_owned() }
    }
}

impl Exchange {
    fn read(name: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/jitsi_sim/real/{name}.http"));
        let text = std::fs::read_to_string(path)?;
        let sent: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("> ")).collect();
        let rest = text.lines().skip(sent.len()).collect::<Vec<_>>().join("\n");
        let (request, others) = sent.split_first().context("a request")?;
        let (bodies, headers): (Vec<&str>, Vec<&str>) = others.iter().partition(|it| it.starts_with('{'));
        Ok(Self {
            request: (*request).to_owned(),
            headers: headers.iter().map(|header| format!("{header}\r\n")).collect(),
            body: bodies.concat(),
            answer: Answer::parse(&rest),
        })
    }

    /// Asks the simulated component the same.
    async fn repeat(&self, address: Ipv4Addr, port: u16) -> Result<Answer> {
        let host = format!("{address}:{port}");
        let mut stream = TcpStream::connect(&host).await?;
        let (Self { request, headers, body, .. }, length) = (self, self.body.len());
        let length = if length > 0 { format!("Content-Length: {length}\r\n") } else { String::new() };
        let text =
            format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}{length}\r\n{body}");
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(Answer::parse(&answer.replace("\r\n", "\n").replace(&host, "HOST")))
    }
}

/// A simulator with a component in that state, and its address.
async fn prepared(component: ComponentKind, state: State) -> Result<(JitsiSim, Ipv4Addr)> {
    let mut instances = vec![("i-1", component)];
    match state {
        WithBridges => instances.extend([("b-1", Jvb), ("b-2", Jvb)]),
        WithPeople | WithoutServing => instances.push(("b-1", Jvb)),
        _ => {}
    }
    let mut config = quick();
    config.settings.shutting_down_delay = Duration::from_mins(1);
    let (sim, addresses) = sim_with(config, &instances).await?;
    let address = addresses[0];
    let faults = match state {
        Unhealthy => Faults { unhealthy: true, ..Faults::default() },
        RestOff => Faults { rest: Feature::Off, ..Faults::default() },
        BrokenChrome => Faults { broken_chrome: true, ..Faults::default() },
        _ => Faults::default(),
    };
    sim.set_faults("i-1", faults).await?;
    match state {
        InUse => sim.place_conference("i-1", 2, 60.0)?,
        Draining => drop(post(address, 8080, "/colibri/drain/enable").await?),
        ShuttingDown => drop(shut_bridge_down(address).await?),
        WithPeople => sim.place_conference("b-1", 3, 60.0)?,
        WithoutServing => drop(shut_bridge_down(addresses[1]).await?),
        _ => {}
    }
    if component == Jicofo {
        let serves = state != WithoutServing && instances.len() > 1;
        let expected = (instances.len() - 1, serves);
        wait_until(SOON, async || {
            let known = |stats: &Value| {
                let bridges = &stats["bridge_selector"];
                let count = bridges["bridge_count"].as_u64().and_then(|it| usize::try_from(it).ok());
                (count.unwrap_or_default(), stats["healthy"] == true)
            };
            get_json(address, 8888, "/stats").await.is_ok_and(|stats| known(&stats) == expected)
        })
        .await?;
    }
    Ok((sim, address))
}

/// The type of every value in nested objects, by its path. What depends on traffic is left out.
fn shape(value: &Value) -> BTreeMap<String, &'static str> {
    fn add(shape: &mut BTreeMap<String, &'static str>, path: &str, value: &Value) {
        let name = match value {
            Value::Object(object) => {
                for (key, value) in object {
                    add(shape, &format!("{path}/{key}"), value);
                }
                "object"
            }
            Value::Array(_) => "array",
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::String(_) => "string",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "integer",
        };
        shape.insert(path.to_owned(), name);
    }
    let mut all = BTreeMap::new();
    add(&mut all, "", value);
    // A region is configured here, and the messages and queues of Jicofo go by what happened.
    all.retain(|path, _| path != "/region" && !path.starts_with("/jingle/") && !path.starts_with("/queues/"));
    // A real bridge measures the one only after a while, and the simulated ones lack the other.
    all.retain(|path, _| path != "/cpu_steal" && !path.ends_with("/created"));
    all
}

/// The TYPE lines of an exposition, but for what real bridges measure only after a while, what a configured region adds,
/// and what Jicofo counts for each bridge.
fn types(text: &str) -> BTreeSet<&str> {
    let typed = text.lines().filter(|line| line.starts_with("# TYPE "));
    let left_out = [
        "jvb_cpu_steal ",
        "jvb_region",
        "jicofo_bridge_endpoints",
        "jicofo_bridge_failing_ice ",
        "jicofo_bridge_restart_requests",
    ];
    typed.filter(|line| !left_out.iter().any(|name| line.contains(name))).collect()
}

fn same_body(expected: &str, actual: &str) -> Result<()> {
    if expected.starts_with("# TYPE") {
        let (expected, actual) = (types(expected), types(actual));
        let lacking: Vec<_> = expected.difference(&actual).collect();
        let invented: Vec<_> = actual.difference(&expected).collect();
        ensure!(lacking.is_empty() && invented.is_empty(), "lacks {lacking:?}, has {invented:?}");
    } else if let (Ok(expected), Ok(actual)) =
        (serde_json::from_str::<Value>(expected), serde_json::from_str::<Value>(actual))
    {
        let (expected, actual) = (shape(&expected), shape(&actual));
        let lacking: Vec<_> = expected.iter().filter(|it| actual.get(it.0) != Some(it.1)).collect();
        let invented: Vec<_> = actual.iter().filter(|it| expected.get(it.0) != Some(it.1)).collect();
        ensure!(lacking.is_empty() && invented.is_empty(), "lacks {lacking:?}, has {invented:?}");
    } else {
        // Jackson's message goes on about its own classes.
        let first = |text: &str| text.lines().next().map(str::to_owned);
        let same =
            if expected.starts_with('<') { expected == actual } else { first(expected) == first(actual) };
        ensure!(same, "{actual:?} instead of {expected:?}");
    }
    Ok(())
}

async fn compare(name: &str, component: ComponentKind, state: State) -> Result<()> {
    let exchange = Exchange::read(name)?;
    let (_sim, address) = prepared(component, state).await?;
    let port = match component {
        Jvb => 8080,
        Jicofo => 8888,
        Jibri if exchange.request.contains("/internal/") => 3333,
        Jibri => 2222,
    };
    let answer = exchange.repeat(address, port).await?;
    let expected = &exchange.answer;
    ensure!(answer.status == expected.status, "{} instead of {}", answer.status, expected.status);
    let of = |answer: &Answer, header: &str| answer.headers.get(header).cloned();
    let (sent, real) = (of(&answer, "content-type"), of(expected, "content-type"));
    ensure!(sent == real, "content type {sent:?} instead of {real:?}");
    let allowed = of(expected, "allow");
    ensure!(allowed.is_none() || of(&answer, "allow") == allowed, "allows {:?}", of(&answer, "allow"));
    same_body(&expected.body, &answer.body)
}

#[tokio::test]
async fn every_answer_is_as_the_real_one() {
    let mut wrong = Vec::new();
    for (name, component, state) in ANSWERS {
        if let Err(error) = compare(name, *component, *state).await {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_real_answer_is_compared() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jitsi_sim/real");
    let kept: BTreeSet<String> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().trim_end_matches(".http").to_owned()))
        .collect::<Result<_>>()?;
    assert_eq!(kept, ANSWERS.iter().map(|(name, ..)| (*name).to_owned()).collect());
    Ok(())
}
