//! Missing data holds: Prometheus stops, and comes back with a gap.

use std::time::Duration;

use anyhow::Context as _;
use jitsi_tests::jitsi_sim;
use jitsi_tests::stage::{Script, Stage};
use jitsi_tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_mins(1);

const GROUPS: &str = r#"[{"region": "us-east-1", "name": "prod-jvb", "component": "jvb", "min": 1, "max": 9,
    "desired": 4, "launch_seconds": 0.2, "boot_seconds": 0.2, "terminate_seconds": 0.2}]"#;

/// There is no load, so the policy wants a scale-in once its twelve periods are full.
const SCALER: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [prod-jvb]}
    warmup: 1s
    policies:
      - name: stress
        expr: asg:jvb_stress:avg
        measures: load
        period: 1s
        scale_out: {when: ">= 0.6", periods: 3, add: 1}
        scale_in: {when: "<= 0.2", periods: 12, remove: 1, cooldown: 1s}
    drain: {via: "http://{private_ip}:8080", settle: 300ms}
"#;

/// The decisions in the log, oldest first.
fn decisions(stage: &Stage) -> Vec<String> {
    let output = stage.scaler.process.output();
    output.lines().filter(|line| line.contains(" action=")).map(str::to_owned).collect()
}

/// The grid point of a decision, in Unix seconds.
fn time(decision: &str) -> Option<i64> {
    let text = decision.split_once(" time=")?.1.split(' ').next()?;
    Some(text.parse::<jiff::Timestamp>().ok()?.as_second())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_prometheus_stopped_nothing_is_removed_and_a_gap_is_not_data() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let script = Script { groups: GROUPS, scaler: SCALER, jitsi: jitsi_sim::Config::compressed(), seed: 1 };
    let mut stage = Stage::start(scratch.path(), script).await?;
    // Some periods breach, but not enough yet.
    wait_until(PATIENCE, async || {
        let answer = jitsi_tests::harness::query(
            &stage.prometheus.url,
            "count_over_time(asg:jvb_stress:avg[1m]) >= 5",
            "asg",
        );
        answer.await.is_ok_and(|found| !found.is_empty())
    })
    .await?;
    stage.stop_prometheus().await?;
    stage.asg.clear_calls();
    let before = decisions(&stage).len();

    wait_until(PATIENCE, async || decisions(&stage).len() >= before + 12).await?;
    let without = decisions(&stage).split_off(before + 1);
    assert!(without.iter().all(|line| line.contains("action=hold")), "{without:#?}");
    assert!(without.iter().all(|line| line.contains("stress has no data")), "{without:#?}");
    assert_eq!(stage.asg.calls(true).len(), 0, "nothing is changed without data");

    let gap_ended = time(without.last().context("a decision")?).context("its time")?;
    stage.start_prometheus().await?;
    wait_until(PATIENCE, async || decisions(&stage).iter().any(|line| line.contains("action=scale_in")))
        .await?;
    let decided = decisions(&stage);
    let first = decided.iter().find(|line| line.contains("action=scale_in")).context("a scale-in")?;
    let waited = time(first).context("its time")? - gap_ended;
    assert!(waited >= 12, "twelve periods must be seen anew, and it took {waited}: {first}");
    Ok(())
}
