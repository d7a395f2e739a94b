//! Tests of jitsi-exporter as others see it: its tables, its output, its answers.

mod common;
mod golden;
mod layers;
mod tables;
