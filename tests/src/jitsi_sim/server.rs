//! The components' HTTP interfaces: their paths, status codes and bodies, and the faults in front of them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use futures::stream;
use hyper::ext::ReasonPhrase;
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
    if let Some(status) = faults.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Asked::new(request.uri().path(), request.headers()).refused(status);
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

/// What Jetty's error pages repeat of a request.
#[derive(Debug)]
struct Asked {
    url: String,
    accepts_json: bool,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::new(parts.uri.path(), &parts.headers))
    }
}

impl Asked {
    fn new(path: &str, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepts_json = text(header::ACCEPT).contains("application/json");
        Self { url: format!("http://{}{path}", text(header::HOST)), accepts_json }
    }

    fn refused(&self, status: StatusCode) -> Response {
        self.error(status, status.canonical_reason().unwrap_or_default())
    }

    fn not_found(&self) -> Response {
        self.refused(StatusCode::NOT_FOUND)
    }

    /// The error page of Jetty.
    fn error(&self, status: StatusCode, message: &str) -> Response {
        let (url, code) = (&self.url, status.as_u16());
        if self.accepts_json {
            let body =
                format!("{{\n\"url\":\"{url}\",\n\"status\":\"{code}\",\n\"message\":\"{message}\"\n}}");
            return (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        }
        let page = format!(
            "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n\
             <title>Error {code} {message}</title>\n</head>\n<body>\n<h2>HTTP ERROR {code} {message}</h2>\n<table>\n\
             <tr><th>URI:</th><td>{url}</td></tr>\n<tr><th>STATUS:</th><td>{code}</td></tr>\n\
             <tr><th>MESSAGE:</th><td>{message}</td></tr>\n</table>\n\n</body>\n</html>\n"
        );
        (status, [(header::CONTENT_TYPE, "text/html;charset=iso-8859-1")], page).into_response()
    }
}

/// Jetty has a phrase of its own for 500.
async fn with_jettys_phrase(mut response: Response) -> Response {
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Server Error"));
    }
    response
}

fn json_answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn version(name: &str, version: &str) -> Response {
    json_answer(&json!({"name": name, "version": version, "os": "Linux"}))
}

// --- JVB ---

fn jvb() -> Router<Seat> {
    let set =
        |drain| post(async move |State(seat): State<Seat>, asked: Asked| set_drain(&seat, &asked, drain));
    let read =
        |route: MethodRouter<Seat>| route.fallback(async |asked: Asked| wrong_method(&asked, "GET,OPTIONS"));
    let write =
        |route: MethodRouter<Seat>| route.fallback(async |asked: Asked| wrong_method(&asked, "POST,OPTIONS"));
    Router::new()
        .route("/colibri/stats", read(get(colibri_stats)))
        .route("/colibri/drain", read(get(drain)))
        .route("/colibri/drain/enable", write(set(true)))
        .route("/colibri/drain/disable", write(set(false)))
        .route("/colibri/shutdown", write(post(shutdown)))
        .route("/about/health", read(get(jvb_health)))
        .route("/about/version", read(get(async || version("JVB", payload::JVB_VERSION))))
        .route("/metrics", read(get(jvb_metrics)))
        .fallback(async |asked: Asked| asked.not_found())
        .layer(middleware::map_response(with_jettys_phrase))
}

fn wrong_method(asked: &Asked, allowed: &'static str) -> Response {
    let response = asked.refused(StatusCode::METHOD_NOT_ALLOWED);
    ([(header::ALLOW, allowed)], response).into_response()
}

async fn colibri_stats(State(seat): State<Seat>, asked: Asked) -> Response {
    seat.answer_from(|world, instance| {
        if instance.faults.rest == Feature::Off {
            return Some(asked.not_found());
        }
        let Component::Jvb(bridge) = &instance.component else { return None };
        Some(json_answer(&payload::colibri_stats(world, bridge, &instance.spec.region).into()))
    })
}

async fn drain(State(seat): State<Seat>, asked: Asked) -> Response {
    seat.answer_from(|_, instance| {
        if instance.faults.drain == Feature::Off {
            return Some(asked.not_found());
        }
        let Component::Jvb(bridge) = &instance.component else { return None };
        Some(json_answer(&json!({"drain": bridge.drain})))
    })
}

fn set_drain(seat: &Seat, asked: &Asked, drain: bool) -> Response {
    if seat.faults().drain == Feature::Off {
        return asked.not_found();
    }
    done(&seat.do_with(|world, now, id| world.set_drain(now, id, drain)))
}

async fn shutdown(State(seat): State<Seat>, asked: Asked, headers: HeaderMap, body: Bytes) -> Response {
    let faults = seat.faults();
    if faults.rest == Feature::Off || faults.shutdown == Feature::Off {
        return asked.not_found();
    }
    if body.is_empty() {
        return asked.refused(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        return asked.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let parsed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    // The bridge's own graceful_shutdown.sh sends the text "true".
    let gracefully = match parsed.get("graceful-shutdown") {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => {
            let text = "Missing required creator property 'graceful-shutdown' (index 0)\n";
            return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/plain")], text).into_response();
        }
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
            // Labelled so by the real one, too.
            let content_type = [(header::CONTENT_TYPE, "application/json")];
            let message = "Failed to bind single-port";
            Some((StatusCode::INTERNAL_SERVER_ERROR, content_type, message).into_response())
        }
        Component::Jicofo(_) | Component::Jibri(_) => None,
    })
}

/// The Accept header; `None` without one.
fn accept(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCEPT).map(|value| value.to_str().unwrap_or_default())
}

async fn jvb_metrics(State(seat): State<Seat>, asked: Asked, headers: HeaderMap) -> Response {
    // Without the header the real one fails as well.
    let Some(format) = accept(&headers).and_then(Format::negotiate) else {
        return asked.error(StatusCode::INTERNAL_SERVER_ERROR, "Request failed.");
    };
    let content_type = match format {
        Format::OpenMetrics => "application/openmetrics-text;charset=utf-8;version=1.0.0",
        Format::Text => "text/plain;charset=utf-8;version=0.0.4",
        Format::Json => "application/json",
    };
    seat.answer_from(|world, instance| {
        let Component::Jvb(bridge) = &instance.component else { return None };
        let stats = payload::colibri_stats(world, bridge, &instance.spec.region);
        let started = payload::startup_millis(world, bridge);
        let metrics = native::bridge(stats, &payload::conferences(bridge), started);
        Some(([(header::CONTENT_TYPE, content_type)], metrics.render(format)).into_response())
    })
}

// --- Jicofo ---

fn jicofo() -> Router<Seat> {
    Router::new()
        .route("/stats", get(jicofo_stats))
        .route("/about/health", get(jicofo_health))
        .route("/about/version", get(async || version("JiCoFo", payload::JICOFO_VERSION)))
        .route("/metrics", get(jicofo_metrics))
}

const KTOR_TEXT: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; charset=UTF-8")];

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
            Ok(()) => (KTOR_TEXT, "OK").into_response(),
            Err(message) => (StatusCode::INTERNAL_SERVER_ERROR, KTOR_TEXT, message).into_response(),
        })
    })
}

async fn jicofo_metrics(State(seat): State<Seat>, headers: HeaderMap) -> Response {
    let Some(format) = Format::negotiate(accept(&headers).unwrap_or("*/*")) else {
        let text = "Supported media types are application/openmetrics-text, text/plain and application/json";
        return (StatusCode::INTERNAL_SERVER_ERROR, KTOR_TEXT, text).into_response();
    };
    let content_type = match format {
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::Json => "application/json",
    };
    seat.answer_from(|world, instance| {
        let Component::Jicofo(jicofo) = &instance.component else { return None };
        let metrics = native::jicofo(&payload::jicofo_stats(world, jicofo));
        Some(([(header::CONTENT_TYPE, content_type)], metrics.render(format)).into_response())
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

/// A start request, as far as a Jibri reads it before it starts anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartService {
    #[expect(dead_code, reason = "only its presence matters")]
    session_id: String,
    #[expect(dead_code, reason = "only its presence matters: no browser joins")]
    call_params: Value,
    sink_type: String,
    you_tube_stream_key: Option<Value>,
    sip_client_params: Option<Value>,
}

async fn start_service(State(seat): State<Seat>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<StartService>(&body) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let complete = match request.sink_type.as_str() {
        "stream" => request.you_tube_stream_key.is_some(),
        "gateway" => request.sip_client_params.is_some(),
        _ => true,
    };
    if !complete {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let started = seat.do_with(|world, now, id| {
        // A recording that was started by hand ends by itself after the usual time.
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
