//! A stand-in for the API server of Kubernetes, as far as Leases of coordination.k8s.io/v1 go.
//!
//! Speaks its protocol: versions that a write must name, `Status` objects for refusals, writes that change nothing and
//! make no version. Owns what goes wrong between it and a caller, who is told by his bearer token, and the record of who
//! held a lease when.

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

/// What goes wrong with the requests of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Nothing arrives, and nothing is answered.
    Partition,
    /// What is asked for is done, and the answer is lost.
    AnswersLost,
    /// 500, and nothing is done.
    Refused,
    /// It arrives so much later.
    Delay(Duration),
}

/// Since when a lease has had a holder.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenure {
    /// Unix seconds.
    pub since: f64,
    /// Whose it was; empty for nobody's.
    pub holder: String,
}

#[derive(Debug, Default)]
struct Kept {
    leases: BTreeMap<(String, String), Value>,
    version: u64,
    troubles: BTreeMap<String, Trouble>,
    tenures: Vec<Tenure>,
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
    /// Starts it on a free port, without any lease.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (leases, stop) = (Shared::default(), CancellationToken::new());
        let root = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases";
        let routes = Router::new()
            .route(root, post(of_all))
            .route(&format!("{root}/{{name}}"), get(of_one).put(of_one))
            .with_state(Arc::clone(&leases));
        let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the stand-in for the API server stopped serving");
            }
        });
        Ok(Self { address, leases, stop })
    }

    /// What a client is configured with that calls itself `token`.
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

    /// From now on this goes wrong with the requests of the caller `token`, also with those under way.
    pub fn trouble(&self, token: &str, trouble: Trouble) {
        lock(&self.leases).troubles.insert(token.to_owned(), trouble);
    }

    /// Who held leases since when, oldest first.
    #[must_use]
    pub fn tenures(&self) -> Vec<Tenure> {
        lock(&self.leases).tenures.clone()
    }

    /// A lease as it is.
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

    /// Puts a lease there that its last holder has given up.
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

/// A refusal: HTTP status, reason and text.
type Refusal = (u16, &'static str, String);

impl Kept {
    fn answer(
        &mut self,
        method: &Method,
        namespace: &str,
        name: Option<&str>,
        body: &[u8],
    ) -> Result<(u16, Value), Refusal> {
        let lease = |body: &[u8]| -> Result<Value, Refusal> {
            let lease: Value =
                serde_json::from_slice(body).map_err(|error| (400, "BadRequest", error.to_string()))?;
            validate(&lease)?;
            Ok(lease)
        };
        match (method, name) {
            (&Method::GET, Some(name)) => {
                let found = self.leases.get(&(namespace.to_owned(), name.to_owned()));
                Ok((200, found.cloned().ok_or_else(|| not_found(name))?))
            }
            (&Method::POST, None) => Ok((201, self.create(namespace, lease(body)?)?)),
            (&Method::PUT, Some(name)) => Ok((200, self.replace(namespace, name, lease(body)?)?)),
            _ => Err((405, "MethodNotAllowed", "the server does not allow this method".to_owned())),
        }
    }

    fn create(&mut self, namespace: &str, mut lease: Value) -> Result<Value, Refusal> {
        let name = lease["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if !lease["metadata"]["resourceVersion"].is_null() {
            let text = "resourceVersion should not be set on objects to be created".to_owned();
            return Err((500, "InternalError", text));
        }
        let key = (namespace.to_owned(), name.clone());
        if self.leases.contains_key(&key) {
            let text = format!("leases.coordination.k8s.io \"{name}\" already exists");
            return Err((409, "AlreadyExists", text));
        }
        lease["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        lease["metadata"]["namespace"] = json!(namespace);
        Ok(self.store(key, lease))
    }

    fn replace(&mut self, namespace: &str, name: &str, lease: Value) -> Result<Value, Refusal> {
        let key = (namespace.to_owned(), name.to_owned());
        let metadata = &lease["metadata"];
        let version = metadata["resourceVersion"].as_str().unwrap_or_default();
        if version.is_empty() {
            let text = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
            return Err((422, "Invalid", text.to_owned()));
        }
        let found = self.leases.get(&key).ok_or_else(|| not_found(name))?;
        let conflict = |why: &str| {
            let what = "Operation cannot be fulfilled on leases.coordination.k8s.io";
            (409, "Conflict", format!("{what} \"{name}\": {why}"))
        };
        if !metadata["uid"].is_null() && metadata["uid"] != found["metadata"]["uid"] {
            return Err(conflict("the UID in the precondition does not match the UID in record"));
        }
        if found["metadata"]["resourceVersion"] != version {
            let why =
                "the object has been modified; please apply your changes to the latest version and try again";
            return Err(conflict(why));
        }
        if found["spec"] == lease["spec"] {
            return Ok(found.clone());
        }
        Ok(self.store(key, lease))
    }

    fn store(&mut self, key: (String, String), mut lease: Value) -> Value {
        self.version += 1;
        lease["apiVersion"] = json!("coordination.k8s.io/v1");
        lease["kind"] = json!("Lease");
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        if self.tenures.last().is_none_or(|newest| newest.holder != holder) {
            self.tenures.push(Tenure { since: unix_now(), holder });
        }
        self.leases.insert(key, lease.clone());
        lease
    }
}

fn not_found(name: &str) -> Refusal {
    (404, "NotFound", format!("leases.coordination.k8s.io \"{name}\" not found"))
}

/// What the API server itself would not take.
fn validate(lease: &Value) -> Result<(), Refusal> {
    let spec = &lease["spec"];
    let invalid = |text: &str| Err((422, "Invalid", text.to_owned()));
    if !spec["leaseDurationSeconds"].is_null()
        && spec["leaseDurationSeconds"].as_i64().is_none_or(|it| it <= 0)
    {
        return invalid("spec.leaseDurationSeconds: must be greater than 0");
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|it| it < 0) {
        return invalid("spec.leaseTransitions: must be greater than or equal to 0");
    }
    for time in ["acquireTime", "renewTime"] {
        let micro = |text: &str| text.parse::<jiff::Timestamp>().is_ok() && text.len() == 27;
        if !spec[time].is_null() && !spec[time].as_str().is_some_and(micro) {
            return invalid("a time must be written with microseconds, in UTC");
        }
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
        return status(401, "Unauthorized", "Unauthorized");
    };
    let trouble = || lock(leases).troubles.get(token).copied().unwrap_or_default();
    match trouble() {
        Trouble::Partition => return std::future::pending().await,
        Trouble::Refused => return status(500, "InternalError", "etcdserver: leader changed"),
        Trouble::Delay(delay) => tokio::time::sleep(delay).await,
        Trouble::None | Trouble::AnswersLost => {}
    }
    let answer = work(&mut lock(leases));
    if matches!(trouble(), Trouble::Partition | Trouble::AnswersLost) {
        return std::future::pending().await;
    }
    match answer {
        Ok((code, lease)) => (StatusCode::from_u16(code).unwrap_or_default(), Json(lease)).into_response(),
        Err((code, reason, text)) => status(code, reason, &text),
    }
}

fn status(code: u16, reason: &str, text: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": text, "reason": reason, "code": code,
    });
    (StatusCode::from_u16(code).unwrap_or_default(), Json(body)).into_response()
}
