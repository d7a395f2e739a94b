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
    let success = object.object("health").and_then(|health| health.get("success")?.boolean());
    if !object.has("healthy")
        && let Some(healthy) = success
    {
        reading.add(table().sample("jicofo_healthy", f64::from(healthy)));
    }
    // It is true by default, and means something only for a check that failed.
    if success != Some(false) {
        let family = table().sample("jicofo_health_hard_failure", 0.0).family;
        reading.samples.retain(|sample| sample.family != family);
    }
    reading.relabel(|name, value| if name == "action" { action(value) } else { None });
}

/// The current name of a message: older versions write `SESSION_INITIATE` for `session-initiate`.
fn action(name: &str) -> Option<String> {
    let is_constant = name.bytes().any(|b| b.is_ascii_uppercase() || b == b'_');
    is_constant.then(|| name.to_ascii_lowercase().replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::component::Component;
    use crate::sample::Value;

    #[test_case(r#""success":true,"hardFailure":true"#, None; "healthy")]
    #[test_case(r#""success":false,"hardFailure":true"#, Some(1.0); "failed for good")]
    #[test_case(r#""success":false,"hardFailure":false"#, Some(0.0); "failed for now")]
    #[test_case(r#""hardFailure":true"#, None; "unknown")]
    fn a_hard_failure_needs_a_failure(health: &str, expected: Option<f64>) {
        let body = format!(r#"{{"bridge_selector":{{}},"health":{{{health}}}}}"#);
        let reading = Component::Jicofo.read(body.as_bytes()).expect("statistics");
        let family = table().sample("jicofo_health_hard_failure", 0.0).family;
        let found = reading.samples.iter().find(|sample| sample.family == family);
        assert_eq!(found.map(|sample| &sample.value), expected.map(Value::Number).as_ref());
    }
}
