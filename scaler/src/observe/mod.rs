//! Reading Prometheus: its query API, its rules, and the queries of a fleet. Also what Alertmanager sends.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Labelled, QueryError};
use rules::Rules;

use crate::units::{Period, Time};

pub mod alertmanager;
pub mod prometheus;
pub mod questions;
pub mod rules;
pub mod shared;
pub mod sigv4;

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

    /// The rules of the server, at most `max_age` old; `None` if the server does not list them.
    fn rules(&self, max_age: Duration) -> impl Future<Output = Option<Arc<Rules>>> + Send;

    /// Evaluates `expr` at one moment.
    fn instant(&self, expr: &str, at: Time)
    -> impl Future<Output = Result<Vec<Labelled>, QueryError>> + Send;
}
