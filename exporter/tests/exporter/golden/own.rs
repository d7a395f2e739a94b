//! Payloads of this project in the formats of many versions.

use super::case::Golden;
use jitsi_exporter::component::Component::{Jibri, Jicofo, Jvb};

pub(super) const ALL: &[Golden] = &[
    Golden {
        component: Jvb,
        file: "jvb_2014_quoted.json",
        lines: "
jvb_incoming_bits_per_second 512000
jvb_outgoing_bits_per_second 1024500
jvb_rtp_loss_ratio 0.02
jvb_conferences 2
jvb_participants 7
jvb_local_endpoints 7
jvb_statistics_timestamp_seconds 1409553000.25
jvb_threads 23",
        absent: "jvb_healthy jvb_stress_ratio jvb_draining jvb_graceful_shutdown jvb_shutting_down jvb_bytes_sent_total jvb_unknown",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb_1.x_before_first_report.json",
        lines: "
jvb_audiochannels 3
jvb_videochannels 2
jvb_conferences 1
jvb_local_endpoints 3
jvb_host_used_memory_bytes 2048000000
jvb_jitter_seconds 0.0015
jvb_conferences_created_total 9
jvb_channels_created_total 12
jvb_threads 31
jvb_statistics_timestamp_seconds 1456790399.999",
        absent: "jvb_conference_size_bucket jvb_host_cpu_usage_ratio jvb_host_memory_bytes jvb_unknown",
        unusable: &["conference_sizes"],
    },
    Golden {
        component: Jvb,
        file: "jvb_1.x_relay.json",
        lines: r#"
jvb_region_info{region="north \"1\""} 1
jvb_relay_info{relay_id="10.1.2.3:4096"} 1
jvb_participants 4
jvb_host_cpu_usage_ratio 0.125
jvb_host_memory_bytes 7987000000
jvb_host_used_memory_bytes 2048000000
jvb_conference_size_bucket{le="0.0"} 0
jvb_conference_size_bucket{le="1.0"} 1
jvb_conference_size_bucket{le="2.0"} 1
jvb_conference_size_bucket{le="3.0"} 3
jvb_conference_size_bucket{le="13.0"} 3
jvb_conference_size_bucket{le="+Inf"} 6
jvb_statistics_timestamp_seconds 1546214400
jvb_bytes_sent_total 9007199254740992"#,
        absent: "jvb_local_endpoints jvb_conference_size_sum jvb_conference_size_count jvb_version_info",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb_2.1.140.json",
        lines: r#"
jvb_octo_incoming_bits_per_second 250000
jvb_octo_outgoing_bits_per_second 125000
jvb_octo_incoming_packets_per_second 40
jvb_octo_outgoing_packets_per_second 20
jvb_local_endpoints 7
jvb_incoming_bits_per_second 800000
jvb_outgoing_bits_per_second 2400000
jvb_rtt_seconds 0.0205
jvb_download_loss_ratio 0.01
jvb_upload_loss_ratio 0.03
jvb_muc_clients 1
jvb_conference_audio_senders_bucket{le="0.0"} 0
jvb_conference_audio_senders_bucket{le="1.0"} 2
jvb_conference_audio_senders_bucket{le="+Inf"} 2
jvb_conference_audio_senders_sum 2
jvb_conference_audio_senders_count 2
jvb_graceful_shutdown 1"#,
        absent: "jvb_shutting_down jvb_healthy jvb_draining jvb_incoming_loss_ratio",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb_2.1.530_energy.json",
        lines: r#"
jvb_octo_incoming_bits_per_second 250
jvb_octo_outgoing_bits_per_second 125.5
jvb_healthy 1
jvb_local_endpoints 2
jvb_octo_version 1
jvb_tossed_packets_energy_bucket{le="7.0"} 5
jvb_tossed_packets_energy_bucket{le="15.0"} 7
jvb_tossed_packets_energy_bucket{le="31.0"} 8
jvb_tossed_packets_energy_bucket{le="+Inf"} 8
jvb_tossed_packets_energy_sum 60
jvb_tossed_packets_energy_count 8
jvb_tossed_packets_energy_max 31
jvb_tossed_packets_energy_min 1"#,
        absent: "jvb_threads jvb_endpoints_sending_audio jvb_shutting_down jvb_unknown",
        unusable: &["threads", "endpoints_sending_audio"],
    },
    Golden {
        component: Jvb,
        file: "jvb_2.2.45.json",
        lines: r#"
jvb_version_info{version="2.2.45-gcafe0002"} 1
jvb_colibri2 1
jvb_draining 1
jvb_graceful_shutdown 0
jvb_shutting_down 0
jvb_healthy 0
jvb_stress_ratio 1.35
jvb_local_endpoints 9
jvb_octo_incoming_bits_per_second 2500000
jvb_octo_outgoing_bits_per_second 0
jvb_incoming_bits_per_second 15000250
jvb_outgoing_bits_per_second 42000750
jvb_video_received_seconds_total 1234.567
jvb_endpoints_disconnected_total 4
jvb_conference_size_bucket{le="1.0"} 0
jvb_conference_size_bucket{le="2.0"} 1
jvb_conference_size_bucket{le="9.0"} 1
jvb_conference_size_bucket{le="10.0"} 2
jvb_conference_size_bucket{le="20.0"} 2
jvb_conference_size_sum 12
jvb_conference_size_count 2
jvb_incoming_loss_ratio 0.004"#,
        absent: "jvb_visitors jvb_unknown",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb_2.3.312.json",
        lines: r#"
jvb_release_info{release="stable-1"} 1
jvb_region_info{region="eu-1"} 1
jvb_relay_info{relay_id="bridge-7"} 1
jvb_statistics_timestamp_seconds 1787157900.125
jvb_draining 0
jvb_graceful_shutdown 1
jvb_shutting_down 1
jvb_healthy 1
jvb_stress_ratio 0.5
jvb_average_participant_stress_ratio 0.01
jvb_endpoints 20
jvb_participants 20
jvb_local_endpoints 15
jvb_visitors 2
jvb_visitors_created_total 8
jvb_incoming_bits_per_second 9000000
jvb_outgoing_bits_per_second 27000000
jvb_octo_incoming_bits_per_second 4000000
jvb_octo_outgoing_bits_per_second 5000000
jvb_endpoints_ice_failed_total 1
jvb_relays_ice_failed_total 2
jvb_relays_dtls_failed_total 3
jvb_tcc_unmatched_feedback 17
jvb_relays_created_total 6
jvb_rtt_seconds 0.03125
jvb_bytes_sent_total 123456789012
jvb_bytes_received_total 98765432109
jvb_unknown{key="brand_new_gauge"} 4.5
jvb_unknown{key="brand_new.inner"} 2"#,
        absent: "jvb_conference_size_bucket jvb_videochannels jvb_jitter_seconds",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb_repeated_keys.json",
        lines: r#"
jvb_conferences 2
jvb_outgoing_bits_per_second 2000
jvb_unknown{key="odd"} 3"#,
        absent: "",
        unusable: &[],
    },
    Golden {
        component: Jicofo,
        file: "jicofo_2020_top_level.json",
        lines: r#"
jicofo_conferences 4
jicofo_participants 11
jicofo_conference_size_bucket{le="1.0"} 0
jicofo_conference_size_bucket{le="2.0"} 2
jicofo_conference_size_bucket{le="4.0"} 2
jicofo_conference_size_bucket{le="5.0"} 3
jicofo_conference_size_bucket{le="+Inf"} 3
jicofo_conference_size_sum 9
jicofo_conference_size_count 3
jicofo_conferences_created_total 90
jicofo_participants_created_total 300
jicofo_jibri_failures_total{type="recording"} 1
jicofo_jibri_failures_total{type="live_streaming"} 2
jicofo_jibri_failures_total{type="sip_call"} 3
jicofo_participants_moved_total 6
jicofo_participants_ice_failed_total 7
jicofo_participants_restart_requested_total 8
jicofo_bridges 3
jicofo_operational_bridges 2
jicofo_bridge_selections_total{by="least_loaded"} 40
jicofo_bridge_splits_total{cause="load"} 5
jicofo_jibris 2
jicofo_jibri_available 1
jicofo_threads 88
jicofo_allocate_channels_seconds 0.025"#,
        absent: "jicofo_healthy jicofo_unknown jicofo_bridges_removed_total",
        unusable: &[],
    },
    Golden {
        component: Jicofo,
        file: "jicofo_2022_queues.json",
        lines: r#"
jicofo_bridges 2
jicofo_bridges_in_shutdown 1
jicofo_bridges_lost_total 3
jicofo_healthy 1
jicofo_conference_size_bucket{le="0.0"} 0
jicofo_conference_size_bucket{le="1.0"} 1
jicofo_conference_size_bucket{le="2.0"} 2
jicofo_conference_size_bucket{le="4.0"} 4
jicofo_conference_size_bucket{le="499.0"} 4
jicofo_conference_size_bucket{le="+Inf"} 4
jicofo_conference_size_sum 10
jicofo_conference_size_count 4
jicofo_conference_size_max 4
jicofo_conference_size_min 1
jicofo_queue_packets_added_total{queue="muc \"a\""} 10
jicofo_queue_packets_removed_total{queue="muc \"a\""} 9
jicofo_queue_packets_dropped_total{queue="muc \"a\""} 1
jicofo_queue_packets_added_total{queue="idle"} 0
jicofo_queue_duration_seconds{queue="muc \"a\""} 120.5
jicofo_queue_removed_packets_per_second{queue="muc \"a\""} 0.075
jicofo_queue_size_at_remove_bucket{queue="muc \"a\"",le="0.0"} 6
jicofo_queue_size_at_remove_bucket{queue="muc \"a\"",le="3.0"} 8
jicofo_queue_size_at_remove_bucket{queue="muc \"a\"",le="+Inf"} 8
jicofo_queue_size_at_remove_sum{queue="muc \"a\""} 4
jicofo_queue_size_at_remove_count{queue="muc \"a\""} 8
jicofo_queue_size_at_remove_max{queue="muc \"a\""} 3
jicofo_jingle_sent_total{action="session-initiate"} 5
jicofo_jingle_received_total{action="session-accept"} 4"#,
        absent: "jicofo_jigasi_retries_total jicofo_jibris jicofo_unknown",
        unusable: &[],
    },
    Golden {
        component: Jicofo,
        file: "jicofo_2026.json",
        lines: r#"
jicofo_version_info{version="1.0.1184"} 1
jicofo_conference_size_bucket{le="0.0"} 0
jicofo_conference_size_bucket{le="+Inf"} 0
jicofo_conference_size_sum 0
jicofo_operational_bridges 0
jicofo_bridge_versions 1
jicofo_jibris 0
jicofo_jibri_available 0
jicofo_sip_jibris 2
jicofo_sip_jibri_available 1
jicofo_jibri_sessions_active{type="recording"} 1
jicofo_jibri_sessions_active{type="sip_call"} 0
jicofo_jibri_failures_total{type="recording"} 4
jicofo_jingle_sent_total{action="session-initiate"} 3
jicofo_jingle_sent_total{action="source-add"} 9
jicofo_jingle_received_total{action="session-accept"} 2
jicofo_healthy 0
jicofo_health_success 0
jicofo_health_hard_failure 1
jicofo_health_sticky 0
jicofo_slow_health_checks_total 2
jicofo_threads 60"#,
        absent: "jicofo_health_response_code jicofo_unknown",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri_busy.json",
        lines: r#"
jibri_healthy 1
jibri_available 0
jibri_status{status="idle"} 0
jibri_status{status="busy"} 1
jibri_status{status="expired"} 0
jibri_part_healthy{part="JibriManager"} 1
jibri_environment_info{environment="prod"} 1"#,
        absent: "jibri_unknown",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri_idle_unhealthy.json",
        lines: r#"
jibri_healthy 0
jibri_available 0
jibri_status{status="idle"} 1
jibri_part_healthy{part="JibriManager"} 0
jibri_part_healthy{part="XMPPAPI"} 1"#,
        absent: "jibri_environment_info",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri_legacy_idle.json",
        lines: r#"
jibri_available 1
jibri_status{status="idle"} 1
jibri_status{status="busy"} 0"#,
        absent: "jibri_healthy",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri_2017.json",
        lines: r#"
jibri_healthy 1
jibri_available 1
jibri_status{status="idle"} 1
jibri_xmpp_connected 1
jibri_environment_info{environment="beta"} 1"#,
        absent: "",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri_new_state.json",
        lines: "
jibri_healthy 1
jibri_available 0",
        absent: "jibri_status",
        unusable: &["status.busyStatus"],
    },
    Golden {
        component: Jibri,
        file: "jibri_no_health.json",
        lines: r#"
jibri_status{status="idle"} 1"#,
        absent: "jibri_healthy jibri_available",
        unusable: &[],
    },
];
