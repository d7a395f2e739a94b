//! The metric names of the systemli exporter, for dashboards that use them: `jitsi_` and the key, except four without a
//! prefix. Values have the units of the JSON, and the types are those that the systemli exporter declares, so some values
//! that only increase are gauges. There, the TYPE of `jitsi_endpoints_sending_video` is misspelt; here it is a gauge. An
//! absent key has no sample here, but is 0 there.

use crate::metric_row::{MetricRow, Read, boolean, counter, gauge, text};

/// HELP of a metric, with the name of the same metric without `--compat.systemli`.
macro_rules! help {
    ($ours:literal) => {
        concat!("Name of the systemli exporter for ", $ours, ".")
    };
}

/// A number or boolean, named `jitsi_<key>` unless another name is given.
macro_rules! row {
    ($kind:ident, $key:literal, $ours:literal) => {
        $kind($key, concat!("jitsi_", $key), help!($ours))
    };
    ($kind:ident, $key:literal, $name:literal, $ours:literal) => {
        $kind($key, $name, help!($ours))
    };
}

/// A text, named `jitsi_<key>_info` and with the label `<key>`.
macro_rules! info {
    ($key:literal, $ours:literal) => {
        text($key, concat!("jitsi_", $key, "_info"), $key, help!($ours))
    };
}

pub(super) const ROWS: &[MetricRow] = &[
    row!(gauge, "threads", "jvb_threads"),
    row!(gauge, "bit_rate_download", "jvb_incoming_bits_per_second"),
    row!(gauge, "bit_rate_upload", "jvb_outgoing_bits_per_second"),
    row!(gauge, "packet_rate_download", "jvb_incoming_packets_per_second"),
    row!(gauge, "packet_rate_upload", "jvb_outgoing_packets_per_second"),
    row!(gauge, "loss_rate_download", "jvb_download_loss_ratio"),
    row!(gauge, "loss_rate_upload", "jvb_upload_loss_ratio"),
    row!(gauge, "jitter_aggregate", "jvb_jitter_seconds"),
    row!(gauge, "rtt_aggregate", "jvb_rtt_seconds"),
    row!(gauge, "largest_conference", "jvb_largest_conference"),
    row!(gauge, "audiochannels", "jvb_audiochannels"),
    row!(gauge, "videochannels", "jvb_videochannels"),
    row!(gauge, "conferences", "jvb_conferences"),
    row!(gauge, "p2p_conferences", "jvb_p2p_conferences"),
    row!(gauge, "participants", "jvb_participants"),
    row!(gauge, "total_participants", "jvb_endpoints_created_total"),
    row!(gauge, "endpoints_sending_video", "jvb_endpoints_sending_video"),
    row!(gauge, "videostreams", "jvb_videostreams"),
    row!(gauge, "stress_level", "jvb_stress_ratio"),
    row!(
        counter,
        "total_loss_controlled_participant_seconds",
        "jvb_loss_controlled_participant_seconds_total"
    ),
    row!(counter, "total_loss_limited_participant_seconds", "jvb_loss_limited_participant_seconds_total"),
    row!(counter, "total_loss_degraded_participant_seconds", "jvb_loss_degraded_participant_seconds_total"),
    row!(counter, "total_conference_seconds", "jvb_conference_seconds_total"),
    row!(counter, "total_conferences_created", "jvb_conferences_created_total"),
    row!(counter, "total_conferences_completed", "jvb_conferences_completed_total"),
    row!(counter, "total_failed_conferences", "jvb_failed_conferences_total"),
    row!(counter, "total_partially_failed_conferences", "jvb_partially_failed_conferences_total"),
    row!(counter, "total_data_channel_messages_received", "jvb_data_channel_messages_received_total"),
    row!(counter, "total_data_channel_messages_sent", "jvb_data_channel_messages_sent_total"),
    row!(
        counter,
        "total_colibri_web_socket_messages_received",
        "jvb_colibri_web_socket_messages_received_total"
    ),
    row!(counter, "total_colibri_web_socket_messages_sent", "jvb_colibri_web_socket_messages_sent_total"),
    row!(gauge, "octo_version", "jvb_octo_version"),
    row!(gauge, "octo_conferences", "jvb_octo_conferences"),
    row!(gauge, "octo_endpoints", "jvb_octo_endpoints"),
    row!(gauge, "octo_receive_bitrate", "jvb_octo_incoming_bits_per_second"),
    row!(gauge, "octo_send_bitrate", "jvb_octo_outgoing_bits_per_second"),
    row!(gauge, "octo_receive_packet_rate", "jvb_octo_incoming_packets_per_second"),
    row!(gauge, "octo_send_packet_rate", "jvb_octo_outgoing_packets_per_second"),
    row!(gauge, "total_bytes_received_octo", "jvb_octo_bytes_received_total"),
    row!(gauge, "total_bytes_sent_octo", "jvb_octo_bytes_sent_total"),
    row!(gauge, "total_packets_dropped_octo", "jvb_octo_packets_dropped_total"),
    row!(gauge, "total_packets_received_octo", "jvb_octo_packets_received_total"),
    row!(gauge, "total_packets_sent_octo", "jvb_octo_packets_sent_total"),
    row!(
        gauge,
        "total_ice_succeeded_relayed",
        "total_ice_succeeded_relayed",
        "jvb_ice_succeeded_relayed_total"
    ),
    row!(gauge, "total_ice_succeeded", "total_ice_succeeded", "jvb_ice_succeeded_total"),
    row!(gauge, "total_ice_succeeded_tcp", "total_ice_succeeded_tcp", "jvb_ice_succeeded_tcp_total"),
    row!(gauge, "total_ice_failed", "total_ice_failed", "jvb_ice_failed_total"),
    row!(gauge, "endpoints_with_suspended_sources", "jvb_endpoints_with_suspended_sources"),
    row!(gauge, "inactive_endpoints", "jvb_inactive_endpoints"),
    row!(gauge, "inactive_conferences", "jvb_inactive_conferences"),
    row!(gauge, "local_active_endpoints", "jvb_local_active_endpoints"),
    row!(gauge, "muc_clients_connected", "jvb_muc_clients_connected"),
    row!(gauge, "local_endpoints", "jvb_local_endpoints"),
    row!(gauge, "total_packets_received", "jvb_packets_received_total"),
    row!(gauge, "preemptive_kfr_suppressed", "jvb_preemptive_keyframe_requests_suppressed_total"),
    row!(gauge, "preemptive_kfr_sent", "jvb_preemptive_keyframe_requests_sent_total"),
    row!(gauge, "total_keyframes_received", "jvb_keyframes_received_total"),
    row!(gauge, "total_dominant_speaker_changes", "jvb_dominant_speaker_changes_total"),
    row!(gauge, "endpoints_with_spurious_remb", "jvb_endpoints_with_spurious_remb_total"),
    row!(gauge, "receive_only_endpoints", "jvb_receive_only_endpoints"),
    row!(gauge, "total_visitors", "jvb_visitors_created_total"),
    row!(gauge, "visitors", "jvb_visitors"),
    row!(gauge, "num_eps_oversending", "jvb_endpoints_oversending"),
    row!(gauge, "num_eps_no_msg_transport_after_delay", "jvb_endpoints_no_message_transport_total"),
    row!(gauge, "muc_clients_configured", "jvb_muc_clients_configured"),
    row!(gauge, "outgoing_loss", "jvb_outgoing_loss_ratio"),
    row!(gauge, "overall_loss", "jvb_overall_loss_ratio"),
    row!(gauge, "total_layering_changes_received", "jvb_layering_changes_received_total"),
    row!(gauge, "total_relays", "jvb_relays_created_total"),
    row!(gauge, "endpoints_with_high_outgoing_loss", "jvb_endpoints_with_high_outgoing_loss"),
    row!(boolean, "drain", "jvb_draining"),
    row!(gauge, "total_video_stream_milliseconds_received", "jvb_video_received_seconds_total"),
    row!(boolean, "shutting_down", "jvb_shutting_down"),
    row!(gauge, "num_relays_no_msg_transport_after_delay", "jvb_relays_no_message_transport_total"),
    row!(gauge, "average_participant_stress", "jvb_average_participant_stress_ratio"),
    row!(gauge, "total_packets_sent", "jvb_packets_sent_total"),
    row!(gauge, "endpoints", "jvb_endpoints"),
    row!(gauge, "incoming_loss", "jvb_incoming_loss_ratio"),
    row!(gauge, "endpoints_reconnected", "jvb_endpoints_reconnected_total"),
    row!(boolean, "graceful_shutdown", "jvb_graceful_shutdown"),
    row!(gauge, "total_bytes_received", "jvb_bytes_received_total"),
    row!(gauge, "endpoints_disconnected", "jvb_endpoints_disconnected_total"),
    row!(gauge, "endpoints_sending_audio", "jvb_endpoints_sending_audio"),
    row!(gauge, "dtls_failed_endpoints", "jvb_endpoints_dtls_failed_total"),
    row!(gauge, "total_bytes_sent", "jvb_bytes_sent_total"),
    row!(boolean, "healthy", "jvb_healthy"),
    row!(gauge, "mucs_configured", "jvb_mucs_configured"),
    row!(gauge, "mucs_joined", "jvb_mucs_joined"),
    row!(gauge, "conference_sizes", "jvb_conference_size").read_as(Read::Slots("conference_size")),
    info!("version", "jvb_version_info"),
    info!("region", "jvb_region_info"),
    info!("relay_id", "jvb_relay_info"),
];
