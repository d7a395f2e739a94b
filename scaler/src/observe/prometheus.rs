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
use super::metrics::{Labelled, Metrics, QueryError, Size};
use super::rules::{RawRules, Rules};
use super::sigv4::Signer;
use super::together;
use crate::access::{self, ClientError};
use crate::config::Prometheus;
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

        let endpoint = self.endpoint(endpoint);
        if !self.gets.load(Ordering::Relaxed) {
            let request = self.http.current().post(endpoint.clone()).form(&form);
            let (status, Body { head, parsed }) =
                self.send::<Envelope>(request, expr, LARGEST_ANSWER).await?;
            if !POST_REFUSED.contains(&status) {
                return understand(expr, status, &head, parsed);
            }
        }
        let request = self.http.current().get(endpoint).query(&form);
        let (status, Body { head, parsed }) = self.send::<Envelope>(request, expr, LARGEST_ANSWER).await?;
        // A server that refuses both methods refuses for another reason, such as credentials.
        self.gets.store(!POST_REFUSED.contains(&status), Ordering::Relaxed);
        understand(expr, status, &head, parsed)
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
        let foreign = || QueryError::Foreign { expr: "time()".to_owned(), status: 200, body: String::new() };
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
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use test_case::test_case;
    use tokio::net::TcpListener;

    use super::super::answer::QUOTED;
    use super::super::rules::Trouble;
    use super::super::sigv4::SignError;
    use super::*;
    use crate::access::SecretError;
    use crate::access::answering::{self, Requests, http};
    use crate::config::sample::{self, GROUPS, OUT};

    /// Some error of the HTTP client.
    fn failure() -> reqwest::Error {
        reqwest::Client::new().get("nowhere").build().expect_err("no address")
    }

    fn messages<E: std::error::Error>(errors: &[E]) -> String {
        errors.iter().map(|error| format!("failed to {}\n", crate::telemetry::chain(error))).collect()
    }

    #[test]
    fn every_failed_query_has_a_message() {
        let expr = || "asg:jvb_stress:avg".to_owned();
        let absent = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let errors = [
            QueryError::Unreachable {
                url: Box::new("http://127.0.0.1:9090".parse().expect("an address")),
                source: Arc::new(failure()),
            },
            QueryError::Timeout(10.0),
            QueryError::Refused {
                expr: expr(),
                kind: "execution".to_owned(),
                message: "too much".to_owned(),
            },
            QueryError::Foreign { expr: expr(), status: 401, body: "no org id".to_owned() },
            QueryError::Redirected {
                url: Box::new("http://127.0.0.1:9090".parse().expect("an address")),
                status: 301,
                target: Box::new("https://127.0.0.1/".parse().expect("an address")),
            },
            QueryError::Partial { expr: expr(), warnings: "a store is down".to_owned() },
            QueryError::TooLarge { expr: expr(), size: Size::Bytes(LARGEST_ANSWER) },
            QueryError::TooLarge { expr: expr(), size: Size::Series(700_000) },
            QueryError::Rule { name: expr(), trouble: Trouble::Fails("many-to-many".to_owned()) },
            QueryError::Rule { name: expr(), trouble: Trouble::Unknown },
            QueryError::Sign(SignError::Credentials("no source".to_owned())),
            QueryError::Secret(SecretError { path: "/etc/token".into(), source: Arc::new(absent()) }),
        ];
        insta::assert_snapshot!(messages(&errors), @r#"
        failed to reach prometheus at http://127.0.0.1:9090/; check prometheus.url and that it runs: builder error: relative URL without a base
        failed to get an answer from prometheus within 10 s; raise prometheus.timeout or simplify the expression
        failed to evaluate `asg:jvb_stress:avg`: prometheus says execution: too much
        failed to understand the answer to `asg:jvb_stress:avg`: HTTP 401, "no org id"; check prometheus.url and its authentication
        failed to query prometheus at http://127.0.0.1:9090/: HTTP 301 redirects to https://127.0.0.1/; set prometheus.url to the final address, because queries do not follow redirects
        failed to accept a partial answer to `asg:jvb_stress:avg`: a store is down
        failed to read the answer to `asg:jvb_stress:avg`: it has more than 64 MiB; aggregate it by group, or select the fleet's own series with a matcher
        failed to read the answer to `asg:jvb_stress:avg`: it has 700000 series, and at most 100000 are read; aggregate it by group, or select the fleet's own series with a matcher
        failed to trust `asg:jvb_stress:avg`, which prometheus has a rule for: its evaluation fails: many-to-many; see Status → Rule health
        failed to trust `asg:jvb_stress:avg`, which prometheus has a rule for: it has not been evaluated yet; see Status → Rule health
        failed to find AWS credentials for prometheus.sigv4: no source
        failed to read the secret in /etc/token: entity not found
        "#);
    }

    #[test]
    fn every_unusable_client_has_a_message() {
        let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
        let errors = [
            ClientError::Read { key: "prometheus.tls", path: "/etc/ssl/ca.pem".into(), source: absent },
            ClientError::Unusable {
                key: "prometheus.tls",
                path: "/etc/ssl/ca.pem".into(),
                source: failure(),
            },
            ClientError::Build(failure()),
        ];
        insta::assert_snapshot!(messages(&errors), @"
        failed to read /etc/ssl/ca.pem, named in prometheus.tls: entity not found
        failed to use /etc/ssl/ca.pem, named in prometheus.tls; it must hold PEM: builder error: relative URL without a base
        failed to set up TLS; a system that trusts no authority needs its package ca-certificates: builder error: relative URL without a base
        ");
    }

    #[test_case("15d", Some(15 * 24); "the default")]
    #[test_case("1w2d3h", Some(9 * 24 + 3); "several units")]
    #[test_case("10GiB", None; "a size")]
    #[test_case("", None; "nothing")]
    fn retention_is_written_in_prometheus_words(text: &str, hours: Option<u64>) {
        assert_eq!(parse_duration(text), hours.map(Duration::from_hours));
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn a_duration_is_the_sum_of_its_parts(parts in vec((any::<u64>(), 0..7usize), 1..2000)) {
            const UNITS: [(&str, u128); 7] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
                ("w", 604_800_000), ("y", 31_536_000_000)];
            let text: String = parts.iter().map(|(number, unit)| format!("{number}{}", UNITS[*unit].0)).collect();
            let sum: u128 = parts.iter().map(|(number, unit)| u128::from(*number) * UNITS[*unit].1).sum();
            if let Some(read) = parse_duration(&text) {
                prop_assert_eq!(read.as_millis(), sum);
            }
        }

        #[test]
        fn another_text_is_a_duration_or_none(text in jitsi_inputs::mutated_text(vec!["1y2w3d4h5m6s7ms", "15d", "10GiB"])) {
            let _any = parse_duration(&text);
        }
    }

    #[test]
    fn no_sum_of_parts_overflows() {
        assert_eq!(parse_duration(&"18446744073709551615ms".repeat(2000)), None);
    }

    /// A client of a server that gives these answers, and the requests that it makes.
    async fn server(answers: Vec<String>) -> (Client, Requests) {
        // The parameter is the last but one, and comes with the head or after it.
        let (address, asked) = answering::server(answers, "deny_partial_response=1").await;
        let mut settings =
            sample::config(GROUPS, &format!("expr: x\n        {OUT}")).fleets.remove(0).prometheus;
        settings.url = format!("http://user:secret@{address}").parse().expect("an address");
        settings.headers = vec![("X-Token".to_owned(), "secret".to_owned())];
        (Client::new(settings, || Duration::ZERO).expect("a client"), asked)
    }

    const SEVEN: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[60,"7"]}}"#;

    /// An answer of so many series, larger than what is parsed at once.
    fn long(series: usize) -> String {
        let series = vec![r#"{"metric":{"asg":"a"},"value":[60,"7"]}"#; series].join(",");
        format!(r#"{{"status":"success","data":{{"result":[{series}],"resultType":"vector"}}}}"#)
    }

    #[test_case(long(20_000), Ok(20_000); "a long one")]
    #[test_case(long(150_000), Err("too_large"); "more series than are kept")]
    #[test_case(format!("{}!", long(20_000)), Err("foreign"); "a long one with something behind it")]
    #[test_case("<p>".repeat(50_000), Err("foreign"); "a long page")]
    #[tokio::test]
    async fn a_long_answer_is_read_while_it_comes(body: String, expected: Result<usize, &str>) {
        let (client, _) = server(vec![http(200, "", &body)]).await;
        let answer = client.instant("x", Time::from_unix(60)).await;
        if let Err(QueryError::Foreign { body, .. }) = &answer {
            assert_eq!(body.len(), QUOTED);
        }
        assert_eq!(answer.map(|answer| answer.len()).map_err(|error| error.as_str()), expected);
    }

    /// Thanos and VictoriaMetrics answer with a part unless they are told not to.
    #[tokio::test]
    async fn whole_answers_are_asked_for() {
        let (client, asked) = server(vec![http(200, "", SEVEN)]).await;
        client.instant("x", Time::from_unix(60)).await.expect("an answer");
        let requests = asked.await.expect("all requests");
        for parameter in ["&partial_response=false", "&deny_partial_response=1", "&dedup=true"] {
            assert!(requests[0].contains(parameter), "{}", requests[0]);
        }
    }

    /// An answer of a series for each of these parts.
    fn parts(parts: &[u8]) -> String {
        let series = parts.iter().map(|part| {
            format!(r#"{{"metric":{{"asg":"a","jitsi_scaler_part":"{part}"}},"value":[60,"{part}"]}}"#)
        });
        let series = series.collect::<Vec<_>>().join(",");
        http(
            200,
            "",
            &format!(r#"{{"status":"success","data":{{"result":[{series}],"resultType":"vector"}}}}"#),
        )
    }

    #[tokio::test]
    async fn expressions_are_asked_together() {
        let (client, asked) = server(vec![parts(&[1, 0])]).await;
        let answers = client.instants(&["x", "y", "z"], Time::from_unix(60)).await.expect("answers");
        let values: Vec<_> = answers.iter().map(|it| it.first().and_then(Labelled::last)).collect();
        assert_eq!(values, [Some(0.0), Some(1.0), None]);
        assert_eq!(asked.await.expect("all requests").len(), 1);
    }

    /// The last is a part of an answer, or it is refused.
    #[test_case(422, r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#, "refused"; "an error")]
    #[test_case(200, r#"{"status":"success","warnings":["a store is down"],"data":{"resultType":"vector","result":[]}}"#, "partial"; "a part")]
    #[tokio::test]
    async fn an_expression_that_fails_takes_no_data_from_another(status: u16, body: &str, outcome: &str) {
        let bad = http(status, "", body);
        let (client, asked) =
            server(vec![bad.clone(), http(200, "", SEVEN), bad.clone(), http(200, "", SEVEN), bad]).await;
        for _ in 0..2 {
            let (at, step) =
                (Time::from_unix(60), Period::try_new(Duration::from_mins(1)).expect("a minute"));
            let answers = client.ranges(&["x", "y"], at, at, step).await;
            let told: Vec<_> =
                answers.iter().map(|it| it.as_ref().map_or_else(QueryError::as_str, |_| "ok")).collect();
            assert_eq!(told, ["ok", outcome]);
        }
        let requests = asked.await.expect("all requests");
        let merged = requests.iter().filter(|request| request.contains("label_replace"));
        assert_eq!((merged.count(), requests.len()), (1, 5), "they are asked apart from then on");
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_given_up() {
        let body = format!(r#"{{"data":[{}"#, " ".repeat(LARGEST_LIST));
        let (address, _) = answering::server(vec![http(200, "", &body)], "").await;
        let mut settings =
            sample::config(GROUPS, &format!("expr: x\n        {OUT}")).fleets.remove(0).prometheus;
        settings.url = format!("http://{address}").parse().expect("an address");
        let client = Client::new(settings, || Duration::ZERO).expect("a client");
        let error = client.retention().await.expect_err("no answer");
        assert!(error.to_string().contains("it has more than 16 MiB"), "{error}");
    }

    #[test_case(403; "forbidden")]
    #[test_case(405; "not allowed")]
    #[test_case(501; "not implemented")]
    #[tokio::test]
    async fn a_server_that_refuses_post_is_asked_by_get_from_then_on(status: u16) {
        let answers = vec![http(status, "", "no"), http(200, "", SEVEN), http(200, "", SEVEN)];
        let (client, asked) = server(answers).await;
        for _ in 0..2 {
            let answer = client.instant("sum(x) > 0", Time::from_unix(60)).await.expect("an answer");
            assert_eq!(answer.first().and_then(Labelled::last), Some(7.0));
        }
        let requests = asked.await.expect("all requests");
        let lines: Vec<_> = requests.iter().filter_map(|request| request.lines().next()).collect();
        assert!(lines[0].starts_with("POST /api/v1/query "), "{lines:?}");
        for line in &lines[1..] {
            assert!(line.starts_with("GET /api/v1/query?query=sum%28x%29+%3E+0&"), "{line}");
            assert!(line.contains("&time=60"), "{line}");
        }
    }

    #[tokio::test]
    async fn a_server_that_refuses_both_methods_is_asked_by_post_again() {
        let (client, asked) = server(vec![http(403, "", "no"); 4]).await;
        for _ in 0..2 {
            let error = client.instant("x", Time::from_unix(60)).await.expect_err("a refusal");
            assert_eq!(error.as_str(), "foreign");
        }
        let requests = asked.await.expect("all requests");
        let methods: Vec<_> = requests.iter().filter_map(|request| request.split(' ').next()).collect();
        assert_eq!(methods, ["POST", "GET", "POST", "GET"]);
    }

    #[test_case(301; "moved")]
    #[test_case(302; "found")]
    #[test_case(307; "temporary")]
    #[test_case(308; "permanent")]
    #[tokio::test]
    async fn a_redirect_is_reported_and_not_followed(status: u16) {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = target.local_addr().expect("an address").port();
        let location = format!("location: http://user:secret@127.0.0.1:{port}/login?token=secret#top\r\n");
        let (client, asked) = server(vec![http(status, &location, "")]).await;
        let error = client.instant("x", Time::from_unix(60)).await.expect_err("a redirect");
        let text = error.to_string();
        let expected =
            format!("HTTP {status} redirects to http://127.0.0.1:{port}/login; set prometheus.url");
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains("secret"), "{text}");
        asked.await.expect("one request");
        tokio::select! {
            biased;
            _ = target.accept() => panic!("the redirect was followed"),
            () = std::future::ready(()) => {}
        }
    }
}
