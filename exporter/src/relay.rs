//! The relay passes a few requests on to the component on this host, whose loopback interface other hosts cannot reach.
//! Only the requests of [`Call`] are passed on. They are never retried, cached or shared. A response of the component has
//! the header [`RELAYED`]. Without it, the response is the relay's own, as JSON; if the component did not respond, it has
//! status 502 and the cause. A request with the header [`MEANT_FOR`] is passed on only if it names this instance, as far as
//! this host knows which one it is.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::client::{Resolver, builder, refusal};
use crate::component::Component;
use crate::config::RelayTargets;
use crate::reason::Reason;

/// Prefix of the relay's paths.
pub const PREFIX: &str = "/relay";

/// Header on responses of the component, which distinguishes its 502 from the relay's.
pub const RELAYED: HeaderName = HeaderName::from_static("x-jitsi-exporter-relayed");

/// Header of requests, with the id of the instance that they are meant for: an address may lead elsewhere.
pub const MEANT_FOR: HeaderName = HeaderName::from_static("x-jitsi-exporter-instance");

/// From the request to the end of the response. This is shorter than the three seconds that jitsi-scaler waits, so that it
/// learns that the component was late, not the relay.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// Maximum number of concurrent requests. A scaler sends one at a time to a component.
const MAX_REQUESTS: usize = 8;

/// Maximum size of a request body, in bytes. The longest that is needed has 27.
const MAX_REQUEST_BODY: usize = 1024;

/// Maximum size of a response body, in bytes, as in jitsi-scaler. Statistics have 2 to 20 KiB.
const MAX_ANSWER_BODY: usize = 1024 * 1024;

/// The only request body that is passed on.
const GRACEFUL: &str = "{\"graceful-shutdown\": true}";

jitsi_web::words! {
    /// A request that is passed on; the word is its value of the label `request`.
    pub enum Call {
        /// A bridge's statistics.
        Statistics = "stats",
        /// A bridge's own metrics, available even where its statistics are switched off.
        Metrics = "metrics",
        /// Whether a bridge is drained.
        Drain = "drain",
        /// Drains a bridge.
        DrainEnable = "drain_enable",
        /// Ends the drain of a bridge.
        DrainDisable = "drain_disable",
        /// Shuts a bridge down once it is empty.
        Shutdown = "shutdown",
        /// A Jibri's health.
        Health = "health",
        /// Shuts a Jibri down once it is idle.
        GracefulShutdown = "graceful_shutdown",
    }
}

impl Call {
    /// The component that receives it.
    #[must_use]
    pub fn component(self) -> Component {
        let is_jibri = matches!(self, Self::Health | Self::GracefulShutdown);
        if is_jibri { Component::Jibri } else { Component::Jvb }
    }

    /// Its path at the component.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Statistics => "/colibri/stats",
            Self::Metrics => "/metrics",
            Self::Drain => "/colibri/drain",
            Self::DrainEnable => "/colibri/drain/enable",
            Self::DrainDisable => "/colibri/drain/disable",
            Self::Shutdown => "/colibri/shutdown",
            Self::Health => "/jibri/api/v1.0/health",
            Self::GracefulShutdown => "/jibri/api/internal/v1.0/gracefulShutdown",
        }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_reading(self) -> bool {
        matches!(self, Self::Statistics | Self::Metrics | Self::Drain | Self::Health)
    }

    fn method(self) -> Method {
        if self.is_reading() { Method::GET } else { Method::POST }
    }

    /// The call for a path of the exporter; `None` if there is none.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let path = path.strip_prefix(PREFIX)?.strip_prefix('/')?;
        Self::ALL
            .into_iter()
            .find(|call| path.strip_prefix(call.component().as_str()).is_some_and(|path| path == call.path()))
    }
}

jitsi_web::words! {
    /// The outcome of a request, for the label `outcome`.
    pub enum Outcome {
        /// The component responded with 2xx.
        Ok = "ok",
        /// The component responded with another status.
        ErrorStatus = "error_status",
        /// Nothing listens at the component's address.
        ConnectionRefused = "connection_refused",
        /// The component did not respond in time.
        Timeout = "timeout",
        /// The component could not be reached, or its response is invalid.
        Unreachable = "unreachable",
        /// The request is not one that the relay passes on.
        Refused = "refused",
        /// Too many requests were in progress.
        Busy = "busy",
    }
}

/// The outcome of a request and the response to it.
#[derive(Debug)]
pub struct Passed {
    /// The outcome.
    pub outcome: Outcome,
    /// The response to the client.
    pub response: Response,
    /// Details for the log; may be empty.
    pub detail: String,
}

impl Passed {
    /// A response of the relay itself.
    fn own(outcome: Outcome, status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { outcome, response: own(status, error, &detail), detail }
    }
}

/// A JSON response of the relay itself.
fn own(status: StatusCode, error: &str, detail: &str) -> Response {
    let body = serde_json::json!({"error": error, "detail": detail});
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{body}\n")).into_response()
}

/// Whether a request names this host by an address or as `localhost`. A name that is made to resolve to this host would let
/// a page of that name reach a relay without authentication through a browser here.
#[must_use]
pub fn names_an_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// The refusal of a request that is meant for another instance than `own`. `None` if it may be passed on, as every request
/// may if one of the two is not known.
pub(crate) fn another_instance(headers: &HeaderMap, own: Option<&str>) -> Option<Passed> {
    let (meant, own) =
        headers.get(MEANT_FOR).zip(own).filter(|(meant, own)| meant.as_bytes() != own.as_bytes())?;
    let meant = meant.to_str().unwrap_or("another");
    let detail = format!("this is {own}, and the request is meant for {meant}");
    Some(Passed::own(Outcome::Refused, StatusCode::MISDIRECTED_REQUEST, "another_instance", detail))
}

/// The refusal of a request that [`names_an_address`] does not let pass.
pub(crate) fn foreign_host() -> Passed {
    let detail =
        "a relay without authentication answers only where it is called by an address: use http://127.0.0.1";
    Passed::own(Outcome::Refused, StatusCode::FORBIDDEN, "foreign_host", detail)
}

/// The response to an unknown path below [`PREFIX`].
#[must_use]
pub fn not_found() -> Response {
    let paths = Call::ALL.map(|call| format!("{PREFIX}/{}{}", call.component(), call.path()));
    let detail = format!("the relay has only these paths: {}", paths.join(", "));
    own(StatusCode::NOT_FOUND, "not_found", &detail)
}

/// Passes requests on.
#[derive(Debug)]
pub struct Relay {
    targets: RelayTargets,
    http: Client,
    free: Semaphore,
}

/// The body of a graceful shutdown. Other members would change its meaning, so they are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShutdownBody {
    #[serde(rename = "graceful-shutdown")]
    graceful: bool,
}

impl Relay {
    /// A relay to `targets`.
    /// Fails if no HTTP client can be created.
    pub fn new(targets: RelayTargets) -> Result<Self, reqwest::Error> {
        let mut http = builder(Resolver::default())
            // A kept connection may turn out to be closed, which would require a retry.
            .pool_max_idle_per_host(0);
        let mut urls = Call::ALL.into_iter().filter_map(|call| url(&targets, call));
        if urls.all(|url| url.scheme() == "http") {
            // Reading the system's certificates costs memory and fails if there are none.
            http = http.tls_certs_only([]);
        }
        Ok(Self { targets, http: http.build()?, free: Semaphore::new(MAX_REQUESTS) })
    }

    /// The id of this instance, if it is known.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.targets.instance.id()
    }

    /// The components that the relay has targets for.
    pub fn components(&self) -> impl Iterator<Item = Component> {
        let jvb = self.targets.jvb.as_ref().map(|_| Component::Jvb);
        let jibri = self.targets.jibri.as_ref().map(|_| Component::Jibri);
        jvb.into_iter().chain(jibri)
    }

    /// Passes a request on. It is refused unless `is_protected`: only this host or authenticated clients can send it.
    pub async fn pass(&self, call: Call, method: &Method, body: Body, is_protected: bool) -> Passed {
        let deadline = Instant::now() + TIMEOUT;
        if *method != call.method() {
            let allowed = call.method();
            let detail = format!("the method {method} is not allowed: use {allowed}");
            let mut passed =
                Passed::own(Outcome::Refused, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            let allowed = if call.is_reading() { "GET" } else { "POST" };
            passed.response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return passed;
        }
        if !is_protected {
            let detail = "the web configuration no longer authenticates clients: set basic_auth_users or RequireAndVerifyClientCert";
            return Passed::own(Outcome::Refused, StatusCode::FORBIDDEN, "no_authentication", detail);
        }
        let Some(url) = url(&self.targets, call) else {
            let detail = format!(
                "the component is not configured: start the exporter with --{}.url",
                call.component()
            );
            return Passed::own(Outcome::Refused, StatusCode::NOT_FOUND, "not_configured", detail);
        };
        let Ok(_permit) = self.free.try_acquire() else {
            let detail = format!("{MAX_REQUESTS} requests are in progress: try again later");
            return Passed::own(Outcome::Busy, StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        };
        if call == Call::Shutdown
            && let Err(refused) = check_graceful(body, deadline).await
        {
            return refused;
        }
        match timeout_at(deadline, self.send(call, url)).await {
            Ok(passed) => passed,
            Err(_) => {
                let detail = format!("{} did not respond within {TIMEOUT:?}", call.component());
                Passed::own(Outcome::Timeout, StatusCode::BAD_GATEWAY, "timeout", detail)
            }
        }
    }

    async fn send(&self, call: Call, url: Url) -> Passed {
        let mut request = self.http.request(call.method(), url);
        if call.is_reading() {
            // Without `Accept`, a bridge fails or chooses a format at random.
            request = request.header(ACCEPT, "application/json");
        }
        if call == Call::Shutdown {
            request = request.header(CONTENT_TYPE, "application/json").body(GRACEFUL);
        }
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return failure(call, &error),
        };
        let (status, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BODY => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    let detail = format!("the response has more than {MAX_ANSWER_BODY} bytes");
                    return Passed::own(Outcome::Unreachable, StatusCode::BAD_GATEWAY, "unreachable", detail);
                }
                Ok(None) => break,
                Err(error) => return failure(call, &error),
            }
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(RELAYED, HeaderValue::from_static("1"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, kind);
        }
        let outcome = if status.is_success() { Outcome::Ok } else { Outcome::ErrorStatus };
        Passed { outcome, response, detail: String::new() }
    }
}

/// The URL of a call; `None` if its component is not configured.
fn url(targets: &RelayTargets, call: Call) -> Option<Url> {
    let target = match (call, &targets.jibri) {
        (Call::GracefulShutdown, Some(jibri)) => &jibri.internal,
        (Call::Health, Some(jibri)) => &jibri.external,
        (Call::GracefulShutdown | Call::Health, None) => return None,
        _ => targets.jvb.as_ref()?,
    };
    Some(Url::clone(&target.url(call.path())))
}

/// Refuses every body except that of a graceful shutdown, which cuts no calls.
async fn check_graceful(body: Body, deadline: Instant) -> Result<(), Passed> {
    let read = timeout_at(deadline, to_bytes(body, MAX_REQUEST_BODY)).await;
    let Ok(read) = read else {
        let detail = "the body of the request did not arrive in time";
        return Err(Passed::own(Outcome::Refused, StatusCode::REQUEST_TIMEOUT, "request_timeout", detail));
    };
    // An array would be taken for the members of the object in their order.
    let object = read.ok().and_then(|body| serde_json::from_slice::<serde_json::Map<_, _>>(&body).ok());
    let shutdown = object.and_then(|object| ShutdownBody::deserialize(object).ok());
    if shutdown.is_some_and(|shutdown| shutdown.graceful) {
        return Ok(());
    }
    let detail = format!("a shutdown that is not graceful would cut calls: send the body {GRACEFUL}");
    Err(Passed::own(Outcome::Refused, StatusCode::FORBIDDEN, "not_graceful", detail))
}

/// The relay's response if the component did not respond, or not completely.
fn failure(call: Call, error: &reqwest::Error) -> Passed {
    let refusal = refusal(error);
    if refusal.reason == Reason::Refused {
        let detail = format!("nothing listens at the address of {}: {}", call.component(), refusal.detail);
        return Passed::own(
            Outcome::ConnectionRefused,
            StatusCode::BAD_GATEWAY,
            "connection_refused",
            detail,
        );
    }
    let detail = format!("{}: {}", refusal.reason.as_str(), refusal.detail);
    Passed::own(Outcome::Unreachable, StatusCode::BAD_GATEWAY, "unreachable", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test]
    fn each_call_is_found_at_its_own_path() {
        for call in Call::ALL {
            let path = format!("/relay/{}{}", call.component(), call.path());
            assert_eq!(Call::at(&path), Some(call));
        }
    }

    #[test_case("/relay" ; "nothing")]
    #[test_case("/relay/jvb" ; "a component")]
    #[test_case("/relay/jvb/colibri/stats/" ; "a slash more")]
    #[test_case("/relay/jvb//colibri/stats" ; "a slash in between")]
    #[test_case("/relay/jvb/colibri/%73tats" ; "escaped")]
    #[test_case("/relay/jvb/colibri/drain/../shutdown" ; "a parent folder")]
    #[test_case("/relay/jvb/colibri/v2/conferences" ; "another path of a bridge")]
    #[test_case("/relay/jvb/jibri/api/v1.0/health" ; "a path of another component")]
    #[test_case("/relay/jibri/jibri/api/internal/v1.0/shutdown" ; "a shutdown that cuts recordings")]
    #[test_case("/relay/jibri/jibri/api/v1.0/startService" ; "a start")]
    #[test_case("/relay/jicofo/stats" ; "a component that is not relayed")]
    fn other_paths_are_not_passed_on(path: &str) {
        assert_eq!(Call::at(path), None);
    }
}
