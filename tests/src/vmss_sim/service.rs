//! One call from request to answer, without the network: tokens, throttling, faults, old reads, the record of calls.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::describe::{self, View};
use super::error::ArmError;
use super::fault::{Faults, Injection};
use super::model::{Cause, End, Orchestration, Protection, Set, SetKey};
use super::paging::Pages;
use super::request::Request;
use super::route::{self, Resource};
use super::state::{Cloud, SetChange, Sets};
use super::step::Effect;
use super::tags::TagChange;
use super::throttle::Throttle;
use super::tokens::Tokens;
use crate::cloud_parts::calls::CallLog;
use crate::cloud_parts::link::{Cuts, GroupKey};
use crate::cloud_parts::shared::Core;

/// One call of Resource Manager.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// When it took effect or was refused (Unix seconds).
    pub time: f64,
    /// The method.
    pub method: String,
    /// The path, unchanged.
    pub path: String,
    /// The name of the call, as in `UpdateSet`.
    pub action: String,
    /// The name of the set that it is about.
    pub set: Option<String>,
    /// The body; null if there was none.
    pub body: Value,
    /// Whether it can change anything.
    pub mutating: bool,
    /// Whether it was accepted.
    pub applied: bool,
    /// The status of the answer and the error's code, or `timeout` if it was applied but never answered.
    pub outcome: String,
}

/// The answer, or its absence.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The caller gets no answer.
    Silence,
}

/// A result before it becomes an answer.
#[derive(Debug, Default)]
struct Done {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Done {
    fn ok(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }
}

/// Everything behind the socket.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) cloud: Cloud,
    pub(super) faults: Faults,
    pub(super) calls: CallLog<Call>,
    pub(super) tokens: Tokens,
    pub(super) throttle: Throttle,
    pub(super) subscription: String,
    /// How old reads are, in seconds.
    pub(super) lag: f64,
    /// The seconds of `Retry-After` of an operation.
    pub(super) retry_after: u64,
    pub(super) page: usize,
    pub(super) past: VecDeque<(f64, Sets)>,
}

/// The fields of a PATCH of a set that have an effect here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SetPatch {
    sku: Option<SkuPatch>,
    tags: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SkuPatch {
    capacity: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct InstanceIds {
    instance_ids: Vec<String>,
}

impl Service {
    /// The faults that befall a request.
    pub(super) fn injection(&mut self, request: &Request) -> Injection {
        let (action, set) = request.action();
        self.faults.take(action, set.as_deref())
    }

    /// Performs a request after its delay, and records it.
    pub(super) fn answer(&mut self, request: &Request, injection: &Injection, now: f64) -> Reply {
        let (action, set) = request.action();
        let result = self.perform(request, action, injection, now);
        let reads = request.method == "GET";
        let silent = injection.no_answer && result.is_ok();
        let outcome = match &result {
            Ok(_) if silent => "timeout".to_owned(),
            Ok(done) => done.status.to_string(),
            Err(error) => format!("{} {}", error.status, error.code),
        };
        self.calls.push(Call {
            time: now,
            method: request.method.clone(),
            path: request.path.clone(),
            action: action.to_owned(),
            set,
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
            mutating: !reads,
            applied: result.is_ok(),
            outcome,
        });
        if silent {
            return Reply::Silence;
        }
        let Done { status, headers, body } = result.unwrap_or_else(|error| refusal(&error));
        let mut body = if body.is_null() { String::new() } else { body.to_string() };
        body.truncate(body.floor_char_boundary(injection.cut.unwrap_or(usize::MAX)));
        Reply::Answer { status, headers, body }
    }

    fn perform(
        &mut self,
        request: &Request,
        action: &str,
        injection: &Injection,
        now: f64,
    ) -> Result<Done, ArmError> {
        let no_route = || {
            let message = format!("No route providers found for '{}'.", request.path);
            ArmError::new(404, "InvalidResourceType", message)
        };
        let (subscription, resource) = route::parse(&request.path).ok_or_else(no_route)?;
        self.tokens.check(request.authorization.as_deref(), &request.base, now)?;
        if request.parameter("api-version").is_none_or(|version| !is_version(version)) {
            let message = "The api-version query parameter (?api-version=) is required for all requests.";
            return Err(ArmError::new(400, "MissingApiVersionParameter", message));
        }
        if !subscription.eq_ignore_ascii_case(&self.subscription) {
            let message = format!("The subscription '{subscription}' could not be found.");
            return Err(ArmError::new(404, "SubscriptionNotFound", message));
        }
        if let Some(error) = &injection.error {
            return Err(error.clone());
        }
        let spent = self.throttle.spend(action, &resource, now);
        if let Some((policy, wait)) = spent.refused {
            return Err(ArmError::throttled(&policy, wait));
        }
        let mut done = if request.method == "GET" {
            self.read(request, &resource, injection, now)?
        } else {
            self.change(request, &resource, now)?
        };
        done.headers.extend(spent.headers);
        Ok(done)
    }

    /// The sets as reads see them: those of some time ago, if reads are old.
    fn seen(&self, now: f64) -> &Sets {
        let until = now - self.lag;
        let picture = self.past.iter().rev().find(|(taken, _)| *taken <= until).or(self.past.front());
        match picture {
            Some((_, sets)) if self.lag > 0.0 => sets,
            _ => self.cloud.sets(),
        }
    }

    fn read(
        &self,
        request: &Request,
        resource: &Resource,
        injection: &Injection,
        now: f64,
    ) -> Result<Done, ArmError> {
        let sets = self.seen(now);
        let view = View {
            subscription: &self.subscription,
            listed: matches!(resource, Resource::Sets(_) | Resource::Instances(_) | Resource::Machines(_)),
            is_expanded: request
                .parameter("$expand")
                .is_some_and(|it| it.eq_ignore_ascii_case("instanceView")),
            shown_capacity: injection.shown_capacity,
            hides_power: injection.hides_power,
        };
        let pages = Pages { request, size: self.page };
        let is_in =
            |of: &Option<String>, group: &str| of.as_deref().is_none_or(|of| of.eq_ignore_ascii_case(group));
        Ok(Done::ok(match resource {
            Resource::Sets(group) => {
                let found = sets.all().filter(|set| is_in(group, &set.group));
                pages.of(found.map(|set| view.set(set, self.cloud.provisioning(set))).collect(), false)?
            }
            Resource::Set(key) => {
                let set = sets.get(key)?;
                view.set(set, self.cloud.provisioning(set))
            }
            Resource::InstanceView(key) => match sets.get(key)? {
                set if set.orchestration == Orchestration::Uniform => View::summary(set),
                _ => return Err(flexible("The operation is not supported by flexible scale sets.")),
            },
            Resource::RollingUpgrade(key) => match &sets.get(key)?.rolling_upgrade {
                Some(code) => json!({"properties": {"runningStatus": {"code": code}, "policy": {}}}),
                None => {
                    let message = "No rolling upgrade was found for the scale set.";
                    return Err(ArmError::new(404, "RollingUpgradeNotFound", message));
                }
            },
            Resource::Tags(key) => json!({"properties": {"tags": sets.get(key)?.tags}}),
            Resource::Instances(key) => {
                let set = sets.get(key)?;
                pages.of(set.instances.iter().map(|it| view.instance(set, it)).collect(), false)?
            }
            Resource::Instance(key, id) => {
                let set = sets.get(key)?;
                let instance = set.instance(id).ok_or_else(|| no_such_vm(set, id))?;
                view.instance(set, instance)
            }
            Resource::Machines(group) => machines(sets, group, &pages, &view)?,
            Resource::Machine(group, name) => {
                let (set, instance) = machine(sets, group, name)?;
                view.machine(set, instance)
            }
            Resource::Operation(id) => return self.operation(id),
            Resource::OperationResult(id) => return self.result(request, id),
            Resource::Autoscale(group) => {
                let found = self.cloud.autoscale().iter().filter(|setting| is_in(group, &setting.group));
                pages.of(found.map(|setting| view.autoscale(setting)).collect(), false)?
            }
            Resource::Delete(_) | Resource::Reimage(_) => return Err(not_allowed(&request.method)),
        }))
    }

    fn operation(&self, id: &str) -> Result<Done, ArmError> {
        let operation = self.cloud.operation(id).ok_or_else(|| no_such_operation(id))?;
        let mut done = Done::ok(describe::operation(operation));
        if operation.end.is_none() {
            done.headers.push(("retry-after", self.retry_after.to_string()));
        }
        Ok(done)
    }

    fn result(&self, request: &Request, id: &str) -> Result<Done, ArmError> {
        match &self.cloud.operation(id).ok_or_else(|| no_such_operation(id))?.end {
            None => Ok(Done {
                status: 202,
                headers: vec![
                    (
                        "location",
                        format!("{}{}?{}", request.base, request.path, Pages::encoded(&request.query)),
                    ),
                    ("retry-after", self.retry_after.to_string()),
                ],
                body: Value::Null,
            }),
            Some(End::Succeeded) => Ok(Done { status: 204, ..Done::default() }),
            Some(End::Failed(error) | End::Canceled(error)) => {
                Err(ArmError { status: if error.status < 400 { 409 } else { error.status }, ..error.clone() })
            }
        }
    }

    fn change(&mut self, request: &Request, resource: &Resource, now: f64) -> Result<Done, ArmError> {
        let method = request.method.as_str();
        match (resource, method) {
            (Resource::Set(key), "PATCH") => {
                let SetPatch { sku, tags } = request.json()?;
                let change = SetChange {
                    capacity: sku.and_then(|sku| sku.capacity),
                    tags,
                    if_match: request.if_match.clone(),
                };
                let operation = self.cloud.update(key, change, now)?;
                let set = self.cloud.sets().get(key)?;
                let view = View {
                    subscription: &self.subscription,
                    listed: false,
                    is_expanded: false,
                    shown_capacity: None,
                    hides_power: false,
                };
                let body = view.set(set, self.cloud.provisioning(set));
                Ok(match operation {
                    Some(id) => Done { body, ..self.accepted(request, &id, 202) },
                    None => Done::ok(body),
                })
            }
            (Resource::Set(key), "DELETE") => {
                let id = self.cloud.delete_set(key, now)?;
                Ok(self.accepted(request, &id, 202))
            }
            (Resource::Delete(key), "POST") => {
                let InstanceIds { instance_ids } = request.json()?;
                let id = self.cloud.delete(key, &instance_ids, now)?;
                Ok(self.accepted(request, &id, 202))
            }
            (Resource::Reimage(key), "POST") => {
                let InstanceIds { instance_ids } = request.json()?;
                let id = self.cloud.reimage(key, &instance_ids, now)?;
                Ok(self.accepted(request, &id, 202))
            }
            (Resource::Instance(key, id), "PUT" | "PATCH") => self.protect(request, key, id, now),
            (Resource::Tags(key), "PATCH") => {
                let change: TagChange = request.json()?;
                let tags = self.cloud.tag(key, &change)?.tags.clone();
                Ok(Done::ok(json!({"properties": {"tags": tags}})))
            }
            (Resource::Machine(group, name), "DELETE") => {
                let (key, id) = {
                    let (set, instance) = machine(self.cloud.sets(), group, name)?;
                    (set.key(), instance.id.clone())
                };
                self.cloud.lose(&key, &id)?;
                Ok(Done { status: 202, ..Done::default() })
            }
            _ => Err(not_allowed(method)),
        }
    }

    fn protect(&mut self, request: &Request, key: &SetKey, id: &str, now: f64) -> Result<Done, ArmError> {
        let body: Value = request.json()?;
        let policy = body.pointer("/properties/protectionPolicy").cloned().unwrap_or_default();
        let protection: Protection = serde_json::from_value(policy)
            .map_err(|_| ArmError::invalid("properties.protectionPolicy is missing or malformed."))?;
        let is_whole = body["properties"].as_object().is_some_and(|properties| properties.len() > 1);
        let operation = self.cloud.protect(key, id, protection, is_whole, now)?;
        Ok(self.accepted(request, &operation, 202))
    }

    /// The answer to what has only begun.
    fn accepted(&self, request: &Request, operation: &str, status: u16) -> Done {
        let place = |kind: &str| {
            format!(
                "{}/subscriptions/{}/providers/Microsoft.Compute/locations/westeurope/{kind}/{operation}\
                 ?p=vmss-sim&api-version=2024-07-01",
                request.base, self.subscription
            )
        };
        let headers = vec![
            ("azure-asyncoperation", place("operations")),
            ("location", place("operationResults")),
            ("retry-after", self.retry_after.to_string()),
        ];
        Done { status, headers, body: Value::Null }
    }
}

/// The machines of a resource group, or by a filter those of one set, which alone can have their instance view.
fn machines(sets: &Sets, group: &str, pages: &Pages<'_>, view: &View<'_>) -> Result<Value, ArmError> {
    let filter = pages.request.parameter("$filter");
    let wanted = match filter {
        None if view.is_expanded => {
            return Err(ArmError::invalid(
                "$expand=instanceView needs a $filter on virtualMachineScaleSet/id.",
            ));
        }
        None => None,
        Some(filter) => {
            let named = filter.split_once(" eq '").filter(|(of, _)| *of == "'virtualMachineScaleSet/id'");
            let id = named.and_then(|(_, id)| id.strip_suffix('\''));
            match id.and_then(route::parse) {
                Some((_, Resource::Set(key))) => Some(key),
                _ => return Err(ArmError::invalid("The value of $filter is not valid.")),
            }
        }
    };
    let is_wanted = |set: &&Set| {
        set.orchestration == Orchestration::Flexible
            && set.group.eq_ignore_ascii_case(group)
            && wanted.as_ref().is_none_or(|key| *key == set.key())
    };
    let of_set = |set: &Set| set.instances.iter().map(|it| view.machine(set, it)).collect::<Vec<_>>();
    // The link of this list has spaces in it.
    pages.of(sets.all().filter(is_wanted).flat_map(of_set).collect(), true)
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let are_numbers = parts.iter().take(3).all(|part| part.parse::<u16>().is_ok());
    are_numbers && (parts.len() == 3 || parts.get(3) == Some(&"preview"))
}

fn flexible(message: &str) -> ArmError {
    ArmError::new(400, "OperationNotAllowed", message)
}

fn not_allowed(method: &str) -> ArmError {
    ArmError::new(405, "MethodNotAllowed", format!("The method '{method}' is not allowed here."))
}

fn no_such_operation(id: &str) -> ArmError {
    ArmError::new(404, "OperationNotFound", format!("The operation '{id}' was not found."))
}

fn no_such_vm(set: &Set, id: &str) -> ArmError {
    let message = format!("The VM Scale Set '{}' has no VM of the instanceId '{id}'.", set.name);
    ArmError::new(404, "InstanceNotFound", message)
}

fn machine<'a>(
    sets: &'a Sets,
    group: &str,
    name: &str,
) -> Result<(&'a Set, &'a super::model::Instance), ArmError> {
    let of_group =
        |set: &&Set| set.orchestration == Orchestration::Flexible && set.group.eq_ignore_ascii_case(group);
    let mut found = sets.all().filter(of_group).filter_map(|set| Some((set, set.instance(name)?)));
    found.next().ok_or_else(|| {
        let message =
            format!("The Resource 'Microsoft.Compute/virtualMachines/{name}' under resource group '{group}' was not found.");
        ArmError::new(404, "ResourceNotFound", message)
    })
}

fn refusal(error: &ArmError) -> Done {
    let mut headers = Vec::new();
    if let Some(seconds) = error.retry_after {
        headers.push(("retry-after", seconds.to_string()));
    }
    if error.status == 401 {
        headers.push((
            "www-authenticate",
            format!(
                "Bearer authorization_uri=\"https://login.microsoftonline.com/\", error=\"{}\"",
                error.code
            ),
        ));
    }
    Done { status: error.status, headers, body: json!({"error": error.json()}) }
}

impl Core for Service {
    type Cause = Cause;

    /// Keeps snapshots while reads are old.
    fn step(&mut self, now: f64) {
        self.cloud.step(now);
        if self.lag <= 0.0 {
            self.past.clear();
            return;
        }
        self.past.push_back((now, self.cloud.sets().clone()));
        while self.past.get(1).is_some_and(|(taken, _)| *taken <= now - self.lag) {
            self.past.pop_front();
        }
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        self.cloud.take_effects()
    }

    fn set_private_ip(&mut self, group: &GroupKey, instance: &str, address: String) {
        self.cloud.set_private_ip(group, instance, &address);
    }

    fn record_cuts(&mut self, cause: Cause, cuts: Cuts) {
        self.cloud.record_cuts(cause, cuts);
    }
}
