//! JVB: the tables for `/colibri/stats` of every version, and the metrics that are derived from several keys.

mod conversions;
mod current_keys;
mod native;
mod removed_keys;
mod systemli;

use std::sync::LazyLock;

use crate::json::Object;
use crate::sample::Sample;
use crate::table::{Reading, Table};

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[current_keys::ROWS, removed_keys::ROWS, native::ROWS], "jvb_unknown"));

static COMPAT: LazyLock<Table> = LazyLock::new(|| Table::new(&[systemli::ROWS], ""));

/// The metrics of a bridge.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// The metrics of a bridge with the names of the systemli exporter.
pub(super) fn compat_table() -> &'static Table {
    &COMPAT
}

/// Keys that only bridges have. Every version has at least one of them.
pub(super) const SIGNATURE: &[&str] =
    &["current_timestamp", "bit_rate_download", "bit_rate_upload", "total_bytes_sent"];

/// Adds metrics that a version lacks and that follow from other keys.
pub(super) fn derive(object: &Object<'_>, reading: &mut Reading) {
    if !object.has("local_endpoints")
        && let Some(local) = local_endpoints(object)
    {
        reading.add(table().sample("jvb_local_endpoints", local));
    }
    if !object.has("shutting_down") && shutting_down_is_left_out_when_false(object) {
        reading.add(table().sample("jvb_shutting_down", 0.0));
    }
    reading.add(source("colibri"));
}

/// Adds to a reading of the bridge's own metrics that these are its source.
pub(super) fn derive_native(reading: &mut Reading) {
    reading.add(source("native"));
}

fn source(name: &'static str) -> Sample {
    Sample { label: Some(("source", name.into())), ..table().sample("jvb_statistics_source_info", 1.0) }
}

/// Whether a reading of metrics without a component's prefix comes from a bridge: it has a counter that no other component
/// has.
pub(super) fn is_native(reading: &Reading) -> bool {
    let counters = [
        "jvb_data_channel_messages_sent_total",
        "jvb_dominant_speaker_changes_total",
        "jvb_packets_sent_total",
        "jvb_conferences_completed_total",
    ];
    counters.iter().any(|name| reading.has(&table().sample(name, 0.0)))
}

/// Endpoints without those behind relays. Versions that do not count the latter have none, unless they have a relay id. The
/// bridge does not read both numbers at the same moment, so a negative difference is discarded.
fn local_endpoints(object: &Object<'_>) -> Option<f64> {
    let all = object.get("participants")?.number()?;
    let remote = match object.get("octo_endpoints") {
        Some(remote) => remote.number()?,
        None if object.has("relay_id") => return None,
        None => 0.0,
    };
    Some(all - remote).filter(|local| *local >= 0.0)
}

fn shutting_down_is_left_out_when_false(object: &Object<'_>) -> bool {
    conversions::version(object).is_some_and(|version| ((2, 1, 663)..(2, 3, 95)).contains(&version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Json, parse};
    use crate::sample::Value;
    use test_case::test_case;

    fn value(body: &str, name: &str) -> Option<f64> {
        let Ok(Json::Object(object)) = parse(body.as_bytes()) else { panic!("{body}") };
        let mut reading = table().read(&object);
        derive(&object, &mut reading);
        let sample = reading.samples.iter().find(|sample| table().families()[sample.family].name == name)?;
        match sample.value {
            Value::Number(value) => Some(value),
            Value::Histogram(_) => None,
        }
    }

    #[test_case(r#"{"version": "2.1.157-g1", "octo_send_bitrate": 2}"#, Some(2000.0) ; "before the change")]
    #[test_case(r#"{"version": "2.1.158-g1", "octo_send_bitrate": 2}"#, Some(2.0) ; "at the change")]
    #[test_case(r#"{"octo_send_bitrate": 2.0, "version": "2.3.9"}"#, Some(2.0) ; "the version comes later")]
    #[test_case(r#"{"version": "2.0.99-g1", "octo_send_bitrate": "2"}"#, Some(2000.0) ; "quoted")]
    #[test_case(r#"{"octo_send_bitrate": 2}"#, None ; "no version")]
    #[test_case(r#"{"octo_send_bitrate": 0}"#, Some(0.0) ; "zero in any unit")]
    #[test_case(r#"{"version": "custom", "octo_send_bitrate": 2}"#, None ; "another version")]
    #[test_case(r#"{"version": "custom", "stress_level": 0.1, "octo_send_bitrate": 2}"#, Some(2.0) ; "another version with a newer key")]
    fn bitrates_of_relays(body: &str, expected: Option<f64>) {
        assert_eq!(value(body, "jvb_octo_outgoing_bits_per_second"), expected);
    }

    #[test_case(r#"{"local_endpoints": 4, "participants": 9, "octo_endpoints": 2}"#, Some(4.0) ; "the key")]
    #[test_case(r#"{"participants": 9, "octo_endpoints": 2}"#, Some(7.0) ; "the difference")]
    #[test_case(r#"{"participants": 1, "octo_endpoints": 2}"#, None ; "less than none")]
    #[test_case(r#"{"participants": 9}"#, Some(9.0) ; "no relay")]
    #[test_case(r#"{"participants": 9, "relay_id": "a"}"#, None ; "a relay that is not counted")]
    #[test_case(r#"{"participants": 9, "octo_endpoints": null}"#, None ; "a count of no use")]
    #[test_case(r#"{"local_endpoints": null, "participants": 9, "octo_endpoints": 2}"#, None ; "the key is of no use")]
    #[test_case(r#"{"conferences": 9}"#, None ; "no participants")]
    fn local_endpoints_of_any_version(body: &str, expected: Option<f64>) {
        assert_eq!(value(body, "jvb_local_endpoints"), expected);
    }

    #[test_case(r#"{"version": "2.1.662-g1"}"#, None ; "before the key")]
    #[test_case(r#"{"version": "2.1.663-g1"}"#, Some(0.0) ; "left out when false")]
    #[test_case(r#"{"version": "2.2.1-g1"}"#, Some(0.0) ; "left out when false, 2.2")]
    #[test_case(r#"{"version": "2.3.94-g1"}"#, Some(0.0) ; "left out when false, the last")]
    #[test_case(r#"{"version": "2.3.95-g1"}"#, None ; "always there, and yet not")]
    #[test_case(r#"{"version": "2.3.94-g1", "shutting_down": true}"#, Some(1.0) ; "there when true")]
    #[test_case(r#"{"threads": 1}"#, None ; "no version")]
    fn shutting_down(body: &str, expected: Option<f64>) {
        assert_eq!(value(body, "jvb_shutting_down"), expected);
    }

    #[test]
    fn the_newer_of_two_keys_counts() {
        let body = r#"{"total_conferences_created": 5, "total_conferences": 3}"#;
        assert_eq!(value(body, "jvb_conferences_created_total"), Some(5.0));
        let body = r#"{"total_conferences": 3, "total_conferences_created": 5}"#;
        assert_eq!(value(body, "jvb_conferences_created_total"), Some(5.0));
    }
}
