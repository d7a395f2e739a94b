//! Ten thousand idle clients, and one that sends requests.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, stream};
use jitsi_tests::harness::{Exporter, Prometheus, query};
use jitsi_tests::wait::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{SOON, components, targets};

/// The number of clients, if the system allows a process that many files.
const CROWD: usize = 10_000;
/// Further files that this process needs.
const BESIDE: usize = 500;
/// Connections that are opened concurrently.
const AT_A_TIME: usize = 256;
/// The longest wait of a well-behaved client in the crowd: a scrape has ten seconds. (While thousands connect at once,
/// the kernel's queue may be full, and a connection is retried after one second, and two, and four.)
const PATIENCE: Duration = Duration::from_secs(5);

/// Raises this process's limit of open files as needed, and returns the number of clients that it allows.
async fn raise_limit() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let files = limits.lines().find(|line| line.starts_with("Max open files")).context("a limit of files")?;
    let hard: usize = files.split_whitespace().nth(4).context("a hard limit")?.parse().unwrap_or(usize::MAX);
    let count = CROWD.min(hard.saturating_sub(BESIDE));
    let soft = format!("--nofile={}:", count + BESIDE);
    let id = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &id, &soft]).status().await;
    ensure!(raised.context("prlimit of util-linux is missing")?.success(), "the limit of open files stays");
    Ok(count)
}

/// Opens a connection of one of three kinds; `None` if that fails.
async fn client(address: SocketAddr, number: usize) -> Option<TcpStream> {
    let mut stream = timeout(SOON, TcpStream::connect(address)).await.ok()?.ok()?;
    match number % 3 {
        // It sends nothing.
        0 => {}
        // It never ends its request.
        1 => drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-slow: ").await),
        // It has its answer, and stays connected.
        _ => {
            let _ = stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let _ = timeout(PATIENCE, stream.read(&mut [0; 1024])).await;
        }
    }
    Some(stream)
}

fn memory(id: u32, key: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kibibytes =
        line.context("an amount of memory")?.trim().trim_end_matches("kB").trim().parse::<u64>()?;
    Ok(kibibytes / 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_keeps_nobody_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let count = raise_limit().await?;
    let (_jitsi, addresses) = components().await?;
    let flags = targets(&addresses);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let exporter = Exporter::start(folder.path(), &flags).await?;
    let id = exporter.process.id().context("it runs")?;
    let config = format!(
        "global: {{scrape_interval: 3s, scrape_timeout: 3s}}\n\
         scrape_configs: [{{job_name: sidecar, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
        exporter.address
    );
    let prometheus = Prometheus::start(folder.path(), &config).await?;
    let up = async || query(&prometheus.url, "sum({__name__=~\"up|jvb_up|jicofo_up|jibri_up\"})", "").await;
    wait_until(SOON, async || up().await.is_ok_and(|it| it.first().is_some_and(|(_, value)| *value >= 4.0)))
        .await?;

    // The well-behaved client sends requests repeatedly, each over a new connection, until the crowd has stayed for a
    // while.
    let (sender, is_complete) = watch::channel(false);
    let address = exporter.address;
    let bridge = addresses[0];
    let well_behaved = tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
        let (mut arriving, mut slowest, mut after) = (Duration::ZERO, Duration::ZERO, 0);
        let mut asked = 0;
        while after < 50 {
            let is_complete = *is_complete.borrow();
            after += usize::from(is_complete);
            asked += 1;
            let start = Instant::now();
            let probe =
                client.get(format!("http://{address}/probe?module=jvb&target={bridge}")).timeout(SOON);
            let text = probe.send().await?.error_for_status()?.text().await?;
            ensure!(text.contains("\njvb_up 1\n"), "{text}");
            let most = if is_complete { &mut slowest } else { &mut arriving };
            *most = start.elapsed().max(*most);
        }
        anyhow::Ok((asked, arriving, slowest))
    });
    let crowd: Vec<Option<TcpStream>> = stream::iter(0..count)
        .map(|number| client(address, number))
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let present = crowd.iter().flatten().count();
    let complete = Instant::now();
    sender.send_replace(true);
    let scrapes = async || -> f64 {
        let counted = query(&prometheus.url, "count_over_time(up[5m])", "").await.unwrap_or_default();
        counted.first().map_or(0.0, |(_, count)| *count)
    };
    let before = scrapes().await;
    wait_until(SOON, async || scrapes().await >= before + 3.0).await?;
    let (asked, arriving, slowest) = well_behaved.await??;
    let (peak, now) = (memory(id, "VmHWM")?, memory(id, "VmRSS")?);
    writeln!(
        std::io::stderr(),
        "{present} of {count} connections at once; {asked} probes beside them, the slowest in {slowest:?}, \
         while they arrived in {arriving:?}; \
         resident memory {now} MiB, at most {peak} MiB"
    )?;
    ensure!(present == count, "only {present} of {count} clients got a connection");
    ensure!(slowest < PATIENCE, "the slowest of {asked} probes beside {count} clients took {slowest:?}");
    ensure!(peak < 96, "{peak} MiB with {count} clients");
    // No scrape of the exporter or of a target failed meanwhile; one was in progress when the last client connected.
    let range = complete.elapsed().as_secs().saturating_sub(3).max(1);
    for name in ["up", "jvb_up", "jicofo_up", "jibri_up"] {
        let least = query(&prometheus.url, &format!("min_over_time({name}[{range}s])"), "job").await?;
        ensure!(least == [("sidecar".to_owned(), 1.0)], "{name} was not 1 at each scrape: {least:?}");
    }
    drop(crowd);
    Ok(())
}
