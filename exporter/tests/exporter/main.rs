//! Tests of jitsi-exporter as others see it: its tables, its output, its answers.

mod bad_input;
mod common;
mod compat;
mod facts;
mod faithful;
mod golden;
mod guide;
mod landing;
mod layers;
mod metrics;
mod modules;
mod native;
mod probe;
mod program;
mod reference;
mod relay;
mod robust;
mod servers;
mod sharing;
mod systemd;
mod tables;
