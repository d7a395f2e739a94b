//! nginx in place of bridges: each of its addresses answers a hundred keys.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jitsi_tests::harness::{Process, free_port, tool};
use tokio::process::Command;

/// The answer of every bridge, from before 2.3-95, which still has conferences by size.
pub(crate) const BODY: &str = include_str!("../../../../exporter/benches/jvb_100_keys.json");

/// The number of bridges if only their rate counts.
pub(crate) const BRIDGES: u32 = 8;

#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) process: Process,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Nginx {
    /// Starts this many bridges, each with its own address.
    pub(crate) async fn start(folder: &Path, bridges: u32) -> anyhow::Result<Self> {
        let port = free_port()?;
        let address = |number: u32| -> SocketAddr {
            let [.., high, low] = (number / 250 * 256 + number % 250 + 1).to_be_bytes();
            (Ipv4Addr::new(127, 1, high, low), port).into()
        };
        let addresses: Vec<SocketAddr> = (0..bridges).map(address).collect();
        fs::write(folder.join("stats.json"), BODY)?;
        let listen: String = addresses.iter().map(|address| format!("listen {address};\n")).collect();
        let here = folder.display();
        // nginx drops root privileges, and then cannot enter the folder, which only the user may read.
        let user = if fs::metadata(folder)?.uid() == 0 { "user root;" } else { "" };
        let config = format!(
            "{user} daemon off; worker_processes auto; pid {here}/nginx.pid; error_log stderr warn;\n\
             events {{ worker_connections 16384; }}\n\
             http {{\n\
               access_log off; keepalive_requests 1000000000; open_file_cache max=10; default_type application/json;\n\
               client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f;\n\
               uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n\
               server {{ {listen} location = /colibri/stats {{ alias {here}/stats.json; }} }}\n\
             }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new(tool("nginx")?);
        command.arg("-p").arg(folder).arg("-e").arg("stderr").arg("-c").arg(&file);
        let mut process = Process::spawn("nginx", &mut command, folder)?;
        process.wait_for_ok(&format!("http://{}/colibri/stats", addresses[0])).await?;
        Ok(Self { process, addresses })
    }

    /// Ends nginx and its workers, which a kill would leave behind.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await.map(drop)
    }
}
