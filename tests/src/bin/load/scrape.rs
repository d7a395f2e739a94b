//! Scrapes per second of `/probe` over eight targets and eight connections, as a share of the same client's rate at the
//! upstream itself. The measurements alternate, so that other load on the machine affects both.
//!
//! Other load affects the exporter's few threads more than the client's many, so the share is also computed from the
//! processor time that client, upstream and exporter together use per answer: the share on an idle machine.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jitsi_tests::harness::Exporter;

use super::client::{Connection, Request, Until, hammer};
use super::figures::{Sorted, own_processor, processor};
use super::nginx::{BODY, BRIDGES, Nginx};
use super::say::say;

pub(crate) async fn run(folder: &Path, rounds: usize, each: Duration) -> anyhow::Result<()> {
    let nginx = Nginx::start(folder, BRIDGES).await?;
    let exporter = Exporter::start(folder, &[]).await?;
    let measured = tokio::task::block_in_place(|| measure(&nginx, &exporter, rounds, each));
    nginx.stop().await?;
    measured
}

/// One measurement: answers per second, and processor time per answer.
struct Turn {
    rate: f64,
    client: f64,
    exporter: f64,
    upstream: f64,
}

impl Turn {
    fn all(&self) -> f64 {
        self.client + self.exporter + self.upstream
    }
}

fn measure(nginx: &Nginx, exporter: &Exporter, rounds: usize, each: Duration) -> anyhow::Result<()> {
    let targets = &nginx.addresses;
    let direct: Vec<(SocketAddr, Request)> =
        targets.iter().map(|target| (*target, Request::statistics(*target))).collect();
    let probes = |gzip| -> Vec<(SocketAddr, Request)> {
        targets.iter().map(|target| (exporter.address, Request::probe(*target, gzip))).collect()
    };
    let (plain, gzip) = (probes(false), probes(true));

    let mut connection = Connection::open(exporter.address)?;
    let text = String::from_utf8(connection.ask(&plain[0].1)?.to_vec())?;
    ensure!(text.contains("\njvb_up 1\n"), "the upstream is not understood:\n{text}");
    let packed = connection.ask(&gzip[0].1)?.len();
    let (body, answer, samples) =
        (BODY.len(), text.len(), text.lines().filter(|l| !l.starts_with('#')).count());
    say(&format!(
        "scrape: /probe over {} targets and as many connections, {rounds} rounds of {} s each in turns;\n\
         scrape: a body of {body} bytes becomes {samples} samples in {answer} bytes, packed {packed}",
        targets.len(),
        each.as_secs_f64()
    ))?;

    let ids = (exporter.process.id().context("it runs")?, nginx.process.id().context("it runs")?);
    let used = || -> anyhow::Result<[f64; 3]> {
        Ok([own_processor(std::process::id())?, processor(ids.0)?, processor(ids.1)?])
    };
    let turn = |to: &[(SocketAddr, Request)]| -> anyhow::Result<Turn> {
        let before = used()?;
        let answered = hammer(to, Until::After(each))?;
        let after = used()?;
        let [client, exporter, upstream] = [0, 1, 2].map(|of| (after[of] - before[of]) / answered.answers);
        Ok(Turn { rate: answered.rate(), client, exporter, upstream })
    };
    // Warms up: the first connections and pages are not typical.
    for to in [&direct, &plain, &gzip] {
        hammer(to, Until::Answers(2_000))?;
    }
    let mut turns: Vec<[Turn; 3]> = Vec::new();
    for round in 1..=rounds {
        let [upstream, plain, gzip] = [turn(&direct)?, turn(&plain)?, turn(&gzip)?];
        say(&format!(
            "scrape: round {round}: upstream {:.0}/s, exporter {:.0}/s = {:.1} %, with gzip {:.0}/s = {:.1} %",
            upstream.rate,
            plain.rate,
            100.0 * plain.rate / upstream.rate,
            gzip.rate,
            100.0 * gzip.rate / upstream.rate
        ))?;
        turns.push([upstream, plain, gzip]);
    }
    let sorted = |of: fn(&[Turn; 3]) -> f64| Sorted::new(turns.iter().map(of).collect());
    let micros = |of: fn(&[Turn; 3]) -> f64| sorted(of).median() * 1e6;
    say(&format!(
        "scrape: exporter / upstream: {}; with gzip {}; the goal is 25 %",
        sorted(|turn| turn[1].rate / turn[0].rate).percent(),
        sorted(|turn| turn[2].rate / turn[0].rate).percent()
    ))?;
    say(&format!(
        "scrape: the same by processor time: {}; with gzip {}",
        sorted(|turn| turn[0].all() / turn[1].all()).percent(),
        sorted(|turn| turn[0].all() / turn[2].all()).percent()
    ))?;
    say(&format!(
        "scrape: processor time per answer: upstream {:.1} µs; exporter {:.1} µs, with gzip {:.1} µs, beside {:.1} µs of \
         the upstream",
        micros(|turn| turn[0].upstream),
        micros(|turn| turn[1].exporter),
        micros(|turn| turn[2].exporter),
        micros(|turn| turn[1].upstream)
    ))
}
