//! Metrics that only Jicofo's own `/metrics` has. Metrics that the statistics have too are not used: `healthy`, for
//! example, exists even if health checks are off.

use crate::metric_row::Scale::One;
use crate::metric_row::{MetricRow, boolean, counter, gauge, rows};
use crate::sample::Unit::Seconds;

/// Jicofo's label for the name of a bridge in its room, and ours.
const THEIRS: &str = "jvb";
const OURS: &str = "bridge";

pub(super) const ROWS: &[MetricRow] = rows! {
    /// Sessions that failed because no Jibri was there or all were busy.
    counter "" => "jicofo_jibri_no_instance_failures_total", native("jibri_no_instance_failures_total"),
        of("1.0-1196");
    /// Endpoints on a bridge.
    gauge "" => "jicofo_bridge_endpoints", native_by("bridge_endpoints", THEIRS, OURS);
    /// Whether Jicofo considers a bridge to be failing ICE.
    boolean "" => "jicofo_bridge_failing_ice", native_by("bridge_failing_ice", THEIRS, OURS);
    /// Requests of endpoints on a bridge for a restart.
    counter "" => "jicofo_bridge_restart_requests_total", native_by("bridge_restart_requests_total", THEIRS, OURS);
    /// Endpoints moved off a bridge to spread the load, by bridge.
    counter "" => "jicofo_bridge_endpoints_moved_total", native_by("bridge_endpoints_moved_total", THEIRS, OURS);
    /// Endpoints moved to spread the load.
    counter "" => "jicofo_load_redistributor_endpoints_moved_total",
        native("load_redistributor_endpoints_moved_total");
    /// Bridge selections delayed by a rate limit.
    counter "" => "jicofo_bridge_selection_rate_limited_total", native("bridge_selection_rate_limited_total");
    /// Requests for a conference.
    counter "" => "jicofo_conference_requests_total", native("conference_requests_total");
    /// Requests for a conference that was not there yet.
    counter "" => "jicofo_conference_requests_new_total", native("conference_requests_new_total");
    // Jicofo declares these two as gauges, although they only increase.
    /// Length of the conferences that ended.
    counter "" => "jicofo_conference_seconds_total", in_unit(Seconds, One), native("conferences_seconds");
    /// Time that endpoints spent in conferences.
    counter "" => "jicofo_endpoint_seconds_total", in_unit(Seconds, One), native("endpoint_seconds");
    /// XMPP connections lost.
    counter "" => "jicofo_xmpp_disconnects_total", native("xmpp_disconnects_total");
    /// ICE restarts requested by participants.
    counter "" => "jicofo_ice_restarts_requested_total", native("ice_restarts_requested_total");
    /// ICE restarts whose new transport reached the participant.
    counter "" => "jicofo_ice_restarts_relayed_total", native("ice_restarts_relayed_total");
    /// ICE restarts that turned out not to be needed.
    counter "" => "jicofo_ice_restarts_not_needed_total", native("ice_restarts_not_needed_total");
    /// ICE restarts that were rejected or did not complete.
    counter "" => "jicofo_ice_restarts_failed_total", native("ice_restarts_failed_total");
};
