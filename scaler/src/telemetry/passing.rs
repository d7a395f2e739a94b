//! Gauges of what seldom holds: reasons to hold, verdicts, and troubles of upkeep.
//!
//! Owns when a series exists: while its value is not 0, and once more as 0 after that; one that is held exists as 0 too. Of
//! ten thousand groups, series that are always there would be most of an exposition, and nearly all of them 0.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// Gauges that exist while they are not 0, and as 0 at the scrape after that. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Passing<L, N = i64>(Arc<Mutex<HashMap<L, Shown<N>>>>);

#[derive(Clone, Copy, Debug)]
struct Shown<N> {
    value: N,
    /// Whether it exists as 0 too.
    is_held: bool,
}

impl<L, N> Default for Passing<L, N> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<L, N> Passing<L, N> {
    fn gauges(&self) -> MutexGuard<'_, HashMap<L, Shown<N>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all but those whose labels pass.
    pub(super) fn retain(&self, stays: impl Fn(&L) -> bool) {
        self.gauges().retain(|labels, _| stays(labels));
    }
}

impl<L: Eq + Hash, N: Default + PartialEq> Passing<L, N> {
    /// Sets a gauge. One that does not exist is not created for 0.
    pub(super) fn set(&self, labels: L, value: N) {
        let shown = Shown { value, is_held: false };
        match self.gauges().entry(labels) {
            Entry::Occupied(mut gauge) => drop(gauge.insert(shown)),
            Entry::Vacant(place) if shown.value != N::default() => drop(place.insert(shown)),
            Entry::Vacant(_) => {}
        }
    }

    /// Sets a gauge that exists as 0 too.
    pub(super) fn hold(&self, labels: L, value: N) {
        self.gauges().insert(labels, Shown { value, is_held: true });
    }
}

impl<L, N> EncodeMetric for Passing<L, N>
where
    L: Eq + Hash + EncodeLabelSet,
    N: Copy + Default + PartialEq + EncodeGaugeValue,
{
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauges = self.gauges();
        for (labels, Shown { value, .. }) in gauges.iter() {
            encoder.encode_family(labels)?.encode_gauge(value)?;
        }
        gauges.retain(|_, Shown { value, is_held }| *is_held || *value != N::default());
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.gauges().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_gauge_exists_while_it_is_not_zero_and_once_more() {
        let gauges = Passing::<[(&'static str, &'static str); 1]>::default();
        let mut registry = Registry::default();
        registry.register("blocked", "Blocked", gauges.clone());
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &registry).expect("a string takes every write");
            let mut samples: Vec<_> =
                text.lines().filter(|it| !it.starts_with('#')).map(String::from).collect();
            samples.sort();
            samples.join("; ")
        };
        let set = |reason, value| gauges.set([("reason", reason)], value);

        set("cooldown", 0);
        assert_eq!(scrape(), "");
        set("cooldown", 1);
        set("maximum", 1);
        assert_eq!(scrape(), r#"blocked{reason="cooldown"} 1; blocked{reason="maximum"} 1"#);
        set("cooldown", 0);
        set("cooldown", 0);
        assert_eq!(scrape(), r#"blocked{reason="cooldown"} 0; blocked{reason="maximum"} 1"#);
        assert_eq!(scrape(), r#"blocked{reason="maximum"} 1"#);
        // Between two scrapes.
        set("maximum", 0);
        set("maximum", 1);
        assert_eq!(scrape(), r#"blocked{reason="maximum"} 1"#);
        gauges.hold([("reason", "held")], 0);
        set("maximum", 0);
        scrape();
        assert_eq!(
            (scrape(), scrape()),
            (r#"blocked{reason="held"} 0"#.into(), r#"blocked{reason="held"} 0"#.into())
        );
        gauges.retain(|_| false);
        assert_eq!(scrape(), "");
    }
}
