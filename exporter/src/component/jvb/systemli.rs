//! The metric names of the systemli exporter, for dashboards that use them: `jitsi_` and the key, except four without a
//! prefix. Values have the units of the JSON, and the types are those that the systemli exporter declares, so some values
//! that only increase are gauges. There, the TYPE of `jitsi_endpoints_sending_video` is misspelt; here it is a gauge. An
//! absent key has no sample here, but is 0 there.

use crate::metric_row::{MetricRow, Read, boolean, counter, gauge, text};

/// Rows, each as `kind "key" for "metric"`, where `metric` has the same value without `--compat.systemli`. Its own name is
/// `jitsi_<key>` unless another is given.
macro_rules! rows {
    ($($kind:ident $key:literal for $ours:literal $(named $name:literal)? $(, $setting:ident $arguments:tt)*;)*) => {
        &[$(
            $kind($key, name!($key $($name)?), concat!("Name of the systemli exporter for ", $ours, "."))
                $(.$setting $arguments)*
        ),*]
    };
}

macro_rules! name {
    ($key:literal) => {
        concat!("jitsi_", $key)
    };
    ($key:literal $name:literal) => {
        $name
    };
}

pub(super) const ROWS: &[MetricRow] = rows! {
    gauge "threads" for "jvb_threads";
    gauge "bit_rate_download" for "jvb_incoming_bits_per_second";
    gauge "bit_rate_upload" for "jvb_outgoing_bits_per_second";
    gauge "packet_rate_download" for "jvb_incoming_packets_per_second";
    gauge "packet_rate_upload" for "jvb_outgoing_packets_per_second";
    gauge "loss_rate_download" for "jvb_download_loss_ratio";
    gauge "loss_rate_upload" for "jvb_upload_loss_ratio";
    gauge "jitter_aggregate" for "jvb_jitter_seconds";
    gauge "rtt_aggregate" for "jvb_rtt_seconds";
    gauge "largest_conference" for "jvb_largest_conference";
    gauge "audiochannels" for "jvb_audiochannels";
    gauge "videochannels" for "jvb_videochannels";
    gauge "conferences" for "jvb_conferences";
    gauge "p2p_conferences" for "jvb_p2p_conferences";
    gauge "participants" for "jvb_participants";
    gauge "total_participants" for "jvb_endpoints_created_total";
    gauge "endpoints_sending_video" for "jvb_endpoints_sending_video";
    gauge "videostreams" for "jvb_videostreams";
    gauge "stress_level" for "jvb_stress_ratio";
    counter "total_loss_controlled_participant_seconds" for "jvb_loss_controlled_participant_seconds_total";
    counter "total_loss_limited_participant_seconds" for "jvb_loss_limited_participant_seconds_total";
    counter "total_loss_degraded_participant_seconds" for "jvb_loss_degraded_participant_seconds_total";
    counter "total_conference_seconds" for "jvb_conference_seconds_total";
    counter "total_conferences_created" for "jvb_conferences_created_total";
    counter "total_conferences_completed" for "jvb_conferences_completed_total";
    counter "total_failed_conferences" for "jvb_failed_conferences_total";
    counter "total_partially_failed_conferences" for "jvb_partially_failed_conferences_total";
    counter "total_data_channel_messages_received" for "jvb_data_channel_messages_received_total";
    counter "total_data_channel_messages_sent" for "jvb_data_channel_messages_sent_total";
    counter "total_colibri_web_socket_messages_received" for "jvb_colibri_web_socket_messages_received_total";
    counter "total_colibri_web_socket_messages_sent" for "jvb_colibri_web_socket_messages_sent_total";
    gauge "octo_version" for "jvb_octo_version";
    gauge "octo_conferences" for "jvb_octo_conferences";
    gauge "octo_endpoints" for "jvb_octo_endpoints";
    gauge "octo_receive_bitrate" for "jvb_octo_incoming_bits_per_second";
    gauge "octo_send_bitrate" for "jvb_octo_outgoing_bits_per_second";
    gauge "octo_receive_packet_rate" for "jvb_octo_incoming_packets_per_second";
    gauge "octo_send_packet_rate" for "jvb_octo_outgoing_packets_per_second";
    gauge "total_bytes_received_octo" for "jvb_octo_bytes_received_total";
    gauge "total_bytes_sent_octo" for "jvb_octo_bytes_sent_total";
    gauge "total_packets_dropped_octo" for "jvb_octo_packets_dropped_total";
    gauge "total_packets_received_octo" for "jvb_octo_packets_received_total";
    gauge "total_packets_sent_octo" for "jvb_octo_packets_sent_total";
    gauge "total_ice_succeeded_relayed" for "jvb_ice_succeeded_relayed_total" named "total_ice_succeeded_relayed";
    gauge "total_ice_succeeded" for "jvb_ice_succeeded_total" named "total_ice_succeeded";
    gauge "total_ice_succeeded_tcp" for "jvb_ice_succeeded_tcp_total" named "total_ice_succeeded_tcp";
    gauge "total_ice_failed" for "jvb_ice_failed_total" named "total_ice_failed";
    gauge "endpoints_with_suspended_sources" for "jvb_endpoints_with_suspended_sources";
    gauge "inactive_endpoints" for "jvb_inactive_endpoints";
    gauge "inactive_conferences" for "jvb_inactive_conferences";
    gauge "local_active_endpoints" for "jvb_local_active_endpoints";
    gauge "muc_clients_connected" for "jvb_muc_clients_connected";
    gauge "local_endpoints" for "jvb_local_endpoints";
    gauge "total_packets_received" for "jvb_packets_received_total";
    gauge "preemptive_kfr_suppressed" for "jvb_preemptive_keyframe_requests_suppressed_total";
    gauge "preemptive_kfr_sent" for "jvb_preemptive_keyframe_requests_sent_total";
    gauge "total_keyframes_received" for "jvb_keyframes_received_total";
    gauge "total_dominant_speaker_changes" for "jvb_dominant_speaker_changes_total";
    gauge "endpoints_with_spurious_remb" for "jvb_endpoints_with_spurious_remb_total";
    gauge "receive_only_endpoints" for "jvb_receive_only_endpoints";
    gauge "total_visitors" for "jvb_visitors_created_total";
    gauge "visitors" for "jvb_visitors";
    gauge "num_eps_oversending" for "jvb_endpoints_oversending";
    gauge "num_eps_no_msg_transport_after_delay" for "jvb_endpoints_no_message_transport_total";
    gauge "muc_clients_configured" for "jvb_muc_clients_configured";
    gauge "outgoing_loss" for "jvb_outgoing_loss_ratio";
    gauge "overall_loss" for "jvb_overall_loss_ratio";
    gauge "total_layering_changes_received" for "jvb_layering_changes_received_total";
    gauge "total_relays" for "jvb_relays_created_total";
    gauge "endpoints_with_high_outgoing_loss" for "jvb_endpoints_with_high_outgoing_loss";
    boolean "drain" for "jvb_draining";
    gauge "total_video_stream_milliseconds_received" for "jvb_video_received_seconds_total";
    boolean "shutting_down" for "jvb_shutting_down";
    gauge "num_relays_no_msg_transport_after_delay" for "jvb_relays_no_message_transport_total";
    gauge "average_participant_stress" for "jvb_average_participant_stress_ratio";
    gauge "total_packets_sent" for "jvb_packets_sent_total";
    gauge "endpoints" for "jvb_endpoints";
    gauge "incoming_loss" for "jvb_incoming_loss_ratio";
    gauge "endpoints_reconnected" for "jvb_endpoints_reconnected_total";
    boolean "graceful_shutdown" for "jvb_graceful_shutdown";
    gauge "total_bytes_received" for "jvb_bytes_received_total";
    gauge "endpoints_disconnected" for "jvb_endpoints_disconnected_total";
    gauge "endpoints_sending_audio" for "jvb_endpoints_sending_audio";
    gauge "dtls_failed_endpoints" for "jvb_endpoints_dtls_failed_total";
    gauge "total_bytes_sent" for "jvb_bytes_sent_total";
    boolean "healthy" for "jvb_healthy";
    gauge "mucs_configured" for "jvb_mucs_configured";
    gauge "mucs_joined" for "jvb_mucs_joined";
    gauge "conference_sizes" for "jvb_conference_size", read_as(Read::Slots("conference_size"));
    text "version" for "jvb_version_info" named "jitsi_version_info";
    text "region" for "jvb_region_info" named "jitsi_region_info";
    text "relay_id" for "jvb_relay_info" named "jitsi_relay_id_info";
};
