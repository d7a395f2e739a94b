//! The checks that every request passes before it reaches a route, in the order of exporter-toolkit: rate limit, response
//! headers, user and password; then that no page of another site makes a browser send it. Other than there, the health
//! routes need no password and no token of the rate limit: Kubernetes and load balancers have none, and a port that is open
//! does not show that the process answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use crate::active_config::{ActiveConfig, Admission};
use crate::auth::{Logins, User};
use crate::health;
use crate::telemetry::{Refusal, Telemetry};

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) config: Arc<ActiveConfig>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) telemetry: Telemetry,
}

impl Guard {
    /// Returns the response of `next`, or a refusal. `admission` is what the connection met when it was accepted.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        mut request: Request,
        admission: &Admission,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let active = self.config.at_request();
        let is_open = health::is_asked_by(&request);
        if let Some(bucket) = active.bucket.as_ref().filter(|_| !is_open)
            && !bucket.take(Instant::now())
        {
            self.telemetry.refused(Refusal::RateLimit);
            return plain(StatusCode::TOO_MANY_REQUESTS);
        }
        if active.admission != *admission {
            self.telemetry.refused(Refusal::Unauthorized);
            let mut response = plain(StatusCode::UNAUTHORIZED);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return with_headers(response, &active.headers);
        }
        if let Some(users) = active.users.as_ref().filter(|_| !is_open) {
            if !self.logins.admits(users, request.headers(), peer(&request)).await {
                self.telemetry.refused(Refusal::Unauthorized);
                let mut response = plain(StatusCode::UNAUTHORIZED);
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
                return with_headers(response, &active.headers);
            }
            if let Some(user) = User::of(request.headers()) {
                request.extensions_mut().insert(user);
            }
        }
        if is_foreign(request.method(), request.headers()) {
            self.telemetry.refused(Refusal::CrossSite);
            let text = "refused: a page of another site made the browser send this\n";
            return with_headers((StatusCode::FORBIDDEN, text).into_response(), &active.headers);
        }
        with_headers(next(request).await, &active.headers)
    }
}

fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
}

/// Whether a browser sends a request that may change something for a page of another site. Browsers say so in
/// `Sec-Fetch-Site`; older ones, and those of pages without TLS, send `Origin` only. Source: the Fetch standard and Fetch
/// Metadata. Other clients send neither.
fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return false;
    }
    let text = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some(b"same-origin" | b"none") => false,
        Some(_) => true,
        None => text(ORIGIN).is_some_and(|origin| {
            let host = text(HOST).unwrap_or_default();
            let own = [&b"http://"[..], b"https://"].into_iter().any(|scheme| {
                origin.strip_prefix(scheme).is_some_and(|origin| origin.eq_ignore_ascii_case(host))
            });
            !own
        }),
    }
}

/// A response with the status in words, in the form of Go's `http.Error`.
fn plain(status: StatusCode) -> Response {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, text).into_response()
}

/// Adds headers; a header that the route has set stays.
fn with_headers(mut response: Response, headers: &HeaderMap) -> Response {
    for (name, value) in headers {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("POST", &[], false; "no browser")]
    #[test_case("POST", &[("sec-fetch-site", "cross-site")], true; "another site")]
    #[test_case("POST", &[("sec-fetch-site", "same-site")], true; "another host of the site")]
    #[test_case("POST", &[("sec-fetch-site", "same-origin"), ("origin", "http://proxy")], false; "an own page behind a proxy")]
    #[test_case("POST", &[("sec-fetch-site", "none")], false; "a person")]
    #[test_case("GET", &[("sec-fetch-site", "cross-site")], false; "a request that changes nothing")]
    #[test_case("POST", &[("origin", "http://Host:1")], false; "the own origin")]
    #[test_case("POST", &[("origin", "https://host:1")], false; "the own origin with TLS")]
    #[test_case("POST", &[("origin", "http://host:2")], true; "another port")]
    #[test_case("POST", &[("origin", "http://host:1.example.org")], true; "a longer name")]
    #[test_case("POST", &[("origin", "null")], true; "an origin that is hidden")]
    #[test_case("DELETE", &[("origin", "http://example.org")], true; "another method")]
    fn requests_of_other_sites_are_foreign(method: &str, headers: &[(&str, &str)], expected: bool) {
        let mut request = Request::builder().method(method).header("host", "host:1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).expect("a request");
        assert_eq!(is_foreign(request.method(), request.headers()), expected);
    }
}
