//! Credentials and TLS of clients, as the configuration says.
//!
//! Owns reading the files that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::config::{Auth, Tls};

#[cfg(test)]
pub(crate) mod answering;

/// Why an HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file cannot be read.
    #[error("read {}, named in {key}", path.display())]
    Read {
        /// Where the configuration names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file contains nothing that TLS can use.
    #[error("use {}, named in {key}; it must hold PEM", path.display())]
    Unusable {
        /// Where the configuration names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// TLS itself cannot be set up.
    #[error("set up TLS; a system that trusts no authority needs its package ca-certificates")]
    Build(#[source] reqwest::Error),
}

/// The file of a password or a token that cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("read the secret in {}", path.display())]
pub struct SecretError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: Arc<std::io::Error>,
}

/// The credentials of `role`, assumed with those of `base`.
pub(crate) async fn assume(
    role: &str,
    region: aws_config::Region,
    base: &aws_config::SdkConfig,
) -> SharedCredentialsProvider {
    let role = AssumeRoleProvider::builder(role).session_name("jitsi-scaler").region(region);
    SharedCredentialsProvider::new(role.configure(base).build().await)
}

/// Builds a client with the authorities and the certificate of `tls`; `key` is its place in the configuration.
pub(crate) fn client(
    mut builder: reqwest::ClientBuilder,
    tls: &Tls,
    key: &'static str,
) -> Result<reqwest::Client, ClientError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ClientError::Read { key, path: path.to_owned(), source })
    };
    if let Some(path) = &tls.ca_file {
        let unusable = |source| ClientError::Unusable { key, path: path.clone(), source };
        let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(unusable)?;
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((certificate, private)) = &tls.identity {
        let unusable = |source| ClientError::Unusable { key, path: certificate.clone(), source };
        let pem = [read(certificate)?, read(private)?].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(unusable)?);
    }
    builder.build().map_err(ClientError::Build)
}

/// The files of `tls` and `auth` that this host cannot read or use; `key` is their place in the configuration.
pub(crate) fn unusable(tls: &Tls, auth: &Auth, key: &'static str) -> Vec<Box<dyn std::error::Error>> {
    let secret = match auth {
        Auth::None => Ok(String::new()),
        Auth::Basic { password_file: path, .. } | Auth::Bearer { token_file: path } => secret(path),
    };
    let mut unusable: Vec<Box<dyn std::error::Error>> = Vec::new();
    if let Err(error) = client(reqwest::Client::builder(), tls, key) {
        unusable.push(error.into());
    }
    if let Err(error) = secret {
        unusable.push(error.into());
    }
    unusable
}

/// Adds the credentials of `auth` to `request`.
pub(crate) fn authorize(
    request: reqwest::RequestBuilder,
    auth: &Auth,
) -> Result<reqwest::RequestBuilder, SecretError> {
    Ok(match auth {
        Auth::None => request,
        Auth::Basic { username, password_file } => request.basic_auth(username, Some(secret(password_file)?)),
        Auth::Bearer { token_file } => request.bearer_auth(secret(token_file)?),
    })
}

fn secret(path: &Path) -> Result<String, SecretError> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|source| SecretError { path: path.to_owned(), source: Arc::new(source) })
}
