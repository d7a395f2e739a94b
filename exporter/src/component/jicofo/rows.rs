//! The table of Jicofo.

use crate::row::{Read, Row, Scale, boolean, counter, gauge, silent, sizes, text};
use crate::sample::Unit;

const SELECTIONS: &str = "jicofo_bridge_selections_total";
const SPLITS: &str = "jicofo_bridge_splits_total";
const ACTIVE: &str = "jicofo_jibri_sessions_active";
const PENDING: &str = "jicofo_jibri_sessions_pending";
const FAILURES: &str = "jicofo_jibri_failures_total";

pub(super) const ROWS: &[Row] = &[
    text("version", "jicofo_version_info", "version", "Version of Jicofo."),
    // State
    boolean(
        "healthy",
        "jicofo_healthy",
        "Result of the last health check; absent when health checks are off, 0 when no bridge serves.",
    ),
    boolean("health.success", "jicofo_health_success", "Whether the last health check succeeded."),
    boolean(
        "health.hardFailure",
        "jicofo_health_hard_failure",
        "Whether the last health check failed for good.",
    ),
    boolean("health.sticky", "jicofo_health_sticky", "Whether a failed health check stays failed."),
    gauge(
        "health.responseCode",
        "jicofo_health_response_code",
        "Status that the health check asks for; absent when it asks for none.",
    )
    .read_as(Read::Measured(Scale::One)),
    silent("health.message", Read::Opaque),
    counter("slow_health_check", "jicofo_slow_health_checks_total", "Health checks that took too long."),
    gauge("threads", "jicofo_threads", "Threads of the Java virtual machine."),
    // Conferences
    gauge("conferences", "jicofo_conferences", "Conferences."),
    gauge("conferences_with_visitors", "jicofo_conferences_with_visitors", "Conferences that have visitors."),
    gauge("largest_conference", "jicofo_largest_conference", "Participants of the largest conference."),
    gauge(
        "participants",
        "jicofo_participants",
        "Participants, visitors included; an empty room counts as one.",
    ),
    gauge("visitors", "jicofo_visitors", "Visitors."),
    gauge(
        "endpoint_pairs",
        "jicofo_endpoint_pairs",
        "Sum over conferences of the square of their participants.",
    ),
    sizes(
        "conference_sizes",
        "jicofo_conference_size",
        "Conferences that there are now, by participants. No sum while an array has one in its last slot.",
    ),
    gauge(
        "conference_sizes.max",
        "jicofo_conference_size_max",
        "Participants of the largest conference, as its statistics have it.",
    ),
    gauge("conference_sizes.min", "jicofo_conference_size_min", "Participants of the smallest conference."),
    gauge("conference_sizes.discarded", "jicofo_conference_size_discarded", "Sizes that were out of range."),
    silent("conference_sizes.average", Read::Opaque),
    counter("total_conferences_created", "jicofo_conferences_created_total", "Conferences created."),
    counter("total_participants", "jicofo_participants_created_total", "Participants that joined."),
    counter(
        "total_participants_no_multi_stream",
        "jicofo_participants_without_multi_stream_total",
        "Participants that could not send several streams; until 1.0-1064.",
    ),
    counter(
        "total_participants_no_source_name",
        "jicofo_participants_without_source_names_total",
        "Participants that did not signal source names; until 1.0-1064.",
    ),
    // Trouble
    counter(
        "bridge_failures.participants_moved",
        "jicofo_participants_moved_total",
        "Participants moved off a bridge that failed.",
    ),
    counter(
        "bridge_failures.bridges_removed",
        "jicofo_bridges_removed_total",
        "Bridges removed from a conference because they failed.",
    ),
    counter(
        "participant_notifications.ice_failed",
        "jicofo_participants_ice_failed_total",
        "Participants that reported failed ICE.",
    ),
    counter("bridge_failures.ice_failed", "jicofo_participants_ice_failed_total", ""),
    counter(
        "participant_notifications.request_restart",
        "jicofo_participants_restart_requested_total",
        "Participants that asked for a restart.",
    ),
    counter("bridge_failures.request_restart", "jicofo_participants_restart_requested_total", ""),
    // Bridges
    gauge("bridge_selector.bridge_count", "jicofo_bridges", "Bridges known."),
    gauge(
        "bridge_selector.operational_bridge_count",
        "jicofo_operational_bridges",
        "Bridges that work, those in graceful shutdown included.",
    ),
    gauge(
        "bridge_selector.in_shutdown_bridge_count",
        "jicofo_bridges_in_shutdown",
        "Bridges in graceful shutdown.",
    ),
    gauge(
        "bridge_selector.bridge_version_count",
        "jicofo_bridge_versions",
        "Different versions among the bridges.",
    ),
    counter(
        "bridge_selector.lost_bridges",
        "jicofo_bridges_lost_total",
        "Bridges that went without a graceful shutdown.",
    ),
    counter("bridge_selector.total_least_loaded", SELECTIONS, "Bridges selected, by how; until 1.0-1119.")
        .with("by", "least_loaded"),
    counter("bridge_selector.total_least_loaded_in_conference", SELECTIONS, "")
        .with("by", "least_loaded_in_conference"),
    counter("bridge_selector.total_least_loaded_in_region", SELECTIONS, "")
        .with("by", "least_loaded_in_region"),
    counter("bridge_selector.total_least_loaded_in_region_in_conference", SELECTIONS, "")
        .with("by", "least_loaded_in_region_in_conference"),
    counter("bridge_selector.total_least_loaded_in_region_group", SELECTIONS, "")
        .with("by", "least_loaded_in_region_group"),
    counter("bridge_selector.total_least_loaded_in_region_group_in_conference", SELECTIONS, "")
        .with("by", "least_loaded_in_region_group_in_conference"),
    counter("bridge_selector.total_not_loaded_in_region", SELECTIONS, "").with("by", "not_loaded_in_region"),
    counter("bridge_selector.total_not_loaded_in_region_in_conference", SELECTIONS, "")
        .with("by", "not_loaded_in_region_in_conference"),
    counter("bridge_selector.total_not_loaded_in_region_group", SELECTIONS, "")
        .with("by", "not_loaded_in_region_group"),
    counter("bridge_selector.total_not_loaded_in_region_group_in_conference", SELECTIONS, "")
        .with("by", "not_loaded_in_region_group_in_conference"),
    counter(
        "bridge_selector.total_split_due_to_region",
        SPLITS,
        "Conferences spread over bridges, by cause; until 1.0-946.",
    )
    .with("cause", "region"),
    counter("bridge_selector.total_split_due_to_load", SPLITS, "").with("cause", "load"),
    gauge(
        "avg_allocate_channels_req_time_nanos",
        "jicofo_allocate_channels_seconds",
        "Mean time that a bridge took to allocate channels; until 2022.",
    )
    .in_unit(Unit::Seconds, Scale::Nano),
    silent("pins", Read::Opaque),
    // Jibri
    gauge(
        "jibri_detector.count",
        "jicofo_jibris",
        "Jibris known; before 1.0-1008 absent when none are configured.",
    ),
    gauge(
        "jibri_detector.available",
        "jicofo_jibri_available",
        "Jibris that are healthy and idle by their presence.",
    ),
    gauge("sip_jibri_detector.count", "jicofo_sip_jibris", "Jibris for SIP known."),
    gauge(
        "sip_jibri_detector.available",
        "jicofo_sip_jibri_available",
        "Jibris for SIP that are healthy and idle by their presence.",
    ),
    gauge("jibri.recording_active", ACTIVE, "Sessions of Jibris that this Jicofo runs, by type.")
        .with("type", "recording"),
    gauge("jibri.live_streaming_active", ACTIVE, "").with("type", "live_streaming"),
    gauge("jibri.sip_call_active", ACTIVE, "").with("type", "sip_call"),
    gauge(
        "jibri.recording_pending",
        PENDING,
        "Sessions of Jibris that are being started, by type; until 1.0-930.",
    )
    .with("type", "recording"),
    gauge("jibri.live_streaming_pending", PENDING, "").with("type", "live_streaming"),
    gauge("jibri.sip_call_pending", PENDING, "").with("type", "sip_call"),
    counter(
        "jibri.total_recording_failures",
        FAILURES,
        "Sessions of Jibris that failed, by type; until 2020 the keys stood at the top level.",
    )
    .with("type", "recording"),
    counter("jibri.total_live_streaming_failures", FAILURES, "").with("type", "live_streaming"),
    counter("jibri.total_sip_call_failures", FAILURES, "").with("type", "sip_call"),
    counter("total_recording_failures", FAILURES, "").with("type", "recording"),
    counter("total_live_streaming_failures", FAILURES, "").with("type", "live_streaming"),
    counter("total_sip_call_failures", FAILURES, "").with("type", "sip_call"),
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
    ),
    counter(
        "jigasi.accepted_requests",
        "jicofo_jigasi_accepted_requests_total",
        "Requests for a Jigasi that were accepted.",
    ),
    counter(
        "jigasi.retries",
        "jicofo_jigasi_retries_total",
        "Requests for a Jigasi that were tried again with another.",
    ),
    counter("jigasi.instance_errors", "jicofo_jigasi_instance_errors_total", "Errors that Jigasis answered."),
    counter(
        "jigasi.instance_timeout",
        "jicofo_jigasi_instance_timeouts_total",
        "Requests that a Jigasi did not answer in time.",
    ),
    counter(
        "jigasi.requests_failed_no_instance",
        "jicofo_jigasi_requests_without_instance_total",
        "Requests that failed because there was no Jigasi.",
    ),
    counter(
        "jigasi.requests_failed_xmpp_not_connected",
        "jicofo_jigasi_requests_without_xmpp_total",
        "Requests that failed because XMPP was not connected.",
    ),
    // Signalling
    counter("jingle.sent.*", "jicofo_jingle_sent_total", "Jingle messages sent, by action.").by("action"),
    counter("jingle.received.*", "jicofo_jingle_received_total", "Jingle messages received, by action.")
        .by("action"),
    counter("xmpp.total_recv", "jicofo_xmpp_received_total", "Stanzas received from clients; until 2022."),
    counter("xmpp.total_sent", "jicofo_xmpp_sent_total", "Stanzas sent to clients; until 2022."),
    counter(
        "xmpp_service.total_recv",
        "jicofo_xmpp_service_received_total",
        "Stanzas received from services; until 2022.",
    ),
    counter(
        "xmpp_service.total_sent",
        "jicofo_xmpp_service_sent_total",
        "Stanzas sent to services; until 2022.",
    ),
    // Queues
    counter("queues.*.added_packets", "jicofo_queue_packets_added_total", "Packets put into a queue.")
        .by("queue"),
    counter("queues.*.removed_packets", "jicofo_queue_packets_removed_total", "Packets taken from a queue.")
        .by("queue"),
    counter(
        "queues.*.dropped_packets",
        "jicofo_queue_packets_dropped_total",
        "Packets that a queue dropped.",
    )
    .by("queue"),
    gauge("queues.*.duration_s", "jicofo_queue_duration_seconds", "Time since a queue was first used.")
        .read_as(Read::Measured(Scale::One))
        .in_unit(Unit::Seconds, Scale::One)
        .by("queue"),
    gauge(
        "queues.*.average_remove_rate_pps",
        "jicofo_queue_removed_packets_per_second",
        "Mean rate at which packets were taken from a queue.",
    )
    .read_as(Read::Measured(Scale::One))
    .in_unit(Unit::PacketsPerSecond, Scale::One)
    .by("queue"),
    sizes(
        "queues.*.queue_size_at_remove",
        "jicofo_queue_size_at_remove",
        "Packets left in a queue when one was taken.",
    )
    .by("queue"),
    gauge(
        "queues.*.queue_size_at_remove.max_queue_size_at_remove",
        "jicofo_queue_size_at_remove_max",
        "Most packets left in a queue when one was taken.",
    )
    .by("queue"),
    gauge(
        "queues.*.queue_size_at_remove.min_queue_size_at_remove",
        "jicofo_queue_size_at_remove_min",
        "Fewest packets left in a queue when one was taken.",
    )
    .by("queue"),
    gauge(
        "queues.*.queue_size_at_remove.discarded",
        "jicofo_queue_size_at_remove_discarded",
        "Sizes of a queue that were out of range.",
    )
    .by("queue"),
    silent("queues.*.queue_size_at_remove.average_queue_size_at_remove", Read::Opaque),
];
