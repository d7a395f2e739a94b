//! The landing page in front of real servers, and the order of `/metrics`.

use axum::http::StatusCode;
use jitsi_exporter::component::Component::{Jibri, Jvb};

use crate::common::fixture;
use crate::servers::{Exporter, Upstream};

#[tokio::test]
async fn the_landing_page_shows_the_targets_as_they_answer_now() {
    let bridge = Upstream::with_body(fixture("jvb_2.1.140.json")).await;
    let evil = Upstream::answering(StatusCode::OK, "text/html", "<script>alert(1)</script>").await;
    let exporter = Exporter::of(&[(Jvb, bridge.address), (Jibri, evil.address)]).await;
    let (status, page) = exporter.page("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(&format!("<td>jvb</td><td>{}</td>", bridge.address)), "{page}");
    assert!(page.contains("● up") && page.contains("⚠ not up</span> (html)"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    // A look is no scrape.
    let metrics = exporter.metrics().await;
    assert!(metrics.contains("jitsi_exporter_scrapes_total{component=\"jvb\"} 1\n"), "{metrics}");
    let asked = bridge.requests();
    exporter.page("/").await;
    assert!(bridge.requests() > asked, "each page asks anew");
}

#[tokio::test]
async fn the_landing_page_may_load_nothing_but_its_style() {
    let exporter = Exporter::of(&[]).await;
    let response = exporter.get("/").send().await.expect("an answer");
    let header = |name: &str| response.headers()[name].to_str().expect("a text").to_owned();
    assert!(header("content-security-policy").starts_with("default-src 'none'"), "{response:?}");
    assert!(!header("content-security-policy").contains("script-src"), "{response:?}");
    assert_eq!(
        (header("x-content-type-options"), header("cache-control")),
        ("nosniff".into(), "no-store".into())
    );
}

#[tokio::test]
async fn the_metrics_are_sorted_by_name() {
    let bridge = Upstream::with_body(fixture("jvb_2.1.140.json")).await;
    let exporter = Exporter::of(&[(Jvb, bridge.address), (Jibri, bridge.address)]).await;
    for accept in ["text/plain", "application/openmetrics-text"] {
        let response = exporter.get("/metrics").header("accept", accept).send().await.expect("an answer");
        let text = response.text().await.expect("a text");
        let named = |line: &str| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned);
        let families: Vec<String> = text.lines().filter_map(named).collect();
        assert!(families.len() > 30 && families.is_sorted(), "{families:#?}");
        let failures: Vec<&str> =
            text.lines().filter(|line| line.starts_with("jitsi_exporter_scrape_failures_total{")).collect();
        assert!(failures.len() > 20 && failures.is_sorted(), "{failures:#?}");
        assert_eq!(text.ends_with("# EOF\n"), accept.contains("openmetrics"), "{accept}");
    }
}
