//! The guides match the files that ship with the programs, and these files match each other.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use serde_json::Value;
use test_case::test_case;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn policy(name: &str) -> Value {
    serde_json::from_str(&text(&format!("scaler/packaging/aws/{name}"))).expect("JSON")
}

/// A backslash joins lines only in a block, and not within a word: the next line begins with blanks.
#[test_case("README.md"; "the readme")]
#[test_case("exporter/README.md"; "of the exporter")]
#[test_case("scaler/README.md"; "of the scaler")]
#[test_case("alerts/README.md"; "of alerts")]
#[test_case("alerts/RUNBOOK.md"; "the runbook")]
#[test_case("grafana/README.md"; "of dashboards")]
#[test_case("tests/README.md"; "of the tests")]
#[test_case("scaler/packaging/aws/README.md"; "of AWS")]
#[test_case("scaler/packaging/aws/from-cloudwatch.md"; "from CloudWatch")]
#[test_case("scaler/packaging/terraform/README.md"; "of Terraform")]
#[test_case("scaler/packaging/kubernetes/README.md"; "of Kubernetes")]
#[test_case("scaler/packaging/kubernetes/chart/README.md"; "of the scaler's chart")]
#[test_case("exporter/packaging/kubernetes/chart/README.md"; "of the exporter's chart")]
fn commands_can_be_copied(page: &str) {
    let mut is_fenced = false;
    for (number, line) in text(page).lines().enumerate() {
        is_fenced ^= line.starts_with("```");
        let is_block = is_fenced || line.starts_with("    ");
        assert!(
            !line.ends_with('\\') || (is_block && line.ends_with(" \\")),
            "{page}:{}: what is copied from here breaks: {line}",
            number + 1
        );
    }
}

#[test]
fn the_guide_of_aws_names_every_file_and_no_other() {
    let guide = text("scaler/packaging/aws/README.md");
    let entries = std::fs::read_dir(root().join("scaler/packaging/aws")).expect("a folder");
    let names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    for name in names.iter().filter(|name| *name != "README.md") {
        assert!(guide.contains(&format!("| `{name}` |")), "{name} is not in the table");
    }
    let parts: Vec<&str> = guide.split("file://").skip(1).collect();
    assert!(parts.len() > 5, "it shows no commands");
    for named in parts.iter().filter_map(|part| part.split_whitespace().next()) {
        assert!(names.iter().any(|name| name == named), "a command reads {named}, which is not there");
    }
}

#[test]
fn a_fleet_s_role_trusts_whom_the_policy_lets_become_it() {
    let (policy, trust) = (&policy("policy-assume.json")["Statement"][0], &policy("trust-assume.json"));
    let trust = &trust["Statement"][0];
    assert_eq!(policy["Action"], trust["Action"], "both sides allow the same");
    let (fleets, own) = (&policy["Resource"], &trust["Principal"]["AWS"]);
    let (fleets, own) = (fleets.as_str().expect("a role"), own.as_str().expect("a role"));
    assert_ne!(fleets, own);
    assert!(
        text("scaler/README.md").contains(&format!("role_arn: {fleets}\n")),
        "the guide's fleet has {fleets}"
    );
    assert!(
        text("scaler/packaging/kubernetes/serviceaccount.yaml").contains(&format!("role-arn: {own}\n")),
        "the service account has {own}"
    );
}

#[test]
fn every_permission_is_in_the_guide() {
    let guide = text("scaler/README.md");
    let (_, section) = guide.split_once("\n## Credentials and permissions\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    for name in ["policy-read.json", "policy-write.json", "policy-prometheus.json", "policy-assume.json"] {
        let policy = policy(name);
        for statement in policy["Statement"].as_array().expect("statements") {
            for action in statement["Action"].as_array().expect("a list of actions") {
                let action = action.as_str().expect("text");
                let short = action.split_once(':').expect("a service").1;
                assert!(
                    section.contains(&format!("`{action}`")) || section.contains(&format!("`…{short}`")),
                    "{name}: the guide does not say what {action} is for"
                );
            }
        }
    }
}

/// In other folders only root can read them, and the service cannot.
#[test]
fn files_of_the_model_configurations_are_where_the_service_may_read() {
    let guide = text("scaler/README.md");
    let mut count = 0;
    for (at, key) in guide.match_indices("_file: /") {
        let path = guide[at + key.len() - 1..].split([',', '}', '`', ' ', '\n']).next().unwrap_or_default();
        assert!(path.starts_with("/etc/jitsi-scaler/"), "{path} is not in the folder of the service's group");
        count += 1;
    }
    assert!(count > 5, "only {count} files");
}

/// A script that nothing runs is broken when somebody needs it.
#[test]
fn every_script_is_run_by_a_workflow_or_by_the_tests() {
    let mut runs = text(".ci/run") + &text("tests/run.sh");
    for entry in std::fs::read_dir(root().join(".github/workflows")).expect("workflows") {
        runs += &std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
    }
    for entry in std::fs::read_dir(root().join("tests")).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        // A test of its own starts the demo; the benchmark needs a machine without other work.
        let is_script = Path::new(&name).extension().is_some_and(|extension| extension == "sh");
        if is_script && !["demo.sh", "bench.sh"].contains(&name.as_str()) {
            assert!(runs.contains(&format!("tests/{name}")), "nothing runs tests/{name}");
        }
    }
    let ci = text(".github/workflows/ci.yml");
    assert!(ci.contains("tests/supply.sh deny"), "advisories are looked for at every change");
    assert!(ci.contains(".ci/run"));
}

/// The programs of images are those of releases: remapped paths, locked dependencies, the list of components.
#[test_case("exporter", "tests/release.sh jitsi-exporter")]
#[test_case(
    "scaler",
    "FEATURES=jitsi-scaler/azure,jitsi-scaler/kubernetes JITSI_BUILD_REVISION=\"${REVISION}\" tests/release.sh jitsi-scaler"
)]
fn images_are_built_as_releases_are(component: &str, build: &str) {
    let recipe = text(&format!("{component}/packaging/Dockerfile"));
    assert!(recipe.contains(build), "{recipe}");
    assert!(!recipe.contains("cargo build") && !recipe.contains("auditable build"), "{recipe}");
    for label in ["title", "description", "licenses", "version", "revision"] {
        assert!(recipe.contains(&format!("org.opencontainers.image.{label}=")), "no label {label}");
    }
    let version = recipe.split("\nARG VERSION=").nth(1).and_then(|rest| rest.lines().next());
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));

    // What the build gets: everything that the file for Docker lets through, which must be a workspace of Cargo.
    let context = tempfile::tempdir().expect("a folder");
    let ignored = text(&format!("{component}/packaging/Dockerfile.dockerignore"));
    let run = |program: &mut Command| {
        let output = program.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for kept in ignored.lines().filter_map(|line| line.strip_prefix('!')) {
        run(Command::new("cp").args(["-R", "--parents", kept]).arg(context.path()).current_dir(root()));
    }
    for left_out in ignored.lines().filter(|line| !line.starts_with(['!', '*'])) {
        std::fs::remove_dir_all(context.path().join(left_out)).expect("it is a folder");
    }
    let metadata = ["metadata", "--locked", "--no-deps", "--format-version=1"];
    run(Command::new(env!("CARGO")).args(metadata).current_dir(context.path()));
    assert!(context.path().join("tests/release.sh").is_file());
}

/// Whoever scrapes a host must not be able to probe its network through the exporter.
#[test]
fn an_exporter_beside_a_component_probes_only_its_host() {
    let quoted = |text: &str| text.split('"').nth(1).expect("quotes").to_owned();
    let packaged = text("exporter/packaging/etc/jitsi-exporter");
    let packaged = quoted(packaged.lines().find(|line| line.starts_with("ARGS=")).expect("ARGS"));
    let object: Value =
        serde_saphyr::from_str(&text("exporter/packaging/kubernetes/daemonset/daemonset.yaml"))
            .expect("YAML");
    let values: Value =
        serde_saphyr::from_str(&text("exporter/packaging/kubernetes/chart/values.yaml")).expect("YAML");
    let list = |args: &Value| serde_json::from_value::<Vec<String>>(args.clone()).expect("a list of flags");
    let guide = text("exporter/README.md");
    let shown = guide.split("s|^ARGS=.*|ARGS=").nth(1).expect("the guide sets ARGS");
    for args in [
        packaged.split_whitespace().map(str::to_owned).collect(),
        quoted(shown).split_whitespace().map(str::to_owned).collect(),
        list(&object["spec"]["template"]["spec"]["containers"][0]["args"]),
        list(&values["daemonset"]["args"]),
    ] {
        let flags = std::iter::once("jitsi-exporter").chain(args.iter().map(String::as_str));
        let cli = jitsi_exporter::cli::Cli::try_parse_from(flags).expect("flags");
        let allow = cli.config().expect("a configuration").allow;
        let may = |address: [u8; 4]| allow.permits("", address.into());
        assert_eq!((may([127, 0, 0, 1]), may([10, 0, 0, 7])), (true, false), "{args:?}");
    }
}

#[test]
fn the_unit_may_write_the_decision_log_that_the_guide_names_and_it_is_rotated() {
    let guide = text("scaler/README.md");
    let (_, named) = guide.split_once("`--decision-log=/").expect("an example");
    let file = Path::new("/").join(named.split('`').next().unwrap_or_default());
    let folder = file.parent().expect("a folder");
    let unit = text("scaler/packaging/systemd/jitsi-scaler.service");
    let written =
        unit.lines().find_map(|line| line.strip_prefix("LogsDirectory=")).expect("a folder of logs");
    assert_eq!(folder, Path::new("/var/log").join(written));
    let rotation = text("scaler/packaging/logrotate/jitsi-scaler");
    let extension = file.extension().expect("an extension").to_string_lossy();
    assert!(rotation.contains(&format!("\n{}/*.{extension} {{\n", folder.display())), "{rotation}");
    // Whatever it ran each week would apply a configuration that somebody is still editing.
    assert!(!rotation.contains("postrotate") && !rotation.contains("systemctl"), "{rotation}");
    let manifest = text("scaler/Cargo.toml");
    assert_eq!(manifest.matches("packaging/logrotate/jitsi-scaler").count(), 2, "in both packages");
}
