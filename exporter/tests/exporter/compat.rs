//! `--compat.systemli`: all names, types and labels of the systemli exporter.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jitsi_exporter::component::Component::{self, Jicofo, Jvb};
use jitsi_exporter::config::Raw;
use jitsi_exporter::exposition::{self, Outcome};
use jitsi_web::exposition::Format;

use crate::common::{self, Exposition, fixture, is_of_another_exporter};
use crate::servers::{Exporter, Upstream};

/// Name, type, label and JSON key. The systemli exporter declares the TYPE of
/// `jitsi_endpoints_sending_video` under a misspelt name; it means gauge.
pub(crate) const SYSTEMLI: &str = "\
jitsi_threads gauge - threads
jitsi_bit_rate_download gauge - bit_rate_download
jitsi_bit_rate_upload gauge - bit_rate_upload
jitsi_packet_rate_download gauge - packet_rate_download
jitsi_packet_rate_upload gauge - packet_rate_upload
jitsi_loss_rate_download gauge - loss_rate_download
jitsi_loss_rate_upload gauge - loss_rate_upload
jitsi_jitter_aggregate gauge - jitter_aggregate
jitsi_rtt_aggregate gauge - rtt_aggregate
jitsi_largest_conference gauge - largest_conference
jitsi_audiochannels gauge - audiochannels
jitsi_videochannels gauge - videochannels
jitsi_conferences gauge - conferences
jitsi_p2p_conferences gauge - p2p_conferences
jitsi_participants gauge - participants
jitsi_total_participants gauge - total_participants
jitsi_endpoints_sending_video gauge - endpoints_sending_video
jitsi_videostreams gauge - videostreams
jitsi_stress_level gauge - stress_level
jitsi_total_loss_controlled_participant_seconds counter - total_loss_controlled_participant_seconds
jitsi_total_loss_limited_participant_seconds counter - total_loss_limited_participant_seconds
jitsi_total_loss_degraded_participant_seconds counter - total_loss_degraded_participant_seconds
jitsi_total_conference_seconds counter - total_conference_seconds
jitsi_total_conferences_created counter - total_conferences_created
jitsi_total_conferences_completed counter - total_conferences_completed
jitsi_total_failed_conferences counter - total_failed_conferences
jitsi_total_partially_failed_conferences counter - total_partially_failed_conferences
jitsi_total_data_channel_messages_received counter - total_data_channel_messages_received
jitsi_total_data_channel_messages_sent counter - total_data_channel_messages_sent
jitsi_total_colibri_web_socket_messages_received counter - total_colibri_web_socket_messages_received
jitsi_total_colibri_web_socket_messages_sent counter - total_colibri_web_socket_messages_sent
jitsi_octo_version gauge - octo_version
jitsi_octo_conferences gauge - octo_conferences
jitsi_octo_endpoints gauge - octo_endpoints
jitsi_octo_receive_bitrate gauge - octo_receive_bitrate
jitsi_octo_send_bitrate gauge - octo_send_bitrate
jitsi_octo_receive_packet_rate gauge - octo_receive_packet_rate
jitsi_octo_send_packet_rate gauge - octo_send_packet_rate
jitsi_total_bytes_received_octo gauge - total_bytes_received_octo
jitsi_total_bytes_sent_octo gauge - total_bytes_sent_octo
jitsi_total_packets_dropped_octo gauge - total_packets_dropped_octo
jitsi_total_packets_received_octo gauge - total_packets_received_octo
jitsi_total_packets_sent_octo gauge - total_packets_sent_octo
total_ice_succeeded_relayed gauge - total_ice_succeeded_relayed
total_ice_succeeded gauge - total_ice_succeeded
total_ice_succeeded_tcp gauge - total_ice_succeeded_tcp
total_ice_failed gauge - total_ice_failed
jitsi_endpoints_with_suspended_sources gauge - endpoints_with_suspended_sources
jitsi_inactive_endpoints gauge - inactive_endpoints
jitsi_inactive_conferences gauge - inactive_conferences
jitsi_local_active_endpoints gauge - local_active_endpoints
jitsi_muc_clients_connected gauge - muc_clients_connected
jitsi_local_endpoints gauge - local_endpoints
jitsi_total_packets_received gauge - total_packets_received
jitsi_preemptive_kfr_suppressed gauge - preemptive_kfr_suppressed
jitsi_preemptive_kfr_sent gauge - preemptive_kfr_sent
jitsi_total_keyframes_received gauge - total_keyframes_received
jitsi_total_dominant_speaker_changes gauge - total_dominant_speaker_changes
jitsi_endpoints_with_spurious_remb gauge - endpoints_with_spurious_remb
jitsi_receive_only_endpoints gauge - receive_only_endpoints
jitsi_total_visitors gauge - total_visitors
jitsi_visitors gauge - visitors
jitsi_num_eps_oversending gauge - num_eps_oversending
jitsi_num_eps_no_msg_transport_after_delay gauge - num_eps_no_msg_transport_after_delay
jitsi_muc_clients_configured gauge - muc_clients_configured
jitsi_outgoing_loss gauge - outgoing_loss
jitsi_overall_loss gauge - overall_loss
jitsi_total_layering_changes_received gauge - total_layering_changes_received
jitsi_total_relays gauge - total_relays
jitsi_endpoints_with_high_outgoing_loss gauge - endpoints_with_high_outgoing_loss
jitsi_drain gauge - drain
jitsi_total_video_stream_milliseconds_received gauge - total_video_stream_milliseconds_received
jitsi_shutting_down gauge - shutting_down
jitsi_num_relays_no_msg_transport_after_delay gauge - num_relays_no_msg_transport_after_delay
jitsi_average_participant_stress gauge - average_participant_stress
jitsi_total_packets_sent gauge - total_packets_sent
jitsi_endpoints gauge - endpoints
jitsi_incoming_loss gauge - incoming_loss
jitsi_endpoints_reconnected gauge - endpoints_reconnected
jitsi_graceful_shutdown gauge - graceful_shutdown
jitsi_total_bytes_received gauge - total_bytes_received
jitsi_endpoints_disconnected gauge - endpoints_disconnected
jitsi_endpoints_sending_audio gauge - endpoints_sending_audio
jitsi_dtls_failed_endpoints gauge - dtls_failed_endpoints
jitsi_total_bytes_sent gauge - total_bytes_sent
jitsi_healthy gauge - healthy
jitsi_mucs_configured gauge - mucs_configured
jitsi_mucs_joined gauge - mucs_joined
jitsi_conference_sizes gauge conference_size conference_sizes
jitsi_version_info gauge version version
jitsi_region_info gauge region region
jitsi_relay_id_info gauge relay_id relay_id";

fn list() -> Vec<[&'static str; 4]> {
    let line = |line: &'static str| {
        let mut parts = line.split(' ');
        [(); 4].map(|()| parts.next().expect("four parts"))
    };
    SYSTEMLI.lines().map(line).collect()
}

/// A body with every key of the list.
fn body() -> String {
    let mut body = "{\"current_timestamp\":\"\"".to_owned();
    for (number, [_, _, label, key]) in list().into_iter().enumerate() {
        let value = match (key, label) {
            ("conference_sizes", _) => "[0,2,1]".to_owned(),
            ("drain" | "shutting_down" | "graceful_shutdown" | "healthy", _) => "true".to_owned(),
            (_, "-") => format!("{number}.5"),
            _ => format!("\"{key} \\\"x\\\"\""),
        };
        write!(body, ",\"{key}\":{value}").expect("a string takes every write");
    }
    body + "}"
}

fn exposed(component: Component, body: &[u8], compat: bool, format: Format) -> String {
    let reading = component.read_with(body, compat).expect("a reading");
    let outcome = Outcome { component, target: None, reading: Some(&reading), took: Duration::ZERO };
    exposition::targets(&[outcome], format) + exposition::end(format)
}

fn text(body: &[u8]) -> Exposition {
    common::text(&exposed(Jvb, body, true, Format::Text004))
}

/// The names of the systemli exporter in an exposition.
fn names(exposition: &Exposition) -> BTreeSet<&str> {
    let names = exposition.series.keys().map(|series| series.split('{').next().unwrap_or_default());
    names.filter(|name| is_of_another_exporter(name)).collect()
}

#[test]
fn names_types_and_labels_are_those_of_the_list_and_no_others() {
    let exposition = text(body().as_bytes());
    let expected: BTreeSet<&str> = list().into_iter().map(|[name, ..]| name).collect();
    assert_eq!(expected.len(), list().len());
    assert_eq!(names(&exposition), expected);
    for (number, [name, kind, label, key]) in list().into_iter().enumerate() {
        assert_eq!(exposition.types[name], kind, "{name}");
        let found = exposition.of(name);
        let flag = ["drain", "shutting_down", "graceful_shutdown", "healthy"].contains(&key);
        let expected = match (key, label) {
            ("conference_sizes", _) => (0..3)
                .zip([0.0, 2.0, 1.0])
                .map(|(size, count)| (format!("{name}{{{label}=\"{size}\"}}"), count))
                .collect(),
            (_, "-") if flag => vec![(name.to_owned(), 1.0)],
            (_, "-") => vec![(name.to_owned(), number as f64 + 0.5)],
            _ => vec![(format!("{name}{{{label}=\"{key} \\\"x\\\"\"}}"), 1.0)],
        };
        let expected: Vec<(&str, f64)> = expected.iter().map(|(series, value)| (&**series, *value)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn values_are_those_of_the_json_in_its_units() {
    let exposition = text(&fixture("jvb_2.1.140.json"));
    for (series, value) in [
        ("jitsi_bit_rate_download", 800.0),
        ("jvb_incoming_bits_per_second", 800_000.0),
        ("jitsi_octo_receive_bitrate", 250.0),
        ("jvb_octo_incoming_bits_per_second", 250_000.0),
        ("jitsi_rtt_aggregate", 20.5),
        ("jitsi_graceful_shutdown", 1.0),
    ] {
        assert!((exposition.value(series) - value).abs() < f64::EPSILON, "{series}");
    }
}

#[test]
fn absent_keys_have_no_sample() {
    let body = fixture("jvb_2.3.312.json");
    let document: serde_json::Value = serde_json::from_slice(&body).expect("json");
    let expected: BTreeSet<&str> =
        list().into_iter().filter(|[.., key]| document.get(key).is_some()).map(|[name, ..]| name).collect();
    assert_eq!(names(&text(&body)), expected);
    assert!(!expected.contains("jitsi_videochannels") && expected.contains("jitsi_relay_id_info"));
}

#[test]
fn openmetrics_have_the_same_series() {
    let body = body();
    let openmetrics = common::openmetrics(&exposed(Jvb, body.as_bytes(), true, Format::OpenMetrics100));
    assert_eq!(openmetrics.series, text(body.as_bytes()).series);
    // A counter without `_total` is not a valid counter in OpenMetrics.
    assert_eq!(openmetrics.types["jitsi_total_conference_seconds"], "unknown");
    assert_eq!(openmetrics.types["jitsi_version"], "info");
}

#[test]
fn none_without_the_flag_and_none_of_other_components() {
    let without = common::text(&exposed(Jvb, body().as_bytes(), false, Format::Text004));
    assert!(names(&without).is_empty());
    let body = fixture("jicofo_2026.json");
    assert!(names(&common::text(&exposed(Jicofo, &body, true, Format::Text004))).is_empty());
}

#[tokio::test]
async fn bridges_are_labelled_and_unusable_names_are_counted_once() {
    let (a, b) = (
        Upstream::with_body(fixture("jvb_2.1.530_energy.json")).await,
        Upstream::with_body(fixture("jvb_2.2.45.json")).await,
    );
    let raw = Raw { compat: true, ..Raw::default() };
    let exporter = Exporter::with(&[(Jvb, a.address), (Jvb, b.address)], raw).await;
    let exposition = common::text(&exporter.metrics().await);
    for (series, value) in [
        (format!("jitsi_participants{{target=\"{}\"}}", a.address), 2.0),
        (format!("jitsi_participants{{target=\"{}\"}}", b.address), 12.0),
        ("jitsi_exporter_unusable_values_total{component=\"jvb\",key=\"threads\"}".to_owned(), 1.0),
    ] {
        assert!((exposition.value(&series) - value).abs() < f64::EPSILON, "{series}");
    }
}
