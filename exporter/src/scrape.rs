//! From a target and a deadline to what its component says: a request for its statistics, and where
//! these are switched off or lack something, those for its own metrics, its health and its drain mode.
//! Requests for the same URL that are under way at the same time are one. Nothing is kept between
//! scrapes but idle connections.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, OptionFuture, Shared, WeakShared, join, join_all};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::allow::AllowList;
use crate::client::refusal;
use crate::component::{Component, Refusal, Route};
use crate::door::{Door, Knock};
use crate::native::Mode;
use crate::reason::Reason;
use crate::table::Reading;
use crate::target::Target;

/// The largest body that is read. Statistics have 2 to 20 KiB.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// Room that a body has from the start, if it is to be as long.
const USUAL_BODY: usize = 32 * 1024;

/// What is asked for: a bridge without an explicit Accept fails or chooses at random.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain;version=0.0.4");

/// What is read beside the statistics, and into what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// When a component's own metrics are read.
    pub native: Mode,
    /// Whether there are samples under the names of another exporter too.
    pub compat: bool,
}

/// Whether a target comes from the operator or from a request.
#[derive(Clone, Debug)]
pub enum Access {
    /// From a flag: any address.
    Trusted,
    /// From a request: only addresses that the allow-list permits.
    Guarded,
    /// From a request that names a module of the operator's: the same, with its credentials.
    Module(Arc<Door>),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; empty unless the status is 200.
    pub body: Vec<u8>,
}

/// What came of a target.
#[derive(Debug)]
pub struct Scrape {
    /// What was read.
    pub outcome: Result<Reading, Refusal>,
    /// What was asked for.
    pub requests: Vec<Request>,
    /// How long it took.
    pub took: Duration,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What it was for.
    pub route: Route,
    /// Where it went.
    pub url: Arc<Url>,
    /// The answer, or why there was none.
    pub answer: Result<Arc<Fetched>, Refusal>,
}

/// Fetches and reads.
#[derive(Debug)]
pub struct Scraper {
    trusted: Arc<Door>,
    guarded: Arc<Door>,
    allow: Arc<AllowList>,
    options: Options,
    flights: Mutex<HashMap<Key, Flight>>,
}

/// A door, by its id, and what is asked for through it.
type Key = (u64, Arc<Url>);

type Answer = Shared<BoxFuture<'static, Result<Arc<Fetched>, Refusal>>>;

/// A request under way, for whoever wants the same.
type Flight = WeakShared<BoxFuture<'static, Result<Arc<Fetched>, Refusal>>>;

impl Scraper {
    /// A scraper that lets requests reach what `allow` permits.
    pub fn new(allow: impl Into<Arc<AllowList>>, options: Options) -> Result<Self, reqwest::Error> {
        let allow = allow.into();
        Ok(Self {
            trusted: Arc::new(Door::plain(None)?),
            guarded: Arc::new(Door::plain(Some(allow.clone()))?),
            allow,
            options,
            flights: Mutex::default(),
        })
    }

    /// Whether a target that comes from a request may be reached, as far as its text tells. A name
    /// is checked when it is resolved.
    #[must_use]
    pub fn may_reach(&self, target: &Target) -> bool {
        let permits = |ip: IpAddr| self.allow.permits(target.host_text(), ip);
        match target.host() {
            Some(Host::Ipv4(ip)) => permits(ip.into()),
            Some(Host::Ipv6(ip)) => permits(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }

    /// Scrapes `target`, at the latest until `deadline`.
    pub async fn scrape(
        &self,
        component: Component,
        target: &Target,
        access: Access,
        deadline: Instant,
    ) -> Scrape {
        let start = Instant::now();
        let door = match &access {
            Access::Trusted => &self.trusted,
            Access::Guarded => &self.guarded,
            Access::Module(door) => door,
        };
        let of = Asking { scraper: self, component, target, door };
        // What only completes the statistics leaves time for these to be answered.
        let sooner = start + (deadline - start) / 2;
        let beside = self.reads_natives_of(component).then(|| of.ask(Route::Native, sooner));
        let (statistics, mut native) =
            join(of.ask(Route::Statistics, deadline), OptionFuture::from(beside)).await;
        let mut outcome =
            statistics.understood(|fetched| component.read_with(&fetched.body, self.options.compat));
        let refusal = outcome.as_ref().err().filter(|_| self.options.native != Mode::Off);
        let off = refusal.filter(|refusal| component.is_switched_off(refusal.reason)).cloned();
        if off.is_some() && native.is_none() {
            native = Some(of.ask(Route::Native, deadline).await);
        }
        let read_native =
            |native: &Request| native.understood(|fetched| component.read_native(&fetched.body));
        let mut completing: &[Route] = &[Route::Health];
        match (off, native.as_ref().map(read_native), &mut outcome) {
            (Some(off), Some(native), _) => {
                outcome = native.map_err(|native| instead(&off, native));
                completing = &[Route::Health, Route::Drain];
            }
            (_, Some(Ok(native)), Ok(reading)) => reading.fill(native),
            _ => {}
        }
        let mut requests = vec![statistics];
        requests.extend(native);
        if let Ok(reading) = &mut outcome {
            requests.extend(of.complete(reading, completing, deadline).await);
        }
        Scrape { outcome, requests, took: start.elapsed() }
    }

    /// Whether a component's own metrics are read beside its statistics.
    fn reads_natives_of(&self, component: Component) -> bool {
        match self.options.native {
            Mode::Auto => component != Component::Jvb,
            Mode::Always => true,
            Mode::Off => false,
        }
    }

    async fn get(
        &self,
        door: &Door,
        url: &Arc<Url>,
        accept: HeaderValue,
        deadline: Instant,
    ) -> Result<Arc<Fetched>, Refusal> {
        let _shared = Sharing { scraper: self, key: Some((door.id(), url.clone())) };
        let answer = self.join(door, url, accept);
        let result = timeout_at(deadline, answer).await;
        result.unwrap_or_else(|_| Err(Reason::Timeout.into()))
    }

    /// The request for `url` that is under way, or a new one. It goes on as long as somebody waits for it.
    fn join(&self, door: &Door, url: &Arc<Url>, accept: HeaderValue) -> Answer {
        let mut flights = self.flights();
        let flight = flights.entry((door.id(), url.clone()));
        if let Entry::Occupied(flight) = &flight
            && let Some(answer) = under_way(flight.get())
        {
            return answer;
        }
        let answer = fetch(door.knock(url), url.clone(), accept).boxed().shared();
        if let Some(weak) = answer.downgrade() {
            flight.insert_entry(weak);
        }
        answer
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of a request that is neither answered nor given up.
fn under_way(flight: &Flight) -> Option<Answer> {
    flight.upgrade().filter(|answer| answer.peek().is_none())
}

/// Ends the sharing of a request that is answered, or that nobody waits for.
struct Sharing<'s> {
    scraper: &'s Scraper,
    key: Option<Key>,
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        if let Entry::Occupied(flight) = self.scraper.flights().entry(key)
            && under_way(flight.get()).is_none()
        {
            flight.remove();
        }
    }
}

/// Who is asked.
#[derive(Clone, Copy)]
struct Asking<'a> {
    scraper: &'a Scraper,
    component: Component,
    target: &'a Target,
    door: &'a Door,
}

impl Asking<'_> {
    async fn ask(self, route: Route, deadline: Instant) -> Request {
        let url = self.target.url(self.component.path(route).unwrap_or_default());
        let accept = if route == Route::Native { METRICS } else { JSON };
        let answer = self.scraper.get(self.door, &url, accept, deadline).await;
        Request { route, url, answer }
    }

    /// Asks those of the routes that can complete the reading, side by side.
    async fn complete(self, reading: &mut Reading, routes: &[Route], deadline: Instant) -> Vec<Request> {
        let lacking = routes.iter().filter(|route| self.component.lacks(**route, reading));
        let requests = join_all(lacking.map(|route| self.ask(*route, deadline))).await;
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
    fn understood(
        &self,
        read: impl FnOnce(&Fetched) -> Result<Reading, Refusal>,
    ) -> Result<Reading, Refusal> {
        let fetched = self.answer.as_ref().map_err(Clone::clone)?;
        accept(fetched)?;
        read(fetched)
    }
}

/// Why neither the statistics, which are switched off, nor the metrics could be read: whose metrics
/// they are tells more, all else is said beside.
fn instead(off: &Refusal, native: Refusal) -> Refusal {
    if matches!(native.reason, Reason::ForeignJicofo | Reason::ForeignJibri) {
        return native;
    }
    let beside = format!("/metrics: {} {}", native.reason.as_str(), native.detail);
    let detail: Vec<&str> =
        [off.detail.as_str(), beside.trim_end()].into_iter().filter(|part| !part.is_empty()).collect();
    Refusal { reason: off.reason, detail: detail.join("; ") }
}

async fn fetch(
    knock: Result<Knock, Refusal>,
    url: Arc<Url>,
    accept: HeaderValue,
) -> Result<Arc<Fetched>, Refusal> {
    let request = knock?.get(Url::clone(&url)).header(ACCEPT, accept);
    let mut response = request.send().await.map_err(|error| refusal(&error))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    if status == StatusCode::OK {
        let too_large = || Refusal::from(Reason::TooLarge);
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_BODY as u64 {
            return Err(too_large());
        }
        // What is announced may never come.
        body.reserve_exact(usize::try_from(announced).unwrap_or_default().min(USUAL_BODY));
        while let Some(chunk) = response.chunk().await.map_err(|error| refusal(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
    }
    Ok(Arc::new(Fetched { status, headers, body }))
}

/// Whether the answer has statistics at all.
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

/// What the status of a health route says. Where the route is off there is nothing to say.
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
    fn what_is_read_instead_is_told_beside(off: &str, native: &str, expected: &str) {
        let refusal = |detail: &str| Refusal { reason: Reason::NotFound, detail: detail.to_owned() };
        assert_eq!(instead(&refusal(off), refusal(native)).detail, expected);
    }
}
