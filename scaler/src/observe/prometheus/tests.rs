//! Answers, failures and their texts.

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
        QueryError::Refused { expr: expr(), kind: "execution".to_owned(), message: "too much".to_owned() },
        QueryError::Foreign { expr: expr(), status: 401, body: "no org id".to_owned(), remedy: CHECK },
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
        QueryError::Rule {
            name: expr(),
            trouble: Trouble::Stalled { since: Duration::from_secs(91), allowed: Duration::from_secs(90) },
        },
        QueryError::Sign(SignError::Credentials("no source".to_owned())),
        QueryError::Secret(SecretError {
            key: "bearer_token_file",
            path: "/etc/token".into(),
            source: Arc::new(absent()),
        }),
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
    failed to trust `asg:jvb_stress:avg`, which prometheus has a rule for: it was last evaluated 91 s ago, and its interval allows 90 s; see Status → Rule health
    failed to find AWS credentials for prometheus.sigv4: no source
    failed to read the secret in /etc/token, named in bearer_token_file: entity not found
    "#);
}

#[test]
fn every_unusable_client_has_a_message() {
    let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
    let errors = [
        ClientError::Read { key: "prometheus.tls", path: "/etc/ssl/ca.pem".into(), source: absent },
        ClientError::Unusable { key: "prometheus.tls", path: "/etc/ssl/ca.pem".into(), source: failure() },
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
    let mut settings = sample::config(GROUPS, &format!("expr: x\n        {OUT}")).fleets.remove(0).prometheus;
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

#[test_case(401, "no", Auth::None, "no credentials were sent; write prometheus.basic_auth"; "none sent")]
#[test_case(401, "no", Auth::Bearer { token_file: "/dev/null".into() }, "it refuses the token that was sent"; "a token")]
#[test_case(401, "no", Auth::Basic { username: "a".to_owned(), password_file: "/dev/null".into() },
    "it refuses the user and the password that were sent"; "a password")]
#[test_case(400, "Client sent an HTTP request to an HTTPS server.", Auth::None, "it speaks https"; "https")]
#[test_case(502, "<html>\n<body>\r\n  Bad Gateway", Auth::None,
    "HTTP 502, \"<html> <body> Bad Gateway\"; check prometheus.url and its authentication"; "a page of lines")]
#[tokio::test]
async fn a_foreign_answer_has_a_remedy(status: u16, body: &str, auth: Auth, expected: &str) {
    let (address, _) = answering::server(vec![http(status, "", body)], "").await;
    let mut settings = sample::config(GROUPS, &format!("expr: x\n        {OUT}")).fleets.remove(0).prometheus;
    settings.url = format!("http://{address}").parse().expect("an address");
    settings.auth = auth;
    let client = Client::new(settings, || Duration::ZERO).expect("a client");
    let error = client.instant("x", Time::from_unix(60)).await.expect_err("no answer");
    assert!(error.to_string().contains(expected), "{error}");
}

/// By default, Thanos and VictoriaMetrics may answer with a part of the data.
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
    http(200, "", &format!(r#"{{"status":"success","data":{{"result":[{series}],"resultType":"vector"}}}}"#))
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
        let (at, step) = (Time::from_unix(60), Period::try_new(Duration::from_mins(1)).expect("a minute"));
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
    let mut settings = sample::config(GROUPS, &format!("expr: x\n        {OUT}")).fleets.remove(0).prometheus;
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
    let expected = format!("HTTP {status} redirects to http://127.0.0.1:{port}/login; set prometheus.url");
    assert!(text.contains(&expected), "{text}");
    assert!(!text.contains("secret"), "{text}");
    asked.await.expect("one request");
    tokio::select! {
        biased;
        _ = target.accept() => panic!("the redirect was followed"),
        () = std::future::ready(()) => {}
    }
}
