//! Scrapes a target within a deadline: requests its statistics and, where these are switched off or incomplete, its own
//! metrics, its health and its drain mode. Concurrent requests for the same URL share one fetch. Only idle connections are
//! kept between scrapes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, OptionFuture, Shared, WeakShared, join, join_all};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::access::Access;
use crate::allow::AllowList;
use crate::client::refusal;
use crate::component::{Component, Refusal, Route};
use crate::native::Mode;
use crate::reason::Reason;
use crate::table::Reading;
use crate::target::Target;

/// The largest body that is read, in bytes. Statistics have 2 to 20 KiB, the metrics of a Jicofo with a thousand bridges
/// half a mebibyte.
pub const MAX_BODY: usize = 1024 * 1024;

/// The most that is reserved for a body before it arrives, in bytes.
const USUAL_BODY: usize = 32 * 1024;

/// A body above this many bytes needs one of [`LARGE_BODIES`] places.
const LARGE_BODY: usize = 64 * 1024;

/// How many large bodies are in memory at once; further ones wait. A body may take twice its size while it grows, so
/// these take 8 MiB.
const LARGE_BODIES: usize = 4;

// Values of `Accept`. Without one, a bridge fails or chooses a format at random.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain;version=0.0.4");

/// What a scrape reads in addition to the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// When to read a component's own metrics.
    pub native: Mode,
    /// Whether to add samples with the names of the systemli exporter.
    pub compat: bool,
}

/// Where a target comes from, which decides the addresses that may be reached.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A flag of the operator: any address.
    Trusted,
    /// A probe: only addresses that the allow list permits.
    Guarded,
    /// A probe that names a module of the configuration file: the same addresses, with the module's credentials.
    Module(Arc<Access>),
}

/// A response.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; empty unless the status is 200.
    pub body: Vec<u8>,
    /// The place of a large body, until the last clone is dropped.
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

/// The result of scraping a target.
#[derive(Debug)]
pub struct Scrape {
    /// The samples, or why there are none.
    pub outcome: Result<Reading, Refusal>,
    /// The requests that were made.
    pub requests: Vec<Request>,
    /// The duration of the scrape.
    pub took: Duration,
}

/// A request and its answer.
#[derive(Debug)]
pub struct Request {
    /// What was requested.
    pub route: Route,
    /// The address that was requested.
    pub url: Arc<Url>,
    /// The response, or why there is none.
    pub answer: Result<Arc<Fetched>, Refusal>,
}

/// Fetches and reads statistics.
#[derive(Debug)]
pub struct Scraper {
    trusted: Arc<Access>,
    guarded: Arc<Access>,
    options: Options,
    flights: Mutex<HashMap<Key, Flight>>,
    large: Arc<Semaphore>,
}

/// The id of an access, and the URL that is requested with it.
type Key = (u64, Arc<Url>);

type Answer = Shared<BoxFuture<'static, Result<Arc<Fetched>, Refusal>>>;

/// A request in progress that others can join.
type Flight = WeakShared<BoxFuture<'static, Result<Arc<Fetched>, Refusal>>>;

impl Scraper {
    /// A scraper whose probes can reach the addresses that `allow` permits.
    /// Fails if no HTTP client can be created.
    pub fn new(allow: impl Into<Arc<AllowList>>, options: Options) -> Result<Self, reqwest::Error> {
        Ok(Self {
            trusted: Arc::new(Access::anonymous(None)?),
            guarded: Arc::new(Access::anonymous(Some(allow.into()))?),
            options,
            flights: Mutex::default(),
            large: Arc::new(Semaphore::new(LARGE_BODIES)),
        })
    }

    /// Whether a probe of this origin may reach the address in `target`. A host name is accepted here and checked when it is
    /// resolved.
    #[must_use]
    pub fn may_reach(&self, target: &Target, origin: &Origin) -> bool {
        self.access(origin).may_reach(target)
    }

    fn access<'a>(&'a self, origin: &'a Origin) -> &'a Access {
        match origin {
            Origin::Trusted => &self.trusted,
            Origin::Guarded => &self.guarded,
            Origin::Module(access) => access,
        }
    }

    /// Scrapes `target` and returns before `deadline`. A failure is part of the result.
    pub async fn scrape(
        &self,
        component: Component,
        target: &Target,
        origin: Origin,
        deadline: Instant,
    ) -> Scrape {
        let start = Instant::now();
        let access = self.access(&origin);
        let fetcher = Fetcher { scraper: self, component, target, access };
        // Metrics that only add to the statistics get half of the time, so that a slow `/metrics` does not fail the scrape.
        let half_time = start + (deadline - start) / 2;
        let native = self.reads_natives_of(component).then(|| fetcher.fetch(Route::Native, half_time));
        let (statistics, mut native) =
            join(fetcher.fetch(Route::Statistics, deadline), OptionFuture::from(native)).await;
        let mut outcome = statistics.read(|fetched| component.read_with(&fetched.body, self.options.compat));
        let refusal = outcome.as_ref().err().filter(|_| self.options.native != Mode::Off);
        let off = refusal.filter(|refusal| component.is_switched_off(refusal.reason)).cloned();
        if off.is_some() && native.is_none() {
            native = Some(fetcher.fetch(Route::Native, deadline).await);
        }
        let read_native = |native: &Request| native.read(|fetched| component.read_native(&fetched.body));
        let mut completing: &[Route] = &[Route::Health];
        match (off, native.as_ref().map(read_native), &mut outcome) {
            (Some(off), Some(native), _) => {
                outcome = native.map_err(|native| both_failed(&off, native));
                completing = &[Route::Health, Route::Drain];
            }
            (_, Some(Ok(native)), Ok(reading)) => reading.add_missing(native),
            _ => {}
        }
        let mut requests = vec![statistics];
        requests.extend(native);
        if let Ok(reading) = &mut outcome {
            requests.extend(fetcher.complete(reading, completing, deadline).await);
        }
        Scrape { outcome, requests, took: start.elapsed() }
    }

    /// Whether a component's own metrics are read together with its statistics.
    fn reads_natives_of(&self, component: Component) -> bool {
        match self.options.native {
            Mode::Auto => component != Component::Jvb,
            Mode::Always => true,
            Mode::Off => false,
        }
    }

    async fn get(
        &self,
        access: &Access,
        url: &Arc<Url>,
        accept: HeaderValue,
        deadline: Instant,
    ) -> Result<Arc<Fetched>, Refusal> {
        let _shared = Sharing { scraper: self, key: Some((access.id(), url.clone())) };
        let answer = self.join(access, url, accept);
        let result = timeout_at(deadline, answer).await;
        result.unwrap_or_else(|_| Err(Reason::Timeout.into()))
    }

    /// Joins the request for `url` that is in progress, or starts one. It runs as long as a scrape waits for it.
    fn join(&self, access: &Access, url: &Arc<Url>, accept: HeaderValue) -> Answer {
        let mut flights = self.flights();
        let flight = flights.entry((access.id(), url.clone()));
        if let Entry::Occupied(flight) = &flight
            && let Some(answer) = in_progress(flight.get())
        {
            return answer;
        }
        let answer = fetch(access.get(url), accept, self.large.clone()).boxed().shared();
        if let Some(weak) = answer.downgrade() {
            flight.insert_entry(weak);
        }
        answer
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of a request that is neither finished nor cancelled.
fn in_progress(flight: &Flight) -> Option<Answer> {
    flight.upgrade().filter(|answer| answer.peek().is_none())
}

/// Removes a request from the shared ones when it is finished, or when no scrape waits for it any more.
struct Sharing<'s> {
    scraper: &'s Scraper,
    key: Option<Key>,
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        if let Entry::Occupied(flight) = self.scraper.flights().entry(key)
            && in_progress(flight.get()).is_none()
        {
            flight.remove();
        }
    }
}

/// Requests routes of one target.
#[derive(Clone, Copy)]
struct Fetcher<'a> {
    scraper: &'a Scraper,
    component: Component,
    target: &'a Target,
    access: &'a Access,
}

impl Fetcher<'_> {
    async fn fetch(self, route: Route, deadline: Instant) -> Request {
        let url = self.target.url(self.component.path(route).unwrap_or_default());
        let accept = if route == Route::Native { METRICS } else { JSON };
        let answer = self.scraper.get(self.access, &url, accept, deadline).await;
        Request { route, url, answer }
    }

    /// Requests those of `routes` that the reading lacks, concurrently, and adds their samples.
    async fn complete(self, reading: &mut Reading, routes: &[Route], deadline: Instant) -> Vec<Request> {
        let lacking = routes.iter().filter(|route| self.component.lacks(**route, reading));
        let requests = join_all(lacking.map(|route| self.fetch(*route, deadline))).await;
        for request in &requests {
            let Ok(fetched) = &request.answer else { continue };
            let sample = match request.route {
                Route::Health => health(fetched.status).map(|healthy| self.component.healthy(healthy)),
                Route::Drain => self.component.drain(&fetched.body),
                Route::Statistics | Route::Native => None,
            };
            if let Some(sample) = sample {
                reading.add(sample);
            }
        }
        requests
    }
}

impl Request {
    fn read(&self, read: impl FnOnce(&Fetched) -> Result<Reading, Refusal>) -> Result<Reading, Refusal> {
        let fetched = self.answer.as_ref().map_err(Clone::clone)?;
        accept(fetched)?;
        read(fetched)
    }
}

/// The refusal if the statistics are switched off and the component's own metrics are no substitute. Metrics of another
/// component explain more than the missing statistics; otherwise the detail names both reasons.
fn both_failed(off: &Refusal, native: Refusal) -> Refusal {
    if matches!(native.reason, Reason::ForeignJicofo | Reason::ForeignJibri) {
        return native;
    }
    let metrics = format!("/metrics: {} {}", native.reason.as_str(), native.detail);
    let detail: Vec<&str> =
        [off.detail.as_str(), metrics.trim_end()].into_iter().filter(|part| !part.is_empty()).collect();
    Refusal { reason: off.reason, detail: detail.join("; ") }
}

async fn fetch(
    request: Result<RequestBuilder, Refusal>,
    accept: HeaderValue,
    large: Arc<Semaphore>,
) -> Result<Arc<Fetched>, Refusal> {
    let mut response = request?.header(ACCEPT, accept).send().await.map_err(|error| refusal(&error))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let (mut body, mut place) = (Vec::new(), None);
    if status == StatusCode::OK {
        let too_large = || Refusal::from(Reason::TooLarge);
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_BODY as u64 {
            return Err(too_large());
        }
        // The announced length may be wrong, so the reservation is bounded.
        body.reserve_exact(usize::try_from(announced).unwrap_or_default().min(USUAL_BODY));
        while let Some(chunk) = response.chunk().await.map_err(|error| refusal(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            if body.len() + chunk.len() > LARGE_BODY && place.is_none() {
                // The semaphore is never closed, and the deadline of the scrape ends the wait.
                place = large.clone().acquire_owned().await.ok().map(Arc::new);
            }
            body.extend_from_slice(&chunk);
        }
    }
    Ok(Arc::new(Fetched { status, headers, body, _place: place }))
}

/// Checks that the status is 200.
fn accept(fetched: &Fetched) -> Result<(), Refusal> {
    let status = fetched.status;
    let reason = match status {
        StatusCode::OK => return Ok(()),
        StatusCode::NOT_FOUND => Reason::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reason::Unauthorized,
        status if status.is_redirection() => Reason::Redirect,
        _ => Reason::Status,
    };
    let kind =
        fetched.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
    Err(Refusal { reason, detail: format!("status {status}, {kind}") })
}

/// Health according to the status of a health route; `None` if the route does not exist.
fn health(status: StatusCode) -> Option<bool> {
    match status {
        StatusCode::OK => Some(true),
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::SERVICE_UNAVAILABLE => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("status 404", "status 404", "status 404; /metrics: not_found status 404" ; "both say something")]
    #[test_case("", "", "/metrics: not_found" ; "neither does")]
    fn a_failed_substitute_is_named_in_the_detail(off: &str, native: &str, expected: &str) {
        let refusal = |detail: &str| Refusal { reason: Reason::NotFound, detail: detail.to_owned() };
        assert_eq!(both_failed(&refusal(off), refusal(native)).detail, expected);
    }
}
