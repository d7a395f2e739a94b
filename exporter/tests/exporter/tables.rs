//! Compares the tables with the list of all keys that Jitsi has had, and checks the names against the conventions.

use std::collections::{HashMap, HashSet};

use jitsi_exporter::component::Component;
use jitsi_exporter::exposition::own_families;
use jitsi_exporter::sample::{Family, Kind, Unit};

/// Keys of `/colibri/stats`, from 2014 to 2.3-312.
const JVB: &str = "
average_participant_stress bit_rate_download bit_rate_upload conferences current_timestamp drain
dtls_failed_endpoints dtls_failed_relays endpoints endpoints_disconnected endpoints_ice_failed
endpoints_reconnected endpoints_sending_audio endpoints_sending_video endpoints_with_high_outgoing_loss
endpoints_with_spurious_remb endpoints_with_suspended_sources graceful_shutdown healthy
inactive_conferences inactive_endpoints incoming_loss largest_conference local_active_endpoints
local_endpoints muc_clients_configured muc_clients_connected mucs_configured mucs_joined
num_eps_no_msg_transport_after_delay num_eps_oversending num_relays_no_msg_transport_after_delay
octo_conferences octo_endpoints octo_receive_bitrate octo_receive_packet_rate octo_send_bitrate
octo_send_packet_rate outgoing_loss overall_loss p2p_conferences packet_rate_download packet_rate_upload
participants preemptive_kfr_sent preemptive_kfr_suppressed receive_only_endpoints region relay_id
relays_ice_failed release rtt_aggregate shutting_down stress_level tcc_unmatched_feedback threads
total_bytes_received total_bytes_received_octo total_bytes_sent total_bytes_sent_octo
total_colibri_web_socket_messages_received total_colibri_web_socket_messages_sent
total_conference_seconds total_conferences_completed total_conferences_created
total_data_channel_messages_received total_data_channel_messages_sent total_dominant_speaker_changes
total_ice_failed total_ice_succeeded total_ice_succeeded_relayed total_keyframes_received
total_layering_changes_received total_packets_received total_packets_received_octo total_packets_sent
total_packets_sent_octo total_participants total_relays total_video_stream_milliseconds_received
total_visitors version visitors
aimd_bwe_expirations audiochannels colibri2 conference_sizes conferences_by_audio_senders
conferences_by_video_senders cpu_usage jitter_aggregate loss_rate_download loss_rate_upload muc_clients
octo_version rtp_loss tossedPacketsEnergy total_aimd_bwe_expirations total_channels total_conferences
total_failed_conferences total_ice_succeeded_tcp total_loss_controlled_participant_seconds
total_loss_degraded_participant_seconds total_loss_limited_participant_seconds total_memory
total_no_payload_channels total_no_transport_channels total_packets_dropped_octo
total_partially_failed_conferences total_tcp_connections total_udp_connections used_memory videochannels
videostreams";

/// Keys of Jicofo's `/stats`, from 2019 to 1.0-1196.
const JICOFO: &str = "
conferences largest_conference conference_sizes participants total_participants total_conferences_created
endpoint_pairs conferences_with_visitors visitors bridge_failures.participants_moved
bridge_failures.bridges_removed bridge_failures.ice_failed bridge_failures.request_restart
participant_notifications.ice_failed participant_notifications.request_restart
bridge_selector.bridge_count bridge_selector.operational_bridge_count
bridge_selector.in_shutdown_bridge_count bridge_selector.lost_bridges bridge_selector.bridge_version_count
bridge_selector.total_least_loaded bridge_selector.total_least_loaded_in_conference
bridge_selector.total_least_loaded_in_region bridge_selector.total_least_loaded_in_region_in_conference
bridge_selector.total_not_loaded_in_region bridge_selector.total_not_loaded_in_region_in_conference
bridge_selector.total_least_loaded_in_region_group
bridge_selector.total_least_loaded_in_region_group_in_conference
bridge_selector.total_not_loaded_in_region_group
bridge_selector.total_not_loaded_in_region_group_in_conference
bridge_selector.total_split_due_to_region bridge_selector.total_split_due_to_load
jibri_detector.count jibri_detector.available sip_jibri_detector.count sip_jibri_detector.available
jibri.recording_active jibri.live_streaming_active jibri.sip_call_active jibri.recording_pending
jibri.live_streaming_pending jibri.sip_call_pending jibri.total_recording_failures
jibri.total_live_streaming_failures jibri.total_sip_call_failures total_recording_failures
total_live_streaming_failures total_sip_call_failures jigasi_detector.sip_count
jigasi_detector.sip_in_graceful_shutdown_count jigasi_detector.transcriber_count
jigasi.rejected_requests jigasi.accepted_requests jigasi.retries jigasi.instance_errors
jigasi.instance_timeout jigasi.requests_failed_no_instance jigasi.requests_failed_xmpp_not_connected
jingle.sent.* jingle.received.* queues.*.added_packets queues.*.removed_packets queues.*.dropped_packets
queues.*.duration_s queues.*.average_remove_rate_pps queues.*.queue_size_at_remove threads
slow_health_check healthy health.success health.hardFailure health.responseCode health.sticky
health.message version xmpp.total_recv xmpp.total_sent xmpp_service.total_recv xmpp_service.total_sent
avg_allocate_channels_req_time_nanos total_participants_no_multi_stream total_participants_no_source_name
pins";

/// Keys of Jibri's health, from 2017 to 8.0-199.
const JIBRI: &str = "
status.busyStatus status.health.healthStatus status.health.details.*.healthStatus
status.health.details.*.detail environmentContext.name busy health recording XMPPConnected environment";

/// Names that dashboards, rules and the scaler use.
const PROMISED: &[(Component, &str)] = &[
    (
        Component::Jvb,
        "jvb_up jvb_healthy jvb_stress_ratio jvb_conferences jvb_participants jvb_local_endpoints jvb_draining jvb_graceful_shutdown jvb_shutting_down jvb_bytes_sent_total jvb_bytes_received_total jvb_outgoing_bits_per_second jvb_incoming_bits_per_second jvb_unknown",
    ),
    (
        Component::Jicofo,
        "jicofo_up jicofo_healthy jicofo_jibri_available jicofo_jibris jicofo_bridges jicofo_operational_bridges jicofo_unknown",
    ),
    (Component::Jibri, "jibri_up jibri_healthy jibri_available jibri_status jibri_unknown"),
];

fn families(component: Component) -> Vec<Family> {
    own_families(component).into_iter().chain(component.table().families().iter().cloned()).collect()
}

#[test]
fn every_key_of_every_version_has_a_row() {
    for (component, keys) in [(Component::Jvb, JVB), (Component::Jicofo, JICOFO), (Component::Jibri, JIBRI)] {
        let rows: HashSet<&str> = component.table().rows().map(|row| row.key).collect();
        for key in keys.split_whitespace() {
            assert!(rows.contains(key), "{component} has no row for {key}");
        }
    }
}

#[test]
fn the_promised_names_are_there() {
    for (component, promised) in PROMISED {
        let names: HashSet<&str> = families(*component).iter().map(|family| family.name).collect();
        for name in promised.split_whitespace() {
            assert!(names.contains(name), "{component} has no {name}");
        }
    }
}

#[test]
fn names_follow_the_conventions() {
    let mut known = HashMap::new();
    for (component, family) in
        Component::ALL.into_iter().flat_map(|c| families(c).into_iter().map(move |f| (c, f)))
    {
        let name = family.name;
        assert!(name.starts_with(&format!("{component}_")), "{name} has no prefix");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name} is a {:?}", family.kind);
        assert_eq!(name.ends_with("_info"), family.kind == Kind::Info, "{name} is a {:?}", family.kind);
        for suffix in ["_bucket", "_sum", "_count", "_created"] {
            assert!(!name.ends_with(suffix), "{name} looks like a part of another family");
        }
        let named_unit =
            Unit::ALL.into_iter().find(|unit| family.base_name().ends_with(&format!("_{}", unit.as_str())));
        assert_eq!(family.unit, named_unit, "{name} is not in the unit that it names");
        let help = &family.help;
        assert!(help.len() > 10 && help.ends_with('.') && !help.contains(['\n', '\\']), "{name}: {help:?}");
        // OpenMetrics drops suffixes: the names must differ without them too.
        assert_eq!(known.insert(family.base_name(), name), None, "{name} is the name of two families");
    }
}

#[test]
fn rows_of_one_family_agree() {
    for component in Component::ALL {
        let mut kinds = HashMap::new();
        for row in component.table().rows().filter(|row| !row.name.is_empty()) {
            let kind = (row.kind, row.unit, row.label, row.fixed.map(|(name, _)| name));
            assert_eq!(*kinds.entry(row.name).or_insert(kind), kind, "{} of {}", row.key, row.name);
        }
    }
}

#[test]
fn help_names_the_key() {
    for component in Component::ALL {
        for row in component.table().rows().filter(|row| !row.name.is_empty()) {
            let families = component.table().families();
            let family =
                families.iter().find(|family| family.name == row.name).expect("a family for every row");
            assert!(
                family.help.contains(row.key),
                "HELP of {} does not name {}: {}",
                row.name,
                row.key,
                family.help
            );
        }
    }
}
