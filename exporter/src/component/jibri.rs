//! Jibri: the health body of every version. Whether it is available follows from its keys.

use std::sync::LazyLock;

use crate::json::{Json, Object};
use crate::row::{Read, Row, boolean, derived, gauge, silent, text};
use crate::sample::{Sample, Value};
use crate::table::{Reading, Table};

const HEALTHY: Read = Read::Choice(&["HEALTHY", "true"], &["UNHEALTHY", "false"]);

const STATUS: Read = Read::State(
    "status",
    &[("idle", &["IDLE", "false"]), ("busy", &["BUSY", "true"]), ("expired", &["EXPIRED"])],
);

const ROWS: &[Row] = &[
    gauge("status.health.healthStatus", "jibri_healthy", "Whether it is healthy; once it is not, it stays so until it is restarted.").read_as(HEALTHY),
    gauge("status.busyStatus", "jibri_status", "What it does: 1 for the state that holds. Busy lasts until the recording is uploaded; expired is the end of single use.").read_as(STATUS),
    gauge("status.health.details.*.healthStatus", "jibri_part_healthy", "Whether a part of it is healthy.").read_as(HEALTHY).by("part"),
    text("environmentContext.name", "jibri_environment_info", "environment", "Environment of the session that runs."),
    silent("status.health.details.*.detail", Read::Opaque),
    // Before 6.4
    gauge("busy", "jibri_status", "").read_as(STATUS),
    // The draft of 2017
    gauge("health", "jibri_healthy", "").read_as(HEALTHY),
    gauge("recording", "jibri_status", "").read_as(STATUS),
    boolean("XMPPConnected", "jibri_xmpp_connected", "Whether it is connected to XMPP; only in 2017."),
    text("environment", "jibri_environment_info", "environment", ""),
    derived("jibri_available", "Whether it is healthy and idle, from status; before 6.4, which tells no health, whether it is idle."),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[ROWS], "jibri_unknown"));

/// The metrics of a Jibri.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// Whether it is what the health route answers: `status` with a part that is known, or one of the
/// older forms.
pub(super) fn is_health(object: &Object<'_>) -> bool {
    object.object("status").is_some_and(|status| status.has("busyStatus") || status.has("health"))
        || object.has("busy")
        || (object.has("recording") && object.has("health"))
}

/// Adds whether the Jibri can take a session, where that can be told.
pub(super) fn derive(object: &Object<'_>, reading: &mut Reading) {
    let idle = idle(object, reading);
    let healthy = number(reading, "jibri_healthy", None).map(|healthy| healthy > 0.0);
    let tells_health = object.has("status") || object.has("health");
    let available = match (idle, healthy) {
        (Some(false), _) | (_, Some(false)) => false,
        (Some(true), Some(true)) => true,
        (Some(true), None) if !tells_health => true,
        _ => return,
    };
    reading.add(table().sample("jibri_available", f64::from(available)));
}

fn idle(object: &Object<'_>, reading: &Reading) -> Option<bool> {
    if let Some(idle) = number(reading, "jibri_status", Some("idle")) {
        return Some(idle > 0.0);
    }
    // A state that is not known is not idle.
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
