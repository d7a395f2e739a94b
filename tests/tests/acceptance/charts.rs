//! The Helm charts: they link to rules and dashboards instead of copying them, and the programs accept their flags and
//! configuration. `tests/manifests.sh` checks the objects themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use jitsi_tests::harness::{program, tool};
use serde_json::Value;
use test_case::test_case;

const COMPONENTS: [&str; 2] = ["exporter", "scaler"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn chart(component: &str) -> PathBuf {
    root().join(component).join("packaging/kubernetes/chart")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// The objects of a kind that the chart renders with these values, a file of `tests/manifests/values` or the defaults.
fn objects(component: &str, values: &str, kind: &str) -> Vec<Value> {
    let mut helm = Command::new(tool("helm").expect("tests/manifests.sh gets it"));
    helm.args(["template", "--kube-version=1.32", "--namespace=jitsi", &format!("jitsi-{component}")])
        .arg(chart(component));
    if values != "default" {
        helm.arg("--values")
            .arg(root().join("tests/manifests/values").join(format!("{component}-{values}.yaml")));
    }
    let output = helm.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.split("\n---\n")
        .filter(|part| part.contains(&format!("\nkind: {kind}\n")))
        .map(|part| serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}\n{part}")))
        .collect()
}

#[test_case("rules", "alerts/rules"; "rules")]
#[test_case("dashboards", "grafana/dashboards"; "dashboards")]
fn each_is_linked_to_by_one_chart(kind: &str, source: &str) {
    let real =
        |path: &PathBuf| path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let links: Vec<PathBuf> =
        COMPONENTS.iter().flat_map(|component| files(&chart(component).join("files").join(kind))).collect();
    for link in &links {
        assert!(link.is_symlink(), "{} is a copy: link to {source}", link.display());
        assert_eq!(real(link).file_name(), link.file_name());
    }
    let mut linked: Vec<PathBuf> = links.iter().map(real).collect();
    let mut there: Vec<PathBuf> = files(&root().join(source)).iter().map(real).collect();
    linked.sort();
    there.sort();
    assert_eq!(linked, there, "link each file of {source} into files/{kind} of the chart that it belongs to");
}

#[test]
fn clusters_get_the_version_of_the_programs() {
    let version = env!("CARGO_PKG_VERSION");
    for component in COMPONENTS {
        let text = std::fs::read_to_string(chart(component).join("Chart.yaml")).expect("a chart");
        let about: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(
            [&about["version"], &about["appVersion"]],
            [version; 2],
            "of the chart of the {component}"
        );
    }
    for folder in [
        "exporter/packaging/kubernetes/base",
        "exporter/packaging/kubernetes/daemonset",
        "scaler/packaging/kubernetes",
    ] {
        let text = std::fs::read_to_string(root().join(folder).join("kustomization.yaml")).expect("there");
        assert!(
            text.contains(&format!("newTag: {version}}}")),
            "{folder}/kustomization.yaml has another version"
        );
    }
}

#[test_case("exporter", "Deployment", "default", 1)]
#[test_case("exporter", "Deployment", "all", 1)]
#[test_case("exporter", "Deployment", "none", 1)]
#[test_case("exporter", "DaemonSet", "all", 1)]
#[test_case("exporter", "DaemonSet", "default", 0)]
#[test_case("scaler", "Deployment", "default", 1)]
#[test_case("scaler", "Deployment", "all", 1)]
#[test_case("scaler", "Deployment", "none", 1)]
fn the_programs_take_the_flags_of_the_charts(component: &str, kind: &str, values: &str, count: usize) {
    let found = objects(component, values, kind);
    assert_eq!(found.len(), count);
    for object in found {
        let args = &object["spec"]["template"]["spec"]["containers"][0]["args"];
        let args: Vec<String> = serde_json::from_value(args.clone()).expect("a list of flags");
        let parsed = match component {
            "exporter" => {
                let flags = std::iter::once("jitsi-exporter").chain(args.iter().map(String::as_str));
                jitsi_exporter::cli::Cli::try_parse_from(flags).map(drop)
            }
            _ => {
                let flags = std::iter::once("jitsi-scaler").chain(args.iter().map(String::as_str));
                jitsi_scaler::cli::Cli::try_parse_from(flags).map(drop)
            }
        };
        parsed.unwrap_or_else(|error| panic!("{args:?}: {error}"));
    }
}

#[test_case("default")]
#[test_case("all")]
#[test_case("none")]
fn the_scaler_takes_the_configuration_of_its_chart(values: &str) {
    let maps = objects("scaler", values, "ConfigMap");
    let map = maps.iter().find(|map| map["data"]["scaler.yml"].is_string()).expect("a configuration");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scaler.yml");
    std::fs::write(&file, map["data"]["scaler.yml"].as_str().expect("text")).expect("written");
    let scaler = program("jitsi-scaler").expect("built");
    let output = Command::new(scaler).args(["check", "--config.file"]).arg(&file).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn one_scaler_acts_whatever_the_number_of_pods() {
    let lease = |values: &str| {
        let deployment = objects("scaler", values, "Deployment").remove(0);
        let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        (deployment["spec"]["replicas"].as_u64(), args.contains("--leader.lease="))
    };
    assert_eq!(lease("default"), (Some(2), true));
    assert_eq!(lease("none"), (Some(1), false));
    assert!(objects("scaler", "none", "Role").is_empty());
}
