//! The demo, as `tests/demo.sh` runs it, on five different mornings; and its script.

use std::time::Duration;

use futures::future::try_join_all;
use jitsi_tests::harness::{Process, program};
use tokio::process::Command;

/// The demo ends by itself within two minutes.
const LONGEST: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn no_call_and_no_recording_is_cut_on_five_mornings() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mornings = (1..=5).map(|seed| {
        let folder = scratch.path();
        async move {
            let mut command = Command::new(program("demo")?);
            command
                .args(["--seed", &seed.to_string(), "--record"])
                .arg(folder.join(format!("morning-{seed}")));
            let process = Process::spawn(&format!("demo-{seed}"), &mut command, folder)?;
            process.finished(LONGEST).await
        }
    });
    for (status, output) in try_join_all(mornings).await? {
        let last = output.lines().find(|line| line.starts_with("demo: scaled out "));
        assert!(status.success(), "{output}");
        assert!(last.is_some_and(|last| last.ends_with("recordings cut 0, conferences cut 0")), "{output}");
    }
    let morning = scratch.path().join("morning-1");
    let mut command = Command::new(program("jitsi-scaler")?);
    command.arg("backtest").arg("--config.file").arg(morning.join("scaler.yml"));
    command.arg("--history").arg(morning.join("history.csv"));
    let output = command.output().await?;
    let report = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["jvb / prod-jvb", "jibri / prod-jibri", "minutes without a free Jibri"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    Ok(())
}

/// A mistake must not become known only after the build.
#[test]
fn the_script_explains_its_options_and_refuses_others_at_once() {
    let script = |argument: &str| {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("demo.sh");
        let output = std::process::Command::new(script).arg(argument).output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("text"))
    };
    let (code, help) = script("--help");
    assert_eq!(code, Some(0));
    for option in ["--seed N", "--keep", "--plain"] {
        assert!(help.contains(option), "{help}");
    }
    let (code, refusal) = script("--sed");
    assert_eq!(code, Some(2));
    assert!(refusal.contains("there is no option --sed"), "{refusal}");
}
