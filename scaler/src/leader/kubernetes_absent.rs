//! What a build without the feature `kubernetes` has in place of its leases: nothing, and the words for it.

use super::LeaseName;
use super::election::Record;
use super::elector::{LeaseError, Leases};

/// A lease that nobody has.
#[derive(Debug)]
pub enum Kubernetes {}

/// There is nothing to connect with.
#[derive(Debug, thiserror::Error)]
#[error(
    "hold the lease {0}, as --leader.lease asks: this build cannot talk to Kubernetes; use the container image, or build \
     with --features kubernetes"
)]
pub struct ConnectError(LeaseName);

impl Kubernetes {
    /// Says what to do instead.
    #[expect(clippy::unused_async, reason = "the other build asks the environment")]
    pub async fn connect(name: LeaseName) -> Result<Self, ConnectError> {
        Err(ConnectError(name))
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
