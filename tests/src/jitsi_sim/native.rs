//! `/metrics` of a bridge and of a Jicofo, which they render from the same state as their JSON statistics.
//!
//! Content negotiation as of JVB 2.3-174 and Jicofo 1.0-912: of OpenMetrics, text, JSON and anything, the first that the
//! Accept header prefers. The times at which counters began to count (`…_created`) are left out.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::payload::Conference;

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
    Histogram,
    Info,
}
use Kind::{Counter, Gauge, Histogram, Info};

/// Path in the JSON statistics, native name without the namespace, nature, and what the JSON value is multiplied by.
type Row = (&'static str, &'static str, Kind, u64);

const BRIDGE: &[Row] = &[
    ("/bit_rate_download", "incoming_bitrate", Gauge, 1000),
    ("/bit_rate_upload", "outgoing_bitrate", Gauge, 1000),
    ("/conferences", "conferences", Gauge, 1),
    ("/drain", "drain_mode", Gauge, 1),
    ("/dtls_failed_endpoints", "endpoints_dtls_failed", Counter, 1),
    ("/dtls_failed_relays", "relays_dtls_failed", Counter, 1),
    ("/endpoints", "current_endpoints", Gauge, 1),
    ("/endpoints_disconnected", "endpoints_disconnected", Counter, 1),
    ("/endpoints_ice_failed", "endpoints_ice_failed", Counter, 1),
    ("/endpoints_reconnected", "endpoints_reconnected", Counter, 1),
    ("/endpoints_sending_audio", "endpoints_sending_audio", Gauge, 1),
    ("/endpoints_sending_video", "endpoints_sending_video", Gauge, 1),
    ("/endpoints_with_high_outgoing_loss", "endpoints_with_high_outgoing_loss", Gauge, 1),
    ("/endpoints_with_spurious_remb", "endpoints_with_spurious_remb", Gauge, 1),
    ("/endpoints_with_suspended_sources", "endpoints_with_suspended_sources", Gauge, 1),
    ("/graceful_shutdown", "graceful_shutdown", Gauge, 1),
    ("/healthy", "healthy", Gauge, 1),
    ("/inactive_conferences", "conferences_inactive", Gauge, 1),
    ("/inactive_endpoints", "endpoints_inactive", Gauge, 1),
    ("/incoming_loss", "incoming_loss_fraction", Gauge, 1),
    ("/largest_conference", "largest_conference", Gauge, 1),
    ("/local_active_endpoints", "active_endpoints", Gauge, 1),
    ("/local_endpoints", "local_endpoints", Gauge, 1),
    ("/muc_clients_configured", "muc_clients_configured", Gauge, 1),
    ("/muc_clients_connected", "muc_clients_connected", Gauge, 1),
    // The real one has the number of configured MUCs under this name.
    ("/mucs_configured", "mucs_connected", Gauge, 1),
    ("/mucs_joined", "mucs_joined", Gauge, 1),
    ("/num_eps_no_msg_transport_after_delay", "endpoints_no_message_transport_after_delay", Counter, 1),
    ("/num_eps_oversending", "endpoints_oversending", Gauge, 1),
    ("/num_relays_no_msg_transport_after_delay", "relays_no_message_transport_after_delay", Counter, 1),
    ("/octo_conferences", "conferences_with_relay", Gauge, 1),
    ("/octo_endpoints", "endpoints_relayed", Gauge, 1),
    ("/octo_receive_bitrate", "relay_incoming_bitrate", Gauge, 1),
    ("/octo_receive_packet_rate", "relay_incoming_packet_rate", Gauge, 1),
    ("/octo_send_bitrate", "relay_outgoing_bitrate", Gauge, 1),
    ("/octo_send_packet_rate", "relay_outgoing_packet_rate", Gauge, 1),
    ("/outgoing_loss", "outgoing_loss_fraction", Gauge, 1),
    ("/overall_loss", "loss_fraction", Gauge, 1),
    ("/p2p_conferences", "conferences_p2p", Gauge, 1),
    ("/packet_rate_download", "incoming_packet_rate", Gauge, 1),
    ("/packet_rate_upload", "outgoing_packet_rate", Gauge, 1),
    ("/preemptive_kfr_sent", "preemptive_keyframe_requests_sent", Counter, 1),
    ("/preemptive_kfr_suppressed", "preemptive_keyframe_requests_suppressed", Counter, 1),
    ("/receive_only_endpoints", "endpoints_recvonly", Gauge, 1),
    ("/relays_ice_failed", "relays_ice_failed", Counter, 1),
    ("/rtt_aggregate", "average_rtt", Gauge, 1),
    ("/shutting_down", "shutting_down", Gauge, 1),
    ("/stress_level", "stress", Gauge, 1),
    ("/tcc_unmatched_feedback", "tcc_unmatched_feedback", Gauge, 1),
    ("/threads", "thread_count", Gauge, 1),
    ("/total_bytes_received", "bytes_received", Counter, 1),
    ("/total_bytes_received_octo", "relay_bytes_received", Counter, 1),
    ("/total_bytes_sent", "bytes_sent", Counter, 1),
    ("/total_bytes_sent_octo", "relay_bytes_sent", Counter, 1),
    ("/total_colibri_web_socket_messages_received", "colibri_web_socket_messages_received", Counter, 1),
    ("/total_colibri_web_socket_messages_sent", "colibri_web_socket_messages_sent", Counter, 1),
    ("/total_conference_seconds", "conference_seconds", Counter, 1),
    ("/total_conferences_completed", "conferences_completed", Counter, 1),
    ("/total_conferences_created", "conferences_created", Counter, 1),
    ("/total_data_channel_messages_received", "data_channel_messages_received", Counter, 1),
    ("/total_data_channel_messages_sent", "data_channel_messages_sent", Counter, 1),
    ("/total_dominant_speaker_changes", "dominant_speaker_changes", Counter, 1),
    ("/total_ice_failed", "ice_failed", Counter, 1),
    ("/total_ice_succeeded", "ice_succeeded", Counter, 1),
    ("/total_ice_succeeded_relayed", "ice_succeeded_relayed", Counter, 1),
    ("/total_keyframes_received", "keyframes_received", Counter, 1),
    ("/total_layering_changes_received", "layering_changes_received", Counter, 1),
    ("/total_packets_received", "packets_received", Counter, 1),
    ("/total_packets_received_octo", "relay_packets_received", Counter, 1),
    ("/total_packets_sent", "packets_sent", Counter, 1),
    ("/total_packets_sent_octo", "relay_packets_sent", Counter, 1),
    ("/total_participants", "endpoints", Counter, 1),
    ("/total_relays", "relays", Counter, 1),
    ("/total_video_stream_milliseconds_received", "video_milliseconds_received", Counter, 1),
    ("/total_visitors", "visitors", Counter, 1),
    ("/visitors", "current_visitors", Gauge, 1),
];

/// What a bridge has in `/metrics` alone, and stays at 0 here.
const BRIDGE_ZEROS: &[(&str, Kind)] = &[
    ("colibri_web_socket_close_abnormal", Counter),
    ("colibri_web_socket_close_normal", Counter),
    ("colibri_web_socket_error", Counter),
    ("cpu_steal", Gauge),
    ("ice_restarts_agent_creation_failed", Counter),
    ("ice_restarts_failed", Counter),
    ("ice_restarts_not_established", Counter),
    ("ice_restarts_rejected", Counter),
    ("ice_restarts_started", Counter),
    ("ice_restarts_succeeded", Counter),
    ("ice_restarts_superseded", Counter),
    ("jvm_gc_count", Gauge),
    ("jvm_gc_time", Gauge),
    ("jvm_heap_committed", Gauge),
    ("jvm_heap_used", Gauge),
    ("jvm_open_fd_count", Gauge),
    ("queue_dropped_packets", Counter),
    ("queue_exceptions", Counter),
    ("rejected_data_channels", Counter),
    ("rtp_receiver_dropped_packets", Counter),
    ("rtp_receiver_exceptions", Counter),
    ("rtp_sender_dropped_packets", Counter),
    ("rtp_sender_exceptions", Counter),
    ("xmpp_disconnects", Counter),
];

const JICOFO: &[Row] = &[
    ("/bridge_failures/bridges_removed", "bridges_removed", Counter, 1),
    ("/bridge_failures/participants_moved", "participants_moved", Counter, 1),
    ("/bridge_selector/bridge_count", "bridge_selector_bridge_count", Gauge, 1),
    ("/bridge_selector/bridge_version_count", "bridge_selector_bridge_version_count", Gauge, 1),
    ("/bridge_selector/in_shutdown_bridge_count", "bridge_selector_bridge_count_in_shutdown", Gauge, 1),
    ("/bridge_selector/lost_bridges", "bridge_selector_lost_bridges", Counter, 1),
    ("/bridge_selector/operational_bridge_count", "bridge_selector_bridge_count_operational", Gauge, 1),
    ("/conferences", "conferences", Gauge, 1),
    ("/conferences_with_visitors", "conferences_with_visitors", Gauge, 1),
    ("/endpoint_pairs", "participants_pairs", Gauge, 1),
    ("/healthy", "healthy", Gauge, 1),
    ("/jibri/live_streaming_active", "jibri_live_streaming_active", Gauge, 1),
    ("/jibri/recording_active", "jibri_recording_active", Gauge, 1),
    ("/jibri/sip_call_active", "jibri_sip_active", Gauge, 1),
    ("/jibri/total_live_streaming_failures", "jibri_live_streaming_failures", Counter, 1),
    ("/jibri/total_recording_failures", "jibri_recording_failures", Counter, 1),
    ("/jibri/total_sip_call_failures", "jibri_sip_failures", Counter, 1),
    ("/jibri_detector/available", "jibri_instances_available", Gauge, 1),
    ("/jibri_detector/count", "jibri_instances", Gauge, 1),
    ("/largest_conference", "largest_conference", Gauge, 1),
    ("/participant_notifications/ice_failed", "participants_ice_failed", Counter, 1),
    ("/participant_notifications/request_restart", "participants_restart_requested", Counter, 1),
    ("/participants", "participants_current", Gauge, 1),
    ("/sip_jibri_detector/available", "sip_jibri_instances_available", Gauge, 1),
    ("/sip_jibri_detector/count", "sip_jibri_instances", Gauge, 1),
    ("/threads", "threads", Gauge, 1),
    ("/total_conferences_created", "conferences_created", Counter, 1),
    ("/total_conferences_created", "conference_requests", Counter, 1),
    ("/total_conferences_created", "conference_requests_new", Counter, 1),
    ("/total_participants", "participants", Counter, 1),
    ("/visitors", "visitors_current", Gauge, 1),
];

/// What a Jicofo has in `/metrics` alone, and stays at 0 here.
const JICOFO_ZEROS: &[(&str, Kind)] = &[
    ("bridge_selection_rate_limited", Counter),
    ("conferences_seconds", Gauge),
    ("endpoint_seconds", Gauge),
    ("jibri_no_instance_failures", Counter),
    ("load_redistributor_endpoints_moved", Counter),
    ("participants_no_start_muted_rmd", Counter),
    ("xmpp_disconnects", Counter),
];

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Text,
    Json,
}

impl Format {
    /// The format for this Accept header; `None` where a component fails with 500.
    pub(super) fn negotiate(accept: &str) -> Option<Self> {
        let mut ranges: Vec<(&str, f64)> = accept
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
}

#[derive(Debug)]
enum Sample {
    Number(Value),
    /// How many values are at most each bound; then how many there are, and their sum.
    Buckets(Vec<(u32, usize)>, usize, u32),
    /// 1, with a label that is called as the metric.
    Label(String),
}

/// The metrics of one component.
#[derive(Debug)]
pub(super) struct Metrics {
    namespace: &'static str,
    families: Vec<(&'static str, Kind, Sample)>,
}

/// The metrics of a bridge: its statistics, the endpoints in each conference, and its start in Unix milliseconds.
pub(super) fn bridge(stats: Map<String, Value>, conferences: &[Conference], startup_millis: i64) -> Metrics {
    let mut metrics = Metrics::new("jitsi_jvb_", &stats.into(), BRIDGE, BRIDGE_ZEROS, "region");
    metrics.families.push(("startup_time", Gauge, Sample::Number(json!(startup_millis))));
    let by = |of: fn(&Conference) -> u32| histogram(0..=20, &conferences.iter().map(of).collect::<Vec<_>>());
    metrics.families.extend([
        ("conferences_by_size", Histogram, by(|it| it.endpoints)),
        ("conferences_by_audio_sender", Histogram, by(|it| it.audio_senders)),
        ("conferences_by_video_sender", Histogram, by(|it| it.video_senders)),
        ("tossed_packets_energy", Histogram, histogram(std::iter::once(0).chain((7..=127).step_by(8)), &[])),
    ]);
    metrics
}

/// The metrics of a Jicofo with these statistics.
pub(super) fn jicofo(stats: &Value) -> Metrics {
    Metrics::new("jitsi_jicofo_", stats, JICOFO, JICOFO_ZEROS, "version")
}

fn histogram(bounds: impl Iterator<Item = u32>, values: &[u32]) -> Sample {
    let at_most = |bound| values.iter().filter(|value| **value <= bound).count();
    Sample::Buckets(bounds.map(|bound| (bound, at_most(bound))).collect(), values.len(), values.iter().sum())
}

impl Metrics {
    fn new(
        namespace: &'static str,
        stats: &Value,
        rows: &[Row],
        zeros: &[(&'static str, Kind)],
        info: &'static str,
    ) -> Self {
        let measured = rows.iter().filter_map(|(path, name, kind, factor)| {
            let value = stats.pointer(path)?;
            let scaled = value.as_u64().filter(|_| *factor > 1).map(|value| json!(value * factor));
            Some((*name, *kind, Sample::Number(scaled.unwrap_or_else(|| value.clone()))))
        });
        let zeros = zeros.iter().map(|(name, kind)| (*name, *kind, Sample::Number(json!(0))));
        let mut families: Vec<_> = measured.chain(zeros).collect();
        if let Some(text) = stats[info].as_str() {
            families.push((info, Info, Sample::Label(text.to_owned())));
        }
        Self { namespace, families }
    }

    /// All of them in this format.
    pub(super) fn render(&self, format: Format) -> String {
        if format == Format::Json { self.json().to_string() } else { self.text(format) }
    }

    /// The JSON form leaves out the namespace and everything with a label.
    fn json(&self) -> Value {
        let families = self.families.iter().filter_map(|(name, kind, sample)| match sample {
            Sample::Number(value) => Some((format!("{name}{}", kind.suffix()), value.clone())),
            Sample::Buckets(buckets, count, sum) => {
                let number = |count: usize| json!(count as f64);
                let bucket =
                    |(bound, at_most): &(u32, usize)| (format!("bucket_le_{bound}.0"), number(*at_most));
                let (count, sum) = (number(*count), json!(f64::from(*sum)));
                let rest = [("bucket_le_+Inf", count.clone()), ("count", count), ("sum", sum)];
                let rest = rest.map(|(key, value)| (key.to_owned(), value));
                Some(((*name).to_owned(), buckets.iter().map(bucket).chain(rest).collect()))
            }
            Sample::Label(_) => None,
        });
        families.collect()
    }

    fn text(&self, format: Format) -> String {
        // The older format ends a list of labels with a comma, has suffixes in TYPE lines too, and knows no info.
        let older = format == Format::Text;
        let comma = if older { "," } else { "" };
        let mut text = String::new();
        for (name, kind, sample) in &self.families {
            let typed = match kind {
                Gauge => "gauge",
                Counter => "counter",
                Histogram => "histogram",
                Info if older => "gauge",
                Info => "info",
            };
            let label = name;
            let name = format!("{}{name}", self.namespace);
            let suffix = kind.suffix();
            let family = format!("{name}{}", if older { suffix } else { "" });
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {family} {}.", name.replace('_', " "));
            let _ = writeln!(text, "# TYPE {family} {typed}");
            let _ = match sample {
                Sample::Number(value) => writeln!(text, "{name}{suffix} {:?}", number(value)),
                Sample::Label(value) => writeln!(text, "{name}{suffix}{{{label}={value:?}{comma}}} 1.0"),
                Sample::Buckets(buckets, count, sum) => {
                    for (bound, at_most) in buckets {
                        let _ = writeln!(text, "{name}_bucket{{le=\"{bound}.0\"{comma}}} {at_most}.0");
                    }
                    let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"{comma}}} {count}.0");
                    writeln!(text, "{name}_count {count}.0\n{name}_sum {sum}.0")
                }
            };
        }
        if !older {
            text.push_str("# EOF\n");
        }
        text
    }
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Gauge | Histogram => "",
            Counter => "_total",
            Info => "_info",
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_bool().map_or_else(|| value.as_f64().unwrap_or_default(), |flag| f64::from(u8::from(flag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_decides() {
        let cases = [
            ("text/html", None),
            ("*/*", Some(Format::OpenMetrics)),
            ("text/plain;version=0.0.4", Some(Format::Text)),
            ("application/json", Some(Format::Json)),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.9", Some(Format::OpenMetrics)),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.6,*/*;q=0.1", Some(Format::Text)),
        ];
        for (accept, expected) in cases {
            assert_eq!(Format::negotiate(accept), expected, "{accept:?}");
        }
    }
}
