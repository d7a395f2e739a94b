//! One group, in full: its state, its past, its policies, instances and drains.

use std::sync::Arc;

use maud::{Markup, html};

use super::charts::charts;
use super::decisions::{self, Entry};
use super::hands;
use super::instances::{instances, zones};
use super::policies::policy;
use super::table::{section, table};
use super::times::{clock, since, span, until};
use super::troubles::{Trouble, notes, state, troubles};
use super::words::{clauses, said};
use crate::config::link::{Link, encoded};
use crate::http::past::{GroupPast, Span, Told};
use crate::report::{Blocked, GroupStatus};
use crate::units::Time;

/// Of how many instances the page says why they stay.
const SHOWN_STAYS: usize = 20;

/// A group, and what is known of its past.
#[derive(Clone, Debug)]
pub(in crate::http) struct View<'a> {
    /// The group.
    pub(in crate::http) it: &'a GroupStatus,
    /// Its decisions since the scaler was started, newest first.
    pub(in crate::http) memory: Vec<Told>,
    /// Those of the decision log.
    pub(in crate::http) log: Arc<Vec<Told>>,
    /// Whether there is a decision log.
    pub(in crate::http) has_log: bool,
    /// What Prometheus has, or why there is nothing.
    pub(in crate::http) past: Result<Arc<GroupPast>, Arc<str>>,
    /// How far back the page shows the past.
    pub(in crate::http) span: Span,
    /// The token that forms send, where they would be accepted.
    pub(in crate::http) token: hands::Token<'a>,
    /// Whether charts are drawn; a page that is renewed keeps those that it has for a while.
    pub(in crate::http) draws: bool,
}

/// The path of a group's page, relative to the first page.
pub(super) fn path(group: &GroupStatus) -> String {
    format!("fleets/{}/{}?region={}", encoded(&group.fleet), encoded(&group.asg), encoded(&group.region))
}

/// A sentence without the message of AWS, which is long and already stands at the top of the group.
pub(super) fn brief(it: &GroupStatus, text: &str) -> String {
    let Some(failed) = it.launch_failures.as_ref().filter(|failed| !failed.message.is_empty()) else {
        return text.to_owned();
    };
    text.replace(&format!(": {}", failed.message), "").replace(&failed.message, "…")
}

/// What the group does, in one sentence.
pub(super) fn sentence(it: &GroupStatus, now: Time) -> Markup {
    let text = brief(it, &it.text);
    let (headline, reasons) = clauses(&text, false);
    html! { strong { (headline) } @if !reasons.is_empty() { ": " (said(reasons, now)) } }
}

/// A group.
pub(super) fn group(view: &View<'_>, (now, links): (Time, &[Link])) -> Markup {
    let it = view.it;
    let known = view.past.as_deref().ok();
    let acts = known.map_or(&[][..], |past| past.acts.as_slice());
    let mut entries = decisions::entries(&view.memory, &view.log, acts, now.before(view.span.length()));
    for entry in &mut entries {
        entry.text = brief(it, &entry.text);
    }
    let found = troubles(it, known, now);
    let past = view.past.as_deref().map_err(|why| &**why);
    html! {
        article aria-label=(it.asg) data-key=(format!("{}-{}-{}", it.fleet, it.region, it.asg)) {
            div .head {
                h2 { (it.asg) }
                small { (it.fleet) " · " (it.region) }
                (state(it, now))
                @if !links.is_empty() {
                    nav aria-label=(format!("Links of {}", it.asg)) {
                        @for link in links { a href=(link.of(&it.fleet, &it.asg, &it.region)) { (link.name) } }
                    }
                }
            }
            (notes(it, &found, now))
            (section("done", &done(&found, &entries, now)))
            p data-key="sentence" { (sentence(it, now)) }
            (capacity(it))
            (section("past", &charts(it, past, (view.span, view.draws), (decisions::marks(&entries), now))))
            @for (name, policy) in it.policies.iter() { (self::policy(it, name, policy, now)) }
            (section("waits", &waits(it, now)))
            (section("drains", &drains(it, now)))
            (section("steps", &steps(it, now)))
            (section("failures", &failures(it, now)))
            (section("zones", &zones(it)))
            (section("instances", &instances(it, view.token, now)))
            (section("decisions", &decisions::list(&entries, (view.span.text(), view.has_log), now)))
            (section("operate", &hands::group(it, view.token)))
        }
    }
}

/// What the scaler did since the first of the troubles began.
fn done(troubles: &[Trouble], entries: &[Entry], now: Time) -> Markup {
    let first = troubles.iter().filter_map(|trouble| trouble.since).map(|since| since.at).min();
    html! { @if let Some(first) = first { p { (decisions::done_since(entries, first, now)) } } }
}

/// The figures of a group, in order, with their meaning.
const FIGURES: [(&str, &str); 9] = [
    ("minimum", "the smallest capacity allowed now by AWS, the configuration and schedules"),
    ("wanted", "the capacity that this decision wants, without draining instances"),
    ("desired", "the desired capacity of the Auto Scaling group, with draining instances"),
    ("ready", "in service, past the warm-up, not draining"),
    ("reporting", "ready instances that report to Prometheus"),
    ("booting", "launching, warming up, or requested and not launched yet"),
    ("draining", "taking nothing new, and finishing what they carry"),
    (
        "kept",
        "drained by an operator, and staying in the group until they are undrained; not shown without one",
    ),
    ("maximum", "the largest capacity allowed now by AWS, the configuration and schedules"),
];

fn capacity(it: &GroupStatus) -> Markup {
    let c = &it.current;
    let values = [c.min, it.desired, c.desired, c.ready, c.reporting, c.warming, c.draining, c.kept, c.max];
    html! {
        dl .tiles {
            @for ((name, meaning), value) in FIGURES.iter().zip(values).filter(|((name, _), value)| *name != "kept" || *value > 0) {
                div title=(meaning) { dt { (name) } dd { (value) } }
            }
        }
        @if !it.schedule.names.is_empty() {
            p .soft { "Schedules in force: " (it.schedule.names.join(", ")) }
        }
    }
}

/// What the figures mean.
pub(super) fn meanings() -> Markup {
    html! {
        details id="figures" {
            summary { "Meaning of the figures" }
            dl .soft { @for (name, meaning) in FIGURES { dt { strong { (name) } } dd { (meaning) } } }
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
                li { strong { (block.reason.replace('_', " ")) } ": " (said(&brief(it, &block.text), now))
                    @if let Some(at) = &block.until { ", " (until(at, now)) }
                    (stays(block, now)) }
            }
            @if let Some(at) = &it.schedule.next_change { li { "schedules change " (until(at, now)) " (" (said(at, now)) ")" } }
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
                    li data-key=(stay.instance) { (stay.instance) ": " (said(&stay.text, now))
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
                th scope="row" { (drain.instance) }
                td { (drain.state) }
                td { (drain.purpose)
                    @if let Some(by) = &drain.by { ", by " (by) }
                    @if let Some(reason) = &drain.reason { ": " (reason) } }
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

fn steps(it: &GroupStatus, now: Time) -> Markup {
    let title = match (&it.paused, it.dry_run) {
        (Some(_), _) => "Would do, if the group were not paused",
        (None, true) => "Would do, if this were not a dry run",
        (None, false) => "Did at this evaluation",
    };
    html! {
        @if !it.effects.is_empty() {
            h3 { (title) }
            ol { @for effect in &it.effects { li { (said(&effect.text, now)) } } }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Paused, sample};

    fn at(text: &str) -> Time {
        Time::parse(text).expect("a time")
    }

    fn page(it: &GroupStatus, links: &[Link]) -> String {
        let (memory, log, past) = (Vec::new(), Arc::default(), Err("there is none".into()));
        let view = View { it, memory, log, has_log: false, past, span: Span::Hour, token: None, draws: true };
        group(&view, (at("2026-11-20T07:00:10Z"), links)).into_string()
    }

    #[test]
    fn a_group_without_a_victim_says_of_the_first_instances_why_they_stay() {
        let page = |count| {
            page(
                &GroupStatus {
                    blocked: vec![sample::no_victim(count)],
                    instances: Vec::new(),
                    ..sample::group()
                },
                &[],
            )
        };
        let few = page(2);
        assert!(few.contains(r#"<li data-key="i-1">i-1: too young until <time"#), "{few}");
        assert!(few.contains(">07:05<") && few.contains(">in 4 min 50 s<"), "{few}");
        assert!(!few.contains("which the status as JSON lists"), "{few}");
        let many = page(500);
        assert!(many.contains(">i-19: too young") && !many.contains(">i-20: too young"), "{many}");
        assert!(many.contains("480 more, which the status as JSON lists"), "{many}");
    }

    #[test]
    fn a_bridge_that_a_person_drains_is_shown_as_that() {
        let page = |ids: &[&str]| {
            let drained_by_hand = ids.iter().map(|id| (*id).to_owned()).collect();
            page(&GroupStatus { drained_by_hand, ..sample::group() }, &[])
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
        let with = page(&group, &links);
        assert!(
            with.contains(
                r#"<nav aria-label="Links of a&quot;&amp;b"><a href="https://wiki/jitsi">Runbook</a>"#
            ),
            "{with}"
        );
        assert!(with.contains(r#"<a href="https://logs/jvb?q=a%22%26b">Logs</a></nav>"#), "{with}");
        assert!(!page(&group, &[]).contains("Links of"));
    }

    #[test]
    fn a_paused_group_says_what_it_would_do() {
        let until = Some("2026-11-20T09:00:00Z".to_owned());
        let paused = Some(Paused { until, by: None, reason: "new image".to_owned() });
        let page = page(&GroupStatus { paused, ..sample::group() }, &[]);
        for text in ["‖ paused", "Would do, if the group were not paused"] {
            assert!(page.contains(text), "{text} in {page}");
        }
    }

    #[test]
    fn a_trouble_says_what_the_scaler_did_about_it() {
        let mut it = sample::group();
        it.follow(None);
        let shown = page(&it, &[]);
        assert!(shown.contains("1 of 3 instances in us-east-1a do not report to Prometheus"), "{shown}");
        assert!(shown.contains("</time> the scaler has not changed the capacity."), "{shown}");
    }
}
