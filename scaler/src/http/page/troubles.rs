//! What a person should know of a group: what happens, since when, what the scaler does meanwhile, and what to do.
//!
//! Owns how grave each reason to hold is, and the advice about it. The guide says more, under "Why it does not scale".

use maud::{Markup, html};

use super::times::{elapsed, moment, until};
use super::words::said;
use crate::http::past::{GroupPast, Since};
use crate::report::{GroupStatus, ZoneReport, none_in, silent_in};
use crate::units::Time;

/// How many instances a sentence names.
const NAMED: usize = 5;

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It comes and goes while a group scales.
    Usual,
    /// Somebody should look at it.
    Notice,
    /// The group cannot do what it should.
    Broken,
}

/// Something that a person should know.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// How grave it is.
    pub(super) weight: Weight,
    /// Where it can be found again.
    key: String,
    /// What happens, with times as RFC 3339 writes them.
    pub(super) what: String,
    /// Since when.
    pub(super) since: Option<Since>,
    meanwhile: &'static str,
    advice: &'static str,
}

type Row = (&'static str, Weight, &'static str, &'static str);

/// Every reason to hold: its weight, what the scaler does meanwhile, and what to do.
#[rustfmt::skip]
const REASONS: [Row; 26] = [
    ("paused", Weight::Notice, "The page shows decisions; the scaler does not carry them out.", "Resume it when the reason is gone."),
    ("cooldown", Weight::Usual, "", ""),
    ("between_points", Weight::Usual, "", ""),
    ("unknown", Weight::Broken, "Nothing scales in. Policies with data can still scale the group out.",
     "Run the policy's expression in Prometheus; look at its rules and targets."),
    ("weighted_capacity", Weight::Broken, "The group neither scales nor replaces anything.",
     "Let the group count instances: no weights, DesiredCapacityType units."),
    ("maximum", Weight::Notice, "The group stays at its maximum.", "Raise the narrowest maximum, and the quota of the account, if that is right."),
    ("minimum", Weight::Usual, "", ""),
    ("launch_suspended", Weight::Notice, "Nothing scales out.", "Find out who suspended Launch, and run aws autoscaling resume-processes."),
    ("terminate_suspended", Weight::Notice, "Nothing scales in, and no drain ends.",
     "Find out who suspended Terminate, and run aws autoscaling resume-processes."),
    ("instance_refresh", Weight::Notice, "Nothing scales in.", "Wait for the end of the refresh, or allow autoscaling:DescribeInstanceRefreshes."),
    ("warming", Weight::Usual, "", ""),
    ("converging", Weight::Usual, "", ""),
    ("drain_budget", Weight::Usual, "", ""),
    ("data_quality", Weight::Broken, "Nothing scales in until enough instances report again. Scale-outs go on.",
     "Look at the targets of the group in Prometheus."),
    ("forecast", Weight::Usual, "", ""),
    ("no_forecast", Weight::Notice, "Nothing scales in.", "Run the policy's expression in Prometheus."),
    ("no_step", Weight::Notice, "The policy does nothing at this value.", "Leave the outermost bounds of its steps out."),
    ("last_serving", Weight::Usual, "", ""),
    ("no_victim", Weight::Usual, "", ""),
    ("ambiguous_instance", Weight::Notice, "They are neither drained nor replaced.",
     "Run one component per instance, or select one of its series by instances.series."),
    ("unreadable", Weight::Notice, "They stay, and others leave first.", "On a bridge set videobridge.apis.rest.enabled; check drain.via."),
    ("launch_failing", Weight::Broken, "AWS keeps trying to reach the desired capacity; the scaler does not raise it further meanwhile.",
     "Add instance types or zones, raise the quota, or correct the launch template."),
    ("mostly_ill", Weight::Broken, "None of them is replaced.", "Check the measurement and the instances; replace them by hand, or raise max_share."),
    ("replace_budget", Weight::Usual, "", ""),
    ("hook_unknown", Weight::Broken, "Instances that the hook holds get no heartbeat.",
     "Set lifecycle_hook, and allow autoscaling:DescribeLifecycleHooks."),
    ("recycle_waits", Weight::Usual, "", ""),
];

/// A reason that is not listed deserves a look.
fn row(reason: &str) -> Row {
    let known = REASONS.iter().find(|(label, ..)| *label == reason);
    known.copied().unwrap_or(("", Weight::Notice, "", "Read the guide, under \"Why it does not scale\"."))
}

/// Whether two of the group's periods, and the time that an evaluation may take, have passed without an evaluation.
pub(super) fn is_old(group: &GroupStatus, now: Time) -> bool {
    let (Some(at), Some(next)) = (Time::parse(&group.time), Time::parse(&group.next_evaluation)) else {
        return true;
    };
    now.unix() > next.unix() + (next.unix() - at.unix()).max(1) + 10
}

/// Since when something has lasted: as this process saw it, or earlier if Prometheus has it.
fn since(it: &GroupStatus, what: &str, past: Option<&GroupPast>) -> Option<Since> {
    let onset = it.since.get(what)?;
    let own = Since { at: Time::parse(&onset.since)?, or_earlier: onset.or_earlier };
    let longer =
        past.and_then(|past| past.held.get(what)).filter(|longer| own.or_earlier && longer.at < own.at);
    Some(longer.copied().unwrap_or(own))
}

/// Everything that a person should know of a group, the gravest first.
pub(super) fn troubles(it: &GroupStatus, past: Option<&GroupPast>, now: Time) -> Vec<Trouble> {
    let mut found = Vec::new();
    if is_old(it, now) {
        found.push(Trouble {
            weight: Weight::Broken,
            key: "old".to_owned(),
            what: format!("This is old: the group was last evaluated at {}", it.time),
            since: None,
            meanwhile: "The scaler cannot read the group's region, or is stuck.",
            advice: "See the problems on the first page, and the scaler's log.",
        });
    }
    found.extend(silent_instances(it, past));
    found.extend(it.zones.iter().filter(|zone| zone.is_deserted(&it.zones)).map(|zone| Trouble {
        weight: Weight::Notice,
        key: none_in(&zone.zone),
        what: format!("Zone {} has no instance", zone.zone),
        since: since(it, &none_in(&zone.zone), past),
        meanwhile: "The other zones carry its share.",
        advice: "Nothing if its instances left by scale-ins; else look at the zone in the AWS Health Dashboard, and start a \
                 zonal shift away from it if it is down, so that AWS launches in the others.",
    }));
    for drain in it.drains.iter().filter(|drain| drain.overdue) {
        found.push(Trouble {
            weight: Weight::Notice,
            key: format!("overdue {}", drain.instance),
            what: format!("{} drains for longer than drain.timeout: {}", drain.instance, drain.waits_for),
            since: Time::parse(&drain.since).map(|at| Since { at, or_earlier: false }),
            meanwhile: "The drain goes on.",
            advice: "The guide says what to do under \"Drains that do not end\".",
        });
    }
    for block in &it.blocked {
        let (_, weight, meanwhile, advice) = row(block.reason);
        if weight > Weight::Usual {
            let since = since(it, block.reason, past);
            let key = block.reason.to_owned();
            found.push(Trouble {
                weight,
                key,
                what: what(it, block.reason, &block.text),
                since,
                meanwhile,
                advice,
            });
        }
    }
    if it.launch_failures.is_some() && !it.blocked.iter().any(|block| block.reason == "launch_failing") {
        let (label, weight, meanwhile, advice) = row("launch_failing");
        let (key, what) = (label.to_owned(), what(it, label, ""));
        found.push(Trouble { weight, key, what, since: None, meanwhile, advice });
    }
    found.sort_by_key(|trouble| std::cmp::Reverse(trouble.weight));
    found
}

/// What a reason means here. Launches and pauses have more to say than their clause.
fn what(it: &GroupStatus, reason: &str, text: &str) -> String {
    match (reason, &it.launch_failures, &it.paused) {
        ("launch_failing", Some(failed), _) => format!(
            "AWS fails to launch: {} in a row, the last at {}: {}",
            failed.count,
            failed.last,
            failed.message.trim_end_matches('.')
        ),
        ("paused", _, Some(pause)) => {
            let end = if pause.until.is_none() {
                ", until someone removes the tag jitsi-scaler/paused, whose value the scaler cannot read"
            } else {
                ""
            };
            let by = pause.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            format!("Paused{by}{end}: {}", pause.reason)
        }
        _ => capitalised(text),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Up to [`NAMED`] names.
fn named<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
}

/// Where instances that should serve do not report: everywhere, in a whole zone, or here and there.
fn silent_instances(it: &GroupStatus, past: Option<&GroupPast>) -> Vec<Trouble> {
    let zones = || it.zones.iter().filter(|zone| !zone.silent.is_empty());
    let begin = |zone: &ZoneReport| since(it, &silent_in(&zone.zone), past);
    let trouble = |key: String, what: String, since, advice| {
        let meanwhile = "They are not chosen to leave, and stay in the group until they report again or AWS replaces them.";
        Trouble { weight: Weight::Broken, key, what, since, meanwhile, advice }
    };
    let serves = |zone: &ZoneReport| zone.silent.len() < zone.ready as usize;
    if zones().next().is_some() && !it.zones.iter().any(serves) {
        let what =
            format!("No instance reports to Prometheus ({})", named(zones().flat_map(|zone| &zone.silent)));
        let advice = "Look at Prometheus first, then at its targets: it is more likely to fail than all instances at once.";
        return vec![trouble(
            "silent".to_owned(),
            what,
            zones().filter_map(begin).min_by_key(|it| it.at),
            advice,
        )];
    }
    let advice = "Look at their targets in Prometheus, and at the zone in the AWS Health Dashboard. If it is down, start a zonal \
                  shift of the group away from it: AWS then launches in the other zones.";
    let of_zone = |zone: &ZoneReport| {
        let (silent, ready, name) = (zone.silent.len(), zone.ready, &zone.zone);
        let is_whole = !serves(zone) && it.zones.iter().any(serves);
        let what = match (is_whole, ready) {
            (true, 1) => format!("Zone {name} is silent: its only instance does not report to Prometheus"),
            (true, _) => {
                format!("Zone {name} is silent: none of its {ready} instances reports to Prometheus")
            }
            (false, 1) => format!("The only instance in {name} does not report to Prometheus"),
            (false, _) => format!("{silent} of {ready} instances in {name} do not report to Prometheus"),
        };
        trouble(silent_in(name), format!("{what} ({})", named(zone.silent.iter())), begin(zone), advice)
    };
    zones().map(of_zone).collect()
}

/// Since when, in words.
pub(super) fn beginning(since: Since, now: Time) -> Markup {
    html! {
        ", since " (moment(since.at, now)) " (" (elapsed(since.at, now)) ")"
        @if since.or_earlier { " or earlier" }
    }
}

/// The troubles of a group, in full.
pub(super) fn notes(group: &GroupStatus, troubles: &[Trouble], now: Time) -> Markup {
    let end = group.paused.as_ref().and_then(|pause| pause.until.as_deref());
    html! {
        @for it in troubles {
            div .note .(if it.weight == Weight::Broken { "bad" } else { "mild" }) role="status" data-key=(format!("trouble-{}", it.key)) {
                p {
                    strong { @if it.key == "paused" { "‖ " } @else { "⚠ " } (said(&it.what, now)) }
                    @if let Some(since) = it.since { (beginning(since, now)) }
                    @if it.key == "paused" && let Some(at) = end { "; ends " (until(at, now)) }
                }
                @if !it.meanwhile.is_empty() { p { "Meanwhile: " (it.meanwhile) } }
                @if !it.advice.is_empty() { p { "What to do: " (it.advice) } }
            }
        }
    }
}

/// The state of a group: a sign and a few words.
pub(super) fn state(group: &GroupStatus, now: Time) -> Markup {
    let is_blocked = |reason: &str| group.blocked.iter().any(|block| block.reason == reason);
    let capacity = group.current.desired.saturating_sub(group.current.draining);
    let wish = group.wishes.values().max().copied().unwrap_or(capacity);
    let (class, text) = match group.action {
        _ if is_old(group, now) => ("warn", "⚠ old data"),
        _ if group.paused.is_some() => ("warn", "‖ paused"),
        _ if group.launch_failures.is_some() => ("warn", "⚠ cannot launch"),
        "scale_out" => ("out", "▲ scales out"),
        "scale_in" => ("in", "▼ scales in"),
        _ if is_blocked("unknown") => ("warn", "? data is missing"),
        _ if group.zones.iter().any(|zone| !zone.silent.is_empty()) => ("warn", "⚠ some do not report"),
        _ if !group.drains.is_empty() => ("in", "▽ drains"),
        _ if group.current.warming > 0 => ("out", "△ boots"),
        _ if is_blocked("maximum") => ("warn", "▲ wants more, may not"),
        _ if wish > capacity => ("out", "▲ wants more, waits"),
        _ if wish < capacity && is_blocked("minimum") => ("ok", "● at its minimum"),
        _ if wish < capacity => ("in", "▼ wants fewer, waits"),
        _ => ("ok", "● steady"),
    };
    html! {
        span .badge .(class) { (text) }
        @if group.dry_run { " " span .badge { "◌ dry run" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decision::Reason;
    use crate::report::{Blocked, FailedLaunches, Onset, Paused, sample};

    fn at(text: &str) -> Time {
        Time::parse(text).expect("a time")
    }

    fn now() -> Time {
        at("2026-11-20T07:00:10Z")
    }

    fn quiet() -> GroupStatus {
        let (blocked, drains, zones) = (vec![], vec![], vec![]);
        GroupStatus {
            action: "hold",
            desired: 3,
            blocked,
            drains,
            zones,
            wishes: [].into(),
            ..sample::group()
        }
    }

    #[test]
    fn every_reason_to_hold_has_a_weight_and_advice() {
        assert_eq!(REASONS.map(|(label, ..)| label), Reason::LABELS);
        for (label, weight, meanwhile, advice) in REASONS {
            assert_eq!(weight == Weight::Usual, meanwhile.is_empty() && advice.is_empty(), "{label}");
        }
    }

    #[test]
    fn data_is_old_when_an_evaluation_is_missed() {
        let group = quiet();
        assert!(!is_old(&group, at("2026-11-20T07:02:10Z")));
        assert!(is_old(&group, at("2026-11-20T07:02:11Z")));
        let told = |now| notes(&group, &troubles(&group, None, now), now).into_string();
        assert!(told(at("2026-11-20T07:02:11Z")).contains("This is old"));
        assert_eq!(told(at("2026-11-20T07:02:10Z")), "");
    }

    #[test]
    fn a_silent_zone_says_what_since_when_and_what_to_do() {
        let mut group = sample::group();
        let other =
            crate::report::ZoneReport { zone: "us-east-1b".to_owned(), ready: 2, ..Default::default() };
        group.zones.push(other);
        (group.zones[0].ready, group.zones[0].zone) = (1, "us-<1>".to_owned());
        let onset = Onset { since: "2026-11-20T06:58:00Z".to_owned(), or_earlier: true };
        group.since.insert(silent_in("us-<1>"), onset);
        let found = troubles(&group, None, now());
        let page = notes(&group, &found, now()).into_string();
        for text in [
            "Zone us-&lt;1&gt; is silent: its only instance does not report to Prometheus (i-0123456789abcdef1)",
            ">06:58</time>",
            ">2 min 10 s ago</time>) or earlier",
            "What to do: Look at their targets",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert_eq!(found[0].weight, Weight::Broken);
    }

    #[test]
    fn silence_everywhere_points_at_prometheus() {
        let mut group = quiet();
        let zone = |name: &str| {
            let silent = (0..4).map(|number| format!("i-{name}-{number}")).collect();
            ZoneReport { zone: name.to_owned(), ready: 4, silent, ..ZoneReport::default() }
        };
        let whats = |group: &GroupStatus| {
            troubles(group, None, now()).into_iter().map(|trouble| trouble.what).collect::<Vec<_>>()
        };
        group.zones = vec![
            zone("a"),
            zone("b"),
            ZoneReport { zone: "c".to_owned(), leaving: 1, ..ZoneReport::default() },
        ];
        let all = "No instance reports to Prometheus (i-a-0, i-a-1, i-a-2, i-a-3, i-b-0 and 3 more)";
        assert_eq!(whats(&group), [all]);
        let one = GroupStatus { zones: vec![zone("a")], ..quiet() };
        assert_eq!(whats(&one), ["No instance reports to Prometheus (i-a-0, i-a-1, i-a-2, i-a-3)"]);
        assert!(troubles(&one, None, now())[0].advice.starts_with("Look at Prometheus first"));
        group.zones[1].silent.truncate(1);
        assert_eq!(
            whats(&group),
            [
                "Zone a is silent: none of its 4 instances reports to Prometheus (i-a-0, i-a-1, i-a-2, i-a-3)",
                "1 of 4 instances in b do not report to Prometheus (i-b-0)"
            ]
        );
    }

    #[test]
    fn the_message_of_failed_launches_is_shown_once() {
        let message = "no capacity in us-east-1c".to_owned();
        let last = "2026-11-20T06:59:00Z".to_owned();
        let launch_failures = Some(FailedLaunches { count: 2, last, message: message.clone() });
        let mut group = GroupStatus { launch_failures, ..quiet() };
        let page = |group: &GroupStatus| notes(group, &troubles(group, None, now()), now()).into_string();
        assert_eq!(page(&group).matches(&message).count(), 1, "{}", page(&group));
        let text = format!("AWS failed 2 launches: {message}");
        group.blocked.push(Blocked { reason: "launch_failing", text, until: None, instances: Vec::new() });
        assert_eq!(page(&group).matches(&message).count(), 1, "{}", page(&group));
        assert!(state(&group, now()).into_string().contains("⚠ cannot launch"));
    }

    #[test]
    fn a_group_that_lacks_data_is_not_called_fine() {
        let said = |group: &GroupStatus| state(group, now()).into_string();
        assert!(said(&quiet()).contains("● steady"));
        let block = |reason| {
            let text = "stress has no data".to_owned();
            vec![Blocked { reason, text, until: None, instances: Vec::new() }]
        };
        assert!(said(&GroupStatus { blocked: block("unknown"), ..quiet() }).contains("? data is missing"));
        let silent = GroupStatus { zones: sample::group().zones, ..quiet() };
        assert!(said(&silent).contains("⚠ some do not report"));
        let wants = |wish, reason| {
            let wishes = [("stress", wish)].into();
            said(&GroupStatus { wishes, blocked: block(reason), ..quiet() })
        };
        assert!(wants(9, "maximum").contains("▲ wants more, may not"));
        assert!(wants(9, "cooldown").contains("▲ wants more, waits"));
        assert!(wants(1, "cooldown").contains("▼ wants fewer, waits"));
        assert!(wants(1, "minimum").contains("● at its minimum"));
    }

    #[test]
    fn a_pause_says_until_when_and_why() {
        let until = Some("2026-11-20T09:00:00Z".to_owned());
        let paused = Some(Paused {
            until: until.clone(),
            by: Some("<al>".to_owned()),
            reason: "new <image>".to_owned(),
        });
        let text = "the group is paused".to_owned();
        let blocked = vec![Blocked { reason: "paused", text, until, instances: Vec::new() }];
        let page = |group: &GroupStatus| notes(group, &troubles(group, None, now()), now()).into_string();
        let told = page(&GroupStatus { paused, blocked: blocked.clone(), ..quiet() });
        assert!(
            told.contains("‖ Paused by &lt;al&gt;: new &lt;image&gt;") && told.contains(">in 1 h 59 min<"),
            "{told}"
        );
        let paused = Some(Paused { until: None, by: None, reason: "?".to_owned() });
        let blocked = vec![Blocked { until: None, ..blocked[0].clone() }];
        assert!(
            page(&GroupStatus { paused, blocked, ..quiet() }).contains("removes the tag jitsi-scaler/paused")
        );
    }

    #[test]
    fn prometheus_knows_of_the_time_before_a_restart() {
        let mut group = quiet();
        let onset = |or_earlier| Onset { since: "2026-11-20T06:58:00Z".to_owned(), or_earlier };
        let grid = crate::http::past::Span::Hour.grid(now());
        let longer = Since { at: at("2026-11-20T05:00:00Z"), or_earlier: false };
        let past = GroupPast {
            grid,
            figures: [].into(),
            values: [].into(),
            acts: Vec::new(),
            held: [("unknown".to_owned(), longer)].into(),
        };
        group.since.insert("unknown".to_owned(), onset(true));
        assert_eq!(since(&group, "unknown", Some(&past)), Some(longer));
        group.since.insert("unknown".to_owned(), onset(false));
        let own = Since { at: at("2026-11-20T06:58:00Z"), or_earlier: false };
        assert_eq!(since(&group, "unknown", Some(&past)), Some(own));
    }
}
