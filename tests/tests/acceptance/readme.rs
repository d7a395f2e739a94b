//! The configurations in the README and the guides are valid, and their links resolve.

use std::path::{Path, PathBuf};
use std::process::Command;

use jitsi_tests::harness::{Exporter, program, tool};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The block of a README or a guide that begins with `# NAME`.
fn block(guide: &str, name: &str) -> String {
    let text = std::fs::read_to_string(root().join(guide)).expect("the guide");
    let start = format!("```yaml\n# {name}\n");
    let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{guide} shows no {name}"));
    rest.split_once("```").expect("a closed block").0.to_owned()
}

fn accepted(mut command: Command) {
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test_case::test_case("README.md", "scaler.yml"; "the first one")]
#[test_case::test_case("scaler/README.md", "reference.yml"; "the one with every key")]
#[test_case::test_case("scaler/README.md", "amp.yml"; "the other choices")]
fn the_scaler_takes_its_configuration(guide: &str, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, block(guide, name)).expect("written");
    let mut command = Command::new(program("jitsi-scaler").expect("built"));
    command.args(["check", "--config.file"]).arg(&file);
    accepted(command);
}

/// Creates the files that the exporter's configurations in the guide name, in `folder`.
fn make_files(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    for (name, text) in [
        ("ca.pem", &certificate),
        ("client.pem", &certificate),
        ("tls.pem", &certificate),
        ("client.key", &key.serialize_pem()),
        ("tls.key", &key.serialize_pem()),
        ("password", &"secret".to_owned()),
        ("token", &"secret".to_owned()),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
}

#[tokio::test]
async fn the_exporter_takes_its_configurations() {
    let folder = tempfile::tempdir().expect("a folder");
    make_files(folder.path());
    let written = |name: &str| {
        let text = block("exporter/README.md", name)
            .replace("/etc/jitsi-exporter", &folder.path().display().to_string());
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let flags = [
        format!("--config.file={}", written("modules.yml")),
        format!("--web.config.file={}", written("web.yml")),
        "--jvb.url=http://127.0.0.1:8080".to_owned(),
        "--relay.enabled".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let exporter = Exporter::start(folder.path(), &flags).await.expect("it takes them");
    assert!(exporter.process.stop().await.expect("it ends").success());
}

#[test_case::test_case("README.md", "prometheus.yml"; "beside the exporter on each host")]
#[test_case::test_case("exporter/README.md", "probe.yml"; "through one exporter for many")]
fn prometheus_takes_its_configuration(guide: &str, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(folder.path().join("exporter-password"), "secret").expect("written");
    make_files(folder.path());
    let authority = folder.path().join("ca.pem");
    let rules = root().join("alerts/rules");
    let text = block(guide, name)
        .replace("/etc/prometheus/rules", &rules.display().to_string())
        .replace("/etc/prometheus/exporter-ca.pem", &authority.display().to_string())
        .replace("/etc/prometheus", &folder.path().display().to_string());
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(tool("promtool").expect("promtool comes with prometheus"));
    command.args(["check", "config"]).arg(&file);
    accepted(command);
}

/// The anchor of a heading: lower case, hyphens for spaces, and no other characters except underscores.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The anchors of a page's headings, outside of blocks.
fn anchors(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page");
    let mut is_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        is_block ^= line.starts_with("```");
        if line.starts_with('#') && !is_block {
            found.push(anchor(line.trim_start_matches('#').trim()));
        }
    }
    found
}

#[test_case::test_case("README.md"; "the readme")]
#[test_case::test_case("exporter/README.md"; "of the exporter")]
#[test_case::test_case("scaler/README.md"; "of the scaler")]
#[test_case::test_case("alerts/README.md"; "of alerts")]
#[test_case::test_case("grafana/README.md"; "of dashboards")]
#[test_case::test_case("tests/README.md"; "of the tests")]
#[test_case::test_case("scaler/packaging/aws/README.md"; "of AWS")]
#[test_case::test_case("scaler/packaging/terraform/README.md"; "of Terraform")]
#[test_case::test_case("scaler/packaging/aws/from-cloudwatch.md"; "from CloudWatch")]
#[test_case::test_case("scaler/packaging/kubernetes/README.md"; "of Kubernetes")]
#[test_case::test_case("scaler/BACKTEST.md"; "of backtests")]
#[test_case::test_case(".github/CONTRIBUTING.md"; "of contributions")]
#[test_case::test_case(".github/SUPPORT.md"; "of support")]
#[test_case::test_case(".github/SECURITY.md"; "of vulnerabilities")]
fn links_lead_somewhere(page: &str) {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).expect("a page");
    let folder = path.parent().expect("a folder");
    // A link may span two lines.
    let inline = text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split(')').next());
    let named = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, to)| to));
    let pictures = text.split("<img src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    for target in inline.chain(named).chain(pictures) {
        if target.contains("://") {
            continue;
        }
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { path.clone() } else { folder.join(file) };
        assert!(file.exists(), "{page}: ({target}) leads nowhere");
        if !heading.is_empty() {
            let known = anchors(&file);
            assert!(known.iter().any(|it| it == heading), "{page}: ({target}) names no heading of {known:?}");
        }
    }
}

#[test]
fn the_readme_is_one_sitting() {
    let lines = std::fs::read_to_string(root().join("README.md")).expect("the README").lines().count();
    assert!(
        lines <= 220,
        "README.md has {lines} lines: put what is deeper into the guides of the components"
    );
}
