//! Keys that the newest bridges have.

use crate::row::{Read, Row, Scale, boolean, counter, gauge, ratio, text};
use crate::sample::Unit;

pub(super) const ROWS: &[Row] = &[
    text("version", "jvb_version_info", "version", "Version of the bridge."),
    text("release", "jvb_release_info", "release", "Release that the bridge is configured to be of."),
    text("region", "jvb_region_info", "region", "Region of the bridge."),
    text("relay_id", "jvb_relay_info", "relay_id", "Name of the bridge among relays."),
    gauge(
        "current_timestamp",
        "jvb_statistics_timestamp_seconds",
        "Unix time of the statistics; before 2.3-95 of the report that is repeated.",
    )
    .in_unit(Unit::Seconds, Scale::One)
    .read_as(Read::Custom(super::timestamp)),
    // State
    boolean("healthy", "jvb_healthy", "Result of the last health check; without the key, of /about/health."),
    boolean("drain", "jvb_draining", "Whether Jicofo is asked to prefer other bridges."),
    boolean(
        "graceful_shutdown",
        "jvb_graceful_shutdown",
        "Whether the bridge ends once it is empty; 2.1-663 to 2.3-94 take it back while shutting down.",
    ),
    boolean(
        "shutting_down",
        "jvb_shutting_down",
        "Whether the bridge is about to exit; 2.1-663 to 2.3-94 leave the key out when it is not.",
    ),
    gauge("threads", "jvb_threads", "Threads of the Java virtual machine."),
    // Load
    ratio("stress_level", "jvb_stress_ratio", "Load in relation to the load threshold; may exceed 1."),
    ratio(
        "average_participant_stress",
        "jvb_average_participant_stress_ratio",
        "Stress that one participant is configured to add.",
    ),
    gauge(
        "conferences",
        "jvb_conferences",
        "Conferences, including empty ones that have not expired and those of relays only.",
    ),
    gauge("inactive_conferences", "jvb_inactive_conferences", "Conferences in which nobody sends media."),
    gauge("p2p_conferences", "jvb_p2p_conferences", "Inactive conferences of exactly two."),
    gauge("octo_conferences", "jvb_octo_conferences", "Conferences with a relay."),
    gauge(
        "largest_conference",
        "jvb_largest_conference",
        "Endpoints of the largest conference, those behind relays included.",
    ),
    gauge("participants", "jvb_participants", "Endpoints, those behind relays included."),
    gauge(
        "endpoints",
        "jvb_endpoints",
        "Endpoints, those behind relays included; the newer name of participants.",
    ),
    gauge(
        "local_endpoints",
        "jvb_local_endpoints",
        "Endpoints connected to this bridge; without the key, participants less octo_endpoints.",
    ),
    gauge(
        "local_active_endpoints",
        "jvb_local_active_endpoints",
        "Local endpoints in conferences in which somebody sends media.",
    ),
    gauge(
        "inactive_endpoints",
        "jvb_inactive_endpoints",
        "Endpoints in inactive conferences, those behind relays included.",
    ),
    gauge("octo_endpoints", "jvb_octo_endpoints", "Endpoints behind relays."),
    gauge(
        "receive_only_endpoints",
        "jvb_receive_only_endpoints",
        "Local endpoints that send nothing in active conferences.",
    ),
    gauge("endpoints_sending_audio", "jvb_endpoints_sending_audio", "Local endpoints that send audio."),
    gauge("endpoints_sending_video", "jvb_endpoints_sending_video", "Local endpoints that send video."),
    gauge(
        "endpoints_with_high_outgoing_loss",
        "jvb_endpoints_with_high_outgoing_loss",
        "Active endpoints that lose more than a tenth of what is sent to them.",
    ),
    gauge(
        "endpoints_with_suspended_sources",
        "jvb_endpoints_with_suspended_sources",
        "Endpoints with sources suspended for lack of bandwidth.",
    ),
    gauge(
        "num_eps_oversending",
        "jvb_endpoints_oversending",
        "Endpoints that are sent more than their estimated bandwidth.",
    ),
    gauge("visitors", "jvb_visitors", "Endpoints of visitors."),
    // Traffic
    gauge(
        "bit_rate_download",
        "jvb_incoming_bits_per_second",
        "RTP received from local endpoints, relays not included.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::Kilo),
    gauge(
        "bit_rate_upload",
        "jvb_outgoing_bits_per_second",
        "RTP sent to local endpoints, relays not included.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::Kilo),
    gauge(
        "packet_rate_download",
        "jvb_incoming_packets_per_second",
        "RTP packets received from local endpoints.",
    )
    .in_unit(Unit::PacketsPerSecond, Scale::One),
    gauge("packet_rate_upload", "jvb_outgoing_packets_per_second", "RTP packets sent to local endpoints.")
        .in_unit(Unit::PacketsPerSecond, Scale::One),
    gauge(
        "octo_receive_bitrate",
        "jvb_octo_incoming_bits_per_second",
        "Received from relays; the JSON has kbit/s before 2.1-158.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::One)
    .read_as(Read::Custom(super::relay_bitrate)),
    gauge(
        "octo_send_bitrate",
        "jvb_octo_outgoing_bits_per_second",
        "Sent to relays; the JSON has kbit/s before 2.1-158.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::One)
    .read_as(Read::Custom(super::relay_bitrate)),
    gauge(
        "octo_receive_packet_rate",
        "jvb_octo_incoming_packets_per_second",
        "Packets received from relays.",
    )
    .in_unit(Unit::PacketsPerSecond, Scale::One),
    gauge("octo_send_packet_rate", "jvb_octo_outgoing_packets_per_second", "Packets sent to relays.")
        .in_unit(Unit::PacketsPerSecond, Scale::One),
    counter("total_bytes_received", "jvb_bytes_received_total", "Bytes of RTP received from endpoints."),
    counter("total_bytes_sent", "jvb_bytes_sent_total", "Bytes of RTP sent to endpoints."),
    counter(
        "total_packets_received",
        "jvb_packets_received_total",
        "Packets of RTP received from endpoints.",
    ),
    counter("total_packets_sent", "jvb_packets_sent_total", "Packets of RTP sent to endpoints."),
    counter("total_bytes_received_octo", "jvb_octo_bytes_received_total", "Bytes received from relays."),
    counter("total_bytes_sent_octo", "jvb_octo_bytes_sent_total", "Bytes sent to relays."),
    counter(
        "total_packets_received_octo",
        "jvb_octo_packets_received_total",
        "Packets received from relays.",
    ),
    counter("total_packets_sent_octo", "jvb_octo_packets_sent_total", "Packets sent to relays."),
    // Quality
    ratio("incoming_loss", "jvb_incoming_loss_ratio", "Packets lost between endpoints and the bridge."),
    ratio("outgoing_loss", "jvb_outgoing_loss_ratio", "Packets lost between the bridge and endpoints."),
    ratio("overall_loss", "jvb_overall_loss_ratio", "Packets lost in either direction."),
    gauge(
        "rtt_aggregate",
        "jvb_rtt_seconds",
        "Mean round-trip time over local endpoints that have one; 0 when none has.",
    )
    .in_unit(Unit::Seconds, Scale::Milli),
    counter(
        "preemptive_kfr_sent",
        "jvb_preemptive_keyframe_requests_sent_total",
        "Key frames requested ahead of need.",
    ),
    counter(
        "preemptive_kfr_suppressed",
        "jvb_preemptive_keyframe_requests_suppressed_total",
        "Key frame requests ahead of need that were not sent.",
    ),
    counter(
        "total_keyframes_received",
        "jvb_keyframes_received_total",
        "Key frames received, counted when an endpoint expires.",
    ),
    counter(
        "total_layering_changes_received",
        "jvb_layering_changes_received_total",
        "Changes of layers received, counted when an endpoint expires.",
    ),
    counter(
        "total_video_stream_milliseconds_received",
        "jvb_video_received_seconds_total",
        "Length of the video streams received, counted when an endpoint expires.",
    )
    .in_unit(Unit::Seconds, Scale::Milli),
    gauge(
        "tcc_unmatched_feedback",
        "jvb_tcc_unmatched_feedback",
        "Transport-cc feedback without a packet, summed over the endpoints that are there.",
    ),
    // What happened
    counter("total_conferences_created", "jvb_conferences_created_total", "Conferences created."),
    counter("total_conferences_completed", "jvb_conferences_completed_total", "Conferences that expired."),
    counter(
        "total_conference_seconds",
        "jvb_conference_seconds_total",
        "Length of the conferences that expired.",
    )
    .in_unit(Unit::Seconds, Scale::One),
    counter("total_participants", "jvb_endpoints_created_total", "Endpoints created."),
    counter("total_visitors", "jvb_visitors_created_total", "Endpoints of visitors created."),
    counter("total_relays", "jvb_relays_created_total", "Relays created."),
    counter(
        "total_dominant_speaker_changes",
        "jvb_dominant_speaker_changes_total",
        "Changes of the dominant speaker.",
    ),
    counter("endpoints_disconnected", "jvb_endpoints_disconnected_total", "Endpoints found inactive."),
    counter("endpoints_reconnected", "jvb_endpoints_reconnected_total", "Endpoints found active again."),
    counter(
        "endpoints_with_spurious_remb",
        "jvb_endpoints_with_spurious_remb_total",
        "Endpoints that sent REMB without having signalled it.",
    ),
    counter("endpoints_ice_failed", "jvb_endpoints_ice_failed_total", "Endpoints whose ICE never connected."),
    counter(
        "dtls_failed_endpoints",
        "jvb_endpoints_dtls_failed_total",
        "Endpoints whose ICE connected and DTLS did not.",
    ),
    counter(
        "num_eps_no_msg_transport_after_delay",
        "jvb_endpoints_no_message_transport_total",
        "Endpoints without a bridge channel after a delay.",
    ),
    counter("relays_ice_failed", "jvb_relays_ice_failed_total", "Relays whose ICE never connected."),
    counter(
        "dtls_failed_relays",
        "jvb_relays_dtls_failed_total",
        "Relays whose ICE connected and DTLS did not.",
    ),
    counter(
        "num_relays_no_msg_transport_after_delay",
        "jvb_relays_no_message_transport_total",
        "Relays without a channel after a delay.",
    ),
    counter("total_ice_failed", "jvb_ice_failed_total", "ICE agents that failed."),
    counter("total_ice_succeeded", "jvb_ice_succeeded_total", "ICE agents that succeeded."),
    counter(
        "total_ice_succeeded_relayed",
        "jvb_ice_succeeded_relayed_total",
        "ICE agents that succeeded through TURN; known to be counted wrongly.",
    ),
    counter(
        "total_colibri_web_socket_messages_received",
        "jvb_colibri_web_socket_messages_received_total",
        "Messages received over WebSocket bridge channels.",
    ),
    counter(
        "total_colibri_web_socket_messages_sent",
        "jvb_colibri_web_socket_messages_sent_total",
        "Messages sent over WebSocket bridge channels.",
    ),
    counter(
        "total_data_channel_messages_received",
        "jvb_data_channel_messages_received_total",
        "Messages received over SCTP bridge channels.",
    ),
    counter(
        "total_data_channel_messages_sent",
        "jvb_data_channel_messages_sent_total",
        "Messages sent over SCTP bridge channels.",
    ),
    // Signalling
    gauge("muc_clients_configured", "jvb_muc_clients_configured", "XMPP clients configured."),
    gauge("muc_clients_connected", "jvb_muc_clients_connected", "XMPP clients connected."),
    gauge("mucs_configured", "jvb_mucs_configured", "XMPP rooms configured."),
    gauge("mucs_joined", "jvb_mucs_joined", "XMPP rooms joined."),
];
