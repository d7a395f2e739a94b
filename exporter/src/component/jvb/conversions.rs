//! Conversions of values whose meaning depends on the version of the bridge, or that are not numbers.

use crate::json::{Json, Object};

/// The bit rates of relays in bit/s. The same keys have kbit/s before 2.1-158.
pub(super) fn relay_bitrate(value: &Json<'_>, object: &Object<'_>) -> Option<f64> {
    let value = value.number()?;
    if value == 0.0 || counts_relay_bits(object)? { Some(value) } else { Some(value * 1e3) }
}

fn counts_relay_bits(object: &Object<'_>) -> Option<bool> {
    match version(object) {
        Some(version) => Some(version >= (2, 1, 158)),
        // A build without a usual version. This key was added after the change.
        None => object.has("stress_level").then_some(true),
    }
}

/// The version in the statistics: `2.1.607-ga8b39c3f` is 2.1-607.
pub(super) fn version(object: &Object<'_>) -> Option<(u32, u32, u32)> {
    let Json::Text(text) = object.get("version")? else { return None };
    let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Unix time of a date and time in UTC, such as `2020-06-07 11:43:20.978`.
pub(super) fn timestamp(value: &Json<'_>, _: &Object<'_>) -> Option<f64> {
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
    // Added in milliseconds, so that the result is rounded only once.
    Some(((whole * 1000) as f64 + (second * 1e3).round()) / 1e3)
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is the last day of a year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

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
}
