//! The generated manifests and the content of the charts match their sources. `tests/manifests.sh` checks the objects themselves against
//! their schemas.

use std::path::{Path, PathBuf};
use std::process::Command;

use jitsi_tests::harness::program;
use jitsi_tests::manifests::{generated, left_over};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// Also that they are files: a chart that was fetched as an archive has no links.
#[test]
fn generated_files_are_those_of_their_sources() {
    let command = "cargo run -p jitsi-tests --bin manifests";
    let made = generated(&root()).expect("made");
    for (file, text) in &made {
        let path = root().join(file);
        assert!(!path.is_symlink(), "{} is a link: {command}", file.display());
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == *text, "{} is old: {command}", file.display());
    }
    assert_eq!(left_over(&root(), &made).expect("listed"), [].into(), "made of nothing: {command}");
}

#[test]
fn every_rule_is_in_the_kustomization() {
    let kustomization =
        std::fs::read_to_string(root().join("alerts/kubernetes/kustomization.yaml")).expect("there");
    for name in names("alerts/kubernetes").iter().filter(|name| *name != "kustomization.yaml") {
        assert!(kustomization.contains(name.as_str()), "alerts/kubernetes/kustomization.yaml lacks {name}");
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
    assert!(String::from_utf8_lossy(&checked.stderr).contains("is an open choice: PromQL"), "{checked:?}");
    let chosen = text.replace("<PromQL in place of AWS/EC2 CPUUtilization, Average>", "asg:cpu:avg");
    let chosen = chosen.replace("\"<load, an average per instance; or other>\"", "load");
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
