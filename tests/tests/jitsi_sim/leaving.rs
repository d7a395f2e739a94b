//! Drain, graceful shutdown and termination: which instance gets work, when one leaves, and what is cut.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use jitsi_tests::{
    jitsi_sim::{
        ComponentKind::{Jibri, Jicofo, Jvb},
        Cut, Faults, Feature, Lengths,
    },
    wait::wait_until,
};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::{
    GRACEFUL_SHUTDOWN, HEALTH, SOON, accepts, get, get_json, post, quick, shut_bridge_down, sim_with, spec,
    state, stats, steady,
};

#[tokio::test]
async fn jicofo_avoids_a_draining_bridge_until_it_is_the_only_one() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb), ("i-2", Jvb)]).await?;
    let drain = "/colibri/drain";
    assert_eq!(get_json(addresses[0], 8080, drain).await?, json!({"drain": false}));
    assert_eq!(post(addresses[0], 8080, "/colibri/drain/enable").await?, StatusCode::OK);
    assert_eq!(get_json(addresses[0], 8080, drain).await?, json!({"drain": true}));
    assert_eq!(stats(addresses[0]).await?["drain"], true);
    assert_eq!(state(&sim.status(), "i-1"), "draining");
    // Nothing shows what Jicofo has heard of; it has heard after an interval and a delay.
    tokio::time::sleep(quick().settings.presence_interval * 2).await;

    let created = async |bridge: usize| {
        stats(addresses[bridge]).await.map_or(0, |s| s["total_conferences_created"].as_u64().unwrap_or(0))
    };
    sim.set_load(&steady(1200.0, Lengths::default()))?;
    wait_until(SOON, async || created(1).await >= 10).await?;
    assert_eq!(created(0).await, 0, "the other bridge took them all, though it is more stressed");

    assert_eq!(post(addresses[0], 8080, "/colibri/drain/disable").await?, StatusCode::OK);
    wait_until(SOON, async || created(0).await >= 3).await.context("no longer draining, least stressed")?;

    assert_eq!(post(addresses[0], 8080, "/colibri/drain/enable").await?, StatusCode::OK);
    sim.terminate("i-2").await?;
    let before = created(0).await;
    wait_until(SOON, async || created(0).await >= before + 3)
        .await
        .context("the only one, though draining")?;
    Ok(())
}

#[tokio::test]
async fn jicofo_is_unhealthy_without_a_bridge_that_serves() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-focus", Jicofo)]).await?;
    let health = async || {
        let response = get(addresses[0], 8888, "/about/health").await?;
        anyhow::Ok((response.status().as_u16(), response.text().await?))
    };
    let none = |total| (500, format!("No operational bridges available (total bridge count: {total})"));
    assert_eq!(health().await?, none(0));
    let bridge = sim.launch("i-1", spec(Jvb)).await?;
    wait_until(SOON, async || health().await.is_ok_and(|h| h == (200, "OK".to_owned()))).await?;
    sim.place_conference("i-1", 2, 60.0)?;
    assert_eq!(shut_bridge_down(bridge).await?, StatusCode::OK);
    wait_until(SOON, async || health().await.is_ok_and(|h| h == none(1))).await?;
    Ok(())
}

#[tokio::test]
async fn without_a_bridge_or_a_jibri_people_are_refused() -> Result<()> {
    let (sim, _) = sim_with(quick(), &[]).await?;
    let lengths = Lengths { recorded_share: 1.0, recording_seconds: 0.1, ..Lengths::default() };
    sim.set_load(&steady(1200.0, lengths))?;
    wait_until(SOON, async || sim.status().conferences.refused >= 3).await?;
    assert_eq!(sim.status().conferences.started, 0);

    sim.launch("i-1", spec(Jvb)).await?;
    wait_until(SOON, async || sim.status().conferences.started >= 3).await?;
    let refused = sim.status().recordings.refused;
    wait_until(SOON, async || sim.status().recordings.refused > refused).await?;
    assert_eq!(sim.status().recordings.started, 0);

    sim.launch("i-2", spec(Jibri)).await?;
    wait_until(SOON, async || sim.status().recordings.started >= 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_bridge_in_graceful_shutdown_waits_for_its_people_then_exits() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    let bridge = addresses[0];
    sim.place_conference("i-1", 3, 60.0)?;
    assert_eq!(shut_bridge_down(bridge).await?, StatusCode::OK);
    let leaving = stats(bridge).await?;
    assert_eq!((&leaving["graceful_shutdown"], &leaving["shutting_down"]), (&json!(true), &json!(false)));
    assert!(sim.place_conference("i-1", 2, 1.0).is_err(), "it takes no new conferences");

    assert_eq!(sim.end_conferences("i-1")?, 1);
    let empty = stats(bridge).await?;
    assert_eq!((&empty["local_endpoints"], &empty["shutting_down"]), (&json!(0), &json!(true)));
    wait_until(SOON, async || !accepts(bridge, 8080).await).await?;
    assert_eq!(state(&sim.status(), "i-1"), "exited");
    assert_eq!(sim.terminate("i-1").await?, Cut::default());
    assert_eq!(sim.status().conferences.completed, 1);
    Ok(())
}

#[tokio::test]
async fn a_bridge_about_to_exit_takes_conferences_and_loses_them() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    assert_eq!(shut_bridge_down(addresses[0]).await?, StatusCode::OK);
    // Nothing shows what Jicofo has heard of; what comes after that is not moved.
    tokio::time::sleep(quick().settings.presence_interval * 2).await;
    sim.place_conference("i-1", 2, 60.0)?;
    assert_eq!(post(addresses[0], 8080, "/colibri/drain/disable").await?, StatusCode::OK);
    let stats = stats(addresses[0]).await?;
    assert_eq!((&stats["shutting_down"], &stats["local_endpoints"]), (&json!(true), &json!(2)));
    wait_until(SOON, async || !accepts(addresses[0], 8080).await).await?;
    let conferences = sim.status().conferences;
    assert_eq!((conferences.lost, conferences.cut), (1, 0), "the bridge itself ends it");
    Ok(())
}

#[tokio::test]
async fn shutdown_takes_what_the_real_bridge_takes() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    let url = format!("http://{}:8080/colibri/shutdown", addresses[0]);
    let client = reqwest::Client::new();
    let send = async |content_type: &str, body: &'static str| {
        let request = client.post(&url).header(header::CONTENT_TYPE, content_type).body(body);
        anyhow::Ok(request.send().await?.status().as_u16())
    };
    sim.place_conference("i-1", 2, 60.0)?;
    assert_eq!(send("text/plain", r#"{"graceful-shutdown": true}"#).await?, 415);
    assert_eq!(send("application/json", "{}").await?, 400);
    sim.set_faults("i-1", Faults { shutdown: Feature::Off, ..Faults::default() }).await?;
    assert_eq!(send("application/json", r#"{"graceful-shutdown": true}"#).await?, 404);
    sim.set_faults("i-1", Faults::default()).await?;
    assert_eq!(stats(addresses[0]).await?["graceful_shutdown"], false);
    assert_eq!(send("application/json", r#"{"graceful-shutdown": "true"}"#).await?, 200);
    assert_eq!(stats(addresses[0]).await?["graceful_shutdown"], true);
    Ok(())
}

#[tokio::test]
async fn an_idle_jibri_exits_at_once() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jibri)]).await?;
    assert_eq!(post(addresses[0], 3333, GRACEFUL_SHUTDOWN).await?, StatusCode::OK);
    assert!(sim.place_recording("i-1", 1.0, 0.0).is_err(), "a dying Jibri takes no work");
    wait_until(SOON, async || !accepts(addresses[0], 2222).await && !accepts(addresses[0], 3333).await)
        .await?;
    assert_eq!(sim.terminate("i-1").await?, Cut::default());
    Ok(())
}

#[tokio::test]
async fn a_busy_jibri_finishes_recording_and_upload_and_is_never_idle_again() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jibri)]).await?;
    let jibri = addresses[0];
    let busy = async || {
        let health = get_json(jibri, 2222, HEALTH).await?;
        anyhow::Ok(health["status"]["busyStatus"].to_string())
    };
    sim.place_recording("i-1", 600.0, 0.5)?;
    assert_eq!(post(jibri, 3333, GRACEFUL_SHUTDOWN).await?, StatusCode::OK);
    assert_eq!((state(&sim.status(), "i-1").as_str(), busy().await?.as_str()), ("recording", "\"BUSY\""));
    sim.stop_recording("i-1")?;
    assert_eq!(state(&sim.status(), "i-1"), "uploading");
    let mut seen = BTreeSet::new();
    wait_until(SOON, async || match busy().await {
        Ok(status) => {
            seen.insert(status);
            false
        }
        Err(_) => true,
    })
    .await?;
    assert!(
        seen.iter().all(|status| status == "\"BUSY\""),
        "BUSY is followed by connection refused: {seen:?}"
    );
    assert!(!accepts(jibri, 2222).await);
    let recordings = sim.status().recordings;
    assert_eq!((recordings.completed, recordings.cut), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_jibri_is_busy_through_its_upload_and_then_free() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jibri)]).await?;
    let start = json!({
        "sessionId": "s", "sinkType": "file",
        "callParams": {"callUrlInfo": {"baseUrl": "https://meet.example", "callName": "room"}},
    });
    let client = reqwest::Client::new();
    let url = format!("http://{}:2222/jibri/api/v1.0/startService", addresses[0]);
    let started =
        async |body: &Value| anyhow::Ok(client.post(&url).json(body).send().await?.status().as_u16());
    assert_eq!(started(&json!({"sessionId": "s"})).await?, 500);
    let mut stream = start.clone();
    stream["sinkType"] = json!("stream");
    assert_eq!(started(&stream).await?, 412, "without a key there is no place to stream to");
    assert_eq!(started(&start).await?, 200);
    assert_eq!(started(&start).await?, 412, "busy");
    let busy = get_json(addresses[0], 2222, HEALTH).await?;
    assert_eq!(busy["status"]["busyStatus"], "BUSY");
    assert!(busy.get("environmentContext").is_none(), "only sessions over XMPP have one");
    sim.stop_recording("i-1")?;
    assert_eq!(state(&sim.status(), "i-1"), "uploading");
    assert_eq!(post(addresses[0], 2222, "/jibri/api/v1.0/stopService").await?, StatusCode::OK);
    assert_eq!(state(&sim.status(), "i-1"), "idle", "stopService answers when the upload is done");
    Ok(())
}

#[tokio::test]
async fn what_a_terminated_instance_carried_is_cut_and_nothing_else() -> Result<()> {
    let instances = [("i-1", Jvb), ("i-2", Jvb), ("i-3", Jibri), ("i-4", Jibri), ("i-5", Jibri)];
    let (sim, addresses) = sim_with(quick(), &instances).await?;
    sim.place_conference("i-1", 4, 60.0)?;
    sim.place_conference("i-1", 3, 60.0)?;
    sim.place_recording("i-3", 60.0, 60.0)?;
    sim.place_recording("i-4", 0.0, 60.0)?;
    sim.place_recording("i-5", 0.0, 0.0)?;
    wait_until(SOON, async || state(&sim.status(), "i-4") == "uploading").await?;
    wait_until(SOON, async || state(&sim.status(), "i-5") == "idle").await?;

    let mut open = TcpStream::connect((addresses[0], 8080)).await?;
    let url = format!("{}/sim/v1/instances/i-1", sim.control_url());
    let cut: Value = reqwest::Client::new().delete(&url).send().await?.json().await?;
    assert_eq!(cut, json!({"cut_conferences": 2, "cut_participants": 7, "cut_recordings": 0}));
    assert!(!accepts(addresses[0], 8080).await, "it is gone when the answer comes");
    assert_eq!(open.read(&mut [0]).await.unwrap_or(0), 0, "open connections end with it");
    assert_eq!(reqwest::Client::new().delete(&url).send().await?.status(), StatusCode::NOT_FOUND);

    let one_recording = Cut { cut_recordings: 1, ..Cut::default() };
    for (id, expected) in
        [("i-2", Cut::default()), ("i-3", one_recording), ("i-4", one_recording), ("i-5", Cut::default())]
    {
        assert_eq!(sim.terminate(id).await?, expected, "{id}");
    }
    let status = sim.status();
    assert_eq!((status.conferences.cut, status.participants.cut, status.recordings.cut), (2, 7, 2));
    assert_eq!(status.terminated, 5);
    Ok(())
}
