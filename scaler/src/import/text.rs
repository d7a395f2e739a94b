//! Translated fleets → the text of a configuration, with a comment wherever a person must check or choose.
//!
//! The placeholder of an expression is not PromQL, so `check` refuses the file, with the line, until a person replaces it.

use super::convert::{Imported, ImportedFleet, ImportedPolicy, ImportedRule, Source};

/// The longest line of a comment.
const WIDTH: usize = 115;

const HEAD: &str = "\
Made of CloudWatch alarms and scaling policies by `jitsi-scaler import-cloudwatch`. Before it is of use:
1. Put the address of Prometheus, and PromQL in each place of a <PromQL …>.
2. Read the comments: each stands where AWS and jitsi-scaler differ, or where only you can know.
3. `jitsi-scaler check --online` and `jitsi-scaler run --dry-run` beside the old alarms, for as long as you need.
4. Delete the alarms' scaling policies, and set dry_run to false. Two controllers of one group work against each other.";

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
    let (with, without): (Vec<_>, Vec<_>) =
        imported.fleets.iter().partition(|fleet| !fleet.policies.is_empty());
    for fleet in without {
        out.line(0, "");
        out.comment(0, &format!("Nothing of the group {} could be translated:", one_line(&fleet.group)));
        for remark in &fleet.remarks {
            out.comment(0, remark);
        }
    }
    out.line(0, "");
    if with.is_empty() {
        out.comment(
            0,
            "No alarm in the files uses a scaling policy that could be translated, so there is no fleet.",
        );
    }
    out.line(0, if with.is_empty() { "fleets: []" } else { "fleets:" });
    for fleet in with {
        write_fleet(&mut out, fleet);
    }
    out.0
}

fn write_fleet(out: &mut Out, fleet: &ImportedFleet) {
    out.line(1, &format!("- name: {}", quoted(&fleet.name)));
    out.comment(2, "jvb or jibri: guessed from the group's name");
    out.line(2, if fleet.is_jibri { "component: jibri" } else { "component: jvb" });
    out.line(2, "dry_run: true");
    let regions = fleet.region.as_ref().map(|region| format!("regions: [{}], ", quoted(region)));
    out.line(2, &format!("asg: {{{}names: [{}]}}", regions.unwrap_or_default(), quoted(&fleet.group)));
    if let Some(warmup) = fleet.warmup {
        out.comment(2, "EstimatedInstanceWarmup of AWS");
        out.line(2, &format!("warmup: {warmup}s"));
    }
    out.comment(2, "The address of the component; the README describes the way through the exporter's relay");
    out.line(
        2,
        if fleet.is_jibri {
            "drain: {via: {health: \"http://{private_ip}:2222\", internal: \"http://{private_ip}:3333\"}}"
        } else {
            "drain: {via: \"http://{private_ip}:8080\"}"
        },
    );
    for remark in &fleet.remarks {
        out.comment(2, remark);
    }
    let scales_in = fleet.policies.iter().filter(|policy| policy.scale_in.is_some()).count();
    if scales_in > 1 {
        out.comment(
            2,
            "Several policies scale in. In CloudWatch each could act alone; here all of them must agree.",
        );
    }
    out.line(2, "policies:");
    for policy in &fleet.policies {
        write_policy(out, policy);
    }
}

fn write_policy(out: &mut Out, policy: &ImportedPolicy) {
    let Source { metric, details, period } = &policy.source;
    out.line(3, &format!("- name: {}", quoted(&policy.name)));
    out.comment(4, &format!("CloudWatch: {metric} over {period} s"));
    for detail in details {
        out.comment(4, &format!("  {detail}"));
    }
    out.comment(4, &suggestion(metric));
    out.comment(
        4,
        "One series per group with the label `asg`, in the unit of the thresholds; preferably the name of a recorded series.",
    );
    out.line(4, &format!("expr: {}", quoted(&format!("<PromQL in place of {metric}>"))));
    out.comment(4, "load: an average per instance; idle: a count of free instances; other: neither");
    out.line(4, "measures: other");
    out.line(4, &format!("period: {period}s"));
    if let Some(rule) = &policy.scale_out {
        write_rule(out, "scale_out", rule);
    }
    if let Some(rule) = &policy.scale_in {
        write_rule(out, "scale_in", rule);
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

fn write_rule(out: &mut Out, key: &str, rule: &ImportedRule) {
    out.line(4, &format!("{key}:"));
    out.comment(5, &format!("The alarm \"{}\"", rule.alarm));
    for remark in &rule.remarks {
        out.comment(5, remark);
    }
    out.line(5, &format!("when: \"{}\"", rule.when));
    out.line(5, &format!("periods: {}", rule.periods));
    if let Some(breaching) = rule.breaching {
        out.line(5, &format!("breaching: {breaching}"));
    }
    if let Some(missing) = rule.missing {
        out.line(5, &format!("missing: {missing}"));
    }
    for line in &rule.change {
        out.line(5, line);
    }
    match rule.cooldown {
        Some(0) => {
            out.comment(5, "Step scaling has no cooldown; the warm-up keeps adjustments from adding up.");
            out.line(5, "cooldown: 0s");
        }
        Some(seconds) => out.line(5, &format!("cooldown: {seconds}s")),
        None => out.comment(5, "cooldown: that of the group applied; the default here is 5m, as in AWS."),
    }
}

/// A text in double quotes, which YAML and JSON share.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name in one line: names come from AWS, and a line break would end the comment.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
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
