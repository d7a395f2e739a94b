//! jitsi-exporter: Prometheus metrics from the statistics of JVB, Jicofo and Jibri.
//!
//! Modules are listed from the lowest layer to the highest. Each uses only modules of the layers before its own, which
//! `tests/exporter/layers.rs` verifies. No module before `client` does I/O.

// Vocabulary.
pub mod allow;
pub mod json;
pub mod promtext;
pub mod reason;
pub mod sample;
pub mod target;

// Tables of JSON keys and the metrics that they become.
pub mod distribution;
pub mod metric_row;
pub mod table;

// A component's own metrics, read with the same tables.
pub mod native;

// The tables of each component.
pub mod component;

// The configuration file of `/probe` modules.
pub mod modules;

// HTTP clients.
mod client;
mod tls;

// Credentials and TLS clients of modules, and which instance of the cloud this host is.
pub mod access;
pub mod instance;

// Flags, the text formats, the landing page and scrapes, independent of each other.
pub mod config;
pub mod exposition;
pub mod landing;
pub mod scrape;

// Requests that are passed on to the component.
pub mod relay;

// Metrics and log of the exporter itself.
pub mod telemetry;

// HTTP routes and the reference of all metrics.
pub mod http;
pub mod reference;

// The command line.
pub mod cli;
