//! Failures are reported, and affect nothing else.

use anyhow::{Context as _, Result};

use super::Scene;

#[tokio::test]
async fn a_component_that_is_down_and_a_password_that_is_wrong() -> Result<()> {
    let scene = Scene::start().await?;

    let refused = scene.api("targets", &[("state", "active")]).await?;
    let targets = refused["activeTargets"].as_array().context("targets")?;
    let of = |job: &'static str| targets.iter().filter(move |target| target["labels"]["job"] == job);
    let wrong = of("wrong").next().context("the job with the wrong password")?;
    assert_eq!(wrong["health"], "down", "{wrong}");
    let error = wrong["lastError"].as_str().unwrap_or_default();
    assert!(error.contains("401"), "{error}");
    assert_eq!(scene.value("up{job=\"wrong\"}").await, Some(0.0));
    assert_eq!(of("sidecar").count() + of("jitsi-files").count(), 4, "{refused}");

    scene.jitsi.terminate("i-jicofo").await?;
    scene
        .until("the Jicofo is down by both ways", async || {
            scene.value("sum(jicofo_up)").await == Some(0.0)
                && scene.value("count(jicofo_up)").await == Some(2.0)
        })
        .await?;
    for (expr, expected) in [
        ("sum(up{job=~\"sidecar|jitsi-files\"})", 4.0),
        ("sum(jvb_up)", 2.0),
        ("sum(jibri_up)", 2.0),
        ("probe_success{module=\"jicofo\"}", 0.0),
        ("sum(probe_success)", 2.0),
        ("count({__name__=~\"jicofo_bridges|jicofo_conferences\"}) or vector(0)", 0.0),
        ("jvb_participants{job=\"sidecar\"}", 7.0),
    ] {
        // On a busy computer one scrape may be late; the next one follows.
        scene.until(expr, async || scene.value(expr).await == Some(expected)).await?;
    }
    let failures = "sum(jitsi_exporter_scrape_failures_total{component=\"jicofo\",reason=~\"refused|connect|timeout\"}) > bool 0";
    assert_eq!(scene.value(failures).await, Some(1.0));
    Ok(())
}
