//! `/probe`: its parameters, refusals and responses.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use jitsi_exporter::component::Component::Jvb;
use jitsi_exporter::config::Raw;
use jitsi_web::flags::WebFlags;
use tokio::time::Instant;

use crate::common::{self, fixture};
use crate::servers::{Exporter, Upstream, nowhere, serve};

#[tokio::test]
async fn a_probe_has_the_metrics_of_its_target_and_its_own() {
    let upstream = Upstream::with_body(fixture("jicofo_2026.json")).await;
    let exporter = Exporter::of(&[]).await;
    let (status, text) = exporter.page(&format!("/probe?module=jicofo&target={}", upstream.address)).await;
    assert_eq!(status, StatusCode::OK);
    let exposition = common::text(&text);
    for series in ["jicofo_up", "probe_success", "jicofo_bridges"] {
        assert!((exposition.value(series) - 1.0).abs() < f64::EPSILON, "{text}");
    }
    assert!(exposition.value("probe_duration_seconds") > 0.0);
    let others = ["jitsi_exporter_", "process_"];
    assert!(!exposition.series.keys().any(|series| others.iter().any(|prefix| series.starts_with(prefix))));
}

#[tokio::test]
async fn a_probe_in_openmetrics_has_an_end() {
    let upstream = Upstream::with_body(fixture("jibri_busy.json")).await;
    let exporter = Exporter::of(&[]).await;
    let request = exporter.get(&format!("/probe?module=jibri&target=http://{}/", upstream.address));
    let response = request.header("accept", "application/openmetrics-text; version=1.0.0").send().await;
    let text = response.expect("an answer").text().await.expect("a text");
    let exposition = common::openmetrics(&text);
    assert!((exposition.value("jibri_status{status=\"busy\"}") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_target_that_is_down_is_a_success_of_http() {
    let exporter = Exporter::of(&[]).await;
    let (status, text) = exporter.page(&format!("/probe?module=jvb&target={}", nowhere().await)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("\njvb_up 0\n") && text.contains("\nprobe_success 0\n"), "{text}");
    let own = exporter.metrics().await;
    let counted = "jitsi_exporter_scrape_failures_total{component=\"jvb\",reason=\"refused\"} 1";
    assert!(own.lines().any(|line| line == counted), "{own}");
}

#[tokio::test]
async fn a_target_without_tls_is_distinguished_from_one_that_is_down() {
    let upstream = Upstream::with_body(fixture("jvb_2.3.312.json")).await;
    let exporter = Exporter::of(&[]).await;
    let (_, text) = exporter.page(&format!("/probe?module=jvb&target=https://{}", upstream.address)).await;
    assert!(text.contains("\njvb_up 0\n"), "{text}");
    let own = exporter.metrics().await;
    let counted = "jitsi_exporter_scrape_failures_total{component=\"jvb\",reason=\"tls\"} 1";
    assert!(own.lines().any(|line| line == counted), "{own}");
}

#[tokio::test]
async fn the_deadline_comes_from_prometheus() {
    let upstream = Upstream::silent_after("").await;
    let exporter = Exporter::of(&[]).await;
    let start = Instant::now();
    let request = exporter.get(&format!("/probe?module=jvb&target={}", upstream.address));
    let response =
        request.header("X-Prometheus-Scrape-Timeout-Seconds", "0.8").send().await.expect("an answer");
    let text = response.text().await.expect("a text");
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
    let took = start.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_millis(800)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn invalid_parameters_get_the_remedy() {
    let exporter = Exporter::of(&[]).await;
    let missing = "the parameter module is missing: write /probe?module=jvb&target=host:8080, where module is jvb, jicofo or jibri\n";
    for (query, expected) in [
        ("", missing),
        ("?target=127.0.0.1:1", missing),
        ("?module=&target=127.0.0.1:1", missing),
        ("?module=jigasi&target=127.0.0.1:1", "module=jigasi is unknown: use jvb, jicofo or jibri\n"),
        ("?module=jvb", "the parameter target is missing: write /probe?module=jvb&target=host:8080\n"),
        ("?module=jvb&target=", "target=: the address is empty: write host:port or http://host:port\n"),
        (
            "?module=jvb&target=127.0.0.1:1/debug",
            "target=127.0.0.1:1/debug: the path /debug is not fetched: remove it, the module has its own\n",
        ),
        (
            "?module=jvb&target=gopher://127.0.0.1",
            "target=gopher://127.0.0.1: the scheme gopher:// is not supported: write http:// or https://\n",
        ),
        (
            "?module=jvb&target=a:b@127.0.0.1",
            "target=a:b@127.0.0.1: credentials are not accepted here: write them into a module of --config.file\n",
        ),
    ] {
        let (status, text) = exporter.page(&format!("/probe{query}")).await;
        assert_eq!((status, text.as_str()), (StatusCode::BAD_REQUEST, expected), "{query}");
    }
}

#[tokio::test]
async fn only_allowed_addresses_are_probed() {
    let upstream = Upstream::with_body(fixture("jvb_2.3.312.json")).await;
    let port = upstream.address.port();
    let by_name = format!("localhost:{port}");
    let by_address = format!("127.0.0.1:{port}");
    for (allow, target, expected) in [
        (vec![], by_address.as_str(), StatusCode::OK),
        (vec![], by_name.as_str(), StatusCode::OK),
        (vec![], "8.8.8.8", StatusCode::FORBIDDEN),
        (vec![], "169.254.169.254", StatusCode::FORBIDDEN),
        (vec![], "http://169.254.169.254/", StatusCode::FORBIDDEN),
        (vec![], "[::ffff:169.254.169.254]:80", StatusCode::FORBIDDEN),
        (vec![], "2852039166", StatusCode::FORBIDDEN),
        (vec!["0.0.0.0/0", "::/0"], "169.254.169.254", StatusCode::FORBIDDEN),
        (vec!["10.0.0.0/8"], by_address.as_str(), StatusCode::FORBIDDEN),
        // The name is not refused, but the address behind it is.
        (vec!["10.0.0.0/8"], by_name.as_str(), StatusCode::FORBIDDEN),
        (vec!["10.0.0.0/8", "localhost"], by_name.as_str(), StatusCode::OK),
        (vec!["localhost"], by_address.as_str(), StatusCode::FORBIDDEN),
    ] {
        let before = upstream.requests();
        let exporter = Exporter::start(&[], &allow).await;
        let (status, text) = exporter.page(&format!("/probe?module=jvb&target={target}")).await;
        assert_eq!(status, expected, "{allow:?} {target}: {text}");
        assert_eq!(upstream.requests() - before, usize::from(status == StatusCode::OK), "{allow:?} {target}");
        if status == StatusCode::FORBIDDEN {
            assert!(text.contains("--probe.allow"), "{text}");
        }
    }
}

#[tokio::test]
async fn flags_are_not_limited_by_the_allow_list() {
    let upstream = Upstream::with_body(fixture("jvb_2.3.312.json")).await;
    let exporter = Exporter::start(&[(Jvb, upstream.address)], &["10.0.0.0/8"]).await;
    assert!(exporter.metrics().await.contains("\njvb_up 1\n"));
}

#[tokio::test]
async fn debug_shows_how_each_key_was_used() {
    let upstream = Upstream::with_body(fixture("jvb_2.1.530_energy.json")).await;
    let exporter = Exporter::of(&[]).await;
    let (status, text) =
        exporter.page(&format!("/probe?module=jvb&target={}&debug=true", upstream.address)).await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        &format!("GET http://{}/colibri/stats: 200 OK, 475 bytes", upstream.address),
        "up",
        "  participants: jvb_participants",
        "  threads: unexpected type, no sample",
        "  tossedPacketsEnergy.average: known, has no metric",
        "jvb_participants 2",
        "probe_success 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let upstream = Upstream::with_body(fixture("jicofo_2026.json")).await;
    let (_, text) = exporter.page(&format!("/probe?module=jvb&target={}&debug=true", upstream.address)).await;
    assert!(
        text.contains("\nnot up, reason foreign_jicofo: these are the statistics of a Jicofo: "),
        "{text}"
    );
}

/// A bridge whose statistics lack its health.
async fn older_bridge(health: Option<StatusCode>) -> std::net::SocketAddr {
    let body = fixture("jvb_2.1.140.json");
    let mut router = Router::new().route("/colibri/stats", get(async || body));
    if let Some(status) = health {
        router = router.route("/about/health", get(move || async move { status }));
    }
    serve(router).await
}

#[tokio::test]
async fn the_health_of_older_bridges_is_requested() {
    let exporter = Exporter::of(&[]).await;
    for (health, expected) in [
        (Some(StatusCode::OK), Some("jvb_healthy 1")),
        (Some(StatusCode::INTERNAL_SERVER_ERROR), Some("jvb_healthy 0")),
        (Some(StatusCode::SERVICE_UNAVAILABLE), Some("jvb_healthy 0")),
        (Some(StatusCode::BAD_GATEWAY), None),
        (None, None),
    ] {
        let bridge = older_bridge(health).await;
        let (_, text) = exporter.page(&format!("/probe?module=jvb&target={bridge}")).await;
        let found = text.lines().find(|line| line.starts_with("jvb_healthy"));
        assert_eq!(found, expected, "{health:?}");
        assert!(text.contains("\njvb_up 1\n"), "{health:?}: {text}");
        let _checked = common::text(&text);
    }
}

#[tokio::test]
async fn a_health_route_that_hangs_costs_nothing_but_its_sample() {
    let body = fixture("jvb_2.1.140.json");
    let router = Router::new()
        .route("/colibri/stats", get(async || body))
        .route("/about/health", get(async || std::future::pending::<StatusCode>().await));
    let bridge = serve(router).await;
    let exporter = Exporter::of(&[]).await;
    let request = exporter.get(&format!("/probe?module=jvb&target={bridge}"));
    let response =
        request.header("X-Prometheus-Scrape-Timeout-Seconds", "0.8").send().await.expect("an answer");
    let text = response.text().await.expect("a text");
    assert!(text.contains("\njvb_up 1\n") && text.contains("\njvb_participants 10\n"), "{text}");
    assert!(!text.contains("\njvb_healthy"), "{text}");
}

#[tokio::test]
async fn pages_say_where_things_are() {
    let exporter = Exporter::of(&[]).await;
    let (status, text) = exporter.page("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("href=\"/metrics\"") && text.contains("action=\"/probe\""), "{text}");
    let (status, text) = exporter.page("/metric").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(text, "not found: there are /, /metrics, /probe, /-/healthy and /-/ready\n");
    assert_eq!(exporter.page("/-/ready").await, (StatusCode::OK, "ready\n".to_owned()));
}

#[tokio::test]
async fn probes_that_hang_lock_nobody_out() {
    let silent = Upstream::silent_after("").await;
    let listen_address = vec!["127.0.0.1:0".parse().expect("an address")];
    let flags = WebFlags { listen_address, max_requests: 2, ..WebFlags::default() };
    let raw = Raw { max_timeout: Some(Duration::from_secs(3)), ..Raw::default() };
    let exporter = Arc::new(Exporter::serving(&[], raw, flags).await);
    let path = format!("/probe?module=jvb&target={}", silent.address);
    let started = Instant::now();
    let hanging: Vec<_> = (0..8)
        .map(|_| {
            let (exporter, path) = (exporter.clone(), path.clone());
            tokio::spawn(async move {
                let request = exporter.get(&path).header("x-prometheus-scrape-timeout-seconds", "3600");
                request.send().await.expect("an answer").status()
            })
        })
        .collect();
    // Six of them are refused at once; as long as the others hang, all else is answered.
    for other in ["/-/healthy", "/-/ready", "/metrics", "/"] {
        assert_eq!(exporter.page(other).await.0, StatusCode::OK, "{other}");
    }
    let statuses = futures::future::join_all(hanging).await;
    let refused =
        statuses.iter().filter(|it| it.as_ref().is_ok_and(|it| *it == StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(refused.count(), 6);
    assert!(started.elapsed() >= Duration::from_secs(3), "the deadline of the flag holds");
}

#[tokio::test]
async fn a_host_name_that_no_host_can_have_is_refused() {
    let exporter = Exporter::of(&[]).await;
    let (status, text) = exporter.page(&format!("/probe?module=jvb&target={}", "a".repeat(254))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("longer than 253 bytes"), "{text}");
}
