//! Jicofo: `/stats` of every version.

mod native;
mod rows;

use std::sync::LazyLock;

use crate::json::Object;
use crate::table::{Reading, Table};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[rows::ROWS, native::ROWS], "jicofo_unknown"));

/// The metrics of a Jicofo.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// Keys that no other component has, and of which every version has one at least.
pub(super) const SIGNATURE: &[&str] = &[
    "bridge_selector",
    "jibri_detector",
    "bridge_failures",
    "participant_notifications",
    "jigasi_detector",
    "jingle",
];

/// Puts right what versions write differently.
pub(super) fn derive(object: &Object<'_>, reading: &mut Reading) {
    if !object.has("healthy")
        && let Some(healthy) = object.object("health").and_then(|health| health.get("success")?.boolean())
    {
        reading.add(table().sample("jicofo_healthy", f64::from(healthy)));
    }
    reading.relabel(|name, value| if name == "action" { action(value) } else { None });
}

/// `SESSION_INITIATE` and `session-initiate` are the same message, before and after a rewrite.
fn action(name: &str) -> Option<String> {
    let is_constant = name.bytes().any(|b| b.is_ascii_uppercase() || b == b'_');
    is_constant.then(|| name.to_ascii_lowercase().replace('_', "-"))
}
