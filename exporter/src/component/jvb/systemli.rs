//! Names of the systemli exporter, for dashboards that rely on them: `jitsi_` and the key, but for four
//! that have no prefix. Values are the JSON's own, in its units, and types are those that it declares,
//! so that some that grow are gauges. It misspells the TYPE of `jitsi_endpoints_sending_video`, which is
//! a gauge here. What is absent stays absent, where it shows 0.

use crate::row::{Read, Row, boolean, counter, gauge, text};

pub(super) const ROWS: &[Row] = &[
    gauge("threads", "jitsi_threads", "Of the systemli exporter; here jvb_threads."),
    gauge(
        "bit_rate_download",
        "jitsi_bit_rate_download",
        "Of the systemli exporter; here jvb_incoming_bits_per_second.",
    ),
    gauge(
        "bit_rate_upload",
        "jitsi_bit_rate_upload",
        "Of the systemli exporter; here jvb_outgoing_bits_per_second.",
    ),
    gauge(
        "packet_rate_download",
        "jitsi_packet_rate_download",
        "Of the systemli exporter; here jvb_incoming_packets_per_second.",
    ),
    gauge(
        "packet_rate_upload",
        "jitsi_packet_rate_upload",
        "Of the systemli exporter; here jvb_outgoing_packets_per_second.",
    ),
    gauge(
        "loss_rate_download",
        "jitsi_loss_rate_download",
        "Of the systemli exporter; here jvb_download_loss_ratio.",
    ),
    gauge(
        "loss_rate_upload",
        "jitsi_loss_rate_upload",
        "Of the systemli exporter; here jvb_upload_loss_ratio.",
    ),
    gauge("jitter_aggregate", "jitsi_jitter_aggregate", "Of the systemli exporter; here jvb_jitter_seconds."),
    gauge("rtt_aggregate", "jitsi_rtt_aggregate", "Of the systemli exporter; here jvb_rtt_seconds."),
    gauge(
        "largest_conference",
        "jitsi_largest_conference",
        "Of the systemli exporter; here jvb_largest_conference.",
    ),
    gauge("audiochannels", "jitsi_audiochannels", "Of the systemli exporter; here jvb_audiochannels."),
    gauge("videochannels", "jitsi_videochannels", "Of the systemli exporter; here jvb_videochannels."),
    gauge("conferences", "jitsi_conferences", "Of the systemli exporter; here jvb_conferences."),
    gauge("p2p_conferences", "jitsi_p2p_conferences", "Of the systemli exporter; here jvb_p2p_conferences."),
    gauge("participants", "jitsi_participants", "Of the systemli exporter; here jvb_participants."),
    gauge(
        "total_participants",
        "jitsi_total_participants",
        "Of the systemli exporter; here jvb_endpoints_created_total.",
    ),
    gauge(
        "endpoints_sending_video",
        "jitsi_endpoints_sending_video",
        "Of the systemli exporter; here jvb_endpoints_sending_video.",
    ),
    gauge("videostreams", "jitsi_videostreams", "Of the systemli exporter; here jvb_videostreams."),
    gauge("stress_level", "jitsi_stress_level", "Of the systemli exporter; here jvb_stress_ratio."),
    counter(
        "total_loss_controlled_participant_seconds",
        "jitsi_total_loss_controlled_participant_seconds",
        "Of the systemli exporter; here jvb_loss_controlled_participant_seconds_total.",
    ),
    counter(
        "total_loss_limited_participant_seconds",
        "jitsi_total_loss_limited_participant_seconds",
        "Of the systemli exporter; here jvb_loss_limited_participant_seconds_total.",
    ),
    counter(
        "total_loss_degraded_participant_seconds",
        "jitsi_total_loss_degraded_participant_seconds",
        "Of the systemli exporter; here jvb_loss_degraded_participant_seconds_total.",
    ),
    counter(
        "total_conference_seconds",
        "jitsi_total_conference_seconds",
        "Of the systemli exporter; here jvb_conference_seconds_total.",
    ),
    counter(
        "total_conferences_created",
        "jitsi_total_conferences_created",
        "Of the systemli exporter; here jvb_conferences_created_total.",
    ),
    counter(
        "total_conferences_completed",
        "jitsi_total_conferences_completed",
        "Of the systemli exporter; here jvb_conferences_completed_total.",
    ),
    counter(
        "total_failed_conferences",
        "jitsi_total_failed_conferences",
        "Of the systemli exporter; here jvb_failed_conferences_total.",
    ),
    counter(
        "total_partially_failed_conferences",
        "jitsi_total_partially_failed_conferences",
        "Of the systemli exporter; here jvb_partially_failed_conferences_total.",
    ),
    counter(
        "total_data_channel_messages_received",
        "jitsi_total_data_channel_messages_received",
        "Of the systemli exporter; here jvb_data_channel_messages_received_total.",
    ),
    counter(
        "total_data_channel_messages_sent",
        "jitsi_total_data_channel_messages_sent",
        "Of the systemli exporter; here jvb_data_channel_messages_sent_total.",
    ),
    counter(
        "total_colibri_web_socket_messages_received",
        "jitsi_total_colibri_web_socket_messages_received",
        "Of the systemli exporter; here jvb_colibri_web_socket_messages_received_total.",
    ),
    counter(
        "total_colibri_web_socket_messages_sent",
        "jitsi_total_colibri_web_socket_messages_sent",
        "Of the systemli exporter; here jvb_colibri_web_socket_messages_sent_total.",
    ),
    gauge("octo_version", "jitsi_octo_version", "Of the systemli exporter; here jvb_octo_version."),
    gauge(
        "octo_conferences",
        "jitsi_octo_conferences",
        "Of the systemli exporter; here jvb_octo_conferences.",
    ),
    gauge("octo_endpoints", "jitsi_octo_endpoints", "Of the systemli exporter; here jvb_octo_endpoints."),
    gauge(
        "octo_receive_bitrate",
        "jitsi_octo_receive_bitrate",
        "Of the systemli exporter; here jvb_octo_incoming_bits_per_second.",
    ),
    gauge(
        "octo_send_bitrate",
        "jitsi_octo_send_bitrate",
        "Of the systemli exporter; here jvb_octo_outgoing_bits_per_second.",
    ),
    gauge(
        "octo_receive_packet_rate",
        "jitsi_octo_receive_packet_rate",
        "Of the systemli exporter; here jvb_octo_incoming_packets_per_second.",
    ),
    gauge(
        "octo_send_packet_rate",
        "jitsi_octo_send_packet_rate",
        "Of the systemli exporter; here jvb_octo_outgoing_packets_per_second.",
    ),
    gauge(
        "total_bytes_received_octo",
        "jitsi_total_bytes_received_octo",
        "Of the systemli exporter; here jvb_octo_bytes_received_total.",
    ),
    gauge(
        "total_bytes_sent_octo",
        "jitsi_total_bytes_sent_octo",
        "Of the systemli exporter; here jvb_octo_bytes_sent_total.",
    ),
    gauge(
        "total_packets_dropped_octo",
        "jitsi_total_packets_dropped_octo",
        "Of the systemli exporter; here jvb_octo_packets_dropped_total.",
    ),
    gauge(
        "total_packets_received_octo",
        "jitsi_total_packets_received_octo",
        "Of the systemli exporter; here jvb_octo_packets_received_total.",
    ),
    gauge(
        "total_packets_sent_octo",
        "jitsi_total_packets_sent_octo",
        "Of the systemli exporter; here jvb_octo_packets_sent_total.",
    ),
    gauge(
        "total_ice_succeeded_relayed",
        "total_ice_succeeded_relayed",
        "Of the systemli exporter; here jvb_ice_succeeded_relayed_total.",
    ),
    gauge(
        "total_ice_succeeded",
        "total_ice_succeeded",
        "Of the systemli exporter; here jvb_ice_succeeded_total.",
    ),
    gauge(
        "total_ice_succeeded_tcp",
        "total_ice_succeeded_tcp",
        "Of the systemli exporter; here jvb_ice_succeeded_tcp_total.",
    ),
    gauge("total_ice_failed", "total_ice_failed", "Of the systemli exporter; here jvb_ice_failed_total."),
    gauge(
        "endpoints_with_suspended_sources",
        "jitsi_endpoints_with_suspended_sources",
        "Of the systemli exporter; here jvb_endpoints_with_suspended_sources.",
    ),
    gauge(
        "inactive_endpoints",
        "jitsi_inactive_endpoints",
        "Of the systemli exporter; here jvb_inactive_endpoints.",
    ),
    gauge(
        "inactive_conferences",
        "jitsi_inactive_conferences",
        "Of the systemli exporter; here jvb_inactive_conferences.",
    ),
    gauge(
        "local_active_endpoints",
        "jitsi_local_active_endpoints",
        "Of the systemli exporter; here jvb_local_active_endpoints.",
    ),
    gauge(
        "muc_clients_connected",
        "jitsi_muc_clients_connected",
        "Of the systemli exporter; here jvb_muc_clients_connected.",
    ),
    gauge("local_endpoints", "jitsi_local_endpoints", "Of the systemli exporter; here jvb_local_endpoints."),
    gauge(
        "total_packets_received",
        "jitsi_total_packets_received",
        "Of the systemli exporter; here jvb_packets_received_total.",
    ),
    gauge(
        "preemptive_kfr_suppressed",
        "jitsi_preemptive_kfr_suppressed",
        "Of the systemli exporter; here jvb_preemptive_keyframe_requests_suppressed_total.",
    ),
    gauge(
        "preemptive_kfr_sent",
        "jitsi_preemptive_kfr_sent",
        "Of the systemli exporter; here jvb_preemptive_keyframe_requests_sent_total.",
    ),
    gauge(
        "total_keyframes_received",
        "jitsi_total_keyframes_received",
        "Of the systemli exporter; here jvb_keyframes_received_total.",
    ),
    gauge(
        "total_dominant_speaker_changes",
        "jitsi_total_dominant_speaker_changes",
        "Of the systemli exporter; here jvb_dominant_speaker_changes_total.",
    ),
    gauge(
        "endpoints_with_spurious_remb",
        "jitsi_endpoints_with_spurious_remb",
        "Of the systemli exporter; here jvb_endpoints_with_spurious_remb_total.",
    ),
    gauge(
        "receive_only_endpoints",
        "jitsi_receive_only_endpoints",
        "Of the systemli exporter; here jvb_receive_only_endpoints.",
    ),
    gauge(
        "total_visitors",
        "jitsi_total_visitors",
        "Of the systemli exporter; here jvb_visitors_created_total.",
    ),
    gauge("visitors", "jitsi_visitors", "Of the systemli exporter; here jvb_visitors."),
    gauge(
        "num_eps_oversending",
        "jitsi_num_eps_oversending",
        "Of the systemli exporter; here jvb_endpoints_oversending.",
    ),
    gauge(
        "num_eps_no_msg_transport_after_delay",
        "jitsi_num_eps_no_msg_transport_after_delay",
        "Of the systemli exporter; here jvb_endpoints_no_message_transport_total.",
    ),
    gauge(
        "muc_clients_configured",
        "jitsi_muc_clients_configured",
        "Of the systemli exporter; here jvb_muc_clients_configured.",
    ),
    gauge("outgoing_loss", "jitsi_outgoing_loss", "Of the systemli exporter; here jvb_outgoing_loss_ratio."),
    gauge("overall_loss", "jitsi_overall_loss", "Of the systemli exporter; here jvb_overall_loss_ratio."),
    gauge(
        "total_layering_changes_received",
        "jitsi_total_layering_changes_received",
        "Of the systemli exporter; here jvb_layering_changes_received_total.",
    ),
    gauge("total_relays", "jitsi_total_relays", "Of the systemli exporter; here jvb_relays_created_total."),
    gauge(
        "endpoints_with_high_outgoing_loss",
        "jitsi_endpoints_with_high_outgoing_loss",
        "Of the systemli exporter; here jvb_endpoints_with_high_outgoing_loss.",
    ),
    boolean("drain", "jitsi_drain", "Of the systemli exporter; here jvb_draining."),
    gauge(
        "total_video_stream_milliseconds_received",
        "jitsi_total_video_stream_milliseconds_received",
        "Of the systemli exporter; here jvb_video_received_seconds_total.",
    ),
    boolean("shutting_down", "jitsi_shutting_down", "Of the systemli exporter; here jvb_shutting_down."),
    gauge(
        "num_relays_no_msg_transport_after_delay",
        "jitsi_num_relays_no_msg_transport_after_delay",
        "Of the systemli exporter; here jvb_relays_no_message_transport_total.",
    ),
    gauge(
        "average_participant_stress",
        "jitsi_average_participant_stress",
        "Of the systemli exporter; here jvb_average_participant_stress_ratio.",
    ),
    gauge(
        "total_packets_sent",
        "jitsi_total_packets_sent",
        "Of the systemli exporter; here jvb_packets_sent_total.",
    ),
    gauge("endpoints", "jitsi_endpoints", "Of the systemli exporter; here jvb_endpoints."),
    gauge("incoming_loss", "jitsi_incoming_loss", "Of the systemli exporter; here jvb_incoming_loss_ratio."),
    gauge(
        "endpoints_reconnected",
        "jitsi_endpoints_reconnected",
        "Of the systemli exporter; here jvb_endpoints_reconnected_total.",
    ),
    boolean(
        "graceful_shutdown",
        "jitsi_graceful_shutdown",
        "Of the systemli exporter; here jvb_graceful_shutdown.",
    ),
    gauge(
        "total_bytes_received",
        "jitsi_total_bytes_received",
        "Of the systemli exporter; here jvb_bytes_received_total.",
    ),
    gauge(
        "endpoints_disconnected",
        "jitsi_endpoints_disconnected",
        "Of the systemli exporter; here jvb_endpoints_disconnected_total.",
    ),
    gauge(
        "endpoints_sending_audio",
        "jitsi_endpoints_sending_audio",
        "Of the systemli exporter; here jvb_endpoints_sending_audio.",
    ),
    gauge(
        "dtls_failed_endpoints",
        "jitsi_dtls_failed_endpoints",
        "Of the systemli exporter; here jvb_endpoints_dtls_failed_total.",
    ),
    gauge(
        "total_bytes_sent",
        "jitsi_total_bytes_sent",
        "Of the systemli exporter; here jvb_bytes_sent_total.",
    ),
    boolean("healthy", "jitsi_healthy", "Of the systemli exporter; here jvb_healthy."),
    gauge("mucs_configured", "jitsi_mucs_configured", "Of the systemli exporter; here jvb_mucs_configured."),
    gauge("mucs_joined", "jitsi_mucs_joined", "Of the systemli exporter; here jvb_mucs_joined."),
    gauge(
        "conference_sizes",
        "jitsi_conference_sizes",
        "Of the systemli exporter; here jvb_conference_size.",
    )
    .read_as(Read::Slots("conference_size")),
    text("version", "jitsi_version_info", "version", "Of the systemli exporter; here jvb_version_info."),
    text("region", "jitsi_region_info", "region", "Of the systemli exporter; here jvb_region_info."),
    text("relay_id", "jitsi_relay_id_info", "relay_id", "Of the systemli exporter; here jvb_relay_info."),
];
