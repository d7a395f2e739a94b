//! Notifications to systemd, received by a socket in its place.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;

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
async fn systemd_is_notified() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let mut child = Command::new(env!("CARGO_BIN_EXE_jitsi-exporter"))
        .arg("--web.listen-address=127.0.0.1:0")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
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
