//! Payloads of real components.

use super::case::Golden;
use jitsi_exporter::component::Component::{Jibri, Jicofo, Jvb};

pub(super) const ALL: &[Golden] = &[
    Golden {
        component: Jvb,
        file: "jvb/designet_zabbix_2.3.168.json",
        lines: r#"
jvb_version_info{version="2.3.168-g28674f78"} 1
jvb_statistics_timestamp_seconds 1729738047.605
jvb_average_participant_stress_ratio 0.01
jvb_outgoing_bits_per_second 0
jvb_draining 0
jvb_graceful_shutdown 0
jvb_shutting_down 0
jvb_healthy 1
jvb_stress_ratio 0
jvb_local_endpoints 0
jvb_participants 0
jvb_threads 41
jvb_bytes_received_total 5301841
jvb_bytes_sent_total 9586670
jvb_conference_seconds_total 952
jvb_conferences_completed_total 1
jvb_conferences_created_total 1
jvb_data_channel_messages_received_total 209
jvb_data_channel_messages_sent_total 257
jvb_dominant_speaker_changes_total 1
jvb_ice_succeeded_total 3
jvb_keyframes_received_total 11
jvb_layering_changes_received_total 4
jvb_packets_received_total 35688
jvb_packets_sent_total 55609
jvb_endpoints_created_total 3
jvb_video_received_seconds_total 225.691
jvb_mucs_joined 1"#,
        absent: "jvb_conference_size_bucket jvb_videochannels jvb_unknown jvb_region_info jvb_relay_info jvb_ice_succeeded_tcp_total",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb/igor_howto_2.1.169_idle.json",
        lines: r#"
jvb_version_info{version="2.1.169-ga28eb88e"} 1
jvb_statistics_timestamp_seconds 1587165278.468
jvb_threads 37
jvb_local_endpoints 0
jvb_octo_incoming_bits_per_second 0
jvb_conference_size_bucket{le="+Inf"} 0
jvb_conference_size_sum 0
jvb_conference_size_count 0
jvb_rtp_loss_ratio 0
jvb_mucs_configured 1
jvb_graceful_shutdown 0"#,
        absent: "jvb_stress_ratio jvb_healthy jvb_draining jvb_shutting_down jvb_endpoints jvb_unknown",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb/jvb_doc_statistics_2020.json",
        lines: r#"
jvb_region_info{region="eu-west-1"} 1
jvb_relay_info{relay_id="10.0.0.5:4096"} 1
jvb_statistics_timestamp_seconds 1552561335.184
jvb_threads 59
jvb_bytes_received_total 257628359
jvb_bytes_sent_total 257754048
jvb_conference_seconds_total 470
jvb_data_channel_messages_received_total 602
jvb_loss_controlled_participant_seconds_total 847
jvb_loss_degraded_participant_seconds_total 1
jvb_packets_received_total 266644
jvb_packets_sent_total 266556
jvb_endpoints_created_total 2
jvb_audiochannels 0"#,
        absent: "jvb_local_endpoints jvb_octo_incoming_bits_per_second jvb_version_info jvb_unknown",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb/linuxfabrik_one-conference-active_2.1.508.json",
        lines: r#"
jvb_conferences 1
jvb_participants 2
jvb_local_endpoints 2
jvb_local_active_endpoints 2
jvb_incoming_bits_per_second 1284955
jvb_outgoing_bits_per_second 603394
jvb_incoming_packets_per_second 311
jvb_outgoing_packets_per_second 228
jvb_rtt_seconds 0.0060430079999999995
jvb_jitter_seconds 0.0021816182905608503
jvb_stress_ratio 0.01092
jvb_outgoing_loss_ratio 0.016965678627145087
jvb_overall_loss_ratio 0.011788617886178862
jvb_incoming_loss_ratio 0
jvb_statistics_timestamp_seconds 1630325480.254
jvb_bytes_received_total 1378221812
jvb_bytes_sent_total 808228867
jvb_packets_received_total 2121604
jvb_packets_sent_total 1220138
jvb_conferences_created_total 7
jvb_conferences_completed_total 6
jvb_conference_seconds_total 4342
jvb_endpoints_created_total 18
jvb_colibri_web_socket_messages_received_total 2912
jvb_colibri_web_socket_messages_sent_total 3492
jvb_videochannels 2
jvb_conference_size_bucket{le="1.0"} 0
jvb_conference_size_bucket{le="2.0"} 1
jvb_conference_size_sum 2
jvb_conference_size_count 1
jvb_conference_audio_senders_bucket{le="0.0"} 1
jvb_conference_video_senders_bucket{le="0.0"} 0
jvb_conference_video_senders_bucket{le="1.0"} 1
jvb_threads 93"#,
        absent: "jvb_healthy jvb_draining jvb_shutting_down jvb_endpoints jvb_unknown",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb/jvb_doc_rest_colibri_strings.json",
        lines: "
jvb_incoming_bits_per_second 0
jvb_outgoing_bits_per_second 0
jvb_conferences 0
jvb_participants 0
jvb_local_endpoints 0
jvb_statistics_timestamp_seconds 1408058774.782
jvb_threads 17",
        absent: "jvb_stress_ratio jvb_bytes_sent_total jvb_unknown",
        unusable: &[],
    },
    Golden {
        component: Jvb,
        file: "jvb/systemli_issue139_jvb1x_zero_init.json",
        lines: "
jvb_host_memory_bytes 0
jvb_host_used_memory_bytes 0
jvb_host_cpu_usage_ratio 0
jvb_audiochannels 0
jvb_largest_conference 0
jvb_statistics_timestamp_seconds 1706379145.491",
        absent: "jvb_conference_size_bucket jvb_conference_size_count jvb_unknown",
        unusable: &["conference_sizes"],
    },
    Golden {
        component: Jicofo,
        file: "jicofo/jicofo_exporter_2021_array_p2.json",
        lines: r#"
jicofo_xmpp_service_received_total 2000
jicofo_xmpp_service_sent_total 2000
jicofo_jibris 1
jicofo_jibri_available 1
jicofo_largest_conference 2
jicofo_conference_size_bucket{le="1.0"} 0
jicofo_conference_size_bucket{le="2.0"} 1
jicofo_conference_size_sum 2
jicofo_conferences_created_total 2
jicofo_threads 224
jicofo_jingle_received_total{action="transport-info"} 3
jicofo_jingle_received_total{action="session-accept"} 2
jicofo_jingle_sent_total{action="source-add"} 2
jicofo_allocate_channels_seconds 0.019697896
jicofo_participants_created_total 3
jicofo_bridges 1
jicofo_operational_bridges 1
jicofo_bridges_in_shutdown 0
jicofo_bridges_lost_total 1
jicofo_bridge_selections_total{by="least_loaded"} 1
jicofo_bridges_removed_total 0
jicofo_jibri_sessions_pending{type="recording"} 0
jicofo_conferences 1
jicofo_participants 2
jicofo_slow_health_checks_total 2"#,
        absent: "jicofo_healthy jicofo_xmpp_received_total jicofo_unknown",
        unusable: &[],
    },
    Golden {
        component: Jicofo,
        file: "jicofo/jicofo_exporter_2022_buckets.json",
        lines: r#"
jicofo_jibris 3
jicofo_jibri_available 3
jicofo_healthy 1
jicofo_bridges 3
jicofo_operational_bridges 3
jicofo_bridges_lost_total 6
jicofo_bridge_selections_total{by="not_loaded_in_region_in_conference"} 7
jicofo_bridge_selections_total{by="least_loaded"} 3
jicofo_bridge_splits_total{cause="load"} 5
jicofo_conference_size_bucket{le="+Inf"} 0
jicofo_conference_size_sum 0
jicofo_queue_packets_added_total{queue="jibri-iq-queue"} 4
jicofo_queue_duration_seconds{queue="jibri-iq-queue"} 64686.453447
jicofo_queue_removed_packets_per_second{queue="jibri-iq-queue"} 0.00006183674922412229
jicofo_queue_size_at_remove_bucket{queue="jibri-iq-queue",le="0.0"} 4
jicofo_queue_size_at_remove_bucket{queue="jibri-iq-queue",le="16383.0"} 4
jicofo_queue_size_at_remove_count{queue="jibri-iq-queue"} 4
jicofo_jingle_sent_total{action="source-add"} 28
jicofo_participants_created_total 15"#,
        absent: "jicofo_bridges_removed_total jicofo_unknown",
        unusable: &[],
    },
    Golden {
        component: Jicofo,
        file: "jicofo/systemli_pr1_jicofo_2020-04-15.json",
        lines: r#"
jicofo_largest_conference 10
jicofo_participants_created_total 1337
jicofo_conferences_created_total 1337
jicofo_conference_size_bucket{le="0.0"} 0
jicofo_conference_size_bucket{le="1.0"} 1
jicofo_conference_size_sum 1
jicofo_bridges 0
jicofo_bridge_selections_total{by="least_loaded"} 562
jicofo_jibri_failures_total{type="recording"} 0"#,
        absent: "jicofo_jibris jicofo_healthy jicofo_unknown",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri/pr165_idle_healthy.json",
        lines: r#"
jibri_healthy 1
jibri_available 1
jibri_status{status="idle"} 1
jibri_status{status="busy"} 0
jibri_status{status="expired"} 0"#,
        absent: "jibri_environment_info jibri_unknown",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri/pr165_busy_envcontext.json",
        lines: r#"
jibri_healthy 1
jibri_available 0
jibri_status{status="busy"} 1
jibri_environment_info{environment="lonely"} 1"#,
        absent: "",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri/issue366_docs_legacy_busy.json",
        lines: r#"
jibri_available 0
jibri_status{status="idle"} 0
jibri_status{status="busy"} 1
jibri_status{status="expired"} 0"#,
        absent: "jibri_healthy",
        unusable: &[],
    },
    Golden {
        component: Jibri,
        file: "jibri/exporter_test_expired_unhealthy_nodetails.json",
        lines: r#"
jibri_healthy 0
jibri_available 0
jibri_status{status="expired"} 1
jibri_status{status="idle"} 0"#,
        absent: "",
        unusable: &[],
    },
];
