//! TLS with generated certificates.

use std::net::SocketAddr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rcgen::SanType;
use reqwest::Client;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use test_case::test_case;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Authority, Folder, Pair, gated, hello, serve, tls_folder};

/// A manual handshake, which shows the negotiated parameters.
async fn shake_hands(
    authority: &Authority,
    address: SocketAddr,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::IpAddress(address.ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn presented(authority: &Authority, address: SocketAddr) -> CertificateDer<'static> {
    let stream = shake_hands(authority, address, rustls::ALL_VERSIONS).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned()
}

async fn answers(client: &Client, address: SocketAddr) -> bool {
    client.get(format!("https://{address}/")).send().await.is_ok()
}

#[tokio::test]
async fn the_same_routes_over_tls() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let serving = serve(&folder.flags(), hello()).await;
    let client = authority.trusting(None);
    assert_eq!(serving.get(&client, "/").await, (200, "hello\n".to_owned()));
    assert_eq!(serving.get(&client, "/-/healthy").await, (200, "healthy\n".to_owned()));
    assert!(!serving.access.authenticates());
    assert!(serving.access.is_loopback_only());
    let stranger = Authority::new("another").trusting(None);
    assert!(!answers(&stranger, serving.address()).await);
}

#[tokio::test]
async fn certificate_and_key_may_be_inline() {
    let authority = Authority::new("ca");
    let pair = authority.server();
    let indented = |pem: String| pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let folder = Folder::new(&format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}  client_ca: |\n{}  client_auth_type: RequireAndVerifyClientCert\n",
        indented(pair.certificate.pem()),
        indented(pair.key.serialize_pem()),
        indented(authority.certificate.pem()),
    ));
    let serving = serve(&folder.flags(), hello()).await;
    let client = authority.trusting(Some(&authority.client(&[])));
    assert_eq!(serving.get(&client, "/").await.0, 200);
    assert!(serving.access.authenticates());
}

#[tokio::test]
async fn a_client_without_tls_gets_a_hint() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let serving = serve(&folder.flags(), hello()).await;
    let (status, text) = crate::support::get_page(serving.address(), "/").await;
    assert_eq!(
        (status, text.as_str()),
        (400, "this is an HTTPS server: use https:// (in Prometheus: scheme: https)\n")
    );
    assert!(serving.metric("x_web_tls_handshakes_failed_total") >= 1.0);
}

#[tokio::test]
async fn clients_that_prefer_http_2_get_http_1_1() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "http_server_config: {http2: true}\n");
    let serving = serve(&folder.flags(), hello()).await;
    let stream = shake_hands(&authority, serving.address(), rustls::ALL_VERSIONS).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test_case("NoClientCert", &["none", "stranger", "expired", "for servers"] ; "no client cert")]
#[test_case("RequestClientCert", &["none", "stranger", "expired", "for servers"] ; "request client cert")]
#[test_case("RequireAnyClientCert", &["stranger", "expired", "for servers"] ; "require any client cert")]
#[test_case("VerifyClientCertIfGiven", &["none"] ; "verify client cert if given")]
#[test_case("RequireAndVerifyClientCert", &[] ; "require and verify client cert")]
#[tokio::test]
async fn client_certificates(kind: &str, accepted_beside_a_good_one: &[&str]) {
    let authority = Authority::new("ca");
    let ca = if kind == "NoClientCert" { "" } else { "  client_ca_file: ca.crt\n" };
    let folder = tls_folder(&authority, &format!("  client_auth_type: {kind}\n{ca}"));
    let serving = serve(&folder.flags(), hello()).await;
    let good = authority.client(&[]);
    let stranger = Authority::new("another").client(&[]);
    let expired = authority.expired_client();
    let for_servers = authority.server();
    for (name, pair) in [
        ("none", None),
        ("good", Some(&good)),
        ("stranger", Some(&stranger)),
        ("expired", Some(&expired)),
        ("for servers", Some(&for_servers)),
    ] {
        let got = answers(&authority.trusting(pair), serving.address()).await;
        assert_eq!(got, name == "good" || accepted_beside_a_good_one.contains(&name), "{name}");
    }
    assert_eq!(serving.access.authenticates(), kind == "RequireAndVerifyClientCert");
}

#[test_case(true ; "that calls itself an authority, as openssl req makes it")]
#[test_case(false ; "that does not")]
#[tokio::test]
async fn a_self_signed_certificate_may_be_its_own_authority(is_ca: bool) {
    let authority = Authority::new("ca");
    let folder = tls_folder(
        &authority,
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.crt\n",
    );
    let (pair, another) = (Pair::self_signed(is_ca), Pair::self_signed(is_ca));
    folder.write_pair("client", &pair);
    let serving = serve(&folder.flags(), hello()).await;
    assert!(answers(&authority.trusting(Some(&pair)), serving.address()).await);
    assert!(!answers(&authority.trusting(Some(&another)), serving.address()).await);
}

#[test_case(SanType::DnsName("prometheus.example.org".try_into().expect("a name")), true ; "a DNS name")]
#[test_case(SanType::DnsName("sub.prometheus.example.org".try_into().expect("a name")), false ; "a longer DNS name")]
#[test_case(SanType::IpAddress([192, 0, 2, 1].into()), true ; "an IPv4 address")]
#[test_case(SanType::IpAddress("2001:db8::1".parse().expect("an address")), true ; "an IPv6 address")]
#[test_case(SanType::IpAddress([192, 0, 2, 2].into()), false ; "another address")]
#[test_case(SanType::Rfc822Name("a@example.org".try_into().expect("a name")), true ; "an e-mail address")]
#[test_case(SanType::URI("spiffe://example.org/prometheus".try_into().expect("a name")), true ; "a URI")]
#[tokio::test]
async fn one_of_the_names_must_be_allowed(san: SanType, expected: bool) {
    let authority = Authority::new("ca");
    let folder = tls_folder(
        &authority,
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans:\n    \
         - prometheus.example.org\n    - 192.0.2.1\n    - 2001:db8::1\n    - a@example.org\n    \
         - spiffe://example.org/prometheus\n",
    );
    let serving = serve(&folder.flags(), hello()).await;
    let pair = authority.client(slice::from_ref(&san));
    assert_eq!(answers(&authority.trusting(Some(&pair)), serving.address()).await, expected);
    // A certificate of another authority is refused despite its name, and so is one without a name.
    let stranger = Authority::new("another").client(&[san]);
    assert!(!answers(&authority.trusting(Some(&stranger)), serving.address()).await);
    assert!(!answers(&authority.trusting(Some(&authority.client(&[]))), serving.address()).await);
}

#[test_case("", &rustls::version::TLS12, Some(ProtocolVersion::TLSv1_2) ; "both are spoken")]
#[test_case("  min_version: TLS13\n", &rustls::version::TLS12, None ; "too old")]
#[test_case("  max_version: TLS12\n", &rustls::version::TLS13, None ; "too new")]
#[test_case("  max_version: TLS12\n", &rustls::version::TLS12, Some(ProtocolVersion::TLSv1_2) ; "an old version")]
#[test_case("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n", &rustls::version::TLS12, None ; "a suite that the key cannot use")]
#[test_case("  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n", &rustls::version::TLS12, Some(ProtocolVersion::TLSv1_2) ; "a suite")]
#[test_case("  curve_preferences: [CurveP384]\n", &rustls::version::TLS13, Some(ProtocolVersion::TLSv1_3) ; "a curve")]
#[tokio::test]
async fn versions_and_suites(
    more: &str,
    version: &'static SupportedProtocolVersion,
    expected: Option<ProtocolVersion>,
) {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, more);
    let serving = serve(&folder.flags(), hello()).await;
    let shaken = shake_hands(&authority, serving.address(), &[version]).await;
    let got = shaken.ok().and_then(|stream| stream.get_ref().1.protocol_version());
    assert_eq!(got, expected);
}

#[tokio::test]
async fn the_configured_suite_is_used() {
    let authority = Authority::new("ca");
    let more = "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n  curve_preferences: [CurveP384]\n";
    let folder = tls_folder(&authority, more);
    let serving = serve(&folder.flags(), hello()).await;
    let stream =
        shake_hands(&authority, serving.address(), &[&rustls::version::TLS12]).await.expect("a handshake");
    let connection = stream.get_ref().1;
    let suite = connection.negotiated_cipher_suite().expect("a suite").suite();
    let group = connection.negotiated_key_exchange_group().expect("a group").name();
    assert_eq!(suite, rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
    assert_eq!(group, rustls::NamedGroup::secp384r1);
}

#[tokio::test]
async fn stalled_handshakes_do_not_delay_other_clients() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let serving = serve(&folder.flags(), hello()).await;
    let mut silent = Vec::new();
    for number in 0..50 {
        let mut stream = TcpStream::connect(serving.address()).await.expect("it listens");
        if number % 2 == 0 {
            // An incomplete handshake.
            stream.write_all(&[0x16, 3, 1, 2]).await.expect("it reads");
        }
        silent.push(stream);
    }
    assert_eq!(serving.get(&authority.trusting(None), "/").await.0, 200);
    // They do not delay the shutdown either.
    serving.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), serving.ended).await;
    ended.expect("it ends soon").expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_renewed_certificate_is_presented_at_the_next_handshake() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let serving = serve(&folder.flags(), hello()).await;
    let old = presented(&authority, serving.address()).await;
    assert_eq!(presented(&authority, serving.address()).await, old);
    let new = authority.server();
    // Between the two writes, certificate and key do not match.
    folder.write("server.crt", &new.certificate.pem());
    assert_eq!(presented(&authority, serving.address()).await, old);
    assert!(serving.metric("x_config_last_reload_successful").abs() < f64::EPSILON);
    folder.write("server.key", &new.key.serialize_pem());
    assert_eq!(presented(&authority, serving.address()).await, *new.certificate.der());
    assert!(serving.metric("x_config_last_reload_successful") > 0.0);
}

/// A request on a connection that stays open: the status, or `None` if the connection is closed.
async fn asks(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    let _rest = stream.read(&mut [0; 4096]).await;
    Some(String::from_utf8_lossy(&answer[9..]).into_owned())
}

#[tokio::test]
async fn a_connection_ends_with_the_rule_that_admitted_it() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let serving = serve(&folder.flags(), hello()).await;
    let open = || shake_hands(&authority, serving.address(), rustls::ALL_VERSIONS);
    let (mut used, mut idle) = (open().await.expect("a handshake"), open().await.expect("a handshake"));
    assert_eq!(asks(&mut used).await.as_deref(), Some("200"));
    assert_eq!(asks(&mut idle).await.as_deref(), Some("200"));
    // A new header changes nothing for them.
    let config = std::fs::read_to_string(folder.web_config()).expect("it is there");
    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    folder.write("web.yml", &format!("{config}{headers}"));
    assert_eq!(asks(&mut used).await.as_deref(), Some("200"));
    let required = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    folder.write("web.yml", &format!("{config}{required}{headers}"));
    assert_eq!(asks(&mut used).await.as_deref(), Some("401"), "it is the one that notices");
    assert_eq!(asks(&mut idle).await, None);
}

#[tokio::test]
async fn plain_http_becomes_tls_without_a_restart() {
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let tls = std::fs::read_to_string(folder.web_config()).expect("it is there");
    folder.write("web.yml", "");
    let serving = serve(&folder.flags(), hello()).await;
    assert_eq!(crate::support::get_page(serving.address(), "/").await.0, 200);
    folder.write("web.yml", &tls);
    assert_eq!(serving.get(&authority.trusting(None), "/").await.0, 200);
    // Turning TLS off requires a restart.
    folder.write("web.yml", "basic_auth_users: {}\n");
    assert_eq!(serving.get(&authority.trusting(None), "/").await.0, 200);
    assert_eq!(crate::support::get_page(serving.address(), "/").await.0, 400);
}

#[tokio::test]
async fn shutdown_waits_for_requests_in_progress() {
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let authority = Authority::new("ca");
    let folder = tls_folder(&authority, "");
    let serving = serve(&folder.flags(), gated("/slow", &gate, &waiting)).await;
    let client = authority.trusting(None);
    let url = format!("https://{}/slow", serving.address());
    let request = tokio::spawn(async move { client.get(url).send().await.expect("an answer").text().await });
    let mut idle =
        shake_hands(&authority, serving.address(), rustls::ALL_VERSIONS).await.expect("a handshake");
    waiting.acquire().await.expect("it is never closed").forget();
    serving.shutdown.cancel();
    let mut rest = Vec::new();
    let closed = idle.read_to_end(&mut rest).await;
    assert!(closed.is_ok(), "closed in order: {closed:?}");
    assert!(!serving.ended.is_finished());
    gate.add_permits(1);
    assert_eq!(request.await.expect("no panic").expect("a text"), "done\n");
    let ended = tokio::time::timeout(Duration::from_secs(5), serving.ended).await;
    ended.expect("it ends soon").expect("no panic").expect("no error");
}
