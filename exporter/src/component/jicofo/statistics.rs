//! Keys of `/stats`.

use crate::metric_row::Scale::{Nano, One};
use crate::metric_row::{MetricRow, Read, boolean, counter, gauge, rows, silent, sizes, text};
use crate::sample::Unit::{PacketsPerSecond, Seconds};

const SELECTIONS: &str = "jicofo_bridge_selections_total";
const SPLITS: &str = "jicofo_bridge_splits_total";
const ACTIVE: &str = "jicofo_jibri_sessions_active";
const PENDING: &str = "jicofo_jibri_sessions_pending";
const FAILURES: &str = "jicofo_jibri_failures_total";

pub(super) const ROWS: &[MetricRow] = rows! {
    /// Version of Jicofo.
    text "version" => "jicofo_version_info", of("1.0-1037");
    // State
    /// Result of the last health check; absent when health checks are off, 0 when no bridge serves.
    boolean "healthy" => "jicofo_healthy", of("1.0-880");
    /// Whether the last health check succeeded.
    boolean "health.success" => "jicofo_health_success", of("2023-02");
    /// Whether the last health check failed for good; absent unless it failed.
    boolean "health.hardFailure" => "jicofo_health_hard_failure", of("2023-02");
    /// Whether a failed health check stays failed.
    boolean "health.sticky" => "jicofo_health_sticky", of("2023-02");
    /// Status code that the health check requests; absent if it requests none.
    gauge "health.responseCode" => "jicofo_health_response_code", read_as(Read::Measured(One)), of("2023-02");
    silent "health.message" => "", of("2023-02");
    /// Health checks that took too long.
    counter "slow_health_check" => "jicofo_slow_health_checks_total", of("2020-04");
    /// Threads of the Java virtual machine.
    gauge "threads" => "jicofo_threads", of("2020-05");
    // Conferences
    /// Conferences.
    gauge "conferences" => "jicofo_conferences", of("2019-10");
    /// Conferences that have visitors.
    gauge "conferences_with_visitors" => "jicofo_conferences_with_visitors", of("1.0-1009");
    /// Participants of the largest conference.
    gauge "largest_conference" => "jicofo_largest_conference", of("2019-10");
    /// Participants, visitors included; an empty room counts as one.
    gauge "participants" => "jicofo_participants", of("1.0-541");
    /// Visitors.
    gauge "visitors" => "jicofo_visitors", of("1.0-1009");
    /// Sum over conferences of the square of their participants.
    gauge "endpoint_pairs" => "jicofo_endpoint_pairs", of("1.0-885");
    /// Current conferences, by number of participants. Without a sum while a conference is in the last slot of an
    /// array.
    sizes "conference_sizes" => "jicofo_conference_size", of("2019-10; an object since 1.0-885");
    /// Participants of the largest conference, from the conference sizes.
    gauge "conference_sizes.max" => "jicofo_conference_size_max", of("1.0-885");
    /// Participants of the smallest conference.
    gauge "conference_sizes.min" => "jicofo_conference_size_min", of("1.0-885");
    /// Sizes that were out of range.
    gauge "conference_sizes.discarded" => "jicofo_conference_size_discarded", of("1.0-885");
    silent "conference_sizes.average" => "", of("1.0-885");
    /// Conferences created.
    counter "total_conferences_created" => "jicofo_conferences_created_total", of("1.0-541");
    /// Participants that joined.
    counter "total_participants" => "jicofo_participants_created_total", of("1.0-541");
    /// Participants that could not send several streams; until 1.0-1064.
    counter "total_participants_no_multi_stream" => "jicofo_participants_without_multi_stream_total",
        of("2022-07, gone in 1.0-1065");
    /// Participants that did not signal source names; until 1.0-1064.
    counter "total_participants_no_source_name" => "jicofo_participants_without_source_names_total",
        of("2022-07, gone in 1.0-1065");
    // Trouble
    /// Participants moved off a bridge that failed.
    counter "bridge_failures.participants_moved" => "jicofo_participants_moved_total", of("1.0-651");
    /// Bridges removed from a conference because they failed.
    counter "bridge_failures.bridges_removed" => "jicofo_bridges_removed_total",
        of("1.0-651, not 1.0-883 to 1.0-1004");
    /// Participants that reported failed ICE.
    counter "participant_notifications.ice_failed" => "jicofo_participants_ice_failed_total", of("1.0-654");
    counter "bridge_failures.ice_failed" => "jicofo_participants_ice_failed_total", of("1.0-651, gone in 1.0-654");
    /// Participants that requested a restart.
    counter "participant_notifications.request_restart" => "jicofo_participants_restart_requested_total",
        of("1.0-654");
    counter "bridge_failures.request_restart" => "jicofo_participants_restart_requested_total",
        of("1.0-651, gone in 1.0-654");
    // Bridges
    /// Bridges known.
    gauge "bridge_selector.bridge_count" => "jicofo_bridges", of("1.0-541");
    /// Bridges that work, those in graceful shutdown included.
    gauge "bridge_selector.operational_bridge_count" => "jicofo_operational_bridges", of("1.0-541");
    /// Bridges in graceful shutdown.
    gauge "bridge_selector.in_shutdown_bridge_count" => "jicofo_bridges_in_shutdown", of("1.0-724");
    /// Different versions among the bridges.
    gauge "bridge_selector.bridge_version_count" => "jicofo_bridge_versions", of("1.0-930");
    /// Bridges lost without a graceful shutdown.
    counter "bridge_selector.lost_bridges" => "jicofo_bridges_lost_total", of("2021-09");
    /// Bridges selected, by how; until 1.0-1119.
    counter "bridge_selector.total_least_loaded" => SELECTIONS, with("by", "least_loaded"), of("gone in 1.0-1120");
    counter "bridge_selector.total_least_loaded_in_conference" => SELECTIONS,
        with("by", "least_loaded_in_conference"), of("gone in 1.0-1120");
    counter "bridge_selector.total_least_loaded_in_region" => SELECTIONS, with("by", "least_loaded_in_region"),
        of("gone in 1.0-1120");
    counter "bridge_selector.total_least_loaded_in_region_in_conference" => SELECTIONS,
        with("by", "least_loaded_in_region_in_conference"), of("gone in 1.0-1120");
    counter "bridge_selector.total_least_loaded_in_region_group" => SELECTIONS,
        with("by", "least_loaded_in_region_group"), of("1.0-858, gone in 1.0-1120");
    counter "bridge_selector.total_least_loaded_in_region_group_in_conference" => SELECTIONS,
        with("by", "least_loaded_in_region_group_in_conference"), of("1.0-858, gone in 1.0-1120");
    counter "bridge_selector.total_not_loaded_in_region" => SELECTIONS, with("by", "not_loaded_in_region"),
        of("gone in 1.0-1120");
    counter "bridge_selector.total_not_loaded_in_region_in_conference" => SELECTIONS,
        with("by", "not_loaded_in_region_in_conference"), of("gone in 1.0-1120");
    counter "bridge_selector.total_not_loaded_in_region_group" => SELECTIONS,
        with("by", "not_loaded_in_region_group"), of("1.0-858, gone in 1.0-1120");
    counter "bridge_selector.total_not_loaded_in_region_group_in_conference" => SELECTIONS,
        with("by", "not_loaded_in_region_group_in_conference"), of("1.0-858, gone in 1.0-1120");
    /// Conferences spread over bridges, by cause; until 1.0-946.
    counter "bridge_selector.total_split_due_to_region" => SPLITS, with("cause", "region"), of("gone in 1.0-947");
    counter "bridge_selector.total_split_due_to_load" => SPLITS, with("cause", "load"), of("gone in 1.0-947");
    /// Mean time that a bridge took to allocate channels; until 2022.
    gauge "avg_allocate_channels_req_time_nanos" => "jicofo_allocate_channels_seconds", in_unit(Seconds, Nano),
        of("gone in 2022");
    silent "pins" => "", of("2022-01, gone in 1.0-1102");
    // Jibri
    /// Jibris known; before 1.0-1008 absent when none are configured.
    gauge "jibri_detector.count" => "jicofo_jibris", of("1.0-541");
    /// Jibris that are healthy and idle by their presence.
    gauge "jibri_detector.available" => "jicofo_jibri_available", of("2020-04");
    /// Jibris for SIP known.
    gauge "sip_jibri_detector.count" => "jicofo_sip_jibris", of("1.0-541");
    /// Jibris for SIP that are healthy and idle by their presence.
    gauge "sip_jibri_detector.available" => "jicofo_sip_jibri_available", of("2020-04");
    /// Sessions of Jibris that this Jicofo runs, by type.
    gauge "jibri.recording_active" => ACTIVE, with("type", "recording"), of("2021-03");
    gauge "jibri.live_streaming_active" => ACTIVE, with("type", "live_streaming"), of("2021-03");
    gauge "jibri.sip_call_active" => ACTIVE, with("type", "sip_call"), of("2021-03");
    /// Sessions of Jibris that are being started, by type; until 1.0-930.
    gauge "jibri.recording_pending" => PENDING, with("type", "recording"), of("2021-03, gone in 1.0-931");
    gauge "jibri.live_streaming_pending" => PENDING, with("type", "live_streaming"), of("2021-03, gone in 1.0-931");
    gauge "jibri.sip_call_pending" => PENDING, with("type", "sip_call"), of("2021-03, gone in 1.0-931");
    /// Sessions of Jibris that failed, by type; until 2020 the keys stood at the top level.
    counter "jibri.total_recording_failures" => FAILURES, with("type", "recording"), of("2020-11");
    counter "jibri.total_live_streaming_failures" => FAILURES, with("type", "live_streaming"), of("2020-11");
    counter "jibri.total_sip_call_failures" => FAILURES, with("type", "sip_call"), of("2020-11");
    counter "total_recording_failures" => FAILURES, with("type", "recording"), of("gone in 2020-11");
    counter "total_live_streaming_failures" => FAILURES, with("type", "live_streaming"), of("gone in 2020-11");
    counter "total_sip_call_failures" => FAILURES, with("type", "sip_call"), of("gone in 2020-11");
    // Jigasi
    /// Jigasis for SIP known.
    gauge "jigasi_detector.sip_count" => "jicofo_jigasi_sip_instances";
    /// Jigasis for SIP in graceful shutdown.
    gauge "jigasi_detector.sip_in_graceful_shutdown_count" => "jicofo_jigasi_sip_instances_in_graceful_shutdown";
    /// Jigasis for transcription known.
    gauge "jigasi_detector.transcriber_count" => "jicofo_jigasi_transcriber_instances";
    /// Requests for a Jigasi that were rejected.
    counter "jigasi.rejected_requests" => "jicofo_jigasi_rejected_requests_total", of("2021-05");
    /// Requests for a Jigasi that were accepted.
    counter "jigasi.accepted_requests" => "jicofo_jigasi_accepted_requests_total", of("2021-05");
    /// Requests for a Jigasi that were tried again with another.
    counter "jigasi.retries" => "jicofo_jigasi_retries_total", of("2021-05");
    /// Errors that Jigasis answered.
    counter "jigasi.instance_errors" => "jicofo_jigasi_instance_errors_total", of("2021-05");
    /// Requests that a Jigasi did not answer in time.
    counter "jigasi.instance_timeout" => "jicofo_jigasi_instance_timeouts_total", of("2021-05");
    /// Requests that failed because there was no Jigasi.
    counter "jigasi.requests_failed_no_instance" => "jicofo_jigasi_requests_without_instance_total", of("2021-05");
    /// Requests that failed because XMPP was not connected.
    counter "jigasi.requests_failed_xmpp_not_connected" => "jicofo_jigasi_requests_without_xmpp_total", of("2021-05");
    // Signalling
    /// Jingle messages sent, by action.
    counter "jingle.sent.*" => "jicofo_jingle_sent_total", by("action"), of("2021-03");
    /// Jingle messages received, by action.
    counter "jingle.received.*" => "jicofo_jingle_received_total", by("action"), of("2021-03");
    /// Stanzas received from clients; until 2022.
    counter "xmpp.total_recv" => "jicofo_xmpp_received_total", of("2020-04, gone in 2022-01");
    /// Stanzas sent to clients; until 2022.
    counter "xmpp.total_sent" => "jicofo_xmpp_sent_total", of("2020-04, gone in 2022-01");
    /// Stanzas received from services; until 2022.
    counter "xmpp_service.total_recv" => "jicofo_xmpp_service_received_total", of("2020-04, gone in 2022-01");
    /// Stanzas sent to services; until 2022.
    counter "xmpp_service.total_sent" => "jicofo_xmpp_service_sent_total", of("2020-04, gone in 2022-01");
    // Queues
    /// Packets put into a queue.
    counter "queues.*.added_packets" => "jicofo_queue_packets_added_total", by("queue"), of("2021-08");
    /// Packets taken from a queue.
    counter "queues.*.removed_packets" => "jicofo_queue_packets_removed_total", by("queue"), of("2021-08");
    /// Packets that a queue dropped.
    counter "queues.*.dropped_packets" => "jicofo_queue_packets_dropped_total", by("queue"), of("2021-08");
    /// Time since a queue was first used.
    gauge "queues.*.duration_s" => "jicofo_queue_duration_seconds", read_as(Read::Measured(One)),
        in_unit(Seconds, One), by("queue"), of("2021-08");
    /// Mean rate at which packets were taken from a queue.
    gauge "queues.*.average_remove_rate_pps" => "jicofo_queue_removed_packets_per_second",
        read_as(Read::Measured(One)), in_unit(PacketsPerSecond, One), by("queue"), of("2021-08");
    /// Packets left in a queue when one was taken.
    sizes "queues.*.queue_size_at_remove" => "jicofo_queue_size_at_remove", by("queue"), of("2021-08");
    /// Most packets left in a queue when one was taken.
    gauge "queues.*.queue_size_at_remove.max_queue_size_at_remove" => "jicofo_queue_size_at_remove_max", by("queue"),
        of("2021-08");
    /// Fewest packets left in a queue when one was taken.
    gauge "queues.*.queue_size_at_remove.min_queue_size_at_remove" => "jicofo_queue_size_at_remove_min", by("queue"),
        of("2021-08");
    /// Sizes of a queue that were out of range.
    gauge "queues.*.queue_size_at_remove.discarded" => "jicofo_queue_size_at_remove_discarded", by("queue"),
        of("2021-08");
    silent "queues.*.queue_size_at_remove.average_queue_size_at_remove" => "", of("2021-08");
};
