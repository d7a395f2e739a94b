//! Components over HTTP: straight to a bridge or a Jibri, or through the exporter's relay.
//!
//! Owns the components' paths and the meaning of their answers. An answer that is not understood is an error, which
//! callers take for [`Reading::Unknown`].

use std::time::Duration;

use serde::Deserialize;

use super::{Address, Components, JitsiError, Permitted, Reply, Request};
use crate::access::{self, ClientError};
use crate::config::{Auth, DrainVia};
use crate::decide::observation::Reading;
use crate::decide::policy::Component;
use crate::units::InstanceId;

/// The limit of one request. A component on the same network answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A larger answer is not one of these components'.
const LARGEST_BODY: usize = 1 << 20;
/// A part of the path of the exporter's relay, and of no component's.
const RELAY: &str = "/relay/";
/// The header that the relay adds to the answer of the component behind it. Source: jitsi-exporter, `relay`.
const RELAYED: &str = "x-jitsi-exporter-relayed";
/// The header by which the relay learns which instance a request is meant for.
const MEANT_FOR: &str = "x-jitsi-exporter-instance";
/// The relay's error for a request that is meant for another instance.
const ANOTHER_INSTANCE: &str = "another_instance";
/// The relay's error for a component that refused the connection.
const REFUSED: &str = "connection_refused";

/// Components over HTTP.
#[derive(Clone, Debug)]
pub struct Http {
    http: access::Client,
    auth: Auth,
}

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Vec<u8>,
    /// Whether it is the component's. Behind a relay, only an answer with its header is: an answer of the relay itself, or
    /// of a proxy in front of it, says nothing about the component.
    is_components: bool,
}

/// The part of a bridge's statistics that a drain depends on. Source: jitsi-videobridge, `/colibri/stats`, and the JSON
/// form of `/metrics`.
#[derive(Deserialize)]
struct BridgeStatistics {
    /// Since 2.1-570: the drain criterion that the bridge itself uses.
    local_endpoints: Option<f64>,
    /// Local and relayed endpoints together.
    participants: Option<f64>,
    /// Relayed endpoints; absent where no other bridge relays.
    octo_endpoints: Option<f64>,
    /// Since 2.1-610; in `/metrics` since 2.3-95.
    #[serde(alias = "drain_mode")]
    drain: Option<bool>,
    graceful_shutdown: Option<bool>,
    shutting_down: Option<bool>,
}

/// The health answer of a Jibri since 6.4. Source: jitsi/jibri, HTTP API.
#[derive(Deserialize)]
struct JibriHealth {
    status: JibriStatus,
}

#[derive(Deserialize)]
struct JibriStatus {
    #[serde(rename = "busyStatus")]
    busy_status: String,
}

impl Http {
    /// A client with the credentials and the TLS settings of `drain`; it does not connect yet. Fails if the files of the
    /// TLS settings cannot be used.
    pub fn new(drain: Option<&DrainVia>) -> Result<Self, ClientError> {
        let builder = || {
            reqwest::Client::builder()
                .timeout(TIMEOUT)
                // A reading must be fresh, and a connection that is kept alive may belong to a host that is gone.
                .pool_max_idle_per_host(0)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .user_agent(concat!("jitsi-scaler/", env!("CARGO_PKG_VERSION")))
        };
        let tls = drain.map(|drain| drain.tls.clone()).unwrap_or_default();
        let auth = drain.map_or(Auth::None, |drain| drain.auth.clone());
        Ok(Self { http: access::Client::new(builder, &tls, "drain.tls")?, auth })
    }

    async fn post(
        &self,
        instance: &InstanceId,
        url: String,
        json: Option<&'static str>,
    ) -> Result<Reply, JitsiError> {
        let mut request = self.http.current().post(&url);
        if let Some(json) = json {
            request = request.header("content-type", "application/json").body(json);
        }
        let Answer { status, body, is_components } = self.send(instance, &url, request).await?;
        match status {
            _ if !is_components => Err(not_relayed(&url, status, &body)),
            200 => Ok(Reply::Accepted),
            _ => Err(JitsiError::Foreign { url: shown(&url), status }),
        }
    }

    /// Reads a component at `path`. An answer that `understand` gives up on is [`JitsiError::Foreign`].
    async fn get(
        &self,
        address: &Address,
        path: &str,
        understand: fn(&[u8]) -> Option<Reading>,
    ) -> Result<Reading, JitsiError> {
        let url = format!("{}{path}", address.external);
        let request = self.http.current().get(&url).header("accept", "application/json");
        let Answer { status, body, is_components } = match self.send(&address.instance, &url, request).await {
            Ok(answer) => answer,
            // If nothing listens at a relay's address, the relay is gone.
            Err(JitsiError::Unreachable { source, .. }) if !is_relay(&url) && is_refused(&source) => {
                return Ok(Reading::Refused);
            }
            Err(error) => return Err(error),
        };
        let foreign = || JitsiError::Foreign { url: shown(&url), status };
        match status {
            502 if !is_components && relay_error(&body).is_some_and(|it| it.error == REFUSED) => {
                Ok(Reading::Refused)
            }
            _ if !is_components => Err(not_relayed(&url, status, &body)),
            200 => understand(&body).ok_or_else(foreign),
            _ => Err(foreign()),
        }
    }

    async fn send(
        &self,
        instance: &InstanceId,
        url: &str,
        mut request: reqwest::RequestBuilder,
    ) -> Result<Answer, JitsiError> {
        if is_relay(url) {
            request = request.header(MEANT_FOR, instance.as_str());
        }
        let failed = |source: reqwest::Error| JitsiError::Unreachable {
            url: shown(url),
            source: source.without_url(),
        };
        // The address may have a user and a password of its own.
        let request = access::authorize(request, &self.auth)?;
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let is_components = !is_relay(url) || response.headers().contains_key(RELAYED);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(JitsiError::Foreign { url: shown(url), status });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body, is_components })
    }
}

impl Components for Http {
    async fn read(&self, address: &Address) -> Result<Reading, JitsiError> {
        match address.component {
            Component::Jibri => self.get(address, "/jibri/api/v1.0/health", read_jibri).await,
            Component::Jvb => match self.get(address, "/colibri/stats", read_bridge).await {
                // The statistics are switched off, which is a bridge's default; its own metrics are not.
                Err(JitsiError::Foreign { url, status: status @ (200 | 404) }) => self
                    .get(address, "/metrics", read_bridge)
                    .await
                    .map_err(|source| JitsiError::Unreadable { url, status, source: Box::new(source) }),
                read => read,
            },
        }
    }

    async fn request(&self, address: &Address, permitted: Permitted) -> Result<Reply, JitsiError> {
        let Address { instance, component, external, internal } = address;
        match (permitted.request(), component) {
            (Request::StartDrain, _) => {
                self.post(instance, format!("{external}/colibri/drain/enable"), None).await
            }
            (Request::StopDrain, _) => {
                unless_absent(self.post(instance, format!("{external}/colibri/drain/disable"), None).await)
            }
            (Request::Close, Component::Jvb) => {
                let url = format!("{external}/colibri/shutdown");
                unless_absent(self.post(instance, url, Some("{\"graceful-shutdown\": true}")).await)
            }
            (Request::Close, Component::Jibri) => {
                self.post(instance, format!("{internal}/jibri/api/internal/v1.0/gracefulShutdown"), None)
                    .await
            }
        }
    }
}

/// The reply of a component that may lack the interface.
fn unless_absent(reply: Result<Reply, JitsiError>) -> Result<Reply, JitsiError> {
    match reply {
        Err(JitsiError::Foreign { status: 404, .. }) => Ok(Reply::Unavailable),
        reply => reply,
    }
}

fn is_relay(url: &str) -> bool {
    url.contains(RELAY)
}

/// The address without a user and a password, which must not reach a log.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Whether the host refused the connection: it is up, and nothing listens there.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        source = cause.source();
    }
    false
}

/// An error of the exporter's relay. Source: jitsi-exporter, `relay`.
#[derive(Deserialize)]
struct RelayError {
    error: String,
    #[serde(default)]
    detail: String,
}

fn relay_error(body: &[u8]) -> Option<RelayError> {
    serde_json::from_slice(body).ok()
}

fn not_relayed(url: &str, status: u16, body: &[u8]) -> JitsiError {
    let url = shown(url);
    let short = |text: String| text.chars().take(200).collect();
    match relay_error(body) {
        Some(RelayError { error, detail }) if error == ANOTHER_INSTANCE => {
            JitsiError::AnotherInstance { url, message: short(detail) }
        }
        Some(RelayError { error, detail }) => {
            JitsiError::NotRelayed { url, status, message: short(format!("{error}: {detail}")) }
        }
        None => {
            let message = "the body is not an error of a relay".to_owned();
            JitsiError::NotRelayed { url, status, message }
        }
    }
}

fn read_bridge(body: &[u8]) -> Option<Reading> {
    let statistics: BridgeStatistics = serde_json::from_slice(body).ok()?;
    let local = match statistics.local_endpoints {
        Some(local) => local,
        // All endpoints count as local unless the bridge reports the relayed ones.
        None => statistics.participants? - statistics.octo_endpoints.unwrap_or(0.0),
    };
    let shutting_down = statistics.shutting_down.unwrap_or(false);
    let closing = statistics.graceful_shutdown.unwrap_or(false) || shutting_down;
    // Without its drain mode, the answer would never show that it drains.
    let draining = statistics.drain.or(closing.then_some(true))? || closing;
    Some(Reading::Answered { empty: local == 0.0, draining, closing })
}

fn read_jibri(body: &[u8]) -> Option<Reading> {
    let health: JibriHealth = serde_json::from_slice(body).ok()?;
    let empty = match health.status.busy_status.as_str() {
        "IDLE" | "EXPIRED" => true,
        "BUSY" => false,
        _ => return None,
    };
    Some(Reading::Answered { empty, draining: false, closing: false })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use test_case::test_case;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::access::answering;

    #[test_case(r#"{"local_endpoints":0,"participants":7,"drain":true,"graceful_shutdown":false}"#,
        Some((true, true, false)); "drained, with relayed participants")]
    #[test_case(r#"{"local_endpoints":2,"drain":true}"#, Some((false, true, false)); "in use")]
    #[test_case(r#"{"participants":3,"octo_endpoints":3,"graceful_shutdown":true}"#,
        Some((true, true, true)); "an older bridge")]
    #[test_case(r#"{"participants":1,"drain":false}"#, Some((false, false, false)); "an older bridge without relays")]
    #[test_case(r#"{"participants":1,"graceful_shutdown":false}"#, None; "a bridge that does not report its drain mode")]
    #[test_case(r#"{"local_endpoints":0,"shutting_down":true}"#, Some((true, true, true)); "shutting down")]
    #[test_case(r#"{"local_endpoints":1,"drain_mode":true,"graceful_shutdown":false,"shutting_down":false}"#,
        Some((false, true, false)); "its own metrics")]
    #[test_case(r#"{"drain":true,"graceful_shutdown":true}"#, None; "a bridge that does not report its people")]
    #[test_case("{}", None; "statistics switched off")]
    #[test_case(r#"{"local_endpoints":null}"#, None; "null is not zero")]
    #[test_case(r#"{"local_endpoints":"0"}"#, None; "a text is not a count")]
    #[test_case("<html>", None; "a page")]
    fn a_bridge_is_read(body: &str, expected: Option<(bool, bool, bool)>) {
        let expected =
            expected.map(|(empty, draining, closing)| Reading::Answered { empty, draining, closing });
        assert_eq!(read_bridge(body.as_bytes()), expected);
    }

    #[test_case(r#"{"status":{"busyStatus":"IDLE","health":{"healthStatus":"HEALTHY","details":{}}}}"#, Some(true); "idle")]
    #[test_case(r#"{"status":{"busyStatus":"BUSY"}}"#, Some(false); "busy")]
    #[test_case(r#"{"status":{"busyStatus":"EXPIRED"}}"#, Some(true); "expired")]
    #[test_case(r#"{"status":{"busyStatus":"NEW"}}"#, None; "a state of the future")]
    #[test_case(r#"{"busy":false}"#, None; "before 6.4")]
    fn a_jibri_is_read(body: &str, empty: Option<bool>) {
        let expected = empty.map(|empty| Reading::Answered { empty, draining: false, closing: false });
        assert_eq!(read_jibri(body.as_bytes()), expected);
    }

    fn http(status: u16, relayed: bool, body: &str) -> String {
        answering::http(status, if relayed { "x-jitsi-exporter-relayed: 1\r\n" } else { "" }, body)
    }

    fn at(component: Component, url: &str) -> Address {
        Address {
            instance: InstanceId::new("i-a"),
            component,
            external: url.to_owned(),
            internal: url.to_owned(),
        }
    }

    fn components() -> Http {
        Http::new(None).expect("a client")
    }

    const EMPTY: &str = r#"{"local_endpoints":0,"drain":true}"#;
    const GONE: &str = r#"{"error":"connection_refused","detail":"nothing listens there"}"#;

    #[test_case("/relay/jvb", 200, true, EMPTY, "Answered" ; "the component behind a relay")]
    #[test_case("", 200, false, EMPTY, "Answered" ; "the component itself")]
    #[test_case("/relay/jvb", 200, false, EMPTY, "NotRelayed" ; "statistics without the header of a relay")]
    #[test_case("/relay/jvb", 502, false, GONE, "Refused" ; "a relay that found nothing listening")]
    #[test_case("/relay/jvb", 502, true, GONE, "Foreign" ; "a component that answers like a relay")]
    #[test_case("", 502, false, GONE, "Foreign" ; "no relay")]
    #[test_case("/relay/jvb", 504, false, GONE, "NotRelayed" ; "another status")]
    #[test_case("/relay/jvb", 502, false, r#"{"error":"unreachable"}"#, "NotRelayed" ; "another error")]
    #[test_case("/relay/jvb", 502, false, "<html>", "NotRelayed" ; "a proxy before the relay")]
    #[test_case("/relay/jvb", 504, false, r#"{"error":"timeout","detail":"x"}"#, "NotRelayed" ; "a component that hangs")]
    #[test_case("/relay/jvb", 401, false, "Unauthorized", "NotRelayed" ; "no password")]
    #[test_case("/relay/jvb", 421, false, r#"{"error":"another_instance","detail":"this is i-b"}"#, "AnotherInstance" ; "a relay elsewhere")]
    #[tokio::test]
    async fn an_answer_of_the_relay_is_not_the_components(
        path: &str,
        status: u16,
        relayed: bool,
        body: &str,
        expected: &str,
    ) {
        let (host, asked) = answering::server(vec![http(status, relayed, body)], "").await;
        let read = components().read(&at(Component::Jvb, &format!("http://{host}{path}"))).await;
        let got = read.map_or_else(|error| format!("{error:?}"), |reading| format!("{reading:?}"));
        assert!(got.starts_with(expected), "{got}");
        let asked = asked.await.expect("no panic").concat();
        assert!(asked.starts_with(&format!("GET {path}/colibri/stats HTTP/1.1\r\n")), "{asked}");
        let is_named = asked.contains("\r\nx-jitsi-exporter-instance: i-a\r\n");
        assert_eq!(is_named, !path.is_empty(), "{asked}");
    }

    const OWN_METRICS: &str = r#"{"local_endpoints":0,"drain_mode":true,"shutting_down":false}"#;

    #[test_case(404, "<html>", 200, OWN_METRICS, Ok(()); "statistics switched off")]
    #[test_case(200, "{}", 200, OWN_METRICS, Ok(()); "statistics without a key")]
    #[test_case(404, "<html>", 404, "<html>", Err("read how many people are on the bridge: http://HOST/relay/jvb/colibri/stats answers HTTP 404; set videobridge.apis.rest.enabled = true in its jvb.conf, and check that drain.via points at it"); "metrics switched off, too")]
    #[test_case(404, "<html>", 200, r#"{"healthy":true}"#, Err("read how many people are on the bridge: http://HOST/relay/jvb/colibri/stats answers HTTP 404; set videobridge.apis.rest.enabled = true in its jvb.conf, and check that drain.via points at it"); "metrics of an older bridge")]
    #[tokio::test]
    async fn a_bridge_without_statistics_is_read_by_its_own_metrics(
        status: u16,
        statistics: &str,
        own_status: u16,
        metrics: &str,
        expected: Result<(), &str>,
    ) {
        let answers = vec![http(status, true, statistics), http(own_status, true, metrics)];
        let (host, asked) = answering::server(answers, "").await;
        let read = components().read(&at(Component::Jvb, &format!("http://{host}/relay/jvb"))).await;
        let read = read.map_err(|error| error.to_string().replace(&host, "HOST"));
        let empty = Reading::Answered { empty: true, draining: true, closing: false };
        assert_eq!(read, expected.map(|()| empty).map_err(ToOwned::to_owned));
        let expected = ["GET /relay/jvb/colibri/stats HTTP/1.1", "GET /relay/jvb/metrics HTTP/1.1"];
        let asked = asked.await.expect("no panic");
        assert_eq!(asked.iter().filter_map(|request| request.lines().next()).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_relay_that_is_gone_says_nothing_about_the_component() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address");
        drop(listener);
        let read = async |url: String| components().read(&at(Component::Jibri, &url)).await;
        assert_eq!(read(format!("http://{host}")).await.expect("a reading"), Reading::Refused);
        let error = read(format!("http://u:secret@{host}/relay/jibri")).await.expect_err("unknown");
        assert!(matches!(error, JitsiError::Unreachable { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }

    #[test_case("/relay/jvb", 200, true, Ok(Reply::Accepted) ; "accepted behind a relay")]
    #[test_case("/relay/jvb", 404, true, Ok(Reply::Unavailable) ; "a bridge behind a relay that has none")]
    #[test_case("/relay/jvb", 404, false, Err("reach the component through http://HOST/relay/jvb/colibri/shutdown: HTTP 404, not_found: only these; check that the exporter there runs with --relay.enabled and that drain.via has its address and password") ; "a relay that is off")]
    #[test_case("/relay/jvb", 403, false, Err("reach the component through http://HOST/relay/jvb/colibri/shutdown: HTTP 403, not_found: only these; check that the exporter there runs with --relay.enabled and that drain.via has its address and password") ; "a relay that refuses")]
    #[test_case("", 404, false, Ok(Reply::Unavailable) ; "a bridge that has none")]
    #[tokio::test]
    async fn a_bridge_without_a_shutdown_is_not_a_relay_without_one(
        path: &str,
        status: u16,
        relayed: bool,
        expected: Result<Reply, &str>,
    ) {
        let answer = http(status, relayed, r#"{"error":"not_found","detail":"only these"}"#);
        let (host, asked) = answering::server(vec![answer], "").await;
        let url = format!("http://user:secret@{host}{path}");
        let got = components().request(&at(Component::Jvb, &url), Permitted(Request::Close)).await;
        let got = got.map_err(|error| error.to_string().replace(&host, "HOST"));
        assert_eq!(got, expected.map_err(ToOwned::to_owned));
        let asked = asked.await.expect("no panic").concat();
        assert!(asked.starts_with(&format!("POST {path}/colibri/shutdown HTTP/1.1\r\n")), "{asked}");
        // The relay's password travels as a header.
        assert!(asked.contains("authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{asked}");
    }

    /// A connection that ends without an answer may come from a host that shuts down, with people on its bridge.
    #[tokio::test]
    async fn only_a_refused_connection_means_that_the_component_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address");
        let cut = tokio::spawn(async move {
            // Closed with the request unread, which resets it; then without a word; then in the middle of an answer.
            drop(listener.accept().await.expect("a connection"));
            for answer in ["", "HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n{}"] {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                assert!(stream.read(&mut [0; 4096]).await.expect("a request") > 0);
                stream.write_all(answer.as_bytes()).await.expect("it reads");
            }
        });
        for component in [Component::Jvb, Component::Jibri, Component::Jvb] {
            let error =
                components().read(&at(component, &format!("http://{host}"))).await.expect_err("unknown");
            assert!(matches!(error, JitsiError::Unreachable { .. }), "{error:?}");
        }
        cut.await.expect("no panic");
        let read = components().read(&at(Component::Jvb, "http://nowhere.invalid")).await;
        assert!(matches!(read, Err(JitsiError::Unreachable { .. })), "{read:?}");
    }

    #[test_case(202)]
    #[test_case(400)]
    #[test_case(404)]
    #[test_case(500)]
    #[tokio::test]
    async fn a_request_that_a_jibri_does_not_accept_has_failed(status: u16) {
        let (host, _) = answering::server(vec![http(status, false, "")], "").await;
        let jibri = at(Component::Jibri, &format!("http://{host}"));
        let error = components().request(&jibri, Permitted(Request::Close)).await.expect_err("a failure");
        assert!(matches!(error, JitsiError::Foreign { status: given, .. } if given == status), "{error:?}");
    }

    #[test_case(Component::Jvb, 500, EMPTY)]
    #[test_case(Component::Jvb, 204, "")]
    #[test_case(Component::Jvb, 302, EMPTY; "a redirect is not followed")]
    #[test_case(Component::Jibri, 500, r#"{"status":{"busyStatus":"IDLE"}}"#; "a jibri with an error")]
    #[tokio::test]
    async fn a_reading_with_another_status_counts_for_nothing(component: Component, status: u16, body: &str) {
        let answer = http(status, false, body).replacen("\r\n", "\r\nlocation: http://127.0.0.1:1/\r\n", 1);
        let (host, _) = answering::server(vec![answer], "").await;
        let error =
            components().read(&at(component, &format!("http://{host}"))).await.expect_err("no reading");
        assert!(matches!(error, JitsiError::Foreign { status: given, .. } if given == status), "{error:?}");
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_given_up() {
        let body = format!("{}{EMPTY}", " ".repeat(LARGEST_BODY));
        let (host, _) = answering::server(vec![http(500, false, &body)], "").await;
        let read = components().read(&at(Component::Jvb, &format!("http://{host}"))).await;
        assert!(matches!(read, Err(JitsiError::Foreign { status: 500, .. })), "{read:?}");
    }

    #[tokio::test]
    async fn each_reading_has_a_connection_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address");
        let answer = http(200, false, EMPTY).replace("connection: close\r\n", "");
        let server = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                assert!(stream.read(&mut [0; 4096]).await.expect("a request") > 0);
                stream.write_all(answer.as_bytes()).await.expect("it reads");
                // It would answer more on the same connection only after the next one.
                tokio::spawn(async move { stream.read(&mut [0; 4096]).await });
            }
        });
        let (components, bridge) = (components(), at(Component::Jvb, &format!("http://{host}")));
        for _ in 0..2 {
            components.read(&bridge).await.expect("a reading");
        }
        server.await.expect("no panic");
    }

    fn bridges() -> Vec<Value> {
        vec![
            json!({"local_endpoints": 0, "participants": 7, "drain": true, "graceful_shutdown": false}),
            json!({"participants": 3, "octo_endpoints": 3, "graceful_shutdown": true}),
            json!({"local_endpoints": 0, "shutting_down": true, "conferences": 0}),
            json!({"status": {"busyStatus": "IDLE", "health": {"healthStatus": "HEALTHY"}}}),
        ]
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(500))]

        #[test]
        fn only_a_body_that_says_so_is_empty(replaced in jitsi_inputs::replaced(bridges())) {
            let body = replaced.after;
            let text = body.to_string();
            if let Some(Reading::Answered { empty, .. }) = read_bridge(text.as_bytes()) {
                let number = |key: &str| body[key].as_f64();
                let people = number("local_endpoints").or_else(|| Some(number("participants")? - number("octo_endpoints").unwrap_or(0.0)));
                prop_assert!(people.is_some(), "{text}");
                prop_assert!(!empty || people.is_some_and(|people| people <= 0.0), "{text}");
            }
            if let Some(Reading::Answered { empty: true, .. }) = read_jibri(text.as_bytes()) {
                let status = body["status"]["busyStatus"].as_str().unwrap_or_default();
                prop_assert!(["IDLE", "EXPIRED"].contains(&status), "{text}");
            }
        }

        #[test]
        fn mutated_bodies_are_no_readings_of_what_they_lack(
            body in jitsi_inputs::mutated(bridges().iter().map(|body| body.to_string().into_bytes()).collect())
        ) {
            let text = String::from_utf8_lossy(&body);
            if let Some(Reading::Answered { empty: true, .. }) = read_bridge(&body) {
                prop_assert!(text.contains("endpoints") || text.contains("participants") || text.contains('\\'), "{text}");
            }
            let _any = (read_jibri(&body), relay_error(&body).map(|error| error.error));
        }
    }
}
