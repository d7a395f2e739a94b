//! One scaler with a fleet on AWS and one on Azure: what happens to one cloud does not touch the other.

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{self, Component};
use jitsi_tests::jitsi_sim;
use jitsi_tests::stage::{Script, Stage};
use jitsi_tests::vmss_sim;
use jitsi_tests::wait::wait_until;
use serde_json::json;
use test_case::test_case;

use super::{REGION, SOON, group};

/// Each fleet wants one more instance every few seconds.
const BOTH: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: on-aws
    component: jvb
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies: [{name: constant, expr: vector(1), period: 1s, scale_out: {when: ">= 1", periods: 1, add: 1, cooldown: 1s}}]
  - name: on-azure
    component: jvb
    vmss: {subscription: '{subscription}', endpoint: '{azure}', resource_group: jitsi, names: [west]}
    capacity: {min: 1, max: 90}
    warmup: 0s
    policies: [{name: constant, expr: vector(1), period: 1s, scale_out: {when: ">= 1", periods: 1, add: 1, cooldown: 1s}}]
"#;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Away {
    Aws,
    Azure,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Refuses,
    NeverAnswers,
}

fn desired(stage: &Stage, of: Away) -> u32 {
    let name = if of == Away::Aws { "prod" } else { "west" };
    stage.sizes().into_iter().find(|(it, ..)| it == name).map_or(0, |(_, desired, _)| desired)
}

fn take_away(stage: &Stage, away: Away, how: How) -> Result<()> {
    let delay_seconds = Some(3600.0);
    match (away, how) {
        (Away::Aws, How::Refuses) => {
            stage.asg.add_fault(asg_sim::Fault::error(
                "*",
                asg_sim::ErrorCode::InternalFailure,
                1_000_000,
            ))?;
        }
        (Away::Aws, How::NeverAnswers) => {
            stage.asg.add_fault(asg_sim::Fault { delay_seconds, ..asg_sim::Fault::default() })?;
        }
        (Away::Azure, how) => {
            let fault = match how {
                How::Refuses => vmss_sim::Fault::error("*", 503, "ServerUnavailable", 1_000_000),
                How::NeverAnswers => vmss_sim::Fault { delay_seconds, ..vmss_sim::Fault::default() },
            };
            stage.vmss.as_ref().context("scale sets")?.add_fault(fault);
        }
    }
    Ok(())
}

#[test_case(Away::Aws, How::Refuses; "aws refuses")]
#[test_case(Away::Aws, How::NeverAnswers; "aws never answers")]
#[test_case(Away::Azure, How::Refuses; "azure refuses")]
#[test_case(Away::Azure, How::NeverAnswers; "azure never answers")]
#[tokio::test]
async fn one_clouds_outage_does_not_touch_the_other(away: Away, how: How) -> Result<()> {
    let mut on_aws = serde_json::to_value(group(Component::Jvb, 1, 1, 90))?;
    on_aws["region"] = json!(REGION);
    on_aws["name"] = json!("prod");
    let sets = json!([{
        "group": "jitsi", "name": "west", "component": "jvb", "capacity": 1, "launch_seconds": 0.1, "boot_seconds": 0.1,
        "delete_seconds": 0.1
    }]);
    let folder = tempfile::tempdir()?;
    let groups = json!([on_aws]).to_string();
    let jitsi = jitsi_sim::Config::compressed();
    let script = Script { groups: &groups, scaler: BOTH, jitsi, seed: 1 };
    let stage = Stage::start_with(folder.path(), script, Some(&sets.to_string())).await?;
    let grows = async |of, from| wait_until(SOON, async || desired(&stage, of) > from).await;
    grows(Away::Aws, 1).await.context("the group grows")?;
    grows(Away::Azure, 1).await.context("the set grows")?;

    take_away(&stage, away, how)?;
    let other = if away == Away::Aws { Away::Azure } else { Away::Aws };
    let before = desired(&stage, other);
    grows(other, before + 3).await.context("the other cloud's fleet goes on")?;
    let health = reqwest::get(format!("http://{}/-/healthy", stage.scaler.address)).await?;
    assert!(health.status().is_success());

    // What is away counts as unknown: nothing is done there on a guess, and it goes on as soon as it is back.
    let held = desired(&stage, away);
    stage.asg.clear_faults();
    stage.vmss.as_ref().context("scale sets")?.clear_faults();
    grows(away, held).await.context("the fleet goes on once its cloud is back")?;
    Ok(())
}
