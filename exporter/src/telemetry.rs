//! The exporter's metrics about itself, and its log: one function for each thing that happens,
//! which writes both.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jitsi_web::exposition::{Format, encode_registry};
use jitsi_web::{build_info, process};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::component::{Component, Refusal};
use crate::reason::Reason;
use crate::relay::{Call, Outcome, Passed};
use crate::table::Reading;

/// Targets whose failure is remembered, so that it is logged once. Beyond that a fleet is down, and
/// more lines would tell nothing.
const MAX_FAILING: usize = 10_000;

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Metrics and log of the exporter itself.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    scrapes: Family<Labels<1>, Counter>,
    failures: Family<Labels<2>, Counter>,
    unusable: Family<Labels<2>, Counter>,
    relayed: Family<Labels<3>, Counter>,
    failing: Mutex<HashMap<(Component, String), Reason>>,
}

impl Telemetry {
    /// With the series of these components at zero, so that the first failure is an increase.
    pub fn new(components: impl IntoIterator<Item = Component>) -> Self {
        let mut registry = Registry::default();
        build_info::register(&mut registry, "jitsi_exporter");
        let (scrapes, failures, unusable) = (Family::default(), Family::default(), Family::default());
        registry.register("jitsi_exporter_scrapes", "Targets scraped or probed", scrapes.clone());
        registry.register(
            "jitsi_exporter_scrape_failures",
            "Targets whose statistics were not had or not understood, by reason",
            failures.clone(),
        );
        registry.register(
            "jitsi_exporter_unusable_values",
            "Values of known keys that were of another type than is known, by key",
            unusable.clone(),
        );
        let relayed = Family::default();
        registry.register(
            "jitsi_exporter_relay_requests",
            "Requests to the relay, by what was asked for and what became of it",
            relayed.clone(),
        );
        process::register(&mut registry);
        let failing = Mutex::default();
        let telemetry = Self { registry, scrapes, failures, unusable, relayed, failing };
        for component in components {
            telemetry.start(component);
        }
        telemetry
    }

    fn start(&self, component: Component) {
        let component = ("component", component.as_str());
        drop(self.scrapes.get_or_create(&[component]));
        for reason in Reason::ALL {
            drop(self.failures.get_or_create(&[component, ("reason", reason.as_str())]));
        }
    }

    /// Requests to this component can be relayed.
    pub fn relays(&self, component: Component) {
        for call in Call::ALL.into_iter().filter(|call| call.component() == component) {
            for outcome in Outcome::ALL {
                drop(self.relayed.get_or_create(&relay_labels(call, outcome)));
            }
        }
    }

    /// A request came to the relay.
    pub fn relayed(&self, call: Call, passed: &Passed, peer: Option<SocketAddr>, took: Duration) {
        self.relayed.get_or_create(&relay_labels(call, passed.outcome)).inc();
        let Passed { outcome, response, detail } = passed;
        let (component, request, outcome) = (call.component(), call.as_str(), outcome.as_str());
        let (status, peer) = (response.status().as_u16(), peer.map(tracing::field::display));
        tracing::info!(%component, request, outcome, status, peer, ?took, detail, "relay");
    }

    /// A target was scraped. Its failure is logged when it begins or its reason changes, and again
    /// when it is over.
    pub fn scraped(&self, component: Component, address: &str, outcome: Result<&Reading, &Refusal>) {
        let label = ("component", component.as_str());
        self.scrapes.get_or_create(&[label]).inc();
        match outcome {
            Ok(reading) => {
                for key in &reading.unusable {
                    self.unusable.get_or_create(&[label, ("key", *key)]).inc();
                    tracing::debug!(%component, address, key, "unusable value");
                }
                if self.has_recovered(component, address) {
                    tracing::info!(%component, address, "up again");
                }
            }
            Err(Refusal { reason, detail }) => {
                self.failures.get_or_create(&[label, ("reason", reason.as_str())]).inc();
                let reason_label = reason.as_str();
                let advice = component.advice(*reason);
                if self.is_news(component, address, *reason) {
                    tracing::warn!(%component, address, reason = reason_label, detail, "not up: {advice}");
                } else {
                    tracing::debug!(%component, address, reason = reason_label, detail, "still not up: {advice}");
                }
            }
        }
    }

    fn is_news(&self, component: Component, address: &str, reason: Reason) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let room = failing.len() < MAX_FAILING;
        match failing.entry((component, address.to_owned())) {
            Entry::Occupied(mut known) => known.insert(reason) != reason,
            Entry::Vacant(new) if room => {
                new.insert(reason);
                true
            }
            Entry::Vacant(_) => false,
        }
    }

    fn has_recovered(&self, component: Component, address: &str) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        !failing.is_empty() && failing.remove(&(component, address.to_owned())).is_some()
    }

    /// Where the rest of the program registers metrics of its own.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The metrics; in OpenMetrics with the end of the answer.
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        encode_registry(&self.registry, format)
    }
}

fn relay_labels(call: Call, outcome: Outcome) -> Labels<3> {
    [("component", call.component().as_str()), ("request", call.as_str()), ("outcome", outcome.as_str())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once_until_it_changes_or_ends() {
        let telemetry = Telemetry::new([]);
        let is_news = |reason| telemetry.is_news(Component::Jvb, "a:8080", reason);
        assert!(is_news(Reason::Refused));
        assert!(!is_news(Reason::Refused));
        assert!(is_news(Reason::Timeout));
        assert!(telemetry.is_news(Component::Jvb, "b:8080", Reason::Timeout));
        assert!(telemetry.has_recovered(Component::Jvb, "a:8080"));
        assert!(!telemetry.has_recovered(Component::Jvb, "a:8080"));
        assert!(is_news(Reason::Timeout));
    }

    #[test]
    fn what_happens_is_counted() {
        let telemetry = Telemetry::new([Component::Jibri]);
        let reading = Reading { unusable: vec!["busy"], ..Reading::default() };
        telemetry.scraped(Component::Jibri, "a", Ok(&reading));
        telemetry.scraped(Component::Jibri, "a", Err(&Reason::Html.into()));
        let text = telemetry.encode(Format::Text004);
        for line in [
            "jitsi_exporter_scrapes_total{component=\"jibri\"} 2",
            "jitsi_exporter_scrape_failures_total{component=\"jibri\",reason=\"html\"} 1",
            "jitsi_exporter_scrape_failures_total{component=\"jibri\",reason=\"dns\"} 0",
            "jitsi_exporter_unusable_values_total{component=\"jibri\",key=\"busy\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
