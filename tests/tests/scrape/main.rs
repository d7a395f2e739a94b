//! jitsi-exporter as real Prometheus sees it: on a host and for many hosts, over TLS and with a password, with
//! components that disappear, wrong passwords, and thousands of idle clients.

mod crowd;
mod failures;
mod families;
mod reference;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use jitsi_tests::harness::{Exporter, Prometheus, query};
use jitsi_tests::jitsi_sim::ComponentKind::{self, Jibri, Jicofo, Jvb};
use jitsi_tests::jitsi_sim::{Config, InstanceSpec, JitsiSim};
use jitsi_tests::wait::wait_until;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::Value;
use tempfile::TempDir;

/// Much longer than anything here takes on an idle computer.
pub(crate) const SOON: Duration = Duration::from_mins(1);

pub(crate) const COMPONENTS: [ComponentKind; 3] = [Jvb, Jicofo, Jibri];

const USER: &str = "prometheus";
const PASSWORD: &str = "correct horse";

/// Jitsi, the exporter that reads it, and the Prometheus that scrapes the exporter.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) jitsi: JitsiSim,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) exporter: Exporter,
    pub(crate) prometheus: Prometheus,
}

/// The block of the exporter's guide that begins with `# NAME`.
pub(crate) fn guide(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporter/README.md");
    let guide = std::fs::read_to_string(path)?;
    let start = format!("```yaml\n# {name}\n");
    let (_, rest) = guide.split_once(&start).with_context(|| format!("the guide shows no {name}"))?;
    Ok(rest.split_once("```").context("the block ends")?.0.to_owned())
}

/// Writes a certificate of an authority, and a certificate signed by it, with its key.
fn write_certificates(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    std::fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
    let key = KeyPair::generate()?;
    std::fs::write(folder.join("server.pem"), params.signed_by(&key, &issuer)?.pem())?;
    std::fs::write(folder.join("server.key"), key.serialize_pem())?;
    Ok(())
}

/// A simulator with one running instance of each component.
pub(crate) async fn components() -> Result<(JitsiSim, Vec<Ipv4Addr>)> {
    let jitsi = JitsiSim::start(Config::compressed()).await?;
    let mut addresses = Vec::new();
    for component in COMPONENTS {
        let spec = InstanceSpec {
            component,
            group: format!("prod-{}", component.as_str()),
            region: "us-east-1".to_owned(),
            zone: "us-east-1a".to_owned(),
            boot_seconds: 0.0,
        };
        addresses.push(jitsi.launch(&format!("i-{}", component.as_str()), spec).await?);
    }
    jitsi.place_conference("i-jvb", 7, 600.0)?;
    Ok((jitsi, addresses))
}

/// The flags of an exporter beside all components.
pub(crate) fn targets(addresses: &[Ipv4Addr]) -> Vec<String> {
    let ports = [8080, 8888, 2222];
    let flag = |((component, address), port): ((&ComponentKind, &Ipv4Addr), u16)| {
        format!("--{}.url=http://{address}:{port}", component.as_str())
    };
    COMPONENTS.iter().zip(addresses).zip(ports).map(flag).collect()
}

impl Scene {
    /// Everything over TLS with a password. Prometheus scrapes with the guide's configuration, and once with another
    /// password.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        write_certificates(folder.path())?;
        let hash = bcrypt::hash(PASSWORD, 4).map_err(|error| anyhow!("{error}"))?;
        let tls =
            format!("tls_server_config: {{cert_file: {}, key_file: {}}}", at("server.pem"), at("server.key"));
        std::fs::write(
            folder.path().join("web.yml"),
            format!("{tls}\nbasic_auth_users: {{{USER}: {hash}}}\n"),
        )?;
        std::fs::write(folder.path().join("exporter-password"), PASSWORD)?;
        std::fs::write(folder.path().join("wrong-password"), "battery staple")?;
        let (jitsi, addresses) = components().await?;
        let mut flags = targets(&addresses);
        flags.extend([format!("--web.config.file={}", at("web.yml")), "--compat.systemli".to_owned()]);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let exporter = Exporter::start(folder.path(), &flags).await?;

        // The file of a discovery, with the default ports of the modules.
        let files: String = COMPONENTS
            .iter()
            .zip(&addresses)
            .map(|(component, address)| {
                let module = component.as_str();
                format!("- {{targets: [\"{address}\"], labels: {{module: {module}}}}}\n")
            })
            .collect();
        std::fs::create_dir(folder.path().join("jitsi"))?;
        std::fs::write(folder.path().join("jitsi/hosts.yml"), files)?;
        let shown = guide("probe.yml")?
            .replace("/etc/prometheus", &folder.path().display().to_string())
            .replace("exporter.example.org:10065", &exporter.address.to_string());
        // There is no EC2 here: only promtool checks that job.
        let (_, by_file) =
            shown.split_once("  - job_name: jitsi-files\n").context("a job of file discovery")?;
        let sidecar = |job: &str, password: &str| {
            format!(
                "  - job_name: {job}\n    scheme: https\n    basic_auth: {{username: {USER}, password_file: {}}}\n    \
                 tls_config: {{ca_file: {}}}\n    static_configs: [{{targets: [\"{}\"]}}]\n",
                at(password),
                at("exporter-ca.pem"),
                exporter.address
            )
        };
        std::fs::rename(folder.path().join("ca.pem"), folder.path().join("exporter-ca.pem"))?;
        let config = format!(
            "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nscrape_configs:\n{}{}  - job_name: jitsi-files\n{by_file}",
            sidecar("sidecar", "exporter-password"),
            sidecar("wrong", "wrong-password"),
        );
        let prometheus = Prometheus::start(folder.path(), &config).await?;
        let scene = Self { folder, jitsi, addresses, exporter, prometheus };
        scene
            .until("everything is scraped", async || {
                scene.value("sum(up{job=~\"sidecar|jitsi-files\"})").await == Some(4.0)
                    && scene.value("count(up{job=\"wrong\"})").await == Some(1.0)
                    && scene.value("sum({__name__=~\"jvb_up|jicofo_up|jibri_up\"})").await == Some(6.0)
            })
            .await?;
        Ok(scene)
    }

    /// The single value of an expression.
    pub(crate) async fn value(&self, expr: &str) -> Option<f64> {
        let series = query(&self.prometheus.url, expr, "").await.ok()?;
        match series.as_slice() {
            [(_, value)] => Some(*value),
            _ => None,
        }
    }

    /// The answer of Prometheus' API at a path.
    pub(crate) async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("{}/api/v1/{path}", self.prometheus.url);
        let mut answer: Value = client.get(url).query(parameters).send().await?.json().await?;
        anyhow::ensure!(answer["status"] == "success", "{path}: {answer}");
        Ok(answer["data"].take())
    }

    /// Waits for a condition; if it does not come true, the error shows the exporter's log.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFnMut() -> bool) -> Result<()> {
        let waited = wait_until(SOON, condition).await;
        waited.with_context(|| {
            let (exporter, prometheus) = (self.exporter.process.output(), self.prometheus.process.output());
            format!("{what}; the exporter says:\n{exporter}\nPrometheus says:\n{prometheus}")
        })
    }

    /// The exporter's answer to a client with the password.
    pub(crate) async fn page(&self, path: &str) -> Result<String> {
        let authority = std::fs::read(self.folder.path().join("exporter-ca.pem"))?;
        let authority = reqwest::Certificate::from_pem(&authority)?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build()?;
        let url = format!("https://{}{path}", self.exporter.address);
        let answer = client.get(url).basic_auth(USER, Some(PASSWORD)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}
