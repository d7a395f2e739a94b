//! The socket, which turns the core into a service.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;

use super::admin;
use super::error::ErrorCode;
use super::protocol::{Query, scope};
use super::service::{Reply, Request, Service};
use crate::cloud_parts::shared;

type Shared = shared::Shared<Service>;

/// Serves until the simulator is stopped.
pub(super) async fn serve(listener: TcpListener, shared: Shared) {
    let stop = shared.stop.clone();
    let routes = Router::new().route("/", post(call)).merge(admin::routes()).with_state(shared);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "asg-sim stopped serving");
    }
}

async fn call(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let query = Query::parse(&body);
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let signed_for = match authorization {
        None => Err(ErrorCode::MissingAuthenticationToken),
        Some(text) => scope(text).ok_or(ErrorCode::IncompleteSignature),
    };
    let reply = match signed_for {
        Err(code) => shared.with(|service, now| service.refuse_unsigned(code, &query, now)),
        Ok((access_key, region)) => {
            let request = Request { region: region.into(), access_key: access_key.into(), query };
            // A call that the service has accepted continues if the caller hangs up.
            let carried_out = shared.tasks.spawn(carry_out(shared.clone(), request));
            carried_out.await.unwrap_or(Reply::Silence)
        }
    };
    match reply {
        Reply::Answer { status, request_id, xml } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let headers = [("content-type", "text/xml"), ("x-amzn-requestid", request_id.as_str())];
            (status, headers, xml).into_response()
        }
        Reply::Silence => {
            shared.stop.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn carry_out(shared: Shared, request: Request) -> Reply {
    let injection = shared.with(|service, _| service.faults.take(request.action(), &request.region));
    if injection.delay > 0.0 {
        let delay = tokio::time::sleep(Duration::try_from_secs_f64(injection.delay).unwrap_or(Duration::MAX));
        if shared.stop.run_until_cancelled(delay).await.is_none() {
            return Reply::Silence;
        }
    }
    shared.with(|service, now| service.answer(&request, injection, now))
}
