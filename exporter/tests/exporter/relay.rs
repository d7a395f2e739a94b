//! The relay: the requests that it passes on, its refusals, and the distinction between its own responses and a component's.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use jitsi_exporter::component::Component::{self, Jibri, Jvb};
use jitsi_exporter::config::Raw;
use jitsi_web::flags::WebFlags;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_case::test_case;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::servers::{Exporter, Upstream, nowhere, serve};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jitsi-exporter");

const STATS: &str = "/relay/jvb/colibri/stats";
const SHUTDOWN: &str = "/relay/jvb/colibri/shutdown";

/// A request that a component received.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    line: String,
    accept: String,
    kind: String,
    body: String,
}

/// A component that records its requests and answers all of them alike.
#[derive(Clone, Debug)]
struct Stand {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Stand {
    async fn answering(status: StatusCode, kind: &'static str, body: &'static [u8]) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let recorded = received.clone();
        let answer = async move |method: Method, uri: Uri, headers: HeaderMap, sent: Bytes| {
            let header =
                |name| headers.get(name).map_or("", |value| value.to_str().expect("a text")).to_owned();
            recorded.lock().expect("a lock").push(Received {
                line: format!("{method} {uri}"),
                accept: header("accept"),
                kind: header("content-type"),
                body: String::from_utf8(sent.to_vec()).expect("a text"),
            });
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
            response.headers_mut().insert("x-secret", HeaderValue::from_static("of the component"));
            response
        };
        Self { address: serve(Router::new().fallback(answer)).await, received }
    }

    async fn fine() -> Self {
        Self::answering(StatusCode::OK, "application/json", b"{\"participants\":3}").await
    }

    fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().expect("a lock"))
    }
}

/// The exporter with its relay in front of a bridge.
async fn relaying(bridge: SocketAddr) -> Exporter {
    Exporter::with(&[(Jvb, bridge)], Raw { relay: true, ..Raw::default() }).await
}

/// The parts of a response that the tests check.
struct Got {
    status: StatusCode,
    relayed: Option<String>,
    headers: HeaderMap,
    text: String,
}

impl Got {
    /// The error of the relay itself.
    fn error(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.relayed, None, "the relay speaks for the component: {}", self.text);
        let word: Value = serde_json::from_str(&self.text).expect("JSON");
        assert!(word["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{word}");
        word["error"].clone()
    }
}

async fn send(exporter: &Exporter, method: Method, path: &str, body: Option<&str>) -> Got {
    let mut request = exporter.request(method, path);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let relayed =
        headers.get("x-jitsi-exporter-relayed").map(|value| value.to_str().expect("a text").to_owned());
    Got { status, relayed, headers, text: response.text().await.expect("a text") }
}

/// The value of a counter of the relay.
async fn counted(exporter: &Exporter, component: Component, request: &str, outcome: &str) -> String {
    let series = format!(
        "jitsi_exporter_relay_requests_total{{component=\"{component}\",request=\"{request}\",outcome=\"{outcome}\"}} "
    );
    let text = exporter.metrics().await;
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.unwrap_or_else(|| panic!("no {series} in {text}")).to_owned()
}

const JSON: &str = "application/json";

#[test_case(Method::GET, STATS, None, ("GET /colibri/stats", JSON, "", ""), "stats" ; "the statistics")]
#[test_case(Method::GET, "/relay/jvb/colibri/stats?a=b", None, ("GET /colibri/stats", JSON, "", ""), "stats" ; "without a query")]
#[test_case(Method::GET, "/relay/jvb/metrics", None, ("GET /metrics", JSON, "", ""), "metrics" ; "its own metrics")]
#[test_case(Method::GET, "/relay/jvb/colibri/drain", None, ("GET /colibri/drain", JSON, "", ""), "drain" ; "the drain mode")]
#[test_case(Method::POST, "/relay/jvb/colibri/drain/enable", None, ("POST /colibri/drain/enable", "*/*", "", ""), "drain_enable" ; "into drain mode")]
#[test_case(Method::POST, "/relay/jvb/colibri/drain/disable", Some("{\"x\":1}"), ("POST /colibri/drain/disable", "*/*", "", ""), "drain_disable" ; "out of drain mode, without a body")]
#[test_case(Method::POST, SHUTDOWN, Some("{ \"graceful-shutdown\" : true }\n"), ("POST /colibri/shutdown", "*/*", JSON, "{\"graceful-shutdown\": true}"), "shutdown" ; "the graceful shutdown")]
#[tokio::test]
async fn requests_to_a_bridge(
    method: Method,
    path: &str,
    body: Option<&str>,
    (line, accept, kind, sent): (&str, &str, &str, &str),
    request: &str,
) {
    let bridge = Stand::fine().await;
    let exporter = relaying(bridge.address).await;
    let got = send(&exporter, method, path, body).await;
    assert_eq!((got.status, got.relayed.as_deref()), (StatusCode::OK, Some("1")));
    assert_eq!(got.text, "{\"participants\":3}");
    assert_eq!(
        (&got.headers["content-type"], &got.headers["cache-control"]),
        (&JSON.parse().unwrap(), &"no-store".parse().unwrap())
    );
    assert!(!got.headers.contains_key("x-secret"), "{:?}", got.headers);
    let [line, accept, kind, body] = [line, accept, kind, sent].map(str::to_owned);
    assert_eq!(bridge.received(), [Received { line, accept, kind, body }]);
    assert_eq!(counted(&exporter, Jvb, request, "ok").await, "1");
    assert_eq!(counted(&exporter, Jvb, request, "refused").await, "0");
}

#[tokio::test]
async fn requests_to_a_jibri_go_to_both_of_its_ports() {
    let (external, internal) = (Stand::fine().await, Stand::fine().await);
    let jibri_internal = Some(format!("http://{}", internal.address));
    let raw = Raw { relay: true, jibri_internal, ..Raw::default() };
    let exporter = Exporter::with(&[(Jibri, external.address)], raw).await;
    let health = send(&exporter, Method::GET, "/relay/jibri/jibri/api/v1.0/health", None).await;
    let path = "/relay/jibri/jibri/api/internal/v1.0/gracefulShutdown";
    let shutdown = send(&exporter, Method::POST, path, None).await;
    assert_eq!([health.relayed.as_deref(), shutdown.relayed.as_deref()], [Some("1"); 2]);
    let lines = |stand: &Stand| stand.received().into_iter().map(|request| request.line).collect::<Vec<_>>();
    assert_eq!(lines(&external), ["GET /jibri/api/v1.0/health"]);
    assert_eq!(lines(&internal), ["POST /jibri/api/internal/v1.0/gracefulShutdown"]);
    assert_eq!(counted(&exporter, Jibri, "health", "ok").await, "1");
    assert_eq!(counted(&exporter, Jibri, "graceful_shutdown", "ok").await, "1");
    // There is no bridge here.
    let got = send(&exporter, Method::GET, STATS, None).await;
    assert_eq!((got.status, got.error()), (StatusCode::NOT_FOUND, json!("not_configured")));
}

#[test_case("/relay" ; "nothing")]
#[test_case("/relay/jvb" ; "a component")]
#[test_case("/relay/jvb/colibri/stats/" ; "a slash more")]
#[test_case("/relay/jvb/colibri/%73tats" ; "an escaped path")]
#[test_case("/relay/jvb/colibri/v2/conferences" ; "conferences")]
#[test_case("/relay/jvb/debug" ; "debug")]
#[test_case("/relay/jvb/about/health" ; "the health of a bridge")]
#[test_case("/relay/jibri/jibri/api/internal/v1.0/shutdown" ; "a shutdown that cuts recordings")]
#[test_case("/relay/jibri/jibri/api/v1.0/startService" ; "a recording")]
#[test_case("/relay/jicofo/stats" ; "a Jicofo")]
#[tokio::test]
async fn everything_else_is_not_there(path: &str) {
    let bridge = Stand::fine().await;
    let exporter = relaying(bridge.address).await;
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let got = send(&exporter, method, path, None).await;
        assert_eq!((got.status, got.error()), (StatusCode::NOT_FOUND, json!("not_found")));
    }
    assert_eq!(bridge.received(), []);
}

#[tokio::test]
async fn the_relay_is_off_by_default() {
    let bridge = Stand::fine().await;
    let exporter = Exporter::of(&[(Jvb, bridge.address)]).await;
    for (method, path) in [(Method::GET, STATS), (Method::POST, "/relay/jvb/colibri/drain/enable")] {
        let got = send(&exporter, method, path, None).await;
        let text = "not found: the relay is off; start the exporter with --relay.enabled\n";
        assert_eq!((got.status, got.relayed, got.text.as_str()), (StatusCode::NOT_FOUND, None, text));
    }
    assert_eq!(bridge.received(), []);
}

#[test_case(Method::POST, STATS, "GET" ; "a POST to a route for GET")]
#[test_case(Method::HEAD, STATS, "GET" ; "a head")]
#[test_case(Method::GET, "/relay/jvb/colibri/drain/enable", "POST" ; "a link into drain mode")]
#[test_case(Method::PUT, SHUTDOWN, "POST" ; "another method of change")]
#[tokio::test]
async fn each_has_one_method(method: Method, path: &str, allowed: &str) {
    let bridge = Stand::fine().await;
    let exporter = relaying(bridge.address).await;
    let got = send(&exporter, method.clone(), path, None).await;
    assert_eq!(
        (got.status, &got.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &allowed.parse().unwrap())
    );
    if method != Method::HEAD {
        assert_eq!(got.error(), json!("method_not_allowed"));
    }
    assert_eq!(bridge.received(), []);
}

#[test_case(None ; "no body")]
#[test_case(Some("") ; "an empty body")]
#[test_case(Some("{}") ; "an empty object")]
#[test_case(Some("{\"graceful-shutdown\": false}") ; "at once")]
#[test_case(Some("{\"graceful-shutdown\": \"true\"}") ; "a text")]
#[test_case(Some("{\"graceful-shutdown\": true, \"force\": true}") ; "and something more")]
#[test_case(Some("{\"graceful-shutdown\": true, \"graceful-shutdown\": false}") ; "both")]
#[test_case(Some("[{\"graceful-shutdown\": true}]") ; "a list")]
#[test_case(Some("[true]") ; "its member in a list")]
#[test_case(Some("{\"graceful-shutdown\": true} {}") ; "something after it")]
#[tokio::test]
async fn a_shutdown_that_is_not_graceful_is_refused(body: Option<&str>) {
    let bridge = Stand::fine().await;
    let exporter = relaying(bridge.address).await;
    let got = send(&exporter, Method::POST, SHUTDOWN, body).await;
    assert_eq!((got.status, got.error()), (StatusCode::FORBIDDEN, json!("not_graceful")));
    assert!(got.text.contains("{\\\"graceful-shutdown\\\": true}"), "{}", got.text);
    assert_eq!(bridge.received(), []);
    assert_eq!(counted(&exporter, Jvb, "shutdown", "refused").await, "1");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let bridge = Stand::fine().await;
    let exporter = relaying(bridge.address).await;
    let long = format!("{{\"graceful-shutdown\": true{}}}", " ".repeat(2000));
    let got = send(&exporter, Method::POST, SHUTDOWN, Some(&long)).await;
    assert_eq!((got.status, got.error()), (StatusCode::FORBIDDEN, json!("not_graceful")));
    assert_eq!(bridge.received(), []);
}

#[tokio::test]
async fn a_refused_connection() {
    let exporter = relaying(nowhere().await).await;
    let got = send(&exporter, Method::GET, STATS, None).await;
    assert_eq!((got.status, got.error()), (StatusCode::BAD_GATEWAY, json!("connection_refused")));
    assert_eq!(counted(&exporter, Jvb, "stats", "connection_refused").await, "1");
}

#[test_case(StatusCode::BAD_GATEWAY ; "bad gateway")]
#[test_case(StatusCode::NOT_FOUND ; "a shutdown that is switched off")]
#[test_case(StatusCode::INTERNAL_SERVER_ERROR ; "an error")]
#[test_case(StatusCode::FOUND ; "a redirect, which is not followed")]
#[tokio::test]
async fn an_error_of_the_component_is_the_components(status: StatusCode) {
    let bridge = Stand::answering(status, "text/html", b"<html>no</html>").await;
    let exporter = relaying(bridge.address).await;
    let got = send(&exporter, Method::POST, SHUTDOWN, Some("{\"graceful-shutdown\": true}")).await;
    assert_eq!((got.status, got.relayed.as_deref()), (status, Some("1")));
    assert_eq!(
        (got.text.as_str(), &got.headers["content-type"]),
        ("<html>no</html>", &"text/html".parse().unwrap())
    );
    // There is one request and no retry.
    assert_eq!(bridge.received().len(), 1);
    assert_eq!(counted(&exporter, Jvb, "shutdown", "error_status").await, "1");
}

#[test_case("" ; "at once")]
#[test_case("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{" ; "in the middle of the body")]
#[tokio::test]
async fn a_component_that_hangs(head: &'static str) {
    let bridge = Upstream::silent_after(head).await;
    let exporter = relaying(bridge.address).await;
    let start = Instant::now();
    let got = send(&exporter, Method::GET, STATS, None).await;
    assert_eq!((got.status, got.error()), (StatusCode::BAD_GATEWAY, json!("timeout")));
    // jitsi-scaler waits three seconds.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(counted(&exporter, Jvb, "stats", "timeout").await, "1");
}

#[tokio::test]
async fn a_connection_that_is_never_accepted() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    // The queue is full when a connection is no longer accepted.
    let mut queued = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        queued.push(connected.expect("a connection"));
    }
    let exporter = relaying(address).await;
    let got = send(&exporter, Method::GET, STATS, None).await;
    assert_eq!((got.status, got.error()), (StatusCode::BAD_GATEWAY, json!("timeout")));
}

#[test_case("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{" ; "cut")]
#[test_case("220 mail.example.org ESMTP\r\n" ; "another protocol")]
#[test_case("" ; "closed at once")]
#[tokio::test]
async fn a_component_that_cannot_be_understood(text: &'static str) {
    let bridge = Upstream::saying(text).await;
    let exporter = relaying(bridge.address).await;
    let got = send(&exporter, Method::POST, "/relay/jvb/colibri/drain/enable", None).await;
    assert_eq!((got.status, got.error()), (StatusCode::BAD_GATEWAY, json!("unreachable")));
    assert_eq!(bridge.requests(), 1, "a request that changes something is not repeated");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_not_passed_on() {
    let bridge = Upstream::endless().await;
    let exporter = relaying(bridge.address).await;
    let got = send(&exporter, Method::GET, STATS, None).await;
    assert_eq!((got.status, got.error()), (StatusCode::BAD_GATEWAY, json!("unreachable")));
    assert!(got.text.contains("more than 1048576 bytes"), "{}", got.text);
    assert_eq!(counted(&exporter, Jvb, "stats", "unreachable").await, "1");
}

#[tokio::test]
async fn so_many_at_a_time() {
    let bridge = Upstream::silent_after("").await;
    let exporter = relaying(bridge.address).await;
    let waiting = (0..8).map(|_| send(&exporter, Method::GET, STATS, None));
    let waiting = futures::future::join_all(waiting);
    let one_more = async {
        while bridge.requests() < 8 {
            tokio::task::yield_now().await;
        }
        send(&exporter, Method::GET, STATS, None).await
    };
    let (waiting, got) = futures::join!(waiting, one_more);
    assert_eq!((got.status, got.error()), (StatusCode::SERVICE_UNAVAILABLE, json!("busy")));
    assert!(waiting.iter().all(|got| got.error() == json!("timeout")));
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } =
        Command::new(PROGRAM).args(arguments).output().expect("the program runs");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test_case(&["--jvb.url=http://127.0.0.1:1", "--web.listen-address=:0"], "listen on loopback only, as with --web.listen-address=127.0.0.1:10065, or set basic_auth_users or client_auth_type: RequireAndVerifyClientCert in --web.config.file" ; "anybody could shut it down")]
#[test_case(&[], "--relay.enabled: there is no component to pass requests on to: add --jvb.url or --jibri.url" ; "without a target")]
#[test_case(&["--jicofo.url=http://127.0.0.1:1"], "add --jvb.url or --jibri.url" ; "of a Jicofo")]
#[test_case(&["--jvb.url=http://127.0.0.1:1", "--jvb.url=http://127.0.0.1:2"], "--relay.enabled: --jvb.url is given 2 times, but the relay passes requests on to one address only: give it once" ; "of two bridges")]
#[test_case(&["--jibri.url=http://10.0.0.7:2222"], "--relay.enabled: 10.0.0.7:2222 is not on this host, so http://127.0.0.1:3333 would be another Jibri: add --jibri.internal-url" ; "of another host's Jibri")]
#[test_case(&["--jibri.url=127.0.0.1:2222", "--jibri.internal-url=ftp://a"], "--jibri.internal-url=ftp://a: the scheme ftp:// is not supported: write http:// or https://" ; "at no address")]
fn invalid_flags_are_refused(arguments: &[&str], remedy: &str) {
    let (code, log) = run(&[&["--relay.enabled"], arguments].concat());
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains(remedy), "{remedy} in {log}");
}

#[tokio::test]
async fn nothing_is_passed_on_once_authentication_is_off() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("web.yml");
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    fs::write(&file, format!("basic_auth_users: {{scaler: {hash}}}\n")).expect("it is ours");
    let bridge = Stand::fine().await;
    let flags = WebFlags {
        listen_address: vec!["0.0.0.0:0".parse().expect("an address")],
        config_file: Some(file.clone()),
        ..WebFlags::default()
    };
    let raw = Raw { relay: true, ..Raw::default() };
    let exporter = Exporter::serving(&[(Jvb, bridge.address)], raw, flags).await;
    let got = send(&exporter, Method::GET, STATS, None).await;
    assert_eq!((got.status, got.relayed), (StatusCode::UNAUTHORIZED, None));
    let known = exporter.request(Method::GET, STATS).basic_auth("scaler", Some("secret"));
    assert_eq!(known.send().await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(bridge.received().len(), 1);
    fs::write(&file, "http_server_config: {http2: false}\n").expect("it is ours");
    for (method, path) in [(Method::GET, STATS), (Method::POST, "/relay/jvb/colibri/drain/enable")] {
        let got = send(&exporter, method, path, None).await;
        assert_eq!((got.status, got.error()), (StatusCode::FORBIDDEN, json!("no_authentication")));
    }
    assert_eq!(bridge.received(), []);
}

#[test_case("127.0.0.1:10065", true; "an address")]
#[test_case("[::1]:10065", true; "an IPv6 address")]
#[test_case("LocalHost", true; "localhost")]
#[test_case("example.org:10065", false; "a name that may be made to resolve to this host")]
#[test_case("127.0.0.1.example.org", false; "a name that begins as an address")]
#[tokio::test]
async fn a_relay_without_authentication_is_called_by_an_address(host: &str, passes: bool) {
    let stand = Stand::fine().await;
    let exporter = relaying(stand.address).await;
    let response = exporter.get(STATS).header("host", host).send().await.expect("an answer");
    assert_eq!(response.status(), if passes { StatusCode::OK } else { StatusCode::FORBIDDEN });
    assert_eq!(stand.received().len(), usize::from(passes));
}

#[test_case(Some("i-a"), Some("i-a"), true; "this instance")]
#[test_case(Some("i-a"), Some("i-b"), false; "another instance")]
#[test_case(Some("i-a"), None, true; "a request that names none")]
#[test_case(None, Some("i-b"), true; "a host that does not know which it is")]
#[tokio::test]
async fn a_request_that_is_meant_for_another_instance_is_refused(
    own: Option<&str>,
    meant: Option<&str>,
    passes: bool,
) {
    let bridge = Stand::fine().await;
    let raw = Raw { relay: true, instance: own.map(str::to_owned), ..Raw::default() };
    let exporter = Exporter::with(&[(Jvb, bridge.address)], raw).await;
    for (method, path) in [(Method::GET, STATS), (Method::POST, "/relay/jvb/colibri/drain/enable")] {
        let mut request = exporter.request(method, path);
        if let Some(meant) = meant {
            request = request.header("x-jitsi-exporter-instance", meant);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), if passes { 200 } else { 421 });
        if !passes {
            let text = response.text().await.expect("a text");
            let told = json!({
                "error": "another_instance",
                "detail": "this is i-a, and the request is meant for i-b",
            });
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), told);
        }
    }
    assert_eq!(bridge.received().len(), if passes { 2 } else { 0 });
}
