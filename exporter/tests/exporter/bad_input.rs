//! Malformed responses of a target, through the whole exporter: every scrape ends in time, needs little memory and does not
//! affect the other target. `metrics` tests redirects and bodies of other components, `probe` tests forbidden addresses, and
//! `robust` tests the parsers alone.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use axum::response::IntoResponse as _;
use jitsi_exporter::component::Component::{Jibri, Jicofo, Jvb};
use tokio::io::AsyncWriteExt as _;
use tokio::time::interval;

use crate::common::{self, Exposition, fixture};
use crate::metrics::fails;
use crate::program;
use crate::servers::{Exporter, Upstream};

#[tokio::test]
async fn a_hundred_megabytes_that_were_not_announced() {
    let upstream = Upstream::raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"a\":\"").await;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..100 {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"\"}").await;
    })
    .await;
    fails(Jvb, upstream.address, "too_large").await;
}

#[tokio::test]
async fn a_byte_now_and_then() {
    let upstream = Upstream::raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{").await;
        // Each comes long before the deadline, and the last long after it.
        let mut beat = interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            if stream.write_all(b" ").await.is_err() {
                return;
            }
        }
    })
    .await;
    fails(Jvb, upstream.address, "timeout").await;
}

#[tokio::test]
async fn headers_without_an_end() {
    let upstream = Upstream::raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"x-more: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").await.is_ok()
        {
        }
    })
    .await;
    fails(Jvb, upstream.address, "protocol").await;
}

#[tokio::test]
async fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 100_000;
        let body = format!("{{\"conferences\":{}1{}}}", open.repeat(depth), close.repeat(depth));
        fails(Jvb, Upstream::with_body(body).await.address, "malformed").await;
    }
}

#[tokio::test]
async fn more_keys_than_are_read() {
    // Short ones, so that the body is not refused for its size alone.
    let letters: Vec<char> = ('!'..='~').filter(|c| !matches!(c, '"' | '\\')).collect();
    let letter = |place: usize| letters[place % letters.len()];
    let body: String = (0..110_000_usize)
        .map(|n| match n / letters.len().pow(3) {
            0 => format!(",\"{}{}{}\":1", letter(n), letter(n / 92), letter(n / 92 / 92)),
            more => format!(",\"{}{}{}{more}\":1", letter(n), letter(n / 92), letter(n / 92 / 92)),
        })
        .collect();
    let body = format!("{{{}}}", &body[1..]);
    assert!(body.len() < 1024 * 1024, "{}", body.len());
    let (bad, good) =
        (Upstream::with_body(body).await, Upstream::with_body(fixture("jibri_busy.json")).await);
    let exporter = Exporter::of(&[(Jvb, bad.address), (Jibri, good.address)]).await;
    let text = exporter.metrics().await;
    let exposition = common::text(&text);
    assert!(exposition.value("jvb_up").abs() < f64::EPSILON && exposition.value("jibri_up") > 0.0);
    let counted = "jitsi_exporter_scrape_failures_total{component=\"jvb\",reason=\"too_large\"} 1";
    assert!(text.lines().any(|line| line == counted), "{text}");
}

#[tokio::test]
async fn no_utf_8() {
    for body in
        [&b"{\"conferences\":1,\"version\":\"\xff\xfe\"}"[..], b"{\"\xc3\x28\":1}", b"\xff\xfe{\x00}\x00"]
    {
        fails(Jvb, Upstream::with_body(body).await.address, "malformed").await;
    }
}

/// The exposition of a body, read by a strict reader in both formats.
async fn exposed(body: &str) -> Exposition {
    let upstream = Upstream::with_body(body).await;
    let exporter = Exporter::of(&[]).await;
    let path = format!("/probe?module=jvb&target={}", upstream.address);
    let openmetrics = exporter.get(&path).header("accept", "application/openmetrics-text; version=1.0.0");
    let openmetrics = openmetrics.send().await.expect("an answer").text().await.expect("a text");
    let _in_order = common::openmetrics(&openmetrics);
    common::text(&exporter.page(&path).await.1)
}

#[tokio::test]
async fn label_values_with_anything_in_them() {
    let exposition = exposed(
        r#"{"conferences":1,"version":"2\"}\n# EOF\njvb_up 0\n","region":"a\\\u0000\r\t\u2028é","relay_id":"{}=,\ud83d\ude00"}"#,
    )
    .await;
    let has = |series: &str| assert!(exposition.series.contains_key(series), "{series} in {exposition:#?}");
    has("jvb_up");
    has("jvb_version_info{version=\"2\\\"}\\n# EOF\\njvb_up 0\\n\"}");
    has("jvb_region_info{region=\"a\\\\\0\r\t\u{2028}é\"}");
    has("jvb_relay_info{relay_id=\"{}=,😀\"}");
    assert!(exposition.value("jvb_up") > 0.0);
}

#[tokio::test]
async fn a_body_with_an_unexpected_encoding() {
    let upstream = Upstream::serving(|_| async {
        ([("content-encoding", "gzip")], b"\x1f\x8b\x08\x00bomb".as_slice()).into_response()
    })
    .await;
    fails(Jicofo, upstream.address, "malformed").await;
}

#[tokio::test]
async fn memory_is_bounded_whatever_comes() {
    let running = program::start(&[]);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut upstreams = Vec::new();
    for _ in 0..40 {
        upstreams.push(Upstream::endless().await.address);
    }
    let scrape = |upstream: &SocketAddr| {
        let url = format!("http://{}/probe?module=jvb&target={upstream}", running.address);
        let request = client.get(url).send();
        async move { request.await.expect("an answer").text().await.expect("a text") }
    };
    for _ in 0..3 {
        let together = futures::future::join_all(upstreams.iter().map(scrape)).await;
        assert!(together.iter().all(|text| text.contains("\njvb_up 0\n")));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", running.child.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let peak: u64 = peak.and_then(|value| value.trim().parse().ok()).expect("a number of KiB");
    // As many as may be probed at once. The manifests allow 64 MiB.
    assert!(peak < 64 * 1024, "{peak} KiB");
}
