//! Requests to a running service.
//!
//! Owns the address, the credentials, and texts for what can go wrong on the way.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::names::Group;
use crate::access::{self, ClientError, SecretError};
use crate::config::{Auth, Tls};

/// How long an answer may take. The service waits ten seconds for a fleet that is being evaluated.
const ANSWER: Duration = Duration::from_secs(30);

/// A request that was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address is none.
    #[error("use the address {0}: write it as --server=http://HOST:10066")]
    Address(String),
    /// A file of a flag cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file of the password cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No answer.
    #[error(
        "reach {0}: start the service there, or give its address with --server, and its authority with --ca-file"
    )]
    Unreachable(String, #[source] reqwest::Error),
    /// Credentials are missing or wrong.
    #[error("log in at {0}: it wants a user; give --username and --password-file")]
    Unauthorized(String),
    /// The service refused.
    #[error("have it done: the service says: {0}")]
    Refused(String),
    /// The answer is not that of a service.
    #[error("understand {0}, which answers {1}: is it a jitsi-scaler?")]
    Strange(String, StatusCode),
}

impl RemoteError {
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Client(_) | Self::Secret(_))
    }
}

/// A running service.
#[derive(Debug)]
pub struct Server {
    url: Url,
    auth: Auth,
    client: reqwest::Client,
}

impl Server {
    /// The service at `address`; `user` is a name with the file of its password.
    pub fn new(
        address: &str,
        user: Option<(String, PathBuf)>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Address(address.to_owned());
        let url = Url::parse(&format!("{}/", address.trim_end_matches('/'))).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(wrong());
        }
        let auth = match user {
            Some((username, password_file)) => Auth::Basic { username, password_file },
            None => Auth::None,
        };
        let tls = Tls { ca_file, identity: None };
        let client = access::Client::new(|| reqwest::Client::builder().timeout(ANSWER), &tls, "--ca-file")?;
        Ok(Self { url, auth, client: client.current() })
    }

    /// The status of every group.
    pub(super) async fn status(&self) -> Result<Value, RemoteError> {
        self.answer(self.client.get(self.at(&["api", "v1", "status"]))).await
    }

    /// Requests a change of a group, or of a part of it.
    pub(super) async fn change(
        &self,
        group: &Group,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, RemoteError> {
        let path = [&["api", "v1", "fleets", &group.fleet, &group.asg][..], path].concat();
        let request = self.client.post(self.at(&path)).query(&[("region", &group.region)]).json(body);
        self.answer(request).await
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        // The address is one that can have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, RemoteError> {
        let address = || self.url.to_string();
        let request = access::authorize(request, &self.auth)?;
        let answer = request.send().await.map_err(|error| RemoteError::Unreachable(address(), error))?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(RemoteError::Unauthorized(address()));
        }
        let body: Value = answer.json().await.map_err(|_| RemoteError::Strange(address(), status))?;
        match body["error"].as_str() {
            Some(error) if !status.is_success() => Err(RemoteError::Refused(error.to_owned())),
            _ if !status.is_success() => Err(RemoteError::Strange(address(), status)),
            _ => Ok(body),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::answering::{self, http};
    use crate::telemetry::chain;

    fn group() -> Group {
        Group { fleet: "jvb".to_owned(), asg: "a/b".to_owned(), region: "us-east-1".to_owned() }
    }

    #[tokio::test]
    async fn a_change_names_the_group_and_the_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").expect("a file");
        let (address, asked) = answering::server(vec![http(200, "", r#"{"text": "done"}"#)], "keep").await;
        let user = Some(("alice".to_owned(), file));
        let server = Server::new(&format!("http://{address}/below/"), user, None).expect("a server");
        let answer = server.change(&group(), &["instances", "i-0", "drain"], &json!({"then": "keep"})).await;
        assert_eq!(answer.expect("an answer")["text"], "done");
        let request = asked.await.expect("a request").remove(0);
        let path = "POST /below/api/v1/fleets/jvb/a%2Fb/instances/i-0/drain?region=us-east-1 ";
        assert!(request.starts_with(path), "{request}");
        assert!(request.contains("authorization: Basic YWxpY2U6c2VjcmV0"), "{request}");
        assert!(request.contains("content-type: application/json"), "{request}");
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said_with_a_remedy() {
        for (answer, expected) in [
            (http(401, "", ""), "log in at URL: it wants a user; give --username and --password-file"),
            (http(409, "", r#"{"error": "do it: no"}"#), "have it done: the service says: do it: no"),
            (
                http(404, "", "nothing here"),
                "understand URL, which answers 404 Not Found: is it a jitsi-scaler?",
            ),
        ] {
            let (address, _) = answering::server(vec![answer], "").await;
            let url = format!("http://{address}/");
            let error =
                Server::new(&url, None, None).expect("a server").status().await.expect_err("no status");
            assert_eq!(error.to_string().replace(&url, "URL"), expected);
        }
        let closed = Server::new("http://127.0.0.1:1", None, None).expect("a server");
        let error = closed.status().await.expect_err("nothing listens there");
        assert!(chain(&error).starts_with("reach http://127.0.0.1:1/: start the service there"), "{error}");
        assert!(matches!(Server::new("127.0.0.1:10066", None, None), Err(RemoteError::Address(_))));
    }
}
