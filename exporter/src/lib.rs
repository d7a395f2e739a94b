//! jitsi-exporter: Prometheus metrics from the statistics of JVB, Jicofo and Jibri.
//!
//! Modules stand here from the lowest layer to the highest; each uses only those of layers before
//! its own, and `tests/exporter/layers.rs` holds it. Nothing before `client` does I/O.

// What everything speaks of.
pub mod allow;
pub mod json;
pub mod promtext;
pub mod reason;
pub mod sample;
pub mod target;

// How tables are written and read.
pub mod distribution;
pub mod row;
pub mod table;

// How a component's own metrics are read with them.
pub mod native;

// The tables, one per component.
pub mod component;

// How they are asked, as it is written,
pub mod modules;

// by which means,
mod client;
mod tls;

// and through which.
pub mod door;

// Each a step of its own, unknown to the others.
pub mod config;
pub mod exposition;
pub mod scrape;

// What is passed on to those that are configured, and what probes name.
mod addresses;
pub mod relay;

// What is told of all that.
pub mod telemetry;

// What puts the steps together.
pub mod http;
pub mod reference;

// Wiring.
pub mod cli;
