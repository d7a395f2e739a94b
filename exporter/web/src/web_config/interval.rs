//! Durations in Go's spelling, such as `1s`, `1m30s` or `0.5h`.

use std::time::Duration;

const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// Reads a duration; `0` needs no unit.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    if text.starts_with('-') {
        return Err("a duration is not below 0; write one such as 1s or 500ms");
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err("write a duration, such as 1s or 500ms");
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| "write a duration, such as 1s or 500ms")?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]);
        let (_, factor) = unit.ok_or("write a duration with its unit, such as 1s or 500ms")?;
        seconds += number * factor;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "no duration is that long; write one such as 1s or 500ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("0", Ok(0) ; "nothing")]
    #[test_case("0s", Ok(0) ; "no seconds")]
    #[test_case("1s", Ok(1_000_000) ; "a second")]
    #[test_case("+1s", Ok(1_000_000) ; "a signed second")]
    #[test_case("1m30.5s", Ok(90_500_000) ; "two parts")]
    #[test_case(".5h", Ok(1_800_000_000) ; "half an hour")]
    #[test_case("250ms", Ok(250_000) ; "milliseconds")]
    #[test_case("7µs", Ok(7) ; "microseconds")]
    #[test_case("1", Err("write a duration with its unit, such as 1s or 500ms") ; "no unit")]
    #[test_case("1d", Err("write a duration with its unit, such as 1s or 500ms") ; "a day")]
    #[test_case("soon", Err("write a duration, such as 1s or 500ms") ; "a word")]
    #[test_case("", Err("write a duration, such as 1s or 500ms") ; "empty")]
    #[test_case("1.2.3s", Err("write a duration, such as 1s or 500ms") ; "no number")]
    #[test_case("-1s", Err("a duration is not below 0; write one such as 1s or 500ms") ; "negative")]
    #[test_case("99999999999999999999999h", Err("no duration is that long; write one such as 1s or 500ms") ; "too long")]
    fn durations_in_go_s_spelling(text: &str, expected: Result<u64, &str>) {
        let expected = expected.map(Duration::from_micros);
        assert_eq!(parse(text), expected);
    }
}
