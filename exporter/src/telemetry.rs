//! The exporter's own metrics and its log. Each kind of event has one function, which writes both.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jitsi_web::exposition::{Format, encode_registry};
use jitsi_web::{LogLimit, build_info, process};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::component::{Component, Refusal};
use crate::reason::Reason;
use crate::relay::{Call, Outcome, Passed};
use crate::table::Reading;

/// Maximum number of failing targets that are remembered so that a failure is logged once. With more, a whole fleet is down
/// and further lines would add nothing. A name has at most 253 bytes, so that all of them take some 4 MB.
const MAX_FAILING: usize = 10_000;
/// For how long a failing target is remembered after its last failure, if others need its place. Longer than any interval
/// of scrapes.
const FAILING_KNOWN: Duration = Duration::from_hours(1);

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The exporter's own metrics and log.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    scrapes: Family<Labels<1>, Counter>,
    failures: Family<Labels<2>, Counter>,
    unusable: Family<Labels<2>, Counter>,
    relayed: Family<Labels<3>, Counter>,
    failing: Mutex<HashMap<(Component, String), (Reason, Instant)>>,
    failures_logged: LogLimit,
}

impl Telemetry {
    /// Registers the metrics. The series of `components` begin at zero, so that the first failure is an increase.
    pub fn new(components: impl IntoIterator<Item = Component>) -> Self {
        let mut registry = Registry::default();
        build_info::register(&mut registry, "jitsi_exporter");
        let (scrapes, failures, unusable) = (Family::default(), Family::default(), Family::default());
        registry.register("jitsi_exporter_scrapes", "Targets scraped or probed", scrapes.clone());
        registry.register(
            "jitsi_exporter_scrape_failures",
            "Targets whose statistics could not be fetched or understood, by reason",
            failures.clone(),
        );
        registry.register(
            "jitsi_exporter_unusable_values",
            "Values of known keys that had an unexpected type, by key",
            unusable.clone(),
        );
        let relayed = Family::default();
        registry.register(
            "jitsi_exporter_relay_requests",
            "Requests to the relay, by request and outcome",
            relayed.clone(),
        );
        process::register(&mut registry);
        let failing = Mutex::default();
        let failures_logged = LogLimit::default();
        let telemetry = Self { registry, scrapes, failures, unusable, relayed, failing, failures_logged };
        for component in components {
            telemetry.add_component(component);
        }
        telemetry
    }

    fn add_component(&self, component: Component) {
        let component = ("component", component.as_str());
        drop(self.scrapes.get_or_create(&[component]));
        for reason in Reason::ALL {
            drop(self.failures.get_or_create(&[component, ("reason", reason.as_str())]));
        }
    }

    /// Adds the relay's series of `component`, at zero.
    pub fn add_relay(&self, component: Component) {
        for call in Call::ALL.into_iter().filter(|call| call.component() == component) {
            for outcome in Outcome::ALL {
                drop(self.relayed.get_or_create(&relay_labels(call, outcome)));
            }
        }
    }

    /// The relay has handled a request.
    pub fn relayed(&self, call: Call, passed: &Passed, peer: Option<SocketAddr>, took: Duration) {
        self.relayed.get_or_create(&relay_labels(call, passed.outcome)).inc();
        let Passed { outcome, response, detail } = passed;
        let (component, request, outcome) = (call.component(), call.as_str(), outcome.as_str());
        let (status, peer) = (response.status().as_u16(), peer.map(tracing::field::display));
        tracing::info!(%component, request, outcome, status, peer, ?took, detail, "relay");
    }

    /// A target was scraped. A failure is logged when it begins, when its reason changes and when it ends.
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
                let now = Instant::now();
                let is_new = self.is_new_failure(component, address, *reason, now);
                if let Some(left_out) = is_new.then(|| self.failures_logged.line(now)).flatten() {
                    let left_out = (left_out > 0).then_some(left_out);
                    tracing::warn!(%component, address, reason = reason_label, detail, left_out, "not up: {advice}");
                } else {
                    tracing::debug!(%component, address, reason = reason_label, detail, "still not up: {advice}");
                }
            }
        }
    }

    fn is_new_failure(&self, component: Component, address: &str, reason: Reason, now: Instant) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.len() >= MAX_FAILING {
            failing.retain(|_, (_, last)| now.duration_since(*last) < FAILING_KNOWN);
        }
        let room = failing.len() < MAX_FAILING;
        match failing.entry((component, address.to_owned())) {
            Entry::Occupied(mut known) => known.insert((reason, now)).0 != reason,
            Entry::Vacant(new) if room => {
                new.insert((reason, now));
                true
            }
            Entry::Vacant(_) => false,
        }
    }

    fn has_recovered(&self, component: Component, address: &str) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        !failing.is_empty() && failing.remove(&(component, address.to_owned())).is_some()
    }

    /// The registry, where the server registers its metrics.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The metrics as text. In OpenMetrics they end with `# EOF`.
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
    fn a_failure_is_new_once_until_it_changes_or_ends() {
        let telemetry = Telemetry::new([]);
        let now = Instant::now();
        let is_new = |reason| telemetry.is_new_failure(Component::Jvb, "a:8080", reason, now);
        assert!(is_new(Reason::Refused));
        assert!(!is_new(Reason::Refused));
        assert!(is_new(Reason::Timeout));
        assert!(telemetry.is_new_failure(Component::Jvb, "b:8080", Reason::Timeout, now));
        assert!(telemetry.has_recovered(Component::Jvb, "a:8080"));
        assert!(!telemetry.has_recovered(Component::Jvb, "a:8080"));
        assert!(is_new(Reason::Timeout));
    }

    #[test]
    fn failing_targets_make_place_for_others_after_an_hour() {
        let telemetry = Telemetry::new([]);
        let start = Instant::now();
        let is_new = |number: usize, minutes: u64| {
            let now = start + Duration::from_mins(minutes);
            telemetry.is_new_failure(Component::Jvb, &number.to_string(), Reason::Refused, now)
        };
        assert!((0..MAX_FAILING).all(|number| is_new(number, 0)));
        assert!(!is_new(MAX_FAILING, 59));
        assert!(!is_new(0, 59));
        assert!(is_new(MAX_FAILING, 60));
        assert_eq!(telemetry.failing.lock().expect("no panic").len(), 2);
    }

    #[test]
    fn scrapes_and_failures_are_counted() {
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
