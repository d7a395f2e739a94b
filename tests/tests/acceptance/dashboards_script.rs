//! The script of a day: what was true at each second, and so what each number must be.

use std::fmt::Write as _;
use std::ops::Range;

/// When the day begins, as a Unix time.
pub(crate) const BEGIN: i64 = 1_699_999_200;
/// When the stats are read: five hours later.
pub(crate) const NOW: i64 = BEGIN + 300 * 60;
/// From this second of the day on nothing is scraped any more.
pub(crate) const DARK: i64 = 340 * 60;
/// The seconds of the day in which nothing was scraped in between.
pub(crate) const GAP: Range<i64> = 150 * 60..170 * 60;
/// The minute of a decision that nobody saw being made.
pub(crate) const DECIDED_IN_GAP: i64 = 155;
/// Scrapes do not begin at whole minutes.
const PHASE: i64 = 7;

/// What happened, and in which minute of the day.
type Event = (&'static str, i64);

/// Decisions of the fleets that act: group and action, and minute of the day.
const DONE: &[Event] = &[
    ("prod-jvb scale_out", 31),
    ("prod-jvb scale_out", 32),
    ("prod-jvb scale_out", 95),
    ("prod-jvb scale_out", DECIDED_IN_GAP),
    ("prod-jvb scale_out", 200),
    ("prod-jvb scale_in", 120),
    ("prod-jvb scale_in", 241),
    ("prod-jibri scale_out", 60),
];
/// Decisions of a dry run.
const TRIED: &[Event] =
    &[("trial-jvb scale_out", 45), ("trial-jvb scale_out", 130), ("trial-jvb scale_in", 250)];
/// Sessions of Jibris that failed, all refused.
const FAILED: &[Event] = &[("recording", 20), ("recording", 110), ("recording", 111), ("recording", 260)];
/// Drains that ended after ten minutes: in every bucket from 15 minutes on.
const DRAINED: &[Event] = &[("900.0", 135), ("900.0", 256), ("+Inf", 135), ("+Inf", 256)];

/// Dashboard, panel, number of the target, and the events that its bars show.
pub(crate) const BARS: &[(&str, &str, usize, &[Event])] = &[
    ("jitsi-overview", "Decisions", 0, DONE),
    ("jitsi-overview", "Decisions", 1, TRIED),
    ("jitsi-scaler", "Decisions", 0, DONE),
    ("jitsi-scaler", "Decisions", 1, TRIED),
    ("jitsi-scaler", "How long drains take", 0, DRAINED),
    ("jitsi-jibri", "Sessions failed", 0, FAILED),
];

/// Annotation, and the decisions that it marks.
pub(crate) const ANNOTATED: &[(&str, &[Event])] = &[
    (
        "Scaled out",
        &[
            ("prod-jvb scale_out", 31),
            ("prod-jvb scale_out", 32),
            ("prod-jvb scale_out", 95),
            ("prod-jvb scale_out", DECIDED_IN_GAP),
            ("prod-jvb scale_out", 200),
            ("prod-jibri scale_out", 60),
        ],
    ),
    ("Scaled in", &[("prod-jvb scale_in", 120), ("prod-jvb scale_in", 241)]),
    ("Would have scaled (dry run)", TRIED),
];

/// Dashboard, panel and number of each stat at [`NOW`], with four hours shown.
pub(crate) const KNOWN: &[(&str, &str, f64)] = &[
    ("jitsi-overview", "Critical alerts", 1.0),
    ("jitsi-overview", "Warnings", 0.0),
    ("jitsi-overview", "Scaler", 2.0),
    ("jitsi-overview", "At the maximum", 1.0),
    ("jitsi-overview", "Not reporting", 1.0),
    ("jitsi-overview", "Draining", 2.0),
    ("jitsi-overview", "Oldest drain", 600.0),
    ("jitsi-overview", "Recordings refused", 3.0),
    ("jitsi-overview", "People", 120.0),
    ("jitsi-overview", "Conferences", 24.0),
    ("jitsi-overview", "Recordings", 3.0),
    ("jitsi-overview", "Free Jibris", 2.0),
    ("jitsi-overview", "Mean stress", 0.35),
    ("jitsi-overview", "Highest stress", 0.4),
    // 15 instances, four hours less the gap, of whose minutes five are still within Prometheus' lookback.
    ("jitsi-overview", "Instance-hours", 15.0 * 225.0 / 60.0),
    ("jitsi-overview", "Cost", 0.17 * 15.0 * 225.0 / 60.0),
    ("jitsi-jvb", "Serving", 2.0),
    ("jitsi-jvb", "Not answering", 1.0),
    ("jitsi-jvb", "Ill", 0.0),
    ("jitsi-jvb", "Draining", 1.0),
    ("jitsi-jvb", "Mean stress", 0.35),
    ("jitsi-jvb", "Highest stress", 0.4),
    ("jitsi-jvb", "People", 120.0),
    ("jitsi-jvb", "Sent", 3e6),
    ("jitsi-jicofo", "Not answering", 0.0),
    ("jitsi-jicofo", "Ill", 0.0),
    ("jitsi-jicofo", "Conferences", 24.0),
    ("jitsi-jicofo", "People", 120.0),
    ("jitsi-jicofo", "Working bridges", 5.0),
    ("jitsi-jicofo", "Free Jibris", 2.0),
    ("jitsi-jibri", "Free", 2.0),
    ("jitsi-jibri", "Busy", 3.0),
    ("jitsi-jibri", "Ill", 0.0),
    ("jitsi-jibri", "Not answering", 0.0),
    ("jitsi-jibri", "Longest idle", 1800.0),
    ("jitsi-jibri", "Failed", 3.0),
    ("jitsi-jibri", "Errors", 0.0),
    ("jitsi-scaler", "Scaler", 2.0),
    ("jitsi-scaler", "Last evaluation", 20.0),
    ("jitsi-scaler", "Groups", 3.0),
    ("jitsi-scaler", "Groups missing", 0.0),
    ("jitsi-scaler", "Failing calls", 0.25),
    ("jitsi-scaler", "Failing queries", 0.0),
    ("jitsi-scaler", "Oldest drain", 600.0),
    ("jitsi-scaler", "Configuration", 1.0),
    ("jitsi-exporter", "Exporters", 1.0),
    ("jitsi-exporter", "Scrapes", 0.1),
    ("jitsi-exporter", "Failing", 0.0),
    ("jitsi-exporter", "Slowest", 0.25),
    ("jitsi-exporter", "Memory", 12e6),
    ("jitsi-exporter", "Configuration", 1.0),
];

/// Dashboard, panel, number of the target, and the values of its series at [`NOW`].
pub(crate) const LINES: &[(&str, &str, usize, &[f64])] = &[
    // Interpolated in its bucket, 19 of 20 conferences would have up to 9.5 participants.
    ("jitsi-jicofo", "Size of conferences", 0, &[9.0]),
    ("jitsi-jicofo", "Size of conferences", 1, &[9.0]),
    ("jitsi-jicofo", "Size of conferences", 2, &[5.0]),
    // One row for each bridge: silent, two that serve, and one that drains and leaves.
    ("jitsi-jvb", "State of each bridge", 0, &[0.0, 2.0, 2.0, 4.0]),
    ("jitsi-jvb", "Stress", 1, &[0.4]),
    // The same policy of two groups of one name, upwards: unknown in one region, in alarm in the other. All else is well.
    ("jitsi-scaler", "Verdicts", 0, &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0]),
    // The bridges drain, the trial grows, and the Jibris may not grow.
    ("jitsi-overview", "State of each group", 0, &[2.0, 3.0, 6.0]),
    ("jitsi-overview", "Capacity of $asg", 0, &[3.0, 5.0, 5.0]),
];

/// Policies by the name under which they are drawn: what each reads, and where it scales out and in.
pub(crate) const POLICIES: &[(&str, [f64; 3])] =
    &[("prod-jvb: stress", [0.35, 0.45, 0.25]), ("trial-jvb: people/bridge", [90.0, 80.0, 20.0])];
/// What the first of them reads in another region.
pub(crate) const ELSEWHERE: f64 = 0.5;

/// Stats of the overview while only the fleet of bridges is chosen.
pub(crate) const ONLY_BRIDGES: &[(&str, Option<f64>)] = &[
    ("People", Some(120.0)),
    ("Draining", Some(1.0)),
    ("Scaler", Some(0.0)),
    ("Recordings", None),
    ("Free Jibris", None),
];

/// A series and what it is at a second of the day.
type Series = (String, Box<dyn Fn(i64) -> f64>);

fn constant(series: impl Into<String>, value: f64) -> Series {
    (series.into(), Box::new(move |_| value))
}

#[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
fn linear(series: impl Into<String>, per_second: f64) -> Series {
    (series.into(), Box::new(move |second| per_second * second as f64))
}

/// A counter of the events of one kind; before the day it was at `before`.
#[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
fn counter(series: String, before: f64, events: &'static [Event], kind: &str) -> Series {
    let at: Vec<i64> = events.iter().filter(|(of, _)| *of == kind).map(|(_, minute)| minute * 60).collect();
    (series, Box::new(move |second| before + at.iter().filter(|at| **at <= second).count() as f64))
}

fn decisions() -> Vec<Series> {
    let mut all = Vec::new();
    for (fleet, asg, events, dry_run) in [
        ("jvb", "prod-jvb", DONE, "false"),
        ("jibri", "prod-jibri", DONE, "false"),
        ("trial", "trial-jvb", TRIED, "true"),
    ] {
        let series = |action: &str| {
            format!(
                "jitsi_scaler_decisions_total{{{SCALER}, fleet=\"{fleet}\", asg=\"{asg}\", region=\"r\", \
                 action=\"{action}\", dry_run=\"{dry_run}\"}}"
            )
        };
        for action in ["scale_out", "scale_in"] {
            all.push(counter(series(action), 7.0, events, &format!("{asg} {action}")));
        }
        all.push(linear(series("hold"), 1.0 / 60.0));
    }
    all
}

const SCALER: &str = r#"job="jitsi-scaler", instance="s:10066""#;
const EXPORTER: &str = r#"job="jitsi", instance="i-1:10065""#;

fn groups() -> Vec<Series> {
    let mut all = Vec::new();
    for (fleet, asg, figures) in [
        ("jvb", "prod-jvb", [("desired", 4.0), ("ready", 3.0), ("reporting", 2.0), ("draining", 1.0)]),
        ("jibri", "prod-jibri", [("desired", 6.0), ("ready", 5.0), ("reporting", 5.0), ("draining", 1.0)]),
        ("trial", "trial-jvb", [("desired", 5.0), ("ready", 5.0), ("reporting", 5.0), ("draining", 0.0)]),
    ] {
        let group = format!("{SCALER}, fleet=\"{fleet}\", asg=\"{asg}\", region=\"r\"");
        let warming = f64::from(asg == "trial-jvb");
        // Of what seldom holds there is a series only while it holds.
        let seldom = |state: &str, count: f64| ["draining", "warming"].contains(&state) && count == 0.0;
        let states = figures.into_iter().chain([("warming", warming)]);
        for (state, count) in states.filter(|(state, count)| !seldom(state, *count)) {
            all.push(constant(format!("jitsi_scaler_group_instances{{{group}, state=\"{state}\"}}"), count));
        }
        for reason in ["maximum", "launch_suspended"].iter().filter(|_| asg == "prod-jibri") {
            all.push(constant(format!("jitsi_scaler_group_blocked{{{group}, reason=\"{reason}\"}}"), 1.0));
        }
        if figures[3].1 > 0.0 {
            all.push(constant(format!("jitsi_scaler_oldest_drain_seconds{{{group}}}"), 600.0));
        }
        let fleet = format!("{SCALER}, fleet=\"{fleet}\"");
        all.push(constant(format!("jitsi_scaler_fleet_groups{{{fleet}}}"), 1.0));
        all.push(constant(format!("jitsi_scaler_fleet_groups_missing{{{fleet}}}"), 0.0));
        // Whatever the scrape interval, the newest scrape before the stats are read says so.
        #[expect(clippy::cast_precision_loss, reason = "a Unix time has ten digits")]
        let evaluated = (NOW - 20) as f64;
        all.push(constant(format!("jitsi_scaler_last_evaluation_timestamp_seconds{{{fleet}}}"), evaluated));
        all.push(linear(format!("jitsi_scaler_prometheus_queries_total{{{fleet}, outcome=\"ok\"}}"), 0.05));
    }
    for (fleet, (name, [value, out, back])) in ["jvb", "trial"].iter().zip(POLICIES) {
        let (asg, policy) = name.split_once(": ").expect("a group and a policy");
        let of = format!("{SCALER}, fleet=\"{fleet}\", asg=\"{asg}\", region=\"r\", policy=\"{policy}\"");
        all.push(constant(format!("jitsi_scaler_policy_value{{{of}}}"), *value));
        for (direction, threshold) in [("out", out), ("in", back)] {
            let of = format!("{SCALER}, fleet=\"{fleet}\", policy=\"{policy}\"");
            let series = format!("jitsi_scaler_policy_threshold{{{of}, direction=\"{direction}\"}}");
            all.push(constant(series, *threshold));
        }
    }
    for (region, verdict) in [("r", "unknown"), ("s", "alarm")] {
        let policy =
            format!("{SCALER}, fleet=\"jvb\", asg=\"prod-jvb\", region=\"{region}\", policy=\"stress\"");
        all.push(constant(
            format!("jitsi_scaler_policy_verdict{{{policy}, direction=\"out\", verdict=\"{verdict}\"}}"),
            1.0,
        ));
        if region == "s" {
            all.push(constant(format!("jitsi_scaler_policy_value{{{policy}}}"), ELSEWHERE));
        }
    }
    for (le, kind) in [("60.0", "none"), ("900.0", "900.0"), ("+Inf", "+Inf")] {
        let series =
            format!("jitsi_scaler_drain_duration_seconds_bucket{{{SCALER}, fleet=\"jvb\", le=\"{le}\"}}");
        all.push(counter(series, 3.0, DRAINED, kind));
    }
    all
}

fn programs() -> Vec<Series> {
    let of = |metric: &str, labels: &str, value| constant(format!("{metric}{{{labels}}}"), value);
    let failing = format!("{SCALER}, call=\"SetDesiredCapacity\", outcome=\"throttled\"");
    let fine = format!("{SCALER}, call=\"DescribeAutoScalingGroups\", outcome=\"ok\"");
    let mut all = vec![
        of("up", SCALER, 1.0),
        of("jitsi_scaler_leader", SCALER, 1.0),
        of("jitsi_scaler_build_info", SCALER, 1.0),
        of("jitsi_scaler_config_last_reload_successful", SCALER, 1.0),
        linear(format!("jitsi_scaler_cloud_calls_total{{{failing}}}"), 0.05),
        linear(format!("jitsi_scaler_cloud_calls_total{{{fine}}}"), 0.15),
        of("up", EXPORTER, 1.0),
        of("jitsi_exporter_build_info", EXPORTER, 1.0),
        of("jitsi_exporter_config_last_reload_successful", EXPORTER, 1.0),
        of("process_resident_memory_bytes", EXPORTER, 12e6),
        linear(format!("jitsi_exporter_scrapes_total{{{EXPORTER}, component=\"jvb\"}}"), 0.1),
        constant(
            format!(
                "jitsi_exporter_scrape_failures_total{{{EXPORTER}, component=\"jvb\", reason=\"refused\"}}"
            ),
            4.0,
        ),
    ];
    // Other processes and targets of the same Prometheus are none of ours.
    for number in 0..18 {
        let other = format!("job=\"node\", instance=\"i-{number}:9100\"");
        all.push(of("up", &other, 1.0));
        all.push(of("process_resident_memory_bytes", &other, 9e9));
    }
    all
}

fn components() -> Vec<Series> {
    let mut all = Vec::new();
    for (number, up, serving, draining, stress) in
        [(1, 1.0, 1.0, 0.0, 0.3), (2, 1.0, 1.0, 0.0, 0.4), (3, 1.0, 0.0, 1.0, 0.9), (4, 0.0, 0.0, 0.0, 0.0)]
    {
        let bridge = format!(
            "job=\"jitsi\", instance=\"i-{number}:10065\", instance_id=\"i-{number}\", asg=\"prod-jvb\", zone=\"a\", \
             shard=\"1\""
        );
        let mut of = |metric: &str, value| all.push(constant(format!("{metric}{{{bridge}}}"), value));
        of("jvb_up", up);
        of("instance:jvb_serving:bool", serving);
        if up > 0.0 {
            of("jvb_healthy", 1.0);
            of("jvb_draining", draining);
            of("jvb_graceful_shutdown", draining);
            of("jvb_stress_ratio", stress);
            of("jvb_local_endpoints", 40.0);
            of("jvb_outgoing_bits_per_second", 1e6);
            of("jvb_scrape_duration_seconds", 0.25);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a Unix time has ten digits")]
    let idle_since = (NOW - 1800) as f64;
    for number in 1..=5 {
        let jibri = format!(
            "job=\"jitsi\", instance=\"r-{number}:10065\", instance_id=\"r-{number}\", asg=\"prod-jibri\", zone=\"a\", \
             shard=\"1\""
        );
        let busy = f64::from(number > 2);
        let mut of = |metric: &str, value| all.push(constant(metric.replace("JIBRI", &jibri), value));
        of("jibri_up{JIBRI}", 1.0);
        of("jibri_healthy{JIBRI}", 1.0);
        of("jibri_available{JIBRI}", 1.0 - busy);
        of("jibri_status{JIBRI, status=\"busy\"}", busy);
        of("jibri_errors_total{JIBRI}", 2.0);
        if busy < 1.0 {
            of("instance:jibri_idle_start_seconds:last{JIBRI}", idle_since);
        }
    }
    for (shard, bridges, conferences) in [("1", 3.0, 16.0), ("2", 2.0, 8.0)] {
        let jicofo = format!("job=\"jicofo\", instance=\"j-{shard}:10065\", shard=\"{shard}\"");
        let mut of = |metric: &str, value| all.push(constant(format!("{metric}{{{jicofo}}}"), value));
        of("jicofo_up", 1.0);
        of("jicofo_healthy", 1.0);
        of("jicofo_conferences", conferences);
        of("jicofo_participants", 5.0 * conferences);
        of("jicofo_operational_bridges", bridges);
        of("jicofo_jibri_available", bridges - 2.0 + f64::from(shard == "2"));
    }
    let first = "job=\"jicofo\", instance=\"j-1:10065\", shard=\"1\"";
    let failures = format!("jicofo_jibri_failures_total{{{first}, type=\"recording\"}}");
    all.push(counter(failures, 5.0, FAILED, "recording"));
    // The other shard has no Jibris, and fails all the time.
    let second = "job=\"jicofo\", instance=\"j-2:10065\", shard=\"2\"";
    all.push(linear(format!("jicofo_jibri_failures_total{{{second}, type=\"sip_call\"}}"), 0.01));
    all.push(constant(format!("jicofo_largest_conference{{{first}}}"), 9.0));
    for (le, count) in [("5.0", 10.0), ("10.0", 20.0), ("+Inf", 20.0)] {
        all.push(constant(format!("jicofo_conference_size_bucket{{{first}, le=\"{le}\"}}"), count));
    }
    all.push(counter(
        format!("jicofo_jibri_no_instance_failures_total{{{first}}}"),
        1.0,
        FAILED,
        "recording",
    ));
    all
}

fn recorded() -> Vec<Series> {
    let mut all = Vec::new();
    for (metric, asg, value) in [
        ("asg:jvb_up:sum", "prod-jvb", 3.0),
        ("asg:jvb_participants:sum", "prod-jvb", 120.0),
        ("asg:jvb_conferences:sum", "prod-jvb", 24.0),
        ("asg:jvb_stress:avg", "prod-jvb", 0.35),
        ("asg:jvb_stress:max", "prod-jvb", 0.4),
        ("asg:jitsi_headroom:sum", "prod-jvb", 1.3),
        ("asg:jibri_up:sum", "prod-jibri", 5.0),
        ("asg:jibri_busy:sum", "prod-jibri", 3.0),
        ("asg:jibri_available:sum", "prod-jibri", 2.0),
        ("asg:jitsi_headroom:sum", "prod-jibri", 2.0),
    ] {
        all.push(constant(format!("{metric}{{asg=\"{asg}\"}}"), value));
    }
    let alert = |name: &str, severity: &str, state: &str| {
        format!(
            "ALERTS{{alertname=\"{name}\", severity=\"{severity}\", alertstate=\"{state}\", asg=\"prod-jibri\"}}"
        )
    };
    all.push(constant(alert("JitsiScalerOutOfCapacity", "critical", "firing"), 1.0));
    all.push(constant(alert("JibriBusyForLong", "warning", "pending"), 1.0));
    all.push(constant(alert("NodeDown", "warning", "firing"), 1.0));
    all
}

/// The first scrape at or after a second of the day.
pub(crate) fn first_scrape(second: i64, interval: i64) -> i64 {
    PHASE + (second - PHASE + interval - 1).div_euclid(interval) * interval
}

/// The day as OpenMetrics, scraped every `interval` seconds.
pub(crate) fn exposition(interval: i64) -> String {
    let mut text = String::new();
    let all = [decisions(), groups(), programs(), components(), recorded()];
    for (series, value) in all.iter().flatten() {
        // Promtool reads no space between labels.
        let series = series.replace(", ", ",");
        let mut second = PHASE;
        while second < DARK {
            if !GAP.contains(&second) {
                let _ = writeln!(text, "{series} {} {}", value(second), BEGIN + second);
            }
            second += interval;
        }
    }
    text + "# EOF\n"
}
