//! `jitsi-sim` over HTTP: what the components answer, how they leave, and what counts as cut.

mod control;
mod leaving;
mod payloads;
mod real;
mod running;

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::{
    jitsi_sim::{
        ComponentKind::{self, Jibri, Jicofo, Jvb},
        Config, InstanceSpec, JitsiSim, Lengths, Load, Profile, Settings, Status,
    },
    wait::wait_until,
};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub(crate) const SOON: Duration = Duration::from_secs(5);

pub(crate) const HEALTH: &str = "/jibri/api/v1.0/health";
pub(crate) const GRACEFUL_SHUTDOWN: &str = "/jibri/api/internal/v1.0/gracefulShutdown";

pub(crate) fn spec(component: ComponentKind) -> InstanceSpec {
    InstanceSpec {
        component,
        group: format!("prod-{}", component.as_str()),
        region: "us-east-1".to_owned(),
        zone: "us-east-1a".to_owned(),
        boot_seconds: 0.0,
    }
}

pub(crate) fn quick() -> Config {
    let settings = Settings {
        presence_interval: Duration::from_millis(30),
        presence_delay: Duration::from_millis(10),
        shutting_down_delay: Duration::from_millis(300),
        conference_linger: Duration::from_millis(50),
        endpoint_expiry: Duration::from_millis(300),
        ..Settings::compressed()
    };
    Config { settings, ..Config::default() }
}

pub(crate) fn steady(conferences_per_minute: f64, lengths: Lengths) -> Load {
    let profile = Profile::Steady { conferences_per_minute, duration_seconds: None };
    Load { profile, seed: Some(1), lengths: Some(lengths) }
}

/// A simulator with running instances of these IDs.
pub(crate) async fn sim_with(
    config: Config,
    instances: &[(&str, ComponentKind)],
) -> Result<(JitsiSim, Vec<Ipv4Addr>)> {
    let sim = JitsiSim::start(config).await?;
    let mut addresses = Vec::new();
    for (id, component) in instances {
        addresses.push(sim.launch(id, spec(*component)).await?);
    }
    for (address, (id, component)) in addresses.iter().zip(instances) {
        let port = match component {
            Jvb => 8080,
            Jicofo => 8888,
            Jibri => 2222,
        };
        wait_until(SOON, async || accepts(*address, port).await).await.context((*id).to_owned())?;
    }
    Ok((sim, addresses))
}

pub(crate) async fn accepts(address: Ipv4Addr, port: u16) -> bool {
    TcpStream::connect((address, port)).await.is_ok()
}

pub(crate) async fn get(address: Ipv4Addr, port: u16, path: &str) -> Result<reqwest::Response> {
    Ok(reqwest::get(format!("http://{address}:{port}{path}")).await?)
}

pub(crate) async fn get_json(address: Ipv4Addr, port: u16, path: &str) -> Result<Value> {
    let response = get(address, port, path).await?.error_for_status()?;
    ensure!(response.headers()[header::CONTENT_TYPE] == "application/json", "not JSON at {path}");
    Ok(response.json().await?)
}

pub(crate) async fn stats(bridge: Ipv4Addr) -> Result<Value> {
    get_json(bridge, 8080, "/colibri/stats").await
}

pub(crate) async fn post(address: Ipv4Addr, port: u16, path: &str) -> Result<StatusCode> {
    let response = reqwest::Client::new().post(format!("http://{address}:{port}{path}")).send().await?;
    Ok(response.status())
}

pub(crate) async fn shut_bridge_down(bridge: Ipv4Addr) -> Result<StatusCode> {
    let request = reqwest::Client::new()
        .post(format!("http://{bridge}:8080/colibri/shutdown"))
        .json(&json!({"graceful-shutdown": true}));
    Ok(request.send().await?.status())
}

pub(crate) fn state(status: &Status, id: &str) -> String {
    let of_id = status.instances.values().flatten().find(|instance| instance.id == id);
    of_id.map_or_else(|| "gone".to_owned(), |instance| instance.state.clone())
}
