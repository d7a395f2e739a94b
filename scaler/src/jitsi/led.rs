//! The decorator that every request to a component goes through which changes it: the leader makes it, or nobody.

use super::{Address, Closing, Components, JitsiError};
use crate::decide::observation::Reading;
use crate::leader::Lead;

/// Components that are changed during one term only, and read at any time.
#[derive(Debug)]
pub struct Led<C> {
    inner: C,
    lead: Lead,
}

impl<C> Led<C> {
    /// Wraps `inner` for the term `lead`.
    pub fn new(inner: C, lead: Lead) -> Self {
        Self { inner, lead }
    }
}

impl<C: Components> Components for Led<C> {
    async fn read(&self, address: &Address) -> Result<Reading, JitsiError> {
        self.inner.read(address).await
    }

    async fn start_drain(&self, address: &Address) -> Result<(), JitsiError> {
        self.lead.permit(Box::pin(self.inner.start_drain(address))).await?
    }

    async fn stop_drain(&self, address: &Address) -> Result<(), JitsiError> {
        self.lead.permit(Box::pin(self.inner.stop_drain(address))).await?
    }

    async fn close(&self, address: &Address) -> Result<Closing, JitsiError> {
        self.lead.permit(Box::pin(self.inner.close(address))).await?
    }
}
