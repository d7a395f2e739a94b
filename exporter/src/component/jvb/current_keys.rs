//! Keys of the current version.

use super::conversions::{relay_bitrate, timestamp};
use crate::metric_row::{MetricRow, Read, Scale, boolean, counter, gauge, ratio, text};
use crate::sample::Unit;

pub(super) const ROWS: &[MetricRow] = &[
    text("version", "jvb_version_info", "version", "Version of the bridge.").of("2.0"),
    text("release", "jvb_release_info", "release", "Release that the bridge is configured to be of.")
        .of("2.1-626"),
    text("region", "jvb_region_info", "region", "Region of the bridge.").native("region_info").of("1.x"),
    text("relay_id", "jvb_relay_info", "relay_id", "Name of the bridge among relays.").of("1.x"),
    gauge(
        "current_timestamp",
        "jvb_statistics_timestamp_seconds",
        "Unix time of the statistics; before 2.3-95, of the last periodic report.",
    )
    .in_unit(Unit::Seconds, Scale::One)
    .read_as(Read::Custom(timestamp))
    .of("1.x"),
    // State
    boolean("healthy", "jvb_healthy", "Result of the last health check; without the key, of /about/health.")
        .native("healthy")
        .of("2.1-645"),
    boolean(
        "drain",
        "jvb_draining",
        "Whether the bridge is in drain mode, in which Jicofo prefers other bridges.",
    )
    .native("drain_mode")
    .of("2.1-610"),
    boolean(
        "graceful_shutdown",
        "jvb_graceful_shutdown",
        "Whether the bridge ends once it is empty; 2.1-663 to 2.3-94 take it back while shutting down.",
    )
    .native("graceful_shutdown")
    .of("1.x"),
    boolean(
        "shutting_down",
        "jvb_shutting_down",
        "Whether the bridge is about to exit; 2.1-663 to 2.3-94 leave the key out when it is not.",
    )
    .native("shutting_down")
    .of("2.1-663"),
    gauge("threads", "jvb_threads", "Threads of the Java virtual machine.").native("thread_count").of("1.x"),
    // Load
    ratio("stress_level", "jvb_stress_ratio", "Load in relation to the load threshold; may exceed 1.")
        .native("stress")
        .of("2.1-343"),
    ratio(
        "average_participant_stress",
        "jvb_average_participant_stress_ratio",
        "Stress that one participant is configured to add.",
    )
    .of("2.1-437"),
    gauge(
        "conferences",
        "jvb_conferences",
        "Conferences, including empty ones that have not expired and those of relays only.",
    )
    .native("conferences")
    .of("1.x"),
    gauge(
        "inactive_conferences",
        "jvb_inactive_conferences",
        "Conferences in which no endpoint sends media.",
    )
    .native("conferences_inactive")
    .of("2.1-137"),
    gauge("p2p_conferences", "jvb_p2p_conferences", "Inactive conferences of exactly two.")
        .native("conferences_p2p")
        .of("2.1-137"),
    gauge("octo_conferences", "jvb_octo_conferences", "Conferences with a relay.")
        .native("conferences_with_relay")
        .of("2.1-137"),
    gauge(
        "largest_conference",
        "jvb_largest_conference",
        "Endpoints of the largest conference, those behind relays included.",
    )
    .native("largest_conference")
    .of("1.x"),
    gauge("participants", "jvb_participants", "Endpoints, those behind relays included.")
        .native("current_endpoints")
        .of("1.x"),
    gauge(
        "endpoints",
        "jvb_endpoints",
        "Endpoints, those behind relays included; the newer name of participants.",
    )
    .native("current_endpoints")
    .of("2.1-570"),
    gauge(
        "local_endpoints",
        "jvb_local_endpoints",
        "Endpoints connected to this bridge; without the key, participants less octo_endpoints.",
    )
    .native("local_endpoints")
    .of("2.1-570"),
    gauge(
        "local_active_endpoints",
        "jvb_local_active_endpoints",
        "Local endpoints in conferences in which an endpoint sends media.",
    )
    .native("active_endpoints")
    .of("2.1-420"),
    gauge(
        "inactive_endpoints",
        "jvb_inactive_endpoints",
        "Endpoints in inactive conferences, those behind relays included.",
    )
    .native("endpoints_inactive")
    .of("2.1-137"),
    gauge("octo_endpoints", "jvb_octo_endpoints", "Endpoints behind relays.")
        .native("endpoints_relayed")
        .of("2.1-137"),
    gauge(
        "receive_only_endpoints",
        "jvb_receive_only_endpoints",
        "Local endpoints that send nothing in active conferences.",
    )
    .native("endpoints_recvonly")
    .of("2.1-137"),
    gauge("endpoints_sending_audio", "jvb_endpoints_sending_audio", "Local endpoints that send audio.")
        .native("endpoints_sending_audio")
        .of("2.1-137"),
    gauge("endpoints_sending_video", "jvb_endpoints_sending_video", "Local endpoints that send video.")
        .native("endpoints_sending_video")
        .of("2.1-137"),
    gauge(
        "endpoints_with_high_outgoing_loss",
        "jvb_endpoints_with_high_outgoing_loss",
        "Active endpoints that lose more than a tenth of what is sent to them.",
    )
    .native("endpoints_with_high_outgoing_loss")
    .of("2.1-420"),
    gauge(
        "endpoints_with_suspended_sources",
        "jvb_endpoints_with_suspended_sources",
        "Endpoints with sources suspended for lack of bandwidth.",
    )
    .native("endpoints_with_suspended_sources")
    .of("2.2-8"),
    gauge(
        "num_eps_oversending",
        "jvb_endpoints_oversending",
        "Endpoints that are sent more than their estimated bandwidth.",
    )
    .native("endpoints_oversending")
    .of("2.1-394"),
    gauge("visitors", "jvb_visitors", "Endpoints of visitors.").native("current_visitors").of("2.2-60"),
    // Traffic
    gauge(
        "bit_rate_download",
        "jvb_incoming_bits_per_second",
        "RTP received from local endpoints, relays not included.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::Kilo)
    .native_in_base_unit("incoming_bitrate")
    .of("1.x"),
    gauge(
        "bit_rate_upload",
        "jvb_outgoing_bits_per_second",
        "RTP sent to local endpoints, relays not included.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::Kilo)
    .native_in_base_unit("outgoing_bitrate")
    .of("1.x"),
    gauge(
        "packet_rate_download",
        "jvb_incoming_packets_per_second",
        "RTP packets received from local endpoints.",
    )
    .in_unit(Unit::PacketsPerSecond, Scale::One)
    .native("incoming_packet_rate")
    .of("1.x"),
    gauge("packet_rate_upload", "jvb_outgoing_packets_per_second", "RTP packets sent to local endpoints.")
        .in_unit(Unit::PacketsPerSecond, Scale::One)
        .native("outgoing_packet_rate")
        .of("1.x"),
    gauge(
        "octo_receive_bitrate",
        "jvb_octo_incoming_bits_per_second",
        "Received from relays; the JSON has kbit/s before 2.1-158.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::One)
    .read_as(Read::Custom(relay_bitrate))
    .native("relay_incoming_bitrate")
    .of("2.0"),
    gauge(
        "octo_send_bitrate",
        "jvb_octo_outgoing_bits_per_second",
        "Sent to relays; the JSON has kbit/s before 2.1-158.",
    )
    .in_unit(Unit::BitsPerSecond, Scale::One)
    .read_as(Read::Custom(relay_bitrate))
    .native("relay_outgoing_bitrate")
    .of("2.0"),
    gauge(
        "octo_receive_packet_rate",
        "jvb_octo_incoming_packets_per_second",
        "Packets received from relays.",
    )
    .in_unit(Unit::PacketsPerSecond, Scale::One)
    .native("relay_incoming_packet_rate")
    .of("2.1-137"),
    gauge("octo_send_packet_rate", "jvb_octo_outgoing_packets_per_second", "Packets sent to relays.")
        .in_unit(Unit::PacketsPerSecond, Scale::One)
        .native("relay_outgoing_packet_rate")
        .of("2.1-137"),
    counter("total_bytes_received", "jvb_bytes_received_total", "Bytes of RTP received from endpoints.")
        .native("bytes_received_total")
        .of("1.x"),
    counter("total_bytes_sent", "jvb_bytes_sent_total", "Bytes of RTP sent to endpoints.")
        .native("bytes_sent_total")
        .of("1.x"),
    counter(
        "total_packets_received",
        "jvb_packets_received_total",
        "Packets of RTP received from endpoints.",
    )
    .native("packets_received_total")
    .of("1.x"),
    counter("total_packets_sent", "jvb_packets_sent_total", "Packets of RTP sent to endpoints.")
        .native("packets_sent_total")
        .of("1.x"),
    counter("total_bytes_received_octo", "jvb_octo_bytes_received_total", "Bytes received from relays.")
        .native("relay_bytes_received_total")
        .of("1.x"),
    counter("total_bytes_sent_octo", "jvb_octo_bytes_sent_total", "Bytes sent to relays.")
        .native("relay_bytes_sent_total")
        .of("1.x"),
    counter(
        "total_packets_received_octo",
        "jvb_octo_packets_received_total",
        "Packets received from relays.",
    )
    .native("relay_packets_received_total")
    .of("1.x"),
    counter("total_packets_sent_octo", "jvb_octo_packets_sent_total", "Packets sent to relays.")
        .native("relay_packets_sent_total")
        .of("1.x"),
    // Quality
    ratio("incoming_loss", "jvb_incoming_loss_ratio", "Packets lost between endpoints and the bridge.")
        .native("incoming_loss_fraction")
        .of("2.1-355"),
    ratio("outgoing_loss", "jvb_outgoing_loss_ratio", "Packets lost between the bridge and endpoints.")
        .native("outgoing_loss_fraction")
        .of("2.1-355"),
    ratio("overall_loss", "jvb_overall_loss_ratio", "Packets lost in either direction.")
        .native("loss_fraction")
        .of("2.1-368"),
    gauge(
        "rtt_aggregate",
        "jvb_rtt_seconds",
        "Mean round-trip time over local endpoints that have one; 0 when none has.",
    )
    .in_unit(Unit::Seconds, Scale::Milli)
    .native("average_rtt")
    .of("1.x"),
    counter(
        "preemptive_kfr_sent",
        "jvb_preemptive_keyframe_requests_sent_total",
        "Key frames requested ahead of need.",
    )
    .native("preemptive_keyframe_requests_sent_total")
    .of("2.1-559"),
    counter(
        "preemptive_kfr_suppressed",
        "jvb_preemptive_keyframe_requests_suppressed_total",
        "Key frame requests ahead of need that were not sent.",
    )
    .native("preemptive_keyframe_requests_suppressed_total")
    .of("2.1-559"),
    counter(
        "total_keyframes_received",
        "jvb_keyframes_received_total",
        "Key frames received, counted when an endpoint expires.",
    )
    .native("keyframes_received_total")
    .of("2.1-588"),
    counter(
        "total_layering_changes_received",
        "jvb_layering_changes_received_total",
        "Changes of layers received, counted when an endpoint expires.",
    )
    .native("layering_changes_received_total")
    .of("2.1-588"),
    counter(
        "total_video_stream_milliseconds_received",
        "jvb_video_received_seconds_total",
        "Length of the video streams received, counted when an endpoint expires.",
    )
    .in_unit(Unit::Seconds, Scale::Milli)
    .native("video_milliseconds_received_total")
    .of("2.1-588"),
    gauge(
        "tcc_unmatched_feedback",
        "jvb_tcc_unmatched_feedback",
        "Transport-cc feedback without a packet, summed over the endpoints that are there.",
    )
    .native("tcc_unmatched_feedback")
    .of("2.3-312"),
    // What happened
    counter("total_conferences_created", "jvb_conferences_created_total", "Conferences created.")
        .native("conferences_created_total")
        .of("1.x"),
    counter("total_conferences_completed", "jvb_conferences_completed_total", "Conferences that expired.")
        .native("conferences_completed_total")
        .of("1.x"),
    counter(
        "total_conference_seconds",
        "jvb_conference_seconds_total",
        "Length of the conferences that expired.",
    )
    .in_unit(Unit::Seconds, Scale::One)
    .native("conference_seconds_total")
    .of("1.x"),
    counter("total_participants", "jvb_endpoints_created_total", "Endpoints created.")
        .native("endpoints_total")
        .of("2.0"),
    counter("total_visitors", "jvb_visitors_created_total", "Endpoints of visitors created.")
        .native("visitors_total")
        .of("2.2-60"),
    counter("total_relays", "jvb_relays_created_total", "Relays created.")
        .native("relays_total")
        .of("2.1-609"),
    counter(
        "total_dominant_speaker_changes",
        "jvb_dominant_speaker_changes_total",
        "Changes of the dominant speaker.",
    )
    .native("dominant_speaker_changes_total")
    .of("2.1-137"),
    counter("endpoints_disconnected", "jvb_endpoints_disconnected_total", "Endpoints found inactive.")
        .native("endpoints_disconnected_total")
        .of("2.2-34"),
    counter("endpoints_reconnected", "jvb_endpoints_reconnected_total", "Endpoints found active again.")
        .native("endpoints_reconnected_total")
        .of("2.2-34"),
    counter(
        "endpoints_with_spurious_remb",
        "jvb_endpoints_with_spurious_remb_total",
        "Endpoints that sent REMB without having signalled it.",
    )
    .native("endpoints_with_spurious_remb")
    .of("2.1-563"),
    counter("endpoints_ice_failed", "jvb_endpoints_ice_failed_total", "Endpoints whose ICE never connected.")
        .native("endpoints_ice_failed_total")
        .of("2.3-285"),
    counter(
        "dtls_failed_endpoints",
        "jvb_endpoints_dtls_failed_total",
        "Endpoints whose ICE connected and DTLS did not.",
    )
    .native("endpoints_dtls_failed_total")
    .of("2.1-235"),
    counter(
        "num_eps_no_msg_transport_after_delay",
        "jvb_endpoints_no_message_transport_total",
        "Endpoints without a bridge channel after a delay.",
    )
    .native("endpoints_no_message_transport_after_delay_total")
    .of("2.1-112"),
    counter("relays_ice_failed", "jvb_relays_ice_failed_total", "Relays whose ICE never connected.")
        .native("relays_ice_failed_total")
        .of("2.3-285"),
    counter(
        "dtls_failed_relays",
        "jvb_relays_dtls_failed_total",
        "Relays whose ICE connected and DTLS did not.",
    )
    .native("relays_dtls_failed_total")
    .of("2.3-285"),
    counter(
        "num_relays_no_msg_transport_after_delay",
        "jvb_relays_no_message_transport_total",
        "Relays without a channel after a delay.",
    )
    .native("relays_no_message_transport_after_delay_total")
    .of("2.1-609"),
    counter("total_ice_failed", "jvb_ice_failed_total", "ICE agents that failed.")
        .native("ice_failed_total")
        .of("2.0"),
    counter("total_ice_succeeded", "jvb_ice_succeeded_total", "ICE agents that succeeded.")
        .native("ice_succeeded_total")
        .of("2.0"),
    counter(
        "total_ice_succeeded_relayed",
        "jvb_ice_succeeded_relayed_total",
        "ICE agents that succeeded through TURN; known to be counted wrongly.",
    )
    .native("ice_succeeded_relayed_total")
    .of("2.1-138"),
    counter(
        "total_colibri_web_socket_messages_received",
        "jvb_colibri_web_socket_messages_received_total",
        "Messages received over WebSocket bridge channels.",
    )
    .native("colibri_web_socket_messages_received_total")
    .of("1.x"),
    counter(
        "total_colibri_web_socket_messages_sent",
        "jvb_colibri_web_socket_messages_sent_total",
        "Messages sent over WebSocket bridge channels.",
    )
    .native("colibri_web_socket_messages_sent_total")
    .of("1.x"),
    counter(
        "total_data_channel_messages_received",
        "jvb_data_channel_messages_received_total",
        "Messages received over SCTP bridge channels.",
    )
    .native("data_channel_messages_received_total")
    .of("1.x"),
    counter(
        "total_data_channel_messages_sent",
        "jvb_data_channel_messages_sent_total",
        "Messages sent over SCTP bridge channels.",
    )
    .native("data_channel_messages_sent_total")
    .of("1.x"),
    // Signalling
    gauge("muc_clients_configured", "jvb_muc_clients_configured", "XMPP clients configured.")
        .native("muc_clients_configured")
        .of("2.1-139"),
    gauge("muc_clients_connected", "jvb_muc_clients_connected", "XMPP clients connected.")
        .native("muc_clients_connected")
        .of("2.1-141"),
    gauge("mucs_configured", "jvb_mucs_configured", "XMPP rooms configured.")
        .native("mucs_connected")
        .of("2.1-139"),
    gauge("mucs_joined", "jvb_mucs_joined", "XMPP rooms joined.").native("mucs_joined").of("2.1-139"),
];
