//! Metrics of the server itself, limited to what an operator may have to act on.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

crate::words! {
    /// Why a request was refused before it reached a route.
    pub(crate) enum Refusal {
        /// 401.
        Unauthorized = "unauthorized",
        /// 429: `rate_limit`.
        RateLimit = "rate_limit",
        /// 503: `--web.max-requests`.
        MaxRequests = "max_requests",
        /// 403: a page of another site made a browser send it.
        CrossSite = "cross_site",
    }
}

/// The metrics and the log of the server. Clones share the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    refused: Family<[(&'static str, &'static str); 1], Counter>,
    handshakes_failed: Counter,
    pub(crate) passwords_checked: Counter,
}

impl Telemetry {
    pub(crate) fn register(&self, registry: &mut Registry, prefix: &str) {
        for refusal in Refusal::ALL {
            drop(self.refused.get_or_create(&[("reason", refusal.as_str())]));
        }
        registry.register(
            format!("{prefix}_web_requests_refused"),
            "Requests refused before they reached a route, by reason",
            self.refused.clone(),
        );
        registry.register(
            format!("{prefix}_web_tls_handshakes_failed"),
            "Connections whose TLS handshake failed",
            self.handshakes_failed.clone(),
        );
        registry.register(
            format!("{prefix}_web_passwords_checked"),
            "Passwords compared with their bcrypt hash. Results are cached, so a high rate means that passwords are being guessed",
            self.passwords_checked.clone(),
        );
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused.get_or_create(&[("reason", refusal.as_str())]).inc();
        tracing::debug!(reason = refusal.as_str(), "request refused");
    }

    pub(crate) fn handshake_failed(&self, peer: std::net::SocketAddr, error: &dyn std::fmt::Display) {
        self.handshakes_failed.inc();
        tracing::debug!(%peer, %error, "TLS handshake failed");
    }
}
