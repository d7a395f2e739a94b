//! Starts the real parts of an end-to-end test: both programs, Prometheus, Alertmanager, moto and Chromium.
//!
//! Every process gets its own scratch folder and a free loopback port, and ends with its handle. A missing program is
//! an error that says how to get it, never a reason to skip.

mod browser;
mod process;
mod programs;
mod prometheus;
mod tools;

pub use browser::Browser;
pub use process::{Exited, Process, free_port};
pub use programs::{Exporter, Moto, Scaler, ScalerEnvironment, program};
pub use prometheus::{Alertmanager, Prometheus, SCRAPE_CONFIGS, prometheus_config, query};
pub use tools::tool;
