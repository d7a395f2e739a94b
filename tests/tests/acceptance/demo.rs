//! The demo, as `tests/demo.sh` runs it, on five different mornings.

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
            command.args(["--seed", &seed.to_string()]);
            let process = Process::spawn(&format!("demo-{seed}"), &mut command, folder)?;
            process.finished(LONGEST).await
        }
    });
    for (status, output) in try_join_all(mornings).await? {
        let last = output.lines().next_back().unwrap_or_default();
        assert!(status.success(), "{output}");
        assert!(last.starts_with("demo: scaled out "), "{output}");
        assert!(last.ends_with("recordings cut 0, conferences cut 0"), "{output}");
    }
    Ok(())
}
