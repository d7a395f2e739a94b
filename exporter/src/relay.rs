//! The relay: the few requests that are passed on to the component on this host, for those who
//! cannot reach its loopback. What is not in [`Call`] is not passed on; nothing is repeated, kept or
//! shared. An answer of the component carries the header [`RELAYED`]; one without it is the relay's
//! own, as JSON: 502 where the component gave none, with what kept it from that.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
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

/// What the paths of the relay begin with.
pub const PREFIX: &str = "/relay";

/// On the answers of a component, so that its own 502 is not taken for the relay's.
pub const RELAYED: HeaderName = HeaderName::from_static("x-jitsi-exporter-relayed");

/// From the request to the end of the answer. jitsi-scaler waits three seconds: it shall hear which
/// of both was late.
const LONGEST: Duration = Duration::from_millis(2500);

/// Requests at a time. One scaler asks one thing of a component after the other.
const MAX_REQUESTS: usize = 8;

/// The longest body that a request needs has 27 bytes.
const MAX_REQUEST_BODY: usize = 1024;

/// Statistics have 2 to 20 KiB, and jitsi-scaler reads no more than this either.
const MAX_ANSWER_BODY: usize = 1024 * 1024;

/// The one body that is passed on.
const GRACEFUL: &str = "{\"graceful-shutdown\": true}";

/// A request that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A bridge's statistics.
    Statistics,
    /// Whether a bridge is drained.
    Drain,
    /// A bridge shall take nothing new.
    DrainEnable,
    /// A bridge shall take conferences again.
    DrainDisable,
    /// A bridge shall exit when it is empty.
    Shutdown,
    /// A Jibri's health.
    Health,
    /// A Jibri shall exit when it is idle.
    GracefulShutdown,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Statistics,
        Self::Drain,
        Self::DrainEnable,
        Self::DrainDisable,
        Self::Shutdown,
        Self::Health,
        Self::GracefulShutdown,
    ];

    /// Who is asked.
    #[must_use]
    pub fn component(self) -> Component {
        match self {
            Self::Statistics | Self::Drain | Self::DrainEnable | Self::DrainDisable | Self::Shutdown => {
                Component::Jvb
            }
            Self::Health | Self::GracefulShutdown => Component::Jibri,
        }
    }

    /// The path at the component.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Statistics => "/colibri/stats",
            Self::Drain => "/colibri/drain",
            Self::DrainEnable => "/colibri/drain/enable",
            Self::DrainDisable => "/colibri/drain/disable",
            Self::Shutdown => "/colibri/shutdown",
            Self::Health => "/jibri/api/v1.0/health",
            Self::GracefulShutdown => "/jibri/api/internal/v1.0/gracefulShutdown",
        }
    }

    /// Whether it only asks.
    #[must_use]
    pub fn is_reading(self) -> bool {
        matches!(self, Self::Statistics | Self::Drain | Self::Health)
    }

    /// The call as a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statistics => "stats",
            Self::Drain => "drain",
            Self::DrainEnable => "drain_enable",
            Self::DrainDisable => "drain_disable",
            Self::Shutdown => "shutdown",
            Self::Health => "health",
            Self::GracefulShutdown => "graceful_shutdown",
        }
    }

    fn method(self) -> Method {
        if self.is_reading() { Method::GET } else { Method::POST }
    }

    /// The call of a path of this program.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let path = path.strip_prefix(PREFIX)?.strip_prefix('/')?;
        Self::ALL
            .into_iter()
            .find(|call| path.strip_prefix(call.component().as_str()).is_some_and(|path| path == call.path()))
    }
}

/// What became of a request: a closed set, so that it can be a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The component answered with 2xx.
    Ok,
    /// The component answered with another status.
    ErrorStatus,
    /// Nothing listens where the component should.
    ConnectionRefused,
    /// The component did not answer in time.
    Timeout,
    /// The component could not be asked, or its answer was not understood.
    Unreachable,
    /// It is not passed on.
    Refused,
    /// Too many were under way.
    Busy,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::ErrorStatus,
        Self::ConnectionRefused,
        Self::Timeout,
        Self::Unreachable,
        Self::Refused,
        Self::Busy,
    ];

    /// The outcome as a label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ErrorStatus => "error_status",
            Self::ConnectionRefused => "connection_refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Busy => "busy",
        }
    }
}

/// What became of a request, and what is answered.
#[derive(Debug)]
pub struct Passed {
    /// What became of it.
    pub outcome: Outcome,
    /// What is answered.
    pub response: Response,
    /// What the outcome does not say, for the log; may be empty.
    pub detail: String,
}

impl Passed {
    /// The relay's own answer.
    fn own(outcome: Outcome, status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { outcome, response: own(status, error, &detail), detail }
    }
}

/// An answer that is not a component's.
fn own(status: StatusCode, error: &str, detail: &str) -> Response {
    let body = serde_json::json!({"error": error, "detail": detail});
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{body}\n")).into_response()
}

/// The answer to a path that is not one of the relay's.
#[must_use]
pub fn not_found() -> Response {
    let paths = Call::ALL.map(|call| format!("{PREFIX}/{}{}", call.component(), call.path()));
    let detail = format!("only these are passed on: {}", paths.join(", "));
    own(StatusCode::NOT_FOUND, "not_found", &detail)
}

/// Passes requests on.
#[derive(Debug)]
pub struct Relay {
    targets: RelayTargets,
    http: Client,
    places: Semaphore,
}

/// The body of a shutdown. With anything else in it, it means something else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShutdownBody {
    #[serde(rename = "graceful-shutdown")]
    graceful: bool,
}

impl Relay {
    /// To these, and to nobody else.
    pub fn new(targets: RelayTargets) -> Result<Self, reqwest::Error> {
        let mut http = builder(Resolver::default())
            // A reading must be fresh, and a connection that is found closed would ask for a repetition.
            .pool_max_idle_per_host(0);
        let mut urls = Call::ALL.into_iter().filter_map(|call| url(&targets, call));
        if urls.all(|url| url.scheme() == "http") {
            // Reading the certificates of the system costs memory, and fails where there are none.
            http = http.tls_certs_only([]);
        }
        Ok(Self { targets, http: http.build()?, places: Semaphore::new(MAX_REQUESTS) })
    }

    /// Those who can be asked.
    pub fn components(&self) -> impl Iterator<Item = Component> {
        let jvb = self.targets.jvb.as_ref().map(|_| Component::Jvb);
        let jibri = self.targets.jibri.as_ref().map(|_| Component::Jibri);
        jvb.into_iter().chain(jibri)
    }

    /// Passes a request on; `is_guarded` tells whether it can only have come from somebody who may
    /// send it.
    pub async fn pass(&self, call: Call, method: &Method, body: Body, is_guarded: bool) -> Passed {
        let deadline = Instant::now() + LONGEST;
        if *method != call.method() {
            let allowed = call.method();
            let detail = format!("{method} is not passed on: use {allowed}");
            let mut passed =
                Passed::own(Outcome::Refused, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            let allowed = if call.is_reading() { "GET" } else { "POST" };
            passed.response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return passed;
        }
        if !is_guarded {
            let detail = "anybody could send this: the web configuration asks nobody for a password or a certificate any more";
            return Passed::own(Outcome::Refused, StatusCode::FORBIDDEN, "no_authentication", detail);
        }
        let Some(url) = url(&self.targets, call) else {
            let detail = format!("there is no --{}.url to pass it on to", call.component());
            return Passed::own(Outcome::Refused, StatusCode::NOT_FOUND, "not_configured", detail);
        };
        let Ok(_place) = self.places.try_acquire() else {
            let detail = format!("{MAX_REQUESTS} requests are under way: try again later");
            return Passed::own(Outcome::Busy, StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        };
        if call == Call::Shutdown
            && let Err(refused) = graceful(body, deadline).await
        {
            return refused;
        }
        match timeout_at(deadline, self.ask(call, url)).await {
            Ok(passed) => passed,
            Err(_) => {
                let detail = format!("{} did not answer within {LONGEST:?}", call.component());
                Passed::own(Outcome::Timeout, StatusCode::BAD_GATEWAY, "timeout", detail)
            }
        }
    }

    async fn ask(&self, call: Call, url: Url) -> Passed {
        let mut request = self.http.request(call.method(), url);
        if call.is_reading() {
            // A bridge without an explicit Accept fails or chooses at random.
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
                    let detail = format!("the answer has more than {MAX_ANSWER_BODY} bytes");
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

/// Where a call goes, where there is somebody to take it.
fn url(targets: &RelayTargets, call: Call) -> Option<Url> {
    let target = match (call, &targets.jibri) {
        (Call::GracefulShutdown, Some(jibri)) => &jibri.internal,
        (Call::Health, Some(jibri)) => &jibri.external,
        (Call::GracefulShutdown | Call::Health, None) => return None,
        _ => targets.jvb.as_ref()?,
    };
    Some(Url::clone(&target.url(call.path())))
}

/// Whether the body asks for the one shutdown that cuts no call.
async fn graceful(body: Body, deadline: Instant) -> Result<(), Passed> {
    let read = timeout_at(deadline, to_bytes(body, MAX_REQUEST_BODY)).await;
    let Ok(read) = read else {
        let detail = "the body of the request did not come in time";
        return Err(Passed::own(Outcome::Refused, StatusCode::REQUEST_TIMEOUT, "request_timeout", detail));
    };
    let asked = read.ok().and_then(|body| serde_json::from_slice::<ShutdownBody>(&body).ok());
    if asked.is_some_and(|asked| asked.graceful) {
        return Ok(());
    }
    let detail = format!(
        "a shutdown that is not graceful would cut calls: it is passed on only with the body {GRACEFUL}"
    );
    Err(Passed::own(Outcome::Refused, StatusCode::FORBIDDEN, "not_graceful", detail))
}

/// No answer, or none that ends.
fn failure(call: Call, error: &reqwest::Error) -> Passed {
    let refusal = refusal(error);
    if refusal.reason == Reason::Refused {
        let detail = format!("nothing listens where {} should: {}", call.component(), refusal.detail);
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
    #[test_case("/relay/jvb/colibri/drain/../shutdown" ; "climbing")]
    #[test_case("/relay/jvb/colibri/v2/conferences" ; "another path of a bridge")]
    #[test_case("/relay/jvb/jibri/api/v1.0/health" ; "a path of another component")]
    #[test_case("/relay/jibri/jibri/api/internal/v1.0/shutdown" ; "a shutdown that cuts recordings")]
    #[test_case("/relay/jibri/jibri/api/v1.0/startService" ; "a start")]
    #[test_case("/relay/jicofo/stats" ; "a component that is not relayed")]
    fn what_is_not_passed_on(path: &str) {
        assert_eq!(Call::at(path), None);
    }
}
