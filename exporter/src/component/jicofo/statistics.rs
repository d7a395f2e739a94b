//! Keys of `/stats`.

use crate::metric_row::{MetricRow, Read, Scale, boolean, counter, gauge, silent, sizes, text};
use crate::sample::Unit;

const SELECTIONS: &str = "jicofo_bridge_selections_total";
const SPLITS: &str = "jicofo_bridge_splits_total";
const ACTIVE: &str = "jicofo_jibri_sessions_active";
const PENDING: &str = "jicofo_jibri_sessions_pending";
const FAILURES: &str = "jicofo_jibri_failures_total";

pub(super) const ROWS: &[MetricRow] = &[
    text("version", "jicofo_version_info", "version", "Version of Jicofo.").of("1.0-1037"),
    // State
    boolean(
        "healthy",
        "jicofo_healthy",
        "Result of the last health check; absent when health checks are off, 0 when no bridge serves.",
    )
    .of("1.0-880"),
    boolean("health.success", "jicofo_health_success", "Whether the last health check succeeded.")
        .of("2023-02"),
    boolean(
        "health.hardFailure",
        "jicofo_health_hard_failure",
        "Whether the last health check failed for good; absent unless it failed.",
    )
    .of("2023-02"),
    boolean("health.sticky", "jicofo_health_sticky", "Whether a failed health check stays failed.")
        .of("2023-02"),
    gauge(
        "health.responseCode",
        "jicofo_health_response_code",
        "Status code that the health check requests; absent if it requests none.",
    )
    .read_as(Read::Measured(Scale::One))
    .of("2023-02"),
    silent("health.message", Read::Opaque).of("2023-02"),
    counter("slow_health_check", "jicofo_slow_health_checks_total", "Health checks that took too long.")
        .of("2020-04"),
    gauge("threads", "jicofo_threads", "Threads of the Java virtual machine.").of("2020-05"),
    // Conferences
    gauge("conferences", "jicofo_conferences", "Conferences.").of("2019-10"),
    gauge("conferences_with_visitors", "jicofo_conferences_with_visitors", "Conferences that have visitors.")
        .of("1.0-1009"),
    gauge("largest_conference", "jicofo_largest_conference", "Participants of the largest conference.")
        .of("2019-10"),
    gauge(
        "participants",
        "jicofo_participants",
        "Participants, visitors included; an empty room counts as one.",
    )
    .of("1.0-541"),
    gauge("visitors", "jicofo_visitors", "Visitors.").of("1.0-1009"),
    gauge(
        "endpoint_pairs",
        "jicofo_endpoint_pairs",
        "Sum over conferences of the square of their participants.",
    )
    .of("1.0-885"),
    sizes(
        "conference_sizes",
        "jicofo_conference_size",
        "Current conferences, by number of participants. Without a sum while a conference is in the last slot of an array.",
    )
    .of("2019-10; an object since 1.0-885"),
    gauge(
        "conference_sizes.max",
        "jicofo_conference_size_max",
        "Participants of the largest conference, from the conference sizes.",
    )
    .of("1.0-885"),
    gauge("conference_sizes.min", "jicofo_conference_size_min", "Participants of the smallest conference.")
        .of("1.0-885"),
    gauge("conference_sizes.discarded", "jicofo_conference_size_discarded", "Sizes that were out of range.")
        .of("1.0-885"),
    silent("conference_sizes.average", Read::Opaque).of("1.0-885"),
    counter("total_conferences_created", "jicofo_conferences_created_total", "Conferences created.")
        .of("1.0-541"),
    counter("total_participants", "jicofo_participants_created_total", "Participants that joined.")
        .of("1.0-541"),
    counter(
        "total_participants_no_multi_stream",
        "jicofo_participants_without_multi_stream_total",
        "Participants that could not send several streams; until 1.0-1064.",
    )
    .of("2022-07, gone in 1.0-1065"),
    counter(
        "total_participants_no_source_name",
        "jicofo_participants_without_source_names_total",
        "Participants that did not signal source names; until 1.0-1064.",
    )
    .of("2022-07, gone in 1.0-1065"),
    // Trouble
    counter(
        "bridge_failures.participants_moved",
        "jicofo_participants_moved_total",
        "Participants moved off a bridge that failed.",
    )
    .of("1.0-651"),
    counter(
        "bridge_failures.bridges_removed",
        "jicofo_bridges_removed_total",
        "Bridges removed from a conference because they failed.",
    )
    .of("1.0-651, not 1.0-883 to 1.0-1004"),
    counter(
        "participant_notifications.ice_failed",
        "jicofo_participants_ice_failed_total",
        "Participants that reported failed ICE.",
    )
    .of("1.0-654"),
    counter("bridge_failures.ice_failed", "jicofo_participants_ice_failed_total", "")
        .of("1.0-651, gone in 1.0-654"),
    counter(
        "participant_notifications.request_restart",
        "jicofo_participants_restart_requested_total",
        "Participants that requested a restart.",
    )
    .of("1.0-654"),
    counter("bridge_failures.request_restart", "jicofo_participants_restart_requested_total", "")
        .of("1.0-651, gone in 1.0-654"),
    // Bridges
    gauge("bridge_selector.bridge_count", "jicofo_bridges", "Bridges known.").of("1.0-541"),
    gauge(
        "bridge_selector.operational_bridge_count",
        "jicofo_operational_bridges",
        "Bridges that work, those in graceful shutdown included.",
    )
    .of("1.0-541"),
    gauge(
        "bridge_selector.in_shutdown_bridge_count",
        "jicofo_bridges_in_shutdown",
        "Bridges in graceful shutdown.",
    )
    .of("1.0-724"),
    gauge(
        "bridge_selector.bridge_version_count",
        "jicofo_bridge_versions",
        "Different versions among the bridges.",
    )
    .of("1.0-930"),
    counter(
        "bridge_selector.lost_bridges",
        "jicofo_bridges_lost_total",
        "Bridges lost without a graceful shutdown.",
    )
    .of("2021-09"),
    counter("bridge_selector.total_least_loaded", SELECTIONS, "Bridges selected, by how; until 1.0-1119.")
        .with("by", "least_loaded")
        .of("gone in 1.0-1120"),
    counter("bridge_selector.total_least_loaded_in_conference", SELECTIONS, "")
        .with("by", "least_loaded_in_conference")
        .of("gone in 1.0-1120"),
    counter("bridge_selector.total_least_loaded_in_region", SELECTIONS, "")
        .with("by", "least_loaded_in_region")
        .of("gone in 1.0-1120"),
    counter("bridge_selector.total_least_loaded_in_region_in_conference", SELECTIONS, "")
        .with("by", "least_loaded_in_region_in_conference")
        .of("gone in 1.0-1120"),
    counter("bridge_selector.total_least_loaded_in_region_group", SELECTIONS, "")
        .with("by", "least_loaded_in_region_group")
        .of("1.0-858, gone in 1.0-1120"),
    counter("bridge_selector.total_least_loaded_in_region_group_in_conference", SELECTIONS, "")
        .with("by", "least_loaded_in_region_group_in_conference")
        .of("1.0-858, gone in 1.0-1120"),
    counter("bridge_selector.total_not_loaded_in_region", SELECTIONS, "")
        .with("by", "not_loaded_in_region")
        .of("gone in 1.0-1120"),
    counter("bridge_selector.total_not_loaded_in_region_in_conference", SELECTIONS, "")
        .with("by", "not_loaded_in_region_in_conference")
        .of("gone in 1.0-1120"),
    counter("bridge_selector.total_not_loaded_in_region_group", SELECTIONS, "")
        .with("by", "not_loaded_in_region_group")
        .of("1.0-858, gone in 1.0-1120"),
    counter("bridge_selector.total_not_loaded_in_region_group_in_conference", SELECTIONS, "")
        .with("by", "not_loaded_in_region_group_in_conference")
        .of("1.0-858, gone in 1.0-1120"),
    counter(
        "bridge_selector.total_split_due_to_region",
        SPLITS,
        "Conferences spread over bridges, by cause; until 1.0-946.",
    )
    .with("cause", "region")
    .of("gone in 1.0-947"),
    counter("bridge_selector.total_split_due_to_load", SPLITS, "")
        .with("cause", "load")
        .of("gone in 1.0-947"),
    gauge(
        "avg_allocate_channels_req_time_nanos",
        "jicofo_allocate_channels_seconds",
        "Mean time that a bridge took to allocate channels; until 2022.",
    )
    .in_unit(Unit::Seconds, Scale::Nano)
    .of("gone in 2022"),
    silent("pins", Read::Opaque).of("2022-01, gone in 1.0-1102"),
    // Jibri
    gauge(
        "jibri_detector.count",
        "jicofo_jibris",
        "Jibris known; before 1.0-1008 absent when none are configured.",
    )
    .of("1.0-541"),
    gauge(
        "jibri_detector.available",
        "jicofo_jibri_available",
        "Jibris that are healthy and idle by their presence.",
    )
    .of("2020-04"),
    gauge("sip_jibri_detector.count", "jicofo_sip_jibris", "Jibris for SIP known.").of("1.0-541"),
    gauge(
        "sip_jibri_detector.available",
        "jicofo_sip_jibri_available",
        "Jibris for SIP that are healthy and idle by their presence.",
    )
    .of("2020-04"),
    gauge("jibri.recording_active", ACTIVE, "Sessions of Jibris that this Jicofo runs, by type.")
        .with("type", "recording")
        .of("2021-03"),
    gauge("jibri.live_streaming_active", ACTIVE, "").with("type", "live_streaming").of("2021-03"),
    gauge("jibri.sip_call_active", ACTIVE, "").with("type", "sip_call").of("2021-03"),
    gauge(
        "jibri.recording_pending",
        PENDING,
        "Sessions of Jibris that are being started, by type; until 1.0-930.",
    )
    .with("type", "recording")
    .of("2021-03, gone in 1.0-931"),
    gauge("jibri.live_streaming_pending", PENDING, "")
        .with("type", "live_streaming")
        .of("2021-03, gone in 1.0-931"),
    gauge("jibri.sip_call_pending", PENDING, "").with("type", "sip_call").of("2021-03, gone in 1.0-931"),
    counter(
        "jibri.total_recording_failures",
        FAILURES,
        "Sessions of Jibris that failed, by type; until 2020 the keys stood at the top level.",
    )
    .with("type", "recording")
    .of("2020-11"),
    counter("jibri.total_live_streaming_failures", FAILURES, "").with("type", "live_streaming").of("2020-11"),
    counter("jibri.total_sip_call_failures", FAILURES, "").with("type", "sip_call").of("2020-11"),
    counter("total_recording_failures", FAILURES, "").with("type", "recording").of("gone in 2020-11"),
    counter("total_live_streaming_failures", FAILURES, "")
        .with("type", "live_streaming")
        .of("gone in 2020-11"),
    counter("total_sip_call_failures", FAILURES, "").with("type", "sip_call").of("gone in 2020-11"),
    // Jigasi
    gauge("jigasi_detector.sip_count", "jicofo_jigasi_sip_instances", "Jigasis for SIP known."),
    gauge(
        "jigasi_detector.sip_in_graceful_shutdown_count",
        "jicofo_jigasi_sip_instances_in_graceful_shutdown",
        "Jigasis for SIP in graceful shutdown.",
    ),
    gauge(
        "jigasi_detector.transcriber_count",
        "jicofo_jigasi_transcriber_instances",
        "Jigasis for transcription known.",
    ),
    counter(
        "jigasi.rejected_requests",
        "jicofo_jigasi_rejected_requests_total",
        "Requests for a Jigasi that were rejected.",
    )
    .of("2021-05"),
    counter(
        "jigasi.accepted_requests",
        "jicofo_jigasi_accepted_requests_total",
        "Requests for a Jigasi that were accepted.",
    )
    .of("2021-05"),
    counter(
        "jigasi.retries",
        "jicofo_jigasi_retries_total",
        "Requests for a Jigasi that were tried again with another.",
    )
    .of("2021-05"),
    counter("jigasi.instance_errors", "jicofo_jigasi_instance_errors_total", "Errors that Jigasis answered.")
        .of("2021-05"),
    counter(
        "jigasi.instance_timeout",
        "jicofo_jigasi_instance_timeouts_total",
        "Requests that a Jigasi did not answer in time.",
    )
    .of("2021-05"),
    counter(
        "jigasi.requests_failed_no_instance",
        "jicofo_jigasi_requests_without_instance_total",
        "Requests that failed because there was no Jigasi.",
    )
    .of("2021-05"),
    counter(
        "jigasi.requests_failed_xmpp_not_connected",
        "jicofo_jigasi_requests_without_xmpp_total",
        "Requests that failed because XMPP was not connected.",
    )
    .of("2021-05"),
    // Signalling
    counter("jingle.sent.*", "jicofo_jingle_sent_total", "Jingle messages sent, by action.")
        .by("action")
        .of("2021-03"),
    counter("jingle.received.*", "jicofo_jingle_received_total", "Jingle messages received, by action.")
        .by("action")
        .of("2021-03"),
    counter("xmpp.total_recv", "jicofo_xmpp_received_total", "Stanzas received from clients; until 2022.")
        .of("2020-04, gone in 2022-01"),
    counter("xmpp.total_sent", "jicofo_xmpp_sent_total", "Stanzas sent to clients; until 2022.")
        .of("2020-04, gone in 2022-01"),
    counter(
        "xmpp_service.total_recv",
        "jicofo_xmpp_service_received_total",
        "Stanzas received from services; until 2022.",
    )
    .of("2020-04, gone in 2022-01"),
    counter(
        "xmpp_service.total_sent",
        "jicofo_xmpp_service_sent_total",
        "Stanzas sent to services; until 2022.",
    )
    .of("2020-04, gone in 2022-01"),
    // Queues
    counter("queues.*.added_packets", "jicofo_queue_packets_added_total", "Packets put into a queue.")
        .by("queue")
        .of("2021-08"),
    counter("queues.*.removed_packets", "jicofo_queue_packets_removed_total", "Packets taken from a queue.")
        .by("queue")
        .of("2021-08"),
    counter(
        "queues.*.dropped_packets",
        "jicofo_queue_packets_dropped_total",
        "Packets that a queue dropped.",
    )
    .by("queue")
    .of("2021-08"),
    gauge("queues.*.duration_s", "jicofo_queue_duration_seconds", "Time since a queue was first used.")
        .read_as(Read::Measured(Scale::One))
        .in_unit(Unit::Seconds, Scale::One)
        .by("queue")
        .of("2021-08"),
    gauge(
        "queues.*.average_remove_rate_pps",
        "jicofo_queue_removed_packets_per_second",
        "Mean rate at which packets were taken from a queue.",
    )
    .read_as(Read::Measured(Scale::One))
    .in_unit(Unit::PacketsPerSecond, Scale::One)
    .by("queue")
    .of("2021-08"),
    sizes(
        "queues.*.queue_size_at_remove",
        "jicofo_queue_size_at_remove",
        "Packets left in a queue when one was taken.",
    )
    .by("queue")
    .of("2021-08"),
    gauge(
        "queues.*.queue_size_at_remove.max_queue_size_at_remove",
        "jicofo_queue_size_at_remove_max",
        "Most packets left in a queue when one was taken.",
    )
    .by("queue")
    .of("2021-08"),
    gauge(
        "queues.*.queue_size_at_remove.min_queue_size_at_remove",
        "jicofo_queue_size_at_remove_min",
        "Fewest packets left in a queue when one was taken.",
    )
    .by("queue")
    .of("2021-08"),
    gauge(
        "queues.*.queue_size_at_remove.discarded",
        "jicofo_queue_size_at_remove_discarded",
        "Sizes of a queue that were out of range.",
    )
    .by("queue")
    .of("2021-08"),
    silent("queues.*.queue_size_at_remove.average_queue_size_at_remove", Read::Opaque).of("2021-08"),
];
