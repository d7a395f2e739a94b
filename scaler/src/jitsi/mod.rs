//! Drain and shutdown calls to a bridge or a Jibri, straight to it or through the exporter's relay.
//!
//! Owns the components' paths and what their answers mean. Whatever is not understood is [`Reading::Unknown`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::access::{self, ClientError, SecretError};
use crate::config::{Auth, DrainVia};
use crate::decide::observation::Reading;
use crate::decide::policy::Component;
use crate::leader::NotLeading;

pub mod led;

/// The limit of one request. A component on the same network answers in milliseconds.
const LONGEST: Duration = Duration::from_secs(3);
/// Above this an answer is not one of these components'.
const LARGEST_BODY: usize = 1 << 20;
/// What stands in the path of the exporter's relay, and in no component's.
const RELAY: &str = "/relay/";
/// The header that the relay sets on what the component behind it answered. Source: jitsi-exporter, `relay`.
const RELAYED: &str = "x-jitsi-exporter-relayed";

/// What is asked of components.
pub trait Components: Send + Sync {
    /// What the component says of itself now. The error says why that is unknown.
    fn read(&self, address: &Address) -> impl Future<Output = Result<Reading, JitsiError>> + Send;

    /// Asks a bridge to take nothing new.
    fn start_drain(&self, address: &Address) -> impl Future<Output = Result<(), JitsiError>> + Send;

    /// Asks a bridge to take new conferences again.
    fn stop_drain(&self, address: &Address) -> impl Future<Output = Result<(), JitsiError>> + Send;

    /// Makes the final request: the component finishes what it has, and exits.
    fn close(&self, address: &Address) -> impl Future<Output = Result<Closing, JitsiError>> + Send;
}

/// Talks to components over HTTP.
#[derive(Clone, Debug)]
pub struct Http {
    http: reqwest::Client,
    auth: Auth,
}

/// Where one instance is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    component: Component,
    external: String,
    internal: String,
}

impl Address {
    /// Fills the labels of an instance's series into the addresses of the configuration. The error names a label that
    /// the series does not carry.
    pub fn new(
        component: Component,
        via: &DrainVia,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, JitsiError> {
        Ok(Self {
            component,
            external: fill(&via.component, labels)?,
            internal: fill(&via.internal, labels)?,
        })
    }
}

impl Address {
    /// The address of the interface that tells the component's state.
    #[must_use]
    pub fn external(&self) -> &str {
        &self.external
    }

    /// Whether the component's answers say that it takes nothing new: a Jibri's do not.
    #[must_use]
    pub fn tells_draining(&self) -> bool {
        self.component == Component::Jvb
    }
}

fn fill(template: &str, labels: &BTreeMap<String, String>) -> Result<String, JitsiError> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (label, remainder) = after.split_once('}').unwrap_or((after, ""));
        let value = labels.get(label).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| JitsiError::Label { label: label.to_owned() })?;
        // A label comes from service discovery: it fills a host or a port, and cannot reach into the path.
        if value.contains(['/', '?', '#', '@', '\\']) {
            return Err(JitsiError::Label { label: label.to_owned() });
        }
        filled.push_str(before);
        filled.push_str(value);
        rest = remainder;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether a component took its final request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It takes nothing new and exits when it is empty.
    Accepted,
    /// It has no such interface: a bridge with `videobridge.rest.shutdown` off.
    Unavailable,
}

/// A request to a component that did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum JitsiError {
    /// The instance's series lacks a label that the address needs.
    #[error(
        "fill {{{label}}} of drain.via: the instance's series has no usable label of that name; add it by relabelling"
    )]
    Label {
        /// The label.
        label: String,
    },
    /// No answer.
    #[error(
        "reach {url}; check drain.via and that the component, or the relay in front of it, listens there"
    )]
    Unreachable {
        /// The address asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is not the component's.
    #[error("understand the answer of {url}: HTTP {status}; check that drain.via points at the component")]
    Foreign {
        /// The address asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The secret that the configuration names cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An answer of a relay, or of what stands before it, in place of the component's.
    #[error(
        "have {url} passed on: HTTP {status}, {said}; check that the exporter there runs with --relay.enabled and that drain.via has its address and password"
    )]
    NotPassedOn {
        /// The address asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// It was not asked, or given up while it was: another scaler acts now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Vec<u8>,
    /// Whether it is the component's. Behind a relay, only an answer that says so is: one of the relay, or of what stands
    /// before it, tells nothing of the component.
    is_components: bool,
}

/// The part of a bridge's statistics that a drain depends on. Source: jitsi-videobridge, `/colibri/stats`.
#[derive(Deserialize)]
struct BridgeStatistics {
    /// Since 2.1-570: the drain criterion that the bridge itself uses.
    local_endpoints: Option<f64>,
    /// Local and relayed endpoints together.
    participants: Option<f64>,
    /// Relayed endpoints; absent where there is no relay.
    octo_endpoints: Option<f64>,
    /// Since 2.1-610.
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
    /// A client without connections yet, which proves and trusts what `drain` says. Fails where the files of its TLS cannot
    /// be used.
    pub fn new(drain: Option<&DrainVia>) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .timeout(LONGEST)
            // A reading must be fresh, and a connection kept alive may belong to a host that is gone.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("jitsi-scaler/", env!("CARGO_PKG_VERSION")));
        let tls = drain.map(|drain| drain.tls.clone()).unwrap_or_default();
        let auth = drain.map_or(Auth::None, |drain| drain.auth.clone());
        Ok(Self { http: access::client(builder, &tls, "drain.tls")?, auth })
    }

    async fn command(&self, url: String, json: Option<&'static str>) -> Result<(), JitsiError> {
        let mut request = self.http.post(&url);
        if let Some(json) = json {
            request = request.header("content-type", "application/json").body(json);
        }
        let Answer { status, body, is_components } = self.send(&url, request).await?;
        match status {
            _ if !is_components => Err(not_passed_on(&url, status, &body)),
            200 => Ok(()),
            _ => Err(JitsiError::Foreign { url: shown(&url), status }),
        }
    }

    async fn send(&self, url: &str, request: reqwest::RequestBuilder) -> Result<Answer, JitsiError> {
        let failed = |source: reqwest::Error| JitsiError::Unreachable {
            url: shown(url),
            source: source.without_url(),
        };
        // An address may carry a user and a password of its own.
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
        let path = match address.component {
            Component::Jvb => "/colibri/stats",
            Component::Jibri => "/jibri/api/v1.0/health",
        };
        let url = format!("{}{path}", address.external);
        let request = self.http.get(&url).header("accept", "application/json");
        let Answer { status, body, is_components } = match self.send(&url, request).await {
            Ok(answer) => answer,
            // Where nothing listens at a relay's address, it is the relay that is gone.
            Err(JitsiError::Unreachable { source, .. }) if !is_relay(&url) && is_refused(&source) => {
                return Ok(Reading::Refused);
            }
            Err(error) => return Err(error),
        };
        let foreign = || JitsiError::Foreign { url: shown(&url), status };
        match (status, address.component) {
            (502, _) if !is_components && relays_word(&body).is_some_and(|word| word.error == REFUSED) => {
                Ok(Reading::Refused)
            }
            _ if !is_components => Err(not_passed_on(&url, status, &body)),
            (200, Component::Jvb) => read_bridge(&body).ok_or_else(foreign),
            (200, Component::Jibri) => read_jibri(&body).ok_or_else(foreign),
            _ => Err(foreign()),
        }
    }

    async fn start_drain(&self, address: &Address) -> Result<(), JitsiError> {
        self.command(format!("{}/colibri/drain/enable", address.external), None).await
    }

    async fn stop_drain(&self, address: &Address) -> Result<(), JitsiError> {
        self.command(format!("{}/colibri/drain/disable", address.external), None).await
    }

    async fn close(&self, address: &Address) -> Result<Closing, JitsiError> {
        let asked = match address.component {
            Component::Jvb => {
                let url = format!("{}/colibri/shutdown", address.external);
                self.command(url, Some("{\"graceful-shutdown\": true}")).await
            }
            Component::Jibri => {
                let url = format!("{}/jibri/api/internal/v1.0/gracefulShutdown", address.internal);
                self.command(url, None).await
            }
        };
        match asked {
            Ok(()) => Ok(Closing::Accepted),
            Err(JitsiError::Foreign { status: 404, .. }) if address.component == Component::Jvb => {
                Ok(Closing::Unavailable)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_relay(url: &str) -> bool {
    url.contains(RELAY)
}

/// The address without a user and a password, which a relay may ask for.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Whether the host answered that nothing listens there, as opposed to not answering at all.
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

/// What the exporter's relay says for itself.
#[derive(Deserialize)]
struct RelaysWord {
    error: String,
    #[serde(default)]
    detail: String,
}

/// The relay's word for a component that refused the connection.
const REFUSED: &str = "connection_refused";

fn relays_word(body: &[u8]) -> Option<RelaysWord> {
    serde_json::from_slice(body).ok()
}

fn not_passed_on(url: &str, status: u16, body: &[u8]) -> JitsiError {
    let said = match relays_word(body) {
        Some(RelaysWord { error, detail }) => format!("{error}: {detail}").chars().take(200).collect(),
        None => "not in the words of a relay".to_owned(),
    };
    JitsiError::NotPassedOn { url: shown(url), status, said }
}

fn read_bridge(body: &[u8]) -> Option<Reading> {
    let statistics: BridgeStatistics = serde_json::from_slice(body).ok()?;
    let local = match statistics.local_endpoints {
        Some(local) => local,
        // Without the relayed ones told, all are taken for local.
        None => statistics.participants? - statistics.octo_endpoints.unwrap_or(0.0),
    };
    let shutting_down = statistics.shutting_down.unwrap_or(false);
    let closing = statistics.graceful_shutdown.unwrap_or(false) || shutting_down;
    Some(Reading::Answered {
        empty: local == 0.0,
        draining: statistics.drain.unwrap_or(false) || closing,
        closing,
    })
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
    use test_case::test_case;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test_case(r#"{"local_endpoints":0,"participants":7,"drain":true,"graceful_shutdown":false}"#,
        Some((true, true, false)); "drained, with relayed participants")]
    #[test_case(r#"{"local_endpoints":2,"drain":true}"#, Some((false, true, false)); "in use")]
    #[test_case(r#"{"participants":3,"octo_endpoints":3,"graceful_shutdown":true}"#,
        Some((true, true, true)); "an older bridge")]
    #[test_case(r#"{"participants":1}"#, Some((false, false, false)); "an older bridge without relays")]
    #[test_case(r#"{"local_endpoints":0,"shutting_down":true}"#, Some((true, true, true)); "shutting down")]
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

    /// Answers one request with `answer`; what was asked is told.
    async fn once(answer: String) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("it reads");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, asked)
    }

    fn http(status: u16, relayed: bool, body: &str) -> String {
        let header = if relayed { "x-jitsi-exporter-relayed: 1\r\n" } else { "" };
        let length = body.len();
        format!("HTTP/1.1 {status} x\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }

    fn at(component: Component, url: &str) -> Address {
        Address { component, external: url.to_owned(), internal: url.to_owned() }
    }

    fn components() -> Http {
        Http::new(None).expect("a client")
    }

    const EMPTY: &str = r#"{"local_endpoints":0,"drain":true}"#;
    const GONE: &str = r#"{"error":"connection_refused","detail":"nothing listens there"}"#;

    #[test_case("/relay/jvb", 200, true, EMPTY, "Answered" ; "the component behind a relay")]
    #[test_case("", 200, false, EMPTY, "Answered" ; "the component itself")]
    #[test_case("/relay/jvb", 200, false, EMPTY, "NotPassedOn" ; "statistics that a relay does not vouch for")]
    #[test_case("/relay/jvb", 502, false, GONE, "Refused" ; "a relay that found nothing listening")]
    #[test_case("/relay/jvb", 502, true, GONE, "Foreign" ; "a component that answers in the words of a relay")]
    #[test_case("", 502, false, GONE, "Foreign" ; "no relay")]
    #[test_case("/relay/jvb", 504, false, GONE, "NotPassedOn" ; "another status")]
    #[test_case("/relay/jvb", 502, false, r#"{"error":"unreachable"}"#, "NotPassedOn" ; "another error")]
    #[test_case("/relay/jvb", 502, false, "<html>", "NotPassedOn" ; "a proxy before the relay")]
    #[test_case("/relay/jvb", 504, false, r#"{"error":"timeout","detail":"x"}"#, "NotPassedOn" ; "a component that hangs")]
    #[test_case("/relay/jvb", 401, false, "Unauthorized", "NotPassedOn" ; "no password")]
    #[tokio::test]
    async fn who_says_what_is_told_apart(path: &str, status: u16, relayed: bool, body: &str, expected: &str) {
        let (host, asked) = once(http(status, relayed, body)).await;
        let read = components().read(&at(Component::Jvb, &format!("http://{host}{path}"))).await;
        let got = read.map_or_else(|error| format!("{error:?}"), |reading| format!("{reading:?}"));
        assert!(got.starts_with(expected), "{got}");
        let asked = asked.await.expect("no panic");
        assert!(asked.starts_with(&format!("GET {path}/colibri/stats HTTP/1.1\r\n")), "{asked}");
    }

    #[tokio::test]
    async fn a_relay_that_is_gone_says_nothing_of_the_component() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address");
        drop(listener);
        let read = async |url: String| components().read(&at(Component::Jibri, &url)).await;
        assert_eq!(read(format!("http://{host}")).await.expect("a reading"), Reading::Refused);
        let error = read(format!("http://u:secret@{host}/relay/jibri")).await.expect_err("unknown");
        assert!(matches!(error, JitsiError::Unreachable { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }

    #[test_case("/relay/jvb", 200, true, Ok(Closing::Accepted) ; "accepted behind a relay")]
    #[test_case("/relay/jvb", 404, true, Ok(Closing::Unavailable) ; "a bridge behind a relay that has none")]
    #[test_case("/relay/jvb", 404, false, Err("have http://HOST/relay/jvb/colibri/shutdown passed on: HTTP 404, not_found: only these; check that the exporter there runs with --relay.enabled and that drain.via has its address and password") ; "a relay that is off")]
    #[test_case("/relay/jvb", 403, false, Err("have http://HOST/relay/jvb/colibri/shutdown passed on: HTTP 403, not_found: only these; check that the exporter there runs with --relay.enabled and that drain.via has its address and password") ; "a relay that refuses")]
    #[test_case("", 404, false, Ok(Closing::Unavailable) ; "a bridge that has none")]
    #[tokio::test]
    async fn a_bridge_without_a_shutdown_is_not_a_relay_without_one(
        path: &str,
        status: u16,
        relayed: bool,
        expected: Result<Closing, &str>,
    ) {
        let (host, asked) =
            once(http(status, relayed, r#"{"error":"not_found","detail":"only these"}"#)).await;
        let url = format!("http://user:secret@{host}{path}");
        let got = components().close(&at(Component::Jvb, &url)).await;
        let got = got.map_err(|error| error.to_string().replace(&host, "HOST"));
        assert_eq!(got, expected.map_err(ToOwned::to_owned));
        let asked = asked.await.expect("no panic");
        assert!(asked.starts_with(&format!("POST {path}/colibri/shutdown HTTP/1.1\r\n")), "{asked}");
        // The relay's password travels as a header.
        assert!(asked.contains("authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{asked}");
    }

    #[test]
    fn every_failure_is_told_in_words() {
        let url = || "http://10.0.0.7:8080/colibri/stats".to_owned();
        let source = reqwest::Client::new().get("nowhere").build().expect_err("no address");
        let errors = [
            JitsiError::Label { label: "private_ip".to_owned() },
            JitsiError::Unreachable { url: url(), source },
            JitsiError::Foreign { url: url(), status: 404 },
            JitsiError::NotPassedOn { url: url(), status: 504, said: "timeout: it hangs".to_owned() },
        ];
        let told: String =
            errors.iter().map(|error| format!("failed to {}\n", crate::telemetry::chain(error))).collect();
        insta::assert_snapshot!(told, @"
        failed to fill {private_ip} of drain.via: the instance's series has no usable label of that name; add it by relabelling
        failed to reach http://10.0.0.7:8080/colibri/stats; check drain.via and that the component, or the relay in front of it, listens there: builder error: relative URL without a base
        failed to understand the answer of http://10.0.0.7:8080/colibri/stats: HTTP 404; check that drain.via points at the component
        failed to have http://10.0.0.7:8080/colibri/stats passed on: HTTP 504, timeout: it hangs; check that the exporter there runs with --relay.enabled and that drain.via has its address and password
        ");
    }

    #[test]
    fn labels_fill_an_address_and_nothing_else() {
        let labels = |value: &str| BTreeMap::from([("private_ip".to_owned(), value.to_owned())]);
        let template = "http://{private_ip}:8080";
        assert_eq!(fill(template, &labels("10.0.0.7")).expect("filled"), "http://10.0.0.7:8080");
        let error = fill(template, &labels("10.0.0.7/x")).expect_err("a path");
        assert!(error.to_string().starts_with("fill {private_ip} of drain.via"), "{error}");
        assert!(fill(template, &BTreeMap::new()).is_err());
    }
}
