//! The checks that every request passes before it reaches a route, in the order of exporter-toolkit: rate limit, response
//! headers, user and password. As there, the health routes are not exempt.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use crate::active_config::ActiveConfig;
use crate::auth::Logins;
use crate::telemetry::{Refusal, Telemetry};

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) config: Arc<ActiveConfig>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) telemetry: Telemetry,
}

impl Guard {
    /// Returns the response of `next`, or a refusal.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let active = self.config.at_request();
        if let Some(bucket) = &active.bucket
            && !bucket.take(Instant::now())
        {
            self.telemetry.refused(Refusal::RateLimit);
            return plain(StatusCode::TOO_MANY_REQUESTS);
        }
        if let Some(users) = &active.users
            && !self.logins.admits(users, request.headers(), peer(&request)).await
        {
            self.telemetry.refused(Refusal::Unauthorized);
            let mut response = plain(StatusCode::UNAUTHORIZED);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
            return with_headers(response, &active.headers);
        }
        with_headers(next(request).await, &active.headers)
    }
}

fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
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
