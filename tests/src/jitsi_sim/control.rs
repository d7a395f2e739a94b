//! The control plane: it launches, terminates, loads and breaks the components, and reports on them.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    fault::Faults,
    instance::{ComponentKind, InstanceSpec},
    load::Load,
    shared::Shared,
    world::WorldError,
};

type Sim = State<Arc<Shared>>;

/// How people use the control plane.
pub const USAGE: &str = r#"The control plane, at the address ADDR that the first line names:
  curl -X PUT ADDR/sim/v1/instances/i-1 -d '{"component": "jvb", "group": "my-jvb"}'                 launch: jvb, jibri or jicofo
  curl -X POST ADDR/sim/v1/instances/i-1/conferences -d '{"participants": 20, "seconds": 600}'       load a bridge
  curl -X POST ADDR/sim/v1/instances/i-2/recordings -d '{"seconds": 600}'                            load a Jibri
  curl -X DELETE ADDR/sim/v1/instances/i-1                                                           terminate
  curl ADDR/sim/v1/status                                                                            what runs, what was cut
  ADDR/sim/v1/sd?component=jvb                              for http_sd_configs, with the labels of ec2_sd_configs
"#;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { USAGE }))
        .route("/sim/v1/instances/{id}", put(launch).delete(terminate))
        .route("/sim/v1/instances/{id}/conferences", post(place_conference).delete(end_conferences))
        .route("/sim/v1/instances/{id}/recordings", post(place_recording).delete(stop_recording))
        .route("/sim/v1/instances/{id}/faults", post(set_faults))
        .route("/sim/v1/sd", get(targets))
        .route("/sim/v1/status", get(status))
        .route("/sim/v1/load", post(set_load))
        .route("/sim/v1/stop", post(stop))
        .with_state(shared)
}

/// A refusal, with its reason as JSON.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.0, &json!({"error": self.1}))
    }
}

impl From<WorldError> for Refusal {
    fn from(error: WorldError) -> Self {
        let status = match error {
            WorldError::Unknown(_) => StatusCode::NOT_FOUND,
            WorldError::NotSeconds(_) | WorldError::Load(_) => StatusCode::BAD_REQUEST,
            WorldError::WrongComponent { .. }
            | WorldError::NotRunning(_)
            | WorldError::TakesNoWork(_)
            | WorldError::BrokenChrome(_)
            | WorldError::Full => StatusCode::CONFLICT,
        };
        Self(status, error.to_string())
    }
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}

/// Ignores the Content-Type, because people use the control plane by hand, too.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("cannot read the body: {error}")))
}

async fn launch(State(sim): Sim, Path(id): Path<String>, body: Bytes) -> Result<Response, Refusal> {
    let spec: InstanceSpec = parse(&body)?;
    let (private_ip, new) = sim.launch(&id, spec).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(status, &json!({"private_ip": private_ip})))
}

async fn terminate(State(sim): Sim, Path(id): Path<String>) -> Result<Response, Refusal> {
    let cut = sim.terminate(&id).await?;
    Ok(answer(StatusCode::OK, &cut))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacedConference {
    participants: u32,
    seconds: f64,
}

async fn place_conference(State(sim): Sim, Path(id): Path<String>, body: Bytes) -> Result<Response, Refusal> {
    let PlacedConference { participants, seconds } = parse(&body)?;
    let conference = sim.with(|world, now| world.place_conference(now, &id, participants, seconds))?;
    Ok(answer(StatusCode::CREATED, &json!({"id": conference})))
}

async fn end_conferences(State(sim): Sim, Path(id): Path<String>) -> Result<Response, Refusal> {
    let ended = sim.with(|world, now| world.end_conferences(now, &id))?;
    Ok(answer(StatusCode::OK, &json!({"ended": ended})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacedRecording {
    seconds: f64,
    #[serde(default)]
    upload_seconds: f64,
}

async fn place_recording(State(sim): Sim, Path(id): Path<String>, body: Bytes) -> Result<Response, Refusal> {
    let PlacedRecording { seconds, upload_seconds } = parse(&body)?;
    let recording = sim.with(|world, now| world.place_recording(now, &id, seconds, upload_seconds, true))?;
    Ok(answer(StatusCode::CREATED, &json!({"id": recording})))
}

async fn stop_recording(State(sim): Sim, Path(id): Path<String>) -> Result<Response, Refusal> {
    let stopped = sim.with(|world, now| world.stop_recording(now, &id))?;
    Ok(answer(StatusCode::OK, &json!({"stopped": usize::from(stopped.is_some())})))
}

async fn set_faults(State(sim): Sim, Path(id): Path<String>, body: Bytes) -> Result<Response, Refusal> {
    let faults: Faults = parse(&body)?;
    sim.set_faults(&id, faults.clone()).await?;
    Ok(answer(StatusCode::OK, &faults))
}

#[derive(Debug, Deserialize)]
struct Filter {
    component: Option<ComponentKind>,
}

async fn targets(State(sim): Sim, Query(filter): Query<Filter>) -> Response {
    answer(StatusCode::OK, &sim.targets(filter.component))
}

async fn status(State(sim): Sim) -> Response {
    answer(StatusCode::OK, &sim.status())
}

async fn set_load(State(sim): Sim, body: Bytes) -> Result<Response, Refusal> {
    let load: Load = parse(&body)?;
    sim.set_load(&load)?;
    Ok(answer(StatusCode::OK, &load))
}

async fn stop(State(sim): Sim) -> Response {
    // The answer goes out before the connection that carries it is closed.
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        sim.stop();
    });
    answer(StatusCode::OK, &json!({}))
}
