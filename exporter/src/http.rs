//! HTTP routes: the landing page, the metrics of the exporter and its targets, probes, and the relay.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures::future::join_all;
use jitsi_web::exposition::{Format, by_name, respond};
use jitsi_web::{Access as WebAccess, Reloads};
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use crate::access::{Modules, ModulesError, ProbeModule};
use crate::component::{Component, Route};
use crate::config::{Config, MAX_TIMEOUT, grammar};
use crate::exposition::{self, Outcome};
use crate::landing::{self, Look};
use crate::reason::Reason;
use crate::relay::{self, Call, Relay};
use crate::scrape::{Options, Origin, Request, Scrape, Scraper};
use crate::table::Fate;
use crate::target::Target;
use crate::telemetry::Telemetry;

/// The deadline of a scrape whose request has no timeout header: Prometheus' default timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the landing page waits for the targets: a person waits for it.
const PAGE_TIMEOUT: Duration = Duration::from_secs(3);

/// The path of probes.
pub const PROBE_PATH: &str = "/probe";

/// Subtracted from the scrape timeout, so that the response arrives in time.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);

/// How much of a body a debug response shows, in bytes.
const SHOWN_BODY: usize = 64 * 1024;

/// The state that the routes share.
#[derive(Debug)]
pub struct App {
    config: Config,
    scraper: Scraper,
    modules: Arc<Modules>,
    telemetry: Telemetry,
    telemetry_path: String,
    relay: Option<Relay>,
    access: WebAccess,
}

/// Why the routes cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No HTTP client can be created.
    #[error("create an HTTP client")]
    Client(#[from] reqwest::Error),
    /// The file of `--config.file` is invalid.
    #[error(transparent)]
    Modules(#[from] ModulesError),
    /// Any client could shut down the component.
    #[error(
        "--relay.enabled: any client that reaches this address could drain and shut down the component: \
         listen on loopback only, as with --web.listen-address=127.0.0.1:10065, \
         or set basic_auth_users or client_auth_type: RequireAndVerifyClientCert in --web.config.file"
    )]
    UnguardedRelay,
}

impl AppError {
    /// Whether the flags or the file are wrong, rather than the state of this host.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnguardedRelay | Self::Modules(_))
    }
}

impl App {
    /// Creates the routes; `access` says who can reach them.
    /// Fails if the relay is on and any client could reach it, if the modules are invalid, or if no HTTP client can be created.
    pub fn new(config: Config, telemetry_path: &str, access: WebAccess) -> Result<Self, AppError> {
        if config.relay.is_some() && !is_protected(&access) {
            return Err(AppError::UnguardedRelay);
        }
        let options = Options { native: config.native, compat: config.compat };
        let allow = Arc::new(config.allow.clone());
        let modules = Arc::new(Modules::load(config.modules.clone(), allow.clone())?);
        let scraper = Scraper::new(allow, options)?;
        let relay = config.relay.clone().map(Relay::new).transpose()?;
        let telemetry = Telemetry::new(config.targets.iter().map(|endpoint| endpoint.component));
        for component in relay.iter().flat_map(Relay::components) {
            telemetry.add_relay(component);
        }
        let telemetry_path = telemetry_path.to_owned();
        Ok(Self { config, scraper, modules, telemetry, telemetry_path, relay, access })
    }

    /// Every mistake that [`Self::new`] would fail with. Without `access` the relay is not judged.
    #[must_use]
    pub fn mistakes(config: &Config, access: Option<&WebAccess>) -> Vec<AppError> {
        let is_open = config.relay.is_some() && access.is_some_and(|access| !is_protected(access));
        let modules = Modules::load(config.modules.clone(), Arc::new(config.allow.clone()));
        let relay = is_open.then_some(AppError::UnguardedRelay);
        relay.into_iter().chain(modules.err().map(AppError::from)).collect()
    }

    /// Registers the file of modules, if there is one, as a part that is reloaded.
    pub fn add_to(&self, reloads: &Reloads) {
        self.modules.add_to(reloads);
    }

    /// The registry of the metrics that `/metrics` adds to those of the targets.
    pub fn registry(&mut self) -> &mut Registry {
        self.telemetry.registry()
    }

    /// The longest deadline of a scrape.
    fn max_timeout(&self) -> Duration {
        self.config.max_timeout.unwrap_or(MAX_TIMEOUT)
    }

    /// Scrapes the configured targets side by side.
    async fn scrape_targets(&self, deadline: Instant) -> Vec<Scrape> {
        let targets = self.config.targets.iter();
        let scraping = targets.map(|endpoint| {
            self.scraper.scrape(endpoint.component, &endpoint.target, Origin::Trusted, deadline)
        });
        join_all(scraping).await
    }

    /// The routes.
    pub fn router(self) -> Router {
        let app = Arc::new(self);
        Router::new()
            .route("/", get(landing_page))
            .route(&app.telemetry_path, get(metrics))
            .route(PROBE_PATH, get(probe))
            .route(relay::PREFIX, any(relay_request))
            .route(&format!("{}/{{*path}}", relay::PREFIX), any(relay_request))
            .fallback(not_found)
            .with_state(app)
    }
}

/// The page at `/`. It asks the targets, and counts as no scrape.
async fn landing_page(State(app): State<Arc<App>>) -> Response {
    let scrapes = app.scrape_targets(Instant::now() + PAGE_TIMEOUT.min(app.max_timeout())).await;
    let looks: Vec<_> = app
        .config
        .targets
        .iter()
        .zip(&scrapes)
        .map(|(endpoint, scrape)| Look {
            component: endpoint.component,
            target: endpoint.target.label(),
            refusal: scrape.outcome.as_ref().err(),
            took: scrape.took,
        })
        .collect();
    let page = landing::page((&app.telemetry_path, PROBE_PATH), &app.modules.names(), &looks);
    jitsi_web::page::answer(StatusCode::OK, &landing::CONTENT_POLICY, page)
}

async fn not_found(State(app): State<Arc<App>>) -> Response {
    let text = format!("not found: there are /, {}, /probe, /-/healthy and /-/ready\n", app.telemetry_path);
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn metrics(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
    // An extractor would copy the headers.
    let headers = request.into_parts().0.headers;
    let deadline = Instant::now() + timeout(&headers, app.max_timeout());
    let targets = &app.config.targets;
    let scrapes = app.scrape_targets(deadline).await;
    let mut outcomes = Vec::with_capacity(targets.len());
    for (endpoint, scrape) in targets.iter().zip(&scrapes) {
        let label = endpoint.target.label();
        app.telemetry.scraped(endpoint.component, label, scrape.outcome.as_ref());
        outcomes.push(outcome(endpoint.component, endpoint.labelled.then_some(label), scrape));
    }
    respond(&headers, |format| {
        by_name(&(exposition::targets(&outcomes, format) + &app.telemetry.encode(format)))
    })
}

fn outcome<'s>(component: Component, target: Option<&'s str>, scrape: &'s Scrape) -> Outcome<'s> {
    Outcome { component, target, reading: scrape.outcome.as_ref().ok(), took: scrape.took }
}

async fn probe(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
    // Extractors would copy the headers and the URI.
    let Parts { uri, headers, .. } = request.into_parts().0;
    let request = match ProbeRequest::parse(uri.query().unwrap_or_default(), &app.modules) {
        Ok(request) => request,
        Err(text) => return (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response(),
    };
    let ProbeRequest { module, target, debug, .. } = &request;
    let component = module.component;
    let origin = module.access.clone().map_or(Origin::Guarded, Origin::Module);
    if !app.scraper.may_reach(target, &origin) {
        return forbidden(target);
    }
    let timeout = timeout(&headers, app.max_timeout());
    let deadline = Instant::now() + module.timeout.map_or(timeout, |limit| limit.min(timeout));
    let scrape = app.scraper.scrape(component, target, origin, deadline).await;
    if scrape.outcome.as_ref().is_err_and(|refusal| refusal.reason == Reason::Forbidden) {
        return forbidden(target);
    }
    app.telemetry.scraped(component, target.label(), scrape.outcome.as_ref());
    if *debug {
        return (TEXT, explanation(&request, &scrape)).into_response();
    }
    respond(&headers, |format| exposed(component, &scrape, format))
}

/// Whether only this host or authenticated clients can reach the relay.
fn is_protected(access: &WebAccess) -> bool {
    access.is_loopback_only() || access.authenticates()
}

async fn relay_request(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
    if app.relay.is_none() {
        let text = "not found: the relay is off; start the exporter with --relay.enabled\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    let Some(call) = Call::at(request.uri().path()) else { return relay::not_found() };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    // In a task of its own, so that the request is finished and logged even if the client disconnects.
    let relaying = tokio::spawn(async move {
        let start = Instant::now();
        let (parts, body) = request.into_parts();
        let relay = app.relay.as_ref()?;
        let passed = if !app.access.authenticates() && !relay::names_an_address(&parts.headers) {
            relay::foreign_host()
        } else if let Some(refused) = relay::another_instance(&parts.headers, relay.instance()) {
            refused
        } else {
            relay.pass(call, &parts.method, body, is_protected(&app.access)).await
        };
        app.telemetry.relayed(call, &passed, peer, start.elapsed());
        Some(passed.response)
    });
    let response = relaying.await.ok().flatten();
    response.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn exposed(component: Component, scrape: &Scrape, format: Format) -> String {
    exposition::targets(&[outcome(component, None, scrape)], format)
        + &exposition::probe(scrape.outcome.is_ok(), scrape.took, format)
        + exposition::end(format)
}

const TEXT: [(axum::http::HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];

/// The parameters of a probe.
struct ProbeRequest {
    name: String,
    module: ProbeModule,
    target: Target,
    debug: bool,
}

impl ProbeRequest {
    fn parse(query: &str, modules: &Modules) -> Result<Self, String> {
        let get = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let known = || {
            let mut names = modules.names();
            let last = names.pop().unwrap_or_default();
            format!("{} or {last}", names.join(", "))
        };
        let name = get("module").filter(|name| !name.is_empty()).ok_or_else(|| {
            format!(
                "the parameter module is missing: write /probe?module=jvb&target=host:8080, where module is {}",
                known()
            )
        })?;
        let module =
            modules.get(&name).ok_or_else(|| format!("module={name} is unknown: use {}", known()))?;
        let target = get("target")
            .ok_or("the parameter target is missing: write /probe?module=jvb&target=host:8080")?;
        let with_scheme = if module.tls && !target.is_empty() && !target.contains("://") {
            Cow::Owned(format!("https://{target}"))
        } else {
            Cow::Borrowed(&*target)
        };
        let target = Target::parse(&with_scheme, grammar(module.component, false))
            .map_err(|error| format!("target={target}: {error}"))?;
        Ok(Self { name: name.into_owned(), module, target, debug: get("debug").as_deref() == Some("true") })
    }
}

fn forbidden(target: &Target) -> Response {
    let text = format!(
        "{target} is outside the allowed networks: \
         start the exporter with --probe.allow=NETWORK or --probe.allow=.DOMAIN to allow it, or add it to `allow` of the module \
         (link-local addresses and clouds' metadata services are never probed)\n"
    );
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Prometheus' scrape timeout less [`TIMEOUT_OFFSET`], but at least half of it, and at most `most`.
fn timeout(headers: &HeaderMap, most: Duration) -> Duration {
    let header = headers.get("x-prometheus-scrape-timeout-seconds").and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.trim().parse::<f64>().ok()).filter(|seconds| *seconds > 0.0);
    let Some(requested) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
        return DEFAULT_TIMEOUT.min(most);
    };
    requested.saturating_sub(TIMEOUT_OFFSET).max(requested / 2).min(most)
}

/// The debug response: the requests, how each key was used, and the metrics of the probe.
fn explanation(request: &ProbeRequest, scrape: &Scrape) -> String {
    let component = request.module.component;
    let mut text = format!("probe of {} at {}, {:?}\n\n", request.name, request.target, scrape.took);
    for Request { url, answer, .. } in &scrape.requests {
        match answer {
            Ok(fetched) => {
                line(&mut text, format_args!("GET {url}: {}, {} bytes", fetched.status, fetched.body.len()));
                for (name, value) in &fetched.headers {
                    line(&mut text, format_args!("  {name}: {}", value.to_str().unwrap_or("(not text)")));
                }
            }
            Err(refusal) => line(&mut text, format_args!("GET {url}: {}", refusal.detail)),
        }
    }
    match &scrape.outcome {
        Ok(_) => text.push_str("\nup\n"),
        Err(refusal) => {
            let (reason, advice) = (refusal.reason.as_str(), component.advice(refusal.reason));
            line(&mut text, format_args!("\nnot up, reason {reason}: {advice}"));
        }
    }
    for Request { route, url, answer } in &scrape.requests {
        let Some(body) = answer.as_ref().ok().map(|fetched| &fetched.body).filter(|body| !body.is_empty())
        else {
            continue;
        };
        keys(&mut text, component, *route, url, body);
        line(&mut text, format_args!("\nbody of {url}:"));
        text.push_str(&String::from_utf8_lossy(&body[..body.len().min(SHOWN_BODY)]));
        text.push_str(if body.len() > SHOWN_BODY { "\n(truncated)\n" } else { "\n" });
    }
    text.push_str("\nmetrics:\n");
    text.push_str(&exposed(component, scrape, Format::Text004));
    text
}

fn keys(text: &mut String, component: Component, route: Route, url: &Url, body: &[u8]) {
    let fates = match route {
        Route::Statistics => component.explain(body),
        Route::Native => component.explain_native(body),
        Route::Health | Route::Drain => return,
    };
    let Ok(fates) = fates else { return };
    line(text, format_args!("\nkeys of {url}:"));
    for (key, fate) in fates {
        match fate {
            Fate::Exported(name) => line(text, format_args!("  {key}: {name}")),
            Fate::Nothing => line(text, format_args!("  {key}: no value was measured, no sample")),
            Fate::Unusable => line(text, format_args!("  {key}: unexpected type, no sample")),
            Fate::Silent => line(text, format_args!("  {key}: known, has no metric")),
            Fate::Unknown => line(text, format_args!("  {key}: unknown, exported as {component}_unknown")),
            Fate::Ignored => line(text, format_args!("  {key}: unknown and not a number, ignored")),
            Fate::Dropped => line(text, format_args!("  {key}: dropped, too many keys or too long")),
            Fate::NotUsed => line(text, format_args!("  {key}: not used")),
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(None, 10_000 ; "absent")]
    #[test_case(Some("10"), 9_500 ; "ten seconds")]
    #[test_case(Some("2.5"), 2_000 ; "a fraction")]
    #[test_case(Some("0.8"), 400 ; "too short for the offset")]
    #[test_case(Some("3600"), 60_000 ; "too long")]
    #[test_case(Some("0"), 10_000 ; "none")]
    #[test_case(Some("-1"), 10_000 ; "less than none")]
    #[test_case(Some("NaN"), 10_000 ; "no number")]
    #[test_case(Some("1e300"), 10_000 ; "no duration")]
    #[test_case(Some("soon"), 10_000 ; "a word")]
    fn timeout_of_a_scrape(header: Option<&'static str>, expected: u64) {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert("X-Prometheus-Scrape-Timeout-Seconds", value.parse().expect("a header value"));
        }
        assert_eq!(timeout(&headers, MAX_TIMEOUT), Duration::from_millis(expected));
        assert!(timeout(&headers, Duration::from_millis(1)) <= Duration::from_millis(1));
    }
}
