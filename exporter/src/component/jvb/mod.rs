//! JVB: `/colibri/stats` of every version. What a version leaves out on purpose is put back here;
//! everything else is in the tables.

mod current;
mod gone;
mod native;
mod systemli;

use std::sync::LazyLock;

use crate::json::{Json, Object};
use crate::sample::Sample;
use crate::table::{Reading, Table};

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[current::ROWS, gone::ROWS, native::ROWS], "jvb_unknown"));

static COMPAT: LazyLock<Table> = LazyLock::new(|| Table::new(&[systemli::ROWS], ""));

/// The metrics of a bridge.
pub(super) fn table() -> &'static Table {
    &TABLE
}

/// The metrics of a bridge as the systemli exporter names them.
pub(super) fn compat_table() -> &'static Table {
    &COMPAT
}

/// Keys that no other component has, and of which every version has one at least.
pub(super) const SIGNATURE: &[&str] =
    &["current_timestamp", "bit_rate_download", "bit_rate_upload", "total_bytes_sent"];

/// Adds what follows from other keys where a version lacks one.
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

/// Adds to a reading of the bridge's own metrics that they are its source.
pub(super) fn derive_native(reading: &mut Reading) {
    reading.add(source("native"));
}

fn source(name: &'static str) -> Sample {
    Sample { label: Some(("source", name.into())), ..table().sample("jvb_statistics_source_info", 1.0) }
}

/// Whether a reading of metrics whose names tell no component is a bridge's: it has a counter that no
/// other component has.
pub(super) fn is_native(reading: &Reading) -> bool {
    let counters = [
        "jvb_data_channel_messages_sent_total",
        "jvb_dominant_speaker_changes_total",
        "jvb_packets_sent_total",
        "jvb_conferences_completed_total",
    ];
    counters.iter().any(|name| reading.has(&table().sample(name, 0.0)))
}

/// Endpoints less those behind relays. Before a bridge counts the latter they are all its own,
/// unless it has a relay. The two numbers are not taken at the same moment: less than none says
/// nothing.
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
    version(object).is_some_and(|version| ((2, 1, 663)..(2, 3, 95)).contains(&version))
}

/// The relays' bitrates: kbit/s before 2.1-158, bit/s since, under the same keys.
fn relay_bitrate(value: &Json<'_>, object: &Object<'_>) -> Option<f64> {
    let value = value.number()?;
    if value == 0.0 || counts_relay_bits(object)? { Some(value) } else { Some(value * 1e3) }
}

fn counts_relay_bits(object: &Object<'_>) -> Option<bool> {
    match version(object) {
        Some(version) => Some(version >= (2, 1, 158)),
        // A build without a usual version: this key came later than the change.
        None => object.has("stress_level").then_some(true),
    }
}

type Version = (u32, u32, u32);

/// `2.1.607-ga8b39c3f` is what `git describe` calls 2.1-607.
fn version(object: &Object<'_>) -> Option<Version> {
    let Json::Text(text) = object.get("version")? else { return None };
    let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// `2020-06-07 11:43:20.978`, UTC, as Unix time.
fn timestamp(value: &Json<'_>, _: &Object<'_>) -> Option<f64> {
    let Json::Text(text) = value else { return None };
    let (date, time) = text.trim().split_once(' ')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hour = time.next()?.parse::<u32>().ok()?;
    let minute = time.next()?.parse::<u32>().ok()?;
    let second = time.next()?.parse::<f64>().ok()?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (1970..10_000).contains(&year)
        && hour < 24
        && minute < 60
        && (0.0..61.0).contains(&second);
    if !in_range {
        return None;
    }
    let whole = days(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60);
    // In thousandths, so that the sum is as exact as a number can be.
    Some(((whole * 1000) as f64 + (second * 1e3).round()) / 1e3)
}

/// Days from 1970-01-01, in years that begin in March so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
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
    #[test_case(r#"{"octo_send_bitrate": 0}"#, Some(0.0) ; "nothing is nothing in any unit")]
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

    #[test_case("1970-01-01 00:00:00.000", Some(0.0) ; "the first")]
    #[test_case("2000-02-29 12:00:00.500", Some(951_825_600.5) ; "a leap day")]
    #[test_case("2100-03-01 00:00:00.000", Some(4_107_542_400.0) ; "after a year without one")]
    #[test_case("2020-06-07 11:43:20.978", Some(1_591_530_200.978) ; "a usual one")]
    #[test_case("2020-13-01 00:00:00.000", None ; "no month")]
    #[test_case("9223372036854775807-01-01 00:00:00", None ; "no year")]
    #[test_case("2020-06-07T11:43:20Z", None ; "another form")]
    #[test_case("", None ; "empty")]
    fn timestamps(text: &str, expected: Option<f64>) {
        assert_eq!(timestamp(&Json::Text(text.into()), &Object::default()), expected);
    }

    #[test]
    fn of_two_names_of_one_thing_the_newer_counts() {
        let body = r#"{"total_conferences_created": 5, "total_conferences": 3}"#;
        assert_eq!(value(body, "jvb_conferences_created_total"), Some(5.0));
        let body = r#"{"total_conferences": 3, "total_conferences_created": 5}"#;
        assert_eq!(value(body, "jvb_conferences_created_total"), Some(5.0));
    }
}
