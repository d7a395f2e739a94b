//! What every request passes before any route, in exporter-toolkit's order: rate limit, headers of
//! the answer, user and password. Health routes are no exception, as there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use crate::auth::Logins;
use crate::live::Live;
use crate::telemetry::{Refusal, Telemetry};

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) live: Arc<Live>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) telemetry: Telemetry,
}

impl Guard {
    /// The answer of `next`, or a refusal.
    pub(crate) async fn pass<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let active = self.live.at_request();
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

/// The status in words, as Go's `http.Error` has it.
fn plain(status: StatusCode) -> Response {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, text).into_response()
}

/// What a route has set itself stays.
fn with_headers(mut response: Response, headers: &HeaderMap) -> Response {
    for (name, value) in headers {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}
