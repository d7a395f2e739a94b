//! `/metrics`: every scrape covers every target, regardless of the others' failures.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use jitsi_exporter::component::Component::{self, Jibri, Jicofo, Jvb};
use jitsi_exporter::reason::Reason;
use tokio::time::Instant;

use crate::common::{self, fixture};
use crate::servers::{Exporter, Upstream, nowhere};

/// Scrapes a target with a deadline of half a second and expects it not to be up for `reason`.
pub(crate) async fn fails(component: Component, upstream: std::net::SocketAddr, reason: &str) {
    let good = Upstream::with_body(fixture("jibri_busy.json")).await;
    let beside = if component == Jibri { Jvb } else { Jibri };
    let beside_body = if beside == Jvb { "jvb_2.3.312.json" } else { "jibri_busy.json" };
    let good = if beside == Jvb { Upstream::with_body(fixture(beside_body)).await } else { good };
    let exporter = Exporter::of(&[(component, upstream), (beside, good.address)]).await;
    let start = Instant::now();
    let response = exporter.get("/metrics").header("X-Prometheus-Scrape-Timeout-Seconds", "1").send().await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.expect("a text");
    assert!(start.elapsed() < Duration::from_secs(1), "{reason} took {:?}", start.elapsed());
    let exposition = common::text(&text);
    let is = |series: String, expected: f64| {
        let found = exposition.value(&series);
        assert!((found - expected).abs() < f64::EPSILON, "{reason}: {series} is {found}");
    };
    is(format!("{component}_up"), 0.0);
    is(format!("{beside}_up"), 1.0);
    is(format!("jitsi_exporter_scrape_failures_total{{component=\"{component}\",reason=\"{reason}\"}}"), 1.0);
    let own = [format!("{component}_up"), format!("{component}_scrape_duration_seconds")];
    let others = exposition.series.keys().filter(|series| series.starts_with(&format!("{component}_")));
    assert_eq!(others.filter(|series| !own.contains(series)).count(), 0, "{reason}: {text}");
}

#[tokio::test]
async fn down() {
    fails(Jvb, nowhere().await, "refused").await;
}

#[tokio::test]
async fn silent() {
    fails(Jvb, Upstream::silent_after("").await.address, "timeout").await;
}

#[tokio::test]
async fn slow_in_the_middle_of_the_body() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"conferences\":";
    fails(Jvb, Upstream::silent_after(head).await.address, "timeout").await;
}

#[tokio::test]
async fn endless() {
    fails(Jvb, Upstream::endless().await.address, "too_large").await;
}

#[tokio::test]
async fn a_body_that_announces_a_hundred_megabytes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{";
    fails(Jvb, Upstream::silent_after(head).await.address, "too_large").await;
}

#[tokio::test]
async fn cut_by_the_connection() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"conferences\":1";
    fails(Jvb, Upstream::saying(text).await.address, "interrupted").await;
}

#[tokio::test]
async fn closed_without_an_answer() {
    fails(Jvb, Upstream::saying("").await.address, "interrupted").await;
}

#[tokio::test]
async fn no_http() {
    fails(Jvb, Upstream::saying("SSH-2.0-OpenSSH_9.2\r\n").await.address, "protocol").await;
}

#[tokio::test]
async fn statuses() {
    for (status, reason) in [
        (StatusCode::NOT_FOUND, "not_found"),
        (StatusCode::UNAUTHORIZED, "unauthorized"),
        (StatusCode::FORBIDDEN, "unauthorized"),
        (StatusCode::INTERNAL_SERVER_ERROR, "status"),
        (StatusCode::NO_CONTENT, "status"),
    ] {
        fails(Jvb, Upstream::answering(status, "text/html", "").await.address, reason).await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::with_body(fixture("jvb_2.3.312.json")).await;
    let location = format!("http://{}/colibri/stats", elsewhere.address);
    let upstream = Upstream::serving(move |_| {
        let location = location.clone();
        async move { Redirect::temporary(&location).into_response() }
    })
    .await;
    fails(Jvb, upstream.address, "redirect").await;
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn bodies_that_are_not_the_statistics() {
    for (component, body, reason) in [
        (Jvb, b"".to_vec(), "empty"),
        (Jvb, b"{}".to_vec(), "empty_object"),
        (Jicofo, b" {} ".to_vec(), "empty_object"),
        (Jvb, fixture("error_page.html"), "html"),
        (Jvb, fixture("jvb_cut.json.part"), "truncated"),
        (Jvb, b"OK".to_vec(), "malformed"),
        (Jvb, b"{\"conferences\":1}\xff".to_vec(), "malformed"),
        (Jvb, b"[1,2,3]".to_vec(), "unrecognized"),
        (Jvb, b"{\"name\":\"x\",\"version_\":\"y\"}".to_vec(), "unrecognized"),
        (Jvb, fixture("jicofo_2022_queues.json"), "foreign_jicofo"),
        (Jvb, fixture("jibri_busy.json"), "foreign_jibri"),
        (Jvb, fixture("rtcstats_dump.json"), "foreign_rtcstats"),
        (Jicofo, fixture("jvb_2.2.45.json"), "foreign_jvb"),
        (Jicofo, fixture("jibri_legacy_idle.json"), "foreign_jibri"),
        (Jicofo, fixture("rtcstats_dump.json"), "foreign_rtcstats"),
        (Jibri, fixture("jibri_webhook.json"), "foreign_webhook"),
        (Jibri, fixture("jicofo_2026.json"), "foreign_jicofo"),
        (Jibri, fixture("jvb_2014_quoted.json"), "foreign_jvb"),
        (Jibri, b"{\"status\":\"ok\"}".to_vec(), "unrecognized"),
    ] {
        fails(component, Upstream::with_body(body).await.address, reason).await;
    }
}

#[tokio::test]
async fn targets_of_one_component_are_labelled() {
    let (a, b) = (
        Upstream::with_body(fixture("jvb_2.2.45.json")).await,
        Upstream::with_body(fixture("jvb_1.x_relay.json")).await,
    );
    let down = nowhere().await;
    let exporter = Exporter::of(&[(Jvb, a.address), (Jvb, b.address), (Jvb, down)]).await;
    let exposition = common::text(&exporter.metrics().await);
    let (a, b) = (a.address, b.address);
    assert_eq!(exposition.of("jvb_up").len(), 3);
    for (series, value) in [
        (format!("jvb_up{{target=\"{a}\"}}"), 1.0),
        (format!("jvb_up{{target=\"{b}\"}}"), 1.0),
        (format!("jvb_up{{target=\"{down}\"}}"), 0.0),
        (format!("jvb_participants{{target=\"{a}\"}}"), 12.0),
        (format!("jvb_participants{{target=\"{b}\"}}"), 4.0),
        (format!("jvb_conference_size_bucket{{target=\"{b}\",le=\"+Inf\"}}"), 6.0),
        (format!("jvb_region_info{{target=\"{b}\",region=\"north \\\"1\\\"\"}}"), 1.0),
    ] {
        assert!((exposition.value(&series) - value).abs() < f64::EPSILON, "{series}");
    }
}

#[tokio::test]
async fn one_target_of_a_component_has_no_label() {
    let jvb = Upstream::with_body(fixture("jvb_2.2.45.json")).await;
    let jibri = Upstream::with_body(fixture("jibri_busy.json")).await;
    let exporter = Exporter::of(&[(Jvb, jvb.address), (Jibri, jibri.address)]).await;
    let text = exporter.metrics().await;
    assert!(text.contains("\njvb_participants 12\n") && text.contains("\njibri_available 0\n"), "{text}");
}

#[tokio::test]
async fn values_of_no_use_are_counted_and_the_rest_goes_on() {
    let upstream = Upstream::with_body(fixture("jvb_2.1.530_energy.json")).await;
    let exporter = Exporter::of(&[(Jvb, upstream.address)]).await;
    let _first = exporter.metrics().await;
    let text = exporter.metrics().await;
    for line in [
        "jvb_up 1",
        "jvb_participants 2",
        "jitsi_exporter_unusable_values_total{component=\"jvb\",key=\"threads\"} 2",
        "jitsi_exporter_unusable_values_total{component=\"jvb\",key=\"endpoints_sending_audio\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn the_exporter_speaks_of_itself_and_starts_at_zero() {
    let exporter = Exporter::of(&[]).await;
    let exposition = common::text(&exporter.metrics().await);
    assert_eq!(exposition.of("jitsi_exporter_build_info").len(), 1);
    assert!(exposition.value("process_resident_memory_bytes") > 0.0);
    assert_eq!(exposition.of("jitsi_exporter_scrape_failures_total"), []);
    let exporter = Exporter::of(&[(Jvb, nowhere().await)]).await;
    let exposition = common::text(&exporter.metrics().await);
    assert_eq!(exposition.of("jitsi_exporter_scrape_failures_total").len(), Reason::ALL.len());
}

#[tokio::test]
async fn both_formats_packed_or_not() {
    use std::io::Read as _;
    let upstream = Upstream::with_body(fixture("jicofo_2022_queues.json")).await;
    let exporter = Exporter::of(&[(Jicofo, upstream.address)]).await;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let request = exporter.get("/metrics").header("accept", accept).header("accept-encoding", "gzip");
    let response = request.send().await.expect("an answer");
    let header = |name: &str| response.headers()[name].to_str().expect("a text").to_owned();
    assert_eq!(header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(header("content-encoding"), "gzip");
    let packed = response.bytes().await.expect("a body");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*packed).read_to_string(&mut text).expect("gzip");
    let openmetrics = common::openmetrics(&text);
    assert_eq!(openmetrics.types["jicofo_bridges_lost"], "counter");
    let plain = common::text(&exporter.metrics().await);
    assert_eq!(plain.types["jicofo_bridges_lost_total"], "counter");
    assert!(openmetrics.series.keys().eq(plain.series.keys()));
}

#[tokio::test]
async fn requests_accept_json() {
    let upstream = Upstream::serving(|headers| async move {
        let accepts_json = headers.get("accept").is_some_and(|accept| accept == "application/json");
        let body = if accepts_json { "{\"current_timestamp\":\"x\",\"conferences\":1}" } else { "" };
        body.into_response()
    })
    .await;
    let exporter = Exporter::of(&[(Jvb, upstream.address)]).await;
    assert!(exporter.metrics().await.contains("\njvb_conferences 1\n"));
}
