//! The admin API under `/sim/v1/`: groups, faults, the record of calls, counters, and actions that AWS takes by itself.

use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::{Deserialize, Serialize};

use super::calls::Call;
use super::error::ApiError;
use super::fault::{Fault, FaultError};
use super::ledger::Counters;
use super::model::{
    Activity, Component, Group, GroupKey, Hook, Instance, LaunchFailures, Refresh, ScalingPolicy, Tag,
};
use super::service::Service;
use super::spec::GroupSpec;
use crate::cloud_parts::shared;

type Shared = shared::Shared<Service>;

/// A group as the admin API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct GroupView {
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The component on its instances.
    pub component: Option<Component>,
    /// The minimum capacity.
    pub min: u32,
    /// The maximum capacity.
    pub max: u32,
    /// The desired capacity.
    pub desired: u32,
    /// Its zones.
    pub zones: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, Tag>,
    /// Its instances, oldest first.
    pub instances: Vec<Instance>,
    /// Its suspended processes, each with the reason.
    pub suspended: BTreeMap<&'static str, String>,
    /// Its lifecycle hooks.
    pub hooks: BTreeMap<String, Hook>,
    /// Its history, newest first.
    pub activities: Vec<Activity>,
    /// Its instance refreshes, oldest first.
    pub refreshes: Vec<Refresh>,
    /// Its scaling policies.
    pub policies: Vec<ScalingPolicy>,
    /// Launches that will fail.
    pub launch_failures: LaunchFailures,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        let suspended = &group.suspended;
        Self {
            region: group.key.region.clone(),
            name: group.key.name.clone(),
            component: group.component,
            min: group.settings.min,
            max: group.settings.max,
            desired: group.settings.desired,
            zones: group.settings.zones.clone(),
            tags: group.tags.clone(),
            instances: group.instances.clone(),
            suspended: suspended.iter().map(|(process, why)| (process.as_str(), why.clone())).collect(),
            hooks: group.hooks.clone(),
            activities: group.activities.iter().rev().cloned().collect(),
            refreshes: group.refreshes.clone(),
            policies: group.policies.clone(),
            launch_failures: group.launch_failures.clone(),
        }
    }
}

/// An action that AWS takes on an instance by itself.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Termination {
    /// The host is lost: the instance stops at once, despite any hook.
    hard: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failures {
    times: u32,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshState {
    in_progress: bool,
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

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(if error.absent { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST }, error.message)
    }
}

impl From<FaultError> for Refusal {
    fn from(error: FaultError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(error: JsonRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, error.body_text())
    }
}

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/sim/v1/regions/{region}/groups/{name}", put(put_group).delete(delete_group))
        .route("/sim/v1/regions/{region}/groups/{name}/instances/{id}/terminate", post(terminate))
        .route("/sim/v1/regions/{region}/groups/{name}/launch-failures", post(launch_failures))
        .route("/sim/v1/regions/{region}/groups/{name}/instance-refresh", post(instance_refresh))
        .route("/sim/v1/groups", get(groups))
        .route("/sim/v1/faults", post(add_fault).delete(clear_faults))
        .route("/sim/v1/calls", get(calls).delete(clear_calls))
        .route("/sim/v1/counters", get(counters))
}

type Body<T> = Result<Json<T>, JsonRejection>;

async fn put_group(
    State(shared): State<Shared>,
    Path((region, name)): Path<(String, String)>,
    body: Body<GroupSpec>,
) -> Result<Json<GroupView>, Refusal> {
    let Json(spec) = body?;
    Ok(Json(shared.put_group(&GroupKey { region, name }, &spec)?))
}

async fn delete_group(
    State(shared): State<Shared>,
    Path((region, name)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    shared.with(|service, now| service.cloud.delete_group(&GroupKey { region, name }, true, now))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn terminate(
    State(shared): State<Shared>,
    Path((region, name, id)): Path<(String, String, String)>,
    body: axum::body::Bytes,
) -> Result<StatusCode, Refusal> {
    let Termination { hard } = if body.is_empty() {
        Termination::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))?
    };
    shared.with(|service, now| service.cloud.terminate_by_aws(&GroupKey { region, name }, &id, hard, now))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn launch_failures(
    State(shared): State<Shared>,
    Path((region, name)): Path<(String, String)>,
    body: Body<Failures>,
) -> Result<StatusCode, Refusal> {
    let Json(Failures { times, message }) = body?;
    let failures = LaunchFailures { left: times, message };
    shared.with(|service, _| service.cloud.fail_launches(&GroupKey { region, name }, failures))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn instance_refresh(
    State(shared): State<Shared>,
    Path((region, name)): Path<(String, String)>,
    body: Body<RefreshState>,
) -> Result<StatusCode, Refusal> {
    let Json(RefreshState { in_progress }) = body?;
    shared.with(|service, now| service.cloud.set_refresh(&GroupKey { region, name }, in_progress, now))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn groups(State(shared): State<Shared>) -> Json<Vec<GroupView>> {
    Json(shared.groups())
}

async fn add_fault(State(shared): State<Shared>, body: Body<Fault>) -> Result<StatusCode, Refusal> {
    let Json(fault) = body?;
    shared.add_fault(fault)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(shared): State<Shared>) -> StatusCode {
    shared.clear_faults();
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
    Json(shared.counters())
}

/// The operations shared by the routes and the library's handle.
impl Shared {
    pub(super) fn put_group(&self, key: &GroupKey, spec: &GroupSpec) -> Result<GroupView, ApiError> {
        self.with(|service, now| {
            service.cloud.put_group(key, spec, now)?;
            service.cloud.groups().get(&key.region, &key.name).map(GroupView::from)
        })
    }

    pub(super) fn groups(&self) -> Vec<GroupView> {
        self.with(|service, _| service.cloud.groups().all().map(GroupView::from).collect())
    }

    pub(super) fn add_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.with(|service, now| {
            service.faults.add(fault)?;
            service.remember(now);
            Ok(())
        })
    }

    pub(super) fn clear_faults(&self) {
        self.with(|service, now| {
            service.faults.clear();
            service.remember(now);
        });
    }

    pub(super) fn calls(&self, mutating_only: bool) -> Vec<Call> {
        self.with(|service, _| service.calls.read(|call| call.mutating || !mutating_only))
    }

    pub(super) fn counters(&self) -> Counters {
        self.with(|service, _| service.cloud.counters().clone())
    }
}
