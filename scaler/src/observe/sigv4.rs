//! Signatures of AWS (version 4) on queries, as Amazon Managed Service for Prometheus requires them.
//!
//! Owns the credentials for it, which come from the usual chain of AWS. Source: the AWS General Reference, "Signature
//! Version 4", and the service name `aps` of the Amazon Managed Service for Prometheus User Guide.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::OnceCell;

use crate::access::{self, credentials, credentials::variable};
use crate::config::SigV4;
use crate::telemetry::chain;

/// The name of the service in signatures.
const SERVICE: &str = "aps";

/// A query that cannot be signed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignError {
    /// The chain has no credentials.
    #[error("find AWS credentials for prometheus.sigv4: {0}")]
    Credentials(String),
    /// The request cannot be signed. No usual address or header causes this.
    #[error("sign the query for prometheus.sigv4: {0}")]
    Request(String),
}

fn unsignable(error: impl std::error::Error) -> SignError {
    SignError::Request(chain(&error))
}

/// Signs requests for one region.
#[derive(Debug)]
pub(super) struct Signer {
    settings: SigV4,
    clock: fn() -> Duration,
    /// Found when first needed.
    provider: OnceCell<SharedCredentialsProvider>,
}

impl Signer {
    pub(super) fn new(settings: SigV4, clock: fn() -> Duration) -> Self {
        Self { settings, clock, provider: OnceCell::new() }
    }

    /// Adds a signature to `request`, of whose headers it covers the host, the date and the type of the body.
    pub(super) async fn sign(&self, request: &mut reqwest::Request) -> Result<(), SignError> {
        let credentials = self.credentials().await?;
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.settings.region.as_str())
            .name(SERVICE)
            .time(UNIX_EPOCH + (self.clock)())
            .settings(SigningSettings::default())
            .build()
            .map_err(unsignable)?
            .into();
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let headers = kind.map(|kind| (CONTENT_TYPE.as_str(), kind));
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.url().as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body),
        );
        let signed = sign(signable.map_err(unsignable)?, &params).map_err(unsignable)?;
        for (name, value) in signed.into_parts().0.headers() {
            let name = HeaderName::try_from(name).map_err(unsignable)?;
            let mut value = HeaderValue::try_from(value).map_err(unsignable)?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    async fn credentials(&self) -> Result<Credentials, SignError> {
        let found = self.provider.get_or_try_init(|| async { self.find().await }).await?;
        let missing = |causes: String| credentials::missing(&causes.replace(['\n', '\r'], " "), variable);
        found.provide_credentials().await.map_err(|error| SignError::Credentials(missing(chain(&error))))
    }

    async fn find(&self) -> Result<SharedCredentialsProvider, SignError> {
        let region = aws_config::Region::new(self.settings.region.as_str().to_owned());
        let base =
            aws_config::defaults(aws_config::BehaviorVersion::latest()).region(region.clone()).load().await;
        if let Some(role) = &self.settings.role {
            return Ok(access::assume(role, region, &base).await);
        }
        base.credentials_provider()
            .ok_or_else(|| SignError::Credentials("the chain of AWS names no source of them".to_owned()))
    }
}
