//! A Prometheus with prepared answers, for tests.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::{Labelled, Metrics, QueryError};
use super::rules::Rules;
use crate::units::{Period, Time};

/// Answers the queries that are expected of a test, and panics at another one.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The answer to every range query.
    pub(crate) range: Option<Vec<Labelled>>,
    /// The rules of the server, if it lists them.
    pub(crate) rules: Option<Arc<Rules>>,
    /// The answers to instant queries, by what these begin with.
    pub(crate) instant: Vec<(&'static str, Vec<Labelled>)>,
}

impl Metrics for Prepared {
    async fn range(&self, expr: &str, _: Time, _: Time, _: Period) -> Result<Vec<Labelled>, QueryError> {
        Ok(self.range.clone().unwrap_or_else(|| panic!("an unexpected query: {expr}")))
    }

    async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
        self.rules.clone()
    }

    async fn instant(&self, expr: &str, _: Time) -> Result<Vec<Labelled>, QueryError> {
        let answer = self.instant.iter().find(|(start, _)| expr.starts_with(start));
        Ok(answer.unwrap_or_else(|| panic!("an unexpected query: {expr}")).1.clone())
    }
}

/// A series.
pub(crate) fn labelled(labels: &[(&str, &str)], points: &[(f64, f64)]) -> Labelled {
    Labelled { labels: labels.iter().copied().collect(), points: points.to_vec() }
}
