//! Metrics that only Jicofo's own `/metrics` has. Metrics that the statistics have too are not used: `healthy`, for
//! example, exists even if health checks are off.

use crate::metric_row::{MetricRow, Scale, boolean, counter, gauge};
use crate::sample::Unit;

/// Jicofo's label for the name of a bridge in its room, and ours.
const THEIRS: &str = "jvb";
const OURS: &str = "bridge";

pub(super) const ROWS: &[MetricRow] = &[
    counter(
        "",
        "jicofo_jibri_no_instance_failures_total",
        "Sessions that failed because no Jibri was there or all were busy.",
    )
    .native("jibri_no_instance_failures_total")
    .of("1.0-1196"),
    gauge("", "jicofo_bridge_endpoints", "Endpoints on a bridge.").native_by(
        "bridge_endpoints",
        THEIRS,
        OURS,
    ),
    boolean("", "jicofo_bridge_failing_ice", "Whether Jicofo considers a bridge to be failing ICE.")
        .native_by("bridge_failing_ice", THEIRS, OURS),
    counter("", "jicofo_bridge_restart_requests_total", "Requests of endpoints on a bridge for a restart.")
        .native_by("bridge_restart_requests_total", THEIRS, OURS),
    counter(
        "",
        "jicofo_bridge_endpoints_moved_total",
        "Endpoints moved off a bridge to spread the load, by bridge.",
    )
    .native_by("bridge_endpoints_moved_total", THEIRS, OURS),
    counter("", "jicofo_load_redistributor_endpoints_moved_total", "Endpoints moved to spread the load.")
        .native("load_redistributor_endpoints_moved_total"),
    counter("", "jicofo_bridge_selection_rate_limited_total", "Bridge selections delayed by a rate limit.")
        .native("bridge_selection_rate_limited_total"),
    counter("", "jicofo_conference_requests_total", "Requests for a conference.")
        .native("conference_requests_total"),
    counter("", "jicofo_conference_requests_new_total", "Requests for a conference that was not there yet.")
        .native("conference_requests_new_total"),
    // Jicofo declares these two as gauges, although they only increase.
    counter("", "jicofo_conference_seconds_total", "Length of the conferences that ended.")
        .in_unit(Unit::Seconds, Scale::One)
        .native("conferences_seconds"),
    counter("", "jicofo_endpoint_seconds_total", "Time that endpoints spent in conferences.")
        .in_unit(Unit::Seconds, Scale::One)
        .native("endpoint_seconds"),
    counter("", "jicofo_xmpp_disconnects_total", "XMPP connections lost.").native("xmpp_disconnects_total"),
    counter("", "jicofo_ice_restarts_requested_total", "ICE restarts requested by participants.")
        .native("ice_restarts_requested_total"),
    counter(
        "",
        "jicofo_ice_restarts_relayed_total",
        "ICE restarts whose new transport reached the participant.",
    )
    .native("ice_restarts_relayed_total"),
    counter("", "jicofo_ice_restarts_not_needed_total", "ICE restarts that turned out not to be needed.")
        .native("ice_restarts_not_needed_total"),
    counter("", "jicofo_ice_restarts_failed_total", "ICE restarts that were rejected or did not complete.")
        .native("ice_restarts_failed_total"),
];
