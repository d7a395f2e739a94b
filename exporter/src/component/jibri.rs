//! Jibri: the table for the health of every version, and its availability.

use std::sync::LazyLock;

use crate::json::{Json, Object};
use crate::metric_row::{MetricRow, Read, boolean, counter, gauge, rows, silent, text};
use crate::sample::{Sample, Value};
use crate::table::{Reading, Table};

const HEALTHY: Read = Read::Choice(&["HEALTHY", "true"], &["UNHEALTHY", "false"]);

const STATUS: Read = Read::State(
    "status",
    &[("idle", &["IDLE", "false"]), ("busy", &["BUSY", "true"]), ("expired", &["EXPIRED"])],
);

const ROWS: &[MetricRow] = rows! {
    /// Whether it is healthy; an unhealthy Jibri stays unhealthy until it is restarted.
    gauge "status.health.healthStatus" => "jibri_healthy", read_as(HEALTHY), of("6.4");
    /// State: 1 for the current one, 0 for the others. Busy lasts until the recording is uploaded; expired is the end
    /// of single use.
    gauge "status.busyStatus" => "jibri_status", read_as(STATUS), of("6.4; expired since 8.0-8");
    /// Whether a part of it is healthy.
    gauge "status.health.details.*.healthStatus" => "jibri_part_healthy", read_as(HEALTHY), by("part"), of("6.4");
    /// Environment of the session that runs.
    text "environmentContext.name" => "jibri_environment_info", read_as(Read::Text("environment")), of("6.4");
    silent "status.health.details.*.detail" => "", of("6.4");
    // Before 6.4
    gauge "busy" => "jibri_status", read_as(STATUS), of("gone in 6.4");
    // The draft of 2017
    gauge "health" => "jibri_healthy", read_as(HEALTHY), of("2017");
    gauge "recording" => "jibri_status", read_as(STATUS), of("2017");
    /// Whether it is connected to XMPP; only in 2017.
    boolean "XMPPConnected" => "jibri_xmpp_connected", of("2017");
    text "environment" => "jibri_environment_info", of("2017");
    /// Whether it is healthy and idle, from status; before 6.4, which does not report health, whether it is idle.
    gauge "" => "jibri_available";
};

/// Metrics that only Jibri's own `/metrics` has (jibri.stats.prometheus.enabled). Its `healthy` and `recording` are not
/// used, because both are 0 until their first change, even for a healthy Jibri.
const NATIVE: &[MetricRow] = rows! {
    /// Sessions started.
    counter "" => "jibri_sessions_started_total", native("sessions_started_total"), of("8.0-168");
    /// Sessions stopped.
    counter "" => "jibri_sessions_stopped_total", native("sessions_stopped_total"), of("8.0-168");
    /// Sessions that ended in an error.
    counter "" => "jibri_errors_total", native("errors_total"), of("8.0-168");
    /// Requests that came while it was busy.
    counter "" => "jibri_busy_requests_total", native("busy_total"), of("8.0-168");
    /// Requests refused because they were invalid.
    counter "" => "jibri_bad_requests_total", native("bad_requests_total");
    /// XMPP connections made.
    counter "" => "jibri_xmpp_connections_total", native("xmpp_connected_total"), of("8.0-168");
    /// XMPP connections that began to reconnect.
    counter "" => "jibri_xmpp_reconnects_total", native("xmpp_reconnecting_total"), of("8.0-168");
    /// XMPP connections that failed to reconnect.
    counter "" => "jibri_xmpp_reconnection_failures_total", native("xmpp_reconnection_failed_total"), of("8.0-168");
    /// XMPP pings without an answer.
    counter "" => "jibri_xmpp_ping_failures_total", native("xmpp_ping_failed_total"), of("8.0-168");
    /// XMPP connections closed.
    counter "" => "jibri_xmpp_closed_total", native("xmpp_closed_total"), of("8.0-168");
    /// XMPP connections closed because of an error.
    counter "" => "jibri_xmpp_closed_on_error_total", native("xmpp_closed_on_error_total"), of("8.0-168");
    /// Sessions stopped because the XMPP connection was closed.
    counter "" => "jibri_sessions_stopped_on_xmpp_closed_total", native("stopped_on_xmpp_closed_total"),
        of("8.0-168");
};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[ROWS, NATIVE], "jibri_unknown"));

/// The metrics of a Jibri.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// Whether `object` is the health of a Jibri: `status` with a known member, or one of the older forms.
pub(super) fn is_health(object: &Object<'_>) -> bool {
    object.object("status").is_some_and(|status| status.has("busyStatus") || status.has("health"))
        || object.has("busy")
        || (object.has("recording") && object.has("health"))
}

/// Adds whether the Jibri can start a session, unless the keys do not say.
pub(super) fn derive(object: &Object<'_>, reading: &mut Reading) {
    let idle = idle(object, reading);
    let healthy = number(reading, "jibri_healthy", None).map(|healthy| healthy > 0.0);
    let has_health = object.has("status") || object.has("health");
    let available = match (idle, healthy) {
        (Some(false), _) | (_, Some(false)) => false,
        (Some(true), Some(true)) => true,
        (Some(true), None) if !has_health => true,
        _ => return,
    };
    reading.add(table().sample("jibri_available", f64::from(available)));
}

fn idle(object: &Object<'_>, reading: &Reading) -> Option<bool> {
    if let Some(idle) = number(reading, "jibri_status", Some("idle")) {
        return Some(idle > 0.0);
    }
    // An unknown state is not idle.
    let state = object.object("status")?.get("busyStatus")?;
    matches!(state, Json::Text(_)).then_some(false)
}

fn number(reading: &Reading, name: &str, label: Option<&str>) -> Option<f64> {
    let has_label = |sample: &Sample| sample.label.as_ref().map(|(_, value)| &**value) == label;
    let named = |sample: &&Sample| table().families()[sample.family].name == name && has_label(sample);
    match reading.samples.iter().find(named)?.value {
        Value::Number(value) => Some(value),
        Value::Histogram(_) => None,
    }
}
