//! The service and its supervisor: readiness, exit codes, and the time to end.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::Component;
use jitsi_tests::harness::{Scaler, ScalerEnvironment, program};
use tokio::net::{TcpListener, UnixDatagram};
use tokio::process::Command;

use crate::{GROUP, SOON, Scene, WANTING, group};

/// A supervisor kills after this time.
const PATIENCE: Duration = Duration::from_mins(1);
/// A key that names a missing file.
const CERTIFICATE: &str =
    "    drain: {via: \"http://{private_ip}:8080\", tls: {ca_file: /nonexistent.pem}}\n";

/// A configuration of one fleet with the lines `more`.
fn configuration(more: &str) -> String {
    WANTING.replace("{prometheus}", "http://127.0.0.1:9090").replace("    warmup: 0s\n", more)
}

#[tokio::test]
async fn what_cannot_be_set_up_is_never_ready() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    let config = folder.path().join("scaler.yml");
    let web = folder.path().join("web.yml");
    std::fs::write(&web, "tls_server_config: {cert_file: /nonexistent.pem, key_file: /nonexistent.pem}\n")?;
    let nowhere = configuration("").replace("regions: [us-east-1], ", "");
    for (text, web, code, told) in [
        // A supervisor must not retry before an operator corrects it.
        (configuration(CERTIFICATE), None, 2, "read /nonexistent.pem, named in drain.tls"),
        (configuration(""), Some(&web), 2, "/nonexistent.pem"),
        // The metadata service of the machine may answer later.
        (nowhere, None, 1, "write asg.regions, or set AWS_REGION"),
    ] {
        std::fs::write(&config, text)?;
        let mut command = Command::new(program("jitsi-scaler")?);
        command.args(["run", "--web.listen-address", "127.0.0.1:0", "--config.file"]).arg(&config);
        if let Some(web) = web {
            command.arg("--web.config.file").arg(web);
        }
        command.env("NOTIFY_SOCKET", &path).env("AWS_EC2_METADATA_DISABLED", "true");
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(SOON, command.output()).await.context("it does not end")??;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
        let mut bytes = [0; 64];
        let ready = socket.try_recv(&mut bytes);
        assert!(ready.is_err(), "it told its supervisor {:?}", String::from_utf8_lossy(&bytes));
    }
    Ok(())
}

#[tokio::test]
async fn check_tells_of_files_that_the_service_would_miss() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("scaler.yml");
    let secret = "bearer_token_file: /nonexistent.token";
    let text = configuration(CERTIFICATE).replace("timeout: 2s}", &format!("timeout: 2s, {secret}}}"));
    std::fs::write(&config, text)?;
    let arguments = ["check", "--config.file", config.to_str().context("a path")?];
    let nobody = ScalerEnvironment { aws: "http://127.0.0.1:9".to_owned() };
    let output = Scaler::output(&arguments, &nobody).await?;
    let stdout = String::from_utf8(output.stdout)?;
    // `check` may run on another host than the service.
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    for told in ["warning: this host cannot read /nonexistent.pem, named in drain.tls", "/nonexistent.token"]
    {
        assert!(stdout.contains(told), "{stdout}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_does_not_keep_it_from_ending() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", silent.local_addr()?);
    let text = WANTING.replace("{prometheus}", &address).replace("timeout: 2s", "timeout: 10m");
    let Scene { stage, _folder } = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 6))], &text).await?;
    // It has sent a request, and waits for an answer that does not come.
    let _asked = tokio::time::timeout(SOON, silent.accept()).await.context("it asks nothing")??;
    let log = stage.folder.join("jitsi-scaler.log");
    let process = stage.scaler.process;
    process.signal("TERM").await?;
    let (status, _) = process.finished(PATIENCE).await?;
    assert!(status.success(), "{status}");
    let log = std::fs::read_to_string(log)?;
    // Nothing has been done that would have to be finished.
    assert!(!log.contains("is given up"), "{log}");
    Ok(())
}
