//! Modules of `--config.file`: refused files, requests to targets, and reloads.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use jitsi_exporter::access::Modules;
use jitsi_exporter::allow::AllowList;
use jitsi_exporter::component::Component;
use jitsi_exporter::config::Raw;
use jitsi_web::Server;
use jitsi_web::flags::WebFlags;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use test_case::test_case;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::common::fixture;
use crate::servers::{Exporter, Upstream};

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/modules").join(kind);
    let files = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files: BTreeSet<PathBuf> = files.collect();
    assert!(files.len() > 4, "{}", folder.display());
    files.into_iter().collect()
}

fn load(path: &Path) -> Result<Modules, Vec<String>> {
    let loaded = Modules::load(Some(path.to_owned()), Arc::new(AllowList::default()));
    loaded.map_err(|error| {
        let folder = format!("{}/", path.parent().expect("a folder").display());
        error.problems.iter().map(|problem| problem.to_string().replace(&folder, "./")).collect()
    })
}

/// Each fixture ends with its expected errors, one line `#: …` per mistake.
#[test]
fn every_mistake_is_reported_with_its_line() {
    let mut differing = Vec::new();
    for path in fixtures("refused") {
        let text = fs::read_to_string(&path).expect("a text");
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#: ")).collect();
        let reported = load(&path).expect_err("it is refused");
        if reported != expected {
            differing.push(format!("{}:\n{}", path.display(), reported.join("\n")));
        }
        assert!(!reported.concat().contains("hunter2"), "a secret is shown: {reported:?}");
    }
    assert!(differing.is_empty(), "the errors differ from the fixtures:\n{}", differing.join("\n"));
}

#[test]
fn valid_files_are_accepted() {
    for path in fixtures("accepted") {
        assert!(load(&path).is_ok(), "{}: {:?}", path.display(), load(&path));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Modules::load(Some("/no/such/modules.yml".into()), Arc::new(AllowList::default()));
    let expected =
        "--config.file=/no/such/modules.yml: it cannot be read: No such file or directory (os error 2)";
    assert_eq!(error.expect_err("there is none").to_string(), expected);
}

#[test]
fn debug_output_shows_no_secret() {
    let text = "modules: {a: {component: jvb, basic_auth: {username: a, password: hunter2}, headers: {X-Key: hunter2}}}";
    let (modules, problems) = jitsi_exporter::modules::parse(text, Path::new(""));
    assert_eq!((modules.len(), problems.len()), (1, 0));
    assert!(!format!("{modules:?}").contains("hunter2"));
    let folder = Folder::new(text);
    assert!(!format!("{:?}", load(&folder.file())).contains("hunter2"));
}

/// A folder with a file of modules.
struct Folder(TempDir);

impl Folder {
    fn new(modules: &str) -> Self {
        let folder = Self(TempDir::new().expect("a folder"));
        folder.write("modules.yml", modules);
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("modules.yml")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("it is ours");
    }

    async fn exporter(&self) -> Exporter {
        Exporter::with(&[], Raw { modules: Some(self.file()), ..Raw::default() }).await
    }
}

/// Whether a target is up through a module; if not, the reason that is counted.
async fn outcome(exporter: &Exporter, module: &str, target: &str) -> String {
    let before = failures(exporter).await;
    let (status, text) = exporter.page(&format!("/probe?module={module}&target={target}")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    if text.contains("\njvb_up 1\n") {
        return "up".to_owned();
    }
    assert!(text.contains("\njvb_up 0\n"), "{text}");
    let after = failures(exporter).await;
    let grown: Vec<&String> = after.iter().filter(|line| !before.contains(*line)).collect();
    assert_eq!(grown.len(), 1, "{grown:?}");
    grown[0].split("reason=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a reason").to_owned()
}

async fn failures(exporter: &Exporter) -> BTreeSet<String> {
    let text = exporter.metrics().await;
    let name = "jitsi_exporter_scrape_failures_total{component=\"jvb\"";
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// A bridge behind a server with a web configuration, as a proxy would be.
struct Guarded {
    address: SocketAddr,
    _ends_with_it: DropGuard,
}

impl Guarded {
    async fn with(folder: &Folder, web_config: &str) -> Self {
        folder.write("web.yml", web_config);
        let flags = WebFlags {
            listen_address: vec!["127.0.0.1:0".parse().expect("an address")],
            config_file: Some(folder.0.path().join("web.yml")),
            ..WebFlags::default()
        };
        let server = Server::bind(&flags, 0).await.expect("a port");
        let address = server.local_addrs()[0];
        let body = fixture("jvb_2.3.312.json");
        let router = Router::new().route(Component::Jvb.stats_path(), get(async || body));
        let shutdown = CancellationToken::new();
        tokio::spawn(server.serve(router, shutdown.clone()));
        Self { address, _ends_with_it: shutdown.drop_guard() }
    }

    async fn with_password(folder: &Folder, password: &str) -> Self {
        let hash = bcrypt::hash(password, 4).expect("a hash");
        Self::with(folder, &format!("basic_auth_users: {{me: {hash}}}\n")).await
    }
}

#[tokio::test]
async fn basic_auth() {
    let folder = Folder::new(
        "modules:
  good: {component: jvb, basic_auth: {username: me, password: \"a: b\"}}
  bad: {component: jvb, basic_auth: {username: me, password: hunter2}}
",
    );
    let bridge = Guarded::with_password(&folder, "a: b").await;
    let exporter = folder.exporter().await;
    let target = bridge.address.to_string();
    assert_eq!(outcome(&exporter, "good", &target).await, "up");
    assert_eq!(outcome(&exporter, "bad", &target).await, "unauthorized");
    assert_eq!(outcome(&exporter, "jvb", &target).await, "unauthorized");
}

#[tokio::test]
async fn a_new_password_in_its_file_is_taken_up() {
    let folder = Folder::new(
        "modules: {jvb: {component: jvb, basic_auth: {username: me, password_file: password}}}\n",
    );
    folder.write("password", "old");
    let bridge = Guarded::with_password(&folder, "new").await;
    let exporter = folder.exporter().await;
    let target = bridge.address.to_string();
    assert_eq!(outcome(&exporter, "jvb", &target).await, "unauthorized");
    folder.write("password", "new\r\n");
    assert_eq!(outcome(&exporter, "jvb", &target).await, "up");
    for text in ["", "new\nold\n"] {
        folder.write("password", text);
        assert_eq!(outcome(&exporter, "jvb", &target).await, "credentials");
    }
}

/// A bridge that notes the headers of each request.
async fn noting() -> (SocketAddr, Arc<Mutex<Vec<HeaderMap>>>) {
    let noted: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let writing = noted.clone();
    let body = fixture("jvb_2.3.312.json");
    let upstream = Upstream::serving(move |headers| {
        writing.lock().expect("a lock").push(headers);
        let body = body.clone();
        async move { body.into_response() }
    })
    .await;
    (upstream.address, noted)
}

#[test_case("bearer_token: abc", &[("authorization", "Bearer abc")] ; "a token")]
#[test_case("bearer_token_file: token", &[("authorization", "Bearer in-a-file")] ; "a token in a file")]
#[test_case("basic_auth: {username: ü, password: \"\u{20ac}\"}", &[("authorization", "Basic w7w64oKs")] ; "a password in UTF-8")]
#[test_case("headers: {X-Scope-OrgID: jitsi, Authorization: Token x}", &[("x-scope-orgid", "jitsi"), ("authorization", "Token x")] ; "headers")]
#[test_case("headers: {User-Agent: another-agent}", &[("user-agent", "another-agent")] ; "another name")]
#[tokio::test]
async fn headers_of_requests(keys: &str, expected: &[(&str, &str)]) {
    let folder = Folder::new(&format!("modules:\n  a:\n    component: jvb\n    {keys}\n"));
    folder.write("token", "in-a-file\n");
    let (address, noted) = noting().await;
    let exporter = folder.exporter().await;
    assert_eq!(outcome(&exporter, "a", &address.to_string()).await, "up");
    let noted = std::mem::take(&mut *noted.lock().expect("a lock"));
    assert_eq!(noted.len(), 1);
    for (name, value) in expected {
        assert_eq!(noted[0][*name], *value);
        assert_eq!(noted[0].get_all(*name).iter().count(), 1);
    }
    assert_eq!(noted[0]["accept"], "application/json");
    // A page for people does not show it either.
    let (_, text) = exporter.page(&format!("/probe?module=a&target={address}&debug=true")).await;
    assert!(
        text.starts_with("probe of a at ") && expected.iter().all(|(_, value)| !text.contains(value)),
        "{text}"
    );
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let (elsewhere, noted) = noting().await;
    let to = format!("http://{elsewhere}/colibri/stats");
    let upstream = Upstream::serving(move |_| {
        let to = to.clone();
        async move { Redirect::temporary(&to).into_response() }
    })
    .await;
    let folder = Folder::new("modules: {a: {component: jvb, bearer_token: abc, headers: {X-Key: abc}}}\n");
    let exporter = folder.exporter().await;
    assert_eq!(outcome(&exporter, "a", &upstream.address.to_string()).await, "redirect");
    assert_eq!(noted.lock().expect("a lock").len(), 0);
}

#[tokio::test]
async fn a_module_has_its_own_timeout_and_no_more_than_prometheus_waits() {
    let folder = Folder::new(
        "modules: {hurried: {component: jvb, timeout: 200ms}, patient: {component: jvb, timeout: 1m}}\n",
    );
    let upstream = Upstream::silent_after("").await;
    let exporter = folder.exporter().await;
    for (module, header) in [("hurried", "10"), ("patient", "0.5")] {
        let start = Instant::now();
        let request = exporter.get(&format!("/probe?module={module}&target={}", upstream.address));
        let request = request.header("X-Prometheus-Scrape-Timeout-Seconds", header);
        let text = request.send().await.expect("an answer").text().await.expect("a text");
        assert!(text.contains("\nprobe_success 0\n"), "{text}");
        assert!(start.elapsed() < Duration::from_secs(2), "{module}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_module_is_limited_by_the_allow_list() {
    let folder = Folder::new("modules: {a: {component: jvb, bearer_token: abc}}\n");
    let (address, noted) = noting().await;
    let raw = Raw { modules: Some(folder.file()), allow: vec!["10.0.0.0/8".to_owned()], ..Raw::default() };
    let exporter = Exporter::with(&[], raw).await;
    for target in [address.to_string(), format!("localhost:{}", address.port()), "169.254.169.254".to_owned()]
    {
        let (status, text) = exporter.page(&format!("/probe?module=a&target={target}")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    }
    assert_eq!(noted.lock().expect("a lock").len(), 0);
}

/// The credentials of a module are for its own targets.
#[tokio::test]
async fn a_module_reaches_only_targets_that_it_is_for() {
    let folder = Folder::new(
        "modules:\n  a: {component: jvb, bearer_token: abc, allow: [127.0.0.2, .example.org]}\n  \
         b: {component: jvb, bearer_token: abc, allow: [127.0.0.0/8, 203.0.113.0/24]}\n",
    );
    let (address, noted) = noting().await;
    let exporter = Exporter::with(&[], Raw { modules: Some(folder.file()), ..Raw::default() }).await;
    let elsewhere = [
        ("a", address.to_string()),
        ("a", format!("localhost:{}", address.port())),
        ("b", "203.0.113.7".to_owned()),
    ];
    for (module, target) in elsewhere {
        let (status, text) = exporter.page(&format!("/probe?module={module}&target={target}")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{module}, {target}: {text}");
    }
    assert_eq!(noted.lock().expect("a lock").len(), 0);
    exporter.page(&format!("/probe?module=b&target={address}")).await;
    assert_ne!(noted.lock().expect("a lock").len(), 0);
}

#[tokio::test]
async fn the_modules_are_named() {
    let folder = Folder::new("modules: {zoo: {component: jvb}, arc: {component: jibri}}\n");
    let exporter = folder.exporter().await;
    let (status, text) = exporter.page("/probe?module=ark&target=127.0.0.1").await;
    let expected = "module=ark is unknown: use jvb, jicofo, jibri, arc or zoo\n";
    assert_eq!((status, text.as_str()), (StatusCode::BAD_REQUEST, expected));
    let (_, page) = exporter.page("/").await;
    assert!(page.contains("<option>arc</option><option>zoo</option>"), "{page}");
}

/// An authority and the certificates that it signs.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes a certificate for `san` and its key as `<name>.crt` and `<name>.key`.
    fn write(&self, folder: &Folder, name: &str, san: SanType) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![san];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        folder.write(&format!("{name}.crt"), &certificate.pem());
        folder.write(&format!("{name}.key"), &key.serialize_pem());
    }
}

fn address() -> SanType {
    SanType::IpAddress([127, 0, 0, 1].into())
}

fn named(name: &str) -> SanType {
    SanType::DnsName(name.to_owned().try_into().expect("a name"))
}

const SERVER: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

#[tokio::test]
async fn tls() {
    let authority = Authority::new();
    for (san, keys, target, expected) in [
        (address(), "tls: {ca_file: ca.crt}", "", "up"),
        (address(), "tls: {ca_file: ca.crt}", "https://", "up"),
        // Where a scheme is written it is taken at its word.
        (address(), "tls: {ca_file: ca.crt}", "http://", "status"),
        (address(), "tls: {ca_file: other.crt}", "", "tls"),
        (address(), "tls: {}", "", "tls"),
        (address(), "timeout: 5s", "https://", "tls"),
        (address(), "tls: {insecure_skip_verify: true}", "", "up"),
        (named("bridge.example.org"), "tls: {ca_file: ca.crt}", "", "tls"),
        (named("bridge.example.org"), "tls: {ca_file: ca.crt, server_name: bridge.example.org}", "", "up"),
        (named("bridge.example.org"), "tls: {ca_file: ca.crt, server_name: other.example.org}", "", "tls"),
        (named("bridge.example.org"), "tls: {insecure_skip_verify: true}", "", "up"),
        (address(), "tls: {ca_file: ca.crt, server_name: bridge.example.org}", "", "tls"),
    ] {
        let folder = Folder::new(&format!("modules:\n  a:\n    component: jvb\n    {keys}\n"));
        folder.write("ca.crt", &authority.certificate.pem());
        folder.write("other.crt", &Authority::new().certificate.pem());
        authority.write(&folder, "server", san.clone());
        let bridge = Guarded::with(&folder, SERVER).await;
        let exporter = folder.exporter().await;
        let found = outcome(&exporter, "a", &format!("{target}{}", bridge.address)).await;
        assert_eq!(found, expected, "{keys} at {target} with {san:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_the_exporter() {
    let authority = Authority::new();
    let folder = Folder::new(
        "modules:
  with: {component: jvb, tls: {ca_file: ca.crt, cert_file: client.crt, key_file: client.key}}
  blind: {component: jvb, tls: {insecure_skip_verify: true, cert_file: client.crt, key_file: client.key}}
  without: {component: jvb, tls: {ca_file: ca.crt}}
",
    );
    folder.write("ca.crt", &authority.certificate.pem());
    authority.write(&folder, "server", address());
    authority.write(&folder, "client", named("exporter"));
    let more = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    let bridge = Guarded::with(&folder, &format!("{SERVER}{more}")).await;
    let exporter = folder.exporter().await;
    let target = bridge.address.to_string();
    assert_eq!(outcome(&exporter, "with", &target).await, "up");
    assert_eq!(outcome(&exporter, "blind", &target).await, "up");
    assert_ne!(outcome(&exporter, "without", &target).await, "up");
    // A key that does not belong to the certificate is found before any request.
    authority.write(&folder, "other", named("other"));
    fs::copy(folder.0.path().join("other.key"), folder.0.path().join("client.key")).expect("it is ours");
    let reported = load(&folder.file()).expect_err("it is refused");
    let expected = ["with", "blind"].map(|module| {
        let line = if module == "with" { 2 } else { 3 };
        format!("line {line}: modules.{module}.tls.key_file: ./client.key: this is not the private key of the certificate")
    });
    assert_eq!(reported, expected);
}

#[tokio::test]
async fn new_certificates_are_taken_up_without_a_signal() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = Folder::new(
        "modules:\n  a: {component: jvb, tls: {ca_file: ca.crt, cert_file: client.crt, key_file: client.key}}\n",
    );
    // The bridge trusts the new authority only.
    folder.write("trusted.crt", &new.certificate.pem());
    new.write(&folder, "server", address());
    folder.write("ca.crt", &old.certificate.pem());
    old.write(&folder, "client", named("exporter"));
    let more = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: trusted.crt\n";
    let bridge = Guarded::with(&folder, &format!("{SERVER}{more}")).await;
    let exporter = folder.exporter().await;
    let target = bridge.address.to_string();
    assert_eq!(outcome(&exporter, "a", &target).await, "tls");
    folder.write("ca.crt", &new.certificate.pem());
    assert_ne!(outcome(&exporter, "a", &target).await, "up", "its own certificate is still the old one");
    let old_key = fs::read_to_string(folder.0.path().join("client.key")).expect("it is ours");
    new.write(&folder, "client", named("exporter"));
    assert_eq!(outcome(&exporter, "a", &target).await, "up");
    // A key that does not belong to the certificate changes nothing.
    folder.write("client.key", &old_key);
    assert_eq!(outcome(&exporter, "a", &target).await, "up");
    assert!(exporter.metrics().await.lines().any(|line| line == format!("{SUCCESSFUL} 0")));
}

#[tokio::test]
async fn simultaneous_requests_of_different_modules_are_not_one() {
    let folder = Folder::new(
        "modules: {a: {component: jvb, bearer_token: a}, b: {component: jvb, bearer_token: b}}\n",
    );
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let upstream = Upstream::behind(gate.clone(), fixture("jvb_2.3.312.json")).await;
    let exporter = folder.exporter().await;
    let page =
        async |module| exporter.page(&format!("/probe?module={module}&target={}", upstream.address)).await.1;
    let open = async {
        while upstream.requests() < 3 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(3);
    };
    let (a, b, jvb, ()) = futures::join!(page("a"), page("b"), page("jvb"), open);
    assert!([a, b, jvb].iter().all(|text| text.contains("\njvb_up 1\n")));
    assert_eq!(upstream.requests(), 3);
}

const SUCCESSFUL: &str = "jitsi_exporter_config_last_reload_successful";

async fn reload(exporter: &Exporter) -> (StatusCode, String) {
    let response = exporter.request(Method::POST, "/-/reload").send().await.expect("an answer");
    (response.status(), response.text().await.expect("a text"))
}

#[tokio::test]
async fn reloading() {
    let folder = Folder::new("modules: {a: {component: jvb, bearer_token: old}}\n");
    let (address, noted) = noting().await;
    let exporter = folder.exporter().await;
    let sent = async |module: &str| {
        assert_eq!(outcome(&exporter, module, &address.to_string()).await, "up");
        noted.lock().expect("a lock").pop().expect("a request")["authorization"]
            .to_str()
            .expect("text")
            .to_owned()
    };
    assert_eq!(sent("a").await, "Bearer old");
    folder.write(
        "modules.yml",
        "modules: {a: {component: jvb, bearer_token: new}, b: {component: jvb, bearer_token: b}}\n",
    );
    // Also without a signal, as when a mounted Secret is replaced.
    assert_eq!(sent("a").await, "Bearer new");
    assert_eq!(reload(&exporter).await, (StatusCode::OK, "reloaded\n".to_owned()));
    assert_eq!((sent("a").await, sent("b").await), ("Bearer new".to_owned(), "Bearer b".to_owned()));
    // One mistake keeps all previous modules in force, whether a reload or a probe finds it.
    folder
        .write("modules.yml", "modules:\n  a: {component: jvb, bearer_token: newer}\n  c: {componet: jvb}\n");
    assert_eq!(sent("a").await, "Bearer new");
    assert!(exporter.metrics().await.lines().any(|line| line == format!("{SUCCESSFUL} 0")));
    let (status, text) = reload(&exporter).await;
    let expected = format!(
        "failed to reload the modules: --config.file={}: line 3: modules.c: there is no key `componet` here; did you mean `component`?\nthe previous one stays in force\n",
        folder.file().display()
    );
    assert_eq!((status, text), (StatusCode::INTERNAL_SERVER_ERROR, expected));
    assert_eq!((sent("a").await, sent("b").await), ("Bearer new".to_owned(), "Bearer b".to_owned()));
    assert!(exporter.metrics().await.lines().any(|line| line == format!("{SUCCESSFUL} 0")));
    // Editors empty a file before they write it; a reload means it.
    folder.write("modules.yml", "");
    assert_eq!(sent("a").await, "Bearer new");
    folder.write("modules.yml", "modules: {}\n");
    assert_eq!(reload(&exporter).await.0, StatusCode::OK);
    assert!(exporter.metrics().await.lines().any(|line| line == format!("{SUCCESSFUL} 1")));
    let (status, _) = exporter.page(&format!("/probe?module=a&target={address}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_probe_under_way_ends_as_it_began() {
    let folder = Folder::new("modules: {a: {component: jvb, bearer_token: a}}\n");
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let upstream = Upstream::behind(gate.clone(), fixture("jvb_2.3.312.json")).await;
    let exporter = folder.exporter().await;
    let path = format!("/probe?module=a&target={}", upstream.address);
    let change = async {
        while upstream.requests() < 1 {
            tokio::task::yield_now().await;
        }
        folder.write("modules.yml", "modules: {}\n");
        assert_eq!(reload(&exporter).await.0, StatusCode::OK);
        gate.add_permits(1);
    };
    let ((status, text), ()) = futures::join!(exporter.page(&path), change);
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("\njvb_up 1\n"), "{text}");
}

const EVERYTHING: &str = "modules:
  tls:
    component: jvb
    timeout: 5s
    basic_auth: {username: a, password: hidden-away}
    tls_config: {ca_file: ca.pem, insecure_skip_verify: false}
    headers: {X-Scope: b}
  plain: {component: jibri}
";

proptest::proptest! {
    #![proptest_config(jitsi_inputs::cases(300))]

    #[test]
    fn a_mutated_file_is_valid_or_names_its_lines(text in jitsi_inputs::mutated_text(vec![EVERYTHING])) {
        let (modules, problems) = jitsi_exporter::modules::parse(&text, Path::new("/etc"));
        let lines = u64::try_from(text.split(['\n', '\r']).count()).expect("a number");
        // The name of an unknown key is shown, whatever it holds.
        let is_password = text.contains("password: hidden-away");
        for problem in &problems {
            assert!(problem.line <= lines + 1 && !problem.text.is_empty(), "{problem} in {text}");
            assert!(!is_password || !problem.to_string().contains("hidden-away"), "a password is shown: {problem}");
        }
        assert!(modules.iter().all(|module| text.contains(&*module.name)), "{modules:?}");
    }
}
