//! The generated manifests match the rules and dashboards. `tests/manifests.sh` checks the objects themselves against
//! their schemas.

use std::path::{Path, PathBuf};
use std::process::Command;

use jitsi_tests::harness::program;
use jitsi_tests::manifests::prometheus_rules;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_rules_of_clusters_are_the_rules() {
    let folder = root().join("alerts/kubernetes");
    let kustomization = std::fs::read_to_string(folder.join("kustomization.yaml")).expect("a kustomization");
    let made = prometheus_rules(&root().join("alerts")).expect("made");
    for (name, text) in &made {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(found == *text, "alerts/kubernetes/{name} is old: cargo run -p jitsi-tests --bin manifests");
        assert!(kustomization.contains(name), "alerts/kubernetes/kustomization.yaml lacks {name}");
    }
    for name in names("alerts/kubernetes") {
        assert!(name == "kustomization.yaml" || made.contains_key(&name), "{name} is made of no rules");
    }
}

#[test]
fn every_dashboard_becomes_a_config_map() {
    let kustomization = std::fs::read_to_string(root().join("grafana/kustomization.yaml")).expect("there");
    let names = names("grafana/dashboards");
    for name in &names {
        assert!(
            kustomization.contains(&format!("[dashboards/{name}]")),
            "grafana/kustomization.yaml lacks {name}"
        );
    }
    assert_eq!(kustomization.matches("dashboards/jitsi-").count(), names.len());
}

#[test]
fn the_scaler_takes_the_configuration_of_its_manifests() {
    let output = Command::new(program("jitsi-scaler").expect("built"))
        .args(["check", "--config.file"])
        .arg(root().join("scaler/packaging/kubernetes/scaler.yml"))
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn alarms_of_cloudwatch_become_a_configuration_that_check_sends_back_for_its_promql() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let run = |arguments: &[&std::ffi::OsStr]| {
        let scaler = program("jitsi-scaler").expect("built");
        Command::new(scaler).args(arguments).output().expect("it runs")
    };
    let alarms = file(
        "alarms.json",
        r#"{"MetricAlarms": [{"AlarmName": "hot", "AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:x"],
            "Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Statistic": "Average", "Period": 60,
            "EvaluationPeriods": 3, "Threshold": 70, "ComparisonOperator": "GreaterThanThreshold"}]}"#,
    );
    let policies = file(
        "policies.json",
        r#"{"ScalingPolicies": [{"AutoScalingGroupName": "prod-jvb", "PolicyName": "out", "PolicyType": "SimpleScaling",
            "PolicyARN": "arn:aws:autoscaling:us-east-1:1:scalingPolicy:x", "ScalingAdjustment": 1}]}"#,
    );
    let imported = run(&["import-cloudwatch".as_ref(), alarms.as_ref(), policies.as_ref()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let text = String::from_utf8(imported.stdout).expect("text");
    let config = file("scaler.yml", &text);
    let checked = run(&["check".as_ref(), "--config.file".as_ref(), config.as_ref()]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("is not valid PromQL"), "{checked:?}");
    let chosen = text.replace("<PromQL in place of AWS/EC2 CPUUtilization, Average>", "asg:cpu:avg");
    let config = file("scaler.yml", &chosen);
    let checked = run(&["check".as_ref(), "--config.file".as_ref(), config.as_ref()]);
    assert!(checked.status.success(), "{checked:?}");

    let other = file("other.json", "{}");
    let refused = run(&["import-cloudwatch".as_ref(), other.as_ref()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("describe-alarms"), "{refused:?}");
}

/// The goal; `systemd-analyze security` rates a unit without restrictions 10.
const EXPOSURE: f64 = 1.5;

#[test]
fn the_units_are_hardened() {
    for (component, name) in [("exporter", "jitsi-exporter"), ("scaler", "jitsi-scaler")] {
        let unit = root().join(component).join("packaging/systemd").join(format!("{name}.service"));
        let output = Command::new("systemd-analyze").args(["security", "--offline=true"]).arg(&unit).output();
        // A machine without systemd cannot check this.
        let Ok(output) = output else { return };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let exposure: f64 = said
            .lines()
            .find_map(|line| {
                line.split_once("Overall exposure level")?.1.split_whitespace().nth(2)?.parse().ok()
            })
            .unwrap_or_else(|| panic!("no exposure level: {said}"));
        assert!(exposure <= EXPOSURE, "{name}: {exposure}\n{said}");
    }
}
