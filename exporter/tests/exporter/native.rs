//! A component's own metrics: when they are requested, what they replace, and that requesting them does not exceed the
//! deadline.

use std::time::Duration;

use axum::http::StatusCode;
use jitsi_exporter::component::Component::{self, Jibri, Jicofo, Jvb};
use jitsi_exporter::config::Raw;
use jitsi_exporter::native::Mode;
use test_case::test_case;
use tokio::time::Instant;

use crate::common::{self, Exposition, fixture};
use crate::servers::{Answer, Exporter, Host};

const STATISTICS: &str = "/colibri/stats";
const METRICS: &str = "/metrics";
const DRAIN: &str = "/colibri/drain";
const HEALTH: &str = "/about/health";

/// Scrapes the host with half a second of time, and checks that it was enough.
async fn scrape(component: Component, host: &Host, native: Mode) -> (Exposition, String) {
    let exporter = Exporter::with(&[(component, host.address)], Raw { native, ..Raw::default() }).await;
    let start = Instant::now();
    let request = exporter.get("/metrics").header("X-Prometheus-Scrape-Timeout-Seconds", "1");
    let text = request.send().await.expect("an answer").text().await.expect("a text");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    (common::text(&text), text)
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[test_case(None ; "a 404")]
#[test_case(Some("{}") ; "an empty object")]
#[tokio::test]
async fn a_bridge_with_its_statistics_off_is_read_by_its_metrics(statistics: Option<&str>) {
    let mut routes = vec![(METRICS, Answer::ok(fixture("native_jvb_2.3.312.txt")))];
    routes.extend(statistics.map(|body| (STATISTICS, Answer::ok(body))));
    let host = Host::with(routes).await;
    let (_, text) = scrape(Jvb, &host, Mode::Auto).await;
    for line in [
        "jvb_up 1",
        "jvb_statistics_source_info{source=\"native\"} 1",
        "jvb_healthy 1",
        "jvb_draining 0",
        "jvb_local_endpoints 15",
        "jvb_incoming_bits_per_second 9000123",
        "jitsi_exporter_scrape_failures_total{component=\"jvb\",reason=\"not_found\"} 0",
    ] {
        assert!(has(&text, line), "{line} in {text}");
    }
    // These metrics include health and drain mode, which are not requested again.
    assert_eq!(host.received(), [STATISTICS, METRICS]);
}

#[tokio::test]
async fn values_that_older_metrics_lack_are_requested() {
    let lines = String::from_utf8(fixture("native_jvb_2.2.45.txt")).expect("a text");
    let without_health: Vec<&str> = lines.lines().filter(|line| !line.contains("healthy")).collect();
    for (drain, health, expected_drain, expected_health) in [
        (Answer::ok("{\"drain\":true}"), Answer::ok(""), Some(1.0), Some(1.0)),
        (
            Answer::ok("{\"drain\":false}"),
            Answer::status(StatusCode::SERVICE_UNAVAILABLE),
            Some(0.0),
            Some(0.0),
        ),
        (Answer::ok("<html>"), Answer::status(StatusCode::BAD_GATEWAY), None, None),
        (Answer::ok("{\"drain\":\"later\"}"), Answer::Silence, None, None),
        (Answer::Silence, Answer::ok(""), None, Some(1.0)),
    ] {
        let metrics = Answer::ok(without_health.join("\n"));
        let host = Host::with(vec![(METRICS, metrics), (DRAIN, drain), (HEALTH, health)]).await;
        let (exposition, text) = scrape(Jvb, &host, Mode::Auto).await;
        assert!(has(&text, "jvb_up 1") && has(&text, "jvb_local_endpoints 15"), "{text}");
        let value = |name: &str| exposition.of(name).first().map(|(_, value)| *value);
        assert_eq!((value("jvb_draining"), value("jvb_healthy")), (expected_drain, expected_health));
        assert_eq!(host.received(), [HEALTH, DRAIN, STATISTICS, METRICS]);
    }
}

#[tokio::test]
async fn a_bridge_with_statistics_gets_no_other_request() {
    let routes = vec![
        (STATISTICS, Answer::ok(fixture("jvb_2.3.312.json"))),
        (METRICS, Answer::ok(fixture("native_jvb_2.3.312.txt"))),
    ];
    let host = Host::with(routes).await;
    let (exposition, text) = scrape(Jvb, &host, Mode::Auto).await;
    assert!(has(&text, "jvb_statistics_source_info{source=\"colibri\"} 1"), "{text}");
    assert!(exposition.of("jvb_conference_size_bucket").is_empty());
    assert_eq!(host.received(), [STATISTICS]);
}

#[tokio::test]
async fn with_always_metrics_complete_the_statistics() {
    let routes = vec![
        (STATISTICS, Answer::ok(fixture("jvb_2.3.312.json"))),
        (METRICS, Answer::ok(fixture("native_jvb_2.3.312.txt"))),
    ];
    let host = Host::with(routes).await;
    let (exposition, text) = scrape(Jvb, &host, Mode::Always).await;
    for line in [
        // Both have these, and the statistics count.
        "jvb_statistics_source_info{source=\"colibri\"} 1",
        "jvb_incoming_bits_per_second 9000000",
        "jvb_shutting_down 1",
        // Only the statistics have these.
        "jvb_version_info{version=\"2.3.312-gcafe0003\"} 1",
        // Only the metrics have these.
        "jvb_conference_size_bucket{le=\"5.0\"} 1",
        "jvb_xmpp_disconnects_total 2",
        "jvb_mucs_joined 3",
    ] {
        assert!(has(&text, line), "{line} in {text}");
    }
    assert_eq!(exposition.of("jvb_statistics_source_info").len(), 1);
    assert_eq!(host.received(), [STATISTICS, METRICS]);
}

#[tokio::test]
async fn jicofo_and_jibri_are_completed_by_their_metrics() {
    for (component, statistics, metrics, line, other) in [
        (
            Jicofo,
            "jicofo_2026.json",
            "native_jicofo_1.0.1196.txt",
            "jicofo_jibri_no_instance_failures_total 3",
            "jicofo_healthy 0",
        ),
        (
            Jibri,
            "jibri_busy.json",
            "native_jibri_8.0.199.txt",
            "jibri_sessions_started_total 12",
            "jibri_healthy 1",
        ),
    ] {
        let statistics = (component.stats_path(), Answer::ok(fixture(statistics)));
        let with = Host::with(vec![statistics.clone(), (METRICS, Answer::ok(fixture(metrics)))]).await;
        let (_, text) = scrape(component, &with, Mode::Auto).await;
        assert!(has(&text, line) && has(&text, other), "{text}");
        assert_eq!(with.received().len(), 2);
        let (_, text) = scrape(component, &with, Mode::Off).await;
        assert!(!has(&text, line) && has(&text, other), "{text}");
        assert_eq!(with.received(), [component.stats_path()]);
        // Without them, or with others, there is neither a failure nor a sample.
        for metrics in [
            Answer::status(StatusCode::NOT_FOUND),
            Answer::status(StatusCode::INTERNAL_SERVER_ERROR),
            Answer::ok("<html>"),
            Answer::ok(""),
            Answer::ok(fixture("native_jvb_2.3.312.txt")),
        ] {
            let routes = vec![statistics.clone(), (METRICS, metrics)];
            let (_, text) = scrape(component, &Host::with(routes).await, Mode::Auto).await;
            assert!(has(&text, &format!("{component}_up 1")) && has(&text, other), "{text}");
            assert!(!has(&text, line) && !text.contains("jvb_conferences"), "{text}");
        }
    }
}

#[tokio::test]
async fn metrics_that_hang_cost_neither_the_scrape_nor_its_deadline() {
    for component in [Jicofo, Jibri] {
        let body = if component == Jicofo { "jicofo_2026.json" } else { "jibri_busy.json" };
        let host =
            Host::with(vec![(component.stats_path(), Answer::ok(fixture(body))), (METRICS, Answer::Silence)])
                .await;
        let (_, text) = scrape(component, &host, Mode::Auto).await;
        assert!(has(&text, &format!("{component}_up 1")), "{text}");
    }
    let host = Host::with(vec![(METRICS, Answer::Silence)]).await;
    let (_, text) = scrape(Jvb, &host, Mode::Auto).await;
    assert!(has(&text, "jvb_up 0"), "{text}");
    assert!(has(&text, "jitsi_exporter_scrape_failures_total{component=\"jvb\",reason=\"not_found\"} 1"));
}

#[tokio::test]
async fn a_bridge_is_down_if_neither_can_be_read() {
    let jicofo = || Answer::ok(fixture("native_jicofo_1.0.1196.txt"));
    let absent = || Answer::status(StatusCode::NOT_FOUND);
    let failing = || Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
    for (statistics, metrics, reason) in [
        (absent(), absent(), "not_found"),
        (Answer::ok("{}"), absent(), "empty_object"),
        (absent(), Answer::ok("<html>"), "not_found"),
        (absent(), Answer::ok("jitsi_conferences 3"), "not_found"),
        (absent(), failing(), "not_found"),
        // Metrics of another component explain more than missing statistics.
        (absent(), jicofo(), "foreign_jicofo"),
        // These are no statistics that are off.
        (failing(), jicofo(), "status"),
        (Answer::ok("<html>"), jicofo(), "html"),
        (Answer::ok("{\"a\":"), jicofo(), "truncated"),
    ] {
        let routes = vec![(STATISTICS, statistics), (METRICS, metrics)];
        let (exposition, text) = scrape(Jvb, &Host::with(routes).await, Mode::Auto).await;
        let failed =
            format!("jitsi_exporter_scrape_failures_total{{component=\"jvb\",reason=\"{reason}\"}} 1");
        assert!(has(&text, "jvb_up 0") && has(&text, &failed), "{reason}: {text}");
        assert!(exposition.of("jvb_statistics_source_info").is_empty());
    }
}

#[tokio::test]
async fn off_is_off() {
    let host = Host::with(vec![(METRICS, Answer::ok(fixture("native_jvb_2.3.312.txt")))]).await;
    let (_, text) = scrape(Jvb, &host, Mode::Off).await;
    assert!(has(&text, "jvb_up 0"), "{text}");
    assert_eq!(host.received(), [STATISTICS]);
}

#[tokio::test]
async fn debug_shows_which_metrics_were_used() {
    let host = Host::with(vec![(METRICS, Answer::ok(fixture("native_jvb_2.3.312.txt")))]).await;
    let exporter = Exporter::of(&[]).await;
    let (_, text) = exporter.page(&format!("/probe?module=jvb&target={}&debug=true", host.address)).await;
    for line in [
        format!("GET http://{}/colibri/stats: 404 Not Found, 0 bytes", host.address),
        format!("keys of http://{}/metrics:", host.address),
        "  mucs_connected: jvb_mucs_configured".to_owned(),
        "  conferences_by_size_bucket: jvb_conference_size".to_owned(),
        "  jvm_gc_count: not used".to_owned(),
        format!("body of http://{}/metrics:", host.address),
        "jitsi_jvb_stress 0.5".to_owned(),
        "jvb_stress_ratio 0.5".to_owned(),
    ] {
        assert!(has(&text, &line), "{line} in {text}");
    }
}
