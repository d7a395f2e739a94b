//! The admin API under `/sim/v1/`: sets, faults, the record of calls, counters, and what Azure does by itself.

use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use serde::{Deserialize, Serialize};

use super::error::ArmError;
use super::fault::Fault;
use super::model::{Component, Instance, LaunchFailures, Orchestration, Set, SetKey};
use super::service::{Call, Service};
use super::spec::{AutoscaleSetting, SetSpec};
use super::step::Counters;
use crate::cloud_parts::shared;

type Shared = shared::Shared<Service>;

/// A set as the admin API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct SetView {
    /// The resource group.
    pub group: String,
    /// The name.
    pub name: String,
    /// The component on its instances.
    pub component: Option<Component>,
    /// How it holds its instances.
    pub orchestration: Orchestration,
    /// `sku.capacity`.
    pub capacity: u32,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its instances, oldest first.
    pub instances: Vec<Instance>,
    /// Whether an operation changes its instances.
    pub updating: bool,
}

impl SetView {
    fn of(set: &Set, updating: bool) -> Self {
        Self {
            group: set.group.clone(),
            name: set.name.clone(),
            component: set.component,
            orchestration: set.orchestration,
            capacity: set.capacity,
            tags: set.tags.clone(),
            instances: set.instances.clone(),
            updating,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CallFilter {
    mutating: bool,
}

/// An admin API request that cannot be performed.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

impl From<ArmError> for Refusal {
    fn from(error: ArmError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self(status, error.message)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(error: JsonRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, error.body_text())
    }
}

type Body<T> = Result<Json<T>, JsonRejection>;
type Place = Path<(String, String)>;
type Member = Path<(String, String, String)>;
type Answer = Result<StatusCode, Refusal>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/sim/v1/sets/{group}/{name}", put(put_set).delete(delete_set))
        .route("/sim/v1/sets/{group}/{name}/instances/{id}/evict", post(evict))
        .route("/sim/v1/sets/{group}/{name}/instances/{id}/lose", post(lose))
        .route("/sim/v1/sets/{group}/{name}/launch-failures", post(launch_failures))
        .route("/sim/v1/sets", get(sets))
        .route("/sim/v1/autoscale", put(autoscale))
        .route("/sim/v1/tokens", delete(expire_tokens))
        .route("/sim/v1/faults", post(add_fault).delete(clear_faults))
        .route("/sim/v1/calls", get(calls).delete(clear_calls))
        .route("/sim/v1/counters", get(counters))
}

async fn put_set(
    State(shared): State<Shared>,
    Path((group, name)): Place,
    body: Body<SetSpec>,
) -> Result<Json<SetView>, Refusal> {
    let Json(spec) = body?;
    Ok(Json(shared.put_set(&SetKey::new(&group, &name), &spec)?))
}

async fn delete_set(State(shared): State<Shared>, Path((group, name)): Place) -> Answer {
    shared.with(|service, now| service.cloud.delete_set(&SetKey::new(&group, &name), now))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn evict(State(shared): State<Shared>, Path((group, name, id)): Member) -> Answer {
    shared.with(|service, _| service.cloud.evict(&SetKey::new(&group, &name), &id))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn lose(State(shared): State<Shared>, Path((group, name, id)): Member) -> Answer {
    shared.with(|service, _| service.cloud.lose(&SetKey::new(&group, &name), &id))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn launch_failures(
    State(shared): State<Shared>,
    Path((group, name)): Place,
    body: Body<LaunchFailures>,
) -> Answer {
    let Json(failures) = body?;
    shared.with(|service, _| service.cloud.fail_launches(&SetKey::new(&group, &name), failures))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sets(State(shared): State<Shared>) -> Json<Vec<SetView>> {
    Json(shared.sets())
}

async fn autoscale(State(shared): State<Shared>, body: Body<Vec<AutoscaleSetting>>) -> Answer {
    let Json(settings) = body?;
    shared.with(|service, _| service.cloud.set_autoscale(settings));
    Ok(StatusCode::NO_CONTENT)
}

async fn expire_tokens(State(shared): State<Shared>) -> StatusCode {
    shared.with(|service, now| service.tokens.expire(now));
    StatusCode::NO_CONTENT
}

async fn add_fault(State(shared): State<Shared>, body: Body<Fault>) -> Answer {
    let Json(fault) = body?;
    shared.with(|service, _| service.faults.add(fault));
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(shared): State<Shared>) -> StatusCode {
    shared.with(|service, _| service.faults.clear());
    StatusCode::NO_CONTENT
}

async fn calls(State(shared): State<Shared>, Query(filter): Query<CallFilter>) -> Json<Vec<Call>> {
    Json(shared.calls(filter.mutating))
}

async fn clear_calls(State(shared): State<Shared>) -> StatusCode {
    shared.with(|service, _| service.calls.clear());
    StatusCode::NO_CONTENT
}

async fn counters(State(shared): State<Shared>) -> Json<Counters> {
    Json(shared.with(|service, _| service.cloud.counters().clone()))
}

/// The operations shared by the routes and the library's handle.
impl Shared {
    pub(super) fn put_set(&self, key: &SetKey, spec: &SetSpec) -> Result<SetView, ArmError> {
        self.with(|service, now| service.cloud.put_set(key, spec, now))?;
        self.set(key)
    }

    pub(super) fn set(&self, key: &SetKey) -> Result<SetView, ArmError> {
        self.with(|service, _| {
            let set = service.cloud.sets().get(key)?;
            Ok(SetView::of(set, service.cloud.is_updating(key)))
        })
    }

    pub(super) fn sets(&self) -> Vec<SetView> {
        self.with(|service, _| {
            let cloud = &service.cloud;
            cloud.sets().all().map(|set| SetView::of(set, cloud.is_updating(&set.key()))).collect()
        })
    }

    pub(super) fn calls(&self, mutating_only: bool) -> Vec<Call> {
        self.with(|service, _| service.calls.read(|call| call.mutating || !mutating_only))
    }
}
