//! What systemd is told, seen from a socket in its place. The environment that leads there belongs
//! to a process of its own: this program again, with the one test that serves.

use std::env;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::support::{flags, hello};

const CHILD: &str = "systemd::serves_until_it_is_told_to_end";

#[tokio::test]
#[ignore = "it is run by the other tests here, as a process of its own"]
async fn serves_until_it_is_told_to_end() {
    let server = jitsi_web::Server::bind(&flags(&["127.0.0.1:0"]), 0).await.expect("a port");
    let shutdown = CancellationToken::new();
    jitsi_web::signals::reload_on_hangup(server.reloads()).expect("signals");
    jitsi_web::signals::shutdown_on_signals(shutdown.clone()).expect("signals");
    server.serve(hello(), shutdown).await.expect("it serves");
}

async fn message(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let count = socket.recv(&mut bytes).await.expect("a message");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// The next message that is no sign of life.
async fn news(socket: &UnixDatagram) -> String {
    loop {
        let message = message(socket).await;
        if message != "WATCHDOG=1\n" {
            return message;
        }
    }
}

async fn signal(name: &str, id: u32) {
    let status = Command::new("kill").args([name, &id.to_string()]).status().await;
    assert!(status.expect("kill").success());
}

#[tokio::test]
async fn systemd_is_told_what_happens() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("this program");
    let id = child.id().expect("it runs");
    assert_eq!(news(&socket).await, "READY=1\n");
    while message(&socket).await != "WATCHDOG=1\n" {}
    signal("-HUP", id).await;
    let reloading = news(&socket).await;
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(news(&socket).await, "READY=1\n");
    signal("-TERM", id).await;
    assert_eq!(news(&socket).await, "STOPPING=1\n");
    assert!(child.wait().await.expect("it ends").success());
}
