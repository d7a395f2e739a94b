//! Keys of the current version.

use super::conversions::{relay_bitrate, timestamp};
use crate::metric_row::Scale::{Kilo, Milli, One};
use crate::metric_row::{MetricRow, Read, boolean, counter, gauge, ratio, rows, text};
use crate::sample::Unit::{BitsPerSecond, PacketsPerSecond, Seconds};

pub(super) const ROWS: &[MetricRow] = rows! {
    /// Version of the bridge.
    text "version" => "jvb_version_info", of("2.0");
    /// Release that the bridge is configured to be of.
    text "release" => "jvb_release_info", of("2.1-626");
    /// Region of the bridge.
    text "region" => "jvb_region_info", native("region_info"), of("1.x");
    /// Name of the bridge among relays.
    text "relay_id" => "jvb_relay_info", of("1.x");
    /// Unix time of the statistics; before 2.3-95, of the last periodic report.
    gauge "current_timestamp" => "jvb_statistics_timestamp_seconds", in_unit(Seconds, One),
        read_as(Read::Custom(timestamp)), of("1.x");
    // State
    /// Result of the last health check; without the key, of /about/health.
    boolean "healthy" => "jvb_healthy", native("healthy"), of("2.1-645");
    /// Whether the bridge is in drain mode, in which Jicofo prefers other bridges.
    boolean "drain" => "jvb_draining", native("drain_mode"), of("2.1-610");
    /// Whether the bridge ends once it is empty; 2.1-663 to 2.3-94 take it back while shutting down.
    boolean "graceful_shutdown" => "jvb_graceful_shutdown", native("graceful_shutdown"), of("1.x");
    /// Whether the bridge is about to exit; 2.1-663 to 2.3-94 leave the key out when it is not.
    boolean "shutting_down" => "jvb_shutting_down", native("shutting_down"), of("2.1-663");
    /// Threads of the Java virtual machine.
    gauge "threads" => "jvb_threads", native("thread_count"), of("1.x");
    // Load
    /// Load in relation to the load threshold; may exceed 1.
    ratio "stress_level" => "jvb_stress_ratio", native("stress"), of("2.1-343");
    /// Stress that one participant is configured to add.
    ratio "average_participant_stress" => "jvb_average_participant_stress_ratio", of("2.1-437");
    /// Conferences, including empty ones that have not expired and those of relays only.
    gauge "conferences" => "jvb_conferences", native("conferences"), of("1.x");
    /// Conferences in which no endpoint sends media.
    gauge "inactive_conferences" => "jvb_inactive_conferences", native("conferences_inactive"), of("2.1-137");
    /// Inactive conferences of exactly two.
    gauge "p2p_conferences" => "jvb_p2p_conferences", native("conferences_p2p"), of("2.1-137");
    /// Conferences with a relay.
    gauge "octo_conferences" => "jvb_octo_conferences", native("conferences_with_relay"), of("2.1-137");
    /// Endpoints of the largest conference, those behind relays included.
    gauge "largest_conference" => "jvb_largest_conference", native("largest_conference"), of("1.x");
    /// Endpoints, those behind relays included.
    gauge "participants" => "jvb_participants", native("current_endpoints"), of("1.x");
    /// Endpoints, those behind relays included; the newer name of participants.
    gauge "endpoints" => "jvb_endpoints", native("current_endpoints"), of("2.1-570");
    /// Endpoints connected to this bridge; without the key, participants less octo_endpoints.
    gauge "local_endpoints" => "jvb_local_endpoints", native("local_endpoints"), of("2.1-570");
    /// Local endpoints in conferences in which an endpoint sends media.
    gauge "local_active_endpoints" => "jvb_local_active_endpoints", native("active_endpoints"), of("2.1-420");
    /// Endpoints in inactive conferences, those behind relays included.
    gauge "inactive_endpoints" => "jvb_inactive_endpoints", native("endpoints_inactive"), of("2.1-137");
    /// Endpoints behind relays.
    gauge "octo_endpoints" => "jvb_octo_endpoints", native("endpoints_relayed"), of("2.1-137");
    /// Local endpoints that send nothing in active conferences.
    gauge "receive_only_endpoints" => "jvb_receive_only_endpoints", native("endpoints_recvonly"), of("2.1-137");
    /// Local endpoints that send audio.
    gauge "endpoints_sending_audio" => "jvb_endpoints_sending_audio", native("endpoints_sending_audio"),
        of("2.1-137");
    /// Local endpoints that send video.
    gauge "endpoints_sending_video" => "jvb_endpoints_sending_video", native("endpoints_sending_video"),
        of("2.1-137");
    /// Active endpoints that lose more than a tenth of what is sent to them.
    gauge "endpoints_with_high_outgoing_loss" => "jvb_endpoints_with_high_outgoing_loss",
        native("endpoints_with_high_outgoing_loss"), of("2.1-420");
    /// Endpoints with sources suspended for lack of bandwidth.
    gauge "endpoints_with_suspended_sources" => "jvb_endpoints_with_suspended_sources",
        native("endpoints_with_suspended_sources"), of("2.2-8");
    /// Endpoints that are sent more than their estimated bandwidth.
    gauge "num_eps_oversending" => "jvb_endpoints_oversending", native("endpoints_oversending"), of("2.1-394");
    /// Endpoints of visitors.
    gauge "visitors" => "jvb_visitors", native("current_visitors"), of("2.2-60");
    // Traffic
    /// RTP received from local endpoints, relays not included.
    gauge "bit_rate_download" => "jvb_incoming_bits_per_second", in_unit(BitsPerSecond, Kilo),
        native_in_base_unit("incoming_bitrate"), of("1.x");
    /// RTP sent to local endpoints, relays not included.
    gauge "bit_rate_upload" => "jvb_outgoing_bits_per_second", in_unit(BitsPerSecond, Kilo),
        native_in_base_unit("outgoing_bitrate"), of("1.x");
    /// RTP packets received from local endpoints.
    gauge "packet_rate_download" => "jvb_incoming_packets_per_second", in_unit(PacketsPerSecond, One),
        native("incoming_packet_rate"), of("1.x");
    /// RTP packets sent to local endpoints.
    gauge "packet_rate_upload" => "jvb_outgoing_packets_per_second", in_unit(PacketsPerSecond, One),
        native("outgoing_packet_rate"), of("1.x");
    /// Received from relays; the JSON has kbit/s before 2.1-158.
    gauge "octo_receive_bitrate" => "jvb_octo_incoming_bits_per_second", in_unit(BitsPerSecond, One),
        read_as(Read::Custom(relay_bitrate)), native("relay_incoming_bitrate"), of("2.0");
    /// Sent to relays; the JSON has kbit/s before 2.1-158.
    gauge "octo_send_bitrate" => "jvb_octo_outgoing_bits_per_second", in_unit(BitsPerSecond, One),
        read_as(Read::Custom(relay_bitrate)), native("relay_outgoing_bitrate"), of("2.0");
    /// Packets received from relays.
    gauge "octo_receive_packet_rate" => "jvb_octo_incoming_packets_per_second", in_unit(PacketsPerSecond, One),
        native("relay_incoming_packet_rate"), of("2.1-137");
    /// Packets sent to relays.
    gauge "octo_send_packet_rate" => "jvb_octo_outgoing_packets_per_second", in_unit(PacketsPerSecond, One),
        native("relay_outgoing_packet_rate"), of("2.1-137");
    /// Bytes of RTP received from endpoints.
    counter "total_bytes_received" => "jvb_bytes_received_total", native("bytes_received_total"), of("1.x");
    /// Bytes of RTP sent to endpoints.
    counter "total_bytes_sent" => "jvb_bytes_sent_total", native("bytes_sent_total"), of("1.x");
    /// Packets of RTP received from endpoints.
    counter "total_packets_received" => "jvb_packets_received_total", native("packets_received_total"), of("1.x");
    /// Packets of RTP sent to endpoints.
    counter "total_packets_sent" => "jvb_packets_sent_total", native("packets_sent_total"), of("1.x");
    /// Bytes received from relays.
    counter "total_bytes_received_octo" => "jvb_octo_bytes_received_total", native("relay_bytes_received_total"),
        of("1.x");
    /// Bytes sent to relays.
    counter "total_bytes_sent_octo" => "jvb_octo_bytes_sent_total", native("relay_bytes_sent_total"), of("1.x");
    /// Packets received from relays.
    counter "total_packets_received_octo" => "jvb_octo_packets_received_total",
        native("relay_packets_received_total"), of("1.x");
    /// Packets sent to relays.
    counter "total_packets_sent_octo" => "jvb_octo_packets_sent_total", native("relay_packets_sent_total"), of("1.x");
    // Quality
    /// Packets lost between endpoints and the bridge.
    ratio "incoming_loss" => "jvb_incoming_loss_ratio", native("incoming_loss_fraction"), of("2.1-355");
    /// Packets lost between the bridge and endpoints.
    ratio "outgoing_loss" => "jvb_outgoing_loss_ratio", native("outgoing_loss_fraction"), of("2.1-355");
    /// Packets lost in either direction.
    ratio "overall_loss" => "jvb_overall_loss_ratio", native("loss_fraction"), of("2.1-368");
    /// Mean round-trip time over local endpoints that have one; 0 when none has.
    gauge "rtt_aggregate" => "jvb_rtt_seconds", in_unit(Seconds, Milli), native("average_rtt"), of("1.x");
    /// Key frames requested ahead of need.
    counter "preemptive_kfr_sent" => "jvb_preemptive_keyframe_requests_sent_total",
        native("preemptive_keyframe_requests_sent_total"), of("2.1-559");
    /// Key frame requests ahead of need that were not sent.
    counter "preemptive_kfr_suppressed" => "jvb_preemptive_keyframe_requests_suppressed_total",
        native("preemptive_keyframe_requests_suppressed_total"), of("2.1-559");
    /// Key frames received, counted when an endpoint expires.
    counter "total_keyframes_received" => "jvb_keyframes_received_total", native("keyframes_received_total"),
        of("2.1-588");
    /// Changes of layers received, counted when an endpoint expires.
    counter "total_layering_changes_received" => "jvb_layering_changes_received_total",
        native("layering_changes_received_total"), of("2.1-588");
    /// Length of the video streams received, counted when an endpoint expires.
    counter "total_video_stream_milliseconds_received" => "jvb_video_received_seconds_total", in_unit(Seconds, Milli),
        native("video_milliseconds_received_total"), of("2.1-588");
    /// Transport-cc feedback without a packet, summed over the endpoints that are there.
    gauge "tcc_unmatched_feedback" => "jvb_tcc_unmatched_feedback", native("tcc_unmatched_feedback"), of("2.3-312");
    // What happened
    /// Conferences created.
    counter "total_conferences_created" => "jvb_conferences_created_total", native("conferences_created_total"),
        of("1.x");
    /// Conferences that expired.
    counter "total_conferences_completed" => "jvb_conferences_completed_total", native("conferences_completed_total"),
        of("1.x");
    /// Length of the conferences that expired.
    counter "total_conference_seconds" => "jvb_conference_seconds_total", in_unit(Seconds, One),
        native("conference_seconds_total"), of("1.x");
    /// Endpoints created.
    counter "total_participants" => "jvb_endpoints_created_total", native("endpoints_total"), of("2.0");
    /// Endpoints of visitors created.
    counter "total_visitors" => "jvb_visitors_created_total", native("visitors_total"), of("2.2-60");
    /// Relays created.
    counter "total_relays" => "jvb_relays_created_total", native("relays_total"), of("2.1-609");
    /// Changes of the dominant speaker.
    counter "total_dominant_speaker_changes" => "jvb_dominant_speaker_changes_total",
        native("dominant_speaker_changes_total"), of("2.1-137");
    /// Endpoints found inactive.
    counter "endpoints_disconnected" => "jvb_endpoints_disconnected_total", native("endpoints_disconnected_total"),
        of("2.2-34");
    /// Endpoints found active again.
    counter "endpoints_reconnected" => "jvb_endpoints_reconnected_total", native("endpoints_reconnected_total"),
        of("2.2-34");
    /// Endpoints that sent REMB without having signalled it.
    counter "endpoints_with_spurious_remb" => "jvb_endpoints_with_spurious_remb_total",
        native("endpoints_with_spurious_remb"), of("2.1-563");
    /// Endpoints whose ICE never connected.
    counter "endpoints_ice_failed" => "jvb_endpoints_ice_failed_total", native("endpoints_ice_failed_total"),
        of("2.3-285");
    /// Endpoints whose ICE connected and DTLS did not.
    counter "dtls_failed_endpoints" => "jvb_endpoints_dtls_failed_total", native("endpoints_dtls_failed_total"),
        of("2.1-235");
    /// Endpoints without a bridge channel after a delay.
    counter "num_eps_no_msg_transport_after_delay" => "jvb_endpoints_no_message_transport_total",
        native("endpoints_no_message_transport_after_delay_total"), of("2.1-112");
    /// Relays whose ICE never connected.
    counter "relays_ice_failed" => "jvb_relays_ice_failed_total", native("relays_ice_failed_total"), of("2.3-285");
    /// Relays whose ICE connected and DTLS did not.
    counter "dtls_failed_relays" => "jvb_relays_dtls_failed_total", native("relays_dtls_failed_total"), of("2.3-285");
    /// Relays without a channel after a delay.
    counter "num_relays_no_msg_transport_after_delay" => "jvb_relays_no_message_transport_total",
        native("relays_no_message_transport_after_delay_total"), of("2.1-609");
    /// ICE agents that failed.
    counter "total_ice_failed" => "jvb_ice_failed_total", native("ice_failed_total"), of("2.0");
    /// ICE agents that succeeded.
    counter "total_ice_succeeded" => "jvb_ice_succeeded_total", native("ice_succeeded_total"), of("2.0");
    /// ICE agents that succeeded through TURN; known to be counted wrongly.
    counter "total_ice_succeeded_relayed" => "jvb_ice_succeeded_relayed_total", native("ice_succeeded_relayed_total"),
        of("2.1-138");
    /// Messages received over WebSocket bridge channels.
    counter "total_colibri_web_socket_messages_received" => "jvb_colibri_web_socket_messages_received_total",
        native("colibri_web_socket_messages_received_total"), of("1.x");
    /// Messages sent over WebSocket bridge channels.
    counter "total_colibri_web_socket_messages_sent" => "jvb_colibri_web_socket_messages_sent_total",
        native("colibri_web_socket_messages_sent_total"), of("1.x");
    /// Messages received over SCTP bridge channels.
    counter "total_data_channel_messages_received" => "jvb_data_channel_messages_received_total",
        native("data_channel_messages_received_total"), of("1.x");
    /// Messages sent over SCTP bridge channels.
    counter "total_data_channel_messages_sent" => "jvb_data_channel_messages_sent_total",
        native("data_channel_messages_sent_total"), of("1.x");
    // Signalling
    /// XMPP clients configured.
    gauge "muc_clients_configured" => "jvb_muc_clients_configured", native("muc_clients_configured"), of("2.1-139");
    /// XMPP clients connected.
    gauge "muc_clients_connected" => "jvb_muc_clients_connected", native("muc_clients_connected"), of("2.1-141");
    /// XMPP rooms configured.
    gauge "mucs_configured" => "jvb_mucs_configured", native("mucs_connected"), of("2.1-139");
    /// XMPP rooms joined.
    gauge "mucs_joined" => "jvb_mucs_joined", native("mucs_joined"), of("2.1-139");
};
