//! How the program reaches components.
//!
//! Owns what every request has in common: it needs the lease.

use super::{Address, Components, JitsiError, Permitted, Reply, Request};
use crate::decide::observation::Reading;
use crate::leader::Lead;

/// Components during one term of leadership.
#[derive(Debug)]
pub struct Client<C> {
    components: C,
    lead: Lead,
}

impl<C: Components> Client<C> {
    /// A client of `components` that makes requests during the term `lead`.
    pub fn new(components: C, lead: Lead) -> Self {
        Self { components, lead }
    }

    /// See [`Components::read`].
    pub async fn read(&self, address: &Address) -> Result<Reading, JitsiError> {
        self.components.read(address).await
    }

    /// Makes a request, if this scaler leads. See [`Components::request`].
    pub async fn request(&self, address: &Address, request: Request) -> Result<Reply, JitsiError> {
        self.lead.permit(Box::pin(self.components.request(address, Permitted(request)))).await?
    }
}
