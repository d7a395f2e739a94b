//! `/metrics` with one target, as on a host: processor time of a scrape, and of a start with its first scrape. Both depend on
//! the machine, but hardly on other load.

use std::path::Path;

use anyhow::{Context as _, ensure};
use jitsi_tests::harness::Exporter;

use super::client::{Connection, Request, Until, hammer};
use super::figures::own_processor;
use super::nginx::Nginx;
use super::say::say;

/// Starts that are measured. The kernel counts hundredths of a second.
const STARTS: u32 = 20;

pub(crate) async fn run(folder: &Path, scrapes: u64) -> anyhow::Result<()> {
    let nginx = Nginx::start(folder, 1).await?;
    let target = format!("--jvb.url=http://{}", nginx.addresses[0]);
    let mut used = 0.0;
    for _ in 0..STARTS {
        let exporter = Exporter::start(folder, &[&target]).await?;
        let mut connection = Connection::open(exporter.address)?;
        let text = String::from_utf8(connection.ask(&Request::metrics(false))?.to_vec())?;
        ensure!(text.contains("\njvb_up 1\n"), "the upstream is not understood:\n{text}");
        used += own_processor(exporter.process.id().context("it runs")?)?;
        exporter.process.stop().await?;
    }
    say(&format!(
        "metrics: {:.0} ms of processor time from a start to the first scrape; the goal is 40 ms",
        used / f64::from(STARTS) * 1e3
    ))?;
    let exporter = Exporter::start(folder, &[&target]).await?;
    tokio::task::block_in_place(|| measure(&exporter, scrapes))?;
    nginx.stop().await
}

fn measure(exporter: &Exporter, scrapes: u64) -> anyhow::Result<()> {
    let id = exporter.process.id().context("it runs")?;
    for (words, gzip) in [("", false), (" with gzip", true)] {
        let to = [(exporter.address, Request::metrics(gzip))];
        hammer(&to, Until::Answers(scrapes / 10))?;
        let before = own_processor(id)?;
        let answered = hammer(&to, Until::Answers(scrapes))?.answers;
        let micros = (own_processor(id)? - before) / answered * 1e6;
        say(&format!("metrics: {micros:.0} µs of processor time for each of {scrapes} scrapes{words}"))?;
    }
    Ok(())
}
