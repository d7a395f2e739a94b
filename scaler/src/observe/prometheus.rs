//! The query API of Prometheus and of everything that speaks it.
//!
//! Owns requests, authentication, and the reading of answers and errors. Deliberately knows neither groups nor
//! policies, and never turns a failure into a number.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::answer::{Envelope, understand};
use super::body::{self, Body, BodyError};
use super::metrics::{CHECK, Labelled, Metrics, QueryError, Size};
use super::rules::{RawRules, Rules};
use super::sigv4::Signer;
use super::together;
use crate::access::{self, ClientError};
use crate::config::{Auth, Prometheus};
use crate::units::{Period, Time};

/// The most bytes of an answer to a query: a thousand groups with windows of a hundred points need a tenth of it.
const LARGEST_ANSWER: usize = 64 << 20;
/// The most bytes of other answers. A rule takes about 400.
const LARGEST_LIST: usize = 16 << 20;
/// How many large answers are read at a time. The server works on several meanwhile; what is read takes tens of megabytes.
const LARGE_ANSWERS: usize = 1;
/// The answers to a POST of a proxy that allows only GET.
const POST_REFUSED: [StatusCode; 3] =
    [StatusCode::FORBIDDEN, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
/// For how long expressions are asked apart after a request with several of them failed.
const APART_FOR: Duration = Duration::from_hours(1);

/// A client for one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: access::Client,
    settings: Prometheus,
    signer: Option<Arc<Signer>>,
    /// The rules as the server last listed them: fleets that tick together ask once. The lock is held during the request.
    rules: Arc<Mutex<Option<RulesRead>>>,
    /// Whether the server has answered a GET after it refused a POST.
    gets: Arc<AtomicBool>,
    /// A permit for each large answer that is being read.
    large: Arc<Semaphore>,
    /// When expressions that were asked together last failed.
    apart: Arc<StdMutex<Option<Instant>>>,
}

/// When a server was asked for its rules, and its answer.
type RulesRead = (Instant, Option<Arc<Rules>>);

impl Client {
    /// A client for the server that `settings` name. Fails where the files of its TLS cannot be used.
    /// `clock` is the time since 1970, for signatures.
    pub fn new(settings: Prometheus, clock: fn() -> Duration) -> Result<Self, ClientError> {
        let timeout = settings.timeout;
        let builder = move || {
            reqwest::Client::builder()
                .timeout(timeout)
                // A redirected POST would become a GET without its query, and `headers` would go to any host.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("jitsi-scaler/", env!("CARGO_PKG_VERSION")))
        };
        let http = access::Client::new(builder, &settings.tls, "prometheus.tls")?;
        let signer = settings.sigv4.clone().map(|sigv4| Arc::new(Signer::new(sigv4, clock)));
        let large = Arc::new(Semaphore::new(LARGE_ANSWERS));
        let (rules, gets, apart) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Self { http, settings, signer, rules, gets, large, apart })
    }

    /// The address of the server, without credentials, for texts.
    #[must_use]
    pub fn address(&self) -> Url {
        without_credentials(self.settings.url.clone())
    }

    async fn ask(
        &self,
        endpoint: &str,
        expr: &str,
        moments: &[(&str, String)],
    ) -> Result<Vec<Labelled>, QueryError> {
        let timeout = self.settings.timeout.as_secs_f64();
        let mut form = vec![
            ("query", expr.to_owned()),
            ("timeout", format!("{timeout}s")),
            // Thanos: an error rather than a partial answer, and deduplicated replicas.
            ("partial_response", "false".to_owned()),
            ("dedup", "true".to_owned()),
            // VictoriaMetrics: an error rather than a partial answer.
            ("deny_partial_response", "1".to_owned()),
        ];
        form.extend_from_slice(moments);

        let answer = self.answer(self.endpoint(endpoint), expr, &form).await;
        answer.map_err(|error| self.explained(error))
    }

    /// Sends a form by the method that the server allows.
    async fn answer(
        &self,
        endpoint: Url,
        expr: &str,
        form: &[(&str, String)],
    ) -> Result<Vec<Labelled>, QueryError> {
        if !self.gets.load(Ordering::Relaxed) {
            let request = self.http.current().post(endpoint.clone()).form(form);
            let (status, Body { head, parsed }) =
                self.send::<Envelope>(request, expr, LARGEST_ANSWER).await?;
            if !POST_REFUSED.contains(&status) {
                return understand(expr, status, &head, parsed);
            }
        }
        let request = self.http.current().get(endpoint).query(form);
        let (status, Body { head, parsed }) = self.send::<Envelope>(request, expr, LARGEST_ANSWER).await?;
        // A server that refuses both methods refuses for another reason, such as credentials.
        self.gets.store(!POST_REFUSED.contains(&status), Ordering::Relaxed);
        understand(expr, status, &head, parsed)
    }

    /// An error with the remedy that follows from what was sent.
    fn explained(&self, mut error: QueryError) -> QueryError {
        let QueryError::Foreign { status, body, remedy, .. } = &mut error else { return error };
        let Prometheus { auth, sigv4, headers, url, .. } = &self.settings;
        let is_anonymous = sigv4.is_none() && headers.is_empty() && url.password().is_none();
        match (*status, auth) {
            (400, _) if body.contains("HTTP request to an HTTPS server") => {
                *remedy = "it speaks https; write https:// in prometheus.url";
            }
            (401, Auth::Basic { .. }) => {
                *remedy = "it refuses the user and the password that were sent; check prometheus.basic_auth";
            }
            (401, Auth::Bearer { .. }) => {
                *remedy = "it refuses the token that was sent; check prometheus.bearer_token_file";
            }
            (401, Auth::None) if is_anonymous => {
                *remedy = "no credentials were sent; write prometheus.basic_auth or bearer_token_file";
            }
            (401, Auth::None) => {
                *remedy =
                    "it refuses the credentials that were sent; check prometheus.url, headers and sigv4";
            }
            _ => {}
        }
        error
    }

    /// Asks several expressions in one request. If that fails because of what was asked, such as one of them alone, they are
    /// asked apart, so that one that fails takes no data from another; and so they are for [`APART_FOR`], because the next
    /// answer would be late again.
    async fn together(
        &self,
        endpoint: &str,
        exprs: &[&str],
        moments: &[(&str, String)],
    ) -> Vec<Result<Vec<Labelled>, QueryError>> {
        let is_apart = {
            let apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
            apart.is_some_and(|since| since.elapsed() < APART_FOR)
        };
        if exprs.len() > 1 && !is_apart {
            match self.ask(endpoint, &together::merged(exprs), moments).await {
                Ok(answer) => {
                    if let Some(parts) = together::split(answer, exprs.len()) {
                        return parts.into_iter().map(Ok).collect();
                    }
                }
                Err(error @ (QueryError::Unreachable { .. } | QueryError::Redirected { .. })) => {
                    return vec![Err(error); exprs.len()];
                }
                Err(_) => {}
            }
            *self.apart.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        join_all(exprs.iter().map(|expr| self.ask(endpoint, expr, moments))).await
    }

    fn endpoint(&self, endpoint: &str) -> Url {
        let mut url = self.settings.url.clone();
        let path = format!("{}/api/v1/{endpoint}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// Sends a request with its credentials. `asked` names it in error texts, and `most` is how many bytes are read.
    async fn send<T: DeserializeOwned + Send + 'static>(
        &self,
        mut request: reqwest::RequestBuilder,
        asked: &str,
        most: usize,
    ) -> Result<(StatusCode, Body<T>), QueryError> {
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        request = access::authorize(request, &self.settings.auth)?;
        let mut request = request.build().map_err(|source| self.failed(source))?;
        if let Some(signer) = &self.signer {
            signer.sign(&mut request).await?;
        }

        let mut response =
            self.http.current().execute(request).await.map_err(|source| self.failed(source))?;
        let status = response.status();
        if let Some(target) = redirected_to(&response) {
            let (url, target) = (Box::new(self.address()), Box::new(target));
            return Err(QueryError::Redirected { url, status: status.as_u16(), target });
        }
        let body = body::read(&mut response, most, &self.large).await;
        body.map(|body| (status, body)).map_err(|error| match error {
            BodyError::TooLarge => QueryError::TooLarge { expr: asked.to_owned(), size: Size::Bytes(most) },
            BodyError::Failed(source) => self.failed(source),
        })
    }

    /// The server's own clock, in seconds since 1970.
    pub async fn clock(&self) -> Result<f64, QueryError> {
        // Without a time the query is evaluated at the server's present.
        let answer = self.ask("query", "time()", &[]).await?;
        let expr = || "time()".to_owned();
        let foreign =
            || QueryError::Foreign { expr: expr(), status: 200, body: String::new(), remedy: CHECK };
        answer.first().and_then(Labelled::last).ok_or_else(foreign)
    }

    /// How long the server keeps samples; `None` if it does not say, as Thanos and Mimir do not.
    pub async fn retention(&self) -> Result<Option<Duration>, QueryError> {
        #[derive(Deserialize)]
        struct Runtime {
            #[serde(rename = "storageRetention")]
            storage_retention: Option<String>,
        }
        let runtime: Option<Runtime> = self.look_up("status/runtimeinfo").await?;
        // Written as "15d", "10GiB" or "15d or 10GiB".
        let text = runtime.and_then(|runtime| runtime.storage_retention).unwrap_or_default();
        Ok(text.split(" or ").find_map(parse_duration))
    }

    /// Reads a part of the API that not every server has; `None` if this one answers with something else.
    async fn look_up<T: DeserializeOwned + Send + 'static>(
        &self,
        endpoint: &str,
    ) -> Result<Option<T>, QueryError> {
        #[derive(Deserialize)]
        struct Answer<T> {
            data: T,
        }
        let request = self.http.current().get(self.endpoint(endpoint));
        let (status, body) = self.send::<Answer<T>>(request, endpoint, LARGEST_LIST).await?;
        Ok(body.parsed.filter(|_| status == StatusCode::OK).map(|answer| answer.data))
    }

    fn failed(&self, source: reqwest::Error) -> QueryError {
        if source.is_timeout() {
            QueryError::Timeout(self.settings.timeout.as_secs_f64())
        } else {
            QueryError::Unreachable { url: Box::new(self.address()), source: Arc::new(source.without_url()) }
        }
    }
}

fn without_credentials(mut url: Url) -> Url {
    // Only addresses that cannot carry credentials refuse this.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}

/// Where a redirect leads, without the query, which may be long or hold a token of a login.
fn redirected_to(response: &reqwest::Response) -> Option<Url> {
    let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    let mut target = without_credentials(response.url().join(location.to_str().ok()?).ok()?);
    target.set_query(None);
    target.set_fragment(None);
    Some(target)
}

/// The moments of a range as parameters.
fn range(start: Time, end: Time, step: Period) -> [(&'static str, String); 3] {
    [
        ("start", start.unix().to_string()),
        ("end", end.unix().to_string()),
        ("step", step.seconds().to_string()),
    ]
}

/// A duration as Prometheus writes it, such as `15d` or `1y2w`.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at(letters);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        let part = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?);
        sum = sum.checked_add(part)?;
        rest = after;
    }
    (!sum.is_zero()).then_some(sum)
}

impl Metrics for Client {
    async fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> Result<Vec<Labelled>, QueryError> {
        self.ask("query_range", expr, &range(start, end, step)).await
    }

    async fn ranges(
        &self,
        exprs: &[&str],
        start: Time,
        end: Time,
        step: Period,
    ) -> Vec<Result<Vec<Labelled>, QueryError>> {
        self.together("query_range", exprs, &range(start, end, step)).await
    }

    async fn rules(&self, max_age: Duration) -> Option<Arc<Rules>> {
        let mut known = self.rules.lock().await;
        if let Some((at, rules)) = &*known
            && at.elapsed() < max_age
        {
            return rules.clone();
        }
        // A server that cannot list its rules now is treated as one that never does: its queries fail by themselves.
        let raw: Option<RawRules> = self.look_up("rules").await.ok().flatten();
        let rules = raw.map(|raw| Arc::new(Rules::from(raw)));
        *known = Some((Instant::now(), rules.clone()));
        rules
    }

    async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
        self.ask("query", expr, &[("time", at.unix().to_string())]).await
    }

    async fn instants(&self, exprs: &[&str], at: Time) -> Result<Vec<Vec<Labelled>>, QueryError> {
        self.together("query", exprs, &[("time", at.unix().to_string())]).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
