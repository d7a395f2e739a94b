//! The values in the answers of the components, and their keys against the samples of older versions.

use std::{collections::BTreeSet, net::Ipv4Addr, path::PathBuf};

use anyhow::{Context as _, Result};
use jitsi_tests::{
    jitsi_sim::{
        ComponentKind::{Jibri, Jicofo, Jvb},
        Faults,
    },
    wait::wait_until,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{HEALTH, SOON, get, get_json, quick, sim_with, stats};

/// The answer to a request with only `Host` and the given headers.
async fn raw_get(address: Ipv4Addr, port: u16, path: &str, headers: &str) -> Result<String> {
    let mut stream = TcpStream::connect((address, port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// Every path to a value in nested objects: `health.success`, …
fn paths(value: &Value, prefix: &str) -> BTreeSet<String> {
    let Some(object) = value.as_object().filter(|object| !object.is_empty()) else {
        return BTreeSet::from([prefix.to_owned()]);
    };
    let path = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    object.iter().flat_map(|(key, value)| paths(value, &path(key))).collect()
}

/// A payload of a real component, if the samples are available.
fn sample(name: &str) -> Result<Option<Value>> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples").join(name);
    if !file.exists() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&std::fs::read_to_string(file)?)?))
}

#[tokio::test]
async fn a_bridge_reports_its_people_with_the_types_of_an_older_one() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    sim.place_conference("i-1", 5, 60.0)?;
    let stats = stats(addresses[0]).await?;

    if let Some(real) = sample("jvb/designet_zabbix_2.3.168.json")? {
        for (key, value) in real.as_object().context("an object")? {
            let same_type = std::mem::discriminant(value) == std::mem::discriminant(&stats[key]);
            assert!(same_type && value.is_f64() == stats[key].is_f64(), "{key}: {value} is {}", stats[key]);
        }
    }

    assert_eq!(stats["conferences"], 1);
    for key in ["participants", "endpoints", "local_endpoints", "largest_conference"] {
        assert_eq!(stats[key], 5, "{key}");
    }
    assert_eq!(stats["stress_level"], 0.1);
    assert_eq!(stats["bit_rate_upload"], 5 * 2500);
    assert_eq!(stats["region"], "us-east-1");
    let version = get_json(addresses[0], 8080, "/about/version").await?;
    assert_eq!(version["version"], stats["version"]);
    assert_eq!(get(addresses[0], 8080, "/about/health").await?.text().await?, "");
    Ok(())
}

#[tokio::test]
async fn byte_counters_grow_while_somebody_is_there_and_never_shrink() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    sim.place_conference("i-1", 4, 60.0)?;
    let sent = async || Ok::<_, anyhow::Error>(stats(addresses[0]).await?["total_bytes_sent"].as_u64());
    let before = sent().await?;
    wait_until(SOON, async || sent().await.is_ok_and(|now| now > before)).await?;

    sim.end_conferences("i-1")?;
    let after = sent().await?;
    assert!(after >= before);
    assert_eq!(sent().await?, after);
    wait_until(SOON, async || stats(addresses[0]).await.is_ok_and(|s| s["conferences"] == 0)).await?;
    let stats = stats(addresses[0]).await?;
    assert_eq!(stats["total_conferences_completed"], 1);
    assert_eq!(stats["bit_rate_upload"], 0);
    Ok(())
}

#[tokio::test]
async fn a_jicofo_answers_with_the_shape_of_its_time() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-focus", Jicofo), ("i-1", Jvb), ("i-2", Jibri)]).await?;
    let of_jicofo = async || get_json(addresses[0], 8888, "/stats").await;
    wait_until(SOON, async || of_jicofo().await.is_ok_and(|s| s["jibri_detector"]["available"] == 1)).await?;
    let idle = of_jicofo().await?;
    assert_eq!(idle["conference_sizes"]["average"], "NaN");

    sim.place_conference("i-1", 5, 60.0)?;
    sim.place_recording("i-2", 60.0, 0.0)?;
    wait_until(SOON, async || of_jicofo().await.is_ok_and(|s| s["jibri_detector"]["available"] == 0)).await?;
    let stats = of_jicofo().await?;
    assert_eq!(stats["conferences"], 1);
    assert_eq!(stats["participants"], 5);
    assert_eq!(stats["endpoint_pairs"], 25);
    assert_eq!(stats["conference_sizes"]["buckets"]["5_to_10"], 1);
    assert_eq!(stats["bridge_selector"]["operational_bridge_count"], 1);
    assert_eq!(stats["jibri_detector"], json!({"count": 1, "available": 0}));
    assert_eq!(stats["jibri"]["recording_active"], 1);

    if let Some(older) = sample("jicofo/jicofo_exporter_2022_buckets.json")? {
        let gone_since = |path: &str| {
            path.ends_with("_pending")
                || path.contains("total_split_due_to")
                || path.contains("loaded")
                || path.starts_with("jigasi.")
                || path.starts_with("queues.")
                || path.starts_with("jingle.")
        };
        let lacking: Vec<_> = paths(&older, "")
            .difference(&paths(&stats, ""))
            .filter(|path| !gone_since(path))
            .cloned()
            .collect();
        assert!(lacking.is_empty(), "{lacking:?}");
    }
    for key in ["health", "version", "sip_jibri_detector", "visitors", "conferences_with_visitors"] {
        assert!(stats.get(key).is_some(), "{key} came after 2022");
    }
    Ok(())
}

#[tokio::test]
async fn a_jibri_answers_as_the_real_ones_in_every_state() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jibri)]).await?;
    let health = async || get_json(addresses[0], 2222, HEALTH).await;
    let idle =
        json!({"status": {"busyStatus": "IDLE", "health": {"healthStatus": "HEALTHY", "details": {}}}});
    assert_eq!(health().await?, idle);
    if let Some(real) = sample("jibri/pr165_idle_healthy.json")? {
        assert_eq!(idle, real);
    }

    sim.place_recording("i-1", 60.0, 0.0)?;
    let busy = health().await?;
    assert_eq!(busy["status"]["busyStatus"], "BUSY");
    if let Some(real) = sample("jibri/pr165_busy_envcontext.json")? {
        assert_eq!(paths(&busy, ""), paths(&real, ""));
    }

    sim.set_faults("i-1", Faults { unhealthy: true, ..Faults::default() }).await?;
    let ill = health().await?;
    assert_eq!(ill["status"]["health"]["healthStatus"], "UNHEALTHY");
    assert_eq!(keys(&ill["status"]["health"]["details"]), BTreeSet::from(["JibriManager".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn native_metrics_have_the_same_values_in_each_format() -> Result<()> {
    let (sim, addresses) = sim_with(quick(), &[("i-1", Jvb)]).await?;
    sim.place_conference("i-1", 3, 60.0)?;
    let metrics = async |accept: &str| raw_get(addresses[0], 8080, "/metrics", accept).await;

    let text = metrics("Accept: text/plain\r\n").await?;
    for line in [
        "# TYPE jitsi_jvb_bytes_sent_total counter",
        "jitsi_jvb_conferences 1.0",
        "jitsi_jvb_local_endpoints 3.0",
        "jitsi_jvb_healthy 1.0",
        "jitsi_jvb_drain_mode 0.0",
        "jitsi_jvb_graceful_shutdown 0.0",
        "jitsi_jvb_stress 0.06",
    ] {
        assert!(text.lines().any(|present| present == line), "{line} is not in {text}");
    }
    assert!(text.contains("jitsi_jvb_conferences_by_size_bucket{le=\"3.0\",} 1.0"));
    let open = metrics("Accept: */*\r\n").await?;
    assert!(open.contains("# TYPE jitsi_jvb_bytes_sent counter") && open.contains("# EOF"));
    assert!(metrics("Accept: application/json\r\n").await?.contains("\"local_endpoints\":3,"));
    Ok(())
}
