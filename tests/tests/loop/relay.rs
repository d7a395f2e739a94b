//! Bridges that only their own host can reach: drained through the relay of the exporter beside each.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::Component;
use jitsi_tests::harness::Exporter;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

use crate::{GROUP, Scene, bridges, group};

/// Seconds; longer than any test.
const LASTING: f64 = 600.0;
const PASSWORD: &str = "correct horse";

/// Through the relay at its default port, with a user, over TLS with our own authority.
fn scaler(folder: &Path) -> String {
    let drain = format!(
        "drain:\n      via: \"https://{{private_ip}}:10065/relay/jvb\"\n      max_in_flight: 1\n      settle: 300ms\n      \
         basic_auth: {{username: scaler, password_file: {0}/password}}\n      tls: {{ca_file: {0}/ca.pem}}\n",
        folder.display()
    );
    let (before, _) = bridges::SCALER.split_once("drain:").expect("a drain");
    format!("{}{drain}", before.replace("cooldown: 5m", "cooldown: 1s"))
}

/// The authority for the hosts of the bridges.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        Ok(Self { pem: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    /// The exporter on the host of a bridge, with its relay.
    async fn host(&self, folder: &Path, instance: &str, address: std::net::Ipv4Addr) -> Result<Exporter> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(address.into())];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        std::fs::create_dir_all(folder)?;
        let hash = bcrypt::hash(PASSWORD, 4).map_err(|error| anyhow::anyhow!("{error}"))?;
        for (name, text) in [
            ("tls.pem", certificate.pem()),
            ("tls.key", key.serialize_pem()),
            (
                "web.yml",
                format!(
                    "tls_server_config: {{cert_file: tls.pem, key_file: tls.key}}\nbasic_auth_users: {{scaler: {hash}}}\n"
                ),
            ),
        ] {
            std::fs::write(folder.join(name), text)?;
        }
        let web = format!("--web.config.file={}", folder.join("web.yml").display());
        let listen = format!("--web.listen-address={address}:10065");
        let bridge = format!("--jvb.url=http://{address}:8080");
        let instance = format!("--instance.id={instance}");
        Exporter::start(folder, &[&web, &listen, &bridge, "--relay.enabled", &instance]).await
    }

    /// The number of requests of a kind that the relay of a host has passed on.
    async fn relayed(&self, address: std::net::Ipv4Addr, request: &str) -> Result<u32> {
        let root = reqwest::Certificate::from_pem(self.pem.as_bytes())?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build()?;
        let page =
            client.get(format!("https://{address}:10065/metrics")).basic_auth("scaler", Some(PASSWORD));
        let text = page.send().await?.error_for_status()?.text().await?;
        let series = format!(
            "jitsi_exporter_relay_requests_total{{component=\"jvb\",request=\"{request}\",outcome=\"ok\"}} "
        );
        let value = text.lines().find_map(|line| line.strip_prefix(&series)).context("the counter")?;
        Ok(value.parse()?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_is_drained_and_taken_back_and_let_go_through_the_relay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new()?;
    std::fs::write(folder.path().join("ca.pem"), &authority.pem)?;
    let password = folder.path().join("password");
    std::fs::write(&password, "wrong\n")?;
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 2, 2))], &scaler(folder.path())).await?;
    let mut hosts = HashMap::new();
    for bridge in scene.serving(GROUP, 2).await? {
        let address = scene.component(&bridge).context("a bridge")?.private_ip;
        let exporter = authority.host(&folder.path().join(&bridge), &bridge, address).await?;
        scene.stage.jitsi.place_conference(&bridge, 2, LASTING)?;
        hosts.insert(bridge, (address, exporter));
    }

    // The relay rejects requests of unknown users, so the scaler does not know what the bridges carry.
    scene.set_bounds(GROUP, 1, 2)?;
    scene.until_logged("HTTP 401").await;
    scene.evaluations(2).await;
    assert!(scene.performed().is_empty(), "{:?}", scene.performed());

    std::fs::write(&password, format!("{PASSWORD}\n"))?;
    let leaving = scene.first_drain(GROUP).await?;
    let staying = hosts.keys().find(|bridge| **bridge != leaving).context("another bridge")?.clone();
    scene.until("the bridge is asked to drain", async || scene.state(&leaving) == "draining").await;
    scene.stage.jitsi.place_conference(&staying, 40, LASTING)?;
    scene.until("the drain is cancelled", async || scene.drains(GROUP).is_empty()).await;
    assert_eq!((scene.state(&leaving).as_str(), scene.desired(GROUP)), ("running", 2));
    assert!(scene.applied("SetDesiredCapacity").is_empty(), "nothing is launched for what can be taken back");
    let (address, _) = hosts[&leaving];
    for request in ["drain_enable", "drain_disable"] {
        assert!(authority.relayed(address, request).await? > 0, "{request}");
    }

    for bridge in hosts.keys() {
        scene.stage.jitsi.end_conferences(bridge)?;
    }
    scene.settled(GROUP, 1).await;
    let gone = scene.stage.asg.group(crate::REGION, GROUP).context("the group")?.instances;
    let stays = gone.first().context("one stays")?.id.clone();
    let left = hosts.iter().find(|(bridge, _)| **bridge != stays).context("one is gone")?.1.0;
    assert_eq!(authority.relayed(left, "shutdown").await?, 1);
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0, "a conference was cut");
    Ok(())
}
