//! What is read from Prometheus: its query API, and the questions that are asked of it; and what Alertmanager sends.

use prometheus::{Labelled, QueryError};

use crate::units::{Period, Time};

pub mod alertmanager;
pub mod prometheus;
pub mod questions;

/// The queries that the scaler makes.
pub trait Metrics: Send + Sync {
    /// Evaluates `expr` at every `step` from `start` to `end`, both included. Points that are not finite are left out,
    /// as missing.
    fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> impl Future<Output = Result<Vec<Labelled>, QueryError>> + Send;

    /// Evaluates `expr` at one moment.
    fn instant(&self, expr: &str, at: Time)
    -> impl Future<Output = Result<Vec<Labelled>, QueryError>> + Send;
}
