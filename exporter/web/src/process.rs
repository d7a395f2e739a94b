//! `process_*`, the usual metrics of a Prometheus program about its process, read from `/proc` at each scrape. Without
//! `/proc` there are no such metrics.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType::{Counter, Gauge};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The kernel reports times to programs in hundredths of a second, regardless of its own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers the metrics of this process.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process { proc: PathBuf::from("/proc") }));
}

#[derive(Debug)]
struct Process {
    proc: PathBuf,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let times = Times::read(&self.proc);
        let cpu = times.as_ref().map(|times| times.cpu_seconds);
        let started = times.as_ref().and_then(|times| Some(boot_time(&self.proc)? + times.start_seconds));
        let memory = Memory::read(&self.proc).unwrap_or_default();
        let most_files = max_fds(&self.proc).map(|most| most as f64);
        for (name, help, value, kind) in [
            ("process_cpu_seconds", "User and system time spent.", cpu, Counter),
            ("process_resident_memory_bytes", "Resident memory.", memory.resident, Gauge),
            ("process_virtual_memory_bytes", "Virtual memory.", memory.virtual_, Gauge),
            ("process_open_fds", "Open file descriptors.", open_fds(&self.proc), Gauge),
            ("process_max_fds", "Limit of open file descriptors.", most_files, Gauge),
            ("process_start_time_seconds", "Unix time at which the process started.", started, Gauge),
        ] {
            let Some(value) = value else { continue };
            let encoder = encoder.encode_descriptor(name, help, None, kind)?;
            match kind {
                Counter => ConstCounter::new(value).encode(encoder)?,
                _ => ConstGauge::new(value).encode(encoder)?,
            }
        }
        Ok(())
    }
}

struct Times {
    cpu_seconds: f64,
    start_seconds: f64,
}

impl Times {
    fn read(proc: &Path) -> Option<Self> {
        let text = fs::read_to_string(proc.join("self/stat")).ok()?;
        // The second field is the program's name in brackets and may contain anything, so count from the last bracket.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            start_seconds: ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

fn boot_time(proc: &Path) -> Option<f64> {
    let text = fs::read_to_string(proc.join("stat")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[derive(Default)]
struct Memory {
    resident: Option<f64>,
    virtual_: Option<f64>,
}

impl Memory {
    fn read(proc: &Path) -> Option<Self> {
        let text = fs::read_to_string(proc.join("self/status")).ok()?;
        let bytes = |key: &str| {
            let kibibytes = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            Some(kibibytes.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
        };
        Some(Self { resident: bytes("VmRSS"), virtual_: bytes("VmSize") })
    }
}

fn open_fds(proc: &Path) -> Option<f64> {
    // Reading the directory opens one descriptor itself.
    let count = fs::read_dir(proc.join("self/fd")).ok()?.count().saturating_sub(1);
    Some(count as f64)
}

fn max_fds(proc: &Path) -> Option<usize> {
    let text = fs::read_to_string(proc.join("self/limits")).ok()?;
    let soft =
        text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    soft.parse().ok()
}

/// How many files this process may have open; `None` if it is not limited or not known.
pub(crate) fn most_files() -> Option<usize> {
    max_fds(Path::new("/proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(proc: &Path) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process { proc: proc.to_owned() }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes every write");
        text
    }

    #[test]
    fn this_process_has_all_of_them() {
        let text = encoded(Path::new("/proc"));
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
        ] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value: f64 =
                value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"));
            assert!(value >= 0.0, "{name}: {value}");
        }
    }

    #[test]
    fn without_proc_there_is_nothing() {
        assert_eq!(encoded(Path::new("/nonexistent")), "# EOF\n");
    }
}
