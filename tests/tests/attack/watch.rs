//! The measures: how fast `/-/healthy` answers, how far evaluations are apart, and how much memory a program holds. Each
//! program is watched from a thread of its own with blocking sockets, which no attack in this process can starve.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest answer that is told from none.
const LONGEST: Duration = Duration::from_secs(15);

/// What was seen since the last report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) slowest: Duration,
    /// Looks without a 200.
    pub(crate) failed: u64,
    /// What the first of them got.
    pub(crate) failure: String,
    /// The largest distance of two grid points' evaluations.
    pub(crate) apart: Duration,
    /// The largest distance of two evaluations, those that could not read the groups included.
    pub(crate) tries_apart: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    ended: AtomicBool,
}

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The watch over one program.
#[derive(Debug)]
pub(crate) struct Watch {
    pid: u32,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Watches the process `pid` at `address`; `evaluates`: its metrics say when it last evaluated. `headers` go with each
    /// request.
    pub(crate) fn start(
        pid: u32,
        address: SocketAddr,
        headers: &'static str,
        evaluates: bool,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let (health, times) = (shared.clone(), shared.clone());
        let mut threads = vec![named("health").spawn(move || watch_health(&health, address, headers))?];
        if evaluates {
            threads.push(named("times").spawn(move || watch_evaluations(&times, address, headers))?);
        }
        let watch = Self { pid, shared, threads };
        watch.report()?;
        Ok(watch)
    }

    /// What was seen since the last report, and the most resident memory since then, in bytes.
    pub(crate) fn report(&self) -> Result<(Seen, u64)> {
        let mut seen = Seen::default();
        self.shared.note(|noted| seen = std::mem::take(noted));
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))
            .with_context(|| format!("process {} has ended", self.pid))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        // Where the kernel does not allow this, the peak is that since the start, which is no less strict.
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
        Ok((seen, kilobytes.context("VmHWM of the process")? * 1024))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A request and its answer, from the first packet to the last.
pub(crate) fn ask(address: SocketAddr, path: &str, headers: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LONGEST)?;
    stream.set_read_timeout(Some(LONGEST))?;
    stream.set_write_timeout(Some(LONGEST))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn watch_health(shared: &Shared, address: SocketAddr, headers: &str) {
    while !shared.ended.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = ask(address, "/-/healthy", headers);
        let took = start.elapsed();
        shared.note(|seen| {
            seen.slowest = seen.slowest.max(took);
            let failure = match &answer {
                Ok(text) if text.starts_with("HTTP/1.1 200") => return,
                Ok(text) => text.lines().next().unwrap_or("an empty answer").to_owned(),
                Err(error) => error.to_string(),
            };
            seen.failed += 1;
            if seen.failure.is_empty() {
                seen.failure = failure;
            }
        });
        std::thread::sleep(PAUSE);
    }
}

fn watch_evaluations(shared: &Shared, address: SocketAddr, headers: &str) {
    let mut grid = Progress::default();
    let mut tries = Progress::default();
    while !shared.ended.load(Ordering::Relaxed) {
        let answer = ask(address, "/metrics", headers).unwrap_or_default();
        let apart = grid.note(evaluated(&answer));
        let tries_apart = tries.note(least(&answer, "jitsi_scaler_evaluation_duration_seconds_count"));
        shared.note(|seen| {
            seen.apart = seen.apart.max(apart);
            seen.tries_apart = seen.tries_apart.max(tries_apart);
        });
        std::thread::sleep(PAUSE);
    }
}

/// A value that is to grow.
struct Progress {
    last: f64,
    since: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self { last: 0.0, since: Instant::now() }
    }
}

impl Progress {
    /// How long ago the value grew before this one came.
    fn note(&mut self, value: f64) -> Duration {
        let apart = self.since.elapsed();
        if value > self.last {
            (self.last, self.since) = (value, Instant::now());
        }
        apart
    }
}

/// The grid point that every fleet has evaluated; 0 without one.
pub(crate) fn evaluated(metrics: &str) -> f64 {
    least(metrics, "jitsi_scaler_last_evaluation_timestamp_seconds")
}

/// The least value of a metric; 0 without one.
fn least(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter(|line| line.starts_with(name));
    let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.reduce(f64::min).unwrap_or(0.0)
}
