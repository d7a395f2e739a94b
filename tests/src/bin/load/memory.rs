//! Resident memory of the exporter over many scrapes, with gzip as Prometheus requests it.

use std::path::Path;

use anyhow::Context as _;
use jitsi_tests::harness::Exporter;

use super::client::{Request, Until, hammer};
use super::figures::resident;
use super::nginx::{BRIDGES, Nginx};
use super::say::say;

pub(crate) async fn run(folder: &Path, scrapes: u64) -> anyhow::Result<()> {
    let nginx = Nginx::start(folder, BRIDGES).await?;
    let exporter = Exporter::start(folder, &[]).await?;
    let measured = tokio::task::block_in_place(|| measure(&nginx, &exporter, scrapes));
    nginx.stop().await?;
    measured
}

fn measure(nginx: &Nginx, exporter: &Exporter, scrapes: u64) -> anyhow::Result<()> {
    let id = exporter.process.id().context("it runs")?;
    let probe = |target: &std::net::SocketAddr| (exporter.address, Request::probe(*target, true));
    let probes: Vec<_> = nginx.addresses.iter().map(probe).collect();
    say(&format!("memory: {:.1} MB before the first of {scrapes} scrapes", resident(id)?))?;
    let mut done = 0;
    // Tenths show progress; the results are those at 10, 50 and 100 %.
    for tenth in 1..=10 {
        let next = scrapes * tenth / 10;
        let rate = hammer(&probes, Until::Answers(next - done))?.rate();
        done = next;
        say(&format!("memory: {:.1} MB after {done} scrapes ({tenth}0 %), {rate:.0}/s", resident(id)?))?;
    }
    say("memory: the goal is less than 15 MB, and the same at 10, 50 and 100 %")
}
