//! JVB: `/colibri/stats` of every version. What a version leaves out on purpose is put back here;
//! everything else is in the tables.

mod current;
mod gone;

use std::sync::LazyLock;

use crate::json::{Json, Object};
use crate::table::{Reading, Table};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[current::ROWS, gone::ROWS], "jvb_unknown"));

/// The metrics of a bridge.
pub(super) fn table() -> &'static Table {
    &TABLE
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
