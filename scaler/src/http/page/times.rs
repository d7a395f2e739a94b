//! Times and durations on the status page.

use maud::{Markup, html};

use crate::units::Time;

/// A duration in words, with two units at most.
pub(super) fn span(seconds: i64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) if s == 0 => format!("{m} min"),
        (0, 0, _) => format!("{m} min {s} s"),
        (0, _, 0) => format!("{h} h"),
        (0, ..) => format!("{h} h {m} min"),
        _ if h == 0 => format!("{d} d"),
        _ => format!("{d} d {h} h"),
    }
}

/// How long ago a time was; the script keeps counting.
pub(super) fn elapsed(at: Time, now: Time) -> Markup {
    let seconds = now.unix() - at.unix();
    let text = if seconds < 0 { format!("in {}", span(-seconds)) } else { format!("{} ago", span(seconds)) };
    html! { time datetime=(at) title=(at) data-rel="since" { (text) } }
}

/// As [`elapsed`], of a time in a report.
pub(super) fn since(at: &str, now: Time) -> Markup {
    Time::parse(at).map_or_else(|| html! { (at) }, |at| elapsed(at, now))
}

/// How long it is until a time in a report.
pub(super) fn until(at: &str, now: Time) -> Markup {
    let Some(moment) = Time::parse(at) else { return html! { (at) } };
    let seconds = moment.unix() - now.unix();
    let text = if seconds > 0 { format!("in {}", span(seconds)) } else { "now".to_owned() };
    html! { time datetime=(at) title=(at) data-rel="until" { (text) } }
}

/// A moment as people write it, in UTC: without the date today, without seconds at a whole minute.
pub(super) fn moment(at: Time, now: Time) -> Markup {
    html! { time datetime=(at) title=(at) { (written(at, now)) } }
}

/// As [`moment`], without markup.
pub(super) fn written(at: Time, now: Time) -> String {
    const DAY: i64 = 86_400;
    let clock = if at.unix() % 60 == 0 { "%H:%M" } else { "%H:%M:%S" };
    let is_today = at.unix().div_euclid(DAY) == now.unix().div_euclid(DAY);
    let format = if is_today { clock.to_owned() } else { format!("%b %-d, {clock}") };
    let timestamp = jiff::Timestamp::from_second(at.unix()).unwrap_or_default();
    timestamp.strftime(&format).to_string()
}

/// The time of day, in UTC, of a time in a report.
pub(super) fn clock(at: &str) -> &str {
    at.split_once('T').map_or(at, |(_, time)| time.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(0, "0 s")]
    #[test_case(59, "59 s")]
    #[test_case(60, "1 min")]
    #[test_case(200, "3 min 20 s")]
    #[test_case(7_200, "2 h")]
    #[test_case(7_260, "2 h 1 min")]
    #[test_case(86_400, "1 d")]
    #[test_case(270_000, "3 d 3 h")]
    fn a_duration_has_two_units_at_most(seconds: i64, expected: &str) {
        assert_eq!(span(seconds), expected);
    }

    fn now() -> Time {
        Time::parse("2026-11-20T07:00:10Z").expect("a time")
    }

    #[test]
    fn times_are_relative_to_now() {
        insta::assert_snapshot!(until("2026-11-20T07:03:30Z", now()).into_string(), @r#"<time datetime="2026-11-20T07:03:30Z" title="2026-11-20T07:03:30Z" data-rel="until">in 3 min 20 s</time>"#);
        insta::assert_snapshot!(since("2026-11-20T06:00:10Z", now()).into_string(), @r#"<time datetime="2026-11-20T06:00:10Z" title="2026-11-20T06:00:10Z" data-rel="since">1 h ago</time>"#);
        assert!(until("2026-11-20T07:00:10Z", now()).into_string().contains(">now<"));
    }

    #[test_case("2026-11-20T06:00:00Z", "06:00")]
    #[test_case("2026-11-20T06:00:05Z", "06:00:05")]
    #[test_case("2026-11-19T23:59:00Z", "Nov 19, 23:59")]
    fn a_moment_has_no_more_than_is_needed(at: &str, expected: &str) {
        assert_eq!(written(Time::parse(at).expect("a time"), now()), expected);
    }
}
