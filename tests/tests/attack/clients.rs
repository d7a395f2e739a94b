//! Attacks of anonymous clients on what both programs serve.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::load::{Tally, get, peer, post, repeat, send, trickle};
use crate::scene::{GROUPS, Scene, notification};

/// More connections than either program serves at once.
const CROWD: usize = 600;
/// What a page of another site makes a browser send.
const FOREIGN: [&str; 4] = [
    "origin: http://evil.example\r\ncontent-type: text/plain\r\n",
    "origin: null\r\n",
    "sec-fetch-site: cross-site\r\n",
    "sec-fetch-site: same-site\r\norigin: http://127.0.0.1\r\n",
];
const COMMANDS: [&str; 4] = [
    "/relay/jvb/colibri/drain/enable",
    "/relay/jvb/colibri/drain/disable",
    "/relay/jvb/colibri/shutdown",
    "/relay/jibri/jibri/api/internal/v1.0/gracefulShutdown",
];
const PAUSE: &str = "/api/v1/fleets/prod/prod/pause";
const WEBHOOK: &str = "/api/v1/alertmanager";

/// Notifications of some 60,000 alerts over all groups and others, no two of them the same.
pub(crate) async fn large_notifications(scene: &Scene, until: Instant) -> Tally {
    repeat(15, until, async |turn, tally| {
        let alert = |number: usize| {
            let asg = number % (5 * GROUPS);
            format!(r#"{{"status":"firing","labels":{{"asg":"group-{asg}"}},"startsAt":"{turn}-{number}"}}"#)
        };
        // Some are longer than what is read, the others as long as they may be.
        let count = if turn % 3 == 0 { 70_000 } else { 55_000 };
        let alerts: Vec<String> = (0..count).map(alert).collect();
        let body = format!(r#"{{"version":"4","alerts":[{}]}}"#, alerts.join(","));
        let request = post(WEBHOOK, "", body.as_bytes());
        tally.expect(
            "a large notification",
            &send(peer(turn), scene.scaler.address, &request).await,
            &["200", "503"],
        );
    })
    .await
}

/// Bodies, heads and handshakes of HTTP that never end, on more connections than there are places.
async fn crowd(to: SocketAddr, beginnings: &[Vec<u8>], until: Instant) -> Tally {
    let clients = (0..CROWD).map(|number| {
        let begin = &beginnings[number % beginnings.len()];
        let drop: &[u8] = if number % 3 == 0 { b"" } else { b"a" };
        trickle(peer(number), to, begin, drop, until)
    });
    let mut all = Tally::default();
    for tally in join_all(clients).await {
        all.add(tally);
    }
    all
}

/// A request whose body never comes.
fn bodiless(path: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{{").into_bytes()
}

pub(crate) async fn slow_bodies_scaler(scene: &Scene, until: Instant) -> Tally {
    crowd(scene.scaler.address, &[WEBHOOK, PAUSE, "/-/reload", "/"].map(bodiless), until).await
}

pub(crate) async fn slow_bodies_exporter(scene: &Scene, until: Instant) -> Tally {
    let chunked =
        b"POST /relay/jvb/colibri/shutdown HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let begin = [bodiless(COMMANDS[2]), bodiless("/-/reload"), bodiless("/metrics"), chunked.to_vec()];
    crowd(scene.exporter.address, &begin, until).await
}

pub(crate) async fn slow_heads(scene: &Scene, until: Instant) -> Tally {
    let begin =
        [b"".to_vec(), b"G".to_vec(), b"GET /metrics HTTP/1.1\r\nx: ".to_vec(), b"\x16\x03\x01".to_vec()];
    let (mut tally, more) = tokio::join!(
        crowd(scene.scaler.address, &begin, until),
        crowd(scene.exporter.address, &begin, until)
    );
    tally.add(more);
    tally
}

/// Probes of a target that never answers, with an hour of patience.
pub(crate) async fn hanging_probes(scene: &Scene, until: Instant) -> Tally {
    let patient = "x-prometheus-scrape-timeout-seconds: 3600\r\n";
    repeat(CROWD, until, async |turn, tally| {
        let module = ["jvb", "jicofo", "jibri"][turn % 3];
        let path = format!("/probe?module={module}&target={}", scene.silent.address);
        let answer = send(peer(turn), scene.exporter.address, &get(&path, patient)).await;
        tally.expect("a hanging probe", &answer, &["200", "503"]);
        // One that is refused at once comes again, as Prometheus would, but no sooner.
        sleep(Duration::from_millis(500)).await;
    })
    .await
}

/// Distinct targets that fail, some with names that no host can have.
pub(crate) async fn failing_targets(scene: &Scene, until: Instant) -> Tally {
    let long = "x".repeat(30_000);
    repeat(32, until, async |turn, tally| {
        let [.., b, c, d] = turn.to_be_bytes();
        let (target, statuses): (String, &[&str]) = match turn % 10 {
            0 => (format!("n{turn}.{long}"), &["400", "431", "503"]),
            1 => (format!("n{turn}.{}.invalid", &long[..60]), &["200", "503"]),
            _ => (format!("127.{b}.{c}.{d}:9"), &["200", "503"]),
        };
        let request = get(&format!("/probe?module=jvb&target={target}"), "");
        tally.expect("a failing target", &send(peer(turn), scene.exporter.address, &request).await, statuses);
    })
    .await
}

/// Targets whose answers do harm.
pub(crate) async fn hostile_targets(scene: &Scene, until: Instant) -> Tally {
    repeat(16, until, async |turn, tally| {
        let target = &scene.targets[turn % scene.targets.len()];
        let module = ["jvb", "jicofo", "jibri"][turn / scene.targets.len() % 3];
        let debug = if turn % 5 == 0 { "&debug=true" } else { "" };
        let path = format!("/probe?module={module}&target={}{debug}", target.address);
        let request = get(&path, "x-prometheus-scrape-timeout-seconds: 3\r\n");
        let answer = send(peer(turn), scene.exporter.address, &request).await;
        tally.expect("a hostile target", &answer, &["200", "503"]);
    })
    .await
}

/// Targets at which clouds keep credentials, in every spelling.
pub(crate) async fn forbidden_targets(scene: &Scene, until: Instant) -> Tally {
    const SPELLINGS: [&str; 24] = [
        "169.254.169.254",
        "169.254.169.254:80",
        "http://169.254.169.254/",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.16689662",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "169.254.170.2",
        "169.254.170.23",
        "[fd00:ec2::254]:80",
        "[fd00:ec2::23]:80",
        "[fe80::1]:80",
        "[fe80::1%25lo]:80",
        "100.100.100.200",
        "168.63.129.16",
        "%31%36%39.254.169.254",
        "169。254。169。254",
        "①⑥⑨.254.169.254",
        "http://127.0.0.1@169.254.169.254/",
        "169.254.169.254#@127.0.0.1",
        "http://[fd20:ce::254]/",
        "8.8.8.8",
    ];
    repeat(8, until, async |turn, tally| {
        let spelling = SPELLINGS[turn % SPELLINGS.len()];
        let encoded: String = url::form_urlencoded::byte_serialize(spelling.as_bytes()).collect();
        let module = ["jvb", "jicofo", "jibri"][turn / SPELLINGS.len() % 3];
        let request = get(&format!("/probe?module={module}&target={encoded}"), "");
        let answer = send(peer(turn), scene.exporter.address, &request).await;
        tally.expect(spelling, &answer, &["400", "403", "503"]);
    })
    .await
}

/// Requests that are none, or too much: none of them may be a defect of the program (5xx).
pub(crate) async fn odd_requests(scene: &Scene, until: Instant) -> Tally {
    let deep = "[".repeat(1 << 20);
    let host = "host: 127.0.0.1\r\nconnection: close\r\n";
    let requests: Vec<Vec<u8>> = vec![
        get("/", &format!("x: {}\r\n", "a".repeat(1 << 20))),
        get("/", &"a: b\r\n".repeat(5_000)),
        get(&format!("/{}", "a".repeat(1 << 20)), ""),
        get(&format!("/probe?{}", "a=b&".repeat(7_000)), ""),
        get("/probe?module=jvb%0d%0ax-evil:%201&target=a%0d%0ab%00", ""),
        get("/probe?module=jvb&target=http://a%0d%0ahost:%20b/", ""),
        get("/fleets/%2e%2e%2f%2e%2e%2fetc/passwd%00?region=%0d%0ax:y", ""),
        get("/../../../../etc/passwd", ""),
        get("/relay/jvb/../../../etc/passwd", ""),
        get("/relay/jvb/colibri/stats/%2e%2e/%2e%2e/debug", ""),
        get("//evil.example/%2f..", ""),
        get("/fleets/<script>alert(1)</script>/prod", ""),
        get("/api/v1/decisions?limit=99999999999999999999", ""),
        get("/api/v1/decisions?limit=18446744073709551615", ""),
        get("/metrics", &format!("accept: {}\r\n", "a/b;q=0.1,".repeat(3_000))),
        get("/metrics", &format!("accept-encoding: {}\r\n", "gzip;q=0,".repeat(3_000))),
        get("/metrics", "x-prometheus-scrape-timeout-seconds: 1e308\r\n"),
        get("/metrics", "authorization: Basic ////\r\n"),
        post(WEBHOOK, "", deep.as_bytes()),
        post(WEBHOOK, "", &[0xff; 1000]),
        post(WEBHOOK, "", format!(r#"{{"version":"4","alerts":{deep}"#).as_bytes()),
        post(WEBHOOK, "content-encoding: gzip\r\n", &[0x1f, 0x8b, 8, 0, 0]),
        post(WEBHOOK, "", &vec![b' '; 5 << 20]),
        post(PAUSE, "content-type: application/json\r\n", deep.as_bytes()),
        post(PAUSE, "content-type: application/json\r\n", br#"{"reason": "a", "for": "99999999999999999999y"}"#),
        post(COMMANDS[2], "content-type: application/json\r\n", deep.as_bytes()),
        post(COMMANDS[2], "content-type: application/json\r\n", br#"["graceful-shutdown"]"#),
        post("/-/healthy", "", b"a"),
        format!("POST {WEBHOOK} HTTP/1.1\r\n{host}content-length: 99999999999999999999\r\n\r\n").into(),
        format!("POST {WEBHOOK} HTTP/1.1\r\n{host}content-length: -1\r\n\r\n").into(),
        format!("POST {WEBHOOK} HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n").into(),
        format!("POST {WEBHOOK} HTTP/1.1\r\n{host}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n").into(),
        format!("GET / HTTP/1.1\r\n{host}host: other\r\n\r\n").into(),
        format!("G\0T / HTTP/1.1\r\n{host}\r\n").into(),
        format!("GET /\u{e9} HTTP/1.1\r\n{host}\r\n").into(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(),
    ];
    repeat(8, until, async |turn, tally| {
        let to = [scene.scaler.address, scene.exporter.address][turn % 2];
        let request = &requests[turn / 2 % requests.len()];
        let answer = send(peer(turn), to, request).await;
        tally.count(&answer);
        if answer.outcome.starts_with('5') && answer.outcome != "503" {
            let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
            tally.wrong.push(format!("{} to {shown:?}: {}", answer.outcome, answer.body()));
        }
    })
    .await
}

/// Requests that change something, sent by a page of another site, or to a name that leads here.
pub(crate) async fn foreign_pages(scene: &Scene, until: Instant) -> Tally {
    let own: Vec<(SocketAddr, &str)> = [WEBHOOK, PAUSE, "/api/v1/fleets/prod/prod/resume", "/-/reload"]
        .map(|path| (scene.scaler.address, path))
        .into_iter()
        .chain(COMMANDS.map(|path| (scene.exporter.address, path)))
        .chain([(scene.exporter.address, "/-/reload")])
        .collect();
    let body = br#"{"graceful-shutdown": true, "version": "4", "reason": "a", "for": "1h"}"#;
    repeat(4, until, async |turn, tally| {
        let (to, path) = own[turn % own.len()];
        let headers = FOREIGN[turn / own.len() % FOREIGN.len()];
        let answer = send(peer(turn), to, &post(path, headers, body)).await;
        tally.expect(&format!("{path} for another site"), &answer, &["403"]);
        let command = COMMANDS[turn % COMMANDS.len()];
        let rebound = format!("POST {command} HTTP/1.1\r\nhost: evil.example:10065\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let answer = send(peer(turn), scene.exporter.address, rebound.as_bytes()).await;
        tally.expect("a relay under a foreign name", &answer, &["403", "404"]);
        let (exporter, _) = &scene.guarded;
        let answer = send(peer(turn), exporter.address, &post(command, "", b"")).await;
        tally.expect("a relay without a password", &answer, &["401"]);
    })
    .await
}

/// Guessed passwords, each on a connection of its own, for a known and many unknown users. Fewer at a time than the programs
/// with few files serve connections.
pub(crate) async fn passwords(scene: &Scene, until: Instant) -> Tally {
    let (exporter, scaler) = &scene.guarded;
    repeat(8, until, async |turn, tally| {
        let to = [exporter.address, scaler.address][turn % 2];
        let guess = if turn % 3 == 0 { format!("admin:{turn}") } else { format!("user{turn}:x") };
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, guess);
        let headers = format!("authorization: Basic {encoded}\r\n");
        let path = ["/metrics", "/", "/-/reload", "/api/v1/status"][turn % 4];
        tally.expect("a guessed password", &send(peer(turn), to, &get(path, &headers)).await, &["401"]);
    })
    .await
}

/// Notifications that name nothing; those of the real Alertmanager are accepted all the same.
pub(crate) async fn vain_notifications(scene: &Scene, until: Instant) -> Tally {
    let flood = repeat(16, until, async |turn, tally| {
        let body = notification(&format!("none-{turn}"), &format!("{turn}"));
        let answer = send(peer(turn), scene.scaler.address, &post(WEBHOOK, "", body.as_bytes())).await;
        tally.expect("a notification of nothing", &answer, &["200"]);
    });
    let honest = repeat(1, until, async |turn, tally| {
        // The attack before this one may have used up what is accepted at once.
        sleep(Duration::from_secs(2)).await;
        let body = json!({"version": "4", "alerts": [{"status": "firing", "startsAt": format!("{turn}"),
            "labels": {"asg": "prod", "alertname": format!("{:?}", Instant::now())}}]});
        let answer =
            send(peer(0), scene.scaler.address, &post(WEBHOOK, "", body.to_string().as_bytes())).await;
        tally.expect("alertmanager's own notification", &answer, &["200"]);
        if !answer.body().contains("woken") {
            tally.wrong.push(format!("alertmanager's own notification: {}", answer.body()));
        }
    });
    let (mut tally, more) = tokio::join!(flood, honest);
    tally.add(more);
    tally
}
