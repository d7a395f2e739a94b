//! The components' HTTP interfaces: their paths, status codes and bodies, and the faults in front of them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    fault::{Faults, Feature},
    instance::{Component, ComponentKind, Instance},
    native::{self, Format},
    payload,
    shared::Shared,
    world::{World, WorldError},
};

/// Between two bytes of an answer that trickles.
const TRICKLE: Duration = Duration::from_millis(100);

/// One component's view of the simulator.
#[derive(Debug, Clone)]
struct Seat {
    shared: Arc<Shared>,
    id: Arc<str>,
}

impl Seat {
    fn do_with<R>(&self, act: impl FnOnce(&mut World, Duration, &str) -> R) -> R {
        self.shared.with(|world, now| act(world, now, &self.id))
    }

    fn faults(&self) -> Faults {
        self.do_with(|world, _, id| world.instance(id).map(|i| i.faults.clone()).unwrap_or_default())
    }

    fn answer_from(&self, answer: impl FnOnce(&World, &Instance) -> Option<Response>) -> Response {
        let answered = self.do_with(|world, _, id| {
            let instance = world.instance(id).ok()?;
            answer(world, instance)
        });
        answered.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    }
}

/// What an instance serves: a router for each of its ports.
pub(super) fn routers(shared: &Arc<Shared>, instance: &Instance) -> Vec<(u16, Router)> {
    let seat = Seat { shared: Arc::clone(shared), id: instance.id.as_str().into() };
    let ports = shared.ports;
    let served = match instance.spec.component {
        ComponentKind::Jvb => vec![(ports.jvb, jvb())],
        ComponentKind::Jicofo => vec![(ports.jicofo, jicofo())],
        ComponentKind::Jibri => vec![(ports.jibri, jibri()), (ports.jibri_internal, jibri_internal())],
    };
    let with_faults = |router: Router<Seat>| {
        router.layer(middleware::from_fn_with_state(seat.clone(), with_faults)).with_state(seat.clone())
    };
    served.into_iter().map(|(port, router)| (port, with_faults(router))).collect()
}

async fn with_faults(State(seat): State<Seat>, request: Request, next: Next) -> Response {
    let faults = seat.faults();
    if faults.hang {
        std::future::pending::<()>().await;
    }
    let uri = request.uri().path().to_owned();
    if let Some(status) = faults.status {
        return error_page(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &uri);
    }
    if let Some(body) = faults.body {
        return ([(header::CONTENT_TYPE, "text/html")], body).into_response();
    }
    let response = next.run(request).await;
    if let Some(slow) = faults.slow_seconds {
        tokio::time::sleep(Duration::try_from_secs_f64(slow).unwrap_or_default()).await;
    }
    if faults.trickle { trickle(response).await } else { response }
}

async fn trickle(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // The bodies are our own and small.
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let drops = stream::unfold(bytes, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(TRICKLE).await;
        let drop = rest.split_to(1);
        Some((Ok::<Bytes, Infallible>(drop), rest))
    });
    Response::from_parts(parts, Body::from_stream(drops))
}

/// What Jetty answers in a JVB.
fn error_page(status: StatusCode, uri: &str) -> Response {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n\
         <title>Error {title}</title>\n</head>\n<body><h2>HTTP ERROR {title}</h2>\n<table>\n\
         <tr><th>URI:</th><td>{uri}</td></tr>\n<tr><th>STATUS:</th><td>{}</td></tr>\n</table>\n\
         </body>\n</html>\n",
        status.as_u16()
    );
    (status, [(header::CONTENT_TYPE, "text/html;charset=iso-8859-1")], page).into_response()
}

fn json_answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn version(name: &str, version: &str) -> Response {
    json_answer(&json!({"name": name, "version": version, "os": "Linux"}))
}

// --- JVB ---

fn jvb() -> Router<Seat> {
    Router::new()
        .route("/colibri/stats", get(colibri_stats))
        .route("/colibri/drain", get(drain))
        .route("/colibri/drain/enable", post(async |State(seat): State<Seat>| set_drain(&seat, true)))
        .route("/colibri/drain/disable", post(async |State(seat): State<Seat>| set_drain(&seat, false)))
        .route("/colibri/shutdown", post(shutdown))
        .route("/about/health", get(jvb_health))
        .route("/about/version", get(async || version("JVB", payload::JVB_VERSION)))
        .route("/metrics", get(metrics))
        .fallback(async |request: Request| error_page(StatusCode::NOT_FOUND, request.uri().path()))
}

async fn colibri_stats(State(seat): State<Seat>) -> Response {
    seat.answer_from(|world, instance| {
        if instance.faults.stats == Feature::Off {
            return Some(error_page(StatusCode::NOT_FOUND, "/colibri/stats"));
        }
        let Component::Jvb(bridge) = &instance.component else { return None };
        Some(json_answer(&payload::colibri_stats(world, bridge, &instance.spec.region).into()))
    })
}

async fn drain(State(seat): State<Seat>) -> Response {
    seat.answer_from(|_, instance| {
        if instance.faults.drain == Feature::Off {
            return Some(error_page(StatusCode::NOT_FOUND, "/colibri/drain"));
        }
        let Component::Jvb(bridge) = &instance.component else { return None };
        Some(json_answer(&json!({"drain": bridge.drain})))
    })
}

fn set_drain(seat: &Seat, drain: bool) -> Response {
    if seat.faults().drain == Feature::Off {
        return error_page(StatusCode::NOT_FOUND, "/colibri/drain");
    }
    done(&seat.do_with(|world, now, id| world.set_drain(now, id, drain)))
}

async fn shutdown(State(seat): State<Seat>, headers: HeaderMap, body: Bytes) -> Response {
    const PATH: &str = "/colibri/shutdown";
    if seat.faults().shutdown == Feature::Off {
        return error_page(StatusCode::NOT_FOUND, PATH);
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        return error_page(StatusCode::UNSUPPORTED_MEDIA_TYPE, PATH);
    }
    let parsed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    // The bridge's own graceful_shutdown.sh sends the text "true".
    let gracefully = match parsed.get("graceful-shutdown") {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => return error_page(StatusCode::BAD_REQUEST, PATH),
    };
    done(&seat.do_with(|world, now, id| world.shut_bridge_down(now, id, gracefully)))
}

/// 200 without a body. An error can only mean that the process ended under the request.
fn done(result: &Result<(), WorldError>) -> Response {
    match result {
        Ok(()) => StatusCode::OK.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn jvb_health(State(seat): State<Seat>) -> Response {
    seat.answer_from(|_, instance| match &instance.component {
        Component::Jvb(bridge) if bridge.healthy => Some(StatusCode::OK.into_response()),
        Component::Jvb(_) => {
            Some((StatusCode::INTERNAL_SERVER_ERROR, "Address discovery through STUN failed").into_response())
        }
        Component::Jicofo(_) | Component::Jibri(_) => None,
    })
}

async fn metrics(State(seat): State<Seat>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).map(|value| value.to_str().unwrap_or_default());
    let Some(format) = Format::negotiate(accept) else {
        return error_page(StatusCode::INTERNAL_SERVER_ERROR, "/metrics");
    };
    seat.answer_from(|world, instance| {
        let Component::Jvb(bridge) = &instance.component else { return None };
        let stats = payload::colibri_stats(world, bridge, &instance.spec.region);
        let text = native::render(&stats, payload::startup_millis(world, bridge), format);
        Some(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
    })
}

// --- Jicofo ---

fn jicofo() -> Router<Seat> {
    Router::new()
        .route("/stats", get(jicofo_stats))
        .route("/about/health", get(jicofo_health))
        .route("/about/version", get(async || version("Jicofo", payload::JICOFO_VERSION)))
}

async fn jicofo_stats(State(seat): State<Seat>) -> Response {
    seat.answer_from(|world, instance| {
        let Component::Jicofo(jicofo) = &instance.component else { return None };
        Some(json_answer(&payload::jicofo_stats(world, jicofo)))
    })
}

async fn jicofo_health(State(seat): State<Seat>) -> Response {
    seat.answer_from(|world, instance| {
        let Component::Jicofo(jicofo) = &instance.component else { return None };
        Some(match payload::jicofo_health(world, jicofo) {
            Ok(()) => "OK".into_response(),
            Err(message) => (StatusCode::INTERNAL_SERVER_ERROR, message).into_response(),
        })
    })
}

// --- Jibri ---

fn jibri() -> Router<Seat> {
    Router::new()
        .route("/jibri/api/v1.0/health", get(jibri_health))
        .route("/jibri/api/v1.0/startService", post(start_service))
        .route("/jibri/api/v1.0/stopService", post(stop_service))
}

fn jibri_internal() -> Router<Seat> {
    Router::new().route("/jibri/api/internal/v1.0/gracefulShutdown", post(graceful_shutdown))
}

async fn jibri_health(State(seat): State<Seat>) -> Response {
    seat.answer_from(|world, instance| {
        let Component::Jibri(jibri) = &instance.component else { return None };
        Some(json_answer(&payload::jibri_health(world, jibri)))
    })
}

/// The parts of a start request without which a Jibri says 412.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only their presence matters: no browser joins")]
struct StartService {
    session_id: String,
    call_params: Value,
    sink_type: String,
}

async fn start_service(State(seat): State<Seat>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if serde_json::from_value::<StartService>(request).is_err() {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let started = seat.do_with(|world, now, id| {
        // Nobody hangs up on a recording that was started by hand: it ends by itself after the usual time.
        let lengths = world.lengths();
        world.place_recording(now, id, lengths.recording_seconds, lengths.upload_seconds, false)
    });
    match started {
        Ok(_) => StatusCode::OK.into_response(),
        Err(WorldError::TakesNoWork(_)) => {
            (StatusCode::PRECONDITION_FAILED, "Jibri is currently busy").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Answers only when the recording has been stopped and uploaded.
async fn stop_service(State(seat): State<Seat>) -> Response {
    let mut happened = seat.shared.happened.subscribe();
    let Ok(session) = seat.do_with(World::stop_recording) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if let Some(recording) = session {
        while seat.do_with(|world, _, _| world.carries_recording(recording)) {
            if happened.changed().await.is_err() {
                break;
            }
        }
    }
    StatusCode::OK.into_response()
}

async fn graceful_shutdown(State(seat): State<Seat>) -> Response {
    done(&seat.do_with(World::shut_jibri_down))
}
