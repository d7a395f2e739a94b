//! Tokens for Azure Resource Manager, from the identity that the environment offers.
//!
//! Owns which kind of credential is used. The credentials keep tokens until they run out.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::cloud::CloudConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use tokio::time::timeout;

use super::errors::RENEW;
use crate::cloud::CloudError;
use crate::telemetry::chain;

/// How long a credential may take for a token. The metadata service of a machine answers in milliseconds, and elsewhere
/// nothing answers at its address.
const PATIENCE: Duration = Duration::from_secs(10);

/// A way to a token, and its name for a person.
type Source = (&'static str, Arc<dyn TokenCredential>);

/// The kinds of credentials that the environment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    WorkloadIdentity,
    ClientSecret,
    ManagedIdentity,
    DeveloperTools,
}

/// The kinds to try, in order. Those that the variables name fully are meant; without any a machine has an identity, or a
/// developer has signed in.
fn kinds(is_set: impl Fn(&str) -> bool) -> &'static [Kind] {
    let application = is_set("AZURE_TENANT_ID") && is_set("AZURE_CLIENT_ID");
    if application && is_set("AZURE_FEDERATED_TOKEN_FILE") {
        &[Kind::WorkloadIdentity]
    } else if application && is_set("AZURE_CLIENT_SECRET") {
        &[Kind::ClientSecret]
    } else if is_set("IDENTITY_ENDPOINT") {
        &[Kind::ManagedIdentity]
    } else {
        &[Kind::ManagedIdentity, Kind::DeveloperTools]
    }
}

/// The ways to a token, and the one of them that gave one.
#[derive(Clone, Default)]
struct Sources {
    all: Arc<[Source]>,
    chosen: Option<usize>,
}

/// Where tokens come from.
pub(super) struct Tokens {
    endpoint: String,
    sources: Mutex<Sources>,
    #[cfg(test)]
    fixed: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Sources {
    /// Those of the environment, for the endpoint at `endpoint`. The authority of its cloud is that of
    /// `AZURE_AUTHORITY_HOST`, else its own.
    fn of_environment(endpoint: &str) -> azure_core::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cloud = match endpoint {
            _ if variable("AZURE_AUTHORITY_HOST").is_some() => None,
            "https://management.usgovcloudapi.net" => Some(CloudConfiguration::AzureGovernment),
            "https://management.chinacloudapi.cn" => Some(CloudConfiguration::AzureChina),
            _ => None,
        };
        let client_options = ClientOptions { cloud: cloud.map(Arc::new), ..ClientOptions::default() };
        let mut sources: Vec<Source> = Vec::new();
        for kind in kinds(|name| variable(name).is_some()) {
            sources.push(match kind {
                Kind::WorkloadIdentity => {
                    let credential_options =
                        ClientAssertionCredentialOptions { client_options: client_options.clone() };
                    let options =
                        WorkloadIdentityCredentialOptions { credential_options, ..Default::default() };
                    ("workload identity", WorkloadIdentityCredential::new(Some(options))?)
                }
                Kind::ClientSecret => {
                    let options = ClientSecretCredentialOptions { client_options: client_options.clone() };
                    let named = |name| variable(name).unwrap_or_default();
                    let (tenant, client) = (named("AZURE_TENANT_ID"), named("AZURE_CLIENT_ID"));
                    let secret = Secret::new(named("AZURE_CLIENT_SECRET"));
                    ("client secret", ClientSecretCredential::new(&tenant, client, secret, Some(options))?)
                }
                Kind::ManagedIdentity => {
                    let options = ManagedIdentityCredentialOptions {
                        user_assigned_id: variable("AZURE_CLIENT_ID").map(UserAssignedId::ClientId),
                        ..Default::default()
                    };
                    ("managed identity", ManagedIdentityCredential::new(Some(options))?)
                }
                Kind::DeveloperTools => ("az and azd", DeveloperToolsCredential::new(None)?),
            });
        }
        Ok(Self { all: sources.into(), chosen: None })
    }
}

impl Tokens {
    /// Tokens for the endpoint at `endpoint`, which has no slash at its end.
    pub(super) fn of_environment(endpoint: &str) -> azure_core::Result<Self> {
        Ok(Self {
            endpoint: endpoint.to_owned(),
            sources: Mutex::new(Sources::of_environment(endpoint)?),
            #[cfg(test)]
            fixed: None,
        })
    }

    #[cfg(test)]
    pub(super) fn fixed(token: &str) -> Self {
        Self { endpoint: String::new(), sources: Mutex::default(), fixed: Some(token.to_owned()) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Sources) -> T) -> T {
        act(&mut self.sources.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets the tokens that were kept, because Azure has refused one: it may have been revoked before its time.
    pub(super) fn renew(&self) {
        if let Ok(sources) = Sources::of_environment(&self.endpoint) {
            self.with(|kept| *kept = sources);
        }
    }

    /// A token. The first source that gives one is asked from then on.
    pub(super) async fn token(&self, call: &'static str) -> Result<String, CloudError> {
        #[cfg(test)]
        if let Some(token) = &self.fixed {
            return Ok(token.clone());
        }
        let mut causes = Vec::new();
        let Sources { all, chosen } = self.with(|sources| sources.clone());
        let scope = format!("{}/.default", self.endpoint);
        for (at, (name, source)) in all.iter().enumerate() {
            if chosen.is_some_and(|chosen| chosen != at) {
                continue;
            }
            match timeout(PATIENCE, source.get_token(&[&scope], None)).await {
                Ok(Ok(token)) => {
                    self.with(|sources| sources.chosen = Some(at));
                    return Ok(token.token.secret().to_owned());
                }
                Ok(Err(error)) => {
                    causes.push(format!("{name}: {}", chain(&error).replace(['\n', '\r'], " ")));
                }
                Err(_) => causes.push(format!("{name}: no answer within {} s", PATIENCE.as_secs())),
            }
        }
        let message = format!("no token of Microsoft Entra ID: {}; {RENEW}", causes.join("; "));
        Err(CloudError::Credentials { call, message })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const APPLICATION: [&str; 2] = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"];

    #[test_case(&[], &[Kind::ManagedIdentity, Kind::DeveloperTools]; "nothing is set")]
    #[test_case(&["AZURE_CLIENT_ID"], &[Kind::ManagedIdentity, Kind::DeveloperTools]; "a user assigned identity")]
    #[test_case(&["IDENTITY_ENDPOINT"], &[Kind::ManagedIdentity]; "the identity of an app service or container")]
    #[test_case(&["AZURE_CLIENT_SECRET"], &[Kind::ClientSecret]; "a secret")]
    #[test_case(&["AZURE_FEDERATED_TOKEN_FILE"], &[Kind::WorkloadIdentity]; "a pod")]
    #[test_case(&["AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET"], &[Kind::WorkloadIdentity]; "both")]
    fn the_environment_names_the_kind_of_credentials(set: &[&str], expected: &[Kind]) {
        let named = |name: &str| {
            let is_application = set.len() == 1 && set[0].starts_with("AZURE_CLIENT_ID");
            set.contains(&name)
                || (APPLICATION.contains(&name)
                    && !is_application
                    && set.iter().any(|it| it.starts_with("AZURE")))
        };
        assert_eq!(kinds(named), expected);
    }
}
