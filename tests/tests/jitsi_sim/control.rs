//! The control plane and its faults.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result};
use jitsi_tests::{
    jitsi_sim::{
        ComponentKind::{Jibri, Jvb},
        Faults, Feature,
    },
    wait::wait_until,
};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use super::{SOON, accepts, get, post, quick, sim_with, state, stats};

#[tokio::test]
async fn instances_are_discovered_while_they_boot_and_refuse_until_they_are_up() -> Result<()> {
    let (sim, _) = sim_with(quick(), &[("i-old", Jibri)]).await?;
    let client = reqwest::Client::new();
    let url = format!("{}/sim/v1/instances/i-new", sim.control_url());
    let body = json!({
        "component": "jvb", "group": "prod-jvb", "region": "eu-west-1", "zone": "eu-west-1b", "boot_seconds": 0.5,
    });
    let first = client.put(&url).json(&body).send().await?;
    assert_eq!(first.status(), StatusCode::CREATED);
    let answer: Value = first.json().await?;
    let address: Ipv4Addr = answer["private_ip"].as_str().context("an address")?.parse()?;
    assert!(!accepts(address, 8080).await, "still booting");
    let second = client.put(&url).json(&body).send().await?;
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(second.json::<Value>().await?, answer);

    let sd = client.get(format!("{}/sim/v1/sd?component=jvb", sim.control_url())).send().await?;
    assert_eq!(sd.headers()[header::CONTENT_TYPE], "application/json");
    let labels = json!({
        "__meta_ec2_availability_zone": "eu-west-1b",
        "__meta_ec2_instance_id": "i-new",
        "__meta_ec2_instance_state": "running",
        "__meta_ec2_private_ip": address.to_string(),
        "__meta_ec2_region": "eu-west-1",
        "__meta_ec2_tag_aws_autoscaling_groupName": "prod-jvb",
        "__meta_ec2_tag_jitsi_component": "jvb",
    });
    let expected = json!([{"targets": [format!("{address}:8080")], "labels": labels}]);
    assert_eq!(sd.json::<Value>().await?, expected);
    assert_eq!(sim.targets(None).len(), 2);

    wait_until(SOON, async || accepts(address, 8080).await).await?;
    let other = json!({"component": "jibri"});
    assert_eq!(client.put(&url).json(&other).send().await?.status(), StatusCode::CONFLICT);
    Ok(())
}

#[tokio::test]
async fn the_control_plane_places_load_and_says_what_is_wrong() -> Result<()> {
    let (sim, _) = sim_with(quick(), &[("i-1", Jvb), ("i-2", Jibri)]).await?;
    let client = reqwest::Client::new();
    let base = format!("{}/sim/v1", sim.control_url());
    let cases = [
        ("instances/i-1/conferences", r#"{"participants":5,"seconds":30}"#, 201),
        ("instances/i-2/recordings", r#"{"seconds":30,"upload_seconds":5}"#, 201),
        ("instances/i-2/recordings", r#"{"seconds":30,"upload_seconds":5}"#, 409),
        ("instances/i-2/conferences", r#"{"participants":5,"seconds":30}"#, 409),
        ("instances/i-9/conferences", r#"{"participants":5,"seconds":30}"#, 404),
        ("instances/i-1/conferences", r#"{"participants":5,"seconds":-1}"#, 400),
        ("instances/i-1/conferences", r#"{"people":5}"#, 400),
        ("instances/i-1/faults", r#"{"hangs":true}"#, 400),
        ("load", r#"{"profile":{"morning":{"peak":20,"duration_seconds":90}}}"#, 200),
        ("load", r#"{"profile":{"morning":{"peak":-1,"duration_seconds":90}}}"#, 400),
        ("load", r#"{"profile":"none"}"#, 200),
    ];
    for (path, body, expected) in cases {
        let response = client.post(format!("{base}/{path}")).body(body).send().await?;
        assert_eq!(response.status().as_u16(), expected, "{path} {body}");
        let answer: Value = response.json().await?;
        assert_eq!(answer.get("error").is_some(), expected >= 400, "{path} {body}: {answer}");
    }
    let ended: Value =
        client.delete(format!("{base}/instances/i-1/conferences")).send().await?.json().await?;
    assert_eq!(ended, json!({"ended": 1}));
    let status: Value = client.get(format!("{base}/status")).send().await?.json().await?;
    assert_eq!(status["recordings"]["active"], 1);
    assert_eq!(status["instances"]["jibri"][0]["state"], "recording");

    assert_eq!(client.post(format!("{base}/stop")).send().await?.status(), StatusCode::OK);
    tokio::time::timeout(SOON, sim.stopped()).await?;
    Ok(())
}

#[tokio::test]
async fn faults_break_one_instance_until_they_are_cleared() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    let bridge = addresses[0];
    let patient = reqwest::Client::builder().timeout(Duration::from_millis(300)).build()?;
    let url = format!("http://{bridge}:8080/colibri/stats");
    let fault = async |faults: Faults| sim.set_faults("i-1", faults).await;

    for slow in [
        Faults { hang: true, ..Faults::default() },
        Faults { slow_seconds: Some(2.0), ..Faults::default() },
        Faults { trickle: true, ..Faults::default() },
    ] {
        fault(slow.clone()).await?;
        let answer = async { patient.get(&url).send().await?.text().await };
        assert!(answer.await.is_err_and(|error| error.is_timeout()), "{slow:?}");
    }
    fault(Faults { refuse: true, ..Faults::default() }).await?;
    assert!(patient.get(&url).send().await.is_err_and(|error| error.is_connect()));
    fault(Faults { status: Some(503), ..Faults::default() }).await?;
    assert_eq!(patient.get(&url).send().await?.status(), 503);
    fault(Faults { body: Some("<html>proxy</html>".to_owned()), ..Faults::default() }).await?;
    assert_eq!(patient.get(&url).send().await?.text().await?, "<html>proxy</html>");
    fault(Faults { rest: Feature::Off, ..Faults::default() }).await?;
    let off = patient.get(&url).send().await?;
    assert_eq!(off.status(), StatusCode::NOT_FOUND);
    assert!(off.text().await?.contains("<html>"));
    fault(Faults { drain: Feature::Off, ..Faults::default() }).await?;
    assert_eq!(post(bridge, 8080, "/colibri/drain/enable").await?, StatusCode::NOT_FOUND);
    fault(Faults { unhealthy: true, ..Faults::default() }).await?;
    assert_eq!(get(bridge, 8080, "/about/health").await?.status(), 500);
    assert_eq!(stats(bridge).await?["healthy"], false);
    fault(Faults::default()).await?;
    assert_eq!(stats(bridge).await?["healthy"], true);
    Ok(())
}

#[tokio::test]
async fn a_slow_component_does_what_it_was_asked_though_the_caller_gave_up() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    sim.set_faults("i-1", Faults { slow_seconds: Some(5.0), ..Faults::default() }).await?;
    let impatient = reqwest::Client::builder().timeout(Duration::from_millis(200)).build()?;
    let enable = impatient.post(format!("http://{}:8080/colibri/drain/enable", addresses[0])).send().await;
    assert!(enable.is_err_and(|error| error.is_timeout()));
    sim.set_faults("i-1", Faults::default()).await?;
    assert_eq!(stats(addresses[0]).await?["drain"], true);
    Ok(())
}

#[tokio::test]
async fn a_process_that_dies_loses_its_calls_and_comes_back_empty() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    sim.place_conference("i-1", 4, 60.0)?;
    sim.set_faults("i-1", Faults { die: true, ..Faults::default() }).await?;
    assert!(!accepts(addresses[0], 8080).await);
    assert_eq!(state(&sim.status(), "i-1"), "died");
    sim.set_faults("i-1", Faults::default()).await?;
    assert_eq!(stats(addresses[0]).await?["total_conferences_created"], 0);
    let conferences = sim.status().conferences;
    assert_eq!((conferences.lost, conferences.cut, conferences.active), (1, 0, 0));
    Ok(())
}
