//! The socket, which turns the core into a service.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use url::form_urlencoded;

use super::admin;
use super::request::Request;
use super::service::{Reply, Service};
use crate::cloud_parts::shared;

type Shared = shared::Shared<Service>;

/// Serves until the simulator is stopped.
pub(super) async fn serve(listener: TcpListener, shared: Shared) {
    let stop = shared.stop.clone();
    let routes = Router::new()
        .route("/metadata/identity/oauth2/token", get(token_of_instance))
        .route("/{tenant}/oauth2/v2.0/token", post(token_of_tenant))
        .merge(admin::routes())
        .fallback(call)
        .with_state(shared);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "vmss-sim stopped serving");
    }
}

fn json(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body)).into_response()
}

async fn token_of_instance(
    State(shared): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    // The first on a virtual machine, the second in a container with an endpoint of its own.
    let asks_rightly = headers.get("metadata").is_some_and(|value| value == "true")
        || headers.contains_key("x-identity-header");
    let resource = query.iter().find(|(key, _)| key == "resource").map(|(_, value)| value.as_str());
    let (status, body) = shared.with(|service, now| service.tokens.of_instance(resource, asks_rightly, now));
    json(status, &body)
}

async fn token_of_tenant(
    State(shared): State<Shared>,
    Path(_tenant): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    let (status, body) = shared.with(|service, now| service.tokens.of_tenant(&form, now));
    json(status, &body)
}

async fn call(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &header::HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let request = Request {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query,
        authorization: text(&header::AUTHORIZATION),
        if_match: text(&header::IF_MATCH),
        base: format!("http://{}", text(&header::HOST).unwrap_or_default()),
        body: body.into(),
    };
    // A call that the service has accepted continues if the caller hangs up.
    let carried_out = shared.tasks.spawn(carry_out(shared.clone(), request));
    match carried_out.await.unwrap_or(Reply::Silence) {
        Reply::Answer { status, headers, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer =
                (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response();
            for (name, value) in headers {
                if let Ok(value) = value.parse() {
                    answer.headers_mut().insert(name, value);
                }
            }
            answer
        }
        Reply::Silence => {
            shared.stop.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn carry_out(shared: Shared, request: Request) -> Reply {
    let injection = shared.with(|service, _| service.injection(&request));
    if injection.delay > 0.0 {
        let delay = tokio::time::sleep(Duration::try_from_secs_f64(injection.delay).unwrap_or(Duration::MAX));
        if shared.stop.run_until_cancelled(delay).await.is_none() {
            return Reply::Silence;
        }
    }
    shared.with(|service, now| service.answer(&request, &injection, now))
}
