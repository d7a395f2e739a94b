//! Stands in for the leases of Kubernetes in a build without the feature `kubernetes`: connecting fails with a remedy.

use super::LeaseName;
use super::election::Record;
use super::elector::{LeaseError, Leases};

/// No value of this type exists.
#[derive(Debug)]
pub enum Kubernetes {}

/// This build has no client of Kubernetes.
#[derive(Debug, thiserror::Error)]
#[error(
    "hold the lease {0}, as --leader.lease asks: this build cannot talk to Kubernetes; use the container image, or build \
     with --features kubernetes"
)]
pub struct ConnectError(LeaseName);

impl Kubernetes {
    /// Fails, and says what to do instead.
    #[expect(clippy::unused_async, reason = "the other build asks the environment")]
    pub async fn connect(name: LeaseName) -> Result<Self, ConnectError> {
        Err(ConnectError(name))
    }

    /// Another lease at the same API server.
    #[must_use]
    pub fn beside(&self, _: LeaseName) -> Self {
        match *self {}
    }
}

impl Leases for Kubernetes {
    async fn read(&self) -> Result<Option<(Record, String)>, LeaseError> {
        match *self {}
    }

    async fn create(&self, _: &Record) -> Result<String, LeaseError> {
        match *self {}
    }

    async fn replace(&self, _: &Record, _: &str) -> Result<String, LeaseError> {
        match *self {}
    }
}
