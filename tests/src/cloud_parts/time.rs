//! Unix seconds as the service writes them.

use jiff::{SignedDuration, Timestamp};

fn timestamp(seconds: f64) -> Timestamp {
    SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The format in causes: whole seconds.
pub(crate) fn to_second(seconds: f64) -> String {
    timestamp(seconds.floor()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The format in fields of answers: milliseconds.
pub(crate) fn to_millisecond(seconds: f64) -> String {
    timestamp(seconds).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Parses a time from a caller.
pub(crate) fn parse(text: &str) -> Option<f64> {
    text.parse::<Timestamp>().ok().map(|at| at.as_duration().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_service_writes_them() {
        assert_eq!(to_second(1_700_000_000.9), "2023-11-14T22:13:20Z");
        assert_eq!(to_millisecond(1_700_000_000.25), "2023-11-14T22:13:20.250Z");
        assert_eq!(parse("2023-11-14T22:13:20.250Z"), Some(1_700_000_000.25));
        assert_eq!(parse("yesterday"), None);
    }
}
