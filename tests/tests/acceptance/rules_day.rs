//! A clean day with a hundred scale-ins, on Prometheus' own rule engine: no alert fires.

use std::fmt::Write as _;
use std::process::Command;

use jitsi_tests::harness::tool;

use crate::dashboards::root;

/// Scale-ins of the day, ten minutes apart.
const SCALE_INS: usize = 100;
/// Minutes between two of them.
const APART: usize = 10;
/// Bridges that stay.
const STAY: usize = 3;
/// Minutes of a drain, and after them of the shutdown that Jicofo still counts.
const DRAINS: usize = 8;
/// Every so many points one bridge's end reaches Jicofo before its shutdown does, and counts as lost.
const UNHEARD: usize = 3;

/// The day as an input of `promtool test rules`: one point a minute.
struct Script {
    text: String,
    scale_ins: usize,
}

impl Script {
    /// A series; `None` is no sample, and the first `None` after a sample a staleness marker.
    fn series(&mut self, name: &str, minutes: usize, value: impl Fn(usize) -> Option<usize>) {
        let mut words: Vec<(String, usize)> = Vec::new();
        let mut there = false;
        for minute in 0..=minutes {
            let word = match (value(minute), there) {
                (Some(number), _) => number.to_string(),
                (None, true) => "stale".to_owned(),
                (None, false) => "_".to_owned(),
            };
            there = value(minute).is_some();
            match words.last_mut() {
                Some((last, times)) if *last == word => *times += 1,
                _ => words.push((word, 0)),
            }
        }
        let notation: Vec<String> = words
            .iter()
            .map(|(word, times)| match (word.as_str(), times) {
                ("_", times) => format!("_x{}", times + 1),
                (word, 0) => word.to_owned(),
                (word, times) => format!("{word}x{times}"),
            })
            .collect();
        let notation = notation.join(" ");
        writeln!(self.text, "      - {{series: '{name}', values: \"{notation}\"}}").expect("a string");
    }
}

/// When bridge `number` is launched, and when it answers. The first are there before the day.
fn start_of(number: usize) -> [usize; 2] {
    let launched = 25 + number.saturating_sub(STAY) * APART;
    if number < STAY { [0, 0] } else { [launched, launched + 4] }
}

/// When bridge `number` begins to drain, shuts down, and is gone.
fn end_of(number: usize) -> [usize; 3] {
    let begins = 30 + number * APART;
    [begins, begins + DRAINS, begins + DRAINS + 2]
}

fn bridges(script: &mut Script, minutes: usize) {
    let scale_ins = script.scale_ins;
    for number in 0..scale_ins + STAY {
        let [drains, leaves, gone] = if number < scale_ins { end_of(number) } else { [minutes + 1; 3] };
        let [launched, answers] = start_of(number);
        let labels = format!(
            "job=\"jitsi\", instance=\"10.0.0.{number}:10065\", asg=\"prod-jvb\", instance_id=\"i-{number}\", zone=\"{}\"",
            ["a", "b", "c"][number % 3]
        );
        let alive = |minute: usize| minute >= launched && minute < gone;
        let up = |minute: usize| minute >= answers;
        let mut of = |metric: &str, value: &dyn Fn(usize) -> usize| {
            script.series(&format!("{metric}{{{labels}}}"), minutes, |minute| {
                (alive(minute) && up(minute)).then(|| value(minute))
            });
        };
        of("jvb_healthy", &|_| 1);
        of("jvb_draining", &|minute| usize::from(minute >= drains));
        of("jvb_graceful_shutdown", &|minute| usize::from(minute >= leaves));
        of("jvb_shutting_down", &|minute| usize::from(minute >= leaves));
        of("jvb_local_endpoints", &|minute| if minute >= leaves { 0 } else { 20 });
        of("jvb_muc_clients_configured", &|_| 1);
        of("jvb_muc_clients_connected", &|_| 1);
        of("jvb_ice_succeeded_total", &|minute| 5 * minute);
        of("jvb_ice_failed_total", &|_| 0);
        of("jvb_statistics_timestamp_seconds", &|minute| 60 * minute);
        script.series(&format!("jvb_up{{{labels}}}"), minutes, |minute| {
            alive(minute).then(|| usize::from(up(minute)))
        });
        // Discovery drops a terminated instance two minutes late.
        script.series(&format!("up{{{labels}}}"), minutes, |minute| {
            (minute >= launched && minute < gone + 2).then(|| usize::from(minute < gone))
        });
    }
}

/// How many bridges are known to Jicofo: from when they are up to when they are gone.
fn known(scale_ins: usize, minute: usize) -> usize {
    let is_known = |number: &usize| {
        let gone = if *number < scale_ins { end_of(*number)[2] } else { usize::MAX };
        minute >= start_of(*number)[1] && minute < gone
    };
    (0..scale_ins + STAY).filter(is_known).count()
}

/// How many scale-ins have ended, a little later than `minute` by `late` minutes.
fn ended(scale_ins: usize, minute: usize, late: usize, every: usize) -> usize {
    (0..scale_ins).filter(|number| number % every == 0 && end_of(*number)[2] + late <= minute).count()
}

fn jicofo(script: &mut Script, minutes: usize) {
    let scale_ins = script.scale_ins;
    let known = |minute: usize| known(scale_ins, minute);
    let labels = "job=\"jicofo\", instance=\"jicofo:10065\"";
    let mut of = |metric: &str, value: &dyn Fn(usize) -> usize| {
        script.series(&format!("{metric}{{{labels}}}"), minutes, |minute| Some(value(minute)));
    };
    of("up", &|_| 1);
    of("jicofo_up", &|_| 1);
    of("jicofo_healthy", &|_| 1);
    of("jicofo_operational_bridges", &known);
    of("jicofo_jibri_available", &|_| 2);
    of("jicofo_bridges_lost_total", &|minute| ended(scale_ins, minute, 1, UNHEARD));
    of("jicofo_slow_health_checks_total", &|_| 0);
    of("jicofo_jibri_failures_total", &|_| 0);
    of("jicofo_jibri_no_instance_failures_total", &|_| 0);
}

fn jibris(script: &mut Script, minutes: usize) {
    for number in 0..2 {
        let labels =
            format!("job=\"jitsi\", instance=\"r-{number}\", asg=\"prod-jibri\", instance_id=\"r-{number}\"");
        for metric in ["up", "jibri_up", "jibri_healthy", "jibri_available"] {
            script.series(&format!("{metric}{{{labels}}}"), minutes, |_| Some(1));
        }
        script.series(&format!("jibri_status{{{labels}, status=\"busy\"}}"), minutes, |_| Some(0));
    }
}

fn scaler(script: &mut Script, minutes: usize) {
    let scale_ins = script.scale_ins;
    let known = |minute: usize| known(scale_ins, minute);
    let labels = "job=\"jitsi-scaler\", namespace=\"jitsi\", instance=\"s:10066\"";
    let group = format!("{labels}, fleet=\"jvb\", asg=\"prod-jvb\", region=\"r\"");
    let mut of = |series: String, value: &dyn Fn(usize) -> usize| {
        script.series(&series, minutes, |minute| Some(value(minute)));
    };
    for (metric, value) in [
        ("up", 1),
        ("jitsi_scaler_build_info", 1),
        ("jitsi_scaler_leader", 1),
        ("jitsi_scaler_shards", 0),
        ("jitsi_scaler_shards_led", 0),
        ("jitsi_scaler_config_last_reload_successful", 1),
        ("jitsi_scaler_decision_log_lost_total", 0),
    ] {
        of(format!("{metric}{{{labels}}}"), &|_| value);
    }
    let fleet = format!("{labels}, fleet=\"jvb\"");
    of(format!("jitsi_scaler_last_evaluation_timestamp_seconds{{{fleet}}}"), &|minute| 60 * minute);
    of(format!("jitsi_scaler_fleet_groups{{{fleet}}}"), &|_| 1);
    of(format!("jitsi_scaler_fleet_groups_missing{{{fleet}}}"), &|_| 0);
    of(format!("jitsi_scaler_evaluations_missed_total{{{fleet}}}"), &|_| 0);
    of(format!("jitsi_scaler_prometheus_queries_total{{{fleet}, outcome=\"ok\"}}"), &|minute| 2 * minute);
    of(
        format!(
            "jitsi_scaler_cloud_calls_total{{{labels}, call=\"DescribeAutoScalingGroups\", outcome=\"ok\"}}"
        ),
        &|minute| minute,
    );
    of(format!("jitsi_scaler_effects_total{{{fleet}, effect=\"terminate\", outcome=\"done\"}}"), &|minute| {
        ended(scale_ins, minute, 0, 1)
    });
    // Now and then the group had changed, and a draining bridge answered late.
    of(format!("jitsi_scaler_effects_total{{{fleet}, effect=\"close\", outcome=\"failed\"}}"), &|minute| {
        minute / 120
    });
    of(format!("jitsi_scaler_unseen_total{{{fleet}, what=\"instance\"}}"), &|minute| minute / 30);
    of(format!("jitsi_scaler_group_blocked{{{group}, reason=\"cooldown\"}}"), &|minute| {
        usize::from(minute % APART < 5)
    });
    let draining = |minute: usize| {
        (0..scale_ins).filter(|it| end_of(*it)[0] <= minute && minute < end_of(*it)[2]).count()
    };
    for (state, value) in [
        ("desired", &known as &dyn Fn(usize) -> usize),
        ("ready", &|minute| known(minute) - draining(minute).min(known(minute))),
        ("reporting", &|minute| known(minute) - draining(minute).min(known(minute))),
        ("draining", &draining),
        ("min", &|_| 2),
        ("max", &|_| 10),
    ] {
        of(format!("jitsi_scaler_group_instances{{{group}, state=\"{state}\"}}"), value);
    }
    of(format!("jitsi_scaler_oldest_drain_seconds{{{group}}}"), &|minute| {
        60 * DRAINS * draining(minute).min(1)
    });
    of(
        format!("jitsi_scaler_decisions_total{{{group}, action=\"scale_in\", dry_run=\"false\"}}"),
        &|minute| (0..scale_ins).filter(|it| end_of(*it)[0] <= minute).count(),
    );
    // The load falls all day, and rises at night: one direction at a time, with some exceptions.
    of(
        format!("jitsi_scaler_decisions_total{{{group}, action=\"scale_out\", dry_run=\"false\"}}"),
        &|minute| minute / 40,
    );
}

/// The test file, in which `wrong` is one more series.
fn day(scale_ins: usize, wrong: &str) -> String {
    let minutes = 30 + scale_ins * APART + 60;
    let mut script = Script { text: String::new(), scale_ins };
    bridges(&mut script, minutes);
    jicofo(&mut script, minutes);
    jibris(&mut script, minutes);
    scaler(&mut script, minutes);
    let rules: Vec<_> = ["recording", "exporter", "jvb", "jicofo", "jibri", "scaler"]
        .map(|name| format!("{}", root().join(format!("alerts/rules/{name}.yml")).display()))
        .to_vec();
    format!(
        "rule_files: [{}]\nevaluation_interval: 1m\ntests:\n  - name: a clean day\n    interval: 1m\n    input_series:\n{}{wrong}    \
         promql_expr_test:\n      - expr: 'max by (alertname) (max_over_time(ALERTS{{alertstate=\"firing\"}}[1d]))'\n        \
         eval_time: {minutes}m\n        exp_samples: []\n      - expr: 'max_over_time(jitsi_scaler_effects_total{{effect=\"terminate\"}}[1d]) >= {scale_ins} or absent(jvb_up)'\n        \
         eval_time: {minutes}m\n        exp_samples:\n          - {{labels: '{{effect=\"terminate\", fleet=\"jvb\", instance=\"s:10066\", job=\"jitsi-scaler\", namespace=\"jitsi\", outcome=\"done\"}}', value: {scale_ins}}}\n",
        rules.join(", "),
        script.text,
    )
}

fn tested(text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("day.yml");
    std::fs::write(&file, text).expect("written");
    let program = tool("promtool").expect("tests/tools.sh brings it");
    let output = Command::new(program).args(["test", "rules"]).arg(file).output().expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn no_alert_fires_on_a_clean_day_with_a_hundred_scale_ins() {
    let (passed, said) = tested(&day(SCALE_INS, ""));
    assert!(passed, "{said}");
}

#[test]
fn the_clean_day_sees_an_alert_that_fires() {
    let ill = "      - {series: 'jvb_healthy{instance=\"ill\"}', values: \"0x60\"}\n";
    let (passed, said) = tested(&day(3, ill));
    assert!(!passed && said.contains("JvbUnhealthy"), "{said}");
}
