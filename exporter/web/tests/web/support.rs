//! A server on a free port, a folder with its web configuration, certificate authorities, and clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use jitsi_web::flags::WebFlags;
use jitsi_web::{Access, Readiness, Reloads, ServeError, Server, WorkerThreads};
use prometheus_client::registry::Registry;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use reqwest::Client;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Serving {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) readiness: Readiness,
    pub(crate) access: Access,
    pub(crate) reloads: Reloads,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<Result<(), ServeError>>,
    registry: Registry,
}

impl Serving {
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Requests shutdown, and waits until it has begun.
    pub(crate) async fn begin_shutdown(&self) {
        self.shutdown.cancel();
        while self.readiness.is_ready() {
            tokio::task::yield_now().await;
        }
    }

    /// The value of the sample `name`, which includes its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a string takes every write");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
    }

    /// Status and body of a GET request.
    pub(crate) async fn get(&self, client: &Client, path: &str) -> (u16, String) {
        let scheme = "https";
        let response =
            client.get(format!("{scheme}://{}{path}", self.address())).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a text"))
    }
}

pub(crate) async fn serve(flags: &WebFlags, app: Router) -> Serving {
    serve_on(flags, app, None).await
}

pub(crate) async fn serve_on(flags: &WebFlags, app: Router, workers: Option<WorkerThreads>) -> Serving {
    let mut server = Server::bind(flags, 0).await.expect("a port");
    if let Some(workers) = workers {
        server = server.with_worker_threads(workers);
    }
    let mut registry = Registry::default();
    server.register_metrics(&mut registry, "x");
    let (addresses, readiness) = (server.local_addrs().to_vec(), server.readiness());
    let (access, reloads) = (server.access(), server.reloads());
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(server.serve(app, shutdown.clone()));
    Serving { addresses, readiness, access, reloads, shutdown, ended, registry }
}

/// An application with a page at `/`.
pub(crate) fn hello() -> Router {
    Router::new().route("/", get(async || "hello\n"))
}

pub(crate) fn flags(addresses: &[&str]) -> WebFlags {
    let parse = |address: &&str| address.parse().expect("an address");
    WebFlags { listen_address: addresses.iter().map(parse).collect(), ..WebFlags::default() }
}

/// A client without a certificate of its own or of an authority.
pub(crate) fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}

pub(crate) async fn get_page(address: SocketAddr, path: &str) -> (u16, String) {
    let response = client().get(format!("http://{address}{path}")).send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a text"))
}

/// A page that answers as often as `gate` has permits, and adds a permit to `waiting` for each request that waits.
pub(crate) fn gated(path: &'static str, gate: &Arc<Semaphore>, waiting: &Arc<Semaphore>) -> Router {
    let (gate, waiting) = (gate.clone(), waiting.clone());
    let page = move || async move {
        waiting.add_permits(1);
        gate.acquire().await.expect("it is never closed").forget();
        "done\n"
    };
    Router::new().route(path, get(page))
}

/// A folder with a web configuration in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new(web_config: &str) -> Self {
        let folder = Self(TempDir::new().expect("a folder"));
        folder.write("web.yml", web_config);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn web_config(&self) -> PathBuf {
        self.path().join("web.yml")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("it is ours");
    }

    /// Writes a certificate and its key as `<name>.crt` and `<name>.key`.
    pub(crate) fn write_pair(&self, name: &str, pair: &Pair) {
        self.write(&format!("{name}.crt"), &pair.certificate.pem());
        self.write(&format!("{name}.key"), &pair.key.serialize_pem());
    }

    pub(crate) fn flags(&self) -> WebFlags {
        WebFlags { config_file: Some(self.web_config()), ..flags(&["127.0.0.1:0"]) }
    }
}

/// The section of a web configuration that names every file of [`tls_folder`].
pub(crate) const PAIR: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A folder with a web configuration of [`PAIR`] and `more`, and its files.
pub(crate) fn tls_folder(authority: &Authority, more: &str) -> Folder {
    let folder = Folder::new(&format!("{PAIR}{more}"));
    folder.write_pair("server", &authority.server());
    folder.write("ca.crt", &authority.certificate.pem());
    folder
}

pub(crate) struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
}

impl Pair {
    pub(crate) fn self_signed(is_ca: bool) -> Self {
        let mut params = params("itself", &[]);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().expect("a key");
        Self { certificate: params.self_signed(&key).expect("a certificate"), key }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }
}

fn params(name: &str, sans: &[SanType]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = sans.to_vec();
    params
}

pub(crate) struct Authority {
    pub(crate) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        Pair { certificate: params.signed_by(&key, &self.issuer).expect("a certificate"), key }
    }

    pub(crate) fn server(&self) -> Pair {
        let sans = [SanType::IpAddress([127, 0, 0, 1].into())];
        let mut params = params("server", &sans);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    pub(crate) fn client(&self, sans: &[SanType]) -> Pair {
        let mut params = params("client", sans);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    /// An expired certificate.
    pub(crate) fn expired_client(&self) -> Pair {
        let mut params = params("client", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        self.sign(&params)
    }

    /// A client that trusts this authority, and presents `pair`.
    pub(crate) fn trusting(&self, pair: Option<&Pair>) -> Client {
        let root = reqwest::Certificate::from_pem(self.certificate.pem().as_bytes()).expect("a certificate");
        let mut builder = Client::builder().no_proxy().tls_certs_only([root]);
        if let Some(pair) = pair {
            let identity = reqwest::Identity::from_pem(pair.pem().as_bytes()).expect("a pair");
            builder = builder.identity(identity);
        }
        builder.build().expect("a client")
    }
}

/// The hash of a password, with the lowest cost.
pub(crate) fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}
