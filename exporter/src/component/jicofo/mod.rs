//! Jicofo: the tables for `/stats` of every version, and corrections of what versions write differently.

mod native;
mod statistics;

use std::sync::LazyLock;

use crate::json::Object;
use crate::table::{Reading, Table};

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[statistics::ROWS, native::ROWS], "jicofo_unknown"));

/// The metrics of a Jicofo.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// Keys that only Jicofo has. Every version has at least one of them.
pub(super) const SIGNATURE: &[&str] = &[
    "bridge_selector",
    "jibri_detector",
    "bridge_failures",
    "participant_notifications",
    "jigasi_detector",
    "jingle",
];

/// Adds and renames what versions write differently.
pub(super) fn derive(object: &Object<'_>, reading: &mut Reading) {
    if !object.has("healthy")
        && let Some(healthy) = object.object("health").and_then(|health| health.get("success")?.boolean())
    {
        reading.add(table().sample("jicofo_healthy", f64::from(healthy)));
    }
    reading.relabel(|name, value| if name == "action" { action(value) } else { None });
}

/// The current name of a message: older versions write `SESSION_INITIATE` for `session-initiate`.
fn action(name: &str) -> Option<String> {
    let is_constant = name.bytes().any(|b| b.is_ascii_uppercase() || b == b'_');
    is_constant.then(|| name.to_ascii_lowercase().replace('_', "-"))
}
