//! `process_*`, the usual metrics of a Prometheus program about its process, read from `/proc`. Without `/proc` there are no
//! such metrics.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType::{Counter, Gauge};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The kernel reports times to programs in hundredths of a second, regardless of its own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// More than the bytes of `/proc/self/stat`: fifty numbers and a name of at most 64 bytes.
const MAX_STAT: usize = 4096;

/// Registers the metrics of this process.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process::new(Path::new("/proc"))));
}

/// What a scrape needs of `/proc`. Whatever stays the same is read at the start, because opening and reading these files
/// takes longer than everything else that an exporter does for a scrape.
#[derive(Debug)]
struct Process {
    /// Stays open, so that a scrape reads it by one system call.
    stat: Option<File>,
    open_files: PathBuf,
    page_bytes: Option<f64>,
    start_time: Option<f64>,
    max_files: Option<f64>,
}

impl Process {
    fn new(proc: &Path) -> Self {
        let stat = File::open(proc.join("self/stat")).ok();
        let started = stat.as_ref().and_then(Stat::read).map(|stat| stat.start_seconds);
        Self {
            stat,
            open_files: proc.join("self/fd"),
            page_bytes: page_bytes(proc),
            start_time: started.and_then(|started| Some(boot_time(proc)? + started)),
            max_files: max_files(proc).map(|most| most as f64),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stat = self.stat.as_ref().and_then(Stat::read);
        let of = |value: fn(&Stat) -> f64| stat.as_ref().map(value);
        let resident =
            of(|stat| stat.resident_pages).zip(self.page_bytes).map(|(pages, bytes)| pages * bytes);
        for (name, help, value, kind) in [
            ("process_cpu_seconds", "User and system time spent.", of(|stat| stat.cpu_seconds), Counter),
            ("process_resident_memory_bytes", "Resident memory.", resident, Gauge),
            ("process_virtual_memory_bytes", "Virtual memory.", of(|stat| stat.virtual_bytes), Gauge),
            ("process_open_fds", "Open file descriptors.", open_files(&self.open_files), Gauge),
            ("process_max_fds", "Limit of open file descriptors.", self.max_files, Gauge),
            ("process_start_time_seconds", "Unix time at which the process started.", self.start_time, Gauge),
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

/// What `/proc/self/stat` says. Source: proc_pid_stat(5).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    /// Seconds between the start of the host and that of the process.
    start_seconds: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn read(file: &File) -> Option<Self> {
        let mut bytes = [0; MAX_STAT];
        let length = file.read_at(&mut bytes, 0).ok()?;
        // The name of the program need not be UTF-8.
        Self::parse(&String::from_utf8_lossy(&bytes[..length]))
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets and may contain anything, so count from the last bracket.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let (user, system) = (fields.nth(14 - 3)?, fields.next()?);
        let (start, size, resident) = (fields.nth(22 - 16)?, fields.next()?, fields.next()?);
        let number = |field: &str| field.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (number(user)? + number(system)?) / TICKS_PER_SECOND,
            start_seconds: number(start)? / TICKS_PER_SECOND,
            virtual_bytes: number(size)?,
            resident_pages: number(resident)?,
        })
    }
}

/// The size of a page of memory, which the kernel tells each program at its start. Source: getauxval(3).
fn page_bytes(proc: &Path) -> Option<f64> {
    const WORD: usize = size_of::<usize>();
    const AT_PAGESZ: usize = 6;
    let vector = fs::read(proc.join("self/auxv")).ok()?;
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, usize::from_ne_bytes);
    let mut entries = vector.chunks_exact(2 * WORD).map(|entry| (word(&entry[..WORD]), word(&entry[WORD..])));
    entries.find_map(|(key, value)| (key == AT_PAGESZ).then_some(value as f64))
}

/// Unix time at which the host started, in seconds.
fn boot_time(proc: &Path) -> Option<f64> {
    let text = fs::read_to_string(proc.join("stat")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn open_files(folder: &Path) -> Option<f64> {
    // Since Linux 6.2 the size of the folder is their number.
    let size = fs::metadata(folder).ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    // Reading the folder opens one descriptor itself.
    let count = fs::read_dir(folder).ok()?.count().saturating_sub(1);
    Some(count as f64)
}

/// The limit of open files that this process had at its start; `None` if it is not limited or not known.
pub(crate) fn most_files() -> Option<usize> {
    max_files(Path::new("/proc"))
}

fn max_files(proc: &Path) -> Option<usize> {
    let text = fs::read_to_string(proc.join("self/limits")).ok()?;
    let soft =
        text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    soft.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(proc: &Path) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::new(proc)));
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

    const STAT: &str = "7 (a) b) S 1 7 7 0 -1 4194304 900 0 0 0 120 30 0 0 20 0 3 0 500 8192000 250 \
                        18446744073709551615 1 1 0 0\n";

    #[test]
    fn a_stat_is_read_from_the_last_bracket_on() {
        let expected =
            Stat { cpu_seconds: 1.5, start_seconds: 5.0, virtual_bytes: 8_192_000.0, resident_pages: 250.0 };
        assert_eq!(Stat::parse(STAT), Some(expected));
        for cut in ["", "7 (a", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 0 0 0 0 0 x 30 0 0 20 0 3 0 500 1 1"] {
            assert_eq!(Stat::parse(cut), None, "{cut}");
        }
    }

    #[test]
    fn a_scrape_reads_only_what_changes() {
        let proc = tempfile::tempdir().expect("a folder");
        let own = proc.path().join("self");
        fs::create_dir(&own).expect("created");
        let write = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).expect("written");
        write(proc.path().join("stat"), b"cpu 1 2 3\nbtime 1700000000\n");
        write(own.join("stat"), STAT.as_bytes());
        write(
            own.join("limits"),
            b"Max open files            1024                 4096                 files\n",
        );
        write(own.join("auxv"), &[6_usize, 16_384, 0, 0].map(usize::to_ne_bytes).concat());
        let process = Process::new(proc.path());
        fs::remove_dir_all(proc.path()).expect("removed");

        let mut registry = Registry::default();
        registry.register_collector(Box::new(process));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes every write");
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "process_cpu_seconds_total 1.5",
            "process_resident_memory_bytes 4096000.0",
            "process_virtual_memory_bytes 8192000.0",
            "process_max_fds 1024.0",
            "process_start_time_seconds 1700000005.0",
        ];
        assert_eq!(values, expected);
    }
}
