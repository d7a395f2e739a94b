//! Health routes, limits and shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use jitsi_web::Server;
use jitsi_web::flags::WebFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::{client, flags, gated, get_page, serve};

#[tokio::test]
async fn health_is_answered_to_get_and_head_on_every_listener() {
    let serving = serve(&flags(&["127.0.0.1:0", "127.0.0.1:0"]), Router::new()).await;
    assert_eq!(serving.addresses.len(), 2);
    assert_ne!(serving.addresses[0], serving.addresses[1]);
    for address in serving.addresses {
        assert_eq!(get_page(address, "/-/healthy").await, (200, "healthy\n".to_owned()));
        assert_eq!(get_page(address, "/-/ready").await, (200, "ready\n".to_owned()));
        let head = client().head(format!("http://{address}/-/ready")).send().await.expect("an answer");
        assert_eq!((head.status().as_u16(), head.text().await.expect("a text").as_str()), (200, ""));
    }
}

#[tokio::test]
async fn the_program_can_be_unready() {
    let serving = serve(&flags(&["127.0.0.1:0"]), Router::new()).await;
    let address = serving.addresses[0];
    serving.readiness.set_unready("the first evaluation is under way");
    let expected = "not ready: the first evaluation is under way\n";
    assert_eq!(get_page(address, "/-/ready").await, (503, expected.to_owned()));
    assert_eq!(get_page(address, "/-/healthy").await.0, 200);
    serving.readiness.set_ready();
    assert_eq!(get_page(address, "/-/ready").await.0, 200);
}

#[tokio::test]
async fn a_program_may_know_that_it_is_unhealthy() {
    let mut server = Server::bind(&flags(&["127.0.0.1:0"]), 0).await.expect("a port");
    let hangs = Arc::new(AtomicBool::new(false));
    let known = hangs.clone();
    server.healthy_unless(move || known.load(Ordering::Relaxed).then(|| "its loop hangs".to_owned()));
    let address = server.local_addrs()[0];
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.serve(Router::new(), shutdown.clone()));
    assert_eq!(get_page(address, "/-/healthy").await, (200, "healthy\n".to_owned()));
    hangs.store(true, Ordering::Relaxed);
    assert_eq!(get_page(address, "/-/healthy").await, (503, "unhealthy: its loop hangs\n".to_owned()));
    shutdown.cancel();
    serving.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn every_interface_is_ipv6_and_ipv4() {
    let serving = serve(&flags(&[":0"]), Router::new()).await;
    let port = serving.addresses[0].port();
    assert_ne!(port, 0);
    assert_eq!(get_page(SocketAddr::from(([127, 0, 0, 1], port)), "/-/ready").await.0, 200);
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_its_flag() {
    let serving = serve(&flags(&["127.0.0.1:0"]), Router::new()).await;
    let address = serving.addresses[0];
    let error = Server::bind(&flags(&[&address.to_string()]), 0).await.expect_err("it is in use");
    let expected = format!(
        "--web.listen-address={address}: cannot listen: stop the program that uses the port, or choose another"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn an_address_of_another_host_is_reported_as_such() {
    // Reserved for documentation: RFC 5737.
    let error = Server::bind(&flags(&["192.0.2.1:0"]), 0).await.expect_err("no host has it").to_string();
    assert!(
        error.ends_with("this host does not have the address: write one that it has, or :PORT for all"),
        "{error}"
    );
}

#[tokio::test]
async fn requests_for_metrics_are_limited_and_health_is_not() {
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let flags = WebFlags { max_requests: 1, ..flags(&["127.0.0.1:0"]) };
    let serving = serve(&flags, gated("/metrics", &gate, &waiting)).await;
    let address = serving.addresses[0];
    let first = tokio::spawn(get_page(address, "/metrics"));
    waiting.acquire().await.expect("it is never closed").forget();
    let expected = "limit of 1 concurrent requests reached, try again later\n";
    assert_eq!(get_page(address, "/metrics").await, (503, expected.to_owned()));
    assert_eq!(get_page(address, "/-/ready").await.0, 200);
    gate.add_permits(2);
    assert_eq!(first.await.expect("no panic"), (200, "done\n".to_owned()));
    assert_eq!(get_page(address, "/metrics").await.0, 200);
}

#[tokio::test]
async fn shutdown_waits_for_requests_in_progress_and_accepts_no_new_ones() {
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let serving = serve(&flags(&["127.0.0.1:0"]), gated("/slow", &gate, &waiting)).await;
    let address = serving.addresses[0];
    let request = tokio::spawn(get_page(address, "/slow"));
    // An idle connection does not delay the shutdown.
    let _idle = TcpStream::connect(address).await.expect("it listens");
    waiting.acquire().await.expect("it is never closed").forget();
    serving.begin_shutdown().await;
    assert!(!serving.ended.is_finished());
    gate.add_permits(1);
    assert_eq!(request.await.expect("no panic"), (200, "done\n".to_owned()));
    let ended = tokio::time::timeout(Duration::from_secs(5), serving.ended).await;
    ended.expect("it ends soon").expect("no panic").expect("no error");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_endless_header_is_refused() {
    let serving = serve(&flags(&["127.0.0.1:0"]), Router::new()).await;
    let mut stream = TcpStream::connect(serving.addresses[0]).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.expect("it reads");
    let line = [b'a'; 1024];
    for _ in 0..64 {
        if stream.write_all(&line).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer).await;
    // Closing a socket with unread data may discard the answer.
    let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 ");
    assert!(refused, "{}", String::from_utf8_lossy(&answer));
}

/// Reads its whole body.
fn reading(path: &str) -> Router {
    Router::new().route(path, post(async |body: String| format!("{} bytes\n", body.len())))
}

/// As many connections as there are slots, each with a request whose body does not end.
async fn slow_bodies(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let head = b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf";
        stream.write_all(head).await.expect("it reads");
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn bodies_that_do_not_end_lock_nobody_out() {
    let serving = serve(&flags(&["127.0.0.1:0"]), reading("/read")).await;
    let address = serving.addresses[0];
    let _streams = slow_bodies(address, 512).await;
    for _ in 0..3 {
        let answer = tokio::time::timeout(Duration::from_secs(5), get_page(address, "/-/healthy")).await;
        assert_eq!(answer.expect("an answer in time").0, 200);
    }
    let answer = client().post(format!("http://{address}/read")).body("all").send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "3 bytes\n");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up() {
    let serving = serve(&flags(&["127.0.0.1:0"]), reading("/read")).await;
    let mut streams = slow_bodies(serving.addresses[0], 1).await;
    let mut answer = Vec::new();
    streams[0].read_to_end(&mut answer).await.expect("it is closed");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let serving = serve(&flags(&["127.0.0.1:0"]), reading("/read")).await;
    let url = format!("http://{}/read", serving.addresses[0]);
    let send = async |name: &str, value: &str| {
        let request = client().post(&url).header(name, value).header("content-type", "text/plain");
        request.body("x").send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(send("sec-fetch-site", "cross-site").await, 403);
    assert_eq!(send("origin", "http://example.org").await, 403);
    assert_eq!(send("sec-fetch-site", "same-origin").await, 200);
    let reload = format!("http://{}/-/reload", serving.addresses[0]);
    let reload = client().post(reload).header("origin", "http://example.org").send().await;
    assert_eq!(reload.expect("an answer").status().as_u16(), 403);
}
