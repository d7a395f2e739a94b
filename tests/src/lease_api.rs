//! A stand-in for the API server of Kubernetes, for Leases of coordination.k8s.io/v1 only.
//!
//! Speaks its protocol: writes must name a version, refusals are `Status` objects, and writes without a change make no
//! version. A test compares it with the recorded answers of a real one in tests/cluster/lease_api.json. Owns the faults
//! of each caller, identified by its bearer token, and the record of the holders of leases.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The fault of a caller's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// No fault.
    #[default]
    None,
    /// Requests do not arrive, and get no answer.
    Partition,
    /// Requests take effect, but their answers are lost.
    AnswersLost,
    /// Requests get 500, and have no effect.
    Refused,
    /// Requests arrive this much later.
    Delay(Duration),
}

/// The start of a holder's term.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenure {
    /// Unix seconds.
    pub since: f64,
    /// The holder; empty for none.
    pub holder: String,
}

#[derive(Debug, Default)]
struct Kept {
    leases: BTreeMap<(String, String), Value>,
    version: u64,
    troubles: BTreeMap<String, Trouble>,
    tenures: BTreeMap<String, Vec<Tenure>>,
}

type Shared = Arc<Mutex<Kept>>;

/// A running API server. Dropping it ends it.
#[derive(Debug)]
pub struct LeaseApi {
    address: SocketAddr,
    leases: Shared,
    stop: CancellationToken,
}

/// Unix seconds, now.
#[expect(clippy::disallowed_methods, reason = "the one clock of the stand-in")]
fn unix_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn lock(leases: &Shared) -> MutexGuard<'_, Kept> {
    leases.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LeaseApi {
    /// Starts it on a free port, without leases.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (leases, stop) = (Shared::default(), CancellationToken::new());
        let root = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases";
        let routes = Router::new()
            .route(root, post(of_all))
            .route(&format!("{root}/{{name}}"), get(of_one).put(of_one).delete(of_one))
            .with_state(Arc::clone(&leases));
        let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the stand-in for the API server stopped serving");
            }
        });
        Ok(Self { address, leases, stop })
    }

    /// The configuration of a client with the bearer token `token`.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stand-in", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "caller", "user": {"token": token}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "caller"}}],
            "current-context": "stand-in",
        });
        config.to_string()
    }

    /// Sets the fault of the caller `token`, including its current requests.
    pub fn trouble(&self, token: &str, trouble: Trouble) {
        lock(&self.leases).troubles.insert(token.to_owned(), trouble);
    }

    /// The holders of the lease `name` with the start of their terms, oldest first.
    #[must_use]
    pub fn tenures(&self, name: &str) -> Vec<Tenure> {
        lock(&self.leases).tenures.get(name).cloned().unwrap_or_default()
    }

    /// The current lease.
    #[must_use]
    pub fn lease(&self, namespace: &str, name: &str) -> Option<Value> {
        lock(&self.leases).leases.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Deletes a lease, as an operator may.
    pub fn delete(&self, namespace: &str, name: &str) {
        lock(&self.leases).leases.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Unix seconds, now, by the clock of the tenures.
    #[must_use]
    pub fn now(&self) -> f64 {
        unix_now()
    }

    /// Creates a lease that its last holder has released.
    pub fn put_free(&self, namespace: &str, name: &str) {
        let spec = json!({"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 1});
        let lease = json!({"metadata": {"name": name}, "spec": spec});
        let _ = lock(&self.leases).create(namespace, lease);
    }
}

impl Drop for LeaseApi {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A refusal, as a `Status`.
#[derive(Debug)]
struct Refusal {
    code: u16,
    /// Empty if Kubernetes has no word for it.
    reason: &'static str,
    message: String,
    details: Value,
}

impl Kept {
    fn answer(
        &mut self,
        method: &Method,
        namespace: &str,
        name: Option<&str>,
        body: &[u8],
    ) -> Result<(u16, Value), Refusal> {
        match (method, name) {
            (&Method::GET, Some(name)) => {
                let found = self.leases.get(&(namespace.to_owned(), name.to_owned()));
                Ok((200, found.cloned().ok_or_else(|| not_found(name))?))
            }
            (&Method::DELETE, Some(name)) => {
                let key = (namespace.to_owned(), name.to_owned());
                let gone = self.leases.remove(&key).ok_or_else(|| not_found(name))?;
                let mut details = about(name, "leases");
                details["uid"] = gone["metadata"]["uid"].clone();
                let status =
                    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                Ok((200, with(status, "details", details)))
            }
            (&Method::POST, None) => Ok((201, self.create(namespace, understood(body)?)?)),
            (&Method::PUT, Some(name)) => self.replace(namespace, name, understood(body)?),
            _ => Err(refusal(405, "MethodNotAllowed", "the server does not allow this method")),
        }
    }

    fn create(&mut self, namespace: &str, mut lease: Value) -> Result<Value, Refusal> {
        let own = &lease["metadata"]["namespace"];
        if !own.is_null() && *own != namespace {
            let text =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(bad_request(text));
        }
        let name = lease["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if !lease["metadata"]["resourceVersion"].is_null() {
            return Err(refusal(500, "", "resourceVersion should not be set on objects to be created"));
        }
        validate(&name, &lease)?;
        let key = (namespace.to_owned(), name.clone());
        if self.leases.contains_key(&key) {
            let text = format!("leases.coordination.k8s.io \"{name}\" already exists");
            return Err(Refusal { details: about(&name, "leases"), ..refusal(409, "AlreadyExists", &text) });
        }
        lease["metadata"]["uid"] = json!(format!("{:08x}-stand-in", self.version));
        lease["metadata"]["namespace"] = json!(namespace);
        Ok(self.store(key, lease))
    }

    fn replace(&mut self, namespace: &str, name: &str, mut lease: Value) -> Result<(u16, Value), Refusal> {
        let own = lease["metadata"]["name"].as_str().unwrap_or_default();
        if own != name {
            let text = format!("the name of the object ({own}) does not match the name on the URL ({name})");
            return Err(bad_request(&text));
        }
        let key = (namespace.to_owned(), name.to_owned());
        let conflict = |why: &str| {
            let text =
                format!("Operation cannot be fulfilled on leases.coordination.k8s.io \"{name}\": {why}");
            Refusal { details: about(name, "leases"), ..refusal(409, "Conflict", &text) }
        };
        let found = self.leases.get(&key);
        let uid = |lease: &Value| lease["metadata"]["uid"].as_str().map(str::to_owned);
        let (wanted, kept) = (uid(&lease), found.and_then(uid).unwrap_or_default());
        if let Some(wanted) = wanted.filter(|wanted| *wanted != kept) {
            return Err(conflict(&format!(
                "StorageError: invalid object, Code: 4, Key: /registry/leases/{namespace}/{name}, \
                 ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, \
                 UID in object meta: {kept}"
            )));
        }
        let Some(found) = found else {
            // Unlike most kinds, a PUT can create leases, whatever version it names.
            lease["metadata"]["resourceVersion"] = Value::Null;
            return self.create(namespace, lease).map(|made| (201, made));
        };
        let version = lease["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version.parse::<u64>().is_err() {
            let text = format!("strconv.ParseUint: parsing \"{version}\": invalid syntax");
            return Err(refusal(500, "", &text));
        }
        if matches!(version, "" | "0") {
            let (what, field) =
                ("Invalid value: 0: must be specified for an update", "metadata.resourceVersion");
            return Err(invalid("leases.coordination.k8s.io", about(name, "leases"), field, what));
        }
        if found["metadata"]["resourceVersion"] != version {
            let why =
                "the object has been modified; please apply your changes to the latest version and try again";
            return Err(conflict(why));
        }
        validate(name, &lease)?;
        let ours = |lease: &Value| {
            let metadata = &lease["metadata"];
            [&lease["spec"], &metadata["labels"], &metadata["annotations"]].map(Clone::clone)
        };
        if ours(found) == ours(&lease) {
            return Ok((200, found.clone()));
        }
        lease["metadata"]["uid"] = json!(kept);
        lease["metadata"]["namespace"] = json!(namespace);
        Ok((200, self.store(key, lease)))
    }

    fn store(&mut self, key: (String, String), mut lease: Value) -> Value {
        self.version += 1;
        lease["apiVersion"] = json!("coordination.k8s.io/v1");
        lease["kind"] = json!("Lease");
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        let tenures = self.tenures.entry(key.1.clone()).or_default();
        if tenures.last().is_none_or(|newest| newest.holder != holder) {
            tenures.push(Tenure { since: unix_now(), holder });
        }
        self.leases.insert(key, lease.clone());
        lease
    }
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn refusal(code: u16, reason: &'static str, message: &str) -> Refusal {
    Refusal { code, reason, message: message.to_owned(), details: Value::Null }
}

fn about(name: &str, kind: &str) -> Value {
    let about = json!({"group": "coordination.k8s.io", "kind": kind});
    if name.is_empty() { about } else { with(about, "name", json!(name)) }
}

fn not_found(name: &str) -> Refusal {
    let text = format!("leases.coordination.k8s.io \"{name}\" not found");
    Refusal { details: about(name, "leases"), ..refusal(404, "NotFound", &text) }
}

fn bad_request(text: &str) -> Refusal {
    refusal(400, "BadRequest", text)
}

fn invalid(what: &str, details: Value, field: &str, text: &str) -> Refusal {
    let name = details["name"].as_str().unwrap_or_default();
    let message = format!("{what} \"{name}\" is invalid: {field}: {text}");
    let reason = if text.starts_with("Required") { "FieldValueRequired" } else { "FieldValueInvalid" };
    let causes = json!([{"reason": reason, "message": text, "field": field}]);
    Refusal { details: with(details, "causes", causes), ..refusal(422, "Invalid", &message) }
}

/// The lease of a body as the API server reads it: checked by type, without unknown fields.
fn understood(body: &[u8]) -> Result<Value, Refusal> {
    let unreadable =
        |why: &str| bad_request(&format!("Lease in version \"v1\" cannot be handled as a Lease: {why}"));
    let mut lease: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    let mut spec = json!({});
    for field in ["holderIdentity", "strategy", "preferredHolder"] {
        match &lease["spec"][field] {
            Value::Null => {}
            Value::String(text) => spec[field] = json!(text),
            _ => return Err(unreadable(&format!("{field} is no text"))),
        }
    }
    for field in ["leaseDurationSeconds", "leaseTransitions"] {
        match &lease["spec"][field] {
            Value::Null => {}
            number => {
                let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
                let number = number.ok_or_else(|| unreadable(&format!("{field} is no number of 32 bits")))?;
                spec[field] = json!(number);
            }
        }
    }
    for field in ["acquireTime", "renewTime"] {
        if lease["spec"][field].is_null() {
            continue;
        }
        let time = lease["spec"][field].as_str().and_then(micro_time);
        let time = time.ok_or_else(|| unreadable(&format!("{field} is not written with microseconds")))?;
        spec[field] = json!(time);
    }
    lease["spec"] = spec;
    Ok(lease)
}

/// A time with exactly six digits of a second's fraction and a zone, in UTC.
fn micro_time(text: &str) -> Option<String> {
    let (_, fraction) = text.split_once('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let time = text.parse::<jiff::Timestamp>().ok().filter(|_| digits == 6)?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// Checks a lease that the API server can parse but would reject.
fn validate(name: &str, lease: &Value) -> Result<(), Refusal> {
    let refused = |field: &str, text: &str| {
        Err(invalid("Lease.coordination.k8s.io", about(name, "Lease"), field, text))
    };
    if name.is_empty() {
        return refused("metadata.name", "Required value: name or generateName is required");
    }
    let spec = &lease["spec"];
    if let Some(seconds) = spec["leaseDurationSeconds"].as_i64().filter(|it| *it <= 0) {
        let text = format!("Invalid value: {seconds}: must be greater than 0");
        return refused("spec.leaseDurationSeconds", &text);
    }
    if let Some(count) = spec["leaseTransitions"].as_i64().filter(|it| *it < 0) {
        let text = format!("Invalid value: {count}: must be greater than or equal to 0");
        return refused("spec.leaseTransitions", &text);
    }
    Ok(())
}

async fn of_all(
    State(leases): State<Shared>,
    Path(namespace): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(&leases, &headers, |leases| leases.answer(&method, &namespace, None, &body)).await
}

async fn of_one(
    State(leases): State<Shared>,
    Path((namespace, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(&leases, &headers, |leases| leases.answer(&method, &namespace, Some(&name), &body)).await
}

async fn respond(
    leases: &Shared,
    headers: &HeaderMap,
    work: impl FnOnce(&mut Kept) -> Result<(u16, Value), Refusal>,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
        return status(&refusal(401, "Unauthorized", "Unauthorized"));
    };
    let trouble = || lock(leases).troubles.get(token).copied().unwrap_or_default();
    match trouble() {
        Trouble::Partition => return std::future::pending().await,
        Trouble::Refused => return status(&refusal(500, "", "etcdserver: leader changed")),
        Trouble::Delay(delay) => tokio::time::sleep(delay).await,
        Trouble::None | Trouble::AnswersLost => {}
    }
    let answer = work(&mut lock(leases));
    if matches!(trouble(), Trouble::Partition | Trouble::AnswersLost) {
        return std::future::pending().await;
    }
    match answer {
        Ok((code, lease)) => (StatusCode::from_u16(code).unwrap_or_default(), Json(lease)).into_response(),
        Err(refusal) => status(&refusal),
    }
}

fn status(refusal: &Refusal) -> Response {
    let Refusal { code, reason, message, details } = refusal;
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code,
    });
    if !reason.is_empty() {
        body["reason"] = json!(reason);
    }
    if !details.is_null() {
        body["details"] = details.clone();
    }
    (StatusCode::from_u16(*code).unwrap_or_default(), Json(body)).into_response()
}

#[cfg(test)]
mod tests;
