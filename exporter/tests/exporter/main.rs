//! Tests of jitsi-exporter as others see it: its tables, its output, its answers.

mod common;
mod golden;
mod layers;
mod metrics;
mod probe;
mod program;
mod robust;
mod servers;
mod sharing;
mod tables;
