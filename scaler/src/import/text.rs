//! Translated fleets → the text of a configuration, with a comment wherever a person must check.
//!
//! An open choice is a text in `<` and `>`, which `check` refuses by its line until a person replaces it.

use std::fmt::Display;
use std::time::Duration;

use super::model::{
    Adjustment, Choice, Cooldown, Imported, ImportedFleet, ImportedPolicy, ImportedRule, ImportedSchedule,
    Subject, Words,
};
use crate::config::MOST_PERIODS;
use crate::decide::policy::{Component, Direction};
use crate::units::{Capacity, Period};

/// The longest line of a comment.
const WIDTH: usize = 115;

const HEAD: &str = "\
Made of CloudWatch alarms, scaling policies and scheduled actions by `jitsi-scaler import-cloudwatch`. To make use of it:
1. Write your choice in place of each <…>: `jitsi-scaler check` names them by their lines.
2. Put the address of Prometheus, and read the comments: each stands where AWS and jitsi-scaler differ.
3. `jitsi-scaler check --online` and `jitsi-scaler run --dry-run` beside the old alarms, for as long as you need.
4. Delete the scaling policies and the scheduled actions, and set dry_run to false. Two controllers of one group work \
against each other.";

pub(super) fn configuration(imported: &Imported) -> String {
    let mut out = Out::default();
    for line in HEAD.lines() {
        out.comment(0, line);
    }
    for remark in &imported.remarks {
        out.comment(0, "");
        out.comment(0, remark);
    }
    out.line(0, "prometheus:");
    out.line(1, "url: http://127.0.0.1:9090");
    for (number, open) in imported.open.iter().enumerate() {
        let words = format!("{open}: write its rule by hand, and delete this line");
        // Two keys must differ.
        let number = if number == 0 { String::new() } else { format!(" ({})", number + 1) };
        out.line(0, &format!("{}:", open_text(&format!("{words}{number}"))));
    }
    let (with, without): (Vec<_>, Vec<_>) = imported.fleets.iter().partition(|fleet| fleet.acts());
    for fleet in without {
        out.line(0, "");
        out.comment(0, &format!("Nothing scales the group {}:", one_line(&fleet.group)));
        for remark in &fleet.remarks {
            out.comment(0, remark);
        }
    }
    out.line(0, "");
    if with.is_empty() {
        out.line(
            0,
            &format!("fleets: {}", open_text("at least one fleet: nothing in the files scales a group")),
        );
    } else {
        out.line(0, "fleets:");
    }
    for fleet in with {
        write_fleet(&mut out, fleet);
    }
    out.0
}

fn write_fleet(out: &mut Out, fleet: &ImportedFleet) {
    out.line(1, &format!("- name: {}", quoted(&fleet.name)));
    match fleet.component {
        Some(component) => out.line(2, &format!("component: {}", component.as_str())),
        None => out.line(2, &format!("component: {}", open_text("jvb or jibri"))),
    }
    out.line(2, "dry_run: true");
    let regions = fleet.region.as_ref().map(|region| format!("regions: [{}], ", quoted(region)));
    let is_name = !fleet.group.is_empty() && !fleet.group.contains(['*', '?', ':']);
    let group =
        if is_name { quoted(&fleet.group) } else { open_text(&format!("the group; AWS: {}", fleet.group)) };
    // The label of the README's prometheus.yml; `check --online` finds out whether the series have it.
    let twin = if fleet.has_twin { ", region_label: region" } else { "" };
    out.line(2, &format!("asg: {{{}names: [{group}]{twin}}}", regions.unwrap_or_default()));
    if let Some(warmup) = fleet.warmup {
        out.comment(2, "EstimatedInstanceWarmup of AWS");
        out.line(2, &format!("warmup: {}", seconds(warmup)));
    }
    out.comment(2, "The address of the component; the README describes the way through the exporter's relay");
    out.line(
        2,
        &match fleet.component {
            Some(Component::Jibri) => {
                "drain: {via: {health: \"http://{private_ip}:2222\", internal: \"http://{private_ip}:3333\"}}"
                    .to_owned()
            }
            Some(Component::Jvb) => "drain: {via: \"http://{private_ip}:8080\"}".to_owned(),
            None => format!("drain: {{via: {}}}", open_text("the address of the component, by what it is")),
        },
    );
    for remark in &fleet.remarks {
        out.comment(2, remark);
    }
    write_schedules(out, &fleet.schedules);
    let scales_in =
        |policy: &&ImportedPolicy| policy.rules.iter().any(|rule| rule.direction == Some(Direction::In));
    if fleet.policies.iter().filter(scales_in).count() > 1 {
        out.comment(
            2,
            "Several policies scale in. In CloudWatch each could act alone; here all of them must agree.",
        );
    }
    if fleet.policies.is_empty() && fleet.open.is_empty() {
        out.line(2, &format!("policies: {}", open_text("at least one policy; AWS has none for this group")));
        return;
    }
    out.line(2, "policies:");
    for policy in &fleet.policies {
        write_policy(out, policy);
    }
    for open in &fleet.open {
        out.line(3, &format!("- {}", open_text(&format!("{open}, and delete this line"))));
    }
}

fn write_schedules(out: &mut Out, schedules: &[ImportedSchedule]) {
    if !schedules.is_empty() {
        out.line(2, "schedules:");
    }
    for ImportedSchedule { name, cron, duration, timezone, bounds, remarks } in schedules {
        out.line(3, &format!("- name: {}", quoted(name)));
        for remark in remarks {
            out.comment(4, remark);
        }
        out.line(4, &format!("cron: {}", text(cron)));
        let duration = match duration {
            Choice::Made(length) => seconds(*length),
            Choice::Open(words) => open_text(words),
        };
        out.line(4, &format!("duration: {duration}"));
        out.line(4, &format!("timezone: {}", text(timezone)));
        for (key, bound) in bounds {
            let key = match key {
                Choice::Made(key) => (*key).to_owned(),
                Choice::Open(words) => open_text(words),
            };
            out.line(4, &format!("{key}: {}", plain(bound)));
        }
    }
}

fn write_policy(out: &mut Out, policy: &ImportedPolicy) {
    out.line(3, &format!("- name: {}", quoted(&policy.name)));
    let longest = policy.rules.iter().filter_map(|rule| rule.window).map(|(periods, _)| periods).max();
    let is_too_long = longest.is_some_and(|periods| periods > u32::from(MOST_PERIODS));
    let words = |out: &mut Out, key: &str, Words { choice, details }: &Words| {
        for detail in details {
            out.comment(4, detail);
        }
        out.line(4, &format!("{key}: {}", open_text(choice)));
    };
    match &policy.subject {
        Subject::Metric(source) => {
            out.comment(4, &format!("CloudWatch: {} over {} s", source.metric, source.period));
            for detail in &source.details {
                out.comment(4, detail);
            }
            out.comment(4, &suggestion(&source.metric));
            out.comment(
                4,
                "One series per group with the label `asg`, in the unit of the thresholds; preferably the name of a recorded \
                 series.",
            );
            out.line(4, &format!("expr: {}", open_text(&format!("PromQL in place of {}", source.metric))));
            out.line(4, &format!("measures: {}", measures(source.is_load, &policy.rules)));
            let is_period = Period::try_new(Duration::from_secs(source.period.into())).is_some();
            let period = if is_period && !is_too_long {
                format!("{}s", source.period)
            } else {
                open_text(&format!(
                    "at most 1d, and so that {MOST_PERIODS} periods suffice; AWS: {} s",
                    source.period
                ))
            };
            out.line(4, &format!("period: {period}"));
        }
        Subject::Alert(choice) => words(out, "alert", choice),
        Subject::Desired(choice) => words(out, "desired", choice),
    }
    for rule in &policy.rules {
        write_rule(out, &policy.subject, rule);
    }
}

/// What the value measures: `load` is larger and `idle` is smaller where instances are needed.
fn measures(is_load: bool, rules: &[ImportedRule]) -> String {
    let calls_above = |rule: &ImportedRule| {
        let is_above = rule.when?.is_above();
        rule.direction.map(|direction| (direction == Direction::Out) == is_above)
    };
    let sides: Vec<Option<bool>> = rules.iter().map(calls_above).collect();
    let may = |side: bool| sides.iter().all(|found| found.is_none_or(|found| found == side));
    match (may(true), may(false)) {
        (true, false) if is_load => "load".to_owned(),
        (true, true) => open_text("load, an average per instance; idle, a count of free instances; or other"),
        (true, false) => open_text("load, an average per instance; or other"),
        (false, true) if !is_load => open_text("idle, a count of free instances; or other"),
        _ => "other".to_owned(),
    }
}

/// A hint for a metric that is widely used with Jitsi.
fn suggestion(metric: &str) -> String {
    let metric = metric.to_lowercase();
    let known = [
        ("networkout", "asg:jvb_network_out_bytes:avg1m: bytes per minute and bridge, for a period of 60 s."),
        ("cpuutilization", "100 * avg by (asg) (1 - rate(node_cpu_seconds_total{mode=\"idle\"}[2m]))."),
        ("stress", "asg:jvb_stress:avg, from 0 to 1."),
        ("available", "asg:jibri_available:sum, the free Jibris."),
        ("idle", "asg:jibri_available:sum, the free Jibris."),
        ("busy", "asg:jibri_busy:sum, the Jibris that record."),
        ("participants", "asg:jvb_participants:sum."),
        ("conferences", "asg:jvb_conferences:sum."),
    ];
    let found = known.into_iter().find(|(part, _)| metric.contains(part));
    found.map_or_else(
        || "See exporter/METRICS.md and alerts/rules/recording.yml.".to_owned(),
        |(_, example)| format!("For example {example}"),
    )
}

fn write_rule(out: &mut Out, subject: &Subject, rule: &ImportedRule) {
    let key = match rule.direction {
        Some(Direction::Out) => "scale_out".to_owned(),
        Some(Direction::In) => "scale_in".to_owned(),
        None => open_text("scale_out or scale_in"),
    };
    out.line(4, &format!("{key}:"));
    out.comment(5, &rule.caller);
    for remark in &rule.remarks {
        out.comment(5, remark);
    }
    if let Some(when) = rule.when {
        out.line(5, &format!("when: \"{when}\""));
    }
    if let Some((periods, breaching)) = rule.window {
        let most = u32::from(MOST_PERIODS);
        let number = |number: u32, from: u32| {
            if (from..=most).contains(&number) {
                number.to_string()
            } else {
                open_text(&format!("1 to {MOST_PERIODS} periods; AWS: {number}"))
            }
        };
        out.line(5, &format!("periods: {}", number(periods, 1)));
        if breaching != periods && matches!(subject, Subject::Metric(_)) {
            let breaching = if periods > most {
                open_text(&format!("as many as call for it; AWS: {breaching}"))
            } else {
                number(breaching, 1)
            };
            out.line(5, &format!("breaching: {breaching}"));
        }
    }
    if let Some(missing) = &rule.missing {
        out.line(5, &format!("missing: {}", plain(missing)));
    }
    let verb = if rule.direction == Some(Direction::In) { "remove" } else { "add" };
    match &rule.change {
        Some(Adjustment::By(by)) => out.line(5, &format!("{verb}: {}", plain(by))),
        Some(Adjustment::Set(capacity)) => {
            let fits = u32::try_from(*capacity).ok().and_then(Capacity::try_new);
            let to = fits.map_or_else(|| open_text(&format!("AWS: {capacity}")), |fits| fits.to_string());
            out.line(5, &format!("set: {to}"));
        }
        Some(Adjustment::Steps(steps)) => {
            out.line(5, "steps:");
            for step in steps {
                let bound = |key, bound: Option<f64>| {
                    bound.map_or_else(String::new, |bound| format!("{key}: {bound}, "))
                };
                let (from, to) = (bound("from", step.from), bound("to", step.to));
                out.line(6, &format!("- {{{from}{to}{verb}: {}}}", plain(&step.by)));
            }
        }
        None => {}
    }
    match rule.cooldown {
        Cooldown::None => {
            out.comment(
                5,
                "Its kind of policy has no cooldown; the warm-up keeps adjustments from adding up.",
            );
            out.line(5, "cooldown: 0s");
        }
        Cooldown::Own(length) => out.line(5, &format!("cooldown: {}", seconds(length))),
        Cooldown::Group => {
            out.comment(5, "cooldown: that of the group applied; the default here is 5m, as in AWS.");
        }
    }
}

/// A number of seconds, if anything here may last so long.
fn seconds(length: u64) -> String {
    let longest = Duration::from_hours(24 * 90).as_secs();
    if length <= longest { format!("{length}s") } else { open_text(&format!("at most 90d; AWS: {length} s")) }
}

/// A value that needs no quotes, or an open choice.
fn plain<T: Display>(choice: &Choice<T>) -> String {
    match choice {
        Choice::Made(value) => value.to_string(),
        Choice::Open(words) => open_text(words),
    }
}

/// A text, or an open choice.
fn text(choice: &Choice<String>) -> String {
    match choice {
        Choice::Made(text) => quoted(text),
        Choice::Open(words) => open_text(words),
    }
}

/// An open choice. Its words stand in one line.
fn open_text(words: &str) -> String {
    quoted(&format!("<{}>", one_line(words)))
}

/// A text in double quotes, which YAML and JSON share.
fn quoted(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let escaped = |character: char| match u32::from(character) {
        _ if is_printable(character) => character.to_string(),
        // Outside the first plane every character is printable.
        code => format!("\\u{code:04x}"),
    };
    quoted.chars().map(escaped).collect()
}

/// Whether YAML may have a character as it is. Source: YAML 1.2.2, chapter 5.1; without what breaks a line, and the mark
/// of a file's beginning.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A name in one line: names come from AWS, and a line break would end the comment.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if is_printable(character) { character } else { ' ' }).collect()
}

#[derive(Default)]
struct Out(String);

impl Out {
    fn line(&mut self, depth: usize, text: &str) {
        if !text.is_empty() {
            self.0.extend(std::iter::repeat_n("  ", depth));
            self.0.push_str(text);
        }
        self.0.push('\n');
    }

    /// A comment, broken into lines between words.
    fn comment(&mut self, depth: usize, text: &str) {
        let room = WIDTH - 2 * depth - 2;
        let mut line = String::new();
        for word in one_line(text).split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
                self.line(depth, &format!("# {line}"));
                line.clear();
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(depth, format!("# {line}").trim_end());
    }
}
