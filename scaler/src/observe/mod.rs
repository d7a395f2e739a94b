//! Reading Prometheus: its query API, its rules, and the queries of a fleet. Also what Alertmanager sends.

pub mod alertmanager;
mod answer;
mod body;
mod labels;
pub(crate) mod metrics;
pub mod past;
#[cfg(test)]
pub(crate) mod prepared;
pub mod prometheus;
pub mod questions;
pub mod rules;
pub mod shared;
pub mod sigv4;
mod together;

pub use labels::{Labels, differing};
pub use metrics::{Labelled, Metrics, QueryError};
