//! A group's policies: what each wants, and the window that it judges.

use maud::{Markup, html};

use super::table::{section, table};
use super::times::{clock, span};
use super::words::said;
use crate::report::{Datapoint, GroupStatus, PolicyReport, RuleReport, humane};
use crate::units::Time;

/// A value of a policy, in its unit where that is known.
pub(super) fn value(policy: &PolicyReport, value: f64) -> String {
    let number = humane(value);
    match (policy.kind, policy.measures) {
        ("desired", _) => format!("{number} instances"),
        ("alert", _) => "fires".to_owned(),
        (_, "idle") => format!("{number} free"),
        _ => number,
    }
}

/// A value with all digits but the last, which come from binary fractions.
fn exact(value: f64) -> String {
    format!("{value:.12e}").parse().unwrap_or(value).to_string()
}

/// The sign of a datapoint, and its meaning.
fn sign(point: &Datapoint) -> (&'static str, &'static str) {
    match point.state {
        "scale_out" => ("▲", "wants more"),
        "scale_in" => ("▼", "wants fewer"),
        "missing" => ("?", "missing"),
        _ => ("○", "content"),
    }
}

/// The meaning of the signs in a strip.
pub(super) fn legend() -> Markup {
    html! {
        p .soft { "Datapoints, oldest first: ▲ wants more, ▼ wants fewer, ○ neither, ? is missing; pale ones are too old to \
                   count. Point at one, or open its values, for times and numbers. All times are UTC." }
    }
}

/// What a policy wants: a sign and a few words.
fn wish(it: &GroupStatus, name: &str) -> Markup {
    let alarms = it.alarms.get(name);
    let verdicts = [alarms.and_then(|it| it.scale_out), alarms.and_then(|it| it.scale_in)];
    let (class, text) = match verdicts {
        [Some("alarm"), _] => ("out", "▲ wants more"),
        [_, Some("alarm")] => ("in", "▼ wants fewer"),
        [Some("unknown"), _] | [_, Some("unknown")] => ("warn", "? data is missing"),
        _ => ("ok", "✓ content"),
    };
    html! { span .badge .(class) { (text) } }
}

/// How many of the newest points that count breach the threshold of a direction.
fn breaching(points: &[Datapoint], rule: &RuleReport, state: &str) -> usize {
    points.iter().rev().take(rule.periods).filter(|point| point.state == state).count()
}

/// A direction of a policy, and how far it is from acting.
fn rule(
    points: &[Datapoint],
    (word, state): (&str, &str),
    rule: &RuleReport,
    period: i64,
    now: Time,
) -> Markup {
    let periods = |count: usize| if count == 1 { "period" } else { "periods" };
    html! {
        (word) " "
        @match &rule.when {
            Some(when) => {
                "when " (said(when, now)) " in "
                @if rule.breaching < rule.periods { (rule.breaching) " of " }
                (rule.periods) " " (periods(rule.periods)) " of " (span(period))
            }
            None => { "after " (rule.periods) " " (periods(rule.periods)) " of " (span(period)) }
        }
        ": now " strong { (breaching(points, rule, state)) " of " (rule.periods) }
    }
}

/// A policy, in full.
pub(super) fn policy(it: &GroupStatus, name: &str, policy: &PolicyReport, now: Time) -> Markup {
    let points = it.windows.get(name).map_or(&[][..], Vec::as_slice);
    let newest = points.last().and_then(|point| point.value);
    let period = i64::try_from(policy.period_seconds).unwrap_or(i64::MAX);
    let values = html! {
        @for point in points.iter().rev() {
            tr data-key=(point.time) {
                td { (clock(&point.time.to_string())) }
                td { (point.value.map_or_else(|| "missing".to_owned(), exact)) }
                @let (sign, meaning) = sign(point);
                td { (sign) " " (meaning) }
            }
        }
    };
    let part = html! {
        h3 { "Policy " (name) " " (wish(it, name)) }
        p {
            "Now " strong { (newest.map_or_else(|| "missing".to_owned(), |newest| value(policy, newest))) }
            @if let Some(wish) = it.wishes.get(name) { "; wants " strong { (wish) } @if *wish == 1 { " instance" } @else { " instances" } }
        }
        (strip(name, policy, points))
        ul .soft {
            @for (words, direction) in [(("More", "scale_out"), &policy.scale_out), (("Fewer", "scale_in"), &policy.scale_in)] {
                @if let Some(direction) = direction { li { (rule(points, words, direction, period, now)) } }
            }
        }
        @if !points.is_empty() {
            details id=(format!("values-{}-{}-{name}", it.region, it.asg)) {
                summary { "Values of " (name) }
                (table(None, &["Time", "Value", ""], &values))
            }
        }
    };
    section(&format!("policy-{name}"), &part)
}

/// A policy in a line, for the overview: its window, its newest value, and how many points breach.
pub(super) fn brief(it: &GroupStatus, name: &str, policy: &PolicyReport) -> Markup {
    let points = it.windows.get(name).map_or(&[][..], Vec::as_slice);
    let newest = points.last().and_then(|point| point.value);
    let directions = [("more", "scale_out", &policy.scale_out), ("fewer", "scale_in", &policy.scale_in)];
    html! {
        div .policy data-key=(name) {
            (strip(name, policy, points))
            small { (name) " " strong { (newest.map_or_else(|| "missing".to_owned(), |newest| value(policy, newest))) }
                @for (word, state, direction) in directions {
                    @if let Some(direction) = direction {
                        @let count = breaching(points, direction, state);
                        @if count > 0 { ", " (count) " of " (direction.periods) " for " (word) }
                    }
                }
            }
        }
    }
}

/// A window, a sign for each point.
fn strip(name: &str, policy: &PolicyReport, points: &[Datapoint]) -> Markup {
    let older = points.len().saturating_sub(policy.counted());
    html! {
        ol .strip aria-label=(format!("{name}: {} datapoints, oldest first", points.len())) {
            @for (index, point) in points.iter().enumerate() {
                @let (sign, meaning) = sign(point);
                @let number = point.value.map_or_else(String::new, |number| value(policy, number) + ", ");
                @let words = format!("{}: {number}{meaning}", clock(&point.time.to_string()));
                li .(point.state) .older[index < older] data-key=(point.time) title=(words) {
                    span aria-hidden="true" { (sign) }
                    span .hidden { (words) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_point_has_a_sign_a_colour_and_words() {
        let mut policy = sample::group().policies["stress"].clone();
        policy.scale_out.as_mut().expect("a rule").periods = 2;
        policy.scale_in = None;
        let point = |state, value| Datapoint {
            time: Time::parse("2026-11-20T07:01:00Z").expect("a time"),
            value,
            state,
        };
        let points =
            [point("scale_out", Some(812_345_678.0)), point("missing", None), point("fine", Some(0.25))];
        insta::assert_snapshot!(strip("network-out", &policy, &points).into_string(), @r#"<ol class="strip" aria-label="network-out: 3 datapoints, oldest first"><li class="scale_out older" data-key="2026-11-20T07:01:00Z" title="07:01:00: 812.346 M, wants more"><span aria-hidden="true">▲</span><span class="hidden">07:01:00: 812.346 M, wants more</span></li><li class="missing" data-key="2026-11-20T07:01:00Z" title="07:01:00: missing"><span aria-hidden="true">?</span><span class="hidden">07:01:00: missing</span></li><li class="fine" data-key="2026-11-20T07:01:00Z" title="07:01:00: 0.25, content"><span aria-hidden="true">○</span><span class="hidden">07:01:00: 0.25, content</span></li></ol>"#);
    }

    #[test]
    fn a_policy_says_what_it_wants_and_how_far_it_is_from_acting() {
        let now = Time::parse("2026-11-20T07:00:10Z").expect("a time");
        let group = sample::group();
        let page = policy(&group, "stress", &group.policies["stress"], now).into_string();
        for text in [
            "▲ wants more",
            "Now <strong>0.7</strong>; wants <strong>4</strong> instances",
            "More when ≥ 0.6 in 2 of 3 periods of 1 min: now <strong>1 of 3</strong>",
            "Fewer when ≤ 0.2 in 2 of 3 periods of 1 min: now <strong>0 of 3</strong>",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert!(!page.contains("alarm"), "{page}");
    }

    #[test]
    fn a_value_has_the_unit_of_its_policy() {
        let of = |kind, measures| {
            let policy = sample::group().policies["stress"].clone();
            value(&PolicyReport { kind, measures, ..policy }, 3.0)
        };
        assert_eq!(of("threshold", "load"), "3");
        assert_eq!(of("threshold", "idle"), "3 free");
        assert_eq!(of("desired", "other"), "3 instances");
        assert_eq!(of("alert", "other"), "fires");
    }

    #[test]
    fn a_value_has_no_digits_from_binary_fractions() {
        let texts = [0.1 + 0.6, 812_345_678.25, -0.0, 1e-9].map(exact);
        assert_eq!(texts, ["0.7", "812345678.25", "-0", "0.000000001"]);
    }
}
