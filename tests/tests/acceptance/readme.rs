//! The configurations that the README shows are valid.

use std::path::Path;
use std::process::Command;

use jitsi_tests::harness::{Exporter, program, tool};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// The block of the README that begins with `# NAME`.
fn block(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let start = format!("```yaml\n# {name}\n");
    let (_, rest) = readme.split_once(&start).unwrap_or_else(|| panic!("the README shows no {name}"));
    rest.split_once("```").expect("a closed block").0.to_owned()
}

fn accepted(mut command: Command) {
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test_case::test_case("scaler.yml"; "the first one")]
#[test_case::test_case("reference.yml"; "the one with every key")]
fn the_scaler_takes_its_configuration(name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, block(name)).expect("written");
    let mut command = Command::new(program("jitsi-scaler").expect("built"));
    command.args(["check", "--config.file"]).arg(&file);
    accepted(command);
}

/// Makes what the README's files of the exporter name, in `folder`.
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
        let text = block(name).replace("/etc/jitsi-exporter", &folder.path().display().to_string());
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

#[test_case::test_case("prometheus.yml"; "beside the exporter on each host")]
#[test_case::test_case("probe.yml"; "through one exporter for many")]
fn prometheus_takes_its_configuration(name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(folder.path().join("exporter-password"), "secret").expect("written");
    make_files(folder.path());
    let authority = folder.path().join("ca.pem");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts/rules/recording.yml");
    let text = block(name)
        .replace("/etc/prometheus/rules/recording.yml", &rules.display().to_string())
        .replace("/etc/prometheus/exporter-ca.pem", &authority.display().to_string())
        .replace("/etc/prometheus", &folder.path().display().to_string());
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(tool("promtool").expect("promtool comes with prometheus"));
    command.args(["check", "config"]).arg(&file);
    accepted(command);
}
