//! Metrics of fleets and groups as they are now, which are removed when another scaler takes them over.
//!
//! Owns which series belong to a fleet.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::passing::Passing;
use crate::units::FleetName;

/// Labels that name a fleet.
pub(super) trait OfFleet {
    /// The fleet.
    fn fleet(&self) -> &FleetName;
}

/// Metrics by their labels, which can be removed fleet by fleet. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Current<L, M = Gauge>(Arc<Mutex<HashMap<L, M>>>);

impl<L, M> Default for Current<L, M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<L: Eq + Hash + Clone, M: Clone + Default> Current<L, M> {
    fn metrics(&self) -> MutexGuard<'_, HashMap<L, M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metric with these labels.
    pub(super) fn get_or_create(&self, labels: &L) -> M {
        let mut metrics = self.metrics();
        if let Some(known) = metrics.get(labels) {
            return known.clone();
        }
        metrics.entry(labels.clone()).or_default().clone()
    }

    /// Removes the metric with these labels.
    pub(super) fn remove(&self, labels: &L) {
        self.metrics().remove(labels);
    }
}

/// What another scaler reports from now on is removed.
pub(super) trait Forget {
    /// Removes what is of fleets that are gone.
    fn forget(&self, is_gone: &dyn Fn(&str) -> bool);
}

impl<L: OfFleet + Eq + Hash + Clone, M: Clone + Default> Forget for Current<L, M> {
    fn forget(&self, is_gone: &dyn Fn(&str) -> bool) {
        self.metrics().retain(|labels, _| !is_gone(labels.fleet().as_str()));
    }
}

impl<L: OfFleet, N> Forget for Passing<L, N> {
    fn forget(&self, is_gone: &dyn Fn(&str) -> bool) {
        self.retain(|labels| !is_gone(labels.fleet().as_str()));
    }
}

impl<L, M> EncodeMetric for Current<L, M>
where
    L: Eq + Hash + Clone + EncodeLabelSet,
    M: Clone + Default + EncodeMetric + TypedMetric,
{
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (labels, metric) in self.metrics().iter() {
            metric.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.metrics().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use crate::shards::Shards;
    use crate::telemetry::Telemetry;
    use crate::units::{FleetName, Time};

    #[test]
    fn a_scaler_that_loses_a_shard_goes_on_to_report_the_fleets_of_the_others() {
        let mut registry = Registry::default();
        let telemetry = Telemetry::register(&mut registry);
        for fleet in ["jvb", "jibri"] {
            telemetry.evaluated_at(&FleetName::new(fleet), Time::from_unix(60));
        }
        let samples = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry)
                .expect("a string takes every write");
            let lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("jitsi_scaler_last_evaluation_timestamp_seconds"));
            let mut lines: Vec<_> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(samples(), [r#"{fleet="jibri"} 60"#, r#"{fleet="jvb"} 60"#]);
        let shards = Shards::try_new(8).expect("a number");
        telemetry.stood_down(shards.of("jvb"));
        assert_eq!(samples(), [r#"{fleet="jibri"} 60"#]);
    }
}
