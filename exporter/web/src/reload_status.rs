//! The outcome of reloads, as metrics and in the log.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::clock;
use crate::logging::mistakes;

/// The part that every program has.
pub(crate) const WEB: &str = "web configuration";

/// Whether the last reload of each part succeeded.
#[derive(Debug)]
pub(crate) struct ReloadStatus {
    successful: Gauge,
    success_time: Gauge<f64, AtomicU64>,
    failing: Mutex<BTreeSet<&'static str>>,
}

impl ReloadStatus {
    /// Every part counts as loaded: the program does not start otherwise.
    pub(crate) fn new() -> Self {
        let (successful, success_time) = (Gauge::default(), Gauge::default());
        successful.set(1);
        success_time.set(clock::unix_seconds());
        Self { successful, success_time, failing: Mutex::default() }
    }

    pub(crate) fn register(&self, registry: &mut Registry, prefix: &str) {
        registry.register(
            format!("{prefix}_config_last_reload_successful"),
            "Whether the configuration in force is that of the files; 0 after a failed reload",
            self.successful.clone(),
        );
        registry.register(
            format!("{prefix}_config_last_reload_success_timestamp_seconds"),
            "Unix time at which the configuration was last read without an error",
            self.success_time.clone(),
        );
    }

    pub(crate) fn reloaded(&self, part: &'static str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.remove(part);
        if failing.is_empty() {
            self.successful.set(1);
            self.success_time.set(clock::unix_seconds());
        }
        tracing::info!(part, "reloaded");
    }

    pub(crate) fn refused(&self, part: &'static str, error: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(part);
        self.successful.set(0);
        for error in mistakes(error) {
            tracing::error!(part, error, "reload failed: the previous one stays in force");
        }
    }
}
