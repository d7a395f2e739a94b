//! The bridge's own `/metrics`, which it renders from the same state as its JSON statistics.
//!
//! Content negotiation as of 2.3-174: the first of OpenMetrics, text, JSON and anything that the Accept header
//! prefers; without the header, or without a match, the real one fails with 500.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A gauge or a counter, as TYPE lines have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}
use Kind::{Counter, Gauge};

const NAMESPACE: &str = "jitsi_jvb_";

/// JSON key, native name without the namespace, nature, and what the JSON value is multiplied by.
const TABLE: [(&str, &str, Kind, f64); 57] = [
    ("bit_rate_download", "incoming_bitrate", Gauge, 1000.0),
    ("bit_rate_upload", "outgoing_bitrate", Gauge, 1000.0),
    ("conferences", "conferences", Gauge, 1.0),
    ("drain", "drain_mode", Gauge, 1.0),
    ("dtls_failed_endpoints", "endpoints_dtls_failed", Counter, 1.0),
    ("endpoints", "current_endpoints", Gauge, 1.0),
    ("endpoints_disconnected", "endpoints_disconnected", Counter, 1.0),
    ("endpoints_reconnected", "endpoints_reconnected", Counter, 1.0),
    ("endpoints_sending_audio", "endpoints_sending_audio", Gauge, 1.0),
    ("endpoints_sending_video", "endpoints_sending_video", Gauge, 1.0),
    ("graceful_shutdown", "graceful_shutdown", Gauge, 1.0),
    ("healthy", "healthy", Gauge, 1.0),
    ("inactive_conferences", "conferences_inactive", Gauge, 1.0),
    ("inactive_endpoints", "endpoints_inactive", Gauge, 1.0),
    ("incoming_loss", "incoming_loss_fraction", Gauge, 1.0),
    ("largest_conference", "largest_conference", Gauge, 1.0),
    ("local_active_endpoints", "active_endpoints", Gauge, 1.0),
    ("local_endpoints", "local_endpoints", Gauge, 1.0),
    ("muc_clients_configured", "muc_clients_configured", Gauge, 1.0),
    ("muc_clients_connected", "muc_clients_connected", Gauge, 1.0),
    // The real one has the number of configured MUCs under this name.
    ("mucs_configured", "mucs_connected", Gauge, 1.0),
    ("mucs_joined", "mucs_joined", Gauge, 1.0),
    ("num_eps_oversending", "endpoints_oversending", Gauge, 1.0),
    ("octo_conferences", "conferences_with_relay", Gauge, 1.0),
    ("octo_endpoints", "endpoints_relayed", Gauge, 1.0),
    ("octo_receive_bitrate", "relay_incoming_bitrate", Gauge, 1.0),
    ("octo_send_bitrate", "relay_outgoing_bitrate", Gauge, 1.0),
    ("outgoing_loss", "outgoing_loss_fraction", Gauge, 1.0),
    ("overall_loss", "loss_fraction", Gauge, 1.0),
    ("p2p_conferences", "conferences_p2p", Gauge, 1.0),
    ("packet_rate_download", "incoming_packet_rate", Gauge, 1.0),
    ("packet_rate_upload", "outgoing_packet_rate", Gauge, 1.0),
    ("receive_only_endpoints", "endpoints_recvonly", Gauge, 1.0),
    ("rtt_aggregate", "average_rtt", Gauge, 1.0),
    ("shutting_down", "shutting_down", Gauge, 1.0),
    ("stress_level", "stress", Gauge, 1.0),
    ("threads", "thread_count", Gauge, 1.0),
    ("total_bytes_received", "bytes_received", Counter, 1.0),
    ("total_bytes_sent", "bytes_sent", Counter, 1.0),
    ("total_bytes_received_octo", "relay_bytes_received", Counter, 1.0),
    ("total_bytes_sent_octo", "relay_bytes_sent", Counter, 1.0),
    ("total_colibri_web_socket_messages_received", "colibri_web_socket_messages_received", Counter, 1.0),
    ("total_colibri_web_socket_messages_sent", "colibri_web_socket_messages_sent", Counter, 1.0),
    ("total_conference_seconds", "conference_seconds", Counter, 1.0),
    ("total_conferences_completed", "conferences_completed", Counter, 1.0),
    ("total_conferences_created", "conferences_created", Counter, 1.0),
    ("total_dominant_speaker_changes", "dominant_speaker_changes", Counter, 1.0),
    ("total_ice_failed", "ice_failed", Counter, 1.0),
    ("total_ice_succeeded", "ice_succeeded", Counter, 1.0),
    ("total_keyframes_received", "keyframes_received", Counter, 1.0),
    ("total_layering_changes_received", "layering_changes_received", Counter, 1.0),
    ("total_packets_received", "packets_received", Counter, 1.0),
    ("total_packets_sent", "packets_sent", Counter, 1.0),
    ("total_participants", "endpoints", Counter, 1.0),
    ("total_relays", "relays", Counter, 1.0),
    ("total_video_stream_milliseconds_received", "video_milliseconds_received", Counter, 1.0),
    ("total_visitors", "visitors", Counter, 1.0),
];

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Text,
    Json,
}

impl Format {
    /// What the header asks for; nothing if the real bridge would fail.
    pub(super) fn negotiate(accept: Option<&str>) -> Option<Self> {
        let mut ranges: Vec<(&str, f64)> = accept?
            .split(',')
            .map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default();
                let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
                (name, quality)
            })
            .collect();
        ranges.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranges.into_iter().find_map(|(name, _)| match name {
            "application/openmetrics-text" | "*/*" => Some(Self::OpenMetrics),
            "text/plain" => Some(Self::Text),
            "application/json" => Some(Self::Json),
            _ => None,
        })
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// The metrics of a bridge with these statistics, whose process started at this time.
pub(super) fn render(stats: &Map<String, Value>, startup_millis: i64, format: Format) -> String {
    let measured = TABLE.iter().filter_map(|(key, name, kind, scale)| {
        let value = match stats.get(*key)? {
            Value::Bool(flag) => f64::from(u8::from(*flag)),
            value => value.as_f64()? * scale,
        };
        Some((*name, *kind, value))
    });
    let metrics = measured.chain([("startup_time", Gauge, startup_millis as f64)]);
    if format == Format::Json {
        let object: Map<String, Value> = metrics
            .map(|(name, kind, value)| {
                let suffix = if kind == Counter { "_total" } else { "" };
                (format!("{name}{suffix}"), value.into())
            })
            .collect();
        return Value::Object(object).to_string();
    }
    let mut text = String::new();
    for (name, kind, value) in metrics {
        let (typed, total) = match (kind, format) {
            (Gauge, _) => ("gauge", ""),
            (Counter, _) => ("counter", "_total"),
        };
        // The older format names the metric with its suffix, OpenMetrics without.
        let family = if format == Format::Text { total } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {NAMESPACE}{name}{family} {}.", name.replace('_', " "));
        let _ = writeln!(text, "# TYPE {NAMESPACE}{name}{family} {typed}");
        let _ = writeln!(text, "{NAMESPACE}{name}{total} {value:?}");
    }
    let region = stats.get("region").and_then(Value::as_str).unwrap_or_default();
    let _ = writeln!(text, "# TYPE {NAMESPACE}region_info gauge");
    let _ = writeln!(text, "{NAMESPACE}region_info{{region={region:?}}} 1.0");
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_decides() {
        let cases = [
            (None, None),
            (Some("text/html"), None),
            (Some("*/*"), Some(Format::OpenMetrics)),
            (Some("text/plain;version=0.0.4"), Some(Format::Text)),
            (Some("application/json"), Some(Format::Json)),
            (Some("text/plain;q=0.5, application/openmetrics-text;q=0.9"), Some(Format::OpenMetrics)),
            (Some("application/openmetrics-text;q=0.2,text/plain;q=0.6,*/*;q=0.1"), Some(Format::Text)),
        ];
        for (accept, expected) in cases {
            assert_eq!(Format::negotiate(accept), expected, "{accept:?}");
        }
    }
}
