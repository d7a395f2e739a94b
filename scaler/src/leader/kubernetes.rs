//! Leases of Kubernetes, by the API coordination.k8s.io/v1.
//!
//! This module translates records and errors. The client finds the API server and its credentials: the service account of
//! the pod, or a kubeconfig.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, Config};

use super::LeaseName;
use super::election::{Record, Wish};
use super::elector::{LeaseError, Leases};

/// The annotation that holds the wish of another replica: its identity, and when it wrote that.
const WANTED_BY: &str = "jitsi-scaler/wanted-by";

/// One lease.
#[derive(Debug)]
pub struct Kubernetes {
    api: Api<Lease>,
    name: LeaseName,
    /// The lease as it was last seen. A write keeps what others have put on it, and its UID: a PUT without one would create
    /// a lease that was deleted.
    newest: Mutex<Option<Lease>>,
}

/// Why there is no client of the API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a service account nor a kubeconfig was found.
    #[error(
        "find the API server of Kubernetes: run in a pod with a service account's token, or set KUBECONFIG"
    )]
    Nowhere(#[source] Box<kube::config::InferConfigError>),
    /// What was found is not usable.
    #[error("set up the client of the API server of Kubernetes")]
    Client(#[source] Box<kube::Error>),
}

impl Kubernetes {
    /// The lease `name`, by the kubeconfig of the environment, else by the service account of the pod. Sends no request
    /// yet.
    pub async fn connect(name: LeaseName) -> Result<Self, ConnectError> {
        let mut config = Config::infer().await.map_err(|error| ConnectError::Nowhere(Box::new(error)))?;
        // The candidate retries by itself, within its own deadlines.
        config.default_retry = false;
        // The proxy of the environment is for AWS.
        config.proxy_url = None;
        let client = Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))?;
        let api = Api::namespaced(client, &name.namespace);
        Ok(Self { api, name, newest: Mutex::default() })
    }

    /// Another lease at the same API server.
    #[must_use]
    pub fn beside(&self, name: LeaseName) -> Self {
        Self { api: self.api.clone(), name, newest: Mutex::default() }
    }

    fn remember(&self, lease: Lease) -> Result<(Record, String), LeaseError> {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if version.is_empty() {
            // A write without a version would overwrite any lease.
            let message = "it has no resourceVersion".to_owned();
            return Err(LeaseError::Refused { call: "read", code: 200, message });
        }
        let record = Record { wish: wish(&lease.metadata), ..record(lease.spec.as_ref()) };
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
        Ok((record, version))
    }
}

impl Leases for Kubernetes {
    async fn read(&self) -> Result<Option<(Record, String)>, LeaseError> {
        let found = self.api.get_opt(&self.name.name).await.map_err(|error| failed("read", error))?;
        found.map(|lease| self.remember(lease)).transpose()
    }

    async fn create(&self, record: &Record) -> Result<String, LeaseError> {
        let name = Some(self.name.name.clone());
        let metadata = ObjectMeta { name, ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(written(record, LeaseSpec::default())) };
        let made = self.api.create(&PostParams::default(), &lease).await;
        Ok(self.remember(made.map_err(|error| failed("create", error))?)?.1)
    }

    async fn replace(&self, record: &Record, version: &str) -> Result<String, LeaseError> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut lease = newest.unwrap_or_default();
        lease.metadata.name = Some(self.name.name.clone());
        lease.metadata.resource_version = Some(version.to_owned());
        annotate(&mut lease.metadata, record.wish.as_ref());
        lease.spec = Some(written(record, lease.spec.unwrap_or_default()));
        let replaced = self.api.replace(&self.name.name, &PostParams::default(), &lease).await;
        Ok(self.remember(replaced.map_err(|error| failed("update", error))?)?.1)
    }
}

fn failed(call: &'static str, error: kube::Error) -> LeaseError {
    match error {
        kube::Error::Api(status) if status.code == 409 => LeaseError::Conflict,
        kube::Error::Api(status) => {
            // The API server's texts are written for people.
            let message = if status.message.is_empty() {
                format!("HTTP {}", status.code)
            } else {
                status.message.clone()
            };
            LeaseError::Refused { call, code: status.code, message }
        }
        error => LeaseError::Unreachable { call, source: Box::new(error) },
    }
}

fn record(spec: Option<&LeaseSpec>) -> Record {
    let Some(spec) = spec else { return Record::default() };
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let since_1970 = |time: &Option<MicroTime>| {
        let micros = u64::try_from(time.as_ref()?.0.as_microsecond()).ok()?;
        Some(Duration::from_micros(micros))
    };
    Record {
        holder: spec.holder_identity.clone().unwrap_or_default(),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
        acquired: since_1970(&spec.acquire_time),
        renewed: since_1970(&spec.renew_time),
        transitions: spec.lease_transitions.and_then(|it| u32::try_from(it).ok()).unwrap_or_default(),
        wish: None,
    }
}

/// The wish on a lease; `None` where there is none that can be understood.
fn wish(metadata: &ObjectMeta) -> Option<Wish> {
    let (by, at) = metadata.annotations.as_ref()?.get(WANTED_BY)?.split_once(' ')?;
    let micros = u64::try_from(at.parse::<Timestamp>().ok()?.as_microsecond()).ok()?;
    Some(Wish { by: by.to_owned(), at: Duration::from_micros(micros) })
}

/// Puts the wish on a lease, or removes the one that is there.
fn annotate(metadata: &mut ObjectMeta, wish: Option<&Wish>) {
    let text = wish.and_then(|wish| {
        let micros = i64::try_from(wish.at.as_micros()).ok()?;
        Some(format!("{} {}", wish.by, Timestamp::from_microsecond(micros).ok()?))
    });
    match (text, &mut metadata.annotations) {
        (Some(text), annotations) => {
            annotations.get_or_insert_default().insert(WANTED_BY.to_owned(), text);
        }
        (None, Some(annotations)) => drop(annotations.remove(WANTED_BY)),
        (None, None) => {}
    }
}

/// `spec` with the record in it.
fn written(record: &Record, spec: LeaseSpec) -> LeaseSpec {
    let time = |since_1970: Option<Duration>| {
        let micros = i64::try_from(since_1970?.as_micros()).ok()?;
        Timestamp::from_microsecond(micros).ok().map(MicroTime)
    };
    LeaseSpec {
        holder_identity: Some(record.holder.clone()),
        lease_duration_seconds: Some(i32::try_from(record.duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: time(record.acquired),
        renew_time: time(record.renewed),
        lease_transitions: Some(i32::try_from(record.transitions).unwrap_or(i32::MAX)),
        ..spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Record {
        Record {
            holder: "a".to_owned(),
            duration: Duration::from_secs(15),
            acquired: Some(Duration::from_millis(1_790_000_000_500)),
            renewed: Some(Duration::from_micros(1_790_000_010_000_001)),
            transitions: 7,
            wish: None,
        }
    }

    #[test]
    fn a_record_is_written_as_it_is_read() {
        for written_record in [held(), Record::default()] {
            let spec = written(&written_record, LeaseSpec::default());
            assert_eq!(record(Some(&spec)), written_record);
        }
        assert_eq!(record(None), Record::default());
    }

    #[test]
    fn a_wish_is_written_as_it_is_read_and_leaves_other_annotations() {
        let annotations = [("a".to_owned(), "b".to_owned())].into();
        let mut metadata = ObjectMeta { annotations: Some(annotations), ..ObjectMeta::default() };
        let before = metadata.clone();
        let wanted = Wish { by: "a_1".to_owned(), at: Duration::from_micros(1_790_000_010_000_001) };
        annotate(&mut metadata, Some(&wanted));
        assert_eq!(wish(&metadata).as_ref(), Some(&wanted));
        let text = metadata.annotations.as_ref().map(|it| it[WANTED_BY].as_str());
        assert_eq!(text, Some("a_1 2026-09-21T14:13:30.000001Z"));
        annotate(&mut metadata, None);
        assert_eq!((wish(&metadata), &metadata), (None, &before));
    }

    #[test]
    fn a_write_keeps_what_others_wrote_beside_the_record() {
        let spec = LeaseSpec { strategy: Some("OldestEmulationVersion".to_owned()), ..LeaseSpec::default() };
        assert_eq!(written(&Record::default(), spec.clone()).strategy, spec.strategy);
    }

    #[test]
    fn a_lease_is_written_as_kubernetes_has_it() {
        let spec = serde_json::to_string(&written(&held(), LeaseSpec::default())).expect("JSON");
        insta::assert_snapshot!(spec, @r#"{"acquireTime":"2026-09-21T14:13:20.500000Z","holderIdentity":"a","leaseDurationSeconds":15,"leaseTransitions":7,"renewTime":"2026-09-21T14:13:30.000001Z"}"#);
    }
}
