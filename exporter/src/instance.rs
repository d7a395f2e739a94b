//! Which instance of the cloud this host is, for requests that are meant for one.
//!
//! Owns the question to EC2's instance metadata service (version 2 of it, as every instance offers). Source: Amazon EC2
//! User Guide, "Use the Instance Metadata Service"; the environment variables are those of the AWS SDKs.

use std::env;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Client;
use tracing::{debug, info};

use crate::client::{Resolver, builder};

/// The metadata service of EC2.
const SERVICE: &str = "http://169.254.169.254";
/// The limit of a request. The service is on the host.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is asked, and the time in between: the network of a host that boots may come late.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(30);
/// The longest id. Those of EC2 have 19 characters.
const LONGEST: usize = 100;

/// The id of the instance that this program runs on, once it is known. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Instance(Arc<OnceLock<String>>);

impl Instance {
    /// A known id.
    #[must_use]
    pub fn known(id: String) -> Self {
        Self(Arc::new(OnceLock::from(id)))
    }

    /// The id, if it is known.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Asks the metadata service until it answers, for five minutes. Does nothing if the id is known, or if
    /// `AWS_EC2_METADATA_DISABLED` is `true`.
    pub async fn find(&self) {
        let is_disabled =
            env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|it| it.eq_ignore_ascii_case("true"));
        if self.id().is_some() || is_disabled {
            return;
        }
        let service = env::var("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|_| SERVICE.to_owned());
        for _ in 0..ATTEMPTS {
            match ask(service.trim_end_matches('/')).await {
                Ok(Some(id)) => {
                    info!(instance = id, "the metadata service named this instance");
                    let _ = self.0.set(id);
                    return;
                }
                Ok(None) => debug!("the metadata service did not answer with an id"),
                Err(error) => debug!(%error, "the metadata service did not answer"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        info!("this instance is not known: set --instance.id if it is one of a scaled group");
    }
}

/// The id that the metadata service at `service` answers, if its answer is one.
async fn ask(service: &str) -> Result<Option<String>, reqwest::Error> {
    let http: Client = builder(Resolver::default()).tls_certs_only([]).timeout(TIMEOUT).build()?;
    let token = http.put(format!("{service}/latest/api/token"));
    let token = token.header("x-aws-ec2-metadata-token-ttl-seconds", "60").send().await?;
    let token = token.error_for_status()?.text().await?;
    let id = http.get(format!("{service}/latest/meta-data/instance-id"));
    let id = id.header("x-aws-ec2-metadata-token", token).send().await?.error_for_status()?.text().await?;
    Ok(Some(id).filter(|id| is_id(id)))
}

/// Whether `text` can be the id of an instance.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, put};
    use test_case::test_case;
    use tokio::net::TcpListener;

    use super::*;

    /// A metadata service that names `id`, to requests with its token only.
    async fn service(id: &'static str) -> String {
        let name = async move |headers: HeaderMap| match headers.get("x-aws-ec2-metadata-token") {
            Some(token) if token == "secret" => (StatusCode::OK, id),
            _ => (StatusCode::UNAUTHORIZED, ""),
        };
        let token = async |headers: HeaderMap| {
            let has_time = headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds");
            (if has_time { StatusCode::OK } else { StatusCode::BAD_REQUEST }, "secret")
        };
        let routes = Router::new()
            .route("/latest/api/token", put(token))
            .route("/latest/meta-data/instance-id", get(name));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    #[test_case("i-0123456789abcdef0", Some("i-0123456789abcdef0"); "an id")]
    #[test_case("<html>", None; "a page")]
    #[test_case("", None; "nothing")]
    #[tokio::test]
    async fn the_metadata_service_names_this_instance(answer: &'static str, expected: Option<&str>) {
        let id = ask(&service(answer).await).await.expect("an answer");
        assert_eq!(id.as_deref(), expected);
    }
}
