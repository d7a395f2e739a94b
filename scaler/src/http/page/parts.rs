//! The parts of the status page: one group, its policies, drains and decisions.

use maud::{Markup, html};

use super::times::{clock, since, span, until};
use crate::config::link::{Link, encoded};
use crate::report::journal::Journal;
use crate::report::{Blocked, Datapoint, GroupStatus, PolicyReport, RuleReport, humane};
use crate::units::Time;

/// The path of a group's page, relative to the first page.
pub(super) fn path(group: &GroupStatus) -> String {
    format!("fleets/{}/{}?region={}", encoded(&group.fleet), encoded(&group.asg), encoded(&group.region))
}

/// How many decisions of a group are shown elsewhere than on its own page.
const FEW_DECISIONS: usize = 5;

/// Of how many instances the page says why they stay.
const SHOWN_STAYS: usize = 20;

/// Whether two of the group's periods, and the time that an evaluation may take, have passed without an evaluation.
fn is_old(group: &GroupStatus, now: Time) -> bool {
    let (Some(at), Some(next)) = (Time::parse(&group.time), Time::parse(&group.next_evaluation)) else {
        return true;
    };
    now.unix() > next.unix() + (next.unix() - at.unix()).max(1) + 10
}

/// Whether a person should look at the group.
pub(super) fn needs_attention(group: &GroupStatus, now: Time) -> bool {
    // Reasons that come and go while a group scales.
    let usual =
        ["cooldown", "between_points", "minimum", "warming", "converging", "last_serving", "forecast"];
    is_old(group, now)
        || group.paused.is_some()
        || group.launch_failures.is_some()
        || group.drains.iter().any(|drain| drain.overdue)
        || group.zones.iter().any(|zone| !zone.silent.is_empty())
        || group.blocked.iter().any(|block| !usual.contains(&block.reason))
}

/// The state of a group: a sign and a few words.
pub(super) fn state(group: &GroupStatus, now: Time) -> Markup {
    let (class, text) = match group.action {
        _ if is_old(group, now) => ("warn", "⚠ old data"),
        _ if group.paused.is_some() => ("warn", "‖ paused"),
        _ if group.launch_failures.is_some() => ("warn", "⚠ cannot launch"),
        "scale_out" => ("out", "▲ scales out"),
        "scale_in" => ("in", "▼ scales in"),
        _ if group.blocked.iter().any(|block| block.reason == "unknown") => {
            ("warn", "? holds, data is missing")
        }
        _ if group.zones.iter().any(|zone| !zone.silent.is_empty()) => {
            ("warn", "⚠ holds, some do not report")
        }
        _ if !group.drains.is_empty() => ("in", "▽ holds, drains"),
        _ if group.current.warming > 0 => ("out", "△ holds, boots"),
        _ => ("ok", "● holds"),
    };
    html! {
        span .badge .(class) { (text) }
        @if group.dry_run { " " span .badge { "◌ dry run" } }
    }
}

/// A group. `link` leads to its own page; that page itself has none, and shows everything.
pub(super) fn group(
    it: &GroupStatus,
    journal: &Journal,
    (now, links): (Time, &[Link]),
    link: Option<&str>,
) -> Markup {
    let sentence = brief(it, &it.text);
    let (headline, reasons) = sentence.split_once(": ").unwrap_or((&sentence, ""));
    let id = format!("{}-{}-{}", it.fleet, it.region, it.asg);
    html! {
        article aria-label=(it.asg) data-key=(id) {
            div .head {
                h2 { @match link { Some(link) => a href=(link) { (it.asg) }, None => (it.asg) } }
                small { (it.fleet) " · " (it.region) }
                (state(it, now))
                @if !links.is_empty() {
                    nav aria-label=(format!("Links of {}", it.asg)) {
                        @for link in links { a href=(link.of(&it.fleet, &it.asg, &it.region)) { (link.name) } }
                    }
                }
            }
            (warnings(it, now))
            p { strong { (headline) } @if !reasons.is_empty() { ": " (reasons) } }
            (capacity(it))
            @for (name, policy) in &it.policies { (self::policy(it, name, policy, link.is_none())) }
            (section("waits", &waits(it, now)))
            (section("drains", &drains(it, now)))
            (section("steps", &steps(it)))
            (section("failures", &failures(it, now)))
            (section("zones", &zones(it)))
            (section("decisions", &decisions(it, &id, journal, now, link)))
            @if link.is_none() { (section("operate", &operate(it))) }
        }
    }
}

/// A sentence without the message of AWS, which is long and already stands at the top of the group.
fn brief(it: &GroupStatus, text: &str) -> String {
    let Some(failed) = it.launch_failures.as_ref().filter(|failed| !failed.message.is_empty()) else {
        return text.to_owned();
    };
    text.replace(&format!(": {}", failed.message), "").replace(&failed.message, "…")
}

/// A value with all digits but the last, which come from binary fractions.
fn exact(value: f64) -> String {
    format!("{value:.12e}").parse().unwrap_or(value).to_string()
}

/// A part of a group that the script can find again; an empty part is left out.
fn section(key: &str, part: &Markup) -> Markup {
    html! { @if !part.0.is_empty() { section data-key=(key) { (part) } } }
}

/// A table that scrolls where it is wider than the page.
pub(super) fn table(class: Option<&str>, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div .wide { table class=[class] {
            thead { tr { @for head in heads { th { (head) } } } }
            tbody { (rows) }
        } }
    }
}

fn warnings(it: &GroupStatus, now: Time) -> Markup {
    html! {
        @if is_old(it, now) {
            div .note role="status" { p { strong { "⚠ This is old." }
                " The group was last evaluated " (since(&it.time, now)) ", and the next evaluation was due "
                (since(&it.next_evaluation, now))
                ". The scaler cannot read its region, or is stuck: see the problems above and its log." } }
        }
        @if let Some(pause) = &it.paused {
            div .note role="status" { p { strong { "‖ Paused" }
                @match &pause.until {
                    Some(at) => { ", ends " (until(at, now)) " (" (at) ")" },
                    None => ", until someone removes the tag jitsi-scaler/paused, whose value the scaler cannot read",
                }
                ": " (pause.reason) }
                p .soft { "The page shows decisions; the scaler does not carry them out." } }
        }
        @if let Some(failed) = &it.launch_failures {
            div .note role="status" { p { strong { "⚠ AWS fails to launch" } ": " (failed.count) " in a row, the last "
                (since(&failed.last, now)) ": " (failed.message) }
                p .soft { "AWS keeps trying to reach the desired capacity; the scaler does not raise it further meanwhile." } }
        }
    }
}

/// The figures of a group, in order, with their meaning.
const FIGURES: [(&str, &str); 8] = [
    ("minimum", "the smallest capacity allowed now by AWS, the configuration and schedules"),
    ("wanted", "the capacity that this decision wants, without draining instances"),
    ("desired", "the desired capacity of the Auto Scaling group, with draining instances"),
    ("ready", "in service, past the warm-up, not draining"),
    ("reporting", "ready instances that report to Prometheus"),
    ("booting", "launching, warming up, or requested and not launched yet"),
    ("draining", "taking nothing new, and finishing what they carry"),
    ("maximum", "the largest capacity allowed now by AWS, the configuration and schedules"),
];

fn capacity(it: &GroupStatus) -> Markup {
    let c = &it.current;
    let values = [c.min, it.desired, c.desired, c.ready, c.reporting, c.warming, c.draining, c.max];
    html! {
        dl .tiles {
            @for ((name, meaning), value) in FIGURES.iter().zip(values) {
                div title=(meaning) { dt { (name) } dd { (value) } }
            }
        }
        @if !it.schedule.names.is_empty() {
            p .soft { "Schedules in force: " (it.schedule.names.join(", ")) }
        }
    }
}

/// The sign of a datapoint, and its meaning.
fn sign(point: &Datapoint) -> (&'static str, &'static str) {
    match point.state {
        "scale_out" => ("▲", "breaches the scale-out threshold"),
        "scale_in" => ("▼", "breaches the scale-in threshold"),
        "missing" => ("?", "missing"),
        _ => ("○", "fine"),
    }
}

/// The meaning of the signs in a strip.
pub(super) fn legend() -> Markup {
    html! {
        p .soft { "Datapoints, oldest first: ▲ breaches the scale-out threshold, ▼ the scale-in threshold, ○ neither, ? is \
                   missing; pale ones are too old to count. Point at one, or open the page of a group, to see values. \
                   All times are UTC." }
        details id="figures" {
            summary { "Meaning of the figures" }
            dl .soft { @for (name, meaning) in FIGURES { dt { strong { (name) } } dd { (meaning) } } }
        }
    }
}

fn rule(name: &str, rule: &RuleReport) -> Markup {
    html! {
        (name) " "
        @match &rule.when {
            Some(when) => { code { (when) } " in " @if rule.breaching < rule.periods { (rule.breaching) " of " } },
            None => "the value itself, after ",
        }
        (rule.periods) @if rule.periods == 1 { " period" } @else { " periods" }
    }
}

fn verdict(name: &str, word: Option<&'static str>) -> Markup {
    let Some(word) = word else { return html! {} };
    let (class, sign) = match (word, name) {
        ("alarm", "scale-out") => ("out", "▲"),
        ("alarm", _) => ("in", "▼"),
        ("unknown", _) => ("warn", "?"),
        _ => ("ok", "✓"),
    };
    html! { span .badge .(class) { (sign) " " (name) ": " (word) } " " }
}

fn policy(it: &GroupStatus, name: &str, policy: &PolicyReport, in_full: bool) -> Markup {
    let points = it.windows.get(name).map_or(&[][..], Vec::as_slice);
    let alarms = it.alarms.get(name);
    let newest = points.last();
    let values = html! {
        @for point in points.iter().rev() {
            tr data-key=(point.time) {
                td { (clock(&point.time)) }
                td { (point.value.map_or_else(|| "missing".to_owned(), exact)) }
                @let (sign, meaning) = sign(point);
                td { (sign) " " (meaning) }
            }
        }
    };
    let part = html! {
        h3 { "Policy " (name) }
        p {
            (verdict("scale-out", alarms.and_then(|alarms| alarms.scale_out)))
            (verdict("scale-in", alarms.and_then(|alarms| alarms.scale_in)))
            @if let Some(wish) = it.wishes.get(name) { span .badge { "wants " (wish) } }
        }
        (strip(name, points, policy.counted()))
        p .soft {
            "newest " strong { (newest.and_then(|point| point.value).map_or_else(|| "missing".to_owned(), humane)) }
            @for (name, direction) in [("scale-out at", &policy.scale_out), ("scale-in at", &policy.scale_in)] {
                @if let Some(direction) = direction { "; " (rule(name, direction)) }
            }
            " of " (span(i64::try_from(policy.period_seconds).unwrap_or(i64::MAX)))
        }
        @if in_full && !points.is_empty() {
            details id=(format!("values-{}-{}-{name}", it.region, it.asg)) {
                summary { "Values of " (name) }
                (table(None, &["Time", "Value", ""], &values))
            }
        }
    };
    section(&format!("policy-{name}"), &part)
}

/// A window, a sign for each point.
fn strip(name: &str, points: &[Datapoint], counted: usize) -> Markup {
    let older = points.len().saturating_sub(counted);
    html! {
        ol .strip aria-label=(format!("{name}: {} datapoints, oldest first", points.len())) {
            @for (index, point) in points.iter().enumerate() {
                @let (sign, meaning) = sign(point);
                @let value = point.value.map_or_else(String::new, |value| humane(value) + ", ");
                @let words = format!("{}: {value}{meaning}", clock(&point.time));
                li .(point.state) .older[index < older] data-key=(point.time) title=(words) {
                    span aria-hidden="true" { (sign) }
                    span .hidden { (words) }
                }
            }
        }
    }
}

fn waits(it: &GroupStatus, now: Time) -> Markup {
    html! {
        h3 { "What it waits for" }
        ul {
            li { "next evaluation " (until(&it.next_evaluation, now))
                @match it.trigger {
                    "webhook" => " (an alert triggered the last one)",
                    "operator" => " (an operator triggered the last one)",
                    "drain" => " (a bridge that exits triggered the last one)",
                    _ => "",
                }
            }
            @for (what, at) in [("scale-out", &it.cooldowns.scale_out), ("scale-in", &it.cooldowns.scale_in)] {
                @if let Some(at) = at { li { "cooldown: no " (what) " before " (clock(at)) ", " (until(at, now)) } }
            }
            @for block in &it.blocked {
                li { strong { (block.reason.replace('_', " ")) } ": " (brief(it, &block.text))
                    @if let Some(at) = &block.until { ", " (until(at, now)) }
                    (stays(block, now)) }
            }
            @if let Some(at) = &it.schedule.next_change { li { "schedules change " (until(at, now)) " (" (at) ")" } }
        }
    }
}

/// Why each instance stays.
fn stays(block: &Blocked, now: Time) -> Markup {
    let more = block.instances.len().saturating_sub(SHOWN_STAYS);
    html! {
        @if !block.instances.is_empty() {
            ul {
                @for stay in block.instances.iter().take(SHOWN_STAYS) {
                    li data-key=(stay.instance) { (stay.instance) ": " (stay.text)
                        @if let Some(at) = &stay.until { ", " (until(at, now)) } }
                }
                @if more > 0 { li { (more) " more, which the status as JSON lists" } }
            }
        }
    }
}

fn drains(it: &GroupStatus, now: Time) -> Markup {
    let rows = html! {
        @for drain in &it.drains {
            tr data-key=(drain.instance) {
                td { (drain.instance) }
                td { (drain.state) }
                td { (drain.purpose) }
                td { (since(&drain.since, now)) }
                td {
                    (drain.waits_for)
                    @if drain.overdue { " " span .badge .warn { "⚠ longer than drain.timeout" } }
                    @if let Some(limit) = drain.limit_seconds {
                        "; its hook holds it for " (span(i64::try_from(limit).unwrap_or(i64::MAX))) " at most"
                    }
                }
            }
        }
    };
    html! {
        @if !it.drains.is_empty() {
            h3 { "Drains" }
            (table(Some("rows"), &["Instance", "State", "For", "Since", "Waits for"], &rows))
        }
        @if !it.drained_by_hand.is_empty() {
            p { "▽ Drained by hand, at its own interface: " strong { (it.drained_by_hand.join(", ")) }
                ". The scaler leaves it alone until that drain ends." }
        }
        @if let Some(next) = it.next_victim.as_ref().filter(|_| it.drains.is_empty()) {
            p .soft { "No instance drains; a scale-in would drain " (next) " first." }
        }
    }
}

/// The instances by zone, as AWS lists them, and whether they report.
fn zones(it: &GroupStatus) -> Markup {
    // Requested instances have no zone yet.
    let placed: u32 = it.zones.iter().map(|zone| zone.booting).sum();
    let lacking = it.current.warming.saturating_sub(placed);
    let silent: Vec<_> = it.zones.iter().flat_map(|zone| &zone.silent).map(String::as_str).collect();
    let rows = html! {
        @for zone in &it.zones {
            tr data-key=(zone.zone) {
                td { (zone.zone) }
                td { (zone.ready)
                    @if !zone.silent.is_empty() { " " span .badge .warn { "⚠ " (zone.silent.len()) " not reporting" } }
                }
                td { (zone.booting) }
                td { (zone.draining) }
                td { (zone.leaving) }
            }
        }
    };
    html! {
        @if !it.zones.is_empty() {
            h3 { "Instances by zone" }
            (table(Some("figures"), &["Zone", "Ready", "Booting", "Draining", "Leaving"], &rows))
            @if lacking > 0 { p { (lacking) " of the booting instances are requested and not launched yet." } }
            @if !silent.is_empty() {
                p { "⚠ In service, but not reporting to Prometheus: " (silent.join(", ")) "." }
            }
        }
    }
}

fn steps(it: &GroupStatus) -> Markup {
    let title = match (&it.paused, it.dry_run) {
        (Some(_), _) => "Would do, if the group were not paused",
        (None, true) => "Would do, if this were not a dry run",
        (None, false) => "Did at this evaluation",
    };
    html! {
        @if !it.effects.is_empty() {
            h3 { (title) }
            ol { @for effect in &it.effects { li { (effect.text) } } }
        }
    }
}

fn failures(it: &GroupStatus, now: Time) -> Markup {
    let rows = html! {
        @for step in it.failed_steps.iter().rev() {
            tr { td { (since(&step.time, now)) } td { (step.text) } td { "failed to " (step.error) } }
        }
    };
    html! {
        @if !it.failed_steps.is_empty() {
            h3 { "Steps that failed recently" }
            (table(Some("rows"), &["When", "What", "Why"], &rows))
        }
    }
}

fn decisions(it: &GroupStatus, id: &str, journal: &Journal, now: Time, link: Option<&str>) -> Markup {
    let most = if link.is_some() { FEW_DECISIONS } else { usize::MAX };
    let decisions: Vec<_> = journal.of(&it.fleet, &it.region, &it.asg).take(most).collect();
    let rows = html! {
        @for decision in &decisions {
            tr data-key=(decision.time) {
                td { (clock(&decision.time)) " " small { (since(&decision.time, now)) } }
                td {
                    @match decision.action { "scale_out" => "▲ ", "scale_in" => "▼ ", _ => "" }
                    (brief(it, &decision.text))
                }
                td { @for effect in &decision.effects { div { (effect.text) } } }
            }
        }
    };
    let list = table(Some("rows"), &["When", "Decision", "Steps"], &rows);
    html! {
        @if !decisions.is_empty() {
            @if link.is_some() {
                details id=(format!("decisions-{id}")) { summary { "Last decisions that changed" } (list) }
            } @else {
                h3 { "Last decisions that changed" }
                p .soft { "Since the scaler was started, at most 100." }
                (list)
            }
        }
    }
}

/// A command that an operator can copy.
fn operate(it: &GroupStatus) -> Markup {
    let (verb, body) =
        if it.paused.is_some() { ("resume", "{}") } else { ("pause", r#"{"reason": "why", "for": "1h"}"#) };
    html! {
        h3 { @if it.paused.is_some() { "Resume" } @else { "Pause" } }
        pre { "curl --user NAME --json '" (body) "' \\\n  'https://THIS-HOST/api/v1/"
            (path(it).replacen('?', &format!("/{verb}?"), 1)) "'" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FailedLaunches, Paused, sample};

    fn at(text: &str) -> Time {
        Time::parse(text).expect("a time")
    }

    #[test]
    fn a_point_has_a_sign_a_colour_and_words() {
        let point = |state, value| Datapoint { time: "2026-11-20T07:01:00Z".to_owned(), value, state };
        let points =
            [point("scale_out", Some(812_345_678.0)), point("missing", None), point("fine", Some(0.25))];
        insta::assert_snapshot!(strip("network-out", &points, 2).into_string(), @r#"<ol class="strip" aria-label="network-out: 3 datapoints, oldest first"><li class="scale_out older" data-key="2026-11-20T07:01:00Z" title="07:01:00: 812.346 M, breaches the scale-out threshold"><span aria-hidden="true">▲</span><span class="hidden">07:01:00: 812.346 M, breaches the scale-out threshold</span></li><li class="missing" data-key="2026-11-20T07:01:00Z" title="07:01:00: missing"><span aria-hidden="true">?</span><span class="hidden">07:01:00: missing</span></li><li class="fine" data-key="2026-11-20T07:01:00Z" title="07:01:00: 0.25, fine"><span aria-hidden="true">○</span><span class="hidden">07:01:00: 0.25, fine</span></li></ol>"#);
    }

    #[test]
    fn data_is_old_when_an_evaluation_is_missed() {
        let group = sample::group();
        assert!(!is_old(&group, at("2026-11-20T07:02:10Z")));
        assert!(is_old(&group, at("2026-11-20T07:02:11Z")));
        let page = |now| self::group(&group, &Journal::default(), (at(now), &[]), None);
        assert!(page("2026-11-20T07:02:11Z").into_string().contains("This is old."));
        assert!(!page("2026-11-20T07:02:10Z").into_string().contains("This is old."));
    }

    #[test]
    fn the_message_of_failed_launches_is_shown_once() {
        let message = "no capacity in us-east-1c".to_owned();
        let failed =
            FailedLaunches { count: 2, last: "2026-11-20T06:59:00Z".to_owned(), message: message.clone() };
        let group = GroupStatus {
            launch_failures: Some(failed),
            text: format!("hold at 3: AWS failed 2 launches: {message}; 1 still boots"),
            ..sample::group()
        };
        let page =
            self::group(&group, &Journal::default(), (at("2026-11-20T07:00:10Z"), &[]), None).into_string();
        assert_eq!(page.matches(&message).count(), 1, "{page}");
        assert!(
            page.contains("AWS failed 2 launches; 1 still boots") && page.contains("⚠ cannot launch"),
            "{page}"
        );
    }

    #[test]
    fn a_group_that_lacks_data_is_not_called_fine() {
        let now = at("2026-11-20T07:00:10Z");
        let quiet =
            GroupStatus { action: "hold", blocked: vec![], drains: vec![], zones: vec![], ..sample::group() };
        let said = |group: &GroupStatus| state(group, now).into_string();
        assert!(said(&quiet).contains("● holds"));
        let text = "stress has no data".to_owned();
        let unknown = Blocked { reason: "unknown", text, until: None, instances: Vec::new() };
        assert!(
            said(&GroupStatus { blocked: vec![unknown], ..quiet.clone() })
                .contains("? holds, data is missing")
        );
        let silent = GroupStatus { zones: sample::group().zones, ..quiet };
        assert!(said(&silent).contains("⚠ holds, some do not report"));
        assert!(needs_attention(&silent, now));
    }

    #[test]
    fn a_group_without_a_victim_says_of_the_first_instances_why_they_stay() {
        let page = |count| {
            let group = GroupStatus { blocked: vec![sample::no_victim(count)], ..sample::group() };
            self::group(&group, &Journal::default(), (at("2026-11-20T07:00:10Z"), &[]), None).into_string()
        };
        let few = page(2);
        assert!(
            few.contains(r#"<li data-key="i-1">i-1: too young until 2026-11-20T07:05:00Z, <time"#),
            "{few}"
        );
        assert!(few.contains(">in 4 min 50 s<") && !few.contains("which the status as JSON lists"), "{few}");
        let many = page(500);
        assert!(many.contains(">i-19: too young") && !many.contains(">i-20: too young"), "{many}");
        assert!(many.contains("480 more, which the status as JSON lists"), "{many}");
    }

    #[test]
    fn a_bridge_that_a_person_drains_is_shown_as_that() {
        let page = |ids: &[&str]| {
            let drained_by_hand = ids.iter().map(|id| (*id).to_owned()).collect();
            let group = GroupStatus { drained_by_hand, ..sample::group() };
            self::group(&group, &Journal::default(), (at("2026-11-20T07:00:10Z"), &[]), None).into_string()
        };
        let shown = page(&["i-<1>", "i-2"]);
        assert!(shown.contains("at its own interface: <strong>i-&lt;1&gt;, i-2</strong>"), "{shown}");
        assert!(!page(&[]).contains("by hand"));
    }

    #[test]
    fn a_group_has_the_links_that_the_flags_name() {
        let links = ["Runbook=https://wiki/jitsi", "Logs=https://logs/{fleet}?q={asg}"];
        let links = links.map(|link| link.parse::<Link>().expect("a link"));
        let group = GroupStatus { asg: "a\"&b".to_owned(), ..sample::group() };
        let page = |links| {
            self::group(&group, &Journal::default(), (at("2026-11-20T07:00:10Z"), links), None).into_string()
        };
        let with = page(&links[..]);
        assert!(
            with.contains(
                r#"<nav aria-label="Links of a&quot;&amp;b"><a href="https://wiki/jitsi">Runbook</a>"#
            ),
            "{with}"
        );
        assert!(with.contains(r#"<a href="https://logs/jvb?q=a%22%26b">Logs</a></nav>"#), "{with}");
        assert!(!page(&[]).contains("<nav"));
    }

    #[test]
    fn a_value_has_no_digits_from_binary_fractions() {
        let texts = [0.1 + 0.6, 812_345_678.25, -0.0, 1e-9].map(exact);
        assert_eq!(texts, ["0.7", "812345678.25", "-0", "0.000000001"]);
    }

    #[test]
    fn a_paused_group_says_what_it_would_do() {
        let until = Some("2026-11-20T09:00:00Z".to_owned());
        let paused = Some(Paused { until, reason: "new image".to_owned() });
        let group = GroupStatus { paused, ..sample::group() };
        let now = at("2026-11-20T07:00:10Z");
        let page = self::group(&group, &Journal::default(), (now, &[]), None).into_string();
        for text in [
            "‖ paused",
            "new image",
            "in 1 h 59 min",
            "Would do, if the group were not paused",
            "/resume?region=",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
    }
}
