//! The Helm charts: the programs accept their flags and configuration, and their rules are those of `alerts/rules`.
//! `tests/manifests.sh` checks the objects themselves.

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

/// The objects of a kind that the chart renders with these values, a file of `tests/manifests/values` or the defaults.
fn objects(component: &str, values: &str, kind: &str) -> Vec<Value> {
    let file = root().join("tests/manifests/values").join(format!("{component}-{values}.yaml"));
    let flag = format!("--values={}", file.display());
    rendered(component, if values == "default" { &[] } else { std::slice::from_ref(&flag) }, kind)
}

/// The objects of a kind that the chart renders with these flags of Helm.
fn rendered(component: &str, flags: &[String], kind: &str) -> Vec<Value> {
    let mut helm = Command::new(tool("helm").expect("tests/manifests.sh gets it"));
    helm.args(["template", "--kube-version=1.32", "--namespace=jitsi", &format!("jitsi-{component}")])
        .arg(chart(component))
        .args(flags);
    let output = helm.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.split("\n---\n")
        .filter(|part| part.contains(&format!("\nkind: {kind}\n")))
        .map(|part| serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}\n{part}")))
        .collect()
}

/// The rules of the chart's source files, by the name of the alert or the series.
fn source_rules(component: &str) -> Vec<Value> {
    let folder = root().join("alerts/rules");
    let mut rules = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().contains("scaler.yml") == (component == "scaler") {
            rules.extend(rules_of(
                &serde_saphyr::from_str(&std::fs::read_to_string(path).expect("text")).expect("YAML"),
            ));
        }
    }
    sorted(rules)
}

fn rules_of(file: &Value) -> Vec<Value> {
    let groups = file["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn sorted(mut rules: Vec<Value>) -> Vec<Value> {
    rules.sort_by_key(|rule| format!("{} {} {rule}", rule["alert"], rule["record"]));
    rules
}

#[test_case("exporter", "default", None, &[], &[])]
#[test_case("scaler", "default", None, &[], &[])]
#[test_case("exporter", "all", Some("https://wiki.example.com/RUNBOOK.md"), &["JvbVersionsMixed", "JibriDown"], &[("team", "video")])]
#[test_case("scaler", "all", Some("https://wiki.example.com/RUNBOOK.md"), &["JitsiScalerDrainTooLong"], &[("severity", "page")])]
fn the_rules_of_the_charts_are_the_rules_as_the_values_change_them(
    component: &str,
    values: &str,
    runbook: Option<&str>,
    disabled: &[&str],
    labels: &[(&str, &str)],
) {
    let objects = objects(component, values, "PrometheusRule");
    let rendered = sorted(objects.iter().flat_map(|object| rules_of(&object["spec"])).collect());
    let mut wanted = source_rules(component);
    wanted.retain(|rule| !disabled.iter().any(|name| rule["alert"] == **name));
    assert_eq!(wanted.len() + disabled.len(), source_rules(component).len(), "an alert has another name");
    for rule in wanted.iter_mut().filter(|rule| rule["alert"].is_string()) {
        for (name, value) in labels {
            rule["labels"][*name] = Value::from(*value);
        }
        // Without the operator's copy there is no link, rather than one that leads to example.org.
        let annotations = rule["annotations"].as_object_mut().expect("annotations");
        let link = annotations.remove("runbook_url").expect("a section of the runbook");
        let section = link.as_str().and_then(|link| link.split_once('#')).expect("an anchor").1.to_owned();
        if let Some(runbook) = runbook {
            annotations.insert("runbook_url".to_owned(), format!("{runbook}#{section}").into());
        }
        for (name, example, own) in [
            ("dashboard_url", "https://example.org/grafana/", "https://grafana.example.com/"),
            ("page_url", "https://example.org/scaler/", "https://scaler.example.com/"),
        ] {
            let Some(link) = annotations.remove(name) else { continue };
            if runbook.is_some() {
                let path = link.as_str().and_then(|link| link.strip_prefix(example)).expect("an example");
                annotations.insert(name.to_owned(), format!("{own}{path}").into());
            }
        }
    }
    assert_eq!(rendered, wanted);
}

/// What each label of a discovered instance is read from, in a scrape configuration of Prometheus or of its operator.
fn labels(relabelings: &Value) -> Vec<(String, String)> {
    let text = |rule: &Value, names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| rule[*name].as_str().or(rule[*name][0].as_str()))
            .unwrap_or_default()
            .to_owned()
    };
    let pairs = relabelings.as_array().expect("relabelings").iter().map(|rule| {
        (text(rule, ["target_label", "targetLabel"]), text(rule, ["source_labels", "sourceLabels"]))
    });
    pairs.filter(|(label, _)| !label.starts_with('_') && label != "instance").collect()
}

/// Every configuration that discovers instances gives their series all labels that the scaler, the rules and the
/// dashboards use. Without `region`, groups of one name in two regions are averaged.
#[test]
fn discovered_instances_have_the_same_labels_everywhere() {
    let prefix = |(label, source): (&str, &str)| (label.to_owned(), format!("__meta_ec2_{source}"));
    let wanted = [
        ("asg", "tag_aws_autoscaling_groupName"),
        ("instance_id", "instance_id"),
        ("private_ip", "private_ip"),
        ("zone", "availability_zone"),
        ("region", "region"),
    ]
    .map(prefix);
    let mut found = Vec::new();
    for (guide, name) in [("README.md", "prometheus.yml"), ("exporter/README.md", "probe.yml")] {
        let text = std::fs::read_to_string(root().join(guide)).expect("a guide");
        let (_, block) = text.split_once(&format!("```yaml\n# {name}\n")).expect("a block");
        let block: Value = serde_saphyr::from_str(block.split("```").next().expect("text")).expect("YAML");
        found.push(labels(&block["scrape_configs"][0]["relabel_configs"]));
    }
    let file = root().join("exporter/packaging/kubernetes/base/scrapeconfig.yaml");
    let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).expect("there")).expect("YAML");
    found.push(labels(&object["spec"]["relabelings"]));
    for labels in &found {
        assert_eq!(*labels, wanted);
    }
    let chart = &objects("exporter", "all", "ScrapeConfig")[0]["spec"];
    let own = [prefix(("shard", "tag_shard"))];
    assert_eq!(labels(&chart["relabelings"]), [&wanted[..], &own].concat(), "with the operator's own");
    let roles: Vec<&Value> =
        chart["ec2SDConfigs"].as_array().expect("regions").iter().map(|it| &it["roleARN"]).collect();
    assert_eq!(roles, ["arn:aws:iam::210987654321:role/prometheus"; 2]);
}

/// The paths of the keys in `values` and in `schema` below `path`, as far as the schema names keys.
fn keys(path: &str, values: &Value, schema: &Value, found: &mut [Vec<String>; 2]) {
    let Some(properties) = schema["properties"].as_object() else { return };
    assert_eq!(schema["additionalProperties"], false, "{path} accepts misspelt keys");
    let values = values.as_object().expect("a map");
    found[0].extend(values.keys().map(|key| format!("{path}.{key}")));
    found[1].extend(properties.keys().map(|key| format!("{path}.{key}")));
    for (key, value) in values {
        if value.as_object().is_some_and(|map| !map.is_empty()) {
            keys(&format!("{path}.{key}"), value, &properties[key], found);
        }
    }
}

#[test_case("exporter")]
#[test_case("scaler")]
fn the_schema_has_every_value_and_no_other(component: &str) {
    let read =
        |name: &str| std::fs::read_to_string(chart(component).join(name)).expect("a file of the chart");
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).expect("YAML");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let mut found = [Vec::new(), Vec::new()];
    keys("", &values, &schema, &mut found);
    // Helm gives this to the charts of a parent.
    found[1].retain(|key| key != ".global");
    for paths in &mut found {
        paths.sort();
    }
    assert_eq!(found[0], found[1]);
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

/// A port that is open does not show that the process answers.
#[test_case("exporter", "deployment.", &[], "http HTTP /-/healthy"; "the exporter without a web configuration")]
#[test_case("exporter", "deployment.", &["webSecret=web"], "http HTTPS /-/healthy"; "the exporter with one")]
#[test_case("exporter", "deployment.", &["webSecret=web", "webScheme=HTTP"], "http HTTP /-/healthy"; "the exporter with users only")]
#[test_case("scaler", "", &[], "http HTTP /-/healthy"; "the scaler without a web configuration")]
#[test_case("scaler", "", &["webSecret=web"], "http HTTPS /-/healthy"; "the scaler with one")]
#[test_case("scaler", "", &["webSecret=web", "webScheme=HTTP"], "http HTTP /-/healthy"; "the scaler with users only")]
#[test_case("scaler", "", &["webSecret=web", "webScheme=TCP"], "none HTTP "; "the scaler with certificates of clients")]
fn kubernetes_asks_for_health(component: &str, place: &str, values: &[&str], expected: &str) {
    let flags: Vec<String> = values.iter().map(|value| format!("--set={place}{value}")).collect();
    let deployment = rendered(component, &flags, "Deployment").remove(0);
    let probe = &deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"];
    let asked = &probe["httpGet"];
    let text = |key: &str, default: &str| asked[key].as_str().unwrap_or(default).to_owned();
    assert_eq!([text("port", "none"), text("scheme", "HTTP"), text("path", "")].join(" "), expected);
}

/// `helm test` must not become a backend of the Service, nor a pod that blocks the drain of a node.
#[test]
fn the_pod_of_the_test_is_no_replica() {
    let pod = objects("scaler", "all", "Pod").remove(0);
    let labels = pod["metadata"]["labels"].as_object().expect("labels");
    for kind in ["Service", "PodDisruptionBudget", "Deployment"] {
        let object = objects("scaler", "all", kind).remove(0);
        let selector = &object["spec"]["selector"];
        let wanted = selector["matchLabels"].as_object().or(selector.as_object()).expect("a selector");
        assert!(wanted.iter().any(|(key, value)| labels.get(key) != Some(value)), "{kind}: {wanted:?}");
    }
    let container = &pod["spec"]["containers"][0];
    let args: Vec<String> = serde_json::from_value(container["args"].clone()).expect("a list of flags");
    let flags = std::iter::once("jitsi-scaler").chain(args.iter().map(String::as_str));
    jitsi_scaler::cli::Cli::try_parse_from(flags).expect("flags of the scaler");
    let own = &objects("scaler", "all", "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(
        container["volumeMounts"], own["containers"][0]["volumeMounts"],
        "the files that the configuration names"
    );
    assert_eq!(pod["spec"]["volumes"], own["volumes"]);
}

#[test]
fn a_scaler_with_shards_may_hold_the_lease_of_each() {
    let told = |flags: &[String]| {
        let role = rendered("scaler", flags, "Role").remove(0);
        let deployment = rendered("scaler", flags, "Deployment").remove(0);
        let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        (role["rules"][1]["resourceNames"].to_string(), args.contains("\"--leader.shards=3\""))
    };
    let three = r#"["jitsi-scaler","jitsi-scaler-0","jitsi-scaler-1","jitsi-scaler-2"]"#;
    assert_eq!(told(&["--set=leader.shards=3".to_owned()]), (three.to_owned(), true));
    assert_eq!(told(&[]), (r#"["jitsi-scaler"]"#.to_owned(), false));
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
