//! What is read from Prometheus: its query API, and the questions that are asked of it.

pub mod prometheus;
pub mod questions;
